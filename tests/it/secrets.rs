//! Secrets and people: passwords, rows and what else was planted is searched for in everything that a run leaves, says and shows.
//!
//! Names of schemas, tables, columns, roles and databases may be told: an operator needs them. Nothing else of a database may.

mod process;
mod spy;

use crate::drill::tamper::{Piece, rewrite_units};
use crate::malformed::damage::Base;
use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Ended, Kluis, Running, kluis};
use crate::support::repo::Repo;
use crate::support::{left_in_scratch, new_folder};
use kluis::postgres::quote::quote_literal;
use rustix::process::Signal;
use spy::Spy;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The password that works, and one that does not.
const RIGHT: &str = "kxRightPassword7f3a91";
const WRONG: &str = "kxWrongPassword5d20c4";
/// In rows and large objects, in literals of the schema, in what the operator's own checks return.
const ROW: &str = "kxRowValue2b8c04";
const LITERAL: &str = "kxLiteral91ee07";
/// In a file where a key should be.
const KEY: &str = "kxPrivateKey66aa15";

/// Everything that must not be found.
fn secrets() -> Vec<&'static str> {
    vec![RIGHT, WRONG, ROW, LITERAL, KEY]
}

/// A shop whose every row, literal and password is a secret, and whose functions tell rows when they are told to.
struct House {
    cluster: Cluster,
    database: Database,
    role: String,
    hash: String,
    spy: Spy,
    place: PathBuf,
    repo: Repo,
    said: Mutex<Vec<(String, String)>>,
}

