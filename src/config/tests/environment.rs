//! Single values, their `_FILE` forms, and variables that are refused for their names.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use super::Fake;
use crate::config::*;

/// One variable beside a complete environment, and the one problem that it gives.
#[track_caller]
fn check(name: &str, value: &str, expected: &str) {
    Fake::complete(&[(name, value)]).fails(&[&format!("{name}: {expected}")]);
}

/// One variable that is right.
#[track_caller]
fn fits(name: &str, value: &str) -> Target {
    Fake::complete(&[(name, value)]).only()
}

#[test]
fn defaults() {
    let config = Fake::complete(&[]).config();
    let common = &config.common;
    assert_eq!((common.dir.to_str(), common.scratch_dir.to_str()), (Some("/backups"), Some("/tmp/kluis")));
    assert_eq!((common.log.clone(), common.log_format, common.time_zone_name.as_str()), (LogTarget::Stderr, LogFormat::Text, "UTC"));
    assert!(common.pg_bin.is_none() && config.warnings.is_empty());
    let target = &config.targets[0];
    assert_eq!((target.name.as_str(), target.settings.jobs, target.settings.compression), ("app", 4, Compression::Fast));
    let settings = &target.settings;
    assert_eq!(settings.schedule.expression(), "0 3 * * *");
    let policy = &settings.policy;
    assert_eq!((policy.days, policy.daily, policy.weekly, policy.monthly, policy.yearly, policy.keep_min), (7, 0, 0, 0, 0, 3));
    assert!(matches!(settings.drill, Drill::EveryBackup) && settings.assertions.is_none());
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    assert_eq!((settings.max_age, settings.deadline), (None, hours(6)));
    assert_eq!((settings.lock_timeout, settings.lock_wait, settings.stall_timeout), (Duration::ZERO, Duration::from_secs(30), Duration::from_secs(900)));
}

#[test]
fn every_key_is_in_use() {
    let config = Fake::new(&[("DATABASE_URL", "postgres://u@h/d")]).config();
    let shown: std::collections::BTreeSet<&str> = config.render().iter().map(|row| row.key).collect();
    let known: std::collections::BTreeSet<&str> = keys::ALL.iter().map(|key| key.name()).collect();
    assert_eq!(shown, known);
    assert_eq!(keys::find("BACKUP_JOBS").unwrap().flag, Some("--jobs"));
    assert_eq!(keys::find("jobs"), None);
}

#[test]
fn counts() {
    let jobs = "hint: use a whole number from 1 to 64";
    check("BACKUP_JOBS", "0", &format!("'0' is less than 1; {jobs}"));
    check("BACKUP_JOBS", "65", &format!("'65' is more than 64; {jobs}"));
    check("BACKUP_JOBS", "-3", &format!("'-3' is negative; {jobs}"));
    check("BACKUP_JOBS", "abc", &format!("'abc' is not a whole number; {jobs}"));
    check("BACKUP_JOBS", "4.0", &format!("'4.0' is not a whole number; {jobs}"));
    check("BACKUP_JOBS", "1e9", &format!("'1e9' is not a whole number; {jobs}"));
    check("BACKUP_JOBS", "+4", &format!("'+4' is not a whole number; {jobs}"));
    check("BACKUP_JOBS", "0x4", &format!("'0x4' is not a whole number; {jobs}"));
    check("BACKUP_JOBS", "٤", &format!("'٤' is not a whole number; {jobs}"));
    check("BACKUP_JOBS", "-", &format!("'-' is not a whole number; {jobs}"));
    check("BACKUP_JOBS", "4294967297", &format!("'4294967297' is more than 64; {jobs}"));
    check("BACKUP_JOBS", "99999999999999999999999999", &format!("'99999999999999999999999999' is more than 64; {jobs}"));
    let days = "hint: use a whole number from 0 to 36500";
    check("BACKUP_RETENTION_DAYS", "-1", &format!("'-1' is negative; {days}"));
    check("BACKUP_RETENTION_DAYS", "1e9", &format!("'1e9' is not a whole number; {days}"));
    check("BACKUP_RETENTION_DAYS", "1000000000", &format!("'1000000000' is more than 36500; {days}"));
    check("BACKUP_RETENTION_DAYS", "7d", &format!("'7d' is not a whole number; {days}"));
    check("BACKUP_RETENTION_DAYS", "2026-02-30", &format!("'2026-02-30' is not a whole number; {days}"));
    check("BACKUP_KEEP_DAILY", "x", &format!("'x' is not a whole number; {days}"));
    check("BACKUP_KEEP_WEEKLY", "5201", "'5201' is more than 5200; hint: use a whole number from 0 to 5200");
    check("BACKUP_KEEP_MONTHLY", "-0", "'-0' is negative; hint: use a whole number from 0 to 1200");
    check("BACKUP_KEEP_YEARLY", "101", "'101' is more than 100; hint: use a whole number from 0 to 100");
    check("BACKUP_KEEP_MIN", "0", "'0' is less than 1; hint: use a whole number from 1 to 36500");
    assert_eq!(fits("BACKUP_JOBS", "64").settings.jobs, 64);
    assert_eq!(fits("BACKUP_JOBS", " 1 ").settings.jobs, 1);
    assert_eq!(fits("BACKUP_JOBS", "008").settings.jobs, 8);
    assert_eq!(fits("BACKUP_RETENTION_DAYS", "0").settings.policy.days, 0);
    assert_eq!(fits("BACKUP_KEEP_WEEKLY", "5").settings.policy.weekly, 5);
}

