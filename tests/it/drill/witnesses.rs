//! The witnesses of a drill, one by one: what changes in archive and script together is found by the inventory; what no dump brings back is an
//! exception and no fault; what PostgreSQL words in another way is proven.

use super::{Plant, drill, proof, take_script};
use crate::malformed::damage::{Base, Seal, reseal};
use crate::support::cluster::{Cluster, Database, MAJORS};
use crate::support::kluis::kluis;
use crate::support::repo::Repo;
use crate::support::{new_folder, unique};
use kluis::exception::Class;
use kluis::manifest::{Rung, Verdict};
use kluis::repository::names;
use std::path::Path;

fn sql(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql").join(name)).unwrap()
}

/// Backs up and drills a database; its proof, and what the drill printed.
#[track_caller]
fn judged(database: &Database) -> (kluis::manifest::Proof, String) {
    let repo = Repo::new();
    kluis(&["backup"]).of(database).keeping(&repo).run().done();
    let ended = drill(&repo, &database.cluster).run();
    (proof(&repo.newest()), format!("{ended:#?}"))
}

#[track_caller]
fn is_proven(database: &Database) {
    let (proof, ended) = judged(database);
    assert_eq!((proof.rung, proof.verdict, proof.exceptions.as_slice()), (Rung::Restored, Verdict::Good, &[][..]), "{ended}\n{proof:#?}");
    assert!(proof.drill.is_some_and(|facts| facts.inventory), "{ended}");
}

#[test]
fn what_is_worded_in_another_way_is_proven() {
    for major in MAJORS {
        let Some(cluster) = Cluster::of(major) else { continue };
        let database = cluster.database("odd");
        database.sql(&sql("odd-wording.sql"));
        if major >= 14 {
            database.sql(&sql("odd-wording-14.sql"));
        }
        is_proven(&database);
    }
}

