//! Nobody is taken over: whoever owns a database may plant what he likes in it and on it, and none of it runs with the rights of whoever backs it up.
//! It owns the traps; that PostgreSQL's own programs do not step into them is checked along with ours.
//! Invariant: a trap that is sprung by anybody but its owner is in the server's log, also where the transaction could write nothing.

use crate::bad_days::Bouncer;
use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Kluis, kluis};
use crate::support::repo::{Repo, manifest};
use crate::support::{skip, unique};
use kluis::postgres::session::Session;
use kluis::stop::Stop;
use std::path::Path;

/// What mallory may plant, `MALLORY` being his name: an operator for each of PostgreSQL's own, functions, aggregates, types, casts. Each does what it should,
/// so that nobody notices.
const TRAPS: &str = r#"
SET SESSION AUTHORIZATION MALLORY; SET check_function_bodies = off; SET client_min_messages = error;
CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.spring() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $f$ BEGIN
    IF current_user <> 'MALLORY' THEN
        RAISE LOG 'sprung by %: MALLORY', current_user;
        BEGIN EXECUTE 'ALTER ROLE MALLORY SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
    END IF;
    RETURN true;
END $f$;
DO $do$ DECLARE o record; planted int := 0; BEGIN
    FOR o IN SELECT oid, oprname AS name, oprleft AS l, pg_catalog.format_type(oprleft, -1) AS lt, pg_catalog.format_type(oprright, -1) AS rt,
            pg_catalog.format_type(oprresult, -1) AS result FROM pg_catalog.pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprright <> 0 LOOP
        BEGIN
            EXECUTE format('CREATE FUNCTION evil.op_%s(%s%s) RETURNS %s LANGUAGE plpgsql AS $b$ BEGIN PERFORM evil.spring(); RETURN %s OPERATOR(pg_catalog.%s) %s; END $b$',
                o.oid, CASE WHEN o.l <> 0 THEN o.lt || ', ' ELSE '' END, o.rt, o.result, CASE WHEN o.l <> 0 THEN '$1' ELSE '' END, o.name, CASE WHEN o.l <> 0 THEN '$2' ELSE '$1' END);
            EXECUTE format('CREATE OPERATOR evil.%s (FUNCTION = evil.op_%s%s, RIGHTARG = %s)', o.name, o.oid, CASE WHEN o.l <> 0 THEN ', LEFTARG = ' || o.lt ELSE '' END, o.rt);
            planted := planted + 1;
        EXCEPTION WHEN OTHERS THEN NULL; END;
    END LOOP;
    IF planted < 600 THEN RAISE EXCEPTION 'only % operators could be planted', planted; END IF;
END $do$;
DO $do$ DECLARE f record; planted int := 0; BEGIN
    FOR f IN SELECT p.oid, p.proname AS name, pg_catalog.format_type(p.prorettype, -1) AS result, p.pronargs AS n,
            (SELECT coalesce(string_agg(pg_catalog.format_type(t, -1), ', ' ORDER BY i), '') FROM unnest(p.proargtypes) WITH ORDINALITY AS u(t, i)) AS args,
            (SELECT coalesce(string_agg('$' || i, ', '), '') FROM generate_series(1, p.pronargs) i) AS numbers
        FROM pg_catalog.pg_proc p WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND NOT proretset AND provariadic = 0 AND proname = ANY ('{
            set_config, current_setting, pg_backend_pid, quote_ident, quote_literal, format, split_part, substr, strpos, starts_with, has_table_privilege,
            has_schema_privilege, has_sequence_privilege, has_database_privilege, pg_get_userbyid, pg_database_size, pg_encoding_to_char, pg_relation_size,
            pg_is_in_recovery, current_database, version, pg_export_snapshot, clock_timestamp, now, pg_partition_root, row_security_active, pg_has_role, lower,
            length, replace, pg_get_expr, format_type, obj_description, array_to_string, pg_tablespace_location, json_build_array, pg_size_pretty}'::name[]) LOOP
        BEGIN
            EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS $b$ BEGIN PERFORM evil.spring(); RETURN pg_catalog.%I(%s); END $b$', f.name, f.args, f.result, f.name, f.numbers);
            planted := planted + 1;
        EXCEPTION WHEN OTHERS THEN NULL; END;
    END LOOP;
    IF planted < 60 THEN RAISE EXCEPTION 'only % functions could be planted', planted; END IF;
