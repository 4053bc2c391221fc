//! Every setting there is, in one table: its names, meaning, default, constraint, and whether it is a secret.
//! It owns the names; help texts, documents, "did you mean" and the `_FILE` forms are drawn from it. It parses nothing.
//! A key stands here only if it does something; a variable that does not stand here is refused.

use super::suggest;

/// What a setting belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The whole process: one value for all targets.
    Process,
    /// A target: may differ between the tables of `kluis.toml`.
    Target,
    /// The way to a target's database.
    Connection,
}

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Its environment variable, where it has one of ours.
    pub variable: Option<&'static str>,
    /// The variable of libpq (or of the system) that gives the value when nothing of ours does.
    pub fallback: Option<&'static str>,
    /// Its key in `kluis.toml`.
    pub toml: Option<&'static str>,
    /// Its flag.
    pub flag: Option<&'static str>,
    /// Whether there is a `_FILE` (`_file`) form: the name of a file that holds the value.
    pub file_form: bool,
    /// What it means, for help texts.
    pub about: &'static str,
    /// Its default, as a user would type it, or in words where it is worked out; empty: none.
    pub default: &'static str,
    /// What is allowed; reads on after "use".
    pub constraint: &'static str,
    /// Whether its value may never be shown.
    pub secret: bool,
    /// Whether it holds several values, separated by white space: line breaks in a file, and lists in `kluis.toml`.
    pub list: bool,
    /// What it belongs to.
    pub scope: Scope,
}

impl Key {
    /// The name by which documents and messages call it.
    pub const fn name(&self) -> &'static str {
        match (self.variable, self.fallback) {
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => "",
        }
    }

    const fn process(variable: &'static str, toml: &'static str, about: &'static str, default: &'static str, constraint: &'static str) -> Key {
        Key {
            variable: Some(variable),
            fallback: None,
            toml: Some(toml),
            flag: None,
            file_form: true,
            about,
            default,
            constraint,
            secret: false,
            list: false,
            scope: Scope::Process,
        }
    }

    const fn target(variable: &'static str, toml: &'static str, about: &'static str, default: &'static str, constraint: &'static str) -> Key {
        Key { scope: Scope::Target, ..Key::process(variable, toml, about, default, constraint) }
    }

    const fn database(
        variable: &'static str,
        fallback: &'static str,
        toml: &'static str,
        about: &'static str,
        default: &'static str,
        constraint: &'static str,
    ) -> Key {
        Key { scope: Scope::Connection, fallback: Some(fallback), ..Key::process(variable, toml, about, default, constraint) }
    }

    /// A setting that has only libpq's variable.
    const fn libpq(fallback: &'static str, toml: &'static str, about: &'static str, default: &'static str, constraint: &'static str) -> Key {
        Key { scope: Scope::Connection, fallback: Some(fallback), variable: None, ..Key::process("", toml, about, default, constraint) }
    }
}

pub(super) static CONFIG: Key = Key {
    flag: Some("--config"),
    toml: None,
    file_form: false,
    ..Key::process("KLUIS_CONFIG", "", "the settings file", "/etc/kluis/kluis.toml, if it exists", "the path of a readable TOML file")
};
pub(super) static DIR: Key = Key {
    flag: Some("--dir"),
    ..Key::process("BACKUP_DIR", "dir", "the repository: the folder that holds all backups", "/backups", "the path of a folder of its own")
};
pub(super) static PG_BIN: Key =
    Key::process("BACKUP_PG_BIN", "pg_bin", "a folder with pg_dump and the other PostgreSQL programs, tried before all others", "", "the path of a folder");
