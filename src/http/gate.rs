//! Who may see what. It owns that decision, as a function of what came with a request.
//! Invariant: whoever does not have the token sees verdicts only, wherever the request seems to come from: a proxy on this machine looks like this
//! machine, and need not say that it is one.

use sha2::{Digest, Sha256};

/// What somebody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Everything.
    All,
    /// Verdicts only: no token came.
    NoToken,
    /// Verdicts only: another token came.
    WrongToken,
}

/// What is seen by whoever sent this `Authorization` header, or none.
pub fn sight(token: &str, authorization: Option<&str>) -> Sight {
    match authorization.and_then(given) {
        None => Sight::NoToken,
        Some(given) if same(&given, token) => Sight::All,
        Some(_) => Sight::WrongToken,
    }
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

    #[test]
    fn only_who_has_the_token() {
        for good in ["Bearer 0123456789abcdef", "bearer  0123456789abcdef", "Basic a2x1aXM6MDEyMzQ1Njc4OWFiY2RlZg==", "BASIC OjAxMjM0NTY3ODlhYmNkZWY="] {
            assert_eq!(sight(TOKEN, Some(good)), Sight::All, "{good}");
        }
        for wrong in
            ["Bearer 0123456789abcde", "Bearer 0123456789abcdef0", "Bearer", "Bearer ", "Basic MDEyMzQ1Njc4OWFiY2RlZg==", "Basic !", "Digest x", "x", ""]
        {
            assert!(matches!(sight(TOKEN, Some(wrong)), Sight::WrongToken | Sight::NoToken), "{wrong}");
        }
        assert_eq!(sight(TOKEN, None), Sight::NoToken);
    }
}
