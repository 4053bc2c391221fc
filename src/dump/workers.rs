//! The row path: N sessions that share the snapshot, each reading, digesting, compressing and appending units.
//! It owns the division of work, the largest first and big tables by ctid range; the order of units in the script is whatever it turns out to be.
//! Invariant: memory is bounded by workers × unit size; a unit is appended whole or, for a row larger than a unit, under the writer's lock.

use super::snapshot::Snapshot;
use super::turn::Part;
use super::{Job, Shared, entry, header_of};
use crate::error::{Error, Kind, Result};
use crate::events::Event;
use crate::manifest::{Mover, Table, Witnessed};
use crate::postgres::catalogue;
use crate::postgres::copy::{Piece, Progress};
use crate::postgres::quote::{quote_ident, quote_qualified};
use crate::postgres::server_error::ServerError;
use crate::postgres::session::Session;
use crate::raw;
use crate::repository::files::NewFile;
use crate::script::UNIT_BYTES;
use crate::script::digest::{Digest, RowStream};
use crate::script::gzip::Squeezer;
use crate::script::writer::ScriptWriter;
use crate::stop::Reason;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

/// A part of a big table is never smaller than this on the server's disk, so that the cost of a query stays small against it.
const SMALLEST_PART: u64 = 4 << 20;
/// Nor larger than this.
const LARGEST_PART: u64 = 256 << 20;
/// Into how many parts, for each worker, the whole database is cut: the last part to end keeps the others waiting only for this fraction.
const PARTS_A_WORKER: u64 = 32;

/// One COPY to run.
struct Item {
    /// The table's place in the manifest's list.
    table: usize,
    /// The statement.
    copy: String,
    /// The table's name, to be locked.
    lock: String,
    /// The size on the server's disk, estimated, in bytes.
    bytes: u64,
    /// Where the rows go.
    into: Into,
}

/// Where rows go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Into {
    /// Into the script, as units of their own.
    Units,
    /// Into a file, because they come in turn.
    Turn,
    /// Nowhere: they are only counted and digested, because pg_dump moves them.
    Nowhere,
}

/// What was moved.
pub struct Moved {
    /// The manifest's list of tables.
    pub tables: Vec<Table>,
    /// The digests of what is only witnessed.
    pub witnessed: Vec<Witnessed>,
    /// The places of the tables whose rows come in turn.
    pub in_turn: Vec<u32>,
}

/// What all workers share.
struct Work<'a> {
    job: &'a Job<'a>,
    writer: &'a Shared,
    snapshot: String,
    items: Vec<Item>,
    next: AtomicUsize,
    /// Items whose table somebody waits to lock exclusively: the coordinator, which holds the lock already, reads them.
    contended: Mutex<Vec<usize>>,
    digests: Vec<Mutex<(Digest, u64)>>,
    /// The rows that come in turn, by their items.
    turn: Mutex<BTreeMap<usize, Part>>,
    /// For each table, the items that are not done yet.
    left: Vec<AtomicUsize>,
    headers: Vec<Vec<u8>>,
}

