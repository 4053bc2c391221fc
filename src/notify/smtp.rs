//! An e-mail handed to a relay (RFC 5321), with STARTTLS (RFC 3207) or TLS from the first byte (RFC 8314), and AUTH PLAIN or LOGIN (RFC 4954).
//! It owns the dialogue; it leaves the letter to `request`.
//! Invariant: a password goes over TLS only, a certificate is always verified, and the dialogue as a whole has one deadline.

use super::send::{Limits, Refusal, Taken, reason};
use crate::receiver::Mail;
use openssl::base64::encode_block;
use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVersion};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Instant;

/// The most that a relay may say at once.
const SAYS: usize = 16 << 10;

/// A socket on which no read and no write outlasts the deadline.
struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.set_write_timeout(Some(left))
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.left()?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left()?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

enum Wire {
    Plain(Timed),
    Tls(Box<SslStream<Timed>>),
}

/// The dialogue.
struct Talk {
    wire: Wire,
    /// Bytes that were read, and belong to the next line.
    rest: Vec<u8>,
}

/// What the relay said: its code, and the lines' texts.
struct Reply {
    code: u16,
    lines: Vec<String>,
}

/// Hands over a letter. It goes to whom the relay takes; the others are counted.
pub fn send(mail: &Mail, letter: &str, limits: Limits) -> Result<Taken, Refusal> {
    let deadline = Instant::now() + limits.whole;
    let stream = dial(mail, limits)?;
    let wire = Timed { stream, deadline };
    let mut talk = Talk { wire: if mail.tls { secured(wire, &mail.host)? } else { Wire::Plain(wire) }, rest: Vec::new() };
    talk.expect(&[220], "its greeting")?;
    let mut features = talk.hello()?;
    if !mail.tls && features.iter().any(|feature| feature == "STARTTLS") {
        talk.ask("STARTTLS", &[220], "STARTTLS")?;
        // What came before the handshake could be anybody's (CVE-2011-0411).
        if !talk.rest.is_empty() {
            return Err(Refusal::passing("it spoke on before TLS"));
        }
        let Wire::Plain(plain) = talk.wire else { return Err(Refusal::passing("TLS failed")) };
        talk = Talk { wire: secured(plain, &mail.host)?, rest: Vec::new() };
        features = talk.hello()?;
    }
    if let Some(login) = &mail.login {
        talk.log_in(login, &features)?;
    }
    talk.ask(&format!("MAIL FROM:<{}>", mail.from), &[250], "the sender")?;
    let mut refused = Vec::new();
    for to in &mail.to {
        talk.say(&format!("RCPT TO:<{to}>"))?;
        let reply = talk.reply()?;
        if ![250, 251].contains(&reply.code) {
            refused.push(reply.code);
        }
    }
    let part = refused.first().map(|code| match mail.to.len() {
        1 => format!("the relay answered {code} to its address"),
        all => format!("the relay answered {code} to {} of its {all} addresses", refused.len()),
    });
    if let Some(why) = part.as_ref().filter(|_| refused.len() == mail.to.len()) {
        // For good only where no address may be taken later.
        let lasting = refused.iter().all(|code| code / 100 == 5);
        return Err(if lasting { Refusal::lasting(why) } else { Refusal::passing(why) });
    }
    talk.ask("DATA", &[354], "the letter")?;
    // A line that begins with a dot gets a second one (RFC 5321, section 4.5.2).
    let stuffed: Vec<String> =
        letter.trim_end_matches("\r\n").split("\r\n").map(|line| if line.starts_with('.') { format!(".{line}") } else { line.to_owned() }).collect();
    talk.ask(&format!("{}\r\n.", stuffed.join("\r\n")), &[250], "the letter")?;
    // It has been taken: how the relay says goodbye changes nothing.
    let _ = talk.ask("QUIT", &[221], "the end");
    Ok(part)
}

fn failed(error: &io::Error) -> Refusal {
    Refusal::passing(reason(error))
}

/// Looks the relay up and connects, on a thread that can be walked away from: the resolver cannot be interrupted.
fn dial(mail: &Mail, limits: Limits) -> Result<TcpStream, Refusal> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let (host, port) = (mail.host.clone(), mail.port);
    let work = move || -> Result<TcpStream, Refusal> {
        let mut last = Refusal::passing("its host is not found");
        for address in (host.as_str(), port).to_socket_addrs().map_err(|_| last.clone())? {
            match TcpStream::connect_timeout(&address, limits.connect) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = failed(&error),
            }
        }
        Err(last)
    };
    let spawned = std::thread::Builder::new().name("dial".into()).spawn(move || drop(sender.send(work())));
    spawned.map_err(|error| failed(&error))?;
    receiver.recv_timeout(limits.whole).unwrap_or_else(|_| Err(Refusal::passing(format!("no connection within {} s", limits.whole.as_secs()))))
}

