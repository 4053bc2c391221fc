//! An error that the server reported, stripped of everything that can carry a row's values.
//! Owns parsing ErrorResponse and what of it is shown; leaves kinds and hints to `sqlstate`.
//! Invariant: DETAIL, HINT, CONTEXT, the statement and the internal query are never kept, not even in memory.

use super::fault::Fault;
use super::sqlstate;
use crate::error::{Error, Kind};
use crate::raw;
use std::fmt;

/// What the server said (manual, section 55.8).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServerError {
    /// The five characters of the SQLSTATE.
    pub sqlstate: String,
    /// ERROR, FATAL or PANIC, not translated.
    pub severity: String,
    /// The primary message where it can hold no row value; see [`sqlstate::message_is_clean`].
    pub message: Option<String>,
    /// The schema that the error is about.
    pub schema: Option<String>,
    /// The table.
    pub table: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// The constraint.
    pub constraint: Option<String>,
    /// What it says of the machine, told before the message was withheld.
    pub fault: Option<Fault>,
}

impl ServerError {
    /// Parses the body of an ErrorResponse: a letter, a string, a zero byte, and so on until a zero instead of a letter.
    pub(crate) fn parse(body: &[u8]) -> ServerError {
        let mut error = ServerError::default();
        let (mut message, mut raised) = (None, false);
        for field in body.split(|byte| *byte == 0) {
            let Some((letter, text)) = field.split_first() else { break };
            let text = || raw::text(text);
            match letter {
                b'C' => error.sqlstate = text(),
                b'V' => error.severity = text(),
                // Before 9.6 there is only the translated severity.
                b'S' if error.severity.is_empty() => error.severity = text(),
                b'M' => message = Some(text()),
                b's' => error.schema = Some(text()),
                b't' => error.table = Some(text()),
                b'c' => error.column = Some(text()),
                b'n' => error.constraint = Some(text()),
                b'F' => raised = is_raised_by_application(&text()),
                _ => {}
            }
        }
        // Whatever an application raises says nothing of the machine.
        error.fault = message.as_deref().filter(|_| !raised).and_then(|message| Fault::of_server(&error.sqlstate, message));
        error.message = message.filter(|_| !raised && sqlstate::message_is_clean(&error.sqlstate));
        error
    }

    /// The server's error in the causes of `error`, if it is there.
    pub fn of(error: &Error) -> Option<&ServerError> {
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            if let Some(found) = cause.downcast_ref::<ServerError>() {
                return Some(found);
            }
            source = cause.source();
        }
        None
    }

    /// Whether the server ended the session along with it.
    pub(crate) fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }

    /// This as the cause of an error with `message`, with the kind and the hint of its SQLSTATE.
    pub(crate) fn into_error(self, message: impl Into<String>) -> Error {
        let (kind, hint) = sqlstate::judge(&self.sqlstate);
        self.caused(kind, hint, message.into())
    }

    /// The same during start-up, where every error means that the server does not let us in.
    pub(crate) fn into_refusal(self, message: impl Into<String>) -> Error {
        let (_, hint) = sqlstate::judge(&self.sqlstate);
        self.caused(Kind::Unreachable, hint, message.into())
    }

    fn caused(self, kind: Kind, hint: Option<&str>, message: String) -> Error {
        let error = Error::new(kind, message);
        let locks = self.sqlstate == "53200" && self.message.as_deref().is_some_and(|message| message.contains("shared memory"));
        let error = match hint.filter(|_| !locks).or(locks.then_some(sqlstate::NO_ROOM_FOR_LOCKS)) {
            Some(hint) => error.hinted(hint),
            None => error,
        };
        error.because(self)
    }
}

