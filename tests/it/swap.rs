//! A database that is replaced: what holds it is found first, the new one takes its place whole, and nothing that fails or is killed loses the old one.
//! Beside it what a restore leaves for the planner.

use crate::support::cluster::{Cluster, Database, bin, has_extension};
use crate::support::disk::SmallDisk;
use crate::support::kluis::{Kluis, kluis};
use crate::support::repo::Repo;
use crate::support::{PASSWORD, server_user, skip, unique, wait_until};
use kluis::postgres::quote::{quote_ident, quote_literal};
use rustix::process::Signal;

const SHOP: &str = "CREATE TABLE goods (id int PRIMARY KEY, name text); INSERT INTO goods SELECT i, 'thing ' || i FROM generate_series(1, 2000) i;
    CREATE TABLE state (word text); INSERT INTO state VALUES ('backup')";

/// Makes what is there differ from what was backed up.
const LATER: &str = "UPDATE state SET word = 'old'; CREATE TABLE of_today (id int)";

/// A shop, backed up, and changed since.
fn shop(cluster: &Cluster, name: &str) -> (Database, Repo) {
    let (database, repo) = (cluster.database_with(name, ""), Repo::new());
    database.sql(SHOP);
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    database.sql(LATER);
    (database, repo)
}

fn restore(repo: &Repo, into: &Database, more: &[&str]) -> Kluis {
    let url = into.url();
    let words: Vec<&str> = ["restore", "latest", "--to", &url].iter().chain(more).copied().collect();
    kluis(&words).keeping(repo).into(&into.cluster)
}

/// `old`, or `backup` where the new one is there, of a database that is whole.
#[track_caller]
fn state(database: &Database) -> String {
    assert_eq!(database.value("SELECT count(*) FROM goods"), "2000");
    let state = database.value("SELECT word FROM state");
    assert_eq!(database.value("SELECT to_regclass('public.of_today') IS NOT NULL"), if state == "old" { "t" } else { "f" });
    state
}

/// The databases with a name of ours.
fn ours(cluster: &Cluster) -> Vec<String> {
    cluster.value("postgres", "SELECT datname FROM pg_database WHERE datname ~ '^kluis_(new|old)_[0-9a-f]+_' ORDER BY 1").lines().map(str::to_owned).collect()
}

#[test]
fn a_role_that_may_not_make_a_database_loses_none() {
    for major in [13, 16, 18] {
        let Some(cluster) = Cluster::of(major) else { continue };
        let (role, other) = (cluster.role("maker"), cluster.role("other"));
        let (database, repo) = shop(&cluster, &unique("made"));
        let name = &database.name;
        cluster.sql("postgres", &format!("ALTER DATABASE {name} OWNER TO {role}"));
        database.sql(&format!(
            "ALTER TABLE goods OWNER TO {role}; ALTER TABLE state OWNER TO {role}; ALTER TABLE of_today OWNER TO {role}; ALTER SCHEMA public OWNER TO {role}"
        ));
        // Once more, with these owners.
        database.sql("UPDATE state SET word = 'backup'; DROP TABLE of_today");
        kluis(&["backup"]).of(&database).keeping(&repo).run().done();
        database.sql(LATER);
        let restore = |more: &[&str]| restore(&repo, &database, more).env("PGUSER", &role).env("PGPASSWORD", PASSWORD);
        for how in [&["--clean", "--yes"][..], &["--clean", "--create", "--yes"], &["--clean", "--yes", "--in-place"]] {
            restore(how).run().failed(10, &["may not create databases", "CREATEDB", "nothing was changed"]);
            assert_eq!(state(&database), "old", "{major} {how:?}");
        }
        cluster.sql("postgres", &format!("ALTER ROLE {role} CREATEDB"));
        // Of somebody else, or for somebody else.
        cluster.sql("postgres", &format!("ALTER DATABASE {name} OWNER TO {other}"));
        restore(&["--clean", "--yes"]).run().failed(10, &[&format!("for its owner \"{other}\""), &format!("GRANT \"{other}\" TO \"{role}\"")]);
        restore(&["--clean", "--create", "--yes"]).run().failed(10, &["cannot drop database", &format!("belongs to role \"{other}\"")]);
        cluster.sql("postgres", &format!("ALTER DATABASE {name} OWNER TO {role}"));
        assert_eq!(state(&database), "old");
        restore(&["--clean", "--yes"]).run().done();
        assert_eq!(state(&database), "backup", "{major}");
        database.sql(LATER);
        restore(&["--clean", "--yes", "--in-place"]).run().done();
        assert_eq!((state(&database), ours(&cluster)), ("backup".to_owned(), Vec::new()), "{major}");
    }
}

