//! The dump engine: one consistent snapshot of a database into a staging folder.
//! pg_dump owns *what* a database is; this module owns *moving the rows*; `run` owns everything before and after.
//! Invariant: every table in pg_dump's own table of contents has its rows in a unit, or in `schema.dump`, or holds none by nature; else the dump fails.

mod announced;
mod complete;
mod dumpall;
mod globals;
mod inventory;
mod locks;
mod objects;
mod snapshot;
mod turn;
mod workers;

use crate::error::{Error, Kind, Result};
use crate::events::Observer;
use crate::exception::Exception;
use crate::manifest::{Database, File, LargeObjects, Money, Mover, Origin, Partitioned, Script, Server, Table, Witnessed};
use crate::postgres::catalogue;
use crate::postgres::child::{Passfile, Tool};
use crate::postgres::connection::Connection;
use crate::postgres::contents::{self, Rows};
use crate::postgres::opening;
use crate::postgres::quote::quote_ident;
use crate::postgres::tools::{Places, Tools, find};
use crate::repository::files::{NewFile, hash_file};
use crate::repository::names;
use crate::repository::staging::Staging;
use crate::script::gzip::{Compression, Squeezer};
use crate::script::section;
use crate::script::writer::{ScriptWriter, compress_stream};
use crate::stop::Stop;
use jiff::Timestamp;
use locks::Locks;
use snapshot::Snapshot;
use std::io::Read;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;
use workers::Moved;

/// What to dump, and how.
pub struct Request<'a> {
    /// The database.
    pub connection: &'a Connection,
    /// Where PostgreSQL's programs are.
    pub places: &'a Places,
    /// How many sessions move rows at the same time.
    pub jobs: usize,
    /// How hard to compress.
    pub compression: Compression,
    /// How long to wait for a lock of the database.
    pub lock_wait: Duration,
}

/// What was dumped; the files lie synced in the staging folder.
pub struct Dumped {
    /// When the snapshot was taken, by the server's clock.
    pub snapshot: Timestamp,
    /// Where it lies in the life of the cluster.
    pub origin: Origin,
    /// The server.
    pub server: Server,
    /// The database.
    pub database: Database,
    /// The script.
    pub script: Script,
    /// The tables.
    pub tables: Vec<Table>,
    /// What is only digested.
    pub witnessed: Vec<Witnessed>,
    /// The large objects.
    pub large_objects: LargeObjects,
    /// The files.
    pub files: Vec<File>,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// What a restore will not bring back.
    pub not_included: Vec<Exception>,
    /// The partitioned tables.
    pub partitioned: Vec<Partitioned>,
    /// How amounts of money are written.
    pub money: Money,
    /// The places of the tables whose rows come in turn.
    pub in_turn: Vec<u32>,
    /// The indexes that call functions which are not built in.
    pub calling: Vec<(u32, u32)>,
}

/// The writer that all workers share.
type Shared = Mutex<ScriptWriter<NewFile, NewFile>>;

/// Dumps the database into the staging folder.
pub fn dump(request: &Request<'_>, staging: &Staging, stop: &Stop, observer: &dyn Observer) -> Result<Dumped> {
    whole(request, staging, stop, observer).map_err(|error| locks::explain(error, request))
}

