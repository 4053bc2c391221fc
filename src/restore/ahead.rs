//! What would keep a database from being made, or the one that is there from being replaced: found before anything is written.
//! It owns rights, sessions, and whatever else holds a database; it leaves versions, roles and extensions to `place`, room on the disk to `room`.
//! Invariant: it only reads. What it cannot know, the server's own answer tells before the old database is touched.

use super::Request;
use crate::error::{Error, Kind, Result};
use crate::extensions;
use crate::manifest::Manifest;
use crate::postgres::catalogue::cell;
use crate::postgres::quote::{quote_ident, quote_literal};
use crate::postgres::session::Session;
use crate::stop::Stop;
use crate::units::first;
use std::time::{Duration, Instant};

/// The database that is to be made.
pub struct Plan<'a> {
    /// Its owner, where another one than the role itself.
    pub owner: Option<&'a str>,
    /// Its tablespace, where that is not the standard one.
    pub tablespace: Option<&'a str>,
    /// One of the same name is there, and goes.
    pub replaces: bool,
}

/// How long the server itself waits for sessions to end before it refuses (procarray.c, `CountOtherDBBackends`).
const PATIENCE: Duration = Duration::from_secs(5);

/// How many sessions, slots and the like are named.
const NAMED: usize = 5;

/// Fails where something is known to keep the database from being made or replaced. Returns what the operator should know before it goes.
pub fn check(session: &mut Session, request: &Request<'_>, manifest: &Manifest, plan: &Plan<'_>, stop: &Stop) -> Result<Vec<String>> {
    rights(session, plan)?;
    if !plan.replaces {
        return Ok(Vec::new());
    }
    let name = &request.to.database;
    if name == "template0" {
        return Err(Error::usage("'template0' is what every new database is copied from, and cannot be replaced").hinted("restore into another database"));
    }
    if !request.in_place
        && let Some(extension) = manifest.database.extensions.iter().find(|extension| extensions::is_alone(&extension.name))
    {
        let what = format!(
            "extension {} can live in one database of a server only, so the new database cannot be made beside the old one",
            extension.name.escape_debug()
        );
        return Err(Error::usage(what).hinted("--in-place drops the old one first: what was in it is then gone if the restore fails; nothing was changed"));
    }
    held(session, name, stop)
}

/// The rights to create the database for its owner, and to rename or drop the one that is there.
fn rights(session: &mut Session, plan: &Plan<'_>) -> Result<()> {
    let role = session.query("SELECT rolname, rolsuper, rolcreatedb FROM pg_catalog.pg_roles WHERE rolname = current_user")?;
    let (name, is) = (quote_ident(role.single()?), |column: usize| role.get(0, column) == Some("t"));
    if is(1) {
        return Ok(());
    }
    let refused = |what: String, hint: String| Err(Error::new(Kind::Unreachable, what).hinted(format!("{hint}; nothing was changed")));
    if !is(2) {
        return refused(
            format!("role {name} may not create databases"),
            format!(
                "ALTER ROLE {name} CREATEDB, by a superuser, gives it that right; a database that exists and is empty can be restored into without --create and --clean"
            ),
        );
    }
    if let Some(owner) = plan.owner {
        // Who may give a database away is a question of SET since 16, and of mere membership before; who may rename it afterwards, one of inheritance.
        let may = if session.server_version_num() >= 160_000 { "SET" } else { "MEMBER" };
        let rows = session.query(&format!(
            "SELECT pg_catalog.pg_has_role(oid, '{may}') AND (pg_catalog.pg_has_role(oid, 'USAGE') OR NOT {}) FROM pg_catalog.pg_roles WHERE rolname = {}",
            plan.replaces,
            quote_literal(owner)
        ))?;
        if rows.get(0, 0) == Some("f") {
            let owner = quote_ident(owner);
            return refused(
                format!("role {name} may not create a database for its owner {owner}"),
                format!("GRANT {owner} TO {name}, or restore as {owner} or a superuser{}", if plan.replaces { "" } else { ", or say --no-owner" }),
            );
        }
    }
    if let Some(tablespace) = plan.tablespace {
        let rows = session.query(&format!(
            "SELECT pg_catalog.has_tablespace_privilege(oid, 'CREATE') FROM pg_catalog.pg_tablespace WHERE spcname = {}",
            quote_literal(tablespace)
        ))?;
        if rows.get(0, 0) == Some("f") {
            let tablespace = quote_ident(tablespace);
            return refused(format!("role {name} may not create in tablespace {tablespace}"), format!("GRANT CREATE ON TABLESPACE {tablespace} TO {name}"));
        }
    }
    Ok(())
}

