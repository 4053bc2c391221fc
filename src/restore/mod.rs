//! Restoring: a backup into a database, in parallel over the wire, between pg_restore's sections.
//! It owns the order of things and every check before the first write; it leaves the schema to pg_restore. No psql, so no meta-commands.
//! Invariant: nothing is written before the backup's hashes, the server's version, roles, tablespaces and extensions were found right.

mod ahead;
mod analyze;
mod belongings;
mod beside;
pub mod extensions;
pub mod labels;
mod leaving;
mod loading;
mod objects;
mod order;
mod own;
mod place;
mod queue;
mod rehearsal;
mod renaming;
mod roles;
mod room;
mod swap;
mod tables;
mod turn;
mod undo;
mod unfinished;

pub use analyze::Analyzed;

use crate::error::{Error, Kind, Result};
use crate::events::{Event, Observer};
use crate::globals::Globals;
use crate::manifest::{LargeObjects, Manifest, Property, Table};
use crate::postgres::child::{Passfile, Tool};
use crate::postgres::connection::Connection;
use crate::postgres::contents::Entry;
use crate::postgres::session::Session;
use crate::postgres::tools::{Places, Tools, find};
use crate::postgres::{catalogue, contents};
use crate::repository::files::open_file;
use crate::repository::list::Backup;
use crate::repository::names;
use crate::script::unit::Unit;
use crate::stop::{Reason, Stop};
use crate::verify::{self, Verified};
use order::{Key, Order};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use turn::Turns;

/// What to restore, where to, and how.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The backup, in a repository or in a folder of its own.
    pub backup: &'a Backup,
    /// The database to restore into.
    pub to: &'a Connection,
    /// Where PostgreSQL's programs are.
    pub places: &'a Places,
    /// A folder for the passfile and lists, on this machine.
    pub scratch: &'a Path,
    /// How many sessions load rows and build indexes at the same time.
    pub jobs: usize,
    /// Only these tables, as `name` or `schema.name`; none: everything.
    pub tables: &'a [String],
    /// Put the one table beside the living one, under this name: `NAME` or `SCHEMA.NAME`.
    pub beside: Option<&'a str>,
    /// Create the database first.
    pub create: bool,
    /// Replace what is there: the database, or with `tables` the rows of these.
    pub clean: bool,
    /// Drop a database that is replaced before the new one is filled, and leave there what was restored when the restore fails. Without, the new one takes
    /// its place when it is whole, and what failed is removed.
    pub in_place: bool,
    /// Do it even over the database that the backup came from.
    pub yes: bool,
    /// Do not set owners.
    pub no_owner: bool,
    /// Do not grant or revoke.
    pub no_privileges: bool,
    /// Make the backup's roles that the server lacks first.
    pub roles: bool,
    /// Give roles that are made the passwords that they had.
    pub role_passwords: bool,
    /// Look, and say what would be done; change nothing.
    pub dry_run: bool,
    /// Do not compare rows and digests.
    pub no_check: bool,
    /// Gather the planner's statistics of what was restored.
    pub analyze: bool,
    /// Give a database that is made its settings when all is in it. Without, [`settle`] does so later.
    pub settings: bool,
    /// Restore a backup that a proof found to be bad.
    pub force: bool,
    /// How long to wait for a lock of the database.
    pub lock_wait: Duration,
}

/// What was restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// Tables whose rows were loaded.
    pub tables: u64,
    /// Rows loaded.
    pub rows: u64,
    /// Bytes of rows loaded.
    pub bytes: u64,
    /// Large objects loaded.
    pub large_objects: u64,
    /// Roles that were made.
    pub roles: Vec<String>,
    /// Those of them that may log in and lack the password that they had.
    pub roles_without_password: Vec<String>,
    /// What a dry run would do.
    pub planned: Vec<String>,
    /// What was analyzed, where that was asked for.
    pub analyzed: Option<Analyzed>,
    /// Properties of the database that it was not given; each is among the warnings as well.
    pub withheld: Vec<Withheld>,
    /// Security labels that were not given, for want of their provider; each is among the warnings as well.
    pub unlabelled: Vec<labels::Label>,
    /// What was left out, since the role that restored may not make it: the first hundred; each is among the warnings as well.
    pub left_out: Vec<NotRestored>,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// A property that the restored database was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    /// The property.
    pub property: Property,
    /// Whether the server lacks what it needs: a role, a locale, a label's provider. Else it was refused.
    pub lacking: bool,
}

