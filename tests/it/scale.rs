//! Listings and runs beside many backups of a wide database: their time and memory must not depend on how much the backups hold.
//!
//! A small slice of it is tried each time. `KLUIS_SCALE=400x10000x1 KLUIS_SCALE_PROGRAM=target/release/kluis cargo test --test it scale -- --nocapture` tries
//! 400 backups of 10,000 tables with 20 columns, and 1 of format 1 among them, with that program, holds it to the limits in time as well, and prints a table.

use crate::cli::fixture;
use crate::http::client::get;
use crate::support::cluster::Cluster;
use crate::support::kluis::{Kluis, kluis, kluis_by};
use crate::support::repo::{Repo, manifest};
use crate::support::{unique, wait_until};
use jiff::{SignedDuration, Timestamp};
use kluis::manifest::{FIRST_FORMAT, FORMAT, File, Manifest, Summary, Table};
use kluis::repository::names;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// How many columns a table has.
const COLUMNS: usize = 20;

/// How much is tried, and by which program.
struct Scale {
    backups: usize,
    tables: usize,
    of_first: usize,
    program: Option<PathBuf>,
}

impl Scale {
    fn kluis(&self, words: &[&str], repo: &Repo) -> Kluis {
        // The policy deletes none of them.
        let kluis = self.program.as_deref().map_or_else(|| kluis(words), |program| kluis_by(program, words));
        kluis.keeping(repo).env("BACKUP_RETENTION_DAYS", "36500").env("BACKUP_DRILL", "off").lasting(Duration::from_secs(900))
    }
}

/// A manifest of so many tables.
fn wide(of: &Manifest, tables: usize) -> Manifest {
    let table = |number: usize| Table {
        schema: "public".to_owned(),
        name: format!("a_table_of_an_application_{number:06}"),
        columns: (0..COLUMNS).map(|column| format!("column_number_{column:02}")).collect(),
        rows: 17,
        bytes: 1234,
        digest: format!("{number:032x}"),
        objects: (0..5).map(|object| (1259, 100_000 + (number * 5 + object) as u32)).collect(),
        ..of.tables[0].clone()
    };
    Manifest { tables: (0..tables).map(table).collect(), ..of.clone() }
}

/// Backups, an hour apart, the newest an hour old; the oldest ones of format 1. What they hold is on the disk once: nobody here looks into it. Manifests of format
/// 1 are files of their own.
fn fill(repo: &Repo, scale: &Scale) {
    let template = repo.root.join("template/20250125T030000Z");
    fixture::make(&template, &["proof=proven"]).unwrap();
    let proof = std::fs::read(template.join(names::PROOF)).unwrap();
    let mut whole = wide(&Manifest { target: repo.target.clone(), ..manifest(&template) }, scale.tables);
    let contents = repo.root.join("contents");
    let mut text = Vec::new();
    whole.write_contents(&mut text).unwrap();
    std::fs::write(&contents, &text).unwrap();
    let (_, sha256) = kluis::repository::files::hash_file(&contents, |_| Ok(())).unwrap();
    let (now, mut history) = (Timestamp::now(), String::new());
    for place in 0..scale.backups {
        let at = Timestamp::from_second((now - SignedDuration::from_hours((scale.backups - place) as i64)).as_second()).unwrap();
        let id = names::backup_id(at);
        let folder = repo.folder().join(&id);
        std::fs::create_dir_all(&folder).unwrap();
        (whole.id, whole.started, whole.snapshot, whole.finished) = (id.clone(), at, at, at);
        for file in &whole.files {
            let from = template.join(&file.name);
            if from.exists() {
                std::fs::hard_link(from, folder.join(&file.name)).unwrap();
            }
        }
        if place < scale.of_first {
            whole.format = FIRST_FORMAT;
            std::fs::write(folder.join(names::MANIFEST), whole.render()).unwrap();
        } else {
            let mut summary = Summary { format: FORMAT, ..Summary::of(&whole) };
            summary.files.push(File { name: names::CONTENTS.to_owned(), bytes: text.len() as u64, sha256: sha256.clone() });
            std::fs::write(folder.join(names::MANIFEST), summary.render()).unwrap();
            std::fs::hard_link(&contents, folder.join(names::CONTENTS)).unwrap();
        }
        std::fs::write(folder.join(names::PROOF), &proof).unwrap();
        history.push_str(&format!(
            "{{\"started\":\"{at}\",\"finished\":\"{at}\",\"outcome\":\"done\",\"trigger\":\"schedule\",\"backup\":\"{id}\",\"rows\":{},\"tables\":{},\"bytes\":1,\"steps\":[[\"dump\",100]],\"proof\":\"proven\"}}\n",
            scale.tables * 17,
            scale.tables
        ));
    }
    std::fs::write(repo.folder().join(names::HISTORY), history).unwrap();
    std::fs::remove_dir_all(repo.root.join("template")).unwrap();
}

/// The memory of a process that is in use now, in bytes.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let number = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(|text| text.trim().split(' ').next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

