//! PostgreSQL servers: one for each major and test process, shared by its tests, or one of a test's own.
//! It owns starting and stopping them; the databases in them belong to the tests.

use super::{PASSWORD, folder, new_folder, server_user, skip, unique, wait_until};
use kluis::postgres::connection::Connection;
use kluis::postgres::session::Session;
use kluis::stop::Stop;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// The majors that are tested.
pub const MAJORS: [u32; 7] = [13, 14, 15, 16, 17, 18, 19];

/// A running server. Clones are the same server; it is stopped with the last of them.
#[derive(Clone)]
pub struct Cluster(Arc<Server>);

struct Server {
    major: u32,
    bin: PathBuf,
    home: PathBuf,
    port: u16,
    process: Mutex<Option<Child>>,
}

/// Settings of every server: not durable, because nothing in it is to last; and of odd tastes, because a backup must not depend on them.
const SETTINGS: &[&str] = &[
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "shared_buffers=64MB",
    "max_wal_size=1GB",
    "wal_level=logical",
    "max_locks_per_transaction=256",
    "timezone=Europe/Amsterdam",
    "datestyle=SQL, DMY",
    "intervalstyle=iso_8601",
    "bytea_output=escape",
    "log_min_messages=error",
    "logging_collector=off",
];

/// Members of this role have to give their password.
const WITH_PASSWORD: &str = "kluis_with_password";

impl Cluster {
    /// The server of that major, or nothing, and a loud skip, where that major is not installed.
    pub fn of(major: u32) -> Option<Cluster> {
        static SHARED: [OnceLock<Option<Cluster>>; MAJORS.len()] = [const { OnceLock::new() }; MAJORS.len()];
        let index = MAJORS.iter().position(|known| *known == major).expect("a major that is tested");
        or_skip(major, SHARED[index].get_or_init(|| Cluster::new(major, &[])).clone())
    }

    /// A server of a test's own, with these settings beside the usual ones. Nothing, and a loud skip, where that major is not installed.
    pub fn own(major: u32, settings: &[&str]) -> Option<Cluster> {
        or_skip(major, Cluster::new(major, settings))
    }

    fn new(major: u32, settings: &[&str]) -> Option<Cluster> {
        let bin = bin(major)?;
        let home = home(major);
        let initdb = as_server_user(&bin.join("initdb"))
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg("-D")
            .arg(home.join("data"))
            .output()
            .expect("initdb starts");
        assert!(initdb.status.success(), "initdb of {major}: {}", String::from_utf8_lossy(&initdb.stderr));
        let rules =
            format!("local replication all trust\nlocal all +{WITH_PASSWORD} scram-sha-256\nlocal all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
        std::fs::write(home.join("data/pg_hba.conf"), rules).expect("pg_hba.conf can be written");
        let cluster = Cluster::in_folder(major, bin, home);
        cluster.start(settings);
        cluster.sql("postgres", &format!("CREATE ROLE {WITH_PASSWORD} NOLOGIN"));
        Some(cluster)
    }

    /// A hot standby of this server.
    pub fn standby(&self) -> Cluster {
        self.standby_with(&[])
    }

    /// A hot standby with these settings beside the usual ones.
    pub fn standby_with(&self, settings: &[&str]) -> Cluster {
        let home = home(self.0.major);
        let copied = as_server_user(&self.0.bin.join("pg_basebackup"))
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--username=postgres", "--host"])
            .arg(&self.0.home)
            .arg("--port")
            .arg(self.0.port.to_string())
            .arg("--pgdata")
            .arg(home.join("data"))
            .output()
            .expect("pg_basebackup starts");
        assert!(copied.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&copied.stderr));
        let standby = Cluster::in_folder(self.0.major, self.0.bin.clone(), home);
        standby.start(&[&["hot_standby=on"], settings].concat());
        standby.catches_up_with(self, "false");
        standby
    }

    /// Waits until this standby has replayed all that the primary has done, or until this holds.
    pub fn catches_up_with(&self, primary: &Cluster, or: &str) {
        // Only what is flushed is sent, and a commit that waits for its flush takes all earlier ones along.
        primary.sql("postgres", "SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'test', '')");
        let reached = primary.value("postgres", "SELECT pg_current_wal_flush_lsn()");
        wait_until("the standby has replayed all", || self.value("postgres", &format!("SELECT pg_last_wal_replay_lsn() >= '{reached}' OR {or}")) == "t");
    }

