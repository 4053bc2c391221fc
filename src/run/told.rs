//! A run told to the outside: the events of its parts, added up and written where a status page and other processes read them.
//! It owns how often; it leaves the file to `repository::progress` and hands every event on to the run's own listener.
//! Invariant: the row path never waits for it, and nothing that goes wrong here ends a run.

use crate::events::{Event, Observer};
use crate::repository::TargetFolder;
use crate::repository::lock::Lock;
use crate::repository::progress::{Beacon, Progress};
use jiff::Timestamp;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the file is written at the most, new steps apart.
const EVERY: Duration = Duration::from_secs(1);

/// The steps of a run. A drill has steps of its own within `prove`.
const STEPS: [&str; 8] = ["lock", "preflight", "dump", "seal", "publish", "prove", "prune", "report"];

/// Listens to a run, and tells how far it is.
pub struct Told<'a> {
    inner: &'a dyn Observer,
    beacon: Option<Beacon>,
    state: Mutex<State>,
    bytes: AtomicU64,
    rows: AtomicU64,
    tables: AtomicU64,
}

struct State {
    progress: Progress,
    written: Instant,
}

impl<'a> Told<'a> {
    /// Begins to tell. Where the file cannot be made, the run is told to its own listener only.
    pub fn new(inner: &'a dyn Observer, target: &TargetFolder, lock: &Lock, trigger: &str, started: Timestamp) -> Told<'a> {
        let progress = Progress {
            started,
            updated: started,
            trigger: trigger.to_owned(),
            step: "lock".to_owned(),
            part: None,
            since: started,
            bytes: 0,
            bytes_total: 0,
            tables: 0,
            tables_total: 0,
            rows: 0,
        };
        let state = Mutex::new(State { progress, written: Instant::now() });
        let zero = || AtomicU64::new(0);
        Told { inner, beacon: Beacon::light(target, lock).ok(), state, bytes: zero(), rows: zero(), tables: zero() }
    }

    fn forget(&self) {
        for counter in [&self.bytes, &self.rows, &self.tables] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// Changes what is told, and tells it at once.
    fn change(&self, change: impl FnOnce(&mut Progress)) {
        if let Ok(mut state) = self.state.lock() {
            change(&mut state.progress);
            self.write(&mut state);
        }
    }

    fn write(&self, state: &mut State) {
        let Some(beacon) = &self.beacon else { return };
        state.written = Instant::now();
        let progress = &mut state.progress;
        progress.updated = Timestamp::now();
        (progress.bytes, progress.rows, progress.tables) =
            (self.bytes.load(Ordering::Relaxed), self.rows.load(Ordering::Relaxed), self.tables.load(Ordering::Relaxed));
        let _ = beacon.show(progress);
    }
}

impl Observer for Told<'_> {
    fn event(&self, event: &Event<'_>) {
        self.inner.event(event);
        match event {
            Event::Step(step) => {
                self.forget();
                self.change(|progress| {
                    let part = (!STEPS.contains(step)).then(|| (*step).to_owned());
                    if part.is_none() {
                        (*step).clone_into(&mut progress.step);
                    }
                    (progress.part, progress.bytes_total, progress.tables_total, progress.since) = (part, 0, 0, Timestamp::now());
                });
            }
            Event::Total { bytes, tables } => {
                self.forget();
                self.change(|progress| (progress.bytes_total, progress.tables_total, progress.since) = (*bytes, *tables, Timestamp::now()));
            }
            Event::Moved { bytes, rows } => {
                self.bytes.fetch_add(*bytes, Ordering::Relaxed);
                self.rows.fetch_add(*rows, Ordering::Relaxed);
                // Whoever comes while another one writes goes on.
                if let Ok(mut state) = self.state.try_lock()
                    && state.written.elapsed() >= EVERY
                {
                    self.write(&mut state);
                }
            }
            Event::Table => {
                self.tables.fetch_add(1, Ordering::Relaxed);
            }
            Event::Warning(_) | Event::Beforehand(_) => {}
        }
    }
}
