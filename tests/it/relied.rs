//! Which backups are relied upon: whole ones, of a database that held something. What is not is never the latest, and never the reason why another one goes.

use crate::cli::fixture;
use crate::support::cluster::Cluster;
use crate::support::kluis::{Ended, Kluis, kluis};
use crate::support::repo::Repo;
use crate::support::{is_root, server_user};
use jiff::{SignedDuration, Timestamp};
use kluis::repository::names;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A backup made so many hours ago, see `fixture`.
fn made(repo: &Repo, hours: i64, options: &[&str]) -> PathBuf {
    let path = repo.folder().join(names::backup_id(Timestamp::now() - SignedDuration::from_hours(hours)));
    fixture::make(&path, options).unwrap();
    path
}

fn id(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn ask(repo: &Repo, words: &[&str]) -> Kluis {
    kluis(words).keeping(repo).env("BACKUP_DRILL", "every-backup").env("BACKUP_ALLOW_EMPTY", "no")
}

fn json(ended: &Ended) -> serde_json::Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:#?}"))
}

/// The standing that `list` gives each backup, newest first.
fn standings(repo: &Repo) -> Vec<String> {
    let list = json(&ask(repo, &["list", "--json"]).run());
    let backups = list["targets"][0]["backups"].as_array().unwrap_or_else(|| panic!("{list:#}")).clone();
    backups.iter().map(|backup| backup["standing"].as_str().unwrap().to_owned()).collect()
}

fn latest(repo: &Repo) -> String {
    json(&ask(repo, &["show", "latest", "--json"]).run())["id"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_backup_that_is_not_whole_counts_for_nothing() {
    let repo = Repo::new();
    let whole: Vec<PathBuf> = [300, 200].map(|hours| made(&repo, hours, &["proof=proven"])).into();
    let torn: Vec<PathBuf> = [30, 20, 1].map(|hours| made(&repo, hours, &["proof=proven"])).into();
    let policy = |words: &[&str]| ask(&repo, words).env("BACKUP_RETENTION_DAYS", "7").env("BACKUP_KEEP_MIN", "1");
    // As long as they are whole they are the newest.
    assert_eq!(latest(&repo), id(&torn[2]));
    // A copy that broke off, each in another way.
    for name in ["shop.sql.gz", names::SCHEMA, names::GLOBALS] {
        std::fs::remove_file(torn[0].join(name)).unwrap();
    }
    std::fs::OpenOptions::new().write(true).open(torn[1].join("shop.sql.gz")).unwrap().set_len(7).unwrap();
    std::fs::remove_file(torn[2].join(names::UNITS)).unwrap();
    std::fs::create_dir(torn[2].join(names::UNITS)).unwrap();

    assert_eq!(standings(&repo), ["incomplete", "incomplete", "incomplete", "proven", "proven"]);
    assert_eq!(latest(&repo), id(&whole[1]));
    let list = ask(&repo, &["list"]).run();
    for part in ["'shop.sql.gz' is missing, and 2 more of its files", "'shop.sql.gz' has 7 bytes instead of", "'units.jsonl' is no file"] {
        assert!(list.stdout.contains(part), "'{part}': {list:#?}");
    }
    let status = ask(&repo, &["status"]).run();
    assert!(status.code == Some(4) && status.stdout.contains(&id(&whole[1])) && status.stdout.contains("incomplete: 'units.jsonl' is no file"), "{status:#?}");
    // By its age the older of the whole ones may go; the newest proven one stays, whatever lies after it.
    let pruned = policy(&["prune"]).run();
    assert_eq!(pruned.code, Some(0), "{pruned:#?}");
    assert!(!whole[0].exists() && whole[1].exists() && torn.iter().all(|path| path.exists()), "{pruned:#?}");
    // The others go as bad ones do. Where nothing else is left, nothing goes.
    let days = policy(&["prune"]).env("BACKUP_RETENTION_DAYS", "0").run();
    assert!(days.code == Some(0) && whole[1].exists() && torn.iter().all(|path| !path.exists()), "{days:#?}");
    std::fs::remove_file(whole[1].join(names::SCHEMA)).unwrap();
    let last = policy(&["prune"]).env("BACKUP_RETENTION_DAYS", "0").run();
    assert!(whole[1].exists() && last.stdout.contains("no backup is known to be good"), "{last:#?}");
    let none = ask(&repo, &["show", "latest"]).run();
    assert!(none.stderr.contains("1 backup, and that one") && none.stderr.contains("incomplete: 'schema.dump' is missing"), "{none:#?}");
}

#[test]
fn a_database_that_was_emptied_is_not_relied_upon() {
    let repo = Repo::new();
    let full = made(&repo, 20, &["proof=proven", "rows=5000"]);
    let emptied = made(&repo, 1, &["proof=proven", "empty"]);
    assert_eq!((standings(&repo), latest(&repo)), (vec!["suspicious".to_owned(), "proven".to_owned()], id(&full)));
    let status = ask(&repo, &["status"]).run();
    let why = format!("of an empty database, where backup {} held 5,002 rows", id(&full));
    assert!(status.code == Some(0) && status.stdout.contains(&why) && status.stdout.contains("made 20 h ago"), "{status:#?}");
    // Whatever is proven of it: nothing, where drills are not made.
    std::fs::rename(emptied.join(names::PROOF), emptied.join("proof")).unwrap();
    assert_eq!((standings(&repo), latest(&repo)), (vec!["suspicious".to_owned(), "proven".to_owned()], id(&full)));
    std::fs::rename(emptied.join("proof"), emptied.join(names::PROOF)).unwrap();
    // Neither age nor floors prefer it to what held something.
    let pruned = ask(&repo, &["prune"]).env("BACKUP_RETENTION_DAYS", "0").env("BACKUP_KEEP_MIN", "1").run();
    assert!(full.exists() && pruned.stderr.contains("suspicious"), "{pruned:#?}");
    // Restored is it only by whoever says so.
    if let Some(cluster) = Cluster::of(16) {
        let to = format!("{}emptied", cluster.database("postgres_of_relied").url().rsplit_once('/').map_or("", |(server, _)| server).to_owned() + "/");
        let refused = ask(&repo, &["restore", &id(&emptied), "--create", "--to", &to]).into(&cluster).run();
        assert!(refused.code == Some(2) && refused.stderr.contains(&why) && refused.stderr.contains("--yes"), "{refused:#?}");
    }
    // Somebody says that it is right: for the view at once, for everything else from the next backup on.
    let allowed = ask(&repo, &["status"]).env("BACKUP_ALLOW_EMPTY", "yes").run();
    assert!(allowed.code == Some(0) && allowed.stdout.contains("made 1 h ago"), "{allowed:#?}");
    let next = made(&repo, 0, &["proof=proven", "empty", "empty-allowed"]);
    assert_eq!(latest(&repo), id(&next));
    // A database that never held anything is as it was.
    let young = Repo::new();
    let first = made(&young, 1, &["proof=proven", "empty"]);
    assert_eq!((standings(&young), latest(&young)), (vec!["proven".to_owned()], id(&first)));
}

#[test]
fn a_run_of_an_emptied_database_leaves_the_latest_where_it_was() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo) = (cluster.database("shop"), Repo::new());
    database.sql("CREATE TABLE t AS SELECT i FROM generate_series(1, 2000) i");
    let run = || kluis(&["backup"]).of(&database).keeping(&repo).env("BACKUP_DRILL", "off").env("BACKUP_ALLOW_EMPTY", "no").run();
    run().done();
    let full = repo.newest();
    database.sql("DROP TABLE t");
    let ended = run().warned(&["of an empty database, where backup", "held 2,000 rows: it is not relied upon"]);
    assert_eq!(std::fs::read_link(repo.folder().join("latest")).unwrap().to_string_lossy(), id(&full), "{ended:#?}");
    assert_ne!(repo.newest(), full);
}

