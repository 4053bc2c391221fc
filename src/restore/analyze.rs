//! Statistics for the planner, which no dump of PostgreSQL 13 to 17 holds: `ANALYZE` of what was restored, by several sessions.
//! It owns which tables, their order, and who may; it leaves sampling to the server, and says nothing of what was restored.
//! Invariant: a table that cannot be analyzed is told, and fails nothing. The limit on the whole and a signal count; a stall does not, as nothing moves.

use super::Job;
use crate::error::{Error, Kind, Result};
use crate::events::Event;
use crate::manifest::Property;
use crate::postgres::catalogue::cell;
use crate::postgres::quote::{quote_literal, quote_qualified};
use crate::postgres::session::Session;
use crate::units::first;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was analyzed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Analyzed {
    /// Tables and materialized views; a partitioned table counts once, with its partitions.
    pub tables: u64,
    /// How long it took.
    pub took: Duration,
}

/// How many tables are named that could not be analyzed.
const NAMED: usize = 5;

/// Analyzes the tables that were restored: all of the database, or those at these places in the manifest. `properties` are those that the database will
/// get: how fine its statistics are may be one of them.
pub fn analyze(job: &Job<'_>, chosen: &[usize], properties: &[Property], warnings: &mut Vec<String>) -> Result<Analyzed> {
    let begun = Instant::now();
    job.observer.event(&Event::Step("analyze"));
    let mut session = Session::connect(job.request.to, job.stop)?;
    let (tables, refused) = tables(&mut session, job, chosen)?;
    drop(session);
    let (next, done, failed) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let prepare = prepare(job, properties);
    let work = || -> Result<()> {
        let mut session = Session::connect(job.request.to, job.stop)?;
        session.execute(&prepare)?;
        while let Some(table) = tables.get(next.fetch_add(1, Ordering::Relaxed)) {
            match session.execute(&format!("ANALYZE {}", table.quoted)) {
                Ok(()) => drop(done.fetch_add(1, Ordering::Relaxed)),
                Err(error) => {
                    job.stop.check()?;
                    if matches!(error.kind(), Kind::Interrupted | Kind::TimedOut) {
                        return Err(error);
                    }
                    failed.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{} ({})", table.label, error.chain()));
                    session = Session::connect(job.request.to, job.stop)?;
                    session.execute(&prepare)?;
                }
            }
        }
        Ok(())
    };
    let over = AtomicBool::new(false);
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                job.stop.moved();
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let workers: Vec<_> = (0..job.request.jobs.clamp(1, tables.len().max(1))).map(|_| scope.spawn(|| job.together(work()))).collect();
        let panicked = || Err(Error::new(Kind::Failed, "a worker panicked: this is a bug in kluis"));
        let results = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| panicked())).collect();
        over.store(true, Ordering::Relaxed);
        results
    });
    crate::stop::first_cause(results)?;
    job.stop.check()?;
    if !refused.is_empty() {
        let names = first(&refused, NAMED).join(", ");
        warnings.push(format!("the planner has no statistics of tables that this role may not analyze: {names}; have their owner run ANALYZE"));
    }
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !failed.is_empty() {
        warnings.push(format!("tables that could not be analyzed: {}", first(&failed, NAMED).join(", ")));
    }
    Ok(Analyzed { tables: done.into_inner() as u64, took: begun.elapsed() })
}

/// What a session sets first. Nobody waits for these commits, and a crash takes no more than statistics along.
fn prepare(job: &Job<'_>, properties: &[Property]) -> String {
    let mut text = format!("SET synchronous_commit = off; SET lock_timeout = {};", job.request.lock_wait.as_millis());
    let fine = properties.iter().filter(|property| property.before == "ALTER DATABASE " && property.after.starts_with(" SET default_statistics_target TO "));
    fine.for_each(|property| text.push_str(&format!("{};", property.after)));
    text
}

/// A table to analyze.
struct Table {
    quoted: String,
    label: String,
}

/// The tables, the largest first, and the names of those that the role may not analyze. Partitions go with their parent, which the server sees to. Tables of
/// other servers stay where they are.
fn tables(session: &mut Session, job: &Job<'_>, chosen: &[usize]) -> Result<(Vec<Table>, Vec<String>)> {
    let maintain = if session.server_version_num() >= 170_000 { "OR pg_catalog.has_table_privilege(c.oid, 'MAINTAIN')" } else { "" };
    let of = if chosen.is_empty() {
        // Those that a server brings are its own; those of an extension may have been restored.
        "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'".to_owned()
    } else {
        let names = chosen.iter().map(|index| {
            let table = &job.manifest.tables[*index];
            quote_literal(&quote_qualified(&table.schema, &table.name))
        });
        format!("c.oid IN ({})", names.map(|name| format!("pg_catalog.to_regclass({name})")).collect::<Vec<_>>().join(", "))
    };
    let rows = session.query(&format!(
        "SELECT n.nspname, c.relname, pg_catalog.pg_has_role(c.relowner, 'USAGE') OR pg_catalog.pg_has_role(d.datdba, 'USAGE') {maintain}, c.relispartition,
            EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 1259 AND e.objid = c.oid AND e.deptype = 'e')
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
         WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' AND {of} ORDER BY pg_catalog.pg_relation_size(c.oid) DESC NULLS LAST, c.oid"
    ))?;
    let (mut may, mut refused) = (Vec::new(), Vec::new());
    for row in &rows.rows {
        let (schema, name) = (cell(row, 0)?, cell(row, 1)?);
        let label = format!("{schema}.{name}").escape_debug().to_string();
        let is = |column: usize| row.get(column).and_then(Option::as_deref) == Some("t");
        let (may_be, with_parent, of_extension) = (is(2), is(3) && chosen.is_empty(), is(4));
        if may_be && !with_parent {
            may.push(Table { quoted: quote_qualified(schema, name), label });
        } else if !may_be && !of_extension {
            refused.push(label);
        }
    }
    Ok((may, refused))
}
