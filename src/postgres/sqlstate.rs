//! What we know about SQLSTATE codes (manual, appendix A): their names, which kind of error they are, and what to do.
//! Owns the three tables; leaves carrying the error to `server_error`.
//! Invariant: pure, and silent about data: a table holds fixed text only.

use crate::error::Kind;

/// The kind of error a code stands for, and the next step where there is one to give.
pub fn judge(code: &str) -> (Kind, Option<&'static str>) {
    match code {
        "28P01" => (
            Kind::Unreachable,
            Some(
                "the password is wrong or the role does not exist: check DB_USERNAME and DB_PASSWORD (or DB_PASSWORD_FILE, or the passfile); a PostgreSQL container keeps the password that its volume was first started with",
            ),
        ),
        _ if code.starts_with("28") => (
            Kind::Unreachable,
            Some(
                "the server's pg_hba.conf does not let this role in from this address to this database, or only with (or without) TLS: add a line there, or change sslmode",
            ),
        ),
        "3D000" => (Kind::Unreachable, Some("there is no such database on this server: check DB_DATABASE")),
        "53300" => {
            (Kind::Unreachable, Some("the server has no connection left for us: lower BACKUP_JOBS, or raise max_connections or the role's CONNECTION LIMIT"))
        }
        "57P03" => (Kind::Unreachable, Some("the server is starting, stopping or recovering: try again in a moment")),
        "57P01" | "57P02" | "57P04" => {
            (Kind::Unreachable, Some("the server was stopped, crashed, or somebody ended this session: look at the server's log, then try again"))
        }
        _ if code.starts_with("08") => (Kind::Unreachable, None),
        "55P03" => {
            (Kind::TimedOut, Some("another session holds a lock on a table, most often ALTER TABLE or VACUUM FULL: try again later, or raise BACKUP_LOCK_WAIT"))
        }
        "57014" => (Kind::TimedOut, Some("statement_timeout of the role or database ended the statement, or somebody cancelled it")),
        "25P03" | "25P04" | "57P05" => (Kind::TimedOut, Some("a timeout set for the role or database ended the session: set it to 0 for the backup's role")),
        "42501" => (
            Kind::Failed,
            Some("the role may not do this: GRANT it the right, or use a role that is a member of pg_read_all_data (which covers no large objects)"),
        ),
        "53100" => (Kind::Failed, Some("the disk of the database server is full: free some space there")),
        "53200" => (Kind::Failed, Some("the database server is out of memory")),
        "54000" | "54001" => (Kind::Failed, Some("a limit of the database server was reached: look at its log")),
        "XX001" | "XX002" => {
            (Kind::Failed, Some("the database is damaged on disk: keep every backup, stop the server, copy its data folder and only then try repairs"))
        }
        "40001" | "40P01" => (
            Kind::Failed,
            Some(
                "another session got in the way: try again; on a standby it was the replay, so set hot_standby_feedback = on or raise max_standby_streaming_delay there",
            ),
        ),
        _ => (Kind::Failed, None),
    }
}

/// The next step where the server's table of locks is full.
pub const NO_ROOM_FOR_LOCKS: &str = "the server has no room for so many locks: raise max_locks_per_transaction in its postgresql.conf, and restart it";

/// Whether the primary message of this code names objects and limits only, never a row's values.
///
/// Everything else is withheld: `22P02` says `invalid input syntax for type integer: "…"`, `P0001` whatever an application raised.
pub fn message_is_clean(code: &str) -> bool {
    const CLASSES: [&str; 14] = ["08", "0A", "25", "28", "2B", "3D", "3F", "40", "53", "54", "55", "57", "58", "XX"];
    const CODES: [&str; 7] = ["42501", "42P01", "42703", "42704", "42883", "42P07", "42710"];
    code.get(..2).is_some_and(|class| CLASSES.contains(&class)) || CODES.contains(&code)
}

