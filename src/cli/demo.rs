//! `kluis demo`: the whole story on a throwaway server with sample data: back up, lose a table, bring it back, bring everything back.
//! It owns the story and its wording; what happens in it is the engine's own work, and the checks are other people's programs.
//! Invariant: nothing is left behind, however it ends; with `--keep` the repository is.

use super::output::{BOLD, GREEN};
use super::text::{Cell as Column, clean, table};
use super::watch::Watch;
use super::{Context, End, args, places};
use crate::compare;
use crate::config::{Drill, RepositoryConfig, Settings, Target};
use crate::error::{Error, Kind, Result};
use crate::events::Silent;
use crate::manifest::Manifest;
use crate::postgres::catalogue;
use crate::postgres::child::Tool;
use crate::postgres::session::Session;
use crate::postgres::throwaway::{Locale, Memory, Options, Throwaway, sweep};
use crate::postgres::tools::{Places, Tools, installed};
use crate::repository::Repository;
use crate::repository::list::{Backup, Listing};
use crate::repository::names;
use crate::restore::{self, Request, Restored};
use crate::run;
use crate::stop::Stop;
use crate::units::{format_bytes, format_count, format_duration};
use serde_json::json;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Users, weapons, sessions, shots, attachments: a small AimTrack.
const SAMPLE: &str = include_str!("../../tests/sql/aimtrack.sql");

/// The database and its copy.
const DATABASE: &str = "aimtrack";
const COPY: &str = "aimtrack_restored";

/// The table that gets lost: photographs, which nobody can type in again.
const LOST: &str = "attachments";

/// Runs the command.
pub fn run(context: &Context, arguments: &args::Demo) -> Result<End> {
    let config = context.repository_config()?;
    let tools = newest_server(&places(&config.common))?;
    let watch = Watch::new()?;
    let (stop, _dog) = watch.limited(&config.others);
    for name in sweep(&config.common.scratch_dir)? {
        context.output.remark(&format!("removed what an earlier run had to leave behind: {name}"));
    }
    let story = Story { context, begun: Instant::now(), chapter: Cell::new(Instant::now()), number: Cell::new(0) };
    story.say(&format!("{}\n", context.output.paint(BOLD, "A database is backed up, damaged and brought back, on a PostgreSQL server of its own.")))?;
    let locale = Locale::plain();
    let sessions = config.others.jobs * 2;
    let options = Options {
        tools: &tools,
        scratch: &config.common.scratch_dir,
        locale: &locale,
        superuser: "postgres",
        sessions,
        memory: Memory::default(),
        nice: 0,
        preload: &[],
        settings: &[],
    };
    let server = Throwaway::start(&options, &stop)?;
    let demo = Demo { story: &story, config: &config, places: Places { named: Some(tools.folder.clone()), path: Vec::new() }, server: &server, stop: &stop };
    demo.tell(&tools)?;
    let kept = if arguments.keep { Some(keep(&demo.repository(), &config.common.scratch_dir, &server)?) } else { None };
    server.stop()?;
    story.end(kept.as_deref())?;
    Ok(End::Done)
}

/// The newest PostgreSQL here that can be a server.
fn newest_server(places: &Places) -> Result<Tools> {
    let found = installed(places);
    let served = |tools: &&Tools| catalogue::MAJORS.contains(&tools.major);
    if let Some(tools) = found.iter().filter(served).find(|tools| tools.has_server()) {
        return Ok(tools.clone());
    }
    let major = found.iter().find(served).map_or(*catalogue::MAJORS.end(), |tools| tools.major);
    let clients = found.iter().map(|tools| format!("{} in '{}'", tools.version, tools.folder.display())).collect::<Vec<_>>();
    let found = if clients.is_empty() { "none of its programs are installed".to_owned() } else { format!("only client programs are: {}", clients.join(", ")) };
    Err(Error::new(Kind::Failed, format!("the demo needs a PostgreSQL server to start, and {found}"))
        .hinted(format!("install the package postgresql-{major} (apt), or use the kluis image, which has it; BACKUP_PG_BIN names a folder of your own")))
}

