//! A session: our own small, blocking client for catalogue queries and for COPY.
//! Owns the simple query protocol (manual, section 55.2.2) and its states; leaves rows of COPY to `copy`.
//! Invariant: a statement is done only after ReadyForQuery. A session left in the middle of something refuses everything after.

use super::cancel::CancelToken;
use super::connection::Connection;
use super::frame::{Wire, nonsense, take, take_string};
use super::opening::{self, Opened};
use super::server_error::ServerError;
use super::startup;
use crate::error::{Error, Kind, Result};
use crate::raw;
use crate::stop::Stop;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Idle,
    /// A statement runs, or was left running.
    Busy,
    /// The connection is gone.
    Dead,
}

/// A connection to one database. Ends with the value; the server rolls back what was not committed.
pub struct Session {
    pub(crate) wire: Wire,
    pub(crate) state: State,
    parameters: BTreeMap<String, String>,
    version: u32,
    cancel: CancelToken,
    pub(crate) stop: Stop,
    /// The letter of ReadyForQuery: `I` idle, `T` in a transaction, `E` in a failed one.
    transaction: u8,
    pub(super) opened: Opened,
}

/// What a query returned, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The columns' names.
    pub columns: Vec<String>,
    /// A value each column; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The value in `row` and `column`; none for NULL and for what is not there.
    pub fn get(&self, row: usize, column: usize) -> Option<&str> {
        self.rows.get(row)?.get(column)?.as_deref()
    }

    /// The rows, each as a slice of values.
    pub fn iter(&self) -> impl Iterator<Item = &[Option<String>]> {
        self.rows.iter().map(Vec::as_slice)
    }

    /// The first value of the first row, which the query must return and which must not be NULL.
    pub fn single(&self) -> Result<&str> {
        self.get(0, 0).ok_or_else(|| Error::new(Kind::Failed, "the server returned no value where one was expected"))
    }

    /// [`Rows::single`] as a number or whatever else parses from text.
    pub fn parsed<T: std::str::FromStr>(&self) -> Result<T> {
        self.single()?.parse().map_err(|_| Error::new(Kind::Failed, "the server returned a value of an unexpected form"))
    }
}

impl Session {
    /// Connects, trying each address of the host for at most `connect_timeout`. Ends early when `stop` trips, as everything on this session does.
    ///
    /// Names mean what PostgreSQL means by them: the search path is empty, and no setting of the database or of the role changes what our statements
    /// do, or the text of rows. A connection pooler that shares server processes is refused, and nothing is left behind in it.
    pub fn connect(connection: &Connection, stop: &Stop) -> Result<Session> {
        opening::open(connection, stop)
    }

    /// Connects and logs in, and no more: as the database and the role want it.
    pub(crate) fn start(connection: &Connection, stop: &Stop) -> Result<Session> {
        stop.check()?;
        let started = startup::start(connection, stop)?;
        let version = started
            .parameters
            .get("server_version")
            .and_then(|text| version_number(text))
            .ok_or_else(|| Error::new(Kind::Unreachable, format!("'{}' does not say which version of PostgreSQL it is", connection.label())))?;
        let cancel = CancelToken { connection: connection.clone(), place: started.place, key: started.key, encrypted: started.encrypted };
        Ok(Session {
            wire: started.wire,
            state: State::Idle,
            parameters: started.parameters,
            version,
            cancel,
            stop: stop.clone(),
            transaction: b'I',
            opened: Opened::default(),
        })
    }

    /// Where this session is connected to.
    pub fn connection(&self) -> &Connection {
        &self.cancel.connection
    }

    /// Gives up our own settings of how values are written: from here on the session computes what any other client's would.
    pub fn compute_as_everybody(&mut self) -> Result<()> {
        self.execute(&opening::as_everybody())
    }

    /// The same for PostgreSQL's own programs: with options by which the settings of the database and the role do not get into their way either,
    /// where that can be told to the server.
    pub fn for_programs(&self) -> Connection {
        opening::for_programs(self)
    }

    /// The same for a program that writes a dump: values are written down there as in our own sessions.
    pub fn for_dumps(&self) -> Connection {
        opening::for_dumps(self)
    }

    /// The server's version as `server_version_num` has it: 150014 for 15.14.
    pub fn server_version_num(&self) -> u32 {
        self.version
    }

