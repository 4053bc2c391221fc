//! Runs that must not fail, or must fail in few words: many objects, few locks, rights that cannot be had, a catalogue that takes its time.

use crate::support::cluster::Cluster;
use crate::support::kluis::kluis;
use crate::support::new_folder;
use crate::support::repo::Repo;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn what_a_role_may_not_read_is_told_in_few_words_however_much_it_is() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo, role) = (cluster.database("closed"), Repo::new(), cluster.role("backup"));
    database.sql("DO $$ BEGIN FOR i IN 1..3000 LOOP EXECUTE format('CREATE TABLE t%s ()', i); END LOOP; END $$");
    let log = repo.root.join("kluis.log");
    let refused = |words: &[&str]| kluis(words).of(&database).role(&role).keeping(&repo).env("BACKUP_LOG", &log).run();
    let ended = refused(&["backup"]);
    let ended = ended.failed(10, &["3,000 obstacles are in its way", "and 2,950 more", &format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};")]);
    assert!(ended.stderr.lines().count() < 100, "{} lines", ended.stderr.lines().count());
    for words in [&["backup", "--json"][..], &["backup", "--dry-run"], &["doctor", "--json"]] {
        let ended = refused(words);
        assert!(ended.code == Some(10) && ended.stderr.len() + ended.stdout.len() < 20_000, "{words:?}: {} bytes", ended.stderr.len() + ended.stdout.len());
    }
    let history = std::fs::read_to_string(repo.folder().join("history.jsonl")).unwrap();
    assert!(history.lines().all(|line| line.len() < 6000), "{} bytes", history.len());
    assert!(std::fs::read_to_string(&log).unwrap().lines().all(|line| line.len() < 6000));
    // Nothing that is over in a moment.
    assert_eq!(repo.latest_run(), ("failed".to_owned(), "refused".to_owned()));
}

#[test]
fn row_security_that_is_forced_upon_the_owner_can_be_lifted_by_the_owner() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo, role) = (cluster.database("forced"), Repo::new(), cluster.role("owner"));
    database.sql(&format!(
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1); ALTER TABLE t OWNER TO {role}; ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY"
    ));
    let backup = || kluis(&["backup"]).of(&database).role(&role).keeping(&repo).run();
    let ended = backup();
    ended.failed(10, &["being forced upon its owner", "ALTER TABLE public.t NO FORCE ROW LEVEL SECURITY;"]);
    database.sql(&format!("SET ROLE {role}; ALTER TABLE t NO FORCE ROW LEVEL SECURITY"));
    assert!([Some(0), Some(3)].contains(&backup().code));
}

#[test]
fn a_restore_speaks_of_what_was_typed_and_not_of_the_settings_of_a_backup() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, there, repo, role) = (cluster.database("typed"), cluster.database("there"), Repo::new(), cluster.role("typist"));
    database.sql("CREATE TABLE t AS SELECT 1 AS id");
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    let restore = |words: &[&str]| kluis(&[&["restore", "latest", "--to", &there.url()], words].concat()).keeping(&repo).into(&cluster).env("PGUSER", &role);
    let asked = restore(&[]).run().failed(10, &["the server asks for a password", "set PGPASSWORD or PGPASSWORD_FILE"]);
    let wrong = restore(&[]).env("PGPASSWORD", "wrong").run().failed(10, &["the user in --to and PGPASSWORD"]);
    let nobody = restore(&["--clean", "--yes"]).run();
    for ended in [&asked, &wrong, &nobody] {
        assert!(!ended.stderr.contains("DB_"), "{ended:#?}");
    }
    kluis(&["backup"]).of(&database).keeping(&repo).env("DB_USERNAME", &role).run().failed(10, &["set DB_PASSWORD or DB_PASSWORD_FILE"]);
}

