//! SIGKILL for the whole process group at random moments of backup, prune, drill and restore; a round is one kill. After each: every name is a whole
//! backup, every earlier one is as it was, the next run succeeds unaided, and no session of the server is left a minute later.

use crate::knob::{Campaign, Random};
use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Kluis, Running};
use crate::support::repo::Fingerprint;
use crate::support::{left_in_scratch, new_folder, wait_until};
use crate::world::{CONTENT, World, changed, double, sealed, wrong};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A database, a repository, a scratch folder and a name for its sessions: lanes do not see each other.
struct Lane<'a> {
    campaign: &'a Campaign,
    world: World,
    scratch: PathBuf,
    session: String,
    place: Database,
    content: String,
    /// How long each command takes when nobody disturbs it.
    usual: [Duration; 4],
}

#[derive(Clone, Copy, Debug)]
enum Command {
    Backup,
    Prune,
    Drill,
    Restore,
}

/// Of twenty rounds, so many are of each.
const MIX: [(Command, u64); 4] = [(Command::Backup, 12), (Command::Prune, 3), (Command::Drill, 2), (Command::Restore, 3)];

impl<'a> Lane<'a> {
    fn new(campaign: &'a Campaign, cluster: &Cluster, number: usize) -> Lane<'a> {
        let world = World::new(cluster);
        let content = world.database.value(CONTENT);
        let scratch = new_folder("lane-scratch");
        let session = format!("kluis-lane-{number}");
        let mut lane = Lane { campaign, world, scratch, session, place: cluster.database("place"), content, usual: [Duration::ZERO; 4] };
        for (command, _) in MIX {
            lane.prepare(command);
            lane.usual[command as usize] = lane.start(command).wait().done().took;
        }
        lane
    }

    fn kluis(&self, words: &[&str]) -> Kluis {
        self.world.kluis(words).env("BACKUP_SCRATCH_DIR", &self.scratch).env("PGAPPNAME", &self.session).env("BACKUP_JOBS", "2")
    }

    fn start(&self, command: Command) -> Running {
        let to = self.place.url();
        match command {
            Command::Backup => self.kluis(&["backup"]),
            Command::Prune => self.kluis(&["prune"]).env("BACKUP_RETENTION_DAYS", "0").env("BACKUP_KEEP_MIN", "1"),
            Command::Drill => self.kluis(&["drill", "latest"]),
            Command::Restore => self.kluis(&["restore", "latest", "--clean", "--yes", "--to", &to]).into(&self.world.database.cluster),
        }
        .start()
    }

    /// Something to do for a prune, and for the others not more backups than can be looked at quickly.
    fn prepare(&self, command: Command) {
        let repo = &self.world.repo;
        let backups = repo.backups();
        backups.iter().rev().skip(2).for_each(|old| std::fs::remove_dir_all(old).unwrap());
        if matches!(command, Command::Prune) {
            ["20200101T000000Z", "20200102T000000Z", "20200103T000000Z"].iter().for_each(|id| double(&repo.newest(), id));
        }
    }

    /// Waits for the moment: anywhere in the run, or where names change.
    fn moment(&self, command: Command, random: &mut Random, running: &mut Running) {
        let whole = self.usual[command as usize];
        let after = random.part_of(whole);
        let watched = match command {
            Command::Backup => ".staging-",
            Command::Prune => ".deleting-",
            _ => return std::thread::sleep(after),
        };
        if random.percent(60) {
            return std::thread::sleep(after);
        }
        let close = || {
            self.world
                .repo
                .leftovers()
                .iter()
                .any(|path| path.to_string_lossy().contains(watched) && (watched == ".deleting-" || path.join("manifest.json").exists()))
        };
        while !close() && !running.is_over() {
            std::thread::sleep(Duration::from_micros(100));
        }
        std::thread::sleep(random.part_of(Duration::from_millis(5)));
    }

    fn round(&self, number: u64, random: &mut Random) {
        let mut place = number % 20;
        let command = MIX
            .iter()
            .find(|(_, often)| {
                if place < *often {
                    true
                } else {
                    place -= often;
                    false
                }
            })
            .expect("twenty places")
            .0;
        self.prepare(command);
        let before = sealed(&self.world.repo);
        let mut running = self.start(command);
        self.moment(command, random, &mut running);
        running.signal_group(rustix::process::Signal::KILL);
        let killed = Instant::now();
        let ended = running.wait();
        assert!(ended.signal == Some(9) || matches!(ended.code, Some(0 | 1)), "{}: {ended:#?}", self.campaign.repeat(number));
        let word = format!("{command:?}").to_lowercase();
        self.campaign.count(&format!("kills of {word}"));
        if ended.signal.is_none() {
            self.campaign.count("came too late");
        }
        self.promises(command, &before, number);
        self.no_session(killed);
        if matches!(command, Command::Restore) {
            assert_eq!(self.place.value(CONTENT), self.content, "{}: the old database or the new one is there, whole", self.campaign.repeat(number));
        }
        // The next run, unaided. A restore tells of the database that a killed one left.
        let next = self.start(command).wait();
        if matches!(command, Command::Restore) && next.code == Some(3) {
            self.campaign.count("databases of killed restores removed");
            next.warned(&["which a restore that was killed left behind, was removed"]);
        } else {
            next.done();
        }
        self.promises(command, &before, number);
        match command {
            Command::Restore => assert_eq!(self.place.value(CONTENT), self.content, "{}", self.campaign.repeat(number)),
            Command::Drill => {
                let left = left_in_scratch(&self.scratch);
                assert!(left.is_empty(), "{}: {left:?} is left in the scratch folder", self.campaign.repeat(number));
            }
            Command::Backup => assert_eq!(self.world.repo.leftovers(), [] as [PathBuf; 0], "{}", self.campaign.repeat(number)),
            Command::Prune => {
                // The newest stays, and the newest that a drill has proven.
                let left = self.world.repo.backups();
                let old = left.iter().any(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("2020")));
                assert!(!old && (1..=2).contains(&left.len()), "{}: {left:?}", self.campaign.repeat(number));
                assert_eq!(self.world.repo.leftovers(), [] as [PathBuf; 0], "{}", self.campaign.repeat(number));
            }
        }
    }

