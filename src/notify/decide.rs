//! When a message is due. Pure: what is seen now, what was told before, and the time.
//! It owns what counts as a change and how often the same may be said; it leaves seeing to `observe` and words to `message`.
//! Invariant: trouble that is seen is told, once it can be, even if it is over by then; of one trouble of one target a receiver hears at most twice an
//! hour (that it is there, and that it is over), and of one that stays, once a day.

use crate::clock::is_ahead;
use crate::exception::Exceptions;
use crate::receiver::EVENTS;
use crate::status::{Point, State};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long after a message about a trouble the next one has to wait that is no recovery: a target that goes back and forth is no storm.
pub const HOLD: SignedDuration = SignedDuration::from_hours(1);

/// After how long the reader is reminded of what is still wrong.
pub const REMIND: SignedDuration = SignedDuration::from_hours(24);

/// What can be wrong with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The last run failed.
    Failure,
    /// A proof found the newest backup to be wrong.
    Bad,
    /// There is no backup that counts and is young enough.
    Overdue,
    /// The rows fell to less than half.
    Shrinkage,
    /// The database holds nothing, and nobody said that this is right.
    Empty,
}

impl What {
    /// Its word in `BACKUP_NOTIFY_ON`.
    pub fn word(self) -> &'static str {
        match self {
            What::Failure => "failure",
            What::Bad => "bad",
            What::Overdue => "overdue",
            What::Shrinkage => "shrinkage",
            What::Empty => "empty",
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What.
    pub what: What,
    /// What makes it the same trouble as before: the class of a failure and its step, the bad backup's name.
    pub subject: String,
    /// The run or backup in which it showed.
    pub run: String,
    /// Since when.
    pub since: Timestamp,
    /// What happened, in a sentence without a full stop.
    pub text: String,
    /// The backup from before it, which it may be compared with.
    pub earlier: Option<String>,
}

/// A run that published a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success {
    /// The backup.
    pub id: String,
    /// When its run began.
    pub started: Timestamp,
    /// What it holds, in a sentence.
    pub text: String,
}

/// A target as it is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The target.
    pub target: String,
    /// How it stands.
    pub state: State,
    /// Why.
    pub why: String,
    /// What is wrong.
    pub troubles: Vec<Trouble>,
    /// The newest proven backup.
    pub proven: Option<Point>,
    /// What a restore of it does not bring back.
    pub exceptions: Exceptions,
    /// The newest backup that is not known to be bad.
    pub newest: Option<Point>,
    /// How many backups there are, bad ones too.
    pub backups: u64,
    /// The last run that published a backup.
    pub success: Option<Success>,
    /// The next scheduled run.
    pub next_run: Option<Timestamp>,
    /// When the run that failed is made again.
    pub retry_at: Option<Timestamp>,
}

impl Seen {
    /// Whether nothing is wrong.
    pub fn is_well(&self) -> bool {
        self.state == State::Fresh && self.troubles.is_empty()
    }
}

/// What a receiver wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    /// The words of [`EVENTS`], as bits in their order.
    events: u8,
    /// It wants to hear of each run, failed or good, and alarms by itself when nothing comes.
    pub heartbeat: bool,
}

impl Wants {
    /// These events, for a receiver of messages or of heartbeats. A heartbeat has all of them: half of one would be a false alarm, or none.
    pub fn new<'a>(events: impl IntoIterator<Item = &'a str>, heartbeat: bool) -> Wants {
        let bits = events.into_iter().filter_map(|event| EVENTS.iter().position(|known| *known == event)).fold(0, |bits, at| bits | 1 << at);
        Wants { events: if heartbeat { u8::MAX } else { bits }, heartbeat }
    }

    fn has(self, event: &str) -> bool {
        EVENTS.iter().position(|known| *known == event).is_some_and(|at| self.events & (1 << at) != 0)
    }
}

/// What a receiver knows of a trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    since: Timestamp,
    /// The subject that is there now, or was last.
    subject: String,
    run: String,
    /// When it was last told of.
    #[serde(default)]
    told: Option<Timestamp>,
    /// Of which subject and run.
    #[serde(default)]
    told_of: Option<(String, String)>,
    /// It is there now, and the receiver knows.
    #[serde(default)]
    open: bool,
    /// It was there, is over, and the receiver has never heard of it.
    #[serde(default)]
    missed: bool,
}

/// What a receiver knows of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    #[serde(default)]
    troubles: BTreeMap<What, Entry>,
    /// The last backup that it was told of, or that was there before it was first told of anything.
    #[serde(default)]
    success: Option<String>,
    /// What it knows that a restore does not bring back.
    #[serde(default, flatten)]
    exceptions: Exceptions,
}

/// All that a receiver knows: kept in the repository, so that a restart neither repeats nor loses anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// By target.
    #[serde(default)]
    pub targets: BTreeMap<String, Known>,
    /// Messages that the receiver took.
    #[serde(default)]
    pub deliveries: u64,
    /// Attempts that failed.
    #[serde(default)]
    pub failures: u64,
    /// Attempts that failed since the last message that was taken.
    #[serde(default)]
    pub in_a_row: u32,
    /// When the last message was taken.
    #[serde(default)]
    pub last_delivery: Option<Timestamp>,
    /// When the last attempt failed, and why.
    #[serde(default)]
    pub last_failure: Option<(Timestamp, String)>,
    /// Not before then is it tried again.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
}

