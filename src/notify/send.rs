//! One attempt at delivering: over HTTP here, by e-mail in `smtp`.
//! It owns the time limits, the refusal of redirects and what may be said of a failure; it leaves trying again to `post`.
//! Invariant: an attempt ends within [`Limits::whole`], whatever the other side does, and a failure's text has nothing of the URL or of the answer.

use super::request::Request;
use super::smtp;
use crate::receiver::Mail;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, http};

/// How long an attempt may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until the connection stands, name lookup and TLS not counted.
    pub connect: Duration,
    /// Everything.
    pub whole: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { connect: Duration::from_secs(5), whole: Duration::from_secs(15) }
    }
}

/// The most that is read of an answer.
const ANSWER: u64 = 4096;

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// In words, without any secret.
    pub reason: String,
    /// When the receiver wants to hear from us again.
    pub after: Option<Duration>,
    /// Trying again helps only after somebody changed something.
    pub lasting: bool,
}

impl Refusal {
    /// One that may be over soon.
    pub fn passing(reason: impl Into<String>) -> Refusal {
        Refusal { reason: reason.into(), after: None, lasting: false }
    }

    /// One that somebody has to mend.
    pub fn lasting(reason: impl Into<String>) -> Refusal {
        Refusal { lasting: true, ..Refusal::passing(reason) }
    }
}

/// What came of an attempt that was not refused: nothing, or which part of it was.
pub type Taken = Option<String>;

/// What is to be sent. Not `Debug`: it holds secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parcel {
    /// An HTTP request.
    Http(Request),
    /// A letter, and the way that it goes.
    Mail(Mail, String),
}

/// The first argument of the process that sends. Not for users.
pub const SENDER: &str = "__send";

impl Parcel {
    /// Sends it, here.
    pub fn send(&self, limits: Limits) -> Result<Taken, Refusal> {
        match self {
            Parcel::Http(request) => http(request, limits).map(|()| None),
            Parcel::Mail(mail, letter) => smtp::send(mail, letter, limits),
        }
    }

    /// Sends it from a process of its own: a daemon that waits for a day shall not keep the memory that TLS took for a second (8 MB, measured), and a
    /// process can be ended. Everything goes through its standard input; its arguments hold nothing.
    pub fn send_apart(&self, limits: Limits) -> Result<Taken, Refusal> {
        let mut command = Command::new("/proc/self/exe");
        command.arg(SENDER).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Without /proc, or without room for a process, it goes from here.
        let Ok(mut child) = command.spawn() else { return self.send(limits) };
        let parcel = serde_json::to_vec(self).expect("plain data always has a JSON form");
        // It reads all before it begins, and answers in less than a pipe holds: neither side can block the other.
        let handed = child.stdin.take().is_some_and(|mut input| input.write_all(&parcel).is_ok());
        let end = Instant::now() + limits.whole + GRACE;
        while handed && matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let output = child.wait_with_output().map(|output| output.stdout).unwrap_or_default();
        serde_json::from_slice(&output).unwrap_or_else(|_| Err(Refusal::passing("the process that sends broke off")))
    }
}

/// How much longer than an attempt its process may take.
const GRACE: Duration = Duration::from_secs(3);

/// The process that sends: what came on its standard input, and what it answers.
pub fn sender(parcel: &[u8]) -> Vec<u8> {
    let sent = match serde_json::from_slice::<Parcel>(parcel) {
        Ok(parcel) => parcel.send(Limits::default()),
        Err(_) => Err(Refusal::lasting("what is to be sent is not understood")),
    };
    serde_json::to_vec(&sent).expect("plain data always has a JSON form")
}

/// Makes an HTTP request. Good is a status from 200 to 299, and nothing else.
fn http(request: &Request, limits: Limits) -> Result<(), Refusal> {
    let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder()
        .tls_config(tls)
        // Proxies would come out of the environment, which only `config` reads.
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(limits.whole))
        .timeout_connect(Some(limits.connect))
        .max_response_header_size(16 << 10)
        .user_agent(concat!("kluis/", env!("CARGO_PKG_VERSION")))
        .build();
    // One request a connection: messages are rare, and an idle one would be a socket that nobody watches.
    let agent = Agent::new_with_config(config);
    let mut builder = http::Request::builder().method(request.method.as_ref()).uri(&request.url);
    for (name, value) in &request.headers {
        builder = builder.header(name.as_ref(), value);
    }
    let answered = match request.method.as_ref() {
        "GET" => builder.body(()).map_err(ureq::Error::Http).and_then(|request| agent.run(request)),
        _ => builder.body(request.body.as_str()).map_err(ureq::Error::Http).and_then(|request| agent.run(request)),
    };
    let mut answer = answered.map_err(|error| refusal(&error, limits))?;
    let status = answer.status().as_u16();
    match status {
        200..=299 if request.answers_in_words => {
            let mut text = String::new();
            // What cannot be read is no word against it: the status was good.
            let _ = answer.body_mut().as_reader().take(ANSWER).read_to_string(&mut text);
            if text.contains("not found") { Err(Refusal::lasting("the service knows nothing of this ping URL")) } else { Ok(()) }
        }
        200..=299 => Ok(()),
        300..=399 => Err(Refusal::lasting(format!("it answered with a redirect (status {status}), which is not followed: use the address that it leads to"))),
        408 | 425 | 429 | 500..=599 => {
            let after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
            Err(Refusal { after, ..Refusal::passing(format!("it answered with status {status}")) })
        }
        401 | 403 | 404 | 410 => Err(Refusal::lasting(format!("it answered with status {status}: is the URL still right?"))),
        _ => Err(Refusal::lasting(format!("it answered with status {status}"))),
    }
}

/// In our own words: those of the library may hold the URL.
fn refusal(error: &ureq::Error, limits: Limits) -> Refusal {
    match error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            Refusal::passing(format!("no connection within {} s", limits.connect.as_secs()))
        }
        ureq::Error::Timeout(_) => Refusal::passing(format!("no answer within {} s", limits.whole.as_secs())),
        ureq::Error::HostNotFound => Refusal::passing("its host is not found"),
        ureq::Error::Io(error) => Refusal::passing(reason(error)),
        ureq::Error::ConnectionFailed => Refusal::passing("the connection failed"),
        ureq::Error::NativeTls(_) | ureq::Error::Tls(_) | ureq::Error::TlsRequired => {
            Refusal::passing("TLS failed: is its certificate signed by an authority that is known here?")
        }
        ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) | ureq::Error::BodyExceedsLimit(_) => Refusal::passing("its answer is not understood"),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => Refusal::lasting("no request can be made of its URL"),
        _ => Refusal::passing("the request failed"),
    }
}

/// An error of the network, in a few words.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection was refused".to_owned(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "it did not answer in time".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            "it closed the connection without an answer".to_owned()
        }
        // TLS errors come wrapped.
        _ if error.get_ref().is_some_and(|inner| inner.to_string().contains("certificate")) => "TLS failed: its certificate is not accepted".to_owned(),
        kind => kind.to_string(),
    }
}
