//! Values that a restore makes anew instead of loading them: generated columns, rows of extensions' own tables, entries of indexes.
//! It owns what a difference in them means; what they were, the manifest tells.
//! Invariant: rows that differ in two fresh restores as well are nobody's fault: an extension makes them itself.

use crate::compare::digest_of_witnessed;
use crate::error::{Error, Result};
use crate::exception::{Class, Exception};
use crate::extensions;
use crate::finding::{Cause, Finding};
use crate::manifest::{Manifest, Witnessed};
use crate::postgres::catalogue::{cell, with_generated_columns};
use crate::postgres::connection::Connection;
use crate::postgres::server_error::{ServerError, printable};
use crate::postgres::session::Session;
use crate::repository::names;
use crate::stop::Stop;
use std::collections::BTreeSet;

/// How many indexes, and how many tables, are named.
const NAMED: usize = 20;

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is wrong.
    pub wrong: Vec<Finding>,
    /// What no dump brings back.
    pub exceptions: Vec<Exception>,
    /// Indexes and generated columns that nothing could check.
    pub unchecked: Vec<String>,
}

/// Compares witnessed values. `stock` is the database that PostgreSQL's own restore made: its extensions are fresh as well. `others` are extensions of
/// another version than the source's.
pub fn check(manifest: &Manifest, restored: &Connection, stock: &Connection, others: &BTreeSet<String>, stop: &Stop) -> Result<Findings> {
    let mut findings = Findings::default();
    // An index is checked by one statement.
    let _unseen = stop.unseen();
    let mut session = Session::connect(restored, stop)?;
    let mut fresh = None;
    for values in &manifest.witnessed {
        if values.extension.as_ref().is_some_and(|extension| others.contains(extension)) {
            continue;
        }
        // Some change by themselves, in the source as in every restore.
        let noted = !values.dumped_in_part && values.extension.as_ref().is_some_and(|extension| extensions::works(extension));
        if noted || extensions::drifts(&manifest.database, &values.schema, &values.name) || matches(&mut session, manifest, values)? {
            continue;
        }
        let label = printable(&values.label());
        let Some(extension) = &values.extension else {
            findings.exceptions.push(Exception::new(Class::GeneratedColumn, format!("{} of table {label}", printable(&values.columns.join(", ")))));
            continue;
        };
        let fresh = match &mut fresh {
            Some(fresh) => fresh,
            None => fresh.insert(Session::connect(stock, stop)?),
        };
        // The rows as this restore has them: do they come so by themselves?
        let again = digest(&mut session, manifest, values)?;
        if again.is_none() || digest(fresh, manifest, values)? != again {
            continue;
        }
        if values.dumped_in_part {
            let what = format!("rows of table {label} were changed that extension {} does not have dumped", printable(extension));
            findings.wrong.push(Finding::new(Cause::NotRestorable, what));
        } else {
            findings.exceptions.push(Exception::new(Class::ExtensionMember, format!("extension {}: rows of its table {label}", printable(extension))));
        }
    }
    // Their entries were computed so.
    session.compute_as_everybody()?;
    indexes(&mut session, &mut findings)?;
    generated(&mut session, manifest, &mut findings)?;
    Ok(findings)
}

/// Generated columns that could not be read at the source, as a query over their table would have run somebody's function there.
fn generated(session: &mut Session, manifest: &Manifest, findings: &mut Findings) -> Result<()> {
    if manifest.file(names::INVENTORY).is_none() {
        return Ok(());
    }
    let witnessed: BTreeSet<(&str, &str)> = manifest.witnessed.iter().map(|values| (values.schema.as_str(), values.name.as_str())).collect();
    let tables = with_generated_columns(session, manifest.server.standby)?;
    let unseen = tables.iter().filter(|(schema, name)| !witnessed.contains(&(schema.as_str(), name.as_str())));
    findings.unchecked.extend(unseen.take(NAMED).map(|(schema, name)| printable(&format!("generated columns of {schema}.{name}"))));
    Ok(())
}

fn matches(session: &mut Session, manifest: &Manifest, values: &Witnessed) -> Result<bool> {
    Ok(digest(session, manifest, values)?.is_some_and(|found| found == (values.rows, values.digest.clone())))
}

/// Rows and digest; none where the table is not there, or has other columns: the inventory tells of that.
fn digest(session: &mut Session, manifest: &Manifest, values: &Witnessed) -> Result<Option<(u64, String)>> {
    match digest_of_witnessed(session, values, &manifest.database.encoding) {
        Ok(found) => Ok(Some((found.rows, found.hex()))),
        Err(error) if ServerError::of(&error).is_some_and(|error| ["42P01", "42703"].contains(&error.sqlstate.as_str())) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Indexes that call functions which are not built in: what such a function says may depend on rows that were not there yet when the index was built.
/// amcheck computes each entry anew (manual, `bt_index_check` with `heapallindexed`).
fn indexes(session: &mut Session, findings: &mut Findings) -> Result<()> {
    let rows = session.query(
        "SELECT i.indexrelid, i.indexrelid::pg_catalog.regclass, a.amname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
            JOIN pg_catalog.pg_am a ON a.oid = c.relam
            WHERE c.relkind = 'i' AND i.indisvalid AND c.oid >= 16384 AND EXISTS (SELECT FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.refobjid >= 16384
                    AND d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_opclass'::pg_catalog.regclass))
            ORDER BY 2",
    )?;
    if rows.is_empty() {
        return Ok(());
    }
    let known = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_available_extensions WHERE name = 'amcheck'";
    let amcheck = session.query(known)?.single()? == "1";
    if amcheck {
        // Where the database has it already, it may lie in any schema.
        session.execute("CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA pg_catalog")?;
    }
    let check = "SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'";
    let schema = if amcheck { session.query(check)?.single()?.to_owned() } else { String::new() };
    for row in rows.iter() {
        let (oid, name, method) = (cell(row, 0)?, printable(cell(row, 1)?), cell(row, 2)?);
        if !amcheck || method != "btree" {
            if findings.unchecked.len() < NAMED {
                findings.unchecked.push(format!("{name} ({method})"));
            }
            continue;
        }
        match session.execute(&format!("SELECT {schema}.bt_index_check({oid}, true)")) {
            Ok(()) => {}
            Err(error) if ServerError::of(&error).is_some() => {
                let what = format!("index {name} does not hold what its function says of the table's rows: {}", Error::chain(&error));
                findings.wrong.push(Finding::new(Cause::Index, what));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
