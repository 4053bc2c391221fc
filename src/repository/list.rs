//! What is in a target's folder: backups with manifest, proof and pin; leftovers; and things that are not ours.
//! It owns reading; it leaves judging to `retention`, `verify` and the commands.
//! Invariant: an error while reading is an error, never a shorter list: a prune must not see fewer backups than there are.

use super::files::read_small;
use super::history::{self, Entry};
use super::lock::Lock;
use super::reading::{self, missing, unreadable};
use super::source::{Adoptions, Source};
use super::{TargetFolder, accepted, names, staging};
use crate::clock;
use crate::error::{Error, Kind, Result};
use crate::exception::Exceptions;
use crate::manifest::{BY_DRILL, Condensed, Manifest, Partitioned, Proof, Summary, TableInShort, Verdict};
use crate::stop::Stop;
use crate::units::{cut, format_count};
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

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
    /// What of the files in its manifest is not there, or not as large as it was written: a copy broke off. Nothing where all of them are.
    pub incomplete: Option<String>,
    /// Why it is not relied upon although nothing is wrong with it: its database had been emptied. Only a listing knows, by the backups before it.
    pub suspicious: Option<String>,
    /// Whether it is dated in the future: a clock was wrong, and it counts for nothing until it is settled which. Only a listing knows, by the time at which it was
    /// made.
    pub ahead: bool,
    /// Whether its proof is of a later version of Kluis, and must not be written over.
    pub newer_proof: bool,
    /// Whether something in its folder could not be read at all: then nobody knows what would be lost with another backup.
    pub unread: bool,
    /// All that it holds, once somebody asked.
    whole: OnceLock<Box<Manifest>>,
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
        Ok(self.whole.get_or_init(|| Box::new(manifest)))
    }

    /// The same, or in one line what is wrong with it; an error is one of the volume.
    pub fn whole_or_why(&self) -> Result<Result<&Manifest, String>> {
        if let (Ok(summary), None) = (&self.manifest, self.whole.get()) {
            match reading::whole(&self.path, summary)? {
                Ok(manifest) => drop(self.whole.set(Box::new(manifest))),
                Err(why) => return Ok(Err(why)),
            }
        }
        Ok(self.whole.get().map(Box::as_ref).ok_or_else(|| self.manifest.as_ref().err().cloned().unwrap_or_default()))
    }

    /// Hands over each of its tables, in the manifest's order, and keeps none: for what compares two backups table by table. After an error, which is as that of
    /// [`Backup::whole`], what was handed over is to be forgotten.
    pub fn each_table(&self, found: &mut dyn FnMut(TableInShort)) -> Result<()> {
        self.each_part(found, &mut drop)
    }

    /// The same, and each partitioned table, which may come before or after its partitions.
    pub fn each_part(&self, found: &mut dyn FnMut(TableInShort), partitioned: &mut dyn FnMut(Partitioned)) -> Result<()> {
        reading::parts(&self.path, self.understood()?, found, partitioned)?.map_err(|why| self.unusable(&why))
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

    /// Whether nothing is wrong with it: it is understood, whole, and not known to be bad.
    pub fn is_sound(&self) -> bool {
        self.manifest.is_ok() && !self.is_bad() && self.incomplete.is_none()
    }

    /// Whether it may be relied upon: nothing is wrong with it, it is not suspicious, and not dated in the future.
    pub fn is_relied_upon(&self) -> bool {
        self.is_sound() && self.suspicious.is_none() && !self.ahead
    }

    /// In a few words why it is not relied upon; nothing where it may be.
    pub fn fault(&self) -> Option<String> {
        if let (Ok(_), Some(what)) = (&self.manifest, &self.incomplete) {
            return Some(format!("incomplete: {what}"));
        }
        match (&self.manifest, &self.proof) {
            (Err(why), _) => Some(format!("not understood: {why}")),
            (_, Ok(Some(proof))) if self.is_bad() => Some(format!("bad: {}", proof.findings.first().map_or("no reason is recorded", String::as_str))),
            _ if self.ahead => Some(AHEAD.to_owned()),
            _ => self.suspicious.as_ref().map(|why| format!("suspicious: {why}")),
        }
    }

    /// When a drill proved it; nothing where none has.
    pub fn proven_at(&self) -> Option<Timestamp> {
        self.proof.as_ref().ok().and_then(Option::as_ref).filter(|_| self.is_proven()).map(|proof| proof.reached)
    }

    /// Whether a drill has proven it, and all of it is still there.
    pub fn is_proven(&self) -> bool {
        self.incomplete.is_none() && matches!(&self.proof, Ok(Some(proof)) if proof.proven())
    }

    /// Reads a backup's folder, wherever it lies. What cannot be read of it is told with it: one backup in trouble is no trouble of the others.
    pub fn read(path: PathBuf) -> Backup {
        let id = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let reading::Short { summary: manifest, condensed, mut unread } = reading::short(&path);
        let incomplete = match &manifest {
            Ok(summary) => reading::incomplete(&path, summary, &mut unread),
            Err(_) => None,
        };
        let mut newer_proof = false;
        let proof = match read_small(&path.join(names::PROOF), 1 << 24) {
            Ok(bytes) => {
                newer_proof = Proof::is_newer(&bytes);
                Proof::parse(&bytes).map(Some).map_err(|why| format!("'{}': {why}", names::PROOF))
            }
            Err(error) if missing(&error) => Ok(None),
            Err(error) => {
                unread |= unreadable(&error);
                Err(error.chain())
            }
        };
        let pinned = match std::fs::symlink_metadata(path.join(names::PINNED)) {
            Ok(_) => true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(_) => {
                unread = true;
                false
            }
        };
        Backup {
            id,
            path,
            manifest,
            proof,
            pinned,
            incomplete,
            suspicious: None,
            ahead: false,
            newer_proof,
            unread,
            whole: OnceLock::new(),
            condensed: condensed.map(Box::new),
        }
    }
}

