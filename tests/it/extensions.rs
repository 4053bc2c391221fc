//! Databases with extensions: proven where the extension is installed, "cannot judge" with the package's name where it is not, and no job of theirs ever runs
//! in a drill. The extensions are Debian's, as scripts/setup and scripts/fetch-postgres bring them.

mod parts;

use crate::drill::tamper::edit_manifest;
use crate::malformed::damage::{Base, Seal, reseal};
use crate::support::cluster::{Cluster, Database, MAJORS, bin, has_extension};
use crate::support::kluis::kluis;
use crate::support::repo::{Repo, manifest};
use crate::support::{new_folder, skip, stock, unique};
use kluis::manifest::{Proof, Rung, Verdict};
use kluis::repository::names;
use kluis::stop::Stop;
use parts::{CONTRIB, CRON, PARTMAN, PGAUDIT, POSTGIS, Part, TIMESCALEDB, VECTOR, trace};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a server sets that has these libraries, in whose database of this name pg_cron's jobs live. They are kept from running there: what a drill must not
/// do, its source must not do either.
fn settings(parts: &[&Part], bin: &Path, database: &str) -> Vec<String> {
    let installed = |library: &str| {
        bin.parent().is_some_and(|home| ["lib", "lib/postgresql"].iter().any(|folder| home.join(folder).join(format!("{library}.so")).exists()))
    };
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
    stock::type_into_shell(&cluster, &backup, &stock::commands(&backup));
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

/// The programs of that server in a folder of their own, without these files of its share and library folders.
fn programs_without(cluster: &Cluster, lacking: &[&str]) -> Option<PathBuf> {
    // Debian's programs find their folders by the end of their own path.
    let home = std::fs::canonicalize(cluster.bin()).unwrap().parent().unwrap().to_owned();
    let root = home.to_str()?.strip_suffix(&format!("usr/lib/postgresql/{}", home.file_name()?.to_str()?)).map(PathBuf::from)?;
    let (new, major) = (new_folder("programs"), home.file_name()?);
    let places = [("usr/lib/postgresql", "bin"), ("usr/lib/postgresql", "lib"), ("usr/share/postgresql", "")];
    for (place, folder) in places {
        let (from, to) = (root.join(place).join(major).join(folder), new.join(place).join(major).join(folder));
        std::fs::create_dir_all(&to).unwrap();
        let copied = Command::new("cp").args(["-rL", "--no-target-directory"]).arg(&from).arg(&to).status().unwrap();
        assert!(copied.success());
        for name in lacking {
            let _ = std::fs::remove_file(to.join(name));
        }
    }
    if root.join("libs").exists() {
        std::os::unix::fs::symlink(root.join("libs"), new.join("libs")).unwrap();
    }
    Some(new.join("usr/lib/postgresql").join(major).join("bin"))
}

/// What a drill says of the newest backup with these programs; its verdict must be that it cannot judge.
#[track_caller]
fn cannot_judge(repo: &Repo, programs: &Path, parts: &[&str]) {
    let ended = kluis(&["drill", "latest"]).keeping(repo).env("BACKUP_PG_BIN", programs).run();
    let proof = Proof::parse(&std::fs::read(repo.newest().join(names::PROOF)).unwrap()).unwrap();
    assert_eq!(proof.verdict, Verdict::CannotJudge, "{ended:#?}");
    parts.iter().for_each(|part| assert!(proof.findings.iter().any(|finding| finding.contains(part)), "'{part}' is not in {proof:#?}"));
}

#[test]
fn a_machine_without_the_extension_cannot_judge_and_names_the_package() {
    let parts: &[&Part] = &[&POSTGIS, &VECTOR, &CRON, &PARTMAN, &PGAUDIT, &TIMESCALEDB];
    for major in [17, 15] {
        let Some((cluster, parts)) = server(major, parts, "app") else { continue };
        let (database, repo) = (cluster.database_with("app", ""), Repo::new());
        parts.iter().for_each(|part| drop(database.sql(&part.needs.iter().map(|name| format!("CREATE EXTENSION {name};")).collect::<String>())));
        kluis(&["backup"]).of(&database).keeping(&repo).run().done();
        let lacking: Vec<String> = parts.iter().flat_map(|part| part.needs).map(|name| format!("extension/{name}.control")).collect();
        let Some(programs) = programs_without(&cluster, &lacking.iter().map(String::as_str).collect::<Vec<_>>()) else { continue };
        let packages = parts.iter().map(|part| match part.name {
            "postgis" => format!("postgresql-{major}-postgis-3"),
            "vector" => format!("postgresql-{major}-pgvector"),
            name => format!("postgresql-{major}-{}", name.trim_start_matches("pg_")),
        });
        let packages: Vec<String> = packages.collect();
        cannot_judge(&repo, &programs, &packages.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn a_library_that_cannot_be_preloaded_is_named_and_the_others_are_preloaded() {
    for major in [17, 15] {
        let Some((cluster, parts)) = server(major, &[&CRON, &PGAUDIT], "app") else { continue };
        let (database, repo) = (cluster.database_with("app", ""), Repo::new());
        parts.iter().for_each(|part| (part.fill)(&database));
        kluis(&["backup"]).of(&database).keeping(&repo).run().done();
        let Some(programs) = programs_without(&cluster, &["pg_cron.so"]) else { continue };
        cannot_judge(&repo, &programs, &["library 'pg_cron' cannot be preloaded", &format!("postgresql-{major}-cron")]);
        let findings = std::fs::read_to_string(repo.newest().join(names::PROOF)).unwrap();
        assert!(!findings.contains("pgaudit"), "{findings}");
    }
}

/// Backups of before tell nothing of libraries, and a role that may not read the setting tells nothing either: what the extensions are known to need is preloaded.
#[test]
fn what_the_source_preloads_need_not_be_known() {
    let Some((cluster, parts)) = server(17, &[&TIMESCALEDB, &CRON, &PGAUDIT], "app") else { return };
    let (database, repo, old) = (cluster.database_with("app", ""), Repo::new(), Repo::new());
    parts.iter().for_each(|part| (part.fill)(&database));
    let role = cluster.role("reader");
    cluster.sql("app", &format!("GRANT pg_read_all_data TO {role}; ALTER ROLE {role} BYPASSRLS"));
    kluis(&["backup"]).of(&database).role(&role).keeping(&repo).run();
    assert_eq!(manifest(&repo.newest()).server.preload, None);
    kluis(&["drill", "latest"]).keeping(&repo).tools(&cluster).run().done();

    kluis(&["backup"]).of(&database).keeping(&old).run().done();
    let preloaded = manifest(&old.newest()).server.preload.unwrap_or_default();
    assert!(["timescaledb", "pg_cron", "pgaudit"].iter().all(|library| preloaded.iter().any(|there| there == library)), "{preloaded:?}");
    let base = Base::read(&old.newest(), String::new());
    edit_manifest(&old.newest(), |value| {
        value["server"].as_object_mut().unwrap().remove("preload");
        value["database"]["extensions"].as_array_mut().unwrap().iter_mut().for_each(|extension| drop(extension.as_object_mut().unwrap().remove("schema")));
    });
    reseal(&base, &old.newest(), Seal::Whole);
    kluis(&["drill", "latest"]).keeping(&old).tools(&cluster).run().done();

    // Rows of an extension's catalogue fit no other version of it.
    edit_manifest(&old.newest(), |value| {
        let extensions = value["database"]["extensions"].as_array_mut().unwrap();
        extensions.iter_mut().find(|extension| extension["name"] == "timescaledb").unwrap()["version"] = "1.2.3".into();
    });
    reseal(&base, &old.newest(), Seal::Whole);
    cannot_judge(&old, cluster.bin(), &["lacks version 1.2.3 of extension timescaledb"]);
}

/// In a drill's server there is no process of an extension's, and no job runs, however often it is due.
#[test]
fn nothing_of_an_extension_works_in_a_drill() {
    // The oldest pg_cron, which cannot be told to start no jobs, and one that knows seconds.
    for major in [13, 17] {
        let Some((cluster, parts)) = server(major, &[&CRON, &TIMESCALEDB, &PARTMAN], "app") else { continue };
        let (database, repo, checks) = (cluster.database_with("app", ""), Repo::new(), new_folder("checks"));
        parts.iter().for_each(|part| (part.fill)(&database));
        kluis(&["backup"]).of(&database).keeping(&repo).run().done();
        let workers = "SELECT count(*) = 0 FROM pg_stat_activity
            WHERE backend_type NOT IN ('client backend', 'checkpointer', 'background writer', 'walwriter', 'autovacuum launcher', 'io worker')";
        let checks_of = [("1", "SELECT pg_sleep(3)::text = ''"), ("2", workers), ("3", "SELECT count(*) = 5 FROM cron.job_run_details")];
        checks_of.iter().for_each(|(name, sql)| std::fs::write(checks.join(format!("{name}.sql")), sql).unwrap());
        let ended = kluis(&["drill", "latest"]).keeping(&repo).tools(&cluster).env("BACKUP_ASSERTIONS", &checks).run().done();
        let proof = Proof::parse(&std::fs::read(repo.newest().join(names::PROOF)).unwrap()).unwrap();
        assert_eq!(proof.rung, Rung::Asserted, "{ended:#?}");
        assert!(!trace(&cluster).exists(), "a job ran in the drill of PostgreSQL {major}");
    }
}

/// A hypertable's own table is empty: to bring it back alone would look like success.
#[test]
fn a_single_hypertable_is_brought_back_empty_and_that_is_said() {
    let Some((cluster, parts)) = server(17, &[&TIMESCALEDB], "app") else { return };
    let (database, repo) = (cluster.database_with("app", ""), Repo::new());
    parts.iter().for_each(|part| (part.fill)(&database));
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    let other = cluster.database("other");
    other.sql("CREATE EXTENSION timescaledb");
    let restore = |table| kluis(&["restore", "latest", "--table", table, "--to", &other.url()]).keeping(&repo).into(&cluster).run();
    restore("public.devices").warned(&["will not come"]);
    restore("public.metrics").warned(&["table public.metrics is empty in the backup", "its rows are in its chunks"]);
}

/// Where the server is not prepared, that is said before anything is written.
#[test]
fn a_server_without_the_library_is_told_of_before_anything_is_written() {
    let Some((cluster, parts)) = server(17, &[&TIMESCALEDB, &CRON, &PGAUDIT], "app") else { return };
    let (database, repo) = (cluster.database_with("app", ""), Repo::new());
    parts.iter().for_each(|part| (part.fill)(&database));
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    let restored = Database { cluster: cluster.clone(), name: "elsewhere".to_owned() };
    let restore = || kluis(&["restore", "latest", "--create", "--to", &restored.url()]).keeping(&repo).into(&cluster).run();
    restore().failed(10, &["cron.database_name = 'elsewhere'"]);
    cluster.restart(&[]);
    let lacking = ["timescaledb", "pg_cron", "pgaudit"].map(|library| format!("library '{library}' in shared_preload_libraries"));
    restore().failed(10, &lacking.each_ref().map(String::as_str));
    assert_eq!(cluster.value("postgres", "SELECT count(*) FROM pg_database WHERE datname = 'elsewhere'"), "0");
}

/// TimescaleDB may live in a schema of its own, which has to be there before it.
#[test]
fn hypertables_come_back_whatever_schema_the_extension_is_in() {
    let Some((cluster, _)) = server(17, &[&TIMESCALEDB], "app") else { return };
    let (database, repo) = (cluster.database_with("app", ""), Repo::new());
    let owner = unique("owner");
    database.sql(&format!(
        "CREATE ROLE {owner}; CREATE SCHEMA series AUTHORIZATION {owner}; GRANT USAGE ON SCHEMA series TO PUBLIC; CREATE EXTENSION timescaledb SCHEMA series;
        CREATE TABLE metrics (at timestamptz NOT NULL, value int); SELECT series.create_hypertable('metrics', 'at');
        INSERT INTO metrics SELECT '2026-01-01'::timestamptz + i * interval '1 day', i FROM generate_series(1, 100) i"
    ));
    kluis(&["backup"]).of(&database).keeping(&repo).env("BACKUP_DRILL", "every-backup").run().done();
    let restored = Database { cluster: cluster.clone(), name: "app_restored".to_owned() };
    kluis(&["restore", "latest", "--create", "--to", &restored.url()]).keeping(&repo).into(&cluster).run().done();
    same_rows(&repo.newest(), &restored);
    assert_eq!(restored.value("SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'series'"), owner);
    // Its workers are in both databases when their names change.
    kluis(&["restore", "latest", "--clean", "--to", &restored.url()]).keeping(&repo).into(&cluster).run().done();
    same_rows(&repo.newest(), &restored);
    cluster.sql("postgres", "DROP DATABASE app_restored WITH (FORCE)");
    stock::type_into_shell(&cluster, &repo.newest(), &stock::commands(&repo.newest()));
    same_rows(&repo.newest(), &restored);
}

/// PostGIS has only the rows dumped that are none of its own: one of its own that somebody changed or deleted is lost with every dump (28992 is the Dutch
/// grid).
#[test]
fn a_changed_row_that_an_extension_does_not_have_dumped_is_found() {
    let Some((cluster, _)) = server(15, &[&POSTGIS], "app") else { return };
    for change in ["UPDATE spatial_ref_sys SET proj4text = proj4text || ' +changed' WHERE srid = 28992", "DELETE FROM spatial_ref_sys WHERE srid = 28992"] {
        let (database, repo) = (cluster.database("geo"), Repo::new());
        database.sql(&format!("CREATE EXTENSION postgis; CREATE TABLE t AS SELECT 1 AS id; {change}"));
        kluis(&["backup"]).of(&database).keeping(&repo).run().done();
        let drilled = kluis(&["drill"]).keeping(&repo).tools(&cluster).run();
        let proof = Proof::parse(&std::fs::read(repo.newest().join(names::PROOF)).unwrap()).unwrap();
        assert_eq!((drilled.code, proof.verdict), (Some(13), Verdict::Bad), "{change}: {drilled:#?}");
        assert!(proof.findings.iter().any(|found| found.contains("rows of table public.spatial_ref_sys were changed")), "{change}: {proof:#?}");
    }
}
