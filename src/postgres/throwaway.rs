//! A throwaway PostgreSQL server: made from the installed programs, reachable by its own Unix socket only, gone without a trace.
//! It owns initdb, the server's settings, its start and its end; it leaves the database to its callers, folders and leftovers to its parts.
//! Invariant: nothing outlives it but for what a SIGKILL leaves, and that the kernel and the next [`sweep`] remove.
//!
//! It runs whatever stands in a backup as its superuser, so the operating system confines it to its data folder (see `sandbox`). initdb is not
//! confined: nothing of a backup but names has been seen by then, and it starts its own servers through /bin/sh.
//!
//! Nothing in such a server matters, so nothing in it is made durable, and it is always ended by an immediate shutdown.
//!
//! Who may connect: only who can enter the data folder, which holds the socket and has mode 0700, that is the server's own user and
//! root. Both can read the data files anyway, so a password would keep nobody out; `trust` is what this means in `pg_hba.conf`.
//!
//! It dies with us: the kernel sends it SIGQUIT when its keeper, a thread of ours that lives as long as the server, ends (prctl(2),
//! `PR_SET_PDEATHSIG`), and for PostgreSQL SIGQUIT is the immediate shutdown: sessions end at once, also in the middle of a statement.
//!
//! Shared memory: the buffers are an anonymous mapping and dynamic segments are files in the data folder; both go by themselves. What remains
//! is the 56-byte System V segment by which PostgreSQL tells that a data folder is in use (src/backend/port/sysv_shmem.c). The server
//! removes it at its end; after a SIGKILL of the server itself `leftovers` does.

mod account;
mod folder;
mod leftovers;
mod locale;
mod settings;

use crate::error::{Error, Kind, Result};
use crate::postgres::child::Tool;
use crate::postgres::connection::{ChannelBinding, Connection, SslMode, Tls};
use crate::postgres::opening;
use crate::postgres::sandbox::Support;
use crate::postgres::session::Session;
use crate::postgres::tools::Tools;
use crate::stop::Stop;
use account::Account;
use folder::Folder;
pub use folder::{sweep, try_folder};
pub use locale::Locale;
use rustix::process::Signal;
pub use settings::Memory;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long initdb and the start may take together. They run at a low priority: on a machine that is busy they take minutes, and no harm is done.
const START: Duration = Duration::from_secs(300);

/// How long the server or initdb may take to end. The server waits five seconds for its own processes before it kills them (postmaster.c, `SIGKILL_CHILDREN_AFTER_SECS`).
const END: Duration = Duration::from_secs(6);

/// The number in the socket's name. There is one server in a folder.
const PORT: u16 = 5432;

/// The first OID that the server gives to an object. A value of a type like `regclass` whose object was dropped is written as its number, and read as one:
/// here it must not be the number of anything. Counters start at 16384 and come this far in few lives (transam.h).
const FIRST_OID: u32 = 3_000_000_000;

/// What server to make.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// The programs; among them must be a server's.
    pub tools: &'a Tools,
    /// The folder for throwaway servers (BACKUP_SCRATCH_DIR). It is made if only its last part is missing.
    pub scratch: &'a Path,
    /// Encoding and locale of the server's first databases.
    pub locale: &'a Locale,
    /// The name of the bootstrap superuser, as whom [`Throwaway::connection`] connects.
    pub superuser: &'a str,
    /// How many sessions there will be at the same time, at most.
    pub sessions: usize,
    /// How much memory it may take.
    pub memory: Memory,
    /// By how much to lower its priority.
    pub nice: i32,
    /// Libraries to be preloaded. Those that this machine lacks, or that keep the server from starting, are left out: see [`Throwaway::left_out`].
    pub preload: &'a [String],
    /// Further settings; they win over ours.
    pub settings: &'a [(String, String)],
}

/// A running throwaway server. Dropped, it is ended and removed as well as that is possible; [`Throwaway::stop`] also says whether it was.
#[derive(Debug)]
pub struct Throwaway {
    connection: Connection,
    sandbox: Support,
    keeper: Keeper,
    left_out: Vec<String>,
    // After the keeper: fields are dropped in this order, and the folder goes last.
    folder: Folder,
}

