//! Restoring single tables: into a database that lacks them, or whose tables are empty, or cleared.
//! It owns which tables are meant and the order of things; what belongs to them `belongings` knows, how rows are sent `loading`.
//! Invariant: a table that exists gets its rows in one transaction, so that an error leaves it as it was; one that was made for an error is dropped, and
//! one that a kill leaves is marked (`unfinished`).

use super::belongings::{Belongings, belongings};
use super::loading::{self, Rows};
use super::rehearsal::{Found, rehearse, statements};
use super::unfinished::{self, Comments};
use super::{Job, Request, Restored};
use crate::error::{Error, Kind, Result};
use crate::events::Event;
use crate::manifest::{Manifest, Mover, Table};
use crate::postgres::catalogue::{self, cell};
use crate::postgres::contents::Entry;
use crate::postgres::quote::{quote_ident, quote_literal, quote_qualified};
use crate::postgres::server_error::ServerError;
use crate::postgres::session::Session;
use crate::repository::files::open_file;
use crate::script::reader::UnitReader;
use crate::script::unit::Unit;
use crate::stop::Stop;
use crate::verify;
use std::collections::{BTreeSet, HashMap, HashSet};

/// The tables that were asked for, each once.
#[derive(Debug, Default)]
pub struct Chosen {
    /// Tables with rows, by their places in the manifest.
    pub tables: Vec<usize>,
    /// Partitioned tables, by their places among those.
    pub parents: Vec<usize>,
}

/// Finds the tables that were asked for by `name` or `schema.name`. A partitioned table brings its partitions.
pub fn choose(request: &Request<'_>, manifest: &Manifest, stop: &Stop) -> Result<Chosen> {
    let (mut tables, mut parents) = (BTreeSet::new(), BTreeSet::new());
    let mut ordered = Vec::new();
    for word in request.tables {
        let named = |name: &str, label: &str| name == word || label == word;
        let found: Vec<usize> = (0..manifest.tables.len()).filter(|index| named(&manifest.tables[*index].name, &manifest.tables[*index].label())).collect();
        let found_parents: Vec<usize> =
            (0..manifest.partitioned.len()).filter(|index| named(&manifest.partitioned[*index].name, &manifest.partitioned[*index].label())).collect();
        let hint = "kluis show --tables lists them; SCHEMA.NAME names one exactly";
        let mut wanted = Vec::new();
        match (found.as_slice(), found_parents.as_slice()) {
            ([index], _) if manifest.tables[*index].moved_by == Mover::PgDump => return Err(only_whole(manifest, &manifest.tables[*index])),
            ([index], []) => wanted.push(*index),
            ([], [parent]) => {
                parents.insert(*parent);
                for (schema, name) in &manifest.partitioned[*parent].partitions {
                    let same = |one: &str, other: &str| one == schema && other == name;
                    parents.extend(manifest.partitioned.iter().position(|table| same(&table.schema, &table.name)));
                    wanted.extend(manifest.tables.iter().position(|table| same(&table.schema, &table.name)));
                }
            }
            ([], []) => return Err(unknown(request, manifest, stop, word).hinted(hint)),
            _ => return Err(Error::new(Kind::Usage, format!("the backup has several tables '{word}'")).hinted(hint)),
        }
        ordered.extend(wanted.into_iter().filter(|index| tables.insert(*index)));
    }
    Ok(Chosen { tables: ordered, parents: parents.into_iter().collect() })
}

/// Why a table whose rows pg_dump moved cannot come by itself.
fn only_whole(manifest: &Manifest, table: &Table) -> Error {
    let hint = "restore into a new database (--create) and copy the table from there";
    let why = if manifest.partitioned.iter().any(|parent| parent.label() == table.label()) {
        "its rows may belong into other partitions on another server"
    } else if table.objects.is_empty() {
        "it is an extension's, which makes it and tells which of its rows are data"
    } else {
        "its rows were left to pg_dump, because of its name or of how many tables there are"
    };
    Error::new(Kind::Usage, format!("table '{}' can only be restored with the whole database: {why}", table.label())).hinted(hint)
}

