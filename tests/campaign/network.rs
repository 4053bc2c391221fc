//! The network and the server fail: a proxy cuts, halves, stalls and trickles at each message of the protocol, sessions are terminated one by one, the
//! server is stopped, a standby is promoted; a round is one fault in one backup. While money moves between two tables, so that their sum tells
//! whether all rows are of one snapshot. The run ends in time, whole or not at all.

use crate::knob::{Campaign, Random};
use crate::proxy::{Fault, Proxy, Side};
use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Ended, Kluis, kluis};
use crate::support::repo::{Fingerprint, Repo};
use crate::support::sql::Script;
use crate::support::{stock, unique, wait_until};
use crate::world::{changed, sealed, wrong};
use rustix::process::Signal;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// The longest that a run may take, with the limits that it is given.
const IN_TIME: Duration = Duration::from_secs(30);

const BANK: &str = "CREATE TABLE a (id int PRIMARY KEY, amount bigint); CREATE TABLE b (id int PRIMARY KEY, amount bigint);
    INSERT INTO a SELECT i, 1000 FROM generate_series(1, 1500) i; INSERT INTO b SELECT * FROM a; CREATE INDEX ON b (amount); SELECT lo_from_bytea(4711, 'x')";
const SUM: i64 = 3_000_000;

/// A bank with a repository. Money moves while this lives.
struct Bank {
    database: Database,
    repo: Repo,
    session: String,
}

impl Bank {
    fn new(cluster: &Cluster) -> Bank {
        let database = cluster.database("bank");
        database.sql(BANK);
        Bank::of(database)
    }

    fn of(database: Database) -> Bank {
        let bank = Bank { database, repo: Repo::new(), session: unique("kluis-bank") };
        bank.backup().run().done();
        bank
    }

    fn backup(&self) -> Kluis {
        let kluis = kluis(&["backup", "--jobs", "2"]).of(&self.database).keeping(&self.repo).env("PGAPPNAME", &self.session);
        kluis.env("BACKUP_STALL_TIMEOUT", "2s").env("BACKUP_DEADLINE", "20s").env("PGCONNECT_TIMEOUT", "2").env("BACKUP_LOCK_WAIT", "2s")
    }

    /// Keeps money moving during `work`.
    fn open<T>(&self, work: impl FnOnce() -> T) -> T {
        let (closed, mut session) = (AtomicBool::new(false), self.database.session());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for turn in 0.. {
                    if closed.load(Ordering::SeqCst) {
                        return;
                    }
                    let (from, to) = (turn * 7 % 1500 + 1, turn * 13 % 1500 + 1);
                    let moved = format!("BEGIN; UPDATE a SET amount = amount - 1 WHERE id = {from}; UPDATE b SET amount = amount + 1 WHERE id = {to}; COMMIT");
                    if session.execute(&moved).is_err() {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
            let done = work();
            closed.store(true, Ordering::SeqCst);
            done
        })
    }

    /// What is wrong after a run that may have failed.
    fn judge(&self, ended: &Ended, before: &Fingerprint, campaign: &Campaign) -> Vec<String> {
        let mut problems = wrong(&self.repo);
        problems.extend(changed(before, &sealed(&self.repo)));
        let new: Vec<_> = self.repo.backups().into_iter().filter(|path| !before.contains_key(path)).collect();
        if ended.took > IN_TIME {
            problems.push(format!("it took {:?}", ended.took));
        }
        if !self.repo.leftovers().is_empty() {
            problems.push("something is left in the repository".to_owned());
        }
        match (ended.code, new.as_slice()) {
            (Some(0 | 3), [backup]) => {
                campaign.count("whole");
                problems.extend((sum(backup) != SUM).then(|| "rows of several snapshots are mixed".to_owned()));
                std::fs::remove_dir_all(backup).unwrap();
            }
            (Some(10 | 15), []) => campaign.count("not at all"),
            (code, new) => problems.push(format!("exit {code:?} and {} new backups", new.len())),
        }
        if !problems.is_empty() {
            problems.push(format!("{} | {}", ended.stdout, ended.stderr));
        }
        problems
    }
}

/// The sum of all money in a backup's script.
fn sum(backup: &Path) -> i64 {
    let script = Script::parse(&stock::gunzip(backup));
    let amount = |row: &Vec<u8>| String::from_utf8_lossy(row).trim_end().rsplit('\t').next().unwrap().parse::<i64>().unwrap();
    script.rows.values().flatten().map(amount).sum()
}

