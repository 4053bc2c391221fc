//! The first statements of a session: whether a server process of its own is behind it, whose names it resolves, which settings it obeys.
//! It owns their order and the list of settings, for our sessions and for the programs beside them; it leaves the protocol to `session`.
//! Invariant: nothing is set before the process that answers is known to be ours alone, and no name is looked up before the search path is ours.

use super::connection::Connection;
use super::server_error::ServerError;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::stop::Stop;
use std::time::{Duration, Instant};

/// A setting that may stand on a database or a role and would change what a statement means or does: its name, our value, and the first major that has it.
type Setting = (&'static str, &'static str, u32);

/// For our sessions and for the programs beside them. The search path decides whose functions and operators run: the owner of a database chooses it.
const SHARED: &[Setting] = &[
    ("search_path", "", 0),
    // Limits that are meant for an application. A dump has its own.
    ("statement_timeout", "0", 0),
    ("idle_in_transaction_session_timeout", "0", 0),
    ("idle_session_timeout", "0", 14),
    ("transaction_timeout", "0", 17),
    ("tcp_user_timeout", "0", 0),
    ("default_transaction_isolation", "read committed", 0),
    ("default_transaction_read_only", "off", 0),
    ("default_transaction_deferrable", "off", 0),
    // How statements and values are read and written.
    ("standard_conforming_strings", "on", 0),
    ("backslash_quote", "safe_encoding", 0),
    ("array_nulls", "on", 0),
    ("transform_null_equals", "off", 0),
    ("quote_all_identifiers", "off", 0),
    ("exit_on_error", "off", 0),
    // Where what is created goes unless it says so itself.
    ("default_tablespace", "", 0),
    ("default_table_access_method", "heap", 0),
    ("icu_validation_level", "warning", 16),
];

/// For our sessions alone: those of pg_dump (pg_dump.c, `setup_connection`), and what makes the text of rows depend on the rows alone. `lc_monetary` is
/// C, which every server has: two decimal places and a minus sign, whoever reads the rows.
const OURS: &[Setting] = &[
    // Notices are dropped anyway. Unsent, they cannot fill a connection that neither side reads from either.
    ("client_min_messages", "error", 0),
    ("lock_timeout", "0", 0),
    ("DateStyle", "ISO", 0),
    ("IntervalStyle", "postgres", 0),
    ("TimeZone", "UTC", 0),
    ("extra_float_digits", "3", 0),
    ("bytea_output", "hex", 0),
    ("lc_monetary", "C", 0),
    ("xmloption", "content", 0),
    ("xmlbinary", "base64", 0),
    ("synchronize_seqscans", "off", 0),
    ("row_security", "off", 0),
    ("check_function_bodies", "on", 0),
    ("gin_fuzzy_search_limit", "0", 0),
    ("max_parallel_workers_per_gather", "0", 0),
    ("jit", "off", 0),
    // What a statement may use: a hash table has its size from the start, and a planner may expect any number of rows.
    ("work_mem", "32MB", 0),
    ("hash_mem_multiplier", "1", 0),
    // Else the planner computes CHECK constraints.
    ("constraint_exclusion", "off", 0),
    // A server process that waits for a lock notices that we are gone (runtime-config-connection).
    ("client_connection_check_interval", "2s", 14),
];

/// Settings by which a value becomes text, or text a value, where a function asks for that: with them an expression says one thing or another.
pub const COMPUTING: &[&str] = &["DateStyle", "IntervalStyle", "TimeZone", "extra_float_digits", "bytea_output", "xmlbinary"];

/// What only a superuser may set. Damaged pages that are read as empty ones are rows that are missing without a word; triggers and keys are as they are.
const POWERFUL: &[Setting] = &[
    ("zero_damaged_pages", "off", 0),
    ("ignore_checksum_failure", "off", 0),
    ("session_replication_role", "origin", 0),
    // A limit that is meant for an application, as those of time are.
    ("temp_file_limit", "-1", 0),
    // What PostgreSQL's programs say is told by its words.
    ("lc_messages", "C", 0),
];

/// In the throwaway server the triggers of whoever logs in are not to write into what is compared.
const THROWAWAY: &[Setting] = &[("event_triggers", "off", 17)];

/// Minor releases since August 2024 have it: then it may forbid reading through views, which a restore has to do.
const SWAPS: &str = "restrict_nonsystem_relation_kind";