/// What there is of that name which is no table that can be restored.
fn unknown(request: &Request<'_>, manifest: &Manifest, stop: &Stop, word: &str) -> Error {
    if let Some((table, extension)) =
        manifest.witnessed.iter().filter(|table| table.name == word || table.label() == word).find_map(|table| Some((table, table.extension.as_ref()?)))
    {
        let what = format!("table '{}' belongs to extension '{}', which makes it: no backup holds it", table.label(), extension.escape_debug());
        return Error::new(Kind::Usage, what);
    }
    let kinds = [
        ("VIEW ", "a view: it holds no rows, and comes with the whole database"),
        ("MATERIALIZED VIEW ", "a materialized view: it is filled from other tables, and comes with the whole database"),
        ("FOREIGN TABLE ", "a foreign table: its rows are on another server, and it comes with the whole database"),
        ("SEQUENCE ", "a sequence: it comes with the table that owns it, or with the whole database"),
        ("TABLE ", "a partitioned table, and this backup does not tell its partitions: name those"),
    ];
    let is_it = |rest: &str| {
        let name = rest.split_once(' ').map_or("", |(_, name)| name);
        let label = rest.replacen(' ', ".", 1);
        [name, &label].iter().any(|there| there.strip_prefix(word).is_some_and(|owner| owner.starts_with(' ')))
    };
    // Only a word of help: without PostgreSQL's programs there is none.
    let listed = crate::postgres::tools::find(request.places, manifest.server.major)
        .and_then(|tools| super::listing(&tools, &request.backup.path, &[], stop))
        .unwrap_or_default();
    let found = listed.iter().find_map(|entry| kinds.iter().find(|(kind, _)| entry.rest.strip_prefix(kind).is_some_and(is_it)));
    match found {
        Some((_, what)) => Error::new(Kind::Usage, format!("'{word}' is {what}")),
        None => Error::new(Kind::Usage, format!("the backup has no table '{word}'")),
    }
}

/// A table of the target that was made by this restore.
pub struct Made {
    /// Its name, quoted.
    pub name: String,
    /// Its OID.
    pub oid: String,
}

