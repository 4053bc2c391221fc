//! The Compose files, `.env.example`, the Dockerfile and the shell scripts as texts: valid, clean, and in step with each other and the program.

use super::engine::{has_compose, limited, run_with};
use crate::support::{new_folder, skip};
use kluis::config::keys::{self, Scope};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const KINDS: [&str; 3] = ["staging", "production", "dev"];
const SCRIPTS: [&str; 3] = ["scripts", ".ci", "tests/containers"];

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn compose_file(kind: &str) -> String {
    read(&format!("docker/compose.{kind}.yml"))
}

/// The variables that a text takes from the env file, with their defaults; `None` where one must be set.
fn taken(text: &str) -> BTreeMap<String, Option<String>> {
    let mut found = BTreeMap::new();
    for (at, _) in text.match_indices("${") {
        let inner = &text[at + 2..at + text[at..].find('}').expect("a variable has an end")];
        let (name, default) = match (inner.split_once(":-"), inner.split_once(":?")) {
            (Some((name, default)), _) => (name, Some(default.to_owned())),
            (None, Some((name, _))) => (name, None),
            _ => panic!("${{{inner}}} has neither a default nor a message"),
        };
        let before = found.insert(name.to_owned(), default.clone());
        assert!(before.is_none() || before == Some(default), "{name} has two defaults");
    }
    found
}

/// The variables of `.env.example`: name, value, and whether it is only a comment.
fn offered() -> BTreeMap<String, (String, bool)> {
    let text = read(".env.example");
    let lines = text.lines().map(|line| (line.strip_prefix('#').unwrap_or(line), line.starts_with('#')));
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let pairs = lines.filter_map(|(line, comment)| line.split_once('=').filter(|(name, _)| is_name(name)).map(|(name, value)| (name, value, comment)));
    pairs.map(|(name, value, comment)| (name.to_owned(), (value.to_owned(), comment))).collect()
}

/// The environment of the service `backup`.
fn environment(kind: &str) -> Vec<String> {
    let text = compose_file(kind);
    let service = text.split("\n  backup:\n").nth(1).expect("there is a service 'backup'");
    let lines = service.split("    environment:\n").nth(1).unwrap().lines().take_while(|line| line.starts_with("      "));
    lines
        .filter_map(|line| line.trim().split_once(": ").map(|(name, _)| name.trim_start_matches("#secret ").to_owned()))
        .filter(|name| !name.starts_with('#'))
        .collect()
}

#[test]
fn each_compose_file_is_valid_and_an_unset_password_stops_it() {
    if !has_compose() {
        return;
    }
    let env_file = new_folder("env").join("env");
    for kind in KINDS {
        let path = format!("docker/compose.{kind}.yml");
        let compose = |password: &str, arguments: &[&str]| {
            std::fs::write(&env_file, format!("{}\nDB_PASSWORD={password}\n", read(".env.example"))).unwrap();
            let fixed = ["compose", "--env-file", env_file.to_str().unwrap(), "--file", &path, "--profile", "*"];
            run_with(limited(60, "docker", &[&fixed[..], arguments].concat()), b"")
        };
        let services = compose("placeholder", &["config", "--services"]).done();
        assert!(["db", "backup"].iter().all(|name| services.lines().any(|line| line == *name)), "{services}");
        let resolved = compose("placeholder", &["config"]).ended(0);
        assert!(resolved.stderr.is_empty() && !resolved.stdout.contains("#secret"), "{resolved:#?}");
        for arguments in [&["up", "--detach"][..], &["run", "--rm", "backup", "--dry-run"]] {
            let refused = compose("", arguments);
            assert!(!matches!(refused.code, Some(0) | None), "{refused:#?}");
            assert!(refused.stderr.contains("required variable DB_PASSWORD is missing a value: set DB_PASSWORD in .env"), "{refused:#?}");
        }
    }
}

#[test]
fn staging_and_production_differ_only_in_names_and_how_long_backups_are_kept() {
    let (staging, production) = (compose_file("staging"), compose_file("production").replace("production", "staging"));
    let different: Vec<(&str, &str)> = staging.lines().zip(production.lines()).filter(|(one, other)| one != other).collect();
    assert_eq!(staging.lines().count(), production.lines().count());
    for (one, other) in different {
        let name = one.trim().split(':').next().unwrap();
        assert!(name.starts_with("BACKUP_KEEP_") || name == "BACKUP_RETENTION_DAYS", "{one} | {other}");
    }
}

