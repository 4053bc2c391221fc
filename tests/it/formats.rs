//! The two formats of a backup. The first is read for ever: a backup that its last version made lies in `tests/old`. The second has a small manifest that names
//! nothing of what is in the database, one hash that covers all, and a hash for each unit.

use crate::support::cluster::Cluster;
use crate::support::kluis::kluis;
use crate::support::papers;
use crate::support::repo::{Repo, manifest};
use crate::support::{new_folder, stock, wait_until};
use kluis::manifest::{Proof, Summary};
use kluis::repository::list::{Backup, Listing};
use kluis::repository::{Repository, names};
use kluis::script::unit::Unit;
use rustix::process::Signal;
use sha2::{Digest, Sha256};
use std::path::Path;

/// A copy of the backup of the first format.
fn old() -> Repo {
    let repo = Repo::at(new_folder("old"));
    let (id, old) = ("20261128T212524Z", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/old/20261128T212524Z"));
    let folder = repo.folder().join(id);
    std::fs::create_dir_all(&folder).unwrap();
    for entry in std::fs::read_dir(old).unwrap().flatten() {
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    repo
}

fn hash(bytes: &[u8]) -> String {
    kluis::repository::files::hex(&Sha256::digest(bytes))
}

#[test]
fn a_backup_of_the_first_format_is_listed_verified_drilled_restored_and_compared() {
    let Some(cluster) = Cluster::of(15) else { return };
    let repo = old();
    let before = repo.backups_fingerprint();
    stock::check(&repo.newest());
    let listed = kluis(&["list"]).keeping(&repo).run().done();
    assert!(listed.stdout.contains("sealed") && listed.stdout.contains("650"), "{}", listed.stdout);
    let shown = kluis(&["show", "latest", "--tables"]).keeping(&repo).run().done();
    assert!(shown.stdout.contains("public.events_2025") && shown.stdout.contains("6 tables, 650 rows, 1 large object"), "{}", shown.stdout);
    kluis(&["verify"]).keeping(&repo).run().done();
    let drilled = kluis(&["drill"]).keeping(&repo).tools(&cluster).run().done();
    assert!(drilled.stdout.contains("proven"), "{drilled:#?}");
    let place = cluster.database("place");
    cluster.sql("postgres", "DO 'BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ''shop_owner'') THEN CREATE ROLE shop_owner; END IF; END'");
    kluis(&["restore", "latest", "--to", &place.url()]).keeping(&repo).into(&cluster).run().done();
    assert_eq!(place.value("SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM events) + (SELECT count(*) FROM customers)"), "640");
    let compared = kluis(&["compare", "latest"]).of(&place).keeping(&repo).run();
    assert!(compared.code == Some(0) && compared.stdout.contains("are equal"), "{compared:#?}");
    // One of the second format, of what was restored from it, holds the same.
    kluis(&["adopt"]).of(&place).keeping(&repo).run().done();
    kluis(&["backup"]).of(&place).keeping(&repo).run().done();
    let (first, second) = (repo.backups().remove(0), repo.newest());
    let ids = [&first, &second].map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    let compared = kluis(&["compare", &ids[0], "--with", &ids[1]]).keeping(&repo).run();
    assert!(compared.code == Some(0) && compared.stdout.contains("are equal"), "{compared:#?}");
    assert_eq!((manifest(&first).format, manifest(&second).format), (1, 2));
    // Nothing that was sealed was touched.
    let after = repo.backups_fingerprint();
    let changing = ["RESTORE.md", "proof.json"];
    assert!(before.iter().filter(|(path, _)| !changing.iter().any(|name| path.ends_with(name))).all(|(path, content)| after.get(path) == Some(content)));
}

#[test]
fn the_manifest_of_the_second_format_names_nothing_and_its_hash_covers_all() {
    let Some(cluster) = Cluster::of(17) else { return };
    let (database, repo, role) = (cluster.database("shop"), Repo::new(), cluster.role("clerk"));
    database.sql(&format!(
        "CREATE SCHEMA hidden_schema; CREATE TABLE hidden_schema.hidden_table (hidden_column int, v text); CREATE EXTENSION hstore;
        INSERT INTO hidden_schema.hidden_table SELECT i, repeat(md5(i::text), 50) FROM generate_series(1, 3000) i; ALTER TABLE hidden_schema.hidden_table OWNER TO {role};
        CREATE UNLOGGED TABLE vacant (id int); SELECT lo_from_bytea(1, 'x')"
    ));
    kluis(&["backup", "--jobs", "2"]).of(&database).keeping(&repo).env("BACKUP_DRILL", "every-backup").run().done();
    let backup = repo.newest();
    stock::check(&backup);

    let (text, whole) = (std::fs::read_to_string(backup.join(names::MANIFEST)).unwrap(), manifest(&backup));
    let summary = Summary::parse(text.as_bytes()).unwrap();
    assert_eq!(summary, Summary::of(&whole));
    assert_eq!((summary.format, summary.totals.tables, summary.totals.rows, summary.totals.large_objects, summary.totals.empty), (2, 2, 3000, 1, false));
    assert!(text.len() < 4096, "{} bytes", text.len());
    let digests = whole.tables.iter().map(|table| table.digest.clone());
    let hidden =
        ["hidden", "hstore", "clerk", "vacant", role.as_str()].map(str::to_owned).into_iter().chain(digests).chain([whole.large_objects.digest.clone()]);
    for word in hidden {
        assert!(!text.contains(&word), "'{word}' stands in the manifest: {text}");
    }

    // Its hash covers that of each file, the proof and the notes apart.
    for file in &summary.files {
        assert_eq!(hash(&std::fs::read(backup.join(&file.name)).unwrap()), file.sha256, "{}", file.name);
    }
    let named: Vec<&str> = summary.files.iter().map(|file| file.name.as_str()).collect();
    let script = summary.script.file.as_str();
    assert_eq!(named, [script, "schema.dump", "globals.sql.gz", "units.jsonl", "inventory.tsv.gz", "contents.json"]);

    // Each unit's hash is that of its bytes in the script, so that a part of it can be checked by itself.
    let bytes = std::fs::read(backup.join(script)).unwrap();
    let index = std::fs::read_to_string(backup.join(names::UNITS)).unwrap();
    let mut units = 0;
    for line in index.lines() {
        let unit: Unit = serde_json::from_str(line).unwrap();
        let (from, to) = (unit.offset as usize, (unit.offset + unit.length()) as usize);
        assert!(line.contains(&hash(&bytes[from..to])), "{line}");
        units += 1;
    }
    assert!(units >= 4, "{units} units");
    assert!(Proof::parse(&std::fs::read(backup.join(names::PROOF)).unwrap()).is_ok_and(|proof| proof.proven() && proof.format == 1));

    // Table by table it is the same in both formats.
    let tables = |folder: &Path| {
        let mut found = Vec::new();
        Backup::read(folder.to_owned()).each_table(&mut |table| found.push((table.schema, table.name, table.rows))).unwrap();
        found
    };
    let expected = [("hidden_schema", "hidden_table", 3000), ("public", "vacant", 0)].map(|(schema, name, rows)| (schema.to_owned(), name.to_owned(), rows));
    assert_eq!(tables(&backup), expected);
    papers::to_first_format(&backup);
    assert_eq!(tables(&backup), expected);
    kluis(&["verify"]).keeping(&repo).run().done();
    assert_eq!(Summary { format: 1, files: Vec::new(), ..summary }, Summary { files: Vec::new(), ..Backup::read(backup).manifest.unwrap() });
}

#[test]
fn a_listing_asks_for_no_contents_and_a_restore_does() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo) = (cluster.database("shop"), Repo::new());
    database.sql("CREATE TABLE t AS SELECT i FROM generate_series(1, 10) i");
    kluis(&["backup"]).of(&database).keeping(&repo).env("BACKUP_DRILL", "every-backup").run().done();
    // As long as it was, so that only its content is wrong.
    let contents = repo.newest().join(names::CONTENTS);
    let length = std::fs::metadata(&contents).unwrap().len() as usize;
    std::fs::write(&contents, "{".repeat(length)).unwrap();
    for words in [&["list"][..], &["status"], &["prune", "--dry-run"]] {
        let ended = kluis(words).keeping(&repo).run();
        assert!(!ended.stderr.contains("contents.json"), "{ended:#?}");
    }
    assert!(kluis(&["list"]).keeping(&repo).run().done().stdout.contains("proven"));
    let place = cluster.database("place");
    kluis(&["restore", "latest", "--to", &place.url()])
        .keeping(&repo)
        .into(&cluster)
        .run()
        .failed(13, &["'contents.json' does not have the SHA-256 that it was written with"]);
    kluis(&["compare", "latest"]).of(&database).keeping(&repo).run().failed(13, &["cannot be used: 'contents.json': not a manifest"]);
    let shown = kluis(&["show", "latest"]).keeping(&repo).run().done();
    assert!(shown.stdout.contains("what it holds cannot be told"), "{}", shown.stdout);
    // That it is bad is recorded, and its notes say so, although what they would tell is gone.
    kluis(&["verify"]).keeping(&repo).run().failed(13, &["'contents.json' does not have the SHA-256 that it was written with"]);
    assert!(kluis(&["list"]).keeping(&repo).run().done().stdout.contains("bad"));
    let notes = std::fs::read_to_string(repo.newest().join(names::RESTORE)).unwrap();
    assert!(notes.contains("`kluis restore` refuses it: \\'contents.json\\' does not have the SHA-256 that it was written with"), "{notes}");
}

