//! What the server knows: the repository's state, read at most once a second however many ask, and whether the daemon lives and reaches its databases.
//! It owns when to look again; it leaves reading to `catalog`, the model to `board`, and looks to `page` and `metrics`.
//! Invariant: what is told is never older than [`CURRENT`], and asking more often costs the disk and the database nothing more.

use crate::board::{self, Ahead, Board, Given, Stand, Voice};
use crate::catalog::{Catalog, Shelf};
use crate::config::{Language, Settings};
use crate::error::{Error, Kind, Result};
use crate::metrics::{self, Format};
use crate::notify;
use crate::page::{self, Words};
use crate::postgres::connection::{Connection, Secret};
use crate::postgres::session::Session;
use crate::receiver::Receiver;
use crate::repository::{Repository, intent, progress};
use crate::status::State;
use crate::stop::Stop;
use hyper::body::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// For how long what was read counts as the present.
const CURRENT: Duration = Duration::from_secs(1);

/// For how long nobody tries again after a disk did not answer: those who ask meanwhile are told so at once.
const HUNG: Duration = Duration::from_secs(10);

/// For how long the answer of a database does.
const REACHED: Duration = Duration::from_secs(10);

/// How long reading may take before the answer is that it takes too long.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a loop that waits may give no sign.
const SILENCE: Duration = Duration::from_secs(30);

/// How long work may go on after its own limit in time.
const OVERTIME: Duration = Duration::from_secs(600);

/// Signs of life of the daemon.
#[derive(Debug)]
pub struct Pulse {
    born: Instant,
    /// Until when, in milliseconds after `born`, no further sign is needed.
    alive_until: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Pulse {
        let pulse = Pulse { born: Instant::now(), alive_until: AtomicU64::new(0) };
        pulse.beat();
        pulse
    }
}

impl Pulse {
    /// The loop goes round.
    pub fn beat(&self) {
        self.alive_for(SILENCE);
    }

    /// The loop does work that ends within this limit.
    pub fn busy(&self, limit: Duration) {
        self.alive_for(limit.saturating_add(OVERTIME));
    }

    fn alive_for(&self, time: Duration) {
        let until = self.born.elapsed().saturating_add(time);
        self.alive_until.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether the loop has given a sign of life in time.
    pub fn is_alive(&self) -> bool {
        self.born.elapsed() <= Duration::from_millis(self.alive_until.load(Ordering::Relaxed))
    }
}

/// A target that is told of.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub settings: Settings,
    /// The way to its database, where readiness includes that.
    pub connection: Option<Connection>,
}

/// What was found out, and when; or why it could not be.
type Known<T> = Option<(Instant, Result<T, String>)>;

/// Everything the server needs.
#[derive(Debug)]
pub struct Site {
    /// The repository.
    pub repository: Repository,
    /// The targets.
    pub targets: Vec<Watched>,
    /// The folder that remembers which repository was here; nothing: nobody does.
    pub scratch: Option<PathBuf>,
    /// Those who are told when something happens.
    pub receivers: Vec<Receiver>,
    /// The zone in which times are shown.
    pub zone: TimeZone,
    /// The language of the page; nothing: the browser's.
    pub language: Option<Language>,
    /// The word that opens everything.
    pub token: Secret,
    /// Signs of life.
    pub pulse: Arc<Pulse>,
    shelves: Arc<Mutex<Shelves>>,
    now: tokio::sync::Mutex<Known<Arc<Snapshot>>>,
    ready: tokio::sync::Mutex<Known<()>>,
}

/// Whether messages arrive, by what the repository remembers of all attempts.
fn voice(repository: &Repository, receivers: &[Receiver]) -> Voice {
    let standings = notify::standings(repository, receivers);
    Voice {
        failures: standings.iter().map(|standing| standing.failures).sum(),
        last_failure: standings.iter().filter_map(|standing| standing.last_failure).max(),
    }
}

/// What is remembered between looks.
#[derive(Debug, Default)]
struct Shelves {
    catalog: Catalog,
    /// What is to come, with the hour for which that was worked out.
    ahead: HashMap<String, (i64, Ahead)>,
}

impl Site {
    /// A site about these targets, for those who have the token.
    pub fn new(repository: Repository, targets: Vec<Watched>, zone: TimeZone, pulse: Arc<Pulse>, token: Secret) -> Site {
        Site {
            repository,
            targets,
            scratch: None,
            receivers: Vec::new(),
            zone,
            language: None,
            token,
            pulse,
            shelves: Arc::default(),
            now: tokio::sync::Mutex::default(),
            ready: tokio::sync::Mutex::default(),
        }
    }

    /// How things stand now.
    pub(super) async fn snapshot(&self) -> Result<Arc<Snapshot>, String> {
        let mut now = self.now.lock().await;
        if let Some((at, known)) = &*now
            && at.elapsed() < if known.is_ok() { CURRENT } else { HUNG }
        {
            return known.clone();
        }
        let (repository, targets, shelves, receivers) = (self.repository.clone(), self.targets.clone(), self.shelves.clone(), self.receivers.clone());
        let (zone, scratch) = (self.zone.clone(), self.scratch.clone());
        let read = apart(move || {
            let mut shelves = shelves.lock().unwrap_or_else(PoisonError::into_inner);
            let (voice, now) = (voice(&repository, &receivers), Timestamp::now());
            let board = match scratch.map_or(Ok(()), |scratch| repository.check_identity(&scratch)) {
                Ok(()) => shelves.board(&repository, &targets, voice, now),
                // What lies in another repository says nothing of these targets.
                Err(error) => {
                    let stands = targets.iter().map(|target| board::unreadable(&target.name, &error.chain(), &target.settings, now));
                    board::board(stands.collect(), None, voice, now)
                }
            };
            Snapshot::new(board, zone)
        });
        let known = read.await.map(Arc::new).map_err(|error| error.to_string());
        *now = Some((Instant::now(), known.clone()));
        known
    }

