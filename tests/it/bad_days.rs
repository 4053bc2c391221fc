//! Bad input and bad days: each gets its exit code, one clear error with a hint, no secret and no row value in it, and nothing is lost.

use crate::support::cluster::{Cluster, Database};
use crate::support::disk::SmallDisk;
use crate::support::kluis::{Ended, Kluis, Running, kluis};
use crate::support::repo::{Fingerprint, Repo, manifest};
use crate::support::{CANARY, PASSWORD, folder, new_folder, server_user, skip, wait_for, wait_until};
use rustix::process::Signal;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A database on the day before: it has a backup, and rows that nobody may see.
struct Day {
    database: Database,
    repo: Repo,
    before: Fingerprint,
}

/// Rows that compress badly: enough of them that a run can be met in the middle.
const BULK: &str = "CREATE TABLE bulk AS SELECT i AS id, md5(i::text) || md5((-i)::text) || md5((i * 7)::text) AS t FROM generate_series(1, 400000) i";

impl Day {
    fn new(cluster: &Cluster) -> Day {
        Day::keeping(cluster, Repo::new())
    }

    fn keeping(cluster: &Cluster, repo: Repo) -> Day {
        let database = cluster.database("day");
        database.sql(&format!(
            "CREATE TABLE secrets (id serial PRIMARY KEY, v text); INSERT INTO secrets (v) SELECT '{CANARY} ' || i FROM generate_series(1, 100) i"
        ));
        kluis(&["backup"]).of(&database).keeping(&repo).run().done();
        let before = repo.backups_fingerprint();
        Day { database, repo, before }
    }

    /// With enough rows that the next run takes some seconds.
    fn with_much_to_do(cluster: &Cluster) -> Day {
        let day = Day::new(cluster);
        day.database.sql(BULK);
        day
    }

    fn backup(&self, more: &[&str]) -> Kluis {
        let words: Vec<&str> = ["backup"].iter().chain(more).copied().collect();
        kluis(&words).of(&self.database).keeping(&self.repo)
    }

    /// A run that is held while its workers write rows.
    #[track_caller]
    fn held_in_the_middle(&self, kluis: Kluis) -> Running {
        let mut running = kluis.env("BACKUP_COMPRESSION", "smallest").start();
        running.hold_when("rows are being written", || self.repo.script_in_progress() > 300_000);
        running
    }

    /// Earlier backups are as they were, nothing lies about, and the history tells of it.
    #[track_caller]
    fn nothing_is_lost(&self, outcome: &str, error: &str) {
        assert_eq!(self.repo.backups_fingerprint(), self.before);
        assert_eq!(self.repo.leftovers(), [] as [std::path::PathBuf; 0]);
        assert_eq!(self.repo.latest_run(), (outcome.to_owned(), error.to_owned()));
        self.no_session_is_left();
    }

    #[track_caller]
    fn no_session_is_left(&self) {
        let count = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kluis' AND datname = '{}'", self.database.name);
        wait_until("no session of kluis is left", || self.database.value(&count) == "0");
    }

    /// The next run is as if nothing had happened.
    #[track_caller]
    fn the_next_run_is_fine(&self) {
        self.backup(&[]).run().done();
        kluis(&["verify", "--all"]).keeping(&self.repo).run().done();
        assert!(self.before.iter().all(|(path, content)| self.repo.backups_fingerprint().get(path) == Some(content)), "an earlier backup was changed");
        assert_eq!(self.repo.leftovers(), [] as [std::path::PathBuf; 0]);
    }

    /// The processes that serve the run, by what they do.
    fn backends(&self, doing: &str) -> Vec<i32> {
        let query = format!("SELECT pid FROM pg_stat_activity WHERE application_name = 'kluis' AND datname = '{}' AND {doing}", self.database.name);
        self.database.sql(&query).lines().map(|pid| pid.parse().unwrap()).collect()
    }
}

