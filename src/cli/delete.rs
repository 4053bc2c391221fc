//! `kluis delete ID…`: backups deleted by their names.
//! It owns which backups are meant, and asking what speaks against it; it leaves that to `retention` and the deleting to `crate::prune`.
//! Invariant: all that were named go, or none; what a floor keeps goes only by `--force` and its whole name; and the history tells of it.

use super::output::{BOLD, GREEN, Output, RED};
use super::show::pin_of;
use super::text::{Cell, clean};
use super::watch::Watch;
use super::{Context, End, args, find, view};
use crate::config::RepositoryConfig;
use crate::error::{Error, Result};
use crate::prune::{candidate, objections, remove};
use crate::repository::history::{self, Deed, Did};
use crate::repository::list::{Backup, Listing};
use crate::repository::lock::Lock;
use crate::repository::{Repository, TargetFolder, names, staging};
use crate::retention::{Reason, Standing};
use crate::stop::Stop;
use crate::units::format_bytes;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// What `kluis delete --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    /// Whether it was only asked.
    dry_run: bool,
    /// One for each backup that was named.
    backups: Vec<Doomed>,
}

/// A backup that was named.
#[derive(Debug, Serialize)]
struct Doomed {
    /// Its target.
    target: String,
    /// Its name.
    id: String,
    /// What was known of it.
    standing: Standing,
    /// Its size on disk, in bytes, where its manifest is understood.
    bytes: u64,
    /// What speaks against deleting it, as in a plan; nothing: it may go.
    against: Vec<Reason>,
    /// The same in words.
    #[serde(skip)]
    because: String,
    /// Whether it was deleted.
    deleted: bool,
}

/// The backups of one target that are to go.
struct Work {
    folder: TargetFolder,
    listing: Listing,
    doomed: Vec<Doomed>,
    /// Whether the history could tell of it.
    end: End,
    lock: Option<Lock>,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &args::Delete) -> Result<End> {
    let (config, output) = (context.repository_config()?, &context.output);
    Repository::open(&config.common.dir)?.check_identity(&config.common.scratch_dir)?;
    let mut named: BTreeMap<String, (TargetFolder, Vec<String>)> = BTreeMap::new();
    for word in &arguments.ids {
        let (folder, id) = meant(&config, word, arguments.force)?;
        let (_, ids) = named.entry(folder.name.clone()).or_insert_with(|| (folder, Vec::new()));
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let watch = Watch::new()?;
    let (stop, _dog) = watch.unlimited();
    // Every lock before the first deletion, always in the order of names.
    let mut works = named.into_values().map(|(folder, ids)| look(&config, folder, ids, arguments, &stop)).collect::<Result<Vec<Work>>>()?;
    let refused = works.iter().flat_map(|work| &work.doomed).find(|doomed| !doomed.against.is_empty() && !arguments.force).map(refusal);
    let ended = match refused {
        Some(refusal) => Err(refusal),
        None if arguments.dry_run => Ok(()),
        None => works.iter_mut().try_for_each(|work| carry_out(output, work, arguments.force, &stop)),
    };
    let end = works.iter().fold(End::Done, |end, work| end.and(work.end));
    tell(output, works, arguments, ended.is_ok())?;
    ended.map(|()| end)
}

/// The backup that a word means, and its target.
fn meant(config: &RepositoryConfig, word: &str, force: bool) -> Result<(TargetFolder, String)> {
    if force && names::parse_backup_id(word).is_none() {
        return Err(Error::usage(format!("--force wants whole names, and '{word}' is none")).hinted("kluis list shows them"));
    }
    let found = find::in_repository(config, word)?;
    let target = found.target.ok_or_else(|| Error::usage("the backup does not lie in the repository"))?;
    Ok((target, found.backup.id))
}

fn look(config: &RepositoryConfig, folder: TargetFolder, ids: Vec<String>, arguments: &args::Delete, stop: &Stop) -> Result<Work> {
    let settings = config.settings_of(&folder.name);
    let lock = if arguments.dry_run { None } else { Some(Lock::take(&folder, settings.lock_timeout, stop)?) };
    if let Some(lock) = &lock {
        staging::sweep(&folder, lock)?;
    }
    let (listing, now) = (Listing::read(&folder)?, Timestamp::now());
    let mut doomed = Vec::with_capacity(ids.len());
    for id in ids {
        // It may have gone before the lock was ours.
        let backup = listing.find(&id, &folder.name)?;
        let against = objections(&listing, &id, settings, now);
        let candidate = candidate(backup);
        let because = words(backup, &against);
        doomed.push(Doomed { target: folder.name.clone(), id, standing: candidate.standing, bytes: candidate.bytes, against, because, deleted: false });
    }
    doomed.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Work { folder, listing, doomed, end: End::Done, lock })
}

