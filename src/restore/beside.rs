//! Restoring a table beside the living one, under another name (`--as`).
//! It owns which parts of the table come along and under which names; it leaves putting these into statements to `renaming`.
//! Invariant: everything happens in one transaction, and none in which the living table, its indexes or its sequences were touched is committed.

use super::belongings::belongings;
use super::loading;
use super::rehearsal::{Statement, attempt, statements};
use super::renaming::{LONGEST, Makes, Names, Qualified, derived, makes, renamed, value_of_sequence};
use super::tables::{Made, as_no_default_gave};
use super::{Job, Restored};
use crate::error::{Error, Kind, Result};
use crate::events::Event;
use crate::manifest::Table;
use crate::postgres::catalogue::{self, cell};
use crate::postgres::contents::Entry;
use crate::postgres::quote::{quote_ident, quote_literal, quote_qualified};
use crate::postgres::session::Session;
use crate::repository::files::open_file;
use crate::script::reader::UnitReader;
use crate::script::unit::Unit;
use crate::verify;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;

/// What comes along before the rows, and after them, by what the archive's entries are. Triggers, rules, policies, rights, foreign keys, publications and
/// what joins a parent do not: the copy is to be looked at, and nothing is to happen by it.
const BEFORE: [&str; 4] = ["TABLE ", "SEQUENCE ", "DEFAULT ", "COMMENT "];
const AFTER: [&str; 4] = ["CONSTRAINT ", "CHECK CONSTRAINT ", "INDEX ", "STATISTICS "];

/// A statement, and the entry that it is of.
struct Part {
    entry: Option<u32>,
    text: String,
}

/// Restores a table under another name, `NAME` in its own schema or `SCHEMA.NAME`.
pub fn restore(job: &Job<'_>, place: usize, name: &str, units: &[Unit], restored: &mut Restored) -> Result<()> {
    let table = &job.manifest.tables[place];
    let (schema, new) = name.split_once('.').unwrap_or((&table.schema, name));
    let new: Qualified = (schema.to_owned(), new.to_owned());
    let mut session = loading::connect(job)?;
    free(&mut session, &new)?;
    let archive = job.listing(&["--verbose"])?;
    let own = belongings(&archive, &table.objects.iter().copied().collect()).own;
    let (before, after, values) = chosen(&archive, &own);
    let (before, after, values) = (parts(job, &mut session, &before)?, parts(job, &mut session, &after)?, parts(job, &mut session, &values)?);
    let names = names(&mut session, table, &new, before.iter().chain(&after))?;
    let living = living(&mut session, table)?;
    let what = "rows, columns, defaults, checks, keys and indexes come along, with sequences of its own; triggers, rules, policies, rights, foreign keys and publications do not";
    job.observer.event(&Event::Beforehand(&format!("beside {}: {what}", table.label())));

    // An error ends the session, and with it the transaction.
    session.execute("BEGIN")?;
    let archived = job.manifest.money.as_ref().filter(|money| money.in_archive && !money.archive.is_empty());
    if let Some(money) = archived {
        catalogue::as_archived(&mut session, &money.archive)?;
    }
    let entries: HashMap<u32, &Entry> = archive.iter().map(|entry| (entry.id, entry)).collect();
    let mut told = make(&mut session, &entries, &names, &before)?;
    told.extend(apart(&mut session, &new)?);
    if let Some(money) = archived {
        catalogue::as_archived(&mut session, &money.units)?;
    }
    untouched(&mut session, &living)?;
    for what in told {
        job.observer.event(&Event::Beforehand(&what));
        restored.warnings.push(what);
    }

    job.observer.event(&Event::Step("rows"));
    let script = open_file(&job.request.backup.path.join(&job.manifest.script.file))?;
    let units: Vec<Unit> = units.iter().filter(|unit| unit.table as usize == place).copied().collect();
    job.observer.event(&Event::Total { bytes: table.bytes, tables: 1 });
    let copy = Table { schema: new.0.clone(), name: new.1.clone(), ..table.clone() };
    let load = loading::Load { table: &copy, units: &units, freeze: false, until: None };
    let sent = loading::send(job, &mut session, &mut UnitReader::default(), &script, load);
    let (digest, _) = sent.map_err(|error| if error.hint().is_none() { error.hinted("nothing was changed") } else { error })?;
    if let Some(wrong) = loading::difference(table, &digest).filter(|_| !job.request.no_check) {
        return Err(verify::failure(&job.request.backup.id, &[wrong]));
    }
    job.observer.event(&Event::Step("indexes"));
    restored.warnings.extend(make(&mut session, &entries, &names, &after)?);
    for (sequence, value) in values.iter().filter_map(|part| value_of_sequence(&part.text)) {
        // Only its own: the value of a sequence is set whatever becomes of the transaction.
        if let Some((schema, name)) = names.relations.get(&sequence) {
            session.execute(&format!("SELECT pg_catalog.setval({}, {value})", quote_literal(&quote_qualified(schema, name))))?;
        }
    }
    untouched(&mut session, &living)?;
    session.execute("COMMIT")?;
    (restored.tables, restored.rows, restored.bytes) = (1, digest.rows, digest.bytes);
    Ok(())
}

