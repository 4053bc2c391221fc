//! COPY against a scripted server, which can break the protocol in ways that a real one does not.

use super::super::connection::Connection;
use super::*;
use crate::stop::{Reason, Stop};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

fn row(text: &str) -> Vec<u8> {
    message(b'd', text.as_bytes())
}

fn ending(count: u64) -> Vec<u8> {
    [message(b'c', b""), message(b'C', format!("COPY {count}\0").as_bytes()), message(b'Z', b"I")].concat()
}

fn swallow(stream: &mut TcpStream, tagged: usize) {
    let mut header = [0; 5];
    stream.read_exact(&mut header[..4 + tagged]).unwrap();
    let length = u32::from_be_bytes(header[tagged..4 + tagged].try_into().unwrap());
    std::io::copy(&mut stream.take(u64::from(length) - 4), &mut std::io::sink()).unwrap();
}

/// A session with a server that answers COPY with `script`, and then hangs up, or waits for us to.
fn session(script: Vec<u8>, hang_up: bool, stop: &Stop) -> Session {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u@127.0.0.1:{}/d?sslmode=disable", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        swallow(&mut stream, 0);
        let greeting = [message(b'R', &[0; 4]), message(b'S', b"server_version\x0015.3\0"), message(b'Z', b"I")];
        stream.write_all(&greeting.concat()).unwrap();
        swallow(&mut stream, 1);
        // A client that has had enough hangs up in the middle.
        let _ = stream.write_all(&[message(b'H', &[0, 0, 0]), script].concat());
        if !hang_up {
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    Session::start(&Connection::from_url(&url).unwrap(), stop).unwrap()
}

/// Everything that COPY returns for `script`: the text, the rows that `each` saw, and how it ended.
fn run(script: Vec<u8>, want: usize) -> (Vec<u8>, u64, Result<Vec<Progress>>) {
    let mut session = session(script, true, &Stop::new());
    let mut copy = session.copy_out("COPY t TO STDOUT").unwrap();
    let (mut all, mut rows, mut steps) = (Vec::new(), 0, Vec::new());
    let result = loop {
        let mut into = Vec::new();
        let progress = copy.read_rows(&mut into, want, |piece| rows += u64::from(piece.ends_row()));
        all.extend(into);
        match progress {
            Err(error) => break Err(error),
            Ok(progress) => steps.push(progress),
        }
        if steps.last() == Some(&Progress::End) {
            break Ok(steps);
        }
    };
    (all, rows, result)
}

#[test]
fn the_command_tag_is_read_whole() {
    assert_eq!(row_count(b"COPY 42\0"), Some(42));
    for tag in [&b"COPY 42"[..], b"COPY\0", b"SELECT 1\0", b"COPY x\0", b"\0", b""] {
        assert_eq!(row_count(tag), None, "{tag:?}");
    }
}

#[test]
fn rows_of_every_size_arrive_whole_and_are_counted() {
    let sizes = [1, 2, BUFFER - 6, BUFFER - 5, BUFFER - 4, BUFFER, 3 * BUFFER, WHOLE_ROW, WHOLE_ROW + 1, 2 * WHOLE_ROW, 5];
    let text: Vec<String> = sizes.iter().map(|size| "x".repeat(size - 1) + "\n").collect();
    let script: Vec<u8> = text.iter().flat_map(|text| row(text)).chain(ending(sizes.len() as u64)).collect();
    let (all, rows, result) = run(script, 1 << 20);
    assert!(all == text.concat().into_bytes());
    assert_eq!(rows, sizes.len() as u64);
    assert!(result.unwrap().contains(&Progress::Partial));
}

#[test]
fn the_end_of_the_stream_is_not_success() {
    let whole = [row("1\n"), row("2\n"), ending(2)].concat();
    for length in 0..whole.len() {
        let (_, _, result) = run(whole[..length].to_vec(), 1 << 20);
        assert_eq!(result.unwrap_err().kind(), Kind::Unreachable, "{length}");
    }
    assert_eq!(run(whole, 1 << 20).2.unwrap(), [Progress::End]);
}

#[test]
fn a_server_that_breaks_the_rules_is_an_error() {
    let large = "x".repeat(BUFFER + 1);
    for (case, script) in [
        ("another count", [row("1\n"), ending(2)].concat()),
        ("no line feed", [row("1"), ending(1)].concat()),
        ("no line feed in a large row", [row(&large), ending(1)].concat()),
        ("an empty row", [row(""), ending(1)].concat()),
        ("a length below four", vec![b'd', 0, 0, 0, 3]),
        ("a negative length", vec![b'd', 0xff, 0xff, 0xff, 0xff]),
        ("an unknown message", message(b'?', b"")),
        ("ready without an end", message(b'Z', b"I")),
    ] {
        let (_, _, result) = run(script, 1 << 20);
        assert_eq!(result.unwrap_err().kind(), Kind::Failed, "{case}");
    }
}

#[test]
fn an_error_after_rows_is_the_error() {
    let error = message(b'E', b"VERROR\0C22012\0Msecret\0\0");
    let (_, rows, result) = run([row("1\n"), error, message(b'Z', b"E")].concat(), 1 << 20);
    let error = result.unwrap_err();
    assert_eq!((rows, ServerError::of(&error).map(|error| error.sqlstate.as_str())), (1, Some("22012")));
    assert!(!error.chain().contains("secret"));
}

#[test]
fn a_stop_ends_the_wait_for_a_silent_server() {
    let stop = Stop::new();
    let mut session = session(row("1\n"), false, &stop);
    let other = stop.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        other.trip(Reason::Signal(15));
    });
    let mut copy = session.copy_out("COPY t TO STDOUT").unwrap();
    assert_eq!(copy.next_piece().unwrap(), Some(Piece::Row(b"1\n")));
    assert_eq!(copy.next_piece().unwrap_err().kind(), Kind::Interrupted);
}