#[test]
fn durations() {
    check("BACKUP_LOCK_WAIT", "0s", "'0s' is less than 1s; hint: use a duration from 1s to 1d, such as 30s");
    check("BACKUP_LOCK_WAIT", "2d", "'2d' is more than 1d; hint: use a duration from 1s to 1d, such as 30s");
    check("BACKUP_MAX_AGE", "26", "'26' is less than 1m; hint: use auto, or a duration from 1m to 3660d, such as 26h");
    check("BACKUP_STALL_TIMEOUT", "0", "'0' is less than 1s; hint: use a duration from 1s to 7d, such as 15m");
    check("BACKUP_DEADLINE", "31d", "'31d' is more than 30d; hint: use a duration from 1s to 30d, such as 6h");
    check("BACKUP_LOCK_TIMEOUT", "8d", "'8d' is more than 7d; hint: use a duration from 0s to 7d, such as 15m");
    for bad in ["abc", "-5s", "5 parsecs", "1.5h", "99999999999999999999d", "26H"] {
        let problems = Fake::complete(&[("BACKUP_MAX_AGE", bad)]).load().unwrap_err().to_string();
        assert!(problems.starts_with(&format!("BACKUP_MAX_AGE: '{bad}' is not a duration: ")) && !problems.contains('\n'), "{problems}");
    }
    check("BACKUP_MAX_AGE", "h\u{1b}[31m", "'h\\u{1b}[31m' is not understood; hint: use auto, or a duration from 1m to 3660d, such as 26h");
    let max_age = |text| fits("BACKUP_MAX_AGE", text).settings.max_age;
    assert_eq!((max_age("auto"), max_age("26h")), (None, Some(Duration::from_secs(26 * 3600))));
    assert_eq!(fits("BACKUP_LOCK_TIMEOUT", "90s").settings.lock_timeout, Duration::from_secs(90));
}

