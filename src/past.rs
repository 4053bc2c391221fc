//! What a target's runs tell: when the last one began, how long they take, and so how old a backup may get and whether the clock can be believed.
//! It owns these facts, each from one source for everybody who asks; it leaves reading to `repository` and the rule about dates to `clock`. Pure.
//! Invariant: what was published counts as a run that began, also where the run died before it could write its line.

use crate::clock::{self, Doubt};
use crate::config::Settings;
use crate::repository::history::{Entry, Outcome};
use crate::repository::list::Listing;
use crate::schedule::Schedule;
use crate::units::format_duration;
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

/// From how many of the last runs it is told how long a run takes.
const RUNS: usize = 10;

/// The least that a backup may be older than the schedule's longest gap.
const LEAST_MARGIN: Duration = Duration::from_secs(2 * 3600);

/// A run that published a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran {
    /// When it began.
    pub started: Timestamp,
    /// How long it took, with the drill that was part of it.
    pub took: Duration,
}

/// What the runs of a target tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    /// The last run that was not skipped.
    pub last: Option<Entry>,
    /// The last ones that published a backup, in the order in which they were made, whatever their dates.
    pub published: VecDeque<Ran>,
    /// When the backups that are there began.
    pub backups: Vec<Timestamp>,
    /// The same of those of which no run's record tells.
    pub unlisted: Vec<Timestamp>,
}

impl Past {
    /// What history and backups tell.
    pub fn of(history: &[Entry], listing: &Listing) -> Past {
        let mut past = Past { last: history.iter().rev().find(|run| run.outcome != Outcome::Skipped).cloned(), ..Past::default() };
        for run in history.iter().filter(|run| run.outcome.is_success()) {
            let milliseconds = run.steps.iter().map(|(_, milliseconds)| milliseconds).sum();
            past.add(Ran { started: run.started, took: Duration::from_millis(milliseconds) });
        }
        let listed: HashSet<&str> = history.iter().filter_map(|run| run.backup.as_deref()).collect();
        past.backups = listing.backups.iter().map(|backup| backup.at()).collect();
        past.unlisted = listing.backups.iter().filter(|backup| !listed.contains(backup.id.as_str())).map(|backup| backup.at()).collect();
        past
    }

    /// Takes note of a run that published a backup after those before.
    pub fn add(&mut self, run: Ran) {
        if self.published.len() > RUNS {
            self.published.pop_front();
        }
        self.published.push_back(run);
    }

    /// When runs that published a backup began: the last ones, and those whose backup is there.
    pub fn began(&self) -> Vec<Timestamp> {
        self.published.iter().map(|run| run.started).chain(self.backups.iter().copied()).collect()
    }

    /// Whether the present is no reason to delete. `without`: a backup that was just made, and whose run is the one that asks.
    pub fn doubt(&self, schedule: &Schedule, without: Option<Timestamp>, now: Timestamp) -> Option<Doubt> {
        let runs: Vec<Timestamp> = self.published.iter().map(|run| run.started).collect();
        let others: Vec<Timestamp> = self.unlisted.iter().copied().filter(|at| Some(*at) != without).collect();
        clock::doubt(&runs, &others, schedule.longest_gap(now), now)
    }

    /// How long the last run took.
    pub fn took(&self) -> Option<Duration> {
        self.published.back().map(|run| run.took)
    }

    /// How long the last ten runs took: their median.
    fn usually(&self) -> Option<Duration> {
        let mut all: Vec<Duration> = self.published.iter().rev().take(RUNS).map(|run| run.took).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied()
    }

    /// The oldest that the newest backup may get: what was set; else the schedule's longest gap, and two hours or twice what a run usually takes.
    pub fn max_age(&self, settings: &Settings, now: Timestamp) -> Duration {
        settings.max_age.unwrap_or_else(|| {
            let margin = self.usually().map_or(LEAST_MARGIN, |usually| LEAST_MARGIN.max(usually.saturating_mul(2)));
            gap(settings, now).saturating_add(margin)
        })
    }

    /// What is wrong with a maximum age that was set: each run would be followed by an alarm. Nothing where it is long enough.
    pub fn too_short(&self, settings: &Settings, now: Timestamp) -> Option<String> {
        let (set, gap, took) = (settings.max_age?, gap(settings, now), self.took().unwrap_or_default());
        let needed = gap.saturating_add(took);
        let run = self.took().map_or_else(String::new, |took| format!(", the last run took {}", format_duration(took)));
        let sum = if self.took().is_some() { format!(": together {}", format_duration(needed)) } else { String::new() };
        (set < needed).then(|| {
            format!("BACKUP_MAX_AGE is {}, which is too short: up to {} pass from one run to the next{run}{sum}", format_duration(set), format_duration(gap))
        })
    }
}

fn gap(settings: &Settings, now: Timestamp) -> Duration {
    Duration::try_from(settings.schedule.longest_gap(now)).unwrap_or_default()
}

/// The least that the maximum age of these settings can be, whatever the runs were like.
pub fn least_max_age(settings: &Settings, now: Timestamp) -> Duration {
    Past::default().max_age(settings, now)
}

/// A length of time that a comparison of dates can use.
pub fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
