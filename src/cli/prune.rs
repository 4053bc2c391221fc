//! `kluis prune`: the retention plan with its reasons, carried out under the lock.
//! It owns printing the plan before anything is deleted; it leaves deciding to `retention` and deleting to `crate::prune`.
//! Invariant: what is carried out is what was printed. Targets that nobody named are left alone.

use super::output::{BOLD, GREEN, Output, RED};
use super::text::{Cell, clean, count};
use super::watch::Watch;
use super::{Context, End, args};
use crate::config::{RepositoryConfig, Settings};
use crate::error::{Error, Result};
use crate::prune::{candidate, carry_out, make_plan};
use crate::repository::list::Listing;
use crate::repository::lock::Lock;
use crate::repository::{Repository, TargetFolder, staging};
use crate::retention::Plan;
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
    /// The plan: `decisions`, the newest backup first, each with `id`, `keep` and `reasons`; and `suspended`, why nothing is deleted.
    plan: Plan,
    /// What was deleted; nothing in a dry run.
    deleted: Vec<String>,
    /// The size of what the plan deletes, in bytes.
    bytes: u64,
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
        match one(output, &folder, settings, arguments.dry_run, &stop) {
            Ok(target) => {
                if let Some(why) = target.plan.suspended.as_ref().filter(|_| !target.plan.decisions.is_empty()) {
                    output.warning(&format!("{}: nothing is deleted: {why}", folder.name));
                    end = end.and(End::Warned);
                }
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

fn one(output: &Output, folder: &TargetFolder, settings: &Settings, dry_run: bool, stop: &Stop) -> Result<Target> {
    let lock = if dry_run { None } else { Some(Lock::take(folder, settings.lock_timeout, stop)?) };
    if let Some(lock) = &lock {
        // A prune that was killed in the middle left what it was deleting: the space is wanted now, not after the next backup.
        staging::sweep(folder, lock)?;
    }
    let listing = Listing::read(folder)?;
    if let Some(lock) = &lock {
        listing.condense(folder, lock);
    }
    let plan = make_plan(&listing, folder, settings, Timestamp::now())?;
    let size = |id: &str| listing.backups.iter().find(|backup| backup.id == id).map_or(0, |backup| candidate(backup).bytes);
    let bytes = plan.deleted().map(|decision| size(&decision.id)).sum();
    if !output.json {
        output.print(&text(output, &folder.name, &plan))?;
    }
    let Some(lock) = lock else {
        if !output.json && plan.suspended.is_none() {
            output.print(&format!("  would delete {}, {}\n", count(plan.deleted().count() as u64, "backup"), format_bytes(bytes)))?;
        }
        return Ok(Target { target: folder.name.clone(), plan, deleted: Vec::new(), bytes });
    };
    let (deleted, result) = carry_out(&plan, folder, &lock, stop);
    if let Err(error) = result {
        return Err(error.context(format!("target '{}': stopped after deleting {}", folder.name, count(deleted.len() as u64, "backup"))));
    }
    if !output.json && plan.suspended.is_none() {
        output.print(&format!("  deleted {}, {}\n", count(deleted.len() as u64, "backup"), format_bytes(bytes)))?;
    }
    Ok(Target { target: folder.name.clone(), plan, deleted, bytes })
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
