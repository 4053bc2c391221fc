//! Tables of cases of lost rows: what they suspend, what they keep, and what somebody accepts.

use super::*;

/// A backup whose run found that a table was emptied since another one, with backups from before losses.
fn shrunk(line: &str, against: &str, before: &[&str]) -> Candidate {
    let before = before.iter().map(|id| (*id).to_owned()).collect();
    Candidate { loss: Some(Loss { against: against.into(), emptied: u64::from(!against.is_empty()), before, ..Loss::default() }), ..backup(line) }
}

#[test]
fn a_table_that_lost_rows_suspends_and_what_is_from_before_stays() {
    let mut backups = ["2026-01-05 proven 9000", "2026-01-06 proven 9000", "2026-01-07 proven 9000"].map(backup).to_vec();
    backups.push(shrunk("2026-01-08 proven 9100", "2026-01-07", &["2026-01-07"]));
    let plan_now = |backups: &[Candidate], facts: &Facts| plan(backups, &policy(0, [0; 4], 1), at("2030-01-01"), facts);
    let found = plan_now(&backups, &Facts::default()).suspended.unwrap();
    assert_eq!(found.to_string(), "suspicious: 1 table was emptied between '2026-01-07' and '2026-01-08'");
    assert_eq!(found.shrunken(), Some("2026-01-08"));
    // The next one agrees: the rows are still gone, and it is no news.
    backups.push(shrunk("2026-01-09 proven 9100", "", &["2026-01-07"]));
    let plan = plan_now(&backups, &Facts::default());
    let kept = |plan: &Plan| plan.kept().map(|decision| decision.id.clone()).collect::<Vec<_>>();
    assert_eq!((plan.suspended.clone(), kept(&plan)), (None, vec!["2026-01-09".to_owned(), "2026-01-07".to_owned()]));
    assert_eq!(shrunken(&backups, at("2030-01-01"), &Facts::default()), Some("2026-01-09".to_owned()));
    // They came back; or somebody says that nobody misses them.
    let accepted = Facts { accepted: Some(at("2026-01-09")), ..Facts::default() };
    assert_eq!(kept(&plan_now(&backups, &accepted)), ["2026-01-09"]);
    backups.push(backup("2026-01-10 proven 9600"));
    assert_eq!(kept(&plan_now(&backups, &Facts::default())), ["2026-01-10"]);
    assert_eq!(shrunken(&backups, at("2030-01-01"), &Facts::default()), None);
}

#[test]
fn a_clean_up_that_nobody_proves_is_accepted_for_good() {
    let lines = ["2026-01-05 proven 5000", "2026-01-06 proven 5000", "2026-01-07 sealed 10", "2026-01-08 sealed 10"];
    let mut backups = lines.map(backup).to_vec();
    let plan_now = |backups: &[Candidate], facts: &Facts| plan(backups, &policy(0, [0; 4], 1), at("2030-01-01"), facts);
    let suspended = plan_now(&backups, &Facts::default()).suspended;
    assert!(matches!(suspended, Some(Suspension::RowsCollapsed { .. })), "{suspended:?}");
    assert_eq!(shrunken(&backups, at("2030-01-01"), &Facts::default()), Some("2026-01-08".to_owned()));
    let accepted = Facts { accepted: Some(at("2026-01-08")), ..Facts::default() };
    let plan = plan_now(&backups, &accepted);
    let kept: Vec<&str> = plan.kept().map(|decision| decision.id.as_str()).collect();
    // The floors are as they were: drills have proven nothing newer.
    assert_eq!((plan.suspended.clone(), kept), (None, vec!["2026-01-08", "2026-01-06"]));
    // Weeks later the one that was accepted has left, and drills still fail.
    backups = ["2026-01-06 proven 5000", "2026-02-01 sealed 12", "2026-02-02 sealed 12"].map(backup).to_vec();
    assert_eq!(plan_now(&backups, &accepted).suspended, None);
    // A new loss is one again; and what was accepted by a clock that ran ahead accepts nothing.
    backups.extend(["2026-02-03 sealed 5000", "2026-02-04 sealed 0"].map(backup));
    assert!(plan_now(&backups, &accepted).suspended.is_some());
    let ahead = Facts { accepted: Some(at("2031-01-01")), ..Facts::default() };
    assert!(plan_now(&backups, &ahead).suspended.is_some());
}
