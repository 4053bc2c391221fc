//! Databases in other encodings than UTF-8, or in none: names and comments are bytes, and come back as the same bytes.

use crate::support::cluster::{Cluster, Database, MAJORS};
use crate::support::kluis::kluis;
use crate::support::repo::{Repo, manifest};
use crate::support::sql::{Script, assert_same};
use crate::support::{stock, unique};

/// Runs SQL whose bytes are in no encoding.
fn raw(database: &Database, sql: &[u8]) {
    database.cluster.sql_with(&database.name, &[], sql);
}

/// Backs up with a drill, and restores in both ways: both have what stock has.
#[track_caller]
fn comes_back(database: &Database, options: &str) -> Repo {
    let (cluster, repo) = (&database.cluster, Repo::new());
    let ended = kluis(&["backup", "--json"]).of(database).keeping(&repo).env("BACKUP_DRILL", "every-backup").run();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(repo.history().last().unwrap()["proof"], "proven", "{ended:#?}");
    let said = |database: &Database| Script::parse(&database.pg_dump(&[]));
    let ours = Database { cluster: cluster.clone(), name: unique("by_kluis") };
    kluis(&["restore", "latest", "--create", "--to", &ours.url()]).of(database).keeping(&repo).into(cluster).run().done();
    let theirs = cluster.database_with(&unique("by_psql"), options);
    stock::restore(&repo.newest(), &theirs);
    assert_same(("the source", &said(database)), ("kluis restore", &said(&ours)));
    assert_same(("the source", &said(database)), ("gunzip | psql", &said(&theirs)));
    let here = |words: &[&str]| kluis(words).of(database).keeping(&repo).run();
    here(&["compare", "latest"]).done();
    here(&["verify", "latest"]).done();
    repo
}

