//! How roles that are on a server differ from those of a backup.
//! It owns the comparison and its words; it leaves both texts to `globals`. Values of settings are not told: they may be secrets.
//! Invariant: a role, a membership or a setting that both have alike gives no line.

use crate::error::Result;
use crate::globals::{ATTRIBUTES, Globals, Membership, Role};
use crate::postgres::quote::quote_ident;
use crate::postgres::session::Session;

/// A line for each role that is there and differs, with all its differences. Dates are compared by the server.
pub fn between(backup: &Globals, living: &Globals, session: &mut Session) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for role in &backup.roles {
        let Some(there) = living.role(&role.name) else { continue };
        let mut ways = attributes(role, there);
        if !same_date(role.valid_until.as_deref(), there.valid_until.as_deref(), session)? {
            ways.push(format!("VALID UNTIL {} instead of {}", until(there), until(role)));
        }
        ways.extend(memberships(role, backup, living));
        if !ways.is_empty() {
            told.push(format!("role {} is there already, and was left as it is; it has {}", quote_ident(&role.name), ways.join(", ")));
        }
    }
    Ok(told)
}

fn until(role: &Role) -> &str {
    role.valid_until.as_deref().unwrap_or("'infinity'")
}

fn same_date(ours: Option<&str>, theirs: Option<&str>, session: &mut Session) -> Result<bool> {
    match (ours, theirs) {
        _ if ours == theirs => Ok(true),
        (Some(ours), Some(theirs)) => match session.query(&format!("SELECT {ours}::pg_catalog.timestamptz = {theirs}::pg_catalog.timestamptz")) {
            Ok(rows) => Ok(rows.single()? == "t"),
            Err(_) => Ok(false),
        },
        _ => Ok(false),
    }
}

fn attributes(role: &Role, there: &Role) -> Vec<String> {
    let mut ways = Vec::new();
    for ((attribute, _), (ours, theirs)) in ATTRIBUTES.into_iter().zip(role.may.into_iter().zip(there.may)) {
        if ours != theirs {
            ways.push(format!("{}{attribute}", if theirs { "" } else { "NO" }));
        }
    }
    if role.connections != there.connections {
        ways.push(format!("CONNECTION LIMIT {} instead of {}", there.connections, role.connections));
    }
    for (name, value) in &role.settings {
        match there.settings.iter().find(|(known, _)| known == name) {
            None => ways.push(format!("no setting {name}")),
            Some((_, other)) if other != value => ways.push(format!("another value of {name}")),
            Some(_) => {}
        }
    }
    let more = there.settings.iter().filter(|(name, _)| role.settings.iter().all(|(known, _)| known != name));
    ways.extend(more.map(|(name, _)| format!("a setting {name} that the backup's has not")));
    if role.comment != there.comment {
        ways.push("another comment".to_owned());
    }
    if role.labels != there.labels {
        ways.push("other security labels".to_owned());
    }
    ways
}

/// In which way the memberships of a role differ. Of those in roles that are only now made there is nothing to compare.
fn memberships(role: &Role, backup: &Globals, living: &Globals) -> Vec<String> {
    let of = |globals: &'_ Globals| -> Vec<Membership> { globals.memberships.iter().filter(|found| found.member == role.name).cloned().collect() };
    let (ours, theirs) = (of(backup), of(living));
    let (mut ways, mut known) = (Vec::new(), Vec::new());
    for found in &ours {
        let predefined = found.role.starts_with("pg_");
        if known.contains(&&found.role) || !(predefined || living.role(&found.role).is_some()) {
            continue;
        }
        known.push(&found.role);
        let options = |globals: &Globals, all: &[Membership]| -> Vec<(bool, bool, bool, Option<String>)> {
            let own = globals.role(&role.name).is_none_or(|role| role.has("INHERIT"));
            // Before 16 who granted it meant nothing.
            let both = [backup, living].iter().all(|globals| globals.memberships.iter().any(|found| found.inherit.is_some()));
            let mut all: Vec<_> = all
                .iter()
                .filter(|other| other.role == found.role)
                .map(|found| (found.admin, found.inherit.unwrap_or(own), found.set, found.grantor.clone().filter(|_| both)))
                .collect();
            all.sort();
            all.dedup();
            all
        };
        let (name, ours, theirs) = (quote_ident(&found.role), options(backup, &ours), options(living, &theirs));
        let without_grantor =
            |all: &[(bool, bool, bool, Option<String>)]| all.iter().map(|(admin, inherit, set, _)| (*admin, *inherit, *set)).collect::<Vec<_>>();
        if theirs.is_empty() {
            ways.push(format!("no membership in {name}"));
        } else if without_grantor(&ours) != without_grantor(&theirs) {
            ways.push(format!("other options of its membership in {name}"));
        } else if ours != theirs {
            ways.push(format!("its membership in {name} from another grantor"));
        }
    }
    let mut more: Vec<&String> = theirs.iter().map(|found| &found.role).filter(|name| ours.iter().all(|found| found.role != **name)).collect();
    more.dedup();
    ways.extend(more.into_iter().map(|name| format!("a membership in {} that the backup's has not", quote_ident(name))));
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_and_what_does_not_is_not() {
        let check = |ours: &str, theirs: &str, expected: &[&str]| {
            let parse = |text: &str| Globals::parse(format!("CREATE ROLE a; CREATE ROLE g; {text}").as_bytes()).unwrap();
            let (ours, theirs) = (parse(ours), parse(theirs));
            let mut found = attributes(&ours.roles[0], &theirs.roles[0]);
            found.extend(memberships(&ours.roles[0], &ours, &theirs));
            assert_eq!(found, expected, "{ours:?} {theirs:?}");
        };
        check("", "", &[]);
        check(
            "ALTER ROLE a WITH LOGIN NOINHERIT PASSWORD 'x';",
            "ALTER ROLE a WITH SUPERUSER CONNECTION LIMIT 3;",
            &["SUPERUSER", "INHERIT", "NOLOGIN", "CONNECTION LIMIT 3 instead of -1"],
        );
        check(
            "ALTER ROLE a SET x TO '1'; ALTER ROLE a SET y TO '1';",
            "ALTER ROLE a SET y TO '2'; ALTER ROLE a SET z TO '1';",
            &["no setting x", "another value of y", "a setting z that the backup's has not"],
        );
        check("GRANT g TO a GRANTED BY p;", "GRANT g TO a WITH INHERIT TRUE GRANTED BY q;", &[]);
        check(
            "GRANT g TO a WITH INHERIT TRUE GRANTED BY p;",
            "GRANT g TO a WITH INHERIT TRUE GRANTED BY q;",
            &["its membership in \"g\" from another grantor"],
        );
        check("GRANT g TO a WITH ADMIN OPTION;", "GRANT g TO a;", &["other options of its membership in \"g\""]);
        check(
            "GRANT g TO a; GRANT pg_monitor TO a;",
            "GRANT h TO a;",
            &["no membership in \"g\"", "no membership in \"pg_monitor\"", "a membership in \"h\" that the backup's has not"],
        );
        check("GRANT made TO a;", "", &[]);
    }
}
