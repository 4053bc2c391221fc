//! `kluis backup --dry-run`: as far as a run can go without writing.
//! It owns asking each step what it would do; it leaves the answers to the engine.
//! Invariant: it fails where a run would fail, in the same way, and the repository stays byte for byte as it was.

use super::output::{GREEN, Output, failure_json};
use super::text::{clean, count, time};
use super::watch::Watch;
use super::{Context, End, places};
use crate::adopt;
use crate::config::{Common, Drill, Target};
use crate::error::{Error, Kind, Result};
use crate::past::Past;
use crate::postgres::throwaway;
use crate::postgres::tools::Places;
use crate::preflight;
use crate::prune::plan_after_success;
use crate::repository::Repository;
use crate::repository::history;
use crate::repository::list::Listing;
use crate::repository::lock::Lock;
use crate::retention::Plan;
use crate::run;
use crate::stop::Stop;
use crate::units::format_bytes;
use jiff::Timestamp;
use serde::Serialize;
use std::path::Path;

/// What `kluis backup --dry-run --json` prints: `{"dry_run": true, "targets": […]}`. Where a run would fail, a target has `target` and `error` only.
#[derive(Debug, Serialize)]
struct Report {
    dry_run: bool,
    targets: Vec<serde_json::Value>,
}

/// What a run would do.
#[derive(Debug, Serialize)]
struct Forecast {
    /// The target.
    target: String,
    /// The database, as `user@host:port/name`.
    database: String,
    /// The server's version.
    server: String,
    /// The version of the pg_dump that would be used, and its folder.
    pg_dump: String,
    pg_dump_folder: String,
    /// `pg_database_size`, in bytes.
    database_bytes: u64,
    /// Tables whose rows would be moved, and their size on the server's disk, in bytes.
    tables: u64,
    table_bytes: u64,
    /// Large objects.
    large_objects: u64,
    /// What the backup is expected to need, in bytes; null before the first one.
    expected_bytes: Option<u64>,
    /// Free space in the repository, in bytes.
    free_bytes: u64,
    /// Whether the target has a folder already.
    folder_exists: bool,
    /// The backups that there are, the newest first, and what the policy would do with each after a success.
    plan: Plan,
    /// The schedule in words, and the next three runs.
    schedule: String,
    next_runs: Vec<Timestamp>,
    /// What needs attention.
    warnings: Vec<String>,
}

/// Runs the command.
pub fn run(context: &Context) -> Result<End> {
    let (config, output) = (context.config()?, &context.output);
    let (watch, places) = (Watch::new()?, places(&config.common));
    let (mut end, mut report) = (End::Done, Report { dry_run: true, targets: Vec::new() });
    let repository = open(&config.common)?;
    for target in &config.targets {
        let (stop, _dog) = watch.limited(&target.settings);
        match forecast(repository.as_ref(), target, &places, &config.common.scratch_dir, &stop) {
            Ok(forecast) => {
                if !output.json {
                    output.print(&text(output, &config.common, &forecast))?;
                }
                forecast.warnings.iter().for_each(|warning| output.warning(&format!("{}: {warning}", target.name)));
                end = end.and(if forecast.warnings.is_empty() { End::Done } else { End::Warned });
                report.targets.push(serde_json::to_value(&forecast).map_err(|error| Error::new(Kind::Failed, "the result has no JSON form").because(error))?);
            }
            Err(error) => {
                let error = if config.targets.len() > 1 { error.context(format!("target '{}'", target.name)) } else { error };
                output.failure(&error);
                end = end.and(End::Failed(error.kind()));
                report.targets.push(serde_json::json!({ "target": target.name, "error": failure_json(&error) }));
                if error.kind() == Kind::Interrupted {
                    break;
                }
            }
        }
    }
    if output.json {
        output.json(&report)?;
    } else if !matches!(end, End::Failed(_)) {
        output.remark("nothing was changed: this was a dry run");
    }
    Ok(end)
}

/// The repository; nothing where a run would have to make it and could.
fn open(common: &Common) -> Result<Option<Repository>> {
    match std::fs::symlink_metadata(&common.dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // A run makes the last folder of the path, in a parent that is there.
            let parent = common.dir.parent().unwrap_or(&common.dir);
            let allowed = rustix::fs::access(parent, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
            allowed.map(|()| None).map_err(|error| Error::io("create the folder", &common.dir, error.into()))
        }
        _ => {
            let repository = Repository::open(&common.dir)?;
            repository.check_identity(&common.scratch_dir)?;
            Ok(Some(repository))
        }
    }
}

