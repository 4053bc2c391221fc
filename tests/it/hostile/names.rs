//! A database that somebody made in order to attack whoever backs it up: every name in it is a command, a path or a control sequence.

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Ended, Kluis, kluis};
use crate::support::repo::{Repo, manifest};
use crate::support::sql::{Script, assert_same};
use crate::support::{folder, new_folder, stock, unique};
use kluis::postgres::quote::{quote_ident, quote_literal};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What would appear if anything ran.
const PWNED: &str = "kxPWNED";

/// Names of at most 63 bytes. Each of them is harmless as a name.
const NAMES: &[&str] = &[
    "\\! touch kxPWNED",
    "x\n\\! touch kxPWNED\n",
    "x\r\n\\! touch kxPWNED\r\n",
    "$(touch kxPWNED)",
    "`touch kxPWNED`",
    "x'; touch kxPWNED; '",
    "x\"; touch kxPWNED; \"",
    "x\ntouch kxPWNED\n",
    "';\n\\! touch kxPWNED\n--",
    "\";\n\\! touch kxPWNED\n--",
    "x\n\\.\n\\! touch kxPWNED\n",
    "x\n\\unrestrict x\n\\! touch kxPWNED\n",
    "\\copy (select 1) to program 'touch kxPWNED'",
    "x\n\\o |touch kxPWNED\n",
    "*/ COPY (SELECT 1) TO PROGRAM 'touch kxPWNED'; /*",
    "$$; COPY (SELECT 1) TO PROGRAM 'touch kxPWNED'; $$",
    "../../../../../../tmp/kxPWNED",
    "/tmp/kxPWNED",
    "..",
    "-f/tmp/kxPWNED",
    "--file=/tmp/kxPWNED",
    "| touch kxPWNED",
    "x host=127.0.0.2 user=kxPWNED",
    "postgresql://kxPWNED@127.0.0.2/x?sslmode=disable",
    "*.*",
    "%s%n%x",
    "\u{1b}[2J\u{1b}]0;kx\u{7}\u{1b}[31m",
    "\u{9b}31m\u{90}\u{85}",
    "\u{202e}txt.exe\u{2066}",
    "\t\u{8}\u{8}\u{7f}",
    "x\n-- Name: y; Type: TABLE; Schema: public; Owner: z\n",
];

/// Everything that can have a name, once with each of the names.
fn attack(cluster: &Cluster, name: &str) -> Database {
    let database = cluster.database_with(name, "");
    for (number, name) in NAMES.iter().enumerate() {
        let (ident, text, role) =
            (quote_ident(name), quote_literal(name), quote_ident(&format!("{}{}", name.chars().take(40).collect::<String>(), unique(""))));
        cluster.sql("postgres", &format!("CREATE ROLE {role}; COMMENT ON ROLE {role} IS {text}"));
        database.sql(&format!(
            "CREATE SCHEMA {schema}; SET search_path = {schema}; GRANT ALL ON SCHEMA {schema} TO {role};
            CREATE TABLE {ident} ({ident} text DEFAULT {text} CONSTRAINT {ident} CHECK ({ident} <> {text} || 'x'), id int);
            INSERT INTO {ident} SELECT {text} || E'\\n\\\\.\\n\\\\! touch kxPWNED\\n', i FROM generate_series(1, 10) i;
            CREATE INDEX {index} ON {ident} (id, {ident}); COMMENT ON TABLE {ident} IS {text}; COMMENT ON COLUMN {ident}.{ident} IS {text};
            CREATE SEQUENCE {sequence}; CREATE VIEW {view} AS SELECT {ident} FROM {ident}; GRANT SELECT ON {ident} TO {role};
            CREATE FUNCTION {ident}({ident} text) RETURNS text LANGUAGE sql AS {text2};
            CREATE TYPE {kind} AS ENUM ({text}); CREATE DOMAIN {domain} AS text DEFAULT {text};
            CREATE TABLE {parts} (k int) PARTITION BY LIST (k); CREATE TABLE {part} PARTITION OF {parts} FOR VALUES IN (1); INSERT INTO {parts} VALUES (1);
            CREATE POLICY {ident} ON {ident} USING ({ident} <> {text} || 'y');
            SELECT lo_from_bytea({oid}, convert_to({text}, 'UTF8')); COMMENT ON LARGE OBJECT {oid} IS {text}; ALTER LARGE OBJECT {oid} OWNER TO {role};
            ALTER DATABASE {this} SET kx.name = {text}; COMMENT ON DATABASE {this} IS {text}",
            schema = quote_ident(&format!("{number}{}", name.chars().take(50).collect::<String>())),
            index = quote_ident(&format!("i{}", short(name))),
            sequence = quote_ident(&format!("s{}", short(name))),
            view = quote_ident(&format!("v{}", short(name))),
            kind = quote_ident(&format!("k{}", short(name))),
            domain = quote_ident(&format!("d{}", short(name))),
            parts = quote_ident(&format!("p{}", short(name))),
            part = quote_ident(&format!("q{}", short(name))),
            text2 = quote_literal(&format!("SELECT {text}::text")),
            oid = 90_000 + number,
            this = quote_ident(&database.name),
        ));
    }
    database
}

