//! The reasons of a retention plan: one word each for JSON, one clause each for a person. It owns the wording;
//! it leaves the choice to the plan. Invariant: every decision can be explained by its reasons alone, numbers included.

use super::Standing;
use crate::clock::Doubt;
use crate::units::format_count;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use std::fmt;

/// The rule that keeps or drops a backup. In JSON an object whose `rule` is the rule's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum Reason {
    /// Kept: not older than so many times 24 hours.
    WithinDays {
        /// The policy's days.
        days: u32,
    },
    /// Kept for its day.
    Daily {
        /// The day, in the policy's time zone.
        date: Date,
    },
    /// Kept for its ISO week.
    Weekly {
        /// The year that the week belongs to.
        year: i16,
        /// 1–53.
        week: i8,
    },
    /// Kept for its month.
    Monthly {
        /// The year.
        year: i16,
        /// 1–12.
        month: i8,
    },
    /// Kept for its year.
    Yearly {
        /// The year.
        year: i16,
    },
    /// Kept: the newest proven backup.
    NewestProven,
    /// Kept: one of the newest backups that always stay; the proven ones first, then the best there are.
    KeepMin {
        /// How many stay.
        count: u32,
        /// What this one is known to be.
        standing: Standing,
    },
    /// Kept: the newest backup that is not bad, whatever is proven of it.
    Newest,
    /// Kept: the best that is left of a database which is another one than the newest backup's.
    OtherDatabase,
    /// Kept: the user pinned it.
    Pinned,
    /// Kept: its record could not be understood, so nobody knows what would be lost.
    NotUnderstood,
    /// Kept: dated after the present.
    InFuture {
        /// Its date.
        at: Timestamp,
    },
    /// Kept: the last trusted backup from before rows disappeared.
    BeforeCollapse {
        /// Rows it holds.
        rows: u64,
        /// Rows after the loss.
        after: u64,
    },
    /// Kept: the newest backup whose rows are known, and they are far fewer than there once were.
    AfterCollapse {
        /// Rows it holds.
        rows: u64,
    },
    /// Kept: the last trusted backup from before tables lost rows that have not come back.
    BeforeLoss,
    /// Kept: the newest backup, which knows what tables lost.
    AfterLoss,
    /// Kept: another backup of the same name is kept.
    Namesake,
    /// Kept though no rule keeps it: nothing is deleted at present.
    Suspended {
        /// Why not.
        why: Suspension,
    },
    /// Deleted: older than the days window.
    Expired {
        /// The policy's days.
        days: u32,
    },
    /// Deleted: older than the days window, and chosen for no day, week, month or year.
    NotSelected {
        /// The policy's days.
        days: u32,
    },
    /// Deleted: files of it are missing, and it is older than the days window.
    Incomplete {
        /// The policy's days.
        days: u32,
    },
    /// Deleted: of a database that had been emptied, and older than the days window.
    Suspicious {
        /// The policy's days.
        days: u32,
    },
    /// Deleted: found to be bad, and kept as evidence for as long as the days window.
    Bad {
        /// The policy's days.
        days: u32,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::WithinDays { days } => write!(f, "not older than {}", Days(*days)),
            Reason::Daily { date } => write!(f, "daily, {date}"),
            Reason::Weekly { year, week } => write!(f, "weekly, {year:04}-W{week:02}"),
            Reason::Monthly { year, month } => write!(f, "monthly, {year:04}-{month:02}"),
            Reason::Yearly { year } => write!(f, "yearly, {year:04}"),
            Reason::NewestProven => f.write_str("the newest proven backup"),
            Reason::KeepMin { count, standing: Standing::Proven } => write!(f, "among the newest {count} proven"),
            Reason::KeepMin { count, .. } => write!(f, "among the {count} that always stay, for want of newer proven ones"),
            Reason::Newest => f.write_str("the newest backup"),
            Reason::OtherDatabase => f.write_str("the newest of another database in this folder"),
            Reason::Pinned => f.write_str("pinned"),
            Reason::NotUnderstood => f.write_str("its manifest is not understood"),
            Reason::InFuture { at } => write!(f, "dated in the future, {at}"),
            Reason::BeforeCollapse { rows, after } => write!(f, "the last with {rows} rows, before they fell to {after}"),
            Reason::AfterCollapse { rows } => write!(f, "the newest count of rows, {rows} after a fall"),
            Reason::BeforeLoss => f.write_str("from before tables lost rows that have not come back"),
            Reason::AfterLoss => f.write_str("the newest, which knows what tables lost"),
            Reason::Namesake => f.write_str("a backup of the same name is kept"),
            Reason::Suspended { why } => write!(f, "would be deleted, but {why}"),
            Reason::Expired { days } => write!(f, "older than {}", Days(*days)),
            Reason::NotSelected { days } => write!(f, "older than {}, and not chosen for a day, week, month or year", Days(*days)),
            Reason::Incomplete { days } => write!(f, "incomplete, and older than {}", Days(*days)),
            Reason::Suspicious { days } => write!(f, "suspicious, and older than {}", Days(*days)),
            Reason::Bad { days } => write!(f, "bad, and older than {}", Days(*days)),
        }
    }
}