#[test]
fn a_server_that_is_not_there_or_does_not_let_us_in() {
    let Some(cluster) = Cluster::of(16) else { return };
    let day = Day::new(&cluster);
    let role = cluster.role("guest");
    day.backup(&[]).env("DB_HOST", "no-such-host.invalid").run().failed(10, &["no-such-host.invalid"]);
    day.nothing_is_lost("failed", "unreachable");
    day.backup(&[]).env("DB_HOST", "127.0.0.1").env("DB_PORT", "1").run().failed(10, &["127.0.0.1:1"]);
    day.backup(&[]).env("DB_HOST", folder()).run().failed(10, &[]);
    day.backup(&[]).env("DB_DATABASE", "nowhere").run().failed(10, &["nowhere", "does not exist"]);
    day.backup(&[]).role(&role).env("DB_PASSWORD", format!("not {PASSWORD}")).run().failed(10, &["password authentication failed"]);
    day.backup(&[]).env("DB_USERNAME", &role).run().failed(10, &["password"]);
    day.backup(&[]).env("DB_USERNAME", "nobody_here").run().failed(10, &["nobody_here"]);
    day.nothing_is_lost("failed", "unreachable");
    day.the_next_run_is_fine();
}

#[test]
fn a_server_that_is_too_new_for_the_programs_at_hand() {
    let (Some(newer), Some(older)) = (Cluster::of(16), Cluster::of(15)) else { return };
    let day = Day::new(&newer);
    day.backup(&[]).tools(&older).run().failed(10, &["the server is PostgreSQL 16", "found only 15.", "BACKUP_PG_BIN"]);
    day.nothing_is_lost("failed", "refused");
    let empty = new_folder("no_programs");
    day.backup(&[]).env("BACKUP_PG_BIN", &empty).run().failed(10, &["none is installed"]);
}

#[test]
fn a_role_that_may_not_read_everything_is_told_all_of_it_at_once() {
    let Some(cluster) = Cluster::of(16) else { return };
    let day = Day::new(&cluster);
    let role = cluster.role("limited");
    day.database.sql(&format!(
        "DO $$ BEGIN FOR i IN 1..39 LOOP EXECUTE format('CREATE TABLE t%s (id int)', i); END LOOP; END $$;
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role};
        REVOKE SELECT ON t7, t19, t33 FROM {role}; CREATE SCHEMA closed; CREATE TABLE closed.t (id int); CREATE SEQUENCE s; SELECT lo_create(4711)"
    ));
    let refused = day.backup(&[]).role(&role).run().failed(10, &["t7", "t19", "t33", "sequence public.s", "large object 4711", "schema closed"]);
    day.nothing_is_lost("failed", "refused");
    for spared in ["t1:", "t8:", "secrets"] {
        assert!(!refused.stderr.contains(spared), "{spared} can be read: {refused:#?}");
    }
    // What it printed is what helps, as it stands.
    let remedies: Vec<&str> = refused.stderr.lines().map(str::trim).filter(|line| line.starts_with("GRANT ") && line.ends_with(';')).collect();
    assert_eq!(remedies.len(), 7, "{refused:#?}");
    day.database.sql(&remedies.concat());
    day.backup(&[]).role(&role).run().warned(&["role passwords are not in the globals"]);
    assert_eq!(manifest(&day.repo.newest()).tables.len(), 41);
}

#[test]
fn row_level_security_that_would_hide_rows() {
    let Some(cluster) = Cluster::of(16) else { return };
    let day = Day::new(&cluster);
    let role = cluster.role("subject");
    day.database.sql(&format!(
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role};
        ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON secrets USING (id < 3);
        CREATE TABLE owned (id int); ALTER TABLE owned OWNER TO {role}; ALTER TABLE owned ENABLE ROW LEVEL SECURITY"
    ));
    let refused = day.backup(&[]).role(&role).run().failed(10, &["table public.secrets", "row-level security", &format!("ALTER ROLE {role} BYPASSRLS;")]);
    assert!(!refused.stderr.contains("owned"), "an owner is not subject to it: {refused:#?}");
    day.nothing_is_lost("failed", "refused");
    day.database.sql("ALTER TABLE owned FORCE ROW LEVEL SECURITY");
    day.backup(&[]).role(&role).run().failed(10, &["table public.owned"]);
    cluster.sql("postgres", &format!("ALTER ROLE {role} BYPASSRLS"));
    day.backup(&[]).role(&role).run().warned(&["role passwords"]);
    assert_eq!(manifest(&day.repo.newest()).tables.iter().find(|table| table.name == "secrets").unwrap().rows, 100);
}

