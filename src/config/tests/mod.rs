//! Tables of cases, precise messages included. The whole machine is a [`Fake`].

mod connections;
mod environment;
mod files;
mod properties;
mod repository;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::source::Stat;
use super::*;

/// A machine in memory.
#[derive(Clone, Default)]
pub(super) struct Fake {
    pub vars: BTreeMap<OsString, OsString>,
    /// Path, mode and content; `None`: a folder.
    pub files: BTreeMap<PathBuf, (u32, Option<Vec<u8>>)>,
    pub flags: Flags,
}

impl Fake {
    /// A machine with these variables.
    pub fn new(vars: &[(&str, &str)]) -> Fake {
        Fake::default().vars(vars)
    }

    /// A machine whose environment names a database in full.
    pub fn complete(vars: &[(&str, &str)]) -> Fake {
        Fake::new(&[("DB_HOST", "db"), ("DB_DATABASE", "app"), ("DB_USERNAME", "kluis"), ("DB_PASSWORD", "hunter2")]).vars(vars)
    }

    pub fn vars(mut self, vars: &[(&str, &str)]) -> Fake {
        self.vars.extend(vars.iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    pub fn file(mut self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> Fake {
        self.files.insert(path.into(), (mode, Some(content.as_ref().to_vec())));
        self
    }

    pub fn folder(mut self, path: &str) -> Fake {
        self.files.insert(path.into(), (0o755, None));
        self
    }

    /// With this `kluis.toml`.
    pub fn toml(self, content: &str) -> Fake {
        self.file("/etc/kluis/kluis.toml", 0o600, content)
    }

    pub fn target(mut self, name: &str) -> Fake {
        self.flags.target = Some(name.into());
        self
    }

    pub fn load(&self) -> Result<Config, Problems> {
        load(&self.flags, self)
    }

    /// The configuration, which has to be right.
    #[track_caller]
    pub fn config(&self) -> Config {
        self.load().unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// Its one target.
    #[track_caller]
    pub fn only(&self) -> Target {
        let mut targets = self.config().targets;
        assert_eq!(targets.len(), 1);
        targets.remove(0)
    }

    /// What `kluis config` shows for a key: value and origin.
    #[track_caller]
    pub fn shown(&self, key: &str) -> (String, String) {
        let config = self.config();
        let rows: Vec<_> = config.render().iter().filter(|row| row.key == key).collect();
        assert_eq!(rows.len(), 1, "{rows:?}");
        (rows[0].value.clone(), rows[0].origin.to_string())
    }

    /// Exactly these problems, one a line, hints included.
    #[track_caller]
    pub fn fails(&self, expected: &[&str]) {
        match self.load() {
            Ok(config) => panic!("no problem found in {:?}", config.render()),
            Err(problems) => assert_eq!(problems.to_string(), expected.join("\n")),
        }
    }
}

impl Source for Fake {
    fn user(&self) -> u32 {
        999
    }

    fn var(&self, name: &str) -> Option<OsString> {
        self.vars.get(OsStr::new(name)).cloned()
    }
    fn names(&self) -> Vec<OsString> {
        self.vars.keys().cloned().collect()
    }
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.files.get(path) {
            None => Err(io::ErrorKind::NotFound.into()),
            Some((_, None)) => Err(io::ErrorKind::IsADirectory.into()),
            Some((0, _)) => Err(io::ErrorKind::PermissionDenied.into()),
            Some((_, Some(content))) => Ok(content.clone()),
        }
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.files.get(path).map(|(mode, content)| Stat { mode: *mode, folder: content.is_none(), owner: 0 }).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn current_dir(&self) -> io::Result<PathBuf> {
        Ok("/srv".into())
    }
    fn cores(&self) -> usize {
        4
    }
}
