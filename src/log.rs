//! A line of the log, as text for people or as JSON for collectors. Pure.
//! It owns the form of a line and what may not stand in one; it leaves where lines go to `repository::logfile` and the command line.
//! Invariant: one line is one line, and no URI, e-mail address or control character leaves it, whatever a message holds.

use crate::units::cut;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

/// How long a message may be in a line, in characters.
const LONGEST: usize = 4000;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// All is well.
    Info,
    /// Something needs attention.
    Warning,
    /// Something failed.
    Error,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// When it was written.
    pub at: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// What sort of thing happened, for machines: `run-began`, `step-done`, `published`, …
    pub event: &'static str,
    /// The target that it is about.
    pub target: Option<&'a str>,
    /// The run that it is about.
    pub run: Option<&'a str>,
    /// What happened, for people: lower case, without a full stop.
    pub message: String,
    /// The same in figures, for machines. Durations end in `_ms`, sizes are in bytes.
    pub facts: Vec<(&'static str, Value)>,
}

impl<'a> Line<'a> {
    /// A line about nothing in particular.
    pub fn new(at: Timestamp, level: Level, event: &'static str, message: impl Into<String>) -> Line<'a> {
        Line { at, level, event, target: None, run: None, message: message.into(), facts: Vec::new() }
    }

    /// Adds a figure.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Line<'a> {
        self.facts.push((name, value.into()));
        self
    }

    /// For people, without a line feed: `2026-01-25T04:00:03+01:00 info [target run] message`. Times are local, with their offset.
    pub fn text(&self, zone: &TimeZone) -> String {
        let at = self.at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z");
        let about: Vec<&str> = [self.target, self.run].into_iter().flatten().collect();
        let about = if about.is_empty() { String::new() } else { format!(" [{}]", about.join(" ")) };
        format!("{at} {}{} {}", self.level.word(), scrub(&about), scrub(&cut(&self.message, LONGEST)))
    }

    /// One JSON object, without a line feed. Times are in UTC.
    pub fn json(&self) -> String {
        let mut object = Map::new();
        object.insert("at".into(), self.at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into());
        object.insert("level".into(), self.level.word().into());
        object.insert("event".into(), self.event.into());
        for (name, value) in [("target", self.target), ("run", self.run)] {
            object.extend(value.map(|value| (name.to_owned(), scrub(value).into())));
        }
        object.extend(self.facts.iter().map(|(name, value)| ((*name).to_owned(), scrubbed(value))));
        object.insert("message".into(), scrub(&cut(&self.message, LONGEST)).into());
        Value::Object(object).to_string()
    }
}

fn scrubbed(value: &Value) -> Value {
    match value {
        Value::String(text) => scrub(text).into(),
        Value::Array(values) => values.iter().map(scrubbed).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), scrubbed(value))).collect::<Map<String, Value>>().into(),
        other => other.clone(),
    }
}

/// Text for one line of a log. Messages are clean already; this is the second lock on the door: whatever looks like a URI or an e-mail address is
/// cut out, and what could end the line or move a cursor is escaped.
pub fn scrub(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            clean.push(' ');
        }
        for c in people(word).chars() {
            match c {
                c if c.is_control() => clean.extend(c.escape_default()),
                // Line separators and marks that turn the direction of writing.
                '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => clean.extend(c.escape_unicode()),
                c => clean.push(c),
            }
        }
    }
    clean
}

/// Where the text goes on after the last character of that sort.
fn after_last(text: &str, sort: impl Fn(char) -> bool) -> usize {
    text.char_indices().rev().find(|(_, c)| sort(*c)).map_or(0, |(place, c)| place + c.len_utf8())
}

/// A word without the people and secrets that an address may hold.
fn people(word: &str) -> String {
    if let Some(at) = word.find("://").filter(|_| !word.starts_with("://")) {
        // What stands around the address (quotes, brackets) goes with it, but not the name of its sort.
        let scheme = after_last(&word[..at], |c| !c.is_ascii_alphanumeric() && c != '+');
        return format!("{}://***", &word[scheme..at]);
    }
    let local = |c: char| c.is_alphanumeric() || ".!#$%&*+/=?^_`{|}~-".contains(c);
    let mut kept = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('@') {
        let begin = after_last(&rest[..at], |c| !local(c));
        let domain = &rest[at + 1..];
        let end = domain.find(|c: char| !(c.is_alphanumeric() || c == '.' || c == '-')).unwrap_or(domain.len());
        // `role@host` is an account on a machine; with a dot in it, it could be somebody's address. The host may be needed, the person is not.
        // A numeric address has no top-level domain, and nobody's mail.
        let top = domain[..end].trim_end_matches('.').rsplit_once('.').map(|(_, top)| top);
        let address = begin < at && top.is_some_and(|top| top.contains(|c: char| c.is_alphabetic()));
        kept.push_str(if address { &rest[..begin] } else { &rest[..at] });
        kept.push_str(if address { "***@" } else { "@" });
        rest = domain;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(scrub(text), expected);
    }

    #[test]
    fn addresses_and_what_moves_a_cursor_are_cut_out() {
        check("nothing to hide: 3 tables", "nothing to hide: 3 tables");
        check("cannot reach postgresql://me:secret@db/app today", "cannot reach postgresql://*** today");
        check("'https://hooks.example/T0/secret'", "https://***");
        check("user jan.jansen+x@example.org is unknown", "user ***@example.org is unknown");
        check("(email)=(ann@example.co.uk),", "(email)=(***@example.co.uk),");
        check("cannot connect to aimtrack@db:5432/aimtrack", "cannot connect to aimtrack@db:5432/aimtrack");
        check("aimtrack@db.internal:5432", "***@db.internal:5432");
        check("aimtrack@127.0.0.1:5432/aimtrack", "aimtrack@127.0.0.1:5432/aimtrack");
        check("an @ alone, a@, @b.c and a@b@c.d", "an @ alone, a@, @b.c and a@***@c.d");
        check("two\nlines\r\u{1b}[2J\u{2028}", "two\\nlines\\r\\u{1b}[2J\\u{2028}");
        check("é@ü.nl", "***@ü.nl");
    }

    #[test]
    fn both_forms() {
        let line = Line {
            target: Some("shop"),
            run: Some("20260125T030000Z"),
            ..Line::new("2026-01-25T03:00:03.25Z".parse().unwrap(), Level::Warning, "published", "3 tables").with("tables", 3).with("who", "a@b.nl")
        };
        assert_eq!(line.text(&TimeZone::get("Europe/Amsterdam").unwrap()), "2026-01-25T04:00:03+01:00 warning [shop 20260125T030000Z] 3 tables");
        assert_eq!(
            serde_json::from_str::<Value>(&line.json()).unwrap(),
            serde_json::json!({
                "at": "2026-01-25T03:00:03.250Z", "level": "warning", "event": "published", "target": "shop", "run": "20260125T030000Z",
                "tables": 3, "who": "***@b.nl", "message": "3 tables"
            })
        );
    }

    proptest! {
        #[test]
        fn whatever_comes_is_one_line_without_an_address(text in "[ -~\\n\\r\\t@.:/é]{0,60}", local in "[a-z]{1,8}", domain in "[a-z]{1,8}\\.[a-z]{2,3}") {
            let shown = scrub(&format!("{text} {local}@{domain} {text}x://{local}"));
            prop_assert!(!shown.contains('\n') && !shown.contains('\r'));
            let address = format!("{local}@{domain}");
            let scheme = format!("://{local}");
            prop_assert!(!shown.contains(&address) && !shown.contains(&scheme), "{}", shown);
        }
    }
}
