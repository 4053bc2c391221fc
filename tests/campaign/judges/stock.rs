//! PostgreSQL's own programs, as a judge uses them: pg_dump, pg_restore, psql, and sha256sum on what they print.
//! It owns the databases that are restored into; it leaves what a difference means to its parent.
//! Invariant: none of them panics where a program fails; the failure is part of the judgement.

use crate::support::cluster::Database;
use crate::support::repo::{Repo, manifest};
use crate::support::unique;
use kluis::postgres::quote::quote_ident;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Settings of the database's own that would change what PostgreSQL's programs print or read.
const OPTIONS: &str = "-c quote_all_identifiers=off -c standard_conforming_strings=on -c array_nulls=on -c transform_null_equals=off -c xmloption=content -c default_transaction_read_only=off \
    -c session_replication_role=origin -c statement_timeout=0 -c lock_timeout=0 -c row_security=on -c check_function_bodies=on -c backslash_quote=safe_encoding";

/// A database that something is restored into. Dropped with it.
pub struct Place {
    /// The database; it may not be there yet.
    pub database: Database,
}

impl Place {
    /// A name for one beside this database.
    pub fn new(beside: &Database, name: &str) -> Place {
        Place { database: Database { cluster: beside.cluster.clone(), name: unique(name) } }
    }

    /// Makes it, with a schema `public` or without.
    pub fn create(&self, public: bool) {
        self.database.cluster.sql("postgres", &format!("CREATE DATABASE {} TEMPLATE template0", quote_ident(&self.database.name)));
        if !public {
            self.database.sql("DROP SCHEMA public");
        }
    }

    /// `pg_restore` of an archive. Fails with what it said.
    pub fn restored_by_stock(&self, archive: &Path, public: bool) -> Result<(), String> {
        self.create(public);
        let mut command = self.program("pg_restore");
        command.env_remove("PGTZ");
        command.arg("-d").arg(format!("dbname='{}'", self.database.name)).arg(archive);
        said(command)
    }

    /// `gunzip -c … | psql`, as RESTORE.md has it. Fails with what it said.
    pub fn restored_by_psql(&self, backup: &Path) -> Result<(), String> {
        let mut gunzip = Command::new("gunzip").arg("-c").arg(backup.join(manifest(backup).script.file)).stdout(Stdio::piped()).spawn().expect("gunzip starts");
        let mut psql = self.program("psql");
        psql.env_remove("PGTZ").env_remove("PGOPTIONS").args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]).stdin(gunzip.stdout.take().expect("it was piped"));
        let ended = said(psql);
        let _ = gunzip.wait();
        ended
    }

    fn program(&self, name: &str) -> Command {
        program(&self.database, name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop_database(&self.database);
    }
}