fn forecast(repository: Option<&Repository>, target: &Target, places: &Places, scratch: &Path, stop: &Stop) -> Result<Forecast> {
    let settings = &target.settings;
    let (mut listing, mut history, mut existing) = (Listing::default(), Vec::new(), false);
    if let Some(repository) = repository {
        repository.check_writable()?;
        let folder = repository.target(&target.name);
        if folder.exists()? {
            folder.check_writable()?;
            // Taken and given back at once: no run has to wait for a dry run.
            drop(Lock::take(&folder, settings.lock_timeout, stop)?);
            (listing, existing) = (Listing::read(&folder)?, true);
            history = history::read(&folder).unwrap_or_default();
        }
    }
    let last = listing.latest().and_then(|backup| backup.manifest.as_ref().ok());
    let plan = plan_after_success(&listing, &Past::of(&history, &listing), settings, None, Timestamp::now());
    let found = match repository {
        Some(repository) => preflight::check(&target.connection, places, settings.lock_wait, repository, last, stop)
            .map_err(|error| run::advised(error, repository.root(), &plan, &listing, &target.name))?,
        None => {
            let reached = preflight::database(&target.connection, places, settings.lock_wait, stop)?;
            preflight::Preflight { reached, free: 0, expected: None, warnings: Vec::new() }
        }
    };
    adopt::check(&target.name, &listing, &found.reached.source)?;
    let preflight::Preflight { reached, free, expected, mut warnings } = found;
    if !matches!(settings.drill, Drill::Off)
        && let Err(error) = throwaway::try_folder(scratch)
    {
        warnings.push(format!("the backup could not be proven: {}", error.chain()));
    }
    Ok(Forecast {
        target: target.name.clone(),
        database: target.connection.label(),
        server: reached.facts.server.version,
        pg_dump: reached.tools.version,
        pg_dump_folder: reached.tools.folder.to_string_lossy().into_owned(),
        database_bytes: reached.facts.database.bytes,
        tables: reached.tables,
        table_bytes: reached.table_bytes,
        large_objects: reached.facts.large_objects,
        expected_bytes: expected,
        free_bytes: free,
        folder_exists: existing,
        plan,
        schedule: settings.schedule.describe(),
        next_runs: settings.schedule.upcoming(Timestamp::now(), 3),
        warnings,
    })
}

fn text(output: &Output, common: &Common, forecast: &Forecast) -> String {
    let mut lines = vec![
        format!("would dump   {} on PostgreSQL {} with pg_dump {} of {}", forecast.database, forecast.server, forecast.pg_dump, forecast.pg_dump_folder),
        format!(
            "             {}, {} of rows on the server's disk, {}; the database has {}",
            count(forecast.tables, "table"),
            format_bytes(forecast.table_bytes),
            count(forecast.large_objects, "large object"),
            format_bytes(forecast.database_bytes)
        ),
    ];
    let folder = common.dir.join(&forecast.target);
    let expected = forecast.expected_bytes.map_or_else(|| "the first backup".to_owned(), |bytes| format!("about {}", format_bytes(bytes)));
    let free = if forecast.free_bytes == 0 { String::new() } else { format!(" ({} free)", format_bytes(forecast.free_bytes)) };
    let new = if forecast.folder_exists { "" } else { ", which would be created" };
    lines.push(format!("would write  {expected} to {}{new}{free}", folder.display()));
    let deleted: Vec<&str> = forecast.plan.deleted().map(|decision| decision.id.as_str()).collect();
    let deleted = if deleted.is_empty() { "nothing".to_owned() } else { deleted.join(", ") };
    lines.push(format!("would keep   {} of those there are, and the new one", count(forecast.plan.kept().count() as u64, "backup")));
    lines.push(format!("would delete {deleted}"));
    lines.extend(forecast.plan.suspended.as_ref().filter(|_| !forecast.plan.decisions.is_empty()).map(|why| format!("             because {why}")));
    lines.push(format!("scheduled    {}", forecast.schedule));
    let next: Vec<String> = forecast.next_runs.iter().map(|at| time(*at, &common.time_zone)).collect();
    lines.push(format!("next runs    {}", next.join(", ")));
    let lines: String = lines.iter().map(|line| format!("  {}\n", clean(line))).collect();
    format!("{}\n{lines}", output.paint(GREEN, &clean(&forecast.target)))
}
