//! The drill: what is wrong is caught, what is right is proven, and what cannot be judged here is not called bad.

mod classes;
mod here;
mod labels;
pub mod tamper;
mod witnesses;

use crate::malformed::damage::{Base, Damage, Place, Seal, apply, reseal};
use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Ended, Kluis, kluis};
use crate::support::repo::{Repo, manifest};
use crate::support::{CANARY, folder, is_root, new_folder, skip, unique};
use crate::throwaway::Bench;
use kluis::manifest::{Proof, Rung, Verdict};
use kluis::repository::names;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tamper::{Piece, edit_globals, edit_manifest, rewrite_units};

/// A database with one of everything that can be missing. Roles belong to the cluster, so their names are the test's own.
fn source(cluster: &Cluster, role: &str) -> Database {
    cluster.sql("postgres", &format!("CREATE ROLE {role}"));
    let database = cluster.database("drilled");
    database.sql(&format!(
        "CREATE TABLE orders (id int PRIMARY KEY, note text, amount numeric CONSTRAINT positive CHECK (amount > 0));
        INSERT INTO orders SELECT i, '{CANARY} ' || i, i FROM generate_series(1, 500) i;
        CREATE TABLE parts (id int PRIMARY KEY, note text, amount numeric); INSERT INTO parts SELECT -i, 'part ' || i, i FROM generate_series(1, 300) i;
        CREATE TABLE lines (id serial PRIMARY KEY, orders int CONSTRAINT of_order REFERENCES orders); INSERT INTO lines (orders) SELECT i FROM generate_series(1, 50) i;
        CREATE INDEX by_note ON orders (note); CREATE VIEW cheap AS SELECT id FROM orders WHERE amount < 10;
        CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER stamped BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
        GRANT SELECT ON orders TO {role}; SELECT lo_from_bytea(4711, decode(repeat('c0ffee', 5000), 'hex'))"
    ));
    database
}

