//! What turns a campaign: how much, which seed, how long; and the line that sums it up.
//! It owns the variables `KLUIS_CAMPAIGN_SIZE`, `…_SEED`, `…_MINUTES`, `…_FROM` and `…_MAJOR`, which `scripts/campaign` sets; without them a campaign
//! is the short slice that each test run does. Invariant: what a round does follows from the seed and the round's number alone.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A campaign under way.
pub struct Campaign {
    name: &'static str,
    /// How many rounds; what a round is, each campaign says.
    pub size: u64,
    /// The only major that is tried, where the campaign goes over several.
    pub major: Option<u64>,
    seed: u64,
    begun: Instant,
    limit: Option<Duration>,
    next: AtomicU64,
    counts: Mutex<BTreeMap<String, u64>>,
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: '{text}'")))
}

impl Campaign {
    /// A campaign, with the size of its short slice.
    pub fn new(name: &'static str, short: u64) -> Campaign {
        Campaign::seeded(name, short, None)
    }

    /// One whose short slice has always the same seed: it shows what held before, and the campaign itself looks for what does not.
    pub fn with_a_slice(name: &'static str, short: u64, seed: u64) -> Campaign {
        Campaign::seeded(name, short, Some(seed).filter(|_| number("KLUIS_CAMPAIGN_SIZE").is_none()))
    }

    fn seeded(name: &'static str, short: u64, seed: Option<u64>) -> Campaign {
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |time| time.as_millis() as u64);
        let campaign = Campaign {
            name,
            size: number("KLUIS_CAMPAIGN_SIZE").unwrap_or(short),
            major: number("KLUIS_CAMPAIGN_MAJOR"),
            seed: number("KLUIS_CAMPAIGN_SEED").or(seed).unwrap_or(clock),
            begun: Instant::now(),
            limit: number("KLUIS_CAMPAIGN_MINUTES").map(|minutes| Duration::from_secs(60 * minutes)),
            next: AtomicU64::new(number("KLUIS_CAMPAIGN_FROM").unwrap_or(0)),
            counts: Mutex::default(),
        };
        campaign.say(&format!("{} rounds, seed {}", campaign.size, campaign.seed));
        campaign
    }

    /// Whether it is the short slice of a usual test run.
    pub fn is_short(&self) -> bool {
        number("KLUIS_CAMPAIGN_SIZE").is_none()
    }

    /// The number of the next round and its chances; nothing when all are done or the time is up.
    pub fn next(&self) -> Option<(u64, Random)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.size && !self.time_is_up()).then(|| (number, self.random(number)))
    }

    /// The round that it begins with.
    pub fn first(&self) -> u64 {
        number("KLUIS_CAMPAIGN_FROM").unwrap_or(0)
    }

    /// The chances of one round.
    pub fn random(&self, number: u64) -> Random {
        // Through one step first: rounds whose states lie a step apart would have the same chances, one later.
        Random(Random(self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).bits())
    }

    /// Whether no new round may begin.
    pub fn time_is_up(&self) -> bool {
        self.limit.is_some_and(|limit| self.begun.elapsed() > limit)
    }

    /// Which of so many possible rounds are done: all of them, or as many as the size says, spread evenly from a random beginning.
    pub fn spread(&self, possible: usize, size: u64) -> Vec<usize> {
        if size >= possible as u64 {
            return (0..possible).collect();
        }
        let begin = self.random(0).below(possible as u64);
        (0..size).map(|number| ((begin + number * possible as u64 / size) % possible as u64) as usize).collect()
    }

    /// Counts something for the summary.
    pub fn count(&self, what: &str) {
        self.add(what, 1);
    }

    /// Counts several.
    pub fn add(&self, what: &str, count: u64) {
        *self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).entry(what.to_owned()).or_default() += count;
    }

    /// How often something was counted.
    pub fn counted(&self, what: &str) -> u64 {
        self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(what).copied().unwrap_or(0)
    }

    /// What its chances follow from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What tells how to have a round again.
    pub fn repeat(&self, number: u64) -> String {
        format!("campaign {}, seed {}, round {number}", self.name, self.seed)
    }

    /// Says something about a round.
    pub fn say(&self, text: &str) {
        // Where libtest does not capture it.
        let _ = std::io::stderr().write_all(format!("campaign {}: {text}\n", self.name).as_bytes());
    }
}

impl Drop for Campaign {
    fn drop(&mut self) {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let counts: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        let verdict = if std::thread::panicking() { "FAILED" } else { "held" };
        self.say(&format!("{verdict}; {}; seed {}, {} s", counts.join(", "), self.seed, self.begun.elapsed().as_secs()));
    }
}

/// Chances that can be had again (SplitMix64).
pub struct Random(u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        crate::support::splitmix(&mut self.0)
    }

    /// A number from 0 to `limit` - 1.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit.max(1)
    }

    /// True so often in a hundred.
    pub fn percent(&mut self, often: u64) -> bool {
        self.below(100) < often
    }

    /// A time up to this one.
    pub fn part_of(&mut self, whole: Duration) -> Duration {
        Duration::from_micros(self.below(whole.as_micros() as u64 + 1))
    }
}
