//! What calls functions that are not built in: tables when their rows are loaded, indexes when they are built.
//! It owns that question to the catalogue; what follows from the answer for the order of rows, dump and restore know.
//! Invariant: a table is passed over only if nothing that is evaluated while its rows are loaded calls such a function: no CHECK, no domain, no generated
//! column and no partition key.

use super::catalogue::{OURS, number};
use crate::error::Result;
use crate::postgres::session::Session;
use std::collections::HashSet;

/// What an expression looks like that calls one of PostgreSQL's own functions which run a query that they are given, or read a large object. None is immutable, so
/// only a CHECK can call them.
const CALLING: &str = "(':(funcid|opfuncid) (' || (SELECT pg_catalog.string_agg(oid::pg_catalog.text, '|') FROM pg_catalog.pg_proc
    WHERE pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND (proname ~ '^(query|table|cursor|schema|database)_to_xml' OR proname IN ('lo_get', 'loread')
        OR proname = 'ts_rewrite' AND proargtypes[1] = 'pg_catalog.text'::pg_catalog.regtype)) || ') ')";

/// What calls functions that are not built in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// The OIDs of tables whose rows cannot be loaded without.
    pub tables: HashSet<u32>,
    /// Indexes and their constraints, as pairs of catalogue and OID, as an archive lists them.
    pub indexes: Vec<(u32, u32)>,
}

/// Whether there is anything at all that could be called: most databases have no function of their own, and need no walk.
const ANYTHING: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_proc f WHERE f.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
            WHERE d.classid = 1255 AND d.objid = f.oid AND d.deptype = 'e'))
        OR EXISTS (SELECT FROM pg_catalog.pg_opclass o WHERE o.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
            WHERE d.classid = 2616 AND d.objid = o.oid AND d.deptype = 'e'))
        OR EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.contype = 'c' AND k.conbin::pg_catalog.text ~ ";

/// Looks among what is outside of the system's schemas and of extensions.
///
/// Functions of extensions count as built in: they know no tables but those of their extension, and these get their rows before all others. So does what a
/// base type calls: its functions are written in C.
pub fn reach(session: &mut Session) -> Result<Reach> {
    let mut reach = Reach::default();
    if session.query(&format!("{ANYTHING}{CALLING})"))?.single()? != "t" {
        return Ok(reach);
    }
    for row in &session.query(&walk())?.rows {
        match number(row, 0)? {
            0 => drop(reach.tables.insert(number(row, 2)?)),
            _ => reach.indexes.push((number(row, 1)?, number(row, 2)?)),
        }
    }
    Ok(reach)
}

/// Follows what hangs on what, from tables (0) and from indexes (1). What is built in stands in no dependency (pg_depend holds nothing of pinned objects), so the walk
/// is short where there is nothing to find. 1259: relations, 2606: constraints, 2604: defaults, 1247: types, 2617: operators, 2616: operator classes, 1255: functions.
fn walk() -> String {
    format!(
        "WITH RECURSIVE ours(oid, parted) AS (
            SELECT c.oid, c.relispartition FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND {OURS}),
         walk(kind, of, class, oid) AS (
            (SELECT 0, oid, 1259::pg_catalog.oid, oid FROM ours
             UNION ALL SELECT 0, o.oid, 1259, a.relid::pg_catalog.oid FROM ours o, pg_catalog.pg_partition_ancestors(o.oid) a WHERE o.parted
             UNION ALL SELECT 0, k.conrelid, 2606, k.oid FROM pg_catalog.pg_constraint k JOIN ours o ON o.oid = k.conrelid WHERE k.contype = 'c' AND k.convalidated
             UNION ALL SELECT 0, d.adrelid, 2604, d.oid FROM pg_catalog.pg_attrdef d JOIN ours o ON o.oid = d.adrelid
                JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attgenerated <> ''
             UNION ALL SELECT 1, i.indexrelid, 1259, i.indexrelid FROM pg_catalog.pg_index i JOIN ours o ON o.oid = i.indrelid
             -- An archive does not tell what the index of a constraint calls (pg_dump has the constraint depend on its table alone).
             UNION ALL SELECT 1, k.conindid, 2606, k.oid FROM pg_catalog.pg_constraint k JOIN ours o ON o.oid = k.conrelid WHERE k.contype = 'x')
            UNION
            SELECT w.kind, w.of, e.class, e.oid FROM walk w CROSS JOIN LATERAL (
                SELECT d.refclassid, d.refobjid FROM pg_catalog.pg_depend d WHERE d.classid = w.class AND d.objid = w.oid AND d.refobjid >= 16384
                    AND d.refclassid IN (1247, 2617, 2616, 1255) AND NOT (w.class = 1247 AND d.refclassid = 1255)
                UNION ALL SELECT 2606, k.oid FROM pg_catalog.pg_constraint k WHERE w.class = 1247 AND k.contypid = w.oid AND k.convalidated
                UNION ALL SELECT 1259, t.typrelid FROM pg_catalog.pg_type t WHERE w.class = 1247 AND t.oid = w.oid AND t.typrelid <> 0) AS e(class, oid)
            WHERE w.class NOT IN (2616, 1255)),
         found AS (
            SELECT DISTINCT w.kind, w.of FROM walk w WHERE w.class IN (2616, 1255)
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = w.class AND d.objid = w.oid AND d.deptype = 'e')
            UNION SELECT w.kind, w.of FROM walk w JOIN pg_catalog.pg_constraint k ON k.oid = w.oid WHERE w.class = 2606 AND k.conbin::pg_catalog.text ~ {CALLING})
         SELECT f.kind, CASE WHEN k.oid IS NULL THEN 1259 ELSE 2606 END, coalesce(k.oid, f.of) FROM found f
            LEFT JOIN pg_catalog.pg_constraint k ON f.kind = 1 AND k.conindid = f.of AND k.contype IN ('p', 'u', 'x') ORDER BY 1, 2, 3"
    )
}
