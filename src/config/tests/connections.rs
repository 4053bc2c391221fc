//! The way to the database: how its sources are joined, and when they contradict each other.

use super::Fake;
use crate::config::*;
use crate::postgres::connection::{ChannelBinding, SslMode};

const URL: &str = "postgres://kluis:hunter2@db/app";

/// `user@host:port/database` of what these variables say.
#[track_caller]
fn check(vars: &[(&str, &str)], expected: &str) {
    assert_eq!(Fake::new(vars).only().connection.label(), expected);
}

#[track_caller]
fn fails(vars: &[(&str, &str)], expected: &[&str]) {
    Fake::new(vars).fails(expected);
}

fn password(fake: &Fake) -> Option<String> {
    fake.only().connection.password.map(|password| password.expose().to_owned())
}

#[test]
fn sources() {
    let named = [("DB_DATABASE", "app"), ("DB_USERNAME", "kluis")];
    check(&[named[0], named[1], ("DB_HOST", "db"), ("DB_PORT", "6432")], "kluis@db:6432/app");
    check(&named, "kluis@localhost:5432/app");
    check(&[("DATABASE_URL", URL)], "kluis@db:5432/app");
    check(&[("PGHOST", "pg"), ("PGPORT", "1"), ("PGDATABASE", "d"), ("PGUSER", "u")], "u@pg:1/d");
    check(&[("PGHOST", "pg"), ("DB_HOST", "db"), ("PGDATABASE", "d"), ("DB_DATABASE", "app"), ("PGUSER", "u")], "u@db:5432/app");
    check(&[("PGHOST", "pg"), ("DB_HOST", ""), ("PGDATABASE", "d"), ("PGUSER", "u")], "u@pg:5432/d");
    check(&[("DATABASE_URL", URL), ("PGHOST", "pg"), ("PGPORT", "7"), ("PGUSER", "u")], "kluis@db:7/app");
    check(&[("DATABASE_URL", "postgresql:///app"), ("DB_USERNAME", "u"), ("DB_HOST", "/run/pg")], "u@/run/pg:5432/app");
    check(&[("DB_HOST", "[::1]"), named[0], named[1]], "kluis@[::1]:5432/app");
    check(
        &[("DB_PORT", "banana"), ("DB_HOST", "db"), named[0], named[1]].map(|(name, value)| (name, if value == "banana" { "" } else { value })),
        "kluis@db:5432/app",
    );
    let socket = Fake::new(&named).file("/var/run/postgresql/.s.PGSQL.5432", 0o777, "");
    assert_eq!(socket.only().connection.host, "/var/run/postgresql");
    assert_eq!(socket.vars(&[("DB_PORT", "5433")]).only().connection.host, "localhost");
}

#[test]
fn contradictions() {
    let url = ("DATABASE_URL", URL);
    fails(
        &[url, ("DB_HOST", "other")],
        &["DB_HOST: DATABASE_URL says something else; hint: keep one of the two answers for the database's host, or the folder of its Unix socket"],
    );
    fails(&[url, ("DB_DATABASE", "other")], &["DB_DATABASE: DATABASE_URL says something else; hint: keep one of the two answers for the database's name"]);
    fails(&[url, ("DB_PASSWORD", "other")], &["DB_PASSWORD: DATABASE_URL says something else; hint: keep one of the two answers for the role's password"]);
    fails(
        &[("DATABASE_URL", "postgres://u@h/d?sslmode=disable"), ("DB_SSLMODE", "require")],
        &["DB_SSLMODE: DATABASE_URL says something else; hint: keep one of the two answers for whether the connection is encrypted and the server checked"],
    );
    check(&[url, ("DB_HOST", "db"), ("DB_PORT", "7"), ("DB_PASSWORD", "hunter2")], "kluis@db:7/app");
    assert_eq!(password(&Fake::new(&[url, ("DB_PASSWORD", "")])).as_deref(), Some("hunter2"));
    assert_eq!(password(&Fake::new(&[("DATABASE_URL", "postgres://u@h/d"), ("DB_PASSWORD", "pw")])).as_deref(), Some("pw"));
}

#[test]
fn what_is_missing() {
    let nothing = "DB_DATABASE: no database to back up is named; hint: set DB_HOST, DB_DATABASE, DB_USERNAME and DB_PASSWORD_FILE, or DATABASE_URL, or write targets into kluis.toml";
    fails(&[], &[nothing]);
    fails(&[("DB_HOST", ""), ("DB_DATABASE", ""), ("DATABASE_URL", "")], &[nothing]);
    let (database, user) =
        ("DB_DATABASE: not set; hint: set it to the database's name", "DB_USERNAME: not set; hint: set it to a role that may read every table");
    fails(&[("DB_HOST", "db")], &[database, user]);
    fails(&[("DB_USERNAME", "u")], &[database]);
    fails(&[("DB_DATABASE", "d")], &[user]);
    fails(
        &[("DATABASE_URL", "postgres://db")],
        &[
            "DATABASE_URL: the URL names no database; hint: end it with one, as in postgresql://user@host/database",
            "DATABASE_URL: the URL names no user; hint: begin it with one, as in postgresql://user@host/database",
        ],
    );
}

