//! The sandbox of a throwaway server: what the operating system lets it do while it runs the code of somebody's database as superuser.
//! It owns what this kernel can enforce and how that is applied; it leaves files to `paths`, system calls to `calls`, and starting to `child`.
//! Invariant: what was announced is enforced, or the program does not start: a sandbox that is smaller than the drill's record says there is not.
//!
//! Two walls, both without privileges and inherited by every process behind them. Landlock decides which files can be read, written and executed,
//! and keeps signals, abstract sockets and TCP inside; a seccomp filter takes away the system calls that lead out past files.

mod calls;
mod paths;

pub use paths::readable;

use crate::manifest;
use landlock::{ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope, path_beneath_rules};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

/// The newest Landlock whose rights are asked for. Older kernels enforce what they know of them.
const NEWEST: ABI = ABI::V6;

/// What this kernel can enforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    /// The version of Landlock's interface, at most 6; 0: none.
    pub landlock: u32,
    /// Whether there are seccomp filters.
    pub seccomp: bool,
}

impl Support {
    /// Finds out. Nothing is restricted by it but a thread that has ended when this returns.
    pub fn of_this_machine() -> Support {
        Support { landlock: landlock(), seccomp: std::thread::spawn(calls::probe).join().is_ok_and(|done| done) }
    }

    /// In one word, for the record of a drill.
    pub fn word(self) -> manifest::Sandbox {
        match self {
            Support { landlock: 6.., seccomp: true } => manifest::Sandbox::Full,
            Support { landlock: 0, seccomp: false } => manifest::Sandbox::None,
            _ => manifest::Sandbox::Partial,
        }
    }

    /// What stays open to the code of a database, in words; the worst first. Empty: nothing that we know of.
    pub fn open(self) -> Vec<&'static str> {
        let mut open = Vec::new();
        if self.landlock == 0 {
            open.push("files that its user may read or write, the repository among them");
            open.push("programs");
        }
        if !self.seccomp {
            open.push("connections to servers");
            open.push("modes, owners and times of files");
        }
        if (1..3).contains(&self.landlock) {
            open.push("emptying files that its user may write (truncate)");
        }
        if self.landlock < 6 {
            open.push("signals to processes of the same user");
        }
        open
    }

    /// As an argument of the trampoline.
    pub fn argument(self) -> OsString {
        format!("{}{}", self.landlock, if self.seccomp { "+" } else { "-" }).into()
    }

    /// What [`Support::argument`] wrote.
    pub fn parse(argument: &OsStr) -> Option<Support> {
        let text = argument.to_str()?;
        let (landlock, seccomp) = match text.strip_suffix('+') {
            Some(landlock) => (landlock, true),
            None => (text.strip_suffix('-')?, false),
        };
        Some(Support { landlock: landlock.parse().ok()?, seccomp })
    }
}

/// The version of Landlock's interface, found by asking for what each version brought (`man 7 landlock`).
fn landlock() -> u32 {
    let strict = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let has = |right: AccessFs| strict().handle_access(right).is_ok();
    let known = [
        // Also tried: a kernel that says it has Landlock may be kept from it by a filter of the container's.
        has(AccessFs::Execute) && strict().handle_access(AccessFs::Execute).and_then(Ruleset::create).is_ok(),
        has(AccessFs::Refer),
        has(AccessFs::Truncate),
        strict().handle_access(AccessNet::ConnectTcp).is_ok(),
        has(AccessFs::IoctlDev),
        strict().scope(Scope::Signal).is_ok(),
    ];
    known.iter().take_while(|known| **known).count() as u32
}

/// Confines this thread, and whatever it becomes, to what `program` needs: it writes in `folder` alone.
pub fn enter(announced: Support, program: &Path, folder: &Path) -> io::Result<()> {
    if announced.landlock > 0 {
        confine_files(program, folder)?;
    }
    if announced.seccomp { calls::forbid() } else { Ok(()) }
}