/// Why nothing is deleted at present. In JSON an object whose `cause` is the cause's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Suspension {
    /// The latest run failed: its backup is missing, so the older ones are needed longer.
    LastRunFailed,
    /// The last run is dated after the present: one of the two dates is wrong, and age means nothing until a second run agrees with the clock.
    ClockBehind {
        /// When the last run began.
        at: Timestamp,
        /// The time that the plan was made for.
        now: Timestamp,
    },
    /// The present is later than the last run by more than the schedule explains: the same holds.
    ClockAhead {
        /// When the last run began.
        at: Timestamp,
        /// The time that the plan was made for.
        now: Timestamp,
    },
    /// Suspicious: the newest backup holds far fewer rows than the last proven one before it.
    RowsCollapsed {
        /// The last proven backup before the newest; where none is proven, the last good one.
        earlier: String,
        /// Its rows.
        earlier_rows: u64,
        /// The newest backup.
        newest: String,
        /// Its rows.
        newest_rows: u64,
    },
    /// Suspicious: tables of the newest backup lost rows that trusted ones before it had.
    TablesShrank {
        /// The newest of those that it was compared with.
        earlier: String,
        /// The newest backup.
        newest: String,
        /// Tables that are gone.
        gone: u64,
        /// Tables that are empty.
        emptied: u64,
        /// Tables with less than half of their rows.
        halved: u64,
    },
    /// A backup could not be read, so nobody knows what there is.
    Unreadable {
        /// The backup.
        id: String,
    },
    /// Not one backup can be relied upon, so the others may be all that is left.
    NothingGood,
}

impl Suspension {
    /// That the present is doubted.
    pub(super) fn of_doubt(Doubt { run: at }: Doubt, now: Timestamp) -> Suspension {
        if at > now { Suspension::ClockBehind { at, now } } else { Suspension::ClockAhead { at, now } }
    }

    /// The backup in which rows are missing, where that is the reason.
    pub fn shrunken(&self) -> Option<&str> {
        match self {
            Suspension::RowsCollapsed { newest, .. } | Suspension::TablesShrank { newest, .. } => Some(newest),
            Suspension::LastRunFailed
            | Suspension::ClockBehind { .. }
            | Suspension::ClockAhead { .. }
            | Suspension::Unreadable { .. }
            | Suspension::NothingGood => None,
        }
    }
}

impl fmt::Display for Suspension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Suspension::LastRunFailed => f.write_str("the last run failed"),
            Suspension::ClockBehind { at, now } => {
                write!(f, "the clock says {}, which is before the last run, of {}; a second run that agrees with it settles that", Second(*now), Second(*at))
            }
            Suspension::ClockAhead { at, now } => write!(
                f,
                "the clock says {}, longer after the last run, of {}, than its schedule explains; a second run that agrees with it settles that",
                Second(*now),
                Second(*at)
            ),
            Suspension::RowsCollapsed { earlier, earlier_rows, newest, newest_rows } => {
                write!(f, "suspicious: the rows fell from {earlier_rows} in '{earlier}' to {newest_rows} in '{newest}'")
            }
            Suspension::TablesShrank { earlier, newest, gone, emptied, halved } => {
                write!(f, "suspicious: {} between '{earlier}' and '{newest}'", shrank(*gone, *emptied, *halved))
            }
            Suspension::Unreadable { id } => write!(f, "backup '{id}' cannot be read"),
            Suspension::NothingGood => f.write_str("no backup is known to be good"),
        }
    }
}

/// A time to the second.
struct Second(Timestamp);

impl fmt::Display for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

/// What became of tables, in words: `1 table went, 2 were emptied`.
pub fn shrank(gone: u64, emptied: u64, halved: u64) -> String {
    let (mut parts, mut noun) = (Vec::new(), true);
    for (count, one, many) in
        [(gone, "went", "went"), (emptied, "was emptied", "were emptied"), (halved, "lost more than half of its rows", "lost more than half of their rows")]
    {
        if count > 0 {
            let table = if !noun {
                ""
            } else if count == 1 {
                " table"
            } else {
                " tables"
            };
            parts.push(format!("{}{table} {}", format_count(count), if count == 1 { one } else { many }));
            noun = false;
        }
    }
    parts.join(", ")
}

/// A number of days as a person says it.
struct Days(u32);

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, if self.0 == 1 { "day" } else { "days" })
    }
}
