//! Row counts and order-independent content digests.
//! It owns their definition; it leaves to its callers where rows come from.
//! Invariant: the digest of a table is the same for any order, any split among workers and any chunking of the stream.

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Rows, bytes and content digest of a table, or of a part of it.
///
/// The digest is the sum, modulo 2^128, of XXH3-128 (seed 0) of each row's COPY text without its line end.
/// A sum and not an exclusive or, so that a row that appears twice does not vanish. XXH3 is strong against accident, not
/// against somebody who can rewrite the backup: such a person can rewrite the manifest as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest {
    /// The number of rows.
    pub rows: u64,
    /// The bytes of COPY text, line ends included.
    pub bytes: u64,
    /// The sum of the rows' hashes.
    pub sum: u128,
}

impl Digest {
    /// Adds one row; `row` may end with its line end.
    #[inline]
    pub fn add_row(&mut self, row: &[u8]) {
        self.rows += 1;
        self.bytes += row.len() as u64;
        self.sum = self.sum.wrapping_add(xxh3_128(row.strip_suffix(b"\n").unwrap_or(row)));
    }

    /// Adds every row of a text that consists of whole rows.
    pub fn add_text(&mut self, text: &[u8]) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', text) {
            self.add_row(&text[start..=end]);
            start = end + 1;
        }
        if start < text.len() {
            self.add_row(&text[start..]);
        }
    }

    /// Adds another part of the same table.
    pub fn add(&mut self, other: &Digest) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// The sum as 32 hexadecimal digits.
    pub fn hex(&self) -> String {
        format!("{:032x}", self.sum)
    }
}

/// Digests rows out of pieces that may begin and end anywhere, in bounded memory.
#[derive(Default)]
pub struct RowStream {
    /// What was found so far; the row that is still open is not in it.
    pub digest: Digest,
    open: Option<Box<Xxh3>>,
}

impl RowStream {
    /// Takes the next piece of COPY text.
    pub fn push(&mut self, mut piece: &[u8]) {
        if self.open.is_some() {
            match memchr::memchr(b'\n', piece) {
                Some(end) => {
                    self.part(&piece[..end]);
                    self.end_row();
                    piece = &piece[end + 1..];
                }
                None => return self.part(piece),
            }
        }
        let whole = memchr::memrchr(b'\n', piece).map_or(0, |end| end + 1);
        self.digest.add_text(&piece[..whole]);
        if whole < piece.len() {
            self.part(&piece[whole..]);
        }
    }

    /// Takes a part of one row that has no line end in it.
    pub fn part(&mut self, part: &[u8]) {
        self.digest.bytes += part.len() as u64;
        self.open.get_or_insert_with(|| Box::new(Xxh3::new())).update(part);
    }

    /// Ends the row that `part` began. Its line end counts as a byte.
    pub fn end_row(&mut self) {
        let hash = self.open.take().map_or_else(|| xxh3_128(b""), |open| open.digest128());
        self.digest.rows += 1;
        self.digest.bytes += 1;
        self.digest.sum = self.digest.sum.wrapping_add(hash);
    }

    /// Whether a row is open: the stream did not end at a row's end.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

/// Digests large objects one by one, each fed in any chunking.
///
/// An object's hash is XXH3-128 of its bytes; the digest is the sum of XXH3-128 of (oid as 4 bytes, size as 8, hash as 16, all big-endian).
#[derive(Default)]
pub struct ObjectStream {
    /// How many objects were ended.
    pub count: u64,
    /// Their bytes together.
    pub bytes: u64,
    /// The digest so far.
    pub sum: u128,
    size: u64,
    hash: Option<Box<Xxh3>>,
}

impl ObjectStream {
    /// Takes bytes of the object that is open.
    pub fn push(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.hash.get_or_insert_with(|| Box::new(Xxh3::new())).update(bytes);
    }

    /// Ends the object that is open.
    pub fn end(&mut self, oid: u32) {
        let hash = self.hash.take().map_or_else(|| xxh3_128(b""), |hash| hash.digest128());
        let mut record = [0; 28];
        record[..4].copy_from_slice(&oid.to_be_bytes());
        record[4..12].copy_from_slice(&self.size.to_be_bytes());
        record[12..].copy_from_slice(&hash.to_be_bytes());
        self.count += 1;
        self.bytes += self.size;
        self.sum = self.sum.wrapping_add(xxh3_128(&record));
        self.size = 0;
    }

    /// The digest as 32 hexadecimal digits.
    pub fn hex(&self) -> String {
        format!("{:032x}", self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chunking_and_order_change_nothing(rows in prop::collection::vec("[a-z\\\\\t]{0,40}", 0..40), cuts in prop::collection::vec(0usize..2000, 0..20), split in 0usize..40) {
            let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
            let mut whole = Digest::default();
            whole.add_text(text.as_bytes());
            prop_assert_eq!(whole.rows, rows.len() as u64);

            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut stream = RowStream::default();
            for pair in cuts.windows(2) {
                stream.push(&text.as_bytes()[pair[0]..pair[1]]);
            }
            prop_assert!(!stream.is_open());
            prop_assert_eq!(stream.digest, whole);

            let (mut left, mut right) = (Digest::default(), Digest::default());
            for (i, row) in rows.iter().enumerate().rev() {
                if i < split { left.add_row(format!("{row}\n").as_bytes()) } else { right.add_row(format!("{row}\n").as_bytes()) }
            }
            right.add(&left);
            prop_assert_eq!(right, whole);
        }
    }

    #[test]
    fn a_change_a_swap_and_a_doubled_row_all_show() {
        let of = |text: &str| {
            let mut digest = Digest::default();
            digest.add_text(text.as_bytes());
            digest.sum
        };
        let base = of("1\ta\n2\tb\n");
        for other in ["1\ta\n2\tc\n", "1\tb\n2\ta\n", "1\ta\n2\tb\n2\tb\n", "1\ta\n", "1\ta\n1\ta\n2\tb\n2\tb\n", ""] {
            assert_ne!(base, of(other), "{other:?}");
        }
        // Fixed for ever: a digest in a manifest must mean the same in every later version.
        assert_eq!(format!("{:032x}", of("1\ta\n")), format!("{:032x}", xxh3_128(b"1\ta")));
        assert_eq!(format!("{:032x}", of("\n")), "99aa06d3014798d86001c324468d497f");
    }
}
