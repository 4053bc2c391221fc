//! `kluis.toml`: where it is, and what was typed in it, with lines.
//! It owns the file's shape (tables, known keys, types, who may read it); it leaves the meaning of values to the parsers.
//! A file that is there but cannot be read is an error: settings are never skipped in silence.

use std::io;
use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use super::keys::{self, Key, Scope};
use super::problem::{Fault, Origin, Problems, escaped, is_connection_string, quoted};
use super::source::Source;
use super::{Flags, suggest, value};
use crate::postgres::url::Partial;

/// The file that is read when none is named. `./kluis.toml` is not: it could name programs for root to run in whatever folder root stands.
pub const DEFAULT_FILE: &str = "/etc/kluis/kluis.toml";

/// One `key = value`.
pub(super) struct Entry {
    pub key: &'static Key,
    pub file_form: bool,
    pub text: String,
    pub origin: Origin,
}

/// The settings of one table.
#[derive(Default)]
pub(super) struct Table {
    pub entries: Vec<Entry>,
}

/// A `[targets.NAME]` table.
pub(super) struct TargetTable {
    pub name: String,
    pub origin: Origin,
    pub table: Table,
}

/// The file; empty when there is none.
#[derive(Default)]
pub(super) struct Document {
    pub path: PathBuf,
    /// What relative paths in the file start from.
    pub folder: PathBuf,
    pub top: Table,
    pub targets: Vec<TargetTable>,
    /// Where it was named; the default where it was not.
    pub named: Option<Origin>,
    /// It is there.
    pub found: bool,
    /// It could not be read or parsed: what seems to be missing may well stand in it.
    pub broken: bool,
    mode: u32,
}

/// Finds and reads the file.
pub(super) fn open(flags: &Flags, source: &dyn Source, problems: &mut Problems) -> Document {
    let (named, origin) = match (&flags.config_file, source.var("KLUIS_CONFIG")) {
        (Some(path), _) => (Some(path.clone()), Origin::Flag("--config")),
        (None, Some(path)) if !path.is_empty() => (Some(PathBuf::from(path)), Origin::Environment("KLUIS_CONFIG".into())),
        _ => (None, Origin::Default),
    };
    let chosen = named.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    if is_connection_string(&chosen.to_string_lossy()) {
        problems.add(&origin, Fault::new("the value is a connection string (not shown)", "write the path of a TOML file"));
        return Document { broken: true, ..Document::default() };
    }
    // Without a working directory, a relative name is tried as it is: the system knows it even where we cannot.
    let path: PathBuf = source.current_dir().unwrap_or_default().join(&chosen).components().collect();
    let mut document =
        Document { folder: path.parent().unwrap_or(&path).to_owned(), path, named: named.as_ref().map(|_| origin.clone()), ..Document::default() };
    let read = source.stat(&document.path).and_then(|stat| Ok((stat.mode, source.read_file(&document.path)?)));
    let bytes = match read {
        Ok((mode, bytes)) => {
            document.mode = mode;
            document.found = true;
            bytes
        }
        Err(error) if named.is_none() && matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return document,
        Err(error) => {
            document.broken = true;
            let fault = Fault::new(
                format!("cannot read {}: {}", quoted(&document.path.to_string_lossy()), value::io_reason(&error)),
                "name a TOML file that the user kluis runs as can read",
            );
            let origin = if named.is_none() { document.place("kluis.toml", 1) } else { origin };
            problems.add(&origin, fault);
            return document;
        }
    };
    if document.mode & 0o002 != 0 {
        let fault = Fault::new(format!("the file has mode {:04o}: everyone can write it, and it names programs to run", document.mode), "chmod o-w the file");
        problems.add(&document.place(document.name(), 1), fault);
    }
    document.parse(&bytes, problems);
    document
}

impl Document {
    fn place(&self, key: impl Into<String>, line: usize) -> Origin {
        Origin::File { key: key.into(), path: self.path.clone(), line }
    }

    /// The file's own name, for problems with the whole of it.
    fn name(&self) -> String {
        escaped(&self.path.file_name().unwrap_or_default().to_string_lossy())
    }

