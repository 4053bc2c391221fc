//! How a target stands: is there a backup that can be relied upon, and is it young enough?
//! It owns that judgement, which the health check, the command line and alarms share; it leaves reading to `repository` and words to the commands.
//! Invariant: overdue outranks the last result, only backups that were proven count (where backups are drilled at all), and no clock makes an old one fresh.

use crate::clock;
use crate::config::{Drill, Settings};
use crate::error::Result;
use crate::exception::Exceptions;
use crate::past::{Past, signed};
use crate::repository::TargetFolder;
use crate::repository::history::{Entry, Outcome};
use crate::repository::intent::{self, Intent};
use crate::repository::list::{Backup, Listing};
use crate::repository::progress::{self, Progress};
use crate::units::{cut, format_age, format_duration};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// How a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The newest backup that counts is younger than the maximum age.
    Fresh,
    /// There was no run yet.
    Starting,
    /// There is no backup that counts, or it is too old.
    Stale,
}

impl State {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            State::Fresh => "fresh",
            State::Starting => "starting",
            State::Stale => "stale",
        }
    }

    /// How bad it is: 0 is good.
    pub fn severity(self) -> u8 {
        match self {
            State::Fresh => 0,
            State::Starting => 1,
            State::Stale => 2,
        }
    }
}

/// On what ground a target stands as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ground {
    /// A backup that counts is young enough, and proven.
    YoungEnough,
    /// A backup that counts is young enough. It is complete, and nothing has proven it.
    NotProven,
    /// There was no run yet.
    NoRun,
    /// There was a run, and there is no backup to rely on.
    NoBackup,
    /// There are backups, and none of them is proven.
    NoneProven,
    /// There is a first backup, and it is being proven.
    BeingProven,
    /// The newest backup that counts is too old.
    TooOld,
    /// A drill was due and left no proof.
    DrillOverdue,
    /// What there is cannot be read.
    Unreadable,
}

/// What the judgement has to know of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub id: String,
    /// When its run began.
    pub at: Timestamp,
    /// Whether its manifest is understood.
    pub understood: bool,
    /// Whether its latest proof says that it is wrong.
    pub bad: bool,
    /// Whether files of it are missing.
    pub incomplete: bool,
    /// Why it is suspicious.
    pub suspicious: Option<String>,
    /// Whether a drill has proven it.
    pub proven: bool,
    /// When that was.
    pub proven_at: Option<Timestamp>,
    /// Whether the database that it holds was empty.
    pub empty: bool,
    /// What its proof excepts.
    pub exceptions: Exceptions,
    /// Why it is not relied upon: bad, or not understood.
    pub fault: Option<String>,
}

impl Known {
    /// As [`Backup::is_sound`].
    fn is_sound(&self) -> bool {
        self.understood && !self.bad && !self.incomplete
    }
}

impl From<&Backup> for Known {
    fn from(backup: &Backup) -> Known {
        Known {
            id: backup.id.clone(),
            at: backup.at(),
            understood: backup.manifest.is_ok(),
            bad: backup.is_bad(),
            incomplete: backup.incomplete.is_some(),
            suspicious: backup.suspicious.clone(),
            proven: backup.is_proven(),
            proven_at: backup.proven_at(),
            empty: backup.is_empty(),
            exceptions: backup.excepted(),
            fault: backup.fault(),
        }
    }
}

/// What is going on at a target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Doing {
    /// A run is in progress. One that died may look the same until the next begins.
    pub running: bool,
    /// The newest backup is being proven, by the run that made it or by the sidecar.
    pub proving: bool,
    /// When the sidecar tries again what failed.
    pub again: Option<Timestamp>,
}

impl Doing {
    /// Looks. What cannot be read of it is no reason to say nothing of the backups. `left`: whether a run in progress, or one that died, has left something.
    pub fn look(folder: &TargetFolder, left: bool) -> Doing {
        let (run, sidecar) = (progress::read(folder).ok().flatten(), intent::read(folder).ok().flatten().unwrap_or_default());
        let doing = Doing::of(run.as_ref(), sidecar);
        Doing { running: left || doing.running, ..doing }
    }

