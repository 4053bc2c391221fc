//! Lost rows: what keeps the backups from before a loss, and when a loss suspends all deletion.
//! It owns both measures: all rows together, and what each run found table by table; it leaves the finding to the run.
//! Invariant: a backup from before a loss stays while the loss lasts, until somebody says that it is right.

use super::{Candidate, Facts, Reason, Rules, Standing, Suspension};
use crate::clock::is_ahead;
use jiff::Timestamp;

/// A row count below which a shrinking database or table raises no suspicion: small ones halve by nature.
pub const ROWS_WORTH_WATCHING: u64 = 1000;

/// How many tables of a backup lost rows, as its own run found it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss {
    /// The backup that they were compared with.
    pub against: String,
    /// Tables that are gone, where that is not usual.
    pub gone: u64,
    /// Tables that are empty.
    pub emptied: u64,
    /// Tables with less than half of their rows.
    pub halved: u64,
    /// The backups from before this and earlier losses that last.
    pub before: Vec<String>,
}

/// Whether the fall from `before` to `after` rows is more than a day's work explains.
pub fn collapsed(before: u64, after: u64) -> bool {
    (before > 0 && after == 0) || (before >= ROWS_WORTH_WATCHING && after < before.div_ceil(2))
}

/// The backup whose losses somebody can say to be right: the newest one that is measured, where it lost something, or where one from before a loss is kept.
pub fn shrunken(backups: &[Candidate], now: Timestamp, facts: &Facts) -> Option<String> {
    let mut rules = Rules::new(backups, now);
    let newest = rules.measured(now, facts).next()?;
    let suspicious = rules.collapse(now, facts).is_some() | rules.losses(now, facts).is_some();
    let kept = |reason: &Reason| matches!(reason, Reason::BeforeCollapse { .. } | Reason::BeforeLoss);
    (suspicious || rules.reasons.iter().flatten().any(kept)).then(|| rules.all[newest].id.clone())
}

impl Rules<'_> {
    /// The backups that are measured by each other, the newest first: good ones, and those of a database that was emptied, which is the greatest loss of all. None
    /// from before what was accepted.
    pub(super) fn measured(&self, now: Timestamp, facts: &Facts) -> impl Iterator<Item = usize> {
        let accepted = facts.accepted.filter(|accepted| !is_ahead(*accepted, now));
        let counts = move |&index: &usize| {
            let backup = self.all[index];
            let fit = self.good.binary_search(&index).is_ok() || backup.standing == Standing::Suspicious && !is_ahead(backup.at, now);
            fit && accepted.is_none_or(|accepted| backup.at >= accepted)
        };
        (0..self.all.len()).filter(counts)
    }

    /// Looks for lost rows. Keeps the last backup from before a loss for as long as the rows are gone, so that data emptied by accident does not
    /// leave with the days window; and again the last before an earlier loss, and so on. Each step at least doubles the rows, so they are few.
    /// Returns the loss between the newest backup and the last proven one before it.
    pub(super) fn collapse(&mut self, now: Timestamp, facts: &Facts) -> Option<Suspension> {
        let counted: Vec<(usize, u64)> = self.measured(now, facts).filter_map(|index| Some((index, self.all[index].rows?))).collect();
        let (&(newest, now_rows), older) = counted.split_first()?;
        let older: Vec<(usize, u64)> = older.iter().copied().filter(|&(index, _)| self.all[index].line == self.all[newest].line).collect();
        let proven = |&(index, _): &(usize, u64)| self.all[index].standing == Standing::Proven;
        let only_proven = !facts.drill_off && older.iter().any(proven);
        let trusted: Vec<(usize, u64)> = older.into_iter().filter(|pair| !only_proven || proven(pair)).collect();

        let mut after = now_rows;
        for &(index, before) in &trusted {
            if collapsed(before, after) {
                self.keep(index, Reason::BeforeCollapse { rows: before, after });
                after = before;
            }
        }
        if after != now_rows {
            // The measure of the loss stays with what it is measured against; it need not be the newest backup, whose rows may be unknown.
            self.keep(newest, Reason::AfterCollapse { rows: now_rows });
        }
        let &(index, before) = trusted.first()?;
        collapsed(before, now_rows).then(|| Suspension::RowsCollapsed {
            earlier: self.all[index].id.clone(),
            earlier_rows: before,
            newest: self.all[newest].id.clone(),
            newest_rows: now_rows,
        })
    }

    /// The same table by table, as the newest backup's own run found it. Which backups are from before a loss is known to that backup alone, so it stays with them.
    pub(super) fn losses(&mut self, now: Timestamp, facts: &Facts) -> Option<Suspension> {
        let newest = self.measured(now, facts).next()?;
        let backup = self.all[newest];
        let loss = backup.loss.as_ref()?;
        let measured: Vec<usize> = self.measured(now, facts).collect();
        let before: Vec<usize> = measured.into_iter().filter(|&index| loss.before.contains(&self.all[index].id)).collect();
        if !before.is_empty() {
            self.keep(newest, Reason::AfterLoss);
        }
        before.into_iter().for_each(|index| self.keep(index, Reason::BeforeLoss));
        let Loss { against, gone, emptied, halved, .. } = loss.clone();
        // Somebody accepted the very state that it was compared with, or this one: then it is no news.
        let accepted = facts.accepted.is_some_and(|accepted| !is_ahead(accepted, now) && backup.at <= accepted);
        (gone + emptied + halved > 0 && !accepted).then(|| Suspension::TablesShrank { earlier: against, newest: backup.id.clone(), gone, emptied, halved })
    }
}
