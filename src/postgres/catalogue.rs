//! What the catalogue says: the server, the database, its tables and what the role may not read.
//! It owns the queries; it leaves decisions to the engine. pg_dump owns what a database *is*: nothing here goes into a dump but names of tables and columns.
//! Invariant: every query runs with an empty search_path, which each session has from its first statement on, so that objects of the database cannot get in between.

use crate::error::{Error, Kind, Result};
use crate::manifest::{Database, Extension, Manifest, Partitioned, Server, Witnessed};
use crate::postgres::connection::Connection;
use crate::postgres::preload;
use crate::postgres::properties;
use crate::postgres::quote::{quote_ident, quote_literal, quote_qualified};
use crate::postgres::server_error::ServerError;
use crate::postgres::session::Session;
use crate::raw;
use crate::stop::Stop;

/// The oldest and the newest major version that are served.
pub const MAJORS: std::ops::RangeInclusive<u32> = 13..=19;

/// Has the session read and write money as the rows of this backup do. Backups of before have their own source's way; where the server lacks that locale
/// the session's own is all that is left, and the answer is false.
pub fn monetary(session: &mut Session, manifest: &Manifest) -> Result<bool> {
    let (None, own) = (&manifest.money, &manifest.database.lc_monetary) else { return Ok(true) };
    if own.is_empty() {
        session.execute("RESET lc_monetary")?;
        return Ok(true);
    }
    match session.execute(&format!("SET lc_monetary = {}", quote_literal(own))) {
        Ok(()) => Ok(true),
        Err(error) if ServerError::of(&error).is_some() => session.execute("RESET lc_monetary").map(|()| false),
        Err(error) => Err(error),
    }
}

/// Has the session write money as pg_dump does in this backup: then constants have the same words in the catalogue as in the archive.
pub fn as_archived(session: &mut Session, archive: &str) -> Result<()> {
    session.execute(&format!("SET lc_monetary = {}", quote_literal(archive)))
}

/// The `lc_monetary` that a session begins with; ours set their own.
pub const SESSION_MONETARY: &str = "SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'lc_monetary'";

/// The connection with `lc_monetary` set from its first moment, for programs that open their own. None where a pooler in between takes no options, or the
/// server lacks the locale.
pub fn monetary_connection(connection: &Connection, locale: &str, stop: &Stop) -> Result<Option<Connection>> {
    let own = connection.options.as_deref().unwrap_or_default();
    // A blank or a backslash in an option has a backslash before it (postinit.c, `pg_split_opts`).
    let escaped: String = locale.chars().flat_map(|c| (c == '\\' || c.is_whitespace()).then_some('\\').into_iter().chain([c])).collect();
    let with = Connection { options: Some(format!("{own} -c lc_monetary={escaped}")), ..connection.clone() };
    let tried = Session::connect(&with, stop).and_then(|mut session| Ok(session.query(SESSION_MONETARY)?.single()? == locale));
    stop.check()?;
    Ok(tried.is_ok_and(|taken| taken).then_some(with))
}

/// Forbids reading through views and foreign tables where the server can (CVE-2024-7348: a table that is swapped for a view in mid-dump).
pub fn guard_against_swaps(session: &mut Session) -> Result<()> {
    session
        .execute("SELECT pg_catalog.set_config(name, 'view, foreign-table', false) FROM pg_catalog.pg_settings WHERE name = 'restrict_nonsystem_relation_kind'")
}

/// What there is to know about the server and the database before a dump.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The server. `pg_dump` is still empty.
    pub server: Server,
    /// The database.
    pub database: Database,
    /// The role that we are.
    pub role: String,
    /// Whether it is a superuser.
    pub superuser: bool,
    /// The number of large objects.
    pub large_objects: u64,
}

/// The cell of a row that must be there.
pub fn cell(row: &[Option<String>], column: usize) -> Result<&str> {
    row.get(column).and_then(Option::as_deref).ok_or_else(|| Error::new(Kind::Failed, "the server's catalogue answered with an unexpected null"))
}

/// The number in the cell of a row.
pub fn number<T: std::str::FromStr>(row: &[Option<String>], column: usize) -> Result<T> {
    cell(row, column)?.parse().map_err(|_| Error::new(Kind::Failed, "the server's catalogue answered with something that is not a number"))
}

