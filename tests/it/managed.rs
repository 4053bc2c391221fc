//! Restores by a role that is no superuser, as on servers that somebody else runs: the bootstrap superuser has another name, and ours may create
//! databases and roles and is a member of the owners.

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Kluis, kluis};
use crate::support::repo::Repo;
use crate::support::sql::{Script, assert_same, assert_same_rows};

/// A server as providers hand it out: `rdsadmin` is the bootstrap superuser, and `postgres`, as whom everybody connects, is none.
fn managed(major: u32) -> Option<Cluster> {
    let cluster = Cluster::own(major, &[])?;
    cluster.sql("postgres", "CREATE ROLE renamer SUPERUSER LOGIN");
    as_role(
        &cluster,
        "renamer",
        "postgres",
        "ALTER ROLE postgres RENAME TO rdsadmin; CREATE ROLE postgres LOGIN CREATEDB CREATEROLE; CREATE ROLE app; CREATE ROLE other; GRANT app TO postgres",
    );
    as_role(&cluster, "rdsadmin", "postgres", if major >= 14 { "DROP ROLE renamer; GRANT pg_read_all_data TO postgres" } else { "DROP ROLE renamer" });
    Some(cluster)
}

/// Runs a script as another role.
#[track_caller]
fn as_role(cluster: &Cluster, role: &str, database: &str, script: &str) -> String {
    let output = cluster.program("psql", database).env("PGUSER", role).args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-c", script]).output().unwrap();
    assert!(output.status.success(), "psql as {role}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Who makes backups: before 14 there is no right to read everything.
fn backs_up(cluster: &Cluster) -> &'static str {
    if as_role(cluster, "rdsadmin", "postgres", "SHOW server_version_num").as_str() < "140000" { "rdsadmin" } else { "postgres" }
}

/// A database of `app`, in which a superuser did what only a superuser can.
fn source(cluster: &Cluster) -> (Database, Repo) {
    let repo = Repo::new();
    as_role(cluster, "postgres", "postgres", "CREATE DATABASE shop TEMPLATE template0 OWNER app");
    as_role(
        cluster,
        "rdsadmin",
        "shop",
        "CREATE EXTENSION hstore; CREATE EXTENSION pgcrypto; CREATE EXTENSION postgres_fdw; CREATE EXTENSION pg_stat_statements; COMMENT ON EXTENSION pgcrypto IS 'ours';
        CREATE SERVER there FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere'); CREATE FOREIGN TABLE far (id int) SERVER there;
        CREATE PUBLICATION everything FOR ALL TABLES; CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER noted ON sql_drop EXECUTE FUNCTION note();
        CREATE TABLE of_other (id int PRIMARY KEY, v text CHECK (v <> '')); INSERT INTO of_other SELECT i, 'v' || i FROM generate_series(1, 100) i; ALTER TABLE of_other OWNER TO other; GRANT REFERENCES ON of_other TO app;
        ALTER DEFAULT PRIVILEGES FOR ROLE other GRANT SELECT ON TABLES TO app; SELECT lo_from_bytea(7, 'seven'); SELECT lo_from_bytea(8, 'eight'); ALTER LARGE OBJECT 8 OWNER TO other; GRANT SELECT ON LARGE OBJECT 8 TO app; GRANT SELECT ON LARGE OBJECT 7 TO postgres; GRANT SELECT ON LARGE OBJECT 8 TO postgres;
        CREATE VIEW slow AS SELECT query, calls FROM pg_stat_statements; GRANT SELECT ON slow TO app; GRANT SELECT ON far TO app",
    );
    as_role(
        cluster,
        "postgres",
        "shop",
        "SET ROLE app; CREATE SCHEMA mine; CREATE TABLE mine.t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, h hstore, other int REFERENCES public.of_other)",
    );
    as_role(
        cluster,
        "rdsadmin",
        "shop",
        "INSERT INTO mine.t (h, other) SELECT 'a=>1', 1 + i % 100 FROM generate_series(1, 500) i; CREATE INDEX ON mine.t USING gin (h); COMMENT ON TABLE mine.t IS 'mine'",
    );
    let database = Database { cluster: cluster.clone(), name: "shop".to_owned() };
    // Passwords, others' foreign servers' user mappings: what the role may not read is announced.
    let ended = kluis(&["backup"]).of(&database).keeping(&repo).env("DB_USERNAME", backs_up(cluster)).run();
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:#?}");
    (database, repo)
}

fn restore(repo: &Repo, into: &Database, more: &[&str]) -> Kluis {
    let url = into.url();
    let words: Vec<&str> = ["restore", "latest", "--to", &url].iter().chain(more).copied().collect();
    kluis(&words).keeping(repo).into(&into.cluster)
}

/// What pg_dump says, as the bootstrap superuser.
fn text(database: &Database) -> Script {
    let output = database.cluster.program("pg_dump", &database.name).env("PGUSER", "rdsadmin").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Script::parse(&output.stdout)
}

/// Names of statements that one has and the other has not.
fn missing(from: &Script, to: &Script) -> Vec<String> {
    from.statements.iter().filter(|statement| !to.statements.contains(statement)).map(|statement| String::from_utf8_lossy(statement).into_owned()).collect()
}

/// How many objects of a user's are in a database, in its schemas and outside of them.
const HELD: &str = "SELECT (SELECT count(*) FROM pg_class WHERE oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace) || ' ' || (SELECT count(*) FROM pg_namespace WHERE oid >= 16384) || ' '
    || (SELECT count(*) FROM pg_proc WHERE oid >= 16384) || ' ' || (SELECT count(*) FROM pg_type WHERE oid >= 16384) || ' ' || (SELECT count(*) FROM pg_largeobject_metadata) || ' '
    || (SELECT count(*) FROM pg_extension) || ' ' || (SELECT count(*) FROM pg_default_acl) || ' ' || (SELECT count(*) FROM pg_operator WHERE oid >= 16384)
    || ' ' || (SELECT string_agg(a::text, ',' ORDER BY a::text) || min(nspowner)::regrole FROM pg_namespace, unnest(coalesce(nspacl, acldefault('n', nspowner))) a WHERE nspname = 'public')";

#[test]
fn what_a_provider_does_not_allow_is_left_out_and_named() {
    for major in [13, 14, 15, 16, 18] {
        let Some(cluster) = managed(major) else { continue };
        let (database, repo) = source(&cluster);
        let before = text(&database);
        let of_all = [
            "left out: EXTENSION postgres_fdw: permission denied to create extension",
            "EXTENSION pg_stat_statements",
            "PUBLICATION everything",
            "EVENT TRIGGER",
            "VIEW public slow",
            "the owner of TABLE public of_other",
            "SERVER there",
            "FOREIGN TABLE public far",
            "LARGE OBJECT 8",
            "DEFAULT PRIVILEGES FOR ROLE",
        ];

        let place = Database { cluster: cluster.clone(), name: "again".to_owned() };
        let ended = restore(&repo, &place, &["--create", "--json"]).run().warned(&of_all);
        assert!(ended.stdout.contains("\"left_out\"") && ended.stdout.contains("EXTENSION postgres_fdw"), "{ended:#?}");
        let after = text(&place);
        assert_same_rows(("source", &before), ("restored", &after));
        // Nothing of a table, a key, a constraint or an index is among what is missing.
        for statement in missing(&before, &after) {
            let first = statement.lines().next().unwrap();
            let expected = [
                " OWNER TO ",
                "EXTENSION",
                "EVENT TRIGGER",
                "PUBLICATION",
                "VIEW",
                "SERVER",
                "FOREIGN TABLE",
                "GRANT",
                "REVOKE",
                "DEFAULT PRIVILEGES",
                "LARGE OBJECT",
                "lo_",
            ];
            assert!(expected.iter().any(|word| first.contains(word)), "{major}: {statement}");
        }
        assert_eq!(
            as_role(
                &cluster,
                "rdsadmin",
                "again",
                "SELECT count(*) FROM pg_constraint WHERE conrelid IN ('mine.t'::regclass, 'of_other'::regclass) AND contype IN ('p', 'f', 'c')"
            ),
            "4"
        );

        // A superuser prepared the database: then all but comments, owners and rights of others comes along.
        let prepared = Database { cluster: cluster.clone(), name: "prepared".to_owned() };
        as_role(&cluster, "postgres", "postgres", "CREATE DATABASE prepared TEMPLATE template0 OWNER app");
        as_role(
            &cluster,
            "rdsadmin",
            "prepared",
            "CREATE EXTENSION hstore; CREATE EXTENSION pgcrypto; CREATE EXTENSION postgres_fdw; CREATE EXTENSION pg_stat_statements; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO app",
        );
        let ended = restore(&repo, &prepared, &[]).run().warned(&["left out: COMMENT ON EXTENSION pgcrypto: must be owner of extension pgcrypto"]);
        for silent in ["COMMENT ON EXTENSION hstore", "left out: EXTENSION", "left out: VIEW", "left out: FOREIGN TABLE", "left out: SERVER"] {
            assert!(!ended.stderr.contains(silent), "{silent}: {ended:#?}");
        }
        assert_same_rows(("source", &before), ("restored", &text(&prepared)));
    }
}

#[test]
fn what_fails_in_a_database_that_was_there_leaves_nothing_behind() {
    for major in [14, 16] {
        let Some(cluster) = managed(major) else { continue };
        let (database, repo) = source(&cluster);
        as_role(
            &cluster,
            "rdsadmin",
            "shop",
            "CREATE EXTENSION cube; CREATE EXTENSION earthdistance; CREATE TABLE mine.needs (id int, e earth); INSERT INTO mine.needs VALUES (1, NULL); ALTER TABLE mine.needs OWNER TO app; GRANT CREATE ON SCHEMA public TO other",
        );
        assert!(matches!(kluis(&["backup"]).of(&database).keeping(&repo).run().code, Some(0 | 3)));
        as_role(&cluster, "postgres", "postgres", "CREATE DATABASE empty TEMPLATE template0 OWNER app");
        as_role(&cluster, "rdsadmin", "empty", "CREATE EXTENSION hstore; CREATE FUNCTION kept() RETURNS int LANGUAGE sql AS 'SELECT 1'");
        let empty = Database { cluster: cluster.clone(), name: "empty".to_owned() };
        let held = || as_role(&cluster, "rdsadmin", "empty", HELD);
        let before = held();
        let ended = restore(&repo, &empty, &[]).run().failed(
            1,
            &[
                "TABLE mine needs",
                "type \"public.earth\" does not exist",
                "it needs EXTENSION earthdistance",
                "have a superuser create in the database",
                "EXTENSION earthdistance",
            ],
        );
        assert!(!ended.stderr.contains("holds a part"), "{ended:#?}");
        assert_eq!(held(), before, "{major}");
        // Nor of one that was made for it, and the one that was to give way is as it was.
        let fresh = Database { cluster: cluster.clone(), name: "fresh".to_owned() };
        restore(&repo, &fresh, &["--create"]).run().failed(1, &["TABLE mine needs", "EXTENSION earthdistance"]);
        restore(&repo, &empty, &["--clean", "--yes"]).run().failed(1, &["TABLE mine needs", "EXTENSION earthdistance"]);
        let databases = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate";
        assert_eq!(as_role(&cluster, "rdsadmin", "postgres", databases), "empty postgres shop");
        assert_eq!(held(), before, "{major}");

        as_role(&cluster, "rdsadmin", "empty", "CREATE EXTENSION cube; CREATE EXTENSION earthdistance");
        restore(&repo, &empty, &[]).run().warned(&["left out: "]);
        assert_same_rows(("source", &text(&database)), ("restored", &text(&empty)));
    }
}

#[test]
fn an_empty_server_of_a_provider_gets_the_roles_too() {
    for major in [15, 16] {
        let (Some(cluster), Some(other)) = (managed(major), managed(major)) else { continue };
        as_role(&cluster, "rdsadmin", "postgres", "CREATE ROLE owner NOLOGIN; CREATE ROLE reader LOGIN; GRANT owner TO postgres; CREATE ROLE mighty SUPERUSER");
        as_role(&cluster, "postgres", "postgres", "CREATE DATABASE lent TEMPLATE template0 OWNER owner");
        as_role(
            &cluster,
            "postgres",
            "lent",
            "SET ROLE owner; CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); INSERT INTO s.t VALUES (1); GRANT USAGE ON SCHEMA s TO reader; GRANT SELECT ON s.t TO reader",
        );
        let (database, repo) = (Database { cluster: cluster.clone(), name: "lent".to_owned() }, Repo::new());
        assert!(matches!(kluis(&["backup"]).of(&database).keeping(&repo).run().code, Some(0 | 3)));
        let place = Database { cluster: other.clone(), name: "lent".to_owned() };
        let ended = restore(&repo, &place, &["--create", "--roles"]).run().warned(&["role \"mighty\" was made without SUPERUSER"]);
        assert!(!ended.stderr.contains("left out"), "{ended:#?}");
        assert_same(("source", &text(&database)), ("restored", &text(&place)));
        assert_eq!(
            as_role(
                &other,
                "rdsadmin",
                "postgres",
                "SELECT pg_get_userbyid(datdba) || pg_has_role('postgres', 'owner', 'USAGE') FROM pg_database WHERE datname = 'lent'"
            ),
            "ownertrue"
        );
    }
}
