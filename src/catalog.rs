//! What is in the repository, in short, remembered between looks: for the status page and metrics, which are asked for often.
//! It owns noticing what changed; it leaves reading to `repository`, judging to `status` and `retention`.
//! Invariant: what it tells is what a fresh look would tell, but for a file that was cut short in place, which is seen within a minute; an error while
//! reading is an error, never a shorter list.
//!
//! A published backup changes only by a file put into its folder under a new name, which changes the folder's own times (rename(2)); and the history
//! only grows. So a look costs one stat for each backup, and whole manifests are in memory only one at a time.

use crate::error::{Error, Result};
use crate::exception::Exceptions;
use crate::manifest::{Proof, Rung, Sandbox};
use crate::past::{Past, Ran};
use crate::prune::candidate;
use crate::repository::history::{self, Did, Entry, Line, Outcome};
use crate::repository::list::{Backup, Seen, suspicion, suspicions};
use crate::repository::source::{Adoptions, Source, lines};
use crate::repository::{TargetFolder, accepted, names};
use crate::retention::{Candidate, Standing};
use crate::status::Known;
use crate::units::cut;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant, SystemTime};

/// A folder that changed this shortly ago may change again within the same tick of the file system's clock.
const YOUNG: Duration = Duration::from_secs(2);

/// How often every backup is read anew, whether its folder changed or not.
const THOROUGH: Duration = Duration::from_secs(60);

/// How long runs are remembered one by one. What is counted over all time is counted.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(400 * 24);

/// How many runs, and how many of their messages, are remembered at the most.
const MOST_RUNS: usize = 12_000;
const MOST_NOTES: usize = 64;
const LONGEST_NOTE: usize = 300;

/// A backup, in short.
#[derive(Debug, Clone, PartialEq)]
pub struct Short {
    /// As retention sees it: name, date, standing, pin, rows, size.
    pub candidate: Candidate,
    /// Whether its manifest is understood.
    pub understood: bool,
    /// Tables in it.
    pub tables: Option<u64>,
    /// The size of its script uncompressed, in bytes.
    pub plain_bytes: Option<u64>,
    /// The size of the database on its server, in bytes.
    pub database_bytes: Option<u64>,
    /// Whether a drill has proven it, and all of it is still there.
    pub proven: bool,
    /// When that was.
    pub proven_at: Option<Timestamp>,
    /// The latest drill that proved it.
    pub evidence: Option<Evidence>,
    /// Why it is bad or not understood.
    pub remark: Option<String>,
    /// Why it is not relied upon.
    pub fault: Option<String>,
    /// Whether a restore can be forced, although it is bad.
    pub can_be_forced: bool,
    /// Whether the database that it holds was empty.
    pub empty: bool,
    /// Whether that was said to be right.
    pub empty_allowed: bool,
    /// Why it is suspicious.
    pub suspicious: Option<String>,
    /// What it is of.
    pub source: Option<Source>,
    /// What its proof excepts. Nearly always nothing, so it costs nothing.
    pub exceptions: Exceptions,
}

/// What a drill found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// When it was proven.
    pub at: Timestamp,
    /// Whether the operator's own assertions passed too.
    pub asserted: bool,
    /// Tables compared.
    pub tables: u64,
    /// Rows compared.
    pub rows: u64,
    /// How long the restore took, in milliseconds.
    pub restore_ms: u64,
    /// How far the throwaway server was confined.
    pub sandbox: Sandbox,
}

