//! `kluis restore`: a backup into a database that is named.
//! It owns finding the backup and the target; it leaves every check and the loading to `crate::restore`.
//! Invariant: the target is never guessed.

use super::progress::Progress;
use super::text::{clean, count};
use super::watch::Watch;
use super::{Context, End, args, find, places};
use crate::config::{self, Process};
use crate::error::{Error, Result};
use crate::repository::files::own_folder;
use crate::restore::{self, Request};
use crate::units::{format_bytes, format_duration};
use serde::Serialize;
use std::time::{Duration, Instant};

/// What `kluis restore --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    /// The backup.
    id: String,
    /// The database, as `user@host:port/name`.
    to: String,
    /// Tables whose rows were loaded.
    tables: u64,
    /// Rows loaded.
    rows: u64,
    /// Bytes of rows loaded, as COPY text.
    bytes: u64,
    /// Large objects loaded.
    large_objects: u64,
    /// How long it took, without the statistics, in milliseconds.
    duration_ms: u64,
    /// The statistics that were gathered; null where none were.
    analyzed: Option<Statistics>,
    /// Whether rows and digests were compared with the backup's.
    compared: bool,
    /// Roles that were made.
    roles: Vec<String>,
    /// Those of them that may log in and lack the password that they had.
    roles_without_password: Vec<String>,
    /// What was left out, since the role that restored may not make it: the first hundred.
    left_out: Vec<LeftOut>,
    /// Whether nothing was done.
    dry_run: bool,
    /// What a dry run would do.
    planned: Vec<String>,
    /// What needs attention.
    warnings: Vec<String>,
}

/// Something that was left out.
#[derive(Debug, Serialize)]
struct LeftOut {
    /// An entry of the archive, or a statement.
    what: String,
    /// What the server said.
    why: String,
}

/// The planner's statistics of what was restored.
#[derive(Debug, Serialize)]
struct Statistics {
    /// Tables and materialized views; a partitioned table counts once.
    tables: u64,
    /// How long it took, in milliseconds.
    duration_ms: u64,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &args::Restore) -> Result<End> {
    let Some(url) = &arguments.to else {
        return Err(Error::usage("--to is missing: the database to restore into")
            .hinted("say --to postgresql://USER@HOST:5432/DATABASE; it is never guessed, so that nothing is restored over the source by accident"));
    };
    let (config, output) = (context.repository_config()?, &context.output);
    let (to, warnings) = config::connection("--to", url, &Process)?;
    warnings.iter().for_each(|warning| output.warning(warning));
    let found = find::anywhere(&config, &arguments.id)?;
    let settings = found.target.as_ref().map_or(&config.others, |target| config.settings_of(&target.name));
    own_folder(&config.common.scratch_dir)?;
    let (watch, begun) = (Watch::new()?, Instant::now());
    let (stop, _dog) = watch.limited(settings);
    let progress = Progress::new(output, &found.backup.id);
    let request = Request {
        backup: &found.backup,
        to: &to,
        places: &places(&config.common),
        scratch: &config.common.scratch_dir,
        jobs: settings.jobs,
        tables: &arguments.tables,
        beside: arguments.beside.as_deref(),
        create: arguments.create,
        clean: arguments.clean,
        in_place: arguments.in_place,
        yes: arguments.yes,
        no_owner: arguments.no_owner,
        no_privileges: arguments.no_privileges,
        roles: arguments.roles,
        role_passwords: arguments.role_passwords,
        dry_run: arguments.dry_run,
        no_check: arguments.no_check,
        analyze: arguments.analyze.unwrap_or(arguments.tables.is_empty() && (arguments.create || arguments.clean)),
        settings: true,
        force: arguments.force,
        lock_wait: settings.lock_wait,
    };
    let restored = restore::restore(&request, &stop, &progress);
    drop(progress);
    let (restored, took) = (restored.map_err(|error| error.rehinted(by_url))?, begun.elapsed());
    let report = Report {
        id: found.backup.id.clone(),
        to: to.label(),
        tables: restored.tables,
        rows: restored.rows,
        bytes: restored.bytes,
        large_objects: restored.large_objects,
        duration_ms: took.saturating_sub(restored.analyzed.map(|analyzed| analyzed.took).unwrap_or_default()).as_millis() as u64,
        analyzed: restored.analyzed.map(|analyzed| Statistics { tables: analyzed.tables, duration_ms: analyzed.took.as_millis() as u64 }),
        compared: !arguments.no_check,
        roles: restored.roles,
        roles_without_password: restored.roles_without_password,
        left_out: restored.left_out.into_iter().map(|left| LeftOut { what: left.entry, why: left.why }).collect(),
        dry_run: arguments.dry_run,
        planned: restored.planned,
        warnings: restored.warnings,
    };
    if output.json {
        output.json(&report)?;
    } else {
        output.print(&report.text())?;
    }
    report.warnings.iter().for_each(|warning| output.warning(warning));
    if arguments.dry_run {
        return Ok(if report.warnings.is_empty() { End::Done } else { End::Warned });
    }
    if report.analyzed.is_none() {
        output.remark("the planner knows nothing of the new rows yet: run ANALYZE in the database, or restore with --analyze");
    }
    Ok(if report.warnings.is_empty() { End::Done } else { End::Warned })
}

