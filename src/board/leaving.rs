//! When each backup goes: the policy tried on the days to come.
//! It owns the trying; the policy itself decides. It takes for granted that each scheduled run will make a good backup, and proves it where drills are made.
//! Invariant: no answer that the policy would not give: a backup that outlasts the trial is said to stay at least so long, not for ever.

use crate::retention::{Candidate, Facts, Policy, Standing, plan};
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

/// When each of these backups goes.
pub fn leaving(backups: &[Candidate], policy: &Policy, schedule: &Schedule, facts: &Facts, now: Timestamp) -> Vec<(String, Leaves)> {
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
        let (rows, bytes, line) = newest.map_or((None, 0, None), |newest| (newest.rows, newest.bytes, newest.line));
        there.push(Candidate { at, id: format!("ahead {run}"), standing, pinned: false, unread: false, line, rows, bytes });
        let plan = plan(&there, policy, at, &facts);
        let gone: Vec<&str> = plan.deleted().map(|decision| decision.id.as_str()).collect();
        there.retain(|backup| !gone.contains(&backup.id.as_str()));
        left.extend(gone.iter().map(|id| ((*id).to_owned(), at)));
        if there.iter().all(|backup| backup.id.starts_with("ahead") || backup.pinned || backup.standing == Standing::NotUnderstood) {
            break;
        }
    }
    let of = |backup: &Candidate| match left.get(&backup.id) {
        Some(at) => Leaves::After(*at),
        None if backup.pinned || backup.standing == Standing::NotUnderstood => Leaves::Never,
        None => Leaves::NotBefore(at),
    };
    backups.iter().map(|backup| (backup.id.clone(), of(backup))).collect()
}
