//! The schedule loop: what is due when, what was missed, and when to try again.
//! It owns those decisions; it leaves the clock, waiting, the runs and what is told of them to a [`World`], so that tests can let years pass in a second.
//! Invariant: one thing at a time; each scheduled time is served once, or tried again until it is; a stop ends the loop before anything new begins.
//!
//! A target is *due* when no backup has begun since its last scheduled time. From this everything follows: a run that was missed while the container was
//! down is caught up at the start, a new target gets its first backup at once, a backup made by hand in the meantime will do, and a failed run is
//! tried again, sooner or later according to what failed, until it succeeds or the next scheduled time comes.
//!
//! Where each backup is proven, a *drill* is due as long as the newest backup that is relied upon is not: its proof was killed, ran out of time or could not judge.
//! It is tried again with growing patience and without a new dump.

use crate::clock::{is_ahead, newest};
use crate::config::Drill;
use crate::error::{Kind, Retry};
use crate::schedule::Schedule;
use jiff::{SignedDuration, Timestamp};

/// How long to sleep at the most: a clock that was set, or a machine that slept, is noticed after it.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// How often it is looked whether a backup is there that nobody has proven. It costs a reading of the folder, and only another process can have left one.
const LOOK_FOR_UNPROVEN: SignedDuration = SignedDuration::from_mins(10);

/// How long to wait after a drill that came to no verdict, and how long at the most: a drill costs as much as a restore.
const DRILL_AGAIN: (SignedDuration, SignedDuration) = (SignedDuration::from_mins(5), SignedDuration::from_hours(12));

/// How late a first attempt is before it is told as catching up.
const LATE: SignedDuration = SignedDuration::from_mins(2);

/// A target as the loop sees it.
#[derive(Debug, Clone)]
pub struct Job {
    /// When it is backed up.
    pub schedule: Schedule,
    /// When its backups are proven.
    pub drill: Drill,
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

/// The newest backup that is relied upon, and that nothing has proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unproven {
    /// Its name.
    pub id: String,
    /// How often proving it came to no verdict, whoever tried.
    pub attempts: u32,
    /// When the last attempt began.
    pub last: Option<Timestamp>,
}

/// Everything outside of the loop. `target` is the place of a [`Job`].
pub trait World {
    /// The time.
    fn now(&mut self) -> Timestamp;
    /// Whether to stop.
    fn stopped(&mut self) -> bool;
    /// Waits until `at`, or until it is to stop. It may return early.
    fn wait(&mut self, at: Timestamp);
    /// When work of this sort that succeeded began, whoever did it, as far as that can be told. Not all of it needs to be there, but the newest that is not in the
    /// future.
    fn done(&mut self, target: usize, work: Work) -> Vec<Timestamp>;
    /// The newest backup that is relied upon, where a drill has to prove it. Nothing while a run is in progress.
    fn unproven(&mut self, target: usize) -> Option<Unproven>;
    /// Does it.
    fn carry_out(&mut self, target: usize, work: Work, trigger: Trigger) -> Ended;
    /// It ended so. What failed is tried again at `again`, or not before its next scheduled time.
    fn ended(&mut self, target: usize, work: Work, ended: Ended, again: Option<Timestamp>);
}

/// What is known of one target's backups, or of its drills.
struct Task<'a> {
    target: usize,
    work: Work,
    when: When<'a>,
    /// Attempts that failed: at what is owed, or at the same backup.
    failures: u32,
    /// When the next attempt may begin.
    not_before: Option<Timestamp>,
}

/// When work is due.
enum When<'a> {
    /// At scheduled times.
    At {
        schedule: &'a Schedule,
        /// The scheduled time that is being served.
        owed: Option<Timestamp>,
        /// The newest scheduled time that needs nothing more.
        served: Option<Timestamp>,
    },
    /// While the newest backup is unproven.
    Unproven {
        /// When to look for one.
        look: Option<Timestamp>,
        /// The one that was tried last.
        of: Option<String>,
    },
}

impl Task<'_> {
    /// When there is something to do; nothing: never again.
    fn due(&mut self, now: Timestamp) -> Option<Timestamp> {
        match &mut self.when {
            When::Unproven { look, .. } => Some(look.map_or(now, |look| look.min(now + LOOK_FOR_UNPROVEN))),
            When::At { schedule, owed, served } => {
                if served.is_some_and(|served| is_ahead(served, now)) {
                    *served = None;
                }
                let last = schedule.last_at_or_before(now);
                if last != *owed {
                    (*owed, self.failures, self.not_before) = (last, 0, None);
                }
                match last {
                    Some(owed) if *served < Some(owed) => Some(self.not_before.map_or(owed, |at| at.max(owed))),
                    _ => schedule.next_after(now),
                }
            }
        }
    }
}

