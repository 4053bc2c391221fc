//! The operator's own checks: SQL files that must return only true values in the restored database.
//! It owns reading and judging them; what they ask is the operator's.
//! Invariant: a file that returns nothing, anything but true, or an error has failed; its values are not shown.

use crate::error::{Error, Kind, Result};
use crate::postgres::connection::Connection;
use crate::postgres::quote::quote_literal;
use crate::postgres::server_error::ServerError;
use crate::postgres::session::Session;
use crate::repository::files::read_small;
use crate::script::statements::Statements;
use crate::stop::Stop;
use std::path::{Path, PathBuf};

/// How long one statement may take, in milliseconds.
const LIMIT: u64 = 10 * 60 * 1000;

/// Runs every `*.sql` file of the folder, in the order of their names. Returns how many passed, or which failed.
pub fn run(folder: &Path, to: &Connection, stop: &Stop) -> Result<Result<u64, Vec<String>>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| Error::io("read the assertions in", folder, error).hinted("BACKUP_ASSERTIONS names this folder"))? {
        let path = entry.map_err(|error| Error::io("read the assertions in", folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
    files.sort();
    let mut failed = Vec::new();
    for file in &files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().escape_debug().to_string();
        if let Some(why) = check(file, to, stop)? {
            failed.push(format!("assertion '{name}' failed: {why}"));
        }
    }
    Ok(if failed.is_empty() { Ok(files.len() as u64) } else { Err(failed) })
}

/// Gives the session what stands on the database, and the usual search path: the operator's SQL says what the application's does.
fn as_its_application(session: &mut Session) -> Result<()> {
    session.execute("SET search_path = \"$user\", public; SET DateStyle = 'ISO, MDY'")?;
    let settings = "SELECT s FROM pg_catalog.pg_db_role_setting d, pg_catalog.unnest(d.setconfig) AS s WHERE d.setrole = 0
        AND d.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";
    for row in session.query(settings)?.rows {
        let Some((name, value)) = row.first().and_then(Option::as_deref).and_then(|setting| setting.split_once('=')) else { continue };
        // What can only be said at the start of a session, and what this machine does not know, is no matter of an assertion's.
        let set = format!("SELECT pg_catalog.set_config({}, {}, false)", quote_literal(name), quote_literal(value));
        match session.execute(&set) {
            Err(error) if ServerError::of(&error).is_none() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Why the file's checks fail, if they do.
fn check(file: &Path, to: &Connection, stop: &Stop) -> Result<Option<String>> {
    let text = read_small(file, 1 << 20)?;
    // A session of its own, so that no file depends on another's settings.
    let mut session = Session::connect(to, stop)?;
    as_its_application(&mut session)?;
    session.execute(&format!("SET statement_timeout = {LIMIT}"))?;
    let (mut cutter, mut statements) = (Statements::default(), Vec::new());
    let add = |statement: &[u8], statements: &mut Vec<String>| statements.push(String::from_utf8_lossy(statement).into_owned());
    cutter
        .push::<()>(&text, |statement| {
            add(statement, &mut statements);
            Ok(())
        })
        .ok();
    if !cutter.is_complete() {
        // The last statement may lack its semicolon.
        cutter
            .push::<()>(b"\n;", |statement| {
                add(statement, &mut statements);
                Ok(())
            })
            .ok();
    }
    let mut values = 0;
    for (number, statement) in statements.iter().enumerate() {
        let rows = match session.query(statement) {
            Ok(rows) => rows,
            Err(error) if matches!(error.kind(), Kind::Interrupted) => return Err(error),
            Err(error) => return Ok(Some(format!("statement {}: {}", number + 1, error.chain()))),
        };
        for (line, row) in rows.rows.iter().enumerate() {
            if row.iter().any(|value| value.as_deref() != Some("t")) {
                return Ok(Some(format!("statement {}, row {}: not true", number + 1, line + 1)));
            }
            values += row.len();
        }
    }
    Ok((values == 0).then(|| "it returned no value".to_owned()))
}
