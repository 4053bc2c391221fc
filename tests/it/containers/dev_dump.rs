//! `scripts/backup-dev-db.sh`: a developer's own dump, by the program and by the service.

use super::engine::{IMAGE, Said, limited, run_with};
use super::stack::Stack;
use crate::support::cluster::{Cluster, Database};
use crate::support::repo::Repo;
use crate::support::{PASSWORD, folder, is_root, new_folder};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The script, with nothing in its environment but this.
fn script(variables: &[(&str, &str)]) -> Command {
    let mut command = limited(180, "scripts/backup-dev-db.sh", &[]);
    command.env("PATH", "/usr/bin:/bin").env("HOME", folder()).envs(variables.iter().copied());
    command
}

/// The script with the program and a database.
fn of(database: &Database, env_file: &Path, variables: &[(&str, &str)]) -> Said {
    let port = database.cluster.port().to_string();
    let mut command = script(&[]);
    command.env("KLUIS_BIN", env!("CARGO_BIN_EXE_kluis")).env("BACKUP_PG_BIN", database.cluster.bin()).env("BACKUP_SCRATCH_DIR", folder().join("scratch"));
    command.env("DB_HOST", database.cluster.socket()).env("DB_PORT", port).env("DB_DATABASE", &database.name).env("DB_USERNAME", "postgres");
    command.env("ENV_FILE", env_file).env("BACKUP_DRILL", "off").envs(variables.iter().copied());
    run_with(command, b"")
}

