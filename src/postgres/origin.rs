//! Where a snapshot lies in the life of its cluster: which cluster, how far its log was, which transactions were seen, by which clocks.
//! It owns the queries; what follows from the answers is decided elsewhere. A backup is whole without any of them.
//! Invariant: what the server does not tell is unknown, and never a reason for a run to end.

use super::catalogue::cell;
use super::opening::COMPUTING;
use super::quote::quote_literal;
use super::server_error::ServerError;
use super::session::{Rows, Session};
use crate::error::Result;
use crate::manifest::{Locale, Origin};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The cluster's own identifier, made by initdb and kept by every copy of the cluster. By a function that everybody may execute as long as nobody revoked that.
const IDENTIFIER: &str = "SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()";

/// How far the log was. On a primary where the next record would go, not what is written: with `synchronous_commit = off` a commit may be seen and not yet be
/// written. On a standby what is replayed.
const POSITION: &str =
    "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END";

/// The timeline of a primary, from the name of the file that it writes: after a promotion the control file is late. Refused in recovery.
const TIMELINE: &str = "SELECT pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8)";

/// The timeline of a standby: that of its last restart point, or the one that its replay has gone on to since. In hexadecimal, as file names have it.
const TIMELINE_REPLAYED: &str = "SELECT pg_catalog.to_hex(greatest((SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()),
    (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery())))";

/// Which transactions the snapshot sees.
const TRANSACTIONS: &str = "SELECT pg_catalog.pg_current_snapshot()";

/// What initdb was given, by the database that nobody may connect to.
const TEMPLATE: &str =
    "SELECT datcollate, datctype, pg_catalog.pg_encoding_to_char(encoding) FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) 'template0'";

/// The locales that are settings of the server, and the settings by which values are computed; where a setting of the database or the role hides the server's, it is unknown.
const SETTINGS: &str = "SELECT s.name, CASE WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting o, pg_catalog.unnest(o.setconfig) AS own
        WHERE pg_catalog.split_part(own, '=', 1) OPERATOR(pg_catalog.=) s.name
            AND o.setdatabase OPERATOR(pg_catalog.=) ANY (ARRAY[0::pg_catalog.oid, (SELECT oid FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database())])
            AND o.setrole OPERATOR(pg_catalog.=) ANY (ARRAY[0::pg_catalog.oid, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) session_user)]))
        THEN s.reset_val END
    FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) ANY (ARRAY[";

/// The locales among them; the others are [`COMPUTING`].
const LOCALES: [&str; 4] = ["lc_messages", "lc_monetary", "lc_numeric", "lc_time"];

/// Reads all of it in the session's transaction, whose snapshot was taken just now. `machine`: this machine's clock at that moment.
pub fn of(session: &mut Session, machine: Timestamp) -> Result<Origin> {
    // What moves on comes first.
    let wal = one(session, POSITION)?;
    let transactions = one(session, TRANSACTIONS)?;
    let timeline = match one(session, TIMELINE)? {
        None => one(session, TIMELINE_REPLAYED)?,
        known => known,
    };
    let (mut locale, mut computing) = (Locale::default(), BTreeMap::new());
    if let Some([collate, ctype, encoding]) = asked(session, TEMPLATE)?.as_ref().and_then(|rows| rows.iter().next()) {
        (locale.collate, locale.ctype, locale.encoding) = (collate.clone(), ctype.clone(), encoding.clone());
    }
    let names: Vec<String> = LOCALES.iter().chain(COMPUTING).map(|name| quote_literal(name)).collect();
    for row in asked(session, &format!("{SETTINGS}{}])", names.join(", ")))?.iter().flat_map(Rows::iter) {
        let value = row.get(1).cloned().flatten();
        match cell(row, 0)? {
            "lc_messages" => locale.messages = value,
            "lc_monetary" => locale.monetary = value,
            "lc_numeric" => locale.numeric = value,
            "lc_time" => locale.time = value,
            name => computing.extend(value.map(|value| (name.to_owned(), value))),
        }
    }
    Ok(Origin {
        system_identifier: one(session, IDENTIFIER)?,
        timeline: timeline.and_then(|digits| u32::from_str_radix(&digits, 16).ok()),
        wal,
        transactions,
        machine,
        locale,
        computing,
    })
}

/// The cluster's own identifier, for whoever only has to know whose database this is. None: the server does not tell.
pub fn system_identifier(session: &mut Session) -> Result<Option<String>> {
    match session.query(IDENTIFIER) {
        Ok(rows) => Ok(rows.get(0, 0).map(str::to_owned)),
        Err(error) if ServerError::of(&error).is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

fn one(session: &mut Session, query: &str) -> Result<Option<String>> {
    Ok(asked(session, query)?.and_then(|rows| rows.get(0, 0).map(str::to_owned)))
}

/// The answer, or nothing where the server refuses it: providers revoke such functions, or answer that they are not supported.
fn asked(session: &mut Session, query: &str) -> Result<Option<Rows>> {
    // A statement that fails must not end the transaction, with which locks and snapshot would go.
    session.execute("SAVEPOINT origin")?;
    let rows = match session.query(query) {
        Ok(rows) => Some(rows),
        Err(error) if ServerError::of(&error).is_some() => None,
        Err(error) => return Err(error),
    };
    session.execute("ROLLBACK TO SAVEPOINT origin; RELEASE SAVEPOINT origin")?;
    Ok(rows)
}
