//! From a description to a session: addresses, TLS or not, the start-up packet, authentication, the server's parameters.
//! Owns the order of attempts, which is libpq's (manual, table 34.1); leaves the single steps to `socket`, `tls` and `auth`.
//! Invariant: a connection is never weaker than its mode, and all of it is done within `connect_timeout` for each address.

use super::connection::{Connection, SslMode};
use super::frame::{Stream, Wire, nonsense, take, take_string};
use super::server_error::ServerError;
use super::socket::{self, Place, Socket};
use super::{auth, tls};
use crate::error::{Error, Kind, Result};
use crate::stop::Stop;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Instant;

/// A session that has just begun.
pub(crate) struct Started {
    pub wire: Wire,
    pub parameters: BTreeMap<String, String>,
    /// The backend's process and its secret, for cancelling.
    pub key: (i32, [u8; 4]),
    /// Where it is, for cancelling there and not at another address of the same name.
    pub place: Place,
    pub encrypted: bool,
}

/// Why an attempt failed; this decides what may be tried next.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The network, or nonsense: another address may do better.
    Network(io::Error),
    /// TLS was agreed on and did not come about.
    Handshake(Error),
    /// The server said no before it let us in.
    Denied(Box<ServerError>),
    /// Nothing else is worth trying.
    Final(Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Network(error)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encryption {
    Never,
    IfOffered,
    Always,
}

/// Connects and logs in.
pub(crate) fn start(connection: &Connection, stop: &Stop) -> Result<Started> {
    let mut first = None;
    for place in socket::resolve(connection, stop)? {
        match reach(connection, &place, stop) {
            Ok(started) => return Ok(started),
            Err(failure) => {
                let worth_going_on = matches!(failure, Failure::Network(_));
                let error = stop.explain(explain(connection, &place, failure));
                stop.check()?;
                if !worth_going_on {
                    return Err(error);
                }
                first.get_or_insert(error);
            }
        }
    }
    Err(first.unwrap_or_else(|| Error::new(Kind::Unreachable, format!("'{}' has no address", connection.label()))))
}

/// The attempts at one address. The second one follows a refused login or a failed handshake, as in libpq;
/// unlike libpq's, it does not follow other errors, so that a server short of connections is not talked to in plain text for it.
fn reach(connection: &Connection, place: &Place, stop: &Stop) -> Result<Started, Failure> {
    use Encryption::{Always, IfOffered, Never};
    let (now, then) = match (place, connection.tls.mode) {
        (Place::Unix(_), _) | (_, SslMode::Disable) => (Never, None),
        (_, SslMode::Allow) => (Never, Some(Always)),
        (_, SslMode::Prefer) => (IfOffered, Some(Never)),
        _ => (Always, None),
    };
    let mut encrypted = false;
    let failure = match attempt(connection, place, now, stop, &mut encrypted) {
        Ok(started) => return Ok(started),
        Err(failure) => failure,
    };
    let retry = match &failure {
        Failure::Handshake(_) => now == IfOffered,
        Failure::Denied(error) => error.sqlstate.starts_with("28") && encrypted == (now == IfOffered),
        _ => false,
    };
    let Some(then) = then.filter(|_| retry) else { return Err(failure) };
    match (attempt(connection, place, then, stop, &mut encrypted), failure) {
        (Ok(started), _) => Ok(started),
        // A wrong password says more than a pg_hba.conf that has no line for the other way.
        (Err(Failure::Denied(second)), _) if second.sqlstate == "28P01" => Err(Failure::Denied(second)),
        (Err(_), failure) => Err(failure),
    }
}

fn attempt(connection: &Connection, place: &Place, encryption: Encryption, stop: &Stop, encrypted: &mut bool) -> Result<Started, Failure> {
    *encrypted = false;
    let deadline = Instant::now() + connection.connect_timeout;
    let mut socket = socket::dial(place, deadline, stop).map_err(Failure::Final)??;
    let hooked = socket.hook(stop)?;
    let stream = if encryption != Encryption::Never && ask_for_tls(&mut socket)? {
        *encrypted = true;
        let context = tls::context(&connection.tls).map_err(Failure::Final)?;
        Stream::Tls(Box::new(tls::upgrade(socket, connection, &context).map_err(Failure::Handshake)?))
    } else if encryption == Encryption::Always {
        let error = Error::new(
            Kind::Unreachable,
            format!("the server at '{}' does not offer TLS, which sslmode '{}' asks for", connection.label(), connection.tls.mode),
        );
        return Err(Failure::Final(error.hinted("set ssl = on in the server's postgresql.conf, or use sslmode=prefer on a network that you trust")));
    } else {
        Stream::Plain(socket)
    };
    let mut wire = Wire::new(stream, hooked, stop);
    wire.put_untagged(&[&196_608_i32.to_be_bytes(), &start_up_packet(connection)])?;
    wire.flush()?;
    auth::authenticate(&mut wire, connection)?;
    let (parameters, key) = await_ready(&mut wire)?;
    wire.settle()?;
    Ok(Started { wire, parameters, key, place: place.clone(), encrypted: *encrypted })
}

/// SSLRequest (manual, section 55.2.10). Exactly one byte is read: what a man in the middle put behind it ends up in the handshake, which then fails.
pub(crate) fn ask_for_tls(socket: &mut Socket) -> Result<bool, Failure> {
    socket.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])?;
    let mut answer = [0];
    socket.read_exact(&mut answer)?;
    match answer[0] {
        b'S' => Ok(true),
        b'N' => Ok(false),
        // An error in plain text: anybody could have written it, so it is not read (CVE-2024-10977).
        _ => Err(nonsense("an answer that is no PostgreSQL server's").into()),
    }
}

