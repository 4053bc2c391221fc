//! Judges of a backup that share no code with the drill: PostgreSQL's own dump and restore, catalogue queries in plain SQL files, rows through COPY and
//! sha256sum. They own the judgement; they leave the database to whoever made it.
//! Invariant: everything here is done by PostgreSQL's own programs, gunzip, sha256sum and the real binary.

pub mod damages;
pub mod stock;

use crate::support::cluster::Database;
use crate::support::kluis::Kluis;
use crate::support::repo::Repo;
use std::path::PathBuf;
use std::time::Duration;
pub use stock::drop_database;
use stock::{Answer, Place};

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Which class it belongs to, in words that hold no names: a history is shrunk as long as this stays.
    pub class: String,
    /// What it is.
    pub text: String,
}

/// What the judges say.
#[derive(Debug, Default)]
pub struct Judged {
    /// `proven`, `proven, except`, `bad`, `cannot-judge` or nothing where there is no backup.
    pub verdict: String,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is worth counting.
    pub counts: Vec<String>,
    /// Why it is bad, where the judges agree.
    pub agreed: Option<String>,
}

impl Judged {
    fn wrong(&mut self, class: impl Into<String>, text: impl Into<String>) {
        self.problems.push(Problem { class: class.into(), text: text.into() });
    }
}

/// What to leave out where the restores of two ways may differ by nature.
#[derive(Debug, Clone, Copy, Default)]
pub struct Leniency {
    /// Rows of extensions' own tables and of materialized views may differ: they are made anew from what the moment gives.
    pub volatile: bool,
    /// Only the verdict is judged: what needs our own restores is left out.
    pub verdict_only: bool,
    /// `kluis compare` is not asked about the source itself.
    pub skip_source: bool,
}

