//! What belongs to a table: which entries of the archive come with it, which are other objects' own and need it.
//! It owns that judgement, made of OIDs and the archive's dependencies; it leaves to `rehearsal` what the target lacks. Pure.
//! Invariant: an entry is known by its OID or by what it needs, never by a part of a name.

use crate::postgres::contents::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Entries of the archive, by their numbers, each list in the archive's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Belongings {
    /// What belongs to the tables, but for rights, foreign keys and late attachments.
    pub own: Vec<u32>,
    /// Rights on the tables, their columns and their sequences.
    pub rights: Vec<u32>,
    /// Their foreign keys, and other tables' that lead to them, with comments.
    pub keys: Vec<u32>,
    /// What joins them to parents that are not among them: last, because it takes the parents' indexes along.
    pub late: Vec<u32>,
    /// Other objects that need them, views for instance, and what needs those.
    pub dependents: Vec<u32>,
}

/// What follows an object and has no OID of its own, or one that only the server's own catalogues know.
const SATELLITES: [&str; 8] =
    ["ACL ", "COMMENT ", "SECURITY LABEL ", "SEQUENCE SET ", "SEQUENCE OWNED BY ", "ROW SECURITY ", "PUBLICATION TABLE ", "STATISTICS DATA "];

/// Objects of others that go when the table goes.
const DEPENDENTS: [&str; 11] =
    ["VIEW ", "MATERIALIZED VIEW ", "TABLE ", "FOREIGN TABLE ", "FUNCTION ", "PROCEDURE ", "AGGREGATE ", "DEFAULT ", "RULE ", "POLICY ", "TRIGGER "];

fn is_one_of(entry: &Entry, kinds: &[&str]) -> bool {
    kinds.iter().any(|kind| entry.rest.starts_with(kind)) && !entry.is_attachment() && !entry.is_table_data() && !entry.is_refresh()
}

/// What belongs to tables, of which these are the objects: pairs of catalogue and OID. The archive is listed with its dependencies.
pub fn belongings(archive: &[Entry], objects: &HashSet<(u32, u32)>) -> Belongings {
    let is_object = |entry: &Entry| entry.catalogue != 0 && entry.oid != 0 && objects.contains(&(entry.catalogue, entry.oid));
    let mut members: BTreeSet<u32> = archive.iter().filter(|entry| is_object(entry)).map(|entry| entry.id).collect();
    for id in made_by_attaching(archive, &members) {
        members.remove(&id);
    }
    // What follows an object may be followed by something itself: rights on a column come after those on its table.
    loop {
        let follows = |entry: &&Entry| !members.contains(&entry.id) && is_one_of(entry, &SATELLITES) && needs_any(entry, &members);
        let found: Vec<u32> = archive.iter().filter(follows).map(|entry| entry.id).collect();
        if found.is_empty() {
            break;
        }
        members.extend(found);
    }
    let (mut belongings, mut gone, mut keys) = (Belongings::default(), members.clone(), BTreeSet::new());
    let by_id: HashMap<u32, &Entry> = archive.iter().map(|entry| (entry.id, entry)).collect();
    let needed = |entry: &Entry| entry.needs.iter().filter_map(|id| by_id.get(id).copied()).collect::<Vec<&Entry>>();
    for entry in archive {
        let is_member = |other: &&Entry| members.contains(&other.id);
        if entry.is_foreign_key() && (members.contains(&entry.id) || needs_any(entry, &members)) {
            keys.insert(entry.id);
            belongings.keys.push(entry.id);
        } else if is_one_of(entry, &SATELLITES) && needs_any(entry, &keys) {
            belongings.keys.push(entry.id);
        } else if entry.is_index_attachment() {
            let indexes: Vec<&Entry> = needed(entry).into_iter().filter(|other| other.is_index()).collect();
            if !indexes.is_empty() && indexes.iter().all(is_member) {
                belongings.own.push(entry.id);
            }
        } else if entry.is_attachment() {
            let (child, parents): (Vec<&Entry>, Vec<&Entry>) =
                needed(entry).into_iter().filter(|other| other.is_table()).partition(|other| attaches(entry, other));
            if child.iter().any(is_member) {
                let with_parents = parents.iter().all(is_member);
                if with_parents { &mut belongings.own } else { &mut belongings.late }.push(entry.id);
            }
        } else if members.contains(&entry.id) {
            if entry.rest.starts_with("ACL ") { &mut belongings.rights } else { &mut belongings.own }.push(entry.id);
        } else if is_one_of(entry, &DEPENDENTS) && needs_any(entry, &gone) {
            gone.insert(entry.id);
            belongings.dependents.push(entry.id);
        }
    }
    belongings
}

fn needs_any(entry: &Entry, ids: &BTreeSet<u32>) -> bool {
    entry.needs.iter().any(|id| ids.contains(id))
}

/// What the attachment of a partition says of it: schema, name and owner. Its table says the same of itself.
fn attached(entry: &Entry) -> Option<&str> {
    entry.rest.strip_prefix("TABLE ATTACH ")
}

