//! Who gets what: every unit once, whole tables where that is no loss, and no index before its rows or beside one that locks it out.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

fn unit(table: u32, number: u64, bytes: u64) -> Unit {
    Unit { table, offset: number, header: 1, body: 1, footer: 1, members: 1, rows: 1, bytes, sha256: None }
}

fn build(table: usize, alone: bool, entry: u32) -> Build {
    Build { table, alone, entries: vec![entry] }
}

#[test]
fn an_index_comes_after_its_rows_and_constraints_stand_alone() {
    let stop = Stop::new();
    let queue = Queue::new(&[unit(0, 0, 5), unit(1, 1, 4)], vec![build(0, true, 1), build(0, false, 2), build(1, false, 3), build(1, false, 4)], Vec::new(), 2);
    let rows = |task: Option<Task>| match task {
        Some(Task::Rows(rows)) => rows.table,
        other => panic!("{other:?}"),
    };
    let built = |task: Option<Task>| match task {
        Some(Task::Build { build, .. }) => build,
        other => panic!("{other:?}"),
    };
    assert_eq!((rows(queue.next(&stop)), rows(queue.next(&stop))), (0, 1));
    queue.loaded(1, &[]);
    // Table 0 still loads: the others' indexes first, both at once.
    let (third, fourth) = (built(queue.next(&stop)), built(queue.next(&stop)));
    assert_eq!((third.entries[0], fourth.entries[0]), (3, 4));
    queue.loaded(0, &[]);
    let first = built(queue.next(&stop));
    assert_eq!(first.entries, [1]);
    queue.built(&third);
    queue.built(&fourth);
    // The last one has to wait for the constraint beside it.
    std::thread::scope(|scope| {
        let last = scope.spawn(|| built(queue.next(&stop)));
        std::thread::sleep(LOOK * 2);
        assert!(!last.is_finished());
        queue.built(&first);
        assert_eq!(last.join().unwrap().entries, [2]);
    });
    assert_eq!(queue.next(&stop), None);
}

fn rows(task: Option<Task>) -> Rows {
    match task {
        Some(Task::Rows(rows)) => rows,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sessions_share_a_table_only_where_nothing_else_is_left() {
    const PIECE: u64 = RUN_BYTES;
    let units = [unit(0, 0, PIECE), unit(0, 1, PIECE), unit(0, 2, PIECE / 2), unit(0, 3, PIECE / 2), unit(1, 4, 1), unit(2, 5, 1)];
    let builds = vec![build(0, true, 1), build(1, true, 2)];
    let (stop, queue) = (Stop::new(), Queue::new(&units, builds, Vec::new(), 2));
    assert_eq!(queue.width(), 5);
    let first = rows(queue.next(&stop));
    assert!((first.table, first.whole, first.units.len()) == (0, true, 4));
    let other = rows(queue.next(&stop));
    assert!((other.table, other.whole) == (1, true) && !queue.wants(0, &units[1..4]));
    queue.loaded(1, &[]);
    let Some(Task::Build { build: other, .. }) = queue.next(&stop) else { panic!("the rows of table 1 are there") };
    // Nothing indexed is left to be loaded: table 0 is wanted although there is a table without an index, which comes last.
    assert!(queue.wants(0, &units[1..4]));
    queue.built(&other);
    let other = rows(queue.next(&stop));
    assert!((other.table, other.whole) == (2, true));
    queue.loaded(2, &[]);
    std::thread::scope(|scope| {
        // Nothing is left for the second session: it waits for what the first one shares.
        let waits = scope.spawn(|| rows(queue.next(&stop)));
        while !queue.wants(0, &units[1..4]) {
            std::thread::yield_now();
        }
        // Too little to be worth it.
        assert!(!queue.wants(0, &units[2..3]));
        queue.loaded(0, &units[1..4]);
        let second = waits.join().unwrap();
        assert!((second.table, second.whole, second.units.as_slice()) == (0, false, &units[1..2]));
    });
    let third = rows(queue.next(&stop));
    assert!(!third.whole && third.units == units[2..4]);
    queue.loaded(0, &[]);
    // The index waits for the last run.
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| queue.next(&stop));
        std::thread::sleep(LOOK * 2);
        assert!(!waits.is_finished());
        queue.loaded(0, &[]);
        assert!(matches!(waits.join().unwrap(), Some(Task::Build { .. })));
    });
}