pub(crate) fn list(row: &[Option<String>], column: usize) -> Result<Vec<String>> {
    serde_json::from_str(cell(row, column)?).map_err(|_| Error::new(Kind::Failed, "the server's catalogue answered with something that is not a list"))
}

/// Reads the facts. Refuses a server of a version that is not served.
pub fn facts(session: &mut Session) -> Result<Facts> {
    let major = session.server_version_num() / 10_000;
    if !MAJORS.contains(&major) {
        return Err(Error::new(
            Kind::Refused,
            format!("the server is PostgreSQL {major}, and this version of kluis serves {} to {}", MAJORS.start(), MAJORS.end()),
        )
        .hinted("use another version of kluis, or upgrade the server"));
    }
    let provider = match major {
        17.. => "d.datlocprovider, d.datlocale, d.daticurules, d.datcollversion",
        16 => "d.datlocprovider, d.daticulocale, d.daticurules, d.datcollversion",
        15 => "d.datlocprovider, d.daticulocale, NULL, d.datcollversion",
        _ => "'c', NULL, NULL, NULL",
    };
    let query = format!(
        "SELECT pg_catalog.current_setting('server_version'), pg_catalog.pg_is_in_recovery(), pg_catalog.current_database(), pg_catalog.pg_get_userbyid(d.datdba),
            pg_catalog.pg_database_size(d.oid), pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
            ({SESSION_MONETARY}),
            current_user, (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user), pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT'),
            (SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata),
            (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(extname, extversion, n.nspname) ORDER BY extname), '[]')
                FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace),
            (SELECT coalesce(pg_catalog.json_agg(rolname ORDER BY rolname), '[]') FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' AND (oid = d.datdba OR oid IN
                (SELECT refobjid FROM pg_catalog.pg_shdepend s WHERE s.dbid = d.oid AND s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass)
                OR oid IN (SELECT pg_catalog.unnest(ARRAY[grantor, grantee]) FROM pg_catalog.aclexplode(d.datacl)) OR oid IN (SELECT setrole FROM pg_catalog.pg_db_role_setting WHERE setdatabase = d.oid))),
            (SELECT coalesce(pg_catalog.json_agg(DISTINCT spcname ORDER BY spcname), '[]') FROM pg_catalog.pg_tablespace t JOIN pg_catalog.pg_class c ON c.reltablespace = t.oid WHERE spcname !~ '^pg_'),
            pg_catalog.pg_get_userbyid(10), {provider},
            (SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'bytea_output'),
            (SELECT spcname FROM pg_catalog.pg_tablespace t WHERE t.oid = d.dattablespace AND spcname <> 'pg_default'),
            (SELECT coalesce(pg_catalog.json_agg(DISTINCT provider ORDER BY provider), '[]') FROM pg_catalog.pg_seclabel)
         FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()"
    );
    let rows = session.query(&query)?;
    let row = rows.rows.first().ok_or_else(|| Error::new(Kind::Failed, "the server does not list its own database"))?;
    let properties = properties::of(session, cell(row, 2)?)?;
    let preload = preload::of(session)?;
    let text = |column: usize| row.get(column).cloned().flatten();
    let extensions: Vec<(String, String, String)> =
        serde_json::from_str(cell(row, 13)?).map_err(|_| Error::new(Kind::Failed, "the server's list of extensions cannot be read"))?;
    Ok(Facts {
        server: Server {
            version: cell(row, 0)?.to_owned(),
            major,
            pg_dump: String::new(),
            standby: cell(row, 1)? == "t",
            superuser: cell(row, 16)?.to_owned(),
            escapes_bytea: cell(row, 21)? == "escape",
            role_passwords: cell(row, 11)? == "t",
            roles: Vec::new(),
            roles_moved: false,
            preload: preload.shared,
            session_preload: preload.sessions,
        },
        database: Database {
            name: cell(row, 2)?.to_owned(),
            owner: cell(row, 3)?.to_owned(),
            bytes: number(row, 4)?,
            encoding: cell(row, 5)?.to_owned(),
            collate: cell(row, 6)?.to_owned(),
            ctype: cell(row, 7)?.to_owned(),
            lc_monetary: cell(row, 8)?.to_owned(),
            locale_provider: match cell(row, 17)? {
                "i" => "icu",
                "b" => "builtin",
                _ => "libc",
            }
            .to_owned(),
            locale: text(18),
            icu_rules: text(19),
            collation_version: text(20),
            extensions: extensions.into_iter().map(|(name, version, schema)| Extension { name, version, schema }).collect(),
            roles: list(row, 14)?,
            tablespaces: list(row, 15)?,
            tablespace: text(22),
            label_providers: list(row, 23)?,
            properties,
        },
        role: cell(row, 9)?.to_owned(),
        superuser: cell(row, 10)? == "t",
        large_objects: number(row, 12)?,
    })
}

