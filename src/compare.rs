//! Comparing: a database with a manifest, or two manifests, table by table. Rows and digests, no values.
//! It owns how a table that lies in a database is digested; it leaves what to do about a difference to its callers.
//! Invariant: the same settings, columns and encoding as in the dump, so that equal rows give equal text.

use crate::error::{Error, Kind, Result};
use crate::events::{Event, Observer};
use crate::manifest::{LargeObjects, Manifest, Table, Witnessed};
use crate::postgres::catalogue::{self, Special, cell, column_list, number};
use crate::postgres::connection::Connection;
use crate::postgres::copy::Piece;
use crate::postgres::quote::quote_qualified;
use crate::postgres::session::Session;
use crate::script::digest::{Digest, ObjectStream, RowStream};
use crate::stop::{Reason, Stop};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much of a table, on the server's disk, one query reads at most, in bytes: a giant table is shared among all sessions.
const PART: u64 = 64 << 20;
/// How many bytes of a large object are fetched at once. The answer comes in hexadecimal, so it is twice as long.
const OBJECT_BYTES: u64 = 1 << 20;

/// How one table compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It is not there.
    Missing,
    /// It has other columns, so its rows cannot be compared.
    Columns,
    /// It has this many rows.
    Rows(u64),
    /// It has as many rows, and other content.
    Content,
}

impl Difference {
    /// In words; `expected` is the table's entry in the manifest.
    pub fn describe(&self, expected: &Table) -> String {
        let label = expected.label();
        match self {
            Difference::Missing => format!("table {label} is missing"),
            Difference::Columns => format!("table {label} has other columns"),
            Difference::Rows(rows) => format!("table {label} has {rows} rows instead of {}", expected.rows),
            Difference::Content => format!("table {label} has as many rows and other content"),
        }
    }
}

/// What a comparison found.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// For each table of the manifest that differs, its place there and how.
    pub different: Vec<(usize, Difference)>,
    /// Tables that the other side has and the manifest does not, as `schema.name`.
    pub extra: Vec<String>,
    /// Whether the large objects differ.
    pub large_objects_differ: bool,
    /// Tables compared.
    pub tables: u64,
    /// Rows compared.
    pub rows: u64,
}

impl Comparison {
    /// Whether both sides hold the same.
    pub fn is_equal(&self) -> bool {
        self.different.is_empty() && self.extra.is_empty() && !self.large_objects_differ
    }
}

/// Compares two backups by what their manifests say.
pub fn manifests(one: &Manifest, other: &Manifest) -> Comparison {
    let key = |table: &Table| (table.schema.clone(), table.name.clone());
    let mut others: BTreeMap<_, &Table> = other.tables.iter().map(|table| (key(table), table)).collect();
    let mut found = Comparison {
        large_objects_differ: one.large_objects != other.large_objects,
        tables: one.tables.len() as u64,
        rows: one.rows(),
        ..Comparison::default()
    };
    for (index, table) in one.tables.iter().enumerate() {
        let difference = match others.remove(&key(table)) {
            None => Some(Difference::Missing),
            Some(theirs) if theirs.columns != table.columns => Some(Difference::Columns),
            Some(theirs) if theirs.rows != table.rows => Some(Difference::Rows(theirs.rows)),
            Some(theirs) => (theirs.digest != table.digest).then_some(Difference::Content),
        };
        found.different.extend(difference.map(|difference| (index, difference)));
    }
    found.extra = others.values().map(|table| table.label()).collect();
    found
}

/// Rows and digest of a table as it is in the session's database.
pub fn digest_of(session: &mut Session, table: &Table, encoding: &str) -> Result<Digest> {
    let special =
        catalogue::special_tables(session, false)?.into_iter().find(|special| (&special.table.schema, &special.table.name) == (&table.schema, &table.name));
    let copies = special.map_or_else(|| vec![whole(table, encoding)], |special| of_special(table, special, encoding));
    let mut found = Digest::default();
    for copy in copies {
        found.add(&digest(session, &copy)?);
    }
    Ok(found)
}

/// The statement that reads a table's rows as the dump did, which plans nothing. A plain table may have children that inherit from it, whose rows are
/// their own.
fn whole(table: &Table, encoding: &str) -> String {
    format!("COPY {}{} TO STDOUT WITH (FORMAT text, ENCODING '{encoding}')", quote_qualified(&table.schema, &table.name), column_list(&table.columns))
}

