//! What no dump holds is announced: in the manifest, in the verdict, and, where somebody can do something about it, by a warning.

use crate::support::cluster::{Cluster, Database, MAJORS};
use crate::support::kluis::kluis;
use crate::support::repo::{Repo, manifest};
use crate::support::{CANARY, PASSWORD};
use kluis::exception::{Class, Exception};
use kluis::manifest::Proof;
use kluis::repository::names;

/// A database with one of everything that a dump leaves out.
fn leaky(cluster: &Cluster) -> Database {
    let database = cluster.database("leaky");
    database.sql(&format!(
        "CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere.invalid');
        CREATE USER MAPPING FOR postgres SERVER far OPTIONS (user 'app', password '{CANARY}'); CREATE USER MAPPING FOR PUBLIC SERVER far;
        CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);
        CREATE SUBSCRIPTION news CONNECTION 'host=nowhere.invalid password={CANARY}' PUBLICATION news WITH (connect = false, slot_name = 'news');
        SELECT pg_create_logical_replication_slot('{0}_slot', 'pgoutput'); SELECT pg_create_physical_replication_slot('{0}_other');
        BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION '{0} transfer';",
        database.name
    ));
    database
}

fn own(major: u32) -> Option<Cluster> {
    // Nothing reaches out for the publisher.
    Cluster::own(major, &["max_prepared_transactions=10", "max_logical_replication_workers=0"])
}

fn left_out(repo: &Repo) -> Vec<Exception> {
    let mut found = manifest(&repo.newest()).not_included;
    found.sort();
    found
}

fn proof(repo: &Repo) -> Proof {
    Proof::parse(&std::fs::read(repo.newest().join(names::PROOF)).expect("there is a proof")).expect("the proof can be read")
}

fn announced(major: u32) {
    let Some(cluster) = own(major) else { return };
    let (database, repo) = (leaky(&cluster), Repo::new());
    let (slot, transaction) = (format!("{}_slot", database.name), format!("{} transfer", database.name));
    let everywhere = [
        Exception::new(Class::ReplicationSlot, format!("replication slot {slot}")),
        Exception::new(Class::PreparedTransaction, format!("prepared transaction \"{transaction}\" of postgres")),
    ];
    // A superuser sees everything; a subscription comes back disabled, so one that is disabled and got nothing yet loses nothing.
    kluis(&["backup"]).of(&database).keeping(&repo).run().warned(&[&transaction, "COMMIT PREPARED"]);
    assert_eq!(left_out(&repo), everywhere);
    database.sql("ALTER SUBSCRIPTION news ENABLE");
    kluis(&["backup"]).of(&database).keeping(&repo).run().warned(&[&transaction]);
    assert_eq!(left_out(&repo), [&[Exception::new(Class::Subscription, "subscription news")][..], &everywhere].concat());
    if [13, 18].contains(&major) {
        let drilled = kluis(&["drill"]).keeping(&repo).tools(&cluster).run();
        assert!(proof(&repo).proven() && proof(&repo).exceptions == left_out(&repo), "{drilled:#?} {:#?}", proof(&repo));
    }

    // A role that may read all rows does not see everything.
    let (role, again) = (cluster.role("reader"), Repo::new());
    cluster.sql("postgres", &format!("GRANT CONNECT ON DATABASE {} TO {role}", database.name));
    let all =
        if major >= 14 { format!("GRANT pg_read_all_data TO {role}") } else { format!("GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON t TO {role}") };
    database.sql(&all);
    let ended = kluis(&["backup"]).of(&database).keeping(&again).role(&role).run().warned(&[
        "subscription news",
        "user mapping for postgres on server far",
        "superuser",
    ]);
    let unreadable = |what: &str| Exception::new(Class::Unreadable, what);
    let mut expected = [&everywhere[..], &[unreadable("options of the user mapping for postgres on server far"), unreadable("subscription news")]].concat();
    if major < 14 {
        // Without a look at the options nobody can say whether there are any.
        expected.push(unreadable("options of the user mapping for PUBLIC on server far"));
        expected.push(unreadable("passwords of roles"));
    }
    expected.sort();
    assert_eq!(left_out(&again), expected, "{ended:#?}");
    assert!(!ended.stderr.contains("pg_dump: warning") && !ended.stderr.contains("subscriptions not dumped"), "told by name, not by prose: {ended:#?}");
    if [13, 18].contains(&major) {
        let drilled = kluis(&["drill"]).keeping(&again).tools(&cluster).run();
        assert!(proof(&again).proven() && proof(&again).exceptions == left_out(&again), "{drilled:#?} {:#?}", proof(&again));
    }
    // As it is: pg_dump writes the mapping without its options, and no subscription.
    let listed = std::process::Command::new(cluster.bin().join("pg_restore")).arg("-f-").arg(again.newest().join(names::SCHEMA)).output().unwrap();
    let text = String::from_utf8_lossy(&listed.stdout);
    assert!(!text.contains(CANARY) && text.contains("USER MAPPING FOR postgres") && !text.contains("CREATE SUBSCRIPTION"), "{text}");
    database.sql(&format!("ROLLBACK PREPARED '{transaction}'; ALTER SUBSCRIPTION news DISABLE; ALTER SUBSCRIPTION news SET (slot_name = NONE); DROP SUBSCRIPTION news; SELECT pg_drop_replication_slot('{slot}')"));
}

