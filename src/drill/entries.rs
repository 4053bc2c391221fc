//! A dump's text, entry by entry: what stands behind each comment `Name: …; Type: …; Schema: …; Owner: …`.
//! It owns taking the text apart; what the entries are for, its siblings know.
//! Invariant: one entry is in memory at a time; rows of a COPY are in none.

use crate::raw;
use std::io::{BufRead, BufReader, Read};

/// The comment in front of an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// The tag: the object's name, as a rule.
    pub name: String,
    /// `TABLE`, `INDEX`, …
    pub kind: String,
    /// The schema, or `-`.
    pub schema: String,
    /// The owner, or `-`.
    pub owner: String,
}

impl Entry {
    /// Takes apart what stands behind `Name: `. A name may hold anything but a line feed, so it is read from the end.
    fn parse(text: &str) -> Entry {
        let owner = text.rsplit_once("; Owner: ");
        let (rest, owner) = owner.unwrap_or((text, "-"));
        // Behind the owner there may be a tablespace.
        let owner = owner.split("; Tablespace: ").next().unwrap_or(owner);
        let (rest, schema) = rest.rsplit_once("; Schema: ").unwrap_or((rest, "-"));
        let (name, kind) = rest.rsplit_once("; Type: ").unwrap_or((rest, ""));
        Entry { name: name.to_owned(), kind: kind.to_owned(), schema: schema.to_owned(), owner: owner.to_owned() }
    }

    /// As pg_restore lists it behind its numbers: `TABLE public users bob`.
    pub fn listed(&self) -> String {
        let owner = if self.owner == "-" { "" } else { &self.owner };
        format!("{} {} {} {owner}", self.kind, self.schema, self.name).trim_end().to_owned()
    }

    /// `INDEX public.users_email`.
    pub fn describe(&self) -> String {
        let schema = if self.schema == "-" { String::new() } else { format!("{}.", self.schema.escape_debug()) };
        format!("{} {schema}{}", self.kind, self.name.escape_debug())
    }
}

/// Hands over each entry with its body: the statements, without empty lines and comments of pg_dump's own. Line by line: a literal may hold lines that
/// look like a header, but whoever compares two texts has it on both sides.
pub fn entries(text: impl Read, mut each: impl FnMut(&Entry, &[u8])) -> std::io::Result<()> {
    let mut text = BufReader::with_capacity(256 << 10, text);
    let (mut entry, mut body, mut rows, mut line) = (None::<Entry>, Vec::new(), false, Vec::new());
    // pg_restore sets these before an object and only where they change, so they belong to what follows, and are repeated in each section.
    let (mut tablespace, mut access_method) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        if text.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if rows {
            // Rows that pg_dump moved: their order may differ, and they are digested elsewhere.
            rows = line != b"\\.\n";
        } else if let Some(header) = line.strip_prefix(b"-- Name: ").or_else(|| line.strip_prefix(b"-- Data for Name: ")) {
            close(entry.take(), &mut body, &mut each);
            let header = Entry::parse(raw::text(header).trim_end());
            if ["TABLE", "MATERIALIZED VIEW", "INDEX"].contains(&header.kind.as_str()) {
                body.extend_from_slice(&tablespace);
            }
            if ["TABLE", "MATERIALIZED VIEW"].contains(&header.kind.as_str()) {
                body.extend_from_slice(&access_method);
            }
            entry = Some(header);
        } else if line.starts_with(b"SET default_tablespace = ") {
            tablespace.clone_from(&line);
        } else if line.starts_with(b"SET default_table_access_method = ") {
            access_method.clone_from(&line);
        } else if line.starts_with(b"COPY ") && line.ends_with(b" FROM stdin;\n") && entry.as_ref().is_some_and(|entry| entry.kind == "TABLE DATA") {
            rows = true;
        } else if !(line.starts_with(b"\\restrict ")
            || line.starts_with(b"\\unrestrict ")
            || line.starts_with(b"-- Dumped ")
            || line == b"--\n"
            || line == b"\n")
        {
            body.extend_from_slice(&line);
        }
    }
    close(entry, &mut body, &mut each);
    Ok(())
}

fn close(entry: Option<Entry>, body: &mut Vec<u8>, each: &mut impl FnMut(&Entry, &[u8])) {
    // The beginning of each text, before its first object, is settings; rows have no statements.
    if let Some(entry) = entry.filter(|entry| entry.kind != "TABLE DATA") {
        each(&entry, end_trimmed(body));
    }
    body.clear();
}

fn end_trimmed(body: &[u8]) -> &[u8] {
    let mut body = body.trim_ascii_end();
    // The header of the next part of a script: its settings come after the last object of the part before.
    if let Some(at) = memchr::memmem::find(body, b"-- PostgreSQL database dump complete") {
        body = body[..at].trim_ascii_end();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_from_their_end() {
        let entry = Entry::parse("a; Type: b; Type: TABLE; Schema: s; Owner: o; Tablespace: x");
        assert_eq!((entry.name.as_str(), entry.kind.as_str(), entry.schema.as_str(), entry.owner.as_str()), ("a; Type: b", "TABLE", "s", "o"));
        assert_eq!(entry.listed(), "TABLE s a; Type: b o");
        assert_eq!(Entry::parse("e; Type: EXTENSION; Schema: -; Owner: -").describe(), "EXTENSION e");
    }
}
