//! A repository as it lies on disk, looked at from outside.

use super::{CANARY, PASSWORD, new_folder};
use kluis::manifest::Manifest;
use kluis::repository::list::Backup;
use kluis::repository::names;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A repository with one target.
pub struct Repo {
    /// Its folder.
    pub root: PathBuf,
    /// The target's name.
    pub target: String,
}

/// Everything under a folder: files with their content's hash, links with where they lead, folders.
pub type Fingerprint = BTreeMap<PathBuf, String>;

impl Repo {
    /// A new, empty one.
    pub fn new() -> Repo {
        Repo::at(new_folder("repo"))
    }

    /// One in this folder, which becomes ours alone.
    pub fn at(root: PathBuf) -> Repo {
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o700)).unwrap();
        Repo { root, target: "app".to_owned() }
    }

    /// The target's folder.
    pub fn folder(&self) -> PathBuf {
        self.root.join(&self.target)
    }

    fn names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.folder()) else { return Vec::new() };
        let mut names: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The backups, oldest first.
    pub fn backups(&self) -> Vec<PathBuf> {
        self.names().iter().filter(|name| names::parse_backup_id(name).is_some()).map(|name| self.folder().join(name)).collect()
    }

    /// The newest backup.
    #[track_caller]
    pub fn newest(&self) -> PathBuf {
        self.backups().pop().expect("there is a backup")
    }

    /// Folders of runs in progress, or of such that died.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let ours = |name: &&String| name.starts_with(names::STAGING) || name.starts_with(names::DELETING);
        self.names().iter().filter(ours).map(|name| self.folder().join(name)).collect()
    }

    /// How many bytes of a script a run in progress has written.
    pub fn script_in_progress(&self) -> u64 {
        let files = self.leftovers().into_iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        let scripts = files.filter(|file| file.file_name().to_string_lossy().ends_with(".sql.gz") && file.file_name() != names::GLOBALS);
        scripts.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
    }

    /// The history, oldest first. There is no secret in it.
    #[track_caller]
    pub fn history(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.folder().join(names::HISTORY)).unwrap_or_default();
        assert!(!text.contains(CANARY) && !text.contains(PASSWORD), "a secret is in the history: {text}");
        text.lines().map(|line| serde_json::from_str(line).expect("a line of the history is JSON")).collect()
    }

    /// How the latest run ended, and the class of its error.
    #[track_caller]
    pub fn latest_run(&self) -> (String, String) {
        let history = self.history();
        let word = |name: &str| history.last().and_then(|line| line[name].as_str()).unwrap_or("").to_owned();
        (word("outcome"), word("error"))
    }

    /// Everything that lies in it.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut found = Fingerprint::new();
        walk(&self.root, &mut found);
        found
    }

    /// Only what belongs to backups.
    pub fn backups_fingerprint(&self) -> Fingerprint {
        let mut found = Fingerprint::new();
        self.backups().iter().for_each(|path| walk(path, &mut found));
        found
    }
}

fn walk(path: &Path, found: &mut Fingerprint) {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    if metadata.is_dir() {
        found.insert(path.to_owned(), format!("folder {:o}", metadata.permissions().mode()));
        std::fs::read_dir(path).unwrap().flatten().for_each(|entry| walk(&entry.path(), found));
    } else if metadata.is_symlink() {
        found.insert(path.to_owned(), format!("link to {}", std::fs::read_link(path).unwrap().display()));
    } else {
        let (bytes, hash) = kluis::repository::files::hash_file(path, |_| Ok(())).unwrap();
        found.insert(path.to_owned(), format!("{bytes} bytes {hash} {:o}", metadata.permissions().mode()));
    }
}

/// All that a backup's folder says of it.
#[track_caller]
pub fn manifest(backup: &Path) -> Manifest {
    let backup = Backup::read(backup.to_owned());
    backup.whole().unwrap_or_else(|error| panic!("a manifest can be read: {}", error.chain())).clone()
}
