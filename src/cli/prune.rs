//! `kluis prune`: the retention plan with its reasons, carried out under the lock.
//! It owns printing the plan before anything is deleted; it leaves deciding to `retention` and deleting to `crate::prune`.
//! Invariant: what is carried out is what was printed. Targets that nobody named are left alone.

use super::output::{BOLD, GREEN, Output, RED};
use super::text::{Cell, clean, count};
use super::watch::Watch;
use super::{Context, End, args};
use crate::config::{RepositoryConfig, Settings};
use crate::error::{Error, Result};
use crate::manifest::Loss;
use crate::past::Past;
use crate::prune::{bytes_of, carry_out, failed_for_want_of_room, make_plan, shrunken};
use crate::repository::accepted::{self, Accepted};
use crate::repository::list::Listing;
use crate::repository::lock::Lock;
use crate::repository::{Repository, TargetFolder, history, staging};
use crate::retention::{Plan, Suspension};
use crate::stop::Stop;
use crate::units::format_bytes;
use jiff::Timestamp;
use serde::Serialize;

/// What `kluis prune --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    /// Whether it was only a plan.
    dry_run: bool,
    /// One for each target.
    targets: Vec<Target>,
}

/// One target.
#[derive(Debug, Serialize)]
struct Target {
    /// Its name.
    target: String,
    /// The backup whose losses were said to be right now; null: none.
    accepted: Option<String>,
    /// The tables that it lacks rows of, as its run found them; those that lost the most first.
    losses: Vec<Loss>,
    /// How many more there are.
    losses_unlisted: u64,
    /// The plan: `decisions`, the newest backup first, each with `id`, `keep` and `reasons`; and `suspended`, why nothing is deleted.
    plan: Plan,
    /// What was deleted; nothing in a dry run.
    deleted: Vec<String>,
    /// The size of what the plan deletes, in bytes.
    bytes: u64,
    /// Whether the history could tell of it.
    #[serde(skip)]
    end: End,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &args::Prune) -> Result<End> {
    let (config, output) = (context.repository_config()?, &context.output);
    let repository = Repository::open(&config.common.dir)?;
    repository.check_identity(&config.common.scratch_dir)?;
    let watch = Watch::new()?;
    let (stop, _dog) = watch.unlimited();
    let (mut end, mut report) = (End::Done, Report { dry_run: arguments.dry_run, targets: Vec::new() });
    for (folder, settings) in targets(&config, &repository)? {
        if !folder.exists()? {
            output.warning(&format!("target '{}' has no backups yet", folder.name));
            end = end.and(End::Warned);
            continue;
        }
        match one(output, &folder, settings, arguments, &stop) {
            Ok(target) => {
                if let Some(why) = target.plan.suspended.as_ref().filter(|_| !target.plan.decisions.is_empty()) {
                    let remedy = if why.shrunken().is_some() { "; kluis prune --accept-shrinkage says that it is right" } else { "" };
                    output.warning(&format!("{}: nothing is deleted: {why}{remedy}", folder.name));
                    end = end.and(End::Warned);
                }
                end = end.and(target.end);
                report.targets.push(target);
            }
            Err(error) => {
                output.failure(&error);
                end = end.and(End::Failed(error.kind()));
            }
        }
    }
    if output.json {
        output.json(&report)?;
    }
    Ok(end)
}

/// Only targets that were named: a typo in one place must not delete by another's policy.
fn targets<'a>(config: &'a RepositoryConfig, repository: &Repository) -> Result<Vec<(TargetFolder, &'a Settings)>> {
    if let Some(name) = &config.target {
        return Ok(vec![(repository.target(name), config.settings_of(name))]);
    }
    if config.targets.is_empty() {
        let there: Vec<String> = repository.targets()?.into_iter().map(|target| target.name).collect();
        let there = if there.is_empty() { String::new() } else { format!("; the repository holds {}", there.join(", ")) };
        return Err(Error::usage("no target is named, by --target or by the configuration").hinted(format!("say --target NAME{there}")));
    }
    Ok(config.targets.iter().map(|(name, settings)| (repository.target(name), settings)).collect())
}

