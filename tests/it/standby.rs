//! A backup taken from a hot standby: it says so, leaves out what a standby cannot read, and restores whole.

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::kluis;
use crate::support::repo::{Repo, manifest};
use crate::support::sql::{Script, assert_same};
use crate::support::{skip, stock};

/// The first of these majors that has a pg_basebackup, with a standby of its own.
fn pair() -> Option<(Cluster, Cluster)> {
    for major in [17, 15] {
        let Some(primary) = Cluster::own(major, &[]) else { continue };
        if primary.bin().join("pg_basebackup").exists() {
            let standby = primary.standby();
            return Some((primary, standby));
        }
    }
    skip("a backup from a standby: neither PostgreSQL 17 nor 15 has its pg_basebackup", "scripts/fetch-postgres");
    None
}

/// Tables small and large enough for ranges, large objects, a partition, and tables that the log does not know.
const SCHEMA: &str = "
    CREATE TABLE orders (id serial PRIMARY KEY, note text); INSERT INTO orders (note) SELECT repeat(md5(i::text), 20) FROM generate_series(1, 20000) i;
    CREATE TABLE parts (id int, day int) PARTITION BY LIST (day); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
    CREATE UNLOGGED TABLE parts_2 (id int, day int); ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES IN (2);
    INSERT INTO parts SELECT i, 1 + i % 2 FROM generate_series(1, 100) i;
    CREATE UNLOGGED TABLE sessions (id serial PRIMARY KEY, token text); INSERT INTO sessions (token) SELECT md5(i::text) FROM generate_series(1, 500) i;
    SELECT lo_from_bytea(4711, decode(repeat('c0ffee', 1000), 'hex'))";

/// What a primary's pg_dump has to be told, and a standby's does of itself.
const LOGGED: &[&str] = &["--no-unlogged-table-data"];

/// The standby as it has replayed all that the primary has done.
fn caught_up(database: &Database, standby: &Cluster) -> Database {
    standby.catches_up_with(&database.cluster, "false");
    Database { cluster: standby.clone(), name: database.name.clone() }
}

#[test]
fn a_backup_from_a_standby_is_whole_but_for_unlogged_rows() {
    let Some((primary, standby)) = pair() else { return };
    let (shop, repo) = (primary.database("shop"), Repo::new());
    shop.sql(SCHEMA);
    let there = caught_up(&shop, &standby);
    kluis(&["backup", "--jobs", "4"]).of(&there).keeping(&repo).run().warned(&[
        "a standby holds no rows of unlogged tables",
        "public.parts_2",
        "public.sessions",
    ]);
    assert_eq!(standby.value("postgres", "SELECT pg_is_in_recovery()"), "t");

    let backup = repo.newest();
    stock::check(&backup);
    let manifest = manifest(&backup);
    assert!(manifest.server.standby);
    let origin = manifest.origin.clone().expect("the manifest tells where the snapshot lies");
    assert_eq!(origin.system_identifier.unwrap(), primary.value("postgres", "SELECT system_identifier FROM pg_control_system()"));
    // Nothing has happened since it caught up.
    assert_eq!((origin.timeline, origin.wal.unwrap()), (Some(1), standby.value("postgres", "SELECT pg_last_wal_replay_lsn()")));
    assert!(origin.transactions.is_some_and(|seen| seen.ends_with(':')), "a standby lists none in progress");
    let tables: Vec<(&str, u64)> = manifest.tables.iter().map(|table| (table.name.as_str(), table.rows)).collect();
    assert_eq!(tables, [("orders", 20_000), ("parts_1", 50)]);
    assert_eq!((manifest.large_objects.count, manifest.large_objects.bytes), (1, 3000));

    // Back into the primary, by us and by everybody's tools: the same but for those rows.
    // Sequences of a standby are up to 32 values ahead, as after a crash: the log tells no more. So it is compared with itself.
    let logged = Script::parse(&there.pg_dump(&[]));
    let ours = primary.database("ours");
    kluis(&["restore", "latest", "--to", &ours.url()]).keeping(&repo).into(&primary).run().done();
    let psqls = primary.database("psqls");
    stock::restore(&backup, &psqls);
    for restored in [&ours, &psqls] {
        assert_same(("the standby", &logged), (&restored.name, &Script::parse(&restored.pg_dump(LOGGED))));
        assert_eq!(restored.value("SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM parts_2)"), "0");
        assert_eq!(
            restored.value("SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r'"),
            "parts_2 sessions"
        );
        restored.sql("INSERT INTO sessions (token) VALUES ('new'); INSERT INTO orders (note) VALUES ('new')");
    }
    // A drill compares schemas and all rows, and is not misled by tables that came back empty.
    kluis(&["drill", "latest"]).keeping(&repo).tools(&primary).run().done();
}

