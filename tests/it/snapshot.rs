//! Snapshot truth: money moves between accounts all through a backup by several sessions; what comes back is one moment of it, to the cent.

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::kluis;
use crate::support::repo::{Repo, manifest};
use crate::support::wait_until;
use kluis::manifest::Mover;
use kluis::script::UNIT_BYTES;
use kluis::script::unit::Unit;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const ACCOUNTS: u64 = 40_000;
const OPENING: u64 = 1000;
const SLOTS: u64 = 16;
const WRITERS: u64 = 4;
const PAD: usize = 896;

/// A bank. The accounts are wide, some 40 MB, which is ten ctid ranges; their pages are full, so that each update moves its row to another
/// place in the table, out of a range that is still to be read and into one that has been. The other tables are small.
fn bank(cluster: &Cluster) -> Database {
    let database = cluster.database("bank");
    database.sql(&format!(
        "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL, pad text NOT NULL);
        INSERT INTO accounts SELECT i, {OPENING}, repeat(md5(i::text) || md5((-i)::text), {PAD} / 64) FROM generate_series(0, {ACCOUNTS} - 1) i;
        CREATE TABLE transfers (id bigserial PRIMARY KEY, debtor int NOT NULL, creditor int NOT NULL, amount bigint NOT NULL);
        CREATE TABLE tally_left (slot int PRIMARY KEY, moved bigint NOT NULL, transfers bigint NOT NULL);
        CREATE TABLE tally_right (LIKE tally_left INCLUDING ALL);
        INSERT INTO tally_left SELECT i, 0, 0 FROM generate_series(0, {SLOTS} - 1) i; INSERT INTO tally_right TABLE tally_left;
        CREATE TABLE journal_left (writer int, number bigint, amount bigint); CREATE TABLE journal_right (LIKE journal_left);"
    ));
    database
}

/// What holds at every moment, as queries with their one answer.
fn truths() -> [(String, String); 7] {
    let no_difference = |a: &str, b: &str| format!("SELECT count(*) FROM ((TABLE {a} EXCEPT ALL TABLE {b}) UNION ALL (TABLE {b} EXCEPT ALL TABLE {a})) d");
    let each_account = "SELECT count(*) FROM accounts a
        LEFT JOIN (SELECT debtor, sum(amount) AS total FROM transfers GROUP BY 1) d ON debtor = id
        LEFT JOIN (SELECT creditor, sum(amount) AS total FROM transfers GROUP BY 1) c ON creditor = id
        WHERE balance <> 1000 - coalesce(d.total, 0) + coalesce(c.total, 0)";
    [
        (
            "SELECT count(*) || ' ' || count(DISTINCT id) || ' ' || sum(balance) FROM accounts".to_owned(),
            format!("{ACCOUNTS} {ACCOUNTS} {}", ACCOUNTS * OPENING),
        ),
        (each_account.to_owned(), "0".to_owned()),
        ("SELECT count(*) FROM accounts WHERE pad <> repeat(md5(id::text) || md5((-id)::text), 14)".to_owned(), "0".to_owned()),
        (no_difference("tally_left", "tally_right"), "0".to_owned()),
        (no_difference("journal_left", "journal_right"), "0".to_owned()),
        (
            "SELECT sum(moved) = (SELECT sum(amount) FROM transfers) AND sum(transfers) = (SELECT count(*) FROM transfers) FROM tally_left".to_owned(),
            "t".to_owned(),
        ),
        ("SELECT (SELECT count(*) FROM journal_left) = (SELECT count(*) FROM transfers)".to_owned(), "t".to_owned()),
    ]
}

#[track_caller]
fn everything_adds_up(database: &Database) {
    for (query, answer) in truths() {
        assert_eq!(database.value(&query), answer, "in '{}': {query}", database.name);
    }
}

