//! Tables that lose rows: found in the run, table by table, named where people read, and never a reason for the disk to fill.

use crate::support::cluster::Cluster;
use crate::support::disk::SmallDisk;
use crate::support::kluis::{Kluis, kluis};
use crate::support::receivers::HttpReceiver;
use crate::support::repo::Repo;
use kluis::manifest::Summary;
use kluis::repository::list::Backup;
use kluis::repository::names;
use std::path::Path;

fn summary(backup: &Path) -> Summary {
    Backup::read(backup.to_owned()).manifest.unwrap()
}

fn id(backup: &Path) -> String {
    backup.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn a_table_that_was_emptied_beside_a_large_one_is_named() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo, hook) = (cluster.database("shop"), Repo::new(), HttpReceiver::new());
    let run = |words: &[&str]| -> Kluis {
        let asked = kluis(words).of(&database).keeping(&repo).env("BACKUP_NOTIFY", format!("http://127.0.0.1:{}/hook", hook.port));
        asked.env("BACKUP_KEEP_MIN", "1").env("BACKUP_RETENTION_DAYS", "0")
    };
    database.sql(
        "CREATE TABLE log AS SELECT i FROM generate_series(1, 20000) i; CREATE TABLE users AS SELECT i FROM generate_series(1, 500) i;
         CREATE TABLE orders AS SELECT i FROM generate_series(1, 3000) i; CREATE TABLE coupons AS SELECT 1 AS i; CREATE TABLE jobs (i int);
         CREATE TABLE visits (day int) PARTITION BY LIST (day); CREATE TABLE visits_1 PARTITION OF visits FOR VALUES IN (1);
         CREATE TABLE visits_2 PARTITION OF visits FOR VALUES IN (2); INSERT INTO visits SELECT 1 + i % 2 FROM generate_series(1, 1900) i",
    );
    run(&["backup"]).run().done();
    let full = repo.newest();
    assert_eq!(summary(&full).changes, None);
    // All rows together grow meanwhile; a partition goes, as they do.
    database.sql(
        "INSERT INTO log SELECT i FROM generate_series(1, 9000) i; TRUNCATE users; DELETE FROM orders WHERE i > 1000; DROP TABLE coupons; CREATE TABLE vouchers (i int);
         DROP TABLE visits_1",
    );
    let found = run(&["backup"]).run().warned(&[
        "table public.users held 500 rows and is empty",
        "table public.orders held 3,000 rows and holds 1,000",
        "table public.coupons held 1 row and is gone",
        "nothing was deleted: suspicious: 1 table went, 1 was emptied, 1 lost more than half of its rows",
    ]);
    assert!(!found.stderr.contains("visits") && full.exists(), "{found:#?}");
    let shrunk = repo.newest();
    let text = std::fs::read_to_string(shrunk.join(names::MANIFEST)).unwrap();
    let changes = summary(&shrunk).changes.unwrap();
    assert_eq!((changes.against.as_str(), changes.new, changes.gone, changes.emptied, changes.halved), (id(&full).as_str(), 1, 1, 1, 1));
    assert_eq!(changes.before_losses, [id(&full)]);
    assert!(["users", "orders", "coupons"].iter().all(|name| !text.contains(name)), "the manifest names no table: {text}");
    let told = hook.got().into_iter().map(|got| got.json()).find(|told| told["event"] == "shrinkage").expect("somebody was told");
    let said = told.to_string();
    assert!(said.contains("table public.users held 500 rows and is empty") && said.contains(&format!("kluis compare {}", id(&full))), "{told:#}");
    let plan = run(&["prune", "--dry-run"]).run().warned(&["suspicious", "--accept-shrinkage"]);
    assert!(plan.stdout.contains("table public.users held 500 rows"), "{plan:#?}");

    // The next one agrees: deletion goes on, but what is from before the loss stays for as long as the rows are gone.
    run(&["backup"]).run().done();
    let plan = run(&["prune", "--dry-run"]).run();
    assert_eq!(repo.backups(), [full.clone(), repo.newest()], "{plan:#?}");
    assert_eq!(summary(&repo.newest()).changes.unwrap().before_losses, [id(&full)]);
    let shown = run(&["prune", "--dry-run"]).run().done();
    assert!(shown.stdout.contains("from before tables lost rows that have not come back"), "{shown:#?}");
    run(&["delete", &id(&full)]).run().failed(2, &["from before tables lost rows"]);
    // They come back.
    database.sql(
        "INSERT INTO users SELECT i FROM generate_series(1, 400) i; INSERT INTO orders SELECT i FROM generate_series(1, 900) i; CREATE TABLE coupons AS SELECT 1 AS i",
    );
    run(&["backup"]).run().done();
    assert_eq!(repo.backups(), [repo.newest()]);
    kluis(&["verify", "--all"]).keeping(&repo).run().done();
}

