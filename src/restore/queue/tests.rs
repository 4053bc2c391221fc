//! Who gets what: every unit once, whole tables where that is no loss, and no index before its rows or beside one that locks it out.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

fn unit(table: u32, number: u64, bytes: u64) -> Unit {
    Unit { table, offset: number, header: 1, body: 1, footer: 1, members: 1, rows: 1, bytes }
}

fn build(table: usize, alone: bool, entry: u32) -> Build {
    Build { table, alone, entries: vec![entry] }
}

#[test]
fn a_table_above_its_share_is_divided() {
    const MIB: u64 = 1 << 20;
    let units: Vec<Unit> = (0..100).map(|number| unit(u32::from(number >= 60), number, MIB)).collect();
    let whole = |jobs| divide(&units, jobs).iter().map(|rows| (rows.table, rows.whole, rows.units.len())).collect::<Vec<_>>();
    assert_eq!(whole(1), [(0, true, 60), (1, true, 40)]);
    assert_eq!(whole(2), [(0, false, 32), (0, false, 28), (1, true, 40)]);
    assert_eq!(whole(4), [(0, false, 32), (0, false, 28), (1, false, 32), (1, false, 8)]);
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
    queue.loaded(1);
    // Table 0 still loads: the others' indexes first, both at once.
    let (third, fourth) = (built(queue.next(&stop)), built(queue.next(&stop)));
    assert_eq!((third.entries[0], fourth.entries[0]), (3, 4));
    queue.loaded(0);
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

#[test]
fn sessions_share_a_table_only_where_nothing_else_is_left() {
    const PIECE: u64 = RUN_BYTES;
    let (stop, units) = (Stop::new(), [unit(0, 0, PIECE), unit(0, 1, PIECE), unit(0, 2, PIECE), unit(1, 3, 1), unit(2, 4, 1)]);
    let queue = Queue::new(&units, Vec::new(), Vec::new(), 2);
    let next = || match queue.next(&stop) {
        Some(Task::Rows(rows)) => rows.table,
        other => panic!("{other:?}"),
    };
    assert_eq!([next(), next(), next()], [0, 1, 2]);
    queue.loaded(1);
    assert_eq!(next(), 0);
    queue.loaded(0);
    queue.loaded(0);
    assert_eq!((next(), queue.next(&stop)), (0, None));
}

#[test]
fn an_index_is_divided_only_where_sessions_have_nothing_else_to_do() {
    let stop = Stop::new();
    let serial = |builds: Vec<Build>| -> Vec<bool> {
        let queue = Queue::new(&[unit(0, 0, 100), unit(1, 1, 30)], builds, Vec::new(), 2);
        for _ in 0..2 {
            let Some(Task::Rows(rows)) = queue.next(&stop) else { panic!("rows come first") };
            queue.loaded(rows.table);
        }
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
    queue.loaded(1);
    // Table 2 still loads, and table 1 has an index to be built first: no key can be checked.
    assert_eq!(taken(queue.next(&stop)), (1, 2));
    queue.loaded(2);
    assert_eq!(taken(queue.next(&stop)), (2, 14));
    queue.built(&build(1, true, 2));
    // One that shares a table with a key that is being checked has to wait, and so has one of a table that still loads.
    assert_eq!(taken(queue.next(&stop)), (2, 13));
    queue.checked(&key(&[2], 14));
    queue.checked(&key(&[1], 13));
    assert_eq!(taken(queue.next(&stop)), (2, 12));
    queue.loaded(0);
    assert_eq!(taken(queue.next(&stop)), (1, 1));
    // Nothing is built any more: what is left comes in the end.
    queue.built(&build(0, true, 1));
    assert_eq!(taken(queue.next(&stop)), (3, 0));
    queue.checked(&key(&[1, 2], 12));
    assert_eq!(queue.left(), [key(&[0, 1], 11)]);
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
    fn every_unit_once_and_whole_tables_in_one_piece(sizes in prop::collection::vec((0..6_u32, 1..(60_u64 << 20)), 0..60), jobs in 1..20_usize) {
        let units: Vec<Unit> = sizes.iter().enumerate().map(|(number, (table, bytes))| unit(*table, number as u64, *bytes)).collect();
        let parts = divide(&units, jobs);
        let mut seen: Vec<Unit> = parts.iter().flat_map(|part| part.units.clone()).collect();
        seen.sort_by_key(|unit| unit.offset);
        prop_assert_eq!(seen, units);
        let mut whole = HashSet::new();
        for part in &parts {
            prop_assert!(!part.units.is_empty() && part.units.iter().all(|unit| unit.table as usize == part.table));
            prop_assert!(part.whole || part.units.len() == 1 || part.units.iter().map(|unit| unit.bytes).sum::<u64>() <= RUN_BYTES);
            prop_assert!(!part.whole || whole.insert(part.table));
        }
        prop_assert!(parts.iter().all(|part| part.whole == whole.contains(&part.table)));
    }
}
