//! The mark of a table that `restore --table` makes: a comment, which a person and the next restore see where this one was killed.
//! It owns making the tables with it, knowing them again and taking it away; what else belongs to them is `tables`' matter.
//! Invariant: a table that is made has the mark from its first moment, in the same transaction, until all that belongs to it is there.

use super::rehearsal::{begin, speak_archived, statements_of};
use super::tables::Made;
use super::{Job, loading};
use crate::error::{Error, Kind, Result};
use crate::postgres::catalogue::{self, cell};
use crate::postgres::contents::Entry;
use crate::postgres::quote::{quote_ident, quote_literal, quote_qualified};
use crate::postgres::session::Session;
use sha2::{Digest, Sha256};

/// How the mark begins.
const MARK: &str = "kluis: unfinished: ";
/// What it says to whoever looks.
const MEANING: &str = "rows, indexes, keys or rights may be missing. A restore is at work, or was killed: then restore the table again, with --clean";

/// What the archive has in the place of the marks.
#[derive(Default)]
pub struct Comments(Vec<Vec<u8>>);

/// Takes the lock that a restore of tables holds as long as the session lives: with others who make tables in this database, or `alone`, to remove what a
/// killed one left.
pub fn lock(session: &mut Session, alone: bool) -> Result<()> {
    let hash = Sha256::digest("kluis restore of tables");
    let key = i64::from_be_bytes(hash[..8].try_into().expect("a hash has more than eight bytes"));
    let function = if alone { "pg_try_advisory_lock" } else { "pg_try_advisory_lock_shared" };
    if session.query(&format!("SELECT pg_catalog.{function}({key})"))?.single()? == "t" {
        return Ok(());
    }
    Err(Error::new(Kind::Locked, "another restore of tables into this database is at work").hinted("wait for its end, or stop it"))
}

/// Whether the table of that quoted name has the mark.
pub fn is_marked(session: &mut Session, name: &str) -> Result<bool> {
    let comment = format!("pg_catalog.obj_description(pg_catalog.to_regclass({}), 'pg_class')", quote_literal(name));
    Ok(!session.query(&format!("SELECT WHERE pg_catalog.starts_with({comment}, {})", quote_literal(MARK)))?.is_empty())
}

/// What to say of a table that has the mark, where it is not to be replaced.
pub fn found(label: &str, name: &str) -> Error {
    Error::new(Kind::Usage, format!("table {label} is unfinished: a restore that made it was killed, or is at work"))
        .hinted(format!("say --clean to have it made anew, or drop it (DROP TABLE {name}) and restore it again; nothing was changed"))
}

/// What removes tables that have the mark, with their quoted names; none where there are none. Their partitions would go along: each must be one of them.
/// Keys of other tables that lead to them go if the archive has them, for they are made again.
pub fn removal(session: &mut Session, archive: &[Entry], names: &[String]) -> Result<Option<String>> {
    if names.is_empty() {
        return Ok(None);
    }
    let list: Vec<String> = names.iter().map(|name| format!("{}::pg_catalog.regclass", quote_literal(name))).collect();
    let list = list.join(", ");
    let others = session
        .query(&format!("SELECT inhrelid::pg_catalog.regclass FROM pg_catalog.pg_inherits WHERE inhparent IN ({list}) AND inhrelid NOT IN ({list}) LIMIT 1"))?;
    if let Some(other) = others.get(0, 0) {
        return Err(Error::new(Kind::Usage, format!("{} is unfinished, and has {other} as a partition or a child", names.join(", ")))
            .hinted("detach or drop that first, or name it with --table as well; nothing was changed"));
    }
    let keys = session.query(&format!(
        "SELECT n.nspname, c.relname, k.conname FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid IN ({list}) AND k.conrelid NOT IN ({list})"
    ))?;
    let mut statements = String::new();
    for row in &keys.rows {
        let (schema, table, key) = (cell(row, 0)?, cell(row, 1)?, cell(row, 2)?);
        let named = format!("FK CONSTRAINT {schema} {table} {key} ");
        if archive.iter().any(|entry| entry.rest.starts_with(&named)) {
            statements += &format!("ALTER TABLE {} DROP CONSTRAINT {}; ", quote_qualified(schema, table), quote_ident(key));
        }
    }
    Ok(Some(format!("{statements}DROP TABLE {}", names.join(", "))))
}

/// Removes them, within a transaction.
pub fn remove(session: &mut Session, removal: Option<&str>) -> Result<()> {
    let Some(statement) = removal else { return Ok(()) };
    session.execute(statement).map_err(|error| {
        error
            .context("what a restore that was killed left cannot be removed")
            .hinted("drop it by hand (DROP TABLE … CASCADE), and restore again; nothing was changed")
    })
}

/// Makes the tables of these quoted names by the archive's statements before the rows, each with the mark, all of them or none.
pub fn make(job: &Job<'_>, own: &[u32], names: &[String], removal: Option<&str>) -> Result<(Vec<Made>, Comments)> {
    let mut session = loading::connect(job)?;
    let archived = job.manifest.money.as_ref().filter(|money| money.in_archive && !money.archive.is_empty());
    if let Some(money) = archived {
        catalogue::as_archived(&mut session, &money.archive)?;
    }
    let mut comments = Comments::default();
    begin(job, &mut session, removal)?;
    for statement in statements_of(job, own, &["--section=pre-data"])? {
        if statement.text.starts_with(b"COMMENT ON TABLE ") {
            comments.0.push(statement.text);
        } else {
            session.query_bytes(&statement.text).map_err(|error| error.context("cannot make the tables"))?;
        }
    }
    session.speak()?;
    let mut made = Vec::new();
    for name in names {
        session.execute(&format!("COMMENT ON TABLE {name} IS {}", quote_literal(&format!("{MARK}{MEANING}"))))?;
        let oid = session.query(&format!("SELECT {}::pg_catalog.regclass::pg_catalog.oid", quote_literal(name)))?.single()?.to_owned();
        made.push(Made { name: name.clone(), oid });
    }
    session.execute("COMMIT")?;
    Ok((made, comments))
}

/// Gives the tables the comments that they had: all is there.
pub fn finish(job: &Job<'_>, made: &[Made], comments: &Comments) -> Result<()> {
    if made.is_empty() {
        return Ok(());
    }
    let mut session = loading::connect(job)?;
    session.execute("BEGIN")?;
    for made in made {
        session.execute(&format!("COMMENT ON TABLE {} IS NULL", made.name))?;
    }
    speak_archived(job, &mut session)?;
    for comment in &comments.0 {
        session.query_bytes(comment)?;
    }
    session.execute("COMMIT")
}
