//! A run in progress, seen from other processes: on the page of a sidecar, in the metrics, and by `kluis status --watch`. And what it costs to look.

use super::client::{Answer, get};
use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Kluis, Running, kluis};
use crate::support::repo::Repo;
use crate::support::{wait_for, wait_until};
use kluis::repository::names;
use rustix::process::Signal;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::time::Duration;

struct Stack {
    database: Database,
    repo: Repo,
    address: SocketAddr,
}

impl Stack {
    fn new(cluster: &Cluster, rows: u32) -> Stack {
        let database = cluster.database("watched");
        database.sql(&format!(
            "CREATE TABLE bulk AS SELECT i AS id, md5(i::text) || md5((-i)::text) || md5((i * 7)::text) AS t FROM generate_series(1, {rows}) i;
             CREATE TABLE small AS SELECT 1 AS one"
        ));
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
        Stack { database, repo: Repo::new(), address }
    }

    fn sidecar(&self) -> Kluis {
        let drill = ("BACKUP_DRILL", "every-backup");
        kluis(&["serve"])
            .of(&self.database)
            .keeping(&self.repo)
            .env("BACKUP_SCHEDULE", "0 0 1 1 *")
            .env(drill.0, drill.1)
            .env("BACKUP_HTTP", self.address.to_string())
            .env("BACKUP_HTTP_TOKEN", super::TOKEN)
    }

    fn backup(&self) -> Kluis {
        kluis(&["backup"]).of(&self.database).keeping(&self.repo).env("BACKUP_COMPRESSION", "smallest").env("BACKUP_JOBS", "1")
    }

    fn page(&self) -> Answer {
        get(self.address, "/", &[])
    }

    /// A sidecar that waits, its first backup made.
    fn waiting(&self) -> Running {
        let sidecar = self.sidecar().start();
        wait_until("it listens", || std::net::TcpStream::connect(self.address).is_ok());
        wait_until("it made its backup", || self.repo.history().iter().any(|run| run["outcome"] == "done"));
        sidecar
    }

    fn progress(&self) -> Option<serde_json::Value> {
        let text = std::fs::read_to_string(self.repo.folder().join(names::PROGRESS)).ok()?;
        serde_json::from_str(text.lines().next()?).ok()
    }
}

fn stop(running: Running) {
    running.signal(Signal::TERM);
    running.wait();
}

