//! The heart of it: what comes back is what was there, by stock tools and by ours, equal to what PostgreSQL's own pair of programs restores.

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::kluis;
use crate::support::repo::{Repo, manifest};
use crate::support::sql::{Script, assert_same, assert_same_rows};
use crate::support::{skip, stock};
use kluis::manifest::Mover;
use std::path::{Path, PathBuf};

/// Backs a database up in this way and does all the checks that need no second database.
#[track_caller]
fn back_up(repo: &Repo, database: &Database, compression: &str, jobs: &str) -> PathBuf {
    kluis(&["backup", "--jobs", jobs]).of(database).keeping(repo).env("BACKUP_COMPRESSION", compression).run().done();
    let backup = repo.newest();
    stock::check(&backup);
    kluis(&["verify"]).keeping(repo).run().done();
    backup
}

/// Restores a backup by gunzip and psql, and by Kluis, and PostgreSQL's own dump by psql: all three are the same afterwards.
#[track_caller]
fn comes_back(source: &Database, repo: &Repo, backup: &Path, own: &[u8], options: &str) {
    let cluster = &source.cluster;
    let place = |name: &str| cluster.database_with(&crate::support::unique(name), options);
    let (stock, ours, reference) = (place("by_psql"), place("by_kluis"), place("reference"));
    stock::restore(backup, &stock);
    kluis(&["restore", "latest", "--jobs", "4", "--to", &ours.url()]).keeping(repo).into(cluster).run().done();
    cluster.sql_with(&reference.name, &[], own);

    let said = |database: &Database| Script::parse(&database.pg_dump(&[]));
    let expected = said(&reference);
    assert_same(("pg_dump | psql", &expected), ("gunzip | psql", &said(&stock)));
    assert_same(("pg_dump | psql", &expected), ("kluis restore", &said(&ours)));
}

/// The rows in the script are those that pg_dump writes, table by table.
#[track_caller]
fn same_rows(backup: &Path, own: &Script) {
    assert_same_rows(("pg_dump", own), ("the script", &Script::parse(&stock::gunzip(backup))));
}

/// The same, found by the index of units instead of by reading on.
#[track_caller]
fn same_units(backup: &Path, own: &Script) {
    let manifest = manifest(backup);
    let section = manifest.script.section("units").expect("there are units");
    let index = std::fs::read_to_string(backup.join("units.jsonl")).unwrap();
    let units = kluis::script::unit::parse_index(&index, section.offset, section.offset + section.bytes, manifest.tables.len()).unwrap();
    let file = std::fs::File::open(backup.join(&manifest.script.file)).unwrap();
    let mut text = Vec::new();
    let mut reader = kluis::script::reader::UnitReader::default();
    for unit in &units {
        text.extend(reader.header(&file, unit).unwrap().bytes());
        reader.rows::<std::io::Error>(&file, unit, |piece| Ok(text.extend_from_slice(piece))).unwrap();
        text.extend(reader.footer(&file, unit).unwrap().bytes());
    }
    let found = Script::parse(&text);
    for table in manifest.tables.iter().filter(|table| table.moved_by == Mover::Units) {
        let key: Vec<Vec<u8>> = [&table.schema, &table.name].into_iter().chain(&table.columns).map(|name| name.clone().into_bytes()).collect();
        let (found, expected) = (found.rows.get(&key).map_or(0, Vec::len), own.rows.get(&key).map_or(0, Vec::len));
        assert_eq!((found as u64, expected as u64), (table.rows, table.rows), "rows of {}", table.label());
        assert_eq!(units.iter().filter(|unit| manifest.tables[unit.table as usize].label() == table.label()).count() as u64, table.units, "{}", table.label());
    }
    let moved: u64 = manifest.tables.iter().filter(|table| table.moved_by == Mover::PgDump).map(|table| table.rows).sum();
    assert_eq!(found.rows.values().map(Vec::len).sum::<usize>() as u64 + moved, manifest.rows());
}

