//! Amounts of money: their text depends on `lc_monetary`, which a database or a role may set otherwise than the server.

use crate::drill::tamper::{edit_manifest, rewrite_units};
use crate::malformed::damage::{Base, Seal, reseal};
use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::kluis;
use crate::support::repo::{Repo, manifest};
use crate::support::{new_folder, skip, stock, unique};
use std::path::Path;

/// A locale whose amounts have no decimal places. The tests' servers have C, with two.
const YEN: &str = "ja_JP.UTF-8";

/// Whether the machine has it; if not, that is told.
fn has_yen(cluster: &Cluster) -> bool {
    let mut session = cluster.database("yen").session();
    let there = session.execute(&format!("SET lc_monetary = '{YEN}'")).is_ok();
    if !there {
        skip(&format!("money in {YEN}: this machine lacks the locale"), "apt-get install locales, then localedef -i ja_JP -f UTF-8 ja_JP.UTF-8");
    }
    there
}

/// Rows that Kluis moves, rows that pg_dump moves, and constants in a default, a view and an index.
const PRICES: &str = "
    CREATE TABLE prices (id int PRIMARY KEY, price money DEFAULT '7');
    INSERT INTO prices VALUES (1, '1234'), (2, '-5'), (3, '1000000'), (4, NULL);
    CREATE VIEW dear AS SELECT id FROM prices WHERE price > '1000'::money;
    CREATE INDEX few ON prices (id) WHERE price > '500'::money;
    CREATE TYPE mood AS ENUM ('sad', 'glad');
    CREATE TABLE moods (m mood, price money) PARTITION BY HASH (m);
    CREATE TABLE moods_0 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE moods_1 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    INSERT INTO moods VALUES ('sad', '77'), ('glad', '88')";

/// Every amount of the database, in one locale.
fn amounts(database: &Database) -> String {
    database.value(
        "SET lc_monetary = 'C'; SELECT concat_ws(' ', (SELECT string_agg(price::text, ' ' ORDER BY id) FROM prices), (SELECT string_agg(price::text, ' ' ORDER BY m) FROM moods),
            (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef), pg_get_viewdef('dear'), pg_get_indexdef('few'::regclass))",
    )
}

fn yen(cluster: &Cluster) -> (Database, Repo) {
    let (database, repo) = (cluster.database("yen"), Repo::new());
    database.sql(&format!("ALTER DATABASE {} SET lc_monetary = '{YEN}'", database.name));
    database.sql(PRICES);
    kluis(&["backup", "--jobs", "2"]).of(&database).keeping(&repo).run().done();
    (database, repo)
}

fn the_same_amounts(major: u32) {
    let Some(cluster) = Cluster::of(major) else { return };
    if !has_yen(&cluster) {
        return;
    }
    let (database, repo) = yen(&cluster);
    let before = amounts(&database);
    assert!(before.contains("$12.34 -$0.05 $10,000.00") && before.contains("$0.77"), "{before}");

    // Into a server of another setting, by Kluis, with the database's own settings and without.
    let new = Database { cluster: cluster.clone(), name: unique("yen_again") };
    kluis(&["restore", "latest", "--create", "--to", &new.url()]).keeping(&repo).into(&cluster).run().done();
    assert_eq!(amounts(&new), before);
    assert_eq!(new.value("SHOW lc_monetary"), YEN);
    let bare = cluster.database("yen_bare");
    kluis(&["restore", "latest", "--to", &bare.url()]).keeping(&repo).into(&cluster).run().done();
    assert_eq!(amounts(&bare), before);
    // A single table.
    bare.sql("DROP VIEW dear; DROP TABLE prices");
    kluis(&["restore", "latest", "--table", "prices", "--to", &bare.url()]).keeping(&repo).into(&cluster).run().warned(&["VIEW public dear"]);
    assert_eq!(bare.value("SET lc_monetary = 'C'; SELECT string_agg(price::text, ' ' ORDER BY id) FROM prices"), "$12.34 -$0.05 $10,000.00");
    // By what everybody has.
    let stock = cluster.database("yen_stock");
    stock::restore(&repo.newest(), &stock);
    assert_eq!(amounts(&stock), before);
    // The other way round: a backup made under C, into a server in yen.
    let (plain, other) = (cluster.database("dollar"), Repo::new());
    plain.sql(PRICES);
    kluis(&["backup"]).of(&plain).keeping(&other).run().done();
    let Some(in_yen) = Cluster::own(major, &[&format!("lc_monetary={YEN}")]) else { return };
    for (way, repo, before) in [("dollar", &other, amounts(&plain)), ("yen", &repo, before)] {
        let (ours, theirs) = (in_yen.database(way), in_yen.database(way));
        kluis(&["restore", "latest", "--to", &ours.url()]).keeping(repo).into(&in_yen).run().done();
        stock::restore(&repo.newest(), &theirs);
        assert_eq!((amounts(&ours), amounts(&theirs)), (before.clone(), before), "{way}");
    }

    // The drill sees it, and a database is compared as it should be.
    let drilled = kluis(&["drill"]).keeping(&repo).tools(&cluster).run();
    assert!(drilled.code == Some(0) && drilled.stdout.contains("proven"), "{drilled:#?}");
    kluis(&["compare", "latest"]).of(&new).keeping(&repo).run().done();
    bare.sql("UPDATE prices SET price = price * 100");
    let differs = kluis(&["compare", "latest"]).of(&bare).keeping(&repo).run();
    assert!(differs.stdout.contains("public.prices"), "{differs:#?}");
    // Amounts that were tampered with are bad.
    let (base, planted) = (Base::read(&repo.newest(), String::new()), Repo::at(new_folder("planted")));
    let folder = planted.folder().join(&base.id);
    base.copy_to(&folder);
    rewrite_units(&base, &folder, |pieces| {
        for row in pieces.iter_mut().flat_map(|piece| &mut piece.rows) {
            *row = row.replace("$12.34", "$1,234.00");
        }
    });
    reseal(&base, &folder, Seal::Whole);
    let drilled = kluis(&["drill"]).keeping(&planted).tools(&cluster).run();
    assert!(drilled.code == Some(13) && drilled.stdout.contains("public.prices"), "{drilled:#?}");
}

