//! Loading rows: N sessions send units, a run of one table's units a COPY, and build indexes and check
//! foreign keys where no rows are left to send.
//! It owns sending and the digests of what was sent; who sends what, `queue` decides.
//! Invariant: what counts is what the server acknowledged: its row count of each COPY, and the digest of the very bytes that it took.

use super::Job;
use super::order::{Build, Key};
use super::queue::{Queue, Task};
use crate::error::{Error, Kind, Result};
use crate::events::Event;
use crate::manifest::{Mover, Table};
use crate::postgres::catalogue::{self, column_list};
use crate::postgres::connection::Connection;
use crate::postgres::quote::{quote_literal, quote_qualified};
use crate::postgres::session::Session;
use crate::script::digest::{Digest, RowStream};
use crate::script::reader::UnitReader;
use crate::script::unit::Unit;
use crate::verify;
use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::sync::{Mutex, MutexGuard, mpsc};

/// What was loaded.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Tables.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of COPY text.
    pub bytes: u64,
    /// The places of the tables whose rows pg_restore loads.
    pub moved_by_pg_dump: Vec<usize>,
    /// The foreign keys that are still to be checked.
    pub keys: Vec<Key>,
}

/// What to load.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// The tables, by their places in the manifest.
    pub tables: &'a BTreeSet<usize>,
    /// Their units.
    pub units: &'a [Unit],
    /// Those of them that follow when all others are loaded, one after the other.
    pub in_turn: &'a [usize],
}

/// Loads all units, and meanwhile builds indexes of tables that are loaded, and checks foreign keys of tables that have their indexes. `serial`: the
/// target, for sessions in which an index is built by one process.
pub fn load(job: &Job<'_>, script: &File, what: Rows<'_>, builds: Vec<Build>, keys: Vec<Key>, serial: Option<&Connection>) -> Result<Loaded> {
    let (tables, units) = (&job.manifest.tables, what.units);
    let in_turn: HashSet<usize> = what.in_turn.iter().copied().collect();
    let (turns, others): (Vec<Unit>, Vec<Unit>) = units.iter().partition(|unit| in_turn.contains(&(unit.table as usize)));
    let queue = Queue::new(&others, builds, keys, job.request.jobs);
    job.observer.event(&Event::Total {
        bytes: units.iter().map(|unit| unit.bytes).sum(),
        tables: what.tables.iter().filter(|table| tables[**table].moved_by == Mover::Units).count() as u64,
    });
    let found: Vec<Mutex<Digest>> = tables.iter().map(|_| Mutex::default()).collect();
    let work = || -> Result<()> {
        let (mut session, mut reader) = (None, UnitReader::default());
        while let Some(task) = queue.next(job.stop) {
            match task {
                Task::Rows(rows) => {
                    let session = match &mut session {
                        Some(session) => session,
                        None => session.insert(connect(job)?),
                    };
                    let table = &tables[rows.table];
                    let load = Load { table, units: &rows.units, freeze: false, until: rows.whole.then_some(&queue) };
                    let (digest, rest) =
                        if rows.whole { send_whole(job, session, &mut reader, script, load)? } else { send(job, session, &mut reader, script, load)? };
                    locked(&found[rows.table]).add(&digest);
                    queue.loaded(rows.table, rest);
                }
                Task::Build { build, serial: enough_else } => {
                    // pg_restore has a session of its own.
                    session = None;
                    job.apply_entries(serial.filter(|_| enough_else).unwrap_or(&job.programs), "build", &build.entries, 1)?;
                    queue.built(&build);
                }
                Task::Key(key) => {
                    // Rows that are missing break keys: they are the cause, and what is to be told.
                    let wrong = key.tables.iter().filter_map(|table| difference(&tables[*table], &locked(&found[*table])));
                    let wrong: Vec<String> = if job.request.no_check { Vec::new() } else { wrong.collect() };
                    if !wrong.is_empty() {
                        return Err(verify::failure(&job.request.backup.id, &wrong));
                    }
                    session = None;
                    job.apply_entries(&job.programs, "key", &[key.entry], 1)?;
                    queue.checked(&key);
                }
            }
        }
        Ok(())
    };
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..job.request.jobs.clamp(1, queue.width().max(1))).map(|_| scope.spawn(|| job.together(work()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(Error::new(Kind::Failed, "a worker panicked: this is a bug in kluis")))).collect()
    });
    crate::stop::first_cause(results)?;
    job.stop.check()?;
    take_turns(job, script, what.in_turn, &turns, &found)?;
    let (mut loaded, mut wrong) = (Loaded { keys: queue.left(), ..Loaded::default() }, Vec::new());
    for (index, (table, digest)) in tables.iter().zip(found).enumerate().filter(|(index, _)| what.tables.contains(index)) {
        if table.moved_by == Mover::PgDump {
            loaded.moved_by_pg_dump.push(index);
            continue;
        }
        let digest = digest.into_inner().unwrap_or_default();
        wrong.extend(difference(table, &digest));
        loaded.tables += 1;
        loaded.rows += digest.rows;
        loaded.bytes += digest.bytes;
    }
    if job.request.no_check || wrong.is_empty() { Ok(loaded) } else { Err(verify::failure(&job.request.backup.id, &wrong)) }
}

