//! The inventory of the catalogue: every column has a rule, on every major, and what PostgreSQL's own pair of programs restores has the same inventory.

use crate::support::cluster::{Cluster, Database, MAJORS};
use kluis::postgres::inventory::compare::{Difference, compare};
use kluis::postgres::inventory::{self, CATALOGUES, Rule};
use kluis::postgres::session::Session;
use kluis::stop::Stop;

/// The rule of a column.
fn rule(catalogue: &str, column: &str) -> Option<Rule> {
    let catalogue = CATALOGUES.iter().find(|known| known.name == catalogue)?;
    catalogue.columns.iter().find(|(name, _)| *name == column || *name == "*").map(|(_, rule)| *rule)
}

/// The inventory of a database.
fn read(database: &Database) -> Vec<u8> {
    let mut session = Session::connect(&database.cluster.connection(&database.name), &Stop::new()).unwrap();
    let encoding = database.value("SHOW server_encoding");
    let mut text = Vec::new();
    inventory::read(&mut session, &encoding, |line| Ok(text.extend_from_slice(line))).unwrap();
    text
}

fn differences(source: &[u8], restored: &[u8]) -> Vec<Difference> {
    let mut found = Vec::new();
    assert!(compare(source, restored, |difference| Ok(found.push(difference))).unwrap());
    found
}

#[test]
fn every_column_of_every_catalogue_has_a_rule() {
    let mut seen = std::collections::BTreeSet::new();
    let mut every = true;
    for major in MAJORS {
        let Some(cluster) = Cluster::of(major) else {
            every = false;
            continue;
        };
        let mut session = Session::connect(&cluster.connection("postgres"), &Stop::new()).unwrap();
        for (catalogue, columns) in inventory::columns(&mut session).unwrap() {
            for column in columns {
                assert!(rule(&catalogue, &column).is_some(), "{major}: {catalogue}.{column} has no rule");
                seen.insert((catalogue.clone(), column));
            }
        }
        // A number that names an object of another catalogue is put into words, or ignored with a reason.
        if major >= 14 {
            let keys = session.query("SELECT fktable, c FROM pg_catalog.pg_get_catalog_foreign_keys(), pg_catalog.unnest(fkcols) c").unwrap();
            assert!(keys.len() > 150);
            for key in keys.iter() {
                let (catalogue, column) = (key[0].as_deref().unwrap(), key[1].as_deref().unwrap());
                let raw = matches!(rule(catalogue, column), Some(Rule::Key("@") | Rule::Value("@")));
                // A FROM clause may have put it into words already.
                let worded = CATALOGUES.iter().any(|known| known.name == catalogue && known.from.contains(&format!(" AS {column}")));
                assert!(!raw || worded, "{major}: {catalogue}.{column} is an OID or a column's number, and is compared as it is");
            }
        }
    }
    for catalogue in CATALOGUES.iter().filter(|catalogue| every && !catalogue.name.contains(' ')) {
        for (column, _) in catalogue.columns.iter().filter(|(column, _)| !column.starts_with('+') && *column != "*") {
            assert!(seen.contains(&(catalogue.name.to_owned(), (*column).to_owned())), "{}.{column} is in no major", catalogue.name);
        }
    }
}

#[test]
fn what_stock_programs_restore_has_the_same_inventory() {
    for major in MAJORS {
        let Some(cluster) = Cluster::of(major) else { continue };
        let torture = crate::fidelity::torture(&cluster);
        let copy = cluster.database("copied");
        cluster.sql_with(&copy.name, &[], &torture.pg_dump(&[]));
        let (source, restored) = (read(&torture), read(&copy));
        assert_eq!(differences(&source, &source), [], "{major}");
        let again = cluster.database("copied");
        cluster.sql_with(&again.name, &[], &copy.pg_dump(&[]));
        assert_eq!(differences(&restored, &read(&again)), [], "{major}: two restores");
        let mut found = differences(&source, &restored);
        // Things that the torture database has and no dump brings back.
        found.retain(|one| {
            let keys: Vec<&str> = one.keys.iter().map(String::as_str).collect();
            let comment = major < 15 && (one.catalogue, keys.as_slice()) == ("pg_description", &["pg_namespace", "public"]);
            let rights = one.catalogue == "rights on the system's objects" && keys[1].starts_with("information_schema.");
            let state = one.catalogue == "pg_constraint" && keys[1] == "con.not_valid_child" && one.change(inventory::STATE).is_some();
            !comment && !rights && !state
        });
        let shown: Vec<String> = found.iter().map(|one| format!("{one:?}")).collect();
        assert!(found.is_empty(), "{major}: {} differences:\n{}", found.len(), shown.join("\n"));
    }
}
