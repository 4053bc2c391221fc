//! Wildcards: `[..]` within a line, `[...]` for lines. Pure.

/// Whether the lines found are those expected.
pub fn matches(expected: &[String], found: &[String]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((any, rest)) if any == "[...]" => (0..=found.len()).any(|skipped| matches(rest, &found[skipped..])),
        Some((line, rest)) => found.split_first().is_some_and(|(first, others)| line_matches(line, first) && matches(rest, others)),
    }
}

/// Whether one line is the expected one. Spaces at its end do not count: an editor would take them away.
fn line_matches(expected: &str, found: &str) -> bool {
    let (mut rest, mut parts) = (found.trim_end(), expected.trim_end().split("[..]"));
    let first = parts.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(place) = rest.find(part) else { return false };
        rest = &rest[place + part.len()..];
    }
    rest.ends_with(last)
}

/// The lines found, with the patterns of the old expectation where one fits the line.
pub fn keep_patterns(old: &[String], found: &[String]) -> Vec<String> {
    if matches(old, found) {
        return old.to_vec();
    }
    let pattern = |line: &String| old.iter().find(|old| old.contains("[..]") && line_matches(old, line)).unwrap_or(line).clone();
    found.iter().map(pattern).collect()
}

#[test]
fn wildcards() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<String>>();
    let check = |expected: &str, found: &str, result: bool| assert_eq!(matches(&lines(expected), &lines(found)), result, "{expected} / {found}");
    check("a\nb", "a\nb", true);
    check("a\nb", "a", false);
    check("a[..]c", "abc", true);
    check("a[..]c", "ac", true);
    check("a[..]c", "abcd", false);
    check("[..]b[..]b", "xbyb", true);
    check("[..]b[..]b", "xb", false);
    check("a\n[...]\nz", "a\nz", true);
    check("a\n[...]\nz", "a\nb\nc\nz", true);
    check("a\n[...]", "b", false);
    check("a", "a  ", true);
    assert_eq!(keep_patterns(&lines("took [..] ms\nold"), &lines("took 5 ms\nnew")), lines("took [..] ms\nnew"));
}