pub(super) static SCRATCH_DIR: Key = Key::process(
    "BACKUP_SCRATCH_DIR",
    "scratch_dir",
    "where drills keep their throwaway servers",
    "kluis in the system's temporary folder",
    "the path of a folder outside the repository",
);
pub(super) static LOG: Key = Key::process(
    "BACKUP_LOG",
    "log",
    "where the log goes: to a file and stderr, to stderr only, or nowhere",
    "log/kluis.log in BACKUP_DIR for `kluis serve`, and for runs by hand once it is there, else stderr",
    "the path of a file, stderr or off",
);
pub(super) static LOG_FORMAT: Key = Key::process("BACKUP_LOG_FORMAT", "log_format", "how log lines are written", "text", "text or json");
pub(super) static TIMEZONE: Key = Key {
    fallback: Some("TZ"),
    ..Key::process("BACKUP_TIMEZONE", "timezone", "the time zone of schedules and printed times", "UTC", "an IANA time zone such as Europe/Amsterdam")
};
pub(super) static NOTIFY: Key = Key {
    secret: true,
    list: true,
    ..Key::process(
        "BACKUP_NOTIFY",
        "notify",
        "who is told what happens: the URLs of the receivers",
        "",
        "URLs such as https://… or smtp://…, separated by spaces",
    )
};
pub(super) static NOTIFY_ON: Key = Key {
    list: true,
    ..Key::process(
        "BACKUP_NOTIFY_ON",
        "notify_on",
        "of which events they are told",
        "failure recovery bad overdue shrinkage empty except",
        "words out of failure, recovery, bad, overdue, shrinkage, empty, except and success, separated by spaces",
    )
};
pub(super) static NOTIFY_SECRET: Key =
    Key { secret: true, ..Key::process("BACKUP_NOTIFY_SECRET", "notify_secret", "the key that webhooks are signed with", "", "one line of text") };

pub(super) static HTTP: Key = Key::process(
    "BACKUP_HTTP",
    "http",
    "where `kluis serve` answers with its status page, metrics and health",
    "off",
    "an address and a port such as 127.0.0.1:8080, or off",
);
pub(super) static HTTP_TOKEN: Key = Key {
    secret: true,
    ..Key::process(
        "BACKUP_HTTP_TOKEN",
        "http_token",
        "the word that opens the status page and metrics; without it one is made: kluis status --page",
        "",
        "16 or more letters, digits and signs without a space",
    )
};
pub(super) static LANG: Key = Key::process("BACKUP_LANG", "lang", "the language of the status page; auto: the browser's", "auto", "en, nl or auto");

pub(super) static TARGET: Key = Key {
    flag: Some("--target"),
    toml: None,
    ..Key::target(
        "BACKUP_TARGET",
        "",
        "the target's name, which is its folder's in the repository",
        "the database's name",
        "1 to 63 of a-z, 0-9, dot, dash and underscore, a letter or digit first, and neither 'log' nor 'latest'",
    )
};
pub(super) static SCHEDULE: Key =
    Key::target("BACKUP_SCHEDULE", "schedule", "when to back up", "0 3 * * *", "five cron fields such as '0 3 * * *', or a name such as @daily");
pub(super) static RETENTION_DAYS: Key =
    Key::target("BACKUP_RETENTION_DAYS", "retention_days", "how many days every backup is kept", "7", "a whole number from 0 to 36500");
pub(super) static KEEP_DAILY: Key =
    Key::target("BACKUP_KEEP_DAILY", "keep_daily", "for how many days the last backup of the day is kept", "0", "a whole number from 0 to 36500");
pub(super) static KEEP_WEEKLY: Key =
    Key::target("BACKUP_KEEP_WEEKLY", "keep_weekly", "for how many weeks the last backup of the week is kept", "0", "a whole number from 0 to 5200");
pub(super) static KEEP_MONTHLY: Key =
    Key::target("BACKUP_KEEP_MONTHLY", "keep_monthly", "for how many months the last backup of the month is kept", "0", "a whole number from 0 to 1200");
pub(super) static KEEP_YEARLY: Key =
    Key::target("BACKUP_KEEP_YEARLY", "keep_yearly", "for how many years the last backup of the year is kept", "0", "a whole number from 0 to 100");
pub(super) static KEEP_MIN: Key =
    Key::target("BACKUP_KEEP_MIN", "keep_min", "how many of the newest proven backups are never deleted", "3", "a whole number from 1 to 36500");
