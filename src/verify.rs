//! Verifying: the published files against their hashes, and every byte of them decoded and counted against the manifest.
//! It owns what a whole backup is; it leaves to `drill` whether PostgreSQL takes it.
//! Invariant: it reads what is on the disk and changes nothing; each thing that is wrong is named, not only the first.

use crate::dump::header_of;
use crate::error::{Error, Kind, Result};
use crate::events::{Event, Observer};
use crate::manifest::{self, FIRST_FORMAT, Manifest, Mover};
use crate::repository::files::{hash_file, open_file, read_small};
use crate::repository::list::Backup;
use crate::repository::names;
use crate::repository::staging::sums;
use crate::script::digest::{Digest, RowStream};
use crate::script::objects::ObjectReader;
use crate::script::reader::{UnitReader, section};
use crate::script::unit::{Unit, parse_index};
use crate::script::{CLOSING_MARKER, section as sections};
use crate::stop::Stop;
use crate::units::first;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most that an index of units can take: a line is some 150 bytes, and a unit holds 1 MiB of rows.
const INDEX_LIMIT: u64 = 4 << 30;

/// A backup whose files had the hashes that the manifest gives when they were read: nobody needs to read them for that once more.
#[derive(Debug)]
pub struct Verified<'b>(&'b Backup);

impl<'b> Verified<'b> {
    /// The backup.
    pub fn backup(&self) -> &'b Backup {
        self.0
    }
}

/// Compares the files with their hashes. Returns what is wrong, if anything is.
pub fn hashes<'b>(backup: &'b Backup, stop: &Stop, observer: &dyn Observer) -> Result<Result<Verified<'b>, Vec<String>>> {
    let manifest = backup.understood()?;
    let mut wrong = Vec::new();
    observer.event(&Event::Total { bytes: manifest.bytes(), tables: manifest.totals.tables });
    let mut check = |expected: &manifest::File| -> Result<()> {
        let path = backup.path.join(&expected.name);
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => wrong.push(format!("'{}' is missing", expected.name)),
            Err(error) => return Err(Error::io("look at", &path, error)),
            Ok(metadata) if !metadata.is_file() => wrong.push(format!("'{}' is not a regular file", expected.name)),
            Ok(metadata) if metadata.len() != expected.bytes => {
                wrong.push(format!("'{}' has {} bytes instead of {}", expected.name, metadata.len(), expected.bytes))
            }
            Ok(_) => {
                let (_, hash) = hash_file(&path, |length| {
                    stop.moved();
                    observer.event(&Event::Moved { bytes: length as u64, rows: 0 });
                    stop.check()
                })?;
                if hash != expected.sha256 {
                    wrong.push(format!("'{}' does not have the SHA-256 that it was written with", expected.name));
                }
            }
        }
        Ok(())
    };
    manifest.files.iter().try_for_each(&mut check)?;
    // The manifest vouches for the other files, and SHA256SUMS for the manifest.
    let path = backup.path.join(names::SUMS);
    let manifest_file = {
        let (bytes, sha256) = hash_file(&backup.path.join(names::MANIFEST), |_| stop.check())?;
        manifest::File { name: names::MANIFEST.to_owned(), bytes, sha256 }
    };
    let files: Vec<manifest::File> = manifest.files.iter().cloned().chain([manifest_file]).collect();
    match read_small(&path, 1 << 20) {
        Ok(text) if text == sums(&files).as_bytes() => {}
        Ok(_) => wrong.push(format!("'{}' and '{}' do not agree", names::SUMS, names::MANIFEST)),
        Err(_) => wrong.push(format!("'{}' is missing or cannot be read", names::SUMS)),
    }
    Ok(if wrong.is_empty() { Ok(Verified(backup)) } else { Err(wrong) })
}

