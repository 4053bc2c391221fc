//! Encoding and locale of a throwaway server, and initdb's arguments.
//! It owns what each major's initdb understands; it leaves running it to the parent. Pure.
//! Invariant: what the source's databases depend on (encoding, collation, character classes, money) is given, never taken from the environment.

use super::Options;
use crate::manifest::Database;
use crate::postgres::child::Tool;
use std::path::Path;

/// Encoding and locale, in PostgreSQL's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locale {
    /// The server-side encoding.
    pub encoding: String,
    /// LC_COLLATE.
    pub collate: String,
    /// LC_CTYPE.
    pub ctype: String,
    /// `lc_monetary`: how the text of money is read.
    pub monetary: String,
    /// `libc`, `icu` or `builtin`.
    pub provider: String,
    /// The locale of the ICU or builtin provider.
    pub locale: Option<String>,
    /// ICU's tailoring rules.
    pub icu_rules: Option<String>,
}

impl Locale {
    /// UTF-8 and byte order: what every machine has.
    pub fn plain() -> Locale {
        let c = || "C".to_owned();
        Locale { encoding: "UTF8".into(), collate: c(), ctype: c(), monetary: c(), provider: "libc".into(), locale: None, icu_rules: None }
    }

    /// In a few words.
    pub fn describe(&self) -> String {
        let parts = [Some(self.collate.as_str()), Some(&self.ctype).filter(|ctype| **ctype != self.collate).map(String::as_str), self.locale.as_deref()];
        let names = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let provider = if self.provider == "libc" { String::new() } else { format!(" by {}", self.provider) };
        format!("{names}{provider}, encoding {}", self.encoding)
    }
}

impl From<&Database> for Locale {
    fn from(database: &Database) -> Locale {
        Locale {
            encoding: database.encoding.clone(),
            collate: database.collate.clone(),
            ctype: database.ctype.clone(),
            // Manifests of the first versions do not tell.
            monetary: if database.lc_monetary.is_empty() { "C".into() } else { database.lc_monetary.clone() },
            provider: database.locale_provider.clone(),
            locale: database.locale.clone(),
            icu_rules: database.icu_rules.clone(),
        }
    }
}

/// initdb of these programs, into `data`.
pub fn initdb(options: &Options<'_>, data: &Path) -> Tool {
    Tool::new(options.tools.program("initdb"))
        .arg("--pgdata")
        .arg(data)
        .arg(format!("--username={}", options.superuser))
        .args(arguments(options.locale, options.tools.major))
}

fn arguments(locale: &Locale, major: u32) -> Vec<String> {
    // With --no-clean what an interrupted initdb leaves stays where `leftovers` finds it.
    let mut arguments: Vec<String> = ["--auth=trust", "--no-sync", "--no-clean", "--lc-messages=C", "--lc-numeric=C", "--lc-time=C"].map(str::to_owned).into();
    let mut add = |name: &str, value: &str| arguments.push(format!("--{name}={value}"));
    add("encoding", &locale.encoding);
    add("lc-collate", &locale.collate);
    add("lc-ctype", &locale.ctype);
    add("lc-monetary", &locale.monetary);
    if major >= 15 {
        add("locale-provider", &locale.provider);
    }
    match (&locale.locale, locale.provider.as_str()) {
        (Some(name), "icu") if major >= 15 => add("icu-locale", name),
        (Some(name), "builtin") if major >= 17 => add("builtin-locale", name),
        _ => {}
    }
    if let Some(rules) = locale.icu_rules.as_ref().filter(|_| major >= 16) {
        add("icu-rules", rules);
    }
    if major >= 16 {
        // For initdb's own servers; they use /dev/shm otherwise.
        add("set", "dynamic_shared_memory_type=mmap");
    }
    if major >= 18 {
        arguments.push("--no-data-checksums".to_owned());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_major_gets_what_it_understands() {
        let icu = Locale { provider: "icu".into(), locale: Some("nl-NL".into()), icu_rules: Some("&a < b".into()), ..Locale::plain() };
        let has = |locale: &Locale, major: u32, word: &str| arguments(locale, major).iter().any(|argument| argument.starts_with(word));
        for (major, provider, rules, checksums) in [(13, false, false, false), (15, true, false, false), (16, true, true, false), (18, true, true, true)] {
            assert_eq!(has(&icu, major, "--icu-locale=nl-NL"), provider, "{major}");
            assert_eq!(has(&Locale::plain(), major, "--locale-provider=libc"), provider, "{major}");
            assert_eq!(has(&icu, major, "--icu-rules=&a < b"), rules, "{major}");
            assert_eq!(has(&icu, major, "--no-data-checksums"), checksums, "{major}");
        }
        assert_eq!(icu.describe(), "C, nl-NL by icu, encoding UTF8");
    }
}