    /// A parameter that the server reports by itself, such as `server_version` or `TimeZone` (manual, section 55.2.7).
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// Has it speak the encoding again that [`Session::query`] reads and writes, whatever was set meanwhile.
    pub fn speak(&mut self) -> Result<()> {
        self.execute(&format!("SET client_encoding = '{}'", opening::client_encoding(self.parameter("server_encoding"))))
    }

    /// The process that serves this session, as in `pg_stat_activity`.
    pub fn backend_pid(&self) -> i32 {
        self.cancel.key.0
    }

    /// Whether the session is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.cancel.encrypted
    }

    /// Whether a transaction is open, failed ones included.
    pub fn in_transaction(&self) -> bool {
        self.transaction != b'I'
    }

    /// What another thread needs to cancel the running statement.
    pub fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    /// Runs one or more statements, and returns the rows of the last one that returns any. What is no UTF-8 stands as [`raw::text`] has it, both ways.
    pub fn query(&mut self, sql: &str) -> Result<Rows> {
        self.query_bytes(&raw::bytes(sql))
    }

    /// The same for text in another encoding than UTF-8, which the session's `client_encoding` names.
    pub fn query_bytes(&mut self, sql: &[u8]) -> Result<Rows> {
        self.begin(sql)?;
        let mut rows = Rows::default();
        loop {
            let message = self.wire.message();
            let (tag, range) = message.map_err(|error| self.lost("a query", error))?;
            let body = &self.wire.buffer[range.clone()];
            let read = match tag {
                b'T' => columns(body).map(|columns| rows = Rows { columns, rows: Vec::new() }),
                b'D' => values(body).map(|row| rows.rows.push(row)),
                // Data of a COPY that nobody asked for.
                b'C' | b'I' | b'd' | b'c' | b'H' => Ok(()),
                b'Z' => {
                    let transaction = tag_body(body);
                    self.ready(transaction);
                    return Ok(rows);
                }
                b'E' => {
                    let error = ServerError::parse(body);
                    return Err(self.refused("the statement", error));
                }
                b'G' => {
                    self.state = State::Dead;
                    return Err(Error::new(Kind::Failed, "a COPY FROM STDIN was sent as a query"));
                }
                _ => self.aside(tag, range.start),
            };
            read.map_err(|error| self.lost("a query", error))?;
        }
    }

    /// Runs one or more statements whose rows, if any, are of no interest.
    pub fn execute(&mut self, sql: &str) -> Result<()> {
        self.query(sql).map(drop)
    }

    /// Sends a statement.
    pub(crate) fn begin(&mut self, sql: &[u8]) -> Result<()> {
        self.stop.check()?;
        match self.state {
            State::Idle => {}
            State::Busy => return Err(Error::new(Kind::Failed, "this session was left in the middle of a statement")),
            State::Dead => return Err(Error::new(Kind::Unreachable, "this session has ended")),
        }
        if sql.contains(&0) {
            return Err(Error::new(Kind::Failed, "a statement holds a zero byte"));
        }
        self.state = State::Busy;
        let sent = self.wire.put(b'Q', &[sql, b"\0"]).and_then(|()| self.wire.flush());
        sent.map_err(|error| self.lost("sending a statement", error))
    }

    /// Notes ReadyForQuery.
    pub(crate) fn ready(&mut self, transaction: u8) {
        self.state = State::Idle;
        self.transaction = transaction;
    }

    /// Handles what may come at any time: ParameterStatus, notices, notifications. `start` is where the body begins in the buffer.
    pub(crate) fn aside(&mut self, tag: u8, start: usize) -> io::Result<()> {
        match tag {
            b'S' => startup::note_parameter(&mut self.parameters, &self.wire.buffer[start..self.wire.head]),
            b'N' | b'A' => Ok(()),
            _ => Err(nonsense("a message out of place")),
        }
    }

    /// The error for `error`, after everything up to ReadyForQuery has been read; a fatal one has ended the session.
    pub(crate) fn refused(&mut self, doing: &str, error: ServerError) -> Error {
        // After a fatal one nothing follows. A broken connection is no news beside the error at hand.
        let mut live = !error.is_fatal();
        let error = self.stop.explain(error.into_error(format!("the server refused {doing}")));
        while live {
            match self.wire.message() {
                Ok((b'Z', body)) => {
                    self.ready(tag_body(&self.wire.buffer[body]));
                    return error;
                }
                other => live = other.is_ok(),
            }
        }
        self.state = State::Dead;
        error
    }

    /// The error for a connection that broke while `doing`: the reason to stop, what the server said last, or the break itself.
    pub(crate) fn lost(&mut self, doing: &str, error: io::Error) -> Error {
        let busy = self.state == State::Busy;
        self.state = State::Dead;
        if let Some(reason) = self.stop.reason() {
            if busy {
                // A backend that waits for a lock does not notice that we are gone: it would wait on, and block others.
                let _ = self.cancel.cancel_within(Duration::from_secs(2));
            }
            return reason.error();
        }
        if error.kind() == ErrorKind::InvalidData {
            return Error::new(Kind::Failed, format!("the server broke PostgreSQL's protocol in the middle of {doing}")).because(error);
        }
        if let Some(said) = self.last_words() {
            return said.into_error(format!("the server ended the session in the middle of {doing}"));
        }
        Error::new(Kind::Unreachable, format!("the server closed the connection in the middle of {doing}"))
            .because(error)
            .hinted("look at the server's log: it may have crashed, been stopped or killed for lack of memory; or the network broke")
    }

    /// After a failed write: the error that the server may have sent before it closed.
    fn last_words(&mut self) -> Option<ServerError> {
        self.wire.set_deadline(Some(Instant::now() + Duration::from_secs(1))).ok()?;
        loop {
            if let (b'E', body) = self.wire.message().ok()? {
                return Some(ServerError::parse(&self.wire.buffer[body]));
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.state == State::Idle && self.wire.set_deadline(Some(Instant::now() + Duration::from_secs(1))).is_ok() {
            let _ = self.wire.put(b'X', &[]).and_then(|()| self.wire.flush());
        }
    }
}

/// The transaction's letter in the body of ReadyForQuery.
pub(crate) fn tag_body(body: &[u8]) -> u8 {
    body.first().copied().unwrap_or(b'I')
}

fn columns(mut body: &[u8]) -> io::Result<Vec<String>> {
    let count = u16::from_be_bytes(take(&mut body)?);
    let mut names = Vec::with_capacity(count.into());
    for _ in 0..count {
        names.push(raw::text(take_string(&mut body)?));
        take::<18>(&mut body)?;
    }
    Ok(names)
}

fn values(mut body: &[u8]) -> io::Result<Vec<Option<String>>> {
    let count = u16::from_be_bytes(take(&mut body)?);
    let mut row = Vec::with_capacity(count.into());
    for _ in 0..count {
        let length = i32::from_be_bytes(take(&mut body)?);
        let Ok(length) = usize::try_from(length) else {
            row.push(None);
            continue;
        };
        let (value, rest) = body.split_at_checked(length).ok_or_else(|| nonsense("a message that ends too early"))?;
        row.push(Some(raw::text(value)));
        body = rest;
    }
    Ok(row)
}

/// `15.14 (Debian 15.14-0+deb12u1)` is 150014, `17beta2` is 170000, `9.6.24` is 90624.
fn version_number(text: &str) -> Option<u32> {
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let mut parts = text[..end].split('.').map(|part| part.parse::<u32>().ok().filter(|part| *part < 1000));
    let major = parts.next()??;
    let minor = parts.next().flatten().unwrap_or(0);
    if major >= 10 { Some(major * 10_000 + minor) } else { Some(major * 10_000 + minor * 100 + parts.next().flatten().unwrap_or(0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, expected) in [
            ("15.14 (Debian 15.14-0+deb12u1)", Some(150_014)),
            ("17beta2", Some(170_000)),
            ("16", Some(160_000)),
            ("9.6.24", Some(90_624)),
            ("18devel", Some(180_000)),
            ("unknown", None),
            ("", None),
        ] {
            assert_eq!(version_number(text), expected, "{text}");
        }
    }

    #[test]
    fn a_row_that_ends_too_early_is_an_error() {
        assert_eq!(values(b"\0\x02\0\0\0\x01a\xff\xff\xff\xff").unwrap(), [Some("a".to_owned()), None]);
        for body in [&b""[..], b"\0\x01", b"\0\x01\0\0\0\x05ab", b"\0\x01\x7f\xff\xff\xff"] {
            assert!(values(body).is_err(), "{body:?}");
        }
        assert!(columns(b"\0\x01name").is_err());
    }
}
