//! Child processes: pg_dump and its relatives, started so that they end when we do.
//! It owns process groups, the death of the parent and what of stderr may be shown; it leaves arguments to its callers, the passfile to `passfile`.
//! Invariant: no secret is in an argument or in the environment; end of stream is not success, the exit status is.

mod failures;
mod passfile;
mod warnings;

pub use failures::Failed;
pub use passfile::Passfile;

use crate::error::{Error, Kind, Result};
use crate::postgres::connection::{Connection, STYLE};
use crate::postgres::fault::{Fault, Said};
use crate::postgres::sandbox::{self, Support};
use crate::raw;
use crate::stop::{Hooked, Stop};
use failures::{FROM, all_heard, failed_entries, is_about_rows, quotes_a_value};
use rustix::process::{Pid, Signal};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The first argument that turns the binary into [`become_child`]. Not for users.
pub const TRAMPOLINE: &str = "__child";

/// How long a child may take to end after SIGTERM before it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// How much of a child's complaints is kept, in bytes.
const HEARD: u64 = 256 << 10;

/// The same where each of them decides something: some 300 bytes an entry.
const HEARD_OF_FAILURES: u64 = 64 << 20;

/// What the binary does when its first argument is [`TRAMPOLINE`]: arranges that this process dies with its parent, then becomes the
/// program named by the arguments (`PARENT SIGNAL NICE SANDBOX PROGRAM ARG…`), in a sandbox where SANDBOX is not empty. It returns only if that fails.
///
/// Being a step of its own it needs no unsafe code between fork and exec.
pub fn become_child(arguments: impl Iterator<Item = OsString>) -> io::Error {
    let mut arguments = arguments;
    let number = |word: Option<OsString>| word.and_then(|word| word.to_str()?.parse::<i32>().ok());
    let (parent, signal, nice) = (number(arguments.next()), number(arguments.next()), number(arguments.next()));
    let signal = signal.and_then(Signal::from_named_raw).unwrap_or(Signal::TERM);
    let (Some(sandbox), Some(program)) = (arguments.next(), arguments.next()) else { return io::ErrorKind::InvalidInput.into() };
    // prctl(2): the signal comes when the thread that started us ends; every caller waits for its child on that thread.
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(signal)) {
        return error.into();
    }
    // The parent may have died before the line above.
    if rustix::process::getppid().map(Pid::as_raw_nonzero).map(i32::from) != parent {
        return io::Error::other("the process that wanted this one is gone");
    }
    if let Some(nice) = nice.filter(|nice| *nice > 0) {
        let _ = rustix::process::nice(nice);
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    if !sandbox.is_empty() {
        let entered = Support::parse(&sandbox).ok_or_else(|| io::ErrorKind::InvalidInput.into()).and_then(|support| confine(support, Path::new(&program)));
        if let Err(error) = entered {
            return io::Error::other(format!("its sandbox cannot be made: {error}"));
        }
    }
    Command::new(program).args(arguments).exec()
}

/// From here on this process writes in its working folder only.
fn confine(support: Support, program: &Path) -> io::Result<()> {
    let folder = rustix::process::getcwd(Vec::new())?;
    sandbox::enter(support, program, Path::new(OsStr::from_bytes(folder.to_bytes())))
}

/// A program to run.
#[derive(Debug, Clone)]
pub struct Tool {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    nice: i32,
    user: Option<(u32, u32)>,
    folder: Option<PathBuf>,
    sandbox: Option<Support>,
    ending: Ending,
    heard: u64,
}

/// How a child is told to end when the token trips and when its parent dies.
#[derive(Debug, Clone, Copy)]
enum Ending {
    /// SIGTERM for it and for all that it started.
    Together,
    /// This signal for it alone: it ends its own children, in the right order.
    Alone(Signal),
}

impl Ending {
    fn signal(self) -> Signal {
        match self {
            Ending::Together => Signal::TERM,
            Ending::Alone(signal) => signal,
        }
    }