/// Decodes everything and counts it against the manifest. Returns what is wrong.
pub fn contents(backup: &Backup, jobs: usize, stop: &Stop, observer: &dyn Observer) -> Result<Vec<String>> {
    let manifest = match backup.whole_or_why()? {
        Ok(manifest) => manifest,
        Err(why) => return Ok(vec![why]),
    };
    let script = open_file(&backup.path.join(&manifest.script.file))?;
    let mut wrong = Vec::new();
    let units = match units(backup, manifest)? {
        Ok(units) => units,
        Err(why) => {
            wrong.push(why);
            Vec::new()
        }
    };
    if wrong.is_empty() {
        wrong.extend(rows(manifest, &script, &units, jobs, stop, observer)?);
    }
    for part in &manifest.script.sections {
        if part.name != sections::UNITS {
            wrong.extend(plain_section(manifest, &script, part, stop).err());
        }
    }
    if manifest.script.sections.last().is_none_or(|last| last.name != sections::END) {
        wrong.push(format!("'{}' does not end with its closing marker", manifest.script.file));
    }
    wrong.extend(globals(backup, stop).err());
    stop.check()?;
    Ok(wrong)
}

/// The units of a backup, or why its index cannot be used.
pub fn units(backup: &Backup, manifest: &Manifest) -> Result<Result<Vec<Unit>, String>> {
    let bytes = read_small(&backup.path.join(names::UNITS), INDEX_LIMIT)?;
    let Ok(text) = String::from_utf8(bytes) else { return Ok(Err(format!("'{}' is not text", names::UNITS))) };
    let Some(part) = manifest.script.section(sections::UNITS) else {
        return Ok(Err(format!("'{}': it has no section '{}'", names::MANIFEST, sections::UNITS)));
    };
    let units = parse_index(&text, part.offset, part.offset + part.bytes, manifest.tables.len());
    let hashed = |units: Vec<Unit>| match units.iter().position(|unit| unit.sha256.is_none()) {
        Some(place) if manifest.format > FIRST_FORMAT => Err(format!("line {} has no SHA-256", place + 1)),
        _ => Ok(units),
    };
    Ok(units.and_then(hashed).map_err(|why| format!("'{}': {why}", names::UNITS)))
}

/// Decodes every unit and compares each table's rows, bytes and digest.
fn rows(manifest: &Manifest, script: &File, units: &[Unit], jobs: usize, stop: &Stop, observer: &dyn Observer) -> Result<Vec<String>> {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let totals: Vec<Mutex<(Digest, u64)>> = manifest.tables.iter().map(|_| Mutex::default()).collect();
    let plain: u64 = units.iter().map(|unit| unit.bytes).sum();
    observer.event(&Event::Total { bytes: plain, tables: manifest.tables.len() as u64 });
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                let mut reader = UnitReader::default();
                while stop.reason().is_none() {
                    let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                    match unit_digest(manifest, script, unit, &mut reader) {
                        Ok(digest) => {
                            let mut total = totals[unit.table as usize].lock().expect("no thread panics with this lock");
                            total.0.add(&digest);
                            total.1 += 1;
                        }
                        Err(why) => wrong.lock().expect("no thread panics with this lock").push(why),
                    }
                    stop.moved();
                    observer.event(&Event::Moved { bytes: unit.bytes, rows: unit.rows });
                }
            });
        }
    });
    stop.check()?;
    let mut wrong = wrong.into_inner().expect("no thread panics with this lock");
    wrong.sort();
    for (table, total) in manifest.tables.iter().zip(totals) {
        let (found, count) = total.into_inner().expect("no thread panics with this lock");
        let expected =
            if table.moved_by == Mover::Units { (table.rows, table.bytes, table.digest.clone(), table.units) } else { (0, 0, Digest::default().hex(), 0) };
        if found.rows != expected.0 {
            wrong.push(format!("table {} has {} rows in '{}' instead of {}", table.label(), found.rows, manifest.script.file, expected.0));
        } else if (found.bytes, found.hex(), count) != (expected.1, expected.2, expected.3) {
            wrong.push(format!("table {} has other content in '{}' than in its snapshot", table.label(), manifest.script.file));
        }
    }
    Ok(wrong)
}

