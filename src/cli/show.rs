//! `kluis show ID`: everything that is known of one backup, for people.
//! It owns the page; it leaves the facts to the manifest, the proof and the retention plan.
//! Invariant: it reads no rows, so it is quick on a backup of any size.

use super::find::{self, Found};
use super::output::{BOLD, Output};
use super::text::{Cell, clean, count, ratio, time, unconfined, wrap};
use super::view;
use super::{Context, End, args};
use crate::config::RepositoryConfig;
use crate::error::Result;
use crate::exception::{self, Exceptions};
use crate::manifest::{Manifest, Mover, Proof, Rung, Summary, Verdict};
use crate::past::Past;
use crate::prune::{candidate, make_plan};
use crate::repository::files::read_small;
use crate::repository::list::{Backup, Listing};
use crate::repository::names;
use crate::retention::{Decision, Standing};
use crate::units::{first, format_age, format_bytes, format_count, format_duration};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many of a proof's findings are shown.
const MOST_FINDINGS: usize = 30;

/// `pinned.json`: why retention must keep a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pin {
    /// When it was pinned.
    pub at: Timestamp,
    /// Why, in the user's words.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What `kluis show --json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// The target whose folder it lies in; null for a folder that was copied elsewhere.
    target: Option<&'a str>,
    /// Its name.
    id: &'a str,
    /// Its folder.
    path: String,
    /// `sealed`, `read`, `proven`, `bad` or `not-understood`.
    standing: Standing,
    /// The pin, if there is one.
    pinned: Option<Pin>,
    /// What the policy does with it now, and by which rules; null for a folder that was copied elsewhere.
    retention: Option<Decision>,
    /// What it holds, in short, as `manifest.json` of format 2 has it; null where it is not understood, then `problem` says why.
    manifest: Option<&'a Summary>,
    /// All that it holds, as `contents.json` has it; null where that cannot be read, then `problem` says why.
    contents: Option<Manifest>,
    /// `proof.json` as it is; null where there is none.
    proof: Option<&'a Proof>,
    /// Why manifest or proof are not understood.
    problem: Option<String>,
    /// What a restore does not bring back.
    #[serde(flatten)]
    exceptions: Exceptions,
    /// A command that restores it; null where none can.
    restore: Option<String>,
}

/// The pin of a backup. One that cannot be read pins all the same.
pub fn pin_of(backup: &Backup) -> Option<Pin> {
    let unread = Pin { at: Timestamp::UNIX_EPOCH, reason: None };
    backup.pinned.then(|| read_small(&backup.path.join(names::PINNED), 1 << 20).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or(unread))
}

/// Runs the command.
pub fn run(context: &Context, arguments: &args::Show) -> Result<End> {
    let (config, output) = (context.repository_config()?, &context.output);
    let found = find::anywhere(&config, &arguments.id)?;
    let decision = retention(&config, &found)?;
    let (backup, pin) = (&found.backup, pin_of(&found.backup));
    let whole = backup.whole_or_why()?;
    if output.json {
        output.json(&Report {
            target: found.target.as_ref().map(|target| target.name.as_str()),
            id: &backup.id,
            path: backup.path.to_string_lossy().into_owned(),
            standing: candidate(backup).standing,
            pinned: pin,
            retention: decision,
            manifest: backup.manifest.as_ref().ok(),
            proof: backup.proof.as_ref().ok().and_then(Option::as_ref),
            contents: whole.as_ref().ok().map(|manifest| Manifest { files: Vec::new(), ..(*manifest).clone() }),
            problem: whole.as_ref().err().or(backup.proof.as_ref().err()).cloned(),
            exceptions: backup.excepted(),
            restore: restore_command(&found),
        })?;
        return Ok(End::Done);
    }
    let mut page = Page { output, config: &config, text: String::new() };
    page.head(&found, pin.as_ref());
    if let Ok(summary) = &backup.manifest {
        match &whole {
            Ok(manifest) => page.contents(manifest),
            Err(why) => page.section("what it holds cannot be told", std::slice::from_ref(why)),
        }
        page.files(summary);
        if let (true, Ok(manifest)) = (arguments.tables, &whole) {
            page.tables(manifest);
        }
    }
    page.retention(decision.as_ref());
    let by_hand = format!("with nothing but PostgreSQL: {}", backup.path.join(names::RESTORE).display());
    let lines = match restore_command(&found) {
        Some(command) if backup.is_bad() => vec!["it is bad; this restores it all the same:".to_owned(), command, format!("or {by_hand}")],
        Some(command) => vec![command, format!("or {by_hand}")],
        None => {
            let why = if backup.manifest.is_ok() { "its files are not what they were; kluis verify says more" } else { "its manifest is not understood" };
            vec![format!("kluis cannot restore it: {why}"), format!("perhaps, {by_hand}")]
        }
    };
    page.section("to restore it", &lines);
    output.print(&page.text)?;
    Ok(End::Done)
}

