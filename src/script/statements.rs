//! Cutting a stream of SQL text, as pg_dump writes it, into statements.
//! It owns the little of PostgreSQL's lexical rules that is needed for it (manual, 4.1): quotes, dollar quotes, comments; it knows no statement's meaning.
//! Invariant: a semicolon within a literal, a quoted name or a comment never ends a statement, however the stream is chunked.

/// Cuts statements out of a stream.
#[derive(Default)]
pub struct Statements {
    text: Vec<u8>,
    /// How far `text` was looked at.
    seen: usize,
    state: State,
}

#[derive(Default, Clone, PartialEq, Eq)]
enum State {
    #[default]
    Plain,
    /// Within quotes of that kind. A doubled quote leaves and enters again.
    Quoted(u8),
    /// Within `E'…'`, where a backslash takes the next byte with it.
    Escaped,
    LineComment,
    /// Within so many nested block comments.
    BlockComment(u32),
    /// Within `$tag$ … $tag$`; this is the whole delimiter.
    Dollar(Vec<u8>),
}

impl Statements {
    /// Takes the next piece of text and hands every statement that is now complete, with its semicolon, to `each`. psql's own commands
    /// (a line that begins with a backslash outside of a statement) are passed over.
    pub fn push<E>(&mut self, piece: &[u8], mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.text.extend_from_slice(piece);
        let mut start = 0;
        while let Some(end) = self.find_end(&mut start) {
            let statement = trim(&self.text[start..end]);
            if !statement.is_empty() {
                each(statement)?;
            }
            start = end;
        }
        self.text.drain(..start);
        self.seen -= start;
        Ok(())
    }

    /// Whether nothing but white space and comments is left over: the stream ended where it may.
    pub fn is_complete(&self) -> bool {
        self.state == State::Plain && trim(&self.text).is_empty() || self.state == State::LineComment
    }

    /// The place behind the next semicolon that ends a statement. White space, comments and psql commands before it move `start`.
    fn find_end(&mut self, start: &mut usize) -> Option<usize> {
        loop {
            let rest = &self.text[self.seen..];
            match &self.state {
                State::Quoted(quote) => match memchr::memchr(*quote, rest) {
                    Some(at) => (self.seen, self.state) = (self.seen + at + 1, State::Plain),
                    None => return self.all_seen(),
                },
                State::Escaped => match memchr::memchr2(b'\'', b'\\', rest) {
                    Some(at) if rest[at] == b'\'' => (self.seen, self.state) = (self.seen + at + 1, State::Plain),
                    Some(at) if at + 1 < rest.len() => self.seen += at + 2,
                    Some(at) => {
                        self.seen += at;
                        return None;
                    }
                    None => return self.all_seen(),
                },
                State::LineComment => match memchr::memchr(b'\n', rest) {
                    Some(at) => (self.seen, self.state) = (self.seen + at, State::Plain),
                    None => return self.all_seen(),
                },
                State::BlockComment(depth) => match rest.windows(2).position(|pair| pair == b"*/" || pair == b"/*") {
                    Some(at) => {
                        let depth = if rest[at] == b'/' { depth + 1 } else { depth - 1 };
                        (self.seen, self.state) = (self.seen + at + 2, if depth == 0 { State::Plain } else { State::BlockComment(depth) });
                    }
                    None => {
                        self.seen += rest.len().saturating_sub(1);
                        return None;
                    }
                },
                State::Dollar(tag) => match memchr::memmem::find(rest, tag) {
                    Some(at) => (self.seen, self.state) = (self.seen + at + tag.len(), State::Plain),
                    None => {
                        self.seen += rest.len().saturating_sub(tag.len() - 1);
                        return None;
                    }
                },
                State::Plain => {
                    let Some(at) = rest.iter().position(|byte| b"'\"$-/;\\".contains(byte)) else { return self.all_seen() };
                    let here = self.seen + at;
                    match rest[at] {
                        b';' => {
                            self.seen = here + 1;
                            return Some(here + 1);
                        }
                        b'\'' => {
                            let escaped =
                                here > *start && self.text[here - 1].eq_ignore_ascii_case(&b'E') && !(here > *start + 1 && is_word(self.text[here - 2]));
                            (self.seen, self.state) = (here + 1, if escaped { State::Escaped } else { State::Quoted(b'\'') });
                        }
                        b'"' => (self.seen, self.state) = (here + 1, State::Quoted(b'"')),
                        b'\\' if trim(&self.text[*start..here]).is_empty() => match memchr::memchr(b'\n', &self.text[here..]) {
                            Some(line) => {
                                self.seen = here + line + 1;
                                *start = self.seen;
                            }
                            None => {
                                self.seen = here;
                                return None;
                            }
                        },
                        b'$' if here > *start && is_word(self.text[here - 1]) => self.seen = here + 1,
                        b'$' => match self.text[here + 1..].iter().position(|byte| !is_word(*byte)) {
                            Some(length) if self.text[here + 1 + length] == b'$' && !self.text[here + 1].is_ascii_digit() => {
                                let tag = self.text[here..here + length + 2].to_vec();
                                (self.seen, self.state) = (here + tag.len(), State::Dollar(tag));
                            }
                            Some(_) => self.seen = here + 1,
                            None => {
                                self.seen = here;
                                return None;
                            }
                        },
                        first @ (b'-' | b'/') => match self.text.get(here + 1) {
                            Some(b'-') if first == b'-' => (self.seen, self.state) = (here + 2, State::LineComment),
                            Some(b'*') if first == b'/' => (self.seen, self.state) = (here + 2, State::BlockComment(1)),
                            Some(_) => self.seen = here + 1,
                            None => {
                                self.seen = here;
                                return None;
                            }
                        },
                        _ => self.seen = here + 1,
                    }
                }
            }
        }
    }