/// Decodes one unit: header, rows, footer.
fn unit_digest(manifest: &Manifest, script: &File, unit: &Unit, reader: &mut UnitReader) -> Result<Digest, String> {
    let table = &manifest.tables[unit.table as usize];
    let damaged = |_| format!("a unit of table {} at byte {} of '{}' is damaged", table.label(), unit.offset, manifest.script.file);
    if reader.header(script, unit).map_err(damaged)? != header_of(table, &manifest.database.encoding)
        || reader.footer(script, unit).map_err(damaged)? != "\\.\n\n"
    {
        return Err(format!("a unit at byte {} of '{}' does not belong to table {}", unit.offset, manifest.script.file, table.label()));
    }
    let mut stream = RowStream::default();
    reader
        .rows(script, unit, |piece| {
            stream.push(piece);
            std::io::Result::Ok(())
        })
        .map_err(damaged)?;
    if stream.is_open() || stream.digest.rows != unit.rows || stream.digest.bytes != unit.bytes {
        return Err(format!(
            "a unit of table {} at byte {} of '{}' does not hold the rows that its index says",
            table.label(),
            unit.offset,
            manifest.script.file
        ));
    }
    if let Some(sum) = unit.sha256
        && reader.sha256(script, unit).map_err(damaged)? != sum
    {
        return Err(format!(
            "a unit of table {} at byte {} of '{}' does not have the SHA-256 that its index says",
            table.label(),
            unit.offset,
            manifest.script.file
        ));
    }
    Ok(stream.digest)
}

/// Decodes one section that is plain SQL.
fn plain_section(manifest: &Manifest, script: &File, part: &manifest::Section, stop: &Stop) -> Result<(), String> {
    let damaged = || format!("section '{}' of '{}' is damaged", part.name, manifest.script.file);
    let (mut text, mut buffer, mut length, mut end) = (section(script, part), vec![0; 256 << 10], 0, Vec::new());
    let mut objects = (part.name == sections::LARGE_OBJECTS).then(ObjectReader::default);
    loop {
        let count = text.read(&mut buffer).map_err(|_| damaged())?;
        stop.moved();
        if count == 0 || stop.reason().is_some() {
            break;
        }
        length += count as u64;
        if part.name == sections::END {
            end.extend_from_slice(&buffer[..count]);
        }
        if let Some(objects) = &mut objects {
            objects.push(&buffer[..count]).map_err(|_| damaged())?;
        }
    }
    if stop.reason().is_some() {
        return Ok(());
    }
    if length != part.plain_bytes || (part.name == sections::END && end != CLOSING_MARKER.as_bytes()) {
        return Err(damaged());
    }
    if let Some(objects) = objects {
        let found = objects.finish().map_err(|_| damaged())?;
        if (found.count, found.bytes, found.hex()) != (manifest.large_objects.count, manifest.large_objects.bytes, manifest.large_objects.digest.clone()) {
            return Err(format!("the large objects in '{}' are not those of the snapshot", manifest.script.file));
        }
    }
    Ok(())
}

fn globals(backup: &Backup, stop: &Stop) -> Result<(), String> {
    let damaged = format!("'{}' is damaged", names::GLOBALS);
    let file = open_file(&backup.path.join(names::GLOBALS)).map_err(|_| damaged.clone())?;
    stop.moved();
    std::io::copy(&mut crate::script::gzip::stream(std::io::BufReader::new(file)), &mut std::io::sink()).map_err(|_| damaged).map(|_| ())
}

/// Both checks. Hashes come first: where they do not match there is no sense in decoding.
pub fn verify(backup: &Backup, jobs: usize, stop: &Stop, observer: &dyn Observer) -> Result<Vec<String>> {
    match hashes(backup, stop, observer)? {
        Ok(_) => contents(backup, jobs, stop, observer),
        Err(wrong) => Ok(wrong),
    }
}

/// What is wrong with a backup, as an error.
pub fn failure(id: &str, wrong: &[String]) -> Error {
    let shown = first(wrong, 10).join("; ");
    Error::new(Kind::Verification, format!("backup '{id}' is not what it was when it was written: {shown}"))
        .hinted("keep it for inspection, use another backup, and look at the disk: kluis list, kluis verify --all")
}

/// Only the tables of these places in the manifest, with their units.
pub fn units_of(units: &[Unit]) -> BTreeMap<u32, Vec<Unit>> {
    let mut by_table: BTreeMap<u32, Vec<Unit>> = BTreeMap::new();
    for unit in units {
        by_table.entry(unit.table).or_default().push(*unit);
    }
    by_table
}