fn env_file(text: &str) -> PathBuf {
    let path = new_folder("env").join("env");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn by_the_program_with_the_old_names() {
    let Some(cluster) = Cluster::of(16) else { return };
    let database = cluster.database("dev");
    database.sql("CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i");
    let repo = Repo::new();
    let root = repo.root.to_str().unwrap();
    let old = repo.root.join("shop-20240101-030000.sql.gz");
    std::fs::write(&old, "of the old script").unwrap();
    // Whatever has a value in the environment comes from there, the rest from the file.
    let file =
        env_file("# Laravel's\nexport DB_DATABASE='no such'\nDB_USERNAME=\"no such\"\nBACKUP_PREFIX=shop # the target\r\nRETENTION_DAYS=3\nAPP_KEY=$(false)\n");
    let before = repo.fingerprint();
    let said = of(&database, &file, &[("BACKUP_DIR", root), ("BACKUP_DRY_RUN", "1")]).ended(0);
    assert!(said.stdout.contains("shop"), "{said:#?}");
    assert_eq!(repo.fingerprint(), before);

    of(&database, &file, &[("BACKUP_DIR", root), ("BACKUP_DRY_RUN", "no")]).ended(0);
    let shop = Repo { root: repo.root.clone(), target: "shop".to_owned() };
    assert_eq!(shop.backups().len(), 1);
    assert_eq!(std::fs::read_to_string(&old).unwrap(), "of the old script");
    // The old script's limit is the policy's now, from wherever it comes.
    let said = of(&database, &env_file("RETENTION_DAYS=a week"), &[("BACKUP_DIR", root)]).ended(2);
    assert!(said.stderr.contains("BACKUP_RETENTION_DAYS: 'a week'"), "{said:#?}");

    // Without a prefix it is "db".
    of(&database, &env_file(""), &[("BACKUP_DIR", root)]).ended(0);
    assert_eq!(Repo { root: repo.root.clone(), target: "db".to_owned() }.backups().len(), 1);
}

#[test]
fn errors_are_clear_and_exit_codes_are_passed_on() {
    let Some(cluster) = Cluster::of(16) else { return };
    let database = cluster.database("dev");
    let repo = Repo::new();
    let (root, file) = (repo.root.to_str().unwrap(), env_file(""));
    let refused = |variables: &[(&str, &str)], code: i32, part: &str| {
        let said = of(&database, &file, &[&[("BACKUP_DIR", root)], variables].concat()).ended(code);
        assert!(said.stderr.contains(part) && said.stderr.contains("hint: "), "{said:#?}");
    };
    refused(&[("DB_PORT", "1")], 10, "error: ");
    refused(&[("RETENTION_DAYS", "a week")], 2, "BACKUP_RETENTION_DAYS");
    refused(&[("BACKUP_PREFIX", "No Name")], 2, "BACKUP_PREFIX: 'No Name' cannot be a target's name");
    refused(&[("BACKUP_DRY_RUN", "perhaps")], 2, "BACKUP_DRY_RUN: 'perhaps' is neither yes nor no");
    refused(&[("ENV_FILE", "/no/such/file")], 2, "there is no file '/no/such/file'");
    refused(&[("KLUIS_BIN", "/no/such/program")], 2, "'/no/such/program' is no program");
    refused(&[("BACKUP_DIR", "/no/such/folder")], 14, "/no/such/folder");
    assert_eq!(repo.backups().len(), 0);
    // Neither program nor Docker.
    let empty = new_folder("bin");
    for program in ["bash", "dirname", "env", "id", "mkdir", "timeout"] {
        let found = ["/usr/bin", "/bin"].iter().map(|folder| Path::new(folder).join(program)).find(|path| path.exists()).unwrap();
        std::os::unix::fs::symlink(found, empty.join(program)).unwrap();
    }
    let said = run_with(script(&[("PATH", empty.to_str().unwrap()), ("BACKUP_DIR", root)]), b"").ended(2);
    assert!(said.stderr.contains("neither a program kluis in PATH nor Docker Compose") && said.stderr.contains("hint: "), "{said:#?}");
}

#[test]
fn by_the_service_where_there_is_no_program() {
    let Some(()) = super::image() else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port().to_string();
    let stack = Stack::new("dev", &[("DB_PORT", &port)]);
    stack.up(&["db"]);
    stack.sql("aimtrack", "CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i");
    let backups = new_folder("backups");
    let file = env_file(&format!("DB_PASSWORD={PASSWORD}\nSIDECAR_IMAGE={IMAGE}\nDB_PORT={port}\n"));
    let dump = |dry_run: &str| {
        let mut command = script(&[("BACKUP_DIR", backups.to_str().unwrap()), ("BACKUP_DRY_RUN", dry_run), ("COMPOSE_PROJECT_NAME", &stack.project)]);
        // Compose is one of Docker's plugins, found at home.
        command.env("HOME", std::env::var_os("HOME").unwrap()).env("PATH", std::env::var_os("PATH").unwrap()).env("ENV_FILE", &file);
        run_with(command, b"").ended(0)
    };
    let said = dump("1");
    assert!(said.stdout.contains("db"), "{said:#?}");
    assert_eq!(std::fs::read_dir(&backups).unwrap().count(), 0);
    dump("");
    let repo = Repo { root: backups.clone(), target: "db".to_owned() };
    let history = repo.history();
    assert!(history.len() == 1 && history[0]["outcome"] == "done" && history[0]["proof"] == "proven" && history[0]["rows"] == 100, "{history:#?}");
    // They belong to who asked for them, unless that is root.
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(repo.newest()).unwrap());
    assert_eq!(owner, if is_root() { 999 } else { rustix::process::geteuid().as_raw() });
    assert_eq!(std::fs::metadata(repo.newest()).unwrap().permissions().mode() & 0o777, 0o700);
}