/// A table whose rows are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its OID.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns that COPY moves, in order: dropped and generated ones are left out.
    pub columns: Vec<String>,
    /// The size of heap and TOAST in bytes.
    pub bytes: u64,
    /// The number of pages of its heap.
    pub pages: u64,
    /// Whether a ctid range of it can be read by itself.
    pub splittable: bool,
    /// Whether a query over it may be planned, see [`plannable`]. Else only `COPY table TO`, which plans nothing, may read it.
    pub plannable: bool,
    /// What belongs to it, as pairs of catalogue and OID.
    pub objects: Vec<(u32, u32)>,
}

impl Table {
    /// `schema.name`, quoted.
    pub fn qualified(&self) -> String {
        quote_qualified(&self.schema, &self.name)
    }

    /// The pattern that matches this table and no other in `--exclude-table-data`: within double quotes nothing is special (psql, "Patterns").
    pub fn pattern(&self) -> String {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// ` (a, b)`, or nothing for a table without columns.
    pub fn column_list(&self) -> String {
        column_list(&self.columns)
    }
}

/// ` (a, b)`, or nothing where there are no columns.
pub fn column_list(columns: &[String]) -> String {
    if columns.is_empty() { String::new() } else { format!(" ({})", columns.iter().map(|column| quote_ident(column)).collect::<Vec<_>>().join(", ")) }
}

/// Whether the planner runs nothing of anybody else's when it plans a query over the relation `c`, as an SQL expression.
///
/// It computes what is constant in the expressions and predicates of a table's indexes and in its extended statistics (plancat.c, `get_relation_info`), as
/// whoever runs the query: `CREATE INDEX ON t (f(1))` hands a superuser's rights to `f`. So none of these may depend on a function, an operator or a type that
/// is not built in; enums run nothing. CHECK constraints are looked at under `constraint_exclusion` only, which is ours.
pub fn plannable() -> String {
    let depends = |class: &str, object: &str| {
        format!(
            "EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.{class}'::pg_catalog.regclass AND d.objid = {object} AND d.refobjid >= 16384
                AND d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass)
                AND NOT (d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND EXISTS (SELECT FROM pg_catalog.pg_type t
                    LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem WHERE t.oid = d.refobjid AND 'e' IN (t.typtype, e.typtype))))"
        )
    };
    format!(
        "NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL) AND {})
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_statistic_ext s WHERE s.stxrelid = c.oid AND {})",
        depends("pg_class", "i.indexrelid"),
        depends("pg_statistic_ext", "s.oid")
    )
}

/// Whether a table has no rows, in a session of whatever rights. Where it cannot be told without planning, it is said to have some.
pub fn is_empty(session: &mut Session, schema: &str, name: &str) -> Result<bool> {
    let qualified = quote_qualified(schema, name);
    let look = format!(
        "SELECT pg_catalog.pg_relation_size(c.oid) = 0, {} FROM pg_catalog.pg_class c WHERE c.oid = {}::pg_catalog.regclass",
        plannable(),
        quote_literal(&qualified)
    );
    let found = session.query(&look)?;
    if found.get(0, 0) == Some("t") {
        return Ok(true);
    }
    Ok(found.get(0, 1) == Some("t") && session.query(&format!("SELECT FROM ONLY {qualified} LIMIT 1"))?.is_empty())
}

/// Tables outside of the system's schemas and of extensions.
pub(super) const OURS: &str = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = c.oid AND e.deptype = 'e')";

/// Partitioned tables whose rows may go to another partition on another server, because the hash of an enum value depends on its OID. pg_dump
/// loads such rows through the root (pg_dump.c, `getPartitioningInfo`); so the whole tree is left to it.
const UNSAFE_ROOTS: &str = "(SELECT pg_catalog.pg_partition_root(partrelid) FROM pg_catalog.pg_partitioned_table WHERE partstrat = 'h' AND EXISTS
    (SELECT FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am a ON a.oid = o.opcmethod WHERE o.opcname = 'enum_ops'
        AND o.opcnamespace = 'pg_catalog'::pg_catalog.regnamespace AND a.amname = 'hash' AND o.oid = ANY (partclass)))";

