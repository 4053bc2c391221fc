//! Power loss: what a backup, a prune and a verification do to the repository is recorded, and what a disk may hold after a crash is made from it; a
//! round is one such disk. The model is POSIX at its strictest, no file system's kindness: fsync of a file makes its data last, fsync of a folder
//! its entries, and of the rest any part may be there, in any order, writes also torn. On every disk each name that `list` shows is a whole backup,
//! earlier ones are there, and what was acknowledged has lasted.

use crate::knob::{Campaign, Random};
use crate::support::cluster::Cluster;
use crate::support::new_folder;
use crate::support::repo::Repo;
use crate::tracer::{traced, tracer};
use crate::world::{World, changed, double, sealed, wrong};
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

type Inode = usize;

/// One thing that happened, and from which later one on it lasts.
struct Event {
    what: What,
    lasts: usize,
}

enum What {
    /// An entry of a folder now leads there.
    Set(Inode, String, Inode),
    Unset(Inode, String, Inode),
    /// Both at once: rename(2) is atomic.
    Rename {
        folder: Inode,
        from: String,
        to: String,
        inode: Inode,
    },
    Write {
        file: Inode,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate(Inode, usize),
    /// The process had this made durable; everything before it that belongs to the inode lasts from here.
    Sync,
}

#[derive(Clone)]
enum Content {
    Folder(BTreeMap<String, Inode>),
    File(Vec<u8>),
    Link(PathBuf),
}

/// A file tree, and how it came about.
struct Story {
    inodes: Vec<Content>,
    events: Vec<Event>,
    /// Files of the beginning that nothing happened to, by where they can be linked from.
    sources: BTreeMap<Inode, PathBuf>,
}

const ROOT: Inode = 0;

impl Story {
    /// Reads the tree as it was before, and the recording of what was done to it.
    fn read(before: &Path, log: &Path) -> Story {
        let mut story = Story { inodes: vec![Content::Folder(BTreeMap::new())], events: Vec::new(), sources: BTreeMap::new() };
        story.load(before, ROOT);
        let beginning = story.inodes.clone();
        // What the running system sees: a copy that all events are applied to at once.
        let mut now = beginning.clone();
        let data = std::fs::read(log.with_extension("data")).unwrap();
        let mut subjects: Vec<Vec<Inode>> = Vec::new();
        for line in std::fs::read_to_string(log).unwrap().lines() {
            let words: Vec<&str> = line.split('\t').collect();
            let number = |index: usize| words[index].parse::<usize>().unwrap();
            if words[1].ends_with(" (deleted)") {
                continue;
            }
            let (folder, name) = Story::parent(&now, words[1]);
            let entry = |name: &str| match &now[folder] {
                Content::Folder(entries) => entries.get(name).copied(),
                _ => panic!("{line}: not a folder"),
            };
            let mut new = |content: Content| {
                story.inodes.push(content);
                story.inodes.len() - 1
            };
            let what = match words[0] {
                "create" => What::Set(folder, name.clone(), new(Content::File(Vec::new()))),
                "mkdir" => What::Set(folder, name.clone(), new(Content::Folder(BTreeMap::new()))),
                "symlink" => What::Set(folder, name.clone(), new(Content::Link(words[2].into()))),
                "unlink" | "rmdir" => What::Unset(folder, name.clone(), entry(&name).expect(line)),
                "rename" => {
                    let (target, to) = Story::parent(&now, words[2]);
                    assert_eq!(target, folder, "{line}: from one folder to another");
                    What::Rename { folder, inode: entry(&name).expect(line), from: name.clone(), to }
                }
                "write" => What::Write { file: entry(&name).expect(line), offset: number(2), bytes: data[number(4)..number(4) + number(3)].to_vec() },
                "truncate" => What::Truncate(entry(&name).expect(line), number(2)),
                "sync" => What::Sync,
                _ => panic!("the model does not know '{line}'"),
            };
            now.extend(story.inodes[now.len()..].iter().cloned());
            let subject = match &what {
                What::Set(folder, ..) | What::Unset(folder, ..) | What::Rename { folder, .. } => *folder,
                What::Write { file, .. } | What::Truncate(file, _) => *file,
                What::Sync => entry_of(&now, words[1]),
            };
            apply(&mut now, &what, None);
            story.sources.remove(&subject);
            story.events.push(Event { what, lasts: usize::MAX });
            subjects.push(vec![subject]);
        }
        // What happened to an inode lasts from the first sync of it that came later.
        for index in 0..story.events.len() {
            if !matches!(story.events[index].what, What::Sync) {
                let later = (index..story.events.len()).find(|later| matches!(story.events[*later].what, What::Sync) && subjects[*later] == subjects[index]);
                story.events[index].lasts = later.unwrap_or(usize::MAX);
            }
        }
        story
    }

