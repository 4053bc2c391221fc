//! The rounds of the campaign: a database made, judged, and where it fails shrunk.
//! It owns the order of things and what is printed; it leaves making to `history` and judging to `judges`.
//! Invariant: a round leaves no database behind, and one that fails is no reason to stop.

use super::history::{self, MAKE_ROLES};
use crate::judges::{self, Judged, Leniency, damages};
use crate::knob::{Campaign, Random};
use crate::support::cluster::{Cluster, Database, MAJORS};
use crate::support::repo::Repo;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Of how many rounds one has its backup damaged, and how often.
const DAMAGED: u64 = 10;
const DAMAGES: u64 = 4;

/// How many rounds are under way at once: what a round waits for, another one uses.
const AT_ONCE: usize = 2;

/// How many statements a history has at most, and in the short slice: there the judges are to see as many databases as they can.
const LONGEST: u64 = 200;
const SHORT: u64 = 50;

/// How long a history is shrunk.
const PATIENCE: Duration = Duration::from_secs(120);

/// What rounds leave for others.
#[derive(Default)]
struct Shared {
    /// How many databases failed, and the classes of what was wrong with them.
    failed: u64,
    classes: Vec<String>,
    /// The first backup of each major, whose archive another's is swapped with.
    others: Vec<(u32, PathBuf)>,
}

#[test]
fn generate() {
    let campaign = Campaign::with_a_slice("generate", 20, 1002);
    let clusters: Vec<(u32, Cluster)> = MAJORS
        .into_iter()
        .filter(|major| campaign.major.is_none_or(|only| only == u64::from(*major)))
        .filter_map(|major| Some((major, Cluster::of(major)?)))
        .collect();
    clusters.iter().for_each(|(_, cluster)| drop(cluster.sql("postgres", MAKE_ROLES)));
    let shared = Mutex::new(Shared::default());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((number, random)) = campaign.next() {
                    let (major, cluster) = &clusters[number as usize % clusters.len()];
                    round(&campaign, number, random, (*major, cluster), &shared);
                }
            });
        }
    });
    let failed = locked(&shared).failed;
    assert_eq!(failed, 0, "so many databases failed; their histories lie in {}", folder().display());
}

fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a database, and has it judged.
fn round(campaign: &Campaign, number: u64, mut random: Random, (major, cluster): (u32, &Cluster), shared: &Mutex<Shared>) {
    let (database, repo, begun) = (cluster.database("made"), Repo::new(), Instant::now());
    let mut refused = 0;
    let history = history::make(&database, major, &mut random, if campaign.is_short() { SHORT } else { LONGEST }, &mut refused);
    let mut judged = judges::judge(&database, &repo, Leniency { skip_source: !number.is_multiple_of(10), ..Leniency::default() });
    campaign.count("databases");
    campaign.count(&format!("on {major}"));
    campaign.add("statements", history.len() as u64);
    campaign.add("statements refused", refused);
    campaign.count(&format!("verdict: {}", judged.verdict));
    judged.counts.iter().for_each(|what| campaign.count(what));
    // PostgreSQL's own loss: somebody should see whether it is one that Kluis can name as an exception.
    if let Some(why) = &judged.agreed {
        let path = write(campaign, number, major, "bad, as the judges agree", &history);
        campaign.say(&format!("{}: PostgreSQL {major}: bad, as the judges agree, in {}\n{}", campaign.repeat(number), path.display(), cut(why)));
    }
    if number % DAMAGED == DAMAGED - 1 && judged.verdict.starts_with("proven") {
        let other = locked(shared).others.iter().find(|(of, _)| *of == major).map(|(_, backup)| backup.clone());
        let count = if campaign.is_short() { 1 } else { DAMAGES };
        let (missed, done) = damages::try_some(&database, &repo, other.as_deref(), &mut random, count);
        campaign.add("damages", done);
        judged.problems.extend(missed.into_iter().map(|text| judges::Problem { class: "proven though damaged".to_owned(), text }));
    }
    let took = begun.elapsed();
    if !judged.problems.is_empty() {
        campaign.count("databases that failed");
        let new = {
            let mut shared = locked(shared);
            shared.failed += 1;
            let new = judged.problems.iter().any(|problem| !shared.classes.contains(&problem.class));
            shared.classes.extend(judged.problems.iter().map(|problem| problem.class.clone()));
            new
        };
        report(campaign, number, major, &judged, &database, &history, new);
    }
    if number % 10 == 9 {
        let failed = locked(shared).failed;
        campaign.say(&format!("round {number}, {major}: {} statements, {}, {took:.1?}, {failed} failed so far", history.len(), judged.verdict));
    }
    judges::drop_database(&database);
    let keep = {
        let mut shared = locked(shared);
        let first = !repo.backups().is_empty() && !shared.others.iter().any(|(of, _)| *of == major);
        if first {
            shared.others.push((major, repo.newest()));
        }
        first
    };
    if !keep {
        let _ = std::fs::remove_dir_all(&repo.root);
    }
}

