//! A planted fault for each class of the inventory: what changes in archive and script together, class by class, makes the drill say *bad*.
//! It owns the classes that `witnesses` leaves out, on the newest major, which has all of them.
//! Invariant: a catalogue that the inventory walks has a plant here or there, or a test fails.

use super::witnesses::{CHANGES, SOURCE as TABLES, planted};
use crate::support::cluster::Cluster;
use crate::support::unique;
use kluis::postgres::inventory::CATALOGUES;

/// As in `witnesses`: what is done to a copy, and what the inventory must tell of it. Shared catalogues do not come along into a copy.
const MORE: &[(&str, &str)] = &[
    (
        "CREATE OR REPLACE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '5')",
        "aggregate public.total(integer): not as in the snapshot (agginitval)",
    ),
    ("DROP ACCESS METHOD heap_too", "am heap_too:"),
    ("ALTER INDEX by_sum ALTER 1 SET STATISTICS 9", "columns of indexes public.by_sum 1: not as in the snapshot (attstattarget)"),
    ("ALTER OPERATOR FAMILY family USING btree DROP OPERATOR 1 (int4, int2)", "amop "),
    ("ALTER OPERATOR FAMILY family USING btree DROP FUNCTION 1 (int4, int2)", "amproc "),
    ("DROP OPERATOR CLASS other_class USING btree", "opclass "),
    ("ALTER OPERATOR FAMILY family USING btree OWNER TO ROLE", "opfamily btree family public: not as in the snapshot (opfowner)"),
    ("ALTER OPERATOR === (int, int) SET (RESTRICT = NONE)", "operator public.===(integer,integer): not as in the snapshot (oprrest)"),
    ("DROP COLLATION plain; CREATE COLLATION plain (LOCALE = 'POSIX')", "collation "),
    ("DROP CONVERSION old_to_new", "conversion "),
    ("ALTER EXTENSION hstore SET SCHEMA second", "extension hstore: not as in the snapshot (extnamespace)"),
    ("DROP EXTENSION citext", "extension citext: the snapshot had it"),
    ("ALTER FOREIGN DATA WRAPPER w OPTIONS (ADD debug 'true')", "foreign_data_wrapper w: not as in the snapshot (fdwoptions)"),
    ("ALTER FOREIGN TABLE far OPTIONS (SET place 'there')", "foreign_table public.far: not as in the snapshot (ftoptions)"),
    ("ALTER TABLE child NO INHERIT parent", "inherits public.child"),
    ("ALTER TABLE parent ALTER COLUMN a DROP NOT NULL", "constraint NOT NULL a public.parent"),
    ("DROP LANGUAGE own_language", "language own_language:"),
    ("DROP TABLE parted; CREATE TABLE parted (a int, b int) PARTITION BY RANGE (b)", "partitioned_table public.parted: not as in the snapshot (partattrs)"),
    ("ALTER PUBLICATION of_schema DROP TABLES IN SCHEMA second", "publication_namespace of_schema second:"),
    ("DROP TYPE spans; CREATE TYPE spans AS RANGE (SUBTYPE = int8)", "range public.spans: not as in the snapshot (rngsubtype"),
    ("DELETE FROM pg_seclabel", "security label on public.t"),
    (
        "CREATE SUBSCRIPTION kept CONNECTION 'dbname=x' PUBLICATION other WITH (connect = false, slot_name = 'kept', enabled = false)",
        "subscription kept: not as in the snapshot (subpublications)",
    ),
    ("SELECT 'there is no other subscription in a copy'", "subscription lost: the snapshot had it"),
    ("DROP TRANSFORM FOR int LANGUAGE sql", "transform "),
    ("ALTER TEXT SEARCH CONFIGURATION conf OWNER TO ROLE", "ts_config conf public: not as in the snapshot (cfgowner)"),
    ("ALTER TEXT SEARCH DICTIONARY dict (stopwords = 'dutch')", "ts_dict public.dict: not as in the snapshot (dictinitoption)"),
    ("DROP TEXT SEARCH PARSER own_parser", "ts_parser "),
    ("DROP TEXT SEARCH TEMPLATE own_template", "ts_template "),
    ("ALTER TYPE pair OWNER TO ROLE", "type public.pair: not as in the snapshot (typowner)"),
    ("ALTER TYPE pair ADD ATTRIBUTE more int", "column public.pair more:"),
];

