//! What this machine lacks: a drill that cannot be carried out here says nothing about the backup, and what to do.
//! It owns faults of the machine that a restore meets halfway; what is seen before anything is restored, `drill` has.
//! Invariant: none of these backups is called bad, and none proven.

use super::{drill, proof};
use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{kluis, kluis_after};
use crate::support::new_folder;
use crate::support::repo::Repo;
use kluis::manifest::{Rung, Verdict};

/// Drills a backup of the database, after this was done in the drill's shell.
#[track_caller]
fn cannot_judge(database: &Database, first: Option<&str>, words: &[&str]) {
    let repo = Repo::new();
    kluis(&["backup"]).of(database).keeping(&repo).run().done();
    let ended = match first {
        Some(first) => kluis_after(first, &["drill"]).keeping(&repo).tools(&database.cluster).run(),
        None => drill(&repo, &database.cluster).run(),
    };
    let proof = proof(&repo.newest());
    assert_eq!((ended.code, proof.verdict, proof.rung), (Some(3), Verdict::CannotJudge, Rung::Sealed), "{ended:#?}");
    words.iter().for_each(|words| assert!(proof.findings.iter().any(|found| found.contains(words)), "'{words}' is not in {proof:#?}"));
}

#[test]
fn a_collation_whose_locale_this_machine_lacks() {
    for cluster in [13, 18].into_iter().filter_map(Cluster::of) {
        let database = cluster.database("collated");
        // As if the locale had been here when it was made.
        database.sql(
            "CREATE COLLATION odd (LOCALE = 'C'); CREATE TABLE t (v text COLLATE odd); INSERT INTO t VALUES ('x');
            UPDATE pg_collation SET collcollate = 'xx_XX.utf8', collctype = 'xx_XX.utf8' WHERE collname = 'odd'",
        );
        cannot_judge(&database, None, &["install the operating system's locale"]);
    }
}

#[test]
fn a_server_that_a_materialized_view_reads_and_memory_that_is_not_there() {
    let Some(cluster) = Cluster::of(16) else { return };
    // They are filled in the restore alone.
    let filled = "UPDATE pg_class SET relispopulated = true WHERE relname = 'm'";
    let far = cluster.database("far");
    far.sql(&format!(
        "CREATE EXTENSION postgres_fdw; CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/nowhere'); CREATE USER MAPPING FOR PUBLIC SERVER s;
        CREATE FOREIGN TABLE f (id int) SERVER s; CREATE MATERIALIZED VIEW m AS SELECT * FROM f WITH NO DATA; {filled}"
    ));
    cannot_judge(&far, None, &["create the materialized view WITH NO DATA"]);
    let large = cluster.database("large");
    large
        .sql(&format!("CREATE MATERIALIZED VIEW m AS SELECT length(string_agg(repeat('x', 1000000), '')) FROM generate_series(1, 500) WITH NO DATA; {filled}"));
    cannot_judge(&large, Some("ulimit -v 1000000"), &["give this service more memory"]);
}

#[test]
fn a_scratch_folder_that_no_drill_could_use_is_told_by_doctor_and_dry_run() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo) = (cluster.database("scratch"), Repo::new());
    database.sql("CREATE TABLE t AS SELECT 1 AS id");
    let file = new_folder("scratch").join("file");
    std::fs::write(&file, "").unwrap();
    let with =
        |words: &[&str], scratch: &str| kluis(words).of(&database).keeping(&repo).env("BACKUP_DRILL", "every-backup").env("BACKUP_SCRATCH_DIR", scratch).run();
    for wrong in ["/proc/k", file.to_str().unwrap()] {
        let ended = with(&["doctor"], wrong);
        assert!(ended.code == Some(14) && ended.stdout.contains("no backup can be proven"), "{ended:#?}");
        with(&["backup", "--dry-run"], wrong).warned(&["the backup could not be proven"]);
    }
    let before = repo.fingerprint();
    let right = new_folder("right");
    let ended = with(&["doctor", "--drill"], right.to_str().unwrap());
    assert!(ended.stdout.contains("a server's folder can be made there") && ended.stdout.contains("was started and removed in"), "{ended:#?}");
    assert_eq!(repo.fingerprint(), before);
    assert_eq!(std::fs::read_dir(&right).unwrap().count(), 0);
}
