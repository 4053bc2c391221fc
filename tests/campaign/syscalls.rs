//! Every file-system call of a backup and of a prune fails once, in every way: a round is one call and one way. The run must fail loudly, in the
//! right class, and nothing may be published, deleted or changed; or, once the new name is there, it must be that of a whole backup. A failure
//! that makes no difference has to stand in `HARMLESS`, with its reason.

use crate::knob::Campaign;
use crate::support::cluster::Cluster;
use crate::support::kluis::{Ended, Kluis};
use crate::support::new_folder;
use crate::support::repo::{Fingerprint, Repo};
use crate::tracer::{Call, calls, traced, tracer, was_failed};
use crate::world::{World, changed, double, sealed, wrong};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How a call fails: its name, and what the tracer is told.
const FAULTS: [(&str, &str); 6] = [("EIO", "5"), ("ENOSPC", "28"), ("EDQUOT", "122"), ("EROFS", "30"), ("EINTR", "4"), ("short", "short")];

/// Calls whose failure may make no difference: the program (or `*`), the call, what the path contains, and why that is right. `stat` stands for
/// its relatives as well.
const HARMLESS: &[(&str, &str, &str, &str)] = &[
    ("*", "close", "", "nothing depends on it: what matters was synced before, and Linux frees the descriptor whatever close says (close(2))"),
    ("*", "lseek", "", "a program that cannot seek reads or writes on from where it is, or fails; a restore of the archive is compared by the drill"),
    ("kluis", "stat", "/schema.dump", "the size is looked at while pg_dump writes, only to see that something moves"),
    ("kluis", "stat", "@/app/#T#Z", "whether a name is free is asked again right before the rename, and there an error counts"),
    ("kluis", "stat", "@/app/.deleting-", "what is taken for missing here is found by the rename onto it, which fails"),
    ("kluis", "stat", "@", "the repository's folder is looked at again, for its owner and rights, and there an error counts"),
    ("kluis", "readlink", "@/app/latest", "a link that cannot be read is put in place anew, whatever it says"),
    ("kluis", "stat", "/.kluis-pass-", "a passfile that may have been swept is given up for the next name"),
    ("kluis", "flock", "/.kluis-pass-", "where a file system has no locks, no sweep can take one either, so none removes it"),
    ("kluis", "openat", "@/app/.staging-#T#Z", "the folder is read for passfiles of killed runs: a new one holds none"),
    ("kluis", "getdents", "@/app/.staging-#T#Z", "as above"),
    ("kluis", "*", "@/app/.progress.json", "it only tells others how far a run is; a run goes on without it"),
    ("kluis", "*", "@/app/.sidecar.json", "it only tells others what a sidecar is about to do"),
    ("kluis", "openat", "@/app/accepted.json", "an acceptance that cannot be read accepts nothing: what it would let go stays"),
    (
        "kluis",
        "openat",
        "@/app/adopted.json",
        "an adoption that cannot be read links nothing: what it would let go stays, and a run of the new database is refused",
    ),
    ("kluis", "*", "@/app/#T#Z/contents.json", "a run compares its tables with earlier backups; the next older one takes the place of one that it cannot read"),
    ("kluis", "*", "@/.repository.json", "a run asks for the id before anything else, and there an error counts; afterwards it only names what is remembered"),
    ("kluis", "readlink", "@", "where the way to the folder cannot be told, it is remembered by the name that it was given"),
    ("kluis", "*", "/repositories.json", "what nobody remembers refuses nothing"),
    ("pg_dump", "stat", "", "C's stdio asks for the best size of a buffer, and takes its own"),
    ("pg_dumpall", "stat", "", "as above"),
    ("pg_restore", "stat", "", "as above"),
    ("pg_dump", "openat", "/schema.dump", "pg_dump opens the file again only to sync it; Kluis syncs it itself"),
    ("pg_dump", "openat", "/.kluis-pass-", "libpq goes on without a password; a server that wants one refuses it"),
    ("pg_dumpall", "openat", "/.kluis-pass-", "as above"),
    ("pg_dump", "read", "/.kluis-pass-", "as above"),
    ("pg_dumpall", "read", "/.kluis-pass-", "as above"),
];

/// Calls that may say EINTR, by their manual pages. Once is no reason to give up.
const INTERRUPTIBLE: [&str; 9] = ["open", "openat", "read", "pread", "write", "pwrite", "writev", "fsync", "flock"];

