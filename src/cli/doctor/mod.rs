//! `kluis doctor`: everything that would make a run fail, each with what to do about it.
//! It owns the questions and the sheet they are answered on; it leaves the answers to preflight, the catalogue and the repository.
//! Invariant: it changes nothing, and a check that fails keeps no other from being made.

mod database;
mod scratch;
mod storage;

pub use storage::too_short;

use super::output::{BOLD, GREEN, Output, RED, YELLOW};
use super::text::{clean, clean_lines, time};
use super::watch::Watch;
use super::{Context, End, args, places};
use crate::config::{self, Common, Process, Target};
use crate::error::{Error, Kind, Result};
use crate::manifest;
use crate::postgres::sandbox::{Support, readable};
use crate::postgres::tools::{Places, Tools, installed};
use jiff::Timestamp;
use serde::Serialize;

/// What `kluis doctor --json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// Every check, in order.
    checks: &'a [Check],
    /// The exit code.
    exit_code: u8,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    /// The target that it is about; null: all.
    target: Option<String>,
    /// What was looked at.
    check: &'static str,
    /// How it went.
    verdict: Verdict,
    /// What was found.
    finding: String,
    /// What to do about it.
    remedy: Option<String>,
    /// The class of the problem, as in errors.
    error: Option<&'static str>,
    #[serde(skip)]
    kind: Option<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Ok,
    Warning,
    Problem,
}

/// The sheet. In text each check is printed when it is made: some take their time.
struct Sheet<'a> {
    output: &'a Output,
    target: Option<String>,
    checks: Vec<Check>,
}

impl Sheet<'_> {
    fn heading(&mut self, target: Option<&str>, heading: &str) -> Result<()> {
        self.target = target.map(str::to_owned);
        let first = if self.checks.is_empty() { "" } else { "\n" };
        if self.output.json { Ok(()) } else { self.output.print(&format!("{first}{}\n", self.output.paint(BOLD, &clean(heading)))) }
    }

    fn ok(&mut self, check: &'static str, finding: impl Into<String>) -> Result<()> {
        self.add(check, Verdict::Ok, finding.into(), None, None)
    }

    fn warning(&mut self, check: &'static str, finding: impl Into<String>, remedy: &str) -> Result<()> {
        self.add(check, Verdict::Warning, finding.into(), Some(remedy.to_owned()), None)
    }

    fn problem(&mut self, check: &'static str, error: &Error) -> Result<()> {
        self.add(check, Verdict::Problem, error.chain(), error.hint().map(str::to_owned), Some(error.kind()))
    }

    fn add(&mut self, check: &'static str, verdict: Verdict, finding: String, remedy: Option<String>, kind: Option<Kind>) -> Result<()> {
        let made = Check { target: self.target.clone(), check, verdict, finding, remedy, error: kind.map(Kind::word), kind };
        if !self.output.json {
            self.output.print(&self.line(&made))?;
        }
        self.checks.push(made);
        Ok(())
    }

    fn line(&self, check: &Check) -> String {
        let (word, style) = match check.verdict {
            Verdict::Ok => ("ok     ", GREEN),
            Verdict::Warning => ("warning", YELLOW),
            Verdict::Problem => ("PROBLEM", RED),
        };
        let indent = |text: &str| clean_lines(text).replace('\n', "\n           ");
        let remedy = check.remedy.as_ref().map(|remedy| format!("           hint: {}\n", indent(remedy))).unwrap_or_default();
        format!("  {}  {:<14}  {}\n{remedy}", self.output.paint(style, word), check.check, indent(&check.finding))
    }

    fn end(&self) -> End {
        match self.checks.iter().find_map(|check| check.kind) {
            Some(kind) => End::Failed(kind),
            None if self.checks.iter().any(|check| check.verdict == Verdict::Warning) => End::Warned,
            None => End::Done,
        }
    }
}

