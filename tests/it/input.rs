//! Input that somebody got wrong, or made to get us wrong: configurations, and every format that is read.
//!
//! `KLUIS_CAMPAIGN_SIZE` is how many bad configurations are tried, and a thousandth of how many mutated seeds; `KLUIS_CAMPAIGN_SEED` chooses others.

mod bad;
pub mod peer;
pub mod targets;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use targets::{TARGETS, Target};

/// A folder for one thread of one target.
pub fn own_folder() -> PathBuf {
    crate::support::new_folder("input")
}

/// How much to do, and which of all that could be done.
pub fn size(default: u64) -> u64 {
    std::env::var("KLUIS_CAMPAIGN_SIZE").ok().and_then(|size| size.parse().ok()).unwrap_or(default)
}

fn seed() -> u64 {
    std::env::var("KLUIS_CAMPAIGN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20260125)
}

/// Numbers that look random, and are the same for the same seed (SplitMix64).
pub struct Dice(u64);

impl Dice {
    /// Thrown the same way for the same seed and number.
    pub fn new(number: u64) -> Dice {
        Dice(seed().wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(number))
    }

    pub fn next(&mut self) -> u64 {
        crate::support::splitmix(&mut self.0)
    }

    /// One of 0 to `sides` - 1.
    pub fn below(&mut self, sides: usize) -> usize {
        (self.next() % sides.max(1) as u64) as usize
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// The seeds of a target: small inputs that it understands, and some that it must not.
fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds").join(target.name);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut seeds: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    // A file of text holds a seed a line, and is one itself.
    let lines: Vec<Vec<u8>> = paths
        .iter()
        .zip(&seeds)
        .filter(|(path, _)| path.extension().is_some_and(|end| end == "lines"))
        .flat_map(|(_, text)| text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec))
        .collect();
    seeds.extend(lines);
    seeds
}

/// One change, or a few.
fn mutate(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    const TOKENS: &[&[u8]] = &[
        b"\0",
        b"\n",
        b"\\",
        b"'",
        b"\"",
        b"$$",
        b"/*",
        b"--",
        b"://",
        b"@",
        b"%",
        b"..",
        b"-1",
        b"0",
        b"99999999999999999999",
        b"1e308",
        b"null",
        b"[]",
        b"{}",
        b"[[",
        b"\xff",
        b"\xe2\x80\xae",
        b"\x1b[",
        b"*",
        b",",
        b"/0",
        b"1-",
        b"SECRET",
        b"=",
        b"\x1f\x8b\x08",
        b"d\0\0\0\x04",
        b"d\xff\xff\xff\xff",
        b"c\0\0\0\x04",
        b"18446744073709551615",
        b"4294967296",
    ];
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = dice.next() as u8,
            2 => bytes.truncate(at),
            3 => {
                let end = (at + 1 + dice.below(16)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            4 => {
                let token = TOKENS[dice.below(TOKENS.len())];
                bytes.splice(at..at, token.iter().copied());
            }
            5 => {
                let piece = bytes[at..(at + 1 + dice.below(64)).min(bytes.len())].to_vec();
                let to = dice.below(bytes.len() + 1);
                (0..=dice.below(3)).for_each(|_| drop(bytes.splice(to..to, piece.iter().copied())));
            }
            6 => {
                let other = &seeds[dice.below(seeds.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[dice.below(other.len() + 1)..]);
            }
            7 if at < bytes.len() && bytes[at].is_ascii_digit() => bytes[at] = b'0' + dice.below(10) as u8,
            _ => bytes.insert(at, dice.next() as u8),
        }
    }
    bytes.truncate(1 << 16);
    bytes
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// Tries a target with its seeds as they are, and mutated.
#[track_caller]
fn try_target(target: &Target, rounds: u64) {
    let (seeds, begun, before) = (seeds(target), Instant::now(), resident());
    assert!(seeds.len() >= 3, "{} has {} seeds", target.name, seeds.len());
    let attempt = |bytes: &[u8]| {
        let begun = Instant::now();
        if std::panic::catch_unwind(|| (target.run)(bytes)).is_err() {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("failed-{}", target.name));
            std::fs::write(&kept, bytes).unwrap();
            panic!("{} does not bear {:?} (kept as {})", target.name, String::from_utf8_lossy(bytes), kept.display());
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{} took {:?} for {:?}", target.name, begun.elapsed(), String::from_utf8_lossy(bytes));
    };
    seeds.iter().for_each(|seed| attempt(seed));
    for round in 0..rounds {
        attempt(&mutate(&mut Dice::new(round * 31 + target.name.len() as u64), &seeds));
    }
    let grown = resident().saturating_sub(before);
    eprintln!("fuzz: {} bore {} seeds and {rounds} mutations of them in {:.1?}; memory grew by {grown} kB", target.name, seeds.len(), begun.elapsed());
}

mod fuzz {
    use super::*;

    #[test]
    fn every_format_bears_whatever_is_made_of_its_seeds() {
        for target in TARGETS {
            // A connection, and a line that is synced to a disk, take a hundred times as long as a parser.
            let rounds = size(10_000) / if ["copy", "history"].contains(&target.name) { 20 } else { 2 };
            try_target(target, rounds);
        }
    }
}
