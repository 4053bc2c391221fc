//! Values of every type, and expressions over columns: conditions, formulas, defaults.
//! It owns what they look like; it leaves where they stand to the makers of statements.
//! Invariant: a value is of the type that was asked for, so that the server refuses it only where a constraint does.

use super::maker::{Maker, base, literal};
use super::state::{Column, Object};

impl Maker<'_> {
    /// A value of a type, as an expression.
    pub fn value(&mut self, kind: &str, depth: u32) -> String {
        if let Some(element) = kind.strip_suffix("[]") {
            if depth > 3 || self.often(20) {
                return format!("'{{}}'::{kind}");
            }
            let values: Vec<String> = (0..1 + self.below(3)).map(|_| if self.often(15) { "NULL".to_owned() } else { self.value(element, depth + 1) }).collect();
            return match self.below(8) {
                0 => format!("ARRAY[ARRAY[{0}], ARRAY[{0}]]::{kind}", values.join(", ")),
                _ => format!("ARRAY[{}]::{kind}", values.join(", ")),
            };
        }
        if let Some(own) = self.state.own_type(base(kind)).cloned() {
            return self.own_value(&own.name, own.kind, &own.parts, depth);
        }
        let literal = self.literal(kind);
        if literal == "NULL" { literal } else { format!("{literal}::{kind}") }
    }

    fn own_value(&mut self, name: &str, kind: char, parts: &[String], depth: u32) -> String {
        match kind {
            _ if depth > 4 => "NULL".to_owned(),
            'e' => self.one(parts).map_or("NULL".to_owned(), |label| format!("{}::{name}", literal(label))),
            'c' => {
                let values: Vec<String> = parts.iter().map(|part| self.value(part, depth + 1)).collect();
                format!("ROW({})::{name}", values.join(", "))
            }
            'd' => parts.first().map_or("NULL".to_owned(), |below| format!("({})::{name}", self.value(below, depth + 1))),
            'r' => match parts.first() {
                Some(bound) if self.often(70) => {
                    let (low, brackets) = (self.value(bound, depth + 1), self.word(&["[)", "[]"]));
                    format!("{name}({low}, {}, '{brackets}')", if self.often(50) { "NULL".to_owned() } else { low.clone() })
                }
                _ => format!("'empty'::{name}"),
            },
            _ => "NULL".to_owned(),
        }
    }

    fn literal(&mut self, kind: &str) -> String {
        let (number, small) = (self.below(1_000_000), self.below(20));
        let name = kind.split('(').next().unwrap_or(kind).trim();
        match name {
            "integer" | "bigint" | "oid" => format!("'{small}'"),
            "smallint" => format!("'{}'", self.below(300)),
            "numeric" if kind == "numeric" => {
                self.word(&["'0'", "'1.50'", "'NaN'", "'123456789012345678901234567890.123456789'", "'-0.000001'", "'7'", "'100'"]).to_owned()
            }
            "numeric" => format!("'{small}'"),
            "real" | "double precision" => self.word(&["'0'", "'1.5'", "'-0'", "'NaN'", "'Infinity'", "'1e-30'", "'3.14159274'", "'123456.789'"]).to_owned(),
            "text" | "character varying" if kind == name || kind.contains("255") => {
                let odd = [
                    "",
                    "a",
                    "b",
                    "c",
                    "on",
                    "NULL",
                    "\\N",
                    "\\.",
                    "tab\there",
                    "line\nfeed",
                    "back\\slash",
                    "it's",
                    "größe",
                    "😀",
                    "\r",
                    "x,y",
                    "\"q\"",
                    "  ",
                    "\u{1}\u{7f}",
                ];
                match self.below(4) {
                    0 => format!("'v{number}'"),
                    1 => format!("repeat('{number} ', 300)"),
                    _ => literal(self.word(&odd)),
                }
            }
            "character varying" | "character" | "\"char\"" => format!("'{}'", self.word(&["a", "b", "c", "x", "", "é"])),
            "name" => format!("'n{small}'"),
            "bytea" => self.word(&["'\\x'", "'\\x00ff5c0a'", "'\\xdeadbeef'"]).to_owned(),
            "boolean" => self.word(&["true", "false", "true", "NULL"]).to_owned(),
            "date" => self.word(&["'2026-01-05'", "'2026-02-05'", "'1999-12-31'", "'infinity'", "'0044-03-15 BC'", "'2026-03-29'"]).to_owned(),
            "time" if kind.contains("with time") => self.word(&["'01:02:03.456+02'", "'24:00:00-12'"]).to_owned(),
            "time" | "time without time zone" => self.word(&["'01:02:03.456'", "'24:00:00'", "'00:00'"]).to_owned(),
            "time with time zone" => self.word(&["'01:02:03.456+02'", "'24:00:00-12'"]).to_owned(),
            name if name.starts_with("timestamp") => self
                .word(&[
                    "'2026-01-05 01:02:03.456789'",
                    "'2026-02-05'",
                    "'infinity'",
                    "'-infinity'",
                    "'0001-01-01 BC'",
                    "'2026-03-29 02:30:00'",
                    "'1950-06-01 12:00'",
                ])
                .to_owned(),
            name if name.starts_with("interval") => self.word(&["'1 year 2 mons -3 days 04:05:06.789'", "'-1 day'", "'0'", "'13 months'"]).to_owned(),
            "uuid" => format!("'00000000-0000-4000-8000-{number:012}'"),
            "json" => self.word(&["'{\"b\":1, \"a\" : [1,2]}'", "'null'", "'\"x\\u00e9\"'", "'[]'"]).to_owned(),
            "jsonb" => self.word(&["'{\"b\":1, \"a\" : [1,2]}'", "'null'", "'{}'", "'[1.50, \"\\n\"]'", "'{\"kind\":\"a\"}'"]).to_owned(),
            "xml" => self.word(&["'<a>b</a>'", "'text'", "'<a b=\"c\"/>'"]).to_owned(),
            "inet" => self.word(&["'10.0.0.1'", "'10.1.2.3/24'", "'::1'"]).to_owned(),
            "cidr" => self.word(&["'10.0.0.0/8'", "'2001:db8::/32'"]).to_owned(),
            "macaddr" => "'08:00:2b:01:02:03'".to_owned(),
            "macaddr8" => "'08:00:2b:01:02:03:04:05'".to_owned(),
            "bit" => "B'10101'".to_owned(),
            "bit varying" => self.word(&["B'101'", "B''", "B'000000001'"]).to_owned(),
            "money" => self.word(&["'12.34'", "'-0.01'", "'1234567.89'"]).to_owned(),
            "point" => self.word(&["'(1,2)'", "'(0.1,-3e10)'"]).to_owned(),
            "box" => "'(1,2),(0,0)'".to_owned(),
            "path" => self.word(&["'((0,0),(1,1))'", "'[(0,0),(1,1)]'"]).to_owned(),
            "polygon" => "'((0,0),(1,1),(1,0))'".to_owned(),
            "circle" => "'<(1,2),3>'".to_owned(),
            "lseg" => "'[(0,0),(1,1)]'".to_owned(),
            "line" => "'{1,2,3}'".to_owned(),
            "tsvector" => self.word(&["'a:1 fat:2A cat'", "''", "'''it''''s'':3'"]).to_owned(),
            "tsquery" => self.word(&["'a & !b'", "'fat <2> cat'"]).to_owned(),
            "int4range" | "int8range" | "numrange" => self.word(&["'[1,5)'", "'empty'", "'(,3]'", "'[10,)'"]).to_owned(),
            "tsrange" | "tstzrange" | "daterange" => self.word(&["'[2026-01-01,2026-02-01)'", "'empty'", "'(,)'"]).to_owned(),
            "int4multirange" => self.word(&["'{[1,3),[5,9)}'", "'{}'"]).to_owned(),
            "pg_lsn" => "'16/B374D848'".to_owned(),
            "jsonpath" => self.word(&["'$.a[*] ? (@ > 1)'", "'strict $'"]).to_owned(),
            "regtype" => self.word(&["'integer'", "'text'"]).to_owned(),
            _ => "NULL".to_owned(),
        }
    }

    /// A condition on one or two of these columns; `prefix` stands in front of each of them.
    pub fn condition(&mut self, columns: &[Column], prefix: &str) -> String {
        let Some(column) = self.one(columns).cloned() else { return self.word(&["true", "1 = 1", "'a'::varchar IN ('a', 'b')"]).to_owned() };
        let single = self.test(&format!("{prefix}{}", column.name), &column.kind);
        match self.below(8) {
            0 => format!("NOT ({single})"),
            1 => format!("({single} OR {})", self.condition(columns, prefix)),
            2 => format!("({single}) AND ({prefix}{} IS NOT NULL)", column.name),
            3 => format!("({single}) IS NOT FALSE"),
            4 => format!("CASE WHEN {single} THEN true ELSE {prefix}{} IS NULL END", column.name),
            _ => single,
        }
    }

    /// A condition on a value of a type.
    pub fn test(&mut self, name: &str, kind: &str) -> String {
        let own = self.state.own_type(base(kind)).cloned();
        if kind.ends_with("[]") {
            return self
                .word(&["cardinality(#) >= 0", "# <> '{}'", "array_length(#, 1) IS NULL OR array_length(#, 1) < 100", "array_position(#, NULL) IS NULL"])
                .replace('#', name);
        }
        if let Some(own) = own {
            return match own.kind {
                'e' => {
                    let labels: Vec<String> = own.parts.iter().take(3).map(|label| literal(label)).collect();
                    let list = labels.join(", ");
                    self.word(&["# IN (@)", "(#)::text IN (@)", "# = ANY (ARRAY[@]::~[])", "# IS NOT NULL", "# >= (ARRAY[@]::~[])[1]"])
                        .replace('#', name)
                        .replace('@', &list)
                        .replace('~', &own.name)
                }
                'd' => own.parts.first().map_or(format!("{name} IS NOT NULL"), |below| self.test(&format!("({name})::{below}"), below)),
                _ => format!("{name} IS NOT NULL"),
            };
        }
        let choices: &[&str] = match base(kind).split(' ').next().unwrap_or_default() {
            "integer" | "bigint" | "smallint" | "numeric" | "real" | "double" => &[
                "# > 0",
                "# BETWEEN -100 AND 1000000",
                "# IN (1, 2, 3)",
                "(#)::text IN ('1', '2')",
                "(# + 1) * 2 > -3",
                "# <> ALL (ARRAY[-1, -2])",
                "# >= '0'",
                "abs(#) < 1e30",
                "# % 2 = 0",
                "-# < 5",
                "# IS DISTINCT FROM 4711",
            ],
            "text" | "character" | "name" => &[
                "# IN ('a', 'b')",
                "# IN ('a', 'b', 'c', 'on', '')",
                "(#)::text = ANY (ARRAY['x'::varchar, 'y'::varchar]::text[])",
                "length(#) < 4000",
                "# ~ '^[a-z]*$'",
                "# <> ''",
                "# NOT LIKE 'zz%'",
                "(#)::varchar IN ('a', 'b')",
                "lower(#) = 'a'",
                "# COLLATE \"C\" < 'zz'",
                "# IN ('a')",
                "(#)::varchar(5) <> 'q'",
                "# SIMILAR TO '%'",
                "position('\\' in #) = 0",
                "# !~~ E'\\\\%'",
                "trim(#) = #",
                "substring(# from 1 for 2) IS NOT NULL",
                "overlay(# placing 'x' from 1) <> 'y'",
                "#::\"char\" <> 'q'",
                "# BETWEEN 'a' AND 'zz'",
                "coalesce(#, 'a', 'b') = #",
                "nullif(#, '') IS NOT NULL",
            ],
            "date" | "timestamp" | "timestamptz" => &[
                "# > '1900-01-01'",
                "extract(year from #) > 1900",
                "# BETWEEN '1000-01-01' AND '3000-01-01'",
                "date_part('dow', #) IN (1, 2)",
                "isfinite(#)",
                "(#)::date IN ('2026-01-05', '2026-02-05')",
            ],
            "boolean" => &["#", "NOT #", "# IS NOT FALSE", "# = true", "# IN (true)", "# IS NOT UNKNOWN"],
            "jsonb" => &[
                "jsonb_typeof(#) = 'object'",
                "# ? 'a'",
                "NOT # @> '{\"z\":1}'",
                "# -> 'a' IS NOT NULL",
                "(# ->> 'kind') IN ('a', 'b')",
                "# #>> '{a,0}' <> 'q'",
                "# @? '$.a'",
            ],
            "interval" => &["# < '100 years'", "# >= interval '0'", "extract(epoch from #) > -1e12"],
            "uuid" => &["# <> '00000000-0000-0000-0000-000000000000'", "(#)::text LIKE '0%'"],
            "inet" | "cidr" => &["family(#) IN (4, 6)", "# << '0.0.0.0/0' OR # IS NOT NULL"],
            "int4range" | "int8range" | "numrange" | "tsrange" | "tstzrange" | "daterange" => {
                &["NOT isempty(#)", "lower_inc(#) OR # IS NOT NULL", "upper(#) IS NULL OR true"]
            }
            "bytea" => &["octet_length(#) < 100", "# <> '\\xff'"],
            "money" => &["# > '-100'::money"],
            _ => &["# IS NOT NULL", "num_nulls(#) < 2", "pg_typeof(#) IS NOT NULL"],
        };
        self.word(choices).replace('#', name)
    }

    /// An immutable expression on one of these columns, mostly of this type.
    pub fn formula(&mut self, columns: &[Column], kind: &str) -> String {
        let Some(column) = self.one(columns).cloned() else { return self.value(kind, 0) };
        let (name, numeric) = (column.name.as_str(), ["integer", "bigint", "smallint", "numeric"]);
        let from = base(&column.kind).to_owned();
        match base(kind) {
            "text" | "character varying" if ["text", "character varying"].contains(&from.as_str()) => self
                .word(&[
                    "upper(#)",
                    "# || 'x'",
                    "coalesce(#, 'none')",
                    "CASE WHEN # IN ('a', 'b') THEN 'ab' ELSE # END",
                    "substring(# from 2)",
                    "md5(#)",
                    "replace(#, E'\\n', '\\')",
                    "left(#, 3)",
                ])
                .replace('#', name),
            "text" | "character varying" if numeric.contains(&from.as_str()) => {
                self.word(&["(#)::text", "lpad((#)::text, 5, '0')", "CASE # WHEN 1 THEN 'one' ELSE 'many' END"]).replace('#', name)
            }
            "integer" | "bigint" | "numeric" if numeric.contains(&from.as_str()) => {
                self.word(&["# * 2", "# + 1", "abs(#)", "coalesce(#, 0)", "CASE WHEN # IN (1, 2) THEN 1 ELSE 2 END", "greatest(#, 3)"]).replace('#', name)
            }
            "integer" | "bigint" if from == "text" => self.word(&["length(#)", "octet_length(#)", "ascii(#)"]).replace('#', name),
            "boolean" => self.condition(columns, ""),
            _ => format!("CASE WHEN {} THEN {} ELSE {} END", self.condition(columns, ""), self.value(kind, 0), self.value(kind, 0)),
        }
    }

    /// A default for a column of this type.
    pub fn default(&mut self, kind: &str) -> String {
        let found = match (base(kind), self.below(10)) {
            ("integer" | "bigint", 0..2) => self.object(&["sequence"]).map(|sequence| format!("nextval({}::regclass)", literal(&sequence.identity))),
            ("date" | "timestamp without time zone" | "timestamp with time zone", 0..4) => {
                Some(self.word(&["now()", "CURRENT_TIMESTAMP", "CURRENT_DATE", "(now() at time zone 'UTC')", "LOCALTIMESTAMP(0)"]).to_owned())
            }
            ("text" | "character varying" | "name", 0..2) => Some(
                self.word(&[
                    "CURRENT_USER",
                    "current_database()",
                    "md5('a'::text)",
                    "'a' || 'b'",
                    "E'it''s \\\\ a\\nline'",
                    "('x'::varchar)::text",
                    "CASE WHEN 'x'::varchar IN ('x', 'y') THEN 'z' ELSE 'w' END",
                ])
                .to_owned(),
            ),
            ("uuid", 0..6) => Some("gen_random_uuid()".to_owned()),
            ("jsonb", 0..3) => Some("jsonb_build_object('a', 1)".to_owned()),
            (_, 9) => Some("NULL".to_owned()),
            (_, 8) => {
                let wanted = kind.to_owned();
                let found: Vec<&Object> =
                    self.state.objects.iter().filter(|object| object.kind == "function" && object.more == wanted && object.identity.ends_with("()")).collect();
                self.one(&found).map(|object| object.identity.clone())
            }
            _ => None,
        };
        found.unwrap_or_else(|| self.value(kind, 0))
    }
}
