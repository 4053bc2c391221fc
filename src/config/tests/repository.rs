//! Commands that need the repository only.

use super::Fake;
use crate::config::*;

#[track_caller]
fn check(fake: &Fake, target: Option<&str>, configured: &[&str]) -> RepositoryConfig {
    let config = load_repository(&fake.flags, fake).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.target.as_deref(), target);
    assert_eq!(config.targets.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), configured);
    config
}

#[track_caller]
fn fails(fake: &Fake, expected: &[&str]) {
    assert_eq!(load_repository(&fake.flags, fake).unwrap_err().to_string(), expected.join("\n"));
}

#[test]
fn no_connection_is_needed_and_none_is_looked_at() {
    check(&Fake::new(&[]), None, &[]);
    check(
        &Fake::new(&[("DB_PASSWORD_FILE", "/gone"), ("DB_PORT", "x"), ("DATABASE_URL_FILE", "/gone"), ("PGSERVICE", "x"), ("DB_CONNECTION", "mysql")]),
        None,
        &[],
    );
    check(&Fake::new(&[("BACKUP_ASSERTIONS", "/gone")]), None, &[]);
    fails(
        &Fake::new(&[("BACKUP_JOBS", "0"), ("BACKUP_FOO", "x"), ("DB_PORT", "x")]),
        &["BACKUP_FOO: unknown variable; hint: unset it, or correct its name", "BACKUP_JOBS: '0' is less than 1; hint: use a whole number from 1 to 64"],
    );
}

#[test]
fn whose_settings_these_are() {
    check(&Fake::new(&[("BACKUP_TARGET", "app")]), Some("app"), &["app"]);
    check(&Fake::new(&[("BACKUP_TARGET", "app")]).target("old"), Some("old"), &["old"]);
    check(&Fake::complete(&[]), None, &["app"]);
    check(&Fake::new(&[("DATABASE_URL", "postgres://h/Shop")]), None, &["shop"]);
    let file = Fake::default().toml("jobs = 2\n[targets.a]\nretention_days = 30\n[targets.b]\n");
    let config = check(&file, None, &["a", "b"]);
    assert_eq!((config.settings_of("a").policy.days, config.settings_of("b").policy.days, config.settings_of("gone").policy.days), (30, 7, 7));
    fails(
        &file.clone().vars(&[("BACKUP_TARGET", "a")]),
        &["BACKUP_TARGET: '/etc/kluis/kluis.toml' names its 2 targets itself; hint: unset it; to choose one for a command, use --target"],
    );
    check(&file.clone().target("gone"), Some("gone"), &["a", "b"]);
    fails(
        &file.target("No"),
        &[
            "--target: 'No' cannot be a target's name; hint: use 1 to 63 of a-z, 0-9, dot, dash and underscore, a letter or digit first, and neither 'log' nor 'latest'",
        ],
    );
}

#[test]
fn the_file_is_checked_all_the_same() {
    fails(&Fake::default().toml("jbos = 1"), &["jbos (/etc/kluis/kluis.toml line 1): unknown key; hint: did you mean 'jobs'?"]);
    let config = check(&Fake::default().toml("dir = '/b'"), None, &[]);
    assert_eq!(config.common.dir.to_str(), Some("/b"));
    assert!(config.render().iter().any(|row| row.key == "BACKUP_DIR" && row.value == "/b"));
    assert_eq!(config.to_json()["warnings"].as_array().unwrap().len(), 0);
}
