//! The sandbox of the throwaway server: databases that try to get out of a drill in every way we know, judged by what they reached.
//! It owns the attacks and what they must not touch; it leaves the walls' own tests to `src/postgres/sandbox.rs`.
//! Invariant: kluis and the server in the drill are one user, as in a container, so that nothing but the sandbox keeps them apart.

use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::{Ended, Kluis, kluis};
use crate::support::repo::Repo;
use crate::support::{CANARY, left_in_scratch, new_folder, server_user, skip};
use kluis::manifest::{Proof, Sandbox};
use kluis::postgres::sandbox::Support;
use kluis::repository::names;
use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const ESCAPES: &str = include_str!("sandbox/escapes.sql");
const LANGUAGES: &str = include_str!("sandbox/languages.sql");
const NATIVE: &str = include_str!("sandbox/native.c");

/// The loader of this machine's programs, which runs what it can read.
const LOADER: &str = if cfg!(target_arch = "x86_64") { "/lib64/ld-linux-x86-64.so.2" } else { "/lib/ld-linux-aarch64.so.1" };

/// Whether there are walls to be tested. A loud skip where not.
fn walls() -> bool {
    let support = Support::of_this_machine();
    if support.word() != Sandbox::Full {
        skip(&format!("the sandbox of the throwaway server: this kernel leaves open {}", support.open().join(", ")), "the tests on Linux 6.12 or later");
    }
    support.word() == Sandbox::Full
}

/// A folder that belongs to the user that kluis runs as in these tests.
fn given(name: &str, mode: u32) -> PathBuf {
    let folder = new_folder(name);
    chown(&folder, server_user().map(|(uid, _)| uid), server_user().map(|(_, gid)| gid)).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
    folder
}

/// What an attack is after: a live server, files, sockets and a process, all of kluis's own user.
struct Prey {
    cluster: Cluster,
    repo: Repo,
    scratch: PathBuf,
    /// Where nothing may appear.
    outside: PathBuf,
    /// What may neither be read nor changed.
    secret: PathBuf,
    listener: TcpListener,
    hidden: UnixListener,
    victim: Child,
}

impl Prey {
    fn of(major: u32) -> Option<Prey> {
        let cluster = Cluster::own(major, &["listen_addresses=127.0.0.1", "log_connections=on"])?;
        let (secrets, scratch, outside) = (given("secrets", 0o700), given("sandboxed", 0o700), given("outside", 0o777));
        let secret = secrets.join("password");
        std::fs::write(&secret, format!("{CANARY}\n")).unwrap();
        chown(&secret, server_user().map(|(uid, _)| uid), None).unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let hidden = UnixListener::bind_addr(&SocketAddr::from_abstract_name(abstract_name(&scratch)).unwrap()).unwrap();
        hidden.set_nonblocking(true).unwrap();
        let mut sleep = Command::new("sleep");
        if let Some((uid, gid)) = server_user() {
            std::os::unix::process::CommandExt::uid(std::os::unix::process::CommandExt::gid(&mut sleep, gid), uid);
        }
        let victim = sleep.arg("600").stdin(Stdio::null()).spawn().unwrap();
        Some(Prey { cluster, repo: Repo::at(given("hunted", 0o700)), scratch, outside, secret, listener, hidden, victim })
    }

    /// A text with the words between @ filled in.
    fn fill(&self, text: &str) -> String {
        let port = self.listener.local_addr().unwrap().port().to_string();
        let words = [
            ("@SOCKET@", self.cluster.socket().to_str().unwrap()),
            ("@PORT@", &self.cluster.port().to_string()),
            ("@LISTENER@", &port),
            ("@ABSTRACT@", &abstract_name(&self.scratch)),
            ("@OUT@", self.outside.to_str().unwrap()),
            ("@REPO@", self.repo.root.to_str().unwrap()),
            ("@SECRET@", self.secret.to_str().unwrap()),
            ("@VICTIM@", &self.victim.id().to_string()),
            ("@LOADER@", LOADER),
        ];
        words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
    }

    fn kluis(&self, arguments: &[&str]) -> Kluis {
        let run = kluis(arguments).keeping(&self.repo).tools(&self.cluster).env("BACKUP_SCRATCH_DIR", &self.scratch);
        server_user().into_iter().fold(run, |run, user| run.user(user))
    }

    /// A backup of a database with this in it.
    fn back_up(&self, sql: &str) -> Database {
        let database = self.cluster.database("hunter");
        database.sql(&self.fill(sql));
        // The one before was another.
        self.kluis(&["adopt"]).of(&database).keeping(&self.repo).run().done();
        // It has not the tables of the one before, which is worth a warning.
        let ended = self.kluis(&["backup"]).of(&database).keeping(&self.repo).run();
        assert!(matches!(ended.code, Some(0 | 3)), "{ended:#?}");
        database
    }