impl Throwaway {
    /// Makes and starts one. Whatever fails here says something about this machine, never about a backup.
    pub fn start(options: &Options<'_>, stop: &Stop) -> Result<Throwaway> {
        check_server(options.tools)?;
        let deadline = Instant::now() + START;
        let account = Account::choose()?;
        let folder = Folder::create(options.scratch, account.as_ref())?;
        let data = folder.data().to_owned();
        let as_user = |tool: Tool| tool.user(account.as_ref().map(|account| (account.user, account.group))).folder(&data).nice(options.nice);
        let explain = |error: Error| explain(error, options, account.as_ref());
        run(as_user(locale::initdb(options, &data)), &data, deadline, stop).map_err(explain)?;
        let counter = Tool::new(options.tools.program("pg_resetwal")).arg(format!("--next-oid={FIRST_OID}")).arg("--pgdata").arg(&data);
        run(as_user(counter), &data, deadline, stop).map_err(explain)?;
        let sandbox = Support::of_this_machine();
        let server = |preload: &[String]| {
            let arguments = settings::arguments(options, preload, &data);
            let server = as_user(Tool::new(options.tools.program("postgres")).args(arguments)).ends_by(Signal::QUIT);
            Keeper::start(server.confined(sandbox), &data, stop)
        };
        let mut preload = options.preload.to_vec();
        let mut throwaway = Throwaway { connection: connection(options, &folder), sandbox, keeper: server(&preload)?, left_out: Vec::new(), folder };
        while let Err(error) = throwaway.wait_until_ready(deadline, stop) {
            // Without a library it may start: what needs that library cannot be judged then, and everything else can.
            let Some(library) = culprit(&preload, &error).filter(|_| !throwaway.is_running() && stop.reason().is_none()) else {
                return Err(explain(error));
            };
            throwaway.left_out.push(preload.remove(library));
            throwaway.keeper = server(&preload)?;
        }
        Ok(throwaway)
    }

    /// The libraries of [`Options::preload`] that could not be preloaded here.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The way to one of its databases, as its superuser. `postgres` and `template1` are there from the beginning.
    pub fn connection(&self, database: &str) -> Connection {
        self.connection.at(database)
    }

    /// A folder of its own, 0700 or owned by root, that goes with it: for passfiles, lists and whatever else nobody needs afterwards.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the operating system keeps it from.
    pub fn sandbox(&self) -> Support {
        self.sandbox
    }

    /// Whether it still runs. A server that a crash or the kernel ended is one that cannot judge.
    pub fn is_running(&self) -> bool {
        !self.keeper.ended.load(Ordering::SeqCst)
    }

    /// Ends it and removes everything. Works after the token tripped, too.
    pub fn stop(mut self) -> Result<()> {
        // How it ended is of no interest: what matters is that it is gone.
        let _ = self.keeper.end();
        self.folder.remove()
    }

    fn wait_until_ready(&mut self, deadline: Instant, stop: &Stop) -> Result<()> {
        let socket = self.folder.data().join(format!(".s.PGSQL.{PORT}"));
        loop {
            if !self.is_running() {
                return Err(self.keeper.end().err().unwrap_or_else(|| Error::new(Kind::Failed, "the server ended while it started")));
            }
            if socket.exists() {
                match Session::connect(&self.connection, stop) {
                    Ok(_) => return Ok(()),
                    Err(error) if Instant::now() > deadline => return Err(stop.explain(too_slow().because(error))),
                    Err(_) => {}
                }
            }
            if Instant::now() > deadline {
                return Err(too_slow());
            }
            stop.sleep(Duration::from_millis(10))?;
        }
    }
}

/// Runs initdb or what follows it. It is only asked to end, and does so after the step that it is at: killed, it leaves shared memory behind.
fn run(tool: Tool, data: &Path, deadline: Instant, stop: &Stop) -> Result<()> {
    let mut process = tool.ends_by(Signal::TERM).start(Stdio::null(), stop)?;
    while !process.ended_within(Duration::from_millis(20))? {
        if stop.reason().is_some() || Instant::now() > deadline {
            process.end();
            if !process.ended_within(END)? {
                leftovers::end_processes(data, leftovers::AT_ONCE);
            }
            stop.check()?;
            return Err(too_slow());
        }
    }
    process.finish()
}

/// The place of the library that kept the server from starting; the last one where the server does not name it.
fn culprit(preload: &[String], error: &Error) -> Option<usize> {
    let said = error.chain();
    let named = |library: &String| ["\"", "/"].iter().any(|before| [".so\"", "\""].iter().any(|after| said.contains(&format!("{before}{library}{after}"))));
    preload.iter().position(named).or_else(|| preload.len().checked_sub(1))
}

fn too_slow() -> Error {
    Error::new(Kind::TimedOut, format!("the throwaway server was not ready within {} s", START.as_secs()))
        .hinted("look at the load of this machine, and at the disk that holds BACKUP_SCRATCH_DIR")
}

