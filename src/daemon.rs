//! The schedule loop: what is due when, what was missed, and when to try again.
//! It owns those decisions; it leaves the clock, waiting, the runs and what is told of them to a [`World`], so that tests can let years pass in a second.
//! Invariant: one thing at a time; each scheduled time is served once, or tried again until it is; a stop ends the loop before anything new begins.
//!
//! A target is *due* when no backup has begun since its last scheduled time. From this everything follows: a run that was missed while the container was
//! down is caught up at the start, a new target gets its first backup at once, a backup made by hand in the meantime will do, and a failed run is
//! tried again, sooner or later according to what failed, until it succeeds or the next scheduled time comes.

use crate::error::{Kind, Retry};
use crate::schedule::Schedule;
use jiff::{SignedDuration, Timestamp};

/// How long to sleep at the most: a clock that was set, or a machine that slept, is noticed after it.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// How far a clock may go back before what was done "later" no longer counts. Below it a corrected clock must not double a run; above it the
/// later time was wrong, and to wait for it would mean no backups for as long.
const SLACK: SignedDuration = SignedDuration::from_hours(1);

/// How late a first attempt is before it is told as catching up.
const LATE: SignedDuration = SignedDuration::from_mins(2);

/// A target as the loop sees it.
#[derive(Debug, Clone)]
pub struct Job {
    /// When it is backed up.
    pub schedule: Schedule,
    /// When its newest backup is drilled, where that is not part of each run.
    pub drill: Option<Schedule>,
}

/// What is to be done, the more important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// A run.
    Backup,
    /// A drill of the newest backup.
    Drill,
}

/// Why now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// It is the scheduled time.
    Schedule,
    /// It was missed, or there is no backup yet.
    CatchUp,
    /// An earlier attempt failed.
    Retry,
}

impl Trigger {
    /// The word for it in the history.
    pub fn word(self) -> &'static str {
        match self {
            Trigger::Schedule => "schedule",
            Trigger::CatchUp => "catch-up",
            Trigger::Retry => "retry",
        }
    }
}

/// How work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Done, perhaps with warnings.
    Done,
    /// Failed in this way.
    Failed(Kind),
}

/// Everything outside of the loop. `target` is the place of a [`Job`].
pub trait World {
    /// The time.
    fn now(&mut self) -> Timestamp;
    /// Whether to stop.
    fn stopped(&mut self) -> bool;
    /// Waits until `at`, or until it is to stop. It may return early.
    fn wait(&mut self, at: Timestamp);
    /// When the newest work of this sort that succeeded began, whoever did it; nothing where that cannot be told.
    fn last_done(&mut self, target: usize, work: Work) -> Option<Timestamp>;
    /// Does it.
    fn carry_out(&mut self, target: usize, work: Work, trigger: Trigger) -> Ended;
    /// Work failed, and is tried again then, or not before its next scheduled time.
    fn will_retry(&mut self, target: usize, work: Work, at: Option<Timestamp>);
}

/// What is known of one target's backups, or of its drills.
struct Task<'a> {
    target: usize,
    work: Work,
    schedule: &'a Schedule,
    /// The scheduled time that is being served.
    owed: Option<Timestamp>,
    /// The newest scheduled time that needs nothing more.
    served: Option<Timestamp>,
    /// Attempts at `owed` that failed.
    failures: u32,
    /// When the next attempt may begin.
    not_before: Option<Timestamp>,
}

impl Task<'_> {
    /// When there is something to do; nothing: never again.
    fn due(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.served.is_some_and(|served| served > now + SLACK) {
            self.served = None;
        }
        let owed = self.schedule.last_at_or_before(now);
        if owed != self.owed {
            (self.owed, self.failures, self.not_before) = (owed, 0, None);
        }
        match owed {
            Some(owed) if self.served < Some(owed) => Some(self.not_before.map_or(owed, |at| at.max(owed))),
            _ => self.schedule.next_after(now),
        }
    }
}

/// Serves these targets until it is to stop.
pub fn serve(jobs: &[Job], world: &mut dyn World) {
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for (target, job) in jobs.iter().enumerate() {
        let mut add = |work, schedule| tasks.push(Task { target, work, schedule, owed: None, served: None, failures: 0, not_before: None });
        add(Work::Backup, &job.schedule);
        if let Some(drill) = &job.drill {
            add(Work::Drill, drill);
        }
    }
    while !world.stopped() {
        let now = world.now();
        // Of what is due, backups before drills, then what waits longest, then targets in their order.
        let due = tasks.iter_mut().filter_map(|task| Some((task.due(now)?, task)));
        let first = due.min_by_key(|(at, task)| ((*at).max(now), task.work, *at, task.target));
        match first {
            Some((at, task)) if at <= now => attempt(task, now, world),
            Some((at, _)) => world.wait(at.min(now + LOOK_AGAIN)),
            None => world.wait(now + LOOK_AGAIN),
        }
    }
}

fn attempt(task: &mut Task<'_>, now: Timestamp, world: &mut dyn World) {
    let Some(owed) = task.owed else { return };
    // Somebody else may have done it: by hand, or before we were started.
    if world.last_done(task.target, task.work).is_some_and(|done| done >= owed && done <= now + SLACK) {
        task.served = Some(owed);
        return;
    }
    let trigger = match task.failures {
        0 if now.duration_since(owed) <= LATE => Trigger::Schedule,
        0 => Trigger::CatchUp,
        _ => Trigger::Retry,
    };
    match world.carry_out(task.target, task.work, trigger) {
        Ended::Done => task.served = Some(owed),
        // The loop is about to end. The next start finds no backup since then, and catches up.
        Ended::Failed(Kind::Interrupted) => task.served = Some(owed),
        Ended::Failed(kind) => {
            task.failures += 1;
            let at = delay(kind.retry(), task.failures).map(|delay| world.now() + delay);
            match at {
                Some(at) => task.not_before = Some(at),
                None => task.served = Some(owed),
            }
            world.will_retry(task.target, task.work, at);
        }
    }
}

/// How long to wait after so many failures: twice as long each time, up to a limit.
fn delay(retry: Retry, failures: u32) -> Option<SignedDuration> {
    let (first, most) = match retry {
        Retry::Soon => (SignedDuration::from_secs(10), SignedDuration::from_mins(10)),
        Retry::Later => (SignedDuration::from_mins(5), SignedDuration::from_hours(1)),
        Retry::Never => return None,
    };
    let factor = 1i32.checked_shl(failures.saturating_sub(1)).filter(|factor| *factor > 0).unwrap_or(i32::MAX);
    Some(first.checked_mul(factor).unwrap_or(most).min(most))
}

#[cfg(test)]
mod tests;