#[test]
fn what_the_stacks_pass_on_the_program_knows() {
    for kind in KINDS {
        for name in environment(kind) {
            let plain = name.strip_suffix("_FILE").unwrap_or(&name);
            assert!(keys::find(plain).is_some(), "{kind}: '{name}' is no setting, and kluis would refuse it");
        }
    }
    // Not offered: the image's own places, what needs a file in the container, and another database than the stack's.
    let others = ["KLUIS_CONFIG", "BACKUP_DIR", "BACKUP_SCRATCH_DIR", "BACKUP_PG_BIN", "BACKUP_ASSERTIONS", "BACKUP_LOCK_TIMEOUT"];
    let passed = environment("staging");
    for key in keys::ALL.iter().filter(|key| key.scope != Scope::Connection && !others.contains(&key.name())) {
        assert!(passed.iter().any(|name| name == key.name()), "'{}' is passed to no sidecar", key.name());
    }
    // An empty value counts as not set, so a default that is the program's own must be the same.
    let defaults = taken(&compose_file("staging"));
    for name in [
        "BACKUP_SCHEDULE",
        "BACKUP_KEEP_MIN",
        "BACKUP_MAX_AGE",
        "BACKUP_DRILL",
        "BACKUP_ALLOW_EMPTY",
        "BACKUP_COMPRESSION",
        "BACKUP_LOCK_WAIT",
        "BACKUP_STALL_TIMEOUT",
        "BACKUP_DEADLINE",
        "BACKUP_LOG_FORMAT",
    ] {
        assert_eq!(defaults[name].as_deref(), Some(keys::find(name).unwrap().default), "{name}");
    }
}

#[test]
fn the_example_of_an_env_file_has_every_variable_and_no_other() {
    let offered = offered();
    let mut used = BTreeMap::new();
    for kind in ["dev", "production", "staging"] {
        // The last one's defaults are those that the example shows. The image's name follows the major.
        used.extend(taken(&compose_file(kind).replace("kluis:pg${PG_MAJOR:-16}", "kluis:pg16")));
    }
    for (name, default) in &used {
        let (value, comment) = offered.get(name).unwrap_or_else(|| panic!("{name} is not in .env.example"));
        if let Some(default) = default
            && *comment
        {
            assert_eq!(value, default, "{name}");
        }
    }
    for (name, (value, comment)) in &offered {
        assert!(used.contains_key(name) || name == "COMPOSE_PROJECT_NAME", "{name} of .env.example has no effect");
        // What is not a comment is what has to be filled in; the password is empty, so that nothing starts with a known one.
        assert_eq!(!comment, ["DB_DATABASE", "DB_USERNAME", "DB_PASSWORD"].contains(&name.as_str()), "{name}");
        assert!(name != "DB_PASSWORD" || value.is_empty());
    }
    // The Compose files' folder is where Compose looks for it by itself, and the team keeps it in the root.
    assert_eq!(std::fs::read_link(Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/.env")).unwrap(), Path::new("../.env"));
    let production = taken(&compose_file("production"));
    for name in ["BACKUP_RETENTION_DAYS", "BACKUP_KEEP_DAILY", "BACKUP_KEEP_WEEKLY", "BACKUP_KEEP_MONTHLY"] {
        let said = read(".env.example").split(&format!("#{name}=")).next().unwrap().lines().last().unwrap().to_owned();
        assert!(said.contains(&format!("(production: {})", production[name].as_ref().unwrap())), "{name}: {said}");
    }
}

/// A linter, in PATH or where `scripts/fetch-lints` puts it.
fn linter(name: &str) -> Option<PathBuf> {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/lint/bin").join(name);
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::iter::once(fetched).chain(std::env::split_paths(&paths).map(|folder| folder.join(name))).find(|path| path.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed"), "scripts/fetch-lints");
    }
    found
}

#[test]
fn shellcheck_finds_nothing() {
    let Some(shellcheck) = linter("shellcheck") else { return };
    let mut scripts: Vec<String> = Vec::new();
    for folder in SCRIPTS {
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap().flatten() {
            let text = std::fs::read(entry.path()).unwrap_or_default();
            let first = String::from_utf8_lossy(text.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
            if first.starts_with("#!") && first.ends_with("sh") {
                scripts.push(entry.path().to_string_lossy().into_owned());
            }
        }
    }
    assert!(scripts.len() > 7, "{scripts:?}");
    let mut arguments = vec!["--external-sources", "--color=never"];
    arguments.extend(scripts.iter().map(String::as_str));
    let said = run_with(limited(120, shellcheck.to_str().unwrap(), &arguments), b"");
    assert!(said.code == Some(0), "{}{}", said.stdout, said.stderr);
}

#[test]
fn hadolint_finds_nothing() {
    let Some(hadolint) = linter("hadolint") else { return };
    let files = ["Dockerfile", "tests/containers/postgres.Dockerfile", "tests/containers/rust.Dockerfile"];
    let said = run_with(limited(120, hadolint.to_str().unwrap(), &[&["--no-color"], &files[..]].concat()), b"");
    assert!(said.code == Some(0) && said.stdout.is_empty(), "{}{}", said.stdout, said.stderr);
}
