//! How the daemon becomes a process: with an allocator that gives memory back, and below a process 1 that reaps.
//! It owns that start, reaping what lost its parent, and handing on signals; it leaves everything else to the daemon.
//! Invariant: process 1 knows nothing of backups and holds no secret, and it ends as its child ended.
//!
//! The kernel gives every orphan of a container to process 1, and ignores signals for it that it does not handle (pid_namespaces(7)). A reaper waits for
//! *any* process, which would take the exit statuses that the engine relies upon: so they are two processes.

use crate::error::{Error, Kind, Result};
use rustix::process::{Pid, Signal, WaitOptions};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// The first argument of the daemon that was started by [`enter`]. Not for users.
pub const STARTED: &str = "__serve";

/// glibc keeps what a run has freed, in an arena for each of its threads, for a next time that comes a day later (mallopt(3)). With few arenas, and
/// thresholds that do not grow, a waiting daemon holds 9 MB instead of 16 (measured after a run with its drill). Read at a process's start only.
const ALLOCATOR: [(&str, &str); 3] = [("MALLOC_ARENA_MAX", "2"), ("MALLOC_TRIM_THRESHOLD_", "65536"), ("MALLOC_MMAP_THRESHOLD_", "262144")];

/// Starts the daemon anew: in this process's place, or as the child of a process 1, until it ends. Nothing comes back where this process has to do.
pub fn enter(arguments: &[OsString]) -> Result<Option<ExitCode>> {
    let mut daemon = Command::new("/proc/self/exe");
    daemon.arg0("kluis").arg(STARTED).args(arguments.iter().skip(1)).envs(ALLOCATOR);
    if rustix::process::getpid() == Pid::INIT {
        return reap(daemon).map(Some);
    }
    // Without /proc it only takes more memory.
    let _ = daemon.exec();
    Ok(None)
}

/// Runs the daemon as a child.
fn reap(mut daemon: Command) -> Result<ExitCode> {
    let failed = |what: &str, error: std::io::Error| Error::new(Kind::Failed, format!("as process 1: cannot {what}")).because(error);
    // Before the child is there: its end must not be missed.
    let mut signals = Signals::new([SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]).map_err(|error| failed("listen to signals", error))?;
    #[allow(clippy::zombie_processes, reason = "it is waited for with all the others, below")]
    let child = daemon.spawn().map_err(|error| failed("start the daemon", error))?;
    let pid = Pid::from_child(&child);
    for signal in signals.forever() {
        if signal != SIGCHLD {
            // Gone in the same moment: its end is reaped next.
            let _ = Signal::from_named_raw(signal).map(|signal| rustix::process::kill_process(pid, signal));
            continue;
        }
        // One SIGCHLD may stand for many children.
        while let Ok(Some((reaped, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if reaped == pid {
                let code = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(1);
                return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
            }
        }
    }
    Err(Error::new(Kind::Failed, "as process 1: no more signals came"))
}
