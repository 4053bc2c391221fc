//! A history: the statements that the server took, one after the other.
//! It owns making and replaying them; it leaves the grammar to its siblings and judging the database to `judges`.
//! Invariant: each statement is a transaction of its own, and the same seed on the same server makes the same history.

use super::maker::{Maker, literal, quote};
use super::state::State;
use crate::knob::Random;
use crate::support::cluster::Database;
use kluis::postgres::session::Session;
use kluis::stop::Stop;

/// The roles of each server: plain, odd, a member of another, and one that may do everything.
pub const ROLES: &[&str] = &["alice", "\"Bob's\"", "\"quo\"\"te\"", "\"größe role\"", "postgres"];

/// Makes them.
pub const MAKE_ROLES: &str =
    "CREATE ROLE alice LOGIN; CREATE ROLE \"Bob's\" NOINHERIT; CREATE ROLE \"quo\"\"te\" CREATEDB; CREATE ROLE \"größe role\" IN ROLE alice;
    GRANT \"Bob's\" TO \"quo\"\"te\" WITH ADMIN OPTION; ALTER ROLE alice SET work_mem = '3MB'";

/// A kind of statement: how often it comes, its name, its maker.
type Kind = (u64, &'static str, fn(&mut Maker) -> Option<String>);

const KINDS: &[Kind] = &[
    (3, "schema", |maker| maker.create_schema()),
    (14, "table", |maker| maker.create_table()),
    (6, "table from", |maker| maker.create_table_from()),
    (5, "partitioned", |maker| maker.create_partitioned()),
    (9, "partition", |maker| maker.create_partition()),
    (5, "attach", |maker| maker.attach()),
    (9, "type", |maker| maker.create_type()),
    (5, "alter type", |maker| maker.alter_type()),
    (9, "view", |maker| maker.create_view()),
    (3, "materialized view", |maker| maker.create_materialized()),
    (4, "alter view", |maker| maker.alter_view()),
    (8, "index", |maker| maker.create_index()),
    (4, "alter index", |maker| maker.alter_index()),
    (5, "sequence", |maker| maker.sequence()),
    (24, "alter column", |maker| maker.alter_column()),
    (16, "alter constraint", |maker| maker.alter_constraint()),
    (12, "alter table", |maker| maker.alter_table()),
    (10, "function", |maker| maker.create_function()),
    (3, "reading", |maker| maker.reading()),
    (3, "trigger function", |maker| maker.trigger_function()),
    (8, "trigger", |maker| maker.create_trigger()),
    (3, "rule", |maker| maker.create_rule()),
    (4, "policy", |maker| maker.create_policy()),
    (5, "odd", |maker| maker.create_odd()),
    (14, "grant", |maker| maker.grant()),
    (3, "default rights", |maker| maker.default_rights()),
    (8, "owner", |maker| maker.owner()),
    (14, "comment", |maker| maker.comment()),
    (4, "setting", |maker| maker.setting()),
    (4, "large object", |maker| maker.large_object()),
    (6, "statistics, publication", |maker| maker.statistics_or_publication()),
    (4, "foreign", |maker| maker.foreign()),
    (3, "text search", |maker| maker.text_search()),
    (8, "rename", |maker| maker.rename()),
    (6, "drop", |maker| maker.drop()),
    (24, "insert", |maker| maker.insert()),
    (4, "change rows", |maker| maker.change_rows()),
];

/// In how many histories of a hundred there may be functions that read tables.
const READING: u64 = 25;

/// Those after which the state is as it was.
const STILL: &[&str] = &["comment", "insert", "change rows", "grant", "default rights", "setting", "owner"];

/// Makes a history of 20 to `most` statements in this database, which is empty, and counts what was refused.
pub fn make(database: &Database, major: u32, random: &mut Random, most: u64, refused: &mut u64) -> Vec<String> {
    let (mut history, mut session) = (Vec::new(), session(database));
    let mut languages = Vec::new();
    for language in ["plperl", "plpython3u", "pltcl"] {
        let statement = format!("CREATE EXTENSION {language}");
        if random.percent(6) && session.execute(&statement).is_ok() {
            history.push(statement);
            languages.push(language);
        }
    }
    // Short ones are more often judged to the end, long ones have more in them to meet.
    let span = 1 + random.below(most - 19);
    let wanted = 20 + random.below(span);
    // One such function is often more than PostgreSQL's own programs can restore: then there is nothing to compare with.
    let reads = random.percent(READING);
    let weights: u64 = KINDS.iter().map(|kind| kind.0).sum();
    let quoted = quote(&database.name);
    let (mut state, mut stale, mut number) = (State::default(), true, 0);
    // What is refused costs a try, so that a history ends.
    for _ in 0..3 * wanted {
        if history.len() as u64 >= wanted {
            break;
        }
        // Reading it costs more than a few statements about what is no longer there.
        if stale && (state.schemas.is_empty() || random.percent(30)) {
            state = State::read(&mut session);
            stale = false;
        }
        let mut at = random.below(weights);
        let chosen = KINDS.iter().find(|kind| {
            let found = kind.0 > at;
            at = at.saturating_sub(kind.0);
            found
        });
        let kind = chosen.unwrap_or(&KINDS[0]);
        if kind.1 == "reading" && !reads {
            continue;
        }
        let mut maker = Maker { random, state: &state, major, database: &quoted, roles: ROLES, languages: &languages, number };
        let made = kind.2(&mut maker);
        number = maker.number;
        let Some(statement) = made else { continue };
        if take(&mut session, database, &statement) {
            stale |= !STILL.contains(&kind.1);
            history.push(statement);
        } else {
            *refused += 1;
        }
    }
    history
}

/// Runs each of these statements, as far as it can be run, in one call: hundreds of small ones would wait for each other's way over the wire.
const FILL: &str = "CREATE FUNCTION pg_temp.fill(statements text[]) RETURNS bigint LANGUAGE plpgsql AS $fill$ DECLARE statement text; taken bigint := 0; BEGIN
    FOREACH statement IN ARRAY statements LOOP BEGIN EXECUTE statement; taken := taken + 1; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; RETURN taken; END $fill$";

/// Fills the tables of this database with made rows: so many inserts are tried, over all tables in turn. Returns how many the server took.
pub fn fill(database: &Database, major: u32, random: &mut Random, tries: u64) -> u64 {
    let mut session = session(database);
    session.execute("SET statement_timeout = 0").expect("a limit can be set");
    session.execute(FILL).expect("a function can be made");
    let state = State::read(&mut session);
    let tables: Vec<_> = state.relations.iter().filter(|relation| "rp".contains(relation.kind)).collect();
    let mut statements = Vec::new();
    for index in 0..tries.max(3 * tables.len() as u64) {
        let Some(table) = tables.get(index as usize % tables.len().max(1)) else { break };
        let mut maker = Maker { random: &mut *random, state: &state, major, database: "", roles: ROLES, languages: &[], number: 0 };
        statements.extend(maker.insert_into(table).map(|statement| literal(&statement)));
    }
    let filled = |some: &[String]| session.query(&format!("SELECT pg_temp.fill(ARRAY[{}]::text[])", some.join(", "))).ok()?.single().ok()?.parse::<u64>().ok();
    statements.chunks(100).filter_map(filled).sum()
}

/// Runs these statements in an empty database; what is refused is left out.
pub fn replay(database: &Database, was: &str, history: &[String]) {
    let mut session = session(database);
    for statement in history {
        take(&mut session, database, &statement.replace(&quote(was), &quote(&database.name)));
    }
}

fn take(session: &mut Session, database: &Database, statement: &str) -> bool {
    let taken = session.execute(statement).is_ok();
    // Only then is there something to set right, or to find out that the session has ended.
    if (!taken || statement.contains("SET ROLE")) && session.execute("RESET ROLE").is_err() {
        *session = self::session(database);
    }
    taken
}

/// A session in which names mean what they mean to pg_dump, and nothing lasts for long.
fn session(database: &Database) -> Session {
    let mut session = Session::connect(&database.cluster.connection(&database.name), &Stop::new()).expect("the server lets us in");
    session.execute("SET statement_timeout = '5s'; SET lock_timeout = '2s'").expect("limits can be set");
    session
}