/// One writer: a transfer after the other, each in a transaction of its own, until it is told to stop.
fn write(database: &Database, writer: u64, done: &AtomicU64, enough: &AtomicBool) {
    let mut session = database.session();
    // xorshift64: any numbers will do, as long as each writer has its own.
    let mut state = 0x9E37_79B9_7F4A_7C15 ^ (writer + 1);
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut number = 0;
    while !enough.load(Ordering::Relaxed) {
        let (debtor, creditor, amount, slot) = (random(ACCOUNTS), random(ACCOUNTS), 1 + random(50), random(SLOTS));
        // The lower account first, so that no two writers wait for each other.
        let change = |account: u64| {
            let sign = if account == debtor { '-' } else { '+' };
            format!("UPDATE accounts SET balance = balance {sign} {amount} WHERE id = {account};")
        };
        if debtor == creditor {
            continue;
        }
        number += 1;
        let tally = |side: &str| format!("UPDATE tally_{side} SET moved = moved + {amount}, transfers = transfers + 1 WHERE slot = {slot};");
        let journal = |side: &str| format!("INSERT INTO journal_{side} VALUES ({writer}, {number}, {amount});");
        let transfer = [
            "BEGIN;".to_owned(),
            change(debtor.min(creditor)),
            journal("right"),
            change(debtor.max(creditor)),
            format!("INSERT INTO transfers (debtor, creditor, amount) VALUES ({debtor}, {creditor}, {amount});"),
            tally("left"),
            journal("left"),
            tally("right"),
            "COMMIT".to_owned(),
        ];
        session.execute(&transfer.concat()).expect("a transfer is carried out");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Ends the writers also when the test fails.
struct Enough<'a>(&'a AtomicBool);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How many of a table's units end before they are full. A COPY leaves at most one such, its last.
fn units_cut_short(backup: &Path, table: &str) -> usize {
    let place = manifest(backup).tables.iter().position(|entry| entry.name == table).expect("the table is in the manifest");
    let index = std::fs::read_to_string(backup.join("units.jsonl")).expect("there is an index");
    let units = index.lines().map(|line| serde_json::from_str::<Unit>(line).expect("a line is a unit"));
    units.filter(|unit| unit.table as usize == place && unit.bytes < (UNIT_BYTES - 2 * PAD) as u64).count()
}

fn one_moment_comes_back(major: u32, split: bool) {
    let Some(cluster) = Cluster::of(major) else { return };
    let (bank, repo) = (bank(&cluster), Repo::new());
    let (done, enough) = (AtomicU64::new(0), AtomicBool::new(false));
    let transfers = || done.load(Ordering::Relaxed);
    let count = "SELECT count(*) FROM transfers";
    let (before, after) = std::thread::scope(|scope| {
        let end = Enough(&enough);
        (0..WRITERS).for_each(|writer| {
            drop(scope.spawn({
                let (bank, done, enough) = (&bank, &done, &enough);
                move || write(bank, writer, done, enough)
            }))
        });
        wait_until("the writers are at work", || transfers() >= 200);
        let before: u64 = bank.value(count).parse().unwrap();
        let mut run = kluis(&["backup", "--jobs", "4"]).of(&bank).keeping(&repo).env("BACKUP_COMPRESSION", "smallest").start();
        run.hold_when("rows are being written", || repo.script_in_progress() > 20_000);
        // In the middle of the dump, with parts read and parts to be read, much money moves.
        let held = transfers();
        let ranges = bank.value(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kluis' AND datname = current_database() AND query LIKE 'COPY (%accounts%ctid%'",
        );
        assert_eq!(ranges != "0", split, "{ranges} sessions read a range of the accounts on {major}");
        wait_until("money moves while the dump is held", || transfers() >= held + 500);
        run.go_on();
        run.wait().done();
        let after: u64 = bank.value(count).parse().unwrap();
        drop(end);
        (before, after)
    });
    everything_adds_up(&bank);
    let backup = repo.newest();
    let manifest = manifest(&backup);
    assert!(manifest.tables.iter().all(|table| table.moved_by == Mover::Units), "{:?}", manifest.tables);
    let short = units_cut_short(&backup, "accounts");
    assert!(if split { short >= 5 } else { short <= 1 }, "{short} units of the accounts end early on {major}");

    let restored = cluster.database("restored");
    kluis(&["restore", "latest", "--to", &restored.url()]).keeping(&repo).into(&cluster).run().done();
    everything_adds_up(&restored);
    let held: u64 = restored.value(count).parse().unwrap();
    assert!(before <= held && held + 500 <= after, "transfers: {before} before the backup, {held} in it, {after} after it");
}

#[test]
fn on_13_where_no_table_is_split() {
    one_moment_comes_back(13, false);
}

#[test]
fn on_16_with_a_table_in_parts() {
    one_moment_comes_back(16, true);
}

#[test]
fn on_18_with_a_table_in_parts() {
    one_moment_comes_back(18, true);
}
