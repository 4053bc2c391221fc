//! What the source has and no dump by this role brings back, asked of the catalogue in the dump's own snapshot; and where amounts of money stand.
//! It owns these questions and the words of their warnings; it leaves what pg_dump itself warns of to `child`.
//! Invariant: nothing here is derived from what a program said, and nothing holds a row's value, a password or a connection string.

use super::snapshot::Snapshot;
use crate::error::Result;
use crate::exception::{Class, Exception};
use crate::manifest::Money;
use crate::postgres::catalogue::{Facts, cell};
use crate::postgres::quote::quote_literal;
use crate::postgres::server_error::printable;
use crate::postgres::session::Session;
use crate::units::listed;

/// Everything that will be missing after a restore, sorted.
pub fn not_included(session: &mut Session, facts: &Facts) -> Result<Vec<Exception>> {
    let mut found = Vec::new();
    let readable = session.query("SELECT pg_catalog.has_table_privilege('pg_catalog.pg_user_mapping', 'SELECT')")?.single()? == "t";
    let mut ask = |class: Class, query: &str| -> Result<()> {
        for row in session.query(query)?.rows {
            found.push(Exception::new(class, printable(cell(&row, 0)?)));
        }
        Ok(())
    };
    // pg_dump passes over subscriptions unless the role is a superuser (pg_dump.c, `getSubscriptions`). It writes them with `connect = false`: they come back
    // disabled, and what they had copied is not known any more. Before 14 not every role may read the column `oid`.
    let ours = "subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";
    if facts.superuser {
        ask(
            Class::Subscription,
            &format!(
                "SELECT 'subscription ' || pg_catalog.quote_ident(subname) FROM pg_catalog.pg_subscription s
                 WHERE {ours} AND (subenabled OR EXISTS (SELECT FROM pg_catalog.pg_subscription_rel r WHERE r.srsubid = s.oid)) ORDER BY subname"
            ),
        )?;
    } else {
        ask(
            Class::Unreadable,
            &format!("SELECT 'subscription ' || pg_catalog.quote_ident(subname) FROM pg_catalog.pg_subscription WHERE {ours} ORDER BY subname"),
        )?;
    }
    // pg_dump writes every mapping, and its options where `pg_user_mappings` shows them. This is that view's condition; what it hides may be nothing, which
    // only those can tell who read the table behind it.
    let hidden = if readable { "EXISTS (SELECT FROM pg_catalog.pg_user_mapping m WHERE m.oid = u.umid AND m.umoptions IS NOT NULL)" } else { "true" };
    ask(
        Class::Unreadable,
        &format!(
            "SELECT pg_catalog.format('options of the user mapping for %s on server %I', CASE u.umuser WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(u.usename) END, u.srvname)
             FROM pg_catalog.pg_user_mappings u JOIN pg_catalog.pg_foreign_server s ON s.oid = u.srvid
             WHERE u.umoptions IS NULL AND {hidden} AND NOT (u.umuser <> 0 AND u.usename = current_user
                    AND (pg_catalog.pg_has_role(s.srvowner, 'USAGE') OR pg_catalog.has_server_privilege(s.oid, 'USAGE'))
                OR u.umuser = 0 AND pg_catalog.pg_has_role(s.srvowner, 'USAGE')
                OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user))
             ORDER BY u.srvname, u.usename"
        ),
    )?;
    ask(
        Class::ReplicationSlot,
        "SELECT 'replication slot ' || slot_name FROM pg_catalog.pg_replication_slots WHERE database = pg_catalog.current_database() AND NOT temporary ORDER BY 1",
    )?;
    ask(
        Class::PreparedTransaction,
        "SELECT pg_catalog.format('prepared transaction \"%s\" of %I', gid, owner) FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database() ORDER BY 1",
    )?;
    found.sort();
    Ok(found)
}

/// What is missing where pg_dumpall may not read them.
pub fn passwords() -> Exception {
    Exception::new(Class::Unreadable, PASSWORDS)
}

/// The passwords, of which the globals' part warns by itself.
const PASSWORDS: &str = "passwords of roles";

/// How many of a sort are named in a warning. The verdict tells more.
const NAMED: usize = 20;

