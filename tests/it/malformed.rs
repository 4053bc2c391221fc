//! Malformed backups, as data: a real one, damaged in one way after the other, and what must be said of it. `malformed/vectors.rs` is the list,
//! `malformed/damage.rs` does the damage. For each: `verify` finds it and names it, `restore` refuses before it writes where that can be known
//! before, `list` goes on, nothing panics, and no row is told.

pub mod damage;
mod vectors;

use crate::support::CANARY;
use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Ended, kluis};
use crate::support::new_folder;
use crate::support::papers::to_first_format;
use crate::support::repo::{Repo, manifest};
use damage::{Base, apply, reseal};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use vectors::{Expect, SECOND, VECTORS, Vector};

/// A backup with a table of several units, a small one with a row that nobody may see, an empty one, and a large object.
fn base(cluster: &Cluster) -> Base {
    let (database, repo) = (cluster.database("base"), Repo::new());
    database.sql(&format!(
        "CREATE TABLE big (id int PRIMARY KEY, t text); INSERT INTO big SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, 9000) i;
        CREATE TABLE empty (id int); CREATE TABLE small (id int, v text); INSERT INTO small SELECT i, '{CANARY}' FROM generate_series(1, 3) i;
        SELECT lo_from_bytea(4711, 'a large object')"
    ));
    kluis(&["backup", "--jobs", "1"]).of(&database).keeping(&repo).run().done();
    let base = Base::read(&repo.newest(), database.value(CONTENT));
    let units: Vec<u32> = base.units.iter().map(|unit| unit.table).collect();
    let names: Vec<&str> = base.manifest.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!((names, units), (vec!["big", "empty", "small"], vec![0, 0, 0, 2]), "the vectors count on these tables and units");
    base
}

/// A vector being tried: what is wrong with what was answered.
struct Trial<'a> {
    vector: &'a Vector,
    script: &'a str,
    wrong: Vec<String>,
}

impl Trial<'_> {
    fn expect(&mut self, command: &str, ended: &Ended, codes: &[i32], parts: &[&str]) {
        let missing: Vec<String> = parts.iter().map(|part| part.replace("SCRIPT", self.script)).filter(|part| !ended.stderr.contains(part)).collect();
        let code = ended.code.unwrap_or(-1);
        if !codes.contains(&code) || !missing.is_empty() || ended.stderr.contains("panicked") {
            let stderr = ended.stderr.replace('\n', "\n    | ");
            self.wrong.push(format!("  {command}: exit {code}, one of {codes:?} was expected; it does not say {missing:?}\n    | {}{stderr}", ended.stdout));
        }
    }
}

/// All that the base holds, in a few words.
const CONTENT: &str = "SELECT (SELECT count(*) || md5(string_agg(id || t, ',' ORDER BY id)) FROM big) || (SELECT count(*) FROM empty)
    || (SELECT count(*) || md5(string_agg(id || v, ',' ORDER BY id)) FROM small) || md5(lo_get(4711)) || (SELECT count(*) FROM pg_index WHERE indrelid = 'big'::regclass)";

fn relations(database: &Database) -> String {
    database.value("SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace) + (SELECT count(*) FROM pg_largeobject_metadata)")
}

/// Tries one vector. Returns what is wrong.
fn attempt(base: &Base, vector: &Vector, cluster: &Cluster, nothing: &mut Database) -> Vec<String> {
    let repo = Repo::at(new_folder("malformed"));
    let folder = repo.folder().join(&base.id);
    base.copy_to(&folder);
    vector.damage.iter().for_each(|damage| apply(base, &folder, damage));
    reseal(base, &folder, vector.seal);
    let (id, mut trial) = (base.id.as_str(), Trial { vector, script: &base.manifest.script.file, wrong: Vec::new() });

    // A restore first: once verify has written down that the backup is bad, a restore refuses for that alone.
    let writes = !matches!(vector.expect, Expect::Refused(_));
    let place = if writes { cluster.database("place") } else { nothing.clone() };
    let restored = kluis(&["restore", id, "--to", &place.url()]).keeping(&repo).into(cluster).run();
    let listed = kluis(&["list"]).keeping(&repo).run();
    let shown = kluis(&["show", id]).keeping(&repo).run();
    let verified = kluis(&["verify", id]).keeping(&repo).run();
    match vector.expect {
        Expect::Refused(parts) => {
            trial.expect("restore", &restored, &[13], parts);
            trial.expect("verify", &verified, &[13], parts);
            let found = relations(nothing);
            if found != "0" {
                trial.wrong.push(format!("  restore wrote {found} relations and large objects"));
                *nothing = cluster.database("nothing");
            }
        }
        Expect::Found(parts) => {
            trial.expect("restore", &restored, &[1, 13], &[]);
            trial.expect("verify", &verified, &[13], parts);
        }
        Expect::Beside(parts) => {
            trial.expect("restore", &restored, &[0], &[]);
            trial.expect("verify", &verified, &[13], parts);
        }
        Expect::NotRestored(parts) => {
            trial.expect("restore", &restored, &[1, 13], parts);
            trial.expect("verify", &verified, &[0], &[]);
        }
        Expect::Harmless(code, parts) => {
            trial.expect("restore", &restored, &[0], &[]);
            trial.expect("verify", &verified, &[code], parts);
        }
    }
    if restored.code == Some(0) && place.value(CONTENT) != base.content {
        trial.wrong.push("  restore brought other content back, and said nothing".to_owned());
    }
    trial.expect("list", &listed, &[0], &[]);
    trial.expect("show", &shown, &[0, 3, 13], &[]);
    if !listed.stdout.contains(id) {
        trial.wrong.push(format!("  list does not know the backup: {}", listed.stdout));
    }
    if !trial.wrong.is_empty() {
        trial.wrong.insert(0, format!("── {}", trial.vector.name));
    }
    trial.wrong
}

