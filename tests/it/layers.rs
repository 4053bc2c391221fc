//! The house rules of `docs/ARCHITECTURE.md`, checked on the source itself: which module may import which, who may read the environment, print,
//! and change files, and what pure code may not touch. Reading Rust is left to `layers/source.rs`; tests in the source are not looked at.
//! Invariant: each exception stands here with its reason, and one that is no longer needed is an error too.

mod source;

use source::{Source, read};
use std::path::Path;

/// The rooms, top to bottom. A module may import only from rows below its own.
const ROOMS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["daemon", "http"],
    &["notify"],
    // Faces of one model.
    &["page", "metrics"],
    &["board"],
    &["catalog"],
    &["run", "status"],
    &["proof", "prune"],
    &["past"],
    &["drill"],
    &["restore"],
    &["verify", "compare", "globals", "shrinkage"],
    &["adopt", "dump", "preflight"],
    // What was typed, in the engine's own types: connections, schedules, policies.
    &["config"],
    // Of the repository, PostgreSQL's programs need only files that are 0600 before the first byte; the notes need the names.
    &["postgres", "notes"],
    &["script", "repository"],
    &["stop"],
    &["extensions"],
    &["manifest", "retention", "schedule", "events", "log", "receiver"],
    &["exception", "finding"],
    &["units", "raw", "clock"],
    &["error"],
];

/// Code without I/O, clock, environment and threads: files, and folders that end in a slash.
const PURE: &[&str] = &[
    "src/board.rs",
    "src/board/",
    "src/clock.rs",
    "src/error.rs",
    "src/daemon.rs",
    "src/events.rs",
    "src/exception.rs",
    "src/extensions.rs",
    "src/finding.rs",
    "src/globals/words.rs",
    "src/log.rs",
    "src/manifest.rs",
    "src/manifest/",
    "src/metrics.rs",
    "src/notes.rs",
    "src/raw.rs",
    "src/page/",
    "src/past.rs",
    "src/retention.rs",
    "src/retention/",
    "src/schedule.rs",
    "src/schedule/",
    "src/units.rs",
    "src/receiver.rs",
    "src/notify/decide.rs",
    "src/notify/message.rs",
    "src/notify/request.rs",
    "src/repository/names.rs",
    "src/script/digest.rs",
    "src/script/objects.rs",
    "src/script/statements.rs",
    "src/script/unit.rs",
    "src/postgres/contents.rs",
    "src/postgres/quote.rs",
    "src/postgres/sqlstate.rs",
    "src/postgres/url.rs",
    "src/config/suggest.rs",
];

/// What pure code may not name. A path matches when it holds these segments next to each other.
const IMPURE: &[&str] = &[
    "std::fs",
    "fs::File",
    "File::open",
    "std::net",
    "std::os",
    "std::process",
    "process::Command",
    "process::exit",
    "std::thread",
    "thread::spawn",
    "thread::scope",
    "thread::sleep",
    "sync::mpsc",
    "io::stdin",
    "io::stdout",
    "io::stderr",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
    "TimeZone::try_system",
    "tz::db",
    "rustix",
    "signal_hook",
    "crate::stop",
];

/// How files are made, changed and removed.
const CHANGES: &[&str] = &[
    "fs::write",
    "fs::create_dir",
    "fs::create_dir_all",
    "fs::rename",
    "fs::copy",
    "fs::hard_link",
    "fs::remove_file",
    "fs::remove_dir",
    "fs::remove_dir_all",
    "fs::set_permissions",
    "fs::symlink",
    "fs::chown",
    "fs::lchown",
    "fs::fchown",
    "fs::unlink",
    "fs::unlinkat",
    "fs::mkdir",
    "fs::mkdirat",
    "fs::renameat",
    "fs::openat",
    "fs::chmod",
    "fs::ftruncate",
    "fs::OpenOptions",
    "fs::DirBuilder",
    "File::create",
    "File::create_new",
    "File::options",
    "OpenOptions::new",
    "DirBuilder::new",
    ".set_len",
    ".set_permissions",
    ".set_modified",
];

const PRINTS: &[&str] = &["io::stdout", "io::stderr", "println!", "print!", "eprintln!", "eprint!", "dbg!", "Stdio::inherit"];

