//! `kluis verify`: every byte of a backup read back, and the result recorded with it.
//! It owns which backups are looked at and the recording; it leaves the reading to `crate::verify` and the rungs to `crate::proof`.
//! Invariant: a result that cannot be recorded is still told, and the lock is held for the recording only.

use super::find::{self, Found};
use super::output::{GREEN, RED, YELLOW};
use super::progress::Progress;
use super::text::{clean, count};
use super::watch::Watch;
use super::{Context, End, args};
use crate::config::RepositoryConfig;
use crate::error::{Error, Kind, Result};
use crate::events::{Event, Observer};
use crate::manifest::{Proof, Rung, Verdict};
use crate::proof::{BY_DRILL, after_verify, known, record};
use crate::repository::Repository;
use crate::repository::list::{Backup, Listing};
use crate::repository::lock::Lock;
use crate::stop::Stop;
use crate::units::{first, format_bytes, format_duration};
use crate::verify::{failure, verify};
use jiff::Timestamp;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How long to wait for a run to end before the result is printed without being recorded.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What `kluis verify --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    backups: Vec<Verified>,
}

/// One backup.
#[derive(Debug, Serialize)]
struct Verified {
    /// The target; null for a folder that was copied elsewhere.
    target: Option<String>,
    /// The backup.
    id: String,
    /// `good` or `bad`: what this verification says.
    verdict: Verdict,
    /// The highest rung of proof that the backup has reached; null where its proof cannot be read.
    rung: Option<Rung>,
    /// What is wrong.
    findings: Vec<String>,
    /// Whether the result stands in `proof.json`.
    recorded: bool,
    /// What needs attention.
    warnings: Vec<String>,
    /// How long it took, in milliseconds.
    duration_ms: u64,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &args::Verify) -> Result<End> {
    let (config, output) = (context.repository_config()?, &context.output);
    let chosen = choose(context, &config, arguments.id.as_deref(), arguments.all)?;
    let watch = Watch::new()?;
    let (stop, _dog) = watch.unlimited();
    let (mut end, mut report) = (End::Done, Report { backups: Vec::new() });
    for found in &chosen {
        let verified = match one(context, &config, found, &stop) {
            Ok(verified) => verified,
            // A backup that cannot be looked at keeps no other from being looked at.
            Err(error) if error.kind() != Kind::Interrupted && chosen.len() > 1 => {
                end = end.and(End::Failed(error.kind()));
                output.failure(&error.context(format!("backup '{}'", found.backup.id)));
                continue;
            }
            Err(error) => return Err(error),
        };
        let good = verified.findings.is_empty();
        if !output.json {
            output.print(&text(context, found, &verified))?;
        }
        verified.warnings.iter().for_each(|warning| output.warning(&format!("{}: {warning}", found.backup.id)));
        if !good {
            output.failure(&failure(&found.backup.id, &verified.findings));
        }
        end = end.and(match (good, verified.warnings.is_empty()) {
            (false, _) => End::Failed(Kind::Verification),
            (true, false) => End::Warned,
            (true, true) => End::Done,
        });
        report.backups.push(verified);
    }
    if output.json {
        output.json(&report)?;
    }
    Ok(end)
}

/// The backups that a command is about: the one named, all, or the latest of each target.
pub(super) fn choose(context: &Context, config: &RepositoryConfig, id: Option<&str>, all: bool) -> Result<Vec<Found>> {
    if let Some(word) = id {
        return Ok(vec![find::anywhere(config, word)?]);
    }
    let repository = Repository::open(&config.common.dir)?;
    let mut chosen = Vec::new();
    for target in find::targets(config, &repository)? {
        let listing = Listing::read(&target)?;
        let mut backups: Vec<Backup> = if all { listing.backups.clone() } else { listing.latest().cloned().into_iter().collect() };
        backups.reverse();
        if backups.is_empty() && !listing.backups.is_empty() {
            context.output.warning(&format!("target '{}' has backups, and none that is not bad already: see kluis list", target.name));
        }
        chosen.extend(backups.into_iter().map(|backup| Found { target: Some(target.clone()), backup }));
    }
    if chosen.is_empty() {
        return Err(Error::new(Kind::Failed, format!("there is no backup in '{}'", config.common.dir.display())).hinted("kluis list shows what there is"));
    }
    Ok(chosen)
}

fn one(context: &Context, config: &RepositoryConfig, found: &Found, stop: &Stop) -> Result<Verified> {
    let (backup, begun) = (&found.backup, Instant::now());
    let settings = found.target.as_ref().map_or(&config.others, |target| config.settings_of(&target.name));
    let mut verified = Verified {
        target: found.target.as_ref().map(|target| target.name.clone()),
        id: backup.id.clone(),
        verdict: Verdict::Good,
        rung: None,
        findings: Vec::new(),
        recorded: false,
        warnings: Vec::new(),
        duration_ms: 0,
    };
    match &backup.manifest {
        // Not recorded: it may be of a newer version of Kluis, and then nothing is wrong with it.
        Err(why) => verified.findings.push(why.clone()),
        Ok(_) => {
            let progress = Progress::new(&context.output, &backup.id);
            progress.event(&Event::Step("verify"));
            verified.findings = verify(backup, settings.jobs, stop, &progress)?;
            drop(progress);
            if !verified.findings.is_empty() && !backup.path.exists() {
                return Err(Error::new(Kind::Failed, format!("backup '{}' was deleted while it was read", backup.id)));
            }
            keep(found, &mut verified, stop);
        }
    }
    if !verified.findings.is_empty() {
        verified.verdict = Verdict::Bad;
    }
    verified.duration_ms = begun.elapsed().as_millis() as u64;
    Ok(verified)
}

/// Records the result with the backup, or says why it could not be.
fn keep(found: &Found, verified: &mut Verified, stop: &Stop) {
    let recorded = || -> Result<Proof> {
        let target = found.target.as_ref().ok_or_else(|| Error::new(Kind::Failed, "the backup does not lie in the repository"))?;
        let lock = Lock::take(target, PATIENCE, stop)?;
        // Read again: a drill may have ended since.
        let backup = Backup::read(found.backup.path.clone());
        let proof = after_verify(known(&backup)?, &verified.findings, Timestamp::now());
        backup.understood()?;
        record(target, &backup, &proof, &lock)?;
        Ok(proof)
    };
    match recorded() {
        Ok(proof) => {
            verified.recorded = true;
            verified.rung = Some(proof.rung);
            if proof.verdict == Verdict::Bad && proof.by == BY_DRILL && verified.findings.is_empty() {
                verified.warnings.push(format!("its files are as they were written, but a drill found it to be bad: {}", first(&proof.findings, 5).join("; ")));
            }
        }
        Err(error) => {
            let old = found.backup.proof.as_ref().ok().and_then(Option::as_ref);
            verified.rung = old.map(|proof| proof.rung);
            // A copy elsewhere has no place for a record: that is no news.
            if found.target.is_some() {
                verified.warnings.push(format!("the result could not be recorded: {}", error.chain()));
            }
        }
    }
}

fn text(context: &Context, found: &Found, verified: &Verified) -> String {
    let (word, style) = match (verified.findings.is_empty(), verified.warnings.is_empty()) {
        (true, true) => ("good", GREEN),
        (true, false) => ("good", YELLOW),
        (false, _) => ("bad", RED),
    };
    let of = verified.target.as_ref().map(|target| format!(" of {}", clean(target))).unwrap_or_default();
    let read = match &found.backup.manifest {
        Ok(manifest) if verified.findings.is_empty() => format!(
            ": {}, {}, {} read back in {}",
            count(manifest.totals.tables, "table"),
            count(manifest.rows(), "row"),
            format_bytes(manifest.bytes()),
            format_duration(Duration::from_millis(verified.duration_ms))
        ),
        _ => format!(", {}", count(verified.findings.len() as u64, "finding")),
    };
    format!("{}{of} {}{read}\n", clean(&verified.id), context.output.paint(style, word))
}
