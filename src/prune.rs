//! Pruning: the retention plan made from what is in the repository, and carried out.
//! It owns turning backups into candidates, and deleting; which ones, `retention` decides, pure and with reasons.
//! Invariant: only what a plan says is deleted, oldest first, under the lock.

use crate::config::{Drill, Settings};
use crate::error::Result;
use crate::past::Past;
use crate::repository::list::{Backup, Listing};
use crate::repository::lock::Lock;
use crate::repository::source::{Source, lines};
use crate::repository::{TargetFolder, history, staging};
use crate::retention::{Candidate, Facts, Plan, Standing, plan};
use crate::stop::Stop;
use jiff::Timestamp;

/// What retention knows of a backup.
pub fn candidate(backup: &Backup) -> Candidate {
    let standing = match (&backup.manifest, &backup.proof) {
        (Err(_), _) => Standing::NotUnderstood,
        _ if backup.incomplete.is_some() => Standing::Incomplete,
        (_, Err(_)) => Standing::NotUnderstood,
        (Ok(_), Ok(None)) => Standing::Sealed,
        (Ok(_), Ok(Some(_))) if backup.is_bad() => Standing::Bad,
        _ if backup.suspicious.is_some() => Standing::Suspicious,
        (Ok(_), Ok(Some(proof))) if proof.proven() => Standing::Proven,
        (Ok(_), Ok(Some(proof))) if proof.rung == crate::manifest::Rung::Read => Standing::Read,
        _ => Standing::Sealed,
    };
    let manifest = backup.manifest.as_ref().ok();
    Candidate {
        at: backup.at(),
        id: backup.id.clone(),
        standing,
        pinned: backup.pinned,
        unread: backup.unread,
        line: None,
        rows: manifest.map(|manifest| manifest.rows()),
        bytes: manifest.map_or(0, |manifest| manifest.bytes()),
    }
}

/// What retention knows of all of them.
fn candidates(listing: &Listing) -> Vec<Candidate> {
    let sources: Vec<Option<Source>> = listing.backups.iter().map(|backup| backup.manifest.as_ref().ok().map(Source::of)).collect();
    let lines = lines(&sources, &listing.adoptions);
    listing.backups.iter().zip(lines).map(|(backup, line)| Candidate { line, ..candidate(backup) }).collect()
}

/// The plan for what is there now.
pub fn make_plan(listing: &Listing, target: &TargetFolder, settings: &Settings, now: Timestamp) -> Result<Plan> {
    let past = Past::of(&history::read(target)?, listing);
    let doubt = past.doubt(&settings.schedule, None, now);
    // A run that was skipped says nothing about whether backups can be made.
    let last_run_failed = past.last.is_some_and(|run| run.outcome == history::Outcome::Failed);
    Ok(planned(listing, settings, Facts { last_run_failed, drill_off: drill_off(settings), doubt }, now))
}

/// The plan for right after a run that published a backup, whose history line is not yet written. `own`: when that run began; nothing: it is only imagined.
pub fn plan_after_success(listing: &Listing, past: &Past, settings: &Settings, own: Option<Timestamp>, now: Timestamp) -> Plan {
    let doubt = past.doubt(&settings.schedule, own, now);
    planned(listing, settings, Facts { last_run_failed: false, drill_off: drill_off(settings), doubt }, now)
}

fn planned(listing: &Listing, settings: &Settings, facts: Facts, now: Timestamp) -> Plan {
    plan(&candidates(listing), &settings.policy, now, &facts)
}

fn drill_off(settings: &Settings) -> bool {
    matches!(settings.drill, Drill::Off)
}

/// Deletes what the plan says, the oldest first. Returns what was deleted, also when an error ended it.
pub fn carry_out(plan: &Plan, target: &TargetFolder, lock: &Lock, stop: &Stop) -> (Vec<String>, Result<()>) {
    let mut deleted = Vec::new();
    for decision in plan.deleted() {
        if let Err(error) = stop.check().and_then(|()| staging::delete(target, &decision.id, lock)) {
            return (deleted, Err(error));
        }
        deleted.push(decision.id.clone());
    }
    (deleted, Ok(()))
}