/// Moves the rows of every table into the script.
pub fn move_rows(job: &Job<'_>, snapshot: &mut Snapshot, writer: &Shared) -> Result<Moved> {
    let (mut tables, mut in_turn): (Vec<Table>, Vec<u32>) = Default::default();
    let (mut items, mut headers) = (Vec::new(), Vec::new());
    let encoding = snapshot.facts.database.encoding.clone();
    let total: u64 = snapshot.plain.iter().map(|table| table.bytes).sum();
    let part = (total / (job.request.jobs as u64 * PARTS_A_WORKER)).clamp(SMALLEST_PART, LARGEST_PART);
    job.observer.event(&Event::Total { bytes: total, tables: snapshot.plain.len() as u64 });
    for table in &snapshot.plain {
        let index = tables.len();
        tables.push(entry(table, None, Mover::Units));
        headers.push(raw::bytes(&header_of(&tables[index], &encoding)).into_owned());
        let turn = snapshot.reach.tables.contains(&table.oid);
        in_turn.extend(turn.then_some(index as u32));
        items.extend(cut(table, index, part, &encoding, if turn { Into::Turn } else { Into::Units }));
    }
    for special in &snapshot.special {
        let table = &special.table;
        let names = special.leaves.iter().map(|(_, name)| name.clone());
        for (copy, lock) in special.copies(&encoding).into_iter().zip(names) {
            items.push(Item { table: tables.len(), copy, lock, bytes: 0, into: Into::Nowhere });
        }
        in_turn.extend(special.comes_in_turn(&snapshot.reach.tables).then_some(tables.len() as u32));
        headers.push(Vec::new());
        tables.push(entry(table, special.condition.as_ref(), Mover::PgDump));
    }
    let (moved, mut witnessed) = (tables.len(), std::mem::take(&mut snapshot.witnessed));
    for (place, values) in witnessed.iter().enumerate() {
        let copy = catalogue::copy_of_witnessed(values, &encoding);
        items.push(Item { table: moved + place, copy, lock: quote_qualified(&values.schema, &values.name), bytes: 0, into: Into::Nowhere });
        headers.push(Vec::new());
    }
    // Parts of equal size stay in the order of the table's pages.
    items.sort_by_key(|item| std::cmp::Reverse(item.bytes));
    let left: Vec<AtomicUsize> = headers.iter().map(|_| AtomicUsize::new(0)).collect();
    for item in &items {
        left[item.table].fetch_add(1, Ordering::Relaxed);
    }
    let work = Work {
        job,
        writer,
        snapshot: snapshot.id.clone(),
        next: AtomicUsize::new(0),
        contended: Mutex::default(),
        turn: Mutex::default(),
        digests: headers.iter().map(|_| Mutex::default()).collect(),
        left,
        items,
        headers,
    };
    let workers = job.request.jobs.min(work.items.len());
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|_| {
                scope.spawn(|| {
                    let result = work.run();
                    if result.is_err() {
                        job.stop.trip(Reason::Sibling);
                    }
                    result
                })
            })
            .collect();
        threads.into_iter().map(|thread| super::joined(thread.join())).collect()
    });
    crate::stop::first_cause(results)?;
    let contended = std::mem::take(&mut *work.contended.lock().map_err(poisoned)?);
    let mut mover = Mill::new(&work);
    for index in contended {
        mover.copy(&mut snapshot.session, index)?;
    }
    mover.take_turns(&in_turn)?;
    for (table, digest) in tables.iter_mut().zip(&work.digests) {
        let (digest, units) = *digest.lock().map_err(poisoned)?;
        (table.rows, table.bytes, table.digest, table.units) = (digest.rows, digest.bytes, digest.hex(), units);
    }
    for (values, digest) in witnessed.iter_mut().zip(&work.digests[moved..]) {
        let (digest, _) = *digest.lock().map_err(poisoned)?;
        (values.rows, values.digest) = (digest.rows, digest.hex());
    }
    Ok(Moved { tables, witnessed, in_turn })
}

fn poisoned<T>(_: std::sync::PoisonError<T>) -> Error {
    Error::new(Kind::Failed, "a worker panicked: this is a bug in kluis")
}

/// One item for a table, or several for the ctid ranges of a big one.
fn cut(table: &catalogue::Table, index: usize, part: u64, encoding: &str, into: Into) -> Vec<Item> {
    let (qualified, options) = (table.qualified(), format!("TO STDOUT WITH (FORMAT text, ENCODING '{encoding}')"));
    let item = |copy, bytes| Item { table: index, copy, lock: qualified.clone(), bytes, into };
    let parts = if table.splittable { (table.bytes / part).min(table.pages) } else { 1 };
    if parts <= 1 {
        return vec![item(format!("COPY {qualified}{} {options}", table.column_list()), table.bytes)];
    }
    let columns = table.columns.iter().map(|column| quote_ident(column)).collect::<Vec<_>>().join(", ");
    let edge = |number: u64| (u128::from(table.pages) * u128::from(number) / u128::from(parts)) as u64;
    (0..parts)
        .map(|number| {
            // The last range is open-ended: rows may have come since the size was looked at.
            let end = if number + 1 < parts { format!(" AND ctid < '({},0)'", edge(number + 1)) } else { String::new() };
            let copy = format!("COPY (SELECT {columns} FROM ONLY {qualified} WHERE ctid >= '({},0)'{end}) {options}", edge(number));
            item(copy, table.bytes / parts)
        })
        .collect()
}

/// The end of a unit's rows.
const FOOTER: &str = "\\.\n\n";

