//! What is in a target's folder: backups with manifest, proof and pin; leftovers; and things that are not ours.
//! It owns reading; it leaves judging to `retention`, `verify` and the commands.
//! Invariant: an error while reading is an error, never a shorter list: a prune must not see fewer backups than there are.

use super::files::read_small;
use super::lock::Lock;
use super::reading::{self, missing, unreadable};
use super::{TargetFolder, names, staging};
use crate::error::{Error, Kind, Result};
use crate::exception::Exceptions;
use crate::manifest::{BY_DRILL, Condensed, Manifest, Proof, Summary, TableInShort, Verdict};
use crate::units::{cut, format_count};
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::OnceLock;

/// One backup.
#[derive(Debug, Clone)]
pub struct Backup {
    /// Its name.
    pub id: String,
    /// Its folder.
    pub path: PathBuf,
    /// What it holds, in short, or why that cannot be told.
    pub manifest: Result<Summary, String>,
    /// How far it has been proven: nothing where there was no proof yet.
    pub proof: Result<Option<Proof>, String>,
    /// Whether retention must keep it.
    pub pinned: bool,
    /// All that it holds, once somebody asked.
    whole: OnceLock<Manifest>,
    /// What a note of would spare the next who lists it.
    condensed: Option<Box<Condensed>>,
}

impl Backup {
    /// When it was made: from its manifest, or from its name where the manifest does not tell.
    pub fn at(&self) -> Timestamp {
        match &self.manifest {
            Ok(manifest) => manifest.started,
            Err(_) => names::parse_backup_id(&self.id).unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }

    /// What it holds, in short, or the error that says why that cannot be told.
    pub fn understood(&self) -> Result<&Summary> {
        self.manifest.as_ref().map_err(|why| self.unusable(why))
    }

    /// All that it holds, which may be much: it is read when somebody asks, and kept as long as the backup is. The error is of the kind
    /// [`Kind::Verification`] where the backup is damaged, and another one where the volume is.
    pub fn whole(&self) -> Result<&Manifest> {
        if let Some(manifest) = self.whole.get() {
            return Ok(manifest);
        }
        let manifest = reading::whole(&self.path, self.understood()?)?.map_err(|why| self.unusable(&why))?;
        Ok(self.whole.get_or_init(|| manifest))
    }

    /// The same, or in one line what is wrong with it; an error is one of the volume.
    pub fn whole_or_why(&self) -> Result<Result<&Manifest, String>> {
        if let (Ok(summary), None) = (&self.manifest, self.whole.get()) {
            match reading::whole(&self.path, summary)? {
                Ok(manifest) => drop(self.whole.set(manifest)),
                Err(why) => return Ok(Err(why)),
            }
        }
        Ok(self.whole.get().ok_or_else(|| self.manifest.as_ref().err().cloned().unwrap_or_default()))
    }

    /// Hands over each of its tables, in the manifest's order, and keeps none: for what compares two backups table by table. After an error, which is as that of
    /// [`Backup::whole`], what was handed over is to be forgotten.
    pub fn each_table(&self, found: &mut dyn FnMut(TableInShort)) -> Result<()> {
        reading::tables(&self.path, self.understood()?, found)?.map_err(|why| self.unusable(&why))
    }

    fn unusable(&self, why: &str) -> Error {
        Error::new(Kind::Verification, format!("backup '{}' cannot be used: {why}", self.id))
            .hinted("kluis verify says more; another backup may be whole: kluis list")
    }

    /// Whether its latest proof says that it is wrong.
    pub fn is_bad(&self) -> bool {
        matches!(&self.proof, Ok(Some(proof)) if proof.verdict == Verdict::Bad)
    }

    /// What its proof excepts.
    pub fn excepted(&self) -> Exceptions {
        self.proof.as_ref().ok().and_then(Option::as_ref).map(Proof::excepted).unwrap_or_default()
    }

    /// Whether the database that it holds was empty.
    pub fn is_empty(&self) -> bool {
        self.manifest.as_ref().is_ok_and(Summary::is_empty)
    }

    /// Whether a restore can be forced: its files are what they were, and a drill found that they do not hold what the database held.
    pub fn can_be_forced(&self) -> bool {
        self.manifest.is_ok() && matches!(&self.proof, Ok(Some(proof)) if proof.verdict == Verdict::Bad && proof.by == BY_DRILL)
    }

    /// In a few words why it is not relied upon; nothing where it may be.
    pub fn fault(&self) -> Option<String> {
        match (&self.manifest, &self.proof) {
            (Err(why), _) => Some(format!("not understood: {why}")),
            (_, Ok(Some(proof))) if self.is_bad() => Some(format!("bad: {}", proof.findings.first().map_or("no reason is recorded", String::as_str))),
            _ => None,
        }
    }

    /// Whether a drill has proven it.
    pub fn is_proven(&self) -> bool {
        matches!(&self.proof, Ok(Some(proof)) if proof.proven())
    }

    /// Reads a backup's folder, wherever it lies.
    pub fn read(path: PathBuf) -> Result<Backup> {
        let id = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let reading::Short { summary: manifest, condensed } = reading::short(&path)?;
        let proof = match read_small(&path.join(names::PROOF), 1 << 24) {
            Ok(bytes) => Proof::parse(&bytes).map(Some).map_err(|why| format!("'{}': {why}", names::PROOF)),
            Err(error) if missing(&error) => Ok(None),
            Err(error) if unreadable(&error) => return Err(error),
            Err(error) => Err(error.chain()),
        };
        let pin = path.join(names::PINNED);
        let pinned = match std::fs::symlink_metadata(&pin) {
            Ok(_) => true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(Error::io("look at", &pin, error)),
        };
        Ok(Backup { id, path, manifest, proof, pinned, whole: OnceLock::new(), condensed: condensed.map(Box::new) })
    }
}

/// What is in a target's folder.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The backups, oldest first.
    pub backups: Vec<Backup>,
    /// Runs in progress, or what dead ones left.
    pub leftovers: Vec<String>,
    /// Things that are not ours. They are never touched.
    pub foreign: Vec<String>,
}

