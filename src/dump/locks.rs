//! Room for locks on the server: what to say when there was not enough of it.
//! It owns the arithmetic of `max_locks_per_transaction`; who takes which locks is the others' matter.
//! Invariant: it changes no error but one for want of room for locks, and asks the server nothing before there is one.

use super::Request;
use crate::error::{Error, Result};
use crate::postgres::catalogue::number;
use crate::postgres::session::Session;
use crate::stop::Stop;

/// What every session and every prepared transaction has room for besides the dump: a server does other things as well.
const OTHERS: u64 = 500;

/// Names the setting and the value that would do, where there was no room for locks.
///
/// The coordinator and pg_dump each lock every table; a worker has locked only the table that it reads. The server's room is for twice as many locks as
/// it is for locked objects (lock.c, `LockShmemSize`): what counts is the number of objects.
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
    let mut session = Session::connect(request.connection, &Stop::new())?;
    let rows = session.query(
        "SELECT pg_catalog.current_setting('max_locks_per_transaction'),
            pg_catalog.current_setting('max_connections')::pg_catalog.int8 + pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int8,
            (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'S', 'v', 'm', 'f'))",
    )?;
    let row = rows.rows.first().cloned().unwrap_or_default();
    Ok((number(&row, 0)?, enough(number(&row, 0)?, number(&row, 1)?, number(&row, 2)?)))
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
