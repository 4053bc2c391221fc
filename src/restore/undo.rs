//! Taking away what a restore that failed left in a database that was there, and empty, before.
//! It owns finding what is new and dropping it; databases that the restore made itself are dropped whole, elsewhere.
//! Invariant: nothing that was there before is dropped, but for what somebody made meanwhile to depend on what was restored.

use crate::error::{Error, Kind, Result};
use crate::postgres::catalogue::cell;
use crate::postgres::connection::Connection;
use crate::postgres::session::Session;
use crate::stop::{Limits, Stop, Watchdog};
use std::collections::HashSet;
use std::time::Duration;

/// Catalogues of what is not dropped along with something else, each with which of its rows, in the order in which they go.
const CATALOGUES: &[(&str, &str)] = &[
    ("pg_event_trigger", ""),
    ("pg_publication", ""),
    ("pg_subscription", "AND subdbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())"),
    ("pg_extension", ""),
    ("pg_namespace", ""),
    ("pg_class", "AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')"),
    ("pg_cast", ""),
    ("pg_transform", ""),
    ("pg_opclass", ""),
    ("pg_opfamily", ""),
    ("pg_operator", ""),
    ("pg_proc", ""),
    (
        "pg_type",
        "AND typtype IN ('b', 'c', 'd', 'e', 'r', 'p') AND NOT (typelem <> 0 AND typcategory = 'A') AND (typrelid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = typrelid AND c.relkind = 'c'))",
    ),
    ("pg_language", ""),
    ("pg_foreign_data_wrapper", ""),
    ("pg_foreign_server", ""),
    ("pg_collation", ""),
    ("pg_conversion", ""),
    ("pg_ts_config", ""),
    ("pg_ts_dict", ""),
    ("pg_ts_parser", ""),
    ("pg_ts_template", ""),
    ("pg_am", ""),
    ("pg_statistic_ext", ""),
];

/// From which OID on objects are a user's (transam.h, `FirstNormalObjectId`).
const FIRST: u32 = 16384;

/// What was in the database before.
pub struct Before {
    /// Pairs of catalogue and OID.
    objects: HashSet<(String, String)>,
    /// Whether default rights were set.
    default_rights: bool,
    /// The schemas: `public`, and what was prepared.
    schemas: Vec<Schema>,
}

/// What a restore changes of a schema that is there. Names are quoted.
#[derive(PartialEq, Eq)]
struct Schema {
    name: String,
    owner: String,
    /// The statement that gives it its comment, or none.
    comment: String,
    /// The statements that give all rights on it.
    grants: Vec<String>,
    /// Who has any.
    grantees: Vec<String>,
}

fn schemas(session: &mut Session) -> Result<Vec<Schema>> {
    let who = "CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantee)) END";
    let rows = session.query(&format!(
        "SELECT pg_catalog.quote_ident(nspname), pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(nspowner)),
            pg_catalog.format('COMMENT ON SCHEMA %I IS %L', nspname, pg_catalog.obj_description(n.oid, 'pg_namespace')),
            coalesce((SELECT pg_catalog.json_agg(pg_catalog.format('GRANT %s ON SCHEMA %I TO %s', privilege_type, nspname, {who}) || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
                ORDER BY grantee, privilege_type) FROM pg_catalog.aclexplode(coalesce(nspacl, pg_catalog.acldefault('n', nspowner)))), '[]'),
            coalesce((SELECT pg_catalog.json_agg(DISTINCT {who}) FROM pg_catalog.aclexplode(nspacl)), '[]')
         FROM pg_catalog.pg_namespace n WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY nspname"
    ))?;
    let list = |text: &str| serde_json::from_str(text).map_err(|_| Error::new(Kind::Failed, "the rights on a schema cannot be read"));
    rows.rows
        .iter()
        .map(|row| {
            let [name, owner, comment] = [cell(row, 0)?, cell(row, 1)?, cell(row, 2)?].map(str::to_owned);
            Ok(Schema { name, owner, comment, grants: list(cell(row, 3)?)?, grantees: list(cell(row, 4)?)? })
        })
        .collect()
}

