//! What a backup holds, as data: in whole here (`contents.json`, and `manifest.json` of format 1), in short in `manifest/summary.rs`.
//! It owns the formats and their versions; it leaves reading and writing files to `repository`.
//! Invariant: a manifest of a newer format is refused by name, never half understood. `docs/FORMAT.md` is the specification.

mod changes;
mod checks;
mod proof;
mod reading;
mod summary;

pub use changes::{Changes, Loss};
pub use proof::{BY_DRILL, BY_VERIFY, DrillFacts, PROOF_FORMAT, Proof, Rung, Sandbox, Verdict};
pub use reading::{TableInShort, each_part, each_table};
pub use summary::{Condensed, Dumped, Served, Summary, Text, Totals};

use checks::{TOO_MANY_ROWS, consistent_files, consistent_script};
use reading::located;
pub(crate) use reading::render;

use crate::exception::Exception;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The format that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 2;

/// The first format: all in one file, `manifest.json`. It is read for ever.
pub const FIRST_FORMAT: u32 = 1;

/// The file of a backup that has what a listing does not need, since format 2.
pub const CONTENTS: &str = "contents.json";

/// The file of a backup that says where each unit lies.
pub const UNITS: &str = "units.jsonl";

/// What a backup holds, in whole. Written once, before the backup is published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format.
    pub format: u32,
    /// The version of Kluis that wrote it.
    pub kluis: String,
    /// The backup's name: the run's start in UTC.
    pub id: String,
    /// The target's name.
    pub target: String,
    /// When the run began.
    pub started: Timestamp,
    /// When the snapshot was taken: the backup holds the database as it was then.
    pub snapshot: Timestamp,
    /// When the last byte was written.
    pub finished: Timestamp,
    /// The server that was dumped.
    pub server: Server,
    /// Where the snapshot lies in the life of its cluster. Absent in backups of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The database that was dumped.
    pub database: Database,
    /// The script.
    pub script: Script,
    /// Every table whose rows the backup holds.
    pub tables: Vec<Table>,
    /// The partitioned tables: they hold no rows, their partitions do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitioned: Vec<Partitioned>,
    /// What is no part of the tables' rows as they are restored, and is compared by a drill all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub witnessed: Vec<Witnessed>,
    /// The large objects.
    pub large_objects: LargeObjects,
    /// Every file of the backup but `manifest.json`, with size and hash. In `contents.json`, which is one of them, they are missing: `manifest.json` has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
    /// What the operator should know about this backup.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Whether the operator had said that a database without a row is as it should be (`BACKUP_ALLOW_EMPTY`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_allowed: bool,
    /// What the source had, and no dump by this role holds: known when the snapshot was taken, and no fault of the backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_included: Vec<Exception>,
    /// How amounts of money are written. Absent in backups of before: then all of them are written as `database.lc_monetary` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<Money>,
    /// The places in `tables` of those whose rows come in turn: after all others', one table after the other, in this order, which is the archive's. Their
    /// rows cannot be loaded without functions that are not built in, and these may read other tables. None: nobody looked, in backups of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_turn: Option<Vec<u32>>,
    /// Indexes and constraints that call functions which are not built in, as pairs of catalogue and OID, as they stand in the archive's table of contents:
    /// they are built when all rows are there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calling: Vec<(u32, u32)>,
}

/// How amounts of the type `money` are written in a backup: under which `lc_monetary`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// In units: always `C`, which every machine has.
    pub units: String,
    /// In what pg_dump wrote: `C` as well, or the session's own setting where the connection takes no options.
    pub archive: String,
    /// Whether pg_dump wrote any: as rows that it moved, or as constants of the schema.
    pub in_archive: bool,
}

