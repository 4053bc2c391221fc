//! What PostgreSQL's programs warn of when they end well.
//! It owns which lines are a tool's own warnings, and which of them are no news; it leaves errors to its parent.
//! Invariant: nothing of what the server said is kept, only the tool's own words and names of objects; each warning is one line.

/// Warnings that say nothing new, with what is known instead.
const HARMLESS: &[&str] = &[
    // Rows come before foreign keys, in every restore of ours and in the script.
    "there are circular foreign-key constraints ",
    // Each of them is named, from the catalogue.
    "subscriptions not dumped because current user is not a superuser",
];

/// How many are told, at most.
const MOST: usize = 20;

/// The warnings in what the tool wrote to stderr, as sentences that name it.
pub fn of(tool: &str, stderr: &[u8]) -> Vec<String> {
    let (start, mut found) = (format!("{tool}: warning: "), Vec::new());
    for line in String::from_utf8_lossy(stderr).lines() {
        // What follows the server's own words may be more of them, and they may hold values.
        if ["ERROR:  ", "FATAL:  ", "PANIC:  ", "WARNING:  ", "NOTICE:  "].iter().any(|severity| line.contains(severity)) {
            break;
        }
        let Some(text) = line.strip_prefix(&start).filter(|text| !HARMLESS.iter().any(|known| text.starts_with(known))) else { continue };
        let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(400).collect();
        let told = format!("{tool} warns: {text}");
        if !found.contains(&told) {
            found.push(told);
        }
    }
    if found.len() > MOST {
        let more = found.len() - MOST;
        found.truncate(MOST);
        found.push(format!("{tool} warns of {more} more things"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{MOST, of};

    #[test]
    fn only_the_tools_own_warnings_are_told() {
        let check = |stderr: &str, expected: &[&str]| assert_eq!(of("pg_dump", stderr.as_bytes()), expected, "{stderr}");
        check("", &[]);
        check("pg_dump: warning: typtype of data type \"odd\" appears to be invalid\n", &["pg_dump warns: typtype of data type \"odd\" appears to be invalid"]);
        check("pg_dump: warning: there are circular foreign-key constraints on this table:\npg_dump: detail: t\npg_dump: hint: You might\n", &[]);
        check("pg_dump: warning: subscriptions not dumped because current user is not a superuser\n", &[]);
        check("pg_dump: warning: a\npg_dump: warning: a\npg_dump: warning: \u{1b}b\n", &["pg_dump warns: a", "pg_dump warns: \u{fffd}b"]);
        check("WARNING:  x@example.org\npg_dump: warning: x@example.org\n", &[]);
        check("pg_dump: warning: query failed: ERROR:  x@example.org\n", &[]);
        check("pg_restore: warning: of another tool\npg_dump: last built-in OID is 16383\n", &[]);
        let many: String = (0..50).map(|n| format!("pg_dump: warning: {n}\n")).collect();
        let told = of("pg_dump", many.as_bytes());
        assert_eq!((told.len(), told[MOST].as_str()), (MOST + 1, "pg_dump warns of 30 more things"));
    }
}