/// What every part of a restore needs.
struct Job<'a> {
    request: &'a Request<'a>,
    manifest: &'a Manifest,
    tools: Tools,
    passfile: Passfile,
    /// The target, for pg_restore, whose sessions read money as pg_dump wrote it.
    programs: Connection,
    /// Goes on where a role that is no superuser is refused what others' objects need.
    lenient: bool,
    left: leaving::Left,
    stop: &'a Stop,
    observer: &'a dyn Observer,
}

/// Restores.
pub fn restore(request: &Request<'_>, stop: &Stop, observer: &dyn Observer) -> Result<Restored> {
    let backup = request.backup;
    if backup.is_bad() && !request.force {
        return Err(Error::new(Kind::Verification, format!("the latest proof of backup '{}' says that it is bad", backup.id))
            .hinted("restore another one (kluis list), or say --force if this is all there is"));
    }
    // What is not understood cannot be checked.
    backup.understood()?;
    if let Some(why) = backup.suspicious.as_ref().filter(|_| !request.yes && !request.dry_run) {
        return Err(Error::new(Kind::Usage, format!("backup '{}' is {why}", backup.id))
            .hinted("kluis restore latest takes the newest that held something; say --yes to restore this one all the same"));
    }
    observer.event(&Event::Step("check"));
    let hashed = verify::hashes(backup, stop, observer)?.map_err(|wrong| verify::failure(&backup.id, &wrong))?;
    verified(request, &hashed, stop, observer)
}

/// Restores a backup whose hashes were found right.
pub fn verified(request: &Request<'_>, verified: &Verified<'_>, stop: &Stop, observer: &dyn Observer) -> Result<Restored> {
    let backup = verified.backup();
    let manifest = backup.whole()?;
    let units = verify::units(backup, manifest)?.map_err(|why| verify::failure(&backup.id, &[why]))?;
    let chosen = tables::choose(request, manifest, stop)?;
    let mut restored = Restored::default();
    let globals = request.roles.then(|| Globals::read(backup)).transpose()?;
    let mut target = place::check(request, &roles::beside(manifest, globals.as_ref()), stop, &mut restored.warnings)?;
    let plan = globals.map(|globals| roles::plan(request, manifest, globals, &mut target.session, stop)).transpose()?;
    if let Some(plan) = &plan {
        restored.warnings.extend(plan.differences.iter().cloned());
    }
    if request.dry_run {
        restored.planned = plan.map(|plan| plan.describe()).unwrap_or_default();
        return Ok(restored);
    }
    place::claim(request, manifest, &mut target, &mut restored.warnings)?;
    // A database that is there was found empty; what was prepared in it, extensions or schemas, stays.
    let before = (!request.create && !request.clean && request.tables.is_empty()).then(|| undo::Before::look(&mut target.session)).transpose()?;
    let made = plan.map(|plan| roles::make(request, manifest, &plan, &mut target.session, &mut restored)).transpose()?;
    let result = checked(request, manifest, target, (&units, &chosen), stop, observer, restored);
    let result = match &before {
        Some(before) => result.map_err(|error| undo::take_away(request.to, before, error)),
        None => result,
    };
    match made {
        Some(made) => made.end(result),
        None => result,
    }
}