/// Takes the repository out of what is about to be removed.
fn keep(repository: &Path, scratch: &Path, server: &Throwaway) -> Result<PathBuf> {
    let mark = server.folder().file_name().unwrap_or_default().to_string_lossy().replace("kluis-throwaway", "kluis-demo");
    let kept = scratch.join(mark);
    std::fs::rename(repository, &kept).map_err(|error| Error::io("move the repository to", &kept, error))?;
    Ok(kept)
}

/// What is printed.
struct Story<'a> {
    context: &'a Context,
    begun: Instant,
    chapter: Cell<Instant>,
    number: Cell<u32>,
}

impl Story<'_> {
    fn say(&self, text: &str) -> Result<()> {
        if self.context.output.json { Ok(()) } else { self.context.output.print(&format!("{text}\n")) }
    }

    /// A heading, with the time that it took.
    fn chapter(&self, title: &str) -> Result<()> {
        self.number.set(self.number.get() + 1);
        let took = self.chapter.replace(Instant::now()).elapsed();
        self.say(&format!("{}  ({})", self.context.output.paint(BOLD, &format!("{}. {title}", self.number.get())), format_duration(took)))
    }

    fn command(&self, line: &str) -> Result<()> {
        self.say(&format!("   {}", self.context.output.paint(GREEN, &format!("$ {line}"))))
    }

    fn lines(&self, text: &str) -> Result<()> {
        text.lines().try_for_each(|line| self.say(&format!("   {}", clean(line))))
    }

    fn end(&self, kept: Option<&Path>) -> Result<()> {
        let took = format_duration(self.begun.elapsed());
        if self.context.output.json {
            return self.context.output.json(&json!({ "done": true, "milliseconds": self.begun.elapsed().as_millis() as u64, "kept": kept }));
        }
        self.say(&format!("{} in {took}. The server and its folders are gone again.", self.context.output.paint(GREEN, "All of it came back")))?;
        if let Some(kept) = kept {
            let kept = kept.display();
            self.say(&format!(
                "The repository was kept in {kept}; look around with\n   kluis --dir {kept} list\n   kluis --dir {kept} verify --all\n   rm -r {kept}"
            ))?;
        }
        self.say("\nNow with a database of your own, which a backup only reads:")?;
        self.say("   export DATABASE_URL=postgresql://USER@HOST:5432/DATABASE PGPASSWORD=... BACKUP_DIR=/path/to/backups")?;
        self.say("   kluis doctor      what is missing, and the statements that would help")?;
        self.say("   kluis backup")?;
        self.say("   kluis restore latest --create --to postgresql://USER@HOST:5432/NEW_DATABASE")
    }
}

/// The work.
struct Demo<'a> {
    story: &'a Story<'a>,
    config: &'a RepositoryConfig,
    places: Places,
    server: &'a Throwaway,
    stop: &'a Stop,
}

/// Rows and digest of each table, in the manifest's order.
type Contents = Vec<Option<(u64, String)>>;