/// The torture database.
pub fn torture(cluster: &Cluster) -> Database {
    let sql = |name: &str| {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql").join(name)).unwrap();
        // From 19 on no role's name may have a line feed in it.
        if cluster.value("postgres", "SHOW server_version_num").parse::<u32>().unwrap() >= 190_000 {
            text.replace("kluis\\nnewline", "kluis~newline")
                .replace("kluis\\000Anewline", "kluis~newline")
                .replace(r"kluis\n\\! touch /tmp/kluis-pwned-role\n", "kluis~touched")
        } else {
            text
        }
    };
    cluster.sql("postgres", &sql("torture-roles.sql"));
    let database = cluster.database("torture");
    database.sql(&sql("torture.sql"));
    database
}

fn everything_comes_back(major: u32) {
    let Some(cluster) = Cluster::of(major) else { return };
    let database = torture(&cluster);
    let own = database.pg_dump(&[]);
    let parsed = Script::parse(&own);
    let repo = Repo::new();
    for (compression, jobs) in [("small", "1"), ("smallest", "2"), ("fast", "8")] {
        let backup = back_up(&repo, &database, compression, jobs);
        same_rows(&backup, &parsed);
        same_units(&backup, &parsed);
    }
    comes_back(&database, &repo, &repo.newest(), &own, "");
    let pwned: Vec<_> = std::fs::read_dir("/tmp").unwrap().flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("kluis-pwned")).collect();
    assert!(pwned.is_empty(), "psql ran a command that stands in a row or a name: {pwned:?}");
}

#[test]
fn everything_comes_back_13() {
    everything_comes_back(13);
}

#[test]
fn everything_comes_back_14() {
    everything_comes_back(14);
}

#[test]
fn everything_comes_back_15() {
    everything_comes_back(15);
}

#[test]
fn everything_comes_back_16() {
    everything_comes_back(16);
}

#[test]
fn everything_comes_back_17() {
    everything_comes_back(17);
}

#[test]
fn everything_comes_back_18() {
    everything_comes_back(18);
}

/// The whole of it for one database: rows, and what comes back.
#[track_caller]
fn survives(database: &Database, jobs: &str, options: &str) -> Repo {
    let own = database.pg_dump(&[]);
    let repo = Repo::new();
    let backup = back_up(&repo, database, "fast", jobs);
    same_rows(&backup, &Script::parse(&own));
    comes_back(database, &repo, &backup, &own, options);
    repo
}

/// A big table with dead rows and holes, one that is big in its TOAST table only, and one whose rows are all on its last page.
const BIG: &str = "
    CREATE TABLE big (id int, t text, n numeric, a timestamptz);
    INSERT INTO big SELECT i, repeat(md5(i::text), 1 + i % 6), i / 7.0, '2024-01-01'::timestamptz + i * interval '1 min' FROM generate_series(1, 300000) i;
    DELETE FROM big WHERE id % 3 = 0 OR id BETWEEN 100000 AND 200000;
    UPDATE big SET n = -n WHERE id % 5 = 0;
    CREATE TABLE heavy (id int, t text);
    ALTER TABLE heavy ALTER t SET STORAGE EXTERNAL;
    INSERT INTO heavy SELECT i, (SELECT string_agg(md5((i * 1000 + j)::text), '') FROM generate_series(1, 1000) j) FROM generate_series(1, 1200) i;
    CREATE TABLE hollow (id int, t text);
    INSERT INTO hollow SELECT i, repeat('x', 1000) FROM generate_series(1, 30000) i;
    DELETE FROM hollow WHERE id < 29990;
    CREATE TABLE parent (id int, t text);
    CREATE TABLE child (extra int) INHERITS (parent);
    INSERT INTO parent SELECT i, repeat('parent', 100) FROM generate_series(1, 20000) i;
    INSERT INTO child SELECT i, repeat('child', 100), i FROM generate_series(1, 20000) i;
    CREATE TABLE by_key (id int, t text) PARTITION BY RANGE (id);
    CREATE TABLE by_key_1 PARTITION OF by_key FOR VALUES FROM (0) TO (20000);
    CREATE TABLE by_key_2 PARTITION OF by_key DEFAULT;
    INSERT INTO by_key SELECT i, repeat('key', 200) FROM generate_series(1, 40000) i;";