/// Restores the chosen tables.
pub fn restore(job: &Job<'_>, mut session: Session, chosen: &Chosen, units: &[Unit], restored: &mut Restored) -> Result<()> {
    let (mut missing, mut present, mut objects, mut names, mut marked) = (BTreeSet::new(), Vec::new(), HashSet::new(), Vec::new(), Vec::new());
    for parent in chosen.parents.iter().map(|index| &job.manifest.partitioned[*index]) {
        let name = quote_qualified(&parent.schema, &parent.name);
        let there = is_there(&mut session, &parent.schema, &parent.name)?.is_some();
        if there && unfinished::is_marked(&mut session, &name)? {
            marked.push((parent.label(), name.clone()));
        } else if there {
            continue;
        }
        objects.extend(parent.objects.iter().copied());
        names.push(name);
    }
    for index in &chosen.tables {
        let table = &job.manifest.tables[*index];
        let name = quote_qualified(&table.schema, &table.name);
        match is_there(&mut session, &table.schema, &table.name)? {
            None => {
                missing.insert(*index);
                objects.extend(table.objects.iter().copied());
                names.push(name);
            }
            Some(kind) if kind != "r" => {
                return Err(Error::new(Kind::Usage, format!("{} is there already, and is no plain table", table.label()))
                    .hinted("rename it or drop it, or restore into another database; nothing was changed"));
            }
            Some(_) if unfinished::is_marked(&mut session, &name)? => {
                marked.push((table.label(), name.clone()));
                missing.insert(*index);
                objects.extend(table.objects.iter().copied());
                names.push(name);
            }
            Some(_) if job.request.clean || catalogue::is_empty(&mut session, &table.schema, &table.name)? => present.push(*index),
            Some(_) => {
                return Err(Error::new(Kind::Usage, format!("table {} exists and has rows", table.label()))
                    .hinted("restore it beside that one (--as NAME), or say --clean to replace its rows; nothing was changed"));
            }
        }
    }
    if job.request.clean {
        refuse_if_referenced(&mut session, job.manifest, &present)?;
    } else if let Some((label, name)) = marked.first() {
        return Err(unfinished::found(label, name));
    }
    if !names.is_empty() {
        unfinished::lock(&mut session, !marked.is_empty())?;
    }
    let marked: Vec<String> = marked.into_iter().map(|(_, name)| name).collect();
    let (mut plan, mut removal) = (Plan::default(), None);
    if !names.is_empty() {
        let archive = job.listing(&["--verbose"])?;
        let belongings = belongings(&archive, &objects);
        removal = unfinished::removal(&mut session, &archive, &marked)?;
        let Found { refused, told } = rehearse(job, &mut session, &archive, &belongings, removal.as_deref())?;
        for what in told {
            job.observer.event(&Event::Beforehand(&what));
            restored.warnings.push(what);
        }
        plan = Plan::new(&archive, &belongings, &refused);
    }
    let (made, comments) = plan.create(job, &names, removal.as_deref())?;
    let filled = fill(job, &plan, &missing, &present, units, restored).and_then(|()| unfinished::finish(job, &made, &comments));
    // With it goes the lock.
    drop(session);
    if let Err(error) = filled {
        return Err(undo(job, &made, error));
    }
    if !present.is_empty() {
        restored.warnings.push("sequences of tables that existed were left as they are: compare them with the largest keys".to_owned());
    }
    Ok(())
}

/// The kind of the relation of that name, as pg_class has it; none: there is no such relation.
fn is_there(session: &mut Session, schema: &str, name: &str) -> Result<Option<String>> {
    let name = quote_literal(&quote_qualified(schema, name));
    let rows = session.query(&format!("SELECT relkind FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass({name})"))?;
    Ok(rows.get(0, 0).map(str::to_owned))
}

/// What to restore of the archive, part by part.
#[derive(Default)]
struct Plan {
    own: Vec<u32>,
    rights: Vec<u32>,
    late: Vec<u32>,
    keys: Vec<u32>,
    /// Indexes join their parents' one after the other: two at once do not see each other.
    serial: bool,
    names: HashMap<u32, String>,
}

impl Plan {
    fn new(archive: &[Entry], belongings: &Belongings, refused: &BTreeSet<u32>) -> Plan {
        let without = |part: &[u32]| part.iter().copied().filter(|id| !refused.contains(id)).collect::<Vec<u32>>();
        let (own, keys) = (without(&belongings.own), without(&belongings.keys));
        let serial = archive.iter().any(|entry| entry.is_index_attachment() && own.contains(&entry.id));
        let names = archive.iter().filter(|entry| keys.contains(&entry.id)).map(|entry| (entry.id, entry.rest.clone())).collect();
        Plan { rights: without(&belongings.rights), late: without(&belongings.late), own, keys, serial, names }
    }

    /// These entries of the archive, as far as they are in one of its sections.
    fn apply(&self, job: &Job<'_>, name: &str, entries: &[u32], more: &[&str]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let list = job.list_file(name, entries)?;
        job.apply(job.pg_restore().args(more).arg("--use-list").arg(&list.0).arg(job.archive()))
    }

