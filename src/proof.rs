//! What an attempt at proving a backup makes of its proof, and recording that.
//! It owns how rungs and verdicts change; it leaves the attempts themselves to `verify` and the drill.
//! Invariant: no rung is ever lowered, and what a drill found to be bad only a drill can clear.

use crate::drill;
use crate::error::{Error, Kind, Result};
use crate::exception::Exceptions;
use crate::finding::{Cause, causes, sentences};
pub use crate::manifest::{BY_DRILL, BY_VERIFY};
use crate::manifest::{PROOF_FORMAT, Proof, Rung, Verdict};
use crate::notes;
use crate::repository::files::read_note;
use crate::repository::list::{Backup, Listing};
use crate::repository::lock::Lock;
use crate::repository::{TargetFolder, names, staging};
use crate::stop::Stop;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// How many findings a proof keeps. The rest would say the same.
const MOST_FINDINGS: usize = 100;

/// The proof after a verification that found this to be wrong; nothing: all is well.
///
/// A success raises the rung to `read`, and clears an earlier bad verdict of a verification: every byte is again what it was.
/// It does not clear that of a drill, which has seen more.
pub fn after_verify(old: Option<Proof>, findings: &[String], now: Timestamp) -> Proof {
    let drilled_bad = old.as_ref().is_some_and(|old| old.verdict == Verdict::Bad && old.by == BY_DRILL);
    if let (Some(old), true, true) = (&old, drilled_bad, findings.is_empty()) {
        return old.clone();
    }
    let (rung, reached, drill, earlier, exceptions, exceptions_unlisted) = match old {
        Some(old) => (old.rung, old.reached, old.drill, (old.findings, old.causes), old.exceptions, old.exceptions_unlisted),
        None => (Rung::Sealed, now, None, Default::default(), Vec::new(), BTreeMap::new()),
    };
    let mut proof = Proof {
        format: PROOF_FORMAT,
        kluis: env!("CARGO_PKG_VERSION").to_owned(),
        rung,
        verdict: Verdict::Good,
        at: now,
        reached,
        by: BY_VERIFY.to_owned(),
        findings: Vec::new(),
        causes: BTreeSet::new(),
        exceptions,
        exceptions_unlisted,
        drill,
    };
    if findings.is_empty() {
        if proof.rung < Rung::Read {
            (proof.rung, proof.reached) = (Rung::Read, now);
        }
        return proof;
    }
    proof.verdict = Verdict::Bad;
    if drilled_bad {
        // The drill's word stands, and so does who gave it.
        proof.by = BY_DRILL.to_owned();
        (proof.findings, proof.causes) = earlier;
    }
    proof.causes.insert(Cause::Files);
    for finding in findings {
        if !proof.findings.contains(finding) {
            proof.findings.push(finding.clone());
        }
    }
    proof.findings.truncate(MOST_FINDINGS);
    proof
}

/// The proof after a drill said this.
pub fn after_drill(old: Option<Proof>, verdict: &drill::Verdict, now: Timestamp) -> Proof {
    let fresh = Proof {
        format: PROOF_FORMAT,
        kluis: env!("CARGO_PKG_VERSION").to_owned(),
        rung: Rung::Sealed,
        verdict: Verdict::Good,
        at: now,
        reached: now,
        by: BY_DRILL.to_owned(),
        findings: Vec::new(),
        causes: BTreeSet::new(),
        exceptions: Vec::new(),
        exceptions_unlisted: BTreeMap::new(),
        drill: None,
    };
    let known_bad = old.as_ref().is_some_and(|old| old.verdict == Verdict::Bad);
    match verdict {
        drill::Verdict::Proven { asserted, facts, exceptions } => {
            let Exceptions { listed, unlisted } = Exceptions::of(exceptions);
            Proof {
                rung: if *asserted { Rung::Asserted } else { Rung::Restored },
                drill: Some(facts.clone()),
                exceptions: listed,
                exceptions_unlisted: unlisted,
                ..fresh
            }
        }
        drill::Verdict::Bad(findings) => Proof {
            verdict: Verdict::Bad,
            at: now,
            by: BY_DRILL.to_owned(),
            findings: sentences(&findings[..findings.len().min(MOST_FINDINGS)]),
            causes: causes(findings),
            ..old.unwrap_or(fresh)
        },
        // Not to be able to judge changes nothing of what is known, least of all that a backup is bad.
        drill::Verdict::CannotJudge(_) if known_bad => old.unwrap_or(fresh),
        drill::Verdict::CannotJudge(findings) => {
            let (findings, causes) = (sentences(findings), causes(findings));
            Proof { verdict: Verdict::CannotJudge, at: now, by: BY_DRILL.to_owned(), findings, causes, ..old.unwrap_or(fresh) }
        }
    }
}

