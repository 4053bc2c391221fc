//! Restoring single tables: into a database that lacks them, or whose tables are empty, or cleared.
//! It owns which entries of the archive belong to a table; how rows are sent it takes from `loading`.
//! Invariant: a table that exists gets its rows in one transaction, so that an error leaves it as it was.

use super::{Job, List, Restored, loading};
use crate::error::{Error, Kind, Result};
use crate::events::Event;
use crate::manifest::{Manifest, Mover, Table};
use crate::postgres::catalogue::cell;
use crate::postgres::contents::Entry;
use crate::postgres::quote::{quote_ident, quote_literal, quote_qualified};
use crate::postgres::session::Session;
use crate::repository::files::open_file;
use crate::script::reader::UnitReader;
use crate::script::unit::Unit;
use crate::verify;
use std::collections::HashSet;

/// The places in the manifest of the tables that were asked for by `name` or `schema.name`.
pub fn choose(manifest: &Manifest, words: &[String]) -> Result<Vec<usize>> {
    let mut chosen = Vec::new();
    for word in words {
        let found: Vec<usize> =
            (0..manifest.tables.len()).filter(|index| [&manifest.tables[*index].name, &manifest.tables[*index].label()].contains(&word)).collect();
        let hint = "kluis show --tables lists them; SCHEMA.NAME names one exactly; of a partitioned table, name the partitions";
        match found.as_slice() {
            [index] if manifest.tables[*index].moved_by == Mover::PgDump => {
                return Err(Error::new(Kind::Usage, format!("table '{word}' can only be restored with the whole database"))
                    .hinted("restore into a new database (--create) and copy the table from there"));
            }
            [index] => chosen.push(*index),
            [] => return Err(Error::new(Kind::Usage, format!("the backup has no table '{word}'")).hinted(hint)),
            _ => return Err(Error::new(Kind::Usage, format!("the backup has several tables '{word}'")).hinted(hint)),
        }
    }
    Ok(chosen)
}

/// Restores the chosen tables.
pub fn restore(job: &Job<'_>, mut session: Session, chosen: &[usize], units: &[Unit], restored: &mut Restored) -> Result<()> {
    let (mut missing, mut present) = (Vec::new(), Vec::new());
    for index in chosen {
        let table = &job.manifest.tables[*index];
        let name = quote_qualified(&table.schema, &table.name);
        if session.query(&format!("SELECT pg_catalog.to_regclass({})", quote_literal(&name)))?.get(0, 0).is_none() {
            missing.push(*index);
        } else if job.request.clean || crate::postgres::catalogue::is_empty(&mut session, &table.schema, &table.name)? {
            present.push(*index);
        } else {
            return Err(Error::new(Kind::Usage, format!("table {} exists and has rows", table.label()))
                .hinted("restore it into another database, or say --clean to replace its rows; nothing was changed"));
        }
    }
    let members = |wanted: &[usize]| -> HashSet<(u32, u32)> { wanted.iter().flat_map(|index| job.manifest.tables[*index].objects.iter().copied()).collect() };
    if job.request.clean {
        refuse_if_referenced(&mut session, job.manifest, &present)?;
    }
    let (objects, tables) = (members(&missing), missing.iter().map(|index| &job.manifest.tables[*index]).collect::<Vec<_>>());
    let belongs = |entry: &Entry| objects.contains(&(entry.catalogue, entry.oid)) || tables.iter().any(|table| mentions(entry, table));
    // A partition whose parent is there already would get the parent's keys when it is attached, and then once more: it is attached last.
    // Attaching it takes its indexes along.
    let (list, attach) = if missing.is_empty() {
        (None, None)
    } else {
        let (list, attach) = (
            job.list("own", |entry| belongs(entry) && !entry.is_attachment())?,
            job.list("attach", |entry| belongs(entry) && entry.rest.starts_with("TABLE ATTACH "))?,
        );
        (Some(list), Some(attach))
    };
    let apply = |list: &Option<List>, sections: &[&str]| match list {
        Some(list) => {
            let sections = sections.iter().map(|section| format!("--section={section}"));
            job.apply(job.pg_restore().args(sections).arg("--use-list").arg(&list.0).arg(job.archive()))
        }
        None => Ok(()),
    };
    let part = |section: &str| apply(&list, &[section]);
    part("pre-data")?;

    job.observer.event(&Event::Step("rows"));
    let script = open_file(&job.request.backup.path.join(&job.manifest.script.file))?;
    let by_table = verify::units_of(units);
    let total = chosen.iter().map(|index| job.manifest.tables[*index].bytes).sum();
    job.observer.event(&Event::Total { bytes: total, tables: chosen.len() as u64 });
    drop(session);
    let mut session = loading::connect(job)?;
    session.execute("SET synchronous_commit = on; BEGIN")?;
    let mut triggers = Vec::new();
    for index in &present {
        triggers.extend(quiet(&mut session, &job.manifest.tables[*index])?);
    }
    if job.request.clean && !present.is_empty() {
        clear(&mut session, job.manifest, &present)?;
    }
    let present_in_order = parents_first(&mut session, job.manifest, &present)?;
    let mut reader = UnitReader::default();
    for index in missing.iter().chain(&present_in_order) {
        let table = &job.manifest.tables[*index];
        let units = by_table.get(&(*index as u32)).map_or(&[][..], Vec::as_slice);
        let (digest, _) = loading::send(job, &mut session, &mut reader, &script, loading::Load { table, units, freeze: false, until: None })?;
        if let Some(wrong) = loading::difference(table, &digest).filter(|_| !job.request.no_check) {
            return Err(verify::failure(&job.request.backup.id, &[wrong]));
        }
        restored.tables += 1;
        restored.rows += digest.rows;
        restored.bytes += digest.bytes;
    }
    for statement in triggers {
        session.execute(&statement)?;
    }
    session.execute("COMMIT").map_err(|error| error.context("the rows could not be committed; the tables are as they were"))?;
    part("data")?;
    part("post-data")?;
    apply(&attach, &["pre-data"])?;
    if !present.is_empty() {
        restored.warnings.push("sequences of tables that existed were left as they are: compare them with the largest keys".to_owned());
    }
    Ok(())
}

