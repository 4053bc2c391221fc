//! Loading large objects: the script's own SQL, statement by statement.
//! It owns leaving out owners and rights when that is wanted; it leaves cutting the text to `script`.
//! Invariant: what is sent is digested, so that the objects loaded can be compared with those of the snapshot.

use super::loading::connect;
use super::{Job, labels};
use crate::error::{Error, Result};
use crate::manifest::LargeObjects;
use crate::postgres::server_error::ServerError;
use crate::postgres::session::Session;
use crate::script::objects::ObjectReader;
use crate::script::reader::section;
use crate::script::section::LARGE_OBJECTS;
use crate::script::statements::Statements;
use std::fs::File;
use std::io::Read;

/// How many bytes of statements are sent at once.
const BATCH: usize = 256 << 10;

/// Loads the large objects, if there are any. Returns what was loaded, and the statements for their security labels, which are still to be carried out.
pub fn load(job: &Job<'_>, script: &File) -> Result<(LargeObjects, Vec<String>)> {
    let Some(part) = job.manifest.script.section(LARGE_OBJECTS) else {
        return Ok((LargeObjects { count: 0, bytes: 0, digest: format!("{:032x}", 0) }, Vec::new()));
    };
    let mut session = connect(job)?;
    // The text is in the database's encoding, as its own first lines say.
    session.execute(&format!("SET client_encoding = '{}'", job.manifest.database.encoding))?;
    let (mut text, mut piece) = (section(script, part), vec![0; BATCH]);
    let (mut statements, mut reader, mut batch) = (Statements::default(), ObjectReader::default(), Vec::new());
    let mut labels = Vec::new();
    let damaged = || crate::verify::failure(&job.request.backup.id, &["the large objects of the script are damaged".to_owned()]);
    loop {
        let length = text.read(&mut piece).map_err(|_| damaged())?;
        if length == 0 {
            break;
        }
        reader.push(&piece[..length]).map_err(|_| damaged())?;
        statements.push(&piece[..length], |statement| {
            if statement.starts_with(labels::BEGIN.as_bytes()) {
                labels.push(crate::raw::text(statement));
                return Ok(());
            }
            if job.lenient && is_about_object(statement) && wanted(job, statement) {
                session.query_bytes(&batch).map_err(|error| error.context("cannot load the large objects"))?;
                batch.clear();
                // Within a transaction a refusal would take the objects along.
                if !session.in_transaction() {
                    return alone(job, &mut session, statement);
                }
            }
            if wanted(job, statement) {
                // Names of roles and comments are bytes in the encoding that the session was told of.
                batch.extend_from_slice(statement);
                batch.push(b'\n');
            }
            if batch.len() >= BATCH {
                session.query_bytes(&batch).map_err(|error| error.context("cannot load the large objects"))?;
                batch.clear();
            }
            Ok::<(), Error>(())
        })?;
    }
    if !batch.is_empty() {
        session.query_bytes(&batch).map_err(|error| error.context("cannot load the large objects"))?;
    }
    let found = reader.finish().map_err(|_| damaged())?;
    Ok((LargeObjects { count: found.count, bytes: found.bytes, digest: found.hex() }, labels))
}

/// Whether a statement gives an object to somebody, or says something of it, and makes or fills none.
fn is_about_object(statement: &[u8]) -> bool {
    ["ALTER LARGE OBJECT ", "GRANT ", "REVOKE ", "COMMENT ON "].iter().any(|words| statement.starts_with(words.as_bytes()))
}

/// Carries it out. What the server refuses is left out, and told.
fn alone(job: &Job<'_>, session: &mut Session, statement: &[u8]) -> Result<()> {
    let Err(error) = session.query_bytes(statement) else { return Ok(()) };
    let Some(refusal) = ServerError::of(&error) else { return Err(error) };
    let said = String::from_utf8_lossy(statement);
    let said = if said.starts_with("COMMENT ") { said.split(" IS ").next().unwrap_or_default() } else { said.trim_end_matches(';') };
    job.left.tell(said.escape_debug().take(300).collect(), refusal.to_string());
    Ok(())
}

fn wanted(job: &Job<'_>, statement: &[u8]) -> bool {
    let begins = |words: &str| statement.starts_with(words.as_bytes());
    if job.request.no_owner && begins("ALTER LARGE OBJECT ") {
        return false;
    }
    if job.request.no_privileges && (begins("GRANT ") || begins("REVOKE ")) {
        return false;
    }
    // Settings of the file's own session that ours has already, or that a pg_dump newer than the server knows.
    !begins("SET ") && !begins("SELECT pg_catalog.set_config(")
}
