//! The folder of a throwaway server: made, marked as in use, removed, and swept where its process died.
//! It owns names, rights and the mark; it leaves processes and shared memory to `leftovers`.
//! Invariant: only a folder whose `flock` nobody holds is swept. The kernel releases the lock with the process, however that ended (flock(2)).
//!
//! As root the folder is root's, so that the server's user can neither move it nor take its mark; only `data` in it belongs to that user.

use super::PORT;
use super::account::Account;
use super::leftovers;
use crate::error::{Error, Kind, Result};
use crate::postgres::child::Passfile;
use crate::repository::files::random;
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, Metadata, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// The beginning of such a folder's name; the process's number and a random one follow.
const PREFIX: &str = "kluis-throwaway-";

/// The longest path of a Unix socket: `sun_path` has 108 bytes and ends with a zero (unix(7)).
const SOCKET_LIMIT: usize = 107;

/// The folder, in use while this lives.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    data: PathBuf,
    _mark: File,
    removed: bool,
}

impl Folder {
    /// Makes one in `scratch`, with an empty data folder that belongs to `account`, or to ourselves.
    pub fn create(scratch: &Path, account: Option<&Account>) -> Result<Folder> {
        let scratch = prepare(scratch, account)?;
        // The server's user has to get through to its data folder, and no further: names in here cannot be listed with mode 0711.
        let mode = if account.is_some() { 0o711 } else { 0o700 };
        for _ in 0..100 {
            let path = scratch.join(format!("{PREFIX}{}-{}", std::process::id(), random(4)?));
            match DirBuilder::new().mode(mode).create(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                made => made.map_err(|error| named(Error::io("create the folder", &path, error)))?,
            }
            let Some(mark) = mark(&path)? else { continue };
            // From here on the folder goes with the value.
            let folder = Folder { data: path.join("data"), path, _mark: mark, removed: false };
            DirBuilder::new().mode(0o700).create(&folder.data).map_err(|error| Error::io("create the folder", &folder.data, error))?;
            // Both were made less what the umask takes away.
            set_mode(&folder.path, mode)?;
            if let Some(account) = account {
                chown(&folder.data, Some(account.user), Some(account.group)).map_err(|error| Error::io("give away", &folder.data, error))?;
            }
            return Ok(folder);
        }
        Err(Error::new(Kind::Storage, format!("no free name for a folder in '{}'", scratch.display())))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The data folder in it.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Removes it, with whatever still runs in it.
    pub fn remove(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.removed, true) { Ok(()) } else { remove(&self.path) }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}

/// Whether a server's folder can be made in `scratch`: it is made and removed. Returns the bytes that are free there.
pub fn try_folder(scratch: &Path) -> Result<u64> {
    let mut folder = Folder::create(scratch, Account::choose()?.as_ref())?;
    let room = rustix::fs::statvfs(folder.path()).map_err(|error| Error::io("look at the file system of", scratch, error.into()))?;
    folder.remove()?;
    Ok(room.f_bavail.saturating_mul(room.f_frsize))
}

/// Removes what throwaway servers of dead processes left in `scratch`: processes, shared memory, folders. Returns the names of the folders.
///
/// Those that are in use, and those of other users, are passed over. One that cannot be removed does not keep the others: the error comes last.
pub fn sweep(scratch: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(scratch) {
        // One that we may not read holds nothing of ours; whether it can serve, the start finds out.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => return Ok(Vec::new()),
        entries => entries.map_err(|error| named(Error::io("read", scratch, error)))?,
    };
    // Working folders of processes have no links in them, so neither must this path.
    let scratch = std::fs::canonicalize(scratch).map_err(|error| Error::io("look at", scratch, error))?;
    Passfile::sweep(&scratch);
    let (mut swept, mut failed) = (Vec::new(), None);
    for entry in entries {
        let name = entry.map_err(|error| Error::io("read", &scratch, error))?.file_name();
        let path = scratch.join(&name);
        let ours = |metadata: Metadata| metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw();
        if !name.to_string_lossy().starts_with(PREFIX) || !std::fs::symlink_metadata(&path).is_ok_and(ours) {
            continue;
        }
        match mark(&path).and_then(|mark| mark.map(|_mark| remove(&path)).transpose()) {
            Ok(Some(())) => swept.push(name.to_string_lossy().into_owned()),
            Ok(None) => {}
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(swept), Err)
}

/// Marks a folder as in use. Nothing where another process has marked it, or a sweep has just taken it away.
fn mark(path: &Path) -> Result<Option<File>> {
    let folder = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        folder => folder.map_err(|error| Error::io("open", path, error))?,
    };
    match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        locked => locked.map_err(|error| Error::io("lock", path, error.into()))?,
    }
    let same = |there: Metadata| folder.metadata().is_ok_and(|ours| (ours.dev(), ours.ino()) == (there.dev(), there.ino()));
    Ok(std::fs::symlink_metadata(path).is_ok_and(same).then_some(folder))
}

