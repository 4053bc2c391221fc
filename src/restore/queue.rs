//! What the sessions of a restore take from: rows of tables, indexes that can be built once their table is loaded, and foreign keys that can be checked
//! once the indexes of both tables are built.
//! It owns who gets what next; it leaves doing it to its siblings. A table goes to one session, which can write its rows as frozen, until another session
//! has no rows left to load: then what is left of the table is divided among them.
//! Invariant: every unit is given out until it was loaded once; an index is given out only after all rows of its table were reported done, and never
//! beside one that would lock it out; a foreign key only after all rows and indexes of its tables were.

use super::order::{Build, Key};
use crate::script::unit::Unit;
use crate::stop::Stop;
use crate::verify;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How many plain bytes one COPY carries at most where a table is shared among sessions, and how many must be left of it to be shared.
const RUN_BYTES: u64 = 32 << 20;

/// How often somebody who waits looks whether the run was stopped.
const LOOK: Duration = Duration::from_millis(100);

/// Rows to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The table, as its place in the manifest.
    pub table: usize,
    /// The units.
    pub units: Vec<Unit>,
    /// These are all rows of the table: nobody else loads into it, unless its session leaves a rest for others.
    pub whole: bool,
}

impl Rows {
    fn bytes(&self) -> u64 {
        bytes(&self.units)
    }
}

fn bytes(units: &[Unit]) -> u64 {
    units.iter().map(|unit| unit.bytes).sum()
}

/// Something to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    /// Load rows.
    Rows(Rows),
    /// Build indexes.
    Build {
        /// Which.
        build: Build,
        /// There is enough else to do for all sessions while this one builds: the server need not divide it among processes, which costs more
        /// time in all.
        serial: bool,
    },
    /// Check a foreign key.
    Key(Key),
}

#[derive(Default)]
struct State {
    rows: VecDeque<Rows>,
    builds: Vec<Build>,
    /// How many tasks of rows a table still waits for.
    loading: HashMap<usize, usize>,
    /// How many sessions load into a table now.
    busy: HashMap<usize, usize>,
    /// The tables that a session loads alone now.
    whole: HashSet<usize>,
    /// Somebody asked for rows that indexes wait for when none were left to be given out.
    hungry: bool,
    /// The builds that run.
    building: Vec<Build>,
    keys: Vec<Key>,
    /// The keys that are being checked.
    checking: Vec<Key>,
}

impl State {
    /// Rows of such a table. Two sessions that load into one table wait for each other now and then, as both make its file longer: as long as there are
    /// other tables, they do not meet.
    fn take_rows(&mut self, such: impl Fn(usize) -> bool) -> Option<Rows> {
        let alone = self.rows.iter().position(|rows| such(rows.table) && !self.busy.contains_key(&rows.table));
        let rows = self.rows.remove(alone.or_else(|| self.rows.iter().position(|rows| such(rows.table)))?)?;
        *self.busy.entry(rows.table).or_default() += 1;
        if rows.whole {
            self.whole.insert(rows.table);
        }
        Some(rows)
    }

    fn may_check(&self, key: &Key) -> bool {
        let of_build = |build: &Build| key.is_of(build.table);
        !self.loading.keys().any(|table| key.is_of(*table))
            && !self.builds.iter().any(of_build)
            && !self.building.iter().any(of_build)
            && !self.checking.iter().any(|other| other.locks_out(key))
    }
}

/// The queue.
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// The bytes of each table's rows.
    bytes: HashMap<usize, u128>,
    /// The tables that have indexes to be built.
    indexed: HashSet<usize>,
    jobs: usize,
}

impl Queue {
    /// A queue of all units, of these builds, and of these keys.
    pub fn new(units: &[Unit], builds: Vec<Build>, keys: Vec<Key>, jobs: usize) -> Self {
        let mut rows: Vec<Rows> = verify::units_of(units).into_iter().map(|(table, units)| Rows { table: table as usize, units, whole: true }).collect();
        // The largest first: it is what everything else waits for in the end.
        rows.sort_by_key(|rows| std::cmp::Reverse(rows.bytes()));
        let rows = VecDeque::from(rows);
        let (mut loading, mut bytes) = (HashMap::new(), HashMap::new());
        for part in &rows {
            loading.insert(part.table, 1);
            bytes.insert(part.table, u128::from(part.bytes()));
        }
        let indexed = builds.iter().map(|build| build.table).collect();
        let state = Mutex::new(State { rows, builds, keys, loading, ..State::default() });
        Queue { state, changed: Condvar::new(), bytes, indexed, jobs }
    }

    /// How many sessions can have something to do at most.
    pub fn width(&self) -> usize {
        let state = self.state();
        let runs = state.rows.iter().map(|rows| usize::try_from(rows.bytes().div_ceil(RUN_BYTES)).unwrap_or(usize::MAX).max(1));
        runs.fold(0, usize::saturating_add).max(state.builds.len())
    }

