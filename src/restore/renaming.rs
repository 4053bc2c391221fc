//! Giving other names to objects in statements of pg_dump's.
//! It owns the tokens of such a statement, and where a name in it means the relation; it leaves to `beside` which names are new. Pure.
//! Invariant: a name is replaced as a whole token that means it, whatever is in it; text within literals stays, but for a relation's own name as `regclass`.

use crate::postgres::quote::{quote_ident, quote_literal, quote_qualified};
use std::collections::{HashMap, HashSet};

/// A schema and a name.
pub type Qualified = (String, String);

/// The new names of old ones.
#[derive(Debug, Default)]
pub struct Names {
    /// Of tables, sequences and indexes.
    pub relations: HashMap<Qualified, Qualified>,
    /// Of extended statistics, which have names of their own.
    pub statistics: HashMap<Qualified, Qualified>,
    /// Of indexes and the constraints that have one, where they stand without their schema.
    pub indexes: HashMap<String, String>,
    /// The table's, where it stands for a whole row.
    pub row: (String, String),
}

/// A token of a statement (manual, 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// A key word or a name without quotes.
    Word(String),
    /// A name in quotes.
    Name(String),
    /// A string.
    Literal(String),
    /// Anything else.
    Other(u8),
}

#[derive(Debug, Clone)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
}

impl Token {
    fn name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(name) | Kind::Name(name) => Some(name),
            _ => None,
        }
    }

    fn is(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn is_sign(&self, sign: u8) -> bool {
        self.kind == Kind::Other(sign)
    }
}

fn tokens(sql: &str) -> Vec<Token> {
    let (bytes, mut at, mut tokens) = (sql.as_bytes(), 0, Vec::new());
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80;
    while at < bytes.len() {
        let start = at;
        let kind = match bytes[at] {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'"' => {
                let (text, end) = quoted(sql, at, '"', false);
                at = end;
                Kind::Name(text)
            }
            b'\'' => {
                let (text, end) = quoted(sql, at, '\'', false);
                at = end;
                Kind::Literal(text)
            }
            b'E' | b'e' if bytes.get(at + 1) == Some(&b'\'') => {
                let (text, end) = quoted(sql, at + 1, '\'', true);
                at = end;
                Kind::Literal(text)
            }
            byte if is_word(byte) => {
                while bytes.get(at).is_some_and(|byte| is_word(*byte)) {
                    at += 1;
                }
                Kind::Word(sql[start..at].to_owned())
            }
            byte => {
                at += 1;
                Kind::Other(byte)
            }
        };
        tokens.push(Token { kind, start, end: at });
    }
    tokens
}

/// What stands in quotes that open at `at`, and where it ends.
fn quoted(sql: &str, at: usize, quote: char, escapes: bool) -> (String, usize) {
    let (mut text, mut characters) = (String::new(), sql[at + 1..].char_indices().peekable());
    while let Some((place, character)) = characters.next() {
        if escapes && character == '\\' {
            text.extend(characters.next().map(|(_, escaped)| escaped));
        } else if character != quote {
            text.push(character);
        } else if characters.next_if(|(_, next)| *next == quote).is_some() {
            text.push(quote);
        } else {
            return (text, at + 1 + place + 1);
        }
    }
    (text, sql.len())
}

/// A name with its schema that begins at this token.
fn qualified(tokens: &[Token]) -> Option<Qualified> {
    match tokens {
        [schema, dot, name, ..] if dot.is_sign(b'.') => Some((schema.name()?.to_owned(), name.name()?.to_owned())),
        _ => None,
    }
}

/// Whether these words stand right before a token.
fn follows(tokens: &[Token], at: usize, words: &[&str]) -> bool {
    at >= words.len() && tokens[at - words.len()..at].iter().zip(words).all(|(token, word)| token.is(word))
}

/// The statement with the new names.
pub fn renamed(sql: &str, names: &Names) -> String {
    let tokens = tokens(sql);
    let (mut text, mut copied, mut at) = (String::with_capacity(sql.len() + 64), 0, 0);
    while at < tokens.len() {
        let rest = &tokens[at..];
        let part_of_a_name = at > 0 && tokens[at - 1].is_sign(b'.');
        let (new, length) = if part_of_a_name {
            (None, 1)
        } else if let Some(old) = qualified(rest) {
            let of_statistics = at > 0 && tokens[at - 1].is("STATISTICS");
            let new = if of_statistics { &names.statistics } else { &names.relations }.get(&old);
            (new.map(|(schema, name)| quote_qualified(schema, name)), 3)
        } else if let [row, dot, star, ..] = rest
            && row.name() == Some(names.row.0.as_str())
            && dot.is_sign(b'.')
            && star.is_sign(b'*')
        {
            (Some(quote_ident(&names.row.1)), 1)
        } else if let Some(name) = rest[0].name() {
            let places: [&[&str]; 5] = [&["CREATE", "INDEX"], &["UNIQUE", "INDEX"], &["USING", "INDEX"], &["CLUSTER", "ON"], &["CONSTRAINT"]];
            let here = places.iter().any(|words| follows(&tokens, at, words));
            (names.indexes.get(name).filter(|_| here).map(|new| quote_ident(new)), 1)
        } else if let Kind::Literal(literal) = &rest[0].kind
            && rest.len() > 3
            && rest[1].is_sign(b':')
            && rest[2].is_sign(b':')
            && rest[3].is("regclass")
        {
            let inner = self::tokens(literal);
            let old = if inner.len() == 3 { qualified(&inner) } else { None };
            let new = old.and_then(|old| names.relations.get(&old));
            (new.map(|(schema, name)| quote_literal(&quote_qualified(schema, name))), 1)
        } else {
            (None, 1)
        };
        if let Some(new) = new {
            text.push_str(&sql[copied..tokens[at].start]);
            text.push_str(&new);
            copied = tokens[at + length - 1].end;
        }
        at += length;
    }
    text.push_str(&sql[copied..]);
    text
}