/// One fault at each message.
fn messages(campaign: &Campaign, cluster: &Cluster) -> Vec<String> {
    let first = Bank::new(cluster);
    let proxy = Proxy::start(socket(cluster), None);
    first.backup().env("DB_HOST", "127.0.0.1").env("DB_PORT", proxy.port.to_string()).run().done();
    let (server, client) = proxy.messages();
    drop(proxy);
    campaign.add("messages of the server", server);
    campaign.add("messages of the client", client);
    let mut rounds: Vec<(Side, u64, Fault)> = Vec::new();
    for (side, count) in [(Side::Server, server), (Side::Client, client)] {
        rounds.extend((0..count).flat_map(|number| [Fault::Cut, Fault::Half, Fault::Stall, Fault::Trickle].map(|fault| (side, number, fault))));
    }
    let chosen = campaign.spread(rounds.len(), campaign.size);
    let (next, problems) = (AtomicUsize::new(0), std::sync::Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                let bank = Bank::new(cluster);
                bank.open(|| {
                    while let Some(index) = chosen.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| !campaign.time_is_up()) {
                        let fault = rounds[*index];
                        let before = sealed(&bank.repo);
                        let proxy = Proxy::start(socket(cluster), Some(fault));
                        let ended = bank.backup().env("DB_HOST", "127.0.0.1").env("DB_PORT", proxy.port.to_string()).run();
                        let reached = proxy.was_reached();
                        drop(proxy);
                        campaign.count(&if reached { format!("{:?}", fault.2).to_lowercase() } else { "not reached".to_owned() });
                        let found = bank.judge(&ended, &before, campaign);
                        let gone = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}'", bank.session);
                        wait_until("no session is left", || cluster.value("postgres", &gone) == "0");
                        if !found.is_empty() {
                            problems.lock().unwrap().push(format!("{fault:?}: {found:#?}"));
                        }
                    }
                });
            });
        }
    });
    problems.into_inner().unwrap()
}

fn socket(cluster: &Cluster) -> std::path::PathBuf {
    cluster.socket().join(format!(".s.PGSQL.{}", cluster.port()))
}

/// Backends terminated one by one, at any moment.
fn terminations(campaign: &Campaign, cluster: &Cluster) -> Vec<String> {
    let bank = Bank::new(cluster);
    let whole = bank.backup().run().done().took;
    let mut problems = Vec::new();
    bank.open(|| {
        for number in 0..campaign.size / 4 {
            if campaign.time_is_up() {
                return;
            }
            let mut random = campaign.random(1 << 40 | number);
            let before = sealed(&bank.repo);
            let running = bank.backup().start();
            std::thread::sleep(random.part_of(whole));
            let one = format!(
                "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE application_name = '{}' ORDER BY md5(pid || '{}') LIMIT 1) x",
                bank.session,
                random.bits()
            );
            let ended = cluster.value("postgres", &one);
            campaign.count(if ended == "1" { "sessions terminated" } else { "no session to terminate" });
            let found = bank.judge(&running.wait(), &before, campaign);
            if !found.is_empty() {
                problems.push(format!("a session terminated, {}: {found:#?}", campaign.repeat(number)));
            }
        }
    });
    problems
}

/// The server stopped in the middle: fast, immediately, killed.
fn stops(campaign: &Campaign, rounds: u64) -> Vec<String> {
    let Some(cluster) = Cluster::own(15, &["fsync=on"]) else { return Vec::new() };
    let bank = Bank::new(&cluster);
    let whole = bank.backup().run().done().took;
    let mut problems = Vec::new();
    for number in 0..rounds {
        if campaign.time_is_up() {
            break;
        }
        let mut random = campaign.random(2 << 40 | number);
        let before = sealed(&bank.repo);
        let ended = bank.open(|| {
            let running = bank.backup().start();
            std::thread::sleep(random.part_of(whole));
            cluster.stop_with(if number % 2 == 0 { Signal::INT } else { Signal::QUIT });
            running.wait()
        });
        campaign.count(if number % 2 == 0 { "servers stopped fast" } else { "servers stopped immediately" });
        let found = bank.judge(&ended, &before, campaign);
        if !found.is_empty() {
            problems.push(format!("a server stopped, {}: {found:#?}", campaign.repeat(number)));
        }
        cluster.start_again();
    }
    problems
}

/// A standby that becomes a primary in the middle. Money moves on the old primary until then, and on the new one afterwards.
fn promotions(campaign: &Campaign, rounds: u64, random: &mut Random) -> Vec<String> {
    let Some(primary) = [17, 15].iter().filter_map(|major| Cluster::own(*major, &[])).find(|cluster| cluster.bin().join("pg_basebackup").exists()) else {
        return Vec::new();
    };
    let here = Bank::new(&primary);
    let mut problems = Vec::new();
    for number in 0..rounds {
        if campaign.time_is_up() {
            break;
        }
        let standby = primary.standby();
        let there = Bank::of(Database { cluster: standby.clone(), name: here.database.name.clone() });
        let whole = there.backup().run().done().took;
        let before = sealed(&there.repo);
        let ended = here.open(|| {
            let running = there.backup().start();
            std::thread::sleep(random.part_of(whole * 3 / 4));
            standby.value("postgres", "SELECT pg_promote()");
            let mut session = there.database.session();
            for _ in 0..20 {
                session.execute("BEGIN; UPDATE a SET amount = amount - 5; UPDATE b SET amount = amount + 5; COMMIT").expect("the new primary takes it");
            }
            running.wait()
        });
        campaign.count("standbys promoted");
        let found = there.judge(&ended, &before, campaign);
        if !found.is_empty() {
            problems.push(format!("a standby promoted, {}: {found:#?}", campaign.repeat(number)));
        }
    }
    problems
}

#[test]
fn network() {
    let Some(cluster) = Cluster::of(16) else { return };
    let campaign = Campaign::new("network", 24);
    let mut problems = messages(&campaign, &cluster);
    problems.extend(terminations(&campaign, &cluster));
    problems.extend(stops(&campaign, 2.max(campaign.size / 50)));
    problems.extend(promotions(&campaign, 1.max(campaign.size / 200), &mut campaign.random(3 << 40)));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.iter().take(20).cloned().collect::<Vec<_>>().join("\n"));
}