/// What speaks against it, for a person.
fn words(backup: &Backup, against: &[Reason]) -> String {
    let one = |reason: &Reason| match (reason, pin_of(backup).and_then(|pin| pin.reason)) {
        (Reason::Pinned, Some(why)) => format!("pinned ({why})"),
        (Reason::Suspended { why }, _) => why.to_string(),
        _ => reason.to_string(),
    };
    against.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn refusal(doomed: &Doomed) -> Error {
    let Doomed { target, id, because, .. } = doomed;
    let unpin =
        if doomed.against.contains(&Reason::Pinned) { format!("kluis unpin {id} --target {target} gives it back to the policy; ") } else { String::new() };
    Error::usage(format!("backup '{id}' of target '{target}' is not deleted: {because}"))
        .hinted(format!("{unpin}kluis delete {id} --target {target} --force deletes it all the same; of those that were named none was deleted"))
}

fn carry_out(output: &Output, work: &mut Work, force: bool, stop: &Stop) -> Result<()> {
    let Some(lock) = &work.lock else { return Ok(()) };
    let ids: Vec<String> = work.doomed.iter().map(|doomed| doomed.id.clone()).collect();
    let (deleted, result) = remove(&ids, &work.listing, &work.folder, lock, stop);
    let forced = force && work.doomed.iter().any(|doomed| !doomed.against.is_empty());
    work.end = note(output, &work.folder, Did::Delete, &deleted, forced);
    work.doomed.iter_mut().for_each(|doomed| doomed.deleted = deleted.contains(&doomed.id));
    result
}

/// Lets the history tell of it. What is done is done: that it cannot be written is a warning.
pub(super) fn note(output: &Output, folder: &TargetFolder, did: Did, backups: &[String], forced: bool) -> End {
    if backups.is_empty() {
        return End::Done;
    }
    match history::note(folder, &Deed { at: Timestamp::now(), did, backups: backups.to_vec(), forced }) {
        Ok(()) => End::Done,
        Err(error) => {
            output.warning(&format!("{}: the history could not be written: {}", folder.name, error.chain()));
            End::Warned
        }
    }
}

fn tell(output: &Output, works: Vec<Work>, arguments: &args::Delete, well: bool) -> Result<()> {
    if output.json {
        return output.json(&Report { dry_run: arguments.dry_run, backups: works.into_iter().flat_map(|work| work.doomed).collect() });
    }
    let mut text = String::new();
    for work in &works {
        let word = |doomed: &Doomed| match (doomed.deleted, doomed.against.is_empty() || arguments.force) {
            (true, _) => Cell::from("deleted").styled(RED),
            (false, true) if arguments.dry_run => Cell::from("delete").styled(RED),
            (false, true) => Cell::from("left"),
            (false, false) => Cell::from("keep").styled(GREEN),
        };
        let row = |doomed: &Doomed| {
            let size = if doomed.bytes > 0 { format_bytes(doomed.bytes) } else { "?".to_owned() };
            vec![Cell::from(&doomed.id), word(doomed), Cell::from(view::word(doomed.standing)), Cell::from(size).right(), Cell::from(&doomed.because)]
        };
        let rows: Vec<Vec<Cell>> = work.doomed.iter().map(row).collect();
        text.push_str(&format!("{}\n{}", output.paint(BOLD, &clean(&work.folder.name)), output.table("  ", &rows)));
        if well {
            let gone: Vec<String> = work.doomed.iter().map(|doomed| doomed.id.clone()).collect();
            let (old, left) = (work.listing.latest(), work.listing.without(&gone));
            let new = left.latest();
            if old.map(|backup| &backup.id) != new.map(|backup| &backup.id) {
                let tense = if arguments.dry_run { "would then be" } else { "is now" };
                text.push_str(&format!("  latest {tense} {}\n", new.map_or("none: no backup can be relied upon", |backup| backup.id.as_str())));
            }
        }
    }
    output.print(&text)
}
