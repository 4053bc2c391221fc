//! File operations with the durability and the rights that backups need.
//! It owns "created 0600 before the first byte", "replaced atomically" and "synced"; it leaves what to write to its siblings.
//! Invariant: a name that these functions give to a file refers to complete, synced content (fsync of the file, rename, fsync of the folder).

use crate::error::{Error, Result};
use crate::manifest;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// Makes a folder that only we can enter.
pub fn create_folder(path: &Path) -> Result<()> {
    DirBuilder::new().mode(0o700).create(path).map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let error = Error::io("create the folder", path, error);
        if missing { error.hinted("create the folder that it is to lie in, or mount the volume there") } else { error }
    })
}

/// Makes sure of a folder for temporary files: made if it is missing, and refused if it is another user's, open to others, or a link.
pub fn own_folder(path: &Path) -> Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        // Another process of ours may make it at the same moment.
        Err(error) if error.kind() == io::ErrorKind::NotFound => match create_folder(path) {
            Err(error) => std::fs::symlink_metadata(path).map_err(|_| error)?,
            Ok(()) => return Ok(()),
        },
        found => found.map_err(|error| Error::io("look at", path, error))?,
    };
    // In /tmp anyone may have made it before us, and could then take away or replace what we put there.
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o022 != 0 {
        return Err(Error::new(crate::Kind::Storage, format!("'{}' is not a folder that only this user can write to", path.display()))
            .hinted("remove it, or let BACKUP_SCRATCH_DIR name another folder"));
    }
    Ok(())
}

/// Makes what happened to the names in a folder durable.
pub fn sync_folder(path: &Path) -> Result<()> {
    // Without this a rename may be lost in a power cut although the renamed file was synced (fsync(2), NOTES).
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| Error::io("sync the folder", path, error))
}

/// A new file, 0600 before its first byte, that must not exist yet and is never reached through a link.
pub fn create_file(path: &Path) -> Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600).custom_flags(flags);
    options.open(path).map_err(|error| Error::io("create", path, error))
}

/// Opens a file for reading; a link in its place is refused, and anything else that is no file.
pub fn open_file(path: &Path) -> Result<File> {
    open_and_look(path).map(|(file, _)| file)
}

/// The same, with what there is to know of the file.
pub(super) fn open_and_look(path: &Path) -> Result<(File, Metadata)> {
    // NONBLOCK means nothing to a file, but opening a FIFO would wait for somebody to write into it.
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| Error::io("open", path, error))?;
    let metadata = file.metadata().map_err(|error| Error::io("look at", path, error))?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(Error::new(crate::Kind::Storage, format!("'{}' is not a regular file", path.display()))) }
}

/// Reads a small file whole. Refuses one of more than `limit` bytes: what we wrote is never that large.
pub fn read_small(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let (file, metadata) = open_and_look(path)?;
    let mut bytes = Vec::with_capacity(metadata.len().min(limit) as usize + 1);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| Error::io("read", path, error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(crate::Kind::Storage, format!("'{}' is larger than the {limit} bytes that such a file can have", path.display())));
    }
    Ok(bytes)
}

/// What a small note in JSON says. One that is not there, that cannot be read or that nobody understands says nothing.
pub fn read_note<T: DeserializeOwned>(path: &Path, limit: u64) -> Option<T> {
    read_small(path, limit).ok().and_then(|text| serde_json::from_slice(&text).ok())
}

/// So many bytes that nobody can guess, in hexadecimal. Errors: the machine has no chance to give.
pub fn random(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    openssl::rand::rand_bytes(&mut random).map_err(|error| Error::new(crate::Kind::Failed, "this machine gives no random bytes").because(error))?;
    Ok(hex(&random))
}

/// Puts `bytes` under `path`, whole or not at all, also when a file is there already.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().expect("a file lies in a folder");
    let temporary = folder.join(format!(".{}.new", path.file_name().expect("a file has a name").to_string_lossy()));
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", &temporary, error)),
        _ => {}
    }
    let mut file = create_file(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| Error::io("write", &temporary, error));
    let renamed = written.and_then(|()| std::fs::rename(&temporary, path).map_err(|error| Error::io("rename to", path, error)));
    if renamed.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    renamed?;
    sync_folder(folder)
}

/// The largest file of lines that is copied to be parted from its other names.
const COPIED: u64 = 1 << 30;

