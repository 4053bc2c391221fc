//! Backups that are wrong and sealed all the same: every hash fits, so that only a restore can tell.

use crate::malformed::damage::{Base, Seal, reseal};
use crate::support::papers::{joined, write_joined};
use crate::support::repo::manifest;
use kluis::repository::names;
use kluis::script::reader::UnitReader;
use kluis::script::section;
use kluis::script::unit::{Sha256Sum, Unit};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// A unit in plain text.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The table's place in the manifest.
    pub table: u32,
    /// The header and the footer, as members of their own.
    header: String,
    footer: String,
    /// The rows, each with its line feed.
    pub rows: Vec<String>,
}

fn member(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory can be written to");
    encoder.finish().expect("memory can be written to")
}

/// Writes the script anew, with its units as `edit` leaves them, and everything that tells where they lie. Counts and digests of the tables stay.
pub fn rewrite_units(base: &Base, folder: &Path, edit: impl FnOnce(&mut Vec<Piece>)) {
    let path = folder.join(&base.manifest.script.file);
    let (script, old) = (File::open(&path).unwrap(), std::fs::read(&path).unwrap());
    let mut reader = UnitReader::default();
    let mut pieces: Vec<Piece> = Vec::new();
    for unit in &base.units {
        let (header, footer) = (reader.header(&script, unit).unwrap(), reader.footer(&script, unit).unwrap());
        let mut text = Vec::new();
        reader.rows::<std::io::Error>(&script, unit, |piece| Ok(text.extend_from_slice(piece))).unwrap();
        let rows = String::from_utf8(text).expect("the rows are UTF-8").split_inclusive('\n').map(str::to_owned).collect();
        pieces.push(Piece { table: unit.table, header, footer, rows });
    }
    let plain = |pieces: &[Piece]| pieces.iter().map(|piece| piece.header.len() + piece.rows.concat().len() + piece.footer.len()).sum::<usize>() as i64;
    let before = plain(&pieces);
    edit(&mut pieces);

    let part = base.manifest.script.section(section::UNITS).expect("there is a section of units");
    let (begin, end) = (part.offset as usize, (part.offset + part.bytes) as usize);
    // What stands in the section before the first unit and after the last one stays.
    let (first, last) = (&base.units[0], base.units.last().expect("there are units"));
    let (mut new, mut index) = (old[..first.offset as usize].to_vec(), String::new());
    for piece in &pieces {
        let rows = piece.rows.concat();
        let (header, body, footer) = (member(&piece.header), member(&rows), member(&piece.footer));
        let unit = Unit {
            table: piece.table,
            offset: new.len() as u64,
            header: header.len() as u32,
            body: body.len() as u64,
            footer: footer.len() as u32,
            members: 1,
            rows: piece.rows.len() as u64,
            bytes: rows.len() as u64,
            sha256: base.units[0].sha256.map(|_| Sha256Sum(Sha256::digest([header.as_slice(), &body, &footer].concat()).into())),
        };
        index.push_str(&unit.line());
        [header, body, footer].iter().for_each(|bytes| new.extend_from_slice(bytes));
    }
    new.extend_from_slice(&old[(last.offset + last.length()) as usize..]);
    let grown = new.len() as i64 - old.len() as i64;
    std::fs::write(&path, &new).unwrap();
    std::fs::write(folder.join(names::UNITS), index).unwrap();
    assert!(begin <= first.offset as usize && end >= (last.offset + last.length()) as usize);

    let plain_grown = plain(&pieces) - before;
    edit_manifest(folder, |value| {
        let file = value["script"]["file"].clone();
        value["files"].as_array_mut().unwrap().iter_mut().find(|entry| entry["name"] == file).unwrap()["bytes"] = new.len().into();
        let shift = |value: &mut Value, by: i64| *value = (value.as_i64().unwrap() + by).into();
        shift(&mut value["script"]["plain_bytes"], plain_grown);
        for section in value["script"]["sections"].as_array_mut().unwrap() {
            if section["name"] == section::UNITS {
                shift(&mut section["bytes"], grown);
                shift(&mut section["plain_bytes"], plain_grown);
            } else if section["offset"].as_u64().unwrap() >= part.offset + part.bytes {
                shift(&mut section["offset"], grown);
            }
        }
        for (place, table) in value["tables"].as_array_mut().unwrap().iter_mut().enumerate() {
            table["units"] = pieces.iter().filter(|piece| piece.table as usize == place).count().into();
        }
    });
    reseal(base, folder, Seal::Whole);
}

/// Changes what a backup says of itself, as JSON.
pub fn edit_manifest(folder: &Path, edit: impl FnOnce(&mut Value)) {
    let mut value = joined(folder);
    edit(&mut value);
    write_joined(folder, &value);
    // What a backup holds can be read, and is what was written.
    let _ = manifest(folder);
}

/// Changes the text of the globals.
pub fn edit_globals(folder: &Path, edit: impl FnOnce(String) -> String) {
    let path = folder.join(names::GLOBALS);
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(File::open(&path).unwrap()).read_to_string(&mut text).unwrap();
    std::fs::write(&path, member(&edit(text))).unwrap();
}
