//! One run, step by step: lock → preflight → dump → seal → publish → prove → prune → report.
//! It owns the order, the history line and what is a failure; each step is somebody else's.
//! Invariant: whatever happens, earlier backups stay untouched until a new one is published, and the history tells of the run.

mod room;
mod told;

pub use room::advised;

use crate::adopt;
use crate::clock;
use crate::config::{Drill, Target};
use crate::drill;
use crate::dump::{self, dump};
use crate::error::{Error, Kind, Result};
use crate::events::{Event, Observer};
use crate::finding::sentences;
use crate::manifest::{Changes, FORMAT, File, Manifest, Proof, Summary};
use crate::past::Past;
use crate::postgres::throwaway;
use crate::postgres::tools::Places;
use crate::preflight;
use crate::proof::{self, Attempt};
use crate::prune;
use crate::repository::history::{self, Entry, Outcome};
use crate::repository::list::{Backup, Listing};
use crate::repository::lock::Lock;
use crate::repository::staging::{self, Staging};
use crate::repository::{Repository, TargetFolder, names};
use crate::retention::Plan;
use crate::shrinkage;
use crate::stop::Stop;
use crate::units::{cut, first, format_count, format_duration};
use jiff::Timestamp;
use std::time::{Duration, Instant};
use told::Told;

/// What is said of a database without a row.
pub const EMPTY: &str = "the database is empty: no table has a row, and there is no large object";

/// How many of a drill's findings a warning tells.
const FINDINGS: usize = 10;

/// How many tables that lost rows have a warning of their own.
const LOSSES: usize = 10;

/// What a run works with.
pub struct Context<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// The target.
    pub target: &'a Target,
    /// Where PostgreSQL's programs are.
    pub places: &'a Places,
    /// The folder for throwaway servers.
    pub scratch: &'a std::path::Path,
    /// What began the run: `manual`, `schedule`, `catch-up` or `retry`.
    pub trigger: &'a str,
    /// When it began. Written as the name of a backup it is the run's id in the log.
    pub started: Timestamp,
}

/// A run that published a backup.
#[derive(Debug)]
pub struct Done {
    /// What it holds, in short.
    pub manifest: Summary,
    /// The backup's proof, if it was proven or found bad.
    pub proof: Option<Proof>,
    /// What the policy did.
    pub plan: Plan,
    /// The history line.
    pub entry: Entry,
}

/// Makes one backup. The history gets its line, whether it succeeds or fails.
pub fn run(context: &Context<'_>, stop: &Stop, observer: &dyn Observer) -> Result<Done> {
    let folder = context.repository.target(&context.target.name);
    let mut clock = Clock { started: context.started, begun: Instant::now(), steps: Vec::new(), observer };
    clock.step("lock");
    // Not even a line of history is written where another repository should be.
    context.repository.settle_identity(context.scratch)?;
    let locked = folder.create().and_then(|()| Lock::take(&folder, context.target.settings.lock_timeout, stop));
    let lock = match locked {
        Ok(lock) => lock,
        Err(error) => {
            let outcome = if error.kind() == Kind::Locked { Outcome::Skipped } else { Outcome::Failed };
            // A link in the folder's place is refused, and must not lead our line elsewhere either. The error matters more than a history that cannot be
            // written.
            if folder.exists().is_ok_and(|there| there) {
                let _ = history::append(&folder, &clock.failed(context, outcome, &error));
            }
            return Err(error);
        }
    };
    let told = Told::new(observer, &folder, &lock, context.trigger, context.started);
    clock.observer = &told;
    match attempt(context, &folder, &lock, &mut clock, stop) {
        Ok(mut done) => {
            clock.step("report");
            done.entry = clock.entry(if done.entry.warnings.is_empty() { Outcome::Done } else { Outcome::Warned }, done.entry);
            if let Err(error) = history::append(&folder, &done.entry) {
                done.entry.outcome = Outcome::Warned;
                done.entry.warnings.push(format!("the history could not be written: {}", error.chain()));
            }
            Ok(done)
        }
        Err(error) => {
            let entry = clock.failed(context, Outcome::Failed, &error);
            // Before the history, which needs room as well.
            let (deleted, error) = room::make(context, &folder, &lock, error, stop);
            let _ = history::append(&folder, &Entry { deleted, ..entry });
            Err(error)
        }
    }
}