fn whole(request: &Request<'_>, staging: &Staging, stop: &Stop, observer: &dyn Observer) -> Result<Dumped> {
    let Begun { mut snapshot, job, facts, globals, inventory, not_included, partitioned, money, mut warnings } = begin(request, staging, stop, observer)?;
    complete::check(&job, &mut snapshot, &mut warnings)?;

    let name = names::script_file(&facts.database.name);
    let script = staging.file(&name)?.flushed_early()?;
    let mut writer = ScriptWriter::new(script, staging.file(names::UNITS)?);
    let mut squeezer = Squeezer::new(request.compression);
    writer.begin(section::PRE_DATA);
    let failed = |error| job.write_failed(&name, error);
    // Money is read as it was written: in what pg_dump wrote only where there is any, because what a materialized view makes of money when it is filled
    // depends on the same setting, and is the server's own matter.
    let whole = money.in_archive && money.archive == MONETARY;
    let as_written = format!("SET lc_monetary = '{MONETARY}';\n\n");
    writer.text(&mut squeezer, format!("{}\n", opening::of_script(facts.server.major)).as_bytes()).map_err(failed)?;
    if whole {
        writer.text(&mut squeezer, as_written.as_bytes()).map_err(failed)?;
    }
    let restricted = job.section(&mut writer, &mut squeezer, &Text::Section("pre-data"), &mut warnings)?;
    // Rows that pg_dump moved may be needed by those in units, and need none of them.
    let in_archive = job.rows_of_the_archive(&snapshot)?;
    if let Some(rows) = &in_archive {
        job.section(&mut writer, &mut squeezer, &Text::Entries(&rows.rows), &mut warnings)?;
    }
    let key = random_key()?;
    if !whole {
        writer.text(&mut squeezer, as_written.as_bytes()).map_err(failed)?;
    }
    if restricted {
        // While units are read psql obeys no backslash commands but the one with our key (psql, `\restrict`): rows cannot become commands
        // even when a COPY fails and psql goes on reading.
        writer.text(&mut squeezer, format!("\\restrict {key}\n\n").as_bytes()).map_err(failed)?;
    }
    writer.begin(section::UNITS);
    let shared = Mutex::new(writer);
    let (id, at, origin) = (snapshot.id.clone(), snapshot.at, snapshot.origin.clone());
    let (tables, objects) = std::thread::scope(|scope| {
        let objects = (facts.large_objects > 0).then(|| scope.spawn(|| failing_together(stop, objects::write(&job, &id, facts.large_objects))));
        let tables = failing_together(stop, workers::move_rows(&job, &mut snapshot, &shared));
        (tables, objects.map_or_else(|| Ok(objects::none()), |objects| joined(objects.join())))
    });
    let (Moved { tables, witnessed, in_turn }, objects) = first_failure(tables, objects)?;
    let mut writer = shared.into_inner().map_err(|_| Error::new(Kind::Failed, "a worker failed while it wrote the script"))?;

    let release = if restricted { format!("\\unrestrict {key}\n\n") } else { String::new() };
    if let Some(part) = &objects.part {
        writer.begin(section::LARGE_OBJECTS);
        writer.text(&mut squeezer, release.as_bytes()).map_err(failed)?;
        writer.copy(crate::repository::files::open_file(&staging.path().join(part))?, objects.plain_bytes).map_err(failed)?;
        staging.discard(part)?;
        writer.begin(section::DATA);
    } else {
        writer.begin(section::DATA);
        writer.text(&mut squeezer, release.as_bytes()).map_err(failed)?;
    }
    if !whole {
        writer.text(&mut squeezer, b"RESET lc_monetary;\n\n").map_err(failed)?;
    }
    warnings.extend(objects.warnings);
    let data = in_archive.as_ref().map_or(Text::Section("data"), |rows| Text::Entries(&rows.others));
    job.section(&mut writer, &mut squeezer, &data, &mut warnings)?;
    writer.begin(section::POST_DATA);
    job.section(&mut writer, &mut squeezer, &Text::Section("post-data"), &mut warnings)?;
    let mut told = std::collections::BTreeSet::new();
    warnings.retain(|warning| told.insert(warning.clone()));
    let calling = std::mem::take(&mut snapshot.reach.indexes);
    // The locks and the snapshot were held to the end of the last read: had the session died, rows might have been lost to a TRUNCATE.
    snapshot.release()?;
    let done = writer.finish(&mut squeezer).map_err(failed)?;
    let (script, index) = (done.out.finish()?, done.index.finish()?);
    let (bytes, sha256) = hash_file(&staging.path().join(names::SCHEMA), |_| stop.check())?;
    // Nothing with a password in it may become part of a backup.
    job.passfile.remove()?;
    Ok(Dumped {
        snapshot: at,
        origin,
        server: facts.server,
        database: facts.database,
        script: Script { file: name, plain_bytes: done.plain_bytes, sections: done.sections },
        tables,
        witnessed,
        large_objects: objects.found,
        files: [script, File { name: names::SCHEMA.to_owned(), bytes, sha256 }, globals, index].into_iter().chain(inventory).collect(),
        warnings,
        not_included,
        partitioned,
        money,
        in_turn,
        calling,
    })
}

/// The part of a dump that must see the catalogue stand still: the snapshot, and all that is not rows.
struct Begun<'a> {
    snapshot: Snapshot,
    job: Job<'a>,
    facts: catalogue::Facts,
    globals: File,
    inventory: Option<File>,
    not_included: Vec<Exception>,
    partitioned: Vec<Partitioned>,
    money: Money,
    warnings: Vec<String>,
}

