//! Tables of cases and properties of the retention plan.

mod losses;
mod naming;

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn at(text: &str) -> Timestamp {
    match text.len() {
        10 => format!("{text}T03:00:00Z").parse().unwrap(),
        _ => text.parse().unwrap(),
    }
}

/// A backup from a line such as `2026-01-25 proven pinned 1000`; its id is the first word.
fn backup(line: &str) -> Candidate {
    let mut words = line.split_whitespace();
    let id = words.next().unwrap();
    let mut backup = Candidate {
        id: id.into(),
        at: at(id.split('#').next().unwrap()),
        standing: Standing::Sealed,
        pinned: false,
        unread: false,
        line: None,
        rows: None,
        bytes: 1,
        loss: None,
    };
    for word in words {
        match word {
            "bad" => backup.standing = Standing::Bad,
            "sealed" => backup.standing = Standing::Sealed,
            "read" => backup.standing = Standing::Read,
            "proven" => backup.standing = Standing::Proven,
            "incomplete" => backup.standing = Standing::Incomplete,
            "suspicious" => backup.standing = Standing::Suspicious,
            "unread" => (backup.standing, backup.unread) = (Standing::NotUnderstood, true),
            "odd" => backup.standing = Standing::NotUnderstood,
            "pinned" => backup.pinned = true,
            "of1" => backup.line = Some(1),
            "of2" => backup.line = Some(2),
            "of3" => backup.line = Some(3),
            rows => backup.rows = Some(rows.parse().unwrap()),
        }
    }
    backup
}

fn policy(days: u32, [daily, weekly, monthly, yearly]: [u32; 4], keep_min: u32) -> Policy {
    Policy { days, daily, weekly, monthly, yearly, keep_min, time_zone: TimeZone::UTC }
}

fn planned(lines: &[&str], policy: &Policy, now: &str, facts: Facts) -> Plan {
    let backups: Vec<_> = lines.iter().map(|line| backup(line)).collect();
    plan(&backups, policy, at(now), &facts)
}

/// Each line is a backup, then `=>` and either `delete` or the words of the reasons it is kept for.
#[track_caller]
fn check(policy: &Policy, now: &str, facts: Facts, lines: &[&str]) -> Plan {
    let (backups, expected): (Vec<&str>, Vec<&str>) = lines.iter().map(|line| line.split_once("=>").expect("a case has an arrow")).unzip();
    let plan = planned(&backups, policy, now, facts);
    let mut found: BTreeMap<&str, String> = BTreeMap::new();
    for decision in &plan.decisions {
        let words: Vec<String> = decision.reasons.iter().map(|r| serde_json::to_value(r).unwrap()["rule"].as_str().unwrap().to_owned()).collect();
        found.insert(&decision.id, if decision.keep { words.join(" ") } else { format!("delete {}", words.join(" ")) });
    }
    for (backup, expected) in backups.iter().zip(expected) {
        let id = backup.split_whitespace().next().unwrap();
        assert_eq!(found[id], expected.trim(), "'{id}' in {plan:#?}");
    }
    plan
}

#[test]
fn what_is_left_of_another_database_is_not_counted_out_by_this_one() {
    check(
        &policy(0, [0; 4], 1),
        "2026-01-31",
        Facts::default(),
        &[
            "2026-01-30 sealed of2 10 => newest",
            "2026-01-29 proven of1 900000 => other-database",
            "2026-01-28 proven of1 => delete expired",
            "2026-01-27 proven of2 12 => newest-proven keep-min",
            "2026-01-26 sealed of3 => other-database",
            "2026-01-25 sealed of3 => delete expired",
            "2026-01-24 bad of3 => delete bad",
        ],
    );
}

#[test]
fn the_days_window_is_exact() {
    check(
        &policy(7, [0; 4], 1),
        "2026-01-31T03:00:00Z",
        Facts::default(),
        &[
            "2026-01-31T03:00:00Z proven => within-days newest newest-proven keep-min",
            "2026-01-24T03:00:00Z proven => within-days",
            "2026-01-24T02:59:59.999999999Z proven => delete expired",
            "2026-01-23 bad => delete bad",
            "2026-01-25 bad => within-days",
        ],
    );
}