fn connection(options: &Options<'_>, folder: &Folder) -> Connection {
    Connection {
        // The folder's path was found to be text when it was made.
        host: folder.data().to_string_lossy().into_owned(),
        port: PORT,
        database: "postgres".to_owned(),
        user: options.superuser.to_owned(),
        password: None,
        passfile: None,
        tls: Tls { mode: SslMode::Disable, ..Tls::default() },
        connect_timeout: Duration::from_secs(10),
        channel_binding: ChannelBinding::Disable,
        // What is restored may hold settings of databases and roles: they are not for us.
        options: Some(opening::in_throwaway(options.tools.major)),
        application_name: "kluis".to_owned(),
    }
}

/// Fails where only the client programs are installed.
fn check_server(tools: &Tools) -> Result<()> {
    if tools.has_server() {
        return Ok(());
    }
    let (major, folder) = (tools.major, tools.folder.display());
    Err(Error::new(Kind::Failed, format!("a throwaway server needs initdb and postgres of PostgreSQL {major}, and '{folder}' has only its client programs"))
        .hinted(format!("install the package postgresql-{major} (apt), or use the kluis image, which has it")))
}

/// Adds what a person can do about it.
fn explain(error: Error, options: &Options<'_>, account: Option<&Account>) -> Error {
    if matches!(error.kind(), Kind::Interrupted | Kind::TimedOut) {
        return error;
    }
    let (said, scratch) = (error.chain(), options.scratch.display());
    let hint = match account {
        Some(account) if said.contains("ermission denied") => {
            format!(
                "PostgreSQL refuses to run as root, so the server runs as user '{}': let that user enter '{scratch}' (or set BACKUP_SCRATCH_DIR), and run this program and those in '{}'",
                account.name,
                options.tools.folder.display()
            )
        }
        _ if said.contains("locale") || said.contains("encoding") => {
            format!("this machine lacks the database's locale ({}): install it (on Debian the package locales-all has every one)", options.locale.describe())
        }
        _ if said.contains("effective user ID") => "initdb wants a user with a name: run kluis as a user who is in /etc/passwd".to_owned(),
        _ if said.contains("No space left on device") => format!("free some space on the volume of '{scratch}', or set BACKUP_SCRATCH_DIR to a larger one"),
        _ if said.contains("shared memory") => "the server's shared memory does not fit: raise the memory limit of this container".to_owned(),
        _ => return error.context("cannot start a throwaway server"),
    };
    error.context("cannot start a throwaway server").hinted(hint)
}

/// The thread that starts the server and waits for its end: the server lives no longer than this thread.
#[derive(Debug)]
struct Keeper {
    ask: Option<mpsc::Sender<()>>,
    ended: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<Result<()>>>,
}

impl Keeper {
    fn start(server: Tool, data: &Path, stop: &Stop) -> Result<Keeper> {
        let (ask, asked) = mpsc::channel::<()>();
        let ended = Arc::new(AtomicBool::new(false));
        let (flag, stop, data) = (ended.clone(), stop.clone(), data.to_owned());
        let thread = std::thread::Builder::new().name("throwaway".into()).spawn(move || {
            let result = keep(server, &data, &asked, &stop);
            flag.store(true, Ordering::SeqCst);
            result
        });
        let thread = thread.map_err(|error| Error::new(Kind::Failed, "cannot start a thread").because(error))?;
        Ok(Keeper { ask: Some(ask), ended, thread: Some(thread) })
    }

    /// Ends the server. An error says why it had ended by itself.
    fn end(&mut self) -> Result<()> {
        self.ask = None;
        match self.thread.take().map(std::thread::JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Error::new(Kind::Failed, "the thread that keeps the throwaway server panicked: this is a bug in kluis")),
            None => Ok(()),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Runs the server until it is asked to end, or ends by itself.
fn keep(server: Tool, data: &Path, asked: &mpsc::Receiver<()>, stop: &Stop) -> Result<()> {
    let mut process = server.start(Stdio::null(), stop)?;
    loop {
        if process.ended_within(Duration::ZERO)? {
            // Sessions of a server that was killed may still be at work, and hold its stderr open.
            leftovers::end_processes(data, leftovers::AT_ONCE);
            return process.finish().and_then(|()| Err(Error::new(Kind::Failed, "the throwaway server ended by itself")));
        }
        if asked.recv_timeout(Duration::from_millis(50)) == Err(RecvTimeoutError::Disconnected) {
            break;
        }
    }
    process.end();
    process.ended_within(END)?;
    Ok(())
}