/// One after the other, with their limits: in bytes of memory, and in milliseconds where a program was given. `format 1` allows twice as much.
#[allow(clippy::print_stdout)]
fn measure(cluster: &Cluster, scale: &Scale) -> Vec<(&'static str, u64)> {
    let (database, repo) = (cluster.database(&unique("small")), Repo::new());
    database.sql("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 6300) i");
    fill(&repo, scale);
    println!("{} backups x {} tables x {COLUMNS} columns, {} of them of format 1", scale.backups, scale.tables, scale.of_first);
    let twice = if scale.of_first > 1 { 2 } else { 1 };
    let mut found = Vec::new();
    let mut told = |what: &'static str, ms: u128, memory: u64, limits: (u64, u64)| {
        println!("  {what:<16} {ms:>7} ms {:>7.1} MiB", memory as f64 / MIB as f64);
        assert!(memory <= limits.1 * MIB * twice, "{what}: {memory} bytes");
        assert!(scale.program.is_none() || ms <= u128::from(limits.0 * twice), "{what}: {ms} ms");
        found.push((what, memory));
    };
    let unlimited = u64::MAX / (4 * MIB);
    let mut listings = |words: &[(&'static str, &[&str], (u64, u64))]| {
        for (what, words, limits) in words {
            // After the first time all is in the page cache. Memory is looked at every few milliseconds, which may be before all of it is used.
            let ended = [(); 5].map(|()| scale.kluis(words, &repo).of(&database).run());
            ended.iter().for_each(|ended| assert!(matches!(ended.code, Some(0 | 3)), "{ended:#?}"));
            let (took, memory) = (ended.iter().map(|ended| ended.took).min(), ended.iter().map(|ended| ended.memory).max());
            told(what, took.unwrap_or_default().as_millis(), memory.unwrap_or_default(), *limits);
        }
    };
    // Before the first run nobody has noted what large manifests of format 1 say.
    let first = if scale.of_first > 1 { unlimited / 4 } else { 300 };
    listings(&[("first status", &["status"], (first, 32))]);
    // What is there is of another database.
    scale.kluis(&["adopt"], &repo).of(&database).run().done();
    let run = scale.kluis(&["backup"], &repo).of(&database).run();
    assert!(matches!(run.code, Some(0 | 3)), "{run:#?}");
    // PostgreSQL's programs are processes of their own.
    let (run_took, run_memory) = (run.took.as_millis(), run.memory);
    listings(&[("status", &["status"], (300, 32)), ("list", &["list"], (1000, 32)), ("prune --dry-run", &["prune", "--dry-run"], (1000, 32))]);
    told("backup", run_took, run_memory, (unlimited / 4, 64));

    // A sidecar that makes backups and is looked at.
    let sidecar = scale.kluis(&["serve"], &repo).of(&database).env("BACKUP_SCHEDULE", "* * * * *").env("BACKUP_HTTP", "127.0.0.1:0").start();
    let there = repo.backups().len();
    wait_until("the sidecar is up", || log(&repo).contains("the status page is at"));
    let told_at = log(&repo);
    let address = told_at.split("the status page is at ").last().and_then(|rest| rest.split("127.0.0.1:").nth(1)).unwrap_or_default();
    let port: String = address.chars().take_while(char::is_ascii_digit).collect();
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().expect("the log tells the port")));
    for path in ["/", "/metrics", "/fresh", "/api/status", "/"].repeat(8) {
        get(address, path, &[]);
    }
    wait_until("the sidecar made a backup", || repo.backups().len() > there);
    wait_until("the run is over", || repo.history().len() >= scale.backups + 2);
    (0..8).for_each(|_| drop(get(address, "/", &[])));
    let memory = resident(sidecar.pid());
    sidecar.signal(Signal::TERM);
    sidecar.wait();
    told("serve", 0, memory, (1, 48));
    std::fs::remove_dir_all(&repo.root).unwrap();
    found
}

fn log(repo: &Repo) -> String {
    std::fs::read_to_string(repo.root.join("log/kluis.log")).unwrap_or_default()
}

fn scale(text: &str) -> Scale {
    let numbers: Vec<usize> = text.split('x').map(|number| number.parse().expect("BACKUPSxTABLESxOF_FORMAT_1")).collect();
    let program = std::env::var_os("KLUIS_SCALE_PROGRAM").map(|program| Path::new(env!("CARGO_MANIFEST_DIR")).join(program));
    Scale { backups: numbers[0], tables: numbers[1], of_first: numbers[2], program }
}

#[test]
fn what_backups_hold_costs_a_listing_nothing() {
    let Some(cluster) = Cluster::of(17) else { return };
    if let Ok(size) = std::env::var("KLUIS_SCALE") {
        measure(&cluster, &scale(&size));
        return;
    }
    // Wide backups of both formats, beside as many narrow ones.
    let (narrow, wide) = (measure(&cluster, &scale("12x20x6")), measure(&cluster, &scale("12x2000x6")));
    for ((what, few), (_, many)) in narrow.into_iter().zip(wide) {
        // A short run may be over before it was seen with all that a narrow repository takes.
        assert!(many < few.max(16 * MIB) + 4 * MIB, "{what}: {few} and {many} bytes");
    }
}