struct Stage<'a> {
    campaign: &'a Campaign,
    tracer: &'static Path,
    world: World,
    log: PathBuf,
    /// The repository as each round finds it.
    pristine: PathBuf,
    prune: bool,
}

impl<'a> Stage<'a> {
    fn new(campaign: &'a Campaign, tracer: &'static Path, cluster: &Cluster, prune: bool) -> Stage<'a> {
        let world = World::new(cluster);
        for id in ["20200101T000000Z", "20200102T000000Z"] {
            double(&world.repo.newest(), id);
        }
        let pristine = new_folder("pristine").join("app");
        copy(&world.repo.folder(), &pristine);
        Stage { campaign, tracer, world, log: new_folder("log").join("calls"), pristine, prune }
    }

    fn command(&self) -> Kluis {
        // One worker, so that calls come in nearly the same order each time.
        let words: &[&str] = if self.prune { &["prune"] } else { &["backup", "--jobs", "1"] };
        let kluis = self.world.kluis(words);
        if self.prune { kluis.env("BACKUP_RETENTION_DAYS", "0").env("BACKUP_KEEP_MIN", "1") } else { kluis.env("BACKUP_RETENTION_DAYS", "36500") }
    }

    fn run(&self, more: &[&str]) -> Ended {
        let repo = &self.world.repo;
        std::fs::remove_dir_all(repo.folder()).unwrap();
        copy(&self.pristine, &repo.folder());
        traced(self.command(), self.tracer, &repo.root, &self.log, more).run()
    }

    /// Every call on the success path. Reading what is outside of the repository is left to `outside`.
    fn all(&self) -> Vec<Call> {
        self.run(&[]).done();
        calls(&self.log)
    }

    /// One round. Returns what is wrong.
    fn round(&self, call: &Call, fault: (&str, &str)) -> Option<String> {
        let what = format!("{} no. {} fails with {}", call.line, call.number, fault.0);
        let spec = format!("{}|{}|{}", call.line, call.number, fault.1);
        let mut ended = self.run(&["-i", &spec]);
        for _ in 0..3 {
            if was_failed(&self.log) {
                break;
            }
            ended = self.run(&["-i", &spec]);
        }
        if !was_failed(&self.log) {
            self.campaign.count("not reached");
            return None;
        }
        self.campaign.count(&format!("failed in {}", if self.prune { "prune" } else { "backup" }));
        let problems = self.judge(call, fault.0, &ended);
        (!problems.is_empty()).then(|| format!("{what}: {problems:#?}\n   exit {:?}, {}", ended.code, ended.stderr.replace('\n', "\n   | ")))
    }

    fn judge(&self, call: &Call, fault: &str, ended: &Ended) -> Vec<String> {
        let repo = &self.world.repo;
        let mut problems = wrong(repo);
        let before = under(&self.pristine, &repo.folder());
        let after = sealed(repo);
        let (ids, new): (Vec<PathBuf>, Vec<PathBuf>) = repo.backups().into_iter().partition(|path| before.contains_key(path));
        // A prune deletes whole backups, of those that it may.
        let kept: Fingerprint = before
            .iter()
            .filter(|(path, _)| !self.prune || ids.iter().any(|id| path.starts_with(id)))
            .map(|(path, content)| (path.clone(), content.clone()))
            .collect();
        problems.extend(changed(&kept, &after));
        let newest = before.keys().filter(|path| path.parent() == Some(&repo.folder())).max().expect("there was a backup");
        if !ids.contains(newest) {
            problems.push("the newest backup is gone".to_owned());
        }
        let code = ended.code.unwrap_or(-1);
        // The standard library panics when the kernel cannot close a folder, which it never says.
        let closing = call.name() == "close" && ended.stderr.contains("unexpected error during closedir");
        // 127: the dynamic loader could not read a library.
        let in_order = (0..=125).contains(&code) && !ended.stderr.contains("panicked") || closing || (!call.inside() && code == 127);
        if !in_order {
            problems.push("it did not end in good order".to_owned());
        }
        let done = if self.prune { ids.len() == 1 } else { !new.is_empty() };
        match code {
            0 if !done => problems.push("it says that it is done, and it is not".to_owned()),
            0 if !harmless(call, fault) && (self.prune || !is_look_at_another(call)) => {
                self.campaign.count("made no difference");
                problems.push("it makes no difference, and is not in HARMLESS".to_owned());
            }
            0 => self.campaign.count("survived"),
            // What cannot be read suspends all deletion, and is named.
            3 if self.prune && ended.stderr.contains("nothing is deleted: backup '") && ended.stderr.contains("' cannot be read") => {
                self.campaign.count("suspended")
            }
            3 if !done => problems.push("it only warns, and has not done its work".to_owned()),
            3 => self.campaign.count("warned of"),
            101 if closing => self.campaign.count("ended by the standard library, which cannot close a folder"),
            code if call.inside() && call.program() == "kluis" && code != 14 => problems.push("the class of the error is not that of the storage".to_owned()),
            // opendir(3) is not tried again by the standard library; only a slow device interrupts it (open(2)).
            _ if fault == "EINTR" && call.path() == "@/app" => self.campaign.count("ended it"),
            _ if fault == "EINTR" && call.program() == "kluis" && INTERRUPTIBLE.contains(&call.name()) => problems.push("one EINTR ended it".to_owned()),
            _ if done && !self.prune => self.campaign.count("failed after the new backup had its name"),
            _ => self.campaign.count("ended it"),
        }
        problems
    }
}