/// Where a snapshot lies in the life of its cluster. What is null the server did not tell, or not to this role: it is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The cluster's own identifier, in decimal digits: the same for all copies of a cluster, and for nothing else.
    pub system_identifier: Option<String>,
    /// The timeline of its log.
    pub timeline: Option<u32>,
    /// How far the log was, as PostgreSQL writes it (`16/B374D848`), read right after the snapshot was taken: whatever the snapshot sees lies before it. What
    /// lies before it and is not seen, `transactions` tells. On a standby what was replayed.
    pub wal: Option<String>,
    /// Which transactions the snapshot sees (`pg_current_snapshot()`, `xmin:xmax:in_progress`). A standby's never lists those in progress.
    pub transactions: Option<String>,
    /// What this machine's clock showed when the server's showed `snapshot`.
    pub machine: Timestamp,
    /// The cluster's locale and encoding.
    pub locale: Locale,
    /// The server's own settings by which values are computed (`DateStyle`, `TimeZone`, …): those that no setting of the database or the role hides. Empty in
    /// backups of before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub computing: BTreeMap<String, String>,
}

/// The locale of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locale {
    /// The encoding of `template0`.
    pub encoding: Option<String>,
    /// `lc_collate` of `template0`.
    pub collate: Option<String>,
    /// `lc_ctype` of `template0`.
    pub ctype: Option<String>,
    /// `lc_messages` of the server; null, as the others, where a setting of the database or the role hides it.
    pub messages: Option<String>,
    /// `lc_monetary` of the server.
    pub monetary: Option<String>,
    /// `lc_numeric` of the server.
    pub numeric: Option<String>,
    /// `lc_time` of the server.
    pub time: Option<String>,
}

/// The server that was dumped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// `server_version`, as the server says it.
    pub version: String,
    /// The major version.
    pub major: u32,
    /// The version of pg_dump that was used.
    pub pg_dump: String,
    /// Whether it was a hot standby.
    pub standby: bool,
    /// The name of the bootstrap superuser, who owns the system's own objects.
    #[serde(default)]
    pub superuser: String,
    /// Whether sessions wrote bytea in the old way (`bytea_output = escape`): then constants of bytea in the schema are written so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub escapes_bytea: bool,
    /// Whether the role's password hashes are in the globals.
    pub role_passwords: bool,
    /// `shared_preload_libraries`, in order, by name alone. None: the role may not read it, or nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preload: Option<Vec<String>>,
    /// The libraries that sessions in the database load at their start, by settings of the server, the database and roles, as far as the role may read them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub session_preload: Vec<String>,
    /// The server's roles, for a drill to compare with what `globals.sql.gz` makes. Empty where they could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// Whether roles came and went all the time: then only those that stayed as they were are listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub roles_moved: bool,
}

/// A role of the server, or with an empty name what all roles have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its attributes, in words of SQL. Its password is not among them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub attributes: String,
    /// Of which roles it is a member, each with the options of that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub member_of: Vec<String>,
    /// Its settings: the name, and a digest of the value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
}

/// The database that was dumped, with what lies outside of a dump but is needed for a restore.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: String,
    /// `pg_database_size`, in bytes.
    pub bytes: u64,
    /// The server-side encoding, for instance `UTF8`.
    pub encoding: String,
    /// LC_COLLATE.
    pub collate: String,
    /// LC_CTYPE.
    pub ctype: String,
    /// The locale provider: `libc`, `icu` or `builtin`.
    pub locale_provider: String,
    /// The locale of the ICU or builtin provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// ICU's tailoring rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icu_rules: Option<String>,
    /// `lc_monetary`: how money is written in the rows.
    #[serde(default)]
    pub lc_monetary: String,
    /// The version of the database's default collation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation_version: Option<String>,
    /// The extensions in it.
    pub extensions: Vec<Extension>,
    /// The roles that own something in it or were granted something.
    pub roles: Vec<String>,
    /// The tablespaces, other than the standard ones, that something in it lies in.
    pub tablespaces: Vec<String>,
    /// The tablespace of the database itself, unless it is the standard one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablespace: Option<String>,
    /// The providers of the security labels on what is in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub label_providers: Vec<String>,
    /// Its own rights, settings and comment, which are in no dump of what it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Property>,
}

/// Something that belongs to the database itself: a statement, whole but for the database's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Property {
    /// The statement up to the name.
    pub before: String,
    /// What follows the name.
    pub after: String,
    /// Whether it is a setting, which new sessions obey: carried out after everything else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub setting: bool,
}

impl Property {
    /// The statement for a database, whose name is quoted already.
    pub fn statement(&self, database: &str) -> String {
        format!("{}{database}{}", self.before, self.after)
    }

