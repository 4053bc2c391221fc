//! `kluis list`: the backups of each target, the newest first, and what else is in their folders.
//! It owns the table; it leaves reading to `repository`.
//! Invariant: an empty repository is no error, and nothing that is there goes unmentioned.

use super::find::{self, Stray};
use super::output::{BOLD, Output, YELLOW};
use super::text::{Cell, clean, time};
use super::view::{self, Brief};
use super::{Context, End};
use crate::config::RepositoryConfig;
use crate::error::Result;
use crate::repository::history::{self, Entry, Outcome};
use crate::repository::list::Listing;
use crate::repository::{Repository, TargetFolder};
use crate::retention::Standing;
use crate::units::{cut, format_age, format_bytes, format_count};
use jiff::Timestamp;
use serde::Serialize;

/// How many exceptions of the newest proven backup are listed. `kluis show` lists all that are kept.
const MOST_EXCEPTIONS: usize = 5;

/// What `kluis list --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    targets: Vec<Target>,
    /// Those that the configuration does not name.
    strays: Vec<Stray>,
}

/// One target.
#[derive(Debug, Serialize)]
struct Target {
    /// Its name.
    target: String,
    /// Its backups, the newest first.
    backups: Vec<Brief>,
    /// Runs in progress, or what dead ones left.
    leftovers: Vec<String>,
    /// What is not ours in its folder.
    foreign: Vec<String>,
    /// The last run, as in `history.jsonl`, where it failed.
    last_failure: Option<Entry>,
}

/// Runs the command.
pub fn run(context: &Context) -> Result<End> {
    let (config, output) = (context.repository_config()?, &context.output);
    let repository = Repository::open(&config.common.dir)?;
    repository.check_identity(&config.common.scratch_dir)?;
    let targets = find::targets(&config, &repository)?;
    let targets = targets.iter().map(read).collect::<Result<Vec<Target>>>()?;
    let strays = find::strays_unless_told(context, &config, &repository)?;
    if output.json {
        output.json(&Report { targets, strays })?;
        return Ok(End::Done);
    }
    let mut text = String::new();
    for target in &targets {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&show(output, &config, target));
    }
    if targets.iter().all(|target| target.backups.is_empty()) {
        text.push_str(&none(&config, &repository)?);
    }
    for (what, remedy) in strays.iter().map(Stray::told) {
        text.push_str(&format!("\n{} {}\n  {remedy}\n", output.paint(YELLOW, "!"), clean(&what)));
    }
    output.print(&text)?;
    Ok(End::Done)
}

fn read(folder: &TargetFolder) -> Result<Target> {
    let listing = Listing::read(folder)?;
    let history = history::read(folder)?;
    let last = history.into_iter().rev().find(|run| run.outcome != Outcome::Skipped);
    Ok(Target {
        target: folder.name.clone(),
        backups: listing.backups.iter().rev().map(Brief::of).collect(),
        leftovers: listing.leftovers,
        foreign: listing.foreign,
        last_failure: last.filter(|run| run.outcome == Outcome::Failed),
    })
}

fn show(output: &Output, config: &RepositoryConfig, target: &Target) -> String {
    let mut text = String::new();
    if !target.backups.is_empty() {
        text = format!("{}\n", output.paint(BOLD, &clean(&target.target)));
        let heading = ["backup", "age", "verdict", "tables", "rows", "size", ""];
        let mut rows = vec![heading.iter().enumerate().map(|(index, word)| lean(Cell::from(word), index).styled(BOLD)).collect()];
        rows.extend(target.backups.iter().map(row));
        text.push_str(&output.table("  ", &rows));
    }
    let excepted = target.backups.iter().find(|backup| backup.standing == Standing::Proven).filter(|backup| !backup.exceptions.is_empty());
    if let Some(backup) = excepted {
        text.push_str(&format!("  a restore of {} does not bring back (kluis show says more):\n", backup.id));
        text.extend(backup.exceptions.lines(MOST_EXCEPTIONS).iter().map(|line| format!("  - {}\n", clean(line))));
    }
    let mut remark = |line: String| text.push_str(&format!("  {}\n", clean(&line)));
    if !target.leftovers.is_empty() {
        remark(format!("in progress, or left by a run that died and swept by the next: {}", target.leftovers.join(", ")));
    }
    if !target.foreign.is_empty() {
        remark(format!("not ours in this folder, and left alone: {}", target.foreign.join(", ")));
    }
    if let Some(run) = &target.last_failure {
        let step = run.step.as_ref().map(|step| format!(" in step '{step}'")).unwrap_or_default();
        remark(format!(
            "the last run failed at {}{step}: {}",
            time(run.finished, &config.common.time_zone),
            shortened(run.message.as_deref().unwrap_or("unknown"))
        ));
    }
    if target.backups.is_empty() && !text.is_empty() {
        text.insert_str(0, &format!("{}: no backups yet\n", output.paint(BOLD, &clean(&target.target))));
    }
    text
}

fn row(backup: &Brief) -> Vec<Cell> {
    let number = |value: Option<u64>, format: fn(u64) -> String| value.map_or("?".to_owned(), format);
    let pinned = if backup.pinned { Some("pinned".to_owned()) } else { None };
    let remarks: Vec<String> = pinned.into_iter().chain(backup.remark.clone()).collect();
    let cells = [
        Cell::from(&backup.id),
        Cell::from(format_age(Timestamp::now().duration_since(backup.started))),
        Cell::from(view::verdict(backup.standing, &backup.exceptions)).styled(view::style(backup.standing)),
        Cell::from(number(backup.tables, format_count)),
        Cell::from(number(backup.rows, format_count)),
        Cell::from(number(backup.bytes, format_bytes)),
        Cell::from(remarks.join("; ")),
    ];
    cells.into_iter().enumerate().map(|(index, cell)| lean(cell, index)).collect()
}

/// Numbers lean to the right.
fn lean(cell: Cell, column: usize) -> Cell {
    if (3..=5).contains(&column) { cell.right() } else { cell }
}

/// The beginning of a message that may name every table there is.
fn shortened(message: &str) -> String {
    let short = cut(message, 300);
    if short == message { short } else { format!("{short} (all of it in history.jsonl)") }
}

/// What to say where there is no backup at all.
fn none(config: &RepositoryConfig, repository: &Repository) -> Result<String> {
    let dir = clean(&config.common.dir.to_string_lossy());
    let Some(target) = &config.target else {
        return Ok(format!("no backups yet in {dir}; the first one is made by: kluis backup\n"));
    };
    let others: Vec<String> = repository.targets()?.into_iter().map(|other| other.name).filter(|name| name != target).collect();
    let others = if others.is_empty() { String::new() } else { format!("; there are backups of {}", others.join(", ")) };
    Ok(format!("no backups yet of target '{}' in {dir}{others}\n", clean(target)))
}
