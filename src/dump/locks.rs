//! Room for locks on the server: how to do with what pg_dump alone needs, and what to say when there was not enough of it.
//! It owns the arithmetic of `max_locks_per_transaction`, and how a table is found to be what it was without a lock; taking locks is the others' matter.
//! Invariant: it changes no error but one for want of room for locks.

use super::Request;
use crate::error::{Error, Result};
use crate::postgres::catalogue::number;
use crate::postgres::quote::quote_literal;
use crate::postgres::session::Session;
use crate::stop::Stop;

/// What every session and every prepared transaction has room for besides the dump: a server does other things as well.
const OTHERS: u64 = 500;

/// When the coordinator locks the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locks {
    /// Before the snapshot is taken: whatever comes between is waited for.
    First,
    /// When pg_dump has given back its own: twice as many locks as there are tables do not fit into the server's room.
    Late,
}

impl Locks {
    /// How a dump begins. A server has room for twice as many locks as for locked objects (lock.c, `LockShmemSize`): where there are more tables than
    /// the settings promise room for, both sessions' locks would need all of it, and leave none for others.
    pub fn of(session: &mut Session) -> Result<Locks> {
        let (now, sessions, objects) = look(session, "'r', 'p'")?;
        Ok(if objects > now.saturating_mul(sessions) { Locks::Late } else { Locks::First })
    }
}

/// Whether these tables, which are locked, have the names and the files that they had in the session's snapshot: OIDs and quoted names.
///
/// TRUNCATE and a rewriting ALTER give a table a new file (manual, 73.1). The catalogue is read as the snapshot has it, the functions look at it as it is now.
pub fn same_files(session: &mut Session, tables: &[(u32, String)]) -> Result<bool> {
    let list: Vec<String> = tables.iter().map(|(oid, name)| format!("({oid}::pg_catalog.oid, {})", quote_literal(name))).collect();
    let changed = session.query(&format!(
        "SELECT FROM (VALUES {}) AS t (oid, name) LEFT JOIN pg_catalog.pg_class c ON c.oid = t.oid
         WHERE pg_catalog.to_regclass(t.name) IS DISTINCT FROM t.oid::pg_catalog.regclass OR (c.relfilenode <> 0 AND pg_catalog.pg_relation_filenode(t.oid) IS DISTINCT FROM c.relfilenode)
         LIMIT 1",
        list.join(", ")
    ))?;
    Ok(changed.is_empty())
}

/// Names the setting and the value that would do, where there was no room for locks.
///
/// The coordinator and pg_dump each lock every table, one after the other where there is little room; a worker has locked only the table that it reads.
/// The server's room is for twice as many locks as it is for locked objects (lock.c, `LockShmemSize`): what counts is the number of objects.
pub fn explain(error: Error, request: &Request<'_>) -> Error {
    if !error.chain().contains("out of shared memory") {
        return error;
    }
    let Ok((now, enough)) = measure(request) else { return error };
    error.hinted(format!(
        "the server has no room for a lock on every table: set max_locks_per_transaction = {enough} or more in its postgresql.conf (it is {now}), and restart it"
    ))
}

/// The setting as it is, and as it should be.
fn measure(request: &Request<'_>) -> Result<(u64, u64)> {
    // The run's own token was tripped by the failure.
    let (now, sessions, objects) = look(&mut Session::connect(request.connection, &Stop::new())?, "'r', 'p', 'S', 'v', 'm', 'f'")?;
    Ok((now, enough(now, sessions, objects)))
}

/// The setting, how many sessions and prepared transactions it counts for, and how many relations of these kinds there are.
fn look(session: &mut Session, kinds: &str) -> Result<(u64, u64, u64)> {
    let rows = session.query(&format!(
        "SELECT pg_catalog.current_setting('max_locks_per_transaction'),
            pg_catalog.current_setting('max_connections')::pg_catalog.int8 + pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int8,
            (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE relkind IN ({kinds}))"
    ))?;
    let row = rows.rows.first().cloned().unwrap_or_default();
    Ok((number(&row, 0)?, number(&row, 1)?, number(&row, 2)?))
}

/// `max_locks_per_transaction` for a dump of so many objects, in whole dozens; more than it is in any case.
fn enough(now: u64, sessions: u64, objects: u64) -> u64 {
    let wanted = (objects + objects / 10 + OTHERS).div_ceil(sessions.max(1));
    wanted.max(now + now / 2).div_ceil(12) * 12
}

#[cfg(test)]
mod tests {
    use super::enough;

    #[test]
    fn the_value_that_would_do() {
        for (now, sessions, objects, expected) in [(64, 100, 10_000, 120), (64, 100, 100_000, 1116), (64, 100, 300, 96), (1024, 0, 1, 1536)] {
            assert_eq!(enough(now, sessions, objects), expected, "{objects}");
        }
    }
}
