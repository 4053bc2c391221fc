//! Days, charts and departures under a clock that stands still.

use super::*;
use crate::catalog::Run;
use crate::retention::{Candidate, Policy};
use crate::schedule::Schedule;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn daily() -> Schedule {
    Schedule::parse("0 3 * * *", TimeZone::get("Europe/Amsterdam").unwrap()).unwrap()
}

fn run(started: Timestamp, outcome: Outcome, published: Option<Standing>, rows: u64) -> Run {
    Run { started, ms: 20_000, outcome, published, bytes: published.map(|_| rows * 10), rows: published.map(|_| rows), deleted_bytes: 0, note: None }
}

fn shelf(runs: Vec<Run>) -> Shelf {
    let mut shelf = Shelf::default();
    shelf.runs.first = runs.first().map(|run| run.started);
    shelf.runs.recent = runs.into();
    shelf
}

fn candidate(at: Timestamp, standing: Standing) -> Candidate {
    Candidate { at, id: crate::repository::names::backup_id(at), standing, pinned: false, unread: false, line: None, rows: Some(5000), bytes: 100, loss: None }
}

#[test]
fn each_day_is_what_it_was_also_across_daylight_saving() {
    use DayKind::{Failed, Missed, Proven, Unproven};
    use Outcome::{Done, Failed as Broken, Skipped};
    // Summer time ends on 25 October: the run at 03:00 is at 01:00 UTC before, and at 02:00 UTC from then on.
    let runs = vec![
        run(at("2026-10-22T01:00:00Z"), Done, Some(Standing::Proven), 100),
        run(at("2026-10-23T01:00:00Z"), Done, Some(Standing::Sealed), 100),
        run(at("2026-10-24T01:00:00Z"), Broken, None, 0),
        run(at("2026-10-24T23:30:00Z"), Done, Some(Standing::Proven), 100),
        run(at("2026-10-26T02:00:00Z"), Broken, None, 0),
        run(at("2026-10-26T02:10:00Z"), Done, Some(Standing::Proven), 100),
        run(at("2026-10-27T02:00:00Z"), Skipped, None, 0),
        run(at("2026-10-28T02:00:00Z"), Done, Some(Standing::Bad), 100),
    ];
    let days = strip::days(&shelf(runs), &daily(), at("2026-10-30T01:30:00Z"));
    let kinds: Vec<(String, DayKind)> = days.iter().map(|day| (day.date.to_string(), day.kind)).collect();
    assert_eq!((kinds.len(), days[0].date.to_string().as_str()), (DAYS, "2026-10-01"));
    let expected = [
        ("2026-10-21", DayKind::None),
        ("2026-10-22", Proven),
        ("2026-10-23", Unproven),
        ("2026-10-24", Failed),
        ("2026-10-25", Proven),
        ("2026-10-26", Proven),
        ("2026-10-27", Missed),
        ("2026-10-28", Failed),
        ("2026-10-29", Missed),
        ("2026-10-30", DayKind::None),
    ];
    for (date, kind) in expected {
        assert!(kinds.contains(&(date.to_owned(), kind)), "{date}: {kinds:?}");
    }
    let of = |date: &str| days.iter().find(|day| day.date.to_string() == date).unwrap();
    assert_eq!((of("2026-10-26").failed, of("2026-10-28").bad, of("2026-10-30").due), (1, true, true));
    // Ten minutes after its time, a run that did not begin is missed.
    let later = strip::days(&shelf(vec![run(at("2026-10-22T01:00:00Z"), Done, Some(Standing::Proven), 1)]), &daily(), at("2026-10-30T02:11:00Z"));
    assert_eq!((later.last().unwrap().kind, later.last().unwrap().due), (Missed, false));
}

#[test]
fn a_backup_that_is_there_knows_better_than_the_history() {
    let made = at("2026-10-22T01:00:00Z");
    let mut shelf = shelf(vec![run(made, Outcome::Warned, Some(Standing::Sealed), 100)]);
    let short = |standing| Short {
        source: None,
        candidate: candidate(made, standing),
        understood: true,
        tables: None,
        plain_bytes: None,
        database_bytes: None,
        proven: standing == Standing::Proven,
        proven_at: None,
        evidence: None,
        remark: None,
        fault: None,
        can_be_forced: false,
        empty: false,
        empty_allowed: false,
        suspicious: None,
        exceptions: crate::exception::Exceptions::default(),
    };
    for (standing, kind) in [(Standing::Proven, DayKind::Proven), (Standing::Bad, DayKind::Failed), (Standing::Read, DayKind::Unproven)] {
        shelf.backups = vec![short(standing)];
        let days = strip::days(&shelf, &daily(), at("2026-10-22T12:00:00Z"));
        assert_eq!((days.last().unwrap().kind, days.last().unwrap().backups), (kind, 1));
    }
}

#[test]
fn a_schedule_that_rests_on_some_days_misses_nothing_there() {
    let weekly = Schedule::parse("0 3 * * 0", TimeZone::UTC).unwrap();
    let days = strip::days(&shelf(vec![run(at("2026-10-04T03:00:00Z"), Outcome::Done, Some(Standing::Proven), 1)]), &weekly, at("2026-10-20T12:00:00Z"));
    let missed: Vec<String> = days.iter().filter(|day| day.kind == DayKind::Missed).map(|day| day.date.to_string()).collect();
    assert_eq!(missed, ["2026-10-11", "2026-10-18"]);
}