/// Every sort of name and comment, in bytes that are no UTF-8, beside names that are.
const ODD: &[u8] = b"
    CREATE SCHEMA \"sch\xe9ma\";
    CREATE TYPE \"sch\xe9ma\".\"hum\xe9ur\" AS ENUM ('trist\xe9', 'ok');
    CREATE TABLE \"sch\xe9ma\".\"t\xe9\" (\"c\xe9\" int CONSTRAINT \"p\xe9\" PRIMARY KEY, \"caf\xc3\xa9\" text DEFAULT 'd\xe9faut' CONSTRAINT \"ch\xe9ck\" CHECK (\"caf\xc3\xa9\" <> '\xff'),
        h \"sch\xe9ma\".\"hum\xe9ur\" DEFAULT 'trist\xe9', g text GENERATED ALWAYS AS (\"caf\xc3\xa9\" || '\xe9') STORED, status text CHECK (status IN ('\xe9', 'b')));
    INSERT INTO \"sch\xe9ma\".\"t\xe9\" SELECT i, 'valeur \xe9 ' || i FROM generate_series(1, 500) i;
    CREATE INDEX \"i\xe9\" ON \"sch\xe9ma\".\"t\xe9\" (\"caf\xc3\xa9\");
    CREATE VIEW \"v\xe9\" AS SELECT \"c\xe9\", 'x\xe9' AS lit FROM \"sch\xe9ma\".\"t\xe9\";
    CREATE MATERIALIZED VIEW \"m\xe9\" AS SELECT \"c\xe9\" FROM \"v\xe9\";
    CREATE SEQUENCE \"s\xe9\" START 7; SELECT nextval('\"s\xe9\"');
    CREATE FUNCTION \"f\xe9\"(\"a\xe9\" int DEFAULT 1) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''\xe9''::text';
    CREATE TABLE pure (id int REFERENCES \"sch\xe9ma\".\"t\xe9\"); INSERT INTO pure VALUES (1);
    COMMENT ON TABLE \"sch\xe9ma\".\"t\xe9\" IS 'comment\xe9'; COMMENT ON COLUMN pure.id IS '\x80\xfe';
    SELECT lo_from_bytea(4711, '\\x0102'); COMMENT ON LARGE OBJECT 4711 IS 'obj\xe9t';
";

#[test]
fn a_database_in_no_encoding_comes_back_byte_for_byte() {
    // The oldest, and the newest.
    for major in [MAJORS[0], MAJORS[MAJORS.len() - 1]] {
        let Some(cluster) = Cluster::own(major, &[]) else { continue };
        let database = cluster.database_with(&unique("ascii"), "ENCODING 'SQL_ASCII' LOCALE 'C'");
        // A role of such a name can be made in such a database only.
        raw(&database, b"CREATE ROLE \"propri\xe9taire\"; CREATE ROLE \"lect\xe9ur\" IN ROLE \"propri\xe9taire\"");
        raw(&database, ODD);
        raw(
            &database,
            b"ALTER TABLE \"sch\xe9ma\".\"t\xe9\" OWNER TO \"propri\xe9taire\"; GRANT USAGE ON SCHEMA \"sch\xe9ma\" TO \"propri\xe9taire\"; GRANT SELECT ON pure TO \"lect\xe9ur\"; ALTER LARGE OBJECT 4711 OWNER TO \"propri\xe9taire\"",
        );
        let repo = comes_back(&database, "ENCODING 'SQL_ASCII' LOCALE 'C'");
        let text = std::fs::read_to_string(repo.newest().join("contents.json")).unwrap();
        assert!(text.contains("\"sch\u{10fee9}ma\"") && text.contains("caf\u{e9}") && text.contains("propri\u{10fee9}taire"), "{text}");
        let shown = kluis(&["show", "latest", "--tables"]).of(&database).keeping(&repo).run().done();
        assert!(shown.stdout.contains("sch\\xE9ma.t\\xE9"), "{}", shown.stdout);
        // What was changed is seen, and named.
        raw(&database, b"DELETE FROM \"sch\xe9ma\".\"t\xe9\" WHERE \"c\xe9\" = 500");
        let compared = kluis(&["compare", "latest"]).of(&database).keeping(&repo).run();
        assert!(compared.code == Some(3) && compared.stdout.contains("sch\\xE9ma.t\\xE9"), "{compared:#?}");
        assert!(manifest(&repo.newest()).tables.iter().all(|table| table.units > 0 || table.rows == 0));
    }
}

#[test]
fn large_objects_with_comments_and_owners_in_the_databases_own_encoding() {
    for (major, encoding, letter) in [(13, "LATIN1", "é"), (18, "LATIN1", "é"), (16, "EUC_JP", "語")] {
        let Some(cluster) = Cluster::own(major, &[]) else { continue };
        let options = format!("ENCODING '{encoding}' LOCALE 'C'");
        let database = cluster.database_with(&unique("own"), &options);
        database.sql(&format!(
            "SET client_encoding = 'UTF8'; CREATE ROLE \"rol{letter}\"; CREATE ROLE \"lit{letter}\"; CREATE TABLE \"t{letter}\" AS SELECT '{letter}' AS \"c{letter}\";
             SELECT lo_create(5); SELECT lo_from_bytea(6, '\\x07'); COMMENT ON LARGE OBJECT 5 IS '{letter}''{letter}'; ALTER LARGE OBJECT 6 OWNER TO \"rol{letter}\";
             GRANT SELECT ON LARGE OBJECT 5 TO \"lit{letter}\""
        ));
        comes_back(&database, &options);
    }
}

/// Owners and rights of a database in another encoding than the one next door, through which it is created.
#[test]
fn a_database_goes_to_an_owner_whose_name_only_its_own_encoding_can_say() {
    for major in [14, 17] {
        let Some(cluster) = Cluster::own(major, &[]) else { continue };
        let (database, repo) = (cluster.database_with(&unique("latin"), "ENCODING 'LATIN1' LOCALE 'C'"), Repo::new());
        database.sql(&format!(
            "SET client_encoding = 'UTF8'; CREATE ROLE \"rol\u{e9}\"; ALTER DATABASE {name} OWNER TO \"rol\u{e9}\"; GRANT CREATE ON DATABASE {name} TO \"rol\u{e9}\";
             COMMENT ON DATABASE {name} IS 'd\u{e9}p\u{f4}t'; ALTER DATABASE {name} SET search_path = 'sch\u{e9}ma'; CREATE TABLE t AS SELECT '\u{e9}' AS x; ALTER TABLE t OWNER TO \"rol\u{e9}\"",
            name = database.name
        ));
        kluis(&["backup"]).of(&database).keeping(&repo).env("BACKUP_DRILL", "every-backup").run().done();
        assert_eq!(repo.history().last().unwrap()["proof"], "proven");
        let restored = Database { cluster: cluster.clone(), name: unique("again") };
        kluis(&["restore", "latest", "--create", "--to", &restored.url()]).of(&database).keeping(&repo).into(&cluster).run().done();
        // Bytes, and not text: next door it is none.
        let of = |name: &str| {
            cluster.value(
                "postgres",
                &format!(
                    "SELECT datdba, md5(shobj_description(oid, 'pg_database')), datacl IS NULL, (SELECT md5(setconfig::text) FROM pg_db_role_setting WHERE setdatabase = d.oid)
                     FROM pg_database d WHERE datname = '{name}'"
                ),
            )
        };
        assert_eq!(of(&restored.name), of(&database.name));
        // Where the role is not, that is said before anything is made.
        let Some(empty) = Cluster::own(major, &[]) else { continue };
        let refused = kluis(&["restore", "latest", "--create", "--to", &restored.url()]).of(&database).keeping(&repo).into(&empty).run();
        refused.failed(10, &["lacks what the backup needs: role", "rol\u{e9}"]);
    }
}

/// The globals of the newest backup.
fn globals(repo: &Repo) -> Vec<u8> {
    std::process::Command::new("gunzip").arg("-c").arg(repo.newest().join("globals.sql.gz")).output().unwrap().stdout
}

#[test]
fn a_role_whose_name_is_in_another_encoding_stops_no_backup_of_the_cluster() {
    let Some(cluster) = Cluster::own(16, &[]) else { return };
    let (database, latin, repo) = (cluster.database("ours"), cluster.database_with("latin", "ENCODING 'LATIN1' LOCALE 'C'"), Repo::new());
    database.sql("CREATE TABLE t AS SELECT 1 AS id; CREATE ROLE plain; CREATE ROLE zebra");
    raw(
        &latin,
        b"SET client_encoding = 'LATIN1'; CREATE ROLE \"rol\xe9\" IN ROLE plain; ALTER ROLE \"rol\xe9\" SET work_mem = '5MB'; ALTER ROLE zebra SET work_mem = '6MB'",
    );
    let backup = || kluis(&["backup"]).of(&database).keeping(&repo).env("BACKUP_DRILL", "every-backup").run();
    let found = || {
        let text = globals(&repo);
        [&b"CREATE ROLE \"rol\xe9\";"[..], b"ALTER ROLE zebra SET work_mem TO '6MB';", b"GRANT plain TO \"rol\xe9\""]
            .map(|words| memchr::memmem::find(&text, words).is_some())
    };
    // A database that takes any byte is asked instead.
    backup().done();
    assert_eq!((repo.history().last().unwrap()["proof"].as_str(), found()), (Some("proven"), [true; 3]));
    // Without one, what pg_dumpall cannot ask for is missing, and that is said.
    cluster.sql("postgres", "ALTER DATABASE latin ALLOW_CONNECTIONS false");
    backup().warned(&["memberships and settings of roles are not in the globals", "rol\\xE9", "ENCODING 'SQL_ASCII'"]);
    let proof = std::fs::read_to_string(repo.newest().join("proof.json")).unwrap();
    assert!(proof.contains("\"verdict\": \"good\"") && proof.contains("memberships and settings of roles"), "{proof}");
    let [made, _, member] = found();
    assert!(made && !member);
    // What is there is whole SQL, also for psql.
    let Some(other) = Cluster::own(16, &[]) else { return };
    let bytes = other.database_with("bytes", "ENCODING 'SQL_ASCII' LOCALE 'C'");
    let mut psql = other.program("psql", &bytes.name);
    let mut psql = psql.args(["-X", "-q", "-f", "-"]).stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut psql.stdin.take().unwrap(), &globals(&repo)).unwrap();
    let said = String::from_utf8_lossy(&psql.wait_with_output().unwrap().stderr).into_owned();
    assert!(said.lines().filter(|line| line.contains("ERROR")).all(|line| line.contains("already exists")) && !said.contains("restricted"), "{said}");
    assert_eq!(other.value("bytes", "SELECT count(*) FROM pg_roles WHERE rolname IN ('plain', 'zebra')"), "2");
}