impl Short {
    fn of(backup: &Backup) -> Short {
        let manifest = backup.manifest.as_ref().ok();
        let proof = backup.proof.as_ref().ok().and_then(Option::as_ref);
        let remark = match (&backup.manifest, &backup.proof) {
            (Err(why), _) => Some(why.clone()),
            _ if backup.incomplete.is_some() => backup.incomplete.clone(),
            (_, Err(why)) => Some(why.clone()),
            (_, Ok(Some(proof))) if backup.is_bad() => proof.findings.first().cloned(),
            _ => None,
        };
        Short {
            candidate: candidate(backup),
            understood: manifest.is_some(),
            tables: manifest.map(|manifest| manifest.totals.tables),
            plain_bytes: manifest.map(|manifest| manifest.script.plain_bytes),
            database_bytes: manifest.map(|manifest| manifest.database.bytes),
            proven: backup.is_proven(),
            proven_at: backup.proven_at(),
            evidence: proof.filter(|proof| proof.proven()).and_then(Evidence::of),
            remark: remark.map(|text| shortened(&text)),
            fault: backup.fault().map(|text| shortened(&text)),
            can_be_forced: backup.can_be_forced(),
            empty: backup.is_empty(),
            empty_allowed: manifest.is_some_and(|manifest| manifest.empty_allowed),
            suspicious: None,
            source: manifest.map(Source::of),
            exceptions: backup.excepted(),
        }
    }

    /// What the judgement of a target has to know of it.
    pub fn known(&self) -> Known {
        Known {
            id: self.candidate.id.clone(),
            at: self.candidate.at,
            understood: self.understood,
            bad: self.candidate.standing == Standing::Bad,
            incomplete: self.candidate.standing == Standing::Incomplete,
            suspicious: self.suspicious.clone(),
            proven: self.proven,
            proven_at: self.proven_at,
            empty: self.empty,
            exceptions: self.exceptions.clone(),
            fault: self.fault.clone(),
        }
    }
}

impl Evidence {
    fn of(proof: &Proof) -> Option<Evidence> {
        let drill = proof.drill.as_ref()?;
        Some(Evidence {
            at: proof.reached,
            asserted: proof.rung == Rung::Asserted,
            tables: drill.tables,
            rows: drill.rows,
            restore_ms: drill.restore_ms,
            sandbox: drill.sandbox,
        })
    }
}

/// A run, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// When it began.
    pub started: Timestamp,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it published a backup, and how far that was proven then.
    pub published: Option<Standing>,
    /// Size on disk, in bytes.
    pub bytes: Option<u64>,
    /// Rows.
    pub rows: Option<u64>,
    /// Bytes that its prune deleted, and what was deleted by hand until the next one.
    pub deleted_bytes: u64,
    /// Why it failed; of the latest ones only.
    pub note: Option<String>,
}

/// All runs of a target.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    /// One by one, oldest first, for as long as they are remembered.
    pub recent: VecDeque<Run>,
    /// How many ended in each way: done, warned, failed, skipped.
    pub by_outcome: [u64; 4],
    /// Backups deleted by the policy.
    pub deleted: u64,
    /// The last one that was not skipped.
    pub last: Option<Entry>,
    /// The last one that published a backup.
    pub last_success: Option<Entry>,
    /// When the first one began.
    pub first: Option<Timestamp>,
    /// When the policy first deleted a backup.
    pub first_deletion: Option<Timestamp>,
    /// Sizes of published backups that were not deleted yet, for what a prune frees.
    sizes: HashMap<String, u64>,
    inode: u64,
    next: u64,
}

/// The outcomes, in the order in which they are counted.
pub const OUTCOMES: [Outcome; 4] = [Outcome::Done, Outcome::Warned, Outcome::Failed, Outcome::Skipped];

impl Runs {
    fn add(&mut self, line: Line) {
        match line {
            Line::Run(entry) => self.add_run(*entry),
            Line::Deed(deed) => {
                let bytes: u64 = deed.backups.iter().filter_map(|id| self.sizes.remove(id)).sum();
                if deed.did == Did::Prune {
                    self.deleted += deed.backups.len() as u64;
                    self.first_deletion = self.first_deletion.or(Some(deed.at));
                }
                // It counts with the run before it, by which growth is taken.
                self.recent.back_mut().into_iter().for_each(|run| run.deleted_bytes += bytes);
            }
        }
    }

