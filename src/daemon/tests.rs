//! Years of schedules, failures, stops and clocks, in a second.

use super::*;
use crate::clock::SLACK;
use jiff::tz::TimeZone;
use std::collections::VecDeque;

/// A world whose clock runs only while something waits or works.
struct Fake {
    clock: Timestamp,
    end: Timestamp,
    /// How long a run takes.
    takes: SignedDuration,
    /// How the next attempts end; after them all succeed.
    outcomes: VecDeque<Ended>,
    /// The attempts: when, of which target, what, why.
    attempts: Vec<(Timestamp, usize, Work, Trigger)>,
    done: Vec<(Timestamp, usize, Work)>,
    retries: Vec<Option<Timestamp>>,
    /// Sets the clock when it has reached the first time.
    jumps: VecDeque<(Timestamp, Timestamp)>,
    waits: usize,
    /// The newest backup, its attempts at a proof that came to no verdict, and when the last one began. Nothing: it is proven.
    unproven: Option<Unproven>,
    /// Whether what a run publishes stays unproven.
    unprovable: bool,
    /// How often it was looked.
    looks: usize,
}

impl Fake {
    fn new(from: &str, days: i64) -> Fake {
        let clock = at(from);
        Fake {
            clock,
            end: clock + SignedDuration::from_hours(24 * days),
            takes: SignedDuration::from_mins(3),
            outcomes: VecDeque::new(),
            attempts: Vec::new(),
            done: Vec::new(),
            retries: Vec::new(),
            jumps: VecDeque::new(),
            waits: 0,
            unproven: None,
            unprovable: false,
            looks: 0,
        }
    }

    fn failing(mut self, kinds: &[Kind]) -> Fake {
        self.outcomes.extend(kinds.iter().map(|kind| Ended::Failed(*kind)));
        self
    }

    fn done_before(mut self, time: &str) -> Fake {
        self.done.push((at(time), 0, Work::Backup));
        self
    }

    fn serve(mut self, jobs: &[Job]) -> Fake {
        serve(jobs, &mut self);
        self
    }

    /// The attempts at backups, as text.
    fn told(&self) -> Vec<String> {
        self.attempts.iter().map(|(time, _, _, trigger)| format!("{time} {}", trigger.word())).collect()
    }

    fn pass(&mut self, until: Timestamp) {
        self.clock = self.clock.max(until);
        while let Some((reached, set)) = self.jumps.front().copied().filter(|(reached, _)| self.clock >= *reached) {
            self.clock = set + self.clock.duration_since(reached);
            // The test goes on for as long as it would have, also where that is in another century.
            if reached.duration_since(set) > SLACK {
                self.end = set + self.end.duration_since(reached);
            }
            self.jumps.pop_front();
        }
    }
}