#[test]
fn what_is_out_of_the_ordinary_is_marked_and_never_thinned_out() {
    let start = at("2026-01-01T03:00:00Z");
    let runs: Vec<Run> = (0..300)
        .map(|day| {
            let mut run =
                run(start + SignedDuration::from_hours(24 * day), Outcome::Done, Some(Standing::Proven), if day == 101 { 40 } else { 100 + day as u64 / 10 });
            run.ms = if day == 202 { 61_000 } else { 20_000 };
            run
        })
        .collect();
    let samples = series::samples(&shelf(runs).runs, start + SignedDuration::from_hours(24 * 300));
    assert!(samples.len() < 200, "{}", samples.len());
    let odd: Vec<_> = samples.iter().filter(|sample| sample.rows.1 || sample.bytes.1 || sample.ms.1).map(|sample| (sample.rows, sample.ms.1)).collect();
    assert_eq!(odd, [((40, true), false), ((120, false), true)]);
    assert_eq!(samples.last().unwrap().at, start + SignedDuration::from_hours(24 * 299));
    // The first few have nothing to be compared with; a run of seconds may take three times as long.
    let few: Vec<Run> = [5, 500, 5, 7000].into_iter().map(|rows| run(start, Outcome::Done, Some(Standing::Proven), rows)).collect();
    assert!(series::samples(&shelf(few).runs, start).iter().all(|sample| !sample.rows.1 && !sample.ms.1));
}

#[test]
fn when_each_backup_goes() {
    let (now, policy) = (at("2026-10-20T12:00:00Z"), Policy { days: 7, ..Policy::default() });
    let nightly = Schedule::parse("0 3 * * *", TimeZone::UTC).unwrap();
    let night = |ago: i64| at("2026-10-20T03:00:00Z") - SignedDuration::from_hours(24 * ago);
    let mut backups: Vec<Candidate> = (0..7).map(|ago| candidate(night(ago), Standing::Proven)).collect();
    backups[5].pinned = true;
    let facts = Facts::default();
    let leaves =
        |policy: &Policy, facts: &Facts| ahead(&backups, policy, &nightly, facts, now).leaves.into_iter().map(|(_, leaves)| leaves).collect::<Vec<_>>();
    let days = leaves(&policy, &facts);
    // Seven days after it was made it is not older than seven days; the next run finds it so.
    for (ago, found) in days.iter().enumerate().filter(|(ago, _)| *ago != 5) {
        assert_eq!(*found, Leaves::After(night(ago as i64) + SignedDuration::from_hours(24 * 8)), "{ago}: {days:?}");
    }
    assert_eq!(days[5], Leaves::Never);
    let years = leaves(&Policy { yearly: 3, ..policy.clone() }, &facts);
    assert!(matches!(years[0], Leaves::After(_)) && matches!(years[6], Leaves::After(_)), "{years:?}");
    // A failed run holds up deletion only until the next one succeeds.
    assert_eq!(leaves(&policy, &Facts { last_run_failed: true, ..facts }), days);
    assert!(leaves(&Policy { days: 30_000, ..policy.clone() }, &facts).iter().all(|leaves| matches!(leaves, Leaves::NotBefore(_) | Leaves::Never)));
    assert_eq!(ahead(&[], &Policy::default(), &nightly, &facts, now), Ahead::default());
    // Seven days hold eight backups, and the run that makes a ninth needs its room first.
    assert_eq!(ahead(&backups[..1], &policy, &nightly, &facts, now).most_bytes, 900);
}

#[test]
fn growth_is_what_came_less_what_went() {
    let now = at("2026-10-31T00:00:00Z");
    let runs: Vec<Run> = (0..30)
        .map(|ago| Run { deleted_bytes: 400, ..run(now - SignedDuration::from_hours(24 * ago), Outcome::Done, Some(Standing::Proven), 100) })
        .rev()
        .collect();
    let mut full = shelf(runs);
    full.runs.first = Some(now - SignedDuration::from_hours(24 * 100));
    assert_eq!(growth(&full.runs, now), 600);
    assert_eq!(growth(&Runs::default(), now), 0);
    let room = board(Vec::new(), Some((1000, 5000)), Voice::default(), now).room.unwrap();
    assert_eq!((room.days_left, room.free_bytes), (None, 1000));
}

#[test]
fn the_first_filling_of_the_room_is_no_growth_where_it_fits() {
    // 10,000 of the 30,000 bytes that the policy will keep, a thousand more each day: they fit, or they do not.
    let filling = (Some(30_000), 10_000, 1000);
    assert_eq!(days_left(&[filling], 20_000), None);
    assert_eq!(days_left(&[filling], 15_000), Some(15));
    // Beside a target that has long been full and grows.
    assert_eq!(days_left(&[filling, (None, 50_000, 100)], 23_000), Some(30));
    assert_eq!(days_left(&[filling, (None, 50_000, -1000)], 19_000), None);
    assert_eq!(days_left(&[(None, 50_000, 100)], 1000), Some(10));
    let (now, mut runs) = (at("2026-10-31T00:00:00Z"), Runs::default());
    assert!(is_filling(&runs, now));
    for (first, expected) in [("2026-10-20T00:00:00Z", true), ("2026-10-02T00:00:00Z", true), ("2026-09-30T00:00:00Z", false)] {
        runs.first_deletion = Some(at(first));
        assert_eq!(is_filling(&runs, now), expected, "{first}");
    }
}