/// How often the dump begins anew because objects changed before pg_dump had read them all.
const ATTEMPTS: usize = 5;

/// Takes the snapshot, and has PostgreSQL's own programs write what is not rows. Where the catalogue changed meanwhile, it starts over; where it never
/// stands still, there is a backup without an inventory rather than none.
fn begin<'a>(request: &'a Request<'a>, staging: &'a Staging, stop: &'a Stop, observer: &'a dyn Observer) -> Result<Begun<'a>> {
    let mut broken = None;
    for attempt in 0.. {
        // What was not locked has to stand still. Where it never does, there may be room for all locks after all.
        let when = (attempt == ATTEMPTS).then_some(Locks::First);
        let mut snapshot = Snapshot::take(request.connection, request.lock_wait, when, stop)?;
        let tools = find(request.places, snapshot.facts.server.major)?;
        let passfile = Passfile::create(staging.path(), request.connection)?;
        let (programs, encoding) = (snapshot.session.for_dumps(), snapshot.facts.database.encoding.clone());
        // What pg_dump writes is read again under C, as our rows are. A pooler that takes no options leaves it as the session has it.
        let in_c = catalogue::monetary_connection(&programs, MONETARY, stop)?;
        let archive = in_c.as_ref().map_or_else(|| snapshot.facts.database.lc_monetary.clone(), |_| MONETARY.to_owned());
        let programs = in_c.unwrap_or(programs);
        let job = Job { request, staging, stop, observer, tools, passfile, programs, encoding };
        let mut facts = snapshot.facts.clone();
        let (mut not_included, money) = (announced::not_included(&mut snapshot.session, &facts)?, announced::money(&mut snapshot, archive)?);
        let partitioned = catalogue::partitioned(&mut snapshot.session)?;
        facts.server.pg_dump.clone_from(&job.tools.version);
        // The schema, the roles and the inventory, side by side.
        let last = attempt == ATTEMPTS;
        let Snapshot { session, id, plain, .. } = &mut snapshot;
        let (schema, globals, inventory) = std::thread::scope(|scope| {
            let globals = scope.spawn(|| failing_together(stop, globals::write(&job, &facts)));
            let inventory = scope.spawn(|| {
                let mut read = || {
                    // A statement that fails must not end the transaction: with it the snapshot would go, which pg_dump may not have taken yet.
                    session.execute("SAVEPOINT inventory")?;
                    catalogue::as_archived(session, &money.archive)?;
                    let reading = inventory::write(&job, session, &facts.database.encoding)?;
                    // The setting of before comes back with it.
                    session.execute("ROLLBACK TO SAVEPOINT inventory")?;
                    Ok(reading)
                };
                if last { Ok(None) } else { failing_together(stop, read()).map(Some) }
            });
            let schema = failing_together(stop, job.write_schema(id, plain));
            (schema, joined(globals.join()), joined(inventory.join()))
        });
        // The one that failed first speaks; the others were stopped because of it.
        let ((schema, inventory), globals::Globals { file: globals, roles, roles_moved, passwords, missing, warnings: told }) =
            first_failure(first_failure(schema, inventory), globals)?;
        (facts.server.roles, facts.server.roles_moved, facts.server.role_passwords) = (roles, roles_moved, passwords);
        let mut warnings = announced::warnings(&not_included);
        warnings.extend(schema.into_iter().chain(told));
        not_included.extend(missing.into_iter().chain((!passwords).then(announced::passwords)));
        not_included.sort();
        not_included.dedup();
        let inventory = match inventory {
            Some(inventory::Reading::Done(file, state)) if snapshot.lock()? && inventory::still(&job, &state)? => Some(file),
            None => {
                let why = broken.map_or_else(String::new, |error: Error| format!(" ({})", error.chain()));
                warnings.push(format!(
                    "objects of the database changed during each of {ATTEMPTS} attempts to list them{why}: the backup has no inventory, so a drill cannot compare the catalogue with it"
                ));
                None
            }
            Some(reading) => {
                if let inventory::Reading::Broken(error) = reading {
                    broken = Some(error);
                }
                let Job { passfile, .. } = job;
                passfile.remove()?;
                [names::SCHEMA, names::GLOBALS, names::INVENTORY].iter().try_for_each(|name| staging.discard(name))?;
                continue;
            }
        };
        return Ok(Begun { snapshot, job, facts, globals, inventory, not_included, partitioned, money, warnings });
    }
    unreachable!("the last attempt needs no inventory")
}

