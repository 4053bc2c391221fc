//! Where a case happens: a temporary folder, a clean environment, and the verbs that set things up:
//!
//! - `write FILE` (lines after `|`), `folder PATH`, `link PATH -> TARGET`, `remove PATH`, `mode PATH OCTAL`
//! - `fixture PATH [key=value…]`: a whole backup, see `fixture.rs`
//! - `edit FILE "OLD" "NEW"`, `flip FILE OFFSET`, `cut FILE BYTES`, `append FILE TEXT`, `squeeze FILE TEXT` (replaces it, compressed)
//! - `reseal PATH`: hashes and sizes of a backup made to fit its damaged files
//! - `lock PATH`, `unlock`: holds a target's lock as a run does
//! - `remember PATH`, `unchanged PATH`: fails unless the tree is byte for byte as it was
//! - `unprivileged`: later commands run as a user who is not root, or the case is skipped
//!
//! Beside `kluis` a case can run `tree PATH` and `cat FILE`, and `sha256sum`.

use super::case::{Found, Step};
use super::fixture;
use crate::support::schema;
use kluis::repository::TargetFolder;
use kluis::repository::lock::Lock;
use kluis::stop::Stop;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The user `nobody` of every Linux.
const NOBODY: u32 = 65534;

/// How to go on after a verb.
#[derive(PartialEq, Eq)]
pub enum Next {
    Go,
    Skip,
}

pub struct Stage {
    dir: tempfile::TempDir,
    environment: BTreeMap<String, String>,
    locks: Vec<Lock>,
    remembered: BTreeMap<String, Vec<String>>,
    unprivileged: bool,
}

type Done<T = ()> = Result<T, String>;

impl Stage {
    pub fn new() -> Done<Stage> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut environment = BTreeMap::new();
        // Nothing of this machine's own settings may decide a case.
        for (name, folder) in [("HOME", "home"), ("TMPDIR", "tmp")] {
            let path = dir.path().join(folder);
            fs::create_dir(&path).map_err(|error| error.to_string())?;
            environment.insert(name.to_owned(), path.to_string_lossy().into_owned());
        }
        environment.insert("PATH".to_owned(), "/usr/bin:/bin".to_owned());
        Ok(Stage { dir, environment, locks: Vec::new(), remembered: BTreeMap::new(), unprivileged: false })
    }

    pub fn why_skipped(&self) -> &'static str {
        "the test runs as root, to whom no folder is closed, and it cannot become another user here"
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn filled(&self, text: &str) -> String {
        text.replace("[DIR]", &self.dir.path().to_string_lossy())
    }

    /// Does what a step that is not a command says.
    pub fn set(&mut self, step: &Step) -> Done<Next> {
        match step {
            Step::Variable(variable) => {
                match variable.split_once('=') {
                    Some((name, value)) => self.environment.insert(name.to_owned(), self.filled(value)),
                    None => self.environment.remove(variable),
                };
            }
            Step::Set { line, content } => {
                let words = words(&self.filled(line))?;
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                return self.verb(&words, content).map_err(|why| format!("  + {line}: {why}\n"));
            }
            _ => {}
        }
        Ok(Next::Go)
    }

    fn verb(&mut self, words: &[&str], content: &[String]) -> Done<Next> {
        let text = |error: std::io::Error| error.to_string();
        match words {
            ["write", name] => {
                let lines: String = content.iter().map(|line| format!("{}\n", self.filled(line))).collect();
                fs::write(self.path(name), lines).map_err(text)?;
            }
            ["folder", name] => fs::create_dir_all(self.path(name)).map_err(text)?,
            ["link", name, "->", target] => symlink(target, self.path(name)).map_err(text)?,
            ["remove", name] if self.path(name).is_dir() => fs::remove_dir_all(self.path(name)).map_err(text)?,
            ["remove", name] => fs::remove_file(self.path(name)).map_err(text)?,
            ["mode", name, mode] => {
                let mode = u32::from_str_radix(mode, 8).map_err(|error| error.to_string())?;
                fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).map_err(text)?;
            }
            ["fixture", name, options @ ..] => fixture::make(&self.path(name), options).map_err(text)?,
            ["reseal", name] => fixture::reseal(&self.path(name)).map_err(text)?,
            ["squeeze", name, new] => fs::write(self.path(name), fixture::member(&format!("{new}\n"))).map_err(text)?,
            ["edit", name, old, new] => {
                let before = fs::read_to_string(self.path(name)).map_err(text)?;
                if !before.contains(old) {
                    return Err(format!("'{old}' does not stand in it:\n{before}"));
                }
                fs::write(self.path(name), before.replacen(old, new, 1)).map_err(text)?;
            }
            ["append", name, new] => {
                let mut bytes = fs::read(self.path(name)).map_err(text)?;
                bytes.extend_from_slice(format!("{new}\n").as_bytes());
                fs::write(self.path(name), bytes).map_err(text)?;
            }
            ["cut", name, length] => {
                let file = fs::File::options().write(true).open(self.path(name)).map_err(text)?;
                file.set_len(length.parse().map_err(|_| "not a length")?).map_err(text)?;
            }
            ["flip", name, offset] => {
                let file = fs::File::options().read(true).write(true).open(self.path(name)).map_err(text)?;
                let (offset, mut byte) = (offset.parse().map_err(|_| "not an offset")?, [0]);
                file.read_exact_at(&mut byte, offset).map_err(text)?;
                file.write_all_at(&[byte[0] ^ 1], offset).map_err(text)?;
            }
            ["lock", name] => {
                let folder = TargetFolder { name: String::new(), path: self.path(name) };
                self.locks.push(Lock::take(&folder, Duration::ZERO, &Stop::new()).map_err(|error| error.chain())?);
            }
            ["unlock"] => self.locks.clear(),
            ["remember", name] => {
                let state = state(&self.path(name)).map_err(text)?;
                self.remembered.insert((*name).to_owned(), state);
            }
            ["unchanged", name] => {
                let (old, new) = (self.remembered.get(*name).ok_or("was not remembered")?, state(&self.path(name)).map_err(text)?);
                if *old != new {
                    return Err(format!("it was\n{}\nand is\n{}", old.join("\n"), new.join("\n")));
                }
            }
            ["unprivileged"] => return self.become_nobody().map_err(text),
            _ => return Err("there is no such verb".to_owned()),
        }
        Ok(Next::Go)
    }

    fn become_nobody(&mut self) -> std::io::Result<Next> {
        if fs::metadata(self.dir.path())?.uid() != 0 {
            return Ok(Next::Go);
        }
        let mut folders = vec![self.dir.path().to_owned()];
        while let Some(path) = folders.pop() {
            chown(&path, Some(NOBODY), Some(NOBODY))?;
            if fs::symlink_metadata(&path)?.is_dir() {
                folders.extend(fs::read_dir(&path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?);
            }
        }
        self.unprivileged = true;
        let mut probe = Command::new(env!("CARGO_BIN_EXE_kluis"));
        let able = probe.arg("version").uid(NOBODY).gid(NOBODY).current_dir(self.dir.path()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        Ok(if able.is_ok_and(|status| status.success()) { Next::Go } else { Next::Skip })
    }

    /// Runs a command.
    pub fn run(&self, line: &str) -> Done<Found> {
        let words = words(&self.filled(line))?;
        let mut command = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["tree", name] => {
                return Ok(Found { exit: "0".to_owned(), stdout: names(&self.path(name)).map_err(|error| error.to_string())?, stderr: Vec::new() });
            }
            ["kluis", ..] => Command::new(env!("CARGO_BIN_EXE_kluis")),
            ["cat" | "sha256sum", ..] => Command::new(&words[0]),
            _ => return Err(format!("a case cannot run {line}")),
        };
        command.args(&words[1..]).env_clear().envs(&self.environment).current_dir(self.dir.path()).stdin(Stdio::null());
        if self.unprivileged {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output().map_err(|error| error.to_string())?;
        let lines = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).replace(&*self.dir.path().to_string_lossy(), "[DIR]");
            text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<String>>()
        };
        let definition = schema::definition_of(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let wrong = definition.map(|name| schema::judge(&name, &String::from_utf8_lossy(&output.stdout))).unwrap_or_default();
        if !wrong.is_empty() {
            return Err(format!("  $ {line}\n  docs/json.schema.json does not describe what it printed:\n    {}\n", wrong.join("\n    ")));
        }
        let exit = output.status.code().map_or_else(|| output.status.to_string(), |code| code.to_string());
        Ok(Found { exit, stdout: lines(&output.stdout), stderr: lines(&output.stderr) })
    }
}

