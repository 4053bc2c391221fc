//! How a target stands: is there a backup that can be relied upon, and is it young enough?
//! It owns that judgement, which the health check, the command line and alarms share; it leaves reading to `repository` and words to the commands.
//! Invariant: overdue outranks the last result, only backups that were proven count (where backups are drilled at all), and no clock makes an old one fresh.

use crate::config::{Drill, Settings};
use crate::error::Result;
use crate::exception::Exceptions;
use crate::repository::TargetFolder;
use crate::repository::history::{Entry, Outcome};
use crate::repository::list::{Backup, Listing};
use crate::units::{cut, format_age};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// How far ahead of the clock a backup may be dated and still count: clocks are corrected by seconds, not by hours.
const SLACK: SignedDuration = SignedDuration::from_hours(1);

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
    /// A backup that counts is young enough.
    YoungEnough,
    /// There was no run yet.
    NoRun,
    /// There was a run, and there is no backup to rely on.
    NoBackup,
    /// There are backups, and none of them is proven.
    NoneProven,
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
            empty: backup.is_empty(),
            exceptions: backup.excepted(),
            fault: backup.fault(),
        }
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
    /// The last run that was not skipped.
    pub last_run: Option<Entry>,
    /// The next scheduled run.
    pub next_run: Option<Timestamp>,
    /// What else needs attention.
    pub remarks: Vec<String>,
}

/// Reads a target's folder, which need not be there yet, and judges it.
pub fn read(folder: &TargetFolder, settings: &Settings, now: Timestamp) -> Result<View> {
    let (listing, history) = Listing::with_history(folder)?;
    Ok(view(&folder.name, &listing, &history, settings, now))
}

/// Judges a target by what is in its folder.
pub fn view(target: &str, listing: &Listing, history: &[Entry], settings: &Settings, now: Timestamp) -> View {
    let known: Vec<Known> = listing.backups.iter().map(Known::from).collect();
    let last_run = history.iter().rev().find(|run| run.outcome != Outcome::Skipped).cloned();
    let running = listing.leftovers.iter().any(|name| name.starts_with(crate::repository::names::STAGING));
    judgement(target, &known, last_run, running, settings, now)
}

/// Judges a target by its backups, oldest first, and the last run that was not skipped.
pub fn judgement(target: &str, known: &[Known], last_run: Option<Entry>, running: bool, settings: &Settings, now: Timestamp) -> View {
    let point = |backup: &Known| Point { id: backup.id.clone(), at: backup.at };
    let sound = |backup: &&Known| backup.is_sound();
    let suspicious = |backup: &Known| backup.suspicious.is_some() && !settings.allow_empty;
    let usable: Vec<&Known> = known.iter().filter(sound).filter(|backup| !suspicious(backup)).collect();
    // A backup from the future says that a clock was wrong, and nothing about today.
    let (dated, ahead): (Vec<&Known>, Vec<&Known>) = usable.iter().partition(|backup| backup.at <= now + SLACK);
    let newest = dated.last().copied();
    let newest_proven = dated.iter().rev().copied().find(|backup| backup.proven);
    let (state, ground, counting, why) = judge(known, newest, newest_proven, last_run.as_ref(), settings, now);

    let mut remarks = Vec::new();
    if let Some(run) = last_run.as_ref().filter(|run| run.outcome == Outcome::Failed && state != State::Stale) {
        remarks.push(format!("the last run failed: {}", run.message.as_deref().unwrap_or("unknown")));
    }
    if let Some(bad) = known.last().filter(|backup| backup.bad) {
        remarks.push(format!("the newest backup, {}, is BAD: do not rely on it", bad.id));
    }
    if let Some(part) = known.last().filter(|backup| backup.incomplete) {
        remarks.push(format!("the newest backup, {}, is {}", part.id, part.fault.as_deref().unwrap_or("incomplete")));
    }
    let emptied = known.iter().rfind(sound).filter(|backup| suspicious(backup));
    if let Some((backup, why)) = emptied.and_then(|backup| Some((backup, backup.suspicious.as_ref()?))) {
        remarks.push(format!("the newest backup, {}, is {why}: it is not relied upon; BACKUP_ALLOW_EMPTY=yes says that this is right", backup.id));
    }
    if let Some(ahead) = ahead.last() {
        remarks.push(format!("backup {} is dated in the future: look at this machine's clock", ahead.id));
    }
    if let (Some(newest), Some(proven), Drill::EveryBackup) = (newest, newest_proven, &settings.drill)
        && newest.id != proven.id
    {
        remarks.push(format!("the newest backup, {}, is not proven yet", newest.id));
    }
    View {
        target: target.to_owned(),
        state,
        ground,
        counting: counting.map(point),
        why,
        max_age_s: settings.max_age.as_secs(),
        age_s: counting.map(|backup| age(backup, now).as_secs()),
        newest: newest.map(point),
        newest_proven: newest_proven.map(point),
        exceptions: newest_proven.map(|backup| backup.exceptions.clone()).unwrap_or_default(),
        empty: known.iter().rfind(sound).is_some_and(|backup| backup.empty) && !settings.allow_empty,
        oldest: usable.first().copied().map(point),
        backups: known.len() as u64,
        proven: known.iter().filter(|backup| backup.proven).count() as u64,
        running,
        last_run,
        next_run: settings.schedule.next_after(now),
        remarks,
    }
}

