//! How far a run in progress is: a small file in the target's folder, for the status page and for whoever watches from another process.
//! It owns the file's format and whether its writer still lives; it leaves what is in it to `run`.
//! Invariant: only a living run's progress is ever read: the writer holds a lock on the file itself, which the kernel releases when it dies (flock(2)).
//!
//! It lies beside the staging folder, not in it, because a run goes on after that was published. The lock on the target's folder is left alone: to
//! try it, however briefly, could make a run believe that another one is in progress.

use super::lock::Lock;
use super::{TargetFolder, files, names};
use crate::error::{Error, Result};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// When the run began.
    pub started: Timestamp,
    /// When this was written.
    pub updated: Timestamp,
    /// What began it: `manual`, `schedule`, `catch-up` or `retry`.
    pub trigger: String,
    /// The step of the run: `dump`, `prove`, …
    pub step: String,
    /// What is being done within the step, where that has parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// When what is being counted began.
    pub since: Timestamp,
    /// Bytes moved, of the same sort as `bytes_total`.
    pub bytes: u64,
    /// How many there are to move, as far as that is known; 0 where nothing is being moved. In a dump it is an estimate.
    pub bytes_total: u64,
    /// Tables that are done.
    pub tables: u64,
    /// How many there are.
    pub tables_total: u64,
    /// Rows moved.
    pub rows: u64,
}

impl Progress {
    /// How much of what there is to move was moved, from 0 to 1, where something is being moved.
    pub fn fraction(&self) -> Option<f64> {
        (self.bytes_total > 0).then(|| (self.bytes as f64 / self.bytes_total as f64).min(1.0))
    }

    /// Bytes a second since the counting began.
    pub fn rate(&self) -> Option<u64> {
        let milliseconds = u64::try_from(self.updated.duration_since(self.since).as_millis()).ok().filter(|ms| *ms > 0)?;
        (self.bytes_total > 0).then(|| u64::try_from(u128::from(self.bytes) * 1000 / u128::from(milliseconds)).unwrap_or(u64::MAX))
    }

    /// How many seconds the rest will take at this rate.
    pub fn seconds_left(&self) -> Option<u64> {
        let left = self.bytes_total.saturating_sub(self.bytes);
        left.checked_div(self.rate()?)
    }
}

/// More than the file ever has.
const LIMIT: u64 = 4096;

/// The file of a run in progress. Dropped, it is gone.
#[derive(Debug)]
pub struct Beacon {
    file: File,
    path: PathBuf,
}

impl Beacon {
    /// Makes the file, or takes over that of a run that died. The lock shows that nobody else is at work here.
    pub fn light(target: &TargetFolder, _lock: &Lock) -> Result<Beacon> {
        let path = target.path.join(names::PROGRESS);
        let flags = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(&path);
        let beacon = Beacon { file: file.map_err(|error| Error::io("create", &path, error))?, path };
        beacon.file.set_len(0).map_err(|error| Error::io("write", &beacon.path, error))?;
        // Whoever reads holds the lock for a moment only.
        for _ in 0..50 {
            match flock(&beacon.file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(beacon),
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(2)),
            }
        }
        Err(Error::new(crate::Kind::Locked, format!("'{}' is locked by something else", beacon.path.display())))
    }

    /// Writes how far the run is. Not synced: nobody needs it after a power cut.
    pub fn show(&self, progress: &Progress) -> Result<()> {
        let mut line = serde_json::to_vec(progress).expect("plain data always has a JSON form");
        line.push(b'\n');
        // In one write and never shorter, so that a reader finds a whole line first.
        let length = self.file.metadata().map_or(0, |metadata| metadata.len()) as usize;
        line.resize(line.len().max(length), b' ');
        self.file.write_all_at(&line, 0).map_err(|error| Error::io("write", &self.path, error))
    }
}

impl Drop for Beacon {
    fn drop(&mut self) {
        // A file that stays is never read again, and the next run takes it over.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// How far the target's run is, if one is in progress.
pub fn read(target: &TargetFolder) -> Result<Option<Progress>> {
    let path = target.path.join(names::PROGRESS);
    let file = match files::open_file(&path) {
        Ok(file) => file,
        Err(_) if std::fs::symlink_metadata(&path).is_err() => return Ok(None),
        Err(error) => return Err(error),
    };
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return Ok(None);
    }
    let mut text = Vec::new();
    file.take(LIMIT).read_to_end(&mut text).map_err(|error| Error::io("read", &path, error))?;
    // A line that is just being written, or of another version of kluis, tells nothing.
    Ok(text.split(|byte| *byte == b'\n').next().and_then(|line| serde_json::from_slice(line).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Repository;
    use crate::stop::Stop;
    use std::time::Duration;

    fn progress(bytes: u64) -> Progress {
        let at = |second| Timestamp::from_second(second).unwrap();
        Progress {
            started: at(0),
            updated: at(20),
            trigger: "manual".into(),
            step: "dump".into(),
            part: None,
            since: at(10),
            bytes,
            bytes_total: 1000,
            tables: 1,
            tables_total: 2,
            rows: 3,
        }
    }

    #[test]
    fn only_a_living_runs_progress_is_read() {
        let place = tempfile::tempdir().unwrap();
        let target = Repository::open(place.path()).unwrap().target("app");
        assert_eq!(read(&target).unwrap(), None);
        target.create().unwrap();
        let lock = Lock::take(&target, Duration::ZERO, &Stop::new()).unwrap();
        let beacon = Beacon::light(&target, &lock).unwrap();
        assert_eq!(read(&target).unwrap(), None);
        for bytes in [1_000_000, 5] {
            beacon.show(&progress(bytes)).unwrap();
            assert_eq!(read(&target).unwrap(), Some(progress(bytes)));
        }
        let path = target.path.join(names::PROGRESS);
        let left = std::fs::read(&path).unwrap();
        drop(beacon);
        assert!(!path.exists());
        std::fs::write(&path, left).unwrap();
        assert_eq!(read(&target).unwrap(), None);
        drop(Beacon::light(&target, &lock).unwrap());
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(read(&target).is_err());
    }

    #[test]
    fn rates_are_never_divided_by_nothing() {
        let (half, over) = (progress(500), progress(2000));
        assert_eq!((half.fraction(), half.rate(), half.seconds_left()), (Some(0.5), Some(50), Some(10)));
        assert_eq!((over.fraction(), over.seconds_left()), (Some(1.0), Some(0)));
        let still = Progress { since: half.updated, ..progress(0) };
        assert_eq!((still.rate(), still.seconds_left()), (None, None));
        assert_eq!((progress(0).rate(), progress(0).seconds_left()), (Some(0), None));
        assert_eq!(Progress { bytes_total: 0, ..progress(1) }.fraction(), None);
    }
}
