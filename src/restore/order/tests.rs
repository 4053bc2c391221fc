//! Which part an entry comes into, and that nothing comes before what it needs.

use super::*;
use crate::postgres::contents::parse;
use proptest::prelude::*;

fn table(name: &str, bytes: u64, objects: &[(u32, u32)]) -> Table {
    Table {
        schema: "public".into(),
        name: name.into(),
        columns: Vec::new(),
        condition: None,
        moved_by: Mover::Units,
        rows: 1,
        bytes,
        digest: String::new(),
        units: 1,
        objects: objects.to_vec(),
    }
}

fn plan(listing: &str, tables: &[Table]) -> Order {
    let archive = parse(listing).unwrap();
    let section = archive.iter().filter(|entry| !entry.is_table()).map(|entry| entry.id).collect();
    order(&archive, &section, tables, &HashSet::new(), &[])
}

#[test]
fn every_kind_finds_its_part() {
    let tables = [
        table("small", LARGE - 1, &[(1259, 10), (1259, 11)]),
        table("large", LARGE, &[(1259, 20), (2606, 21), (1259, 22)]),
        table("huge", HUGE, &[(1259, 30), (2606, 31), (1259, 32), (1259, 33)]),
    ];
    let listing = "1; 1259 11 INDEX public small_i o\n2; 1259 22 INDEX public large_i o\n3; 2606 21 CONSTRAINT public large large_pkey o\n\
        4; 1259 32 INDEX public huge_a o\n5; 1259 33 INDEX public huge_b o\n6; 2606 31 CONSTRAINT public huge huge_pkey o\n\
        7; 0 0 COMMENT public INDEX huge_a o\n;\tdepends on: 4\n8; 2620 90 TRIGGER public large t o\n9; 0 0 INDEX ATTACH public p_i o\n;\tdepends on: 4\n\
        10; 2606 91 FK CONSTRAINT public large large_fk o\n;\tdepends on: 6\n11; 0 0 COMMENT public CONSTRAINT large_fk ON large o\n;\tdepends on: 10\n\
        12; 0 92 MATERIALIZED VIEW DATA public v o\n13; 0 93 MATERIALIZED VIEW DATA public w o\n;\tdepends on: 12\n14; 3466 94 EVENT TRIGGER - e o\n\
        15; 0 0 COMMENT - EVENT TRIGGER e o\n;\tdepends on: 14\n";
    let order = plan(listing, &tables);
    let build = |table, alone, entries: &[u32]| Build { table, alone, entries: entries.to_vec() };
    // The largest table first, and of its indexes the one that locks the others out; those of a table that is not huge together.
    assert_eq!(order.builds, [build(2, true, &[6]), build(2, false, &[4]), build(2, false, &[5]), build(1, true, &[2, 3])]);
    assert_eq!((order.rest, order.turn, order.keys, order.views, order.last), (vec![1, 7, 8], vec![9], vec![10], vec![12, 13], vec![11, 14, 15]));
}

#[test]
fn a_key_between_tables_of_units_can_be_early() {
    let mut tables = [
        table("users", HUGE, &[(1259, 10), (2606, 11)]),
        table("shots", 3 * HUGE, &[(1259, 20), (2606, 21)]),
        table("small", 5, &[(1259, 30), (2606, 31)]),
        table("others", HUGE, &[(1259, 40), (2606, 41)]),
    ];
    tables[3].moved_by = Mover::PgDump;
    let listing = "1; 1259 10 TABLE public users o\n2; 1259 20 TABLE public shots o\n3; 1259 30 TABLE public small o\n4; 1259 40 TABLE public others o\n\
        5; 1259 50 TABLE public parent o\n11; 2606 11 CONSTRAINT public users users_pkey o\n;\tdepends on: 1\n12; 2606 21 CONSTRAINT public shots shots_pkey o\n\
        13; 2606 31 CONSTRAINT public small small_pkey o\n21; 2606 90 FK CONSTRAINT public small to_users o\n;\tdepends on: 1 3 11\n\
        22; 2606 91 FK CONSTRAINT public shots to_users o\n;\tdepends on: 11 1 2\n23; 2606 92 FK CONSTRAINT public shots to_self o\n;\tdepends on: 2 12\n\
        24; 2606 93 FK CONSTRAINT public shots to_small o\n;\tdepends on: 2 3 13\n25; 2606 94 FK CONSTRAINT public others to_users o\n;\tdepends on: 4 1 11\n\
        26; 2606 95 FK CONSTRAINT public parent to_users o\n;\tdepends on: 5 1 11\n27; 2606 96 FK CONSTRAINT public unknown to_users o\n;\tdepends on: 11\n\
        28; 0 0 COMMENT public CONSTRAINT to_self ON shots o\n;\tdepends on: 23\n";
    let order = plan(listing, &tables);
    let early: Vec<(u32, Vec<usize>)> = order.early_keys.iter().map(|key| (key.entry, key.tables.iter().copied().collect())).collect();
    // The largest first.
    assert_eq!(early, [(22, vec![0, 1]), (23, vec![1]), (21, vec![0, 2])]);
    // One waits for a small table's key, one for rows that pg_dump moved; of the last two it is not known what they lock.
    assert_eq!((order.keys, order.rest, order.last), (vec![24, 25, 26, 27], vec![13], vec![28]));
}