#[test]
fn who_waits_for_rows_that_never_come_ends() {
    let (stop, queue) = (Stop::new(), Queue::new(&[unit(0, 0, 5)], Vec::new(), Vec::new(), 2));
    assert!(rows(queue.next(&stop)).whole);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| queue.next(&stop));
        std::thread::sleep(LOOK * 2);
        assert!(!waits.is_finished());
        queue.loaded(0, &[]);
        assert_eq!(waits.join().unwrap(), None);
    });
}

#[test]
fn an_index_is_divided_only_where_sessions_have_nothing_else_to_do() {
    let stop = Stop::new();
    let serial = |builds: Vec<Build>| -> Vec<bool> {
        let queue = Queue::new(&[unit(0, 0, 100), unit(1, 1, 30)], builds, Vec::new(), 2);
        for _ in 0..2 {
            assert!(matches!(queue.next(&stop), Some(Task::Rows(_))));
        }
        queue.loaded(0, &[]);
        queue.loaded(1, &[]);
        let next = || match queue.next(&stop) {
            Some(Task::Build { build, serial }) => {
                queue.built(&build);
                Some(serial)
            }
            None => None,
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(next).collect()
    };
    // Two more of the table suffice for both sessions, one more does not, and one of the small table neither.
    assert_eq!(serial(vec![build(0, false, 1), build(0, false, 2), build(0, false, 3), build(1, false, 4)]), [true, false, false, false]);
    // Beside a constraint nothing can be built on its table, whatever waits.
    assert_eq!(serial(vec![build(0, true, 1), build(0, false, 2), build(0, false, 3), build(0, false, 4)]), [false, true, false, false]);
    // A small index is not divided while large ones wait.
    assert_eq!(serial(vec![build(1, true, 1), build(0, false, 2)]), [true, false]);
}

fn key(tables: &[usize], entry: u32) -> Key {
    Key { tables: tables.iter().copied().collect(), entry }
}

#[test]
fn keys_fill_the_time_while_others_build() {
    let stop = Stop::new();
    let keys = vec![key(&[0, 1], 11), key(&[1, 2], 12), key(&[1], 13), key(&[2], 14)];
    let queue = Queue::new(&[unit(0, 0, 9), unit(1, 1, 5), unit(2, 2, 4)], vec![build(0, true, 1), build(1, true, 2)], keys, 3);
    let taken = |task: Option<Task>| match task {
        Some(Task::Rows(rows)) => (0, rows.table as u32),
        Some(Task::Build { build, .. }) => (1, build.entries[0]),
        Some(Task::Key(key)) => (2, key.entry),
        None => (3, 0),
    };
    assert_eq!([taken(queue.next(&stop)), taken(queue.next(&stop)), taken(queue.next(&stop))], [(0, 0), (0, 1), (0, 2)]);
    queue.loaded(1, &[]);
    // Table 2 still loads, and table 1 has an index to be built first: no key can be checked.
    assert_eq!(taken(queue.next(&stop)), (1, 2));
    queue.loaded(2, &[]);
    assert_eq!(taken(queue.next(&stop)), (2, 14));
    queue.built(&build(1, true, 2));
    // One that shares a table with a key that is being checked has to wait, and so has one of a table that still loads.
    assert_eq!(taken(queue.next(&stop)), (2, 13));
    queue.checked(&key(&[2], 14));
    queue.checked(&key(&[1], 13));
    assert_eq!(taken(queue.next(&stop)), (2, 12));
    queue.loaded(0, &[]);
    assert_eq!(taken(queue.next(&stop)), (1, 1));
    // Nothing is built any more: what is left comes in the end.
    queue.built(&build(0, true, 1));
    assert_eq!(taken(queue.next(&stop)), (3, 0));
    queue.checked(&key(&[1, 2], 12));
    assert_eq!(queue.left(), [key(&[0, 1], 11)]);
}

#[test]
fn nobody_waits_for_a_key_that_takes_longer_than_what_is_built() {
    let stop = Stop::new();
    let queue = Queue::new(&[unit(0, 0, 9), unit(1, 1, 5)], vec![build(1, false, 1)], vec![key(&[0], 11)], 2);
    assert_eq!((rows(queue.next(&stop)).table, rows(queue.next(&stop)).table), (1, 0));
    queue.loaded(0, &[]);
    queue.loaded(1, &[]);
    assert!(matches!(queue.next(&stop), Some(Task::Build { .. })));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| queue.next(&stop));
        std::thread::sleep(LOOK * 2);
        assert!(!waits.is_finished());
        queue.built(&build(1, false, 1));
        assert_eq!(waits.join().unwrap(), None);
    });
    assert_eq!(queue.left(), [key(&[0], 11)]);
}

