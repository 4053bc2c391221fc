//! Reading a script at random: sections as plain streams, units as rows, each checked against what the index says of it.
//! It owns decoding; it leaves to its callers what the rows mean.
//! Invariant: memory is bounded by a unit, also where one row is larger than a unit.

use super::gzip::{expand, stream};
use super::unit::{Sha256Sum, Unit};
use crate::manifest::Section;
use crate::raw;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// Something that can be read at any place: a file today, an object in a store tomorrow.
pub trait ReadAt {
    /// Fills `buffer` with the bytes at `offset`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }
}

/// A range of a [`ReadAt`], as a stream.
struct Range<'a, S: ?Sized> {
    source: &'a S,
    offset: u64,
    left: u64,
}

impl<S: ReadAt + ?Sized> Read for Range<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.left.min(buffer.len() as u64) as usize;
        self.source.read_exact_at(&mut buffer[..length], self.offset)?;
        self.offset += length as u64;
        self.left -= length as u64;
        Ok(length)
    }
}

/// The plain text of a section, as a stream. It ends early or with an error where the section is damaged.
pub fn section<'a, S: ReadAt + ?Sized>(source: &'a S, section: &Section) -> impl Read + use<'a, S> {
    let range = Range { source, offset: section.offset, left: section.bytes };
    Text((section.bytes > 0).then(|| stream(io::BufReader::with_capacity(64 << 10, range))))
}

/// A text of any number of members. None at all would be a broken gzip file, but is an empty section.
struct Text<R>(Option<R>);

impl<R: Read> Read for Text<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.as_mut().map_or(Ok(0), |members| members.read(buffer))
    }
}

/// Bodies up to this plain size are decoded in one go, larger ones (of one huge row) as a stream.
const AT_ONCE: u64 = 16 << 20;

/// Decodes units. One a thread: it keeps its buffers.
#[derive(Default)]
pub struct UnitReader {
    packed: Vec<u8>,
    plain: Vec<u8>,
}

impl UnitReader {
    /// The plain text of the unit's header.
    pub fn header(&mut self, source: &(impl ReadAt + ?Sized), unit: &Unit) -> io::Result<String> {
        self.small(source, unit.offset, u64::from(unit.header))
    }

    /// The plain text of the unit's footer.
    pub fn footer(&mut self, source: &(impl ReadAt + ?Sized), unit: &Unit) -> io::Result<String> {
        self.small(source, unit.body_offset() + unit.body, u64::from(unit.footer))
    }

    /// The SHA-256 of the unit's bytes in the script.
    pub fn sha256(&mut self, source: &(impl ReadAt + ?Sized), unit: &Unit) -> io::Result<Sha256Sum> {
        let (mut range, mut hash) = (Range { source, offset: unit.offset, left: unit.length() }, Sha256::new());
        self.packed.resize(256 << 10, 0);
        loop {
            match range.read(&mut self.packed)? {
                0 => return Ok(Sha256Sum(hash.finalize().into())),
                length => hash.update(&self.packed[..length]),
            }
        }
    }

    fn small(&mut self, source: &(impl ReadAt + ?Sized), offset: u64, left: u64) -> io::Result<String> {
        let mut text = Vec::new();
        stream(io::BufReader::new(Range { source, offset, left })).take(1 << 20).read_to_end(&mut text)?;
        Ok(raw::text(&text))
    }

