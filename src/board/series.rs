//! Size, rows and duration over time, with what is out of the ordinary marked.
//! It owns what "out of the ordinary" means, and how many points a chart gets. Invariant: thinning out never loses a point that is marked.

use crate::catalog::Runs;
use jiff::{SignedDuration, Timestamp};

/// How far back a chart goes.
const BACK: SignedDuration = SignedDuration::from_hours(365 * 24);

/// The most points of a chart.
const MOST: usize = 180;

/// With how many runs before it a run is compared, and how many there must be.
const BEFORE: usize = 14;
const ENOUGH: usize = 4;

/// A longer run is not worth a mark below this difference.
const WORTH_MS: u64 = 10_000;

/// A run that published a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When it began.
    pub at: Timestamp,
    /// Bytes on disk, and whether that is less than half or more than twice the median of the runs before.
    pub bytes: (u64, bool),
    /// Rows, likewise.
    pub rows: (u64, bool),
    /// Milliseconds, and whether that is more than three times the median.
    pub ms: (u64, bool),
}

/// The runs of the last year.
pub fn samples(runs: &Runs, now: Timestamp) -> Vec<Sample> {
    let published: Vec<_> = runs.recent.iter().filter(|run| run.published.is_some() && now.duration_since(run.started) <= BACK).collect();
    let mut samples: Vec<Sample> = Vec::with_capacity(published.len());
    for run in published {
        let before = &samples[samples.len().saturating_sub(BEFORE)..];
        let (bytes, rows) = (run.bytes.unwrap_or(0), run.rows.unwrap_or(0));
        let odd = |value: u64, of: fn(&Sample) -> u64| median(before, of).is_some_and(|median| value < median / 2 || value / 2 > median);
        let slow = median(before, |sample| sample.ms.0).is_some_and(|median| run.ms / 3 > median && run.ms - median > WORTH_MS);
        samples.push(Sample {
            at: run.started,
            bytes: (bytes, odd(bytes, |sample| sample.bytes.0)),
            rows: (rows, odd(rows, |sample| sample.rows.0)),
            ms: (run.ms, slow),
        });
    }
    thinned(samples)
}

fn median(samples: &[Sample], of: fn(&Sample) -> u64) -> Option<u64> {
    let mut values: Vec<u64> = samples.iter().map(of).collect();
    values.sort_unstable();
    (values.len() >= ENOUGH).then(|| values[values.len() / 2])
}

/// Every so many, the newest and all marked ones.
fn thinned(samples: Vec<Sample>) -> Vec<Sample> {
    let step = samples.len().div_ceil(MOST).max(1);
    let last = samples.len().saturating_sub(1);
    let kept = |(place, sample): &(usize, Sample)| (last - place).is_multiple_of(step) || sample.bytes.1 || sample.rows.1 || sample.ms.1;
    samples.into_iter().enumerate().filter(kept).map(|(_, sample)| sample).collect()
}