/// Fails where somebody holds the database. Returns what goes with it unasked.
fn held(session: &mut Session, name: &str, stop: &Stop) -> Result<Vec<String>> {
    let (quoted, literal) = (quote_ident(name), quote_literal(name));
    let refused = |what: String, hint: &str| Err(Error::new(Kind::Failed, what).hinted(format!("{hint}; nothing was changed")));
    let owned = session.query(&format!(
        "SELECT pg_catalog.pg_has_role(datdba, 'USAGE'), pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = {literal}"
    ))?;
    if owned.get(0, 0) == Some("f") {
        let owner = quote_ident(owned.get(0, 1).unwrap_or_default());
        return Err(Error::new(Kind::Unreachable, format!("cannot drop database {quoted}: it belongs to role {owner}"))
            .hinted(format!("restore as {owner}, a member of it or a superuser; nothing was changed")));
    }
    let named = |session: &mut Session, query: &str| -> Result<Vec<String>> {
        session.query(query)?.rows.iter().map(|row| cell(row, 0).map(|name| name.escape_debug().to_string())).collect()
    };
    let prepared = named(session, &format!("SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = {literal} ORDER BY 1"))?;
    if !prepared.is_empty() {
        return refused(
            format!("cannot drop database {quoted}: it has prepared transactions: {}", first(&prepared, NAMED).join(", ")),
            "COMMIT PREPARED or ROLLBACK PREPARED each, connected to it",
        );
    }
    let subscriptions = named(
        session,
        &format!("SELECT subname FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = {literal} ORDER BY 1"),
    )?;
    if !subscriptions.is_empty() {
        return refused(
            format!("cannot drop database {quoted}: it has subscriptions: {}", first(&subscriptions, NAMED).join(", ")),
            "DROP SUBSCRIPTION each, connected to it",
        );
    }
    let slots = |active| format!("SELECT slot_name FROM pg_catalog.pg_replication_slots WHERE database = {literal} AND active = {active} ORDER BY 1");
    let active = named(session, &slots(true))?;
    if !active.is_empty() {
        return refused(
            format!("cannot drop database {quoted}: somebody replicates from it by slot {}", first(&active, NAMED).join(", ")),
            "end the subscriber first",
        );
    }
    let begun = Instant::now();
    loop {
        let sessions = sessions(session, name)?;
        if sessions.is_empty() {
            break;
        }
        if begun.elapsed() > PATIENCE {
            return refused(
                format!("cannot drop database {quoted}: it is in use by {}", first(&sessions, NAMED).join(", ")),
                "end the sessions that use it (stop the application)",
            );
        }
        stop.sleep(Duration::from_millis(100))?;
    }
    let idle = named(session, &slots(false))?;
    Ok(if idle.is_empty() {
        Vec::new()
    } else {
        vec![format!("replication slots of the database that is replaced go with it: {}", first(&idle, NAMED).join(", "))]
    })
}

/// The sessions of others in the database, in words. Autovacuum's, which belong to no role, go when the server asks them to.
// An extension's workers leave by themselves: its own library ends them when their database is dropped or renamed.
pub fn sessions(session: &mut Session, name: &str) -> Result<Vec<String>> {
    let rows = session.query(&format!(
        "SELECT pg_catalog.concat(coalesce(nullif(nullif(application_name, ''), 'client backend'), backend_type, 'a session'), ' as ', usename, ' (pid ', pid, ')')
         FROM pg_catalog.pg_stat_activity WHERE datname = {} AND usesysid IS NOT NULL AND coalesce(backend_type, 'client backend') IN ('client backend', 'walsender', 'parallel worker') AND pid <> pg_catalog.pg_backend_pid() ORDER BY backend_start, pid",
        quote_literal(name)
    ))?;
    rows.rows.iter().map(|row| cell(row, 0).map(|text| text.escape_debug().to_string())).collect()
}
