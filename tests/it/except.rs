//! Empty databases, and proofs with exceptions: what a run says of them, what receivers hear, and that it is said once.
//! The words and the page are tested by `tests/cases` and `http`; here are real runs on real servers.

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Kluis, kluis};
use crate::support::receivers::HttpReceiver;
use crate::support::repo::Repo;
use kluis::repository::names;

/// The oldest and the newest: what is empty is read from the manifest, which is the same for all.
const MAJORS: [u32; 2] = [13, 18];

fn backup(database: &Database, repo: &Repo, hook: &HttpReceiver) -> Kluis {
    kluis(&["backup"])
        .of(database)
        .keeping(repo)
        .env("BACKUP_DRILL", "every-backup")
        .env("BACKUP_ALLOW_EMPTY", "no")
        .env("BACKUP_NOTIFY", format!("http://127.0.0.1:{}/", hook.port))
}

const EMPTY: &str = "the database is empty: no table has a row, and there is no large object";

#[test]
fn an_empty_database_is_proven_and_asked_about_until_that_is_said_to_be_right() {
    for cluster in MAJORS.into_iter().filter_map(Cluster::of) {
        let (database, repo, hook) = (cluster.database("hollow"), Repo::new(), HttpReceiver::new());
        let ended = backup(&database, &repo, &hook).run().warned(&[EMPTY, "BACKUP_ALLOW_EMPTY=yes"]);
        assert!(ended.stdout.contains("proof: proven\n"), "{ended:#?}");
        // Tables without a row are no answer.
        database.sql("CREATE TABLE orders (id int PRIMARY KEY); CREATE VIEW all_orders AS SELECT * FROM orders");
        backup(&database, &repo, &hook).run().warned(&[EMPTY]);
        assert_eq!(hook.events(), ["empty"], "it is told once");
        let run = repo.history().pop().unwrap();
        assert!(run["outcome"] == "warned" && run["proof"] == "proven" && run["warnings"][0].as_str().unwrap().starts_with(EMPTY), "{run:#}");
        let status = kluis(&["status"]).of(&database).keeping(&repo).env("BACKUP_ALLOW_EMPTY", "no").run();
        assert!(status.code == Some(0) && status.stdout.contains(EMPTY), "{status:#?}");

        backup(&database, &repo, &hook).env("BACKUP_ALLOW_EMPTY", "yes").run().done();
        assert_eq!(hook.events(), ["empty", "recovery"]);
        // One row, or one large object, and there is something to lose.
        database.sql("INSERT INTO orders VALUES (1)");
        backup(&database, &repo, &hook).env("BACKUP_DRILL", "off").run().done();
        database.sql("TRUNCATE orders; SELECT lo_create(0)");
        let ended = backup(&database, &repo, &hook).env("BACKUP_DRILL", "off").run();
        assert!(!ended.stderr.contains("is empty"), "{ended:#?}");
    }
}

#[test]
fn new_exceptions_are_told_to_a_receiver_once() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo, hook) = (cluster.database("excepted"), Repo::new(), HttpReceiver::new());
    database.sql("CREATE TABLE orders AS SELECT 1 AS id");
    backup(&database, &repo, &hook).run().done();
    assert_eq!(hook.events(), [] as [&str; 0]);
    let plant = |objects: &[&str]| {
        let path = repo.newest().join(names::PROOF);
        let mut proof: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        proof["exceptions"] = objects.iter().map(|object| serde_json::json!({ "class": "replication-slot", "object": object })).collect();
        std::fs::write(path, proof.to_string()).unwrap();
    };
    let look = || {
        // What begins, looks: a run that fails is enough.
        backup(&database, &repo, &hook).env("DB_PORT", "1").env("BACKUP_NOTIFY_ON", "except").run().failed(10, &[]);
    };
    plant(&["slot a"]);
    look();
    look();
    assert_eq!(hook.events(), ["except"]);
    let body = hook.got()[0].json();
    let text = body["text"].as_str().unwrap();
    assert!(
        body["alarm"] == false && body["title"] == "app: the backup is proven, with new exceptions" && text.contains("- replication slot: slot a"),
        "{body:#}"
    );
    plant(&["slot a", "slot b"]);
    look();
    look();
    assert_eq!(hook.events(), ["except", "except"]);
    let text = hook.got()[1].json()["text"].as_str().unwrap().to_owned();
    assert!(text.contains("- replication slot: slot b") && !text.contains("slot a") && text.contains("2 in all"), "{text}");
}

