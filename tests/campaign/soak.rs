//! Soak: a thousand days of schedule and retention with failures mixed in, on a clock of our own; and the real daemon for as many minutes as the
//! campaign's size says, while its memory, descriptors, threads and sessions are counted.

use crate::knob::{Campaign, Random};
use crate::support::cluster::Cluster;
use crate::support::repo::Repo;
use crate::world::{World, wrong};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use kluis::Kind;
use kluis::config::Drill;
use kluis::daemon::{self, Ended, Job, Trigger, Unproven, Work};
use kluis::repository::names::backup_id;
use kluis::retention::{Candidate, Facts, Policy, Standing, plan};
use kluis::schedule::Schedule;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A repository in the mind, and what must hold in it each day.
struct Years<'a> {
    campaign: &'a Campaign,
    random: Random,
    clock: Timestamp,
    end: Timestamp,
    policy: Policy,
    backups: Vec<Candidate>,
    last_run_failed: bool,
    last_done: Option<Timestamp>,
    /// An outage: until then every run fails.
    outage: Timestamp,
    most: usize,
}

impl Years<'_> {
    fn proven(&self) -> Vec<&Candidate> {
        let mut proven: Vec<&Candidate> = self.backups.iter().filter(|backup| backup.standing == Standing::Proven).collect();
        proven.sort_by_key(|backup| std::cmp::Reverse(backup.at));
        proven
    }

    fn prune(&mut self) {
        let must: BTreeSet<String> = self.proven().iter().take(self.policy.keep_min as usize).map(|backup| backup.id.clone()).collect();
        let plan =
            plan(&self.backups, &self.policy, self.clock, &Facts { last_run_failed: self.last_run_failed, drill_off: false, doubt: None, accepted: None });
        let deleted: BTreeSet<String> = plan.deleted().map(|decision| decision.id.clone()).collect();
        assert!(deleted.is_disjoint(&must), "one of the newest proven backups was to go: {plan:#?}");
        assert!(!self.last_run_failed || deleted.is_empty(), "a failed run deletes: {plan:#?}");
        let pinned = self.backups.iter().any(|backup| backup.pinned && deleted.contains(&backup.id));
        assert!(!pinned, "a pinned backup was to go: {plan:#?}");
        self.campaign.add("backups deleted by the policy", deleted.len() as u64);
        self.backups.retain(|backup| !deleted.contains(&backup.id));
        self.most = self.most.max(self.backups.len());
    }
}

impl daemon::World for Years<'_> {
    fn now(&mut self) -> Timestamp {
        self.clock
    }

    fn stopped(&mut self) -> bool {
        self.clock >= self.end
    }

    fn wait(&mut self, at: Timestamp) {
        // A machine that sleeps now and then, and a clock that is never exact.
        let late = if self.random.percent(1) { self.random.below(3 * 3600) } else { self.random.below(2) };
        self.clock = self.clock.max(at) + SignedDuration::from_secs(late as i64);
    }

    fn done(&mut self, _: usize, _: Work) -> Vec<Timestamp> {
        self.last_done.into_iter().collect()
    }

    fn unproven(&mut self, _: usize) -> Option<Unproven> {
        None
    }

    fn carry_out(&mut self, _: usize, _: Work, trigger: Trigger) -> Ended {
        let started = self.clock;
        self.clock += SignedDuration::from_secs(30 + self.random.below(900) as i64);
        if started >= self.outage && self.random.percent(2) {
            self.outage = started + SignedDuration::from_hours(self.random.below(24 * 12) as i64);
        }
        self.campaign.count(&format!("runs by {}", trigger.word()));
        if started < self.outage || self.random.percent(10) {
            self.last_run_failed = true;
            self.campaign.count("runs failed");
            self.prune();
            let kinds = [Kind::Unreachable, Kind::Locked, Kind::Failed, Kind::Storage, Kind::TimedOut];
            return Ended::Failed(kinds[self.random.below(5) as usize]);
        }
        let standing = match self.random.below(100) {
            0..3 => Standing::Bad,
            3..6 => Standing::NotUnderstood,
            6..20 => Standing::Sealed,
            _ => Standing::Proven,
        };
        let rows = Some(100_000 + self.random.below(1000));
        let pinned = self.random.percent(1);
        self.backups.push(Candidate { at: started, id: backup_id(started), standing, pinned, unread: false, line: None, rows, bytes: 1, loss: None });
        (self.last_run_failed, self.last_done) = (false, Some(started));
        self.prune();
        self.campaign.count("runs done");
        Ended::Done
    }

    fn ended(&mut self, _: usize, _: Work, _: Ended, _: Option<Timestamp>) {}
}

