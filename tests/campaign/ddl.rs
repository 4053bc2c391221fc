//! Others change tables while a dump runs: ALTER, TRUNCATE, VACUUM FULL, DROP, CREATE, partitions attached and detached, in random schedules; a round
//! is one dump. Every table always has the same hundred rows, whatever is done to it, so a dump is exact or loudly none. And where the dump has to
//! wait for a lock, those who then wait behind it wait no longer than its limit.

use crate::knob::{Campaign, Random};
use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::kluis;
use crate::support::repo::{Repo, manifest};
use crate::support::sql::Script;
use crate::support::stock;
use crate::world::{changed, sealed, wrong};
use kluis::postgres::session::Session;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const TABLES: u64 = 6;

/// The limit that a dump has for locks.
const LIMIT: Duration = Duration::from_secs(1);

/// The hundred rows.
const ROWS: &str = "SELECT i AS id, md5(i::text) AS v FROM generate_series(1, 100) i";

fn set_up(database: &Database) {
    for number in 0..TABLES {
        database.sql(&format!("CREATE TABLE t{number} AS {ROWS}"));
    }
    database.sql("CREATE TABLE parted (id int, v text) PARTITION BY LIST (id)");
    for number in 0..3 {
        // A partition's bounds are its own hundred numbers, which are those of all tables: only one can be attached at a time.
        database.sql(&format!("CREATE TABLE p{number} AS {ROWS}"));
    }
    // Something to do while tables change.
    database.sql("CREATE TABLE bulk AS SELECT i AS id, md5(i::text) AS v FROM generate_series(1, 30000) i");
}

/// One thing that somebody does. Afterwards each table has the hundred rows again.
fn change(random: &mut Random) -> String {
    let (table, part, new) = (random.below(TABLES), random.below(3), random.below(1000));
    match random.below(12) {
        0 => format!("ALTER TABLE t{table} ALTER id TYPE {}", ["int", "bigint", "numeric"][random.below(3) as usize]),
        1 => format!("ALTER TABLE t{table} ADD COLUMN IF NOT EXISTS more text DEFAULT md5(random()::text)"),
        2 => format!("ALTER TABLE t{table} DROP COLUMN IF EXISTS more"),
        3 => format!("BEGIN; TRUNCATE t{table}; INSERT INTO t{table} (id, v) {ROWS}; COMMIT"),
        4 => format!("VACUUM FULL t{table}"),
        5 => format!("BEGIN; DROP TABLE IF EXISTS t{table}; CREATE TABLE t{table} AS {ROWS}; COMMIT"),
        6 => format!("CREATE TABLE n{new} AS {ROWS}"),
        7 => format!("DROP TABLE IF EXISTS n{new}"),
        8 => format!("ALTER TABLE parted ATTACH PARTITION p{part} DEFAULT"),
        9 => format!("ALTER TABLE parted DETACH PARTITION p{part}"),
        // Without the lock, two of these at once leave two hundred rows: at READ COMMITTED the second does not see what the first inserted.
        10 => format!("BEGIN; LOCK TABLE t{table} IN EXCLUSIVE MODE; DELETE FROM t{table}; INSERT INTO t{table} (id, v) {ROWS}; COMMIT"),
        _ => format!("ALTER TABLE t{table} RENAME TO s{new}; ALTER TABLE s{new} RENAME TO t{table}"),
    }
}

/// Does one thing; what cannot be done just now, because of what others did, is undone.
fn act(session: &mut Session, campaign: &Campaign, what: &str) -> Duration {
    let begun = Instant::now();
    for statement in what.split("; ") {
        if session.execute(statement).is_err() {
            let _ = session.execute("ROLLBACK");
            campaign.count("changes refused");
            return begun.elapsed();
        }
    }
    campaign.count("changes");
    begun.elapsed()
}

struct Lane<'a> {
    campaign: &'a Campaign,
    database: Database,
    repo: Repo,
}

