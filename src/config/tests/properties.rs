//! Whatever is typed: no panic, no secret in any text, and every problem has its key and hint.

use proptest::prelude::*;

use super::Fake;
use crate::config::*;

/// What must never be seen again.
const PLANTED: &str = "Xyzzy73Quux";

fn secret() -> impl Strategy<Value = String> {
    let shapes = ["{}", "{} ", "a{}", "{}@b", "p:{}/x", "{}\n", "{}%", "%4{}", "'{}'", "\"{}\"", "{}\u{1b}[0m", "{}\0", "[{}", "{}]#?"];
    prop::sample::select(shapes.to_vec()).prop_map(|shape| shape.replace("{}", PLANTED))
}

fn url() -> impl Strategy<Value = String> {
    let shapes = [
        "postgres://u:{}@h/d",
        "postgresql://u:{}@h:x/d",
        "postgres://u:{}@a,b/d",
        "postgres://{}:{}@h",
        "postgres://u:{}",
        "u:{}@h/d",
        "mysql://u:{}@h/d",
        "postgres://u:{}@h/d?sslmode=on",
        "postgres://u:{}@[::1/d",
        "postgres:u:{}@h/d",
        "host=h password={}",
        "postgres://u@h/d?password={}",
        "postgres://u:{}@h/d?sslrootcert=/gone",
        "postgresql:/u:{}@h/d",
        "{}://u@h",
        " postgres://u:{}@h/d ",
    ];
    (prop::sample::select(shapes.to_vec()), secret()).prop_map(|(shape, secret)| shape.replace("{}", &secret))
}

fn junk() -> impl Strategy<Value = String> {
    let known = [
        "",
        " ",
        "0",
        "-1",
        "1e9",
        "99999999999999999999",
        "abc",
        "~",
        "/",
        "..",
        "off",
        "* * * * *",
        "0 0 31 2 *",
        "7d",
        "\"x\"",
        "a\nb",
        "\u{202e}",
        "é",
        "system",
    ];
    prop_oneof![prop::sample::select(known.to_vec()).prop_map(str::to_owned), "\\PC{0,80}", "[ -~]{0,12}"]
}

/// A variable and its value: secrets where they belong, connection strings everywhere.
fn variable() -> impl Strategy<Value = (String, String)> {
    let names: Vec<String> = keys::ALL
        .iter()
        .flat_map(|key| [key.variable, key.fallback])
        .flatten()
        .flat_map(|name| [name.to_owned(), format!("{name}_FILE"), format!("{name}X")])
        .chain(["DB_CONNECTION", "PGSERVICE", "BACKUP_", "KLUIS_", "HOME"].map(str::to_owned))
        .collect();
    (prop::sample::select(names), junk(), url(), secret(), 0..4u8).prop_map(|(name, junk, url, secret, kind)| {
        let secretive = name.contains("PASSWORD") || name.contains("URL");
        let value = match (secretive, name.contains("_FILE"), kind) {
            (true, true, 0..2) => "/secret".to_owned(),
            (true, false, 0..2) => secret,
            (_, _, 2) if secretive || recognisable(&url) => url,
            _ => junk,
        };
        (name, value)
    })
}

/// A piece of a URL that is a good file name as well can only be hidden where it is a problem.
fn recognisable(url: &str) -> bool {
    url.contains("://") || url.contains("password=")
}

/// Everything that a person could get to see.
fn texts(fake: &Fake) -> Vec<String> {
    let mut texts = Vec::new();
    match fake.load() {
        Ok(config) => texts.extend([format!("{config:?}"), format!("{:?}", config.render()), config.to_json().to_string(), config.warnings.join("\n")]),
        Err(problems) => texts.extend(of_problems(problems)),
    }
    match load_repository(&fake.flags, fake) {
        Ok(config) => texts.extend([format!("{config:?}"), config.to_json().to_string()]),
        Err(problems) => texts.extend(of_problems(problems)),
    }
    texts
}

fn of_problems(problems: Problems) -> Vec<String> {
    assert!(!problems.is_empty());
    for problem in problems.iter() {
        assert!(!problem.key.is_empty() && !problem.reason.is_empty() && !problem.hint.is_empty(), "{problem:?}");
        assert!(!problem.to_string().contains(char::is_control), "{problem:?}");
        assert!(problem.to_string().chars().count() < 600, "{problem:?}");
    }
    let (shown, debug) = (problems.to_string(), format!("{problems:?}"));
    let error = crate::Error::from(problems);
    assert_eq!(error.kind().exit_code(), 2);
    vec![shown, debug, error.chain()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_environment_panics_or_shows_a_secret(vars in prop::collection::vec(variable(), 0..8), content in prop_oneof![secret(), url()]) {
        let mut fake = Fake::default().file("/secret", 0o444, content);
        fake.vars = vars.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        for text in texts(&fake) {
            prop_assert!(!text.contains(PLANTED), "{text}");
        }
    }

    #[test]
    fn no_file_panics_or_shows_a_secret(lines in prop::collection::vec((0..9u8, variable(), url(), secret()), 0..8), mode in prop::sample::select(vec![0o600, 0o644])) {
        let mut toml = String::new();
        for (kind, (name, value), url, secret) in lines {
            let key = name.trim_start_matches("BACKUP_").trim_start_matches("DB_").trim_start_matches("PG").to_lowercase();
            let quoted = |text: &str| format!("\"{}\"", text.escape_default().to_string().replace("\\'", "'"));
            toml += &match kind {
                0 => format!("url = {}\n", quoted(&url)),
                1 => format!("password = {}\n", quoted(&secret)),
                2 => format!("password = {secret}\n"),
                3 => format!("password = \"{secret}\n"),
                4 => format!("[targets.{key}]\n"),
                5 => format!("password: {secret}\n"),
                6 => "password_file = '/secret'\n".to_owned(),
                7 => format!("[password = {secret}]\n"),
                _ => format!("{key} = {}\n", quoted(&value)),
            };
        }
        let fake = Fake::default().file("/secret", 0o444, PLANTED).file("/etc/kluis/kluis.toml", mode, toml);
        for text in texts(&fake) {
            prop_assert!(!text.contains(PLANTED), "{text}");
        }
    }
}
