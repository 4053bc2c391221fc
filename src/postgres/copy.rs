//! COPY in both directions (manual, section 55.2.6): the row path.
//! Owns cutting rows out of the receive buffer, and sending chunks; leaves counting, hashing and compressing to the caller.
//! Invariant: memory is bounded whatever a row's size, and success is CopyDone, CommandComplete and ReadyForQuery, never the end of a stream.

use super::frame::{BUFFER, nonsense};
use super::server_error::ServerError;
use super::session::{Session, State, tag_body};
use crate::error::{Error, Kind, Result};
use crate::raw;
use std::io;
use std::ops::Range;

/// Rows up to this size, in bytes, are never split between two calls of [`CopyOut::read_rows`].
pub const WHOLE_ROW: usize = 8 * 1024 * 1024;
/// The most that one CopyData carries. The server holds a whole message in memory before it looks at it.
const CHUNK: usize = 64 * 1024;
/// How much is sent between two looks at whether the server has something to say.
const LOOK: usize = 1024 * 1024;

/// A row, or a piece of one that is too large for the receive buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A whole row with its line feed.
    Row(&'a [u8]),
    /// A piece of a large row; with `last` it is the end of the row, and has the line feed.
    Part {
        /// The bytes.
        bytes: &'a [u8],
        /// Whether the row ends here.
        last: bool,
    },
}

impl<'a> Piece<'a> {
    /// The bytes, of either sort.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Piece::Row(bytes) | Piece::Part { bytes, .. } => bytes,
        }
    }

    /// Whether a row ends with this piece: count these to count rows.
    pub fn ends_row(self) -> bool {
        !matches!(self, Piece::Part { last: false, .. })
    }
}

/// How far [`CopyOut::read_rows`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// As many bytes as wanted, and the last row is whole.
    Full,
    /// As many bytes as wanted, in the middle of a row larger than [`WHOLE_ROW`]: the next call goes on with it.
    Partial,
    /// The server has said that this was all. No row is open.
    End,
}

/// A COPY TO STDOUT that runs. Dropped before its end it leaves the session unusable: drop that too.
pub struct CopyOut<'a> {
    session: &'a mut Session,
    /// What is still to come of the large row that is being passed on.
    open: usize,
    /// Whether that row is larger than `WHOLE_ROW`.
    huge: bool,
    rows: u64,
    finished: bool,
}

enum Step {
    Row(Range<usize>),
    Part(Range<usize>, bool),
    End,
}

impl Session {
    /// Starts a `COPY … TO STDOUT` in the text format.
    pub fn copy_out(&mut self, sql: &str) -> Result<CopyOut<'_>> {
        self.begin(&raw::bytes(sql))?;
        self.await_copy(b'H')?;
        Ok(CopyOut { session: self, open: 0, huge: false, rows: 0, finished: false })
    }

    /// Starts a `COPY … FROM STDIN`.
    pub fn copy_in(&mut self, sql: &str) -> Result<CopyIn<'_>> {
        self.begin(&raw::bytes(sql))?;
        self.await_copy(b'G')?;
        Ok(CopyIn { session: self, since_look: 0 })
    }

    fn await_copy(&mut self, expected: u8) -> Result<()> {
        loop {
            let message = self.wire.message();
            let (tag, body) = message.map_err(|error| self.lost("starting a COPY", error))?;
            match tag {
                // Text format overall: the first byte is 0.
                _ if tag == expected && self.wire.buffer[body.clone()].first() == Some(&0) => return Ok(()),
                b'E' => {
                    let error = ServerError::parse(&self.wire.buffer[body]);
                    return Err(self.refused("the COPY", error));
                }
                _ => self.aside(tag, body.start).map_err(|error| self.lost("starting a COPY", error))?,
            }
        }
    }
}

