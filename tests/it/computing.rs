//! What a restore computes and does not load: generated columns, CHECKs, entries of indexes, materialized views. What they say may depend on settings, and
//! in every way of restoring these are those of the server and of the database.
//! It owns the settings of expressions; it leaves those that get into a restore's way to `every_setting`, and functions that read tables to `reading`.

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::kluis;
use crate::support::repo::Repo;
use crate::support::{stock, unique};
use std::process::Command;

/// A function that says it is immutable, and obeys settings; what is computed with it. `§` stands for what parts a date's numbers.
const COMPUTED: &str = r"CREATE FUNCTION words(date) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1::text; END $$;
    CREATE TABLE days (d date CHECK (words(d) ~ '[§]'), i interval, z timestamptz, b bytea, f float8, w text GENERATED ALWAYS AS (words(d)) STORED, EXCLUDE USING btree (words(d) WITH =));
    CREATE INDEX by_words ON days ((words(d) || '.'));
    INSERT INTO days SELECT '2026-01-05'::date + n, '1 day 02:03', '2026-01-05 23:30:00+00', '\x00ff', 0.1::float8 + 0.2::float8 FROM generate_series(1, 300) n;
    CREATE MATERIALIZED VIEW seen AS SELECT words(d), i::text, z::text, b::text, f::text, to_tsvector('the cats')::text AS v FROM days WITH DATA";

/// What a session without any setting of its own finds.
fn found(database: &Database) -> String {
    let mut psql = database.cluster.program("psql", &database.name);
    psql.env_remove("PGTZ").env_remove("PGOPTIONS").args(["-X", "-q", "-A", "-t"]);
    for query in [
        "SELECT 'days', w, d::text FROM days ORDER BY d",
        "SELECT 'seen', seen.* FROM seen ORDER BY 2",
        "SET enable_seqscan = off; SET enable_bitmapscan = off",
        "SELECT count(*) FROM days WHERE words(d) || '.' > '' AND words(d) || '.' = w || '.'",
        "SELECT count(*) FROM days WHERE words(d) = w",
    ] {
        psql.args(["-c", query]);
    }
    let output = psql.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The server's own settings: every test server writes dates as `05/01/2026`, intervals as ISO has them, bytes with escapes, and lives in Amsterdam.
#[test]
fn what_is_computed_obeys_the_server() {
    for cluster in [13, 18].into_iter().filter_map(Cluster::of) {
        let (database, repo) = (cluster.database("days"), Repo::new());
        database.sql(&COMPUTED.replace('§', "/"));
        let mut psql = cluster.program("psql", &database.name);
        let refreshed = psql.env_remove("PGTZ").env_remove("PGOPTIONS").args(["-X", "-c", "REFRESH MATERIALIZED VIEW seen"]).output().unwrap();
        assert!(refreshed.status.success(), "{}", String::from_utf8_lossy(&refreshed.stderr));
        let expected = found(&database);
        assert!(expected.contains("seen|06/01/2026|P1DT2H3M|06/01/2026 00:30:00 CET|\\000\\377|0.30000000000000004"), "{expected}");
        // In a drill as well: its CHECK holds under these settings only.
        kluis(&["backup", "--jobs", "2"]).of(&database).keeping(&repo).env("BACKUP_DRILL", "every-backup").run().done();
        let by_psql = cluster.database("by_psql");
        stock::restore(&repo.newest(), &by_psql);
        assert_eq!(found(&by_psql), expected, "psql");
        let made = Database { cluster: cluster.clone(), name: unique("made") };
        kluis(&["restore", "latest", "--create", "--to", &made.url()]).keeping(&repo).into(&cluster).run().done();
        assert_eq!(found(&made), expected, "restore --create");
        // One table, and one beside the living one.
        let one = cluster.database("one");
        one.sql("CREATE FUNCTION words(date) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1::text; END $$");
        let ended = kluis(&["restore", "latest", "--table", "days", "--to", &one.url()]).keeping(&repo).into(&cluster).run();
        assert!(matches!(ended.code, Some(0 | 3)), "{ended:#?}");
        let ended = kluis(&["restore", "latest", "--table", "days", "--as", "copy", "--to", &one.url()]).keeping(&repo).into(&cluster).run();
        assert!(matches!(ended.code, Some(0 | 3)), "{ended:#?}");
        for table in ["days", "copy"] {
            assert_eq!(one.value(&format!("SET DateStyle = 'SQL, DMY'; SELECT count(*) FROM {table} WHERE w = words(d)")), "300", "{table}");
        }
    }
}

/// What was written under one setting, and is computed under another by every restore, is no loss that nobody is told of.
#[test]
fn what_a_restore_on_the_source_computes_otherwise_is_excepted() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo) = (cluster.database("written"), Repo::new());
    database.sql("SET IntervalStyle = 'postgres'; CREATE TABLE t (i interval, w interval GENERATED ALWAYS AS (i + '1 day') STORED); ALTER TABLE t ALTER COLUMN w TYPE text");
    database.sql("SET IntervalStyle = 'postgres'; INSERT INTO t SELECT '1 year 2 mons -3 days' FROM generate_series(1, 5)");
    kluis(&["backup"]).of(&database).keeping(&repo).env("BACKUP_DRILL", "every-backup").run().warned(&["generated column that is computed anew"]);
    assert!(std::fs::read_to_string(repo.newest().join("proof.json")).unwrap().contains("\"generated-column\""));
}