    /// Whether storage and databases are reachable; if not, what is not, in words.
    pub(super) async fn ready(&self) -> Result<(), String> {
        let mut ready = self.ready.lock().await;
        if let Some((at, answer)) = &*ready
            && at.elapsed() < REACHED
        {
            return answer.clone();
        }
        let (repository, targets) = (self.repository.clone(), self.targets.clone());
        let answer = apart(move || reach(&repository, &targets)).await.unwrap_or_else(|error| Err(error.to_string()));
        *ready = Some((Instant::now(), answer.clone()));
        answer
    }
}

/// Does something that may wait for a disk or a network on a thread for such things.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    match tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err(Error::new(Kind::Failed, "looking at the repository failed: this is a bug in kluis")),
        Err(_) => Err(Error::new(Kind::TimedOut, "the repository does not answer in time")),
    }
}

fn reach(repository: &Repository, targets: &[Watched]) -> Result<(), String> {
    repository.check_writable().map_err(|_| "the repository cannot be written to: kluis doctor says why".to_owned())?;
    for target in targets {
        let folder = repository.target(&target.name);
        let storage = folder.exists().and_then(|there| if there { folder.check_writable() } else { Ok(()) });
        storage.map_err(|_| format!("the folder of target '{}' cannot be written to: kluis doctor says why", target.name))?;
        let Some(connection) = &target.connection else { continue };
        let limited = Connection { connect_timeout: connection.connect_timeout.min(Duration::from_secs(5)), ..connection.clone() };
        Session::connect(&limited, &Stop::new())
            .map(drop)
            .map_err(|_| format!("the database of target '{}' cannot be reached: kluis doctor says why", target.name))?;
    }
    Ok(())
}

impl Shelves {
    fn board(&mut self, repository: &Repository, targets: &[Watched], voice: Voice, now: Timestamp) -> Board {
        let stands = targets.iter().map(|target| self.stand(repository, target, now)).collect();
        board::board(stands, repository.room().ok(), voice, now)
    }

    fn stand(&mut self, repository: &Repository, target: &Watched, now: Timestamp) -> Stand {
        let folder = repository.target(&target.name);
        let unreadable = |error: Error| board::unreadable(&target.name, &error.chain(), &target.settings, now);
        let (shelf, changed) = match self.catalog.look(&folder, now) {
            Ok(found) => found,
            Err(error) => return unreadable(error),
        };
        let hour = now.as_second() / 3600;
        let known = self.ahead.get(&target.name).is_some_and(|(at, _)| *at == hour);
        if changed || !known {
            self.ahead.insert(target.name.clone(), (hour, ahead(shelf, &target.settings, now)));
        }
        let none = Ahead::default();
        let ahead = self.ahead.get(&target.name).map_or(&none, |(_, ahead)| ahead);
        // Progress that cannot be read is no reason to tell nothing of the backups.
        let progress = progress::read(&folder).ok().flatten();
        let intent = intent::read(&folder).ok().flatten().unwrap_or_default();
        board::stand(&Given { name: &target.name, settings: &target.settings, shelf, progress, intent, ahead }, now)
    }
}

fn ahead(shelf: &Shelf, settings: &Settings, now: Timestamp) -> Ahead {
    let candidates: Vec<_> = shelf.backups.iter().map(|backup| backup.candidate.clone()).collect();
    board::ahead(&candidates, &settings.policy, &settings.schedule, &board::facts(shelf, settings, now), now)
}

/// How things stood at one moment, in every form, each made when it is first asked for.
#[derive(Debug)]
pub(super) struct Snapshot {
    board: Board,
    zone: TimeZone,
    pages: [OnceLock<Bytes>; 2],
    metrics: [OnceLock<Bytes>; 2],
    status: OnceLock<Bytes>,
    backups: OnceLock<Bytes>,
}

impl Snapshot {
    fn new(board: Board, zone: TimeZone) -> Snapshot {
        Snapshot { board, zone, pages: Default::default(), metrics: Default::default(), status: OnceLock::new(), backups: OnceLock::new() }
    }

    /// The state of the worst target.
    pub fn state(&self) -> State {
        self.board.state
    }

    /// The status page.
    pub fn page(&self, language: Language) -> Bytes {
        let place = usize::from(language == Language::Dutch);
        self.pages[place].get_or_init(|| page::page(&self.board, &Words { language, zone: self.zone.clone() }).into()).clone()
    }

    /// The metrics.
    pub fn metrics(&self, format: Format) -> Bytes {
        let place = usize::from(format == Format::OpenMetrics);
        self.metrics[place].get_or_init(|| metrics::render(&self.board, format).into()).clone()
    }

    /// Everything but the restore points, as JSON.
    pub fn status(&self) -> Bytes {
        self.status.get_or_init(|| text(&json!({ "version": 1, "status": self.board }))).clone()
    }

    /// The restore points, as JSON.
    pub fn backups(&self) -> Bytes {
        let targets = self.board.targets.iter().map(|stand| json!({ "target": stand.view.target, "backups": stand.points }));
        self.backups.get_or_init(|| text(&json!({ "version": 1, "at": self.board.at, "targets": targets.collect::<Vec<Value>>() }))).clone()
    }
}

fn text(value: &Value) -> Bytes {
    format!("{value:#}\n").into()
}
