//! `kluis serve`: the sidecar. The schedule loop of `crate::daemon` in the real world: this machine's clock, signals, runs, and the log.
//! It owns starting and ending; it leaves what is due to the daemon and each run to `crate::run`.
//! Invariant: what ends it is a signal or a wrong configuration, never a failed run.

use super::journal::Journal;
use super::text::{count, time};
use super::watch::Watch;
use super::{Context, End, notify, places};
use crate::config::{Config, Drill, Target};
use crate::daemon::{self, Ended, Job, Trigger, Unproven, Work, World};
use crate::drill;
use crate::error::{Error, Kind, Result};
use crate::events::Silent;
use crate::exception::{self, Exceptions};
use crate::finding::sentences;
use crate::http::{Pulse, Server, Site, Watched, token};
use crate::log::{Level, Line};
use crate::manifest::Proof;
use crate::notify::Post;
use crate::past::Past;
use crate::postgres::connection::Secret;
use crate::postgres::throwaway;
use crate::postgres::tools::Places;
use crate::proof::{Attempt, begin_drill, record_drill, undo_drill};
use crate::repository::history;
use crate::repository::intent::{Intent, Told};
use crate::repository::list::Listing;
use crate::repository::{Repository, TargetFolder, progress};
use crate::run;
use crate::status;
use crate::units::{first, format_duration};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How often a waiting daemon looks for signals.
const TICK: Duration = Duration::from_millis(250);

/// How long a drill waits for the lock to write its verdict down.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a daemon that ends waits for messages that are on their way.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Runs the command until a signal ends it.
pub fn run(context: &Context) -> Result<End> {
    let config = context.config()?;
    let repository = Repository::open_for_writing(&config.common.dir)?;
    let journal = Arc::new(Journal::of_daemon(&config.common));
    let watch = Watch::new()?;
    let pulse: Arc<Pulse> = Arc::default();
    let post = notify::open(&context.flags, &config, &repository, &journal);
    let sidecar = Sidecar { journal, watch, places: places(&config.common), repository, pulse, config: &config, post };
    sidecar.begin()?;
    let _server = sidecar.answer();
    let jobs: Vec<Job> = config.targets.iter().map(job).collect();
    let mut real = Real { sidecar: &sidecar, intents: jobs.iter().map(|_| (Intent::default(), None)).collect(), last: None };
    daemon::serve(&jobs, &mut real);
    sidecar.tell(Level::Info, "stopped", None, format!("stopped by signal {}", sidecar.watch.signal().unwrap_or(0)));
    // What is not told by then the next start tells.
    sidecar.post.finish(LAST_WORDS, || false);
    Ok(End::Done)
}

fn job(target: &Target) -> Job {
    Job { schedule: target.settings.schedule.clone(), drill: target.settings.drill.clone() }
}

/// What the daemon works with.
struct Sidecar<'a> {
    config: &'a Config,
    repository: Repository,
    places: Places,
    journal: Arc<Journal>,
    watch: Watch,
    post: Post,
    pulse: Arc<Pulse>,
}

