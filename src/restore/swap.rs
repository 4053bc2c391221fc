//! A new database in the place of an old one: made under a name of ours, then both renamed in one transaction, and the old one dropped last.
//! It owns those names, what a killed restore left under them, and the one lock that keeps restores into a database apart; it leaves making and filling to `place`.
//! Invariant: until the transaction commits, the old database has its name and is as it was; from then on the new one has it, whole.

use super::{Request, ahead, place};
use crate::error::{Error, Kind, Result};
use crate::postgres::catalogue::cell;
use crate::postgres::quote::{quote_ident, quote_literal};
use crate::postgres::server_error::ServerError;
use crate::postgres::session::Session;
use crate::stop::{Limits, Stop, Watchdog};
use crate::units::first;
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant, SystemTime};

/// How the names of databases begin that are being made, and of those that were replaced.
const PREFIXES: [&str; 2] = ["kluis_new_", "kluis_old_"];

/// How long removing a database may take when a signal ended the restore: whoever sent it waits. And else.
const QUICK: Duration = Duration::from_secs(8);
const PATIENT: Duration = Duration::from_secs(300);

/// The names under which a database waits for another one's, and gives way to it.
#[derive(Debug, Clone)]
pub struct Names {
    /// Of the new one until it is whole.
    pub new: String,
    /// Of the old one from then on until it is dropped.
    pub old: String,
}

impl Names {
    /// For a restore into the database of that name: no other one, whenever it ran, has the same.
    pub fn of(database: &str) -> Names {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let [new, old] = PREFIXES.map(|prefix| format!("{prefix}{}_{:x}_{:x}", mark(database), now.as_millis(), std::process::id()));
        Names { new, old }
    }
}

/// What all names of ours for one database have in common.
fn mark(database: &str) -> String {
    Sha256::digest(database).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a database is one that a restore into `database` made, or put aside.
fn is_ours(name: &str, database: &str) -> bool {
    let hex = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
    let rest = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).and_then(|rest| rest.strip_prefix(&format!("{}_", mark(database))));
    rest.and_then(|rest| rest.split_once('_')).is_some_and(|(time, process)| hex(time) && hex(process))
}

/// Takes the lock that a restore which makes a database holds as long as the session lives.
pub fn lock(session: &mut Session, database: &str) -> Result<()> {
    let hash = Sha256::digest(format!("kluis restore {database}"));
    let key = i64::from_be_bytes(hash[..8].try_into().expect("a hash has more than eight bytes"));
    if session.query(&format!("SELECT pg_catalog.pg_try_advisory_lock({key})"))?.single()? == "t" {
        return Ok(());
    }
    Err(Error::new(Kind::Locked, format!("another restore into database '{}' is at work", database.escape_debug())).hinted("wait for its end, or stop it"))
}

/// Removes what killed restores into the database left. The session must hold the [`lock`]. Returns what to tell of it.
pub fn sweep(session: &mut Session, database: &str) -> Result<Vec<String>> {
    let rows = session.query("SELECT datname FROM pg_catalog.pg_database WHERE datname LIKE 'kluis\\_%' ORDER BY 1")?;
    let names = rows.rows.iter().map(|row| cell(row, 0).map(str::to_owned)).collect::<Result<Vec<_>>>()?;
    let mut told = Vec::new();
    for name in names.iter().filter(|name| is_ours(name, database)) {
        // Nobody but a session of the killed restore has anything to do in one that was not finished. In one that was replaced somebody may be looking.
        let force = name.starts_with(PREFIXES[0]);
        told.push(match place::drop_database(session, name, force) {
            Ok(()) => format!("database '{name}', which a restore that was killed left behind, was removed"),
            Err(error) if matches!(error.kind(), Kind::Interrupted | Kind::TimedOut) => return Err(error),
            Err(error) => format!("database '{name}' is left of a restore that was killed, and could not be removed: {}", error.chain()),
        });
    }
    Ok(told)
}

