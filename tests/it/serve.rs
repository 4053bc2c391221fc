//! The sidecar: `kluis serve` beside real servers. Its decisions are tested for years in `src/daemon/tests.rs`; here is the rest of the world.

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Ended, Kluis, Running, kluis};
use crate::support::repo::Repo;
use crate::support::{CANARY, PASSWORD, folder, is_root, new_folder, skip, wait_for, wait_until};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A database, and a sidecar's repository.
struct Stack {
    database: Database,
    repo: Repo,
}

impl Stack {
    fn new(cluster: &Cluster) -> Stack {
        let database = cluster.database("stack");
        database.sql(&format!("CREATE TABLE people AS SELECT i AS id, '{CANARY} jan@example.org ' || i AS v FROM generate_series(1, 1000) i"));
        Stack { database, repo: Repo::new() }
    }

    /// A sidecar that is due once a year, so that what it does now it does for other reasons.
    fn sidecar(&self) -> Kluis {
        kluis(&["serve"]).of(&self.database).keeping(&self.repo).env("BACKUP_SCHEDULE", "0 0 1 1 *").env("BACKUP_DRILL", "every-backup")
    }

    fn status(&self) -> Ended {
        kluis(&["status"]).keeping(&self.repo).env("BACKUP_DRILL", "every-backup").run()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.repo.root.join("log/kluis.log")).unwrap_or_default()
    }

    /// Runs by outcome.
    fn runs(&self, outcome: &str) -> Vec<serde_json::Value> {
        self.repo.history().into_iter().filter(|run| run["outcome"] == outcome).collect()
    }

    #[track_caller]
    fn wait_for_backups(&self, count: usize) {
        wait_until("the sidecar makes its backups", || self.runs("done").len() + self.runs("warned").len() >= count);
    }

    #[track_caller]
    fn no_session_is_left(&self) {
        let count = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kluis' AND datname = '{}'", self.database.name);
        wait_until("no session of kluis is left", || self.database.value(&count) == "0");
    }
}

/// Stops a sidecar as Docker does.
#[track_caller]
fn stop(sidecar: Running) -> Ended {
    let asked = Instant::now();
    sidecar.signal(Signal::TERM);
    let ended = sidecar.wait();
    assert!(asked.elapsed() < Duration::from_secs(10), "{ended:#?}");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    ended
}

#[test]
fn the_first_start_makes_a_proven_backup_and_a_log_that_says_so() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    assert_eq!(stack.status().code, Some(4));
    let sidecar = stack.sidecar().start();
    stack.wait_for_backups(1);
    let status = stack.status();
    assert!(status.code == Some(0) && status.stdout.contains("app fresh: the newest proven backup was made just now"), "{status:#?}");
    wait_until("the run's last line is in the log", || stack.log().contains(" backup 2"));
    let ended = stop(sidecar);
    let (log, id) = (stack.log(), stack.repo.newest().file_name().unwrap().to_string_lossy().into_owned());
    assert_eq!(log, ended.stderr, "stderr and the file tell the same");
    assert!(ended.stdout.is_empty(), "{ended:#?}");
    for part in [
        "serves 1 target in",
        "run began (catch-up)",
        "step 'dump' took",
        ": 1,000 rows",
        "step 'prove' took",
        "done: 1 tables, 1,000 rows",
        "proven; 1 kept, nothing deleted",
        "stopped by signal 15",
    ] {
        assert!(log.contains(part), "'{part}' is not in {log}");
    }
    // Every line of the run has target and run id; there is a handful of them.
    let of_run: Vec<&str> = log.lines().filter(|line| line.contains("[app 2")).collect();
    assert_eq!(of_run.len(), 4, "{log}");
    assert!(log.contains(&format!("backup {id} done")) && log.lines().count() == 7, "{log}");
    for secret in [CANARY, PASSWORD, "@example.org", "postgresql://"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    // A restart has nothing to do.
    let again = stack.sidecar().start();
    wait_until("it is there again", || stack.log().matches("serves 1 target in").count() == 2);
    std::thread::sleep(Duration::from_millis(500));
    stop(again);
    assert_eq!(stack.repo.backups().len(), 1);
    stack.no_session_is_left();
}