fn attempt(context: &Context<'_>, folder: &TargetFolder, lock: &Lock, clock: &mut Clock<'_>, stop: &Stop) -> Result<Done> {
    let (settings, repository) = (&context.target.settings, context.repository);
    staging::sweep(folder, lock)?;

    clock.step("preflight");
    let mut listing = Listing::read(folder)?;
    listing.condense(folder, lock);
    let last = listing.latest().and_then(|backup| backup.manifest.as_ref().ok());
    let preflight = preflight::check(&context.target.connection, context.places, settings.lock_wait, repository, last, stop)?;
    adopt::check(&folder.name, &listing, &preflight.reached.source)?;

    clock.step("dump");
    let (id, started) = free_id(folder, stop)?;
    let staging = Staging::create(folder, &id, lock)?;
    let request = dump::Request {
        connection: &context.target.connection,
        places: context.places,
        jobs: settings.jobs,
        compression: settings.compression,
        lock_wait: settings.lock_wait,
    };
    let dumped = dump(&request, &staging, stop, clock.observer)?;

    clock.step("seal");
    let manifest = Manifest {
        format: FORMAT,
        kluis: env!("CARGO_PKG_VERSION").to_owned(),
        id: id.clone(),
        target: context.target.name.clone(),
        started,
        snapshot: dumped.snapshot,
        finished: Timestamp::now(),
        server: dumped.server,
        origin: Some(dumped.origin),
        database: dumped.database,
        script: dumped.script,
        tables: dumped.tables,
        witnessed: dumped.witnessed,
        large_objects: dumped.large_objects,
        files: dumped.files,
        warnings: dumped.warnings,
        partitioned: dumped.partitioned,
        empty_allowed: settings.allow_empty,
        not_included: dumped.not_included,
        money: Some(dumped.money),
        in_turn: Some(dumped.in_turn),
        calling: dumped.calling,
    };
    let mut warnings = manifest.warnings.clone();
    warnings.extend(clocks_apart(&manifest));
    let shrunk = shrinkage::look(&manifest, &listing, matches!(settings.drill, Drill::Off), stop);
    let manifest = seal(&staging, manifest, shrunk.changes.clone())?;
    // The last moment at which a signal or a deadline still means "nothing was published".
    stop.check()?;

    clock.step("publish");
    let path = staging.publish()?;
    warnings.extend(preflight.warnings);
    if manifest.is_empty() && !settings.allow_empty {
        warnings.push(format!("{EMPTY}; BACKUP_ALLOW_EMPTY=yes says that this is right"));
    }
    // From here on a backup exists: what fails now is a warning.
    let backup = listing.add(Backup::read(path)).clone();
    warnings.extend(backup.suspicious.as_ref().map(|why| format!("this backup is {why}: it is not relied upon, and the earlier one stays the latest")));
    warnings.extend(lost(&shrunk));
    let pointed = staging::point_latest(folder, listing.latest().map(|latest| latest.id.as_str()), lock);
    warnings.extend(pointed.err().map(|error| format!("the link 'latest' could not be set: {}", error.chain())));

    let proof = if matches!(settings.drill, Drill::EveryBackup) {
        clock.step("prove");
        let (proof, told) = prove(context, folder, &backup, &listing, lock, clock.observer, stop);
        warnings.extend(told);
        proof
    } else {
        backup.proof.clone().ok().flatten()
    };

    clock.step("prune");
    let listing = Listing::read(folder)?;
    let history = history::read(folder).unwrap_or_else(|error| {
        warnings.push(format!("the history could not be read: {}", error.chain()));
        Vec::new()
    });
    let past = Past::of(&history, &listing);
    let plan = prune::plan_after_success(&listing, &past, settings, Some(started), Timestamp::now());
    let (deleted, pruned) = prune::carry_out(&plan, folder, lock, stop);
    warnings.extend(pruned.err().map(|error| format!("pruning failed: {}", error.chain())));
    if let Some(why) = plan.suspended.as_ref().filter(|_| plan_matters(&plan)) {
        warnings.push(format!("nothing was deleted: {why}"));
    }
    let warnings = bounded(warnings);
    for warning in &warnings {
        clock.observer.event(&Event::Warning(warning));
    }
    let entry = Entry {
        backup: Some(id),
        rows: Some(manifest.rows()),
        tables: Some(manifest.totals.tables),
        bytes: Some(manifest.bytes()),
        warnings,
        deleted,
        proof: proof.as_ref().map(|proof| proof.word().to_owned()),
        exceptions: proof.as_ref().map_or(0, |proof| proof.excepted().count()),
        losses: shrunk.losses,
        losses_unlisted: shrunk.more,
        ..clock.blank(context)
    };
    Ok(Done { proof, manifest, plan, entry })
}

