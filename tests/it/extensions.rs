//! Databases with extensions: proven where the extension is installed, "cannot judge" with the package's name where it is not, and no job of theirs ever runs
//! in a drill. The extensions are Debian's, as scripts/setup and scripts/fetch-postgres bring them.

mod parts;

use crate::drill::tamper::edit_manifest;
use crate::support::cluster::{Cluster, Database, MAJORS, bin, has_extension};
use crate::support::kluis::kluis;
use crate::support::repo::{Repo, manifest};
use crate::support::{new_folder, skip, unique};
use kluis::stop::Stop;
use parts::{CONTRIB, CRON, PARTMAN, PGAUDIT, POSTGIS, Part, TIMESCALEDB, VECTOR, trace};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a server sets that has these libraries, in whose database of this name pg_cron's jobs live. They are kept from running there: what a drill must not
/// do, its source must not do either.
fn settings(parts: &[&Part], bin: &Path, database: &str) -> Vec<String> {
    let installed = |library: &str| bin.parent().is_some_and(|home| ["lib", "lib/postgresql"].iter().any(|folder| home.join(folder).join(format!("{library}.so")).exists()));
    let libraries: Vec<&str> = parts.iter().flat_map(|part| part.preload).copied().filter(|library| installed(library)).collect();
    let mut settings = vec![format!("shared_preload_libraries={}", libraries.join(","))];
    if libraries.contains(&"pg_cron") {
        settings.extend([format!("cron.database_name={database}"), "cron.host=/nowhere".to_owned()]);
    }
    settings
}

/// Those parts whose extensions these programs' server has. The others are skipped, and it is said.
fn there<'p>(bin: &Path, major: u32, parts: &[&'p Part]) -> Vec<&'p Part> {
    let (there, lacking): (Vec<&Part>, Vec<&Part>) = parts.iter().partition(|part| part.needs.iter().all(|extension| has_extension(bin, extension)));
    for part in lacking {
        skip(&format!("{} on PostgreSQL {major}", part.name), "scripts/setup test, where Debian has the extension for that major");
    }
    there
}

/// A server of that major with these of the parts that it has.
fn server<'p>(major: u32, parts: &[&'p Part], database: &str) -> Option<(Cluster, Vec<&'p Part>)> {
    // Where the major itself is missing, that is what is said.
    let parts = bin(major).map(|bin| there(&bin, major, parts)).unwrap_or_default();
    if parts.is_empty() && bin(major).is_some() {
        return None;
    }
    let settings = bin(major).map(|bin| settings(&parts, &bin, database)).unwrap_or_default();
    Some((Cluster::own(major, &settings.iter().map(String::as_str).collect::<Vec<_>>())?, parts))
}

