//! The board as metrics for Prometheus: its text format, or OpenMetrics where that is asked for.
//! It owns names, help texts and the two formats; the numbers are the board's. Pure.
//! Invariant: every series of a target is there from the start; none has a backup's name or another endless word as a label; what has not happened yet is
//! the time 0, so that every alarm about an age counts it as long ago.

use crate::board::{Board, Stand};
use crate::exception::Class;
use crate::repository::history::Outcome;
use crate::retention::{Reason, Standing, Suspension};
use crate::status::State;
use jiff::Timestamp;
use std::fmt::Write;

/// The two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text format, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The one that a scraper accepts, by its `Accept` header.
    pub fn accepted(accept: &str) -> Format {
        if accept.contains("application/openmetrics-text") { Format::OpenMetrics } else { Format::Prometheus }
    }

    /// Its content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The steps of a run whose duration is told.
const STEPS: [&str; 8] = ["lock", "preflight", "dump", "seal", "publish", "prove", "prune", "report"];

/// The rules of the policy by which kept backups are counted.
const TIERS: [&str; 8] = ["all", "days", "daily", "weekly", "monthly", "yearly", "minimum", "pinned"];

/// All metrics.
pub fn render(board: &Board, format: Format) -> String {
    let mut out = Out { text: String::with_capacity(2048 + board.targets.len() * 6144), format };
    out.family("kluis_build_info", "gauge", "The version of Kluis that answers; always 1.");
    out.sample("kluis_build_info", &[("version", board.kluis)], 1.0);

    // By name, so that two scrapes have the same order.
    let mut stands: Vec<&Stand> = board.targets.iter().collect();
    stands.sort_by(|a, b| a.view.target.cmp(&b.view.target));
    for gauge in GAUGES {
        out.family(gauge.name, "gauge", gauge.help);
        for stand in &stands {
            out.sample(gauge.name, &[("target", &stand.view.target)], (gauge.value)(stand));
        }
    }
    out.each(&stands, "kluis_state", "gauge", "1 for the state that the target is in: fresh, starting (no run yet) or stale.", |stand| {
        [State::Fresh, State::Starting, State::Stale].map(|state| ("state", state.word(), bit(stand.view.state == state))).to_vec()
    });
    out.each(&stands, "kluis_last_run_result", "gauge", "1 for the result of the last run that was not skipped; all 0 before the first.", |stand| {
        let last = stand.view.last_run.as_ref().map(|run| run.outcome);
        [(Outcome::Done, "done"), (Outcome::Warned, "warned"), (Outcome::Failed, "failed")]
            .map(|(outcome, word)| ("result", word, bit(last == Some(outcome))))
            .to_vec()
    });
    out.each(
        &stands,
        "kluis_last_run_step_duration_seconds",
        "gauge",
        "How long each step of the last run took; 0 for a step that it did not reach.",
        |stand| {
            let steps = stand.view.last_run.as_ref().map(|run| run.steps.as_slice()).unwrap_or_default();
            STEPS.map(|step| ("step", step, steps.iter().find(|(name, _)| name == step).map_or(0.0, |(_, ms)| *ms as f64 / 1000.0))).to_vec()
        },
    );
    out.each(&stands, "kluis_backups", "gauge", "Backups in the repository, by how far each is proven.", |stand| {
        let standings = [
            (Standing::Proven, "proven"),
            (Standing::Read, "read"),
            (Standing::Sealed, "sealed"),
            (Standing::Incomplete, "incomplete"),
            (Standing::Bad, "bad"),
            (Standing::Suspicious, "suspicious"),
            (Standing::NotUnderstood, "not-understood"),
        ];
        standings.map(|(standing, word)| ("standing", word, stand.points.iter().filter(|point| point.standing == standing).count() as f64)).to_vec()
    });
    out.each(
        &stands,
        "kluis_proof_exceptions",
        "gauge",
        "What a restore of the newest proven backup does not bring back since no dump holds it, by class; 0 where none is proven.",
        |stand| Class::ALL.map(|class| ("class", class.word(), stand.view.exceptions.count_of(class) as f64)).to_vec(),
    );
    out.each(&stands, "kluis_backups_kept", "gauge", "Backups that each rule of the policy keeps; one may be kept by several.", |stand| {
        TIERS.map(|tier| ("tier", tier, kept(stand, tier))).to_vec()
    });
    out.each(&stands, "kluis_runs_total", "counter", "Runs in the history, by result.", |stand| {
        let counts = &stand.counts;
        vec![
            ("result", "done", counts.done as f64),
            ("result", "warned", counts.warned as f64),
            ("result", "failed", counts.failed as f64),
            ("result", "skipped", counts.skipped as f64),
        ]
    });
    out.family("kluis_backups_deleted_total", "counter", "Backups that the policy deleted after runs.");
    for stand in &stands {
        out.sample("kluis_backups_deleted_total", &[("target", &stand.view.target)], stand.counts.deleted as f64);
    }

    out.family("kluis_storage_free_bytes", "gauge", "Bytes that can still be written on the repository's volume; NaN where that is not known.");
    out.sample("kluis_storage_free_bytes", &[], board.room.map_or(f64::NAN, |room| room.free_bytes as f64));
    out.family("kluis_storage_size_bytes", "gauge", "The size of the repository's volume; NaN where that is not known.");
    out.sample("kluis_storage_size_bytes", &[], board.room.map_or(f64::NAN, |room| room.total_bytes as f64));
    out.family(
        "kluis_storage_until_full_seconds",
        "gauge",
        "How long the free room lasts at the growth of the last 30 days; +Inf where the backups do not grow, or the policy still fills room that is there.",
    );
    out.sample(
        "kluis_storage_until_full_seconds",
        &[],
        board.room.map_or(f64::NAN, |room| room.days_left.map_or(f64::INFINITY, |days| days as f64 * 86_400.0)),
    );
    out.family("kluis_notify_failures_total", "counter", "Attempts to deliver a notification that failed.");
    out.sample("kluis_notify_failures_total", &[], board.voice.failures as f64);
    out.finish()
}