/// Where histories that fail are kept.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("generated");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

/// Prints what is wrong, and writes the history down: shrunk, where its class is new.
fn report(campaign: &Campaign, number: u64, major: u32, judged: &Judged, database: &Database, history: &[String], new: bool) {
    for problem in &judged.problems {
        campaign.say(&format!("{}: PostgreSQL {major}: {}\n{}", campaign.repeat(number), problem.class, cut(&problem.text)));
    }
    let class = judged.problems[0].class.clone();
    let is_damage = class == "proven though damaged";
    let shrunk = if new && !is_damage && !campaign.is_short() { shrink(database, history, &class) } else { history.to_vec() };
    let path = write(campaign, number, major, &class, &shrunk);
    campaign.say(&format!("{} statements of {} in {}", shrunk.len(), history.len(), path.display()));
    if shrunk.len() <= 12 {
        campaign.say(&std::fs::read_to_string(&path).unwrap_or_default());
    }
}

fn cut(text: &str) -> String {
    text.chars().take(3000).collect()
}

/// Writes a history down. Where it lies.
fn write(campaign: &Campaign, number: u64, major: u32, class: &str, history: &[String]) -> PathBuf {
    let path = folder().join(format!("{}-{major}-{number}.sql", campaign.seed()));
    let mut text = format!("-- {}, PostgreSQL {major}: {class}\n", campaign.repeat(number));
    history.iter().for_each(|statement| text += &format!("{statement};\n"));
    std::fs::write(&path, &text).expect("a history can be written");
    path
}

/// Leaves statements out as long as the same class of failure stays.
fn shrink(database: &Database, history: &[String], class: &str) -> Vec<String> {
    let (begun, mut kept) = (Instant::now(), history.to_vec());
    let verdict_only = ["bad:", "cannot judge:", "no verdict:", "no backup:"].iter().any(|word| class.starts_with(word));
    let mut size = kept.len().div_ceil(2);
    while size > 0 && begun.elapsed() < PATIENCE {
        let (mut at, mut any) = (0, false);
        while at < kept.len() && begun.elapsed() < PATIENCE {
            let less: Vec<String> = kept[..at].iter().chain(&kept[(at + size).min(kept.len())..]).cloned().collect();
            let (copy, repo) = (database.cluster.database("less"), Repo::new());
            history::replay(&copy, &database.name, &less);
            let judged = judges::judge(&copy, &repo, Leniency { verdict_only, ..Leniency::default() });
            judges::drop_database(&copy);
            let _ = std::fs::remove_dir_all(&repo.root);
            if judged.problems.iter().any(|problem| problem.class == class) {
                kept = less;
                any = true;
            } else {
                at += size;
            }
        }
        size = if size == 1 && any { 1 } else { size / 2 };
    }
    kept
}
