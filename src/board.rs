//! How things stand, as one model: what the status page, the metrics and the JSON are made of.
//! It owns bringing together what `status`, `retention` and the schedule say, day by day and point by point; it leaves looks and words to `page`. Pure.
//! Invariant: it decides nothing anew: the state is that of `status`, what is kept is what `retention` keeps, and nothing here is a secret or a row value.

mod leaving;
mod series;
mod strip;
#[cfg(test)]
mod tests;

pub use leaving::{Ahead, Leaves, ahead};
pub use series::Sample;
pub use strip::{DAYS, Day, DayKind};

use crate::catalog::{Evidence, OUTCOMES, Runs, Shelf, Short};
use crate::clock::is_ahead;
use crate::config::{Drill, Settings};
use crate::manifest::{Loss, Sandbox};
use crate::repository::history::{Entry, Outcome};
use crate::repository::intent::Intent;
use crate::repository::progress::Progress;
use crate::retention::{self, Facts, Plan, Reason, Standing, Suspension};
use crate::status::{self, Doing, Ground, State, View};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// Over how long the growth of the repository is taken.
const GROWTH: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Everything.
#[derive(Debug, Clone, Serialize)]
pub struct Board {
    /// The version of Kluis.
    pub kluis: &'static str,
    /// When this was so.
    pub at: Timestamp,
    /// The state of the worst target.
    pub state: State,
    /// The targets, the worst first.
    pub targets: Vec<Stand>,
    /// The room on the repository's volume, where that is known.
    pub room: Option<Room>,
    /// Whether what happens reaches somebody.
    pub voice: Voice,
}

/// The room on the repository's volume.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Room {
    /// Bytes that can still be written.
    pub free_bytes: u64,
    /// Its size in bytes.
    pub total_bytes: u64,
    /// By how many bytes a day the backups grow; less than 0 where they shrink.
    pub growth_bytes_per_day: i64,
    /// How long the room lasts at this rate, in days; nothing where the backups do not grow.
    pub days_left: Option<u64>,
}

/// How notifications fare, by what the repository remembers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Voice {
    /// How many attempts failed.
    pub failures: u64,
    /// When the last one did.
    pub last_failure: Option<Timestamp>,
}

/// One target.
#[derive(Debug, Clone, Serialize)]
pub struct Stand {
    /// The judgement.
    #[serde(flatten)]
    pub view: View,
    /// On what ground.
    pub ground: Ground,
    /// The schedule as it was typed.
    pub schedule: String,
    /// The time zone that it is meant in.
    pub time_zone: String,
    /// When backups are proven: `every-backup`, `off`, or a cron expression.
    pub drill: String,
    /// The next drill, where drills have a schedule of their own.
    pub next_drill: Option<Timestamp>,
    /// The newest proven backup, and what its drill found.
    pub proof: Option<Proven>,
    /// What a run in progress has reached.
    pub progress: Option<Progress>,
    /// The last days, oldest first.
    pub days: Vec<Day>,
    /// The restore points, newest first.
    #[serde(skip)]
    pub points: Vec<Point>,
    /// Why nothing is deleted at present.
    pub suspended: Option<Suspension>,
    /// The tables that lost rows, where that is why; those that lost the most first.
    pub losses: Vec<Loss>,
    /// How many more there are.
    pub losses_unlisted: u64,
    /// Size, rows and duration of earlier runs, oldest first.
    #[serde(skip)]
    pub samples: Vec<Sample>,
    /// What was counted.
    pub counts: Counts,
    /// The last run that published a backup.
    pub last_success: Option<Entry>,
    /// The most that its backups will take at once, in bytes, while the policy fills the room that it needs for the first time.
    #[serde(skip)]
    pub filling: Option<u64>,
}

/// A proven backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proven {
    /// Its name.
    pub id: String,
    /// When it was made.
    pub made: Timestamp,
    /// When that was proven.
    pub at: Timestamp,
    /// Whether the operator's own assertions passed too.
    pub asserted: bool,
    /// Tables compared.
    pub tables: u64,
    /// Rows compared.
    pub rows: u64,
    /// How long the restore took, in milliseconds.
    pub restore_ms: u64,
    /// How far the throwaway server was confined.
    pub sandbox: Sandbox,
}

/// One restore point, or what lies in its place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Its name.
    pub id: String,
    /// When its run began.
    pub at: Timestamp,
    /// What is known of it.
    pub standing: Standing,
    /// Whether the operator said that it stays.
    pub pinned: bool,
    /// Tables in it.
    pub tables: Option<u64>,
    /// Rows in it.
    pub rows: Option<u64>,
    /// Its size on disk, in bytes.
    pub bytes: u64,
    /// Every rule that keeps it; or the one that lets it go.
    pub reasons: Vec<Reason>,
    /// When it goes.
    pub leaves: Leaves,
    /// Why it is bad or not understood.
    pub remark: Option<String>,
    /// Whether a restore can be forced, although it is bad.
    pub can_be_forced: bool,
    /// How many things a restore of it does not bring back.
    pub exceptions: u64,
}