#[test]
fn the_newest_proven_outlive_any_age() {
    check(
        &policy(0, [0; 4], 2),
        "2030-01-01",
        Facts::default(),
        &[
            "2026-01-09 sealed => newest",
            "2026-01-08 read => delete expired",
            "2026-01-07 bad => delete bad",
            "2026-01-06 proven => newest-proven keep-min",
            "2026-01-05 proven => keep-min",
            "2026-01-04 proven => delete expired",
            "2026-01-03 proven pinned => pinned",
            "2026-01-02 odd => not-understood",
        ],
    );
}

#[test]
fn too_few_proven_are_made_up_for_by_the_next_best() {
    check(
        &policy(0, [0; 4], 3),
        "2030-01-01",
        Facts::default(),
        &[
            "2026-01-09 sealed => newest",
            "2026-01-08 sealed => delete expired",
            "2026-01-07 read => keep-min",
            "2026-01-06 proven => newest-proven keep-min",
            "2026-01-05 bad => delete bad",
            "2026-01-04 read => keep-min",
            "2026-01-03 read => delete expired",
        ],
    );
    check(
        &policy(0, [0; 4], 2),
        "2030-01-01",
        Facts::default(),
        &["2026-01-09 sealed => newest keep-min", "2026-01-08 sealed => keep-min", "2026-01-07 sealed => delete expired"],
    );
}

#[test]
fn without_drills_old_proofs_do_not_count_new_backups_out() {
    check(
        &policy(0, [0; 4], 2),
        "2030-01-01",
        Facts { drill_off: true, ..Facts::default() },
        &[
            "2026-01-09 sealed => newest keep-min",
            "2026-01-08 read => keep-min",
            "2026-01-07 read => delete expired",
            "2025-01-06 proven => newest-proven keep-min",
            "2025-01-05 proven => keep-min",
            "2025-01-04 proven => delete expired",
        ],
    );
}

#[test]
fn a_minimum_of_nothing_is_refused_and_not_obeyed() {
    assert!(policy(7, [0; 4], 0).check().is_err());
    assert!(Policy::default().check().is_ok());
    check(
        &policy(0, [0; 4], 0),
        "2030-01-01",
        Facts::default(),
        &["2026-01-09 proven => newest newest-proven keep-min", "2026-01-08 proven => delete expired"],
    );
}

#[test]
fn tiers_take_the_best_then_the_newest_of_each_period_that_has_one() {
    check(
        &policy(0, [3, 0, 0, 0], 1),
        "2030-01-01",
        Facts::default(),
        &[
            "2026-01-09T20:00:00Z bad => delete bad",
            "2026-01-09T18:00:00Z sealed => newest",
            "2026-01-09T12:00:00Z proven => newest-proven keep-min daily",
            "2026-01-09T06:00:00Z proven => delete not-selected",
            "2026-01-08T12:00:00Z bad => delete bad",
            "2026-01-04T12:00:00Z read => daily",
            "2026-01-04T06:00:00Z read => delete not-selected",
            "2025-12-01T12:00:00Z sealed => daily",
            "2025-11-01T12:00:00Z proven => delete not-selected",
        ],
    );
    check(
        &policy(0, [0, 2, 2, 2], 1),
        "2030-01-01",
        Facts::default(),
        &[
            "2026-01-05 proven => newest newest-proven keep-min weekly monthly yearly",
            "2026-01-04 proven => weekly",
            "2025-12-29 proven => delete not-selected",
            "2025-12-28 proven => delete not-selected",
            "2025-12-31 proven => monthly yearly",
        ],
    );
}

#[test]
fn an_iso_week_may_belong_to_another_year() {
    let plan = planned(&["2026-01-01 proven"], &policy(0, [0, 1, 0, 1], 1), "2030-01-01", Facts::default());
    assert!(plan.decisions[0].reasons.contains(&Reason::Weekly { year: 2026, week: 1 }));
    let plan = planned(&["2027-01-01 proven"], &policy(0, [0, 1, 0, 1], 1), "2030-01-01", Facts::default());
    assert!(plan.decisions[0].reasons.contains(&Reason::Weekly { year: 2026, week: 53 }));
    assert!(plan.decisions[0].reasons.contains(&Reason::Yearly { year: 2027 }));
}

#[test]
fn a_day_begins_where_the_policy_says() {
    let lines = ["2026-01-09T23:30:00Z proven", "2026-01-09T22:30:00Z proven", "2026-01-09T10:00:00Z proven"];
    let mut policy = policy(0, [2, 0, 0, 0], 1);
    let kept = |policy: &Policy| planned(&lines, policy, "2030-01-01", Facts::default()).kept().map(|d| d.id.clone()).collect::<Vec<_>>();
    assert_eq!(kept(&policy), ["2026-01-09T23:30:00Z"]);
    policy.time_zone = TimeZone::get("Europe/Amsterdam").unwrap();
    assert_eq!(kept(&policy), ["2026-01-09T23:30:00Z", "2026-01-09T22:30:00Z"]);
}