#[test]
fn a_schedule_makes_backups_without_a_hand_and_the_policy_prunes() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    kluis(&["backup"]).of(&stack.database).keeping(&stack.repo).run().done();
    let sidecar = stack
        .sidecar()
        .env("BACKUP_SCHEDULE", "* * * * *")
        .env("BACKUP_RETENTION_DAYS", "0")
        .env("BACKUP_KEEP_MIN", "1")
        .env("BACKUP_LOG_FORMAT", "json")
        .start();
    let begun = Instant::now();
    while stack.runs("done").iter().all(|run| run["trigger"] != "schedule") {
        assert!(begun.elapsed() < Duration::from_secs(100), "no scheduled run within a minute and a half: {:#?}", stack.repo.history());
        std::thread::sleep(Duration::from_millis(50));
    }
    let run = stack.runs("done").into_iter().find(|run| run["trigger"] == "schedule").unwrap();
    let second = run["started"].as_str().unwrap()[17..19].parse::<u32>().unwrap();
    assert!(second <= 2, "it began at the minute: {run:#}");
    assert_eq!(run["proof"], "proven");
    stop(sidecar);
    // The one that was made by hand was not proven, and had to go.
    assert_eq!(stack.repo.backups().len(), 1);
    for line in stack.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["at"].is_string() && line["level"].is_string() && line["event"].is_string() && line["message"].is_string(), "{line:#}");
        if line["event"] == "run-done" {
            assert!(line["target"] == "app" && line["rows"] == 1000 && line["steps_ms"]["dump"].is_u64() && line["bytes"].is_u64(), "{line:#}");
        }
    }
}

#[test]
fn a_database_that_comes_later_is_waited_for() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    let sockets = new_folder("sockets");
    let sidecar = stack.sidecar().env("DB_HOST", &sockets).start();
    wait_until("it fails at first", || !stack.runs("failed").is_empty());
    wait_until("it says when it tries again", || stack.log().contains("the run will be tried again at"));
    assert_eq!(stack.status().code, Some(4));
    let name = format!(".s.PGSQL.{}", cluster.port());
    std::os::unix::fs::symlink(cluster.socket().join(&name), sockets.join(&name)).unwrap();
    stack.wait_for_backups(1);
    assert_eq!(stack.runs("done")[0]["trigger"], "retry");
    stop(sidecar);
    assert_eq!(stack.status().code, Some(0));
}

#[test]
fn a_wrong_password_is_told_without_it_and_is_no_health() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    let role = cluster.role("sidecar");
    let sidecar = stack.sidecar().role(&role).env("DB_PASSWORD", format!("not {PASSWORD}")).start();
    wait_until("it fails", || stack.log().contains("password authentication failed"));
    wait_until("it waits", || stack.log().contains("will be tried again"));
    let status = stack.status();
    assert!(
        status.code == Some(4) && status.stdout.contains("stale: no backup; the last run failed: ") && status.stdout.contains("password authentication"),
        "{status:#?}"
    );
    let ended = stop(sidecar);
    assert!(!ended.stderr.contains(PASSWORD) && !stack.log().contains(PASSWORD) && !status.stdout.contains(PASSWORD));
}

