//! What a restore by a role that is no superuser goes on without, as PostgreSQL's own would: comments on others' extensions, rights that others gave,
//! owners it may not set, what only a superuser makes.
//! It owns which entries those are, and trying their statements one by one; it leaves running pg_restore to its parent.
//! Invariant: a table, its rows, a constraint or an index is never left out: that is an error. What is left out is named, each entry of it.

use super::{Job, NotRestored};
use crate::error::{Error, Kind, Result};
use crate::postgres::child::{Failed, Tool, kind_of};
use crate::postgres::contents::Entry;
use crate::postgres::fault::Fault;
use crate::postgres::quote::{quote_ident, quote_literal};
use crate::postgres::server_error::ServerError;
use crate::postgres::session::Session;
use crate::raw;
use crate::script::statements::Statements;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, OnceLock};

/// How many of them are named; the others are counted.
const NAMED: usize = 100;

/// What was left out so far.
#[derive(Default)]
pub struct Left {
    /// The archive's entries, with what they need, once somebody asked.
    archive: OnceLock<HashMap<u32, Entry>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The entries that are not there.
    out: HashSet<u32>,
    /// Those whose statements are tried one by one in the end.
    again: Vec<u32>,
    told: Vec<NotRestored>,
    more: usize,
}

impl State {
    fn tell(&mut self, entry: String, why: String) {
        if self.told.len() < NAMED { self.told.push(NotRestored { entry, why }) } else { self.more += 1 }
    }
}

/// What follows from the failure of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// A table, its rows, or what keeps them right: the restore has failed.
    Essential,
    /// Only its owner was not set.
    Owner,
    /// Statements about other objects.
    Words,
    /// What only a superuser may make, or the owner of something else.
    Superusers,
    /// What may be missing only where something that it needs is.
    Dependent,
}

const WORDS: &[&str] = &["ACL", "COMMENT", "DEFAULT ACL"];
const SUPERUSERS: &[&str] = &[
    "EXTENSION",
    "EVENT TRIGGER",
    "PUBLICATION",
    "SUBSCRIPTION",
    "FOREIGN DATA WRAPPER",
    "SERVER",
    "USER MAPPING",
    "PROCEDURAL LANGUAGE",
    "TRANSFORM",
    "CAST",
    "ACCESS METHOD",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE",
    "FUNCTION",
    "PROCEDURE",
    "AGGREGATE",
    "TYPE",
    "SHELL TYPE",
    "STATISTICS DATA",
];
const DEPENDENT: &[&str] = &[
    "VIEW",
    "FOREIGN TABLE",
    "TRIGGER",
    "RULE",
    "POLICY",
    "STATISTICS",
    "DOMAIN",
    "CONVERSION",
    "COLLATION",
    "OPERATOR",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
];

/// What has an owner of its own, set by a command of its own.
const OWNED: &[&str] = &[
    "TABLE",
    "SEQUENCE",
    "MATERIALIZED VIEW",
    "SCHEMA",
    "VIEW",
    "FOREIGN TABLE",
    "DOMAIN",
    "CONVERSION",
    "COLLATION",
    "OPERATOR",
    "STATISTICS",
    "TEXT SEARCH",
];

/// What is built of a table's rows, or keeps them right: it comes last, takes its time, and is never left out.
const ALWAYS: &[&str] = &["INDEX", "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT"];

fn is(entry: &Entry, kinds: &[&str]) -> bool {
    kinds.iter().any(|kind| entry.rest.strip_prefix(kind).is_some_and(|rest| rest.starts_with(' ')))
}

fn weight(entry: &Entry, failed: &Failed) -> Weight {
    let is = |kinds: &[&str]| is(entry, kinds);
    // A default in a schema of the name `ACL` is listed in the same way (826: pg_default_acl).
    if is(WORDS) && (!is(&["DEFAULT ACL"]) || entry.catalogue == DEFAULT_ACL) {
        return Weight::Words;
    }
    // The definition goes as one command before it. One of an identity column begins with ALTER as well.
    let owner = |command: &String| command.starts_with("ALTER ") && command.contains(" OWNER TO ");
    if (is(OWNED) || is(SUPERUSERS)) && !is(&["TABLE ATTACH", "TABLE DATA", "SEQUENCE SET", "SEQUENCE OWNED BY", "MATERIALIZED VIEW DATA"]) {
        let all = !failed.commands.is_empty() && failed.commands.iter().all(|command| owner(command) || (cut(command) && starts_as_owner(command, entry)));
        if all {
            return Weight::Owner;
        }
    }
    if is(SUPERUSERS) {
        Weight::Superusers
    } else if is(DEPENDENT) {
        Weight::Dependent
    } else {
        Weight::Essential
    }
}

