//! Connection URLs (manual, section 34.1.1.2), and the half-known connection that `config` merges from several sources.
//! Owns parsing and the defaults; leaves the environment, files and the precedence of sources to `config`.
//! Invariant: no error repeats the URL or any part of its user information.

use super::connection::{ChannelBinding, Connection, Secret, SslMode, Tls};
use crate::error::{Error, Result};
use std::path::PathBuf;
use std::time::Duration;

/// A connection of which anything may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are those of `Connection` and `Tls`
pub struct Partial {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub database: Option<String>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub passfile: Option<PathBuf>,
    pub ssl_mode: Option<SslMode>,
    pub ssl_root_cert: Option<PathBuf>,
    pub ssl_cert: Option<PathBuf>,
    pub ssl_key: Option<PathBuf>,
    pub ssl_crl: Option<PathBuf>,
    pub connect_timeout: Option<Duration>,
    pub channel_binding: Option<ChannelBinding>,
    pub options: Option<String>,
    pub application_name: Option<String>,
}

const ENCODE: &str = "in a URL the characters @ : / ? # % of a user name or password are written percent-encoded, as %40 %3A %2F %3F %23 %25";

impl Partial {
    /// Parses `postgres://` or `postgresql://user:password@host:port/database?parameter=value`.
    pub fn parse_url(url: &str) -> Result<Partial> {
        let rest = url
            .strip_prefix("postgresql://")
            .or_else(|| url.strip_prefix("postgres://"))
            .ok_or_else(|| Error::usage("the connection URL does not start with 'postgres://' or 'postgresql://'"))?;
        let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, query)| (rest, query));
        let (authority, database) = rest.split_once('/').map_or((rest, ""), |(authority, database)| (authority, database));
        let mut partial = Partial::default();
        let place = match authority.split_once('@') {
            None => authority,
            Some((credentials, place)) => {
                let (user, password) = credentials.split_once(':').map_or((credentials, None), |(user, password)| (user, Some(password)));
                partial.user = filled(decode(user, "user name")?);
                partial.password = password.map(|password| decode(password, "password")).transpose()?.and_then(filled).map(Secret::from);
                place
            }
        };
        if place.contains('@') {
            return Err(Error::usage("the connection URL has more than one '@' before its host").hinted(ENCODE));
        }
        // With an unencoded '/' or '?' in a password, what follows it would be taken for a database or a parameter, and be shown as one.
        if database.contains('@') || (query.contains('@') && !authority.contains('@')) {
            return Err(Error::usage("the connection URL has an '@' behind its first '/' or '?'").hinted(ENCODE));
        }
        let (host, port) = split_place(place)?;
        partial.host = filled(decode(host, "host")?);
        partial.port = filled(decode(port, "port")?).map(|port| parse_port(&port)).transpose()?;
        partial.database = filled(decode(database, "database name")?);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| Error::usage("a parameter in the connection URL has no '='").hinted(ENCODE))?;
            let name = decode(name, "parameter name")?;
            let value = decode(value, "parameter")?;
            partial.set(&name, value)?;
        }
        if partial.host.as_deref().is_some_and(|host| host.contains(',') && !host.starts_with('/')) {
            return Err(several_hosts());
        }
        Ok(partial)
    }

    /// Sets what libpq calls `keyword` (manual, section 34.1.2).
    pub fn set(&mut self, keyword: &str, value: String) -> Result<()> {
        let file = || Some(PathBuf::from(&value)).filter(|file| !file.as_os_str().is_empty());
        match keyword {
            "host" => self.host = filled(value),
            "port" => self.port = filled(value).map(|port| parse_port(&port)).transpose()?,
            "dbname" => self.database = filled(value),
            "user" => self.user = filled(value),
            "password" => self.password = filled(value).map(Secret::from),
            "passfile" => self.passfile = file(),
            "sslmode" => self.ssl_mode = Some(value.parse()?),
            // What JDBC's URLs say, and libpq understands.
            "ssl" if value == "true" => self.ssl_mode = Some(SslMode::Require),
            "sslrootcert" => self.ssl_root_cert = file(),
            "sslcert" => self.ssl_cert = file(),
            "sslkey" => self.ssl_key = file(),
            "sslcrl" => self.ssl_crl = file(),
            "connect_timeout" => self.connect_timeout = Some(parse_timeout(&value)?),
            "channel_binding" => self.channel_binding = Some(value.parse()?),
            "options" => self.options = filled(value),
            "application_name" => self.application_name = filled(value),
            _ => {
                let word = keyword.len() <= 40 && keyword.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
                let shown = if word { format!("'{keyword}' ") } else { String::new() };
                return Err(Error::usage(format!("unknown parameter {shown}in the connection URL"))
                    .hinted("take it out: it belongs to an application, or to a part of libpq that kluis does not have"));
            }
        }
        Ok(())
    }

    /// This, with what it lacks taken from `under`.
    pub fn or(self, under: Partial) -> Partial {
        Partial {
            host: self.host.or(under.host),
            port: self.port.or(under.port),
            database: self.database.or(under.database),
            user: self.user.or(under.user),
            password: self.password.or(under.password),
            passfile: self.passfile.or(under.passfile),
            ssl_mode: self.ssl_mode.or(under.ssl_mode),
            ssl_root_cert: self.ssl_root_cert.or(under.ssl_root_cert),
            ssl_cert: self.ssl_cert.or(under.ssl_cert),
            ssl_key: self.ssl_key.or(under.ssl_key),
            ssl_crl: self.ssl_crl.or(under.ssl_crl),
            connect_timeout: self.connect_timeout.or(under.connect_timeout),
            channel_binding: self.channel_binding.or(under.channel_binding),
            options: self.options.or(under.options),
            application_name: self.application_name.or(under.application_name),
        }
    }

    /// The connection, with defaults for what is missing: localhost, 5432, user `postgres`, the database named like the user, 10 s.
    ///
    /// With `sslrootcert=system` the mode is verify-full, and a weaker one is refused, as libpq has it.
    pub fn finish(self) -> Result<Connection> {
        let system = self.ssl_root_cert.as_deref().is_some_and(|file| file.as_os_str() == "system");
        let mode = self.ssl_mode.unwrap_or(if system { SslMode::VerifyFull } else { SslMode::default() });
        if system && mode != SslMode::VerifyFull {
            return Err(Error::usage(format!("sslmode '{mode}' is too weak for sslrootcert=system")).hinted("use sslmode=verify-full"));
        }
        let user = self.user.unwrap_or_else(|| "postgres".into());
        Ok(Connection {
            host: self.host.unwrap_or_else(|| "localhost".into()),
            port: self.port.unwrap_or(5432),
            database: self.database.unwrap_or_else(|| user.clone()),
            user,
            password: self.password,
            passfile: self.passfile,
            tls: Tls { mode, root_cert: self.ssl_root_cert, cert: self.ssl_cert, key: self.ssl_key, crl: self.ssl_crl },
            connect_timeout: self.connect_timeout.unwrap_or(Duration::from_secs(10)),
            channel_binding: self.channel_binding.unwrap_or_default(),
            options: self.options,
            application_name: self.application_name.unwrap_or_else(|| "kluis".into()),
        })
    }
}

