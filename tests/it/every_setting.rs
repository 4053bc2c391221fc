//! Every setting that may stand on a database or a role, at odd values: what is backed up under them comes back, and into a database that has them.
//! It owns the list of values, taken from the server itself, and the search for the one that does harm; it leaves single settings to `settings` and `money`.
//! Invariant: a setting that the server has and this list has no value for fails the test.

use crate::support::cluster::{Cluster, Database, MAJORS};
use crate::support::kluis::{Ended, kluis};
use crate::support::repo::Repo;
use crate::support::{stock, unique};
use kluis::postgres::quote::{quote_ident, quote_literal};
use std::process::Stdio;

/// A setting and a value for it.
type Setting = (String, String);

/// Values for settings that are text. A server says what numbers and words it takes, and nothing of texts.
const TEXTS: &[(&str, &[&str])] = &[
    ("application_name", &[r#"it's "odd" \ "#]),
    ("backtrace_functions", &["palloc"]),
    ("client_encoding", &["LATIN1", "SQL_ASCII", "EUC_JP"]),
    ("createrole_self_grant", &["set, inherit"]),
    ("DateStyle", &["SQL, DMY", "German", "Postgres, MDY", "ISO, YMD"]),
    ("default_table_access_method", &["heap"]),
    ("default_tablespace", &["pg_default"]),
    ("default_text_search_config", &["pg_catalog.german"]),
    // Without the server's own place there is no PL/pgSQL, for whatever restores.
    ("dynamic_library_path", &["/nowhere:$libdir"]),
    ("extension_destdir", &["/nowhere"]),
    ("output_plugin_libraries", &["pgoutput"]),
    ("extension_control_path", &["/nowhere:$system"]),
    ("lc_messages", &["C", "POSIX"]),
    ("lc_monetary", &["POSIX", "C.UTF-8"]),
    ("lc_numeric", &["POSIX", "C.UTF-8"]),
    ("lc_time", &["POSIX", "C.UTF-8"]),
    ("log_connections", &["all", "receipt, authorization"]),
    ("restrict_nonsystem_relation_kind", &["view, foreign-table"]),
    ("search_path", &["nowhere", "trap, public", "pg_temp, public, pg_catalog"]),
    ("temp_tablespaces", &["pg_default"]),
    ("TimeZone", &["America/St_Johns", "Asia/Kathmandu", "<odd>+3:27"]),
    ("timezone_abbreviations", &["Australia", "India"]),
    ("wal_consistency_checking", &["heap"]),
];

/// Settings that are left out, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("post_auth_delay", "each login waits as long as it says"),
    ("session_preload_libraries", "a library that is missing ends every session; `settings` has it on a role"),
    ("local_preload_libraries", "a library that is missing ends every session"),
    ("oauth_validator_libraries", "it belongs to the server's file"),
];

/// Rows of every kind whose text depends on a setting, as it is written or as it is read, and definitions with constants of the same kinds.
const ROWS: &str = r#"
    CREATE SCHEMA trap; CREATE FUNCTION trap.lower(text) RETURNS text LANGUAGE sql AS 'SELECT ''trapped''';
    CREATE TYPE mood AS ENUM ('sad', 'it''s \ "so"'); CREATE DOMAIN short AS text CHECK (length(VALUE) < 50 AND VALUE <> 'a\b'); CREATE TYPE pair AS (a timestamptz, b text[]);
    CREATE TABLE kinds (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b bool, i bigint, f4 real, f8 float8, n numeric, m money, t text, c char(5), v short, y bytea, d date, ts timestamp,
        tz timestamptz, ti time, tt timetz, iv interval, j json, jb jsonb, x xml, u uuid, ip inet, mac macaddr, p point, pa path, bi bit varying, tv tsvector, tq tsquery, r tstzrange,
        ia int[], ta text[], da date[], e mood, co pair, rc regclass, ia2 interval[], "Odd ""Name\" text DEFAULT 'a\b''c', g text GENERATED ALWAYS AS (upper(t)) STORED);
    INSERT INTO kinds (b, i, f4, f8, n, m, t, c, v, y, d, ts, tz, ti, tt, iv, j, jb, x, u, ip, mac, p, pa, bi, tv, tq, r, ia, ta, da, e, co, rc, ia2) SELECT
        i % 2 = 0, i, 0.1::real + i, pi() / (i + 10), 1.10 + i, '12.34'::money * i, E'tab\there \\ back ''quote'' \n line é 日本 ' || i, 'x', 'NULL', decode(md5(i::text), 'hex'),
        date '2020-02-01' + i, timestamp '2020-02-03 04:05:06.789' - i * interval '1 month', timestamptz '2020-02-03 04:05:06.789+00' + i * interval '17 hours', '04:05:06.789', '04:05:06+03:27',
        interval '-1 year 2 mons -3 days 04:05:06.789' * i, '{"a": "\\"}', '{"a": [1, null]}', '<a>&lt;</a>text', md5(i::text)::uuid, '10.0.0.1/8', '08:00:2b:01:02:03', '(0.1,0.3)', '[(0,0),(1,0.7)]', B'101',
        'a:1A b', 'a & !b', tstzrange('2020-01-01 00:00+00', NULL), ARRAY[1, NULL, 3], ARRAY['NULL', NULL, 'null', E'b\\c"', ''], ARRAY[date '2020-02-01', NULL], 'it''s \ "so"',
        ROW(timestamptz '2020-02-03 04:05:06+00', ARRAY[NULL, 'NULL'])::pair, 'kinds', ARRAY[interval '-1 day +02:03', NULL] FROM generate_series(-3, 3) i;
    INSERT INTO kinds (b, f4, f8, n, d, ts, t) VALUES (NULL, 'NaN', '-Infinity', 'NaN', 'infinity', '-infinity', ''), (NULL, '1e-40', '4.9e-324', 0, '0044-03-15 BC', '0044-03-15 BC', NULL);
    CREATE TABLE parted (id int, at date) PARTITION BY RANGE (at); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2020-02-01') TO ('2020-03-01');
    CREATE TABLE parted_2 PARTITION OF parted DEFAULT; INSERT INTO parted SELECT i, date '2020-01-20' + i FROM generate_series(1, 40) i;
    CREATE TABLE hashed (m mood, t text) PARTITION BY HASH (m); CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 1, REMAINDER 0);
    INSERT INTO hashed VALUES ('sad', E'a\\b'), (E'it''s \\ "so"', NULL);
    CREATE TABLE referring (id int PRIMARY KEY, kind int REFERENCES kinds, "user" text, "select" text CHECK ("select" IS NULL OR "select" <> 'it''s \'));
    INSERT INTO referring SELECT id, id, 'u', NULL FROM kinds;
    CREATE TABLE defaults (id serial, a timestamptz DEFAULT '2020-02-03 04:05:06+00', b interval DEFAULT '-1 year 2 days', c bytea DEFAULT '\xdeadbeef', d float8 DEFAULT 0.1, e text DEFAULT 'a\nb',
        f money DEFAULT '12.34', g date DEFAULT '2020-02-01', h text[] DEFAULT '{NULL,"NULL"}');
    INSERT INTO defaults (d) VALUES (0.3), (1.0 / 3);
    CREATE VIEW seen AS SELECT id, t FROM kinds WHERE tz > '2020-01-01 00:00+00' AND t <> 'a\b' AND iv < '1 day 02:03' AND ia IS DISTINCT FROM '{NULL}';
    CREATE MATERIALIZED VIEW kept AS SELECT k.id, k.t, k.n FROM kinds k JOIN seen s USING (id);
    CREATE INDEX ON kinds (lower(t)) WHERE t <> 'a\b'; CREATE INDEX ON kinds USING gin (tv); CREATE INDEX "odd \ index" ON kinds (tz) WHERE d > '2020-02-01';
    CREATE FUNCTION says(text DEFAULT E'a\\b''c') RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'a\b' || $1 || E'\n'; END $$;
    CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no trigger fires in a restore'; END $$;
    CREATE TRIGGER noted BEFORE INSERT ON defaults FOR EACH ROW WHEN (NEW.e <> 'a\b') EXECUTE FUNCTION noted();
    COMMENT ON TABLE kinds IS 'it''s a \ comment'; COMMENT ON COLUMN kinds.t IS E'two\nlines';
    SELECT lo_from_bytea(4711, decode('00ff5c27', 'hex')); SELECT lo_from_bytea(4712, convert_to(repeat('it''s \ large', 5000), 'UTF8')); COMMENT ON LARGE OBJECT 4711 IS 'it''s \ odd'"#;

/// For each setting that a database or a role may have, the values that it is tried with.
fn values(cluster: &Cluster) -> Vec<(String, Vec<String>)> {
    let query = "SELECT name, vartype, coalesce(min_val, ''), coalesce(max_val, ''), coalesce(array_to_string(enumvals, '|'), ''), coalesce(reset_val, ''), coalesce(unit ~ 'B$', false) FROM pg_settings
        WHERE context IN ('user', 'superuser', 'backend', 'superuser-backend') AND name !~ '[.]' ORDER BY name";
    let (mut all, mut unknown) = (Vec::new(), Vec::new());
    for line in cluster.sql_with("postgres", &["-F", "\t"], query.as_bytes()).lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, kind, least, most, words, now, memory] = fields[..] else { panic!("{line}") };
        if LEFT_OUT.iter().any(|(left_out, _)| *left_out == name) {
            continue;
        }
        let mut tried: Vec<String> = match kind {
            "bool" => vec![if now == "on" { "off" } else { "on" }.to_owned()],
            "enum" => words.split('|').map(str::to_owned).collect(),
            "string" => {
                TEXTS.iter().find(|(text, _)| *text == name).map(|(_, values)| values.iter().map(|value| (*value).to_owned()).collect()).unwrap_or_default()
            }
            // psql itself is idle for longer than a millisecond before its first statement.
            _ if name == "idle_session_timeout" => vec!["2000".to_owned()],
            // A server takes the memory that it is told to; no machine has the most that can be said.
            _ if memory == "t" => [least, "8192"].map(str::to_owned).to_vec(),
            // One is often the smallest that is not "off": a time limit of a millisecond.
            _ => [least, "1", most].map(str::to_owned).to_vec(),
        };
        tried.retain(|value| value != now);
        if kind == "string" && !TEXTS.iter().any(|(text, _)| *text == name) {
            unknown.push(name.to_owned());
        }
        all.push((name.to_owned(), tried));
    }
    assert!(unknown.is_empty(), "texts that nobody gave values for: {unknown:?}");
    assert!(all.len() > 150, "{}", all.len());
    all
}

/// Gives a database these settings, every second one by the role in it. Values that the server takes for nobody are left out; they are returned.
fn give(database: &Database, settings: &[Setting]) -> Vec<Setting> {
    let name = quote_ident(&database.name);
    let mut text = String::new();
    for (place, (setting, value)) in settings.iter().enumerate() {
        let whose = if place % 2 == 0 { format!("DATABASE {name}") } else { format!("ROLE postgres IN DATABASE {name}") };
        // A list of names is one only without quotes around it.
        let value = if setting == "search_path" { value.clone() } else { quote_literal(value) };
        let refused = quote_literal(&format!("{setting}\t"));
        let statement = quote_literal(&format!("ALTER {whose} SET {} TO {value}", quote_ident(setting)));
        text.push_str(&format!("DO $do$ BEGIN EXECUTE {statement}; EXCEPTION WHEN OTHERS THEN INSERT INTO refused VALUES ({refused} || SQLERRM); END $do$;\n"));
    }
    let text = format!("CREATE TEMP TABLE refused (what text); {text} SELECT what FROM refused");
    let refused = database.cluster.sql("postgres", &text);
    let refused: Vec<&str> = refused.lines().filter_map(|line| line.split_once('\t')).map(|(name, _)| name).collect();
    settings.iter().filter(|(name, _)| refused.contains(&name.as_str())).cloned().collect()
}

/// The settings that stand on a database.
fn standing(database: &Database) -> String {
    let query = format!(
        "SELECT string_agg(setrole::regrole || ' ' || setting, ' ; ' ORDER BY setrole, setting) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase, unnest(setconfig) setting WHERE datname = {}",
        quote_literal(&database.name)
    );
    database.cluster.value("postgres", &query)
}

/// Every row of a database that has no settings any more, and how PostgreSQL's own program words the rest. No code of Kluis is in this.
fn everything(database: &Database) -> String {
    let name = quote_ident(&database.name);
    database.cluster.sql("postgres", &format!("ALTER DATABASE {name} RESET ALL; ALTER ROLE postgres IN DATABASE {name} RESET ALL"));
    let copies = database.value(
        "SELECT string_agg(format('COPY (SELECT * FROM %I.%I t ORDER BY t::text COLLATE \"C\") TO STDOUT;', nspname, relname), ' ' ORDER BY nspname, relname)
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'm') AND nspname !~ '^(pg_|information)'",
    );
    let objects = "SELECT oid, encode(lo_get(oid), 'hex'), obj_description(oid, 'pg_largeobject') FROM pg_largeobject_metadata ORDER BY oid;";
    let rows = database.sql(&format!(
        "SET DateStyle = ISO; SET IntervalStyle = postgres; SET TimeZone = UTC; SET bytea_output = hex; SET lc_monetary = 'C'; {copies} {objects}"
    ));
    let schema = String::from_utf8(database.pg_dump(&["--schema-only"])).unwrap();
    let schema: String = schema.lines().filter(|line| !line.contains("restrict ")).map(|line| format!("{line}\n")).collect();
    rows + &schema
}