#[test]
fn a_run_of_another_process_is_shown_and_a_dead_one_is_not() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster, 600_000);
    let sidecar = stack.waiting();
    stack.page().says(&["Yes: app can be restored as it was just now."]);
    wait_until("the page shows no run", || !stack.page().body.contains("A run is in progress"));
    let watch = kluis(&["status", "--watch"]).keeping(&stack.repo).env("BACKUP_DRILL", "every-backup").start();
    let mut lines = kluis(&["status", "--watch", "--json"]).keeping(&stack.repo).env("BACKUP_DRILL", "every-backup").start();
    let mut backup = stack.backup().start();
    let moving = || stack.progress().is_some_and(|progress| progress["step"] == "dump" && progress["rows"].as_u64() > Some(1000));
    backup.hold_when("rows are being written, and told", moving);
    // At most once a second, so what is told may be a second old; held, it stays as it is.
    let page = wait_for("the page shows the run", || Some(stack.page()).filter(|page| page.body.contains("A run is in progress")));
    page.says(&["reading the database", "<progress max=\"100\" value=\"", " of about ", "/s"]);
    let metrics = get(stack.address, "/metrics", &[]);
    metrics.says(&["kluis_run_in_progress{target=\"app\"} 1\n"]);
    let json: serde_json::Value = serde_json::from_str(&get(stack.address, "/api/v1/status", &[]).body).unwrap();
    let progress = &json["status"]["targets"][0]["progress"];
    assert!(progress["tables_total"] == 2 && progress["trigger"] == "manual" && progress["bytes_total"].as_u64() > Some(1_000_000), "{json:#}");
    let once = kluis(&["status"]).keeping(&stack.repo).run();
    assert!(once.stdout.contains("dump, ") && once.stdout.contains(" % of ") && once.stdout.contains("(manual)"), "{once:#?}");
    std::thread::sleep(Duration::from_millis(1500));

    // Killed, it leaves its file and its staging folder, and is shown as no run.
    backup.signal(Signal::KILL);
    backup.wait();
    assert!(stack.progress().is_some() && !stack.repo.leftovers().is_empty());
    wait_until("the page no longer shows it", || !stack.page().body.contains("A run is in progress"));
    get(stack.address, "/metrics", &[]).says(&["kluis_run_in_progress{target=\"app\"} 0\n"]);
    // The next run takes its place, and leaves nothing.
    stack.backup().run().done();
    assert_eq!((stack.progress(), stack.repo.leftovers().len()), (None, 0));

    // Longer than between two looks.
    std::thread::sleep(Duration::from_millis(2500));
    watch.signal(Signal::INT);
    let said = watch.wait();
    assert_eq!(said.code, Some(130), "{said:#?}");
    assert!(said.stdout.contains("app fresh: dump, ") && said.stdout.contains("app fresh: last run done in ") && !said.stdout.contains('\x1b'), "{said:#?}");
    assert!(!lines.is_over());
    lines.signal(Signal::TERM);
    let said = lines.wait();
    let told: Vec<serde_json::Value> = said.stdout.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert!(told.iter().any(|line| line["targets"][0]["progress"]["step"] == "dump") && told.last().unwrap()["targets"][0]["progress"].is_null(), "{said:#?}");
    stop(sidecar);
}

#[test]
fn a_watch_on_a_terminal_draws_over_itself() {
    if !Command::new("script").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return crate::support::skip("kluis status --watch on a terminal: script(1) is not there", "apt-get install bsdutils");
    }
    let repo = Repo::new();
    std::fs::create_dir(repo.folder()).unwrap();
    let command = format!("timeout --signal=INT 3 {} status --watch --dir {} --target app", env!("CARGO_BIN_EXE_kluis"), repo.root.display());
    let output = Command::new("script").args(["--quiet", "--command", &command, "/dev/null"]).env("TERM", "xterm").stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("\x1b[2J") && said.matches("\x1b[H").count() >= 2 && said.contains("starting"), "{said:?}");
}

#[test]
fn a_waiting_sidecar_with_a_page_stays_small() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster, 1000);
    let sidecar = stack.waiting();
    for _ in 0..300 {
        for path in ["/", "/metrics", "/fresh", "/api/v1/status", "/healthz"] {
            assert_eq!(get(stack.address, path, &[]).status, 200);
        }
    }
    let ready = get(stack.address, "/readyz", &[]);
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    std::thread::sleep(Duration::from_secs(3));
    let status = std::fs::read_to_string(format!("/proc/{}/status", sidecar.pid())).unwrap();
    let held: u64 = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok()).unwrap();
    // The program of the tests is larger than the one that is shipped; docs/BENCHMARKS.md has the latter's number.
    assert!(held < 24 << 10, "{held} kB");
    stop(sidecar);
}

#[test]
fn a_port_that_is_taken_keeps_no_backup_from_being_made() {
    let Some(cluster) = Cluster::of(16) else { return };
    let stack = Stack::new(&cluster, 1000);
    let taken = TcpListener::bind(stack.address).unwrap();
    let sidecar = stack.sidecar().start();
    wait_until("the backup is made", || stack.repo.history().iter().any(|run| run["outcome"] == "done"));
    sidecar.signal(Signal::TERM);
    let ended = sidecar.wait();
    assert!(ended.stderr.contains("there is no status page: cannot listen at") && ended.stderr.contains("hint: let BACKUP_HTTP name"), "{ended:#?}");
    drop(taken);
}
