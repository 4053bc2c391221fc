//! From fields to local times, and from local times to instants. It owns the calendar and the zone's jumps; it leaves syntax to the parser.
//! Invariant: the instant at which a local time is due never decreases as the local time grows, so that one bound divides what is due from what is not.

use super::Fields;
use jiff::civil::{Date, DateTime, Time, Weekday, date, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// No offset from UTC is larger than this (RFC 9557 and jiff allow 25:59:59).
const LARGEST_OFFSET: SignedDuration = SignedDuration::from_hours(26);

/// Months in 400 years. The Gregorian calendar, weekdays included, repeats itself after them: what has not fired by then never will.
const MONTHS_IN_A_CYCLE: usize = 400 * 12;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const NANOSECOND: SignedDuration = SignedDuration::from_nanos(1);

/// The first matching minute at or after `from`, itself a whole minute.
pub(super) fn next(fields: &Fields, from: DateTime) -> Option<DateTime> {
    let today = next_day(fields, from.date())?;
    if today == from.date() {
        if let Some(time) = next_time(fields, from.time()) {
            return Some(today.to_datetime(time));
        }
        let later = next_day(fields, today.tomorrow().ok()?)?;
        return Some(later.to_datetime(next_time(fields, Time::midnight())?));
    }
    Some(today.to_datetime(next_time(fields, Time::midnight())?))
}

/// The last matching minute strictly before `bound`, itself a whole minute.
pub(super) fn last_before(fields: &Fields, bound: DateTime) -> Option<DateTime> {
    let from = bound.checked_sub(MINUTE).ok()?;
    let today = last_day(fields, from.date())?;
    if today == from.date() {
        if let Some(time) = last_time(fields, from.time()) {
            return Some(today.to_datetime(time));
        }
        let earlier = last_day(fields, today.yesterday().ok()?)?;
        return Some(earlier.to_datetime(last_time(fields, time(23, 59, 0, 0))?));
    }
    Some(today.to_datetime(last_time(fields, time(23, 59, 0, 0))?))
}

/// The first matching day at or after `from`.
pub(super) fn next_day(fields: &Fields, from: Date) -> Option<Date> {
    let mut month = from.first_of_month();
    let mut open = u64::MAX << from.day();
    for _ in 0..=MONTHS_IN_A_CYCLE {
        let days = matching_days(fields, month) & open;
        if days != 0 {
            return Some(date(month.year(), month.month(), days.trailing_zeros() as i8));
        }
        month = month.last_of_month().tomorrow().ok()?;
        open = u64::MAX;
    }
    None
}

/// The last matching day at or before `from`.
fn last_day(fields: &Fields, from: Date) -> Option<Date> {
    let mut month = from.first_of_month();
    let mut open = below(from.day() as u32 + 1);
    for _ in 0..=MONTHS_IN_A_CYCLE {
        let days = matching_days(fields, month) & open;
        if days != 0 {
            return Some(date(month.year(), month.month(), days.ilog2() as i8));
        }
        month = month.yesterday().ok()?.first_of_month();
        open = u64::MAX;
    }
    None
}

/// The matching days of the month that begins on `first`, as bits 1–31.
fn matching_days(fields: &Fields, first: Date) -> u64 {
    if fields.months & 1 << first.month() == 0 {
        return 0;
    }
    // The week's pattern, repeated, and shifted so that bit 1 is the weekday of the 1st.
    let week = fields.weekdays | fields.weekdays << 7;
    let offset = first.weekday().since(Weekday::Sunday) as u32;
    let pattern = (week >> offset) & 0x7f;
    let weekdays = (0..5).fold(0, |bits, n| bits | pattern << (7 * n)) << 1;
    let days = if fields.both_days { fields.days & weekdays } else { fields.days | weekdays };
    days & below(first.days_in_month() as u32 + 1) & !1
}

fn next_time(fields: &Fields, from: Time) -> Option<Time> {
    let (hour, minute) = (from.hour() as u32, from.minute() as u32);
    let rest = fields.minutes & u64::MAX << minute;
    if fields.hours & 1 << hour != 0 && rest != 0 {
        return Some(time(hour as i8, rest.trailing_zeros() as i8, 0, 0));
    }
    let later = fields.hours & u64::MAX << (hour + 1);
    (later != 0).then(|| time(later.trailing_zeros() as i8, fields.minutes.trailing_zeros() as i8, 0, 0))
}

fn last_time(fields: &Fields, from: Time) -> Option<Time> {
    let (hour, minute) = (from.hour() as u32, from.minute() as u32);
    let rest = fields.minutes & below(minute + 1);
    if fields.hours & 1 << hour != 0 && rest != 0 {
        return Some(time(hour as i8, rest.ilog2() as i8, 0, 0));
    }
    let earlier = fields.hours & below(hour);
    (earlier != 0).then(|| time(earlier.ilog2() as i8, fields.minutes.ilog2() as i8, 0, 0))
}

/// The bits below `bit`.
fn below(bit: u32) -> u64 {
    (1 << bit) - 1
}

/// The first local minute that is not due yet at `now`: every one before it is, and none from it on.
pub(super) fn first_not_due(zone: &TimeZone, now: Timestamp) -> Option<DateTime> {
    let mut bound = whole_minute(zone.to_datetime(now)).checked_add(MINUTE).ok()?;
    // Before a jump back the local clock had already been further on. Only a jump less than two offsets ago can have put it behind that.
    let horizon = now.checked_sub(LARGEST_OFFSET * 2).ok()?;
    for jump in zone.preceding(now.checked_add(NANOSECOND).ok()?) {
        let at = jump.timestamp();
        if at < horizon {
            break;
        }
        // The minutes strictly before the time at which the clock jumped were shown.
        let reached = zone.to_offset(at.checked_sub(NANOSECOND).ok()?).to_datetime(at);
        let floor = whole_minute(reached);
        bound = bound.max(if floor == reached { floor } else { floor.checked_add(MINUTE).ok()? });
    }
    Some(bound)
}

/// The first instant at which the local clock shows `local` or has passed it.
pub(super) fn due_at(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    // Here the local clock is still before `local` in any zone. From here on, one stretch of constant offset after the other.
    let mut start = TimeZone::UTC.to_timestamp(local).ok()?.checked_sub(LARGEST_OFFSET).ok()?;
    let mut offset = zone.to_offset(start);
    for jump in zone.following(start) {
        let shown = offset.to_timestamp(local).ok()?;
        if shown < jump.timestamp() {
            return Some(shown.max(start));
        }
        (start, offset) = (jump.timestamp(), jump.offset());
        if offset.to_datetime(start) >= local {
            return Some(start);
        }
    }
    offset.to_timestamp(local).ok()
}

/// How many days are looked at for the longest gap: leap days are up to eight years apart.
const YEARS_AHEAD: i16 = 9;

/// The longest time between two matching minutes of a local clock that never jumps, from `from` on.
pub(super) fn longest_gap(fields: &Fields, from: Date) -> SignedDuration {
    let times: Vec<i64> =
        (0..24i64).filter(|hour| fields.hours & 1 << hour != 0).flat_map(|hour| minutes(fields).map(move |minute| 60 * hour + minute)).collect();
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return SignedDuration::ZERO };
    let within = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
    let end = date(from.year().saturating_add(YEARS_AHEAD).min(9999), 12, 31);
    let (mut apart, mut day) = (0, next_day(fields, from));
    while let Some(this) = day {
        day = this.tomorrow().ok().and_then(|tomorrow| next_day(fields, tomorrow));
        apart = day.map_or(apart, |next| apart.max(next.duration_since(this).as_hours() / 24));
        if this > end {
            break;
        }
    }
    SignedDuration::from_mins(within.max(apart * 24 * 60 - last + first))
}

/// The minutes of an hour that match.
fn minutes(fields: &Fields) -> impl Iterator<Item = i64> + '_ {
    (0..60i64).filter(|minute| fields.minutes & 1 << minute != 0)
}

/// By how much the local clock goes back at the most in the year after `now`: no local time that comes twice has a second run.
pub(super) fn furthest_back(zone: &TimeZone, now: Timestamp) -> SignedDuration {
    let Ok(end) = now.checked_add(SignedDuration::from_hours(400 * 24)) else { return SignedDuration::ZERO };
    let mut offset = zone.to_offset(now);
    let mut most = 0;
    for jump in zone.following(now).take_while(|jump| jump.timestamp() < end) {
        most = most.max(offset.seconds() - jump.offset().seconds());
        offset = jump.offset();
    }
    SignedDuration::from_secs(most.into())
}

fn whole_minute(local: DateTime) -> DateTime {
    local.date().at(local.hour(), local.minute(), 0, 0)
}