    /// By how far a run in progress is, and what the sidecar is about to do.
    pub fn of(run: Option<&Progress>, sidecar: Intent) -> Doing {
        Doing { running: run.is_some(), proving: sidecar.proving || run.is_some_and(|run| run.step == "prove"), again: sidecar.again }
    }
}

/// A backup, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Point {
    /// Its name.
    pub id: String,
    /// When its run began.
    pub at: Timestamp,
}

/// The view of one target.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    /// The target.
    pub target: String,
    /// How it stands.
    pub state: State,
    /// On what ground.
    #[serde(skip)]
    pub ground: Ground,
    /// The newest backup that counts, on which the state rests.
    #[serde(skip)]
    pub counting: Option<Point>,
    /// Why, in a sentence without a full stop.
    pub why: String,
    /// The oldest that the newest backup may get, in seconds.
    pub max_age_s: u64,
    /// The age of the newest backup that counts, in seconds.
    pub age_s: Option<i64>,
    /// The newest backup that is not known to be bad.
    pub newest: Option<Point>,
    /// The newest one that was proven.
    pub newest_proven: Option<Point>,
    /// What a restore of the newest proven one does not bring back.
    #[serde(flatten)]
    pub exceptions: Exceptions,
    /// Whether the newest one is of an empty database, and nobody said that this is right.
    pub empty: bool,
    /// The oldest one that can be restored.
    pub oldest: Option<Point>,
    /// How many there are, and how many of them are proven.
    pub backups: u64,
    /// Of them, proven.
    pub proven: u64,
    /// Whether a run is in progress. One that died looks the same until the next begins.
    pub running: bool,
    /// Whether the newest backup is being proven now.
    pub proving: bool,
    /// The last run that was not skipped.
    pub last_run: Option<Entry>,
    /// The next scheduled run.
    pub next_run: Option<Timestamp>,
    /// When the sidecar tries again what failed: sooner than the next run.
    pub retry_at: Option<Timestamp>,
    /// What else needs attention.
    pub remarks: Vec<String>,
}

/// Reads a target's folder, which need not be there yet, and judges it.
pub fn read(folder: &TargetFolder, settings: &Settings, now: Timestamp) -> Result<View> {
    let (listing, history) = Listing::with_history(folder)?;
    Ok(view(folder, &listing, &history, settings, now))
}

/// Judges a target by what was read of its folder, and looks what is going on there.
pub fn view(folder: &TargetFolder, listing: &Listing, history: &[Entry], settings: &Settings, now: Timestamp) -> View {
    let known: Vec<Known> = listing.backups.iter().map(Known::from).collect();
    let left = listing.leftovers.iter().any(|name| name.starts_with(crate::repository::names::STAGING));
    judgement(&folder.name, &known, &Past::of(history, listing), Doing::look(folder, left), settings, now)
}

