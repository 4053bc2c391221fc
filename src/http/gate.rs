//! Who may see what. It owns that decision, as a function of what came with a request.
//! Invariant: without a token nothing but verdicts leaves this machine, also by way of a proxy or of a browser that was led astray; with one, whoever
//! does not have it sees verdicts only.

use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// What somebody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Everything.
    All,
    /// Verdicts only: a token is needed, and none came.
    NoToken,
    /// Verdicts only: a token is needed, and another one came.
    WrongToken,
    /// Verdicts only: no token is set, and the request does not come from this machine alone.
    NotHere,
}

/// What came with a request.
#[derive(Debug, Clone, Copy)]
pub struct Visitor<'a> {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// The `Host` header.
    pub host: Option<&'a str>,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// Whether a proxy says that it came for somebody else.
    pub forwarded: bool,
}

/// What this visitor may see.
pub fn sight(token: Option<&str>, visitor: &Visitor<'_>) -> Sight {
    let Some(token) = token else {
        // A page of another site, open in a browser on this machine, can reach us by a name of its own that leads here (DNS rebinding).
        let here = visitor.peer.to_canonical().is_loopback() && !visitor.forwarded && visitor.host.is_none_or(means_here);
        return if here { Sight::All } else { Sight::NotHere };
    };
    match visitor.authorization.and_then(given) {
        None => Sight::NoToken,
        Some(given) if same(&given, token) => Sight::All,
        Some(_) => Sight::WrongToken,
    }
}

/// Whether a `Host` header names this machine itself.
fn means_here(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// The token in an `Authorization` header: `Bearer TOKEN`, or a browser's `Basic`, whose password it is (RFC 6750, RFC 7617).
fn given(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(openssl::base64::decode_block(rest).ok()?).ok()?;
        return pair.split_once(':').map(|(_, password)| password.to_owned());
    }
    None
}

/// Whether two words are the same, in a time that does not tell how much of them is.
fn same(given: &str, token: &str) -> bool {
    openssl::memcmp::eq(&Sha256::digest(given.as_bytes()), &Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    #[track_caller]
    fn check(token: Option<&str>, peer: &str, host: Option<&str>, authorization: Option<&str>, forwarded: bool, expected: Sight) {
        let visitor = Visitor { peer: peer.parse().unwrap(), host, authorization, forwarded };
        assert_eq!(sight(token, &visitor), expected, "{visitor:?}");
    }

    #[test]
    fn without_a_token_only_this_machine() {
        for host in [None, Some("localhost"), Some("localhost:8080"), Some("127.0.0.1:8080"), Some("[::1]:8080"), Some("LOCALHOST."), Some("kluis.localhost")] {
            for peer in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.8.8.8"] {
                check(None, peer, host, None, false, Sight::All);
            }
            check(None, "172.18.0.1", host, None, false, Sight::NotHere);
            check(None, "127.0.0.1", host, None, true, Sight::NotHere);
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.0.1", "", "[::1.evil"] {
            check(None, "127.0.0.1", Some(host), None, false, Sight::NotHere);
        }
        // What nobody asked for opens nothing.
        check(None, "10.0.0.1", None, Some("Bearer "), false, Sight::NotHere);
    }

    #[test]
    fn with_a_token_only_who_has_it() {
        for peer in ["127.0.0.1", "192.168.0.7"] {
            for good in ["Bearer 0123456789abcdef", "bearer  0123456789abcdef", "Basic a2x1aXM6MDEyMzQ1Njc4OWFiY2RlZg==", "BASIC OjAxMjM0NTY3ODlhYmNkZWY="] {
                check(Some(TOKEN), peer, Some("status.example.org"), Some(good), true, Sight::All);
            }
            for wrong in
                ["Bearer 0123456789abcde", "Bearer 0123456789abcdef0", "Bearer", "Bearer ", "Basic MDEyMzQ1Njc4OWFiY2RlZg==", "Basic !", "Digest x", "x", ""]
            {
                let visitor = Visitor { peer: peer.parse().unwrap(), host: None, authorization: Some(wrong), forwarded: false };
                assert!(matches!(sight(Some(TOKEN), &visitor), Sight::WrongToken | Sight::NoToken), "{wrong}");
            }
            check(Some(TOKEN), peer, None, None, false, Sight::NoToken);
        }
    }
}
