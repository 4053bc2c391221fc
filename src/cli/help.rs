//! Help texts: what a stranger needs to know, at hand where it is needed.
//! It owns examples, exit codes and the list of variables; names and defaults of variables come from `config::keys`.
//! Invariant: every command line in an example can be typed as it stands.

use super::output::Output;
use super::{Context, End, args};
use crate::config::keys::{self, Key, Scope};
use crate::error::{Error, Result};

/// The opening of `kluis --help`.
pub const ABOUT: &str = "\
Back up PostgreSQL databases, and prove each backup by restoring it.

A backup is a folder: the whole database as one .sql.gz script that `gunzip -c FILE | psql` restores with nothing of Kluis installed, its hashes, and how far it has been proven. \
All backups lie in one folder, the repository.";

/// The end of `kluis -h`.
pub const SHORT: &str = "\
Start with:
  kluis doctor              is everything in place?
  kluis backup --dry-run    what would be done?
  kluis backup              do it
More: kluis --help, kluis help COMMAND, kluis help environment, kluis help exit-codes";

pub(super) const SERVE: &str = "\
Backs up each target on its schedule (BACKUP_SCHEDULE in BACKUP_TIMEZONE), proves and prunes, until a signal ends it. A target without any backup gets its first one at once, and a run that was missed is caught up at the start. \
A run that failed is tried again: within seconds where the database was not there, within minutes where something else was wrong. Runs never overlap, also not with those of `kluis backup`.

The log goes to stderr and to BACKUP_LOG (log/kluis.log in the repository unless told otherwise; a file a day, kept for 30 days). The first SIGTERM or SIGINT stops the current run cleanly, the second ends the process at once. As process 1 of a container it reaps orphans.

With BACKUP_HTTP it answers with a status page, metrics for Prometheus, JSON, and verdicts for health checks (/healthz, /readyz, /fresh), read-only. All but the verdicts needs a token: BACKUP_HTTP_TOKEN, or the one that is made at the first start; kluis status --page prints the page's address with it.

Examples:
  kluis serve
  BACKUP_HTTP=127.0.0.1:8080 kluis serve
  BACKUP_SCHEDULE='30 2 * * *' BACKUP_TIMEZONE=Europe/Amsterdam kluis serve

Exit codes: 0 stopped by a signal, 2 configuration, 14 the repository cannot be used";

pub(super) const STATUS: &str = "\
A target is fresh when its newest proven backup is younger than BACKUP_MAX_AGE. With BACKUP_DRILL=off its newest backup counts; with a schedule for drills as well, and since the last drill that was due one must have been proven. \
What is dated in the future counts for nothing. \
It asks nothing of the database. Being overdue outranks the result of the last run. An empty database and what a proof excepts are named, and change no exit code.

Examples:
  kluis status
  kluis status --target shop --json
  kluis status --watch                goes on, with how far a run is, until Ctrl-C
  kluis status --page                 the status page's address, with the token that opens it

Exit codes: 0 every target is fresh, 4 one is stale or has no backup yet, 14 the repository cannot be read; with --watch 130";

pub(super) const NOTIFY: &str = "\
BACKUP_NOTIFY holds the URLs of those who are told when a backup fails, when backups succeed again, when a proof finds a backup bad, when backups are overdue, when rows vanish, when the database is empty, and when a proof has new exceptions; BACKUP_NOTIFY_ON chooses among these and `success`. \
The URLs are secrets: they are never shown, and BACKUP_NOTIFY_FILE names a file that holds them.

  webhook        https://HOST/PATH (JSON, signed with BACKUP_NOTIFY_SECRET)
  healthchecks   https://hc-ping.com/UUID, healthchecks+https://HOST/ping/UUID
  kuma           kuma+https://HOST/api/push/KEY
  slack          https://hooks.slack.com/services/…, slack+https://HOST/…
  discord        https://discord.com/api/webhooks/…, discord+https://HOST/…
  telegram       telegram://TOKEN@CHAT
  ntfy           https://ntfy.sh/TOPIC, ntfy+https://[TOKEN@]HOST/TOPIC
  gotify         gotify+https://TOKEN@HOST
  mail           smtp://[USER:PASSWORD@]HOST[:587]?to=ADDRESS[&from=ADDRESS], smtps://…

What a URL does not allow is written percent-encoded: %40 for the @ in a user's name.

Examples:
  kluis notify test                   does everybody hear us?
  kluis notify test --json