END $do$;
CREATE FUNCTION evil.bump(bigint) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN PERFORM evil.spring(); RETURN pg_catalog.int8pl($1, 1); END';
CREATE AGGREGATE evil.count(*) (SFUNC = evil.bump, STYPE = bigint, INITCOND = '0');
CREATE TYPE evil.mood AS ENUM ('a');
CREATE FUNCTION evil.of_mood(evil.mood) RETURNS pg_catalog.text LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.spring(); RETURN 'a'; END $$;
CREATE CAST (evil.mood AS pg_catalog.text) WITH FUNCTION evil.of_mood(evil.mood) AS IMPLICIT;
DO $do$ DECLARE t text; BEGIN
    FOREACH t IN ARRAY '{text, name, oid, int4, int8, bool, regclass, char, json, timestamptz, varchar}'::text[] LOOP
        EXECUTE format('CREATE DOMAIN evil.%I AS pg_catalog.%I CHECK (evil.spring())', t, t);
    END LOOP;
END $do$;
"#;

/// And what would make a database that is not empty: views with the names of the catalogues, and tables with something in them that settings may change.
const RELATIONS: &str = r#"
DO $do$ DECLARE c record; planted int := 0; BEGIN
    FOR c IN SELECT relname FROM pg_catalog.pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v') LOOP
        BEGIN
            EXECUTE format('CREATE VIEW evil.%I AS SELECT evil.spring() AS sprung, c.* FROM pg_catalog.%I c', c.relname, c.relname);
            planted := planted + 1;
        EXCEPTION WHEN OTHERS THEN NULL; END;
    END LOOP;
    IF planted < 80 THEN RAISE EXCEPTION 'only % views could be planted', planted; END IF;
END $do$;
CREATE TABLE public.t (id int PRIMARY KEY, v text DEFAULT 'C:\x', parts text[] DEFAULT '{NULL,"NULL"}', b bytea, at timestamptz, i interval, d float8, r regclass);
INSERT INTO public.t SELECT i, 'é€ ' || i, ARRAY['a', NULL, 'NULL'], '\x00ff', 'epoch', '1 day 2 hours', i / 3.0, 'public.t' FROM generate_series(1, 100) i;
COMMENT ON TABLE public.t IS 'é€ C:\x'; CREATE TABLE public."tablé" AS SELECT 1 AS "é€";
CREATE TABLE public.child (id int REFERENCES public.t CHECK (id = 1 OR id <> 2)); INSERT INTO public.child VALUES (1), (3);
CREATE VIEW public.v AS SELECT id, v || '!' AS loud FROM public.t WHERE v LIKE 'é%'; CREATE MATERIALIZED VIEW public.m AS SELECT count(*) FROM public.v;
SELECT lo_from_bytea(4711, '\xc0ffee'); GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC;
"#;

