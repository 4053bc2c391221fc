//! Whose backups a target holds, and whether the repository is the one that was there: what another database, another cluster or an unmounted volume would do.
//! It owns the refusals and `kluis adopt`; it leaves the rules that pick what stays to `retention`'s own tests.
//! Invariant: whatever is refused here has written nothing, and no backup of anybody is gone afterwards.

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Ended, Kluis, kluis};
use crate::support::repo::Repo;
use std::path::Path;

/// A policy that keeps as little as can be.
fn greedy(kluis: Kluis) -> Kluis {
    kluis.env("BACKUP_KEEP_MIN", "1").env("BACKUP_RETENTION_DAYS", "0").env("BACKUP_DRILL", "every-backup")
}

fn backup(database: &Database, repo: &Repo) -> Ended {
    greedy(kluis(&["backup"]).of(database).keeping(repo)).run()
}

fn filled(cluster: &Cluster, name: &str) -> Database {
    let database = cluster.database(name);
    database.sql("CREATE TABLE t AS SELECT i FROM generate_series(1, 50) i");
    database
}

#[track_caller]
fn is_refused(ended: Ended, code: i32, says: &[&str]) {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(ended.code == Some(code) && says.iter().all(|word| said.contains(word)), "{says:?}: {ended:#?}");
}

fn json(ended: &Ended) -> serde_json::Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:#?}"))
}

#[test]
fn a_second_database_on_a_target_is_refused_and_deletes_nothing() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (shop, blog, repo) = (filled(&cluster, "shop"), filled(&cluster, "blog"), Repo::new());
    backup(&shop, &repo).done();
    let (first, before) = (repo.backups(), repo.fingerprint());
    let names = [shop.name.as_str(), blog.name.as_str(), "kluis adopt --target app", "BACKUP_TARGET"];
    is_refused(greedy(kluis(&["backup", "--dry-run"]).of(&blog).keeping(&repo)).run(), 10, &names);
    is_refused(kluis(&["doctor"]).of(&blog).keeping(&repo).run(), 10, &names);
    assert_eq!(repo.fingerprint(), before);
    is_refused(backup(&blog, &repo), 10, &names);
    assert_eq!(repo.backups(), first);
    assert_eq!(repo.latest_run(), ("failed".to_owned(), "refused".to_owned()));
    // It says so itself, and the first one is none the worse for it.
    let healthy = kluis(&["doctor"]).of(&shop).keeping(&repo).run();
    assert!(healthy.stdout.contains("source") && !healthy.stdout.contains("not ours"), "{healthy:#?}");
    backup(&shop, &repo).done();

    let told = json(&kluis(&["adopt", "--json"]).of(&blog).keeping(&repo).run().done());
    assert_eq!(told["targets"][0]["before"]["database"], shop.name.as_str());
    assert_eq!(told["targets"][0]["source"]["database"], blog.name.as_str());
    is_refused(backup(&shop, &repo), 10, &[&shop.name]);
    backup(&blog, &repo).done();
    is_refused(backup(&shop, &repo), 10, &[&shop.name]);
    let again = kluis(&["adopt"]).of(&blog).keeping(&repo).run().done();
    assert!(again.stdout.contains("already"), "{again:#?}");
    assert!(!kluis(&["list"]).keeping(&repo).run().done().stdout.contains("adopted.json"));
}

#[test]
fn a_database_of_the_same_name_in_another_cluster_is_another_one_unless_nobody_tells() {
    let (Some(old), Some(new)) = (Cluster::of(16), Cluster::of(17)) else { return };
    let (before, repo) = (filled(&old, "moved"), Repo::new());
    let after = Database { cluster: new.clone(), name: before.name.clone() };
    new.sql("postgres", &format!("CREATE DATABASE {}", after.name));
    after.sql("CREATE TABLE t AS SELECT i FROM generate_series(1, 60) i");
    backup(&before, &repo).done();
    is_refused(backup(&after, &repo), 10, &["another cluster", "major upgrade", "kluis adopt"]);
    // A run is in progress while somebody holds the lock.
    kluis(&["adopt"]).of(&after).keeping(&repo).run().done();
    backup(&after, &repo).done();

    // Where a server does not tell its identifier, its name is all there is.
    let Some(silent) = Cluster::own(16, &[]) else { return };
    let (quiet, repo) = (filled(&silent, "quiet"), Repo::new());
    backup(&quiet, &repo).done();
    let same = Database { cluster: old.clone(), name: quiet.name.clone() };
    old.sql("postgres", &format!("CREATE DATABASE {}", same.name));
    same.sql("CREATE TABLE t AS SELECT i FROM generate_series(1, 50) i; REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
    let role = old.role("reader");
    old.sql("postgres", &format!("GRANT pg_read_all_data TO {role}"));
    kluis(&["backup"]).of(&same).role(&role).keeping(&repo).run().done();
}

#[test]
fn the_best_of_each_database_stays_where_several_got_into_one_folder() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (shop, blog, repo, other) = (filled(&cluster, "shop"), filled(&cluster, "blog"), Repo::new(), Repo::new());
    backup(&shop, &repo).done();
    // As versions did that did not look.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    backup(&blog, &other).done();
    let (theirs, ours) = (repo.newest(), other.newest());
    std::fs::rename(&ours, repo.folder().join(ours.file_name().unwrap())).unwrap();
    let pruned = greedy(kluis(&["prune"]).keeping(&repo).of(&blog)).run().done();
    assert!(theirs.exists() && repo.backups().len() == 2, "{pruned:#?}");
    assert!(pruned.stdout.contains("the newest of another database in this folder"), "{pruned:#?}");
}