#[test]
fn words() {
    check("BACKUP_COMPRESSION", "fats", "unknown value 'fats'; hint: did you mean 'fast'?");
    check("BACKUP_COMPRESSION", "zstd", "unknown value 'zstd'; hint: use fast, small or smallest");
    check("BACKUP_COMPRESSION", "Fast", "unknown value 'Fast'; hint: did you mean 'fast'?");
    check("BACKUP_LOG_FORMAT", "xml", "unknown value 'xml'; hint: use text or json");
    check("BACKUP_LOG", "stdout", "unknown value 'stdout'; hint: use the path of a file, stderr or off");
    check("BACKUP_LOG", "stdrr", "unknown value 'stdrr'; hint: did you mean 'stderr'?");
    check("BACKUP_DRILL", "never", "unknown value 'never'; hint: use every-backup, off, or a cron expression such as '0 5 * * 0'");
    check("BACKUP_DRILL", "every_backup", "unknown value 'every_backup'; hint: did you mean 'every-backup'?");
    check("DB_SSLMODE", "verify_full", "unknown value 'verify_full'; hint: did you mean 'verify-full'?");
    check("DB_SSLMODE", "on", "unknown value 'on'; hint: use disable, allow, prefer, require, verify-ca or verify-full");
    assert_eq!(fits("BACKUP_COMPRESSION", "smallest").settings.compression, Compression::Smallest);
    assert!(matches!(fits("BACKUP_DRILL", "off").settings.drill, Drill::Off));
    assert!(matches!(fits("BACKUP_DRILL", "@weekly").settings.drill, Drill::Cron(cron) if cron.expression() == "@weekly"));
}

#[test]
fn schedules_and_zones() {
    for bad in ["0 0 30 2 *", "61 * * * *", "* * * *", "whenever", "@reboot"] {
        let problems = Fake::complete(&[("BACKUP_SCHEDULE", bad)]).load().unwrap_err().to_string();
        assert!(problems.starts_with("BACKUP_SCHEDULE: ") && problems.contains(bad) && problems.contains("; hint: ") && !problems.contains('\n'), "{problems}");
    }
    check("BACKUP_TIMEZONE", "Europe/Amsterdm", "unknown time zone 'Europe/Amsterdm'; hint: did you mean 'Europe/Amsterdam'?");
    check("BACKUP_TIMEZONE", "Mars/Olympus", "unknown time zone 'Mars/Olympus'; hint: use an IANA time zone such as Europe/Amsterdam");
    check("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", "unknown time zone 'CET-1CEST,M3.5.0,M10.5.0/3'; hint: use an IANA time zone such as Europe/Amsterdam");
    let zone = |vars: &[(&str, &str)]| Fake::complete(vars).config().common.time_zone_name;
    assert_eq!(zone(&[("BACKUP_TIMEZONE", "europe/amsterdam")]), "Europe/Amsterdam");
    assert_eq!(zone(&[("TZ", ":Europe/Amsterdam")]), "Europe/Amsterdam");
    assert_eq!(zone(&[("TZ", "nonsense"), ("BACKUP_TIMEZONE", "UTC")]), "UTC");
    let target = Fake::complete(&[("BACKUP_TIMEZONE", "Europe/Amsterdam")]).only();
    assert_eq!(target.settings.schedule.time_zone().iana_name(), Some("Europe/Amsterdam"));
    assert_eq!(target.settings.policy.time_zone.iana_name(), Some("Europe/Amsterdam"));
}

