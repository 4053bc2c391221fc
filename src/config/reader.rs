//! The first level of configuration: what was typed, where, and which of several wins.
//! It owns the order of precedence, the `_FILE` forms and what counts as "not set"; it leaves meanings to the parsers it is given.
//! Every value that was typed is parsed, also one that another overrides: a mistake shows before it matters.
//!
//! Highest first: flag · the target's table in `kluis.toml` · our variables · the top of `kluis.toml` · libpq's variables · default.

use std::io;
use std::path::{Path, PathBuf};

use super::file::{Document, Table};
use super::keys::{self, Key, Scope};
use super::problem::{Fault, Origin, Problem, Problems, is_connection_string, quoted, quoted_path};
use super::render::Setting;
use super::source::Source;
use super::{Flags, value};

/// How near to the user's hand a value was typed; the least wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Flag,
    Table,
    Environment,
    Top,
    Fallback,
}

/// A value as it was typed. Not `Debug`: it may be a secret.
#[derive(Clone)]
pub(super) struct Typed {
    pub text: String,
    pub origin: Origin,
    pub level: Level,
    /// It is the content of a file that the user named: perhaps the wrong one, with a secret in it.
    pub from_file: bool,
}

/// The value is wrong, and the problem is on the list already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bad;

/// A parsed value and how it was typed.
pub(super) type Found<T> = Result<Option<(T, Typed)>, Bad>;

/// Reads settings and collects what is to be said about them.
pub(super) struct Reader<'a> {
    pub source: &'a dyn Source,
    pub flags: &'a Flags,
    pub document: &'a Document,
    pub problems: Problems,
    pub warnings: Vec<String>,
    pub settings: Vec<Setting>,
    /// A URL that was typed for this connection alone: of what else is set, only libpq's variables count.
    pub url_flag: Option<(&'static str, &'a str)>,
}

impl<'a> Reader<'a> {
    pub fn new(source: &'a dyn Source, flags: &'a Flags, document: &'a Document, problems: Problems) -> Self {
        Reader { source, flags, document, problems, warnings: Vec::new(), settings: Vec::new(), url_flag: None }
    }

    /// The winning value of `key`; `Ok(None)` when it was not typed anywhere.
    pub fn get<T>(&mut self, key: &'static Key, table: Option<&Table>, parse: impl Fn(&Typed) -> Result<T, Fault>) -> Found<T> {
        let mut winner: Option<Found<T>> = None;
        for level in [Level::Flag, Level::Table, Level::Environment, Level::Top, Level::Fallback] {
            // A variable of libpq that something of ours overrides is not ours to judge.
            if level == Level::Fallback && winner.is_some() {
                break;
            }
            let found = match self.typed(key, table, level) {
                Ok(None) => continue,
                Err(Bad) => Err(Bad),
                Ok(Some(typed)) => match parse(&typed) {
                    Ok(parsed) => Ok(Some((parsed, typed))),
                    Err(mut fault) => {
                        // The errors of secret settings show no value anyway.
                        if typed.from_file && !key.secret {
                            fault.reason = "what the file holds (not shown) cannot be used".to_owned();
                        }
                        self.problems.add(&typed.origin, fault);
                        Err(Bad)
                    }
                },
            };
            winner.get_or_insert(found);
        }
        winner.unwrap_or(Ok(None))
    }

    /// What was typed for `key` at one level, `_FILE` forms resolved.
    fn typed(&mut self, key: &'static Key, table: Option<&Table>, level: Level) -> Result<Option<Typed>, Bad> {
        let (plain, named) = match level {
            Level::Flag => return self.flag(key),
            Level::Table => (in_table(table, key, false, level), in_table(table, key, true, level)),
            Level::Top => (in_table(Some(&self.document.top), key, false, level), in_table(Some(&self.document.top), key, true, level)),
            // With targets in the file, nobody could say which of them DB_HOST is for: `mod` reports it.
            Level::Environment if self.url_flag.is_some() => return Ok(None),
            Level::Environment if key.scope == Scope::Connection && !self.document.targets.is_empty() => return Ok(None),
            Level::Environment => match key.variable {
                Some(name) => self.variables(key, name, level)?,
                None => return Ok(None),
            },
            Level::Fallback => match key.fallback {
                Some(name) => self.variables(key, name, level)?,
                None => return Ok(None),
            },
        };
        self.settle(key, plain, named)
    }