/// Backs up a database with these settings and brings it back in each way, also into databases that have them.
fn comes_back(cluster: &Cluster, template: &Database, expected: &str, settings: &[Setting]) -> Result<(), String> {
    let (repo, copy) = (Repo::new(), |name: &str| Database { cluster: cluster.clone(), name: unique(name) });
    let source = copy("odd");
    cluster.sql("postgres", &format!("CREATE DATABASE {} TEMPLATE {}", quote_ident(&source.name), quote_ident(&template.name)));
    give(&source, settings);
    let went_well = |what: &str, ended: Ended| if ended.code == Some(0) { Ok(()) } else { Err(format!("{what}: {ended:#?}")) };
    let same = |what: &str, database: &Database| {
        let found = everything(database);
        let differs = || found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
        if found == expected { Ok(()) } else { Err(format!("{what}: {:?}", differs())) }
    };
    went_well("backup", kluis(&["backup", "--jobs", "2"]).of(&source).keeping(&repo).run())?;
    let made = copy("made");
    went_well("restore --create", kluis(&["restore", "latest", "--create", "--to", &made.url()]).keeping(&repo).into(cluster).run())?;
    if standing(&made) != standing(&source) {
        return Err(format!("the settings are not those of the source: {}\n{}", standing(&made), standing(&source)));
    }
    same("restore --create", &made)?;
    let there = cluster.database("there");
    give(&there, settings);
    went_well("restore", kluis(&["restore", "latest", "--jobs", "3", "--to", &there.url()]).keeping(&repo).into(cluster).run())?;
    same("restore", &there)?;
    for odd in [false, true] {
        let by_psql = cluster.database("by_psql");
        if odd {
            give(&by_psql, settings);
        }
        let what = if odd { "psql, into a database with these settings" } else { "psql" };
        psql(&repo.newest(), &by_psql).map_err(|why| format!("{what}: {why}"))?;
        same(what, &by_psql)?;
    }
    Ok(())
}