/// Restores, where everything was found right.
fn checked(
    request: &Request<'_>,
    manifest: &Manifest,
    target: place::Target,
    (units, chosen): (&[Unit], &tables::Chosen),
    stop: &Stop,
    observer: &dyn Observer,
    mut restored: Restored,
) -> Result<Restored> {
    if request.tables.is_empty() {
        whole(request, manifest, target, units, stop, observer, &mut restored)?;
        return Ok(restored);
    }
    let mut job = Job::begin(request, manifest, &target, stop, observer)?;
    let empty: Vec<String> = chosen.tables.iter().map(|index| &manifest.tables[*index]).filter(|table| table.rows == 0).map(Table::label).collect();
    if !empty.is_empty() && manifest.database.extensions.iter().any(|extension| extension.name == "timescaledb") {
        let what = "if it is a hypertable, its rows are in its chunks, which --table does not bring back: restore the whole database beside this one";
        restored.warnings.push(format!("table {} is empty in the backup; {what}", empty.join(", ")));
    }
    restored.warnings.extend(job.read_money()?);
    match (request.beside, chosen.tables.as_slice(), chosen.parents.as_slice()) {
        (None, ..) => tables::restore(&job, target.session, chosen, units, &mut restored)?,
        (Some(name), [table], []) => beside::restore(&job, *table, name, units, &mut restored)?,
        _ => {
            return Err(Error::usage("--as puts one table beside the living one, and a partitioned table is several")
                .hinted("name one table, or one partition, with --table"));
        }
    }
    if request.analyze && request.beside.is_none() {
        restored.analyzed = Some(analyze::analyze(&job, &chosen.tables, &[], &mut restored.warnings)?);
    }
    Ok(restored)
}

/// Restores the whole backup: into the database that is there, or into one that is made. That one takes the place of an old one last of all.
fn whole(
    request: &Request<'_>,
    manifest: &Manifest,
    mut target: place::Target,
    units: &[Unit],
    stop: &Stop,
    observer: &dyn Observer,
    restored: &mut Restored,
) -> Result<()> {
    let names = (target.replaces && !request.in_place).then(|| swap::Names::of(&request.to.database));
    let to = names.as_ref().map_or_else(|| request.to.clone(), |names| request.to.at(&names.new));
    let filled = Request { to: &to, ..request.clone() };
    let result = fill(&filled, manifest, &mut target, units, stop, observer, restored);
    let made = target.made && !request.in_place;
    let result = match (result, &names) {
        (Ok(()), Some(names)) => {
            observer.event(&Event::Step("swap"));
            swap::swap(target.session, request, names, stop).map(|told| restored.warnings.extend(told))
        }
        (result, _) => result,
    };
    // A name of ours nobody else has. The request's own may have been taken by somebody before we came to it.
    result.map_err(|error| if made || names.is_some() { swap::abandon(request, &to.database, error) } else { error })
}

/// Makes the database, where it has to be made, and fills it.
fn fill(
    request: &Request<'_>,
    manifest: &Manifest,
    target: &mut place::Target,
    units: &[Unit],
    stop: &Stop,
    observer: &dyn Observer,
    restored: &mut Restored,
) -> Result<()> {
    let mut job = Job::begin(request, manifest, target, stop, observer)?;
    let mut properties = place::make_room(&job, target, restored)?;
    if properties.is_empty() {
        properties = roles::settings(manifest, &restored.roles);
    }
    restored.warnings.extend(job.read_money()?);
    job.everything(units, restored)?;
    job.tell_left(restored)?;
    if request.analyze {
        restored.analyzed = Some(analyze::analyze(&job, &[], &properties, &mut restored.warnings)?);
    }
    if request.settings {
        place::settle(request, stop, &properties, restored)?;
    }
    Ok(())
}

/// Gives a database that [`restore`] made without them the settings of the backup's.
pub fn settle(request: &Request<'_>, stop: &Stop, restored: &mut Restored) -> Result<()> {
    place::settle(request, stop, &place::of_the_backup(request.backup.whole()?), restored)
}

/// What PostgreSQL's own restore could not bring back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRestored {
    /// The entry of the archive, as pg_restore lists it: `TABLE public users bob`.
    pub entry: String,
    /// Why, as far as it may be shown.
    pub why: String,
}

