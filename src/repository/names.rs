//! Names in the repository: targets, backups, files.
//! It owns what a good name is; it leaves files to its siblings. Pure.
//! Invariant: a name that passes cannot lead out of its folder, hide, or be taken for one of the repository's own files.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The beginning of the name of a run in progress.
pub const STAGING: &str = ".staging-";
/// The beginning of the name of a backup that is being deleted.
pub const DELETING: &str = ".deleting-";
/// The link to the newest backup that is not known to be bad.
pub const LATEST: &str = "latest";
/// A line a run.
pub const HISTORY: &str = "history.jsonl";
/// From which backup on losses are measured, where somebody said so.
pub const ACCEPTED: &str = "accepted.json";
/// How far the run in progress is.
pub const PROGRESS: &str = ".progress.json";
/// What the sidecar is about to do.
pub const INTENT: &str = ".sidecar.json";
/// The manifest of a backup.
pub const MANIFEST: &str = "manifest.json";
/// What it holds, where the manifest does not say it: since format 2.
pub const CONTENTS: &str = crate::manifest::CONTENTS;
/// What a large manifest of format 1 says in short, noted later.
pub const CONDENSED: &str = "summary.json";
/// How far a backup has been proven.
pub const PROOF: &str = "proof.json";
/// How often proving a backup came to no verdict.
pub const ATTEMPTS: &str = "attempts.json";
/// Where each unit lies.
pub const UNITS: &str = crate::manifest::UNITS;
/// Everything but the tables' rows, in pg_dump's custom format.
pub const SCHEMA: &str = "schema.dump";
/// What the catalogue held.
pub const INVENTORY: &str = "inventory.tsv.gz";
/// Roles, memberships, tablespaces.
pub const GLOBALS: &str = "globals.sql.gz";
/// The hashes, in sha256sum's format.
pub const SUMS: &str = "SHA256SUMS";
/// How to restore.
pub const RESTORE: &str = "RESTORE.md";
/// Present where retention must keep the backup.
pub const PINNED: &str = "pinned.json";

/// What an operator has said of whose backups a target's folder holds.
pub const ADOPTED: &str = "adopted.json";

/// The repository's own id.
pub const IDENTITY: &str = ".repository.json";

/// The folder of the repository in which it is kept what was told to whom.
pub const NOTIFIED: &str = ".notified";

const ID: &str = "%Y%m%dT%H%M%SZ";

/// The name of a backup that began at that time.
pub fn backup_id(started: Timestamp) -> String {
    started.to_zoned(TimeZone::UTC).strftime(ID).to_string()
}

/// The time in a backup's name, if it is one. Exactly the form that [`backup_id`] makes, so that `20260125T030000Z.bak` is foreign.
pub fn parse_backup_id(name: &str) -> Option<Timestamp> {
    let time = DateTime::strptime(ID, name).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    (backup_id(time) == name).then_some(time)
}

/// Whether `name` can be a target's name: `[a-z0-9][a-z0-9._-]{0,62}`, and none of the repository's own names.
pub fn is_target(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let rest = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
    first && rest && name.len() <= 63 && name != "log" && name != LATEST
}

/// The script's file name for a database: its own name where that is harmless, else with `_` for what is not.
pub fn script_file(database: &str) -> String {
    let safe: String = database.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).take(64).collect();
    let safe = safe.trim_start_matches(['.', '-']);
    format!("{}.sql.gz", if safe.is_empty() || format!("{safe}.sql.gz") == GLOBALS { "database" } else { safe })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids() {
        let time: Timestamp = "2026-01-25T03:00:00.9Z".parse().unwrap();
        assert_eq!(backup_id(time), "20260125T030000Z");
        assert_eq!(parse_backup_id("20260125T030000Z"), Some("2026-01-25T03:00:00Z".parse().unwrap()));
        for wrong in [
            "",
            "latest",
            "20260125T030000",
            "20260125T030000Z ",
            "20260125T030000Z.bak",
            "20261325T030000Z",
            "20260230T030000Z",
            "+20260125T030000Z",
            "2026125T030000Z",
            "..",
            "20260125T030060Z",
        ] {
            assert_eq!(parse_backup_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn files() {
        for (database, file) in [
            ("aimtrack", "aimtrack.sql.gz"),
            ("../../etc", "_.._etc.sql.gz"),
            ("a b\nc", "a_b_c.sql.gz"),
            ("", "database.sql.gz"),
            ("...", "database.sql.gz"),
            ("globals", "database.sql.gz"),
            ("-rf", "rf.sql.gz"),
            ("é", "_.sql.gz"),
        ] {
            assert_eq!(script_file(database), file);
        }
    }

    proptest! {
        #[test]
        fn no_name_escapes(name in "\\PC{0,80}") {
            let file = script_file(&name);
            prop_assert!(!file.contains('/') && !file.starts_with('.') && !file.starts_with('-') && file.ends_with(".sql.gz") && file != GLOBALS && file.len() < 100);
            if is_target(&name) {
                prop_assert!(!name.contains('/') && !name.starts_with('.') && name.len() <= 63);
            }
        }

        #[test]
        fn ids_round_trip(second in 0i64..4_000_000_000) {
            let time = Timestamp::from_second(second).unwrap();
            prop_assert_eq!(parse_backup_id(&backup_id(time)), Some(time));
        }
    }
}
