//! TLS by libpq's rules (manual, section 34.19): what is verified when, which names a certificate may carry, channel binding.
//! Owns the handshake; leaves the order of attempts to `startup`.
//! Invariant: what libpq would refuse is refused here. Without a root certificate nothing is verified below verify-ca, as there.

use super::connection::{Connection, SslMode, Tls};
use super::socket::Socket;
use crate::error::{Error, Kind, Result};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{HandshakeError, Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslOptions, SslStream, SslVerifyMode, SslVersion};
use openssl::x509::store::X509Lookup;
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509Ref, X509VerifyResult};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Shakes hands on `socket`, which the server has just agreed to by `S`. Verifies what the mode asks for.
pub(crate) fn upgrade(mut socket: Socket, connection: &Connection, context: &SslContext) -> Result<SslStream<Socket>> {
    let internal = |error: openssl::error::ErrorStack| Error::new(Kind::Failed, "cannot prepare TLS").because(error);
    let mut ssl = Ssl::new(context).map_err(internal)?;
    if connection.host.parse::<IpAddr>().is_err() {
        ssl.set_hostname(&connection.host).map_err(internal)?;
    }
    socket.read_ahead();
    let stream = ssl.connect(socket).map_err(|error| handshake_error(connection, error))?;
    if connection.tls.mode == SslMode::VerifyFull {
        let certificate = stream.ssl().peer_certificate();
        if !certificate.as_ref().is_some_and(|certificate| names_host(certificate, &connection.host)) {
            return Err(refusal(connection, "the certificate does not name this host")
                .hinted("connect by a name that stands in the certificate, or have it reissued with this one; sslmode=verify-ca checks the authority only"));
        }
    }
    Ok(stream)
}

fn refusal(connection: &Connection, reason: &str) -> Error {
    Error::new(
        Kind::Unreachable,
        format!("TLS with '{}' failed under sslmode '{}': {reason}", super::server_error::printable(&connection.host), connection.tls.mode),
    )
}

fn handshake_error(connection: &Connection, error: HandshakeError<Socket>) -> Error {
    match error {
        HandshakeError::SetupFailure(error) => refusal(connection, "it cannot be set up").because(error),
        HandshakeError::Failure(middle) | HandshakeError::WouldBlock(middle) => {
            let verdict = middle.ssl().verify_result();
            if verdict != X509VerifyResult::OK {
                let root = connection.tls.root_cert.as_deref().unwrap_or(Path::new("")).display().to_string();
                let error = refusal(connection, &format!("the server's certificate is not accepted: {}", verdict.error_string()));
                return match verdict.as_raw() {
                    // X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CRL_HAS_EXPIRED, X509_V_ERR_CERT_REVOKED
                    9 | 10 | 12 | 23 => error.hinted("renew it on the server (or the revocation list here), and check both clocks"),
                    _ => error.hinted(format!("give the certificate of the authority that signed the server's as sslrootcert; it is '{root}' now")),
                };
            }
            let error = middle.into_error();
            refusal(connection, "the handshake broke off")
                .because(error)
                .hinted("the server must speak TLS 1.2 or later; its log says why it refused, such as a missing client certificate")
        }
    }
}

/// Whether the chain must lead to a trusted authority. libpq verifies under every mode as soon as the root file exists.
fn verifies(tls: &Tls) -> Result<bool> {
    match &tls.root_cert {
        Some(_) if tls.uses_system_roots() => Ok(true),
        Some(file) if file.exists() => Ok(true),
        Some(file) if tls.mode >= SslMode::VerifyCa => Err(Error::usage(format!("sslrootcert '{}' does not exist", file.display()))
            .hinted("mount the authority's certificate there, or use sslrootcert=system")),
        None if tls.mode >= SslMode::VerifyCa => Err(Error::usage(format!("sslmode '{}' needs a root certificate", tls.mode))
            .hinted("give the file as sslrootcert, or sslrootcert=system for the authorities of the operating system")),
        _ => Ok(false),
    }
}

/// What all handshakes of a connection share: versions, trusted roots, revocations, our own certificate.
pub(crate) fn context(tls: &Tls) -> Result<SslContext> {
    let internal = |error: openssl::error::ErrorStack| Error::new(Kind::Failed, "cannot prepare TLS").because(error);
    let mut builder = SslContext::builder(SslMethod::tls_client()).map_err(internal)?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(internal)?;
    builder.set_options(SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION);
    builder.set_verify(SslVerifyMode::NONE);
    if verifies(tls)? {
        trust(&mut builder, tls)?;
        builder.set_verify(SslVerifyMode::PEER);
    }
    if let Some(certificate) = &tls.cert {
        identify(&mut builder, certificate, tls.key.as_deref())?;
    }
    Ok(builder.build())
}

