//! When each backup goes: the policy tried on the days to come.
//! It owns the trying; the policy itself decides. It takes for granted that each scheduled run will make a good backup, and proves it where drills are made.
//! Invariant: no answer that the policy would not give: a backup that outlasts the trial is said to stay at least so long, not for ever.

use crate::retention::{Candidate, Facts, Loss, Policy, Standing, plan};
use crate::schedule::Schedule;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::HashMap;

/// How many runs ahead are tried, and how far ahead at the most.
const RUNS: usize = 400;
const AHEAD: SignedDuration = SignedDuration::from_hours(400 * 24);

/// When a backup goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "when", content = "at")]
pub enum Leaves {
    /// After the run at this time, if all goes well.
    After(Timestamp),
    /// Not before this time: the trial went no further.
    NotBefore(Timestamp),
    /// Not by itself: it is pinned, or not understood.
    Never,
    /// It was not worked out.
    Unknown,
}

/// What is to come, if all goes well and no backup is larger than the newest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ahead {
    /// When each backup goes.
    pub leaves: Vec<(String, Leaves)>,
    /// The most that all backups take at once, in bytes.
    pub most_bytes: u64,
}

/// When each of these backups goes, and how much room the policy will need.
pub fn ahead(backups: &[Candidate], policy: &Policy, schedule: &Schedule, facts: &Facts, now: Timestamp) -> Ahead {
    let mut most_bytes = bytes_of(backups);
    let mut there: Vec<Candidate> = backups.to_vec();
    let mut left: HashMap<String, Timestamp> = HashMap::new();
    let newest = backups.iter().max();
    let standing = if facts.drill_off { Standing::Sealed } else { Standing::Proven };
    let facts = Facts { last_run_failed: false, doubt: None, ..*facts };
    let mut at = now;
    for run in 0..RUNS {
        let Some(next) = schedule.next_after(at).filter(|next| next.duration_since(now) <= AHEAD) else { break };
        at = next;
        // Names of their own, which no real backup has.
        let (rows, bytes) = newest.map_or((None, 0), |newest| (newest.rows, newest.bytes));
        let line = newest.and_then(|newest| newest.line);
        // Losses that last go on lasting, and are no news.
        let loss = newest.and_then(|newest| newest.loss.as_ref()).map(|loss| Loss { before: loss.before.clone(), ..Loss::default() });
        there.push(Candidate { at, id: format!("ahead {run}"), standing, pinned: false, unread: false, line, rows, bytes, loss });
        // Each run needs its room before anything goes.
        most_bytes = most_bytes.max(bytes_of(&there));
        let plan = plan(&there, policy, at, &facts);
        let gone: Vec<&str> = plan.deleted().map(|decision| decision.id.as_str()).collect();
        there.retain(|backup| !gone.contains(&backup.id.as_str()));
        left.extend(gone.iter().map(|id| ((*id).to_owned(), at)));
    }
    let of = |backup: &Candidate| match left.get(&backup.id) {
        Some(at) => Leaves::After(*at),
        None if backup.pinned || backup.standing == Standing::NotUnderstood => Leaves::Never,
        None => Leaves::NotBefore(at),
    };
    Ahead { leaves: backups.iter().map(|backup| (backup.id.clone(), of(backup))).collect(), most_bytes }
}

fn bytes_of(backups: &[Candidate]) -> u64 {
    backups.iter().fold(0, |sum, backup| sum.saturating_add(backup.bytes))
}
