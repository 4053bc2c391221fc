//! Stopping: one token that a signal, a deadline, a stall or a failing sibling trips, and that every wait obeys.
//! It owns the reason and the hooks that end blocking calls (a socket is shut down, a child's process group is killed);
//! it leaves cleaning up to the code that is then woken. Invariant: after a trip every registered hook has run, also those registered later.

use crate::error::{Error, Kind, Result};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why everything has to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// SIGINT, SIGTERM or SIGHUP.
    Signal(i32),
    /// The whole run took longer than this.
    Deadline(Duration),
    /// Not a byte moved for this long.
    Stalled(Duration),
    /// Another part of the same job failed; its error is the one to report.
    Sibling,
}

impl Reason {
    /// The error that a part of the job stopped for this reason returns.
    pub fn error(self) -> Error {
        match self {
            Reason::Signal(signal) => Error::new(Kind::Interrupted, format!("stopped by signal {signal}")),
            Reason::Deadline(limit) => Error::new(Kind::TimedOut, format!("not done within the time limit of {} s", limit.as_secs()))
                .hinted("raise BACKUP_DEADLINE, or find out what slows the database down"),
            Reason::Stalled(limit) => Error::new(Kind::TimedOut, format!("no data moved for {} s", limit.as_secs()))
                .hinted("look at the server's locks and at the network; BACKUP_STALL_TIMEOUT is the limit"),
            Reason::Sibling => Error::new(Kind::Failed, "stopped because another part of this job failed"),
        }
    }
}

/// All results of a job's parts, or the error that came first: a part that was only stopped because of another one is not the cause.
pub fn first_cause<T>(results: Vec<Result<T>>) -> Result<Vec<T>> {
    let (mut good, mut cause, mut stopped) = (Vec::new(), None, None);
    for result in results {
        match result {
            Ok(value) => good.push(value),
            Err(error) if is_only_stopped(&error) => stopped = stopped.or(Some(error)),
            Err(error) => cause = cause.or(Some(error)),
        }
    }
    match cause.or(stopped) {
        Some(error) => Err(error),
        None => Ok(good),
    }
}

/// Whether a part failed only because another one had failed before, whatever it was doing then.
pub fn is_only_stopped(error: &Error) -> bool {
    error.chain().contains(&Reason::Sibling.error().to_string())
}

type Hook = Box<dyn Fn() + Send>;

#[derive(Default)]
struct State {
    reason: Option<Reason>,
    hooks: BTreeMap<u64, Hook>,
    next: u64,
}

struct Inner {
    tripped: AtomicBool,
    state: Mutex<State>,
    born: Instant,
    /// Milliseconds after `born` at which something last moved.
    moved: AtomicU64,
    /// How many parts of the job are at work that nobody can see moving.
    unseen: AtomicU64,
}

/// The token. Clones are the same token.
#[derive(Clone)]
pub struct Stop(Arc<Inner>);

impl Default for Stop {
    fn default() -> Self {
        Stop::new()
    }
}

