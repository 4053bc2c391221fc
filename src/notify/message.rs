//! What a message says: the target, the verdict, since when, how much would be lost, and what to do next. Pure.
//! It owns the words; it leaves their form for each kind of receiver to `request`.
//! Invariant: every text passes the scrubber of the log, so no URI and no e-mail address leaves here, and a message is of a bounded length.

use super::decide::{Due, Seen, Trouble, What};
use crate::log::scrub;
pub use crate::units::cut;
use crate::units::{format_age, format_count};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The longest text of a message, in characters. Discord takes 2,000 and Telegram 4,096, so this fits all of them.
const LONGEST: usize = 1500;

/// How many exceptions a message names.
const MOST_EXCEPTIONS: usize = 8;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The event: a word of [`crate::receiver::EVENTS`], or `test`.
    pub event: &'static str,
    /// The target; nothing in a test.
    pub target: Option<String>,
    /// It was told before, and is still so.
    pub again: bool,
    /// Whether something is wrong.
    pub alarm: bool,
    /// When it was written.
    pub at: Timestamp,
    /// Since when it is, or was, so.
    pub since: Option<Timestamp>,
    /// The run or backup that it is about.
    pub run: Option<String>,
    /// In one line.
    pub title: String,
    /// The rest, a line a fact.
    pub lines: Vec<String>,
    /// The newest proven backup, and when it was made.
    pub proven: Option<(String, Timestamp)>,
    /// What to do next: a command.
    pub next: Option<String>,
}

impl Notice {
    /// Everything but the title, as text.
    pub fn body(&self) -> String {
        let mut lines = self.lines.clone();
        lines.extend(self.next.as_ref().map(|next| format!("Next: {next}")));
        cut(&lines.join("\n"), LONGEST)
    }

    /// Title and text.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.title, self.body())
    }
}

fn time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// Puts a due message into words.
pub fn notice(due: &Due, seen: &Seen, zone: &TimeZone, now: Timestamp) -> Notice {
    let target = &seen.target;
    let mut notice = Notice {
        event: "success",
        target: Some(target.clone()),
        again: false,
        alarm: false,
        at: now,
        since: None,
        run: None,
        title: String::new(),
        lines: Vec::new(),
        proven: seen.proven.as_ref().map(|point| (point.id.clone(), point.at)),
        next: None,
    };
    match due {
        Due::Trouble { trouble, again } => {
            notice = Notice { event: trouble.what.word(), again: *again, alarm: true, since: Some(trouble.since), run: Some(trouble.run.clone()), ..notice };
            notice.title = format!("{}{target}: {}", if *again { "still " } else { "" }, headline(trouble.what));
            notice.lines.push(trouble.text.clone());
            notice.lines.push(format!("since {} ({})", time(trouble.since, zone), format_age(now.duration_since(trouble.since))));
            notice.lines.push(restorable(seen, zone, now));
            notice.next = Some(next(trouble, target));
        }
        Due::Recovery { what, since, late } => {
            notice = Notice { event: "recovery", since: Some(*since), ..notice };
            notice.title = format!("{target}: {}", recovered(*what));
            let told = if *late { "; it could not be told before" } else { "" };
            notice.lines.push(format!("it lasted from {} until now or shortly before{told}", time(*since, zone)));
            notice.lines.extend(seen.troubles.iter().map(|trouble| format!("still wrong: {}: {}", headline(trouble.what), trouble.text)));
            notice.lines.push(restorable(seen, zone, now));
        }
        Due::Excepted { proven, new, all } => {
            notice = Notice { event: "except", since: Some(proven.at), run: Some(proven.id.clone()), ..notice };
            notice.title = format!("{target}: the backup is proven, with new exceptions");
            notice.lines.push("no dump brings these back; the backup is whole without them:".to_owned());
            notice.lines.extend(new.lines(MOST_EXCEPTIONS).iter().map(|line| format!("- {}", cut(line, 100))));
            if all.count() > new.count() {
                notice.lines.push(format!("{} in all", format_count(all.count())));
            }
            notice.lines.push(restorable(seen, zone, now));
            notice.next = Some(format!("kluis show {} --target {target}; its RESTORE.md says what to do after a restore", proven.id));
        }
        Due::Success(success) => {
            notice.run = Some(success.id.clone());
            notice.since = Some(success.started);
            notice.title = format!("{target}: backup {} done", success.id);
            notice.lines.push(success.text.clone());
            notice.lines.push(restorable(seen, zone, now));
        }
    }
    match (seen.retry_at, seen.next_run) {
        _ if notice.event == "success" => {}
        (Some(at), _) => notice.lines.push(format!("it is tried again at {}", time(at, zone))),
        (None, Some(at)) => notice.lines.push(format!("the next run is at {}", time(at, zone))),
        (None, None) => {}
    }
    clean(notice)
}