/// Gives the new database the name of the old one, and drops that. `session` is with another database, and holds the [`lock`]. Returns what to tell.
pub fn swap(session: Session, request: &Request<'_>, names: &Names, stop: &Stop) -> Result<Vec<String>> {
    let database = &request.to.database;
    let mut session = alive(session, request, stop)?;
    let [real, new, old] = [database, &names.new, &names.old].map(|name| quote_ident(name));
    // Monitoring that visits every database has no business in this one, and would keep it from being renamed.
    session.execute(&format!("ALTER DATABASE {new} ALLOW_CONNECTIONS false"))?;
    let guests = format!(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = {} AND pid <> pg_catalog.pg_backend_pid()",
        quote_literal(&names.new)
    );
    // Who had locked everybody out of the old one has not opened the new one yet.
    let open = session.query(&format!("SELECT datallowconn FROM pg_catalog.pg_database WHERE datname = {}", quote_literal(database)))?.get(0, 0) != Some("f");
    let begun = Instant::now();
    loop {
        // What may not be ended, the server tells when it is in the way.
        let _ = session.execute(&guests);
        stop.check()?;
        let renamed = session.execute(&format!(
            "BEGIN; ALTER DATABASE {real} RENAME TO {old}; ALTER DATABASE {new} RENAME TO {real}; ALTER DATABASE {real} ALLOW_CONNECTIONS {open};
             ALTER DATABASE {old} ALLOW_CONNECTIONS false; COMMIT"
        ));
        let Err(error) = renamed else { break };
        if session.in_transaction() {
            let _ = session.execute("ROLLBACK");
        }
        // An answer that was lost on its way is no refusal.
        session = alive(session, request, stop)?;
        if !session.query(&format!("SELECT FROM pg_catalog.pg_database WHERE datname = {}", quote_literal(&names.old)))?.is_empty() {
            break;
        }
        // In use: whoever connected meanwhile may leave. The server has waited some seconds already.
        let in_use = ServerError::of(&error).is_some_and(|error| error.sqlstate == "55006");
        if !in_use || begun.elapsed() >= request.lock_wait {
            let guests = ahead::sessions(&mut session, database).unwrap_or_default();
            let by = if guests.is_empty() { String::new() } else { format!(": it is in use by {}", first(&guests, 5).join(", ")) };
            return Err(error
                .context(format!("the restored database could not take the place of '{}'{by}", database.escape_debug()))
                .hinted("end the sessions that use it, keep the application stopped, and restore again; the old database is as it was"));
        }
    }
    // From here on the restore has succeeded.
    let mut told = Vec::new();
    if !open {
        told.push(format!("database '{}' accepts no connections, as before: ALTER DATABASE {real} ALLOW_CONNECTIONS true opens it", database.escape_debug()));
    }
    if let Err(error) = place::drop_database(&mut session, &names.old, true) {
        told.push(format!(
            "the old database could not be dropped: it is there as '{}' (DROP DATABASE {old} once nothing uses it): {}",
            names.old,
            error.chain()
        ));
    }
    Ok(told)
}

/// A session that still answers, with the [`lock`]: a restore may take hours in which this one lay idle.
fn alive(mut session: Session, request: &Request<'_>, stop: &Stop) -> Result<Session> {
    if session.query("SELECT 1").is_ok() {
        return Ok(session);
    }
    let mut session = place::neighbour(request, stop)?;
    lock(&mut session, &request.to.database)?;
    Ok(session)
}

/// Removes the database that a restore which failed had made, and returns the restore's error.
pub fn abandon(request: &Request<'_>, made: &str, error: Error) -> Error {
    // The token of the restore may have tripped; what was made is removed all the same.
    let (stop, limit) = (Stop::new(), if error.kind() == Kind::Interrupted { QUICK } else { PATIENT });
    let _dog = Watchdog::start(&stop, Limits { deadline: Some(limit), stall: None }, Default::default());
    let removed = place::neighbour(request, &stop).and_then(|mut session| place::drop_database(&mut session, made, true));
    match removed {
        Ok(()) => error,
        Err(why) => error.context(format!("database '{}' is left of a restore that failed ({})", made.escape_debug(), why.chain())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_known_again() {
        for database in ["shop", "Shop \"1\"", "é".repeat(31).as_str(), "kluis_new_0"] {
            let names = Names::of(database);
            assert!(names.new.len() <= 63 && names.old.len() <= 63 && names.new != names.old, "{names:?}");
            assert!(is_ours(&names.new, database) && is_ours(&names.old, database) && !is_ours(&names.new, "other"), "{names:?}");
        }
        let mark = mark("shop");
        for other in [
            "kluis_new_".to_owned(),
            format!("kluis_new_{mark}"),
            format!("kluis_new_{mark}_1"),
            format!("kluis_new_{mark}_1_x"),
            format!("kluis_old_{mark}__1"),
        ] {
            assert!(!is_ours(&other, "shop"), "{other}");
        }
    }
}
