//! The inventory: what the catalogue holds, by our own reading, in terms that survive a restore. The drill reads it in the restored database again.
//! It owns the queries, the text that comes of them, and whether the catalogue stood still; how columns are witnessed is in `rules`.
//! Invariant: memory does not grow with the database; rows stand in the order of their keys' bytes, so that two inventories can be compared side by side.
//!
//! pg_dump has its own idea of what a database is, and what it leaves out is missing from every comparison of its dumps. This walk knows nothing of
//! pg_dump: it takes each catalogue column by column.

pub mod compare;
mod rules;

use crate::error::{Error, Kind, Result};
use crate::postgres::catalogue::{cell, number};
use crate::postgres::copy::Piece;
use crate::postgres::session::Session;
pub use rules::{CATALOGUES, CONSTRUCTORS, Catalogue, IDENTITY_TYPE, NAME, Rule, STATE, STATES, STRICTER_KEYS, SYSTEM_CHANGES};
use std::collections::{BTreeMap, BTreeSet};

/// The version of the text, and of the terms in it. Inventories of different versions are not compared.
pub const VERSION: u32 = 3;

/// Columns of the catalogues, as the server has them.
pub type Columns = BTreeMap<String, BTreeSet<String>>;

/// The catalogues of the server and their columns.
pub fn columns(session: &mut Session) -> Result<Columns> {
    let rows = session.query(
        "SELECT c.relname, a.attname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
            WHERE c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND c.relkind = 'r' AND c.oid < 16384 AND a.attnum > 0 AND NOT a.attisdropped",
    )?;
    let mut columns = Columns::new();
    for row in &rows.rows {
        columns.entry(cell(row, 0)?.to_owned()).or_default().insert(cell(row, 1)?.to_owned());
    }
    Ok(columns)
}

/// Reads the inventory of the session's database, and hands its lines to `each`, each with its line feed. The session's search_path must be empty.
pub fn read(session: &mut Session, encoding: &str, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let columns = columns(session)?;
    let allowed = "SELECT pg_catalog.has_column_privilege('pg_catalog.pg_subscription', 'subconninfo', 'SELECT')";
    let secrets = session.query(allowed)?.single()? == "t";
    each(format!("kluis-inventory\t{VERSION}\n").as_bytes())?;
    for catalogue in CATALOGUES.iter().filter(|catalogue| !catalogue.from.is_empty()) {
        let Some(query) = query(catalogue, &columns, secrets) else { continue };
        each(query.header.as_bytes())?;
        let mut copy = session.copy_out(&format!("COPY ({}) TO STDOUT WITH (FORMAT text, ENCODING '{encoding}')", query.sql))?;
        while let Some(piece) = copy.next_piece()? {
            each(match piece {
                Piece::Row(row) => row,
                Piece::Part { bytes, .. } => bytes,
            })?;
        }
    }
    Ok(())
}

/// One catalogue's query, and the line that goes before its rows: `@`, name, number of keys, and the columns.
struct Query {
    header: String,
    sql: String,
}

fn query(catalogue: &Catalogue, columns: &Columns, secrets: bool) -> Option<Query> {
    let there = columns.get(catalogue.name);
    // What is no catalogue by itself is in those of every major.
    let has = |column: &str| column.starts_with('+') || there.map_or(catalogue.name.contains(' '), |there| there.contains(column));
    let (mut keys, mut values): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
    for (column, rule) in catalogue.columns.iter().filter(|(column, _)| has(column)) {
        let term = |sql: &str| {
            let sql = sql.replace("{subconninfo}", if secrets { "md5(@)" } else { "NULL" }).replace("{umoptions}", rules::SECRET);
            format!("({})::text", sql.replace('@', &format!("c.{column}")))
        };
        match rule {
            Rule::Key(sql) => keys.push((*column, term(sql))),
            Rule::Value(sql) | Rule::Expression(sql) => values.push((*column, term(sql))),
            Rule::Ignore(_) => {}
        }
    }
    if keys.is_empty() || (there.is_none() && !catalogue.name.contains(' ')) {
        return None;
    }
    let names: Vec<&str> = keys.iter().chain(&values).map(|(column, _)| *column).collect();
    let header = format!("@\t{}\t{}\t{}\n", catalogue.name, keys.len(), names.join("\t"));
    let keyed: Vec<String> = keys.iter().enumerate().map(|(place, (_, term))| format!("coalesce({term}, '') AS k{place}")).collect();
    let valued: Vec<String> = values.iter().enumerate().map(|(place, (_, term))| format!("{term} AS v{place}")).collect();
    let order: Vec<String> = (0..keys.len()).map(|place| format!("k{place} COLLATE \"C\"")).collect();
    let (class, object) = catalogue.member;
    let class = if class.starts_with("pg_") { format!("'{class}'::regclass") } else { class.to_owned() };
    // One join for all: an object that no extension can own has no member.
    let on = if class.is_empty() { "false".to_owned() } else { format!("e.classid = {class} AND e.objid = {object}") };
    let from = catalogue.from.replace("{inhdetachpending}", if has("inhdetachpending") { "bool_or(i.inhdetachpending)" } else { "false" });
    let sql = format!(
        "WITH e AS MATERIALIZED (SELECT d.classid, d.objid, x.extname FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
            WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND d.objsubid = 0)
        SELECT * FROM (SELECT CASE WHEN e.objid IS NOT NULL THEN 'e:' || e.extname
                WHEN {schema} IN (SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema')) THEN 's' ELSE '' END AS f,
            {terms} FROM {from} LEFT JOIN e ON {on} WHERE {rows}) AS found ORDER BY {order}",
        schema = catalogue.schema,
        terms = keyed.into_iter().chain(valued).collect::<Vec<_>>().join(", "),
        rows = catalogue.rows,
        order = order.join(", ")
    );
    Some(Query { header, sql })
}

