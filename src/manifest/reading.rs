//! Reading the large texts, `contents.json` and `manifest.json` of format 1, as streams: in whole, in short, or table by table.
//! It owns what is kept of them; it leaves opening files to `repository`.
//! Invariant: but for the whole, nothing grows with the number of tables.

use super::checks::{TOO_MANY_ROWS, consistent_files, consistent_script};
use super::summary::{Dumped, Served, Summary, Text, Totals, by_class};
use super::{FIRST_FORMAT, FORMAT, File, LargeObjects, Manifest, Origin, Partitioned, Script};
use crate::exception::Exception;
use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, de};
use std::fmt;
use std::io::Read;

/// What is said of a format that is not known.
pub(super) fn unknown(format: u32) -> String {
    format!("format {format} is not known to this version of kluis, which reads formats {FIRST_FORMAT} and {FORMAT}")
}

/// The format of a manifest, by its first bytes: every one of ours begins with it. Where somebody put something else before it, they have to be all there are.
pub(super) fn format_of(head: &[u8]) -> Result<u32, String> {
    struct Finder<'f>(&'f mut Option<u32>);
    impl<'de> Visitor<'de> for Finder<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a manifest")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                if key == "format" {
                    *self.0 = Some(map.next_value()?);
                    // What follows is of that format, and may be of any kind.
                    return Err(A::Error::custom("found"));
                }
                map.next_value::<IgnoredAny>()?;
            }
            Err(A::Error::missing_field("format"))
        }
    }
    let (mut format, mut text) = (None, serde_json::Deserializer::from_slice(head));
    let ended = text.deserialize_map(Finder(&mut format));
    match (format, ended) {
        (Some(format), _) => Ok(format),
        (None, Err(error)) => Err(format!("not a manifest: {}", located(&error))),
        (None, Ok(())) => Err("not a manifest: there is no format in it".to_owned()),
    }
}

impl Manifest {
    /// Reads a whole manifest of the first format.
    pub(crate) fn first(text: impl Read) -> Result<Manifest, String> {
        let manifest: Manifest = read(text, FIRST_FORMAT)?;
        manifest.consistent().map(|()| manifest)
    }

    /// Reads `contents.json`, for the manifest that belongs to it.
    pub(crate) fn contents(text: impl Read, summary: &Summary) -> Result<Manifest, String> {
        let mut manifest: Manifest = read(text, FORMAT)?;
        if manifest.format != FORMAT {
            return Err(format!("it is of format {}, and the manifest of format {FORMAT}", manifest.format));
        }
        manifest.files.clone_from(&summary.files);
        manifest.consistent()?;
        if summary.fits(&manifest) { Ok(manifest) } else { Err("it is not of the backup that the manifest is of".to_owned()) }
    }
}

fn read<T: de::DeserializeOwned>(text: impl Read, format: u32) -> Result<T, String> {
    serde_json::from_reader(text).map_err(|error| wrong(format, &error))
}

/// What is wrong with a text of this format.
pub(super) fn wrong(format: u32, error: &serde_json::Error) -> String {
    format!("not a manifest of format {format}: {}", located(error))
}

/// What a summary has of a manifest of the first format. Other fields are passed over.
#[derive(Deserialize)]
struct First {
    kluis: String,
    id: String,
    target: String,
    started: Timestamp,
    snapshot: Timestamp,
    finished: Timestamp,
    server: Served,
    #[serde(default)]
    origin: Option<Origin>,
    database: Dumped,
    script: Script,
    tables: Added,
    large_objects: LargeObjects,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    empty_allowed: bool,
    #[serde(default)]
    not_included: Vec<Exception>,
    files: Vec<File>,
}

/// Reads a manifest of the first format, and keeps what a summary has. Whether it is right in itself is known only as far as that goes.
pub(super) fn first_in_short(text: impl Read) -> Result<Summary, String> {
    in_short(read(text, FIRST_FORMAT)?)
}

/// The same of a text in memory, which is read several times as fast.
pub(super) fn first_in_short_of(text: &[u8]) -> Result<Summary, String> {
    in_short(serde_json::from_slice(text).map_err(|error| wrong(FIRST_FORMAT, &error))?)
}

