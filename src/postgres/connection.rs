//! The one description of a connection, for our own sessions and for the children we start.
//! Owns what libpq calls a conninfo; leaves reading the environment and files to `config`, and the network to `session`.
//! Invariant: pure. A secret is printed as `***`, by `Debug` as well.

use crate::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// A string that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself. For the wire and for a passfile, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How much TLS a connection asks for, in libpq's words (manual, section 34.19).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS only if the server insists.
    Allow,
    /// TLS if the server has it.
    #[default]
    Prefer,
    /// TLS always; the certificate is verified only if a root certificate is at hand.
    Require,
    /// TLS with a certificate that a trusted authority signed.
    VerifyCa,
    /// The same, and the certificate names the host.
    VerifyFull,
}

/// One row a word, so that parsing, printing and help cannot drift apart.
const MODES: [(&str, SslMode); 6] = [
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

impl SslMode {
    /// libpq's word for the mode.
    pub fn word(self) -> &'static str {
        MODES.iter().find(|(_, mode)| *mode == self).map_or("prefer", |(word, _)| word)
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for SslMode {
    type Err = Error;
    fn from_str(word: &str) -> Result<Self, Error> {
        MODES
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, mode)| *mode)
            .ok_or_else(|| Error::usage("unknown sslmode").hinted("one of disable, allow, prefer, require, verify-ca, verify-full"))
    }
}

/// Whether SCRAM is tied to the TLS channel it runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where the server offers it.
    #[default]
    Prefer,
    /// Or no connection at all.
    Require,
}

impl ChannelBinding {
    /// libpq's word.
    pub fn word(self) -> &'static str {
        match self {
            ChannelBinding::Disable => "disable",
            ChannelBinding::Prefer => "prefer",
            ChannelBinding::Require => "require",
        }
    }
}

impl FromStr for ChannelBinding {
    type Err = Error;
    fn from_str(word: &str) -> Result<Self, Error> {
        [ChannelBinding::Disable, ChannelBinding::Prefer, ChannelBinding::Require]
            .into_iter()
            .find(|known| known.word() == word)
            .ok_or_else(|| Error::usage("unknown channel_binding").hinted("one of disable, prefer, require"))
    }
}

/// The TLS part of a connection. A path is used as given; libpq's defaults under `~/.postgresql` are for `config` to fill in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// How much TLS.
    pub mode: SslMode,
    /// The file of trusted authorities (PEM), or the word `system` for those of the operating system.
    pub root_cert: Option<PathBuf>,
    /// Our own certificate, with its chain (PEM).
    pub cert: Option<PathBuf>,
    /// The key of `cert` (PEM, not encrypted).
    pub key: Option<PathBuf>,
    /// Revoked certificates (PEM).
    pub crl: Option<PathBuf>,
}

impl Tls {
    /// Whether the operating system's authorities are the trusted ones.
    pub fn uses_system_roots(&self) -> bool {
        self.root_cert.as_deref() == Some(Path::new("system"))
    }
}

/// Where a database is and how to get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// A name, an address, or the folder of a Unix socket (starting with `/`).
    pub host: String,
    /// The port; for a Unix socket the number in its file name.
    pub port: u16,
    /// The database's name.
    pub database: String,
    /// The role's name.
    pub user: String,
    /// The password, where one is known.
    pub password: Option<Secret>,
    /// A file in libpq's passfile format, looked into when the server asks for a password and `password` is not given.
    pub passfile: Option<PathBuf>,
    /// TLS.
    pub tls: Tls,
    /// The limit for each address: TCP, TLS and authentication together.
    pub connect_timeout: Duration,
    /// Channel binding.
    pub channel_binding: ChannelBinding,
    /// Command-line options for the server's session, as in `-c name=value`.
    pub options: Option<String>,
    /// The name shown in `pg_stat_activity`.
    pub application_name: String,
}

/// What of [`Connection::child_environment`] says how dates and times are written.
pub const STYLE: [&str; 2] = ["PGTZ", "PGDATESTYLE"];

impl Connection {
    /// The same server and role, another database.
    pub fn at(&self, database: impl Into<String>) -> Connection {
        Connection { database: database.into(), ..self.clone() }
    }

    /// Whether the host is the folder of a Unix socket.
    pub fn is_local_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    /// `user@host:port/database`, for messages. Control characters are escaped, and there is no secret in it.
    pub fn label(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        super::server_error::printable(&format!("{}@{host}:{}/{}", self.user, self.port, self.database))
    }