/// A change that is made to a copy, of which archive and script are then taken; and what of it the inventory must tell.
pub(super) const CHANGES: &[(&str, &str)] = &[
    ("COMMENT ON TABLE t IS NULL", "comment on public.t:"),
    ("COMMENT ON COLUMN t.a IS 'another'", "comment on public.t.a:"),
    ("COMMENT ON FUNCTION f(int) IS NULL", "comment on public.f(integer):"),
    ("REVOKE GRANT OPTION FOR SELECT ON granted FROM ROLE CASCADE", "relation public.granted: not as in the snapshot (relacl)"),
    ("REVOKE SELECT (a) ON t FROM ROLE", "column public.t a: not as in the snapshot (attacl)"),
    ("ALTER TABLE owned OWNER TO ROLE", "relation public.owned: not as in the snapshot (relowner)"),
    ("ALTER TABLE t ALTER d SET DEFAULT 8", "default of column public.t d:"),
    ("ALTER TABLE t DISABLE TRIGGER fires", "trigger public.t fires: not as in the snapshot (tgenabled)"),
    ("CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 2'", "function public.f(integer): not as in the snapshot (prosrc)"),
    ("ALTER FUNCTION g() SECURITY DEFINER", "function public.g(): not as in the snapshot (prosecdef, proconfig)"),
    ("ALTER FUNCTION g() SET work_mem = '1MB'", "function public.g(): not as in the snapshot (prosecdef, proconfig)"),
    ("DROP USER MAPPING FOR ROLE SERVER srv", "user mapping of ROLE srv:"),
    ("ALTER USER MAPPING FOR PUBLIC SERVER srv OPTIONS (SET secret 'other')", "user mapping of PUBLIC srv: not as in the snapshot (umoptions)"),
    ("ALTER LARGE OBJECT 4711 OWNER TO ROLE", "large object 4711: not as in the snapshot (lomowner)"),
    ("GRANT SELECT ON LARGE OBJECT 4712 TO ROLE", "large object 4712: not as in the snapshot (lomacl)"),
    ("COMMENT ON LARGE OBJECT 4712 IS NULL", "comment on 4712:"),
    ("ALTER TABLE t DROP CONSTRAINT limited, ADD CONSTRAINT limited CHECK (a < 100000)", "constraint limited public.t:"),
    ("DROP INDEX by_b; CREATE INDEX by_b ON t (b DESC)", "index public.by_b: not as in the snapshot (indoption)"),
    ("DROP INDEX by_half; CREATE INDEX by_half ON t (b) WHERE a > 7", "index public.by_half:"),
    ("ALTER POLICY p ON t USING (a > 2)", "policy p public.t: not as in the snapshot (polqual)"),
    ("ALTER TABLE t NO FORCE ROW LEVEL SECURITY", "relation public.t: not as in the snapshot (relforcerowsecurity)"),
    ("CREATE OR REPLACE VIEW v AS SELECT a, b FROM t WHERE a > 1", "rule _RETURN public.v:"),
    ("ALTER TYPE mood ADD VALUE 'meh' BEFORE 'sad'", "labels of enum public.mood:"),
    ("ALTER SEQUENCE s INCREMENT 5", "sequence public.s: not as in the snapshot (seqincrement)"),
    ("ALTER SEQUENCE owned_by OWNED BY NONE", "dependency of public.owned_by"),
    ("ALTER TABLE other SET (fillfactor = 50)", "relation public.other: not as in the snapshot (relreplident, reloptions)"),
    ("ALTER TABLE other REPLICA IDENTITY FULL", "relation public.other: not as in the snapshot (relreplident, reloptions)"),
    ("ALTER TABLE other ALTER b SET STORAGE EXTERNAL", "column public.other b: not as in the snapshot (attstattarget, attstorage)"),
    ("ALTER TABLE other ALTER b SET STATISTICS 7", "column public.other b: not as in the snapshot (attstattarget, attstorage)"),
    ("ALTER PUBLICATION pub SET (publish = 'insert')", "publication pub:"),
    ("ALTER PUBLICATION pub DROP TABLE other", "publication_rel pub public.other:"),
    ("DROP STATISTICS stats", "statistic_ext stats public:"),
    ("ALTER DOMAIN dom DROP CONSTRAINT dom_check", "constraint dom_check public.dom:"),
    ("ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM ROLE", "default privileges of postgres r:"),
    ("ALTER EVENT TRIGGER watch DISABLE", "event_trigger watch: not as in the snapshot (evtenabled)"),
    ("DROP CAST (mood AS int)", "cast public.mood integer:"),
    ("ALTER TEXT SEARCH CONFIGURATION conf DROP MAPPING FOR word", "ts_config_map public.conf"),
    ("DROP RULE noted ON other", "rule noted public.other:"),
    ("ALTER SERVER srv OPTIONS (SET host 'elsewhere')", "foreign_server srv: not as in the snapshot (srvoptions)"),
    ("ALTER SCHEMA second OWNER TO ROLE", "schema second: not as in the snapshot (nspowner, nspacl)"),
    // The last by name: units know their tables by their place.
    ("CREATE TABLE zz_extra ()", "relation public.zz_extra: the restored database has it"),
    ("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) FROM ROLE", "rights on the system's objects pg_proc pg_catalog.pg_ls_dir(pg_catalog.text):"),
];

pub(super) const SOURCE: &str = "
    CREATE TABLE t (a int PRIMARY KEY, b text, d int DEFAULT 7, CONSTRAINT limited CHECK (a < 1000)); INSERT INTO t SELECT i, 'b' || i FROM generate_series(1, 50) i;
    CREATE TABLE granted (); GRANT SELECT ON granted TO ROLE WITH GRANT OPTION; GRANT SELECT (a) ON t TO ROLE; CREATE TABLE owned ();
    CREATE TABLE other (b text); COMMENT ON TABLE t IS 'said'; COMMENT ON COLUMN t.a IS 'said';
    CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'; COMMENT ON FUNCTION f(int) IS 'said'; CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER fires BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION fire();
    CREATE FOREIGN DATA WRAPPER w; CREATE SERVER srv FOREIGN DATA WRAPPER w OPTIONS (host 'here');
    CREATE USER MAPPING FOR ROLE SERVER srv OPTIONS (secret 'x'); CREATE USER MAPPING FOR PUBLIC SERVER srv OPTIONS (secret 'y');
    SELECT lo_from_bytea(4711, 'one'), lo_from_bytea(4712, 'two'); COMMENT ON LARGE OBJECT 4712 IS 'said';
    CREATE INDEX by_b ON t (b); CREATE INDEX by_half ON t (b) WHERE a > 5; ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY p ON t USING (a > 1); CREATE VIEW v AS SELECT a, b FROM t; CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE SEQUENCE s;
    CREATE TABLE owner_of (n int); CREATE SEQUENCE owned_by OWNED BY owner_of.n; CREATE PUBLICATION pub FOR TABLE t, other;
    CREATE STATISTICS stats ON a, b FROM t; CREATE DOMAIN dom AS int CHECK (VALUE > 0); ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO ROLE;
    CREATE FUNCTION watching() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watching();
    CREATE FUNCTION to_int(mood) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE CAST (mood AS int) WITH FUNCTION to_int(mood);
    CREATE TEXT SEARCH CONFIGURATION conf (COPY = simple); CREATE RULE noted AS ON DELETE TO other DO ALSO SELECT 1; CREATE SCHEMA second;
    GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) TO ROLE";