/// A folder is a volume here: one that is not mounted is an empty folder in its place.
fn swap(one: &Path, other: &Path) {
    let between = one.with_extension("between");
    std::fs::rename(one, &between).unwrap();
    std::fs::rename(other, one).unwrap();
    std::fs::rename(between, other).unwrap();
}

#[test]
fn a_repository_that_is_not_mounted_is_an_alarm_and_no_beginning() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo, away) = (filled(&cluster, "shop"), Repo::new(), Repo::new());
    let run = |words: &[&str]| kluis(words).of(&database).keeping(&repo).run();
    run(&["backup"]).done();
    run(&["status"]).done();
    swap(&repo.root, &away.root);
    let (nothing, gone) = (repo.fingerprint(), ["is empty, and was a repository before", "is mounted", "kluis adopt"]);
    for words in [&["backup"][..], &["backup", "--dry-run"], &["status"], &["list"], &["prune"], &["doctor"]] {
        is_refused(run(words), 14, &gone);
    }
    // What messages and the log left behind says nothing of a repository.
    let left: Vec<_> = repo.fingerprint().into_keys().filter(|path| !nothing.contains_key(path)).collect();
    assert!(left.iter().all(|path| !path.to_string_lossy().contains("app")), "{left:?}");
    is_refused(run(&["backup"]), 14, &gone);

    // Mounted again, all is as it was. Another one in its place is not.
    swap(&repo.root, &away.root);
    run(&["status"]).done();
    run(&["backup"]).done();
    let stranger = Repo::new();
    kluis(&["backup"]).of(&database).keeping(&stranger).run().done();
    swap(&repo.root, &stranger.root);
    is_refused(run(&["backup"]), 14, &["is another repository than the one that was here before"]);
    is_refused(run(&["prune"]), 14, &["is another repository"]);
    let adopted = run(&["adopt"]).done();
    assert!(adopted.stdout.contains("is the repository from now on"), "{adopted:#?}");
    run(&["backup"]).done();
    run(&["status"]).done();
}

#[test]
fn a_copy_of_a_repository_that_lost_its_id_is_taken_for_it_and_gets_it_back() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo) = (filled(&cluster, "shop"), Repo::new());
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    let file = repo.root.join(".repository.json");
    let id = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["id"].as_str().unwrap().to_owned();
    let before = id(&std::fs::read_to_string(&file).unwrap());
    for damage in [None, Some(""), Some("{\"version\":1")] {
        match damage {
            None => std::fs::remove_file(&file).unwrap(),
            Some(text) => std::fs::write(&file, text).unwrap(),
        }
        kluis(&["backup"]).of(&database).keeping(&repo).run().done();
        assert_eq!(id(&std::fs::read_to_string(&file).unwrap()), before);
    }
}

#[test]
fn the_folder_of_a_renamed_target_is_named() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo) = (filled(&cluster, "shop"), Repo::new());
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    let renamed = |words: &[&str]| kluis(words).of(&database).keeping(&repo).env("BACKUP_TARGET", "production").run();
    let told = ["'app' holds 1 backup, and no target of this configuration has that name", "rename its folder"];
    is_refused(renamed(&["status"]), 4, &told);
    is_refused(renamed(&["doctor"]), 3, &told);
    is_refused(renamed(&["list"]), 0, &told);
    assert_eq!(json(&renamed(&["status", "--json"]))["strays"][0]["target"], "app");
    std::fs::rename(repo.folder(), repo.root.join("production")).unwrap();
    let found = renamed(&["list"]).done();
    assert!(!found.stdout.contains("no target of this configuration"), "{found:#?}");
}