#[test]
fn single_values() {
    let case = |name: &str, value: &str, expected: &str| Fake::complete(&[(name, value)]).fails(&[&format!("{name}: {expected}")]);
    let port = "hint: use a whole number from 1 to 65535";
    case("DB_PORT", "0", &format!("'0' is less than 1; {port}"));
    case("DB_PORT", "70000", &format!("'70000' is more than 65535; {port}"));
    case("DB_PORT", "-1", &format!("'-1' is negative; {port}"));
    case("DB_PORT", "5432,5433", &format!("'5432,5433' is not a whole number; {port}"));
    case(
        "DB_PORT",
        "tcp://10.0.0.1:5432",
        "the value is a URL, as Kubernetes sets it for a service of this name; hint: set enableServiceLinks: false for the pod, or set the port yourself",
    );
    let host = "hint: use one host name, address, or absolute path of a socket's folder";
    case("DB_HOST", "a,b", &format!("'a,b' names several hosts; {host}"));
    case("DB_HOST", "a b", &format!("'a b' has a space in it; {host}"));
    case("DB_HOST", "run/pg", &format!("'run/pg' is neither a host name nor an absolute path; {host}"));
    case("DB_HOST", "db:5432", "'db:5432' has a port in it; hint: put the port into DB_PORT");
    case("DB_HOST", URL, "the value is a connection string (not shown); hint: put a URL into DATABASE_URL, and only the host here");
    case("DB_DATABASE", URL, "the value is a connection string (not shown); hint: put a URL into DATABASE_URL");
    case("DB_USERNAME", "a\tb", "'a\\tb' has a control character in it; hint: use the name of a role that may read every table");
    case("DB_PASSWORD", "a\nb", "the value has a line break or a NUL in it; hint: use one line of text");
    case("PGCONNECT_TIMEOUT", "0", "'0' is less than 1; hint: use a whole number of seconds from 1 to 3600");
    case("PGCHANNELBINDING", "required", "unknown value 'required'; hint: did you mean 'require'?");
    // What something of ours overrides is not ours to judge.
    Fake::complete(&[("PGPORT", "x"), ("DB_PORT", "1")]).config();
}

#[test]
fn urls() {
    let case = |url: &str, expected: &str| fails(&[("DATABASE_URL", url)], &[&format!("DATABASE_URL: {expected}")]);
    case("mysql://u:hunter2@h/d", "it is a mysql URL; hint: kluis backs up PostgreSQL only");
    case("postgres://u:hunter2@a,b/d", "the connection URL names several hosts; hint: name one: a backup must know which server it came from");
    case("postgres://u:hun%0Ater2@h/d", "the password has a line break in it; hint: libpq's password files cannot hold one: change the role's password");
    let problems = Fake::new(&[("DATABASE_URL", "db/app:hunter2")]).load().unwrap_err().to_string();
    assert!(problems.starts_with("DATABASE_URL: the connection URL does not start with") && !problems.contains("hunter2"), "{problems}");
    let fake = Fake::new(&[("DATABASE_URL_FILE", "/u")]).file("/u", 0o444, format!("{URL}\n"));
    assert_eq!(fake.only().connection.label(), "kluis@db:5432/app");
    assert_eq!(fake.shown("DATABASE_URL"), ("***".into(), "environment DATABASE_URL_FILE".into()));
    assert_eq!(fake.shown("DB_HOST"), ("db".into(), "environment DATABASE_URL_FILE".into()));
}

