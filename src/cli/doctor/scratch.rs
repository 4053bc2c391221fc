//! The doctor's look at what a drill needs: the scratch folder, and, where that is asked for, a server in it.
//! It owns what is tried; it leaves making and starting to `postgres::throwaway`.
//! Invariant: what it makes it removes, and nothing of it lies in the repository.

use super::Sheet;
use crate::config::{Common, Drill, Target};
use crate::drill;
use crate::error::{Error, Kind, Result};
use crate::postgres::throwaway::{self, Locale, Memory, Options, Throwaway};
use crate::postgres::tools::{Places, Tools, installed};
use crate::stop::Stop;
use crate::units::{format_bytes, format_duration};
use std::time::Instant;

/// Whether a drill could make its server's folder there.
pub fn check(sheet: &mut Sheet<'_>, common: &Common, targets: &[Target]) -> Result<()> {
    let wanted = targets.iter().any(|target| !matches!(target.settings.drill, Drill::Off));
    match throwaway::try_folder(&common.scratch_dir) {
        Ok(free) => sheet.ok("scratch", format!("{}: a server's folder can be made there; {} free", common.scratch_dir.display(), format_bytes(free))),
        Err(error) if wanted => sheet.problem("scratch", &error.context("no backup can be proven")),
        Err(error) => sheet.warning("scratch", error.chain(), error.hint().unwrap_or("let BACKUP_SCRATCH_DIR name a folder that a drill can use")),
    }
}

/// Starts and ends a throwaway server of each version that has one here.
pub fn servers(sheet: &mut Sheet<'_>, common: &Common, places: &Places, stop: &Stop) -> Result<()> {
    let servers: Vec<Tools> = installed(places).into_iter().filter(Tools::has_server).collect();
    if servers.is_empty() {
        let error = Error::new(Kind::Failed, "there is no PostgreSQL server on this machine, and a drill starts one");
        return sheet.problem("drill", &error.hinted("install the package postgresql-NN of the server's major version, or use the image that has it"));
    }
    for tools in servers {
        let begun = Instant::now();
        let options = Options {
            tools: &tools,
            scratch: &common.scratch_dir,
            locale: &Locale::plain(),
            superuser: "postgres",
            sessions: 4,
            memory: Memory::default(),
            nice: drill::NICE,
            preload: &[],
            settings: &[],
        };
        match Throwaway::start(&options, stop).and_then(Throwaway::stop) {
            Ok(()) => sheet.ok("drill", format!("a server of PostgreSQL {} was started and removed in {}", tools.version, format_duration(begun.elapsed())))?,
            Err(error) => sheet.problem("drill", &error.context(format!("a server of PostgreSQL {} cannot be started", tools.version)))?,
        }
    }
    Ok(())
}