/// What a rule forbids, and where it does.
struct Rule {
    name: &'static str,
    forbidden: &'static [&'static str],
    allowed: fn(&str) -> bool,
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule { name: "environment", forbidden: &["std::env", "env::"], allowed: |file| within(file, "src/config/"), why: "only config reads the environment" },
    Rule { name: "print", forbidden: PRINTS, allowed: |file| within(file, "src/cli/") || file == "src/main.rs", why: "only cli and main print" },
    Rule { name: "files", forbidden: CHANGES, allowed: |file| within(file, "src/repository/"), why: "only the repository changes files" },
    Rule { name: "pure", forbidden: IMPURE, allowed: |file| !PURE.iter().any(|pure| within(file, pure)), why: "pure code has no I/O, clock or threads" },
    Rule {
        name: "places",
        forbidden: &["std::path", "Path::new", "PathBuf"],
        allowed: |file| !within(file, "src/script/"),
        why: "a script is written to any Write and read from anything seekable: script knows no paths",
    },
];

/// Where a rule is broken on purpose: rule, file, what is named there, and why that is right.
const EXCEPTIONS: &[(&str, &str, &str, &str)] = &[
    ("environment", "src/main.rs", "std::env", "the arguments come from there, and go to cli unread"),
    ("files", "src/cli/demo.rs", "fs::rename", "the demonstration's repository, made in a temporary folder, is moved out of it with --keep"),
    ("files", "src/postgres/child/passfile.rs", "fs::remove_file", "a passfile is a temporary file with a password in it: it goes with the value that made it"),
    ("files", "src/restore/mod.rs", "fs::remove_file", "the list for pg_restore is a temporary file: it goes with the value that made it"),
    ("files", "src/postgres/throwaway/folder.rs", "fs::DirBuilder", THROWAWAY),
    ("files", "src/postgres/throwaway/folder.rs", "DirBuilder::new", THROWAWAY),
    ("files", "src/postgres/throwaway/folder.rs", "fs::chown", THROWAWAY),
    ("files", "src/postgres/throwaway/folder.rs", "fs::set_permissions", THROWAWAY),
    ("files", "src/postgres/throwaway/folder.rs", "fs::remove_dir_all", THROWAWAY),
    ("files", "src/postgres/throwaway/leftovers.rs", "fs::remove_file", "shared memory segments that a killed throwaway server left in /dev/shm"),
];

const THROWAWAY: &str = "a throwaway server lives in a scratch folder of its own, which has to belong to the server's user and goes with the server";

fn within(file: &str, place: &str) -> bool {
    if place.ends_with('/') { file.starts_with(place) } else { file == place }
}

