//! "Did you mean": the known word nearest to a mistyped one.
//! It owns the distance and its limits; it leaves the wording to its callers.
//! A guess is made only when it is near: a far-fetched one sends people the wrong way.

/// The candidate nearest to `typed`, if one is near enough. Case does not count.
pub(super) fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Values can be long; words that we know are not.
    if typed.is_empty() || typed.len() > 100 {
        return None;
    }
    let typed: Vec<char> = typed.to_lowercase().chars().collect();
    let limit = (typed.len() / 4).clamp(1, 3);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let letters: Vec<char> = candidate.to_lowercase().chars().collect();
        let mut cost = distance(&typed, &letters);
        // A word that stops early (BACKUP_RETENTION) is a likelier slip than as many wrong letters.
        if typed.len() >= 4 && letters.starts_with(&typed) {
            cost = cost.min(limit);
        }
        if cost <= limit && best.is_none_or(|(least, _)| cost < least) {
            best = Some((cost, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// How many letters must be added, dropped, changed or swapped with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(typed: &str, expected: Option<&str>) {
        let known = ["BACKUP_JOBS", "BACKUP_KEEP_DAILY", "BACKUP_KEEP_MIN", "BACKUP_RETENTION_DAYS", "BACKUP_DIR", "verify-full", "verify-ca", "require"];
        assert_eq!(nearest(typed, known), expected);
    }

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        check("BACKUP_JOB", Some("BACKUP_JOBS"));
        check("BACKUP_JBOS", Some("BACKUP_JOBS"));
        check("backup_jobs", Some("BACKUP_JOBS"));
        check("BACKUP_KEEP_DIALY", Some("BACKUP_KEEP_DAILY"));
        check("BACKUP_RETENTION", Some("BACKUP_RETENTION_DAYS"));
        check("BACKUP_RETENTON_DAY", Some("BACKUP_RETENTION_DAYS"));
        check("BACKUP_DIRECTORY", None);
        check("BACKUP_KEEP", Some("BACKUP_KEEP_DAILY"));
        check("verify_full", Some("verify-full"));
        check("requires", Some("require"));
        check("ssl", None);
        check("", None);
        check(&"x".repeat(5000), None);
    }

    #[test]
    fn the_distance_counts_a_swap_once() {
        let chars = |s: &str| s.chars().collect::<Vec<_>>();
        for (a, b, expected) in [("", "", 0), ("a", "", 1), ("", "abc", 3), ("abc", "acb", 1), ("kitten", "sitting", 3), ("same", "same", 0)] {
            assert_eq!(distance(&chars(a), &chars(b)), expected, "{a} {b}");
        }
    }
}