fn secured(wire: Timed, host: &str) -> Result<Wire, Refusal> {
    let unusable = |_| Refusal::passing("TLS cannot be set up here");
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(unusable)?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(unusable)?;
    match builder.build().connect(host, wire) {
        Ok(stream) => Ok(Wire::Tls(Box::new(stream))),
        Err(openssl::ssl::HandshakeError::Failure(middle)) if middle.ssl().verify_result() != openssl::x509::X509VerifyResult::OK => {
            Err(Refusal::passing(format!("TLS failed: its certificate is not accepted: {}", middle.ssl().verify_result().error_string())))
        }
        Err(_) => Err(Refusal::passing("TLS failed")),
    }
}

impl Talk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.wire {
            Wire::Plain(wire) => wire.read(buffer),
            Wire::Tls(wire) => wire.read(buffer),
        }
    }

    fn say(&mut self, line: &str) -> Result<(), Refusal> {
        let bytes = format!("{line}\r\n");
        match &mut self.wire {
            Wire::Plain(wire) => wire.write_all(bytes.as_bytes()),
            Wire::Tls(wire) => wire.write_all(bytes.as_bytes()),
        }
        .map_err(|error| failed(&error))
    }

    /// A reply, which may have several lines (RFC 5321, section 4.2.1).
    fn reply(&mut self) -> Result<Reply, Refusal> {
        let odd = || Refusal::passing("its answer is not understood");
        let (mut lines, mut said) = (Vec::new(), 0);
        loop {
            let line = loop {
                if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                    break self.rest.drain(..=end).collect::<Vec<u8>>();
                }
                let mut buffer = [0; 1024];
                let length = self.read(&mut buffer).map_err(|error| failed(&error))?;
                said += length;
                if length == 0 {
                    return Err(failed(&io::ErrorKind::UnexpectedEof.into()));
                }
                if said > SAYS {
                    return Err(odd());
                }
                self.rest.extend_from_slice(&buffer[..length]);
            };
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok()).ok_or_else(odd)?;
            lines.push(line.get(4..).unwrap_or("").to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, lines });
            }
        }
    }

    /// The relay's own words are not handed on: they may repeat an address, or what we sent.
    fn expect(&mut self, codes: &[u16], what: &str) -> Result<Reply, Refusal> {
        let reply = self.reply()?;
        if codes.contains(&reply.code) {
            return Ok(reply);
        }
        let reason = format!("the relay answered {} to {what}", reply.code);
        // 4yz is for now, 5yz for good.
        Err(if reply.code / 100 == 5 { Refusal::lasting(reason) } else { Refusal::passing(reason) })
    }

    fn ask(&mut self, line: &str, codes: &[u16], what: &str) -> Result<Reply, Refusal> {
        self.say(line)?;
        self.expect(codes, what)
    }

    /// EHLO. An address literal is always right; a container's own name means nothing to a relay (RFC 5321, section 4.1.3).
    fn hello(&mut self) -> Result<Vec<String>, Refusal> {
        let reply = self.ask("EHLO [127.0.0.1]", &[250], "EHLO")?;
        Ok(reply.lines.iter().map(|line| line.to_ascii_uppercase()).collect())
    }

    fn log_in(&mut self, (user, password): &(String, String), features: &[String]) -> Result<(), Refusal> {
        if matches!(self.wire, Wire::Plain(_)) {
            return Err(Refusal::lasting("it offers no TLS, and a password goes over TLS only"));
        }
        let ways: Vec<&str> = features.iter().filter_map(|feature| feature.strip_prefix("AUTH ")).flat_map(str::split_whitespace).collect();
        if ways.contains(&"PLAIN") || !ways.contains(&"LOGIN") {
            let token = encode_block(format!("\0{user}\0{password}").as_bytes());
            self.ask(&format!("AUTH PLAIN {token}"), &[235], "the login")?;
        } else {
            self.ask("AUTH LOGIN", &[334], "the login")?;
            self.ask(&encode_block(user.as_bytes()), &[334], "the login")?;
            self.ask(&encode_block(password.as_bytes()), &[235], "the login")?;
        }
        Ok(())
    }
}
