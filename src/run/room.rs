//! A run that failed because the volume is full: what the policy has given up makes room at once, and the operator hears what else would.
//! It owns that, and its words; it leaves the plan to `prune`.
//! Invariant: nothing goes that a floor, an age or a period keeps, and nothing while anything else suspends deletion.

use super::Context;
use crate::error::Error;
use crate::past::Past;
use crate::prune;
use crate::repository::TargetFolder;
use crate::repository::history;
use crate::repository::list::Listing;
use crate::repository::lock::Lock;
use crate::retention::Plan;
use crate::stop::Stop;
use crate::units::format_bytes;
use jiff::Timestamp;

/// Deletes what the policy has given up, if it was room that the run lacked. Returns what was deleted, and the error with what to do now.
pub(super) fn make(context: &Context<'_>, folder: &TargetFolder, lock: &Lock, error: Error, stop: &Stop) -> (Vec<String>, Error) {
    if !error.wants_room_in(context.repository.root()) {
        return (Vec::new(), error);
    }
    let settings = &context.target.settings;
    // What cannot be read or deleted now is no better reason for the failure than the one there is.
    let Ok(listing) = Listing::read(folder) else { return (Vec::new(), error) };
    let Ok(runs) = history::read(folder) else { return (Vec::new(), error) };
    let plan = prune::plan_after_success(&listing, &Past::of(&runs, &listing), settings, None, Timestamp::now());
    let (deleted, _) = prune::carry_out(&plan, folder, lock, stop);
    let freed = prune::bytes_of(&listing, deleted.iter().map(String::as_str));
    let hint = match deleted.len() {
        0 => advice(&plan, &listing, &folder.name, &error),
        1 => format!("1 backup that the policy had given up was deleted, {}: the next try has more room", format_bytes(freed)),
        count => format!("{count} backups that the policy had given up were deleted, {}: the next try has more room", format_bytes(freed)),
    };
    (deleted, error.hinted(hint))
}

/// The error of a run that would fail for want of room, with what would help.
pub fn advised(error: Error, root: &std::path::Path, plan: &Plan, listing: &Listing, target: &str) -> Error {
    if !error.wants_room_in(root) {
        return error;
    }
    let hint = advice(plan, listing, target, &error);
    error.hinted(hint)
}

fn advice(plan: &Plan, listing: &Listing, target: &str, error: &Error) -> String {
    let before = error.hint().unwrap_or("free some space on this volume, or give it a larger one");
    let gone = plan.deleted().count();
    let what = match &plan.suspended {
        Some(why) if !plan.decisions.is_empty() => format!("nothing is deleted here, because {why}: kluis prune --dry-run --target {target} says more"),
        _ if gone > 0 => format!(
            "kluis prune --target {target} deletes what the policy has given up ({gone} of {}, {}), also after a failed run",
            plan.decisions.len(),
            format_bytes(prune::bytes_of(listing, plan.deleted().map(|decision| decision.id.as_str())))
        ),
        _ => format!(
            "the policy gives up none of the backups: a lower BACKUP_RETENTION_DAYS and then kluis prune --target {target}, also after a failed run, or kluis delete ID"
        ),
    };
    format!("{before}; {what}")
}
