//! How far a backup has been proven (`proof.json`), as data.
//! It owns that format; how proofs change is left to `crate::proof`, and reading and writing files to `repository`.
//! Invariant: a proof of a newer format is refused by name, never half understood.

use super::{located, render};
use crate::exception::{self, Class, Exception, Exceptions};
use crate::finding::Cause;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The format of proofs. It did not change with that of manifests: earlier versions of Kluis read it.
pub const PROOF_FORMAT: u32 = 1;

/// The word for `verify` in a proof.
pub const BY_VERIFY: &str = "verify";

/// The word for a drill in a proof.
pub const BY_DRILL: &str = "drill";

/// How far a backup has been proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// Hashes are written.
    Sealed,
    /// Decoded back end to end; the counts match.
    Read,
    /// Restored into a throwaway server; every table's rows and digest are equal.
    Restored,
    /// The operator's own assertions pass too.
    Asserted,
}

/// What the latest proof says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// What the rung says is so.
    Good,
    /// The backup is wrong.
    Bad,
    /// It could not be judged on this machine.
    CannotJudge,
}

/// How far a backup has been proven, when and how. Replaced atomically.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// The version of this format.
    pub format: u32,
    /// The version of Kluis that wrote it.
    pub kluis: String,
    /// The highest rung reached.
    pub rung: Rung,
    /// What the latest attempt said.
    pub verdict: Verdict,
    /// When the latest attempt ended.
    pub at: Timestamp,
    /// When the rung was reached.
    pub reached: Timestamp,
    /// What made the latest attempt: `verify` or `drill`.
    #[serde(default)]
    pub by: String,
    /// What was found, in words without a row value.
    #[serde(default)]
    pub findings: Vec<String>,
    /// Why that matters, each cause once: what a program decides by. Proofs of earlier versions have none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub causes: BTreeSet<Cause>,
    /// What a restore of this backup does not bring back, since no dump holds it. A backup with exceptions counts as proven.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,
    /// How many more there are of each class than `exceptions` lists.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exceptions_unlisted: BTreeMap<Class, u64>,
    /// The drill's facts, once there was a drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<DrillFacts>,
}

/// What a drill did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrillFacts {
    /// The throwaway server's version.
    pub server: String,
    /// Tables compared.
    pub tables: u64,
    /// Rows compared.
    pub rows: u64,
    /// Large objects compared.
    pub large_objects: u64,
    /// The operator's assertions that passed.
    pub assertions: u64,
    /// Whether the catalogue was compared with the backup's inventory. Backups of the first versions have none.
    #[serde(default)]
    pub inventory: bool,
    /// What nothing could check: indexes with functions that are not built in, of another access method than btree or for want of amcheck; and generated
    /// columns of tables that could not be queried at the source without running somebody's function.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unchecked: Vec<String>,
    /// How long the restore itself took, in milliseconds.
    pub restore_ms: u64,
    /// How long the whole drill took, in milliseconds.
    pub total_ms: u64,
    /// How far the throwaway server was kept from the rest of the machine. Drills of earlier versions were not.
    #[serde(default)]
    pub sandbox: Sandbox,
}

/// How far the operating system confined the throwaway server of a drill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// By all that there is: files, programs, connections, signals.
    Full,
    /// By what this kernel has.
    Partial,
    /// Not at all.
    #[default]
    None,
}

impl Proof {
    /// Reads a proof. The error says in one line what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Proof, String> {
        let proof: Proof = serde_json::from_slice(text).map_err(|error| format!("not a proof: {}", located(&error)))?;
        if proof.format != PROOF_FORMAT {
            return Err(format!("format {} is not known to this version of kluis, which reads format {PROOF_FORMAT}", proof.format));
        }
        Ok(proof)
    }

    /// Whether this text says that it is a proof of a later version's: what it knows may not be written over.
    pub fn is_newer(text: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Only {
            format: u32,
        }
        serde_json::from_slice::<Only>(text).is_ok_and(|only| only.format > PROOF_FORMAT)
    }

    /// The proof as it is written.
    pub fn render(&self) -> Vec<u8> {
        render(self)
    }

    /// How the backup stands, in one word: `bad`, `sealed`, `read`, `proven` or `asserted`.
    pub fn word(&self) -> &'static str {
        match (self.verdict, self.rung) {
            (Verdict::Bad, _) => "bad",
            (_, Rung::Sealed) => "sealed",
            (_, Rung::Read) => "read",
            (_, Rung::Restored) => "proven",
            (_, Rung::Asserted) => "asserted",
        }
    }

    /// Whether the backup is proven, except for what no dump brings back.
    pub fn has_exceptions(&self) -> bool {
        self.proven() && !self.exceptions.is_empty()
    }

    /// The same with what it excepts: `proven, except 2`.
    pub fn verdict(&self) -> String {
        exception::verdict(self.word(), self.excepted().count())
    }

    /// What a restore does not bring back; nothing where the backup is not proven, for then nobody knows.
    pub fn excepted(&self) -> Exceptions {
        if self.proven() { Exceptions { listed: self.exceptions.clone(), unlisted: self.exceptions_unlisted.clone() } } else { Exceptions::default() }
    }

    /// When a drill last gave a verdict, whatever came after it; nothing where none has.
    pub fn judged(&self) -> Option<Timestamp> {
        match (self.verdict, self.rung >= Rung::Restored) {
            (Verdict::Bad, _) if self.by == BY_DRILL => Some(self.at),
            (_, true) => Some(self.reached),
            (_, false) => None,
        }
    }

    /// Whether the backup was restored and found equal, and nothing since says otherwise.
    pub fn proven(&self) -> bool {
        self.verdict != Verdict::Bad && self.rung >= Rung::Restored
    }
}
