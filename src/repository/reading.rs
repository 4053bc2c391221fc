//! Reading what a backup's folder says of the backup: in short, in whole, and table by table.
//! It owns which file that is in which format, and that what is read is what was sealed; it leaves the formats to `manifest`.
//! Invariant: a listing never has a large text in memory; damage to one backup, and what the volume does not let us read of it, is told with that backup.

use super::files::{hex, open_and_look, open_file, read_small};
use super::names;
use crate::error::{Error, Result};
use crate::manifest::{Condensed, FIRST_FORMAT, Manifest, Partitioned, Summary, TableInShort, each_part};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a manifest is told by: one of this size or less is read at once.
const SMALL: u64 = 256 << 10;

/// A few hundred bytes a table: this is far above any real one.
const LIMIT: u64 = 512 << 20;

/// How much of a large file is read at a time.
const BUFFER: usize = 128 << 10;

/// A summary, or why there is none.
pub(super) struct Short {
    /// The summary.
    pub summary: Result<Summary, String>,
    /// Where it cost the reading of a large file: what [`Condensed`] spares the next reader.
    pub condensed: Option<Condensed>,
    /// Whether the volume did not let us read it.
    pub unread: bool,
}

/// What the manifest in a backup's folder says, in short.
pub(super) fn short(folder: &Path) -> Short {
    let path = folder.join(names::MANIFEST);
    let read = || -> Result<Short> {
        let (mut file, metadata) = open_and_look(&path)?;
        let (size, modified) = (metadata.len(), (metadata.mtime(), metadata.mtime_nsec()));
        let failed = |error| Error::io("read", &path, error);
        if size <= SMALL {
            let mut text = Vec::with_capacity(size as usize + 1);
            file.take(SMALL + 1).read_to_end(&mut text).map_err(failed)?;
            return Ok(Short { summary: Summary::parse(&text).map_err(named(names::MANIFEST)), condensed: None, unread: false });
        }
        if size > LIMIT {
            return Err(Error::new(crate::Kind::Storage, format!("'{}' is larger than the {LIMIT} bytes that such a file can have", path.display())));
        }
        if let Ok(known) = read_small(&folder.join(names::CONDENSED), SMALL)
            && let Some(summary) = Condensed::parse(&known, size, modified)
        {
            return Ok(Short { summary: Ok(summary), condensed: None, unread: false });
        }
        let mut head = Vec::with_capacity(BUFFER);
        file.by_ref().take(BUFFER as u64).read_to_end(&mut head).map_err(failed)?;
        let mut rest = Watched::new(BufReader::with_capacity(BUFFER, file.take(LIMIT)));
        let summary = Summary::read(&head, &mut rest).map_err(named(names::MANIFEST));
        rest.failure().map_err(failed)?;
        let condensed = summary.as_ref().ok().map(|summary| Condensed { bytes: size, modified, summary: summary.clone() });
        Ok(Short { summary, condensed, unread: false })
    };
    read().unwrap_or_else(|error| Short { unread: unreadable(&error), summary: Err(error.chain()), condensed: None })
}

/// What is missing of the files in a manifest: each has to be a file of the size that it was written with. Nothing where all is there.
pub(super) fn incomplete(folder: &Path, summary: &Summary, unread: &mut bool) -> Option<String> {
    let (mut wrong, mut first) = (0_usize, None);
    for file in &summary.files {
        let what = match std::fs::symlink_metadata(folder.join(&file.name)) {
            Ok(found) if !found.is_file() => "is no file".to_owned(),
            Ok(found) if found.len() != file.bytes => format!("has {} bytes instead of {}", found.len(), file.bytes),
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => "is missing".to_owned(),
            Err(error) => {
                *unread = true;
                format!("cannot be looked at: {error}")
            }
        };
        wrong += 1;
        first.get_or_insert_with(|| format!("'{}' {what}", file.name));
    }
    let first = first?;
    Some(if wrong > 1 { format!("{first}, and {} more of its files are not there or not as large as they were", wrong - 1) } else { first })
}