/// Where there is room for one lock on every table there is a backup: the coordinator locks them when pg_dump has ended, the workers' locks do not add up,
/// and the large objects need none.
#[test]
fn a_dump_of_many_tables_needs_no_more_room_for_locks_than_it_has_to() {
    // Room for 1,200 locked objects and twice as many locks, and what is left over of the server's shared memory.
    const SMALL: [&str; 3] = ["max_connections=15", "max_worker_processes=4", "max_wal_senders=2"];
    let Some(cluster) = Cluster::own(16, &[&SMALL[..], &["max_locks_per_transaction=48"]].concat()) else { return };
    let (database, repo) = (cluster.database("many"), Repo::new());
    database
        .sql("DO $$ BEGIN FOR i IN 1..1700 LOOP EXECUTE format('CREATE TABLE t%s AS SELECT 1 AS id', i); IF i % 100 = 0 THEN COMMIT; END IF; END LOOP; END $$");
    database.sql("SELECT lo_create(0)");
    database.pg_dump(&["--schema-only"]);
    // Nothing is locked while pg_dump begins: what is truncated then has lost its rows, which the snapshot holds.
    let once = new_folder("once").join("done");
    let truncate = format!(
        "case \"$*\" in *--snapshot*) mkdir '{}' 2>/dev/null && '{}' -Xq -c 'SET default_transaction_read_only = off' -c 'TRUNCATE t1' -c 'INSERT INTO t1 VALUES (1), (2)' -d '{}' ;; esac",
        once.display(),
        cluster.bin().join("psql").display(),
        database.name
    );
    let bin = programs(&cluster, "pg_dump", &truncate);
    kluis(&["backup"]).of(&database).keeping(&repo).env("BACKUP_JOBS", "4").env("BACKUP_PG_BIN", bin).run().done();
    assert!(once.exists());
    let manifest = crate::support::repo::manifest(&repo.newest());
    let rows = |name: &str| manifest.tables.iter().find(|table| table.name == name).map(|table| table.rows);
    assert_eq!((rows("t1"), rows("t2"), manifest.tables.len()), (Some(2), Some(1), 1700));
    // A restore needs none of it at the same time.
    let again = crate::support::cluster::Database { cluster: cluster.clone(), name: "again".to_owned() };
    kluis(&["restore", "latest", "--create", "--to", &again.url()]).keeping(&repo).into(&cluster).run().done();
    assert_eq!(again.value("SELECT count(*) FROM t1, t1700"), "2");
    cluster.sql("postgres", "DROP DATABASE again");
    // Where there is no room at all the setting is named, and a value that does.
    cluster.restart(&[&SMALL[..], &["max_locks_per_transaction=24"]].concat());
    let ended = kluis(&["backup"]).of(&database).keeping(&repo).run();
    let ended = ended.failed(1, &["out of shared memory", "set max_locks_per_transaction = "]);
    let value = ended.stderr.split("max_locks_per_transaction = ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    cluster.restart(&[&SMALL[..], &[&format!("max_locks_per_transaction={value}")]].concat());
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
}

/// PostgreSQL's own programs, but for one that is put in front of its namesake.
fn programs(cluster: &Cluster, name: &str, script: &str) -> std::path::PathBuf {
    let folder = new_folder("bin");
    for entry in std::fs::read_dir(cluster.bin()).unwrap().flatten() {
        symlink(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    std::fs::remove_file(folder.join(name)).unwrap();
    std::fs::write(folder.join(name), format!("#!/bin/sh\n{script}\nexec '{}' \"$@\"\n", cluster.bin().join(name).display())).unwrap();
    std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn a_drill_whose_servers_answer_takes_its_time_is_not_stalled() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo) = (cluster.database("slow"), Repo::new());
    database.sql("CREATE TABLE t AS SELECT 1 AS id");
    // The dump's own pg_dump has a snapshot; the drill's has not.
    let slow = programs(&cluster, "pg_dump", "case \"$*\" in *--version*|*--snapshot*) ;; *) sleep 12 ;; esac");
    let run = kluis(&["backup"]).of(&database).keeping(&repo).env("BACKUP_PG_BIN", slow).env("BACKUP_DRILL", "every-backup").env("BACKUP_STALL_TIMEOUT", "6s");
    run.run().done();
    assert_eq!(repo.history().last().unwrap()["proof"], "proven");
}

/// What has_table_privilege says and what pg_dumpall is told are two things: on a hosted server, or behind a pooler.
#[test]
fn password_hashes_that_are_refused_after_all_are_left_out_and_said_to_be() {
    let Some(cluster) = Cluster::of(17) else { return };
    let (database, repo, weak) = (cluster.database("hosted"), Repo::new(), cluster.role("weak"));
    database.sql("CREATE TABLE t AS SELECT 1 AS id");
    // The server itself refuses: as the weak role, until no passwords are asked for.
    let bin = programs(
        &cluster,
        "pg_dumpall",
        &format!("case \"$*\" in *--version*|*--no-role-passwords*) ;; *) PGOPTIONS=\"$PGOPTIONS -c role={weak}\"; export PGOPTIONS ;; esac"),
    );
    let ended = kluis(&["backup"]).of(&database).keeping(&repo).env("BACKUP_PG_BIN", bin).run().warned(&["role passwords are not in the globals"]);
    assert_eq!(ended.stderr.matches("role passwords are not in the globals").count(), 1, "{}", ended.stderr);
    let manifest = crate::support::repo::manifest(&repo.newest());
    assert!(
        !manifest.server.role_passwords && manifest.not_included.iter().any(|missing| missing.object == "passwords of roles"),
        "{:?}",
        manifest.not_included
    );
}
