//! What pg_restore could not bring back, read from what it says while it goes on.
//! It owns taking that text apart, entry by entry; what of a message may be shown is its parent's, what follows from a failure the restore's.
//! Invariant: every entry that one process complains about is in the answer. Several write in the middle of each other's lines: then [`all_heard`] is
//! how to know.

use super::{clean, complaint};
use crate::postgres::fault::Fault;

/// An entry of an archive that pg_restore could not bring back, or not with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its number in the archive.
    pub entry: u32,
    /// What was said, as far as it may be shown.
    pub why: String,
    /// What that says of the machine.
    pub fault: Option<Fault>,
    /// How the commands begin that failed: never shown, they may hold anything. pg_restore cuts them at 127 bytes.
    pub commands: Vec<String>,
}

/// How a complaint about an entry begins.
pub(super) const FROM: &str = "pg_restore: from TOC entry ";

/// Which entries failed, by what pg_restore said while it went on (pg_backup_archiver.c, `warn_or_exit_horribly`).
pub(super) fn failed_entries(stderr: &str) -> Vec<Failed> {
    let (mut failed, mut entry, mut said) = (Vec::<Failed>::new(), None, String::new());
    // Two processes that talk at once: what one says may stand behind the other's entry.
    let about_rows = stderr.lines().filter_map(|line| line.strip_prefix(FROM)).any(is_about_rows);
    let clean = |said: &str| if about_rows { clean(&format!("{FROM}0; 0 0 TABLE DATA\n{said}")) } else { clean(said) };
    let mut close = |entry: Option<u32>, said: &mut String| {
        if let Some(entry) = entry {
            failed.push(Failed { entry, why: clean(said), fault: complaint(said), commands: commands(said) });
        }
        said.clear();
    };
    for line in stderr.lines() {
        if let Some(number) = line.strip_prefix(FROM).and_then(|rest| rest.split(';').next()?.parse().ok()) {
            close(entry, &mut said);
            entry = Some(number);
        }
        said.push_str(line);
        said.push('\n');
    }
    close(entry, &mut said);
    failed
}

/// Whether as many errors were found as pg_restore counted, where it says how many that were.
pub(super) fn all_heard(stderr: &str) -> bool {
    let counted = stderr.lines().rev().find_map(|line| line.split_once("errors ignored on restore: ")?.1.trim().parse::<usize>().ok());
    let heard = stderr.lines().scan(false, |about, line| {
        *about |= line.starts_with(FROM);
        Some(*about && line.starts_with("pg_restore: error: "))
    });
    counted.is_none_or(|counted| heard.filter(|heard| *heard).count() >= counted)
}

fn commands(said: &str) -> Vec<String> {
    let (mut found, mut open) = (Vec::<String>::new(), false);
    for line in said.lines() {
        if let Some(command) = line.strip_prefix("Command was: ") {
            found.push(command.to_owned());
            open = true;
        } else if line.starts_with("pg_restore: ") {
            open = false;
        } else if let (true, Some(last)) = (open, found.last_mut()) {
            last.push('\n');
            last.push_str(line);
        }
    }
    found.iter().map(|command| command.trim_end().to_owned()).collect()
}

/// Whether what the server says about an entry may hold a row's value: it carries rows, is made of them, or checks them.
pub(super) fn is_about_rows(listed: &str) -> bool {
    const KINDS: &[&str] = &[
        "TABLE DATA",
        "TABLE ATTACH",
        "BLOB",
        "LARGE OBJECT",
        "SEQUENCE SET",
        "INDEX",
        "CONSTRAINT",
        "CHECK CONSTRAINT",
        "FK CONSTRAINT",
        "MATERIALIZED VIEW DATA",
        "STATISTICS DATA",
    ];
    // `215; 1259 16389 TABLE t bob`.
    let kind = listed.splitn(4, ' ').nth(3).unwrap_or_default();
    kind.is_empty() || KINDS.iter().any(|known| kind.starts_with(known))
}

/// Whether a message quotes a value, as PostgreSQL does behind a colon: `invalid input syntax for type integer: "…"`. Names stand in the sentence.
pub(super) fn quotes_a_value(message: &str) -> bool {
    message.contains(": \"") || message.contains("0x") || message.contains("=(")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_their_commands() {
        let text = "pg_restore: while PROCESSING TOC:\npg_restore: from TOC entry 7; 1259 16389 TABLE t o\npg_restore: error: could not execute query: ERROR:  role \"bob\" does not exist\nCommand was: ALTER TABLE public.\"a\nb\" OWNER TO bob;\n\n\npg_restore: creating COMMENT \"EXTENSION hstore\"\npg_restore: from TOC entry 9; 0 0 COMMENT EXTENSION hstore \npg_restore: error: could not execute query: ERROR:  must be owner of extension hstore\nCommand was: COMMENT ON EXTENSION hstore IS 'x';\n\n\npg_restore: warning: errors ignored on restore: 2\n";
        let found = failed_entries(text);
        assert_eq!(found.iter().map(|failed| failed.entry).collect::<Vec<_>>(), [7, 9]);
        assert_eq!(found[0].commands, ["ALTER TABLE public.\"a\nb\" OWNER TO bob;"]);
        assert_eq!(
            (found[1].commands.as_slice(), found[1].why.as_str()),
            (["COMMENT ON EXTENSION hstore IS 'x';".to_owned()].as_slice(), "could not execute query: must be owner of extension hstore")
        );
    }

    #[test]
    fn what_another_process_wrote_into_is_missed_and_that_is_known() {
        let one =
            "pg_restore: from TOC entry 7; 0 0 PUBLICATION p o\npg_restore: error: could not execute query: ERROR:  must be superuser\nCommand was: CREATE\n";
        let ignored = "pg_restore: warning: errors ignored on restore: 1\n";
        assert!(all_heard("") && all_heard(&format!("{one}{ignored}")));
        assert!(!all_heard(&format!("pg_restore: creating TRIGGER{one}{ignored}")));
        assert!(!all_heard(&format!("{one}{}", ignored.replace('1', "2"))));
    }

    #[test]
    fn what_may_hold_rows() {
        for (listed, rows) in [
            ("215; 1259 16389 TABLE t bob", false),
            ("215; 0 16389 TABLE DATA t bob", true),
            ("215; 1259 16389 INDEX t_i bob", true),
            ("3; 3079 1 EXTENSION hstore ", false),
            ("9; 0 0 COMMENT EXTENSION hstore ", false),
            ("9; 2606 3 CONSTRAINT t t_pkey bob", true),
            ("nonsense", true),
        ] {
            assert_eq!(is_about_rows(listed), rows, "{listed}");
        }
        assert!(quotes_a_value("invalid input syntax for type integer: \"x\"") && !quotes_a_value("permission denied to create extension \"x\""));
    }
}