#[test]
fn an_index_that_needs_something_of_its_section_waits_for_it() {
    // A function that needs a primary key stands behind it, and so does an index that calls the function.
    let tables = [table("huge", HUGE, &[(2606, 31), (1259, 32)])];
    let order = plan(
        "1; 2606 31 CONSTRAINT public huge huge_pkey o\n2; 1255 40 FUNCTION public f() o\n;\tdepends on: 1\n3; 1259 32 INDEX public i o\n;\tdepends on: 2\n",
        &tables,
    );
    assert_eq!(order.builds.iter().flat_map(|build| build.entries.clone()).collect::<Vec<_>>(), [1]);
    assert_eq!(order.rest, [2, 3]);
}

#[test]
fn indexes_join_their_parents_one_after_the_other_and_keys_wait_for_them() {
    let order = plan(
        "1; 1259 10 INDEX public p_i o\n2; 1259 11 INDEX public c_i o\n3; 0 0 INDEX ATTACH public c_i o\n;\tdepends on: 1 2\n4; 0 0 COMMENT public INDEX p_i o\n;\tdepends on: 3\n\
        5; 2606 91 FK CONSTRAINT public t t_fk o\n;\tdepends on: 3\n",
        &[],
    );
    assert_eq!((order.rest, order.turn, order.late, order.keys), (vec![1, 2], vec![3], vec![4], vec![5]));
}

#[test]
fn what_calls_functions_waits_for_all_rows_and_so_does_what_is_of_tables_in_turn() {
    let tables = [table("huge", HUGE, &[(1259, 10), (2606, 11)]), table("turn", HUGE, &[(1259, 20), (1259, 21)])];
    let archive = parse(
        "1; 1255 40 FUNCTION public f() o\n2; 1259 10 TABLE public huge o\n3; 1259 20 TABLE public turn o\n4; 2606 11 CONSTRAINT public huge huge_pkey o\n;\tdepends on: 2\n\
        5; 1259 10 INDEX public calls o\n;\tdepends on: 2 1\n6; 2606 11 CONSTRAINT public huge excludes o\n;\tdepends on: 2 1\n7; 0 0 COMMENT public CONSTRAINT excludes o\n;\tdepends on: 6\n\
        8; 1259 21 INDEX public turn_i o\n;\tdepends on: 3\n9; 2606 90 FK CONSTRAINT public turn to_huge o\n;\tdepends on: 2 3 4\n10; 2606 91 CHECK CONSTRAINT public turn late o\n;\tdepends on: 3 1\n11; 2606 12 CONSTRAINT public huge excludes_too o\n;\tdepends on: 2\n",
    )
    .unwrap();
    let order = order(&archive, &(4..=11).collect(), &tables, &HashSet::from([1]), &[(2606, 12)]);
    assert_eq!(order.builds.iter().flat_map(|build| build.entries.clone()).collect::<Vec<_>>(), [4]);
    assert_eq!((order.rest, order.turn, order.late, order.keys), (vec![5, 8], vec![6, 10, 11], vec![7], vec![9]));
    assert!(order.early_keys.is_empty());
}

