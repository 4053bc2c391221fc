//! Roles, memberships and tablespaces of the backup, made in the throwaway server.
//! It owns which of the globals a throwaway server can take, and what must be there afterwards; no psql runs.
//! Invariant: a role or a grant of a role that cannot be made is a finding: on the day of the accident it would be missing as well.

use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::postgres::catalogue;
use crate::postgres::quote::quote_ident;
use crate::postgres::server_error::ServerError;
use crate::postgres::session::Session;
use crate::repository::files::open_file;
use crate::repository::list::Backup;
use crate::repository::names;
use crate::script::gzip::stream;
use crate::script::statements::Statements;
use std::io::Read;

/// Makes them. Returns what is wrong.
pub fn restore(backup: &Backup, manifest: &Manifest, session: &mut Session) -> Result<Vec<String>> {
    let path = backup.path.join(names::GLOBALS);
    let (mut text, mut piece) = (stream(std::io::BufReader::new(open_file(&path)?)), vec![0; 64 << 10]);
    let (mut statements, mut wrong) = (Statements::default(), Vec::new());
    // The tablespaces' folders are those of another machine: empty ones within the data folder take their place (allow_in_place_tablespaces,
    // which is in every minor release since 2022).
    if !manifest.database.tablespaces.is_empty() || manifest.database.tablespace.is_some() {
        session.execute("SET allow_in_place_tablespaces = on")?;
    }
    let of_the_database = manifest.database.tablespace.iter().filter(|name| !manifest.database.tablespaces.contains(name));
    for name in manifest.database.tablespaces.iter().chain(of_the_database) {
        session.execute(&format!("CREATE TABLESPACE {} LOCATION ''", quote_ident(name)))?;
    }
    loop {
        let length = match text.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return Ok(vec![format!("'{}' is damaged", names::GLOBALS)]),
        };
        statements.push(&piece[..length], |statement| run(session, statement, &mut wrong))?;
    }
    if !statements.is_complete() {
        wrong.push(format!("'{}' ends in the middle of a statement", names::GLOBALS));
    }
    let missing = catalogue::missing(session, &manifest.database)?;
    wrong.extend(missing.into_iter().map(|what| format!("{what} is not in '{}', and the database needs it", names::GLOBALS)));
    Ok(wrong)
}

fn run(session: &mut Session, statement: &[u8], wrong: &mut Vec<String>) -> Result<()> {
    let Ok(statement) = std::str::from_utf8(statement) else {
        wrong.push(format!("'{}' is not text", names::GLOBALS));
        return Ok(());
    };
    if statement.starts_with("CREATE TABLESPACE ") {
        return Ok(());
    }
    // Rights on tablespaces that the database does not use, and settings of extensions' own, are not what a database's restore depends on.
    let needed = ["CREATE ROLE ", "GRANT ", "ALTER ROLE "].iter().any(|words| statement.starts_with(words))
        && !statement.contains(" ON TABLESPACE ")
        && !is_setting(statement);
    match session.execute(statement) {
        Ok(()) => Ok(()),
        Err(error) if ServerError::of(&error).is_none() => Err(error),
        // The bootstrap superuser is there from the beginning; pg_dumpall sets its attributes with the ALTER ROLE that follows.
        Err(error) if statement.starts_with("CREATE ROLE ") && ServerError::of(&error).is_some_and(|error| error.sqlstate == "42710") => Ok(()),
        Err(error) if needed => {
            wrong.push(format!("a statement of '{}' fails: {}", names::GLOBALS, Error::chain(&error)));
            Ok(())
        }
        Err(_) => Ok(()),
    }
}

/// Whether the statement is `ALTER ROLE "name" SET …`.
fn is_setting(statement: &str) -> bool {
    let Some(rest) = statement.strip_prefix("ALTER ROLE ") else { return false };
    let after = match rest.strip_prefix('"') {
        // The name ends at a quote that is not doubled.
        Some(quoted) => {
            let mut end = 0;
            let bytes = quoted.as_bytes();
            while end < bytes.len() && (bytes[end] != b'"' || bytes.get(end + 1) == Some(&b'"')) {
                end += if bytes[end] == b'"' { 2 } else { 1 };
            }
            quoted.get(end + 1..).unwrap_or("")
        }
        None => rest.split_once(' ').map_or("", |(_, after)| after),
    };
    after.trim_start().starts_with("SET ")
}

#[cfg(test)]
mod tests {
    use super::is_setting;

    #[test]
    fn settings_of_roles() {
        for (statement, expected) in [
            ("ALTER ROLE bob SET work_mem TO '1MB';", true),
            ("ALTER ROLE \"we \"\"ird\" SET x.y TO 'z';", true),
            ("ALTER ROLE bob WITH SUPERUSER;", false),
            ("ALTER ROLE \"a SET b\" WITH LOGIN;", false),
            ("CREATE ROLE bob;", false),
        ] {
            assert_eq!(is_setting(statement), expected, "{statement}");
        }
    }
}