/// Adds a line to a file of lines, durably. A line that an earlier crash cut short is ended first. A file that has another name (a hard link) is
/// copied first: that name may be in somebody else's folder, or the file somebody else's.
pub fn append_line(path: &Path, line: &[u8]) -> Result<()> {
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits() as i32;
    let failed = |error| Error::io("append to", path, error);
    let open = || OpenOptions::new().read(true).append(true).create(true).mode(0o600).custom_flags(flags).open(path).map_err(failed);
    let mut file = open()?;
    let mut found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(Error::new(crate::Kind::Storage, format!("'{}' is not a regular file", path.display())));
    }
    if found.nlink() > 1 {
        replace(path, &read_small(path, COPIED)?)?;
        file = open()?;
        found = file.metadata().map_err(failed)?;
    }
    let length = found.len();
    let mut text = Vec::with_capacity(line.len() + 2);
    if length > 0 {
        let mut last = [0];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut last, length - 1).map_err(failed)?;
        if last != *b"\n" {
            text.push(b'\n');
        }
    }
    text.extend_from_slice(line);
    text.push(b'\n');
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
    if length == 0 { sync_folder(path.parent().expect("a file lies in a folder")) } else { Ok(()) }
}

/// The size and the SHA-256 of a file, in hexadecimal. `seen` gets the number of bytes of each piece.
pub fn hash_file(path: &Path, mut seen: impl FnMut(usize) -> Result<()>) -> Result<(u64, String)> {
    let (mut file, mut hash, mut bytes) = (open_file(path)?, Sha256::new(), 0);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((bytes, hex(&hash.finalize()))),
            Ok(length) => {
                hash.update(&buffer[..length]);
                bytes += length as u64;
                seen(length)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", path, error)),
        }
    }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A new file that is hashed and counted while it is written, and that counts only after [`NewFile::finish`].
pub struct NewFile {
    path: PathBuf,
    out: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    flusher: Option<Flusher>,
}

impl NewFile {
    /// Creates the file, which must not exist yet.
    pub fn create(path: &Path) -> Result<NewFile> {
        let file = create_file(path)?;
        Ok(NewFile { path: path.to_owned(), out: BufWriter::with_capacity(64 << 10, file), hash: Sha256::new(), bytes: 0, flusher: None })
    }

    /// Syncs to disk in the background while more is written, so that the last sync is short and dirty pages stay few.
    pub fn flushed_early(mut self) -> Result<NewFile> {
        let file = self.out.get_ref().try_clone().map_err(|error| Error::io("open", &self.path, error))?;
        self.flusher = Some(Flusher::start(file));
        Ok(self)
    }

    /// Syncs the file, and tells its name, size and hash. An early sync that failed fails here.
    pub fn finish(mut self) -> Result<manifest::File> {
        let failed = |error| Error::io("write", &self.path, error);
        self.out.flush().map_err(failed)?;
        if let Some(flusher) = self.flusher.take() {
            flusher.finish().map_err(failed)?;
        }
        self.out.get_ref().sync_all().map_err(failed)?;
        let name = self.path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        Ok(manifest::File { name, bytes: self.bytes, sha256: hex(&self.hash.finalize()) })
    }
}

impl Write for NewFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = self.out.write(buffer)?;
        self.hash.update(&buffer[..length]);
        self.bytes += length as u64;
        if let Some(flusher) = &mut self.flusher {
            flusher.wrote(self.bytes);
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes dirty pages back on a thread of its own.
struct Flusher {
    asked: u64,
    ask: Option<mpsc::SyncSender<()>>,
    thread: Option<std::thread::JoinHandle<io::Result<()>>>,
}

impl Flusher {
    /// How many new bytes are worth a sync.
    const STEP: u64 = 64 << 20;

    fn start(file: File) -> Flusher {
        let (ask, asked) = mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            for () in asked {
                // An error of write-back is told only once (fsync(2)): it must be kept for `finish`.
                file.sync_data()?;
            }
            Ok(())
        });
        Flusher { asked: 0, ask: Some(ask), thread: Some(thread) }
    }

    fn wrote(&mut self, bytes: u64) {
        if bytes - self.asked >= Self::STEP {
            self.asked = bytes;
            // A full channel means that a sync is under way and another one is waiting: enough.
            let _ = self.ask.as_ref().map(|ask| ask.try_send(()));
        }
    }

    fn finish(mut self) -> io::Result<()> {
        self.ask = None;
        match self.thread.take().map(|thread| thread.join()) {
            Some(Ok(result)) => result,
            _ => Err(io::Error::other("the thread that syncs the file failed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Repository;

    #[test]
    fn folders_that_many_make_at_once() {
        let place = tempfile::tempdir().unwrap();
        for round in 0..50 {
            let (scratch, root) = (place.path().join(format!("scratch-{round}")), place.path().join(format!("repository-{round}")));
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| own_folder(&scratch).unwrap_or_else(|error| panic!("{}", error.chain())));
                    scope.spawn(|| {
                        let made = Repository::open_for_writing(&root).and_then(|repository| repository.target("app").create());
                        made.unwrap_or_else(|error| panic!("{}", error.chain()));
                    });
                }
            });
        }
    }

    #[test]
    fn a_fifo_is_no_file_and_nobody_waits_for_it() {
        let place = tempfile::tempdir().unwrap();
        let pipe = place.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(open_file(&pipe).unwrap_err().chain().contains("is not a regular file"));
    }
}