#[test]
fn a_stop_in_the_middle_of_a_dump_leaves_nothing_and_the_next_start_catches_up() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    stack.database.sql("CREATE TABLE bulk AS SELECT i AS id, md5(i::text) || md5((-i)::text) || md5((i * 7)::text) AS t FROM generate_series(1, 400000) i");
    for signal in [Signal::TERM, Signal::INT, Signal::KILL] {
        let mut sidecar = stack.sidecar().env("BACKUP_COMPRESSION", "smallest").start();
        sidecar.hold_when("rows are being written", || stack.repo.script_in_progress() > 300_000);
        let asked = Instant::now();
        sidecar.signal(signal);
        sidecar.go_on();
        let ended = sidecar.wait();
        assert!(asked.elapsed() < Duration::from_secs(10), "{ended:#?}");
        if signal != Signal::KILL {
            assert_eq!((ended.code, stack.repo.leftovers().len()), (Some(0), 0), "{ended:#?}");
            assert!(ended.stderr.contains("stopped by signal"), "{ended:#?}");
        }
        assert_eq!(stack.repo.backups().len(), 0);
        stack.no_session_is_left();
    }
    let sidecar = stack.sidecar().start();
    stack.wait_for_backups(1);
    stop(sidecar);
    assert_eq!((stack.repo.backups().len(), stack.repo.leftovers().len()), (1, 0));
    assert_eq!(stack.runs("done")[0]["trigger"], "catch-up");
}

#[test]
fn a_second_signal_ends_it_at_once_and_a_run_by_hand_respects_the_lock() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    stack.database.sql("CREATE TABLE bulk AS SELECT i AS id, md5(i::text) || md5((-i)::text) AS t FROM generate_series(1, 400000) i");
    let mut sidecar = stack.sidecar().env("BACKUP_COMPRESSION", "smallest").start();
    sidecar.hold_when("rows are being written", || stack.repo.script_in_progress() > 300_000);
    kluis(&["backup"]).of(&stack.database).keeping(&stack.repo).run().failed(11, &["another run of target 'app' is in progress"]);
    // Both arrive before it can do anything.
    sidecar.signal(Signal::TERM);
    sidecar.signal(Signal::INT);
    sidecar.go_on();
    let ended = sidecar.wait();
    assert!(matches!(ended.code, Some(130 | 143)), "{ended:#?}");
    assert_eq!(stack.repo.backups().len(), 0);
    stack.no_session_is_left();
}

#[test]
fn a_drill_with_a_schedule_of_its_own() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    kluis(&["backup"]).of(&stack.database).keeping(&stack.repo).run().done();
    // It was due at the beginning of the year, and never made.
    let sidecar = stack.sidecar().env("BACKUP_DRILL", "0 0 1 1 *").start();
    wait_until("the drill is made up for", || stack.log().contains("is proven: 1 tables and 1000 rows compared"));
    stop(sidecar);
    let listed = kluis(&["list"]).keeping(&stack.repo).run().done();
    assert!(listed.stdout.contains("proven"), "{listed:#?}");
    let again = stack.sidecar().env("BACKUP_DRILL", "0 0 1 1 *").start();
    wait_until("it is there again", || stack.log().matches("serves 1 target in").count() == 2);
    std::thread::sleep(Duration::from_millis(500));
    stop(again);
    assert_eq!(stack.log().matches("is proven:").count(), 1, "{}", stack.log());
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing_and_stderr_tells() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    let full = Path::new("/dev/full");
    for log in [full.to_owned(), folder().join("no/such/folder/kluis.log")] {
        let stack = Stack { repo: Repo::new(), database: stack.database.clone() };
        let sidecar = stack.sidecar().env("BACKUP_LOG", &log).start();
        stack.wait_for_backups(1);
        let ended = stop(sidecar);
        assert_eq!(ended.stderr.matches("the log file cannot be written, and stderr has to do").count(), 1, "{ended:#?}");
        assert!(ended.stderr.contains("run began (catch-up)") && ended.stderr.contains("backup 2"), "{ended:#?}");
        assert_eq!(stack.status().code, Some(0));
    }
}