#[test]
fn what_changed_in_archive_and_script_together_is_found_by_the_inventory() {
    let Some(cluster) = Cluster::of(16) else { return };
    let role = unique("witness");
    cluster.sql("postgres", &format!("CREATE ROLE {role}"));
    planted(&cluster, &role, SOURCE, CHANGES, 2);
}

/// Makes the changes to a copy of a database, gives its backup the copy's archive and script, and drills it: it is bad, each change is told, and at most so
/// many other things.
#[track_caller]
pub(super) fn planted(cluster: &Cluster, role: &str, source: &str, changes: &[(&str, &str)], more: usize) {
    let database = cluster.database("witnessed");
    database.sql(&source.replace("ROLE", role));
    let repo = Repo::new();
    kluis(&["backup", "--jobs", "1"]).of(&database).keeping(&repo).run().done();
    let base = Base::read(&repo.newest(), String::new());

    let copy = Database { cluster: cluster.clone(), name: unique("copy") };
    cluster.sql("postgres", &format!("CREATE DATABASE {} TEMPLATE {}", copy.name, database.name));
    // One after the other: a label that was added cannot be used within its transaction.
    copy.sql(&changes.iter().map(|(change, _)| format!("{};\n", change.replace("ROLE", role))).collect::<String>());
    let theirs = Repo::new();
    kluis(&["backup", "--jobs", "1"]).of(&copy).keeping(&theirs).run().done();

    let planted = Repo::at(new_folder("planted"));
    let folder = planted.folder().join(&base.id);
    base.copy_to(&folder);
    std::fs::copy(theirs.newest().join(names::SCHEMA), folder.join(names::SCHEMA)).unwrap();
    take_script(&base, &folder, &theirs.newest());
    Plant::Nothing.carry_out(&base, &folder, &database, role);
    reseal(&base, &folder, Seal::Whole);
    let ended = drill(&planted, cluster).run();
    let proof = proof(&folder);
    assert_eq!((ended.code, proof.verdict), (Some(13), Verdict::Bad), "{ended:#?}");
    let missing: Vec<&str> =
        changes.iter().filter(|(_, told)| !proof.findings.iter().any(|found| found.contains(&told.replace("ROLE", role)))).map(|(_, told)| *told).collect();
    assert!(missing.is_empty(), "not told: {missing:#?}\nof {:#?}", proof.findings);
    // Only what was changed is told.
    let told = |found: &String| changes.iter().any(|(_, told)| found.contains(&told.replace("ROLE", role)));
    let others: Vec<&String> = proof.findings.iter().filter(|found| !told(found)).collect();
    assert!(others.len() <= more, "{others:#?}");
}