/// Drills the new backup and records the verdict. What goes wrong here is a warning: the backup is safe on the disk, only not proven. `earlier`: what was
/// there before this run.
fn prove(
    context: &Context<'_>,
    folder: &TargetFolder,
    backup: &Backup,
    earlier: &Listing,
    lock: &Lock,
    observer: &dyn Observer,
    stop: &Stop,
) -> (Option<Proof>, Vec<String>) {
    let settings = &context.target.settings;
    let request = drill::Request {
        backup,
        places: context.places,
        scratch: context.scratch,
        jobs: settings.jobs,
        assertions: settings.assertions.as_deref(),
        nice: drill::NICE,
    };
    let old = backup.proof.clone().ok().flatten();
    let before = Attempt::so_far(backup);
    let noted = before.begin(folder, backup, lock);
    // What a drill left that was killed, the next one removes.
    let swept = throwaway::sweep(context.scratch);
    let verdict = match swept.and_then(|_| drill::drill(&request, stop, observer)) {
        Ok(verdict) => verdict,
        Err(error) => {
            if error.kind() == Kind::Interrupted {
                let _ = before.note(folder, backup, lock);
            }
            return (old, vec![format!("the backup could not be proven: {}", error.chain())]);
        }
    };
    let proof = proof::after_drill(old, &verdict, Timestamp::now());
    let mut warnings: Vec<String> = match &verdict {
        drill::Verdict::Proven { .. } => proof.excepted().new_since(&earlier.excepted_before(&backup.id)).news().into_iter().collect(),
        drill::Verdict::Bad(findings) => vec![format!("the backup is BAD: {}", first(&sentences(findings), FINDINGS).join("; "))],
        drill::Verdict::CannotJudge(reasons) => {
            vec![format!("the backup could not be judged on this machine: {}", first(&sentences(reasons), FINDINGS).join("; "))]
        }
    };
    warnings.extend(noted.err().map(|error| format!("that a proof was begun could not be noted: {}", error.chain())));
    let recorded = proof::record(folder, backup, &proof, lock);
    warnings.extend(recorded.err().map(|error| format!("the proof could not be recorded: {}", error.chain())));
    (Some(proof), warnings)
}

/// A suspension is worth a warning where rows vanished or the clock is wrong. That nothing is proven yet is no news, nor that a machine was off for long where
/// nothing would have been deleted.
fn plan_matters(plan: &Plan) -> bool {
    use crate::retention::{Reason, Suspension};
    match plan.suspended {
        Some(Suspension::RowsCollapsed { .. } | Suspension::TablesShrank { .. } | Suspension::ClockBehind { .. }) => true,
        Some(Suspension::ClockAhead { .. }) => plan.decisions.iter().any(|decision| matches!(decision.reasons[..], [Reason::Suspended { .. }])),
        _ => false,
    }
}

/// The server's clock is a second witness of the time.
fn clocks_apart(manifest: &Manifest) -> Option<String> {
    let machine = manifest.origin.as_ref()?.machine;
    let apart = clock::apart(manifest.snapshot, machine)?;
    // The machine's was read a moment after the server's.
    let seconds = apart.as_millis().unsigned_abs().saturating_add(500) / 1000;
    Some(format!(
        "the clocks disagree: the database server's is {} {} this machine's, which showed {}; schedules, ages and what is deleted go by this machine's",
        format_duration(Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX))),
        if apart.is_negative() { "behind" } else { "ahead of" },
        machine.strftime("%Y-%m-%dT%H:%M:%SZ")
    ))
}

/// The tables that lost rows, each with what it held before.
fn lost(shrunk: &shrinkage::Found) -> Vec<String> {
    let Some(changes) = &shrunk.changes else { return Vec::new() };
    let mut told: Vec<String> = shrunk.losses.iter().take(LOSSES).map(|loss| format!("{} (since backup {})", loss.describe(), changes.against)).collect();
    let more = shrunk.more + shrunk.losses.len().saturating_sub(LOSSES) as u64;
    told.extend((more > 0).then(|| format!("and {} more tables lost rows", format_count(more))));
    told
}

