//! `kluis backup`: one run now, for each target.
//! It owns the order of the targets and what is printed of each run; it leaves the run to `crate::run`.
//! Invariant: one target's failure keeps no other target from its run; only a signal ends them all.

use super::journal::{Both, Journal};
use super::output::{GREEN, Output, YELLOW, failure_json};
use super::progress::Progress;
use super::text::{clean, count, ratio};
use super::watch::Watch;
use super::{Context, End, args, dry_run, notify, places};
use crate::error::{Error, Kind, Result};
use crate::exception::{self, Exceptions};
use crate::manifest::Proof;
use crate::repository::Repository;
use crate::repository::history::Outcome;
use crate::run::{self, Done};
use crate::units::{format_bytes, format_duration};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// What `kluis backup --json` prints: `{"targets": […]}`, one for each target, in order.
#[derive(Debug, Serialize)]
struct Report {
    targets: Vec<Run>,
}

/// One run.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Run {
    /// A backup was published.
    Published(Box<Published>),
    /// None was. `outcome`: `failed`, or `skipped` where another run holds the lock; `error`: as on stderr.
    Failed { target: String, outcome: Outcome, error: serde_json::Value },
}

/// A published backup.
#[derive(Debug, Serialize)]
struct Published {
    /// The target.
    target: String,
    /// `done`, or `warned` where something needs attention.
    outcome: Outcome,
    /// The backup's name.
    id: String,
    /// Tables in it.
    tables: u64,
    /// Rows in it.
    rows: u64,
    /// Large objects in it.
    large_objects: u64,
    /// Its size on disk, in bytes.
    bytes: u64,
    /// The size of its script uncompressed, in bytes.
    plain_bytes: u64,
    /// How long the run took, in milliseconds.
    duration_ms: u64,
    /// Each step with its milliseconds, in order.
    steps: Vec<Step>,
    /// The verdict of the proof, where there was one.
    proof: Option<String>,
    /// What a restore does not bring back, where it was proven.
    #[serde(flatten)]
    exceptions: Exceptions,
    /// Backups that the policy keeps.
    kept: u64,
    /// Backups that the policy deleted.
    deleted: Vec<String>,
    /// What needs attention.
    warnings: Vec<String>,
}

/// A step of a run.
#[derive(Debug, Serialize)]
struct Step {
    step: String,
    ms: u64,
}

/// How many exceptions are printed. JSON has all that are kept.
const MOST_EXCEPTIONS: usize = 10;

/// How long the command waits, after its last run, for receivers of messages.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the command.
pub fn run(context: &Context, arguments: &args::Backup) -> Result<End> {
    if arguments.dry_run {
        return dry_run::run(context);
    }
    let (config, output) = (context.config()?, &context.output);
    let repository = Repository::open_for_writing(&config.common.dir)?;
    let (watch, places, journal) = (Watch::new()?, places(&config.common), Arc::new(Journal::of_command(&config.common)));
    let post = notify::open(&context.flags, &config, &repository, &journal);
    let (mut end, mut report) = (End::Done, Report { targets: Vec::new() });
    for target in &config.targets {
        let (stop, _dog) = watch.limited(&target.settings);
        let progress = Progress::new(output, &target.name);
        let (started, trigger) = (Timestamp::now(), "manual");
        let log = journal.run(&target.name, started, trigger);
        post.began(&target.name, started);
        let scratch = &config.common.scratch_dir;
        let done = run::run(&run::Context { repository: &repository, target, places: &places, trigger, scratch, started }, &stop, &Both(&progress, &log));
        drop(progress);
        log.ended(&done);
        post.ended(&target.name, started, done.as_ref().err());
        match done {
            Ok(done) => {
                let published = Published::from(&done);
                if !output.json {
                    output.print(&published.text(output))?;
                }
                published.warnings.iter().for_each(|warning| output.warning(&format!("{}: {warning}", target.name)));
                end = end.and(if published.outcome == Outcome::Done { End::Done } else { End::Warned });
                report.targets.push(Run::Published(Box::new(published)));
            }
            Err(error) => {
                let error = if config.targets.len() > 1 { error.context(format!("target '{}'", target.name)) } else { error };
                end = end.and(End::Failed(error.kind()));
                report.targets.push(failed(output, &target.name, &error));
                if error.kind() == Kind::Interrupted {
                    end = End::Failed(Kind::Interrupted);
                    break;
                }
            }
        }
    }
    if output.json {
        output.json(&report)?;
    }
    // Whether somebody could be told is no part of whether there is a backup.
    for (receiver, why) in post.finish(PATIENCE, || watch.signal().is_some()) {
        output.warning(&format!("{receiver} could not be told: {why}; the next run tells it"));
    }
    Ok(end)
}