/// A gauge that each target has once.
struct Gauge {
    name: &'static str,
    help: &'static str,
    value: fn(&Stand) -> f64,
}

const GAUGES: &[Gauge] = &[
    Gauge {
        name: "kluis_fresh",
        help: "1 where the newest backup that counts is young enough, as kluis status says.",
        value: |stand| bit(stand.view.state == State::Fresh),
    },
    Gauge {
        name: "kluis_last_attempt_timestamp_seconds",
        help: "When the last run that was not skipped began; 0: there was none.",
        value: |stand| seconds(stand.view.last_run.as_ref().map(|run| run.started)),
    },
    Gauge {
        name: "kluis_last_success_timestamp_seconds",
        help: "When the last run that published a backup began; 0: there was none.",
        value: |stand| seconds(stand.last_success.as_ref().map(|run| run.started)),
    },
    Gauge {
        name: "kluis_last_proof_timestamp_seconds",
        help: "When the newest proven backup was proven; 0: none is proven.",
        value: |stand| seconds(stand.proof.as_ref().map(|proof| proof.at)),
    },
    Gauge {
        name: "kluis_counting_restore_point_timestamp_seconds",
        help: "When the newest backup that counts was made: compare its age with kluis_max_age_seconds; 0: none counts.",
        value: |stand| seconds(stand.view.counting.as_ref().map(|point| point.at)),
    },
    Gauge {
        name: "kluis_newest_restore_point_timestamp_seconds",
        help: "When the newest backup that is not known to be bad was made; 0: there is none.",
        value: |stand| seconds(stand.view.newest.as_ref().map(|point| point.at)),
    },
    Gauge {
        name: "kluis_newest_proven_restore_point_timestamp_seconds",
        help: "When the newest proven backup was made; 0: none is proven.",
        value: |stand| seconds(stand.view.newest_proven.as_ref().map(|point| point.at)),
    },
    Gauge {
        name: "kluis_oldest_restore_point_timestamp_seconds",
        help: "When the oldest backup that can be restored was made; 0: there is none.",
        value: |stand| seconds(stand.view.oldest.as_ref().map(|point| point.at)),
    },
    Gauge { name: "kluis_next_run_timestamp_seconds", help: "When the next run is scheduled; 0: never.", value: |stand| seconds(stand.view.next_run) },
    Gauge { name: "kluis_max_age_seconds", help: "The oldest that the newest backup may get (BACKUP_MAX_AGE).", value: |stand| stand.view.max_age_s as f64 },
    Gauge { name: "kluis_run_in_progress", help: "1 while a run is in progress.", value: |stand| bit(stand.progress.is_some()) },
    Gauge {
        name: "kluis_last_run_duration_seconds",
        help: "How long the last run that was not skipped took.",
        value: |stand| stand.view.last_run.as_ref().map_or(0.0, |run| run.steps.iter().map(|(_, ms)| *ms).sum::<u64>() as f64 / 1000.0),
    },
    Gauge {
        name: "kluis_last_restore_duration_seconds",
        help: "How long the restore of the newest proven backup took in its drill.",
        value: |stand| stand.proof.as_ref().map_or(0.0, |proof| proof.restore_ms as f64 / 1000.0),
    },
    Gauge {
        name: "kluis_last_backup_size_bytes",
        help: "Size on disk of the last backup that a run published.",
        value: |stand| stand.last_success.as_ref().and_then(|run| run.bytes).map_or(0.0, |bytes| bytes as f64),
    },
    Gauge {
        name: "kluis_last_backup_rows",
        help: "Rows in the last backup that a run published.",
        value: |stand| stand.last_success.as_ref().and_then(|run| run.rows).map_or(0.0, |rows| rows as f64),
    },
    Gauge {
        name: "kluis_last_backup_tables",
        help: "Tables in the last backup that a run published.",
        value: |stand| stand.last_success.as_ref().and_then(|run| run.tables).map_or(0.0, |tables| tables as f64),
    },
    Gauge {
        name: "kluis_database_size_bytes",
        help: "The size of the database on its server, as the newest backup found it.",
        value: |stand| stand.counts.database_bytes.map_or(0.0, |bytes| bytes as f64),
    },
    Gauge { name: "kluis_backups_size_bytes", help: "Size on disk of all backups of the target.", value: |stand| stand.counts.bytes as f64 },
    Gauge {
        name: "kluis_database_empty",
        help: "1 where the newest backup is of a database without a row, and BACKUP_ALLOW_EMPTY does not say that this is right.",
        value: |stand| bit(stand.view.empty),
    },
    Gauge {
        name: "kluis_shrunken_tables",
        help: "Tables of the newest backup that lost rows, or are gone, in a way that is not usual for them.",
        value: |stand| match &stand.suspended {
            Some(Suspension::TablesShrank { gone, emptied, halved, .. }) => (gone + emptied + halved) as f64,
            _ => (stand.losses.len() as u64 + stand.losses_unlisted) as f64,
        },
    },
    Gauge { name: "kluis_deletion_suspended", help: "1 where the policy deletes nothing at present.", value: |stand| bit(stand.suspended.is_some()) },
];

