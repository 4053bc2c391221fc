//! Roles, memberships and tablespaces of the backup, made in the throwaway server.
//! It owns which of the globals a throwaway server can take, in which order, and what must be there afterwards; no psql runs.
//! Invariant: a role or a grant of a role that cannot be made is a finding: on the day of the accident it would be missing as well.

use crate::error::{Error, Result};
use crate::exception::{Class, Exception};
use crate::globals::{altered, each_statement, is_setting};
use crate::manifest::Manifest;
use crate::postgres::catalogue;
use crate::postgres::quote::quote_ident;
use crate::postgres::roles;
use crate::postgres::server_error::{ServerError, printable};
use crate::postgres::session::Session;
use crate::repository::list::Backup;
use crate::repository::names;

/// Makes them, but for what would get into the drill's own way; see [`settle`]. Returns what is wrong. Labels whose provider is not loaded are `excepted`.
pub fn restore(backup: &Backup, manifest: &Manifest, session: &mut Session, excepted: &mut Vec<Exception>) -> Result<Vec<String>> {
    // The tablespaces' folders are those of another machine: empty ones within the data folder take their place (allow_in_place_tablespaces,
    // which is in every minor release since 2022).
    if !manifest.database.tablespaces.is_empty() || manifest.database.tablespace.is_some() {
        session.execute("SET allow_in_place_tablespaces = on")?;
    }
    let of_the_database = manifest.database.tablespace.iter().filter(|name| !manifest.database.tablespaces.contains(name));
    for name in manifest.database.tablespaces.iter().chain(of_the_database) {
        session.execute(&format!("CREATE TABLESPACE {} LOCATION ''", quote_ident(name)))?;
    }
    let mut wrong = Vec::new();
    let complete = each_statement(backup, &mut wrong, |statement, wrong| {
        if !is_late(statement, superuser(manifest)) && run(session, statement, wrong)? == Ran::Unlabelled {
            excepted.push(Exception::new(Class::SecurityLabel, labelled(statement)));
        }
        Ok(())
    })?;
    if !complete {
        return Ok(wrong);
    }
    // The text may be in another encoding, and says so.
    session.speak()?;
    let missing = catalogue::missing(session, &manifest.database)?;
    wrong.extend(missing.into_iter().map(|what| format!("{what} is not in '{}', and the database needs it", names::GLOBALS)));
    Ok(wrong)
}

/// What comes last, since it changes what new sessions may do: settings of roles, and then the attributes of the superuser as whom the drill works.
/// Returns what is wrong, also with the roles as they are then, which `witness` reads: a session in the restored database, for its encoding. No new session can
/// be relied upon afterwards.
pub fn settle(backup: &Backup, manifest: &Manifest, session: &mut Session, witness: &mut Session) -> Result<Vec<String>> {
    let (mut wrong, mut withheld) = (Vec::new(), false);
    for settings in [true, false] {
        each_statement(backup, &mut wrong, |statement, wrong| {
            let (setting, late) = (is_setting(statement), is_late(statement, superuser(manifest)));
            // What names an encoding is for the statements that follow, each time.
            if late && setting == settings || statement.starts_with(b"SET ") {
                withheld |= run(session, statement, wrong)? == Ran::NotHere;
            }
            Ok(())
        })?;
    }
    if wrong.is_empty() && !manifest.server.roles.is_empty() {
        // A setting that this machine cannot take is no witness against the backup, and the others of its kind cannot be told from it.
        wrong.extend(roles::differences(&manifest.server.roles, &roles::read(witness)?, !withheld, !manifest.server.roles_moved));
    }
    Ok(wrong)
}

/// What came of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ran {
    /// It was carried out, or is a finding, or does not matter.
    Told,
    /// This machine cannot take it.
    NotHere,
    /// It is a security label, and its provider is not loaded.
    Unlabelled,
}

/// How a label of a role begins.
const LABEL: &[u8] = b"SECURITY LABEL FOR ";

/// What the globals label, in the words of the statement, up to the label itself.
fn labelled(statement: &[u8]) -> String {
    let text = String::from_utf8_lossy(&statement[LABEL.len()..]).into_owned();
    let (provider, object) = text.split_once(" ON ").unwrap_or((&text, ""));
    let object = object.rsplit_once(" IS '").map_or(object, |(object, _)| object);
    printable(&format!("{object}, of the provider {provider}"))
}

fn run(session: &mut Session, statement: &[u8], wrong: &mut Vec<String>) -> Result<Ran> {
    if statement.starts_with(b"CREATE TABLESPACE ") {
        return Ok(Ran::Told);
    }
    let setting = is_setting(statement);
    // Rights on tablespaces that the database does not use are not what a database's restore depends on.
    let needed = ["CREATE ROLE ", "GRANT ", "ALTER ROLE "].iter().any(|words| statement.starts_with(words.as_bytes()))
        && memchr::memmem::find(statement, b" ON TABLESPACE ").is_none();
    let Err(error) = session.query_bytes(statement) else { return Ok(Ran::Told) };
    let Some(state) = ServerError::of(&error).map(|error| error.sqlstate.as_str()) else { return Err(error) };
    // The bootstrap superuser is there from the beginning; pg_dumpall sets its attributes with the ALTER ROLE that follows.
    let there_already = statement.starts_with(b"CREATE ROLE ") && state == "42710";
    if statement.starts_with(LABEL) && state == "22023" {
        return Ok(Ran::Unlabelled);
    }
    // A setting of an extension's own, a locale or a library that this machine lacks: a value that is refused says nothing about the backup.
    let machine = setting && ["22023", "42704", "42501", "58P01"].contains(&state);
    if needed && !there_already && !machine {
        wrong.push(format!("a statement of '{}' fails: {}", names::GLOBALS, Error::chain(&error)));
    }
    Ok(if machine { Ran::NotHere } else { Ran::Told })
}

/// The superuser of the throwaway server.
pub fn superuser(manifest: &Manifest) -> &str {
    if manifest.server.superuser.is_empty() { "postgres" } else { &manifest.server.superuser }
}

/// Whether the statement changes what new sessions of the drill's own superuser may do: a role's setting, or an attribute of that superuser.
fn is_late(statement: &[u8], superuser: &str) -> bool {
    is_setting(statement) || altered(statement).is_some_and(|(name, _)| name == superuser.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_attributes_come_last() {
        for (superuser, statement, expected) in [
            ("postgres", "ALTER ROLE postgres WITH NOLOGIN;", true),
            ("postgres", "ALTER ROLE postgres2 WITH NOLOGIN;", false),
            ("we \"ird", "ALTER ROLE \"we \"\"ird\" WITH NOLOGIN;", true),
            ("other", "ALTER ROLE postgres WITH NOLOGIN;", false),
        ] {
            assert_eq!(is_late(statement.as_bytes(), superuser), expected, "{statement}");
        }
    }
}