impl World for Fake {
    fn now(&mut self) -> Timestamp {
        self.clock
    }
    fn stopped(&mut self) -> bool {
        self.clock >= self.end
    }
    fn wait(&mut self, at: Timestamp) {
        assert!(at > self.clock, "a wait for {at} at {} would spin", self.clock);
        self.waits += 1;
        self.pass(at);
    }
    fn done(&mut self, target: usize, work: Work) -> Vec<Timestamp> {
        self.done.iter().filter(|(_, t, w)| (*t, *w) == (target, work)).map(|(time, ..)| *time).collect()
    }
    fn unproven(&mut self, _: usize) -> Option<Unproven> {
        self.looks += 1;
        self.unproven.clone()
    }
    fn carry_out(&mut self, target: usize, work: Work, trigger: Trigger) -> Ended {
        let began = self.clock;
        self.attempts.push((began, target, work, trigger));
        self.pass(began + self.takes);
        let ended = self.outcomes.pop_front().unwrap_or(Ended::Done);
        if ended == Ended::Done {
            self.done.push((began, target, work));
        }
        let id = |at: Timestamp| at.to_string();
        match (work, ended) {
            (Work::Backup, Ended::Done) if self.unprovable => self.unproven = Some(Unproven { id: id(began), attempts: 1, last: Some(began) }),
            (_, Ended::Done) => self.unproven = None,
            (Work::Drill, Ended::Failed(Kind::Interrupted)) => {}
            (Work::Drill, _) => {
                if let Some(Unproven { attempts, last, .. }) = &mut self.unproven {
                    (*attempts, *last) = (*attempts + 1, Some(began));
                }
            }
            (Work::Backup, _) => {}
        }
        ended
    }
    fn ended(&mut self, _: usize, _: Work, ended: Ended, at: Option<Timestamp>) {
        if !matches!(ended, Ended::Done | Ended::Failed(Kind::Interrupted)) {
            self.retries.push(at);
        }
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn job(expression: &str, zone: &str) -> Job {
    Job { schedule: Schedule::parse(expression, TimeZone::get(zone).unwrap()).unwrap(), drill: Drill::Off }
}

#[test]
fn years_of_days_are_each_served_once_across_daylight_saving() {
    for (expression, zone) in
        [("0 3 * * *", "Europe/Amsterdam"), ("30 2 * * *", "Europe/Amsterdam"), ("0 0 * * *", "America/Santiago"), ("45 1 * * *", "Australia/Lord_Howe")]
    {
        let job = job(expression, zone);
        let world = Fake::new("2024-12-31T23:59:00Z", 3 * 365).done_before("2024-12-31T23:58:00Z").serve(std::slice::from_ref(&job));
        let expected: Vec<Timestamp> = std::iter::successors(job.schedule.next_after(at("2024-12-31T23:59:00Z")), |run| job.schedule.next_after(*run))
            .take_while(|run| *run < world.end)
            .collect();
        let found: Vec<Timestamp> = world.attempts.iter().map(|(time, ..)| *time).collect();
        assert_eq!(found, expected, "{expression} in {zone}");
        assert!(world.attempts.iter().all(|(.., trigger)| *trigger == Trigger::Schedule));
        let days: std::collections::BTreeSet<_> = found.iter().map(|time| job.schedule.time_zone().to_datetime(*time).date()).collect();
        assert_eq!((days.len(), found.len()), (3 * 365, 3 * 365), "{expression} in {zone}: one run a day");
    }
}

#[test]
fn what_was_missed_is_caught_up_and_what_was_done_is_not_done_again() {
    let daily = [job("0 3 * * *", "UTC")];
    let told = |world: Fake| world.serve(&daily).told();
    // Nothing there yet: at once.
    assert_eq!(told(Fake::new("2026-01-25T14:00:00Z", 1)), ["2026-01-25T14:00:00Z catch-up", "2026-01-26T03:00:00Z schedule"]);
    // Down at 03:00.
    assert_eq!(
        told(Fake::new("2026-01-25T14:00:00Z", 1).done_before("2026-01-24T03:00:00Z")),
        ["2026-01-25T14:00:00Z catch-up", "2026-01-26T03:00:00Z schedule"]
    );
    // Restarted after the run, also after one that was made by hand.
    assert_eq!(told(Fake::new("2026-01-25T14:00:00Z", 1).done_before("2026-01-25T03:00:00Z")), ["2026-01-26T03:00:00Z schedule"]);
    assert_eq!(told(Fake::new("2026-01-25T14:00:00Z", 1).done_before("2026-01-25T09:12:00Z")), ["2026-01-26T03:00:00Z schedule"]);
    // Started in the very second.
    assert_eq!(told(Fake::new("2026-01-25T03:00:00Z", 1).done_before("2026-01-24T03:00:00Z")), ["2026-01-25T03:00:00Z schedule"]);
    // Several missed ones are one run.
    assert_eq!(told(Fake::new("2026-01-25T14:00:00Z", 1).done_before("2025-11-01T03:00:00Z")).len(), 2);
}

#[test]
fn a_run_that_outlasts_its_interval_is_followed_by_one_not_by_many() {
    let mut world = Fake::new("2026-01-25T00:00:00Z", 1).done_before("2026-01-24T23:59:59Z");
    world.takes = SignedDuration::from_mins(50);
    let world = world.serve(&[job("*/15 * * * *", "UTC")]);
    let times: Vec<Timestamp> = world.attempts.iter().map(|(time, ..)| *time).collect();
    assert!(times.windows(2).all(|pair| pair[1].duration_since(pair[0]) >= SignedDuration::from_mins(50)), "{times:?}");
    assert!(times.len() >= 24, "{}", times.len());
}

#[test]
fn failures_are_tried_again_later_and_later_until_one_succeeds() {
    let daily = [job("0 3 * * *", "UTC")];
    let mut world = Fake::new("2026-01-25T03:00:00Z", 1).failing(&[Kind::Unreachable; 9]);
    world.takes = SignedDuration::ZERO;
    let world = world.serve(&daily);
    let seconds: Vec<i64> = world.attempts.windows(2).map(|pair| pair[1].0.duration_since(pair[0].0).as_secs()).collect();
    assert_eq!(seconds, [10, 20, 40, 80, 160, 320, 600, 600, 600], "no second success on the same day");
    assert!(world.attempts[1..].iter().all(|(.., trigger)| *trigger == Trigger::Retry));

    let mut world = Fake::new("2026-01-25T03:00:00Z", 1).failing(&[Kind::Storage; 6]);
    world.takes = SignedDuration::ZERO;
    let minutes: Vec<i64> = world.serve(&daily).attempts.windows(2).map(|pair| pair[1].0.duration_since(pair[0].0).as_mins()).collect();
    assert_eq!(minutes, [5, 10, 20, 40, 60, 60]);

    // What somebody has to mend waits for its next time.
    let world = Fake::new("2026-01-25T03:00:00Z", 2).failing(&[Kind::Usage]).serve(&daily);
    assert_eq!(world.told(), ["2026-01-25T03:00:00Z schedule", "2026-01-26T03:00:00Z schedule"]);
    assert_eq!(world.retries, [None]);
}

#[test]
fn a_database_that_is_away_for_days_is_tried_all_the_time_and_no_day_is_doubled() {
    let mut world = Fake::new("2026-01-25T03:00:00Z", 10).failing(&[Kind::Unreachable; 500]);
    world.takes = SignedDuration::from_secs(10);
    let world = world.serve(&[job("0 3 * * *", "UTC")]);
    assert!(world.done.len() >= 5, "{}", world.done.len());
    let gaps = world.attempts.windows(2).take(499).map(|pair| pair[1].0.duration_since(pair[0].0));
    assert!(gaps.max().unwrap() <= SignedDuration::from_secs(610));
    let days: std::collections::BTreeSet<_> = world.done.iter().map(|(time, ..)| TimeZone::UTC.to_datetime(*time).date()).collect();
    assert_eq!(days.len(), world.done.len());
}

#[test]
fn a_clock_that_is_set_loses_no_day_and_doubles_none_by_a_correction() {
    let daily = [job("0 3 * * *", "UTC")];
    // A correction by seconds, right after the run began.
    let mut world = Fake::new("2026-01-25T02:00:00Z", 2).done_before("2026-01-24T03:00:00Z");
    world.jumps.push_back((at("2026-01-25T03:04:00Z"), at("2026-01-25T02:59:30Z")));
    let world = world.serve(&daily);
    assert_eq!(world.told(), ["2026-01-25T03:00:00Z schedule", "2026-01-26T03:00:00Z schedule"]);
    // A clock that was years ahead, and is set right.
    let mut world = Fake::new("2099-06-01T02:00:00Z", 2);
    world.jumps.push_back((at("2099-06-01T04:00:00Z"), at("2026-01-25T04:00:00Z")));
    let told = world.serve(&daily).told();
    assert_eq!(told, ["2099-06-01T02:00:00Z catch-up", "2099-06-01T03:00:00Z schedule", "2026-01-25T04:00:00Z catch-up", "2026-01-26T03:00:00Z schedule"]);
    // A machine that slept over its hour.
    let mut world = Fake::new("2026-01-25T02:00:00Z", 2).done_before("2026-01-24T03:00:00Z");
    world.jumps.push_back((at("2026-01-25T02:30:00Z"), at("2026-01-25T11:00:00Z")));
    assert_eq!(world.serve(&daily).told(), ["2026-01-25T11:00:00Z catch-up", "2026-01-26T03:00:00Z schedule"]);
}

#[test]
fn several_targets_take_turns_and_one_that_fails_keeps_no_other_waiting() {
    let jobs = [job("0 3 * * *", "UTC"), job("0 3 * * *", "UTC"), job("1 3 * * *", "UTC")];
    let mut world = Fake::new("2026-01-25T03:00:00Z", 1).failing(&[Kind::Unreachable, Kind::Unreachable]);
    world.done.extend([(at("2026-01-24T03:00:00Z"), 0, Work::Backup), (at("2026-01-24T03:01:00Z"), 2, Work::Backup)]);
    let world = world.serve(&jobs);
    let order: Vec<usize> = world.attempts.iter().map(|(_, target, ..)| *target).collect();
    assert_eq!(order, [0, 1, 2, 0, 1], "the third has its turn before the first two are tried again");
}

#[test]
fn drills_have_their_own_times_and_come_after_backups() {
    let jobs = [Job { drill: Drill::Cron(Schedule::parse("0 3 * * 0", TimeZone::UTC).unwrap()), ..job("0 3 * * *", "UTC") }];
    let world = Fake::new("2026-01-24T12:00:00Z", 9).serve(&jobs);
    let drills: Vec<String> = world.attempts.iter().filter(|(_, _, work, _)| *work == Work::Drill).map(|(time, ..)| time.to_string()).collect();
    // At the start none had ever been made.
    assert_eq!(drills, ["2026-01-24T12:03:00Z", "2026-01-25T03:03:00Z", "2026-02-01T03:03:00Z"]);
}

#[test]
fn a_drill_without_a_verdict_is_made_again_later_and_later_until_there_is_one() {
    let jobs = [Job { drill: Drill::Cron(Schedule::parse("0 3 * * 0", TimeZone::UTC).unwrap()), ..job("0 2 * * *", "UTC") }];
    let mut world = Fake::new("2026-01-25T03:00:00Z", 6).done_before("2026-01-25T02:00:00Z").failing(&[Kind::Failed; 3]);
    world.takes = SignedDuration::ZERO;
    let drills: Vec<String> = world.serve(&jobs).attempts.iter().filter(|(_, _, work, _)| *work == Work::Drill).map(|(time, ..)| time.to_string()).collect();
    assert_eq!(drills, ["2026-01-25T03:00:00Z", "2026-01-25T03:05:00Z", "2026-01-25T03:15:00Z", "2026-01-25T03:35:00Z"]);
}

fn every_backup(expression: &str) -> [Job; 1] {
    [Job { drill: Drill::EveryBackup, ..job(expression, "UTC") }]
}

/// When drills were made.
fn drilled(world: &Fake) -> Vec<String> {
    world.attempts.iter().filter(|(_, _, work, _)| *work == Work::Drill).map(|(time, ..)| time.to_string()).collect()
}

#[test]
fn a_newest_backup_that_nothing_has_proven_makes_a_drill_due_and_no_dump() {
    // Its run was killed while it proved it, and the container started again.
    let mut world = Fake::new("2026-01-25T03:30:00Z", 1).done_before("2026-01-25T03:00:00Z");
    world.unproven = Some(Unproven { id: "a".into(), attempts: 1, last: Some(at("2026-01-25T03:20:00Z")) });
    let world = world.serve(&every_backup("0 3 * * *"));
    assert_eq!((drilled(&world), world.told().len()), (vec!["2026-01-25T03:30:00Z".to_owned()], 2));
    assert_eq!(world.attempts.iter().filter(|(_, _, work, _)| *work == Work::Backup).count(), 1, "the next day's");
    // One that was proven makes none.
    let world = Fake::new("2026-01-25T03:30:00Z", 3).done_before("2026-01-25T03:00:00Z").serve(&every_backup("0 3 * * *"));
    assert!(drilled(&world).is_empty() && world.looks < 3 * 24 * 6 + 10, "{}", world.looks);
}

#[test]
fn a_proof_that_cannot_be_had_is_tried_with_growing_patience() {
    let mut world = Fake::new("2026-01-25T02:59:00Z", 1).done_before("2026-01-24T03:00:00Z").failing(&[Kind::Failed; 20]);
    (world.unprovable, world.takes) = (true, SignedDuration::from_mins(1));
    world.outcomes.push_front(Ended::Done);
    let world = world.serve(&every_backup("0 3 * * *"));
    let minutes: Vec<i64> = world.attempts.windows(2).map(|pair| pair[1].0.duration_since(pair[0].0).as_mins()).collect();
    // The run's own attempt began with it; from then on each drill waits twice as long after the one before.
    assert_eq!(minutes, [5, 11, 21, 41, 81, 161, 321, 641]);
    assert!(world.retries.iter().all(Option::is_some));
}

#[test]
fn restarts_while_a_proof_is_killed_again_and_again_keep_their_patience() {
    let (mut clock, mut attempts, mut began) = (at("2026-01-25T03:01:00Z"), 1, at("2026-01-25T03:00:00Z"));
    let mut drills = Vec::new();
    // Killed whenever it has begun, and started again half a minute later.
    while drills.len() < 6 {
        let mut world = Fake::new(&clock.to_string(), 1).done_before("2026-01-25T03:00:00Z");
        (world.unproven, world.takes) = (Some(Unproven { id: "a".into(), attempts, last: Some(began) }), SignedDuration::from_hours(24));
        let world = world.serve(&every_backup("0 3 * * *"));
        let (time, _, work, _) = world.attempts[0];
        assert_eq!(work, Work::Drill);
        drills.push(time.duration_since(at("2026-01-25T03:00:00Z")).as_mins());
        (clock, began, attempts) = (time + SignedDuration::from_secs(30), time, attempts + 1);
    }
    assert_eq!(drills, [5, 15, 35, 75, 155, 315]);
}

#[test]
fn an_attempt_that_cannot_be_noted_waits_as_long() {
    /// A volume that takes no notes.
    struct Forgetful(Fake);
    impl World for Forgetful {
        fn now(&mut self) -> Timestamp {
            self.0.now()
        }
        fn stopped(&mut self) -> bool {
            self.0.stopped()
        }
        fn wait(&mut self, at: Timestamp) {
            self.0.wait(at);
        }
        fn done(&mut self, target: usize, work: Work) -> Vec<Timestamp> {
            self.0.done(target, work)
        }
        fn unproven(&mut self, _: usize) -> Option<Unproven> {
            Some(Unproven { id: "a".into(), attempts: 0, last: None })
        }
        fn carry_out(&mut self, target: usize, work: Work, trigger: Trigger) -> Ended {
            self.0.carry_out(target, work, trigger)
        }
        fn ended(&mut self, target: usize, work: Work, ended: Ended, at: Option<Timestamp>) {
            self.0.ended(target, work, ended, at);
        }
    }
    let mut world = Forgetful(Fake::new("2026-01-25T12:00:00Z", 1).done_before("2026-01-25T03:00:00Z"));
    world.0.takes = SignedDuration::ZERO;
    serve(&every_backup("0 3 * * *"), &mut world);
    let times: Vec<Timestamp> = world.0.attempts.iter().filter(|(_, _, work, _)| *work == Work::Drill).map(|(time, ..)| *time).collect();
    let minutes: Vec<i64> = times.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_mins()).collect();
    assert_eq!(minutes, [5, 10, 20, 40, 80, 160, 320, 640]);
}

#[test]
fn what_was_done_in_the_future_was_not_done_and_what_was_done_before_it_was() {
    // One run had the clock two years ahead; later ones did not.
    let world = |last: &str| Fake::new("2026-01-25T14:00:00Z", 1).done_before("2028-01-25T03:00:00Z").done_before(last).serve(&[job("0 3 * * *", "UTC")]);
    assert_eq!(world("2026-01-25T03:00:00Z").told(), ["2026-01-26T03:00:00Z schedule"], "no start catches up again");
    assert_eq!(world("2026-01-24T03:00:00Z").told(), ["2026-01-25T14:00:00Z catch-up", "2026-01-26T03:00:00Z schedule"]);
}

#[test]
fn a_stop_begins_nothing_new_and_an_interrupted_run_is_not_repeated() {
    let mut world = Fake::new("2026-01-25T02:59:00Z", 1).done_before("2026-01-24T03:00:00Z").failing(&[Kind::Interrupted]);
    world.end = at("2026-01-25T03:01:00Z");
    let world = world.serve(&[job("0 3 * * *", "UTC")]);
    assert_eq!((world.attempts.len(), world.retries.len()), (1, 0));
    let mut world = Fake::new("2026-01-25T03:00:00Z", 1);
    world.end = world.clock;
    assert!(world.serve(&[job("* * * * *", "UTC")]).attempts.is_empty());
}

#[test]
fn waiting_is_cheap() {
    let world = Fake::new("2026-01-25T03:30:00Z", 30).done_before("2026-01-25T03:00:00Z").serve(&[job("0 3 * * *", "UTC")]);
    assert!(world.waits <= 30 * 24 * 60 + 100, "{}", world.waits);
}