/// What is said of a backup from the future.
pub const AHEAD: &str = "dated in the future: a clock was wrong";

/// From how many backups on they are read by several threads, and by how many at the most.
const MANY: usize = 512;
const THREADS: usize = 4;

/// Reads these backups, in no certain order.
fn read_all(folders: Vec<PathBuf>) -> Result<Vec<Backup>> {
    let read = |folders: &[PathBuf]| {
        let mut backups = Vec::with_capacity(folders.len());
        for folder in folders {
            let backup = Backup::read(folder.clone());
            // Deleted by a prune in between: it is no longer in the list.
            if backup.fault().is_none() || !is_gone(folder) {
                backups.push(backup);
            }
        }
        backups
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    if folders.len() < MANY || threads == 1 {
        return Ok(read(&folders));
    }
    let shares = folders.chunks(folders.len().div_ceil(threads));
    let read: Vec<Result<Vec<Backup>>> = std::thread::scope(|scope| {
        let running: Vec<_> = shares.map(|share| scope.spawn(move || Ok(read(share)))).collect();
        let failed = |_| Err(Error::new(Kind::Failed, "a thread that read backups panicked: this is a bug in kluis"));
        running.into_iter().map(|thread| thread.join().unwrap_or_else(failed)).collect()
    });
    Ok(read.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
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
    /// What an operator has said of whose backups these are.
    pub adoptions: Adoptions,
    /// From when on backups are measured by each other: what earlier ones held more, somebody said to be right.
    pub accepted: Option<Timestamp>,
}

impl Listing {
    /// Reads a target's folder; one that is not there holds nothing.
    pub fn read(target: &TargetFolder) -> Result<Listing> {
        let mut listing = Listing::default();
        if !target.exists()? {
            return Ok(listing);
        }
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(&target.path).map_err(|error| Error::io("read", &target.path, error))? {
            let entry = entry.map_err(|error| Error::io("read", &target.path, error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().map_err(|error| Error::io("look at", &entry.path(), error))?;
            if kind.is_dir() && names::parse_backup_id(&name).is_some() {
                folders.push(entry.path());
            } else if kind.is_dir() && (name.starts_with(names::STAGING) || name.starts_with(names::DELETING)) {
                listing.leftovers.push(name);
            } else if !(kind.is_file() && [names::HISTORY, names::PROGRESS, names::ADOPTED, names::ACCEPTED, names::INTENT].contains(&name.as_str())
                || name == names::LATEST && kind.is_symlink()
                || name == ".latest.new")
            {
                listing.foreign.push(name);
            }
        }
        listing.backups = read_all(folders)?;
        listing.adoptions = Adoptions::read(target);
        listing.accepted = accepted::read(target).map(|accepted| accepted.started);
        listing.in_order();
        listing.leftovers.sort();
        listing.foreign.sort();
        Ok(listing)
    }

    /// Adds a backup that was published since the folder was read, and returns it.
    pub fn add(&mut self, backup: Backup) -> &Backup {
        let id = backup.id.clone();
        self.backups.push(backup);
        self.in_order();
        self.backups.iter().rev().find(|backup| backup.id == id).expect("it was added")
    }

    /// What there will be when these are deleted. Which ones are suspicious depends on those before them.
    pub fn without(&self, ids: &[String]) -> Listing {
        let mut left = Listing {
            backups: self.backups.iter().filter(|backup| !ids.contains(&backup.id)).cloned().collect(),
            adoptions: self.adoptions.clone(),
            ..Listing::default()
        };
        left.backups.iter_mut().for_each(|backup| backup.suspicious = None);
        left.in_order();
        left
    }

    /// The same, and what is known of the target's runs.
    pub fn with_history(target: &TargetFolder) -> Result<(Listing, Vec<Entry>)> {
        let listing = Listing::read(target)?;
        Ok((listing, if target.exists()? { history::read(target)? } else { Vec::new() }))
    }

    /// What each backup is of, where it tells.
    pub fn sources(&self) -> Vec<Option<Source>> {
        self.backups.iter().map(|backup| backup.manifest.as_ref().ok().map(Source::of)).collect()
    }

    /// Puts the oldest first, and finds out which of them are dated in the future, and which suspicious.
    fn in_order(&mut self) {
        self.backups.sort_by(|a, b| (a.at(), &a.id).cmp(&(b.at(), &b.id)));
        let now = Timestamp::now();
        self.backups.iter_mut().for_each(|backup| backup.ahead = clock::is_ahead(backup.at(), now));
        for (place, full) in suspicions(self.backups.iter().map(Seen::of)) {
            let full = &self.backups[full];
            let why = suspicion(&full.id, full.manifest.as_ref().map_or(0, Summary::rows));
            self.backups[place].suspicious = Some(why);
        }
    }

    /// Notes beside large manifests of format 1 what they say in short: whoever lists them next need not read them. What cannot be noted is read again.
    pub fn condense(&self, target: &TargetFolder, lock: &Lock) {
        for backup in &self.backups {
            if let Some(condensed) = &backup.condensed {
                let _ = staging::annotate(target, &backup.id, names::CONDENSED, &condensed.render(), lock);
            }
        }
    }

    /// The same where there is something to note, and nobody holds the lock.
    pub fn condense_if_free(&self, target: &TargetFolder) {
        if self.backups.iter().any(|backup| backup.condensed.is_some())
            && let Ok(lock) = Lock::take(target, Duration::ZERO, &Stop::new())
        {
            self.condense(target, &lock);
        }
    }

    /// The newest backup that may be relied upon.
    pub fn latest(&self) -> Option<&Backup> {
        self.backups.iter().rev().find(|backup| backup.is_relied_upon())
    }

    /// What there is where no backup can be relied upon, and what the newest one says; nothing where there is none, or one that can be.
    pub fn unreliable(&self) -> Option<String> {
        let newest = self.backups.last().filter(|_| self.latest().is_none())?;
        let says = format!("{}, is {}", newest.id, cut(&newest.fault().unwrap_or_default(), 300));
        if self.backups.len() == 1 {
            return Some(format!("1 backup, and that one, {says}"));
        }
        let mut counts: [(u64, &str); 4] = [(0, "bad"), (0, "incomplete"), (0, "not understood"), (0, "dated in the future")];
        for backup in &self.backups {
            let place = match backup {
                Backup { manifest: Err(_), .. } => 2,
                Backup { incomplete: Some(_), .. } => 1,
                backup if !backup.is_bad() && backup.ahead => 3,
                _ => 0,
            };
            counts[place].0 += 1;
        }
        let parts: Vec<String> = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{} {what}", format_count(*count))).collect();
        Some(format!("{} backups, and none to rely upon: {}; the newest, {says}", format_count(self.backups.len() as u64), parts.join(", ")))
    }

    /// What to do where no backup can be relied upon.
    fn instead(&self, target: &str) -> String {
        if let Some(backup) = self.backups.iter().rev().find(|backup| backup.is_sound() && backup.ahead) {
            return format!("look at this machine's clock; kluis restore {} --target {target} takes the backup by its name", backup.id);
        }
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

/// What tells whether a backup is of a database that had been emptied.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Whether it would be relied upon otherwise.
    pub sound: bool,
    /// Whether the database was empty.
    pub empty: bool,
    /// Whether that was said to be right.
    pub allowed: bool,
}

impl Seen {
    fn of(backup: &Backup) -> Seen {
        let allowed = backup.manifest.as_ref().is_ok_and(|summary| summary.empty_allowed);
        Seen { sound: backup.is_sound(), empty: backup.is_empty(), allowed }
    }
}

/// Which of these backups, oldest first, are suspicious, and the place of the last one before each that held something: an empty database where one with
/// rows had been is more often a volume that got lost than a wish.
pub fn suspicions(backups: impl Iterator<Item = Seen>) -> Vec<(usize, usize)> {
    let (mut found, mut full) = (Vec::new(), None);
    for (place, backup) in backups.enumerate().filter(|(_, backup)| backup.sound) {
        match (backup.empty, backup.allowed, full) {
            (false, _, _) => full = Some(place),
            (true, true, _) => full = None,
            (true, false, Some(full)) => found.push((place, full)),
            (true, false, None) => {}
        }
    }
    found
}

/// Why a backup is suspicious: the one before it that held something, and its rows.
pub fn suspicion(full: &str, rows: u64) -> String {
    format!("of an empty database, where backup {full} held {} rows", format_count(rows))
}

/// Whether the folder is not there any more.
fn is_gone(path: &std::path::Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_was_emptied_is_suspicious_until_that_is_said_to_be_right() {
        let of = |text: &str| {
            let seen = |c: char| Seen { sound: c != 'x', empty: "eax".contains(c), allowed: c == 'a' };
            suspicions(text.chars().map(seen))
        };
        assert_eq!(of("fefee"), [(1, 0), (3, 2), (4, 2)]);
        assert_eq!(of("ee"), []);
        assert_eq!(of("feae"), [(1, 0)]);
        assert_eq!(of("fxe"), [(2, 0)]);
        assert_eq!(of("xef"), []);
    }
}
