//! Authentication (manual, sections 55.2.1 and 55.3): trust, password, md5, SCRAM-SHA-256 and -PLUS.
//! Owns the exchange from the start-up packet to AuthenticationOk; leaves what follows to `startup`.
//! Invariant: no AuthenticationOk counts in the middle of a SCRAM exchange, so the server, too, has proven that it knows the password.

use super::connection::{ChannelBinding, Connection, Secret};
use super::frame::{Stream, Wire, nonsense, take, take_string};
use super::passfile::passfile_lookup;
use super::server_error::{ServerError, printable};
use super::{startup::Failure, tls};
use crate::error::{Error, Kind};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Answers the server's requests until it says that we are in.
pub(crate) fn authenticate(wire: &mut Wire, connection: &Connection) -> Result<(), Failure> {
    let mut bound = false;
    loop {
        let (tag, body) = wire.message()?;
        let mut body = &wire.buffer[body];
        match tag {
            b'E' => return Err(Failure::Denied(Box::new(ServerError::parse(body)))),
            b'N' => continue,
            b'R' => {}
            _ => return Err(nonsense("an unexpected answer to the start-up packet").into()),
        }
        let request = i32::from_be_bytes(take(&mut body)?);
        // libpq: with channel_binding=require nothing but SCRAM-SHA-256-PLUS may let us in, nor see the password.
        if connection.channel_binding == ChannelBinding::Require && !bound && request != 10 {
            return Err(refused(connection, "the server did not bind the login to the TLS channel, which channel_binding=require asks for"));
        }
        match request {
            0 => return Ok(()),
            3 => {
                let password = password(connection)?;
                wire.put(b'p', &[password.expose().as_bytes(), b"\0"])?;
            }
            5 => {
                let hash = md5_hash(connection.user.as_bytes(), password(connection)?.expose().as_bytes(), take(&mut body)?);
                wire.put(b'p', &[hash.as_bytes(), b"\0"])?;
            }
            10 => {
                let offered = mechanisms(body)?;
                bound = scram(wire, connection, offered)?;
                continue;
            }
            2 | 7 | 8 | 9 => return Err(refused(connection, "the server asks for Kerberos, GSSAPI or SSPI, which kluis does not speak")),
            _ => return Err(nonsense("an unknown request to authenticate").into()),
        }
        wire.flush()?;
    }
}

fn refused(connection: &Connection, why: &str) -> Failure {
    Failure::Final(
        Error::new(Kind::Unreachable, format!("cannot log in at '{}': {why}", connection.label()))
            .hinted("let the backup's role in by scram-sha-256 in the server's pg_hba.conf"),
    )
}

/// Which of our two mechanisms the server offers: SCRAM-SHA-256, and -PLUS.
fn mechanisms(mut body: &[u8]) -> std::io::Result<(bool, bool)> {
    let mut offered = (false, false);
    loop {
        match take_string(&mut body)? {
            b"" => return Ok(offered),
            name if name == SCRAM_SHA_256.as_bytes() => offered.0 = true,
            name if name == SCRAM_SHA_256_PLUS.as_bytes() => offered.1 = true,
            _ => {}
        }
    }
}

/// The SCRAM exchange (RFC 5802, RFC 7677). True if it was bound to the TLS channel.
fn scram(wire: &mut Wire, connection: &Connection, (plain, plus): (bool, bool)) -> Result<bool, Failure> {
    let certificate = match wire.stream() {
        Stream::Plain(_) if plus && connection.channel_binding != ChannelBinding::Disable => {
            return Err(refused(connection, "the server offers channel binding outside TLS: something is between it and us"));
        }
        Stream::Plain(_) => None,
        Stream::Tls(stream) => stream.ssl().peer_certificate(),
    };
    let binding = if connection.channel_binding == ChannelBinding::Disable { None } else { certificate.as_ref().and_then(|found| tls::end_point(found)) };
    let (mechanism, channel, bound) = match binding {
        Some(data) if plus => (SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(data), true),
        // "We could, you did not offer it": lets the server notice an offer that was taken out on the way.
        Some(_) => (SCRAM_SHA_256, sasl::ChannelBinding::unrequested(), false),
        None => (SCRAM_SHA_256, sasl::ChannelBinding::unsupported(), false),
    };
    if connection.channel_binding == ChannelBinding::Require && !bound {
        return Err(refused(connection, "channel binding is not possible here, and channel_binding=require asks for it"));
    }
    if !bound && !plain {
        return Err(refused(connection, "the server offers no SASL mechanism that kluis speaks"));
    }
    let mut exchange = ScramSha256::new(password(connection)?.expose().as_bytes(), channel);
    let first = exchange.message();
    let length = (first.len() as i32).to_be_bytes();
    wire.put(b'p', &[mechanism.as_bytes(), b"\0", &length, first])?;
    wire.flush()?;
    let challenge = sasl_answer(wire, 11)?;
    exchange.update(&challenge).map_err(|_| unproven(connection))?;
    wire.put(b'p', &[exchange.message()])?;
    wire.flush()?;
    let proof = sasl_answer(wire, 12)?;
    exchange.finish(&proof).map_err(|_| unproven(connection))?;
    Ok(bound)
}

fn unproven(connection: &Connection) -> Failure {
    refused(connection, "the server's side of the SCRAM exchange is wrong, or asks for more than 100,000 iterations")
}

fn sasl_answer(wire: &mut Wire, expected: i32) -> Result<Vec<u8>, Failure> {
    let (tag, body) = wire.message()?;
    let mut body = &wire.buffer[body];
    match tag {
        b'E' => Err(Failure::Denied(Box::new(ServerError::parse(body)))),
        b'R' if i32::from_be_bytes(take(&mut body)?) == expected => Ok(body.to_vec()),
        _ => Err(nonsense("an answer outside the SASL exchange").into()),
    }
}

fn password(connection: &Connection) -> Result<Secret, Failure> {
    if let Some(password) = &connection.password {
        return Ok(password.clone());
    }
    let found = connection.passfile.as_deref().map(|file| from_passfile(file, connection)).transpose().map_err(Failure::Final)?.flatten();
    found.ok_or_else(|| {
        Failure::Final(
            Error::new(Kind::Unreachable, format!("the server asks for a password for '{}', and none is configured", connection.label()))
                .hinted("set DB_PASSWORD or DB_PASSWORD_FILE, or add a line for it to the passfile"),
        )
    })
}

/// Looks the password up in a passfile. One that is missing is like an empty one, as in libpq.
fn from_passfile(file: &Path, connection: &Connection) -> crate::Result<Option<Secret>> {
    let shown = printable(&file.display().to_string());
    let unreadable = |error: std::io::Error| Error::usage(format!("cannot read the passfile '{shown}'")).because(error);
    let mode = match std::fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(unreadable)?.mode(),
    };
    if mode & 0o077 != 0 {
        return Err(Error::usage(format!("the passfile '{shown}' can be read by others, and libpq would ignore it")).hinted("chmod 0600 it"));
    }
    Ok(passfile_lookup(&std::fs::read_to_string(file).map_err(unreadable)?, connection))
}
