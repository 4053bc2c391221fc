//! Whose backups a target holds: refusing a run that would put another database's beside them, and taking note where an operator says that one goes on
//! where another ended.
//! It owns those two decisions; it leaves comparing to `repository::source`, and asking the server to `preflight`.
//! Invariant: a target without a backup belongs to nobody, and what the server does not tell is no reason to refuse.

use crate::error::{Error, Kind, Result};
use crate::repository::TargetFolder;
use crate::repository::list::{Backup, Listing};
use crate::repository::lock::Lock;
use crate::repository::source::{Adoption, Source};
use jiff::Timestamp;

/// What a target belongs to.
struct Owner<'a> {
    /// Its newest backup that tells what it is of, and that.
    newest: &'a Backup,
    of: Source,
    /// What its next backup has to be of.
    expected: Source,
}

/// What a target belongs to; nothing where it has no backup that tells.
fn owner(listing: &Listing) -> Option<Owner<'_>> {
    let (newest, of) = listing.backups.iter().rev().find_map(|backup| Some((backup, Source::of(backup.manifest.as_ref().ok()?))))?;
    let expected = listing.adoptions.expected(&of);
    Some(Owner { newest, of, expected })
}

/// Refuses what is of another database than the backups of a target.
pub fn check(target: &str, listing: &Listing, live: &Source) -> Result<()> {
    let Some(Owner { newest, expected, .. }) = owner(listing) else { return Ok(()) };
    if expected.may_be(live) {
        return Ok(());
    }
    let (what, when) = if expected.database == live.database {
        ("another cluster", "after a planned move, a major upgrade or a restore into a new server")
    } else {
        ("another database", "where it took that one's place")
    };
    Err(Error::new(Kind::Refused, format!("target '{target}' belongs to {expected}, and this is {what}: {live}; its newest backup is {}", newest.id)).hinted(
        format!(
            "look whether the connection leads where it should, and whether the server has its old volume; another database wants a target of its own \
             (BACKUP_TARGET); {when}: kluis adopt --target {target}"
        ),
    ))
}

/// What came of an adoption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopted {
    /// There is no backup that the target could belong to somebody by: the next run's database becomes its own.
    Unowned,
    /// It was this one's already.
    Already,
    /// It is this one's from now on.
    From(Source),
}

/// Says that the target's backups go on with what is live now.
pub fn adopt(folder: &TargetFolder, listing: &Listing, live: &Source, lock: &Lock) -> Result<Adopted> {
    let Some(Owner { of, expected, .. }) = owner(listing) else { return Ok(Adopted::Unowned) };
    if expected.may_be(live) {
        return Ok(Adopted::Already);
    }
    // From what the backups are of: what was said in between and never backed up is of no matter.
    listing.adoptions.clone().add(folder, Adoption { at: Timestamp::now(), from: of, to: live.clone() }, lock)?;
    Ok(Adopted::From(expected))
}