/// Loads the tables that come in turn: one session, one COPY a table. Not as frozen: a function would see rows of its own statement.
fn take_turns(job: &Job<'_>, script: &File, in_turn: &[usize], units: &[Unit], found: &[Mutex<Digest>]) -> Result<()> {
    let by_table = verify::units_of(units);
    if by_table.is_empty() {
        return Ok(());
    }
    let (mut session, mut reader) = (connect(job)?, UnitReader::default());
    for index in in_turn {
        let Some(units) = by_table.get(&(*index as u32)) else { continue };
        let (digest, _) = send(job, &mut session, &mut reader, script, Load { table: &job.manifest.tables[*index], units, freeze: false, until: None })?;
        locked(&found[*index]).add(&digest);
    }
    Ok(())
}

fn locked(digest: &Mutex<Digest>) -> MutexGuard<'_, Digest> {
    digest.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Loads rows of a table that holds none, in one transaction that empties it first: then the server can write them as frozen, and nobody
/// has to touch the pages once more, neither the indexes that are built next nor a vacuum in days to come (manual, COPY FREEZE).
fn send_whole<'u>(job: &Job<'_>, session: &mut Session, reader: &mut UnitReader, script: &File, load: Load<'u>) -> Result<(Digest, &'u [Unit])> {
    let name = quote_qualified(&load.table.schema, &load.table.name);
    let loading = |error: Error| error.context(format!("cannot load table {}", load.table.label()));
    session.execute("BEGIN").map_err(loading)?;
    // A table of an extension may have got rows when the extension was created; they are not ours to remove.
    let empty = catalogue::is_empty(session, &load.table.schema, &load.table.name).map_err(loading)?;
    let right = format!("SELECT pg_catalog.has_table_privilege({}, 'TRUNCATE')", quote_literal(&name));
    let freeze = empty && session.query(&right).map_err(loading)?.single()? == "t";
    if freeze {
        session.execute(&format!("TRUNCATE TABLE ONLY {name}")).map_err(loading)?;
    }
    let sent = send(job, session, reader, script, Load { freeze, ..load })?;
    session.execute("COMMIT").map_err(loading)?;
    Ok(sent)
}

/// What is wrong with the rows that were loaded into a table.
pub fn difference(table: &Table, found: &Digest) -> Option<String> {
    if found.rows != table.rows {
        Some(format!("table {} was loaded with {} rows instead of {}", table.label(), found.rows, table.rows))
    } else if found.hex() != table.digest {
        Some(format!("table {} was loaded with other content than its snapshot had", table.label()))
    } else {
        None
    }
}

/// A session for loading. What it computes of rows (generated columns, CHECKs, entries of indexes) is what psql's would be. Nothing is lost by
/// `synchronous_commit = off`: the commits of pg_restore that follow flush all that came before (manual, 30.4), and a restore that a crash interrupts has to be begun anew anyway. Single tables may have nothing that follows.
pub fn connect(job: &Job<'_>) -> Result<Session> {
    let mut session = Session::connect(job.request.to, job.stop)?;
    session.compute_as_everybody()?;
    catalogue::monetary(&mut session, job.manifest)?;
    let commits = if job.request.tables.is_empty() { "off" } else { "on" };
    session.execute(&format!("SET lock_timeout = {}; SET synchronous_commit = {commits}", job.request.lock_wait.as_millis()))?;
    Ok(session)
}

