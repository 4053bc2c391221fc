//! Functions that read tables where nobody expects it: in a CHECK, a domain, a generated column, an index, a partition's key. What they say depends on
//! which rows are there already, so a restore has to bring rows back in the right order.
//! It owns the cases, and the order of an archive that they are measured with; it leaves rows of ordinary tables to `fidelity`.
//! Invariant: what pg_restore brings back, one entry after the other, `kluis restore` and the script by psql bring back as well.

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::kluis;
use crate::support::repo::Repo;
use crate::support::sql::{Script, assert_same};
use crate::support::{new_folder, stock, unique};

/// What most cases read. Each case has a schema of its own, which `S` stands for.
const LOOKUP: &str = "CREATE SCHEMA S; CREATE TABLE S.aa_codes (code text PRIMARY KEY, label text NOT NULL, factor int);
    INSERT INTO S.aa_codes SELECT 'c' || i, 'label ' || i % 50, i FROM generate_series(1, 600) i;
    CREATE FUNCTION S.label_of(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN (SELECT label FROM S.aa_codes WHERE code = $1); END $$;
    CREATE FUNCTION S.known(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN EXISTS (SELECT FROM S.aa_codes WHERE code = $1); END $$;";

/// A case: its schema, what is in it, and what is asked of it.
type Case = (&'static str, &'static str, &'static str);

const CASES: &[Case] = &[
    (
        "plain_index",
        "CREATE TABLE S.things (id int, code text, filling text); ALTER TABLE S.things ALTER filling SET STORAGE EXTERNAL;
        INSERT INTO S.things SELECT i, 'c' || i, repeat(md5(i::text), 300) FROM generate_series(1, 600) i; CREATE INDEX ON S.things (S.label_of(code))",
        "SELECT count(*) FROM S.things WHERE S.label_of(code) >= 'l'",
    ),
    (
        "part_index",
        "CREATE TABLE S.things (id int, code text, filling text); ALTER TABLE S.things ALTER filling SET STORAGE EXTERNAL;
        INSERT INTO S.things SELECT i, 'c' || i, repeat(md5(i::text), 300) FROM generate_series(1, 600) i; CREATE INDEX ON S.things (id) WHERE S.known(code)",
        "SELECT count(*) FROM S.things WHERE S.known(code) AND id > 0",
    ),
    (
        "operator_index",
        "CREATE FUNCTION S.labelled(text, text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN S.label_of($1) || $2; END $$;
        CREATE OPERATOR S.## (FUNCTION = S.labelled, LEFTARG = text, RIGHTARG = text);
        CREATE TABLE S.things (id int, code text, filling text); ALTER TABLE S.things ALTER filling SET STORAGE EXTERNAL;
        INSERT INTO S.things SELECT i, 'c' || i, repeat(md5(i::text), 300) FROM generate_series(1, 600) i; CREATE INDEX ON S.things ((code OPERATOR(S.##) '!'))",
        "SELECT count(*) FROM S.things WHERE code OPERATOR(S.##) '!' >= 'l'",
    ),
    (
        "exclusion",
        "CREATE TABLE S.things (id int, code text, filling text, EXCLUDE USING btree (S.label_of(code) WITH =) WHERE (id < 40)); ALTER TABLE S.things ALTER filling SET STORAGE EXTERNAL;
        CREATE TABLE S.others (id int, code text, filling text, EXCLUDE USING btree (S.label_of(code) WITH =) WHERE (id < 40)); ALTER TABLE S.others ALTER filling SET STORAGE EXTERNAL;
        INSERT INTO S.things SELECT i, 'c' || i, repeat(md5(i::text), 300) FROM generate_series(1, 600) i; INSERT INTO S.others SELECT * FROM S.things",
        "SELECT (SELECT count(*) FROM S.things WHERE S.label_of(code) >= 'l' AND id < 40) + (SELECT count(*) FROM S.others WHERE S.label_of(code) >= 'l' AND id < 40)",
    ),
    (
        "generated",
        "CREATE TABLE S.things (id int, code text, label text GENERATED ALWAYS AS (S.label_of(code)) STORED); INSERT INTO S.things SELECT i, 'c' || 1 + i % 600 FROM generate_series(1, 2000) i",
        "SELECT count(label) FROM S.things",
    ),
    (
        "checked",
        "CREATE TABLE S.things (id int, code text CHECK (S.known(code))); INSERT INTO S.things SELECT i, 'c' || 1 + i % 600 FROM generate_series(1, 2000) i",
        "SELECT count(*) FROM S.things",
    ),
    (
        "by_query",
        "CREATE TABLE S.things (id int, code text CHECK (query_to_xml('SELECT FROM S.aa_codes WHERE code = ' || quote_literal(code), true, true, '')::text ~ 'row'));
        INSERT INTO S.things SELECT i, 'c' || 1 + i % 600 FROM generate_series(1, 2000) i",
        "SELECT count(*) FROM S.things",
    ),
    (
        "domains",
        "CREATE DOMAIN S.code AS text CHECK (S.known(VALUE)); CREATE DOMAIN S.narrower AS S.code; CREATE TYPE S.pair AS (a int, b S.narrower);
        CREATE TABLE S.things (id int, a S.narrower); INSERT INTO S.things SELECT i, 'c' || 1 + i % 600 FROM generate_series(1, 2000) i;
        CREATE TABLE S.arrays (id int, a S.code[]); INSERT INTO S.arrays SELECT i, ARRAY['c' || i]::S.code[] FROM generate_series(1, 600) i;
        CREATE TABLE S.pairs (id int, a S.pair); INSERT INTO S.pairs SELECT i, ROW(i, 'c' || i)::S.pair FROM generate_series(1, 600) i",
        "SELECT (SELECT count(a) FROM S.things) + (SELECT count(a) FROM S.arrays) + (SELECT count((a).b) FROM S.pairs)",
    ),
    (
        "partitions",
        "CREATE TABLE S.parted (id int, code text) PARTITION BY RANGE (id); CREATE TABLE S.ab_child PARTITION OF S.parted FOR VALUES FROM (0) TO (300);
        CREATE TABLE S.ac_child PARTITION OF S.parted DEFAULT; ALTER TABLE S.ac_child ADD CHECK (S.known(code));
        INSERT INTO S.parted SELECT i, 'c' || 1 + i % 600 FROM generate_series(1, 2000) i;
        CREATE TABLE S.keyed (id int, code text) PARTITION BY LIST (S.label_of(code)); CREATE TABLE S.keyed_1 PARTITION OF S.keyed FOR VALUES IN ('label 1');
        CREATE TABLE S.keyed_2 PARTITION OF S.keyed DEFAULT; INSERT INTO S.keyed SELECT i, 'c' || 1 + i % 600 FROM generate_series(1, 2000) i",
        "SELECT (SELECT count(*) FROM S.parted) + (SELECT count(*) FROM S.keyed_1)",
    ),
    (
        "late_views",
        "CREATE TABLE S.things (id int, code text, label text GENERATED ALWAYS AS (S.label_of(code)) STORED); INSERT INTO S.things SELECT i, 'c' || 1 + i % 600 FROM generate_series(1, 2000) i;
        CREATE MATERIALIZED VIEW S.labels AS SELECT id, label, S.label_of(code) AS again FROM S.things; CREATE INDEX ON S.labels (S.known(label))",
        "SELECT count(label) + count(again) FROM S.labels",
    ),
    (
        "not_valid",
        "CREATE TABLE S.things (id int, code text); INSERT INTO S.things SELECT i, 'x' || i FROM generate_series(1, 600) i; ALTER TABLE S.things ADD CHECK (S.known(code)) NOT VALID",
        "SELECT count(*) FROM S.things",
    ),
    (
        "by_row",
        "CREATE TABLE S.things (id int, code text); CREATE FUNCTION S.right_row(S.things) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN S.known($1.code); END $$;
        ALTER TABLE S.things ADD CHECK (S.right_row(things.*)); INSERT INTO S.things SELECT i, 'c' || 1 + i % 600 FROM generate_series(1, 2000) i",
        "SELECT count(*) FROM S.things",
    ),
    (
        "neighbours",
        "CREATE FUNCTION S.in_second(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN EXISTS (SELECT FROM S.b_second WHERE id = $1); END $$;
        CREATE FUNCTION S.in_third(int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN (SELECT label FROM S.c_third WHERE id = $1); END $$;
        CREATE TABLE S.b_second (id int, code text CHECK (S.known(code))); INSERT INTO S.b_second SELECT i, 'c' || 1 + i % 600 FROM generate_series(1, 2000) i;
        CREATE TABLE S.c_third (id int CHECK (S.in_second(id)), label text GENERATED ALWAYS AS (S.label_of('c' || id)) STORED); INSERT INTO S.c_third SELECT generate_series(1, 600);
        CREATE TABLE S.d_fourth (id int, label text GENERATED ALWAYS AS (S.in_third(id)) STORED); INSERT INTO S.d_fourth SELECT generate_series(1, 600)",
        "SELECT count(label) FROM S.d_fourth",
    ),
    (
        // Rows of such a table need earlier ones, of which it has several units elsewhere.
        "own_rows",
        "CREATE FUNCTION S.there(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN EXISTS (SELECT FROM S.things WHERE id = $1); END $$;
        CREATE TABLE S.things (id int, before int CHECK (before < 1 OR S.there(before)), filling text); ALTER TABLE S.things ALTER filling SET STORAGE EXTERNAL;
        INSERT INTO S.things SELECT i, i - 1200, repeat(md5(i::text), 200) FROM generate_series(1, 2500) i",
        "SELECT count(*) FROM S.things WHERE before < 1 OR before IN (SELECT id FROM S.things)",
    ),
    (
        // A function that sees none of the rows of its own statement.
        "own_count",
        "CREATE TABLE S.things (id int, filling text, others bigint); CREATE FUNCTION S.others(int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN (SELECT count(*) FROM S.things WHERE id = $1 - 1); END $$;
        ALTER TABLE S.things DROP others, ADD others bigint GENERATED ALWAYS AS (S.others(id)) STORED; INSERT INTO S.things SELECT CASE i WHEN 1 THEN 6 ELSE 7 END, repeat(md5(i::text), 40) FROM generate_series(1, 2000) i",
        "SELECT sum(others) FROM S.things",
    ),
];

fn of_schema(text: &str, schema: &str) -> String {
    text.replace("S.", &format!("{schema}.")).replace("SCHEMA S;", &format!("SCHEMA {schema};"))
}

/// What is in every table and view, and what every case's question finds, by its index where it has one.
fn found(database: &Database, cases: &[Case]) -> Vec<String> {
    let rows = "SELECT format('SELECT %L || md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), %L)) FROM ONLY %I.%I t', nspname || '.' || relname || ' ', '', nspname, relname)
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'm') AND nspname !~ '^(pg_|information)' ORDER BY nspname, relname";
    let mut all: Vec<String> = database.value(rows).lines().map(|query| database.value(&query.replace("FROM ONLY", "FROM"))).collect();
    for (schema, _, question) in cases {
        all.push(format!("{schema}: {}", database.value(&format!("SET enable_seqscan = off; {}", of_schema(question, schema)))));
    }
    all
}

fn with_cases(cluster: &Cluster, cases: &[Case]) -> Database {
    let database = cluster.database("reading");
    for (schema, what, _) in cases {
        database.sql(&of_schema(&format!("{LOOKUP} {what}"), schema));
    }
    database
}

/// A database of these cases comes back in every way that there is.
fn comes_back(major: u32, cases: &[Case]) {
    let Some(cluster) = Cluster::of(major) else { return };
    let (database, repo) = (with_cases(&cluster, cases), Repo::new());
    let (before, text) = (found(&database, cases), Script::parse(&database.pg_dump(&["--schema-only"])));
    let same = |how: &str, other: &Database| {
        for (one, other) in before.iter().zip(found(other, cases)) {
            assert_eq!(*one, other, "{major}, {how}");
        }
        assert_same(("the source", &text), (how, &Script::parse(&other.pg_dump(&["--schema-only"]))));
    };
    // PostgreSQL's own pair of programs.
    let (archive, theirs) = (new_folder("archive").join("all.dump"), cluster.database("theirs"));
    database.pg_dump(&["-Fc", "-f", archive.to_str().unwrap()]);
    let restored = cluster.program("pg_restore", &theirs.name).args(["--exit-on-error", "-d", &theirs.name]).arg(&archive).output().unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    same("pg_restore", &theirs);

    kluis(&["backup", "--jobs", "3"]).of(&database).keeping(&repo).run().done();
    kluis(&["verify", "latest"]).keeping(&repo).run().done();
    let by_psql = cluster.database("by_psql");
    stock::restore(&repo.newest(), &by_psql);
    same("psql", &by_psql);
    let ours = cluster.database("ours");
    kluis(&["restore", "latest", "--jobs", "4", "--to", &ours.url()]).keeping(&repo).into(&cluster).run().done();
    same("kluis restore", &ours);
    let made = Database { cluster: cluster.clone(), name: unique("made") };
    kluis(&["restore", "latest", "--create", "--jobs", "1", "--to", &made.url()]).keeping(&repo).into(&cluster).run().done();
    same("kluis restore --create", &made);
}

/// What depends on what is written down in two ways: up to 14, and from 15 on.
#[test]
fn what_functions_read_is_there_before_them() {
    for major in [13, 15, 18] {
        comes_back(major, CASES);
    }
}

/// Each case by itself, to see which ones fail.
#[test]
#[ignore = "the cases together are run by default"]
fn each_case_alone() {
    let failed: Vec<&str> = CASES.iter().filter(|case| std::panic::catch_unwind(|| comes_back(18, &[**case])).is_err()).map(|case| case.0).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