const COLUMNS: &str = "(SELECT coalesce(pg_catalog.json_agg(attname ORDER BY attnum), '[]') FROM pg_catalog.pg_attribute
    WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '')";

/// What belongs to a table: itself and its sequences, indexes, constraints, defaults, triggers, rules, policies and extended statistics.
const OBJECTS: &str = "(SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(b.catalogue::pg_catalog.int8, b.oid::pg_catalog.int8) ORDER BY 1), '[]')::text FROM (
    SELECT 1259, c.oid UNION ALL SELECT 1259, indexrelid FROM pg_catalog.pg_index WHERE indrelid = c.oid
    UNION ALL SELECT 2606, oid FROM pg_catalog.pg_constraint WHERE conrelid = c.oid UNION ALL SELECT 2604, oid FROM pg_catalog.pg_attrdef WHERE adrelid = c.oid
    UNION ALL SELECT 2620, oid FROM pg_catalog.pg_trigger WHERE tgrelid = c.oid UNION ALL SELECT 2618, oid FROM pg_catalog.pg_rewrite WHERE ev_class = c.oid
    UNION ALL SELECT 3256, oid FROM pg_catalog.pg_policy WHERE polrelid = c.oid UNION ALL SELECT 3381, oid FROM pg_catalog.pg_statistic_ext WHERE stxrelid = c.oid
    UNION ALL SELECT 1259, d.objid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
        WHERE d.classid = 1259 AND d.refclassid = 1259 AND d.refobjid = c.oid AND d.deptype IN ('a', 'i')) AS b(catalogue, oid))";

/// The ordinary tables that need no special care: plain ones and leaf partitions. Kluis moves their rows.
pub fn plain_tables(session: &mut Session, standby: bool) -> Result<Vec<Table>> {
    let major = session.server_version_num() / 10_000;
    // Unlogged tables cannot be read on a standby; pg_dump leaves their rows out there as well.
    let readable = if standby { "AND c.relpersistence = 'p'" } else { "" };
    // A table that is dropped while we look has no size any more; that it is gone, the lock will tell.
    let query = format!(
        "SELECT c.oid, n.nspname, c.relname, {COLUMNS},
            coalesce(pg_catalog.pg_relation_size(c.oid), 0) + coalesce(pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)), 0),
            coalesce(pg_catalog.pg_relation_size(c.oid), 0) / pg_catalog.current_setting('block_size')::int,
            coalesce((SELECT amname = 'heap' FROM pg_catalog.pg_am a WHERE a.oid = c.relam), false), {OBJECTS}, {}
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind = 'r' AND {OURS} {readable}
            AND NOT (c.relispartition AND pg_catalog.pg_partition_root(c.oid) IN {UNSAFE_ROOTS})
         ORDER BY n.nspname, c.relname",
        plannable()
    );
    let mut tables = Vec::new();
    for row in session.query(&query)?.rows {
        let columns = list(&row, 3)?;
        tables.push(Table {
            oid: number(&row, 0)?,
            schema: cell(&row, 1)?.to_owned(),
            name: cell(&row, 2)?.to_owned(),
            bytes: number(&row, 4)?,
            pages: number(&row, 5)?,
            // Before 14 a ctid range is a scan of the whole table.
            splittable: major >= 14 && cell(&row, 6)? == "t" && !columns.is_empty() && cell(&row, 8)? == "t",
            plannable: cell(&row, 8)? == "t",
            columns,
            objects: serde_json::from_str(cell(&row, 7)?).map_err(|_| Error::new(Kind::Failed, "the list of what belongs to a table cannot be read"))?,
        });
    }
    Ok(tables)
}

