//! Bad configurations, made for each key from values that it cannot have, in each form in which it can be typed, beside a password.
//! Each must be refused with exit code 2 and the key's name as it was typed, and must show nobody the password.

use super::{Dice, size};
use crate::support::folder;
use kluis::config::keys::{self, Key, Scope};
use kluis::config::source::Stat;
use kluis::config::{Flags, Problems, Source, load};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The password, and the piece of it that must not be seen.
const SECRET: &str = "kxSecret0fBadDays";

/// How a value can be typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Variable,
    Fallback,
    File,
    FallbackFile,
    Top,
    TopFile,
    Target,
    TargetFile,
    Flag,
}

/// A configuration in which one thing is wrong.
#[derive(Debug, Clone, Default)]
struct Bad {
    variables: BTreeMap<String, String>,
    toml: Option<String>,
    files: BTreeMap<String, String>,
    flag: Option<(&'static str, String)>,
    /// What a message must call it.
    named: String,
}

impl Source for Bad {
    fn var(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).map(OsString::from)
    }
    fn names(&self) -> Vec<OsString> {
        self.variables.keys().map(OsString::from).collect()
    }
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let name = path.to_str().unwrap_or_default();
        let file = if name == "/etc/kluis/kluis.toml" { self.toml.as_ref() } else { self.files.get(name) };
        file.map(|text| text.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        if path == Path::new("/srv") || path == Path::new("/") {
            return Ok(Stat { mode: 0o755, folder: true, owner: 0 });
        }
        self.read_file(path).map(|_| Stat { mode: 0o600, folder: false, owner: 0 })
    }
    fn current_dir(&self) -> io::Result<PathBuf> {
        Ok("/srv".into())
    }
    fn cores(&self) -> usize {
        2
    }
}

impl Bad {
    fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        match &self.flag {
            Some(("--dir", value)) => flags.dir = Some(value.into()),
            Some(("--config", value)) => flags.config_file = Some(value.into()),
            Some(("--target", value)) => flags.target = Some(value.clone()),
            Some(("--jobs", value)) => flags.jobs = Some(value.clone()),
            Some(("--compression", value)) => flags.compression = Some(value.clone()),
            Some((flag, _)) => panic!("there is a new flag {flag}"),
            None => {}
        }
        flags
    }
}