#[test]
fn a_backup_that_cannot_be_read_stops_no_other() {
    let repo = Repo::new();
    let (old, new) = (made(&repo, 400, &["proof=proven"]), made(&repo, 1, &["proof=proven"]));
    let unreadable = made(&repo, 300, &["proof=proven"]);
    let run = |words: &[&str]| {
        let asked = ask(&repo, words).env("BACKUP_KEEP_MIN", "1").env("BACKUP_RETENTION_DAYS", "7");
        if let Some(user) = server_user() { asked.user(user) } else { asked }.run()
    };
    if is_root() {
        let (uid, gid) = server_user().unwrap();
        let changed = std::process::Command::new("chown").arg("-R").arg(format!("{uid}:{gid}")).arg(&repo.root).status().unwrap();
        assert!(changed.success());
        std::os::unix::fs::chown(unreadable.join(names::MANIFEST), Some(0), Some(0)).unwrap();
    }
    std::fs::set_permissions(unreadable.join(names::MANIFEST), std::fs::Permissions::from_mode(0o000)).unwrap();
    let status = run(&["status"]);
    assert!(status.code == Some(0) && status.stdout.contains("made 1 h ago"), "{status:#?}");
    let list = run(&["list"]);
    assert!(list.code == Some(0) && list.stdout.contains("not understood") && list.stdout.contains("Permission denied"), "{list:#?}");
    // Nobody knows what there is: nothing goes.
    let pruned = run(&["prune"]);
    assert!(old.exists() && new.exists() && pruned.stdout.contains(&format!("backup '{}' cannot be read", id(&unreadable))), "{pruned:#?}");
}

#[test]
fn an_empty_proof_is_replaced_and_one_of_a_later_version_is_not() {
    let repo = Repo::new();
    let path = made(&repo, 1, &[]);
    std::fs::write(path.join(names::PROOF), "").unwrap();
    let verified = ask(&repo, &["verify", &id(&path)]).run();
    let proof = std::fs::read_to_string(path.join(names::PROOF)).unwrap();
    assert!(verified.code == Some(0) && proof.contains("\"rung\": \"read\""), "{verified:#?}: {proof}");
    std::fs::write(path.join(names::PROOF), "{\"format\": 9}\n").unwrap();
    let kept = ask(&repo, &["verify", &id(&path)]).run();
    assert!(kept.stderr.contains("its proof cannot be read"), "{kept:#?}");
    assert_eq!(std::fs::read_to_string(path.join(names::PROOF)).unwrap(), "{\"format\": 9}\n");
}