/// The statements that make a schema what it was.
fn back(was: &Schema, is: &Schema) -> Vec<String> {
    let name = &was.name;
    let mut statements = Vec::new();
    if was.owner != is.owner {
        statements.push(format!("ALTER SCHEMA {name} OWNER TO {}", was.owner));
    }
    if was.grants != is.grants {
        statements.extend(is.grantees.iter().map(|grantee| format!("REVOKE ALL ON SCHEMA {name} FROM {grantee} CASCADE")));
        statements.extend(was.grants.iter().cloned());
    }
    if was.comment != is.comment {
        statements.push(was.comment.clone());
    }
    statements
}

impl Before {
    /// Looks.
    pub fn look(session: &mut Session) -> Result<Before> {
        let default_rights = !session.query("SELECT FROM pg_catalog.pg_default_acl LIMIT 1")?.is_empty();
        Ok(Before { objects: there(session)?.into_iter().collect(), default_rights, schemas: schemas(session)? })
    }
}

fn there(session: &mut Session) -> Result<Vec<(String, String)>> {
    // Up to 13 only a superuser reads all of it, and makes any.
    let subscriptions = session.query("SELECT pg_catalog.has_column_privilege('pg_catalog.pg_subscription', 'oid', 'SELECT')")?.single()? == "t";
    let parts: Vec<String> = CATALOGUES
        .iter()
        .enumerate()
        .filter(|(_, (name, _))| subscriptions || *name != "pg_subscription")
        .map(|(place, (name, condition))| {
            format!(
                "SELECT {place} AS place, 'pg_catalog.{name}'::pg_catalog.regclass::pg_catalog.oid AS class, x.oid FROM pg_catalog.{name} x WHERE x.oid >= {FIRST} {condition}
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.{name}'::pg_catalog.regclass AND d.objid = x.oid AND d.deptype IN ('e', 'i')
                    AND NOT (d.refclassid = d.classid AND d.refobjid = d.objid))"
            )
        })
        .collect();
    let rows = session.query(&format!("SELECT class, oid FROM ({}) AS all_of_them ORDER BY place, oid DESC", parts.join(" UNION ALL ")))?;
    rows.rows.iter().map(|row| Ok((cell(row, 0)?.to_owned(), cell(row, 1)?.to_owned()))).collect()
}

/// Drops what is new since, and returns the restore's error, with what could not be dropped.
pub fn take_away(to: &Connection, before: &Before, error: Error) -> Error {
    // The token of the restore may have tripped; what it made is removed all the same.
    let (stop, limit) = (Stop::new(), if error.kind() == Kind::Interrupted { 8 } else { 600 });
    let _dog = Watchdog::start(&stop, Limits { deadline: Some(Duration::from_secs(limit)), stall: None }, Default::default());
    match drop_all(to, before, &stop) {
        Ok(None) => error,
        Ok(Some(left)) => error.context(format!("the database holds a part of what a restore that failed made ({left})")),
        Err(why) => error.context(format!("the database holds a part of what a restore that failed made ({})", why.chain())),
    }
}

