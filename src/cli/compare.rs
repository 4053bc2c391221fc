//! `kluis compare`: which tables differ between a backup and another one, or the live database. Rows and digests, no values.
//! It owns the choice of the two sides and the printing; it leaves the comparison to `crate::compare`.
//! Invariant: it changes nothing on either side.

use super::find;
use super::progress::Progress;
use super::text::{clean, count};
use super::watch::Watch;
use super::{Context, End, args};
use crate::compare::{self, Comparison};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::events::{Event, Observer};
use crate::manifest::Manifest;
use serde::Serialize;

/// What `kluis compare --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    /// The backup.
    id: String,
    /// The other side: a backup's name, or `live`.
    with: String,
    /// Whether both hold the same.
    equal: bool,
    /// Tables compared.
    tables: u64,
    /// Rows compared.
    rows: u64,
    /// What differs, in words, a line each.
    differences: Vec<String>,
}

/// Runs the command. Differences are an answer, not a failure: the exit code is 3, so that scripts can tell.
pub fn run(context: &Context, arguments: &args::Compare) -> Result<End> {
    let config = context.repository_config()?;
    let found = find::anywhere(&config, &arguments.id)?;
    let manifest = found.backup.whole()?;
    let watch = Watch::new()?;
    let (comparison, with) = match &arguments.with {
        Some(other) => {
            let other = find::anywhere(&config, other)?;
            (compare::manifests(manifest, other.backup.whole()?), other.backup.id.clone())
        }
        None => {
            let full = config::load(&context.flags, &config::Process)?;
            let wanted = found.target.as_ref().map(|target| target.name.as_str()).or(config.target.as_deref());
            let target = match (full.targets.as_slice(), wanted) {
                ([only], _) => only,
                (several, Some(name)) => several.iter().find(|target| target.name == name).ok_or_else(|| unknown(name))?,
                (_, None) => return Err(unknown("")),
            };
            let (stop, _dog) = watch.limited(&target.settings);
            let progress = Progress::new(&context.output, &found.backup.id);
            progress.event(&Event::Step("compare"));
            (compare::database(&target.connection, manifest, target.settings.jobs, &stop, &progress)?, "live".to_owned())
        }
    };
    let report = report(&found.backup.id, with, manifest, &comparison);
    if context.output.json {
        context.output.json(&report)?;
    } else {
        context.output.print(&text(&report))?;
    }
    Ok(if report.equal { End::Done } else { End::Warned })
}

fn unknown(name: &str) -> Error {
    Error::new(
        Kind::Usage,
        format!(
            "the configuration has no single target that the live database could be taken from{}",
            if name.is_empty() { String::new() } else { format!(" ('{name}')") }
        ),
    )
    .hinted("say --target")
}

fn report(id: &str, with: String, manifest: &Manifest, found: &Comparison) -> Report {
    let mut differences: Vec<String> = found.different.iter().map(|(index, difference)| difference.describe(&manifest.tables[*index])).collect();
    differences.extend(found.extra.iter().map(|label| format!("table {label} is there and not in the backup")));
    if found.large_objects_differ {
        differences.push("the large objects differ".to_owned());
    }
    Report { id: id.to_owned(), with, equal: found.is_equal(), tables: found.tables, rows: found.rows, differences }
}

fn text(report: &Report) -> String {
    let sides = format!("{} and {}", clean(&report.id), if report.with == "live" { "the live database" } else { &report.with });
    if report.equal {
        return format!("{sides} are equal: {}, {}\n", count(report.tables, "table"), count(report.rows, "row"));
    }
    let lines: String = report.differences.iter().map(|line| format!("  {}\n", clean(line))).collect();
    format!("{sides} differ, seen from the backup:\n{lines}")
}
