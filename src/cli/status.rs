//! `kluis status`: how each target stands. The health check of the container.
//! It owns the words and the exit code; it leaves the judgement to `crate::status`.
//! Invariant: exit code 0 says that every target is fresh, and nothing else does; but for `--watch`, which says nothing by its exit code.

use super::find::{self, Stray};
use super::output::{BOLD, GREEN, Output, RED, YELLOW};
use super::text::{Cell, clean, count, time};
use super::watch::Watch;
use super::{Context, End, args};
use crate::config::{Common, RepositoryConfig};
use crate::error::{Error, Kind, Result};
use crate::exception;
use crate::http::token;
use crate::notify::{self, Standing};
use crate::repository::history::{Entry, Outcome};
use crate::repository::progress::{self, Progress};
use crate::repository::{Repository, TargetFolder};
use crate::run::EMPTY;
use crate::status::{self, State, View};
use crate::units::{first, format_age, format_bytes, format_count, format_duration, percent_encoded};
use jiff::Timestamp;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);

/// How often it says the same again where nothing can be redrawn.
const REMIND: Duration = Duration::from_secs(60);

/// How many exceptions of the newest proven backup are named.
const MOST_EXCEPTIONS: usize = 3;

/// What `kluis status --json` prints; with `--watch`, one in a line whenever something changed.
#[derive(Debug, Serialize)]
struct Report {
    /// `fresh` where all targets are; else the state of the worst.
    state: State,
    targets: Vec<Target>,
    /// Whether those who are to be told can be told. It is no part of the verdict.
    notify: Vec<Standing>,
    /// Targets with backups that the configuration does not name. They are no part of the verdict either.
    strays: Vec<Stray>,
}

/// One target.
#[derive(Debug, Serialize)]
struct Target {
    #[serde(flatten)]
    view: View,
    /// How far a run in progress is.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
}

/// What `kluis status --page --json` prints.
#[derive(Debug, Serialize)]
struct Page<'a> {
    page: &'a str,
}

/// The status page's address as a browser on this host wants it, with the token as its password.
fn page_address(common: &Common) -> Result<String> {
    let Some(address) = common.http else {
        return Err(
            Error::usage("BACKUP_HTTP is off: there is no status page").hinted("set BACKUP_HTTP, for instance to 127.0.0.1:8080, and start kluis serve")
        );
    };
    let token = common.http_token.clone().or_else(|| token::kept(&common.scratch_dir)).ok_or_else(|| {
        Error::usage(format!("there is no token in '{}'", common.scratch_dir.display()))
            .hinted("kluis serve makes one when it starts: run this where it runs, as the same user, with its BACKUP_SCRATCH_DIR")
    })?;
    // Whoever listens everywhere is reached here under this name, also through a port that a container publishes.
    let host = if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() };
    Ok(format!("http://kluis:{}@{host}/", percent_encoded(token.expose())))
}

/// Runs the command.
pub fn run(context: &Context, arguments: &args::Status) -> Result<End> {
    let (config, output) = (context.repository_config()?, &context.output);
    if arguments.page {
        let address = page_address(&config.common)?;
        if output.json {
            output.json(&Page { page: &address })?;
        } else {
            output.print(&format!("{address}\n"))?;
            if config.common.http.is_some_and(|address| address.ip().is_unspecified()) {
                output.remark("where a container publishes this port under another number, docker compose port backup 8080 tells which");
            }
        }
        return Ok(End::Done);
    }
    let repository = Repository::open(&config.common.dir)?;
    repository.check_identity(&config.common.scratch_dir)?;
    if arguments.watch {
        return watch(context, &config, &repository);
    }
    let mut now = Timestamp::now();
    let mut report = read(context, &config, &repository, now)?;
    while arguments.wait && report.state == State::Starting {
        std::thread::sleep(EVERY);
        now = Timestamp::now();
        report = read(context, &config, &repository, now)?;
    }
    if output.json {
        output.json(&report)?;
    } else {
        output.print(&whole(output, &config, &report, now))?;
    }
    Ok(if report.state == State::Fresh { End::Done } else { End::Failed(Kind::Stale) })
}