Exit codes: 0 every receiver took the message, 1 one did not, 2 configuration, or there is no receiver";

pub(super) const BACKUP: &str = "\
All targets are backed up, one after the other; when one fails, the others still have their turn, and the exit code is that of the first failure. \
A backup appears under its name only when it is complete and on disk. After a success the policy deletes what it no longer keeps.

Examples:
  kluis backup                        every target
  kluis backup --target shop          one of them
  kluis backup --dry-run              as far as possible without writing
  kluis backup --jobs 4 --compression small

Exit codes: 0 done, 3 done with warnings, 10 database unreachable or refused, 11 another run holds the lock, 14 storage, 15 timed out (kluis help exit-codes)";

pub(super) const LIST: &str = "\
The verdict of each backup is the highest rung of proof that it has reached:
  sealed          complete, with hashes
  read            decoded from end to end and counted (kluis verify)
  proven          restored into a throwaway server and found equal
  proven, except 2  the same but for two things that no dump brings back; it counts as proven
  bad             not what it was when it was written: do not rely on it
  suspicious      of an empty database, where an earlier backup held rows: not relied upon until
                  BACKUP_ALLOW_EMPTY=yes, restored with --yes only
  incomplete      files of it are missing or cut short: a copy broke off; not relied upon
  not understood  its manifest or proof cannot be read; no policy deletes it

Examples:
  kluis list
  kluis list --target shop --json";

pub(super) const SHOW: &str = "\
Examples:
  kluis show latest
  kluis show 20260125T030000Z --tables
  kluis show 20260125 --json          a unique beginning of the name will do
  kluis show /mnt/usb/20260125T030000Z";

pub(super) const VERIFY: &str = "\
Reads every byte: compares all files with their hashes, decodes the whole script, and counts and digests each table's rows. It asks nothing of the database. \
The result is recorded with the backup; where that is impossible (a read-only copy, a run in progress) it is only printed.

Examples:
  kluis verify                        the latest backup of each target
  kluis verify 20260125T030000Z
  kluis verify --all
  kluis verify /mnt/usb/20260125T030000Z

Exit codes: 0 all good, 3 good but not recorded, 13 a backup is bad";

pub(super) const DRILL: &str = "\
Starts a throwaway PostgreSQL of the backup's own major from the installed programs (Unix socket only, a folder of its own under BACKUP_SCRATCH_DIR), restores the backup into it, and compares: each table's rows and content digest, \
the schema as pg_dump sees it, sequence values, large objects, roles and rights. Then it runs the operator's own checks (BACKUP_ASSERTIONS: a folder of SQL files that must return only true). \
The server and its folder are removed afterwards. The database that the backup came from is not touched.

Verdicts: proven; proven, except N (the same but for what no dump brings back, which it lists); bad (an alarm: it says what differs); cannot be judged here (it says what is missing). The verdict is recorded with the backup.

Examples:
  kluis drill                         the latest backup of each target
  kluis drill 20260125T030000Z
  kluis drill --all

Exit codes: 0 proven, 3 new exceptions, cannot be judged here or not recorded, 13 a backup is bad";

pub(super) const COMPARE: &str = "\
Compares row counts and content digests, table by table; no value is shown. With --with it reads two manifests and asks nothing of the database; without, it reads every table of the live database in one snapshot.

Examples:
  kluis compare latest                            what changed since the latest backup
  kluis compare 20260125T030000Z --with latest    to find the last backup before an accident

Exit codes: 0 equal, 3 different";

pub(super) const RESTORE: &str = "\
The target is never guessed: --to names it. The database must be empty unless --create or --clean is said. Before anything is written the hashes, the server's version and its roles and extensions are checked; \
afterwards every table's rows are compared with the backup.

--clean makes the new database beside the old one; when it is whole it takes its place, and the old one is dropped last. Whatever fails before leaves the old one as it was. \
--in-place drops the old one first, where there is no room for two or an extension lives in one only. A database that is made is analyzed for the planner (--analyze=no leaves that out).

The password comes from PGPASSWORD or ~/.pgpass. A password inside the URL works, but every user of this machine can read it while kluis runs.

Examples:
  kluis restore latest --create --to postgresql://postgres@db:5432/shop_restored
  kluis restore 20260125T030000Z --table public.orders --to postgresql://postgres@db/shop
  kluis restore /mnt/usb/20260125T030000Z --create --roles --to postgresql://postgres@localhost/shop    one command, an empty server
  kluis restore latest --clean --yes --to postgresql://postgres@db/shop    the disaster: replace the database itself