#[test]
fn a_failed_run_stops_every_deletion_and_the_plan_says_what_would_go() {
    let facts = Facts { last_run_failed: true, ..Facts::default() };
    let plan = check(&policy(0, [0; 4], 1), "2030-01-01", facts, &["2026-01-09 proven => newest newest-proven keep-min", "2026-01-08 proven => suspended"]);
    assert_eq!(plan.suspended, Some(Suspension::LastRunFailed));
    assert_eq!(plan.decisions[1].reasons[0].to_string(), "would be deleted, but the last run failed");
}

#[test]
fn a_backup_from_the_future_stays_and_holds_no_place() {
    let plan = check(
        &policy(0, [1, 0, 0, 0], 1),
        "2026-01-10",
        Facts::default(),
        &[
            "2028-01-11 proven => in-future",
            "2026-01-10T04:00:01Z proven => in-future",
            // A clock that is corrected by less than an hour.
            "2026-01-10T04:00:00Z proven => within-days newest newest-proven keep-min daily",
            "2026-01-09 proven => delete not-selected",
        ],
    );
    assert_eq!(plan.suspended, None);
}

#[test]
fn a_present_that_is_doubted_stops_every_deletion() {
    for (run, behind) in [("2024-01-09", false), ("2028-01-09", true)] {
        let facts = Facts { doubt: Some(Doubt { run: at(run) }), ..Facts::default() };
        let lines = ["2026-01-09 proven => newest newest-proven keep-min", "2026-01-08 proven => suspended"];
        let why = check(&policy(0, [0; 4], 1), "2026-01-10", facts, &lines).suspended.unwrap();
        assert_eq!(matches!(why, Suspension::ClockBehind { .. }), behind, "{why}");
        let words = if behind { "which is before the last run, of 2028-01-09T03:00:00Z" } else { "longer after the last run, of 2024-01-09T03:00:00Z, than" };
        assert!(why.to_string().starts_with("the clock says 2026-01-10T03:00:00Z, ") && why.to_string().contains(words), "{why}");
    }
}

#[test]
fn where_nothing_is_good_nothing_goes() {
    let plan = check(&policy(0, [0; 4], 1), "2030-01-01", Facts::default(), &["2026-01-09 bad => suspended", "2026-01-08 odd => not-understood"]);
    assert_eq!(plan.suspended, Some(Suspension::NothingGood));
    assert_eq!(planned(&[], &Policy::default(), "2030-01-01", Facts::default()), Plan { decisions: vec![], suspended: None });
}

#[test]
fn lost_rows_are_suspicious() {
    #[track_caller]
    fn suspicious(lines: &[&str], facts: Facts, expected: Option<(u64, u64)>) {
        let plan = planned(lines, &policy(0, [0; 4], 1), "2030-01-01", facts);
        let found = match plan.suspended {
            Some(Suspension::RowsCollapsed { earlier_rows, newest_rows, .. }) => Some((earlier_rows, newest_rows)),
            None => None,
            other => panic!("unexpected {other:?}"),
        };
        assert_eq!(found, expected, "{lines:?}");
    }
    let drilled = Facts::default();
    let undrilled = Facts { drill_off: true, ..drilled };
    suspicious(&["2026-01-02 proven 499", "2026-01-01 proven 1000"], drilled, Some((1000, 499)));
    suspicious(&["2026-01-02 proven 500", "2026-01-01 proven 1000"], drilled, None);
    suspicious(&["2026-01-02 proven 500", "2026-01-01 proven 1001"], drilled, Some((1001, 500)));
    suspicious(&["2026-01-02 proven 1", "2026-01-01 proven 999"], drilled, None);
    suspicious(&["2026-01-02 sealed 0", "2026-01-01 proven 1"], drilled, Some((1, 0)));
    suspicious(&["2026-01-02 proven 0", "2026-01-01 proven 0"], drilled, None);
    suspicious(&["2026-01-02 proven 0", "2026-01-01 proven"], drilled, None);
    suspicious(&["2026-01-02 proven 0"], drilled, None);
    suspicious(&["2026-01-02 proven 18446744073709551615", "2026-01-01 proven 18446744073709551615"], drilled, None);
    // Bad ones are not consulted, unproven ones only where there is nothing better.
    suspicious(&["2026-01-03 bad 0", "2026-01-02 proven 900", "2026-01-01 proven 1000"], drilled, None);
    suspicious(&["2026-01-03 read 10", "2026-01-02 read 10", "2026-01-01 proven 1000"], drilled, Some((1000, 10)));
    suspicious(&["2026-01-03 read 10", "2026-01-02 read 10", "2026-01-01 proven 1000"], undrilled, None);
    suspicious(&["2026-01-03 read 10", "2026-01-02 read 1000"], drilled, Some((1000, 10)));
    suspicious(&["2026-01-03 sealed", "2026-01-02 read 10", "2026-01-01 proven 1000"], drilled, Some((1000, 10)));
}

