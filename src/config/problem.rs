//! What is wrong with a configuration: each problem with the key as it was typed, the reason and the remedy.
//! It owns the wording's shape and the safe quoting of values; it leaves finding problems to the parsers.
//! No secret enters a problem: what might hold a password is described, never quoted.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, Kind};

/// Where a value was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// An environment variable, by its name as it was set (`DB_PASSWORD_FILE`, `PGHOST`).
    Environment(String),
    /// A key of `kluis.toml`.
    File {
        /// The key with its table (`targets.app.jobs`).
        key: String,
        /// The file.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
    },
    /// A command-line flag (`--jobs`).
    Flag(&'static str),
    /// Worked out from something else, which this names (`passfile '/root/.pgpass'`).
    Derived(String),
}

impl Origin {
    /// The key as the user typed it, for messages.
    pub fn key(&self) -> &str {
        match self {
            Origin::Default => "default",
            Origin::Environment(name) => name,
            Origin::File { key, .. } => key,
            Origin::Flag(name) => name,
            Origin::Derived(from) => from,
        }
    }
}

/// What `kluis config` prints beside a value.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::File { path, line, .. } => write!(f, "{} line {line}", path.display()),
            Origin::Flag(name) => write!(f, "flag {name}"),
            Origin::Derived(from) => f.write_str(from),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key as it was typed: `BACKUP_JOBS`, `targets.app.jobs`, `--jobs`.
    pub key: String,
    /// Where it was typed.
    pub origin: Origin,
    /// What is wrong; reads on after the key and a colon.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File { path, line, .. } => write!(f, "{} ({} line {line}): {}", self.key, escaped(&path.to_string_lossy()), self.reason),
            _ => write!(f, "{}: {}", self.key, self.reason),
        }
    }
}

/// Everything that is wrong, in the order in which it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem, unless the very same one is known: a default that five targets share is wrong only once.
    pub(super) fn push(&mut self, problem: Problem) {
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// Adds a problem with the value that was typed at `origin`.
    pub(super) fn add(&mut self, origin: &Origin, fault: Fault) {
        self.push(Problem { key: origin.key().to_owned(), origin: origin.clone(), reason: fault.reason, hint: fault.hint });
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems, one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

/// One line a problem, with its hint.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let end = if i == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}; hint: {}", problem.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Error {
        match problems.0.as_slice() {
            [only] => Error::usage(only.to_string()).hinted(&only.hint),
            all => Error::new(Kind::Usage, format!("the configuration has {} problems\n{problems}", all.len())),
        }
    }
}

/// Why one value cannot be: a problem that does not yet know its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub reason: String,
    pub hint: String,
}

impl Fault {
    pub fn new(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault { reason: reason.into(), hint: hint.into() }
    }
}

/// The longest piece of a value that a message shows, in characters.
const SHOWN: usize = 60;

/// A value in quotes for a message: cut, with control and direction-changing characters escaped.
///
/// What looks like a connection string is not shown at all: people do put one where only a host belongs.
pub(super) fn quoted(text: &str) -> String {
    if looks_secret(text) {
        return "a connection string (not shown)".to_owned();
    }
    shown(text, SHOWN)
}

fn shown(text: &str, most: usize) -> String {
    let cut = if text.chars().nth(most).is_some() { "…" } else { "" };
    format!("'{}{cut}'", escaped(&text.chars().take(most).collect::<String>()))
}

/// The longest piece of a path that a message shows, in characters.
const PATH_SHOWN: usize = 300;

/// The same for a path: one that looks like one is shown whatever words are in it, for `/run/secrets/db_password` is no secret.
pub(super) fn quoted_path(text: &str) -> String {
    if !["/", "./", "../"].iter().any(|begin| text.starts_with(begin)) || is_connection_string(text) {
        return quoted(text);
    }
    shown(text, PATH_SHOWN)
}

/// Text with its control and direction-changing characters escaped.
pub(super) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => shown.extend(c.escape_unicode()),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// Whether `quoted` would show `text` whole and as it is.
pub(super) fn is_presentable(text: &str) -> bool {
    quoted(text) == format!("'{text}'")
}

/// Whether `text` is a URL or libpq's `key=value` form, neither of which belongs into any setting but a URL's.
pub fn is_connection_string(text: &str) -> bool {
    text.contains("://") || text.to_ascii_lowercase().contains("password=")
}

/// Wider than [`is_connection_string`]: what may be a piece of one is not refused for that, but not shown either.
fn looks_secret(text: &str) -> bool {
    // A schedule may begin with an '@'; in a connection string a user name stands before it.
    let lower = text.to_ascii_lowercase();
    is_connection_string(text) || text.find('@').is_some_and(|at| at > 0) || lower.contains("password") || lower.contains("passwd")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(quoted(text), expected);
    }

    #[test]
    fn values_are_quoted_safely() {
        check("abc", "'abc'");
        check("", "''");
        check("één", "'één'");
        check("a\nb\u{1b}[31m", "'a\\nb\\u{1b}[31m'");
        check("\u{202e}txt", "'\\u{202e}txt'");
        check(&"x".repeat(60), &format!("'{}'", "x".repeat(60)));
        check(&"x".repeat(61), &format!("'{}…'", "x".repeat(60)));
        check("postgres://app:hunter2@db/app", "a connection string (not shown)");
        check("host=db password=hunter2", "a connection string (not shown)");
        check("app:hunter2@db", "a connection string (not shown)");
    }

    #[test]
    fn a_path_is_shown_whatever_words_are_in_it() {
        for path in ["/run/secrets/db_password", "./passwd", "../a@b/password", &format!("/{}/password", "x".repeat(200))] {
            assert_eq!(quoted_path(path), format!("'{path}'"));
        }
        for secret in ["hunter2@db", "/x?password=hunter2", "postgres://u:hunter2@h/password", "mypassword"] {
            assert_eq!(quoted_path(secret), "a connection string (not shown)");
        }
        assert_eq!(quoted_path("/a\n"), "'/a\\n'");
    }

    #[test]
    fn one_problem_becomes_an_error_with_its_hint_and_several_become_lines() {
        let mut problems = Problems::default();
        let fault = || Fault::new("'0' is less than 1", "use a whole number from 1 to 64");
        problems.add(&Origin::Environment("BACKUP_JOBS".into()), fault());
        problems.add(&Origin::Environment("BACKUP_JOBS".into()), fault());
        let error = Error::from(problems.clone());
        assert_eq!(
            (error.to_string().as_str(), error.hint(), error.kind()),
            ("BACKUP_JOBS: '0' is less than 1", Some("use a whole number from 1 to 64"), Kind::Usage)
        );

        problems.add(&Origin::File { key: "targets.app.jobs".into(), path: "/etc/kluis/kluis.toml".into(), line: 7 }, fault());
        let error = Error::from(problems);
        assert_eq!(
            error.to_string(),
            "the configuration has 2 problems\n\
             BACKUP_JOBS: '0' is less than 1; hint: use a whole number from 1 to 64\n\
             targets.app.jobs (/etc/kluis/kluis.toml line 7): '0' is less than 1; hint: use a whole number from 1 to 64"
        );
        assert_eq!(error.kind().exit_code(), 2);
    }
}