impl CopyOut<'_> {
    /// Appends rows to `into` until it holds `want` bytes or more, or to the end, and calls `each` for every piece appended.
    ///
    /// Only a row of more than [`WHOLE_ROW`] bytes is ever interrupted, so `into` grows to at most `want + WHOLE_ROW` and a little.
    /// After an error or [`Progress::End`] there is nothing more to read.
    pub fn read_rows(&mut self, into: &mut Vec<u8>, want: usize, mut each: impl FnMut(Piece<'_>)) -> Result<Progress> {
        loop {
            if self.live()? && self.open == 0 && self.take_buffered(into, want, &mut each)? {
                return Ok(Progress::Full);
            }
            match self.step()? {
                Step::End => return Ok(Progress::End),
                // Rare: only a row whose last byte came with this very step.
                Step::Row(row) => {
                    let row = &self.session.wire.buffer[row];
                    into.extend_from_slice(row);
                    each(Piece::Row(row));
                }
                Step::Part(part, last) => {
                    let bytes = &self.session.wire.buffer[part];
                    into.extend_from_slice(bytes);
                    each(Piece::Part { bytes, last });
                    if !last && self.huge && into.len() >= want {
                        return Ok(Progress::Partial);
                    }
                }
            }
        }
    }

    /// The next row or piece, in the receive buffer itself; none at the end.
    pub fn next_piece(&mut self) -> Result<Option<Piece<'_>>> {
        Ok(match self.step()? {
            Step::End => None,
            Step::Row(row) => Some(Piece::Row(&self.session.wire.buffer[row])),
            Step::Part(part, last) => Some(Piece::Part { bytes: &self.session.wire.buffer[part], last }),
        })
    }

    /// The rows seen so far. At the end the server's own count has been compared with it.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The hot loop: every row that lies whole in the receive buffer. True once `want` bytes are there.
    #[inline]
    fn take_buffered(&mut self, into: &mut Vec<u8>, want: usize, each: &mut impl FnMut(Piece<'_>)) -> Result<bool> {
        let wire = &mut self.session.wire;
        let buffer = &wire.buffer[..wire.tail];
        let mut rest = &buffer[wire.head..];
        let (mut rows, mut full, mut torn) = (0, false, false);
        loop {
            if into.len() >= want {
                full = true;
                break;
            }
            let Some((&[b'd', a, b, c, d], after)) = rest.split_first_chunk::<5>() else { break };
            let length = (u32::from_be_bytes([a, b, c, d]) as usize).wrapping_sub(4);
            let Some((row, after)) = after.split_at_checked(length) else { break };
            if row.last() != Some(&b'\n') {
                torn = true;
                break;
            }
            into.extend_from_slice(row);
            each(Piece::Row(row));
            rows += 1;
            rest = after;
        }
        wire.head = wire.tail - rest.len();
        self.rows += rows;
        if torn { Err(self.broken(nonsense("a row without a line feed"))) } else { Ok(full) }
    }

    /// One row, one piece, or the end; waits for it.
    fn step(&mut self) -> Result<Step> {
        if !self.live()? {
            return Ok(Step::End);
        }
        self.try_step().unwrap_or_else(|error| Err(self.broken(error)))
    }

    /// Whether there may be more to come; an error if this COPY has failed before.
    fn live(&self) -> Result<bool> {
        match self.session.state {
            State::Busy => Ok(true),
            State::Idle if self.finished => Ok(false),
            _ => Err(Error::new(Kind::Failed, "this COPY has failed before")),
        }
    }

    fn broken(&mut self, error: io::Error) -> Error {
        self.session.lost("a COPY", error)
    }

    fn try_step(&mut self) -> io::Result<Result<Step>> {
        loop {
            let wire = &mut self.session.wire;
            if self.open > 0 {
                if wire.head == wire.tail {
                    wire.fill()?;
                }
                let start = wire.head;
                wire.head += self.open.min(wire.tail - start);
                self.open -= wire.head - start;
                let part = start..wire.head;
                return self.checked(part, self.open == 0);
            }
            let (tag, size) = wire.header()?;
            if tag == b'd' {
                if size > BUFFER {
                    wire.head += 5;
                    self.open = size - 5;
                    self.huge = self.open > WHOLE_ROW;
                    continue;
                }
                let (_, row) = wire.message()?;
                self.rows += 1;
                if wire.buffer[row.clone()].last() != Some(&b'\n') {
                    return Err(nonsense("a row without a line feed"));
                }
                return Ok(Ok(Step::Row(row)));
            }
            let (tag, body) = wire.message()?;
            match tag {
                b'c' => {}
                b'C' => {
                    let count = row_count(&wire.buffer[body]);
                    if count != Some(self.rows) {
                        return Err(nonsense("another number of rows than it says it sent"));
                    }
                    self.finished = true;
                }
                b'Z' if self.finished => {
                    let transaction = tag_body(&wire.buffer[body]);
                    self.session.ready(transaction);
                    return Ok(Ok(Step::End));
                }
                b'E' => {
                    let error = ServerError::parse(&wire.buffer[body]);
                    return Ok(Err(self.session.refused("to go on with a COPY", error)));
                }
                _ => self.session.aside(tag, body.start)?,
            }
        }
    }

    fn checked(&mut self, part: Range<usize>, last: bool) -> io::Result<Result<Step>> {
        if last {
            self.rows += 1;
            if self.session.wire.buffer[part.clone()].last() != Some(&b'\n') {
                return Err(nonsense("a row without a line feed"));
            }
        }
        Ok(Ok(Step::Part(part, last)))
    }
}

