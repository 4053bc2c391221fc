//! What the sidecar is about to do for a target, for whoever asks how it stands: `kluis status`, the page, a message.
//! It owns the file's format; it leaves deciding to `daemon`, and whether its writer still lives to `sign`.
//! Invariant: only a living sidecar's word is ever read, so a retry that is told of is one that somebody will make.

use super::sign::{self, Sign};
use super::{TargetFolder, names};
use crate::error::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the sidecar is about to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// When it makes the run again that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Timestamp>,
    /// Whether it is proving the newest backup, apart from a run.
    #[serde(default)]
    pub proving: bool,
}

/// The word of a sidecar that lives. Dropped, it is gone.
#[derive(Debug)]
pub struct Told(Sign);

impl Told {
    /// Says it. Where another sidecar serves the same target, that one's word stands, and this is an error.
    pub fn new(target: &TargetFolder, intent: Intent) -> Result<Told> {
        let told = Told(Sign::raise(target.path.join(names::INTENT))?);
        told.say(intent)?;
        Ok(told)
    }

    /// Says something else.
    pub fn say(&self, intent: Intent) -> Result<()> {
        self.0.show(&intent)
    }
}

/// What a sidecar is about to do, if one says so.
pub fn read(target: &TargetFolder) -> Result<Option<Intent>> {
    sign::read(&target.path.join(names::INTENT))
}
