//! Which tables lost rows since the trusted backups before: found in a run, table by table.
//! It owns what counts as a loss and what is usual for a table; it leaves what follows from it to `retention`, and telling it to `run`.
//! Invariant: it reads one backup at a time as a stream and keeps a number for each table; and what it cannot read is passed over, since a run never fails for it.

use crate::clock::is_ahead;
use crate::manifest::{Changes, Loss, Manifest, Partitioned, Summary};
use crate::repository::list::{Backup, Listing};
use crate::repository::source::{Source, lines};
use crate::retention::collapsed;
use crate::stop::Stop;
use std::collections::BTreeMap;

/// How many trusted backups before say how few rows a table may have.
const WINDOW: usize = 7;

/// In how many of these tables went, where one more that goes says nothing.
const USUAL: usize = 3;

/// How many backups from before losses are remembered. The oldest is forgotten first.
const MOST_BEFORE: usize = 4;

/// How many tables are named.
const MOST_NAMED: usize = 20;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// In numbers; nothing where nothing changed, or there is no trusted backup before.
    pub changes: Option<Changes>,
    /// The tables that lost rows, those that lost the most first; at most 20.
    pub losses: Vec<Loss>,
    /// How many more there are.
    pub more: u64,
}

/// A table or partitioned table: schema and name.
type Name = (String, String);
/// The rows of each table, partitions counted with the topmost table that they belong to.
type Sizes = BTreeMap<Name, u64>;

/// Compares what a run dumped with the trusted backups before it. `before`: what was in the target's folder when it began.
pub fn look(manifest: &Manifest, before: &Listing, drill_off: bool, stop: &Stop) -> Found {
    let own = of_the_same_database(manifest, before);
    let relied = before.backups.iter().zip(own).rev().filter(|(backup, own)| *own && backup.is_relied_upon() && !is_ahead(backup.at(), manifest.started));
    let relied = relied.map(|(backup, _)| backup);
    let accepted = before.accepted.filter(|accepted| !is_ahead(*accepted, manifest.started));
    let counts = |backup: &Backup| accepted.is_none_or(|accepted| backup.at() >= accepted);
    let relied: Vec<&Backup> = relied.take_while(|backup| counts(backup)).collect();
    let only_proven = !drill_off && relied.iter().any(|backup| backup.is_proven());
    let mut judge = Judge { now: sizes_of(manifest), seen: BTreeMap::new() };
    let (mut window, mut gone_before) = (Vec::new(), 0);
    for backup in relied.iter().filter(|backup| !only_proven || backup.is_proven()) {
        if window.len() == WINDOW || stop.check().is_err() {
            break;
        }
        // The next older one takes the place of one that is damaged, which verify tells.
        let Some(sizes) = sizes_in(backup) else { continue };
        judge.earlier(sizes, window.is_empty());
        gone_before += usize::from(changes_of(backup).is_some_and(|changes| changes.gone > 0));
        window.push(backup.id.as_str());
    }
    let Some(&against) = window.first() else { return Found::default() };
    let mut losses = judge.losses();
    let count = |is: &dyn Fn(Option<u64>) -> bool| losses.iter().filter(|loss| is(loss.after)).count() as u64;
    let mut changes = Changes {
        against: against.to_owned(),
        new: judge.now.keys().filter(|name| !judge.seen.contains_key(*name)).count() as u64,
        gone: count(&|after| after.is_none()),
        emptied: count(&|after| after == Some(0)),
        halved: count(&|after| after.is_some_and(|rows| rows > 0)),
        going_is_usual: false,
        before_losses: Vec::new(),
    };
    changes.going_is_usual = changes.gone > 0 && gone_before >= USUAL;
    // Losses of before last as long as their rows have not come back.
    let inherited = relied.first().and_then(|previous| changes_of(previous)).map(|changes| changes.before_losses.as_slice()).unwrap_or_default();
    let lasts = |id: &&String| {
        let there = before.backups.iter().find(|backup| backup.id == **id && counts(backup));
        there.and_then(sizes_in).is_some_and(|sizes| judge.is_less_than(&sizes, gone_before >= USUAL))
    };
    changes.before_losses = inherited.iter().filter(|_| stop.check().is_ok()).filter(lasts).cloned().collect();
    if changes.is_suspicious() && !changes.before_losses.iter().any(|id| id == against) {
        changes.before_losses.push(against.to_owned());
    }
    let old = changes.before_losses.len().saturating_sub(MOST_BEFORE);
    changes.before_losses.drain(..old);
    losses.retain(|loss| loss.after.is_some() || !changes.going_is_usual);
    losses.sort_by_key(|loss| std::cmp::Reverse(loss.before - loss.after.unwrap_or(0)));
    let more = losses.len().saturating_sub(MOST_NAMED) as u64;
    losses.truncate(MOST_NAMED);
    Found { changes: (!changes.is_nothing()).then_some(changes), losses, more }
}