fn failed(output: &Output, target: &str, error: &Error) -> Run {
    output.failure(error);
    let outcome = if error.kind() == Kind::Locked { Outcome::Skipped } else { Outcome::Failed };
    Run::Failed { target: target.to_owned(), outcome, error: failure_json(error) }
}

impl Published {
    fn from(done: &Done) -> Published {
        let (manifest, entry) = (&done.manifest, &done.entry);
        Published {
            target: manifest.target.clone(),
            outcome: entry.outcome,
            id: manifest.id.clone(),
            tables: manifest.totals.tables,
            rows: manifest.rows(),
            large_objects: manifest.totals.large_objects,
            bytes: manifest.bytes(),
            plain_bytes: manifest.script.plain_bytes,
            duration_ms: entry.steps.iter().map(|(_, ms)| ms).sum(),
            steps: entry.steps.iter().map(|(step, ms)| Step { step: step.clone(), ms: *ms }).collect(),
            proof: entry.proof.clone(),
            exceptions: done.proof.as_ref().map(Proof::excepted).unwrap_or_default(),
            kept: done.plan.kept().count() as u64,
            deleted: entry.deleted.clone(),
            warnings: entry.warnings.clone(),
        }
    }

    fn text(&self, output: &Output) -> String {
        let style = if self.outcome == Outcome::Done { GREEN } else { YELLOW };
        let ratio = ratio(self.plain_bytes, self.bytes).map(|ratio| format!(", {ratio}")).unwrap_or_default();
        // Steps of a few milliseconds are no news.
        let steps: Vec<String> = self.steps.iter().filter(|step| step.ms >= 100).map(|step| format!("{} {}", step.step, duration(step.ms))).collect();
        let steps = if steps.is_empty() { String::new() } else { format!(" ({})", steps.join(", ")) };
        let dumping = self.steps.iter().find(|step| step.step == "dump").map_or(0, |step| step.ms);
        let rate = (self.plain_bytes * 1000).checked_div(dumping).map(|rate| format!(", {}/s", format_bytes(rate))).unwrap_or_default();
        let proof = self.proof.as_ref().map(|proof| format!("  proof: {}\n", clean(&exception::verdict(proof, self.exceptions.count())))).unwrap_or_default();
        let exceptions: String = self.exceptions.lines(MOST_EXCEPTIONS).iter().map(|line| format!("    - {}\n", clean(line))).collect();
        let deleted = if self.deleted.is_empty() { "nothing deleted".to_owned() } else { format!("deleted {}", self.deleted.join(", ")) };
        format!(
            "{} {}\n  {}, {}, {}\n  {} on disk, {} plain{ratio}\n  {}{steps}{rate}\n{proof}{exceptions}  {} kept, {deleted}\n",
            output.paint(style, &clean(&self.target)),
            self.id,
            count(self.tables, "table"),
            count(self.rows, "row"),
            count(self.large_objects, "large object"),
            format_bytes(self.bytes),
            format_bytes(self.plain_bytes),
            duration(self.duration_ms),
            count(self.kept, "backup"),
        )
    }
}

fn duration(milliseconds: u64) -> String {
    format_duration(Duration::from_millis(milliseconds))
}
