//! What belongs to a database itself, as statements: rights, settings, label, comment, whether it is a template. `CREATE DATABASE` brings back none of it.
//! It owns reading them from the catalogue; it leaves carrying them out to the restore. Owner and tablespace are told elsewhere.
//! Invariant: a statement is whole but for the database's name, which may be another one when it is carried out.
//!
//! Of `pg_database` nothing else is a property: encoding and locale are given when it is created, `datallowconn` is true where a dump can be made, and
//! the rest are counters that the server keeps.

use super::catalogue::cell;
use super::quote::quote_literal;
use super::session::Session;
use crate::error::Result;
use crate::manifest::Property;

/// Settings that are lists whose elements the server quotes (`GUC_LIST_QUOTE`; dumputils.c, `variable_is_guc_list_quote`, of 13 to 18 together).
const LISTS: [&str; 7] = [
    "local_preload_libraries",
    "oauth_validator_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// Those of them whose elements are names, which the server takes in lower case where they are not quoted (varlena.c, `SplitIdentifierString`).
const NAMES: [&str; 2] = ["search_path", "temp_tablespaces"];

/// The properties of the database of that name, in the order in which they have to be carried out.
pub fn of(session: &mut Session, name: &str) -> Result<Vec<Property>> {
    let mut found = Vec::new();
    let name = quote_literal(name);
    // The server quotes names, and only where that is needed: people read these statements.
    let own = session.query(&format!(
        "SELECT datconnlimit, pg_catalog.shobj_description(d.oid, 'pg_database'), datistemplate, datacl IS NOT NULL, pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(datdba))
         FROM pg_catalog.pg_database d WHERE datname = {name}"
    ))?;
    let Some(own) = own.rows.first() else { return Ok(found) };
    if cell(own, 0)? != "-1" {
        found.push(property("ALTER DATABASE ", format!(" CONNECTION LIMIT {}", cell(own, 0)?), true));
    }
    if let Some(comment) = own.get(1).and_then(Option::as_deref) {
        found.push(property("COMMENT ON DATABASE ", format!(" IS {}", literal(comment)), false));
    }
    let labels = format!(
        "SELECT pg_catalog.quote_ident(provider), label FROM pg_catalog.pg_shseclabel l JOIN pg_catalog.pg_database d ON d.oid = l.objoid AND l.classoid = 1262
         WHERE datname = {name} ORDER BY 1"
    );
    for row in session.query(&labels)?.rows {
        found.push(property(&format!("{LABEL}{} ON DATABASE ", cell(&row, 0)?), format!(" IS {}", literal(cell(&row, 1)?)), false));
    }
    if cell(own, 3)? == "t" {
        let rights = format!(
            "SELECT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantor)), CASE grantee WHEN 0 THEN NULL ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantee)) END,
                privilege_type, is_grantable
             FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) WHERE datname = {name} ORDER BY 1, 2 NULLS FIRST, 3"
        );
        let rights = session.query(&rights)?.iter().map(Right::read).collect::<Result<Vec<_>>>()?;
        found.extend(granted(cell(own, 4)?, rights));
    }
    let settings = format!(
        "SELECT CASE setrole WHEN 0 THEN 'ALTER DATABASE ' ELSE pg_catalog.format('ALTER ROLE %I IN DATABASE ', pg_catalog.pg_get_userbyid(setrole)) END,
            pg_catalog.quote_ident(pg_catalog.split_part(setting, '=', 1)), pg_catalog.substr(setting, pg_catalog.strpos(setting, '=') + 1)
         FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase, pg_catalog.unnest(setconfig) WITH ORDINALITY AS u (setting, number)
         WHERE datname = {name} ORDER BY 1, number"
    );
    for row in session.query(&settings)?.rows {
        found.push(setting(cell(&row, 0)?, cell(&row, 1)?, cell(&row, 2)?));
    }
    // Behind all others: a template cannot be dropped, should something before fail.
    if cell(own, 2)? == "t" {
        found.push(property("ALTER DATABASE ", " IS_TEMPLATE true".to_owned(), true));
    }
    Ok(found)
}

/// How the statement for a security label begins.
const LABEL: &str = "SECURITY LABEL FOR ";