/// A real PgBouncer before a cluster: the process, and the folder of its socket. Ends with the value.
pub struct Bouncer(Child, pub std::path::PathBuf);

impl Bouncer {
    /// One in this mode, with these lines of settings.
    pub fn start(cluster: &Cluster, mode: &str, more: &str) -> Bouncer {
        let home = new_folder("pgbouncer");
        let (uid, gid) = server_user().map_or((None, None), |(uid, gid)| (Some(uid), Some(gid)));
        std::os::unix::fs::chown(&home, uid, gid).unwrap();
        let text = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {home}\nauth_type = any\nuser =\npool_mode = {mode}\n\
            pidfile = {home}/bouncer.pid\nlogfile = {home}/log\nignore_startup_parameters = extra_float_digits\n{more}",
            cluster.socket().display(),
            cluster.port(),
            home = home.display()
        );
        // `auth_type = any` logs everybody in as one user.
        std::fs::write(home.join("ini"), text.replace("* = host", "* = user=postgres host").replace("user =\n", "")).unwrap();
        let mut command = Command::new("/usr/sbin/pgbouncer");
        command.arg(home.join("ini")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(folder());
        if let Some((uid, gid)) = server_user() {
            use std::os::unix::process::CommandExt;
            command.uid(uid).gid(gid);
        }
        let bouncer = Bouncer(command.spawn().expect("pgbouncer starts"), home.clone());
        wait_until("pgbouncer listens", || home.join(".s.PGSQL.6432").exists());
        bouncer
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn pgbouncer_in_transaction_mode_is_refused_and_in_session_mode_it_works() {
    if !Path::new("/usr/sbin/pgbouncer").exists() {
        return skip("PgBouncer is not installed", "scripts/setup test");
    }
    let Some(cluster) = Cluster::of(15) else { return };
    let day = Day::new(&cluster);
    for (mode, refused) in [("transaction", true), ("statement", true), ("session", false)] {
        let bouncer = Bouncer::start(&cluster, mode, "");
        let through = day.backup(&[]).env("DB_HOST", &bouncer.1).env("DB_PORT", "6432").run();
        if refused {
            through.failed(10, &["pooler", "session"]);
            assert_eq!(day.repo.backups_fingerprint(), day.before);
        } else {
            through.done();
            kluis(&["verify"]).keeping(&day.repo).run().done();
        }
    }
}

#[test]
fn a_disk_that_fills_up_in_the_middle() {
    let Some(disk) = SmallDisk::mount("12m") else { return };
    let Some(cluster) = Cluster::of(16) else { return };
    let day = Day::keeping(&cluster, Repo::at(disk.0.clone()));
    day.database.sql("CREATE TABLE noise AS SELECT sha512(i::text::bytea) AS b FROM generate_series(1, 300000) i");
    day.backup(&["--jobs", "4"]).run().failed(14, &["space", "earlier backups were not touched"]);
    day.nothing_is_lost("failed", "storage");
    day.database.sql("DROP TABLE noise; SELECT lo_from_bytea(0, string_agg(sha512(i::text::bytea), '')) FROM generate_series(1, 300000) i");
    day.backup(&[]).run().failed(14, &["space", "earlier backups were not touched"]);
    day.nothing_is_lost("failed", "storage");
    // In the schema, which pg_dump writes.
    day.database.sql("SELECT lo_unlink(oid) FROM pg_largeobject_metadata; CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SELECT'");
    day.database.sql(
        "DO $$ BEGIN FOR i IN 1..200 LOOP EXECUTE format('COMMENT ON COLUMN secrets.v IS %L; CREATE VIEW v%s AS SELECT %L::text AS t', '', i,
            (SELECT string_agg(encode(sha512((i * 10000 + j)::text::bytea), 'base64'), '') FROM generate_series(1, 1000) j)); END LOOP; END $$",
    );
    day.backup(&[]).run().failed(14, &["space", "earlier backups were not touched"]);
    day.nothing_is_lost("failed", "storage");
    day.database.sql("DO $$ BEGIN FOR i IN 1..200 LOOP EXECUTE format('DROP VIEW v%s', i); END LOOP; END $$");
    day.the_next_run_is_fine();
    // Preflight sees it coming, once the last backup says how much is needed.
    let left = rustix::fs::statvfs(&disk.0).unwrap();
    std::fs::write(disk.0.join("something else"), vec![1; (left.f_bavail * left.f_frsize) as usize - (100 << 10)]).unwrap();
    day.backup(&[]).run().failed(14, &["free", "needs about"]);
}

#[test]
fn a_folder_that_is_not_ours_to_write_to() {
    let Some(cluster) = Cluster::of(16) else { return };
    let day = Day::new(&cluster);
    // A link may lead anywhere: to the repository, and to a target in it.
    let link = folder().join("link");
    symlink(&day.repo.root, &link).unwrap();
    day.backup(&[]).env("BACKUP_DIR", &link).run().failed(14, &["is a symbolic link"]);
    symlink(day.repo.folder(), day.repo.root.join("linked")).unwrap();
    day.backup(&[]).env("BACKUP_TARGET", "linked").run().failed(14, &["is a symbolic link"]);
    day.backup(&[]).env("BACKUP_DIR", folder().join("not/there")).run().failed(14, &["not/there"]);
    let file = folder().join("a file");
    std::fs::write(&file, "").unwrap();
    day.backup(&[]).env("BACKUP_DIR", &file).run().failed(14, &["is not a folder"]);
    std::fs::set_permissions(&day.repo.root, std::fs::Permissions::from_mode(0o777)).unwrap();
    day.backup(&[]).run().failed(14, &["can be written to by every user", "chmod o-w"]);
    std::fs::set_permissions(&day.repo.root, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(day.repo.backups_fingerprint(), day.before);

    // Root may write everywhere, so somebody else has to try.
    let Some(user) = server_user() else { return skip("a folder that may not be written to, as root's", "the tests as root") };
    let reachable =
        Path::new(env!("CARGO_BIN_EXE_kluis")).ancestors().skip(1).all(|folder| folder.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 1 == 1));
    if !reachable {
        return skip("a folder that may not be written to: other users cannot reach the binary", "the tests in a folder that others may enter");
    }
    let theirs = new_folder("theirs");
    std::os::unix::fs::chown(&theirs, Some(user.0), Some(user.1)).unwrap();
    std::fs::set_permissions(&theirs, std::fs::Permissions::from_mode(0o500)).unwrap();
    day.backup(&[]).env("BACKUP_DIR", &theirs).user(user).run().failed(14, &["ermission denied", "writable for the user"]);
    let ours = new_folder("ours");
    day.backup(&[]).env("BACKUP_DIR", &ours).user(user).run().failed(14, &["belongs to user 0", "chown"]);
}

#[test]
fn a_volume_that_is_mounted_read_only() {
    let Some(disk) = SmallDisk::mount("8m") else { return };
    let Some(cluster) = Cluster::of(16) else { return };
    let day = Day::keeping(&cluster, Repo::at(disk.0.clone()));
    assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.0).status().unwrap().success());
    day.backup(&[]).run().failed(14, &["ead-only file system", "mounted read-only"]);
    kluis(&["verify"]).keeping(&day.repo).run();
    kluis(&["list"]).keeping(&day.repo).run().done();
    assert_eq!(day.repo.backups_fingerprint(), day.before);
}