/// The message of `kluis notify test`.
pub fn test(now: Timestamp) -> Notice {
    Notice {
        event: "test",
        target: None,
        again: false,
        alarm: false,
        at: now,
        since: None,
        run: None,
        title: "kluis: this is a test".to_owned(),
        lines: vec!["Messages of Kluis arrive here. Nothing happened, and nothing is to be done.".to_owned()],
        proven: None,
        next: None,
    }
}

fn clean(mut notice: Notice) -> Notice {
    notice.title = cut(&scrub(&notice.title), 200);
    notice.lines = notice.lines.iter().map(|line| cut(&scrub(line), 800)).collect();
    notice
}

fn headline(what: What) -> &'static str {
    match what {
        What::Failure => "the backup FAILED",
        What::Bad => "the newest backup is BAD",
        What::Overdue => "backups are OVERDUE",
        What::Shrinkage => "rows disappeared SUSPICIOUSLY",
        What::Empty => "the database is EMPTY",
    }
}

fn recovered(what: What) -> &'static str {
    match what {
        What::Failure => "backups succeed again",
        What::Bad => "the newest backup is no longer bad",
        What::Overdue => "backups are fresh again",
        What::Shrinkage => "the rows are no longer suspicious",
        What::Empty => "the database is no longer empty, or is allowed to be",
    }
}

/// What could be restored now.
fn restorable(seen: &Seen, zone: &TimeZone, now: Timestamp) -> String {
    match (&seen.proven, &seen.newest) {
        (Some(proven), _) => format!("newest proven backup: {}, made {} ({})", proven.id, time(proven.at, zone), format_age(now.duration_since(proven.at))),
        (None, Some(newest)) => format!("no backup is proven; the newest is {}, made {}", newest.id, format_age(now.duration_since(newest.at))),
        (None, None) if seen.backups > 0 => format!("no backup can be relied upon, of {} that are there", format_count(seen.backups)),
        (None, None) => "there is no backup to restore".to_owned(),
    }
}

