//! The drill: a backup restored into a throwaway server and compared with what its own snapshot held.
//! It owns the verdict; it restores with the code of `restore`, compares with that of `compare`, and leaves recording to `proof`.
//! Invariant: it reads only the published files; "bad" is said of the backup, never of this machine: what is missing here is "cannot judge".

mod assertions;
mod bytes;
mod catalogue;
mod computing;
mod entries;
mod globals;
mod judge;
mod reasons;
mod schema;
mod values;
mod words;

use crate::error::{Error, Kind, Result};
use crate::events::{Event, Observer};
use crate::exception::Exception;
use crate::extensions;
use crate::finding::{Cause, Finding};
use crate::manifest::{DrillFacts, Manifest};
use crate::postgres::throwaway::{Locale, Memory, Options, Throwaway};
use crate::postgres::tools::{Places, Tools, find};
use crate::repository::list::Backup;
use crate::stop::Stop;
use crate::units::format_bytes;
use judge::{Judge, Papers};
use std::path::Path;
use std::time::Instant;

/// What to drill, and how.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The backup.
    pub backup: &'a Backup,
    /// Where PostgreSQL's programs are.
    pub places: &'a Places,
    /// The folder for the throwaway server.
    pub scratch: &'a Path,
    /// How many sessions restore and compare.
    pub jobs: usize,
    /// The operator's own checks: a folder of SQL files.
    pub assertions: Option<&'a Path>,
    /// By how much to lower the server's priority.
    pub nice: i32,
}

/// What a drill says.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The backup was restored and is equal; `asserted` where the operator's own checks were run, and passed.
    Proven {
        /// Whether there were assertions.
        asserted: bool,
        /// What was done.
        facts: DrillFacts,
        /// What a restore does not bring back, since no dump holds it.
        exceptions: Vec<Exception>,
    },
    /// The backup is wrong, in these ways.
    Bad(Vec<Finding>),
    /// It cannot be judged on this machine, for these reasons.
    CannotJudge(Vec<Finding>),
}

/// Drills. An error means that there is no verdict: the drill was stopped, or something failed that says nothing about the backup.
pub fn drill(request: &Request<'_>, stop: &Stop, observer: &dyn Observer) -> Result<Verdict> {
    let begun = Instant::now();
    let manifest = match request.backup.whole_or_why()? {
        Ok(manifest) => manifest,
        Err(why) => return Ok(Verdict::Bad(vec![Finding::new(Cause::Files, why)])),
    };
    observer.event(&Event::Step("look around"));
    let tools = match look_around(request, manifest)? {
        Ok(tools) => tools,
        Err(reason) => return Ok(Verdict::CannotJudge(vec![reason])),
    };
    observer.event(&Event::Step("look at the files, and start a throwaway server"));
    let (mut locale, scratch) = (Locale::from(&manifest.database), request.scratch);
    if let Some(money) = &manifest.money {
        // Every session that reads what the backup holds says so itself. Only what has no way to be told depends on the server.
        locale.monetary = if money.in_archive { money.archive.clone() } else { "C".to_owned() };
    }
    let (preload, sessions) = (extensions::preload(manifest), request.jobs * 2 + 8);
    let mut settings = extensions::settings(&preload, &manifest.database.name);
    settings.push(("max_locks_per_transaction".to_owned(), room_for_locks(manifest, sessions).to_string()));
    let options = Options {
        tools: &tools,
        scratch,
        locale: &locale,
        // The owner of the system's own objects, as in the source: rights on them name it.
        superuser: globals::superuser(manifest),
        sessions,
        memory: Memory::default(),
        nice: request.nice,
        preload: &preload,
        settings: &settings,
    };
    let (server, papers) = std::thread::scope(|scope| {
        let papers = scope.spawn(|| judge::papers(request, manifest, &tools, stop, observer));
        // It has a limit of its own.
        let starting = stop.unseen();
        let server = Throwaway::start(&options, stop);
        drop(starting);
        (server, papers.join().unwrap_or_else(|_| Err(Error::new(Kind::Failed, "a part of the drill panicked: this is a bug in kluis"))))
    });
    // What the files say for themselves holds with or without a server.
    let verified = match papers {
        Ok(Papers::Good(verified)) => verified,
        Ok(Papers::Wrong(verdict)) => return ended(server, Ok(verdict)),
        Err(error) => return ended(server, Err(error)),
    };
    let server = match server {
        Ok(server) => server,
        Err(error) if matches!(error.kind(), Kind::Interrupted | Kind::TimedOut) => return Err(error),
        // Nothing of the backup but its locale has been looked at by a server yet.
        Err(error) => return Ok(Verdict::CannotJudge(vec![reasons::finding(&error, with_hint(&error))])),
    };
    let judged = computing::as_the_source(&server.connection("postgres"), manifest, stop)
        .and_then(|()| Judge { request, manifest, tools: &tools, server: &server, begun, stop, observer }.verdict(&verified));
    let crashed = !server.is_running();
    let judged = match judged {
        Err(error) if crashed && !matches!(error.kind(), Kind::Interrupted | Kind::TimedOut) => {
            // The server's own end, by a crash or for want of memory, says nothing about the backup.
            let what = "the throwaway server ended by itself: look at the memory and the disk of this machine";
            Ok(Verdict::CannotJudge(vec![Finding::new(Cause::Machine, what)]))
        }
        judged => judged,
    };
    ended(Ok(server), judged)
}

