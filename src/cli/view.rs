//! A backup as `list`, `show` and `verify` speak of it. It owns the words and colours of standings; it leaves what they mean to `prune` and `retention`.
//! Invariant: the words are those of `docs/` and of `kluis list --help`.

use super::output::{GREEN, RED, YELLOW};
use crate::exception::{self, Exceptions};
use crate::prune::candidate;
use crate::repository::list::{AHEAD, Backup};
use crate::retention::Standing;
use crate::units::cut;
use clap::builder::styling::Style;
use jiff::Timestamp;
use serde::Serialize;

/// A backup in JSON, as in `kluis list --json`. Numbers are null where its manifest is not understood.
#[derive(Debug, Serialize)]
pub struct Brief {
    /// Its name.
    pub id: String,
    /// When its run began.
    pub started: Timestamp,
    /// `sealed`, `read`, `proven`, `bad` or `not-understood`.
    pub standing: Standing,
    /// Whether the policy must keep it.
    pub pinned: bool,
    /// Tables.
    pub tables: Option<u64>,
    /// Rows.
    pub rows: Option<u64>,
    /// Size on disk, in bytes.
    pub bytes: Option<u64>,
    /// Why it is bad or not understood.
    pub remark: Option<String>,
    /// What a restore of it does not bring back.
    #[serde(flatten)]
    pub exceptions: Exceptions,
}

impl Brief {
    /// Of a backup.
    pub fn of(backup: &Backup) -> Brief {
        let manifest = backup.manifest.as_ref().ok();
        Brief {
            id: backup.id.clone(),
            started: backup.at(),
            standing: candidate(backup).standing,
            pinned: backup.pinned,
            tables: manifest.map(|manifest| manifest.totals.tables),
            rows: manifest.map(|manifest| manifest.rows()),
            bytes: manifest.map(|manifest| manifest.bytes()),
            remark: remark(backup),
            exceptions: backup.excepted(),
        }
    }
}

fn remark(backup: &Backup) -> Option<String> {
    match (&backup.manifest, &backup.proof) {
        (Err(why), _) => Some(why.clone()),
        _ if backup.incomplete.is_some() => backup.incomplete.clone(),
        (_, Err(why)) => Some(format!("its proof cannot be read: {why}")),
        (_, Ok(Some(proof))) if backup.is_bad() => {
            let first = proof.findings.first().map_or_else(String::new, |finding| cut(finding, 300));
            let more = if proof.findings.len() > 1 { format!(" (and {} more)", proof.findings.len() - 1) } else { String::new() };
            Some(format!("{first}{more}"))
        }
        _ if backup.ahead => Some(AHEAD.to_owned()),
        _ => backup.suspicious.clone(),
    }
}

/// A standing in words.
pub fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::NotUnderstood => "not understood",
        Standing::Incomplete => "incomplete",
        Standing::Bad => "bad",
        Standing::Suspicious => "suspicious",
        Standing::Sealed => "sealed",
        Standing::Read => "read",
        Standing::Proven => "proven",
    }
}

/// A standing in words, with how many things it excepts: `proven, except 2`.
pub fn verdict(standing: Standing, exceptions: &Exceptions) -> String {
    exception::verdict(word(standing), exceptions.count())
}

/// A standing's colour.
pub fn style(standing: Standing) -> Style {
    match standing {
        Standing::NotUnderstood | Standing::Suspicious => YELLOW,
        Standing::Bad | Standing::Incomplete => RED,
        Standing::Sealed => Style::new(),
        Standing::Read | Standing::Proven => GREEN,
    }
}
