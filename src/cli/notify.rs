//! `kluis notify test`, and the post for the commands that make runs.
//! It owns what is printed of a test; it leaves messages and sending to `crate::notify`.
//! Invariant: of a receiver only its kind and host are shown.

use super::journal::Journal;
use super::output::{GREEN, RED};
use super::text::{Cell, clean};
use super::{Context, End, args};
use crate::config::{self, Config, Flags, Process, Settings};
use crate::error::{Error, Kind, Result};
use crate::log::{Level, Line};
use crate::notify::post::{Office, parcel};
use crate::notify::send::{Limits, Refusal, Taken};
use crate::notify::{Post, message};
use crate::repository::Repository;
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;

/// What `kluis notify test --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    receivers: Vec<Told>,
}

/// One receiver.
#[derive(Debug, Serialize)]
struct Told {
    /// Its kind.
    kind: &'static str,
    /// Its host.
    host: String,
    /// Whether it took the message.
    ok: bool,
    /// Why not.
    reason: Option<String>,
}

/// Runs the command: a message to each receiver, all at once, each tried once.
pub fn run(context: &Context, arguments: &args::Notify) -> Result<End> {
    let args::NotifyCommand::Test = arguments.what;
    let (config, output) = (context.repository_config()?, &context.output);
    let notify = &config.common.notify;
    if notify.receivers.is_empty() {
        return Err(Error::usage("there is nobody to tell: BACKUP_NOTIFY is not set")
            .hinted("set it to the URLs of the receivers; kluis notify --help shows their forms"));
    }
    let notice = message::test(Timestamp::now());
    let secret = notify.secret.as_ref().map(|secret| secret.expose());
    let results: Vec<std::result::Result<Taken, Refusal>> = std::thread::scope(|scope| {
        let sent: Vec<_> = notify.receivers.iter().map(|receiver| scope.spawn(|| parcel(receiver, &notice, secret).send(Limits::default()))).collect();
        sent.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(Refusal::lasting("sending broke off")))).collect()
    });
    let told: Vec<Told> = (notify.receivers.iter().zip(results))
        .map(|(receiver, result)| Told {
            kind: receiver.kind.word(),
            host: receiver.host.clone(),
            ok: matches!(result, Ok(None)),
            reason: result.unwrap_or_else(|refusal| Some(refusal.reason)),
        })
        .collect();
    let all = told.iter().all(|told| told.ok);
    if output.json {
        output.json(&Report { receivers: told })?;
    } else {
        let row = |told: &Told| {
            let verdict = if told.ok { Cell::from("ok").styled(GREEN) } else { Cell::from("FAILED").styled(RED) };
            vec![Cell::from(told.kind), Cell::from(clean(&told.host)), verdict, Cell::from(clean(told.reason.as_deref().unwrap_or("")))]
        };
        output.print(&output.table("", &told.iter().map(row).collect::<Vec<_>>()))?;
    }
    Ok(if all { End::Done } else { End::Failed(Kind::Failed) })
}

/// Opens the post for a command that makes runs.
pub fn open(flags: &Flags, config: &Config, repository: &Repository, journal: &Arc<Journal>) -> Post {
    // What was told is noted under names that the repository's id is a part of. Where it cannot have one, each run says why.
    let _ = repository.settle_identity(&config.common.scratch_dir);
    // A heartbeat means every target, also when this command is about one of them.
    let all = config::load_repository(&Flags { target: None, ..flags.clone() }, &Process);
    let ours: Vec<(String, Settings)> = config.targets.iter().map(|target| (target.name.clone(), target.settings.clone())).collect();
    let targets = match all {
        Ok(all) if ours.iter().all(|(name, _)| all.targets.iter().any(|(known, _)| known == name)) => all.targets,
        _ => ours,
    };
    let (log, tail) = (journal.clone(), journal.clone());
    Post::start(Office {
        repository: repository.clone(),
        targets,
        notify: config.common.notify.clone(),
        zone: config.common.time_zone.clone(),
        tell: Arc::new(move |level: Level, event, target: Option<&str>, text| log.write(&Line { target, ..Line::new(Timestamp::now(), level, event, text) })),
        tail: Arc::new(move || tail.recent()),
        apart: flags.serving,
    })
}
