//! The process itself: nobody reads its memory, no crash writes it down, and its files are nobody else's before their first byte.

use crate::support::cluster::Cluster;
use crate::support::kluis::{Running, kluis_after};
use crate::support::repo::Repo;
use crate::support::{folder, is_root, new_folder, server_user, skip, wait_until};
use rustix::process::{Pid, Signal};
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Planted in the environment. Nobody may read it there.
const PLANTED: &str = "kluis-canary-environment";

/// A program of the user that the tests let kluis run as: as root that is another user, because root may read everything.
fn as_user(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").current_dir(folder()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some((uid, gid)) = server_user() {
        command.uid(uid).gid(gid);
    }
    command
}

/// A folder of that user's.
fn folder_of_user(name: &str) -> PathBuf {
    let path = new_folder(name);
    let (uid, gid) = server_user().unzip();
    chown(&path, uid, gid).expect("a folder can be given away");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

/// A sidecar in its own folder, which has a secret and waits for a database that is not there.
fn waiting(place: &Path) -> Running {
    let sidecar =
        kluis_after("ulimit -c unlimited", &["serve"]).in_folder(place).env("BACKUP_DIR", place.join("repo")).env("BACKUP_SCRATCH_DIR", place.join("scratch"));
    let sidecar = sidecar.env("DB_HOST", place).env("DB_DATABASE", "none").env("DB_USERNAME", "none").env("DB_PASSWORD", PLANTED);
    let sidecar = server_user().into_iter().fold(sidecar, |sidecar, user| sidecar.user(user)).start();
    let log = place.join("repo/log/kluis.log");
    wait_until("the sidecar waits", || std::fs::read_to_string(&log).unwrap_or_default().contains("run failed"));
    sidecar
}

/// Another process with the same secret, which takes no care of it.
fn careless(place: &Path) -> Child {
    let mut shell = as_user("/bin/sh");
    shell.args(["-c", "ulimit -c unlimited; exec sleep 600"]).env("DB_PASSWORD", PLANTED).current_dir(place).stdout(Stdio::null()).stderr(Stdio::null());
    let child = shell.spawn().expect("sh starts");
    let name = format!("/proc/{}/comm", child.id());
    wait_until("sleep runs", || std::fs::read_to_string(&name).is_ok_and(|name| name.trim() == "sleep"));
    child
}

/// What a process of the same user gets to see of that one: each way, with what came out.
fn looks(pid: u32) -> Vec<(&'static str, bool)> {
    let ways = [
        ("its environment", "cat /proc/PID/environ"),
        ("its open files", "ls /proc/PID/fd/"),
        ("where its memory lies", "test -n \"$(cat /proc/PID/maps)\""),
        ("its memory", "exec 3</proc/PID/mem"),
        ("its memory, as a debugger", "timeout 2 strace -qq -e trace=none -o /dev/null -p PID; test $? = 124"),
    ];
    let ways = ways.into_iter().filter(|(_, command)| !command.contains("strace") || Path::new("/usr/bin/strace").exists());
    ways.map(|(what, command)| {
        let output = as_user("/bin/sh").args(["-c", &command.replace("PID", &pid.to_string())]).output().expect("sh starts");
        (what, output.status.success())
    })
    .collect()
}

#[test]
fn no_other_process_reads_our_memory_or_environment() {
    if !Path::new("/usr/bin/strace").exists() {
        skip("'no_other_process_reads_our_memory_or_environment': a debugger that attaches", "scripts/setup test");
    }
    let place = folder_of_user("memory");
    let (sidecar, mut other) = (waiting(&place), careless(&place));
    let (ours, theirs) = (looks(sidecar.pid()), looks(other.id()));
    assert!(ours.iter().all(|(_, seen)| !seen), "{ours:?}");
    // A machine that forbids all of it to everybody (Yama, a container's seccomp filter) would prove nothing.
    for (what, _) in theirs.iter().filter(|(_, seen)| !seen) {
        skip(&format!("'no_other_process_reads_our_memory_or_environment': this machine shows nobody {what}"), "a machine without Yama and seccomp filters");
    }
    assert!(theirs[0].1, "the way of looking is wrong: {theirs:?}");
    other.kill().unwrap();
    other.wait().unwrap();
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait().code, Some(0));
}

