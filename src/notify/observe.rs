//! What is wrong with a target, read from its folder in the repository.
//! It owns which findings make a trouble; it leaves the judgement of freshness to `status` and of lost rows to `retention`.
//! Invariant: what cannot be read is a trouble, never silence.

use super::decide::{Seen, Success, Trouble, What};
use crate::config::Settings;
use crate::error::{Error, Kind};
use crate::exception::{self, Exceptions};
use crate::past::Past;
use crate::prune;
use crate::repository::history::{Entry, Outcome};
use crate::repository::list::{Backup, Listing};
use crate::repository::{TargetFolder, names};
use crate::retention::{Suspension, shrank};
use crate::run::EMPTY;
use crate::status::{self, State, View};
use crate::units::{first, format_bytes, format_count};
use jiff::Timestamp;

/// How many tables that lost rows are named.
const LOSSES: usize = 3;

/// A run that failed, as its process knows it: where even the history could not be written, this is all there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// When it began.
    pub started: Timestamp,
    /// The class of the error.
    pub class: &'static str,
    /// The error.
    pub text: String,
}

impl Failed {
    /// The failure of a run, if it is one to tell: a run that was skipped or interrupted is none.
    pub fn of(started: Timestamp, error: &Error) -> Option<Failed> {
        let quiet = matches!(error.kind(), Kind::Locked | Kind::Interrupted);
        (!quiet).then(|| Failed { started, class: error.kind().word(), text: error.chain() })
    }
}

/// Looks at a target. `failed`: the last run of this process, if it failed.
pub fn observe(folder: &TargetFolder, settings: &Settings, failed: Option<&Failed>, now: Timestamp) -> Seen {
    match Listing::with_history(folder) {
        Ok((listing, history)) => see(folder, &listing, &history, settings, failed, now),
        Err(error) => unreadable(&folder.name, &error, failed, settings, now),
    }
}

/// Nothing is known of a repository that cannot be read, but that.
fn unreadable(target: &str, error: &Error, failed: Option<&Failed>, settings: &Settings, now: Timestamp) -> Seen {
    let since = failed.map_or(now, |failed| failed.started);
    let trouble = Trouble {
        what: What::Failure,
        subject: format!("repository {}", error.kind().word()),
        run: names::backup_id(since),
        since,
        text: format!("the repository cannot be read: {}", error.chain()),
        earlier: None,
    };
    Seen {
        target: target.to_owned(),
        state: State::Stale,
        why: trouble.text.clone(),
        troubles: vec![trouble],
        proven: None,
        exceptions: Exceptions::default(),
        newest: None,
        backups: 0,
        success: None,
        next_run: settings.schedule.next_after(now),
        retry_at: None,
    }
}

/// Judges what was read, and looks what is going on.
fn see(target: &TargetFolder, listing: &Listing, history: &[Entry], settings: &Settings, failed: Option<&Failed>, now: Timestamp) -> Seen {
    let view = status::view(target, listing, history, settings, now);
    let past = Past::of(history, listing);
    let mut troubles = Vec::new();
    troubles.extend(failure(history, failed));
    troubles.extend(bad(listing));
    troubles.extend(overdue(&view, history, settings, now));
    troubles.extend(shrinkage(listing, history, &past, settings, now));
    troubles.extend(empty(listing, &view));
    let success = history
        .iter()
        .rev()
        .find(|run| run.outcome.is_success())
        .and_then(|run| Some(Success { id: run.backup.clone()?, started: run.started, text: done(run) }));
    Seen {
        target: target.name.clone(),
        state: view.state,
        why: view.why,
        troubles,
        proven: view.newest_proven,
        exceptions: view.exceptions,
        newest: view.newest,
        backups: view.backups,
        success,
        next_run: view.next_run,
        retry_at: view.retry_at,
    }
}

/// A run that was interrupted is somebody's wish, and the next start catches up; one that was skipped says nothing.
fn is_failure(run: &Entry) -> bool {
    run.outcome == Outcome::Failed && run.error.as_deref() != Some(Kind::Interrupted.word())
}

fn done(run: &Entry) -> String {
    let number = |number: Option<u64>| format_count(number.unwrap_or(0));
    let proof = exception::verdict(run.proof.as_deref().unwrap_or("not proven"), run.exceptions);
    let warnings: String = run.warnings.iter().map(|warning| format!("; warning: {warning}")).collect();
    format!("{} tables, {} rows, {} on disk; {proof}{warnings}", number(run.tables), number(run.rows), format_bytes(run.bytes.unwrap_or(0)))
}