#[test]
fn every_vector_is_found_and_named() {
    let Some(cluster) = Cluster::of(16) else { return };
    let base = base(&cluster);
    let wanted = std::env::var("KLUIS_VECTOR").unwrap_or_default();
    let older = {
        let folder = new_folder("first").join(&base.id);
        base.copy_to(&folder);
        to_first_format(&folder);
        Base::read(&folder, base.content.clone())
    };
    let of_first = |vector: &Vector| vector.damage.iter().any(|damage| ["manifest.json", "SHA256SUMS"].contains(&damage.file()));
    let all = VECTORS.iter().map(|vector| (vector, if of_first(vector) { &older } else { &base })).chain(SECOND.iter().map(|vector| (vector, &base)));
    let vectors: Vec<(&Vector, &Base)> = all.filter(|(vector, _)| vector.name.contains(&wanted)).collect();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut nothing = cluster.database("nothing");
                while let Some((vector, base)) = vectors.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = attempt(base, vector, &cluster, &mut nothing);
                    wrong.lock().expect("no thread panics with this lock").extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no thread panics with this lock");
    let count = wrong.iter().filter(|line| line.starts_with('─')).count();
    assert!(wrong.is_empty(), "{count} of {} vectors (KLUIS_VECTOR=… tries only some)\n{}", vectors.len(), wrong.join("\n"));
}

/// The vectors have names of their own, and there is one for each file of a backup.
#[test]
fn the_vectors_are_in_order() {
    let mut names: Vec<&str> = VECTORS.iter().chain(SECOND).map(|vector| vector.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a name is there twice: {names:?}");
    for file in ["SCRIPT", "schema.dump", "globals.sql.gz", "units.jsonl", "manifest.json", "contents.json", "SHA256SUMS", "proof.json", "RESTORE.md"] {
        assert!(VECTORS.iter().chain(SECOND).any(|vector| vector.damage.iter().any(|damage| damage.file() == file)), "nothing is done to {file}");
    }
}

/// The example in FORMAT.md is what the code says, and what anybody can work out from the document's own words.
#[test]
fn the_digest_in_the_format_is_the_one_we_write() {
    use kluis::script::digest::Digest;
    let format = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/FORMAT.md")).expect("the format is documented");
    let empty_row = format.split("The digest of one empty row is `").nth(1).and_then(|rest| rest.split('`').next()).expect("the example stands there");
    let digest = |rows: &[&str]| {
        let mut digest = Digest::default();
        rows.iter().for_each(|row| digest.add_row(row.as_bytes()));
        digest.hex()
    };
    assert_eq!(digest(&["\n"]), empty_row);
    let hash = |row: &str| xxhash_rust::xxh3::xxh3_128_with_seed(row.as_bytes(), 0);
    assert_eq!(format!("{:032x}", hash("")), empty_row);
    // The sum of the rows' hashes modulo 2^128, without the line feeds, whatever their order; and 32 digits also where it is small.
    let rows = ["1\tada\n", "2\t\\N\n", "1\tada\n"];
    let sum = rows.iter().fold(0_u128, |sum, row| sum.wrapping_add(hash(row.trim_end_matches('\n'))));
    assert_eq!(digest(&rows), format!("{sum:032x}"));
    assert_eq!(digest(&[rows[1], rows[0], rows[2]]), digest(&rows));
    assert_ne!(digest(&[rows[1]]), digest(&rows), "a row that appears twice does not vanish");
    assert_eq!(digest(&[]), "0".repeat(32));
}

/// What a backup's manifest says of a table is what the document makes of the rows, in the form that it names.
#[test]
fn the_digest_in_a_manifest_is_that_of_the_documents_rows() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo) = (cluster.database("digest"), Repo::new());
    database.sql(
        "CREATE TABLE t (a int, b timestamptz, c interval, d float8, e bytea, f text);
        INSERT INTO t VALUES (1, '2026-01-25 04:00:00+01', '1 day 02:03', 0.1, '\\xc0ffee', E'a\\tb\\\\'), (NULL, NULL, NULL, NULL, NULL, '')",
    );
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    let rows = ["1\t2026-01-25 03:00:00+00\t1 day 02:03:00\t0.1\t\\\\xc0ffee\ta\\tb\\\\", "\\N\t\\N\t\\N\t\\N\t\\N\t"];
    let sum = rows.iter().fold(0_u128, |sum, row| sum.wrapping_add(xxhash_rust::xxh3::xxh3_128(row.as_bytes())));
    let table = &manifest(&repo.newest()).tables[0];
    assert_eq!((table.rows, &table.digest), (2, &format!("{sum:032x}")));
}