/// The partitioned tables, with what belongs to them and the names of all their partitions.
pub fn partitioned(session: &mut Session) -> Result<Vec<Partitioned>> {
    let query = format!(
        "SELECT n.nspname, c.relname, {OBJECTS}, (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(m.nspname, p.relname) ORDER BY m.nspname, p.relname), '[]')::text
            FROM pg_catalog.pg_partition_tree(c.oid) t JOIN pg_catalog.pg_class p ON p.oid = t.relid JOIN pg_catalog.pg_namespace m ON m.oid = p.relnamespace
            WHERE t.level > 0)
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'p' AND {OURS} ORDER BY 1, 2"
    );
    let unread = |_| Error::new(Kind::Failed, "the list of what belongs to a partitioned table cannot be read");
    let mut tables = Vec::new();
    for row in session.query(&query)?.rows {
        tables.push(Partitioned {
            schema: cell(&row, 0)?.to_owned(),
            name: cell(&row, 1)?.to_owned(),
            objects: serde_json::from_str(cell(&row, 2)?).map_err(unread)?,
            partitions: serde_json::from_str(cell(&row, 3)?).map_err(unread)?,
        });
    }
    Ok(tables)
}

/// A relation whose rows pg_dump moves; they are counted and digested all the same.
#[derive(Debug, Clone)]
pub struct Special {
    /// The relation. Its size is not known.
    pub table: Table,
    /// Which of its rows are data, as a `WHERE` clause.
    pub condition: Option<String>,
    /// The tables that hold its rows: OID and quoted name. Foreign tables are none of them.
    pub leaves: Vec<(u32, String)>,
}

impl Special {
    /// What reads its rows, without planning anything: a statement for each table that has some. Only where a condition says which rows are data, there is a query.
    pub fn copies(&self, encoding: &str) -> Vec<String> {
        let (list, options) = (self.table.column_list(), format!("TO STDOUT WITH (FORMAT text, ENCODING '{encoding}')"));
        match &self.condition {
            None => self.leaves.iter().map(|(_, name)| format!("COPY {name}{list} {options}")).collect(),
            Some(condition) => {
                let columns = list.trim_start_matches(" (").trim_end_matches(')');
                vec![format!("COPY (SELECT {columns} FROM {} {condition}) {options}", self.table.qualified())]
            }
        }
    }
}

impl Special {
    /// Whether rows of it come in turn, which tables with these OIDs do.
    pub fn comes_in_turn(&self, in_turn: &std::collections::HashSet<u32>) -> bool {
        self.leaves.iter().map(|(oid, _)| oid).chain([&self.table.oid]).any(|oid| in_turn.contains(oid))
    }
}

/// Configuration tables of extensions, and partitioned tables that are loaded through their root.
pub fn special_tables(session: &mut Session, standby: bool) -> Result<Vec<Special>> {
    let readable = if standby { "AND c.relpersistence = 'p'" } else { "" };
    let of = |from: &str| {
        format!(
            "(SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(l.oid::pg_catalog.int8, s.nspname, l.relname)), '[]')::text FROM {from} JOIN pg_catalog.pg_namespace s ON s.oid = l.relnamespace WHERE l.relkind = 'r')"
        )
    };
    let (itself, leaves, plannable) = (
        of("(SELECT c.oid, c.relname, c.relnamespace, c.relkind) AS l"),
        of("pg_catalog.pg_partition_tree(c.oid) AS p JOIN pg_catalog.pg_class l ON l.oid = p.relid"),
        plannable(),
    );
    let query = format!(
        "SELECT c.oid, n.nspname, c.relname, {COLUMNS}, NULLIF(x.condition, ''), {itself}, {plannable}
         FROM pg_catalog.pg_extension e CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(e.extconfig), pg_catalog.unnest(e.extcondition)) AS x(oid, condition)
            JOIN pg_catalog.pg_class c ON c.oid = x.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' {readable}
         UNION ALL
         SELECT c.oid, n.nspname, c.relname, {COLUMNS}, NULL, {leaves}, false
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN {UNSAFE_ROOTS} AND {OURS}
         ORDER BY 2, 3"
    );
    let mut tables = Vec::new();
    for row in session.query(&query)?.rows {
        let table = Table {
            oid: number(&row, 0)?,
            schema: cell(&row, 1)?.to_owned(),
            name: cell(&row, 2)?.to_owned(),
            columns: list(&row, 3)?,
            bytes: 0,
            pages: 0,
            splittable: false,
            plannable: cell(&row, 6)? == "t",
            objects: Vec::new(),
        };
        if row[4].is_some() && !table.plannable {
            return Err(Error::new(Kind::Failed, format!("table {} of an extension would run somebody's function as you when it is read", table.qualified()))
                .hinted("drop its indexes and extended statistics that call functions which are not built in; pg_dump runs them as well"));
        }
        let leaves: Vec<(u32, String, String)> =
            serde_json::from_str(cell(&row, 5)?).map_err(|_| Error::new(Kind::Failed, "a list of partitions cannot be read"))?;
        let leaves = leaves.into_iter().map(|(oid, schema, name)| (oid, quote_qualified(&schema, &name))).collect();
        tables.push(Special { table, condition: row[4].clone(), leaves });
    }
    Ok(tables)
}

