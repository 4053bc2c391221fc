//! The order of what comes after the rows: which indexes are built while other tables still load, which foreign keys are checked while the last indexes
//! are built, and what runs side by side at the end.
//! It owns that plan, made of the archive's own table of contents and its dependencies; it leaves carrying it out to its siblings. Pure.
//! Invariant: every entry stands in exactly one part, and never in an earlier part than an entry that it needs.

use super::turn::Calls;
use crate::manifest::{Mover, Table};
use crate::postgres::contents::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};

/// From how many bytes of rows an index of a table is built on its own, as soon as the table is loaded. Below, the start of a pg_restore for it
/// would take as long as the index.
pub const LARGE: u64 = 4 << 20;

/// From how many bytes of rows each index of a table is built by a pg_restore of its own, so that several are built at once.
const HUGE: u64 = 64 << 20;

/// Indexes that one pg_restore builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The table, as its place in the manifest.
    pub table: usize,
    /// Nothing else can be built on the table meanwhile: a constraint is among them.
    pub alone: bool,
    /// The entries, by their numbers.
    pub entries: Vec<u32>,
}

impl Build {
    /// Whether the server could not build both at once: a constraint locks its table against all others.
    pub fn locks_out(&self, other: &Build) -> bool {
        self.table == other.table && (self.alone || other.alone)
    }
}

/// A foreign key that can be checked as soon as the indexes of its tables are built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The table that refers and the one that is referred to, as their places in the manifest. Adding the key locks both against everything but reads.
    pub tables: BTreeSet<usize>,
    /// The entry, by its number.
    pub entry: u32,
}

impl Key {
    /// Whether an index of this table could not be built at the same time, nor its rows loaded.
    pub fn is_of(&self, table: usize) -> bool {
        self.tables.contains(&table)
    }

    /// Whether the server could not add both at once.
    pub fn locks_out(&self, other: &Key) -> bool {
        !self.tables.is_disjoint(&other.tables)
    }
}

/// Everything behind the rows. The parts follow each other, but for `keys` and `views`, which run side by side: checking foreign keys and
/// filling materialized views only reads tables, and nothing of either part needs the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Indexes that can be built as soon as their table's rows are loaded.
    pub builds: Vec<Build>,
    /// Foreign keys that can be checked while the last indexes are built. What is not, joins `keys`.
    pub early_keys: Vec<Key>,
    /// Everything else that is neither in `keys` nor in `views` and needs none of them.
    pub rest: Vec<u32>,
    /// What goes one after the other. Indexes of partitions that join their parent's: two at once do not see each other, and the parent's index stays
    /// invalid. Constraints that call functions which are not built in: each locks its table, and may read the other's.
    pub turn: Vec<u32>,
    /// What needs one of those.
    pub late: Vec<u32>,
    /// The other foreign keys.
    pub keys: Vec<u32>,
    /// Fillings of materialized views, in the order in which they read each other.
    pub views: Vec<u32>,
    /// Event triggers, which would fire before, and what needs something of `keys` or `views`.
    pub last: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Build,
    Rest,
    Turn,
    Late,
    Keys,
    Views,
    Last,
}

