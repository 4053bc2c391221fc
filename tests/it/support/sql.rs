//! Reading SQL as psql reads it: statements, and the rows of each `COPY … FROM stdin`.
//! It shares no code with what it judges.

use std::collections::BTreeMap;

/// A script, taken apart.
#[derive(Default)]
pub struct Script {
    /// Its statements, without comments and psql's own commands, in order. A COPY is not among them.
    pub statements: Vec<Vec<u8>>,
    /// The rows of each table, sorted, by table and columns.
    pub rows: BTreeMap<Vec<Vec<u8>>, Vec<Vec<u8>>>,
}

impl Script {
    /// Takes a script apart.
    #[track_caller]
    pub fn parse(text: &[u8]) -> Script {
        let (mut script, mut rest) = (Script::default(), skip_blank(text));
        while !rest.is_empty() {
            if rest[0] == b'\\' {
                rest = skip_blank(after_line(rest));
                continue;
            }
            let length = statement(rest);
            let (found, after) = rest.split_at(length);
            rest = after;
            if found.starts_with(b"COPY ") && found.ends_with(b" FROM stdin;") {
                let rows = script.rows.entry(identifiers(&found[5..found.len() - 12])).or_default();
                rest = after_line(rest);
                loop {
                    assert!(!rest.is_empty(), "the rows of {} have no end", String::from_utf8_lossy(found));
                    let line = &rest[..rest.len() - after_line(rest).len()];
                    rest = after_line(rest);
                    if line == b"\\.\n" {
                        break;
                    }
                    rows.push(line.to_vec());
                }
            } else {
                script.statements.push(found.to_vec());
            }
            rest = skip_blank(rest);
        }
        script.rows.values_mut().for_each(|rows| rows.sort());
        // Some versions of pg_dump put the default privileges of several roles in the order of their OIDs, which a parallel restore deals out as
        // it comes. What is said of one role stays in its order.
        for run in script.statements.chunk_by_mut(|a, b| default_privileges(a).is_some() && default_privileges(b).is_some()) {
            run.sort_by(|a, b| default_privileges(a).cmp(&default_privileges(b)));
        }
        script
    }

    /// The rows of the tables that have any.
    pub fn filled(&self) -> BTreeMap<&Vec<Vec<u8>>, &Vec<Vec<u8>>> {
        self.rows.iter().filter(|(_, rows)| !rows.is_empty()).collect()
    }
}

/// Fails, with the first difference, unless both scripts say the same: the same statements in the same order, the same rows in any.
#[track_caller]
pub fn assert_same(a: (&str, &Script), b: (&str, &Script)) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
    for (index, (left, right)) in a.1.statements.iter().zip(&b.1.statements).enumerate() {
        assert!(left == right, "statement {index} differs\n--- {}\n{}\n--- {}\n{}", a.0, text(left), b.0, text(right));
    }
    let (left, right) = (&a.1.statements, &b.1.statements);
    let extra = if left.len() > right.len() { &left[right.len()..] } else { &right[left.len()..] };
    assert!(extra.is_empty(), "{} has {} statements and {} has {}; the first: {}", a.0, left.len(), b.0, right.len(), text(&extra[0]));
    assert_same_rows(a, b);
}

/// The same for rows only.
#[track_caller]
pub fn assert_same_rows(a: (&str, &Script), b: (&str, &Script)) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
    let name = |key: &[Vec<u8>]| key.iter().map(|word| text(word)).collect::<Vec<_>>().join(".");
    let (left, right) = (a.1.filled(), b.1.filled());
    for key in left.keys().chain(right.keys()) {
        let (l, r) = (left.get(key).copied(), right.get(key).copied());
        let (Some(l), Some(r)) = (l, r) else { panic!("only one of {} and {} has rows of {}", a.0, b.0, name(key)) };
        assert_eq!(l.len(), r.len(), "rows of {} in {} and {}", name(key), a.0, b.0);
        for (l, r) in l.iter().zip(r) {
            assert!(l == r, "a row of {} differs\n--- {}\n{}\n--- {}\n{}", name(key), a.0, text(l), b.0, text(r));
        }
    }
}

