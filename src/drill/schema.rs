//! The schema, re-dumped from the restored database and compared with the script's own text, object by object.
//! It owns what counts as the same: everything but versions, keys of `\restrict` and the order of objects. Sequence values are in it.
//! Invariant: what pg_dump knows of an object is compared, so an index, a constraint, a grant or a view that is missing or other is found.

use crate::error::{Error, Kind, Result};
use crate::manifest::{Manifest, Mover};
use crate::postgres::child::{Passfile, Tool};
use crate::postgres::connection::Connection;
use crate::postgres::tools::Tools;
use crate::repository::files::open_file;
use crate::repository::list::Backup;
use crate::script::reader::section;
use crate::script::section as sections;
use crate::stop::Stop;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;
use xxhash_rust::xxh3::xxh3_128;

/// How many differences are named.
const NAMED: usize = 20;

/// What differs between the script and the restored database.
pub fn differences(backup: &Backup, manifest: &Manifest, tools: &Tools, restored: &Connection, folder: &Path, stop: &Stop) -> Result<Vec<String>> {
    let again = folder.join("again.dump");
    let passfile = Passfile::create(folder, restored)?;
    let mut restored = restored.clone();
    if manifest.server.escapes_bytea {
        // As the dump's own sessions did. It could not be told to those: not every pooler lets options through.
        restored.options = Some("-c bytea_output=escape".to_owned());
    }
    let pattern = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    // Without the rows that Kluis moved: they are digested, not dumped twice. The same names went onto pg_dump's command line in the dump.
    let exclude = manifest
        .tables
        .iter()
        .filter(|table| table.moved_by == Mover::Units)
        .map(|table| format!("--exclude-table-data={}.{}", pattern(&table.schema), pattern(&table.name)));
    let mut tool = Tool::new(tools.program("pg_dump"))
        .connected(&restored, &passfile)
        .args(["--no-password", "--format=custom", "--no-blobs", "--compress=0"])
        .args(exclude);
    if manifest.server.standby {
        // As pg_dump does of itself on a standby: the values of unlogged sequences are not in the script.
        tool = tool.arg("--no-unlogged-table-data");
    }
    tool = tool.arg("--file").arg(&again);
    tool.run(stop).map_err(|error| error.context("the restored database cannot be dumped"))?;

    let script = open_file(&backup.path.join(&manifest.script.file))?;
    let (mut expected, mut found) = (Objects::default(), Objects::default());
    // Section by section, as the script was made: what a section repeats, and what it leaves unsaid, is then the same on both sides, also where a
    // literal looks like the header of an object.
    for name in [sections::PRE_DATA, sections::DATA, sections::POST_DATA] {
        let part = manifest.script.section(name).ok_or_else(|| Error::new(Kind::Verification, format!("the script has no section '{name}'")))?;
        expected
            .add(section(&script, part))
            .map_err(|error| Error::new(Kind::Verification, format!("section '{name}' of the script is damaged")).because(error))?;
        let mut process = Tool::new(tools.program("pg_restore")).arg("--file=-").arg(format!("--section={name}")).arg(&again).start(Stdio::piped(), stop)?;
        let read = found.add(process.stdout());
        process.finish()?;
        read.map_err(|error| Error::new(Kind::Failed, "pg_restore's output cannot be read").because(error))?;
    }
    // Another pg_dump may word the same schema in another way: then only the list of objects can be compared.
    let words = manifest.server.pg_dump == tools.version;
    Ok(expected.compare(&found, words))
}

/// The objects of a dump: the comment that names each (`Name: …; Type: …; Schema: …`), and the hashes of its statements.
#[derive(Debug, Default, PartialEq, Eq)]
struct Objects(BTreeMap<String, Vec<u128>>);

