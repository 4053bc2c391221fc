//! How a backup's tables differ from those of trusted backups before it: in numbers for `manifest.json`, and table by table for the history.
//! It owns these two forms; it leaves finding the differences to `shrinkage`, and what follows from them to `retention`.
//! Invariant: what `manifest.json` gets names no table.

use crate::units::{cut, format_count};
use serde::{Deserialize, Serialize};

/// The longest name of a table that is told, in characters.
const LONGEST: usize = 200;

/// How the tables differ, in numbers. A table is judged with all of its partitions, by the fewest rows that it had in the trusted backups before: what comes
/// and goes by nature is no loss.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The newest of the trusted backups that it was compared with.
    pub against: String,
    /// Tables that this one did not have.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub new: u64,
    /// Tables that held rows and are not there any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gone: u64,
    /// Tables that held rows and are empty.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub emptied: u64,
    /// Tables that hold less than half of their rows.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub halved: u64,
    /// Whether tables go so often here that one which is gone says nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub going_is_usual: bool,
    /// The backups from before losses that have not been made good, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before_losses: Vec<String>,
}

impl Changes {
    /// Tables that are gone, where that says something.
    pub fn lost(&self) -> u64 {
        if self.going_is_usual { 0 } else { self.gone }
    }

    /// Whether tables lost rows in a way that is not usual here.
    pub fn is_suspicious(&self) -> bool {
        self.lost() + self.emptied + self.halved > 0
    }

    /// Whether there is nothing to tell.
    pub fn is_nothing(&self) -> bool {
        self.new + self.gone + self.emptied + self.halved == 0 && self.before_losses.is_empty()
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A table that lost rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Its name, as `schema.name`.
    pub table: String,
    /// Its rows in the newest trusted backup before.
    pub before: u64,
    /// Its rows now; nothing where it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

impl Loss {
    /// In words.
    pub fn describe(&self) -> String {
        let now = match self.after {
            None => "is gone".to_owned(),
            Some(0) => "is empty".to_owned(),
            Some(rows) => format!("holds {}", format_count(rows)),
        };
        let rows = if self.before == 1 { "row" } else { "rows" };
        format!("table {} held {} {rows} and {now}", cut(&self.table, LONGEST), format_count(self.before))
    }
}
