//! The lock of a target: `flock` on its folder.
//! It owns taking and waiting; the kernel owns releasing, also when the process dies (flock(2)), so nothing can be left behind.
//! Invariant: whoever changes a target's folder holds its lock.

use super::TargetFolder;
use crate::error::{Error, Kind, Result};
use crate::stop::Stop;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::time::{Duration, Instant};

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _folder: File,
}

impl Lock {
    /// Takes the lock of a target whose folder exists; waits for at most `patience`.
    pub fn take(target: &TargetFolder, patience: Duration, stop: &Stop) -> Result<Lock> {
        let folder = File::open(&target.path).map_err(|error| Error::io("open", &target.path, error))?;
        let begun = Instant::now();
        loop {
            match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { _folder: folder }),
                Err(rustix::io::Errno::WOULDBLOCK) if begun.elapsed() < patience => stop.sleep(Duration::from_millis(100))?,
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(Error::new(Kind::Locked, format!("another run of target '{}' is in progress", target.name))
                        .hinted("wait for it to end, or set BACKUP_LOCK_TIMEOUT to wait for it here"));
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    return Err(Error::io("lock", &target.path, error.into())
                        .hinted("this file system has no working flock, so that runs could overlap: put BACKUP_DIR on a local file system"));
                }
            }
        }
    }
}
