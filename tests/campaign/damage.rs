//! Damage to a backup on disk: cut at every byte, a bit flipped at every bit, files swapped between backups, the manifest edited; a round is one
//! damage. `verify` finds each, and `restore` refuses each before it writes. Most rounds call the library, which is faster; a sample runs the binary.

use crate::knob::Campaign;
use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::kluis;
use crate::support::new_folder;
use crate::support::repo::{Repo, manifest};
use crate::world::World;
use kluis::Kind;
use kluis::events::Silent;
use kluis::postgres::tools::Places;
use kluis::repository::list::Backup;
use kluis::repository::names;
use kluis::restore::{Request, restore};
use kluis::stop::Stop;
use kluis::verify::verify;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What happens to one file of a backup.
#[derive(Debug, Clone)]
enum Damage {
    Cut(String, usize),
    Flip(String, usize, u8),
    /// These files are those of another backup of the same database.
    Swap(Vec<String>),
    /// The manifest's value there is another one, or gone.
    Edit(String, bool),
}

/// A copy of a backup that gets damaged and mended.
struct Copy {
    folder: PathBuf,
    repo: Repo,
    id: String,
}

impl Copy {
    fn of(backup: &Path) -> Copy {
        let repo = Repo::at(new_folder("damaged"));
        let id = backup.file_name().unwrap().to_string_lossy().into_owned();
        std::fs::create_dir(repo.folder()).unwrap();
        let folder = repo.folder().join(&id);
        std::fs::create_dir(&folder).unwrap();
        for entry in std::fs::read_dir(backup).unwrap().flatten() {
            std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        Copy { folder, repo, id }
    }
}

/// The files that are covered by hashes: all but the notes and the proof.
fn sealed(backup: &Path) -> Vec<String> {
    let mut files: Vec<String> = manifest(backup).files.into_iter().map(|file| file.name).collect();
    files.extend([names::MANIFEST.to_owned(), names::SUMS.to_owned()]);
    files
}

/// All damage of a small backup, or that of a large one.
fn damages(backup: &Path, step: usize) -> Vec<Damage> {
    let mut all = Vec::new();
    for file in sealed(backup) {
        let length = std::fs::metadata(backup.join(&file)).unwrap().len() as usize;
        all.extend((0..length).step_by(step).map(|at| Damage::Cut(file.clone(), at)));
        if step == 1 {
            all.extend((0..length * 8).map(|bit| Damage::Flip(file.clone(), bit / 8, 1 << (bit % 8))));
        } else {
            // Another byte and another bit of each piece.
            let at = |piece: usize| (piece * step + piece * 131 % step).min(length - 1);
            all.extend((0..length.div_ceil(step)).map(|piece| Damage::Flip(file.clone(), at(piece), 1 << (piece % 8))));
        }
    }
    all
}

/// Swaps of every choice of files but all and none, and an edit of every value of the manifest.
fn mixtures(backup: &Path) -> Vec<Damage> {
    let files = sealed(backup);
    let mut all: Vec<Damage> = (1..(1_usize << files.len()) - 1)
        .map(|choice| Damage::Swap(files.iter().enumerate().filter(|(index, _)| choice >> index & 1 == 1).map(|(_, file)| file.clone()).collect()))
        .collect();
    let value: Value = serde_json::from_slice(&std::fs::read(backup.join(names::MANIFEST)).unwrap()).unwrap();
    let mut pointers = Vec::new();
    walk(&value, String::new(), &mut pointers);
    all.extend(pointers.into_iter().flat_map(|pointer| [Damage::Edit(pointer.clone(), false), Damage::Edit(pointer, true)]));
    all
}

fn walk(value: &Value, at: String, found: &mut Vec<String>) {
    if !at.is_empty() {
        found.push(at.clone());
    }
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| walk(value, format!("{at}/{name}"), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| walk(value, format!("{at}/{index}"), found)),
        _ => {}
    }
}

/// The manifest with another value there, or without it.
fn edited(text: &[u8], pointer: &str, gone: bool) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(text).unwrap();
    if gone {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match value.pointer_mut(parent).unwrap() {
            Value::Object(fields) => drop(fields.remove(key)),
            Value::Array(items) => drop(items.remove(key.parse().unwrap())),
            _ => unreachable!("only those have parts"),
        }
    } else {
        let place = value.pointer_mut(pointer).unwrap();
        *place = match place {
            Value::Number(number) => Value::from(number.as_u64().unwrap_or(0) + 1),
            Value::String(text) => Value::from(format!("{text}x")),
            Value::Bool(is) => Value::from(!*is),
            Value::Null => Value::from(1),
            Value::Array(items) => Value::Array([items.as_slice(), &[Value::from("x")]].concat()),
            Value::Object(_) => Value::Null,
        };
    }
    let mut bytes = serde_json::to_vec_pretty(&value).unwrap();
    bytes.push(b'\n');
    bytes
}

struct Field<'a> {
    campaign: &'a Campaign,
    /// Nothing is ever written to it.
    nothing: &'a Database,
    other: &'a Path,
}

