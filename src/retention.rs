//! Retention: which backups stay, which go, and the rule that decides each one. It owns that decision as a pure function of the backups,
//! the policy and the time; it leaves reading the repository and carrying out the plan to `prune`.
//! Invariant: no policy and no clock deletes the newest proven backups, and a plan made from what an earlier plan kept deletes nothing more.

mod losses;
mod objection;
mod reason;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use losses::{Loss, collapsed, shrunken};
pub use objection::objections;
pub use reason::{Reason, Suspension, shrank};

use crate::clock::{Doubt, is_ahead};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::{BTreeSet, HashSet};

/// How long backups are kept.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Everything that is not older than this many times 24 hours stays.
    pub days: u32,
    /// For so many of the newest days that have a good backup, one stays.
    pub daily: u32,
    /// The same for ISO weeks, which begin on Monday.
    pub weekly: u32,
    /// The same for months.
    pub monthly: u32,
    /// The same for years.
    pub yearly: u32,
    /// So many of the newest proven backups stay, whatever their age. At least 1.
    pub keep_min: u32,
    /// Says where a day, and with it a week, month and year, begins.
    pub time_zone: TimeZone,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { days: 7, daily: 0, weekly: 0, monthly: 0, yearly: 0, keep_min: 3, time_zone: TimeZone::UTC }
    }
}

impl Policy {
    /// Refuses a policy that would give up the last backup. [`plan`] never does so, whatever it is handed.
    pub fn check(&self) -> Result<(), String> {
        if self.keep_min == 0 {
            return Err("at least 1 proven backup is always kept, so the minimum to keep cannot be 0".into());
        }
        Ok(())
    }
}

/// What is known of a backup, in the order of trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Its manifest or proof is damaged, or from a newer version of Kluis. Never deleted, never relied upon.
    NotUnderstood,
    /// Files of it are missing, or not as large as they were: a copy broke off. Never relied upon.
    Incomplete,
    /// Found to be wrong. Never relied upon.
    Bad,
    /// Of a database that had been emptied. Never relied upon until somebody says that this is right.
    Suspicious,
    /// Complete, its hashes written.
    Sealed,
    /// Decoded back from end to end.
    Read,
    /// Restored, or restored and asserted.
    Proven,
}

impl Standing {
    /// Whether a backup of this standing may be relied upon.
    pub fn is_good(self) -> bool {
        self >= Standing::Sealed
    }
}

/// One backup, as retention sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// When the backup began, from its own manifest: a copy or an rsync changes an mtime.
    pub at: Timestamp,
    /// The name of its folder.
    pub id: String,
    /// What is known of it.
    pub standing: Standing,
    /// The user said that it stays.
    pub pinned: bool,
    /// Something in its folder could not be read.
    pub unread: bool,
    /// Which database it is of, as a number; nothing where it does not tell.
    pub line: Option<usize>,
    /// Rows in all of its tables, where that is known.
    pub rows: Option<u64>,
    /// Its size on disk. Decides nothing.
    pub bytes: u64,
    /// Which of its tables lost rows, where its run looked.
    pub loss: Option<Loss>,
}

/// What retention has to know besides the backups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// The latest run of this target failed.
    pub last_run_failed: bool,
    /// Backups are not drilled, so that no new one is ever proven.
    pub drill_off: bool,
    /// The present is further from the last run than the schedule explains.
    pub doubt: Option<Doubt>,
    /// From when on backups are measured by each other: what earlier ones held more, somebody said to be right.
    pub accepted: Option<Timestamp>,
}

/// What happens to one backup, and by which rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The backup.
    pub id: String,
    /// Whether it stays.
    pub keep: bool,
    /// Every rule that keeps it; or the one that lets it go.
    pub reasons: Vec<Reason>,
}

/// What to keep and what to delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// One for each backup, the newest first.
    pub decisions: Vec<Decision>,
    /// Why nothing at all is deleted this time.
    pub suspended: Option<Suspension>,
}

