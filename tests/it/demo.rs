//! `kluis demo`: it tells the whole story, on every PostgreSQL that is here, and leaves nothing behind.

use crate::throwaway::Bench;
use std::path::PathBuf;

/// The servers that are installed: those of Debian, and those that the project's script has fetched.
fn servers() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for parent in ["/usr/lib/postgresql".into(), PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".cache/postgres")] {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        found.extend(entries.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists()));
    }
    assert!(!found.is_empty(), "no PostgreSQL server is installed: apt-get install postgresql");
    found
}

#[test]
fn the_whole_story_on_every_server() {
    for bin in servers() {
        let mut bench = Bench::new();
        let child = bench.command(&["demo"]).env("BACKUP_PG_BIN", &bin).spawn().unwrap();
        let output = bench.finish(child);
        let (text, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success() && errors.is_empty(), "{}: {text}{errors}", bin.display());
        for expected in [
            "$ sha256sum -c SHA256SUMS\n",
            "aimtrack.sql.gz: OK\n",
            "DROP TABLE attachments;\n",
            "18 of 19 tables have the same rows and the same digest as before, 10,191 rows; public.attachments is gone\n",
            "1 table with 100 rows",
            "19 of 19 tables have the same rows and the same digest as before, 10,291 rows\n",
            "All of it came back in ",
            "kluis restore latest --create --to ",
        ] {
            assert!(text.contains(expected), "{}: no '{expected}' in {text}", bin.display());
        }
        assert!(!text.contains('\x1b'), "colour where there is no terminal");
        bench.nothing_is_left();
    }
}

#[test]
fn what_is_kept_is_a_repository() {
    let mut bench = Bench::new();
    let output = bench.run(&["demo", "--keep", "--color", "always"]);
    assert!(output.status.success() && output.stdout.contains(&0x1b));
    let folders = bench.folders();
    let [kept] = folders.as_slice() else { panic!("{folders:?}") };
    let kept = kept.to_str().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains(&format!("kluis --dir {kept} verify --all")));
    let verified = bench.command(&["--dir", kept, "verify", "--all"]).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
    std::fs::remove_dir_all(kept).unwrap();
    bench.nothing_is_left();
}

#[test]
fn as_json_it_is_one_document() {
    let mut bench = Bench::new();
    let output = bench.run(&["demo", "--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["done"], &answer["kept"]), (&true.into(), &serde_json::Value::Null));
    bench.nothing_is_left();
}

#[test]
fn without_a_server_the_package_is_named() {
    let bench = Bench::new();
    let empty = tempfile::tempdir().unwrap();
    let output = bench.command(&["demo"]).env("BACKUP_PG_BIN", empty.path()).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("needs a PostgreSQL server") && errors.contains("install the package postgresql-"), "{errors}");
    assert!(bench.folders().is_empty());
}