#[test]
fn a_run_warns_of_exceptions_in_the_night_in_which_they_are_new_and_in_no_other() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo, hook) = (cluster.database("nights"), Repo::new(), HttpReceiver::new());
    database.sql("CREATE TABLE orders AS SELECT i AS id, i % 3 AS note FROM generate_series(1, 30) i");
    let invalid = |name: &str| {
        database.sql(&format!("CREATE INDEX {name} ON orders (note); UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass"));
    };
    invalid("orders_by_note");
    let ended = backup(&database, &repo, &hook).run().warned(&["new exceptions from the proof, which no dump brings back: invalid index: ", "orders_by_note"]);
    assert!(ended.stdout.contains("proof: proven, except 1\n    - invalid index: "), "{ended:#?}");
    // The same night after night is quiet.
    let ended = backup(&database, &repo, &hook).run().done();
    assert!(ended.stdout.contains("proof: proven, except 1\n"), "{ended:#?}");
    let run = repo.history().pop().unwrap();
    assert!(run["outcome"] == "done" && run["proof"] == "proven" && run["exceptions"] == 1, "{run:#}");
    // One more: only that one is news.
    invalid("orders_by_id_and_note");
    let ended = backup(&database, &repo, &hook).run().warned(&["brings back: invalid index: ", "orders_by_id_and_note"]);
    assert!(!ended.stderr.contains("orders_by_note") && ended.stdout.contains("proof: proven, except 2\n"), "{ended:#?}");
    assert_eq!(hook.events(), ["except", "except"]);
    // A drill by hand lists them, and they are no news to it.
    let drilled = kluis(&["drill", "latest"]).of(&database).keeping(&repo).run().done();
    assert!(drilled.stdout.contains(" proven, except 2: ") && drilled.stdout.contains("- invalid index: "), "{drilled:#?}");
    let notes = std::fs::read_to_string(repo.newest().join(names::RESTORE)).unwrap();
    assert!(notes.contains("## What a restore does not bring back") && notes.contains("run its CREATE INDEX"), "{notes}");
}

