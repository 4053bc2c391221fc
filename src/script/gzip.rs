//! Gzip members: bytes in, one whole member (RFC 1952) out, and back.
//! It owns the choice of compressor; it leaves framing into units and sections to its siblings.
//! Invariant: a member that `compress` makes is accepted by every gunzip, and decompressing it checks its CRC-32 and length.

use super::huffman;
use libdeflater::{CompressionLvl, Compressor};
use std::io::{self, Read};

/// How hard to compress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// As fast as there is: about the size of `gzip -5` at fifteen times its speed.
    #[default]
    Fast,
    /// Smaller than `gzip -6` at five times its speed.
    Small,
    /// As small as deflate gets at a bearable speed, for machines with cores to spare.
    Smallest,
}

impl std::str::FromStr for Compression {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "fast" => Ok(Compression::Fast),
            "small" => Ok(Compression::Small),
            "smallest" => Ok(Compression::Smallest),
            _ => Err("it must be fast, small or smallest".to_owned()),
        }
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Compression::Fast => "fast",
            Compression::Small => "small",
            Compression::Smallest => "smallest",
        })
    }
}

/// Makes gzip members. One a thread: it keeps its tables between members.
pub struct Squeezer {
    engine: Engine,
    /// For numbers, where those have an engine of their own.
    for_numbers: Option<Engine>,
}

enum Engine {
    #[cfg(feature = "isal")]
    Isal(isal::CompressionLevel),
    Deflate(Compressor),
}

impl Engine {
    fn deflate(level: i32) -> Self {
        Engine::Deflate(Compressor::new(CompressionLvl::new(level).expect("a level that libdeflate knows")))
    }
}

impl Squeezer {
    /// A compressor of the given strength.
    pub fn new(compression: Compression) -> Self {
        let engine = match compression {
            #[cfg(feature = "isal")]
            Compression::Fast => Engine::Isal(isal::CompressionLevel::One),
            #[cfg(not(feature = "isal"))]
            Compression::Fast => Engine::deflate(1),
            Compression::Small => Engine::deflate(5),
            Compression::Smallest => Engine::deflate(9),
        };
        #[cfg(feature = "isal")]
        let quick = || Engine::Isal(isal::CompressionLevel::Three);
        #[cfg(not(feature = "isal"))]
        let quick = || Engine::deflate(2);
        Squeezer { engine, for_numbers: (compression == Compression::Small).then(quick) }
    }

    /// Appends `plain`, as one gzip member, to `out`. Returns the member's length in bytes.
    pub fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        let start = out.len();
        if self.has_nothing_to_match(plain, out)? {
            huffman::compress(plain, out);
            return Ok(out.len() - start);
        }
        match &mut self.for_numbers {
            Some(engine) if are_numbers(plain) => search(engine, plain, out),
            _ => search(&mut self.engine, plain, out),
        }
    }

    /// Whether coding bytes by their frequency alone is better: tried out where the text looks as if it could be.
    fn has_nothing_to_match(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<bool> {
        let Some(samples) = huffman::samples(plain) else { return Ok(false) };
        let (start, mut searched, mut coded) = (out.len(), 0, 0);
        for sample in samples {
            searched += search(&mut self.engine, sample, out)?;
            coded += huffman::estimate(sample);
            out.truncate(start);
        }
        Ok(coded <= searched)
    }
}

/// Appends `plain` as a member, made by a compressor that searches for matches. Returns its length in bytes.
fn search(engine: &mut Engine, plain: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
    let start = out.len();
    match engine {
        #[cfg(feature = "isal")]
        Engine::Isal(level) => {
            // Stored blocks cost 5 bytes each 64 KiB at worst; ISA-L asks for some slack beyond.
            out.resize(start + plain.len() + plain.len() / 1024 + 512, 0);
            let written = isal::compress_into(plain, &mut out[start..], *level, isal::Codec::Gzip).map_err(|_| io::Error::other("the compressor failed"))?;
            out.truncate(start + written);
        }
        Engine::Deflate(compressor) => {
            out.resize(start + compressor.gzip_compress_bound(plain.len()), 0);
            let written = compressor.gzip_compress(plain, &mut out[start..]).map_err(|_| io::Error::other("the compressor failed"))?;
            out.truncate(start + written);
        }
    }
    Ok(out.len() - start)
}

/// Whether these rows are digits and what stands between them, nearly all of them. In such text matches are many, short and by chance: a longer search
/// for them takes three times as long for a tenth less. Told by the bytes alone, so that the same rows always become the same members.
fn are_numbers(plain: &[u8]) -> bool {
    // A prime, so that no column of rows of equal length is looked at alone.
    const LOOKS: usize = 1021;
    let looked_at = plain.iter().step_by(plain.len() / LOOKS + 1);
    let (all, numbers) = looked_at.fold((0, 0), |(all, numbers), byte| {
        (all + 1, numbers + usize::from(matches!(byte, b'0'..=b'9' | b'\t' | b'\n' | b' ' | b'.' | b',' | b':' | b'-' | b'+')))
    });
    numbers * 10 >= all * 9
}