/// A value that this key cannot have.
fn value(dice: &mut Dice, key: &Key) -> String {
    let number = dice.next() % 1_000_000_000;
    let word: String = (0..3 + dice.below(8)).map(|_| char::from(b'a' + dice.below(26) as u8)).collect();
    let url = [format!("postgresql://kluis:{SECRET}@db/app"), format!("postgres://{SECRET}@{word}"), format!("host=db password={SECRET}")];
    let any = |dice: &mut Dice, from: &[String]| from[dice.below(from.len())].clone();
    let numbers = |most: u64| {
        vec![
            format!("-{number}"),
            format!("{}", most + 1 + number),
            format!("{number}.5"),
            format!("{number}e2"),
            format!("0x{number}"),
            word.clone(),
            format!("{number} {number}"),
            "٣".to_owned(),
            "99999999999999999999999".to_owned(),
            format!("{number}d"),
        ]
    };
    let durations = vec![
        word.clone(),
        format!("-{number}s"),
        format!("{number}.5h"),
        format!("{} {word}", number),
        "99999999999999999999d".to_owned(),
        format!("{}d", 40_000 + number),
        format!("5 {word}"),
    ];
    let crons = vec![
        format!("{} * * * *", 60 + number % 1000),
        format!("* {} * * *", 24 + number % 1000),
        format!("* * {} * *", 32 + number % 1000),
        format!("* * * {} *", 13 + number % 1000),
        format!("* * * * {}", 8 + number % 1000),
        format!("*/{} * * *", number % 9),
        "0 0 30 2 *".to_owned(),
        format!("5-{} * * * *", number % 5),
        format!("@{word}"),
        format!("{word} * * * *"),
        "* * * * * *".to_owned(),
        "*/0 * * * *".to_owned(),
    ];
    let missing = vec![format!("/nowhere/{word}"), format!("~/{word}"), format!("\"/{word}\""), format!("/{word}\r"), url[0].clone(), url[2].clone()];
    let control = vec![format!("{word}\u{1b}[31m"), format!("{word}\u{7}"), format!("{word}\n{word}"), url[0].clone(), url[2].clone()];
    let words = vec![word.to_uppercase(), format!("{word}{number}"), format!("{word} {word}"), number.to_string(), format!("{word}\u{1b}")];
    match key.name() {
        "KLUIS_CONFIG" => any(dice, &[format!("/nowhere/{word}.toml"), format!("{word}.toml"), url[0].clone()]),
        "BACKUP_DIR" => any(
            dice,
            &["/".into(), "/..".into(), "//".into(), format!("~/{word}"), format!("\"/{word}\""), format!("/{word}\r"), url[0].clone(), url[2].clone()],
        ),
        "BACKUP_PG_BIN" | "BACKUP_ASSERTIONS" | "DB_SSLROOTCERT" | "DB_SSLCERT" | "DB_SSLKEY" | "PGSSLCRL" | "PGPASSFILE" => any(dice, &missing),
        "BACKUP_SCRATCH_DIR" => any(dice, &["/backups".into(), format!("/backups/{word}"), format!("~/{word}"), "/".into(), url[0].clone()]),
        "BACKUP_LOG" => any(dice, &["stdout".into(), "stder".into(), "none".into(), "/srv".into(), "/".into(), format!("~/{word}"), url[0].clone()]),
        "BACKUP_LOG_FORMAT" | "BACKUP_COMPRESSION" | "DB_SSLMODE" | "PGCHANNELBINDING" => any(dice, &words),
        "BACKUP_TIMEZONE" => any(dice, &[format!("Mars/{word}"), format!("{word}{number}"), "CET-1CEST,M3.5.0".into(), format!("UTC+{number}")]),
        "BACKUP_TARGET" => any(
            dice,
            &[
                "log".into(),
                "latest".into(),
                format!(".{word}"),
                format!("-{word}"),
                word.to_uppercase(),
                format!("{word}/{word}"),
                "..".into(),
                format!("{word} {word}"),
                "x".repeat(64 + (number % 50) as usize),
                format!("é{word}"),
            ],
        ),
        "BACKUP_SCHEDULE" => any(dice, &crons),
        "BACKUP_DRILL" => any(dice, &[crons.clone(), vec![format!("never{word}"), format!("{word}-backup")]].concat()),
        "BACKUP_RETENTION_DAYS" | "BACKUP_KEEP_DAILY" => any(dice, &numbers(36_500)),
        "BACKUP_KEEP_MIN" => any(dice, &[numbers(36_500), vec!["0".into()]].concat()),
        "BACKUP_KEEP_WEEKLY" => any(dice, &numbers(5_200)),
        "BACKUP_KEEP_MONTHLY" => any(dice, &numbers(1_200)),
        "BACKUP_KEEP_YEARLY" => any(dice, &numbers(100)),
        "BACKUP_JOBS" => any(dice, &[numbers(64), vec!["0".into()]].concat()),
        "BACKUP_MAX_AGE" => any(dice, &[durations, vec!["0".into(), "59s".into()]].concat()),
        "BACKUP_LOCK_TIMEOUT" => any(dice, &durations),
        "BACKUP_LOCK_WAIT" | "BACKUP_STALL_TIMEOUT" | "BACKUP_DEADLINE" => any(dice, &[durations, vec!["0".into(), "0s".into()]].concat()),
        "DATABASE_URL" => any(
            dice,
            &[
                format!("mysql://kluis:{SECRET}@db/app"),
                format!("postgresql://kluis:{SECRET}@db:{}/app", 70_000 + number),
                format!("postgresql://kluis:{SECRET}@db"),
                format!("postgresql://:{SECRET}@db/app"),
                format!("postgresql://kluis:{SECRET}@db/app?{word}=1"),
                format!("postgresql://kluis:{SECRET}@db/app?sslmode={word}"),
                format!("postgresql://kluis:{SECRET}%0Ax@db/app"),
                format!("postgresql://kluis:{SECRET}%zz@db/app"),
                format!("postgresql://kluis:{SECRET}@[::1/app"),
                format!("postgresql://kluis:{SECRET}@a,b/app"),
                format!("kluis:{SECRET}@db/app"),
                format!("host=db password={SECRET}"),
                SECRET.to_owned(),
            ],
        ),
        "DB_HOST" => any(
            dice,
            &[
                format!("{word},{word}"),
                format!("{word} {word}"),
                format!("{word}/{word}"),
                format!("{word}:5432"),
                format!("kluis@{word}"),
                url[0].clone(),
                url[1].clone(),
                format!("{word}\u{1b}"),
            ],
        ),
        "DB_PORT" => any(dice, &[numbers(65_535), vec!["0".into(), "tcp://10.0.0.1:5432".into()]].concat()),
        "DB_DATABASE" | "DB_USERNAME" | "PGOPTIONS" | "PGAPPNAME" => any(dice, &control),
        "DB_PASSWORD" => any(dice, &[format!("{SECRET}\n{word}"), format!("{word}\r\n{SECRET}"), format!("{SECRET}\n\n")]),
        "PGCONNECT_TIMEOUT" => any(dice, &[numbers(3_600), vec!["0".into(), "10s".into()]].concat()),
        "BACKUP_NOTIFY" => any(
            dice,
            &[
                format!("{word}://{SECRET}@{word}/{number}"),
                format!("https://{word}\u{1b}{SECRET}"),
                format!("https:///{SECRET}"),
                format!("slack+https://{word}/x#{SECRET}"),
                format!("https://good.example/{SECRET} {word}"),
                format!("gotify+https://{word}"),
                format!("telegram://{SECRET}@{word}"),
                format!("smtp://{word}:{SECRET}@{word}"),
                format!("smtp://{word}@{word}?to={word}"),
            ],
        ),
        "BACKUP_NOTIFY_ON" => any(dice, &[word.clone(), format!("failure {word}"), word.to_uppercase(), number.to_string()]),
        "BACKUP_NOTIFY_SECRET" => any(dice, &[format!("{SECRET}\n{word}"), format!("{word}\r\n{SECRET}"), format!("{SECRET}\u{7}")]),
        "BACKUP_HTTP" => any(
            dice,
            &[
                word.clone(),
                format!("{}", 1 + number % 65_535),
                format!("{word}:8080"),
                format!("127.0.0.1:{}", 65_536 + number),
                "::1:x".into(),
                "0.0.0.0".into(),
            ],
        ),
        "BACKUP_HTTP_TOKEN" => any(dice, &[word.clone(), format!("{SECRET} {word} {word}"), format!("{SECRET}é{SECRET}"), "x".repeat(15)]),
        "BACKUP_LANG" | "BACKUP_ALLOW_EMPTY" => any(dice, &words),
        name => panic!("there is a new key {name}: say what it cannot be"),
    }
}