/// What pg_dump leaves to another object's definition, and a restore makes as that has it: an inherited constraint that is valid where its parent's is not, the
/// type of an identity column's sequence.
#[test]
fn what_comes_with_another_object_and_is_not_as_that_has_it_is_excepted_by_name() {
    const CHECKED: &str =
        "CREATE TABLE p (a int); CREATE TABLE c () INHERITS (p); CREATE TABLE d () INHERITS (p); ALTER TABLE p ADD CONSTRAINT k CHECK (a > 0) NOT VALID;
        ALTER TABLE c VALIDATE CONSTRAINT k; CREATE TABLE e () INHERITS (p);
        CREATE TABLE own (a int, CONSTRAINT k CHECK (a > 0)); ALTER TABLE own INHERIT p;
        CREATE TABLE valid (a int CONSTRAINT k CHECK (a > 0) NOT NULL); CREATE TABLE of_valid () INHERITS (valid);
        CREATE TABLE parted (a int, b int CONSTRAINT k CHECK (b > 0)) PARTITION BY LIST (a); CREATE TABLE part PARTITION OF parted DEFAULT;
        ALTER TABLE parted ADD CONSTRAINT l CHECK (b < 9) NOT VALID; ALTER TABLE part VALIDATE CONSTRAINT l; INSERT INTO parted VALUES (1, 2);
        CREATE TABLE counted (id int GENERATED ALWAYS AS IDENTITY, j bigint GENERATED ALWAYS AS IDENTITY (MAXVALUE 1000), k smallint GENERATED ALWAYS AS IDENTITY (INCREMENT -1), l serial);
        ALTER SEQUENCE counted_id_seq AS bigint; ALTER SEQUENCE counted_j_seq AS smallint; ALTER SEQUENCE counted_l_seq AS bigint;
        CREATE TABLE shut (a int, CONSTRAINT shut_by EXCLUDE USING btree (a WITH =)); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shut_by'::regclass";
    const REFERRING: &str = "CREATE TABLE referred (id int PRIMARY KEY); ALTER TABLE parted ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES referred NOT VALID; INSERT INTO referred VALUES (1);
        ALTER TABLE part VALIDATE CONSTRAINT f; CREATE TABLE n (a int); CREATE TABLE of_n () INHERITS (n); ALTER TABLE n ADD CONSTRAINT n NOT NULL a NOT VALID;
        ALTER TABLE of_n VALIDATE CONSTRAINT n; CREATE TABLE m (a int CONSTRAINT m NOT NULL NO INHERIT); CREATE TABLE of_m () INHERITS (m);
        CREATE TABLE zoo (id int NOT NULL); CREATE TABLE archive (LIKE zoo); CREATE TABLE zz (LIKE zoo); CREATE TABLE child () INHERITS (zoo)";
    const ENFORCED: &str = "CREATE TABLE q (a int); CREATE TABLE r () INHERITS (q); ALTER TABLE q ADD CONSTRAINT k CHECK (a > 0) NOT ENFORCED; ALTER TABLE r ALTER CONSTRAINT k ENFORCED";
    for (major, cluster) in [13, 18, 19].into_iter().filter_map(|major| Some((major, Cluster::of(major)?))) {
        let (database, repo) = (cluster.database("stricter"), Repo::new());
        database.sql(CHECKED);
        // The first changes nothing. The second no dump tells of.
        database.sql("GRANT USAGE ON LANGUAGE plpgsql TO postgres; CREATE EXTENSION fuzzystrmatch; COMMENT ON EXTENSION fuzzystrmatch IS NULL");
        let mut expected = vec!["state of constraint k public.c", "state of constraint k public.e"];
        expected.extend(["type of sequence public.counted_id_seq", "type of sequence public.counted_j_seq"]);
        if major >= 18 {
            database.sql(REFERRING);
            expected.insert(2, "state of foreign key f of public.part");
            expected.splice(0..0, ["name of constraint NOT NULL id public.child", "name of constraint NOT NULL id public.zoo"]);
        }
        if major >= 19 {
            database.sql(ENFORCED);
            expected.insert(4, "state of constraint k public.r");
        }
        kluis(&["backup"]).of(&database).keeping(&repo).run().done();
        let ended = kluis(&["drill", "latest"]).of(&database).keeping(&repo).run().warned(&["state of constraint k public.c"]);
        assert!(ended.stdout.contains(&format!(" proven, except {}: ", expected.len() + 2)), "{ended:#?}");
        let proof: serde_json::Value = serde_json::from_slice(&std::fs::read(repo.newest().join("proof.json")).unwrap()).unwrap();
        let found: Vec<(&str, &str)> =
            proof["exceptions"].as_array().unwrap().iter().map(|one| (one["class"].as_str().unwrap(), one["object"].as_str().unwrap())).collect();
        let expected: Vec<(&str, &str)> = [("invalid-index", "index public.shut_by"), ("extension-member", "comment on extension fuzzystrmatch")]
            .into_iter()
            .chain(expected.iter().map(|object| ("accessory", *object)))
            .collect();
        assert_eq!(found, expected, "{major}");
    }
}
