//! Two years of nightly runs, planned after each: what the floors and tiers promise must hold against the full history, not only from one plan to the next.

use super::*;
use jiff::{ToSpan, civil};

/// A small deterministic generator; the seeds below are part of the test.
struct Dice(u64);

impl Dice {
    fn percent(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % 100
    }
}

fn newest<T>(history: &[Candidate], count: usize, pick: impl Fn(&Candidate) -> Option<T>) -> Vec<T> {
    history.iter().rev().filter_map(pick).take(count).collect()
}

/// The newest `count` distinct periods that have a good backup.
fn periods<P: PartialEq>(history: &[Candidate], count: u32, of: impl Fn(civil::Date) -> P, zone: &TimeZone) -> Vec<P> {
    let mut found = Vec::new();
    for backup in history.iter().rev().filter(|b| b.standing.is_good()) {
        let period = of(zone.to_datetime(backup.at).date());
        if !found.contains(&period) {
            found.push(period);
        }
        if found.len() > count as usize {
            found.pop();
            break;
        }
    }
    found
}

fn simulate(policy: &Policy, seed: u64, drill_off: bool) {
    let zone = &policy.time_zone;
    let mut dice = Dice(seed);
    let (mut history, mut repository): (Vec<Candidate>, Vec<Candidate>) = (Vec::new(), Vec::new());
    let first = civil::date(2024, 1, 1).at(2, 30, 0, 0);
    let mut most = 0;
    for night in 0..731i64 {
        // 02:30 does not exist on one night a year, and twice on another.
        let now = zone.to_timestamp(first + night.days()).unwrap();
        let failed = dice.percent() < 10;
        if !failed {
            let standing = match dice.percent() {
                0..5 => Standing::Bad,
                5..15 => Standing::Sealed,
                15..30 => Standing::Read,
                _ if drill_off => Standing::Read,
                _ => Standing::Proven,
            };
            let backup = Candidate {
                id: now.to_string(),
                at: now,
                standing,
                pinned: false,
                unread: false,
                line: None,
                rows: Some(10_000 + night as u64),
                bytes: 1,
                loss: None,
            };
            history.push(backup.clone());
            repository.push(backup);
        }
        let plan = plan(&repository, policy, now, &Facts { last_run_failed: failed, drill_off, doubt: None, accepted: None });
        assert!(!failed || plan.deleted().next().is_none());
        let gone: Vec<&str> = plan.deleted().map(|d| d.id.as_str()).collect();
        repository.retain(|b| !gone.contains(&b.id.as_str()));
        if plan.suspended.is_none() {
            most = most.max(repository.len());
        }

        let floor = policy.keep_min.max(1) as usize;
        let proven = |b: &Candidate| (b.standing == Standing::Proven).then(|| b.id.clone());
        assert_eq!(newest(&repository, floor, proven), newest(&history, floor, proven), "night {night}");
        let good = |b: &Candidate| b.standing.is_good().then(|| b.id.clone());
        let certain = if drill_off { floor } else { 1 };
        assert_eq!(newest(&repository, certain, good), newest(&history, certain, good), "night {night}");
        assert_eq!(newest(&repository, floor, good).len(), newest(&history, floor, good).len(), "night {night}");
        assert_eq!(periods(&repository, policy.daily, |d| d, zone), periods(&history, policy.daily, |d| d, zone));
        let week = |d: civil::Date| (d.iso_week_date().year(), d.iso_week_date().week());
        assert_eq!(periods(&repository, policy.weekly, week, zone), periods(&history, policy.weekly, week, zone));
        let month = |d: civil::Date| (d.year(), d.month());
        assert_eq!(periods(&repository, policy.monthly, month, zone), periods(&history, policy.monthly, month, zone));
        assert_eq!(periods(&repository, policy.yearly, |d| d.year(), zone), periods(&history, policy.yearly, |d| d.year(), zone));
    }
    // The window holds both of its ends, and a night shortened by DST adds another.
    let bound = (policy.days + 2) + policy.daily + policy.weekly + policy.monthly + policy.yearly + 2 * policy.keep_min + 1;
    assert!(most <= bound as usize, "{most} kept under {policy:?}");
}

#[test]
fn two_years_of_nightly_runs() {
    for zone in ["UTC", "Europe/Amsterdam", "Australia/Lord_Howe", "America/St_Johns"] {
        for (days, tiers, keep_min) in [(7, [0, 0, 0, 0], 3), (0, [0, 0, 0, 0], 1), (1, [7, 4, 12, 2], 3), (30, [0, 8, 0, 1], 5), (0, [3, 3, 3, 3], 2)] {
            let [daily, weekly, monthly, yearly] = tiers;
            let policy = Policy { days, daily, weekly, monthly, yearly, keep_min, time_zone: TimeZone::get(zone).unwrap() };
            for seed in 1..4 {
                simulate(&policy, seed, false);
                simulate(&policy, seed, true);
            }
        }
    }
}

#[test]
fn a_month_of_bad_or_unproven_backups_pushes_out_nothing_proven() {
    for standing in [Standing::Bad, Standing::Sealed, Standing::Read] {
        let start: Timestamp = "2026-01-01T03:00:00Z".parse().unwrap();
        let mut repository: Vec<Candidate> = Vec::new();
        for night in 0..40 {
            let at = start + SignedDuration::from_hours(24 * night);
            let standing = if night < 5 { Standing::Proven } else { standing };
            repository.push(Candidate { id: at.to_string(), at, standing, pinned: false, unread: false, line: None, rows: None, bytes: 1, loss: None });
            let plan = plan(&repository, &Policy::default(), at, &Facts::default());
            let gone: Vec<String> = plan.deleted().map(|d| d.id.clone()).collect();
            repository.retain(|b| !gone.contains(&b.id));
        }
        let proven: Vec<_> = repository.iter().filter(|b| b.standing == Standing::Proven).map(|b| b.at).collect();
        assert_eq!(proven, [2, 3, 4].map(|night| start + SignedDuration::from_hours(24 * night)), "{standing:?}");
    }
}