    /// Hands the unit's rows to `each`, in pieces that may begin and end within a row only where a row is larger than a unit.
    /// Fails where the rows do not decode or their plain length is not what the index says.
    pub fn rows<E: From<io::Error>>(&mut self, source: &(impl ReadAt + ?Sized), unit: &Unit, mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if unit.members == 0 {
            return Ok(());
        }
        if unit.members == 1 && unit.bytes <= AT_ONCE && unit.body <= AT_ONCE * 2 {
            self.packed.resize(unit.body as usize, 0);
            source.read_exact_at(&mut self.packed, unit.body_offset())?;
            expand(&self.packed, unit.bytes as usize, &mut self.plain)?;
            return each(&self.plain);
        }
        let range = Range { source, offset: unit.body_offset(), left: unit.body };
        let mut text = stream(io::BufReader::with_capacity(64 << 10, range));
        self.plain.resize(256 << 10, 0);
        let mut total = 0;
        loop {
            match text.read(&mut self.plain)? {
                0 => break,
                length => {
                    total += length as u64;
                    each(&self.plain[..length])?;
                }
            }
        }
        if total == unit.bytes { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "a unit is not as long as its index says").into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::gzip::{Compression, Squeezer};
    use super::super::unit::parse_index;
    use super::super::writer::ScriptWriter;
    use super::super::{CLOSING_MARKER, UNIT_BYTES, section as name};
    use super::*;
    use crate::script::digest::{Digest, RowStream};
    use std::process::{Command, Stdio};

    struct Memory(Vec<u8>);
    impl ReadAt for Memory {
        fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            let bytes = self.0.get(offset as usize..).and_then(|rest| rest.get(..buffer.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer.copy_from_slice(bytes);
            Ok(())
        }
    }

    fn write(rows: &[(&str, u64)], huge: usize) -> (Memory, String, Vec<Section>, String) {
        let mut squeezer = Squeezer::new(Compression::Fast);
        let mut plain = String::from("CREATE TABLE t;\n");
        let mut writer = ScriptWriter::new(Vec::new(), Vec::new());
        writer.begin(name::PRE_DATA);
        writer.text(&mut squeezer, plain.as_bytes()).unwrap();
        writer.begin(name::UNITS);
        let mut member = |text: &str| {
            let mut out = Vec::new();
            squeezer.compress(text.as_bytes(), &mut out).unwrap();
            out
        };
        for (text, count) in rows {
            let (header, footer) = ("COPY t FROM stdin;\n", "\\.\n\n");
            writer.begin_unit(0, &member(header), header.len() as u64).unwrap();
            if !text.is_empty() {
                writer.unit_rows(&member(text), text.len() as u64).unwrap();
            }
            writer.end_unit(&member(footer), footer.len() as u64, *count).unwrap();
            plain = plain + header + text + footer;
        }
        if huge > 0 {
            writer.begin_unit(0, &member("COPY t FROM stdin;\n"), 19).unwrap();
            for _ in 0..huge {
                writer.unit_rows(&member(&"x".repeat(UNIT_BYTES)), UNIT_BYTES as u64).unwrap();
            }
            writer.unit_rows(&member("\n"), 1).unwrap();
            writer.end_unit(&member("\\.\n\n"), 4, 1).unwrap();
            plain = plain + "COPY t FROM stdin;\n" + &"x".repeat(UNIT_BYTES * huge) + "\n\\.\n\n";
        }
        let done = writer.finish(&mut squeezer).unwrap();
        plain += CLOSING_MARKER;
        assert_eq!(done.plain_bytes, plain.len() as u64);
        (Memory(done.out), String::from_utf8(done.index).unwrap(), done.sections, plain)
    }

    #[test]
    fn gunzip_and_the_reader_see_the_same() {
        let (script, index, sections, plain) = write(&[("1\ta\n2\tb\n", 2), ("", 0), ("3\tc\n", 1)], 20);
        let mut gunzip = Command::new("gunzip").arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut input, bytes) = (gunzip.stdin.take().unwrap(), script.0.clone());
        let feeder = std::thread::spawn(move || io::Write::write_all(&mut input, &bytes));
        let out = gunzip.wait_with_output().unwrap();
        feeder.join().unwrap().unwrap();
        assert!(out.status.success() && out.stdout == plain.as_bytes());

        let units_section = &sections[1];
        let units = parse_index(&index, units_section.offset, units_section.offset + units_section.bytes, 1).unwrap();
        let (mut reader, mut stream) = (UnitReader::default(), RowStream::default());
        for unit in &units {
            assert_eq!(reader.header(&script, unit).unwrap(), "COPY t FROM stdin;\n");
            assert_eq!(reader.footer(&script, unit).unwrap(), "\\.\n\n");
            reader.rows(&script, unit, |piece| io::Result::Ok(stream.push(piece))).unwrap();
        }
        let mut expected = Digest::default();
        expected.add_text(b"3\tc\n2\tb\n1\ta\n");
        expected.add_row(format!("{}\n", "x".repeat(UNIT_BYTES * 20)).as_bytes());
        assert_eq!(stream.digest, expected);
        let mut text = String::new();
        section(&script, &sections[0]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "CREATE TABLE t;\n");
        assert_eq!(sections.iter().map(|section| section.bytes).sum::<u64>(), script.0.len() as u64);
        assert_eq!(sections.iter().map(|section| section.plain_bytes).sum::<u64>(), plain.len() as u64);
    }

    #[test]
    fn an_empty_section_is_an_empty_text() {
        let (script, _, mut sections, _) = write(&[], 0);
        let mut text = String::new();
        assert_eq!((sections[1].name.as_str(), sections[1].bytes), (name::UNITS, 0));
        section(&script, &sections[1]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "");
        // Where bytes should be, none are an error all the same.
        (sections[1].offset, sections[1].bytes) = (script.0.len() as u64, 1);
        assert!(section(&script, &sections[1]).read_to_string(&mut text).is_err());
    }

    #[test]
    fn every_flipped_bit_of_a_unit_is_seen() {
        let (mut script, index, sections, _) = write(&[("1\talpha\n2\tbeta\n3\tgamma\n", 3)], 0);
        let units_section = sections[1].clone();
        let unit = parse_index(&index, units_section.offset, units_section.offset + units_section.bytes, 1).unwrap()[0];
        for bit in 0..unit.body * 8 {
            let at = (unit.body_offset() + bit / 8) as usize;
            script.0[at] ^= 1 << (bit % 8);
            let mut digest = RowStream::default();
            let result = UnitReader::default().rows(&script, &unit, |piece| io::Result::Ok(digest.push(piece)));
            // Bits of the header that gunzip ignores as well (time stamp, flags of the maker) change no row.
            let mut expected = Digest::default();
            expected.add_text(b"1\talpha\n2\tbeta\n3\tgamma\n");
            assert!(result.is_err() || digest.digest == expected, "bit {bit}");
            script.0[at] ^= 1 << (bit % 8);
        }
    }
}