impl Sidecar<'_> {
    fn tell(&self, level: Level, event: &'static str, target: Option<&str>, message: String) {
        self.journal.write(&Line { target, ..Line::new(Timestamp::now(), level, event, message) });
    }

    fn folder(&self, target: usize) -> TargetFolder {
        self.repository.target(&self.config.targets[target].name)
    }

    /// Says what will be done, and clears away what a killed drill has left.
    fn begin(&self) -> Result<()> {
        let common = &self.config.common;
        let dir = common.dir.display();
        self.tell(
            Level::Info,
            "started",
            None,
            format!("kluis {} serves {} in {dir}", env!("CARGO_PKG_VERSION"), count(self.config.targets.len() as u64, "target")),
        );
        match throwaway::sweep(&common.scratch_dir) {
            Ok(swept) if swept.is_empty() => {}
            Ok(swept) => self.tell(Level::Warning, "swept", None, format!("what killed drills had left was removed: {}", swept.join(", "))),
            Err(error) => {
                self.tell(Level::Warning, "warning", None, format!("the scratch folder cannot be used, so that no backup can be proven: {}", chain(&error)))
            }
        }
        let now = Timestamp::now();
        for target in &self.config.targets {
            let settings = &target.settings;
            let folder = self.repository.target(&target.name);
            let view = match Listing::with_history(&folder) {
                Ok((listing, history)) => {
                    // Health checks look each minute, and the first run may be a day away.
                    listing.condense_if_free(&folder);
                    status::view(&folder, &listing, &history, settings, now)
                }
                // Others may be well, and this one again tomorrow.
                Err(error) => {
                    self.tell(Level::Error, "target", Some(&target.name), format!("its backups cannot be read: {}", chain(&error)));
                    continue;
                }
            };
            let next = view.next_run.map_or_else(|| "never".to_owned(), |at| time(at, &common.time_zone));
            let message = format!("{}: {}; scheduled {}, next {next}", view.state.word(), view.why, settings.schedule.describe());
            let level = if view.state == status::State::Stale { Level::Warning } else { Level::Info };
            self.tell(level, "target", Some(&target.name), message);
        }
        Ok(())
    }

    /// The token of the page: the configured one, else that of the scratch folder. Where that folder cannot keep one, one that nobody knows: verdicts are
    /// answered all the same.
    fn page_token(&self) -> Result<Secret> {
        let common = &self.config.common;
        if let Some(token) = &common.http_token {
            return Ok(token.clone());
        }
        token::own(&common.scratch_dir).or_else(|error| {
            self.tell(
                Level::Warning,
                "warning",
                None,
                format!("the status page has no token that could be told, so that it shows verdicts only: set BACKUP_HTTP_TOKEN: {}", chain(&error)),
            );
            token::fresh()
        })
    }

    /// Starts the HTTP server, where one is wanted. Backups matter more than being seen: without it the sidecar goes on, and the log says so.
    fn answer(&self) -> Option<Server> {
        let common = &self.config.common;
        let address = common.http?;
        let watched = |target: &Target| Watched { name: target.name.clone(), settings: target.settings.clone(), connection: Some(target.connection.clone()) };
        let targets = self.config.targets.iter().map(watched).collect();
        let token = match self.page_token() {
            Ok(token) => token,
            Err(error) => {
                self.tell(Level::Error, "http-failed", None, format!("there is no status page: {}", chain(&error)));
                return None;
            }
        };
        let mut site = Site::new(self.repository.clone(), targets, common.time_zone.clone(), self.pulse.clone(), token);
        (site.language, site.receivers, site.scratch) = (common.lang, common.notify.receivers.clone(), Some(common.scratch_dir.clone()));
        match Server::listen(address, site) {
            Ok(server) => {
                self.tell(
                    Level::Info,
                    "http",
                    None,
                    format!("the status page is at {}; kluis status --page prints the address with its token", server.address()),
                );
                Some(server)
            }
            Err(error) => {
                self.tell(Level::Error, "http-failed", None, format!("there is no status page: {}", chain(&error)));
                None
            }
        }
    }

    /// Makes a run. Returns when it began, and its error.
    fn backup(&self, target: &Target, trigger: Trigger) -> (Timestamp, Option<Error>) {
        let (stop, _dog) = self.watch.limited(&target.settings);
        let started = Timestamp::now();
        let log = self.journal.run(&target.name, started, trigger.word());
        self.post.began(&target.name, started);
        let context = run::Context {
            repository: &self.repository,
            target,
            places: &self.places,
            scratch: &self.config.common.scratch_dir,
            trigger: trigger.word(),
            started,
        };
        let result = run::run(&context, &stop, &log);
        log.ended(&result);
        (started, result.err())
    }

    fn drill(&self, target: &Target) -> Ended {
        let folder = self.repository.target(&target.name);
        match self.drill_newest(target, &folder) {
            Ok(Some((level, message, judged))) => {
                self.tell(level, "drilled", Some(&target.name), message);
                return if judged { Ended::Done } else { Ended::Failed(Kind::Failed) };
            }
            Ok(None) => {
                let what = Listing::read(&folder).ok().and_then(|listing| listing.unreliable());
                let why =
                    what.map_or_else(|| "there is no backup to drill yet".to_owned(), |what| format!("there is no backup to drill that is not bad: {what}"));
                self.tell(Level::Warning, "drilled", Some(&target.name), why);
            }
            Err(error) => {
                self.tell(Level::Error, "drill-failed", Some(&target.name), format!("the drill failed: {}", chain(&error)));
                return Ended::Failed(error.kind());
            }
        }
        Ended::Done
    }

    /// Drills the newest backup. Returns what is to be told, and whether there was a verdict; nothing where there is no backup to drill.
    fn drill_newest(&self, target: &Target, folder: &TargetFolder) -> Result<Option<(Level, String, bool)>> {
        let (settings, common) = (&target.settings, &self.config.common);
        let listing = Listing::read(folder)?;
        let Some(backup) = listing.latest() else { return Ok(None) };
        let (stop, _dog) = self.watch.limited(settings);
        let attempt = begin_drill(folder, backup, &stop)?;
        throwaway::sweep(&common.scratch_dir)?;
        let request = drill::Request {
            backup,
            places: &self.places,
            scratch: &common.scratch_dir,
            jobs: settings.jobs,
            assertions: settings.assertions.as_deref(),
            nice: drill::NICE,
        };
        let verdict = drill::drill(&request, &stop, &Silent).inspect_err(|error| {
            if error.kind() == Kind::Interrupted {
                undo_drill(folder, backup, attempt);
            }
        })?;
        let before = if backup.is_proven() { backup.excepted() } else { listing.excepted_before(&backup.id) };
        record_drill(folder, &backup.path, &verdict, PATIENCE.max(settings.lock_timeout), &stop)?;
        self.post.changed();
        Ok(Some(match verdict {
            drill::Verdict::Proven { facts, exceptions, .. } => {
                let exceptions = Exceptions::of(&exceptions);
                let news = exceptions.new_since(&before).news();
                let message = format!(
                    "backup {} is {}: {} tables and {} rows compared, restored in {}{}",
                    backup.id,
                    exception::verdict("proven", exceptions.count()),
                    facts.tables,
                    facts.rows,
                    format_duration(Duration::from_millis(facts.restore_ms)),
                    news.as_ref().map(|news| format!("; {news}")).unwrap_or_default()
                );
                (if news.is_some() { Level::Warning } else { Level::Info }, message, true)
            }
            drill::Verdict::Bad(findings) => {
                let findings = first(&sentences(&findings), 10).join("; ");
                (Level::Error, format!("backup {} is BAD: {findings}", backup.id), true)
            }
            drill::Verdict::CannotJudge(reasons) => {
                let reasons = first(&sentences(&reasons), 10).join("; ");
                (Level::Warning, format!("backup {} could not be judged on this machine: {reasons}", backup.id), false)
            }
        }))
    }
}

