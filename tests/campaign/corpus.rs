//! The corpus: schemas of applications and extensions that nobody of this project wrote, filled with made rows, under the judges. A round is one database
//! on one major. Its own files lie in `tests/corpus`; those of others `scripts/corpus` fetches into `.cache/corpus`, which are never committed.
//! Invariant: what is not there is a skip that says how to bring it, never a silence.

use crate::generate::history;
use crate::judges::{self, Leniency, stock};
use crate::knob::{Campaign, Random};
use crate::support::cluster::{Cluster, Database, MAJORS, has_extension};
use crate::support::repo::Repo;
use crate::support::skip;
use std::path::{Path, PathBuf};

/// What each usual test run does of it: Laravel's and so many more of ours, each on one major.
const SLICE: u64 = 2;

/// A database to be.
struct Work {
    name: String,
    /// Extensions that it needs.
    needs: Vec<String>,
    sql: String,
    /// Of somebody else, so that what fails in it is no fault of ours.
    fetched: bool,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Everything that is there.
fn works() -> Vec<Work> {
    let read = |name: &str| std::fs::read_to_string(folder("tests/corpus").join(name)).expect("the corpus can be read");
    let mut works = vec![Work { name: "laravel".to_owned(), needs: Vec::new(), sql: read("laravel.sql"), fetched: false }];
    works.extend(parts(&read("frameworks.sql")));
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder(".cache/corpus")).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    found.sort();
    for path in found {
        let sql = String::from_utf8_lossy(&std::fs::read(&path).expect("a file of the corpus can be read")).into_owned();
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        works.push(Work { name, needs: Vec::new(), sql, fetched: true });
    }
    works.extend(parts(&read("extensions.sql")));
    works
}

/// The databases of a file of ours, each after a line with its name.
fn parts(text: &str) -> Vec<Work> {
    let part = |part: &str| {
        let (name, sql) = part.split_once('\n').expect("a name stands on a line of its own");
        let words = sql.split("CREATE EXTENSION ").skip(1);
        let needs = words.map(|word| word.split([' ', ';']).next().unwrap_or_default().trim_matches('"').to_owned()).collect();
        Work { name: name.to_owned(), needs, sql: sql.to_owned(), fetched: false }
    };
    text.split("\n--- ").skip(1).map(part).collect()
}

/// Loads it, as psql would. Returns how many statements failed.
fn load(database: &Database, work: &Work) -> usize {
    let mut psql = stock::program(database, "psql");
    let path = crate::support::new_folder("work").join("work.sql");
    std::fs::write(&path, &work.sql).expect("a file can be written");
    // Many schemas name their owner; here that is whoever loads them.
    psql.env_remove("PGOPTIONS").args(["-X", "-q", "-f"]).arg(&path);
    let output = psql.output().expect("psql starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let failed: Vec<&str> = text.lines().filter(|line| line.contains("ERROR:") || line.contains("FATAL:")).collect();
    assert!(work.fetched || failed.is_empty(), "{}: {failed:#?}", work.name);
    failed.len()
}

fn round(campaign: &Campaign, major: u32, cluster: &Cluster, work: &Work, random: &mut Random) -> bool {
    let (database, repo) = (cluster.database("work"), Repo::new());
    let failed = load(&database, work);
    campaign.add("statements that the server refused", failed as u64);
    let tables = stock::count_tables(&database);
    if failed > 0 && tables == 0 {
        campaign.count("that no table came of");
        campaign.say(&format!("{} on PostgreSQL {major}: no table came of it, {failed} statements refused: not run", work.name));
        judges::drop_database(&database);
        return true;
    }
    let rows = history::fill(&database, major, random, if work.needs.is_empty() { 300 } else { 20 });
    campaign.count("databases");
    campaign.count(&format!("on {major}"));
    campaign.add("tables", tables);
    campaign.add("inserts of made rows", rows);
    let judged = judges::judge(&database, &repo, Leniency { skip_source: true, ..Leniency::default() });
    campaign.count(&format!("verdict: {}", judged.verdict));
    judged.counts.iter().for_each(|what| campaign.count(what));
    for problem in &judged.problems {
        campaign.say(&format!("{} on PostgreSQL {major}: {}\n{}", work.name, problem.class, problem.text.chars().take(3000).collect::<String>()));
    }
    campaign.say(&format!("{} on PostgreSQL {major}: {tables} tables, {rows} inserts, {failed} statements refused: {}", work.name, judged.verdict));
    judges::drop_database(&database);
    let _ = std::fs::remove_dir_all(&repo.root);
    judged.problems.is_empty()
}

/// Each of these on each major, in an order that shows all of them on some major before any on a second one.
fn rounds(works: usize) -> Vec<(usize, u32)> {
    (0..MAJORS.len()).flat_map(|shift| (0..works).map(move |work| (work, MAJORS[(work + shift) % MAJORS.len()]))).collect()
}

#[test]
fn corpus() {
    let mut works = works();
    let campaign = Campaign::new("corpus", SLICE + 1);
    if campaign.is_short() {
        // What is there in every place where tests run.
        works.retain(|work| !work.fetched && work.needs.is_empty());
    } else if !works.iter().any(|work| work.fetched) {
        skip("the corpus of applications: none is in .cache/corpus", "scripts/corpus fetch");
    }
    let (mut failed, mut missing) = (Vec::new(), 0);
    let mut rounds = rounds(works.len());
    rounds.retain(|(_, major)| campaign.major.is_none_or(|only| only == u64::from(*major)));
    let mut chosen = campaign.spread(rounds.len(), if campaign.is_short() { SLICE } else { campaign.size });
    if campaign.is_short() {
        let of_laravel: Vec<usize> = (0..rounds.len()).filter(|round| rounds[*round].0 == 0).collect();
        chosen.push(of_laravel[campaign.random(1).below(of_laravel.len() as u64) as usize]);
    }
    for index in chosen.into_iter().skip(campaign.first() as usize) {
        if campaign.time_is_up() {
            break;
        }
        let (work, major) = (&works[rounds[index].0], rounds[index].1);
        let Some(cluster) = Cluster::of(major) else { continue };
        if let Some(extension) = work.needs.iter().find(|extension| !has_extension(cluster.bin(), extension)) {
            missing += 1;
            skip(&format!("the corpus, '{}' on PostgreSQL {major}: there is no extension {extension}", work.name), "scripts/fetch-postgres --refresh");
            continue;
        }
        if !round(&campaign, major, &cluster, work, &mut campaign.random(index as u64)) {
            failed.push(format!("{} on {major}", work.name));
        }
    }
    campaign.add("skipped for want of an extension", missing);
    assert!(failed.is_empty(), "so many failed: {failed:?}");
}