fn confine_files(program: &Path, folder: &Path) -> io::Result<()> {
    let failed = |error: landlock::RulesetError| io::Error::other(format!("landlock: {error}"));
    // Looked at before anything is forbidden.
    let (programs, readable) = (paths::executable(program)?, paths::readable(program));
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // Neither programs nor devices are made in there.
    let own = AccessFs::from_all(NEWEST) & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .and_then(|ruleset| ruleset.add_rules(path_beneath_rules(readable, read)))
        .and_then(|ruleset| ruleset.add_rules(path_beneath_rules(paths::DEVICES, AccessFs::ReadFile | AccessFs::WriteFile)))
        .and_then(|ruleset| ruleset.add_rules(path_beneath_rules(programs, AccessFs::ReadFile | AccessFs::Execute)))
        .and_then(|ruleset| ruleset.add_rules(path_beneath_rules([folder], own)))
        .map_err(failed)?;
    let status = ruleset.restrict_self().map_err(failed)?;
    if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
        return Err(io::Error::other("landlock: the kernel does not enforce it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_word_is_that_of_what_is_enforced() {
        let support = |landlock, seccomp| Support { landlock, seccomp };
        for (landlock, seccomp, word, open) in [
            (6, true, manifest::Sandbox::Full, 0),
            (5, true, manifest::Sandbox::Partial, 1),
            (2, true, manifest::Sandbox::Partial, 2),
            (6, false, manifest::Sandbox::Partial, 2),
            (0, true, manifest::Sandbox::Partial, 3),
            (0, false, manifest::Sandbox::None, 5),
        ] {
            let support = support(landlock, seccomp);
            assert_eq!((support.word(), support.open().len()), (word, open), "{support:?}");
            assert_eq!(Support::parse(&support.argument()), Some(support));
        }
        assert_eq!(Support::parse(OsStr::new("6")), None);
        assert_eq!(Support::parse(OsStr::new("x+")), None);
    }

    #[test]
    fn what_this_machine_has_is_found_without_being_restricted_by_it() {
        let found = Support::of_this_machine();
        assert_eq!(found, Support::of_this_machine());
        // This thread and its like may still do everything.
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || UnixStream::connect(socket).unwrap()).join().unwrap();
    }

    #[test]
    // A skip is to be seen.
    #[allow(clippy::print_stderr)]
    fn behind_the_walls_only_the_own_folder_is_there() {
        let support = Support::of_this_machine();
        if support.word() != manifest::Sandbox::Full {
            eprintln!("SKIPPED: this kernel lacks {}", support.open().join(", "));
            return;
        }
        let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(other.path().join("secret"), "secret").unwrap();
        let socket = other.path().join("socket");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        let program = std::fs::canonicalize("/proc/self/exe").unwrap();
        std::thread::scope(|scope| {
            let confined = scope.spawn(|| {
                enter(support, &program, own.path()).unwrap();
                #[track_caller]
                fn denied(result: io::Result<()>) {
                    // A link to what may do more than its new place is refused like one to another file system.
                    let kind = result.unwrap_err().kind();
                    assert!([io::ErrorKind::PermissionDenied, io::ErrorKind::CrossesDevices].contains(&kind), "{kind:?}");
                }
                std::fs::write(own.path().join("x"), "x").unwrap();
                std::fs::rename(own.path().join("x"), own.path().join("y")).unwrap();
                denied(std::fs::write(other.path().join("x"), "x"));
                denied(std::fs::read(other.path().join("secret")).map(drop));
                denied(std::fs::read_dir(other.path()).map(drop));
                denied(std::fs::rename(own.path().join("y"), other.path().join("y")));
                denied(std::fs::hard_link(other.path().join("secret"), own.path().join("z")));
                denied(std::fs::remove_file(other.path().join("secret")));
                denied(std::fs::read("/proc/self/environ").map(drop));
                denied(std::process::Command::new("/bin/sh").args(["-c", ":"]).status().map(drop));
                denied(UnixStream::connect(&socket).map(drop));
                denied(std::net::TcpStream::connect("127.0.0.1:1").map(drop));
                denied(std::net::UdpSocket::bind("127.0.0.1:0").map(drop));
                denied(std::os::unix::net::UnixDatagram::unbound().map(drop));
            });
            confined.join().unwrap();
        });
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 2);
    }
}
