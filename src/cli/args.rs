//! What can be typed. It owns names, help lines and which flags exclude each other; it leaves meanings to `config` and the commands.
//! Invariant: values are taken as they were typed, so that a wrong one gets the same message wherever it came from.

use super::help;
use crate::config::Flags;
use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args, ColorChoice, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "kluis",
    version,
    about = "Back up PostgreSQL databases, and prove each backup by restoring it",
    long_about = help::ABOUT,
    after_help = help::SHORT,
    disable_help_subcommand = true,
    disable_help_flag = true,
    disable_version_flag = true
)]
pub struct Cli {
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The same as `kluis backup --dry-run`
    #[arg(long, help_heading = "Options")]
    pub dry_run: bool,
    /// Print the version
    #[arg(long, short = 'V', action = ArgAction::Version, help_heading = "Options")]
    version: (),
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The settings file [default: KLUIS_CONFIG, else /etc/kluis/kluis.toml if it exists]
    #[arg(long, global = true, value_name = "FILE", display_order = 100)]
    pub config: Option<PathBuf>,
    /// The repository: the folder that holds all backups [default: BACKUP_DIR, else /backups]
    #[arg(long, global = true, value_name = "DIR", display_order = 101)]
    pub dir: Option<PathBuf>,
    /// The target: which of several databases [default: BACKUP_TARGET, else all]
    #[arg(long, global = true, value_name = "NAME", display_order = 102)]
    pub target: Option<String>,
    /// Print results as JSON, and each error and warning as one JSON object a line
    #[arg(long, global = true, display_order = 103)]
    pub json: bool,
    /// Show no progress
    #[arg(long, short, global = true, display_order = 104)]
    pub quiet: bool,
    /// When to use colour: auto, always or never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_default_value = true, hide_possible_values = true, display_order = 105)]
    pub color: ColorChoice,
    /// Print help (-h: in short)
    #[arg(long, short, global = true, action = ArgAction::Help, display_order = 106)]
    help: Option<bool>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Back up on schedule, as a service in the foreground: the sidecar
    #[command(after_long_help = help::SERVE)]
    Serve,
    /// Back up now
    #[command(after_long_help = help::BACKUP)]
    Backup(Backup),
    /// List the backups
    #[command(after_long_help = help::LIST)]
    List,
    /// Show what is in a backup, how far it is proven and why it is kept
    #[command(after_long_help = help::SHOW)]
    Show(Show),
    /// Check backups: hashes, full decode, row counts and digests
    #[command(after_long_help = help::VERIFY)]
    Verify(Verify),
    /// Prove backups: restore them into a throwaway server and compare
    #[command(after_long_help = help::DRILL)]
    Drill(Drill),
    /// Tell which tables differ between a backup and another one, or the live database
    #[command(after_long_help = help::COMPARE)]
    Compare(Compare),
    /// Restore a backup into a database
    #[command(after_long_help = help::RESTORE)]
    Restore(Restore),
    /// Delete the backups that the policy no longer keeps
    #[command(after_long_help = help::PRUNE)]
    Prune(Prune),
    /// Delete backups by their names, as far as the floors of the policy allow
    #[command(after_long_help = help::DELETE)]
    Delete(Delete),
    /// Keep a backup whatever the policy says
    #[command(after_long_help = help::PIN)]
    Pin(Pin),
    /// Let the policy decide again about a pinned backup
    #[command(after_long_help = help::PIN)]
    Unpin(One),
    /// Say that the database and the repository found here are the right ones
    #[command(after_long_help = help::ADOPT)]
    Adopt,
    /// Tell whether the backups are fresh: the health check
    #[command(after_long_help = help::STATUS)]
    Status(Status),
    /// See whether messages arrive where BACKUP_NOTIFY says
    #[command(after_long_help = help::NOTIFY)]
    Notify(Notify),
    /// Look for everything that would make a run fail, and say what to do about it
    #[command(after_long_help = help::DOCTOR)]
    Doctor(Doctor),
    /// Show the settings in force, and where each one comes from
    #[command(after_long_help = help::CONFIG)]
    Config,
    /// Print a completion script for a shell
    #[command(after_long_help = help::COMPLETIONS)]
    Completions(Completions),
    /// Print the manual page of kluis or of a command, in roff
    #[command(after_long_help = help::MAN)]
    Man(Topic),
    /// Print the version
    Version,
    /// Print help on a command, on `environment` or on `exit-codes`
    Help(Topic),
    /// Show the whole story on a throwaway server with sample data
    Demo(Demo),
}

