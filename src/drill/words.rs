//! Expressions in the source's own words: looked for in the script, entry by entry.
//! It owns where pg_dump writes which expression; it leaves to its callers when to look.
//! Invariant: words count only in the entry of the object that they belong to, and behind the name of the column or constraint that has them.
//!
//! PostgreSQL's deparser is no fixed point: `status IN ('a', 'b')` is worded in another way once it was dumped and restored. So the restored
//! database's words are compared first, and where they differ the source's have to stand in the script: the source against the source.

use super::entries::{Entry, entries};
use crate::postgres::server_error::printable;
use crate::raw;
use std::collections::BTreeMap;
use std::io::Read;

/// An expression to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The object that has it, by schema and name: the script's entry is of that name, or of a name that begins or ends with it.
    object: (String, String),
    /// What stands in front of it in the same line, somewhere.
    before: Option<Vec<u8>>,
    /// The expression with what stands right in front of it: one of these.
    texts: Vec<Vec<u8>>,
    /// What may follow: else it is only the beginning of a longer one.
    after: &'static [&'static str],
    /// What is said if it is not found.
    finding: String,
}

/// The end of a statement.
const END: &[&str] = &[";"];
/// The end of a column's or a domain's clause.
const CLAUSE: &[&str] = &[",", ";", "\n", " NOT NULL", ") STORED", ")", " COLLATE", " CONSTRAINT"];

impl Words {
    /// The words of this column of a row of the catalogue; none where it is not known how pg_dump writes it.
    pub fn of(catalogue: &str, column: &str, keys: &[&str], source: &[u8], finding: String) -> Option<Words> {
        let quoted = |name: &str| crate::postgres::quote::quote_ident(name);
        let (object, before, starts, after): (&str, Option<String>, &[&str], &'static [&'static str]) = match (catalogue, column) {
            // DEFAULT and GENERATED are told apart by another column of the catalogue. What takes several lines begins on one of its own.
            ("pg_attrdef", _) => (keys[0], Some(quoted(keys[1])), &["DEFAULT ", "DEFAULT \n", "AS (", "AS (\n"], CLAUSE),
            ("pg_constraint", _) => {
                (if keys[1] == "-" { keys[2] } else { keys[1] }, Some(format!("CONSTRAINT {}", quoted(keys[0]))), &["CHECK (", "CHECK (\n"], &[")"])
            }
            ("pg_index", _) | ("pg_class", "relpartbound") | ("pg_trigger", _) | ("pg_statistic_ext", _) => (keys[0], None, &[""], END),
            ("pg_partitioned_table", _) => (keys[0], None, &["PARTITION BY "], &[";", "\n"]),
            ("pg_policy", "polqual") => (keys[1], None, &["USING (", "USING (\n"], &[")"]),
            ("pg_policy", _) => (keys[1], None, &["WITH CHECK (", "WITH CHECK (\n"], &[")"]),
            ("pg_proc", "proargdefaults") => (keys[0], None, &["("], &[")"]),
            ("pg_proc", _) => (keys[0], None, &["\n", " ", ""], END),
            ("pg_publication_rel", _) => (keys[1], None, &["WHERE (", "WHERE "], &[")", ";"]),
            // A view may have a check option, a materialized one no rows.
            ("pg_rewrite", _) => (keys[1], None, &[""], &[";", "\n  WITH "]),
            ("pg_type", _) => (keys[0], None, &["DEFAULT ", "DEFAULT \n"], CLAUSE),
            _ => return None,
        };
        let object = if catalogue == "pg_statistic_ext" { (unquoted(keys[1]), keys[0].to_owned()) } else { qualified(object)? };
        // Definitions that end with a semicolon of their own.
        let source = source.trim_ascii_end();
        let source = plain(source.strip_suffix(b";").unwrap_or(source));
        let before = before.map(|before| plain(&raw::bytes(&before)));
        let texts = starts.iter().map(|start| [start.as_bytes(), &source].concat()).collect();
        Some(Words { object, before, texts, after, finding })
    }

    fn stand_in(&self, body: &[u8]) -> bool {
        self.texts.iter().any(|text| {
            memchr::memmem::find_iter(body, text).any(|at| {
                let rest = &body[at + text.len()..];
                if !(rest.is_empty() || self.after.iter().any(|after| rest.starts_with(after.as_bytes()))) {
                    return false;
                }
                let Some(before) = &self.before else { return true };
                let line = line_of(body, at);
                memchr::memmem::find(&body[line..at], before).is_some() || stands_before(body, at, line, before)
            })
        })
    }
}

