//! `--roles`: roles of the backup that the server lacks, with their memberships and settings, made before the database is.
//! It owns which are made, what this role may give them, and taking them away again; reading the backup's and the server's own text is `globals`'.
//! Invariant: a role that is there is left as it is, and each way in which it differs is told; a password is set only where that was asked for.
//!
//! All roles of the globals are made, not only those that the database names: a role that logs in and has its rights by membership in a predefined role
//! or by PUBLIC is named nowhere in it, and would be missed on an empty server.

mod differences;

use super::{Request, Restored};
use crate::error::{Error, Kind, Result};
use crate::globals::{ATTRIBUTES, Globals, Membership, Right, Role, altered};
use crate::manifest::{Database, Manifest, Property};
use crate::postgres::child::{Passfile, Tool};
use crate::postgres::connection::Connection;
use crate::postgres::properties;
use crate::postgres::quote::{quote_ident, quote_literal};
use crate::postgres::roles;
use crate::postgres::server_error::ServerError;
use crate::postgres::session::Session;
use crate::postgres::tools::find;
use crate::stop::{Limits, Stop, Watchdog};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

/// The manifest as the checks of the place should see it: roles that will be made are not missing.
pub fn beside<'m>(manifest: &'m Manifest, globals: Option<&Globals>) -> Cow<'m, Manifest> {
    let Some(globals) = globals else { return Cow::Borrowed(manifest) };
    let roles = manifest.database.roles.iter().filter(|name| globals.role(name).is_none()).cloned().collect();
    Cow::Owned(Manifest { database: Database { roles, ..manifest.database.clone() }, ..manifest.clone() })
}

/// What is to be done, and what is told of the roles that are there.
pub struct Plan {
    make: Vec<Role>,
    memberships: Vec<Membership>,
    rights: Vec<Right>,
    /// Settings of all roles: name, and what sets it.
    everybody: Vec<(String, String)>,
    /// In which way roles that are there differ from the backup's.
    pub differences: Vec<String>,
    encoding: String,
    grantors: bool,
}

/// The role that restores.
struct Own {
    name: String,
    may: [bool; 7],
    major: u32,
}

impl Own {
    fn look(session: &mut Session) -> Result<Own> {
        let rows = session.query(
            "SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user",
        )?;
        let may = std::array::from_fn(|place| rows.get(0, place + 1) == Some("t"));
        Ok(Own { name: rows.single()?.to_owned(), may, major: session.server_version_num() / 10_000 })
    }

    fn has(&self, attribute: &str) -> bool {
        ATTRIBUTES.iter().zip(self.may).any(|((word, _), may)| *word == attribute && may)
    }

    fn is_superuser(&self) -> bool {
        self.has("SUPERUSER")
    }

    /// Whether it may give an attribute (manual, CREATE ROLE; user.c, `CreateRole`): since 16 what it has itself, before all but three.
    fn may_give(&self, attribute: &str) -> bool {
        match attribute {
            _ if self.is_superuser() => true,
            "SUPERUSER" => false,
            "REPLICATION" | "BYPASSRLS" => self.major >= 16 && self.has(attribute),
            "CREATEDB" => self.major < 16 || self.has(attribute),
            _ => true,
        }
    }
}

