//! Progress on stderr: a bar on a terminal, a handful of plain lines elsewhere.
//! It owns what is shown of the events; it leaves results, warnings and errors to the commands.
//! Invariant: the row path never waits for a terminal: an event is a few atomic additions.

use super::output::{Output, complain};
use super::text::clean;
use crate::events::{Event, Observer};
use crate::units::format_bytes;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a long step says how far it is, where there is no bar.
const EVERY: Duration = Duration::from_secs(30);

/// Shows what a job does. Dropped, it takes its bar away.
pub struct Progress {
    name: String,
    show: Show,
    step: Mutex<String>,
    moved: AtomicU64,
    total: AtomicU64,
    begun: Instant,
    /// When moving began, and when something was last said: milliseconds after `begun`.
    since: AtomicU64,
    said: AtomicU64,
}

enum Show {
    Nothing,
    Lines,
    Bar(ProgressBar),
}

impl Progress {
    /// For a job of that name.
    pub fn new(output: &Output, name: &str) -> Progress {
        let show = if output.quiet || output.json {
            Show::Nothing
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_prefix(clean(name));
            bar.set_style(style("{prefix}  {msg}  {elapsed}"));
            bar.enable_steady_tick(Duration::from_millis(100));
            Show::Bar(bar)
        } else {
            Show::Lines
        };
        Progress {
            name: name.to_owned(),
            show,
            step: Mutex::default(),
            moved: AtomicU64::new(0),
            total: AtomicU64::new(0),
            begun: Instant::now(),
            since: AtomicU64::new(0),
            said: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    fn began(&self) {
        self.moved.store(0, Ordering::Relaxed);
        self.since.store(self.now(), Ordering::Relaxed);
        self.said.store(self.now(), Ordering::Relaxed);
    }

    fn step(&self, step: &str) {
        step.clone_into(&mut self.step.lock().expect("no thread panics with this lock"));
        self.total.store(0, Ordering::Relaxed);
        self.began();
        match &self.show {
            Show::Nothing => {}
            Show::Lines => complain(&format!("{}: {}", clean(&self.name), clean(step))),
            Show::Bar(bar) => {
                bar.set_style(style("{prefix}  {msg}  {elapsed}"));
                bar.set_message(clean(step));
            }
        }
    }

    fn beforehand(&self, what: &str) {
        let line = format!("{}: {}", clean(&self.name), clean(what));
        match &self.show {
            Show::Nothing => {}
            Show::Lines => complain(&line),
            Show::Bar(bar) => bar.suspend(|| complain(&line)),
        }
    }

    fn total(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
        self.began();
        if let Show::Bar(bar) = &self.show
            && bytes > 0
        {
            bar.set_length(bytes);
            bar.set_position(0);
            bar.reset_eta();
            bar.set_style(style("{prefix}  {msg}  {wide_bar}  {decimal_bytes} of {decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left"));
        }
    }

    fn moved(&self, bytes: u64) {
        let moved = self.moved.fetch_add(bytes, Ordering::Relaxed) + bytes;
        match &self.show {
            Show::Nothing => {}
            // The total of a dump is an estimate; a bar that is more than full tells nothing.
            Show::Bar(bar) => bar.set_position(moved.min(self.total.load(Ordering::Relaxed))),
            Show::Lines => {
                let (now, said) = (self.now(), self.said.load(Ordering::Relaxed));
                let due = now.saturating_sub(said) >= EVERY.as_millis() as u64;
                if due && self.said.compare_exchange(said, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                    complain(&self.line(moved, now));
                }
            }
        }
    }

    fn line(&self, moved: u64, now: u64) -> String {
        let step = self.step.lock().expect("no thread panics with this lock").clone();
        let rate = (u128::from(moved) * 1000).checked_div(u128::from(now - self.since.load(Ordering::Relaxed).min(now))).unwrap_or(0);
        let rate = format_bytes(u64::try_from(rate).unwrap_or(u64::MAX));
        format!("{}: {} {} of {}, {rate}/s", clean(&self.name), clean(&step), format_bytes(moved), format_bytes(self.total.load(Ordering::Relaxed)))
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this file are valid")
}

impl Observer for Progress {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Step(step) => self.step(step),
            Event::Total { bytes, .. } => self.total(*bytes),
            Event::Moved { bytes, .. } => self.moved(*bytes),
            // The commands print warnings with their results, where they are not lost under a bar.
            Event::Table | Event::Warning(_) => {}
            Event::Beforehand(what) => self.beforehand(what),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Show::Bar(bar) = &self.show {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_valid_and_a_line_tells_the_rate() {
        let progress = Progress {
            name: "app".into(),
            show: Show::Bar(ProgressBar::hidden()),
            step: Mutex::default(),
            moved: AtomicU64::new(0),
            total: AtomicU64::new(0),
            begun: Instant::now(),
            since: AtomicU64::new(0),
            said: AtomicU64::new(0),
        };
        progress.event(&Event::Step("dump"));
        progress.event(&Event::Total { bytes: 10_000_000, tables: 1 });
        progress.event(&Event::Moved { bytes: 11_000_000, rows: 1 });
        progress.since.store(0, Ordering::Relaxed);
        assert_eq!(progress.line(5_000_000, 2000), "app: dump 5.00 MB of 10.0 MB, 2.50 MB/s");
        assert_eq!(progress.line(5_000_000, 0), "app: dump 5.00 MB of 10.0 MB, 0 B/s");
    }
}
