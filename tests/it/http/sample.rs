//! Repositories as they look after a year: backups that the policy kept, a history with bad days in it, and sites about them.
//! It owns the making; days are counted back from now, so that the real clock finds them as they are meant.

use crate::cli::fixture;
use crate::http::TOKEN;
use crate::support::new_folder;
use jiff::{SignedDuration, Timestamp};
use kluis::config::{self, Flags, RepositoryConfig, Source, source::Stat};
use kluis::http::{Pulse, Site, Watched};
use kluis::postgres::connection::Secret;
use kluis::repository::lock::Lock;
use kluis::repository::progress::{Beacon, Progress};
use kluis::repository::{Repository, names};
use kluis::stop::Stop;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// An environment that holds nothing but these variables.
struct Given(BTreeMap<String, String>);

impl Source for Given {
    fn var(&self, name: &str) -> Option<OsString> {
        self.0.get(name).map(OsString::from)
    }
    fn names(&self) -> Vec<OsString> {
        self.0.keys().map(OsString::from).collect()
    }
    fn read_file(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }
    fn stat(&self, _: &Path) -> io::Result<Stat> {
        Err(io::ErrorKind::NotFound.into())
    }
    fn current_dir(&self) -> io::Result<PathBuf> {
        Ok("/".into())
    }
    fn cores(&self) -> usize {
        2
    }
}