fn harmless(call: &Call, fault: &str) -> bool {
    // Half of what was asked for, or once interrupted: to be survived.
    let again = fault == "short" || fault == "EINTR";
    // The machine's own files: locales, name services, random numbers. Programs do without, or fail.
    let foreign = !call.inside();
    again
        || foreign
        || HARMLESS.iter().any(|(program, name, path, _)| {
            (*program == "*" || *program == call.program()) && (*name == "*" || *name == call.name()) && call.path().contains(path)
        })
}

/// Whether a run looks at what another backup says of itself. Where that fails the backup is not relied upon, and prune deletes nothing: its own rounds show it.
fn is_look_at_another(call: &Call) -> bool {
    let path = call.path();
    let papers = ["/manifest.json", "/proof.json", "/pinned.json"].iter().any(|name| path.ends_with(name));
    call.program() == "kluis" && path.starts_with("@/app/#T#Z/") && (papers || call.name().contains("stat"))
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp starts");
    assert!(copied.success());
}

/// What is sealed in a copy of a target's folder, as if it lay there.
fn under(copy: &Path, there: &Path) -> Fingerprint {
    let repo = Repo { root: copy.parent().unwrap().to_owned(), target: "app".to_owned() };
    sealed(&repo).into_iter().map(|(path, content)| (there.join(path.strip_prefix(copy).unwrap()), content)).collect()
}

/// What is tried: everything on the repository in every way, and the first of everything else with EIO.
fn rounds(all: &[Call]) -> Vec<(Call, (&'static str, &'static str))> {
    let mut rounds = Vec::new();
    for call in all {
        let writes = ["write", "pwrite", "writev"].contains(&call.name());
        for fault in FAULTS {
            let once = fault.0 == "EIO" && call.number == 1 && call.name() != "close";
            let fits = if fault.0 == "short" { writes } else { call.inside() || once };
            if fits {
                rounds.push((call.clone(), fault));
            }
        }
    }
    rounds
}

fn every_call(prune: bool) {
    let (Some(tracer), Some(cluster)) = (tracer(), Cluster::of(16)) else { return };
    let campaign = Campaign::new(if prune { "syscalls of prune" } else { "syscalls of backup" }, 12);
    let first = Stage::new(&campaign, tracer, &cluster, prune);
    let rounds = rounds(&first.all());
    campaign.add("rounds are possible", rounds.len() as u64);
    let chosen = campaign.spread(rounds.len(), campaign.size);
    let (next, problems) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for lane in 0..3 {
            let (next, chosen, rounds, problems, campaign, cluster, first) = (&next, &chosen, &rounds, &problems, &campaign, &cluster, &first);
            scope.spawn(move || {
                let own = (lane > 0).then(|| Stage::new(campaign, tracer, cluster, prune));
                let stage = own.as_ref().unwrap_or(first);
                while let Some(round) = chosen.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| !campaign.time_is_up()) {
                    let (call, fault) = &rounds[*round];
                    let found = stage.round(call, *fault);
                    problems.lock().unwrap().extend(found);
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.iter().take(40).cloned().collect::<Vec<_>>().join("\n"));
}

#[test]
fn prune() {
    every_call(true);
}

#[test]
fn backup() {
    every_call(false);
}
