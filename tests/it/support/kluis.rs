//! The binary, run as a user runs it: a clean environment, a limit in time, everything it said kept for the test that fails.

use super::cluster::{Cluster, Database};
use super::repo::Repo;
use super::schema;
use super::{CANARY, PASSWORD, folder};
use rustix::process::{Pid, Signal};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A command line that is being put together.
pub struct Kluis {
    command: Command,
    words: String,
    limit: Duration,
}

/// `kluis` with these arguments and nothing in its environment but what every test needs.
pub fn kluis(arguments: &[&str]) -> Kluis {
    by(Command::new(env!("CARGO_BIN_EXE_kluis")), arguments)
}

/// The same by another program than the one that was built with the tests.
pub fn kluis_by(program: &std::path::Path, arguments: &[&str]) -> Kluis {
    by(Command::new(program), arguments)
}

/// The same, started by a shell that does this first: `umask 0777`, `ulimit -c unlimited`.
pub fn kluis_after(first: &str, arguments: &[&str]) -> Kluis {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("{first}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_kluis")]);
    by(shell, arguments)
}

fn by(mut command: Command, arguments: &[&str]) -> Kluis {
    command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder()).current_dir(folder());
    command.env("BACKUP_SCRATCH_DIR", folder().join("scratch")).env("BACKUP_DRILL", "off");
    // Many tests back up no more than they need, and some of them no row. What is said of that is tested in `except`.
    command.env("BACKUP_ALLOW_EMPTY", "yes");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    // Where scripts/coverage wants to know which lines it ran.
    command.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)));
    Kluis { command, words: arguments.join(" "), limit: Duration::from_secs(180) }
}

impl Kluis {
    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Kluis {
        self.command.env(name, value);
        self
    }

    /// With this repository.
    pub fn keeping(self, repo: &Repo) -> Kluis {
        self.env("BACKUP_DIR", &repo.root).env("BACKUP_TARGET", &repo.target)
    }

    /// With this database to back up, by its own major's programs.
    pub fn of(self, database: &Database) -> Kluis {
        let port = database.cluster.port().to_string();
        self.env("DB_HOST", database.cluster.socket())
            .env("DB_PORT", port)
            .env("DB_DATABASE", &database.name)
            .env("DB_USERNAME", "postgres")
            .tools(&database.cluster)
    }

    /// With this server to restore into; the database is named by `--to`.
    pub fn into(self, cluster: &Cluster) -> Kluis {
        self.env("PGHOST", cluster.socket()).env("PGPORT", cluster.port().to_string()).env("PGUSER", "postgres").tools(cluster)
    }

    /// As another role, with the password it needs.
    pub fn role(self, role: &str) -> Kluis {
        self.env("DB_USERNAME", role).env("DB_PASSWORD", PASSWORD)
    }

    /// With this cluster's programs.
    pub fn tools(self, cluster: &Cluster) -> Kluis {
        self.env("BACKUP_PG_BIN", cluster.bin())
    }

    /// Without a variable that was set.
    pub fn without(mut self, name: &str) -> Kluis {
        self.command.env_remove(name);
        self
    }

    /// In this folder.
    pub fn in_folder(mut self, folder: &std::path::Path) -> Kluis {
        self.command.current_dir(folder);
        self
    }

    /// As another user of the machine.
    pub fn user(mut self, (uid, gid): (u32, u32)) -> Kluis {
        self.command.uid(uid).gid(gid);
        self
    }

    /// With another limit in time than usual.
    pub fn lasting(mut self, limit: Duration) -> Kluis {
        self.limit = limit;
        self
    }

    /// For the campaigns. Started by this program, with these arguments before its own command line.
    #[allow(dead_code)]
    pub fn under(mut self, program: &std::path::Path, arguments: &[std::ffi::OsString]) -> Kluis {
        let mut command = Command::new(program);
        command.args(arguments).arg("--").arg(self.command.get_program()).args(self.command.get_args()).env_clear().current_dir(folder());
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        self.command = command;
        self
    }

    /// Starts it.
    #[track_caller]
    pub fn start(mut self) -> Running {
        let mut child = self.command.spawn().expect("kluis starts");
        let collect = |mut stream: Box<dyn Read + Send>| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = stream.read_to_end(&mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            })
        };
        let (stdout, stderr) = (collect(Box::new(child.stdout.take().unwrap())), collect(Box::new(child.stderr.take().unwrap())));
        Running { child, stdout: Some(stdout), stderr: Some(stderr), words: self.words, begun: Instant::now(), limit: self.limit, memory: 0, ended: None }
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self) -> Ended {
        self.start().wait()
    }
}

type Collected = Option<std::thread::JoinHandle<String>>;