/// Backs this database up into `repo`, has it proven, restores it in three ways, and compares.
pub fn judge(database: &Database, repo: &Repo, leniency: Leniency) -> Judged {
    let mut judged = Judged::default();
    let ended = kluis(&["backup", "--jobs", "2"]).of(database).keeping(repo).run();
    if !matches!(ended.code, Some(0 | 3)) || repo.backups().is_empty() {
        judged.wrong(format!("no backup: {}", plain(first_error(&ended.stderr))), format!("exit {:?}: {}", ended.code, ended.stderr));
        return judged;
    }
    // By itself and not as the run's last stage: there the throwaway server gives way to everything else, and a busy machine never comes to it.
    let ended = kluis(&["drill", "--nice", "0"]).of(database).keeping(repo).run();
    let backup = repo.newest();
    let id = backup.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let proof: serde_json::Value = std::fs::read(backup.join("proof.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let list = |name: &str| -> Vec<String> { proof[name].as_array().map(|all| all.iter().map(word).collect()).unwrap_or_default() };
    let (findings, exceptions) = (list("findings"), list("exceptions"));
    judged.verdict = match proof["verdict"].as_str() {
        Some("good") if proof["rung"] == "restored" && exceptions.is_empty() => "proven".to_owned(),
        Some("good") if proof["rung"] == "restored" => "proven, except".to_owned(),
        Some(other) => other.to_owned(),
        None => "none".to_owned(),
    };
    for exception in proof["exceptions"].as_array().into_iter().flatten() {
        judged.counts.push(format!("excepted: {}", exception["class"].as_str().unwrap_or_default()));
    }

    // PostgreSQL's own way.
    let [stock, ours, script] = ["stock", "ours", "script"].map(|name| Place::new(database, name));
    let archive = repo.root.join("stock.dump");
    let like_source = stock::has_public(database);
    let dumped = stock::dump(database, &archive);
    let restored = dumped.clone().and_then(|()| stock.restored_by_stock(&archive, like_source));
    let stock_works = restored.is_ok();
    if let Err(why) = &restored {
        judged.counts.push(format!("PostgreSQL's own restore fails: {}", plain(why.lines().find(|line| line.contains("error:")).unwrap_or(why))));
        if judged.verdict.starts_with("proven") {
            judged.wrong(format!("proven, though PostgreSQL's own restore fails: {}", plain(first_error(why))), why.clone());
        }
    }
    // What PostgreSQL's own restore does not bring back is rightly called bad.
    let lost = if judged.verdict == "bad" && stock_works { difference(&stock::catalogue(database), &stock::catalogue(&stock.database)) } else { None };
    match judged.verdict.as_str() {
        "bad" if stock_works && lost.is_some() => {
            let lost = lost.as_deref().unwrap_or_default();
            judged.counts.push(format!("bad, and PostgreSQL's own restore loses: {}", kind(lost)));
            judged.agreed = Some(format!("{}\n{lost}", findings.join("\n")));
        }
        "bad" if !stock_works => judged.agreed = Some(format!("{}\n{}", findings.join("\n"), restored.err().unwrap_or_default())),
        "bad" if stock_works => judged.wrong(format!("bad: {}", plain(findings.first().map_or("", String::as_str))), findings.join("\n")),
        "cannot-judge" => judged.wrong(format!("cannot judge: {}", plain(findings.first().map_or("", String::as_str))), findings.join("\n")),
        // A machine that is too busy to start a server within its limit says nothing of the backup.
        "none" if ended.stderr.contains("was not ready within") => judged.counts.push("not judged: no throwaway server in time".to_owned()),
        "none" => judged.wrong(format!("no verdict: {}", plain(first_error(&ended.stderr))), ended.stderr.clone()),
        _ => {}
    }

    if leniency.verdict_only {
        return judged;
    }

    // Ours.
    let url = ours.database.url();
    // A foreign table without a handler among a table's children cannot be analyzed, which is told, and no matter of what comes back.
    let ended = kluis(&["restore", &id, "--create", "--force", "--analyze=no", "--to", &url]).keeping(repo).into(&database.cluster).run();
    let ours_works = ended.code == Some(0);
    if !ours_works && (stock_works || ended.code == Some(3)) {
        let first = ended.stderr.lines().find(|line| line.starts_with("error:") || line.starts_with("warning:")).unwrap_or_default().to_owned();
        judged.wrong(format!("restore ends with {:?}: {}", ended.code, plain(&first)), ended.stderr.clone());
    }
    script.create(like_source);
    let fed = script.restored_by_psql(&backup);
    if let (Err(why), true) = (&fed, stock_works) {
        judged.wrong(format!("psql fails on the script: {}", plain(first_error(why))), why.clone());
    }
    for (name, of) in [("the source", database), ("our restore", &ours.database)] {
        // The source is compared row by row below, so that asking it now and then is enough.
        if if name == "our restore" { !ours_works } else { leniency.skip_source } {
            continue;
        }
        let ended = kluis(&["compare", &id]).of(of).keeping(repo).run();
        if ended.code != Some(0) {
            judged.wrong(format!("compare with {name} ends with {:?}", ended.code), format!("{}{}", ended.stdout, ended.stderr));
        }
    }

    // All of it beside each other.
    if ours_works {
        let (source, ours) = (stock::ask(database, "database.sql"), stock::ask(&ours.database, "database.sql"));
        if let Some(difference) = difference(&source, &ours) {
            judged.wrong("the database's own properties differ", difference);
        }
    }
    stock::forget_settings(&ours.database, ours_works);
    let (source, truth) = (Answer::of_source(database, repo), stock_works.then(|| Answer::of(&stock.database, repo)));
    let mut failed: Vec<String> = source.failed.iter().chain(truth.iter().flat_map(|truth| &truth.failed)).cloned().collect();
    for (name, place, works) in [("our restore", &ours, ours_works), ("the script by psql", &script, fed.is_ok())] {
        if !works {
            continue;
        }
        let answer = Answer::of(&place.database, repo);
        failed.extend(answer.failed.iter().cloned());
        if let Some(truth) = &truth {
            match (difference(&truth.dump, &answer.dump), same_in_another_order(&truth.dump, &answer.dump)) {
                (None, _) => {}
                (Some(_), true) => judged.counts.push("dumps that say the same in another order".to_owned()),
                (Some(difference), false) => judged.wrong(format!("pg_dump of {name} differs from that of PostgreSQL's own"), difference),
            }
            if let Some(difference) = difference(&truth.catalogue, &answer.catalogue) {
                judged.wrong(format!("the catalogue of {name} differs from that of PostgreSQL's own: {}", kind(&difference)), difference);
            }
            for (part, what) in ["rows", "rows of materialized views"].into_iter().enumerate() {
                if truth.hash[part] != answer.hash[part] && !leniency.volatile {
                    judged.wrong(format!("{what} of {name} differ from those of PostgreSQL's own"), Answer::rows_difference(truth, &answer, part));
                }
            }
        }
        if name == "our restore" && judged.verdict == "proven" {
            if let Some(difference) = difference(&source.catalogue, &answer.catalogue) {
                judged.wrong(format!("proven, but the catalogue is another: {}", kind(&difference)), difference);
            }
            if source.hash[0] != answer.hash[0] && !leniency.volatile {
                judged.wrong("proven, but the rows are others", Answer::rows_difference(&source, &answer, 0));
            }
        }
        if name == "our restore"
            && judged.verdict == "proven, except"
            && difference(&source.catalogue, &answer.catalogue).is_none()
            && source.hash[0] == answer.hash[0]
        {
            judged.wrong(format!("an exception that nothing agrees with: {}", proof["exceptions"][0]["class"]), exceptions.join("\n"));
        }
    }
    if let Some(first) = failed.first() {
        judged.wrong(plain(first), failed.join("\n"));
    }
    judged
}

/// `kluis` with these arguments, and much time: a campaign gives way to everybody.
fn kluis(arguments: &[&str]) -> Kluis {
    crate::support::kluis::kluis(arguments).lasting(Duration::from_secs(1800))
}

fn word(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| format!("{} {}", value["class"].as_str().unwrap_or_default(), value["object"].as_str().unwrap_or_default()), str::to_owned)
}

fn first_error(text: &str) -> &str {
    text.lines().find(|line| line.contains("ERROR:") || line.contains("error:")).unwrap_or(text.lines().next().unwrap_or_default())
}

/// The kind of object that the first line of a difference is about.
fn kind(difference: &str) -> String {
    let line = difference.lines().find(|line| line.starts_with("- (") || line.starts_with("+ (")).unwrap_or_default();
    let rest = line.get(3..).unwrap_or_default();
    rest.trim_start_matches('"').split([',', '"']).next().unwrap_or_default().to_owned()
}

/// A message without what is particular to one database: quoted names, qualified names, numbers.
fn plain(message: &str) -> String {
    let mut plain = String::new();
    let (mut quoted, mut previous) = (None, ' ');
    for character in message.chars().take(400) {
        match quoted {
            Some(end) if character == end => quoted = None,
            Some(_) => {}
            None if character == '"' || (character == '\'' && !previous.is_alphanumeric()) => {
                quoted = Some(character);
                plain.push('…');
            }
            None if character.is_ascii_digit() => {}
            None => plain.push(character),
        }
        previous = character;
    }
    let words: Vec<&str> = plain.split_whitespace().map(|word| if word.contains('.') && word.len() > 1 && !word.ends_with('.') { "…" } else { word }).collect();
    words.join(" ").chars().take(110).collect()
}

/// The lines that only one of two texts has; nothing where they are the same.
pub fn difference(left: &str, right: &str) -> Option<String> {
    if left == right {
        return None;
    }
    let count = |text: &str| {
        let mut lines = std::collections::BTreeMap::<String, i64>::new();
        text.lines().for_each(|line| *lines.entry(line.to_owned()).or_default() += 1);
        lines
    };
    let (mut lines, right) = (count(left), count(right));
    right.into_iter().for_each(|(line, times)| *lines.entry(line).or_default() -= times);
    let cut = |line: &str| line.chars().take(400).collect::<String>();
    let found: Vec<String> =
        lines.iter().filter(|(_, times)| **times != 0).map(|(line, times)| format!("{} {}", if *times > 0 { '-' } else { '+' }, cut(line))).take(12).collect();
    Some(if found.is_empty() { "the same lines in another order".to_owned() } else { found.join("\n") })
}

/// Whether two dumps consist of the same paragraphs.
fn same_in_another_order(left: &str, right: &str) -> bool {
    let sorted = |text: &str| {
        let mut parts: Vec<String> = text.split("\n\n").map(str::to_owned).collect();
        parts.sort();
        parts
    };
    sorted(left) == sorted(right)
}

/// The folder of the SQL files.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/campaign/judges")
}
