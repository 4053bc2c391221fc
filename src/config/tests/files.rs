//! `kluis.toml`: its shape, its lines, who wins, and who may read it.

use super::Fake;
use crate::config::*;

const TWO: &str = "\
jobs = 2
user = \"kluis\"

[targets.shop]
host = \"shop-db\"
database = \"shop\"
jobs = 3

[targets.app]
url = \"postgres://app@app-db/app\"
schedule = \"@hourly\"
password_file = \"secrets/app\"
";

fn two() -> Fake {
    Fake::default().toml(TWO).file("/etc/kluis/secrets/app", 0o400, "hunter2\n")
}

/// A file that names one database at its top, these lines before the rest.
fn top(lines: &str) -> Fake {
    Fake::default().toml(&format!("{lines}\nhost = \"db\"\ndatabase = \"app\"\nuser = \"kluis\"\n"))
}

#[track_caller]
fn check(lines: &str, key: &str, line: usize, expected: &str) {
    top(lines).fails(&[&format!("{key} (/etc/kluis/kluis.toml line {line}): {expected}")]);
}

#[test]
fn several_targets() {
    let config = two().config();
    let labels: Vec<String> = config.targets.iter().map(|target| format!("{} {} {}", target.name, target.connection.label(), target.settings.jobs)).collect();
    assert_eq!(labels, ["shop kluis@shop-db:5432/shop 3", "app app@app-db:5432/app 2"]);
    assert_eq!(config.targets[1].connection.password.as_ref().unwrap().expose(), "hunter2");
    assert_eq!(config.targets[1].settings.schedule.expression(), "@hourly");
    let names = |fake: Fake| fake.config().targets.into_iter().map(|target| target.name).collect::<Vec<_>>();
    assert_eq!(names(two().target("app")), ["app"]);
    two().target("sho").fails(&["--target: no target 'sho' in '/etc/kluis/kluis.toml'; hint: did you mean 'shop'?"]);
    two().target("x").fails(&["--target: no target 'x' in '/etc/kluis/kluis.toml'; hint: there are 'shop', 'app'"]);
}

#[test]
fn who_wins() {
    let jobs = |fake: Fake| fake.config().targets.iter().map(|target| target.settings.jobs).collect::<Vec<_>>();
    assert_eq!(jobs(two()), [3, 2]);
    assert_eq!(jobs(two().vars(&[("BACKUP_JOBS", "5")])), [3, 5]);
    let mut fake = two().vars(&[("BACKUP_JOBS", "5")]);
    fake.flags.jobs = Some("6".into());
    assert_eq!(jobs(fake), [6, 6]);
    assert_eq!(jobs(top("jobs = 2").vars(&[("BACKUP_JOBS", "5")])), [5]);
    assert_eq!(top("").vars(&[("DB_HOST", "env"), ("PGPORT", "7"), ("PGDATABASE", "x")]).only().connection.label(), "kluis@env:7/app");
    assert_eq!(top("").vars(&[("DATABASE_URL", "postgres://u@h/d")]).only().connection.label(), "u@h:5432/d");
    assert_eq!(two().vars(&[("PGUSER", "x"), ("PGPORT", "7")]).config().targets[0].connection.label(), "kluis@shop-db:7/shop");
    assert_eq!(top("timezone = 'Europe/Amsterdam'").vars(&[("TZ", "UTC")]).config().common.time_zone_name, "Europe/Amsterdam");
    let rows = two().config();
    let row = |target: &str, key: &str| {
        rows.render().iter().find(|row| row.target.as_deref() == Some(target) && row.key == key).map(|row| (row.value.clone(), row.origin.to_string())).unwrap()
    };
    assert_eq!(row("shop", "BACKUP_JOBS"), ("3".into(), "/etc/kluis/kluis.toml line 7".into()));
    assert_eq!(row("app", "BACKUP_JOBS"), ("2".into(), "/etc/kluis/kluis.toml line 1".into()));
    assert_eq!(row("app", "DATABASE_URL"), ("***".into(), "/etc/kluis/kluis.toml line 10".into()));
    assert_eq!(row("app", "DB_PASSWORD"), ("***".into(), "/etc/kluis/kluis.toml line 12".into()));
    let json = rows.to_json();
    assert_eq!(json["settings"][0]["key"], "KLUIS_CONFIG");
    assert!(!json.to_string().contains("hunter2"));
}

