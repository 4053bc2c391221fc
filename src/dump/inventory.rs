//! The inventory of the catalogue, as a file of the backup.
//! It owns compressing it, and whether the catalogue stood still meanwhile; what is in it `postgres::inventory` reads.
//! Invariant: it is of the dump's own snapshot, and is published only if no lasting object changed before pg_dump had read them all.

use super::Job;
use crate::error::{Error, Kind, Result};
use crate::manifest::File;
use crate::postgres::inventory;
use crate::postgres::session::Session;
use crate::repository::names;
use crate::script::UNIT_BYTES;
use crate::script::gzip::Squeezer;
use std::io::Write;

/// How the reading ended.
pub enum Reading {
    /// The file, and what the catalogue looked like.
    Done(File, Vec<(u64, u64)>),
    /// It could not be read, for this reason: as a rule something was dropped meanwhile.
    Broken(Error),
}

/// Reads the inventory in the snapshot's session. Only what says nothing of the catalogue is an error.
pub fn write(job: &Job<'_>, session: &mut Session, encoding: &str) -> Result<Reading> {
    match read(job, session, encoding) {
        Ok((file, state)) => Ok(Reading::Done(file, state)),
        Err(error) if error.kind() == Kind::Failed && job.stop.reason().is_none() => Ok(Reading::Broken(error)),
        Err(error) => Err(error),
    }
}

fn read(job: &Job<'_>, session: &mut Session, encoding: &str) -> Result<(File, Vec<(u64, u64)>)> {
    let mut file = job.staging.file(names::INVENTORY)?;
    let (mut squeezer, mut plain, mut member) = (Squeezer::new(job.request.compression), Vec::with_capacity(UNIT_BYTES), Vec::new());
    let mut flush = |plain: &mut Vec<u8>, file: &mut crate::repository::files::NewFile| {
        member.clear();
        let written = squeezer.compress(plain, &mut member).and_then(|_| file.write_all(&member));
        plain.clear();
        written.map_err(|error| job.write_failed(names::INVENTORY, error))
    };
    let state = inventory::state(session)?;
    inventory::read(session, encoding, |line| {
        plain.extend_from_slice(line);
        if plain.len() >= UNIT_BYTES { flush(&mut plain, &mut file) } else { Ok(()) }
    })?;
    flush(&mut plain, &mut file)?;
    Ok((file.finish()?, state))
}

/// Whether the catalogue still looks so, to everybody.
pub fn still(job: &Job<'_>, state: &[(u64, u64)]) -> Result<bool> {
    let mut session = Session::connect(job.request.connection, job.stop)?;
    Ok(inventory::state(&mut session)? == state)
}