impl Plan {
    /// The backups that stay, the newest first.
    pub fn kept(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().filter(|decision| decision.keep)
    }

    /// The backups that go, the *oldest* first: whatever interrupts the deletions, the newer ones are still there.
    pub fn deleted(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().rev().filter(|decision| !decision.keep)
    }
}

/// Decides what happens to each backup of one target. The order of `backups` does not matter.
///
/// Floors and tiers rely on *good* backups only: not bad, understood, and not dated in the future. Each rule looks at all backups, never at what
/// another rule left over, so a more generous policy or one pin more can only keep more.
pub fn plan(backups: &[Candidate], policy: &Policy, now: Timestamp, facts: &Facts) -> Plan {
    let mut rules = Rules::new(backups, now);
    rules.each_for_itself(policy, now);
    rules.floors(policy.keep_min.max(1), facts);
    rules.tiers(policy);
    let (collapse, losses) = (rules.collapse(now, facts), rules.losses(now, facts));
    rules.namesakes();

    let suspended = rules.suspension(collapse.or(losses), now, facts);
    let decisions = rules.all.iter().zip(rules.reasons).map(|(backup, mut reasons)| {
        let keep = !reasons.is_empty() || suspended.is_some();
        if reasons.is_empty() {
            reasons.push(match &suspended {
                Some(why) => Reason::Suspended { why: why.clone() },
                None if backup.standing == Standing::Bad => Reason::Bad { days: policy.days },
                None if backup.standing == Standing::Incomplete => Reason::Incomplete { days: policy.days },
                None if backup.standing == Standing::Suspicious => Reason::Suspicious { days: policy.days },
                None if policy.daily.max(policy.weekly).max(policy.monthly).max(policy.yearly) > 0 => Reason::NotSelected { days: policy.days },
                None => Reason::Expired { days: policy.days },
            });
        }
        Decision { id: backup.id.clone(), keep, reasons }
    });
    Plan { decisions: decisions.collect(), suspended }
}

/// The work of one plan: what each rule keeps is collected beside the backups.
struct Rules<'a> {
    /// All backups, the newest first.
    all: Vec<&'a Candidate>,
    /// Which of them may be relied upon, the newest first.
    good: Vec<usize>,
    /// For each of `all`, the rules that keep it.
    reasons: Vec<Vec<Reason>>,
}