#[test]
fn what_no_dump_brings_back_is_an_exception() {
    for major in MAJORS {
        let Some(cluster) = Cluster::of(major) else { continue };
        let database = cluster.database("excepted");
        database.sql(
            "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT i, i % 3 FROM generate_series(1, 9) i;
            CREATE TABLE c (id int REFERENCES t); ALTER TABLE c DISABLE TRIGGER ALL;
            CREATE INDEX bad ON t (n); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'bad'::regclass; COMMENT ON INDEX bad IS 'it is said';
            CREATE SUBSCRIPTION sub CONNECTION 'host=/nowhere dbname=x' PUBLICATION p WITH (connect = false, slot_name = 'x');
            SET allow_system_table_mods = on; CREATE TABLE pg_catalog.planted (id int); RESET allow_system_table_mods;
            CREATE EXTENSION hstore; CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER EXTENSION hstore ADD FUNCTION mine();
            CREATE EXTENSION citext; UPDATE pg_extension SET extversion = '1.0.1' WHERE extname = 'citext'",
        );
        database.sql("ALTER SUBSCRIPTION sub ENABLE");
        let (proof, ended) = judged(&database);
        database.sql("ALTER SUBSCRIPTION sub DISABLE; ALTER SUBSCRIPTION sub SET (slot_name = NONE); DROP SUBSCRIPTION sub");
        assert!(proof.proven() && proof.has_exceptions(), "{major}: {ended}");
        let found: Vec<(Class, &str)> = proof.exceptions.iter().map(|exception| (exception.class, exception.object.as_str())).collect();
        for (class, words) in [
            (Class::InvalidIndex, "index public.bad"),
            (Class::DisabledForeignKey, "foreign key c_id_fkey of public.c"),
            (Class::SystemSchema, "relation planted"),
            (Class::ExtensionMember, "extension hstore"),
            (Class::ExtensionVersion, "citext 1.0.1 in the source"),
            (Class::Subscription, "subscription sub"),
        ] {
            assert!(found.iter().any(|(found, object)| *found == class && object.starts_with(words)), "{major}: {class:?} {words}: {found:#?}");
        }
    }
}

#[test]
fn what_postgresql_itself_cannot_bring_back_is_bad_and_said_to_be_so() {
    if let Some(cluster) = Cluster::of(16) {
        // A child may be nullable where its parent is not (before 18): the child's NULL cannot come back.
        let database = cluster.database("unrestorable");
        database.sql("CREATE TABLE parent (a int NOT NULL); CREATE TABLE child () INHERITS (parent); UPDATE pg_attribute SET attnotnull = false WHERE attrelid = 'child'::regclass; INSERT INTO child VALUES (NULL)");
        let (proof, ended) = judged(&database);
        assert_eq!(proof.verdict, Verdict::Bad, "{ended}");
    }
    for cluster in [16, 18].into_iter().filter_map(Cluster::of) {
        // Newer ones' pg_dump tells of the default that the child lost only behind the grandchild, which then has the parent's.
        let database = cluster.database("unrestorable");
        database.sql(
            "CREATE TABLE parent (a int DEFAULT 1); CREATE TABLE child () INHERITS (parent); CREATE TABLE grandchild () INHERITS (child);
            ALTER TABLE child ALTER a DROP DEFAULT; INSERT INTO grandchild DEFAULT VALUES",
        );
        let (proof, ended) = judged(&database);
        assert_eq!(proof.verdict, Verdict::Bad, "{ended}");
        let lost = "not restorable by PostgreSQL's own tools: default of column public.grandchild a: the restored database has it, the snapshot had not";
        assert_eq!(proof.findings, [lost], "{ended}");
    }
}

