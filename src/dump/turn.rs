//! Tables whose rows come in turn: after all others', one table after the other, each as one unit, with its rows as they lie.
//! It owns the files in which their rows wait meanwhile, since they are read side by side like all others; it leaves reading to `workers`.
//! Invariant: what psql and `kluis restore` load of such a table is one COPY, as pg_restore's is: a function sees of the table what it would see there.

use super::Job;
use crate::error::Result;
use crate::repository::files::open_file;
use crate::script::writer::ScriptWriter;
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// A part of a table's rows, as members in a file of its own. It is no part of the backup.
pub struct Part {
    name: String,
    file: BufWriter<File>,
    members: u32,
    plain: u64,
    /// How many rows are in it.
    pub rows: u64,
}

impl Part {
    /// A new one; no other one may have this number.
    pub fn new(job: &Job<'_>, number: usize) -> Result<Part> {
        let name = format!("{number}.part");
        // Neither hashed nor synced: it is gone before the backup is there.
        let file = crate::repository::files::create_file(&job.staging.path().join(&name))?;
        Ok(Part { name, file: BufWriter::with_capacity(64 << 10, file), members: 0, plain: 0, rows: 0 })
    }

    /// Appends one member with so many bytes of rows.
    pub fn member(&mut self, member: &[u8], plain: u64) -> io::Result<()> {
        self.members += 1;
        self.plain += plain;
        self.file.write_all(member)
    }

    /// Ends writing. A part without rows is gone.
    pub fn finish(mut self, job: &Job<'_>) -> Result<Option<Part>> {
        if self.members == 0 {
            job.staging.discard(&self.name)?;
            return Ok(None);
        }
        self.file.flush().map_err(|error| job.write_failed(&self.name, error))?;
        Ok(Some(self))
    }

    /// Appends the rows to the open unit.
    pub fn append<W: Write, I: Write>(self, job: &Job<'_>, writer: &mut ScriptWriter<W, I>) -> Result<()> {
        let file = open_file(&job.staging.path().join(&self.name))?;
        writer.unit_members(file, self.members, self.plain).map_err(|error| job.write_failed("the script", error))?;
        job.staging.discard(&self.name)
    }
}