/// Looks what there is to do. Changes nothing, and refuses what could not be done.
pub fn plan(request: &Request<'_>, manifest: &Manifest, globals: Globals, session: &mut Session, stop: &Stop) -> Result<Plan> {
    let own = Own::look(session)?;
    let living = living(request, session, own.major, &globals.encoding, stop)?;
    let make: Vec<Role> = globals.roles.iter().filter(|role| living.role(&role.name).is_none()).cloned().collect();
    if !make.is_empty() && !own.is_superuser() && !own.has("CREATEROLE") {
        let name = quote_ident(&own.name);
        return Err(Error::new(Kind::Unreachable, format!("role {name} may not create roles, and the server lacks {}", names(&make))).hinted(format!(
            "ALTER ROLE {name} CREATEROLE, by a superuser, gives it that right; or let one make them: gunzip -c globals.sql.gz | psql -X -d postgres; nothing was changed"
        )));
    }
    if request.role_passwords && !manifest.server.role_passwords && make.iter().any(|role| role.has("LOGIN")) {
        return Err(Error::usage("the backup has no passwords of roles: the role that made it may not read them")
            .hinted("leave out --role-passwords, and set them afterwards: ALTER ROLE … PASSWORD; nothing was changed"));
    }
    let new = |name: &str| make.iter().any(|role| role.name == name);
    let memberships = globals.memberships.iter().filter(|found| new(&found.role) || new(&found.member)).cloned().collect();
    let rights = globals.rights.iter().filter(|right| new(&right.grantee)).cloned().collect();
    let mut differences = differences::between(&globals, &living, session)?;
    // What all roles get, those get that are there: only where nobody else works on the server.
    let alone = living.roles.iter().all(|role| role.name == own.name || !role.has("LOGIN"));
    let there = Globals::parse(roles::of_everybody(session, true)?.0.as_bytes())?.everybody;
    let (everybody, left): (Vec<_>, Vec<_>) = globals
        .everybody
        .iter()
        .filter(|setting| !there.contains(setting))
        .cloned()
        .partition(|(name, _)| alone && there.iter().all(|(known, _)| known != name));
    differences
        .extend(left.iter().map(|(name, _)| format!("the setting {name} of all roles (ALTER ROLE ALL) is another one on the server, and was left as it is")));
    // Before 16 who granted a membership meant nothing, and pg_dumpall of later versions leaves it out.
    let grantors = manifest.server.major >= 16 || own.major < 16;
    Ok(Plan { make, memberships, rights, everybody, differences, encoding: globals.encoding, grantors })
}

impl Plan {
    /// What would be done, a line each.
    pub fn describe(&self) -> Vec<String> {
        let login = |role: &Role| if role.has("LOGIN") { ", which may log in" } else { "" };
        let made = self.make.iter().map(|role| format!("role {} is made{}", quote_ident(&role.name), login(role)));
        let everybody = self.everybody.iter().map(|(name, _)| format!("all roles get the setting {name}"));
        made.chain(everybody)
            .chain(self.memberships.iter().map(|found| format!("role {} becomes a member of {}", quote_ident(&found.member), quote_ident(&found.role))))
            .collect()
    }
}

/// What the server's own pg_dumpall says of its roles, without passwords, in the same encoding.
fn living(request: &Request<'_>, session: &Session, major: u32, encoding: &str, stop: &Stop) -> Result<Globals> {
    let tools = find(request.places, major)?;
    let passfile = Passfile::create(request.scratch, request.to)?;
    let to = session.for_programs();
    let database = to.database.replace('\\', "\\\\").replace('\'', "\\'");
    let tool = Tool::new(tools.program("pg_dumpall")).connected(&to, &passfile);
    let tool = tool.args(["--roles-only", "--no-role-passwords", "--no-password"]).arg(format!("--encoding={encoding}"));
    let text = tool.arg(format!("--database=dbname='{database}'")).output(256 << 20, stop)?;
    Globals::parse(&text).map_err(|error| error.context("the server's own roles cannot be read"))
}

/// The names of roles, the first of them.
fn names(roles: &[Role]) -> String {
    const MOST: usize = 10;
    let more = if roles.len() > MOST { format!(" and {} more", roles.len() - MOST) } else { String::new() };
    let named: Vec<String> = roles.iter().take(MOST).map(|role| quote_ident(&role.name)).collect();
    format!("role {}{more}", named.join(", "))
}

/// The settings in the database, which is there and keeps its own properties, of roles that were made.
pub fn settings(manifest: &Manifest, made: &[String]) -> Vec<Property> {
    let of_made = |property: &&Property| {
        let statement = property.before.rsplit("; ").next().unwrap_or_default();
        altered(statement.as_bytes()).is_some_and(|(name, _)| made.iter().any(|role| role.as_bytes() == name))
    };
    manifest.database.properties.iter().filter(of_made).map(properties::mended).collect()
}

/// Roles that this restore made.
pub struct Made {
    to: Connection,
    names: Vec<String>,
    /// Statements that take back what this role gave to itself for the time of the restore.
    give_back: Vec<String>,
}