/// The settings of any target, under these variables.
pub fn settings(variables: &[(&str, &str)]) -> RepositoryConfig {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    config::load_repository(&Flags::default(), &Given(variables)).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A site about targets in a new repository, which `fill` fills.
pub struct Sample {
    pub root: PathBuf,
    pub targets: Vec<(String, Vec<(&'static str, &'static str)>)>,
}

/// Keeps a week, five weeks and a year of months, in a zone with daylight saving.
pub const POLICY: [(&str, &str); 4] =
    [("BACKUP_KEEP_DAILY", "14"), ("BACKUP_KEEP_WEEKLY", "5"), ("BACKUP_KEEP_MONTHLY", "12"), ("BACKUP_TIMEZONE", "Europe/Amsterdam")];

impl Sample {
    pub fn new() -> Sample {
        Sample { root: new_folder("sample"), targets: Vec::new() }
    }

    /// A target with these variables on top of [`POLICY`].
    pub fn target(&mut self, name: &str, variables: &[(&'static str, &'static str)]) -> PathBuf {
        self.targets.push((name.to_owned(), POLICY.iter().copied().chain(variables.iter().copied()).collect()));
        let folder = self.root.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// A target without a folder.
    pub fn unborn(&mut self, name: &str) {
        self.targets.push((name.to_owned(), POLICY.to_vec()));
    }

    /// The site.
    pub fn site(&self) -> Site {
        let watched = |(name, variables): &(String, Vec<(&str, &str)>)| Watched { name: name.clone(), settings: settings(variables).others, connection: None };
        let targets: Vec<Watched> = self.targets.iter().map(watched).collect();
        let zone = settings(&POLICY).common.time_zone;
        Site::new(Repository::open(&self.root).unwrap(), targets, zone, Arc::new(Pulse::default()), Secret::from(TOKEN.to_owned()))
    }

    /// Lets the newest backup's proof except so many things, of long names.
    pub fn except(&self, name: &str, count: usize) {
        let backups = std::fs::read_dir(self.root.join(name)).unwrap().flatten().map(|entry| entry.path());
        let newest = backups.filter(|path| path.join(names::PROOF).is_file()).max().unwrap();
        let classes = kluis::exception::Class::ALL;
        let object = |number: usize| {
            let name = ["orders_by_note", "an_index_whose_name_is_about_as_long_as_postgresql_allows_for_one"][number % 2];
            kluis::exception::Exception::new(classes[number % classes.len()], format!("index public.{name}_{number}"))
        };
        let exceptions: Vec<_> = (0..count).map(object).collect();
        let mut proof: serde_json::Value = serde_json::from_slice(&std::fs::read(newest.join(names::PROOF)).unwrap()).unwrap();
        proof["exceptions"] = serde_json::to_value(exceptions).unwrap();
        std::fs::write(newest.join(names::PROOF), proof.to_string()).unwrap();
    }

    /// A run in progress in a target's folder, for as long as the value lives.
    pub fn running(&self, name: &str) -> (Beacon, Lock) {
        let target = Repository::open(&self.root).unwrap().target(name);
        let lock = Lock::take(&target, Duration::ZERO, &Stop::new()).unwrap();
        let (beacon, now) = (Beacon::light(&target, &lock).unwrap(), Timestamp::now());
        let progress = Progress {
            started: now - SignedDuration::from_secs(95),
            updated: now,
            trigger: "manual".into(),
            step: "dump".into(),
            part: None,
            since: now - SignedDuration::from_secs(90),
            bytes: 4_100_000_000,
            bytes_total: 9_700_000_000,
            tables: 31,
            tables_total: 42,
            rows: 11_800_000,
        };
        beacon.show(&progress).unwrap();
        (beacon, lock)
    }

    /// A year of daily runs, the newest `newest` hours ago, with the bad days that `bad` names by how many days ago they were.
    pub fn year(&mut self, name: &str, newest: i64, rows: u64, bad: &[(i64, &str)]) -> PathBuf {
        let folder = self.target(name, &[]);
        let mut history = String::new();
        for day in (0..365).rev() {
            let at = Timestamp::now() - SignedDuration::from_hours(day * 24 + newest);
            let kind = bad.iter().find(|(ago, _)| *ago == day).map_or("done", |(_, kind)| *kind);
            // It grows through the year; 40 days ago it took long, and 100 days ago half of it was gone for a day.
            let grown = rows + rows * (365 - day as u64) / 300;
            let (count, seconds) = (
                if kind == "shrunk" { grown / 5 } else { grown + (day as u64 * 7919) % 97 * rows / 4000 },
                if kind == "slow" { 190 } else { 20 + (day as u64 * 31) % 7 },
            );
            let id = names::backup_id(at);
            let (begun, ended) = (at, at + SignedDuration::from_secs(seconds as i64));
            match kind {
                "missed" => continue,
                "failed" => {
                    let _ = writeln!(
                        history,
                        r#"{{"started":"{begun}","finished":"{ended}","outcome":"failed","trigger":"schedule","step":"dump","error":"unreachable","message":"cannot connect to the server at db:5432: connection refused","steps":[["lock",0],["preflight",40],["dump",{}]]}}"#,
                        seconds * 10
                    );
                    continue;
                }
                _ => {
                    let proof = if kind == "unproven" { "sealed" } else { "proven" };
                    let outcome = if kind == "unproven" { "warned" } else { "done" };
                    let warnings = if kind == "unproven" {
                        r#","warnings":["the backup could not be judged on this machine: '/scratch' has 31.5 MB free, and the restored database would need about 106 MB"]"#
                    } else {
                        ""
                    };
                    let _ = writeln!(
                        history,
                        r#"{{"started":"{begun}","finished":"{ended}","outcome":"{outcome}","trigger":"schedule","backup":"{id}"{warnings},"rows":{count},"tables":42,"bytes":{},"steps":[["lock",0],["preflight",40],["dump",{}],["seal",90],["publish",10],["prove",{}],["prune",20],["report",0]],"proof":"{proof}"}}"#,
                        count * 61,
                        seconds * 400,
                        seconds * 600
                    );
                }
            }
            let week = day % 7 == 0 && day < 35;
            if day < 14 || week || day % 30 == 0 {
                let proof = if kind == "unproven" { "proof=read" } else { "proof=proven" };
                let mut options = vec![proof];
                options.extend((day == 60).then_some("pinned"));
                fixture::make(&folder.join(&id), &options).unwrap();
                inflate(&folder.join(&id), count, seconds);
            }
        }
        std::fs::write(folder.join(names::HISTORY), history).unwrap();
        folder
    }
}

/// Lets a backup's manifest and proof speak of this many rows. Its script is as long as that would be, and mostly a hole: nobody looks into it here.
fn inflate(backup: &Path, rows: u64, seconds: u64) {
    let change = |name: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let Ok(text) = std::fs::read(backup.join(name)) else { return };
        let mut value = serde_json::from_slice(&text).unwrap();
        change(&mut value);
        std::fs::write(backup.join(name), value.to_string()).unwrap();
    };
    change(names::MANIFEST, &|manifest| {
        manifest["tables"][0]["rows"] = (rows - 2).into();
        let script = manifest["script"]["file"].clone();
        let file = manifest["files"].as_array_mut().unwrap().iter_mut().find(|file| file["name"] == script).unwrap();
        let more = rows * 61 - file["bytes"].as_u64().unwrap();
        file["bytes"] = (rows * 61).into();
        let script = std::fs::OpenOptions::new().write(true).open(backup.join(script.as_str().unwrap())).unwrap();
        script.set_len(rows * 61).unwrap();
        let last = manifest["script"]["sections"].as_array_mut().unwrap().last_mut().unwrap();
        last["bytes"] = (last["bytes"].as_u64().unwrap() + more).into();
    });
    change(names::PROOF, &|proof| {
        if proof["drill"].is_object() {
            (proof["drill"]["rows"], proof["drill"]["tables"], proof["drill"]["restore_ms"]) = (rows.into(), 42.into(), (seconds * 310).into());
        }
    });
}

/// Many targets, one of them failing, one overdue, one new, one with a bad backup.
pub fn many() -> Sample {
    let mut sample = Sample::new();
    sample.year("shop-production", 5, 240_000, &[(3, "unproven"), (9, "failed"), (17, "missed"), (40, "slow"), (100, "shrunk")]);
    sample.year("crm", 7, 18_000, &[(12, "failed"), (13, "failed")]);
    sample.year("warehouse", 2, 4_100_000, &[(5, "slow")]);
    sample.year("billing", 4, 77_000, &[(0, "failed"), (1, "failed"), (2, "failed"), (3, "failed"), (4, "failed")]);
    let wiki = sample.year("wiki", 6, 3_000, &[]);
    let bad = std::fs::read_dir(&wiki).unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let newest = bad.filter(|name| names::parse_backup_id(name).is_some()).max().unwrap();
    std::fs::remove_dir_all(wiki.join(&newest)).unwrap();
    fixture::make(&wiki.join(&newest), &["proof=drill-bad"]).unwrap();
    for name in ["analytics", "forum", "hr", "mail", "tickets"] {
        sample.year(name, 3, 9_000, &[]);
    }
    sample.unborn("new-project");
    sample
}
