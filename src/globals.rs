//! Roles as pg_dumpall writes them: reading `globals.sql.gz`, and what its statements say.
//! It owns cutting and taking apart that text, a backup's or one of a living server; it leaves carrying out what it says to drills and restores.
//! Invariant: a statement about a role that is not understood is an error; passing over it would be a right or a limit that is lost in silence.

mod words;

use crate::error::{Error, Kind, Result};
use crate::postgres::connection::Secret;
use crate::postgres::quote::quote_ident;
use crate::repository::files::open_file;
use crate::repository::list::Backup;
use crate::repository::names;
use crate::script::gzip::stream;
use crate::script::statements::Statements;
use std::io::Read;
use words::{Word, words};

/// Hands every statement of a backup's globals to `each`, as its bytes. Whether the file could be read as a whole; else `wrong` says what is the matter.
pub fn each_statement(backup: &Backup, wrong: &mut Vec<String>, mut each: impl FnMut(&[u8], &mut Vec<String>) -> Result<()>) -> Result<bool> {
    let path = backup.path.join(names::GLOBALS);
    let (mut text, mut piece) = (stream(std::io::BufReader::new(open_file(&path)?)), vec![0; 64 << 10]);
    let mut statements = Statements::default();
    loop {
        let length = match text.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => {
                *wrong = vec![format!("'{}' is damaged", names::GLOBALS)];
                return Ok(false);
            }
        };
        statements.push(&piece[..length], |statement| each(statement, wrong))?;
    }
    if !statements.is_complete() {
        wrong.push(format!("'{}' ends in the middle of a statement", names::GLOBALS));
    }
    Ok(true)
}

/// Whether the statement is `ALTER ROLE "name" SET …`, or the same `IN DATABASE`.
pub fn is_setting(statement: &[u8]) -> bool {
    altered(statement).is_some_and(|(_, after)| after.starts_with(b"SET ") || after.starts_with(b"IN DATABASE "))
}

/// The name of the role that the statement alters, and what follows.
pub fn altered(statement: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let rest = statement.strip_prefix(b"ALTER ROLE ")?;
    let Some(quoted) = rest.strip_prefix(b"\"") else {
        let end = memchr::memchr(b' ', rest)?;
        return Some((rest[..end].to_vec(), &rest[end + 1..]));
    };
    // The name ends at a quote that is not doubled.
    let (mut name, mut at) = (Vec::new(), 0);
    while let Some(byte) = quoted.get(at) {
        match (byte, quoted.get(at + 1)) {
            (b'"', Some(b'"')) => at += 1,
            (b'"', _) => return Some((name, quoted.get(at + 2..)?)),
            _ => {}
        }
        name.push(*byte);
        at += 1;
    }
    None
}

/// The words for what a role may do, with what a role has of which nothing is said (manual, CREATE ROLE).
pub const ATTRIBUTES: [(&str, bool); 7] =
    [("SUPERUSER", false), ("INHERIT", true), ("CREATEROLE", false), ("CREATEDB", false), ("LOGIN", false), ("REPLICATION", false), ("BYPASSRLS", false)];

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What it may do, in the order of [`ATTRIBUTES`].
    pub may: [bool; 7],
    /// How many sessions it may have at once; -1 is no limit.
    pub connections: i64,
    /// Until when its password is valid, as the literal that was written.
    pub valid_until: Option<String>,
    /// Its password, encrypted, as the literal that was written.
    pub password: Option<Secret>,
    /// Its comment, as the literal that was written.
    pub comment: Option<String>,
    /// Its security labels: provider and label, as they were written.
    pub labels: Vec<(String, String)>,
    /// Its settings in all databases: name and value, as they were written.
    pub settings: Vec<(String, String)>,
}

impl Role {
    fn new(name: &str) -> Role {
        Role {
            name: name.to_owned(),
            may: ATTRIBUTES.map(|(_, default)| default),
            connections: -1,
            valid_until: None,
            password: None,
            comment: None,
            labels: Vec::new(),
            settings: Vec::new(),
        }
    }

    /// Whether it has an attribute.
    pub fn has(&self, attribute: &str) -> bool {
        ATTRIBUTES.iter().zip(self.may).any(|((word, _), may)| *word == attribute && may)
    }
}

