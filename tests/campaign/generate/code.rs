//! Statements that make types and code: enums to domains, functions in every language there is, triggers, rules, policies, operators, casts.
//! It owns their grammar; it leaves relations to `tables`.
//! Invariant: each maker returns one statement, or nothing where the state has nothing to make it of.

use super::maker::{Maker, literal, split};

const LABELS: &[&str] = &["a", "b", "c", "on", "off", "With Space", "it's", "größe", "", "back\\slash", "quo\"te", "line\nfeed"];

impl Maker<'_> {
    /// CREATE TYPE and CREATE DOMAIN.
    pub fn create_type(&mut self) -> Option<String> {
        let name = self.new_name();
        Some(match self.below(12) {
            0..4 => {
                let begin = self.below(LABELS.len() as u64) as usize;
                let count = self.below(5) as usize;
                let labels: Vec<String> = (0..count).map(|index| literal(LABELS[(begin + index) % LABELS.len()])).collect();
                format!("CREATE TYPE {name} AS ENUM ({})", labels.join(", "))
            }
            4 | 5 => {
                let parts: Vec<String> = (0..self.below(4)).map(|_| format!("{} {}", self.name(), self.any_type())).collect();
                format!("CREATE TYPE {name} AS ({})", parts.join(", "))
            }
            6 | 7 => {
                let bound = self.word(&["integer", "text", "timestamp(3) without time zone", "double precision", "inet", "uuid", "date"]);
                let more = match bound {
                    "text" => self.word(&["", ", collation = \"C\"", ", subtype_opclass = text_pattern_ops"]),
                    "double precision" => self.word(&["", ", subtype_diff = float8mi"]),
                    _ => "",
                };
                let multi = if self.major >= 14 && self.often(40) { format!(", multirange_type_name = {}", self.new_name()) } else { String::new() };
                format!("CREATE TYPE {name} AS RANGE (subtype = {}{more}{multi})", bound.split('(').next().unwrap_or(bound))
            }
            _ => {
                let below = self.any_type();
                let default = self.maybe(40, |maker| format!(" DEFAULT {}", maker.value(&below, 1)));
                let mut text = format!("CREATE DOMAIN {name} AS {below}{default}{}", self.maybe(8, |_| " NOT NULL".to_owned()));
                for _ in 0..self.below(3) {
                    let named = self.maybe(50, |maker| format!(" CONSTRAINT {}", maker.name()));
                    text += &format!("{named} CHECK ({})", self.test("VALUE", &below));
                }
                text
            }
        })
    }

    /// ALTER TYPE and ALTER DOMAIN.
    pub fn alter_type(&mut self) -> Option<String> {
        let kind = self.one(&self.state.types)?.clone();
        let name = &kind.name;
        Some(match (kind.kind, self.below(6)) {
            ('e', 0..3) => {
                let place = self.one(&kind.parts).cloned().map(|label| format!(" {} {}", self.word(&["BEFORE", "AFTER"]), literal(&label))).unwrap_or_default();
                format!("ALTER TYPE {name} ADD VALUE {}{}", literal(self.word(LABELS)), if self.often(70) { place } else { String::new() })
            }
            ('e', _) => format!("ALTER TYPE {name} RENAME VALUE {} TO {}", literal(self.one(&kind.parts)?), literal(&format!("label {}", self.below(100)))),
            ('c', 0..3) => format!("ALTER TYPE {name} ADD ATTRIBUTE {} {}{}", self.name(), self.any_type(), self.maybe(60, |_| " CASCADE".to_owned())),
            ('c', _) => {
                let attribute = self.name();
                format!("ALTER TYPE {name} DROP ATTRIBUTE IF EXISTS {attribute} CASCADE")
            }
            ('d', 0) => format!("ALTER DOMAIN {name} SET DEFAULT {}", self.value(kind.parts.first()?, 1)),
            ('d', 1) => self.word(&["ALTER DOMAIN # DROP DEFAULT", "ALTER DOMAIN # SET NOT NULL", "ALTER DOMAIN # DROP NOT NULL"]).replace('#', name),
            ('d', 2 | 3) => format!(
                "ALTER DOMAIN {name} ADD CONSTRAINT {} CHECK ({}){}",
                self.name(),
                self.test("VALUE", kind.parts.first()?),
                self.word(&["", " NOT VALID"])
            ),
            ('d', 4) => {
                let (constraint, on) = self.object(&["domain constraint"]).and_then(|object| split(&object.identity))?;
                format!(
                    "ALTER DOMAIN {on} {}",
                    self.word(&["RENAME CONSTRAINT # TO renamed", "VALIDATE CONSTRAINT #", "DROP CONSTRAINT #"]).replace('#', &constraint)
                )
            }
            _ => format!("ALTER TYPE {name} RENAME TO {}", self.name()),
        })
    }

    /// CREATE FUNCTION, CREATE PROCEDURE, in every language.
    pub fn create_function(&mut self) -> Option<String> {
        let name = self.new_name();
        let plain = ["integer", "text", "boolean", "bigint", "jsonb"];
        let returns = if self.often(80) { self.word(&plain).to_owned() } else { self.any_type() };
        let (argument, kind) = (self.word(&["a", "\"Arg\"", "x"]), if self.often(70) { self.word(&plain).to_owned() } else { self.any_type() });
        let default = self.maybe(30, |maker| format!(" DEFAULT {}", maker.value(&kind, 1)));
        let arguments = if self.often(35) { String::new() } else { format!("{argument} {kind}{default}") };
        let volatile = self.word(&[
            "IMMUTABLE",
            "IMMUTABLE",
            "STABLE",
            "VOLATILE",
            "IMMUTABLE STRICT PARALLEL SAFE",
            "STABLE SECURITY DEFINER",
            "IMMUTABLE LEAKPROOF COST 5",
            "VOLATILE PARALLEL RESTRICTED",
        ]);
        let setting = self.maybe(10, |maker| {
            maker
                .word(&[
                    " SET search_path = pg_catalog, public",
                    " SET search_path TO ''",
                    " SET work_mem = '8MB'",
                    " SET \"DateStyle\" = 'ISO, DMY'",
                    " SET search_path TO \"$user\", pg_temp",
                ])
                .to_owned()
        });
        let value = self.value(&returns, 1);
        let head = format!("CREATE OR REPLACE FUNCTION {name}({arguments}) RETURNS {returns}");
        Some(match self.below(16) {
            0..4 => {
                let body = if self.often(30) {
                    format!("SELECT ({}) FROM {} t LIMIT 1", value, self.relation("rpv")?.name)
                } else {
                    format!("SELECT {value} -- é '' \\ end\n")
                };
                // A function that says it is immutable and reads a table is another matter.
                let volatile = if body.contains(" FROM ") { "STABLE" } else { volatile };
                format!("{head} LANGUAGE sql {volatile}{setting} AS {}", dollar(&body))
            }
            4 | 5 if self.major >= 14 => {
                let query = if self.often(40) { self.query()? } else { String::new() };
                if query.is_empty() {
                    format!(
                        "{head} LANGUAGE sql {volatile} {}",
                        if self.often(50) { format!("RETURN {value}") } else { format!("BEGIN ATOMIC SELECT {value} WHERE 'a'::varchar IN ('a', 'b'); END") }
                    )
                } else {
                    format!("CREATE FUNCTION {name}({arguments}) RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(*) FROM ({query}) q; END")
                }
            }
            6..9 => {
                let body = format!("\nDECLARE\n  v {returns} := {value};\nBEGIN\n  -- a comment; 'quoted'\n  RETURN v;\nEND\n");
                format!("{head} LANGUAGE plpgsql {volatile}{setting} AS {}", dollar(&body))
            }
            9 if !self.languages.is_empty() => {
                let language = self.word(self.languages);
                let body = match language {
                    "plperl" | "plperlu" => "return 1; # \\ $x",
                    "pltcl" | "pltclu" => "return 1",
                    _ => "\nreturn 1\n",
                };
                format!("CREATE FUNCTION {name}(a integer) RETURNS integer LANGUAGE {language} IMMUTABLE AS {}", dollar(body))
            }
            10 => format!("CREATE PROCEDURE {name}({arguments}) LANGUAGE plpgsql AS {}", dollar("BEGIN NULL; END")),
            11 => {
                let row = self.relation("rpv")?.name.clone();
                format!("CREATE FUNCTION {name}(r {row}) RETURNS {} LANGUAGE sql STABLE AS {}", self.word(&["text", "SETOF record"]), dollar("SELECT $1::text"))
            }
            12 => format!(
                "CREATE FUNCTION {name}(IN a integer, OUT b text, INOUT c integer, VARIADIC d text[] DEFAULT '{{}}') LANGUAGE sql AS {}",
                dollar("SELECT 'x'::text, 1")
            ),
            13 => format!(
                "CREATE FUNCTION {name}(a anyelement, b integer DEFAULT 3) RETURNS TABLE (k integer, v text) LANGUAGE sql ROWS 7 AS {}",
                dollar("SELECT 1, 'x'::text")
            ),
            14 => {
                format!("CREATE AGGREGATE {name}({}) ", self.word(&["integer", "bigint"]))
                    + self.word(&[
                        "(SFUNC = int8inc_any, STYPE = bigint)",
                        "(SFUNC = int4larger, STYPE = integer, INITCOND = '0')",
                        "(SFUNC = int4pl, STYPE = integer, INITCOND = '0', PARALLEL = SAFE, COMBINEFUNC = int4pl)",
                    ])
            }
            _ => format!("CREATE FUNCTION {name}() RETURNS {} LANGUAGE internal IMMUTABLE AS 'now'", self.word(&["timestamptz", "timestamp with time zone"])),
        })
    }

    /// A function that reads a table, and what stands on it: a check, an index, a generated column. PostgreSQL takes it, because it says it is immutable.
    pub fn reading(&mut self) -> Option<String> {
        let (name, looked_up, table) = (self.new_name(), self.relation("r")?.name.clone(), self.relation("r")?.name.clone());
        let check = self.name();
        let language = self.word(&["sql", "plpgsql"]);
        let body = if language == "sql" {
            format!("SELECT count(*) > -1 FROM {looked_up}")
        } else {
            format!("BEGIN RETURN (SELECT count(*) > -1 FROM {looked_up}); END")
        };
        let function = format!("CREATE FUNCTION {name}(text) RETURNS boolean LANGUAGE {language} IMMUTABLE AS {}", dollar(&body));
        let column = self.state.relations.iter().find(|relation| relation.name == table)?.columns.first()?.name.clone();
        Some(match self.below(3) {
            0 => format!("{function}; ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({name}({column}::text))"),
            1 => format!("{function}; CREATE INDEX ON {table} ({name}(tableoid::text || 'x')) WHERE {name}('a')"),
            _ => format!("{function}; ALTER TABLE {table} ADD COLUMN {check} boolean GENERATED ALWAYS AS ({name}('x')) STORED"),
        })
    }

    /// A function that a trigger can call.
    pub fn trigger_function(&mut self) -> Option<String> {
        let name = self.new_name();
        Some(if self.often(20) {
            format!("CREATE FUNCTION {name}() RETURNS event_trigger LANGUAGE plpgsql AS {}", dollar("BEGIN PERFORM 1; END"))
        } else {
            format!(
                "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS {}",
                dollar(self.word(&[
                    "BEGIN RETURN NEW; END",
                    "BEGIN\n\tIF TG_OP = 'DELETE' THEN RETURN OLD; END IF;\n\tRETURN NEW;\nEND",
                    "begin return coalesce(new, old); end"
                ]))
            )
        })
    }

    fn function_returning(&mut self, kind: &str) -> Option<String> {
        let found: Vec<String> =
            self.state.objects.iter().filter(|object| object.kind == "function" && object.more == kind).map(|object| object.identity.clone()).collect();
        self.one(&found).cloned()
    }

    /// CREATE TRIGGER and CREATE EVENT TRIGGER.
    pub fn create_trigger(&mut self) -> Option<String> {
        let name = self.name();
        if self.often(8) {
            let function = self.function_returning("event_trigger")?;
            let event = self.word(&["ddl_command_end", "sql_drop", "ddl_command_start WHEN TAG IN ('CREATE TABLE', 'DROP VIEW')", "table_rewrite"]);
            return Some(format!("CREATE EVENT TRIGGER {name} ON {event} EXECUTE FUNCTION {function}"));
        }
        let function = self.function_returning("trigger")?;
        let arguments = self.word(&["", "", "'x'", "'it''s', 2", "E'back\\\\slash'"]);
        let call = format!("EXECUTE FUNCTION {}({arguments})", function.strip_suffix("()")?);
        let table = self.relation("rrrrpvf")?.clone();
        let column = self.one(&table.columns)?.clone();
        let event = match self.below(5) {
            0 => "INSERT".to_owned(),
            1 => "UPDATE".to_owned(),
            2 => format!("UPDATE OF {}", column.name),
            3 => "DELETE".to_owned(),
            _ => "INSERT OR UPDATE OR DELETE".to_owned(),
        };
        let when = if event.starts_with("UPDATE") && self.often(50) {
            let prefix = self.word(&["NEW.", "OLD."]);
            self.word(&["#", "OLD.* IS DISTINCT FROM NEW.*"]).replace('#', &self.condition(&table.columns, prefix))
        } else {
            String::new()
        };
        let when = if when.is_empty() { when } else { format!(" WHEN ({when})") };
        Some(match self.below(8) {
            0 => format!(
                "CREATE CONSTRAINT TRIGGER {name} AFTER {event} ON {} {} FOR EACH ROW{when} {call}",
                table.name,
                self.word(&["", "DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"])
            ),
            1 => format!(
                "CREATE TRIGGER {name} AFTER UPDATE ON {} REFERENCING OLD TABLE AS \"old rows\" NEW TABLE AS newer FOR EACH STATEMENT {call}",
                table.name
            ),
            2 => format!(
                "CREATE TRIGGER {name} {} {} ON {} FOR EACH STATEMENT {call}",
                self.word(&["BEFORE", "AFTER"]),
                self.word(&["TRUNCATE", "INSERT", "INSERT OR DELETE"]),
                table.name
            ),
            _ if table.kind == 'v' => format!("CREATE TRIGGER {name} INSTEAD OF INSERT OR UPDATE ON {} FOR EACH ROW {call}", table.name),
            _ => format!("CREATE TRIGGER {name} {} {event} ON {} FOR EACH ROW{when} {call}", self.word(&["BEFORE", "AFTER", "AFTER"]), table.name),
        })
    }

    /// CREATE RULE.
    pub fn create_rule(&mut self) -> Option<String> {
        let (name, table) = (self.name(), self.relation("rrv")?.clone());
        let condition = self.condition(&table.columns, "old.");
        Some(match self.below(5) {
            0 => format!("CREATE RULE {name} AS ON UPDATE TO {} WHERE {condition} DO ALSO SELECT 1", table.name),
            1 => format!("CREATE RULE {name} AS ON DELETE TO {} DO INSTEAD NOTHING", table.name),
            2 => format!("CREATE RULE {name} AS ON INSERT TO {} DO ALSO NOTIFY \"a channel\"", table.name),
            3 => {
                let (other, column) = self.column("r")?;
                format!("CREATE RULE {name} AS ON DELETE TO {} DO ALSO DELETE FROM {} WHERE {}", table.name, other.name, self.condition(&[column], ""))
            }
            _ => format!("CREATE RULE {name} AS ON UPDATE TO {} WHERE {condition} DO INSTEAD (SELECT 'x'::varchar IN ('x', 'y'); NOTIFY done)", table.name),
        })
    }

    /// CREATE POLICY.
    pub fn create_policy(&mut self) -> Option<String> {
        let (name, table) = (self.name(), self.relation("rrrp")?.clone());
        let (using, check) = (self.condition(&table.columns, ""), self.condition(&table.columns, ""));
        let role = self.role();
        let to = self.word(&["", " TO PUBLIC", " TO CURRENT_USER", " TO #"]).replace('#', &role);
        let restrictive = self.word(&["", "", " AS RESTRICTIVE"]);
        Some(match self.below(6) {
            0 => format!("CREATE POLICY {name} ON {}{restrictive} FOR INSERT{to} WITH CHECK ({check})", table.name),
            1 => format!("CREATE POLICY {name} ON {}{restrictive} FOR {}{to} USING ({using})", table.name, self.word(&["SELECT", "DELETE"])),
            2 => {
                let other = self.relation("rpv")?.name.clone();
                format!("CREATE POLICY {name} ON {}{to} USING (EXISTS (SELECT FROM {other} o WHERE o IS NOT NULL AND {using}))", table.name)
            }
            3 => {
                let (policy, on) = self.object(&["policy"]).and_then(|object| split(&object.identity))?;
                format!("ALTER POLICY {policy} ON {on} {}", self.word(&["RENAME TO renamed", "TO PUBLIC", "USING (true)"]))
            }
            _ => format!("CREATE POLICY {name} ON {}{restrictive}{to} USING ({using}) WITH CHECK ({check})", table.name),
        })
    }

    /// Operators, classes, casts, collations, conversions, transforms.
    pub fn create_odd(&mut self) -> Option<String> {
        let name = self.new_name();
        Some(match self.below(10) {
            0 | 1 => {
                let sign = self.word(&["===", "<+>", "@#@", "~~~~!", "|-|"]);
                let more = self.word(&["", ", COMMUTATOR = OPERATOR(#.@)", ", HASHES, RESTRICT = eqsel, JOIN = eqjoinsel"]);
                let schema = self.schema();
                format!(
                    "CREATE OPERATOR {schema}.{sign} (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq{})",
                    more.replace('#', &schema).replace('@', sign)
                )
            }
            2 => format!(
                "CREATE OPERATOR CLASS {name} FOR TYPE integer USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(integer, integer)"
            ),
            3 => format!("CREATE OPERATOR FAMILY {name} USING {}", self.word(&["btree", "hash", "gist"])),
            4 => {
                let kind = self.one(&self.state.types)?.name.clone();
                format!("CREATE CAST ({kind} AS {}) WITH INOUT{}", self.word(&["text", "integer", "jsonb"]), self.word(&["", " AS ASSIGNMENT"]))
            }
            5 => {
                let function = self
                    .state
                    .objects
                    .iter()
                    .find(|object| object.kind == "function" && object.identity.ends_with("(jsonb)") && object.more == "integer")?
                    .identity
                    .clone();
                format!("CREATE CAST (jsonb AS date) WITH FUNCTION {function}")
            }
            6 | 7 => format!(
                "CREATE COLLATION {name} {}",
                self.word(&[
                    "(locale = 'C')",
                    "FROM \"C\"",
                    "(lc_collate = 'C', lc_ctype = 'POSIX')",
                    "FROM \"POSIX\"",
                    "(provider = builtin, locale = 'C.UTF-8')",
                    "(provider = icu, locale = 'de', deterministic = false)",
                    "(provider = icu, locale = 'en-u-kn-true')"
                ])
            ),
            8 => format!("CREATE {}CONVERSION {name} FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8", self.word(&["", "", "DEFAULT "])),
            _ => format!("CREATE ACCESS METHOD {} TYPE INDEX HANDLER bthandler", self.name()),
        })
    }
}

/// A text between dollars that do not occur in it.
fn dollar(body: &str) -> String {
    let tag = if body.contains("$$") { "$ÿ$" } else { "$$" };
    format!("{tag}{body}{tag}")
}