#[test]
fn who_waits_notices_a_stop() {
    let stop = Stop::new();
    let queue = Queue::new(&[unit(0, 0, 5)], vec![build(0, true, 1)], Vec::new(), 2);
    assert!(queue.next(&stop).is_some());
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| queue.next(&stop));
        stop.trip(crate::stop::Reason::Sibling);
        assert_eq!(waits.join().unwrap(), None);
    });
}

proptest! {
    #[test]
    fn every_unit_once_whoever_asks_when(sizes in prop::collection::vec((0..6_u32, 1..(60_u64 << 20)), 0..60), jobs in 1..6_usize, order in prop::collection::vec(0..6_usize, 0..200)) {
        let units: Vec<Unit> = sizes.iter().enumerate().map(|(number, (table, bytes))| unit(*table, number as u64, *bytes)).collect();
        let (stop, queue) = (Stop::new(), Queue::new(&units, Vec::new(), Vec::new(), jobs));
        // What each session loads: the rest of it, and whether it may be shared.
        let mut sessions: Vec<Option<Rows>> = vec![None; jobs];
        let (mut seen, mut frozen): (Vec<Unit>, HashSet<usize>) = (Vec::new(), HashSet::new());
        for session in order.into_iter().chain((0..jobs).cycle().take(jobs * 200)).map(|session| session % jobs) {
            match sessions[session].take() {
                // Nobody else may hold anything that could come back, or asking would wait for it.
                None if sessions.iter().flatten().all(|rows| !rows.whole) || !queue.state().rows.is_empty() => {
                    sessions[session] = queue.next(&stop).map(|task| rows(Some(task)));
                    if let Some(rows) = &sessions[session] {
                        prop_assert!(!rows.units.is_empty() && rows.units.iter().all(|unit| unit.table as usize == rows.table));
                        let fits = if rows.whole { frozen.insert(rows.table) } else { rows.units.len() == 1 || rows.bytes() <= RUN_BYTES };
                        prop_assert!(fits);
                        prop_assert!(rows.whole || sessions.iter().flatten().all(|other| other.table != rows.table || !other.whole));
                    }
                }
                None => queue.state().hungry = true,
                Some(mut rows) => {
                    seen.push(rows.units.remove(0));
                    let leaves = rows.whole && queue.wants(rows.table, &rows.units);
                    if rows.units.is_empty() || leaves { queue.loaded(rows.table, &rows.units) } else { sessions[session] = Some(rows) }
                }
            }
        }
        seen.sort_by_key(|unit| unit.offset);
        prop_assert_eq!(seen, units);
        let state = queue.state();
        prop_assert!(state.loading.is_empty() && state.busy.is_empty() && state.whole.is_empty());
    }
}
