//! The file that hands a child its password.
//! It owns making it 0600 before its first byte, removing it, and sweeping up those of runs that were killed; its format is `postgres::passfile`'s.
//! Invariant: while it is in use it is locked (flock(2)), so that one which can be locked belongs to nobody any more.

use crate::error::{Error, Kind, Result};
use crate::postgres::connection::Connection;
use crate::repository::files::{create_file, open_file};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const PREFIX: &str = ".kluis-pass-";

/// A passfile of our own, 0600. It is removed by [`Passfile::remove`] or, if that fails or is not reached, as well as it can be, with this value.
#[derive(Debug)]
pub struct Passfile {
    path: PathBuf,
    removed: bool,
    /// The kernel releases it when we die.
    lock: Option<File>,
}

impl Passfile {
    /// Writes the connection's password to a new file in `folder`. Without a password the file is empty. Those of dead processes are removed first.
    pub fn create(folder: &Path, connection: &Connection) -> Result<Passfile> {
        Passfile::sweep(folder);
        // Another process may have left one of the same name: a name that is in use is passed over.
        for attempt in 0..1000u32 {
            let path = folder.join(format!("{PREFIX}{}-{attempt}", std::process::id()));
            match std::fs::symlink_metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => continue,
            }
            let mut file = create_file(&path)?;
            // A file system without locks makes nobody's sweep remove it either.
            let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
            let mut passfile = Passfile { path, removed: false, lock: None };
            // Somebody's sweep came between the two calls, and is removing it.
            if locked == Err(rustix::io::Errno::WOULDBLOCK) || file.metadata().map_or(0, |metadata| metadata.nlink()) == 0 {
                continue;
            }
            let line = connection.passfile_line().unwrap_or_default();
            file.write_all(&line).map_err(|error| Error::io("write", &passfile.path, error))?;
            passfile.lock = Some(file);
            return Ok(passfile);
        }
        Err(Error::new(Kind::Storage, format!("no free name for a passfile in '{}'", folder.display())))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it. Where it lies among files that stay, an error must not be passed over: there is a password in it.
    pub fn remove(mut self) -> Result<()> {
        // NFS and FUSE rename what is removed while it is open.
        self.lock = None;
        match std::fs::remove_file(&self.path) {
            // Unlocked, it is there for everybody's sweep.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &self.path, error)),
            _ => {
                self.removed = true;
                Ok(())
            }
        }
    }

    /// Removes the passfiles in a folder that killed processes of this user left. What cannot be removed, the next sweep tries again.
    pub fn sweep(folder: &Path) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
                continue;
            }
            let Ok(file) = open_file(&entry.path()) else { continue };
            let ours = file.metadata().is_ok_and(|metadata| metadata.uid() == rustix::process::geteuid().as_raw());
            if ours && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

impl Drop for Passfile {
    fn drop(&mut self) {
        self.lock = None;
        if !self.removed {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::connection::tests::sample;

    #[test]
    fn a_sweep_removes_what_the_dead_left_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let alive = Passfile::create(place.path(), &sample()).unwrap();
        for name in [".kluis-pass-1-0", ".kluis-pass-2-7", "other", ".kluis-pas"] {
            std::fs::write(place.path().join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("other", place.path().join(".kluis-pass-3-0")).unwrap();
        Passfile::sweep(place.path());
        let names = || {
            let mut names: Vec<String> = std::fs::read_dir(place.path()).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let own = alive.path().file_name().unwrap().to_str().unwrap().to_owned();
        let mut expected = vec![".kluis-pas".to_owned(), ".kluis-pass-3-0".to_owned(), own, "other".to_owned()];
        expected.sort();
        assert_eq!(names(), expected);
        alive.remove().unwrap();
        assert_eq!(names().len(), 3);
    }

    #[test]
    fn one_that_cannot_be_removed_is_told() {
        let place = tempfile::tempdir().unwrap();
        let passfile = Passfile::create(place.path(), &sample()).unwrap();
        std::fs::remove_file(passfile.path()).unwrap();
        std::fs::create_dir(passfile.path()).unwrap();
        assert!(passfile.remove().is_err());
    }
}
