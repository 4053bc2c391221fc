//! `kluis pin` and `kluis unpin`: take a backup out of the policy's hands, and give it back.
//! It owns what is written into `pinned.json`; it leaves what a pin means to `retention`.
//! Invariant: a pin is changed under the target's lock, and pinning twice loses no reason.

use super::show::{Pin, pin_of};
use super::watch::Watch;
use super::{Context, End, args, find};
use crate::error::{Error, Kind, Result};
use crate::manifest::render;
use crate::repository::lock::Lock;
use crate::repository::{names, staging};
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// How long to wait for a run to end. Longer than a short one takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// What `kluis pin --json` and `kluis unpin --json` print.
#[derive(Debug, Serialize)]
struct Report {
    /// The target.
    target: String,
    /// The backup.
    id: String,
    /// The pin as it is now; null: the policy decides.
    pinned: Option<Pin>,
    /// Whether it was otherwise before.
    changed: bool,
}

/// `kluis pin`
pub fn pin(context: &Context, arguments: &args::Pin) -> Result<End> {
    change(context, &arguments.one.id, |old| match old {
        Some(old) if arguments.reason.is_none() => Some(old),
        _ => Some(Pin { at: Timestamp::now(), reason: arguments.reason.clone() }),
    })
}

/// `kluis unpin`
pub fn unpin(context: &Context, arguments: &args::One) -> Result<End> {
    change(context, &arguments.id, |_| None)
}

fn change(context: &Context, word: &str, new: impl FnOnce(Option<Pin>) -> Option<Pin>) -> Result<End> {
    let (config, output) = (context.repository_config()?, &context.output);
    let found = find::in_repository(&config, word)?;
    let target = found.target.ok_or_else(|| Error::new(Kind::Failed, "the backup does not lie in the repository"))?;
    let watch = Watch::new()?;
    let (stop, _dog) = watch.unlimited();
    let lock = Lock::take(&target, PATIENCE, &stop)?;
    let old = pin_of(&found.backup);
    let (was, new) = (old.is_some(), new(old.clone()));
    let id = &found.backup.id;
    let changed = match &new {
        Some(pin) if old.as_ref().is_none_or(|old| old.at != pin.at) => {
            staging::annotate(&target, id, names::PINNED, &render(pin), &lock)?;
            true
        }
        Some(_) => false,
        None => {
            staging::remove_annotation(&target, id, names::PINNED, &lock)?;
            was
        }
    };
    drop(lock);
    if output.json {
        output.json(&Report { target: target.name.clone(), id: id.clone(), pinned: new, changed })?;
    } else {
        let what = match (new.is_some(), changed) {
            (true, true) => "is pinned: it stays until kluis unpin",
            (true, false) => "was pinned already",
            (false, true) => "is no longer pinned: the policy decides again",
            (false, false) => "was not pinned",
        };
        output.print(&format!("{id} of {} {what}\n", target.name))?;
    }
    Ok(End::Done)
}