/// `gunzip -c … | psql`, as RESTORE.md says.
fn psql(backup: &std::path::Path, into: &Database) -> Result<(), String> {
    let text = stock::gunzip(backup);
    let mut psql = into.cluster.program("psql", &into.name);
    psql.env_remove("PGTZ").env_remove("PGOPTIONS").args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]);
    let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &text));
    let output = child.wait_with_output().unwrap();
    let _ = feeder.join();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).chars().take(500).collect()) }
}

/// Which of these do harm: by halves, down to the smallest sets that still do.
fn culprits(settings: &[Setting], harm: &dyn Fn(&[Setting]) -> Option<String>) -> Vec<(Vec<Setting>, String)> {
    let Some(why) = harm(settings) else { return Vec::new() };
    if settings.len() == 1 {
        return vec![(settings.to_vec(), why)];
    }
    let (one, other) = settings.split_at(settings.len() / 2);
    let found: Vec<_> = [one, other].into_iter().flat_map(|half| culprits(half, harm)).collect();
    if !found.is_empty() {
        return found;
    }
    // They do it together only: without ever fewer of the others.
    let (mut together, mut size) = (settings.to_vec(), settings.len().div_ceil(4));
    loop {
        let mut place = 0;
        while place < together.len() {
            let fewer: Vec<Setting> = [&together[..place], together.get(place + size..).unwrap_or_default()].concat();
            if harm(&fewer).is_some() { together = fewer } else { place += size }
        }
        if size == 1 {
            return vec![(together, why)];
        }
        size = size.div_ceil(2);
    }
}

