//! Why a restore into the throwaway server failed: because of the backup, or because of this machine.
//! It owns that distinction and what to do; what an error says of the machine, `postgres::fault` tells.
//! Invariant: what is not known to be the machine's fault is the backup's: an alarm too many is better than one too few.

use super::Verdict;
use crate::error::{Error, Kind, Result};
use crate::finding::{Cause, Finding};
use crate::postgres::fault::Fault;

/// What a person can do.
pub fn remedy(fault: Fault) -> &'static str {
    match fault {
        Fault::Extension => "install the extension's package",
        Fault::Library => "install the package that has this library",
        Fault::Preload => "install the extension's package: its library has to be loaded when a server starts",
        Fault::Locale => "install the operating system's locale (locales, locales-all)",
        Fault::Icu => "use PostgreSQL programs that were built with ICU",
        Fault::Disk => "free some space, or let BACKUP_SCRATCH_DIR name a larger volume",
        Fault::Memory => "give this service more memory",
        Fault::SharedMemory => "give this service more shared memory",
        Fault::OtherServer => {
            "the restore reaches out for another server, which a drill does not do: create the materialized view WITH NO DATA, or copy those rows into a table"
        }
        Fault::Outside => "the restore reaches for a file or a program outside of the server, which the sandbox of a drill keeps away",
        Fault::Server => "the throwaway server ended: look at the memory and the disk of this machine",
        _ => "look at the memory, the disk and the limits of this machine",
    }
}

fn cause(fault: Fault) -> Cause {
    match fault {
        Fault::Extension | Fault::Library | Fault::Preload => Cause::NoExtension,
        Fault::Locale | Fault::Icu => Cause::NoLocale,
        Fault::Disk | Fault::Memory | Fault::SharedMemory => Cause::NoRoom,
        Fault::OtherServer | Fault::Outside => Cause::Outside,
        _ => Cause::Machine,
    }
}

/// What an error that is the machine's comes to, told in these words.
pub fn finding(error: &Error, text: String) -> Finding {
    Finding::new(Fault::of(error).map_or(Cause::Machine, cause), text)
}

/// The verdict that an error of the restore or the comparison amounts to. `stock` says that PostgreSQL's own restore failed as well.
pub fn verdict(error: Error, stock: bool) -> Result<Verdict> {
    if matches!(error.kind(), Kind::Interrupted | Kind::TimedOut) {
        return Err(error);
    }
    let chain = error.chain();
    if let Some(fault) = Fault::of(&error) {
        return Ok(Verdict::CannotJudge(vec![Finding::new(cause(fault), format!("{chain}: {}", remedy(fault)))]));
    }
    if matches!(error.kind(), Kind::Unreachable | Kind::Refused | Kind::Storage) {
        return Ok(Verdict::CannotJudge(vec![Finding::new(Cause::Machine, chain)]));
    }
    Ok(Verdict::Bad(vec![Finding::new(if stock { Cause::NotRestorable } else { Cause::Restore }, chain)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::fault::Said;

    #[test]
    fn the_machine_or_the_backup() {
        let failed = |fault| {
            let error = Error::new(Kind::Failed, "pg_restore failed").because(Said { text: "(withheld)".to_owned(), fault });
            verdict(error.context("no restore"), true).unwrap()
        };
        assert!(
            matches!(failed(Some(Fault::Extension)), Verdict::CannotJudge(found) if found[0].cause == Cause::NoExtension && found[0].to_string().contains("install the extension's package"))
        );
        assert!(matches!(failed(None), Verdict::Bad(found) if found[0].cause == Cause::NotRestorable));
        assert!(matches!(verdict(Error::new(Kind::Verification, "rows are missing"), false).unwrap(), Verdict::Bad(found) if found[0].cause == Cause::Restore));
        assert!(matches!(verdict(Error::new(Kind::Storage, "full"), false).unwrap(), Verdict::CannotJudge(_)));
        assert!(verdict(Error::new(Kind::Interrupted, "stopped"), false).is_err());
    }
}
