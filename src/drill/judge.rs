//! What is found of a backup in a running throwaway server, witness by witness.
//! It owns the order of the witnesses and the verdict that their findings come to; what each of them looks at is its own.
//! Invariant: nothing is restored from files that are not what they were; where a witness could not finish, its error decides, not its silence.

use super::{Request, Verdict, assertions, bytes, catalogue, globals, reasons, schema, values, words};
use crate::compare::{self, Comparison};
use crate::error::{Error, Kind, Result};
use crate::events::{Event, Observer};
use crate::exception::{Class, Exception};
use crate::extensions;
use crate::finding::{Cause, Finding};
use crate::manifest::{DrillFacts, Manifest, Property};
use crate::postgres::connection::Connection;
use crate::postgres::properties;
use crate::postgres::quote::{quote_ident, quote_literal};
use crate::postgres::session::Session;
use crate::postgres::throwaway::Throwaway;
use crate::postgres::tools::{Places, Tools};
use crate::repository::files::open_file;
use crate::restore::labels::Label;
use crate::restore::{self, NotRestored, Restored, Withheld};
use crate::stop::Stop;
use crate::verify::{self, Verified};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How many findings a verdict has at most. The rest would say the same.
const NAMED: usize = 100;

/// What the files say for themselves.
pub enum Papers<'b> {
    /// They are what they were, and the script is what pg_restore makes of the archive.
    Good(Verified<'b>),
    /// They are not.
    Wrong(Verdict),
}

/// Looks at the files: no server is needed, so this is done while one starts.
pub fn papers<'b>(request: &Request<'b>, manifest: &Manifest, tools: &Tools, stop: &Stop, observer: &dyn Observer) -> Result<Papers<'b>> {
    let verified = match verify::hashes(request.backup, stop, observer)? {
        Ok(verified) => verified,
        Err(wrong) => return Ok(Papers::Wrong(Verdict::Bad(Finding::all(Cause::Files, wrong)))),
    };
    Ok(match schema::script_against_archive(request.backup, manifest, tools, request.scratch, stop) {
        Ok(wrong) if wrong.is_empty() => Papers::Good(verified),
        Ok(wrong) => Papers::Wrong(Verdict::Bad(Finding::all(Cause::Script, wrong))),
        Err(error) => Papers::Wrong(reasons::verdict(error, false)?),
    })
}

/// A drill whose server runs.
pub struct Judge<'a> {
    /// What was asked for.
    pub request: &'a Request<'a>,
    /// The backup's manifest.
    pub manifest: &'a Manifest,
    /// The programs of the server's version.
    pub tools: &'a Tools,
    /// The server.
    pub server: &'a Throwaway,
    /// When the drill began.
    pub begun: Instant,
    /// Ends it.
    pub stop: &'a Stop,
    /// Is told of each step.
    pub observer: &'a dyn Observer,
}

