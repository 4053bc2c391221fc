//! What has to wait in a restore because functions that are not built in may read other tables: rows of tables that come in turn, and what is built or
//! checked with such functions.
//! It owns finding that out; for tables the manifest tells, for backups of before and for everything else the archive's own table of contents.
//! Invariant: what it finds too much costs time; too little would cost rows. Pure.

use crate::manifest::{Manifest, Mover};
use crate::postgres::contents::{Entry, Rows};
use std::collections::{HashMap, HashSet};

/// The order of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turns {
    /// The places in the manifest of the tables whose units are loaded after all others, one table after the other, in this order.
    pub tables: Vec<usize>,
    /// Entries of the archive that hold rows and come before all units.
    pub first: Vec<u32>,
    /// The entries of the archive's data section that come after all units. None: all of the section.
    pub last: Option<Vec<u32>>,
}

/// The order for this archive and the listing of its data section.
pub fn turns(manifest: &Manifest, archive: &[Entry], section: &[Entry]) -> Turns {
    let calls = Calls::of(archive);
    let tables = match &manifest.in_turn {
        Some(places) => places.iter().map(|place| *place as usize).filter(|place| manifest.tables[*place].moved_by == Mover::Units).collect(),
        None => {
            let calling: HashSet<u32> = archive.iter().filter(|entry| entry.is_table() && calls.calls(entry)).map(|entry| entry.oid).collect();
            // The manifest lists tables in the order in which pg_dump does: by the bytes of their schemas' names and their own.
            let is_one = |place: &usize| manifest.tables[*place].objects.iter().any(|(catalogue, oid)| *catalogue == PG_CLASS && calling.contains(oid));
            (0..manifest.tables.len()).filter(|place| manifest.tables[*place].moved_by == Mover::Units && is_one(place)).collect()
        }
    };
    let mut rows = Rows::of(section);
    if manifest.in_turn.is_some() && !manifest.archive_comes_first() {
        rows.rows.clear();
    }
    if manifest.in_turn.is_none() {
        let by_id: HashMap<u32, &Entry> = archive.iter().map(|entry| (entry.id, entry)).collect();
        let waits = |id: &u32| by_id.get(id).is_none_or(|entry| entry.needs.iter().filter_map(|id| by_id.get(id)).any(|table| calls.calls(table)));
        if rows.rows.iter().any(waits) {
            rows.rows.clear();
        }
    }
    let last = (!rows.rows.is_empty()).then_some(rows.others);
    Turns { tables, first: rows.rows, last }
}

/// The OID of pg_class.
const PG_CLASS: u32 = 1259;

/// Which entries of an archive call functions that are not built in.
pub struct Calls<'a>(HashMap<u32, &'a Entry>);

impl<'a> Calls<'a> {
    /// Of an archive, listed with what its entries need.
    pub fn of(archive: &'a [Entry]) -> Self {
        Calls(archive.iter().map(|entry| (entry.id, entry)).collect())
    }

    /// Whether the entry needs such a function, itself or by an operator, a domain or another type. That of its table it is not: a table is needed for its
    /// rows. Functions of extensions are not in an archive, and read nothing but their extension's own tables.
    pub fn calls(&self, entry: &Entry) -> bool {
        let (mut seen, mut open) = (HashSet::new(), entry.needs.clone());
        while let Some(id) = open.pop() {
            let Some(needed) = self.0.get(&id).filter(|_| seen.insert(id)) else { continue };
            if needed.is_function() {
                return true;
            }
            if needed.is_part_of_expression() {
                open.extend(&needed.needs);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::contents::parse;

    #[test]
    fn what_calls_functions() {
        let archive = parse(
            "1; 1255 10 FUNCTION public f(text) o\n2; 2617 11 OPERATOR public ## o\n;\tdepends on: 1\n3; 1247 12 DOMAIN public d o\n;\tdepends on: 1\n\
            4; 1259 13 TABLE public t o\n;\tdepends on: 3\n5; 1259 14 TABLE public plain o\n6; 1259 15 INDEX public t_i o\n;\tdepends on: 4\n\
            7; 1259 16 INDEX public plain_i o\n;\tdepends on: 5 2\n8; 2606 17 CONSTRAINT public plain plain_x o\n;\tdepends on: 1 5\n9; 2616 18 OPERATOR CLASS public c o\n\
            10; 1259 19 INDEX public plain_c o\n;\tdepends on: 9 5\n11; 1259 20 TABLE public odd o\n;\tdepends on: 11 99\n",
        )
        .unwrap();
        let calls = Calls::of(&archive);
        let calling: Vec<u32> = archive.iter().filter(|entry| !entry.is_function() && calls.calls(entry)).map(|entry| entry.id).collect();
        assert_eq!(calling, [2, 3, 4, 7, 8, 10]);
    }
}