/// The provider of a property that is a security label, as it is written in SQL.
pub fn label_provider(property: &Property) -> Option<&str> {
    property.before.strip_prefix(LABEL)?.strip_suffix(" ON DATABASE ")
}

fn property(before: &str, after: String, setting: bool) -> Property {
    Property { before: before.to_owned(), after, setting }
}

/// Text as a literal that is read the same by every session, whatever its `standard_conforming_strings`.
fn literal(text: &str) -> String {
    if text.contains('\\') { format!("E{}", quote_literal(&text.replace('\\', "\\\\"))) } else { quote_literal(text) }
}

/// One right of an access list. Names are quoted.
struct Right {
    grantor: String,
    /// None is everybody.
    grantee: Option<String>,
    privilege: String,
    grantable: bool,
}

impl Right {
    fn read(row: &[Option<String>]) -> Result<Right> {
        let grantee = row.get(1).cloned().flatten();
        Ok(Right { grantor: cell(row, 0)?.to_owned(), grantee, privilege: cell(row, 2)?.to_owned(), grantable: cell(row, 3)? == "t" })
    }
}

/// An access list as statements: each right after that of its grantor to hand it on.
fn granted(owner: &str, rights: Vec<Right>) -> Vec<Property> {
    let mut found = vec![property("REVOKE ALL ON DATABASE ", " FROM PUBLIC".to_owned(), false)];
    // There are three rights on a database, and its owner has them all unless somebody took one. What is left of them is granted below.
    if rights.iter().filter(|right| right.grantee.as_deref() == Some(owner) && right.grantor == owner).count() < 3 {
        found.push(property("REVOKE ALL ON DATABASE ", format!(" FROM {owner}"), false));
    }
    let (mut left, mut may): (Vec<Right>, Vec<(String, String)>) = (rights, Vec::new());
    while !left.is_empty() {
        let (mut now, later): (Vec<Right>, Vec<Right>) =
            left.into_iter().partition(|right| right.grantor == owner || may.contains(&(right.grantor.clone(), right.privilege.clone())));
        left = later;
        if now.is_empty() {
            // Nobody may hand these on: they are carried out as they stand, and what the server says to that is told.
            now = std::mem::take(&mut left);
        }
        for right in now {
            let (to, option) = (right.grantee.as_deref().unwrap_or("PUBLIC"), if right.grantable { " WITH GRANT OPTION" } else { "" });
            let grant = format!("GRANT {} ON DATABASE ", right.privilege);
            // Who runs the statement is who grants (dumputils.c, `buildACLCommands`).
            found.push(if right.grantor == owner {
                property(&grant, format!(" TO {to}{option}"), false)
            } else {
                property(&format!("SET SESSION AUTHORIZATION {}; {grant}", right.grantor), format!(" TO {to}{option}; RESET SESSION AUTHORIZATION"), false)
            });
            if let Some(grantee) = right.grantee.filter(|_| right.grantable) {
                may.push((grantee, right.privilege));
            }
        }
    }
    found
}

/// A setting as a statement. `whose` is what comes before the database's name; `name` is quoted where it has to be; `value` is as the catalogue has it.
pub(crate) fn setting(whose: &str, name: &str, value: &str) -> Property {
    if !is_list(name) {
        return property(whose, format!(" SET {name} TO {}", literal(value)), true);
    }
    match elements(value, NAMES.contains(&name.to_lowercase().as_str())) {
        Some(elements) if !elements.is_empty() => {
            property(whose, format!(" SET {name} TO {}", elements.iter().map(|element| literal(element)).collect::<Vec<_>>().join(", ")), true)
        }
        // A list without elements cannot be typed: an empty string is a list of one element that is empty. But a database can have what a session has.
        _ => property(&format!("SELECT pg_catalog.set_config('{name}', {}, false); {whose}", literal(value)), format!(" SET {name} FROM CURRENT"), true),
    }
}

fn is_list(name: &str) -> bool {
    LISTS.contains(&name.to_lowercase().as_str())
}

