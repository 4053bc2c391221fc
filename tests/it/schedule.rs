//! The schedule against independent answers, in every zone of the time zone database that the binary carries.
//!
//! By default some seconds' worth: every zone, a few of its transitions, a share of the expressions each. `KLUIS_ORACLE=full` judges every
//! expression at every transition between 2000 and 2037, which takes most of an hour on two cores.

use crate::schedule_oracle::{self as oracle, EXPRESSIONS, Subject};
use jiff::civil::{Date, DateTime, date, time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use kluis::schedule::Schedule;
use std::sync::atomic::{AtomicUsize, Ordering};

impl Subject for Schedule {
    fn new(expression: &str, zone: &TimeZone) -> Self {
        Schedule::parse(expression, zone.clone()).unwrap_or_else(|error| panic!("'{expression}': {error}"))
    }
    fn next_after(&self, t: Timestamp) -> Option<Timestamp> {
        Schedule::next_after(self, t)
    }
    fn last_at_or_before(&self, t: Timestamp) -> Option<Timestamp> {
        Schedule::last_at_or_before(self, t)
    }
}

fn full() -> bool {
    std::env::var("KLUIS_ORACLE").is_ok_and(|size| size == "full")
}

/// Those of `all` that are to be judged: every one, or `count` spread evenly, beginning at another place for each `turn`.
fn some<T>(all: &[T], count: usize, turn: usize) -> Vec<&T> {
    if full() || count >= all.len() {
        return all.iter().collect();
    }
    let mut chosen: Vec<usize> = (0..count).map(|n| (n * all.len() / count + turn) % all.len()).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen.into_iter().map(|index| &all[index]).collect()
}

/// Every zone that the binary carries.
fn zones() -> Vec<TimeZone> {
    let database = jiff::tz::TimeZoneDatabase::bundled();
    let zones: Vec<TimeZone> = database.available().map(|name| database.get(name.as_str()).unwrap_or_else(|error| panic!("{error}"))).collect();
    assert!(zones.len() > 500, "only {} zones are in the bundled database", zones.len());
    zones
}

/// The transitions between 2000 and 2037; for a zone without any, one ordinary day.
fn transitions(zone: &TimeZone) -> Vec<Timestamp> {
    let (first, last): (Timestamp, Timestamp) = ("2000-01-01T00:00:00Z".parse().unwrap(), "2038-01-01T00:00:00Z".parse().unwrap());
    let found: Vec<Timestamp> = zone.following(first).map(|t| t.timestamp()).take_while(|&t| t < last).collect();
    if found.is_empty() { vec!["2024-02-28T12:00:00Z".parse().unwrap()] } else { found }
}

/// Does something with each zone, on all cores. Returns the sum of what it returns.
fn in_each_zone(work: impl Fn(usize, &TimeZone) -> usize + Sync) -> usize {
    let (zones, next, sum) = (zones(), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    let Some(zone) = zones.get(turn) else { return };
                    sum.fetch_add(work(turn, zone), Ordering::Relaxed);
                }
            });
        }
    });
    sum.into_inner()
}