impl Demo<'_> {
    fn repository(&self) -> PathBuf {
        self.server.folder().join("backups")
    }

    fn tell(&self, tools: &Tools) -> Result<()> {
        let story = self.story;
        self.fill()?;
        story.chapter(&format!("PostgreSQL {} was started, with a sample database", tools.version))?;
        story.lines(&format!("'{DATABASE}', a shooting sports logbook; in {}, without a network address", self.server.folder().display()))?;
        story.say("")?;

        let backup = self.back_up()?;
        let manifest = backup.whole()?;
        let before = self.contents(DATABASE, manifest)?;

        self.check(&backup, manifest)?;

        self.query(DATABASE, &format!("DROP TABLE {LOST}"))?;
        let lost = self.contents(DATABASE, manifest)?;
        story.chapter("An accident")?;
        story.lines(&format!("DROP TABLE {LOST};"))?;
        story.say(&format!("   {}\n", verdict(manifest, &before, &lost)))?;

        let restored = self.restore(&backup, DATABASE, &[LOST.to_owned()], false)?;
        let after = self.contents(DATABASE, manifest)?;
        story.chapter("The table comes back")?;
        story.command(&format!("kluis restore latest --table {LOST} --to postgresql://.../{DATABASE}"))?;
        story.lines(&loaded(&restored))?;
        story.say(&format!("   {}\n", self.equal(manifest, &before, &after)?))?;

        let restored = self.restore(&backup, COPY, &[], true)?;
        let copy = self.contents(COPY, manifest)?;
        story.chapter("The whole backup, in a new database")?;
        story.command(&format!("kluis restore latest --create --to postgresql://.../{COPY}"))?;
        story.lines(&loaded(&restored))?;
        story.say(&format!("   {}\n", self.equal(manifest, &before, &copy)?))
    }

    fn query(&self, database: &str, sql: &str) -> Result<()> {
        let mut session = Session::connect(&self.server.connection(database), self.stop)?;
        session.execute("SET search_path = public")?;
        session.execute(sql)
    }

    fn fill(&self) -> Result<()> {
        self.query("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
        self.query(DATABASE, SAMPLE)
    }

    fn back_up(&self) -> Result<Backup> {
        let story = self.story;
        let settings = Settings { drill: Drill::EveryBackup, ..self.config.others.clone() };
        let target = Target { name: DATABASE.to_owned(), connection: self.server.connection(DATABASE), settings };
        let repository = Repository::open_for_writing(&self.repository())?;
        let done = run::run(
            &run::Context {
                repository: &repository,
                target: &target,
                places: &self.places,
                scratch: &self.config.common.scratch_dir,
                trigger: "manual",
                started: jiff::Timestamp::now(),
            },
            self.stop,
            &Silent,
        )?;
        let manifest = &done.manifest;
        story.chapter("A backup")?;
        story.command("kluis backup")?;
        done.entry.warnings.iter().for_each(|warning| story.context.output.warning(warning));
        story.command("kluis list")?;
        let row = |[id, proof, tables, rows, size]: [&str; 5]| {
            vec![Column::from(id), Column::from(proof), Column::from(tables).right(), Column::from(rows).right(), Column::from(size).right()]
        };
        let listing = [
            row(["BACKUP", "PROOF", "TABLES", "ROWS", "SIZE"]),
            row([
                &manifest.id,
                done.proof.as_ref().map_or("sealed", |proof| proof.word()),
                &format_count(manifest.totals.tables),
                &format_count(manifest.rows()),
                &format_bytes(manifest.bytes()),
            ]),
        ];
        story.lines(&table("", &listing, |_, text| text.to_owned()))?;
        let backup = Listing::read(&repository.target(DATABASE))?.find(names::LATEST, DATABASE)?.clone();
        let shown = format!("{DATABASE}/{}", backup.id);
        story.command(&format!("ls {shown}"))?;
        story.lines(&files(&backup)?)?;
        story.say("")?;
        Ok(backup)
    }

    /// What anybody can check who has nothing of Kluis.
    fn check(&self, backup: &Backup, manifest: &Manifest) -> Result<()> {
        let story = self.story;
        let (script, globals) = (manifest.script.file.as_str(), names::GLOBALS);
        let mut said = Vec::new();
        for (program, arguments) in [("sha256sum", vec!["-c", names::SUMS]), ("gunzip", vec!["-t", script, globals])] {
            let command = format!("{program} {}", arguments.join(" "));
            if !["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|folder| Path::new(folder).join(program).exists()) {
                said.push((command, format!("({program} is not installed here)")));
                continue;
            }
            let output = Tool::new(program.into()).args(&arguments).folder(&backup.path).output(1 << 20, self.stop);
            let output = output.map_err(|error| error.context(format!("'{command}' does not agree with the backup")))?;
            let text = String::from_utf8_lossy(&output).trim_end().to_owned();
            said.push((command, if text.is_empty() { "(no complaint)".to_owned() } else { text }));
        }
        story.chapter("Checked by programs that have nothing to do with Kluis")?;
        for (command, text) in said {
            story.command(&command)?;
            story.lines(&text)?;
        }
        story.say("")
    }

    /// Rows and digest of every table of the manifest, as they are in the database now; nothing for one that is not there.
    fn contents(&self, database: &str, manifest: &Manifest) -> Result<Contents> {
        let mut session = Session::connect(&self.server.connection(database), self.stop)?;
        let mut contents = Vec::new();
        for table in &manifest.tables {
            contents.push(match compare::digest_of(&mut session, table, &manifest.database.encoding) {
                Ok(digest) => Some((digest.rows, digest.hex())),
                Err(error) if error.kind() == Kind::Interrupted => return Err(error),
                // What is not there has no contents; what else may be wrong here shows as a difference.
                Err(_) => None,
            });
        }
        Ok(contents)
    }

    fn restore(&self, backup: &Backup, database: &str, tables: &[String], create: bool) -> Result<Restored> {
        let to = self.server.connection(database);
        let settings = &self.config.others;
        let request = Request {
            backup,
            to: &to,
            places: &self.places,
            scratch: self.server.folder(),
            jobs: settings.jobs,
            tables,
            beside: None,
            create,
            clean: false,
            in_place: false,
            yes: false,
            no_owner: false,
            no_privileges: false,
            roles: false,
            role_passwords: false,
            dry_run: false,
            no_check: false,
            analyze: false,
            settings: true,
            force: false,
            lock_wait: settings.lock_wait,
        };
        restore::restore(&request, self.stop, &Silent)
    }

    /// The good news, or an error.
    fn equal(&self, manifest: &Manifest, before: &Contents, after: &Contents) -> Result<String> {
        let text = verdict(manifest, before, after);
        if before == after && before.iter().all(Option::is_some) {
            return Ok(self.story.context.output.paint(GREEN, &text));
        }
        Err(Error::new(Kind::Verification, format!("the demo did not bring everything back: {text}")).hinted("this is a bug in kluis: please report it"))
    }
}