/// What an env file may hold, and what Compose makes of it.
const WRITTEN: &[&str] = &[
    "DB_PASSWORD=a b",
    "DB_PASSWORD = a",
    "DB_PASSWORD= a",
    "  DB_PASSWORD=a  ",
    "export DB_PASSWORD=a",
    "exportDB_PASSWORD=a",
    "DB_PASSWORD: a",
    "DB_PASSWORD\n",
    "DB_PASSWORD=",
    "DB_PASSWORD=  ",
    "DB_PASSWORD=\"\"",
    "DB_PASSWORD=a#b",
    "DB_PASSWORD=a #b",
    "DB_PASSWORD=a # b # c",
    "DB_PASSWORD=a\t#b",
    "DB_PASSWORD=#a",
    "DB_PASSWORD= #a",
    "DB_PASSWORD='a#$b'",
    "DB_PASSWORD='a\\'b' # c",
    "DB_PASSWORD='a\\\\b'",
    "DB_PASSWORD='a\\nb'",
    "DB_PASSWORD='ends\\'",
    "DB_PASSWORD='a'b",
    "DB_PASSWORD='it''s'",
    "DB_PASSWORD='a\nb'",
    "DB_PASSWORD=it's",
    "DB_PASSWORD=a\"b\"c",
    "DB_PASSWORD=\"a#b\" #c",
    "DB_PASSWORD=\"a\" b",
    "DB_PASSWORD=\"x\"  \nX=2",
    "DB_PASSWORD=\"a\\\"b\\n\\t\\\\c$$d\"",
    "DB_PASSWORD=\"a\\rb\\\"c\\$OTHER\"",
    "DB_PASSWORD=\"a\\\\$OTHER\"",
    "DB_PASSWORD=\"a\\\\\\\\b\\\\nc\\zd\"",
    "DB_PASSWORD=\"a\\'b\\`c\\ad\\be\\fg\\vh\"",
    "DB_PASSWORD=\"a\nb\"",
    "DB_PASSWORD=\"a\r\nb\"",
    "DB_PASSWORD=\"unterminated",
    "DB_PASSWORD=a\\tb\\",
    "DB_PASSWORD=a$$b$$$$c",
    "DB_PASSWORD=a$b",
    "DB_PASSWORD=\\$a",
    "DB_PASSWORD=a$",
    "DB_PASSWORD=a$ b$-c$1$(id)",
    "DB_PASSWORD=${a",
    "DB_PASSWORD=$OTHER",
    "DB_PASSWORD=\"${OTHER}x$$a\"",
    "DB_PASSWORD=${NONE:-d}${NONE-}",
    "DB_PASSWORD=\"${NONE:-x y}\"",
    "DB_PASSWORD=${OTHER:+yes}${NONE:+no}",
    "DB_PASSWORD=${NONE:-a${OTHER}b}",
    "DB_PASSWORD=${NONE:?must}",
    "E=\nDB_PASSWORD=${E:-d}${E-x}",
    "OTHER=f\nDB_PASSWORD=$OTHER",
    "X=1\nDB_PASSWORD=$X$X",
    "name=n\nDB_PASSWORD=$name$value$text",
    "DB_PASSWORD=1\nDB_PASSWORD=2",
    "DB_PASSWORD=a\r\nX=1\r\n",
    "DB_PASSWORD=a\n\n# c\nX=2",
    "\u{feff}DB_PASSWORD=\u{e9} \u{fc}",
    "DB-X=1\nDB_PASSWORD=a",
    "1X=a\nDB_PASSWORD=b",
    "=a\nDB_PASSWORD=b",
    "DB PASSWORD=a",
];

#[test]
fn an_env_file_means_to_the_script_what_it_means_to_compose() {
    if !super::engine::has_compose() {
        return;
    }
    let place = new_folder("env");
    let (compose, file, program) = (place.join("compose.yml"), place.join("env"), place.join("program"));
    std::fs::write(&compose, "name: x\nservices:\n  s:\n    image: x\n    environment:\n      V: \"${DB_PASSWORD-unset}\"\n").unwrap();
    std::fs::write(&program, "#!/bin/bash\nprintf '%s' \"${DB_PASSWORD-unset}\"\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (compose, file, program) = (compose.to_str().unwrap(), file.to_str().unwrap(), program.to_str().unwrap());
    for (written, password) in
        WRITTEN.iter().map(|written| (*written, None)).chain([("DB_PASSWORD=a", Some("")), ("DB_PASSWORD\nX=1", Some("of the environment"))])
    {
        std::fs::write(file, written).unwrap();
        let environment: Vec<(&str, &str)> = [("OTHER", "o")].into_iter().chain(password.map(|password| ("DB_PASSWORD", password))).collect();
        let mut theirs = limited(60, "docker", &["compose", "--env-file", file, "-f", compose, "config", "--format", "json"]);
        theirs.envs(environment.iter().copied());
        let theirs = run_with(theirs, b"");
        let mut ours = script(&[("ENV_FILE", file), ("KLUIS_BIN", program), ("BACKUP_DIR", place.to_str().unwrap())]);
        ours.envs(environment.iter().copied());
        let ours = run_with(ours, b"");
        if theirs.code == Some(0) {
            let told: serde_json::Value = serde_json::from_str(&theirs.stdout).unwrap();
            let expected = told["services"]["s"]["environment"]["V"].as_str().unwrap().replace("$$", "$");
            assert_eq!((ours.code, ours.stdout.as_str()), (Some(0), expected.as_str()), "{written:?}: {ours:#?}");
        } else {
            assert!(ours.code == Some(2) && ours.stderr.contains(", line 1: "), "{written:?}: Compose: {theirs:#?}; the script: {ours:#?}");
        }
    }
}