fn remove(path: &Path) -> Result<()> {
    let data = path.join("data");
    if !leftovers::end_processes(&data, leftovers::GENTLY) {
        return Err(Error::new(Kind::Failed, format!("a process of the throwaway server in '{}' cannot be ended", path.display())));
    }
    // A segment of 56 bytes that cannot be removed must not keep gigabytes of files.
    let segment = leftovers::remove_segment(&data);
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path, error)),
        _ => segment,
    }
}

/// Makes the scratch folder if need be, and finds out whether it can serve. Returns its path without links.
fn prepare(scratch: &Path, account: Option<&Account>) -> Result<PathBuf> {
    check_text(scratch)?;
    let mode = if account.is_some() { 0o711 } else { 0o700 };
    match DirBuilder::new().mode(mode).create(scratch) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(named(Error::io("create the folder", scratch, error))),
        _ => {}
    }
    let path = std::fs::canonicalize(scratch).map_err(|error| named(Error::io("look at", scratch, error)))?;
    let metadata = std::fs::metadata(&path).map_err(|error| named(Error::io("look at", &path, error)))?;
    if !metadata.is_dir() {
        return Err(refused(&path, "it is not a folder"));
    }
    // Whoever can rename our folder can put another server in its place, and get the backup that is restored into it.
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(refused(&path, &format!("it belongs to user {}, and kluis runs as user {me}", metadata.uid())));
    }
    if metadata.mode() & 0o022 != 0 && metadata.mode() & 0o1000 == 0 {
        return Err(refused(&path, "others can write to it"));
    }
    if account.is_some() && metadata.mode() & 0o001 == 0 && metadata.uid() == me {
        // Another command has made it for files of its own, which have mode 0600.
        set_mode(&path, metadata.mode() & 0o7777 | 0o111)?;
    }
    check_text(&path)?;
    Ok(path)
}

/// Fails where the path of the socket would be one that cannot be connected to.
fn check_text(path: &Path) -> Result<()> {
    // The list of hosts in PGHOST is divided by commas.
    let text = path.to_str().filter(|text| !text.contains(',')).ok_or_else(|| refused(path, "its path has a comma, or is not UTF-8"))?;
    // A process's number has at most seven digits (proc(5), pid_max).
    let limit = SOCKET_LIMIT - format!("/{PREFIX}1234567-12345678/data/.s.PGSQL.{PORT}").len();
    if text.len() > limit {
        return Err(refused(path, &format!("its path has {} bytes, and with more than {limit} the path of the server's socket is too long", text.len())));
    }
    Ok(())
}

fn refused(path: &Path, why: &str) -> Error {
    named(Error::new(Kind::Storage, format!("'{}' cannot hold a throwaway server: {why}", path.display())))
}

fn named(error: Error) -> Error {
    error.hinted("BACKUP_SCRATCH_DIR names the folder for throwaway servers: a short path, a folder of kluis's own")
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|error| Error::io("set the mode of", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_stays_and_what_is_not_goes() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::create(scratch.path(), None).unwrap();
        let dead = scratch.path().join(format!("{PREFIX}1-dead"));
        std::fs::create_dir_all(dead.join("data/base")).unwrap();
        std::fs::write(dead.join("data/base/1"), "x").unwrap();
        for foreign in ["kluis-other", "readme"] {
            std::fs::create_dir(scratch.path().join(foreign)).unwrap();
        }
        assert_eq!(sweep(scratch.path()).unwrap(), [format!("{PREFIX}1-dead")]);
        assert!(folder.data().is_dir() && !dead.exists() && scratch.path().join("kluis-other").exists());
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
        assert!(sweep(scratch.path()).unwrap().is_empty());
        assert!(sweep(&scratch.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn a_scratch_folder_that_is_not_safe_or_too_long_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        #[track_caller]
        fn check(path: &Path, expected: &str) {
            let error = Folder::create(path, None).unwrap_err();
            assert!(error.to_string().contains(expected) && error.hint().unwrap().contains("BACKUP_SCRATCH_DIR"), "{error:?}");
        }
        check(&scratch.path().join("a/b"), "cannot create the folder");
        check(&scratch.path().join("x".repeat(60)), "too long");
        assert!(!scratch.path().join("x".repeat(60)).exists());
        check(&scratch.path().join("a,b"), "comma");
        std::fs::write(scratch.path().join("file"), "").unwrap();
        check(&scratch.path().join("file"), "not a folder");
        set_mode(scratch.path(), 0o777).unwrap();
        check(scratch.path(), "others can write to it");
        set_mode(scratch.path(), 0o1777).unwrap();
        drop(Folder::create(scratch.path(), None).unwrap());
    }
}