pub(super) static JOBS: Key = Key {
    flag: Some("--jobs"),
    ..Key::target("BACKUP_JOBS", "jobs", "how many tables are moved at the same time", "the cores available, from 2 to 8", "a whole number from 1 to 64")
};
pub(super) static COMPRESSION: Key =
    Key { flag: Some("--compression"), ..Key::target("BACKUP_COMPRESSION", "compression", "how hard to compress", "fast", "fast, small or smallest") };
pub(super) static DRILL: Key = Key::target(
    "BACKUP_DRILL",
    "drill",
    "when backups are proven by restoring them",
    "every-backup",
    "every-backup, off, or a cron expression such as '0 5 * * 0'",
);
pub(super) static ASSERTIONS: Key = Key::target(
    "BACKUP_ASSERTIONS",
    "assertions",
    "a folder of SQL files that a drill runs; each must return only true values",
    "",
    "the path of a folder of SQL files",
);
pub(super) static ALLOW_EMPTY: Key =
    Key::target("BACKUP_ALLOW_EMPTY", "allow_empty", "whether a database without a row is as it should be; if not, a run of one warns", "no", "yes or no");
pub(super) static MAX_AGE: Key = Key::target(
    "BACKUP_MAX_AGE",
    "max_age",
    "the oldest that the newest backup may get before the alarm; auto: the schedule's longest gap, and 2h or twice what a run takes",
    "auto",
    "auto, or a duration from 1m to 3660d, such as 26h",
);
pub(super) static LOCK_TIMEOUT: Key =
    Key::target("BACKUP_LOCK_TIMEOUT", "lock_timeout", "how long to wait for another run to end", "0s", "a duration from 0s to 7d, such as 15m");
pub(super) static LOCK_WAIT: Key =
    Key::target("BACKUP_LOCK_WAIT", "lock_wait", "how long to wait for locks in the database", "30s", "a duration from 1s to 1d, such as 30s");
pub(super) static STALL_TIMEOUT: Key = Key::target(
    "BACKUP_STALL_TIMEOUT",
    "stall_timeout",
    "how long a run may go without a byte from the database",
    "15m",
    "a duration from 1s to 7d, such as 15m",
);
pub(super) static DEADLINE: Key = Key::target("BACKUP_DEADLINE", "deadline", "how long a whole run may take", "6h", "a duration from 1s to 30d, such as 6h");

pub(super) static URL: Key =
    Key { fallback: None, secret: true, ..Key::database("DATABASE_URL", "", "url", "the database, as one URL", "", "postgresql://user@host:5432/database") };
pub(super) static HOST: Key = Key::database(
    "DB_HOST",
    "PGHOST",
    "host",
    "the database's host, or the folder of its Unix socket",
    "/var/run/postgresql if a server listens there, else localhost",
    "one host name, address, or absolute path of a socket's folder",
);
pub(super) static PORT: Key = Key::database("DB_PORT", "PGPORT", "port", "the database's port", "5432", "a whole number from 1 to 65535");
pub(super) static DATABASE: Key = Key::database("DB_DATABASE", "PGDATABASE", "database", "the database's name", "", "the name of a database");
pub(super) static USER: Key = Key::database("DB_USERNAME", "PGUSER", "user", "the role to connect as", "", "the name of a role that may read every table");
pub(super) static PASSWORD: Key = Key { secret: true, ..Key::database("DB_PASSWORD", "PGPASSWORD", "password", "the role's password", "", "one line of text") };
pub(super) static SSLMODE: Key = Key::database(
    "DB_SSLMODE",
    "PGSSLMODE",
    "sslmode",
    "whether the connection is encrypted and the server checked",
    "prefer",
    "disable, allow, prefer, require, verify-ca or verify-full",
);
pub(super) static SSLROOTCERT: Key =
    Key::database("DB_SSLROOTCERT", "PGSSLROOTCERT", "sslrootcert", "the certificates of the authorities to trust", "", "the path of a PEM file, or system");