    /// A drill, after which nothing has been reached.
    #[track_caller]
    fn drill(&mut self) -> Ended {
        let logged = self.cluster.log().len();
        let ended = self.kluis(&["drill"]).run();
        let (log, mode) = (self.cluster.log()[logged..].to_owned(), std::fs::metadata(&self.secret).unwrap().permissions().mode() & 0o777);
        let found: Vec<PathBuf> = std::fs::read_dir(&self.outside).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!log.contains("connection"), "the live server was reached: {log} {ended:#?}");
        assert_eq!(found, Vec::<PathBuf>::new(), "{ended:#?}");
        assert!(!self.repo.folder().join("written").exists(), "{ended:#?}");
        assert_eq!((std::fs::read_to_string(&self.secret).unwrap(), mode), (format!("{CANARY}\n"), 0o600), "{ended:#?}");
        assert_eq!(self.listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "{ended:#?}");
        assert_eq!(self.hidden.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "{ended:#?}");
        assert_eq!(self.victim.try_wait().unwrap(), None, "a process was ended: {ended:#?}");
        let left = left_in_scratch(&self.scratch);
        assert!(left.is_empty(), "{left:?} {ended:#?}");
        ended
    }

    fn proof(&self) -> Proof {
        Proof::parse(&std::fs::read(self.repo.newest().join(names::PROOF)).unwrap()).unwrap()
    }
}