/// A database with rows, and what is in it.
fn begin(cluster: &Cluster) -> (Database, String) {
    let template = cluster.database("kinds");
    template.sql(ROWS);
    let expected = everything(&template);
    (template, expected)
}

/// How many values of each setting are tried by default, all settings at once: with each major other ones.
const ROUNDS: usize = 1;

fn no_setting_does_harm(major: u32) {
    let Some(cluster) = Cluster::of(major) else { return };
    let (template, expected) = begin(&cluster);
    let first = MAJORS.iter().position(|known| *known == major).unwrap() * ROUNDS;
    let all = values(&cluster);
    for round in first..first + ROUNDS {
        let settings: Vec<Setting> =
            all.iter().filter(|(_, values)| !values.is_empty()).map(|(name, values)| (name.clone(), values[round % values.len()].clone())).collect();
        let found = culprits(&settings, &|settings| comes_back(&cluster, &template, &expected, settings).err());
        assert!(found.is_empty(), "{major}: {found:#?}");
    }
}

#[test]
fn no_setting_does_harm_13() {
    no_setting_does_harm(13);
}

#[test]
fn no_setting_does_harm_14() {
    no_setting_does_harm(14);
}

#[test]
fn no_setting_does_harm_15() {
    no_setting_does_harm(15);
}