/// What is known of a backup before a new attempt. A proof that says nothing any more (an empty file, a damaged one) is no reason to be without a new one.
/// Fails where it could not be read, and may say anything; and where it is of a newer version.
pub fn known(backup: &Backup) -> Result<Option<Proof>> {
    match &backup.proof {
        Err(why) if backup.unread || backup.newer_proof => Err(Error::new(Kind::Storage, format!("its proof cannot be read: {why}"))),
        proof => Ok(proof.clone().ok().flatten()),
    }
}

/// Records what a drill said of the backup in `folder`, whose proof may have changed since it was read. Waits for the lock for so long.
pub fn record_drill(target: &TargetFolder, folder: &Path, verdict: &drill::Verdict, patience: Duration, stop: &Stop) -> Result<()> {
    let lock = Lock::take(target, patience, stop)?;
    let backup = Backup::read(folder.to_owned());
    let old = known(&backup)?;
    backup.understood()?;
    record(target, &backup, &after_drill(old, verdict, Timestamp::now()), &lock)
}

/// Attempts at proving a backup that came to no verdict: they were killed, ran out of time, or could not judge. So whoever tries again knows how long to wait, also
/// after a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// How many there were.
    pub count: u32,
    /// When the last one began.
    pub last: Option<Timestamp>,
}

impl Attempt {
    /// The attempts at this backup so far. What cannot be read counts as none.
    pub fn so_far(backup: &Backup) -> Attempt {
        read_note(&backup.path.join(names::ATTEMPTS), 4096).unwrap_or_default()
    }

    /// Notes that one more begins: before it does, so that it counts where it is killed.
    pub fn begin(self, target: &TargetFolder, backup: &Backup, lock: &Lock) -> Result<()> {
        Attempt { count: self.count.saturating_add(1), last: Some(Timestamp::now()) }.note(target, backup, lock)
    }

    /// Notes these as all that there were: it was somebody's wish that the next one ended, which therefore says nothing.
    pub fn note(self, target: &TargetFolder, backup: &Backup, lock: &Lock) -> Result<()> {
        if self.count == 0 {
            return staging::remove_annotation(target, &backup.id, names::ATTEMPTS, lock);
        }
        let text = serde_json::to_vec(&self).expect("plain data always has a JSON form");
        staging::annotate(target, &backup.id, names::ATTEMPTS, &text, lock)
    }
}

/// Notes that a drill of its own begins, outside of a run, and returns the attempts before it. Fails where a run is in progress, which will prove a newer backup;
/// what cannot be noted is tried all the same.
pub fn begin_drill(target: &TargetFolder, backup: &Backup, stop: &Stop) -> Result<Attempt> {
    let lock = Lock::take(target, Duration::ZERO, stop)?;
    let before = Attempt::so_far(backup);
    let _ = before.begin(target, backup, &lock);
    Ok(before)
}

/// Notes that such a drill was interrupted. What cannot be noted counts as an attempt.
pub fn undo_drill(target: &TargetFolder, backup: &Backup, before: Attempt) {
    let _ = Lock::take(target, Duration::ZERO, &Stop::new()).and_then(|lock| before.note(target, backup, &lock));
}