#[test]
fn a_crash_leaves_no_core() {
    let place = folder_of_user("core");
    let (sidecar, mut other) = (waiting(&place), careless(&place));
    rustix::process::kill_process(Pid::from_child(&other), Signal::SEGV).unwrap();
    if !other.wait().unwrap().core_dumped() {
        skip("'a_crash_leaves_no_core': here nothing leaves one (a hard limit, or core_pattern)", "a machine that writes cores");
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", sidecar.pid())).unwrap();
    let core: Vec<&str> = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "soft and hard limit");
    let before = std::fs::read_dir(&place).unwrap().count();
    // The first one is taken for a stack overflow that was none (std's handler), the second one is a crash.
    sidecar.signal(Signal::SEGV);
    std::thread::sleep(std::time::Duration::from_millis(200));
    sidecar.signal(Signal::SEGV);
    let ended = sidecar.wait();
    assert_eq!(ended.signal, Some(Signal::SEGV.as_raw()), "{ended:#?}");
    assert!(!ended.dumped_core, "{ended:#?}");
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), before, "a file appeared in the folder that it ran in");
}

/// A file or folder that was made, and with which rights.
#[derive(Debug)]
struct Made {
    path: String,
    mode: u32,
}

/// What strace has seen being made under this folder. Where a process's umask is not known, it is taken to be none.
fn made(trace: &str, under: &Path) -> Vec<Made> {
    let lines: Vec<(&str, &str)> = trace.lines().filter_map(|line| line.split_once(' ')).map(|(pid, call)| (pid, call.trim_start())).collect();
    // A child, and a thread, begins with its parent's umask. Its own calls may stand before the line that tells of its birth.
    let births = lines.iter().filter(|(_, call)| ["clone", "fork", "vfork"].iter().any(|name| call.contains(name)));
    let parents: BTreeMap<&str, &str> = births.filter_map(|(pid, call)| Some((call.rsplit_once("= ")?.1.split(' ').next()?, *pid))).collect();
    let mut umasks: BTreeMap<&str, u32> = BTreeMap::new();
    let mut found = Vec::new();
    for (pid, call) in lines {
        let octal = |text: &str| u32::from_str_radix(text.trim_start_matches('0').split([')', ' ', ',', '<']).next().unwrap_or(""), 8).unwrap_or(0);
        if let Some(mask) = call.strip_prefix("umask(") {
            umasks.insert(pid, octal(mask));
            continue;
        }
        let creates = call.contains("O_CREAT") || call.starts_with("mkdir") || call.starts_with("creat(") || call.starts_with("mknod");
        let Some(path) = call.split('"').nth(1).filter(|path| creates && Path::new(path).starts_with(under)) else { continue };
        let mode = octal(call.rsplit_once(", ").map_or("", |(_, mode)| mode));
        let known = std::iter::successors(Some(pid), |pid| parents.get(pid).copied()).take(20).find_map(|pid| umasks.get(pid));
        found.push(Made { path: path.to_owned(), mode: mode & !known.copied().unwrap_or(0) });
    }
    found
}

/// Everything under a folder that others can get at.
fn open_to_others(path: &Path, found: &mut Vec<String>) {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    if !metadata.is_symlink() && metadata.permissions().mode() & 0o077 != 0 {
        found.push(format!("{} {:o}", path.display(), metadata.permissions().mode() & 0o7777));
    }
    if metadata.is_dir() {
        std::fs::read_dir(path).unwrap().flatten().for_each(|entry| open_to_others(&entry.path(), found));
    }
}