/// Writes what vouches for the rest: the contents, the manifest with the hash of all files, the notes, the hashes. The caller publishes.
fn seal(staging: &Staging, mut manifest: Manifest, changes: Option<Changes>) -> Result<Summary> {
    let mut contents = std::io::BufWriter::new(staging.file(names::CONTENTS)?);
    let failed = |error| Error::io("write", &staging.path().join(names::CONTENTS), error);
    manifest.write_contents(&mut contents).map_err(failed)?;
    manifest.files.push(contents.into_inner().map_err(|error| failed(error.into_error()))?.finish()?);
    let summary = Summary { changes, ..Summary::of(&manifest) };
    let own = staging.write(names::MANIFEST, &summary.render())?;
    staging.write(names::RESTORE, crate::notes::restore_notes(&manifest, None).as_bytes())?;
    let files: Vec<File> = summary.files.iter().cloned().chain([own]).collect();
    staging.seal(&files)?;
    Ok(summary)
}

/// A name that no backup has: names have seconds, and two runs may begin in the same one.
fn free_id(folder: &TargetFolder, stop: &Stop) -> Result<(String, Timestamp)> {
    loop {
        let now = Timestamp::now();
        let id = names::backup_id(now);
        if std::fs::symlink_metadata(folder.path.join(&id)).is_err() {
            return Ok((id, now));
        }
        stop.sleep(Duration::from_millis(100))?;
    }
}

/// How many warnings of a run are kept and told, and how long one of them or an error's message may be there, in characters.
const WARNINGS: usize = 100;
const LONGEST: usize = 4000;

/// Warnings as they are kept: whatever the database holds, a line of the history stays one that can be read.
fn bounded(mut warnings: Vec<String>) -> Vec<String> {
    let more = warnings.len().saturating_sub(WARNINGS);
    warnings.truncate(WARNINGS);
    let mut kept: Vec<String> = warnings.iter().map(|warning| cut(warning, LONGEST)).collect();
    kept.extend((more > 0).then(|| format!("and {} more warnings", format_count(more as u64))));
    kept
}

/// Times the steps.
struct Clock<'a> {
    started: Timestamp,
    begun: Instant,
    steps: Vec<(String, Duration)>,
    observer: &'a dyn Observer,
}

impl Clock<'_> {
    fn step(&mut self, name: &str) {
        self.steps.push((name.to_owned(), self.begun.elapsed()));
        self.observer.event(&Event::Step(name));
    }

    fn durations(&self) -> Vec<(String, u64)> {
        let ends = self.steps.iter().skip(1).map(|(_, start)| *start).chain([self.begun.elapsed()]);
        self.steps.iter().zip(ends).map(|((name, start), end)| (name.clone(), (end - *start).as_millis() as u64)).collect()
    }

    fn blank(&self, context: &Context<'_>) -> Entry {
        Entry {
            started: self.started,
            finished: Timestamp::now(),
            outcome: Outcome::Done,
            trigger: context.trigger.to_owned(),
            backup: None,
            step: None,
            error: None,
            message: None,
            warnings: Vec::new(),
            rows: None,
            tables: None,
            bytes: None,
            steps: Vec::new(),
            proof: None,
            exceptions: 0,
            deleted: Vec::new(),
            full: false,
            losses: Vec::new(),
            losses_unlisted: 0,
        }
    }

    fn entry(&self, outcome: Outcome, entry: Entry) -> Entry {
        Entry { finished: Timestamp::now(), outcome, steps: self.durations(), ..entry }
    }

    fn failed(&self, context: &Context<'_>, outcome: Outcome, error: &Error) -> Entry {
        let message = cut(&error.chain().split_whitespace().collect::<Vec<_>>().join(" "), LONGEST);
        Entry {
            step: self.steps.last().map(|(name, _)| name.clone()),
            error: Some(error.kind().word().to_owned()),
            message: Some(message),
            full: error.wants_room_in(context.repository.root()),
            steps: self.durations(),
            ..Entry { outcome, ..self.blank(context) }
        }
    }
}