/// Decompresses one member whose plain length is known into `plain`, replacing what it held.
pub fn expand(member: &[u8], plain_bytes: usize, plain: &mut Vec<u8>) -> io::Result<()> {
    plain.resize(plain_bytes, 0);
    #[cfg(feature = "isal")]
    let written = isal::decompress_into(member, plain, isal::Codec::Gzip).map_err(|_| bad())?;
    #[cfg(not(feature = "isal"))]
    let written = libdeflater::Decompressor::new().gzip_decompress(member, plain).map_err(|_| bad())?;
    if written == plain_bytes { Ok(()) } else { Err(bad()) }
}

fn bad() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a compressed block is damaged")
}

/// Reads a run of gzip members as one plain stream, in bounded memory.
pub fn stream<R: Read>(members: R) -> impl Read {
    flate2::read::MultiGzDecoder::new(members)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out(plain in prop::collection::vec(any::<u8>(), 0..5000), repeat in 1usize..60) {
            let plain = plain.repeat(repeat);
            for compression in [Compression::Fast, Compression::Small, Compression::Smallest] {
                let mut squeezer = Squeezer::new(compression);
                let mut members = Vec::new();
                let first = squeezer.compress(&plain, &mut members).unwrap();
                squeezer.compress(b"second", &mut members).unwrap();
                let mut back = Vec::new();
                expand(&members[..first], plain.len(), &mut back).unwrap();
                prop_assert_eq!(&back, &plain);
                prop_assert_eq!(by_libdeflate(&members[..first], plain.len()), &plain[..]);
                let mut all = Vec::new();
                stream(&members[..]).read_to_end(&mut all).unwrap();
                prop_assert_eq!(all.len(), plain.len() + 6);
                prop_assert_eq!(&all[..plain.len()], &plain[..]);
            }
        }
    }

    #[test]
    fn rows_of_numbers_are_told() {
        let rows = |row: fn(u32) -> String| are_numbers((0..2000).map(row).collect::<String>().as_bytes());
        assert!(rows(|n| format!("{n}\t{}\t2023-01-01 00:{:02}:04.575917+00\t{}.47\t-252.01\tt\n", n / 7, n % 60, n % 360)));
        assert!(!rows(|n| format!("{}\tthe quick brown fox jumps over the lazy dog, and so on and on.\n", n % 10)));
        assert!(!rows(|n| format!("{n}\t{{\"path\": \"/app/{n}\", \"ok\": true, \"ref\": null}}\n")));
        assert!(!rows(|n| format!("{:016x}\n", u64::from(n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))));
        assert!(are_numbers(b"") && are_numbers(b"12\n"));
    }

    /// What libdeflate makes of a member, whichever library is built in for that.
    pub fn by_libdeflate(member: &[u8], plain_bytes: usize) -> Vec<u8> {
        let mut plain = vec![0; plain_bytes];
        let written = libdeflater::Decompressor::new().gzip_decompress(member, &mut plain).expect("libdeflate reads it");
        assert_eq!(written, plain_bytes);
        plain
    }

    /// Random bytes, always the same.
    pub fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 1u64;
        let next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(bytes).collect()
    }

    #[test]
    fn random_bytea_is_coded_without_a_search_at_every_strength() {
        let row = |bytes: &[u8]| format!("7\t\\\\x{}\n", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let random: String = noise(512 << 10).chunks(50_000).map(row).collect();
        // What comes again and again has to be found, hexadecimal or not.
        let repeated: String = noise(2000).repeat(256).chunks(50_000).map(row).collect();
        let mut coded = Vec::new();
        huffman::compress(random.as_bytes(), &mut coded);
        for compression in [Compression::Fast, Compression::Small, Compression::Smallest] {
            let mut squeezer = Squeezer::new(compression);
            let mut member = Vec::new();
            squeezer.compress(random.as_bytes(), &mut member).unwrap();
            assert!(member == coded, "{compression}: {} bytes, coded {}", member.len(), coded.len());
            let found = squeezer.compress(repeated.as_bytes(), &mut Vec::new()).unwrap();
            assert!(found < repeated.len() / 8, "{compression}: {found}");
        }
    }

    #[test]
    fn incompressible_bytes_fit() {
        let noise = noise(3 << 20);
        for compression in [Compression::Fast, Compression::Small] {
            let mut out = Vec::new();
            Squeezer::new(compression).compress(&noise, &mut out).unwrap();
            assert!(out.len() < noise.len() + noise.len() / 500);
        }
    }

    #[test]
    fn damage_is_seen() {
        let mut member = Vec::new();
        Squeezer::new(Compression::Fast).compress(b"hello hello hello hello", &mut member).unwrap();
        let mut plain = Vec::new();
        for cut in 0..member.len() {
            assert!(expand(&member[..cut], 23, &mut plain).is_err(), "cut at {cut}");
        }
        assert!(expand(&member, 22, &mut plain).is_err());
        assert!(expand(&member, 24, &mut plain).is_err());
    }
}
