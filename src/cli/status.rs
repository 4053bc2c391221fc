//! `kluis status`: how each target stands. The health check of the container.
//! It owns the words and the exit code; it leaves the judgement to `crate::status`.
//! Invariant: exit code 0 says that every target is fresh, and nothing else does.

use super::output::{BOLD, GREEN, Output, RED, YELLOW};
use super::text::{Cell, clean, count, time};
use super::{Context, End};
use crate::config::RepositoryConfig;
use crate::error::{Error, Kind, Result};
use crate::notify::{self, Standing};
use crate::repository::Repository;
use crate::repository::history::{Entry, Outcome};
use crate::status::{self, State, View};
use crate::units::{format_age, format_duration};
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// What `kluis status --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    /// `fresh` where all targets are; else the state of the worst.
    state: State,
    targets: Vec<View>,
    /// Whether those who are to be told can be told. It is no part of the verdict.
    notify: Vec<Standing>,
}

/// Runs the command.
pub fn run(context: &Context) -> Result<End> {
    let (config, output) = (context.repository_config()?, &context.output);
    let repository = Repository::open(&config.common.dir)?;
    let now = Timestamp::now();
    let names = names(&config, &repository)?;
    let targets = names.iter().map(|name| status::read(&repository.target(name), config.settings_of(name), now)).collect::<Result<Vec<View>>>()?;
    let worst = targets.iter().map(|view| view.state).max_by_key(|state| severity(*state)).unwrap_or(State::Starting);
    let notify = notify::standings(&repository, &config.common.notify.receivers);
    if output.json {
        output.json(&Report { state: worst, targets, notify })?;
    } else {
        let mut text: Vec<String> = targets.iter().map(|view| text(output, &config, view, now)).collect();
        let silent: String = notify.iter().filter(|standing| standing.failures_in_a_row > 0).map(|standing| silent(output, standing, now)).collect();
        text.extend(Some(silent).filter(|silent| !silent.is_empty()));
        output.print(&text.join("\n"))?;
    }
    Ok(if worst == State::Fresh { End::Done } else { End::Failed(Kind::Stale) })
}

fn severity(state: State) -> u8 {
    match state {
        State::Fresh => 0,
        State::Starting => 1,
        State::Stale => 2,
    }
}

/// The targets that must be fresh: the chosen one, or those of the configuration. Where that names none, all that the repository holds.
fn names(config: &RepositoryConfig, repository: &Repository) -> Result<Vec<String>> {
    let mut names: Vec<String> = match &config.target {
        Some(name) => vec![name.clone()],
        None => config.targets.iter().map(|(name, _)| name.clone()).collect(),
    };
    if names.is_empty() {
        names = repository.targets()?.into_iter().map(|folder| folder.name).collect();
    }
    if names.is_empty() {
        return Err(Error::new(Kind::Stale, format!("no backups yet in '{}'", config.common.dir.display()))
            .hinted("kluis backup makes the first one; with DB_DATABASE or --target it is known which target is meant"));
    }
    Ok(names)
}

fn text(output: &Output, config: &RepositoryConfig, view: &View, now: Timestamp) -> String {
    let zone = &config.common.time_zone;
    let style = match view.state {
        State::Fresh => GREEN,
        State::Starting => YELLOW,
        State::Stale => RED,
    };
    let mut text = format!("{} {}: {}\n", output.paint(BOLD, &clean(&view.target)), output.paint(style, view.state.word()), clean(&view.why));
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![Cell::from(name), Cell::from(value)]);
    if view.running {
        row("now", "a run is in progress, or one has died and the next sweeps".to_owned());
    }
    row("last run", view.last_run.as_ref().map_or_else(|| "none yet".to_owned(), |run| format!("{}, {}", time(run.started, zone), outcome(run))));
    row("next run", view.next_run.map_or_else(|| "never".to_owned(), |at| format!("{} ({})", time(at, zone), format_age(now.duration_since(at)))));
    let oldest = view.oldest.as_ref().map(|oldest| format!(", from {} on", time(oldest.at, zone))).unwrap_or_default();
    row("backups", format!("{}, {} proven{oldest}", count(view.backups, "backup"), view.proven));
    text.push_str(&output.table("  ", &rows));
    for remark in &view.remarks {
        text.push_str(&format!("  {} {}\n", output.paint(YELLOW, "!"), clean(remark)));
    }
    text
}

/// A receiver that cannot be told.
fn silent(output: &Output, standing: &Standing, now: Timestamp) -> String {
    let last = standing.last_failure.map_or_else(String::new, |at| format!(", the last one {}", format_age(now.duration_since(at))));
    let (times, why) = (count(standing.failures_in_a_row.into(), "attempt"), clean(standing.last_reason.as_deref().unwrap_or("unknown")));
    format!("{} {} {} cannot be told: {why} ({times}{last})\n", output.paint(YELLOW, "!"), standing.kind, clean(&standing.host))
}

fn outcome(run: &Entry) -> String {
    let took = format_duration(Duration::from_millis(run.steps.iter().map(|(_, ms)| ms).sum()));
    match run.outcome {
        Outcome::Done => format!("done in {took}"),
        Outcome::Warned => format!("done in {took}, with warnings: {}", run.warnings.join("; ")),
        Outcome::Failed => format!("failed in step '{}': {}", run.step.as_deref().unwrap_or("?"), run.message.as_deref().unwrap_or("unknown")),
        Outcome::Skipped => "skipped".to_owned(),
    }
}