/// The lines of RESTORE.md that need nothing of Kluis, as they stand there, in a folder that holds the backup.
fn by_the_notes(cluster: &Cluster, backup: &Path) {
    let notes = std::fs::read_to_string(backup.join("RESTORE.md")).unwrap();
    let block = notes.split("## Without Kluis").nth(1).unwrap().split("\n\n").nth(2).unwrap();
    for line in block.lines() {
        let line = line.strip_prefix("    ").expect("a line of commands");
        let mut bash = Command::new("/bin/bash");
        let psql = cluster.program("psql", "postgres");
        bash.env_clear().envs(psql.get_envs().filter_map(|(name, value)| Some((name, value?)))).env_remove("PGDATABASE");
        bash.env("PATH", format!("{}:/usr/bin:/bin", cluster.bin().display())).current_dir(backup);
        let output = bash.args(["-c", &format!("set -o pipefail; {line}")]).output().unwrap();
        assert!(output.status.success() || line.contains("globals"), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Each table of the backup is in the database, with the same rows.
#[track_caller]
fn same_rows(backup: &Path, database: &Database) {
    let (manifest, connection) = (manifest(backup), database.cluster.connection(&database.name));
    let found = kluis::compare::database(&connection, &manifest, 2, &Stop::new(), &kluis::events::Silent).unwrap();
    let different: Vec<String> = found.different.iter().map(|(index, difference)| difference.describe(&manifest.tables[*index])).collect();
    assert_eq!((different, found.extra), (Vec::new(), Vec::new()));
}

/// Backed up, proven, restored by Kluis and by the notes' own commands, all with the same rows.
fn comes_back(major: u32, parts: &[&Part]) {
    let Some((cluster, parts)) = server(major, parts, "app") else { return };
    let (database, repo) = (cluster.database_with("app", ""), Repo::new());
    parts.iter().for_each(|part| (part.fill)(&database));
    kluis(&["backup"]).of(&database).keeping(&repo).env("BACKUP_DRILL", "every-backup").run().done();
    let backup = repo.newest();
    let proof = std::fs::read_to_string(backup.join("proof.json")).unwrap();
    assert!(proof.contains("\"restored\""), "{proof}");
    assert!(!trace(&cluster).exists(), "a job ran in the drill");

    // pg_cron lives in one database of a server.
    let settings = settings(&parts, cluster.bin(), "app_restored");
    cluster.restart(&settings.iter().map(String::as_str).collect::<Vec<_>>());
    let restored = Database { cluster: cluster.clone(), name: "app_restored".to_owned() };
    kluis(&["restore", "latest", "--create", "--to", &restored.url()]).keeping(&repo).into(&cluster).run().done();
    same_rows(&backup, &restored);
    works(&parts, &restored);
    cluster.sql("postgres", "DROP DATABASE app_restored WITH (FORCE)");
    by_the_notes(&cluster, &backup);
    same_rows(&backup, &restored);
    works(&parts, &restored);
}

/// What was restored is alive: the extensions go on where they were.
fn works(parts: &[&Part], restored: &Database) {
    for part in parts {
        match part.name {
            "timescaledb" => {
                restored.sql("INSERT INTO metrics VALUES ('2027-01-01', 1, 1); SELECT set_chunk_time_interval('metrics', interval '2 days')");
                assert_eq!(restored.value("SELECT current_setting('timescaledb.restoring')"), "off");
                let chunk = "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'metrics' AND range_end > '2027-01-01'";
                assert_eq!(restored.value(chunk), "1", "a new row got a new chunk");
                restored.sql("DELETE FROM metrics WHERE at > '2026-12-01'; SELECT drop_chunks('metrics', newer_than => '2026-12-01'::timestamptz)");
            }
            "pg_cron" => drop(restored.sql("SELECT cron.unschedule(cron.schedule('again', '0 4 * * *', 'VACUUM'))")),
            "postgis" => drop(restored.sql("SELECT ST_Extent(at) FROM places; SELECT topology.ValidateTopology('town')")),
            "vector" => drop(restored.sql("SET enable_seqscan = off; SELECT id FROM items ORDER BY embedding <-> '[1,2,3]' LIMIT 1")),
            _ => {}
        }
    }
}

/// Every extension but TimescaleDB, in one database.
const TOGETHER: &[&Part] = &[&CONTRIB, &POSTGIS, &VECTOR, &CRON, &PARTMAN, &PGAUDIT];

#[test]
fn extensions_come_back_13() {
    comes_back(13, TOGETHER);
}

#[test]
fn extensions_come_back_14() {
    comes_back(14, TOGETHER);
}

#[test]
fn extensions_come_back_15() {
    comes_back(15, TOGETHER);
}

#[test]
fn extensions_come_back_16() {
    comes_back(16, TOGETHER);
}

#[test]
fn extensions_come_back_17() {
    comes_back(17, TOGETHER);
}

#[test]
fn extensions_come_back_18() {
    comes_back(18, TOGETHER);
}

#[test]
fn hypertables_come_back() {
    MAJORS.iter().for_each(|major| comes_back(*major, &[&TIMESCALEDB]));
}

#[test]
fn red() {
    let major: u32 = std::env::var("RED_MAJOR").unwrap().parse().unwrap();
    let name = std::env::var("RED_PART").unwrap();
    let parts: Vec<&Part> = TOGETHER.iter().chain(&[&TIMESCALEDB]).copied().filter(|part| part.name == name).collect();
    comes_back(major, &parts);
}