    fn parse(&mut self, bytes: &[u8], problems: &mut Problems) {
        let line_of = |at: usize| 1 + bytes[..at.min(bytes.len())].iter().filter(|byte| **byte == b'\n').count();
        let name = self.name();
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                self.broken = true;
                problems.add(&self.place(name, line_of(error.valid_up_to())), Fault::new("the file is not valid UTF-8", "save it as UTF-8"));
                return;
            }
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        self.broken = !errors.is_empty();
        // One slip can make the parser stumble at every line after it.
        for error in errors.iter().take(5) {
            // The message alone: the error's own `Display` would show the line, and with it a password.
            let fault = Fault::new(format!("not valid TOML: {}", error.message().replace('\n', ", ")), "write strings in quotes, and one 'key = value' a line");
            problems.add(&self.place(name.clone(), line_of(error.span().map_or(0, |span| span.start))), fault);
        }
        if self.broken {
            return;
        }
        let mut top = Table::default();
        for (key, found) in table.get_ref() {
            let line = line_of(key.span().start);
            match (key.get_ref().as_ref(), found.get_ref()) {
                ("targets", DeValue::Table(targets)) => {
                    for (name, found) in targets {
                        let origin = self.place(format!("targets.{}", escaped(name.get_ref())), line_of(name.span().start));
                        let DeValue::Table(entries) = found.get_ref() else {
                            problems.add(
                                &origin,
                                Fault::new(format!("{}, not a table", kind(found.get_ref())), "write each target as a table of its own, [targets.NAME]"),
                            );
                            continue;
                        };
                        let mut table = Table::default();
                        for (key, found) in entries {
                            let origin = self.place(format!("targets.{}.{}", escaped(name.get_ref()), escaped(key.get_ref())), line_of(key.span().start));
                            table.entries.extend(self.entry(key.get_ref(), found.get_ref(), origin, true, problems));
                        }
                        self.targets.push(TargetTable { name: name.get_ref().to_string(), origin, table });
                    }
                }
                ("targets", other) => problems
                    .add(&self.place("targets", line), Fault::new(format!("{}, not a table", kind(other)), "write each target as a table, [targets.NAME]")),
                (name, value) => top.entries.extend(self.entry(name, value, self.place(escaped(name), line), false, problems)),
            }
        }
        // The parser keeps tables sorted by name; people number them by where they stand.
        self.targets.sort_by_key(|target| match target.origin {
            Origin::File { line, .. } => line,
            _ => 0,
        });
        if let Some(url) = top.entries.iter().find(|entry| std::ptr::eq(entry.key, &keys::URL))
            && !self.targets.is_empty()
        {
            problems.add(&url.origin, Fault::new("it names one database, and the file has tables for several", "move it into its [targets.NAME] table"));
        }
        self.top = top;
    }

    /// One line of a table, if it is one that we know.
    fn entry(&self, name: &str, found: &DeValue<'_>, origin: Origin, in_target: bool, problems: &mut Problems) -> Option<Entry> {
        let known = |stem: &str| keys::ALL.iter().copied().find(|key| key.toml == Some(stem));
        let as_file = name.strip_suffix("_file").and_then(known).filter(|key| key.file_form);
        let Some((key, file_form)) = known(name).map(|key| (key, false)).or(as_file.map(|key| (key, true))) else {
            problems.add(&origin, Fault::new("unknown key", unknown_hint(name, found)));
            return None;
        };
        if in_target && key.scope == Scope::Process {
            problems.add(&origin, Fault::new("this setting is one for all targets", "move it to the top of the file"));
            return None;
        }
        let text = match found {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => number.to_string(),
                Err(_) => number.as_str().to_owned(),
            },
            DeValue::Boolean(truth) if key.constraint == "yes or no" => truth.to_string(),
            DeValue::Array(items) if key.list && items.iter().all(|item| matches!(item.get_ref(), DeValue::String(_))) => {
                let texts = items.iter().filter_map(|item| if let DeValue::String(text) = item.get_ref() { Some(text.as_ref()) } else { None });
                texts.collect::<Vec<&str>>().join(" ")
            }
            other => {
                problems.add(&origin, Fault::new(format!("the value is {}", kind(other)), format!("use {}", key.constraint)));
                return None;
            }
        };
        // 0600 or 0640, as libpq has it for keys: others must not read what opens the database.
        let open = self.mode & 0o037 != 0;
        if key.secret && !file_form && open && !text.is_empty() && !Partial::parse_url(&text).is_ok_and(|url| url.password.is_none()) {
            let reason = format!("a secret in a file of mode {:04o}, which others can read", self.mode);
            problems.add(&origin, Fault::new(reason, format!("chmod 600 the file, or use {name}_file")));
        }
        Some(Entry { key, file_form, text, origin })
    }
}

fn unknown_hint(name: &str, found: &DeValue<'_>) -> String {
    if matches!(found, DeValue::Table(_)) {
        return "a target is a table [targets.NAME]".to_owned();
    }
    if matches!(name, "target" | "name") {
        return "a target's name is that of its table, [targets.NAME]".to_owned();
    }
    // A variable's own name is the likeliest mistake.
    let upper = name.to_ascii_uppercase();
    let by_variable = keys::ALL.iter().find(|key| key.variable == Some(&upper) || key.fallback == Some(&upper)).and_then(|key| key.toml);
    match by_variable.or_else(|| suggest::nearest(name, keys::ALL.iter().filter_map(|key| key.toml))) {
        Some(near) => format!("did you mean '{near}'?"),
        None => "take it out, or correct its name".to_owned(),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