/// A run in progress. Dropped, it is killed.
pub struct Running {
    child: Child,
    stdout: Collected,
    stderr: Collected,
    words: String,
    begun: Instant,
    limit: Duration,
    memory: u64,
    ended: Option<ExitStatus>,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process(Pid::from_child(&self.child), signal);
    }

    /// For the campaigns. Sends a signal to its process group.
    #[allow(dead_code)]
    pub fn signal_group(&self, signal: Signal) {
        let _ = rustix::process::kill_process_group(Pid::from_child(&self.child), signal);
    }

    /// Holds it when something has come to pass, so that the test can act in the middle of the run. Fails if the run ends before.
    #[track_caller]
    pub fn hold_when(&mut self, what: &str, mut look: impl FnMut() -> bool) {
        super::wait_until(what, || {
            let there = look();
            if !there && self.is_over() {
                let said = self.collected();
                panic!("kluis {} ended too early ({what}): {said:?}", self.words);
            }
            there
        });
        self.signal(Signal::STOP);
        let state = format!("/proc/{}/stat", self.pid());
        super::wait_until("kluis is held", || {
            let stat = std::fs::read_to_string(&state).unwrap_or_default();
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
        });
        assert!(!self.is_over(), "kluis {} ended before it was held ({what})", self.words);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|text| text.trim().split(' ').next()?.parse::<u64>().ok());
        self.memory = self.memory.max(peak.unwrap_or(0) * 1024);
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child can be waited for");
        }
        self.ended.is_some()
    }

    fn collected(&mut self) -> (String, String) {
        let text = |stream: &mut Collected| stream.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        (text(&mut self.stdout), text(&mut self.stderr))
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Ended {
        while !self.is_over() {
            if self.begun.elapsed() > self.limit {
                self.kill();
                let said = self.collected();
                panic!("kluis {} was not done within {:?}: {said:?}", self.words, self.limit);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let status = self.ended.expect("it has ended");
        let (stdout, stderr) = self.collected();
        let ended = Ended {
            code: status.code(),
            signal: status.signal(),
            dumped_core: status.core_dumped(),
            stdout,
            stderr,
            took: self.begun.elapsed(),
            memory: self.memory,
            words: self.words.clone(),
        };
        ended.says_no_secret();
        ended.prints_what_is_described();
        ended
    }

    fn kill(&mut self) {
        let _ = rustix::process::kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
        }
    }
}

/// A run that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether it left a core.
    pub dumped_core: bool,
    /// Its results.
    pub stdout: String,
    /// The rest of what it said.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
    /// The most memory that it had, in bytes.
    pub memory: u64,
    /// Its arguments.
    words: String,
}

impl Ended {
    /// It succeeded, without a warning.
    #[track_caller]
    pub fn done(self) -> Ended {
        self.ended_with(0);
        assert!(!self.stderr.contains("warning:") && !self.stderr.contains("error:"), "{self:#?}");
        self
    }

    /// It succeeded, and warned of this.
    #[track_caller]
    pub fn warned(self, parts: &[&str]) -> Ended {
        self.ended_with(3);
        assert!(!self.stderr.contains("error:"), "{self:#?}");
        self.says(parts)
    }

    /// It failed in this way, with one error that says these things, and a hint.
    #[track_caller]
    pub fn failed(self, code: i32, parts: &[&str]) -> Ended {
        self.ended_with(code);
        let errors = self.stderr.lines().filter(|line| line.starts_with("error:")).count();
        let hints = self.stderr.lines().filter(|line| line.starts_with("hint:")).count();
        assert!(errors == 1 && hints <= 1, "one error and one hint were expected: {self:#?}");
        assert!(hints == 1 || code == 130, "there is no hint: {self:#?}");
        self.says(parts)
    }

    /// It failed in this way, where there may be no hint to give.
    #[track_caller]
    pub fn failed_somehow(self, code: i32, parts: &[&str]) -> Ended {
        self.ended_with(code);
        assert_eq!(self.stderr.lines().filter(|line| line.starts_with("error:")).count(), 1, "{self:#?}");
        self.says(parts)
    }

    /// What it printed as JSON is as the documents say.
    #[track_caller]
    fn prints_what_is_described(&self) {
        let words: Vec<&str> = self.words.split_whitespace().collect();
        let Some(definition) = schema::definition_of(&words).filter(|_| self.code.is_some()) else { return };
        let wrong = schema::judge(&definition, &self.stdout);
        assert!(wrong.is_empty(), "docs/json.schema.json does not describe what kluis {} printed:\n{}", self.words, wrong.join("\n"));
    }

    #[track_caller]
    fn ended_with(&self, code: i32) {
        assert_eq!(self.code, Some(code), "kluis {}: {self:#?}", self.words);
    }

    #[track_caller]
    fn says(self, parts: &[&str]) -> Ended {
        for part in parts {
            assert!(self.stderr.contains(part), "'{part}' is not in: {self:#?}");
        }
        self
    }

    #[track_caller]
    fn says_no_secret(&self) {
        for secret in [CANARY, PASSWORD] {
            assert!(!self.stdout.contains(secret) && !self.stderr.contains(secret), "'{secret}' was told: {self:#?}");
        }
    }
}
