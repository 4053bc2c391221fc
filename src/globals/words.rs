//! The words of one statement of pg_dumpall's: names, literals, key words, punctuation.
//! It owns the little of PostgreSQL's lexical rules that these statements use; it leaves their meaning to its parent. Pure.
//! Invariant: what stands in quotes is one word, whatever it holds.

/// One word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'t> {
    /// As it was written.
    pub text: &'t str,
    /// Where it begins, in bytes.
    pub at: usize,
}

impl Word<'_> {
    /// Whether it is this key word or sign, and no name in quotes.
    pub fn is(&self, word: &str) -> bool {
        self.text == word
    }

    /// The name that it is, without quotes.
    pub fn name(&self) -> Option<String> {
        match self.text.strip_prefix('"') {
            Some(rest) => Some(rest.strip_suffix('"')?.replace("\"\"", "\"")),
            None => Some(self.text.to_owned()).filter(|text| text.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_')),
        }
    }
}

/// The words of a statement.
pub fn words(text: &str) -> Vec<Word<'_>> {
    let (bytes, mut found, mut at) = (text.as_bytes(), Vec::new(), 0);
    while let Some(first) = bytes.get(at) {
        let start = at;
        at += match first {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'"' | b'\'' => quoted(&bytes[at..], false),
            b'E' if bytes.get(at + 1) == Some(&b'\'') => 1 + quoted(&bytes[at + 1..], true),
            byte if is_plain(*byte) => bytes[at..].iter().position(|byte| !is_plain(*byte)).unwrap_or(bytes.len() - at),
            _ => 1,
        };
        found.push(Word { text: &text[start..at], at: start });
    }
    found
}

/// Whether the byte may stand in a word without quotes: a name, a number, the name of a setting.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.') || byte >= 0x80
}

/// The length of what stands in quotes at the beginning, with these.
fn quoted(bytes: &[u8], escapes: bool) -> usize {
    let (quote, mut at) = (bytes[0], 1);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if escapes => at += 1,
            byte if *byte == quote && bytes.get(at + 1) == Some(&quote) => at += 1,
            byte if *byte == quote => return at + 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}