/// Judges a target by its backups, oldest first, its runs, and what is going on.
pub fn judgement(target: &str, known: &[Known], past: &Past, doing: Doing, settings: &Settings, now: Timestamp) -> View {
    let point = |backup: &Known| Point { id: backup.id.clone(), at: backup.at };
    let sound = |backup: &&Known| backup.is_sound();
    let suspicious = |backup: &Known| backup.suspicious.is_some() && !settings.allow_empty;
    // A backup from the future says that a clock was wrong, and nothing about today.
    let (present, ahead): (Vec<&Known>, Vec<&Known>) = known.iter().partition(|backup| !clock::is_ahead(backup.at, now));
    let usable: Vec<&Known> = present.iter().copied().filter(sound).filter(|backup| !suspicious(backup)).collect();
    let newest = usable.last().copied();
    let newest_proven = usable.iter().rev().copied().find(|backup| backup.proven);
    let max_age = signed(past.max_age(settings, now));
    let case = Case { known, usable: &usable, newest, newest_proven, past, doing, settings, max_age, now };
    let (state, ground, counting, why) = case.judge();

    let mut remarks = Vec::new();
    if let Some(run) = past.last.as_ref().filter(|run| run.outcome == Outcome::Failed && state != State::Stale) {
        remarks.push(format!("the last run failed: {}", run.message.as_deref().unwrap_or("unknown")));
    }
    if let Some(bad) = present.last().filter(|backup| backup.bad) {
        remarks.push(format!("the newest backup, {}, is BAD: do not rely on it", bad.id));
    }
    if let Some(part) = present.last().filter(|backup| backup.incomplete) {
        remarks.push(format!("the newest backup, {}, is {}", part.id, part.fault.as_deref().unwrap_or("incomplete")));
    }
    let emptied = present.iter().copied().rfind(sound).filter(|backup| suspicious(backup));
    if let Some((backup, why)) = emptied.and_then(|backup| Some((backup, backup.suspicious.as_ref()?))) {
        remarks.push(format!("the newest backup, {}, is {why}: it is not relied upon; BACKUP_ALLOW_EMPTY=yes says that this is right", backup.id));
    }
    if let Some(ahead) = ahead.last() {
        remarks.push(format!("backup {} is dated in the future, and counts for nothing: look at this machine's clock", ahead.id));
    }
    if let (Some(newest), Some(proven), Drill::EveryBackup) = (newest, newest_proven, &settings.drill)
        && newest.id != proven.id
    {
        remarks.push(format!("the newest backup, {}, is {}", newest.id, if doing.proving { "being proven now" } else { "not proven yet" }));
    }
    remarks.extend(past.too_short(settings, now));
    View {
        target: target.to_owned(),
        state,
        ground,
        counting: counting.map(point),
        why,
        max_age_s: max_age.as_secs().unsigned_abs(),
        age_s: counting.map(|backup| age(backup, now).as_secs()),
        newest: newest.map(point),
        newest_proven: newest_proven.map(point),
        exceptions: newest_proven.map(|backup| backup.exceptions.clone()).unwrap_or_default(),
        empty: present.iter().copied().rfind(sound).is_some_and(|backup| backup.empty) && !settings.allow_empty,
        oldest: usable.first().copied().map(point),
        backups: known.len() as u64,
        proven: known.iter().filter(|backup| backup.proven).count() as u64,
        running: doing.running,
        proving: doing.proving,
        last_run: past.last.clone(),
        next_run: settings.schedule.next_after(now),
        // One whose time has come is being made, or somebody else has made it.
        retry_at: doing.again.filter(|again| *again >= now && settings.schedule.next_after(now).is_none_or(|next| *again < next)),
        remarks,
    }
}

fn age(backup: &Known, now: Timestamp) -> SignedDuration {
    now.duration_since(backup.at).max(SignedDuration::ZERO)
}

/// What a judgement rests on.
struct Case<'a> {
    known: &'a [Known],
    /// The backups that may be relied upon, oldest first.
    usable: &'a [&'a Known],
    newest: Option<&'a Known>,
    newest_proven: Option<&'a Known>,
    past: &'a Past,
    doing: Doing,
    settings: &'a Settings,
    max_age: SignedDuration,
    now: Timestamp,
}

