//! libpq's passfile (manual, section 34.16): one line to write for a child, lines to look a password up in.
//! Owns the format and its matching rules; leaves files and their modes to the callers.
//! Invariant: what `passfile_line` writes, `passfile_lookup` and libpq find for the same connection.

use super::connection::{Connection, Secret};

/// The folders that one build or another of libpq has compiled in. For that folder it looks up `localhost`.
const DEFAULT_FOLDERS: [&str; 3] = ["/var/run/postgresql", "/run/postgresql", "/tmp"];

impl Connection {
    /// The passfile's one line for this connection, for any database of the server; none if there is no password.
    ///
    /// For a socket folder the host is `*`: whether libpq looks up the folder or `localhost` depends on how it was built.
    /// A password with a line break has no form in this format and gives none either: `config` must refuse it.
    pub fn passfile_line(&self) -> Option<Vec<u8>> {
        let password = self.password.as_ref()?.expose();
        if password.contains(['\n', '\r', '\0']) {
            return None;
        }
        let host = if self.is_local_socket() { "*".to_owned() } else { escape(&self.host) };
        // A line that begins with one is a comment.
        let comment = if host.starts_with('#') { "\\" } else { "" };
        Some(format!("{comment}{host}:{}:*:{}:{}\n", self.port, escape(&self.user), escape(password)).into_bytes())
    }
}

fn escape(field: &str) -> String {
    field.replace('\\', "\\\\").replace(':', "\\:")
}

/// The password that a passfile's `text` holds for `connection`: the first line that matches counts.
pub fn passfile_lookup(text: &str, connection: &Connection) -> Option<Secret> {
    let port = connection.port.to_string();
    text.split('\n').map(|line| line.trim_end_matches('\r')).filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut rest = line;
        let host = field(&mut rest)?;
        let host_matches = host.matches(&connection.host) || (DEFAULT_FOLDERS.contains(&connection.host.as_str()) && host.matches("localhost"));
        // Every field is taken, so that `&&` may not skip one.
        let rest_matches = [port.as_str(), &connection.database, &connection.user].map(|wanted| field(&mut rest).is_some_and(|found| found.matches(wanted)));
        (host_matches && rest_matches == [true; 3]).then(|| Secret::from(unescape(rest)))
    })
}

/// A field as it was written: a bare `*` matches anything, `\*` only a star.
struct Field<'a>(&'a str);

impl Field<'_> {
    fn matches(&self, wanted: &str) -> bool {
        self.0 == "*" || unescape(self.0) == wanted
    }
}

/// Cuts the next field off `rest`, up to a colon without a backslash before it.
fn field<'a>(rest: &mut &'a str) -> Option<Field<'a>> {
    let mut escaped = false;
    let end = rest.bytes().position(|byte| {
        let colon = byte == b':' && !escaped;
        escaped = byte == b'\\' && !escaped;
        colon
    })?;
    let found = Field(&rest[..end]);
    *rest = &rest[end + 1..];
    Some(found)
}

fn unescape(field: &str) -> String {
    let mut characters = field.chars();
    let mut plain = String::with_capacity(field.len());
    while let Some(character) = characters.next() {
        plain.push(if character == '\\' { characters.next().unwrap_or('\\') } else { character });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::super::connection::tests::sample;
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(passfile_lookup(text, &sample()).as_ref().map(Secret::expose), expected);
    }

    #[test]
    fn the_first_matching_line_counts() {
        check("db:5432:app:kluis:one\n*:*:*:*:two\n", Some("one"));
        check("other:5432:app:kluis:one\n*:*:*:*:two", Some("two"));
        check("db:5433:app:kluis:one\n", None);
        check("# db:5432:app:kluis:one\n", None);
        check("#*:*:*:*:x\r\ndb:*:*:kluis:crlf\r\n", Some("crlf"));
        check(r"db:5432:app:kluis:a\:b\\c", Some(r"a:b\c"));
        check("db:5432:app:kluis:a:b", Some("a:b"));
        check(r"\*:5432:app:kluis:x", None);
        check("db:5432:app", None);
        check("", None);
    }

    #[test]
    fn what_we_write_is_found() {
        let mut connection = sample();
        connection.user = r"a:b\c".into();
        assert_eq!(connection.passfile_line().unwrap(), br"db:5432:*:a\:b\\c:pa\:ss\\word".iter().copied().chain(*b"\n").collect::<Vec<_>>());
        for host in ["db", "::1", "#db", "/run/postgresql", "/home/x/run"] {
            connection.host = host.into();
            let line = String::from_utf8(connection.passfile_line().unwrap()).unwrap();
            assert_eq!(passfile_lookup(&line, &connection), connection.password, "{host}");
        }
        connection.password = Some(Secret::from("two\nlines".to_owned()));
        assert_eq!(connection.passfile_line(), None);
    }

    #[test]
    fn the_default_socket_folder_is_localhost() {
        let connection = Connection { host: "/run/postgresql".into(), ..sample() };
        assert!(passfile_lookup("localhost:5432:app:kluis:x", &connection).is_some());
        assert!(passfile_lookup("/run/postgresql:5432:app:kluis:x", &connection).is_some());
        assert!(passfile_lookup("localhost:5432:app:kluis:x", &Connection { host: "/srv".into(), ..connection }).is_none());
    }
}
