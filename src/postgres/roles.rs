//! Roles as a witness sees them: attributes, memberships and settings, in terms that survive `globals.sql.gz`.
//! It owns the queries and what counts as the same; it leaves writing roles to pg_dumpall and making them to the drill.
//! Invariant: no password, and no value of a setting, is in what it returns; where a name cannot be read there is no witness rather than no backup.

use super::catalogue::{cell, list};
use super::properties;
use super::session::Session;
use crate::error::Result;
use crate::manifest::Role;
use crate::postgres::server_error::ServerError;

/// The name that stands for what every role has (`ALTER ROLE ALL`).
const EVERYBODY: &str = "";

/// The roles of the server, by name, but for those that PostgreSQL itself has; the settings of all roles come first. Empty where they cannot be read.
pub fn read(session: &mut Session) -> Result<Vec<Role>> {
    // Who granted a membership is kept for certain from 16 on.
    let options = if session.server_version_num() >= 160_000 {
        "CASE WHEN m.inherit_option THEN ' INHERIT' ELSE '' END || CASE WHEN m.set_option THEN ' SET' ELSE '' END || ' BY ' || coalesce(pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(m.grantor)), '')"
    } else {
        "''"
    };
    let settings = |of: &str| {
        format!(
            "(SELECT coalesce(pg_catalog.json_agg(pg_catalog.split_part(s, '=', 1) || ' ' || pg_catalog.md5(s) ORDER BY s COLLATE \"C\"), '[]') FROM pg_catalog.unnest({of}) AS s)"
        )
    };
    let query = format!(
        "SELECT '{EVERYBODY}', '', '[]', {} WHERE EXISTS (SELECT FROM pg_catalog.pg_db_role_setting WHERE setrole = 0 AND setdatabase = 0)
        UNION ALL SELECT * FROM (SELECT r.rolname::text, pg_catalog.concat_ws(' ', CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolinherit THEN 'INHERIT' END,
            CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END, CASE WHEN r.rolcanlogin THEN 'LOGIN' END,
            CASE WHEN r.rolreplication THEN 'REPLICATION' END, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END, 'CONNECTION LIMIT ' || r.rolconnlimit, 'VALID UNTIL ' || r.rolvaliduntil),
            (SELECT coalesce(pg_catalog.json_agg(t.text ORDER BY t.text COLLATE \"C\"), '[]')::text FROM (SELECT pg_catalog.quote_ident(g.rolname) || CASE WHEN m.admin_option THEN ' ADMIN' ELSE '' END || {options} AS text
                FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid) AS t), {}::text
            FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY r.rolname COLLATE \"C\") AS named",
        settings("(SELECT setconfig FROM pg_catalog.pg_db_role_setting WHERE setrole = 0 AND setdatabase = 0)") + "::text",
        settings("r.rolconfig")
    );
    match session.query(&query) {
        Ok(rows) => rows
            .rows
            .iter()
            .map(|row| Ok(Role { name: cell(row, 0)?.to_owned(), attributes: cell(row, 1)?.to_owned(), member_of: list(row, 2)?, settings: list(row, 3)? }))
            .collect(),
        Err(error) if ServerError::of(&error).is_some_and(|error| error.sqlstate.starts_with("22")) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The settings of all roles, which pg_dumpall leaves out, as SQL; and the names of those that cannot be written in this encoding.
pub fn of_everybody(session: &mut Session, utf8: bool) -> Result<(String, Vec<String>)> {
    let rows = session.query(
        "SELECT pg_catalog.quote_ident(pg_catalog.split_part(setting, '=', 1)), pg_catalog.substr(setting, pg_catalog.strpos(setting, '=') + 1)
            FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(setconfig) WITH ORDINALITY AS u (setting, number) WHERE setrole = 0 AND setdatabase = 0 ORDER BY number",
    )?;
    let (mut text, mut left_out) = (String::new(), Vec::new());
    for row in &rows.rows {
        let (name, value) = (cell(row, 0)?, cell(row, 1)?);
        if utf8 || value.is_ascii() {
            let property = properties::setting("ALTER ROLE ALL", name, value);
            text.push_str(&format!("{}{};\n", property.before, property.after));
        } else {
            left_out.push(name.to_owned());
        }
    }
    Ok((if text.is_empty() { text } else { format!("\n--\n-- Settings of all roles, which pg_dumpall leaves out\n--\n\n{text}\n") }, left_out))
}

/// How the roles that were made differ from those that there should be, in words without a value. `settings`: whether theirs are to be compared; `all`:
/// whether there should be no others.
pub fn differences(expected: &[Role], found: &[Role], settings: bool, all: bool) -> Vec<String> {
    let named = |role: &Role| if role.name == EVERYBODY { "the setting of all roles".to_owned() } else { format!("role '{}'", role.name.escape_debug()) };
    let mut wrong = Vec::new();
    for role in expected {
        let Some(made) = found.iter().find(|made| made.name == role.name) else {
            if role.name != EVERYBODY || settings {
                wrong.push(format!("{} is not made by the globals", named(role)));
            }
            continue;
        };
        if made.attributes != role.attributes {
            wrong.push(format!("{}: its attributes are not those that it had", named(role)));
        }
        if made.member_of != role.member_of {
            wrong.push(format!("{}: it is not a member of the roles that it was a member of", named(role)));
        }
        if settings && made.settings != role.settings {
            wrong.push(format!("{}: its settings are not those that it had", named(role)));
        }
    }
    let more = found.iter().filter(|made| all && made.name != EVERYBODY && !expected.iter().any(|role| role.name == made.name));
    wrong.extend(more.map(|role| format!("{} is made by the globals, and the server had none of that name", named(role))));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str, attributes: &str, member_of: &[&str], settings: &[&str]) -> Role {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Role { name: name.to_owned(), attributes: attributes.to_owned(), member_of: texts(member_of), settings: texts(settings) }
    }

    #[test]
    fn each_way_in_which_roles_differ_is_told() {
        let there = [role("", "", &[], &["a 1"]), role("app", "LOGIN", &["owner"], &["b 2"]), role("owner", "", &[], &[])];
        assert_eq!(differences(&there, &there, true, true), Vec::<String>::new());
        let made = [role("app", "SUPERUSER LOGIN", &[], &["b 3"]), role("eve", "SUPERUSER", &[], &[])];
        assert_eq!(
            differences(&there, &made, true, true),
            [
                "the setting of all roles is not made by the globals",
                "role 'app': its attributes are not those that it had",
                "role 'app': it is not a member of the roles that it was a member of",
                "role 'app': its settings are not those that it had",
                "role 'owner' is not made by the globals",
                "role 'eve' is made by the globals, and the server had none of that name",
            ]
        );
        assert_eq!(differences(&there[..1], &made, false, false), Vec::<String>::new());
    }
}
