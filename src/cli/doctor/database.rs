//! The doctor's questions to a target's database. It owns their order; it leaves the answers to the catalogue and to preflight.
//! Invariant: what one answer does not depend on is asked whatever the answer was.

use super::super::text::count;
use super::Sheet;
use crate::adopt;
use crate::config::Target;
use crate::error::Result;
use crate::postgres::catalogue::{self, Facts};
use crate::postgres::session::Session;
use crate::postgres::tools::{Places, find};
use crate::preflight::{self, refused};
use crate::repository::list::Listing;
use crate::repository::{Repository, TargetFolder};
use crate::stop::Stop;
use crate::units::format_bytes;

/// Connection, version, pooling, rights, facts.
pub fn check(sheet: &mut Sheet<'_>, repository: Option<&Repository>, target: &Target, places: &Places, stop: &Stop) -> Result<()> {
    let label = target.connection.label();
    let mut session = match Session::connect(&target.connection, stop) {
        Ok(session) => session,
        Err(error) => return sheet.problem("connection", &error),
    };
    let road = match (session.is_encrypted(), target.connection.is_local_socket()) {
        (true, _) => "encrypted",
        (false, true) => "through a local socket",
        (false, false) => "not encrypted",
    };
    sheet.ok("connection", format!("{label}, {road}"))?;
    let facts = match catalogue::facts(&mut session) {
        Ok(facts) => facts,
        Err(error) => return sheet.problem("version", &error),
    };
    let (major, version) = (facts.server.major, &facts.server.version);
    match find(places, major) {
        Ok(tools) => sheet.ok("version", format!("PostgreSQL {version}, pg_dump {}", tools.version))?,
        Err(error) => sheet.problem("version", &error)?,
    }
    rights(sheet, &mut session, &facts)?;
    if let Some(repository) = repository {
        belonging(sheet, &mut session, &facts, &repository.target(&target.name))?;
    }
    describe(sheet, &facts)
}

/// Whether the target's backups are of this database.
fn belonging(sheet: &mut Sheet<'_>, session: &mut Session, facts: &Facts, folder: &TargetFolder) -> Result<()> {
    let found = preflight::source(session, facts).and_then(|live| Listing::read(folder).map(|listing| (live, listing)));
    // A folder that cannot be read has a check of its own.
    let Ok((live, listing)) = found else { return Ok(()) };
    match adopt::check(&folder.name, &listing, &live) {
        Ok(()) => sheet.ok("source", format!("{live}")),
        Err(error) => sheet.problem("source", &error),
    }
}

fn rights(sheet: &mut Sheet<'_>, session: &mut Session, facts: &Facts) -> Result<()> {
    let answers = catalogue::obstacles(session)
        .and_then(|obstacles| Ok((obstacles, catalogue::readable_role(session)?, catalogue::plain_tables(session, facts.server.standby)?)));
    let (obstacles, readable, tables) = match answers {
        Ok(answers) => answers,
        Err(error) => return sheet.problem("rights", &error),
    };
    if !obstacles.is_empty() {
        return sheet.problem("rights", &refused(facts.server.major, &facts.role, &readable, &obstacles, tables.len()));
    }
    let superuser = if facts.superuser { ", being a superuser" } else { "" };
    sheet.ok("rights", format!("role '{}' can read everything: {}{superuser}", facts.role, count(tables.len() as u64, "table")))
}

fn describe(sheet: &mut Sheet<'_>, facts: &Facts) -> Result<()> {
    let database = &facts.database;
    if facts.server.role_passwords {
        sheet.ok("passwords", "the roles' password hashes can be read, and will be in globals.sql.gz")?;
    } else {
        // A warning at every run of a role that has just the rights it needs would be noise: here it is told once.
        sheet.ok("passwords", "the roles' password hashes cannot be read: globals.sql.gz holds the roles without them (a superuser and members of pg_read_all_data can read them)")?;
    }
    let extensions: Vec<String> = database.extensions.iter().map(|extension| format!("{} {}", extension.name, extension.version)).collect();
    let standby = if facts.server.standby { ", on a standby" } else { "" };
    sheet.ok(
        "database",
        format!(
            "{} of {}, {}{standby}, {}, {} named in it; extensions: {}",
            database.name,
            database.owner,
            format_bytes(database.bytes),
            count(facts.large_objects, "large object"),
            count(database.roles.len() as u64, "role"),
            if extensions.is_empty() { "none".to_owned() } else { extensions.join(", ") }
        ),
    )
}
