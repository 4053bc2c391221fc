//! The rehearsal: what a table's definitions need is tried on the target, in a transaction that is rolled back, before anything is written.
//! It owns cutting pg_restore's text into the archive's entries and trying them; it leaves to `belongings` which those are.
//! Invariant: nothing that is tried stays; what only rows can tell (a foreign key that does not hold) is no obstacle here.

use super::belongings::Belongings;
use super::{Job, unfinished};
use crate::error::{Error, Kind, Result};
use crate::postgres::contents::Entry;
use crate::postgres::server_error::ServerError;
use crate::postgres::session::Session;
use crate::script::statements::Statements;
use std::collections::{BTreeSet, HashMap};

/// A statement of pg_restore's, and the number of the archive's entry that it is of; none for a setting.
pub struct Statement {
    /// The entry.
    pub entry: Option<u32>,
    /// Its text, in the archive's encoding.
    pub text: Vec<u8>,
}

/// What the rehearsal found.
#[derive(Debug, Default)]
pub struct Found {
    /// The entries that the target refuses. They are left out.
    pub refused: BTreeSet<u32>,
    /// What will not come, in words.
    pub told: Vec<String>,
}

/// Before each entry pg_restore writes its number, if it is told to be verbose (pg_backup_archiver.c, `_printTocEntry`).
const ENTRY: &[u8] = b"-- TOC entry ";

/// Settings that statements after them obey. The rest of those at the top of the text our sessions have already, or do not want.
const SETTINGS: [&str; 4] = ["SET default_tablespace", "SET default_table_access_method", "SET check_function_bodies", "SET xmloption"];

/// These entries of the archive as statements, as pg_restore would send them, with owners and rights as they were asked for.
pub fn statements(job: &Job<'_>, entries: &[u32]) -> Result<Vec<Statement>> {
    statements_of(job, entries, &[])
}

/// The same with further arguments for pg_restore: those of one section.
pub fn statements_of(job: &Job<'_>, entries: &[u32], more: &[&str]) -> Result<Vec<Statement>> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let list = job.list_file("statements", entries)?;
    let tool = job.pg_restore_to_text().args(more).arg("--verbose").arg("--file=-").arg("--use-list").arg(&list.0).arg(job.archive());
    Ok(cut(&tool.output(1 << 30, job.stop)?))
}

fn cut(text: &[u8]) -> Vec<Statement> {
    let (mut statements, mut found, mut entry) = (Statements::default(), Vec::new(), None);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        // Within a literal such a line means nothing.
        if let Some(number) = line.strip_prefix(ENTRY).filter(|_| statements.is_complete()) {
            let digits = number.split(|byte| !byte.is_ascii_digit()).next().unwrap_or_default();
            entry = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        }
        let pushed = statements.push::<std::convert::Infallible>(line, |text| {
            let begins = |words: &str| text.starts_with(words.as_bytes());
            if begins("SET ") {
                if SETTINGS.iter().any(|words| begins(words)) {
                    found.push(Statement { entry: None, text: text.to_vec() });
                }
            } else if entry.is_some() {
                found.push(Statement { entry, text: text.to_vec() });
            }
            Ok(())
        });
        let Ok(()) = pushed;
    }
    found
}

/// Opens a transaction in which statements of the archive mean what they say, and which waits for no lock longer than was asked for. What a killed restore
/// left goes first.
pub fn begin(job: &Job<'_>, session: &mut Session, removal: Option<&str>) -> Result<()> {
    session.execute(&format!("BEGIN; SET LOCAL lock_timeout = {}", job.request.lock_wait.as_millis()))?;
    unfinished::remove(session, removal)?;
    speak_archived(job, session)
}

/// To the end of the transaction statements are in the archive's encoding.
pub fn speak_archived(job: &Job<'_>, session: &mut Session) -> Result<()> {
    session.execute(&format!("SET LOCAL client_encoding = '{}'", job.manifest.database.encoding))
}

/// Tries what belongs to the tables, and tells what the target does not take. What makes up a table itself must be taken, or nothing is done at all.
pub fn rehearse(job: &Job<'_>, session: &mut Session, archive: &[Entry], belongings: &Belongings, removal: Option<&str>) -> Result<Found> {
    let entries: HashMap<u32, &Entry> = archive.iter().map(|entry| (entry.id, entry)).collect();
    let tried = begin(job, session, removal).and_then(|()| try_all(job, session, &entries, belongings));
    let rolled_back = session.execute("ROLLBACK");
    let found = tried?;
    rolled_back?;
    Ok(found)
}

