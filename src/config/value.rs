//! The second level of configuration: from one typed text to what it means.
//! It owns the rules of single values and their wording; it leaves to its callers where the text came from.
//! Pure but for the time zone database. A rule refuses what it does not understand; it never guesses.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::keys::Key;
use super::problem::{Fault, is_connection_string, is_presentable, quoted};
use super::suggest;
use super::types::{Compression, Drill, Language, LogFormat};
use crate::error::Error;
use crate::postgres::connection::Secret;
use crate::receiver::{self, EVENTS, Receiver};
use crate::schedule::Schedule;
use crate::units;

type Parsed<T> = Result<T, Fault>;

fn fault(key: &Key, reason: impl Into<String>) -> Fault {
    Fault::new(reason, format!("use {}", key.constraint))
}

/// A fault out of an engine's own error about `text`. The engine repeats what it refuses, and has not seen all that people put here.
pub(super) fn from_error(key: &Key, text: &str, error: &Error) -> Fault {
    if is_presentable(text) {
        Fault::new(error.to_string(), error.hint().map_or_else(|| format!("use {}", key.constraint), str::to_owned))
    } else {
        fault(key, format!("{} is not understood", quoted(text)))
    }
}

/// A whole number between two limits.
pub(super) fn count(key: &Key, text: &str, least: u32, most: u32) -> Parsed<u32> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(fault(key, format!("{} is not a whole number", quoted(text))));
    }
    if digits.len() < text.len() {
        return Err(fault(key, format!("{} is negative", quoted(text))));
    }
    // Only digits are left, so the one way to fail is to be too large.
    let number = text.parse().unwrap_or(u64::MAX);
    match u32::try_from(number) {
        _ if number < u64::from(least) => Err(fault(key, format!("{} is less than {least}", quoted(text)))),
        Ok(number) if number <= most => Ok(number),
        _ => Err(fault(key, format!("{} is more than {most}", quoted(text)))),
    }
}

/// `yes` or `no`; `true` and `false` as a file may have them.
pub(super) fn yes_or_no(key: &Key, text: &str) -> Parsed<bool> {
    word(key, text, &[("yes", true), ("no", false), ("true", true), ("false", false)])
}

/// A duration between two limits, both given as a user would type them.
pub(super) fn duration(key: &Key, text: &str, least: &str, most: &str) -> Parsed<Duration> {
    let limit = |text: &str| units::parse_duration(text).unwrap_or_default();
    let found = units::parse_duration(text).map_err(|error| from_error(key, text, &error))?;
    if found < limit(least) {
        return Err(fault(key, format!("{} is less than {least}", quoted(text))));
    }
    if found > limit(most) {
        return Err(fault(key, format!("{} is more than {most}", quoted(text))));
    }
    Ok(found)
}

/// The maximum age of a backup; nothing: it follows from schedule and runs.
pub(super) fn max_age(key: &Key, text: &str) -> Parsed<Option<Duration>> {
    if text == "auto" { Ok(None) } else { duration(key, text, "1m", "3660d").map(Some) }
}

/// One of a few words. What is near to one of them is taken for a slip of the finger, and named.
pub(super) fn word<T: Copy>(key: &Key, text: &str, words: &[(&str, T)]) -> Parsed<T> {
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*meaning);
    }
    let hint = match suggest::nearest(text, words.iter().map(|(word, _)| *word)) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("use {}", key.constraint),
    };
    Err(Fault::new(format!("unknown value {}", quoted(text)), hint))
}

pub(super) fn compression(key: &Key, text: &str) -> Parsed<Compression> {
    word(key, text, &[("fast", Compression::Fast), ("small", Compression::Small), ("smallest", Compression::Smallest)])
}

pub(super) fn log_format(key: &Key, text: &str) -> Parsed<LogFormat> {
    word(key, text, &[("text", LogFormat::Text), ("json", LogFormat::Json)])
}

pub(super) fn language(key: &Key, text: &str) -> Parsed<Option<Language>> {
    word(key, text, &[("auto", None), ("en", Some(Language::English)), ("nl", Some(Language::Dutch))])
}

/// Where to listen: an address and a port. Nothing: nowhere.
pub(super) fn listen(key: &Key, text: &str) -> Parsed<Option<SocketAddr>> {
    if text == "off" {
        return Ok(None);
    }
    // A name could stand for several addresses, and for another one tomorrow.
    match text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}")).as_deref().unwrap_or(text).parse::<SocketAddr>() {
        Ok(address) => Ok(Some(address)),
        Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(Fault::new(format!("{} is a port without an address", quoted(text)), format!("write 127.0.0.1:{text}, or 0.0.0.0:{text} for every address")))
        }
        Err(_) => Err(fault(key, format!("{} is not an address with a port", quoted(text)))),
    }
}

/// A word that nobody guesses and that every client can send in a header.
pub(super) fn token(key: &Key, text: &str) -> Parsed<Secret> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(fault(key, "the value (not shown) has a space in it, or something that is not ASCII"));
    }
    if text.len() < 16 {
        return Err(Fault::new("the value (not shown) is shorter than 16 characters", "make one: openssl rand -hex 24"));
    }
    Ok(Secret::from(text.to_owned()))
}

pub(super) fn schedule(key: &Key, text: &str, zone: &TimeZone) -> Parsed<Schedule> {
    Schedule::parse(text, zone.clone()).map_err(|error| from_error(key, text, &error))
}

