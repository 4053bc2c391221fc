//! A world in which troubles come and go and receivers are away, and what is told of it.

use super::*;
use crate::exception::{Class, Exception};
use proptest::prelude::*;

const STEP: SignedDuration = SignedDuration::from_mins(10);

fn at(minutes: i64) -> Timestamp {
    "2026-01-25T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
}

fn wants(heartbeat: bool) -> Wants {
    Wants::new(EVENTS, heartbeat)
}

fn seen(troubles: Vec<Trouble>) -> Seen {
    let state = if troubles.is_empty() { State::Fresh } else { State::Stale };
    Seen {
        target: "shop".into(),
        state,
        why: String::new(),
        troubles,
        proven: None,
        exceptions: Exceptions::default(),
        newest: None,
        backups: 0,
        success: None,
        next_run: None,
        retry_at: None,
    }
}

fn failure(subject: &str, run: &str) -> Trouble {
    Trouble { what: What::Failure, subject: subject.into(), run: run.into(), since: at(0), text: "text".into(), earlier: None }
}

/// A receiver that takes everything, and what it was told.
#[derive(Default)]
struct Receiver {
    known: Known,
    heard: Vec<(i64, String)>,
}

impl Receiver {
    fn look(&mut self, minute: i64, seen: &Seen, wants: Wants) {
        for due in due(&mut self.known, seen, wants, at(minute)) {
            told(&mut self.known, &due, at(minute));
            self.heard.push((minute, say(&due)));
        }
        // Every look may be the first of a new process.
        self.known = serde_json::from_str(&serde_json::to_string(&self.known).unwrap()).unwrap();
    }
}

fn say(due: &Due) -> String {
    match due {
        Due::Trouble { trouble, again } => format!("{}{} {}", if *again { "still " } else { "" }, trouble.what.word(), trouble.subject),
        Due::Recovery { what, late, .. } => format!("{} is over{}", what.word(), if *late { ", late" } else { "" }),
        Due::Success(success) => format!("success {}", success.id),
        Due::Excepted { new, .. } => format!("except {}", new.lines(5).join(", ")),
    }
}

/// What a receiver hears of failures; each pair is the minute, and the subject and run of a failure or nothing.
#[track_caller]
fn check(steps: &[(i64, Option<(&str, &str)>)], heartbeat: bool, expected: &[(i64, &str)]) {
    let mut receiver = Receiver::default();
    for (minute, failed) in steps {
        receiver.look(*minute, &seen(failed.map(|(subject, run)| failure(subject, run)).into_iter().collect()), wants(heartbeat));
    }
    let heard: Vec<(i64, &str)> = receiver.heard.iter().map(|(minute, text)| (*minute, text.as_str())).collect();
    assert_eq!(heard, expected);
}

#[test]
fn a_failure_is_told_once_then_once_a_day_and_its_end_at_once() {
    let retries: Vec<(i64, Option<(&str, &str)>)> = (0..300).map(|step| (step * 10, Some(("unreachable", "1")))).chain([(3000, None), (3010, None)]).collect();
    check(&retries, false, &[(0, "failure unreachable"), (1440, "still failure unreachable"), (2880, "still failure unreachable"), (3000, "failure is over")]);
}

#[test]
fn another_failure_is_news_and_the_same_in_another_run_is_none() {
    check(
        &[(0, Some(("a", "1"))), (10, Some(("a", "2"))), (70, Some(("a", "3"))), (80, Some(("b", "4"))), (90, Some(("b", "5")))],
        false,
        &[(0, "failure a"), (80, "failure b")],
    );
    // A heartbeat hears of each failed run, and of each only once.
    check(&[(0, Some(("a", "1"))), (1, Some(("a", "1"))), (2, Some(("a", "2"))), (3, Some(("a", "2")))], true, &[(0, "failure a"), (2, "failure a")]);
}

