//! The place to restore into: the checks before anything is written, and making room.
//! It owns "new or empty unless --clean", "--yes over the source", versions, roles and extensions; it leaves loading to its siblings, and the old
//! database's place to `swap`. Invariant: `check` changes nothing; `make_room` is called only after it found everything right.

use super::{Job, Request, Restored, Withheld, ahead, extensions, own, room, swap};
use crate::error::{Error, Kind, Result};
use crate::manifest::{Manifest, Property};
use crate::postgres::catalogue;
use crate::postgres::properties;
use crate::postgres::quote::{quote_ident, quote_literal};
use crate::postgres::server_error::ServerError;
use crate::postgres::session::Session;
use crate::stop::Stop;
use crate::units::listed;

/// The target, looked at.
pub struct Target {
    /// A session on the target database, or on a neighbour of it where it has to be made first.
    pub session: Session,
    /// The database is made anew, and then gets these properties back: those that it has, else those in the backup.
    properties: Option<Vec<Property>>,
    /// Its owner, where it is there and is dropped first.
    owner: Option<String>,
    /// Its tablespace, where that is not the standard one.
    tablespace: Option<String>,
    /// One of this name is there, and goes.
    pub replaces: bool,
    /// The database of the request's name was made by this restore.
    pub made: bool,
}

impl Target {
    /// One that is there, or has to be made.
    fn new(session: Session, properties: Option<Vec<Property>>, tablespace: Option<String>, replaces: bool) -> Target {
        Target { session, properties, owner: None, tablespace, replaces, made: false }
    }

    /// Whether the database is made, also where one is there.
    pub fn is_made(&self) -> bool {
        self.properties.is_some()
    }
}

/// How many of what a server lacks are named.
const NAMED: usize = 30;

/// The databases that are there on every server as a rule.
const NEIGHBOURS: [&str; 2] = ["postgres", "template1"];

/// Looks at everything that would make the restore fail, or do harm.
pub fn check(request: &Request<'_>, manifest: &Manifest, stop: &Stop, warnings: &mut Vec<String>) -> Result<Target> {
    let name = &request.to.database;
    let mut target = if request.create || (request.clean && request.tables.is_empty()) {
        let mut session = neighbour(request, stop)?;
        let rows = session.query(&format!("SELECT datname FROM pg_catalog.pg_database WHERE datname = {}", quote_literal(name)))?;
        match (rows.is_empty(), request.create, request.clean) {
            (false, true, false) => {
                return Err(Error::new(Kind::Usage, format!("database '{name}' exists already"))
                    .hinted("leave out --create to restore into it if it is empty, or choose another name"));
            }
            (true, false, _) => return Err(Error::new(Kind::Unreachable, format!("there is no database '{name}'")).hinted("--create makes it")),
            (new, true, _) => Target::new(session, Some(of_the_backup(manifest)), manifest.database.tablespace.clone(), !new),
            (false, false, true) => Target::new(session, None, None, true),
            (false, false, false) => unreachable!("one of the two was said"),
        }
    } else {
        Target::new(Session::connect(request.to, stop)?, None, None, false)
    };
    let major = target.session.server_version_num() / 10_000;
    if major < manifest.server.major {
        return Err(Error::new(Kind::Unreachable, format!("the backup is of PostgreSQL {}, and the server to restore into is {major}", manifest.server.major))
            .hinted("restore into a server of the same major or a newer one"));
    }
    if !catalogue::MAJORS.contains(&major) {
        return Err(Error::new(Kind::Unreachable, format!("the server to restore into is PostgreSQL {major}, which this version of kluis does not know")));
    }
    let mut database = manifest.database.clone();
    if request.no_owner && request.no_privileges {
        database.roles.clear();
    }
    database.tablespaces.extend(target.tablespace.clone().filter(|name| !manifest.database.tablespaces.contains(name)));
    let mut missing = catalogue::missing(&mut target.session, &database)?;
    if request.tables.is_empty() {
        missing.extend(extensions::unready(&mut target.session, &database, name)?);
    }
    if !missing.is_empty() {
        return Err(Error::new(Kind::Unreachable, format!("the server lacks what the backup needs: {}", listed(&missing, NAMED))).hinted(
            "--roles makes the roles; they and tablespaces are in globals.sql.gz (RESTORE.md shows how), extensions come from packages, and their libraries are preloaded by a setting of the server; --no-owner --no-privileges does without roles",
        ));
    }
    if request.clean && name == &manifest.database.name && !request.yes {
        return Err(Error::new(Kind::Usage, format!("this would drop what is in '{name}', which has the name of the database that the backup came from"))
            .hinted("restore into another database first (--create), or say --yes if you mean it"));
    }
    if target.properties.is_none() && request.clean && request.tables.is_empty() {
        target.properties = Some(properties::of(&mut target.session, name)?);
        let owner = format!(
            "SELECT pg_catalog.pg_get_userbyid(datdba), nullif(spcname, 'pg_default') FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace WHERE datname = {}",
            quote_literal(name)
        );
        let rows = target.session.query(&owner)?;
        (target.owner, target.tablespace) = (Some(rows.single()?.to_owned()), rows.get(0, 1).map(str::to_owned));
    } else if !request.create && request.tables.is_empty() {
        empty(&mut target.session, name)?;
        let rows = target
            .session
            .query("SELECT pg_catalog.pg_encoding_to_char(encoding) FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()")?;
        if rows.single()? != manifest.database.encoding {
            warnings.push(format!("database '{name}' has encoding {}, the backup {}: text is converted", rows.single()?, manifest.database.encoding));
        }
    }
    if target.is_made() {
        let owner = target.owner.as_deref().or_else(|| (!request.no_owner).then_some(manifest.database.owner.as_str()));
        let plan = ahead::Plan { owner, tablespace: target.tablespace.as_deref(), replaces: target.replaces };
        warnings.extend(ahead::check(&mut target.session, request, manifest, &plan, stop)?);
    }
    Ok(target)
}