#[test]
fn what_no_dump_holds_is_announced() {
    for major in MAJORS {
        announced(major);
    }
}

#[test]
fn whose_mapping_may_be_seen() {
    // Each line of pg_user_mappings' own condition: one's own with the right to the server, everybody's as the server's owner.
    for major in [13, 18] {
        let Some(cluster) = Cluster::of(major) else { continue };
        let (role, database) = (cluster.role("mapped"), cluster.database("mapped"));
        database.sql(&format!(
            "CREATE EXTENSION postgres_fdw; CREATE SERVER used FOREIGN DATA WRAPPER postgres_fdw; CREATE SERVER unused FOREIGN DATA WRAPPER postgres_fdw;
            CREATE SERVER owned FOREIGN DATA WRAPPER postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO {role}; ALTER SERVER owned OWNER TO {role};
            GRANT USAGE ON FOREIGN SERVER used TO {role};
            CREATE USER MAPPING FOR {role} SERVER used OPTIONS (user 'a'); CREATE USER MAPPING FOR {role} SERVER unused OPTIONS (user 'b');
            CREATE USER MAPPING FOR PUBLIC SERVER used OPTIONS (user 'c'); CREATE USER MAPPING FOR PUBLIC SERVER owned OPTIONS (user 'd');
            CREATE USER MAPPING FOR postgres SERVER owned OPTIONS (user 'e')"
        ));
        let repo = Repo::new();
        kluis(&["backup"]).of(&database).keeping(&repo).role(&role).run().warned(&["user mapping"]);
        let hidden: Vec<String> = left_out(&repo).into_iter().map(|exception| exception.object).filter(|object| object.contains("mapping")).collect();
        let expected = [("PUBLIC", "used"), (&role, "unused"), ("postgres", "owned")]
            .map(|(who, server)| format!("options of the user mapping for {who} on server {server}"));
        assert_eq!(hidden.iter().collect::<std::collections::BTreeSet<_>>(), expected.iter().collect(), "{major}");
        let written = std::process::Command::new(cluster.bin().join("pg_restore")).arg("-f-").arg(repo.newest().join(names::SCHEMA)).output().unwrap();
        let text = String::from_utf8_lossy(&written.stdout);
        let with_options: Vec<bool> = ["a", "b", "c", "d", "e"].iter().map(|user| text.contains(&format!("\"user\" '{user}'"))).collect();
        assert_eq!(with_options, [true, false, false, true, false], "{major}: {text}");
    }
}

#[test]
fn what_pg_dump_warns_of_is_told() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo) = (cluster.database("odd"), Repo::new());
    database.sql("CREATE TYPE odd AS ENUM ('x'); UPDATE pg_type SET typtype = 'z' WHERE typname = 'odd'");
    kluis(&["backup"]).of(&database).keeping(&repo).run().warned(&["pg_dump warns: typtype of data type \"odd\" appears to be invalid"]);
    assert!(manifest(&repo.newest()).warnings.iter().any(|warning| warning.contains("typtype of data type")));
    // A circle of foreign keys is no news: rows come before keys.
    let (circle, repo) = (cluster.database("circle"), Repo::new());
    circle.sql("CREATE TABLE a (id int PRIMARY KEY, up int REFERENCES a); SELECT lo_from_bytea(4711, 'x')");
    kluis(&["backup"]).of(&circle).keeping(&repo).run().done();
    assert!(left_out(&repo).is_empty());
}