/// The manual's name for a code, or for its class.
pub fn name(code: &str) -> &'static str {
    let find = |table: &[(&str, &'static str)], key: &str| table.iter().find(|(known, _)| *known == key).map(|(_, name)| *name);
    find(CODES, code).or_else(|| find(CLASSES, code.get(..2)?)).unwrap_or("unknown condition")
}

const CODES: &[(&str, &str)] = &[
    ("22001", "string data right truncation"),
    ("22003", "numeric value out of range"),
    ("22007", "invalid datetime format"),
    ("22008", "datetime field overflow"),
    ("22012", "division by zero"),
    ("22021", "character not in repertoire"),
    ("22023", "invalid parameter value"),
    ("22P02", "invalid text representation"),
    ("22P03", "invalid binary representation"),
    ("22P04", "bad copy file format"),
    ("22P05", "untranslatable character"),
    ("23502", "not null violation"),
    ("23503", "foreign key violation"),
    ("23505", "unique violation"),
    ("23514", "check violation"),
    ("23P01", "exclusion violation"),
    ("28000", "invalid authorization specification"),
    ("28P01", "invalid password"),
    ("42501", "insufficient privilege"),
    ("42601", "syntax error"),
    ("42703", "undefined column"),
    ("42704", "undefined object"),
    ("42710", "duplicate object"),
    ("42804", "datatype mismatch"),
    ("42883", "undefined function"),
    ("42P01", "undefined table"),
    ("42P07", "duplicate table"),
    ("53100", "disk full"),
    ("53200", "out of memory"),
    ("53300", "too many connections"),
    ("55000", "object not in prerequisite state"),
    ("55P03", "lock not available"),
    ("57014", "query canceled"),
    ("57P01", "admin shutdown"),
    ("57P02", "crash shutdown"),
    ("57P03", "cannot connect now"),
    ("P0001", "raise exception"),
    ("P0004", "assert failure"),
];

const CLASSES: &[(&str, &str)] = &[
    ("08", "connection exception"),
    ("0A", "feature not supported"),
    ("21", "cardinality violation"),
    ("22", "data exception"),
    ("23", "integrity constraint violation"),
    ("24", "invalid cursor state"),
    ("25", "invalid transaction state"),
    ("26", "invalid SQL statement name"),
    ("27", "triggered data change violation"),
    ("28", "invalid authorization specification"),
    ("2B", "dependent privilege descriptors still exist"),
    ("34", "invalid cursor name"),
    ("38", "external routine exception"),
    ("39", "external routine invocation exception"),
    ("3D", "invalid catalog name"),
    ("3F", "invalid schema name"),
    ("40", "transaction rollback"),
    ("42", "syntax error or access rule violation"),
    ("44", "with check option violation"),
    ("53", "insufficient resources"),
    ("54", "program limit exceeded"),
    ("55", "object not in prerequisite state"),
    ("57", "operator intervention"),
    ("58", "system error"),
    ("F0", "configuration file error"),
    ("HV", "foreign data wrapper error"),
    ("P0", "PL/pgSQL error"),
    ("XX", "internal error"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_kinds_and_silence() {
        for (code, expected, kind, clean) in [
            ("22P02", "invalid text representation", Kind::Failed, false),
            ("22ZZZ", "data exception", Kind::Failed, false),
            ("23505", "unique violation", Kind::Failed, false),
            ("P0001", "raise exception", Kind::Failed, false),
            ("42601", "syntax error", Kind::Failed, false),
            ("42501", "insufficient privilege", Kind::Failed, true),
            ("28P01", "invalid password", Kind::Unreachable, true),
            ("28000", "invalid authorization specification", Kind::Unreachable, true),
            ("55P03", "lock not available", Kind::TimedOut, true),
            ("57014", "query canceled", Kind::TimedOut, true),
            ("57P01", "admin shutdown", Kind::Unreachable, true),
            ("XX001", "internal error", Kind::Failed, true),
            ("", "unknown condition", Kind::Failed, false),
            ("é", "unknown condition", Kind::Failed, false),
        ] {
            assert_eq!((name(code), judge(code).0, message_is_clean(code)), (expected, kind, clean), "{code}");
        }
    }
}
