//! Statements about objects of every kind: rights, owners, comments, names, drops, settings.
//! It owns how an object is named in each of them; it leaves making objects to its siblings.
//! Invariant: each maker returns one statement, or nothing where the state has nothing to make it of.

use super::maker::{Maker, literal, split};

/// Kinds that have a comment, an owner, a name.
const ALL: &[&str] = &[
    "table",
    "view",
    "materialized view",
    "foreign table",
    "index",
    "sequence",
    "type",
    "composite type",
    "function",
    "procedure",
    "aggregate",
    "table constraint",
    "domain constraint",
    "trigger",
    "rule",
    "policy",
    "statistics object",
    "operator",
    "operator class",
    "operator family",
    "collation",
    "conversion",
    "cast",
    "text search configuration",
    "text search dictionary",
    "foreign-data wrapper",
    "server",
    "event trigger",
    "publication",
    "schema",
    "large object",
    "language",
    "extension",
    "access method",
];

/// Those that are dropped with their name alone.
const DROPPED: &[&str] = &[
    "table",
    "table",
    "view",
    "view",
    "materialized view",
    "foreign table",
    "index",
    "index",
    "sequence",
    "type",
    "function",
    "aggregate",
    "trigger",
    "rule",
    "policy",
    "statistics object",
    "operator",
    "operator class",
    "collation",
    "cast",
    "text search configuration",
    "server",
    "event trigger",
    "publication",
    "schema",
    "foreign-data wrapper",
    "extension",
];

const OWNED: &[&str] = &[
    "table",
    "table",
    "table",
    "view",
    "materialized view",
    "foreign table",
    "sequence",
    "type",
    "composite type",
    "function",
    "function",
    "procedure",
    "aggregate",
    "statistics object",
    "operator",
    "operator class",
    "operator family",
    "collation",
    "conversion",
    "text search configuration",
    "text search dictionary",
    "server",
    "publication",
    "schema",
    "schema",
    "large object",
    "foreign-data wrapper",
];