/// Keeps other restores out of a database that is made, removes what killed ones left of it, and looks whether there is room for what is made now.
pub fn claim(request: &Request<'_>, manifest: &Manifest, target: &mut Target, warnings: &mut Vec<String>) -> Result<()> {
    if !target.is_made() {
        return Ok(());
    }
    swap::lock(&mut target.session, &request.to.database)?;
    warnings.extend(swap::sweep(&mut target.session, &request.to.database)?);
    if target.replaces { room::check(&mut target.session, request, manifest, target.tablespace.as_deref()) } else { Ok(()) }
}

/// Makes the database where that was asked for, in the place of the one that is there where the request says so. Returns what it is to be given at the end.
pub fn make_room(job: &Job<'_>, target: &mut Target, restored: &mut Restored) -> Result<Vec<Property>> {
    let Some(properties) = target.properties.take() else { return Ok(Vec::new()) };
    // A database is copied, and dropped, by one statement each, which may wait for a checkpoint.
    let _unseen = job.stop.unseen();
    let (request, name) = (job.request, &job.request.to.database);
    if target.replaces && request.in_place {
        // That it can be made, its making shows: only then the old one goes.
        let new = swap::Names::of(name).new;
        create(job, target, &new)?;
        let replaced = drop_database(&mut target.session, name, false)
            .map_err(|error| {
                error
                    .context(format!("cannot drop database {}", quote_ident(name)))
                    .hinted("end the sessions that use it (stop the application), and own it or be a superuser; nothing was changed")
            })
            .and_then(|()| target.session.execute(&format!("ALTER DATABASE {} RENAME TO {}", quote_ident(&new), quote_ident(name))));
        replaced.map_err(|error| swap::abandon(request, &new, error))?;
    } else {
        create(job, target, name)?;
    }
    target.made = true;
    let name = quote_ident(name);
    let (early, properties): (Vec<Property>, Vec<Property>) = properties.into_iter().partition(|property| property.computes(&job.manifest.database.extensions));
    for property in wanted(request, &properties, false).chain(&early) {
        if own::same_bytes(&target.session, job.manifest, &property.statement(&name)) {
            give(&mut target.session, &name, property, restored)?;
        } else {
            let (mut session, name) = own::within(request.to, job.stop)?;
            give(&mut session, &name, property, restored)?;
        }
    }
    Ok(properties)
}