#[test]
fn the_environment_cannot_name_one_of_several() {
    two().vars(&[("DB_HOST", "x"), ("DB_PASSWORD_FILE", "/x"), ("DB_DATABASE", "")]).fails(&[
        "DB_HOST, DB_PASSWORD_FILE: it cannot be told for which database this is: '/etc/kluis/kluis.toml' names its 2 targets; hint: move it into a [targets.NAME] table, or take the targets out of the file",
    ]);
    two()
        .vars(&[("BACKUP_TARGET", "app")])
        .fails(&["BACKUP_TARGET: '/etc/kluis/kluis.toml' names its 2 targets itself; hint: unset it; to choose one for a command, use --target"]);
}

#[test]
fn bad_values_have_lines() {
    check("\n\njobs = 0", "jobs", 3, "'0' is less than 1; hint: use a whole number from 1 to 64");
    check("jobs = 1_000", "jobs", 1, "'1000' is more than 64; hint: use a whole number from 1 to 64");
    check("jobs = 0x100", "jobs", 1, "'256' is more than 64; hint: use a whole number from 1 to 64");
    check("jobs = -1", "jobs", 1, "'-1' is negative; hint: use a whole number from 1 to 64");
    check("jobs = 1e9", "jobs", 1, "the value is a number with a fraction; hint: use a whole number from 1 to 64");
    check("jobs = true", "jobs", 1, "the value is true or false; hint: use a whole number from 1 to 64");
    check("jobs = [1]", "jobs", 1, "the value is a list; hint: use a whole number from 1 to 64");
    check("compression = 'fats'", "compression", 1, "unknown value 'fats'; hint: did you mean 'fast'?");
    check(
        "jobs_file = '/x'",
        "jobs_file",
        1,
        "cannot read '/x': no such file or folder; hint: name a readable file that holds a whole number from 1 to 64, and nothing else",
    );
    top("port = 1\nport_file = '/x'").fails(&["port_file (/etc/kluis/kluis.toml line 2): 'port' is set as well; hint: keep one of the two"]);
    let mut fake = two();
    fake = fake.toml("[targets.a]\nurl = 'postgres://u@h/d'\njobs = 99\n[targets.b]\ndatabase = 'b'\nretention_days = 'x'\n");
    fake.fails(&[
        "targets.a.jobs (/etc/kluis/kluis.toml line 3): '99' is more than 64; hint: use a whole number from 1 to 64",
        "targets.b.user (/etc/kluis/kluis.toml line 4): not set; hint: set it to a role that may read every table",
        "targets.b.retention_days (/etc/kluis/kluis.toml line 6): 'x' is not a whole number; hint: use a whole number from 0 to 36500",
    ]);
    // A default that is wrong is wrong once, whether any target uses it or not.
    two().vars(&[("BACKUP_JOBS", "0")]).fails(&["BACKUP_JOBS: '0' is less than 1; hint: use a whole number from 1 to 64"]);
    two()
        .toml("jobs = 0\n[targets.a]\njobs = 1\nurl = 'postgres://u@h/d'")
        .vars(&[("BACKUP_JOBS", "3")])
        .fails(&["jobs (/etc/kluis/kluis.toml line 1): '0' is less than 1; hint: use a whole number from 1 to 64"]);
}