impl Stop {
    /// A token that nothing has tripped yet.
    pub fn new() -> Self {
        Stop(Arc::new(Inner {
            tripped: AtomicBool::new(false),
            state: Mutex::default(),
            born: Instant::now(),
            moved: AtomicU64::new(0),
            unseen: AtomicU64::new(0),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A hook that panicked must not keep the others from stopping.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Trips the token. The first reason stays; every hook runs once.
    pub fn trip(&self, reason: Reason) {
        let mut state = self.state();
        if state.reason.is_none() {
            state.reason = Some(reason);
            self.0.tripped.store(true, Ordering::SeqCst);
            for hook in state.hooks.values() {
                hook();
            }
            state.hooks.clear();
        }
    }

    /// The reason, if the token was tripped.
    pub fn reason(&self) -> Option<Reason> {
        if self.0.tripped.load(Ordering::SeqCst) { self.state().reason } else { None }
    }

    /// An error if the token was tripped.
    pub fn check(&self) -> Result<()> {
        match self.reason() {
            Some(reason) => Err(reason.error()),
            None => Ok(()),
        }
    }

    /// The error to report for `error`: the reason to stop where there is one, because a socket that we shut down ourselves says nothing of use.
    pub fn explain(&self, error: Error) -> Error {
        match self.reason() {
            Some(reason) => reason.error(),
            None => error,
        }
    }

    /// Runs `hook` when the token trips (at once if it has). The hook goes when the guard is dropped. It must not touch this token.
    #[must_use = "the hook goes with the guard"]
    pub fn on_trip(&self, hook: impl Fn() + Send + 'static) -> Hooked {
        let mut state = self.state();
        if state.reason.is_some() {
            hook();
            return Hooked { stop: self.clone(), id: u64::MAX };
        }
        let id = state.next;
        state.next += 1;
        state.hooks.insert(id, Box::new(hook));
        Hooked { stop: self.clone(), id }
    }

    /// Notes that something moved. Cheap enough for every buffer.
    pub fn moved(&self) {
        self.0.moved.store(self.0.born.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// From here on, until the value is dropped, something is at work of which nothing can be seen from outside, such as a long statement of a server of
    /// our own: that nothing moves says nothing then. The limit on the whole job counts all the same.
    #[must_use = "it counts until the value is dropped"]
    pub fn unseen(&self) -> Unseen {
        self.0.unseen.fetch_add(1, Ordering::SeqCst);
        Unseen(self.clone())
    }

    /// How long nothing has moved.
    pub fn idle(&self) -> Duration {
        if self.0.unseen.load(Ordering::SeqCst) > 0 {
            return Duration::ZERO;
        }
        self.0.born.elapsed().saturating_sub(Duration::from_millis(self.0.moved.load(Ordering::Relaxed)))
    }

    /// Sleeps for `time`, or until the token trips.
    pub fn sleep(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(20)));
        }
    }
}

/// Something is at work unseen while this lives: see [`Stop::unseen`].
pub struct Unseen(Stop);

impl Drop for Unseen {
    fn drop(&mut self) {
        self.0.moved();
        self.0.0.unseen.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Keeps a hook registered while it lives.
pub struct Hooked {
    stop: Stop,
    id: u64,
}

impl Drop for Hooked {
    fn drop(&mut self) {
        self.stop.state().hooks.remove(&self.id);
    }
}

/// Watches a job on a thread of its own: signals, the deadline, and stalls. It ends when dropped.
pub struct Watchdog {
    done: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// The limits that a [`Watchdog`] enforces.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// For the whole job.
    pub deadline: Option<Duration>,
    /// For the time in which not a byte moves.
    pub stall: Option<Duration>,
}

impl Watchdog {
    /// Starts watching. `signal` holds the number of the signal that came, or 0.
    pub fn start(stop: &Stop, limits: Limits, signal: Arc<std::sync::atomic::AtomicUsize>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (stop, flag, begun) = (stop.clone(), done.clone(), Instant::now());
        stop.moved();
        let thread = std::thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                let number = signal.load(Ordering::Relaxed);
                if number != 0 {
                    stop.trip(Reason::Signal(number as i32));
                }
                if let Some(limit) = limits.deadline.filter(|limit| begun.elapsed() > *limit) {
                    stop.trip(Reason::Deadline(limit));
                }
                if let Some(limit) = limits.stall.filter(|limit| stop.idle() > *limit) {
                    stop.trip(Reason::Stalled(limit));
                }
                std::thread::park_timeout(Duration::from_millis(50));
            }
        });
        Watchdog { done, thread: Some(thread) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn every_hook_runs_once_and_the_first_reason_stays() {
        let (stop, count) = (Stop::new(), Arc::new(AtomicUsize::new(0)));
        let hook = || {
            let count = count.clone();
            move || {
                count.fetch_add(1, Ordering::SeqCst);
            }
        };
        let _kept = stop.on_trip(hook());
        drop(stop.on_trip(hook()));
        stop.trip(Reason::Signal(15));
        stop.trip(Reason::Sibling);
        let _late = stop.on_trip(hook());
        assert_eq!(count.load(Ordering::SeqCst), 2);
        assert_eq!(stop.reason(), Some(Reason::Signal(15)));
        assert_eq!(stop.check().unwrap_err().kind(), Kind::Interrupted);
    }

    #[test]
    fn the_watchdog_trips_on_a_stall_and_not_while_things_move() {
        let stop = Stop::new();
        let limits = Limits { deadline: None, stall: Some(Duration::from_millis(300)) };
        let _dog = Watchdog::start(&stop, limits, Arc::default());
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(50));
            stop.moved();
        }
        stop.check().unwrap();
        let unseen = stop.unseen();
        stop.sleep(Duration::from_millis(600)).unwrap();
        drop(unseen);
        assert_eq!(stop.sleep(Duration::from_secs(5)).unwrap_err().kind(), Kind::TimedOut);
    }
}