#[test]
fn files_are_ours_alone_before_their_first_byte_under_any_umask() {
    let Some(cluster) = Cluster::of(16) else { return };
    let database = cluster.database("rights");
    database.sql("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 1000) i; SELECT lo_from_bytea(0, 'x')");
    let traced = is_root() && Path::new("/usr/bin/strace").exists();
    if !traced {
        skip("'files_are_ours_alone_before_their_first_byte_under_any_umask': the moment of their making", "scripts/setup test, and the tests as root");
    }
    let everything: &[&[&str]] = &[&["backup"], &["drill", "latest"], &["pin", "latest", "--reason", "x"], &["verify", "--all"]];
    for (umask, commands) in [("000", everything), ("022", &everything[..1]), ("077", &everything[..1]), ("277", &everything[..1]), ("777", everything)] {
        let place = folder_of_user(&format!("umask-{umask}"));
        let (repo, trace) = (Repo { root: place.join("repo"), target: "app".to_owned() }, place.join("trace"));
        let calls = "openat,open,creat,umask,mkdir,mkdirat,mknod,mknodat,clone,clone3,fork,vfork";
        let tracer = if traced { format!("exec strace -f -qq -s 300 -e trace={calls} -o '{}' \"$0\" \"$@\"", trace.display()) } else { ":".to_owned() };
        for words in commands {
            let run = kluis_after(&format!("umask {umask}; {tracer}"), words).of(&database).keeping(&repo).env("BACKUP_LOG", place.join("log/kluis.log"));
            let run = run.env("BACKUP_SCRATCH_DIR", place.join("scratch")).env("BACKUP_DRILL", if commands.len() > 1 { "every-backup" } else { "off" });
            // Root can open a file that has no rights at all: without a tracer it is the other user who must be able to.
            let run = if traced { run } else { server_user().into_iter().fold(run, |run, user| run.user(user)) };
            let ended = run.run();
            assert_eq!(ended.code, Some(0), "umask {umask}: {ended:#?}");
            if traced {
                let text = std::fs::read_to_string(&trace).unwrap();
                let made = made(&text, &place);
                let wide: Vec<&Made> = made.iter().filter(|made| made.mode & 0o077 != 0 && !is_log(&made.path, &place) && !is_passage(&made.path)).collect();
                assert!(wide.is_empty(), "umask {umask}: {wide:#?}");
                if *words == ["backup"] {
                    // The drill's server makes its files by relative names, in a folder of mode 0700; they are not among these.
                    for name in ["app/history.jsonl", ".sql.gz", "schema.dump", "globals.sql.gz", "manifest.json", "SHA256SUMS", ".kluis-pass-"] {
                        assert!(made.iter().any(|made| made.path.contains(name)), "{name} was not seen being made");
                    }
                }
            }
        }
        let mut open = Vec::new();
        open_to_others(&repo.root, &mut open);
        assert_eq!(open, [] as [String; 0], "umask {umask}");
        let log = std::fs::metadata(place.join("log/kluis.log")).map(|log| log.permissions().mode() & 0o777).unwrap();
        assert_eq!(log, if umask == "077" || umask == "277" || umask == "777" { 0o600 } else { 0o644 }, "the log, with umask {umask}");
    }
}

/// As an unprivileged user there is nobody to trace, but umask 0777 would shut us out of our own files.
#[test]
fn an_umask_that_takes_our_own_rights_does_not_shut_us_out() {
    let Some(cluster) = Cluster::of(16) else { return };
    let database = cluster.database("umask");
    database.sql("CREATE TABLE t AS SELECT 1 AS id");
    let place = folder_of_user("shut-out");
    let repo = Repo { root: place.join("repo"), target: "app".to_owned() };
    for words in [&["backup"][..], &["verify", "--all"], &["restore", "latest", "--create", "--to", "postgresql:///umask_restored"]] {
        let run = kluis_after("umask 0777", words).of(&database).keeping(&repo).into(&cluster).env("BACKUP_DRILL", "every-backup");
        let run = run.env("BACKUP_SCRATCH_DIR", place.join("scratch"));
        let ended = server_user().into_iter().fold(run, |run, user| run.user(user)).run();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }
}

/// No secret and no personal data stands in the log; others may read it where the user's umask lets them.
fn is_log(path: &str, place: &Path) -> bool {
    Path::new(path).starts_with(place.join("log"))
}

/// As root, the folder that the server's own user has to pass through: it can be entered, not listed, and holds nothing that others can read.
fn is_passage(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name == "scratch" || name.starts_with("kluis-throwaway-"))
}