/// DROP DATABASE, where it is there.
pub fn drop_database(database: &Database) {
    let mut psql = database.cluster.program("psql", "postgres");
    let name = quote_ident(&database.name);
    let template = format!("UPDATE pg_database SET datistemplate = false, datconnlimit = -1 WHERE datname = '{}'", database.name);
    psql.args(["-X", "-q", "-c", &template, "-c", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")]);
    let _ = said(psql);
}

/// A program of the server's, with settings that nothing of the database's can change.
pub fn program(database: &Database, name: &str) -> Command {
    let mut command = database.cluster.program(name, &database.name);
    command.env("PGOPTIONS", OPTIONS).stdin(Stdio::null());
    command
}

/// Runs it. Fails with what it said, if it failed or said anything of an error.
pub fn said(mut command: Command) -> Result<(), String> {
    let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output().expect("a program starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(text) }
}

/// `pg_dump -Fc`.
pub fn dump(database: &Database, archive: &Path) -> Result<(), String> {
    let mut command = program(database, "pg_dump");
    command.args(["-Fc", "--compress=0", "-f"]).arg(archive);
    said(command)
}

fn number(database: &Database, query: &str) -> u64 {
    let output = program(database, "psql").args(["-X", "-A", "-t", "-c", query]).output().expect("psql starts");
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0)
}

/// Whether there is a schema `public`.
pub fn has_public(database: &Database) -> bool {
    number(database, "SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = 'public'") == 1
}

/// How many tables of its own it has.
pub fn count_tables(database: &Database) -> u64 {
    number(database, "SELECT count(*) FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace")
}

/// Takes a database's settings away, so that they do not change what is asked next.
pub fn forget_settings(database: &Database, is_there: bool) {
    if is_there {
        let name = quote_ident(&database.name);
        let mut psql = database.cluster.program("psql", "postgres");
        psql.args(["-X", "-q", "-c", &format!("ALTER DATABASE {name} RESET ALL"), "-c", &format!("ALTER ROLE postgres IN DATABASE {name} RESET ALL")]);
        let _ = said(psql);
    }
}

/// How the line begins that a judge's own failure leaves. Two judges that fail alike agree, and have seen nothing.
const FAILED: &str = "judge failed: ";

/// What one of the SQL files says of a database.
pub fn ask(database: &Database, file: &str) -> String {
    let mut psql = program(database, "psql");
    let output = psql.args(["-X", "-q", "-f"]).arg(super::folder().join(file)).output().expect("psql starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { text } else { format!("{text}\n{FAILED}{file}: {}", String::from_utf8_lossy(&output.stderr)) }
}

/// What `catalogue.sql` says of a database, sorted.
pub fn catalogue(database: &Database) -> String {
    let text = ask(database, "catalogue.sql");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// What `sha256sum` says of these files.
fn sum(rows: &[PathBuf; 2]) -> [String; 2] {
    let output = Command::new("sha256sum").args(rows).output().expect("sha256sum starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut hashes = text.lines().map(|line| line.split(' ').next().unwrap_or_default().to_owned());
    [hashes.next().unwrap_or_default(), hashes.next().unwrap_or_default()]
}

/// What a database holds, as the judges read it.
pub struct Answer {
    /// `pg_dump --schema-only`, without the lines of `\restrict`.
    pub dump: String,
    /// What `catalogue.sql` says, sorted.
    pub catalogue: String,
    /// What `sha256sum` says of the output of `rows.sql`, and of that of `materialized.sql` where it is a restored one.
    pub hash: [String; 2],
    rows: [PathBuf; 2],
    /// What of it could not be asked, and why.
    pub failed: Vec<String>,
}

impl Answer {
    /// Of the database that was backed up: its dump is worded in another way, so nobody asks for it.
    pub fn of_source(database: &Database, repo: &Repo) -> Answer {
        Answer::read(database, repo, false)
    }

    /// Of a restored one.
    pub fn of(database: &Database, repo: &Repo) -> Answer {
        Answer::read(database, repo, true)
    }

    fn read(database: &Database, repo: &Repo, restored: bool) -> Answer {
        let dump = if restored {
            let output = program(database, "pg_dump").arg("--schema-only").output().expect("pg_dump starts");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let told = if output.status.success() { String::new() } else { format!("\n{FAILED}pg_dump: {}", String::from_utf8_lossy(&output.stderr)) };
            text.lines().filter(|line| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict ")).collect::<Vec<_>>().join("\n") + &told
        } else {
            String::new()
        };
        let catalogue = catalogue(database);
        let rows = ["rows", "materialized"].map(|what| repo.root.join(format!("{what}-of-{}", database.name)));
        let said = [ask(database, "rows.sql"), if restored { ask(database, "materialized.sql") } else { String::new() }];
        rows.iter().zip(&said).for_each(|(path, text)| std::fs::write(path, text).expect("a file can be written"));
        let failed = said.iter().chain([&catalogue, &dump]).flat_map(|text| text.lines()).filter(|line| line.starts_with(FAILED)).map(str::to_owned).collect();
        Answer { dump, catalogue, hash: sum(&rows), rows, failed }
    }

    /// What differs between the rows of tables (part 0) or of materialized views (part 1).
    pub fn rows_difference(left: &Answer, right: &Answer, part: usize) -> String {
        let read = |answer: &Answer| String::from_utf8_lossy(&std::fs::read(&answer.rows[part]).unwrap_or_default()).into_owned();
        super::difference(&read(left), &read(right)).unwrap_or_else(|| "the same rows".to_owned())
    }
}