impl Listing {
    /// Reads a target's folder; one that is not there holds nothing.
    pub fn read(target: &TargetFolder) -> Result<Listing> {
        let mut listing = Listing::default();
        if !target.exists()? {
            return Ok(listing);
        }
        for entry in std::fs::read_dir(&target.path).map_err(|error| Error::io("read", &target.path, error))? {
            let entry = entry.map_err(|error| Error::io("read", &target.path, error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().map_err(|error| Error::io("look at", &entry.path(), error))?;
            if kind.is_dir() && names::parse_backup_id(&name).is_some() {
                match Backup::read(entry.path()) {
                    Ok(backup) => listing.backups.push(backup),
                    // Deleted by a prune in between: it is no longer in the list.
                    Err(_) if !entry.path().exists() => {}
                    Err(error) => return Err(error),
                }
            } else if kind.is_dir() && (name.starts_with(names::STAGING) || name.starts_with(names::DELETING)) {
                listing.leftovers.push(name);
            } else if !(kind.is_file() && [names::HISTORY, names::PROGRESS].contains(&name.as_str())
                || name == names::LATEST && kind.is_symlink()
                || name == ".latest.new")
            {
                listing.foreign.push(name);
            }
        }
        listing.backups.sort_by(|a, b| (a.at(), &a.id).cmp(&(b.at(), &b.id)));
        listing.leftovers.sort();
        listing.foreign.sort();
        Ok(listing)
    }

    /// Notes beside large manifests of format 1 what they say in short: whoever lists them next need not read them. What cannot be noted is read again.
    pub fn condense(&self, target: &TargetFolder, lock: &Lock) {
        for backup in &self.backups {
            if let Some(condensed) = &backup.condensed {
                let _ = staging::annotate(target, &backup.id, names::CONDENSED, &condensed.render(), lock);
            }
        }
    }

    /// The newest backup that can be used and is not known to be bad.
    pub fn latest(&self) -> Option<&Backup> {
        self.backups.iter().rev().find(|backup| backup.manifest.is_ok() && !backup.is_bad())
    }

    /// What there is where no backup can be relied upon, and what the newest one says; nothing where there is none, or one that can be.
    pub fn unreliable(&self) -> Option<String> {
        let newest = self.backups.last().filter(|_| self.latest().is_none())?;
        let bad = self.backups.iter().filter(|backup| backup.manifest.is_ok()).count();
        let says = format!("{}, is {}", newest.id, cut(&newest.fault().unwrap_or_default(), 300));
        let all = match (self.backups.len(), bad) {
            (1, _) => return Some(format!("1 backup, and that one, {says}")),
            (all, bad) if all == bad => format!("{} backups, all bad", format_count(all as u64)),
            (all, 0) => format!("{} backups, none of them understood", format_count(all as u64)),
            (all, bad) => format!("{} backups, {} of them bad and the others not understood", format_count(all as u64), format_count(bad as u64)),
        };
        Some(format!("{all}; the newest, {says}"))
    }

    /// What to do where no backup can be relied upon.
    fn instead(&self, target: &str) -> String {
        match self.backups.iter().rev().find(|backup| backup.can_be_forced()) {
            Some(backup) => format!("kluis list --target {target} shows them; kluis restore {} --target {target} --force restores one that is bad", backup.id),
            None => format!("kluis list --target {target} shows them, and kluis verify --all whether one is whole again"),
        }
    }

    /// What the newest proven backup before this one excepts.
    pub fn excepted_before(&self, id: &str) -> Exceptions {
        let older = self.backups.iter().position(|backup| backup.id == id).map_or(self.backups.as_slice(), |place| &self.backups[..place]);
        older.iter().rev().find(|backup| backup.is_proven()).map(Backup::excepted).unwrap_or_default()
    }

    /// The backup that `word` names: `latest`, a whole name, or a unique beginning of one.
    pub fn find(&self, word: &str, target: &str) -> Result<&Backup> {
        let none = |what: String| Error::new(Kind::Failed, what).hinted(format!("kluis list --target {target} shows what there is"));
        if word == names::LATEST {
            return self.latest().ok_or_else(|| match self.unreliable() {
                None => none(format!("target '{target}' has no backup yet")),
                Some(what) => Error::new(Kind::Verification, format!("target '{target}' has {what}")).hinted(self.instead(target)),
            });
        }
        if let Some(exact) = self.backups.iter().find(|backup| backup.id == word) {
            return Ok(exact);
        }
        let mut matching = self.backups.iter().filter(|backup| backup.id.starts_with(word));
        match (matching.next(), matching.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(none(format!("target '{target}' has no backup '{word}'"))),
            (Some(first), Some(second)) => Err(none(format!("'{word}' is not unique: '{}' and '{}' both begin with it", first.id, second.id))),
        }
    }
}
