//! Two witnesses of the schema: the script against what pg_restore makes of the archive, and our restore against PostgreSQL's own.
//! It owns what counts as the same in dumps' texts: everything but the keys of `\restrict` and the order of objects. Sequence values are in it.
//! Invariant: text is compared with text of the same origin: the archive's with the archive's, a restored database's with another restored one's.

use super::entries::entries;
use crate::error::{Error, Kind, Result};
use crate::manifest::{Manifest, Mover};
use crate::postgres::child::{Passfile, Process, Tool};
use crate::postgres::connection::Connection;
use crate::postgres::contents::{self, Rows};
use crate::postgres::opening;
use crate::postgres::tools::Tools;
use crate::repository::files::{open_file, own_folder};
use crate::repository::list::Backup;
use crate::repository::names;
use crate::restore::List;
use crate::script::reader::section;
use crate::script::section as sections;
use crate::stop::Stop;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// How many differences are named.
const NAMED: usize = 20;

/// The sections of a script that are pg_restore's text, and whose names both have.
const TEXTS: [&str; 3] = [sections::PRE_DATA, sections::DATA, sections::POST_DATA];

/// Where the script is not what pg_restore makes of the archive. With a pg_restore of another version than the dump's only the list of objects can
/// be compared: it may word the same archive in another way. `folder`: for lists of entries.
pub fn script_against_archive(backup: &Backup, manifest: &Manifest, tools: &Tools, folder: &Path, stop: &Stop) -> Result<Vec<String>> {
    let script = open_file(&backup.path.join(&manifest.script.file))?;
    let (mut ours, mut theirs, mut same) = (Objects::default(), Objects::default(), true);
    let pg_restore = || Tool::new(tools.program("pg_restore"));
    let archive = backup.path.join(names::SCHEMA);
    // Rows that pg_dump moved stand at the end of the section before the units, where they come first (FORMAT.md, "The script").
    let lists = if manifest.archive_comes_first() {
        let listing = pg_restore().args(["--list", "--section=data"]).arg(&archive).output(1 << 30, stop)?;
        let entries = contents::parse(&String::from_utf8_lossy(&listing)).map_err(|why| Error::new(Kind::Failed, why))?;
        Some(Rows::of(&entries)).filter(|rows| !rows.rows.is_empty())
    } else {
        None
    };
    let files = lists.as_ref().map(|rows| {
        own_folder(folder)?;
        Ok::<_, Error>((List::new(folder, "first", &rows.rows)?, List::new(folder, "others", &rows.others)?))
    });
    let files = files.transpose()?;
    let of_list = |list: &List| pg_restore().arg("--use-list").arg(&list.0);
    for name in TEXTS {
        let (mut one, mut other) = (Text::with(part(&script, manifest, name)?, own_lines(manifest, name)), None);
        let damaged = |error| Error::new(Kind::Verification, format!("section '{name}' of the script is damaged")).because(error);
        ours.add(&mut one).map_err(damaged)?;
        let whole = || pg_restore().arg(format!("--section={name}"));
        let texts = match &files {
            Some((first, _)) if name == sections::PRE_DATA => vec![whole(), of_list(first)],
            Some((_, others)) if name == sections::DATA => vec![of_list(others)],
            _ => vec![whole()],
        };
        let started = texts.into_iter().map(|tool| tool.arg("--file=-").arg(&archive).start(Stdio::piped(), stop));
        let mut processes = started.collect::<Result<Vec<_>>>()?;
        let all = processes.iter_mut().fold(Box::new(std::io::empty()) as Box<dyn Read>, |all, process| Box::new(all.chain(process.stdout())));
        let read = theirs.add(other.insert(Text::of(all)));
        processes.into_iter().try_for_each(Process::finish)?;
        read.map_err(|error| Error::new(Kind::Failed, "pg_restore's output cannot be read").because(error))?;
        same &= other.is_some_and(|other| other.digest() == one.digest()) && one.own_is_there();
    }
    let words = manifest.server.pg_dump == tools.version;
    let mut wrong = ours.compare(&theirs, words, "the script", "schema.dump");
    if words && !same && wrong.is_empty() {
        wrong.push("the script is not what pg_restore makes of 'schema.dump', in something that belongs to no object".to_owned());
    }
    Ok(wrong)
}