#[test]
fn paths() {
    for root in ["/", "//", "/.", "/..", "/a/.."] {
        let problems = Fake::complete(&[("BACKUP_DIR", root)]).load().unwrap_err().to_string();
        assert!(problems.contains("is the root of the file system; hint: use the path of a folder of its own"), "{problems}");
    }
    check("BACKUP_DIR", "~/backups", "'~/backups' starts with '~', which only a shell understands; hint: write the whole path");
    check("BACKUP_DIR", "\"/backups\"", "the value has quotes around it; hint: leave them out: docker's --env-file takes them as part of the value");
    check("BACKUP_SCRATCH_DIR", "/backups", "the scratch folder '/backups' and the repository '/backups' overlap; hint: use two folders beside each other");
    check(
        "BACKUP_SCRATCH_DIR",
        "/backups/scratch",
        "the scratch folder '/backups/scratch' and the repository '/backups' overlap; hint: use two folders beside each other",
    );
    check("BACKUP_DIR", "/tmp/kluis/b", "the scratch folder '/tmp/kluis' and the repository '/tmp/kluis/b' overlap; hint: use two folders beside each other");
    check(
        "BACKUP_PG_BIN",
        "/opt/pg",
        "cannot find the folder '/opt/pg': no such file or folder; hint: name a folder that kluis can read, mounted into its container",
    );
    check(
        "BACKUP_ASSERTIONS",
        "checks",
        "cannot find the folder '/srv/checks': no such file or folder; hint: name a folder that kluis can read, mounted into its container",
    );
    Fake::complete(&[("BACKUP_LOG", "/var/log")])
        .folder("/var/log")
        .fails(&["BACKUP_LOG: '/var/log' is a folder; hint: use the path of a file, stderr or off"]);
    check("BACKUP_DIR", "postgres://u:hunter2@h/d", "the value is a connection string (not shown); hint: write a path");
    check("BACKUP_DIR", "/backups\r", "the value ends in a carriage return; hint: save the file that it was typed in with Unix line ends");
    Fake::complete(&[("BACKUP_ASSERTIONS", "/a.sql")])
        .file("/a.sql", 0o644, "")
        .fails(&["BACKUP_ASSERTIONS: '/a.sql' is not a folder; hint: name a folder that kluis can read, mounted into its container"]);
    let dir = |dir: &str| Fake::complete(&[("BACKUP_DIR", dir)]).config().common.dir.to_str().unwrap().to_owned();
    assert_eq!((dir("backups/./x/").as_str(), dir("/a//b").as_str()), ("/srv/backups/x", "/a/b"));
    let fake = Fake::complete(&[("BACKUP_SCRATCH_DIR", "/backups/.scratch"), ("BACKUP_ASSERTIONS", "/checks"), ("BACKUP_LOG", "./k.log")]).folder("/checks");
    let config = fake.config();
    assert_eq!(config.targets[0].settings.assertions.as_deref().unwrap().to_str(), Some("/checks"));
    assert_eq!(config.common.log, LogTarget::File("/srv/k.log".into()));
    let beside = Fake::complete(&[]).file("/backups/log/kluis.log", 0o600, "");
    assert_eq!(beside.config().common.log, LogTarget::File("/backups/log/kluis.log".into()));
    let mut serving = Fake::complete(&[]);
    serving.flags.serving = true;
    assert_eq!(serving.config().common.log, LogTarget::File("/backups/log/kluis.log".into()));
    assert_eq!(Fake::complete(&[("TMPDIR", "/big")]).config().common.scratch_dir.to_str(), Some("/big/kluis"));
}

#[test]
fn names() {
    let hint = "hint: use 1 to 63 of a-z, 0-9, dot, dash and underscore, a letter or digit first, and neither 'log' nor 'latest'";
    for bad in ["log", "latest", ".hidden", "-x", "App", "a b", "a/b", "..", &"x".repeat(64)[..60], "één"] {
        if bad.len() == 60 {
            assert_eq!(fits("BACKUP_TARGET", bad).name, bad);
        } else {
            check("BACKUP_TARGET", bad, &format!("'{bad}' cannot be a target's name; {hint}"));
        }
    }
    check("BACKUP_TARGET", &"x".repeat(64), &format!("'{}…' cannot be a target's name; {hint}", "x".repeat(60)));
    let derived = |database: &str| Fake::complete(&[("DB_DATABASE", database)]).only().name;
    assert_eq!((derived("AimTrack Production").as_str(), derived("_x").as_str(), derived("köln.1").as_str()), ("aimtrack-production", "x", "k-ln.1"));
    Fake::complete(&[("DB_DATABASE", "latest")]).fails(&["BACKUP_TARGET: not set, and the database's name 'latest' cannot be a target's; hint: set it to 1 to 63 of a-z, 0-9, dot, dash and underscore, a letter or digit first, and neither 'log' nor 'latest'"]);
    assert_eq!(Fake::complete(&[("BACKUP_TARGET", "one")]).target("two").only().name, "two");
}