/// The `lc_monetary` of every session of ours that reads or writes rows (`postgres::opening`).
const MONETARY: &str = "C";

/// What every part of a dump needs.
struct Job<'a> {
    request: &'a Request<'a>,
    staging: &'a Staging,
    stop: &'a Stop,
    observer: &'a dyn Observer,
    tools: Tools,
    passfile: Passfile,
    /// The database, for PostgreSQL's own programs.
    programs: Connection,
    /// The database's encoding.
    encoding: String,
}

impl Job<'_> {
    /// One of PostgreSQL's programs, connected to the database.
    fn tool(&self, name: &str) -> Tool {
        Tool::new(self.tools.program(name)).connected(&self.programs, &self.passfile).arg("--no-password")
    }

    /// A pg_dump that sees the snapshot.
    fn pg_dump(&self, snapshot: &str) -> Tool {
        let wait = self.request.lock_wait.as_millis().to_string();
        // Whatever `client_encoding` stands on the database or the role: the script and the names that it is given are in the database's own.
        let tool = self.tool("pg_dump").arg(format!("--encoding={}", self.encoding));
        tool.arg(format!("--snapshot={snapshot}")).arg(format!("--lock-wait-timeout={wait}"))
    }

    /// pg_restore on the archive; it reads a file and connects to nothing.
    fn pg_restore(&self) -> Tool {
        Tool::new(self.tools.program("pg_restore"))
    }

    /// Writes `schema.dump`: everything but plain rows and large objects. Returns what pg_dump warned of.
    fn write_schema(&self, snapshot: &str, plain: &[catalogue::Table]) -> Result<Vec<String>> {
        let path = self.staging.path().join(names::SCHEMA);
        let exclude = plain.iter().map(|table| format!("--exclude-table-data={}", table.pattern()));
        let tool = self.pg_dump(snapshot).args(["--format=custom", "--no-blobs"]).names(exclude).arg("--file").arg(&path);
        let mut length = 0;
        let warnings = tool.start(Stdio::null(), self.stop)?.finish_told(|| {
            let now = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            if now != length {
                length = now;
                self.stop.moved();
            }
        })?;
        self.stop.moved();
        let file = crate::repository::files::open_file(&path)?;
        // On a full volume pg_dump 16 was seen to end well and leave nothing (found by `scripts/campaign disk`).
        if file.metadata().map_err(|error| Error::io("look at", &path, error))?.len() == 0 {
            return Err(Error::new(Kind::Storage, format!("pg_dump wrote nothing into '{}'", path.display()))
                .hinted("the volume was full at that moment: free some space on it; earlier backups were not touched"));
        }
        file.sync_all().map_err(|error| Error::io("sync", &path, error)).map(|()| warnings)
    }

    /// The entries of the archive's data section, if there are rows among them and they come first.
    fn rows_of_the_archive(&self, snapshot: &Snapshot) -> Result<Option<Rows>> {
        if snapshot.special.is_empty() || snapshot.special.iter().any(|special| special.comes_in_turn(&snapshot.reach.tables)) {
            return Ok(None);
        }
        let listing = self.pg_restore().args(["--list", "--section=data"]).arg(self.staging.path().join(names::SCHEMA)).output(1 << 30, self.stop)?;
        let entries = contents::parse(&String::from_utf8_lossy(&listing)).map_err(|why| Error::new(Kind::Failed, why))?;
        Ok(Some(Rows::of(&entries)).filter(|rows| !rows.rows.is_empty()))
    }

    /// Appends a part of the archive, as SQL, to the script. Tells whether it uses `\restrict`.
    fn section(&self, writer: &mut ScriptWriter<NewFile, NewFile>, squeezer: &mut Squeezer, text: &Text<'_>, warnings: &mut Vec<String>) -> Result<bool> {
        let tool = self.pg_restore().arg("--file=-");
        let tool = match text {
            Text::Section(name) => tool.arg(format!("--section={name}")),
            Text::Entries(entries) => {
                self.staging.write(LIST, contents::list(entries).as_bytes())?;
                tool.arg("--use-list").arg(self.staging.path().join(LIST))
            }
        };
        let tool = tool.arg(self.staging.path().join(names::SCHEMA));
        let mut process = tool.start(Stdio::piped(), self.stop)?;
        let (mut restricted, mut beginning, mut members) = (false, true, Vec::new());
        let stdout = process.stdout();
        let sink = Sink { writer, members: &mut members };
        let written = compress_stream(squeezer, stdout, sink, |piece| {
            // It stands among the first lines: no statement's text can imitate it there.
            restricted |= beginning && piece[..piece.len().min(2048)].split(|byte| *byte == b'\n').any(|line| line.starts_with(b"\\restrict "));
            beginning = false;
        });
        // A disk that is full ends the child with SIGPIPE as well: the cause comes first.
        let plain = written.map_err(|error| self.write_failed("the script", error))?;
        warnings.extend(process.finish_told(|| ())?);
        if matches!(text, Text::Entries(_)) {
            self.staging.discard(LIST)?;
        }
        writer.members(&[], plain).map_err(|error| self.write_failed("the script", error))?;
        Ok(restricted)
    }

    fn write_failed(&self, what: &str, error: std::io::Error) -> Error {
        self.stop.explain(Error::io("write", &self.staging.path().join(what), error))
    }
}