/// Brings the archive back as PostgreSQL's own tools do, into a database made for it: everything but the rows that Kluis moves, in pg_restore's
/// own order, going on after errors.
pub fn stock(request: &Request<'_>, verified: &Verified<'_>, stop: &Stop, observer: &dyn Observer) -> Result<Vec<NotRestored>> {
    let manifest = verified.backup().whole()?;
    let mut restored = Restored::default();
    let mut target = place::check(request, manifest, stop, &mut restored.warnings)?;
    let mut job = Job::begin(request, manifest, &target, stop, observer)?;
    place::make_room(&job, &mut target, &mut restored)?;
    job.read_money()?;
    let rest = job.extensions_first(&[])?.map(|rest| job.list_file("stock", &rest)).transpose()?;
    let mut tool = job.pg_restore_going_on(&job.programs);
    if let Some(rest) = &rest {
        tool = tool.arg("--use-list").arg(&rest.0);
    }
    let failed = tool.arg(job.archive()).run_on(stop)?;
    labels::give(&job, Vec::new(), &mut restored)?;
    job.extensions_last()?;
    if failed.is_empty() {
        return Ok(Vec::new());
    }
    let names: std::collections::HashMap<u32, String> = job.listing(&[])?.into_iter().map(|entry| (entry.id, entry.rest)).collect();
    Ok(failed.into_iter().filter_map(|failed| names.get(&failed.entry).map(|entry| NotRestored { entry: entry.clone(), why: failed.why })).collect())
}

impl<'a> Job<'a> {
    /// A restore into the target, which was looked at.
    fn begin(request: &'a Request<'a>, manifest: &'a Manifest, target: &place::Target, stop: &'a Stop, observer: &'a dyn Observer) -> Result<Job<'a>> {
        // The programs of the target's major: they know its syntax. An archive of an older major they read as well.
        let tools = find(request.places, target.session.server_version_num() / 10_000)?;
        let passfile = Passfile::create(request.scratch, request.to)?;
        // The session may be with another database of the same server.
        let programs = target.session.for_programs().at(&request.to.database);
        // A superuser may do everything: what it is refused is a fault of the backup or of the server.
        let lenient = request.tables.is_empty() && target.session.parameter("is_superuser") != Some("on");
        Ok(Job { request, manifest, tools, passfile, programs, lenient, left: leaving::Left::default(), stop, observer })
    }
}

impl Job<'_> {
    /// Has pg_restore's sessions read money as it stands in the archive, where any does. Returns what to tell where that cannot be.
    fn read_money(&mut self) -> Result<Option<String>> {
        let (own, what) = match &self.manifest.money {
            Some(money) if money.in_archive => (&money.archive, "constants of money in the schema may be read wrongly"),
            Some(_) => return Ok(None),
            // Nobody looked whether there is any.
            None => (&self.manifest.database.lc_monetary, "amounts of money, if there are any, may be read wrongly"),
        };
        if own.is_empty() {
            return Ok(None);
        }
        if let Some(to) = catalogue::monetary_connection(&self.programs, own, self.stop)? {
            self.programs = to;
            return Ok(None);
        }
        let mut session = Session::connect(&self.programs, self.stop)?;
        let same = session.query(catalogue::SESSION_MONETARY)?.single()? == own;
        let told = format!(
            "{what}: they are written as lc_monetary = '{}' has it, and the sessions could not be given that; restore over a direct connection to a server that has this locale",
            own.escape_debug()
        );
        Ok((!same).then_some(told))
    }

