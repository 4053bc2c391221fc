//! What stands on roles and databases, in a drill: it comes back, and it does not get into the drill's own way.
//! It owns settings, attributes and names of roles, event triggers at login, and values that are objects' numbers.
//! Invariant: each of these databases is equal after a restore, so each of these drills proves its backup.

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Kluis, kluis};
use crate::support::new_folder;
use crate::support::repo::Repo;
use std::io::Read;

#[track_caller]
fn is_proven(database: &Database, repo: &Repo, but: impl Fn(Kluis) -> Kluis) {
    but(kluis(&["backup"]).of(database).keeping(repo)).run().done();
    let drilled = kluis(&["drill"]).keeping(repo).tools(&database.cluster).run();
    assert!(drilled.code == Some(0) && drilled.stdout.contains("proven"), "{drilled:#?}");
}

#[test]
fn settings_and_attributes_of_the_superuser_do_not_stop_a_drill() {
    for major in [13, 18] {
        // Nobody else's: the superuser cannot log in there any more.
        let Some(cluster) = Cluster::own(major, &[]) else { return };
        let database = cluster.database("set");
        cluster.sql("postgres", "CREATE ROLE other; CREATE ROLE boss SUPERUSER LOGIN");
        database.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100); CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t");
        let in_database = format!("ALTER ROLE postgres IN DATABASE {} SET", database.name);
        cluster.sql(
            "postgres",
            &format!(
                "{in_database} default_transaction_read_only = on; {in_database} role = other; {in_database} client_encoding = 'LATIN1';
                {in_database} statement_timeout = '1ms'; ALTER ROLE postgres SET default_transaction_read_only = on; ALTER ROLE postgres SET search_path = nowhere;
                ALTER ROLE postgres SET role = other; ALTER ROLE postgres SET statement_timeout = '1ms'; ALTER ROLE postgres SET log_statement = 'all';
                ALTER ROLE postgres SET session_preload_libraries = 'no_such_library'; ALTER ROLE other SET my.own = 'x';
                ALTER ROLE postgres SET default_transaction_isolation = serializable; ALTER ROLE postgres NOLOGIN"
            ),
        );
        is_proven(&database, &Repo::new(), |kluis| kluis.env("DB_USERNAME", "boss"));
    }
}

#[test]
fn limits_and_strings_of_an_application_do_not_stop_a_backup() {
    for major in [13, 17] {
        let Some(cluster) = Cluster::of(major) else { return };
        let database = cluster.database("limited");
        // Large objects are SQL with strings in it. What runs before a dump looks at each relation, which takes longer than the limit.
        database.sql(
            r"CREATE TABLE t AS SELECT i, 'a\b' AS t FROM generate_series(1, 100) i; SELECT lo_from_bytea(0, '\x00ff5c27'::bytea); COMMENT ON TABLE t IS 'a\b';
            DO $$ BEGIN FOR i IN 1..200 LOOP EXECUTE format('CREATE TABLE other_%s (id int PRIMARY KEY)', i); END LOOP; END $$",
        );
        let limits = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"]
            .map(|name| format!("ALTER DATABASE {} SET {name} = '1ms'; ", database.name));
        cluster.sql("postgres", &format!("{} ALTER DATABASE {} SET standard_conforming_strings = off", limits.concat(), database.name));
        is_proven(&database, &Repo::new(), |kluis| kluis);
    }
}

#[test]
fn a_trigger_at_login_does_not_fire_in_a_drill() {
    for major in [17, 18] {
        let Some(cluster) = Cluster::of(major) else { return };
        let database = cluster.database("login");
        database.sql(&format!(
            "CREATE TABLE logins (at timestamptz, who name); GRANT INSERT ON logins TO PUBLIC;
            CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.logins VALUES (now(), session_user); END';
            CREATE EVENT TRIGGER at_login ON login EXECUTE FUNCTION note(); ALTER EVENT TRIGGER at_login ENABLE ALWAYS;
            ALTER DATABASE {} SET event_triggers = on",
            database.name
        ));
        is_proven(&database, &Repo::new(), |kluis| kluis);
    }
}

#[test]
fn a_value_that_is_the_number_of_a_dropped_object_stays_it() {
    for major in [13, 18] {
        let Some(cluster) = Cluster::own(major, &[]) else { return };
        let database = cluster.database("numbers");
        // The numbers that a new server gives to its first objects, and the kinds of objects that one may name.
        database.sql(
            "CREATE TABLE before (id int PRIMARY KEY); CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE mood AS ENUM ('a');
            CREATE TABLE numbers AS SELECT i AS id, i::oid::regclass AS class, i::oid::regtype AS type, i::oid::regproc AS function, i::oid::regrole AS role
            FROM generate_series(16384, 18000) i WHERE i NOT IN (SELECT oid FROM pg_class UNION SELECT oid FROM pg_type UNION SELECT oid FROM pg_proc UNION SELECT oid FROM pg_roles)",
        );
        assert!(database.value("SELECT count(*) > 1000 FROM numbers WHERE class::text = id::text") == "t");
        is_proven(&database, &Repo::new(), |kluis| kluis);
    }
}