/// A list for pg_restore. It is no part of the backup.
const LIST: &str = "entries.list";

/// What pg_restore makes SQL of.
enum Text<'a> {
    /// A section of the archive.
    Section(&'a str),
    /// These entries.
    Entries(&'a [u32]),
}

/// Writes members into the script; their plain length is added afterwards.
struct Sink<'a> {
    writer: &'a mut ScriptWriter<NewFile, NewFile>,
    members: &'a mut Vec<u8>,
}

impl std::io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.members.clear();
        self.writer.members(bytes, 0)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Trips the token when a part fails, so that its siblings end too.
fn failing_together<T>(stop: &Stop, result: Result<T>) -> Result<T> {
    if result.is_err() {
        stop.trip(crate::stop::Reason::Sibling);
    }
    result
}

/// Both results, or the error that came first: the other one only says that it was stopped.
pub(crate) fn first_failure<A, B>(a: Result<A>, b: Result<B>) -> Result<(A, B)> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        (Err(a), Err(b)) => Err(if crate::stop::is_only_stopped(&a) { b } else { a }),
    }
}

fn joined<T>(result: std::thread::Result<Result<T>>) -> Result<T> {
    result.unwrap_or_else(|_| Err(Error::new(Kind::Failed, "a part of the dump panicked: this is a bug in kluis")))
}

/// Thirty-two hexadecimal digits that nobody can guess.
fn random_key() -> Result<String> {
    let mut bytes = [0; 16];
    let random = std::path::Path::new("/dev/urandom");
    std::fs::File::open(random).and_then(|mut file| file.read_exact(&mut bytes)).map_err(|error| Error::io("read", random, error))?;
    Ok(crate::repository::files::hex(&bytes))
}

/// The manifest's entry of a table that was read.
fn entry(table: &catalogue::Table, condition: Option<&String>, moved_by: Mover) -> Table {
    Table {
        schema: table.schema.clone(),
        name: table.name.clone(),
        columns: table.columns.clone(),
        condition: condition.cloned(),
        moved_by,
        rows: 0,
        bytes: 0,
        digest: String::new(),
        units: 0,
        objects: table.objects.clone(),
    }
}

/// The statement that psql reads in front of the table's rows. Where the script is in an encoding other than UTF-8, names are written in ASCII alone; what is
/// no UTF-8 stands as [`crate::raw::text`] has it.
pub fn header_of(table: &Table, encoding: &str) -> String {
    let name = |name: &str| {
        if encoding == "UTF8" || encoding == "SQL_ASCII" || name.is_ascii() {
            return quote_ident(name);
        }
        let escaped: String = name
            .chars()
            .map(|c| match c {
                '"' => "\"\"".to_owned(),
                '\\' => "\\\\".to_owned(),
                c if c.is_ascii() => c.to_string(),
                c => format!("\\+{:06X}", u32::from(c)),
            })
            .collect();
        format!("U&\"{escaped}\"")
    };
    let columns = table.columns.iter().map(|column| name(column)).collect::<Vec<_>>().join(", ");
    let list = if columns.is_empty() { columns } else { format!(" ({columns})") };
    format!("COPY {}.{}{list} FROM stdin;\n", name(&table.schema), name(&table.name))
}