impl Objects {
    /// Takes a dump's text apart. Line by line: a literal may hold lines that look like a header, but then on both sides.
    fn add(&mut self, text: impl Read) -> std::io::Result<()> {
        let mut text = BufReader::with_capacity(256 << 10, text);
        let (mut name, mut body, mut rows, mut line) = (String::new(), Vec::new(), false, Vec::new());
        // pg_restore sets these before an object and only where they change, so they belong to what follows, and are repeated in each section.
        let (mut tablespace, mut access_method) = (Vec::new(), Vec::new());
        loop {
            line.clear();
            if text.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if rows {
                // Rows that pg_dump moved: their order may differ, and they are digested elsewhere.
                rows = line != b"\\.\n";
            } else if let Some(header) = line.strip_prefix(b"-- Name: ").or_else(|| line.strip_prefix(b"-- Data for Name: ")) {
                self.close(std::mem::take(&mut name), &mut body);
                name = String::from_utf8_lossy(header).trim_end().to_owned();
                let is = |kinds: &[&str]| kinds.iter().any(|kind| name.contains(&format!("; Type: {kind}; ")));
                if is(&["TABLE", "MATERIALIZED VIEW", "INDEX"]) {
                    body.extend_from_slice(&tablespace);
                }
                if is(&["TABLE", "MATERIALIZED VIEW"]) {
                    body.extend_from_slice(&access_method);
                }
            } else if line.starts_with(b"SET default_tablespace = ") {
                tablespace.clone_from(&line);
            } else if line.starts_with(b"SET default_table_access_method = ") {
                access_method.clone_from(&line);
            } else if line.starts_with(b"COPY ") && line.ends_with(b" FROM stdin;\n") && name.contains("; Type: TABLE DATA;") {
                rows = true;
            } else if !(line.starts_with(b"\\restrict ")
                || line.starts_with(b"\\unrestrict ")
                || line.starts_with(b"-- Dumped ")
                || line == b"--\n"
                || line == b"\n")
            {
                body.extend_from_slice(&line);
            }
        }
        self.close(name, &mut body);
        Ok(())
    }

    fn close(&mut self, name: String, body: &mut Vec<u8>) {
        // The beginning of each text, before its first object, is settings; rows have no statements.
        if !name.is_empty() && !name.contains("; Type: TABLE DATA;") {
            let body = body.strip_suffix(b"-- PostgreSQL database dump complete\n").unwrap_or(body);
            let body = end_trimmed(body);
            // pg_dump lists a policy's roles in the order in which they happen to lie in the catalogue (pg_dump.c, `getPolicies`).
            let hash = if name.contains("; Type: POLICY; ") { xxh3_128(&sorted_words(body)) } else { xxh3_128(body) };
            self.0.entry(name).or_default().push(hash);
        }
        body.clear();
    }

    fn compare(mut self, found: &Objects, words: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, bodies) in &found.0 {
            let mut bodies = bodies.clone();
            match self.0.remove(name) {
                None => wrong.push(format!("{} is in the restored database and not in the script", describe(name))),
                Some(mut expected) => {
                    bodies.sort_unstable();
                    expected.sort_unstable();
                    if bodies.len() != expected.len() || words && bodies != expected {
                        wrong.push(format!("{} is not the same in the restored database as in the script", describe(name)));
                    }
                }
            }
        }
        wrong.extend(self.0.keys().map(|name| format!("{} is in the script and not in the restored database", describe(name))));
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

fn end_trimmed(body: &[u8]) -> &[u8] {
    let mut body = body.trim_ascii_end();
    // The header of the next part of a script: its settings come after the last object of the part before.
    if let Some(at) = memchr::memmem::find(body, b"-- PostgreSQL database dump complete") {
        body = body[..at].trim_ascii_end();
    }
    body
}

/// `INDEX public.users_email` out of `users_email; Type: INDEX; Schema: public; Owner: bob`.
fn describe(header: &str) -> String {
    let mut parts = header.rsplitn(4, "; ");
    let (owner, schema, kind, name) = (parts.next(), parts.next(), parts.next(), parts.next());
    match (owner, schema.and_then(|schema| schema.strip_prefix("Schema: ")), kind.and_then(|kind| kind.strip_prefix("Type: ")), name) {
        (Some(_), Some("-"), Some(kind), Some(name)) => format!("{kind} {}", name.escape_debug()),
        (Some(_), Some(schema), Some(kind), Some(name)) => format!("{kind} {}.{}", schema.escape_debug(), name.escape_debug()),
        _ => header.escape_debug().to_string(),
    }
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
        read(DUMP).compare(&read(other), true)
    }

    #[test]
    fn objects_are_compared_one_by_one() {
        assert_eq!(compare(DUMP), Vec::<String>::new());
        assert_eq!(compare(&DUMP.replace("strict a", "strict b").replace("SET x", "SET y")), Vec::<String>::new());
        assert_eq!(
            compare(&DUMP.replace("setval('s', 1)", "setval('s', 2)")),
            ["SEQUENCE SET public.s is not the same in the restored database as in the script"]
        );
        assert_eq!(
            compare(&DUMP.replace("Name: t; Type: TABLE", "Name: u; Type: TABLE")),
            ["TABLE public.u is in the restored database and not in the script", "TABLE public.t is in the script and not in the restored database"]
        );
        assert_eq!(compare(&DUMP.replace("Owner: bob\n--\n\nCREATE", "Owner: eve\n--\n\nCREATE")).len(), 2);
    }
}