/// The statements that read what the manifest's table has, where pg_dump moved its rows.
fn of_special(table: &Table, there: Special, encoding: &str) -> Vec<String> {
    let condition = table.condition.clone().filter(|_| there.table.plannable);
    let of_the_manifest = catalogue::Table { columns: table.columns.clone(), ..there.table };
    Special { table: of_the_manifest, condition, leaves: there.leaves }.copies(encoding)
}

/// Rows and digest of witnessed values as they are in the session's database.
pub fn digest_of_witnessed(session: &mut Session, table: &Witnessed, encoding: &str) -> Result<Digest> {
    digest(session, &catalogue::copy_of_witnessed(table, encoding))
}

fn digest(session: &mut Session, copy: &str) -> Result<Digest> {
    let mut copy = session.copy_out(copy)?;
    let (mut digest, mut parts) = (Digest::default(), RowStream::default());
    while let Some(piece) = copy.next_piece()? {
        match piece {
            Piece::Row(row) => digest.add_row(row),
            Piece::Part { bytes, last } => {
                parts.part(if last { &bytes[..bytes.len() - 1] } else { bytes });
                if last {
                    parts.end_row();
                }
            }
        }
    }
    digest.add(&parts.digest);
    Ok(digest)
}

/// A part of the work: a table of the manifest, and the statement that reads some of its rows.
struct Part {
    table: usize,
    copy: String,
    bytes: u64,
}

/// Compares a database with a manifest, in one snapshot, with `jobs` sessions.
pub fn database(connection: &Connection, manifest: &Manifest, jobs: usize, stop: &Stop, observer: &dyn Observer) -> Result<Comparison> {
    let mut session = Session::connect(connection, stop)?;
    catalogue::monetary(&mut session, manifest)?;
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    let snapshot = session.query("SELECT pg_catalog.pg_export_snapshot()")?.single()?.to_owned();
    // A standby has no rows of unlogged tables, and neither has a backup that was made from one.
    let standby = manifest.server.standby || session.query("SELECT pg_catalog.pg_is_in_recovery()")?.single()? == "t";
    let key = |table: &catalogue::Table| (table.schema.clone(), table.name.clone());
    let mut there: BTreeMap<(String, String), There> =
        catalogue::special_tables(&mut session, standby)?.into_iter().map(|special| (key(&special.table), There::Special(special))).collect();
    there.extend(catalogue::plain_tables(&mut session, standby)?.into_iter().map(|table| (key(&table), There::Plain(table))));

    let (mut found, mut parts) = (Comparison::default(), Vec::new());
    for (index, table) in manifest.tables.iter().enumerate() {
        match there.remove(&(table.schema.clone(), table.name.clone())) {
            None => found.different.push((index, Difference::Missing)),
            // Rows are read by the manifest's columns: their order in the catalogue may be another in a child of other tables.
            Some(theirs) if !same_columns(&theirs.table().columns, &table.columns) => found.different.push((index, Difference::Columns)),
            Some(theirs) => parts.extend(divide(table, index, theirs, &manifest.database.encoding)),
        }
    }
    found.extra = there.into_keys().map(|(schema, name)| format!("{schema}.{name}")).collect();
    observer.event(&Event::Total { bytes: parts.iter().map(|part| part.bytes).sum(), tables: manifest.tables.len() as u64 });
    parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));

    let digests: Vec<Mutex<Digest>> = manifest.tables.iter().map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        let mut session = Session::connect(connection, stop)?;
        catalogue::monetary(&mut session, manifest)?;
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        session.execute(&format!("SET TRANSACTION SNAPSHOT '{snapshot}'; SAVEPOINT k"))?;
        while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let digest = digest(&mut session, &part.copy)?;
            // The server's room for locks is small: those of one table after the other would add up.
            session.execute("ROLLBACK TO SAVEPOINT k")?;
            observer.event(&Event::Moved { bytes: part.bytes, rows: digest.rows });
            digests[part.table].lock().map_err(|_| Error::new(Kind::Failed, "a worker panicked: this is a bug in kluis"))?.add(&digest);
        }
        Ok(())
    };
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.clamp(1, parts.len().max(1)))
            .map(|_| {
                scope.spawn(|| {
                    let result = work();
                    if result.is_err() {
                        stop.trip(Reason::Sibling);
                    }
                    result
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(Error::new(Kind::Failed, "a worker panicked: this is a bug in kluis")))).collect()
    });
    crate::stop::first_cause(results)?;
    let gone: std::collections::BTreeSet<usize> = found.different.iter().map(|(index, _)| *index).collect();
    for (index, (table, digest)) in manifest.tables.iter().zip(digests).enumerate().filter(|(index, _)| !gone.contains(index)) {
        let digest = digest.into_inner().unwrap_or_default();
        found.tables += 1;
        found.rows += digest.rows;
        if digest.rows != table.rows {
            found.different.push((index, Difference::Rows(digest.rows)));
        } else if digest.hex() != table.digest {
            found.different.push((index, Difference::Content));
        }
    }
    found.different.sort_by_key(|(index, _)| *index);
    found.large_objects_differ = large_objects(&mut session)? != manifest.large_objects;
    session.execute("COMMIT")?;
    Ok(found)
}