/// In which forms a key can be typed.
fn forms(key: &Key) -> Vec<Form> {
    let mut forms = Vec::new();
    let mut add = |there: bool, form| forms.extend(there.then_some(form));
    let (file, in_target) = (key.file_form, key.scope != Scope::Process);
    add(key.variable.is_some(), Form::Variable);
    add(key.fallback.is_some(), Form::Fallback);
    add(key.variable.is_some() && file, Form::File);
    add(key.fallback.is_some() && file, Form::FallbackFile);
    // Without tables of targets, the top of the file is about the only one.
    add(key.toml.is_some(), Form::Top);
    add(key.toml.is_some() && file, Form::TopFile);
    add(key.toml.is_some() && in_target, Form::Target);
    add(key.toml.is_some() && in_target && file, Form::TargetFile);
    add(key.flag.is_some(), Form::Flag);
    forms
}

const CONNECTION: [(&str, &str); 4] = [("DB_HOST", "db"), ("DB_DATABASE", "app"), ("DB_USERNAME", "kluis"), ("DB_PASSWORD", SECRET)];

/// TOML's basic string.
fn quoted(text: &str) -> String {
    let escaped: String = text.chars().map(|c| if c.is_control() || c == '"' || c == '\\' { format!("\\u{:04X}", c as u32) } else { c.to_string() }).collect();
    format!("\"{escaped}\"")
}