/// Fails unless the name can be had.
fn free(session: &mut Session, new: &Qualified) -> Result<()> {
    let label = format!("{}.{}", new.0, new.1);
    if new.1.is_empty() || new.1.len() > LONGEST {
        return Err(Error::usage(format!("'{label}' is no name for a table: it must have from 1 to {LONGEST} bytes")));
    }
    let there = session.query(&format!("SELECT pg_catalog.to_regnamespace({})", quote_literal(&quote_ident(&new.0))))?;
    if there.get(0, 0).is_none() {
        return Err(Error::usage(format!("there is no schema '{}'", new.0)).hinted("say --as NAME or --as SCHEMA.NAME, with a schema that is there"));
    }
    let there = session.query(&format!("SELECT pg_catalog.to_regclass({})", quote_literal(&quote_qualified(&new.0, &new.1))))?;
    if there.get(0, 0).is_some() {
        return Err(Error::usage(format!("'{label}' exists already")).hinted("choose another name for --as, or drop it; nothing was changed"));
    }
    Ok(())
}

/// The entries that come along: those before the rows, those after them, and the values of sequences.
fn chosen(archive: &[Entry], own: &[u32]) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
    let own: HashSet<u32> = own.iter().copied().collect();
    let (mut before, mut after, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for entry in archive.iter().filter(|entry| own.contains(&entry.id) && !entry.is_attachment()) {
        let is = |kinds: &[&str]| kinds.iter().any(|kind| entry.rest.starts_with(kind));
        let of = |part: &[u32]| entry.needs.iter().any(|need| part.contains(need));
        if entry.rest.starts_with("SEQUENCE SET ") {
            values.push(entry.id);
        } else if is(&AFTER) || (is(&["COMMENT "]) && of(&after)) {
            after.push(entry.id);
        // A comment on something that does not come stays behind with it.
        } else if is(&BEFORE) && (!is(&["COMMENT "]) || of(&before)) {
            before.push(entry.id);
        }
    }
    (before, after, values)
}

/// The statements of these entries, in UTF-8.
fn parts(job: &Job<'_>, session: &mut Session, entries: &[u32]) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for Statement { entry, text } in statements(job, entries)? {
        let encoding = &job.manifest.database.encoding;
        let text = match String::from_utf8(text) {
            Ok(text) if encoding == "UTF8" || text.is_ascii() => text,
            text => {
                let bytes = text.map_or_else(|error| error.into_bytes(), String::into_bytes);
                let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                });
                session.query(&format!("SELECT pg_catalog.convert_from('\\x{hex}'::pg_catalog.bytea, {})", quote_literal(encoding)))?.single()?.to_owned()
            }
        };
        parts.push(Part { entry, text });
    }
    Ok(parts)
}

/// The new names of the table and of all that comes along with it.
fn names<'p>(session: &mut Session, table: &Table, new: &Qualified, parts: impl Iterator<Item = &'p Part>) -> Result<Names> {
    let taken = |session: &mut Session, catalogue: &str, name: &str, schema: &str| -> Result<HashSet<String>> {
        let query = format!("SELECT {name} FROM pg_catalog.{catalogue} WHERE {schema} = pg_catalog.to_regnamespace({})", quote_literal(&quote_ident(&new.0)));
        session.query(&query)?.rows.iter().map(|row| Ok(cell(row, 0)?.to_owned())).collect()
    };
    let mut relations = taken(session, "pg_class", "relname", "relnamespace")?;
    let mut statistics = taken(session, "pg_statistic_ext", "stxname", "stxnamespace")?;
    relations.insert(new.1.clone());
    let mut names = Names { row: (table.name.clone(), new.1.clone()), ..Names::default() };
    names.relations.insert((table.schema.clone(), table.name.clone()), new.clone());
    for part in parts {
        match makes(&part.text) {
            Makes::Sequence(old) => {
                let name = derived(&old.1, &table.name, &new.1, &mut relations);
                names.relations.insert(old, (new.0.clone(), name));
            }
            Makes::Index(old) => {
                let name = derived(&old, &table.name, &new.1, &mut relations);
                names.relations.insert((table.schema.clone(), old.clone()), (new.0.clone(), name.clone()));
                names.indexes.insert(old, name);
            }
            Makes::Statistics(old) => {
                let name = derived(&old.1, &table.name, &new.1, &mut statistics);
                names.statistics.insert(old, (new.0.clone(), name));
            }
            Makes::Attachment | Makes::Other => {}
        }
    }
    Ok(names)
}

