//! The drill: a backup restored into a throwaway server and compared with what its own snapshot held.
//! It owns the verdict; it restores with the code of `restore`, compares with that of `compare`, and leaves recording to `proof`.
//! Invariant: it reads only the published files; "bad" is said of the backup, never of this machine: what is missing here is "cannot judge".

mod assertions;
mod catalogue;
mod entries;
mod globals;
mod reasons;
mod schema;
mod values;
mod words;

use crate::error::{Error, Kind, Result};
use crate::events::{Event, Observer};
use crate::exception::{Class, Exception};
use crate::manifest::{DrillFacts, Manifest, Property};
use crate::postgres::connection::Connection;
use crate::postgres::properties;
use crate::postgres::quote::{quote_ident, quote_literal};
use crate::postgres::session::Session;
use crate::postgres::throwaway::{Locale, Memory, Options, Throwaway};
use crate::postgres::tools::{Places, Tools, find};
use crate::repository::files::open_file;
use crate::repository::list::Backup;
use crate::restore::{self, Withheld};
use crate::stop::Stop;
use crate::units::format_bytes;
use crate::{compare, extensions, verify};
use std::path::Path;
use std::time::{Duration, Instant};

/// What to drill, and how.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The backup.
    pub backup: &'a Backup,
    /// Where PostgreSQL's programs are.
    pub places: &'a Places,
    /// The folder for the throwaway server.
    pub scratch: &'a Path,
    /// How many sessions restore and compare.
    pub jobs: usize,
    /// The operator's own checks: a folder of SQL files.
    pub assertions: Option<&'a Path>,
    /// By how much to lower the server's priority.
    pub nice: i32,
}

/// What a drill says.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The backup was restored and is equal; `asserted` where the operator's own checks were run, and passed.
    Proven {
        /// Whether there were assertions.
        asserted: bool,
        /// What was done.
        facts: DrillFacts,
        /// What a restore does not bring back, since no dump holds it.
        exceptions: Vec<Exception>,
    },
    /// The backup is wrong, in these ways.
    Bad(Vec<String>),
    /// It cannot be judged on this machine, for these reasons.
    CannotJudge(Vec<String>),
}

/// Drills. An error means that there is no verdict: the drill was stopped, or something failed that says nothing about the backup.
pub fn drill(request: &Request<'_>, stop: &Stop, observer: &dyn Observer) -> Result<Verdict> {
    let begun = Instant::now();
    let Ok(manifest) = &request.backup.manifest else {
        return Ok(Verdict::Bad(request.backup.manifest.as_ref().err().cloned().into_iter().collect()));
    };
    observer.event(&Event::Step("look around"));
    let tools = match look_around(request, manifest)? {
        Ok(tools) => tools,
        Err(reasons) => return Ok(Verdict::CannotJudge(reasons)),
    };
    observer.event(&Event::Step("start a throwaway server"));
    let (mut locale, scratch) = (Locale::from(&manifest.database), request.scratch);
    if let Some(money) = &manifest.money {
        // Every session that reads what the backup holds says so itself. Only what has no way to be told depends on the server.
        locale.monetary = if money.in_archive { money.archive.clone() } else { "C".to_owned() };
    }
    let preload = extensions::preload(manifest);
    let options = Options {
        tools: &tools,
        scratch,
        locale: &locale,
        // The owner of the system's own objects, as in the source: rights on them name it.
        superuser: globals::superuser(manifest),
        sessions: request.jobs * 2 + 8,
        memory: Memory::default(),
        nice: request.nice,
        preload: &preload,
        settings: &extensions::settings(&preload, &manifest.database.name),
    };
    let server = match Throwaway::start(&options, stop) {
        Ok(server) => server,
        // Nothing of the backup but its locale has been looked at yet.
        Err(error) if matches!(error.kind(), Kind::Interrupted | Kind::TimedOut) => return Err(error),
        Err(error) => return Ok(Verdict::CannotJudge(vec![with_hint(&error)])),
    };
    let judged = judge(request, manifest, &tools, &server, begun, stop, observer);
    let crashed = !server.is_running();
    let stopped = server.stop();
    match judged {
        Err(error) if matches!(error.kind(), Kind::Interrupted | Kind::TimedOut) => Err(error),
        // The server's own end, by a crash or for want of memory, says nothing about the backup.
        Err(_) if crashed => Ok(Verdict::CannotJudge(vec!["the throwaway server ended by itself: look at the memory and the disk of this machine".to_owned()])),
        Err(error) => Err(error),
        Ok(verdict) => stopped.map(|()| verdict),
    }
}