    fn flag(&mut self, key: &'static Key) -> Result<Option<Typed>, Bad> {
        let (flag, url) = match (self.url_flag, key.flag) {
            (Some((flag, url)), _) if std::ptr::eq(key, &keys::URL) => (flag, Some(Some(url.to_owned()))),
            (_, Some(flag)) => (flag, None),
            _ => return Ok(None),
        };
        let flags = self.flags;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_str().map(str::to_owned));
        let given = match flag {
            "--config" => path(&flags.config_file),
            "--dir" => path(&flags.dir),
            "--target" => flags.target.clone().map(Some),
            "--jobs" => flags.jobs.clone().map(Some),
            "--compression" => flags.compression.clone().map(Some),
            _ => url,
        };
        let origin = Origin::Flag(flag);
        match given {
            None => Ok(None),
            // An empty flag was typed on purpose, or by a script with an unset variable: no default may stand in for it.
            Some(Some(text)) if text.trim().is_empty() => Err(self.wrong(&origin, Fault::new("the value is empty", format!("use {}", key.constraint)))),
            Some(Some(text)) => self.settle(key, Some(Typed { text, origin, level: Level::Flag, from_file: false }), None),
            Some(None) => Err(self.wrong(&origin, not_utf8())),
        }
    }

    fn variables(&mut self, key: &Key, name: &str, level: Level) -> Result<(Option<Typed>, Option<Typed>), Bad> {
        let plain = self.variable(name, level);
        let named = if key.file_form { self.variable(&format!("{name}_FILE"), level) } else { Ok(None) };
        Ok((plain?, named?))
    }

    fn variable(&mut self, name: &str, level: Level) -> Result<Option<Typed>, Bad> {
        let Some(text) = self.source.var(name) else { return Ok(None) };
        let origin = Origin::Environment(name.to_owned());
        match text.into_string() {
            Ok(text) => Ok(Some(Typed { text, origin, level, from_file: false })),
            Err(_) => Err(self.wrong(&origin, not_utf8())),
        }
    }

    /// One value out of the plain and the `_FILE` form.
    fn settle(&mut self, key: &Key, plain: Option<Typed>, named: Option<Typed>) -> Result<Option<Typed>, Bad> {
        let password = std::ptr::eq(key, &keys::PASSWORD);
        let filled = |typed: &Typed| if password { !typed.text.is_empty() } else { !typed.text.trim().is_empty() };
        let named = named.filter(|named| !named.text.trim().is_empty());
        let mut typed = match (plain, named) {
            (Some(plain), Some(named)) if filled(&plain) => {
                let reason = format!("'{}' is set as well", plain.origin.key());
                return Err(self.wrong(&named.origin, Fault::new(reason, "keep one of the two")));
            }
            (_, Some(named)) => self.contents(key, &named)?,
            // Compose hands on unset variables as empty ones. An empty password is an answer: there is none.
            (Some(plain), None) if filled(&plain) || password => plain,
            _ => return Ok(None),
        };
        if key.list {
            typed.text = typed.text.replace(['\n', '\r', '\t'], " ");
        }
        if typed.text.ends_with('\r') && !typed.text.contains('\n') {
            return Err(self.wrong(&typed.origin, Fault::new("the value ends in a carriage return", "save the file that it was typed in with Unix line ends")));
        }
        if typed.text.contains(['\n', '\r', '\0']) {
            let hint = if typed.origin.key().to_ascii_uppercase().ends_with("_FILE") && key.constraint.starts_with("the path") {
                format!("the file must hold the path itself; to name the file directly, set {}", key.name())
            } else {
                format!("use {}", key.constraint)
            };
            return Err(self.wrong(&typed.origin, Fault::new("the value has a line break or a NUL in it", hint)));
        }
        if !password {
            typed.text = typed.text.trim().to_owned();
            if typed.text.len() > 1 && ['"', '\''].iter().any(|quote| typed.text.starts_with(*quote) && typed.text.ends_with(*quote)) {
                return Err(self.wrong(
                    &typed.origin,
                    Fault::new("the value has quotes around it", "leave them out: docker's --env-file takes them as part of the value"),
                ));
            }
        }
        Ok(Some(typed))
    }

    /// What the file that `named` names holds, without its last line break.
    fn contents(&mut self, key: &Key, named: &Typed) -> Result<Typed, Bad> {
        let path = self.absolute(&named.text, &named.origin)?;
        let remedy = format!("name a readable file that holds {}, and nothing else", if key.secret { key.about } else { key.constraint });
        let bytes = match self.source.read_file(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let remedy = self.to_be_read(&path, &error).unwrap_or(remedy);
                let fault = Fault::new(format!("cannot read {}: {}", quoted_path(&named.text), value::io_reason(&error)), remedy);
                return Err(self.wrong(&named.origin, fault));
            }
        };
        let Ok(mut text) = String::from_utf8(bytes) else { return Err(self.wrong(&named.origin, not_utf8())) };
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        if text.trim().is_empty() {
            let fault = Fault::new(format!("the file {} is empty", quoted_path(&named.text)), remedy);
            return Err(self.wrong(&named.origin, fault));
        }
        Ok(Typed { text, origin: named.origin.clone(), level: named.level, from_file: true })
    }

    /// Who has to be able to read a file, where that is what lacks. Secrets in containers are files of the host, with the host's owners.
    fn to_be_read(&self, path: &Path, error: &io::Error) -> Option<String> {
        if error.kind() != io::ErrorKind::PermissionDenied {
            return None;
        }
        let (user, found) = (self.source.user(), self.source.stat(path).ok());
        let now = found.map_or_else(String::new, |stat| format!(" (it belongs to user {} and has mode {:04o})", stat.owner, stat.mode));
        Some(format!("let user {user}, as whom kluis runs, read it{now}: chown {user} the file, which for a container is that of the host"))
    }

    /// A path as it was typed, made absolute: from the file's folder if it stands in `kluis.toml`, else from the working directory.
    pub fn absolute(&mut self, text: &str, origin: &Origin) -> Result<PathBuf, Bad> {
        let fault = if is_connection_string(text) {
            Fault::new(format!("the value is {}", quoted(text)), "write a path")
        } else if text.starts_with('~') {
            Fault::new(format!("{} starts with '~', which only a shell understands", quoted_path(text)), "write the whole path")
        } else {
            let base = match origin {
                _ if text.starts_with('/') => Ok(PathBuf::new()),
                Origin::File { .. } => Ok(self.document.folder.clone()),
                _ => self.source.current_dir(),
            };
            match base {
                // Collecting the components drops `.` and doubled slashes, and follows no links.
                Ok(base) => return Ok(base.join(text).components().collect()),
                Err(error) => Fault::new(
                    format!("{} is relative, and the working directory is not known: {}", quoted_path(text), value::io_reason(&error)),
                    "write the whole path",
                ),
            }
        };
        Err(self.wrong(origin, fault))
    }

    /// A path that must be there.
    pub fn existing(&mut self, path: &Path, origin: &Origin, folder: bool) -> Result<(), Bad> {
        let kind = if folder { "folder" } else { "file" };
        let reason = match self.source.stat(path) {
            Ok(stat) if stat.folder == folder => return Ok(()),
            Ok(_) => format!("{} is not a {kind}", quoted_path(&path.to_string_lossy())),
            Err(error) => format!("cannot find the {kind} {}: {}", quoted_path(&path.to_string_lossy()), value::io_reason(&error)),
        };
        Err(self.wrong(origin, Fault::new(reason, format!("name a {kind} that kluis can read, mounted into its container"))))
    }

    /// Puts a problem on the list.
    pub fn wrong(&mut self, origin: &Origin, fault: Fault) -> Bad {
        self.problems.add(origin, fault);
        Bad
    }

    /// A problem with something that was *not* typed.
    pub fn missing(&mut self, key: String, origin: Origin, reason: &str, hint: String) -> Bad {
        self.problems.push(Problem { key, origin, reason: reason.to_owned(), hint });
        Bad
    }

    /// Notes a resolved value for `kluis config`.
    pub fn note(&mut self, target: Option<&str>, key: &'static Key, value: impl Into<String>, origin: &Origin) {
        let mut value = value.into();
        if key.secret && !value.is_empty() {
            value = "***".to_owned();
        }
        self.settings.push(Setting { target: target.map(str::to_owned), key: key.name(), value, origin: origin.clone() });
    }
}

fn in_table(table: Option<&Table>, key: &'static Key, file_form: bool, level: Level) -> Option<Typed> {
    let entry = table?.entries.iter().find(|entry| std::ptr::eq(entry.key, key) && entry.file_form == file_form)?;
    Some(Typed { text: entry.text.clone(), origin: entry.origin.clone(), level, from_file: false })
}

fn not_utf8() -> Fault {
    Fault::new("the value is not valid UTF-8", "use plain text")
}
