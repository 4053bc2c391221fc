//! What a throwaway server that was killed leaves behind: processes and shared memory.
//! It owns finding and removing both; it leaves files to `folder`.
//! Invariant: a process is signalled only while its working folder is the data folder, a segment removed only if nobody is attached to it:
//! numbers alone, which are given anew, prove nothing.

use crate::error::{Error, Kind, Result};
use crate::postgres::child::Tool;
use crate::repository::files::read_small;
use crate::stop::Stop;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What to do about processes that are still there, and how long to wait for the effect.
type Steps = [(Option<Signal>, Duration)];

/// PostgreSQL's processes were told by the kernel to end when we died, and may be about to; SIGQUIT is the immediate shutdown.
pub const GENTLY: &Steps = &[(None, Duration::from_secs(1)), (Some(Signal::QUIT), Duration::from_secs(6)), (Some(Signal::KILL), Duration::from_secs(3))];

/// For those that were asked before.
pub const AT_ONCE: &Steps = &[(Some(Signal::KILL), Duration::from_secs(3))];

/// Ends every process whose working folder is `data`: PostgreSQL's all change to it (miscinit.c, `ChangeToDataDir`), and initdb is started
/// there. Whether none is left.
pub fn end_processes(data: &Path, steps: &Steps) -> bool {
    let mut segments = BTreeSet::new();
    let gone = steps.iter().any(|(signal, patience)| {
        let begun = Instant::now();
        let mut found = processes(data);
        segments.extend(found.iter().flat_map(|process| mapped(process.pid)));
        if let Some(signal) = signal {
            found.iter().for_each(|process| process.signal(*signal, data));
        }
        while !found.is_empty() && begun.elapsed() < *patience {
            std::thread::sleep(Duration::from_millis(20));
            found = processes(data);
        }
        found.is_empty()
    });
    if gone {
        // What ended in good order has removed its own.
        segments.iter().for_each(|segment| drop(std::fs::remove_file(segment)));
    }
    gone
}

/// The dynamic shared memory segments that a process uses. Those of the server are files in its data folder, but those of initdb's own
/// servers lie in /dev/shm up to PostgreSQL 15. Nobody maps a segment of another server.
fn mapped(pid: Pid) -> Vec<PathBuf> {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", pid.as_raw_nonzero())).unwrap_or_default();
    let paths = maps.lines().filter_map(|line| line.find("/dev/shm/PostgreSQL.").map(|start| PathBuf::from(&line[start..])));
    paths.filter(|path| path.exists()).collect()
}

/// A process that was found at work in the data folder.
struct Worker {
    pid: Pid,
    /// Holds on to this very process (pidfd_open(2)); none where the kernel cannot.
    handle: Option<OwnedFd>,
}

impl Worker {
    fn signal(&self, signal: Signal, data: &Path) {
        // Looked at again with the handle in hand: now it is this process or none.
        if works_in(self.pid, data) {
            let _ = match &self.handle {
                Some(handle) => pidfd_send_signal(handle, signal),
                None => kill_process(self.pid, signal),
            };
        }
    }
}

fn processes(data: &Path) -> Vec<Worker> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw));
    pids.filter(|pid| works_in(*pid, data)).map(|pid| Worker { pid, handle: pidfd_open(pid, PidfdFlags::empty()).ok() }).collect()
}

/// One that has ended and was not waited for yet has no working folder any more.
fn works_in(pid: Pid, data: &Path) -> bool {
    std::fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).is_ok_and(|folder| folder == data)
}

/// Removes the shared memory segment that `postmaster.pid` tells of, if it is still there. To be called when no process is left.
pub fn remove_segment(data: &Path) -> Result<()> {
    let noted = read_small(&data.join("postmaster.pid"), 4096).ok().and_then(|text| noted(&String::from_utf8_lossy(&text)));
    let Some((key, id)) = noted else { return Ok(()) };
    let segments = std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    if !segments.lines().any(|line| is_orphan(line, key, id)) {
        return Ok(());
    }
    let failed = |error: Error| {
        Error::new(Kind::Failed, format!("a shared memory segment of a throwaway server that was killed is left, number {id}"))
            .because(error)
            .hinted(format!("ipcrm -m {id}"))
    };
    // As its owner: what is written in a folder of an unprivileged user must not make root remove what is not that user's.
    let owner = std::fs::symlink_metadata(data).map_err(|error| Error::io("look at", data, error))?;
    let user = rustix::process::geteuid().is_root().then_some((owner.uid(), owner.gid()));
    Tool::new("ipcrm".into()).args(["-m", &id.to_string()]).user(user).run(&Stop::new()).map_err(failed)
}

/// Key and number of the segment: the seventh line of `postmaster.pid` (pidfile.h, `LOCK_FILE_LINE_SHMEM_KEY`).
fn noted(text: &str) -> Option<(i64, i64)> {
    let mut words = text.lines().nth(6)?.split_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// Whether a line of /proc/sysvipc/shm (key, number, mode, size, creator, last user, attached, …) is that segment, with nobody attached.
fn is_orphan(line: &str, key: i64, id: i64) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<i64>().ok());
    // PostgreSQL writes the key without its sign.
    number(0).is_some_and(|found| found == key || found as i32 == key as u32 as i32) && (number(1), number(6)) == (Some(id), Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_known_by_key_number_and_solitude() {
        let file = "15361\n/tmp/x/data\n1795475410\n5432\n/tmp/x/data\n\n  10061368        24\nready   \n";
        assert_eq!(noted(file), Some((10_061_368, 24)));
        assert_eq!(noted("15361\n/tmp/x/data\n1795475410\n5432\n"), None);
        let line = |key: &str, id: u32, attached: u32| format!("{key} {id} 600 56 1 2 {attached} 101 104 101 104 0 0 0 4096 0");
        assert!(is_orphan(&line("10061368", 24, 0), 10_061_368, 24));
        assert!(!is_orphan(&line("10061368", 24, 1), 10_061_368, 24));
        assert!(!is_orphan(&line("10061368", 25, 0), 10_061_368, 24));
        assert!(!is_orphan(&line("7", 24, 0), 10_061_368, 24));
        assert!(is_orphan(&line("-5", 24, 0), i64::from(-5_i32 as u32), 24));
        assert!(!is_orphan("       key      shmid perms", 0, 0));
    }

    #[test]
    fn a_process_is_found_by_its_working_folder_and_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        assert!(end_processes(&path, GENTLY));
        // Tests that a script runs in the background ignore SIGQUIT, and so would what they start.
        let mut child = std::process::Command::new("env").args(["--default-signal=QUIT", "sleep", "100"]).current_dir(&path).spawn().unwrap();
        let mut other = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        assert_eq!(processes(&path).len(), 1);
        let reaper = std::thread::spawn(move || child.wait().unwrap());
        assert!(end_processes(&path, GENTLY));
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&reaper.join().unwrap()), Some(3));
        assert_eq!(other.try_wait().unwrap(), None);
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