impl<'a> Case<'a> {
    /// The state, its ground, the backup that it rests on, and why.
    fn judge(&self) -> (State, Ground, Option<&'a Known>, String) {
        let last_run = self.past.last.as_ref();
        let failed = last_run.filter(|run| run.outcome == Outcome::Failed);
        let because = failed.map_or_else(String::new, |run| format!("; the last run failed: {}", run.message.as_deref().unwrap_or("unknown")));
        let every = matches!(self.settings.drill, Drill::EveryBackup);
        let Some(backup) = (if every { self.newest_proven } else { self.newest }) else {
            return match (self.newest, last_run) {
                (Some(newest), None) if self.doing.proving => {
                    (State::Starting, Ground::BeingProven, None, format!("the first backup, {}, is being proven now", newest.id))
                }
                (Some(newest), _) if self.doing.proving => {
                    (State::Stale, Ground::NoneProven, None, format!("no backup is proven; the newest, {}, is being proven now{because}", newest.id))
                }
                (Some(newest), _) => {
                    (State::Stale, Ground::NoneProven, None, format!("no backup is proven; the newest is {}: kluis drill says why{because}", newest.id))
                }
                (None, _) if !self.known.is_empty() => (State::Stale, Ground::NoBackup, None, format!("{}{because}", unreliable(self.known))),
                (None, None) => (State::Starting, Ground::NoRun, None, "no backup yet, and no run".to_owned()),
                (None, Some(_)) => (State::Stale, Ground::NoBackup, None, format!("no backup{because}")),
            };
        };
        let old = age(backup, self.now);
        let limit = format_duration(self.max_age.unsigned_abs());
        let (what, standing) = match (every, backup.proven) {
            (true, _) => ("newest proven backup", ""),
            (false, true) => ("newest backup", ""),
            (false, false) => ("newest backup", ", complete, not proven"),
        };
        let fact = format!("the {what} was made {} ({}{standing}), and may be {limit} old", format_age(old), backup.id);
        if old > self.max_age {
            return (State::Stale, Ground::TooOld, Some(backup), format!("{fact}{because}"));
        }
        match self.proof_is_overdue() {
            Some(overdue) => (State::Stale, Ground::DrillOverdue, Some(backup), overdue),
            None if backup.proven => (State::Fresh, Ground::YoungEnough, Some(backup), fact),
            None => (State::Fresh, Ground::NotProven, Some(backup), fact),
        }
    }

    /// Where drills have a schedule of their own: whether the last one that was due left its proof, made since then, of a backup that was fresh then. It had
    /// as long as a run may take.
    fn proof_is_overdue(&self) -> Option<String> {
        let Drill::Cron(schedule) = &self.settings.drill else { return None };
        let due = schedule.last_at_or_before(self.now.checked_sub(signed(self.settings.deadline)).ok()?)?;
        let oldest = due.checked_sub(self.max_age).unwrap_or(Timestamp::MIN);
        let made = |backup: &&Known| backup.proven && backup.at >= oldest && backup.proven_at.is_some_and(|at| at >= due && !clock::is_ahead(at, self.now));
        if self.usable.iter().any(made) {
            return None;
        }
        let newest = self.newest_proven.map_or_else(
            || "no backup is proven".to_owned(),
            |backup| {
                let proven = backup.proven_at.map_or_else(String::new, |at| format!(", proven {}", format_age(self.now.duration_since(at))));
                format!("the newest proven backup is {}{proven}", backup.id)
            },
        );
        Some(format!("{newest}, and a drill was due {}", format_age(self.now.duration_since(due))))
    }
}

/// What there is where no backup can be relied upon, and what the newest one says.
fn unreliable(known: &[Known]) -> String {
    let all = known.len();
    let count = |is: &dyn Fn(&Known) -> bool| known.iter().filter(|backup| is(backup)).count();
    let bad = count(&|backup| backup.understood && backup.bad && !backup.incomplete);
    let incomplete = count(&|backup| backup.understood && backup.incomplete);
    let ahead = count(&Known::is_sound);
    let parts = [(bad, "bad"), (incomplete, "incomplete"), (all - bad - incomplete - ahead, "not understood"), (ahead, "dated in the future")];
    let parts: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let says = known.last().and_then(|newest| Some(format!("; the newest, {}, is {}", newest.id, cut(newest.fault.as_ref()?, 300)))).unwrap_or_default();
    format!("no backup can be relied upon, of {all} that are there: {}{says}", parts.join(", "))
}
