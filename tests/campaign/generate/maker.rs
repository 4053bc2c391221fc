//! What makes statements: chances, the state of the database, names and values.
//! It owns names and choices; it leaves values to `values` and whole statements to its other siblings.
//! Invariant: what is made follows from the seed and the state; whether the server takes it, the server decides.

use super::state::{Column, Object, Relation, State};
use crate::knob::Random;

/// A maker of statements.
pub struct Maker<'a> {
    /// Its chances.
    pub random: &'a mut Random,
    /// What there is.
    pub state: &'a State,
    /// The server's major.
    pub major: u32,
    /// The database's name, quoted.
    pub database: &'a str,
    /// Roles of the cluster, quoted.
    pub roles: &'a [&'a str],
    /// Languages of the database, beside SQL and PL/pgSQL.
    pub languages: &'a [&'a str],
    /// A number that no other name of this history has.
    pub number: usize,
}

/// Names of every odd sort; `#` is a number or nothing.
const NAMES: &[&str] = &[
    "orders",
    "orders_archive",
    "order_id",
    "item",
    "items",
    "item_",
    "a#",
    "b#",
    "t#",
    "Mixed#",
    "UPPER#",
    "with space#",
    "quo\"te#",
    "'single#",
    "line\nfeed#",
    "tab\there#",
    "größe#",
    "日本#",
    "😀#",
    "back\\slash#",
    "select#",
    "user",
    "table",
    "order",
    "all",
    "$1#",
    "%s#",
    "--#",
    "/*#",
    "a.b#",
    ";drop#",
    "\\.",
    "\\connect#",
    " lead#",
    "trail #",
    "a_name_that_is_as_long_as_a_name_can_be_which_is_sixty_three_by",
    "a_name_that_is_as_long_as_a_name_can_be_which_is_sixty_three_b#",
    "id",
    "name#",
    "Status",
    "x#",
    "y#",
    "z#",
    "{#}",
    "(#)",
    "[#]",
    ":v#",
    ":'v'",
    "$$",
    "$_$#",
    "1st#",
    "é",
    "e\u{301}#",
    "_",
    "public",
    "int4",
    "value",
    "user_id#",
    "id_seq",
    "orders_id_seq",
    "orders_pkey",
    "left",
    "between",
    "check",
    "ON#",
];

/// Types, and how likely each is.
const TYPES: &[&str] = &[
    "integer",
    "integer",
    "integer",
    "integer",
    "bigint",
    "bigint",
    "smallint",
    "numeric",
    "numeric(8,2)",
    "numeric(3,0)",
    "real",
    "double precision",
    "text",
    "text",
    "text",
    "text",
    "character varying",
    "character varying(10)",
    "character varying(255)",
    "character varying(10)",
    "character(3)",
    "character(1)",
    "bytea",
    "boolean",
    "boolean",
    "date",
    "date",
    "time without time zone",
    "time(3) without time zone",
    "time with time zone",
    "timestamp without time zone",
    "timestamp(0) without time zone",
    "timestamp with time zone",
    "timestamp(3) with time zone",
    "interval",
    "interval year to month",
    "interval(2)",
    "uuid",
    "uuid",
    "json",
    "jsonb",
    "jsonb",
    "xml",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "bit(5)",
    "bit varying(9)",
    "bit varying",
    "money",
    "point",
    "box",
    "path",
    "polygon",
    "circle",
    "lseg",
    "line",
    "tsvector",
    "tsquery",
    "int4range",
    "int8range",
    "numrange",
    "tsrange",
    "tstzrange",
    "daterange",
    "name",
    "\"char\"",
    "oid",
    "pg_lsn",
    "jsonpath",
    "regtype",
];

