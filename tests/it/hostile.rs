//! Hostile surroundings: links planted where our files go, file systems that cannot do what we need, and a database whose every name is an attack.

mod names;

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Kluis, kluis};
use crate::support::repo::{Fingerprint, Repo};
use crate::support::{folder, is_root, new_folder, skip};
use std::os::unix::fs::{MetadataExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A repository with a backup, and something precious elsewhere that links will lead to.
struct Place {
    database: Database,
    repo: Repo,
    far: PathBuf,
}

/// What lies at the end of a planted link. Nobody may change it, and nobody may tell it.
const PRECIOUS: &str = "precious kxFarAway0815\n";

impl Place {
    fn new(cluster: &Cluster) -> Place {
        let (database, repo, far) = (cluster.database("hostile"), Repo::new(), new_folder("far"));
        database.sql("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 100) i");
        kluis(&["backup"]).of(&database).keeping(&repo).run().done();
        std::fs::write(far.join("precious"), PRECIOUS).unwrap();
        Place { database, repo, far }
    }

    fn kluis(&self, words: &[&str]) -> Kluis {
        kluis(words).of(&self.database).keeping(&self.repo)
    }

    fn precious(&self) -> PathBuf {
        self.far.join("precious")
    }

    /// Every command, whatever becomes of it. Nothing is told of what lies elsewhere, and nothing there is changed. Returns the exit codes.
    #[track_caller]
    fn everything(&self, what: &str) -> Vec<i32> {
        let before = everything_in(&self.far);
        let commands = [
            "backup",
            "list --json",
            "show latest --json",
            "verify --all",
            "pin latest --reason x",
            "unpin latest",
            "prune",
            "status",
            "doctor --json",
            "backup",
        ];
        let mut codes = Vec::new();
        for command in commands {
            let words: Vec<&str> = command.split(' ').collect();
            let ended =
                self.kluis(&words).env("BACKUP_RETENTION_DAYS", "0").env("BACKUP_KEEP_MIN", "1").env("BACKUP_LOG", self.repo.root.join("log/kluis.log")).run();
            assert!(ended.code.is_some() && !ended.stderr.contains("panicked"), "{what}: {ended:#?}");
            assert!(!ended.stdout.contains("kxFarAway") && !ended.stderr.contains("kxFarAway"), "{what}: {ended:#?}");
            assert_eq!(everything_in(&self.far), before, "{what}: kluis {command} changed what lies elsewhere: {ended:#?}");
            codes.push(ended.code.unwrap());
        }
        codes
    }
}

/// Names, content, rights and owners. The time of a change as well: nothing there may even be opened for writing.
fn everything_in(path: &Path) -> Fingerprint {
    let mut found = Fingerprint::new();
    for entry in std::fs::read_dir(path).unwrap().flatten() {
        let (metadata, text) = (entry.metadata().unwrap(), std::fs::read_to_string(entry.path()).unwrap_or_default());
        found.insert(entry.path(), format!("{text} {:o} {} {} {}", metadata.mode(), metadata.uid(), metadata.mtime(), metadata.mtime_nsec()));
    }
    found
}

/// What is planted.
#[derive(Debug, Clone, Copy)]
enum Trap {
    Link,
    LinkToFolder,
    HardLink,
    Fifo,
    Folder,
}

fn plant(place: &Place, trap: Trap, at: &Path) {
    let _ = std::fs::remove_file(at);
    match trap {
        Trap::Link => symlink(place.precious(), at).unwrap(),
        Trap::LinkToFolder => symlink(&place.far, at).unwrap(),
        Trap::HardLink => std::fs::hard_link(place.precious(), at).unwrap(),
        Trap::Fifo => assert!(Command::new("mkfifo").arg(at).status().unwrap().success()),
        Trap::Folder => std::fs::create_dir(at).unwrap(),
    }
}

#[test]
fn what_is_planted_in_the_place_of_our_files_leads_nowhere() {
    let Some(cluster) = Cluster::of(16) else { return };
    let traps = [Trap::Link, Trap::LinkToFolder, Trap::HardLink, Trap::Fifo, Trap::Folder];
    let in_target = ["history.jsonl", "latest", ".latest.new"];
    let in_backup = [
        "manifest.json",
        "contents.json",
        "SHA256SUMS",
        "units.jsonl",
        "proof.json",
        ".proof.json.new",
        "RESTORE.md",
        ".RESTORE.md.new",
        "pinned.json",
        ".pinned.json.new",
        "schema.dump",
    ];
    let mut tried = 0;
    for trap in traps {
        // As many traps at once as leave the run something to do: those of the target, then each file of a backup in a backup of its own.
        for name in in_target {
            let place = Place::new(&cluster);
            plant(&place, trap, &place.repo.folder().join(name));
            let codes = place.everything(&format!("{trap:?} as {name}"));
            // A backup is made all the same, with a warning where its place was taken.
            assert!([0, 3].contains(&codes[0]), "{trap:?} as {name}: {codes:?}");
            tried += 1;
        }
        let place = Place::new(&cluster);
        for name in in_backup {
            kluis(&["backup"]).of(&place.database).keeping(&place.repo).run();
            plant(&place, trap, &place.repo.newest().join(name));
            tried += 1;
        }
        let codes = place.everything(&format!("{trap:?} in backups"));
        assert!([0, 3].contains(&codes[0]), "{trap:?} in backups: {codes:?}");
    }
    assert_eq!(tried, traps.len() * (in_target.len() + in_backup.len()));
}

/// A hard link is a name for somebody else's file: what we add goes into a file of our own.
#[test]
fn a_history_with_another_name_is_copied_before_a_line_is_added() {
    let Some(cluster) = Cluster::of(16) else { return };
    let place = Place::new(&cluster);
    let (history, other) = (place.repo.folder().join("history.jsonl"), place.far.join("history"));
    std::fs::hard_link(&history, &other).unwrap();
    let before = std::fs::read_to_string(&other).unwrap();
    place.kluis(&["backup"]).run().done();
    assert_eq!(std::fs::read_to_string(&other).unwrap(), before);
    let after = std::fs::read_to_string(&history).unwrap();
    assert!(after.starts_with(&before) && after.lines().count() == before.lines().count() + 1, "{after}");
    assert_eq!((std::fs::metadata(&history).unwrap().nlink(), std::fs::metadata(&history).unwrap().mode() & 0o777), (1, 0o600));
}

#[test]
fn a_target_or_a_repository_that_is_a_link_is_refused_and_nothing_is_written_through_it() {
    let Some(cluster) = Cluster::of(16) else { return };
    let place = Place::new(&cluster);
    let (target, far) = (place.repo.folder(), place.far.join("target"));
    std::fs::rename(&target, &far).unwrap();
    symlink(&far, &target).unwrap();
    let before = everything_in(&far);
    place.kluis(&["backup"]).run().failed(14, &["is a symbolic link"]);
    place.kluis(&["prune"]).run().failed(14, &["is a symbolic link"]);
    place.kluis(&["drill", "latest"]).run().failed(14, &["is a symbolic link"]);
    assert_eq!(everything_in(&far), before);

    let root = new_folder("linked").join("repo");
    symlink(&place.far, &root).unwrap();
    let before = everything_in(&place.far);
    place.kluis(&["backup"]).env("BACKUP_DIR", &root).run().failed(14, &["is a symbolic link"]);
    assert_eq!(everything_in(&place.far), before);
}

#[test]
fn a_log_that_somebody_else_planted_is_not_written_to() {
    let Some(cluster) = Cluster::of(16) else { return };
    let place = Place::new(&cluster);
    let log = place.repo.root.join("log");
    let backup = |file: &Path| place.kluis(&["backup"]).env("BACKUP_LOG", file).run();
    // The run itself is not held up: its log is told on stderr that it cannot be written.
    for trap in [Trap::Link, Trap::HardLink, Trap::Fifo] {
        std::fs::create_dir(&log).unwrap();
        plant(&place, trap, &log.join("kluis.log"));
        let before = everything_in(&place.far);
        let ended = backup(&log.join("kluis.log"));
        assert_eq!(ended.code, Some(0), "{trap:?}: {ended:#?}");
        assert_eq!(everything_in(&place.far), before, "{trap:?}");
        let told = ended.stderr.contains("the log file cannot be written");
        assert!(told != matches!(trap, Trap::HardLink), "{trap:?}: {ended:#?}");
        std::fs::remove_dir_all(&log).unwrap();
    }
    if !is_root() {
        return skip("'a_log_that_somebody_else_planted_is_not_written_to': a link of another user's", "the tests as root");
    }
    symlink(&place.far, &log).unwrap();
    lchown(&log, Some(12345), Some(12345)).unwrap();
    let before = everything_in(&place.far);
    let ended = backup(&log.join("kluis.log"));
    assert!(ended.code == Some(0) && ended.stderr.contains("the log file cannot be written"), "{ended:#?}");
    assert_eq!(everything_in(&place.far), before);
    // One that the operator made is the operator's wish.
    lchown(&log, Some(0), Some(0)).unwrap();
    assert_eq!(backup(&log.join("kluis.log")).done().code, Some(0));
    assert!(place.far.join("kluis.log").exists());
}

/// A mount of the repository through FUSE. Unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(of: &Path, options: &[&str]) -> Option<Mount> {
        let point = new_folder("mount");
        let made = Command::new("bindfs").args(options).arg(of).arg(&point).output();
        match made {
            Ok(output) if output.status.success() => Some(Mount(point)),
            other => {
                let thread = std::thread::current();
                skip(&format!("'{}': no FUSE mount ({other:?})", thread.name().unwrap_or("a test")), "scripts/setup test, as root, with /dev/fuse");
                None
            }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_mount_that_does_not_rename_publishes_nothing() {
    let Some(cluster) = Cluster::of(16) else { return };
    let place = Place::new(&cluster);
    let Some(mount) = Mount::new(&place.repo.root, &["--rename-deny"]) else { return };
    let before = place.repo.backups_fingerprint();
    let there = |words: &[&str]| place.kluis(words).env("BACKUP_DIR", &mount.0).run();
    there(&["backup"]).failed(14, &["cannot publish"]);
    there(&["backup"]).failed(14, &["cannot publish"]);
    assert_eq!((place.repo.backups_fingerprint(), place.repo.leftovers()), (before, Vec::new()));
    there(&["verify", "--all"]).warned(&["could not be recorded", "rename"]);
    drop(mount);
    place.kluis(&["backup"]).run().done();
}

#[test]
fn a_mount_that_is_read_only_or_belongs_to_somebody_else() {
    let Some(cluster) = Cluster::of(16) else { return };
    let place = Place::new(&cluster);
    let before = place.repo.fingerprint();
    let Some(mount) = Mount::new(&place.repo.root, &["-r"]) else { return };
    place.kluis(&["backup"]).env("BACKUP_DIR", &mount.0).run().failed(14, &["ead-only file system", "mounted read-only"]);
    place.kluis(&["list"]).env("BACKUP_DIR", &mount.0).run().done();
    assert_eq!(place.repo.fingerprint(), before);
}

/// The kernel's answer is changed on its way: this file system has no flock.
#[test]
fn a_file_system_without_flock_is_refused() {
    let Some(cluster) = Cluster::of(16) else { return };
    if !is_root() || !Path::new("/usr/bin/strace").exists() {
        return skip("'a_file_system_without_flock_is_refused'", "scripts/setup test, and the tests as root");
    }
    let place = Place::new(&cluster);
    let before = place.repo.backups_fingerprint();
    for error in ["ENOLCK", "ENOSYS", "EOPNOTSUPP", "EINVAL"] {
        let trace = folder().join("flock-trace");
        let first = format!("exec strace -f -qq -e trace=flock -e inject=flock:error={error} -o '{}' \"$0\" \"$@\"", trace.display());
        let run = crate::support::kluis::kluis_after(&first, &["backup"]).of(&place.database).keeping(&place.repo).run();
        run.failed(14, &["cannot lock", "no working flock"]);
        assert!(std::fs::read_to_string(&trace).unwrap().contains("INJECTED"), "{error} was not injected");
        assert_eq!(place.repo.backups_fingerprint(), before);
    }
    place.kluis(&["backup"]).run().done();
}