/// Which process answers. One transaction, whatever the database's defaults for transactions: with those a mere SELECT may wait for others to end.
const PROCESS: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_catalog.pg_backend_pid()";

/// How long a pooler may let a statement wait before that counts as an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a pooler is put to the test. Each time both sessions could be given the other one's process.
const ROUNDS: usize = 5;

/// What the first statements found out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Opened {
    /// The process that was announced is the one that answers: there is no pooler in between.
    direct: bool,
    /// The role is the one that the operator chose, by options or on the login role.
    chosen_role: bool,
    /// Whether the role that logged in is a superuser, and still is one.
    powerful: bool,
    /// Whether the server knows [`SWAPS`].
    swaps: bool,
}

/// Connects, and makes the session ours.
pub(super) fn open(connection: &Connection, stop: &Stop) -> Result<Session> {
    let (mut to, mut tried, mut first) = (connection.clone(), 0, None);
    loop {
        let mut known = 0;
        let opened = Session::start(&to, stop).and_then(|mut session| {
            known = major(&session);
            settle(&mut session).map(|()| session)
        });
        let error = match opened {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        stop.check()?;
        // A limit that stands on the database may be shorter than a first statement takes. What is given at the start of a session comes before it.
        let limit = since(&error).map(|since| since.max(known)).filter(|major| *major > tried);
        let Some(major) = limit else { return Err(first.unwrap_or(error)) };
        first.get_or_insert(error);
        tried = major;
        to = with_options(connection, &options(SHARED.iter().filter(|(name, ..)| name.ends_with("_timeout")), major));
    }
}

fn settle(session: &mut Session) -> Result<()> {
    let process = process(session)?;
    let direct = process == session.backend_pid();
    if !direct {
        has_own_process(session, process)?;
    }
    let major = major(session);
    let chosen_by_options = session.connection().options.as_deref().is_some_and(|options| options.contains("role"));
    // A role that stands on the database is its owner's choice, one that stands on the login role is the operator's.
    let own_role = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) AS c(setting)
        WHERE s.setrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user) AND pg_catalog.starts_with(c.setting, 'role=')
            AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))";
    let role = if chosen_by_options { String::new() } else { format!("SELECT pg_catalog.set_config('role', 'none', false) WHERE ({own_role}) = 0;") };
    let powerful: Vec<String> = POWERFUL.iter().map(|(name, value, _)| format!("pg_catalog.set_config('{name}', '{value}', false)")).collect();
    let is_powerful = "pg_catalog.current_setting('is_superuser') = 'on'";
    let rows = session.query(&format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; {} {role} SELECT {} WHERE {is_powerful};
         SELECT ({own_role}) > 0, {is_powerful} AND (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user),
            pg_catalog.current_setting('{SWAPS}', true) IS NOT NULL;
         COMMIT",
        statements(major, session.parameter("server_encoding")),
        powerful.join(", ")
    ))?;
    let is = |column: usize| rows.get(0, column) == Some("t");
    session.opened = Opened { direct, chosen_role: chosen_by_options || is(0), powerful: is(1), swaps: is(2) };
    Ok(())
}

/// What our sessions speak. A database in SQL_ASCII knows bytes, and no server converts them: asked for UTF-8 it refuses those that are none (mbutils.c,
/// `pg_server_to_any`).
pub(super) fn client_encoding(server_encoding: Option<&str>) -> &'static str {
    if server_encoding == Some("SQL_ASCII") { "SQL_ASCII" } else { "UTF8" }
}

/// `SET`s look up no name: what stands first does not matter.
fn statements(major: u32, server_encoding: Option<&str>) -> String {
    let encoding = [("client_encoding", client_encoding(server_encoding), 0)];
    SHARED.iter().chain(OURS).chain(&encoding).filter(|setting| setting.2 <= major).map(|(name, value, _)| format!("SET {name} = '{value}'; ")).collect()
}

/// Statements after which whatever the session has computed (a generated column, a CHECK, an entry of an index) is what every other client would have
/// computed, psql with our script among them. How rows are written down in a backup is read the same under each of these settings.
pub(super) fn as_everybody() -> String {
    COMPUTING.iter().map(|name| format!("RESET {name}; ")).collect()
}