#[test]
fn days() {
    let campaign = Campaign::new("soak: days", 1000);
    let zone = |name: &str| TimeZone::get(name).expect("a zone");
    let policies = [
        ("0 3 * * *", "Europe/Amsterdam", Policy { days: 7, keep_min: 3, time_zone: zone("Europe/Amsterdam"), ..Policy::default() }),
        ("*/30 * * * *", "UTC", Policy { days: 2, daily: 7, weekly: 5, monthly: 12, yearly: 3, keep_min: 3, ..Policy::default() }),
        ("15 2 * * *", "America/New_York", Policy { days: 0, daily: 3, keep_min: 1, time_zone: zone("America/New_York"), ..Policy::default() }),
    ];
    for (number, (schedule, name, policy)) in policies.into_iter().enumerate() {
        let clock: Timestamp = "2026-01-25T00:00:00Z".parse().unwrap();
        let schedule = Schedule::parse(schedule, zone(name)).expect("a schedule");
        let mut years = Years {
            campaign: &campaign,
            random: campaign.random(number as u64),
            clock,
            end: clock + SignedDuration::from_hours(24 * campaign.size.max(1000) as i64),
            policy,
            backups: Vec::new(),
            last_run_failed: false,
            last_done: None,
            outage: clock,
            most: 0,
        };
        daemon::serve(&[Job { schedule, drill: Drill::Off }], &mut years);
        let runs = campaign.counted("runs done");
        assert!(runs > 500, "{runs} runs in so many days");
        assert!(years.proven().len() >= years.policy.keep_min as usize);
        campaign.add("days", (years.end.duration_since(clock).as_hours() / 24) as u64);
        campaign.add(&format!("backups at the most under policy {}", number + 1), years.most as u64);
    }
}

/// What a process holds on to.
#[derive(Debug, Clone, Copy)]
struct Held {
    memory: u64,
    descriptors: usize,
    threads: usize,
    sessions: usize,
}

fn held(pid: u32, cluster: &Cluster) -> Option<Held> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let number = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0);
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    let sessions = cluster.value("postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kluis-soak'").parse().unwrap();
    Some(Held { memory: number("VmRSS:") << 10, descriptors, threads: number("Threads:") as usize, sessions })
}

/// The daemon, with a run and a drill each minute. Between runs it must hold no more than after its first ones.
#[test]
fn daemon_for_minutes() {
    let Some(cluster) = Cluster::of(16) else { return };
    let campaign = Campaign::new("soak: daemon", 0);
    let world = World::keeping(&cluster, Repo::new());
    let serving = world.kluis(&["serve"]).env("BACKUP_SCHEDULE", "* * * * *").env("BACKUP_DRILL", "every-backup").env("PGAPPNAME", "kluis-soak");
    let serving =
        serving.env("BACKUP_RETENTION_DAYS", "0").env("BACKUP_KEEP_MIN", "3").env("BACKUP_JOBS", "2").lasting(Duration::from_secs(campaign.size * 60 + 300));
    let (running, begun) = (serving.start(), Instant::now());
    let (mut first, mut last, mut runs) = (None::<Held>, None::<Held>, 0);
    // Sampled in rests: when a run is over and the next one has not begun.
    while runs < 1 || begun.elapsed() < Duration::from_secs(campaign.size * 60) {
        std::thread::sleep(Duration::from_millis(500));
        let done = world.repo.history().len();
        if done == runs || !world.repo.leftovers().is_empty() {
            continue;
        }
        runs = done;
        std::thread::sleep(Duration::from_secs(2));
        let Some(now) = held(running.pid(), &cluster) else { panic!("the daemon has ended: {:#?}", running.wait()) };
        campaign.count("samples");
        // The first runs fill caches.
        if runs <= 3 {
            first = Some(now);
        }
        last = Some(now);
        assert_eq!(now.sessions, 0, "a session is left after a run");
    }
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let (first, last) = (first.unwrap(), last.unwrap());
    campaign.add("runs of the daemon", runs as u64);
    campaign.add("KiB of memory at the beginning", first.memory >> 10);
    campaign.add("KiB of memory at the end", last.memory >> 10);
    campaign.add("descriptors at the end", last.descriptors as u64);
    assert_eq!((last.descriptors, last.threads), (first.descriptors, first.threads), "{first:?} {last:?}");
    assert!(last.memory < first.memory + (8 << 20), "{first:?} {last:?}");
    assert!(world.repo.history().iter().all(|run| run["outcome"] == "done"), "{:#?}", world.repo.history());
    assert!(world.repo.backups().len() <= 3 || runs < 5, "retention leaves {} backups", world.repo.backups().len());
    assert_eq!(wrong(&world.repo), [] as [String; 0]);
}