fn one(output: &Output, folder: &TargetFolder, settings: &Settings, arguments: &args::Prune, stop: &Stop) -> Result<Target> {
    let lock = if arguments.dry_run { None } else { Some(Lock::take(folder, settings.lock_timeout, stop)?) };
    if let Some(lock) = &lock {
        // A prune that was killed in the middle left what it was deleting: the space is wanted now, not after the next backup.
        staging::sweep(folder, lock)?;
    }
    let (mut listing, now) = (Listing::read(folder)?, Timestamp::now());
    if let Some(lock) = &lock {
        listing.condense(folder, lock);
    }
    let shrunken = shrunken(&listing, settings, now);
    let runs = history::read(folder)?;
    let past = Past::of(&runs, &listing);
    let (losses, losses_unlisted) = losses(runs, shrunken.as_deref());
    let (accepted, end) = if arguments.accept_shrinkage { accept(output, folder, &mut listing, shrunken, lock.as_ref(), now)? } else { (None, End::Done) };
    let plan = make_plan(&listing, &past, settings, now);
    if failed_for_want_of_room(&past) {
        output.remark(&format!("{}: the last run failed because the volume is full: what the policy has given up goes all the same", folder.name));
    }
    let bytes = bytes_of(&listing, plan.deleted().map(|decision| decision.id.as_str()));
    if !output.json {
        output.print(&text(output, &folder.name, &plan))?;
        if plan.suspended.as_ref().and_then(Suspension::shrunken).is_some() || accepted.is_some() {
            output.print(&lost(&losses, losses_unlisted))?;
        }
    }
    let Some(lock) = lock else {
        if !output.json && plan.suspended.is_none() {
            output.print(&format!("  would delete {}, {}\n", count(plan.deleted().count() as u64, "backup"), format_bytes(bytes)))?;
        }
        return Ok(Target { target: folder.name.clone(), accepted, losses, losses_unlisted, plan, deleted: Vec::new(), bytes, end });
    };
    let (deleted, result) = carry_out(&plan, folder, &lock, stop);
    let end = end.and(super::delete::note(output, folder, history::Did::Prune, &deleted, false));
    if let Err(error) = result {
        return Err(error.context(format!("target '{}': stopped after deleting {}", folder.name, count(deleted.len() as u64, "backup"))));
    }
    if !output.json && plan.suspended.is_none() {
        output.print(&format!("  deleted {}, {}\n", count(deleted.len() as u64, "backup"), format_bytes(bytes)))?;
    }
    Ok(Target { target: folder.name.clone(), accepted, losses, losses_unlisted, plan, deleted, bytes, end })
}

/// The tables that the run of this backup found to have lost rows, and how many more there are.
fn losses(runs: Vec<history::Entry>, id: Option<&str>) -> (Vec<Loss>, u64) {
    let run = runs.into_iter().rev().find(|run| id.is_some() && run.backup.as_deref() == id);
    run.map(|run| (run.losses, run.losses_unlisted)).unwrap_or_default()
}

fn lost(losses: &[Loss], unlisted: u64) -> String {
    let mut text: String = losses.iter().map(|loss| format!("  {}\n", clean(&loss.describe()))).collect();
    if unlisted > 0 {
        text.push_str(&format!("  and {} lost rows\n", count(unlisted, "more table")));
    }
    text
}

/// Takes note that what this backup lacks is missed by nobody, or in a dry run plans as if that were noted.
fn accept(
    output: &Output,
    folder: &TargetFolder,
    listing: &mut Listing,
    shrunken: Option<String>,
    lock: Option<&Lock>,
    now: Timestamp,
) -> Result<(Option<String>, End)> {
    let found = shrunken.and_then(|id| listing.backups.iter().find(|backup| backup.id == id));
    let Some(backup) = found else {
        output.remark(&format!("{}: no rows disappeared, so there is nothing to accept", folder.name));
        return Ok((None, End::Done));
    };
    if let Some(why) = &backup.suspicious {
        return Err(Error::usage(format!("the losses of backup '{}' are not accepted: it is {why}", backup.id))
            .hinted("look whether this is the right database; if it is to be empty, set BACKUP_ALLOW_EMPTY=yes and back up again"));
    }
    let (id, started, mut end) = (backup.id.clone(), backup.at(), End::Done);
    if let Some(lock) = lock {
        accepted::write(folder, &Accepted { at: now, backup: id.clone(), started }, lock)?;
        end = super::delete::note(output, folder, history::Did::AcceptShrinkage, std::slice::from_ref(&id), false);
    }
    listing.accepted = Some(started);
    Ok((Some(id), end))
}

fn text(output: &Output, name: &str, plan: &Plan) -> String {
    let mut rows = vec![["backup", "plan", "because"].iter().map(|word| Cell::from(word).styled(BOLD)).collect::<Vec<Cell>>()];
    rows.extend(plan.decisions.iter().map(|decision| {
        let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
        let what = if decision.keep { Cell::from("keep").styled(GREEN) } else { Cell::from("delete").styled(RED) };
        vec![Cell::from(&decision.id), what, Cell::from(reasons.join("; "))]
    }));
    let table = if plan.decisions.is_empty() { "  no backups\n".to_owned() } else { output.table("  ", &rows) };
    format!("{}\n{table}", output.paint(BOLD, &clean(name)))
}