/// A message that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Something is wrong; `again`: a reminder.
    Trouble {
        /// What is wrong.
        trouble: Trouble,
        /// It was told before, and is still so.
        again: bool,
    },
    /// It is over.
    Recovery {
        /// What was wrong.
        what: What,
        /// Since when.
        since: Timestamp,
        /// It could not be told while it lasted.
        late: bool,
    },
    /// A run published a backup.
    Success(Success),
    /// The newest proven backup excepts what the receiver has not heard of.
    Excepted {
        /// The backup.
        proven: Point,
        /// What is new.
        new: Exceptions,
        /// All that it excepts.
        all: Exceptions,
    },
}

/// What is due about one target. `known` takes note of what was seen; what was told it learns by [`told`].
pub fn due(known: &mut Known, seen: &Seen, wants: Wants, now: Timestamp) -> Vec<Due> {
    let mut all = Vec::new();
    for what in [What::Bad, What::Failure, What::Overdue, What::Shrinkage, What::Empty] {
        let there = seen.troubles.iter().find(|trouble| trouble.what == what).filter(|_| wants.has(what.word()));
        all.extend(match there {
            Some(trouble) => trouble_due(known, trouble, wants, now),
            None => recovery_due(known, what, wants, now),
        });
    }
    all.extend(excepted_due(known, seen, wants));
    if let Some(success) = seen.success.as_ref().filter(|success| known.success.as_ref() != Some(&success.id)) {
        if wants.has("success") {
            // A heartbeat means that all is well; before it is, there is none.
            all.push(Due::Success(success.clone()));
        } else {
            known.success = Some(success.id.clone());
        }
    }
    all
}

/// What a proof excepts is no trouble and is never over: it is told once, when it is new. A heartbeat has no ear for it.
fn excepted_due(known: &mut Known, seen: &Seen, wants: Wants) -> Option<Due> {
    let proven = seen.proven.clone()?;
    let new = seen.exceptions.new_since(&known.exceptions);
    if wants.has("except") && !wants.heartbeat && !new.is_empty() {
        return Some(Due::Excepted { proven, new, all: seen.exceptions.clone() });
    }
    known.exceptions = seen.exceptions.clone();
    None
}

fn trouble_due(known: &mut Known, trouble: &Trouble, wants: Wants, now: Timestamp) -> Option<Due> {
    let Trouble { what, subject, run, since, .. } = trouble.clone();
    let entry = known.troubles.entry(what).or_insert_with(|| Entry {
        since,
        subject: String::new(),
        run: String::new(),
        told: None,
        told_of: None,
        open: false,
        missed: false,
    });
    if !entry.open && !entry.missed {
        entry.since = since;
    }
    (entry.subject, entry.run) = (subject, run);
    let quiet = quiet_since(entry, now);
    let held = quiet.is_some_and(|quiet| quiet < HOLD) && !wants.heartbeat;
    let other = match &entry.told_of {
        Some((subject, run)) => *subject != entry.subject || wants.heartbeat && what == What::Failure && *run != entry.run,
        None => true,
    };
    let again = entry.open && !other;
    let due = if again { quiet.is_some_and(|quiet| quiet >= REMIND) } else { !held };
    due.then(|| Due::Trouble { trouble: Trouble { since: entry.since, ..trouble.clone() }, again })
}

fn recovery_due(known: &mut Known, what: What, wants: Wants, now: Timestamp) -> Option<Due> {
    let entry = known.troubles.get_mut(&what)?;
    let quiet = quiet_since(entry, now);
    if !wants.has("recovery") || !wants.has(what.word()) {
        // Nobody waits for it to be over. What is held back stays so, or a target that goes back and forth would be new each time.
        (entry.open, entry.missed) = (false, false);
    }
    // Seen, never told, and gone: its receiver was away, or it came back too soon after the last message.
    entry.missed |= !entry.open && entry.told_of.as_ref().is_none_or(|(_, run)| *run != entry.run) && wants.has("recovery") && wants.has(what.word());
    if entry.open || entry.missed && quiet.is_none_or(|quiet| quiet >= HOLD) {
        return Some(Due::Recovery { what, since: entry.since, late: !entry.open });
    }
    if !entry.missed && quiet.is_none_or(|quiet| quiet >= HOLD) {
        known.troubles.remove(&what);
    }
    None
}

/// How long nothing was told. A date from the future counts as now from here on: it says that a clock was wrong.
fn quiet_since(entry: &mut Entry, now: Timestamp) -> Option<SignedDuration> {
    if entry.told.is_some_and(|told| is_ahead(told, now)) {
        entry.told = Some(now);
    }
    entry.told.map(|told| now.duration_since(told).max(SignedDuration::ZERO))
}

/// Takes note that a message was taken by its receiver.
pub fn told(known: &mut Known, due: &Due, now: Timestamp) {
    match due {
        Due::Success(success) => known.success = Some(success.id.clone()),
        Due::Excepted { all, .. } => known.exceptions = all.clone(),
        Due::Trouble { trouble, .. } => {
            if let Some(entry) = known.troubles.get_mut(&trouble.what) {
                (entry.told, entry.open, entry.missed) = (Some(now), true, false);
                entry.told_of = Some((trouble.subject.clone(), trouble.run.clone()));
            }
        }
        Due::Recovery { what, .. } => {
            if let Some(entry) = known.troubles.get_mut(what) {
                entry.told_of = Some((entry.subject.clone(), entry.run.clone()));
                // A recovery follows at once; what comes after it waits, or a recovery that was told late would make three messages within an hour.
                (entry.told, entry.open, entry.missed) = (Some(now), false, false);
            }
        }
    }
}

/// What a receiver knows of a target of which it has never been told: what is good there is no news.
pub fn first_sight(seen: &Seen) -> Known {
    Known { success: seen.success.as_ref().map(|success| success.id.clone()), ..Known::default() }
}

#[cfg(test)]
mod tests;