#[test]
fn the_last_backup_before_a_loss_stays_while_the_rows_are_gone() {
    check(
        &policy(0, [0; 4], 1),
        "2030-01-01",
        Facts::default(),
        &[
            "2026-01-10 proven => newest newest-proven keep-min",
            "2026-01-09 proven 0 => after-collapse",
            "2026-01-08 proven 0 => delete expired",
            "2026-01-07 proven 12 => before-collapse",
            "2026-01-06 proven 12 => delete expired",
            "2026-01-05 proven 1000000 => before-collapse",
            "2026-01-04 proven 1000001 => delete expired",
        ],
    );
    let recovered = ["2026-01-10 proven 900000 => newest newest-proven keep-min", "2026-01-05 proven 1000000 => delete expired"];
    check(&policy(0, [0; 4], 1), "2030-01-01", Facts::default(), &recovered);
}

#[test]
fn one_name_for_two_backups_goes_only_with_both() {
    let mut backups = vec![backup("2026-01-09 proven"), backup("2026-01-08 proven"), backup("2026-01-07 proven")];
    backups[1].id = backups[0].id.clone();
    let plan = plan(&backups, &policy(0, [0; 4], 1), at("2030-01-01"), &Facts::default());
    assert_eq!(plan.decisions.iter().map(|d| d.keep).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(plan.decisions[1].reasons, [Reason::Namesake]);
}

#[test]
fn deletion_begins_with_the_oldest() {
    let plan = planned(&["2026-01-09 proven", "2026-01-07", "2026-01-08"], &policy(0, [0; 4], 1), "2030-01-01", Facts::default());
    assert_eq!(plan.deleted().map(|d| d.id.as_str()).collect::<Vec<_>>(), ["2026-01-07", "2026-01-08"]);
}

#[test]
fn extremes_of_time_are_planned_for() {
    let backups = [Timestamp::MIN, Timestamp::MAX].map(|at| Candidate {
        id: at.to_string(),
        at,
        standing: Standing::Proven,
        pinned: false,
        unread: false,
        line: None,
        rows: Some(u64::MAX),
        bytes: 0,
        loss: None,
    });
    for time_zone in [TimeZone::UTC, TimeZone::get("Pacific/Kiritimati").unwrap(), TimeZone::get("America/New_York").unwrap()] {
        for now in [Timestamp::MIN, Timestamp::MAX] {
            let policy = Policy { time_zone: time_zone.clone(), ..policy(u32::MAX, [u32::MAX; 4], u32::MAX) };
            assert_eq!(plan(&backups, &policy, now, &Facts::default()).deleted().count(), 0);
        }
    }
}

#[test]
fn reasons_have_words_for_machines_and_for_people() {
    let json = |reason: &Reason| serde_json::to_string(reason).unwrap();
    let daily = Reason::Daily { date: jiff::civil::date(2026, 1, 25) };
    assert_eq!(json(&daily), r#"{"rule":"daily","date":"2026-01-25"}"#);
    assert_eq!(daily.to_string(), "daily, 2026-01-25");
    let suspended = Reason::Suspended { why: Suspension::LastRunFailed };
    assert_eq!(json(&suspended), r#"{"rule":"suspended","why":{"cause":"last-run-failed"}}"#);
    assert_eq!(json(&Reason::KeepMin { count: 3, standing: Standing::Read }), r#"{"rule":"keep-min","count":3,"standing":"read"}"#);
    assert_eq!(Reason::Expired { days: 1 }.to_string(), "older than 1 day");
    assert_eq!(Reason::Weekly { year: 2026, week: 4 }.to_string(), "weekly, 2026-W04");
}

/// Backups on a coarse grid of days and hours, so that equal times, periods and window edges are common.
fn some_backups() -> impl Strategy<Value = Vec<Candidate>> {
    let standing = prop_oneof![
        1 => Just(Standing::NotUnderstood), 1 => Just(Standing::Incomplete), 2 => Just(Standing::Bad), 1 => Just(Standing::Suspicious), 3 => Just(Standing::Sealed), 3 => Just(Standing::Read), 4 => Just(Standing::Proven)
    ];
    let rows = prop_oneof![4 => Just(None), 4 => Just(Some(1000)), 2 => Just(Some(0)), 2 => prop_oneof![Just(3), Just(700), Just(2100), Just(1_000_000)].prop_map(Some)];
    let one = (0i64..900, 0i64..4, standing, prop::bool::weighted(0.05), rows, 0u8..40);
    prop::collection::vec(one, 0..40).prop_map(|ones| {
        let start = at("2024-01-01T00:00:00Z");
        let make = |(day, quarter, standing, pinned, rows, twin): (i64, i64, _, _, _, u8)| {
            let at = start + SignedDuration::from_hours(24 * day + 6 * quarter);
            let id = if twin == 0 { "twin".to_owned() } else { format!("{at}-{twin}") };
            Candidate { id, at, standing, pinned, unread: false, line: Some(usize::from(twin % 5 == 1)), rows, bytes: 0, loss: None }
        };
        let mut all: Vec<Candidate> = ones.into_iter().map(make).collect();
        // Some know of losses, and of backups from before them.
        let ids: Vec<String> = all.iter().map(|backup| backup.id.clone()).collect();
        for (place, backup) in all.iter_mut().enumerate().filter(|(place, _)| place % 3 == 0) {
            let before = ids.iter().skip(place / 2).step_by(5).take(2).cloned().collect();
            backup.loss = Some(Loss { against: ids[place / 2].clone(), emptied: u64::from(place % 6 == 0), before, ..Loss::default() });
        }
        all
    })
}

fn some_policy() -> impl Strategy<Value = Policy> {
    let zone = prop_oneof![Just("UTC"), Just("Europe/Amsterdam"), Just("Pacific/Kiritimati")];
    (0u32..40, 0u32..9, 0u32..9, 0u32..9, 0u32..4, 0u32..6, zone).prop_map(|(days, daily, weekly, monthly, yearly, keep_min, zone)| Policy {
        time_zone: TimeZone::get(zone).unwrap(),
        ..policy(days, [daily, weekly, monthly, yearly], keep_min)
    })
}

/// Mostly after the backups; sometimes among them, as with a clock that is behind.
fn some_now() -> impl Strategy<Value = Timestamp> {
    prop_oneof![3 => 900i64..1300, 1 => -10i64..900].prop_map(|day| at("2024-01-01T00:00:00Z") + SignedDuration::from_hours(24 * day))
}

fn some_facts() -> impl Strategy<Value = Facts> {
    let doubt = prop::option::weighted(0.1, Just(Doubt { run: at("2023-01-01") }));
    let accepted = prop::option::weighted(0.2, (0i64..900).prop_map(|day| at("2024-01-01T00:00:00Z") + SignedDuration::from_hours(24 * day)));
    let facts = (prop::bool::weighted(0.1), prop::bool::weighted(0.3), doubt, accepted);
    facts.prop_map(|(last_run_failed, drill_off, doubt, accepted)| Facts { last_run_failed, drill_off, doubt, accepted })
}

/// The backups that a plan keeps: those whose decision, found by name, says so.
fn survivors(backups: &[Candidate], plan: &Plan) -> Vec<Candidate> {
    let kept: HashSet<&str> = plan.kept().map(|d| d.id.as_str()).collect();
    let deleted: HashSet<&str> = plan.deleted().map(|d| d.id.as_str()).collect();
    assert!(kept.is_disjoint(&deleted), "a name is both kept and deleted");
    backups.iter().filter(|b| kept.contains(b.id.as_str())).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_floors_hold(backups in some_backups(), policy in some_policy(), now in some_now(), facts in some_facts()) {
        let left = survivors(&backups, &plan(&backups, &policy, now, &facts));
        let floor = policy.keep_min.max(1) as usize;
        let newest = |all: &[Candidate], wanted: &dyn Fn(&Candidate) -> bool| {
            let mut times: Vec<_> = all.iter().filter(|b| wanted(b)).map(|b| b.at).collect();
            times.sort_by(|a, b| b.cmp(a));
            times.truncate(floor);
            times
        };
        // Of each database the best stays; the floors are those of the one that is backed up now.
        let dated = |b: &&Candidate| b.standing.is_good() && b.at <= now;
        let own = backups.iter().filter(dated).max().and_then(|newest| newest.line);
        for line in [Some(0), Some(1)] {
            let best = |all: &[Candidate]| all.iter().filter(dated).filter(|b| b.line == line).map(|b| (b.standing == Standing::Proven, b.at)).max();
            prop_assert_eq!(best(&left), best(&backups));
        }
        let proven = |b: &Candidate| b.standing == Standing::Proven && b.at <= now && b.line == own;
        prop_assert_eq!(newest(&left, &proven), newest(&backups, &proven));
        let any_proven = |b: &Candidate| b.standing == Standing::Proven && (b.line == own || b.at > now);
        prop_assert_eq!(newest(&left, &any_proven), newest(&backups, &any_proven));
        let good = |b: &Candidate| b.standing.is_good() && (b.line == own || b.at > now);
        let (left_good, all_good) = (newest(&left, &good), newest(&backups, &good));
        prop_assert_eq!(left_good.first(), all_good.first());
        prop_assert_eq!(left_good.len(), all_good.len());
        if facts.drill_off {
            prop_assert_eq!(left_good, all_good);
        }
        let untouchable = |b: &Candidate| b.pinned || b.standing == Standing::NotUnderstood || b.at > now;
        prop_assert_eq!(left.iter().filter(|b| untouchable(b)).count(), backups.iter().filter(|b| untouchable(b)).count());
    }

    #[test]
    fn the_order_of_the_backups_does_not_matter(
        (backups, shuffled) in some_backups().prop_flat_map(|b| (Just(b.clone()), Just(b).prop_shuffle())),
        policy in some_policy(), now in some_now(), facts in some_facts()
    ) {
        prop_assert_eq!(plan(&backups, &policy, now, &facts), plan(&shuffled, &policy, now, &facts));
    }

    #[test]
    fn more_generous_never_deletes_more(
        backups in some_backups(), policy in some_policy(), now in some_now(), facts in some_facts(), which in 0usize..6, more in 1u32..20, pin in any::<prop::sample::Index>()
    ) {
        let mut generous = policy.clone();
        let fields = [&mut generous.days, &mut generous.daily, &mut generous.weekly, &mut generous.monthly, &mut generous.yearly, &mut generous.keep_min];
        *fields.into_iter().nth(which).unwrap() += more;
        let before = survivors(&backups, &plan(&backups, &policy, now, &facts));
        let after = survivors(&backups, &plan(&backups, &generous, now, &facts));
        prop_assert!(before.iter().all(|b| after.contains(b)));
        if !backups.is_empty() {
            let mut pinned = backups.clone();
            pinned[pin.index(backups.len())].pinned = true;
            let after: HashSet<_> = survivors(&pinned, &plan(&pinned, &policy, now, &facts)).into_iter().map(|b| (b.at, b.id)).collect();
            prop_assert!(before.into_iter().all(|b| after.contains(&(b.at, b.id))));
        }
    }

    #[test]
    fn planning_again_deletes_nothing(backups in some_backups(), policy in some_policy(), now in some_now(), facts in some_facts()) {
        let left = survivors(&backups, &plan(&backups, &policy, now, &facts));
        prop_assert_eq!(plan(&left, &policy, now, &facts).deleted().count(), 0);
    }

    #[test]
    fn the_number_kept_is_bounded(backups in some_backups(), policy in some_policy(), now in some_now(), facts in some_facts()) {
        let plan = plan(&backups, &policy, now, &facts);
        if plan.suspended.is_none() {
            let own = |d: &&Decision| d.reasons.iter().any(|r| matches!(r, Reason::WithinDays { .. } | Reason::Pinned | Reason::NotUnderstood | Reason::InFuture { .. } | Reason::Namesake));
            let chosen = plan.kept().filter(|d| !own(d)).count();
            // Six row counts occur above, and each step of a collapse more than doubles them; a backup knows of two from before losses.
            let bound = policy.daily + policy.weekly + policy.monthly + policy.yearly + 2 * policy.keep_min.max(1) + 1 + 6 + 3;
            prop_assert!(chosen <= bound as usize, "{chosen} kept, {bound} allowed");
        }
    }
}