/// Rows to send in one COPY.
#[derive(Clone, Copy)]
pub struct Load<'a> {
    /// The table.
    pub table: &'a Table,
    /// Its units.
    pub units: &'a [Unit],
    /// Write rows as if they were old: only into a table that was emptied in the same transaction.
    pub freeze: bool,
    /// Stop between two units as soon as this queue wants the rest of them.
    pub until: Option<&'a Queue>,
}

/// What the reader of a run hands over.
enum Read<'u> {
    /// A piece of rows.
    Rows(Vec<u8>),
    /// The end of a unit, and the digest of its rows.
    Unit(&'u Unit, Digest),
    /// A unit that cannot be read.
    Damaged(&'u Unit, std::io::Error),
}

/// How many pieces may wait for the server. A piece is about 1 MiB.
const AHEAD: usize = 2;

/// Sends units of one table in one COPY, and returns the digest of what the server took and the units that were not sent. A thread of its own
/// decompresses and digests the next piece meanwhile, so that the server never waits for us: parsing rows is what takes the time.
pub fn send<'u>(job: &Job<'_>, session: &mut Session, reader: &mut UnitReader, script: &File, load: Load<'u>) -> Result<(Digest, &'u [Unit])> {
    let (table, encoding) = (load.table, &job.manifest.database.encoding);
    let (name, columns) = (quote_qualified(&table.schema, &table.name), column_list(&table.columns));
    let freeze = if load.freeze { "FREEZE, " } else { "" };
    let mut copy = session.copy_in(&format!("COPY {name}{columns} FROM STDIN WITH ({freeze}FORMAT text, ENCODING '{encoding}')"))?;
    let (mut total, mut sent) = (Digest::default(), 0);
    std::thread::scope(|scope| {
        let (give, take) = mpsc::sync_channel(AHEAD);
        let (empty, emptied) = mpsc::channel();
        scope.spawn(move || read(reader, script, load, &give, &emptied));
        // The channel's end is the run's: a reader that fails says so before.
        for piece in take {
            match piece {
                Read::Rows(rows) => {
                    copy.send(&rows).map_err(|error| error.context(format!("cannot load table {}", table.label())))?;
                    // A reader that is done needs no more buffers.
                    let _ = empty.send(rows);
                }
                Read::Unit(unit, digest) => {
                    total.add(&digest);
                    sent += 1;
                    job.observer.event(&Event::Moved { bytes: unit.bytes, rows: unit.rows });
                }
                Read::Damaged(unit, error) => {
                    let what = format!("a unit of table {} at byte {} of '{}' is damaged", table.label(), unit.offset, job.manifest.script.file);
                    let damaged = verify::failure(&job.request.backup.id, &[what]).because(error);
                    return Err(copy.fail("kluis: the backup is damaged").err().unwrap_or(damaged));
                }
            }
        }
        let rows = copy.finish().map_err(|error| error.context(format!("cannot load table {}", table.label())))?;
        if rows != total.rows {
            return Err(Error::new(Kind::Verification, format!("the server took {rows} of the {} rows of table {}", total.rows, table.label())));
        }
        Ok((total, &load.units[sent..]))
    })
}

/// Reads for [`send`], until the end, a damaged unit, the rest is wanted, or nobody listens.
fn read<'u>(reader: &mut UnitReader, script: &File, load: Load<'u>, give: &mpsc::SyncSender<Read<'u>>, emptied: &mpsc::Receiver<Vec<u8>>) {
    for (place, unit) in load.units.iter().enumerate() {
        // The first one in any case: then each COPY comes nearer to the end.
        if place > 0 && load.until.is_some_and(|queue| queue.wants(unit.table as usize, &load.units[place..])) {
            return;
        }
        let (mut stream, mut deaf) = (RowStream::default(), false);
        let read = reader.rows(script, unit, |piece| {
            stream.push(piece);
            let mut rows = emptied.try_recv().unwrap_or_default();
            rows.clear();
            rows.extend_from_slice(piece);
            give.send(Read::Rows(rows)).map_err(|_| {
                deaf = true;
                std::io::Error::other("nobody listens")
            })
        });
        let told = match read {
            Ok(()) => give.send(Read::Unit(unit, stream.digest)),
            Err(error) if !deaf => give.send(Read::Damaged(unit, error)),
            Err(_) => return,
        };
        if told.is_err() {
            return;
        }
    }
}
