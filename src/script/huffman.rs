//! Gzip members without matches: each byte is coded by how often it occurs, and nothing else (RFC 1951, blocks with dynamic Huffman codes).
//! It owns that coder, and telling for which bytes it is the better one: hexadecimal text of random bytes, as `bytea` comes out of COPY. Looking
//! for repetitions in it finds short ones by chance, which cost more than they save, and time.
//! Invariant: what it makes is a complete member of its own, with CRC-32 and length, as any other compressor's.

use libdeflater::Crc;

/// How many bytes share one code.
const BLOCK: usize = 256 << 10;
/// How many bytes the table of a code takes.
const TABLE: usize = 150;
/// The longest code that deflate knows, in bits.
const LONGEST: u8 = 15;
/// The symbol that ends a block.
const END: usize = 256;
/// How many bytes are looked at to tell whether this coder is the better one, at each of [`PLACES`].
const SAMPLE: usize = 16 << 10;
/// At which eighths of the text samples are taken.
const PLACES: [usize; 2] = [2, 6];

/// The parts of a text that tell whether it is worth a comparison of the coders; none, if it clearly is not hexadecimal.
pub fn samples(plain: &[u8]) -> Option<[&[u8]; 2]> {
    if plain.len() < 8 * SAMPLE {
        return None;
    }
    // A look at a few bytes first: this is asked of every member.
    let step = plain.len() / 256;
    let hexadecimal = plain.iter().step_by(step).filter(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
    let seen = plain.len().div_ceil(step);
    (hexadecimal * 100 >= seen * 95).then(|| PLACES.map(|eighth| &plain[plain.len() / 8 * eighth..][..SAMPLE]))
}

/// How long `plain` would become, in bytes, as a part of a long text: with its share of the table.
pub fn estimate(plain: &[u8]) -> usize {
    let counts = count(plain);
    let lengths = code_lengths(&counts);
    let bits: u64 = counts.iter().zip(lengths).map(|(count, length)| u64::from(*count) * u64::from(length)).sum();
    (bits as usize).div_ceil(8) + TABLE * plain.len() / BLOCK
}

/// Appends `plain`, as one gzip member, to `out`.
pub fn compress(plain: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    let mut bits = Bits { out, held: 0, count: 0 };
    let mut blocks = plain.chunks(BLOCK).peekable();
    if blocks.peek().is_none() {
        block(&mut bits, &[], true);
    }
    while let Some(piece) = blocks.next() {
        block(&mut bits, piece, blocks.peek().is_none());
    }
    bits.finish();
    let mut crc = Crc::new();
    crc.update(plain);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    // The length modulo 2^32, as RFC 1952 has it.
    out.extend_from_slice(&(plain.len() as u32).to_le_bytes());
}

fn block(bits: &mut Bits<'_>, plain: &[u8], last: bool) {
    let lengths = code_lengths(&count(plain));
    bits.put(u64::from(last), 1);
    bits.put(2, 2);
    // 257 codes of literals, 2 of distances (which pkzip's successors want to see, used or not), 19 of lengths.
    bits.put(0, 5);
    bits.put(1, 5);
    bits.put(15, 4);
    // The lengths 0 to 15 get four bits each, in the order of RFC 1951, 3.2.7; the three symbols for repetitions before them none.
    for symbol in 0..19 {
        bits.put(if symbol < 3 { 0 } else { 4 }, 3);
    }
    for length in lengths.iter().chain(&[1, 1]) {
        bits.put(reversed(u16::from(*length), 4), 4);
    }
    bits.codes(plain, &codes(&lengths));
}

fn count(plain: &[u8]) -> [u32; 257] {
    // Four tables, so that equal bytes in a row do not wait for each other.
    let mut tables = [[0u32; 256]; 4];
    let mut quads = plain.chunks_exact(4);
    for quad in &mut quads {
        for (table, byte) in tables.iter_mut().zip(quad) {
            table[usize::from(*byte)] += 1;
        }
    }
    for byte in quads.remainder() {
        tables[0][usize::from(*byte)] += 1;
    }
    let mut counts = [0; 257];
    for (symbol, count) in counts.iter_mut().enumerate().take(256) {
        *count = tables.iter().map(|table| table[symbol]).sum();
    }
    counts[END] = 1;
    counts
}

/// The length of each symbol's code: Huffman's, none longer than [`LONGEST`]; 0 for symbols that do not occur. At least two symbols get a code.
fn code_lengths(counts: &[u32; 257]) -> [u8; 257] {
    let mut lengths = [0u8; 257];
    let mut used: Vec<usize> = (0..257).filter(|symbol| counts[*symbol] > 0).collect();
    if used.len() == 1 {
        // One symbol alone would have a code of no length.
        used.insert(0, 0);
    }
    used.sort_by_key(|symbol| counts[*symbol]);
    // Leaves, rarest first, then the nodes in the order in which they are made, which is that of their weights: two queues.
    let leaves = used.len();
    let mut weights: Vec<u64> = used.iter().map(|symbol| u64::from(counts[*symbol])).collect();
    let mut parents = vec![0usize; 2 * leaves - 1];
    let (mut leaf, mut node) = (0, leaves);
    for made in leaves..2 * leaves - 1 {
        let mut take = || {
            let next = if leaf < leaves && (node >= weights.len() || weights[leaf] <= weights[node]) { &mut leaf } else { &mut node };
            *next += 1;
            *next - 1
        };
        let (first, second) = (take(), take());
        (parents[first], parents[second]) = (made, made);
        weights.push(weights[first] + weights[second]);
    }
    let mut depths = vec![0u32; 2 * leaves - 1];
    for index in (0..2 * leaves - 2).rev() {
        depths[index] = depths[parents[index]] + 1;
    }
    // Too long codes are cut; what that takes more than there is of code space, the longest codes that can still grow give back.
    let limit = u32::from(LONGEST);
    let mut space: u32 = 0;
    for depth in &mut depths[..leaves] {
        *depth = (*depth).min(limit);
        space += 1 << (limit - *depth);
    }
    while space > 1 << limit {
        let grows = (0..leaves).filter(|index| depths[*index] < limit).max_by_key(|index| depths[*index]).expect("257 symbols fit into 15 bits");
        depths[grows] += 1;
        space -= 1 << (limit - depths[grows]);
    }
    for (symbol, depth) in used.iter().zip(&depths) {
        lengths[*symbol] = *depth as u8;
    }
    lengths
}

/// The codes of these lengths (RFC 1951, 3.2.2), with their bits in the order in which they are written, and their lengths.
fn codes(lengths: &[u8; 257]) -> [(u16, u8); 257] {
    let mut next = [0u16; LONGEST as usize + 2];
    let mut of_length = [0u16; LONGEST as usize + 1];
    lengths.iter().filter(|length| **length > 0).for_each(|length| of_length[usize::from(*length)] += 1);
    for length in 1..=usize::from(LONGEST) {
        next[length + 1] = (next[length] + of_length[length]) << 1;
    }
    let mut codes = [(0, 0); 257];
    for (code, length) in codes.iter_mut().zip(lengths) {
        if *length > 0 {
            *code = (reversed(next[usize::from(*length)], *length) as u16, *length);
            next[usize::from(*length)] += 1;
        }
    }
    codes
}

fn reversed(code: u16, length: u8) -> u64 {
    u64::from(code.reverse_bits() >> (16 - length))
}

/// Writes bits, the lowest first.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    held: u64,
    count: u32,
}

