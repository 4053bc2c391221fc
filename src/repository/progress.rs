//! How far a run in progress is: a small file in the target's folder, for the status page and for whoever watches from another process.
//! It owns the file's format; it leaves what is in it to `run`, and whether its writer still lives to `sign`.
//! Invariant: only a living run's progress is ever read.
//!
//! It lies beside the staging folder, not in it, because a run goes on after that was published. The lock on the target's folder is left alone: to
//! try it, however briefly, could make a run believe that another one is in progress.

use super::lock::Lock;
use super::sign::{self, Sign};
use super::{TargetFolder, names};
use crate::error::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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

/// The file of a run in progress. Dropped, it is gone.
#[derive(Debug)]
pub struct Beacon(Sign);

impl Beacon {
    /// Makes the file, or takes over that of a run that died. The lock shows that nobody else is at work here.
    pub fn light(target: &TargetFolder, _lock: &Lock) -> Result<Beacon> {
        Sign::raise(target.path.join(names::PROGRESS)).map(Beacon)
    }

    /// Writes how far the run is.
    pub fn show(&self, progress: &Progress) -> Result<()> {
        self.0.show(progress)
    }
}

/// How far the target's run is, if one is in progress.
pub fn read(target: &TargetFolder) -> Result<Option<Progress>> {
    sign::read(&target.path.join(names::PROGRESS))
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