fn split_among(major: u32) {
    let Some(cluster) = Cluster::of(major) else { return };
    let database = cluster.database("big");
    database.sql(BIG);
    let own = database.pg_dump(&[]);
    let parsed = Script::parse(&own);
    let repo = Repo::new();
    for jobs in ["1", "2", "8"] {
        let backup = back_up(&repo, &database, "fast", jobs);
        same_rows(&backup, &parsed);
        same_units(&backup, &parsed);
    }
    comes_back(&database, &repo, &repo.newest(), &own, "");
}

#[test]
fn big_tables_are_split_and_come_back_whole() {
    split_among(16);
}

#[test]
fn big_tables_come_back_whole_where_they_cannot_be_split() {
    split_among(13);
}

/// Tables large enough that their indexes are built while others still load, with everything that comes after rows, and what needs it.
const INDEXED: &str = "
    CREATE TABLE huge (id int, word text, span int4range);
    INSERT INTO huge SELECT i, repeat(md5(i::text), 8), int4range(i, i + 1) FROM generate_series(1, 250000) i;
    ALTER TABLE huge ADD CONSTRAINT huge_pkey PRIMARY KEY (id);
    ALTER TABLE huge ADD CONSTRAINT apart EXCLUDE USING gist (span WITH &&) WHERE (id < 1000);
    CREATE UNIQUE INDEX \"huge \"\"word\" ON huge (word, id);
    CREATE INDEX huge_expression ON huge (upper(word) text_pattern_ops) INCLUDE (id) WHERE id % 2 = 0;
    ALTER TABLE huge CLUSTER ON huge_pkey, REPLICA IDENTITY USING INDEX huge_pkey;
    ALTER INDEX huge_expression ALTER COLUMN 1 SET STATISTICS 77;
    COMMENT ON INDEX huge_expression IS 'on an index that is built early';
    COMMENT ON CONSTRAINT apart ON huge IS 'on a constraint that is built early';
    CREATE STATISTICS huge_statistics ON id, word FROM huge;
    CREATE TABLE large (id int PRIMARY KEY, other int REFERENCES huge, self int REFERENCES large DEFERRABLE, note text UNIQUE);
    INSERT INTO large SELECT i, i, nullif(i - 1, 0), repeat(md5(i::text), 4) FROM generate_series(1, 40000) i;
    COMMENT ON CONSTRAINT large_other_fkey ON large IS 'on a foreign key';
    CREATE TABLE parted (id int, at date, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
    CREATE TABLE parted_2 PARTITION OF parted DEFAULT;
    INSERT INTO parted SELECT i, '2024-01-01'::date + i % 366, repeat(md5(i::text), 4) FROM generate_series(1, 80000) i;
    CREATE INDEX parted_note ON parted (note);
    ALTER TABLE parted ADD FOREIGN KEY (id) REFERENCES huge;
    CREATE MATERIALIZED VIEW sums AS SELECT h.id % 10 AS g, count(*) AS n FROM huge h JOIN large l ON l.other = h.id GROUP BY 1;
    CREATE UNIQUE INDEX sums_g ON sums (g);
    CREATE MATERIALIZED VIEW sum_of_sums AS SELECT sum(n) AS n FROM sums;
    CREATE VIEW grouped AS SELECT id, word FROM huge GROUP BY id;
    CREATE MATERIALIZED VIEW of_grouped AS SELECT count(*) FROM grouped;
    CREATE FUNCTION refuses() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no more indexes'; END $$;
    CREATE EVENT TRIGGER no_more ON ddl_command_start WHEN TAG IN ('CREATE INDEX', 'ALTER TABLE') EXECUTE FUNCTION refuses();
    COMMENT ON EVENT TRIGGER no_more IS 'comes last';";

fn indexed(major: u32) {
    let Some(cluster) = Cluster::of(major) else { return };
    let database = cluster.database("indexed");
    database.sql(INDEXED);
    let own = database.pg_dump(&[]);
    let repo = Repo::new();
    let backup = back_up(&repo, &database, "small", "2");
    comes_back(&database, &repo, &backup, &own, "");
    let looks_into_pages = database.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'pageinspect'") == "1";
    if !looks_into_pages {
        skip(&format!("frozen rows on PostgreSQL {major}: this build of it has no pageinspect"), "scripts/fetch-postgres, where Debian's packages can be had");
    }
    // The indexes are whole, not only their definitions; and the rows of a table that one session loads came in frozen.
    for jobs in ["1", "8"] {
        let again = cluster.database("indexed_again");
        kluis(&["restore", "latest", "--jobs", jobs, "--to", &again.url()]).keeping(&repo).into(&cluster).run().done();
        assert_eq!(again.value("SELECT n FROM sum_of_sums"), "40000");
        assert_eq!(again.value("SET enable_seqscan = off; SELECT count(*) FROM huge WHERE id > 0"), "250000");
        assert_eq!(again.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid"), "0");
        if looks_into_pages {
            again.sql("CREATE EXTENSION pageinspect");
            let frozen = "SELECT count(*) FROM generate_series(0, pg_relation_size('huge') / 8192 - 1) b CROSS JOIN heap_page_items(get_raw_page('huge', b::int)) WHERE t_infomask & 768 = 768";
            let frozen: u64 = again.value(frozen).parse().unwrap();
            // More sessions than tables share the largest one, and what they share nobody may write frozen.
            let expected = if jobs == "1" { 250_000..=250_000 } else { 1..=150_000 };
            assert!(expected.contains(&frozen), "{frozen} of 250000 rows are frozen with --jobs {jobs}");
        }
    }
}

#[test]
fn indexes_that_are_built_early_come_back_13() {
    indexed(13);
}

#[test]
fn indexes_that_are_built_early_come_back_18() {
    indexed(18);
}

#[test]
fn three_thousand_tables_and_more_names_than_an_argument_list_holds() {
    let Some(cluster) = Cluster::of(16) else { return };
    let database = cluster.database("many");
    // In pg_dump's syntax each of these names is 126 characters long, and so is its schema's.
    database.sql(
        r#"DO $$ DECLARE schema text := repeat('"', 63); BEGIN
            EXECUTE format('CREATE SCHEMA %I', schema);
            FOR i IN 1..4000 LOOP EXECUTE format('CREATE TABLE %I.%I (id int)', schema, rpad(i::text, 63, '"')); END LOOP;
            FOR i IN 1..4000 BY 100 LOOP EXECUTE format('INSERT INTO %I.%I VALUES (%s)', schema, rpad(i::text, 63, '"'), i); END LOOP;
        END $$"#,
    );
    let repo = Repo::new();
    let backup = back_up(&repo, &database, "fast", "4");
    let tables = manifest(&backup).tables;
    let left = tables.iter().filter(|table| table.moved_by == Mover::PgDump).count();
    assert!(tables.len() == 4000 && left > 0 && left < 2000, "{left} of {} tables were left to pg_dump", tables.len());
    same_rows(&backup, &Script::parse(&database.pg_dump(&[])));
    let restored = cluster.database("many_again");
    kluis(&["restore", "latest", "--to", &restored.url()]).keeping(&repo).into(&cluster).run().done();
}

#[test]
fn a_latin1_database_with_names_that_are_not_ascii() {
    let Some(cluster) = Cluster::of(15) else { return };
    let options = "ENCODING 'LATIN1' LOCALE 'C'";
    let database = cluster.database_with("latin1", options);
    database.sql(
        r#"SET client_encoding = 'UTF8';
        CREATE TABLE plain (id int PRIMARY KEY, t text); INSERT INTO plain SELECT i, 'äöü ÿ ' || chr(160 + i % 90) FROM generate_series(1, 500) i;
        CREATE TABLE "café ""ñ""" (id int PRIMARY KEY, "naïve" text DEFAULT 'é'); INSERT INTO "café ""ñ""" SELECT i, 'déjà vu' FROM generate_series(1, 20) i;
        CREATE TABLE columns ("Größe \ 1" int, "ÿ""" text); INSERT INTO columns VALUES (1, 'ß'), (2, NULL);
        CREATE SCHEMA "schéma"; CREATE TABLE "schéma".t (x text); INSERT INTO "schéma".t VALUES ('Æ'), ('\.');
        COMMENT ON TABLE plain IS 'Überschrift'; SELECT lo_from_bytea(0, 'ée8');"#,
    );
    survives(&database, "2", options);
}

#[test]
fn a_database_of_bytes_in_no_encoding() {
    let Some(cluster) = Cluster::of(15) else { return };
    let options = "ENCODING 'SQL_ASCII' LOCALE 'C'";
    let database = cluster.database_with("sql_ascii", options);
    database.sql(
        r#"CREATE TABLE bytes (id int, t text); INSERT INTO bytes SELECT i, convert_from(decode(lpad(to_hex(i), 2, '0'), 'hex'), 'SQL_ASCII') FROM generate_series(1, 255) i;
        CREATE TABLE "tésté" ("cölumn" text); INSERT INTO "tésté" VALUES (E'ÿþ'), (E'Ã'), ('é');"#,
    );
    survives(&database, "2", options);
}

#[test]
fn an_empty_database_and_one_without_a_public_schema() {
    let Some(cluster) = Cluster::of(18) else { return };
    survives(&cluster.database("empty"), "2", "");
    let database = cluster.database("no_public");
    database.sql("DROP SCHEMA public");
    survives(&database, "2", "");
    database.sql("CREATE SCHEMA lone; CREATE TABLE lone.t (id int); INSERT INTO lone.t VALUES (1)");
    survives(&database, "2", "");
}

#[test]
fn names_of_databases_are_only_names() {
    let Some(cluster) = Cluster::of(17) else { return };
    for name in
        ["with space", "quo'te\"d", "host=192.0.2.1 dbname=postgres", "postgresql://192.0.2.1/x", "back\\slash", "-e", "ünï 日本", "../../up", "a\nb", "%00%2f"]
    {
        let database = cluster.database_with(name, "");
        database.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2)");
        let repo = Repo::new();
        let url = format!("{}?host={}&port={}&user=postgres", database.url(), cluster.socket().display(), cluster.port());
        kluis(&["backup"]).env("DATABASE_URL", url).tools(&cluster).keeping(&repo).run().done();
        kluis(&["verify"]).keeping(&repo).run().done();
        assert_eq!((manifest(&repo.newest()).database.name.as_str(), manifest(&repo.newest()).rows()), (name, 2));
        let again = Database { cluster: cluster.clone(), name: format!("{name} again") };
        kluis(&["restore", "latest", "--create", "--to", &again.url()]).keeping(&repo).into(&cluster).run().done();
        assert_eq!(again.value("SELECT count(*) FROM t"), "2", "{name}");
    }
}

#[test]
fn rows_larger_than_a_unit_need_no_memory_of_their_size() {
    let Some(cluster) = Cluster::of(16) else { return };
    let database = cluster.database("huge");
    // The text of a bytea is twice its size and two bytes more; a row of 9 MB lies just above what is kept whole.
    database.sql(
        "CREATE TABLE huge (id int, t text, b bytea);
        INSERT INTO huge VALUES (0, 'small', '\\x00');
        INSERT INTO huge SELECT 1, string_agg(md5(i::text), ''), NULL FROM generate_series(1, 550000) i;
        INSERT INTO huge SELECT 2, NULL, decode(string_agg(md5(i::text), ''), 'hex') FROM generate_series(1, 2000000) i;
        INSERT INTO huge SELECT 3, string_agg(md5(i::text), E'\\t\\n'), NULL FROM generate_series(1, 250000) i;
        INSERT INTO huge SELECT 10 + n, repeat(md5(n::text), 40000), NULL FROM generate_series(1, 20) n;
        INSERT INTO huge VALUES (99, 'small', NULL);",
    );
    let own = database.pg_dump(&[]);
    let repo = Repo::new();
    let backed_up = kluis(&["backup", "--jobs", "2"]).of(&database).keeping(&repo).run().done();
    let verified = kluis(&["verify"]).keeping(&repo).run().done();
    let restored = cluster.database("huge_again");
    let restoring = kluis(&["restore", "latest", "--jobs", "2", "--to", &restored.url()]).keeping(&repo).into(&cluster).run().done();
    for ended in [&backed_up, &verified, &restoring] {
        assert!(ended.memory < 120 << 20, "{} MB of memory for rows of 64 MB: {ended:?}", ended.memory >> 20);
    }
    stock::check(&repo.newest());
    same_rows(&repo.newest(), &Script::parse(&own));
    assert_same(("before", &Script::parse(&own)), ("after", &Script::parse(&restored.pg_dump(&[]))));
}

#[test]
fn configuration_tables_of_extensions() {
    // From 18 on a server can be told where extensions are, so that nothing has to be put among those that are installed.
    let folder = crate::support::new_folder("extensions");
    std::fs::create_dir(folder.join("extension")).unwrap();
    std::fs::write(folder.join("extension/conf.control"), "default_version = '1.0'\nschema = 'conf schema'\nrelocatable = false\n").unwrap();
    std::fs::write(
        folder.join("extension/conf--1.0.sql"),
        "CREATE TABLE everything (k text PRIMARY KEY, v text);
        CREATE TABLE several (id int PRIMARY KEY, shipped bool NOT NULL DEFAULT false, \"odd \"\"column\" text);
        CREATE TABLE nothing_yet (id int);
        CREATE TABLE its_own (id int);
        CREATE SEQUENCE numbers;
        INSERT INTO several VALUES (1, true, 'shipped'), (2, true, 'shipped as well');
        INSERT INTO its_own VALUES (1);
        SELECT pg_extension_config_dump('everything', '');
        SELECT pg_extension_config_dump('several', 'WHERE NOT shipped');
        SELECT pg_extension_config_dump('nothing_yet', 'WHERE id > 0 ORDER BY id');
        SELECT pg_extension_config_dump('numbers', '');",
    )
    .unwrap();
    let Some(cluster) = Cluster::own(18, &[&format!("extension_control_path={}:$system", folder.display())]) else { return };
    let database = cluster.database("extended");
    database.sql(
        "CREATE SCHEMA \"conf schema\"; CREATE EXTENSION conf SCHEMA \"conf schema\"; SET search_path = \"conf schema\";
        INSERT INTO everything SELECT i, md5(i::text) FROM generate_series(1, 1000) i;
        INSERT INTO several SELECT i, false, 'mine' FROM generate_series(100, 200) i; UPDATE several SET shipped = true WHERE id = 150;
        INSERT INTO its_own VALUES (2); SELECT setval('numbers', 77);
        CREATE TABLE public.plain (id int); INSERT INTO public.plain VALUES (1);",
    );
    let repo = survives(&database, "2", "");
    let rows: Vec<(String, u64, Mover)> = manifest(&repo.newest()).tables.into_iter().map(|table| (table.name, table.rows, table.moved_by)).collect();
    for expected in [("everything", 1000, Mover::PgDump), ("several", 100, Mover::PgDump), ("nothing_yet", 0, Mover::PgDump), ("plain", 1, Mover::Units)] {
        assert!(rows.contains(&(expected.0.to_owned(), expected.1, expected.2)), "{expected:?} is not among {rows:?}");
    }
}

#[test]
fn partitions_by_the_hash_of_an_enum() {
    for major in [13, 18] {
        let Some(cluster) = Cluster::of(major) else { continue };
        let database = cluster.database("hash");
        database.sql(
            "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'proud');
            CREATE TABLE moods (m mood, n int) PARTITION BY HASH (m);
            CREATE TABLE moods_0 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 0) PARTITION BY HASH (m);
            CREATE TABLE moods_00 PARTITION OF moods_0 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE moods_01 PARTITION OF moods_0 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
            CREATE TABLE moods_1 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 1);
            INSERT INTO moods SELECT (enum_range(NULL::mood))[1 + i % 4], i FROM generate_series(1, 2000) i;
            CREATE TABLE by_number (n int) PARTITION BY HASH (n);
            CREATE TABLE by_number_0 PARTITION OF by_number FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE by_number_1 PARTITION OF by_number FOR VALUES WITH (MODULUS 2, REMAINDER 1);
            INSERT INTO by_number SELECT generate_series(1, 1000);",
        );
        let repo = survives(&database, "2", "");
        let moods = manifest(&repo.newest()).tables.into_iter().find(|table| table.name == "moods").expect("the root is counted");
        assert_eq!((moods.rows, moods.moved_by), (2000, Mover::PgDump));
    }
}
