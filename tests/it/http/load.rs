//! Two hundred requests a second on the page of a year, while backups run: every one is answered, and the backups hardly notice.
//!
//! `KLUIS_LOAD_SECONDS` says for how long (2 in each test run, 60 for a measurement). With it set, the numbers are told on stderr.

use super::client::get;
use super::sample::Sample;
use crate::support::cluster::Cluster;
use crate::support::kluis::kluis;
use crate::support::repo::Repo;
use crate::support::wait_until;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Requests a second, and how many clients share them.
const RATE: u64 = 200;
const CLIENTS: u64 = 4;

/// Clients that ask in a fixed rhythm, each request over a connection of its own, until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
    /// How long each answer took.
    answers: Arc<Mutex<Vec<Duration>>>,
    begun: Instant,
}

impl Load {
    fn start(address: SocketAddr) -> Load {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let begun = Instant::now();
        let client = |number: u64| {
            let (stop, answers) = (stop.clone(), answers.clone());
            std::thread::spawn(move || {
                let pace = Duration::from_secs(CLIENTS) / RATE as u32;
                for turn in 0.. {
                    let due = begun + pace * turn + pace * number as u32 / CLIENTS as u32;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let asked = Instant::now();
                    let answer = get(address, "/", &[]);
                    assert!(answer.status == 200 && answer.body.ends_with("</html>"), "{}", answer.head);
                    answers.lock().unwrap().push(asked.elapsed());
                }
            })
        };
        let threads = (0..CLIENTS).map(client).collect();
        Load { stop, threads, answers, begun }
    }

    /// How many answers a second there were, and how long the slowest but one in a hundred took.
    fn end(self) -> (f64, Duration) {
        let lasted = self.begun.elapsed();
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("every request is answered"));
        let mut answers = self.answers.lock().unwrap().clone();
        answers.sort();
        (answers.len() as f64 / lasted.as_secs_f64(), answers[answers.len() * 99 / 100])
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
fn a_page_that_many_look_at_does_not_slow_a_backup() {
    let Some(cluster) = Cluster::of(16) else { return };
    let measuring = std::env::var("KLUIS_LOAD_SECONDS").ok();
    let seconds = measuring.as_ref().and_then(|text| text.parse().ok()).unwrap_or(2);
    let database = cluster.database("loaded");
    let rows = if measuring.is_some() { 4_000_000 } else { 300_000 };
    database.sql(&format!("CREATE TABLE bulk AS SELECT i AS id, md5(i::text) || md5((-i)::text) AS t, now() AS at FROM generate_series(1, {rows}) i"));
    let mut sample = Sample::new();
    sample.year("app", 5, 240_000, &[(9, "failed")]);
    let repo = Repo::at(sample.root.clone());
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
    let with = |arguments: &[&str]| kluis(arguments).of(&database).keeping(&repo).env("BACKUP_RETENTION_DAYS", "36500").env("BACKUP_JOBS", "2");
    let sidecar = with(&["serve"]).env("BACKUP_SCHEDULE", "0 0 1 1 *").env("BACKUP_HTTP", address.to_string()).env("BACKUP_HTTP_TOKEN", super::TOKEN).start();
    wait_until("it listens", || std::net::TcpStream::connect(address).is_ok());
    // What is there is of another database.
    with(&["adopt"]).run().done();
    let backup = || {
        let ended = with(&["backup"]).run();
        assert!(matches!(ended.code, Some(0 | 3)), "{ended:#?}");
        ended.took
    };
    backup();
    let (mut quiet, mut loaded, mut rates, mut slowest) = (Vec::new(), Vec::new(), Vec::new(), Duration::ZERO);
    let mut under_load = Duration::ZERO;
    while under_load < Duration::from_secs(seconds) || loaded.len() < 3 {
        quiet.push(backup());
        let load = Load::start(address);
        let begun = Instant::now();
        loaded.push(backup());
        under_load += begun.elapsed();
        let (rate, slow) = load.end();
        rates.push(rate);
        slowest = slowest.max(slow);
    }
    let (alone, watched) = (median(&mut quiet), median(&mut loaded));
    let rate = rates.iter().sum::<f64>() / rates.len() as f64;
    if measuring.is_some() {
        let line = format!(
            "load: {under_load:.1?} at {rate:.0} requests a second, 99 of 100 answered within {slowest:.1?}; backups: {} alone {alone:.3?} ({quiet:.2?}), {} under load {watched:.3?} ({loaded:.2?})\n",
            quiet.len(),
            loaded.len()
        );
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    assert!(rate > RATE as f64 * 0.8, "only {rate} answers a second");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // Clients and backups share this machine's cores with other tests: what is judged here is that nothing waits for the page. Numbers: docs/BENCHMARKS.md.
    assert!(watched < alone * 2 + Duration::from_secs(1), "{alone:?} alone, {watched:?} under load");
    sidecar.signal(rustix::process::Signal::TERM);
    sidecar.wait();
}
