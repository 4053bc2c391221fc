//! The log: where its lines go, and what is told of a run.
//! It owns the choice of lines; it leaves their form to `crate::log` and the file to `repository::logfile`.
//! Invariant: a file that cannot be written never stops anything, and stderr tells of it once.

use super::output::complain;
use crate::config::{Common, LogFormat, LogTarget};
use crate::error::{Error, Kind};
use crate::events::{Event, Observer};
use crate::exception;
use crate::log::{Level, Line};
use crate::repository::history::{Entry, Outcome};
use crate::repository::logfile::LogFile;
use crate::run::Done;
use crate::units::{format_bytes, format_count, format_duration};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The log.
pub struct Journal {
    file: Option<LogFile>,
    stderr: bool,
    format: LogFormat,
    zone: TimeZone,
    broken: AtomicBool,
    /// The last lines, for receivers of messages that show them.
    recent: Mutex<VecDeque<String>>,
}

/// How many lines are kept in memory.
const RECENT: usize = 30;

impl Journal {
    /// The log of the daemon: on stderr, and in a file where one is wanted.
    pub fn of_daemon(common: &Common) -> Journal {
        Journal { stderr: !matches!(common.log, LogTarget::Off), ..Journal::of_command(common) }
    }

    /// The log of a command that tells its user everything in its own way: only in a file, so that operators find every run there.
    pub fn of_command(common: &Common) -> Journal {
        let file = match &common.log {
            LogTarget::File(path) => Some(LogFile::new(path, &common.time_zone)),
            LogTarget::Stderr | LogTarget::Off => None,
        };
        Journal { file, stderr: false, format: common.log_format, zone: common.time_zone.clone(), broken: AtomicBool::new(false), recent: Mutex::default() }
    }

    /// Writes a line.
    pub fn write(&self, line: &Line<'_>) {
        let text = match self.format {
            LogFormat::Text => line.text(&self.zone),
            LogFormat::Json => line.json(),
        };
        {
            let mut recent = self.recent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if recent.len() == RECENT {
                recent.pop_front();
            }
            recent.push_back(text.chars().take(500).collect());
        }
        if self.stderr {
            complain(&text);
        }
        let Some(file) = &self.file else { return };
        match file.append(&text, line.at) {
            Ok(()) => self.broken.store(false, Ordering::Relaxed),
            Err(error) if !self.broken.swap(true, Ordering::Relaxed) => {
                let told =
                    Line::new(line.at, Level::Warning, "log-unwritable", format!("the log file cannot be written, and stderr has to do: {}", error.chain()));
                complain(&match self.format {
                    LogFormat::Text => told.text(&self.zone),
                    LogFormat::Json => told.json(),
                });
            }
            Err(_) => {}
        }
    }

    /// The last lines.
    pub fn recent(&self) -> Vec<String> {
        self.recent.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter().cloned().collect()
    }

    /// Begins to tell of a run.
    pub fn run<'a>(&'a self, target: &'a str, started: Timestamp, trigger: &str) -> RunLog<'a> {
        let log = RunLog {
            journal: self,
            target,
            run: crate::repository::names::backup_id(started),
            step: Mutex::new((String::new(), Instant::now())),
            bytes: AtomicU64::new(0),
            rows: AtomicU64::new(0),
        };
        log.write(Level::Info, "run-began", format!("run began ({trigger})"), vec![("trigger", trigger.into())]);
        log
    }
}

/// Tells of one run.
pub struct RunLog<'a> {
    journal: &'a Journal,
    target: &'a str,
    run: String,
    step: Mutex<(String, Instant)>,
    bytes: AtomicU64,
    rows: AtomicU64,
}

/// The steps whose end is told while the run goes on; the others take no time worth a line.
const TOLD: [&str; 2] = ["dump", "prove"];

/// The steps of a run. A drill has steps of its own within `prove`.
const STEPS: [&str; 8] = ["lock", "preflight", "dump", "seal", "publish", "prove", "prune", "report"];