/// What hints call the parts of a connection by the settings of a backup, and what they are called here, where it was typed.
const CALLED: [(&str, &str); 6] = [
    ("DB_USERNAME and DB_PASSWORD (or DB_PASSWORD_FILE, or the passfile)", "the user in --to and PGPASSWORD (or PGPASSWORD_FILE, or the passfile)"),
    ("DB_PASSWORD or DB_PASSWORD_FILE", "PGPASSWORD or PGPASSWORD_FILE"),
    ("in Docker Compose DB_HOST is", "in Docker Compose the host is"),
    ("check DB_HOST and DB_PORT", "check the host and port in --to"),
    ("check DB_HOST", "check the host in --to"),
    ("check DB_DATABASE", "check the database in --to"),
];

fn by_url(hint: &str) -> String {
    CALLED.iter().fold(hint.to_owned(), |hint, (setting, typed)| hint.replace(setting, typed))
}

impl Report {
    fn text(&self) -> String {
        if self.dry_run {
            let planned: String = self.planned.iter().map(|line| format!("  {}\n", clean(line))).collect();
            return format!("{} can be restored into {}; nothing was changed\n{planned}", clean(&self.id), clean(&self.to));
        }
        let rate = (u128::from(self.bytes) * 1000).checked_div(u128::from(self.duration_ms)).and_then(|rate| u64::try_from(rate).ok()).unwrap_or(0);
        let compared = if self.compared { "row counts and digests agree with the backup" } else { "not compared with the backup" };
        let mut more = if self.roles.is_empty() { String::new() } else { format!("  {} made\n", count(self.roles.len() as u64, "role")) };
        if !self.left_out.is_empty() {
            more.push_str(&format!("  left out, since the role may not make them: {}\n", self.left_out.len()));
        }
        if let Some(analyzed) = &self.analyzed {
            let took = format_duration(Duration::from_millis(analyzed.duration_ms));
            more.push_str(&format!("  {} analyzed for the planner in {took}\n", count(analyzed.tables, "table")));
        }
        format!(
            "{} restored into {}\n  {}, {}, {}, {} of rows\n  {}, {}/s; {compared}\n{more}",
            clean(&self.id),
            clean(&self.to),
            count(self.tables, "table"),
            count(self.rows, "row"),
            count(self.large_objects, "large object"),
            format_bytes(self.bytes),
            format_duration(Duration::from_millis(self.duration_ms)),
            format_bytes(rate),
        )
    }
}
