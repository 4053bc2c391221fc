//! What extensions want of a server and around a restore, carried out on sessions.
//! It owns the checks of preloaded libraries and versions, and the calls before and after; it leaves the knowledge to `crate::extensions`.
//! Invariant: `unready` changes nothing; after `before` comes `after`, or the restore has failed.

use crate::error::{Error, Kind, Result};
use crate::extensions::{Around, around, known, package};
use crate::manifest::{Database, Extension, Manifest};
use crate::postgres::catalogue;
use crate::postgres::contents::Entry;
use crate::postgres::quote::{quote_ident, quote_literal, quote_qualified};
use crate::postgres::session::Session;

/// What keeps the server from having one of the backup's extensions in a database of that name, though its files are there. What the role may not read is
/// not held against the server: then the restore itself will tell.
pub fn unready(session: &mut Session, database: &Database, name: &str) -> Result<Vec<String>> {
    let mut lacking = Vec::new();
    let reads_all = session.query("SELECT pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE')")?.single()? == "t";
    for extension in &database.extensions {
        let Some(library) = known(&extension.name).and_then(|known| known.library.as_ref()).filter(|library| library.needed && reads_all) else { continue };
        let setting = |session: &mut Session, name: &str| -> Result<Option<String>> {
            let rows = session.query(&format!("SELECT setting FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) {}", quote_literal(name)))?;
            Ok(rows.get(0, 0).map(str::to_owned))
        };
        if setting(session, library.sign)?.is_none() {
            lacking.push(format!("library '{}' in shared_preload_libraries, for extension {}", library.name, extension.name.escape_debug()));
        } else if let Some(only) = library.only_in
            && setting(session, only)?.is_some_and(|there| there != name)
        {
            lacking.push(format!(
                "{only} = '{}', for extension {}, which can live in no other database of a server",
                name.escape_debug(),
                extension.name.escape_debug()
            ));
        }
    }
    for (extension, _) in around(database) {
        let versions = session.query(&format!(
            "SELECT version FROM pg_catalog.pg_available_extension_versions WHERE name OPERATOR(pg_catalog.=) {}",
            quote_literal(&extension.name)
        ))?;
        if !versions.is_empty() && !versions.iter().any(|row| row.first().and_then(Option::as_deref) == Some(extension.version.as_str())) {
            lacking.push(format!(
                "version {} of extension {} (its catalogue can be restored into no other)",
                extension.version.escape_debug(),
                extension.name.escape_debug()
            ));
        }
    }
    Ok(lacking)
}

/// What this machine lacks for the backup's extensions, where the server of a drill runs that preloads what it could but for `left_out`.
pub fn not_here(session: &mut Session, manifest: &Manifest, left_out: &[String]) -> Result<Vec<String>> {
    let (database, major) = (&manifest.database, manifest.server.major);
    let missing = catalogue::missing_extensions(session, database)?;
    let mut lacking: Vec<String> =
        missing.iter().map(|name| format!("extension {name} is not installed on this machine: install {}", package(name.trim_matches('"'), major))).collect();
    let here = |extension: &&Extension| !missing.contains(&quote_ident(&extension.name));
    let there = Database { extensions: database.extensions.iter().filter(here).cloned().collect(), ..database.clone() };
    let unready = unready(session, &there, &database.name)?;
    lacking.extend(unready.iter().map(|what| format!("the drill's server lacks {what}")));
    if !unready.is_empty() {
        lacking.extend(left_out.iter().map(|library| format!("library '{library}' cannot be preloaded on this machine: install {}", package(library, major))));
    }
    Ok(lacking)
}

/// The archive's entries that must be restored before [`before`]: the schemas of extensions that want calls, unless every database has them.
pub fn schemas<'e>(entries: &'e [Entry], database: &'e Database) -> impl Iterator<Item = &'e Entry> {
    let is_it = move |entry: &&Entry| around(database).any(|(extension, _)| entry.rest.starts_with(&format!("SCHEMA - {} ", extension.schema())));
    entries.iter().filter(is_it)
}

/// Creates the extensions that want calls around a restore, in the backup's versions, and makes the calls that come first. The session must be new:
/// a library that was loaded already cannot be exchanged for one of another version.
pub fn before(session: &mut Session, database: &Database) -> Result<()> {
    for (extension, around) in around(database) {
        let name = quote_ident(&extension.name);
        let create = format!("CREATE EXTENSION IF NOT EXISTS {name} SCHEMA {} VERSION {}", quote_ident(extension.schema()), quote_literal(&extension.version));
        session.execute(&create).map_err(|error| error.context(format!("cannot create extension '{}'", extension.name.escape_debug())))?;
        let found = format!("SELECT extversion FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) {}", quote_literal(&extension.name));
        let rows = session.query(&found)?;
        if rows.single()? != extension.version {
            let what = format!(
                "extension '{}' is in the database already, in version {} and not in the backup's {}",
                extension.name.escape_debug(),
                rows.single()?.escape_debug(),
                extension.version.escape_debug()
            );
            return Err(Error::new(Kind::Usage, what).hinted("restore into a new database (--create), or drop the extension there"));
        }
        call(session, extension, around.before)?;
    }
    Ok(())
}

/// Makes the calls that come last.
pub fn after(session: &mut Session, database: &Database) -> Result<()> {
    around(database).try_for_each(|(extension, around): (&Extension, &Around)| call(session, extension, around.after))
}

fn call(session: &mut Session, extension: &Extension, function: &str) -> Result<()> {
    let explain = |error: Error| error.context(format!("extension '{}' cannot be told of the restore: {function}() failed", extension.name.escape_debug()));
    session.execute(&format!("SELECT {}()", quote_qualified(extension.schema(), function))).map_err(explain)
}