    fn add_run(&mut self, entry: Entry) {
        let place = OUTCOMES.iter().position(|outcome| *outcome == entry.outcome).unwrap_or(0);
        self.by_outcome[place] += 1;
        self.deleted += entry.deleted.len() as u64;
        self.first_deletion = self.first_deletion.or((!entry.deleted.is_empty()).then_some(entry.started));
        let deleted_bytes = entry.deleted.iter().filter_map(|id| self.sizes.remove(id)).sum();
        if let (Some(id), Some(bytes)) = (&entry.backup, entry.bytes) {
            self.sizes.insert(id.clone(), bytes);
        }
        let standing = match entry.proof.as_deref() {
            Some("proven" | "asserted") => Standing::Proven,
            Some("bad") => Standing::Bad,
            _ => Standing::Sealed,
        };
        self.first = self.first.or(Some(entry.started));
        self.recent.push_back(Run {
            started: entry.started,
            ms: entry.steps.iter().map(|(_, ms)| ms).sum(),
            outcome: entry.outcome,
            published: entry.backup.is_some().then_some(standing),
            bytes: entry.bytes,
            rows: entry.rows,
            deleted_bytes,
            note: entry.message.as_deref().filter(|_| entry.outcome == Outcome::Failed).map(shortened),
        });
        if entry.outcome != Outcome::Skipped {
            if entry.backup.is_some() {
                self.last_success = Some(entry.clone());
            }
            self.last = Some(entry);
        }
    }

    /// What they tell, together with the backups that are there: name and date of each.
    pub fn past<'a>(&self, backups: impl Iterator<Item = (&'a str, Timestamp)> + Clone) -> Past {
        let mut past = Past {
            last: self.last.clone(),
            backups: backups.clone().map(|(_, at)| at).collect(),
            unlisted: backups.filter(|(id, _)| !self.sizes.contains_key(*id)).map(|(_, at)| at).collect(),
            ..Past::default()
        };
        for run in self.recent.iter().filter(|run| run.published.is_some()) {
            past.add(Ran { started: run.started, took: Duration::from_millis(run.ms) });
        }
        past
    }

    fn forget(&mut self, now: Timestamp) {
        let old = |run: &Run| now.duration_since(run.started) > REMEMBERED;
        while self.recent.len() > MOST_RUNS || self.recent.front().is_some_and(old) {
            self.recent.pop_front();
        }
        let noted = self.recent.iter_mut().rev().filter(|run| run.note.is_some());
        noted.skip(MOST_NOTES).for_each(|run| run.note = None);
    }
}

/// What is known of one target's folder.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    /// The backups, oldest first.
    pub backups: Vec<Short>,
    /// The runs.
    pub runs: Runs,
    /// Whether a run is in progress, or one died.
    pub staging: bool,
    /// From when on backups are measured by each other.
    pub accepted: Option<Timestamp>,
    seen: HashMap<String, (Stamp, Short)>,
    all_read: Option<Instant>,
}