impl Work<'_> {
    /// One worker: its own session in the shared snapshot, until no item is left.
    fn run(&self) -> Result<()> {
        let mut session = Session::connect(self.job.request.connection, self.job.stop)?;
        catalogue::guard_against_swaps(&mut session)?;
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        session.execute(&format!("SET TRANSACTION SNAPSHOT '{}'", self.snapshot)).map_err(snapshot_lost)?;
        session.execute("SAVEPOINT k")?;
        let mut mill = Mill::new(self);
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = self.items.get(index) else { return Ok(()) };
            // Without NOWAIT we would queue behind whoever waits for the coordinator's lock to go, and wait for ever.
            match session.execute(&format!("LOCK TABLE {} IN ACCESS SHARE MODE NOWAIT", item.lock)) {
                Ok(()) => mill.copy(&mut session, index)?,
                Err(error) if ServerError::of(&error).is_some_and(|error| error.sqlstate == "55P03") => {
                    self.contended.lock().map_err(poisoned)?.push(index);
                }
                Err(error) => return Err(error),
            }
            // The coordinator has locked the table for the whole dump. Ours, with those of its indexes, would add up to several for each table of the
            // database, and the server's room for locks is small.
            session.execute("ROLLBACK TO SAVEPOINT k")?;
        }
    }
}

/// A snapshot goes with the session that exported it. What is then said of its name would tell nobody that a session was ended.
fn snapshot_lost(error: Error) -> Error {
    let gone = ServerError::of(&error).is_some_and(|error| ["22023", "42704", "55000"].contains(&error.sqlstate.as_str()));
    if !gone {
        return error;
    }
    Error::new(Kind::Unreachable, "the session that held the snapshot was lost")
        .because(error)
        .hinted("look whether the server was stopped or its sessions terminated; the next run starts afresh")
}

/// A worker's compressor and buffers.
struct Mill<'a> {
    work: &'a Work<'a>,
    squeezer: Squeezer,
    rows: Vec<u8>,
    header: Vec<u8>,
    body: Vec<u8>,
    footer: Vec<u8>,
}

impl<'a> Mill<'a> {
    fn new(work: &'a Work<'a>) -> Self {
        Mill { work, squeezer: Squeezer::new(work.job.request.compression), rows: Vec::new(), header: Vec::new(), body: Vec::new(), footer: Vec::new() }
    }

    fn squeeze(&mut self, header: &[u8]) -> std::io::Result<()> {
        self.header.clear();
        self.footer.clear();
        self.squeezer.compress(header, &mut self.header)?;
        self.squeezer.compress(FOOTER.as_bytes(), &mut self.footer)?;
        Ok(())
    }

    /// Runs one COPY to its end.
    fn copy(&mut self, session: &mut Session, index: usize) -> Result<()> {
        let work = self.work;
        let item = &work.items[index];
        let failed = |error: std::io::Error| work.job.write_failed("the script", error);
        self.squeeze(&work.headers[item.table]).map_err(failed)?;
        let mut copy = session.copy_out(&item.copy)?;
        // Whole rows are digested at once; a row that comes in parts goes through a stream.
        let (mut digest, mut huge, mut units, mut told) = (Digest::default(), RowStream::default(), 0, 0);
        let mut part = (item.into == Into::Turn).then(|| Part::new(work.job, index)).transpose()?;
        loop {
            self.rows.clear();
            let before = digest.rows + huge.digest.rows;
            let progress = copy.read_rows(&mut self.rows, UNIT_BYTES, |piece| match piece {
                Piece::Row(row) => digest.add_row(row),
                Piece::Part { bytes, last: false } => huge.part(bytes),
                Piece::Part { bytes, last: true } => {
                    huge.part(&bytes[..bytes.len() - 1]);
                    huge.end_row();
                }
            })?;
            if item.into == Into::Nowhere {
                if progress == Progress::End {
                    break;
                }
                continue;
            }
            let mut rows = digest.rows + huge.digest.rows - before;
            if progress == Progress::Partial {
                // A row larger than a unit: its members go to the script one by one, and nobody else's in between.
                let mut out = self.out(item.table, &mut part)?;
                loop {
                    self.body.clear();
                    self.squeezer.compress(&self.rows, &mut self.body).map_err(failed)?;
                    out.rows(&self.body, self.rows.len() as u64).map_err(failed)?;
                    self.rows.clear();
                    if !huge.is_open() {
                        break;
                    }
                    while let Some(piece) = copy.next_piece()? {
                        let (bytes, last) = (piece.bytes(), piece.ends_row());
                        self.rows.extend_from_slice(bytes);
                        if last {
                            huge.part(&bytes[..bytes.len() - 1]);
                            huge.end_row();
                            rows += 1;
                            break;
                        }
                        huge.part(bytes);
                        if self.rows.len() >= UNIT_BYTES {
                            break;
                        }
                    }
                }
                units += out.end(&self.footer, rows).map_err(failed)?;
            } else if !self.rows.is_empty() {
                self.body.clear();
                self.squeezer.compress(&self.rows, &mut self.body).map_err(failed)?;
                let mut out = self.out(item.table, &mut part)?;
                out.rows(&self.body, self.rows.len() as u64).map_err(failed)?;
                units += out.end(&self.footer, rows).map_err(failed)?;
            }
            // The bar counts bytes on the server's disk: each row of a part is taken to be an equal share of what is left of it.
            let share = (item.bytes.saturating_sub(told)).min(self.rows.len() as u64);
            told += share;
            work.job.observer.event(&Event::Moved { bytes: share, rows });
            if progress == Progress::End {
                break;
            }
        }
        work.job.observer.event(&Event::Moved { bytes: item.bytes.saturating_sub(told), rows: 0 });
        if let Some(part) = part.map(|part| part.finish(work.job)).transpose()?.flatten() {
            work.turn.lock().map_err(poisoned)?.insert(index, part);
        }
        digest.add(&huge.digest);
        let mut total = work.digests[item.table].lock().map_err(poisoned)?;
        total.0.add(&digest);
        total.1 += units;
        drop(total);
        if item.into != Into::Nowhere && work.left[item.table].fetch_sub(1, Ordering::Relaxed) == 1 {
            work.job.observer.event(&Event::Table);
        }
        Ok(())
    }

