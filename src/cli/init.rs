//! Process 1 of a container. It owns reaping what lost its parent and handing on signals; it leaves everything else to the child that it starts.
//! Invariant: it knows nothing of backups and holds no secret, and it ends as its child ended.
//!
//! The kernel gives every orphan of a container to process 1, and ignores signals for it that it does not handle (pid_namespaces(7)). A reaper waits for
//! *any* process, which would take the exit statuses that the engine relies upon: so they are two processes.

use crate::error::{Error, Kind, Result};
use rustix::process::{Pid, Signal, WaitOptions};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// Whether this process is a container's first one.
pub fn is_needed() -> bool {
    rustix::process::getpid() == Pid::INIT
}

/// Runs this program again with the same arguments as a child, until it ends.
pub fn run(arguments: &[OsString]) -> Result<ExitCode> {
    let failed = |what: &str, error: std::io::Error| Error::new(Kind::Failed, format!("as process 1: cannot {what}")).because(error);
    // Before the child is there: its end must not be missed.
    let mut signals = Signals::new([SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]).map_err(|error| failed("listen to signals", error))?;
    #[allow(clippy::zombie_processes, reason = "it is waited for with all the others, below")]
    let child = Command::new("/proc/self/exe").args(arguments.iter().skip(1)).spawn().map_err(|error| failed("start the daemon", error))?;
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
