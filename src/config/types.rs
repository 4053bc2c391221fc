//! What a configuration means: the types that enter the engine.
//! They own nothing but their fields, and leave reading and refusing to the rest of `config`.
//! Every value is complete and within its limits: there is no "not set" but where that is an answer of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::render::Setting;
use crate::postgres::connection::{Connection, Secret};
use crate::receiver::Receiver;
use crate::retention::Policy;
use crate::schedule::Schedule;
pub use crate::script::gzip::Compression;

/// What was typed on the command line, as it was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config`
    pub config_file: Option<PathBuf>,
    /// `--dir`
    pub dir: Option<PathBuf>,
    /// `--target`
    pub target: Option<String>,
    /// `--jobs`
    pub jobs: Option<String>,
    /// `--compression`
    pub compression: Option<String>,
    /// The command is `serve`: its log goes to the repository's volume unless told otherwise.
    pub serving: bool,
}

/// The configuration of a command that reaches databases.
#[derive(Debug, Clone)]
pub struct Config {
    /// What holds for all targets.
    pub common: Common,
    /// The targets, in the order in which they were written; at least one.
    pub targets: Vec<Target>,
    /// What the user should know, although it stops nothing.
    pub warnings: Vec<String>,
    pub(super) settings: Vec<Setting>,
}

/// The configuration of a command that needs the repository only. No connection setting is looked at, so that a backup
/// can be listed, checked and restored where the database's password is long gone.
#[derive(Debug, Clone)]
pub struct RepositoryConfig {
    /// What holds for all targets.
    pub common: Common,
    /// The one target that the command is about; `None`: every target that the repository holds.
    pub target: Option<String>,
    /// The targets that this configuration speaks of, with their settings. Only these may be pruned without being named.
    pub targets: Vec<(String, Settings)>,
    /// The settings of any other target.
    pub others: Settings,
    /// What the user should know, although it stops nothing.
    pub warnings: Vec<String>,
    pub(super) settings: Vec<Setting>,
}

impl RepositoryConfig {
    /// The names of the targets that it speaks of, and of the one that a command is about.
    pub fn named(&self) -> impl Iterator<Item = &str> + Clone {
        self.targets.iter().map(|(name, _)| name.as_str()).chain(self.target.as_deref())
    }

    /// The settings of a target, named in the configuration or not.
    pub fn settings_of(&self, target: &str) -> &Settings {
        self.targets.iter().find(|(name, _)| name == target).map_or(&self.others, |(_, settings)| settings)
    }
}

/// What holds for all targets.
#[derive(Debug, Clone)]
pub struct Common {
    /// The repository; absolute.
    pub dir: PathBuf,
    /// Where PostgreSQL's programs are looked for first.
    pub pg_bin: Option<PathBuf>,
    /// The folders of `PATH`, where they are looked for last.
    pub path: Vec<PathBuf>,
    /// Where drills keep their throwaway servers; absolute, outside the repository.
    pub scratch_dir: PathBuf,
    /// Where the log goes.
    pub log: LogTarget,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Where the status page and the rest of HTTP is served; nothing: nowhere.
    pub http: Option<SocketAddr>,
    /// The word that opens it.
    pub http_token: Option<Secret>,
    /// Its language; nothing: the browser's.
    pub lang: Option<Language>,
    /// The time zone of schedules, retention and printed times.
    pub time_zone: TimeZone,
    /// Its IANA name.
    pub time_zone_name: String,
    /// Who is told what happens.
    pub notify: Notify,
}

/// Who is told what happens, and of what.
#[derive(Debug, Clone, Default)]
pub struct Notify {
    /// The receivers, in the order in which they were written.
    pub receivers: Vec<Receiver>,
    /// The events that they are told of, out of [`crate::receiver::EVENTS`].
    pub events: Vec<&'static str>,
    /// What webhooks are signed with.
    pub secret: Option<Secret>,
}

/// A language that people are addressed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Dutch.
    Dutch,
}

/// A database to back up.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name, which is its folder's in the repository; see [`super::is_target_name`].
    pub name: String,
    /// The way to its database.
    pub connection: Connection,
    /// How it is backed up, kept and proven.
    pub settings: Settings,
}

/// How a target is backed up, kept and proven.
#[derive(Debug, Clone)]
pub struct Settings {
    /// When it is backed up.
    pub schedule: Schedule,
    /// How long backups are kept.
    pub policy: Policy,
    /// How many tables are moved at the same time, 1 to 64.
    pub jobs: usize,
    /// How hard to compress.
    pub compression: Compression,
    /// When backups are proven.
    pub drill: Drill,
    /// The folder of the operator's own SQL checks.
    pub assertions: Option<PathBuf>,
    /// Whether a database without a row is as it should be.
    pub allow_empty: bool,
    /// The oldest that the newest backup may get; nothing: what schedule and runs ask for, see [`crate::past::Past::max_age`].
    pub max_age: Option<Duration>,
    /// How long to wait for another run to end; zero: not at all.
    pub lock_timeout: Duration,
    /// How long to wait for locks in the database.
    pub lock_wait: Duration,
    /// How long a run may go without a byte from the database.
    pub stall_timeout: Duration,
    /// How long a whole run may take.
    pub deadline: Duration,
}

/// When backups are proven by restoring them.
#[derive(Debug, Clone)]
pub enum Drill {
    /// At the end of each run.
    EveryBackup,
    /// The newest backup, at these times.
    Cron(Schedule),
    /// Only by hand.
    Off,
}

/// Where the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// To this file, and to stderr.
    File(PathBuf),
    /// To stderr only.
    Stderr,
    /// Nowhere, not even to stderr.
    Off,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors: an object a line.
    Json,
}