impl Connection {
    /// Parses a URL and fills in the defaults; see [`Partial`] for merging with other sources.
    pub fn from_url(url: &str) -> Result<Connection> {
        Partial::parse_url(url)?.finish()
    }
}

fn filled(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn several_hosts() -> Error {
    Error::usage("the connection URL names several hosts").hinted("name one: a backup must know which server it came from")
}

fn split_place(place: &str) -> Result<(&str, &str)> {
    if place.contains(',') {
        return Err(several_hosts());
    }
    let Some(rest) = place.strip_prefix('[') else {
        let (host, port) = place.split_once(':').unwrap_or((place, ""));
        return if port.contains(':') {
            Err(Error::usage("the host in the connection URL holds a ':'").hinted("an IPv6 address goes in brackets, as in [::1]"))
        } else {
            Ok((host, port))
        };
    };
    let (host, after) = rest.split_once(']').ok_or_else(|| Error::usage("the IPv6 address in the connection URL has no closing ']'"))?;
    match after.strip_prefix(':') {
        Some(port) => Ok((host, port)),
        None if after.is_empty() => Ok((host, "")),
        None => Err(Error::usage("the connection URL goes on after the ']' of its IPv6 address without a ':'")),
    }
}

fn parse_port(text: &str) -> Result<u16> {
    if text.contains(',') {
        return Err(several_hosts());
    }
    // The text is not repeated: with an unencoded '@' or ':' it would be a piece of the password.
    text.parse().ok().filter(|port| *port != 0).ok_or_else(|| Error::usage("the port in the connection URL is not a number from 1 to 65535").hinted(ENCODE))
}

fn parse_timeout(text: &str) -> Result<Duration> {
    match text.parse::<u32>() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds.into())),
        _ => Err(Error::usage("connect_timeout is not a number of seconds above zero").hinted("every wait has a limit; leave it out for 10 s")),
    }
}

