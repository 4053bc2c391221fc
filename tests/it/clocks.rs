//! Clocks that were wrong: years ahead for one run, set back, and another one at the server. What is decided is tested in `src/clock.rs`; here is that everybody asks it.

use crate::cli::fixture;
use crate::support::cluster::Cluster;
use crate::support::kluis::{Ended, Kluis, kluis};
use crate::support::repo::Repo;
use crate::support::{folder, new_folder, wait_until};
use jiff::{SignedDuration, Timestamp};
use kluis::repository::names;
use rustix::process::Signal;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Days, in hours.
const DAY: i64 = 24;
const YEAR: i64 = 365 * DAY;

fn ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

fn id(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Backups so many hours old, less than 0: ahead, proven and of so many rows; and a history that tells of their runs in this order.
fn made(backups: &[(i64, u64)]) -> (Repo, Vec<PathBuf>) {
    let repo = Repo::new();
    std::fs::create_dir(repo.folder()).unwrap();
    let mut history = String::new();
    let make = |(hours, rows): &(i64, u64)| {
        let (at, path) = (ago(*hours), repo.folder().join(names::backup_id(ago(*hours))));
        fixture::make(&path, &["proof=proven", &format!("rows={rows}")]).unwrap();
        let _ = writeln!(history, r#"{{"started":"{at}","finished":"{at}","outcome":"done","backup":"{}","steps":[["dump",1000]]}}"#, id(&path));
        path
    };
    let paths = backups.iter().map(make).collect();
    std::fs::write(repo.folder().join(names::HISTORY), history).unwrap();
    (repo, paths)
}

fn ask(repo: &Repo, words: &[&str]) -> Kluis {
    kluis(words).keeping(repo).env("BACKUP_DRILL", "every-backup").env("BACKUP_KEEP_MIN", "1").env("BACKUP_ALLOW_EMPTY", "no")
}

fn latest(repo: &Repo) -> String {
    let shown = ask(repo, &["show", "latest", "--json"]).run();
    let json: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap_or_else(|error| panic!("{error}: {shown:#?}"));
    json["id"].as_str().unwrap_or_default().to_owned()
}

/// Whether a sidecar that is started now begins a run of its own accord.
fn catches_up(repo: &Repo) -> bool {
    let log = repo.root.join("log/kluis.log");
    let _ = std::fs::remove_file(&log);
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    let sidecar = ask(repo, &["serve"])
        .env("DB_HOST", new_folder("sockets"))
        .env("DB_DATABASE", "shop")
        .env("DB_USERNAME", "kluis")
        .env("BACKUP_SCHEDULE", "0 0 1 1 *")
        .start();
    wait_until("the sidecar is there", || said().contains("scheduled every year") || said().contains("; scheduled "));
    std::thread::sleep(std::time::Duration::from_millis(500));
    sidecar.signal(Signal::TERM);
    sidecar.wait();
    said().contains("run began")
}

#[test]
fn one_backup_of_the_future_is_none_of_today() {
    let (repo, paths) = made(&[(30 * DAY, 6000), (25, 6000), (-2 * YEAR, 5000), (1, 6000)]);
    let (old, future, newest) = (&paths[0], &paths[2], &paths[3]);
    assert_eq!(latest(&repo), id(newest));
    let list = ask(&repo, &["list"]).run();
    let row = list.stdout.lines().find(|line| line.contains(&id(future))).unwrap_or_else(|| panic!("{list:#?}"));
    assert!(row.contains("dated in the future: a clock was wrong"), "{list:#?}");
    let status = ask(&repo, &["status"]).run();
    assert!(status.code == Some(0) && status.stdout.contains("made 1 h ago") && status.stdout.contains("look at this machine's clock"), "{status:#?}");
    // Since then a run agreed with the clock: the policy goes on, and lets alone what it cannot date.
    let pruned = ask(&repo, &["prune"]).run().done();
    assert!(!old.exists() && future.exists() && newest.exists(), "{pruned:#?}");
    assert!(!catches_up(&repo), "a run was made an hour ago");
}

#[test]
fn where_only_the_future_has_a_backup_the_clock_is_named() {
    let (repo, paths) = made(&[(-2 * YEAR, 5000)]);
    let shown = ask(&repo, &["show", "latest"]).run();
    assert!(shown.stderr.contains("dated in the future") && shown.stderr.contains(&format!("kluis restore {}", id(&paths[0]))), "{shown:#?}");
    assert!(ask(&repo, &["show", &id(&paths[0])]).run().code == Some(0), "by its name it can be had");
    assert_eq!(ask(&repo, &["status"]).run().code, Some(4));
    assert!(catches_up(&repo));
}

#[test]
fn a_clock_that_no_schedule_explains_deletes_nothing_until_a_second_run_agrees() {
    // What is two years old now was new by the clock of the runs.
    let (repo, paths) = made(&[(2 * YEAR + 9 * DAY, 60), (2 * YEAR + DAY, 60), (2 * YEAR, 60)]);
    let kept = |ended: &Ended| ended.code == Some(3) && paths.iter().all(|path| path.exists());
    for words in [&["prune", "--dry-run"][..], &["prune"]] {
        let ended = ask(&repo, words).run();
        assert!(kept(&ended) && ended.stderr.contains("longer after the last run, of ") && ended.stderr.contains("than its schedule explains"), "{ended:#?}");
    }
    let shown = ask(&repo, &["show", &id(&paths[0])]).run();
    assert!(shown.stdout.contains("would be deleted, but the clock says"), "{shown:#?}");
    // A run that the clock explains.
    let at = ago(1);
    let newest = repo.folder().join(names::backup_id(at));
    fixture::make(&newest, &["proof=proven", "rows=60"]).unwrap();
    let line = format!("{{\"started\":\"{at}\",\"finished\":\"{at}\",\"outcome\":\"done\",\"backup\":\"{}\"}}\n", id(&newest));
    let history = repo.folder().join(names::HISTORY);
    std::fs::write(&history, std::fs::read_to_string(&history).unwrap() + &line).unwrap();
    let ended = ask(&repo, &["prune"]).run().done();
    assert!(newest.exists() && paths.iter().all(|path| !path.exists()), "{ended:#?}");
    // Nobody is kept from being rarer than the default schedule: then their own rhythm explains.
    let (repo, paths) = made(&[(42 * DAY, 60), (28 * DAY, 60), (14 * DAY, 60)]);
    ask(&repo, &["prune"]).run().done();
    assert_eq!(paths.iter().map(|path| path.exists()).collect::<Vec<_>>(), [false, false, true]);
}

/// A library that makes the clock of a process so many seconds later as `TEST_AHEAD` says.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        const SOURCE: &str = "#define _GNU_SOURCE\n#include <stdlib.h>\n#include <sys/syscall.h>\n#include <time.h>\n#include <unistd.h>\n\
            int clock_gettime(clockid_t id, struct timespec *at) {\n\
                int failed = (int) syscall(SYS_clock_gettime, id, at);\n\
                const char *ahead = getenv(\"TEST_AHEAD\");\n\
                if (!failed && id == CLOCK_REALTIME && ahead) at->tv_sec += atol(ahead);\n\
                return failed;\n\
            }\n";
        let (source, built) = (folder().join("ahead.c"), folder().join("ahead.so"));
        std::fs::write(&source, SOURCE).unwrap();
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&built).arg(&source).output().expect("cc starts");
        assert!(compiled.status.success(), "{compiled:?}");
        built
    })
}