/// That a role is a member of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The role that has a member.
    pub role: String,
    /// The member.
    pub member: String,
    /// Whether the member may make others members.
    pub admin: bool,
    /// Whether it has the role's rights without SET ROLE; from 16 on, before it is the member's own attribute.
    pub inherit: Option<bool>,
    /// Whether it may SET ROLE; from 16 on.
    pub set: bool,
    /// Who made it a member.
    pub grantor: Option<String>,
}

/// A right on something of the server that is no database's: a configuration parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// The role that has it.
    pub grantee: String,
    /// The statement, or several.
    pub statement: String,
}

/// What a text of pg_dumpall says of roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Globals {
    /// The encoding of the text, as a server calls it.
    pub encoding: String,
    /// The roles, in the order in which they were written.
    pub roles: Vec<Role>,
    /// Who is a member of what, in that order: who may make others members comes before those.
    pub memberships: Vec<Membership>,
    /// Rights on parameters, in that order.
    pub rights: Vec<Right>,
    /// Settings of all roles, those that are there and those that come: name, and what sets it. pg_dumpall leaves them out, and Kluis writes them behind.
    pub everybody: Vec<(String, String)>,
    /// The tablespaces.
    pub tablespaces: Vec<String>,
    /// What has to be said before the next setting of all roles, while the text is read.
    before: Option<String>,
    /// Who grants from here on, while the text is read.
    acting: Option<String>,
}

impl Globals {
    /// Those of a backup. Fails where the file is damaged, or says what is not understood.
    pub fn read(backup: &Backup) -> Result<Globals> {
        let (mut globals, mut wrong) = (Globals::default(), Vec::new());
        each_statement(backup, &mut wrong, |statement, _| globals.take(statement))?;
        match wrong.first() {
            Some(wrong) => Err(Error::new(Kind::Verification, format!("backup '{}': {wrong}", backup.id))
                .hinted("restore another backup (kluis list), or without --roles where the roles are there")),
            None => Ok(globals),
        }
    }

    /// Those of a text.
    pub fn parse(text: &[u8]) -> Result<Globals> {
        let (mut globals, mut statements) = (Globals::default(), Statements::default());
        statements.push(text, |statement| globals.take(statement))?;
        if statements.is_complete() { Ok(globals) } else { Err(Error::new(Kind::Failed, "pg_dumpall's text ends in the middle of a statement")) }
    }

