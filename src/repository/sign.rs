//! A small file that a living process holds up: how far it is, or what it is about to do.
//! It owns the file and whether its writer still lives; it leaves what is in it to its siblings.
//! Invariant: only a living writer's word is ever read: it holds a lock on the file itself, which the kernel releases when it dies (flock(2)).

use super::files;
use crate::error::{Error, Result};
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// More than such a file ever has, in bytes.
const LIMIT: u64 = 4096;

/// The file of a living writer. Dropped, it is gone.
#[derive(Debug)]
pub(super) struct Sign {
    file: File,
    path: PathBuf,
}

impl Sign {
    /// Makes the file, or takes over that of a writer that died. Fails with [`crate::Kind::Locked`] where another one lives.
    pub fn raise(path: PathBuf) -> Result<Sign> {
        let flags = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(&path);
        let file = file.map_err(|error| Error::io("create", &path, error))?;
        // Whoever reads holds the lock for a moment only.
        for _ in 0..50 {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    file.set_len(0).map_err(|error| Error::io("write", &path, error))?;
                    return Ok(Sign { file, path });
                }
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(2)),
            }
        }
        Err(Error::new(crate::Kind::Locked, format!("'{}' is locked by something else", path.display())))
    }

    /// Writes what it says. Not synced: nobody needs it after a power cut.
    pub fn show(&self, what: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(what).expect("plain data always has a JSON form");
        line.push(b'\n');
        // In one write and never shorter, so that a reader finds a whole line first.
        let length = self.file.metadata().map_or(0, |metadata| metadata.len()) as usize;
        line.resize(line.len().max(length), b' ');
        self.file.write_all_at(&line, 0).map_err(|error| Error::io("write", &self.path, error))
    }
}

impl Drop for Sign {
    fn drop(&mut self) {
        // A file that stays is never read again, and the next writer takes it over.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What a living writer says there. A line that is just being written, or of another version of kluis, says nothing.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let file = match files::open_file(path) {
        Ok(file) => file,
        Err(_) if std::fs::symlink_metadata(path).is_err() => return Ok(None),
        Err(error) => return Err(error),
    };
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return Ok(None);
    }
    let mut text = Vec::new();
    file.take(LIMIT).read_to_end(&mut text).map_err(|error| Error::io("read", path, error))?;
    Ok(text.split(|byte| *byte == b'\n').next().and_then(|line| serde_json::from_slice(line).ok()))
}