/// Whether the attachment is that of this table.
fn attaches(attachment: &Entry, table: &Entry) -> bool {
    attached(attachment).is_some_and(|named| Some(named) == table.rest.strip_prefix("TABLE "))
}

/// The indexes of partitions that the server makes by itself: pg_dump 13 attaches a partition where it creates it, so that its parent's indexes come
/// along, where the parent is there already.
fn made_by_attaching(archive: &[Entry], members: &BTreeSet<u32>) -> Vec<u32> {
    let by_id: HashMap<u32, &Entry> = archive.iter().map(|entry| (entry.id, entry)).collect();
    let attached: HashSet<&str> = archive.iter().filter_map(attached).collect();
    let mut made = Vec::new();
    for entry in archive.iter().filter(|entry| entry.is_index_attachment()) {
        let (own, others): (Vec<&Entry>, Vec<&Entry>) =
            entry.needs.iter().filter_map(|id| by_id.get(id).copied()).filter(|other| other.is_index()).partition(|other| members.contains(&other.id));
        let Some(index) = own.first().filter(|_| !others.is_empty()) else { continue };
        let mut tables = index.needs.iter().filter(|id| members.contains(id)).filter_map(|id| by_id.get(id)).filter(|other| other.is_table());
        if tables.any(|table| table.rest.strip_prefix("TABLE ").is_some_and(|named| !attached.contains(named))) {
            made.push(index.id);
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::contents::parse;

    #[test]
    fn by_oid_and_by_need_and_by_no_name() {
        let archive = parse(
            "10; 1259 100 TABLE public orders o\n11; 1259 101 TABLE public orders_archive o\n;\tdepends on: 10\n12; 1259 102 SEQUENCE public orders_archive_id_seq o\n;\tdepends on: 11
13; 1259 103 SEQUENCE public old_name_id_seq o\n;\tdepends on: 10\n14; 0 0 SEQUENCE OWNED BY public old_name_id_seq o\n;\tdepends on: 13
20; 0 0 ACL public TABLE orders o\n;\tdepends on: 10\n21; 0 0 ACL public COLUMN orders.id o\n;\tdepends on: 10 20\n22; 0 0 COMMENT public TABLE orders_archive o\n;\tdepends on: 11
30; 1259 104 VIEW public v o\n;\tdepends on: 10\n31; 1259 105 VIEW public w o\n;\tdepends on: 30\n40; 0 100 TABLE DATA public orders o\n;\tdepends on: 10
41; 0 0 SEQUENCE SET public old_name_id_seq o\n;\tdepends on: 13\n42; 0 0 SEQUENCE SET public orders_archive_id_seq o\n;\tdepends on: 12
50; 2606 106 CONSTRAINT public orders orders_pkey o\n;\tdepends on: 10\n51; 0 0 COMMENT public INDEX orders_pkey o\n;\tdepends on: 50
60; 2606 107 FK CONSTRAINT public lines lines_fkey o\n;\tdepends on: 50 10 70\n63; 0 0 COMMENT public CONSTRAINT lines_fkey ON lines o\n;\tdepends on: 60\n61; 6106 108 PUBLICATION TABLE public p orders o\n;\tdepends on: 10 62\n",
        )
        .unwrap();
        let found = belongings(&archive, &HashSet::from([(1259, 100), (1259, 103), (2606, 106)]));
        let expected = Belongings {
            own: vec![10, 13, 14, 41, 50, 51, 61],
            rights: vec![20, 21],
            keys: vec![60, 63],
            late: vec![],
            // The archive of orders inherits from it.
            dependents: vec![11, 30, 31],
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn partitions_join_parents_that_are_there_at_the_end() {
        let archive = parse(
            "10; 1259 100 TABLE public par o\n11; 1259 101 TABLE public par1 o\n12; 0 0 TABLE ATTACH public par1 o\n;\tdepends on: 11 10
20; 2606 102 CONSTRAINT public par par_pkey o\n;\tdepends on: 10\n21; 2606 103 CONSTRAINT public par1 par1_pkey o\n;\tdepends on: 20 11\n22; 0 0 INDEX ATTACH public par1_pkey o\n;\tdepends on: 21 20 11 10\n",
        )
        .unwrap();
        let child = [(1259, 101), (2606, 103)];
        let alone = belongings(&archive, &HashSet::from(child));
        assert_eq!((alone.own, alone.late), (vec![11, 21], vec![12]));
        let both = belongings(&archive, &child.into_iter().chain([(1259, 100), (2606, 102)]).collect());
        assert_eq!((both.own, both.late), (vec![10, 11, 12, 20, 21, 22], vec![]));
        // As pg_dump 13 has it: the table's own entry attaches it.
        let old: Vec<Entry> = archive.into_iter().filter(|entry| entry.id != 12).collect();
        assert_eq!(belongings(&old, &HashSet::from(child)).own, [11]);
    }
}