/// What a statement makes, or is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Makes {
    /// A sequence, also that of an identity column.
    Sequence(Qualified),
    /// Extended statistics.
    Statistics(Qualified),
    /// An index, or a constraint that has one.
    Index(String),
    /// It attaches a table to its parent.
    Attachment,
    /// Anything else.
    Other,
}

/// What a statement makes.
pub fn makes(sql: &str) -> Makes {
    let tokens = tokens(sql);
    let begins = |words: &[&str]| tokens.len() > words.len() && follows(&tokens, words.len(), words);
    let name = |at: usize| tokens.get(at).and_then(Token::name).map(str::to_owned);
    let after = |words: &[&str]| (0..tokens.len()).find(|at| follows(&tokens, *at, words));
    if begins(&["CREATE", "SEQUENCE"]) {
        // UNLOGGED sequences have a word more.
        return qualified(&tokens[2..]).map_or(Makes::Other, Makes::Sequence);
    }
    if begins(&["CREATE", "UNLOGGED", "SEQUENCE"]) {
        return qualified(&tokens[3..]).map_or(Makes::Other, Makes::Sequence);
    }
    if begins(&["CREATE", "STATISTICS"]) {
        return qualified(&tokens[2..]).map_or(Makes::Other, Makes::Statistics);
    }
    let index = if begins(&["CREATE", "INDEX"]) { name(2) } else { name(3).filter(|_| begins(&["CREATE", "UNIQUE", "INDEX"])) };
    if let Some(index) = index {
        return Makes::Index(index);
    }
    if begins(&["ALTER", "TABLE"]) {
        if after(&["ATTACH", "PARTITION"]).is_some() {
            return Makes::Attachment;
        }
        if let Some(sequence) = after(&["SEQUENCE", "NAME"]).and_then(|at| qualified(&tokens[at..])) {
            return Makes::Sequence(sequence);
        }
        let has_index = |at: &usize| tokens.get(at + 1).is_some_and(|token| ["PRIMARY", "UNIQUE", "EXCLUDE"].iter().any(|word| token.is(word)));
        if let Some(constraint) = after(&["ADD", "CONSTRAINT"]).filter(has_index).and_then(name) {
            return Makes::Index(constraint);
        }
    }
    Makes::Other
}

/// The sequence and the arguments of `SELECT pg_catalog.setval('…', N, true)`, the latter as they stand.
pub fn value_of_sequence(sql: &str) -> Option<(Qualified, &str)> {
    let tokens = tokens(sql);
    let call = ["SELECT", "pg_catalog"].iter().zip(&tokens).all(|(word, token)| token.is(word)) && tokens.get(3)?.is("setval") && tokens.get(4)?.is_sign(b'(');
    let Kind::Literal(literal) = &tokens.get(5)?.kind else { return None };
    let (comma, close) = (tokens.get(6)?, tokens.iter().rfind(|token| token.is_sign(b')'))?);
    if !call || !comma.is_sign(b',') || !sql[comma.end..close.start].bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ,-".contains(&byte)) {
        return None;
    }
    Some((qualified(&self::tokens(literal))?, sql[comma.end..close.start].trim()))
}

/// The longest name that the server keeps, in bytes (pg_config_manual.h, NAMEDATALEN).
pub const LONGEST: usize = 63;