impl Bits<'_> {
    fn put(&mut self, bits: u64, count: u32) {
        self.held |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// The codes of the bytes, and of the block's end.
    fn codes(&mut self, plain: &[u8], codes: &[(u16, u8); 257]) {
        let start = self.out.len();
        // A code may be longer than the byte that it stands for, and eight bytes are written at once.
        self.out.resize(start + plain.len() * 2 + 16, 0);
        let (mut at, mut held, mut count) = (start, self.held, self.count);
        let mut triples = plain.chunks_exact(3);
        for triple in &mut triples {
            for byte in triple {
                let (code, length) = codes[usize::from(*byte)];
                held |= u64::from(code) << count;
                count += u32::from(length);
            }
            self.out[at..at + 8].copy_from_slice(&held.to_le_bytes());
            // At most 7 + 3 · 15 bits are held, so there is room for the next three.
            at += (count / 8) as usize;
            held >>= count & !7;
            count &= 7;
        }
        self.out.truncate(at);
        (self.held, self.count) = (held, count);
        for byte in triples.remainder() {
            let (code, length) = codes[usize::from(*byte)];
            self.put(u64::from(code), u32::from(length));
        }
        let (code, length) = codes[END];
        self.put(u64::from(code), u32::from(length));
    }

    fn finish(&mut self) {
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::gzip::tests::{by_libdeflate, noise};
    use crate::script::gzip::{expand, stream};
    use proptest::prelude::*;
    use std::io::Read;

    #[track_caller]
    fn comes_back(plain: &[u8]) -> usize {
        let mut member = Vec::new();
        compress(plain, &mut member);
        let mut back = Vec::new();
        expand(&member, plain.len(), &mut back).expect("the inflater reads it");
        assert!(back == plain, "the inflater read something else");
        assert!(by_libdeflate(&member, plain.len()) == plain, "libdeflate read something else");
        back.clear();
        stream(&member[..]).read_to_end(&mut back).expect("zlib reads it");
        assert!(back == plain, "zlib read something else");
        member.len()
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(plain in prop::collection::vec(any::<u8>(), 0..3000)) {
            comes_back(&plain);
        }

        #[test]
        fn codes_are_never_too_long(counts in prop::collection::vec((0usize..257, 0u32..30), 1..257)) {
            let mut table = [0u32; 257];
            table[END] = 1;
            for (symbol, size) in counts {
                table[symbol] = table[symbol].max(1 << size);
            }
            let lengths = code_lengths(&table);
            let space: u32 = lengths.iter().filter(|length| **length > 0).map(|length| 1u32 << (LONGEST - length)).sum();
            prop_assert!(space <= 1 << LONGEST);
            for (count, length) in table.iter().zip(lengths) {
                prop_assert!(length <= LONGEST && (*count == 0 || length > 0));
            }
        }
    }

    #[test]
    fn odd_texts_come_back() {
        comes_back(b"");
        comes_back(b"a");
        comes_back(&[0; 70_000]);
        comes_back(&vec![b'x'; BLOCK * 2]);
        // Counts like Fibonacci's numbers make codes as deep as there are symbols.
        let (mut deep, mut pair) = (Vec::new(), (1usize, 1usize));
        for symbol in 0..24u8 {
            deep.extend(std::iter::repeat_n(symbol, pair.0));
            pair = (pair.1, pair.0 + pair.1);
        }
        comes_back(&deep[..BLOCK.min(deep.len())]);
    }

    #[test]
    fn hexadecimal_noise_takes_half_a_byte_a_digit() {
        let noise = noise(512 << 10).iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes();
        assert!(samples(&noise).is_some());
        let length = comes_back(&noise);
        assert!(length < noise.len() / 2 + noise.len() / 100, "{length}");
        assert!(estimate(&noise).abs_diff(length) < 2000);
        assert!(samples(b"a line of text, which is no hexadecimal number\n".repeat(30_000).as_slice()).is_none());
        assert!(samples(b"abcdef0123456789").is_none());
    }
}
