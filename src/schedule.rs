//! When runs are due: a five-field cron expression in an IANA time zone. It owns the meaning of the expression and of daylight-saving changes;
//! it leaves the clock, catching up and the loop to the daemon. Invariant: every scheduled local time is due exactly once, whatever the zone does.
//!
//! A scheduled local time is due **at the first instant at which the local clock shows it or has passed it**. Everything else follows:
//! a time that a jump forward leaves out is due at the jump, and several such times share that one run; a time that comes twice is due
//! the first time only. So `*/15 * * * *` pauses during the hour that is repeated in autumn: those local times have had their runs.

mod describe;
mod parse;
mod search;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::fmt;

/// A cron expression and the time zone it is meant in.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// As it was typed, single-spaced.
    expression: String,
    fields: Fields,
    zone: TimeZone,
}

/// The values of each field, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fields {
    /// 0–59.
    minutes: u64,
    /// 0–23.
    hours: u64,
    /// 1–31.
    days: u64,
    /// 1–12.
    months: u64,
    /// 0–6, Sunday first.
    weekdays: u64,
    /// Whether day of month or day of week began with `*`. Then a day has to match both fields; otherwise one of them is enough. (crontab(5))
    both_days: bool,
}

impl Schedule {
    /// Reads five cron fields (minute, hour, day of month, month, day of week) or one of `@hourly @daily @midnight @weekly @monthly @yearly @annually`.
    ///
    /// Fields take lists, ranges, steps (`*/n`, `a-b/n`, and `a/n` for "from a to the end") and, for months and days of the week, three-letter
    /// English names in any case. Sunday is 0 or 7. Day of month and day of week combine as in Vixie cron: a day matches when either field does,
    /// unless one of them begins with `*`; then both have to.
    ///
    /// Errors are of kind `Usage` and name the field and the reason. An expression that can never fire is refused.
    pub fn parse(expression: &str, zone: TimeZone) -> Result<Schedule> {
        let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        let fields = parse::fields(&expression)?;
        if search::next_day(&fields, date(2000, 1, 1)).is_none() {
            return Err(Error::usage(format!("schedule '{expression}' can never fire: none of its months has one of its days"))
                .hinted("for the last day of a month, take the 28th, or the 1st of the next"));
        }
        Ok(Schedule { expression, fields, zone })
    }

    /// The expression as it was typed.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The time zone that the expression is meant in.
    pub fn time_zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first run strictly after `now`. `None` only beyond the year 9999.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let local = search::next(&self.fields, search::first_not_due(&self.zone, now)?)?;
        search::due_at(&self.zone, local)
    }

    /// The last run at or before `now`. `None` only before the year -9999.
    pub fn last_at_or_before(&self, now: Timestamp) -> Option<Timestamp> {
        let local = search::last_before(&self.fields, search::first_not_due(&self.zone, now)?)?;
        search::due_at(&self.zone, local)
    }

    /// The next `count` runs strictly after `from`.
    pub fn upcoming(&self, from: Timestamp, count: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next_after(from), |&run| self.next_after(run)).take(count).collect()
    }

    /// The longest time that may pass from one run to the next in the years after `now`, with the hour that a clock going back adds in a zone that has such.
    pub fn longest_gap(&self, now: Timestamp) -> SignedDuration {
        search::longest_gap(&self.fields, self.zone.to_datetime(now).date()).saturating_add(search::furthest_back(&self.zone, now))
    }

    /// Short English for the common forms, such as `every day at 03:00 Europe/Amsterdam`; otherwise the expression and its zone.
    pub fn describe(&self) -> String {
        let zone = describe::zone(&self.zone);
        format!("{} {zone}", describe::phrase(&self.fields).unwrap_or_else(|| self.expression.clone()))
    }
}

/// The expression as it was typed.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.expression)
    }
}
