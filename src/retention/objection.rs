//! What stands against deleting a backup that somebody names: the floors, a pin, and that nobody knows what would be lost.
//! It owns which rules speak against that; it leaves asking, and going past them, to whoever deletes.
//! Invariant: what an age or a period keeps may go by name, what is kept whatever its age may not; and no clock takes a floor away.

use super::{Candidate, Facts, Policy, Reason, Rules, Suspension};
use jiff::Timestamp;

/// What speaks against deleting each of these backups by its name: their names, and the rules; the newest first. A backup against which nothing speaks has no rule.
///
/// The floors are held twice: against the backups that are dated before `now`, and against all of them. Of two clocks, nobody knows which one was wrong.
pub fn objections(backups: &[Candidate], policy: &Policy, now: Timestamp, facts: &Facts) -> Vec<(String, Vec<Reason>)> {
    let latest = backups.iter().map(|backup| backup.at).max().unwrap_or(now).max(now);
    let mut found = against(backups, policy, now, facts);
    for ((_, own), (_, other)) in found.iter_mut().zip(against(backups, policy, latest, facts)) {
        own.extend(other);
        let all = std::mem::take(own);
        all.into_iter().for_each(|reason| {
            if !own.contains(&reason) {
                own.push(reason)
            }
        });
    }
    found
}

fn against(backups: &[Candidate], policy: &Policy, now: Timestamp, facts: &Facts) -> Vec<(String, Vec<Reason>)> {
    let mut rules = Rules::new(backups, now);
    rules.each_for_itself(policy, now);
    rules.floors(policy.keep_min.max(1), facts);
    rules.collapse(now, facts);
    rules.losses(now, facts);
    let nothing_good = rules.good.is_empty();
    let speaks = |backup: &Candidate, reason: &Reason| match reason {
        Reason::Pinned
        | Reason::InFuture { .. }
        | Reason::NewestProven
        | Reason::Newest
        | Reason::KeepMin { .. }
        | Reason::BeforeCollapse { .. }
        | Reason::BeforeLoss
        | Reason::OtherDatabase => true,
        // Whoever names it knows what it is. What the volume does not let us read may be the best there is.
        Reason::NotUnderstood => backup.unread,
        _ => false,
    };
    let named = |(backup, reasons): (&&Candidate, Vec<Reason>)| {
        let mut reasons: Vec<Reason> = reasons.into_iter().filter(|reason| speaks(backup, reason)).collect();
        for reason in &mut reasons {
            if *reason == Reason::NotUnderstood {
                *reason = Reason::Suspended { why: Suspension::Unreadable { id: backup.id.clone() } };
            }
        }
        if nothing_good {
            reasons.push(Reason::Suspended { why: Suspension::NothingGood });
        }
        (backup.id.clone(), reasons)
    };
    rules.all.iter().zip(rules.reasons).map(named).collect()
}