fn retention(config: &RepositoryConfig, found: &Found) -> Result<Option<Decision>> {
    let Some(target) = &found.target else { return Ok(None) };
    let settings = config.settings_of(&target.name);
    let (listing, history) = Listing::with_history(target)?;
    let plan = make_plan(&listing, &Past::of(&history, &listing), settings, Timestamp::now());
    Ok(plan.decisions.into_iter().find(|decision| decision.id == found.backup.id))
}

/// A command that restores it; nothing where none can.
fn restore_command(found: &Found) -> Option<String> {
    let backup = &found.backup;
    let force = match (backup.is_bad(), backup.can_be_forced()) {
        (true, true) => " --force",
        (true, false) => return None,
        (false, _) if backup.manifest.is_err() => return None,
        (false, _) => "",
    };
    Some(match &found.target {
        Some(target) => format!("kluis restore {} --target {} --create{force} --to postgresql://USER@HOST:5432/NEW_DATABASE", backup.id, target.name),
        None => format!("kluis restore THIS_FOLDER --create{force} --to postgresql://USER@HOST:5432/NEW_DATABASE"),
    })
}

/// A line of a list, broken into lines of a width that can be read.
fn bullet(text: &str) -> Vec<String> {
    wrap(text, 120).into_iter().enumerate().map(|(place, line)| format!("{}{line}", if place == 0 { "- " } else { "  " })).collect()
}

struct Page<'a> {
    output: &'a Output,
    config: &'a RepositoryConfig,
    text: String,
}

