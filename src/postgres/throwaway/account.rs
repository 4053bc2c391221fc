//! The user that a throwaway server runs as. PostgreSQL refuses root.
//! It owns the choice; it leaves changing to that user to `child`.
//! Invariant: nobody but root changes user, and never to root.

use crate::error::{Error, Kind, Result};

/// Who it may be, the best first: the user of PostgreSQL's packages and images, and the one that owns nothing.
const NAMES: [&str; 2] = ["postgres", "nobody"];

/// An unprivileged user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number.
    pub user: u32,
    /// Its group's number.
    pub group: u32,
}

impl Account {
    /// The user to change to; none where we are not root and can stay who we are.
    pub fn choose() -> Result<Option<Account>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = std::fs::read_to_string("/etc/passwd").map_err(|error| Error::io("read", std::path::Path::new("/etc/passwd"), error))?;
        let found = NAMES.iter().find_map(|name| find(&users, name));
        found.map(Some).ok_or_else(|| {
            Error::new(Kind::Failed, "PostgreSQL refuses to run as root, and there is neither a user 'postgres' nor 'nobody' here")
                .hinted("run kluis as an unprivileged user, or add a user 'postgres'")
        })
    }
}

/// The user of that name in the text of /etc/passwd (passwd(5)).
fn find(users: &str, name: &str) -> Option<Account> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (found, _password) = (fields.next()?, fields.next()?);
        let (user, group) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (found == name && user != 0).then(|| Account { name: name.to_owned(), user, group })
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn a_user_is_found_by_name() {
        let users =
            "root:x:0:0:root:/root:/bin/bash\nbroken\npostgresql:x:7:7::/:\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\nnobody:x:0:65534::/:\n";
        assert_eq!(find(users, "postgres").map(|account| (account.user, account.group)), Some((101, 104)));
        assert_eq!(find(users, "nobody"), None, "one that is root by another name is none");
        assert_eq!(find(users, "broken"), None);
    }
}