/// Serves these targets until it is to stop.
pub fn serve(jobs: &[Job], world: &mut dyn World) {
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for (target, job) in jobs.iter().enumerate() {
        let mut add = |work, when| tasks.push(Task { target, work, when, failures: 0, not_before: None });
        let at = |schedule| When::At { schedule, owed: None, served: None };
        add(Work::Backup, at(&job.schedule));
        match &job.drill {
            Drill::Cron(schedule) => add(Work::Drill, at(schedule)),
            Drill::EveryBackup => add(Work::Drill, When::Unproven { look: None, of: None }),
            Drill::Off => {}
        }
    }
    while !world.stopped() {
        let now = world.now();
        // Of what is due, backups before drills, then what waits longest, then targets in their order.
        let due = tasks.iter_mut().filter_map(|task| Some((task.due(now)?, task)));
        let first = due.min_by_key(|(at, task)| ((*at).max(now), task.work, *at, task.target));
        match first {
            Some((at, task)) if at <= now => {
                let (target, work) = (task.target, task.work);
                if attempt(task, now, world) && work == Work::Backup {
                    // Perhaps it was published and not proven.
                    let drill = tasks.iter_mut().find(|task| task.target == target && task.work == Work::Drill);
                    if let Some(Task { when: When::Unproven { look, .. }, .. }) = drill {
                        *look = None;
                    }
                }
            }
            Some((at, _)) => world.wait(at.min(now + LOOK_AGAIN)),
            None => world.wait(now + LOOK_AGAIN),
        }
    }
}

/// Does what is due, unless somebody else has done it. Whether anything was done.
fn attempt(task: &mut Task<'_>, now: Timestamp, world: &mut dyn World) -> bool {
    match task.when {
        When::At { owed: Some(owed), .. } => attempt_scheduled(task, owed, now, world),
        When::At { owed: None, .. } => false,
        When::Unproven { .. } => attempt_proof(task, now, world),
    }
}

fn attempt_scheduled(task: &mut Task<'_>, owed: Timestamp, now: Timestamp, world: &mut dyn World) -> bool {
    let serve = |task: &mut Task<'_>| {
        if let When::At { served, .. } = &mut task.when {
            *served = Some(owed);
        }
    };
    // Somebody else may have done it: by hand, or before we were started.
    if newest(world.done(task.target, task.work), now).is_some_and(|done| done >= owed) {
        serve(task);
        return false;
    }
    let trigger = match task.failures {
        0 if now.duration_since(owed) <= LATE => Trigger::Schedule,
        0 => Trigger::CatchUp,
        _ => Trigger::Retry,
    };
    let ended = world.carry_out(task.target, task.work, trigger);
    let mut again = None;
    match ended {
        Ended::Done => serve(task),
        // The loop is about to end. The next start finds no backup since then, and catches up.
        Ended::Failed(Kind::Interrupted) => serve(task),
        Ended::Failed(kind) => {
            task.failures += 1;
            again = delay(task.work, kind.retry(), task.failures).map(|delay| world.now() + delay);
            match again {
                Some(at) => task.not_before = Some(at),
                None => serve(task),
            }
        }
    }
    world.ended(task.target, task.work, ended, again);
    true
}

fn attempt_proof(task: &mut Task<'_>, now: Timestamp, world: &mut dyn World) -> bool {
    let When::Unproven { look, of } = &mut task.when else { return false };
    *look = Some(now + LOOK_FOR_UNPROVEN);
    let Some(backup) = world.unproven(task.target) else { return false };
    if of.as_ref() != Some(&backup.id) {
        (*of, task.failures, task.not_before) = (Some(backup.id.clone()), 0, None);
    }
    // What was noted outlives a restart, and what is remembered a volume that takes no notes.
    let tries = task.failures.max(backup.attempts);
    let last = backup.last.filter(|last| tries > 0 && !is_ahead(*last, now));
    let due = last.map(|last| last + patience(DRILL_AGAIN, tries)).max(task.not_before.filter(|at| *at <= now + DRILL_AGAIN.1));
    if let Some(due) = due.filter(|due| *due > now) {
        *look = Some(due);
        return false;
    }
    let ended = world.carry_out(task.target, task.work, if tries == 0 { Trigger::CatchUp } else { Trigger::Retry });
    let after = world.now();
    task.failures = tries.saturating_add(1);
    let at = after + patience(DRILL_AGAIN, task.failures);
    task.not_before = Some(at);
    // A verdict may let an earlier backup be the one that is relied upon.
    *look = Some(if ended == Ended::Done { after } else { at });
    world.ended(task.target, task.work, ended, Some(at).filter(|_| ended != Ended::Done));
    true
}

/// How long to wait after so many failures.
fn delay(work: Work, retry: Retry, failures: u32) -> Option<SignedDuration> {
    let limits = match (work, retry) {
        (_, Retry::Never) => return None,
        (Work::Drill, _) => DRILL_AGAIN,
        (Work::Backup, Retry::Soon) => (SignedDuration::from_secs(10), SignedDuration::from_mins(10)),
        (Work::Backup, Retry::Later) => (SignedDuration::from_mins(5), SignedDuration::from_hours(1)),
    };
    Some(patience(limits, failures))
}

/// Twice as long each time, up to a limit.
fn patience((first, most): (SignedDuration, SignedDuration), failures: u32) -> SignedDuration {
    let factor = 1i32.checked_shl(failures.saturating_sub(1)).filter(|factor| *factor > 0).unwrap_or(i32::MAX);
    first.checked_mul(factor).unwrap_or(most).min(most)
}

#[cfg(test)]
mod tests;