#[test]
fn what_is_computed_anew_is_looked_at() {
    let Some(cluster) = Cluster::of(17) else { return };
    let database = cluster.database("computed");
    database.sql(
        "CREATE FUNCTION low(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
        CREATE TABLE t (id int PRIMARY KEY, name text, g text GENERATED ALWAYS AS (lower(name)) STORED); INSERT INTO t SELECT i, 'N' || i FROM generate_series(1, 500) i;
        CREATE INDEX fine ON t (low(name)); CREATE INDEX hashed ON t USING hash (low(name));
        CREATE TABLE rate (f int); INSERT INTO rate VALUES (5);
        CREATE FUNCTION rated(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'DECLARE r int; BEGIN SELECT f INTO r FROM public.rate; RETURN r * $1; END';
        CREATE TABLE stale (id int, g int GENERATED ALWAYS AS (rated(id)) STORED); INSERT INTO stale (id) SELECT generate_series(1, 100); UPDATE rate SET f = 6",
    );
    let (judged_proof, ended) = judged(&database);
    let exceptions: Vec<(Class, &str)> = judged_proof.exceptions.iter().map(|exception| (exception.class, exception.object.as_str())).collect();
    assert_eq!(exceptions, [(Class::GeneratedColumn, "g of table public.stale")], "{ended}");
    assert_eq!(judged_proof.drill.expect("it was drilled").unchecked, ["public.hashed (hash)", "generated columns of public.t"]);

    // An index whose function says another thing each time holds none of its rows.
    database.sql("CREATE FUNCTION whim(int) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT random()'; CREATE INDEX whimsical ON t (whim(id))");
    let (judged_proof, ended) = judged(&database);
    assert_eq!(judged_proof.verdict, Verdict::Bad, "{ended}");
    assert!(judged_proof.findings.iter().any(|found| found.starts_with("index public.whimsical does not hold")), "{judged_proof:#?}");
}

#[test]
fn what_no_dump_tells_of_is_an_exception() {
    for major in MAJORS {
        let Some(cluster) = Cluster::of(major) else { continue };
        let database = cluster.database("untold");
        // Of the system's own objects.
        database.sql(
            "CREATE TEXT SEARCH DICTIONARY plain (TEMPLATE = simple); ALTER TEXT SEARCH CONFIGURATION pg_catalog.english ALTER MAPPING FOR word WITH plain, english_stem;
            ALTER TEXT SEARCH CONFIGURATION pg_catalog.dutch DROP MAPPING FOR url; COMMENT ON EXTENSION plpgsql IS 'ours'; COMMENT ON FUNCTION pg_catalog.now() IS 'the time';
            ALTER FUNCTION pg_catalog.lower(text) COST 5; GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_waldir() TO PUBLIC",
        );
        // Of what comes with another object.
        database.sql(
            "CREATE TABLE parts (id int, day int, CHECK (id > 0)) PARTITION BY LIST (day); CREATE TABLE part PARTITION OF parts FOR VALUES IN (1);
            CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER fires AFTER INSERT ON parts FOR EACH ROW EXECUTE FUNCTION fire();
            CREATE VIEW v AS SELECT 1 AS one; CREATE TYPE span AS RANGE (subtype = int4);
            COMMENT ON TRIGGER fires ON part IS 'a'; COMMENT ON CONSTRAINT parts_id_check ON part IS 'b'; COMMENT ON RULE \"_RETURN\" ON v IS 'c';
            COMMENT ON FUNCTION span(int, int) IS 'd'; REVOKE EXECUTE ON FUNCTION span(int, int) FROM PUBLIC; CREATE TABLE counted (id int GENERATED ALWAYS AS IDENTITY);
            GRANT ALL ON SEQUENCE counted_id_seq TO pg_monitor; COMMENT ON TYPE part IS 'e'; COMMENT ON CONSTRAINT parts_id_check ON parts IS 'brought back'",
        );
        let (proof, ended) = judged(&database);
        let exceptions: Vec<String> = proof.exceptions.iter().map(|exception| format!("{:?} {}", exception.class, exception.object)).collect();
        assert_eq!(
            exceptions,
            [
                "SystemSchema comment of extension plpgsql",
                "SystemSchema comment of function pg_catalog.now()",
                "SystemSchema definition of function pg_catalog.lower(pg_catalog.text)",
                "SystemSchema text search configuration dutch",
                "SystemSchema text search configuration english",
                "Accessory comment on \"_RETURN\" on public.v",
                "Accessory comment on fires on public.part",
                "Accessory comment on parts_id_check on public.part",
                "Accessory comment on public.part",
                "Accessory comment on public.span(integer,integer)",
                "Accessory rights on public.span(integer,integer)",
                "Accessory rights on sequence public.counted_id_seq",
            ]
            .iter()
            // Only pg_dump 14 leaves these out.
            .filter(|exception| major == 14 || !exception.contains("counted_id_seq"))
            .map(|exception| (*exception).to_owned())
            .collect::<Vec<String>>(),
            "{major}: {ended}"
        );
    }
}

#[test]
fn a_range_type_may_have_another_name_than_its_constructors() {
    for major in MAJORS {
        let Some(cluster) = Cluster::of(major) else { continue };
        let database = cluster.database("ranges");
        database.sql("CREATE SCHEMA other; CREATE TYPE r AS RANGE (subtype = text); ALTER TYPE r RENAME TO s; CREATE TYPE q AS RANGE (subtype = int8); ALTER TYPE q SET SCHEMA other");
        is_proven(&database);
    }
}