impl<'a> Rules<'a> {
    fn new(backups: &'a [Candidate], now: Timestamp) -> Rules<'a> {
        let mut all: Vec<&Candidate> = backups.iter().collect();
        all.sort_by(|a, b| b.cmp(a));
        let good = (0..all.len()).filter(|&i| all[i].standing.is_good() && !is_ahead(all[i].at, now)).collect();
        Rules { all, good, reasons: vec![Vec::new(); backups.len()] }
    }

    fn keep(&mut self, index: usize, reason: Reason) {
        self.reasons[index].push(reason);
    }

    /// The rules that need to see only one backup.
    fn each_for_itself(&mut self, policy: &Policy, now: Timestamp) {
        let window = SignedDuration::from_hours(24 * i64::from(policy.days));
        for index in 0..self.all.len() {
            let backup = self.all[index];
            if backup.pinned {
                self.keep(index, Reason::Pinned);
            }
            if backup.standing == Standing::NotUnderstood {
                self.keep(index, Reason::NotUnderstood);
            }
            if is_ahead(backup.at, now) {
                self.keep(index, Reason::InFuture { at: backup.at });
            } else if now.duration_since(backup.at) <= window {
                self.keep(index, Reason::WithinDays { days: policy.days });
            }
        }
    }

    /// The backups that no age removes.
    fn floors(&mut self, keep_min: u32, facts: &Facts) {
        if let Some(&newest) = self.good.first() {
            self.keep(newest, Reason::Newest);
        }
        // A stable sort: within one standing the newest stays first. Where there are not enough proven ones, the next best fill the floor.
        let own = self.good.first().and_then(|&newest| self.all[newest].line);
        let mut by_trust: Vec<usize> = self.good.iter().copied().filter(|&index| self.all[index].line == own).collect();
        by_trust.sort_by_key(|&index| std::cmp::Reverse(self.all[index].standing));
        let count = usize::try_from(keep_min).unwrap_or(usize::MAX);
        let mut floor: BTreeSet<usize> = by_trust.iter().copied().take(count).collect();
        if facts.drill_off {
            // Proofs from before the drill was turned off only grow older; the newest backups must not be counted out by them.
            floor.extend(self.good.iter().copied().filter(|&index| self.all[index].line == own).take(count));
        }
        if let Some(&first) = by_trust.first().filter(|&&index| self.all[index].standing == Standing::Proven) {
            self.keep(first, Reason::NewestProven);
        }
        let lines: BTreeSet<Option<usize>> = self.good.iter().map(|&index| self.all[index].line).filter(|line| *line != own).collect();
        for line in lines {
            // Nobody else may hold what is left of that database.
            let of = self.good.iter().copied().filter(|&index| self.all[index].line == line);
            let best = of.clone().find(|&index| self.all[index].standing == Standing::Proven).or_else(|| of.clone().next());
            best.into_iter().for_each(|index| self.keep(index, Reason::OtherDatabase));
        }
        for index in floor {
            self.keep(index, Reason::KeepMin { count: keep_min, standing: self.all[index].standing });
        }
    }

    fn tiers(&mut self, policy: &Policy) {
        let zone = &policy.time_zone;
        let date = |at: Timestamp| zone.to_datetime(at).date();
        self.tier(policy.daily, |at| Reason::Daily { date: date(at) });
        self.tier(policy.weekly, |at| {
            let week = date(at).iso_week_date();
            Reason::Weekly { year: week.year(), week: week.week() }
        });
        self.tier(policy.monthly, |at| Reason::Monthly { year: date(at).year(), month: date(at).month() });
        self.tier(policy.yearly, |at| Reason::Yearly { year: date(at).year() });
    }

    /// Of each of the newest `count` periods that have a good backup, keeps the most trusted; among equals the newest, as restic does.
    fn tier(&mut self, count: u32, period: impl Fn(Timestamp) -> Reason) {
        let mut chosen: Vec<(Reason, usize)> = Vec::new();
        for &index in &self.good {
            let name = period(self.all[index].at);
            if let Some((_, best)) = chosen.last_mut().filter(|(last, _)| *last == name) {
                if self.all[index].standing > self.all[*best].standing {
                    *best = index;
                }
            } else if chosen.len() as u64 == u64::from(count) {
                break;
            } else {
                chosen.push((name, index));
            }
        }
        for (name, index) in chosen {
            self.keep(index, name);
        }
    }

    /// Deletion goes by name. Should one name ever stand for two backups, neither goes unless both do.
    fn namesakes(&mut self) {
        let kept: HashSet<&str> = (0..self.all.len()).filter(|&i| !self.reasons[i].is_empty()).map(|i| self.all[i].id.as_str()).collect();
        for (backup, reasons) in self.all.iter().zip(&mut self.reasons) {
            if reasons.is_empty() && kept.contains(backup.id.as_str()) {
                reasons.push(Reason::Namesake);
            }
        }
    }

    /// Why nothing may be deleted now; where several things are wrong, the one that says most about the data.
    fn suspension(&self, loss: Option<Suspension>, now: Timestamp, facts: &Facts) -> Option<Suspension> {
        let unread = self.all.iter().find(|backup| backup.unread).map(|backup| Suspension::Unreadable { id: backup.id.clone() });
        loss.or(unread)
            .or_else(|| (self.good.is_empty() && !self.all.is_empty()).then_some(Suspension::NothingGood))
            .or_else(|| facts.last_run_failed.then_some(Suspension::LastRunFailed))
            .or_else(|| facts.doubt.map(|doubt| Suspension::of_doubt(doubt, now)))
    }
}
