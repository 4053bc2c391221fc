//! The Docker engine, as far as the tests use it: the command line with a limit in time, the image, and clearing away.
//! It owns finding out whether there is one; it leaves bringing one to `scripts/container-host`.
//! Invariant: a command that hangs fails its test, and what a killed test process left is removed by the next one.

use crate::support::{PASSWORD, skip};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What brings an engine and the images.
pub const REMEDY: &str = "scripts/container-host start";
/// The image that the tests build and the Compose files name.
pub const IMAGE: &str = "kluis-it:pg16";
/// Its base, and the image of the database's service.
pub const BASE: &str = "postgres:16";

/// What a command did.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    #[track_caller]
    pub fn ended(self, code: i32) -> Said {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Its results, without the end of the last line.
    #[track_caller]
    pub fn done(self) -> String {
        self.ended(0).stdout.trim_end().to_owned()
    }
}

/// A command with a clean environment, ended after so many seconds. What the tests' own machine has set must not fill the Compose files in.
pub fn limited(seconds: u32, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", &seconds.to_string(), program]).args(arguments).env_clear().current_dir(env!("CARGO_MANIFEST_DIR"));
    let kept = std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME" || name.to_string_lossy().starts_with("DOCKER_"));
    command.envs(kept).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end, and feeds it this.
#[track_caller]
pub fn run_with(mut command: Command, input: &[u8]) -> Said {
    command.stdin(Stdio::piped());
    let mut child = command.spawn().expect("timeout starts");
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = feeder.join();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = Said { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
    assert!(!matches!(said.code, Some(124 | 137)) || said.stderr.contains("137"), "not done in time: {command:?}: {said:#?}");
    assert!(!said.stdout.contains(PASSWORD) && !said.stderr.contains(PASSWORD), "the password was told by {command:?}");
    said
}

/// `docker` with these arguments.
#[track_caller]
pub fn docker(arguments: &[&str]) -> Said {
    run_with(limited(120, "docker", arguments), b"")
}

/// Waits until `look` finds something, asking at a pace that leaves the machine alone.
#[track_caller]
pub fn eventually<T>(what: &str, seconds: u64, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(seconds), "waited {seconds} s in vain: {what}");
        std::thread::sleep(Duration::from_millis(150));
    }
}

/// Whether Compose is there, engine or not. A loud skip where it is not.
pub fn has_compose() -> bool {
    static COMPOSE: OnceLock<bool> = OnceLock::new();
    let there = *COMPOSE.get_or_init(|| has_docker() && docker(&["compose", "version"]).code == Some(0));
    there || unavailable("there is no Docker Compose")
}

/// Whether there is an engine with the images that the Dockerfile starts from. A loud skip where there is none.
pub fn is_there() -> bool {
    static ENGINE: OnceLock<Result<(), String>> = OnceLock::new();
    let state = ENGINE.get_or_init(|| {
        if !has_docker() || docker(&["version", "--format", "{{.Server.Version}}"]).code != Some(0) {
            return Err("no Docker engine answers".to_owned());
        }
        if docker(&["compose", "version"]).code != Some(0) {
            return Err("there is no Docker Compose".to_owned());
        }
        sweep();
        let dockerfile = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).unwrap();
        let rust = dockerfile.lines().find_map(|line| line.strip_prefix("ARG RUST_VERSION=")).expect("the Dockerfile says which Rust");
        for image in [BASE, &format!("rust:{rust}-bookworm")] {
            if docker(&["image", "inspect", image]).code != Some(0) {
                return Err(format!("there is no image {image}"));
            }
        }
        Ok(())
    });
    state.as_ref().map_or_else(|why| unavailable(why), |()| true)
}

fn has_docker() -> bool {
    Command::new("docker").arg("--version").output().is_ok_and(|output| output.status.success())
}

fn unavailable(why: &str) -> bool {
    let thread = std::thread::current();
    skip(&format!("'{}': {why}", thread.name().unwrap_or("a test")), REMEDY);
    false
}

/// Removes containers, volumes and networks of a Compose project.
pub fn remove_project(project: &str) {
    let label = format!("label=com.docker.compose.project={project}");
    for (list, remove) in [
        (vec!["ps", "--all", "--quiet", "--filter", &label], vec!["rm", "--force", "--volumes"]),
        (vec!["volume", "ls", "--quiet", "--filter", &label], vec!["volume", "rm", "--force"]),
        (vec!["network", "ls", "--quiet", "--filter", &label], vec!["network", "rm"]),
    ] {
        let Ok(output) = limited(60, "docker", &list).output() else { continue };
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        let names: Vec<&str> = names.split_whitespace().collect();
        if !names.is_empty() {
            let _ = limited(60, "docker", &[remove, names].concat()).output();
        }
    }
}

/// Removes the stacks of test processes that are gone.
fn sweep() {
    let label = r#"{{.Label "com.docker.compose.project"}}"#;
    let mut projects = String::new();
    for list in [["ps", "--all", "--format"], ["volume", "ls", "--format"], ["network", "ls", "--format"]] {
        projects += &docker(&[&list[..], &[label]].concat()).stdout;
    }
    let mut projects: Vec<&str> = projects.split_whitespace().collect();
    projects.sort_unstable();
    projects.dedup();
    for project in projects {
        let pid = project.strip_prefix("kluis-it-").and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove_project(project);
        }
    }
}
