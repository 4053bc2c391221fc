//! Where settings come from: the process's environment and the few files that settings name.
//! It owns the one door to both ([`Source`]) and leaves every meaning to its callers.
//! Nothing else in Kluis reads the environment, so a test can stand in for the whole machine.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The most that a file named by a setting may hold: secrets and `kluis.toml` are small, `/dev/zero` is not.
pub const FILE_LIMIT: u64 = 1 << 20;

/// What a setting may need to know about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The permission bits, as in `chmod`.
    pub mode: u32,
    /// Whether it is a folder.
    pub folder: bool,
    /// The number of the user that it belongs to.
    pub owner: u32,
}

/// The outside world, as far as settings need it.
pub trait Source {
    /// The variable's value; `None` when it is not set.
    fn var(&self, name: &str) -> Option<OsString>;
    /// The names of all variables there are.
    fn names(&self) -> Vec<OsString>;
    /// A file's bytes; an error of kind [`io::ErrorKind::FileTooLarge`] past [`FILE_LIMIT`].
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// What a path is, symbolic links followed.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// The working directory: what a relative path starts from.
    fn current_dir(&self) -> io::Result<PathBuf>;
    /// How many cores this process may use.
    fn cores(&self) -> usize;
    /// The number of the user that it runs as.
    fn user(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }
}

/// The real process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Process;

impl Source for Process {
    fn var(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn names(&self) -> Vec<OsString> {
        std::env::vars_os().map(|(name, _)| name).collect()
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(FILE_LIMIT + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_LIMIT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let meta = std::fs::metadata(path)?;
        Ok(Stat { mode: meta.permissions().mode() & 0o7777, folder: meta.is_dir(), owner: meta.uid() })
    }

    fn current_dir(&self) -> io::Result<PathBuf> {
        std::env::current_dir()
    }

    fn cores(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_machine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let file = std::fs::File::create(&path).unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(Process.stat(&path).unwrap(), Stat { mode: 0o640, folder: false, owner: Process.user() });
        assert!(Process.stat(folder.path()).unwrap().folder);
        assert_eq!(Process.stat(&path.join("x")).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        for (length, fits) in [(0, true), (FILE_LIMIT, true), (FILE_LIMIT + 1, false)] {
            file.set_len(length).unwrap();
            let read = Process.read_file(&path);
            assert_eq!(read.as_ref().map(|bytes| bytes.len() as u64).ok(), fits.then_some(length));
            assert!(fits || read.unwrap_err().kind() == io::ErrorKind::FileTooLarge);
        }
        assert_eq!(Process.read_file(Path::new("/dev/zero")).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(Process.cores() >= 1 && Process.current_dir().unwrap().is_absolute());
        // Cargo sets this one for every test.
        assert!(Process.var("CARGO_MANIFEST_DIR").is_some() && Process.names().iter().any(|name| name == "CARGO_MANIFEST_DIR"));
        assert_eq!(Process.var("KLUIS_NEVER_SET"), None);
    }
}
