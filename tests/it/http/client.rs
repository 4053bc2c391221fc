//! A client that sends bytes as they are, and reads an answer whole.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and headers, in small letters.
    pub head: String,
    pub body: String,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    #[track_caller]
    pub fn says(&self, parts: &[&str]) {
        for part in parts {
            let shown = self.body.split("</style>").last().unwrap_or_default();
            assert!(self.body.contains(part), "'{part}' is not in {}\n{shown:.6000}", self.head);
        }
    }
}

/// Opens a connection that gives up after 20 seconds.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends these bytes and reads until the server closes.
pub fn send(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    // A server that refuses may close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    text
}

/// Sends a request with these headers.
#[track_caller]
pub fn request(address: SocketAddr, line: &str, headers: &[&str]) -> Answer {
    let mut text = format!("{line} HTTP/1.1\r\n");
    if !headers.iter().any(|header| header.to_ascii_lowercase().starts_with("host:")) {
        text.push_str("Host: localhost\r\n");
    }
    // Everything but verdicts is for whoever has the token; a header of no value stands for those who have none.
    if !headers.iter().any(|header| header.to_ascii_lowercase().starts_with("authorization:")) {
        text.push_str(&format!("Authorization: Bearer {}\r\n", super::TOKEN));
    }
    headers.iter().for_each(|header| text.push_str(&format!("{header}\r\n")));
    text.push_str("Connection: close\r\n\r\n");
    let answer = send(address, text.as_bytes());
    parse(&answer).unwrap_or_else(|| panic!("no answer to '{line}': {}", String::from_utf8_lossy(&answer)))
}

/// Gets a path.
#[track_caller]
pub fn get(address: SocketAddr, path: &str, headers: &[&str]) -> Answer {
    request(address, &format!("GET {path}"), headers)
}

/// The answer in these bytes.
pub fn parse(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_ascii_lowercase().replace("\r\n", "\n"), body: body.to_owned() })
}
