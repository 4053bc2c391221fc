//! What is due: a run that began counts however it ended, and a backup that nothing has proven makes a drill due. The decisions are tested in `src/daemon/tests.rs`.

use crate::cli::fixture;
use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Kluis, Running, kluis};
use crate::support::receivers::HttpReceiver;
use crate::support::repo::Repo;
use crate::support::{new_folder, wait_until};
use jiff::{SignedDuration, Timestamp};
use kluis::repository::names;
use rustix::process::Signal;
use std::time::Duration;

fn log(repo: &Repo) -> String {
    std::fs::read_to_string(repo.root.join("log/kluis.log")).unwrap_or_default()
}

/// Waits until it has been started so often, and has had the time to begin something.
fn settle(repo: &Repo, starts: usize) {
    wait_until("the sidecar is there", || log(repo).matches("; scheduled ").count() == starts);
    std::thread::sleep(Duration::from_millis(600));
}

fn stop(sidecar: Running) {
    sidecar.signal(Signal::TERM);
    let ended = sidecar.wait();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}

/// A sidecar that is due once a year, without a database.
fn alone(repo: &Repo) -> Kluis {
    let kluis = kluis(&["serve"])
        .keeping(repo)
        .env("DB_HOST", new_folder("sockets"))
        .env("DB_DATABASE", "shop")
        .env("DB_USERNAME", "kluis")
        .env("BACKUP_SCHEDULE", "0 0 1 1 *");
    kluis.env("BACKUP_DRILL", "every-backup").env("BACKUP_PG_BIN", new_folder("none"))
}

fn made(repo: &Repo, options: &[&str]) -> std::path::PathBuf {
    let path = repo.folder().join(names::backup_id(Timestamp::now() - SignedDuration::from_hours(1)));
    fixture::make(&path, options).unwrap();
    path
}

#[test]
fn a_backup_without_a_line_in_the_history_is_a_run_that_began() {
    let repo = Repo::new();
    made(&repo, &["proof=proven"]);
    let sidecar = alone(&repo).start();
    settle(&repo, 1);
    stop(sidecar);
    assert!(!log(&repo).contains("run began"), "{}", log(&repo));
}

/// A database, and a sidecar that is due once a year.
struct Stack {
    database: Database,
    repo: Repo,
}

impl Stack {
    fn new(cluster: &Cluster) -> Stack {
        let database = cluster.database("due");
        database.sql("CREATE TABLE people AS SELECT i AS id FROM generate_series(1, 1000) i");
        Stack { database, repo: Repo::new() }
    }

    fn sidecar(&self) -> Running {
        let kluis = kluis(&["serve"]).of(&self.database).keeping(&self.repo).env("BACKUP_SCHEDULE", "0 0 1 1 *");
        kluis.env("BACKUP_DRILL", "every-backup").start()
    }

    /// Holds the sidecar in the middle of its proof.
    fn hold_in_proof(&self, sidecar: &mut Running) {
        sidecar.hold_when("it proves", || self.repo.backups().last().is_some_and(|backup| backup.join(names::ATTEMPTS).exists()));
    }
}

#[test]
fn a_proof_that_is_killed_makes_no_second_backup_and_is_made_later() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    let mut sidecar = stack.sidecar();
    stack.hold_in_proof(&mut sidecar);
    let status = kluis(&["status"]).keeping(&stack.repo).env("BACKUP_DRILL", "every-backup").run();
    assert!(status.stdout.contains("starting: the first backup, ") && status.stdout.contains("is being proven now"), "{status:#?}");
    sidecar.signal(Signal::KILL);
    sidecar.wait();
    let again = stack.sidecar();
    settle(&stack.repo, 2);
    stop(again);
    // It may be killed by what it does: nobody begins it again at once.
    assert_eq!((stack.repo.backups().len(), log(&stack.repo).matches("run began").count()), (1, 1), "{}", log(&stack.repo));
    let attempts = stack.repo.newest().join(names::ATTEMPTS);
    assert!(std::fs::read_to_string(&attempts).unwrap().contains("\"count\":1"));
    std::fs::remove_file(&attempts).unwrap();
    let third = stack.sidecar();
    wait_until("it is proven", || log(&stack.repo).contains("is proven: 1 tables and 1000 rows"));
    stop(third);
    assert!(stack.repo.backups().len() == 1 && !attempts.exists());
}

#[test]
fn a_proof_that_was_interrupted_is_made_at_the_next_start_without_a_new_dump() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster);
    let mut sidecar = stack.sidecar();
    stack.hold_in_proof(&mut sidecar);
    sidecar.signal(Signal::TERM);
    sidecar.go_on();
    sidecar.wait();
    let again = stack.sidecar();
    wait_until("it is proven", || log(&stack.repo).contains("is proven: 1 tables and 1000 rows"));
    stop(again);
    assert_eq!((stack.repo.backups().len(), log(&stack.repo).matches("run began").count()), (1, 1), "{}", log(&stack.repo));
    assert_eq!(kluis(&["status"]).keeping(&stack.repo).env("BACKUP_DRILL", "every-backup").run().code, Some(0));
}

#[test]
fn a_backup_that_cannot_be_judged_is_tried_again_and_that_is_told() {
    let repo = Repo::new();
    let path = made(&repo, &[]);
    let sidecar = alone(&repo).start();
    wait_until("it says when", || log(&repo).contains("the drill will be tried again at"));
    assert!(log(&repo).contains("could not be judged on this machine") && !log(&repo).contains("run began"), "{}", log(&repo));
    stop(sidecar);
    let restarted = alone(&repo).start();
    settle(&repo, 2);
    stop(restarted);
    assert_eq!(log(&repo).matches("could not be judged").count(), 1, "a restart is no reason: {}", log(&repo));
    assert!(std::fs::read_to_string(path.join(names::ATTEMPTS)).unwrap().contains("\"count\":1"));
}

#[test]
fn a_retry_is_in_every_view() {
    let (repo, hook) = (Repo::new(), HttpReceiver::new());
    let sidecar = alone(&repo).env("BACKUP_NOTIFY", format!("http://127.0.0.1:{}/x", hook.port)).start();
    wait_until("it waits", || log(&repo).contains("the run will be tried again at"));
    let log = log(&repo);
    let at = log.split("the run will be tried again at ").nth(1).unwrap().lines().next().unwrap().trim();
    wait_until("somebody was told", || !hook.got().is_empty());
    let message = hook.got()[0].json()["text"].as_str().unwrap().to_owned();
    let retries = |repo: &Repo| {
        let status = kluis(&["status", "--json"]).keeping(repo).env("BACKUP_SCHEDULE", "0 0 1 1 *").run();
        let json: serde_json::Value = serde_json::from_str(&status.stdout).unwrap_or_else(|error| panic!("{error}: {status:#?}"));
        json["targets"][0]["retry_at"].as_str().map(str::to_owned)
    };
    assert!(message.contains("it is tried again at ") && !message.contains("the next run is at"), "{message}: {at}");
    wait_until("status tells of a retry", || retries(&repo).is_some());
    stop(sidecar);
    assert_eq!(retries(&repo), None, "nobody makes it now");
}
