//! Statements about what stands beside and in tables: indexes, sequences, rows.
//! It owns their grammar; it leaves the tables themselves to `tables`.
//! Invariant: each maker returns one statement, or nothing where the state has nothing to make it of.

use super::maker::{Maker, base, literal};
use super::state::{Column, Relation};

impl Maker<'_> {
    /// CREATE INDEX.
    pub fn create_index(&mut self) -> Option<String> {
        let table = self.relation("rrrpm")?.clone();
        let unique = self.maybe(20, |_| "UNIQUE ".to_owned());
        let method = if unique.is_empty() { self.word(&["btree", "btree", "btree", "btree", "hash", "gin", "gist", "brin", "spgist"]) } else { "btree" };
        let mut parts = Vec::new();
        for _ in 0..1 + self.below(2) {
            let column = self.one(&table.columns)?.clone();
            let mut part = match self.below(4) {
                0 => {
                    let kind = self.word(&["text", "boolean", "integer"]);
                    format!("({})", self.formula(std::slice::from_ref(&column), kind))
                }
                _ => column.name.clone(),
            };
            if method == "btree" {
                if base(&column.kind) == "text" && self.often(15) {
                    part += self.word(&[" text_pattern_ops", " COLLATE \"C\"", " COLLATE \"POSIX\" text_ops"]);
                }
                part += self.word(&["", "", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
            }
            parts.push(part);
            if method == "hash" || method == "spgist" {
                break;
            }
        }
        let include = self.maybe(if method == "btree" { 10 } else { 0 }, |maker| {
            format!(" INCLUDE ({})", maker.one(&table.columns).map(|column| column.name.clone()).unwrap_or_default())
        });
        let nulls = if self.major >= 15 && !unique.is_empty() && self.often(30) { " NULLS NOT DISTINCT" } else { "" };
        let with = if self.often(8) { self.word(&[" WITH (fillfactor=80)", " WITH (fillfactor=100)"]) } else { "" };
        let wheres = self.maybe(25, |maker| format!(" WHERE {}", maker.condition(&table.columns, "")));
        let only = if table.kind == 'p' && self.often(15) { "ONLY " } else { "" };
        let (named, concurrently) = (self.maybe(50, |maker| maker.name()), if table.kind == 'r' && self.often(3) { "CONCURRENTLY " } else { "" });
        Some(format!("CREATE {unique}INDEX {concurrently}{named} ON {only}{} USING {method} ({}){include}{nulls}{with}{wheres}", table.name, parts.join(", ")))
    }

    /// Options of a sequence.
    pub fn sequence_options(&mut self, kind: &str) -> String {
        let one = match kind {
            "smallint" => self.word(&["START WITH 7", "INCREMENT BY -1 MAXVALUE -1", "MINVALUE -32768 START WITH -32768", "CACHE 5 CYCLE"]),
            _ => self.word(&[
                "START WITH 7 INCREMENT BY 3",
                "INCREMENT BY -1",
                "MINVALUE -9 MAXVALUE 9 START WITH 0 CYCLE",
                "CACHE 20",
                "NO CYCLE NO MAXVALUE",
                "MAXVALUE 2147483646 START WITH 2147483646",
                "START WITH 1000",
            ]),
        };
        one.to_owned()
    }

    /// CREATE SEQUENCE, its values, its owner.
    pub fn sequence(&mut self) -> Option<String> {
        if self.often(40) {
            let kind = self.word(&["integer", "bigint", "smallint"]);
            let unlogged = if self.major >= 15 && self.often(8) { " UNLOGGED" } else { "" };
            return Some(format!("CREATE{unlogged} SEQUENCE {} AS {kind} {}", self.new_name(), self.sequence_options(kind)));
        }
        let sequence = self.object(&["sequence"])?.identity;
        Some(match self.below(6) {
            0 => format!("SELECT nextval({})", literal(&sequence)),
            1 => format!("SELECT setval({}, {}, {})", literal(&sequence), 1 + self.below(8), self.word(&["true", "false"])),
            2 => {
                let (table, column) = self.column("r")?;
                format!("ALTER SEQUENCE {sequence} OWNED BY {}.{}", table.name, column.name)
            }
            3 => format!("ALTER SEQUENCE {sequence} OWNED BY NONE"),
            4 => format!("ALTER SEQUENCE {sequence} AS {}", self.word(&["integer", "bigint"])),
            _ => format!("ALTER SEQUENCE {sequence} {}", self.sequence_options("bigint")),
        })
    }

    /// INSERT.
    pub fn insert(&mut self) -> Option<String> {
        let table = self.relation("rrrrpv")?.clone();
        self.insert_into(&table)
    }

    /// INSERT into this table.
    pub fn insert_into(&mut self, table: &Relation) -> Option<String> {
        let mut columns = Vec::new();
        for column in &table.columns {
            if column.generated || (column.identity == "a" && self.often(90)) || self.often(if column.not_null { 2 } else { 12 }) {
                continue;
            }
            columns.push(column.clone());
        }
        if columns.is_empty() {
            return Some(format!("INSERT INTO {} DEFAULT VALUES", table.name));
        }
        let rows: Vec<String> = (0..1 + self.below(3))
            .map(|_| {
                let values: Vec<String> = columns.iter().map(|column| self.cell(column)).collect();
                format!("({})", values.join(", "))
            })
            .collect();
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let overriding = if columns.iter().any(|column| column.identity == "a") { " OVERRIDING SYSTEM VALUE" } else { "" };
        Some(format!("INSERT INTO {} ({}){overriding} VALUES {}", table.name, names.join(", "), rows.join(", ")))
    }

    fn cell(&mut self, column: &Column) -> String {
        match &column.leads_to {
            _ if !column.not_null && self.often(12) => "NULL".to_owned(),
            Some((table, name)) => format!("(SELECT {name} FROM {table} ORDER BY {name}::text LIMIT 1)"),
            None if column.name == "pk" && column.kind == "date" => format!("'2026-0{}-11'", 1 + self.below(7)),
            None if column.name == "pk" && column.kind == "integer" => format!("{}", self.below(80)),
            None if column.name == "pk" => self.word(&["'a'", "'b'", "'on'", "''"]).to_owned(),
            None => self.value(&column.kind, 0),
        }
    }

    /// UPDATE and DELETE.
    pub fn change_rows(&mut self) -> Option<String> {
        let (table, column) = self.column("rrrpv")?;
        Some(match self.below(4) {
            0 => format!("DELETE FROM {} WHERE {}", table.name, self.condition(&[column], "")),
            _ if column.generated => return None,
            _ => format!("UPDATE {} SET {} = {}", table.name, column.name, self.cell(&column)),
        })
    }
}