#[test]
fn foreign_files_in_the_repository_are_left_alone() {
    let Some(cluster) = Cluster::of(16) else { return };
    let day = Day::new(&cluster);
    let (root, target) = (&day.repo.root, day.repo.folder());
    let far = new_folder("far");
    std::fs::write(far.join("precious"), "precious").unwrap();
    for folder in ["20260125T030000Z.bak", ".staging-mine", ".staging-20260125T030000", ".deleting-", "lost+found"] {
        std::fs::create_dir(target.join(folder)).unwrap();
        std::fs::write(target.join(folder).join("file"), "mine").unwrap();
    }
    for file in ["notes.txt", "20260125T030000Z", ".staging-20260125T030000Z", "-rf", "new\nline"] {
        std::fs::write(target.join(file), "mine").unwrap();
    }
    symlink(&far, target.join(".staging-20260125T030001Z")).unwrap();
    symlink(&far, target.join("20260125T030001Z")).unwrap();
    std::fs::write(root.join("notes.txt"), "mine").unwrap();
    std::fs::create_dir(root.join("not a target")).unwrap();
    let ours = |path: &std::path::PathBuf| path.ends_with("history.jsonl") || path.ends_with("latest");
    let before = day.repo.fingerprint();
    let (mut ended, far_before) = (day.backup(&[]).run(), std::fs::read_dir(&far).unwrap().count());
    ended.stderr.retain(|c| c != '\n');
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:#?}");
    let after = day.repo.fingerprint();
    for (path, content) in before.iter().filter(|(path, _)| !ours(path)) {
        assert_eq!(after.get(path), Some(content), "{path:?}");
    }
    assert_eq!(far_before, 1);
    // A real folder where the link to the newest backup should be, and a link where the history should be.
    std::fs::remove_file(target.join("latest")).unwrap();
    std::fs::create_dir(target.join("latest")).unwrap();
    std::fs::rename(target.join("history.jsonl"), far.join("history")).unwrap();
    symlink(far.join("precious"), target.join("history.jsonl")).unwrap();
    day.backup(&[]).run().warned(&["latest", "history"]);
    assert_eq!(std::fs::read_to_string(far.join("precious")).unwrap(), "precious");
}