/// Records a proof with its backup: `proof.json` first, which alone counts; then the notes and the link `latest`, which follow from it.
pub fn record(target: &TargetFolder, backup: &Backup, proof: &Proof, lock: &Lock) -> Result<()> {
    let id = &backup.id;
    staging::annotate(target, id, names::PROOF, &proof.render(), lock)?;
    let notes = match backup.whole() {
        Ok(manifest) => notes::restore_notes(manifest, Some(proof)),
        Err(_) => notes::without_contents(backup.understood()?, proof),
    };
    staging::annotate(target, id, names::RESTORE, notes.as_bytes(), lock)?;
    let listing = Listing::read(target)?;
    staging::point_latest(target, listing.latest().map(|backup| backup.id.as_str()), lock)?;
    if proof.proven() || proof.verdict == Verdict::Bad {
        staging::remove_annotation(target, id, names::ATTEMPTS, lock)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Finding;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn proof(rung: Rung, verdict: Verdict, by: &str) -> Proof {
        Proof {
            format: PROOF_FORMAT,
            kluis: "0".into(),
            rung,
            verdict,
            at: at(1),
            reached: at(1),
            by: by.into(),
            findings: vec!["old".into()],
            causes: BTreeSet::from([Cause::Rows]),
            exceptions: Vec::new(),
            exceptions_unlisted: BTreeMap::new(),
            drill: None,
        }
    }

    #[track_caller]
    fn check(old: Option<Proof>, findings: &[&str], expected: (Rung, Verdict, &str, i64, &[&str])) {
        let findings: Vec<String> = findings.iter().map(|text| (*text).to_owned()).collect();
        let new = after_verify(old, &findings, at(9));
        let found: Vec<&str> = new.findings.iter().map(String::as_str).collect();
        assert_eq!((new.rung, new.verdict, new.by.as_str(), new.reached.as_second(), found.as_slice()), expected);
    }

    #[test]
    fn a_success_raises_to_read_and_lowers_nothing() {
        use Rung::*;
        use Verdict::*;
        check(None, &[], (Read, Good, "verify", 9, &[]));
        check(Some(proof(Sealed, Good, "verify")), &[], (Read, Good, "verify", 9, &[]));
        check(Some(proof(Read, Good, "verify")), &[], (Read, Good, "verify", 1, &[]));
        check(Some(proof(Restored, Good, "drill")), &[], (Restored, Good, "verify", 1, &[]));
        check(Some(proof(Asserted, Good, "drill")), &[], (Asserted, Good, "verify", 1, &[]));
        check(Some(proof(Sealed, CannotJudge, "drill")), &[], (Read, Good, "verify", 9, &[]));
    }

    #[test]
    fn a_success_clears_what_a_verification_found_and_not_what_a_drill_found() {
        use Rung::*;
        use Verdict::*;
        check(Some(proof(Sealed, Bad, "verify")), &[], (Read, Good, "verify", 9, &[]));
        check(Some(proof(Restored, Bad, "verify")), &[], (Restored, Good, "verify", 1, &[]));
        check(Some(proof(Read, Bad, "drill")), &[], (Read, Bad, "drill", 1, &["old"]));
    }

    #[test]
    fn a_failure_is_bad_whatever_was_before() {
        use Rung::*;
        use Verdict::*;
        check(None, &["x"], (Sealed, Bad, "verify", 9, &["x"]));
        check(Some(proof(Asserted, Good, "drill")), &["x", "x"], (Asserted, Bad, "verify", 1, &["x"]));
        check(Some(proof(Read, Bad, "verify")), &["x"], (Read, Bad, "verify", 1, &["x"]));
        check(Some(proof(Read, Bad, "drill")), &["x"], (Read, Bad, "drill", 1, &["old", "x"]));
        let many: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        assert_eq!(after_verify(None, &many, at(9)).findings.len(), MOST_FINDINGS);
    }

    #[test]
    fn a_drill_raises_lowers_and_abstains() {
        let now = Timestamp::UNIX_EPOCH;
        let facts = crate::manifest::DrillFacts {
            server: "16.1".into(),
            tables: 1,
            rows: 2,
            large_objects: 0,
            assertions: 0,
            inventory: false,
            unchecked: Vec::new(),
            restore_ms: 1,
            total_ms: 2,
            sandbox: Default::default(),
        };
        let (proven, bad, unknown) = (
            drill::Verdict::Proven { asserted: false, facts, exceptions: Vec::new() },
            drill::Verdict::Bad(vec![Finding::new(Cause::Rows, "x")]),
            drill::Verdict::CannotJudge(vec![Finding::new(Cause::NoRoom, "y")]),
        );
        let restored = after_drill(None, &proven, now);
        assert!(restored.proven() && restored.rung == Rung::Restored);
        let still = after_drill(Some(restored.clone()), &unknown, now);
        assert!(still.proven() && still.verdict == Verdict::CannotJudge && still.drill.is_some());
        assert_eq!(still.causes, BTreeSet::from([Cause::NoRoom]));
        assert!(!after_drill(None, &unknown, now).proven());
        let lost = after_drill(Some(restored), &bad, now);
        assert_eq!((lost.verdict, &lost.causes), (Verdict::Bad, &BTreeSet::from([Cause::Rows])));
        assert_eq!(after_verify(Some(lost.clone()), &["z".to_owned()], now).causes, BTreeSet::from([Cause::Files, Cause::Rows]));
        assert_eq!(after_drill(Some(lost.clone()), &unknown, now).verdict, Verdict::Bad);
        assert!(after_drill(Some(lost), &proven, now).proven());
    }
}
