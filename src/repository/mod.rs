//! The repository: the folder tree of all backups. The only code of the engine that changes files that matter.
//! It owns names, staging, publishing, locking, listing, history and deleting; it leaves what is in a script to `script`.
//! Invariant: a backup appears under its name only complete and synced; the order of durable writes is written down where it happens.

pub mod accepted;
pub mod files;
pub mod history;
mod identity;
pub mod intent;
pub mod list;
pub mod lock;
pub mod logfile;
pub mod names;
pub mod notebook;
pub mod progress;
mod reading;
mod sign;
pub mod source;
pub mod staging;

use crate::error::{Error, Kind, Result};
use files::{create_folder, sync_folder};
use rustix::fs::Access;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The folder of all backups.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
}

/// The folder of one target's backups.
#[derive(Debug, Clone)]
pub struct TargetFolder {
    /// The target's name.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
}

impl Repository {
    /// The repository in `root`, for reading: it must be a folder, and not a link to one.
    pub fn open(root: &Path) -> Result<Repository> {
        check_folder(root, "BACKUP_DIR")?;
        Ok(Repository { root: root.to_owned() })
    }

    /// The repository in `root`, for writing. It is created when only its last part is missing.
    pub fn open_for_writing(root: &Path) -> Result<Repository> {
        if let Err(error) = std::fs::symlink_metadata(root)
            && error.kind() == io::ErrorKind::NotFound
        {
            make(root)?;
        }
        let repository = Repository::open(root)?;
        repository.check_writable()?;
        Ok(repository)
    }

    /// Fails where a run would not be able to write, without writing.
    pub fn check_writable(&self) -> Result<()> {
        check_ours(&self.root)?;
        rustix::fs::access(&self.root, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| Error::io("write to", &self.root, error.into()))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a target, which may not be there yet.
    pub fn target(&self, name: &str) -> TargetFolder {
        TargetFolder { name: name.to_owned(), path: self.root.join(name) }
    }

    /// Every target that has a folder, by name.
    pub fn targets(&self) -> Result<Vec<TargetFolder>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(|error| Error::io("read", &self.root, error))? {
            let entry = entry.map_err(|error| Error::io("read", &self.root, error))?;
            let kind = entry.file_type().map_err(|error| Error::io("look at", &entry.path(), error))?;
            if let Some(name) = entry.file_name().to_str()
                && kind.is_dir()
                && names::is_target(name)
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names.iter().map(|name| self.target(name)).collect())
    }

    /// Bytes that an unprivileged user can still write on this volume.
    pub fn free_bytes(&self) -> Result<u64> {
        self.room().map(|(free, _)| free)
    }

    /// Bytes that an unprivileged user can still write on this volume, and its size in bytes.
    pub fn room(&self) -> Result<(u64, u64)> {
        let stat = rustix::fs::statvfs(&self.root).map_err(|error| Error::io("look at the file system of", &self.root, error.into()))?;
        Ok((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize)))
    }
}

impl TargetFolder {
    /// How many backups it holds, by their names alone.
    pub fn count(&self) -> Result<u64> {
        let failed = |error| Error::io("read", &self.path, error);
        let mut count = 0;
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            count += u64::from(entry.map_err(failed)?.file_name().to_str().is_some_and(|name| names::parse_backup_id(name).is_some()));
        }
        Ok(count)
    }

    /// Whether the folder is there.
    pub fn exists(&self) -> Result<bool> {
        match std::fs::symlink_metadata(&self.path) {
            Ok(_) => check_folder(&self.path, "the target's folder").map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("look at", &self.path, error)),
        }
    }

    /// Fails where a run would not be able to write into the folder, which is there, without writing.
    pub fn check_writable(&self) -> Result<()> {
        check_ours(&self.path)?;
        rustix::fs::access(&self.path, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| Error::io("write to", &self.path, error.into()))
    }

    /// Makes the folder if it is not there yet, and checks that it is ours.
    pub fn create(&self) -> Result<()> {
        if !self.exists()? {
            make(&self.path)?;
            self.exists()?;
        }
        check_ours(&self.path)
    }
}

/// Makes a folder, durably. Another run may make it at the same moment: then it is looked at like any that was there.
fn make(path: &Path) -> Result<()> {
    match create_folder(path) {
        Err(error) if std::fs::symlink_metadata(path).is_err() => Err(error),
        _ => sync_folder(path.parent().unwrap_or(path)),
    }
}

fn check_folder(path: &Path, what: &str) -> Result<()> {
    let metadata = std::fs::symlink_metadata(path).map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let error = Error::io("open", path, error);
        if missing { error.hinted("create the folder, or mount the volume there; BACKUP_DIR names it") } else { error }
    })?;
    if metadata.is_symlink() {
        return Err(Error::new(Kind::Storage, format!("'{}' is a symbolic link", path.display()))
            .hinted(format!("{what} must be a real folder, so that backups cannot be led elsewhere: give the link's target instead")));
    }
    if !metadata.is_dir() {
        return Err(Error::new(Kind::Storage, format!("'{}' is not a folder", path.display())).hinted(format!("{what} must be a folder")));
    }
    Ok(())
}

/// A folder that others may write to is no safe place: they could put links or backups of their own into it.
fn check_ours(path: &Path) -> Result<()> {
    let metadata = std::fs::symlink_metadata(path).map_err(|error| Error::io("look at", path, error))?;
    let (me, mode) = (rustix::process::geteuid().as_raw(), metadata.mode());
    if metadata.uid() != me && me != 0 {
        return Err(Error::new(Kind::Storage, format!("'{}' belongs to user {}, and kluis runs as user {me}", path.display(), metadata.uid()))
            .hinted(format!("chown {me} '{}'", path.display())));
    }
    if mode & 0o002 != 0 {
        return Err(
            Error::new(Kind::Storage, format!("'{}' can be written to by every user", path.display())).hinted(format!("chmod o-w '{}'", path.display()))
        );
    }
    Ok(())
}