#[test]
fn a_server_that_is_stopped_in_the_middle() {
    let Some(cluster) = Cluster::own(15, &[]) else { return };
    let day = Day::with_much_to_do(&cluster);
    let running = day.held_in_the_middle(day.backup(&["--jobs", "2"]));
    cluster.stop_immediately();
    running.go_on();
    running.wait().failed(10, &[]);
    assert_eq!(day.repo.backups_fingerprint(), day.before);
    assert_eq!((day.repo.leftovers().len(), day.repo.latest_run()), (0, ("failed".to_owned(), "unreachable".to_owned())));
}

#[test]
fn a_session_that_is_ended_in_the_middle() {
    let Some(cluster) = Cluster::of(14) else { return };
    let day = Day::with_much_to_do(&cluster);
    for (doing, said) in [("query LIKE 'COPY%'", ""), ("state = 'idle in transaction'", "the session that held the snapshot was lost")] {
        let running = day.held_in_the_middle(day.backup(&["--jobs", "2"]));
        let victim = wait_for("somebody does this", || day.backends(doing).pop());
        day.database.sql(&format!("SELECT pg_terminate_backend({victim})"));
        wait_until("the session has ended", || !Path::new(&format!("/proc/{victim}")).exists());
        running.go_on();
        running.wait().failed(10, &[said]);
        day.nothing_is_lost("failed", "unreachable");
    }
    day.the_next_run_is_fine();
}