pub(super) static SSLCERT: Key = Key::database("DB_SSLCERT", "PGSSLCERT", "sslcert", "the client's certificate", "", "the path of a PEM file");
pub(super) static SSLKEY: Key = Key::database("DB_SSLKEY", "PGSSLKEY", "sslkey", "the client certificate's key", "", "the path of a PEM file");
pub(super) static PASSFILE: Key =
    Key { file_form: false, ..Key::libpq("PGPASSFILE", "passfile", "libpq's password file", "~/.pgpass, if it exists", "the path of a file of mode 0600") };
pub(super) static SSLCRL: Key = Key::libpq("PGSSLCRL", "sslcrl", "the certificates that were revoked", "", "the path of a PEM file");
pub(super) static CONNECT_TIMEOUT: Key = Key::libpq(
    "PGCONNECT_TIMEOUT",
    "connect_timeout",
    "how many seconds a connection may take to come about",
    "10",
    "a whole number of seconds from 1 to 3600",
);
pub(super) static CHANNEL_BINDING: Key =
    Key::libpq("PGCHANNELBINDING", "channel_binding", "whether authentication is bound to the encrypted channel", "prefer", "disable, prefer or require");

pub(super) static OPTIONS: Key = Key::libpq("PGOPTIONS", "options", "options for the server's session", "", "options such as '-c work_mem=64MB'");
pub(super) static APPLICATION_NAME: Key = Key::libpq("PGAPPNAME", "application_name", "the name shown in pg_stat_activity", "kluis", "plain text");

/// All keys, in the order of the documents.
pub static ALL: &[&Key] = &[
    &CONFIG,
    &DIR,
    &TARGET,
    &URL,
    &HOST,
    &PORT,
    &DATABASE,
    &USER,
    &PASSWORD,
    &PASSFILE,
    &SSLMODE,
    &SSLROOTCERT,
    &SSLCERT,
    &SSLKEY,
    &SSLCRL,
    &CHANNEL_BINDING,
    &CONNECT_TIMEOUT,
    &OPTIONS,
    &APPLICATION_NAME,
    &SCHEDULE,
    &TIMEZONE,
    &RETENTION_DAYS,
    &KEEP_DAILY,
    &KEEP_WEEKLY,
    &KEEP_MONTHLY,
    &KEEP_YEARLY,
    &KEEP_MIN,
    &JOBS,
    &COMPRESSION,
    &DRILL,
    &ASSERTIONS,
    &ALLOW_EMPTY,
    &MAX_AGE,
    &LOCK_TIMEOUT,
    &LOCK_WAIT,
    &STALL_TIMEOUT,
    &DEADLINE,
    &PG_BIN,
    &SCRATCH_DIR,
    &LOG,
    &LOG_FORMAT,
    &NOTIFY,
    &NOTIFY_ON,
    &NOTIFY_SECRET,
    &HTTP,
    &HTTP_TOKEN,
    &LANG,
];

/// The setting of that name.
pub fn find(name: &str) -> Option<&'static Key> {
    ALL.iter().copied().find(|key| key.name() == name)
}

/// Libpq's variables that would change which server is reached or how it is trusted, and that Kluis does not follow.
/// Passing over them in silence would back up another database than psql shows, or check the server less than was asked.
pub static REFUSED: &[(&str, &str)] = &[
    ("PGSERVICE", "write its settings as DB_HOST, DB_PORT, DB_DATABASE and DB_USERNAME"),
    ("PGHOSTADDR", "put the address into DB_HOST"),
    ("PGREQUIREAUTH", "unset it for kluis"),
    ("PGREQUIREPEER", "unset it for kluis"),
    ("PGSSLMINPROTOCOLVERSION", "unset it for kluis"),
    ("PGTARGETSESSIONATTRS", "unset it for kluis, and name one host"),
];

/// What people type who come from other tools, and what it is called here.
static ELSEWHERE: &[(&str, &Key)] = &[
    ("BACKUP_CRON", &SCHEDULE),
    ("BACKUP_CRON_EXPRESSION", &SCHEDULE),
    ("BACKUP_KEEP_DAYS", &RETENTION_DAYS),
    ("BACKUP_KEEP_WEEKS", &KEEP_WEEKLY),
    ("BACKUP_KEEP_MONTHS", &KEEP_MONTHLY),
    ("BACKUP_TZ", &TIMEZONE),
    ("BACKUP_PATH", &DIR),
    ("BACKUP_FOLDER", &DIR),
    ("BACKUP_NAME", &TARGET),
];