/// Runs the command.
pub fn run(context: &Context, arguments: &args::Doctor) -> Result<End> {
    let output = &context.output;
    let mut sheet = Sheet { output, target: None, checks: Vec::new() };
    let watch = Watch::new()?;
    sheet.heading(None, "configuration")?;
    let (common, targets) = configuration(context, &mut sheet)?;
    if let Some(common) = &common {
        let places = places(common);
        sheet.heading(None, &format!("repository {}", common.dir.display()))?;
        let repository = storage::repository(&mut sheet, common)?;
        storage::strays(&mut sheet, repository.as_ref(), &targets)?;
        sheet.heading(None, "PostgreSQL programs")?;
        programs(&mut sheet, &places)?;
        sandbox(&mut sheet, common, &places)?;
        scratch::check(&mut sheet, common, &targets)?;
        if arguments.drill {
            let (stop, _dog) = watch.unlimited();
            scratch::servers(&mut sheet, common, &places, &stop)?;
            stop.check()?;
        }
        for target in &targets {
            let (stop, _dog) = watch.limited(&target.settings);
            sheet.heading(Some(&target.name), &format!("target {}", target.name))?;
            database::check(&mut sheet, repository.as_ref(), target, &places, &stop)?;
            storage::target(&mut sheet, repository.as_ref(), target, common, &stop)?;
            // A signal is no finding.
            stop.check()?;
        }
    }
    let end = sheet.end();
    if output.json {
        output.json(&Report { checks: &sheet.checks, exit_code: end.exit_code() })?;
    } else {
        let count = |verdict: Verdict| sheet.checks.iter().filter(|check| check.verdict == verdict).count();
        let (problems, warnings) = (count(Verdict::Problem) as u64, count(Verdict::Warning) as u64);
        let summary = if problems + warnings == 0 {
            "all is well".to_owned()
        } else {
            format!("{}, {}", super::text::count(problems, "problem"), super::text::count(warnings, "warning"))
        };
        output.print(&format!("\n{summary}\n"))?;
    }
    Ok(end)
}

/// The configuration; where it is wrong, as much of it as the repository's checks need.
fn configuration(context: &Context, sheet: &mut Sheet<'_>) -> Result<(Option<Common>, Vec<Target>)> {
    let (common, targets, warnings) = match config::load(&context.flags, &Process) {
        Ok(config) => {
            let names: Vec<&str> = config.targets.iter().map(|target| target.name.as_str()).collect();
            sheet.ok(
                "settings",
                format!("{} ({}); kluis config shows where each setting comes from", super::text::count(names.len() as u64, "target"), names.join(", ")),
            )?;
            (Some(config.common), config.targets, config.warnings)
        }
        Err(problems) => {
            for problem in problems.iter() {
                sheet.problem("settings", &Error::usage(problem.to_string()).hinted(&problem.hint))?;
            }
            (config::load_repository(&context.flags, &Process).ok().map(|config| config.common), Vec::new(), Vec::new())
        }
    };
    for warning in warnings {
        let (finding, remedy) = warning.split_once("; hint: ").unwrap_or((&warning, "kluis config"));
        sheet.warning("settings", finding, remedy)?;
    }
    if let Some(common) = &common {
        sheet.ok("time zone", format!("{}, where it is {}", common.time_zone_name, time(Timestamp::now(), &common.time_zone)))?;
    }
    Ok((common, targets))
}

fn programs(sheet: &mut Sheet<'_>, places: &Places) -> Result<()> {
    let found = installed(places);
    if found.is_empty() {
        let named = places.named.as_ref().map_or_else(|| "on this machine".to_owned(), |named| format!("in '{}'", named.display()));
        return sheet.problem(
            "pg_dump",
            &Error::new(Kind::Unreachable, format!("there is none {named}"))
                .hinted("install the package postgresql-client-NN of the server's major version; BACKUP_PG_BIN names a folder of your own"),
        );
    }
    for tools in found {
        let server = if tools.has_server() { "with a server, for drills" } else { "clients only, no server for drills" };
        sheet.ok("pg_dump", format!("{} in {} ({server})", tools.version, tools.folder.display()))?;
    }
    Ok(())
}

/// How far the throwaway server of a drill is kept from the rest of this machine.
fn sandbox(sheet: &mut Sheet<'_>, common: &Common, places: &Places) -> Result<()> {
    let servers: Vec<_> = installed(places).into_iter().filter(|tools| tools.has_server()).collect();
    if servers.is_empty() {
        return Ok(());
    }
    let (support, inside) = (Support::of_this_machine(), "the throwaway server of a drill");
    let open = support.open().join(", ");
    if support.word() == manifest::Sandbox::Full {
        sheet.ok("sandbox", format!("{inside} is kept to its own folder: no other files, no programs, no connections"))?;
    } else if support.seccomp && support.landlock >= 3 {
        sheet.ok("sandbox", format!("{inside} is kept to its own folder; what a database's code could do with Linux before 6.12: {open}"))?;
    } else {
        sheet.warning(
            "sandbox",
            format!("this kernel leaves open to a database's code, which {inside} runs: {open}"),
            "run kluis on Linux 6.12 or later with Landlock in its list of security modules, in a container under Docker's default seccomp profile; else \
             drill only databases whose owners you trust (BACKUP_DRILL=off)",
        )?;
    }
    let dir = std::fs::canonicalize(&common.dir).unwrap_or_else(|_| common.dir.clone());
    let around = |tools: &Tools| readable(&tools.program("postgres")).into_iter().find(|path| dir.starts_with(path));
    match servers.iter().find_map(around) {
        Some(path) => sheet.warning(
            "sandbox",
            format!("{inside} reads '{}', where the repository lies", path.display()),
            "let BACKUP_DIR name a folder that is not among those of programs",
        ),
        None => Ok(()),
    }
}