/// Where the line begins that this place is in.
fn line_of(body: &[u8], at: usize) -> usize {
    memchr::memrchr(b'\n', &body[..at]).map_or(0, |end| end + 1)
}

/// How many lines a name or a type may take that holds line feeds.
const LINES: usize = 4;

/// Whether it stands a few lines before, as a name in between holds line feeds: neither does another column's line end there, nor does another clause begin.
fn stands_before(body: &[u8], at: usize, line: usize, before: &[u8]) -> bool {
    let begin = (0..LINES).fold(line, |begin, _| if begin == 0 { 0 } else { line_of(body, begin - 1) });
    let Some(found) = memchr::memmem::rfind(&body[begin..at], before) else { return false };
    let between = &body[begin + found + before.len()..at];
    [",\n", "DEFAULT ", "CHECK (", "AS ("].iter().all(|stop| memchr::memmem::find(between, stop.as_bytes()).is_none())
}

/// What both sides are brought to: empty lines are no part of an entry's body, and names may be quoted all (`quote_all_identifiers`).
fn plain(text: &[u8]) -> Vec<u8> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut plain = lines.collect::<Vec<_>>().join(&b'\n');
    plain.retain(|byte| *byte != b'"');
    plain
}

/// `"Odd name".t` as schema and name. What has no schema lies in pg_catalog.
fn qualified(text: &str) -> Option<(String, String)> {
    let (first, rest) = identifier(text)?;
    match rest.strip_prefix('.') {
        Some(rest) => Some((first, identifier(rest)?.0)),
        None => Some(("pg_catalog".to_owned(), first)),
    }
}

fn unquoted(text: &str) -> String {
    identifier(text).map_or_else(|| text.to_owned(), |(name, _)| name)
}

/// The first identifier of a text, unquoted, and what follows it.
fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(['.', '(']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let (mut name, mut characters) = (String::new(), quoted.char_indices().peekable());
    while let Some((at, character)) = characters.next() {
        if character != '"' {
            name.push(character);
        } else if characters.peek().is_some_and(|(_, next)| *next == '"') {
            name.push('"');
            characters.next();
        } else {
            return Some((name, &quoted[at + 1..]));
        }
    }
    None
}

/// Which of the expressions do not stand in these sections of the script, in words.
pub fn missing(wanted: Vec<Words>, sections: impl IntoIterator<Item = impl Read>) -> std::io::Result<Vec<String>> {
    let mut open: BTreeMap<(String, String), Vec<Words>> = BTreeMap::new();
    for words in wanted {
        open.entry(words.object.clone()).or_default().push(words);
    }
    for section in sections {
        if open.is_empty() {
            break;
        }
        entries(section, |entry, body| {
            let mut body_plain = None;
            for name in names(entry) {
                let key = (entry.schema.clone(), name);
                if let Some(left) = open.get_mut(&key) {
                    let body = body_plain.get_or_insert_with(|| plain(body));
                    left.retain(|words| !words.stand_in(body));
                    if left.is_empty() {
                        open.remove(&key);
                    }
                }
            }
        })?;
    }
    Ok(open.into_values().flatten().map(|words| format!("{}; and the script does not have the snapshot's own words", printable(&words.finding))).collect())
}

