//! What keeps a backup from being proven: a cause, which is data, and a sentence for people.
//! It owns the list of causes and their words on disk; it leaves finding them to `verify` and `drill`. Pure.
//! Invariant: who decides, decides by the cause; the sentence names objects, and never a row's value.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Why a backup is bad, or cannot be judged on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// A file is not what it was when it was written.
    Files,
    /// The script is not what pg_restore makes of the archive.
    Script,
    /// The globals are damaged, or lack a role or a tablespace that the database needs.
    Globals,
    /// PostgreSQL's own restore cannot bring it back either.
    NotRestorable,
    /// The restore failed.
    Restore,
    /// An object is not as PostgreSQL's own restore makes it.
    Objects,
    /// The restored database's catalogue is not the snapshot's.
    Catalogue,
    /// The rows of a table are not the snapshot's.
    Rows,
    /// The large objects are not the snapshot's.
    LargeObjects,
    /// An index does not hold what its table does.
    Index,
    /// The database's own rights, settings, comment or tablespace are not the snapshot's.
    Properties,
    /// One of the operator's assertions failed.
    Assertion,
    /// Here: no server programs of the backup's major version.
    NoServer,
    /// Here: too little room, on disk or in memory.
    NoRoom,
    /// Here: an extension, or a library of one, is not installed.
    NoExtension,
    /// Here: a locale is not installed.
    NoLocale,
    /// The restore reaches for another server, a file or a program, which a drill keeps from it.
    Outside,
    /// Here: something else of this machine failed.
    Machine,
    /// Something that only a newer version knows.
    #[serde(other)]
    Other,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Cause; 19] = [
        Cause::Files,
        Cause::Script,
        Cause::Globals,
        Cause::NotRestorable,
        Cause::Restore,
        Cause::Objects,
        Cause::Catalogue,
        Cause::Rows,
        Cause::LargeObjects,
        Cause::Index,
        Cause::Properties,
        Cause::Assertion,
        Cause::NoServer,
        Cause::NoRoom,
        Cause::NoExtension,
        Cause::NoLocale,
        Cause::Outside,
        Cause::Machine,
        Cause::Other,
    ];

    /// Whether it says something of the backup; else it says something of the machine that should judge it.
    pub fn is_of_the_backup(self) -> bool {
        self < Cause::NoServer
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Why it matters.
    pub cause: Cause,
    /// What was found, in one line.
    text: String,
}

impl Finding {
    /// A finding of that cause.
    pub fn new(cause: Cause, text: impl Into<String>) -> Finding {
        Finding { cause, text: text.into() }
    }

    /// A finding for each of these texts.
    pub fn all(cause: Cause, texts: impl IntoIterator<Item = String>) -> Vec<Finding> {
        texts.into_iter().map(|text| Finding { cause, text }).collect()
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.cause == Cause::NotRestorable {
            f.write_str("not restorable by PostgreSQL's own tools: ")?;
        }
        f.write_str(&self.text)
    }
}

/// The causes of these findings, each once.
pub fn causes(findings: &[Finding]) -> BTreeSet<Cause> {
    findings.iter().map(|finding| finding.cause).collect()
}

/// The findings as sentences.
pub fn sentences(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_data_and_sentences_follow_from_them() {
        let findings = [Finding::new(Cause::Rows, "a"), Finding::new(Cause::NotRestorable, "b"), Finding::new(Cause::Rows, "c")];
        assert_eq!(causes(&findings), BTreeSet::from([Cause::NotRestorable, Cause::Rows]));
        assert_eq!(sentences(&findings), ["a", "not restorable by PostgreSQL's own tools: b", "c"]);
        assert_eq!(serde_json::to_value(causes(&findings)).unwrap(), serde_json::json!(["not-restorable", "rows"]));
        assert_eq!(serde_json::from_str::<BTreeSet<Cause>>("[\"no-such-cause\", \"rows\"]").unwrap(), BTreeSet::from([Cause::Rows, Cause::Other]));
    }

    #[test]
    fn what_the_machine_lacks_is_told_from_what_the_backup_lacks() {
        let (backup, machine): (Vec<Cause>, Vec<Cause>) = Cause::ALL.into_iter().partition(|cause| cause.is_of_the_backup());
        assert_eq!((backup.last(), machine.first()), (Some(&Cause::Assertion), Some(&Cause::NoServer)));
    }
}