/// Makes the roles, all of them or none. What this role may not give them is told.
pub fn make(request: &Request<'_>, manifest: &Manifest, plan: &Plan, session: &mut Session, restored: &mut Restored) -> Result<Made> {
    let own = Own::look(session)?;
    let mut maker = Maker { session, own: &own, warnings: Vec::new(), give_back: Vec::new() };
    maker.session.execute(&format!("SET client_encoding = {}; BEGIN", quote_literal(&plan.encoding)))?;
    let done = maker.all(request, manifest, plan).and_then(|()| maker.session.execute("COMMIT"));
    let (warnings, give_back) = (std::mem::take(&mut maker.warnings), std::mem::take(&mut maker.give_back));
    if let Err(error) = done {
        let _ = session.execute("ROLLBACK");
        return Err(error
            .context("the roles could not be made")
            .hinted("nothing was changed; a superuser can make them: gunzip -c globals.sql.gz | psql -X -d postgres"));
    }
    session.speak()?;
    restored.warnings.extend(warnings);
    restored.roles = plan.make.iter().map(|role| role.name.clone()).collect();
    let without = |role: &&Role| role.has("LOGIN") && (role.password.is_none() || !request.role_passwords);
    // One that had none in the backup lacks nothing.
    let lacks = |role: &&Role| without(role) && (role.password.is_some() || !manifest.server.role_passwords);
    restored.roles_without_password = plan.make.iter().filter(lacks).map(|role| role.name.clone()).collect();
    if !restored.roles_without_password.is_empty() {
        let named: Vec<String> = restored.roles_without_password.iter().map(|name| quote_ident(name)).collect();
        let how = if manifest.server.role_passwords { "give them one, or restore with --role-passwords" } else { "give them one" };
        restored.warnings.push(format!("roles that may log in were made without a password: {} ({how}: ALTER ROLE … PASSWORD)", named.join(", ")));
    }
    Ok(Made { to: session.connection().clone(), names: restored.roles.clone(), give_back })
}

struct Maker<'s> {
    session: &'s mut Session,
    own: &'s Own,
    warnings: Vec<String>,
    give_back: Vec<String>,
}

