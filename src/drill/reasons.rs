//! Why a restore into the throwaway server failed: because of the backup, or because of this machine.
//! It owns that distinction; the messages are PostgreSQL's own.
//! Invariant: what is not known to be the machine's fault is the backup's: an alarm too many is better than one too few.

use super::Verdict;
use crate::error::{Error, Kind, Result};
use crate::postgres::server_error::ServerError;

/// Messages of PostgreSQL that speak of the machine, and what to do.
const MACHINE: &[(&str, &str)] = &[
    ("could not open extension control file", "install the extension's package"),
    ("is not available", "install the extension's package"),
    ("could not access file", "install the package that has this library"),
    ("could not load library", "install the package that has this library"),
    ("must be loaded via", "the extension needs shared_preload_libraries, which a throwaway server does not have"),
    ("could not create locale", "install the operating system's locale (locales, locales-all)"),
    ("could not open collator", "use PostgreSQL programs that were built with ICU"),
    ("ICU is not supported in this build", "use PostgreSQL programs that were built with ICU"),
    ("collations with different collate and ctype", "install the operating system's locale"),
    ("encoding \"", "use PostgreSQL programs that know this encoding"),
    ("invalid locale name", "install the operating system's locale (locales, locales-all)"),
    ("No space left on device", "free some space, or let BACKUP_SCRATCH_DIR name a larger volume"),
    ("Disk quota exceeded", "free some space, or let BACKUP_SCRATCH_DIR name a larger volume"),
    ("out of memory", "give this service more memory"),
    ("could not resize shared memory", "give this service more shared memory"),
    ("could not connect to server", "the restore reaches for another server (a foreign table in a materialized view): a drill does not"),
    ("could not establish connection", "the restore reaches for another server: a drill does not"),
];

/// The verdict that an error of the restore or the comparison amounts to.
pub fn verdict(error: Error) -> Result<Verdict> {
    if matches!(error.kind(), Kind::Interrupted | Kind::TimedOut) {
        return Err(error);
    }
    let chain = error.chain();
    // 53: insufficient resources (disk, memory, connections); 58: system error outside of PostgreSQL; 57P: the server went down.
    let resources = ServerError::of(&error).is_some_and(|error| ["53", "58", "57"].iter().any(|class| error.sqlstate.starts_with(class)));
    if let Some((_, remedy)) = MACHINE.iter().find(|(words, _)| chain.contains(words)) {
        return Ok(Verdict::CannotJudge(vec![format!("{chain}: {remedy}")]));
    }
    if resources || matches!(error.kind(), Kind::Unreachable | Kind::Storage) {
        return Ok(Verdict::CannotJudge(vec![chain]));
    }
    Ok(Verdict::Bad(vec![chain]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_or_the_backup() {
        let failed = |text: &str| verdict(Error::new(Kind::Failed, "pg_restore failed").because(text.to_owned())).unwrap();
        assert!(matches!(failed("could not execute query: could not open extension control file \"/usr/share/x.control\""), Verdict::CannotJudge(_)));
        assert!(matches!(failed("could not write to file \"base/1\": No space left on device"), Verdict::CannotJudge(_)));
        assert!(matches!(failed("relation \"users\" does not exist"), Verdict::Bad(_)));
        assert!(matches!(verdict(Error::new(Kind::Verification, "rows are missing")).unwrap(), Verdict::Bad(_)));
        assert!(verdict(Error::new(Kind::Interrupted, "stopped")).is_err());
    }
}