/// The order for those of an archive's entries that are in its post-data section. They stand in the archive's own order: what an entry needs comes
/// before it. `in_turn`: the places of tables whose rows come last; and what calls functions that are not built in waits for all rows of all tables, `calling`
/// among others.
pub fn order(archive: &[Entry], section: &BTreeSet<u32>, tables: &[Table], in_turn: &HashSet<usize>, calling: &[(u32, u32)]) -> Order {
    let (calls, calling) = (Calls::of(archive), calling.iter().copied().collect::<HashSet<(u32, u32)>>());
    let objects: HashMap<(u32, u32), usize> = tables
        .iter()
        .enumerate()
        .filter(|(_, table)| table.moved_by == Mover::Units)
        .flat_map(|(place, table)| table.objects.iter().map(move |object| (*object, place)))
        .collect();
    let of_table = |entry: &Entry| objects.get(&(entry.catalogue, entry.oid)).copied();
    // Every table of the archive, and where it stands in the manifest.
    let known: HashMap<u32, Option<usize>> = archive.iter().filter(|entry| entry.is_table()).map(|entry| (entry.id, of_table(entry))).collect();
    let (mut order, mut parts): (Order, HashMap<u32, Part>) = (Order::default(), HashMap::new());
    let (mut together, mut built): (HashMap<usize, usize>, HashMap<u32, usize>) = (HashMap::new(), HashMap::new());
    for entry in archive.iter().filter(|entry| section.contains(&entry.id)) {
        let waits = calling.contains(&(entry.catalogue, entry.oid)) || calls.calls(entry);
        let table = of_table(entry).filter(|table| entry.is_index() && tables[*table].bytes >= LARGE && !waits && !in_turn.contains(table));
        let (own, needs) = (own_part(entry, table.is_some(), waits), entry.needs.iter().filter_map(|id| parts.get(id)));
        let part = needs.fold(own, |part, needed| after(*needed, part));
        match part {
            Part::Build => {
                let (table, alone) = (table.expect("only indexes of large tables are in this part"), entry.is_index_of_constraint());
                built.insert(entry.id, table);
                match together.get(&table) {
                    Some(place) if tables[table].bytes < HUGE => {
                        order.builds[*place].entries.push(entry.id);
                        order.builds[*place].alone |= alone;
                    }
                    _ => {
                        together.insert(table, order.builds.len());
                        order.builds.push(Build { table, alone, entries: vec![entry.id] });
                    }
                }
            }
            Part::Rest => order.rest.push(entry.id),
            Part::Turn => order.turn.push(entry.id),
            Part::Late => order.late.push(entry.id),
            Part::Keys => match early_key(entry, &known, &parts, &built).filter(|key| key.tables.iter().all(|table| !in_turn.contains(table))) {
                Some(key) => order.early_keys.push(key),
                None => order.keys.push(entry.id),
            },
            Part::Views => order.views.push(entry.id),
            Part::Last => order.last.push(entry.id),
        }
        parts.insert(entry.id, part);
    }
    // The largest table is what everything waits for in the end; of its indexes first those that nothing else can run beside.
    order.builds.sort_by_key(|build| (std::cmp::Reverse(tables[build.table].bytes), build.table, !build.alone));
    order.early_keys.sort_by_key(|key| std::cmp::Reverse(key.tables.iter().map(|table| tables[*table].bytes).sum::<u64>()));
    order
}

/// The foreign key, if it needs nothing but tables whose rows are in units and their indexes.
fn early_key(entry: &Entry, known: &HashMap<u32, Option<usize>>, parts: &HashMap<u32, Part>, built: &HashMap<u32, usize>) -> Option<Key> {
    let tables: Option<BTreeSet<usize>> = entry.needs.iter().filter_map(|id| known.get(id)).copied().collect();
    // Without a table of its own it is not known what it locks.
    let tables = tables.filter(|tables| !tables.is_empty())?;
    let built = |id: &u32| built.get(id).is_some_and(|table| tables.contains(table));
    let ready = entry.needs.iter().all(|id| !parts.contains_key(id) || built(id));
    ready.then(|| Key { tables: tables.clone(), entry: entry.id })
}

fn own_part(entry: &Entry, of_large_table: bool, waits: bool) -> Part {
    if of_large_table {
        Part::Build
    } else if entry.is_index_attachment() || waits && entry.is_constraint_on_rows() {
        Part::Turn
    } else if entry.is_foreign_key() {
        Part::Keys
    } else if entry.is_refresh() {
        Part::Views
    } else if entry.is_event_trigger() {
        Part::Last
    } else {
        Part::Rest
    }
}

/// The part of an entry that would be in `part` and needs one that is in `needed`.
fn after(needed: Part, part: Part) -> Part {
    match (needed, part) {
        (_, Part::Last) | (Part::Last, _) => Part::Last,
        // A pg_restore of its own has only its own entries: what needs another one waits for all of them.
        (Part::Build | Part::Rest, Part::Build) => Part::Rest,
        (Part::Build | Part::Rest, part) => part,
        (Part::Turn | Part::Late, Part::Build | Part::Rest | Part::Late) | (Part::Late, Part::Turn) => Part::Late,
        (Part::Turn | Part::Late, part) => part,
        (needed, part) if needed == part => part,
        (Part::Keys | Part::Views, _) => Part::Last,
    }
}

#[cfg(test)]
mod tests;
