//! What libpq finds by itself: its socket's folder, `~/.pgpass` and the certificates in `~/.postgresql`.
//! It owns those defaults, so that our own sessions and the children get the same; it leaves the files' formats to `postgres`.
//! A file that the user named must be there; one that libpq only looks for may be missing.

use std::path::{Path, PathBuf};

use super::database::{Files, Part};
use super::keys;
use super::problem::{Fault, Origin, quoted};
use super::reader::{Bad, Reader};
use super::settings::Whose;
use super::value;
use crate::postgres::connection::{Connection, Secret, SslMode};
use crate::postgres::passfile::passfile_lookup;
use crate::postgres::url::Partial;

/// The folder of the server's socket on Debian and in the official images.
const SOCKET_FOLDER: &str = "/var/run/postgresql";

impl Reader<'_> {
    /// The Unix socket if a server listens there, else localhost. The folder alone proves nothing: every image with a client has it.
    pub(super) fn default_host(&mut self, whose: Whose<'_>, port: u16) -> String {
        let socket = Path::new(SOCKET_FOLDER).join(format!(".s.PGSQL.{port}"));
        let host = if self.source.stat(&socket).is_ok() { SOCKET_FOLDER } else { "localhost" };
        self.note(whose.name, &keys::HOST, host, &Origin::Default);
        host.to_owned()
    }

    fn at_home(&self, name: &str) -> Option<PathBuf> {
        let home = self.source.var("HOME").filter(|home| !home.is_empty())?;
        let path = Path::new(&home).join(name);
        self.source.stat(&path).ok().map(|_| path)
    }

    /// Fills in certificates and key, each named one looked for.
    pub(super) fn tls(&mut self, partial: &mut Partial, files: &Files, mode_origin: &Origin) -> Result<(), Bad> {
        let named = [&files.root_cert, &files.cert, &files.key, &files.crl];
        let system = |part: &Part<PathBuf>| part.as_ref().is_some_and(|(path, _)| path.as_os_str() == "system");
        let mut result = Ok(());
        for (path, origin) in named.into_iter().filter(|part| !system(part)).flatten() {
            result = result.and(self.existing(path, origin, false));
        }
        let take = |part: &Part<PathBuf>| part.as_ref().map(|(path, _)| path.clone());
        partial.ssl_root_cert = take(&files.root_cert);
        partial.ssl_cert = take(&files.cert);
        partial.ssl_key = take(&files.key);
        partial.ssl_crl = take(&files.crl);
        // libpq has no TLS on a Unix socket, whatever the mode says.
        let socket = partial.host.as_ref().is_some_and(|host| host.starts_with('/'));
        let mode = partial.ssl_mode.unwrap_or_default();
        if socket || mode == SslMode::Disable && !system(&files.root_cert) {
            return result;
        }
        partial.ssl_root_cert = partial.ssl_root_cert.take().or_else(|| self.at_home(".postgresql/root.crt"));
        partial.ssl_crl = partial.ssl_crl.take().or_else(|| self.at_home(".postgresql/root.crl"));
        if mode >= SslMode::VerifyCa && partial.ssl_root_cert.is_none() {
            let fault = Fault::new(
                format!("'{mode}' needs the certificates to trust"),
                "set DB_SSLROOTCERT to the authority's certificate, or to 'system' with verify-full",
            );
            result = result.and(Err(self.wrong(mode_origin, fault)));
        }
        let default_key = self.at_home(".postgresql/postgresql.key");
        if partial.ssl_cert.is_none() && partial.ssl_key.is_none() && default_key.is_some() {
            partial.ssl_cert = self.at_home(".postgresql/postgresql.crt");
        }
        if partial.ssl_cert.is_some() && partial.ssl_key.is_none() {
            partial.ssl_key = default_key;
        }
        match (&files.cert, &files.key) {
            (Some((_, origin)), None) if partial.ssl_key.is_none() => {
                result = result.and(Err(self.wrong(origin, Fault::new("a certificate without its key", "set DB_SSLKEY as well"))));
            }
            (None, Some((_, origin))) if partial.ssl_cert.is_none() => {
                result = result.and(Err(self.wrong(origin, Fault::new("a key without its certificate", "set DB_SSLCERT as well"))));
            }
            _ => {}
        }
        if let Some((path, origin)) = &files.key
            && let Ok(stat) = self.source.stat(path)
            && !stat.folder
            && stat.mode & 0o037 != 0
        {
            // libpq refuses it as well, but only when the children connect.
            let fault = Fault::new(format!("the key {} has mode {:04o}, which others can read", quoted(&path.to_string_lossy()), stat.mode), "chmod 600 it");
            result = result.and(Err(self.wrong(origin, fault)));
        }
        result
    }

    /// The password that libpq would find in its passfile.
    pub(super) fn passfile_password(&mut self, named: Part<PathBuf>, connection: &Connection) -> Result<Part<Secret>, Bad> {
        let (path, origin) = match named {
            Some((path, origin)) => {
                self.existing(&path, &origin, false)?;
                (path, origin)
            }
            None => match self.at_home(".pgpass") {
                Some(path) => (path, Origin::Derived("~/.pgpass".to_owned())),
                None => return Ok(None),
            },
        };
        let shown = quoted(&path.to_string_lossy());
        match self.source.stat(&path) {
            // As libpq does; it only says so on stderr, where nobody looks.
            Ok(stat) if stat.mode & 0o077 != 0 => {
                self.warnings.push(format!("the password file {shown} is ignored: its mode {:04o} lets others at it; hint: chmod 600 it", stat.mode));
                return Ok(None);
            }
            Ok(stat) if stat.folder => return Ok(None),
            _ => {}
        }
        match self.source.read_file(&path) {
            Ok(bytes) => {
                let found = passfile_lookup(&String::from_utf8_lossy(&bytes), connection);
                Ok(found.map(|password| (password, Origin::Derived(format!("password file {shown}")))))
            }
            Err(error) => {
                let fault = Fault::new(
                    format!("cannot read the password file {shown}: {}", value::io_reason(&error)),
                    "make it readable for the user that kluis runs as, mode 0600",
                );
                Err(self.wrong(&origin, fault))
            }
        }
    }
}