impl Maker<'_> {
    fn all(&mut self, request: &Request<'_>, manifest: &Manifest, plan: &Plan) -> Result<()> {
        for role in &plan.make {
            self.create(role, request.role_passwords)?;
        }
        for membership in &plan.memberships {
            self.join(membership, plan.grantors)?;
        }
        for role in &plan.make {
            let name = quote_ident(&role.name);
            for (setting, value) in &role.settings {
                self.or_tell(&format!("ALTER ROLE {name} SET {setting} TO {value}"), &format!("role {name} was not given its setting {setting}"))?;
            }
            if let Some(comment) = &role.comment {
                self.or_tell(&format!("COMMENT ON ROLE {name} IS {comment}"), &format!("role {name} was not given its comment"))?;
            }
            for (provider, label) in &role.labels {
                let statement = format!("SECURITY LABEL FOR {provider} ON ROLE {name} IS {label}");
                self.or_tell(&statement, &format!("role {name} was not given its security label of {provider}"))?;
            }
        }
        for (setting, statement) in &plan.everybody {
            self.or_tell(statement, &format!("the setting {setting} of all roles was not made"))?;
        }
        for right in &plan.rights {
            self.or_tell(&right.statement, &format!("role {} was not given a right on a parameter", quote_ident(&right.grantee)))?;
        }
        if !self.own.is_superuser() {
            let owners: BTreeSet<&String> = manifest.database.roles.iter().chain([&manifest.database.owner]).collect();
            plan.make.iter().filter(|role| owners.contains(&role.name)).try_for_each(|role| self.borrow(role))?;
        }
        Ok(())
    }

    /// Only what differs from a new role's attributes is said: to say NOSUPERUSER takes a superuser, before 16.
    fn create(&mut self, role: &Role, password: bool) -> Result<()> {
        let (name, mut words) = (quote_ident(&role.name), String::new());
        for ((attribute, default), may) in ATTRIBUTES.into_iter().zip(role.may) {
            if may != default && self.own.may_give(attribute) {
                words.push_str(&format!(" {}{attribute}", if may { "" } else { "NO" }));
            } else if may != default {
                self.warnings.push(format!("role {name} was made without {attribute}, which role {} may not give", quote_ident(&self.own.name)));
            }
        }
        if role.connections != -1 {
            words.push_str(&format!(" CONNECTION LIMIT {}", role.connections));
        }
        if let Some(until) = &role.valid_until {
            words.push_str(&format!(" VALID UNTIL {until}"));
        }
        if let Some(password) = role.password.as_ref().filter(|_| password) {
            words.push_str(&format!(" PASSWORD {}", password.expose()));
        }
        self.session.execute(&format!("CREATE ROLE {name}{words}")).map_err(|error| error.context(format!("cannot create role {name}")))
    }

    fn join(&mut self, found: &Membership, grantors: bool) -> Result<()> {
        let (role, member) = (quote_ident(&found.role), quote_ident(&found.member));
        let mut options = Vec::new();
        if found.admin {
            options.push("ADMIN OPTION".to_owned());
        }
        if self.own.major >= 16 {
            options.extend(found.inherit.map(|inherit| format!("INHERIT {inherit}")));
            if !found.set {
                options.push("SET false".to_owned());
            }
        }
        let with = if options.is_empty() { String::new() } else { format!(" WITH {}", options.join(", ")) };
        let grant = format!("GRANT {role} TO {member}{with}");
        let by = found.grantor.as_ref().filter(|_| grantors).map(|grantor| quote_ident(grantor));
        if let Some(by) = by {
            if self.attempt(&format!("{grant} GRANTED BY {by}"))?.is_none() {
                return Ok(());
            }
            if self.attempt(&grant)?.is_none() {
                self.warnings.push(format!("that role {member} is a member of {role} was not granted by {by}, as it was, but by this restore"));
                return Ok(());
            }
        }
        self.or_tell(&grant, &format!("role {member} was not made a member of {role}"))
    }

    /// Makes this role a member of one that it made, for the time of the restore: who gives something away has to be.
    fn borrow(&mut self, role: &Role) -> Result<()> {
        let name = quote_ident(&role.name);
        let has = format!("SELECT pg_catalog.pg_has_role({}, 'USAGE')", quote_literal(&role.name));
        if self.session.query(&has)?.single()? == "t" {
            return Ok(());
        }
        let (options, by) = if self.own.major >= 16 { (" WITH INHERIT true, SET true", " GRANTED BY CURRENT_USER") } else { ("", "") };
        if self.attempt(&format!("GRANT {name} TO CURRENT_USER{options}"))?.is_none() {
            self.give_back.push(format!("REVOKE {name} FROM CURRENT_USER{by}"));
        }
        Ok(())
    }

    /// Runs a statement within the transaction. What the server refuses is returned, and undone.
    fn attempt(&mut self, statement: &str) -> Result<Option<Error>> {
        self.session.execute("SAVEPOINT one")?;
        match self.session.execute(statement) {
            Ok(()) => self.session.execute("RELEASE SAVEPOINT one").map(|()| None),
            Err(error) if ServerError::of(&error).is_some() && self.session.in_transaction() => {
                self.session.execute("ROLLBACK TO SAVEPOINT one; RELEASE SAVEPOINT one")?;
                Ok(Some(error))
            }
            Err(error) => Err(error),
        }
    }

    fn or_tell(&mut self, statement: &str, what: &str) -> Result<()> {
        if let Some(error) = self.attempt(statement)? {
            self.warnings.push(format!("{what}: {}", error.chain()));
        }
        Ok(())
    }
}

impl Made {
    /// Ends the restore for them: this role gives back what it borrowed; of a restore that failed they are taken away.
    pub fn end(self, result: Result<Restored>) -> Result<Restored> {
        // The token of the restore may have tripped; what was made is removed all the same.
        let stop = Stop::new();
        let _dog = Watchdog::start(&stop, Limits { deadline: Some(Duration::from_secs(8)), stall: None }, Default::default());
        let run = |statements: &[String]| -> Result<()> {
            if statements.is_empty() {
                return Ok(());
            }
            let mut session = Session::connect(&self.to, &stop)?;
            statements.iter().try_for_each(|statement| session.execute(statement))
        };
        match result {
            Ok(mut done) => {
                if let Err(error) = run(&self.give_back) {
                    done.warnings.push(format!("this role is still a member of roles that it made ({}): {}", self.give_back.join("; "), error.chain()));
                }
                Ok(done)
            }
            Err(error) if self.names.is_empty() => Err(error),
            Err(error) => {
                let named: Vec<String> = self.names.iter().map(|name| quote_ident(name)).collect();
                match run(&[format!("DROP ROLE {}", named.join(", "))]) {
                    Ok(()) => Err(error),
                    Err(why) => Err(error.context(format!("roles are left of a restore that failed: {} ({})", named.join(", "), why.chain()))),
                }
            }
        }
    }
}