/// What changes whenever the catalogue of lasting objects does, as seen by this session's snapshot.
///
/// The functions that word definitions look at the catalogue as it is now, pg_dump's as well as ours, whatever snapshot they are called in: only
/// where it stood still do a dump and an inventory tell of the same database.
pub fn state(session: &mut Session) -> Result<Vec<(u64, u64)>> {
    const OF_RELATIONS: &[(&str, &str)] = &[
        ("pg_attribute", "attrelid"),
        ("pg_attrdef", "adrelid"),
        ("pg_index", "indrelid"),
        ("pg_trigger", "tgrelid"),
        ("pg_rewrite", "ev_class"),
        ("pg_policy", "polrelid"),
        ("pg_inherits", "inhrelid"),
        ("pg_constraint", "conrelid"),
    ];
    const OTHERS: &[&str] = &[
        "pg_am",
        "pg_amop",
        "pg_amproc",
        "pg_cast",
        "pg_collation",
        "pg_conversion",
        "pg_default_acl",
        "pg_description",
        "pg_enum",
        "pg_event_trigger",
        "pg_extension",
        "pg_foreign_data_wrapper",
        "pg_foreign_server",
        "pg_language",
        "pg_largeobject_metadata",
        "pg_opclass",
        "pg_operator",
        "pg_opfamily",
        "pg_proc",
        "pg_publication",
        "pg_publication_rel",
        "pg_range",
        "pg_seclabel",
        "pg_statistic_ext",
        "pg_transform",
        "pg_ts_config",
        "pg_ts_config_map",
        "pg_ts_dict",
        "pg_ts_parser",
        "pg_ts_template",
    ];
    let sum = "pg_catalog.count(*)::pg_catalog.int8, coalesce(pg_catalog.sum(c.xmin::pg_catalog.text::pg_catalog.int8), 0)::pg_catalog.int8";
    let mut parts = vec![
        format!("SELECT {sum} FROM pg_catalog.pg_class c WHERE c.relpersistence <> 't'"),
        format!("SELECT {sum} FROM pg_catalog.pg_namespace c WHERE c.nspname !~ '^pg_(temp|toast_temp)'"),
        format!(
            "SELECT {sum} FROM pg_catalog.pg_type c WHERE c.typnamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_(temp|toast_temp)')"
        ),
    ];
    parts.extend(OF_RELATIONS.iter().map(|(name, relation)| {
        format!("SELECT {sum} FROM pg_catalog.{name} c WHERE c.{relation} NOT IN (SELECT oid FROM pg_catalog.pg_class WHERE relpersistence = 't')")
    }));
    parts.extend(OTHERS.iter().map(|name| format!("SELECT {sum} FROM pg_catalog.{name} c")));
    let rows = session.query(&parts.join(" UNION ALL "))?;
    rows.rows.iter().map(|row| Ok((number(row, 0)?, number(row, 1)?))).collect()
}

/// Splits a line of an inventory into its fields. They stay as COPY wrote them: equal values are equal bytes.
pub fn fields(line: &[u8]) -> Vec<&[u8]> {
    line.strip_suffix(b"\n").unwrap_or(line).split(|byte| *byte == b'\t').collect()
}

/// A field as text, without COPY's escapes (manual, COPY, "Text Format"); none for NULL.
pub fn unescape(field: &[u8]) -> Option<Vec<u8>> {
    if field == b"\\N" {
        return None;
    }
    let (mut text, mut bytes) = (Vec::with_capacity(field.len()), field.iter());
    while let Some(byte) = bytes.next() {
        text.push(match (byte, byte == &b'\\') {
            (byte, false) => *byte,
            (_, true) => match bytes.next() {
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 11,
                Some(other) => *other,
                None => b'\\',
            },
        });
    }
    Some(text)
}

/// The error of an inventory that is none.
pub fn damaged() -> Error {
    Error::new(Kind::Verification, "the inventory of the catalogue is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_split_and_unescaped() {
        assert_eq!(fields(b"a\t\\N\tb\\tc\n"), [&b"a"[..], b"\\N", b"b\\tc"]);
        assert_eq!(unescape(b"\\N"), None);
        assert_eq!(unescape(b"b\\tc\\\\\\n").unwrap(), b"b\tc\\\n");
    }

    #[test]
    fn every_catalogue_stands_here_once_and_every_walked_one_has_a_key() {
        let mut names = BTreeSet::new();
        for catalogue in CATALOGUES {
            assert!(names.insert(catalogue.name), "{}", catalogue.name);
            let keys = catalogue.columns.iter().filter(|(_, rule)| matches!(rule, Rule::Key(_))).count();
            assert_eq!(catalogue.from.is_empty(), keys == 0, "{}", catalogue.name);
        }
    }
}