    /// Makes the tables, all of them or none. `removal` is of what a killed restore left of them.
    fn create(&self, job: &Job<'_>, names: &[String], removal: Option<&str>) -> Result<(Vec<Made>, Comments)> {
        if names.is_empty() {
            return Ok(Default::default());
        }
        let (made, comments) = unfinished::make(job, &self.own, names, removal)?;
        let mut session = Session::connect(job.request.to, job.stop)?;
        let mut rights = || -> Result<()> {
            if !job.request.no_privileges {
                as_no_default_gave(&mut session, &made)?;
            }
            self.apply(job, "rights", &self.rights, &["--single-transaction"])
        };
        rights().map_err(|error| undo(job, &made, error))?;
        Ok((made, comments))
    }
}

/// Takes away what default privileges of the target gave for tables that are new: the backup says who may do what.
pub fn as_no_default_gave(session: &mut Session, made: &[Made]) -> Result<()> {
    let oids: Vec<&str> = made.iter().map(|made| made.oid.as_str()).collect();
    let query = format!(
        "SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname, coalesce(r.rolname, ''), c.relowner = a.grantee, pg_catalog.pg_get_userbyid(c.relowner)
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a
            LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
         WHERE c.oid IN ({0}) OR (c.relkind = 'S' AND c.oid IN (SELECT objid FROM pg_catalog.pg_depend
            WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND deptype IN ('a', 'i') AND refobjid IN ({0})))
         GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 5, 2, 3, 4",
        oids.join(", ")
    );
    for row in session.query(&query)?.rows {
        let (kind, name) = (cell(&row, 0)?, quote_qualified(cell(&row, 1)?, cell(&row, 2)?));
        let grantee = if cell(&row, 3)?.is_empty() { "PUBLIC".to_owned() } else { quote_ident(cell(&row, 3)?) };
        if cell(&row, 4)? != "t" {
            session.execute(&format!("REVOKE ALL ON {kind} {name} FROM {grantee}"))?;
        }
        session.execute(&format!("GRANT ALL ON {kind} {name} TO {}", quote_ident(cell(&row, 5)?)))?;
    }
    Ok(())
}

/// Drops what was made, as long as it is still that, after an error. Nothing goes along that others have made since.
fn undo(job: &Job<'_>, made: &[Made], error: Error) -> Error {
    if made.is_empty() {
        return error;
    }
    let drop = || -> Result<()> {
        // The job's own token may be what ended it.
        let mut session = Session::connect(job.request.to, &Stop::new())?;
        session.execute(&format!("SET lock_timeout = {}", job.request.lock_wait.as_millis()))?;
        let mut names = Vec::new();
        for made in made {
            let query = format!("SELECT FROM pg_catalog.pg_class WHERE oid = {} AND oid = pg_catalog.to_regclass({})", made.oid, quote_literal(&made.name));
            if !session.query(&query)?.is_empty() {
                names.push(made.name.as_str());
            }
        }
        if names.is_empty() { Ok(()) } else { session.execute(&format!("DROP TABLE {}", names.join(", "))) }
    };
    match drop() {
        Ok(()) if error.hint().is_none() => error.hinted("what was made for it was dropped again"),
        Ok(()) => error,
        Err(_) => {
            let names: Vec<&str> = made.iter().map(|made| made.name.as_str()).collect();
            error.context(format!("what was begun could not be removed: drop it by hand before you try again ({})", names.join(", ")))
        }
    }
}