/// A configuration with one value that cannot be; with a value that can be, it would be right.
fn spoil(key: &'static Key, form: Form, value: &str) -> Bad {
    let mut bad = Bad::default();
    let is_url = key.name() == "DATABASE_URL";
    let in_file = matches!(form, Form::Target | Form::TargetFile);
    let variable = if matches!(form, Form::Fallback | Form::FallbackFile) { key.fallback } else { key.variable };
    let mut table = String::new();
    // A password that is there makes libpq's password file nobody's business.
    let idle = |name: &str| name == key.name() || is_url || name == "DB_PASSWORD" && key.name() == "PGPASSFILE" && form == Form::Fallback;
    for (name, value) in CONNECTION.iter().filter(|(name, _)| !idle(name)) {
        if in_file {
            let toml = keys::find(name).and_then(|key| key.toml).unwrap();
            table.push_str(&format!("{toml} = {}\n", quoted(value)));
        } else {
            bad.variables.insert((*name).to_owned(), (*value).to_owned());
        }
    }
    let name = || variable.unwrap().to_owned();
    let toml = || key.toml.unwrap();
    let is_file = matches!(form, Form::File | Form::FallbackFile | Form::TopFile | Form::TargetFile);
    if is_file {
        bad.files.insert("/srv/given".to_owned(), value.to_owned());
    }
    match form {
        Form::Variable | Form::Fallback => {
            bad.named = name();
            bad.variables.insert(name(), value.to_owned());
        }
        Form::File | Form::FallbackFile => {
            bad.named = format!("{}_FILE", name());
            bad.variables.insert(bad.named.clone(), "/srv/given".to_owned());
        }
        Form::Flag => {
            bad.named = key.flag.unwrap().to_owned();
            bad.flag = Some((key.flag.unwrap(), value.to_owned()));
        }
        Form::Top => {
            bad.named = toml().to_owned();
            bad.toml = Some(format!("{} = {}\n", toml(), quoted(value)));
        }
        Form::TopFile => {
            bad.named = format!("{}_file", toml());
            bad.toml = Some(format!("{} = \"/srv/given\"\n", bad.named));
        }
        Form::Target => {
            bad.named = format!("targets.shop.{}", toml());
            bad.toml = Some(format!("[targets.shop]\n{table}{} = {}\n", toml(), quoted(value)));
        }
        Form::TargetFile => {
            bad.named = format!("targets.shop.{}_file", toml());
            bad.toml = Some(format!("[targets.shop]\n{table}{}_file = \"/srv/given\"\n", toml()));
        }
    }
    bad
}

