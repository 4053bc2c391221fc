//! The targets of the tests, one by name.

#[path = "../tests/it/input/peer.rs"]
mod peer;
#[path = "../tests/it/input/targets.rs"]
mod targets;

use std::path::PathBuf;

/// A folder for this process.
pub fn own_folder() -> PathBuf {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("kluis-fuzz-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a folder can be made");
    path
}

/// Tries one target.
pub fn run(name: &str, data: &[u8]) {
    let target = targets::TARGETS.iter().find(|target| target.name == name).expect("the target is known");
    (target.run)(data);
}
