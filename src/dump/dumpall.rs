//! The calls of pg_dumpall: where it is sent, what it may read, and what becomes of roles whose names it cannot ask for.
//! It owns which database of the cluster it connects to and when it is called again; it leaves the file's place in a backup to `globals`.
//! Invariant: what it could not read is announced, as an exception and in a warning; a text that ends early never passes for a whole one.

use super::Job;
use crate::error::{Error, Kind, Result};
use crate::exception::{Class, Exception};
use crate::manifest::File;
use crate::postgres::catalogue::{Facts, cell};
use crate::postgres::child::Tool;
use crate::postgres::connection::Connection;
use crate::postgres::quote::quote_ident;
use crate::postgres::server_error::{ServerError, printable};
use crate::postgres::session::Session;
use crate::raw;
use crate::repository::names;
use crate::script::gzip::Squeezer;
use crate::script::writer::compress_stream;
use std::io::Read;
use std::process::Stdio;

/// What was written.
pub struct Called {
    /// `globals.sql.gz`.
    pub file: File,
    /// Whether the password hashes are in it.
    pub passwords: bool,
    /// What is not in it beside them.
    pub missing: Vec<Exception>,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// The longest text of a pg_dumpall that failed, in bytes: some thousand roles.
const PART: u64 = 64 << 20;

/// Writes `globals.sql.gz`, with `more` behind what pg_dumpall says.
pub fn call(job: &Job<'_>, facts: &Facts, more: &str) -> Result<Called> {
    let mut called = Called {
        file: File { name: String::new(), bytes: 0, sha256: String::new() },
        passwords: facts.server.role_passwords,
        missing: Vec::new(),
        warnings: Vec::new(),
    };
    let mut session = Session::connect(job.request.connection, job.stop)?;
    let (mut to, mut part) = (job.programs.clone(), None);
    if let Some(odd) = odd_name(&mut session, &facts.database.encoding)? {
        match elsewhere(job, &mut session)? {
            Some(other) => to = other,
            None => part = Some(odd),
        }
    }
    // Names of roles belong to no database: they are bytes, and a database in another encoding than theirs reads them as other letters. Unconverted
    // they come back as what they were, and as what the database's own dump calls them. Said in any case: `client_encoding` may stand on the database.
    let encoding = if facts.database.encoding == "UTF8" && to.database == job.programs.database && part.is_none() { "UTF8" } else { "SQL_ASCII" };
    // The bootstrap superuser is the only one of the server's own that is dumped.
    let roles = session.query("SELECT pg_catalog.count(*) + 1 FROM pg_catalog.pg_roles WHERE oid >= 16384")?.parsed()?;
    let more = &*raw::bytes(more);
    loop {
        let written = match &part {
            None => whole(job, &to, encoding, called.passwords, more, &mut called.warnings),
            Some(_) => in_part(job, &to, encoding, called.passwords, more, roles),
        };
        match written {
            Ok(file) => {
                called.file = file;
                break;
            }
            // That the role may read them is what the server says of itself; a hosted one may refuse all the same.
            Err(error) if called.passwords && error.chain().contains("permission denied for table pg_authid") => {
                called.passwords = false;
                if job.staging.path().join(names::GLOBALS).exists() {
                    job.staging.discard(names::GLOBALS)?;
                }
            }
            Err(error) => return Err(error),
        }
    }
    if !called.passwords {
        called
            .warnings
            .push("role passwords are not in the globals: the backup's role may not read them (a superuser and members of pg_read_all_data may)".to_owned());
    }
    if let Some(odd) = part {
        called.missing.push(Exception::new(Class::Unreadable, "memberships and settings of roles"));
        called.warnings.push(format!(
            "memberships and settings of roles are not in the globals: pg_dumpall cannot ask for role {} in a database in {}, and there is no other; let there be one \
             (CREATE DATABASE any_name TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'), or rename the role in a database of its encoding",
            printable(&quote_ident(&odd)),
            facts.database.encoding
        ));
    }
    Ok(called)
}

/// The first name of a role or a tablespace that is no text in the database's encoding. pg_dumpall reads them all, and asks for some by name: the server
/// refuses to take what it gave.
fn odd_name(session: &mut Session, encoding: &str) -> Result<Option<String>> {
    if encoding == "SQL_ASCII" {
        return Ok(None);
    }
    let names = "SELECT rolname FROM pg_catalog.pg_roles WHERE oid >= 16384 UNION ALL SELECT spcname FROM pg_catalog.pg_tablespace WHERE oid >= 16384";
    match session.query(names) {
        Ok(rows) => Ok(rows.iter().filter_map(|row| cell(row, 0).ok()).find(|name| !raw::is_plain(name)).map(str::to_owned)),
        // It cannot even be converted for us.
        Err(error) if ServerError::of(&error).is_some_and(|error| error.sqlstate.starts_with("22")) => Ok(Some("?".to_owned())),
        Err(error) => Err(error),
    }
}

/// Another database of the cluster, where each byte is a character.
fn elsewhere(job: &Job<'_>, session: &mut Session) -> Result<Option<Connection>> {
    let there = session.query(
        "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND pg_catalog.has_database_privilege(oid, 'CONNECT')
            AND pg_catalog.pg_encoding_max_length(encoding) = 1 ORDER BY encoding, datname LIMIT 5",
    )?;
    for row in there.iter() {
        let to = job.programs.at(cell(row, 0)?);
        match Session::connect(&to, job.stop) {
            Ok(_) => return Ok(Some(to)),
            Err(_) => job.stop.check()?,
        }
    }
    Ok(None)
}

/// pg_dumpall, connected to that database.
fn tool(job: &Job<'_>, to: &Connection, encoding: &str, passwords: bool) -> Tool {
    let tool = Tool::new(job.tools.program("pg_dumpall")).connected(to, &job.passfile).arg("--no-password");
    // Without this pg_dumpall looks for a database `postgres` or `template1`, which the role may not enter. The name may hold
    // what looks like a connection string: as a keyword's quoted value it is only a name (libpq, 34.1.1).
    let database = to.database.replace('\\', "\\\\").replace('\'', "\\'");
    let tool = tool.names([format!("--database=dbname='{database}'")]).arg(format!("--encoding={encoding}"));
    let tool = tool.arg(format!("--lock-wait-timeout={}", job.request.lock_wait.as_millis()));
    if passwords { tool } else { tool.arg("--no-role-passwords") }
}

fn whole(job: &Job<'_>, to: &Connection, encoding: &str, passwords: bool, more: &[u8], warnings: &mut Vec<String>) -> Result<File> {
    let mut process = tool(job, to, encoding, passwords).arg("--globals-only").start(Stdio::piped(), job.stop)?;
    let text = process.stdout().chain(more);
    // A disk that is full ends the child with SIGPIPE as well: the cause comes first.
    let file = write(job, text)?;
    warnings.extend(process.finish_told(|| ())?);
    Ok(file)
}

/// Roles with their attributes, and tablespaces: pg_dumpall has written all of the roles when it asks for the settings of each by its name, and ends there.
fn in_part(job: &Job<'_>, to: &Connection, encoding: &str, passwords: bool, more: &[u8], roles: usize) -> Result<File> {
    let mut process = tool(job, to, encoding, passwords).arg("--roles-only").start(Stdio::piped(), job.stop)?;
    let mut text = Vec::new();
    let read = process.stdout().take(PART).read_to_end(&mut text);
    let ended = process.finish();
    read.map_err(|error| job.stop.explain(Error::new(Kind::Failed, "cannot read from pg_dumpall").because(error)))?;
    if let Err(error) = ended {
        job.stop.check()?;
        let lines = || text.split(|byte| *byte == b'\n');
        if lines().filter(|line| line.starts_with(b"CREATE ROLE ")).count() < roles {
            return Err(error);
        }
        // What its first lines forbid psql to do, its last would have allowed again.
        let key = lines().take(10).find_map(|line| line.strip_prefix(b"\\restrict ")).map(<[u8]>::to_vec);
        text.truncate(memchr::memrchr(b'\n', &text).map_or(0, |end| end + 1));
        if let Some(key) = key {
            text.extend([b"\n\\unrestrict ", key.as_slice(), b"\n\n"].concat());
        }
    }
    let spaces = tool(job, to, encoding, passwords).arg("--tablespaces-only").output(PART, job.stop)?;
    write(job, text.as_slice().chain(spaces.as_slice()).chain(more))
}

fn write(job: &Job<'_>, text: impl Read) -> Result<File> {
    let mut file = job.staging.file(names::GLOBALS)?;
    let written = compress_stream(&mut Squeezer::new(job.request.compression), text, &mut file, |_| ());
    written.map_err(|error| job.stop.explain(Error::io("write", &job.staging.path().join(names::GLOBALS), error)))?;
    file.finish()
}