#[test]
fn assertions_see_the_database_as_its_application_does() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo, folder) = (cluster.database("asserted"), Repo::new(), new_folder("assertions"));
    database.sql(&format!(
        "CREATE SCHEMA app; CREATE TABLE app.t AS SELECT '2026-01-01 00:30:00+01'::timestamptz AS at; CREATE TABLE here AS SELECT 1 AS id;
        ALTER DATABASE {0} SET search_path = app, public; ALTER DATABASE {0} SET TimeZone = 'Europe/Amsterdam'",
        database.name
    ));
    std::fs::write(folder.join("1.sql"), "SELECT at::date = '2026-01-01' FROM t; SELECT count(*) = 1 FROM here;").unwrap();
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    let drilled = kluis(&["drill"]).keeping(&repo).tools(&cluster).env("BACKUP_ASSERTIONS", &folder).run();
    assert!(drilled.code == Some(0) && drilled.stdout.contains("proven"), "{drilled:#?}");
}

/// The roles whose name begins like this, as bytes, each with its comment.
fn roles(cluster: &Cluster, database: &str) -> String {
    let bytes = |what: &str| format!("encode(convert_to({what}, getdatabaseencoding()), 'hex')");
    let (name, comment) = (bytes("rolname::text"), bytes("shobj_description(oid, 'pg_authid')"));
    // In a database where each byte is a letter nothing is refused.
    cluster.value(database, &format!("SELECT {name} || ' ' || {comment} FROM pg_roles WHERE rolname ~ '^j' ORDER BY 1"))
}

/// Names of roles are bytes: `made_in` is the encoding of the database in which the role was made, `encoding` that of the one that is backed up.
fn a_role_with_an_umlaut(made_in: &str, encoding: &str) {
    let (Some(cluster), Some(other)) = (Cluster::own(16, &[]), Cluster::own(16, &[])) else { return };
    let options = |encoding: &str| format!("ENCODING '{encoding}' LOCALE 'C'");
    let (maker, database) = (cluster.database_with("maker", &options(made_in)), cluster.database_with("backed_up", &options(encoding)));
    maker.sql("SET client_encoding = 'UTF8'; CREATE ROLE jürgen; COMMENT ON ROLE jürgen IS 'Jürgen';");
    let (letters, oid) = (roles(&cluster, &maker.name), cluster.value(&maker.name, "SELECT oid FROM pg_roles WHERE rolname ~ '^j'"));
    assert_eq!(letters.contains("c3bc"), made_in != "LATIN1", "{letters}");
    let grant = format!(
        "CREATE TABLE t AS SELECT generate_series(1, 10) AS id; DO $$ BEGIN EXECUTE format('GRANT SELECT ON t TO %I', (SELECT rolname FROM pg_roles WHERE oid = {oid})); END $$"
    );
    // As the database itself has it: no conversion on the way.
    database.sql(&format!("SET client_encoding = '{encoding}'; {grant}"));
    let repo = Repo::new();
    is_proven(&database, &repo, |kluis| kluis);

    // And by psql, in any database of the new server that takes the bytes, and then the script.
    let mut globals = Vec::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(repo.newest().join("globals.sql.gz")).unwrap()).read_to_end(&mut globals).unwrap();
    let (there, at) = (other.database_with("maker", &options(made_in)), other.database_with("backed_up", &options(encoding)));
    other.sql_with(&there.name, &["-v", "ON_ERROR_STOP=0"], &globals);
    assert_eq!(roles(&other, &there.name), letters);
    let mut script = Vec::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(repo.newest().join("backed_up.sql.gz")).unwrap()).read_to_end(&mut script).unwrap();
    other.sql_with(&at.name, &[], &script);
    assert_eq!(
        at.value("SELECT count(*) FROM pg_class c, aclexplode(relacl) a JOIN pg_roles r ON r.oid = a.grantee WHERE c.relname = 't' AND rolname ~ '^j'"),
        "1"
    );
}

#[test]
fn a_role_with_an_umlaut_in_databases_of_every_encoding() {
    for (made_in, encoding) in [("UTF8", "LATIN1"), ("LATIN1", "LATIN1"), ("UTF8", "SQL_ASCII"), ("UTF8", "UTF8"), ("UTF8", "WIN1252")] {
        a_role_with_an_umlaut(made_in, encoding);
    }
}
