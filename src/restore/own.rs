//! What can be said of a new database only from within: owners, rights and comments whose names another database's encoding has other bytes for.
//! It owns when that is so, and the session that says it; it leaves what is said to its callers.
//! Invariant: names reach the server as the bytes that they are in the backup's own database.
//!
//! The names of roles and databases belong to no database. A session sends them in its own database's encoding: what is `é` in a database in LATIN1 is one
//! byte, and a database in UTF8 looks for two.

use crate::error::Result;
use crate::manifest::Manifest;
use crate::postgres::connection::Connection;
use crate::postgres::session::Session;
use crate::stop::Stop;

/// Whether this text, as the manifest has it, reaches the server through this session as the same bytes.
pub fn same_bytes(session: &Session, manifest: &Manifest, text: &str) -> bool {
    text.is_ascii() || session.parameter("server_encoding") == Some(manifest.database.encoding.as_str())
}

/// A session in the new database, and the database's name as it is written there.
pub fn within(to: &Connection, stop: &Stop) -> Result<(Session, String)> {
    let mut session = Session::connect(to, stop)?;
    let name = session.query("SELECT pg_catalog.quote_ident(pg_catalog.current_database())")?.single()?.to_owned();
    Ok((session, name))
}