#[test]
fn unknown_variables_are_refused_with_a_guess() {
    check("BACKUP_JOB", "4", "unknown variable; hint: did you mean BACKUP_JOBS?");
    check("BACKUP_RETENTION", "4", "unknown variable; hint: did you mean BACKUP_RETENTION_DAYS?");
    check("BACKUP_CRON", "* * * * *", "unknown variable; hint: did you mean BACKUP_SCHEDULE?");
    check("KLUIS_CONFIG_FILE", "/x", "unknown variable; hint: did you mean KLUIS_CONFIG?");
    check("BACKUP_S3_BUCKET", "", "unknown variable; hint: unset it, or correct its name");
    check("BACKUP_HOST", "db", "unknown variable; hint: did you mean DB_HOST?");
    Fake::complete(&[("BACKUP_A\u{1b}B", "")]).fails(&["BACKUP_A\\u{1b}B: unknown variable; hint: unset it, or correct its name"]);
}

#[test]
fn variables_of_others_are_left_alone() {
    Fake::complete(&[
        ("DB_CONNECTION", "pgsql"),
        ("DB_SOCKET", "/x"),
        ("DB_FOREIGN_KEYS", "true"),
        ("POSTGRES_PASSWORD", "x"),
        ("PGDATA", "/d"),
        ("PG_MAJOR", "16"),
        ("backup_jobs", "x"),
    ])
    .config();
    // A Kubernetes service named "backup".
    Fake::complete(&[
        ("BACKUP_SERVICE_HOST", "10.0.0.1"),
        ("BACKUP_SERVICE_PORT", "80"),
        ("BACKUP_PORT", "tcp://10.0.0.1:80"),
        ("BACKUP_PORT_80_TCP_ADDR", "10.0.0.1"),
    ])
    .config();
    check("BACKUP_PORT", "80", "unknown variable; hint: did you mean DB_PORT?");
    check("DB_CONNECTION", "mysql", "'mysql' is not PostgreSQL; hint: kluis backs up PostgreSQL only: set it to pgsql, or unset it for kluis");
    check("PGSERVICE", "prod", "kluis does not follow this variable of libpq; hint: write its settings as DB_HOST, DB_PORT, DB_DATABASE and DB_USERNAME");
    check("PGHOSTADDR", "10.0.0.1", "kluis does not follow this variable of libpq; hint: put the address into DB_HOST");
}

#[test]
fn file_forms() {
    let with = |content: &[u8]| {
        let mut fake = Fake::complete(&[("DB_PASSWORD_FILE", "/run/secrets/pw")]).file("/run/secrets/pw", 0o444, content);
        fake.vars.remove(&OsString::from("DB_PASSWORD"));
        fake
    };
    let password = |content: &str| with(content.as_bytes()).only().connection.password.unwrap().expose().to_owned();
    assert_eq!((password("s3cret\n").as_str(), password("s3cret\r\n").as_str(), password(" s3cret ").as_str()), ("s3cret", "s3cret", " s3cret "));
    let remedy = "hint: name a readable file that holds the role's password, and nothing else";
    with(b"").fails(&[&format!("DB_PASSWORD_FILE: the file '/run/secrets/pw' is empty; {remedy}")]);
    with(b"\n").fails(&[&format!("DB_PASSWORD_FILE: the file '/run/secrets/pw' is empty; {remedy}")]);
    with(b"a\nb\n").fails(&["DB_PASSWORD_FILE: the value has a line break or a NUL in it; hint: use one line of text"]);
    with(b"\xff").fails(&["DB_PASSWORD_FILE: the value is not valid UTF-8; hint: use plain text"]);
    let mut gone = with(b"x");
    gone.files.clear();
    gone.fails(&[&format!("DB_PASSWORD_FILE: cannot read '/run/secrets/pw': no such file or folder; {remedy}")]);
    with(b"x").file("/run/secrets/pw", 0, "x").fails(&["DB_PASSWORD_FILE: cannot read '/run/secrets/pw': permission denied; hint: let user 999, as whom kluis runs, read it (it belongs to user 0 and has mode 0000): chown 999 the file, which for a container is that of the host"]);
    let named = Fake::complete(&[("DB_PASSWORD", ""), ("DB_PASSWORD_FILE", "/run/secrets/db_password")]);
    named.fails(&[&format!("DB_PASSWORD_FILE: cannot read '/run/secrets/db_password': no such file or folder; {remedy}")]);
    with(b"x").folder("/run/secrets/pw").fails(&[&format!("DB_PASSWORD_FILE: cannot read '/run/secrets/pw': it is a folder; {remedy}")]);
    with(b"x").vars(&[("DB_PASSWORD", "y")]).fails(&["DB_PASSWORD_FILE: 'DB_PASSWORD' is set as well; hint: keep one of the two"]);
    assert_eq!(with(b"x").vars(&[("DB_PASSWORD", "")]).only().connection.password.unwrap().expose(), "x");
    let jobs = Fake::complete(&[("BACKUP_JOBS_FILE", "jobs")]).file("/srv/jobs", 0o644, "6\n");
    assert_eq!((jobs.only().settings.jobs, jobs.shown("BACKUP_JOBS")), (6, ("6".into(), "environment BACKUP_JOBS_FILE".into())));
    jobs.clone()
        .file("/srv/jobs", 0o644, "many")
        .fails(&["BACKUP_JOBS_FILE: what the file holds (not shown) cannot be used; hint: use a whole number from 1 to 64"]);
    Fake::complete(&[("BACKUP_JOBS_FILE", "")]).config();
    Fake::complete(&[("DB_SSLROOTCERT_FILE", "/ca.pem")]).file("/ca.pem", 0o644, "-----BEGIN\nX\n").fails(&[
        "DB_SSLROOTCERT_FILE: the value has a line break or a NUL in it; hint: the file must hold the path itself; to name the file directly, set DB_SSLROOTCERT",
    ]);
}