/// A COPY FROM STDIN that runs. Dropped before [`CopyIn::finish`] it leaves the session unusable, and the server loads nothing.
pub struct CopyIn<'a> {
    session: &'a mut Session,
    since_look: usize,
}

impl CopyIn<'_> {
    /// Sends bytes of the data; rows may be cut anywhere. An error that the server has reported meanwhile is returned as soon as it is noticed.
    pub fn send(&mut self, data: &[u8]) -> Result<()> {
        for chunk in data.chunks(CHUNK) {
            self.since_look += chunk.len();
            if self.since_look >= LOOK {
                self.since_look = 0;
                if self.session.wire.has_news() {
                    self.listen()?;
                }
            }
            let wire = &mut self.session.wire;
            let sent = wire.put(b'd', &[chunk]).and_then(|()| if wire.out.len() >= CHUNK { wire.flush() } else { Ok(()) });
            sent.map_err(|error| self.session.lost("a COPY", error))?;
        }
        Ok(())
    }

    /// Ends the data, and returns the number of rows that the server loaded.
    pub fn finish(self) -> Result<u64> {
        let wire = &mut self.session.wire;
        let sent = wire.put(b'c', &[]).and_then(|()| wire.flush());
        sent.map_err(|error| self.session.lost("a COPY", error))?;
        let mut rows = None;
        loop {
            let message = self.session.wire.message();
            let (tag, body) = message.map_err(|error| self.session.lost("a COPY", error))?;
            match tag {
                b'C' => rows = row_count(&self.session.wire.buffer[body]),
                b'Z' => {
                    let transaction = tag_body(&self.session.wire.buffer[body]);
                    self.session.ready(transaction);
                    return rows.ok_or_else(|| Error::new(Kind::Failed, "the server did not say how many rows it loaded"));
                }
                b'E' => {
                    let error = ServerError::parse(&self.session.wire.buffer[body]);
                    return Err(self.session.refused("the data of a COPY", error));
                }
                _ => self.session.aside(tag, body.start).map_err(|error| self.session.lost("a COPY", error))?,
            }
        }
    }

    /// Gives up: the server loads nothing and the session can be used again. `reason` goes to the server's log.
    pub fn fail(self, reason: &str) -> Result<()> {
        let reason = reason.replace('\0', "");
        let wire = &mut self.session.wire;
        let sent = wire.put(b'f', &[reason.as_bytes(), b"\0"]).and_then(|()| wire.flush());
        sent.map_err(|error| self.session.lost("a COPY", error))?;
        loop {
            let message = self.session.wire.message();
            let (tag, body) = message.map_err(|error| self.session.lost("a COPY", error))?;
            if tag == b'E' {
                let error = ServerError::parse(&self.session.wire.buffer[body]);
                // The error is the one we asked for; what counts is whether the session lived on.
                let error = self.session.refused("the COPY", error);
                return if self.session.state == State::Idle { Ok(()) } else { Err(error) };
            }
            self.session.aside(tag, body.start).map_err(|error| self.session.lost("a COPY", error))?;
        }
    }

    /// Reads what the server says before we are done: an error, or something that does not matter.
    fn listen(&mut self) -> Result<()> {
        let message = self.session.wire.message();
        let (tag, body) = message.map_err(|error| self.session.lost("a COPY", error))?;
        if tag == b'E' {
            let error = ServerError::parse(&self.session.wire.buffer[body]);
            // What waits to be sent belongs to a COPY that is over.
            self.session.wire.out.clear();
            return Err(self.session.refused("the data of a COPY", error));
        }
        self.session.aside(tag, body.start).map_err(|error| self.session.lost("a COPY", error))
    }
}

/// The number in the command tag `COPY n`.
fn row_count(body: &[u8]) -> Option<u64> {
    let tag = std::str::from_utf8(body.strip_suffix(b"\0")?).ok()?;
    tag.strip_prefix("COPY ")?.parse().ok()
}

#[cfg(test)]
mod tests;