/// What is wrong in another way than by a value.
fn other(dice: &mut Dice) -> Bad {
    let mut bad = Bad::default();
    bad.variables.extend(CONNECTION.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let key = keys::ALL[dice.below(keys::ALL.len())];
    let word: String = (0..4 + dice.below(8)).map(|_| char::from(b'a' + dice.below(26) as u8)).collect();
    match dice.below(6) {
        0 => {
            bad.named = format!("{}{}", dice.pick(&["BACKUP_", "KLUIS_"]), format!("X{word}").to_uppercase());
            bad.variables.insert(bad.named.clone(), SECRET.to_owned());
        }
        1 => {
            bad.named = format!("x{word}");
            bad.toml = Some(format!("{} = {}\n", bad.named, quoted(SECRET)));
        }
        2 => {
            let (name, _) = keys::REFUSED[dice.below(keys::REFUSED.len())];
            bad.named = name.to_owned();
            bad.variables.insert(name.to_owned(), word);
        }
        3 => {
            // Two answers: nobody can tell which is meant.
            bad.named = "DB_PASSWORD_FILE".to_owned();
            bad.variables.insert(bad.named.clone(), "/srv/given".to_owned());
            bad.files.insert("/srv/given".to_owned(), format!("{SECRET}{word}"));
        }
        4 => {
            // A type that the setting does not have.
            let toml = key.toml.unwrap_or("jobs");
            let value = dice.pick(&["1979-05-27", "[1, 2]", "{ a = 1 }", "inf", "true"]);
            let value = if toml == "allow_empty" && value == "true" { "[true]" } else { value };
            bad.named = toml.to_owned();
            bad.toml = Some(format!("{toml} = {value}\n"));
        }
        _ => {
            bad.named = "kluis.toml".to_owned();
            let line = dice.pick(&["password = PW", "password = \"PW", "password: PW", "[password = PW]", "password == \"PW\"", "\"PW\"", "password = 'PW\n'"]);
            bad.toml = Some(format!("dir = \"/backups\"\n{}\n", line.replace("PW", SECRET)));
        }
    }
    bad
}

/// The number-th of them.
fn make(number: u64) -> (Bad, Option<(&'static Key, Form)>) {
    let mut dice = Dice::new(number);
    let all: Vec<(&'static Key, Form)> = keys::ALL.iter().flat_map(|key| forms(key).into_iter().map(|form| (*key, form))).collect();
    // In turn, so that none is left out; each tenth is wrong in another way.
    if number % 10 == 9 {
        return (other(&mut dice), None);
    }
    let (key, form) = all[(number - number / 10) as usize % all.len()];
    loop {
        let value = value(&mut dice, key);
        // A file's last line end belongs to the file, a variable has no NUL, and an empty value is none.
        let trimmed = matches!(form, Form::File | Form::FallbackFile | Form::TopFile | Form::TargetFile) && value.trim_end_matches(['\n', '\r']) != value;
        if !trimmed {
            return (spoil(key, form, &value), Some((key, form)));
        }
    }
}

/// What is wrong with how it was refused.
fn judge(bad: &Bad, refused: &Result<(), Problems>) -> Option<String> {
    let problems = match refused {
        Ok(()) => return Some("it was accepted".to_owned()),
        Err(problems) => problems,
    };
    let text = problems.to_string();
    if text.contains(SECRET) || format!("{problems:?}").contains(SECRET) {
        return Some(format!("the secret was shown: {text}"));
    }
    if !problems.iter().any(|problem| problem.key == bad.named) {
        return Some(format!("'{}' was not named: {text}", bad.named));
    }
    let code = kluis::Error::from(problems.clone()).kind().exit_code();
    (code != 2).then(|| format!("exit code {code}"))
}

#[test]
fn every_bad_configuration_is_refused_by_name_and_tells_no_secret() {
    let count = size(10_000);
    let (mut wrong, mut tried) = (Vec::new(), BTreeSet::new());
    for number in 0..count {
        let (bad, what) = make(number);
        tried.extend(what.map(|(key, form)| (key.name(), form)));
        let refused = std::panic::catch_unwind(|| load(&bad.flags(), &bad).map(drop));
        match refused {
            Ok(refused) => wrong.extend(judge(&bad, &refused).map(|why| format!("{number}: {why}\n    {bad:?}"))),
            Err(_) => wrong.push(format!("{number}: it panicked\n    {bad:?}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {count} bad configurations:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    let all: usize = keys::ALL.iter().map(|key| forms(key).len()).sum();
    assert!(tried.len() == all || count < 1000, "{} of {all} keys and forms were tried", tried.len());
    eprintln!("input: {count} bad configurations, of {} keys in {all} forms: all refused by name, none told a secret", keys::ALL.len());
}

/// A sample of them through the binary, with real files.
#[test]
fn the_binary_refuses_bad_configurations_with_exit_code_2() {
    let count = (size(10_000) / 50).max(1);
    let place = crate::support::new_folder("bad");
    let mut wrong = Vec::new();
    for number in 0..count {
        let (mut bad, _) = make(number * 7 + 3);
        let real = |text: &str| text.replace("/srv/given", place.join("given").to_str().unwrap()).replace("/srv", place.to_str().unwrap());
        if let Some(text) = bad.files.get("/srv/given") {
            write(&place.join("given"), text);
        }
        if let Some(text) = &bad.toml {
            write(&place.join("kluis.toml"), &real(text));
            if bad.flag.as_ref().is_none_or(|(flag, _)| *flag != "--config") && !bad.variables.contains_key("KLUIS_CONFIG") {
                bad.variables.insert("KLUIS_CONFIG".to_owned(), place.join("kluis.toml").to_str().unwrap().to_owned());
            }
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_kluis"));
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(&place).envs(bad.variables.iter().map(|(name, value)| (name, real(value))));
        command.arg(["config", "doctor", "backup"][number as usize % 3]);
        if let Some((flag, value)) = &bad.flag {
            // Compression belongs to a run only.
            command = if *flag == "--compression" || *flag == "--jobs" { replaced(&command, "backup") } else { command };
            command.arg(format!("{flag}={value}"));
        }
        let output = command.output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let named = if bad.named == "kluis.toml" { "kluis.toml" } else { &bad.named };
        if output.status.code() != Some(2) || !text.contains(named) || text.contains(SECRET) || text.contains("panicked") {
            wrong.push(format!("{number}: {:?}, '{named}' was to be named: {text}\n    {bad:?}", output.status.code()));
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong[..wrong.len().min(10)].join("\n"));
    let _ = folder();
    eprintln!("input: {count} bad configurations given to the binary: exit code 2 each, the key named, no secret told");
}

fn replaced(command: &Command, word: &str) -> Command {
    let mut new = Command::new(command.get_program());
    new.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(command.get_current_dir().unwrap()).arg(word);
    new
}

fn write(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
