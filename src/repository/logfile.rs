//! The log on the shared volume: a file that is rotated each day, with the older ones kept for a month.
//! It owns the file, its rotation and its rights; it leaves the lines to `crate::log`.
//! Invariant: a line is written with one write(2) to a file opened for appending, so the lines of several processes never mix.

use crate::error::{Error, Kind, Result};
use crate::stop::Stop;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rustix::fs::{FlockOperation, OFlags, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many days a rotated file is kept.
pub const KEPT_DAYS: i32 = 30;

/// How long to wait for another process that rotates. A log must never hold up a run.
const PATIENCE: Duration = Duration::from_secs(2);

/// A log file.
#[derive(Debug, Clone)]
pub struct LogFile {
    path: PathBuf,
    zone: TimeZone,
}

impl LogFile {
    /// The log at `path`, whose days are those of `zone`. Nothing is touched before the first line.
    pub fn new(path: &Path, zone: &TimeZone) -> LogFile {
        LogFile { path: path.to_owned(), zone: zone.clone() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line, which has no line feed. The first one of a day begins a new file, and what has become too old goes.
    ///
    /// Nothing is synced: a log that a power cut shortens is no loss, and a slow disk must not slow a run.
    pub fn append(&self, line: &str, now: Timestamp) -> Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        // No secret and no personal data is in the log: operators and collectors may read it, and only we may write it.
        match DirBuilder::new().mode(0o755).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(Error::io("create the folder", folder, error)),
            _ => check_folder(folder)?,
        }
        let today = self.zone.to_datetime(now).date();
        if self.day().is_some_and(|day| day < today) {
            self.rotate(folder, today)?;
        }
        let failed = |error| Error::io("write to", &self.path, error);
        let mut file = self.open().map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if found.is_file() && found.nlink() > 1 {
            // The other name may be that of somebody else's file, and it keeps what is in there: only our name goes.
            std::fs::remove_file(&self.path).map_err(failed)?;
            file = self.open().map_err(failed)?;
        } else if !found.is_file() && !found.file_type().is_char_device() {
            return Err(Error::new(Kind::Storage, format!("'{}' is not a regular file", self.path.display())));
        }
        file.write_all(format!("{line}\n").as_bytes()).map_err(failed)
    }

    fn open(&self) -> io::Result<File> {
        // NONBLOCK means nothing to a file, but opening a FIFO would wait for somebody to read from it.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        OpenOptions::new().append(true).create(true).mode(0o644).custom_flags(flags).open(&self.path)
    }

    /// The day of the last line, if there is a file with any.
    fn day(&self) -> Option<Date> {
        let found = std::fs::symlink_metadata(&self.path).ok().filter(|found| found.is_file() && found.len() > 0)?;
        let written = Timestamp::from_second(found.mtime()).ok()?;
        Some(self.zone.to_datetime(written).date())
    }

    fn rotate(&self, folder: &Path, today: Date) -> Result<()> {
        // Two processes must not both rename: the second would move the first one's new file away.
        let lock = File::open(folder).map_err(|error| Error::io("open", folder, error))?;
        let (begun, stop) = (Instant::now(), Stop::new());
        while flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            if begun.elapsed() > PATIENCE {
                // The other one rotates, or the next line does.
                return Ok(());
            }
            stop.sleep(Duration::from_millis(20))?;
        }
        let Some(day) = self.day().filter(|day| *day < today) else { return Ok(()) };
        let old = self.rotated(day);
        // After a clock that went back there may be one of that name: it is older than a day anyway, and nothing of it may be lost.
        if std::fs::symlink_metadata(&old).is_ok() {
            return Ok(());
        }
        std::fs::rename(&self.path, &old).map_err(|error| Error::io("rotate", &self.path, error))?;
        self.clean(folder, today);
        Ok(())
    }

    fn rotated(&self, day: Date) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{day}"));
        PathBuf::from(name)
    }

    /// Removes rotated files that are too old. What cannot be removed today is tried again tomorrow.
    fn clean(&self, folder: &Path, today: Date) {
        let Ok(oldest) = today.checked_sub(Span::new().days(KEPT_DAYS)) else { return };
        let prefix = format!("{}.", self.path.file_name().unwrap_or_default().to_string_lossy());
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let day = name.strip_prefix(&prefix).and_then(|day| day.parse::<Date>().ok().filter(|parsed| parsed.to_string() == day));
            if day.is_some_and(|day| day < oldest) && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// Refuses a folder that is a link of another user's making. One of our own or of root's is an operator's wish.
fn check_folder(folder: &Path) -> Result<()> {
    let found = std::fs::symlink_metadata(folder).map_err(|error| Error::io("look at", folder, error))?;
    if found.is_symlink() && ![0, rustix::process::geteuid().as_raw()].contains(&found.uid()) {
        return Err(Error::new(Kind::Storage, format!("'{}' is a link that user {} made", folder.display(), found.uid())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn age(path: &Path, at: Timestamp) {
        File::open(path).unwrap().set_modified(at.into()).unwrap();
    }

    #[test]
    fn each_day_has_its_file_and_old_ones_go() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("log");
        let (log, now) = (LogFile::new(&folder.join("kluis.log"), &TimeZone::UTC), Timestamp::now());
        log.append("one", now).unwrap();
        log.append("two", now).unwrap();
        assert_eq!(std::fs::read_to_string(log.path()).unwrap(), "one\ntwo\n");
        let day = |days: i64| now - jiff::SignedDuration::from_hours(24 * days);
        let date = |days: i64| TimeZone::UTC.to_datetime(day(days)).date();
        for days in [29, 30, 31, 400] {
            std::fs::write(folder.join(format!("kluis.log.{}", date(days))), "old").unwrap();
        }
        for foreign in ["kluis.log.gz", "kluis.log.2020-1-1", "other.log.2020-01-01"] {
            std::fs::write(folder.join(foreign), "not ours").unwrap();
        }
        age(log.path(), day(1));
        log.append("three", now).unwrap();
        assert_eq!(std::fs::read_to_string(log.path()).unwrap(), "three\n");
        let rotated: Vec<String> = [30, 29, 1].iter().map(|days| format!("kluis.log.{}", date(*days))).collect();
        let mut expected = vec!["kluis.log", "kluis.log.2020-1-1", "kluis.log.gz", "other.log.2020-01-01"];
        expected.extend(rotated.iter().map(String::as_str));
        expected.sort_unstable();
        assert_eq!(names(&folder), expected);
        // A name that is taken is not overwritten.
        age(log.path(), day(1));
        log.append("four", now).unwrap();
        assert_eq!(std::fs::read_to_string(log.path()).unwrap(), "three\nfour\n");
        assert_eq!(std::fs::read_to_string(folder.join(format!("kluis.log.{}", date(1)))).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o022, 0);
        assert_eq!(std::fs::metadata(log.path()).unwrap().mode() & 0o022, 0);
    }

    #[test]
    fn many_writers_at_midnight_lose_no_line() {
        let place = tempfile::tempdir().unwrap();
        let (log, now) = (LogFile::new(&place.path().join("kluis.log"), &TimeZone::UTC), Timestamp::now());
        log.append("yesterday", now).unwrap();
        age(log.path(), now - jiff::SignedDuration::from_hours(24));
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let log = log.clone();
                scope.spawn(move || (0..50).for_each(|number| log.append(&format!("{writer} {number}"), now).unwrap()));
            }
        });
        let all: String = names(place.path()).iter().map(|name| std::fs::read_to_string(place.path().join(name)).unwrap()).collect();
        let mut lines: Vec<&str> = all.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), 401);
        assert_eq!(names(place.path()).len(), 2);
    }

    #[test]
    fn a_link_in_its_place_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let (path, victim) = (place.path().join("kluis.log"), place.path().join("victim"));
        std::fs::write(&victim, "").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert!(LogFile::new(&path, &TimeZone::UTC).append("x", Timestamp::now()).is_err());
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "");
    }
}
