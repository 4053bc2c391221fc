//! The source's settings by which values are computed (how dates are written, in which zone), given to the throwaway server: there a generated column or a
//! CHECK says what it would on the server that the backup came from.
//! It owns giving them; which they are, `postgres::origin` knows. A setting that this machine cannot have (a zone without its file) is left as it is.
//! Invariant: sessions that begin afterwards have them all, or the drill has not begun.

use crate::error::{Error, Kind, Result};
use crate::manifest::Manifest;
use crate::postgres::connection::Connection;
use crate::postgres::opening::COMPUTING;
use crate::postgres::quote::{quote_ident, quote_literal};
use crate::postgres::server_error::ServerError;
use crate::postgres::session::Session;
use crate::stop::Stop;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the server may take to read its settings again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives them to the server behind this connection of a superuser's.
pub fn as_the_source(connection: &Connection, manifest: &Manifest, stop: &Stop) -> Result<()> {
    let Some(wanted) = manifest.origin.as_ref().map(|origin| &origin.computing) else { return Ok(()) };
    let mut session = Session::connect(connection, stop)?;
    let mut given = BTreeMap::new();
    // Of a manifest that somebody wrote nothing else is given.
    for (name, value) in wanted.iter().filter(|(name, _)| COMPUTING.contains(&name.as_str())) {
        if own(&mut session, name)?.is_none_or(|own| own == *value) {
            continue;
        }
        match session.execute(&format!("ALTER SYSTEM SET {} = {}", quote_ident(name), quote_literal(value))) {
            Ok(()) => drop(given.insert(name.as_str(), value.as_str())),
            Err(error) if ServerError::of(&error).is_some() => {}
            Err(error) => return Err(error),
        }
    }
    if given.is_empty() {
        return Ok(());
    }
    session.execute("SELECT pg_catalog.pg_reload_conf()")?;
    let begun = Instant::now();
    loop {
        // The server hands them to those sessions that begin when it has read them.
        let mut fresh = Session::connect(connection, stop)?;
        let mut late = None;
        for (name, value) in &given {
            if own(&mut fresh, name)?.is_none_or(|own| own != **value) {
                late = Some(*name);
            }
        }
        match late {
            None => return Ok(()),
            Some(name) if begun.elapsed() > PATIENCE => {
                return Err(Error::new(Kind::Failed, format!("the throwaway server does not take the setting '{name}'")));
            }
            Some(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// The server's own value of a setting, as new sessions have it; none where it knows no such setting.
fn own(session: &mut Session, name: &str) -> Result<Option<String>> {
    let rows = session.query(&format!("SELECT reset_val FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) {}", quote_literal(name)))?;
    Ok(rows.get(0, 0).map(str::to_owned))
}