#[test]
fn large_objects_need_rights_of_their_own() {
    for major in MAJORS {
        let Some(cluster) = Cluster::of(major) else { continue };
        let (database, role) = (cluster.database("objects"), cluster.role("reader"));
        database
            .sql(&format!("SELECT lo_from_bytea(4711, 'x'), lo_from_bytea(4712, 'y'), lo_from_bytea(4713, 'z'); GRANT SELECT ON LARGE OBJECT 4713 TO {role}"));
        if major >= 14 {
            database.sql(&format!("GRANT pg_read_all_data TO {role}"));
        }
        let dumps = || cluster.program("pg_dump", &database.name).env("PGUSER", &role).env("PGPASSWORD", PASSWORD).output().unwrap();
        let repo = Repo::new();
        let backup = || kluis(&["backup"]).of(&database).keeping(&repo).role(&role);
        if major >= 19 {
            // From here on the right covers them.
            assert!(dumps().status.success());
            backup().run().done();
            assert_eq!(manifest(&repo.newest()).large_objects.count, 3);
            database.sql(&format!("REVOKE pg_read_all_data FROM {role}"));
            let refused = backup().run().failed(10, &["2 large objects (4711, 4712): no SELECT"]);
            assert!(!refused.stderr.contains("does not cover large objects"), "{refused:#?}");
            continue;
        }
        // PostgreSQL's own program is of the same opinion.
        let refused = dumps();
        assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("permission denied for large object"), "{major}: {refused:?}");
        let refused = backup().run().failed(
            10,
            &[
                "2 large objects (4711, 4712): no SELECT",
                "lo_compat_privileges",
                if major >= 14 { "pg_read_all_data does not cover large objects" } else { "" },
            ],
        );
        assert!(!refused.stderr.contains("GRANT pg_read_all_data TO"), "{major}: {refused:#?}");
        assert_eq!(refused.stderr.contains("ALTER DEFAULT PRIVILEGES"), major >= 18, "{major}: {refused:#?}");
        // The setting that is named does it, for us and for pg_dump.
        cluster.sql("postgres", &format!("ALTER ROLE {role} SET lo_compat_privileges = on"));
        assert!(dumps().status.success());
        assert_eq!(backup().run().code.unwrap() % 3, 0);
        cluster.sql("postgres", &format!("ALTER ROLE {role} RESET lo_compat_privileges"));
        // And so does the statement, as it stands.
        let statement = refused.stderr.lines().find(|line| line.trim_start().starts_with("DO ")).unwrap_or_else(|| panic!("{refused:#?}"));
        database.sql(statement);
        assert!(dumps().status.success());
        assert_eq!(backup().run().code.unwrap() % 3, 0);
        assert_eq!(manifest(&repo.newest()).large_objects.count, 3);
        // A table that cannot be read as well: then the right for tables is offered again, and what it does not cover is said.
        database.sql("SELECT lo_from_bytea(4714, 'new'); CREATE TABLE public.t (id int)");
        if major >= 14 {
            database.sql(&format!("REVOKE pg_read_all_data FROM {role}"));
        }
        let both = backup().run().failed(10, &["large object 4714: no SELECT", "GRANT SELECT ON LARGE OBJECT 4714 TO", "table public.t: no SELECT"]);
        assert_eq!(
            both.stderr.contains("GRANT pg_read_all_data TO") && both.stderr.contains("it does not cover large objects"),
            major >= 14,
            "{major}: {both:#?}"
        );
        if major >= 18 {
            database.sql(&format!("ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT SELECT ON LARGE OBJECTS TO {role}; SELECT lo_from_bytea(4715, 'newer')"));
            assert_eq!(database.value(&format!("SELECT has_largeobject_privilege('{role}', 4715, 'SELECT')")), "t");
        }
    }
}
