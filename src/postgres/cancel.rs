//! Cancelling a statement from outside its session (manual, section 55.2.8).
//! Owns the token and the request; leaves the statement's own error to the session, which then ends with SQLSTATE 57014.
//! Invariant: the request is encrypted where the session is.

use super::connection::Connection;
use super::socket::{self, Place};
use super::startup::ask_for_tls;
use super::tls;
use crate::error::{Error, Kind, Result};
use crate::stop::Stop;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// What it takes to cancel the running statement of one session. Outlives the session, after which it does nothing.
#[derive(Debug, Clone)]
pub struct CancelToken {
    pub(crate) connection: Connection,
    pub(crate) place: Place,
    pub(crate) key: (i32, [u8; 4]),
    pub(crate) encrypted: bool,
}

impl CancelToken {
    /// Asks the server to cancel. Success means that it was asked, not that there was something to cancel.
    pub fn cancel(&self) -> Result<()> {
        self.cancel_within(self.connection.connect_timeout)
    }

    /// The same, within `limit`. Works after the session's stop token has tripped.
    pub fn cancel_within(&self, limit: Duration) -> Result<()> {
        let failed =
            |error: std::io::Error| Error::new(Kind::Unreachable, format!("cannot cancel a statement at '{}'", self.connection.label())).because(error);
        let (pid, secret) = self.key;
        let mut request = [0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 0, 0, 0, 0, 0];
        request[8..12].copy_from_slice(&pid.to_be_bytes());
        request[12..].copy_from_slice(&secret);
        let mut socket = socket::dial(&self.place, Instant::now() + limit, &Stop::new())?.map_err(failed)?;
        if self.encrypted {
            if !ask_for_tls(&mut socket).unwrap_or(false) {
                return Err(failed(std::io::Error::other("the server no longer offers TLS")));
            }
            let context = tls::context(&self.connection.tls)?;
            let mut stream = tls::upgrade(socket, &self.connection, &context)?;
            return finish(&mut stream, &request).map_err(failed);
        }
        finish(&mut socket, &request).map_err(failed)
    }
}

/// Sends the request and waits for the server to close, which it does after it has passed the signal on.
fn finish(stream: &mut (impl Read + Write), request: &[u8]) -> std::io::Result<()> {
    stream.write_all(request)?;
    stream.flush()?;
    // How the server hangs up does not matter, a reset included.
    let _ = stream.read(&mut [0; 1]);
    Ok(())
}
