//! What the tests stand on: real servers, the real binary, and the reading of what both leave behind.
//! It owns the folder of a test process and everything that is started in it; it leaves what is to be true to the tests.
//! Invariant: nothing outlives the test process: a watcher outside of it stops the servers and removes the folder, however the process ends.

pub mod cluster;
pub mod disk;
pub mod kluis;
pub mod papers;
pub mod receivers;
pub mod repo;
pub mod schema;
pub mod sql;
pub mod stock;

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A value that stands in a row of every database that bad things happen to. Nobody may ever see it.
pub const CANARY: &str = "kluis-canary-row-4711";
/// The password of every role that has one (see `torture-roles.sql`). Nobody may ever see it either.
pub const PASSWORD: &str = "kluis-canary-password";

/// Where the folders of test processes are: `TEST_FOLDER`, else `/tmp`. The path must be short: sockets lie below it.
fn base() -> PathBuf {
    std::env::var_os("TEST_FOLDER").map_or_else(|| "/tmp".into(), PathBuf::from)
}

/// The folder of this test process. Servers run in it under another user, so others may pass through it.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<(PathBuf, ChildStdin)> = OnceLock::new();
    &FOLDER
        .get_or_init(|| {
            sweep();
            let folder = base().join(format!("kluis-it-{}", std::process::id()));
            std::fs::create_dir(&folder).expect("the folder of this test process can be made");
            std::os::unix::fs::chown(&folder, server_user().map(|(uid, _)| uid), None).expect("the folder can be given away");
            let watcher = watch(&folder);
            (folder, watcher)
        })
        .0
}

/// Starts the watcher: it waits for the end of its standard input, which the kernel closes when this process is gone.
fn watch(folder: &Path) -> ChildStdin {
    const SCRIPT: &str = r#"
        cat >/dev/null
        for file in "$1"/*/data/postmaster.pid "$1"/*/*.pid; do
            [ -f "$file" ] || continue
            server=$(head -n 1 "$file"); kill -QUIT "$server" 2>/dev/null
            for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do kill -0 "$server" 2>/dev/null || break; sleep 0.1; done
            kill -KILL "$server" 2>/dev/null
        done
        grep -F " $1/" /proc/mounts | cut -d " " -f 2 | while read -r mount; do umount -l "$mount"; done
        rm -rf "$1""#;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "watcher"]).arg(folder).process_group(0).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut watcher = command.spawn().expect("sh starts");
    watcher.stdin.take().expect("its input was piped")
}

/// Removes what test processes left whose watcher was killed too.
fn sweep() {
    for entry in std::fs::read_dir(base()).expect("the folder of the test processes' folders can be read").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix("kluis-it-").and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if !Path::new(&format!("/proc/{pid}")).exists() {
            drop(watch(&entry.path()));
        }
    }
}

/// The user that servers run as where we are root, which PostgreSQL refuses.
pub fn server_user() -> Option<(u32, u32)> {
    if !is_root() {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
    let user = ["postgres:", "nobody:"].into_iter().find_map(|name| passwd.lines().find(|line| line.starts_with(name)));
    let fields: Vec<u32> = user.expect("there is a user postgres or nobody").split(':').filter_map(|field| field.parse().ok()).collect();
    Some((fields[0], fields[1]))
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A name that no other test of this process has.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    format!("{name}_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A new folder of ours.
pub fn new_folder(name: &str) -> PathBuf {
    let path = folder().join(unique(name));
    std::fs::create_dir(&path).expect("a new folder can be made");
    path
}

/// Says, where libtest does not capture it, that something was not tested, and how to have it tested.
pub fn skip(what: &str, remedy: &str) {
    let line = format!("SKIPPED: {what}; to run it: {remedy}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    let list = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("skips.txt");
    let file = std::fs::OpenOptions::new().append(true).create(true).open(list);
    let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
}

/// What lies in a scratch folder besides the note of which repositories were seen, which stays.
pub fn left_in_scratch(scratch: &Path) -> Vec<std::ffi::OsString> {
    let names = std::fs::read_dir(scratch).expect("the scratch folder is there").map(|entry| entry.expect("it can be read").file_name());
    names.filter(|name| name != "repositories.json").collect()
}

/// Waits until `look` finds something. Panics when it has not within two minutes: some wait for a clock's next minute, and for what happens then.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "waited two minutes in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until something is true.
#[track_caller]
pub fn wait_until(what: &str, mut look: impl FnMut() -> bool) {
    wait_for(what, || look().then_some(()));
}

/// The next 64 bits of chances that can be had again (SplitMix64).
pub fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