/// Stops the server, if it runs. What was found comes before how that went.
fn ended(server: Result<Throwaway>, judged: Result<Verdict>) -> Result<Verdict> {
    let stopped = server.map_or(Ok(()), Throwaway::stop);
    judged.and_then(|verdict| stopped.map(|()| verdict))
}

/// For how many locks each session of the throwaway server has room. pg_dump locks every table; what the database has besides tables the manifest does not
/// tell, so it is taken to be as much again.
fn room_for_locks(manifest: &Manifest, sessions: usize) -> usize {
    (manifest.tables.len() * 2 / sessions).max(1024)
}

/// By how much the priority of a drill is lowered, so that it does not disturb its neighbours (nice(1)).
pub const NICE: i32 = 10;

/// What the drill will need: programs with a server, and space.
fn look_around(request: &Request<'_>, manifest: &Manifest) -> Result<Result<Tools, Finding>> {
    let tools = match find(request.places, manifest.server.major) {
        Ok(tools) if tools.has_server() => tools,
        Ok(tools) => {
            let what = format!(
                "'{}' has the client programs of PostgreSQL {} and no server: install the package postgresql-{}, or use the image, which has both",
                tools.folder.display(),
                tools.major,
                tools.major
            );
            return Ok(Err(Finding::new(Cause::NoServer, what)));
        }
        Err(error) => return Ok(Err(Finding::new(Cause::NoServer, with_hint(&error)))),
    };
    let mut folder = request.scratch;
    while !folder.exists() {
        folder = folder.parent().unwrap_or(Path::new("/"));
    }
    let stat = rustix::fs::statvfs(folder).map_err(|error| Error::io("look at the file system of", folder, error.into()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    // A database that was just restored has no dead rows: three times the plain text is more than tables and indexes ever took. While indexes are
    // built, their sorts and the write-ahead log take more than half as much again (measured: 1.4 to 1.6 times the database, by the number of jobs).
    let restored = manifest.database.bytes.min(manifest.script.plain_bytes.saturating_mul(3));
    let needed = restored.saturating_add(restored / 4 * 3).saturating_add(128 << 20);
    if free < needed {
        let what = format!(
            "'{}' has {} free, and the restored database would need about {}: free some space, or let BACKUP_SCRATCH_DIR name a larger volume",
            folder.display(),
            format_bytes(free),
            format_bytes(needed)
        );
        return Ok(Err(Finding::new(Cause::NoRoom, what)));
    }
    Ok(Ok(tools))
}

fn with_hint(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{} ({hint})", error.chain()),
        None => error.chain(),
    }
}
