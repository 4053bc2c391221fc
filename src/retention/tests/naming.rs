//! Tables of cases of what speaks against deleting a backup by its name.

use super::*;

/// Each line is a backup, then `=>` and the words of what speaks against deleting it by name.
#[track_caller]
fn check_objections(policy: &Policy, now: &str, lines: &[&str]) {
    let (backups, expected): (Vec<&str>, Vec<&str>) = lines.iter().map(|line| line.split_once("=>").expect("a case has an arrow")).unzip();
    let backups: Vec<_> = backups.iter().map(|line| backup(line)).collect();
    let found: BTreeMap<String, Vec<Reason>> = objections(&backups, policy, at(now), &Facts::default()).into_iter().collect();
    for (backup, expected) in backups.iter().zip(expected) {
        let words: Vec<String> = found[&backup.id].iter().map(|r| serde_json::to_value(r).unwrap()["rule"].as_str().unwrap().to_owned()).collect();
        assert_eq!(words.join(" "), expected.trim(), "'{}' in {found:#?}", backup.id);
    }
}

#[test]
fn what_is_named_goes_unless_a_floor_keeps_it() {
    let generous = policy(3650, [99; 4], 2);
    check_objections(
        &generous,
        "2026-01-31",
        &[
            "2026-01-30 suspicious 0 =>",
            "2026-01-29 sealed 900 => newest",
            "2026-01-28 incomplete =>",
            "2026-01-27 proven 900 => newest-proven keep-min before-collapse",
            "2026-01-26 proven 900 => keep-min",
            "2026-01-25 proven 900 =>",
            "2026-01-24 proven pinned => pinned",
            "2026-01-23 odd =>",
            "2026-01-22 unread => suspended",
            "2026-01-21 bad =>",
        ],
    );
    check_objections(&generous, "2026-01-31", &["2026-01-30 bad => suspended", "2026-01-29 odd => suspended"]);
}

#[test]
fn no_clock_takes_a_floor_away_from_what_is_named() {
    let lines = ["2026-03-02 proven", "2026-03-01 proven", "2026-01-02 proven", "2026-01-01 proven"];
    let check = |now: &str, expected: [&str; 4]| {
        let lines: Vec<String> = lines.iter().zip(expected).map(|(line, expected)| format!("{line} => {expected}")).collect();
        check_objections(&policy(0, [0; 4], 1), now, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    };
    check("2026-04-01", ["newest newest-proven keep-min", "", "", ""]);
    // The clock is behind, or was ahead when the later ones were made: nobody knows, so neither side gives up its newest.
    check("2026-02-01", ["in-future newest newest-proven keep-min", "in-future", "newest newest-proven keep-min", ""]);
    check("2025-01-01", ["in-future suspended newest newest-proven keep-min", "in-future suspended", "in-future suspended", "in-future suspended"]);
}