/// The names that an entry's tag may stand for: `t`, `t constraint`, `publication t`, `f(integer)`.
fn names(entry: &Entry) -> Vec<String> {
    let tag = entry.name.as_str();
    let mut names = vec![tag.to_owned()];
    for (at, _) in tag.match_indices(' ') {
        names.push(tag[..at].to_owned());
        names.push(tag[at + 1..].to_owned());
    }
    names.extend(tag.match_indices('(').map(|(at, _)| tag[..at].to_owned()));
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (text, schema, name) in [
            ("public.t", "public", "t"),
            ("\"A b\".\"c\"\"d.e\"", "A b", "c\"d.e"),
            ("s.f(integer, public.t)", "s", "f"),
            ("s.\"f(\"(integer)", "s", "f("),
            ("now()", "pg_catalog", "now"),
        ] {
            assert_eq!(qualified(text), Some((schema.to_owned(), name.to_owned())), "{text}");
        }
        assert_eq!(qualified("\"open"), None);
    }

    #[test]
    fn names_with_line_feeds_do_not_end_a_line() {
        let script = "--\n-- Name: t; Type: TABLE; Schema: public; Owner: o\n--\n\nCREATE TABLE public.t (\n    a public.\"of\nfeed\"[] DEFAULT ARRAY['x'::public.\"of\nfeed\"],\n    id integer,\n    b integer DEFAULT 7,\n    CONSTRAINT \"x\nfeed_check\" CHECK (((\"y\nz\")::text = 'q'::text))\n);\n\n";
        let found = |catalogue: &str, keys: &[&str], source: &str| {
            let words = Words::of(catalogue, "", keys, source.as_bytes(), "it".into()).expect("it is known how pg_dump writes it");
            missing(vec![words], [script.as_bytes()]).unwrap().is_empty()
        };
        assert!(found("pg_attrdef", &["public.t", "a"], "ARRAY['x'::public.\"of\nfeed\"]"));
        assert!(found("pg_constraint", &["x\nfeed_check", "public.t"], "((\"y\nz\")::text = 'q'::text)"));
        assert!(found("pg_attrdef", &["public.t", "b"], "7") && !found("pg_attrdef", &["public.t", "id"], "7"), "the next column's");
    }

    const SCRIPT: &str = "--\n-- Name: t; Type: TABLE; Schema: public; Owner: o\n--\n\nCREATE TABLE public.t (\n    id integer DEFAULT 1,\n    \"Other\" integer DEFAULT 2,\n    long text DEFAULT lower('A' || 'B') NOT NULL,\n    twelve integer DEFAULT 12,\n    e text DEFAULT \nCASE\n    WHEN true THEN 1\nEND,\n    CONSTRAINT c CHECK (((a)::text = 'x'::text))\n);\n\n\n--\n-- Name: u; Type: TABLE; Schema: public; Owner: o\n--\n\nCREATE TABLE public.u (\n    id integer DEFAULT 3,\n    CONSTRAINT c CHECK ((b > 0))\n);\n\n--\n-- Name: v; Type: VIEW; Schema: public; Owner: o\n--\n\nCREATE VIEW public.v AS\n SELECT 1 AS one;\n\n--\n-- Name: w; Type: VIEW; Schema: public; Owner: o\n--\n\nCREATE VIEW public.w AS\n SELECT t.a\n   FROM public.t\n  WHERE (t.a > 1);\n\n";

    fn found(catalogue: &str, keys: &[&str], source: &str) -> bool {
        let words = Words::of(catalogue, "", keys, source.as_bytes(), "it".into()).expect("it is known how pg_dump writes it");
        missing(vec![words], [SCRIPT.as_bytes()]).unwrap().is_empty()
    }

    #[test]
    fn words_count_only_where_they_belong() {
        assert!(found("pg_attrdef", &["public.t", "id"], "1"));
        assert!(found("pg_attrdef", &["public.t", "Other"], "2"));
        assert!(found("pg_attrdef", &["public.t", "e"], "\nCASE\n    WHEN true THEN 1\nEND"));
        assert!(!found("pg_attrdef", &["public.t", "id"], "\nCASE\n    WHEN true THEN 1\nEND"));
        assert!(!found("pg_attrdef", &["public.t", "id"], "2"), "another column's");
        assert!(found("pg_attrdef", &["public.t", "long"], "lower('A' || 'B')"));
        assert!(!found("pg_attrdef", &["public.t", "long"], "lower('A'"), "a part of it");
        assert!(
            !found("pg_attrdef", &["public.t", "twelve"], "2")
                && !found("pg_attrdef", &["public.t", "twelve"], "1")
                && found("pg_attrdef", &["public.t", "twelve"], "12")
        );
        assert!(found("pg_rewrite", &["_RETURN", "public.w"], " SELECT t.a\n   FROM public.t\n  WHERE (t.a > 1);"));
        assert!(!found("pg_rewrite", &["_RETURN", "public.w"], " SELECT t.a\n   FROM public.t;"), "its beginning");
        assert!(!found("pg_attrdef", &["public.t", "id"], "3"), "another table's");
        assert!(found("pg_constraint", &["c", "public.t", "-"], "((a)::text = 'x'::text)"));
        assert!(!found("pg_constraint", &["c", "public.u", "-"], "((a)::text = 'x'::text)"));
        assert!(found("pg_rewrite", &["_RETURN", "public.v"], " SELECT 1 AS one;"));
        assert!(!found("pg_rewrite", &["_RETURN", "public.v"], " SELECT 2 AS one;"));
    }
}
