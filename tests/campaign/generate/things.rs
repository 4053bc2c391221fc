//! Statements about objects of a sort of their own: large objects, extended statistics, publications, foreign data, text search, extensions.
//! It owns their grammar; it leaves their rights, owners and comments to `rights`.
//! Invariant: each maker returns one statement, or nothing where the state has nothing to make it of.

use super::maker::{Maker, base, literal, quote};

impl Maker<'_> {
    /// Large objects.
    pub fn large_object(&mut self) -> Option<String> {
        if self.often(60) {
            let oid = 20_000_000 + self.below(1000);
            return Some(format!("SELECT lo_from_bytea({oid}, {})", self.word(&["''", "'\\x00ff'", "decode(repeat('c0ffee00', 3000), 'hex')", "'text'"])));
        }
        let object = self.object(&["large object"])?.identity;
        Some(match self.below(3) {
            0 => format!("SELECT lo_put({object}, 5, 'more')"),
            1 => format!("SELECT lo_unlink({object})"),
            _ => format!("ALTER LARGE OBJECT {object} OWNER TO {}", self.role()),
        })
    }

    /// CREATE STATISTICS, CREATE PUBLICATION, and what can be altered of them.
    pub fn statistics_or_publication(&mut self) -> Option<String> {
        let (name, table) = (self.new_name(), self.relation("rrrpm")?.clone());
        let (a, b) = (self.one(&table.columns)?.clone(), self.one(&table.columns)?.clone());
        let publication = self.name();
        Some(match self.below(12) {
            0..3 => {
                let kinds = self.word(&["", " (ndistinct)", " (dependencies, mcv)", " (ndistinct, dependencies, mcv)"]);
                format!("CREATE STATISTICS {name}{kinds} ON {}, {} FROM {}", a.name, b.name, table.name)
            }
            3 if self.major >= 14 => {
                let kind = self.word(&["text", "boolean"]);
                format!("CREATE STATISTICS {name} ON ({}), {} FROM {}", self.formula(&[a], kind), b.name, table.name)
            }
            4 => format!("ALTER STATISTICS {} SET STATISTICS 77", self.object(&["statistics object"])?.identity),
            5 | 6 => format!(
                "CREATE PUBLICATION {publication} FOR TABLE {}{}",
                table.name,
                self.word(&["", " WITH (publish = 'insert, update')", " WITH (publish = '')", " WITH (publish_via_partition_root = true)"])
            ),
            7 if self.major >= 15 => format!("CREATE PUBLICATION {publication} FOR TABLE {} ({}) WHERE ({})", table.name, a.name, self.condition(&[b], "")),
            8 if self.major >= 15 => format!("CREATE PUBLICATION {publication} FOR TABLES IN SCHEMA {}", self.schema()),
            9 => format!("CREATE PUBLICATION {publication} FOR ALL TABLES"),
            10 => format!("ALTER PUBLICATION {} {} TABLE {}", self.object(&["publication"])?.identity, self.word(&["ADD", "ADD", "DROP", "SET"]), table.name),
            _ => format!("ALTER PUBLICATION {} SET (publish = {})", self.object(&["publication"])?.identity, self.word(&["'insert'", "'delete, truncate'"])),
        })
    }

    /// Foreign data, without any connection.
    pub fn foreign(&mut self) -> Option<String> {
        let name = self.name();
        let options = self.word(&["", " OPTIONS (host 'nowhere', \"odd option\" 'it''s')", " OPTIONS (a E'back\\\\slash')"]);
        let (wrapper, server) = (self.object(&["foreign-data wrapper"]), self.object(&["server"]));
        Some(match (wrapper, server, self.below(8)) {
            (None, ..) | (_, _, 0) => format!("CREATE FOREIGN DATA WRAPPER {name}{options}"),
            (Some(wrapper), None, _) | (Some(wrapper), _, 1) => format!(
                "CREATE SERVER {name} {}{} FOREIGN DATA WRAPPER {}{options}",
                self.word(&["", "TYPE 'odd type'"]),
                self.word(&["", " VERSION '1.0''x'"]),
                wrapper.identity
            ),
            (_, Some(server), 2) => {
                let role = self.role();
                format!(
                    "CREATE USER MAPPING FOR {} SERVER {}{}",
                    self.word(&["PUBLIC", "CURRENT_USER", "#"]).replace('#', &role),
                    server.identity,
                    self.word(&["", " OPTIONS (\"user\" 'u', secret 's')"])
                )
            }
            (_, Some(server), 3) => format!("ALTER SERVER {} OPTIONS (ADD {name} 'x')", server.identity),
            (_, Some(server), _) => {
                let columns: Vec<String> =
                    (0..1 + self.below(3)).map(|_| (self.name(), self.any_type())).map(|(name, kind)| format!("{name} {kind}")).collect();
                let inherits = if self.often(20) { format!(" INHERITS ({})", self.relation("r")?.name) } else { String::new() };
                format!("CREATE FOREIGN TABLE {} ({}){inherits} SERVER {}{options}", self.new_name(), columns.join(", "), server.identity)
            }
        })
    }

    /// Text search objects.
    pub fn text_search(&mut self) -> Option<String> {
        let name = self.new_name();
        Some(match self.below(7) {
            0 => format!("CREATE TEXT SEARCH DICTIONARY {name} (TEMPLATE = pg_catalog.simple, Accept = false)"),
            1 => format!("CREATE TEXT SEARCH DICTIONARY {name} (TEMPLATE = pg_catalog.snowball, Language = english, StopWords = english)"),
            2 => format!("CREATE TEXT SEARCH CONFIGURATION {name} (PARSER = pg_catalog.\"default\")"),
            3 => format!("CREATE TEXT SEARCH CONFIGURATION {name} (COPY = pg_catalog.{})", self.word(&["english", "simple", "dutch"])),
            4 => format!("CREATE TEXT SEARCH TEMPLATE {name} (INIT = dsimple_init, LEXIZE = dsimple_lexize)"),
            5 => format!(
                "CREATE TEXT SEARCH PARSER {name} (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline)"
            ),
            _ => {
                let (configuration, dictionary) = (self.object(&["text search configuration"])?, self.object(&["text search dictionary"]));
                let dictionary = dictionary.map_or("pg_catalog.simple".to_owned(), |object| object.identity);
                format!(
                    "ALTER TEXT SEARCH CONFIGURATION {} {} MAPPING FOR {} WITH {dictionary}",
                    configuration.identity,
                    self.word(&["ADD", "ALTER"]),
                    self.word(&["asciiword", "word, numword", "email, url"])
                )
            }
        })
    }

    /// Schemas and extensions.
    pub fn create_schema(&mut self) -> Option<String> {
        if self.often(12) {
            let extension = self.word(&[
                "hstore",
                "citext",
                "pg_trgm",
                "btree_gist",
                "ltree",
                "intarray",
                "cube",
                "\"uuid-ossp\"",
                "unaccent",
                "fuzzystrmatch",
                "seg",
                "isn",
                "lo",
                "tablefunc",
                "bloom",
                "btree_gin",
                "pgcrypto",
                "dict_int",
            ]);
            return Some(format!("CREATE EXTENSION {extension}{}", self.maybe(60, |maker| format!(" SCHEMA {}", maker.schema()))));
        }
        let (name, owner) = (if self.often(10) { quote("odd schema") } else { self.name() }, self.role());
        Some(format!("CREATE SCHEMA {name}{}", self.maybe(35, |_| format!(" AUTHORIZATION {owner}"))))
    }

    /// Indexes that are there.
    pub fn alter_index(&mut self) -> Option<String> {
        let index = self.object(&["index"])?.identity;
        Some(match self.below(8) {
            0 => format!("ALTER INDEX {index} SET (fillfactor = 55)"),
            1 => format!("ALTER INDEX {index} ALTER COLUMN 1 SET STATISTICS 33"),
            2 => {
                let parent = self.object(&["index"])?.identity;
                format!("ALTER INDEX {parent} ATTACH PARTITION {index}")
            }
            3 if self.often(25) => format!(
                "UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = {}::regclass AND NOT indisprimary AND NOT indisunique AND indexrelid NOT IN (SELECT inhrelid FROM pg_catalog.pg_inherits)",
                literal(&index)
            ),
            4 => format!("REINDEX INDEX {index}"),
            5 => format!("ALTER INDEX {index} RESET (fillfactor)"),
            _ => {
                let (table, column) = self.column("rp")?;
                let kind = base(&column.kind).to_owned();
                if kind == "text" {
                    format!("CREATE INDEX ON {} (lower({}), {1}) WHERE {1} IN ('a', 'b')", table.name, column.name)
                } else {
                    format!("CREATE INDEX ON {} ({})", table.name, column.name)
                }
            }
        })
    }
}