/// Which of these backups are of the database that was dumped, or of one that it goes on with.
fn of_the_same_database(manifest: &Manifest, before: &Listing) -> Vec<bool> {
    let (sources, dumped) = (before.sources(), Source::of(&Summary::of(manifest)));
    let mut lines = lines(sources.iter().map(Option::as_ref).chain([Some(&dumped)]), &before.adoptions);
    let own = lines.pop().flatten();
    lines.into_iter().map(|line| line == own).collect()
}

fn changes_of(backup: &Backup) -> Option<&Changes> {
    backup.manifest.as_ref().ok()?.changes.as_ref()
}

/// The rows of each table in what was dumped.
fn sizes_of(manifest: &Manifest) -> Sizes {
    let tables = manifest.tables.iter().filter(|table| table.condition.is_none()).map(|table| ((table.schema.clone(), table.name.clone()), table.rows));
    gathered(tables.collect(), &manifest.partitioned)
}

/// The same of a backup; nothing where it cannot be read.
fn sizes_in(backup: &Backup) -> Option<Sizes> {
    let (mut tables, mut partitioned) = (Sizes::new(), Vec::new());
    let read = backup.each_part(
        // An extension's own rows come and go with it.
        &mut |table| {
            if table.condition.is_none() {
                tables.insert((table.schema, table.name), table.rows);
            }
        },
        &mut |parent| partitioned.push(Partitioned { objects: Vec::new(), ..parent }),
    );
    read.ok().map(|()| gathered(tables, &partitioned))
}

/// Adds partitions to the topmost table that they belong to: that they come and go is what they are for.
fn gathered(tables: Sizes, partitioned: &[Partitioned]) -> Sizes {
    if partitioned.is_empty() {
        return tables;
    }
    let parent_of: BTreeMap<&Name, Name> =
        partitioned.iter().flat_map(|parent| parent.partitions.iter().map(|child| (child, (parent.schema.clone(), parent.name.clone())))).collect();
    let mut sizes: Sizes = partitioned
        .iter()
        .map(|parent| (parent.schema.clone(), parent.name.clone()))
        .filter(|name| !parent_of.contains_key(name))
        .map(|name| (name, 0))
        .collect();
    for (name, rows) in tables {
        let mut top = &name;
        // A manifest that was written by hand may go round in a circle.
        for _ in 0..partitioned.len() {
            let Some(parent) = parent_of.get(top) else { break };
            top = parent;
        }
        *sizes.entry(top.clone()).or_default() += rows;
    }
    sizes
}

/// What is known of a table in the trusted backups before.
struct Seen {
    /// Its rows in the newest of them.
    newest: u64,
    /// The fewest that it had, as far back as it was there without a gap.
    low: u64,
    /// Whether it was there in all that were looked at.
    steady: bool,
}

struct Judge {
    now: Sizes,
    seen: BTreeMap<Name, Seen>,
}

impl Judge {
    /// Takes the next older of the trusted backups.
    fn earlier(&mut self, sizes: Sizes, newest: bool) {
        if newest {
            self.seen = sizes.into_iter().map(|(name, rows)| (name, Seen { newest: rows, low: rows, steady: true })).collect();
            return;
        }
        for (name, seen) in self.seen.iter_mut().filter(|(_, seen)| seen.steady) {
            match sizes.get(name) {
                Some(rows) => seen.low = seen.low.min(*rows),
                None => seen.steady = false,
            }
        }
    }

