//! From typed values to a [`Connection`]: `DATABASE_URL`, `DB_*`, `kluis.toml` and libpq's variables in one.
//! It owns how the sources are joined and when they contradict each other; it leaves the URL's grammar to `postgres`, libpq's files to `home`.
//! Two answers to the same question are an error, not a choice: a backup of the wrong database looks like any other.

use std::path::PathBuf;
use std::time::Duration;

use super::keys::{self, Key};
use super::problem::{Fault, Origin};
use super::reader::{Bad, Found, Reader, Typed};
use super::settings::Whose;
use super::value;
use crate::postgres::connection::{ChannelBinding, Connection, Secret, SslMode};
use crate::postgres::url::Partial;

const SSL_MODES: [(&str, SslMode); 6] = [
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

const BINDINGS: [(&str, ChannelBinding); 3] = [("disable", ChannelBinding::Disable), ("prefer", ChannelBinding::Prefer), ("require", ChannelBinding::Require)];

/// A part of the connection, and where it was typed.
pub(super) type Part<T> = Option<(T, Origin)>;

/// The paths of a connection, before libpq's defaults are filled in.
pub(super) struct Files {
    pub root_cert: Part<PathBuf>,
    pub cert: Part<PathBuf>,
    pub key: Part<PathBuf>,
    pub crl: Part<PathBuf>,
    pub passfile: Part<PathBuf>,
}

impl Reader<'_> {
    /// The connection of one target. `place` is the target's table, for what is missing in it.
    pub(super) fn connection(&mut self, whose: Whose<'_>, place: Option<&Origin>) -> Result<Connection, Bad> {
        let url = self.url(whose);
        let url_is_bad = url.is_err();
        let (url, typed_url) = url.ok().flatten().unzip();
        let url = url.unwrap_or_default();
        let mut join = Join { reader: self, whose, url: typed_url.as_ref() };

        let host = join.part(&keys::HOST, url.host, value::host, Clone::clone);
        let port = join.part(&keys::PORT, url.port, value::port, u16::to_string);
        let database = join.part(&keys::DATABASE, url.database, value::plain, Clone::clone);
        let user = join.part(&keys::USER, url.user, value::plain, Clone::clone);
        let password = join.password(url.password);
        let mode = join.part(&keys::SSLMODE, url.ssl_mode, |key, text| value::word(key, text, &SSL_MODES), SslMode::to_string);
        let root_cert = join.path(&keys::SSLROOTCERT, url.ssl_root_cert);
        let cert = join.path(&keys::SSLCERT, url.ssl_cert);
        let key = join.path(&keys::SSLKEY, url.ssl_key);
        let crl = join.path(&keys::SSLCRL, url.ssl_crl);
        let passfile = join.path(&keys::PASSFILE, url.passfile);
        let seconds = |key: &Key, text: &str| Ok(Duration::from_secs(value::count(key, text, 1, 3600)?.into()));
        let connect_timeout = join.part(&keys::CONNECT_TIMEOUT, url.connect_timeout, seconds, |timeout| timeout.as_secs().to_string());
        let binding = |key: &Key, text: &str| value::word(key, text, &BINDINGS);
        let channel_binding = join.part(&keys::CHANNEL_BINDING, url.channel_binding, binding, |binding| binding.word().to_owned());
        let options = join.part(&keys::OPTIONS, url.options, value::plain, Clone::clone);
        let application_name = join.part(&keys::APPLICATION_NAME, url.application_name, value::plain, Clone::clone);

        // What seems to be missing may stand in a URL or a file that could not be read.
        if url_is_bad || self.document.broken {
            return Err(Bad);
        }
        let named = typed_url.is_some() || !matches!(host, Ok(None));
        self.lacks(database == Ok(None), user == Ok(None), named, typed_url.as_ref(), place)?;

        // What follows looks for files; it needs every answer that it builds on.
        let files = Files { root_cert: root_cert?, cert: cert?, key: key?, crl: crl?, passfile: passfile? };
        let (mode, password) = (mode?, password?);
        let mode_origin = mode.as_ref().map_or_else(|| Origin::Environment(keys::SSLMODE.name().to_owned()), |(_, origin)| origin.clone());
        let port = port?.map_or(5432, value_of);
        let mut partial = Partial {
            host: Some(host?.map_or_else(|| self.default_host(whose, port), value_of)),
            port: Some(port),
            database: database?.map(value_of),
            user: user?.map(value_of),
            ssl_mode: mode.map(value_of),
            connect_timeout: connect_timeout?.map(value_of),
            channel_binding: channel_binding?.map(value_of),
            options: options?.map(value_of),
            application_name: application_name?.map(value_of),
            ..Partial::default()
        };
        let tls = self.tls(&mut partial, &files, &mode_origin);
        let mut connection = partial.finish().map_err(|error| self.wrong(&mode_origin, value::from_error(&keys::SSLMODE, "", &error)))?;
        // Of libpq's own variable nobody need know that something of ours overrides it; what was typed for us must be right.
        if let Some((path, origin)) = files.passfile.as_ref().filter(|(_, origin)| !matches!(origin, Origin::Environment(_))) {
            self.existing(path, origin, false)?;
        }
        let password = match password {
            Some((Some(password), origin)) => Some((password, origin)),
            _ => self.passfile_password(files.passfile, &connection)?,
        };
        let (password, origin) = password.unzip();
        self.note(whose.name, &keys::PASSWORD, if password.is_some() { "set" } else { "" }, &origin.unwrap_or(Origin::Default));
        connection.password = password;
        tls.map(|()| connection)
    }

    /// The name that the target would get from its database, where that can be told without a problem.
    pub(super) fn database_name(&mut self) -> Option<String> {
        let whose = Whose::default();
        let url = self.url(whose).ok()?;
        let named = self.get(&keys::DATABASE, None, |typed| value::plain(&keys::DATABASE, &typed.text)).ok()?;
        url.and_then(|(url, _)| url.database).or(named.map(|(name, _)| name))
    }

    fn url(&mut self, whose: Whose<'_>) -> Found<Partial> {
        let found = self.get(&keys::URL, whose.table, |typed| {
            let other = ["mysql", "mariadb", "sqlite", "mongodb", "redis", "sqlserver", "mssql"].iter().find(|scheme| typed.text.starts_with(*scheme));
            match other {
                Some(scheme) => Err(Fault::new(format!("it is a {scheme} URL"), "kluis backs up PostgreSQL only")),
                None => Partial::parse_url(&typed.text).map_err(|error| value::from_error(&keys::URL, "", &error)),
            }
        });
        if let Ok(Some((url, typed))) = &found {
            if url.password.as_ref().is_some_and(|password| password.expose().contains(['\n', '\r', '\0'])) {
                return Err(self.wrong(
                    &typed.origin,
                    Fault::new("the password has a line break in it", "libpq's password files cannot hold one: change the role's password"),
                ));
            }
            self.note(whose.name, &keys::URL, "set", &typed.origin);
        }
        found
    }

    /// Refuses a connection that lacks what has no sensible default.
    fn lacks(&mut self, database: bool, user: bool, named: bool, url: Option<&Typed>, place: Option<&Origin>) -> Result<(), Bad> {
        let mut say = |key: &Key, reason: &str, hint: &str| {
            let (name, origin) = match (url, place) {
                (Some(url), _) => (url.origin.key().to_owned(), url.origin.clone()),
                (None, Some(place)) => (format!("{}.{}", place.key(), key.toml.unwrap_or_default()), place.clone()),
                (None, None) => (key.name().to_owned(), Origin::Environment(key.name().to_owned())),
            };
            self.missing(name, origin, reason, hint.to_owned());
        };
        match (database, user, url.is_some(), place.is_some()) {
            (true, true, false, false) if !named => say(
                &keys::DATABASE,
                "no database to back up is named",
                "set DB_HOST, DB_DATABASE, DB_USERNAME and DB_PASSWORD_FILE, or DATABASE_URL, or write targets into kluis.toml",
            ),
            (database, user, true, _) => {
                if database {
                    say(&keys::DATABASE, "the URL names no database", "end it with one, as in postgresql://user@host/database");
                }
                if user {
                    say(&keys::USER, "the URL names no user", "begin it with one, as in postgresql://user@host/database");
                }
            }
            (database, user, false, _) => {
                if database {
                    say(&keys::DATABASE, "not set", "set it to the database's name");
                }
                if user {
                    say(&keys::USER, "not set", "set it to a role that may read every table");
                }
            }
        }
        if database || user { Err(Bad) } else { Ok(()) }
    }
}

