//! The command line's behaviour as data: each file in `tests/cases` is a story of commands, with what they must answer.
//! `KLUIS_BLESS=1 cargo test --test it cli` rewrites the expectations; `KLUIS_CASE=name` runs only the cases whose name holds that.
//! The format is described in `cli/case.rs`, what a story can set up in `cli/stage.rs`.

mod case;
pub(crate) mod fixture;
mod matching;
mod stage;

use case::Case;
use stage::Stage;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

#[test]
fn cases() {
    let wanted = std::env::var("KLUIS_CASE").unwrap_or_default();
    let bless = std::env::var("KLUIS_BLESS").is_ok_and(|value| value == "1");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder()).expect("tests/cases can be read").map(|entry| entry.expect("an entry can be read").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "case") && path.to_string_lossy().contains(&wanted));
    paths.sort();
    assert!(paths.len() >= 60 || !wanted.is_empty(), "only {} cases were found", paths.len());

    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = run(path, bless) {
                        failures.lock().expect("no thread panics with this lock").push(format!("── {}\n{why}", path.display()));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no thread panics with this lock");
    failures.sort();
    assert!(failures.is_empty(), "{} of {} cases failed (KLUIS_BLESS=1 rewrites them)\n\n{}", failures.len(), paths.len(), failures.join("\n"));
}

/// Runs one case. The error says what was expected and what came.
fn run(path: &Path, bless: bool) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut case = Case::parse(&text)?;
    let mut stage = Stage::new()?;
    let mut wrong = String::new();
    for step in &mut case.steps {
        let case::Step::Run(run) = step else {
            if stage.set(step)? == stage::Next::Skip {
                eprintln!("SKIPPED: {}: {}", path.display(), stage.why_skipped());
                return Ok(());
            }
            continue;
        };
        let found = stage.run(&run.command)?;
        if bless {
            run.bless(&found);
        } else if let Some(difference) = run.difference(&found) {
            wrong.push_str(&difference);
        }
    }
    if bless && case.render() != text {
        std::fs::write(path, case.render()).map_err(|error| error.to_string())?;
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// A reader that goes away ends the printing, and nothing else: no panic, no message, the command's own exit code.
#[test]
fn a_closed_pipe_is_no_error() {
    for arguments in [&["help"][..], &["completions", "bash"], &["--help"], &["version", "--json"]] {
        let mut child =
            Command::new(env!("CARGO_BIN_EXE_kluis")).args(arguments).env_clear().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kluis starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("kluis ends");
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""), "{arguments:?}");
    }
}

/// What cannot be written is an error, not a success.
#[test]
fn a_full_disk_under_stdout_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full is there");
    let output = Command::new(env!("CARGO_BIN_EXE_kluis")).arg("version").env_clear().stdout(full).output().expect("kluis runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: cannot write to standard output\n  caused by: "), "{output:?}");
}