    /// The whole connection as a child's environment. The child must be started without any `PG*` variable of our own.
    ///
    /// `passfile` holds [`Connection::passfile_line`], mode 0600: libpq ignores one that others can read.
    pub fn child_environment(&self, passfile: &Path) -> Vec<(String, OsString)> {
        let seconds = self.connect_timeout.as_secs().max(2); // libpq takes whole seconds, and no fewer than two
        let mut environment: Vec<(&str, OsString)> = vec![
            ("PGHOST", self.host.clone().into()),
            ("PGPORT", self.port.to_string().into()),
            ("PGDATABASE", self.database.clone().into()),
            ("PGUSER", self.user.clone().into()),
            ("PGPASSFILE", passfile.into()),
            ("PGSSLMODE", self.tls.mode.word().into()),
            ("PGCHANNELBINDING", self.channel_binding.word().into()),
            ("PGCONNECT_TIMEOUT", seconds.to_string().into()),
            ("PGAPPNAME", self.application_name.clone().into()),
            // Our own sessions know no GSSAPI: the children must not take another road than we did.
            ("PGGSSENCMODE", "disable".into()),
            // pg_dump writes constants of timestamptz in the session's time zone: without this the same schema reads otherwise on another server.
            ("PGTZ", "UTC".into()),
            // pg_dumpall writes the dates until which passwords are valid in the session's style, and another server reads them in its own.
            ("PGDATESTYLE", "ISO".into()),
        ];
        let files = [("PGSSLROOTCERT", &self.tls.root_cert), ("PGSSLCERT", &self.tls.cert), ("PGSSLKEY", &self.tls.key), ("PGSSLCRL", &self.tls.crl)];
        environment.extend(files.into_iter().filter_map(|(name, file)| Some((name, file.as_ref()?.into()))));
        environment.extend(self.options.as_ref().map(|options| ("PGOPTIONS", options.into())));
        environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample() -> Connection {
        Connection {
            host: "db".into(),
            port: 5432,
            database: "app".into(),
            user: "kluis".into(),
            password: Some(Secret::from("pa:ss\\word".to_owned())),
            passfile: None,
            tls: Tls::default(),
            connect_timeout: Duration::from_secs(10),
            channel_binding: ChannelBinding::Prefer,
            options: None,
            application_name: "kluis".into(),
        }
    }

    #[test]
    fn nothing_prints_the_password() {
        let connection = sample();
        for text in [format!("{connection:?}"), connection.label(), connection.password.clone().unwrap().to_string()] {
            assert!(!text.contains("pa:ss"), "{text}");
        }
        let environment = format!("{:?}", connection.child_environment(Path::new("/p")));
        assert!(!environment.contains("pa:ss") && !environment.contains("PGPASSWORD"), "{environment}");
    }

    #[test]
    fn a_child_gets_everything() {
        let mut connection = sample().at("other");
        connection.tls = Tls { mode: SslMode::VerifyFull, root_cert: Some("/ca".into()), ..Tls::default() };
        connection.options = Some("-c lock_timeout=5s".into());
        let environment = connection.child_environment(Path::new("/run/pass"));
        let get = |name: &str| environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_str().unwrap());
        assert_eq!(get("PGDATABASE"), Some("other"));
        assert_eq!(get("PGSSLMODE"), Some("verify-full"));
        assert_eq!(get("PGSSLROOTCERT"), Some("/ca"));
        assert_eq!(get("PGSSLCERT"), None);
        assert_eq!(get("PGPASSFILE"), Some("/run/pass"));
        assert_eq!(get("PGCONNECT_TIMEOUT"), Some("10"));
        assert_eq!(get("PGOPTIONS"), Some("-c lock_timeout=5s"));
    }

    #[test]
    fn each_word_is_its_mode() {
        for (word, mode) in MODES {
            assert_eq!((word.parse::<SslMode>().unwrap(), mode.word()), (mode, word));
        }
        assert!("verify_full".parse::<SslMode>().is_err());
        assert_eq!(SslMode::default(), SslMode::Prefer);
    }

    #[test]
    fn a_label_is_one_line() {
        assert_eq!(Connection { host: "::1".into(), ..sample().at("a\nb") }.label(), "kluis@[::1]:5432/a\\nb");
    }
}