fn short(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if text.len() + c.len_utf8() > 60 {
            break;
        }
        text.push(c);
    }
    text
}

/// With this database, whatever it is called: a URL can hold any name.
fn named(words: &[&str], database: &Database, repo: &Repo) -> Kluis {
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let socket = encoded(&database.cluster.socket().to_string_lossy());
    let url = format!("postgresql://postgres@{socket}:{}/{}", database.cluster.port(), encoded(&database.name));
    kluis(words).keeping(repo).tools(&database.cluster).env("DATABASE_URL", url)
}

/// Whether anything ran: a file of that name where any of our programs stood, or where the names led to.
#[track_caller]
fn nothing_ran(place: &Path, what: &str) {
    for folder in [place, folder(), Path::new("/tmp"), Path::new("/"), Path::new(env!("CARGO_MANIFEST_DIR"))] {
        assert!(std::fs::symlink_metadata(folder.join(PWNED)).is_err(), "{what}: something ran in {}", folder.display());
    }
}

/// Nothing that a terminal would obey.
#[track_caller]
fn is_harmless(ended: &Ended) {
    for text in [&ended.stdout, &ended.stderr] {
        let bad: Vec<char> = text
            .chars()
            .filter(|c| (c.is_control() && *c != '\n') || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'))
            .collect();
        assert!(bad.is_empty(), "{bad:?} in {ended:#?}");
    }
}

#[test]
fn a_database_whose_names_are_attacks_is_backed_up_and_restored_and_nothing_runs() {
    let majors: &[u32] = if std::env::var("KLUIS_CAMPAIGN_SIZE").is_ok_and(|size| size != "0") { &[13, 14, 15, 16, 17, 18, 19] } else { &[16] };
    for major in majors {
        let Some(cluster) = Cluster::own(*major, &[]) else { continue };
        let place = new_folder("attacked");
        let (database, repo) = (attack(&cluster, "x\n\\! touch kxPWNED\n$(touch kxPWNED)"), Repo::at(new_folder("repo")));
        let kluis = |words: &[&str]| named(words, &database, &repo).in_folder(&place).env("BACKUP_LOG", place.join("kluis.log"));
        let ended = kluis(&["backup"]).env("BACKUP_DRILL", "every-backup").run();
        is_harmless(&ended);
        assert_eq!(ended.code, Some(0), "PostgreSQL {major}: {ended:#?}");
        let backup = repo.newest();
        assert_eq!(backup.parent().unwrap(), repo.folder());
        for words in [
            "list",
            "show latest",
            "show latest --tables",
            "verify --all",
            "compare latest",
            "doctor",
            "config",
            "status",
            "backup --dry-run",
            "prune --dry-run",
            "drill latest",
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            is_harmless(&kluis(&words).run());
            is_harmless(&kluis(&[&words[..], &["--json"]].concat()).run());
        }
        nothing_ran(&place, "backup");

        // Restored by Kluis, and by psql in a folder of its own, the roles included.
        let ours = Database { cluster: cluster.clone(), name: unique("by_kluis") };
        let ended = kluis(&["restore", "latest", "--create", "--to", &ours.url()]).into(&cluster).run();
        is_harmless(&ended);
        assert!([Some(0), Some(3)].contains(&ended.code), "{ended:#?}");
        nothing_ran(&place, "kluis restore");
        let stock = cluster.database("by_psql");
        stock::restore(&backup, &stock);
        nothing_ran(&place, "gunzip | psql");
        let said = |database: &Database| Script::parse(&database.pg_dump(&[]));
        assert_same(("the attacked one", &said(&database)), ("kluis restore", &said(&ours)));
        assert_same(("the attacked one", &said(&database)), ("gunzip | psql", &said(&stock)));
        let table = &manifest(&backup).tables[0];
        kluis(&["restore", "latest", "--table", &format!("{}.{}", table.schema, table.name), "--to", &cluster.database("one").url()]).into(&cluster).run();
        nothing_ran(&place, "kluis restore --table");

        let log = std::fs::read_to_string(place.join("kluis.log")).unwrap();
        assert!(!log.contains('\u{1b}') && !log.contains('\u{202e}') && log.lines().all(|line| line.starts_with("20")), "{log}");
        let safe = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) && !name.starts_with('-');
        assert!([&repo.root, &place].iter().all(|root| names_below(root, &mut |name| safe(name))), "a file got its name from the database");
    }
}

