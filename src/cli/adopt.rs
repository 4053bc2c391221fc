//! `kluis adopt`: what was another one until now is the right one from now on: the database of a target, the repository of a folder.
//! It owns asking the server whose it is, and what is printed; it leaves the notes to `crate::adopt` and to the repository.
//! Invariant: one target's failure keeps no other target from being adopted, and nothing but the notes is written.

use super::output::Output;
use super::text::clean;
use super::watch::Watch;
use super::{Context, End};
use crate::adopt::{Adopted, adopt};
use crate::config::Target;
use crate::error::Result;
use crate::postgres::catalogue;
use crate::postgres::session::Session;
use crate::preflight;
use crate::repository::Repository;
use crate::repository::list::Listing;
use crate::repository::lock::Lock;
use crate::repository::source::Source;
use crate::stop::Stop;
use serde::Serialize;
use std::time::Duration;

/// How long to wait for a run to end. Longer than a short one takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// What `kluis adopt --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    /// Whether another repository was expected in this folder before.
    repository_adopted: bool,
    targets: Vec<Told>,
}

/// One target.
#[derive(Debug, Serialize)]
struct Told {
    /// Its name.
    target: String,
    /// What it belongs to now.
    source: Source,
    /// What it belonged to; null where nothing changed.
    before: Option<Source>,
}

/// Runs the command.
pub fn run(context: &Context) -> Result<End> {
    let (config, output) = (context.config()?, &context.output);
    let repository = Repository::open_for_writing(&config.common.dir)?;
    let news = repository.adopt_identity(&config.common.scratch_dir)?;
    if news && !output.json {
        output.print(&format!("'{}' is the repository from now on\n", clean(&config.common.dir.to_string_lossy())))?;
    }
    let (watch, mut end, mut report) = (Watch::new()?, End::Done, Report { repository_adopted: news, targets: Vec::new() });
    for target in &config.targets {
        let (stop, _dog) = watch.limited(&target.settings);
        match one(output, &repository, target, &stop) {
            Ok(told) => report.targets.push(told),
            Err(error) => {
                let error = if config.targets.len() > 1 { error.context(format!("target '{}'", target.name)) } else { error };
                output.failure(&error);
                end = end.and(End::Failed(error.kind()));
            }
        }
    }
    if output.json {
        output.json(&report)?;
    }
    Ok(end)
}

fn one(output: &Output, repository: &Repository, target: &Target, stop: &Stop) -> Result<Told> {
    let folder = repository.target(&target.name);
    let mut session = Session::connect(&target.connection, stop)?;
    let facts = catalogue::facts(&mut session)?;
    let live = preflight::source(&mut session, &facts)?;
    let adopted = if folder.exists()? {
        let lock = Lock::take(&folder, PATIENCE, stop)?;
        adopt(&folder, &Listing::read(&folder)?, &live, &lock)?
    } else {
        Adopted::Unowned
    };
    let (said, before) = match adopted {
        Adopted::Unowned => ("has no backup yet: the first one decides".to_owned(), None),
        Adopted::Already => (format!("belongs to {live} already"), None),
        Adopted::From(before) => (format!("belonged to {before}, and goes on with {live}"), Some(before)),
    };
    if !output.json {
        output.print(&format!("target '{}' {}\n", clean(&target.name), clean(&said)))?;
    }
    Ok(Told { target: target.name.clone(), source: live, before })
}
