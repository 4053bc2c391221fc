//! Whether a second database has room beside the first, as far as that can be known: SQL does not tell how much is free on a server's disk.
//! It owns finding out whether the server is on this machine, and looking at its file systems; it leaves what follows to `place`.
//! Invariant: what is not known for sure is no reason to refuse.

use super::Request;
use crate::error::{Error, Kind, Result};
use crate::manifest::Manifest;
use crate::postgres::quote::quote_literal;
use crate::postgres::session::Session;
use crate::units::format_bytes;
use std::path::{Path, PathBuf};

/// Fails where the new database will not fit on the server's disk: beside the old one or, in place, where it is.
pub fn check(session: &mut Session, request: &Request<'_>, manifest: &Manifest, tablespace: Option<&str>) -> Result<()> {
    let Some(folder) = folder(session, tablespace)? else { return Ok(()) };
    let Ok(stat) = rustix::fs::statvfs(&folder) else { return Ok(()) };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    // A database that was just restored has no dead rows: three times the plain text is more than tables and indexes ever took.
    let needed = manifest.database.bytes.min(manifest.script.plain_bytes.saturating_mul(3));
    let size = format!("SELECT pg_catalog.pg_database_size(oid) FROM pg_catalog.pg_database WHERE datname = {}", quote_literal(&request.to.database));
    // Its size is for those who may connect to it, or read all statistics.
    let old: u64 = session.query(&size).and_then(|rows| rows.parsed()).unwrap_or(0);
    let room = if request.in_place { free.saturating_add(old) } else { free };
    if room >= needed {
        return Ok(());
    }
    let (needed, free) = (format_bytes(needed), format_bytes(free));
    if request.in_place {
        return Err(Error::new(
            Kind::Storage,
            format!("the server's disk has {free} free, and the database needs about {needed}: it would not fit even without the old one"),
        )
        .hinted("free some space on the server first; nothing was changed"));
    }
    Err(Error::new(Kind::Storage, format!("the server's disk has {free} free, and the new database needs about {needed} beside the old one"))
        .hinted("free some space on the server, or say --in-place, which drops the old one first: what was in it is then gone if the restore fails; nothing was changed"))
}

/// The folder on this machine in which the server will make the database; none where that is not known for sure.
fn folder(session: &mut Session, tablespace: Option<&str>) -> Result<Option<PathBuf>> {
    // The setting is for superusers and readers of all settings.
    let query = "SELECT setting, pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())::bigint FROM pg_catalog.pg_settings WHERE name = 'data_directory'";
    let rows = session.query(query)?;
    let (Some(data), Some(started)) = (rows.get(0, 0), rows.get(0, 1)) else { return Ok(None) };
    let data = Path::new(data);
    // The same folder may be another server's on this machine, or nobody's: the time at which the server began tells (miscadmin.h, `LOCK_FILE_LINE_START_TIME`).
    let Ok(file) = std::fs::read_to_string(data.join("postmaster.pid")) else { return Ok(None) };
    let here = file.lines().nth(2).and_then(|line| line.trim().parse::<i64>().ok());
    let same = here.zip(started.parse().ok()).is_some_and(|(here, there): (i64, i64)| here.abs_diff(there) <= 1);
    if !same {
        return Ok(None);
    }
    let Some(tablespace) = tablespace else { return Ok(Some(data.join("base"))) };
    let rows = session.query(&format!(
        "SELECT nullif(pg_catalog.pg_tablespace_location(oid), '') FROM pg_catalog.pg_tablespace WHERE spcname = {}",
        quote_literal(tablespace)
    ))?;
    Ok(rows.get(0, 0).map(PathBuf::from))
}