impl Lane<'_> {
    fn round(&self, number: u64, random: &mut Random) {
        // Now and then somebody sits on a lock for longer than the dump wants to wait.
        let holder = random.percent(15);
        let (pace, others) = ([20, 150, 600, 1500][random.below(4) as usize], 1 + random.below(3));
        let seeds: Vec<u64> = (0..others).map(|_| random.bits()).collect();
        let (over, longest) = (AtomicBool::new(false), Mutex::new(Duration::ZERO));
        let before = sealed(&self.repo);
        let ended = std::thread::scope(|scope| {
            let mut held = self.database.session();
            if holder {
                held.execute("BEGIN").and_then(|()| held.execute("LOCK TABLE bulk IN ACCESS EXCLUSIVE MODE")).unwrap();
            }
            for seed in seeds {
                let (over, longest) = (&over, &longest);
                scope.spawn(move || {
                    let (mut session, mut random) = (self.database.session(), self.campaign.random(seed));
                    session.execute("SET client_min_messages = error").unwrap();
                    while !over.load(Ordering::SeqCst) {
                        std::thread::sleep(random.part_of(Duration::from_millis(pace)));
                        let waited = act(&mut session, self.campaign, &change(&mut random));
                        let mut longest = longest.lock().unwrap();
                        *longest = (*longest).max(waited);
                    }
                });
            }
            std::thread::sleep(random.part_of(Duration::from_millis(30)));
            let ended = kluis(&["backup", "--jobs", "2"]).of(&self.database).keeping(&self.repo).env("BACKUP_LOCK_WAIT", "1s").run();
            over.store(true, Ordering::SeqCst);
            if holder {
                let _ = held.execute("ROLLBACK");
            }
            ended
        });
        let what = self.campaign.repeat(number);
        let longest = longest.into_inner().unwrap();
        if holder {
            self.campaign.count("dumps that had to wait for a lock in vain");
            assert_eq!(ended.code, Some(15), "{what}: {ended:#?}");
            // A second above the limit for the server's own work on a busy machine.
            assert!(longest < LIMIT + Duration::from_millis(1500), "{what}: somebody waited {longest:?} because of us");
        }
        let mut problems = wrong(&self.repo);
        problems.extend(changed(&before, &sealed(&self.repo)));
        assert!(problems.is_empty() && self.repo.leftovers().is_empty(), "{what}: {problems:#?} {ended:#?}");
        let new: Vec<_> = self.repo.backups().into_iter().filter(|path| !before.contains_key(path)).collect();
        match (ended.code, new.as_slice()) {
            (Some(0 | 3), [backup]) => {
                self.exact(backup, &what, random.percent(4));
                self.campaign.count("exact");
                std::fs::remove_dir_all(backup).unwrap();
            }
            (Some(code), []) if [1, 10, 15].contains(&code) => {
                self.campaign.count(&format!("none, exit {code}"));
                if code != 15 {
                    self.campaign.say(&format!("round {number} ended with {code}: {}", ended.stderr.trim_end()));
                }
            }
            (code, new) => panic!("{what}: exit {code:?} and {} new backups: {ended:#?}", new.len()),
        }
    }

    /// Every table has its hundred rows, in the manifest, in the script and, now and then, after a restore by psql.
    fn exact(&self, backup: &std::path::Path, what: &str, restored: bool) {
        let manifest = manifest(backup);
        for table in &manifest.tables {
            let rows = if table.name == "bulk" { 30_000 } else { 100 };
            assert_eq!(table.rows, rows, "{what}: {} has {} rows", table.label(), table.rows);
        }
        assert!(
            (0..TABLES).all(|number| manifest.tables.iter().any(|table| table.name == format!("t{number}") || table.name.starts_with('s'))),
            "{what}: a table is missing"
        );
        let script = Script::parse(&stock::gunzip(backup));
        for (table, rows) in script.rows.iter().filter(|(table, _)| table[1] != b"bulk") {
            let ids: i64 = rows.iter().map(|row| String::from_utf8_lossy(row).split('\t').next().unwrap().parse::<i64>().unwrap()).sum();
            assert_eq!((rows.len(), ids), (100, 5050), "{what}: {}", String::from_utf8_lossy(&table[1]));
        }
        if restored {
            stock::restore(backup, &self.database.cluster.database("place"));
            self.campaign.count("restored by psql");
        }
    }
}

#[test]
fn ddl() {
    let Some(cluster) = Cluster::of(17) else { return };
    let campaign = Campaign::new("ddl", 16);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (campaign, cluster) = (&campaign, &cluster);
            scope.spawn(move || {
                let database = cluster.database("changing");
                set_up(&database);
                let lane = Lane { campaign, database, repo: Repo::new() };
                while let Some((number, mut random)) = campaign.next() {
                    lane.round(number, &mut random);
                }
            });
        }
    });
}
