//! The other end of a connection, which sends whatever it likes. It imitates no server: it lets us in, and then speaks bytes that no server speaks.

use kluis::postgres::connection::Connection;
use kluis::postgres::copy::Progress;
use kluis::postgres::session::Session;
use kluis::stop::Stop;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::mpsc;

/// A listener of this thread's own, and the way to tell it what to send next.
struct Peer {
    folder: PathBuf,
    say: mpsc::Sender<Vec<u8>>,
}

impl Peer {
    fn start() -> Peer {
        let folder = super::own_folder();
        let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).expect("a socket can be made");
        let (say, said) = mpsc::channel::<Vec<u8>>();
        std::thread::spawn(move || {
            while let (Ok(bytes), Ok((mut stream, _))) = (said.recv(), listener.accept()) {
                let mut buffer = vec![0; 65536];
                // The startup message, and then: authenticated (0), ready for queries.
                let _ = stream.read(&mut buffer);
                let _ = stream.write_all(b"R\0\0\0\x08\0\0\0\0S\0\0\0\x19server_version\x0016.0\0\0Z\0\0\0\x05I");
                while let Ok(length) = stream.read(&mut buffer) {
                    if length == 0 {
                        break;
                    }
                    if buffer[..length].windows(4).any(|word| word == b"COPY") {
                        let _ = stream.write_all(&bytes);
                        let _ = stream.shutdown(std::net::Shutdown::Write);
                    } else {
                        // One row of one value, whatever the statement: the process that was announced is 0.
                        let _ = stream.write_all(b"T\0\0\0\x1a\0\x01p\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0");
                        let _ = stream.write_all(b"D\0\0\0\x0b\0\x01\0\0\0\x010C\0\0\0\x08SET\0Z\0\0\0\x05I");
                    }
                }
            }
        });
        Peer { folder, say }
    }
}

/// The answer to a COPY: it ends in rows or in an error, and no more is kept than came.
pub fn copy(data: &[u8]) {
    thread_local!(static PEER: Peer = Peer::start());
    PEER.with(|peer| {
        peer.say.send(data.to_vec()).unwrap();
        let stop = Stop::new();
        let connection = Connection { host: peer.folder.to_str().unwrap().to_owned(), ..Connection::from_url("postgresql://u@h/d").unwrap() };
        let mut session = Session::connect(&connection, &stop).expect("the peer lets us in");
        let mut rows = Vec::new();
        if let Ok(mut copy) = session.copy_out("COPY t TO STDOUT") {
            while let Ok(Progress::Full | Progress::Partial) = copy.read_rows(&mut rows, 1 << 16, |_| ()) {
                assert!(rows.len() <= data.len(), "{} bytes of rows out of {}", rows.len(), data.len());
                rows.clear();
            }
        }
        assert!(rows.len() <= data.len());
    });
}
