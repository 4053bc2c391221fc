//! `manifest.json` of format 2: what every listing has to know of a backup, small whatever the backup holds.
//! It owns which facts these are; everything else is in `contents.json`, see [`Manifest`].
//! Invariant: it names no table, column or role and has no digest of rows, so that it may stay in clear where the rest is sealed; and it has the hash of every
//! other file, so that its own hash covers the whole backup.

use super::checks::consistent_files;
use super::{Changes, FIRST_FORMAT, FORMAT, File, Manifest, Origin, reading, render};
use crate::exception::{Class, Exception};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read;

/// A backup in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The version of the backup's format. One of format 1 has no such file: then this is what its large one says.
    pub format: u32,
    /// The version of Kluis that made it.
    pub kluis: String,
    /// Its name: the run's start in UTC.
    pub id: String,
    /// The target's name.
    pub target: String,
    /// When the run began.
    pub started: Timestamp,
    /// When the snapshot was taken, by the server's clock.
    pub snapshot: Timestamp,
    /// When the last byte of the dump was written.
    pub finished: Timestamp,
    /// The server that was dumped.
    pub server: Served,
    /// Where the snapshot lies in the life of its cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The database that was dumped.
    pub database: Dumped,
    /// The script.
    pub script: Text,
    /// How much it holds.
    pub totals: Totals,
    /// How many warnings there were.
    pub warnings: u64,
    /// Whether the operator had said that a database without a row is as it should be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_allowed: bool,
    /// How many things a restore will not bring back, by class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_included: BTreeMap<Class, u64>,
    /// How its tables differ from those of trusted backups before it. It stands here alone: nobody has to read what they held to know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// Every other file of the backup, with size and hash.
    pub files: Vec<File>,
}

/// The server, in short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// `server_version`.
    pub version: String,
    /// The major version.
    pub major: u32,
    /// The version of pg_dump that was used.
    pub pg_dump: String,
    /// Whether it was a hot standby.
    pub standby: bool,
}

/// The database, in short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dumped {
    /// Its name.
    pub name: String,
    /// `pg_database_size`, in bytes.
    pub bytes: u64,
    /// The server-side encoding.
    pub encoding: String,
}

/// The script, in short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Its file name.
    pub file: String,
    /// Its size uncompressed, in bytes.
    pub plain_bytes: u64,
}

/// How much a backup holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Tables whose rows it holds.
    pub tables: u64,
    /// Their rows.
    pub rows: u64,
    /// The size of the rows' COPY text, in bytes.
    pub bytes: u64,
    /// Large objects.
    pub large_objects: u64,
    /// Their size in bytes.
    pub large_object_bytes: u64,
    /// Whether the database was empty: no large object, and no row in a table that is not an extension's own.
    pub empty: bool,
}

impl Summary {
    /// The summary of a backup, in the format that is written. The manifest's files are all that there are.
    pub fn of(manifest: &Manifest) -> Summary {
        let (server, database) = (&manifest.server, &manifest.database);
        Summary {
            format: manifest.format,
            kluis: manifest.kluis.clone(),
            id: manifest.id.clone(),
            target: manifest.target.clone(),
            started: manifest.started,
            snapshot: manifest.snapshot,
            finished: manifest.finished,
            server: Served { version: server.version.clone(), major: server.major, pg_dump: server.pg_dump.clone(), standby: server.standby },
            origin: manifest.origin.clone(),
            database: Dumped { name: database.name.clone(), bytes: database.bytes, encoding: database.encoding.clone() },
            script: Text { file: manifest.script.file.clone(), plain_bytes: manifest.script.plain_bytes },
            totals: Totals {
                tables: manifest.tables.len() as u64,
                rows: manifest.rows(),
                bytes: manifest.tables.iter().map(|table| table.bytes).sum(),
                large_objects: manifest.large_objects.count,
                large_object_bytes: manifest.large_objects.bytes,
                empty: manifest.is_empty(),
            },
            warnings: manifest.warnings.len() as u64,
            empty_allowed: manifest.empty_allowed,
            not_included: by_class(&manifest.not_included),
            changes: None,
            files: manifest.files.clone(),
        }
    }