/// Loads the rows, and makes what comes after them.
fn fill(job: &Job<'_>, plan: &Plan, missing: &BTreeSet<usize>, present: &[usize], units: &[Unit], restored: &mut Restored) -> Result<()> {
    job.observer.event(&Event::Step("rows"));
    let script = open_file(&job.request.backup.path.join(&job.manifest.script.file))?;
    let in_turn: Vec<usize> = job.manifest.in_turn.iter().flatten().map(|place| *place as usize).collect();
    let load = |tables: &BTreeSet<usize>, restored: &mut Restored| -> Result<()> {
        if tables.is_empty() {
            return Ok(());
        }
        let units: Vec<Unit> = units.iter().filter(|unit| tables.contains(&(unit.table as usize))).copied().collect();
        let loaded = loading::load(job, &script, Rows { tables, units: &units, in_turn: &in_turn }, Vec::new(), Vec::new(), None)?;
        restored.tables += loaded.tables;
        restored.rows += loaded.rows;
        restored.bytes += loaded.bytes;
        Ok(())
    };
    let (turns, others): (BTreeSet<usize>, BTreeSet<usize>) = missing.iter().partition(|index| in_turn.contains(index));
    load(&others, restored)?;
    // What comes in turn may need the rows of tables that exist. Else those are replaced when nothing is left that may fail.
    let early = !turns.is_empty();
    if early {
        replace(job, present, units, &script, restored)?;
        load(&turns, restored)?;
    }
    plan.apply(job, "own", &plan.own, &["--section=data"])?;
    job.observer.event(&Event::Step("indexes"));
    let jobs = format!("--jobs={}", if plan.serial { 1 } else { job.request.jobs });
    plan.apply(job, "own", &plan.own, &["--section=post-data", &jobs])?;
    plan.apply(job, "late", &plan.late, &["--section=pre-data"])?;
    if !early {
        replace(job, present, units, &script, restored)?;
    }
    add_keys(job, plan, restored)
}

/// Adds the foreign keys, each by itself: a row that refers to nothing is no reason to be without the table.
fn add_keys(job: &Job<'_>, plan: &Plan, restored: &mut Restored) -> Result<()> {
    let (statements, mut refused) = (statements(job, &plan.keys)?, BTreeSet::new());
    if statements.is_empty() {
        return Ok(());
    }
    let mut session = loading::connect(job)?;
    session.execute(&format!("SET client_encoding = '{}'", job.manifest.database.encoding))?;
    for statement in statements {
        let id = statement.entry.unwrap_or_default();
        if refused.contains(&id) {
            continue;
        }
        let Err(error) = session.query_bytes(&statement.text) else { continue };
        let Some(refusal) = ServerError::of(&error).filter(|_| statement.entry.is_some()) else { return Err(error) };
        if refusal.sqlstate.starts_with("57") {
            return Err(error);
        }
        refused.insert(id);
        let name = plan.names.get(&id).map_or_else(String::new, |name| name.escape_debug().to_string());
        // The comment on a key that is not there goes without saying.
        if !name.starts_with("COMMENT ") {
            restored.warnings.push(format!("'{name}' was not brought back: {}", error.chain()));
        }
    }
    Ok(())
}

/// Loads the rows of tables that exist, in one transaction.
fn replace(job: &Job<'_>, present: &[usize], units: &[Unit], script: &std::fs::File, restored: &mut Restored) -> Result<()> {
    if present.is_empty() {
        return Ok(());
    }
    let by_table = verify::units_of(units);
    let total = present.iter().map(|index| job.manifest.tables[*index].bytes).sum();
    job.observer.event(&Event::Total { bytes: total, tables: present.len() as u64 });
    let mut session = loading::connect(job)?;
    session.execute("BEGIN")?;
    let mut triggers = Vec::new();
    for index in present {
        triggers.extend(quiet(&mut session, &job.manifest.tables[*index])?);
    }
    if job.request.clean {
        clear(&mut session, job.manifest, present)?;
    }
    let mut reader = UnitReader::default();
    let mut in_order = parents_first(&mut session, job.manifest, present)?;
    // Those whose rows may need others' come behind them.
    in_order.sort_by_key(|index| job.manifest.turn_of(*index));
    for index in &in_order {
        let table = &job.manifest.tables[*index];
        let units = by_table.get(&(*index as u32)).map_or(&[][..], Vec::as_slice);
        let (digest, _) = loading::send(job, &mut session, &mut reader, script, loading::Load { table, units, freeze: false, until: None })?;
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
    session.execute("COMMIT").map_err(|error| error.context("the rows could not be committed; the tables are as they were"))
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