    fn all_seen(&mut self) -> Option<usize> {
        self.seen = self.text.len();
        None
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The text without white space and comments in front of it and white space behind it.
fn trim(mut text: &[u8]) -> &[u8] {
    loop {
        text = text.trim_ascii_start();
        if text.starts_with(b"--") {
            text = memchr::memchr(b'\n', text).map_or(&[], |end| &text[end..]);
        } else {
            return text.trim_ascii_end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        for size in [1, 2, 3, 7, text.len().max(1)] {
            let (mut statements, mut found) = (Statements::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                statements.push::<()>(piece, |statement| Ok(found.push(String::from_utf8(statement.to_vec()).unwrap()))).unwrap();
            }
            assert_eq!(found, expected, "in pieces of {size}");
            assert!(statements.is_complete(), "in pieces of {size}");
        }
    }

    #[test]
    fn statements_end_where_they_should() {
        check("", &[]);
        check("-- a; comment\nSELECT 1;\n\n  SELECT 2 ;", &["SELECT 1;", "SELECT 2 ;"]);
        check("\\restrict abc;def\nSELECT ';', 'it''s;';\n\\unrestrict abc\n", &["SELECT ';', 'it''s;';"]);
        check("SELECT E'a\\';b', e'\\\\';SELECT '\\';", &["SELECT E'a\\';b', e'\\\\';", "SELECT '\\';"]);
        check("SELECT name'x;';", &["SELECT name'x;';"]);
        check(
            "COMMENT ON LARGE OBJECT 1 IS 'x\n\\q\nSELECT pg_catalog.lo_open(''1'', 1);';",
            &["COMMENT ON LARGE OBJECT 1 IS 'x\n\\q\nSELECT pg_catalog.lo_open(''1'', 1);';"],
        );
        check("GRANT SELECT ON x TO \"we;ird\"\"\n--role\";", &["GRANT SELECT ON x TO \"we;ird\"\"\n--role\";"]);
        check("DO $$ BEGIN; END $$; SELECT $a$ $b$ ; $a$; SELECT a$b$c;", &["DO $$ BEGIN; END $$;", "SELECT $a$ $b$ ; $a$;", "SELECT a$b$c;"]);
        check("SELECT /* ; /* ; */ ; */ 1 - 2 / 3;", &["SELECT /* ; /* ; */ ; */ 1 - 2 / 3;"]);
        check("SELECT 1; -- the end;", &["SELECT 1;"]);
    }

    #[test]
    fn an_open_end_is_noticed() {
        for text in ["SELECT 1", "SELECT 'a;", "SELECT $$ ;", "SELECT 1; /* ;", "\"x;"] {
            let mut statements = Statements::default();
            statements.push::<()>(text.as_bytes(), |_| Ok(())).unwrap();
            assert!(!statements.is_complete(), "{text}");
        }
    }
}
