//! The doctor's look at the repository. It owns what is worth a remark there; it leaves reading to `repository`.
//! Invariant: it writes nothing, and a lock that it takes to see whether it is free it gives back at once.

use super::super::find::{self, Stray};
use super::super::text::{count, time};
use super::Sheet;
use crate::config::{Common, Settings, Target};
use crate::error::{Error, Kind, Result};
use crate::notify::standings;
use crate::past::{Past, signed};
use crate::repository::history::{self, Outcome};
use crate::repository::list::Listing;
use crate::repository::lock::Lock;
use crate::repository::{Repository, TargetFolder, names};
use crate::stop::Stop;
use crate::units::{format_age, format_bytes, format_duration};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// What to do about a maximum age that each run would break.
const TOO_SHORT: &str = "leave BACKUP_MAX_AGE at auto, or set it to more than that";

/// The folder of all backups.
pub fn repository(sheet: &mut Sheet<'_>, common: &Common) -> Result<Option<Repository>> {
    let repository = match Repository::open(&common.dir) {
        Ok(repository) => repository,
        Err(error) => {
            sheet.problem("folder", &error)?;
            return Ok(None);
        }
    };
    if let Err(error) = repository.check_identity(&common.scratch_dir) {
        sheet.problem("identity", &error)?;
    }
    match repository.check_writable() {
        Ok(()) => sheet.ok("folder", "ours and writable")?,
        Err(error) => sheet.problem("folder", &error)?,
    }
    match repository.free_bytes() {
        Ok(free) => sheet.ok("free space", format_bytes(free))?,
        Err(error) => sheet.problem("free space", &error)?,
    }
    match foreign(&repository) {
        Ok(foreign) if foreign.is_empty() => {}
        Ok(foreign) => {
            sheet.warning("foreign files", format!("not ours, and left alone: {}", foreign.join(", ")), "give the repository a folder of its own")?
        }
        Err(error) => sheet.problem("folder", &error)?,
    }
    for standing in standings(&repository, &common.notify.receivers) {
        let finding = format!("{} {}", standing.kind, standing.host);
        match standing.last_reason.filter(|_| standing.failures_in_a_row > 0) {
            Some(reason) => sheet.warning("messages", format!("{finding} could not be told: {reason}"), "kluis notify test tries it again")?,
            None if standing.deliveries == 0 => sheet.ok("messages", format!("{finding} was told nothing so far; kluis notify test tries it"))?,
            None => sheet.ok("messages", format!("{finding} takes them"))?,
        }
    }
    Ok(Some(repository))
}

/// Targets that the configuration does not name. Where one that it names has no backup, somebody may have renamed it.
pub fn strays(sheet: &mut Sheet<'_>, repository: Option<&Repository>, targets: &[Target]) -> Result<()> {
    let Some(repository) = repository else { return Ok(()) };
    let strays = match find::strays(repository, targets.iter().map(|target| target.name.as_str())) {
        Ok(strays) => strays,
        Err(error) => return sheet.problem("other targets", &error),
    };
    let renamed = targets.iter().any(|target| repository.target(&target.name).count().unwrap_or(0) == 0);
    for (what, remedy) in strays.iter().map(Stray::told) {
        if renamed { sheet.warning("other targets", what, &remedy)? } else { sheet.ok("other targets", what)? }
    }
    Ok(())
}