/// The connection for PostgreSQL's own programs beside this session. They empty the search path by their first statement (pg_dump, pg_dumpall and pg_restore
/// of each major: `ALWAYS_SECURE_SEARCH_PATH_SQL`) and leave most other settings alone: they get ours at the start of their sessions, unless a pooler is in
/// between, which may refuse that.
pub(super) fn for_programs(session: &Session) -> Connection {
    let (connection, opened, major) = (session.connection(), session.opened, major(session));
    if !opened.direct {
        return connection.clone();
    }
    const ROLE: &[Setting] = &[("role", "none", 0)];
    const MAY_SWAP: &[Setting] = &[(SWAPS, "", 0)];
    let powerful = if opened.powerful { POWERFUL } else { &[] };
    let all = with_own_path().chain(ROLE.iter().filter(|_| !opened.chosen_role)).chain(MAY_SWAP.iter().filter(|_| opened.swaps)).chain(powerful);
    with_options(connection, &options(all, major))
}

/// The same for pg_dump, which leaves the style of bytea constants to the server: ours is that of the inventory, which has the same words.
pub(super) fn for_dumps(session: &Session) -> Connection {
    const STYLE: &[Setting] = &[("bytea_output", "hex", 0)];
    let connection = for_programs(session);
    if session.opened.direct { with_options(&connection, &options(STYLE.iter(), major(session))) } else { connection }
}

/// The options for every session with a throwaway server of that major, where the settings of databases and roles are somebody else's.
pub(super) fn in_throwaway(major: u32) -> String {
    options(with_own_path().chain(POWERFUL).chain(THROWAWAY).chain(&[("role", "none", 0)]), major)
}

/// For programs, which empty their search path by their first statement. As an option it would become the value that RESET gives: then an extension
/// that adds its schema to the database's path (`topology.AddToSearchPath`) would write one that cannot be read.
fn with_own_path() -> impl Iterator<Item = &'static Setting> {
    SHARED.iter().filter(|(name, ..)| *name != "search_path")
}

fn with_options(connection: &Connection, more: &str) -> Connection {
    let own = connection.options.as_deref().map_or_else(String::new, |own| format!("{own} "));
    Connection { options: Some(own + more), ..connection.clone() }
}

/// As words of a server's command line, in which a backslash protects a space (manual, 34.1.2, `options`).
fn options<'s>(settings: impl Iterator<Item = &'s Setting>, major: u32) -> String {
    let known = settings.filter(|setting| setting.2 <= major);
    known.map(|(name, value, _)| format!("-c {name}={}", value.replace(' ', "\\ "))).collect::<Vec<_>>().join(" ")
}

/// The first line of the script of a server of this major, for psql: what pg_dump's own text does not set, or sets only behind this, although a database or a
/// role of the server may have it otherwise. Without it an element NULL of an array becomes a word, nothing can be written, somebody who reads slowly is cut
/// off, an index finds no room to sort, or a materialized view cannot be filled. A script goes into no older major, but into older minors of it, which do not know [`SWAPS`].
pub fn of_script(major: u32) -> String {
    const SETTINGS: &[Setting] = &[
        ("statement_timeout", "0", 0),
        ("transaction_timeout", "0", 17),
        ("idle_session_timeout", "0", 14),
        ("array_nulls", "on", 0),
        ("default_transaction_read_only", "off", 0),
    ];
    let set: String = SETTINGS.iter().filter(|setting| setting.2 <= major).map(|(name, value, _)| format!("SET {name} = {value}; ")).collect();
    format!(
        "{set}SELECT pg_catalog.set_config(name, CASE WHEN name OPERATOR(pg_catalog.=) '{SWAPS}' THEN '' ELSE '-1' END, false) FROM pg_catalog.pg_settings
         WHERE name OPERATOR(pg_catalog.=) '{SWAPS}' OR name OPERATOR(pg_catalog.=) 'temp_file_limit' AND pg_catalog.current_setting('is_superuser')::pg_catalog.bool;\n"
    )
    .replace("\n         ", " ")
}

fn major(session: &Session) -> u32 {
    session.server_version_num() / 10_000
}

/// The process that answers a transaction that is over at once.
fn process(session: &mut Session) -> Result<i32> {
    let answer = session.query(&format!("{PROCESS}; ROLLBACK"));
    answer.map_err(|error| if shared_by_statements(&error) { pooled(session).because(error) } else { error })?.parsed()
}

