//! Progress on a terminal: a bar. Elsewhere nothing, so that cron sends no mail of a run that went well.
//! It owns what is shown of the events; it leaves results, warnings and errors to the commands.
//! Invariant: the row path never waits for a terminal: an event is a few atomic additions.

use super::output::{Output, complain};
use super::text::clean;
use crate::events::{Event, Observer};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Shows what a job does. Dropped, it takes its bar away.
pub struct Progress {
    name: String,
    show: Show,
    moved: AtomicU64,
    total: AtomicU64,
}

enum Show {
    Nothing,
    /// What is to be known before something is done, and no more.
    Beforehand,
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
            Show::Beforehand
        };
        Progress { name: name.to_owned(), show, moved: AtomicU64::new(0), total: AtomicU64::new(0) }
    }

    fn step(&self, step: &str) {
        self.total.store(0, Ordering::Relaxed);
        self.moved.store(0, Ordering::Relaxed);
        if let Show::Bar(bar) = &self.show {
            bar.set_style(style("{prefix}  {msg}  {elapsed}"));
            bar.set_message(clean(step));
        }
    }

    fn beforehand(&self, what: &str) {
        let line = format!("{}: {}", clean(&self.name), clean(what));
        match &self.show {
            Show::Nothing => {}
            Show::Beforehand => complain(&line),
            Show::Bar(bar) => bar.suspend(|| complain(&line)),
        }
    }

    fn total(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
        self.moved.store(0, Ordering::Relaxed);
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
        // The total of a dump is an estimate; a bar that is more than full tells nothing.
        if let Show::Bar(bar) = &self.show {
            bar.set_position(moved.min(self.total.load(Ordering::Relaxed)));
        }
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
    fn every_template_is_valid() {
        let progress = Progress { name: "app".into(), show: Show::Bar(ProgressBar::hidden()), moved: AtomicU64::new(0), total: AtomicU64::new(0) };
        progress.event(&Event::Step("dump"));
        progress.event(&Event::Total { bytes: 10_000_000, tables: 1 });
        progress.event(&Event::Moved { bytes: 11_000_000, rows: 1 });
        let Show::Bar(bar) = &progress.show else { unreachable!() };
        assert_eq!((bar.position(), bar.length()), (10_000_000, Some(10_000_000)));
    }
}