/// The whole of it, for the backup with this summary; or why there is none.
pub(super) fn whole(folder: &Path, summary: &Summary) -> Result<Result<Manifest, String>> {
    large(folder, summary, |text| if summary.format == FIRST_FORMAT { Manifest::first(text) } else { Manifest::contents(text, summary) })
}

/// Each table of it, in short, and each partitioned one. Where the answer is why that cannot be, what was handed over before is to be forgotten.
pub(super) fn parts(
    folder: &Path,
    summary: &Summary,
    found: &mut dyn FnMut(TableInShort),
    partitioned: &mut dyn FnMut(Partitioned),
) -> Result<Result<(), String>> {
    large(folder, summary, |text| each_part(text, found, partitioned))
}

/// Reads the large text of a backup, which has to be the one that was sealed.
fn large<T>(folder: &Path, summary: &Summary, read: impl FnOnce(&mut dyn Read) -> Result<T, String>) -> Result<Result<T, String>> {
    let first = summary.format == FIRST_FORMAT;
    let name = if first { names::MANIFEST } else { names::CONTENTS };
    let path = folder.join(name);
    let file = match open_file(&path) {
        Ok(file) => file,
        Err(error) if unreadable(&error) => return Err(error),
        Err(error) => return Ok(Err(error.chain())),
    };
    let failed = |error| Error::io("read", &path, error);
    let mut text = Watched::new(BufReader::with_capacity(BUFFER, Hashed { file, hash: Sha256::new(), left: LIMIT }));
    let found = read(&mut text).map_err(named(name));
    // To the end, for the hash.
    let ended = if found.is_ok() { io::copy(&mut text, &mut io::sink()).map(drop) } else { Ok(()) };
    text.failure().and(ended).map_err(failed)?;
    let hash = hex(&text.inner.into_inner().hash.finalize());
    let found = match found {
        // A manifest cannot have its own hash: what vouches for it is `SHA256SUMS`.
        Ok(_) if !first && summary.file(name).is_none_or(|file| file.sha256 != hash) => {
            Err(format!("'{name}' does not have the SHA-256 that it was written with"))
        }
        found => found,
    };
    Ok(found)
}

/// What is wrong with a file, with its name.
fn named(name: &str) -> impl Fn(String) -> String {
    move |why| format!("'{name}': {why}")
}

/// A file that is hashed while it is read.
struct Hashed {
    file: File,
    hash: Sha256,
    left: u64,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let length = self.file.read(&mut buffer[..most])?;
        self.hash.update(&buffer[..length]);
        self.left -= length as u64;
        Ok(length)
    }
}

/// A reader that remembers how it failed: a parser would tell no more than that it did.
struct Watched<R> {
    inner: R,
    failed: Option<io::Error>,
}

impl<R: Read> Watched<R> {
    fn new(inner: R) -> Self {
        Watched { inner, failed: None }
    }

    fn failure(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failed = Some(error);
            }
            kind.into()
        })
    }
}

fn io_cause(error: &Error) -> Option<&io::Error> {
    std::error::Error::source(error).and_then(|source| source.downcast_ref())
}

/// Whether the file is not there.
pub(super) fn missing(error: &Error) -> bool {
    io_cause(error).is_some_and(|cause| cause.kind() == io::ErrorKind::NotFound)
}

/// Errors of the volume, as opposed to a backup that is damaged: then nobody knows what there is.
pub(super) fn unreadable(error: &Error) -> bool {
    // A link (ELOOP under O_NOFOLLOW) or a folder where a file should be is damage to this one backup.
    let damaged =
        [rustix::io::Errno::NOENT, rustix::io::Errno::LOOP, rustix::io::Errno::NOTDIR, rustix::io::Errno::ISDIR].map(|errno| Some(errno.raw_os_error()));
    io_cause(error).is_some_and(|cause| !damaged.contains(&cause.raw_os_error()))
}