impl Maker<'_> {
    /// One of these.
    pub fn one<'b, T>(&mut self, of: &'b [T]) -> Option<&'b T> {
        of.get(self.random.below(of.len() as u64) as usize)
    }

    /// One of these words.
    pub fn word<'b>(&mut self, of: &[&'b str]) -> &'b str {
        of[self.random.below(of.len() as u64) as usize]
    }

    /// True so often in a hundred.
    pub fn often(&mut self, percent: u64) -> bool {
        self.random.percent(percent)
    }

    /// The first or nothing, so often in a hundred.
    pub fn maybe(&mut self, percent: u64, text: impl FnOnce(&mut Self) -> String) -> String {
        if self.random.percent(percent) { text(self) } else { String::new() }
    }

    /// A number up to and without this one.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.random.below(limit)
    }

    /// A new name, quoted.
    pub fn name(&mut self) -> String {
        self.number += 1;
        let name = match self.below(10) {
            // Most names are plain, so that prefixes and equal names in several schemas are common.
            0..5 => self.word(&["t#", "a#", "b#", "orders#", "orders_#", "item#", "x#", "y#"]),
            _ => self.word(NAMES),
        };
        quote(&name.replace('#', &self.number.to_string()))
    }

    /// The name of a column: often one that other tables have too.
    pub fn column_name(&mut self) -> String {
        if self.often(60) { self.word(&["id", "a", "b", "c", "d", "status", "\"Status\"", "note", "\"order\"", "val"]).to_owned() } else { self.name() }
    }

    /// A schema.
    pub fn schema(&mut self) -> String {
        let schemas = &self.state.schemas;
        if self.often(55) && schemas.iter().any(|name| name == "public") {
            "public".to_owned()
        } else {
            self.one(schemas).cloned().unwrap_or("public".to_owned())
        }
    }

    /// A new name in a schema.
    pub fn new_name(&mut self) -> String {
        format!("{}.{}", self.schema(), self.name())
    }

    /// A role.
    pub fn role(&mut self) -> String {
        self.word(self.roles).to_owned()
    }

    /// A relation of one of these kinds.
    pub fn relation(&mut self, kinds: &str) -> Option<&Relation> {
        let state = self.state;
        let found: Vec<&Relation> = state.relations.iter().filter(|relation| kinds.contains(relation.kind)).collect();
        self.one(&found).copied()
    }

    /// A relation that has columns, and one of them.
    pub fn column(&mut self, kinds: &str) -> Option<(Relation, Column)> {
        let relation = self.relation(kinds)?.clone();
        let column = self.one(&relation.columns)?.clone();
        Some((relation, column))
    }

    /// An object of one of these kinds.
    pub fn object(&mut self, kinds: &[&str]) -> Option<Object> {
        let found: Vec<&Object> = self.state.objects.iter().filter(|object| kinds.contains(&object.kind.as_str())).collect();
        self.one(&found).map(|object| (*object).clone())
    }

    /// A constraint of one of these types: its name and its table.
    pub fn constraint(&mut self, types: &str) -> Option<(String, String)> {
        let found: Vec<&Object> = self.state.objects.iter().filter(|object| object.kind == "table constraint" && types.contains(&object.more)).collect();
        self.one(&found).and_then(|object| split(&object.identity))
    }

    /// A built-in type.
    pub fn plain_type(&mut self) -> String {
        match self.word(TYPES) {
            _ if self.major >= 14 && self.often(2) => "int4multirange".to_owned(),
            // It may name what was dropped meanwhile.
            "regtype" if !self.often(30) => "text".to_owned(),
            kind => kind.to_owned(),
        }
    }

    /// Any type.
    pub fn any_type(&mut self) -> String {
        let own = if self.often(25) { self.one(&self.state.types).map(|kind| kind.name.clone()) } else { None };
        let kind = own.unwrap_or_else(|| self.plain_type());
        if self.often(10) { format!("{kind}[]") } else { kind }
    }
}

/// A type without its modifiers.
pub fn base(kind: &str) -> &str {
    // A quoted name of somebody's own type may have brackets in it.
    if kind.contains('"') && !kind.starts_with("\"char\"") {
        return kind;
    }
    if let Some(rest) = kind.strip_suffix(')') {
        return rest.rsplit_once('(').map_or(kind, |(name, _)| name);
    }
    if kind.starts_with("time") && kind.contains('(') { kind.split('(').next().unwrap_or(kind) } else { kind }
}

/// A name in quotes.
pub fn quote(name: &str) -> String {
    let mut name = name.to_owned();
    while name.len() > 63 {
        name.pop();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A literal.
pub fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

/// `name on table`, as the identities of constraints, triggers, rules and policies are worded, parted at the last ` on ` outside of quotes.
pub fn split(identity: &str) -> Option<(String, String)> {
    let mut quoted = false;
    let mut at = None;
    for (index, byte) in identity.bytes().enumerate() {
        quoted ^= byte == b'"';
        if !quoted && identity[index..].starts_with(" on ") {
            at = Some(index);
        }
    }
    let at = at?;
    Some((identity[..at].to_owned(), identity[at + 4..].to_owned()))
}