fn in_short(first: First) -> Result<Summary, String> {
    let added = first.tables;
    if added.too_many {
        return Err(TOO_MANY_ROWS.to_owned());
    }
    consistent_files(&first.files)?;
    consistent_script(&first.script, &first.files)?;
    let objects = first.large_objects;
    Ok(Summary {
        format: FIRST_FORMAT,
        kluis: first.kluis,
        id: first.id,
        target: first.target,
        started: first.started,
        snapshot: first.snapshot,
        finished: first.finished,
        server: first.server,
        origin: first.origin,
        database: first.database,
        script: Text { file: first.script.file, plain_bytes: first.script.plain_bytes },
        totals: Totals {
            tables: added.tables,
            rows: added.rows,
            bytes: added.bytes,
            large_objects: objects.count,
            large_object_bytes: objects.bytes,
            empty: objects.count == 0 && added.empty,
        },
        warnings: first.warnings.len() as u64,
        empty_allowed: first.empty_allowed,
        not_included: by_class(&first.not_included),
        changes: None,
        files: first.files,
    })
}

/// Tables, added up while they pass.
struct Added {
    tables: u64,
    rows: u64,
    bytes: u64,
    empty: bool,
    too_many: bool,
}

impl<'de> Deserialize<'de> for Added {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Added, D::Error> {
        let mut added = Added { tables: 0, rows: 0, bytes: 0, empty: true, too_many: false };
        Each(&mut |table: TableInShort| {
            let sums = (added.rows.checked_add(table.rows), added.bytes.checked_add(table.bytes));
            added.too_many |= sums.0.is_none() || sums.1.is_none();
            (added.tables, added.rows, added.bytes) = (added.tables + 1, sums.0.unwrap_or(0), sums.1.unwrap_or(0));
            added.empty &= table.rows == 0 || table.condition.is_some();
        })
        .deserialize(text)?;
        Ok(added)
    }
}

/// A table, in short.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TableInShort {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its rows in the snapshot.
    pub rows: u64,
    /// The size of their COPY text, in bytes.
    pub bytes: u64,
    /// For an extension's configuration table: which rows are data.
    #[serde(default)]
    pub condition: Option<String>,
}

/// Hands over each thing of a list of them, and keeps none.
struct Each<'f, T>(&'f mut dyn FnMut(T));

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Each<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, text: D) -> Result<(), D::Error> {
        text.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Each<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(one) = list.next_element()? {
            (self.0)(one);
        }
        Ok(())
    }
}

/// Hands over each table of `contents.json`, or of `manifest.json` of the first format, in its order, and keeps none. The error says in one line what is wrong
/// with the text; what was handed over before it is to be forgotten.
pub fn each_table(text: impl Read, found: &mut dyn FnMut(TableInShort)) -> Result<(), String> {
    each_part(text, found, &mut drop)
}

/// The same, and each partitioned table, which comes after all tables.
pub fn each_part(text: impl Read, found: &mut dyn FnMut(TableInShort), partitioned: &mut dyn FnMut(Partitioned)) -> Result<(), String> {
    struct Whole<'f>(&'f mut dyn FnMut(TableInShort), &'f mut dyn FnMut(Partitioned));
    impl<'de> Visitor<'de> for Whole<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("what a backup holds")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let mut there = false;
            while let Some(key) = map.next_key::<String>()? {
                if key == "tables" {
                    map.next_value_seed(Each(self.0))?;
                    there = true;
                } else if key == "partitioned" {
                    map.next_value_seed(Each(self.1))?;
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            if there { Ok(()) } else { Err(A::Error::missing_field("tables")) }
        }
    }
    let mut text = serde_json::Deserializer::from_reader(text);
    text.deserialize_map(Whole(found, partitioned)).and_then(|()| text.end()).map_err(|error| format!("not what a backup holds: {}", located(&error)))
}

/// Plain data as pretty JSON and a line end.
pub(crate) fn render(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("plain data always has a JSON form");
    text.push(b'\n');
    text
}

/// Where a JSON text is wrong, without quoting any of it: it may hold names that were planted there.
pub(super) fn located(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Syntax => "broken JSON",
        serde_json::error::Category::Eof => "the text ends too early",
        _ => "a field is missing or of the wrong kind",
    };
    format!("{what} at line {}, column {}", error.line(), error.column())
}
