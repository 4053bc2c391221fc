//! Finding PostgreSQL's own programs: the pg_dump of the server's major among all that are installed.
//! It owns where to look and what fits; it leaves running them to `child`.
//! Invariant: a program of another major is never used. A newer pg_dump writes settings that an older server refuses.

use crate::error::{Error, Kind, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where PostgreSQL's programs may be.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The folder that the user named (`BACKUP_PG_BIN`): only this one is looked into.
    pub named: Option<PathBuf>,
    /// The folders of PATH.
    pub path: Vec<PathBuf>,
}

/// The programs of one PostgreSQL version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    /// The folder that holds them.
    pub folder: PathBuf,
    /// The major version.
    pub major: u32,
    /// The version as pg_dump says it, for instance `16.4`.
    pub version: String,
}

impl Tools {
    /// The path of a program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether a server can be started with these: client packages hold only the clients.
    pub fn has_server(&self) -> bool {
        ["initdb", "pg_resetwal", "postgres"].iter().all(|name| self.program(name).is_file())
    }
}

/// Every PostgreSQL that is installed, the newest first.
pub fn installed(places: &Places) -> Vec<Tools> {
    let mut folders: Vec<PathBuf> = Vec::new();
    match &places.named {
        Some(named) => folders.push(named.clone()),
        None => {
            // Debian and PGDG (apt), PGDG (rpm), Alpine, from source: the versioned folders first, because Debian's /usr/bin/pg_dump is a wrapper.
            for (parent, middle, bin) in
                [("/usr/lib/postgresql", "", "bin"), ("/usr", "pgsql-", "bin"), ("/usr/libexec", "postgresql", ""), ("/opt", "pgsql-", "bin")]
            {
                let Ok(entries) = std::fs::read_dir(parent) else { continue };
                folders.extend(entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(middle)).map(|entry| entry.path().join(bin)));
            }
            folders.push("/usr/local/pgsql/bin".into());
            folders.extend(places.path.iter().cloned());
        }
    }
    let mut found: Vec<Tools> = Vec::new();
    for folder in folders {
        if let Some(tools) = look(&folder)
            && !found.iter().any(|other| other.major == tools.major && (other.has_server() || !tools.has_server()))
        {
            found.retain(|other| other.major != tools.major);
            found.push(tools);
        }
    }
    found.sort_by_key(|tools| std::cmp::Reverse(tools.major));
    found
}

fn look(folder: &Path) -> Option<Tools> {
    let program = folder.join("pg_dump");
    if !program.is_file() {
        return None;
    }
    let output = Command::new(&program).arg("--version").env_clear().env("PATH", "/usr/bin:/bin").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // `pg_dump (PostgreSQL) 16.4 (Debian 16.4-1)`, `pg_dump (PostgreSQL) 18beta1`
    let version = text.split_once(") ")?.1.split_whitespace().next()?.to_owned();
    let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some(Tools { folder: folder.to_owned(), major, version })
}

/// The programs of that major, or an error that says what is installed and which package is missing.
pub fn find(places: &Places, major: u32) -> Result<Tools> {
    let found = installed(places);
    if let Some(tools) = found.iter().find(|tools| tools.major == major) {
        return Ok(tools.clone());
    }
    let list = match found.iter().map(|tools| format!("{} in '{}'", tools.version, tools.folder.display())).collect::<Vec<_>>() {
        list if list.is_empty() => "none is installed".to_owned(),
        list => format!("found only {}", list.join(", ")),
    };
    let hint = match &places.named {
        Some(named) => format!("BACKUP_PG_BIN is '{}': unset it, or let it name a folder with the programs of PostgreSQL {major}", named.display()),
        None => {
            format!("install the package postgresql-client-{major} (apt), or use the image for PostgreSQL {major}; BACKUP_PG_BIN names a folder of your own")
        }
    };
    Err(Error::new(Kind::Refused, format!("the server is PostgreSQL {major}, and there is no pg_dump of that version here: {list}")).hinted(hint))
}