#[test]
fn tables_that_others_want_to_drop_or_rewrite_in_the_middle() {
    let Some(cluster) = Cluster::of(17) else { return };
    let day = Day::with_much_to_do(&cluster);
    let wishes =
        ["DROP TABLE t0", "TRUNCATE t1", "VACUUM FULL t2", "ALTER TABLE t3 ALTER id TYPE text", "ALTER TABLE bulk ADD COLUMN more int DEFAULT random()"];
    for number in 0..4 {
        day.database.sql(&format!("CREATE TABLE t{number} AS SELECT i AS id FROM generate_series(1, 1000) i"));
    }
    let running = day.held_in_the_middle(day.backup(&["--jobs", "1"]));
    let others: Vec<_> = wishes
        .into_iter()
        .map(|wish| {
            let database = day.database.clone();
            std::thread::spawn(move || database.sql(wish))
        })
        .collect();
    wait_until("all of them wait", || day.database.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'") == "5");
    running.go_on();
    running.wait().done();
    others.into_iter().for_each(|other| drop(other.join().unwrap()));
    kluis(&["verify"]).keeping(&day.repo).run().done();
    let rows: Vec<(String, u64)> = manifest(&day.repo.newest()).tables.into_iter().map(|table| (table.name, table.rows)).collect();
    let expected = [("bulk", 400_000), ("secrets", 100), ("t0", 1000), ("t1", 1000), ("t2", 1000), ("t3", 1000)];
    assert_eq!(rows, expected.map(|(name, rows)| (name.to_owned(), rows)));
    assert_eq!(day.database.value("SELECT count(*) FROM t1"), "0");
}

#[test]
fn a_lock_that_somebody_holds() {
    let Some(cluster) = Cluster::of(13) else { return };
    let day = Day::new(&cluster);
    day.database
        .sql("CREATE TABLE parted (id int) PARTITION BY LIST (id); CREATE TABLE parted_1 PARTITION OF parted DEFAULT; CREATE VIEW seen AS SELECT 1 AS one");
    // Of a table that Kluis locks, and of things that pg_dump looks at.
    for statement in [
        "ALTER TABLE secrets ADD COLUMN more int",
        "TRUNCATE secrets",
        "LOCK TABLE ONLY parted IN ACCESS EXCLUSIVE MODE",
        "ALTER TABLE parted ADD COLUMN more int",
    ] {
        let mut other = day.database.session();
        other.execute(&format!("BEGIN; {statement}")).unwrap();
        let ended = day.backup(&[]).env("BACKUP_LOCK_WAIT", "1s").run().failed(15, &["lock", "BACKUP_LOCK_WAIT"]);
        assert!(ended.took < Duration::from_secs(30), "{statement}: {ended:#?}");
        day.nothing_is_lost("failed", "timed-out");
        other.execute("ROLLBACK").unwrap();
    }
    day.the_next_run_is_fine();
}

#[test]
fn a_second_run_while_one_is_in_progress() {
    let Some(cluster) = Cluster::of(16) else { return };
    let day = Day::with_much_to_do(&cluster);
    let first = day.held_in_the_middle(day.backup(&[]));
    day.backup(&[]).run().failed(11, &["another run of target 'app' is in progress", "BACKUP_LOCK_TIMEOUT"]);
    assert_eq!(day.repo.latest_run(), ("skipped".to_owned(), "locked".to_owned()));
    assert_eq!(day.repo.leftovers().len(), 1, "the run in progress was swept");
    let patient = day.backup(&[]).env("BACKUP_LOCK_TIMEOUT", "2m").start();
    first.go_on();
    first.wait().done();
    patient.wait().done();
    assert_eq!(day.repo.backups().len(), 3);
    kluis(&["verify", "--all"]).keeping(&day.repo).run().done();
}

/// Moments of a run, spread over all of it, never the same ones.
fn moments(count: u32, whole: Duration) -> impl Iterator<Item = Duration> {
    let salt = Instant::now().elapsed().subsec_nanos().wrapping_add(std::process::id());
    (0..count).map(move |number| whole * (number * 97 + salt % 97) / (count * 97))
}

#[test]
fn a_signal_at_any_moment_ends_a_run_at_once() {
    let Some(cluster) = Cluster::of(16) else { return };
    let mut day = Day::with_much_to_do(&cluster);
    let whole = day.backup(&["--jobs", "2"]).env("BACKUP_COMPRESSION", "smallest").run().done().took;
    day.before = day.repo.backups_fingerprint();
    for (number, moment) in moments(8, whole).enumerate() {
        let running = day.backup(&["--jobs", "2"]).env("BACKUP_COMPRESSION", "smallest").start();
        std::thread::sleep(moment);
        let asked = Instant::now();
        running.signal(if number % 2 == 0 { Signal::TERM } else { Signal::INT });
        let ended = running.wait();
        assert!(asked.elapsed() < Duration::from_secs(10), "at {moment:?}: {ended:#?}");
        match (ended.code, ended.signal) {
            (Some(130), _) => {
                ended.failed(130, &["signal"]);
                day.nothing_is_lost("failed", "interrupted");
            }
            // It came before the run began, or after it was done.
            (None, Some(_)) => assert_eq!(day.repo.leftovers().len(), 0),
            (Some(0), _) => day.before = day.repo.backups_fingerprint(),
            _ => panic!("at {moment:?}: {ended:#?}"),
        }
        day.no_session_is_left();
    }
    day.the_next_run_is_fine();
}

#[test]
fn a_run_that_is_killed_at_any_moment_leaves_nothing_that_looks_like_a_backup() {
    let Some(cluster) = Cluster::of(18) else { return };
    let day = Day::with_much_to_do(&cluster);
    let whole = day.backup(&["--jobs", "2"]).env("BACKUP_COMPRESSION", "smallest").run().done().took;
    for moment in moments(8, whole) {
        let running = day.backup(&["--jobs", "2"]).env("BACKUP_COMPRESSION", "smallest").start();
        std::thread::sleep(moment);
        running.signal(Signal::KILL);
        let ended = running.wait();
        assert!(ended.signal == Some(9) || ended.code == Some(0), "{ended:#?}");
        // pg_dump and its relatives go with it.
        day.no_session_is_left();
        kluis(&["verify", "--all"]).keeping(&day.repo).run().done();
    }
    day.the_next_run_is_fine();
    assert_eq!(day.repo.history().iter().filter(|run| run["outcome"] == "failed").count(), 0, "the dead write no history");
}

#[test]
fn a_prune_clears_away_what_a_killed_one_left() {
    let Some(cluster) = Cluster::of(16) else { return };
    let day = Day::new(&cluster);
    let (left, mine) = (day.repo.folder().join(".deleting-20200101T000000Z"), day.repo.folder().join(".deleting-mine"));
    for folder in [&left, &mine] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("manifest.json"), "{").unwrap();
    }
    kluis(&["prune", "--dry-run"]).keeping(&day.repo).run();
    assert!(left.exists(), "a dry run changes nothing");
    kluis(&["prune"]).keeping(&day.repo).run().done();
    assert!(!left.exists() && mine.exists());
    assert_eq!(day.repo.backups_fingerprint(), day.before);
}