#[test]
fn a_standby_that_is_promoted_in_the_middle_of_a_backup() {
    let Some((primary, standby)) = pair() else { return };
    let (shop, repo) = (primary.database("shop"), Repo::new());
    shop.sql(SCHEMA);
    let there = caught_up(&shop, &standby);
    let logged = Script::parse(&there.pg_dump(&[]));
    let mut run = kluis(&["backup", "--jobs", "2"]).of(&there).keeping(&repo).env("BACKUP_COMPRESSION", "smallest").start();
    run.hold_when("rows are being written", || repo.script_in_progress() > 20_000);
    assert_eq!(there.value("SELECT pg_promote()"), "t");
    there.sql("DELETE FROM orders; INSERT INTO sessions (token) VALUES ('new')");
    run.go_on();
    run.wait().warned(&["a standby holds no rows of unlogged tables"]);
    assert!(manifest(&repo.newest()).server.standby, "the snapshot was a standby's");
    assert_eq!(manifest(&repo.newest()).origin.unwrap().timeline, Some(1));
    // Right after its promotion it has a timeline of its own, of which its control file knows nothing yet.
    let later = Repo::new();
    kluis(&["backup"]).of(&there).keeping(&later).run().done();
    assert_eq!(manifest(&later.newest()).origin.unwrap().timeline, Some(2));
    let restored = primary.database("restored");
    kluis(&["restore", "latest", "--to", &restored.url()]).keeping(&repo).into(&primary).run().done();
    assert_same(("before", &logged), ("after", &Script::parse(&restored.pg_dump(LOGGED))));
}

#[test]
fn a_backup_that_stands_in_the_way_of_replay_fails_as_a_whole() {
    let Some((primary, _)) = pair() else { return };
    let standby = primary.standby_with(&["max_standby_streaming_delay=0", "max_standby_archive_delay=0", "hot_standby_feedback=off"]);
    let (shop, repo) = (primary.database("shop"), Repo::new());
    shop.sql(SCHEMA);
    // So much that a busy machine, too, meets the run while it reads.
    shop.sql("INSERT INTO orders (note) SELECT md5(i::text) || md5((-i)::text) || md5((i * 7)::text) FROM generate_series(1, 300000) i");
    let there = caught_up(&shop, &standby);
    let mut run = kluis(&["backup", "--jobs", "2"]).of(&there).keeping(&repo).env("BACKUP_COMPRESSION", "smallest").start();
    run.hold_when("rows are being written", || repo.script_in_progress() > 20_000);
    let sessions = standby.sessions_of_kluis();
    // The rows that the snapshot sees are removed for good: the standby may not keep them for us, and ends who could see them.
    shop.sql("DELETE FROM orders WHERE id % 2 = 0; VACUUM orders");
    // Idle sessions are ended at once; those that are sending to us only when we go on reading, and until then the replay waits.
    standby.catches_up_with(&primary, &format!("(SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kluis') < {sessions}"));
    run.go_on();
    run.wait().failed(1, &["conflict with recovery", "max_standby_streaming_delay"]);
    assert_eq!(repo.backups(), [] as [std::path::PathBuf; 0]);
    assert_eq!(repo.leftovers(), [] as [std::path::PathBuf; 0]);
}