fn names_below(path: &Path, fine: &mut impl FnMut(&str) -> bool) -> bool {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.fold(true, |sofar, entry| {
        let below = entry.file_type().map_or(true, |kind| !kind.is_dir()) || names_below(&entry.path(), fine);
        sofar && fine(&entry.file_name().to_string_lossy()) && below
    })
}

/// The notes' commands, copied into a shell line by line, restore the database of that name and nothing else.
#[test]
fn the_commands_in_the_notes_are_safe_to_copy_whatever_the_database_is_called() {
    let Some(cluster) = Cluster::own(16, &[]) else { return };
    for name in NAMES {
        let (database, repo, place) = (cluster.database_with(name, ""), Repo::at(new_folder("repo")), new_folder("copied"));
        database.sql("CREATE TABLE t AS SELECT 1 AS id");
        named(&["backup"], &database, &repo).run().done();
        let backup = repo.newest();
        let bare: PathBuf = place.join("backup");
        assert!(Command::new("cp").arg("-r").arg(&backup).arg(&bare).status().unwrap().success());
        let lines = stock::commands(&backup);
        assert_eq!(lines.len(), 6, "{lines:#?}");
        stock::type_into_shell(&cluster, &bare, &lines);
        nothing_ran(&bare, name);
        nothing_ran(&place, name);
        // A name has at most 63 bytes.
        let fits = |(place, c): &(usize, char)| place + c.len_utf8() <= 63 - "_restored".len();
        let restored = name.char_indices().take_while(fits).map(|(_, c)| c).collect::<String>() + "_restored";
        let restored = Database { cluster: cluster.clone(), name: restored };
        assert_eq!(restored.value("SELECT id FROM t"), "1", "{name}");
        // The old one gives way, and the new one gets its name.
        let notes = std::fs::read_to_string(backup.join("RESTORE.md")).unwrap();
        let renames: Vec<String> = notes.lines().filter(|line| line.contains("RENAME TO")).map(|line| line.trim_start().to_owned()).collect();
        let renames = [&lines[..1], &renames].concat();
        assert_eq!(renames.len(), 3, "{notes}");
        restored.sql("UPDATE t SET id = 2");
        stock::type_into_shell(&cluster, &bare, &renames);
        assert_eq!(database.value("SELECT id FROM t"), "2", "{name}");
        nothing_ran(&bare, name);
        assert_eq!(std::fs::read_dir(&bare).unwrap().count(), std::fs::read_dir(&backup).unwrap().count(), "a file appeared: {name}");
    }
}
