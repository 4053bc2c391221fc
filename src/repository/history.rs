//! The history of a target: a line of JSON a run, failed and skipped ones too, and one for what somebody did to its backups by hand.
//! It owns the lines' format; it leaves their meaning to `status` and `list`.
//! Invariant: lines are only ever appended; a line that a crash cut short is passed over, and never hides the ones after it.

use super::{TargetFolder, files, names};
use crate::error::{Error, Result};
use crate::manifest::Loss;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Seek};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A backup was published.
    Done,
    /// A backup was published, and something needs attention.
    Warned,
    /// Nothing was published.
    Failed,
    /// Another run was in progress.
    Skipped,
}

impl Outcome {
    /// Whether a backup was published.
    pub fn is_success(self) -> bool {
        matches!(self, Outcome::Done | Outcome::Warned)
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// What began it: `manual`, `schedule`, `catch-up` or `retry`.
    #[serde(default)]
    pub trigger: String,
    /// The backup that it published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// The step in which it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The class of the error (see `Kind::word`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The error in words, without secrets and row values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What needs attention.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Rows in the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Tables in the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<u64>,
    /// Bytes of the backup on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The duration of each step, in milliseconds, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<(String, u64)>,
    /// The verdict of the proof, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// How many things the proof excepts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub exceptions: u64,
    /// Backups deleted by the policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<String>,
    /// Whether it failed because the volume was full: then the policy may delete all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
    /// The tables that lost rows, those that lost the most first; a manifest names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Loss>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub losses_unlisted: u64,
}

/// What somebody did to backups, beside all runs. A version of Kluis that does not know such lines passes them over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// What.
    pub did: Did,
    /// To which backups.
    pub backups: Vec<String>,
    /// Whether it went past what spoke against it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
}

/// What can be done to backups by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Did {
    /// Deleted by their names: `kluis delete`.
    Delete,
    /// Deleted by the policy: `kluis prune`.
    Prune,
    /// Losses up to a backup were said to be right: `kluis prune --accept-shrinkage`.
    AcceptShrinkage,
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A run.
    Run(Box<Entry>),
    /// Something else that was done.
    Deed(Deed),
}

impl Line {
    /// The line, if it is whole and of a kind that is known.
    fn parse(text: &[u8]) -> Option<Line> {
        let run = serde_json::from_slice(text).ok().map(|entry| Line::Run(Box::new(entry)));
        run.or_else(|| serde_json::from_slice(text).ok().map(Line::Deed))
    }
}

/// Adds a run.
pub fn append(target: &TargetFolder, entry: &Entry) -> Result<()> {
    add(target, entry)
}

/// Adds what was done by hand.
pub fn note(target: &TargetFolder, deed: &Deed) -> Result<()> {
    add(target, deed)
}

fn add(target: &TargetFolder, line: &impl Serialize) -> Result<()> {
    let line = serde_json::to_vec(line).expect("plain data always has a JSON form");
    files::append_line(&target.path.join(names::HISTORY), &line)
}

/// Every line that begins at byte `from` or later, oldest first, one by one. Returns where the next one will begin.
pub fn each_from(target: &TargetFolder, from: u64, mut take: impl FnMut(Line)) -> Result<u64> {
    let path = target.path.join(names::HISTORY);
    let mut file = std::io::BufReader::new(files::open_file(&path)?);
    let failed = |error| Error::io("read", &path, error);
    file.seek(std::io::SeekFrom::Start(from)).map_err(failed)?;
    let (mut next, mut line) = (from, Vec::new());
    loop {
        line.clear();
        let length = file.read_until(b'\n', &mut line).map_err(failed)?;
        // What does not end in a line break is still being written, or was cut short: then the next line's writer ends it first.
        if line.last() != Some(&b'\n') {
            return Ok(next);
        }
        next += length as u64;
        if let Some(line) = Line::parse(&line) {
            take(line);
        }
    }
}

/// Every run, oldest first.
pub fn read(target: &TargetFolder) -> Result<Vec<Entry>> {
    let path = target.path.join(names::HISTORY);
    match std::fs::symlink_metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("look at", &path, error)),
        Ok(_) => {}
    }
    let bytes = files::read_small(&path, 1 << 30)?;
    Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}
