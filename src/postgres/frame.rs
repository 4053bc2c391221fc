//! Messages on the wire (manual, chapter 55): a tag, a length, a body.
//! Owns the receive and send buffers and cuts messages in place; leaves their meaning to `auth`, `session` and `copy`.
//! Invariant: no allocation for a message that fits the buffer, and none beyond `LARGEST_MESSAGE` whatever a server claims.

use super::socket::Socket;
use crate::stop::{Hooked, Stop};
use openssl::ssl::SslStream;
use std::io::{self, ErrorKind, Read, Write};
use std::ops::Range;
use std::time::Instant;

/// The receive buffer's size at rest, in bytes.
pub(crate) const BUFFER: usize = 256 * 1024;
/// The most that a message other than a row of COPY may take, in bytes.
const LARGEST_MESSAGE: usize = 256 * 1024 * 1024;
/// The most that a message may take before we know whom we speak to.
const LARGEST_STARTUP_MESSAGE: usize = 64 * 1024;

/// The socket, with or without TLS around it.
pub(crate) enum Stream {
    Plain(Socket),
    Tls(Box<SslStream<Socket>>),
}

impl Stream {
    pub fn socket(&self) -> &Socket {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => stream.get_ref(),
        }
    }

    fn socket_mut(&mut self) -> &mut Socket {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => stream.get_mut(),
        }
    }
}

/// A stream that is cut into messages.
pub(crate) struct Wire {
    stream: Stream,
    /// `head..tail` has been received and not been looked at. All of it is initialised, so that reads need no unsafe code.
    pub buffer: Vec<u8>,
    pub head: usize,
    pub tail: usize,
    /// Messages that wait for `flush`.
    pub out: Vec<u8>,
    limit: usize,
    stop: Stop,
    _hooked: Hooked,
}

impl Wire {
    pub fn new(stream: Stream, hooked: Hooked, stop: &Stop) -> Wire {
        Wire { stream, buffer: vec![0; BUFFER], head: 0, tail: 0, out: Vec::new(), limit: LARGEST_STARTUP_MESSAGE, stop: stop.clone(), _hooked: hooked }
    }

    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The server is who it says: large messages are welcome, and waiting is the stop token's business.
    pub fn settle(&mut self) -> io::Result<()> {
        self.limit = LARGEST_MESSAGE;
        self.stream.socket_mut().set_deadline(None)
    }

    pub fn set_deadline(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        self.stream.socket_mut().set_deadline(deadline)
    }

    /// Receives at least one more byte behind `tail`, moving what is unread to the front if there is no room.
    pub fn fill(&mut self) -> io::Result<()> {
        if self.head == self.tail {
            (self.head, self.tail) = (0, 0);
            if self.buffer.len() > BUFFER {
                self.buffer.truncate(BUFFER);
                self.buffer.shrink_to_fit();
            }
        } else if self.tail == self.buffer.len() {
            self.buffer.copy_within(self.head..self.tail, 0);
            (self.head, self.tail) = (0, self.tail - self.head);
        }
        let room = &mut self.buffer[self.tail..];
        let count = match &mut self.stream {
            Stream::Plain(socket) => socket.read(room)?,
            Stream::Tls(stream) => stream.read(room)?,
        };
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.tail += count;
        self.stop.moved();
        Ok(())
    }

    /// Tag and whole length (tag and length field included) of the message at `head`, once its first five bytes are there.
    pub fn header(&mut self) -> io::Result<(u8, usize)> {
        loop {
            if let Some(&[tag, a, b, c, d]) = self.buffer[..self.tail].get(self.head..self.head + 5) {
                let length = u32::from_be_bytes([a, b, c, d]) as usize;
                // A length counts itself, and is a positive signed number.
                return if (4..=i32::MAX as usize).contains(&length) { Ok((tag, length + 1)) } else { Err(nonsense("a message of impossible length")) };
            }
            self.fill()?;
        }
    }

    /// The next whole message: its tag, and where its body lies in `buffer` until the next call.
    pub fn message(&mut self) -> io::Result<(u8, Range<usize>)> {
        let (tag, size) = self.header()?;
        if size > self.limit {
            return Err(nonsense("a message of impossible length"));
        }
        while self.tail - self.head < size {
            if self.tail - self.head == self.buffer.len() {
                // Grown as bytes arrive, so that a claim alone costs nothing.
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
            self.fill()?;
        }
        let body = self.head + 5..self.head + size;
        self.head += size;
        Ok((tag, body))
    }

    /// Appends a message to `out`.
    pub fn put(&mut self, tag: u8, parts: &[&[u8]]) -> io::Result<()> {
        self.out.push(tag);
        put_body(&mut self.out, parts)
    }

    /// Appends the start-up kind of message, which has no tag.
    pub fn put_untagged(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        put_body(&mut self.out, parts)
    }

    /// Sends what waits in `out`.
    pub fn flush(&mut self) -> io::Result<()> {
        let mut rest = self.out.as_slice();
        while !rest.is_empty() {
            let count = match &mut self.stream {
                Stream::Plain(socket) => socket.write(rest)?,
                Stream::Tls(stream) => stream.write(rest)?,
            };
            if count == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            self.stop.moved();
            rest = &rest[count..];
        }
        self.out.clear();
        Ok(())
    }

    /// Whether a message of the server waits, in our buffers or the kernel's. Never blocks.
    pub fn has_news(&self) -> bool {
        let decrypted = match &self.stream {
            Stream::Plain(_) => 0,
            Stream::Tls(stream) => stream.ssl().pending(),
        };
        self.head < self.tail || decrypted > 0 || self.stream.socket().has_news()
    }
}

fn put_body(out: &mut Vec<u8>, parts: &[&[u8]]) -> io::Result<()> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>() + 4;
    let length = i32::try_from(length).map_err(|_| nonsense("a message that is too long to send"))?;
    out.extend_from_slice(&length.to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
    Ok(())
}

/// An answer outside the protocol. `what` is our own text, never the server's.
pub(crate) fn nonsense(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// Cuts the zero-terminated string at the front of `body` off it.
pub(crate) fn take_string<'a>(body: &mut &'a [u8]) -> io::Result<&'a [u8]> {
    let end = body.iter().position(|byte| *byte == 0).ok_or_else(|| nonsense("a string without an end"))?;
    let (text, rest) = body.split_at(end);
    *body = &rest[1..];
    Ok(text)
}

/// Cuts `N` bytes off the front of `body`.
pub(crate) fn take<const N: usize>(body: &mut &[u8]) -> io::Result<[u8; N]> {
    let (bytes, rest) = body.split_first_chunk::<N>().ok_or_else(|| nonsense("a message that ends too early"))?;
    *body = rest;
    Ok(*bytes)
}
