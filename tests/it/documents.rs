//! Documents and program in step: every setting stands in both guides with its default, every exit code is explained, links lead somewhere.

use crate::support::schema::{definition_of, documents as definitions, judge};
use kluis::Kind;
use kluis::config::keys::{self, Key};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const GUIDES: [&str; 2] = ["docs/OPERATIONS.md", "docs/AimTrack/tech/backups.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The cells of the rows of all tables in a document.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| "));
    lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// What is wrong with the table of variables in a document.
fn variables(text: &str, keys: &[&Key]) -> Vec<String> {
    let (rows, mut wrong) = (rows(text), Vec::new());
    for key in keys {
        let name = format!("`{}`", key.name());
        match rows.iter().find(|row| row.len() >= 4 && row[0] == name) {
            None => wrong.push(format!("{name} has no row")),
            Some(row) => {
                let (found, default) = (row[1].replace('`', ""), key.default.replace('`', ""));
                if found != if default.is_empty() { "—" } else { &default } {
                    wrong.push(format!("{name} has the default '{}' and not '{found}'", key.default));
                }
            }
        }
    }
    // Names that nobody knows, wherever they stand; those of other programs and of the developers' script do not begin like ours.
    let word = |c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    for name in text.split(word).filter(|word| word.starts_with("BACKUP_") || word.starts_with("KLUIS_")).collect::<BTreeSet<_>>() {
        let known = keys.iter().any(|key| name == key.name() || name.strip_suffix("_FILE") == Some(key.name()));
        // Parts of a list such as `BACKUP_KEEP_*`, and what only the developers' script knows.
        let part = keys.iter().any(|key| key.name().starts_with(name) && name.ends_with('_'));
        if !(known || part || ["BACKUP_PREFIX", "BACKUP_DRY_RUN"].contains(&name)) {
            wrong.push(format!("there is no setting {name}"));
        }
    }
    wrong
}

#[test]
fn both_guides_have_every_setting_with_its_default() {
    for guide in GUIDES {
        let wrong = variables(&read(guide), keys::ALL);
        assert!(wrong.is_empty(), "{guide}:\n{}", wrong.join("\n"));
    }
}

#[test]
fn the_check_finds_what_is_wrong() {
    let dir = keys::find("BACKUP_DIR").unwrap();
    let check = |text: &str| variables(text, &[dir]);
    assert_eq!(check("| `BACKUP_DIR` | `/backups` | x | y |"), [] as [String; 0]);
    assert_eq!(check("| `BACKUP_DIR` | `/backup` | x | y |").len(), 1);
    assert_eq!(check("BACKUP_DIR is /backups").len(), 1);
    assert_eq!(check("| `BACKUP_DIR` | `/backups` | x | y |\nBACKUP_DIRS and BACKUP_DIR_FILE").len(), 1);
}

#[test]
fn both_guides_explain_every_exit_code() {
    use Kind::*;
    let codes = [0, 3].into_iter().chain([Failed, Usage, Stale, Unreachable, Locked, Key, Verification, Storage, TimedOut, Interrupted].map(Kind::exit_code));
    for guide in GUIDES {
        let text = read(guide);
        let rows = rows(&text);
        for code in codes.clone() {
            let row = rows.iter().find(|row| row[0].trim_matches('`') == code.to_string());
            assert!(
                row.is_some_and(|row| row.len() >= 3 && row.iter().all(|cell| !cell.is_empty())),
                "{guide} does not say what exit code {code} means and what to do"
            );
        }
    }
}

fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut files = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    documents(&root().join("docs"), &mut files);
    let mut wrong = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            if link.contains("://") || path.is_empty() && anchor.is_empty() {
                continue;
            }
            let target = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            match std::fs::read_to_string(&target) {
                Err(_) if target.is_dir() => {}
                // A picture.
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData && anchor.is_empty() => {}
                Err(error) => wrong.push(format!("{}: '{link}': {error}", file.display())),
                Ok(text) if !anchor.is_empty() => {
                    let slug = |heading: &str| {
                        let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
                        kept.trim().replace(' ', "-")
                    };
                    if !text.lines().filter(|line| line.starts_with('#')).any(|line| slug(line.trim_start_matches('#')) == anchor) {
                        wrong.push(format!("{}: there is no heading '#{anchor}'", file.display()));
                    }
                }
                Ok(_) => {}
            }
        }
    }
    assert!(files.len() >= 8 && wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_judge_finds_what_is_wrong() {
    let good = serde_json::json!({"version": 1, "target": "a", "id": "b", "pinned": {"at": "2026-01-25T03:00:00Z", "reason": null}, "changed": true});
    assert_eq!(judge("pin", &good.to_string()), [] as [String; 0]);
    for (path, value) in [
        ("version", serde_json::json!(2)),
        ("id", 7.into()),
        ("more", true.into()),
        ("changed", serde_json::Value::Null),
        ("pinned", serde_json::json!({"at": "noon", "reason": 1})),
    ] {
        let mut bad = good.clone();
        bad[path] = value;
        assert!(!judge("pin", &bad.to_string()).is_empty(), "{bad}");
    }
    assert_eq!(judge("pin", "{}").len(), 5);
    assert_eq!(judge("pin", "{").len(), 1);
    assert_eq!(definition_of(&["--json", "backup", "--dry-run"]).as_deref(), Some("backup-dry-run"));
    assert_eq!(definition_of(&["list"]), None);
}

#[test]
fn every_command_that_prints_json_is_described() {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_kluis")).arg("--help").env_clear().output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description that is too long goes on below, further in.
    let lines = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let commands: Vec<&str> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    let known = definitions();
    // A service, and what prints texts for other programs.
    let none = ["serve", "completions", "man", "help"];
    for command in &commands {
        let described = definition_of(&[command, "--json"]).is_some_and(|name| known.contains(&name));
        assert_eq!(described, !none.contains(command), "{command}");
    }
    assert!(commands.len() > 18, "{commands:?}");
}