impl Maker<'_> {
    /// How a statement names an object of this kind.
    fn named(&self, kind: &str, identity: &str) -> Option<String> {
        let domain = self.state.types.iter().any(|own| own.name == identity && own.kind == 'd');
        Some(match kind {
            "table constraint" => format!("CONSTRAINT {identity}"),
            "domain constraint" => {
                let (name, on) = split(identity)?;
                format!("CONSTRAINT {name} ON DOMAIN {on}")
            }
            "statistics object" => format!("STATISTICS {identity}"),
            "composite type" => format!("TYPE {identity}"),
            "type" if domain => format!("DOMAIN {identity}"),
            "foreign-data wrapper" => format!("FOREIGN DATA WRAPPER {identity}"),
            "operator" => format!("OPERATOR {identity}"),
            kind => format!("{} {identity}", kind.to_uppercase()),
        })
    }

    /// COMMENT ON.
    pub fn comment(&mut self) -> Option<String> {
        let words = ["a comment", "it's", "line\nfeed", "größe 😀", "back\\slash", "-- \\restrict", "$$", "", "quo\"te", "; DROP TABLE x;"];
        let text = if self.often(7) { "NULL".to_owned() } else { literal(self.word(&words)) };
        if self.often(25) {
            let (relation, column) = self.column("rpvmf")?;
            return Some(format!("COMMENT ON COLUMN {}.{} IS {text}", relation.name, column.name));
        }
        if self.often(3) {
            return Some(format!("COMMENT ON DATABASE {} IS {text}", self.database));
        }
        let kind = self.word(ALL);
        let object = self.object(&[kind])?;
        Some(format!("COMMENT ON {} IS {text}", self.named(kind, &object.identity)?))
    }

    /// ALTER … OWNER TO.
    pub fn owner(&mut self) -> Option<String> {
        let kind = self.word(OWNED);
        let object = self.object(&[kind])?;
        Some(format!("ALTER {} OWNER TO {}", self.named(kind, &object.identity)?, self.role()))
    }

    /// ALTER … RENAME TO, ALTER … SET SCHEMA.
    pub fn rename(&mut self) -> Option<String> {
        let kind = self.word(&[
            "table",
            "table",
            "view",
            "index",
            "index",
            "sequence",
            "type",
            "function",
            "trigger",
            "rule",
            "policy",
            "statistics object",
            "collation",
            "text search configuration",
            "server",
            "event trigger",
            "publication",
            "schema",
            "operator class",
            "aggregate",
            "foreign table",
            "materialized view",
            "procedure",
            "conversion",
            "text search dictionary",
            "composite type",
        ]);
        let object = self.object(&[kind])?;
        let named = self.named(kind, &object.identity)?;
        let schema = !["trigger", "rule", "policy", "server", "event trigger", "publication", "schema", "index"].contains(&kind) && self.often(35);
        Some(if schema { format!("ALTER {named} SET SCHEMA {}", self.schema()) } else { format!("ALTER {named} RENAME TO {}", self.name()) })
    }

    /// DROP.
    pub fn drop(&mut self) -> Option<String> {
        let kind = self.word(DROPPED);
        let object = self.object(&[kind])?;
        if kind == "schema" && object.identity == "public" && self.often(70) {
            return None;
        }
        Some(format!("DROP {}{}", self.named(kind, &object.identity)?, self.maybe(35, |_| " CASCADE".to_owned())))
    }

    /// GRANT and REVOKE.
    pub fn grant(&mut self) -> Option<String> {
        let role = if self.often(20) { "PUBLIC".to_owned() } else { self.role() };
        let (option, verb) = (if role != "PUBLIC" && self.often(25) { " WITH GRANT OPTION" } else { "" }, self.below(10));
        let maintain = if self.major >= 17 { "MAINTAIN" } else { "TRIGGER" };
        let (rights, on) = match self.below(16) {
            0..5 => (
                self.word(&["SELECT", "ALL", "INSERT, UPDATE", "DELETE, TRUNCATE", "REFERENCES, TRIGGER", maintain]).to_owned(),
                self.relation("rpvmf")?.name.clone(),
            ),
            5..8 => {
                let (table, column) = self.column("rpvmf")?;
                (format!("{} ({})", self.word(&["SELECT", "UPDATE", "INSERT", "REFERENCES", "ALL"]), column.name), table.name)
            }
            8 => (self.word(&["USAGE", "CREATE", "ALL"]).to_owned(), format!("SCHEMA {}", self.schema())),
            9 => (self.word(&["USAGE", "SELECT", "ALL"]).to_owned(), format!("SEQUENCE {}", self.object(&["sequence"])?.identity)),
            10 | 11 => {
                let kind = self.word(&["function", "function", "procedure"]);
                ("EXECUTE".to_owned(), format!("{} {}", kind.to_uppercase(), self.object(&[kind])?.identity))
            }
            12 => ("USAGE".to_owned(), format!("TYPE {}", self.one(&self.state.types)?.name)),
            13 => (self.word(&["SELECT", "UPDATE", "ALL"]).to_owned(), format!("LARGE OBJECT {}", self.object(&["large object"])?.identity)),
            14 => match self.below(3) {
                0 => ("USAGE".to_owned(), format!("FOREIGN DATA WRAPPER {}", self.object(&["foreign-data wrapper"])?.identity)),
                1 => ("USAGE".to_owned(), format!("FOREIGN SERVER {}", self.object(&["server"])?.identity)),
                _ => ("USAGE".to_owned(), format!("LANGUAGE {}", self.word(&["sql", "plpgsql"]))),
            },
            _ => (self.word(&["CONNECT", "CREATE", "TEMPORARY", "ALL"]).to_owned(), format!("DATABASE {}", self.database)),
        };
        Some(match verb {
            0 => format!("REVOKE {rights} ON {on} FROM {role}"),
            1 => format!("REVOKE {rights} ON {on} FROM PUBLIC"),
            2 => format!("REVOKE GRANT OPTION FOR {rights} ON {on} FROM {role} CASCADE"),
            // Somebody hands on what he was given.
            3 => {
                let giver = self.role();
                format!("GRANT {rights} ON {on} TO {giver} WITH GRANT OPTION; SET ROLE {giver}; GRANT {rights} ON {on} TO {role}; RESET ROLE")
            }
            // An owner without his own rights.
            4 => format!("REVOKE {rights} ON {on} FROM CURRENT_USER"),
            _ => format!("GRANT {rights} ON {on} TO {role}{option}"),
        })
    }

    /// ALTER DEFAULT PRIVILEGES.
    pub fn default_rights(&mut self) -> Option<String> {
        let whose = self.maybe(60, |maker| format!(" FOR ROLE {}", maker.role()));
        let within = self.maybe(50, |maker| format!(" IN SCHEMA {}", maker.schema()));
        let kinds = ["TABLES", "SEQUENCES", "FUNCTIONS", "TYPES", "SCHEMAS", if self.major >= 18 { "LARGE OBJECTS" } else { "TABLES" }];
        let kind = self.word(&kinds);
        let rights = match kind {
            "TABLES" => self.word(&["SELECT", "ALL", "INSERT, UPDATE"]),
            "FUNCTIONS" => "EXECUTE",
            "LARGE OBJECTS" => "SELECT",
            _ => self.word(&["USAGE", "ALL"]),
        };
        let role = if self.often(25) { "PUBLIC".to_owned() } else { self.role() };
        Some(if self.often(30) {
            format!("ALTER DEFAULT PRIVILEGES{whose}{within} REVOKE {rights} ON {kind} FROM {role}")
        } else {
            let option = if role != "PUBLIC" && self.often(25) { " WITH GRANT OPTION" } else { "" };
            format!("ALTER DEFAULT PRIVILEGES{whose}{within} GRANT {rights} ON {kind} TO {role}{option}")
        })
    }

    /// Settings of the database, and of a role in it.
    pub fn setting(&mut self) -> Option<String> {
        let setting = self.word(&[
            "search_path = public, pg_catalog",
            "search_path = ''",
            "search_path = \"$user\", \"odd schema\"",
            "\"DateStyle\" = 'SQL, DMY'",
            "\"IntervalStyle\" = 'iso_8601'",
            "\"TimeZone\" = 'Asia/Kathmandu'",
            "bytea_output = 'escape'",
            "extra_float_digits = 0",
            "statement_timeout = '1h'",
            "lock_timeout = '10s'",
            "work_mem = '2MB'",
            "standard_conforming_strings = off",
            "client_encoding = 'UTF8'",
            "check_function_bodies = off",
            "row_security = off",
            "default_transaction_read_only = off",
            "custom.setting = 'it''s'",
            "quote_all_identifiers = on",
            "array_nulls = off",
            "xmloption = 'document'",
            "backslash_quote = on",
            "transform_null_equals = on",
            "default_table_access_method = 'heap'",
            "lc_messages = 'C'",
            "application_name = E'odd \\\\ ''name'''",
            "session_replication_role = 'replica'",
            "default_toast_compression = 'pglz'",
            "vacuum_cost_delay = 1",
            "default_text_search_config = 'pg_catalog.simple'",
            "synchronous_commit = off",
            "enable_seqscan = off",
            "plpgsql.variable_conflict = 'use_column'",
            "temp_buffers = 200",
            "datestyle = 'German'",
            "default_transaction_isolation = 'serializable'",
            "default_transaction_deferrable = on",
            "log_min_messages = error",
            "lc_time = 'C'",
        ]);
        let (database, role) = (self.database, self.role());
        Some(match self.below(6) {
            0 => format!("ALTER ROLE {role} IN DATABASE {database} SET {setting}"),
            1 => format!("ALTER DATABASE {database} RESET ALL"),
            2 => format!("ALTER DATABASE {database} OWNER TO {role}"),
            3 => format!("ALTER DATABASE {database} CONNECTION LIMIT {}", self.word(&["50", "-1"])),
            _ => format!("ALTER DATABASE {database} SET {setting}"),
        })
    }
}