/// `kluis backup`
#[derive(Debug, Default, Args)]
pub struct Backup {
    /// Go as far as possible without writing, and show what would be dumped, kept and deleted
    #[arg(long)]
    pub dry_run: bool,
    /// How many tables to move at the same time [default: BACKUP_JOBS, else the cores, from 2 to 8]
    #[arg(long, short, value_name = "N", allow_hyphen_values = true)]
    pub jobs: Option<String>,
    /// How hard to compress: fast, small or smallest [default: BACKUP_COMPRESSION, else fast]
    #[arg(long, value_name = "HOW")]
    pub compression: Option<String>,
}

/// `kluis status`
#[derive(Debug, Args)]
pub struct Status {
    /// Go on telling, and how far a run in progress is, until a signal ends it
    #[arg(long)]
    pub watch: bool,
    /// Wait for the first run, if there was none yet, and for its proof: a health check that has no verdict before
    #[arg(long, conflicts_with = "watch")]
    pub wait: bool,
    /// Print the status page's address, with the token that opens it
    #[arg(long, conflicts_with_all = ["watch", "wait"])]
    pub page: bool,
}

/// `kluis doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// Also start a throwaway server as a drill does, and remove it
    #[arg(long)]
    pub drill: bool,
}

/// A backup.
#[derive(Debug, Args)]
pub struct One {
    /// A backup's name, a unique beginning of it, or `latest`
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
}

/// `kluis show`
#[derive(Debug, Args)]
pub struct Show {
    /// A backup's name, a unique beginning of it, `latest`, or the folder of a backup that was copied elsewhere
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
    /// List its tables as well
    #[arg(long)]
    pub tables: bool,
}

/// `kluis verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// A backup's name, a unique beginning of it, `latest`, or the folder of a backup that was copied elsewhere [default: the latest of each target]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: Option<String>,
    /// Every backup
    #[arg(long, conflicts_with = "id")]
    pub all: bool,
}

/// `kluis drill`
#[derive(Debug, Args)]
pub struct Drill {
    /// A backup's name, a unique beginning of it, `latest`, or the folder of a backup that was copied elsewhere [default: the latest of each target]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: Option<String>,
    /// Every backup
    #[arg(long, conflicts_with = "id")]
    pub all: bool,
    /// By how much to lower the priority of the throwaway server, 0 to 19 [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..=19))]
    pub nice: Option<i32>,
}

/// `kluis compare`
#[derive(Debug, Args)]
pub struct Compare {
    /// A backup's name, a unique beginning of it, `latest`, or the folder of a backup that was copied elsewhere
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
    /// The other backup
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub with: Option<String>,
    /// The live database, as it is configured for the target (the default)
    #[arg(long, conflicts_with = "with")]
    pub live: bool,
}