/// Stops the processes of the server that serve a run, as a network that swallows everything would. They go on with the value's end.
struct Frozen(Vec<i32>);

impl Frozen {
    fn backends(pids: Vec<i32>) -> Frozen {
        pids.iter().for_each(|pid| send(*pid, Signal::STOP));
        Frozen(pids)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.iter().for_each(|pid| send(*pid, Signal::CONT));
    }
}

fn send(pid: i32, signal: Signal) {
    let _ = rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal);
}

#[test]
fn a_server_that_falls_silent_and_a_deadline_that_passes() {
    let Some(cluster) = Cluster::of(16) else { return };
    let day = Day::with_much_to_do(&cluster);
    for (setting, limit, said) in [("BACKUP_STALL_TIMEOUT", "2s", "no data moved for 2 s"), ("BACKUP_DEADLINE", "5s", "not done within the time limit of 5 s")]
    {
        let running = day.held_in_the_middle(day.backup(&["--jobs", "1"]).env(setting, limit));
        let frozen = Frozen::backends(wait_for("a worker reads", || Some(day.backends("query LIKE 'COPY%'")).filter(|pids| !pids.is_empty())));
        running.go_on();
        let ended = running.wait().failed(15, &[said, setting]);
        assert!(ended.took < Duration::from_secs(40), "{ended:#?}");
        drop(frozen);
        day.nothing_is_lost("failed", "timed-out");
    }
    day.the_next_run_is_fine();
}

#[test]
fn rows_that_a_restore_cannot_place_are_not_told() {
    let Some(cluster) = Cluster::of(16) else { return };
    let day = Day::new(&cluster);
    let restore = |into: &Database, more: &[&str]| -> Ended {
        let url = into.url();
        let words: Vec<&str> = ["restore", "latest", "--to", &url].iter().chain(more).copied().collect();
        kluis(&words).keeping(&day.repo).into(&cluster).run()
    };
    // PostgreSQL's own messages for each of these carry the row.
    for (table, named) in [
        ("v text CHECK (v NOT LIKE 'kluis%')", "secrets"),
        ("v int", "secrets"),
        ("v varchar(5)", "secrets"),
        ("v text, CONSTRAINT once EXCLUDE USING btree ((left(v, 5)) WITH =)", "once"),
        ("v text, w text NOT NULL", "secrets"),
    ] {
        let place = cluster.database("narrow");
        place.sql(&format!("CREATE TABLE secrets (id serial PRIMARY KEY, {table})"));
        restore(&place, &["--table", "secrets"]).failed_somehow(1, &[named]);
        assert_eq!(place.value("SELECT count(*) FROM secrets"), "0");
    }
    // A check that the rows broke before it was there: pg_dump restores it after them.
    day.database.sql("CREATE FUNCTION fine(text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true'; ALTER TABLE secrets ADD CHECK (fine(v))");
    day.database.sql("CREATE OR REPLACE FUNCTION fine(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION 'bad row %', $1; END $$");
    day.backup(&[]).run().done();
    restore(&cluster.database("broken"), &[]).failed_somehow(1, &["secrets"]);
}
