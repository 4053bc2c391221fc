//! `tracer.c`, compiled when it is first needed, and what it tells.
//! It owns its arguments and its log; what is failed, and what is made of it, the campaigns decide.

use crate::support::kluis::Kluis;
use crate::support::{folder, new_folder, skip};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The tracer, if it can be built and used here; else a loud skip.
pub fn tracer() -> Option<&'static Path> {
    static TRACER: OnceLock<Option<PathBuf>> = OnceLock::new();
    TRACER.get_or_init(build).as_deref()
}

fn build() -> Option<PathBuf> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        skip("system calls that fail, and power loss: the tracer knows Linux on x86-64 only", "the tests on such a machine");
        return None;
    }
    let program = folder().join("tracer");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/campaign/tracer.c");
    let compiled = Command::new("cc").args(["-O2", "-Wall", "-Werror", "-o"]).arg(&program).arg(source).status().expect("cc starts");
    assert!(compiled.success(), "tracer.c does not compile");
    let log = new_folder("tracer").join("log");
    let tried = Command::new(&program).args(["-r", "/nowhere", "-l"]).arg(&log).args(["--", "/bin/true"]).status().expect("the tracer starts");
    if !tried.success() {
        skip("system calls that fail, and power loss: processes cannot be traced here", "the tests where ptrace is allowed");
        return None;
    }
    Some(program)
}

/// A call that can be had again in another run: the program, the call, the path without its numbers, and which one of these (from 1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    pub line: String,
    pub number: u64,
}

impl Call {
    pub fn program(&self) -> &str {
        self.line.split('|').next().unwrap_or("")
    }

    pub fn name(&self) -> &str {
        self.line.split('|').nth(1).unwrap_or("")
    }

    pub fn path(&self) -> &str {
        self.line.split('|').nth(2).unwrap_or("")
    }

    /// Whether it is about the repository.
    pub fn inside(&self) -> bool {
        self.path().starts_with('@')
    }
}

/// A command line under the tracer. `root` is the repository.
pub fn traced(kluis: Kluis, tracer: &Path, root: &Path, log: &Path, more: &[&str]) -> Kluis {
    let mut arguments: Vec<OsString> = vec!["-r".into(), root.into(), "-l".into(), log.into()];
    arguments.extend(more.iter().map(OsString::from));
    kluis.under(tracer, &arguments)
}

/// Every call of a run that was traced.
pub fn calls(log: &Path) -> Vec<Call> {
    let mut seen = std::collections::BTreeMap::<String, u64>::new();
    let text = String::from_utf8_lossy(&std::fs::read(log).expect("the tracer left a log")).into_owned();
    let lines = text.lines().filter(|line| !line.starts_with('!'));
    lines
        .map(|line| {
            let number = seen.entry(line.to_owned()).or_default();
            *number += 1;
            Call { line: line.to_owned(), number: *number }
        })
        .collect()
}

/// Whether the call that was to fail came to pass.
pub fn was_failed(log: &Path) -> bool {
    std::fs::read(log).is_ok_and(|bytes| bytes.starts_with(b"!") || bytes.windows(2).any(|pair| pair == b"\n!"))
}