/// Numbers of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Runs since the first one: done, with warnings, failed, skipped.
    pub done: u64,
    /// A backup was published, and something needed attention.
    pub warned: u64,
    /// Nothing was published.
    pub failed: u64,
    /// Another run was in progress.
    pub skipped: u64,
    /// Backups deleted by the policy.
    pub deleted: u64,
    /// Bytes of all its backups on disk.
    pub bytes: u64,
    /// The size of the database on its server at the newest backup, in bytes.
    pub database_bytes: Option<u64>,
    /// By how many bytes a day its backups grow.
    pub growth_bytes_per_day: i64,
}

/// What is known of a target before it is judged.
pub struct Given<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its settings.
    pub settings: &'a Settings,
    /// What is in its folder.
    pub shelf: &'a Shelf,
    /// What a run in progress has reached.
    pub progress: Option<Progress>,
    /// What the sidecar is about to do.
    pub intent: Intent,
    /// When its backups leave and how much room they will need, as [`ahead`] says.
    pub ahead: &'a Ahead,
}

/// What retention has to know besides the backups.
pub fn facts(shelf: &Shelf, settings: &Settings, now: Timestamp) -> Facts {
    Facts {
        last_run_failed: shelf.runs.last.as_ref().is_some_and(|run| run.outcome == Outcome::Failed && !run.full),
        drill_off: matches!(settings.drill, Drill::Off),
        doubt: shelf.past().doubt(&settings.schedule, None, now),
        accepted: shelf.accepted,
    }
}

/// How one target stands.
pub fn stand(given: &Given<'_>, now: Timestamp) -> Stand {
    let (settings, shelf) = (given.settings, given.shelf);
    let known: Vec<_> = shelf.backups.iter().map(Short::known).collect();
    let doing = Doing::of(given.progress.as_ref(), given.intent);
    let view = status::judgement(given.name, &known, &shelf.past(), doing, settings, now);
    let candidates: Vec<_> = shelf.backups.iter().map(|backup| backup.candidate.clone()).collect();
    let plan = retention::plan(&candidates, &settings.policy, now, &facts(shelf, settings, now));
    let proof = shelf.backups.iter().rev().find(|backup| backup.candidate.standing == Standing::Proven && !is_ahead(backup.candidate.at, now));
    let found_by =
        shelf.runs.last_success.as_ref().filter(|run| plan.suspended.as_ref().and_then(Suspension::shrunken) == run.backup.as_deref() && run.backup.is_some());
    Stand {
        losses: found_by.map(|run| run.losses.clone()).unwrap_or_default(),
        losses_unlisted: found_by.map_or(0, |run| run.losses_unlisted),
        ground: view.ground,
        schedule: settings.schedule.expression().to_owned(),
        time_zone: zone_name(settings.schedule.time_zone()),
        drill: match &settings.drill {
            Drill::EveryBackup => "every-backup".to_owned(),
            Drill::Off => "off".to_owned(),
            Drill::Cron(schedule) => schedule.expression().to_owned(),
        },
        next_drill: match &settings.drill {
            Drill::Cron(schedule) => schedule.next_after(now),
            Drill::EveryBackup | Drill::Off => None,
        },
        proof: proof.and_then(|backup| Some(proven(backup, backup.evidence.as_ref()?))),
        days: strip::days(shelf, &settings.schedule, now),
        points: points(shelf, &plan, &given.ahead.leaves),
        samples: series::samples(&shelf.runs, now),
        counts: counts(shelf, now),
        suspended: plan.suspended,
        last_success: shelf.runs.last_success.clone(),
        filling: is_filling(&shelf.runs, now).then_some(given.ahead.most_bytes),
        progress: given.progress.clone(),
        view,
    }
}

/// A target whose folder cannot be read.
pub fn unreadable(name: &str, why: &str, settings: &Settings, now: Timestamp) -> Stand {
    let shelf = Shelf::default();
    let mut stand = stand(&Given { name, settings, shelf: &shelf, progress: None, intent: Intent::default(), ahead: &Ahead::default() }, now);
    (stand.view.state, stand.view.ground, stand.ground) = (State::Stale, Ground::Unreadable, Ground::Unreadable);
    stand.view.why = format!("its backups cannot be read: {why}");
    stand
}