#[test]
fn unknown_keys_have_lines() {
    check("job = 1", "job", 1, "unknown key; hint: did you mean 'jobs'?");
    check("retention = 1", "retention", 1, "unknown key; hint: did you mean 'retention_days'?");
    check("BACKUP_JOBS = 1", "BACKUP_JOBS", 1, "unknown key; hint: did you mean 'jobs'?");
    check("DB_USERNAME = 'x'", "DB_USERNAME", 1, "unknown key; hint: did you mean 'user'?");
    check("frobnicate = 1", "frobnicate", 1, "unknown key; hint: take it out, or correct its name");
    check("target = 'x'", "target", 1, "unknown key; hint: a target's name is that of its table, [targets.NAME]");
    check("passfile_file = 'x'", "passfile_file", 1, "unknown key; hint: take it out, or correct its name");
    check("targets = 3", "targets", 1, "a number, not a table; hint: write each target as a table, [targets.NAME]");
    top("")
        .file("/etc/kluis/kluis.toml", 0o600, "host='h'\ndatabase='d'\nuser='u'\n[app]\nhost='x'")
        .fails(&["app (/etc/kluis/kluis.toml line 4): unknown key; hint: a target is a table [targets.NAME]"]);
    let table = |lines: &str| Fake::default().toml(&format!("[targets.app]\nurl = 'postgres://u@h/d'\n{lines}"));
    table("dir = '/x'").fails(&["targets.app.dir (/etc/kluis/kluis.toml line 3): this setting is one for all targets; hint: move it to the top of the file"]);
    table("jbos = 3").fails(&["targets.app.jbos (/etc/kluis/kluis.toml line 3): unknown key; hint: did you mean 'jobs'?"]);
    table("host = 'other'").fails(&["targets.app.host (/etc/kluis/kluis.toml line 3): targets.app.url says something else; hint: keep one of the two answers for the database's host, or the folder of its Unix socket"]);
    Fake::default().toml("url = 'postgres://u@h/d'\n[targets.app]\n").fails(&[
        "url (/etc/kluis/kluis.toml line 1): it names one database, and the file has tables for several; hint: move it into its [targets.NAME] table",
    ]);
    Fake::default().toml("[targets.'A b']\nurl = 'postgres://u@h/d'\n").fails(&[
        "targets.A b (/etc/kluis/kluis.toml line 1): 'A b' cannot be a target's name; hint: use 1 to 63 of a-z, 0-9, dot, dash and underscore, a letter or digit first, and neither 'log' nor 'latest'",
    ]);
    Fake::default()
        .toml("[targets]\napp = 1\n")
        .vars(&[("DATABASE_URL", "postgres://u@h/d")])
        .fails(&["targets.app (/etc/kluis/kluis.toml line 2): a number, not a table; hint: write each target as a table of its own, [targets.NAME]"]);
}

#[test]
fn a_file_that_is_no_toml() {
    let starts = |content: &[u8], expected: &[&str]| {
        let problems = Fake::default().file("/etc/kluis/kluis.toml", 0o600, content).load().unwrap_err();
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected) && !line.contains("hunter2"), "{line}");
        }
    };
    starts(b"jobs = 1\npassword = hunter2\n", &["kluis.toml (/etc/kluis/kluis.toml line 2): not valid TOML: "]);
    starts(b"password = \"hunter2\n", &["kluis.toml (/etc/kluis/kluis.toml line 1): not valid TOML: "]);
    starts(b"jobs = 1\njobs = 2\n", &["kluis.toml (/etc/kluis/kluis.toml line 2): not valid TOML: duplicate key"]);
    starts(format!("x = {}", "[".repeat(200_000)).as_bytes(), &["kluis.toml (/etc/kluis/kluis.toml line 1): not valid TOML: "; 2]);
    starts("= hunter2\n".repeat(1000).as_bytes(), &["kluis.toml (/etc/kluis/kluis.toml line "; 5]);
    starts(b"a = 1\n\xff\n", &["kluis.toml (/etc/kluis/kluis.toml line 2): the file is not valid UTF-8"]);
}

