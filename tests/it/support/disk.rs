//! A real file system that is soon full.

use super::{is_root, new_folder, skip};
use std::path::PathBuf;
use std::process::Command;

/// A small file system of its own. Unmounted with the value.
pub struct SmallDisk(pub PathBuf);

impl SmallDisk {
    /// Mounts one of that size; nothing, and a loud skip, where that is not allowed.
    pub fn mount(size: &str) -> Option<SmallDisk> {
        let path = new_folder("disk");
        let mounted = is_root()
            && Command::new("mount")
                .args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "kluis-it"])
                .arg(&path)
                .status()
                .is_ok_and(|status| status.success());
        if !mounted {
            skip("a disk that fills up: a file system cannot be mounted here", "the tests as root, or in a privileged container");
        }
        mounted.then_some(SmallDisk(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
