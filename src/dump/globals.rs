//! Roles, memberships and tablespaces: what a database needs and pg_dump leaves out.
//! It owns the call of pg_dumpall, and that the witness of the roles is of the same moment; which password hashes may be read, the server says.
//! Invariant: where password hashes cannot be read the backup says so; it never silently lacks them.

use super::Job;
use crate::error::{Error, Result};
use crate::manifest::{File, Role};
use crate::postgres::catalogue::Facts;
use crate::postgres::roles;
use crate::postgres::session::Session;
use crate::repository::names;
use crate::script::gzip::Squeezer;
use crate::script::writer::compress_stream;
use std::io::Read;
use std::process::Stdio;

/// How often pg_dumpall is called anew because roles changed meanwhile.
const ATTEMPTS: usize = 3;

/// What was written.
pub struct Globals {
    /// `globals.sql.gz`.
    pub file: File,
    /// The roles as they were before and after.
    pub roles: Vec<Role>,
    /// Whether others were not the same before and after.
    pub roles_moved: bool,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// Writes `globals.sql.gz`.
pub fn write(job: &Job<'_>, facts: &Facts) -> Result<Globals> {
    let mut session = Session::connect(job.request.connection, job.stop)?;
    for attempt in 1.. {
        let before = roles::read(&mut session)?;
        let (more, left_out) = roles::of_everybody(&mut session, facts.database.encoding == "UTF8")?;
        let (file, mut warnings) = once(job, facts, &more)?;
        let after = roles::read(&mut session)?;
        let roles_moved = before != after;
        if !roles_moved || attempt == ATTEMPTS {
            warnings.extend(left_out.into_iter().map(|name| format!("the setting {name} of all roles is not in the globals: its value is not in ASCII")));
            let roles = before.into_iter().filter(|role| after.contains(role)).collect();
            return Ok(Globals { file, roles, roles_moved, warnings });
        }
        job.staging.discard(names::GLOBALS)?;
    }
    unreachable!("the last attempt needs no witness")
}

/// Calls pg_dumpall, and writes `more` behind what it says.
fn once(job: &Job<'_>, facts: &Facts, more: &str) -> Result<(File, Vec<String>)> {
    let mut tool = job.tool("pg_dumpall").arg("--globals-only").arg(format!("--lock-wait-timeout={}", job.request.lock_wait.as_millis()));
    // Without this pg_dumpall looks for a database `postgres` or `template1`, which the role may not enter. The name may hold
    // what looks like a connection string: as a keyword's quoted value it is only a name (libpq, 34.1.1).
    let database = facts.database.name.replace('\\', "\\\\").replace('\'', "\\'");
    tool = tool.arg(format!("--database=dbname='{database}'"));
    // Names of roles belong to no database: they are bytes, and a database in another encoding than theirs reads them as other letters. Unconverted
    // they come back as what they were, and as what the database's own dump calls them. Said in any case: `client_encoding` may stand on the database.
    tool = tool.arg(if facts.database.encoding == "UTF8" { "--encoding=UTF8" } else { "--encoding=SQL_ASCII" });
    let mut warnings = Vec::new();
    if !facts.server.role_passwords {
        tool = tool.arg("--no-role-passwords");
        warnings
            .push("role passwords are not in the globals: the backup's role may not read them (a superuser and members of pg_read_all_data may)".to_owned());
    }
    let mut file = job.staging.file(names::GLOBALS)?;
    let mut process = tool.start(Stdio::piped(), job.stop)?;
    let text = process.stdout().chain(more.as_bytes());
    let written = compress_stream(&mut Squeezer::new(job.request.compression), text, &mut file, |_| ());
    // A disk that is full ends the child with SIGPIPE as well: the cause comes first.
    written.map_err(|error| job.stop.explain(Error::io("write", &job.staging.path().join(names::GLOBALS), error)))?;
    warnings.extend(process.finish_told(|| ())?);
    Ok((file.finish()?, warnings))
}