fn age(backup: &Known, now: Timestamp) -> SignedDuration {
    now.duration_since(backup.at).max(SignedDuration::ZERO)
}

/// The state, its ground, the backup that it rests on, and why.
fn judge<'a>(
    known: &[Known],
    newest: Option<&'a Known>,
    newest_proven: Option<&'a Known>,
    last_run: Option<&Entry>,
    settings: &Settings,
    now: Timestamp,
) -> (State, Ground, Option<&'a Known>, String) {
    let failed = last_run.filter(|run| run.outcome == Outcome::Failed);
    let because = failed.map_or_else(String::new, |run| format!("; the last run failed: {}", run.message.as_deref().unwrap_or("unknown")));
    let max_age = SignedDuration::try_from(settings.max_age).unwrap_or(SignedDuration::MAX);
    let counting = match &settings.drill {
        Drill::EveryBackup => newest_proven,
        Drill::Cron(_) | Drill::Off => newest,
    };
    let Some(backup) = counting else {
        return match (newest, last_run) {
            (Some(newest), _) => {
                (State::Stale, Ground::NoneProven, None, format!("no backup is proven; the newest is {}: kluis drill says why{because}", newest.id))
            }
            (None, _) if !known.is_empty() => (State::Stale, Ground::NoBackup, None, format!("{}{because}", unreliable(known))),
            (None, None) => (State::Starting, Ground::NoRun, None, "no backup yet, and no run".to_owned()),
            (None, Some(_)) => (State::Stale, Ground::NoBackup, None, format!("no backup{because}")),
        };
    };
    let old = age(backup, now);
    let limit = crate::units::format_duration(settings.max_age);
    let what = if matches!(settings.drill, Drill::EveryBackup) { "newest proven backup" } else { "newest backup" };
    let fact = format!("the {what} was made {} ({}), and may be {limit} old", format_age(old), backup.id);
    if old > max_age {
        return (State::Stale, Ground::TooOld, Some(backup), format!("{fact}{because}"));
    }
    match proof_is_overdue(newest_proven, settings, now) {
        Some(overdue) => (State::Stale, Ground::DrillOverdue, Some(backup), overdue),
        None => (State::Fresh, Ground::YoungEnough, Some(backup), fact),
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

/// Where drills have a schedule of their own: whether the last one that was due left its proof. It had to find a backup that was fresh then, and
/// had as long as a run may take.
fn proof_is_overdue(newest_proven: Option<&Known>, settings: &Settings, now: Timestamp) -> Option<String> {
    let Drill::Cron(schedule) = &settings.drill else { return None };
    let patience = SignedDuration::try_from(settings.deadline).ok()?;
    let max_age = SignedDuration::try_from(settings.max_age).ok()?;
    let due = schedule.last_at_or_before(now.checked_sub(patience).ok()?)?;
    let proven = newest_proven.map(|backup| backup.at);
    if proven.is_some_and(|at| at >= due.checked_sub(max_age).unwrap_or(Timestamp::MIN)) {
        return None;
    }
    let newest = newest_proven.map_or_else(|| "no backup is proven".to_owned(), |backup| format!("the newest proven backup is {}", backup.id));
    Some(format!("{newest}, and a drill was due {}", format_age(now.duration_since(due))))
}
