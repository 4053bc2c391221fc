//! Receivers of messages, on loopback: an HTTP server that keeps what it gets and answers as it is told, and an SMTP relay with STARTTLS.
//! Each connection has a thread of its own; everything ends with the test process.

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod, SslStream};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Got {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Got {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// How a request is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// With this status and text.
    Status(u16, &'static str),
    /// With a redirect to there.
    Redirect(String),
    /// Not at all: the connection stays open.
    Hang,
    /// With a byte every second, without an end.
    Trickle,
    /// With an endless header.
    Flood,
    /// By closing the connection.
    Close,
}

/// An HTTP server.
pub struct HttpReceiver {
    pub port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    answer: Arc<Mutex<Answer>>,
}

impl HttpReceiver {
    /// One that takes everything.
    pub fn new() -> HttpReceiver {
        HttpReceiver::of(None)
    }

    /// One with TLS.
    pub fn with_tls(authority: &Authority) -> HttpReceiver {
        HttpReceiver::of(Some(authority.acceptor.clone()))
    }

    fn of(tls: Option<Arc<SslAcceptor>>) -> HttpReceiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (got, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Answer::Status(200, "OK"))));
        let receiver = HttpReceiver { port, got: got.clone(), answer: answer.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (got, answer, tls) = (got.clone(), answer.clone(), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(stream.try_clone().unwrap(), stream, &got, &answer),
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream) {
                            let stream = Shared(Arc::new(Mutex::new(stream)));
                            serve(stream.clone(), stream, &got, &answer);
                        }
                    }
                });
            }
        });
        receiver
    }

    /// From now on it answers so.
    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// What came so far.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// The messages as JSON: their events.
    pub fn events(&self) -> Vec<String> {
        self.got().iter().map(|got| got.json()["event"].as_str().unwrap_or("").to_owned()).collect()
    }
}

#[derive(Clone)]
struct Shared(Arc<Mutex<SslStream<TcpStream>>>);

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().read(buffer)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.0.lock().unwrap().flush()
    }
}

fn serve(input: impl Read, mut output: impl Write, got: &Mutex<Vec<Got>>, answer: &Mutex<Answer>) {
    let mut input = BufReader::new(input);
    let mut line = String::new();
    let mut next = |input: &mut dyn BufRead| {
        line.clear();
        input.read_line(&mut line).ok().filter(|length| *length > 0).map(|_| line.trim_end().to_owned())
    };
    let Some(first) = next(&mut input) else { return };
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    while let Some(line) = next(&mut input).filter(|line| !line.is_empty()) {
        headers.extend(line.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())));
    }
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length")).and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    if input.read_exact(&mut body).is_err() {
        return;
    }
    got.lock().unwrap().push(Got { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() });
    let answer = answer.lock().unwrap().clone();
    let second = Duration::from_secs(1);
    let _ = match answer {
        Answer::Status(status, text) => write!(output, "HTTP/1.1 {status} Word\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len()),
        Answer::Redirect(to) => write!(output, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        Answer::Hang => {
            std::thread::sleep(second * 120);
            Ok(())
        }
        Answer::Trickle => output.write_all(b"HTTP/1.1 200 OK\r\nX: ").and_then(|()| {
            (0..120).try_for_each(|_| {
                std::thread::sleep(second);
                output.write_all(b"y").and_then(|()| output.flush())
            })
        }),
        Answer::Flood => {
            let _ = output.write_all(b"HTTP/1.1 200 OK\r\n");
            (0..100_000).try_for_each(|number| write!(output, "X-{number}: {}\r\n", "y".repeat(1000)))
        }
        Answer::Close => Ok(()),
    };
    let _ = output.flush();
}

/// A certificate for 127.0.0.1 that signs itself.
pub struct Authority {
    acceptor: Arc<SslAcceptor>,
    /// The file that a client has to trust.
    pub file: PathBuf,
}

impl Authority {
    pub fn new() -> Authority {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", "127.0.0.1").unwrap();
        let name = name.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        let names = SubjectAlternativeName::new().ip("127.0.0.1").build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let certificate = builder.build();
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        acceptor.set_private_key(&key).unwrap();
        acceptor.set_certificate(&certificate).unwrap();
        let file = super::new_folder("authority").join("ca.pem");
        std::fs::write(&file, certificate.to_pem().unwrap()).unwrap();
        Authority { acceptor: Arc::new(acceptor.build()), file }
    }
}

/// What an SMTP relay offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    None,
    Start,
    Whole,
}

