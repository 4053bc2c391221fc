//! A run in progress: a folder under a name that nobody takes for a backup, renamed once when all is synced.
//! It owns staging, sealing, publishing, pruning's two phases and the sweep; it leaves what goes into the files to the engine.
//! Invariant, in this order: files synced → SHA256SUMS synced → staging folder synced → rename → parent synced. Only the rename commits.

use super::files::{NewFile, create_folder, replace, sync_folder};
use super::lock::Lock;
use super::{TargetFolder, names};
use crate::error::{Error, Kind, Result};
use crate::manifest;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A backup that is being made. Dropped, it removes itself.
#[derive(Debug)]
pub struct Staging {
    target: TargetFolder,
    id: String,
    path: PathBuf,
    published: bool,
}

impl Staging {
    /// An empty staging folder for the backup `id`. The lock shows that nobody else is at work here.
    pub fn create(target: &TargetFolder, id: &str, _lock: &Lock) -> Result<Staging> {
        let path = target.path.join(format!("{}{id}", names::STAGING));
        create_folder(&path)?;
        Ok(Staging { target: target.clone(), id: id.to_owned(), path, published: false })
    }

    /// The folder, for children that write into it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new file in it.
    pub fn file(&self, name: &str) -> Result<NewFile> {
        NewFile::create(&self.path.join(name))
    }

    /// A new small file in it, synced.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<manifest::File> {
        let mut file = self.file(name)?;
        file.write_all(bytes).map_err(|error| Error::io("write", &self.path.join(name), error))?;
        file.finish()
    }

    /// Removes a file that was needed only on the way.
    pub fn discard(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        std::fs::remove_file(&path).map_err(|error| Error::io("remove", &path, error))
    }

    /// Writes SHA256SUMS over `files` and makes the folder durable. After this the backup lacks only its name.
    pub fn seal(&self, files: &[manifest::File]) -> Result<()> {
        self.write(names::SUMS, sums(files).as_bytes())?;
        sync_folder(&self.path)
    }

    /// Gives the backup its name. Returns its folder.
    pub fn publish(mut self) -> Result<PathBuf> {
        let path = self.target.path.join(&self.id);
        // rename(2) would replace an empty folder: never take a name that is in use.
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("look at", &path, error)),
            Ok(_) => {
                return Err(Error::new(Kind::Storage, format!("'{}' exists already", path.display())).hinted("look who put it there; nothing was overwritten"));
            }
        }
        std::fs::rename(&self.path, &path).map_err(|error| Error::io("publish", &path, error))?;
        self.published = true;
        sync_folder(&self.target.path)?;
        Ok(path)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed now, the next run's sweep removes.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// SHA256SUMS over these files, in sha256sum's own format.
pub fn sums(files: &[manifest::File]) -> String {
    files.iter().map(|file| format!("{}  {}\n", file.sha256, file.name)).collect()
}

/// Deletes a backup in two phases: a crash in between leaves `.deleting-…`, which is no backup and which the next sweep removes.
pub fn delete(target: &TargetFolder, id: &str, _lock: &Lock) -> Result<()> {
    let (path, doomed) = (target.path.join(id), target.path.join(format!("{}{id}", names::DELETING)));
    if names::parse_backup_id(id).is_none() {
        return Err(Error::new(Kind::Failed, format!("'{id}' is not a backup's name")));
    }
    if doomed.exists() {
        remove_tree(&doomed)?;
    }
    std::fs::rename(&path, &doomed).map_err(|error| Error::io("delete", &path, error))?;
    sync_folder(&target.path)?;
    remove_tree(&doomed)?;
    sync_folder(&target.path)
}

/// Removes what runs that died have left: `.staging-…` and `.deleting-…`. Returns the names removed.
pub fn sweep(target: &TargetFolder, _lock: &Lock) -> Result<Vec<String>> {
    let mut swept = Vec::new();
    for entry in std::fs::read_dir(&target.path).map_err(|error| Error::io("read", &target.path, error))? {
        let entry = entry.map_err(|error| Error::io("read", &target.path, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = [names::STAGING, names::DELETING].iter().any(|prefix| name.strip_prefix(prefix).is_some_and(|id| names::parse_backup_id(id).is_some()));
        let folder = entry.file_type().map_err(|error| Error::io("look at", &entry.path(), error))?.is_dir();
        if ours && folder {
            remove_tree(&entry.path())?;
            swept.push(name);
        }
    }
    Ok(swept)
}

fn remove_tree(path: &Path) -> Result<()> {
    // The standard library's walk does not follow links (it uses openat and unlinkat).
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
        _ => Ok(()),
    }
}

/// Points `latest` at the backup `id`, or removes it where there is none. Something else in its place is left alone, with an error.
pub fn point_latest(target: &TargetFolder, id: Option<&str>, _lock: &Lock) -> Result<()> {
    let (link, temporary) = (target.path.join(names::LATEST), target.path.join(".latest.new"));
    match std::fs::symlink_metadata(&link) {
        Ok(metadata) if !metadata.is_symlink() => {
            return Err(
                Error::new(Kind::Storage, format!("'{}' is not a link", link.display())).hinted("move it away: kluis keeps a link to the newest backup there")
            );
        }
        Ok(_) if std::fs::read_link(&link).ok().as_deref().and_then(Path::to_str) == id => return Ok(()),
        Ok(_) if id.is_none() => {
            return std::fs::remove_file(&link).map_err(|error| Error::io("remove", &link, error)).and_then(|()| sync_folder(&target.path));
        }
        _ => {}
    }
    let Some(id) = id else { return Ok(()) };
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", &temporary, error)),
        _ => {}
    }
    std::os::unix::fs::symlink(id, &temporary).map_err(|error| Error::io("create the link", &temporary, error))?;
    std::fs::rename(&temporary, &link).map_err(|error| Error::io("replace", &link, error))?;
    sync_folder(&target.path)
}

/// Replaces a file beside a published backup's sealed ones (`proof.json`, `RESTORE.md`, a pin).
pub fn annotate(target: &TargetFolder, id: &str, name: &str, bytes: &[u8], _lock: &Lock) -> Result<()> {
    replace(&target.path.join(id).join(name), bytes)
}

/// Removes such a file; one that is not there is fine.
pub fn remove_annotation(target: &TargetFolder, id: &str, name: &str, _lock: &Lock) -> Result<()> {
    let folder = target.path.join(id);
    match std::fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("remove", &folder.join(name), error)),
        Ok(()) => sync_folder(&folder),
    }
}