#[test]
fn amounts_stay_what_they_are_13() {
    the_same_amounts(13);
}

#[test]
fn amounts_stay_what_they_are_15() {
    the_same_amounts(15);
}

#[test]
fn amounts_stay_what_they_are_18() {
    the_same_amounts(18);
}

#[test]
fn what_cannot_be_read_as_it_was_written_is_announced() {
    let Some(cluster) = Cluster::of(15) else { return };
    let (database, repo) = (cluster.database("dollar"), Repo::new());
    database.sql(PRICES);
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    let money = manifest(&repo.newest()).money.expect("the manifest says how money is written");
    assert_eq!((money.units.as_str(), money.archive.as_str(), money.in_archive), ("C", "C", true));
    // As if a pooler had taken no options, and the source had a locale that is not here.
    let (base, planted) = (Base::read(&repo.newest(), String::new()), Repo::at(new_folder("planted")));
    let folder = planted.folder().join(&base.id);
    base.copy_to(&folder);
    edit_manifest(&folder, |manifest| manifest["money"]["archive"] = "xx_XX.UTF-8".into());
    reseal(&base, &folder, Seal::Whole);
    let again = cluster.database("dollar_again");
    kluis(&["restore", "latest", "--to", &again.url()]).keeping(&planted).into(&cluster).run().warned(&[
        "constants of money",
        "xx_XX.UTF-8",
        "direct connection",
    ]);
    assert_eq!(amounts(&again), amounts(&database));
    // The script says that it was written in another way than the manifest does: that is seen before any server is asked for the locale.
    let drilled = kluis(&["drill"]).keeping(&planted).tools(&cluster).run();
    assert!(drilled.code == Some(13) && drilled.stdout.contains("the script is not what pg_restore makes of 'schema.dump'"), "{drilled:#?}");
    // Where pg_dump writes no money, nothing depends on a locale, and the script leaves the rest of its session alone.
    let (rows, repo) = (cluster.database("rows"), Repo::new());
    rows.sql("CREATE TABLE prices (id int, price money); INSERT INTO prices VALUES (1, '5'); CREATE MATERIALIZED VIEW texts AS SELECT price::text FROM prices");
    kluis(&["backup"]).of(&rows).keeping(&repo).run().done();
    assert!(!manifest(&repo.newest()).money.is_some_and(|money| money.in_archive));
    let script = String::from_utf8(stock::gunzip(&repo.newest())).unwrap();
    let places = ["SET lc_monetary = 'C';", "COPY \"public\".\"prices\"", "RESET lc_monetary;", "REFRESH MATERIALIZED VIEW"]
        .map(|words| script.find(words).expect(words));
    assert!(places.is_sorted(), "{script}");
}

#[test]
fn a_backup_whose_rows_are_in_the_sources_own_way_is_still_read_so() {
    // Made by the version of format 1 that left lc_monetary alone, of a database like the one above, on a server in C.
    let Some(cluster) = Cluster::of(13) else { return };
    if !has_yen(&cluster) {
        return;
    }
    let repo = Repo::at(new_folder("old"));
    let (id, old) = ("20261128T133612Z", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/old/20261128T133612Z"));
    Base::read(&old, String::new()).copy_to(&repo.folder().join(id));
    kluis(&["verify"]).keeping(&repo).run().done();
    let drilled = kluis(&["drill"]).keeping(&repo).tools(&cluster).run();
    assert!(drilled.code == Some(0) && drilled.stdout.contains("proven"), "{drilled:#?}");
    let new = Database { cluster: cluster.clone(), name: unique("yen_old") };
    kluis(&["restore", "latest", "--create", "--to", &new.url()]).keeping(&repo).into(&cluster).run().done();
    let query = "SET lc_monetary = 'C'; SELECT concat_ws(' ', (SELECT string_agg(price::text, ' ' ORDER BY id) FROM prices), pg_get_viewdef('dear'))";
    let found = new.value(query);
    assert!(found.starts_with("$12.34 -$0.05 $10,000.00 ") && found.contains("'$10.00'::money"), "{found}");
    assert_eq!(new.value("SELECT setting FROM pg_settings WHERE name = 'search_path'"), "\"$user\", \"odd \"\"name\"\"\", public");
    assert_eq!(manifest(&repo.newest()).database.lc_monetary, YEN);
}