#[test]
fn back_and_forth_is_no_storm_and_nothing_is_lost() {
    let steps: Vec<(i64, Option<(&str, String)>)> = (0..60).map(|step| (step * 5, (step % 2 == 0).then(|| ("a", step.to_string())))).collect();
    let steps: Vec<(i64, Option<(&str, &str)>)> =
        steps.iter().map(|(minute, failed)| (*minute, failed.as_ref().map(|(subject, run)| (*subject, run.as_str())))).collect();
    let mut receiver = Receiver::default();
    for (minute, failed) in &steps {
        receiver.look(*minute, &seen(failed.map(|(subject, run)| failure(subject, run)).into_iter().collect()), wants(false));
    }
    assert!(receiver.heard.len() <= 10, "five hours: {:?}", receiver.heard);
    // It came back too soon, and was gone before it could be told: told late, as over.
    check(
        &[(0, Some(("a", "1"))), (10, None), (20, Some(("a", "2"))), (30, None), (40, None), (71, None), (400, None)],
        false,
        &[(0, "failure a"), (10, "failure is over"), (71, "failure is over, late")],
    );
}

#[test]
fn what_a_receiver_missed_it_hears_of_when_it_is_back() {
    let mut known = Known::default();
    assert_eq!(due(&mut known, &seen(vec![failure("a", "1")]), wants(false), at(0)).len(), 1);
    // It was not taken; the trouble is over before the receiver is back.
    let dues = due(&mut known, &seen(vec![]), wants(false), at(30));
    assert_eq!(dues.iter().map(say).collect::<Vec<_>>(), ["failure is over, late"]);
    told(&mut known, &dues[0], at(30));
    assert_eq!(due(&mut known, &seen(vec![]), wants(false), at(40)), []);
}

#[test]
fn events_that_nobody_asked_for_are_not_told() {
    let mut known = Known::default();
    let quiet = Wants::new(["bad", "recovery"], false);
    assert_eq!(due(&mut known, &seen(vec![failure("a", "1")]), quiet, at(0)), []);
    assert_eq!(due(&mut known, &seen(vec![]), quiet, at(10)), []);
    let no_end = Wants::new(["failure"], false);
    let mut receiver = Receiver::default();
    for minute in 0..6 {
        receiver.look(minute * 10, &seen(if minute % 2 == 0 { vec![failure("a", &minute.to_string())] } else { vec![] }), no_end);
    }
    assert_eq!(receiver.heard, [(0, "failure a".to_owned())]);
}

#[test]
fn success_is_told_where_it_is_wanted_and_what_was_there_before_is_no_news() {
    let of = |id: &str| Seen { success: Some(Success { id: id.into(), started: at(0), text: String::new() }), ..seen(vec![]) };
    let mut receiver = Receiver { known: first_sight(&of("1")), heard: Vec::new() };
    for (minute, id) in [(0, "1"), (1, "2"), (2, "2"), (3, "3")] {
        receiver.look(minute, &of(id), wants(false));
    }
    assert_eq!(receiver.heard, [(1, "success 2".to_owned()), (3, "success 3".to_owned())]);
    let mut quiet = Receiver::default();
    quiet.look(0, &of("1"), Wants::new(["failure"], false));
    assert!(quiet.heard.is_empty());
}

/// A target whose newest proven backup excepts these replication slots.
fn excepting(slots: &str) -> Seen {
    let exceptions: Vec<Exception> = slots.split_whitespace().map(|slot| Exception::new(Class::ReplicationSlot, slot)).collect();
    Seen { exceptions: Exceptions::of(&exceptions), proven: Some(Point { id: "1".into(), at: at(0) }), ..seen(vec![]) }
}

#[test]
fn what_a_proof_excepts_is_told_once_when_it_is_new() {
    let mut receiver = Receiver::default();
    for (minute, slots) in [(0, ""), (10, "a"), (20, "a"), (5000, "a"), (5010, "a b"), (5020, "b"), (5030, "b a")] {
        receiver.look(minute, &excepting(slots), wants(false));
    }
    let expected = [(10, "except replication slot: a"), (5010, "except replication slot: b"), (5030, "except replication slot: a")];
    assert_eq!(receiver.heard, expected.map(|(minute, text)| (minute, text.to_owned())));
    // A night without a proof, or with a bad backup, forgets nothing.
    receiver.look(6000, &seen(vec![failure("a", "1")]), wants(false));
    receiver.look(7000, &excepting("b a"), wants(false));
    assert_eq!(receiver.heard.iter().filter(|(_, text)| text.starts_with("except")).count(), 3);
}

