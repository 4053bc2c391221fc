//! The post: threads that look at the targets and tell each receiver what is due.
//! It owns the threads, the order of looking, telling and remembering, and when to try again; it leaves what is due to `decide`.
//! Invariant: a receiver that hangs delays no other receiver, no run and no schedule; two processes on one repository never tell the same twice,
//! because whoever tells holds the receiver's note.

use super::decide::{self, Due, Known, Memory, Seen, Wants};
use super::message::{self, Notice};
use super::observe::{Failed, observe};
use super::request::{self, Beat};
use super::send::{Limits, Parcel, Refusal};
use super::standing::{note_names, noted};
use crate::config::{Notify, Settings};
use crate::error::{Error, Result};
use crate::log::Level;
use crate::past::least_max_age;
use crate::receiver::{Kind, Receiver};
use crate::repository::notebook::{Held, Notebook};
use crate::repository::{Repository, names};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long to wait after so many failures in a row. After the last one always so long.
const PATIENCE: [Duration; 6] = [
    Duration::from_secs(2),
    Duration::from_secs(8),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
];

/// After so many failed attempts a command no longer waits; the sidecar, or the next run, tries on.
const TRIES: u32 = 3;

/// For longer than this no command waits.
const LONG: Duration = Duration::from_secs(30);

/// How often whoever waits looks whether it is to stop.
const TICK: Duration = Duration::from_millis(100);

/// How long to wait for another process that is telling the same receiver.
const BUSY: Duration = Duration::from_secs(2);

/// How many beginnings of runs wait for their ping. More are dropped: a beginning that is told late helps nobody.
const STARTS: usize = 16;

/// Takes lines for the log: level, event, target, message.
pub type Tell = Arc<dyn Fn(Level, &'static str, Option<&str>, String) + Send + Sync>;

/// Gives the last lines of the log.
pub type Tail = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// What the post works with.
pub struct Office {
    /// Where the targets are, and where is remembered what was told.
    pub repository: Repository,
    /// Every target of the configuration, also those that this process does not back up: a heartbeat means all of them.
    pub targets: Vec<(String, Settings)>,
    /// Whom to tell, and of what.
    pub notify: Notify,
    /// The time zone of times in messages.
    pub zone: TimeZone,
    /// Where to tell of telling.
    pub tell: Tell,
    /// The log, for receivers that show it.
    pub tail: Tail,
    /// Whether to send from processes of their own.
    pub apart: bool,
}

/// A message to a receiver, whatever it is.
pub fn parcel(receiver: &Receiver, notice: &Notice, secret: Option<&str>) -> Parcel {
    if let Some(mail) = &receiver.mail {
        return Parcel::Mail(mail.clone(), request::letter(&mail.from, &mail.to, notice));
    }
    let test = || request::beat(receiver, if notice.event == "test" { Beat::Test } else { Beat::Up }, notice, None, &[]);
    if receiver.kind.is_heartbeat() {
        return Parcel::Http(test());
    }
    Parcel::Http(request::message(receiver, notice, secret, Timestamp::now()).unwrap_or_else(test))
}

/// What all threads share.
struct Shared {
    office: Office,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The targets as they were last seen.
    seen: Arc<Vec<Seen>>,
    /// How often somebody asked to look.
    asked: u64,
    /// Which of these askings the last look answered.
    looked: u64,
    /// Counts the looks.
    version: u64,
    /// Which asking each receiver has been told of, or given up for now.
    served: Vec<u64>,
    /// What each receiver did not take, and why.
    refused: Vec<Option<String>>,
    /// Runs that began, for each receiver that wants to know: the target and the run's name.
    starts: Vec<VecDeque<(String, String)>>,
    /// The last run of each target in this process, where it failed.
    failed: BTreeMap<String, Option<Failed>>,
    stop: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) {
        let (failed, asked) = {
            let state = self.state();
            (state.failed.clone(), state.asked)
        };
        let now = Timestamp::now();
        let office = &self.office;
        let seen: Vec<Seen> = office
            .targets
            .iter()
            .map(|(name, settings)| observe(&office.repository.target(name), settings, failed.get(name).and_then(Option::as_ref), now))
            .collect();
        let mut state = self.state();
        (state.seen, state.looked, state.version) = (Arc::new(seen), asked, state.version + 1);
        self.changed.notify_all();
    }

    fn tell(&self, level: Level, event: &'static str, target: Option<&str>, message: String) {
        (self.office.tell)(level, event, target, message);
    }
}

/// The post at work. Dropped, it stops; what is being sent ends by its own time limit.
pub struct Post {
    shared: Option<Arc<Shared>>,
}

