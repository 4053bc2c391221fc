//! Which dates can be believed. Clocks are set wrong and set right again, and machines start in 1970.
//! It owns the one rule about dates in the future, and whether the present may be a reason to delete; reading the clock is left to the callers. Pure.
//! Invariant: a date in the future is never the newest, never young and never a time at which something was done; and no clock deletes on its own word.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// How far ahead of the clock a date may lie and still count: clocks are corrected by seconds, not by hours.
pub const SLACK: SignedDuration = SignedDuration::from_hours(1);

/// How far two clocks may be apart before it is worth a word.
const WORTH_A_WORD: SignedDuration = SignedDuration::from_mins(1);

/// What is granted beyond twice the longest gap before the present is doubted: a time that was missed, and a day.
const GRACE: SignedDuration = SignedDuration::from_hours(24);

/// Whether `at` lies in the future. A clock was wrong when it was written, or is wrong now; either way it says nothing about today.
pub fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at.duration_since(now) > SLACK
}

/// The newest of these dates that does not lie in the future.
pub fn newest(dates: impl IntoIterator<Item = Timestamp>, now: Timestamp) -> Option<Timestamp> {
    dates.into_iter().filter(|at| !is_ahead(*at, now)).max()
}

/// How much later one clock is than the other, where that is more than a minute.
pub fn apart(clock: Timestamp, other: Timestamp) -> Option<SignedDuration> {
    let later = clock.duration_since(other);
    (later.abs() > WORTH_A_WORD).then_some(later)
}

/// Why the present is no reason to delete: it is further from the last run than the schedule explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Doubt {
    /// When the last run began by the clock of its time.
    pub run: Timestamp,
}

/// Whether the present is doubted, by the runs that published a backup before.
///
/// `runs`: when the last of them began, in the order in which they were made, whatever their dates. `others`: the dates of backups whose run left no record. A
/// run that agrees with the clock settles it: so of two runs after a clock was set, only the second may delete. `gap`: the schedule's longest. Where runs were
/// made more rarely than it says, their own rhythm counts.
pub fn doubt(runs: &[Timestamp], others: &[Timestamp], gap: SignedDuration, now: Timestamp) -> Option<Doubt> {
    let rhythm = if runs.is_empty() {
        let mut others = others.to_vec();
        others.sort_unstable();
        rhythm(&others)
    } else {
        rhythm(runs)
    };
    let longest = gap.max(rhythm);
    let explained = longest.saturating_add(longest).saturating_add(GRACE);
    let agrees = |at: &Timestamp| !is_ahead(*at, now) && now.duration_since(*at) <= explained;
    if runs.last().is_some_and(agrees) || others.iter().any(agrees) {
        return None;
    }
    runs.last().or(others.iter().max()).map(|run| Doubt { run: *run })
}

/// The usual time between two runs: the median, of two the shorter, so that one jump of the clock is none. Zero where there are too few runs.
fn rhythm(runs: &[Timestamp]) -> SignedDuration {
    let mut gaps: Vec<SignedDuration> = runs.windows(2).map(|pair| pair[1].duration_since(pair[0]).abs()).collect();
    gaps.sort_unstable();
    if gaps.len() < 2 { SignedDuration::ZERO } else { gaps[(gaps.len() - 1) / 2] }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(1_769_299_200 + day * 86_400).unwrap()
    }

    #[test]
    fn a_date_in_the_future_is_never_the_newest() {
        let now = day(0);
        assert!(!is_ahead(now + SLACK, now) && is_ahead(now + SLACK + SignedDuration::from_secs(1), now));
        assert!(is_ahead(Timestamp::MAX, Timestamp::MIN) && !is_ahead(Timestamp::MIN, Timestamp::MAX));
        assert_eq!(newest([day(-2), day(730), day(-1)], now), Some(day(-1)));
        assert_eq!(newest([day(730)], now), None);
    }

    #[test]
    fn clocks_are_apart_from_a_minute_on() {
        let later = |seconds| apart(day(0) + SignedDuration::from_secs(seconds), day(0)).map(|span| span.as_secs());
        assert_eq!([later(60), later(61), later(-60), later(-7200)], [None, Some(61), None, Some(-7200)]);
    }

    #[track_caller]
    fn check(runs: &[i64], others: &[i64], now: i64, doubted: Option<i64>) {
        let days = |days: &[i64]| days.iter().map(|at| day(*at)).collect::<Vec<_>>();
        assert_eq!(doubt(&days(runs), &days(others), DAY, day(now)).map(|doubt| doubt.run), doubted.map(day), "{runs:?} and {others:?} at {now}");
    }

    #[test]
    fn the_present_is_doubted_until_a_second_run_agrees() {
        check(&[], &[], 0, None);
        check(&[-2, -1], &[], 0, None);
        // A long weekend without the machine is explained, two years are not.
        check(&[-4, -3], &[], 0, None);
        check(&[-5, -4], &[], 0, Some(-4));
        check(&[-3, -2, -1], &[], 730, Some(-1));
        check(&[-3, -2, -1, 730], &[], 731, None);
        // Set back: the first run doubts, the second does not, and what was made meanwhile stays in the future.
        check(&[-2, -1, 730], &[], 0, Some(730));
        check(&[-2, -1, 730, 0], &[], 1, None);
        // The second time it goes wrong in the same way, it is doubted again.
        check(&[-2, -1, 730, 0, 1], &[], 731, Some(1));
    }

    #[test]
    fn runs_that_are_rarer_than_the_schedule_says_have_a_rhythm_of_their_own() {
        check(&[-21, -14, -7], &[], 0, None);
        check(&[-21, -14, -7], &[], 30, Some(-7));
        // One jump is no rhythm.
        check(&[-1, 730], &[], 2000, Some(730));
        check(&[-3, -2, -1, 730, 731], &[], 1460, Some(731));
    }

    #[test]
    fn without_a_history_the_backups_tell() {
        check(&[], &[-2, -1], 0, None);
        check(&[], &[-21, -7, -14], 0, None);
        check(&[], &[-2, -1], 730, Some(-1));
        check(&[], &[-1, 730], 0, None);
        check(&[], &[730], 0, Some(730));
        // A run that died after it had published agrees as well as one that did not.
        check(&[-3, -2], &[730], 731, None);
        check(&[-3, -2], &[-1], 730, Some(-2));
    }

    #[test]
    fn extremes_of_time_and_of_schedules_have_an_answer() {
        assert_eq!(doubt(&[Timestamp::MAX], &[], SignedDuration::MAX, Timestamp::MIN).map(|doubt| doubt.run), Some(Timestamp::MAX));
        assert_eq!(doubt(&[Timestamp::MIN], &[], SignedDuration::MAX, Timestamp::MAX), None);
        assert_eq!(doubt(&[Timestamp::MAX, Timestamp::MIN, Timestamp::MAX], &[], DAY, Timestamp::MAX), None);
    }
}