/// An SMTP relay.
pub struct MailReceiver {
    pub port: u16,
    /// What clients said, a line each; the letters among it.
    said: Arc<Mutex<Vec<String>>>,
    /// The command that is refused, with its answer.
    refuse: Arc<Mutex<Option<(&'static str, &'static str)>>>,
}

impl MailReceiver {
    pub fn new(tls: Tls, authority: &Authority) -> MailReceiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (said, refuse) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None)));
        let receiver = MailReceiver { port, said: said.clone(), refuse: refuse.clone() };
        let acceptor = authority.acceptor.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (said, refuse, acceptor) = (said.clone(), refuse.clone(), acceptor.clone());
                std::thread::spawn(move || {
                    let talk = |secure: bool| Talk { said: &said, refuse: &refuse, offers_tls: tls == Tls::Start && !secure, secure };
                    match tls {
                        Tls::Whole => drop(acceptor.accept(stream).map(|mut stream| talk(true).go(&mut stream, true))),
                        _ => {
                            let mut plain = stream;
                            if talk(false).go(&mut plain, true) {
                                drop(acceptor.accept(plain).map(|mut stream| talk(true).go(&mut stream, false)));
                            }
                        }
                    }
                });
            }
        });
        receiver
    }

    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    pub fn refuse(&self, command: &'static str, answer: &'static str) {
        *self.refuse.lock().unwrap() = Some((command, answer));
    }
}

struct Talk<'a> {
    said: &'a Mutex<Vec<String>>,
    refuse: &'a Mutex<Option<(&'static str, &'static str)>>,
    offers_tls: bool,
    secure: bool,
}

impl Talk<'_> {
    /// Talks until the end, or until TLS is asked for.
    fn go(&self, stream: &mut (impl Read + Write), greet: bool) -> bool {
        if greet && stream.write_all(b"220-relay\r\n220 ready\r\n").is_err() {
            return false;
        }
        let (mut in_letter, mut rest) = (false, Vec::new());
        loop {
            let Some(line) = line(stream, &mut rest) else { return false };
            let told = if self.secure { format!("[tls] {line}") } else { line.clone() };
            self.said.lock().unwrap().push(told);
            let refused = self.refuse.lock().unwrap().filter(|(command, _)| !in_letter && line.starts_with(command));
            let mut starts_tls = false;
            let answer = match line.as_str() {
                _ if refused.is_some() => refused.unwrap().1,
                "." if in_letter => {
                    in_letter = false;
                    "250 taken"
                }
                _ if in_letter => continue,
                _ if line.starts_with("EHLO") && self.offers_tls => "250-relay\r\n250-STARTTLS\r\n250 8BITMIME",
                _ if line.starts_with("EHLO") => "250-relay\r\n250 AUTH LOGIN PLAIN",
                "STARTTLS" => {
                    starts_tls = true;
                    "220 go on"
                }
                _ if line.starts_with("AUTH PLAIN") => "235 welcome",
                "DATA" => {
                    in_letter = true;
                    "354 go on"
                }
                "QUIT" => "221 bye",
                _ => "250 good",
            };
            if stream.write_all(format!("{answer}\r\n").as_bytes()).is_err() || line == "QUIT" {
                return false;
            }
            if starts_tls {
                return true;
            }
        }
    }
}

fn line(stream: &mut impl Read, rest: &mut Vec<u8>) -> Option<String> {
    let mut byte = [0];
    loop {
        match stream.read(&mut byte) {
            Ok(1) if byte[0] == b'\n' => return Some(String::from_utf8_lossy(&std::mem::take(rest)).trim_end().to_owned()),
            Ok(1) => rest.push(byte[0]),
            _ => return None,
        }
    }
}