/// The variable that an unknown one was probably meant to be. Prefixes do not count, so that KLUIS_DIR and BACKUP_HOST find theirs.
pub(super) fn meant(variable: &str) -> Option<String> {
    if let Some((_, key)) = ELSEWHERE.iter().find(|(name, _)| *name == variable) {
        return Some(key.name().to_owned());
    }
    let (whole, ending) = match variable.strip_suffix("_FILE") {
        Some(whole) => (whole, "_FILE"),
        None => (variable, ""),
    };
    let near = suggest::nearest(stem(whole), ALL.iter().filter_map(|key| key.variable).map(stem))?;
    let key = ALL.iter().find(|key| key.variable.is_some_and(|variable| stem(variable) == near))?;
    Some(if key.file_form { format!("{}{ending}", key.name()) } else { key.name().to_owned() })
}

fn stem(variable: &str) -> &str {
    ["BACKUP_", "KLUIS_", "DB_"].iter().find_map(|prefix| variable.strip_prefix(prefix)).unwrap_or(variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_no_file_form_is_another_keys_name() {
        let mut names: Vec<String> = Vec::new();
        for key in ALL {
            for name in [key.variable, key.fallback].into_iter().flatten() {
                names.push(name.to_owned());
                if key.file_form {
                    names.push(format!("{name}_FILE"));
                }
            }
        }
        names.extend(REFUSED.iter().map(|(name, _)| (*name).to_owned()));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);

        let mut tomls: Vec<&str> = ALL.iter().filter_map(|key| key.toml).collect();
        let count = tomls.len();
        tomls.sort_unstable();
        tomls.dedup();
        assert_eq!(tomls.len(), count);
    }

    #[test]
    fn every_key_explains_itself() {
        for key in ALL {
            assert!(!key.name().is_empty() && !key.about.is_empty() && !key.constraint.is_empty(), "{key:?}");
            for text in [key.about, key.constraint, key.default] {
                assert!(!text.ends_with('.') && !text.contains('\n'), "{key:?}");
            }
            // A key of kluis.toml is its variable's lower-case name, so that one who knows the one knows the other.
            if let (Some(toml), Some(variable)) = (key.toml, key.variable) {
                let stem = variable.trim_start_matches("BACKUP_").trim_start_matches("DB_").trim_start_matches("DATABASE_").to_lowercase();
                assert!(toml == stem || (toml, variable) == ("user", "DB_USERNAME"), "{key:?}");
            }
        }
    }

    #[track_caller]
    fn check(typed: &str, expected: Option<&str>) {
        assert_eq!(meant(typed).as_deref(), expected);
    }

    #[test]
    fn an_unknown_variable_finds_the_one_that_was_meant() {
        check("BACKUP_JOB", Some("BACKUP_JOBS"));
        check("BACKUP_RETENTION", Some("BACKUP_RETENTION_DAYS"));
        check("BACKUP_CRON", Some("BACKUP_SCHEDULE"));
        check("BACKUP_KEEP_DAYS", Some("BACKUP_RETENTION_DAYS"));
        check("BACKUP_TZ", Some("BACKUP_TIMEZONE"));
        check("BACKUP_TARGE_FILE", Some("BACKUP_TARGET_FILE"));
        check("KLUIS_CONFIG_FILE", Some("KLUIS_CONFIG"));
        check("KLUIS_CONF", Some("KLUIS_CONFIG"));
        check("BACKUP_FROBNICATE", None);
        check("KLUIS_DIR", Some("BACKUP_DIR"));
        check("BACKUP_HOST", Some("DB_HOST"));
        check("BACKUP_DATABASE_URL", Some("DATABASE_URL"));
        check("BACKUP_FOO", None);
    }
}