    fn load(&mut self, path: &Path, folder: Inode) {
        for entry in std::fs::read_dir(path).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            let inode = self.inodes.len();
            if kind.is_dir() {
                self.inodes.push(Content::Folder(BTreeMap::new()));
                self.load(&entry.path(), inode);
            } else if kind.is_symlink() {
                self.inodes.push(Content::Link(std::fs::read_link(entry.path()).unwrap()));
            } else {
                self.inodes.push(Content::File(std::fs::read(entry.path()).unwrap()));
                // Linked files must not be written to in place, as the history is.
                if entry.file_name() != kluis::repository::names::HISTORY {
                    self.sources.insert(inode, entry.path());
                }
            }
            let Content::Folder(entries) = &mut self.inodes[folder] else { unreachable!() };
            entries.insert(entry.file_name().into_string().unwrap(), inode);
        }
    }

    /// The folder that a path lies in, and its name there.
    fn parent(inodes: &[Content], path: &str) -> (Inode, String) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        (entry_of(inodes, folder), name.to_owned())
    }

    /// The disk after a crash before event `at`, with these of the events that need not have lasted. Tells what it is made of.
    fn disk(&self, at: usize, mut chance: impl FnMut() -> Chance, to: &Path) -> u64 {
        let (mut inodes, mut hash) = (self.inodes.clone(), DefaultHasher::new());
        // Entries of folders and content of files that came into being on the way begin empty, as they do in `inodes`.
        for (index, event) in self.events.iter().enumerate().take(at) {
            let torn = match (event.lasts < at, chance()) {
                (true, _) | (_, Chance::There) => None,
                (_, Chance::Lost) => continue,
                (_, Chance::Torn(part)) => Some(part),
            };
            (index, torn).hash(&mut hash);
            apply(&mut inodes, &event.what, torn);
        }
        self.write(&inodes, ROOT, to);
        hash.finish()
    }

    fn write(&self, inodes: &[Content], inode: Inode, to: &Path) {
        match &inodes[inode] {
            Content::Folder(entries) => {
                std::fs::create_dir(to).unwrap();
                std::fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
                entries.iter().for_each(|(name, inode)| self.write(inodes, *inode, &to.join(name)));
            }
            Content::Link(target) => std::os::unix::fs::symlink(target, to).unwrap(),
            Content::File(bytes) => match self.sources.get(&inode) {
                Some(source) => std::fs::hard_link(source, to).unwrap(),
                None => std::fs::write(to, bytes).unwrap(),
            },
        }
    }
}

fn entry_of(inodes: &[Content], path: &str) -> Inode {
    path.split('/').filter(|name| !name.is_empty()).fold(ROOT, |folder, name| match &inodes[folder] {
        Content::Folder(entries) => *entries.get(name).unwrap_or_else(|| panic!("'{path}' is not in the model")),
        _ => panic!("'{path}' leads through a file"),
    })
}

/// Does it. Of a write that is torn only so many bytes get there.
fn apply(inodes: &mut [Content], what: &What, torn: Option<usize>) {
    match what {
        What::Set(folder, name, inode) => {
            let Content::Folder(entries) = &mut inodes[*folder] else { return };
            entries.insert(name.clone(), *inode);
        }
        What::Unset(folder, name, inode) => {
            let Content::Folder(entries) = &mut inodes[*folder] else { return };
            if entries.get(name) == Some(inode) {
                entries.remove(name);
            }
        }
        What::Rename { folder, from, to, inode } => {
            let Content::Folder(entries) = &mut inodes[*folder] else { return };
            if entries.get(from) == Some(inode) {
                entries.remove(from);
            }
            entries.insert(to.clone(), *inode);
        }
        What::Write { file, offset, bytes } => {
            let Content::File(content) = &mut inodes[*file] else { return };
            let end = offset + bytes.len();
            // The length may get there before the bytes do.
            content.resize(content.len().max(end), 0);
            let there = torn.map_or(bytes.len(), |part| part % (bytes.len() + 1));
            content[*offset..offset + there].copy_from_slice(&bytes[..there]);
        }
        What::Truncate(file, length) => {
            let Content::File(content) = &mut inodes[*file] else { return };
            content.resize(*length, 0);
        }
        What::Sync => {}
    }
}

/// What became of an event that need not have lasted.
enum Chance {
    There,
    Lost,
    Torn(usize),
}