/// Creates a database of that name as the backup's was.
fn create(job: &Job<'_>, target: &mut Target, named: &str) -> Result<()> {
    let (request, database, name) = (job.request, &job.manifest.database, quote_ident(named));
    let major = target.session.server_version_num() / 10_000;
    let mut create = format!(
        "CREATE DATABASE {name} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
        quote_literal(&database.encoding),
        quote_literal(&database.collate),
        quote_literal(&database.ctype)
    );
    if let Some(locale) = &database.locale {
        match database.locale_provider.as_str() {
            "icu" if major >= 15 => create.push_str(&format!(" LOCALE_PROVIDER icu ICU_LOCALE {}", quote_literal(locale))),
            "builtin" if major >= 17 => create.push_str(&format!(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {}", quote_literal(locale))),
            _ => {}
        }
        if let Some(rules) = database.icu_rules.as_ref().filter(|_| major >= 16) {
            create.push_str(&format!(" ICU_RULES {}", quote_literal(rules)));
        }
    } else if major >= 15 {
        create.push_str(" LOCALE_PROVIDER libc");
    }
    // The owner of a database that was there was asked of this very session.
    let mut from_within = None;
    match &target.owner {
        Some(owner) => create.push_str(&format!(" OWNER {}", quote_ident(owner))),
        None if request.no_owner => {}
        None if own::same_bytes(&target.session, job.manifest, &database.owner) => create.push_str(&format!(" OWNER {}", quote_ident(&database.owner))),
        None => from_within = Some(&database.owner),
    }
    if let Some(tablespace) = &target.tablespace {
        create.push_str(&format!(" TABLESPACE {}", quote_ident(tablespace)));
    }
    target.session.execute(&create).map_err(|error| {
        error
            .context(format!("cannot create database {name}"))
            .hinted("the role needs CREATEDB, and the server the backup's locale; a database that exists and is empty can be restored into without --create; nothing was changed")
    })?;
    if let Some(owner) = from_within {
        let (mut session, name) = own::within(&request.to.at(named), job.stop)?;
        let owned = session.execute(&format!("ALTER DATABASE {name} OWNER TO {}", quote_ident(owner)));
        owned.map_err(|error| error.context(format!("database {name} was created, and cannot be given to its owner")))?;
    }
    Ok(())
}

/// The backup's properties, as they are written today.
pub fn of_the_backup(manifest: &Manifest) -> Vec<Property> {
    manifest.database.properties.iter().map(properties::mended).collect()
}

/// Drops the database if it is there, also where it is a template; by `force` the sessions that use it, too. A failure leaves it as it was.
pub fn drop_database(session: &mut Session, database: &str, force: bool) -> Result<()> {
    let name = quote_ident(database);
    let is_template = format!("SELECT datname FROM pg_catalog.pg_database WHERE datistemplate AND datname = {}", quote_literal(database));
    let template = !session.query(&is_template)?.is_empty();
    if template {
        session.execute(&format!("ALTER DATABASE {name} IS_TEMPLATE false"))?;
    }
    let dropped = session.execute(&format!("DROP DATABASE IF EXISTS {name}{}", if force { " WITH (FORCE)" } else { "" }));
    if template && dropped.is_err() {
        session.execute(&format!("ALTER DATABASE {name} IS_TEMPLATE true"))?;
    }
    dropped
}

/// A session with another database of the server.
pub fn neighbour(request: &Request<'_>, stop: &Stop) -> Result<Session> {
    let mut last = None;
    for name in NEIGHBOURS.into_iter().filter(|name| *name != request.to.database) {
        match Session::connect(&request.to.at(name), stop) {
            Ok(session) => return Ok(session),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("there are two neighbours").context(format!(
        "cannot connect to '{}' on the same server, from where '{}' would be created or dropped",
        NEIGHBOURS.join("' or '"),
        crate::postgres::server_error::printable(&request.to.database)
    )))
}

/// Fails unless the database holds nothing of a user's.
fn empty(session: &mut Session, name: &str) -> Result<()> {
    let rows = session.query(
        "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 1259 AND e.objid = c.oid AND e.deptype = 'e')
         UNION ALL SELECT 'large object ' || oid FROM pg_catalog.pg_largeobject_metadata LIMIT 1",
    )?;
    match rows.get(0, 0) {
        None => Ok(()),
        Some(first) => Err(Error::new(Kind::Usage, format!("database '{name}' is not empty: it holds '{}'", first.escape_debug()))
            .hinted("restore into a new one (--create), or say --clean to drop and create this one")),
    }
}

/// Those properties that are wanted: rights and comments, or settings. What new sessions obey comes last of all.
fn wanted<'p>(request: &Request<'_>, properties: &'p [Property], setting: bool) -> impl Iterator<Item = &'p Property> + use<'p> {
    let no_privileges = request.no_privileges;
    properties.iter().filter(move |property| property.setting == setting && !(no_privileges && property.is_right()))
}

/// Gives the database its settings, but those that [`make_room`] gave it: after everything else, because a time limit or
/// `default_transaction_read_only` would get into the restore's way.
pub fn settle(request: &Request<'_>, stop: &Stop, properties: &[Property], restored: &mut Restored) -> Result<()> {
    let mut settings = wanted(request, properties, true).peekable();
    if settings.peek().is_none() {
        return Ok(());
    }
    let (mut session, name) = own::within(request.to, stop)?;
    settings.try_for_each(|property| give(&mut session, &name, property, restored))
}

/// Gives the database a property. The rows matter more than a right that this role or this server cannot give: that is a warning.
fn give(session: &mut Session, name: &str, property: &Property, restored: &mut Restored) -> Result<()> {
    let Err(error) = session.execute(&property.statement(name)) else { return Ok(()) };
    if matches!(error.kind(), Kind::Interrupted | Kind::TimedOut) {
        return Err(error);
    }
    let Some(refusal) = ServerError::of(&error) else { return Err(error) };
    let lacking = lacks(property, &refusal.sqlstate);
    restored.warnings.push(format!("the database was not given what it had ({}): {}", property.label(), error.chain()));
    restored.withheld.push(Withheld { property: property.clone(), lacking });
    Ok(())
}

/// Whether the server lacks what the property needs, by the code of its refusal (manual, appendix A). A value that it does not take says so of settings that
/// name what a machine has or has not: a locale, a time zone, a label's provider.
fn lacks(property: &Property, sqlstate: &str) -> bool {
    match sqlstate {
        // What is named is not there; not built in; a file of the installation.
        "42704" | "0A000" => true,
        "22023" => {
            let of_the_machine = [" SET lc_", " SET \"TimeZone\"", " SET timezone", " SET log_timezone"];
            properties::label_provider(property).is_some() || of_the_machine.iter().any(|words| property.after.starts_with(words))
        }
        _ => sqlstate.starts_with("58"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_lacks_and_what_is_refused() {
        let set = |after: &str| Property { before: "ALTER DATABASE ".to_owned(), after: after.to_owned(), setting: true };
        let label = Property { before: "SECURITY LABEL FOR x ON DATABASE ".to_owned(), after: " IS 'y'".to_owned(), setting: false };
        for (property, sqlstate, lacking) in [
            (set(" SET lc_messages TO 'xx'"), "22023", true),
            (set(" SET \"TimeZone\" TO 'Mars/North'"), "22023", true),
            (label, "22023", true),
            (set(" SET rds.odd TO 'x'"), "42704", true),
            (set(" SET work_mem TO 'odd'"), "22023", false),
            (set(" SET work_mem TO"), "42601", false),
            (set(" SET role TO 'x'"), "42501", false),
        ] {
            assert_eq!(lacks(&property, sqlstate), lacking, "{property:?}");
        }
    }
}