const OTHERS: &str = "
    CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0'); CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler;
    CREATE OPERATOR FAMILY family USING btree; CREATE INDEX by_sum ON t ((a + d)); ALTER INDEX by_sum ALTER 1 SET STATISTICS 7;
    ALTER OPERATOR FAMILY family USING btree ADD OPERATOR 1 < (int4, int2), FUNCTION 1 btint42cmp(int4, int2);
    CREATE OPERATOR CLASS other_class FOR TYPE bool USING btree FAMILY family AS OPERATOR 3 =, FUNCTION 1 btboolcmp(bool, bool);
    CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int, RESTRICT = eqsel); CREATE COLLATION plain (LOCALE = 'C');
    CREATE CONVERSION old_to_new FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8; CREATE EXTENSION hstore; CREATE EXTENSION citext;
    CREATE FOREIGN TABLE far (a int) SERVER srv OPTIONS (place 'here'); CREATE TABLE parent (a int NOT NULL); CREATE TABLE child () INHERITS (parent);
    CREATE LANGUAGE own_language HANDLER plpgsql_call_handler; CREATE TABLE parted (a int, b int) PARTITION BY RANGE (a);
    CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA second; CREATE TYPE spans AS RANGE (SUBTYPE = int4);
    CREATE SUBSCRIPTION kept CONNECTION 'dbname=x' PUBLICATION one WITH (connect = false, slot_name = 'kept', enabled = false);
    CREATE SUBSCRIPTION lost CONNECTION 'dbname=x' PUBLICATION one WITH (connect = false, slot_name = 'lost', enabled = false);
    CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION int4recv(internal));
    CREATE TEXT SEARCH DICTIONARY dict (TEMPLATE = simple, stopwords = 'english'); CREATE TYPE pair AS (one int);
    CREATE TEXT SEARCH PARSER own_parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype);
    CREATE TEXT SEARCH TEMPLATE own_template (LEXIZE = dsimple_lexize);
    INSERT INTO pg_seclabel SELECT oid, 'pg_class'::regclass, 0, 'some provider', 'secret' FROM pg_class WHERE relname = 't'";

#[test]
fn every_other_class_of_the_inventory() {
    // Nothing reaches out for the publisher, and no subscription stays behind in a server that others use.
    let Some(cluster) = Cluster::own(18, &["max_logical_replication_workers=0", "allow_system_table_mods=on"]) else { return };
    let role = unique("witness");
    cluster.sql("postgres", &format!("CREATE ROLE {role}"));
    // Beside them: what goes with an extension, a type's own functions, and what a child inherits.
    planted(&cluster, &role, &format!("{TABLES}; {OTHERS}"), MORE, 12);
}

/// The word by which a drill calls what a catalogue lists.
fn word(catalogue: &str) -> &str {
    match catalogue {
        "pg_class" => "relation",
        "pg_attribute" => "column",
        "pg_attrdef" => "default of column",
        "pg_rewrite" => "rule",
        "pg_proc" => "function",
        "pg_enum" => "labels of enum",
        "pg_namespace" => "schema",
        "pg_description" => "comment on",
        "pg_seclabel" => "security label on",
        "pg_largeobject_metadata" => "large object",
        "pg_default_acl" => "default privileges of",
        "pg_user_mapping" => "user mapping of",
        "pg_depend" => "dependency of",
        other => other.strip_prefix("pg_").unwrap_or(other),
    }
}

#[test]
fn every_catalogue_that_is_walked_has_a_plant() {
    // What no archive holds cannot be planted in one. `what_no_dump_brings_back_is_an_exception` and its neighbours have it.
    let elsewhere = [
        "members of extensions",
        "triggers of foreign keys",
        "rights on constructors",
        "changes to the system's objects",
        "foreign keys stricter than their parents'",
    ];
    for catalogue in CATALOGUES.iter().filter(|catalogue| !catalogue.from.is_empty() && !elsewhere.contains(&catalogue.name)) {
        let word = format!("{} ", word(catalogue.name));
        assert!(CHANGES.iter().chain(MORE).any(|(_, told)| format!("{told} ").starts_with(&word)), "nothing is planted for {} ('{word}')", catalogue.name);
    }
}