/// Everything, from its parts. `room`: free bytes and all bytes of the volume.
pub fn board(mut targets: Vec<Stand>, room: Option<(u64, u64)>, voice: Voice, now: Timestamp) -> Board {
    // Of equal states, the one that has used up most of its maximum age.
    let spent =
        |stand: &Stand| stand.view.age_s.map_or(i64::MAX, |age| age.saturating_mul(1000) / i64::try_from(stand.view.max_age_s.max(1)).unwrap_or(i64::MAX));
    targets.sort_by(|a, b| (b.view.state.severity(), spent(b)).cmp(&(a.view.state.severity(), spent(a))).then_with(|| a.view.target.cmp(&b.view.target)));
    let growth_bytes_per_day: i64 = targets.iter().map(|stand| stand.counts.growth_bytes_per_day).sum();
    let fillings: Vec<Filling> = targets.iter().map(|stand| (stand.filling, stand.counts.bytes, stand.counts.growth_bytes_per_day)).collect();
    let room = room.map(|(free_bytes, total_bytes)| Room { free_bytes, total_bytes, growth_bytes_per_day, days_left: days_left(&fillings, free_bytes) });
    let state = targets.first().map_or(State::Starting, |stand| stand.view.state);
    Board { kluis: env!("CARGO_PKG_VERSION"), at: now, state, targets, room, voice }
}

/// Of one target: the most that its backups will take at once, while they still fill it; what they take; and by how much they grow a day. All in bytes.
type Filling = (Option<u64>, u64, i64);

/// How long the free room lasts. Before a policy gives up its first backup, its target grows by every backup: that says nothing, as long as all that it will ever
/// keep fits.
fn days_left(targets: &[Filling], free: u64) -> Option<u64> {
    let reserved = targets.iter().filter_map(|(most, bytes, _)| Some((*most)?.saturating_sub(*bytes))).fold(0, u64::saturating_add);
    let fits = free.checked_sub(reserved);
    let growth: i64 = targets.iter().filter(|(most, _, _)| most.is_none() || fits.is_none()).map(|(_, _, growth)| growth).sum();
    u64::try_from(growth).ok().and_then(|growth| fits.unwrap_or(free).checked_div(growth))
}

/// Whether some of the growth that is measured is from before the policy gave up a first backup.
fn is_filling(runs: &Runs, now: Timestamp) -> bool {
    runs.first_deletion.is_none_or(|first| now.duration_since(first) < GROWTH)
}

fn proven(backup: &Short, evidence: &Evidence) -> Proven {
    Proven {
        id: backup.candidate.id.clone(),
        made: backup.candidate.at,
        at: evidence.at,
        asserted: evidence.asserted,
        tables: evidence.tables,
        rows: evidence.rows,
        restore_ms: evidence.restore_ms,
        sandbox: evidence.sandbox,
    }
}

fn points(shelf: &Shelf, plan: &Plan, leaving: &[(String, Leaves)]) -> Vec<Point> {
    let of = |backup: &Short| {
        let candidate = &backup.candidate;
        let decision = plan.decisions.iter().find(|decision| decision.id == candidate.id);
        Point {
            id: candidate.id.clone(),
            at: candidate.at,
            standing: candidate.standing,
            pinned: candidate.pinned,
            tables: backup.tables,
            rows: candidate.rows,
            bytes: candidate.bytes,
            reasons: decision.map(|decision| decision.reasons.clone()).unwrap_or_default(),
            leaves: leaving.iter().find(|(id, _)| *id == candidate.id).map_or(Leaves::Unknown, |(_, leaves)| *leaves),
            remark: backup.remark.clone(),
            can_be_forced: backup.can_be_forced,
            exceptions: backup.exceptions.count(),
        }
    };
    shelf.backups.iter().rev().map(of).collect()
}

fn counts(shelf: &Shelf, now: Timestamp) -> Counts {
    let by = |outcome: Outcome| OUTCOMES.iter().position(|other| *other == outcome).map_or(0, |place| shelf.runs.by_outcome[place]);
    Counts {
        done: by(Outcome::Done),
        warned: by(Outcome::Warned),
        failed: by(Outcome::Failed),
        skipped: by(Outcome::Skipped),
        deleted: shelf.runs.deleted,
        bytes: shelf.backups.iter().map(|backup| backup.candidate.bytes).sum(),
        database_bytes: shelf.backups.iter().rev().find_map(|backup| backup.database_bytes),
        growth_bytes_per_day: growth(&shelf.runs, now),
    }
}

/// By how many bytes a day the backups grew of late: what was published less what was deleted.
fn growth(runs: &Runs, now: Timestamp) -> i64 {
    let recent = runs.recent.iter().filter(|run| now.duration_since(run.started) <= GROWTH);
    let net: i128 = recent.map(|run| i128::from(run.bytes.unwrap_or(0)) - i128::from(run.deleted_bytes)).sum();
    // What was there before a day had passed says nothing about days to come.
    let known = runs.first.map_or(SignedDuration::ZERO, |first| now.duration_since(first)).clamp(SignedDuration::from_hours(24), GROWTH);
    i64::try_from(net * 86_400 / i128::from(known.as_secs())).unwrap_or(i64::MAX)
}

fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}