Exit codes: 0 done, 3 done with warnings, 2 the target is not empty or was not named, 10 database unreachable or lacking something, 13 the backup is damaged";

pub(super) const PRUNE: &str = "\
Prints the rule that keeps or deletes each backup, then deletes. A run does the same after each success, so this is rarely needed. \
The newest proven backups, pinned ones and those that are not understood always stay. Nothing is deleted when the last run failed, when the clock is behind the newest backup, when rows vanished, or while a backup cannot be read. \
Where the last run failed because the volume is full, what the policy has given up goes all the same; a run that fails so deletes it at once.

Rows vanished: all rows together fell below half, or tables went, were emptied or lost more than half of their rows. The next proven backup that agrees ends that; where there is none, because drills cannot be made, --accept-shrinkage says that it is right: \
backups from before are then no measure any more, and leave when the policy gives them up.

Examples:
  kluis prune --dry-run
  kluis prune --target shop
  kluis prune --target shop --accept-shrinkage

Exit codes: 0 done, 3 nothing was deleted because something looks wrong";

pub(super) const DELETE: &str = "\
Deletes the backups that are named, all of them or none. Age and periods do not protect a backup that somebody names. The floors do: the newest backup, the newest proven one, the newest BACKUP_KEEP_MIN, the last one from before rows disappeared, \
pinned ones, those dated in the future or that cannot be read at all, and where no backup is known to be good, all. --force goes past them, for whole names. \
Backups that are not understood, incomplete or suspicious can be deleted like others. The link 'latest' then leads to the newest of those left.

Examples:
  kluis delete 20260125T030000Z --dry-run
  kluis delete 20260125T030000Z 20260126T030000Z --target shop
  kluis delete 20260125T030000Z --force

Exit codes: 0 deleted, 2 something speaks against it and nothing was deleted, 11 another run holds the lock";

pub(super) const ADOPT: &str = "\
A target belongs to one database of one cluster: that of its newest backup. A run that would put another one's backup beside it is refused. After a planned \
move, a major upgrade, or a restore into a new server this command says that the backups go on with the database that is there now. It takes the folder \
for the repository too, where another one was before, or where it lies in a container's own layer.

Look before: a database's volume that got lost is not brought back by it.

Examples:
  kluis adopt
  kluis adopt --target shop

Exit codes: 0 done, 10 the database cannot be reached, 11 a run is in progress, 14 the repository cannot be written";

pub(super) const PIN: &str = "\
Examples:
  kluis pin 20260125T030000Z --reason 'before the migration to 2.0'
  kluis unpin 20260125T030000Z";

pub(super) const DOCTOR: &str = "\
Checks the configuration, the repository, PostgreSQL's programs, the scratch folder, and for each target the connection, versions, rights, pooling, and the age of the last backup. It changes nothing, and goes on after a failed check. \
For rights that are missing it prints the GRANTs, for the owner to run. With --drill it also starts a throwaway server of each version that is installed.

Exit codes: 0 all well, 3 warnings, else that of the first problem (kluis help exit-codes)";

pub(super) const CONFIG: &str = "\
Secrets are shown as ***.

Examples:
  kluis config
  kluis config --json";

pub(super) const COMPLETIONS: &str = "\
Examples:
  kluis completions bash > /etc/bash_completion.d/kluis
  kluis completions zsh > \"${fpath[1]}/_kluis\"
  kluis completions fish > ~/.config/fish/completions/kluis.fish";

pub(super) const MAN: &str = "\
Examples:
  kluis man > /usr/local/share/man/man1/kluis.1
  kluis man restore | man -l -";

const EXAMPLES: &str = "\
Examples:
  kluis doctor                                      is everything in place?
  kluis backup                                      back up now
  kluis list                                        what there is
  kluis verify --all                                read every byte back
  kluis restore latest --create --to postgresql://postgres@db:5432/shop_restored
  gunzip -c /backups/shop/latest/shop.sql.gz | psql --dbname=shop_restored";

/// Code and meaning.
const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done"),
    (1, "failed"),
    (2, "usage or configuration"),
    (3, "done, with warnings"),
    (4, "stale: the newest backup is older than BACKUP_MAX_AGE"),
    (10, "the database is unreachable, refuses, or is of a version that cannot be served"),
    (11, "another run holds the lock"),
    (12, "a decryption key is missing or wrong"),
    (13, "verification failed: a backup is not what it was"),
    (14, "storage: full, read-only, missing or not ours"),
    (15, "timed out"),
    (130, "interrupted by a signal"),
];