const SCHEMA: &str = "
    CREATE FUNCTION tell(v text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
        RAISE WARNING 'saw %', v; IF current_setting('kx.tell', true) = 'error' THEN RAISE EXCEPTION E'value %\\npg_restore: error: %', v, v USING DETAIL = v, HINT = v; END IF;
        RETURN v; END $$;
    CREATE DOMAIN told AS text CHECK (tell(VALUE) IS NOT NULL);
    CREATE TABLE people (id int PRIMARY KEY, email text CONSTRAINT one_each UNIQUE, note told DEFAULT 'LITERAL', amount int CONSTRAINT positive CHECK (amount > 0));
    CREATE TABLE friends (person text CONSTRAINT known REFERENCES people (email));
    CREATE INDEX telling ON people (tell(email));
    CREATE FUNCTION secretive() RETURNS text LANGUAGE sql AS $$ SELECT 'LITERAL' $$;
    CREATE VIEW shown AS SELECT 'LITERAL'::text AS v, email FROM people;
    COMMENT ON TABLE people IS 'LITERAL';
    INSERT INTO people (id, email, amount) SELECT i, 'ROW' || i, i FROM generate_series(1, 50) i;
    INSERT INTO friends SELECT 'ROW' || i FROM generate_series(1, 20) i;
    SELECT lo_from_bytea(4711, 'ROW');";

impl House {
    fn new(major: u32) -> Option<House> {
        let cluster = Cluster::own(major, &[])?;
        let database = cluster.database("house");
        database.sql(&SCHEMA.replace("LITERAL", LITERAL).replace("ROW", ROW));
        let role = "keeper".to_owned();
        cluster.sql("postgres", &format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD {}; GRANT kluis_with_password TO {role}", quote_literal(RIGHT)));
        let hash = cluster.value("postgres", &format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'"));
        assert!(hash.starts_with("SCRAM-SHA-256$"), "{hash}");
        let (spy, place, repo) = (Spy::on(&cluster), new_folder("house"), Repo::new());
        Some(House { cluster, database, role, hash, spy, place, repo, said: Mutex::default() })
    }

    /// `kluis` with the right password, watched.
    fn kluis(&self, words: &[&str]) -> Kluis {
        let kluis = kluis(words).of(&self.database).keeping(&self.repo).env("BACKUP_PG_BIN", &self.spy.bin).env("DB_USERNAME", &self.role);
        kluis.env("DB_PASSWORD", RIGHT).env("BACKUP_LOG", self.place.join("log/kluis.log")).env("BACKUP_SCRATCH_DIR", self.scratch()).in_folder(&self.place)
    }

    fn scratch(&self) -> PathBuf {
        self.place.join("scratch")
    }

    /// A restore into a new database, as the role that has to give its password.
    fn restore(&self, repo: &Repo, more: &[&str]) -> Kluis {
        let into = self.cluster.database("into");
        let url = into.url();
        let words: Vec<&str> = ["restore", "latest", "--to", &url].iter().chain(more).copied().collect();
        let kluis = self.kluis(&words).keeping(repo).without("DB_PASSWORD").env("PGHOST", self.cluster.socket());
        kluis.env("PGPORT", self.cluster.port().to_string()).env("PGUSER", &self.role).env("PGPASSWORD", RIGHT)
    }

    /// Notes what was said, after it ended in this way.
    #[track_caller]
    fn note(&self, what: &str, ended: Ended, codes: &[i32]) -> String {
        let text = format!("{}\n{}", ended.stdout, ended.stderr);
        assert!(codes.contains(&ended.code.unwrap_or(-1)), "{what}: {ended:#?}");
        assert!(!text.contains("panicked"), "{what}: {ended:#?}");
        self.said.lock().unwrap().push((what.to_owned(), text.clone()));
        text
    }

    /// Fails, and says one of the things that must be said, so that it is known to have failed where it should.
    #[track_caller]
    fn fails(&self, what: &str, kluis: Kluis, codes: &[i32], part: &str) {
        let text = self.note(what, kluis.run(), codes);
        assert!(text.contains(part), "{what}: '{part}' is not in: {text}");
    }

    /// A repository of its own with a copy of the backup, changed in this way, all hashes right.
    fn planted(&self, edit: impl FnOnce(&mut Vec<Piece>)) -> Repo {
        let base = Base::read(&self.repo.newest(), String::new());
        let repo = Repo::at(new_folder("planted"));
        let folder = repo.folder().join(&base.id);
        base.copy_to(&folder);
        std::fs::remove_file(folder.join("proof.json")).ok();
        rewrite_units(&base, &folder, edit);
        repo
    }

    /// Searches everything.
    #[track_caller]
    fn nothing_was_told(&self, repos: &[&Repo]) {
        let secrets: Vec<&str> = secrets().into_iter().chain([self.hash.as_str()]).collect();
        let hits = |text: &str| secrets.iter().filter(|secret| text.contains(**secret)).map(|secret| (*secret).to_owned()).collect::<Vec<String>>();
        let mut found: Vec<String> = Vec::new();
        for (what, text) in self.said.lock().unwrap().iter() {
            found.extend(hits(text).iter().map(|secret| format!("{secret} was said by {what}: {text}")));
        }
        found.extend(self.spy.told(&secrets));
        for root in repos.iter().map(|repo| repo.root.as_path()).chain([self.place.as_path()]) {
            search(root, &mut |path, text| found.extend(hits(text).iter().map(|secret| format!("{secret} stands in {}", path.display()))));
        }
        assert!(found.is_empty(), "{} leaks:\n{}", found.len(), found.join("\n"));
        let log = std::fs::read_to_string(self.place.join("log/kluis.log")).unwrap();
        assert!(log.lines().count() > 10, "the log was looked at, and holds hardly anything: {log}");
        let left = left_in_scratch(&self.scratch());
        assert!(left.is_empty(), "scratch holds {left:?}");
    }
}

/// Every file below a folder, unpacked, but for those that hold rows or literals because they are the backup. These are searched for what even a backup
/// may not hold: a password.
fn search(path: &Path, look: &mut impl FnMut(&Path, &str)) {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    if metadata.is_dir() {
        return std::fs::read_dir(path).unwrap().flatten().for_each(|entry| search(&entry.path(), look));
    }
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    if !metadata.is_file() || name.starts_with("given-") {
        return;
    }
    let bytes = std::fs::read(path).unwrap();
    let mut text = Vec::new();
    if flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut text).is_err() || text.is_empty() {
        text = bytes;
    }
    let mut text = String::from_utf8_lossy(&text).into_owned();
    if name.ends_with(".sql.gz") || name == "schema.dump" || name == "inventory.tsv.gz" {
        text = text.replace(ROW, "…").replace(LITERAL, "…");
    }
    if name == "globals.sql.gz" {
        // The hashes of the roles' passwords are what it is for.
        text = text.lines().filter(|line| !line.contains("SCRAM-SHA-256$")).collect();
    }
    look(path, &text);
}

fn unit_of<'p>(pieces: &'p mut [Piece], column: &str) -> &'p mut Piece {
    pieces.iter_mut().find(|piece| piece.rows[0].contains(column)).expect("there is such a unit")
}