/// Values that pg_dump does not dump and a restore makes anew: generated columns, and the rows of extensions' own tables. Only a query can read them, so
/// those of a table over which none may be planned are not among them.
pub fn witnessed(session: &mut Session, standby: bool) -> Result<Vec<Witnessed>> {
    let readable = if standby { "AND c.relpersistence = 'p'" } else { "" };
    let (generated, plannable) = (COLUMNS.replace("attgenerated = ''", "attgenerated = 's'"), plannable());
    let query = format!(
        "SELECT n.nspname, c.relname, {generated}, NULL, false FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'r' AND {OURS} {readable} AND {plannable} AND EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = c.oid AND attgenerated = 's' AND NOT attisdropped)
        UNION ALL
        SELECT n.nspname, c.relname, {COLUMNS}, e.extname, coalesce(c.oid = ANY (e.extconfig), false) FROM pg_catalog.pg_extension e
            JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid AND d.deptype = 'e'
                AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            JOIN pg_catalog.pg_class c ON c.oid = d.objid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'r' AND c.relpersistence <> 't' {readable} AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                AND {plannable} AND NOT c.relrowsecurity AND NOT EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest(e.extconfig), pg_catalog.unnest(e.extcondition)) AS x(oid, condition)
                    WHERE x.oid = c.oid AND x.condition = '')
        ORDER BY 1, 2"
    );
    session
        .query(&query)?
        .rows
        .iter()
        .map(|row| {
            Ok(Witnessed {
                schema: cell(row, 0)?.to_owned(),
                name: cell(row, 1)?.to_owned(),
                columns: list(row, 2)?,
                extension: row[3].clone(),
                dumped_in_part: cell(row, 4)? == "t",
                rows: 0,
                digest: String::new(),
            })
        })
        .collect()
}

/// The tables with generated columns, as schema and name.
pub fn with_generated_columns(session: &mut Session, standby: bool) -> Result<Vec<(String, String)>> {
    let readable = if standby { "AND c.relpersistence = 'p'" } else { "" };
    let rows = session.query(&format!(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND {OURS} {readable}
            AND EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = c.oid AND attgenerated = 's' AND NOT attisdropped) ORDER BY 1, 2"
    ))?;
    rows.rows.iter().map(|row| Ok((cell(row, 0)?.to_owned(), cell(row, 1)?.to_owned()))).collect()
}

/// The statement that reads witnessed values.
pub fn copy_of_witnessed(table: &Witnessed, encoding: &str) -> String {
    let columns = column_list(&table.columns);
    let columns = columns.trim_start_matches(" (").trim_end_matches(')');
    format!("COPY (SELECT {columns} FROM ONLY {}) TO STDOUT WITH (FORMAT text, ENCODING '{encoding}')", quote_qualified(&table.schema, &table.name))
}

/// The kinds of the relations with these OIDs, as in `pg_class.relkind`; relations that are gone are not in the answer.
pub fn kinds(session: &mut Session, oids: &[u32]) -> Result<Vec<(u32, String, String)>> {
    let oids = oids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let query = format!(
        "SELECT c.oid, c.relkind::text || c.relpersistence::text, n.nspname || '.' || c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN ({oids})"
    );
    let rows = if oids.is_empty() { Vec::new() } else { session.query(&query)?.rows };
    rows.iter().map(|row| Ok((number(row, 0)?, cell(row, 1)?.to_owned(), cell(row, 2)?.to_owned()))).collect()
}

/// What kind of thing is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hurdle {
    /// A right on a relation or a schema: pg_read_all_data has it, from 14 on.
    Relation,
    /// Row-level security: only BYPASSRLS helps.
    RowSecurity,
    /// A right on large objects: up to 18, nothing that is granted once gives it for all of them; from 19 on pg_read_all_data does.
    LargeObjects,
}