/// How the rest is chosen: all of it, none, or any part.
fn chance(way: u64, random: &mut Random) -> Chance {
    match way {
        0 => Chance::There,
        1 => Chance::Lost,
        _ => match random.below(5) {
            0 | 1 => Chance::There,
            2 => Chance::Torn(random.bits() as usize),
            _ => Chance::Lost,
        },
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Command {
    Backup,
    Prune,
    Verify,
}

fn one(campaign: &Campaign, tracer: &Path, cluster: &Cluster, command: Command) {
    let world = World::keeping(cluster, Repo::new());
    // The model holds every byte of every write: a backup of few.
    world.database.sql("DELETE FROM big WHERE id > 300");
    world.backup(&[]).run().done();
    for id in ["20200101T000000Z", "20200102T000000Z"] {
        double(&world.repo.newest(), id);
    }
    // What an earlier crash left is swept on the way.
    std::fs::create_dir(world.repo.folder().join(".staging-20200103T000000Z")).unwrap();
    std::fs::write(world.repo.folder().join(".staging-20200103T000000Z/manifest.json"), "{}").unwrap();
    let place = new_folder("power");
    let before = place.join("before");
    assert!(std::process::Command::new("cp").arg("-a").arg(&world.repo.root).arg(&before).status().unwrap().success());
    let earlier = Repo { root: before.clone(), target: "app".to_owned() };
    let log = place.join("log");
    let words: &[&str] = match command {
        Command::Backup => &["backup", "--jobs", "2"],
        Command::Prune => &["prune"],
        Command::Verify => &["verify", "latest"],
    };
    let keeping = if command == Command::Prune { ("0", "1") } else { ("36500", "3") };
    let kluis = world.kluis(words).env("BACKUP_RETENTION_DAYS", keeping.0).env("BACKUP_KEEP_MIN", keeping.1);
    traced(kluis, tracer, &world.repo.root, &log, &["-w"]).run().done();
    let story = Story::read(&before, &log);
    let (newest, published) = (earlier.newest(), world.repo.backups());
    campaign.add(&format!("operations of {}", format!("{command:?}").to_lowercase()), story.events.len() as u64);

    // Every prefix whole and with only what lasts, and as many other disks as the size says.
    let end = story.events.len();
    let ways = 2 + campaign.size.div_ceil(3 * (end as u64 + 1));
    let mut seen = HashSet::new();
    for at in 0..=end {
        for way in 0..ways {
            if campaign.time_is_up() {
                return;
            }
            let mut random = campaign.random(((at as u64) << 32 | way) ^ (command as u64) << 60);
            let disk = place.join("disk");
            let made_of = story.disk(at, || chance(way, &mut random), &disk);
            let repo = Repo { root: disk.clone(), target: "app".to_owned() };
            if seen.insert(made_of) {
                let problems = judge(&repo, &earlier, command, at == end, &newest, &published);
                assert!(problems.is_empty(), "{command:?}, crash before operation {at} of {end}, way {way}, {}: {problems:#?}", campaign.repeat(0));
                campaign.count(&format!("disks after {}", format!("{command:?}").to_lowercase()));
                if seen.len() % 101 == 7 {
                    let there = World { database: world.database.clone(), repo };
                    there.backup(&[]).run().done();
                    assert_eq!(there.repo.leftovers(), [] as [PathBuf; 0]);
                    assert_eq!(wrong(&there.repo), [] as [String; 0]);
                    campaign.count("next runs on such a disk");
                }
            }
            std::fs::remove_dir_all(&disk).unwrap();
        }
    }
}

fn judge(repo: &Repo, earlier: &Repo, command: Command, acknowledged: bool, newest: &Path, published: &[PathBuf]) -> Vec<String> {
    let mut problems = wrong(repo);
    let here = |path: &Path| repo.root.join(path.strip_prefix(&earlier.root).unwrap());
    let there: Vec<PathBuf> = repo.backups();
    let before = sealed(earlier).into_iter().map(|(path, content)| (here(&path), content));
    let kept = before.filter(|(path, _)| command != Command::Prune || there.iter().any(|id| path.starts_with(id))).collect();
    problems.extend(changed(&kept, &sealed(repo)));
    if !there.contains(&here(newest)) {
        problems.push("the newest backup is gone".to_owned());
    }
    if acknowledged && there.len() != published.len() {
        problems.push(format!("it was done, and now there are {} backups instead of {}", there.len(), published.len()));
    }
    if let Err(error) = kluis::repository::history::read(&crate::world::folder(repo)) {
        problems.push(format!("the history cannot be read: {}", error.chain()));
    }
    problems
}

#[test]
fn power() {
    let (Some(tracer), Some(cluster)) = (tracer(), Cluster::of(16)) else { return };
    let campaign = Campaign::new("power", 200);
    for command in [Command::Backup, Command::Prune, Command::Verify] {
        one(&campaign, tracer, &cluster, command);
    }
}