#[test]
fn what_holds_a_database_is_named_and_odd_names_are_replaced() {
    let Some(cluster) = Cluster::own(16, &["max_prepared_transactions=5"]) else { return };
    let (database, repo) = shop(&cluster, "held");
    let refused = |parts: &[&str]| {
        for how in [&["--clean", "--yes"][..], &["--clean", "--yes", "--in-place"]] {
            restore(&repo, &database, how).run().failed(1, parts);
            assert_eq!(state(&database), "old");
            assert_eq!(ours(&cluster), Vec::<String>::new());
        }
    };
    let guest = database.session();
    refused(&["cannot drop database \"held\": it is in use by test as postgres (pid ", "end the sessions", "nothing was changed"]);
    drop(guest);
    database.sql("BEGIN; INSERT INTO state VALUES ('prepared'); PREPARE TRANSACTION 'half'");
    refused(&["it has prepared transactions: half", "ROLLBACK PREPARED"]);
    database.sql("ROLLBACK PREPARED 'half'");
    database.sql("CREATE SUBSCRIPTION sub CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)");
    refused(&["it has subscriptions: sub", "DROP SUBSCRIPTION"]);
    database.sql("DROP SUBSCRIPTION sub; SELECT pg_create_logical_replication_slot('feed', 'pgoutput')");
    let template0 = Database { cluster: cluster.clone(), name: "template0".to_owned() };
    restore(&repo, &template0, &["--clean"]).run().failed(2, &["'template0' is what every new database is copied from"]);
    restore(&repo, &database, &["--create", "--in-place"]).run().failed_somehow(2, &["--clean"]);

    // A slot of the old database has nothing to tell of the new one: that it goes is said.
    restore(&repo, &database, &["--clean", "--yes"]).run().warned(&["replication slots of the database that is replaced go with it: feed"]);
    assert_eq!(state(&database), "backup");

    // Where everybody else goes in and out, and names of every sort.
    let (postgres, repo) = (Database { cluster: cluster.clone(), name: "postgres".to_owned() }, Repo::new());
    postgres.sql(SHOP);
    kluis(&["backup"]).of(&postgres).keeping(&repo).run().done();
    postgres.sql(&format!(
        "{LATER}; ALTER DATABASE postgres SET work_mem = '7MB'; REVOKE TEMP ON DATABASE postgres FROM PUBLIC; ALTER DATABASE postgres CONNECTION LIMIT 9"
    ));
    let own = "SELECT (SELECT string_agg(item::text, ' ' ORDER BY item::text) FROM unnest(datacl) item), datconnlimit, datallowconn, datistemplate, shobj_description(d.oid, 'pg_database'), (SELECT setconfig::text FROM pg_db_role_setting WHERE setdatabase = d.oid)
        FROM pg_database d WHERE datname = ";
    let before = cluster.value("template1", &format!("{own} 'postgres'"));
    restore(&repo, &postgres, &["--clean", "--yes"]).run().done();
    assert_eq!((state(&postgres), cluster.value("template1", &format!("{own} 'postgres'"))), ("backup".to_owned(), before));
    for name in ["quo\"te 'd' \\ $x", &"é".repeat(31), "kluis_new_0123", "UPPER case"] {
        let odd = cluster.database_with(name, "");
        let quoted = quote_ident(name);
        odd.sql(&format!(
            "{SHOP}; {LATER}; COMMENT ON DATABASE {quoted} IS 'odd'; ALTER DATABASE {quoted} SET work_mem = '7MB'; GRANT CREATE ON DATABASE {quoted} TO pg_monitor;
             ALTER DATABASE {quoted} CONNECTION LIMIT 7; ALTER DATABASE {quoted} IS_TEMPLATE true"
        ));
        let own = format!("{own} {}", quote_literal(name));
        let before = cluster.value("postgres", &own);
        restore(&repo, &odd, &["--clean"]).run().done();
        assert_eq!((state(&odd), cluster.value("postgres", &own)), ("backup".to_owned(), before), "{name}");
    }
    assert_eq!(ours(&cluster), Vec::<String>::new());
}