/// How a fault comes into a backup. All hashes fit afterwards.
enum Plant {
    /// Nothing is wrong: the way of planting itself is tried.
    Nothing,
    /// The units are written anew.
    Units(fn(&mut Vec<Piece>)),
    /// The file is damaged where it lies.
    Damage(Damage),
    /// The schema is that of a copy of the database in which this was done; the script is right.
    Schema(&'static str),
    /// The script is that of such a copy; the schema is right.
    Script(&'static str),
    /// The script's large objects are those of such a copy.
    Objects(&'static str),
    /// The globals' text is another.
    Globals(fn(String, &str) -> String),
    /// The manifest asks for something else.
    Manifest(&'static str, &'static str),
}

/// A fault, with what is said of it. `ROLE` stands for the role's name.
struct Fault {
    name: &'static str,
    plant: Plant,
    expected: Expected,
}

#[derive(Clone, Copy)]
enum Expected {
    Proven,
    Bad(&'static str),
    CannotJudge(&'static str),
}

fn unit_of(pieces: &mut [Piece], table: u32) -> &mut Piece {
    pieces.iter_mut().find(|piece| piece.table == table).expect("the table has a unit")
}

/// Tables of the manifest: by schema and name.
const LINES: u32 = 0;
const ORDERS: u32 = 1;
const PARTS: u32 = 2;

fn faults() -> Vec<Fault> {
    use Expected::{Bad, CannotJudge, Proven};
    let fault = |name, plant, expected| Fault { name, plant, expected };
    let mut faults = vec![
        fault("nothing, units as they were", Plant::Units(|_| {}), Proven),
        fault("nothing, schema of an equal copy", Plant::Schema("SELECT"), Proven),
        fault("nothing, script of an equal copy", Plant::Script("SELECT"), Proven),
        fault("nothing, globals packed anew", Plant::Globals(|text, _| text), Proven),
        fault("nothing at all", Plant::Nothing, Proven),
        fault("a unit removed", Plant::Units(|pieces| pieces.retain(|piece| piece.table != PARTS)), Bad("public.parts was loaded with 0 rows instead of 300")),
        fault(
            "a unit doubled",
            // A key would refuse it; this table's stands in the schema's last section and so comes after the rows.
            Plant::Units(|pieces| {
                let again = unit_of(pieces, PARTS).clone();
                pieces.push(again);
            }),
            Bad("public.parts was loaded with 600 rows instead of 300"),
        ),
        fault(
            "the rows of two tables swapped",
            Plant::Units(|pieces| {
                let orders = std::mem::take(&mut unit_of(pieces, ORDERS).rows);
                let parts = std::mem::replace(&mut unit_of(pieces, PARTS).rows, orders);
                unit_of(pieces, ORDERS).rows = parts;
            }),
            Bad("public.orders was loaded with 300 rows instead of 500"),
        ),
        fault("a row missing", Plant::Units(|pieces| drop(unit_of(pieces, LINES).rows.pop())), Bad("public.lines was loaded with 49 rows instead of 50")),
        fault(
            "a row doubled",
            Plant::Units(|pieces| {
                let row = unit_of(pieces, PARTS).rows[7].clone();
                unit_of(pieces, PARTS).rows.push(row);
            }),
            Bad("public.parts was loaded with 301 rows instead of 300"),
        ),
        fault(
            "a row in another's place",
            Plant::Units(|pieces| {
                let row = unit_of(pieces, PARTS).rows[7].clone();
                unit_of(pieces, PARTS).rows[8] = row;
            }),
            Bad("public.parts was loaded with other content"),
        ),
        fault(
            "a value changed",
            Plant::Units(|pieces| {
                let row = &mut unit_of(pieces, ORDERS).rows[3];
                *row = row.replacen("canary", "canery", 1);
            }),
            Bad("public.orders was loaded with other content"),
        ),
        fault(
            "two values swapped between rows",
            Plant::Units(|pieces| {
                let rows = &mut unit_of(pieces, PARTS).rows;
                let notes: Vec<String> = rows.iter().map(|row| row.split('\t').nth(1).unwrap().to_owned()).collect();
                rows[1] = rows[1].replacen(&notes[1], &notes[250], 1);
                rows[250] = rows[250].replacen(&notes[250], &notes[1], 1);
            }),
            Bad("public.parts was loaded with other content"),
        ),
        fault("a bit of a unit's rows flipped", Plant::Damage(Damage::Flip("SCRIPT", Place::Rows(ORDERS as usize))), Bad("is damaged")),
        fault("a bit of another unit's rows flipped", Plant::Damage(Damage::Flip("SCRIPT", Place::Rows(LINES as usize))), Bad("is damaged")),
        fault("a sequence behind", Plant::Schema("SELECT setval('lines_id_seq', 7)"), Bad("SEQUENCE SET public.lines_id_seq")),
        fault("a large object short", Plant::Objects("SELECT lo_truncate(lo_open(4711, 131072), 100)"), Bad("large objects")),
        fault("a large object missing", Plant::Objects("SELECT lo_unlink(4711), lo_from_bytea(4712, 'another')"), Bad("large objects")),
        fault("a role missing", Plant::Globals(|text, role| without(&text, &format!("CREATE ROLE {role};"))), Bad("ROLE")),
        fault(
            "a role's setting broken",
            Plant::Globals(|text, _| format!("{text}\nALTER ROLE postgres SET SET;\n")),
            Bad("a statement of 'globals.sql.gz' fails"),
        ),
        fault("a role's attributes missing", Plant::Globals(|text, _| text[..text.len() / 2].to_owned()), Bad("globals.sql.gz")),
        fault(
            "an extension absent",
            Plant::Manifest("/database/extensions", r#"[{"name":"no_such_extension","version":"1"}]"#),
            CannotJudge("extension \"no_such_extension\" is not installed on this machine"),
        ),
        fault("a collation absent", Plant::Manifest("/database/collate", r#""xx_XX.UTF-8""#), CannotJudge("xx_XX.UTF-8")),
    ];
    // What is missing on either side: in the schema, which is restored, or in the script, which people feed to psql.
    let missing: [(&str, &str, &str); 9] = [
        ("an index missing", "DROP INDEX by_note", "INDEX public.by_note"),
        ("a check missing", "ALTER TABLE orders DROP CONSTRAINT positive", "TABLE public.orders"),
        ("a foreign key missing", "ALTER TABLE lines DROP CONSTRAINT of_order", "FK CONSTRAINT public.lines of_order"),
        ("a primary key missing", "ALTER TABLE parts DROP CONSTRAINT parts_pkey", "CONSTRAINT public.parts parts_pkey"),
        ("a trigger missing", "DROP TRIGGER stamped ON orders", "TRIGGER public.orders stamped"),
        ("a function missing", "DROP FUNCTION stamp() CASCADE", "FUNCTION public.stamp()"),
        ("a view missing", "DROP VIEW cheap", "VIEW public.cheap"),
        ("a grant missing", "REVOKE ALL ON orders FROM ROLE", "ACL public.TABLE orders"),
        ("a default missing", "ALTER TABLE lines ALTER id DROP DEFAULT", "DEFAULT public.lines id"),
    ];
    for (name, sql, what) in missing {
        faults.push(fault(name, Plant::Schema(sql), Bad(what)));
        faults.push(fault(name, Plant::Script(sql), Bad(what)));
    }
    faults
}

fn without(text: &str, line: &str) -> String {
    assert!(text.lines().any(|found| found == line), "'{line}' does not stand in: {text}");
    text.lines().filter(|found| *found != line).map(|line| format!("{line}\n")).collect()
}

/// A backup of a copy of the database in which something was done.
fn other(database: &Database, sql: &str, role: &str) -> PathBuf {
    let name = unique("copy");
    database.cluster.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {}", database.name));
    let (copy, repo) = (Database { cluster: database.cluster.clone(), name }, Repo::new());
    copy.sql(&format!("BEGIN; {}; COMMIT", sql.replace("ROLE", role)));
    kluis(&["backup", "--jobs", "1"]).of(&copy).keeping(&repo).run().done();
    repo.newest()
}

/// Everything that lies in the script, with the manifest's words on it, comes from the other backup.
fn take_script(base: &Base, folder: &Path, other: &Path) {
    let theirs = serde_json::to_value(manifest(other)).unwrap();
    std::fs::copy(other.join(theirs["script"]["file"].as_str().unwrap()), folder.join(&base.manifest.script.file)).unwrap();
    std::fs::copy(other.join(names::UNITS), folder.join(names::UNITS)).unwrap();
    edit_manifest(folder, |ours| {
        ours["script"] = theirs["script"].clone();
        ours["script"]["file"] = base.manifest.script.file.clone().into();
        // The sections end where the script ends, and the list of files says where that is.
        let length = |manifest: &serde_json::Value, name: &serde_json::Value| {
            manifest["files"].as_array().unwrap().iter().find(|file| file["name"] == *name).unwrap()["bytes"].clone()
        };
        let (name, bytes) = (ours["script"]["file"].clone(), length(&theirs, &theirs["script"]["file"]));
        ours["files"].as_array_mut().unwrap().iter_mut().find(|file| file["name"] == name).unwrap()["bytes"] = bytes;
    });
}

impl Plant {
    fn carry_out(&self, base: &Base, folder: &Path, database: &Database, role: &str) {
        match self {
            Plant::Nothing => {}
            Plant::Units(edit) => rewrite_units(base, folder, edit),
            Plant::Damage(damage) => apply(base, folder, damage),
            Plant::Schema(sql) => {
                std::fs::copy(other(database, sql, role).join(names::SCHEMA), folder.join(names::SCHEMA)).unwrap();
            }
            Plant::Script(sql) | Plant::Objects(sql) => take_script(base, folder, &other(database, sql, role)),
            Plant::Globals(edit) => edit_globals(folder, |text| edit(text, role)),
            Plant::Manifest(pointer, value) => {
                edit_manifest(folder, |manifest| *manifest.pointer_mut(pointer).expect("it is there") = serde_json::from_str(value).unwrap());
            }
        }
        reseal(base, folder, Seal::Whole);
    }
}

fn drill(repo: &Repo, cluster: &Cluster) -> Kluis {
    kluis(&["drill"]).keeping(repo).tools(cluster)
}

fn proof(backup: &Path) -> Proof {
    Proof::parse(&std::fs::read(backup.join(names::PROOF)).expect("there is a proof")).expect("the proof can be read")
}

/// Drills one planted backup. Returns what is wrong with the answer.
fn attempt(fault: &Fault, base: &Base, database: &Database, role: &str) -> Vec<String> {
    let (cluster, repo, mut wrong) = (&database.cluster, Repo::at(new_folder("planted")), Vec::new());
    let planted = repo.folder().join(&base.id);
    base.copy_to(&planted);
    fault.plant.carry_out(base, &planted, database, role);
    // Nothing but a drill finds it: for a look at the hashes all is well.
    let sums = Command::new("sha256sum").args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(&planted).output().unwrap();
    if !sums.status.success() {
        wrong.push("the plant is not sealed".to_owned());
    }
    let drilled = drill(&repo, cluster).run();
    let (code, verdict, words) = match fault.expected {
        Expected::Proven => (0, Verdict::Good, "proven"),
        Expected::Bad(words) => (13, Verdict::Bad, words),
        Expected::CannotJudge(words) => (3, Verdict::CannotJudge, words),
    };
    let told = proof(&planted);
    let words = if words == "ROLE" { format!("role \"{role}\" ") } else { words.to_owned() };
    if drilled.code != Some(code) || told.verdict != verdict || !drilled.stdout.contains(&words) || told.proven() != (verdict == Verdict::Good) {
        wrong.push(format!("exit {code}, {verdict:?} and '{words}' were expected: {drilled:#?} {told:#?}"));
    }
    if verdict == Verdict::Bad {
        let listed = kluis(&["list"]).keeping(&repo).run();
        if !listed.stdout.contains(" bad ") {
            wrong.push(format!("list does not say that it is bad: {}", listed.stdout));
        }
        let refused = kluis(&["restore", &base.id, "--to", "postgresql:///nowhere", "--create"]).keeping(&repo).into(cluster).run();
        if refused.code != Some(13) || !refused.stderr.contains("--force") {
            wrong.push(format!("it would be restored: {refused:#?}"));
        }
    }
    wrong.iter().map(|why| format!("── {}: {why}", fault.name)).collect()
}

#[test]
fn every_planted_fault_is_caught() {
    let Some(cluster) = Cluster::of(15) else { return };
    let role = unique("reader");
    let (database, repo) = (source(&cluster, &role), Repo::new());
    kluis(&["backup", "--jobs", "1"]).of(&database).keeping(&repo).run().done();
    let base = Base::read(&repo.newest(), String::new());
    let tables: Vec<&str> = base.manifest.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!((tables, base.units.len()), (vec!["lines", "orders", "parts"], 3), "the faults count on these tables and units");

    let (faults, next, wrong) = (faults(), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = attempt(fault, &base, &database, &role);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} faults:\n{}", wrong.len(), faults.len(), wrong.join("\n"));
}

/// How often what must be proven is drilled: once, or as often as a campaign wants.
fn runs() -> usize {
    std::env::var("KLUIS_DRILL_RUNS").ok().and_then(|count| count.parse().ok()).unwrap_or(1)
}

#[track_caller]
fn proven(ended: &Ended) {
    assert!(ended.code == Some(0) && ended.stdout.contains("proven"), "{ended:#?}");
}

/// Dropped, it ends the writers, also where the test fails.
struct Writing<'a>(&'a AtomicBool);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn no_false_alarm(major: u32) {
    let Some(cluster) = Cluster::of(major) else { return };
    let torture = crate::fidelity::torture(&cluster);
    let (empty, bare) = (cluster.database("empty"), cluster.database("bare"));
    bare.sql("DROP SCHEMA public; CREATE SCHEMA own; CREATE TABLE own.t AS SELECT 1 AS id");
    let busy = cluster.database("busy");
    busy.sql(
        "CREATE TABLE log (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), note text); CREATE TABLE counter (n bigint); INSERT INTO counter VALUES (0)",
    );
    for _ in 0..runs() {
        for database in [&torture, &empty, &bare] {
            let repo = Repo::new();
            kluis(&["backup"]).of(database).keeping(&repo).run().done();
            let ended = drill(&repo, &cluster).run();
            let proof = proof(&repo.newest());
            assert!(proof.proven() && ended.stdout.contains("proven"), "{ended:#?}");
            // The torture database has things that no dump brings back.
            let excepted = |object: &str| {
                let always = ["rights on information_schema.columns", "state of constraint check not valid con.not_valid_child"];
                always.contains(&object) || (major < 15 && object == "the comment on schema public")
            };
            let others: Vec<_> = proof.exceptions.iter().filter(|exception| !(database.name == torture.name && excepted(&exception.object))).collect();
            assert!(others.is_empty() && matches!(ended.code, Some(0 | 3)), "{others:?} {ended:#?}");
        }
        let (repo, over) = (Repo::new(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let writing = Writing(&over);
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut session = busy.session();
                    while !over.load(Ordering::Relaxed) {
                        session
                            .execute("INSERT INTO log (note) SELECT md5(random()::text) FROM generate_series(1, 20); UPDATE counter SET n = n + 20")
                            .unwrap();
                    }
                });
            }
            let before = busy.value("SELECT n FROM counter");
            kluis(&["backup"]).of(&busy).keeping(&repo).run().done();
            drop(writing);
            assert_ne!(before, busy.value("SELECT n FROM counter"), "nothing was written during the backup");
        });
        // Behind it: a drill never looks at the source, and what is written meanwhile would only make the next one longer.
        proven(&drill(&repo, &cluster).run());
        let proof = proof(&repo.newest());
        assert_eq!((proof.rung, proof.verdict), (Rung::Restored, Verdict::Good), "{proof:#?}");
    }
}

macro_rules! for_each_major {
    ($($name:ident = $major:literal),*) => {
        $(#[test]
        fn $name() {
            no_false_alarm($major);
        })*
    };
}
for_each_major!(
    no_false_alarm_13 = 13,
    no_false_alarm_14 = 14,
    no_false_alarm_15 = 15,
    no_false_alarm_16 = 16,
    no_false_alarm_17 = 17,
    no_false_alarm_18 = 18,
    no_false_alarm_19 = 19
);

/// A small database with a backup.
fn one(cluster: &Cluster) -> (Database, Repo) {
    let (database, repo) = (cluster.database("one"), Repo::new());
    database.sql("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 100) i");
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    (database, repo)
}

#[test]
fn what_cannot_be_judged_here_changes_nothing_of_what_is_known() {
    let (Some(cluster), Some(older)) = (Cluster::of(16), Cluster::of(15)) else { return };
    let (_, repo) = one(&cluster);
    proven(&drill(&repo, &cluster).run());
    let judged = |ended: Ended, words: &str| {
        assert!(ended.code == Some(3) && ended.stdout.contains("cannot be judged here"), "{ended:#?}");
        // A terminal's width may divide it anywhere.
        let said = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(words), "{ended:#?}");
        assert!(proof(&repo.newest()).proven());
        assert!(kluis(&["list"]).keeping(&repo).run().done().stdout.contains("proven"));
    };
    judged(drill(&repo, &older).run(), "programs of PostgreSQL 16");
    let clients = new_folder("clients");
    for program in ["pg_dump", "pg_dumpall", "pg_restore"] {
        std::os::unix::fs::symlink(cluster.bin().join(program), clients.join(program)).unwrap();
    }
    judged(drill(&repo, &cluster).env("BACKUP_PG_BIN", &clients).run(), "no server");

    if !is_root() {
        return skip("a disk that is too small for a drill: a file system cannot be mounted here", "the tests as root");
    }
    let small = new_folder("small");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=20m,mode=0700", "kluis-it"]).arg(&small).status();
    if !mounted.is_ok_and(|status| status.success()) {
        return skip("a disk that is too small for a drill: a file system cannot be mounted here", "the tests in a privileged container");
    }
    judged(drill(&repo, &cluster).env("BACKUP_SCRATCH_DIR", small.join("scratch")).run(), "BACKUP_SCRATCH_DIR name a larger volume");
    let _ = Command::new("umount").arg("-l").arg(&small).status();
}

#[test]
fn assertions_raise_the_rung_or_tell() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo) = one(&cluster);
    database.sql(&format!("CREATE TABLE secrets AS SELECT '{CANARY}'::text AS v"));
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    for (sql, expected) in [
        ("SELECT count(*) = 100 FROM t; SELECT true, true", Ok(())),
        ("SELECT count(*) = 99 FROM t;", Err("statement 1, row 1: not true")),
        ("SELECT true; SELECT NULL::boolean", Err("statement 2, row 1: not true")),
        ("SELECT v FROM secrets", Err("statement 1, row 1: not true")),
        ("SELECT true WHERE false", Err("it returned no value")),
        ("SELECT id > 0 FROM t UNION ALL SELECT false", Err("row 101: not true")),
        ("SELECT v::int = 1 FROM secrets", Err("statement 1: ")),
        ("SELECT nothing FROM nowhere", Err("statement 1: ")),
    ] {
        let folder = new_folder("assertions");
        std::fs::write(folder.join("10-check.sql"), sql).unwrap();
        std::fs::write(folder.join("README"), "not SQL").unwrap();
        let id = repo.newest().file_name().unwrap().to_string_lossy().into_owned();
        let drilled = kluis(&["drill", &id]).keeping(&repo).tools(&cluster).env("BACKUP_ASSERTIONS", &folder).run();
        let proof = proof(&repo.newest());
        match expected {
            Ok(()) => {
                proven(&drilled);
                assert_eq!(proof.rung, Rung::Asserted);
            }
            Err(words) => {
                assert!(
                    drilled.code == Some(13) && drilled.stdout.contains("assertion '10-check.sql' failed: ") && drilled.stdout.contains(words),
                    "{sql}: {drilled:#?}"
                );
                assert_eq!(proof.verdict, Verdict::Bad);
            }
        }
    }
    // Only a drill clears what a drill has found.
    kluis(&["verify"]).keeping(&repo).run();
    assert_eq!(proof(&repo.newest()).verdict, Verdict::Bad);
    let id = repo.newest().file_name().unwrap().to_string_lossy().into_owned();
    proven(&kluis(&["drill", &id]).keeping(&repo).tools(&cluster).run());
    assert!(proof(&repo.newest()).proven());
}

#[test]
fn a_run_proves_what_it_made_and_writes_it_down() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo) = one(&cluster);
    let unproven = std::fs::read_to_string(repo.newest().join(names::RESTORE)).unwrap();
    assert!(!repo.newest().join(names::PROOF).exists() || !proof(&repo.newest()).proven());
    kluis(&["backup"]).of(&database).keeping(&repo).env("BACKUP_DRILL", "every-backup").run().done();
    let notes = std::fs::read_to_string(repo.newest().join(names::RESTORE)).unwrap();
    let proof = proof(&repo.newest());
    let facts = proof.drill.clone().expect("the drill's facts are in the proof");
    assert_eq!((proof.rung, proof.verdict, facts.tables, facts.rows), (Rung::Restored, Verdict::Good, 1, 100));
    assert!(facts.restore_ms > 0 && facts.total_ms >= facts.restore_ms && proof.kluis == env!("CARGO_PKG_VERSION"), "{facts:?}");
    assert!(notes.to_lowercase().contains("proven") && !unproven.contains("1 table with 100 rows was"), "{notes}");
    assert_eq!(repo.history().last().unwrap()["proof"], "proven");
    // A second look at it from the command line, at all of them.
    let all = kluis(&["drill", "--all"]).keeping(&repo).tools(&cluster).run().done();
    assert_eq!(all.stdout.matches("proven").count(), 2, "{all:#?}");
}

