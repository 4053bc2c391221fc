//! A place in the throwaway server where every byte is a character, for globals that are in no encoding.
//! It owns the database in SQL_ASCII and when it is needed; what is done there `globals` knows.
//! Invariant: a role gets the very bytes of its name.

use crate::error::Result;
use crate::postgres::session::Session;
use crate::postgres::throwaway::Throwaway;
use crate::repository::files::open_file;
use crate::repository::list::Backup;
use crate::repository::names;
use crate::script::gzip::stream;
use crate::stop::Stop;
use std::io::Read;

/// The database.
const NAME: &str = "kluis_bytes";

/// A session for the globals of this backup. The server's own databases are in the encoding of the backup's: one in UTF-8 refuses
/// a name that is none. In an encoding of one byte a character every name is one.
pub fn session(server: &Throwaway, backup: &Backup, stop: &Stop) -> Result<Session> {
    let mut session = Session::connect(&server.connection("postgres"), stop)?;
    if session.parameter("server_encoding") != Some("UTF8") || is_utf8(backup) {
        return Ok(session);
    }
    let there = format!("SELECT FROM pg_catalog.pg_database WHERE datname = '{NAME}'");
    if session.query(&there)?.is_empty() {
        session.execute(&format!("CREATE DATABASE {NAME} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'{}", provider(&session)))?;
    }
    Session::connect(&server.connection(NAME), stop)
}

/// No other provider than the operating system's knows this encoding.
fn provider(session: &Session) -> &'static str {
    if session.server_version_num() >= 150_000 { " LOCALE_PROVIDER libc" } else { "" }
}

/// The most that is looked at, in bytes: globals are some lines a role.
const LIMIT: u64 = 256 << 20;

/// Whether the globals are. What cannot be read is told elsewhere.
fn is_utf8(backup: &Backup) -> bool {
    let mut text = Vec::new();
    let read = open_file(&backup.path.join(names::GLOBALS)).map(|file| stream(std::io::BufReader::new(file)).take(LIMIT).read_to_end(&mut text));
    !matches!(read, Ok(Ok(_))) || std::str::from_utf8(&text).is_ok()
}
