//! Preflight: everything that would make a run fail, found before it writes anything.
//! It owns the questions to the server and to the disk; it leaves acting on the answers to `run`, the dry run and `doctor`.
//! Invariant: it changes nothing, here or there, and grants nothing: it prints the statements that somebody else may run.

use crate::error::{Error, Kind, Result};
use crate::manifest::Summary;
use crate::postgres::catalogue::{self, Facts, Hurdle, Obstacle};
use crate::postgres::connection::Connection;
use crate::postgres::origin;
use crate::postgres::server_error::printable;
use crate::postgres::session::Session;
use crate::postgres::tools::{Places, Tools, find};
use crate::repository::Repository;
use crate::repository::source::Source;
use crate::stop::Stop;
use crate::units::{first, format_bytes, format_count};
use std::collections::BTreeSet;
use std::time::Duration;

/// What preflight found in the database.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The server and the database.
    pub facts: Facts,
    /// Which database of which cluster it is.
    pub source: Source,
    /// The programs that fit.
    pub tools: Tools,
    /// The number of tables whose rows would be moved.
    pub tables: u64,
    /// Their size on the server's disk, in bytes.
    pub table_bytes: u64,
}

/// What preflight found.
#[derive(Debug, Clone)]
pub struct Preflight {
    /// In the database.
    pub reached: Reached,
    /// Free space in the repository, in bytes.
    pub free: u64,
    /// What the backup is expected to need, in bytes: the size of the last one and a tenth more. Unknown before the first.
    pub expected: Option<u64>,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// The connection's part: reachable, of a version that is served, readable as a whole, and not through a transaction pooler.
pub fn database(connection: &Connection, places: &Places, lock_wait: Duration, stop: &Stop) -> Result<Reached> {
    let mut session = Session::connect(connection, stop)?;
    // Looking at a table's size waits for whoever holds it exclusively.
    session.execute(&format!("SET lock_timeout = {}", lock_wait.as_millis()))?;
    let facts = catalogue::facts(&mut session)?;
    let source = source(&mut session, &facts)?;
    let tools = find(places, facts.server.major)?;
    let obstacles = catalogue::obstacles(&mut session)?;
    let tables = catalogue::plain_tables(&mut session, facts.server.standby)?;
    if !obstacles.is_empty() {
        return Err(refused(facts.server.major, &facts.role, &catalogue::readable_role(&mut session)?, &obstacles, tables.len()));
    }
    let table_bytes = tables.iter().map(|table| table.bytes).sum();
    Ok(Reached { facts, source, tools, tables: tables.len() as u64, table_bytes })
}

/// Which database of which cluster this is.
pub fn source(session: &mut Session, facts: &Facts) -> Result<Source> {
    Ok(Source { system_identifier: origin::system_identifier(session)?, database: facts.database.name.clone() })
}

/// The whole of it.
pub fn check(connection: &Connection, places: &Places, lock_wait: Duration, repository: &Repository, last: Option<&Summary>, stop: &Stop) -> Result<Preflight> {
    repository.check_writable()?;
    let reached = database(connection, places, lock_wait, stop)?;
    let (free, expected) = (repository.free_bytes()?, last.map(|last| last.bytes() + last.bytes() / 10 + (1 << 20)));
    let mut warnings = Vec::new();
    match expected {
        Some(expected) if free < expected => {
            return Err(Error::new(
                Kind::Storage,
                format!("'{}' has {} free, and the next backup needs about {}", repository.root().display(), format_bytes(free), format_bytes(expected)),
            )
            .for_want_of_room(repository.root())
            .hinted("free some space on this volume, or give it a larger one; earlier backups were not touched"));
        }
        None if free < reached.facts.database.bytes / 4 => warnings.push(format!(
            "'{}' has {} free, and the database has {}: the first backup may not fit",
            repository.root().display(),
            format_bytes(free),
            format_bytes(reached.facts.database.bytes)
        )),
        _ => {}
    }
    Ok(Preflight { reached, free, expected, warnings })
}

/// How many obstacles, and statements against them, are told. In a large database the others say the same.
const NAMED: usize = 50;

/// The statements that remove the obstacles, each once. Where they are many, one for all tables and sequences of a schema takes the place of one for each.
fn remedies(obstacles: &[Obstacle], readable: &str) -> Vec<String> {
    let mut told = BTreeSet::new();
    let mut add = |remedies: &mut Vec<String>, remedy: String| {
        if told.insert(remedy.clone()) {
            remedies.push(remedy);
        }
    };
    let (mut remedies, many) = (Vec::new(), obstacles.iter().filter(|obstacle| obstacle.schema.is_some()).count() > NAMED);
    for obstacle in obstacles {
        match obstacle.schema.as_ref().filter(|_| many) {
            Some(schema) => {
                ["TABLES", "SEQUENCES"].into_iter().for_each(|what| add(&mut remedies, format!("GRANT SELECT ON ALL {what} IN SCHEMA {schema} TO {readable};")))
            }
            None => add(&mut remedies, obstacle.remedy.clone()),
        }
    }
    let more = remedies.len().saturating_sub(NAMED);
    remedies.truncate(NAMED);
    remedies.extend((more > 0).then(|| format!("… and {} more", format_count(more as u64))));
    remedies
}

/// All that cannot be read, as one error: nothing is more annoying than to be told one table a night.
pub fn refused(major: u32, role: &str, readable: &str, obstacles: &[Obstacle], tables: usize) -> Error {
    let line = |text: &String| format!("\n  {text}");
    let named: Vec<String> = obstacles.iter().map(|obstacle| printable(&obstacle.what)).collect();
    let (what, remedies) = (first(&named, NAMED).iter().map(line).collect::<String>(), remedies(obstacles, readable).iter().map(line).collect::<String>());
    let in_its_way = if obstacles.len() == 1 { "1 obstacle is".to_owned() } else { format!("{} obstacles are", format_count(obstacles.len() as u64)) };
    let is = |hurdle: Hurdle| obstacles.iter().any(|obstacle| obstacle.hurdle == hurdle);
    let mut hint = format!("let the owner or a superuser run:{remedies}");
    if is(Hurdle::Relation) && major >= 14 {
        let (what, but) = if major >= 19 { ("", "") } else { (", for tables and sequences", ", and it does not cover large objects") };
        hint.push_str(&format!("\nor{what}: GRANT pg_read_all_data TO {readable}; (row-level security needs BYPASSRLS all the same{but})"));
    }
    if is(Hurdle::LargeObjects) {
        let objects = if (14..19).contains(&major) { "pg_read_all_data does not cover large objects, and a" } else { "a" };
        hint.push_str(&format!("\n{objects} GRANT reaches only those that are there:"));
        if major >= 18 {
            hint.push_str(&format!(" for new ones, each owner can run ALTER DEFAULT PRIVILEGES GRANT SELECT ON LARGE OBJECTS TO {readable};"));
        } else {
            hint.push_str(" new ones need it again, or the owner's membership, or a superuser makes the backup;");
        }
        hint.push_str(&format!(
            " or a superuser runs ALTER ROLE {readable} SET lo_compat_privileges = on; with which the role can also change every large object"
        ));
    }
    Error::new(Kind::Refused, format!("role '{role}' cannot read the whole database ({in_its_way} in its way; there are {tables} tables):{what}")).hinted(hint)
}
