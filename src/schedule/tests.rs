//! Tables of cases, a brute-force oracle around transitions, and properties of the schedule.

use super::*;
use jiff::SignedDuration;
use proptest::prelude::*;

#[path = "../../tests/it/schedule_oracle.rs"]
mod oracle;

fn schedule(expression: &str, zone: &str) -> Schedule {
    Schedule::parse(expression, TimeZone::get(zone).unwrap()).unwrap_or_else(|e| panic!("{e}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[track_caller]
fn upcoming(expression: &str, zone: &str, from: &str, expected: &[&str]) {
    let schedule = schedule(expression, zone);
    let found: Vec<String> = schedule.upcoming(at(from), expected.len()).iter().map(Timestamp::to_string).collect();
    assert_eq!(found, expected, "'{expression}' in {zone}");
}

#[test]
fn plain_expressions() {
    upcoming("0 3 * * *", "UTC", "2026-01-25T03:00:00Z", &["2026-01-26T03:00:00Z", "2026-01-27T03:00:00Z"]);
    upcoming("0 3 * * *", "UTC", "2026-01-25T02:59:59.999999999Z", &["2026-01-25T03:00:00Z"]);
    upcoming("  0\t3 *  * * ", "Europe/Amsterdam", "2026-01-25T12:00:00Z", &["2026-01-26T02:00:00Z"]);
    upcoming("*/20 22-23 * * *", "UTC", "2026-01-25T23:30:00Z", &["2026-01-25T23:40:00Z", "2026-01-26T22:00:00Z", "2026-01-26T22:20:00Z"]);
    upcoming("50/5 * * * *", "UTC", "2026-01-25T23:30:00Z", &["2026-01-25T23:50:00Z", "2026-01-25T23:55:00Z", "2026-01-26T00:50:00Z"]);
    upcoming("0 0 1 jan,Jul *", "UTC", "2026-01-25T00:00:00Z", &["2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z"]);
    upcoming("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", &["2104-02-29T00:00:00Z", "2108-02-29T00:00:00Z"]);
    upcoming("0 0 29 2 */7", "UTC", "2026-01-01T00:00:00Z", &["2032-02-29T00:00:00Z", "2060-02-29T00:00:00Z"]);
    upcoming("0 0 31 * *", "UTC", "2026-01-31T00:00:00Z", &["2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"]);
    upcoming("@weekly", "UTC", "2026-01-25T00:00:00Z", &["2026-02-01T00:00:00Z"]);
    upcoming("@MONTHLY", "UTC", "2026-01-25T00:00:00Z", &["2026-02-01T00:00:00Z"]);
    upcoming("@annually", "UTC", "2026-01-25T00:00:00Z", &["2027-01-01T00:00:00Z"]);
    upcoming("@hourly", "UTC", "2026-01-25T00:00:00Z", &["2026-01-25T01:00:00Z"]);
}

#[test]
fn days_combine_as_in_vixie_cron() {
    // Friday the 13th, or rather: any 13th, and any Friday.
    upcoming("0 0 13 * FRI", "UTC", "2026-02-01T00:00:00Z", &["2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z"]);
    upcoming("0 0 13 4 FRI", "UTC", "2026-04-04T00:00:00Z", &["2026-04-10T00:00:00Z", "2026-04-13T00:00:00Z"]);
    // A field that begins with a star has to match as well, even where the star has a step.
    upcoming("0 0 */2 * FRI", "UTC", "2026-02-01T00:00:00Z", &["2026-02-13T00:00:00Z", "2026-02-27T00:00:00Z", "2026-03-13T00:00:00Z"]);
    upcoming("0 0 1-31/2 * FRI", "UTC", "2026-02-01T00:00:00Z", &["2026-02-03T00:00:00Z", "2026-02-05T00:00:00Z", "2026-02-06T00:00:00Z"]);
    upcoming("0 0 13 * */5", "UTC", "2026-02-01T00:00:00Z", &["2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z", "2026-09-13T00:00:00Z"]);
    for sunday in ["0", "7", "sun", "0-0", "7-7", "0,7"] {
        upcoming(&format!("0 0 * * {sunday}"), "UTC", "2026-01-25T00:00:00Z", &["2026-02-01T00:00:00Z", "2026-02-08T00:00:00Z"]);
    }
    for weekend in ["sat-sun", "6-7", "6,0", "SAT,SUN", "sun,sat"] {
        upcoming(&format!("0 0 * * {weekend}"), "UTC", "2026-01-25T00:00:00Z", &["2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z", "2026-02-07T00:00:00Z"]);
    }
}

#[test]
fn the_longest_gap_between_two_runs() {
    let from = at("2026-01-25T00:00:00Z");
    for (expression, zone, minutes) in [
        ("0 3 * * *", "UTC", 24 * 60),
        ("0 3 * * *", "Europe/Amsterdam", 25 * 60),
        ("0 6,20 * * *", "UTC", 14 * 60),
        ("*/15 * * * *", "UTC", 15),
        ("10,40 * * * *", "UTC", 30),
        // The hour that comes twice has one run.
        ("@hourly", "Europe/Amsterdam", 120),
        ("@hourly", "Australia/Lord_Howe", 90),
        ("@weekly", "UTC", 7 * 1440),
        ("0 3 * * 1-5", "UTC", 3 * 1440),
        ("0 3 * * mon,tue", "UTC", 6 * 1440),
        ("0 0 13 * FRI", "UTC", 7 * 1440),
        ("@monthly", "UTC", 31 * 1440),
        ("@yearly", "UTC", 366 * 1440),
        ("0 0 29 2 *", "UTC", 1461 * 1440),
    ] {
        assert_eq!(schedule(expression, zone).longest_gap(from).as_mins(), minutes, "{expression} in {zone}");
        let runs = schedule(expression, zone).upcoming(from, if minutes < 1440 { 10_000 } else { 500 });
        let seen = runs.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_mins()).max().unwrap();
        assert!(seen <= minutes || expression == "0 0 29 2 *", "{expression} in {zone}: {seen}");
    }
    assert_eq!(schedule("0 0 29 2 *", "UTC").longest_gap(at("2095-01-01T00:00:00Z")).as_hours(), 2921 * 24);
    assert_eq!(schedule("@hourly", "UTC").longest_gap(Timestamp::MAX).as_hours(), 1);
}

#[test]
fn a_time_that_does_not_exist_runs_at_the_jump() {
    let zone = "Europe/Amsterdam";
    upcoming("30 2 * * *", zone, "2026-03-28T12:00:00Z", &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    upcoming("*/15 2 * * *", zone, "2026-03-28T12:00:00Z", &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z", "2026-03-30T00:15:00Z"]);
    upcoming("0 2,3 * * *", zone, "2026-03-28T12:00:00Z", &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]);
    // Half an hour is left out: 02:00–02:29.
    upcoming("10 2 * * *", "Australia/Lord_Howe", "2025-10-04T00:00:00Z", &["2025-10-04T15:30:00Z", "2025-10-05T15:10:00Z"]);
    // A whole day is left out.
    upcoming("0 3 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", &["2011-12-29T13:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T13:00:00Z"]);
    upcoming("0 12 30 12 *", "Pacific/Apia", "2011-01-01T00:00:00Z", &["2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z"]);
}

#[test]
fn a_time_that_comes_twice_runs_the_first_time() {
    let zone = "Europe/Amsterdam";
    upcoming("30 2 * * *", zone, "2026-10-24T12:00:00Z", &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    upcoming("30 2 * * *", zone, "2026-10-25T00:30:00Z", &["2026-10-26T01:30:00Z"]);
    // No local time between 02:00 and 03:00 is new the second time: the pace pauses.
    upcoming("*/30 * * * *", zone, "2026-10-24T23:59:00Z", &["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"]);
    assert_eq!(schedule("*/30 * * * *", zone).last_at_or_before(at("2026-10-25T01:59:59Z")), Some(at("2026-10-25T00:30:00Z")));
    upcoming("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", &["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"]);
    // Alaska had one day twice when it was sold in 1867.
    let runs = schedule("0 12 * * *", "America/Juneau").upcoming(at("1867-10-17T00:00:00Z"), 3);
    assert!(runs.windows(2).any(|pair| pair[1].duration_since(pair[0]) > SignedDuration::from_hours(40)), "{runs:?}");
}

#[test]
fn odd_offsets_of_the_past_work() {
    // Liberia was 44 minutes and 30 seconds behind until 1972.
    upcoming("0 3 * * *", "Africa/Monrovia", "1971-12-30T00:00:00Z", &["1971-12-30T03:44:30Z", "1971-12-31T03:44:30Z", "1972-01-01T03:44:30Z"]);
    upcoming("0 0,1 7 1 *", "Africa/Monrovia", "1972-01-06T12:00:00Z", &["1972-01-07T00:44:30Z", "1972-01-07T01:00:00Z"]);
}

#[test]
fn the_ends_of_time_are_reached_quietly() {
    for zone in ["UTC", "Europe/Amsterdam", "Pacific/Kiritimati", "America/Adak"] {
        let schedule = schedule("0 0 29 2 *", zone);
        for edge in [Timestamp::MIN, Timestamp::MAX] {
            assert!(schedule.next_after(edge).is_none_or(|run| run > edge));
            assert!(schedule.last_at_or_before(edge).is_none_or(|run| run <= edge));
        }
        assert!(schedule.next_after(at("9990-01-01T00:00:00Z")).is_some());
        assert_eq!(schedule.upcoming(at("9990-01-01T00:00:00Z"), 1000).len(), 2);
    }
}

#[test]
fn mistakes_are_named() {
    #[track_caller]
    fn check(expression: &str, expected: &str) {
        let error = Schedule::parse(expression, TimeZone::UTC).expect_err("is refused");
        assert_eq!(error.kind(), crate::Kind::Usage);
        let whole = format!("{error} | {}", error.hint().unwrap_or_default());
        assert!(whole.contains(expected), "'{expression}' gave: {whole}");
    }
    check("", "the schedule is empty");
    check("   ", "the schedule is empty");
    check("0 3 * *", "it has 4 fields, not 5");
    check("3", "it has 1 field, not 5");
    check("0 0 3 * * *", "it has 6 fields, not 5 | the first field is the minute; there is none for seconds");
    check("CRON_TZ=UTC 0 3 * * *", "'CRON_TZ=UTC' is not a part of it | the time zone has a setting of its own");
    check("60 3 * * *", "minute '60': '60' is not in 0–59");
    check("0 24 * * *", "hour '24': '24' is not in 0–23");
    check("0 3 0 * *", "day of month '0': '0' is not in 1–31");
    check("0 3 32 * *", "day of month '32': '32' is not in 1–31");
    check("0 3 * 0 *", "month '0': '0' is not in 1–12");
    check("0 3 * 13 *", "month '13': '13' is not in 1–12");
    check("0 3 * * 8", "day of week '8': '8' is not in 0–7");
    check("99999999999999999999 3 * * *", "is not in 0–59");
    check("0 3 * * monday", "day of week 'monday': 'monday' is neither a number nor a name of three letters such as 'MON'");
    check("0 3 * foo *", "month 'foo': 'foo' is neither a number nor a name of three letters such as 'FEB'");
    check("0 mon * * *", "hour 'mon': 'mon' is not a number");
    check("-5 3 * * *", "minute '-5': a value is missing");
    check("+5 3 * * *", "'+5' is not a number");
    check("5- 3 * * *", "a value is missing");
    check("1,,2 3 * * *", "minute '1,,2': a value is missing");
    check("1, 3 * * *", "a value is missing");
    check("1-2-3 3 * * *", "'2-3' is not a number");
    check("30-10 3 * * *", "the range '30-10' runs backwards");
    check("0 3 * * FRI-MON", "the range 'FRI-MON' runs backwards");
    check("*/0 3 * * *", "the step '0' is not in 1–59");
    check("*/60 3 * * *", "the step '60' is not in 1–59");
    check("*/x 3 * * *", "the step 'x' is not in");
    check("*/ 3 * * *", "the step '' is not in");
    check("*/5/5 3 * * *", "the step '5/5' is not in");
    check("** 3 * * *", "'**' is not a number");
    check("*-5 3 * * *", "'*' is not a number");
    check("0 3 ? * *", "day of month '?': '?' is not cron: write '*'");
    check("0 3 L * *", "'L' is not a number");
    check("0 3 15W * *", "'15W' is not a number");
    check("0 3 * * 5#3", "'5#3' is neither");
    check("0 ３ * * *", "is not a number");
    check("@reboot", "'@reboot' names no time");
    check("@every 1h", "an interval names no local time");
    check("@fortnightly", "unknown nickname | there are @hourly");
    check("@daily 3", "unknown nickname");
    check("0 0 31 2 *", "can never fire");
    check("0 0 30 FEB *", "can never fire");
    check("0 0 31 2,4,6,9,11 *", "can never fire");
    check("0 0 30-31 2 */2", "can never fire");
    // With a day of the week beside it, there are days enough.
    schedule("0 0 31 2 MON", "UTC");
}

#[test]
fn common_forms_have_words() {
    #[track_caller]
    fn check(expression: &str, expected: &str) {
        assert_eq!(schedule(expression, "Europe/Amsterdam").describe(), format!("{expected} Europe/Amsterdam"));
    }
    check("0 3 * * *", "every day at 03:00");
    check("@daily", "every day at 00:00");
    check("0 3,15 * * *", "every day at 03:00 and 15:00");
    check("0 */6 * * *", "every day at 00:00, 06:00, 12:00 and 18:00");
    check("0 */2 * * *", "every 2 hours at :00");
    check("@hourly", "every hour at :00");
    check("* * * * *", "every minute");
    check("*/15 * * * *", "every 15 minutes");
    check("*/7 * * * *", "*/7 * * * *");
    check("*/31 * * * *", "*/31 * * * *");
    check("0,30 1-9 * * *", "0,30 1-9 * * *");
    check("30 2 * * 1-5", "Monday to Friday at 02:30");
    check("0 * * * 1-5", "Monday to Friday, every hour at :00");
    check("30 2 * * mon,thu", "every Monday and Thursday at 02:30");
    check("@monthly", "on day 1 of every month at 00:00");
    check("0 0 1,15 * *", "on days 1 and 15 of every month at 00:00");
    check("@yearly", "on day 1 of January at 00:00");
    check("0 0 13 * FRI", "0 0 13 * FRI");
    check("0 3 * 6 *", "0 3 * 6 *");
    check("0 3 1-31 * MON", "every day at 03:00");
    check("0 3 */2 * MON", "0 3 */2 * MON");
    let fixed = Schedule::parse("0 3 * * *", TimeZone::fixed(jiff::tz::offset(-3))).unwrap();
    assert_eq!(fixed.describe(), "every day at 03:00 UTC-03");
    assert_eq!(schedule(" 0  3 * * *", "UTC").to_string(), "0 3 * * *");
}

impl oracle::Subject for Schedule {
    fn new(expression: &str, zone: &TimeZone) -> Self {
        Schedule::parse(expression, zone.clone()).unwrap()
    }
    fn next_after(&self, t: Timestamp) -> Option<Timestamp> {
        Schedule::next_after(self, t)
    }
    fn last_at_or_before(&self, t: Timestamp) -> Option<Timestamp> {
        Schedule::last_at_or_before(self, t)
    }
}

#[test]
fn the_oracle_agrees_around_transitions() {
    // By zone: the usual kind, half an hour, at midnight, a lost day, two changes around Ramadan, and changes of the standard offset.
    for (zone, middles) in [
        ("UTC", &["2024-02-28T12:00:00Z"][..]),
        ("Europe/Amsterdam", &["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"]),
        ("America/New_York", &["2006-04-02T07:00:00Z", "2026-11-01T06:00:00Z"]),
        ("Australia/Lord_Howe", &["2025-10-04T15:30:00Z", "2026-04-04T15:00:00Z"]),
        ("America/St_Johns", &["2007-03-11T03:31:00Z", "2007-11-04T02:31:00Z"]),
        ("America/Santiago", &["2025-09-07T04:00:00Z", "2026-04-05T03:00:00Z"]),
        ("Africa/Casablanca", &["2026-02-15T02:00:00Z", "2026-03-22T02:00:00Z"]),
        ("Pacific/Apia", &["2011-12-30T10:00:00Z"]),
        ("Pacific/Kwajalein", &["1993-08-21T12:00:00Z"]),
        ("America/Caracas", &["2007-12-09T07:00:00Z", "2016-05-01T07:00:00Z"]),
        ("Antarctica/Troll", &["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"]),
    ] {
        let zone = TimeZone::get(zone).unwrap();
        for middle in middles {
            oracle::judge::<Schedule>(&zone, at(middle), &oracle::EXPRESSIONS);
        }
    }
}

/// Zones whose offsets have changed in unusual ways.
fn some_zone() -> impl Strategy<Value = TimeZone> {
    const NAMES: [&str; 9] = [
        "UTC",
        "Europe/Amsterdam",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Africa/Casablanca",
        "Asia/Manila",
        "America/Juneau",
        "Africa/Monrovia",
        "Europe/Dublin",
    ];
    prop::sample::select(&NAMES[..]).prop_map(|name| TimeZone::get(name).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn runs_are_in_order_and_found_from_both_sides(
        zone in some_zone(), expression in prop::sample::select(&oracle::EXPRESSIONS[..]), second in -6_000_000_000i64..6_000_000_000, nanos in 0i64..1_000_000_000
    ) {
        let schedule = Schedule::parse(expression, zone).unwrap();
        let from = Timestamp::from_second(second).unwrap() + SignedDuration::from_nanos(nanos);
        let last = schedule.last_at_or_before(from).unwrap();
        prop_assert!(last <= from);
        let mut before = last;
        for run in schedule.upcoming(from, 12) {
            prop_assert!(run > from && run > before);
            prop_assert_eq!(schedule.last_at_or_before(run), Some(run));
            prop_assert_eq!(schedule.last_at_or_before(run - SignedDuration::from_nanos(1)), Some(before));
            prop_assert_eq!(schedule.next_after(before), Some(run));
            before = run;
        }
    }

    #[test]
    fn nothing_typed_panics(text in "[0-9*/,@ a-zA-Z?#-]{0,24}") {
        if let Ok(schedule) = Schedule::parse(&text, TimeZone::UTC) {
            prop_assert!(schedule.next_after(Timestamp::UNIX_EPOCH).is_some());
            prop_assert!(!schedule.describe().is_empty());
        }
    }
}
