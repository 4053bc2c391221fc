//! RESTORE.md for a stranger: its commands as they stand, with PostgreSQL's own programs, on a server that has nothing of the backup.

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::kluis;
use crate::support::repo::Repo;
use crate::support::sql::{Script, assert_same};
use crate::support::{new_folder, stock};
use std::os::unix::fs::PermissionsExt;

/// What stands in for Docker, which is not everywhere: it finds the command behind the container's name, and runs it here.
const DOCKER: &str = r#"#!/bin/sh
printf '%s\n' "$1" >>"$(dirname "$0")/asked"
while [ $# -gt 0 ]; do
    case "$1" in db|postgres:*) shift; exec "$@" ;; esac
    shift
done
exit 1
"#;

#[test]
fn a_stranger_restores_with_the_commands_as_they_stand() {
    let (Some(source), Some(fresh)) = (Cluster::own(16, &[]), Cluster::own(16, &[])) else { return };
    let (database, repo) = (source.database_with("it's a shop", ""), Repo::new());
    source.sql("postgres", "CREATE ROLE keeper LOGIN PASSWORD 'at the backup'; ALTER DATABASE \"it's a shop\" SET work_mem = '7MB'");
    database.sql("CREATE TABLE goods AS SELECT i AS id, 'thing ' || i AS name FROM generate_series(1, 1000) i; ALTER TABLE goods OWNER TO keeper");
    kluis(&["backup"]).of(&database).keeping(&repo).env("BACKUP_DRILL", "every-backup").run().done();
    let (backup, shims) = (repo.newest(), new_folder("shims"));
    let notes = std::fs::read_to_string(backup.join("RESTORE.md")).unwrap();
    assert!(
        notes.contains(": 1 table, 1,000 rows, 0 large objects, ") && notes.contains(": 1 table with 1,000 rows and 0 large objects were compared"),
        "{notes}"
    );
    let times: Vec<&str> = notes.split_whitespace().filter(|word| word.starts_with("20") && word.contains("T")).collect();
    assert!(
        times.len() >= 2 && times.iter().all(|time| time.trim_end_matches([':', '.']).len() == "2026-01-25T03:00:00Z".len() || time.len() == 16),
        "{times:?}"
    );
    for program in ["psql", "createdb"] {
        let of = |line: &&str| line.starts_with("    ") && line.contains(program) && !line.contains("docker ");
        assert!(notes.lines().filter(of).all(|line| line.contains(r#"-h "$host" -p "$port" -U "$user""#)), "{notes}");
    }
    std::fs::write(shims.join("docker"), DOCKER).unwrap();
    std::fs::set_permissions(shims.join("docker"), PermissionsExt::from_mode(0o755)).unwrap();

    // The same commands by the programs of this machine, and in containers of both sorts.
    let lines =
        |word: &str| notes.lines().filter(|line| line.starts_with("    ") && line.contains(word)).map(|line| line.trim_start().to_owned()).collect::<Vec<_>>();
    let commands = stock::commands(&backup);
    let rename = lines("RENAME TO");
    assert_eq!(rename.len(), 2, "{notes}");
    let path = vec![format!("PATH={}:$PATH", shims.display())];
    for (containers, round) in [(vec![], 0), (lines("docker compose"), 1), (lines("docker run"), 2)] {
        assert_eq!(containers.len(), if round == 0 { 0 } else { 2 }, "{notes}");
        let rename = if round == 0 { &rename[1..] } else { &rename[..] };
        stock::type_into_shell(&fresh, &backup, &[&path, &containers[..], &commands, rename].concat());
        let restored = Database { cluster: fresh.clone(), name: database.name.clone() };
        assert_same(("before", &Script::parse(&database.pg_dump(&[]))), ("restored", &Script::parse(&restored.pg_dump(&[]))));
        assert_eq!(restored.value("SELECT count(*) FROM pg_stats WHERE tablename = 'goods'"), "2", "it was analyzed");
        let asked = std::fs::read_to_string(shims.join("asked")).unwrap_or_default().lines().count();
        assert!(asked >= round * 5, "{asked} commands went into containers");
        if round > 0 {
            fresh.sql("postgres", "DROP DATABASE \"it's a shop_before\"");
        }
    }

    // Passwords of roles that are there are reset by one command, and kept by the other.
    let password = || fresh.value("postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = 'keeper'");
    let then = password();
    fresh.sql("postgres", "ALTER ROLE keeper PASSWORD 'of today'");
    let (today, keep) = (password(), lines("SCRAM-SHA-256"));
    assert!(keep.len() == 1 && today != then, "{notes}");
    stock::type_into_shell(&fresh, &backup, &[&commands[..1], &keep].concat());
    assert_eq!(password(), today);
    let all: Vec<String> = commands.iter().filter(|line| line.contains("globals")).cloned().collect();
    stock::type_into_shell(&fresh, &backup, &[&commands[..1], &all].concat());
    assert_eq!(password(), then);
}
