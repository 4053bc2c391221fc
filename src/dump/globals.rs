//! Roles, memberships and tablespaces: what a database needs and pg_dump leaves out.
//! It owns that the witness of the roles is of the same moment; the calls of pg_dumpall it leaves to `dumpall`.
//! Invariant: where password hashes cannot be read the backup says so; it never silently lacks them.

use super::{Job, dumpall};
use crate::error::Result;
use crate::exception::Exception;
use crate::manifest::{File, Role};
use crate::postgres::catalogue::Facts;
use crate::postgres::roles;
use crate::postgres::session::Session;
use crate::repository::names;

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
    /// Whether the password hashes are in it.
    pub passwords: bool,
    /// What is not in it beside them.
    pub missing: Vec<Exception>,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// Writes `globals.sql.gz`.
pub fn write(job: &Job<'_>, facts: &Facts) -> Result<Globals> {
    let mut session = Session::connect(job.request.connection, job.stop)?;
    for attempt in 1.. {
        let before = roles::read(&mut session)?;
        let (more, left_out) = roles::of_everybody(&mut session, facts.database.encoding == "UTF8")?;
        let dumpall::Called { file, passwords, missing, mut warnings } = dumpall::call(job, facts, &more)?;
        let after = roles::read(&mut session)?;
        let roles_moved = before != after;
        if !roles_moved || attempt == ATTEMPTS {
            warnings.extend(left_out.into_iter().map(|name| format!("the setting {name} of all roles is not in the globals: its value is not in ASCII")));
            // What is known not to be in the globals is no witness against them.
            let roles = if missing.is_empty() { before.into_iter().filter(|role| after.contains(role)).collect() } else { Vec::new() };
            return Ok(Globals { file, roles, roles_moved, passwords, missing, warnings });
        }
        job.staging.discard(names::GLOBALS)?;
    }
    unreachable!("the last attempt needs no witness")
}