/// RAISE may use any SQLSTATE, and its text is the application's own. The source file that reports it tells:
/// `pl_exec.c`, `plpy_elog.c`, `plperl.c`, `pltcl.c`; the planner's files start in the same way.
fn is_raised_by_application(file: &str) -> bool {
    let file = file.rsplit('/').next().unwrap_or(file);
    file.starts_with("pl") && !file.starts_with("plan")
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = printable(&self.sqlstate);
        match &self.message {
            Some(message) => write!(f, "{} (SQLSTATE {code})", printable(message)),
            None => {
                write!(f, "SQLSTATE {code} ({})", sqlstate::name(&self.sqlstate))?;
                let names = [("table", &self.table), ("column", &self.column), ("constraint", &self.constraint)];
                for (what, name) in names.iter().filter_map(|(what, name)| Some((what, name.as_ref()?))) {
                    match (&self.schema, *what) {
                        (Some(schema), "table") => write!(f, ", table '{}.{}'", printable(schema), printable(name))?,
                        _ => write!(f, ", {what} '{}'", printable(name))?,
                    }
                }
                f.write_str(" (message withheld: it may hold row values)")
            }
        }
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerError({self})")
    }
}

impl std::error::Error for ServerError {}

/// `text` on one line and of bounded length: control characters, line separators and those that reverse the direction of writing are escaped; a byte
/// that is no text is shown as `\xE9`.
pub(crate) fn printable(text: &str) -> String {
    const LIMIT: usize = 600;
    let mut shown = String::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        if index == LIMIT {
            shown.push('…');
            break;
        }
        if let Some(byte) = raw::byte_of(character) {
            shown.push_str(&format!("\\x{byte:02X}"));
            continue;
        }
        match character {
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.extend(character.escape_unicode()),
            _ if character.is_control() => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(fields: &[(char, &str)]) -> Vec<u8> {
        fields.iter().flat_map(|(letter, text)| format!("{letter}{text}\0").into_bytes()).chain([0]).collect()
    }

    #[track_caller]
    fn check(fields: &[(char, &str)], expected: &str) {
        let error = ServerError::parse(&body(fields));
        assert_eq!(error.to_string(), expected);
        let all = format!("{error:?} {:?} {}", error.clone().into_error("x"), error.clone().into_error("y").chain());
        assert!(!all.contains("secret"), "{all}");
    }

    #[test]
    fn no_row_value_survives() {
        check(
            &[
                ('S', "FEHLER"),
                ('V', "ERROR"),
                ('C', "23505"),
                ('M', "duplicate secret"),
                ('D', "Key (email)=(secret) already exists."),
                ('W', "COPY t, line 1: secret"),
                ('H', "secret"),
                ('q', "secret"),
                ('s', "public"),
                ('t', "users"),
                ('n', "users_email_key"),
            ],
            "SQLSTATE 23505 (unique violation), table 'public.users', constraint 'users_email_key' (message withheld: it may hold row values)",
        );
        check(
            &[('V', "ERROR"), ('C', "22P02"), ('M', "invalid input syntax for type integer: \"secret\"")],
            "SQLSTATE 22P02 (invalid text representation) (message withheld: it may hold row values)",
        );
        check(
            &[('V', "ERROR"), ('C', "55000"), ('M', "secret"), ('F', "pl_exec.c")],
            "SQLSTATE 55000 (object not in prerequisite state) (message withheld: it may hold row values)",
        );
    }

    #[test]
    fn a_clean_message_is_shown_on_one_line() {
        check(
            &[('V', "ERROR"), ('C', "42P01"), ('M', "relation \"a\nb\u{202e}\" does not exist"), ('D', "secret"), ('F', "parse_relation.c")],
            "relation \"a\\nb\\u{202e}\" does not exist (SQLSTATE 42P01)",
        );
        check(&[('V', "ERROR"), ('C', "XX000"), ('M', "no plan"), ('F', "planner.c")], "no plan (SQLSTATE XX000)");
    }

    #[test]
    fn nonsense_is_an_error_without_a_message() {
        check(&[], "SQLSTATE  (unknown condition) (message withheld: it may hold row values)");
        assert_eq!(ServerError::parse(b"Cxx").sqlstate, "xx");
    }

    #[test]
    fn it_is_found_again_in_the_chain() {
        let error = ServerError::parse(&body(&[('V', "FATAL"), ('C', "55P03"), ('M', "canceling")])).into_error("cannot lock").context("the dump failed");
        assert_eq!(ServerError::of(&error).map(|found| found.sqlstate.as_str()), Some("55P03"));
        assert_eq!(error.kind(), Kind::TimedOut);
        assert!(error.hint().is_some());
        assert!(ServerError::of(&Error::usage("x")).is_none());
    }
}