fn try_all(job: &Job<'_>, session: &mut Session, entries: &HashMap<u32, &Entry>, belongings: &Belongings) -> Result<Found> {
    let mut found = Found::default();
    let what = |id: u32| entries.get(&id).map_or_else(String::new, |entry| entry.rest.escape_debug().to_string());
    for part in [&belongings.own, &belongings.rights, &belongings.late, &belongings.keys] {
        for statement in statements(job, part)? {
            let Some(id) = statement.entry else {
                session.query_bytes(&statement.text)?;
                continue;
            };
            if found.refused.contains(&id) {
                continue;
            }
            let Some(refusal) = attempt(session, &statement.text)? else { continue };
            // Rows that are not there yet, or that a rehearsal does not load.
            if refusal.sqlstate == "23503" {
                continue;
            }
            let entry = entries.get(&id).copied();
            if entry.is_some_and(|entry| entry.is_table() || entry.rest.starts_with("SEQUENCE ") && entry.oid != 0 || entry.is_attachment()) {
                return Err(Error::new(Kind::Usage, format!("the database does not take '{}'", what(id))).because(refusal).hinted(
                    "restore or create first what it needs there, or restore the whole database beside this one (--create) and copy the table from there; nothing was changed",
                ));
            }
            // What follows something that does not come goes without saying.
            let needs_refused = entry.is_some_and(|entry| entry.needs.iter().any(|need| found.refused.contains(need)));
            found.refused.insert(id);
            // A key of another table that is there is no loss.
            if !needs_refused && refusal.sqlstate != "42710" {
                found.told.push(format!(
                    "'{}' will not come: {}",
                    what(id),
                    Error::new(Kind::Failed, "the database does not take it").because(refusal).chain()
                ));
            }
        }
    }
    let lost: Vec<String> = lost(job, session, entries, &belongings.dependents)?.into_iter().map(|id| format!("'{}'", what(id))).collect();
    if !lost.is_empty() {
        let shown = lost.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        let more = if lost.len() > SHOWN { format!(" and {} more", lost.len() - SHOWN) } else { String::new() };
        found.told.push(format!("what needed the table and is no part of it will not come: {shown}{more}"));
    }
    Ok(found)
}

/// How many objects a message names.
const SHOWN: usize = 20;

/// What the target lacks of all that needs the tables. A relation or a function that is there says so when it is created again; what hangs on another
/// table cannot have survived, and trying it would lock that table.
fn lost(job: &Job<'_>, session: &mut Session, entries: &HashMap<u32, &Entry>, dependents: &[u32]) -> Result<Vec<u32>> {
    let hangs = |id: &u32| entries.get(id).is_some_and(|entry| ["DEFAULT ", "RULE ", "POLICY ", "TRIGGER "].iter().any(|kind| entry.rest.starts_with(kind)));
    let (mut lost, others): (Vec<u32>, Vec<u32>) = dependents.iter().partition(|id| hangs(id));
    let mut tried = BTreeSet::new();
    for create in statements(job, &others)? {
        let Some(id) = create.entry.filter(|id| tried.insert(*id)) else { continue };
        let refusal = attempt(session, &create.text)?;
        // duplicate_table, duplicate_function, duplicate_object (manual, appendix A).
        if !refusal.is_some_and(|refusal| ["42P07", "42723", "42710"].contains(&refusal.sqlstate.as_str())) {
            lost.push(id);
        }
    }
    Ok(lost)
}

/// Tries a statement. What it changed stays until the transaction ends, unless the server refuses it: then its refusal is returned.
pub fn attempt(session: &mut Session, statement: &[u8]) -> Result<Option<ServerError>> {
    session.execute("SAVEPOINT attempt")?;
    match session.query_bytes(statement) {
        Ok(_) => session.execute("RELEASE SAVEPOINT attempt").map(|()| None),
        Err(error) => {
            let refusal = ServerError::of(&error).cloned();
            match refusal {
                // A lock that is not to be had, or a server that ends the session, says nothing of the statement.
                Some(refusal) if !["55P03", "57"].iter().any(|class| refusal.sqlstate.starts_with(class)) => {
                    session.execute("ROLLBACK TO SAVEPOINT attempt")?;
                    Ok(Some(refusal))
                }
                _ => Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_know_their_entries() {
        let text = "\\restrict x\nSET lock_timeout = 0;\nSELECT pg_catalog.set_config('search_path', '', false);\nSET xmloption = content;\n\n--\n-- TOC entry 12 (class 1259 OID 5)\n-- Name: t\n--\n\nCREATE TABLE t (\n    a int\n);\n\n
COMMENT ON TABLE t IS 'x\n-- TOC entry 99 (class 0 OID 0)\n;';\nSET default_tablespace = '';\n\n--\n-- TOC entry 13 (class 0 OID 0)\n--\n\nALTER TABLE t OWNER TO o;\n";
        let found: Vec<(Option<u32>, String)> = cut(text.as_bytes()).into_iter().map(|found| (found.entry, String::from_utf8(found.text).unwrap())).collect();
        assert_eq!(found[0], (None, "SET xmloption = content;".to_owned()));
        assert_eq!(found.iter().map(|(entry, _)| *entry).collect::<Vec<_>>(), [None, Some(12), Some(12), None, Some(13)]);
        assert!(found[2].1.contains("TOC entry 99"));
    }
}
