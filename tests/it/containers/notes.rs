//! The commands of RESTORE.md for containers, as they stand: only the Compose file's path, the server's address and the password are a person's own.

use super::engine::{self, eventually, limited, run_with};
use super::stack::Stack;
use crate::support::cluster::Cluster;
use crate::support::kluis::kluis;
use crate::support::repo::Repo;
use crate::support::{PASSWORD, new_folder, stock};

#[test]
fn restores_in_containers_with_the_commands_as_they_stand() {
    let (true, Some(source)) = (engine::is_there(), Cluster::own(16, &[])) else { return };
    let (database, repo) = (source.database_with("it's a shop", ""), Repo::new());
    source.sql("postgres", "CREATE ROLE keeper LOGIN");
    database.sql("CREATE TABLE goods AS SELECT i AS id, 'thing ' || i AS name FROM generate_series(1, 1000) i; ALTER TABLE goods OWNER TO keeper");
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    let backup = repo.newest();
    let notes = std::fs::read_to_string(backup.join("RESTORE.md")).unwrap();

    // A server of its own, with a port that programs in other containers reach over the host's network.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let file = new_folder("notes").join("compose.yaml");
    let stack = Stack::of(file.clone(), "notes", &[]);
    let text = format!(
        "name: {}\nservices:\n  db:\n    image: {}\n    environment:\n      POSTGRES_PASSWORD: ${{DB_PASSWORD:-}}\n    tmpfs: [/var/lib/postgresql/data]\n    ports: [\"127.0.0.1:{port}:5432\"]\n",
        stack.project,
        engine::BASE
    );
    std::fs::write(&file, text).unwrap();
    stack.compose(&["up", "--detach"]).done();
    let sql = |database: &str, query: &str| {
        stack.compose(&["exec", "--no-TTY", "db", "psql", "-XqAt", "-h", "127.0.0.1", "-U", "postgres", "-d", database, "-c", query])
    };
    eventually("the server answers", 60, || (sql("postgres", "SELECT 1").code == Some(0)).then_some(()));

    let lines =
        |word: &str| notes.lines().filter(|line| line.starts_with("    ") && line.contains(word)).map(|line| line.trim_start().to_owned()).collect::<Vec<_>>();
    let (commands, rename) = (stock::commands(&backup), lines("RENAME TO"));
    let facts = "SELECT count(*) || ' ' || md5(string_agg(g::text, ',' ORDER BY id)) || ' ' || (SELECT relowner::regrole FROM pg_class WHERE relname = 'goods') FROM goods g";
    for (pair, port, rename) in [(lines("docker compose"), "5432", &rename[1..]), (lines("docker run"), port.as_str(), &rename[..])] {
        assert!(pair.len() == 2 && rename.len() <= 2, "{notes}");
        let pair = pair.iter().map(|line| line.replace("/path/to/compose.yaml", file.to_str().unwrap()));
        // The role is there in the second round.
        let stops = |line: &String| if line.contains("globals.sql.gz") { format!("{{ {line}; }} || true") } else { line.clone() };
        let script: Vec<String> =
            ["set -e -o pipefail".to_owned()].into_iter().chain(pair).chain(commands.iter().map(stops)).chain(rename.iter().cloned()).collect();
        let mut bash = limited(180, "bash", &["-c", &script.join("\n")]);
        bash.env("PGHOST", "127.0.0.1").env("PGPORT", port).env("PGPASSWORD", PASSWORD).current_dir(&backup);
        run_with(bash, b"").done();
        assert_eq!(sql("it's a shop", facts).done(), database.value(facts));
    }
    assert_eq!(sql("it's a shop_before", "SELECT count(*) FROM goods").done(), "1000");
    stack.compose(&["down", "--volumes", "--timeout", "5"]).done();
}
