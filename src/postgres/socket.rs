//! The bytes' way to the server: resolving, dialling, deadlines, keepalives.
//! Owns TCP and Unix sockets; leaves TLS and the protocol to the layers above.
//! Invariant: nothing here waits longer than its deadline, or after the stop token tripped.

use super::connection::Connection;
use crate::error::{Error, Kind, Result};
use crate::stop::{Hooked, Stop};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// One address of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

enum Inner {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connected socket. While it has a deadline no read or write outlasts it.
pub(crate) struct Socket {
    inner: Inner,
    deadline: Option<Instant>,
    /// Under TLS: bytes read ahead of what OpenSSL asked for, which is five bytes and then a record.
    ahead: Box<[u8]>,
    head: usize,
    tail: usize,
}

/// What the host's name stands for, in the resolver's order.
pub(crate) fn resolve(connection: &Connection, stop: &Stop) -> Result<Vec<Place>> {
    if connection.is_local_socket() {
        let name = format!(".s.PGSQL.{}", connection.port);
        return Ok(vec![Place::Unix(PathBuf::from(&connection.host).join(name))]);
    }
    let (host, port) = (connection.host.clone(), connection.port);
    let not_found = || Error::new(Kind::Unreachable, format!("cannot find the host '{}'", super::server_error::printable(&connection.host)));
    let hint = "is the database running? in Docker Compose DB_HOST is the name of its service, which is known only while the service runs, on a network that both \
                share: docker compose ps; else check DB_HOST";
    match bounded(stop, Instant::now() + connection.connect_timeout, move || (host.as_str(), port).to_socket_addrs().map(Vec::from_iter))? {
        None => Err(not_found().because("the name service did not answer in time").hinted(hint)),
        Some(Err(error)) => Err(not_found().because(error).hinted(hint)),
        Some(Ok(found)) if found.is_empty() => Err(not_found().hinted(hint)),
        Some(Ok(found)) => Ok(found.into_iter().map(Place::Tcp).collect()),
    }
}

/// Connects to `place` before `deadline`.
pub(crate) fn dial(place: &Place, deadline: Instant, stop: &Stop) -> Result<io::Result<Socket>> {
    let (place, limit) = (place.clone(), deadline.saturating_duration_since(Instant::now()));
    if limit.is_zero() {
        return Ok(Err(ErrorKind::TimedOut.into()));
    }
    let dialled = bounded(stop, deadline, move || match place {
        Place::Tcp(address) => {
            let stream = TcpStream::connect_timeout(&address, limit)?;
            stream.set_nodelay(true)?;
            keep_alive(&stream)?;
            Ok(Inner::Tcp(stream))
        }
        Place::Unix(path) => UnixStream::connect(path).map(Inner::Unix),
    })?;
    let deadline = Some(deadline);
    Ok(dialled.unwrap_or_else(|| Err(ErrorKind::TimedOut.into())).map(|inner| Socket { inner, deadline, ahead: Box::default(), head: 0, tail: 0 }))
}

/// A server that vanished without a word is noticed after two minutes, also while we only read.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(60))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(10))?;
    sockopt::set_tcp_keepcnt(stream, 6)?;
    Ok(())
}

/// Runs a call that cannot be interrupted (the resolver, `connect`) on a thread that we can walk away from.
/// It ends by itself: `connect` after its timeout, the resolver after its own. `None` means that the time was up.
fn bounded<T: Send + 'static>(stop: &Stop, deadline: Instant, work: impl FnOnce() -> T + Send + 'static) -> Result<Option<T>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let spawned = std::thread::Builder::new().name("dial".into()).spawn(move || {
        let _ = sender.send(work());
    });
    spawned.map_err(|error| Error::new(Kind::Failed, "cannot start a thread to connect").because(error))?;
    loop {
        stop.check()?;
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left.min(Duration::from_millis(20))) {
            Ok(result) => return Ok(Some(result)),
            Err(mpsc::RecvTimeoutError::Timeout) if !left.is_zero() => {}
            Err(_) => return Ok(None),
        }
    }
}

impl Socket {
    /// Sets or lifts the deadline for all that follows.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        self.deadline = deadline;
        if deadline.is_none() { self.set_timeouts(None) } else { Ok(()) }
    }

    fn set_timeouts(&self, limit: Option<Duration>) -> io::Result<()> {
        match &self.inner {
            Inner::Tcp(stream) => stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit)),
            Inner::Unix(stream) => stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit)),
        }
    }

    /// From here on reads take as much as there is. For TLS only: before the handshake not a byte may be read too many.
    pub fn read_ahead(&mut self) {
        self.ahead = vec![0; 128 * 1024].into_boxed_slice();
    }

    /// Shuts the socket down when the token trips, which ends every blocking call on it.
    pub fn hook(&self, stop: &Stop) -> io::Result<Hooked> {
        Ok(match &self.inner {
            Inner::Tcp(stream) => {
                let stream = stream.try_clone()?;
                stop.on_trip(move || drop(stream.shutdown(Shutdown::Both)))
            }
            Inner::Unix(stream) => {
                let stream = stream.try_clone()?;
                stop.on_trip(move || drop(stream.shutdown(Shutdown::Both)))
            }
        })
    }

    /// Whether the peer has sent something (or closed) that has not been read yet. Never blocks.
    pub fn has_news(&self) -> bool {
        use rustix::net::{RecvFlags, recv};
        self.head < self.tail || !matches!(recv(self.as_fd(), &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT), Err(rustix::io::Errno::AGAIN))
    }

    fn timed<T>(&self, mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            if let Some(deadline) = self.deadline {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(ErrorKind::TimedOut.into());
                }
                self.set_timeouts(Some(left))?;
            }
            match call() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // With a deadline only: what a timeout looks like depends on the system (socket(7)).
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
                result => return result,
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.inner {
            Inner::Tcp(stream) => stream.as_fd(),
            Inner::Unix(stream) => stream.as_fd(),
        }
    }
}

fn read_inner(inner: &Inner, into: &mut [u8]) -> io::Result<usize> {
    match inner {
        Inner::Tcp(stream) => (&*stream).read(into),
        Inner::Unix(stream) => (&*stream).read(into),
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            return self.timed(|| read_inner(&self.inner, into));
        }
        if self.head == self.tail {
            let mut ahead = std::mem::take(&mut self.ahead);
            let result = self.timed(|| read_inner(&self.inner, &mut ahead));
            self.ahead = ahead;
            (self.head, self.tail) = (0, result?);
        }
        let count = into.len().min(self.tail - self.head);
        into[..count].copy_from_slice(&self.ahead[self.head..self.head + count]);
        self.head += count;
        Ok(count)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.timed(|| match &self.inner {
            Inner::Tcp(stream) => (&*stream).write(bytes),
            Inner::Unix(stream) => (&*stream).write(bytes),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