/// A backup that takes a drill some seconds, in a scratch folder that is watched.
fn long(cluster: &Cluster) -> (Repo, PathBuf) {
    let (database, repo) = (cluster.database("long"), Repo::new());
    database.sql("CREATE TABLE bulk AS SELECT i AS id, md5(i::text) AS t FROM generate_series(1, 600000) i; CREATE INDEX ON bulk (t)");
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    let backup = repo.newest();
    (repo, backup)
}

fn watched(bench: &Bench, repo: &Repo, cluster: &Cluster, more: &[(&str, &str)]) -> Command {
    let mut command = bench.command(&["drill"]);
    command.env("BACKUP_DIR", &repo.root).env("BACKUP_TARGET", &repo.target).env("BACKUP_PG_BIN", cluster.bin()).current_dir(folder());
    command.envs(more.iter().copied());
    command
}

#[test]
fn a_drill_that_is_stopped_or_killed_leaves_the_verdict_and_nothing_else() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (repo, backup) = long(&cluster);
    let mut bench = Bench::new();
    let child = watched(&bench, &repo, &cluster, &[]).spawn().unwrap();
    assert!(bench.finish(child).status.success());
    bench.nothing_is_left();
    let before = std::fs::read(backup.join(names::PROOF)).unwrap();

    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::KILL] {
        let child = watched(&bench, &repo, &cluster, &[]).spawn().unwrap();
        // In the middle: rows are being loaded, by the sign of the server's sessions.
        bench.wait_for("COPY");
        let begun = Instant::now();
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        let output = bench.finish(child);
        assert!(begun.elapsed() < Duration::from_secs(10), "{signal:?}: {output:?}");
        assert_eq!(std::fs::read(backup.join(names::PROOF)).unwrap(), before, "{signal:?}");
        if signal == rustix::process::Signal::TERM {
            assert_eq!(output.status.code(), Some(130));
            bench.nothing_is_left();
        } else {
            // The next start sweeps, and proves.
            let child = watched(&bench, &repo, &cluster, &[]).spawn().unwrap();
            assert!(bench.finish(child).status.success());
            bench.nothing_is_left();
        }
    }
    let before = std::fs::read(backup.join(names::PROOF)).unwrap();
    let child = watched(&bench, &repo, &cluster, &[("BACKUP_DEADLINE", "1s")]).spawn().unwrap();
    assert_eq!(bench.finish(child).status.code(), Some(15));
    assert_eq!(std::fs::read(backup.join(names::PROOF)).unwrap(), before);
    bench.nothing_is_left();
}