/// The OID of pg_default_acl (pg_default_acl.h: fixed in all versions).
const DEFAULT_ACL: u32 = 826;

/// Whether pg_restore left out the end of a command.
fn cut(command: &str) -> bool {
    command.ends_with("...")
}

/// Whether a command whose end is missing can only be the one that sets the owner: the definition does not begin with ALTER, but for identity columns.
fn starts_as_owner(command: &str, entry: &Entry) -> bool {
    command.starts_with("ALTER ") && !entry.rest.starts_with("SEQUENCE ")
}

impl Left {
    /// Judges what pg_restore could not bring back. Fails where something is missing that may not be.
    pub fn judge(&self, job: &Job<'_>, failed: Vec<Failed>) -> Result<()> {
        if failed.is_empty() {
            return Ok(());
        }
        let archive = self.archive(job)?;
        judge(archive, &mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner), job, &failed)
    }

    /// Divides entries, in order: those that are never left out and need none of the others, and all others.
    pub fn divide(&self, job: &Job<'_>, entries: &[u32]) -> Result<(Vec<u32>, Vec<u32>)> {
        Ok(divide(self.archive(job)?, entries))
    }

    fn archive(&self, job: &Job<'_>) -> Result<&HashMap<u32, Entry>> {
        if let Some(archive) = self.archive.get() {
            return Ok(archive);
        }
        let archive = job.listing(&["--verbose"])?.into_iter().map(|entry| (entry.id, entry)).collect();
        Ok(self.archive.get_or_init(|| archive))
    }

    /// Tries the statements of rights and comments that failed, one by one, and returns all that was left out.
    pub fn finish(&self, job: &Job<'_>) -> Result<(Vec<NotRestored>, usize)> {
        let mut state = std::mem::take(&mut *self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        if !state.again.is_empty() {
            let list = job.list_file("again", &state.again)?;
            let mut tool = Tool::new(job.tools.program("pg_restore")).args(["--file=-", "--use-list"]).arg(&list.0);
            if job.request.no_owner {
                tool = tool.arg("--no-owner");
            }
            let text = tool.arg(job.archive()).output(1 << 30, job.stop)?;
            let mut session = Session::connect(job.request.to, job.stop)?;
            // As the text's own first lines say.
            session.execute(&format!("SET client_encoding = {}", quote_literal(&job.manifest.database.encoding)))?;
            one_by_one(&text, &mut session, &mut state)?;
        }
        Ok((state.told, state.more))
    }

    /// Notes something that is no entry of the archive.
    pub fn tell(&self, entry: String, why: String) {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).tell(entry, why);
    }
}

fn divide(archive: &HashMap<u32, Entry>, entries: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let listed: HashSet<u32> = entries.iter().copied().collect();
    let mut together = HashSet::new();
    // What an entry needs stands before it but for a few: then both are restored by one.
    for id in entries {
        let alone = archive.get(id).is_none_or(|entry| !is(entry, ALWAYS) || entry.needs.iter().any(|need| listed.contains(need) && !together.contains(need)));
        if !alone {
            together.insert(*id);
        }
    }
    entries.iter().copied().partition(|id| together.contains(id))
}