#[test]
fn values_that_are_not_text() {
    let mut fake = Fake::complete(&[]);
    fake.vars.insert("BACKUP_TARGET".into(), OsString::from_vec(b"a\xffb".to_vec()));
    fake.fails(&["BACKUP_TARGET: the value is not valid UTF-8; hint: use plain text"]);
    let mut fake = Fake::complete(&[]);
    fake.flags.dir = Some(OsString::from_vec(b"/a\xffb".to_vec()).into());
    fake.fails(&["--dir: the value is not valid UTF-8; hint: use plain text"]);
}

#[test]
fn flags_win_and_are_named() {
    let mut fake = Fake::complete(&[("BACKUP_JOBS", "3"), ("BACKUP_DIR", "/env")]);
    fake.flags = Flags { dir: Some("flag".into()), jobs: Some("5".into()), compression: Some("small".into()), ..Flags::default() };
    assert_eq!(fake.shown("BACKUP_DIR"), ("/srv/flag".into(), "flag --dir".into()));
    assert_eq!((fake.only().settings.jobs, fake.only().settings.compression), (5, Compression::Small));
    fake.flags = Flags { dir: Some("".into()), jobs: Some("0".into()), compression: Some("tiny".into()), target: Some("X".into()), ..Flags::default() };
    let keys: Vec<String> = fake.load().unwrap_err().iter().map(|problem| problem.key.clone()).collect();
    assert_eq!(keys, ["--dir", "--target", "--jobs", "--compression"]);
}

#[test]
fn every_problem_is_reported_at_once() {
    Fake::new(&[("BACKUP_JOBS", "0"), ("BACKUP_RETENTION_DAYS", "-1"), ("DB_PORT", "70000"), ("BACKUP_FOO", ""), ("BACKUP_TIMEZONE", "x"), ("BACKUP_DIR", "/")]).fails(&[
        "BACKUP_FOO: unknown variable; hint: unset it, or correct its name",
        "BACKUP_DIR: '/' is the root of the file system; hint: use the path of a folder of its own",
        "BACKUP_TIMEZONE: unknown time zone 'x'; hint: use an IANA time zone such as Europe/Amsterdam",
        "DB_PORT: '70000' is more than 65535; hint: use a whole number from 1 to 65535",
        "DB_DATABASE: no database to back up is named; hint: set DB_HOST, DB_DATABASE, DB_USERNAME and DB_PASSWORD_FILE, or DATABASE_URL, or write targets into kluis.toml",
        "BACKUP_RETENTION_DAYS: '-1' is negative; hint: use a whole number from 0 to 36500",
        "BACKUP_JOBS: '0' is less than 1; hint: use a whole number from 1 to 64",
    ]);
}
