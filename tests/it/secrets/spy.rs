//! What others on the machine get to see of kluis and its children: each of PostgreSQL's programs, replaced by one that writes down how it was called
//! before it becomes the real one, and the kernel's list of processes, read over and over.

use crate::support::cluster::Cluster;
use crate::support::new_folder;
use kluis::postgres::child::TRAMPOLINE;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// The programs as they were called, and what the list of processes showed.
pub struct Spy {
    /// The folder for `BACKUP_PG_BIN`.
    pub bin: PathBuf,
    records: PathBuf,
    watcher: Option<std::thread::JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    looks: AtomicU64,
    seen: Mutex<BTreeSet<String>>,
}

impl Spy {
    /// Stands in for the programs of this cluster.
    pub fn on(cluster: &Cluster) -> Spy {
        let (bin, records) = (new_folder("spied"), new_folder("records"));
        // The server's own user writes here as well.
        std::fs::set_permissions(&records, std::fs::Permissions::from_mode(0o1777)).unwrap();
        for entry in std::fs::read_dir(cluster.bin()).unwrap().flatten() {
            let (name, path) = (entry.file_name().to_string_lossy().into_owned(), bin.join(entry.file_name()));
            if name == "postgres" {
                // In its sandbox nothing but the program itself can run: the list of processes has to show how it was called.
                std::os::unix::fs::symlink(entry.path(), path).unwrap();
                continue;
            }
            let script = format!(
                "#!/bin/sh\n{{ echo 'called: {name}'; tr '\\0' '\\n' </proc/$$/cmdline; echo environment:; tr '\\0' '\\n' </proc/$$/environ\n\
                 echo \"core limits: $(ulimit -Sc) $(ulimit -Hc)\"; echo \"umask: $(umask)\"\n\
                 [ -z \"$PGPASSFILE\" ] || stat -c 'passfile: %a' \"$PGPASSFILE\"; }} >'{}/{name}.'$$ 2>&1\nexec '{}' \"$@\"\n",
                records.display(),
                entry.path().display()
            );
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let shared = Arc::new(Shared::default());
        let watched = shared.clone();
        let watcher = std::thread::spawn(move || {
            while !watched.over.load(Ordering::Relaxed) {
                look(&watched);
                watched.looks.fetch_add(1, Ordering::Relaxed);
            }
        });
        Spy { bin, records, watcher: Some(watcher), shared }
    }

    /// Which of the secrets were seen, and where. What the spy itself must have seen to be believed is checked as well.
    pub fn told(&self, secrets: &[&str]) -> Vec<String> {
        let (mut found, mut called, mut passfiles) = (Vec::new(), BTreeSet::new(), 0);
        for entry in std::fs::read_dir(&self.records).unwrap().flatten() {
            let text = String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned();
            let (name, with_version) = (entry.file_name().to_string_lossy().split('.').next().unwrap().to_owned(), text.contains("\n--version\n"));
            found.extend(secrets.iter().filter(|secret| text.contains(**secret)).map(|secret| format!("{secret} was given to a child: {text}")));
            if !text.contains("\ncore limits: 0 0\n") || (!text.contains("\numask: 0077\n") && !with_version) {
                found.push(format!("the core limits or the umask are wrong: {text}"));
            }
            // What a child needs, and nothing of ours.
            let environment = text.split("environment:\n").nth(1).unwrap_or("").split("core limits:").next().unwrap_or("");
            let foreign = |line: &&str| !["PATH=", "LC_ALL=", "TZ=", "PG", "PWD=", "_="].iter().any(|start| line.starts_with(start));
            found.extend(environment.lines().filter(foreign).map(|line| format!("{name} got {line} in its environment")));
            if environment.contains("PGPASSWORD=") {
                found.push(format!("{name} got PGPASSWORD"));
            }
            passfiles += usize::from(text.contains("\npassfile: 600\n"));
            if text.contains("passfile: ") && !text.contains("\npassfile: 600\n") {
                found.push(format!("a passfile is open to others: {text}"));
            }
            called.insert(name);
        }
        for name in ["pg_dump", "pg_dumpall", "pg_restore", "initdb"] {
            assert!(called.contains(name), "{name} was never called: {called:?}");
        }
        let (looks, seen) = (self.shared.looks.load(Ordering::Relaxed), self.shared.seen.lock().unwrap());
        assert!(passfiles > 20 && looks > 100, "{passfiles} passfiles, {looks} looks");
        assert!(seen.iter().any(|text| text.contains("listen_addresses=")), "no server was seen: {seen:?}");
        assert!(seen.iter().any(|text| text.contains("pg_dump")) && seen.iter().any(|text| text.contains("kluis")), "the watcher saw nothing: {seen:?}");
        for secret in secrets {
            found.extend(seen.iter().filter(|text| text.contains(secret)).map(|text| format!("{secret} was to be seen in the list of processes: {text}")));
        }
        found
    }
}

/// Looks at all processes once. Of kluis itself, whose user gave it its environment, only the arguments count; of its children both.
fn look(shared: &Shared) {
    let kluis = env!("CARGO_BIN_EXE_kluis");
    let read = |path: &Path, name: &str| String::from_utf8_lossy(&std::fs::read(path.join(name)).unwrap_or_default()).replace('\0', " ");
    for entry in std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit())) {
        let words = read(&entry.path(), "cmdline");
        // A child that has not yet become another program is still us.
        let ours = words.starts_with(kluis) || words.starts_with("kluis ");
        let of_tests = words.contains("kluis") || words.contains("/pg_") || words.contains("postgres") || words.contains("initdb");
        if !of_tests || words.contains("--to postgresql://kx") {
            continue;
        }
        let environment = if ours && !words.contains(TRAMPOLINE) { String::new() } else { read(&entry.path(), "environ") };
        // The one command line of a user's that has a secret in it, on purpose.
        if words.contains("backup postgresql://") || words.contains("--target postgresql://") || words.contains("--to mysql://") {
            continue;
        }
        shared.seen.lock().unwrap().insert(format!("{words} | {environment}"));
    }
    std::thread::sleep(std::time::Duration::from_millis(1));
}

impl Drop for Spy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        let _ = self.watcher.take().map(std::thread::JoinHandle::join);
    }
}