/// Whose default privileges a statement is about, and in which schema.
fn default_privileges(statement: &[u8]) -> Option<&[u8]> {
    let rest = statement.strip_prefix(b"ALTER DEFAULT PRIVILEGES ")?;
    let end = [&b" GRANT "[..], b" REVOKE "].into_iter().filter_map(|word| memchr::memmem::find(rest, word)).min()?;
    Some(&rest[..end])
}

fn after_line(text: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', text).map_or(&[], |end| &text[end + 1..])
}

fn skip_blank(mut text: &[u8]) -> &[u8] {
    loop {
        text = text.trim_ascii_start();
        if !text.starts_with(b"--") {
            return text;
        }
        text = after_line(text);
    }
}

/// The length of the statement that `text` begins with, semicolon included.
#[track_caller]
fn statement(text: &[u8]) -> usize {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        at += match rest[0] {
            b';' => return at + 1,
            b'\'' if at > 0 && text[at - 1] == b'E' && (at < 2 || !word(text[at - 2])) => {
                let mut end = 1;
                while rest[end] != b'\'' {
                    end += if rest[end] == b'\\' { 2 } else { 1 };
                }
                end + 1
            }
            quote @ (b'\'' | b'"') => memchr::memchr(quote, &rest[1..]).expect("a quote is closed") + 2,
            b'-' if rest.starts_with(b"--") => rest.len() - after_line(rest).len(),
            b'/' if rest.starts_with(b"/*") => memchr::memmem::find(rest, b"*/").expect("a comment is closed") + 2,
            b'$' if at == 0 || !word(text[at - 1]) => {
                let tag = rest[1..].iter().position(|byte| !word(*byte)).unwrap_or(0) + 1;
                if rest.get(tag) == Some(&b'$') && !rest[1].is_ascii_digit() {
                    let tag = &rest[..=tag];
                    memchr::memmem::find(&rest[tag.len()..], tag).expect("a dollar quote is closed") + 2 * tag.len()
                } else {
                    1
                }
            }
            _ => 1,
        };
    }
    panic!("a statement has no end: {}", String::from_utf8_lossy(&text[..text.len().min(2000)]));
}

/// The names in `schema.table (column, …)`, unquoted, in UTF-8: what is none is taken for LATIN1.
fn identifiers(text: &[u8]) -> Vec<Vec<u8>> {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text.to_owned(),
        Err(_) => text.iter().copied().map(char::from).collect(),
    };
    let mut text = text.as_bytes();
    let mut names = Vec::new();
    while let Some(first) = text.first() {
        if text.starts_with(b"U&\"") || *first == b'"' {
            let start = if *first == b'"' { 1 } else { 3 };
            let (mut name, mut at) = (Vec::new(), start);
            loop {
                let (bytes, length) = match (text[at], text.get(at + 1)) {
                    (b'"', Some(b'"')) => (vec![b'"'], 2),
                    (b'"', _) => break,
                    (b'\\', Some(b'\\')) if start == 3 => (vec![b'\\'], 2),
                    (b'\\', Some(b'+')) if start == 3 => {
                        let code = u32::from_str_radix(std::str::from_utf8(&text[at + 2..at + 8]).unwrap(), 16).unwrap();
                        (char::from_u32(code).unwrap().to_string().into_bytes(), 8)
                    }
                    (byte, _) => (vec![byte], 1),
                };
                name.extend(bytes);
                at += length;
            }
            names.push(name);
            text = &text[at + 1..];
        } else if b" .,()".contains(first) {
            text = &text[1..];
        } else {
            let end = text.iter().position(|byte| b" .,()".contains(byte)).unwrap_or(text.len());
            names.push(text[..end].to_vec());
            text = &text[end..];
        }
    }
    names
}