#[test]
fn which_file() {
    let named = |vars: &[(&str, &str)]| Fake::complete(vars).file("/srv/my.toml", 0o600, "jobs = 7").file("/other.toml", 0o600, "jobs = 8").toml("jobs = 6");
    assert_eq!(named(&[]).only().settings.jobs, 6);
    assert_eq!(named(&[("KLUIS_CONFIG", "my.toml")]).only().settings.jobs, 7);
    assert_eq!(named(&[("KLUIS_CONFIG", "")]).only().settings.jobs, 6);
    let mut fake = named(&[("KLUIS_CONFIG", "my.toml")]);
    fake.flags.config_file = Some("/other.toml".into());
    assert_eq!(fake.only().settings.jobs, 8);
    fake.flags.config_file = Some("gone.toml".into());
    fake.fails(&["--config: cannot read '/srv/gone.toml': no such file or folder; hint: name a TOML file that the user kluis runs as can read"]);
    named(&[("KLUIS_CONFIG", "/etc")])
        .folder("/etc")
        .fails(&["KLUIS_CONFIG: cannot read '/etc': it is a folder; hint: name a TOML file that the user kluis runs as can read"]);
    // One that is there but closed is never passed over.
    Fake::complete(&[]).file("/etc/kluis/kluis.toml", 0, "").fails(&[
        "kluis.toml (/etc/kluis/kluis.toml line 1): cannot read '/etc/kluis/kluis.toml': permission denied; hint: name a TOML file that the user kluis runs as can read",
    ]);
    let mut named = Fake::complete(&[]).file("/srv/kluis.toml", 0o600, "jobs = 9");
    named.flags.config_file = Some("kluis.toml".into());
    assert_eq!((named.only().settings.jobs, named.config().warnings.len()), (9, 0));
    assert_eq!(named.shown("KLUIS_CONFIG"), ("/srv/kluis.toml".into(), "flag --config".into()));
    assert_eq!(Fake::complete(&[]).shown("KLUIS_CONFIG"), ("".into(), "default".into()));
    Fake::complete(&[]).file("/etc/kluis/kluis.toml", 0o666, "").fails(&[
        "kluis.toml (/etc/kluis/kluis.toml line 1): the file has mode 0666: everyone can write it, and it names programs to run; hint: chmod o-w the file",
    ]);
    Fake::complete(&[("KLUIS_CONFIG", "postgres://u:hunter2@h/d")])
        .fails(&["KLUIS_CONFIG: the value is a connection string (not shown); hint: write the path of a TOML file"]);
    let stray = Fake::complete(&[]).file("/srv/kluis.toml", 0o600, "jobs = 9").config();
    assert_eq!(
        (stray.targets[0].settings.jobs, stray.warnings),
        (4, vec!["'/srv/kluis.toml' is not read; hint: say --config kluis.toml to use it".to_owned()])
    );
}

#[test]
fn secrets_in_the_file_need_a_closed_file() {
    let with = |mode, line: &str| Fake::default().file("/etc/kluis/kluis.toml", mode, format!("host = 'h'\ndatabase = 'd'\nuser = 'u'\n{line}\n"));
    for mode in [0o600, 0o640, 0o400] {
        assert_eq!(with(mode, "password = 'hunter2'").only().connection.password.unwrap().expose(), "hunter2");
    }
    for mode in [0o644, 0o604, 0o660] {
        with(mode, "password = 'hunter2'").fails(&[&format!("password (/etc/kluis/kluis.toml line 4): a secret in a file of mode {mode:04o}, which others can read; hint: chmod 600 the file, or use password_file")]);
    }
    with(0o644, "password = ''").config();
    with(0o644, "url = 'postgres://u@h/d'").config();
    with(0o644, "url = 'postgres://u:hunter2@h/d'")
        .fails(&["url (/etc/kluis/kluis.toml line 4): a secret in a file of mode 0644, which others can read; hint: chmod 600 the file, or use url_file"]);
}

#[test]
fn relative_paths_start_at_the_file() {
    let fake = Fake::complete(&[]).toml("dir = 'b'\nlog = 'x/y.log'");
    let common = fake.config().common;
    assert_eq!((common.dir.to_str(), common.log), (Some("/etc/kluis/b"), LogTarget::File("/etc/kluis/x/y.log".into())));
}