#[test]
fn tls() {
    let full = |vars: &[(&str, &str)]| Fake::complete(&[("DB_SSLMODE", "verify-full")]).vars(vars);
    let untrusting =
        "DB_SSLMODE: 'verify-full' needs the certificates to trust; hint: set DB_SSLROOTCERT to the authority's certificate, or to 'system' with verify-full";
    full(&[]).fails(&[untrusting]);
    full(&[("HOME", "/root")]).fails(&[untrusting]);
    let at_home = full(&[("HOME", "/root")]).file("/root/.postgresql/root.crt", 0o644, "");
    assert_eq!(at_home.only().connection.tls.root_cert.unwrap().to_str(), Some("/root/.postgresql/root.crt"));
    assert!(full(&[("DB_SSLROOTCERT", "system")]).only().connection.tls.uses_system_roots());
    let ca = full(&[("DB_SSLROOTCERT", "ca.pem")]).file("/srv/ca.pem", 0o644, "");
    assert_eq!(ca.only().connection.tls.root_cert.unwrap().to_str(), Some("/srv/ca.pem"));
    full(&[("DB_SSLROOTCERT", "/ca.pem")])
        .fails(&["DB_SSLROOTCERT: cannot find the file '/ca.pem': no such file or folder; hint: name a file that kluis can read, mounted into its container"]);
    full(&[("DB_HOST", "/run/pg")]).config();
    let weak = Fake::complete(&[("DB_SSLMODE", "require"), ("DB_SSLROOTCERT", "system")]);
    weak.fails(&["DB_SSLMODE: sslmode 'require' is too weak for sslrootcert=system; hint: use sslmode=verify-full"]);
    assert_eq!(Fake::complete(&[("PGSSLROOTCERT", "system")]).only().connection.tls.mode, SslMode::VerifyFull);

    let cert = |vars: &[(&str, &str)], mode| Fake::complete(vars).file("/c", 0o644, "").file("/k", mode, "");
    cert(&[("DB_SSLCERT", "/c")], 0o600).fails(&["DB_SSLCERT: a certificate without its key; hint: set DB_SSLKEY as well"]);
    cert(&[("DB_SSLKEY", "/k")], 0o600).fails(&["DB_SSLKEY: a key without its certificate; hint: set DB_SSLCERT as well"]);
    cert(&[("DB_SSLCERT", "/c"), ("DB_SSLKEY", "/k")], 0o644).fails(&["DB_SSLKEY: the key '/k' has mode 0644, which others can read; hint: chmod 600 it"]);
    let both = cert(&[("DB_SSLCERT", "/c"), ("DB_SSLKEY", "/k"), ("PGCHANNELBINDING", "require")], 0o640).only().connection;
    assert_eq!((both.tls.key.unwrap().to_str(), both.channel_binding), (Some("/k"), ChannelBinding::Require));
}

#[test]
fn passfiles() {
    let line = "db:5432:app:kluis:filed\n";
    let open = || Fake::new(&[("DB_HOST", "db"), ("DB_DATABASE", "app"), ("DB_USERNAME", "kluis"), ("HOME", "/root")]);
    let home = |mode| open().file("/root/.pgpass", mode, line);
    assert_eq!(password(&home(0o600)).as_deref(), Some("filed"));
    assert_eq!(home(0o600).shown("DB_PASSWORD"), ("***".into(), "password file '/root/.pgpass'".into()));
    assert_eq!(password(&home(0o600).vars(&[("DB_PASSWORD", "own")])).as_deref(), Some("own"));
    assert_eq!(password(&home(0o600).vars(&[("PGPASSWORD", "own")])).as_deref(), Some("own"));
    // An empty password of ours hides libpq's variable, but as in libpq not the file.
    assert_eq!(password(&home(0o600).vars(&[("DB_PASSWORD", ""), ("PGPASSWORD", "own")])).as_deref(), Some("filed"));
    assert_eq!(password(&open()), None);
    assert_eq!(open().shown("DB_PASSWORD"), ("".into(), "default".into()));
    assert_eq!(password(&home(0o600).vars(&[("DB_HOST", "other")])), None);
    let ignored = home(0o644).config();
    assert_eq!(ignored.warnings, ["the password file '/root/.pgpass' is ignored: its mode 0644 lets others at it; hint: chmod 600 it"]);
    assert!(ignored.targets[0].connection.password.is_none());
    let named = open().vars(&[("PGPASSFILE", "/pw")]);
    named.fails(&["PGPASSFILE: cannot find the file '/pw': no such file or folder; hint: name a file that kluis can read, mounted into its container"]);
    assert_eq!(password(&named.file("/pw", 0o400, "*:*:*:*:star")).as_deref(), Some("star"));
}

#[test]
fn a_connection_typed_by_itself() {
    let fake = Fake::complete(&[("DATABASE_URL", "postgres://x@y/z"), ("PGPASSWORD", "pw"), ("BACKUP_FOO", "x")]);
    let (found, warnings) = connection("--to", "postgres://u@h/d", &fake).unwrap();
    assert_eq!((found.label().as_str(), found.password.unwrap().expose(), warnings.len()), ("u@h:5432/d", "pw", 0));
    let (found, warnings) = connection("--to", "postgres://u:own@h/d", &fake).unwrap();
    assert_eq!(found.password.unwrap().expose(), "own");
    assert_eq!(warnings, ["the password in --to can be read by everyone on this machine; hint: leave it out, and set PGPASSWORD_FILE or use ~/.pgpass"]);
    let problem = |url| connection("--to", url, &fake).unwrap_err().to_string();
    assert_eq!(problem("postgres://u@h"), "--to: the URL names no database; hint: end it with one, as in postgresql://user@host/database");
    assert_eq!(problem(""), "--to: the value is empty; hint: use postgresql://user@host:5432/database");
    assert!(problem("h/d").starts_with("--to: the connection URL does not start"));
}