fn judge(archive: &HashMap<u32, Entry>, state: &mut State, job: &Job<'_>, failed: &[Failed]) -> Result<()> {
    let mut wrong = Vec::new();
    for failed in failed {
        let Some(entry) = archive.get(&failed.entry) else { return Err(Error::new(Kind::Failed, format!("pg_restore failed: {}", failed.why))) };
        let machine = matches!(failed.fault, Some(Fault::Disk | Fault::Memory | Fault::SharedMemory | Fault::Server | Fault::System));
        if machine || kind_of(&failed.why) != Kind::Failed {
            return Err(Error::new(kind_of(&failed.why), format!("pg_restore failed at {}: {}", named(entry, job), failed.why)));
        }
        let cause = entry.needs.iter().find(|id| state.out.contains(id)).and_then(|id| archive.get(id));
        match weight(entry, failed) {
            // What is said of something that is not there goes with it.
            Weight::Words if cause.is_some() => {}
            Weight::Words => state.again.push(entry.id),
            Weight::Owner => state.tell(format!("the owner of {}", named(entry, job)), short(&failed.why)),
            Weight::Dependent if cause.is_none() => wrong.push((entry, failed, cause)),
            Weight::Superusers | Weight::Dependent => {
                state.out.insert(entry.id);
                state.tell(named(entry, job), short(&failed.why));
            }
            Weight::Essential if entry.rest.starts_with("SCHEMA ") && is_there(job, entry)? => {}
            Weight::Essential => {
                state.out.insert(entry.id);
                wrong.push((entry, failed, cause));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let more = wrong.len().saturating_sub(5);
    let mut text: Vec<String> = wrong
        .iter()
        .take(5)
        .map(|(entry, failed, cause)| {
            let needs = cause.map_or_else(String::new, |cause| format!(" (it needs {}, which could not be made)", named(cause, job)));
            format!("{}: {}{needs}", named(entry, job), short(&failed.why))
        })
        .collect();
    if more > 0 {
        text.push(format!("{more} more"));
    }
    let out: Vec<String> = state.told.iter().filter(|left| left.entry.starts_with("EXTENSION ")).map(|left| format!("{} ({})", left.entry, left.why)).collect();
    let error = Error::new(Kind::Failed, format!("pg_restore could not bring back {}", text.join("; ")));
    Err(if out.is_empty() {
        error.hinted("restore as a superuser, or as a member of the roles that own what is restored, or with --no-owner")
    } else {
        error.hinted(format!("have a superuser create in the database, before it is restored into: {}", out.join(", ")))
    })
}

/// Whether a schema is there already: someone prepared the database.
fn is_there(job: &Job<'_>, entry: &Entry) -> Result<bool> {
    // `SCHEMA - name owner`; both may hold spaces, so the server looks which of its schemas it can be.
    let rest = entry.rest.trim_start_matches("SCHEMA - ");
    let mut session = Session::connect(job.request.to, job.stop)?;
    let found = session
        .query(&format!("SELECT FROM pg_catalog.pg_namespace WHERE pg_catalog.starts_with({0}, nspname::text || ' ') OR nspname = {0}", quote_literal(rest)))?;
    Ok(!found.is_empty())
}

/// An entry without its owner, which may be any of these roles, and its schema's place holder.
fn named(entry: &Entry, job: &Job<'_>) -> String {
    let (database, rest) = (&job.manifest.database, entry.rest.trim_end());
    let roles = database.roles.iter().chain([&database.owner, &job.manifest.server.superuser]);
    let owner = roles.filter(|role| rest.ends_with(&format!(" {role}"))).map(String::len).max();
    let rest = owner.map_or(rest, |length| &rest[..rest.len() - length - 1]);
    rest.replacen(" - ", " ", 1).escape_debug().to_string()
}

/// The first thing that pg_restore says of an entry: what follows it comes of it.
fn short(why: &str) -> String {
    let why = why.trim_start_matches("could not execute query: ");
    why.split("; could not execute query: ").next().unwrap_or_default().to_owned()
}

/// Carries out a text's statements, those about rights as the roles who gave them.
fn one_by_one(text: &[u8], session: &mut Session, state: &mut State) -> Result<()> {
    let (mut statements, mut acting) = (Statements::default(), None::<String>);
    statements.push(text, |statement| {
        let statement = raw::text(statement);
        let statement = statement.as_str();
        if let Some(role) = statement.strip_prefix("SET SESSION AUTHORIZATION ") {
            acting = Some(role.trim_end_matches(';').to_owned()).filter(|role| role != "DEFAULT");
            return Ok(());
        }
        if statement.starts_with("RESET SESSION AUTHORIZATION") {
            acting = None;
            return Ok(());
        }
        if statement.starts_with("SET ") || statement.starts_with("SELECT pg_catalog.set_config(") {
            return Ok(());
        }
        // A role's name in a literal of SET SESSION AUTHORIZATION is one of SET ROLE as well.
        let done = match &acting {
            Some(role) => session.execute(&format!("SET ROLE {role}")).and_then(|()| {
                let done = session.execute(statement);
                session.execute("RESET ROLE").and(done)
            }),
            None => session.execute(statement),
        };
        let Err(error) = done else { return Ok(()) };
        if ServerError::of(&error).is_none() {
            return Err(error);
        }
        if !already(session, statement)? {
            // Of a comment only what it is about.
            let said = statement
                .split_once(" IS ")
                .filter(|_| !statement.starts_with("GRANT ") && !statement.starts_with("REVOKE "))
                .map_or(statement, |(about, _)| about);
            let said: String = said.trim_end_matches(';').escape_debug().take(300).collect();
            state.tell(said, ServerError::of(&error).map(ToString::to_string).unwrap_or_default());
        }
        Ok(())
    })
}

/// Whether an extension has that comment already: it comes with the extension, as a rule.
fn already(session: &mut Session, statement: &str) -> Result<bool> {
    let Some(rest) = statement.strip_prefix("COMMENT ON EXTENSION ") else { return Ok(false) };
    let Some((_, value)) = rest.split_once(" IS ") else { return Ok(false) };
    let value = value.trim_end_matches(';');
    let rows = session.query("SELECT extname, pg_catalog.obj_description(oid, 'pg_extension') FROM pg_catalog.pg_extension")?;
    let same = |name: &str, comment: &str| {
        [name.to_owned(), quote_ident(name)].iter().any(|name| rest.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(" IS ")))
            && [quote_literal(comment), format!("E{}", quote_literal(&comment.replace('\\', "\\\\")))].iter().any(|literal| literal == value)
    };
    Ok(rows
        .iter()
        .any(|row| row.first().and_then(Option::as_deref).zip(row.get(1).and_then(Option::as_deref)).is_some_and(|(name, comment)| same(name, comment))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(catalogue: u32, rest: &str) -> Entry {
        Entry { id: 1, needs: Vec::new(), catalogue, oid: 1, rest: rest.to_owned() }
    }

    fn failed(command: &str) -> Failed {
        Failed { entry: 1, why: "x".to_owned(), fault: None, commands: vec![command.to_owned()] }
    }

    #[test]
    fn what_carries_rows_or_keeps_them_right_is_essential() {
        let long = format!("ALTER TABLE public.{} OW...", "a".repeat(100));
        for (catalogue, rest, command, expected) in [
            (1259, "TABLE public t bob", "CREATE TABLE public.t (", Weight::Essential),
            (1259, "TABLE public t bob", "ALTER TABLE public.t OWNER TO bob;", Weight::Owner),
            (1259, "TABLE public t bob", long.as_str(), Weight::Owner),
            (1259, "SEQUENCE public s bob", "ALTER SEQUENCE public.s OWNER TO bob;", Weight::Owner),
            (1259, "SEQUENCE public s bob", "ALTER TABLE public.t ALTER COLUMN a ADD GENERATED ALWAYS AS IDENTITY (\n    SEQUENCE...", Weight::Essential),
            (0, "TABLE ATTACH public t bob", "ALTER TABLE ONLY public.t ATTACH PARTITION \" OWNER TO \"", Weight::Essential),
            (0, "TABLE DATA public t bob", "", Weight::Essential),
            (2606, "CONSTRAINT public t t_pkey bob", "ALTER TABLE ONLY public.t\n    ADD CONSTRAINT \" OWNER TO \"", Weight::Essential),
            (2606, "FK CONSTRAINT public t t_fk bob", "ALTER TABLE", Weight::Essential),
            (1259, "INDEX public t_i bob", "CREATE INDEX", Weight::Essential),
            (2604, "DEFAULT public t a bob", "ALTER TABLE", Weight::Essential),
            (2604, "DEFAULT ACL t a bob", "ALTER TABLE", Weight::Essential),
            (0, "ROW SECURITY public t bob", "ALTER TABLE", Weight::Essential),
            (0, "SOMETHING NEW public t bob", "CREATE", Weight::Essential),
            (826, "DEFAULT ACL public DEFAULT PRIVILEGES FOR TABLES bob", "ALTER DEFAULT", Weight::Words),
            (0, "COMMENT - EXTENSION hstore", "COMMENT", Weight::Words),
            (3079, "EXTENSION - hstore ", "CREATE EXTENSION", Weight::Superusers),
            (6106, "PUBLICATION TABLE public p t bob", "ALTER PUBLICATION", Weight::Superusers),
            (1255, "FUNCTION public f() bob", "ALTER FUNCTION public.f() OWNER TO bob;", Weight::Owner),
            (1259, "VIEW public v bob", "CREATE VIEW", Weight::Dependent),
        ] {
            assert_eq!(weight(&entry(catalogue, rest), &failed(command)), expected, "{rest}: {command}");
        }
    }

    #[test]
    fn only_what_is_never_left_out_and_needs_nothing_else_is_restored_by_several() {
        let entry = |id: u32, needs: &[u32], rest: &str| (id, Entry { id, needs: needs.to_vec(), catalogue: 0, oid: 0, rest: rest.to_owned() });
        let archive = HashMap::from([
            entry(1, &[], "TABLE public t bob"),
            entry(2, &[1], "CONSTRAINT public t t_pkey bob"),
            entry(3, &[2], "VIEW public v bob"),
            entry(4, &[3], "MATERIALIZED VIEW public m bob"),
            entry(5, &[4], "INDEX public m_i bob"),
            entry(6, &[2], "FK CONSTRAINT public t t_fk bob"),
            entry(7, &[1], "TRIGGER public t noted bob"),
            entry(8, &[], "PUBLICATION - everything bob"),
        ]);
        assert_eq!(divide(&archive, &[2, 3, 4, 5, 6, 7, 8, 9]), (vec![2, 6], vec![3, 4, 5, 7, 8, 9]));
    }
}
