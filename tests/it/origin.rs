//! What the manifest tells of the moment of its snapshot: whose database it is, where the log was, what was seen, by which clocks. What a role may not read is
//! unknown, and ends no run.

use crate::support::cluster::{Cluster, MAJORS};
use crate::support::kluis::kluis;
use crate::support::repo::{Repo, manifest};
use jiff::SignedDuration;
use kluis::manifest::Origin;

/// A position in the log as a number.
fn position(text: &str) -> u64 {
    let (high, low) = text.split_once('/').expect("a position has a slash");
    (u64::from_str_radix(high, 16).unwrap() << 32) + u64::from_str_radix(low, 16).unwrap()
}

/// Whether a transaction is one that a snapshot does not see: in progress, or not yet begun.
fn is_unseen(number: &str, snapshot: &str) -> bool {
    let mut parts = snapshot.split(':');
    let (_, next, in_progress) = (parts.next(), parts.next().expect("a snapshot has an end"), parts.next().expect("a snapshot has a list"));
    number.parse::<u64>().unwrap() >= next.parse().unwrap() || in_progress.split(',').any(|other| other == number)
}

#[test]
fn a_role_that_may_only_read_learns_all_of_it() {
    for major in MAJORS {
        let Some(cluster) = Cluster::of(major) else { continue };
        let (database, reader, repo) = (cluster.database("shop"), cluster.role("reader"), Repo::new());
        let rights = if major >= 14 { "GRANT pg_read_all_data TO" } else { "ALTER TABLE t OWNER TO" };
        // A transaction that began before the snapshot and is still open: the snapshot does not see it.
        database.sql(&format!("CREATE TABLE t AS SELECT 1 AS a; {rights} {reader}; ALTER DATABASE {} SET lc_time = 'C'", database.name));
        let mut open = database.session();
        open.execute("BEGIN; INSERT INTO t VALUES (2)").unwrap();
        let number = open.query("SELECT pg_current_xact_id()::text").unwrap().single().unwrap().to_owned();
        let where_it_is = || position(&cluster.value("postgres", "SELECT pg_current_wal_insert_lsn()"));
        let before = where_it_is();
        let ended = kluis(&["backup"]).of(&database).role(&reader).keeping(&repo).run();
        assert!(matches!(ended.code, Some(0 | 3)), "{major}: {ended:#?}");
        let after = where_it_is();
        open.execute("ROLLBACK").unwrap();

        let manifest = manifest(&repo.newest());
        let Origin { system_identifier, timeline, wal, transactions, machine, locale, computing } = manifest.origin.expect("the manifest tells of it");
        assert_eq!(system_identifier.unwrap(), cluster.value("postgres", "SELECT system_identifier FROM pg_control_system()"), "{major}");
        assert_eq!(timeline, Some(1), "{major}");
        let (wal, seen) = (position(&wal.unwrap()), transactions.unwrap());
        assert!((before..=after).contains(&wal), "{major}: {before:X} {wal:X} {after:X}");
        assert!(is_unseen(&number, &seen), "{major}: {number} in {seen}");
        // Both clocks are this machine's.
        assert!(machine.duration_since(manifest.snapshot).abs() < SignedDuration::from_secs(60), "{major}: {machine} {}", manifest.snapshot);
        // As every test server has them; our own settings and those of psql hide none.
        assert_eq!(computing.get("DateStyle").map(String::as_str), Some("SQL, DMY"), "{major}: {computing:?}");
        assert_eq!((computing.get("TimeZone").map(String::as_str), computing.len()), (Some("Europe/Amsterdam"), 6), "{major}: {computing:?}");
        let text = |name: &Option<String>| name.clone().unwrap_or_else(|| "unknown".to_owned());
        let locale = [&locale.encoding, &locale.collate, &locale.ctype, &locale.messages, &locale.monetary, &locale.numeric, &locale.time].map(text);
        // The database has a word of its own about times.
        assert_eq!(locale, ["UTF8", "C", "C", "C", "C", "C", "unknown"], "{major}");
    }
}

#[test]
fn what_was_revoked_is_unknown_and_ends_no_run() {
    for major in [13, 19] {
        let Some(cluster) = Cluster::of(major) else { continue };
        let (database, reader, repo) = (cluster.database("shop"), cluster.role("reader"), Repo::new());
        let functions = [
            "pg_control_system()",
            "pg_control_checkpoint()",
            "pg_control_recovery()",
            "pg_current_wal_insert_lsn()",
            "pg_last_wal_replay_lsn()",
            "pg_walfile_name(pg_lsn)",
            "pg_current_snapshot()",
        ];
        let revoked: String = functions.iter().map(|name| format!("REVOKE EXECUTE ON FUNCTION pg_catalog.{name} FROM PUBLIC;")).collect();
        database.sql(&format!("CREATE TABLE t AS SELECT 1 AS a; ALTER TABLE t OWNER TO {reader}; {revoked}"));
        let ended = kluis(&["backup"]).of(&database).role(&reader).keeping(&repo).run();
        assert!(matches!(ended.code, Some(0 | 3)), "{major}: {ended:#?}");
        let manifest = manifest(&repo.newest());
        assert_eq!(manifest.rows(), 1);
        let origin = manifest.origin.expect("the manifest tells of it");
        assert_eq!((origin.system_identifier, origin.timeline, origin.wal, origin.transactions), (None, None, None, None), "{major}");
        assert_eq!(origin.locale.collate.as_deref(), Some("C"), "{major}");
        let text = std::fs::read_to_string(repo.newest().join("manifest.json")).unwrap();
        assert!(text.contains("\"system_identifier\": null"), "what is unknown is written as such");
    }
}