/// Numbers below a bound, by xorshift64: the same in every run, so that a failure can be looked at.
fn numbers(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

/// Some hundred expressions: the known ones, and as many as needed made of fields of every form, each of which can fire.
fn expressions() -> Vec<String> {
    let (mut random, mut dice) = (numbers(0x2545_F491_4F6C_DD1D), numbers(0x9E37_79B9_7F4A_7C15));
    let names: [&[&str]; 2] =
        [&["JAN", "feb", "Mar", "APR", "MAY", "jun", "JUL", "AUG", "SEP", "oct", "NOV", "DEC"], &["SUN", "mon", "Tue", "WED", "thu", "FRI", "SAT"]];
    let mut field = |place: usize| {
        let (low, high) = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)][place];
        let mut item = || {
            let (a, b) = (low + random(high - low + 1), low + random(high - low + 1));
            let (a, b) = (a.min(b), a.max(b));
            let step = 1 + random(high - low);
            let named = |value: u64| match place {
                3 => names[0][value as usize - 1].to_owned(),
                4 if value < 7 => names[1][value as usize].to_owned(),
                _ => value.to_string(),
            };
            match random(8) {
                0 => format!("*/{step}"),
                1 => format!("{a}-{b}"),
                2 => format!("{a}-{b}/{step}"),
                3 => format!("{a}/{step}"),
                4 => named(a),
                _ => a.to_string(),
            }
        };
        let items = [item(), item(), item()];
        items[..1 + items[2].len() % 3].join(",")
    };
    let mut expressions: Vec<String> = EXPRESSIONS.iter().map(|expression| (*expression).to_owned()).collect();
    while expressions.len() < 320 {
        // Often a star for days and months, or most expressions would not fire within days of a transition.
        let star = [0, 0, 67, 75, 60];
        let parts = (0..5).map(|place| (field(place), dice(100) < star[place]));
        let expression = parts.map(|(made, star)| if star { "*".to_owned() } else { made }).collect::<Vec<_>>().join(" ");
        if Schedule::parse(&expression, TimeZone::UTC).is_ok() {
            expressions.push(expression);
        }
    }
    expressions
}

#[test]
fn around_transitions_of_every_zone() {
    let expressions = expressions();
    let expressions: Vec<&str> = expressions.iter().map(String::as_str).collect();
    let spans = in_each_zone(|turn, zone| {
        let transitions = transitions(zone);
        let transitions = some(&transitions, 3, turn);
        for (place, middle) in transitions.iter().enumerate() {
            let expressions: Vec<&str> = some(&expressions, 12, turn * 3 + place).into_iter().copied().collect();
            oracle::judge::<Schedule>(zone, **middle, &expressions);
        }
        transitions.len()
    });
    assert!(spans > 1000, "only {spans} spans were judged");
}

/// The first instant at which the zone's clock shows `local` or has passed it, as jiff's own resolution of local times tells it.
fn due(zone: &TimeZone, local: DateTime) -> Timestamp {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().expect("the year is an ordinary one"),
        AmbiguousOffset::Gap { before, .. } => {
            let late = before.to_timestamp(local).expect("the year is an ordinary one");
            zone.preceding(late + SignedDuration::from_secs(1)).next().expect("a gap comes of a transition").timestamp()
        }
    }
}

/// Every local date from 2000 to 2037 has its run, in order, and there is no other: none is lost or doubled in 38 years on end.
#[test]
fn every_day_of_thirty_eight_years_has_its_run() {
    const DAILY: [(&str, i8, i8); 6] =
        [("0 0 * * *", 0, 0), ("30 0 * * *", 0, 30), ("30 1 * * *", 1, 30), ("15 2 * * *", 2, 15), ("0 3 * * *", 3, 0), ("59 23 * * *", 23, 59)];
    let runs = in_each_zone(|turn, zone| {
        let mut runs = 0;
        for (expression, hour, minute) in some(&DAILY, 1, turn) {
            let schedule = Schedule::parse(expression, zone.clone()).unwrap();
            let (mut day, end): (Date, Date) = (date(2000, 1, 2), date(2037, 12, 31));
            let mut before = due(zone, date(2000, 1, 1).to_datetime(time(*hour, *minute, 0, 0)));
            while day < end {
                let expected = due(zone, day.to_datetime(time(*hour, *minute, 0, 0)));
                // Two dates share a run where both of their times were left out by one jump.
                if expected != before {
                    let what = || format!("'{expression}' on {day} in {:?}", zone.iana_name());
                    assert_eq!(schedule.next_after(before), Some(expected), "{}", what());
                    assert_eq!(schedule.last_at_or_before(expected), Some(expected), "{}", what());
                    assert_eq!(schedule.last_at_or_before(expected - SignedDuration::from_secs(1)), Some(before), "{}", what());
                    runs += 1;
                }
                (before, day) = (expected, day.tomorrow().unwrap());
            }
        }
        runs
    });
    assert!(runs > 500 * 13_000, "only {runs} runs were judged");
}