fn failure(history: &[Entry], failed: Option<&Failed>) -> Option<Trouble> {
    let telling = || history.iter().rev().filter(|run| run.outcome.is_success() || is_failure(run));
    let newest = telling().next();
    // The first of the failures that no success came after.
    let first = telling().take_while(|run| is_failure(run)).last();
    match (newest, failed) {
        (last, Some(failed)) if last.is_none_or(|last| last.started < failed.started) => Some(Trouble {
            what: What::Failure,
            subject: failed.class.to_owned(),
            run: names::backup_id(failed.started),
            since: first.map_or(failed.started, |first| first.started),
            text: format!("the run of {} failed: {}", names::backup_id(failed.started), failed.text),
            earlier: None,
        }),
        (Some(last), _) if is_failure(last) => {
            let (step, class) = (last.step.as_deref().unwrap_or("?"), last.error.as_deref().unwrap_or("failed"));
            Some(Trouble {
                what: What::Failure,
                subject: format!("{class} in {step}"),
                run: names::backup_id(last.started),
                since: first.map_or(last.started, |first| first.started),
                text: format!("the last run failed in step '{step}': {}", last.message.as_deref().unwrap_or("unknown")),
                earlier: None,
            })
        }
        _ => None,
    }
}

fn bad(listing: &Listing) -> Option<Trouble> {
    let newest = listing.backups.iter().rfind(|backup| !backup.ahead).filter(|backup| backup.is_bad())?;
    let proof = newest.proof.as_ref().ok().and_then(Option::as_ref)?;
    let findings = first(&proof.findings, 3).join("; ");
    Some(Trouble {
        what: What::Bad,
        subject: newest.id.clone(),
        run: newest.id.clone(),
        since: proof.at,
        text: format!("backup {} does not hold what the database held: {findings}", newest.id),
        earlier: None,
    })
}

fn overdue(view: &View, history: &[Entry], settings: &Settings, now: Timestamp) -> Option<Trouble> {
    if view.state != State::Stale || view.newest_proven.is_none() && is_being_proven(view, history, settings, now) {
        return None;
    }
    // Since the newest backup that counts came of age; where there is none, since the first run.
    let counting = view.newest_proven.as_ref().or(view.newest.as_ref());
    let since = match (view.age_s, history.first()) {
        (Some(age), _) => now.checked_sub(jiff::SignedDuration::from_secs(age.saturating_sub_unsigned(view.max_age_s).max(0))).unwrap_or(now),
        (None, Some(first)) => first.started.min(now),
        (None, None) => now,
    };
    // Before the first backup a failed run says it all, until as much time has passed as a backup may be old.
    let young = now.duration_since(since).as_secs() < i64::try_from(view.max_age_s).unwrap_or(i64::MAX);
    if counting.is_none() && young && history.iter().any(is_failure) {
        return None;
    }
    let run = counting.map_or_else(String::new, |point| point.id.clone());
    Some(Trouble { what: What::Overdue, subject: String::new(), run, since, text: view.why.clone(), earlier: None })
}

/// The first backup of all is published, and its run, perhaps of another process, has not ended yet.
fn is_being_proven(view: &View, history: &[Entry], settings: &Settings, now: Timestamp) -> bool {
    let limit = jiff::SignedDuration::try_from(settings.deadline).unwrap_or(jiff::SignedDuration::MAX);
    let Some(newest) = &view.newest else { return false };
    now.duration_since(newest.at) < limit && !history.iter().any(|run| run.backup.as_ref() == Some(&newest.id))
}