/// Drops everything but what was there before. Returns what is left.
fn drop_all(to: &Connection, before: &Before, stop: &Stop) -> Result<Option<String>> {
    let mut session = Session::connect(to, stop)?;
    let mut why = String::new();
    // What could not go for something else's sake goes in the second round.
    for _ in 0..3 {
        let new: Vec<(String, String)> = there(&mut session)?.into_iter().filter(|object| !before.objects.contains(object)).collect();
        if new.is_empty() {
            break;
        }
        for (class, oid) in &new {
            for statement in statements(&mut session, class, oid)? {
                if let Err(error) = session.execute(&statement) {
                    if error.kind() == Kind::Unreachable || stop.reason().is_some() {
                        return Err(error);
                    }
                    why = error.chain();
                }
            }
        }
    }
    loop {
        // A lock each: not all in one transaction.
        let unlinked = session.query("SELECT pg_catalog.lo_unlink(oid) FROM (SELECT oid FROM pg_catalog.pg_largeobject_metadata LIMIT 1000) AS next");
        match unlinked {
            Ok(rows) if rows.is_empty() => break,
            Ok(_) => {}
            Err(error) => return Ok(Some(format!("large objects: {}", error.chain()))),
        }
    }
    if !before.default_rights {
        for statement in default_rights(&mut session)? {
            session.execute(&statement)?;
        }
    }
    for is in schemas(&mut session)? {
        let Some(was) = before.schemas.iter().find(|was| was.name == is.name) else { continue };
        for statement in back(was, &is) {
            if let Err(error) = session.execute(&statement) {
                return Ok(Some(format!("rights on schema {}: {}", is.name, error.chain())));
            }
        }
    }
    let left = there(&mut session)?.into_iter().filter(|object| !before.objects.contains(object)).count();
    Ok((left > 0).then(|| format!("{left} objects could not be dropped: {why}")))
}

/// What drops an object, in the words that the server has for it. Nothing where it is gone.
fn statements(session: &mut Session, class: &str, oid: &str) -> Result<Vec<String>> {
    let Ok(rows) = session.query(&format!("SELECT type, identity FROM pg_catalog.pg_identify_object({class}, {oid}, 0) WHERE identity IS NOT NULL")) else {
        return Ok(Vec::new());
    };
    let Some(row) = rows.rows.first() else { return Ok(Vec::new()) };
    let (kind, identity) = (cell(row, 0)?, cell(row, 1)?);
    Ok(match kind {
        "subscription" => vec![format!("ALTER SUBSCRIPTION {identity} SET (slot_name = NONE)"), format!("DROP SUBSCRIPTION {identity}")],
        "transform" => vec![format!("DROP TRANSFORM IF EXISTS {} CASCADE", identity.replacen(" on language ", " language ", 1))],
        "function" | "procedure" | "aggregate" => vec![format!("DROP ROUTINE IF EXISTS {identity} CASCADE")],
        "foreign-data wrapper" => vec![format!("DROP FOREIGN DATA WRAPPER IF EXISTS {identity} CASCADE")],
        "statistics object" => vec![format!("DROP STATISTICS IF EXISTS {identity} CASCADE")],
        "composite type" => vec![format!("DROP TYPE IF EXISTS {identity} CASCADE")],
        kind => vec![format!("DROP {kind} IF EXISTS {identity} CASCADE")],
    })
}

/// What gives default rights back that a new database has: none are set in one that was empty.
fn default_rights(session: &mut Session) -> Result<Vec<String>> {
    const KIND: &str = "CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END";
    let start = "pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s ', pg_catalog.pg_get_userbyid(defaclrole), ' IN SCHEMA ' || pg_catalog.quote_ident(nspname))";
    let who = "CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantee)) END";
    let from = "pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace";
    let rows = session.query(&format!(
        "SELECT DISTINCT 1 AS step, {start} || 'REVOKE ALL ON ' || {KIND} || ' FROM ' || {who} FROM {from}, pg_catalog.aclexplode(defaclacl)
         UNION ALL SELECT 2, {start} || 'GRANT ALL ON ' || {KIND} || ' TO ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(defaclrole)) FROM {from} WHERE defaclnamespace = 0
         UNION ALL SELECT 2, {start} || CASE defaclobjtype WHEN 'f' THEN 'GRANT EXECUTE ON FUNCTIONS' ELSE 'GRANT USAGE ON TYPES' END || ' TO PUBLIC' FROM {from}
            WHERE defaclnamespace = 0 AND defaclobjtype IN ('f', 'T')
         ORDER BY 1"
    ))?;
    rows.rows.iter().map(|row| cell(row, 1).map(str::to_owned)).collect()
}
