//! The one error type. It owns kind, operation, subject, cause and hint; it leaves printing to `main`.
//! The kind alone decides the exit code and whether a retry makes sense, in one exhaustive match each.
//! No secret and no row value may enter an error: constructors take text that is already clean.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of every fallible function of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of thing went wrong. Decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Anything that has no class of its own.
    Failed,
    /// A wrong flag, key or value: what the user typed.
    Usage,
    /// The newest backup is older than it may be.
    Stale,
    /// The database cannot be reached, or does not let us in.
    Unreachable,
    /// The database is there and lets us in, and cannot be backed up as it is set up: rights that lack, a pooler in between, a version.
    Refused,
    /// Another run holds the lock.
    Locked,
    /// A decryption key is missing or wrong.
    Key,
    /// A backup is not what its manifest says.
    Verification,
    /// The storage is full, read-only, missing or not ours.
    Storage,
    /// A time limit passed.
    TimedOut,
    /// A signal asked us to stop.
    Interrupted,
}

impl Kind {
    /// The process's exit code for this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Stale => 4,
            Kind::Unreachable | Kind::Refused => 10,
            Kind::Locked => 11,
            Kind::Key => 12,
            Kind::Verification => 13,
            Kind::Storage => 14,
            Kind::TimedOut => 15,
            Kind::Interrupted => 130,
        }
    }

    /// When trying again, with nothing else changed, may help.
    pub fn retry(self) -> Retry {
        match self {
            // A database that is not there yet, or a run of somebody else, are soon over.
            Kind::Unreachable | Kind::Locked => Retry::Soon,
            // Somebody has to change something first.
            Kind::Refused | Kind::Failed | Kind::Storage | Kind::TimedOut | Kind::Verification | Kind::Stale => Retry::Later,
            // Somebody has to change something, or wants us to end.
            Kind::Usage | Kind::Key | Kind::Interrupted => Retry::Never,
        }
    }

    /// The word for this kind in history lines and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Failed => "failed",
            Kind::Usage => "usage",
            Kind::Stale => "stale",
            Kind::Unreachable => "unreachable",
            Kind::Refused => "refused",
            Kind::Locked => "locked",
            Kind::Key => "key",
            Kind::Verification => "verification",
            Kind::Storage => "storage",
            Kind::TimedOut => "timed-out",
            Kind::Interrupted => "interrupted",
        }
    }
}

/// When to try again after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Within seconds at first.
    Soon,
    /// Within minutes at first: it will not be over at once, and trying costs something.
    Later,
    /// Not by itself.
    Never,
}

/// An error: what was done to what, why it failed and what to do next.
///
/// `Display` prints the message only; the cause is in `source()` and the hint in [`Error::hint`], so nothing is printed twice.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    message: String,
    hint: Option<String>,
    room: Option<PathBuf>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A new error. `message` is lower case, without a full stop, with its subject quoted.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), hint: None, room: None, source: None }))
    }

    /// A wrong flag, key or value.
    pub fn usage(message: impl Into<String>) -> Self {
        Error::new(Kind::Usage, message)
    }

    /// A file operation that failed. Its kind is always [`Kind::Storage`]; running out of space gets its own hint.
    pub fn io(operation: &str, path: &Path, source: std::io::Error) -> Self {
        let full = matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
        let hint = match source.kind() {
            _ if full => Some("free some space on this volume, or give it a larger one; earlier backups were not touched"),
            std::io::ErrorKind::ReadOnlyFilesystem => Some("the volume is mounted read-only: mount it read-write for this service"),
            std::io::ErrorKind::PermissionDenied => Some("make the folder owned by and writable for the user that kluis runs as"),
            _ => None,
        };
        let error = Error::new(Kind::Storage, format!("cannot {operation} '{}'", path.display())).because(source);
        let error = if full { error.for_want_of_room(path) } else { error };
        match hint {
            Some(hint) => error.hinted(hint),
            None => error,
        }
    }

    /// Says that it lacks nothing but room where `path` lies.
    pub fn for_want_of_room(mut self, path: &Path) -> Self {
        self.0.room = Some(path.to_owned());
        self
    }

    /// Whether it lacks nothing but room on the volume of this folder.
    pub fn wants_room_in(&self, folder: &Path) -> bool {
        self.0.room.as_ref().is_some_and(|path| path.starts_with(folder))
    }

    /// Adds the next step for the user.
    pub fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error with another next step.
    pub fn rehinted(mut self, change: impl FnOnce(&str) -> String) -> Self {
        self.0.hint = self.0.hint.as_deref().map(change);
        self
    }

    /// Adds the cause.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says in which context this error happened: it becomes the cause of `message`, and keeps kind, hint and whether it wants room.
    pub fn context(self, message: impl Into<String>) -> Self {
        let (kind, room, hint) = (self.kind(), self.0.room.clone(), self.0.hint.clone());
        Error(Box::new(Inner { kind, message: message.into(), hint, room, source: Some(Box::new(self)) }))
    }

    /// What sort of error this is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The next step for the user, where there is one to give.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The message and its causes in one line, joined by `: `, for logs and history.
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            line.push_str(": ");
            line.push_str(&cause.to_string());
            source = cause.source();
        }
        line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|s| s as _)
    }
}
