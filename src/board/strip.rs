//! The last days, one by one: was there a backup, was it proven, did it fail, or was it missed?
//! It owns what a day is called; a day is one of the schedule's own time zone.
//! Invariant: a day on which a run was due and none began is *missed*, never empty.

use crate::catalog::{Run, Shelf};
use crate::repository::history::Outcome;
use crate::retention::Standing;
use crate::schedule::Schedule;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::Serialize;

/// How many days are told of.
pub const DAYS: usize = 30;

/// How long after a scheduled time a run may begin before it counts as missed.
const GRACE: SignedDuration = SignedDuration::from_mins(10);

/// What a day was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DayKind {
    /// Nothing was due, and nothing was done.
    None,
    /// A run was due and none began.
    Missed,
    /// Every run failed, or its backup is bad.
    Failed,
    /// There is a backup, and it is not proven.
    Unproven,
    /// There is a proven backup.
    Proven,
}

/// A day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Day {
    /// Its date.
    pub date: Date,
    /// What it was.
    pub kind: DayKind,
    /// Backups that were made.
    pub backups: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Whether one of its backups is bad.
    pub bad: bool,
    /// Whether a run is still to come today.
    pub due: bool,
    /// Why the last run that failed did, where that is remembered.
    pub note: Option<String>,
}

/// The last days, oldest first.
pub fn days(shelf: &Shelf, schedule: &Schedule, now: Timestamp) -> Vec<Day> {
    let zone = schedule.time_zone();
    let today = zone.to_datetime(now).date();
    let known_since = shelf.runs.first.into_iter().chain(shelf.backups.first().map(|backup| backup.candidate.at)).min();
    let first = today.checked_sub((DAYS as i64 - 1).days()).unwrap_or(today);
    let Ok(begin) = first.to_zoned(zone.clone()).map(|day| day.timestamp()) else { return Vec::new() };
    let recent: Vec<&Run> = shelf.runs.recent.iter().rev().take_while(|run| run.started >= begin).collect();
    let mut days = Vec::with_capacity(DAYS);
    for date in first.series(1.day()).take(DAYS) {
        let (Ok(from), Ok(to)) = (date.to_zoned(zone.clone()), date.tomorrow().and_then(|next| next.to_zoned(zone.clone()))) else { continue };
        let (from, to) = (from.timestamp(), to.timestamp());
        let within = |at: Timestamp| from <= at && at < to;
        let runs: Vec<&Run> = recent.iter().copied().filter(|run| within(run.started) && run.outcome != Outcome::Skipped).collect();
        // The backups that are still there know best how far they are proven; of those that are gone the history knows.
        let there = shelf.backups.iter().filter(|backup| within(backup.candidate.at));
        let mut standings: Vec<Standing> = there.map(|backup| backup.candidate.standing).collect();
        let published = runs.iter().filter(|run| run.published.is_some()).count();
        if published > standings.len() {
            standings.extend(runs.iter().filter_map(|run| run.published).take(published - standings.len()));
        }
        let failed = runs.iter().filter(|run| run.outcome == Outcome::Failed).count() as u64;
        let due = schedule.next_after(from - SignedDuration::from_secs(1)).filter(|due| *due < to);
        let missed = due.is_some_and(|due| due + GRACE < now && known_since.is_some_and(|since| since < due));
        let best = standings.iter().max().copied();
        let kind = match best {
            Some(Standing::Proven) => DayKind::Proven,
            Some(standing) if standing.is_good() => DayKind::Unproven,
            Some(_) => DayKind::Failed,
            None if failed > 0 => DayKind::Failed,
            None if missed => DayKind::Missed,
            None => DayKind::None,
        };
        days.push(Day {
            date,
            kind,
            backups: standings.len() as u64,
            failed,
            bad: standings.contains(&Standing::Bad),
            due: schedule.next_after(now).is_some_and(within) && date == today,
            note: runs.iter().find_map(|run| run.note.clone()),
        });
    }
    days
}
