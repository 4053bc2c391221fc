//! An independent answer to "when is this cron expression due?": walk every UTC minute, look at the local clock, and apply the rule naively.
//! It shares no code with the schedule it judges, and knows nothing of transitions. Zones with offsets of whole minutes only, so not before 1972.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// What is judged. Implement it for the schedule in the test that calls [`judge`].
pub trait Subject: Sized {
    /// The subject for an expression that is known to be valid.
    fn new(expression: &str, zone: &TimeZone) -> Self;
    /// The first run strictly after `t`.
    fn next_after(&self, t: Timestamp) -> Option<Timestamp>;
    /// The last run at or before `t`.
    fn last_at_or_before(&self, t: Timestamp) -> Option<Timestamp>;
}

/// Expressions whose runs are close to each other or to the usual hours of transitions, and some with every feature of the syntax.
pub const EXPRESSIONS: [&str; 42] = [
    "* * * * *",
    "*/15 * * * *",
    "*/7 * * * *",
    "0 * * * *",
    "30 * * * *",
    "59 * * * *",
    "5/20 * * * *",
    "10-50/13 * * * *",
    "0 0 * * *",
    "30 0 * * *",
    "59 23 * * *",
    "0 1 * * *",
    "30 1 * * *",
    "59 1 * * *",
    "0 2 * * *",
    "15 2 * * *",
    "30 2 * * *",
    "45 2 * * *",
    "59 2 * * *",
    "0 3 * * *",
    "1 3 * * *",
    "0,30 1-3 * * *",
    "*/5 2 * * *",
    "0 */2 * * *",
    "0 1/6 * * *",
    "0 12 * * *",
    "15,45 22-23,0-1 * * *",
    "0 3 * * SUN",
    "30 2 * * 7",
    "30 2 * * sat-sun",
    "0 2 * * MON-FRI",
    "30 1 1 * *",
    "0 0 29-31 * *",
    "0 0 31 12 *",
    "0 2 25-31 3,10 SUN",
    "30 2 */2 * SUN",
    "30 2 1-31/2 * SUN",
    "0 3 * mar,OCT *",
    "*/30 * 30 12 *",
    "20 4 30 * FRI",
    "0 0 * * */2",
    "17 2,3 * 1-12/3 1-5",
];

/// Judges `expressions` from two days before `middle` to two days after it.
pub fn judge<S: Subject>(zone: &TimeZone, middle: Timestamp, expressions: &[&str]) {
    let day = SignedDuration::from_hours(24);
    let minute = SignedDuration::from_mins(1);
    let middle = Timestamp::from_second(middle.as_second().div_euclid(60) * 60).unwrap();
    // Two more days before the span, so that the local clock's high-water mark is right when it begins.
    let start = middle - day * 4;
    let walk: Vec<(Timestamp, DateTime)> = (0..8 * 24 * 60).map(|n| start + minute * n).map(|t| (t, zone.to_datetime(t))).collect();
    let (from, to) = (middle - day * 2, middle + day * 2);
    for &expression in expressions {
        let naive = Naive::new(expression);
        let mut due = Vec::new();
        let mut seen = walk[0].1;
        for &(t, local) in &walk {
            let mut fires = false;
            while seen < local {
                seen = seen.checked_add(minute).unwrap();
                fires |= naive.matches(seen);
            }
            if fires {
                due.push(t);
            }
        }
        compare(&S::new(expression, zone), &due, from, to, &|| format!("'{expression}' in {:?} around {middle}", zone.iana_name()));
    }
}

/// Asks the subject at instants all over the span, on the minute and beside it. `due` reaches two days further on both sides.
fn compare<S: Subject>(subject: &S, due: &[Timestamp], from: Timestamp, to: Timestamp, what: &dyn Fn() -> String) {
    let mut t = from;
    let mut steps = [17, 60, 900, 61, 599, 3540, 1].iter().cycle();
    while t <= to {
        let place = due.partition_point(|&run| run <= t);
        match due.get(place) {
            Some(&next) => assert_eq!(subject.next_after(t), Some(next), "next after {t}: {}", what()),
            None => assert!(subject.next_after(t).is_none_or(|run| run > to), "next after {t}: {}", what()),
        }
        match place.checked_sub(1) {
            Some(last) => assert_eq!(subject.last_at_or_before(t), Some(due[last]), "last at or before {t}: {}", what()),
            None => assert!(subject.last_at_or_before(t).is_none_or(|run| run < from), "last at or before {t}: {}", what()),
        }
        t += SignedDuration::from_secs(*steps.next().unwrap());
    }
    // And the chain of runs, complete.
    let mut expected = due.iter().filter(|&&run| run > from && run <= to);
    let mut t = from;
    while let Some(run) = subject.next_after(t).filter(|&run| run <= to) {
        assert_eq!(Some(&run), expected.next(), "after {t}: {}", what());
        t = run;
    }
    assert_eq!(expected.next(), None, "after {t}: {}", what());
}

/// The expression, with each field's verdict on each value worked out by trying all of its items.
struct Naive {
    fields: [Vec<bool>; 5],
    either: bool,
}

impl Naive {
    fn new(expression: &str) -> Naive {
        let parts: Vec<&str> = expression.split(' ').collect();
        let months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
        let weekdays = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];
        let read = |text: &str, names: &[&str], base: i32| -> i32 {
            let wanted = text.to_uppercase();
            names.iter().rposition(|name| *name == wanted).map_or_else(|| text.parse().unwrap(), |place| place as i32 + base)
        };
        let bounds = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
        let fields = std::array::from_fn(|field| {
            let (low, high) = bounds[field];
            let names: &[&str] = [&[][..], &[], &[], &months, &weekdays][field];
            let has = |value: i32| {
                parts[field].split(',').any(|item| {
                    let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step.parse::<i32>().unwrap())));
                    let (a, b) = match range.split_once('-') {
                        Some((a, b)) => (read(a, names, low), read(b, names, low)),
                        None if range == "*" => (low, high),
                        None => (read(range, names, low), if step.is_some() { high } else { read(range, names, low) }),
                    };
                    a <= value && value <= b && (value - a) % step.unwrap_or(1) == 0
                })
            };
            (0..=high).map(|value| value >= low && has(value)).collect()
        });
        Naive { fields, either: !parts[2].starts_with('*') && !parts[4].starts_with('*') }
    }

    fn matches(&self, local: DateTime) -> bool {
        let [minutes, hours, days, months, weekdays] = &self.fields;
        let weekday = local.weekday().to_sunday_zero_offset() as usize;
        let day = days[local.day() as usize];
        let weekday = weekdays[weekday] || (weekday == 0 && weekdays[7]);
        let fits = if self.either { day || weekday } else { day && weekday };
        fits && minutes[local.minute() as usize] && hours[local.hour() as usize] && months[local.month() as usize]
    }
}