/// Words as a shell would see them: quotes of both kinds, and `\n`, `\t`, `\e` between double ones.
fn words(line: &str) -> Done<Vec<String>> {
    let (mut words, mut word, mut open) = (Vec::new(), None::<String>, None);
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (c, open) {
            ('\'' | '"', None) => {
                open = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(quote)) if c == quote => open = None,
            ('\\', Some('"')) => word.get_or_insert_default().push(match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('e') => '\u{1b}',
                Some(other) => other,
                None => return Err("a backslash at the end".to_owned()),
            }),
            (' ', None) => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if open.is_some() { Err(format!("a quote is left open: {line}")) } else { Ok(words) }
}

/// Every path below `root`, sorted, folders with a slash and links with their target.
fn names(root: &Path) -> std::io::Result<Vec<String>> {
    let mut all = Vec::new();
    walk(root, &mut |path, metadata| {
        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        all.push(match metadata {
            metadata if metadata.is_dir() => format!("{name}/"),
            metadata if metadata.is_symlink() => format!("{name} -> {}", fs::read_link(path)?.display()),
            _ => name,
        });
        Ok(())
    })?;
    all.sort();
    Ok(all)
}

/// Every path with all that could change about it.
fn state(root: &Path) -> std::io::Result<Vec<String>> {
    let mut all = Vec::new();
    walk(root, &mut |path, metadata| {
        let content = if metadata.is_file() {
            kluis::repository::files::hash_file(path, |_| Ok(())).map_or_else(|error| error.chain(), |(_, hash)| hash)
        } else {
            String::new()
        };
        all.push(format!("{} {:o} {} {}.{} {content}", path.display(), metadata.mode(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()));
        Ok(())
    })?;
    all.sort();
    Ok(all)
}

fn walk(folder: &Path, each: &mut impl FnMut(&Path, &fs::Metadata) -> std::io::Result<()>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let metadata = fs::symlink_metadata(&path)?;
        each(&path, &metadata)?;
        if metadata.is_dir() {
            walk(&path, each)?;
        }
    }
    Ok(())
}
