//! A schedule in short English. It owns the phrases for common forms; it leaves every other form to the expression itself.
//! Invariant: a phrase says all that the fields say; what it cannot say exactly it does not say.

use super::Fields;
use jiff::tz::TimeZone;

const MONTHS: [&str; 12] = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

const ALL_MINUTES: u64 = (1 << 60) - 1;
const ALL_HOURS: u64 = (1 << 24) - 1;
const ALL_DAYS: u64 = ((1 << 31) - 1) << 1;
const ALL_MONTHS: u64 = ((1 << 12) - 1) << 1;
const ALL_WEEKDAYS: u64 = (1 << 7) - 1;

/// More times than this in a phrase are harder to read than the expression.
const MOST_TIMES: usize = 4;

/// A name for a zone that a person recognises.
pub(super) fn zone(zone: &TimeZone) -> String {
    match (zone.iana_name(), zone.to_fixed_offset()) {
        (Some(name), _) => name.to_owned(),
        (None, Ok(offset)) => format!("UTC{offset}"),
        (None, Err(_)) => "local time".to_owned(),
    }
}

/// The phrase for a common form.
pub(super) fn phrase(fields: &Fields) -> Option<String> {
    let days = days(fields)?;
    if let Some(pace) = pace(fields) {
        return Some(if days == "every day" { pace } else { format!("{days}, {pace}") });
    }
    let (minutes, hours) = (listed(fields.minutes), listed(fields.hours));
    (minutes.len() * hours.len() <= MOST_TIMES).then(|| {
        let times = hours.iter().flat_map(|hour| minutes.iter().map(move |minute| format!("{hour:02}:{minute:02}")));
        format!("{days} at {}", joined(&times.collect::<Vec<_>>()))
    })
}

/// `every 15 minutes` and the like.
fn pace(fields: &Fields) -> Option<String> {
    let minutes = listed(fields.minutes);
    if fields.hours == ALL_HOURS {
        if fields.minutes == ALL_MINUTES {
            return Some("every minute".into());
        }
        return match (even(&minutes, 60), minutes.as_slice()) {
            (Some(step), _) => Some(format!("every {step} minutes")),
            (None, [minute]) => Some(format!("every hour at :{minute:02}")),
            _ => None,
        };
    }
    let hours = listed(fields.hours);
    match (even(&hours, 24), minutes.as_slice()) {
        (Some(step), [minute]) if hours.len() > MOST_TIMES => Some(format!("every {step} hours at :{minute:02}")),
        _ => None,
    }
}

fn days(fields: &Fields) -> Option<String> {
    let (all_days, all_weekdays, all_months) = (fields.days == ALL_DAYS, fields.weekdays == ALL_WEEKDAYS, fields.months == ALL_MONTHS);
    let every = if fields.both_days { all_days && all_weekdays } else { all_days || all_weekdays };
    if every {
        return all_months.then(|| "every day".into());
    }
    if !fields.both_days {
        return None;
    }
    if all_days && all_months {
        let weekdays = listed(fields.weekdays);
        return Some(match weekdays.as_slice() {
            [1, 2, 3, 4, 5] => "Monday to Friday".into(),
            several => format!("every {}", joined(&several.iter().map(|&day| WEEKDAYS[day as usize].to_owned()).collect::<Vec<_>>())),
        });
    }
    let days = listed(fields.days);
    if !all_weekdays || days.len() > MOST_TIMES {
        return None;
    }
    let days = format!("on {} {}", if days.len() == 1 { "day" } else { "days" }, joined(&days.iter().map(u32::to_string).collect::<Vec<_>>()));
    let months = listed(fields.months);
    if all_months {
        return Some(format!("{days} of every month"));
    }
    (months.len() <= MOST_TIMES)
        .then(|| format!("{days} of {}", joined(&months.iter().map(|&month| MONTHS[month as usize - 1].to_owned()).collect::<Vec<_>>())))
}

/// The step between values that divide the whole evenly from 0 on.
fn even(values: &[u32], whole: u32) -> Option<u32> {
    let step = whole.checked_div(values.len() as u32)?;
    let even = values.len() > 1 && whole.is_multiple_of(step) && values.iter().zip(0..).all(|(&value, place)| value == place * step);
    even.then_some(step)
}

fn listed(bits: u64) -> Vec<u32> {
    (0..64).filter(|bit| bits & 1 << bit != 0).collect()
}

fn joined(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [word] => word.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