    /// Where a unit's rows, or a part's, are to be written.
    fn out<'p>(&self, table: usize, part: &'p mut Option<Part>) -> Result<Out<'p>>
    where
        'a: 'p,
    {
        let work = self.work;
        if let Some(part) = part {
            return Ok(Out::Part(part));
        }
        let mut writer = work.writer.lock().map_err(poisoned)?;
        writer.begin_unit(table as u32, &self.header, work.headers[table].len() as u64).map_err(|error| work.job.write_failed("the script", error))?;
        Ok(Out::Unit(writer))
    }

    /// Appends the rows that come in turn.
    fn take_turns(&mut self, tables: &[u32]) -> Result<()> {
        let work = self.work;
        let failed = |error: std::io::Error| work.job.write_failed("the script", error);
        let mut parts: BTreeMap<usize, Vec<Part>> = BTreeMap::new();
        for (index, part) in std::mem::take(&mut *work.turn.lock().map_err(poisoned)?) {
            parts.entry(work.items[index].table).or_default().push(part);
        }
        let mut writer = work.writer.lock().map_err(poisoned)?;
        for table in tables {
            let index = *table as usize;
            let Some(parts) = parts.remove(&index) else { continue };
            self.squeeze(&work.headers[index]).map_err(failed)?;
            writer.begin_unit(*table, &self.header, work.headers[index].len() as u64).map_err(failed)?;
            let rows = parts.iter().map(|part| part.rows).sum();
            for part in parts {
                part.append(work.job, &mut writer)?;
                work.job.stop.check()?;
                work.job.stop.moved();
            }
            writer.end_unit(&self.footer, FOOTER.len() as u64, rows).map_err(failed)?;
            work.digests[index].lock().map_err(poisoned)?.1 = 1;
        }
        Ok(())
    }
}

/// Where rows are being written: into a unit, whose writer nobody else has meanwhile, or a part of a table that comes in turn.
enum Out<'p> {
    Unit(MutexGuard<'p, ScriptWriter<NewFile, NewFile>>),
    Part(&'p mut Part),
}

impl Out<'_> {
    fn rows(&mut self, member: &[u8], plain: u64) -> std::io::Result<()> {
        match self {
            Out::Unit(writer) => writer.unit_rows(member, plain),
            Out::Part(part) => part.member(member, plain),
        }
    }

    /// Returns how many units were written.
    fn end(self, footer: &[u8], rows: u64) -> std::io::Result<u64> {
        match self {
            Out::Unit(mut writer) => writer.end_unit(footer, FOOTER.len() as u64, rows).map(|()| 1),
            Out::Part(part) => {
                part.rows += rows;
                Ok(0)
            }
        }
    }
}