fn kept(stand: &Stand, tier: &str) -> f64 {
    let by = |reason: &Reason| match tier {
        "all" => {
            !matches!(reason, Reason::Expired { .. } | Reason::NotSelected { .. } | Reason::Bad { .. } | Reason::Incomplete { .. } | Reason::Suspicious { .. })
        }
        "days" => matches!(reason, Reason::WithinDays { .. }),
        "daily" => matches!(reason, Reason::Daily { .. }),
        "weekly" => matches!(reason, Reason::Weekly { .. }),
        "monthly" => matches!(reason, Reason::Monthly { .. }),
        "yearly" => matches!(reason, Reason::Yearly { .. }),
        "minimum" => matches!(reason, Reason::KeepMin { .. } | Reason::Newest | Reason::NewestProven | Reason::OtherDatabase),
        _ => matches!(reason, Reason::Pinned),
    };
    stand.points.iter().filter(|point| point.reasons.iter().any(by)).count() as f64
}

fn bit(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn seconds(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, |at| at.as_second() as f64)
}

struct Out {
    text: String,
    format: Format,
}

impl Out {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // OpenMetrics names a counter without the ending of its sample.
        let family = if self.format == Format::OpenMetrics { name.strip_suffix("_total").unwrap_or(name) } else { name };
        let _ = writeln!(self.text, "# HELP {family} {help}\n# TYPE {family} {kind}");
    }

    fn each<'a>(&mut self, stands: &[&'a Stand], name: &str, kind: &str, help: &str, values: impl Fn(&'a Stand) -> Vec<(&'static str, &'static str, f64)>) {
        self.family(name, kind, help);
        for stand in stands {
            for (label, word, value) in values(stand) {
                self.sample(name, &[("target", &stand.view.target), (label, word)], value);
            }
        }
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        for (place, (label, value)) in labels.iter().enumerate() {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{}{label}=\"{escaped}\"", if place == 0 { '{' } else { ',' });
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = match value {
            value if value.is_nan() => writeln!(self.text, " NaN"),
            value if value.is_infinite() => writeln!(self.text, " {}Inf", if value > 0.0 { '+' } else { '-' }),
            value => writeln!(self.text, " {value}"),
        };
    }

    fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}