    fn in_folder(major: u32, bin: PathBuf, home: PathBuf) -> Cluster {
        // A free port, for those who listen; for the others it is a number in the socket's name.
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("there is a free port").port();
        Cluster(Arc::new(Server { major, bin, home, port, process: Mutex::new(None) }))
    }

    fn start(&self, settings: &[&str]) {
        self.start_by(as_server_user(&self.0.bin.join("postgres")), settings);
    }

    fn start_by(&self, mut command: Command, settings: &[&str]) {
        let server = &self.0;
        let log = std::fs::File::create(server.home.join("log")).expect("the server's log can be written");
        command.arg("-D").arg(server.home.join("data")).arg("-k").arg(&server.home).arg("-p").arg(server.port.to_string()).args(["-c", "listen_addresses="]);
        for setting in SETTINGS.iter().chain(settings) {
            command.args(["-c", setting]);
        }
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("postgres starts");
        *server.process.lock().unwrap() = Some(child);
        wait_until("the server accepts connections", || {
            let ended = server.process.lock().unwrap().as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "PostgreSQL {} ended: {}", server.major, self.log());
            Session::connect(&self.connection("postgres"), &Stop::new()).is_ok()
        });
    }

    /// Stops the server as a power cut would.
    pub fn stop_immediately(&self) {
        if let Some(mut child) = self.0.process.lock().unwrap().take() {
            stop(&mut child);
        }
    }

    /// For the campaigns. Stops the server by this signal: SIGINT is the fast way, SIGQUIT the immediate one.
    #[allow(dead_code)]
    pub fn stop_with(&self, signal: rustix::process::Signal) {
        if let Some(mut child) = self.0.process.lock().unwrap().take() {
            let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal);
            let _ = child.wait();
        }
    }

    /// Stops the server as a power cut would, and starts it with these settings beside the usual ones.
    pub fn restart(&self, settings: &[&str]) {
        self.stop_immediately();
        self.start(settings);
    }

    /// Starts it anew, where no process of it gets more memory than that.
    pub fn restart_within(&self, mib: u64) {
        self.stop_immediately();
        let mut command = as_server_user(Path::new("sh"));
        command.args(["-c", &format!("ulimit -v {} && exec \"$@\"", mib << 10), "sh"]).arg(self.0.bin.join("postgres"));
        self.start_by(command, &[]);
    }

    /// For the campaigns. Starts a server that was stopped, with the usual settings.
    #[allow(dead_code)]
    pub fn start_again(&self) {
        self.start(&[]);
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.0.home.join("log")).unwrap_or_default()
    }

    /// The folder of its programs.
    pub fn bin(&self) -> &Path {
        &self.0.bin
    }

    /// The folder of its socket.
    pub fn socket(&self) -> &Path {
        &self.0.home
    }

    /// The port it listens at, if it does.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// A connection to a database of it, as the superuser.
    pub fn connection(&self, database: &str) -> Connection {
        Connection {
            host: self.0.home.to_str().unwrap().to_owned(),
            port: self.0.port,
            database: database.to_owned(),
            user: "postgres".to_owned(),
            password: None,
            passfile: None,
            tls: Default::default(),
            connect_timeout: Duration::from_secs(10),
            channel_binding: Default::default(),
            options: None,
            application_name: "test".to_owned(),
        }
    }

    /// One of its own client programs, connected to a database. The name goes by the environment: as an argument it may look like a connection string.
    pub fn program(&self, name: &str, database: &str) -> Command {
        let mut command = Command::new(self.0.bin.join(name));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("PGHOST", &self.0.home).env("PGPORT", self.0.port.to_string());
        command.env("PGUSER", "postgres").env("PGDATABASE", database).env("PGAPPNAME", "test").env("LC_ALL", "C").current_dir(folder());
        command.env("PGTZ", "UTC").env("PGOPTIONS", "-c bytea_output=hex");
        command
    }

    /// Runs a script by psql and returns what it printed, unaligned. The first error ends it, and the test.
    #[track_caller]
    pub fn sql(&self, database: &str, script: &str) -> String {
        self.sql_with(database, &[], script.as_bytes())
    }

    /// The same with further arguments for psql.
    #[track_caller]
    pub fn sql_with(&self, database: &str, arguments: &[&str], script: &[u8]) -> String {
        let mut command = self.program("psql", database);
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("psql starts");
        let (mut stdin, script) = (child.stdin.take().unwrap(), script.to_vec());
        let feeder = std::thread::spawn(move || stdin.write_all(&script));
        let output = child.wait_with_output().unwrap();
        let _ = feeder.join();
        assert!(output.status.success(), "psql on '{database}': {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The one value that a query returns.
    #[track_caller]
    pub fn value(&self, database: &str, query: &str) -> String {
        self.sql(database, query).trim_end_matches('\n').to_owned()
    }

    /// A new database.
    pub fn database(&self, name: &str) -> Database {
        self.database_with(&unique(name), "")
    }

    /// A new database of exactly this name, with options for CREATE DATABASE.
    pub fn database_with(&self, name: &str, options: &str) -> Database {
        self.sql("postgres", &format!("CREATE DATABASE {} TEMPLATE template0 {options}", kluis::postgres::quote::quote_ident(name)));
        Database { cluster: self.clone(), name: name.to_owned() }
    }

    /// A role that may log in, with [`PASSWORD`], which it is asked for.
    pub fn role(&self, name: &str) -> String {
        let name = unique(name);
        self.sql(
            "postgres",
            &format!("SET password_encryption = 'scram-sha-256'; CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'; GRANT {WITH_PASSWORD} TO {name}"),
        );
        name
    }

    /// How many sessions of kluis and its children there are.
    pub fn sessions_of_kluis(&self) -> usize {
        self.value("postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kluis'").parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.lock().unwrap().take() {
            stop(&mut child);
        }
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

fn stop(child: &mut Child) {
    let _ = rustix::process::kill_process(rustix::process::Pid::from_child(child), rustix::process::Signal::QUIT);
    let _ = child.wait();
}

/// A database of a cluster.
#[derive(Clone)]
pub struct Database {
    /// Where it is.
    pub cluster: Cluster,
    /// Its name.
    pub name: String,
}

impl Database {
    /// Runs a script in it.
    #[track_caller]
    pub fn sql(&self, script: &str) -> String {
        self.cluster.sql(&self.name, script)
    }

    /// The one value that a query returns.
    #[track_caller]
    pub fn value(&self, query: &str) -> String {
        self.cluster.value(&self.name, query)
    }

    /// A session in it, for threads that do many things.
    pub fn session(&self) -> Session {
        let mut session = Session::connect(&self.cluster.connection(&self.name), &Stop::new()).expect("the server lets us in");
        session.execute("SET search_path = public").expect("a search path can be set");
        session
    }

    /// The URL for `restore --to`; host, port and user come from the environment (see `Kluis::to`).
    pub fn url(&self) -> String {
        let name: String =
            self.name.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect();
        format!("postgresql:///{name}")
    }

    /// What pg_dump says of it.
    #[track_caller]
    pub fn pg_dump(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.cluster.program("pg_dump", &self.name).args(arguments).output().expect("pg_dump starts");
        assert!(output.status.success(), "pg_dump of '{}': {}", self.name, String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

/// The folder of a major's programs, if it is installed.
pub fn bin(major: u32) -> Option<PathBuf> {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/postgres.dirs");
    let text = std::fs::read_to_string(list).unwrap_or_default();
    text.lines().map(PathBuf::from).find(|bin| {
        let version = Command::new(bin.join("postgres")).arg("--version").output();
        version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(&format!("(PostgreSQL) {major}")))
    })
}

/// Whether these programs' server has the files of an extension.
pub fn has_extension(bin: &Path, extension: &str) -> bool {
    let home = bin.parent().unwrap_or(bin);
    let shares = [home.join("share"), home.join("share/postgresql"), Path::new("/usr/share/postgresql").join(home.file_name().unwrap_or_default())];
    shares.iter().any(|share| share.join(format!("extension/{extension}.control")).exists())
}

/// A new folder for a server.
fn home(major: u32) -> PathBuf {
    let home = new_folder(&format!("pg{major}"));
    std::os::unix::fs::chown(&home, server_user().map(|(uid, _)| uid), None).expect("the folder can be given away");
    home
}

/// A program run as the user that may run servers. It is no part of our process group, so that Ctrl-C leaves stopping it to the watcher.
fn as_server_user(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").env("TZ", "UTC").current_dir(folder()).stdin(Stdio::null()).process_group(0);
    if let Some((uid, gid)) = server_user() {
        command.uid(uid).gid(gid);
    }
    command
}

fn or_skip(major: u32, cluster: Option<Cluster>) -> Option<Cluster> {
    if cluster.is_none() {
        // A test's name is its thread's.
        let thread = std::thread::current();
        skip(&format!("'{}': PostgreSQL {major} is not in .cache/postgres.dirs", thread.name().unwrap_or("a test")), "scripts/fetch-postgres");
    }
    cluster
}