/// Whether these are the same columns, in any order.
fn same_columns(one: &[String], other: &[String]) -> bool {
    let sorted = |columns: &[String]| {
        let mut columns = columns.to_vec();
        columns.sort_unstable();
        columns
    };
    one == other || sorted(one) == sorted(other)
}

/// A table of the database that is compared.
enum There {
    Plain(catalogue::Table),
    Special(Special),
}

impl There {
    fn table(&self) -> &catalogue::Table {
        match self {
            There::Plain(table) => table,
            There::Special(special) => &special.table,
        }
    }
}

/// One part for a table, or one for each range of its pages.
fn divide(table: &Table, index: usize, there: There, encoding: &str) -> Vec<Part> {
    let there = match there {
        There::Special(special) => {
            return of_special(table, special, encoding).into_iter().map(|copy| Part { table: index, copy, bytes: 0 }).collect();
        }
        There::Plain(there) if table.condition.is_some() => {
            let leaves = vec![(there.oid, there.qualified())];
            return divide(table, index, There::Special(Special { table: there, condition: None, leaves }), encoding);
        }
        There::Plain(there) => there,
    };
    let parts = if there.splittable { (there.bytes / PART).clamp(1, there.pages.max(1)) } else { 1 };
    if parts == 1 {
        return vec![Part { table: index, copy: whole(table, encoding), bytes: there.bytes }];
    }
    let (list, name) = (column_list(&table.columns), quote_qualified(&table.schema, &table.name));
    let columns = list.trim_start_matches(" (").trim_end_matches(')');
    let edge = |number: u64| (u128::from(there.pages) * u128::from(number) / u128::from(parts)) as u64;
    (0..parts)
        .map(|number| {
            let end = if number + 1 == parts { String::new() } else { format!(" AND ctid < '({},0)'", edge(number + 1)) };
            let copy = format!(
                "COPY (SELECT {columns} FROM ONLY {name} WHERE ctid >= '({},0)'{end}) TO STDOUT WITH (FORMAT text, ENCODING '{encoding}')",
                edge(number)
            );
            Part { table: index, copy, bytes: there.bytes / parts }
        })
        .collect()
}

/// Count, size and digest of the large objects in the session's database.
pub fn large_objects(session: &mut Session) -> Result<LargeObjects> {
    let mut stream = ObjectStream::default();
    for row in session.query("SELECT oid FROM pg_catalog.pg_largeobject_metadata ORDER BY oid")?.rows {
        let oid: u32 = number(&row, 0)?;
        for offset in (0..).step_by(OBJECT_BYTES as usize) {
            let rows = session.query(&format!("SELECT pg_catalog.encode(pg_catalog.lo_get({oid}, {offset}, {OBJECT_BYTES}), 'hex')"))?;
            let bytes = rows
                .rows
                .first()
                .map(|row| cell(row, 0))
                .transpose()?
                .and_then(unhex)
                .ok_or_else(|| Error::new(Kind::Failed, "a large object cannot be read"))?;
            stream.push(&bytes);
            if (bytes.len() as u64) < OBJECT_BYTES {
                break;
            }
        }
        stream.end(oid);
    }
    Ok(LargeObjects { count: stream.count, bytes: stream.bytes, digest: stream.hex() })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes().chunks(2).map(|pair| Some((char::from(pair[0]).to_digit(16)? * 16 + char::from(*pair.get(1)?).to_digit(16)?) as u8)).collect()
}
