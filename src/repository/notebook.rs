//! Small notes that processes share beside the backups: what was told to whom.
//! It owns where they lie, their lock and their replacing; it leaves their content to `notify`.
//! Invariant: a note is replaced whole or not at all, and who changes one holds its lock.

use super::{Repository, files, names};
use crate::error::{Error, Result};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::path::PathBuf;

/// The most that a note may hold, in bytes.
const LIMIT: u64 = 4 << 20;

/// One note.
#[derive(Debug, Clone)]
pub struct Notebook {
    folder: PathBuf,
    name: String,
}

/// The right to change a note, until it is dropped.
#[derive(Debug)]
pub struct Held {
    _file: File,
}

impl Notebook {
    /// The note of that name. Everything in the name but ASCII letters, digits, dots and dashes becomes `_`.
    pub fn new(repository: &Repository, name: &str) -> Notebook {
        let name = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' }).take(120).collect();
        Notebook { folder: repository.root().join(names::NOTIFIED), name }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.name))
    }

    /// Takes the lock, if nobody has it. The folder is made where it is missing.
    pub fn hold(&self) -> Result<Option<Held>> {
        files::own_folder(&self.folder)?;
        let path = self.folder.join(format!("{}.lock", self.name));
        let file = match files::open_file(&path) {
            Ok(file) => file,
            // Another process may make it at the same moment.
            Err(_) => files::create_file(&path).or_else(|_| files::open_file(&path))?,
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Held { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(Error::io("lock", &path, error.into())),
        }
    }

    /// What was noted; nothing where nothing was.
    pub fn read(&self) -> Result<Option<Vec<u8>>> {
        let path = self.path();
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            _ => files::read_small(&path, LIMIT).map(Some),
        }
    }

    /// Notes something in the place of what was noted before.
    pub fn write(&self, bytes: &[u8], _held: &Held) -> Result<()> {
        files::replace(&self.path(), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_what_it_writes_is_there() {
        let place = tempfile::tempdir().unwrap();
        let repository = Repository::open_for_writing(&place.path().join("backups")).unwrap();
        let note = Notebook::new(&repository, "slack-a/../b:1");
        assert_eq!(note.read().unwrap(), None);
        let held = note.hold().unwrap().unwrap();
        assert!(note.hold().unwrap().is_none(), "a second one has to wait");
        note.write(b"one", &held).unwrap();
        note.write(b"two", &held).unwrap();
        drop(held);
        assert_eq!(note.read().unwrap().as_deref(), Some(&b"two"[..]));
        assert!(note.hold().unwrap().is_some());
        assert!(place.path().join("backups/.notified/slack-a_.._b_1.json").is_file());
        assert!(repository.targets().unwrap().is_empty(), "it is no target");
    }
}
