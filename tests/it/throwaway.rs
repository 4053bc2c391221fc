//! The throwaway server, driven through `kluis demo`: whatever happens to it, nothing of it is left.
//! Others may run servers on this machine at the same time, so only what was seen to belong to ours is looked for.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// `kluis` with a scratch folder of its own.
pub struct Bench {
    scratch: tempfile::TempDir,
    /// Keys of System V segments, which are the data folders' inodes (PGSharedMemoryCreate in sysv_shmem.c).
    keys: BTreeSet<i32>,
    /// Files in /dev/shm that our processes had mapped.
    mapped: BTreeSet<PathBuf>,
}

impl Bench {
    pub fn new() -> Bench {
        Bench { scratch: tempfile::tempdir().unwrap(), keys: BTreeSet::new(), mapped: BTreeSet::new() }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kluis"));
        for (name, _) in std::env::vars_os() {
            if ["BACKUP_", "DB_", "PG", "KLUIS_", "DATABASE_URL"].iter().any(|start| name.to_string_lossy().starts_with(start)) {
                command.env_remove(name);
            }
        }
        command.args(arguments).env("BACKUP_SCRATCH_DIR", self.scratch.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// Waits for the end, and notes what there is meanwhile.
    pub fn finish(&mut self, mut child: Child) -> Output {
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(120), "it does not end");
            self.look();
            std::thread::sleep(Duration::from_millis(20));
        }
        child.wait_with_output().unwrap()
    }

    pub fn run(&mut self, arguments: &[&str]) -> Output {
        let child = self.start(arguments);
        self.finish(child)
    }

    fn look(&mut self) {
        for folder in self.folders() {
            self.keys.extend(std::fs::metadata(folder.join("data")).map(|metadata| metadata.ino() as i32));
        }
        for (pid, _) in self.processes() {
            let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
            self.mapped.extend(maps.lines().filter_map(|line| Some(line[line.find("/dev/shm/")?..].into())));
        }
    }

    /// What is in the scratch folder.
    pub fn folders(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.scratch.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// Processes that work in the scratch folder, with their command lines.
    fn processes(&self) -> Vec<(i32, String)> {
        let scratch = self.scratch.path().canonicalize().unwrap();
        let inside = |pid: &i32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder.starts_with(&scratch));
        let pids = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(inside).map(|pid| (pid, std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " "))).collect()
    }

    /// Segments of ours that nobody is attached to.
    fn orphans(&self) -> Vec<String> {
        let text = std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
        let ours = |line: &&str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields[0].parse::<i64>().is_ok_and(|key| self.keys.contains(&(key as i32))) && fields[6] == "0"
        };
        text.lines().skip(1).filter(ours).map(str::to_owned).collect()
    }

    #[track_caller]
    pub fn nothing_is_left(&self) {
        assert!(!self.keys.is_empty(), "no data folder was ever seen");
        assert_eq!(self.folders(), Vec::<PathBuf>::new());
        self.nothing_runs_or_is_shared();
    }

    #[track_caller]
    fn nothing_runs_or_is_shared(&self) {
        assert_eq!(self.processes(), []);
        assert_eq!(self.orphans(), Vec::<String>::new());
        let shared: Vec<&PathBuf> = self.mapped.iter().filter(|path| path.exists()).collect();
        assert!(shared.is_empty(), "{shared:?}");
    }

    /// Waits until a process of the server, or of initdb, has this in its command line.
    pub fn wait_for(&mut self, what: &str) -> i32 {
        let begun = Instant::now();
        loop {
            self.look();
            if let Some((pid, _)) = self.processes().into_iter().find(|(_, line)| line.contains(what)) {
                return pid;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "no process {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Moments in a server's life, by the command line of a process that is there then.
const MOMENTS: [&str; 3] = ["--boot", "--single", "checkpointer"];

#[test]
fn a_signal_ends_everything_in_time() {
    for (moment, number) in MOMENTS.into_iter().zip([Signal::TERM, Signal::INT, Signal::TERM]) {
        let mut bench = Bench::new();
        let child = bench.start(&["demo"]);
        bench.wait_for(moment);
        let begun = Instant::now();
        signal(child.id() as i32, number);
        let output = bench.finish(child);
        assert!(begun.elapsed() < Duration::from_secs(10), "{moment}: {:?}", begun.elapsed());
        assert_eq!(output.status.code(), Some(130), "{moment}: {}", said(&output));
        bench.nothing_is_left();
    }
}

#[test]
fn when_we_are_killed_the_server_dies_and_the_next_start_sweeps() {
    for moment in MOMENTS {
        let mut bench = Bench::new();
        let mut child = bench.start(&["demo"]);
        bench.wait_for(moment);
        child.kill().unwrap();
        child.wait().unwrap();
        let begun = Instant::now();
        while !bench.processes().is_empty() {
            bench.look();
            assert!(begun.elapsed() < Duration::from_secs(15), "{moment}: {:?}", bench.processes());
            std::thread::sleep(Duration::from_millis(10));
        }
        bench.nothing_runs_or_is_shared();
        let folders = bench.folders();
        assert_eq!(folders.len(), 1, "{moment}");
        let output = bench.run(&["demo"]);
        let name = folders[0].file_name().unwrap().to_str().unwrap();
        assert!(output.status.success() && said(&output).contains(name), "{moment}: {}", said(&output));
        bench.nothing_is_left();
    }
}

#[test]
fn when_both_are_killed_the_next_start_removes_the_shared_memory_too() {
    let mut bench = Bench::new();
    let mut child = bench.start(&["demo"]);
    bench.wait_for("checkpointer");
    let postmaster = bench.wait_for("/postgres -D");
    signal(child.id() as i32, Signal::STOP);
    signal(postmaster, Signal::KILL);
    child.kill().unwrap();
    child.wait().unwrap();
    let begun = Instant::now();
    while !bench.processes().is_empty() && begun.elapsed() < Duration::from_secs(15) {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(bench.orphans().len(), 1, "this test is about a segment that is left");
    assert!(bench.run(&["demo"]).status.success());
    bench.nothing_is_left();
}

#[test]
fn a_server_that_is_killed_is_an_error_and_leaves_nothing() {
    let mut bench = Bench::new();
    let child = bench.start(&["demo"]);
    bench.wait_for("checkpointer");
    signal(bench.wait_for("/postgres -D"), Signal::KILL);
    let output = bench.finish(child);
    assert!(!output.status.success() && said(&output).contains("error: "), "{}", said(&output));
    bench.nothing_is_left();
}

#[test]
fn one_that_is_in_use_is_not_swept() {
    let mut bench = Bench::new();
    let first = bench.start(&["demo"]);
    bench.wait_for("--boot");
    let second = bench.run(&["demo"]);
    let first = bench.finish(first);
    for output in [first, second] {
        assert!(output.status.success() && !said(&output).contains("removed what"), "{}", said(&output));
    }
    bench.nothing_is_left();
}

#[test]
fn a_scratch_folder_that_cannot_serve_is_named() {
    let bench = Bench::new();
    let check = |scratch: &Path, expected: &str| {
        let output = bench.command(&["demo"]).env("BACKUP_SCRATCH_DIR", scratch).output().unwrap();
        assert!(output.status.code() == Some(14) && said(&output).contains(expected) && said(&output).contains("BACKUP_SCRATCH_DIR"), "{}", said(&output));
    };
    check(&bench.scratch.path().join("long".repeat(20)), "too long");
    check(&bench.scratch.path().join("a/b"), "cannot create the folder");
    assert!(bench.folders().is_empty());
}