#[test]
fn rows_that_pg_dump_moved_are_not_there_yet() {
    let mut tables = [table("large", HUGE, &[(1259, 20)])];
    tables[0].moved_by = Mover::PgDump;
    assert_eq!(plan("1; 1259 20 INDEX public i o\n", &tables).rest, [1]);
}

/// What an entry is, and which of those before it it needs.
fn entries() -> impl Strategy<Value = Vec<(usize, Vec<prop::sample::Index>)>> {
    prop::collection::vec((0..9_usize, prop::collection::vec(any::<prop::sample::Index>(), 0..4)), 1..40)
}

proptest! {
    #[test]
    fn nothing_is_lost_or_comes_before_what_it_needs(kinds in entries()) {
        const KINDS: [&str; 9] = ["1259 20 INDEX public i o", "2606 30 CONSTRAINT public t c o", "1259 99 INDEX public j o", "2606 91 FK CONSTRAINT public t f o",
            "0 92 MATERIALIZED VIEW DATA public v o", "3466 94 EVENT TRIGGER - e o", "0 0 COMMENT public x o", "1255 40 FUNCTION public f() o", "0 0 INDEX ATTACH public p_i o"];
        let tables = [table("large", LARGE, &[(1259, 10), (1259, 20)]), table("huge", HUGE, &[(1259, 11), (2606, 30)])];
        let mut archive = parse("1001; 1259 10 TABLE public large o\n1002; 1259 11 TABLE public huge o\n1003; 1259 12 TABLE public unknown o\n").unwrap();
        let entries: Vec<Entry> = kinds.iter().enumerate().map(|(place, (kind, needs))| {
            let mut entry = parse(&format!("{}; {}\n", place + 1, KINDS[*kind])).unwrap().remove(0);
            entry.needs = if place == 0 { Vec::new() } else { needs.iter().map(|need| need.index(place) as u32 + 1).collect() };
            if *kind == 3 {
                entry.needs.extend(needs.iter().map(|need| 1001 + need.index(7) as u32 / 3));
            }
            entry
        }).collect();
        archive.extend(entries.iter().cloned());
        let section = entries.iter().map(|entry| entry.id).collect();
        let order = order(&archive, &section, &tables, &HashSet::new(), &[]);
        // Stages: builds, rest, attachments, what needs those, keys beside views, last. Beside each other nothing may need the other part.
        let mut stage = HashMap::new();
        for (build, entries) in order.builds.iter().map(|build| &build.entries).enumerate() {
            stage.extend(entries.iter().map(|id| (*id, (0, build))));
        }
        // An early key may come as early as its tables' builds are done, and as late as the other keys.
        for key in &order.early_keys {
            let entry = &entries[key.entry as usize - 1];
            for need in entry.needs.iter().filter(|need| **need <= 1000) {
                prop_assert!(order.builds.iter().any(|build| key.is_of(build.table) && build.entries.contains(need)), "{} needs {need}", key.entry);
            }
            prop_assert!(!key.tables.is_empty() && !entry.needs.contains(&1003));
        }
        let all_keys: Vec<u32> = order.keys.iter().copied().chain(order.early_keys.iter().map(|key| key.entry)).collect();
        for (number, (part, ids)) in [(1, &order.rest), (2, &order.turn), (3, &order.late), (4, &all_keys), (4, &order.views), (5, &order.last)].into_iter().enumerate() {
            stage.extend(ids.iter().map(|id| (*id, (part, 100 + number))));
        }
        let listed = order.builds.iter().map(|build| build.entries.len()).sum::<usize>() + order.rest.len() + order.turn.len() + order.late.len() + all_keys.len() + order.views.len() + order.last.len();
        prop_assert_eq!((listed, stage.len()), (entries.len(), entries.len()));
        for entry in &entries {
            for need in entry.needs.iter().filter(|need| **need <= 1000) {
                let (own, needed) = (stage[&entry.id], stage[need]);
                prop_assert!(needed.0 < own.0 || needed == own && own.0 > 0, "{} in {own:?} needs {need} in {needed:?}", entry.id);
            }
        }
    }
}