/// Percent-decoding (RFC 3986, section 2.1). A `+` stands for itself.
fn decode(text: &str, part: &str) -> Result<String> {
    let bad = |why: &str| Error::usage(format!("the {part} in the connection URL {why}")).hinted(ENCODE);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| (digit as char).to_digit(16));
        match (digit(), digit()) {
            (Some(0), Some(0)) => return Err(bad("holds %00")),
            (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
            _ => return Err(bad("has a '%' without two hexadecimal digits after it")),
        }
    }
    String::from_utf8(bytes).map_err(|_| bad("is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Connection {
        Connection::from_url(url).unwrap()
    }

    #[test]
    fn a_piece_of_a_password_is_taken_for_nothing_else() {
        for url in ["postgresql://u:12/Secret@h/d", "postgresql://u:12?Secret=x@h/d", "postgresql://u:1?a=Secret@h/d", "postgresql://u:x@h/d?a://b:Secret=1"] {
            let error = Partial::parse_url(url).unwrap_err();
            assert!(!error.chain().contains("Secret"), "{}", error.chain());
        }
        assert_eq!(parse("postgresql://u:x@h/d?application_name=a@b").application_name, "a@b");
        assert_eq!(parse("postgresql://u:x@h/a%40b").database, "a@b");
    }

    #[test]
    fn a_full_url() {
        let connection =
            parse("postgres://kl%40uis:p%3Aw%2F@db.example:6432/my%20app?sslmode=verify-ca&sslrootcert=/ca.pem&connect_timeout=3&application_name=x%26y");
        assert_eq!(connection.label(), "kl@uis@db.example:6432/my app");
        assert_eq!(connection.password.unwrap().expose(), "p:w/");
        assert_eq!((connection.tls.mode, connection.connect_timeout.as_secs()), (SslMode::VerifyCa, 3));
        assert_eq!(connection.application_name, "x&y");
    }

    #[test]
    fn places() {
        for (url, host, port) in [
            ("postgresql://", "localhost", 5432),
            ("postgresql://[::1]:5433/x", "::1", 5433),
            ("postgresql://[fe80::1]", "fe80::1", 5432),
            ("postgresql:///app?host=/run/postgresql", "/run/postgresql", 5432),
            ("postgresql://%2Frun%2Fpg:7/app", "/run/pg", 7),
            ("postgresql://u@h?port=9", "h", 9),
        ] {
            let connection = parse(url);
            assert_eq!((connection.host.as_str(), connection.port), (host, port), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_never_repeated() {
        for (url, expected) in [
            ("mysql://user:hunter2@h", "does not start"),
            ("postgres://user:hunter2@a,b/x", "several hosts"),
            ("postgres://user:hunter2@h/x?host=a,b", "several hosts"),
            ("postgres://user:hunter2@h:1,2/x", "several hosts"),
            ("postgres://user:hunter2@h/x?pgbouncer=true", "'pgbouncer'"),
            ("postgres://user:hunter2@h/x?sslmode=hunter2", "unknown sslmode"),
            ("postgres://user:hun%ter2@h/x", "the password"),
            ("postgres://user:hunter2%00@h/x", "the password"),
            ("postgres://user:hunt@er2@h/x", "more than one '@'"),
            ("postgres://user:hunter2", "port"),
            ("postgres://user:h/unter2@h/x", "'@' behind"),
            ("postgres://u@::1/x", "brackets"),
            ("postgres://u@[::1/x", "closing"),
            ("postgres://u@h:0/x", "port"),
            ("postgres://u@h/x?connect_timeout=0", "connect_timeout"),
            ("postgres://u:hunter2@h/x?sslrootcert=system&sslmode=require", "too weak"),
        ] {
            let error = Connection::from_url(url).unwrap_err();
            let text = format!("{error} {}", error.hint().unwrap_or_default());
            assert!(text.contains(expected), "{url}: {text}");
            assert!(!text.contains("hunt") && !text.contains("unter2"), "{text}");
        }
    }

    #[test]
    fn system_roots_verify_fully() {
        assert_eq!(parse("postgres://h/x?sslrootcert=system").tls.mode, SslMode::VerifyFull);
    }

    #[test]
    fn the_first_source_wins() {
        let over = Partial::parse_url("postgres://h").unwrap();
        let under = Partial::parse_url("postgres://u@other:7").unwrap();
        let connection = over.or(under).finish().unwrap();
        assert_eq!(connection.label(), "u@h:7/u");
    }
}
