//! Whether this is the repository that was here before: its id, and what the scratch folder, which lies on another volume, remembers of it.
//! It owns both notes and the comparison; it leaves refusing to whoever was about to begin or to judge.
//! Invariant: a folder that is empty where a repository was is never a beginning by itself; and nothing is refused for what nobody noted.

use super::files::{own_folder, random, read_note, read_small, replace};
use super::reading::unreadable;
use super::{Repository, names};
use crate::error::{Error, Kind, Result};
use crate::manifest::render;
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The file's name in the scratch folder.
const MEMORY: &str = "repositories.json";

/// The most that either note may hold, in bytes.
const LIMIT: u64 = 1 << 20;

/// How many bytes of chance are in an id.
const BYTES: usize = 16;

/// `.repository.json` in the repository.
#[derive(Debug, Serialize, Deserialize)]
struct Identity {
    version: u32,
    /// Chance, in hexadecimal.
    id: String,
    /// When it was given.
    made: Timestamp,
}

/// `repositories.json` in the scratch folder: the id of the repository that was last seen under each path.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    version: u32,
    seen: BTreeMap<String, String>,
}

/// How a repository and what is remembered of it go together.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// It is the one that was here, or nobody has seen one here.
    Known,
    /// It has no id yet, and may get one: this one, where it had one before.
    Nameless(Option<String>),
    /// There was one, and here is none.
    Gone,
    /// There was one, and here is another.
    Other,
    /// It would lie in what goes away with the container.
    Fleeting,
}

impl Repository {
    /// Fails where this is not the repository that was here before. Nothing is written.
    pub fn check_identity(&self, scratch: &Path) -> Result<()> {
        self.refused(&self.find(scratch)?)
    }

    /// The same before something is written, with the id noted on both sides where it is missing. A scratch folder that cannot be written remembers nothing.
    pub fn settle_identity(&self, scratch: &Path) -> Result<()> {
        let found = self.find(scratch)?;
        self.refused(&found)?;
        if let Found::Nameless(before) = found {
            self.name(before)?;
        }
        let _ = self.remember(scratch);
        Ok(())
    }

    /// Takes it for the right one, whatever was here before. Returns whether that was news. Errors: the repository or the scratch folder cannot be written.
    pub fn adopt_identity(&self, scratch: &Path) -> Result<bool> {
        let found = self.find(scratch)?;
        if self.id()?.is_none() {
            self.name(None)?;
        }
        self.remember(scratch)?;
        Ok(!matches!(found, Found::Known | Found::Nameless(_)))
    }

    fn find(&self, scratch: &Path) -> Result<Found> {
        let known = memory(scratch).seen.remove(&self.place());
        Ok(match (self.id()?, known) {
            (Some(id), Some(known)) if id != known => Found::Other,
            (Some(_), _) => Found::Known,
            (None, Some(_)) if self.is_bare()? => Found::Gone,
            (None, None) if self.is_bare()? && self.is_fleeting() => Found::Fleeting,
            (None, known) => Found::Nameless(known),
        })
    }

    fn refused(&self, found: &Found) -> Result<()> {
        let (what, cause) = match found {
            Found::Known | Found::Nameless(_) => return Ok(()),
            Found::Gone => ("is empty, and was a repository before", "look whether its volume is mounted"),
            Found::Other => ("is another repository than the one that was here before", "look whether the right volume is mounted"),
            Found::Fleeting => ("lies in the container itself, and goes away with it", "mount a volume there"),
        };
        Err(Error::new(Kind::Storage, format!("'{}' {what}", self.root.display()))
            .hinted(format!("{cause}: nothing was written and nothing is lost; where this is as it should be: kluis adopt")))
    }

    /// Under which name it is remembered.
    fn place(&self) -> String {
        std::fs::canonicalize(&self.root).unwrap_or_else(|_| self.root.clone()).to_string_lossy().into_owned()
    }

    /// Its id, where it has one that is understood. Errors: the volume does not let us read it.
    pub fn id(&self) -> Result<Option<String>> {
        let path = self.root.join(names::IDENTITY);
        match read_small(&path, LIMIT) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok().map(|identity: Identity| identity.id)),
            Err(error) if unreadable(&error) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Gives it an id. Another process may do so at the same moment: then it is that one's.
    fn name(&self, before: Option<String>) -> Result<()> {
        let folder = File::open(&self.root).map_err(|error| Error::io("open", &self.root, error))?;
        flock(&folder, FlockOperation::LockExclusive).map_err(|error| Error::io("lock", &self.root, error.into()))?;
        if self.id()?.is_some() {
            return Ok(());
        }
        let id = before.map_or_else(|| random(BYTES), Ok)?;
        replace(&self.root.join(names::IDENTITY), &render(&Identity { version: 1, id, made: Timestamp::now() }))
    }

    fn remember(&self, scratch: &Path) -> Result<()> {
        let Some(id) = self.id()? else { return Ok(()) };
        let (mut memory, place) = (memory(scratch), self.place());
        // What goes away with the repository remembers nothing of it.
        let within = std::fs::canonicalize(scratch).is_ok_and(|scratch| Path::new(&place).starts_with(scratch));
        if within || memory.seen.get(&place) == Some(&id) {
            return Ok(());
        }
        own_folder(scratch)?;
        memory.version = 1;
        memory.seen.insert(place, id);
        replace(&scratch.join(MEMORY), &render(&memory))
    }

    /// Whether it holds no backup.
    fn is_bare(&self) -> Result<bool> {
        for target in self.targets()? {
            if target.count()? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether we are what a container was made for, and the folder lies in the container's own layer: on the file system of its root.
    fn is_fleeting(&self) -> bool {
        let first = [rustix::process::getpid(), rustix::process::getppid().unwrap_or(rustix::process::getpid())].contains(&rustix::process::Pid::INIT);
        let contained = ["/.dockerenv", "/run/.containerenv", "/run/secrets/kubernetes.io"].iter().any(|path| Path::new(path).exists());
        let device = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.dev()).ok();
        first && contained && device(&self.root).is_some_and(|own| Some(own) == device(Path::new("/")))
    }
}

/// What is remembered. A note that is not there, or not understood, remembers nothing.
fn memory(scratch: &Path) -> Memory {
    read_note(&scratch.join(MEMORY), LIMIT).filter(|memory: &Memory| memory.version == 1).unwrap_or_default()
}