fn chain(error: &Error) -> String {
    error.hint().map_or_else(|| error.chain(), |hint| format!("{}; hint: {hint}", error.chain()))
}

/// The daemon's world.
struct Real<'a> {
    sidecar: &'a Sidecar<'a>,
    /// What is told of each target to whoever asks how it stands.
    intents: Vec<(Intent, Option<Told>)>,
    /// The run that ended last, and of which nobody was told yet.
    last: Option<(Timestamp, Option<Error>)>,
}

impl Real<'_> {
    /// Tells what is about to be done. Whoever does not hear it hears of the schedule only.
    fn intend(&mut self, target: usize, change: impl FnOnce(&mut Intent)) {
        let folder = self.sidecar.folder(target);
        let (intent, told) = &mut self.intents[target];
        change(intent);
        match told {
            _ if *intent == Intent::default() => *told = None,
            Some(told) => {
                let _ = told.say(*intent);
            }
            None => *told = Told::new(&folder, *intent).ok(),
        }
    }

    /// Says in the log when what failed is tried again.
    fn tell_of_waiting(&self, target: &Target, work: Work, again: Option<Timestamp>) {
        let (settings, zone) = (&target.settings, &self.sidecar.config.common.time_zone);
        let (what, schedule) = match (work, &settings.drill) {
            (Work::Drill, Drill::Cron(schedule)) => ("drill", schedule),
            (Work::Drill, _) => ("drill", &settings.schedule),
            (Work::Backup, _) => ("run", &settings.schedule),
        };
        let next = schedule.next_after(Timestamp::now());
        let at = next.map_or_else(|| "no time ever".to_owned(), |at| time(at, zone));
        let message = match again.filter(|again| next.is_none_or(|next| *again < next)) {
            Some(again) => format!("the {what} will be tried again at {}", time(again, zone)),
            None if work == Work::Drill && matches!(settings.drill, Drill::EveryBackup) => format!("the next run proves a newer backup, at {at}"),
            None => format!("the next {what} is at {at}"),
        };
        self.sidecar.tell(Level::Info, "waiting", Some(&target.name), message);
    }
}