/// How wide help texts are.
const WIDTH: usize = 100;

/// The end of `kluis --help`.
pub fn long() -> String {
    format!("{EXAMPLES}\n\n{}\n{}", exit_codes(), environment(false))
}

fn exit_codes() -> String {
    let lines: String = EXIT_CODES.iter().map(|(code, meaning)| format!("  {code:>3}  {meaning}\n")).collect();
    format!("Exit codes:\n{lines}")
}

/// The variables. `whole`: with what is allowed and the other places where each can be set.
fn environment(whole: bool) -> String {
    let mut text = "Environment variables:\n".to_owned();
    if whole {
        text.push_str(&hanging("", "", "Flags come before variables, variables before kluis.toml. An empty variable is one that is not set. Each variable has a form with _FILE at the end, the name of a file that holds the value."));
        text.push('\n');
    }
    let groups = [(Scope::Process, "For all targets:"), (Scope::Connection, "The database:"), (Scope::Target, "Each target:")];
    for (scope, heading) in groups {
        text.push_str(&format!("{heading}\n"));
        for key in keys::ALL.iter().filter(|key| key.scope == scope) {
            text.push_str(&variable(key, whole));
        }
    }
    if !whole {
        text.push_str("Each has a form with _FILE at the end, the name of a file that holds the value. What is allowed: kluis help environment");
    }
    text
}

fn variable(key: &Key, whole: bool) -> String {
    let default = if key.default.is_empty() { String::new() } else { format!(" [{}]", key.default) };
    if !whole {
        return hanging(&format!("  {:<23}", key.name()), &" ".repeat(25), &format!("{}{default}", key.about));
    }
    let mut facts = vec![format!("{}{default}.", key.about)];
    facts.push(format!("Use {}.", key.constraint));
    let other: Vec<String> = [
        key.flag.map(str::to_owned),
        key.toml.map(|toml| format!("'{toml}' in kluis.toml")),
        key.fallback.filter(|name| *name != key.name()).map(str::to_owned),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !other.is_empty() {
        facts.push(format!("Also: {}.", other.join(", ")));
    }
    format!("  {}\n{}", key.name(), hanging("      ", "      ", &facts.join(" ")))
}

/// Text broken into lines of at most [`WIDTH`], the first one after `first`, the others after `rest`.
fn hanging(first: &str, rest: &str, text: &str) -> String {
    let (mut all, mut line, mut empty) = (String::new(), first.to_owned(), true);
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            all.push_str(&line);
            all.push('\n');
            line = rest.to_owned();
            empty = true;
        }
        if !empty || line.ends_with(|c: char| c != ' ') {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    all.push_str(&line);
    all.push('\n');
    all
}

/// `kluis help [TOPIC]`
pub fn run(context: &Context, arguments: &args::Topic) -> Result<End> {
    let output: &Output = &context.output;
    match arguments.topic.as_deref() {
        Some("environment") => output.print(&environment(true))?,
        Some("exit-codes") => output.print(&exit_codes())?,
        topic => output.print(&find(topic)?.render_long_help().to_string())?,
    }
    Ok(End::Done)
}

/// The definition of the command of that name, or of kluis itself.
pub fn find(topic: Option<&str>) -> Result<clap::Command> {
    let mut whole = args::command();
    whole.build();
    let Some(topic) = topic else { return Ok(whole) };
    let found = whole.find_subcommand(topic).cloned();
    let names: Vec<&str> = whole.get_subcommands().map(clap::Command::get_name).collect();
    found.ok_or_else(|| Error::usage(format!("there is no command '{topic}'")).hinted(format!("there are {}", names.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn every_exit_code_is_explained() {
        use Kind::*;
        for kind in [Failed, Usage, Stale, Unreachable, Refused, Locked, Key, Verification, Storage, TimedOut, Interrupted] {
            assert!(EXIT_CODES.iter().any(|(code, _)| *code == kind.exit_code()), "{kind:?}");
        }
    }

    #[test]
    fn no_line_of_the_variables_is_too_long_and_none_is_missing() {
        for text in [environment(false), environment(true)] {
            for key in keys::ALL {
                assert!(text.contains(&format!("  {}", key.name())), "{}", key.name());
            }
            for line in text.lines().filter(|line| line.chars().count() > WIDTH) {
                assert!(line.starts_with("Each has"), "{line}");
            }
        }
    }
}