/// `kluis restore`
#[derive(Debug, Args)]
pub struct Restore {
    /// A backup's name, a unique beginning of it, `latest`, or the folder of a backup that was copied elsewhere
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
    /// The database to restore into: postgresql://USER@HOST:PORT/DATABASE, the password in PGPASSWORD or ~/.pgpass
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
    /// How many sessions load rows and build indexes at the same time [default: BACKUP_JOBS, else the cores, from 2 to 8]
    #[arg(long, short, value_name = "N", allow_hyphen_values = true)]
    pub jobs: Option<String>,
    /// Only this table, as NAME or SCHEMA.NAME; may be given several times
    #[arg(long = "table", short, value_name = "TABLE", value_parser = NonEmptyStringValueParser::new())]
    pub tables: Vec<String>,
    /// Put the one --table beside the living one, under this name, as NAME or SCHEMA.NAME
    #[arg(long = "as", value_name = "NAME", requires = "tables", conflicts_with_all = ["create", "clean"], value_parser = NonEmptyStringValueParser::new())]
    pub beside: Option<String>,
    /// Create the database first
    #[arg(long)]
    pub create: bool,
    /// Replace what is there: the database, by the new one when that is whole; or with --table these tables' rows
    #[arg(long)]
    pub clean: bool,
    /// With --clean: drop the old database first, where there is no room for two, or an extension lives in one only
    #[arg(long, requires = "clean", conflicts_with = "tables")]
    pub in_place: bool,
    /// Do it even where the database has the name of the one that the backup came from
    #[arg(long)]
    pub yes: bool,
    /// Do not set owners
    #[arg(long)]
    pub no_owner: bool,
    /// Do not grant or revoke rights
    #[arg(long)]
    pub no_privileges: bool,
    /// Make roles of the backup that the server lacks first, with their memberships and settings; those that are there stay as they are
    #[arg(long, conflicts_with = "tables")]
    pub roles: bool,
    /// With --roles: give those that are made the passwords that they had
    #[arg(long, requires = "roles")]
    pub role_passwords: bool,
    /// Check everything, say which roles would be made, and change nothing
    #[arg(long, conflicts_with = "tables")]
    pub dry_run: bool,
    /// Do not compare rows and digests with those of the backup
    #[arg(long)]
    pub no_check: bool,
    /// Gather the planner's statistics of what was restored [default: yes where the database is made, else no]
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true, default_missing_value = "yes", value_parser = yes_or_no, conflicts_with = "beside")]
    pub analyze: Option<bool>,
    /// Restore even a backup that a proof found to be bad
    #[arg(long)]
    pub force: bool,
}

/// `yes` or `no`.
fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("say yes or no".to_owned()),
    }
}

/// `kluis prune`
#[derive(Debug, Args)]
pub struct Prune {
    /// Print the plan, and delete nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Say that the rows which the newest backup lacks are missed by nobody
    #[arg(long)]
    pub accept_shrinkage: bool,
}

/// `kluis delete`
#[derive(Debug, Args)]
pub struct Delete {
    /// Backups: their names, or unique beginnings of them
    #[arg(required = true, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub ids: Vec<String>,
    /// Delete even what the policy's floors keep, and what is pinned; wants whole names
    #[arg(long)]
    pub force: bool,
    /// Say what would be deleted and what speaks against it, and delete nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `kluis pin`
#[derive(Debug, Args)]
pub struct Pin {
    /// The backup.
    #[command(flatten)]
    pub one: One,
    /// Why it is kept, for those who come later
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// `kluis notify`
#[derive(Debug, Args)]
pub struct Notify {
    /// What to do.
    #[command(subcommand)]
    pub what: NotifyCommand,
}

/// What `kluis notify` can do.
#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// Send a test message to each receiver, and say which ones took it
    Test,
}

/// `kluis completions`
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}

/// `kluis man`, `kluis help`
#[derive(Debug, Args)]
pub struct Topic {
    /// The command, or for `help` also a topic [default: kluis itself]
    pub topic: Option<String>,
}

/// `kluis demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Keep the repository that the demo made, and say where it is
    #[arg(long)]
    pub keep: bool,
}

impl Cli {
    /// The flags that `config` reads.
    pub fn flags(&self) -> Flags {
        let (jobs, compression) = match &self.command {
            Some(Command::Backup(Backup { jobs, compression, .. })) => (jobs.clone(), compression.clone()),
            Some(Command::Restore(Restore { jobs, .. })) => (jobs.clone(), None),
            _ => (None, None),
        };
        let Global { config, dir, target, .. } = &self.global;
        let serving = matches!(self.command, Some(Command::Serve));
        Flags { config_file: config.clone(), dir: dir.clone(), target: target.clone(), jobs, compression, serving }
    }
}

/// The command line for clap, with what is made from tables: the variables and the exit codes.
pub fn command() -> clap::Command {
    Cli::command().after_long_help(help::long())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_definition_is_sound() {
        super::command().debug_assert();
    }
}