    /// Reads `manifest.json` of any format that is known; of the first, which may be large, no more is kept than belongs into a summary. `head`: its first
    /// bytes, or all; `rest`: the others. The error says in one line what is wrong with it.
    pub fn read(head: &[u8], rest: impl Read) -> Result<Summary, String> {
        let summary = match reading::format_of(head)? {
            FIRST_FORMAT => return reading::first_in_short(head.chain(rest)),
            FORMAT => serde_json::from_reader(head.chain(rest)).map_err(|error| reading::wrong(FORMAT, &error))?,
            format => return Err(reading::unknown(format)),
        };
        Summary::consistent(summary)
    }

    /// The same of a text that is in memory as a whole.
    pub fn parse(text: &[u8]) -> Result<Summary, String> {
        match reading::format_of(text)? {
            FIRST_FORMAT => reading::first_in_short_of(text),
            FORMAT => {
                let summary = serde_json::from_slice(text).map_err(|error| reading::wrong(FORMAT, &error))?;
                Summary::consistent(summary)
            }
            format => Err(reading::unknown(format)),
        }
    }

    /// `manifest.json` as it is written: pretty JSON and a line end.
    pub fn render(&self) -> Vec<u8> {
        render(self)
    }

    /// All rows together.
    pub fn rows(&self) -> u64 {
        self.totals.rows
    }

    /// The size of the whole backup on disk, in bytes, less `manifest.json` itself.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Whether the database was empty, see [`Totals::empty`].
    pub fn is_empty(&self) -> bool {
        self.totals.empty
    }

    /// The entry of that file.
    pub fn file(&self, name: &str) -> Option<&File> {
        self.files.iter().find(|file| file.name == name)
    }

    /// Whether this is the summary of that backup. What later versions may come to count otherwise is left out.
    pub(super) fn fits(&self, manifest: &Manifest) -> bool {
        let own = Summary::of(manifest);
        let told =
            |summary: &Summary| (summary.id.clone(), summary.target.clone(), summary.started, summary.snapshot, summary.database.clone(), summary.totals);
        told(self) == told(&own) && self.script == own.script && self.origin == own.origin
    }

    fn consistent(self) -> Result<Summary, String> {
        consistent_files(&self.files)?;
        for (name, what) in [(self.script.file.as_str(), "script"), (super::CONTENTS, "contents"), (super::UNITS, "index of units")] {
            if self.file(name).is_none() {
                return Err(format!("the {what} is not among the files").replace("contents is", "contents are"));
            }
        }
        Ok(self)
    }
}

/// How many of these there are of each class.
pub(super) fn by_class(missing: &[Exception]) -> BTreeMap<Class, u64> {
    let mut count = BTreeMap::new();
    missing.iter().for_each(|missing| *count.entry(missing.class).or_default() += 1);
    count
}

/// What a large manifest of the first format says in short, noted beside it (`summary.json`): it counts only for the file that it was read from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condensed {
    /// The size of the manifest, in bytes.
    pub bytes: u64,
    /// When it was last modified: seconds since 1970, and nanoseconds.
    pub modified: (i64, i64),
    /// What it says.
    pub summary: Summary,
}

impl Condensed {
    /// The summary in this text, if it is that of a manifest of this size and time.
    pub fn parse(text: &[u8], bytes: u64, modified: (i64, i64)) -> Option<Summary> {
        let noted: Condensed = serde_json::from_slice(text).ok()?;
        let fits = (noted.bytes, noted.modified) == (bytes, modified) && noted.summary.format == FIRST_FORMAT;
        (fits && consistent_files(&noted.summary.files).is_ok()).then_some(noted.summary)
    }

    /// The text.
    pub fn render(&self) -> Vec<u8> {
        render(self)
    }
}
