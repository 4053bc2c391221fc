//! A proxy between Kluis and a server, which knows where a message of PostgreSQL's protocol begins (manual, chapter 54) and does its worst at one.
//! It owns counting and the fault; which message and which fault, `network` says.
//! Invariant: all connections of a run are counted together, so that a message number means about the same place in each run.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens at the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is cut before it.
    Cut,
    /// The connection is cut in the middle of it.
    Half,
    /// Neither it nor anything after it gets through, and nobody is told.
    Stall,
    /// It and the next bytes come one at a time.
    Trickle,
}

/// Who sends the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Server,
    Client,
}

/// Rows, of a COPY or a query, are much alike: of those in a row only the first and each so many are places for a fault.
const ROWS: u64 = 400;

struct Shared {
    fault: Option<(Side, u64, Fault)>,
    server: AtomicU64,
    client: AtomicU64,
    done: AtomicBool,
    over: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

/// A proxy that listens on the loopback until it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    pub port: u16,
}

impl Proxy {
    /// One before the server with this socket.
    pub fn start(socket: PathBuf, fault: Option<(Side, u64, Fault)>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            fault,
            server: AtomicU64::new(0),
            client: AtomicU64::new(0),
            done: AtomicBool::new(false),
            over: AtomicBool::new(false),
            streams: Mutex::default(),
        });
        let inner = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if inner.over.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(client), Ok(server)) = (stream, UnixStream::connect(&socket)) else { continue };
                let _ = client.set_nodelay(true);
                inner.streams.lock().unwrap().push(client.try_clone().unwrap());
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let shared = inner.clone();
                std::thread::spawn(move || Pump { shared, side: Side::Client, begun: false, rows: 0 }.run(from, to));
                let shared = inner.clone();
                std::thread::spawn(move || Pump { shared, side: Side::Server, begun: false, rows: 0 }.run(server, client));
            }
        });
        Proxy { shared, port }
    }

    /// How many messages each side has sent.
    pub fn messages(&self) -> (u64, u64) {
        (self.shared.server.load(Ordering::SeqCst), self.shared.client.load(Ordering::SeqCst))
    }

    /// Whether the fault has come to pass.
    pub fn was_reached(&self) -> bool {
        self.shared.done.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Both sorts of sockets.
trait Stream: Read + Write {
    fn close(&self);
}

impl Stream for TcpStream {
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Stream for UnixStream {
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

/// One direction of one connection.
struct Pump {
    shared: Arc<Shared>,
    side: Side,
    /// Whether messages have a type byte by now.
    begun: bool,
    rows: u64,
}

impl Pump {
    fn run(mut self, mut from: impl Stream, mut to: impl Stream) {
        while let Some((head, length)) = self.head(&mut from) {
            let fault = self.count(&head).then_some(self.shared.fault).flatten().map(|(_, _, fault)| fault);
            if fault.is_some() {
                self.shared.done.store(true, Ordering::SeqCst);
            }
            let ok = match fault {
                Some(Fault::Cut) => false,
                Some(Fault::Half) => {
                    let _ = to.write_all(&head[..head.len() / 2 + 1]);
                    false
                }
                Some(Fault::Stall) => {
                    while !self.shared.over.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    false
                }
                Some(Fault::Trickle) => self.trickle(&head, length, &mut from, &mut to),
                None => to.write_all(&head).is_ok() && pass(&mut from, &mut to, length),
            };
            if !ok {
                break;
            }
        }
        from.close();
        to.close();
    }

    /// The beginning of the next message, and how many bytes follow.
    fn head(&mut self, from: &mut impl Stream) -> Option<(Vec<u8>, usize)> {
        let mut head = vec![0; 1];
        read_all(from, &mut head)?;
        let typed = match self.side {
            // The answer to a request for encryption is one byte.
            Side::Server if !self.begun && (head[0] == b'N' || head[0] == b'S') => return Some((head, 0)),
            Side::Server => true,
            Side::Client => self.begun,
        };
        head.resize(if typed { 5 } else { 4 }, 0);
        read_all(from, &mut head[1..])?;
        let length = u32::from_be_bytes(head[head.len() - 4..].try_into().unwrap()) as usize - 4;
        if !typed {
            let mut code = vec![0; 4.min(length)];
            read_all(from, &mut code)?;
            // 80877103 and 80877104 ask for encryption; all else is the last message without a type.
            self.begun = !matches!(u32::from_be_bytes(code.clone().try_into().ok()?), 80_877_103 | 80_877_104);
            head.extend(code);
            return Some((head, length - 4));
        }
        self.begun = true;
        Some((head, length))
    }

    /// Counts a message. Tells whether it is the one.
    fn count(&mut self, head: &[u8]) -> bool {
        if self.begun && (head[0] == b'd' || head[0] == b'D' && self.side == Side::Server) && head.len() == 5 {
            self.rows += 1;
            if self.rows % ROWS != 1 {
                return false;
            }
        } else {
            self.rows = 0;
        }
        let counter = if self.side == Side::Server { &self.shared.server } else { &self.shared.client };
        let number = counter.fetch_add(1, Ordering::SeqCst);
        self.shared.fault.is_some_and(|(side, wanted, _)| side == self.side && wanted == number)
    }

    fn trickle(&self, head: &[u8], length: usize, from: &mut impl Stream, to: &mut impl Stream) -> bool {
        let slow = |byte: &[u8], to: &mut dyn Write| {
            std::thread::sleep(Duration::from_millis(3));
            to.write_all(byte).is_ok()
        };
        if !head.iter().all(|byte| slow(&[*byte], to)) {
            return false;
        }
        let first = length.min(200);
        let mut byte = [0];
        (0..first).all(|_| read_all(from, &mut byte).is_some() && slow(&byte, to)) && pass(from, to, length - first)
    }
}

fn read_all(from: &mut impl Read, bytes: &mut [u8]) -> Option<()> {
    from.read_exact(bytes).ok()
}

fn pass(from: &mut impl Read, to: &mut impl Write, mut length: usize) -> bool {
    let mut buffer = [0; 8192];
    while length > 0 {
        let step = length.min(buffer.len());
        match from.read(&mut buffer[..step]) {
            Ok(0) => return false,
            Ok(count) if to.write_all(&buffer[..count]).is_ok() => length -= count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => return false,
        }
    }
    true
}