#[test]
fn a_run_by_hand_stands_in_the_same_log() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    let log = stack.repo.root.join("log/kluis.log");
    kluis(&["backup"]).of(&stack.database).keeping(&stack.repo).env("BACKUP_LOG", &log).run().done();
    kluis(&["backup"]).of(&stack.database).keeping(&stack.repo).env("BACKUP_LOG", &log).env("DB_PORT", "1").run().failed(10, &[]);
    let text = stack.log();
    assert!(
        text.contains("run began (manual)")
            && text.contains("done: 1 tables")
            && text.contains("error [app 2")
            && text.contains("run failed in step 'preflight'"),
        "{text}"
    );
    // Without BACKUP_LOG it is the file that a sidecar has, once it is there; else a command has only its user to tell.
    kluis(&["backup"]).of(&stack.database).keeping(&stack.repo).run().done();
    assert!(stack.log().len() > text.len());
    let other = Repo::new();
    kluis(&["backup"]).of(&stack.database).keeping(&other).run().done();
    assert!(!other.root.join("log").exists());
}

#[test]
fn configuration_that_is_wrong_ends_it_before_anything_begins() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    stack.sidecar().env("BACKUP_SCHEDULE", "0 0 30 2 *").run().failed(2, &["BACKUP_SCHEDULE", "can never fire"]);
    stack.sidecar().env("BACKUP_RETENTION_DAYS", "-7").run().failed(2, &["BACKUP_RETENTION_DAYS"]);
    stack.sidecar().env("BACKUP_DIR", folder().join("not/there")).run().failed(14, &["not/there"]);
    assert_eq!(stack.repo.history().len(), 0);
}

/// Zombies among the processes of a PID namespace, seen from outside: by the namespace's link.
fn zombies(namespace: &Path) -> usize {
    let same = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|link| link == *namespace);
    let pids = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    // A zombie's namespace can no longer be read: its parent's can.
    let stat = |pid: &String| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_zombie = |stat: &str| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'));
    let parent = |stat: &str| stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1).map(str::to_owned)).unwrap_or_default();
    pids.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit())).filter(|pid| is_zombie(&stat(pid)) && same(&parent(&stat(pid)))).count()
}

#[test]
fn as_process_1_it_reaps_orphans_and_hands_signals_on() {
    if !is_root() {
        return skip("process 1 of a namespace: it cannot be made here", "the tests as root");
    }
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    let port = cluster.port().to_string();
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", env!("CARGO_BIN_EXE_kluis"), "serve"]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder()).current_dir(folder());
    let variables: [(&str, PathBuf); 8] = [
        ("BACKUP_DIR", stack.repo.root.clone()),
        ("BACKUP_TARGET", "app".into()),
        ("BACKUP_SCRATCH_DIR", folder().join("scratch")),
        ("BACKUP_PG_BIN", cluster.bin().to_owned()),
        ("DB_HOST", cluster.socket().to_owned()),
        ("DB_PORT", port.into()),
        ("DB_DATABASE", stack.database.name.clone().into()),
        ("DB_USERNAME", "postgres".into()),
    ];
    let mut unshared = command.envs(variables).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    let init = loop {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", unshared.try_wait());
        if let Ok(Some(_)) = unshared.try_wait() {
            return skip("process 1 of a namespace: unshare does not work here", "the tests in a privileged container");
        }
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", unshared.id())).unwrap_or_default();
        if let Some(pid) = children.split_whitespace().next() {
            break pid.to_owned();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    stack.wait_for_backups(1);
    let namespace = wait_for("its namespace", || std::fs::read_link(format!("/proc/{init}/ns/pid")).ok());
    // Orphans: their parents, who came from outside, end before them.
    for _ in 0..5 {
        let entered =
            Command::new("nsenter").args(["--target", &init, "--pid", "sh", "-c", "sh -c 'sleep 0.2' & sh -c 'sleep 0.1' & exit 0"]).status().unwrap();
        assert!(entered.success());
    }
    std::thread::sleep(Duration::from_millis(600));
    wait_until("no zombie is left", || zombies(&namespace) == 0);
    let asked = Instant::now();
    let _ = rustix::process::kill_process(rustix::process::Pid::from_raw(init.parse().unwrap()).unwrap(), Signal::TERM);
    let output = unshared.wait_with_output().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("stopped by signal 15"), "{output:#?}");
}