impl Drop for Prey {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

fn abstract_name(scratch: &Path) -> String {
    format!("kluis-it{}", scratch.display())
}

/// A library whose code runs when it is loaded, in hexadecimal digits; empty, and a loud skip, without a compiler.
fn library(prey: &Prey) -> String {
    let folder = new_folder("native");
    let (source, built) = (folder.join("native.c"), folder.join("native.so"));
    std::fs::write(&source, prey.fill(NATIVE)).unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-s", "-o"]).arg(&built).arg(&source).output();
    match compiled {
        Ok(output) if output.status.success() => std::fs::read(&built).unwrap().iter().map(|byte| format!("{byte:02x}")).collect(),
        Ok(output) => panic!("native.c does not compile: {}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => {
            skip("native code in the throwaway server: there is no C compiler", "scripts/setup test");
            String::new()
        }
    }
}

/// An encrypted key, for which a server asks a program of its settings, and its certificate.
fn key() -> (String, String) {
    let folder = new_folder("key");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-passout", "pass:x", "-subj", "/CN=x", "-keyout", "key", "-out", "certificate"])
        .current_dir(&folder)
        .output()
        .expect("openssl starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (read("key"), read("certificate"))
}

/// Each place that runs code in a restore, by its name in [`ESCAPES`]' error.
const PLACES: [(&str, &str); 5] = [
    ("check", "CREATE TABLE checked (id int CHECK (escape('check'))); INSERT INTO checked VALUES (1)"),
    ("generated", "CREATE TABLE made (id int, g boolean GENERATED ALWAYS AS (steady('generated', id)) STORED); INSERT INTO made VALUES (1)"),
    ("index", "CREATE TABLE indexed AS SELECT 1 AS id; CREATE INDEX ON indexed (steady('index', id))"),
    ("view", "CREATE TABLE seen AS SELECT 1 AS id; CREATE MATERIALIZED VIEW viewed AS SELECT escape('view') AS reached"),
    ("trigger", "CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM public.escape(''trigger''); RETURN NEW; END';
        CREATE TABLE trapped (id int); CREATE TRIGGER trap BEFORE INSERT ON trapped FOR EACH ROW EXECUTE FUNCTION trap(); ALTER TABLE trapped ENABLE ALWAYS TRIGGER trap; INSERT INTO trapped VALUES (1);
        CREATE FUNCTION on_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM public.escape(''event''); END';
        CREATE EVENT TRIGGER on_ddl ON ddl_command_end EXECUTE FUNCTION on_event()"),
];

fn nothing_gets_out(major: u32) {
    if !walls() {
        return;
    }
    let Some(mut prey) = Prey::of(major) else { return };
    let places: String = PLACES.iter().map(|(_, sql)| format!("{sql};\n")).collect();
    let (key, certificate) = key();
    let escapes = ESCAPES.replace("@KEY@", &key).replace("@CERTIFICATE@", &certificate).replace("@LIBRARY@", &library(&prey));
    // Removed from PostgreSQL 17.
    let adminpack = if major > 16 { "" } else { "CREATE EXTENSION adminpack;" };
    let written = "('adminpack', $c$SELECT pg_catalog.pg_file_write('@OUT@/adminpack', 'x', false)$c$, '42501'),\n    ('program',";
    let escapes = if major > 16 { escapes } else { escapes.replace("('program',", written) };
    let database = prey.back_up(&format!("{adminpack}{escapes}{places}"));
    let ended = prey.drill();
    assert!(ended.code == Some(0) && ended.stdout.contains("proven"), "{ended:#?}");
    assert_eq!(prey.proof().drill.unwrap().sandbox, Sandbox::Full);
    drop(database);
}

#[test]
fn nothing_gets_out_of_a_drill_of_13() {
    nothing_gets_out(13);
}

#[test]
fn nothing_gets_out_of_a_drill_of_15() {
    nothing_gets_out(15);
}

#[test]
fn nothing_gets_out_of_a_drill_of_18() {
    nothing_gets_out(18);
}

#[test]
fn every_place_of_an_attack_is_one_that_a_drill_reaches() {
    let Some(mut prey) = Prey::of(15) else { return };
    // Triggers stand behind the rows, and event triggers behind everything: before 17 none of them fires in a drill. They are there all the same.
    for (place, sql) in PLACES.iter().filter(|(place, _)| *place != "trigger") {
        prey.back_up(&format!("{}{sql}", reached_only()));
        let ended = prey.drill();
        assert!(ended.code != Some(0) && ended.stdout.contains(&format!("escaped from {place}: reached")), "{place}: {ended:#?}");
    }
}

/// The same functions, without an attack: each says that it was called.
fn reached_only() -> String {
    let start = ESCAPES.find("CREATE FUNCTION escape(").unwrap();
    let (before, rest) = ESCAPES[start..].split_once("    FOR attempt IN").unwrap();
    let after = &rest[rest.find("    IF found <> ''").unwrap()..];
    format!("{before}    found := ' reached';\n{after}")
}

#[test]
fn a_drill_logs_in_nowhere_and_cannot_judge_what_needs_it() {
    let Some(mut prey) = Prey::of(16) else { return };
    let server = "CREATE EXTENSION postgres_fdw; CREATE EXTENSION dblink;
        CREATE SERVER live FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '@SOCKET@', port '@PORT@', dbname 'postgres');
        CREATE USER MAPPING FOR PUBLIC SERVER live OPTIONS (user 'postgres');
        CREATE FOREIGN TABLE live_tables (relname name) SERVER live OPTIONS (schema_name 'pg_catalog', table_name 'pg_class');";
    for (view, words) in [
        ("CREATE MATERIALIZED VIEW far AS SELECT count(*) FROM live_tables", "could not connect to server \"live\""),
        (
            "CREATE MATERIALIZED VIEW far AS SELECT * FROM public.dblink('host=@SOCKET@ port=@PORT@ user=postgres dbname=postgres', 'SELECT 1') AS t (one int)",
            "could not establish connection",
        ),
    ] {
        prey.back_up(&format!("{server}{view}"));
        let ended = prey.drill();
        assert!(ended.code == Some(3) && ended.stdout.contains("cannot be judged here") && ended.stdout.contains(words), "{ended:#?}");
    }
}

#[test]
fn languages_that_may_do_everything_stay_inside() {
    let there = ["plperlu", "plpython3u", "pltclu"].iter().all(|name| Path::new(&format!("/usr/share/postgresql/15/extension/{name}.control")).exists());
    if !there {
        return skip("untrusted languages in the throwaway server", "apt-get install postgresql-plperl-15 postgresql-plpython3-15 postgresql-pltcl-15");
    }
    if !walls() {
        return;
    }
    let Some(mut prey) = Prey::of(15) else { return };
    prey.back_up(LANGUAGES);
    let ended = prey.drill();
    assert!(ended.code == Some(0) && ended.stdout.contains("proven"), "{ended:#?}");
}

#[test]
fn doctor_says_how_far_a_drill_is_confined() {
    let Some(cluster) = Cluster::of(16) else { return };
    let database = cluster.database("confined");
    let said = kluis(&["doctor", "--json"]).of(&database).keeping(&Repo::new()).run();
    let answer: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let checks = answer["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["check"] == "sandbox").expect("there is a finding");
    let expected = if Support::of_this_machine().word() == Sandbox::Full { "ok" } else { "warning" };
    assert_eq!(check["verdict"], expected, "{check:#}");
    // Where the repository lies among the programs' own files, the server can read it.
    let inside = Path::new("/usr/local/share").join(format!("kluis-it-{}", std::process::id()));
    if std::fs::create_dir(&inside).is_ok() {
        std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut said = String::new();
        let _ = kluis(&["doctor"]).of(&database).keeping(&Repo::new()).env("BACKUP_DIR", &inside).run().stdout.as_bytes().read_to_string(&mut said);
        std::fs::remove_dir_all(&inside).unwrap();
        assert!(said.contains("the throwaway server of a drill reads '/usr/local/share'"), "{said}");
    }
}
