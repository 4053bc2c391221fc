//! `restore --roles`: roles, memberships and settings from the backup, on empty servers and on such that have some of them.

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Kluis, kluis};
use crate::support::repo::Repo;
use crate::support::sql::{Script, assert_same};
use crate::support::{PASSWORD, unique};

/// `kluis restore` of the latest backup into a database.
fn restore(repo: &Repo, into: &Database, more: &[&str]) -> Kluis {
    let url = into.url();
    let words: Vec<&str> = ["restore", "latest", "--to", &url].iter().chain(more).copied().collect();
    kluis(&words).keeping(repo).into(&into.cluster)
}

/// What pg_dumpall says of all roles, statement by statement, with a salt of its own in no line.
fn roles(cluster: &Cluster, more: &[&str]) -> Vec<String> {
    let output = cluster.program("pg_dumpall", "postgres").arg("--roles-only").args(more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    lines.retain(|line| !line.is_empty() && !line.starts_with("--") && !line.starts_with('\\'));
    lines.sort();
    lines
}

/// Roles of every kind. The second name is as odd as names get.
const ROLES: &str = r#"
    CREATE ROLE app_owner NOLOGIN; CREATE ROLE "we ""ird; -- TO" LOGIN NOINHERIT CONNECTION LIMIT 3 VALID UNTIL '2031-02-03 04:05:06+00';
    CREATE ROLE deploy LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS; CREATE ROLE monitor LOGIN; CREATE ROLE boss SUPERUSER;
    GRANT app_owner TO deploy WITH ADMIN OPTION; SET ROLE deploy; GRANT app_owner TO "we ""ird; -- TO"; RESET ROLE;
    GRANT pg_monitor TO monitor; GRANT kluis_with_password TO monitor;
    ALTER ROLE monitor SET work_mem = '7MB'; ALTER ROLE "we ""ird; -- TO" SET search_path = 'a b', public;
    ALTER ROLE ALL SET idle_in_transaction_session_timeout = '11min';
    COMMENT ON ROLE app_owner IS 'it''s a \ ; comment';"#;

fn source(major: u32) -> Option<(Cluster, Database, Repo)> {
    let cluster = Cluster::own(major, &[])?;
    let (database, repo) = (cluster.database_with("shop", ""), Repo::new());
    cluster.sql(
        "postgres",
        &format!("SET password_encryption = 'scram-sha-256'; {ROLES} ALTER ROLE monitor PASSWORD '{PASSWORD}'; ALTER ROLE deploy PASSWORD '{PASSWORD}'"),
    );
    if major >= 16 {
        cluster.sql("postgres", r#"GRANT boss TO monitor WITH INHERIT FALSE, SET FALSE; GRANT SET ON PARAMETER log_min_messages TO monitor"#);
    }
    database.sql(
        r#"ALTER DATABASE shop OWNER TO app_owner; SET ROLE app_owner; CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); INSERT INTO s.t VALUES (1), (2);
        GRANT SELECT ON s.t TO "we ""ird; -- TO"; RESET ROLE; ALTER ROLE monitor IN DATABASE shop SET lock_timeout = '5s'; ALTER DEFAULT PRIVILEGES FOR ROLE deploy GRANT SELECT ON TABLES TO monitor"#,
    );
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    Some((cluster, database, repo))
}

fn text(database: &Database) -> Script {
    Script::parse(&database.pg_dump(&["--create"]))
}

/// Settings of roles in databases: name of the role, settings.
fn in_database(database: &Database) -> String {
    database.value("SELECT string_agg(setrole::regrole || ' ' || setconfig::text, ', ') FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase WHERE datname = current_database()")
}

#[test]
fn one_backup_one_command_an_empty_server() {
    for major in [14, 17] {
        let (Some((cluster, database, repo)), Some(empty)) = (source(major), Cluster::own(major, &[])) else { continue };
        let place = Database { cluster: empty.clone(), name: "shop".to_owned() };
        let before = roles(&empty, &[]);
        restore(&repo, &place, &["--create"]).run().failed(10, &["the server lacks what the backup needs", "role \"app_owner\"", "--roles"]);
        let dry = restore(&repo, &place, &["--create", "--roles", "--dry-run"]).run().done();
        for part in ["role \"monitor\" is made, which may log in", "role \"deploy\" becomes a member of \"app_owner\"", "nothing was changed"] {
            assert!(dry.stdout.contains(part), "{part}: {dry:#?}");
        }
        assert_eq!(roles(&empty, &[]), before);

        restore(&repo, &place, &["--create", "--roles", "--role-passwords"]).run().done();
        assert_same(("source", &text(&database)), ("restored", &text(&place)));
        assert_eq!(roles(&empty, &[]), roles(&cluster, &[]));
        assert_eq!(
            empty.value("postgres", "SELECT setconfig FROM pg_db_role_setting WHERE setrole = 0 AND setdatabase = 0"),
            "{idle_in_transaction_session_timeout=11min}"
        );
        assert_eq!(in_database(&place), in_database(&database));
        let login = empty.program("psql", "shop").env("PGUSER", "monitor").env("PGPASSWORD", PASSWORD).args(["-XAtc", "SHOW work_mem"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&login.stdout), "7MB\n", "{login:?}");

        // Once more, beside it: nothing is made, nothing differs.
        let again = Database { cluster: empty.clone(), name: "again".to_owned() };
        let json = restore(&repo, &again, &["--create", "--roles", "--json"]).run().done();
        assert!(json.stdout.contains("\"roles\": []") || json.stdout.contains("\"roles\":[]"), "{json:#?}");
    }
}

#[test]
fn roles_that_are_there_are_left_alone_and_their_differences_named() {
    let (Some((cluster, _, repo)), Some(other)) = (source(14), Cluster::own(17, &[])) else { return };
    other.sql(
        "postgres",
        "CREATE ROLE monitor SUPERUSER CONNECTION LIMIT 5; ALTER ROLE monitor SET work_mem = '9MB'; ALTER ROLE monitor SET lock_timeout = '1s'; CREATE ROLE deploy LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS",
    );
    let of_monitor = |cluster: &Cluster| roles(cluster, &[]).into_iter().filter(|line| line.contains("monitor")).collect::<Vec<_>>();
    let before = of_monitor(&other);
    let place = Database { cluster: other.clone(), name: "shop".to_owned() };
    let ended = restore(&repo, &place, &["--create", "--roles"]).run().warned(&[
        "role \"monitor\" is there already, and was left as it is; it has SUPERUSER, NOLOGIN, CONNECTION LIMIT 5 instead of -1, another value of work_mem, a setting lock_timeout that the backup's has not, no membership in",
        "\"pg_monitor\"",
        "the setting idle_in_transaction_session_timeout of all roles (ALTER ROLE ALL) is another one on the server",
    ]);
    assert!(!ended.stderr.contains("\"deploy\" is there already") && !ended.stderr.contains("9MB"), "{ended:#?}");
    assert_eq!(of_monitor(&other), before);
    // What is new comes with its memberships, also in what was there.
    let theirs = |cluster: &Cluster| {
        cluster.value("postgres", "SELECT string_agg(member::regrole || ' ' || roleid::regrole || ' ' || admin_option, ', ' ORDER BY 1) FROM pg_auth_members WHERE roleid = 'app_owner'::regrole")
    };
    assert_eq!(theirs(&other), theirs(&cluster));
    assert_eq!(other.value("postgres", "SELECT rolvaliduntil = '2031-02-03 04:05:06+00' FROM pg_roles WHERE rolconnlimit = 3"), "t");

    // Without passwords, into a database that is there: those that could log in are named.
    let Some(third) = Cluster::own(17, &[]) else { return };
    let empty = third.database("there");
    let ended =
        restore(&repo, &empty, &["--roles"]).run().warned(&["roles that may log in were made without a password: \"deploy\", \"monitor\"", "--role-passwords"]);
    assert!(!ended.stderr.contains("we \\\"\\\"ird"), "{ended:#?}");
    assert_eq!(third.value("postgres", "SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL"), "0");
    assert_eq!(in_database(&empty), "monitor {lock_timeout=5s}");
}

#[test]
fn who_may_not_make_roles_is_told_first_and_what_failed_is_taken_away() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (owner, reader) = (unique("owner"), unique("reader"));
    let (source, repo) = (cluster.database("lent"), Repo::new());
    source.sql(&format!("CREATE ROLE {owner}; CREATE ROLE {reader} BYPASSRLS; CREATE SCHEMA o AUTHORIZATION {owner}; CREATE TABLE o.t (id int PRIMARY KEY); ALTER TABLE o.t OWNER TO {owner}; GRANT SELECT ON o.t TO {reader}"));
    kluis(&["backup"]).of(&source).keeping(&repo).run().done();
    source.sql(&format!("DROP OWNED BY {owner}, {reader}; DROP ROLE {owner}, {reader}"));
    let known = || cluster.value("postgres", &format!("SELECT count(*) FROM pg_roles WHERE rolname IN ('{owner}', '{reader}')"));

    let maker = cluster.role("maker");
    let place = cluster.database("borrowed");
    cluster.sql("postgres", &format!("ALTER DATABASE {} OWNER TO {maker}", place.name));
    let by = |words: &[&str]| restore(&repo, &place, words).env("PGUSER", &maker).env("PGPASSWORD", PASSWORD);
    by(&["--roles"]).run().failed(10, &["may not create roles", &owner, "ALTER ROLE", "CREATEROLE", "globals.sql.gz", "nothing was changed"]);
    cluster.sql("postgres", &format!("ALTER ROLE {maker} CREATEROLE"));

    // An event trigger of somebody's in the way: roles and all are taken away again.
    place.sql("CREATE SCHEMA z; CREATE FUNCTION z.no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$; CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION z.no()");
    by(&["--roles"]).run().failed_somehow(1, &["pg_restore"]);
    assert_eq!(known(), "0");
    place.sql("DROP EVENT TRIGGER no; DROP SCHEMA z CASCADE");

    by(&["--roles"]).run().warned(&[&format!("role \"{reader}\" was made without BYPASSRLS")]);
    assert_eq!(known(), "2");
    assert_eq!(place.value("SELECT relowner::regrole FROM pg_class WHERE relname = 't'"), owner);
    // What it lent itself it gave back.
    assert_eq!(cluster.value("postgres", &format!("SELECT pg_has_role('{maker}', '{owner}', 'USAGE')")), "f");
}