/// Whether an entry without an OID of its own (a comment, rights, a sequence's value) is about the table.
fn mentions(entry: &Entry, table: &Table) -> bool {
    let (schema, name) = (&table.schema, &table.name);
    let starts = [
        format!("ACL {schema} TABLE {name} "),
        format!("ACL {schema} COLUMN {name}."),
        format!("COMMENT {schema} TABLE {name} "),
        format!("COMMENT {schema} COLUMN {name}."),
        format!("ROW SECURITY {schema} {name} "),
        format!("TABLE ATTACH {schema} {name} "),
        // A sequence of a serial or identity column is named after its table unless somebody renamed it.
        format!("SEQUENCE SET {schema} {name}_"),
        format!("SEQUENCE OWNED BY {schema} {name}_"),
    ];
    entry.oid == 0 && starts.iter().any(|start| entry.rest.starts_with(start.as_str()))
}

/// The foreign keys that lead from a table to another one that is to be cleared: the place of the latter, and the former's name.
fn references(session: &mut Session, manifest: &Manifest, tables: &[usize]) -> Result<Vec<(usize, String)>> {
    let mut found = Vec::new();
    for index in tables {
        let table = &manifest.tables[*index];
        let rows = session.query(&format!(
            "SELECT DISTINCT n.nspname || '.' || c.relname FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
                JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE k.contype = 'f' AND k.conrelid <> k.confrelid AND k.confrelid = {}::pg_catalog.regclass ORDER BY 1",
            quote_literal(&quote_qualified(&table.schema, &table.name))
        ))?;
        for row in rows.rows {
            found.push((*index, cell(&row, 0)?.to_owned()));
        }
    }
    Ok(found)
}

/// Rows that other tables refer to cannot go without those, and `ON DELETE CASCADE` would take them along without a word.
fn refuse_if_referenced(session: &mut Session, manifest: &Manifest, present: &[usize]) -> Result<()> {
    let chosen: HashSet<String> = present.iter().map(|index| manifest.tables[*index].label()).collect();
    let others: Vec<(usize, String)> = references(session, manifest, present)?.into_iter().filter(|(_, from)| !chosen.contains(from)).collect();
    let Some((first, _)) = others.first() else { return Ok(()) };
    let mut names: Vec<&str> = others.iter().map(|(_, from)| from.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    Err(Error::new(
        Kind::Usage,
        format!("other tables refer to {}, whose rows cannot be replaced without theirs: {}", manifest.tables[*first].label(), names.join(", ")),
    )
    .hinted("name those with --table as well, or restore into a database of its own (--create) and copy what is needed from there; nothing was changed"))
}

/// These tables, those before others that refer to them. Where they refer to each other in a circle, as they came.
fn parents_first(session: &mut Session, manifest: &Manifest, tables: &[usize]) -> Result<Vec<usize>> {
    let references = references(session, manifest, tables)?;
    let (mut left, mut ordered) = (tables.to_vec(), Vec::new());
    while !left.is_empty() {
        let waits =
            |index: &usize| references.iter().any(|(parent, child)| *child == manifest.tables[*index].label() && left.contains(parent) && parent != index);
        let next = left.iter().position(|index| !waits(index)).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    Ok(ordered)
}

/// Removes the rows of all these tables within the transaction. TRUNCATE, because DELETE follows cascades, rules and triggers into other tables;
/// it refuses where another table refers to one of them.
fn clear(session: &mut Session, manifest: &Manifest, present: &[usize]) -> Result<()> {
    let names: Vec<String> =
        present.iter().map(|index| format!("ONLY {}", quote_qualified(&manifest.tables[*index].schema, &manifest.tables[*index].name))).collect();
    session
        .execute(&format!("TRUNCATE TABLE {}", names.join(", ")))
        .map_err(|error| error.context("cannot clear the tables").hinted("the role needs the right to TRUNCATE them; nothing was changed"))?;
    Ok(())
}

/// Turns off the user's triggers within the transaction. Returns what turns them on again.
fn quiet(session: &mut Session, table: &Table) -> Result<Vec<String>> {
    let name = quote_qualified(&table.schema, &table.name);
    session.execute(&format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")).map_err(|error| error.context(format!("cannot lock table {}", table.label())))?;
    // A trigger that changes rows on their way in would make them differ from the backup.
    let query = format!(
        "SELECT tgname, tgenabled FROM pg_catalog.pg_trigger WHERE tgrelid = {}::pg_catalog.regclass AND NOT tgisinternal AND tgenabled <> 'D'",
        quote_literal(&name)
    );
    let mut again = Vec::new();
    for row in session.query(&query)?.rows {
        let (trigger, how) = (
            quote_ident(cell(&row, 0)?),
            match cell(&row, 1)? {
                "R" => "REPLICA ",
                "A" => "ALWAYS ",
                _ => "",
            },
        );
        session.execute(&format!("ALTER TABLE {name} DISABLE TRIGGER {trigger}"))?;
        again.push(format!("ALTER TABLE {name} ENABLE {how}TRIGGER {trigger}"));
    }
    Ok(again)
}