/// What somebody can do something about. Slots and the state of subscriptions belong to a server and not to its data: the verdict names them, and that is all.
pub fn warnings(not_included: &[Exception]) -> Vec<String> {
    let of = |class: Class| -> Vec<&str> {
        not_included.iter().filter(|exception| exception.class == class && exception.object != PASSWORDS).map(|exception| exception.object.as_str()).collect()
    };
    let (unreadable, prepared, mut told) = (of(Class::Unreadable), of(Class::PreparedTransaction), Vec::new());
    if !unreadable.is_empty() {
        told.push(format!(
            "not in the backup, because only a superuser may dump it: {}; let a superuser make the backup, or keep what is needed to make it anew",
            listed(&unreadable, NAMED)
        ));
    }
    if !prepared.is_empty() {
        told.push(format!(
            "what is not committed is in no backup: {}; if nobody is about to, end it with COMMIT PREPARED or ROLLBACK PREPARED: it also keeps its locks",
            listed(&prepared, NAMED)
        ));
    }
    told
}

/// Where pg_dump writes amounts of money, and as which `lc_monetary` has them: as rows that it moves, and as constants of the schema.
pub fn money(snapshot: &mut Snapshot, archive: String) -> Result<Money> {
    let major = snapshot.facts.server.major;
    let types = snapshot.session.query(
        "WITH RECURSIVE money(oid) AS (SELECT 'pg_catalog.money'::pg_catalog.regtype::pg_catalog.oid UNION
            SELECT t.oid FROM money m, LATERAL (SELECT oid FROM pg_catalog.pg_type WHERE typbasetype = m.oid OR typelem = m.oid
                UNION ALL SELECT c.reltype FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
                    WHERE a.atttypid = m.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.reltype <> 0
                UNION ALL SELECT rngtypid FROM pg_catalog.pg_range WHERE rngsubtype = m.oid) t)
         SELECT pg_catalog.string_agg(oid::pg_catalog.text, '|') FROM money",
    )?;
    let types = types.single()?.to_owned();
    let special: Vec<String> = snapshot.special.iter().map(|special| special.table.oid.to_string()).collect();
    let rows = if special.is_empty() {
        "false".to_owned()
    } else {
        let (tables, types) = (special.join(","), types.replace('|', ","));
        format!("EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid IN ({tables}) AND attnum > 0 AND NOT attisdropped AND atttypid IN ({types}))")
    };
    // Everywhere where the catalogue keeps an expression. What initdb made is in no dump.
    let mut expressions = vec![
        ("pg_attrdef", "adbin"),
        ("pg_constraint", "conbin"),
        ("pg_index", "indexprs"),
        ("pg_index", "indpred"),
        ("pg_policy", "polqual"),
        ("pg_policy", "polwithcheck"),
        ("pg_trigger", "tgqual"),
        ("pg_type", "typdefaultbin"),
        ("pg_proc", "proargdefaults"),
        ("pg_class", "relpartbound"),
        ("pg_partitioned_table", "partexprs"),
        ("pg_rewrite", "ev_action"),
        ("pg_rewrite", "ev_qual"),
    ];
    if major >= 14 {
        expressions.extend([("pg_proc", "prosqlbody"), ("pg_statistic_ext", "stxexprs")]);
    }
    if major >= 15 {
        expressions.push(("pg_publication_rel", "prqual"));
    }
    let constant = quote_literal(&format!(":consttype ({types}) "));
    let constants = expressions.iter().map(|(catalogue, column)| {
        let key = match *catalogue {
            "pg_index" => "indexrelid",
            "pg_partitioned_table" => "partrelid",
            _ => "oid",
        };
        format!(" OR EXISTS (SELECT FROM pg_catalog.{catalogue} WHERE {key} >= 16384 AND {column}::pg_catalog.text ~ {constant})")
    });
    let in_archive = snapshot.session.query(&format!("SELECT {rows}{}", constants.collect::<String>()))?.single()? == "t";
    Ok(Money { units: "C".to_owned(), archive, in_archive })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_mended_is_warned_of() {
        let exceptions = [
            Exception::new(Class::Subscription, "subscription a"),
            Exception::new(Class::ReplicationSlot, "replication slot b"),
            Exception::new(Class::Unreadable, PASSWORDS),
        ];
        assert_eq!(warnings(&exceptions), Vec::<String>::new());
        let told = warnings(&[Exception::new(Class::Unreadable, "subscription a"), Exception::new(Class::Unreadable, "subscription b")]);
        assert!(told.len() == 1 && told[0].contains(": subscription a, subscription b; let a superuser"), "{told:?}");
    }
}
