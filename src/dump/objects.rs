//! Large objects: as SQL from pg_dump, compressed and digested on the way into the script.
//! It owns the call that yields them and nothing else; where they stand in the script the engine decides.
//! Invariant: as many objects are in the script as in the snapshot, or the dump fails.

use super::Job;
use crate::error::{Error, Kind, Result};
use crate::manifest::LargeObjects;
use crate::script::gzip::Squeezer;
use crate::script::objects::ObjectReader;
use crate::script::writer::compress_stream;
use std::process::Stdio;

/// The file that they wait in until the rows are written. It is no part of the backup.
const PART: &str = "large-objects.part";

/// What was written.
pub struct Objects {
    /// The file with their members, unless there are none.
    pub part: Option<&'static str>,
    /// The plain length of the text in it, in bytes.
    pub plain_bytes: u64,
    /// What the manifest says of them.
    pub found: LargeObjects,
    /// What pg_dump warned of.
    pub warnings: Vec<String>,
}

/// A database without large objects.
pub fn none() -> Objects {
    Objects { part: None, plain_bytes: 0, found: LargeObjects { count: 0, bytes: 0, digest: format!("{:032x}", 0) }, warnings: Vec::new() }
}

/// Writes the large objects of the snapshot, of which there are `expected`.
pub fn write(job: &Job<'_>, snapshot: &str, expected: u64) -> Result<Objects> {
    // With all tables' data excluded, "data only" leaves the large objects with their owners, rights and comments: pg_dump counts all of
    // that as data (pg_backup_archiver.c, `_tocEntryRequired`). This pattern is for this call only: it matches sequences as well. Tables that are excluded
    // themselves are not locked either, and configuration tables of extensions are excluded by both.
    let tool = job.pg_dump(snapshot).args(["--format=plain", "--data-only", "--blobs", "--exclude-table=*.*", "--exclude-table-data=*.*"]);
    let mut file = job.staging.file(PART)?;
    let mut process = tool.start(Stdio::piped(), job.stop)?;
    let text = process.stdout();
    let (mut reader, mut wrong) = (ObjectReader::default(), None);
    let written = compress_stream(&mut Squeezer::new(job.request.compression), text, &mut file, |piece| {
        if wrong.is_none() {
            wrong = reader.push(piece).err();
        }
    });
    // A disk that is full ends the child with SIGPIPE as well: the cause comes first.
    let plain_bytes = written.map_err(|error| job.stop.explain(Error::io("write", &job.staging.path().join(PART), error)))?;
    let warnings = process.finish_told(|| ())?;
    let found = match wrong {
        Some(why) => Err(why),
        None => reader.finish(),
    };
    let found = found.map_err(|why| Error::new(Kind::Failed, format!("the large objects cannot be read as pg_dump wrote them: {why}")))?;
    if found.count != expected {
        return Err(Error::new(Kind::Failed, format!("pg_dump wrote {} large objects, and the snapshot has {expected}", found.count)));
    }
    file.finish()?;
    Ok(Objects { part: Some(PART), plain_bytes, found: LargeObjects { count: found.count, bytes: found.bytes, digest: found.hex() }, warnings })
}
