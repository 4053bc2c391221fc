//! Pruning: the retention plan made from what is in the repository, and carried out; and deleting by name.
//! It owns turning backups into candidates, and deleting; which ones, and what speaks against it, `retention` decides, pure and with reasons.
//! Invariant: only what a plan or a person names is deleted, oldest first, under the lock.

use crate::clock::Doubt;
use crate::config::{Drill, Settings};
use crate::error::Result;
use crate::past::Past;
use crate::repository::list::{Backup, Listing};
use crate::repository::lock::Lock;
use crate::repository::source::lines;
use crate::repository::{TargetFolder, history, staging};
use crate::retention::{self, Candidate, Facts, Loss, Plan, Reason, Standing, plan};
use crate::stop::Stop;
use jiff::Timestamp;

/// What retention knows of a backup.
pub fn candidate(backup: &Backup) -> Candidate {
    let standing = match (&backup.manifest, &backup.proof) {
        (Err(_), _) => Standing::NotUnderstood,
        _ if backup.incomplete.is_some() => Standing::Incomplete,
        (_, Err(_)) => Standing::NotUnderstood,
        _ if backup.is_bad() => Standing::Bad,
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
        loss: manifest.and_then(|manifest| manifest.changes.as_ref()).map(|changes| Loss {
            against: changes.against.clone(),
            gone: changes.lost(),
            emptied: changes.emptied,
            halved: changes.halved,
            before: changes.before_losses.clone(),
        }),
    }
}

/// What retention knows of all of them.
fn candidates(listing: &Listing) -> Vec<Candidate> {
    let lines = lines(listing.sources().iter().map(Option::as_ref), &listing.adoptions);
    listing.backups.iter().zip(lines).map(|(backup, line)| Candidate { line, ..candidate(backup) }).collect()
}

fn facts(listing: &Listing, settings: &Settings, last_run_failed: bool, doubt: Option<Doubt>) -> Facts {
    Facts { last_run_failed, drill_off: matches!(settings.drill, Drill::Off), doubt, accepted: listing.accepted }
}

/// The plan for what is there now.
pub fn make_plan(listing: &Listing, past: &Past, settings: &Settings, now: Timestamp) -> Plan {
    let doubt = past.doubt(&settings.schedule, None, now);
    // A run that was skipped says nothing about whether backups can be made; and one that failed because the volume is full is the very reason to delete what
    // the policy has given up.
    let failed = past.last.as_ref().is_some_and(|run| run.outcome == history::Outcome::Failed && !run.full);
    planned(listing, settings, facts(listing, settings, failed, doubt), now)
}

/// The plan for right after a run that published a backup, whose history line is not yet written. `own`: when that run began; nothing: it is only imagined.
pub fn plan_after_success(listing: &Listing, past: &Past, settings: &Settings, own: Option<Timestamp>, now: Timestamp) -> Plan {
    let doubt = past.doubt(&settings.schedule, own, now);
    planned(listing, settings, facts(listing, settings, false, doubt), now)
}

fn planned(listing: &Listing, settings: &Settings, facts: Facts, now: Timestamp) -> Plan {
    plan(&candidates(listing), &settings.policy, now, &facts)
}

/// Whether the last run failed because the volume was full.
pub fn failed_for_want_of_room(past: &Past) -> bool {
    past.last.as_ref().is_some_and(|run| run.outcome == history::Outcome::Failed && run.full)
}

/// What speaks against deleting the backup of that name.
pub fn objections(listing: &Listing, id: &str, settings: &Settings, now: Timestamp) -> Vec<Reason> {
    retention::objections(&candidates(listing), &settings.policy, now, &facts(listing, settings, false, None))
        .into_iter()
        .filter(|(other, _)| other == id)
        .flat_map(|(_, reasons)| reasons)
        .collect()
}

/// The backup whose losses somebody can say to be right, where it lost something or one from before a loss is kept.
pub fn shrunken(listing: &Listing, settings: &Settings, now: Timestamp) -> Option<String> {
    retention::shrunken(&candidates(listing), now, &facts(listing, settings, false, None))
}

/// What these backups take on the disk, in bytes, as far as their manifests tell.
pub fn bytes_of<'a>(listing: &Listing, ids: impl Iterator<Item = &'a str>) -> u64 {
    let size = |id: &str| listing.backups.iter().find(|backup| backup.id == id).map_or(0, |backup| candidate(backup).bytes);
    ids.map(size).sum()
}

/// Deletes what the plan says, the oldest first. Returns what was deleted, also when an error ended it.
pub fn carry_out(plan: &Plan, target: &TargetFolder, lock: &Lock, stop: &Stop) -> (Vec<String>, Result<()>) {
    delete(&plan.deleted().map(|decision| decision.id.clone()).collect::<Vec<_>>(), target, lock, stop)
}

/// Deletes the backups of these names, in their order, and points `latest` at the newest of the others that may be relied upon. Returns what was deleted, also
/// when an error ended it.
pub fn remove(ids: &[String], listing: &Listing, target: &TargetFolder, lock: &Lock, stop: &Stop) -> (Vec<String>, Result<()>) {
    let point = |gone: &[String]| staging::point_latest(target, listing.without(gone).latest().map(|backup| backup.id.as_str()), lock);
    // First, so that a crash leaves no link that leads nowhere.
    if let Err(error) = point(ids) {
        return (Vec::new(), Err(error));
    }
    let (deleted, mut result) = delete(ids, target, lock, stop);
    if result.is_err() {
        // What stayed may be the newest. What ended the deletions matters more than a link.
        let pointed = point(&deleted);
        result = result.and(pointed);
    }
    (deleted, result)
}

fn delete(ids: &[String], target: &TargetFolder, lock: &Lock, stop: &Stop) -> (Vec<String>, Result<()>) {
    let mut deleted = Vec::new();
    for id in ids {
        if let Err(error) = stop.check().and_then(|()| staging::delete(target, id, lock)) {
            return (deleted, Err(error));
        }
        deleted.push(id.clone());
    }
    (deleted, Ok(()))
}
