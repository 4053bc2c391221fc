//! `kluis drill`: backups proven by restoring them into a throwaway server, and the verdict recorded with them.
//! It owns which backups are drilled and the recording; it leaves the drill to `crate::drill` and the rungs to `crate::proof`.
//! Invariant: a verdict that cannot be recorded is still told, and the lock is held for the recording only.

use super::find::Found;
use super::output::{GREEN, RED, YELLOW};
use super::progress::Progress;
use super::text::{clean, count, unconfined, wrap};
use super::watch::Watch;
use super::{Context, End, args, places, verify};
use crate::config::RepositoryConfig;
use crate::drill::{self, Verdict};
use crate::error::{Error, Kind, Result};
use crate::exception::{self, Exceptions};
use crate::finding::{Cause, causes, sentences};
use crate::manifest::DrillFacts;
use crate::postgres::throwaway::sweep;
use crate::postgres::tools::Places;
use crate::proof::record_drill;
use crate::repository::list::Listing;
use crate::stop::Stop;
use crate::units::{first, format_duration};
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// How many findings or exceptions are printed of one backup. JSON has all that are kept.
const MOST: usize = 20;

/// What `kluis drill --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    backups: Vec<Drilled>,
}

/// One backup.
#[derive(Debug, Serialize)]
struct Drilled {
    /// The target; null for a folder that was copied elsewhere.
    target: Option<String>,
    /// The backup.
    id: String,
    /// `proven`, `bad` or `cannot-judge`.
    verdict: &'static str,
    /// What is wrong, or what is missing here.
    findings: Vec<String>,
    /// Why that matters, each cause once.
    causes: BTreeSet<Cause>,
    /// What was done, where it was proven.
    facts: Option<DrillFacts>,
    /// What a restore does not bring back, where it was proven.
    #[serde(flatten)]
    exceptions: Exceptions,
    /// Whether the verdict stands in `proof.json`.
    recorded: bool,
    /// What needs attention.
    warnings: Vec<String>,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &args::Drill) -> Result<End> {
    let (config, output) = (context.repository_config()?, &context.output);
    let chosen = verify::choose(context, &config, arguments.id.as_deref(), arguments.all)?;
    let (watch, places) = (Watch::new()?, places(&config.common));
    // What a drill left that died, nobody else removes.
    sweep(&config.common.scratch_dir)?;
    let (mut end, mut report) = (End::Done, Report { backups: Vec::new() });
    for found in &chosen {
        let settings = found.target.as_ref().map_or(&config.others, |target| config.settings_of(&target.name));
        let (stop, _dog) = watch.limited(settings);
        let drilled = match one(context, &config, &places, arguments, found, &stop) {
            Ok(drilled) => drilled,
            Err(error) if error.kind() != Kind::Interrupted && chosen.len() > 1 => {
                end = end.and(End::Failed(error.kind()));
                output.failure(&error.context(format!("backup '{}'", found.backup.id)));
                continue;
            }
            Err(error) => return Err(error),
        };
        if !output.json {
            output.print(&text(context, &drilled))?;
        }
        drilled.warnings.iter().for_each(|warning| output.warning(&format!("{}: {warning}", found.backup.id)));
        end = end.and(match drilled.verdict {
            "bad" => End::Failed(Kind::Verification),
            "proven" if drilled.warnings.is_empty() => End::Done,
            _ => End::Warned,
        });
        report.backups.push(drilled);
    }
    if output.json {
        output.json(&report)?;
    }
    Ok(end)
}

fn one(context: &Context, config: &RepositoryConfig, places: &Places, arguments: &args::Drill, found: &Found, stop: &Stop) -> Result<Drilled> {
    let settings = found.target.as_ref().map_or(&config.others, |target| config.settings_of(&target.name));
    let progress = Progress::new(&context.output, &found.backup.id);
    let request = drill::Request {
        backup: &found.backup,
        places,
        scratch: &config.common.scratch_dir,
        jobs: settings.jobs,
        assertions: settings.assertions.as_deref(),
        nice: arguments.nice.unwrap_or(drill::NICE),
    };
    let verdict = drill::drill(&request, stop, &progress)?;
    drop(progress);
    if !matches!(verdict, Verdict::Proven { .. }) && !found.backup.path.exists() {
        return Err(Error::new(Kind::Failed, format!("backup '{}' was deleted while it was drilled", found.backup.id)));
    }
    let exceptions = match &verdict {
        Verdict::Proven { exceptions, .. } => Exceptions::of(exceptions),
        _ => Exceptions::default(),
    };
    // Against what this backup was known to except, if it was proven before.
    let before = match &found.target {
        Some(target) if !found.backup.is_proven() => Listing::read(target)?.excepted_before(&found.backup.id),
        _ => found.backup.excepted(),
    };
    let mut warnings: Vec<String> = exceptions.new_since(&before).news().into_iter().collect();
    let recorded = found.target.as_ref().map_or(Ok(()), |target| record_drill(target, &found.backup.path, &verdict, verify::PATIENCE, stop));
    // A copy elsewhere has no place for a record: that is no news.
    warnings.extend(recorded.as_ref().err().filter(|_| found.target.is_some()).map(|error| format!("the verdict could not be recorded: {}", error.chain())));
    let recorded = recorded.is_ok() && found.target.is_some();
    let (word, findings, facts) = match verdict {
        Verdict::Proven { facts, .. } => ("proven", Vec::new(), Some(facts)),
        Verdict::Bad(findings) => ("bad", findings, None),
        Verdict::CannotJudge(findings) => ("cannot-judge", findings, None),
    };
    Ok(Drilled {
        target: found.target.as_ref().map(|target| target.name.clone()),
        id: found.backup.id.clone(),
        verdict: word,
        findings: sentences(&findings),
        causes: causes(&findings),
        facts,
        exceptions,
        recorded,
        warnings,
    })
}

fn text(context: &Context, drilled: &Drilled) -> String {
    let of = drilled.target.as_ref().map(|target| format!(" of {}", clean(target))).unwrap_or_default();
    let (word, style) = match drilled.verdict {
        "proven" => ("proven", GREEN),
        "bad" => ("BAD", RED),
        _ => ("cannot be judged here", YELLOW),
    };
    let word = exception::verdict(word, drilled.exceptions.count());
    let mut text = format!("{}{of} {}", clean(&drilled.id), context.output.paint(style, &word));
    if let Some(facts) = &drilled.facts {
        let mut parts = vec![count(facts.tables, "table"), count(facts.rows, "row")];
        if facts.large_objects > 0 {
            parts.push(count(facts.large_objects, "large object"));
        }
        if facts.assertions > 0 {
            parts.push(count(facts.assertions, "assertion"));
        }
        let time = |ms| format_duration(Duration::from_millis(ms));
        text.push_str(&format!(
            ": {} compared on PostgreSQL {}; restored in {}, {} in all{}",
            parts.join(", "),
            facts.server,
            time(facts.restore_ms),
            time(facts.total_ms),
            unconfined(facts.sandbox)
        ));
    }
    text.push('\n');
    if !drilled.exceptions.is_empty() {
        text.push_str("  a restore does not bring back (kluis show says more):\n");
    }
    let exceptions = drilled.exceptions.lines(MOST).into_iter().map(|line| format!("- {line}"));
    for line in exceptions.chain(first(&drilled.findings, MOST)) {
        text.extend(wrap(&line, 150).iter().map(|line| format!("  {}\n", clean(line))));
    }
    text
}