/// How many tables are as they were.
fn verdict(manifest: &Manifest, before: &Contents, after: &Contents) -> String {
    let equal = before.iter().zip(after).filter(|(before, after)| before == after).count();
    let differing = manifest.tables.iter().zip(before.iter().zip(after)).filter(|(_, (before, after))| before != after);
    let names: Vec<String> =
        differing.map(|(table, (_, after))| format!("{} {}", table.label(), if after.is_some() { "differs" } else { "is gone" })).collect();
    let rows: u64 = after.iter().flatten().map(|(rows, _)| rows).sum();
    let rest = if names.is_empty() { String::new() } else { format!("; {}", names.join(", ")) };
    format!("{equal} of {} tables have the same rows and the same digest as before, {} rows{rest}", manifest.tables.len(), format_count(rows))
}

fn loaded(restored: &Restored) -> String {
    let tables = if restored.tables == 1 { "1 table".to_owned() } else { format!("{} tables", restored.tables) };
    let warnings: String = restored.warnings.iter().map(|warning| format!("\nwarning: {warning}")).collect();
    format!("{tables} with {} rows, {}{warnings}", format_count(restored.rows), format_bytes(restored.bytes))
}

/// The files of a backup, their sizes and what each is for.
fn files(backup: &Backup) -> Result<String> {
    let purpose = |name: &str| match name {
        names::SCHEMA => "all but the rows, in pg_dump's own format",
        names::GLOBALS => "roles, memberships, tablespaces",
        names::MANIFEST => "tables with rows and digests, versions, hashes",
        names::UNITS => "where each table's rows lie in the script",
        names::SUMS => "for sha256sum -c",
        names::RESTORE => "the exact commands, with Kluis and without",
        name if name.ends_with(".sql.gz") => "the whole database as one script, for gunzip | psql",
        _ => "",
    };
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(&backup.path).map_err(|error| Error::io("read", &backup.path, error))? {
        let entry = entry.map_err(|error| Error::io("read", &backup.path, error))?;
        let bytes = entry.metadata().map_err(|error| Error::io("look at", &entry.path(), error))?.len();
        let name = entry.file_name().to_string_lossy().into_owned();
        rows.push((name.clone(), format_bytes(bytes), purpose(&name)));
    }
    rows.sort();
    let rows: Vec<Vec<Column>> =
        rows.iter().map(|(name, bytes, purpose)| vec![Column::from(name), Column::from(bytes).right(), Column::from(purpose)]).collect();
    Ok(table("", &rows, |_, text| text.to_owned()))
}