/// What lies in the repository and is neither a target's folder nor the log.
fn foreign(repository: &Repository) -> Result<Vec<String>> {
    let failed = |error| Error::io("read", repository.root(), error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(repository.root()).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let folder = entry.file_type().map_err(failed)?.is_dir();
        // lost+found is the file system's own where the repository is a whole volume.
        let ours = folder && (names::is_target(&name) || name == "log" || name == "lost+found" || name.starts_with('.'));
        if !ours && name != names::IDENTITY {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// What is wrong with the maximum age that was set for a target, by its schedule and, as far as they can be read, its runs.
pub fn too_short(repository: Option<&Repository>, name: &str, settings: &Settings) -> Option<String> {
    settings.max_age?;
    let folder = repository.map(|repository| repository.target(name)).filter(|folder| folder.exists().is_ok_and(|there| there));
    let history = folder.and_then(|folder| history::read(&folder).ok()).unwrap_or_default();
    Past::of(&history, &Listing::default()).too_short(settings, Timestamp::now())
}

/// One target's folder, its last backup and its schedule.
pub fn target(sheet: &mut Sheet<'_>, repository: Option<&Repository>, target: &Target, common: &Common, stop: &Stop) -> Result<()> {
    if let Some(repository) = repository {
        let folder = repository.target(&target.name);
        match folder.exists() {
            Ok(true) => backups(sheet, &folder, target, common, stop)?,
            Ok(false) => sheet.warning("backups", "none yet", "kluis backup makes the first one")?,
            Err(error) => sheet.problem("backups", &error)?,
        }
    }
    if let Some(short) = too_short(repository, &target.name, &target.settings) {
        sheet.warning("maximum age", short, TOO_SHORT)?;
    }
    let next = target.settings.schedule.next_after(Timestamp::now()).map_or_else(|| "never".to_owned(), |at| time(at, &common.time_zone));
    sheet.ok("schedule", format!("{}; next: {next}", target.settings.schedule.describe()))
}

fn backups(sheet: &mut Sheet<'_>, folder: &TargetFolder, target: &Target, common: &Common, stop: &Stop) -> Result<()> {
    if let Err(error) = folder.check_writable() {
        sheet.problem("backups", &error)?;
    }
    let listing = match Listing::read(folder) {
        Ok(listing) => listing,
        Err(error) => return sheet.problem("backups", &error),
    };
    age(sheet, &listing, &Past::of(&history::read(folder).unwrap_or_default(), &listing), target)?;
    let bad: Vec<&str> = listing.backups.iter().filter(|backup| !backup.is_relied_upon()).map(|backup| backup.id.as_str()).collect();
    if !bad.is_empty() {
        sheet.warning(
            "backups",
            format!("cannot be relied on: {}", bad.join(", ")),
            "kluis show ID says why; look at the disk, and verify the others: kluis verify --all",
        )?;
    }
    if !listing.foreign.is_empty() {
        sheet.warning("foreign files", format!("not ours, and left alone: {}", listing.foreign.join(", ")), "move them out of the target's folder")?;
    }
    match Lock::take(folder, Duration::ZERO, stop) {
        Ok(lock) => {
            drop(lock);
            if !listing.leftovers.is_empty() {
                sheet.warning(
                    "leftovers",
                    format!("a run died and left {}", listing.leftovers.join(", ")),
                    "nothing needs to be done: the next run sweeps it away",
                )?;
            }
        }
        Err(error) if error.kind() == Kind::Locked => sheet.ok("lock", "a run is in progress")?,
        Err(error) => sheet.problem("lock", &error)?,
    }
    match history::read(folder) {
        Ok(runs) => match runs.iter().rev().find(|run| run.outcome != Outcome::Skipped) {
            Some(run) if run.outcome == Outcome::Failed => {
                let step = run.step.as_ref().map(|step| format!(" in step '{step}'")).unwrap_or_default();
                let finding = format!("failed at {}{step}: {}", time(run.finished, &common.time_zone), run.message.as_deref().unwrap_or("unknown"));
                sheet.warning("last run", finding, "see to the cause, then: kluis backup; until it succeeds nothing is deleted")
            }
            _ => Ok(()),
        },
        Err(error) => sheet.problem("last run", &error),
    }
}

fn age(sheet: &mut Sheet<'_>, listing: &Listing, past: &Past, target: &Target) -> Result<()> {
    if let Some(ahead) = listing.backups.iter().rfind(|backup| backup.ahead) {
        let finding = format!("{} is dated in the future: it counts for nothing until then", ahead.id);
        sheet.warning("clock", finding, "look at this machine's clock; a second run that agrees with it lets the policy delete again")?;
    }
    let Some(latest) = listing.latest() else {
        return match listing.backups.len() {
            0 => sheet.warning("backups", "none yet", "kluis backup makes the first one"),
            _ => sheet.problem(
                "backups",
                &Error::new(Kind::Verification, "none of those there are can be relied on")
                    .hinted("kluis backup makes a new one; kluis show ID says what is wrong"),
            ),
        };
    };
    let now = Timestamp::now();
    let (age, limit) = (now.duration_since(latest.at()).max(SignedDuration::ZERO), past.max_age(&target.settings, now));
    let finding = format!("{}, the latest {} of {}", count(listing.backups.len() as u64, "backup"), latest.id, format_age(age));
    if age > signed(limit) {
        let error = Error::new(Kind::Stale, format!("{finding}, which is older than the {} of BACKUP_MAX_AGE", format_duration(limit)));
        return sheet.problem("backups", &error.hinted("kluis backup makes a new one; find out why the schedule did not"));
    }
    sheet.ok("backups", finding)
}