/// PgBouncer ends a session that begins a transaction where processes are shared by statements (08P01).
fn shared_by_statements(error: &Error) -> bool {
    ServerError::of(error).is_some_and(|error| error.sqlstate.starts_with("08"))
}

/// Fails where several sessions share server processes: a snapshot, a lock and what is set would then belong to nobody, or to the application.
///
/// In a pool that shares by transactions a process that is not used goes to whoever comes next, or to the end of a queue. A second session shows the first
/// way: it is given the process of the first. The first session itself shows the other: it is given another one. In a pool in session mode neither happens.
fn has_own_process(session: &mut Session, own: i32) -> Result<()> {
    let stop = session.stop.clone();
    let mut other = Session::start(&session.connection().clone(), &stop)?;
    for _ in 0..ROUNDS {
        if process(session)? != own {
            return Err(pooled(session));
        }
        let theirs = within_patience(&mut other, PROCESS).map_err(|error| if shared_by_statements(&error) { pooled(session).because(error) } else { error })?;
        let Some(theirs) = theirs else {
            // No process is free for the other session, and ours lies idle: it is kept for us, if it answers while the other one waits.
            let kept = within_patience(session, &format!("{PROCESS}; ROLLBACK"))? == Some(own);
            return if kept { Ok(()) } else { Err(pooled(session)) };
        };
        // The other one's transaction holds a process of the pool meanwhile.
        let kept = theirs != own && process(session)? == own;
        other.execute("ROLLBACK")?;
        if !kept {
            return Err(pooled(session));
        }
    }
    Ok(())
}

/// The process that answers, if one does in time. A session that did not get an answer is of no further use.
fn within_patience(session: &mut Session, statement: &str) -> Result<Option<i32>> {
    let end = Instant::now() + PATIENCE;
    let lost = |error: std::io::Error| Error::new(Kind::Unreachable, "the connection to a pooler was lost").because(error);
    session.wire.set_deadline(Some(end)).map_err(lost)?;
    match session.query(statement) {
        Ok(rows) => {
            session.wire.set_deadline(None).map_err(lost)?;
            rows.parsed().map(Some)
        }
        Err(error) => {
            session.stop.check()?;
            if Instant::now() >= end { Ok(None) } else { Err(error) }
        }
    }
}

fn pooled(session: &Session) -> Error {
    Error::new(Kind::Refused, format!("'{}' is a connection pooler in transaction mode", session.connection().label()))
        .hinted("a dump needs sessions of its own: connect to PostgreSQL itself (most often port 5432), or to a pool in session mode")
}

/// The first major that has the limit which ended the statement or the session, if one did: cancelled, idle in a transaction, idle, the transaction's time.
fn since(error: &Error) -> Option<u32> {
    match ServerError::of(error)?.sqlstate.as_str() {
        "57014" | "25P03" => Some(13),
        "57P05" => Some(14),
        "25P04" => Some(17),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_major_gets_what_it_knows() {
        for (major, idle, transaction) in [(13, false, false), (14, true, false), (17, true, true)] {
            let (sent, given) = (statements(major, Some("LATIN1")), in_throwaway(major));
            assert!(sent.starts_with("SET search_path = ''; SET statement_timeout = '0'; "), "{sent}");
            assert_eq!((sent.contains("idle_session_timeout"), sent.contains("transaction_timeout")), (idle, transaction), "{major}");
            assert_eq!((given.contains("-c idle_session_timeout=0"), given.contains("-c event_triggers=off")), (idle, transaction), "{major}");
            assert!(sent.contains("SET client_encoding = 'UTF8'") && statements(major, Some("SQL_ASCII")).contains("SET client_encoding = 'SQL_ASCII'"));
            assert!(!given.contains("search_path") && given.contains(r"-c default_transaction_isolation=read\ committed "), "{given}");
        }
    }

    #[test]
    fn the_operators_own_options_stay() {
        let connection = crate::postgres::connection::tests::sample();
        let ours = with_options(&connection, "-c jit=off");
        assert_eq!(ours.options.as_deref(), Some("-c jit=off"));
        assert_eq!(with_options(&ours, "-c role=none").options.as_deref(), Some("-c jit=off -c role=none"));
    }
}
