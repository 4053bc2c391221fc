//! Writing a script: sections one after the other, units appended whole by any number of workers.
//! It owns the order of bytes, the bookkeeping of offsets and the units' hashes; it leaves hashing the whole and durability to the `Write` it is given.
//! Invariant: call `finish`; a writer that is dropped has written a script without its closing marker.

use super::gzip::Squeezer;
use super::unit::{Sha256Sum, Unit};
use super::{CLOSING_MARKER, UNIT_BYTES, section};
use crate::manifest::Section;
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};

/// Writes the script to `W` and its unit index to `I`.
pub struct ScriptWriter<W, I> {
    out: W,
    index: I,
    offset: u64,
    plain: u64,
    sections: Vec<Section>,
    open: Option<Unit>,
    hash: Sha256,
}

/// What a finished script consists of.
pub struct Finished<W, I> {
    /// The script's writer, to be synced by the caller.
    pub out: W,
    /// The index's writer, to be synced by the caller.
    pub index: I,
    /// The sections, in order.
    pub sections: Vec<Section>,
    /// The uncompressed length in bytes.
    pub plain_bytes: u64,
}

impl<W: Write, I: Write> ScriptWriter<W, I> {
    /// An empty script.
    pub fn new(out: W, index: I) -> Self {
        ScriptWriter { out, index, offset: 0, plain: 0, sections: Vec::new(), open: None, hash: Sha256::new() }
    }

    /// Begins a section: everything from here on belongs to it.
    pub fn begin(&mut self, name: &str) {
        self.close_section();
        self.sections.push(Section { name: name.to_owned(), offset: self.offset, bytes: 0, plain_bytes: self.plain });
    }

    /// The bytes written so far, compressed.
    pub fn bytes(&self) -> u64 {
        self.offset
    }

    /// Appends whole members that hold `plain` bytes.
    pub fn members(&mut self, members: &[u8], plain: u64) -> io::Result<()> {
        self.out.write_all(members)?;
        if self.open.is_some() {
            self.hash.update(members);
        }
        self.offset += members.len() as u64;
        self.plain += plain;
        Ok(())
    }

    /// Appends a text, compressed in members of a unit's size.
    pub fn text(&mut self, squeezer: &mut Squeezer, text: &[u8]) -> io::Result<()> {
        let mut member = Vec::new();
        for chunk in text.chunks(UNIT_BYTES) {
            member.clear();
            squeezer.compress(chunk, &mut member)?;
            self.members(&member, chunk.len() as u64)?;
        }
        Ok(())
    }

    /// Appends members that `compress_stream` made earlier and that hold `plain` bytes.
    pub fn copy(&mut self, members: impl Read, plain: u64) -> io::Result<()> {
        let (mut members, mut buffer) = (members, vec![0; 256 << 10]);
        loop {
            match members.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => self.members(&buffer[..length], 0)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.plain += plain;
        Ok(())
    }

    /// Begins a unit with its header's member.
    pub fn begin_unit(&mut self, table: u32, header: &[u8], plain: u64) -> io::Result<()> {
        self.open = Some(Unit { table, offset: self.offset, header: header.len() as u32, body: 0, footer: 0, members: 0, rows: 0, bytes: 0, sha256: None });
        self.members(header, plain)
    }

    /// Appends one member of rows to the open unit.
    pub fn unit_rows(&mut self, member: &[u8], plain: u64) -> io::Result<()> {
        self.members(member, plain)?;
        let unit = self.open.as_mut().expect("a unit was begun");
        unit.body += member.len() as u64;
        unit.bytes += plain;
        unit.members += 1;
        Ok(())
    }

    /// Appends so many members of rows, made earlier, to the open unit; they hold `plain` bytes.
    pub fn unit_members(&mut self, rows: impl Read, members: u32, plain: u64) -> io::Result<()> {
        let before = self.offset;
        self.copy(rows, plain)?;
        let unit = self.open.as_mut().expect("a unit was begun");
        unit.body += self.offset - before;
        unit.bytes += plain;
        unit.members += members;
        Ok(())
    }

    /// Ends the open unit with its footer's member, and writes its line of the index.
    pub fn end_unit(&mut self, footer: &[u8], plain: u64, rows: u64) -> io::Result<()> {
        self.members(footer, plain)?;
        let mut unit = self.open.take().expect("a unit was begun");
        unit.footer = footer.len() as u32;
        unit.rows = rows;
        unit.sha256 = Some(Sha256Sum(self.hash.finalize_reset().into()));
        self.index.write_all(unit.line().as_bytes())
    }

    /// Writes the closing marker and ends the script.
    pub fn finish(mut self, squeezer: &mut Squeezer) -> io::Result<Finished<W, I>> {
        self.begin(section::END);
        self.text(squeezer, CLOSING_MARKER.as_bytes())?;
        self.close_section();
        self.out.flush()?;
        self.index.flush()?;
        Ok(Finished { out: self.out, index: self.index, sections: self.sections, plain_bytes: self.plain })
    }

    fn close_section(&mut self) {
        if let Some(last) = self.sections.last_mut() {
            last.bytes = self.offset - last.offset;
            // Until now it held the plain offset at which the section began.
            last.plain_bytes = self.plain - last.plain_bytes;
        }
    }
}

/// Compresses a stream into members of a unit's size. `seen` gets every plain piece. Returns the plain length.
pub fn compress_stream(squeezer: &mut Squeezer, mut text: impl Read, mut out: impl Write, mut seen: impl FnMut(&[u8])) -> io::Result<u64> {
    let (mut plain, mut member, mut total) = (vec![0; UNIT_BYTES], Vec::new(), 0);
    loop {
        let mut filled = 0;
        while filled < plain.len() {
            match text.read(&mut plain[filled..]) {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if filled == 0 {
            return Ok(total);
        }
        seen(&plain[..filled]);
        member.clear();
        squeezer.compress(&plain[..filled], &mut member)?;
        out.write_all(&member)?;
        total += filled as u64;
    }
}
