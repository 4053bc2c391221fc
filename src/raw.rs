//! Text that may be no UTF-8, as a `String` that loses nothing: names in a database in `SQL_ASCII` are whatever bytes somebody sent.
//! It owns the form (docs/FORMAT.md, "Names that are not UTF-8"); it leaves to its callers where bytes come in and go out. Pure.
//! Invariant: `bytes(&text(x)) == x` for any bytes, and two different byte strings are two different texts.

use std::borrow::Cow;

/// A byte that belongs to no character stands as this and its value: U+10FE80 to U+10FEFF, which nobody assigns (plane 16, private use).
const BASE: u32 = 0x10_FE00;

/// How those characters begin in UTF-8.
const PREFIX: [&[u8]; 2] = [b"\xf4\x8f\xba", b"\xf4\x8f\xbb"];

/// Bytes as text. Where they really hold a character that stands for a byte here, its own bytes stand so.
pub fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !holds(bytes) => text.to_owned(),
        _ => {
            let mut text = String::with_capacity(bytes.len() * 2);
            for chunk in bytes.utf8_chunks() {
                for character in chunk.valid().chars() {
                    if byte_of(character).is_some() {
                        text.extend(character.encode_utf8(&mut [0; 4]).bytes().map(stand_in));
                    } else {
                        text.push(character);
                    }
                }
                text.extend(chunk.invalid().iter().copied().map(stand_in));
            }
            text
        }
    }
}

/// The bytes of a text.
pub fn bytes(text: &str) -> Cow<'_, [u8]> {
    if !holds(text.as_bytes()) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match byte_of(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// The byte that a character stands for, if it does.
pub fn byte_of(character: char) -> Option<u8> {
    u32::from(character).checked_sub(BASE).and_then(|value| u8::try_from(value).ok()).filter(|byte| *byte >= 0x80)
}

/// Whether a text is UTF-8 as its bytes are.
pub fn is_plain(text: &str) -> bool {
    !holds(text.as_bytes())
}

fn stand_in(byte: u8) -> char {
    char::from_u32(BASE + u32::from(byte)).expect("no surrogate is there")
}

fn holds(bytes: &[u8]) -> bool {
    memchr::memchr(PREFIX[0][0], bytes).is_some() && PREFIX.iter().any(|prefix| memchr::memmem::find(bytes, prefix).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost() {
        for (given, expected) in [
            (&b"caf\xe9"[..], "caf\u{10fee9}"),
            (b"caf\xc3\xa9", "caf\u{e9}"),
            (b"\xff\x00\xc3", "\u{10feff}\0\u{10fec3}"),
            ("\u{10fee9}".as_bytes(), "\u{10fef4}\u{10fe8f}\u{10febb}\u{10fea9}"),
            ("\u{10fe7f}\u{10ff00}".as_bytes(), "\u{10fe7f}\u{10ff00}"),
            (b"", ""),
        ] {
            assert_eq!((text(given).as_str(), bytes(expected).as_ref()), (expected, given));
        }
        assert!(is_plain("caf\u{e9}") && !is_plain(&text(b"caf\xe9")));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_come_back(given: Vec<u8>) {
            assert_eq!(bytes(&text(&given)).as_ref(), given);
        }

        #[test]
        fn so_does_any_text(given: String) {
            assert_eq!(bytes(&text(given.as_bytes())).as_ref(), given.as_bytes());
        }
    }
}
