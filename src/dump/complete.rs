//! Completeness: pg_dump's own table of contents against what Kluis moves, in every run.
//! It owns the comparison; the lists come from `snapshot` and from the archive.
//! Invariant: no table is missing and none is there twice; anything unexplained fails the dump.

use super::Job;
use super::snapshot::Snapshot;
use crate::error::{Error, Kind, Result};
use crate::postgres::{catalogue, contents};
use crate::repository::names;
use crate::units::listed;
use std::collections::BTreeSet;

/// How many tables are named in a warning.
const NAMED: usize = 20;

/// Fails unless each table of the archive has its rows moved by Kluis, or in the archive, or has none by nature.
pub fn check(job: &Job<'_>, snapshot: &mut Snapshot, warnings: &mut Vec<String>) -> Result<()> {
    let listing = job.pg_restore().arg("--list").arg(job.staging.path().join(names::SCHEMA)).output(1 << 30, job.stop)?;
    let entries = contents::parse(&crate::raw::text(&listing)).map_err(|why| Error::new(Kind::Failed, why))?;
    let tables: BTreeSet<u32> = entries.iter().filter(|entry| entry.is_table()).map(|entry| entry.oid).collect();
    let data: BTreeSet<u32> = entries.iter().filter(|entry| entry.is_table_data()).map(|entry| entry.oid).collect();
    let moved: BTreeSet<u32> = snapshot.plain.iter().map(|table| table.oid).collect();

    let named = |oid: &u32| snapshot.plain.iter().find(|table| table.oid == *oid).map_or_else(|| format!("oid {oid}"), |table| table.qualified());
    if let Some(twice) = moved.intersection(&data).next() {
        return Err(incomplete(format!("the rows of table {} would be in the backup twice", named(twice))));
    }
    if let Some(undefined) = moved.difference(&tables).next() {
        return Err(incomplete(format!("pg_dump does not define table {}", named(undefined))));
    }
    // Rows that pg_dump moves are counted and digested as well: each of them must be known to us.
    let counted: BTreeSet<u32> = snapshot.special.iter().flat_map(|special| special.leaves.iter().map(|(oid, _)| *oid).chain([special.table.oid])).collect();
    let unexplained: Vec<u32> = tables.difference(&moved).filter(|oid| !(data.contains(oid) && counted.contains(oid))).copied().collect();
    let mut left_out = Vec::new();
    for (oid, kind, name) in catalogue::kinds(&mut snapshot.session, &unexplained)? {
        match kind.as_str() {
            // Partitioned tables and foreign tables hold no rows of their own.
            "pp" | "pu" | "fp" => {}
            _ if data.contains(&oid) => return Err(incomplete(format!("pg_dump moved the rows of table {name}, and kluis did not count them"))),
            "ru" if snapshot.facts.server.standby => left_out.push(name),
            _ => return Err(incomplete(format!("nobody moved the rows of table {name}"))),
        }
    }
    if !left_out.is_empty() {
        warnings.push(format!("a standby holds no rows of unlogged tables, so these are in the backup without rows: {}", listed(&left_out, NAMED)));
    }
    Ok(())
}

fn incomplete(what: String) -> Error {
    Error::new(Kind::Failed, format!("the dump would not be complete: {what}")).hinted("nothing was published; run again, and report this if it stays")
}