/// Something that the role may not read, with the statement that would allow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Its kind.
    pub hurdle: Hurdle,
    /// What cannot be read, and why.
    pub what: String,
    /// The statement, to be run by the owner or a superuser. Kluis never runs it.
    pub remedy: String,
    /// For a table or a sequence that may not be read, its schema, as it is written in SQL.
    pub schema: Option<String>,
}

/// Everything that the role cannot read or would read only in part. People read this, so the server quotes names, and only where that is needed.
pub fn obstacles(session: &mut Session) -> Result<Vec<Obstacle>> {
    // What is dropped while we look is in nobody's way.
    let query = format!(
        "SELECT pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(c.relname), c.relkind, coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), true),
            coalesce(CASE WHEN c.relkind = 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT') ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT') END, true),
            CASE WHEN c.relkind = 'r' AND c.relrowsecurity THEN pg_catalog.row_security_active(c.oid) ELSE false END,
            c.relforcerowsecurity AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'S') AND ({OURS} OR c.oid IN (SELECT pg_catalog.unnest(extconfig) FROM pg_catalog.pg_extension)) ORDER BY n.nspname, c.relname"
    );
    let (mut found, mut usable, role) = (Vec::<Obstacle>::new(), std::collections::BTreeSet::new(), readable_role(session)?);
    for row in session.query(&query)?.rows {
        let (schema, name) = (cell(&row, 0)?, cell(&row, 1)?);
        let qualified = format!("{schema}.{name}");
        if cell(&row, 3)? != "t" && usable.insert(schema.to_owned()) {
            found.push(Obstacle {
                hurdle: Hurdle::Relation,
                what: format!("schema {schema}: no USAGE"),
                remedy: format!("GRANT USAGE ON SCHEMA {schema} TO {role};"),
                schema: None,
            });
        }
        if cell(&row, 4)? != "t" {
            let (what, object) = if cell(&row, 2)? == "S" { ("sequence", "SEQUENCE ") } else { ("table", "") };
            found.push(Obstacle {
                hurdle: Hurdle::Relation,
                what: format!("{what} {qualified}: no SELECT"),
                remedy: format!("GRANT SELECT ON {object}{qualified} TO {role};"),
                schema: Some(schema.to_owned()),
            });
        }
        if cell(&row, 5)? == "t" {
            // Owners and those who have their rights see all rows, unless that is forced upon them too (rls.c, `check_enable_rls`).
            let forced = cell(&row, 6)? == "t";
            let why = if forced { ", being forced upon its owner" } else { "" };
            let or = if forced { format!(" -- or, where that cannot be had: ALTER TABLE {qualified} NO FORCE ROW LEVEL SECURITY;") } else { String::new() };
            found.push(Obstacle {
                hurdle: Hurdle::RowSecurity,
                what: format!("table {qualified}: row-level security would hide rows{why}"),
                remedy: format!("ALTER ROLE {role} BYPASSRLS;{or}"),
                schema: None,
            });
        }
    }
    found.extend(large_objects_in_the_way(session, &role)?);
    Ok(found)
}

/// The large objects that the role may not read, as one obstacle. With `lo_compat_privileges` nobody needs a right (inv_api.c, `inv_open`).
fn large_objects_in_the_way(session: &mut Session, role: &str) -> Result<Option<Obstacle>> {
    const NAMED: usize = 5;
    if session.server_version_num() >= 190_000 && session.query("SELECT pg_catalog.pg_has_role('pg_read_all_data', 'USAGE')")?.single()? == "t" {
        return Ok(None);
    }
    let query = "SELECT m.oid FROM pg_catalog.pg_largeobject_metadata m WHERE pg_catalog.current_setting('lo_compat_privileges') <> 'on'
        AND NOT pg_catalog.pg_has_role(m.lomowner, 'USAGE') AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(m.lomacl) a
            WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE'))) ORDER BY 1";
    let rows = session.query(query)?.rows;
    let oids = rows.iter().take(NAMED).map(|row| cell(row, 0)).collect::<Result<Vec<_>>>()?;
    let (what, remedy) = match oids.as_slice() {
        [] => return Ok(None),
        [oid] => (format!("large object {oid}: no SELECT"), format!("GRANT SELECT ON LARGE OBJECT {oid} TO {role};")),
        _ => {
            let more = if rows.len() > NAMED { ", …" } else { "" };
            let grant = quote_literal(&format!("GRANT SELECT ON LARGE OBJECT %s TO {}", role.replace('%', "%%")));
            // One line, to be copied as it stands; a tag that no name of a role can close.
            let tag = (0..).map(|n| format!("$k{n}$")).find(|tag| !role.contains(tag.as_str())).expect("there is no end of tags");
            (
                format!("{} large objects ({}{more}): no SELECT", rows.len(), oids.join(", ")),
                format!("DO {tag} DECLARE o oid; BEGIN FOR o IN SELECT oid FROM pg_largeobject_metadata LOOP EXECUTE format({grant}, o); END LOOP; END {tag};"),
            )
        }
    };
    Ok(Some(Obstacle { hurdle: Hurdle::LargeObjects, what, remedy, schema: None }))
}