/// Lines of our own in a section of the script (FORMAT.md, "The script").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Own {
    /// They come before everything but keys, in this order.
    first: Vec<String>,
    /// It comes behind everything but keys.
    last: Option<&'static [u8]>,
}

fn own_lines(manifest: &Manifest, section: &str) -> Own {
    const SET: &str = "SET lc_monetary = 'C';\n";
    const RESET: &str = "RESET lc_monetary;\n";
    let mut own = Own::default();
    if section == sections::PRE_DATA && manifest.in_turn.is_some() {
        own.first.push(opening::of_script(manifest.server.major));
    }
    let Some(money) = &manifest.money else { return own };
    let whole = money.in_archive && money.archive == "C";
    match section {
        sections::PRE_DATA if whole => own.first.push(SET.to_owned()),
        sections::PRE_DATA => own.last = Some(SET.as_bytes()),
        sections::DATA if !whole => own.first.push(RESET.to_owned()),
        _ => {}
    }
    own
}

/// The sections of the script that hold the schema, as readers.
pub fn texts<'f>(script: &'f File, manifest: &Manifest) -> Result<Vec<impl Read + use<'f>>> {
    TEXTS.iter().map(|name| part(script, manifest, name)).collect()
}

fn part<'f>(script: &'f File, manifest: &Manifest, name: &str) -> Result<impl Read + use<'f>> {
    let part = manifest.script.section(name).ok_or_else(|| Error::new(Kind::Verification, format!("the script has no section '{name}'")))?;
    Ok(section(script, part))
}

/// What pg_dump says of a restored database, less the rows that Kluis moves: they are digested.
pub fn dumped(manifest: &Manifest, tools: &Tools, restored: &Connection, folder: &Path, stop: &Stop) -> Result<Objects> {
    // It says nothing before it has read the whole catalogue.
    let _unseen = stop.unseen();
    let passfile = Passfile::create(folder, restored)?;
    let pattern = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    // The same names went onto pg_dump's command line in the dump.
    let exclude = manifest
        .tables
        .iter()
        .filter(|table| table.moved_by == Mover::Units)
        .map(|table| format!("--exclude-table-data={}.{}", pattern(&table.schema), pattern(&table.name)));
    let tool = Tool::new(tools.program("pg_dump")).connected(restored, &passfile).args(["--no-password", "--no-blobs"]);
    let tool = tool.arg(format!("--encoding={}", manifest.database.encoding)).names(exclude);
    let mut process = tool.start(Stdio::piped(), stop)?;
    let mut objects = Objects::default();
    let read = objects.add(process.stdout());
    process.finish().map_err(|error| error.context("the restored database cannot be dumped"))?;
    read.map_err(|error| Error::new(Kind::Failed, "pg_dump's output cannot be read").because(error))?;
    Ok(objects)
}

/// A text on its way, hashed but for the keys of `\restrict`, which are another each time, and for a line of our own where it belongs.
struct Text<R> {
    lines: BufReader<R>,
    line: Vec<u8>,
    at: usize,
    hash: Xxh3,
    /// The line before was a key, or our own: an empty line belongs to it.
    key: bool,
    own: Own,
    /// How many of our own lines that come first were there; and whether anything was hashed.
    found: usize,
    begun: bool,
    /// What may be our own line at the end, with what follows it.
    held: Vec<u8>,
}

impl<R: Read> Text<R> {
    fn of(text: R) -> Self {
        Text::with(text, Own::default())
    }

    fn with(text: R, own: Own) -> Self {
        let lines = BufReader::with_capacity(64 << 10, text);
        Text { lines, line: Vec::new(), at: 0, hash: Xxh3::new(), key: false, own, found: 0, begun: false, held: Vec::new() }
    }

    /// Of what was read, to the end.
    fn digest(&self) -> u128 {
        self.hash.digest128()
    }