    fn send(self, group: Pid) {
        let _ = match self {
            Ending::Together => rustix::process::kill_process_group(group, Signal::TERM),
            // The group has the number of its first process.
            Ending::Alone(signal) => rustix::process::kill_process(group, signal),
        };
    }
}

impl Tool {
    /// A program, found by its path alone.
    pub fn new(program: PathBuf) -> Tool {
        Tool {
            program,
            arguments: Vec::new(),
            environment: Vec::new(),
            nice: 0,
            user: None,
            folder: None,
            sandbox: None,
            ending: Ending::Together,
            heard: HEARD,
        }
    }

    /// Adds an argument. Never a secret: every user of the machine can read it.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Tool {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Tool {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Adds arguments that hold names of a database's, byte for byte, whatever encoding they are in (see [`raw::text`]).
    #[must_use]
    pub fn names(mut self, arguments: impl IntoIterator<Item = String>) -> Tool {
        self.arguments.extend(arguments.into_iter().map(|argument| OsStr::from_bytes(&raw::bytes(&argument)).to_owned()));
        self
    }

    /// Makes it connect there, with the password in `passfile`.
    #[must_use]
    pub fn connected(mut self, connection: &Connection, passfile: &Passfile) -> Tool {
        self.environment.extend(connection.child_environment(passfile.path()));
        self
    }

    /// Leaves it the server's own settings of how dates and times are written: for a program that has something computed, and writes nothing down itself.
    #[must_use]
    pub fn computing_as_everybody(mut self) -> Tool {
        self.environment.retain(|(name, _)| !STYLE.contains(&name.as_str()));
        self
    }

    /// Runs it at a lower priority.
    #[must_use]
    pub fn nice(mut self, nice: i32) -> Tool {
        self.nice = nice;
        self
    }

    /// Runs it as another user and group.
    #[must_use]
    pub fn user(mut self, user: Option<(u32, u32)>) -> Tool {
        self.user = user;
        self
    }

    /// Runs it in a folder.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Tool {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Confines it and all that it starts to the folder it runs in, as far as this kernel can: see [`sandbox`].
    #[must_use]
    pub fn confined(mut self, support: Support) -> Tool {
        self.sandbox = Some(support);
        self
    }

    /// Ends it with `signal`, sent to it alone, where the rule is SIGTERM for its whole process group.
    #[must_use]
    pub fn ends_by(mut self, signal: Signal) -> Tool {
        self.ending = Ending::Alone(signal);
        self
    }

    fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Starts it. Its standard output goes to `stdout`; the thread that calls this must stay until the child has ended.
    pub fn start(self, stdout: Stdio, stop: &Stop) -> Result<Process> {
        stop.check()?;
        let name = self.name();
        let mut command = Command::new("/proc/self/exe");
        command.arg(TRAMPOLINE).arg(std::process::id().to_string()).arg(self.ending.signal().as_raw().to_string());
        command.arg(self.nice.to_string()).arg(self.sandbox.map(Support::argument).unwrap_or_default()).arg(&self.program).args(&self.arguments);
        // Nothing of our environment reaches a child but what it needs: ours may hold passwords.
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C").env("TZ", "UTC").envs(self.environment);
        command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).process_group(0);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        if let Some(folder) = self.folder {
            command.current_dir(folder);
        }
        let mut child = command.spawn().map_err(|error| Error::new(Kind::Failed, format!("cannot start {name}")).because(error))?;
        let group = Pid::from_child(&child);
        let (ending, heard) = (self.ending, self.heard);
        let hook = stop.on_trip(move || ending.send(group));
        let stderr = child.stderr.take().expect("stderr was piped");
        let complaints = std::thread::spawn(move || {
            let mut text = Vec::new();
            let mut stderr = stderr;
            // What comes after that is read and dropped, so that a talkative child does not block.
            let _ = stderr.by_ref().take(heard).read_to_end(&mut text);
            let _ = io::copy(&mut stderr, &mut io::sink());
            text
        });
        Ok(Process { name, child, group, ending, stop: stop.clone(), complaints: Some(complaints), _hook: hook, ended: false })
    }

    /// Runs it to its end and returns its standard output, of at most `limit` bytes.
    pub fn output(self, limit: u64, stop: &Stop) -> Result<Vec<u8>> {
        let name = self.name();
        let mut process = self.start(Stdio::piped(), stop)?;
        let mut output = Vec::new();
        let read = process.stdout().take(limit + 1).read_to_end(&mut output);
        process.finish()?;
        read.map_err(|error| stop.explain(Error::new(Kind::Failed, format!("cannot read from {name}")).because(error)))?;
        if output.len() as u64 > limit {
            return Err(Error::new(Kind::Failed, format!("{name} wrote more than the {limit} bytes that were expected")));
        }
        Ok(output)
    }

    /// Has pg_restore tell which entry its complaints are about: from 15 on it does so only among what it tells of every entry, all of which is heard.
    #[must_use]
    pub fn telling(mut self) -> Tool {
        self.heard = HEARD_OF_FAILURES;
        self.arguments.insert(0, "--verbose".into());
        self
    }

    /// Runs a pg_restore that goes on after errors, to its end. Returns the entries that it could not bring back.
    pub fn run_on(self, stop: &Stop) -> Result<Vec<Failed>> {
        let mut process = self.telling().start(Stdio::null(), stop)?;
        while !process.ended_within(Duration::from_secs(1))? {
            stop.check()?;
            stop.moved();
        }
        let status = process.child.wait().map_err(|error| process.lost(error))?;
        let stderr = process.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        stop.check()?;
        if stderr.len() as u64 >= HEARD_OF_FAILURES {
            return Err(Error::new(Kind::Failed, format!("{} complains of more than can be told", process.name)));
        }
        let said = String::from_utf8_lossy(&stderr);
        let failed = failed_entries(&said);
        // With 1 it says that it ignored errors, and also that it could not even begin.
        if status.success() || (status.code() == Some(1) && !failed.is_empty() && all_heard(&said)) {
            Ok(failed)
        } else {
            Err(failure(&process.name, status, &stderr))
        }
    }

    /// Runs it to its end; its standard output is dropped.
    pub fn run(self, stop: &Stop) -> Result<()> {
        self.start(Stdio::null(), stop)?.finish()
    }
}

/// A running child. Dropped, it is killed and waited for.
pub struct Process {
    name: String,
    child: Child,
    group: Pid,
    ending: Ending,
    stop: Stop,
    complaints: Option<std::thread::JoinHandle<Vec<u8>>>,
    _hook: Hooked,
    ended: bool,
}

impl Process {
    /// Its standard output, which counts as movement when read.
    pub fn stdout(&mut self) -> impl Read + use<> {
        Moving { stdout: self.child.stdout.take().expect("stdout was piped and is taken once"), stop: self.stop.clone() }
    }

    /// Tells it to end, as the token would. The caller waits.
    pub fn end(&self) {
        if !self.ended {
            self.ending.send(self.group);
        }
    }

