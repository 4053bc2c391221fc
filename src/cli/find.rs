//! Finding the backup that an ID means: in one target, in all of them, or in a folder of its own.
//! It owns the search; it leaves reading to `repository`.
//! Invariant: an ID that could mean two backups means none.

use super::Context;
use super::text::count;
use crate::config::RepositoryConfig;
use crate::error::{Error, Kind, Result};
use crate::repository::list::{Backup, Listing};
use crate::repository::{Repository, TargetFolder, names};
use serde::Serialize;
use std::path::Path;

/// A backup, and the target that it belongs to. One that was copied elsewhere belongs to none.
pub struct Found {
    /// The target.
    pub target: Option<TargetFolder>,
    /// The backup.
    pub backup: Backup,
}

/// The targets that a command is about: the chosen one, or all that the repository holds.
pub fn targets(config: &RepositoryConfig, repository: &Repository) -> Result<Vec<TargetFolder>> {
    match &config.target {
        Some(name) => Ok(vec![repository.target(name)]),
        None => repository.targets(),
    }
}

/// A folder of a target that the configuration does not name.
#[derive(Debug, Clone, Serialize)]
pub struct Stray {
    /// Its name.
    pub target: String,
    /// How many backups it holds.
    pub backups: u64,
}

impl Stray {
    /// What to tell of it, and what can be done.
    pub fn told(&self) -> (String, String) {
        let Stray { target, backups } = self;
        (
            format!("'{target}' holds {}, and no target of this configuration has that name", count(*backups, "backup")),
            "where a target was renamed, rename its folder too, while nothing runs; nothing is backed up into it or deleted from it meanwhile".to_owned(),
        )
    }
}

/// The same for a command that may have been told by a flag which target it is about: then the others are of no matter.
pub fn strays_unless_told(context: &Context, config: &RepositoryConfig, repository: &Repository) -> Result<Vec<Stray>> {
    if context.flags.target.is_some() { Ok(Vec::new()) } else { strays(repository, config.named()) }
}

/// The targets with backups that the configuration, if it names any, does not name.
pub fn strays<'a>(repository: &Repository, named: impl Iterator<Item = &'a str> + Clone) -> Result<Vec<Stray>> {
    let mut strays = Vec::new();
    for folder in repository.targets()? {
        if named.clone().next().is_some() && named.clone().all(|name| *name != folder.name) {
            strays.push(Stray { backups: folder.count()?, target: folder.name });
        }
    }
    strays.retain(|stray| stray.backups > 0);
    Ok(strays)
}

/// The backup that `word` means, in the repository.
pub fn in_repository(config: &RepositoryConfig, word: &str) -> Result<Found> {
    let repository = Repository::open(&config.common.dir)?;
    let folders = targets(config, &repository)?;
    if let [only] = folders.as_slice() {
        let backup = Listing::read(only)?.find(word, &only.name)?.clone();
        return Ok(Found { target: Some(only.clone()), backup });
    }
    let (mut matching, mut unreliable): (Vec<(TargetFolder, Backup)>, Vec<String>) = (Vec::new(), Vec::new());
    for folder in folders {
        let listing = Listing::read(&folder)?;
        unreliable.extend(listing.unreliable().filter(|_| word == names::LATEST).map(|what| format!("target '{}' has {what}", folder.name)));
        let fits = |backup: &&Backup| backup.id.starts_with(word) || word == names::LATEST && listing.latest().is_some_and(|latest| latest.id == backup.id);
        matching.extend(listing.backups.iter().filter(fits).map(|backup| (folder.clone(), backup.clone())));
    }
    if matching.iter().any(|(_, backup)| backup.id == word) {
        matching.retain(|(_, backup)| backup.id == word);
    }
    match matching.len() {
        0 if !unreliable.is_empty() => {
            Err(Error::new(Kind::Verification, unreliable.join("; and ")).hinted("say --target for what can be done; kluis list shows what there is"))
        }
        0 => {
            Err(Error::new(Kind::Failed, format!("no target in '{}' has a backup '{word}'", config.common.dir.display()))
                .hinted("kluis list shows what there is"))
        }
        1 => {
            let (target, backup) = matching.remove(0);
            Ok(Found { target: Some(target), backup })
        }
        _ => {
            let mut names: Vec<String> = matching.iter().map(|(target, backup)| format!("'{}' of {}", backup.id, target.name)).collect();
            names.truncate(5);
            Err(Error::new(Kind::Usage, format!("'{word}' could be {}", names.join(" or "))).hinted("say --target, or more of the name"))
        }
    }
}

/// The backup that `word` means: a folder where it looks like a path, else one of the repository's.
pub fn anywhere(config: &RepositoryConfig, word: &str) -> Result<Found> {
    let path = Path::new(word);
    let is_path = word.contains('/') || word == "." || word == ".." || path.join(names::MANIFEST).is_file();
    if !is_path {
        return in_repository(config, word);
    }
    // Canonical, because the folder's name is the backup's: '.' is no name.
    let path = path.canonicalize().map_err(|error| Error::io("open", path, error))?;
    Ok(Found { target: None, backup: Backup::read(path) })
}
