//! How targets stand: the health check's answer for repositories of every kind, by the real binary.

use crate::cli::fixture;
use crate::support::kluis::kluis;
use crate::support::repo::Repo;
use jiff::{SignedDuration, Timestamp};
use kluis::repository::names;

/// A repository in some state.
struct Given<'a> {
    /// Backups: hours ago, and how they are made (see `fixture`).
    backups: &'a [(i64, &'a str)],
    /// Runs: hours ago, and how they ended.
    runs: &'a [(i64, &'a str)],
    /// Settings.
    env: &'a [(&'a str, &'a str)],
}

fn hours_ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

#[track_caller]
fn check(name: &str, given: &Given<'_>, state: &str, words: &[&str]) {
    let repo = Repo::new();
    std::fs::create_dir(repo.folder()).unwrap();
    for (hours, options) in given.backups {
        let options: Vec<&str> = options.split(' ').filter(|option| !option.is_empty()).collect();
        fixture::make(&repo.folder().join(names::backup_id(hours_ago(*hours))), &options).unwrap();
    }
    let line = |(hours, outcome): &(i64, &str)| {
        let at = hours_ago(*hours);
        format!("{{\"started\":\"{at}\",\"finished\":\"{at}\",\"outcome\":\"{outcome}\",\"step\":\"dump\",\"message\":\"the disk is on fire\"}}\n")
    };
    std::fs::write(repo.folder().join(names::HISTORY), given.runs.iter().map(line).collect::<String>()).unwrap();
    let ask = |arguments: &[&str]| {
        let kluis = given.env.iter().fold(kluis(arguments).keeping(&repo).env("BACKUP_DRILL", "every-backup"), |kluis, (name, value)| kluis.env(name, value));
        kluis.run()
    };
    let json = ask(&["status", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap_or_else(|error| panic!("{name}: {error}: {json:#?}"));
    assert_eq!((report["state"].as_str(), report["targets"][0]["state"].as_str()), (Some(state), Some(state)), "{name}: {report:#}");
    let text = ask(&["status"]);
    for answer in [&json, &text] {
        assert_eq!(answer.code, Some(if state == "fresh" { 0 } else { 4 }), "{name}: {answer:#?}");
        for word in words {
            assert!(answer.stdout.contains(word), "{name}: '{word}' is not in {answer:#?}");
        }
    }
}

#[test]
fn every_state() {
    const NONE: Given<'static> = Given { backups: &[], runs: &[], env: &[] };
    let off = [("BACKUP_DRILL", "off")];
    check("nothing yet", &NONE, "starting", &["no backup yet, and no run"]);
    check("the first run failed", &Given { runs: &[(1, "failed")], ..NONE }, "stale", &["no backup; the last run failed: the disk is on fire"]);
    check("skipped runs are none", &Given { runs: &[(1, "skipped")], ..NONE }, "starting", &[]);
    check("proven this night", &Given { backups: &[(3, "proof=proven")], runs: &[(3, "done")], ..NONE }, "fresh", &["newest proven backup was made 3 h ago"]);
    check("proven too long ago", &Given { backups: &[(27, "proof=proven")], ..NONE }, "stale", &["27 h ago", "may be 1 d 02 h old"]);
    check("overdue outranks the last result", &Given { backups: &[(27, "proof=proven")], runs: &[(27, "done")], ..NONE }, "stale", &["27 h ago"]);
    check(
        "failed since, and still fresh",
        &Given { backups: &[(20, "proof=proven")], runs: &[(20, "done"), (1, "failed")], ..NONE },
        "fresh",
        &["the last run failed: the disk is on fire"],
    );
    check("only sealed", &Given { backups: &[(1, "")], ..NONE }, "stale", &["no backup is proven"]);
    check(
        "only sealed, and drills are off",
        &Given { backups: &[(1, "")], env: &off, ..NONE },
        "fresh",
        &["newest backup was made 1 h ago", "complete, not proven"],
    );
    check("old, and drills are off", &Given { backups: &[(40, "")], env: &off, ..NONE }, "stale", &["40 h ago"]);
    check(
        "the newest is bad",
        &Given { backups: &[(20, "proof=proven"), (1, "proof=drill-bad")], ..NONE },
        "fresh",
        &["made 20 h ago", "is BAD: do not rely on it"],
    );
    check(
        "all are bad",
        &Given { backups: &[(2, "proof=bad"), (1, "proof=drill-bad")], env: &off, ..NONE },
        "stale",
        &["no backup can be relied upon, of 2 that are there: 2 bad; the newest, 2", "is bad: table public.orders has 2 rows instead of 3", "is BAD"],
    );
    check(
        "not understood",
        &Given { backups: &[(2, "proof=bad"), (1, "proof=proven format=9")], ..NONE },
        "stale",
        &["of 2 that are there: 1 bad, 1 not understood", "is not understood: 'manifest.json': format 9 is not known"],
    );
    check("only from the future", &Given { backups: &[(-1000, "proof=proven")], ..NONE }, "stale", &["of 1 that are there: 1 dated in the future"]);
    check(
        "proven, with exceptions",
        &Given { backups: &[(3, "proof=proven except=invalid-index:i1;replication-slot:s1;replication-slot:s2;replication-slot:s3")], ..NONE },
        "fresh",
        &["newest proven backup was made 3 h ago", "invalid", "s1"],
    );
    check("a proven one, and a newer one that is not", &Given { backups: &[(25, "proof=proven"), (1, "")], ..NONE }, "fresh", &["is not proven yet"]);
    check(
        "dated in the future: no clock makes an old one fresh",
        &Given { backups: &[(30, "proof=proven"), (-1000, "proof=proven")], ..NONE },
        "stale",
        &["30 h ago", "dated in the future"],
    );
    check("another limit", &Given { backups: &[(27, "proof=proven")], env: &[("BACKUP_MAX_AGE", "3d")], ..NONE }, "fresh", &[]);
    // Drills on a schedule of their own: the newest backup is young enough, and the last drill that was due found a young one.
    let yearly = [("BACKUP_DRILL", "0 5 1 1 *"), ("BACKUP_DEADLINE", "1s")];
    let hourly = [("BACKUP_DRILL", "@hourly"), ("BACKUP_DEADLINE", "1s")];
    check(
        "a drill was due, and there is no proof",
        &Given { backups: &[(2, "")], env: &hourly, ..NONE },
        "stale",
        &["no backup is proven, and a drill was due"],
    );
    check(
        "a drill was due, and made",
        &Given { backups: &[(3, "proof=proven proven-ago=0"), (1, "")], env: &hourly, ..NONE },
        "fresh",
        &["newest backup was made 1 h ago", "complete, not proven"],
    );
    check(
        "a drill was due, and the proof is older",
        &Given { backups: &[(4, "proof=proven proven-ago=3"), (1, "")], env: &hourly, ..NONE },
        "stale",
        &["proven 3 h ago, and a drill was due"],
    );
    check(
        "proven, but long before the last drill was due",
        &Given { backups: &[(100, "proof=proven"), (1, "")], env: &hourly, ..NONE },
        "stale",
        &["and a drill was due"],
    );
    check(
        "proven for the last drill, however long ago",
        &Given { backups: &[(400 * 24, "proof=proven proven-ago=24"), (1, "")], env: &[yearly[0], yearly[1], ("BACKUP_MAX_AGE", "3000d")], ..NONE },
        "fresh",
        &[],
    );
    check("too old in spite of drills", &Given { backups: &[(30, "proof=proven")], env: &hourly, ..NONE }, "stale", &["newest backup was made 30 h ago"]);
}

#[test]
fn the_maximum_age_follows_from_the_schedule_and_from_what_runs_take() {
    const NONE: Given<'static> = Given { backups: &[], runs: &[], env: &[] };
    let weekly = [("BACKUP_SCHEDULE", "@weekly")];
    check("weekly", &Given { backups: &[(169, "proof=proven")], env: &weekly, ..NONE }, "fresh", &["may be 7 d 02 h old"]);
    check("weekly, and missed", &Given { backups: &[(171, "proof=proven")], env: &weekly, ..NONE }, "stale", &["may be 7 d 02 h old"]);
    let weekdays = [("BACKUP_SCHEDULE", "0 3 * * 1-5")];
    check("a weekend", &Given { backups: &[(73, "proof=proven")], env: &weekdays, ..NONE }, "fresh", &["may be 3 d 02 h old"]);
    // Runs of three hours.
    let repo = Repo::new();
    std::fs::create_dir(repo.folder()).unwrap();
    fixture::make(&repo.folder().join(names::backup_id(hours_ago(29))), &["proof=proven"]).unwrap();
    let line = |took: u64| {
        format!("{{\"started\":\"{0}\",\"finished\":\"{0}\",\"outcome\":\"done\",\"steps\":[[\"dump\",{took}],[\"prove\",{took}]]}}\n", hours_ago(29))
    };
    let lines = [1000, 5_400_000, 5_400_000, 5_400_000, 40_000_000].map(line).concat();
    std::fs::write(repo.folder().join(names::HISTORY), lines).unwrap();
    let ask = |words: &[&str], max: &str| kluis(words).keeping(&repo).env("BACKUP_DRILL", "every-backup").env("BACKUP_MAX_AGE", max);
    let auto = ask(&["status"], "auto").run();
    assert!(auto.code == Some(0) && auto.stdout.contains("may be 1 d 06 h old"), "{auto:#?}");
    // One that was set counts, and is told to be too short; the last run took 22 hours.
    let sum = "up to 1 d 00 h pass from one run to the next, the last run took 22 h 13 min: together 1 d 22 h";
    let set = ask(&["status"], "30h").run();
    assert!(set.code == Some(0) && set.stdout.contains(&format!("BACKUP_MAX_AGE is 1 d 06 h, which is too short: {sum}")), "{set:#?}");
    let config = ask(&["config"], "30h").env("DB_DATABASE", "shop").env("DB_USERNAME", "kluis").run();
    assert!(config.stderr.contains(&format!("warning: target 'app': BACKUP_MAX_AGE is 1 d 06 h, which is too short: {sum}")), "{config:#?}");
    let doctor =
        |max: &str| ask(&["doctor"], max).env("DB_HOST", crate::support::new_folder("sockets")).env("DB_DATABASE", "shop").env("DB_USERNAME", "kluis").run();
    assert!(doctor("30h").stdout.contains(sum) && !doctor("auto").stdout.contains("too short"), "{:#?}", doctor("30h"));
    assert!(!ask(&["status"], "47h").run().stdout.contains("too short"));
    let before = kluis(&["config"]).env("DB_DATABASE", "shop").env("DB_USERNAME", "kluis").env("BACKUP_SCHEDULE", "@weekly").env("BACKUP_MAX_AGE", "26h").run();
    assert!(before.stderr.contains("BACKUP_MAX_AGE is 1 d 02 h, which is too short: up to 7 d 00 h pass from one run to the next"), "{before:#?}");
}

#[test]
fn a_check_that_waits_has_no_verdict_before_the_first_run_and_one_as_soon_as_it_failed() {
    let repo = Repo::new();
    std::fs::create_dir(repo.folder()).unwrap();
    let mut waiting = kluis(&["status", "--wait"]).keeping(&repo).env("BACKUP_DRILL", "every-backup").start();
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert!(!waiting.is_over(), "nothing is known yet");
    let at = hours_ago(0);
    let line = format!("{{\"started\":\"{at}\",\"finished\":\"{at}\",\"outcome\":\"failed\",\"step\":\"preflight\",\"message\":\"no\"}}\n");
    std::fs::write(repo.folder().join(names::HISTORY), line).unwrap();
    let ended = waiting.wait();
    assert!(ended.code == Some(4) && ended.stdout.contains("stale: no backup; the last run failed: no"), "{ended:#?}");
    assert!(ended.took < std::time::Duration::from_secs(10), "{ended:#?}");
}

#[test]
fn the_worst_target_decides() {
    let repo = Repo::new();
    for (target, hours) in [("one", 1), ("two", 50)] {
        let folder = repo.root.join(target);
        std::fs::create_dir(&folder).unwrap();
        fixture::make(&folder.join(names::backup_id(hours_ago(hours))), &["proof=proven"]).unwrap();
    }
    let ask = |arguments: &[&str]| kluis(arguments).env("BACKUP_DIR", &repo.root).env("BACKUP_DRILL", "every-backup").run();
    assert_eq!(ask(&["status"]).code, Some(4));
    assert_eq!(ask(&["status", "--target", "one"]).code, Some(0));
    assert_eq!(ask(&["status", "--target", "two"]).code, Some(4));
    // A target of the configuration counts from the beginning, also where it has no folder yet.
    let third = ask(&["status", "--target", "three"]);
    assert!(third.code == Some(4) && third.stdout.contains("starting"), "{third:#?}");
}

/// A repository with one backup, made of these options an hour ago.
fn one(options: &[&str]) -> Repo {
    let repo = Repo::new();
    std::fs::create_dir(repo.folder()).unwrap();
    fixture::make(&repo.folder().join(names::backup_id(hours_ago(1))), options).unwrap();
    repo
}

#[test]
fn what_a_proof_excepts_is_named_and_costs_nothing() {
    let repo = one(&["proof=proven", "except=invalid-index:i1;replication-slot:s1;replication-slot:s2", "unlisted=replication-slot:1200"]);
    let text = kluis(&["status"]).keeping(&repo).env("BACKUP_DRILL", "every-backup").run();
    let line = "proof     proven, except 1,203: invalid index: i1; replication slot: s1; replication slot: s2; and 1,200 more";
    assert!(text.code == Some(0) && text.stdout.contains(line), "{text:#?}");
    let json = kluis(&["status", "--json"]).keeping(&repo).env("BACKUP_DRILL", "every-backup").run();
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let target = &report["targets"][0];
    assert_eq!(target["exceptions"][0], serde_json::json!({ "class": "invalid-index", "object": "i1" }));
    assert!(target["exceptions"].as_array().unwrap().len() == 3 && target["exceptions_unlisted"]["replication-slot"] == 1200, "{report:#}");
    assert!(json.code == Some(0) && target["state"] == "fresh" && target["empty"] == false, "{report:#}");
}

#[test]
fn an_empty_database_is_fresh_and_named_until_that_is_said_to_be_right() {
    let repo = one(&["proof=proven", "empty"]);
    let ask = |arguments: &[&str], allow: &str| kluis(arguments).keeping(&repo).env("BACKUP_DRILL", "every-backup").env("BACKUP_ALLOW_EMPTY", allow).run();
    let text = ask(&["status"], "no");
    assert!(text.code == Some(0) && text.stdout.contains("! the database is empty: no table has a row"), "{text:#?}");
    assert!(ask(&["status", "--json"], "no").stdout.contains("\"empty\": true"));
    let allowed = ask(&["status"], "yes");
    assert!(allowed.code == Some(0) && !allowed.stdout.contains("empty"), "{allowed:#?}");
    assert!(ask(&["status", "--json"], "yes").stdout.contains("\"empty\": false"));
    ask(&["status"], "maybe").failed(2, &["BACKUP_ALLOW_EMPTY", "use yes or no"]);
}