    /// Whether it is a setting by which an expression says one thing or another, and which cannot get into a restore's way. `pg_restore --create` gives it
    /// before anything is computed: CHECKs, generated columns, materialized views. A setting whose name has a dot is the database's own, where it is none of an extension.
    pub fn computes(&self, extensions: &[Extension]) -> bool {
        const NAMES: [&str; 9] =
            ["datestyle", "intervalstyle", "timezone", "timezone_abbreviations", "extra_float_digits", "bytea_output", "xmlbinary", "lc_time", "lc_numeric"];
        let Some((name, value)) = self.after.strip_prefix(" SET ").and_then(|rest| rest.split_once(" TO ")).filter(|_| self.setting) else { return false };
        let name = name.trim_matches('"').to_lowercase();
        let of_extension = |prefix: &str| prefix == "plpgsql" || extensions.iter().any(|extension| extension.name == prefix);
        match name.split_once('.') {
            Some((prefix, _)) => !of_extension(prefix),
            // Another one may not be there yet.
            None if name == "default_text_search_config" => value.starts_with("'pg_catalog."),
            None => NAMES.contains(&name.as_str()),
        }
    }

    /// Whether it gives or takes a right.
    pub fn is_right(&self) -> bool {
        ["GRANT ", "REVOKE ", "SET SESSION AUTHORIZATION "].iter().any(|words| self.before.starts_with(words))
    }

    /// What it is about, without the value of a setting, a comment or a label.
    pub fn label(&self) -> String {
        let (before, after) = (self.before.trim_end(), self.after.as_str());
        if before.starts_with("COMMENT ") || before.starts_with("SECURITY LABEL ") {
            return before.to_owned();
        }
        if self.setting {
            // In front of it may stand what gives our own session the value, and that value.
            let before = if before.starts_with("SELECT ") { before.rsplit_once("; ").map_or("", |(_, statement)| statement) } else { before };
            return format!("{before}{}", after.split(" TO ").next().unwrap_or_default().trim_end_matches(" FROM CURRENT"));
        }
        format!("{before}{after}")
    }
}

/// An installed extension.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Its installed version.
    pub version: String,
    /// The schema that it is in; empty where nobody asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub schema: String,
}

impl Extension {
    /// The schema that it is in. Manifests of before do not tell, and nearly everybody has it there.
    pub fn schema(&self) -> &str {
        if self.schema.is_empty() { "public" } else { &self.schema }
    }
}

/// The script, and where its sections lie.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// Its file name.
    pub file: String,
    /// Its size uncompressed, in bytes.
    pub plain_bytes: u64,
    /// Its sections, in order, without gaps.
    pub sections: Vec<Section>,
}

impl Script {
    /// The section of that name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }
}

/// One section of the script: a run of whole gzip members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// `pre-data`, `units`, `large-objects`, `data`, `post-data` or `end`.
    pub name: String,
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// Its compressed length, in bytes.
    pub bytes: u64,
    /// Its length uncompressed, in bytes.
    pub plain_bytes: u64,
}

/// Who moved a table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mover {
    /// Kluis: the rows are in units.
    Units,
    /// pg_dump: the rows are in `schema.dump` and in the script's data section.
    PgDump,
}

/// A table whose rows the backup holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The columns whose values were copied, in order.
    pub columns: Vec<String>,
    /// For an extension's configuration table: which rows are data (`extcondition`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Who moved its rows.
    pub moved_by: Mover,
    /// The number of rows in the snapshot.
    pub rows: u64,
    /// The size of the rows' COPY text, in bytes.
    pub bytes: u64,
    /// The content digest, 32 hexadecimal digits.
    pub digest: String,
    /// The number of units.
    pub units: u64,
    /// What belongs to the table (itself, indexes, constraints, defaults, triggers, owned sequences, …), as pairs of catalogue and OID, as
    /// they stand in the archive's table of contents. It is what `restore --table` brings back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<(u32, u32)>,
}