impl Field<'_> {
    /// One round. Returns what is wrong.
    fn round(&self, copy: &Copy, damage: &Damage, by_binary: bool) -> Option<String> {
        let files = match damage {
            Damage::Cut(file, _) | Damage::Flip(file, ..) => vec![file.clone()],
            Damage::Swap(files) => files.clone(),
            Damage::Edit(..) => vec![names::MANIFEST.to_owned()],
        };
        let whole: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(copy.folder.join(file)).unwrap()).collect();
        let mut same = true;
        for (file, bytes) in files.iter().zip(&whole) {
            let damaged = match damage {
                Damage::Cut(_, at) => bytes[..*at].to_vec(),
                Damage::Flip(_, at, bit) => bytes.iter().enumerate().map(|(index, byte)| if index == *at { byte ^ bit } else { *byte }).collect(),
                Damage::Swap(_) => std::fs::read(self.other.join(file)).unwrap(),
                Damage::Edit(pointer, gone) => edited(bytes, pointer, *gone),
            };
            same &= damaged == *bytes;
            std::fs::write(copy.folder.join(file), damaged).unwrap();
        }
        // Two backups may have a file in common, so that a swap of the others makes the whole of the other one.
        let all = |name: &String| std::fs::read(copy.folder.join(name)).ok() == std::fs::read(self.other.join(name)).ok();
        same |= matches!(damage, Damage::Swap(_)) && sealed(self.other).iter().all(all);
        let found = if same { Ok(()) } else { self.judge(copy, by_binary) };
        for (file, bytes) in files.iter().zip(whole) {
            std::fs::write(copy.folder.join(file), bytes).unwrap();
        }
        self.campaign.count(match damage {
            _ if same => "left a whole backup",
            Damage::Cut(..) => "cuts",
            Damage::Flip(..) => "bits",
            Damage::Swap(_) => "swaps",
            Damage::Edit(..) => "edits of the manifest",
        });
        found.err().map(|why| format!("{damage:?}: {why}"))
    }

    fn judge(&self, copy: &Copy, by_binary: bool) -> Result<(), String> {
        let backup = Backup::read(copy.folder.clone());
        match backup.understood().and_then(|_| verify(&backup, 1, &Stop::new(), &Silent)) {
            Ok(findings) if findings.is_empty() => return Err("verify finds nothing".to_owned()),
            Ok(_) => {}
            Err(error) if error.kind() == Kind::Verification => {}
            Err(error) => return Err(format!("verify fails otherwise: {}", error.chain())),
        }
        let to = self.nothing.cluster.connection(&self.nothing.name);
        let scratch = new_folder_once();
        let request = Request {
            backup: &backup,
            to: &to,
            places: &Places { named: Some(self.nothing.cluster.bin().to_owned()), path: Vec::new() },
            scratch,
            jobs: 1,
            tables: &[],
            beside: None,
            create: false,
            clean: false,
            in_place: false,
            yes: false,
            no_owner: false,
            no_privileges: false,
            roles: false,
            role_passwords: false,
            dry_run: false,
            no_check: false,
            analyze: false,
            settings: true,
            force: false,
            lock_wait: Duration::from_secs(5),
        };
        match restore(&request, &Stop::new(), &Silent) {
            Ok(_) => return Err("restore takes it".to_owned()),
            Err(error) if error.kind() == Kind::Verification => {}
            Err(error) => return Err(format!("restore fails otherwise: {}", error.chain())),
        }
        if by_binary {
            let url = self.nothing.url();
            let restored = kluis(&["restore", &copy.id, "--to", &url]).keeping(&copy.repo).into(&self.nothing.cluster).run();
            let verified = kluis(&["verify", &copy.id]).keeping(&copy.repo).run();
            let _ = std::fs::remove_file(copy.folder.join(names::PROOF));
            self.campaign.count("tried by the binary");
            if (restored.code, verified.code) != (Some(13), Some(13)) {
                return Err(format!("the binary: restore {restored:#?}, verify {verified:#?}"));
            }
        }
        Ok(())
    }
}

fn new_folder_once() -> &'static Path {
    static FOLDER: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    FOLDER.get_or_init(|| new_folder("damage-scratch"))
}

#[test]
fn damage() {
    let Some(cluster) = Cluster::of(16) else { return };
    let campaign = Campaign::new("damage", 2000);
    // A backup that is as small as one can be, another of the same database, and a large one.
    let (tiny, large) = (cluster.database("tiny"), World::new(&cluster));
    tiny.sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one')");
    let repo = Repo::new();
    kluis(&["backup"]).of(&tiny).keeping(&repo).run().done();
    tiny.sql("INSERT INTO t VALUES (2, 'two')");
    kluis(&["backup"]).of(&tiny).keeping(&repo).run().done();
    large.database.sql("INSERT INTO big SELECT i, repeat(md5(i::text) || md5((-i)::text), 4) FROM generate_series(10000, 50000) i");
    large.backup(&[]).run().done();
    let backups = repo.backups();
    let nothing = cluster.database("nothing");
    let field = Field { campaign: &campaign, nothing: &nothing, other: &backups[1] };
    let mixtures = mixtures(&backups[0]);
    let mut problems = Vec::new();
    // Mixtures are few: they are always tried.
    for (backup, damages) in [(&backups[0], mixtures), (&backups[0], damages(&backups[0], 1)), (&large.repo.newest(), damages(&large.repo.newest(), 512))] {
        let share = if campaign.is_short() { campaign.size / 2 } else { campaign.size };
        let chosen = campaign.spread(damages.len(), share);
        let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let copy = Copy::of(backup);
                    loop {
                        let turn = next.fetch_add(1, Ordering::Relaxed);
                        let Some(index) = chosen.get(turn).filter(|_| !campaign.time_is_up()) else { return };
                        let wrong = field.round(&copy, &damages[*index], turn % 400 == 7);
                        found.lock().unwrap().extend(wrong);
                    }
                });
            }
        });
        problems.extend(found.into_inner().unwrap());
    }
    let written = nothing.value("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace");
    assert_eq!(written, "0", "a restore that refused has written");
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.iter().take(20).cloned().collect::<Vec<_>>().join("\n"));
}