fn read(context: &Context, config: &RepositoryConfig, repository: &Repository, now: Timestamp) -> Result<Report> {
    let look = |name: &String| {
        let folder = repository.target(name);
        let view = status::read(&folder, config.settings_of(name), now)?;
        Ok(Target { view, progress: progress_of(&folder) })
    };
    let targets = names(config, repository)?.iter().map(look).collect::<Result<Vec<Target>>>()?;
    let state = targets.iter().map(|target| target.view.state).max_by_key(|state| state.severity()).unwrap_or(State::Starting);
    let notify = notify::standings(repository, &config.common.notify.receivers);
    Ok(Report { state, targets, notify, strays: find::strays_unless_told(context, config, repository)? })
}

/// Progress that cannot be read is no reason to say nothing of the backups.
fn progress_of(folder: &TargetFolder) -> Option<Progress> {
    progress::read(folder).ok().flatten()
}

/// Tells how things stand and how far runs are, until a signal comes. On a terminal it draws over what it drew before; elsewhere a line for each target
/// whenever something changed. Whole folders are read when a run begins or ends, and once a minute; in between only its progress is.
fn watch(context: &Context, config: &RepositoryConfig, repository: &Repository) -> Result<End> {
    let output = &context.output;
    let signals = Watch::new()?;
    let redraw = output.redraws();
    let mut report = read(context, config, repository, Timestamp::now())?;
    let (mut read_at, mut said_at, mut said) = (Instant::now(), Instant::now(), String::new());
    if redraw && !output.json {
        output.print("\x1b[2J")?;
    }
    loop {
        let now = Timestamp::now();
        let found: Vec<Option<Progress>> = report.targets.iter().map(|target| progress_of(&repository.target(&target.view.target))).collect();
        let turned = report.targets.iter().zip(&found).any(|(target, found)| target.progress.is_some() != found.is_some());
        if turned || read_at.elapsed() >= REMIND {
            report = read(context, config, repository, now)?;
            read_at = Instant::now();
        } else {
            report.targets.iter_mut().zip(found).for_each(|(target, found)| target.progress = found);
        }
        let text = if output.json {
            Output::json_line(&report)?
        } else if redraw {
            whole(output, config, &report, now)
        } else {
            report.targets.iter().map(|target| line(target, now)).collect()
        };
        if redraw && !output.json {
            output.print(&over(&text))?;
        } else if text != said || said_at.elapsed() >= REMIND {
            output.print(&text)?;
            (said, said_at) = (text, Instant::now());
        }
        let until = Instant::now() + EVERY;
        while Instant::now() < until {
            if signals.signal().is_some() {
                return Ok(End::Failed(Kind::Interrupted));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The text drawn from the top of the screen over what stood there. Lines that do not fit wrap, and nothing has to be counted.
fn over(text: &str) -> String {
    format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
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

fn whole(output: &Output, config: &RepositoryConfig, report: &Report, now: Timestamp) -> String {
    let mut parts: Vec<String> = report.targets.iter().map(|target| text(output, config, target, now)).collect();
    let silent: String = report.notify.iter().filter(|standing| standing.failures_in_a_row > 0).map(|standing| silent(output, standing, now)).collect();
    parts.extend(Some(silent).filter(|silent| !silent.is_empty()));
    parts.extend(report.strays.iter().map(Stray::told).map(|(what, remedy)| format!("{} {}\n  {remedy}\n", output.paint(YELLOW, "!"), clean(&what))));
    parts.join("\n")
}

fn text(output: &Output, config: &RepositoryConfig, target: &Target, now: Timestamp) -> String {
    let (view, zone) = (&target.view, &config.common.time_zone);
    let style = match view.state {
        State::Fresh => GREEN,
        State::Starting => YELLOW,
        State::Stale => RED,
    };
    let mut text = format!("{} {}: {}\n", output.paint(BOLD, &clean(&view.target)), output.paint(style, view.state.word()), clean(&view.why));
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![Cell::from(name), Cell::from(value)]);
    if let Some(progress) = &target.progress {
        row("now", progress_line(progress, now));
    } else if view.running {
        row("now", "a run is in progress, or one has died and the next sweeps".to_owned());
    } else if view.proving {
        row("now", "the newest backup is being proven".to_owned());
    }
    row("last run", view.last_run.as_ref().map_or_else(|| "none yet".to_owned(), |run| format!("{}, {}", time(run.started, zone), outcome(run))));
    if let Some(again) = view.retry_at {
        row("retry", format!("{} ({})", time(again, zone), format_age(now.duration_since(again))));
    }
    row("next run", view.next_run.map_or_else(|| "never".to_owned(), |at| format!("{} ({})", time(at, zone), format_age(now.duration_since(at)))));
    let oldest = view.oldest.as_ref().map(|oldest| format!(", from {} on", time(oldest.at, zone))).unwrap_or_default();
    row("backups", format!("{}, {} proven{oldest}", count(view.backups, "backup"), view.proven));
    if !view.exceptions.is_empty() {
        row("proof", format!("{}: {}", exception::verdict("proven", view.exceptions.count()), view.exceptions.lines(MOST_EXCEPTIONS).join("; ")));
    }
    text.push_str(&output.table("  ", &rows));
    if view.empty {
        text.push_str(&format!("  {} {EMPTY}; BACKUP_ALLOW_EMPTY=yes says that this is right\n", output.paint(YELLOW, "!")));
    }
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

/// A target in one line, for a log or a pipe.
fn line(target: &Target, now: Timestamp) -> String {
    let what = match &target.progress {
        Some(progress) => progress_line(progress, now),
        None => target.view.last_run.as_ref().map_or_else(|| "no run yet".to_owned(), |run| format!("last run {}", outcome(run))),
    };
    format!("{} {}: {}\n", clean(&target.view.target), target.view.state.word(), clean(&what))
}

/// `dump, 42 % of 9.70 GB, 31 of 42 tables, 11,800,000 rows, 45.6 MB/s, about 2 min 02 s left`
fn progress_line(progress: &Progress, now: Timestamp) -> String {
    let mut parts = vec![progress.part.as_ref().map_or_else(|| progress.step.clone(), |part| format!("{}: {part}", progress.step))];
    if let Some(fraction) = progress.fraction() {
        parts.push(format!("{} % of {}", (fraction * 100.0) as u64, format_bytes(progress.bytes_total)));
    }
    if progress.tables > 0 && progress.tables_total > 0 {
        parts.push(format!("{} of {}", format_count(progress.tables), count(progress.tables_total, "table")));
    }
    if progress.rows > 0 {
        parts.push(count(progress.rows, "row"));
    }
    parts.extend(progress.rate().filter(|rate| *rate > 0).map(|rate| format!("{}/s", format_bytes(rate))));
    parts.extend(progress.seconds_left().map(|left| format!("about {} left", format_duration(Duration::from_secs(left)))));
    let since = Duration::try_from(now.duration_since(progress.started)).unwrap_or_default();
    format!("{}; begun {} ago ({})", parts.join(", "), format_duration(Duration::from_secs(since.as_secs())), progress.trigger)
}

fn outcome(run: &Entry) -> String {
    let took = format_duration(Duration::from_millis(run.steps.iter().map(|(_, ms)| ms).sum()));
    match run.outcome {
        Outcome::Done => format!("done in {took}"),
        Outcome::Warned => format!("done in {took}, with warnings: {}", first(&run.warnings, 5).join("; ")),
        Outcome::Failed => format!("failed in step '{}': {}", run.step.as_deref().unwrap_or("?"), run.message.as_deref().unwrap_or("unknown")),
        Outcome::Skipped => "skipped".to_owned(),
    }
}