fn start_up_packet(connection: &Connection) -> Vec<u8> {
    let mut packet = Vec::new();
    let fixed = [
        ("user", connection.user.as_str()),
        ("database", &connection.database),
        ("application_name", &connection.application_name),
        ("client_encoding", "UTF8"),
        // Our quoting relies on it.
        ("standard_conforming_strings", "on"),
    ];
    for (name, value) in fixed.into_iter().chain(connection.options.as_deref().map(|options| ("options", options))) {
        for text in [name, value] {
            // A zero byte would end the value and start another parameter.
            packet.extend(text.bytes().filter(|byte| *byte != 0));
            packet.push(0);
        }
    }
    packet.push(0);
    packet
}

type Greeting = (BTreeMap<String, String>, (i32, [u8; 4]));

fn await_ready(wire: &mut Wire) -> Result<Greeting, Failure> {
    let (mut parameters, mut key) = (BTreeMap::new(), (0, [0; 4]));
    loop {
        let (tag, body) = wire.message()?;
        let mut body = &wire.buffer[body];
        match tag {
            b'S' => note_parameter(&mut parameters, body)?,
            b'K' => key = (i32::from_be_bytes(take(&mut body)?), take(&mut body)?),
            b'Z' => return Ok((parameters, key)),
            b'N' => {}
            // Past authentication: another kind of encryption would not help.
            b'E' => return Err(Failure::Final(ServerError::parse(body).into_refusal("the server refused the session"))),
            _ => return Err(nonsense("an unexpected message after logging in").into()),
        }
    }
}

/// Keeps what a ParameterStatus says.
pub(crate) fn note_parameter(parameters: &mut BTreeMap<String, String>, mut body: &[u8]) -> io::Result<()> {
    let name = String::from_utf8_lossy(take_string(&mut body)?).into_owned();
    let value = String::from_utf8_lossy(take_string(&mut body)?).into_owned();
    parameters.insert(name, value);
    Ok(())
}

fn explain(connection: &Connection, place: &Place, failure: Failure) -> Error {
    let label = connection.label();
    let seconds = connection.connect_timeout.as_secs();
    let error = match failure {
        Failure::Final(error) => return if error.to_string().contains(&label) { error } else { error.context(format!("cannot connect to '{label}'")) },
        Failure::Handshake(error) => return error,
        Failure::Denied(error) => return error.into_refusal(format!("the server refused '{label}'")),
        Failure::Network(error) => error,
    };
    let (why, hint) = match error.kind() {
        ErrorKind::TimedOut => {
            (format!("no answer within {seconds} s"), "check DB_HOST and DB_PORT, and the firewall and network between; connect_timeout is the limit")
        }
        ErrorKind::ConnectionRefused => {
            ("nothing listens there".to_owned(), "check DB_HOST and DB_PORT; is PostgreSQL running, and does listen_addresses let it be reached?")
        }
        ErrorKind::NotFound => {
            ("there is no such socket".to_owned(), "check the folder in DB_HOST and the port; is PostgreSQL running, and is its socket's folder mounted here?")
        }
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => (
            "it closed the connection at once".to_owned(),
            "is this the port of a PostgreSQL server? if it is, its log says why: it may be starting, or out of memory",
        ),
        ErrorKind::InvalidData => ("it does not speak PostgreSQL's protocol".to_owned(), "check DB_PORT: something else listens there"),
        _ => ("the network says no".to_owned(), "check DB_HOST and DB_PORT, and the network between"),
    };
    let at = match place {
        Place::Tcp(address) => address.to_string(),
        Place::Unix(path) => super::server_error::printable(&path.display().to_string()),
    };
    Error::new(Kind::Unreachable, format!("cannot reach '{label}' at {at}: {why}")).because(error).hinted(hint)
}