#[test]
fn what_nobody_misses_is_accepted_and_the_policy_goes_on() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo) = (cluster.database("shop"), Repo::new());
    let run = |words: &[&str]| kluis(words).of(&database).keeping(&repo).env("BACKUP_KEEP_MIN", "1").env("BACKUP_RETENTION_DAYS", "0");
    database.sql("CREATE TABLE log AS SELECT i FROM generate_series(1, 20000) i; CREATE TABLE old AS SELECT i FROM generate_series(1, 500) i");
    run(&["backup"]).run().done();
    let full = repo.newest();
    database.sql("DROP TABLE old");
    run(&["backup"]).run().warned(&["table public.old held 500 rows and is gone"]);
    let accepted = run(&["prune", "--accept-shrinkage"]).run().done();
    assert!(accepted.stdout.contains("table public.old held 500 rows") && !full.exists(), "{accepted:#?}");
    run(&["backup"]).run().done();
    assert_eq!(summary(&repo.newest()).changes, None);
    assert!(run(&["list"]).run().done().stdout.lines().all(|line| !line.contains("not ours")));
    // Tables that go all the time say nothing; each of these was the first that was seen to go.
    for round in 1..=4 {
        database.sql(&format!("CREATE TABLE import_{round} AS SELECT 1 AS i"));
        run(&["backup"]).env("BACKUP_RETENTION_DAYS", "7").run().done();
        database.sql(&format!("DROP TABLE import_{round}"));
        let ended = run(&["backup"]).env("BACKUP_RETENTION_DAYS", "7").run();
        assert_eq!(ended.code, Some(if round < 4 { 3 } else { 0 }), "{round}: {ended:#?}");
    }
}

#[test]
fn a_full_disk_is_no_deadlock() {
    let Some(disk) = SmallDisk::mount("12m") else { return };
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo) = (cluster.database("shop"), Repo::at(disk.0.clone()));
    database.sql("CREATE TABLE noise AS SELECT sha512(i::text::bytea) AS b FROM generate_series(1, 35000) i");
    let run = |words: &[&str], days: &str| kluis(words).of(&database).keeping(&repo).env("BACKUP_KEEP_MIN", "1").env("BACKUP_RETENTION_DAYS", days);
    while repo.backups().len() < 4 {
        run(&["backup"], "30").run().done();
    }
    // No room for one more, and the policy keeps them all: what would help is said.
    let refused = run(&["backup"], "30").run().failed(14, &["free", "needs about", "a lower BACKUP_RETENTION_DAYS and then kluis prune", "kluis delete ID"]);
    assert_eq!((repo.backups().len(), repo.latest_run()), (4, ("failed".to_owned(), "storage".to_owned())), "{refused:#?}");
    run(&["backup", "--dry-run"], "30").run().failed(14, &["kluis delete ID"]);
    // A dry run tells what a lower one gives up, although the last run failed, and so does the one of prune.
    run(&["backup", "--dry-run"], "0").run().failed(14, &["deletes what the policy has given up (3 of 4, ", "also after a failed run"]);
    let plan = run(&["prune", "--dry-run"], "0").run().done();
    assert!(plan.stdout.contains("would delete 3 backups") && repo.backups().len() == 4, "{plan:#?}");
    // A run that fails for it makes room at once, and the next one succeeds.
    let newest = repo.newest();
    run(&["backup"], "0").run().failed(14, &["3 backups that the policy had given up were deleted"]);
    assert_eq!(repo.backups(), [newest]);
    assert_eq!(repo.history().last().unwrap()["deleted"].as_array().unwrap().len(), 3);
    run(&["backup"], "0").run().done();
}