/// A row that is right in a database of one name only keeps a restore from ending well under any other name.
#[test]
fn a_restore_that_fails_leaves_the_old_database_and_nothing_else() {
    let Some(cluster) = Cluster::of(17) else { return };
    let (database, repo) = (cluster.database("particular"), Repo::new());
    database.sql(&format!("{SHOP}; ALTER TABLE state ADD CHECK (current_database() = '{}')", database.name));
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    database.sql(LATER);
    let there = |name: &str| cluster.value("postgres", &format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'"));
    restore(&repo, &database, &["--clean", "--yes"]).run().failed_somehow(1, &["error:"]);
    assert_eq!((state(&database), ours(&cluster)), ("old".to_owned(), Vec::new()));
    let new = Database { cluster: cluster.clone(), name: unique("another") };
    restore(&repo, &new, &["--create"]).run().failed_somehow(1, &["error:"]);
    assert_eq!(there(&new.name), "0", "a database that was made for nothing is gone");
    restore(&repo, &database, &["--clean", "--yes", "--in-place"]).run().done();
    assert_eq!((state(&database), ours(&cluster)), ("backup".to_owned(), Vec::new()));
}

#[test]
fn a_restore_that_is_killed_leaves_one_whole_database_and_the_next_one_clears_up() {
    let Some(cluster) = Cluster::own(15, &[]) else { return };
    let (database, repo) = shop(&cluster, "killed");
    cluster.sql("postgres", "CREATE DATABASE kluis_new_somebodys; CREATE DATABASE kluis_old_0123456789ab_1_1");
    let clean = || restore(&repo, &database, &["--clean", "--yes"]).env("BACKUP_LOCK_WAIT", "1s");
    let mut watch = cluster.database("watch").session();
    let mut there = |name: &str| {
        !watch
            .query(&format!("SELECT FROM pg_catalog.pg_database WHERE datname ~ '^kluis_{name}_[0-9a-f]+_' AND datname !~ '0123456789ab'"))
            .unwrap()
            .is_empty()
    };

    // Two at a time; one that is killed while it fills the new database; one that finds what that one left.
    let mut first = clean().start();
    first.hold_when("the new database is there", || there("new"));
    clean().run().failed(11, &["another restore into database 'killed' is at work"]);
    first.signal(Signal::KILL);
    first.go_on();
    assert_eq!(first.wait().signal, Some(9));
    assert!(state(&database) == "old" && there("new"));
    let busy = || cluster.value("postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname ~ '^kluis_new_'") != "0";
    wait_until("the killed one's sessions are gone", || !busy());
    // Somebody comes in meanwhile: the new one waits, then goes.
    let mut second = clean().start();
    second.hold_when("the first one's remains are gone, and the second one fills its own", busy);
    let guest = database.session();
    second.go_on();
    second.wait().failed(1, &["could not take the place of 'killed': it is in use by test as postgres", "the old database is as it was"]);
    assert!(state(&database) == "old" && !there("new") && !there("old"));
    drop(guest);
    // A signal is obeyed, and nothing is left.
    let mut third = clean().start();
    third.hold_when("the new database is there", || there("new"));
    third.signal(Signal::INT);
    third.go_on();
    third.wait().failed_somehow(130, &["error:"]);
    assert!(state(&database) == "old" && !there("new"));

    // Whenever it is killed: one of the two is there, whole.
    let usual = clean().run().done().took;
    database.sql(LATER);
    let mut seen = [0, 0];
    for round in 0..12_u32 {
        let running = clean().start();
        // The end, where names change, is looked at more closely.
        std::thread::sleep(if round < 4 { usual * round / 4 } else { usual * (round + 24) / 36 });
        running.signal(Signal::KILL);
        running.wait();
        let state = state(&database);
        seen[usize::from(state == "backup")] += 1;
        if state == "backup" {
            database.sql(LATER);
        }
    }
    assert!(seen[0] > 0, "{seen:?}");
    let ended = clean().run();
    assert!([Some(0), Some(3)].contains(&ended.code), "{ended:#?}");
    assert_eq!((state(&database).as_str(), there("new"), there("old")), ("backup", false, false));
    // Of a replaced database that was not dropped any more.
    let mark = {
        let mut run = clean().start();
        run.hold_when("the new database is there", || there("new"));
        let name = cluster.value("postgres", "SELECT datname FROM pg_database WHERE datname ~ '^kluis_new_[0-9a-f]{12}_'");
        run.go_on();
        run.wait().done();
        name.replace("kluis_new_", "kluis_old_")
    };
    cluster.sql("postgres", &format!("CREATE DATABASE {mark} ALLOW_CONNECTIONS false"));
    clean().run().warned(&[&format!("database '{mark}', which a restore that was killed left behind, was removed")]);
    assert!(!there("old"));
    assert_eq!(cluster.value("postgres", "SELECT count(*) FROM pg_database WHERE datname IN ('kluis_new_somebodys', 'kluis_old_0123456789ab_1_1')"), "2");
}

#[test]
fn without_room_or_with_an_extension_that_is_alone_it_goes_in_place() {
    let Some(major) = [15, 16, 17].into_iter().find(|major| bin(*major).is_some_and(|bin| has_extension(&bin, "pg_cron"))) else {
        return skip("replacing a database with pg_cron", "scripts/setup test");
    };
    let Some(cluster) = Cluster::own(major, &["shared_preload_libraries=pg_cron", "cron.database_name=shop", "cron.host=/nowhere"]) else { return };
    let (database, repo) = (cluster.database_with("shop", ""), Repo::new());
    // Its own process would be a session in it.
    database.sql(&format!("CREATE EXTENSION pg_cron; {SHOP}"));
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    database.sql(LATER);
    let mark = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop'";
    restore(&repo, &database, &["--clean", "--yes"]).run().failed(2, &["extension pg_cron can live in one database of a server only", "--in-place"]);
    assert_eq!(state(&database), "old");
    cluster.restart(&["shared_preload_libraries=pg_cron", "cron.database_name=shop", "cron.host=/nowhere", "cron.launch_active_jobs=off"]);
    cluster.sql("postgres", mark);
    wait_until("pg_cron has left", || cluster.value("postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop'") == "0");
    restore(&repo, &database, &["--clean", "--yes", "--in-place"]).run().done();
    assert_eq!(state(&database), "backup");

    let Some(disk) = SmallDisk::mount("32M") else { return };
    let space = disk.0.join("space");
    std::fs::create_dir(&space).unwrap();
    for folder in [&disk.0, &space] {
        std::os::unix::fs::chown(folder, server_user().map(|(uid, _)| uid), None).unwrap();
    }
    cluster.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", space.display()));
    let (database, repo) = (cluster.database_with("crowded", "TABLESPACE small"), Repo::new());
    database.sql(&format!("{SHOP}; CREATE TABLE big AS SELECT i, repeat(md5(i::text), 8) AS text FROM generate_series(1, 45000) i"));
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    database.sql(LATER);
    restore(&repo, &database, &["--clean", "--yes"]).run().failed(14, &["the server's disk has", "beside the old one", "--in-place", "nothing was changed"]);
    assert_eq!(state(&database), "old");
    restore(&repo, &database, &["--clean", "--yes", "--in-place"]).run().done();
    assert_eq!(state(&database), "backup");
    cluster.sql("postgres", "DROP DATABASE crowded; DROP TABLESPACE small");
}

#[test]
fn what_was_restored_is_analyzed() {
    for major in [14, 18] {
        let Some(cluster) = Cluster::of(major) else { continue };
        let (role, repo) = (cluster.role("analyst"), Repo::new());
        let database = cluster.database("analyzed");
        database.sql(&format!(
            "{SHOP}; CREATE TABLE parted (id int, v text) PARTITION BY HASH (id); CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
             CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1); INSERT INTO parted SELECT i, i FROM generate_series(1, 500) i;
             CREATE MATERIALIZED VIEW many AS SELECT id FROM goods; CREATE TABLE \"odd \"\"name\"\"\" AS SELECT 1 AS id; CREATE TABLE hidden AS SELECT 2 AS id;
             ALTER DATABASE {0} SET default_statistics_target = 17; ALTER DATABASE {0} CONNECTION LIMIT 0",
            database.name
        ));
        kluis(&["backup"]).of(&database).keeping(&repo).run().done();
        let known =
            |database: &Database| database.value("SELECT string_agg(DISTINCT tablename, ',' ORDER BY tablename) FROM pg_stats WHERE schemaname = 'public'");
        let new = Database { cluster: cluster.clone(), name: unique("statistics") };
        let ended = restore(&repo, &new, &["--create", "--json"]).run().done();
        let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(report["analyzed"]["tables"], 6, "{report}");
        assert!(report["analyzed"]["duration_ms"].is_u64() && report["duration_ms"].is_u64(), "{report}");
        assert_eq!(known(&new), "goods,hidden,many,odd \"name\",parted,parted_0,parted_1,state", "{major}");
        // As fine as the database itself wants them.
        assert_eq!(new.value("SELECT array_length(histogram_bounds, 1) FROM pg_stats WHERE tablename = 'goods' AND attname = 'id'"), "18");
        let told = restore(&repo, &new, &["--clean", "--analyze"]).run().done();
        assert!(told.stdout.contains("\n  6 tables analyzed for the planner in "), "{told:#?}");
        assert!(!told.stderr.contains("the planner knows nothing"), "{told:#?}");
        let told = restore(&repo, &new, &["--clean", "--analyze=no"]).run().done();
        assert!(told.stderr.contains("the planner knows nothing") && !told.stdout.contains("analyzed"), "{told:#?}");
        assert_eq!(known(&new), "");
        new.sql("DROP TABLE goods CASCADE");
        restore(&repo, &new, &["--table", "goods", "--analyze"]).run().warned(&["MATERIALIZED VIEW public many"]);
        assert_eq!(known(&new), "goods", "only what was restored");

        // Who may restore rows need not be who may analyze: that is told, and no failure.
        new.sql(&format!(
            "TRUNCATE hidden, parted; GRANT ALL ON hidden, parted, parted_0, parted_1 TO {role}; ALTER TABLE parted_0 OWNER TO {role};
             ALTER DATABASE {} CONNECTION LIMIT -1; GRANT CREATE ON SCHEMA public TO {role}",
            new.name
        ));
        if major < 17 {
            restore(&repo, &new, &["--table", "hidden", "--table", "parted_0", "--analyze"])
                .env("PGUSER", &role)
                .env("PGPASSWORD", PASSWORD)
                .run()
                .warned(&["may not analyze: public.hidden; have their owner run ANALYZE"]);
            assert_eq!(known(&new), "goods,parted_0");
        }
        restore(&repo, &new, &["--clean", "--analyze=perhaps"]).run().failed_somehow(2, &["yes or no"]);
    }
}
