//! Signals and limits of a command that takes its time.
//! It owns which signals mean "stop" and how the second one is answered; it leaves the stopping to `crate::stop`.
//! Invariant: a signal that was ignored when we were started (nohup, a background job) stays ignored.

use crate::config::Settings;
use crate::error::{Error, Kind, Result};
use crate::stop::{Limits, Stop, Watchdog};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What a command needs to be stoppable. Signals are ours from its making on.
pub struct Watch {
    signal: Arc<AtomicUsize>,
}

impl Watch {
    /// Takes the signals: the first one stops cleanly, the second one ends the process at once.
    pub fn new() -> Result<Watch> {
        let (signal, again) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let ignored = ignored_signals();
        for number in [SIGTERM, SIGINT, SIGHUP].into_iter().filter(|number| ignored & (1 << (number - 1)) == 0) {
            // The order matters: the first signal must find `again` still unset.
            flag::register_conditional_shutdown(number, 128 + number, again.clone())
                .and_then(|_| flag::register(number, again.clone()))
                .and_then(|_| flag::register_usize(number, signal.clone(), number as usize))
                .map_err(|error| Error::new(Kind::Failed, format!("cannot listen to signal {number}")).because(error))?;
        }
        Ok(Watch { signal })
    }

    /// The signal that came, if one did.
    pub fn signal(&self) -> Option<i32> {
        i32::try_from(self.signal.load(Ordering::Relaxed)).ok().filter(|number| *number != 0)
    }

    /// Watches one job without limits in time.
    pub fn unlimited(&self) -> (Stop, Watchdog) {
        self.start(Limits::default())
    }

    /// Watches one job within the limits of its target.
    pub fn limited(&self, settings: &Settings) -> (Stop, Watchdog) {
        self.start(Limits { deadline: Some(settings.deadline), stall: Some(settings.stall_timeout) })
    }

    fn start(&self, limits: Limits) -> (Stop, Watchdog) {
        let stop = Stop::new();
        let dog = Watchdog::start(&stop, limits, self.signal.clone());
        (stop, dog)
    }
}

/// The signals that this process ignores, as bits (proc(5)); none where that cannot be told.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