/// The role that we are, quoted only where that is needed.
pub fn readable_role(session: &mut Session) -> Result<String> {
    let rows = session.query("SELECT pg_catalog.quote_ident(current_user)")?.rows;
    rows.first().map_or_else(|| Err(Error::new(Kind::Failed, "the server does not say who we are")), |row| Ok(cell(row, 0)?.to_owned()))
}

/// Whether a name, as a backup of a database in the first encoding has it, has the same bytes as a literal sent to one in the second.
fn same_bytes(name: &str, of: &str, server: &str) -> bool {
    let bytes = |encoding: &str| matches!(encoding, "UTF8" | "SQL_ASCII" | "");
    name.is_ascii() || of == server || (bytes(of) && bytes(server) && (raw::is_plain(name) || server == "SQL_ASCII"))
}

/// The bytes of a name in the cluster's catalogues, as the server computes them.
fn bytes_of(name: &str, encoding: &str) -> String {
    let hex: String = raw::bytes(name).iter().map(|byte| format!("{byte:02x}")).collect();
    let bytes = format!("'\\x{hex}'::pg_catalog.bytea");
    if matches!(encoding, "UTF8" | "SQL_ASCII" | "") { bytes } else { format!("pg_catalog.convert({bytes}, 'UTF8', {})", quote_literal(encoding)) }
}

/// Which of these roles, tablespaces and extensions the server lacks.
pub fn missing(session: &mut Session, database: &Database) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    let checks = [
        ("role", "pg_catalog.pg_roles", "rolname", database.roles.clone()),
        ("tablespace", "pg_catalog.pg_tablespace", "spcname", database.tablespaces.clone()),
        ("extension", "pg_catalog.pg_available_extensions", "name", database.extensions.iter().map(|extension| extension.name.clone()).collect()),
    ];
    for (what, table, column, names) in checks {
        if names.is_empty() {
            continue;
        }
        let encoding = session.parameter("server_encoding").unwrap_or("UTF8").to_owned();
        let (same, other): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| same_bytes(name, &database.encoding, &encoding));
        let mut queries = Vec::new();
        if !same.is_empty() {
            let values = same.iter().map(|name| format!("({})", quote_literal(name))).collect::<Vec<_>>().join(", ");
            queries.push((same, format!("(VALUES {values}) AS v(name)"), format!("SELECT {column}::text FROM {table}")));
        }
        if !other.is_empty() {
            // As a literal such a name would be converted, or refused: names that belong to no database are compared by their bytes.
            let values = other.iter().map(|name| format!("(pg_catalog.md5({}))", bytes_of(name, &database.encoding))).collect::<Vec<_>>().join(", ");
            queries.push((other, format!("(VALUES {values}) AS v(name)"), format!("SELECT pg_catalog.md5({column}::text) FROM {table}")));
        }
        for (names, values, there) in queries {
            let query = format!(
                "SELECT n.number FROM (SELECT pg_catalog.row_number() OVER () AS number, name FROM {values}) AS n WHERE n.name NOT IN ({there}) ORDER BY 1"
            );
            for row in session.query(&query)?.rows {
                let place: usize = number(&row, 0)?;
                missing.extend(names.get(place.saturating_sub(1)).map(|name| format!("{what} {}", quote_ident(name))));
            }
        }
    }
    Ok(missing)
}

/// Which of the backup's extensions the server cannot create.
pub fn missing_extensions(session: &mut Session, database: &Database) -> Result<Vec<String>> {
    let only = Database { extensions: database.extensions.clone(), ..Database::default() };
    Ok(missing(session, &only)?.into_iter().map(|what| what.trim_start_matches("extension ").to_owned()).collect())
}