/// What may stand on a database, by the will of its owner. What a major does not know is left out.
const SETTINGS: &[(&str, &str)] = &[
    ("statement_timeout", "1ms"),
    ("lock_timeout", "1ms"),
    ("idle_in_transaction_session_timeout", "1ms"),
    ("idle_session_timeout", "1ms"),
    ("transaction_timeout", "1ms"),
    ("tcp_user_timeout", "1ms"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_deferrable", "on"),
    ("role", "MALLORY"),
    ("row_security", "on"),
    ("DateStyle", "SQL, DMY"),
    ("IntervalStyle", "sql_standard"),
    ("TimeZone", "Asia/Kathmandu"),
    ("extra_float_digits", "-15"),
    ("bytea_output", "escape"),
    ("xmlbinary", "hex"),
    ("xmloption", "document"),
    ("client_encoding", "LATIN1"),
    ("client_min_messages", "debug5"),
    ("standard_conforming_strings", "off"),
    ("backslash_quote", "on"),
    ("array_nulls", "off"),
    ("transform_null_equals", "on"),
    ("quote_all_identifiers", "on"),
    ("exit_on_error", "on"),
    ("synchronize_seqscans", "on"),
    ("gin_fuzzy_search_limit", "1"),
    ("default_toast_compression", "pglz"),
    ("check_function_bodies", "on"),
    ("restrict_nonsystem_relation_kind", "view, foreign-table"),
    ("enable_seqscan", "off"),
    ("constraint_exclusion", "on"),
    ("work_mem", "64kB"),
];

/// What the planner computes for whoever asks for a table's rows: constants in the expressions of indexes, their predicates, statistics, CHECK constraints,
/// keys of partitions.
const PLANNED: &str = r#"
CREATE FUNCTION evil.fold(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN PERFORM evil.spring(); RETURN $1; END $f$;
CREATE TABLE public.by_expression (a int, g int GENERATED ALWAYS AS (a + 1) STORED, b text);
CREATE TABLE public.by_predicate (LIKE public.by_expression INCLUDING GENERATED);
CREATE TABLE public.by_statistics (LIKE public.by_expression INCLUDING GENERATED);
CREATE TYPE evil.key AS ENUM ('x', 'y');
CREATE TABLE public.parts (k evil.key, a int) PARTITION BY HASH (k, (a + evil.fold(1))); CREATE TABLE public.part PARTITION OF public.parts FOR VALUES WITH (MODULUS 1, REMAINDER 0);
INSERT INTO public.parts VALUES ('x', 1), ('y', 2);
"#;
const PLANNED_INDEXES: &str = "
CREATE INDEX ON public.by_expression (evil.fold(1)); CREATE INDEX ON public.by_predicate (a) WHERE evil.fold(2) = 2;
CREATE INDEX ON public.part (a) WHERE evil.fold(3) = 3;";

/// A database that mallory owns.
struct House {
    cluster: Cluster,
    mallory: String,
    database: Database,
}

impl House {
    /// With relations of all sorts and every setting, or with names alone that lie in wait.
    fn new(major: u32, everything: bool) -> Option<House> {
        let cluster = Cluster::of(major)?;
        let (mallory, guest, database) = (unique("mallory"), unique("guest"), cluster.database("evil"));
        cluster.sql("postgres", &format!("CREATE ROLE {guest}; CREATE ROLE {mallory}; ALTER DATABASE {} OWNER TO {mallory}", database.name));
        database.sql(&[TRAPS, if everything { RELATIONS } else { "" }].concat().replace("MALLORY", &mallory));
        // The traps work: whoever resolves names as mallory wants steps into them.
        database.sql(&format!("SET SESSION AUTHORIZATION {guest}; SET search_path = evil, pg_catalog; SELECT 'a'::name = 'a'::name"));
        assert!(cluster.log().contains(&format!("sprung by {guest}: {mallory}")), "no trap was sprung");

        let set = |name: &str, value: &str| format!("ALTER DATABASE {} SET {name} = {value};", database.name);
        let known = cluster.sql("postgres", "SELECT name FROM pg_settings UNION SELECT 'role'");
        // From 19 on strings conform to the standard.
        let settings = SETTINGS.iter().filter(|(name, _)| major < 19 || *name != "standard_conforming_strings");
        let settings = settings.filter(|(name, _)| everything && known.lines().any(|known| known == *name));
        let settings: String = settings.map(|(name, value)| set(name, &format!("'{}'", value.replace("MALLORY", &mallory)))).collect();
        cluster.sql("postgres", &format!("SET SESSION AUTHORIZATION {mallory}; {settings} {}", set("search_path", "evil, pg_catalog")));
        if everything {
            // What only a superuser can put there.
            let powerful = set("session_replication_role", "replica") + &set("zero_damaged_pages", "on");
            cluster.sql("postgres", &format!("{powerful} ALTER ROLE postgres IN DATABASE {} SET lock_timeout = '1ms'", database.name));
        }
        Some(House { cluster, mallory, database })
    }

    /// Nobody else ran what mallory planted, and he is who he was.
    #[track_caller]
    fn is_safe(&self, after: &str) {
        let log = self.cluster.log();
        let sprung =
            log.lines().filter(|line| line.contains("sprung by") && !line.contains("sprung by guest") && line.ends_with(&format!(": {}", self.mallory)));
        let sprung: Vec<&str> = sprung.take(5).collect();
        assert!(sprung.is_empty(), "after {after}: {sprung:#?}");
        assert_eq!(self.cluster.value("postgres", &format!("SELECT rolsuper FROM pg_roles WHERE rolname = '{}'", self.mallory)), "f", "after {after}");
    }

    #[track_caller]
    fn run(&self, what: &str, kluis: Kluis, code: i32) -> String {
        let ended = kluis.run();
        self.is_safe(what);
        assert!(ended.code == Some(code) && !ended.stderr.contains("error:"), "{what}: {ended:#?}");
        ended.stdout
    }
}

fn nobody_is_taken_over(major: u32) {
    let (Some(house), Some(target)) = (House::new(major, true), House::new(major, false)) else { return };
    let (cluster, database, repo) = (&house.cluster, &house.database, Repo::new());
    // Names alone.
    target.run("doctor of names", kluis(&["doctor"]).of(&target.database).keeping(&Repo::new()), 3);
    target.run("a dry run of names", kluis(&["backup", "--dry-run"]).of(&target.database).keeping(&Repo::new()), 0);
    let mut session = database.cluster.connection(&database.name);
    session.application_name = "kluis".to_owned();
    let mut session = Session::connect(&session, &Stop::new()).unwrap();
    let ours = "SELECT current_user, current_setting('search_path'), current_setting('transaction_read_only'), current_setting('statement_timeout'),
        current_setting('session_replication_role'), 'a'::pg_catalog.name = 'a'::pg_catalog.name";
    let row = session.query(ours).unwrap().rows.remove(0).into_iter().map(Option::unwrap).collect::<Vec<_>>();
    assert_eq!(row, ["postgres", "\"\"", "off", "0", "origin", "t"]);
    house.is_safe("a session");
    drop(session);

    let of = |words: &[&str]| kluis(words).of(database).keeping(&repo);
    // It warns that there is no backup yet.
    house.run("doctor", of(&["doctor"]), 3);
    house.run("a dry run", of(&["backup", "--dry-run"]), 0);
    house.run("a backup", of(&["backup"]), 0);
    house.run("verify", of(&["verify"]), 0);
    assert!(house.run("a drill", of(&["drill"]), 0).contains("proven"));
    house.run("compare", of(&["compare", "latest"]), 0);
    house.run("status", of(&["status"]), 0);
    let again = format!("{}_again", database.name);
    house.run("a restore", kluis(&["restore", "latest", "--create", "--to", &format!("postgresql:///{again}")]).keeping(&repo).into(cluster), 0);
    house.run("compare with what was restored", of(&["compare", "latest"]).env("DB_DATABASE", &again), 0);

    // Into a database of mallory's.
    let (plain, other) = (cluster.database("plain"), Repo::new());
    plain.sql("CREATE TABLE t (id int PRIMARY KEY, v text[]); INSERT INTO t SELECT i, ARRAY['a', NULL] FROM generate_series(1, 100) i; CREATE VIEW v AS SELECT * FROM t;
        CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM v");
    kluis(&["backup"]).of(&plain).keeping(&other).run().done();
    target.run("a restore into his database", kluis(&["restore", "latest", "--to", &target.database.url()]).keeping(&other).into(cluster), 0);
    target.run("compare in his database", kluis(&["compare", "latest"]).of(&target.database).keeping(&other), 0);

    if major >= 14 {
        let reader = cluster.role("reader");
        cluster.sql("postgres", &format!("GRANT pg_read_all_data TO {reader}; ALTER ROLE {reader} BYPASSRLS"));
        target.run("doctor of names, of a reader", kluis(&["doctor"]).of(&target.database).keeping(&Repo::new()).role(&reader), 3);
        house.run("doctor of a reader", of(&["doctor"]).role(&reader), 0);
        house.run("a dry run of a reader", of(&["backup", "--dry-run"]).role(&reader), 0);
        house.run("a backup of a reader", of(&["backup"]).role(&reader), 0);
    }
}

/// What nothing of ours depends on, by the beginnings of names: plans, memory, cost, logs, limits that an operator may want and that fail aloud, words for
/// people, what is used by statements that we never run, and what cannot be undone in a session that has begun.
const INDIFFERENT: &[&str] = &[
    "enable_ cpu_ geqo jit_ log_ debug_ trace_ track_ vacuum_ parallel_ max_parallel_ min_parallel_ tcp_keepalives_ wal_ maintenance_ effective_ commit_ from_collapse_limit",
    "join_collapse_limit backend_flush_after cursor_tuple_fraction default_statistics_target force_parallel_mode gin_pending_list_limit hash_mem_multiplier",
    "min_eager_agg_group_size timing_clock_source io_combine_limit logical_decoding_work_mem plan_cache_mode random_page_cost recursive_worktable_factor seq_page_cost stats_fetch_consistency temp_buffers work_mem",
    "compute_query_id deadlock_timeout synchronous_commit update_process_title application_name file_copy_method backtrace_functions",
    "max_stack_depth temp_file_limit",
    "lc_numeric lc_time default_text_search_config timezone_abbreviations escape_string_warning operator_precedence_warning md5_password_warnings",
    "createrole_self_grant password_encryption scram_iterations default_toast_compression allow_ lo_compat_privileges temp_tablespaces extension_ dynamic_library_path",
    "output_plugin_libraries composite_type_mismatch",
    // Of the transaction in which a session begins, and of no other.
    "transaction_deferrable transaction_isolation transaction_read_only",
    // A superuser's own, before we can say anything.
    "local_preload_libraries session_preload_libraries event_triggers",
    // The dump's sessions set it to forbid, and programs get it empty.
    "restrict_nonsystem_relation_kind",
];

#[test]
fn every_setting_that_may_stand_on_a_database_or_a_role_was_thought_of() {
    for cluster in crate::support::cluster::MAJORS.into_iter().filter_map(Cluster::of) {
        let mut session = Session::connect(&cluster.connection("postgres"), &Stop::new()).unwrap();
        let rows = session.query("SELECT name FROM pg_settings WHERE context IN ('user', 'superuser') AND source <> 'session' ORDER BY 1").unwrap();
        let names = rows.iter().map(|row| row[0].clone().unwrap());
        let unknown: Vec<String> = names.filter(|name| !INDIFFERENT.iter().flat_map(|words| words.split(' ')).any(|word| name.starts_with(word))).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", session.server_version_num());
    }
}

#[test]
fn a_role_that_the_operator_chose_stays() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (group, login, database) = (unique("team"), unique("login"), cluster.database("chosen"));
    cluster.sql("postgres", &format!("CREATE ROLE {group}; CREATE ROLE {login} LOGIN IN ROLE {group}; ALTER DATABASE {} SET role = {login}", database.name));
    let as_whom = |user: &str, options: Option<&str>| {
        let mut connection = cluster.connection(&database.name);
        (connection.user, connection.options) = (user.to_owned(), options.map(str::to_owned));
        Session::connect(&connection, &Stop::new()).unwrap().query("SELECT current_user").unwrap().single().unwrap().to_owned()
    };
    assert_eq!(as_whom("postgres", None), "postgres");
    assert_eq!(as_whom("postgres", Some(&format!("-c role={group}"))), group);
    cluster.sql("postgres", &format!("ALTER ROLE {login} SET role = {group}"));
    assert_eq!(as_whom(&login, None), group);
    cluster.sql("postgres", &format!("ALTER ROLE {login} RESET role; ALTER ROLE {login} IN DATABASE {} SET role = {group}", database.name));
    assert_eq!(as_whom(&login, None), group);
}

/// What each server process of the pool has set, as somebody sees it who comes through it: as many ask at once as there are processes.
fn seen_through(bouncer: &Bouncer, cluster: &Cluster, database: &Database, size: usize) -> Vec<String> {
    let query = "SELECT pg_sleep(0.3), current_setting('search_path'), current_setting('client_min_messages'), current_setting('lock_timeout'),
        current_setting('statement_timeout'), current_setting('row_security'), current_setting('jit'), current_user";
    let ask = || {
        let mut psql = cluster.program("psql", &database.name);
        let output = psql.env("PGHOST", &bouncer.1).env("PGPORT", "6432").env_remove("PGOPTIONS").args(["-XAtqc", query]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut seen: Vec<String> =
        std::thread::scope(|scope| (0..size).map(|_| scope.spawn(ask)).collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).collect());
    seen.sort();
    seen
}

#[test]
fn nothing_is_left_in_a_pool_that_shares_its_processes() {
    if !Path::new("/usr/sbin/pgbouncer").exists() {
        return skip("'nothing_is_left_in_a_pool_that_shares_its_processes': PgBouncer is not installed", "scripts/setup test");
    }
    let Some(cluster) = Cluster::of(15) else { return };
    let (database, empty, repo) = (cluster.database("pooled"), cluster.database("target"), Repo::new());
    database.sql("CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i");
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    for (mode, more) in [("transaction", ""), ("transaction", "server_round_robin = 1\n"), ("statement", "")] {
        for size in 1..=3 {
            let bouncer = Bouncer::start(&cluster, mode, &format!("default_pool_size = {size}\n{more}"));
            let through = |kluis: Kluis, what: &str| {
                let ended = kluis.env("DB_HOST", &bouncer.1).env("DB_PORT", "6432").env("PGHOST", &bouncer.1).env("PGPORT", "6432").run();
                let said = format!("{}{}", ended.stdout, ended.stderr);
                assert!(ended.code == Some(10) && said.contains("is a connection pooler in transaction mode"), "{mode} {more} {size} {what}: {ended:#?}");
            };
            let before = (seen_through(&bouncer, &cluster, &database, size), seen_through(&bouncer, &cluster, &empty, size));
            for words in [&["doctor"][..], &["backup", "--dry-run"], &["backup"], &["compare", "latest"]] {
                through(kluis(words).of(&database).keeping(&repo), words[0]);
            }
            through(kluis(&["restore", "latest", "--to", &empty.url()]).keeping(&repo).into(&cluster), "restore");
            assert_eq!((seen_through(&bouncer, &cluster, &database, size), seen_through(&bouncer, &cluster, &empty, size)), before, "{mode} {more} {size}");
        }
    }
    // In session mode all is well, with one process that is taken by the session that asks, too.
    for (size, words) in [(20, "backup"), (1, "doctor")] {
        let bouncer = Bouncer::start(&cluster, "session", &format!("default_pool_size = {size}\nserver_round_robin = 1\n"));
        kluis(&[words]).of(&database).keeping(&repo).env("DB_HOST", &bouncer.1).env("DB_PORT", "6432").run().done();
    }
}

/// `COPY table TO` plans nothing, which is how pg_dump reads rows. Whoever asks by a query runs what the table's owner planted.
fn plans_run_nothing(major: u32) {
    let Some(house) = House::new(major, false) else { return };
    let (cluster, database, repo) = (&house.cluster, &house.database, Repo::new());
    let statistics = "CREATE STATISTICS public.planted ON (a + evil.fold(4)), (a * evil.fold(5)) FROM public.by_statistics;";
    let check = "ALTER TABLE public.by_statistics ADD CHECK (evil.fold(6) = 6);";
    // Large enough to be divided among sessions.
    let rows: String = ["by_expression", "by_predicate", "by_statistics"]
        .map(|table| format!("INSERT INTO public.{table} (a, b) SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, 17000) i;"))
        .concat();
    let planted = [PLANNED, &rows, PLANNED_INDEXES, if major >= 14 { statistics } else { "" }, check].concat();
    database.sql(&format!(
        "SET search_path = pg_catalog; SET SESSION AUTHORIZATION {}; {planted} ALTER DATABASE {} SET constraint_exclusion = on",
        house.mallory, database.name
    ));
    let guest = cluster.role("guest");
    database.sql(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {guest}"));
    let mut traps = vec!["by_expression", "by_predicate", "part", "parts"];
    traps.extend((major >= 14).then_some("by_statistics"));
    for table in traps {
        let before = cluster.log().matches(&format!("sprung by {guest}")).count();
        database.sql(&format!("SET search_path = pg_catalog; SET SESSION AUTHORIZATION {guest}; SELECT count(*) FROM public.{table}"));
        assert!(cluster.log().matches(&format!("sprung by {guest}")).count() > before, "no trap was sprung by a query over {table}");
    }
    house.is_safe("planting");

    let of = |words: &[&str]| kluis(words).of(database).keeping(&repo).env("BACKUP_DRILL", "off");
    house.run("doctor", of(&["doctor"]), 3);
    house.run("a dry run", of(&["backup", "--dry-run"]), 0);
    house.run("a backup", of(&["backup", "--jobs", "3"]), 0);
    house.run("compare", of(&["compare", "latest"]), 0);
    if major >= 14 {
        let reader = cluster.role("reader");
        cluster.sql("postgres", &format!("GRANT pg_read_all_data TO {reader}; ALTER ROLE {reader} BYPASSRLS"));
        house.run("a backup of a reader", of(&["backup"]).role(&reader), 0);
        house.run("compare of a reader", of(&["compare", "latest"]).role(&reader), 0);
    }
    let manifest = manifest(&repo.newest());
    let witnessed: Vec<&str> = manifest.witnessed.iter().map(|values| values.name.as_str()).collect();
    assert_eq!(witnessed, if major >= 14 { &[][..] } else { &["by_statistics"] }, "what cannot be read without a plan is not read");
    // CHECK constraints are computed by whoever loads rows, in every restore of PostgreSQL: he who gives rows to somebody's table runs them.
    database.sql("ALTER TABLE public.by_statistics DROP CONSTRAINT by_statistics_check; DROP TABLE public.parts");
    // A table is gone, which a backup tells.
    house.run("a backup without a check", of(&["backup"]), 3);
    let again = format!("{}_again", database.name);
    house.run("a restore", kluis(&["restore", "latest", "--create", "--to", &format!("postgresql:///{again}")]).keeping(&repo).into(cluster), 0);
    house.run("compare with what was restored", of(&["compare", "latest"]).env("DB_DATABASE", &again), 0);
}

macro_rules! for_each_major {
    ($($name:ident = $major:literal),*) => {
        $(#[test]
        fn $name() {
            nobody_is_taken_over($major);
            plans_run_nothing($major);
        })*
    };
}
for_each_major!(nobody_13 = 13, nobody_14 = 14, nobody_15 = 15, nobody_16 = 16, nobody_17 = 17, nobody_18 = 18, nobody_19 = 19);
