//! From what was typed to the values of each field. It owns the syntax and its messages; it leaves the meaning of days and of time to the search.
//! Invariant: a field that parses has at least one value, all within its range. What Vixie cron silently ignores is an error here.

use super::Fields;
use crate::error::{Error, Result};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// What a field is called and may hold.
struct Rule {
    name: &'static str,
    low: u32,
    high: u32,
    /// Names of the values from `low` on.
    words: &'static [&'static str],
}

const MINUTE: Rule = Rule { name: "minute", low: 0, high: 59, words: &[] };
const HOUR: Rule = Rule { name: "hour", low: 0, high: 23, words: &[] };
const DAY: Rule = Rule { name: "day of month", low: 1, high: 31, words: &[] };
const MONTH: Rule = Rule { name: "month", low: 1, high: 12, words: &MONTHS };
const WEEKDAY: Rule = Rule { name: "day of week", low: 0, high: 7, words: &WEEKDAYS };

/// Parses a single-spaced expression.
pub(super) fn fields(expression: &str) -> Result<Fields> {
    let expanded = if expression.starts_with('@') { nickname(expression)? } else { expression };
    let parts: Vec<&str> = expanded.split_whitespace().collect();
    let &[minute, hour, day, month, weekday] = parts.as_slice() else {
        return Err(wrong_count(expression, &parts));
    };
    let read = |rule: &Rule, text: &str| values(rule, text).map_err(|reason| refused(expression, &reason));
    let weekdays = read(&WEEKDAY, weekday)?;
    Ok(Fields {
        minutes: read(&MINUTE, minute)?,
        hours: read(&HOUR, hour)?,
        days: read(&DAY, day)?,
        months: read(&MONTH, month)?,
        // 7 is Sunday too.
        weekdays: (weekdays | weekdays >> 7) & 0x7f,
        both_days: day.starts_with('*') || weekday.starts_with('*'),
    })
}

fn nickname(expression: &str) -> Result<&'static str> {
    match expression.to_ascii_lowercase().as_str() {
        "@hourly" => Ok("0 * * * *"),
        "@daily" | "@midnight" => Ok("0 0 * * *"),
        "@weekly" => Ok("0 0 * * 0"),
        "@monthly" => Ok("0 0 1 * *"),
        "@yearly" | "@annually" => Ok("0 0 1 1 *"),
        "@reboot" => Err(refused(expression, "'@reboot' names no time, so nobody could tell when a backup is overdue")
            .hinted("a run that was missed is caught up at the start anyway: give the times, such as '0 3 * * *'")),
        other if other.starts_with("@every") => {
            Err(refused(expression, "an interval names no local time").hinted("write '0 * * * *' for every hour, or '*/15 * * * *' for every 15 minutes"))
        }
        _ => Err(refused(expression, "unknown nickname").hinted("there are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually")),
    }
}

fn wrong_count(expression: &str, parts: &[&str]) -> Error {
    if parts.is_empty() {
        return Error::usage("the schedule is empty").hinted("'0 3 * * *' is every day at 03:00");
    }
    if let Some(assignment) = parts.iter().find(|part| part.contains('=')) {
        return refused(expression, &format!("'{assignment}' is not a part of it")).hinted("the time zone has a setting of its own: BACKUP_TIMEZONE");
    }
    let count = parts.len();
    let error = refused(expression, &format!("it has {count} {}, not 5", if count == 1 { "field" } else { "fields" }));
    match count {
        6 | 7 => error.hinted("the first field is the minute; there is none for seconds, and none for years"),
        _ => error.hinted("the fields are minute, hour, day of month, month, day of week: '0 3 * * *' is every day at 03:00"),
    }
}

fn refused(expression: &str, reason: &str) -> Error {
    Error::usage(format!("schedule '{expression}': {reason}"))
}

/// The values of a field, as bits.
fn values(rule: &Rule, text: &str) -> Result<u64, String> {
    let mut bits = 0;
    for item in text.split(',') {
        bits |= item_values(rule, item).map_err(|reason| format!("{} '{text}': {reason}", rule.name))?;
    }
    Ok(bits)
}

fn item_values(rule: &Rule, item: &str) -> Result<u64, String> {
    if item.is_empty() {
        return Err("a value is missing".into());
    }
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (item, None),
    };
    let (first, last) = match range.split_once('-') {
        _ if range == "*" => (rule.low, rule.high),
        Some((first, last)) => (value(rule, first)?, last_value(rule, last)?),
        None => {
            let first = value(rule, range)?;
            // Vixie cron reads `5/15` as 5 alone; every other cron, and every user, as "from 5 on, each 15".
            (first, if step.is_some() { rule.high } else { first })
        }
    };
    if first > last {
        return Err(format!("the range '{range}' runs backwards"));
    }
    let step = match step {
        // A longer step is a misunderstanding: `*/90` minutes would silently be every hour.
        Some(text) => number(text).filter(|step| (1..=rule.high).contains(step)).ok_or_else(|| format!("the step '{text}' is not in 1–{}", rule.high))?,
        None => 1,
    };
    Ok((first..=last).step_by(step as usize).fold(0, |bits, value| bits | 1 << value))
}

/// The end of a range. Sunday ends a week as well as it begins one: `sat-sun`.
fn last_value(rule: &Rule, text: &str) -> Result<u32, String> {
    if rule.high == WEEKDAY.high && text.eq_ignore_ascii_case(WEEKDAYS[0]) { Ok(WEEKDAY.high) } else { value(rule, text) }
}

fn value(rule: &Rule, text: &str) -> Result<u32, String> {
    if let Some(place) = rule.words.iter().position(|word| text.eq_ignore_ascii_case(word)) {
        return Ok(rule.low + place as u32);
    }
    match number(text) {
        Some(value) if (rule.low..=rule.high).contains(&value) => Ok(value),
        Some(_) => Err(format!("'{text}' is not in {}–{}", rule.low, rule.high)),
        None if text.is_empty() => Err("a value is missing".into()),
        None if text == "?" => Err("'?' is not cron: write '*'".into()),
        None if rule.words.is_empty() => Err(format!("'{text}' is not a number")),
        None => Err(format!("'{text}' is neither a number nor a name of three letters such as '{}'", rule.words[1].to_ascii_uppercase())),
    }
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().unwrap_or(u32::MAX)).filter(|_| !text.is_empty())
}