#[test]
fn a_run_two_years_ahead_costs_no_backup_and_is_no_latest_one() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo) = (cluster.database("shop"), Repo::new());
    database.sql("CREATE TABLE t AS SELECT i FROM generate_series(1, 2000) i");
    // With the clock so many hours ahead.
    let run = |hours: i64| {
        let run = kluis(&["backup"]).of(&database).keeping(&repo).env("LD_PRELOAD", library()).env("TEST_AHEAD", (hours * 3600).to_string());
        let ended = run.env("BACKUP_DRILL", "off").env("BACKUP_KEEP_MIN", "1").run();
        assert!(matches!(ended.code, Some(0 | 3)), "{ended:#?}");
        (ended, repo.newest())
    };
    let (late, first) = run(-9 * DAY);
    assert!(late.stderr.contains("the clocks disagree: the database server's is 9 d 00 h ahead of this machine's"), "{late:#?}");
    let (_, second) = run(-8 * DAY);
    let (ended, future) = run(2 * YEAR);
    assert!(ended.stderr.contains("nothing was deleted: the clock says ") && ended.stderr.contains("than its schedule explains"), "{ended:#?}");
    assert!(ended.stderr.contains("the database server's is 730 d 00 h behind this machine's"), "{ended:#?}");
    assert!(first.exists() && second.exists());
    assert_eq!(latest(&repo), id(&second), "the clock is right again");
    // The first run with the right clock still finds one that disagrees, the second does not.
    let (ended, _) = run(0);
    assert!(ended.stderr.contains("which is before the last run, of ") && first.exists(), "{ended:#?}");
    assert!(!ended.stderr.contains("the clocks disagree"), "{ended:#?}");
    let (ended, _) = run(0);
    assert!(ended.code == Some(0) && !first.exists() && !second.exists() && future.exists(), "{ended:#?}");
    let linked = std::fs::read_link(repo.folder().join("latest")).unwrap();
    assert_eq!((linked.to_string_lossy().into_owned(), repo.backups().len()), (latest(&repo), 3));
}