    /// The tables that hold less than they ever did of late.
    fn losses(&self) -> Vec<Loss> {
        let of = |(name, seen): (&Name, &Seen)| {
            let after = self.now.get(name).copied();
            is_loss(seen.low, after).then(|| Loss { table: format!("{}.{}", name.0, name.1), before: seen.newest, after })
        };
        self.seen.iter().filter_map(of).collect()
    }

    /// Whether a table holds less than it did in that backup. `going_is_usual`: one that is gone says nothing.
    fn is_less_than(&self, sizes: &Sizes, going_is_usual: bool) -> bool {
        sizes.iter().any(|(name, rows)| {
            let after = self.now.get(name).copied();
            is_loss(*rows, after) && (after.is_some() || !going_is_usual)
        })
    }
}

/// Whether so many rows after so many are a loss; no rows at all: the table is gone.
fn is_loss(before: u64, after: Option<u64>) -> bool {
    collapsed(before, after.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables from a text such as `users=500 log=100000`.
    fn sizes(text: &str) -> Sizes {
        text.split_whitespace()
            .filter_map(|word| word.split_once('='))
            .map(|(name, rows)| (("public".to_owned(), name.to_owned()), rows.parse().unwrap()))
            .collect()
    }

    /// What is lost now, after these trusted backups, the newest first.
    #[track_caller]
    fn check(now: &str, before: &[&str], expected: &[&str]) {
        let mut judge = Judge { now: sizes(now), seen: BTreeMap::new() };
        before.iter().enumerate().for_each(|(place, tables)| judge.earlier(sizes(tables), place == 0));
        let found: Vec<String> = judge.losses().iter().map(Loss::describe).collect();
        assert_eq!(found, expected, "{now} after {before:?}");
    }

    #[test]
    fn each_table_is_judged_by_itself() {
        check("log=100001 users=0", &["log=100000 users=500"], &["table public.users held 500 rows and is empty"]);
        check("log=100001", &["log=100000 users=500"], &["table public.users held 500 rows and is gone"]);
        check("a=499 b=500 c=1", &["a=1000 b=1000 c=999"], &["table public.a held 1,000 rows and holds 499"]);
        check("a=1 new=0", &["a=1"], &[]);
        // What held nothing loses nothing.
        check("", &["a=0"], &[]);
        check("", &[], &[]);
    }

    #[test]
    fn what_comes_and_goes_by_nature_is_no_loss() {
        check("jobs=0", &["jobs=3", "jobs=0", "jobs=9"], &[]);
        check("cache=2000", &["cache=9000", "cache=3000"], &[]);
        check("jobs=0", &["jobs=3", "jobs=1", "jobs=9"], &["table public.jobs held 3 rows and is empty"]);
        // A table that was made of late has a short past, and what was there before a gap says nothing of it.
        check("", &["young=5000", ""], &["table public.young held 5,000 rows and is gone"]);
        check("again=0", &["again=7", "", "again=0"], &["table public.again held 7 rows and is empty"]);
    }

    #[test]
    fn partitions_count_with_their_topmost_table() {
        let parent = |name: &str, partitions: &[&str]| Partitioned {
            schema: "public".into(),
            name: name.into(),
            objects: Vec::new(),
            partitions: partitions.iter().map(|child| ("public".to_owned(), (*child).to_owned())).collect(),
        };
        let tree = [parent("log", &["log_1", "log_2", "log_2a", "log_2b"]), parent("log_2", &["log_2a", "log_2b"]), parent("none", &[])];
        assert_eq!(gathered(sizes("log_1=5 log_2a=7 log_2b=1 other=2"), &tree), sizes("log=13 none=0 other=2"));
        // In a circle, as only somebody who means harm would write it.
        let circle = [parent("a", &["b"]), parent("b", &["a"])];
        assert_eq!(gathered(sizes("a=1 b=2"), &circle).values().sum::<u64>(), 3);
    }

    #[test]
    fn a_loss_lasts_until_the_rows_are_back() {
        let judge = |now: &str| Judge { now: sizes(now), seen: BTreeMap::new() };
        let held = sizes("users=500 log=5000");
        assert!(judge("users=0 log=9000").is_less_than(&held, true) && judge("users=3 log=2").is_less_than(&held, true));
        assert!(!judge("users=3 log=2500").is_less_than(&held, false));
        assert!(judge("log=5000").is_less_than(&held, false) && !judge("log=5000").is_less_than(&held, true));
    }
}