impl Drop for Post {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.state().stop = true;
            shared.changed.notify_all();
        }
    }
}

impl Post {
    /// Starts it. What is good by now is no news to a receiver that was never told of anything; what is wrong is.
    pub fn start(office: Office) -> Post {
        let count = office.notify.receivers.len();
        if count == 0 {
            return Post { shared: None };
        }
        let state = State { served: vec![0; count], refused: vec![None; count], starts: vec![VecDeque::new(); count], ..State::default() };
        let shared = Arc::new(Shared { office, state: Mutex::new(state), changed: Condvar::new() });
        shared.look();
        let first = shared.state().seen.clone();
        let names = note_names(&shared.office.repository, &shared.office.notify.receivers);
        for (index, name) in names.iter().enumerate() {
            let mut clerk = Clerk {
                shared: shared.clone(),
                receiver: shared.office.notify.receivers[index].clone(),
                index,
                notebook: Notebook::new(&shared.office.repository, name),
                first: first.clone(),
                unsaved: None,
                fresh: true,
                tries: 0,
                given_up: false,
            };
            spawn(&shared, "notify", move || clerk.work());
        }
        let watcher = shared.clone();
        spawn(&shared, "notify-look", move || watch(&watcher));
        Post { shared: Some(shared) }
    }

    /// A run began.
    pub fn began(&self, target: &str, started: Timestamp) {
        let Some(shared) = &self.shared else { return };
        let mut state = shared.state();
        for (index, receiver) in shared.office.notify.receivers.iter().enumerate() {
            if receiver.kind == Kind::Healthchecks && state.starts[index].len() < STARTS {
                state.starts[index].push_back((target.to_owned(), names::backup_id(started)));
            }
        }
        shared.changed.notify_all();
    }

    /// Something changed that the repository tells of, such as a proof.
    pub fn changed(&self) {
        let Some(shared) = &self.shared else { return };
        shared.state().asked += 1;
        shared.changed.notify_all();
    }

    /// A run ended: its history is written, or could not be.
    pub fn ended(&self, target: &str, started: Timestamp, error: Option<&Error>) {
        let Some(shared) = &self.shared else { return };
        let mut state = shared.state();
        let quiet = error.is_some_and(|error| Failed::of(started, error).is_none());
        if !quiet {
            state.failed.insert(target.to_owned(), error.and_then(|error| Failed::of(started, error)));
        }
        state.asked += 1;
        shared.changed.notify_all();
    }

    /// Waits until everything was told, or given up for now, but no longer than `patience` and not when it is to stop; tells which receivers do not
    /// know it all, and why.
    pub fn finish(self, patience: Duration, stopped: impl Fn() -> bool) -> Vec<(String, String)> {
        let Some(shared) = &self.shared else { return Vec::new() };
        let end = Instant::now() + patience;
        let mut state = shared.state();
        while state.served.iter().any(|served| *served < state.asked) && !stopped() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = shared.changed.wait_timeout(state, left.min(TICK)).unwrap_or_else(PoisonError::into_inner).0;
        }
        let unserved = |index: usize| (state.served[index] < state.asked).then(|| "it has not answered yet".to_owned());
        let all = shared.office.notify.receivers.iter().enumerate();
        all.filter_map(|(index, receiver)| Some((receiver.to_string(), state.refused[index].clone().or_else(|| unserved(index))?))).collect()
    }
}

fn spawn(shared: &Arc<Shared>, name: &str, work: impl FnOnce() + Send + 'static) {
    if std::thread::Builder::new().name(name.to_owned()).spawn(work).is_err() {
        shared.tell(Level::Warning, "notify-failed", None, "no thread could be started to send messages".to_owned());
    }
}