/// How many findings a verdict has at most. The rest would say the same.
const NAMED: usize = 100;

/// By how much the priority of a drill is lowered, so that it does not disturb its neighbours (nice(1)).
pub const NICE: i32 = 10;

/// What the drill will need: programs with a server, and space.
fn look_around(request: &Request<'_>, manifest: &Manifest) -> Result<Result<Tools, Vec<String>>> {
    let tools = match find(request.places, manifest.server.major) {
        Ok(tools) if tools.has_server() => tools,
        Ok(tools) => {
            return Ok(Err(vec![format!(
                "'{}' has the client programs of PostgreSQL {} and no server: install the package postgresql-{}, or use the image, which has both",
                tools.folder.display(),
                tools.major,
                tools.major
            )]));
        }
        Err(error) => return Ok(Err(vec![with_hint(&error)])),
    };
    let mut folder = request.scratch;
    while !folder.exists() {
        folder = folder.parent().unwrap_or(Path::new("/"));
    }
    let stat = rustix::fs::statvfs(folder).map_err(|error| Error::io("look at the file system of", folder, error.into()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    // A database that was just restored has no dead rows: three times the plain text is more than tables and indexes ever took. While indexes are
    // built, their sorts and the write-ahead log take more than half as much again (measured: 1.4 to 1.6 times the database, by the number of jobs).
    let restored = manifest.database.bytes.min(manifest.script.plain_bytes.saturating_mul(3));
    let needed = restored.saturating_add(restored / 4 * 3).saturating_add(128 << 20);
    if free < needed {
        return Ok(Err(vec![format!(
            "'{}' has {} free, and the restored database would need about {}: free some space, or let BACKUP_SCRATCH_DIR name a larger volume",
            folder.display(),
            format_bytes(free),
            format_bytes(needed)
        )]));
    }
    Ok(Ok(tools))
}

fn judge(
    request: &Request<'_>,
    manifest: &Manifest,
    tools: &Tools,
    server: &Throwaway,
    begun: Instant,
    stop: &Stop,
    observer: &dyn Observer,
) -> Result<Verdict> {
    let backup = request.backup;
    let wrong = verify::hashes(backup, stop, observer)?;
    if !wrong.is_empty() {
        return Ok(Verdict::Bad(wrong));
    }
    observer.event(&Event::Step("archive and script"));
    let wrong = match schema::script_against_archive(backup, manifest, tools, stop) {
        Ok(wrong) => wrong,
        Err(error) => return reasons::verdict(error, false),
    };
    if !wrong.is_empty() {
        return Ok(Verdict::Bad(wrong));
    }
    let mut session = Session::connect(&server.connection("postgres"), stop)?;
    let lacking = restore::extensions::not_here(&mut session, manifest, server.left_out())?;
    if !lacking.is_empty() {
        return Ok(Verdict::CannotJudge(lacking));
    }
    observer.event(&Event::Step("roles"));
    let wrong = globals::restore(backup, manifest, &mut session)?;
    if !wrong.is_empty() {
        return Ok(Verdict::Bad(wrong));
    }
    drop(session);

    let to = server.connection(&manifest.database.name);
    let places = Places { named: Some(tools.folder.clone()), path: Vec::new() };
    let restore = restore::Request {
        backup,
        to: &to,
        places: &places,
        scratch: server.folder(),
        jobs: request.jobs,
        tables: &[],
        // Also where it is called `postgres`, which every server has from the beginning.
        create: true,
        clean: true,
        yes: true,
        no_owner: false,
        no_privileges: false,
        no_check: false,
        // A dump of the restored database is taken before: settings would reach into it.
        settings: false,
        // A verdict of before is no reason not to look again.
        force: true,
        lock_wait: Duration::from_secs(60),
    };
    observer.event(&Event::Step("PostgreSQL's own restore"));
    let stock = restore::stock(&restore, stop, observer)
        .and_then(|not_restored| schema::dumped(manifest, tools, &to, server.folder(), stop).map(|objects| (objects, not_restored)));
    let (stock, not_restored) = match stock.and_then(|stock| put_aside(server, &to.database, stop).map(|()| stock)) {
        Ok(stock) => stock,
        Err(error) => return reasons::verdict(error, true),
    };
    let restore_began = Instant::now();
    let mut restored = match restore::restore(&restore, stop, observer) {
        Ok(restored) => restored,
        Err(error) => return reasons::verdict(error, !not_restored.is_empty()),
    };
    let restore_ms = restore_began.elapsed().as_millis() as u64;

    observer.event(&Event::Step("compare"));
    let (schema, comparison) = std::thread::scope(|scope| {
        let schema = scope.spawn(|| {
            let result = schema_differs(request, manifest, tools, &to, server.folder(), (stock, &not_restored), stop);
            if result.is_err() {
                stop.trip(crate::stop::Reason::Sibling);
            }
            result
        });
        let comparison = compare::database(&to, manifest, request.jobs, stop, observer);
        (schema.join().unwrap_or_else(|_| Err(Error::new(Kind::Failed, "a part of the drill panicked: this is a bug in kluis"))), comparison)
    });
    let (schema, comparison) = match crate::dump::first_failure(schema, comparison) {
        Ok(both) => both,
        Err(error) => return reasons::verdict(error, false),
    };
    let drifts = |index: usize| extensions::drifts(&manifest.database, &manifest.tables[index].schema, &manifest.tables[index].name);
    let mut wrong: Vec<String> =
        comparison.different.iter().filter(|(index, _)| !drifts(*index)).map(|(index, difference)| difference.describe(&manifest.tables[*index])).collect();
    wrong.extend(
        comparison
            .extra
            .iter()
            .filter(|label| !left_out_on_standby(manifest, label))
            .map(|label| format!("table {label} is in the restored database and not in the manifest")),
    );
    if comparison.large_objects_differ {
        wrong.push("the large objects of the restored database are not those of the snapshot".to_owned());
    }
    wrong.extend(schema.wrong);
    observer.event(&Event::Step("values"));
    let aside = server.connection(aside(&to.database));
    let values = match values::check(manifest, &to, &aside, &schema.other_versions, stop) {
        Ok(values) => values,
        Err(error) => return reasons::verdict(error, false),
    };
    wrong.extend(values.wrong);
    observer.event(&Event::Step("settings"));
    restore::settle(&restore, stop, &mut restored)?;
    let (differences, unlabelled) = properties_differ(manifest, &to, &restored.withheld, stop)?;
    wrong.extend(differences);
    let mut passed = 0;
    if let Some(folder) = request.assertions.filter(|_| wrong.is_empty()) {
        observer.event(&Event::Step("assertions"));
        match assertions::run(folder, &to, stop)? {
            Ok(count) => passed = count,
            Err(failed) => wrong.extend(failed),
        }
    }
    wrong.extend(globals::settle(backup, manifest, &mut Session::connect(&server.connection("postgres"), stop)?)?);
    if !wrong.is_empty() {
        wrong.truncate(NAMED);
        return Ok(Verdict::Bad(wrong));
    }
    let facts = DrillFacts {
        server: tools.version.clone(),
        tables: comparison.tables,
        rows: comparison.rows,
        large_objects: manifest.large_objects.count,
        assertions: passed,
        inventory: schema.compared,
        unchecked: values.unchecked,
        restore_ms,
        total_ms: begun.elapsed().as_millis() as u64,
        sandbox: server.sandbox().word(),
    };
    let found = schema.exceptions.into_iter().chain(values.exceptions).chain(unlabelled);
    Ok(Verdict::Proven { asserted: passed > 0, facts, exceptions: exceptions(manifest, found) })
}

/// Gives the database that PostgreSQL's own restore made another name. It is not dropped: that is refused where it has a subscription.
fn put_aside(server: &Throwaway, name: &str, stop: &Stop) -> Result<()> {
    let mut session = Session::connect(&server.connection(if name == "postgres" { "template1" } else { "postgres" }), stop)?;
    session.execute(&format!("ALTER DATABASE {} RENAME TO {}", quote_ident(name), quote_ident(aside(name))))
}

/// The name under which the database of PostgreSQL's own restore waits.
fn aside(name: &str) -> &'static str {
    if name == "kluis_stock" { "kluis_stock_2" } else { "kluis_stock" }
}

/// What the schema's witnesses say of the restored database: PostgreSQL's own restore, and the inventory.
fn schema_differs(
    request: &Request<'_>,
    manifest: &Manifest,
    tools: &Tools,
    to: &Connection,
    folder: &Path,
    (stock, not_restored): (schema::Objects, &[restore::NotRestored]),
    stop: &Stop,
) -> Result<catalogue::Findings> {
    let ours = schema::dumped(manifest, tools, to, folder, stop)?;
    // What could not be brought back for want of rows alone was brought back by us, rows and all: there is nothing to compare it with.
    let left_out = not_restored.iter().map(|entry| entry.entry.trim_end().to_owned()).collect();
    let mut findings = catalogue::check(request.backup, manifest, to, folder, stop)?;
    let other = stock.without(&left_out).compare(&ours.without(&left_out), true, "PostgreSQL's own restore", "the restored database");
    if other.is_empty() {
        // Both restores agree, and neither has what the snapshot had.
        findings.wrong.iter_mut().for_each(|wrong| wrong.insert_str(0, "not restorable by PostgreSQL's own tools: "));
    }
    findings.wrong.extend(other);
    let script = open_file(&request.backup.path.join(&manifest.script.file))?;
    let words = std::mem::take(&mut findings.words);
    let missing = words::missing(words, schema::texts(&script, manifest)?);
    findings.wrong.extend(missing.map_err(|error| Error::new(Kind::Verification, "the script is damaged").because(error))?);
    Ok(findings)
}

/// What a restore does not bring back, each named once: what was announced, and what was found.
fn exceptions(manifest: &Manifest, found: impl Iterator<Item = Exception>) -> Vec<Exception> {
    manifest.not_included.iter().cloned().chain(found).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// How the restored database's own rights, settings and comment differ from the manifest's, and the labels that it has not for want of their provider. What
/// this machine lacks tells nothing of the backup.
fn properties_differ(manifest: &Manifest, to: &Connection, withheld: &[Withheld], stop: &Stop) -> Result<(Vec<String>, Vec<Exception>)> {
    let mut session = Session::connect(to, stop)?;
    let found = properties::of(&mut session, &to.database)?;
    let tablespace = session.query(&format!(
        "SELECT nullif(spcname, 'pg_default') FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace WHERE datname = {}",
        quote_literal(&to.database)
    ))?;
    let expected: Vec<Property> = manifest.database.properties.iter().map(properties::mended).collect();
    let (mut wrong, mut unlabelled) = (Vec::new(), Vec::new());
    if tablespace.get(0, 0) != manifest.database.tablespace.as_deref() {
        wrong.push("the restored database is not in the tablespace that the snapshot's was in".to_owned());
    }
    for property in expected.iter().filter(|property| !found.contains(property)) {
        match withheld.iter().find(|withheld| withheld.property == *property) {
            Some(Withheld { lacking: true, .. }) => {
                let of = |provider| Exception::new(Class::SecurityLabel, format!("database {}, of the provider {provider}", to.database));
                unlabelled.extend(properties::label_provider(property).map(of));
            }
            Some(_) => wrong.push(format!("the restored database was not given what it had ({})", property.label())),
            None => wrong.push(format!("the restored database lacks what the snapshot's had: {}", property.label())),
        }
    }
    let more = found.iter().filter(|property| !expected.contains(property));
    wrong.extend(more.map(|property| format!("the restored database has what the snapshot's had not: {}", property.label())));
    Ok((wrong, unlabelled))
}

/// Unlogged tables have no rows on a standby, and are in such a backup by definition only.
fn left_out_on_standby(manifest: &Manifest, label: &str) -> bool {
    manifest.server.standby
        && manifest.warnings.iter().any(|warning| warning.split(": ").last().is_some_and(|names| names.split(", ").any(|name| name == label)))
}

fn with_hint(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{} ({hint})", error.chain()),
        None => error.chain(),
    }
}