    /// The role of that name.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    fn take(&mut self, statement: &[u8]) -> Result<()> {
        let unknown = |what: &str| {
            Error::new(Kind::Failed, format!("'{}' cannot be used to make roles: {what}", names::GLOBALS))
                .hinted("give it to psql: gunzip -c globals.sql.gz | psql -X -d postgres; then restore without --roles")
        };
        let text = std::str::from_utf8(statement).map_err(|_| unknown("names in it are not UTF-8"))?;
        let words = words(text);
        // A statement may hold a password: of one that is not understood no more than its kind is told.
        self.understand(text, &words).ok_or_else(|| unknown(&format!("a statement of the kind {} is not understood", kind(&words))))
    }

    fn understand(&mut self, text: &str, words: &[Word]) -> Option<()> {
        let begins = |expected: &[&str]| words.len() >= expected.len() && expected.iter().zip(words).all(|(expected, word)| word.is(expected));
        let name = |place: usize| words.get(place)?.name();
        if begins(&["CREATE", "ROLE"]) {
            self.roles.push(Role::new(&name(2)?));
        } else if begins(&["SELECT"]) {
            // A list without elements cannot be written as a value: the session gets it first.
            self.before = Some(text.to_owned());
        } else if begins(&["ALTER", "ROLE", "ALL", "SET"]) {
            let before = self.before.take().map_or_else(String::new, |before| format!("{before} "));
            self.everybody.push((words.get(4)?.text.to_owned(), format!("{before}{text}")));
        } else if begins(&["ALTER", "ROLE"]) {
            let (role, rest) = (name(2)?, words.get(3..)?);
            let role = self.roles.iter_mut().find(|known| known.name == role)?;
            match rest.first()? {
                word if word.is("WITH") => attributes(role, &rest[1..])?,
                word if word.is("SET") => role.settings.push((rest.get(1)?.text.to_owned(), value(text, rest.get(3)?))),
                // Of a database: in its own properties, and never in this file since 11.
                word if word.is("IN") => {}
                _ => return None,
            }
        } else if begins(&["COMMENT", "ON", "ROLE"]) {
            let role = name(3)?;
            self.roles.iter_mut().find(|known| known.name == role)?.comment = Some(value(text, words.get(5)?));
        } else if begins(&["SECURITY", "LABEL", "FOR"]) && words.get(5).is_some_and(|word| word.is("ROLE")) {
            let role = name(6)?;
            let label = (words.get(3)?.text.to_owned(), value(text, words.get(8)?));
            self.roles.iter_mut().find(|known| known.name == role)?.labels.push(label);
        } else if begins(&["GRANT"]) && words.get(2).is_some_and(|word| word.is("TO")) {
            self.memberships.push(membership(words)?);
        } else if begins(&["SET", "SESSION", "AUTHORIZATION"]) {
            self.acting = Some(name(3)?);
        } else if begins(&["RESET", "SESSION", "AUTHORIZATION"]) {
            self.acting = None;
        } else if begins(&["SET"]) {
            if words.get(1)?.is("client_encoding") {
                self.encoding = value(text, words.get(3)?).trim_matches('\'').to_owned();
            }
        } else if begins(&["CREATE", "TABLESPACE"]) {
            self.tablespaces.push(name(2)?);
        } else if words.iter().any(|word| word.is("PARAMETER")) {
            let to = words.iter().rposition(|word| word.is("TO") || word.is("FROM"))?;
            let statement = match &self.acting {
                Some(grantor) => format!("SET SESSION AUTHORIZATION {}; {text} RESET SESSION AUTHORIZATION;", quote_ident(grantor)),
                None => text.to_owned(),
            };
            self.rights.push(Right { grantee: name(to + 1)?, statement });
        } else if !words.iter().any(|word| word.is("TABLESPACE")) {
            return None;
        }
        Some(())
    }
}

/// The first two words of a statement, where they are no names.
fn kind(words: &[Word]) -> String {
    let plain = words.iter().take(2).filter(|word| word.text.bytes().all(|byte| byte.is_ascii_uppercase()));
    plain.map(|word| word.text).collect::<Vec<_>>().join(" ")
}

/// What stands from this word to the end of the statement.
fn value(text: &str, from: &Word) -> String {
    text[from.at..].trim_end_matches(';').to_owned()
}

fn attributes(role: &mut Role, words: &[Word]) -> Option<()> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word.is("CONNECTION") {
            let sign = words.nth(1)?;
            role.connections = if sign.is("-") { -words.next()?.text.parse::<i64>().ok()? } else { sign.text.parse().ok()? };
        } else if word.is("PASSWORD") {
            role.password = Some(Secret::from(words.next()?.text.to_owned()));
        } else if word.is("VALID") {
            role.valid_until = Some(words.nth(1)?.text.to_owned());
        } else if !word.is(";") {
            let (plain, may) = word.text.strip_prefix("NO").map_or((word.text, true), |plain| (plain, false));
            let place = ATTRIBUTES.iter().position(|(attribute, _)| *attribute == plain)?;
            role.may[place] = may;
        }
    }
    Some(())
}

/// `GRANT role TO member WITH ADMIN OPTION, INHERIT TRUE, SET FALSE GRANTED BY grantor` (pg_dumpall.c, `dumpRoleMembership`).
fn membership(words: &[Word]) -> Option<Membership> {
    let mut found = Membership { role: words[1].name()?, member: words.get(3)?.name()?, admin: false, inherit: None, set: true, grantor: None };
    let mut rest = words.get(4..)?.iter();
    while let Some(word) = rest.next() {
        match word.text {
            "ADMIN" => found.admin = rest.next()?.is("OPTION"),
            "INHERIT" => found.inherit = Some(rest.next()?.is("TRUE")),
            "SET" => found.set = rest.next()?.is("TRUE"),
            "GRANTED" => found.grantor = Some(rest.nth(1)?.name()?),
            "WITH" | "," | ";" => {}
            _ => return None,
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests;