fn trust(builder: &mut SslContextBuilder, tls: &Tls) -> Result<()> {
    let unreadable = |what: &str, file: &Path, error: openssl::error::ErrorStack| {
        Error::usage(format!("cannot read {what} '{}'", file.display())).because(error).hinted("it must be a PEM file that kluis may read")
    };
    match &tls.root_cert {
        Some(file) if !tls.uses_system_roots() => builder.set_ca_file(file).map_err(|error| unreadable("sslrootcert", file, error))?,
        _ => builder.set_default_verify_paths().map_err(|error| unreadable("sslrootcert", Path::new("system"), error))?,
    }
    if let Some(file) = &tls.crl {
        let store = builder.cert_store_mut();
        let lookup = store.add_lookup(X509Lookup::file()).and_then(|lookup| lookup.load_crl_file(file, SslFiletype::PEM));
        lookup.map_err(|error| unreadable("sslcrl", file, error))?;
        store.set_flags(X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL).map_err(|error| unreadable("sslcrl", file, error))?;
    }
    Ok(())
}

fn identify(builder: &mut SslContextBuilder, certificate: &Path, key: Option<&Path>) -> Result<()> {
    let wrong = |what: &str, file: &Path| Error::usage(format!("cannot use {what} '{}'", file.display()));
    builder.set_certificate_chain_file(certificate).map_err(|error| wrong("sslcert", certificate).because(error))?;
    let Some(key) = key else { return Err(wrong("sslcert", certificate).hinted("give its key as sslkey")) };
    let file = std::fs::metadata(key).map_err(|error| wrong("sslkey", key).because(error))?;
    // libpq's rule (fe-secure-openssl.c, initialize_SSL): 0600, or 0640 if root owns it. pg_dump would refuse it later.
    let forbidden = if file.uid() == 0 { 0o037 } else { 0o077 };
    if !file.is_file() || file.mode() & forbidden != 0 {
        return Err(wrong("sslkey", key).because("others may read it").hinted("chmod 0600 it, or 0640 if root owns it"));
    }
    let pem = std::fs::read(key).map_err(|error| wrong("sslkey", key).because(error))?;
    // An empty passphrase, for otherwise OpenSSL would ask for one on the terminal.
    let parsed = PKey::private_key_from_pem_passphrase(&pem, b"")
        .map_err(|error| wrong("sslkey", key).because(error).hinted("it must be a PEM key without a passphrase"))?;
    builder.set_private_key(&parsed).map_err(|error| wrong("sslkey", key).because(error).hinted("it is not the key of sslcert"))
}

/// The data for `tls-server-end-point` (RFC 5929, section 4.1): the certificate's hash by its own signature's algorithm.
/// None where the certificate's algorithm has no single hash (Ed25519, RSA-PSS), for which the RFC defines nothing.
pub(crate) fn end_point(certificate: &X509Ref) -> Option<Vec<u8>> {
    let digest = certificate.signature_algorithm().object().nid().signature_algorithms()?.digest;
    let digest = match digest {
        Nid::MD5 | Nid::SHA1 => MessageDigest::sha256(),
        other => MessageDigest::from_nid(other)?,
    };
    Some(certificate.digest(digest).ok()?.to_vec())
}

/// libpq's `pq_verify_peer_name_matches_certificate`: subject alternative names, and the common name only where there is none of the host's sort.
fn names_host(certificate: &X509, host: &str) -> bool {
    let address = host.parse::<IpAddr>().ok();
    let mut may_use_common_name = true;
    for name in certificate.subject_alt_names().iter().flatten() {
        if let Some(pattern) = name.dnsname() {
            may_use_common_name &= address.is_some();
            if name_matches(pattern, host) {
                return true;
            }
        } else if let Some(bytes) = name.ipaddress() {
            may_use_common_name &= address.is_none();
            let same = match address {
                Some(IpAddr::V4(address)) => bytes == address.octets(),
                Some(IpAddr::V6(address)) => bytes == address.octets(),
                None => false,
            };
            if same {
                return true;
            }
        }
    }
    let common_name = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).last();
    may_use_common_name && common_name.and_then(|entry| entry.data().to_string().ok()).is_some_and(|pattern| name_matches(&pattern, host))
}

/// Case-insensitive; a wildcard stands for one whole label at the front. A name with a zero byte inside never matches.
fn name_matches(pattern: &str, host: &str) -> bool {
    if pattern.contains('\0') {
        return false;
    }
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(suffix) = pattern.strip_prefix('*').filter(|suffix| suffix.len() > 1 && suffix.starts_with('.')) else { return false };
    let Some(split) = host.len().checked_sub(suffix.len()).filter(|split| *split > 0 && host.is_char_boundary(*split)) else { return false };
    let (label, rest) = host.split_at(split);
    rest.eq_ignore_ascii_case(suffix) && !label.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_one_label() {
        for (pattern, host, expected) in [
            ("db.example.com", "DB.example.com", true),
            ("*.example.com", "db.example.com", true),
            ("*.example.com", "a.db.example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "example.com", false),
            ("*", "db", false),
            ("*.", "db.", false),
            ("d*.example.com", "db.example.com", false),
            ("db.example.com\0.evil", "db.example.com", false),
            ("10.0.0.1", "10.0.0.1", true),
        ] {
            assert_eq!(name_matches(pattern, host), expected, "{pattern} {host}");
        }
    }
}