#[test]
fn nothing_that_was_planted_is_told_whatever_fails() {
    let Some(house) = House::new(16) else { return };
    let write = |name: &str, text: &str| {
        let path = house.place.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let proving = |kluis: Kluis| kluis.env("BACKUP_DRILL", "every-backup");

    // What succeeds.
    house.note("a backup", proving(house.kluis(&["backup"])).run(), &[0]);
    house.note("a backup as JSON", proving(house.kluis(&["backup", "--json"])).env("BACKUP_LOG_FORMAT", "json").run(), &[0]);
    for words in [
        "list",
        "show latest",
        "show latest --tables",
        "verify --all",
        "drill latest",
        "status",
        "doctor",
        "config",
        "prune --dry-run",
        "compare latest",
        "backup --dry-run",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        house.note(&words.join(" "), house.kluis(&words).run(), &[0]);
        house.note(&format!("{} --json", words.join(" ")), house.kluis(&[&words[..], &["--json"]].concat()).run(), &[0]);
    }

    // The right password by each of the ways, and the wrong one.
    let url = |password: &str| {
        let folder = house.cluster.socket().to_string_lossy().replace('/', "%2F");
        format!("postgresql://{}:{password}@{folder}:{}/{}", house.role, house.cluster.port(), house.database.name)
    };
    for (password, name, codes) in [(RIGHT, "right", [0]), (WRONG, "wrong", [10])] {
        let file = write(&format!("given-password-{name}"), &format!("{password}\n"));
        let passfile = write(&format!("given-passfile-{name}"), &format!("*:*:*:*:{password}\n"));
        let line = |key: &str, value: &str| format!("{key} = {value:?}\n");
        let rest = [
            line("host", &house.cluster.socket().to_string_lossy()),
            format!("port = {}\n", house.cluster.port()),
            line("database", &house.database.name),
            line("user", &house.role),
        ];
        let toml = write(&format!("given-toml-{name}"), &format!("[targets.app]\n{}{}", rest.concat(), line("password", password)));
        let toml_url = write(&format!("given-url-{name}"), &format!("[targets.app]\n{}", line("url", &url(password))));
        let bare = || {
            ["DB_HOST", "DB_PORT", "DB_DATABASE", "DB_USERNAME"]
                .iter()
                .fold(house.kluis(&["backup"]).without("DB_PASSWORD"), |kluis, variable| kluis.without(variable))
        };
        let file_only = |path: &Path| bare().without("BACKUP_TARGET").env("KLUIS_CONFIG", path);
        house.note("DB_PASSWORD", house.kluis(&["backup"]).env("DB_PASSWORD", password).run(), &codes);
        house.note("DB_PASSWORD_FILE", house.kluis(&["backup"]).without("DB_PASSWORD").env("DB_PASSWORD_FILE", &file).run(), &codes);
        house.note("PGPASSWORD", house.kluis(&["backup"]).without("DB_PASSWORD").env("PGPASSWORD", password).run(), &codes);
        house.note("DATABASE_URL", bare().env("DATABASE_URL", url(password)).run(), &codes);
        house.note("PGPASSFILE", house.kluis(&["backup"]).without("DB_PASSWORD").env("PGPASSFILE", &passfile).run(), &codes);
        house.note("kluis.toml", file_only(&toml).run(), &codes);
        house.note("a URL in kluis.toml", file_only(&toml_url).run(), &codes);
        for words in [&["config"][..], &["config", "--json"], &["doctor"], &["doctor", "--json"], &["status", "--json"]] {
            for (what, path) in [("kluis.toml", &toml), ("a URL in kluis.toml", &toml_url)] {
                let kluis =
                    kluis(words).env("BACKUP_DIR", &house.repo.root).env("BACKUP_PG_BIN", &house.spy.bin).env("KLUIS_CONFIG", path).in_folder(&house.place);
                house.note(&format!("{what}: {}", words.join(" ")), kluis.run(), &[0, 1, 4, 10]);
            }
        }
    }

    // Backups that fail. A run that must fail in the middle waits for a lock that is held.
    house.fails("no such database", house.kluis(&["backup"]).env("DB_DATABASE", "nowhere"), &[10], "nowhere");
    house.fails("no server", house.kluis(&["backup"]).env("DB_PORT", "1"), &[10], "no such socket");
    house.fails("TLS that is not there", house.kluis(&["backup"]).env("DB_HOST", "127.0.0.1").env("DB_SSLMODE", "require"), &[10], "127.0.0.1");
    let key = write("given-key", &format!("-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n"));
    let tls = house.kluis(&["backup"]).env("DB_SSLMODE", "verify-full").env("DB_SSLROOTCERT", &key).env("DB_SSLCERT", &key).env("DB_SSLKEY", &key);
    house.note("a key that is none", tls.env("DB_HOST", "127.0.0.1").run(), &[2, 10]);
    house.note("two answers", house.kluis(&["backup"]).env("DATABASE_URL", url(WRONG)).run(), &[2]);
    house.note("a URL in the host", house.kluis(&["backup"]).env("DB_HOST", url(WRONG)).run(), &[2]);
    house.note("a URL in the name", house.kluis(&["backup"]).env("DB_DATABASE", url(WRONG)).run(), &[2]);
    house.note("a URL in an unknown variable", house.kluis(&["backup"]).env("BACKUP_URL", url(WRONG)).run(), &[2]);
    house.note("a URL on the command line", house.kluis(&["backup", &url(WRONG)]).run(), &[2]);
    house.note("a URL as a target", house.kluis(&["backup", "--target", &url(WRONG)]).run(), &[2]);
    house.note("a wrong URL to restore to", house.kluis(&["restore", "latest", "--to", &url(WRONG).replace("postgresql:", "mysql:")]).run(), &[2]);
    house.cluster.sql("postgres", "CREATE ROLE guest LOGIN");
    house.fails("a role without rights", house.kluis(&["backup"]).env("DB_USERNAME", "guest").without("DB_PASSWORD"), &[10, 1], "people");
    let mut session = house.database.session();
    session.execute("BEGIN").unwrap();
    session.execute("LOCK TABLE people IN ACCESS EXCLUSIVE MODE").unwrap();
    house.fails("a lock", house.kluis(&["backup"]).env("BACKUP_LOCK_WAIT", "1s"), &[15], "lock timeout");
    let mut waiting: Running = house.kluis(&["backup"]).start();
    waiting.hold_when("it waits for the lock", || {
        house.database.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kluis' AND wait_event_type = 'Lock'") != "0"
    });
    waiting.go_on();
    house.database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kluis'");
    house.note("its sessions terminated", waiting.wait(), &[10]);
    let mut waiting: Running = house.kluis(&["backup"]).start();
    waiting.hold_when("it waits for the lock", || {
        house.database.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kluis' AND wait_event_type = 'Lock'") != "0"
    });
    waiting.go_on();
    waiting.signal(Signal::TERM);
    house.note("a signal", waiting.wait(), &[130]);
    house.fails("a deadline", house.kluis(&["backup"]).env("BACKUP_DEADLINE", "1s"), &[15], "");
    session.execute("ROLLBACK").unwrap();
    drop(session);

    // Restores and drills of backups whose hashes all fit, and whose rows PostgreSQL refuses, telling them.
    let mut repos = Vec::new();
    let id = house.repo.newest().file_name().unwrap().to_string_lossy().into_owned();
    let id = id.as_str();
    let mut plant = |what: &str, part: &str, edit: &dyn Fn(&mut Vec<Piece>)| {
        let repo = house.planted(edit);
        house.fails(&format!("restore, {what}"), house.restore(&repo, &["--no-check"]), &[1, 13], part);
        house.fails(&format!("restore one table, {what}"), house.restore(&repo, &["--table", "people", "--no-check", "--json"]), &[1, 2, 13], "");
        house.note(&format!("verify, {what}"), house.kluis(&["verify", id]).keeping(&repo).run(), &[0, 13]);
        house.note(&format!("drill, {what}"), house.kluis(&["drill", id]).keeping(&repo).run(), &[13]);
        for words in [&["show", id][..], &["show", id, "--json"], &["list", "--json"], &["status", "--json"]] {
            house.note(&format!("{} after {what}", words.join(" ")), house.kluis(words).keeping(&repo).run(), &[0, 3, 4, 13]);
        }
        house.note(&format!("compare, {what}"), house.kluis(&["compare", id]).keeping(&repo).run(), &[0, 1, 3]);
        repos.push(repo);
    };
    let row = |pieces: &mut [Piece], edit: &dyn Fn(&str) -> String| {
        let row = unit_of(pieces, "\t").rows[0].clone();
        unit_of(pieces, "\t").rows[0] = edit(&row);
    };
    plant("a key twice", "unique", &|pieces| {
        let again = unit_of(pieces, "\t").rows[1].replacen('2', "77", 1);
        unit_of(pieces, "\t").rows.push(again);
    });
    plant("text for a number", "invalid text representation", &|pieces| row(pieces, &|row| format!("{ROW}{row}")));
    plant("a column too many", "bad copy file format", &|pieces| row(pieces, &|row| format!("{ROW}\t{row}")));
    plant("a value that a check refuses", "check violation", &|pieces| row(pieces, &|row| row.replace("\t1\n", "\t-1\n")));
    plant("bytes that are no text", "character not in repertoire", &|pieces| row(pieces, &|row| row.replace(ROW, &format!("{ROW}\\303"))));
    plant("somebody unknown", "foreign key", &|pieces| {
        let again = format!("{ROW}999\n");
        pieces.iter_mut().find(|piece| !piece.rows[0].contains('\t')).unwrap().rows.push(again);
    });
    house.fails("an index whose function tells rows", house.restore(&house.repo, &[]).env("PGOPTIONS", "-c kx.tell=error"), &[1, 13], "withheld");
    house.note("a restore", house.restore(&house.repo, &[]).run(), &[0]);
    house.note("a restore as JSON", house.restore(&house.repo, &["--json"]).run(), &[0]);
    house.fails("a wrong password", house.restore(&house.repo, &[]).env("PGPASSWORD", WRONG), &[10], "password authentication failed");

    // The operator's own checks, which return rows and fail on them.
    for (name, check) in
        [("rows", "SELECT email FROM people"), ("error", "SELECT email::int FROM people"), ("raise", "SET kx.tell = 'error'; SELECT tell(email) FROM people")]
    {
        let folder = house.place.join(format!("given-checks-{name}"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("given-check.sql"), format!("{check} WHERE '{LITERAL}' <> '';")).unwrap();
        house.fails(&format!("an assertion: {name}"), house.kluis(&["drill", "latest"]).env("BACKUP_ASSERTIONS", &folder), &[13], "assertion");
        house.note(&format!("a backup with an assertion: {name}"), proving(house.kluis(&["backup"])).env("BACKUP_ASSERTIONS", &folder).run(), &[3]);
    }

    // The sidecar, with the right password and the wrong one.
    for (password, part) in [(RIGHT, "backup 2"), (WRONG, "run failed")] {
        let before = std::fs::read_to_string(house.place.join("log/kluis.log")).unwrap().len();
        let repo = Repo::new();
        let sidecar = house.kluis(&["serve"]).keeping(&repo).env("DB_PASSWORD", password).env("BACKUP_DRILL", "every-backup").start();
        crate::support::wait_until("the sidecar has tried", || std::fs::read_to_string(house.place.join("log/kluis.log")).unwrap()[before..].contains(part));
        sidecar.signal(Signal::TERM);
        house.note("serve", sidecar.wait(), &[0]);
        repos.push(repo);
    }

    let repos: Vec<&Repo> = repos.iter().chain([&house.repo]).collect();
    house.nothing_was_told(&repos);
}
