//! From typed values to [`Common`] and [`Settings`]: every setting but the way to the database.
//! It owns defaults and what settings must hold between them (scratch beside the repository); it leaves single values to `value`.
//! A part comes out whole or not at all, and never before all of its values were looked at.

use std::path::{Component, Path, PathBuf};

use jiff::tz::TimeZone;

use super::file::Table;
use super::keys::{self, Key};
use super::problem::{Fault, Origin, quoted};
use super::reader::{Bad, Reader, Typed};
use super::render::Setting;
use super::types::{Common, LogTarget, Notify, Settings};
use super::value;
use crate::retention::Policy;

/// Whose settings are read: a target's name with its table of the file, if it has any.
#[derive(Clone, Copy, Default)]
pub(super) struct Whose<'t> {
    pub name: Option<&'t str>,
    pub table: Option<&'t Table>,
}

impl Reader<'_> {
    /// A setting's meaning, or that of its default; notes which it was.
    fn setting<T>(&mut self, whose: Whose<'_>, key: &'static Key, default: &str, parse: impl Fn(&'static Key, &str) -> Result<T, Fault>) -> Option<T> {
        match self.get(key, whose.table, |typed| parse(key, &typed.text)) {
            Ok(Some((value, typed))) => {
                self.note(whose.name, key, typed.text, &typed.origin);
                Some(value)
            }
            Ok(None) => {
                self.note(whose.name, key, default, &Origin::Default);
                parse(key, default).map_err(|fault| self.wrong(&Origin::Default, fault)).ok()
            }
            Err(Bad) => None,
        }
    }

    /// A setting that is a path, made absolute.
    pub(super) fn path(&mut self, whose: Whose<'_>, key: &'static Key) -> Result<Option<(PathBuf, Typed)>, Bad> {
        let Some((text, typed)) = self.get(key, whose.table, |typed| Ok(typed.text.clone()))? else { return Ok(None) };
        let path = self.absolute(&text, &typed.origin)?;
        Ok(Some((path, typed)))
    }

    /// A setting that is a path with a default.
    fn path_or(&mut self, key: &'static Key, default: PathBuf) -> Option<(PathBuf, Origin)> {
        let (path, origin) = match self.path(Whose::default(), key) {
            Ok(Some((path, typed))) => (path, typed.origin),
            Ok(None) => (default, Origin::Default),
            Err(Bad) => return None,
        };
        if depth(&path) == 0 {
            let fault = Fault::new(format!("{} is the root of the file system", quoted(&path.to_string_lossy())), format!("use {}", key.constraint));
            self.wrong(&origin, fault);
            return None;
        }
        self.note(None, key, path.to_string_lossy(), &origin);
        Some((path, origin))
    }

    /// A folder that must be there, if it is named at all.
    fn folder(&mut self, whose: Whose<'_>, key: &'static Key, check: bool) -> Option<Option<PathBuf>> {
        match self.path(whose, key) {
            Ok(Some((path, typed))) => {
                self.note(whose.name, key, path.to_string_lossy(), &typed.origin);
                let found = if check { self.existing(&path, &typed.origin, true) } else { Ok(()) };
                found.ok().map(|()| Some(path))
            }
            Ok(None) => {
                self.note(whose.name, key, "", &Origin::Default);
                Some(None)
            }
            Err(Bad) => None,
        }
    }

    /// What holds for all targets.
    pub(super) fn common(&mut self) -> Option<Common> {
        let all = Whose::default();
        let dir = self.path_or(&keys::DIR, PathBuf::from(keys::DIR.default));
        let pg_bin = self.folder(all, &keys::PG_BIN, true);
        let temporary = self.source.var("TMPDIR").filter(|path| !path.is_empty()).map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
        let scratch = self.path_or(&keys::SCRATCH_DIR, temporary.join("kluis"));
        if let (Some((dir, dir_origin)), Some((scratch, origin))) = (&dir, &scratch) {
            // Named with a dot it is none of the repository's targets, so a single large volume can serve for both.
            let inside = scratch.strip_prefix(dir).is_ok_and(|rest| !rest.to_string_lossy().starts_with('.'));
            // The demo leaves a repository there when it is asked to; no sweep goes by that name.
            let around = dir.strip_prefix(scratch).is_ok_and(|rest| !rest.to_string_lossy().starts_with("kluis-demo-"));
            if inside || around {
                let reason = format!("the scratch folder {} and the repository {} overlap", quoted(&scratch.to_string_lossy()), quoted(&dir.to_string_lossy()));
                let origin = if *origin == Origin::Default { dir_origin } else { origin };
                self.wrong(&origin.clone(), Fault::new(reason, "use two folders beside each other"));
            }
        }
        let zone = self.setting(all, &keys::TIMEZONE, keys::TIMEZONE.default, value::time_zone);
        let log_format = self.setting(all, &keys::LOG_FORMAT, keys::LOG_FORMAT.default, value::log_format);
        let log = self.log(dir.as_ref().map(|(dir, _)| dir.as_path()));
        let http = self.setting(all, &keys::HTTP, keys::HTTP.default, value::listen);
        let http_token = self.get(&keys::HTTP_TOKEN, None, |typed| value::token(&keys::HTTP_TOKEN, &typed.text));
        let lang = self.setting(all, &keys::LANG, keys::LANG.default, value::language);
        let http_token = match http_token {
            Err(Bad) => None,
            Ok(found) => {
                let (token, origin) = found.map_or((None, Origin::Default), |(token, typed)| (Some(token), typed.origin));
                self.note(None, &keys::HTTP_TOKEN, if token.is_some() { "***" } else { "" }, &origin);
                Some(token)
            }
        };
        let notify = self.notify();
        let (time_zone, time_zone_name) = zone?;
        // An empty or relative entry means the working directory: no place to take programs from.
        let path = self.source.var("PATH").map(|path| std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()).unwrap_or_default();
        let (dir, scratch_dir) = (dir?.0, scratch?.0);
        Some(Common {
            dir,
            pg_bin: pg_bin?,
            path,
            scratch_dir,
            log: log?,
            log_format: log_format?,
            http: http?,
            http_token: http_token?,
            lang: lang?,
            time_zone,
            time_zone_name,
            notify: notify?,
        })
    }

    /// Who is told. Their URLs are secrets: only kind and host are noted.
    fn notify(&mut self) -> Option<Notify> {
        let receivers = self.get(&keys::NOTIFY, None, |typed| value::receivers(&typed.text));
        let events = self.setting(Whose::default(), &keys::NOTIFY_ON, keys::NOTIFY_ON.default, value::events);
        let secret = self.get(&keys::NOTIFY_SECRET, None, |typed| value::one_line(&keys::NOTIFY_SECRET, &typed.text));
        let (receivers, origin) = receivers.ok()?.map_or((Vec::new(), Origin::Default), |(receivers, typed)| (receivers, typed.origin));
        let shown: Vec<String> = receivers.iter().map(ToString::to_string).collect();
        self.settings.push(Setting { target: None, key: keys::NOTIFY.name(), value: shown.join(", "), origin });
        let (secret, origin) = secret.ok()?.map_or((None, Origin::Default), |(secret, typed)| (Some(secret), typed.origin));
        self.note(None, &keys::NOTIFY_SECRET, if secret.is_some() { "set" } else { "" }, &origin);
        Some(Notify { receivers, events: events?, secret })
    }

    fn log(&mut self, dir: Option<&Path>) -> Option<LogTarget> {
        let (log, origin) = match self.get(&keys::LOG, None, |typed| Ok(typed.text.clone())) {
            Err(Bad) => return None,
            Ok(None) => {
                let file = dir?.join("log/kluis.log");
                // Where a sidecar has its log, runs by hand stand in it too.
                let there = self.flags.serving || self.source.stat(&file).is_ok_and(|stat| !stat.folder);
                (if there { LogTarget::File(file) } else { LogTarget::Stderr }, Origin::Default)
            }
            Ok(Some((text, typed))) => {
                let log = match text.as_str() {
                    "stderr" => LogTarget::Stderr,
                    "off" => LogTarget::Off,
                    // A bare word is likelier a slip than a file in the working directory.
                    word if !word.contains(['/', '.']) => {
                        let fault = value::word(&keys::LOG, word, &[("stderr", ()), ("off", ())]).err()?;
                        self.wrong(&typed.origin, fault);
                        return None;
                    }
                    path => LogTarget::File(self.absolute(path, &typed.origin).ok()?),
                };
                (log, typed.origin)
            }
        };
        if let LogTarget::File(path) = &log
            && self.source.stat(path).is_ok_and(|stat| stat.folder)
        {
            self.wrong(&origin, Fault::new(format!("{} is a folder", quoted(&path.to_string_lossy())), format!("use {}", keys::LOG.constraint)));
            return None;
        }
        let shown = match &log {
            LogTarget::File(path) => path.to_string_lossy().into_owned(),
            LogTarget::Stderr => "stderr".to_owned(),
            LogTarget::Off => "off".to_owned(),
        };
        self.note(None, &keys::LOG, shown, &origin);
        Some(log)
    }

    /// How one target is backed up, kept and proven. `check`: folders must be there.
    pub(super) fn target_settings(&mut self, whose: Whose<'_>, zone: &TimeZone, check: bool) -> Option<Settings> {
        let cores = self.source.cores().clamp(2, 8).to_string();
        let schedule = self.setting(whose, &keys::SCHEDULE, keys::SCHEDULE.default, |key, text| value::schedule(key, text, zone));
        let policy = self.policy(whose, zone);
        let jobs = self.setting(whose, &keys::JOBS, &cores, |key, text| value::count(key, text, 1, 64));
        let compression = self.setting(whose, &keys::COMPRESSION, keys::COMPRESSION.default, value::compression);
        let drill = self.setting(whose, &keys::DRILL, keys::DRILL.default, |key, text| value::drill(key, text, zone));
        let assertions = self.folder(whose, &keys::ASSERTIONS, check);
        let allow_empty = self.setting(whose, &keys::ALLOW_EMPTY, keys::ALLOW_EMPTY.default, value::yes_or_no);
        let max_age = self.setting(whose, &keys::MAX_AGE, keys::MAX_AGE.default, value::max_age);
        let mut duration = |key: &'static Key, least, most| self.setting(whose, key, key.default, |key, text| value::duration(key, text, least, most));
        let lock_timeout = duration(&keys::LOCK_TIMEOUT, "0s", "7d");
        let lock_wait = duration(&keys::LOCK_WAIT, "1s", "1d");
        let stall_timeout = duration(&keys::STALL_TIMEOUT, "1s", "7d");
        let deadline = duration(&keys::DEADLINE, "1s", "30d");
        Some(Settings {
            schedule: schedule?,
            policy: policy?,
            jobs: usize::try_from(jobs?).ok()?,
            compression: compression?,
            drill: drill?,
            assertions: assertions?,
            allow_empty: allow_empty?,
            max_age: max_age?,
            lock_timeout: lock_timeout?,
            lock_wait: lock_wait?,
            stall_timeout: stall_timeout?,
            deadline: deadline?,
        })
    }

    fn policy(&mut self, whose: Whose<'_>, zone: &TimeZone) -> Option<Policy> {
        let mut count = |key: &'static Key, least, most| self.setting(whose, key, key.default, |key, text| value::count(key, text, least, most));
        let days = count(&keys::RETENTION_DAYS, 0, 36_500);
        let daily = count(&keys::KEEP_DAILY, 0, 36_500);
        let weekly = count(&keys::KEEP_WEEKLY, 0, 5_200);
        let monthly = count(&keys::KEEP_MONTHLY, 0, 1_200);
        let yearly = count(&keys::KEEP_YEARLY, 0, 100);
        let keep_min = count(&keys::KEEP_MIN, 1, 36_500);
        Some(Policy { days: days?, daily: daily?, weekly: weekly?, monthly: monthly?, yearly: yearly?, keep_min: keep_min?, time_zone: zone.clone() })
    }
}

/// How many folders deep a path is, `..` taken back; it reads no links.
fn depth(path: &Path) -> usize {
    path.components().fold(0, |depth, part| match part {
        Component::Normal(_) => depth + 1,
        Component::ParentDir => depth.saturating_sub(1),
        _ => depth,
    })
}