fn next(trouble: &Trouble, target: &str) -> String {
    match trouble.what {
        What::Failure => format!("kluis doctor --target {target}"),
        What::Bad => format!("kluis show {} --target {target}; then kluis backup --target {target}", trouble.run),
        What::Overdue => format!("kluis status --target {target}"),
        What::Empty => format!("look whether '{target}' is the right database; if it is, set BACKUP_ALLOW_EMPTY=yes"),
        What::Shrinkage => format!(
            "kluis prune --dry-run --target {target}; kluis compare {} --with {} --target {target}",
            trouble.earlier.as_deref().unwrap_or("ID"),
            trouble.run
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exception::{Class, Exception, Exceptions};
    use crate::notify::decide::Success;
    use crate::status::{Point, State};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn seen() -> Seen {
        Seen {
            target: "shop".into(),
            state: State::Fresh,
            why: "because".into(),
            troubles: Vec::new(),
            proven: Some(Point { id: "20260124T030000Z".into(), at: at("2026-01-24T03:00:00Z") }),
            exceptions: Exceptions::default(),
            newest: None,
            backups: 0,
            success: None,
            next_run: Some(at("2026-01-26T03:00:00Z")),
            retry_at: None,
        }
    }

    fn trouble(what: What, text: &str) -> Trouble {
        Trouble { what, subject: "s".into(), run: "20260125T030000Z".into(), since: at("2026-01-25T03:00:00Z"), text: text.into(), earlier: None }
    }

    #[test]
    fn a_failure_says_what_when_how_old_and_what_to_do() {
        let due =
            Due::Trouble { trouble: trouble(What::Failure, "step 'dump' failed: cannot reach postgresql://me:secret@db for jan@example.org"), again: true };
        let notice = notice(&due, &seen(), &TimeZone::get("Europe/Amsterdam").unwrap(), at("2026-01-25T04:00:00Z"));
        assert_eq!(
            notice.text(),
            "still shop: the backup FAILED\n\
             step 'dump' failed: cannot reach postgresql://*** for ***@example.org\n\
             since 2026-01-25 04:00:00 CET (1 h ago)\n\
             newest proven backup: 20260124T030000Z, made 2026-01-24 04:00:00 CET (25 h ago)\n\
             the next run is at 2026-01-26 04:00:00 CET\n\
             Next: kluis doctor --target shop"
        );
        assert!(notice.alarm && notice.again && notice.event == "failure");
    }

    #[test]
    fn a_recovery_says_what_is_still_wrong() {
        let seen = Seen { troubles: vec![trouble(What::Overdue, "old")], proven: None, ..seen() };
        let due = Due::Recovery { what: What::Failure, since: at("2026-01-25T03:00:00Z"), late: true };
        let notice = notice(&due, &seen, &TimeZone::UTC, at("2026-01-25T04:00:00Z"));
        let text = notice.text();
        assert!(text.contains("backups succeed again") && text.contains("still wrong: backups are OVERDUE: old"), "{text}");
        assert!(text.contains("could not be told before") && text.contains("there is no backup to restore"), "{text}");
        assert!(!notice.alarm && notice.next.is_none());
    }

    #[test]
    fn new_exceptions_are_named_and_what_to_do_is_said() {
        let slots = |to: u32| Exceptions::of(&(1..=to).map(|number| Exception::new(Class::ReplicationSlot, format!("slot {number:02}"))).collect::<Vec<_>>());
        let proven = seen().proven.unwrap();
        let due = Due::Excepted { proven, new: slots(2), all: slots(40) };
        let notice = notice(&due, &seen(), &TimeZone::UTC, at("2026-01-25T03:00:00Z"));
        assert_eq!(
            notice.text(),
            "shop: the backup is proven, with new exceptions\n\
             no dump brings these back; the backup is whole without them:\n\
             - replication slot: slot 01\n\
             - replication slot: slot 02\n\
             40 in all\n\
             newest proven backup: 20260124T030000Z, made 2026-01-24 03:00:00 UTC (24 h ago)\n\
             the next run is at 2026-01-26 03:00:00 UTC\n\
             Next: kluis show 20260124T030000Z --target shop; its RESTORE.md says what to do after a restore"
        );
        assert!(!notice.alarm && notice.event == "except");
        let proven = seen().proven.unwrap();
        let many = super::notice(&Due::Excepted { proven, new: slots(40), all: slots(40) }, &seen(), &TimeZone::UTC, at("2026-01-25T03:00:00Z"));
        assert!(many.text().contains("slot 08\nand 32 more") || many.text().contains("slot 08\n- and 32 more"), "{}", many.text());
    }

    #[test]
    fn nothing_is_longer_than_a_receiver_takes() {
        for due in [
            Due::Trouble { trouble: trouble(What::Bad, &"é ".repeat(9000)), again: false },
            Due::Success(Success { id: "x".repeat(9000), started: at("2026-01-25T03:00:00Z"), text: "y".repeat(9000) }),
        ] {
            let text = notice(&due, &seen(), &TimeZone::UTC, at("2026-01-25T04:00:00Z")).text();
            assert!(text.chars().count() < 1800, "{}", text.chars().count());
        }
    }
}