/// The living table, its indexes and its sequences, by their OIDs.
fn living(session: &mut Session, table: &Table) -> Result<Vec<String>> {
    let name = quote_literal(&quote_qualified(&table.schema, &table.name));
    let query = format!(
        "WITH t AS (SELECT pg_catalog.to_regclass({name})::pg_catalog.oid AS oid)
         SELECT oid FROM t WHERE oid IS NOT NULL UNION SELECT indexrelid FROM pg_catalog.pg_index, t WHERE indrelid = t.oid
         UNION SELECT d.refobjid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef a ON a.oid = d.objid JOIN pg_catalog.pg_class s ON s.oid = d.refobjid AND s.relkind = 'S', t
            WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND a.adrelid = t.oid
         UNION SELECT d.objid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S', t
            WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = t.oid"
    );
    session.query(&query)?.rows.iter().map(|row| Ok(cell(row, 0)?.to_owned())).collect()
}

/// Fails if the transaction holds a lock on something living with which it could have changed it.
fn untouched(session: &mut Session, living: &[String]) -> Result<()> {
    if living.is_empty() {
        return Ok(());
    }
    let query = format!(
        "SELECT FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation' AND mode <> 'AccessShareLock' AND relation IN ({}) LIMIT 1",
        living.join(", ")
    );
    match session.query(&query)?.is_empty() {
        true => Ok(()),
        false => Err(Error::new(Kind::Failed, "a statement was not about the copy but about the living table: this is a bug in kluis")
            .hinted("nothing was changed; restore the whole database beside this one (--create)")),
    }
}

/// Carries statements out under the new names. The table itself must come; what else the server refuses is told.
fn make(session: &mut Session, entries: &HashMap<u32, &Entry>, names: &Names, parts: &[Part]) -> Result<Vec<String>> {
    let (mut refused, mut told) = (HashSet::new(), Vec::new());
    for part in parts {
        let entry = part.entry.and_then(|id| entries.get(&id).copied());
        // pg_dump 13 attaches a partition where it makes it.
        if makes(&part.text) == Makes::Attachment || entry.is_some_and(|entry| refused.contains(&entry.id)) {
            continue;
        }
        let Some(refusal) = attempt(session, renamed(&part.text, names).as_bytes())? else { continue };
        let what = entry.map_or_else(String::new, |entry| entry.rest.escape_debug().to_string());
        let error = Error::new(Kind::Failed, format!("the database does not take '{what}' under its new name")).because(refusal);
        match entry {
            Some(entry) if !entry.is_table() => {
                refused.insert(entry.id);
                if !entry.needs.iter().any(|need| refused.contains(need)) {
                    told.push(format!("'{what}' does not come along: {}", error.chain()));
                }
            }
            _ => return Err(error.hinted("nothing was changed; restore the whole database beside this one (--create), and look there")),
        }
    }
    Ok(told)
}

/// Parts the copy from everything that lives: no parent, no default that draws from a sequence of others, nobody's right but its owner's.
fn apart(session: &mut Session, new: &Qualified) -> Result<Vec<String>> {
    let name = quote_qualified(&new.0, &new.1);
    let oid = session.query(&format!("SELECT {}::pg_catalog.regclass::pg_catalog.oid", quote_literal(&name)))?.single()?.to_owned();
    if !session.query(&format!("SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = {oid}"))?.is_empty() {
        return Err(Error::usage("the table inherits from another one, and so would its copy: the parent would show every row twice")
            .hinted("nothing was changed; restore the whole database beside this one (--create), and look there"));
    }
    let drawing = format!(
        "SELECT DISTINCT t.attname, n.nspname || '.' || s.relname FROM pg_catalog.pg_attrdef a JOIN pg_catalog.pg_attribute t ON t.attrelid = a.adrelid AND t.attnum = a.adnum
            JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = a.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            JOIN pg_catalog.pg_class s ON s.oid = d.refobjid AND s.relkind = 'S' JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
         WHERE a.adrelid = {oid} AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend o WHERE o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND o.objid = s.oid
            AND o.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND o.refobjid = {oid} AND o.deptype IN ('a', 'i'))"
    );
    let mut told = Vec::new();
    for row in session.query(&drawing)?.rows {
        let (column, sequence) = (cell(&row, 0)?, cell(&row, 1)?);
        session.execute(&format!("ALTER TABLE {name} ALTER COLUMN {} DROP DEFAULT", quote_ident(column)))?;
        told.push(format!(
            "the default of column '{}' does not come along: it draws from sequence {}, which is not the table's own",
            column.escape_debug(),
            sequence.escape_debug()
        ));
    }
    as_no_default_gave(session, &[Made { name, oid }])?;
    Ok(told)
}