impl RunLog<'_> {
    fn write(&self, level: Level, event: &'static str, message: String, facts: Vec<(&'static str, Value)>) {
        let line = Line { target: Some(self.target), run: Some(&self.run), facts, ..Line::new(Timestamp::now(), level, event, message) };
        self.journal.write(&line);
    }

    /// Tells how the run ended. The error is one of the run itself.
    pub fn ended(&self, result: &Result<Done, Error>) {
        match result {
            Ok(done) => self.done(done),
            Err(error) => self.failed(error),
        }
    }

    fn done(&self, done: &Done) {
        let (entry, manifest) = (&done.entry, &done.manifest);
        for warning in &entry.warnings {
            self.write(Level::Warning, "warning", warning.clone(), Vec::new());
        }
        let took = total(entry);
        let proof = entry.proof.as_ref().map_or_else(|| "not proven".to_owned(), |proof| exception::verdict(proof, entry.exceptions));
        let deleted = if entry.deleted.is_empty() { "nothing deleted".to_owned() } else { format!("deleted {}", entry.deleted.join(", ")) };
        let kept = done.plan.kept().count();
        let level = if entry.outcome == Outcome::Done { Level::Info } else { Level::Warning };
        let message = format!(
            "backup {} {}: {} tables, {} rows, {} on disk; {proof}; {kept} kept, {deleted}; {} in all",
            manifest.id,
            if level == Level::Info { "done" } else { "done with warnings" },
            format_count(manifest.totals.tables),
            format_count(manifest.rows()),
            format_bytes(manifest.bytes()),
            format_duration(Duration::from_millis(took)),
        );
        let steps: serde_json::Map<String, Value> = entry.steps.iter().map(|(step, ms)| (step.clone(), (*ms).into())).collect();
        let facts = vec![
            ("outcome", json!(entry.outcome)),
            ("backup", manifest.id.as_str().into()),
            ("tables", manifest.totals.tables.into()),
            ("rows", manifest.rows().into()),
            ("bytes", manifest.bytes().into()),
            ("plain_bytes", manifest.script.plain_bytes.into()),
            ("proof", json!(entry.proof)),
            ("exceptions", entry.exceptions.into()),
            ("kept", kept.into()),
            ("deleted", json!(entry.deleted)),
            ("duration_ms", took.into()),
            ("steps_ms", steps.into()),
        ];
        self.write(level, "run-done", message, facts);
    }

    fn failed(&self, error: &Error) {
        let skipped = error.kind() == Kind::Locked;
        let (step, begun) = self.step.lock().map_or_else(|poisoned| poisoned.into_inner().clone(), |step| step.clone());
        let hint = error.hint().map(|hint| format!("; hint: {hint}")).unwrap_or_default();
        let message = format!("run {} in step '{step}': {}{hint}", if skipped { "skipped" } else { "failed" }, error.chain());
        let facts = vec![
            ("outcome", json!(if skipped { Outcome::Skipped } else { Outcome::Failed })),
            ("step", step.into()),
            ("error", error.kind().word().into()),
            ("exit_code", error.kind().exit_code().into()),
            ("step_ms", (begun.elapsed().as_millis() as u64).into()),
        ];
        self.write(if skipped { Level::Warning } else { Level::Error }, if skipped { "run-skipped" } else { "run-failed" }, message, facts);
    }

    fn step(&self, next: &str) {
        if !STEPS.contains(&next) {
            return;
        }
        let (last, begun) = {
            let mut step = self.step.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            std::mem::replace(&mut *step, (next.to_owned(), Instant::now()))
        };
        let (bytes, rows) = (self.bytes.swap(0, Ordering::Relaxed), self.rows.swap(0, Ordering::Relaxed));
        if TOLD.contains(&last.as_str()) {
            let took = begun.elapsed();
            let moved = if last == "dump" { format!(": {} rows", format_count(rows)) } else { String::new() };
            let message = format!("step '{last}' took {}{moved}", format_duration(took));
            let mut facts = vec![("step", last.clone().into()), ("duration_ms", (took.as_millis() as u64).into())];
            if last == "dump" {
                facts.extend([("rows", rows.into()), ("table_bytes", bytes.into())]);
            }
            self.write(Level::Info, "step-done", message, facts);
        }
    }
}

impl Observer for RunLog<'_> {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Step(step) => self.step(step),
            Event::Moved { bytes, rows } => {
                self.bytes.fetch_add(*bytes, Ordering::Relaxed);
                self.rows.fetch_add(*rows, Ordering::Relaxed);
            }
            // Warnings stand in the run's result as well, and are told with it.
            Event::Total { .. } | Event::Table | Event::Warning(_) | Event::Beforehand(_) => {}
        }
    }
}

/// Two listeners at once.
pub struct Both<'a>(pub &'a dyn Observer, pub &'a dyn Observer);

impl Observer for Both<'_> {
    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
        self.1.event(event);
    }
}

fn total(entry: &Entry) -> u64 {
    entry.steps.iter().map(|(_, ms)| ms).sum()
}