    /// The next thing to do, or nothing where nothing is left or the run is stopped. It waits for what others have to finish first.
    pub fn next(&self, stop: &Stop) -> Option<Task> {
        let mut state = self.state();
        while stop.reason().is_none() {
            // What indexes wait for comes first.
            if let Some(rows) = state.take_rows(|table| self.indexed.contains(&table)) {
                return Some(Task::Rows(rows));
            }
            state.hungry = !state.whole.is_empty();
            let free = |build: &Build| !state.loading.contains_key(&build.table) && !state.building.iter().any(|other| other.locks_out(build));
            if let Some(place) = state.builds.iter().position(free) {
                let build = state.builds.remove(place);
                state.building.push(build.clone());
                // What runs already may end before this one does: only what nobody has begun yet keeps the other sessions busy for sure.
                let beside = state.builds.iter().filter(|other| !other.locks_out(&build));
                let serial = beside.map(|other| self.work(other)).sum::<u128>() >= self.work(&build) * self.jobs as u128;
                return Some(Task::Build { build, serial });
            }
            // Rows that no index waits for fill up the time in which the last indexes are built elsewhere.
            if let Some(rows) = state.take_rows(|_| true) {
                return Some(Task::Rows(rows));
            }
            // Keys fill up the time in which indexes are built elsewhere and none can be built here. All others are checked in the end, beside what
            // else there is to do then, and so is a key that would take longer than what is built: everybody would wait for it. Rows that one session
            // loads alone may come back to be shared.
            if state.builds.is_empty() && state.building.is_empty() && state.whole.is_empty() {
                return None;
            }
            let building: u128 = state.builds.iter().chain(&state.building).map(|build| self.work(build)).sum();
            if let Some(place) = state.keys.iter().position(|key| state.may_check(key) && self.reads(key) <= building) {
                let key = state.keys.remove(place);
                state.checking.push(key.clone());
                return Some(Task::Key(key));
            }
            if state.builds.is_empty() && state.keys.is_empty() && state.whole.is_empty() {
                return None;
            }
            state = match self.changed.wait_timeout(state, LOOK) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        None
    }

    /// Whether a session that loads a whole table should leave these units, the rest of it, since somebody has nothing better to do.
    pub fn wants(&self, table: usize, rest: &[Unit]) -> bool {
        let state = self.state();
        let better = |rows: &Rows| self.indexed.contains(&rows.table) || !self.indexed.contains(&table);
        // The cheapest first: this is asked before each unit.
        state.hungry && !state.rows.iter().any(better) && bytes(rest) >= RUN_BYTES
    }

    /// Rows of a table were loaded, all that were given out but for `rest`, which is for whoever has nothing to load.
    pub fn loaded(&self, table: usize, rest: &[Unit]) {
        let mut state = self.state();
        let State { rows, loading, busy, whole, hungry, .. } = &mut *state;
        whole.remove(&table);
        if !rest.is_empty() {
            let runs = runs(table, rest);
            *hungry = false;
            *loading.entry(table).or_default() += runs.len();
            rows.extend(runs);
        }
        for count in [loading, busy] {
            if let Some(left) = count.get_mut(&table) {
                *left -= 1;
                if *left == 0 {
                    count.remove(&table);
                }
            }
        }
        self.changed.notify_all();
    }

    /// Indexes were built.
    pub fn built(&self, build: &Build) {
        let mut state = self.state();
        state.building.retain(|running| running != build);
        self.changed.notify_all();
    }

    /// A foreign key was checked.
    pub fn checked(&self, key: &Key) {
        let mut state = self.state();
        state.checking.retain(|running| running != key);
        self.changed.notify_all();
    }

    /// The keys that nobody took.
    pub fn left(self) -> Vec<Key> {
        self.state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).keys
    }

    /// How much work indexes are, in bytes of rows that have to be read for them.
    fn work(&self, build: &Build) -> u128 {
        self.bytes.get(&build.table).copied().unwrap_or_default() * build.entries.len() as u128
    }

    /// How many bytes of rows a key has to read.
    fn reads(&self, key: &Key) -> u128 {
        key.tables.iter().filter_map(|table| self.bytes.get(table)).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Units of a table, in pieces for sessions that share it.
fn runs(table: usize, units: &[Unit]) -> Vec<Rows> {
    let mut runs: Vec<Rows> = Vec::new();
    for unit in units {
        match runs.last_mut() {
            Some(run) if run.bytes() + unit.bytes <= RUN_BYTES => run.units.push(*unit),
            _ => runs.push(Rows { table, units: vec![*unit], whole: false }),
        }
    }
    runs
}

#[cfg(test)]
mod tests;
