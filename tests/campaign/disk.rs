//! A disk that is full, for real: a tmpfs of each size, step by step, until the backup fits; a round is one size. Before that each run fails as
//! storage, leaves nothing, and touches no earlier backup.

use crate::knob::Campaign;
use crate::support::cluster::Cluster;
use crate::support::disk::SmallDisk;
use crate::support::repo::Repo;
use crate::world::{World, changed, sealed, wrong};

/// The size of a page of a tmpfs, which counts in these.
const PAGE: u64 = 4096;

/// One disk size. Tells whether the backup fitted.
fn one(campaign: &Campaign, cluster: &Cluster, pages: u64, earlier: bool) -> Option<bool> {
    let disk = SmallDisk::mount(&(pages * PAGE).to_string())?;
    let world = World::keeping(cluster, Repo::at(disk.0.clone()));
    if earlier {
        // An earlier backup, of so little that nobody can tell from it how much is needed now.
        world.database.sql("TRUNCATE big");
        if world.backup(&[]).run().code != Some(0) {
            return Some(false);
        }
        world.database.sql("INSERT INTO big SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, 9000) i");
    }
    let before = sealed(&world.repo);
    let ended = world.backup(&[]).run();
    let problems = [wrong(&world.repo), changed(&before, &sealed(&world.repo))].concat();
    assert!(problems.is_empty(), "{pages} pages: {problems:#?} {ended:#?}");
    let names = world.repo.backups().len() - usize::from(earlier);
    match ended.code {
        Some(0 | 3) => assert_eq!(names, 1, "{pages} pages: {ended:#?}"),
        Some(14) => assert_eq!((names, world.repo.leftovers().len()), (0, 0), "{pages} pages: {ended:#?}"),
        _ => panic!("{pages} pages: {ended:#?}"),
    }
    campaign.count(match ended.code {
        Some(0) => "fitted",
        Some(3) => "fitted, with a warning",
        _ => "too small",
    });
    Some(names == 1)
}

#[test]
fn disk() {
    let Some(cluster) = Cluster::of(16) else { return };
    let campaign = Campaign::new("disk", 10);
    // What a backup takes, to know how far to go.
    let world = World::new(&cluster);
    let bytes = crate::support::repo::manifest(&world.repo.newest()).bytes();
    let most = bytes / PAGE * 3 + 40;
    for earlier in [false, true] {
        let step = (most / (campaign.size / 2).max(1)).max(1);
        let mut fitted = 0;
        let mut pages = 2;
        while fitted < 2 {
            assert!(pages < most * 4 + 10 * step, "it fits nowhere");
            if campaign.time_is_up() {
                return;
            }
            let Some(done) = one(&campaign, &cluster, pages, earlier) else { return };
            fitted += u64::from(done);
            pages += step;
        }
    }
}