/// The database's own settings come before anything is computed, as `pg_restore --create` has it: by Kluis, in a drill, and as RESTORE.md says.
#[test]
fn what_is_computed_obeys_the_database() {
    for cluster in [14, 18].into_iter().filter_map(Cluster::of) {
        let (database, repo) = (cluster.database("days"), Repo::new());
        let settings = "\"DateStyle\" = 'German'; @ \"IntervalStyle\" = 'sql_standard'; @ \"TimeZone\" = 'Asia/Kathmandu'; @ bytea_output = 'hex'; @ extra_float_digits = 0;
            @ default_text_search_config = 'pg_catalog.simple'; @ app.word = 'it''s'; @ work_mem = '7MB'";
        let set = format!("ALTER DATABASE {} SET ", database.name);
        database.sql(&format!("{set}{}", settings.replace('@', &set)));
        let making = format!("{}; CREATE MATERIALIZED VIEW said AS SELECT current_setting('app.word') AS word", COMPUTED.replace('§', "."));
        let mut psql = cluster.program("psql", &database.name);
        let made = psql.env_remove("PGTZ").env_remove("PGOPTIONS").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", &making]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let expected = found(&database);
        assert!(expected.contains("seen|06.01.2026|1 2:03:00|06.01.2026 05:15:00 +0545|\\x00ff|0.3|'cats':2 'the':1"), "{expected}");
        kluis(&["backup", "--jobs", "2"]).of(&database).keeping(&repo).run().done();
        let drilled = kluis(&["drill", "latest"]).of(&database).keeping(&repo).run().done();
        assert!(drilled.stdout.contains("proven") && !drilled.stdout.contains("except"), "{drilled:#?}");
        let made = Database { cluster: cluster.clone(), name: unique("made") };
        kluis(&["restore", "latest", "--create", "--to", &made.url()]).keeping(&repo).into(&cluster).run().done();
        assert_eq!(found(&made), expected, "restore --create");
        assert_eq!(made.value("SELECT word || current_setting('work_mem') FROM said"), "it's7MB");

        // The commands of RESTORE.md, from the one that makes the database to the one that fills it.
        let guide = std::fs::read_to_string(repo.newest().join("RESTORE.md")).unwrap();
        let commands: Vec<&str> =
            guide.lines().map(str::trim_start).skip_while(|line| !line.starts_with("createdb ")).take_while(|line| !line.contains("ANALYZE")).collect();
        assert_eq!(commands.iter().filter(|line| line.contains("ALTER DATABASE")).count(), 7, "{commands:#?}");
        let mut shell = Command::new("bash");
        let script = format!("set -e -o pipefail; host=$PGHOST port=$PGPORT user=postgres\n{}", commands.join("\n"));
        shell
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", cluster.bin().display()))
            .env("PGHOST", cluster.socket())
            .env("PGPORT", cluster.port().to_string());
        let ran = shell.args(["-c", &script]).current_dir(repo.newest()).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let by_psql = Database { cluster: cluster.clone(), name: format!("{}_restored", database.name) };
        assert_eq!(found(&by_psql), expected, "RESTORE.md");
    }
}

/// A constant of bytea stands in the script as in the inventory, whatever the server's `bytea_output`: here it writes escapes.
#[test]
fn constants_are_written_as_the_inventory_has_them() {
    let Some(cluster) = Cluster::of(14) else { return };
    let (database, repo) = (cluster.database("bytes"), Repo::new());
    // The condition is worded in another way once it was restored, so that the source's own words are looked for.
    database.sql(r"CREATE FUNCTION f() RETURNS bytea LANGUAGE sql BEGIN ATOMIC SELECT '\xdeadbeef'::bytea WHERE 'a'::varchar IN ('a', 'b'); END");
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    let drilled = kluis(&["drill", "latest"]).of(&database).keeping(&repo).run().done();
    assert!(drilled.stdout.contains(" proven: "), "{drilled:#?}");
}