#[test]
fn what_a_large_manifest_of_the_first_format_says_is_noted_beside_it() {
    let Some(cluster) = Cluster::of(16) else { return };
    let (database, repo, first) = (cluster.database("shop"), Repo::new(), old());
    database.sql("CREATE TABLE t AS SELECT i FROM generate_series(1, 10) i");
    let id = first.newest().file_name().unwrap().to_owned();
    let (backup, read) =
        (repo.folder().join(&id), |repo: &Repo| Listing::read(&Repository::open(&repo.root).unwrap().target(&repo.target)).unwrap().backups.remove(0));
    std::fs::create_dir_all(&backup).unwrap();
    for entry in std::fs::read_dir(first.newest()).unwrap().flatten() {
        std::fs::copy(entry.path(), backup.join(entry.file_name())).unwrap();
    }
    // So large that it is read as a stream.
    let mut all = papers::joined(&backup);
    let names: Vec<String> = (0..20_000).map(|number| format!("column_{number}")).collect();
    all["tables"][0]["columns"] = names.into();
    papers::write_joined(&backup, &all);
    papers::write_sums(&backup);
    let expected = Summary { files: Vec::new(), ..read(&first).manifest.unwrap() };
    let found = |what: &str| assert_eq!(Summary { files: Vec::new(), ..read(&repo).manifest.unwrap() }, expected, "{what}");
    found("read");
    assert!(!backup.join(names::CONDENSED).exists(), "only a run or a prune writes");
    kluis(&["backup"]).of(&database).keeping(&repo).run();
    assert!(backup.join(names::CONDENSED).exists());
    found("noted");
    // The note counts for the file that it was made of.
    let note = std::fs::read_to_string(backup.join(names::CONDENSED)).unwrap();
    std::fs::write(backup.join(names::CONDENSED), note.replace("\"rows\": 650", "\"rows\": 651")).unwrap();
    assert_eq!(read(&repo).manifest.unwrap().totals.rows, 651);
    papers::write_joined(&backup, &all);
    found("written again");
    std::fs::write(backup.join(names::CONDENSED), "{").unwrap();
    found("without a note that can be read");
    // A sidecar that is due once a year notes it when it starts.
    std::fs::remove_file(backup.join(names::CONDENSED)).unwrap();
    let sidecar = kluis(&["serve"]).of(&database).keeping(&repo).env("BACKUP_SCHEDULE", "0 0 1 1 *").start();
    wait_until("the sidecar has noted it", || backup.join(names::CONDENSED).exists());
    sidecar.signal(Signal::TERM);
    sidecar.wait();
}
