//! Large objects in a script: what pg_dump's SQL for them says, digested on the way.
//! It owns reading that SQL (pg_backup_archiver.c, `StartRestoreLO`; pg_backup_null.c); it leaves counting what should be there to the dump engine.
//! Invariant: an object counts only when it was opened and closed, and SQL of an unknown form is an error, not an empty object.

use super::digest::ObjectStream;
use super::statements::Statements;

/// Digests the large objects of a stream of SQL text.
#[derive(Default)]
pub struct ObjectReader {
    statements: Statements,
    state: Reading,
}

#[derive(Default)]
struct Reading {
    stream: ObjectStream,
    open: Option<u32>,
    bytes: Vec<u8>,
}

impl ObjectReader {
    /// Takes the next piece of text.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), String> {
        let Self { statements, state } = self;
        statements.push(piece, |statement| state.statement(statement))
    }

    /// What was found, once the text has ended.
    pub fn finish(self) -> Result<ObjectStream, String> {
        if self.state.open.is_some() || !self.statements.is_complete() {
            return Err("the text of the large objects ends in the middle of one".to_owned());
        }
        Ok(self.state.stream)
    }
}

impl Reading {
    fn statement(&mut self, statement: &[u8]) -> Result<(), String> {
        if let Some(rest) = statement.strip_prefix(b"SELECT pg_catalog.lowrite(0, '\\x") {
            let hex = rest.strip_suffix(b"');").ok_or("a lowrite of an unknown form")?;
            if self.open.is_none() {
                return Err("a lowrite outside of an object".to_owned());
            }
            self.bytes.clear();
            for pair in hex.chunks(2) {
                let digit = |at: usize| pair.get(at).and_then(|digit| char::from(*digit).to_digit(16)).ok_or("a lowrite that is not hexadecimal");
                self.bytes.push((digit(0)? * 16 + digit(1)?) as u8);
            }
            self.stream.push(&self.bytes);
        } else if let Some(rest) = statement.strip_prefix(b"SELECT pg_catalog.lo_open('") {
            let oid = rest.split(|byte| *byte == b'\'').next().and_then(|oid| std::str::from_utf8(oid).ok()?.parse().ok());
            match (oid, self.open) {
                (Some(oid), None) => self.open = Some(oid),
                _ => return Err("a lo_open of an unknown form".to_owned()),
            }
        } else if statement.starts_with(b"SELECT pg_catalog.lo_close(") {
            let oid = self.open.take().ok_or("a lo_close without lo_open")?;
            self.stream.end(oid);
        } else if self.open.is_some() {
            return Err("a statement of an unknown form within an object".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ObjectStream, String> {
        let mut reader = ObjectReader::default();
        text.as_bytes().chunks(11).try_for_each(|piece| reader.push(piece))?;
        reader.finish()
    }

    #[test]
    fn objects_are_read_as_pg_dump_writes_them() {
        let text = "SELECT pg_catalog.lo_create('7');\nBEGIN;\n\nSELECT pg_catalog.lo_open('7', 131072);\nSELECT pg_catalog.lowrite(0, '\\x6865');\nSELECT pg_catalog.lowrite(0, '\\x6c6c6f');\nSELECT pg_catalog.lo_close(0);\n\nSELECT pg_catalog.lo_open('8', 131072);\nSELECT pg_catalog.lo_close(0);\n\nCOMMIT;\n";
        let (found, mut expected) = (read(text).unwrap(), ObjectStream::default());
        expected.push(b"hello");
        expected.end(7);
        expected.end(8);
        assert_eq!((found.count, found.bytes, found.hex()), (2, 5, expected.hex()));
        for (wrong, with) in [
            ("lo_close(0);\n\nSELECT pg_catalog.lo_open('8'", "lo_open('8'"),
            ("6c6c6f", "6c6c6"),
            ("6c6c6f", "6c6c6x"),
            ("lowrite(0, '\\x6c", "lowrite(0, 'x6c"),
            ("COMMIT;", "SELECT 'x"),
            ("lo_open('7'", "lo_open('x'"),
        ] {
            assert!(read(&text.replacen(wrong, with, 1)).is_err(), "{wrong}");
        }
    }
}