    fn promises(&self, command: Command, before: &Fingerprint, number: u64) {
        let mut broken = wrong(&self.world.repo);
        let after = sealed(&self.world.repo);
        // A prune may delete a backup, as a whole; those that it keeps are the newest.
        let newest = self.world.repo.newest();
        let kept: Fingerprint = before
            .iter()
            .filter(|(path, _)| {
                !matches!(command, Command::Prune)
                    || path.starts_with(&newest)
                    || path.ancestors().any(|path| self.world.repo.backups().iter().any(|backup| backup == path))
            })
            .map(|(path, content)| (path.clone(), content.clone()))
            .collect();
        assert!(
            before.keys().any(|path| path.starts_with(&newest)) || matches!(command, Command::Backup),
            "{}: the newest backup is gone",
            self.campaign.repeat(number)
        );
        broken.extend(changed(&kept, &after));
        assert!(broken.is_empty(), "{}: {command:?}: {broken:#?}", self.campaign.repeat(number));
        self.campaign.add("backups verified", self.world.repo.backups().len() as u64);
    }

    fn no_session(&self, killed: Instant) {
        let query = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}'", self.session);
        wait_until("no session is left a minute after a kill", || self.world.database.cluster.value("postgres", &query) == "0");
        if killed.elapsed() > Duration::from_secs(5) {
            self.campaign.count("sessions gone only after more than 5 s");
        }
    }
}

#[test]
fn kill() {
    let campaign = Campaign::new("kill", 20);
    let Some(cluster) = Cluster::of(16) else { return };
    std::thread::scope(|scope| {
        for number in 0..3 {
            let (campaign, cluster) = (&campaign, &cluster);
            scope.spawn(move || {
                let lane = Lane::new(campaign, cluster, number);
                while let Some((number, mut random)) = campaign.next() {
                    lane.round(number, &mut random);
                }
            });
        }
    });
}