impl World for Real<'_> {
    fn now(&mut self) -> Timestamp {
        self.sidecar.pulse.beat();
        Timestamp::now()
    }

    fn stopped(&mut self) -> bool {
        self.sidecar.watch.signal().is_some()
    }

    fn wait(&mut self, at: Timestamp) {
        // By the wall clock at each tick, because it may be set while we wait.
        while !self.stopped() {
            self.sidecar.pulse.beat();
            let left = at.duration_since(Timestamp::now());
            if left <= SignedDuration::ZERO {
                return;
            }
            std::thread::sleep(TICK.min(left.unsigned_abs()));
        }
    }

    fn done(&mut self, target: usize, work: Work) -> Vec<Timestamp> {
        let folder = self.sidecar.folder(target);
        // What cannot be read is no reason not to back up: the run itself will say what is wrong.
        let listing = Listing::read(&folder).unwrap_or_default();
        match work {
            Work::Backup => Past::of(&history::read(&folder).unwrap_or_default(), &listing).began(),
            Work::Drill => {
                let proofs = listing.backups.into_iter().filter_map(|backup| backup.proof.ok().flatten());
                proofs.filter_map(|proof: Proof| proof.judged()).collect()
            }
        }
    }

    fn unproven(&mut self, target: usize) -> Option<Unproven> {
        let folder = self.sidecar.folder(target);
        if progress::read(&folder).ok().flatten().is_some() {
            return None;
        }
        let listing = Listing::read(&folder).ok()?;
        let backup = listing.latest().filter(|backup| !backup.is_proven())?;
        let Attempt { count, last } = Attempt::so_far(backup);
        Some(Unproven { id: backup.id.clone(), attempts: count, last })
    }

    fn carry_out(&mut self, target: usize, work: Work, trigger: Trigger) -> Ended {
        let place = target;
        let target = &self.sidecar.config.targets[target];
        self.sidecar.pulse.busy(target.settings.deadline);
        match work {
            Work::Backup => {
                self.intend(place, |intent| intent.again = None);
                let (started, error) = self.sidecar.backup(target, trigger);
                let ended = error.as_ref().map_or(Ended::Done, |error| Ended::Failed(error.kind()));
                self.last = Some((started, error));
                ended
            }
            Work::Drill => {
                self.intend(place, |intent| intent.proving = true);
                let ended = self.sidecar.drill(target);
                self.intend(place, |intent| intent.proving = false);
                ended
            }
        }
    }

    fn ended(&mut self, target: usize, work: Work, ended: Ended, again: Option<Timestamp>) {
        let place = target;
        let target = &self.sidecar.config.targets[target];
        if work == Work::Backup {
            self.intend(place, |intent| intent.again = again);
        }
        if !matches!(ended, Ended::Done | Ended::Failed(Kind::Interrupted)) {
            self.tell_of_waiting(target, work, again);
        }
        // Only now: a message says when it is tried again.
        if let Some((started, error)) = self.last.take() {
            self.sidecar.post.ended(&target.name, started, error.as_ref());
        }
    }
}