impl Page<'_> {
    fn time(&self, at: Timestamp) -> String {
        time(at, &self.config.common.time_zone)
    }

    fn section(&mut self, heading: &str, lines: &[String]) {
        self.text.push_str(&format!("\n{}\n", self.output.paint(BOLD, heading)));
        self.text.extend(lines.iter().map(|line| format!("  {}\n", clean(line))));
    }

    fn facts(&mut self, facts: Vec<(&str, Cell)>) {
        let rows: Vec<Vec<Cell>> = facts.into_iter().map(|(name, value)| vec![Cell::from(name), value]).collect();
        self.text.push_str(&self.output.table("  ", &rows));
    }

    fn head(&mut self, found: &Found, pin: Option<&Pin>) {
        let backup = &found.backup;
        let target = found.target.as_ref().map(|target| target.name.clone()).or_else(|| backup.manifest.as_ref().ok().map(|manifest| manifest.target.clone()));
        let of = target.map(|name| format!(" of {}", clean(&name))).unwrap_or_default();
        self.text.push_str(&format!("{}{of}\n", self.output.paint(BOLD, &clean(&backup.id))));
        let standing = candidate(backup).standing;
        let exceptions = backup.excepted();
        let mut facts = vec![("verdict", Cell::from(view::verdict(standing, &exceptions)).styled(view::style(standing)))];
        match &backup.proof {
            Err(why) => facts.push(("", Cell::from(format!("its proof cannot be read: {why}")))),
            Ok(Some(proof)) => facts.extend(self.proof(proof).into_iter().map(|line| ("", Cell::from(line)))),
            Ok(None) => {}
        }
        if !exceptions.is_empty() {
            facts.push(("except", Cell::from("what no dump brings back; what to do about each after a restore is in its RESTORE.md:")));
            facts.extend(exceptions.lines(exception::MOST).iter().flat_map(|line| bullet(line)).map(|line| ("", Cell::from(line))));
        }
        facts.extend(backup.manifest.as_ref().err().map(|why| ("", Cell::from(why))));
        if let Some(pin) = pin {
            let since = if pin.at == Timestamp::UNIX_EPOCH { "yes".to_owned() } else { format!("since {}", self.time(pin.at)) };
            facts.push(("pinned", Cell::from(pin.reason.as_ref().map_or(since.clone(), |reason| format!("{since}: {reason}")))));
        }
        facts.push(("folder", Cell::from(backup.path.to_string_lossy())));
        self.facts(facts);
    }

    fn proof(&self, proof: &Proof) -> Vec<String> {
        let rung = match proof.rung {
            Rung::Sealed => "sealed",
            Rung::Read => "read back from end to end",
            Rung::Restored => "restored and found equal",
            Rung::Asserted => "restored and found equal, with the assertions",
        };
        let mut lines = vec![format!("{rung}, {}", self.time(proof.reached))];
        if let Some(drill) = &proof.drill {
            let took = |ms| format_duration(Duration::from_millis(ms));
            lines.push(format!(
                "drill on PostgreSQL {}: {}, {}, {} compared, {} passed; restored in {}, all in {}{}",
                drill.server,
                count(drill.tables, "table"),
                count(drill.rows, "row"),
                count(drill.large_objects, "large object"),
                count(drill.assertions, "assertion"),
                took(drill.restore_ms),
                took(drill.total_ms),
                unconfined(drill.sandbox)
            ));
        }
        let unchecked = proof.drill.iter().flat_map(|drill| &drill.unchecked).cloned().collect::<Vec<_>>();
        lines.extend((!unchecked.is_empty()).then(|| format!("nothing could check: {}", first(&unchecked, MOST_FINDINGS).join(", "))));
        match proof.verdict {
            Verdict::Good => {}
            Verdict::Bad => lines.push(format!("found bad by {}, {}:", proof.by, self.time(proof.at))),
            Verdict::CannotJudge => lines.push(format!("{} could not judge it here, {}:", proof.by, self.time(proof.at))),
        }
        lines.extend(first(&proof.findings, MOST_FINDINGS).iter().flat_map(|finding| bullet(finding)));
        lines
    }

    fn contents(&mut self, manifest: &Manifest) {
        let (database, server) = (&manifest.database, &manifest.server);
        let took = Duration::try_from(manifest.finished.duration_since(manifest.started)).unwrap_or_default();
        let age = format_age(Timestamp::now().duration_since(manifest.started));
        let standby = if server.standby { ", a standby" } else { "" };
        let passwords = if server.role_passwords { "with" } else { "without" };
        let provider = database.locale.as_ref().map(|locale| format!(", {} {locale}", database.locale_provider)).unwrap_or_default();
        let ratio = ratio(manifest.script.plain_bytes, manifest.bytes()).map(|ratio| format!(", {ratio}")).unwrap_or_default();
        let mut facts = vec![
            ("made", format!("{} ({age}), in {}, by kluis {}", self.time(manifest.started), format_duration(took), manifest.kluis)),
            ("as it was", format!("{} (the snapshot)", self.time(manifest.snapshot))),
            ("database", format!("{} of {}, {} on the server", database.name, database.owner, format_bytes(database.bytes))),
            ("server", format!("PostgreSQL {}{standby}; pg_dump {}; roles {passwords} their password hashes", server.version, server.pg_dump)),
            ("text", format!("{}, collation {}, character type {}{provider}", database.encoding, database.collate, database.ctype)),
            (
                "holds",
                format!(
                    "{}, {}, {}",
                    count(manifest.tables.len() as u64, "table"),
                    count(manifest.rows(), "row"),
                    count(manifest.large_objects.count, "large object")
                ),
            ),
            ("size", format!("{} on disk, {} plain{ratio}", format_bytes(manifest.bytes()), format_bytes(manifest.script.plain_bytes))),
        ];
        let extensions: Vec<String> = database.extensions.iter().map(|extension| format!("{} {}", extension.name, extension.version)).collect();
        for (name, list) in [("extensions", &extensions), ("roles", &database.roles), ("tablespaces", &database.tablespaces), ("warnings", &manifest.warnings)]
        {
            if !list.is_empty() {
                facts.push((name, list.join(if name == "warnings" { "; " } else { ", " })));
            }
        }
        self.text.push('\n');
        self.facts(facts.into_iter().map(|(name, value)| (name, Cell::from(value))).collect());
    }

    fn files(&mut self, manifest: &Summary) {
        self.section("files", &[]);
        let row = |file: &crate::manifest::File| {
            vec![Cell::from(&file.name), Cell::from(format_bytes(file.bytes)).right(), Cell::from(format!("sha256 {}…", &file.sha256[..12]))]
        };
        let rows: Vec<Vec<Cell>> = manifest.files.iter().map(row).collect();
        self.text.push_str(&self.output.table("  ", &rows));
    }

    fn tables(&mut self, manifest: &Manifest) {
        self.section("tables", &[]);
        let mut tables: Vec<_> = manifest.tables.iter().collect();
        tables.sort_by_key(|table| (&table.schema, &table.name));
        let mut rows = vec![["table", "rows", "bytes", "moved by", "digest"].iter().map(|word| Cell::from(word).styled(BOLD)).collect::<Vec<Cell>>()];
        rows.extend(tables.into_iter().map(|table| {
            let mover = if table.moved_by == Mover::Units { "kluis" } else { "pg_dump" };
            vec![
                Cell::from(table.label()),
                Cell::from(format_count(table.rows)).right(),
                Cell::from(format_bytes(table.bytes)).right(),
                Cell::from(mover),
                Cell::from(&table.digest),
            ]
        }));
        self.text.push_str(&self.output.table("  ", &rows));
    }

    fn retention(&mut self, decision: Option<&Decision>) {
        let Some(decision) = decision else { return };
        let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
        self.section(if decision.keep { "kept by the policy" } else { "no longer kept by the policy" }, &reasons);
    }
}