/// What changes when something in a folder is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Shelf {
    /// What its runs tell.
    pub fn past(&self) -> Past {
        self.runs.past(self.backups.iter().map(|backup| (backup.candidate.id.as_str(), backup.candidate.at)))
    }

    /// Looks again. Tells whether something is otherwise than before.
    pub fn look(&mut self, target: &TargetFolder, now: Timestamp) -> Result<bool> {
        if !target.exists()? {
            let changed = !self.backups.is_empty() || self.runs.next > 0;
            *self = Shelf::default();
            return Ok(changed);
        }
        let mut changed = self.look_at_backups(target)?;
        changed |= self.look_at_runs(target, now)?;
        Ok(changed)
    }

    fn look_at_backups(&mut self, target: &TargetFolder) -> Result<bool> {
        let failed = |error| Error::io("read", &target.path, error);
        // A file that was cut short in place does not show in its folder.
        if self.all_read.is_none_or(|at| at.elapsed() > THOROUGH) {
            self.seen.clear();
            self.all_read = Some(Instant::now());
        }
        let (mut found, mut staging) = (HashMap::with_capacity(self.seen.len()), false);
        for entry in std::fs::read_dir(&target.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            staging |= name.starts_with(names::STAGING);
            if names::parse_backup_id(&name).is_none() {
                continue;
            }
            let metadata = match entry.metadata() {
                // Deleted by a prune in between.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                metadata => metadata.map_err(failed)?,
            };
            if !metadata.is_dir() {
                continue;
            }
            let stamp =
                Stamp { inode: metadata.ino(), modified: (metadata.mtime(), metadata.mtime_nsec()), changed: (metadata.ctime(), metadata.ctime_nsec()) };
            let young = metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok()).is_none_or(|age| age < YOUNG);
            let short = match self.seen.remove(&name) {
                Some((old, short)) if old == stamp && !young => short,
                _ => {
                    let backup = Backup::read(entry.path());
                    if backup.fault().is_some() && !entry.path().exists() {
                        continue;
                    }
                    Short::of(&backup)
                }
            };
            found.insert(name, (stamp, short));
        }
        let mut backups: Vec<Short> = found.values().map(|(_, short)| short.clone()).collect();
        backups.sort_by(|a, b| (a.candidate.at, &a.candidate.id).cmp(&(b.candidate.at, &b.candidate.id)));
        let seen = |short: &Short| Seen {
            sound: short.understood && !matches!(short.candidate.standing, Standing::Bad | Standing::Incomplete),
            empty: short.empty,
            allowed: short.empty_allowed,
        };
        for (place, full) in suspicions(backups.iter().map(seen)) {
            let why = suspicion(&backups[full].candidate.id, backups[full].candidate.rows.unwrap_or(0));
            let short = &mut backups[place];
            (short.candidate.standing, short.fault) = (Standing::Suspicious, Some(format!("suspicious: {why}")));
            (short.remark, short.suspicious) = (Some(why.clone()), Some(why));
        }
        let lines = lines(backups.iter().map(|short| short.source.as_ref()), &Adoptions::read(target));
        for (short, line) in backups.iter_mut().zip(lines) {
            short.candidate.line = line;
        }
        let accepted = accepted::read(target).map(|accepted| accepted.started);
        let changed = backups != self.backups || staging != self.staging || accepted != self.accepted;
        (self.backups, self.staging, self.accepted, self.seen) = (backups, staging, accepted, found);
        Ok(changed)
    }

    fn look_at_runs(&mut self, target: &TargetFolder, now: Timestamp) -> Result<bool> {
        let path = target.path.join(names::HISTORY);
        let metadata = match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let changed = self.runs.next > 0;
                self.runs = Runs::default();
                return Ok(changed);
            }
            metadata => metadata.map_err(|error| Error::io("look at", &path, error))?,
        };
        if metadata.ino() != self.runs.inode || metadata.len() < self.runs.next {
            self.runs = Runs { inode: metadata.ino(), ..Runs::default() };
        }
        if metadata.len() == self.runs.next {
            return Ok(false);
        }
        let runs = &mut self.runs;
        let next = history::each_from(target, runs.next, |line| runs.add(line))?;
        let changed = next != runs.next;
        runs.next = next;
        runs.forget(now);
        Ok(changed)
    }
}

/// Every target's shelf.
#[derive(Debug, Default)]
pub struct Catalog {
    shelves: BTreeMap<String, Shelf>,
}

impl Catalog {
    /// Looks at a target's folder again. Returns what is in it, and whether that changed.
    pub fn look(&mut self, target: &TargetFolder, now: Timestamp) -> Result<(&Shelf, bool)> {
        let shelf = self.shelves.entry(target.name.clone()).or_default();
        let changed = shelf.look(target, now)?;
        Ok((shelf, changed))
    }
}

fn shortened(text: &str) -> String {
    cut(text, LONGEST_NOTE)
}