/// A name for what belongs to a table that has a new one: the same, with the table's new name in place of the old one or in front. It is not among those that
/// are taken, and is then.
pub fn derived(old: &str, table: &str, new_table: &str, taken: &mut HashSet<String>) -> String {
    let wanted = old.strip_prefix(table).map_or_else(|| format!("{new_table}_{old}"), |rest| format!("{new_table}{rest}"));
    let cut = |length: usize| {
        let end = (0..=length.min(wanted.len())).rev().find(|end| wanted.is_char_boundary(*end)).unwrap_or(0);
        &wanted[..end]
    };
    let mut name = cut(LONGEST).to_owned();
    for number in 1.. {
        if taken.insert(name.clone()) {
            break;
        }
        let suffix = format!("_{number}");
        name = format!("{}{suffix}", cut(LONGEST - suffix.len()));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(schema: &str, name: &str) -> Qualified {
        (schema.to_owned(), name.to_owned())
    }

    fn names() -> Names {
        Names {
            relations: HashMap::from([
                (pair("public", "orders"), pair("public", "new")),
                (pair("public", "odd \"one's"), pair("public", "odd new")),
                (pair("public", "orders_id_seq"), pair("public", "new_id_seq")),
                (pair("public", "orders_pkey"), pair("public", "new_pkey")),
            ]),
            statistics: HashMap::from([(pair("public", "orders"), pair("public", "stats"))]),
            indexes: HashMap::from([("orders_pkey".to_owned(), "new_pkey".to_owned())]),
            row: ("orders".to_owned(), "new".to_owned()),
        }
    }

    #[track_caller]
    fn check(sql: &str, expected: &str) {
        assert_eq!(renamed(sql, &names()), expected);
    }

    #[test]
    fn names_are_replaced_where_they_mean_the_relation() {
        check(
            "CREATE TABLE public.orders (\n    orders text, CONSTRAINT orders CHECK ((orders <> 'public.orders'::text)));",
            "CREATE TABLE \"public\".\"new\" (\n    orders text, CONSTRAINT orders CHECK ((orders <> 'public.orders'::text)));",
        );
        check("CREATE TABLE public.orders_archive (id int);", "CREATE TABLE public.orders_archive (id int);");
        check("ALTER SEQUENCE public.orders_id_seq OWNED BY public.orders.id;", "ALTER SEQUENCE \"public\".\"new_id_seq\" OWNED BY \"public\".\"new\".id;");
        check(
            "ALTER TABLE ONLY public.orders ALTER COLUMN id SET DEFAULT nextval('public.orders_id_seq'::regclass);",
            "ALTER TABLE ONLY \"public\".\"new\" ALTER COLUMN id SET DEFAULT nextval('\"public\".\"new_id_seq\"'::regclass);",
        );
        check("COMMENT ON TABLE public.\"odd \"\"one's\" IS 'of public.orders';", "COMMENT ON TABLE \"public\".\"odd new\" IS 'of public.orders';");
        check(
            "ALTER TABLE ONLY public.orders ADD CONSTRAINT orders_pkey PRIMARY KEY (orders_pkey);",
            "ALTER TABLE ONLY \"public\".\"new\" ADD CONSTRAINT \"new_pkey\" PRIMARY KEY (orders_pkey);",
        );
        check("ALTER TABLE public.orders CLUSTER ON orders_pkey;", "ALTER TABLE \"public\".\"new\" CLUSTER ON \"new_pkey\";");
        check("CREATE STATISTICS public.orders ON a, b FROM public.orders;", "CREATE STATISTICS \"public\".\"stats\" ON a, b FROM \"public\".\"new\";");
        check("CHECK ((orders.* IS NOT NULL) AND x.orders.y)", "CHECK ((\"new\".* IS NOT NULL) AND x.orders.y)");
        check("COMMENT ON INDEX public.orders_pkey IS E'a\\\\'';public.orders';", "COMMENT ON INDEX \"public\".\"new_pkey\" IS E'a\\\\'';public.orders';");
    }

    #[test]
    fn what_statements_make() {
        for (sql, expected) in [
            ("CREATE SEQUENCE public.\"s.x\"\n    AS integer;", Makes::Sequence(pair("public", "s.x"))),
            ("ALTER TABLE a.b ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (\n    SEQUENCE NAME a.b_id_seq\n);", Makes::Sequence(pair("a", "b_id_seq"))),
            ("CREATE UNIQUE INDEX \"I\" ON a.b USING btree (x);", Makes::Index("I".to_owned())),
            ("ALTER TABLE ONLY a.b\n    ADD CONSTRAINT c UNIQUE (x);", Makes::Index("c".to_owned())),
            ("ALTER TABLE a.b ADD CONSTRAINT c CHECK (true) NOT VALID;", Makes::Other),
            ("ALTER TABLE ONLY a.p ATTACH PARTITION a.b DEFAULT;", Makes::Attachment),
            ("CREATE STATISTICS a.s ON x, y FROM a.b;", Makes::Statistics(pair("a", "s"))),
        ] {
            assert_eq!(makes(sql), expected, "{sql}");
        }
        assert_eq!(value_of_sequence("SELECT pg_catalog.setval('public.\"it''s\"', -5, true);"), Some((pair("public", "it's"), "-5, true")));
        assert_eq!(value_of_sequence("SELECT pg_catalog.setval('public.s', f(), true);"), None);
    }

    #[test]
    fn derived_names_are_short_enough_and_unique() {
        let mut taken = HashSet::from(["new_pkey".to_owned()]);
        assert_eq!(derived("orders_pkey", "orders", "new", &mut taken), "new_pkey_1");
        assert_eq!(derived("orders_pkey", "orders", "new", &mut taken), "new_pkey_2");
        assert_eq!(derived("by_customer", "orders", "new", &mut taken), "new_by_customer");
        let long = derived(&"é".repeat(31), "orders", "new", &mut taken);
        assert!(long.len() <= LONGEST && long.starts_with("new_é"), "{long}");
        assert_ne!(derived(&"é".repeat(31), "orders", "new", &mut taken), long);
    }
}