#[test]
fn exceptions_wait_for_a_receiver_that_is_away_and_are_not_for_heartbeats() {
    let mut known = Known::default();
    assert_eq!(due(&mut known, &excepting("a"), wants(false), at(0)).len(), 1);
    // It was not taken. The next night has one more.
    let dues = due(&mut known, &excepting("a b"), wants(false), at(1440));
    assert_eq!(dues.iter().map(say).collect::<Vec<_>>(), ["except replication slot: a, replication slot: b"]);
    told(&mut known, &dues[0], at(1440));
    assert_eq!(due(&mut known, &excepting("a b"), wants(false), at(1450)), []);
    assert_eq!(due(&mut Known::default(), &excepting("a"), wants(true), at(0)), []);
    assert_eq!(due(&mut Known::default(), &excepting("a"), Wants::new(["failure", "bad"], false), at(0)), []);
}

#[test]
fn a_clock_that_was_wrong_silences_nobody() {
    let mut receiver = Receiver::default();
    receiver.look(1_000_000, &seen(vec![failure("a", "1")]), wants(false));
    for step in 0..20 {
        receiver.look(step * 10, &seen(vec![failure("b", "2")]), wants(false));
    }
    assert_eq!(receiver.heard, [(1_000_000, "failure a".to_owned()), (60, "failure b".to_owned())]);
}

/// What there is to see at each step, and whether the receiver is there.
fn world() -> impl Strategy<Value = Vec<(Option<u8>, bool, bool)>> {
    prop::collection::vec((prop_oneof![3 => Just(None), 2 => (0u8..3).prop_map(Some)], any::<bool>(), prop::bool::weighted(0.7)), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_nothing_is_lost_and_nothing_storms(world in world()) {
        let mut known = Known::default();
        let (mut heard, mut occurrences, mut run) = (Vec::<(i64, What, bool)>::new(), Vec::<(i64, What)>::new(), 0);
        let mut before: [Option<u8>; 2] = [None, None];
        // After it all comes a quiet time with the receiver there, in which everything must come out.
        let last = world.last().map(|(failed, overdue, _)| (*failed, *overdue));
        let quiet = (0..30).filter_map(|_| last.map(|(failed, overdue)| (failed, overdue, true)));
        for (step, (failed, overdue, there)) in world.iter().copied().chain(quiet).enumerate() {
            let minute = step as i64 * STEP.as_mins();
            let now = [failed, overdue.then_some(0)];
            let mut troubles = Vec::new();
            for (index, what) in [What::Failure, What::Overdue].into_iter().enumerate() {
                if now[index].is_some() && before[index].is_none() {
                    run += 1;
                    occurrences.push((minute, what));
                }
                troubles.extend(now[index].map(|subject| Trouble { what, ..failure(&subject.to_string(), &run.to_string()) }));
            }
            before = now;
            for due in due(&mut known, &seen(troubles), wants(false), at(minute)) {
                if !there {
                    // Nothing more is tried in such a round.
                    break;
                }
                told(&mut known, &due, at(minute));
                match &due {
                    Due::Trouble { trouble, .. } => heard.push((minute, trouble.what, true)),
                    Due::Recovery { what, .. } => heard.push((minute, *what, false)),
                    Due::Success(_) | Due::Excepted { .. } => {}
                }
            }
            known = serde_json::from_str(&serde_json::to_string(&known).unwrap()).unwrap();
        }
        for (begun, what) in occurrences {
            let later = heard.iter().any(|(minute, of, _)| *of == what && *minute >= begun);
            // Or it was never told that the one before was over, and is right in what it believes.
            let believed = heard.iter().rev().find(|(minute, of, _)| *of == what && *minute < begun).is_some_and(|(.., alarm)| *alarm);
            prop_assert!(later || believed, "{:?} at {} was never told: {:?}", what, begun, heard);
        }
        for (index, what) in [What::Failure, What::Overdue].into_iter().enumerate() {
            let of: Vec<(i64, bool)> = heard.iter().filter(|(_, of, _)| *of == what).map(|(minute, _, alarm)| (*minute, *alarm)).collect();
            let alarms: Vec<i64> = of.iter().filter(|(_, alarm)| *alarm).map(|(minute, _)| *minute).collect();
            prop_assert!(alarms.windows(2).all(|pair| pair[1] - pair[0] >= HOLD.as_mins()), "{:?}", alarms);
            prop_assert!(of.windows(3).all(|three| three[2].0 - three[0].0 >= HOLD.as_mins()), "more than two in an hour: {:?}", of);
            // The last word is the truth.
            if let Some((_, alarm)) = of.last() {
                prop_assert_eq!(*alarm, before[index].is_some(), "{:?}", of);
            }
        }
    }
}