pub(super) fn drill(key: &Key, text: &str, zone: &TimeZone) -> Parsed<Drill> {
    match text {
        "every-backup" => Ok(Drill::EveryBackup),
        "off" => Ok(Drill::Off),
        // One word without a digit, star or @ is no cron expression, but a word that we do not know.
        text if !text.contains(|c: char| c.is_whitespace() || c.is_ascii_digit() || c == '*' || c == '@') => {
            word(key, text, &[("every-backup", ()), ("off", ())]).map(|()| Drill::Off)
        }
        cron => schedule(key, cron, zone).map(Drill::Cron),
    }
}

/// A time zone by its IANA name, and that name in its proper case.
pub(super) fn time_zone(key: &Key, text: &str) -> Parsed<(TimeZone, String)> {
    // POSIX lets TZ begin with a colon; what follows is a name to nearly everybody.
    let name = text.strip_prefix(':').unwrap_or(text);
    let database = jiff::tz::db();
    if let Ok(zone) = database.get(name) {
        let name = zone.iana_name().unwrap_or(name).to_owned();
        return Ok((zone, name));
    }
    let known: Vec<String> = database.available().map(|name| name.to_string()).collect();
    let hint = match suggest::nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean '{near}'?"),
        None if known.len() < 2 => "this machine has no time zone database: install tzdata, or use UTC".to_owned(),
        None => format!("use {}", key.constraint),
    };
    Err(Fault::new(format!("unknown time zone {}", quoted(text)), hint))
}

/// The receivers of messages. What is wrong is told by the URL's place: the URL itself is a secret.
pub(super) fn receivers(text: &str) -> Parsed<Vec<Receiver>> {
    receiver::parse_all(text).map_err(|wrong| {
        let reasons: Vec<String> = wrong.iter().map(|(place, why)| format!("URL {place}: {why}")).collect();
        Fault::new(reasons.join("; "), "write each URL as `kluis notify --help` shows it, with spaces between them")
    })
}

/// A secret that is one line of text.
pub(super) fn one_line(key: &Key, text: &str) -> Parsed<Secret> {
    if text.chars().any(char::is_control) {
        Err(fault(key, "the value (not shown) has a line feed or another control character in it"))
    } else {
        Ok(Secret::from(text.to_owned()))
    }
}

/// The events that receivers are told of.
pub(super) fn events(key: &Key, text: &str) -> Parsed<Vec<&'static str>> {
    let words: Vec<(&str, &'static str)> = EVENTS.iter().map(|event| (*event, *event)).collect();
    if is_connection_string(text) {
        // Its parts are not shown either.
        return word(key, text, &words).map(|event| vec![event]);
    }
    let typed = text.split([' ', ',', '\t']).filter(|event| !event.is_empty());
    typed.map(|event| word(key, event, &words)).collect()
}

/// A target's name, which becomes a folder's.
pub(super) fn target_name(key: &Key, text: &str) -> Parsed<String> {
    if is_target_name(text) { Ok(text.to_owned()) } else { Err(fault(key, format!("{} cannot be a target's name", quoted(text)))) }
}

/// Whether `name` can be a target's: safe as a folder everywhere, and none of the repository's own names.
pub fn is_target_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    name.len() <= 63
        && name.bytes().all(allowed)
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && !["log", "latest"].contains(&name)
}

/// The target's name that a database gives by default; `None` if nothing usable is left of it.
pub(super) fn safe_name(database: &str) -> Option<String> {
    let lower = database.to_lowercase();
    let kept: String = lower.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    let name: String = kept.trim_start_matches(['.', '_', '-']).chars().take(63).collect();
    is_target_name(&name).then_some(name)
}

/// A host: one name, address or absolute path.
pub(super) fn host(key: &Key, text: &str) -> Parsed<String> {
    let reason = match text {
        _ if is_connection_string(text) || text.contains('@') => {
            return Err(Fault::new(format!("the value is {}", quoted(text)), "put a URL into DATABASE_URL, and only the host here"));
        }
        _ if text.contains(',') => format!("{} names several hosts", quoted(text)),
        _ if text.chars().any(|c| c.is_whitespace() || c.is_control()) => format!("{} has a space in it", quoted(text)),
        _ if text.starts_with('/') => return Ok(text.to_owned()),
        _ if text.contains('/') => format!("{} is neither a host name nor an absolute path", quoted(text)),
        _ if text.matches(':').count() == 1 => return Err(Fault::new(format!("{} has a port in it", quoted(text)), "put the port into DB_PORT")),
        _ => return Ok(text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).to_owned()),
    };
    Err(fault(key, reason))
}

pub(super) fn port(key: &Key, text: &str) -> Parsed<u16> {
    if text.starts_with("tcp://") {
        // https://kubernetes.io/docs/tutorials/services/connect-applications-service/ : a service named "db" sets DB_PORT for every pod.
        return Err(Fault::new(
            "the value is a URL, as Kubernetes sets it for a service of this name",
            "set enableServiceLinks: false for the pod, or set the port yourself",
        ));
    }
    Ok(u16::try_from(count(key, text, 1, 65535)?).unwrap_or(u16::MAX))
}

/// Text that reaches the server as it is, such as a name.
pub(super) fn plain(key: &Key, text: &str) -> Parsed<String> {
    if is_connection_string(text) {
        return Err(Fault::new(format!("the value is {}", quoted(text)), "put a URL into DATABASE_URL"));
    }
    if text.chars().any(char::is_control) {
        return Err(fault(key, format!("{} has a control character in it", quoted(text))));
    }
    Ok(text.to_owned())
}

/// Why a file could not be read, in a few words and without a system's error number.
pub(super) fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or folder".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::NotADirectory => "a part of the path is not a folder".to_owned(),
        io::ErrorKind::FileTooLarge => "it is larger than 1 MiB".to_owned(),
        kind => kind.to_string(),
    }
}