#[test]
fn no_setting_does_harm_16() {
    no_setting_does_harm(16);
}

#[test]
fn no_setting_does_harm_17() {
    no_setting_does_harm(17);
}

#[test]
fn no_setting_does_harm_18() {
    no_setting_does_harm(18);
}

/// What a statement may use is the owner's to say, up to all that the machine has; and a planner that expects very many rows uses it. No process of this server
/// gets more than a gigabyte.
#[test]
fn what_a_statement_of_ours_may_use_is_not_for_the_owner_to_say() {
    for major in [16, 18] {
        let Some(cluster) = Cluster::own(major, &[]) else { return };
        cluster.restart_within(1024);
        let (template, expected) = begin(&cluster);
        let settings = [("work_mem", "64MB"), ("maintenance_work_mem", "2000GB"), ("hash_mem_multiplier", "1000"), ("recursive_worktable_factor", "1000000")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        comes_back(&cluster, &template, &expected, &settings).unwrap();
    }
}

/// Each value by itself: some 500 backups and 2,000 restores a major. What does harm is told at once.
fn each_value_alone(major: u32) {
    let Some(cluster) = Cluster::of(major) else { return };
    let (template, expected) = begin(&cluster);
    let mut found = Vec::new();
    for (name, values) in values(&cluster) {
        for value in values {
            let setting = [(name.clone(), value)];
            if let Err(why) = comes_back(&cluster, &template, &expected, &setting) {
                eprintln!("{major}: {setting:?}: {why}");
                found.push((setting, why));
            }
        }
    }
    assert!(found.is_empty(), "{major}: {found:#?}");
}

#[test]
#[ignore = "it takes hours; the values of a round together are tried by default"]
fn each_value_alone_13() {
    each_value_alone(13);
}

#[test]
#[ignore = "it takes hours; the values of a round together are tried by default"]
fn each_value_alone_14() {
    each_value_alone(14);
}

#[test]
#[ignore = "it takes hours; the values of a round together are tried by default"]
fn each_value_alone_15() {
    each_value_alone(15);
}

#[test]
#[ignore = "it takes hours; the values of a round together are tried by default"]
fn each_value_alone_16() {
    each_value_alone(16);
}

#[test]
#[ignore = "it takes hours; the values of a round together are tried by default"]
fn each_value_alone_17() {
    each_value_alone(17);
}

#[test]
#[ignore = "it takes hours; the values of a round together are tried by default"]
fn each_value_alone_18() {
    each_value_alone(18);
}

#[test]
#[ignore = "it takes hours; the values of a round together are tried by default"]
fn each_value_alone_19() {
    each_value_alone(19);
}
