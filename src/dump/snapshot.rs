//! The snapshot that everything of a dump sees, and the session that holds it.
//! It owns the order "lock, then snapshot"; it leaves reading rows to the workers.
//! Invariant: every table that is moved was locked before the snapshot was taken, so no TRUNCATE and no rewriting ALTER, which are not
//! MVCC-safe (manual, 13.6), can make it look empty; or it was locked later, and found to have the file that it had in the snapshot.

use super::locks::{self, Locks};
use crate::error::{Error, Kind, Result};
use crate::manifest::{Origin, Witnessed};
use crate::postgres::catalogue::{self, Facts, Special, Table};
use crate::postgres::connection::Connection;
use crate::postgres::origin;
use crate::postgres::reach::{self, Reach};
use crate::postgres::server_error::ServerError;
use crate::postgres::session::Session;
use crate::stop::Stop;
use jiff::Timestamp;
use std::collections::HashSet;
use std::time::Duration;

/// How often the list of tables may change under us before we give up.
const ATTEMPTS: usize = 20;
/// How much of pg_dump's argument list the names of tables may take. Linux gives a process a quarter of its stack limit, 2 MiB as a rule.
const ARGUMENT_BYTES: usize = 1 << 20;

/// A snapshot that is held open.
pub struct Snapshot {
    /// The coordinator's session: it holds the locks and keeps the snapshot alive.
    pub session: Session,
    /// The snapshot's name for other sessions.
    pub id: String,
    /// When it was taken, by the server's clock.
    pub at: Timestamp,
    /// Where it lies in the life of the cluster.
    pub origin: Origin,
    /// The facts, as of the snapshot.
    pub facts: Facts,
    /// The tables whose rows Kluis moves.
    pub plain: Vec<Table>,
    /// The relations whose rows pg_dump moves.
    pub special: Vec<Special>,
    /// What is only digested.
    pub witnessed: Vec<Witnessed>,
    /// What calls functions that are not built in: the rows of these tables come in turn.
    pub reach: Reach,
    /// The tables that are still to be locked: OIDs and quoted names.
    unlocked: Vec<(u32, String)>,
}

impl Snapshot {
    /// Lists the tables, locks them, takes the snapshot, and looks again: if a table appeared in between, it starts over. Where they are locked later,
    /// [`Snapshot::lock`] does that; `when` is for the server's room to say where it is none.
    pub fn take(connection: &Connection, lock_wait: Duration, when: Option<Locks>, stop: &Stop) -> Result<Snapshot> {
        let mut session = Session::connect(connection, stop)?;
        session.execute(&format!("SET lock_timeout = {}", lock_wait.as_millis()))?;
        let standby = catalogue::facts(&mut session)?.server.standby;
        catalogue::guard_against_swaps(&mut session)?;
        let when = when.map_or_else(|| Locks::of(&mut session), Ok)?;
        for _ in 0..ATTEMPTS {
            let tables = Lists::read(&mut session, standby)?;
            session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
            match if when == Locks::First { lock(&mut session, tables.names().map(|(_, name)| name)) } else { Ok(()) } {
                Ok(()) => {}
                Err(error) if vanished(&error) => {
                    session.execute("ROLLBACK")?;
                    continue;
                }
                Err(error) => return Err(error.context("cannot lock the tables for reading")),
            }
            // The first query fixes the snapshot; LOCK TABLE before it does not.
            let rows =
                session.query("SELECT pg_catalog.pg_export_snapshot(), (EXTRACT(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::pg_catalog.int8")?;
            let origin = origin::of(&mut session, Timestamp::now())?;
            let row = rows.rows.first().cloned().unwrap_or_default();
            let id = catalogue::cell(&row, 0)?.to_owned();
            let at = Timestamp::from_microsecond(catalogue::number(&row, 1)?)
                .map_err(|_| Error::new(Kind::Failed, "the server's clock shows an impossible time"))?;
            let again = Lists::read(&mut session, standby)?;
            if !again.same_tables(&tables) {
                session.execute("ROLLBACK")?;
                continue;
            }
            let unlocked = if when == Locks::First { Vec::new() } else { again.names().collect() };
            let facts = catalogue::facts(&mut session)?;
            let reach = reach::reach(&mut session)?;
            let (plain, special) = again.divide(&facts.database.encoding, &reach.tables);
            let witnessed = catalogue::witnessed(&mut session, standby)?;
            return Ok(Snapshot { session, id, at, origin, facts, plain, special, witnessed, reach, unlocked });
        }
        Err(Error::new(Kind::Failed, format!("tables were created or dropped during each of {ATTEMPTS} attempts to lock them all"))
            .hinted("run the backup when fewer tables are created and dropped"))
    }

