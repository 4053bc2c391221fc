//! The small database that campaigns back up, and what must be true of its repository whatever happened.
//! It owns those promises; it leaves what happens to the campaigns.
//! Invariant: nothing here trusts the run that it judges: it reads what lies on the disk.

use crate::support::CANARY;
use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Kluis, kluis};
use crate::support::papers;
use crate::support::repo::{Fingerprint, Repo};
use kluis::events::Silent;
use kluis::repository::list::Listing;
use kluis::repository::{TargetFolder, names};
use kluis::stop::Stop;
use kluis::verify;
use std::path::Path;

/// A database and a repository with one backup of it.
pub struct World {
    pub database: Database,
    pub repo: Repo,
}

/// A table of several units, small ones, an empty one, a large object, a sequence, an index, a view.
const SMALL: &str = "CREATE TABLE big (id int PRIMARY KEY, t text); INSERT INTO big SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, 9000) i;
    CREATE TABLE empty (id int); CREATE TABLE side (id int, v text); INSERT INTO side SELECT i, md5((i * 3)::text) FROM generate_series(1, 500) i;
    CREATE INDEX ON side (v); CREATE VIEW seen AS SELECT count(*) FROM big; SELECT lo_from_bytea(4711, 'a large object');";

/// All that the database holds, in a few words.
pub const CONTENT: &str = "SELECT (SELECT count(*) || md5(string_agg(id || t, ',' ORDER BY id)) FROM big) || (SELECT count(*) FROM empty)
    || (SELECT count(*) || md5(string_agg(id || v, ',' ORDER BY id)) FROM side) || (SELECT count(*) || md5(string_agg(id || v, ',' ORDER BY id)) FROM secrets)
    || md5(lo_get(4711)) || (SELECT count(*) FROM pg_index JOIN pg_class ON oid = indrelid WHERE relnamespace = 'public'::regnamespace)
    || (SELECT count FROM seen)";

impl World {
    /// The small database and its first backup.
    pub fn new(cluster: &Cluster) -> World {
        let world = World::keeping(cluster, Repo::new());
        world.backup(&[]).run().done();
        world
    }

    /// The small database, and this repository, empty.
    pub fn keeping(cluster: &Cluster, repo: Repo) -> World {
        let database = cluster.database("small");
        database.sql(SMALL);
        database.sql(&format!(
            "CREATE TABLE secrets (id serial PRIMARY KEY, v text); INSERT INTO secrets (v) SELECT '{CANARY} ' || i FROM generate_series(1, 20) i"
        ));
        World { database, repo }
    }

    /// A run with two sessions that move rows.
    pub fn backup(&self, more: &[&str]) -> Kluis {
        let words: Vec<&str> = ["backup", "--jobs", "2"].iter().chain(more).copied().collect();
        self.kluis(&words)
    }

    /// Any command, on this database and repository.
    pub fn kluis(&self, words: &[&str]) -> Kluis {
        kluis(words).of(&self.database).keeping(&self.repo)
    }
}

/// The target's folder, for the library.
pub fn folder(repo: &Repo) -> TargetFolder {
    TargetFolder { name: repo.target.clone(), path: repo.folder() }
}

/// What is wrong with the names that `list` shows: each must be a whole backup, with nothing beside its files.
pub fn wrong(repo: &Repo) -> Vec<String> {
    let listing = match Listing::read(&folder(repo)) {
        Ok(listing) => listing,
        Err(error) => return vec![format!("the list cannot be read: {}", error.chain())],
    };
    let mut wrong = Vec::new();
    for backup in &listing.backups {
        let mut say = |what: String| wrong.push(format!("{}: {what}", backup.id));
        let manifest = match &backup.manifest {
            Ok(manifest) => manifest,
            Err(why) => {
                say(why.clone());
                continue;
            }
        };
        match verify::verify(backup, 1, &Stop::new(), &Silent) {
            Ok(findings) => findings.into_iter().for_each(&mut say),
            Err(error) => say(error.chain()),
        }
        if let Err(why) = &backup.proof {
            say(why.clone());
        }
        let own = [names::MANIFEST, names::SUMS, names::RESTORE, names::PROOF, names::PINNED, names::CONDENSED, names::ATTEMPTS];
        for entry in std::fs::read_dir(&backup.path).expect("a backup's folder can be read").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // What a replacement that died leaves is harmless, and the next replacement removes it.
            let replaced = own.iter().any(|own| name == format!(".{own}.new"));
            if !(own.contains(&name.as_str()) || replaced || manifest.files.iter().any(|file| file.name == name)) {
                say(format!("'{name}' is no part of it"));
            }
        }
    }
    wrong
}

/// What belongs to these backups and never changes: all but the proof and the notes, which follow from it.
pub fn sealed(repo: &Repo) -> Fingerprint {
    let changing = [names::PROOF, names::RESTORE, names::ATTEMPTS, ".proof.json.new", ".RESTORE.md.new", ".attempts.json.new"];
    repo.backups_fingerprint().into_iter().filter(|(path, _)| !changing.iter().any(|name| path.ends_with(name))).collect()
}

/// What of `before` is no longer as it was.
pub fn changed(before: &Fingerprint, after: &Fingerprint) -> Vec<String> {
    before.iter().filter(|(path, content)| after.get(*path) != Some(content)).map(|(path, _)| format!("{} was changed", path.display())).collect()
}

/// Another whole backup of the same content, as of another time.
pub fn double(from: &Path, id: &str) {
    let to = from.with_file_name(id);
    std::fs::create_dir(&to).unwrap();
    std::fs::set_permissions(&to, std::fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten().filter(|entry| entry.file_name() != names::PROOF) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let mut all = papers::joined(&to);
    (all["started"], all["id"]) = (names::parse_backup_id(id).expect("a backup's name").to_string().into(), id.into());
    papers::write_joined(&to, &all);
    papers::write_sums(&to);
}