impl Table {
    /// `schema.name` for messages, unquoted.
    pub fn label(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// A partitioned table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Partitioned {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What belongs to it, as [`Table::objects`] has it.
    pub objects: Vec<(u32, u32)>,
    /// Its partitions and theirs, as pairs of schema and name: `tables` or `partitioned` has them.
    pub partitions: Vec<(String, String)>,
}

impl Partitioned {
    /// `schema.name` for messages, unquoted.
    pub fn label(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// Values that a restore does not load and that must be there afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Witnessed {
    /// The table's schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The columns, in order.
    pub columns: Vec<String>,
    /// The extension that owns the table: its rows whole. None: the table's generated columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// Whether the extension has some of these rows dumped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dumped_in_part: bool,
    /// The number of rows in the snapshot.
    pub rows: u64,
    /// Their content digest, 32 hexadecimal digits.
    pub digest: String,
}

impl Witnessed {
    /// `schema.name` for messages, unquoted.
    pub fn label(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// The large objects of the database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LargeObjects {
    /// How many.
    pub count: u64,
    /// Their total size in bytes.
    pub bytes: u64,
    /// The content digest over all of them, 32 hexadecimal digits.
    pub digest: String,
}

/// A file of the backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// Its name in the backup's folder.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Reads a manifest of the first format, which is one text. The error says in one line what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Manifest, String> {
        match reading::format_of(text)? {
            FIRST_FORMAT => Manifest::first(text),
            _ => Err(format!("it is not of format {FIRST_FORMAT}")),
        }
    }

    /// The text of `manifest.json` in format 1, or of `contents.json` in format 2, where there are no files in it: pretty JSON and a line end.
    pub fn render(&self) -> Vec<u8> {
        render(self)
    }

    /// Writes the text of `contents.json`, which holds everything but the files. It may be large, so it is never in memory as a whole.
    pub fn write_contents(&mut self, out: impl std::io::Write) -> std::io::Result<()> {
        let files = std::mem::take(&mut self.files);
        let written = serde_json::to_writer(out, self).map_err(std::io::Error::from);
        self.files = files;
        written
    }

    /// All rows together.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Whether the database was empty: no large object, and no row in a table that is not an extension's own.
    pub fn is_empty(&self) -> bool {
        self.large_objects.count == 0 && self.tables.iter().all(|table| table.rows == 0 || table.condition.is_some())
    }

    /// The size of the whole backup on disk, in bytes, less the manifest itself.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Which turn the table at this place has, if it comes in turn.
    pub fn turn_of(&self, place: usize) -> Option<usize> {
        self.in_turn.iter().flatten().position(|other| *other as usize == place)
    }

    /// Whether the rows that pg_dump moved come before those in units, which may need them. Not where rows that pg_dump moved come in turn as well, nor in
    /// backups of before.
    pub fn archive_comes_first(&self) -> bool {
        self.in_turn.as_ref().is_some_and(|places| places.iter().all(|place| self.tables[*place as usize].moved_by == Mover::Units))
    }

    /// The entry of that file.
    pub fn file(&self, name: &str) -> Option<&File> {
        self.files.iter().find(|file| file.name == name)
    }

    /// What can be checked without looking at a file.
    fn consistent(&self) -> Result<(), String> {
        // Sums are taken without looking, here and where a backup is listed.
        let sum = |sum: u64, number: u64| sum.checked_add(number);
        if self.tables.iter().map(|table| table.rows).try_fold(0, sum).is_none() || self.tables.iter().map(|table| table.bytes).try_fold(0, sum).is_none() {
            return Err(TOO_MANY_ROWS.to_owned());
        }
        consistent_files(&self.files)?;
        consistent_script(&self.script, &self.files)?;
        let mut tables = BTreeSet::new();
        for table in &self.tables {
            if !tables.insert((&table.schema, &table.name)) {
                return Err(format!("table {} is there twice", table.label()));
            }
            if table.digest.len() != 32 || !table.digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err("a table's digest is not 32 hexadecimal digits".to_owned());
            }
        }
        let mut in_turn = BTreeSet::new();
        if self.in_turn.iter().flatten().any(|place| *place as usize >= self.tables.len() || !in_turn.insert(place)) {
            return Err("a table that comes in turn is not there, or is twice".to_owned());
        }
        Ok(())
    }
}