    /// Locks what is still to be locked. Whether all of it is what it was when the snapshot was taken.
    pub fn lock(&mut self) -> Result<bool> {
        let unlocked = std::mem::take(&mut self.unlocked);
        match lock(&mut self.session, unlocked.iter().map(|(_, name)| name.clone())) {
            Ok(()) => {}
            Err(error) if vanished(&error) => return Ok(false),
            Err(error) => return Err(error.context("cannot lock the tables for reading")),
        }
        for chunk in unlocked.chunks(CHUNK) {
            if !locks::same_files(&mut self.session, chunk)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends the snapshot. Fails if the session that held it had been lost: then the locks had been lost as well.
    pub fn release(mut self) -> Result<()> {
        self.session.execute("COMMIT").map_err(|error| error.context("the session that held the snapshot was lost"))
    }
}

/// The tables of both sorts, as listed at one time.
struct Lists {
    plain: Vec<Table>,
    special: Vec<Special>,
}

impl Lists {
    fn read(session: &mut Session, standby: bool) -> Result<Lists> {
        Ok(Lists { plain: catalogue::plain_tables(session, standby)?, special: catalogue::special_tables(session, standby)? })
    }

    /// All of them, as OIDs and quoted names.
    fn names(&self) -> impl Iterator<Item = (u32, String)> {
        self.plain.iter().chain(self.special.iter().map(|special| &special.table)).map(|table| (table.oid, table.qualified()))
    }

    /// Whether the same tables, by OID, name and columns, are in both. Sizes may differ.
    fn same_tables(&self, other: &Lists) -> bool {
        let key = |table: &Table| (table.oid, table.schema.clone(), table.name.clone(), table.columns.clone());
        self.plain.iter().map(key).eq(other.plain.iter().map(key))
            && self.special.iter().map(|special| key(&special.table)).eq(other.special.iter().map(|special| key(&special.table)))
    }

    /// Leaves to pg_dump the smallest tables where there are so many that their names do not fit into its argument list, and those whose
    /// name cannot be given to it. Where it gets one of those that come in turn, it gets all of them: they have one order.
    fn divide(mut self, encoding: &str, in_turn: &HashSet<u32>) -> (Vec<Table>, Vec<Special>) {
        let mut by_size: Vec<usize> = (0..self.plain.len()).collect();
        by_size.sort_by_key(|index| std::cmp::Reverse(self.plain[*index].bytes));
        let (mut room, mut kept) = (ARGUMENT_BYTES, vec![false; self.plain.len()]);
        for index in by_size {
            let (pattern, utf8) = (self.plain[index].pattern(), matches!(encoding, "UTF8" | "SQL_ASCII"));
            // pg_dump reads patterns in the database's encoding, and ours are UTF-8.
            kept[index] = pattern.len() + 40 <= room && (utf8 || pattern.is_ascii());
            if kept[index] {
                room -= pattern.len() + 40;
            }
        }
        let has_turn = |index: usize| in_turn.contains(&self.plain[index].oid);
        let of_special = self.special.iter().any(|special| special.comes_in_turn(in_turn));
        if of_special || (0..kept.len()).any(|index| !kept[index] && has_turn(index)) {
            (0..kept.len()).filter(|index| has_turn(*index)).for_each(|index| kept[index] = false);
        }
        let (mut plain, mut index) = (Vec::new(), 0);
        for table in self.plain {
            if kept[index] {
                plain.push(table);
            } else {
                let leaves = vec![(table.oid, table.qualified())];
                self.special.push(Special { table, condition: None, leaves });
            }
            index += 1;
        }
        (plain, self.special)
    }
}

/// How many tables a statement names.
const CHUNK: usize = 200;

fn lock(session: &mut Session, names: impl Iterator<Item = String>) -> Result<()> {
    let names: Vec<String> = names.collect();
    for chunk in names.chunks(CHUNK) {
        session.execute(&format!("LOCK TABLE {} IN ACCESS SHARE MODE", chunk.join(", ")))?;
    }
    Ok(())
}

/// Whether a table or its schema went away between listing and locking.
fn vanished(error: &Error) -> bool {
    ServerError::of(error).is_some_and(|error| matches!(error.sqlstate.as_str(), "42P01" | "3F000" | "42809"))
}