impl Judge<'_> {
    /// Restores and compares.
    pub fn verdict(&self, verified: &Verified<'_>) -> Result<Verdict> {
        let (manifest, server, stop, observer) = (self.manifest, self.server, self.stop, self.observer);
        let of_roles = match self.prepare()? {
            Ok(excepted) => excepted,
            Err(verdict) => return Ok(verdict),
        };
        let to = server.connection(&manifest.database.name);
        let places = Places { named: Some(self.tools.folder.clone()), path: Vec::new() };
        let restore = restore::Request {
            backup: self.request.backup,
            to: &to,
            places: &places,
            scratch: server.folder(),
            jobs: self.request.jobs,
            tables: &[],
            beside: None,
            // Also where it is called `postgres`, which every server has from the beginning.
            create: true,
            clean: true,
            // Nobody misses what a throwaway server holds.
            in_place: true,
            yes: true,
            no_owner: false,
            no_privileges: false,
            roles: false,
            role_passwords: false,
            dry_run: false,
            no_check: false,
            // No query of an application is planned here, and it would cost time that the restore's own does not show.
            analyze: false,
            // A dump of the restored database is taken before: settings would reach into it.
            settings: false,
            // A verdict of before is no reason not to look again.
            force: true,
            lock_wait: Duration::from_secs(60),
        };
        observer.event(&Event::Step("PostgreSQL's own restore"));
        let stock = restore::stock(&restore, verified, stop, observer)
            .and_then(|not_restored| schema::dumped(manifest, self.tools, &to, server.folder(), stop).map(|objects| (objects, not_restored)));
        let (stock, not_restored) = match stock.and_then(|stock| self.put_aside(&to.database).map(|()| stock)) {
            Ok(stock) => stock,
            Err(error) => return reasons::verdict(error, true),
        };
        let began = Instant::now();
        let mut restored = match restore::verified(&restore, verified, stop, observer) {
            Ok(restored) => restored,
            Err(error) => return reasons::verdict(error, !not_restored.is_empty()),
        };
        let restore_ms = began.elapsed().as_millis() as u64;
        let compared = self.compare(&to, stock, &not_restored, &restored.unlabelled).and_then(|compared| {
            observer.event(&Event::Step("values"));
            let aside = server.connection(aside(&to.database));
            values::check(manifest, &to, &aside, &compared.1.other_versions, stop).map(|values| (compared, values))
        });
        let ((comparison, schema), values) = match compared {
            Ok(compared) => compared,
            Err(error) => return reasons::verdict(error, false),
        };
        let mut wrong = self.of_rows(&comparison);
        wrong.extend(schema.wrong);
        wrong.extend(values.wrong);
        observer.event(&Event::Step("settings"));
        let (differences, unlabelled) = self.settle(&restore, &to, &mut restored)?;
        wrong.extend(differences);
        let passed = match self.request.assertions.filter(|_| wrong.is_empty()) {
            None => 0,
            Some(folder) => {
                observer.event(&Event::Step("assertions"));
                assertions::run(folder, &to, stop)?.unwrap_or_else(|failed| {
                    wrong.extend(Finding::all(Cause::Assertion, failed));
                    0
                })
            }
        };
        // Last, for afterwards no new session can be relied upon.
        let (mut session, mut witness) = (bytes::session(server, self.request.backup, stop)?, Session::connect(&to, stop)?);
        let late = globals::settle(self.request.backup, manifest, &mut session, &mut witness)?;
        wrong.extend(Finding::all(Cause::Globals, late));
        if !wrong.is_empty() {
            wrong.truncate(NAMED);
            return Ok(Verdict::Bad(wrong));
        }
        let facts = DrillFacts {
            server: self.tools.version.clone(),
            tables: comparison.tables,
            rows: comparison.rows,
            large_objects: manifest.large_objects.count,
            assertions: passed,
            inventory: schema.compared,
            unchecked: values.unchecked,
            restore_ms,
            total_ms: self.begun.elapsed().as_millis() as u64,
            sandbox: server.sandbox().word(),
        };
        let found = schema.exceptions.into_iter().chain(values.exceptions).chain(unlabelled).chain(of_roles);
        Ok(Verdict::Proven { asserted: passed > 0, facts, exceptions: exceptions(manifest, found) })
    }

    /// Makes the roles, once it is known that the server has what the backup's extensions want. What of them is excepted; or a verdict, if that is the end of it.
    fn prepare(&self) -> Result<Result<Vec<Exception>, Verdict>> {
        let mut session = Session::connect(&self.server.connection("postgres"), self.stop)?;
        let lacking = restore::extensions::not_here(&mut session, self.manifest, self.server.left_out())?;
        if !lacking.is_empty() {
            return Ok(Err(Verdict::CannotJudge(Finding::all(Cause::NoExtension, lacking))));
        }
        self.observer.event(&Event::Step("roles"));
        let (mut session, mut excepted) = (bytes::session(self.server, self.request.backup, self.stop)?, Vec::new());
        let wrong = globals::restore(self.request.backup, self.manifest, &mut session, &mut excepted)?;
        Ok(if wrong.is_empty() { Ok(excepted) } else { Err(Verdict::Bad(Finding::all(Cause::Globals, wrong))) })
    }

    /// Gives the database that PostgreSQL's own restore made another name. It is not dropped: that is refused where it has a subscription.
    fn put_aside(&self, name: &str) -> Result<()> {
        let mut session = Session::connect(&self.server.connection(if name == "postgres" { "template1" } else { "postgres" }), self.stop)?;
        session.execute(&format!("ALTER DATABASE {} RENAME TO {}", quote_ident(name), quote_ident(aside(name))))
    }

    /// Compares rows, and at the same time what the schema's witnesses say.
    fn compare(
        &self,
        to: &Connection,
        stock: schema::Objects,
        not_restored: &[NotRestored],
        unlabelled: &[Label],
    ) -> Result<(Comparison, catalogue::Findings)> {
        self.observer.event(&Event::Step("compare"));
        let (schema, comparison) = std::thread::scope(|scope| {
            let schema = scope.spawn(|| {
                let result = self.schema_differs(to, stock, not_restored, unlabelled);
                if result.is_err() {
                    self.stop.trip(crate::stop::Reason::Sibling);
                }
                result
            });
            let comparison = compare::database(to, self.manifest, self.request.jobs, self.stop, self.observer);
            (schema.join().unwrap_or_else(|_| Err(Error::new(Kind::Failed, "a part of the drill panicked: this is a bug in kluis"))), comparison)
        });
        crate::dump::first_failure(comparison, schema)
    }

    /// What the schema's witnesses say of the restored database: PostgreSQL's own restore, and the inventory.
    fn schema_differs(&self, to: &Connection, stock: schema::Objects, not_restored: &[NotRestored], unlabelled: &[Label]) -> Result<catalogue::Findings> {
        let (manifest, backup, folder) = (self.manifest, self.request.backup, self.server.folder());
        let ours = schema::dumped(manifest, self.tools, to, folder, self.stop)?;
        // What could not be brought back for want of rows alone was brought back by us, rows and all: there is nothing to compare it with.
        let left_out = not_restored.iter().map(|entry| entry.entry.trim_end().to_owned()).collect();
        let mut findings = catalogue::check(backup, manifest, to, folder, unlabelled, self.stop)?;
        let other = stock.without(&left_out).compare(&ours.without(&left_out), true, "PostgreSQL's own restore", "the restored database");
        if other.is_empty() {
            // Both restores agree, and neither has what the snapshot had.
            findings.wrong.iter_mut().for_each(|finding| finding.cause = Cause::NotRestorable);
        }
        findings.wrong.extend(Finding::all(Cause::Objects, other));
        let script = open_file(&backup.path.join(&manifest.script.file))?;
        let missing = words::missing(std::mem::take(&mut findings.words), schema::texts(&script, manifest)?);
        let missing = missing.map_err(|error| Error::new(Kind::Verification, "the script is damaged").because(error))?;
        findings.wrong.extend(Finding::all(Cause::Catalogue, missing));
        Ok(findings)
    }

    /// What the comparison of rows found.
    fn of_rows(&self, comparison: &Comparison) -> Vec<Finding> {
        let tables = &self.manifest.tables;
        let drifts = |index: usize| extensions::drifts(&self.manifest.database, &tables[index].schema, &tables[index].name);
        let different = comparison.different.iter().filter(|(index, _)| !drifts(*index)).map(|(index, difference)| difference.describe(&tables[*index]));
        let extra = comparison.extra.iter().map(|label| format!("table {label} is in the restored database and not in the manifest"));
        let mut wrong = Finding::all(Cause::Rows, different.chain(extra));
        if comparison.large_objects_differ {
            wrong.push(Finding::new(Cause::LargeObjects, "the large objects of the restored database are not those of the snapshot"));
        }
        wrong
    }

    /// Gives the restored database its settings. How its own rights, settings and comment then differ from the manifest's, and the labels that it has not
    /// for want of their provider: what this machine lacks tells nothing of the backup.
    fn settle(&self, restore: &restore::Request<'_>, to: &Connection, restored: &mut Restored) -> Result<(Vec<Finding>, Vec<Exception>)> {
        restore::settle(restore, self.stop, restored)?;
        let database = &self.manifest.database;
        let mut session = Session::connect(to, self.stop)?;
        let found = properties::of(&mut session, &to.database)?;
        let tablespace = session.query(&format!(
            "SELECT nullif(spcname, 'pg_default') FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace WHERE datname = {}",
            quote_literal(&to.database)
        ))?;
        let expected: Vec<Property> = database.properties.iter().map(properties::mended).collect();
        let (mut wrong, mut unlabelled) = (Vec::new(), Vec::new());
        if tablespace.get(0, 0) != database.tablespace.as_deref() {
            wrong.push("the restored database is not in the tablespace that the snapshot's was in".to_owned());
        }
        for property in expected.iter().filter(|property| !found.contains(property)) {
            match restored.withheld.iter().find(|withheld| withheld.property == *property) {
                Some(Withheld { lacking: true, .. }) => {
                    let of = |provider| Exception::new(Class::SecurityLabel, format!("database {}, of the provider {provider}", to.database));
                    unlabelled.extend(properties::label_provider(property).map(of));
                }
                Some(_) => wrong.push(format!("the restored database was not given what it had ({})", property.label())),
                None => wrong.push(format!("the restored database lacks what the snapshot's had: {}", property.label())),
            }
        }
        let more = found.iter().filter(|property| !expected.contains(property));
        wrong.extend(more.map(|property| format!("the restored database has what the snapshot's had not: {}", property.label())));
        Ok((Finding::all(Cause::Properties, wrong), unlabelled))
    }
}

/// The name under which the database of PostgreSQL's own restore waits.
fn aside(name: &str) -> &'static str {
    if name == "kluis_stock" { "kluis_stock_2" } else { "kluis_stock" }
}

/// What a restore does not bring back, each named once: what was announced, and what was found.
fn exceptions(manifest: &Manifest, found: impl Iterator<Item = Exception>) -> Vec<Exception> {
    manifest.not_included.iter().cloned().chain(found).collect::<BTreeSet<_>>().into_iter().collect()
}