    fn everything(&self, units: &[Unit], restored: &mut Restored) -> Result<()> {
        let (request, manifest) = (self.request, self.manifest);
        self.observer.event(&Event::Step("pre-data"));
        self.pre_data()?;
        // Only a verbose listing tells what needs what.
        let archive = self.listing(&["--verbose"])?;
        let turns = turn::turns(manifest, &archive, &self.listing(&["--section=data"])?);
        let section: Vec<u32> = self.listing(&["--section=post-data"])?.iter().map(|entry| entry.id).collect();
        let order = self.order(&archive, &section, &turns);
        self.observer.event(&Event::Step("rows"));
        self.apply_entries(&self.programs, "first", &turns.first, 1)?;
        let script = open_file(&request.backup.path.join(&manifest.script.file))?;
        let (builds, keys) = order.as_ref().map(|order| (order.builds.clone(), order.early_keys.clone())).unwrap_or_default();
        let all: BTreeSet<usize> = (0..manifest.tables.len()).collect();
        let serial = if builds.is_empty() { None } else { self.serial()? };
        let (objects, rows) = std::thread::scope(|scope| {
            let objects = scope.spawn(|| self.together(objects::load(self, &script)));
            let rows =
                self.together(loading::load(self, &script, loading::Rows { tables: &all, units, in_turn: &turns.tables }, builds, keys, serial.as_ref()));
            (objects.join().unwrap_or_else(|_| Err(Error::new(Kind::Failed, "a part of the restore panicked: this is a bug in kluis"))), rows)
        });
        let ((objects, labels), rows): ((LargeObjects, Vec<String>), loading::Loaded) = crate::dump::first_failure(objects, rows)?;
        if !request.no_check && objects != manifest.large_objects {
            return Err(verify::failure(&request.backup.id, &["the large objects that were loaded are not those of the snapshot".to_owned()]));
        }
        self.observer.event(&Event::Step("data"));
        match &turns.last {
            Some(entries) => self.apply_entries(&self.programs, "data", entries, 1)?,
            None => self.apply(self.pg_restore().arg("--section=data").arg(self.archive()))?,
        }
        self.observer.event(&Event::Step("indexes"));
        match &order {
            Some(order) => self.rest(order, &rows.keys, serial.as_ref())?,
            None => self.apply_entries(&self.programs, "post-data", &section, request.jobs)?,
        }
        labels::give(self, labels, restored)?;
        self.extensions_last()?;
        self.check_rest(&rows.moved_by_pg_dump, &mut restored.warnings)?;
        (restored.tables, restored.rows, restored.bytes, restored.large_objects) = (rows.tables, rows.rows, rows.bytes, objects.count);
        Ok(())
    }

    /// Says what was left out.
    fn tell_left(&self, restored: &mut Restored) -> Result<()> {
        let (left, more) = self.left.finish(self)?;
        restored.warnings.extend(left.iter().map(|left| format!("left out: {}: {}", left.entry, left.why)));
        if more > 0 {
            restored.warnings.push(format!("left out: {more} more"));
        }
        restored.left_out = left;
        Ok(())
    }

    /// Everything before the rows.
    fn pre_data(&self) -> Result<()> {
        match self.extensions_first(&["--section=pre-data"])? {
            Some(rest) => self.apply_entries(self.request.to, "pre-data", &rest, 1),
            None => self.apply(self.pg_restore().arg("--section=pre-data").arg(self.archive())),
        }
    }

    /// Creates the extensions that want to be told of a restore, and tells them. Returns those of the archive's entries, as listed with these options,
    /// that are still to be restored; none: all of them, as there is no such extension.
    fn extensions_first(&self, options: &[&str]) -> Result<Option<Vec<u32>>> {
        let database = &self.manifest.database;
        if crate::extensions::around(database).next().is_none() {
            return Ok(None);
        }
        let entries = self.listing(options)?;
        let schemas: Vec<u32> = extensions::schemas(&entries, database).map(|entry| entry.id).collect();
        self.apply_entries(self.request.to, "schemas", &schemas, 1)?;
        extensions::before(&mut Session::connect(self.request.to, self.stop)?, database)?;
        Ok(Some(entries.iter().map(|entry| entry.id).filter(|id| !schemas.contains(id)).collect()))
    }

    /// Tells them that it is over.
    fn extensions_last(&self) -> Result<()> {
        let database = &self.manifest.database;
        if crate::extensions::around(database).next().is_none() {
            return Ok(());
        }
        extensions::after(&mut Session::connect(self.request.to, self.stop)?, database)
    }