/// Everything in these files that breaks a rule, exceptions not yet considered: rule, file, what, and the whole message.
fn violations(sources: &[Source]) -> Vec<(String, String, String, String)> {
    let mut found = Vec::new();
    for source in sources {
        for (line, what) in &source.mentions {
            for rule in RULES.iter().filter(|rule| !(rule.allowed)(&source.file)) {
                if let Some(token) = rule.forbidden.iter().find(|token| names(what, token)) {
                    let message = format!("{}:{line}: '{what}': {}", source.file, rule.why);
                    found.push((rule.name.to_owned(), source.file.clone(), (*token).to_owned(), message));
                }
            }
        }
        let row = |module: &str| ROOMS.iter().position(|row| row.contains(&module));
        let home = &source.module;
        for (line, module) in source.imports.iter().filter(|(_, module)| module != home) {
            let message = match (row(home), row(module)) {
                (Some(from), Some(to)) if from < to => continue,
                (Some(_), Some(_)) => format!("{}:{line}: '{home}' may not import '{module}': imports run one way, see ROOMS", source.file),
                (None, _) => format!("{}: module '{home}' has no room yet: give it its row in ROOMS", source.file),
                (_, None) => format!("{}:{line}: module '{module}' has no room yet: give it its row in ROOMS", source.file),
            };
            found.push(("imports".to_owned(), source.file.clone(), module.clone(), message));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Whether a path, macro or method names what `token` stands for.
fn names(what: &str, token: &str) -> bool {
    match token.strip_suffix("::") {
        // `env::` stands for anything in a module of that name, however it was imported.
        Some(module) => what.starts_with(token) || what == format!("std::{module}"),
        None => what == token || format!("::{what}::").contains(&format!("::{token}::")),
    }
}

#[test]
fn the_house_is_in_order() {
    let sources = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.len() > 80, "only {} files were found", sources.len());
    let (mut wrong, mut used) = (Vec::new(), vec![false; EXCEPTIONS.len()]);
    for (rule, file, token, message) in violations(&sources) {
        match EXCEPTIONS.iter().position(|(r, f, t, _)| (*r, *f, *t) == (rule.as_str(), file.as_str(), token.as_str())) {
            Some(exception) => used[exception] = true,
            None => wrong.push(message),
        }
    }
    for ((rule, file, token, why), used) in EXCEPTIONS.iter().zip(used) {
        assert!(why.len() > 20, "an exception needs its reason: {file}");
        if !used {
            wrong.push(format!("{file}: the exception from '{rule}' for '{token}' is no longer needed"));
        }
    }
    for pure in PURE {
        assert!(sources.iter().any(|source| within(&source.file, pure)), "there is no {pure}: take it out of PURE");
    }
    assert!(wrong.is_empty(), "{} breaches of the house rules:\n{}", wrong.len(), wrong.join("\n"));
}

/// The messages for a file of this content, without its name.
#[track_caller]
fn check(file: &str, text: &str, expected: &[&str]) {
    let found: Vec<String> = violations(&[Source::parse(file, text)]).into_iter().map(|(_, _, token, _)| token).collect();
    assert_eq!(found, expected, "in {file}:\n{text}");
}

#[test]
fn the_checker_finds_what_is_wrong() {
    check("src/manifest.rs", "use crate::repository::names;", &["repository"]);
    check("src/script/reader.rs", "use crate::{error::Error, postgres::{session::Session, quote}};", &["postgres"]);
    check("src/dump/workers.rs", "fn f() { crate::restore::restore(); super::super::cli::main(); super::complete::f() }", &["cli", "restore"]);
    check("src/verify.rs", "use crate::compare::digest_of; use super::run;", &["compare", "run"]);
    check("src/main.rs", "fn main() { kluis::cli::main(std::env::args_os()) }", &["std::env"]);
    check("src/novel.rs", "use crate::error::Error;", &["error"]);
    check("src/run.rs", "use crate::novel::Thing;", &["novel"]);

    check("src/dump/mod.rs", "fn f() { std::env::var(\"HOME\"); }", &["std::env"]);
    check("src/dump/mod.rs", "use std::env; fn f() { env::temp_dir() }", &["env::", "std::env"]);
    check("src/dump/mod.rs", "use std::{env, io};", &["std::env"]);
    check("src/dump/mod.rs", "fn f() { eprintln!(\"x\"); std::io::stdout().lock(); }", &["eprintln!", "io::stdout"]);
    check("src/dump/mod.rs", "use std::io::{Read, stderr as e};", &["io::stderr"]);
    check("src/dump/mod.rs", "use std::fs; fn f() { fs::write(a, b); file.set_len(0); fs::File::create(x) }", &[".set_len", "File::create", "fs::write"]);
    check("src/dump/mod.rs", "use std::{fs::{self, rename}, os::unix::fs::chown};", &["fs::chown", "fs::rename"]);
    check(
        "src/units.rs",
        "fn f() { let t = std::time::Instant::now(); std::thread::spawn(f); jiff::Timestamp::now(); }",
        &["Instant::now", "Timestamp::now", "std::thread"],
    );
    check("src/schedule/search.rs", "use std::fs::File;", &["std::fs"]);
    check("src/script/writer.rs", "use std::path::Path;", &["std::path"]);
    // Behind a test module, a literal with braces and a lifetime it still sees.
    check("src/units.rs", "#[cfg(test)] mod tests { fn f() { println!(\"}\"); } }\nfn f<'a>() { let c = '{'; println!(\"\") }", &["println!"]);
}

#[test]
fn the_checker_finds_nothing_where_nothing_is_wrong() {
    check("src/config/source.rs", "fn f() { std::env::var_os(\"X\"); }", &[]);
    check("src/cli/output.rs", "use crate::run::run; fn f() { writeln!(std::io::stdout().lock()); println!() }", &[]);
    check("src/repository/files.rs", "use crate::stop::Stop; fn f() { std::fs::rename(a, b) }", &[]);
    check("src/dump/mod.rs", "fn f() { process.stdout(); fs::read(x); env!(\"CARGO_PKG_VERSION\"); writeln!(out); self.rename() }", &[]);
    check(
        "src/units.rs",
        "// std::fs::write\n/* eprintln!() /* nested */ crate::cli */ const A: &str = \"std::env::var\"; const B: &str = r#\"crate::cli \" \"#;",
        &[],
    );
    check("src/units.rs", "#[cfg(test)]\nmod tests { use crate::cli; fn f() { if true { std::fs::write(a, b) } } }", &[]);
    check("src/postgres/copy.rs", "use crate::{Error, Kind}; use super::frame::Wire; use crate::postgres::session; #[cfg(test)]\nmod tests;", &[]);
    check("src/units.rs", "use std::time::Duration; use std::io::{self, Read}; pub fn f(t: Timestamp) -> io::Result<()> {}", &[]);
}