fn value_of<T>((value, _): (T, Origin)) -> T {
    value
}

/// Joins the parts of a connection with those that its URL holds.
struct Join<'r, 'a, 't> {
    reader: &'r mut Reader<'a>,
    whose: Whose<'t>,
    url: Option<&'r Typed>,
}

impl Join<'_, '_, '_> {
    /// One part; noted for `kluis config`.
    fn part<T: PartialEq>(
        &mut self,
        key: &'static Key,
        of_url: Option<T>,
        parse: impl Fn(&Key, &str) -> Result<T, Fault>,
        show: impl Fn(&T) -> String,
    ) -> Result<Part<T>, Bad> {
        let found = self.reader.get(key, self.whose.table, |typed| parse(key, &typed.text))?;
        let part = self.join(key, of_url, found)?;
        let name = self.whose.name;
        match &part {
            Some((value, origin)) => self.reader.note(name, key, show(value), origin),
            // The host's default is found out later.
            None if std::ptr::eq(key, &keys::HOST) => {}
            None => self.reader.note(name, key, key.default, &Origin::Default),
        }
        Ok(part)
    }

    fn path(&mut self, key: &'static Key, of_url: Option<PathBuf>) -> Result<Part<PathBuf>, Bad> {
        // `system` is no path, but libpq's word for the operating system's own authorities.
        let special = |text: &str| std::ptr::eq(key, &keys::SSLROOTCERT) && text == "system";
        let found = match self.reader.get(key, self.whose.table, |typed| Ok(typed.text.clone()))? {
            Some((text, typed)) if special(&text) => Some((PathBuf::from(text), typed)),
            Some((text, typed)) => Some((self.reader.absolute(&text, &typed.origin)?, typed)),
            None => None,
        };
        let of_url = match (of_url, self.url) {
            (Some(path), Some(url)) => match path.to_str() {
                Some(text) if !special(text) => Some(self.reader.absolute(text, &url.origin)?),
                _ => Some(path),
            },
            _ => None,
        };
        let part = self.join(key, of_url, found)?;
        let (shown, origin) = part.as_ref().map_or((String::new(), Origin::Default), |(path, origin)| (path.to_string_lossy().into_owned(), origin.clone()));
        self.reader.note(self.whose.name, key, shown, &origin);
        Ok(part)
    }

    /// An empty password is "none": it hides what libpq's variable says, but does not contradict the URL.
    fn password(&mut self, of_url: Option<Secret>) -> Result<Part<Option<Secret>>, Bad> {
        let found =
            self.reader.get(&keys::PASSWORD, self.whose.table, |typed| Ok(Some(typed.text.clone()).filter(|text| !text.is_empty()).map(Secret::from)))?;
        let found = found.filter(|(password, _)| password.is_some() || of_url.is_none());
        self.join(&keys::PASSWORD, of_url.map(Some), found)
    }

    fn join<T: PartialEq>(&mut self, key: &Key, of_url: Option<T>, found: Option<(T, Typed)>) -> Result<Part<T>, Bad> {
        match (of_url.zip(self.url), found) {
            (None, found) => Ok(found.map(|(value, typed)| (value, typed.origin))),
            (Some((of_url, url)), None) => Ok(Some((of_url, url.origin.clone()))),
            // What was typed further away than the URL, such as libpq's variables, only fills in.
            (Some((of_url, url)), Some((value, typed))) if typed.level > url.level || value == of_url => Ok(Some((of_url, url.origin.clone()))),
            (Some((_, url)), Some((_, typed))) => {
                let reason = format!("{} says something else", url.origin.key());
                Err(self.reader.wrong(&typed.origin, Fault::new(reason, format!("keep one of the two answers for {}", key.about))))
            }
        }
    }
}