    /// The target, for sessions in which one process does all work of a statement. A connection pooler may refuse such settings at the start of a session:
    /// then there is none.
    fn serial(&self) -> Result<Option<Connection>> {
        if self.request.jobs == 1 {
            return Ok(None);
        }
        let own = self.programs.options.as_deref().unwrap_or_default();
        let connection =
            Connection { options: Some(format!("{own} -c max_parallel_maintenance_workers=0 -c max_parallel_workers_per_gather=0")), ..self.programs.clone() };
        let tried = Session::connect(&connection, self.stop);
        self.stop.check()?;
        Ok(tried.ok().map(|_| connection))
    }

    /// How indexes, keys and views follow the rows. None where nothing depends on it: there are few rows, and nothing that goes one after the other.
    fn order(&self, archive: &[Entry], section: &[u32], turns: &Turns) -> Option<Order> {
        let large = self.manifest.tables.iter().map(|table| table.bytes).sum::<u64>() >= order::LARGE;
        let section: BTreeSet<u32> = section.iter().copied().collect();
        let order = order::order(archive, &section, &self.manifest.tables, &turns.tables.iter().copied().collect(), &self.manifest.calling);
        (large || !order.turn.is_empty()).then_some(order)
    }

    /// The archive's table of contents, as pg_restore lists it with these options.
    fn listing(&self, options: &[&str]) -> Result<Vec<Entry>> {
        listing(&self.tools, &self.request.backup.path, options, self.stop)
    }

    /// Everything behind the rows but the indexes that were built while other tables loaded, and the keys that were checked then. `left`: those of the
    /// early keys that were not.
    fn rest(&self, order: &Order, left: &[Key], serial: Option<&Connection>) -> Result<()> {
        let jobs = self.request.jobs;
        let to = &self.programs;
        self.apply_entries(to, "rest", &order.rest, jobs)?;
        self.apply_entries(to, "turn", &order.turn, 1)?;
        self.apply_entries(to, "late", &order.late, jobs)?;
        let all_keys: Vec<u32> = order.keys.iter().copied().chain(left.iter().map(|key| key.entry)).collect();
        // Keys of large tables follow each other, as they lock them: they are what is waited for, and processes beside a view's own would only be in their way.
        let for_views = serial.filter(|_| !left.is_empty()).unwrap_or(to);
        let (keys, views) = std::thread::scope(|scope| {
            let keys = || self.together(self.apply_entries(to, "keys", &all_keys, jobs));
            let views = || self.together(self.apply_entries(for_views, "views", &order.views, 1));
            if jobs == 1 {
                return (keys(), views());
            }
            let keys = scope.spawn(keys);
            let views = views();
            (keys.join().unwrap_or_else(|_| Err(Error::new(Kind::Failed, "a part of the restore panicked: this is a bug in kluis"))), views)
        });
        crate::dump::first_failure(keys, views)?;
        self.apply_entries(to, "last", &order.last, 1)
    }

    /// These entries of the archive, by pg_restore. Its processes talk at once, also in the middle of each other's lines: what may be left out, and is
    /// known by what is said of it, is never restored by several.
    fn apply_entries(&self, to: &Connection, name: &str, entries: &[u32], jobs: usize) -> Result<()> {
        if !self.lenient || jobs == 1 {
            return self.apply_listed(to, name, entries, jobs);
        }
        let (together, alone) = self.left.divide(self, entries)?;
        self.apply_listed(to, name, &together, jobs)?;
        self.apply_listed(to, &format!("{name}-alone"), &alone, 1)
    }

    fn apply_listed(&self, to: &Connection, name: &str, entries: &[u32], jobs: usize) -> Result<()> {
        let Some(first) = entries.first() else { return Ok(()) };
        // Several may be at work at once, each with a file of its own.
        let list = self.list_file(&format!("{name}-{first}"), entries)?;
        self.apply(self.pg_restore_into(to).arg(format!("--jobs={jobs}")).arg("--use-list").arg(&list.0).arg(self.archive()))
    }