fn shrinkage(listing: &Listing, history: &[Entry], past: &Past, settings: &Settings, now: Timestamp) -> Option<Trouble> {
    let plan = prune::plan_after_success(listing, past, settings, None, now);
    let (earlier, newest, what) = match plan.suspended? {
        Suspension::RowsCollapsed { earlier, earlier_rows, newest, newest_rows } => {
            let what = format!("the rows fell from {} in backup {earlier} to {} in {newest}", format_count(earlier_rows), format_count(newest_rows));
            (earlier, newest, what)
        }
        Suspension::TablesShrank { earlier, newest, gone, emptied, halved } => {
            let what = format!("{} between backup {earlier} and {newest}", shrank(gone, emptied, halved));
            (earlier, newest, what)
        }
        _ => return None,
    };
    let since = listing.backups.iter().find(|backup| backup.id == newest).map_or(now, |backup| backup.at());
    let found_by = history.iter().rev().find(|run| run.backup.as_ref() == Some(&newest));
    let tables: String = found_by.map(|run| run.losses.iter().take(LOSSES).map(|loss| format!("; {}", loss.describe())).collect()).unwrap_or_default();
    let more = found_by.map_or(0, |run| run.losses_unlisted + run.losses.len().saturating_sub(LOSSES) as u64);
    let more = if more > 0 { format!("; and {} more tables lost rows", format_count(more)) } else { String::new() };
    Some(Trouble {
        what: What::Shrinkage,
        subject: newest.clone(),
        text: format!("{what}{tables}{more}; nothing is deleted until the next proven backup agrees, or kluis prune --accept-shrinkage says that it is right"),
        run: newest,
        since,
        earlier: Some(earlier),
    })
}

/// Since the first of the backups that are empty one after the other up to the newest.
fn empty(listing: &Listing, view: &View) -> Option<Trouble> {
    let mut sound = listing.backups.iter().rev().filter(|backup| backup.is_sound() && !backup.ahead).peekable();
    let newest = *sound.peek().filter(|_| view.empty)?;
    let since = sound.take_while(|backup| backup.is_empty()).last().map_or(newest.at(), Backup::at);
    let text = newest.suspicious.as_ref().map_or_else(|| EMPTY.to_owned(), |why| format!("backup {} is {why}: it is not relied upon", newest.id));
    Some(Trouble { what: What::Empty, subject: String::new(), run: newest.id.clone(), since, text, earlier: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_769_299_200 + hour * 3600).unwrap()
    }

    /// Runs, an hour each: `d`one, `w`arned, `s`kipped, `i`nterrupted, or failed (`f`, in another way `g`).
    fn history(runs: &str) -> Vec<Entry> {
        let entry = |(hour, run): (usize, char)| {
            let (outcome, error) = match run {
                'd' => ("done", None),
                'w' => ("warned", None),
                's' => ("skipped", Some("locked")),
                'i' => ("failed", Some("interrupted")),
                'f' => ("failed", Some("unreachable")),
                _ => ("failed", Some("storage")),
            };
            let backup = matches!(run, 'd' | 'w').then(|| names::backup_id(at(hour as i64)));
            serde_json::from_value(serde_json::json!({
                "started": at(hour as i64), "finished": at(hour as i64), "outcome": outcome, "error": error, "step": "dump", "message": "m", "backup": backup
            }))
            .unwrap()
        };
        runs.chars().enumerate().map(entry).collect()
    }

    #[track_caller]
    fn check(runs: &str, failed: Option<i64>, expected: Option<(&str, i64, i64)>) {
        let failed = failed.map(|hour| Failed { started: at(hour), class: "storage", text: "t".into() });
        let found = failure(&history(runs), failed.as_ref());
        let expected = expected.map(|(subject, run, since)| (subject.to_owned(), names::backup_id(at(run)), at(since)));
        assert_eq!(found.map(|trouble| (trouble.subject, trouble.run, trouble.since)), expected, "{runs}");
    }

    #[test]
    fn a_failure_lasts_from_the_first_one_that_no_success_came_after() {
        check("", None, None);
        check("d", None, None);
        check("df", None, Some(("unreachable in dump", 1, 1)));
        check("dffg", None, Some(("storage in dump", 3, 1)));
        check("fdfsif", None, Some(("unreachable in dump", 5, 2)));
        check("dfw", None, None);
    }

    #[test]
    fn a_run_that_was_skipped_or_interrupted_is_no_failure_and_ends_none() {
        check("dsi", None, None);
        check("dfsi", None, Some(("unreachable in dump", 1, 1)));
    }

    #[test]
    fn a_failure_that_no_history_tells_of_counts_until_something_newer_does() {
        check("", Some(0), Some(("storage", 0, 0)));
        check("d", Some(1), Some(("storage", 1, 1)));
        check("df", Some(2), Some(("storage", 2, 1)));
        check("ddd", Some(1), None);
        // The history has it as well.
        check("df", Some(1), Some(("unreachable in dump", 1, 1)));
        assert_eq!(Failed::of(at(0), &Error::new(Kind::Locked, "x")), None);
        assert!(Failed::of(at(0), &Error::new(Kind::Storage, "x")).is_some());
    }
}