    /// Waits for its end, for at most `limit`. Whether it has ended; `finish` tells how.
    pub fn ended_within(&mut self, limit: Duration) -> Result<bool> {
        let (begun, mut pause) = (Instant::now(), Duration::from_millis(1));
        while !self.ended {
            self.ended = self.child.try_wait().map_err(|error| self.lost(error))?.is_some();
            let left = limit.saturating_sub(begun.elapsed());
            if self.ended || left.is_zero() {
                break;
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        Ok(self.ended)
    }

    fn lost(&self, error: io::Error) -> Error {
        Error::new(Kind::Failed, format!("cannot wait for {}", self.name)).because(error)
    }

    /// Waits for the end. Success is exit status 0 and nothing else.
    pub fn finish(self) -> Result<()> {
        self.finish_watching(|| ())
    }

    /// As `finish`, calling `look` now and then, so that the caller can see whether something moves.
    pub fn finish_watching(self, look: impl FnMut()) -> Result<()> {
        self.finish_told(look).map(drop)
    }

    /// As `finish_watching`. Returns what the tool warned of, cut down as its errors are.
    pub fn finish_told(mut self, mut look: impl FnMut()) -> Result<Vec<String>> {
        let mut asked_to_stop: Option<Instant> = None;
        let mut pause = Duration::from_millis(1);
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => {}
                Err(error) => return Err(self.lost(error)),
            }
            look();
            if self.stop.reason().is_some() && asked_to_stop.get_or_insert_with(Instant::now).elapsed() > GRACE {
                let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        };
        self.ended = true;
        let stderr = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        self.stop.check()?;
        if status.success() { Ok(warnings::of(&self.name, &stderr)) } else { Err(failure(&self.name, status, &stderr)) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended {
            let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

struct Moving {
    stdout: ChildStdout,
    stop: Stop,
}

impl Read for Moving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.stdout.read(buffer)?;
        self.stop.moved();
        Ok(length)
    }
}

/// What libpq, the tools and the server say when a connection could not be made or was lost (fe-connect.c, fe-exec.c, fe-misc.c, fe-secure.c,
/// fe-secure-openssl.c, snapmgr.c).
const LOST: &[&str] = &[
    "connection to server",
    "could not connect to database",
    "server closed the connection",
    "terminating connection",
    "no connection to the server",
    "connection not open",
    "could not receive data from server",
    "could not send data to server",
    "SSL connection has been closed unexpectedly",
    "SSL SYSCALL error",
    // A snapshot goes with the session that exported it.
    "invalid snapshot identifier",
    "could not import the requested snapshot",
    "snapshot \"",
];

/// What sort of failure a tool's complaint tells of.
pub fn kind_of(said: &str) -> Kind {
    if said.contains("lock timeout") {
        Kind::TimedOut
    } else if LOST.iter().any(|words| said.contains(words)) {
        Kind::Unreachable
    } else if said.contains("No space left on device") {
        Kind::Storage
    } else {
        Kind::Failed
    }
}

fn failure(name: &str, status: ExitStatus, stderr: &[u8]) -> Error {
    let stderr = String::from_utf8_lossy(stderr);
    let said = clean(&stderr);
    let mut kind = kind_of(&said);
    // pg_dump carries out --lock-wait-timeout as a statement_timeout around LOCK TABLE (pg_dump.c, `getTables`).
    if name.starts_with("pg_dump") && said.contains("due to statement timeout") {
        kind = Kind::TimedOut;
    }
    let error = Error::new(kind, format!("{name} failed ({status})"));
    let no_room = said.contains("out of shared memory");
    let error = if said.is_empty() { error } else { error.because(Said { text: said, fault: complaint(&stderr) }) };
    match kind {
        Kind::TimedOut => {
            error.hinted("something holds a lock that conflicts with reading (an ALTER, a TRUNCATE, a VACUUM FULL): run again later, or raise BACKUP_LOCK_WAIT")
        }
        Kind::Unreachable => error.hinted("look whether the server was stopped or restarted; the next run starts afresh"),
        Kind::Storage => error.hinted("free some space on this volume; earlier backups were not touched"),
        _ if no_room => error.hinted(crate::postgres::sqlstate::NO_ROOM_FOR_LOCKS),
        _ => error,
    }
}

/// What a tool's complaint says of the machine. A row's value, which may stand in the server's messages, decides nothing: the words count only at
/// the beginning of a message or behind a name in quotes.
fn complaint(stderr: &str) -> Option<Fault> {
    stderr
        .lines()
        .filter(|line| line.contains("ERROR:  ") || line.contains("FATAL:  ") || line.starts_with("pg_") || line.starts_with("initdb"))
        .find_map(Fault::of_message)
}

/// What a PostgreSQL tool complained about, without what may carry row values: DETAIL, HINT, CONTEXT and the statement are left out, and
/// so is the text of every server error that is not known to name objects only. Of archive entries that neither carry nor check rows it is shown.
pub fn clean(stderr: &str) -> String {
    const CLEAN: &[&str] = &[
        "permission denied for ",
        "permission denied to ",
        "must be able to SET ROLE ",
        "must be member of role ",
        "must be owner of ",
        "must be superuser",
        "canceling statement due to ",
        "terminating connection due to ",
        "could not obtain lock on ",
        "role \"",
        "database \"",
        "schema \"",
        "relation \"",
        "table \"",
        "extension \"",
        "type \"",
        "function ",
        "language \"",
        "tablespace \"",
        "collation \"",
        "operator ",
        "text search ",
        "access method \"",
        "could not open extension control file",
        "could not access file",
        "could not create unique index ",
        "could not extend file",
        "could not write to file",
        "could not resize shared memory",
        "out of memory",
        "out of shared memory",
        "no space left",
        "query would be affected by row-level security",
        "unrecognized configuration parameter",
        "cannot execute ",
        "deadlock detected",
        "multiple primary keys",
        "constraint \"",
        "insert or update on table ",
        "publication \"",
        "foreign-data wrapper \"",
        "server \"",
        "could not connect to server \"",
        "could not establish connection",
        "event trigger \"",
        "the database system is ",
        "could not map anonymous shared memory",
        "could not create shared memory segment",
        "could not load library ",
        "could not create lock file ",
        "data directory ",
        "password authentication failed",
        "no pg_hba.conf entry",
        "too many connections",
        "sorry, too many clients",
        "remaining connection slots",
        "could not serialize ",
        "invalid snapshot identifier",
        "could not import the requested snapshot",
        "snapshot \"",
    ];
    let (mut kept, mut server_spoke): (Vec<String>, bool) = (Vec::new(), false);
    // Several processes of one pg_restore may talk at once: one entry about rows is enough to withhold what is said from there on.
    let mut about_rows = None;
    for line in stderr.lines() {
        if let Some(listed) = line.strip_prefix(FROM) {
            about_rows = Some(about_rows.unwrap_or(false) || is_about_rows(listed));
        }
        let Some((tool, rest)) = line.split_once(": ") else { continue };
        if !(tool.starts_with("pg_") || tool == "initdb" || tool == "postgres")
            || rest.starts_with("detail:")
            || rest.starts_with("hint:")
            || rest.starts_with("warning:")
            || rest.starts_with("from TOC entry")
            || rest.starts_with("while ")
            || (tool == "pg_restore" && !rest.starts_with("error: "))
            || rest.ends_with("not removed at user's request")
        {
            continue;
        }
        let reported = ["ERROR:  ", "FATAL:  ", "PANIC:  "].into_iter().find_map(|severity| rest.split_once(severity));
        let text = match reported {
            // A server's log may hold statements, and these hold values.
            None if tool == "postgres" => continue,
            Some((before, message)) if CLEAN.iter().any(|start| message.starts_with(start)) => format!("{before}{message}"),
            Some((before, message)) if about_rows == Some(false) && !quotes_a_value(message) => format!("{before}{message}"),
            Some((before, _)) => format!("{before}(the server's message is withheld: it may hold row values; see the server's log)"),
            // A value may have lines of its own, and these may look like the tool's: after the server's text nothing is taken for the tool's own.
            None if server_spoke || rest.contains("uery was") || rest.contains("ommand was") => continue,
            None => rest.to_owned(),
        };
        server_spoke |= reported.is_some();
        let text: String = text.trim_start_matches("error: ").chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(400).collect();
        if kept.len() < 5 && !kept.contains(&text) {
            kept.push(text);
        }
    }
    kept.join("; ")
}

#[cfg(test)]
mod tests {
    use super::{clean, failure};
    use crate::error::Kind;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    #[test]
    fn what_children_say_decides_the_class() {
        let check = |stderr: &str, kind| assert_eq!(failure("pg_dump", ExitStatus::from_raw(256), stderr.as_bytes()).kind(), kind, "{stderr}");
        check("pg_dumpall: error: could not connect to database \"dbname='app'\"\n", Kind::Unreachable);
        check("pg_dump: error: connection to server at \"db\", port 5432 failed: server closed the connection unexpectedly\n", Kind::Unreachable);
        check("pg_dump: error: query failed: no connection to the server\npg_dump: detail: Query was: SELECT 1\n", Kind::Unreachable);
        check("pg_dump: error: query failed: could not receive data from server: Connection reset by peer\n", Kind::Unreachable);
        check("pg_dump: error: query failed: SSL connection has been closed unexpectedly\n", Kind::Unreachable);
        check("pg_dump: error: query failed: SSL SYSCALL error: EOF detected\n", Kind::Unreachable);
        check("pg_dump: error: query failed: ERROR:  invalid snapshot identifier: \"00000003-0000001B-1\"\n", Kind::Unreachable);
        check("pg_dump: error: query failed: ERROR:  snapshot \"00000003-0000001B-1\" does not exist\n", Kind::Unreachable);
        check("pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout\n", Kind::TimedOut);
        check("pg_dump: error: could not write to output file: No space left on device\n", Kind::Storage);
        check("pg_dump: error: query failed: ERROR:  permission denied for table t\n", Kind::Failed);
    }

    #[test]
    fn what_children_say_is_shown_without_row_values() {
        let check = |stderr: &str, expected: &str| assert_eq!(clean(stderr), expected, "{stderr}");
        check(
            "pg_dump: error: query failed: ERROR:  permission denied for table t\npg_dump: detail: Query was: LOCK TABLE t\n",
            "query failed: permission denied for table t",
        );
        check(
            "pg_restore: error: could not execute query: ERROR:  duplicate key value violates unique constraint \"u\"\nDETAIL:  Key (email)=(x@example.org) already exists.\nCommand was: ALTER TABLE",
            "could not execute query: (the server's message is withheld: it may hold row values; see the server's log)",
        );
        check(
            "pg_restore: while PROCESSING TOC:\npg_restore: from TOC entry 215; 1259 16389 TABLE t o\npg_restore: error: could not execute query: ERROR:  role \"bob\" does not exist\nCommand was: ALTER x@example.org",
            "could not execute query: role \"bob\" does not exist",
        );
        check(
            "pg_dump: error: Error message from server: ERROR:  invalid input syntax for type integer: \"x@example.org\"\nCONTEXT:  x@example.org\n",
            "Error message from server: (the server's message is withheld: it may hold row values; see the server's log)",
        );
        check(
            "postgres: LOG:  statement: INSERT INTO t VALUES ('x@example.org')\npostgres: FATAL:  could not load library \"a.so\": no\n",
            "could not load library \"a.so\": no",
        );
        check(
            "pg_restore: error: could not execute query: ERROR:  invalid input syntax for type integer: \"1\npg_restore: error: x@example.org\"\n",
            "could not execute query: (the server's message is withheld: it may hold row values; see the server's log)",
        );
        let table = "pg_restore: from TOC entry 215; 1259 16389 TABLE t o\n";
        check(
            &format!("{table}pg_restore: error: could not execute query: ERROR:  no schema has been selected to create in\n"),
            "could not execute query: no schema has been selected to create in",
        );
        check(
            &format!("{table}pg_restore: error: could not execute query: ERROR:  invalid input syntax for type integer: \"x@example.org\"\n"),
            "could not execute query: (the server's message is withheld: it may hold row values; see the server's log)",
        );
        check(
            &format!("pg_restore: from TOC entry 9; 1259 3 INDEX i o\n{table}pg_restore: error: could not execute query: ERROR:  x@example.org is no number\n"),
            "could not execute query: (the server's message is withheld: it may hold row values; see the server's log)",
        );
        check("pg_dump: error: schema with OID 1 does not exist\n", "schema with OID 1 does not exist");
        check("", "");
        check("x@example.org\n", "");
    }
}
