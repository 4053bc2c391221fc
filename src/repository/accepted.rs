//! What somebody said of losses: that from a certain backup on, fewer rows are right.
//! It owns that note in the target's folder; it leaves what follows from it to `retention`.
//! Invariant: a note that cannot be read accepts nothing.

use super::lock::Lock;
use super::{TargetFolder, files, names};
use crate::error::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `accepted.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// When it was said.
    pub at: Timestamp,
    /// Of which backup.
    pub backup: String,
    /// When that one's run began: backups from before it are no measure any more.
    pub started: Timestamp,
}

/// What was said last.
pub fn read(target: &TargetFolder) -> Option<Accepted> {
    files::read_note(&target.path.join(names::ACCEPTED), 1 << 16)
}

/// Takes note of it.
pub fn write(target: &TargetFolder, accepted: &Accepted, _lock: &Lock) -> Result<()> {
    let mut text = serde_json::to_vec(accepted).expect("plain data always has a JSON form");
    text.push(b'\n');
    files::replace(&target.path.join(names::ACCEPTED), &text)
}