/// Looks at the targets when asked, and as often as being overdue asks for.
fn watch(shared: &Shared) {
    let shortest = shared.office.targets.iter().map(|(_, settings)| least_max_age(settings, Timestamp::now())).min().unwrap_or(Duration::from_secs(3600));
    // A look reads every manifest, so for the usual maximum age of a day it is made each ten minutes.
    let pause = (shortest / 20).clamp(Duration::from_secs(3), Duration::from_secs(600));
    let mut next = Instant::now() + pause;
    loop {
        let mut state = shared.state();
        while !state.stop && state.asked == state.looked && Instant::now() < next {
            let left = next.saturating_duration_since(Instant::now());
            state = shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.stop {
            return;
        }
        drop(state);
        shared.look();
        next = Instant::now() + pause;
    }
}

/// How a round ended.
enum Round {
    /// Nothing is left to tell.
    Told,
    /// Try again after so long; `given_up`: a command need not wait for it.
    Again { after: Duration, given_up: bool, why: String },
}

/// Tells one receiver.
struct Clerk {
    shared: Arc<Shared>,
    receiver: Receiver,
    index: usize,
    notebook: Notebook,
    /// What there was when this process began.
    first: Arc<Vec<Seen>>,
    /// What the disk did not take.
    unsaved: Option<Memory>,
    /// Nothing was tried yet: an earlier process's patience does not bind this one.
    fresh: bool,
    /// Failed attempts since it last took something.
    tries: u32,
    /// It is known to be away for longer than a command waits.
    given_up: bool,
}

impl Clerk {
    fn work(&mut self) {
        let (mut version, mut wake) = (0, None::<Instant>);
        loop {
            let (seen, looked, starts) = {
                let mut state = self.shared.state();
                loop {
                    if state.stop {
                        return;
                    }
                    let due = wake.is_some_and(|wake| Instant::now() >= wake);
                    // While it has to wait, news are for later, too.
                    if due || !state.starts[self.index].is_empty() || state.version > version && wake.is_none() {
                        break;
                    }
                    let left = wake.map_or(Duration::from_secs(3600), |wake| wake.saturating_duration_since(Instant::now()));
                    state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                    if wake.is_some() && self.given_up {
                        // Nobody needs to wait for somebody who is known to be away.
                        state.served[self.index] = state.looked;
                        self.shared.changed.notify_all();
                    }
                }
                version = state.version;
                (state.seen.clone(), state.looked, std::mem::take(&mut state.starts[self.index]))
            };
            for (target, run) in starts {
                self.start_ping(&target, &run);
            }
            if wake.is_some_and(|wake| Instant::now() < wake) {
                continue;
            }
            let round = self.round(&seen);
            let mut state = self.shared.state();
            match round {
                Round::Told => {
                    (state.served[self.index], state.refused[self.index], wake) = (looked, None, None);
                    self.given_up = false;
                }
                Round::Again { after, given_up, why } => {
                    wake = Some(Instant::now() + after);
                    self.given_up = given_up;
                    state.refused[self.index] = Some(why);
                    if given_up {
                        state.served[self.index] = looked;
                    }
                }
            }
            self.shared.changed.notify_all();
        }
    }

    /// A beginning is told once or not at all. That it could not be told shows when the end is.
    fn start_ping(&self, target: &str, run: &str) {
        let notice = Notice { target: Some(target.to_owned()), ..message::test(Timestamp::now()) };
        let ping = request::beat(&self.receiver, Beat::Start, &notice, Some((target, run)), &[]);
        if let Err(refusal) = self.hand_over(&Parcel::Http(ping)) {
            self.shared.tell(
                Level::Warning,
                "notify-failed",
                Some(target),
                format!("the begin of a run could not be told to {}: {}", self.receiver, refusal.reason),
            );
        }
    }

    /// Tells everything that is due.
    fn round(&mut self, seen: &[Seen]) -> Round {
        let held = match self.notebook.hold() {
            Ok(Some(held)) => Some(held),
            Ok(None) => return Round::Again { after: BUSY, given_up: false, why: "another process of kluis is telling it".to_owned() },
            // Better told twice than never.
            Err(error) => {
                self.shared.tell(Level::Warning, "notify-failed", None, format!("what was told to {} cannot be remembered: {}", self.receiver, error.chain()));
                None
            }
        };
        let mut memory = self.recall();
        let before = memory.clone();
        let now = Timestamp::now();
        if let Some(wait) = memory.not_before.map(|at| at.duration_since(now)).filter(|wait| !self.fresh && *wait > SignedDuration::ZERO) {
            let after = Duration::try_from(wait).unwrap_or_default().min(PATIENCE[PATIENCE.len() - 1]);
            let why = memory.last_failure.map_or_else(String::new, |(_, why)| why);
            return Round::Again { after, given_up: true, why };
        }
        self.fresh = false;
        let heartbeat = self.receiver.kind.is_heartbeat();
        let wants = Wants::new(self.shared.office.notify.events.iter().copied(), heartbeat);
        let all_well = seen.iter().all(Seen::is_well);
        for target in seen {
            let known = memory.targets.entry(target.target.clone()).or_insert_with(|| self.first_sight(&target.target, heartbeat));
            let dues = decide::due(known, target, wants, now);
            if memory != before {
                self.remember(&memory, held.as_ref());
            }
            let succeeded = dues.iter().any(|due| matches!(due, Due::Success(_)));
            for due in dues {
                let known = memory.targets.entry(target.target.clone()).or_default();
                match (&due, heartbeat, all_well) {
                    // The ping of the run that made it well says it already, or it is not well.
                    (Due::Recovery { .. }, true, _) if succeeded || !all_well => {
                        decide::told(known, &due, now);
                        continue;
                    }
                    (Due::Success(_), true, false) => continue,
                    _ => {}
                }
                if let Err(refusal) = self.send(&due, target, now) {
                    return self.refused(memory, refusal, target, held.as_ref());
                }
                decide::told(known, &due, Timestamp::now());
                (memory.deliveries, memory.in_a_row) = (memory.deliveries + 1, 0);
                (memory.last_delivery, memory.not_before) = (Some(Timestamp::now()), None);
                self.tries = 0;
                self.remember(&memory, held.as_ref());
            }
        }
        if memory != before {
            self.remember(&memory, held.as_ref());
        }
        Round::Told
    }

    fn first_sight(&self, target: &str, heartbeat: bool) -> Known {
        match self.first.iter().find(|seen| seen.target == target) {
            Some(seen) if !heartbeat => decide::first_sight(seen),
            _ => Known::default(),
        }
    }

    /// Hands it over. What a part of those did not take who are meant is told in the log, and not tried again: the others would hear it twice.
    fn hand_over(&self, parcel: &Parcel) -> std::result::Result<(), Refusal> {
        let taken = if self.shared.office.apart { parcel.send_apart(Limits::default()) } else { parcel.send(Limits::default()) }?;
        if let Some(part) = taken {
            self.shared.tell(Level::Warning, "notify-failed", None, format!("{} was told in part only: {part}", self.receiver));
        }
        Ok(())
    }

    fn send(&self, due: &Due, seen: &Seen, now: Timestamp) -> Result<(), Refusal> {
        let notice = message::notice(due, seen, &self.shared.office.zone, now);
        let secret = self.shared.office.notify.secret.as_ref().map(|secret| secret.expose());
        let sent = if self.receiver.kind.is_heartbeat() {
            let (beat, run) = match due {
                Due::Trouble { trouble, .. } => (Beat::Down, (trouble.what == decide::What::Failure).then(|| trouble.run.clone())),
                Due::Success(success) => (Beat::Up, Some(names::backup_id(success.started))),
                Due::Recovery { .. } | Due::Excepted { .. } => (Beat::Up, None),
            };
            let tail = if beat == Beat::Down { (self.shared.office.tail)() } else { Vec::new() };
            let run = run.as_ref().map(|run| (seen.target.as_str(), run.as_str()));
            self.hand_over(&Parcel::Http(request::beat(&self.receiver, beat, &notice, run, &tail)))
        } else {
            self.hand_over(&parcel(&self.receiver, &notice, secret))
        };
        if sent.is_ok() {
            self.shared.tell(Level::Info, "notified", Some(&seen.target), format!("{} was told: {}", self.receiver, notice.title));
        }
        sent
    }

    fn refused(&mut self, mut memory: Memory, refusal: Refusal, seen: &Seen, held: Option<&Held>) -> Round {
        let now = Timestamp::now();
        let longest = PATIENCE[PATIENCE.len() - 1];
        let step = PATIENCE[(memory.in_a_row as usize).min(PATIENCE.len() - 1)];
        let after = if refusal.lasting { longest } else { refusal.after.map_or(step, |after| after.max(step).min(longest)) };
        self.tries += 1;
        (memory.failures, memory.in_a_row) = (memory.failures + 1, memory.in_a_row.saturating_add(1));
        memory.last_failure = Some((now, refusal.reason.clone()));
        memory.not_before = SignedDuration::try_from(after).ok().and_then(|after| now.checked_add(after).ok());
        self.remember(&memory, held);
        let again = crate::units::format_duration(after);
        self.shared.tell(
            Level::Warning,
            "notify-failed",
            Some(&seen.target),
            format!("{} could not be told: {}; tried again in {again}", self.receiver, refusal.reason),
        );
        Round::Again { after, given_up: refusal.lasting || self.tries >= TRIES || after > LONG, why: refusal.reason }
    }

    fn recall(&self) -> Memory {
        self.unsaved.clone().unwrap_or_else(|| noted(&self.notebook))
    }

    fn remember(&mut self, memory: &Memory, held: Option<&Held>) {
        let bytes = serde_json::to_vec(memory).expect("plain data always has a JSON form");
        let written = held.map_or(Ok(false), |held| self.notebook.write(&bytes, held).map(|()| true));
        self.unsaved = match written {
            Ok(true) => None,
            Ok(false) => Some(memory.clone()),
            Err(error) => {
                self.shared.tell(Level::Warning, "notify-failed", None, format!("what was told to {} cannot be remembered: {}", self.receiver, error.chain()));
                Some(memory.clone())
            }
        };
    }
}