    /// Counts and digests the rows that pg_restore loaded.
    fn check_rest(&self, tables: &[usize], warnings: &mut Vec<String>) -> Result<()> {
        if tables.is_empty() || self.request.no_check {
            return Ok(());
        }
        let mut session = Session::connect(self.request.to, self.stop)?;
        catalogue::monetary(&mut session, self.manifest)?;
        let mut wrong = Vec::new();
        for index in tables {
            let table = &self.manifest.tables[*index];
            let found = crate::compare::digest_of(&mut session, table, &self.manifest.database.encoding)?;
            if (found.rows, found.hex()) != (table.rows, table.digest.clone()) {
                if crate::extensions::drifts(&self.manifest.database, &table.schema, &table.name) {
                    warnings.push(format!("table {} differs from the backup already, as an extension writes to it by itself", table.label()));
                    continue;
                }
                wrong.push(format!("table {} has {} rows after the restore instead of {}, or other content", table.label(), found.rows, table.rows));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(verify::failure(&self.request.backup.id, &wrong)) }
    }

    fn together<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            self.stop.trip(Reason::Sibling);
        }
        result
    }

    fn archive(&self) -> PathBuf {
        self.request.backup.path.join(names::SCHEMA)
    }

    /// Runs pg_restore to its end. While it works nothing moves that we could see (building an index takes its time), so the stall limit
    /// does not count here; the limit on the whole does, and the server's lock timeout.
    fn apply(&self, tool: Tool) -> Result<()> {
        if self.lenient {
            return self.left.judge(self, tool.run_on(self.stop)?);
        }
        tool.start(std::process::Stdio::null(), self.stop)?.finish_watching(|| self.stop.moved())
    }

    /// pg_restore into the target. The first error ends it, but where [`leaving`] decides what can be done without.
    fn pg_restore(&self) -> Tool {
        self.pg_restore_into(&self.programs)
    }

    fn pg_restore_into(&self, to: &Connection) -> Tool {
        let tool = self.pg_restore_going_on(to);
        if self.lenient { tool } else { tool.arg("--exit-on-error").telling() }
    }

    fn pg_restore_going_on(&self, to: &Connection) -> Tool {
        let database = &to.database;
        // The name may look like a connection string: as a keyword's quoted value it is only a name.
        let quoted = database.replace('\\', "\\\\").replace('\'', "\\'");
        let tool = self.pg_restore_to_text().connected(to, &self.passfile).computing_as_everybody();
        tool.arg("--no-password").arg(format!("--dbname=dbname='{quoted}'"))
    }

    /// pg_restore with owners and rights as they were asked for, and no database yet.
    fn pg_restore_to_text(&self) -> Tool {
        let mut tool = Tool::new(self.tools.program("pg_restore"));
        if self.request.no_owner {
            tool = tool.arg("--no-owner");
        }
        if self.request.no_privileges {
            tool = tool.arg("--no-privileges");
        }
        if self.request.tables.is_empty() {
            // One whose provider is not there is refused: they have a step of their own.
            tool = tool.arg("--no-security-labels");
        }
        tool
    }

    /// A list of entries, as a file for pg_restore, which looks at their numbers only. The file goes with the value.
    fn list_file(&self, name: &str, entries: &[u32]) -> Result<List> {
        List::new(self.request.scratch, name, entries)
    }
}

/// A list of entries for pg_restore, in a file that is removed with the value.
pub struct List(pub PathBuf);

impl List {
    /// In this folder.
    pub fn new(folder: &Path, name: &str, entries: &[u32]) -> Result<List> {
        let path = folder.join(format!(".kluis-list-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let mut file = crate::repository::files::create_file(&path)?;
        let list = List(path);
        file.write_all(contents::list(entries).as_bytes()).map_err(|error| Error::io("write", &list.0, error))?;
        Ok(list)
    }
}

impl Drop for List {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The table of contents of a backup's archive, as pg_restore lists it with these options.
fn listing(tools: &Tools, backup: &Path, options: &[&str], stop: &Stop) -> Result<Vec<Entry>> {
    let tool = Tool::new(tools.program("pg_restore")).arg("--list").args(options).arg(backup.join(names::SCHEMA));
    let listing = tool.output(1 << 30, stop)?;
    contents::parse(&crate::raw::text(&listing)).map_err(|why| Error::new(Kind::Failed, why))
}
