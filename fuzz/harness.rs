//! The targets of the tests, one by name.

#[path = "../tests/it/input/peer.rs"]
mod peer;
#[path = "../tests/it/input/targets.rs"]
mod targets;

use std::path::PathBuf;
use targets::PLANTED;

/// A folder for this process.
pub fn own_folder() -> PathBuf {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("kluis-fuzz-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a folder can be made");
    path
}

/// Whether the planted word stands where it may be shown: libFuzzer, which sees what the code compares, copies it anywhere. As the password of
/// `DATABASE_URL` it stays a secret.
fn is_misplaced(data: &[u8]) -> bool {
    let secret = format!(":{PLANTED}");
    String::from_utf8_lossy(data).split('\n').any(|line| {
        let url = line.strip_prefix("DATABASE_URL=").and_then(|url| url.split_once(&secret));
        let is_password = |before: &str| before.split_once("://").is_some_and(|(_, user)| !user.contains([':', '@', '/', '?', '#']));
        match url {
            Some((before, after)) if is_password(before) => before.contains(PLANTED) || after.contains(PLANTED),
            _ => line.contains(PLANTED),
        }
    })
}

/// The targets that judge whether the planted word is shown.
const JUDGES: [&str; 3] = ["environment", "toml", "url"];

/// Tries one target.
pub fn run(name: &str, data: &[u8]) {
    let target = targets::TARGETS.iter().find(|target| target.name == name).expect("the target is known");
    if !(JUDGES.contains(&name) && is_misplaced(data)) {
        (target.run)(data);
    }
}