    /// Whether our own lines stand where they belong.
    fn own_is_there(&self) -> bool {
        self.found == self.own.first.len() && (self.own.last.is_none() || !self.held.is_empty())
    }

    /// Hashes a line that is no key.
    fn take(&mut self) {
        let empty = self.line == b"\n";
        if !self.begun && self.own.first.get(self.found).is_some_and(|own| self.line == own.as_bytes()) {
            self.found += 1;
            self.key = true;
            return;
        }
        match self.own.last {
            Some(own) if self.line == own => {
                self.hash.update(&self.held);
                self.held.clone_from(&self.line);
                self.begun = true;
                return;
            }
            Some(_) if !self.held.is_empty() && (empty || self.line.is_empty()) => {
                self.held.extend_from_slice(&self.line);
                return;
            }
            _ => {}
        }
        self.hash.update(&self.held);
        self.held.clear();
        self.hash.update(&self.line);
        self.begun |= !self.line.is_empty();
    }
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.line.len() {
            self.line.clear();
            self.at = 0;
            self.lines.read_until(b'\n', &mut self.line)?;
            let key = self.line.starts_with(b"\\restrict ") || self.line.starts_with(b"\\unrestrict ");
            let belongs = self.key && self.line == b"\n";
            self.key = key;
            if !key && !belongs {
                self.take();
            }
        }
        let length = buffer.len().min(self.line.len() - self.at);
        buffer[..length].copy_from_slice(&self.line[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// The objects of a dump: its entries, and the hashes of their statements.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Objects(BTreeMap<String, (String, Vec<u128>)>);

impl Objects {
    /// Takes a dump's text apart.
    fn add(&mut self, text: impl Read) -> std::io::Result<()> {
        entries(text, |entry, body| {
            // pg_dump lists a policy's roles in the order in which they happen to lie in the catalogue (pg_dump.c, `getPolicies`).
            let hash = if entry.kind == "POLICY" { xxh3_128(&sorted_words(body)) } else { xxh3_128(body) };
            self.0.entry(entry.listed()).or_insert_with(|| (entry.describe(), Vec::new())).1.push(hash);
        })
    }

    /// Leaves out these objects, named as pg_restore lists them.
    pub fn without(mut self, names: &BTreeSet<String>) -> Objects {
        self.0.retain(|name, _| !names.contains(name));
        self
    }

    /// What differs. `one` and `other` are what the two are called; without `words` only the lists of objects are compared.
    pub fn compare(mut self, found: &Objects, words: bool, one: &str, other: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, (label, bodies)) in &found.0 {
            let mut bodies = bodies.clone();
            match self.0.remove(name) {
                None => wrong.push(format!("{label} is in {other} and not in {one}")),
                Some((_, mut expected)) => {
                    bodies.sort_unstable();
                    expected.sort_unstable();
                    if bodies.len() != expected.len() || words && bodies != expected {
                        wrong.push(format!("{label} is not the same in {other} as in {one}"));
                    }
                }
            }
        }
        wrong.extend(self.0.values().map(|(label, _)| format!("{label} is in {one} and not in {other}")));
        if wrong.len() > NAMED {
            let more = wrong.len() - NAMED;
            wrong.truncate(NAMED);
            wrong.push(format!("and {more} more objects"));
        }
        wrong
    }
}

/// The words of a text, sorted.
fn sorted_words(text: &[u8]) -> Vec<u8> {
    let mut words: Vec<&[u8]> = text.split(|byte| byte.is_ascii_whitespace() || b",;".contains(byte)).filter(|word| !word.is_empty()).collect();
    words.sort_unstable();
    words.join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "--\n-- PostgreSQL database dump\n--\n\n\\restrict a\n\nSET x = 1;\n\n--\n-- Name: t; Type: TABLE; Schema: public; Owner: bob\n--\n\nCREATE TABLE t ();\n\n\n--\n-- Name: s; Type: SEQUENCE SET; Schema: public; Owner: bob\n--\n\nSELECT setval('s', 1);\n\n--\n-- Data for Name: c; Type: TABLE DATA; Schema: public; Owner: bob\n--\n\nCOPY c FROM stdin;\n1\n-- Name: x; Type: Y; Schema: Z; Owner: -\n\\.\n\n\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict a\n\n";

    fn read(text: &str) -> Objects {
        let mut objects = Objects::default();
        objects.add(text.as_bytes()).unwrap();
        objects
    }

    fn compare(other: &str) -> Vec<String> {
        read(DUMP).compare(&read(other), true, "one", "the other")
    }

    fn digest(text: &str) -> u128 {
        let mut text = Text::of(text.as_bytes());
        std::io::copy(&mut text, &mut std::io::sink()).unwrap();
        text.digest()
    }

    #[test]
    fn objects_are_compared_one_by_one() {
        assert_eq!(compare(DUMP), Vec::<String>::new());
        assert_eq!(compare(&DUMP.replace("strict a", "strict b").replace("SET x", "SET y")), Vec::<String>::new());
        assert_eq!(compare(&DUMP.replace("setval('s', 1)", "setval('s', 2)")), ["SEQUENCE SET public.s is not the same in the other as in one"]);
        assert_eq!(
            compare(&DUMP.replace("Name: t; Type: TABLE", "Name: u; Type: TABLE")),
            ["TABLE public.u is in the other and not in one", "TABLE public.t is in one and not in the other"]
        );
        assert_eq!(compare(&DUMP.replace("Owner: bob\n--\n\nCREATE", "Owner: eve\n--\n\nCREATE")).len(), 2);
        let left_out = BTreeSet::from(["TABLE public u bob".to_owned(), "TABLE public t bob".to_owned()]);
        let renamed = read(&DUMP.replace("Name: t; Type: TABLE", "Name: u; Type: TABLE"));
        assert_eq!(read(DUMP).without(&left_out).compare(&renamed.without(&left_out), true, "one", "the other"), Vec::<String>::new());
    }

    #[test]
    fn a_text_is_the_same_but_for_the_keys() {
        assert_eq!(digest(DUMP), digest(&DUMP.replace("strict a", "strict b")));
        assert_eq!(digest("a\n"), digest("\\restrict k\n\na\n\\unrestrict k\n\n"));
        assert_ne!(digest(DUMP), digest(&DUMP.replace("SET x", "SET y")));
        assert_ne!(digest("a\n\nb\n"), digest("a\nb\n"));
    }

    #[test]
    fn our_own_line_is_passed_over_where_it_belongs_and_nowhere_else() {
        let read = |text: &str, own| {
            let mut text = Text::with(text.as_bytes(), own);
            std::io::copy(&mut text, &mut std::io::sink()).unwrap();
            (text.digest(), text.own_is_there())
        };
        let (first, last) = (|| Own { first: vec!["S\n".to_owned()], last: None }, || Own { first: Vec::new(), last: Some(b"S\n") });
        for text in ["S\n\na\nS\nb\n", "\\unrestrict k\n\nS\n\na\nS\nb\n"] {
            assert_eq!(read(text, first()), (digest("a\nS\nb\n"), true), "{text}");
        }
        for text in ["a\nS\n\nb\nS\n\n", "a\nS\n\nb\nS\n\n\\restrict k\n\n"] {
            assert_eq!(read(text, last()), (digest("a\nS\n\nb\n"), true), "{text}");
        }
        assert!(!read("a\nS\n\n", first()).1 && !read("S\n\na\n", last()).1 && !read("", first()).1 && !read("a\n", last()).1);
        assert_ne!(read("S\n\na\nS\n\n", first()).0, digest("a\n"));
        assert_ne!(read("a\nS\n\nS\n\n", last()).0, digest("a\n"));
        let both = || Own { first: vec!["O\n".to_owned(), "S\n".to_owned()], last: Some(b"L\n") };
        assert_eq!(read("O\n\nS\n\na\nL\n\n", both()), (digest("a\n"), true));
        for text in ["S\n\nO\n\na\nL\n\n", "O\n\na\nS\n\nL\n\n", "O\n\nS\n\na\n"] {
            assert!(!read(text, both()).1, "{text}");
        }
    }
}