/// The elements of a list (dumputils.c, `SplitGUCList`), those without quotes in lower case where they are `names`. None for what is no list.
fn elements(value: &str, names: bool) -> Option<Vec<String>> {
    let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    let (mut found, mut rest) = (Vec::new(), value.trim_start_matches(space));
    if rest.is_empty() {
        return Some(found);
    }
    loop {
        if let Some(mut quoted) = rest.strip_prefix('"') {
            let mut element = String::new();
            loop {
                let (part, behind) = quoted.split_once('"')?;
                element.push_str(part);
                rest = behind;
                let Some(doubled) = behind.strip_prefix('"') else { break };
                element.push('"');
                quoted = doubled;
            }
            found.push(element);
        } else {
            let end = rest.find(|c| c == ',' || space(c)).unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            found.push(if names { rest[..end].to_ascii_lowercase() } else { rest[..end].to_owned() });
            rest = &rest[end..];
        }
        rest = rest.trim_start_matches(space);
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start_matches(space),
            None if rest.is_empty() => return Some(found),
            None => return None,
        }
    }
}

/// The property as it is written today. The first versions of format 1 wrote lists as the catalogue has them, which no server reads back in every case.
pub fn mended(property: &Property) -> Property {
    let parts = property.after.strip_prefix(" SET ").and_then(|rest| rest.split_once(" TO "));
    match parts.filter(|(name, value)| is_list(name) && !value.starts_with("'") && !value.starts_with("E'")) {
        Some((name, value)) => setting(&property.before, name, value),
        None => property.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, value: &str, expected: &str) {
        assert_eq!(setting("ALTER DATABASE ", name, value).statement("d"), expected);
    }

    #[test]
    fn lists_are_taken_apart_and_each_element_is_quoted() {
        check("search_path", r#""""#, "ALTER DATABASE d SET search_path TO ''");
        check("search_path", r#""$user", "od""d, 'x'", Public"#, r#"ALTER DATABASE d SET search_path TO '$user', 'od"d, ''x''', 'public'"#);
        check("session_preload_libraries", r#"Upper/x , "a\b""#, r"ALTER DATABASE d SET session_preload_libraries TO 'Upper/x', E'a\\b'");
        check("search_path", "", "SELECT pg_catalog.set_config('search_path', '', false); ALTER DATABASE d SET search_path FROM CURRENT");
        check("search_path", "a,,b", "SELECT pg_catalog.set_config('search_path', 'a,,b', false); ALTER DATABASE d SET search_path FROM CURRENT");
        check("datestyle", "ISO, MDY", "ALTER DATABASE d SET datestyle TO 'ISO, MDY'");
        for wrong in ["\"a", "a b", "a,", ",a", "\"a\"b"] {
            assert_eq!(elements(wrong, true), None, "{wrong}");
        }
    }

    #[test]
    fn lists_of_the_first_versions_are_read() {
        let of = |after: &str| property("ALTER DATABASE ", after.to_owned(), true);
        assert_eq!(mended(&of(" SET search_path TO \"$user\", public")), setting("ALTER DATABASE ", "search_path", "\"$user\", public"));
        assert_eq!(mended(&of(" SET search_path TO \"\"")).after, " SET search_path TO ''");
        for today in [setting("ALTER DATABASE ", "search_path", "a, b"), of(" SET work_mem TO '7MB'"), of(" CONNECTION LIMIT 3")] {
            assert_eq!(mended(&today), today);
        }
    }

    #[test]
    fn a_right_follows_that_of_its_grantor() {
        let right =
            |grantor: &str, grantee: &str, grantable| Right { grantor: grantor.into(), grantee: Some(grantee.into()), privilege: "CONNECT".into(), grantable };
        let found = granted("o", vec![right("a", "b", false), right("z", "a", true), right("o", "z", true)]);
        let found: Vec<String> = found.iter().map(|property| property.statement("d")).collect();
        assert_eq!(
            found[2..],
            [
                "GRANT CONNECT ON DATABASE d TO z WITH GRANT OPTION",
                "SET SESSION AUTHORIZATION z; GRANT CONNECT ON DATABASE d TO a WITH GRANT OPTION; RESET SESSION AUTHORIZATION",
                "SET SESSION AUTHORIZATION a; GRANT CONNECT ON DATABASE d TO b; RESET SESSION AUTHORIZATION"
            ]
        );
    }
}
