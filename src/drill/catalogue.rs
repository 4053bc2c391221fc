//! The witness of the catalogue: the backup's inventory against what the restored database's catalogue holds.
//! It owns what a difference means: nothing, an exception, a fault, or an expression whose own words have to be looked for in the script.
//! Invariant: what is not known to be harmless, or to be what no dump brings back, is a fault.

use super::words::Words;
use crate::error::{Error, Result};
use crate::exception::{Class, Exception};
use crate::finding::{Cause, Finding};
use crate::manifest::Manifest;
use crate::postgres::catalogue::as_archived;
use crate::postgres::connection::Connection;
use crate::postgres::inventory;
use crate::postgres::inventory::compare::{Change, Difference, How, Owner, compare};
use crate::postgres::quote::quote_ident;
use crate::postgres::server_error::printable;
use crate::postgres::session::Session;
use crate::repository::files::{create_file, open_file};
use crate::repository::list::Backup;
use crate::repository::names;
use crate::restore::labels::Label;
use crate::script::gzip::stream;
use crate::stop::Stop;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, BufWriter, Seek, Write};
use std::path::Path;

/// What the comparison of two inventories comes to.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is wrong.
    pub wrong: Vec<Finding>,
    /// What no dump brings back.
    pub exceptions: BTreeSet<Exception>,
    /// Expressions that the restored database words in another way: the source's own words have to stand in the script.
    pub words: Vec<Words>,
    /// Extensions of which a restore installs another version than the source's.
    pub other_versions: BTreeSet<String>,
    /// Whether there was an inventory to compare with.
    pub compared: bool,
}

/// How many differences are named.
const NAMED: usize = 80;

/// Reads the restored database's inventory, and compares the backup's with it. It waits in `folder`, which goes with the server. `unlabelled`: the security
/// labels that the restore could not give for want of their provider.
pub fn check(backup: &Backup, manifest: &Manifest, restored: &Connection, folder: &Path, unlabelled: &[Label], stop: &Stop) -> Result<Findings> {
    if manifest.file(names::INVENTORY).is_none() {
        return Ok(Findings::default());
    }
    let path = folder.join("restored-inventory");
    let failed = |error| Error::io("write", &path, error);
    let mut out = BufWriter::new(create_file(&path)?);
    let mut session = Session::connect(restored, stop)?;
    if let Some(money) = &manifest.money {
        as_archived(&mut session, &money.archive)?;
    }
    // Each catalogue is sorted before its first row comes.
    let _unseen = stop.unseen();
    inventory::read(&mut session, &manifest.database.encoding, |line| {
        stop.moved();
        out.write_all(line).map_err(failed)
    })?;
    let mut theirs = out.into_inner().map_err(|error| failed(error.into_error()))?;
    theirs.rewind().map_err(failed)?;
    let ours = BufReader::new(stream(BufReader::new(open_file(&backup.path.join(names::INVENTORY))?)));
    let mut judge = Judge::new(manifest, unlabelled);
    let compared = compare(ours, BufReader::new(theirs), |difference| {
        stop.check()?;
        judge.difference(&difference);
        Ok(())
    })?;
    let mut findings = judge.findings();
    findings.compared = compared;
    Ok(findings)
}

/// What is known so far of the two inventories.
struct Judge<'m> {
    manifest: &'m Manifest,
    findings: Findings,
    /// Indexes that are invalid in the source.
    invalid: BTreeSet<String>,
    /// Extensions of which a restore installs another version: their objects are those of that version.
    other_version: BTreeSet<String>,
    /// How many of an extension's objects differ, and the first of them.
    changed: BTreeMap<String, (usize, String)>,
    /// Providers that this machine lacks, with how many of their labels the archive holds: no more of them may be missing.
    unlabelled: BTreeMap<String, usize>,
    more: usize,
}

impl<'m> Judge<'m> {
    fn new(manifest: &'m Manifest, labels: &[Label]) -> Self {
        let (mut findings, mut unlabelled) = (Findings::default(), BTreeMap::new());
        for label in labels {
            let object = format!("{}, of the provider \"{}\"", label.object, label.provider);
            findings.exceptions.insert(Exception::new(Class::SecurityLabel, printable(&object)));
            *unlabelled.entry(label.provider.clone()).or_default() += 1;
        }
        Judge { manifest, findings, unlabelled, invalid: BTreeSet::new(), other_version: BTreeSet::new(), changed: BTreeMap::new(), more: 0 }
    }

    fn findings(mut self) -> Findings {
        for (extension, (count, first)) in self.changed {
            let others = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            self.findings.exceptions.insert(Exception::new(Class::ExtensionMember, format!("extension {extension}: {first}{others}")));
        }
        if self.more > 0 {
            self.findings.wrong.push(Finding::new(Cause::Catalogue, format!("and {} more differences in the catalogue", self.more)));
        }
        self.findings.other_versions = self.other_version;
        self.findings
    }

    fn wrong(&mut self, difference: &Difference) {
        if self.findings.wrong.len() < NAMED {
            self.findings.wrong.push(Finding::new(Cause::Catalogue, describe(difference)));
        } else {
            self.more += 1;
        }
    }

    fn except(&mut self, class: Class, object: String) {
        self.findings.exceptions.insert(Exception::new(class, printable(&object)));
    }

    fn difference(&mut self, difference: &Difference) {
        let keys: Vec<&str> = difference.keys.iter().map(String::as_str).collect();
        match (difference.catalogue, &difference.how) {
            ("pg_extension", How::Changed(changes)) => {
                if let Some(version) = difference.change("extversion") {
                    let text = |value: &Option<Vec<u8>>| String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned();
                    let object = format!("{} {} in the source, {} after a restore", keys[0], text(&version.source), text(&version.restored));
                    self.other_version.insert(keys[0].to_owned());
                    self.except(Class::ExtensionVersion, object);
                }
                if changes.iter().any(|change| change.column != "extversion") {
                    self.wrong(difference);
                }
                return;
            }
            // Every new database has it, and pg_dump does not tell that somebody dropped it.
            ("pg_extension", How::Added(_)) if keys[0] == "plpgsql" => return self.ignore_extension("plpgsql"),
            ("pg_namespace", How::Added(_)) if keys[0] == "public" => return,
            ("pg_description", _) if keys == ["pg_namespace", "public"] => return self.comment_on_public(difference),
            (inventory::CONSTRUCTORS, How::Missing(_)) => return self.except(Class::Accessory, format!("rights on {}", keys[0])),
            (inventory::STRICTER_KEYS, How::Missing(_)) => return self.except(Class::Accessory, format!("state of foreign key {} of {}", keys[1], keys[0])),
            (inventory::SYSTEM_CHANGES, How::Added(_)) => return,
            (inventory::SYSTEM_CHANGES, _) => return self.except(Class::SystemSchema, format!("{} of {}", keys[1], keys[0])),
            // CREATE EXTENSION gives it its usual comment, and no dump tells that somebody took that away.
            ("pg_description", How::Added(_)) if keys[0] == "pg_extension" => {
                return self.except(Class::ExtensionMember, format!("comment on extension {}", keys[1]));
            }
            ("pg_description", How::Missing(_)) if difference.value("+made_with_another") == Some(b"true") => {
                return self.except(Class::Accessory, object(difference));
            }
            ("rights on the system's objects", _) if keys[1] == "information_schema" || keys[1].starts_with("information_schema.") => {
                return self.except(Class::SystemSchema, format!("rights on {}", keys[1]));
            }
            _ => {}
        }
        match &difference.owner {
            Owner::Extension(extension) => self.of_extension(difference, extension),
            Owner::System if difference.catalogue == "pg_ts_config_map" => self.except(Class::SystemSchema, format!("text search configuration {}", keys[0])),
            Owner::System if matches!(difference.how, How::Missing(_)) => self.except(Class::SystemSchema, object(difference)),
            _ => self.of_user(difference, &keys),
        }
    }

    fn ignore_extension(&mut self, name: &str) {
        self.other_version.insert(name.to_owned());
    }

    /// From 15 on pg_dump tells of every comment on it, before of none.
    fn comment_on_public(&mut self, difference: &Difference) {
        let usual = |value: Option<&[u8]>| value == Some(b"standard public schema");
        match &difference.how {
            How::Added(_) if usual(difference.value("description")) => {}
            _ if self.manifest.server.major < 15 => self.except(Class::SystemSchema, "the comment on schema public".to_owned()),
            _ => self.wrong(difference),
        }
    }

    /// An extension's script makes its objects; what somebody changed of them afterwards no dump tells, but for their rights.
    fn of_extension(&mut self, difference: &Difference, extension: &str) {
        if self.other_version.contains(extension) {
            return;
        }
        let rights = |name: &str| name.ends_with("acl");
        if matches!(&difference.how, How::Changed(changes) if changes.iter().any(|change| rights(change.column))) {
            return self.wrong(difference);
        }
        let entry = self.changed.entry(extension.to_owned()).or_insert_with(|| (0, printable(&object(difference))));
        entry.0 += 1;
    }

    fn of_user(&mut self, difference: &Difference, keys: &[&str]) {
        match (difference.catalogue, &difference.how) {
            // pg_dump leaves an invalid index out, with all that is said of it.
            ("pg_index", How::Missing(_)) if difference.value("indisvalid") == Some(b"false") => {
                self.invalid.insert(keys[0].to_owned());
                self.except(Class::InvalidIndex, format!("index {}", keys[0]));
            }
            ("pg_class" | "columns of indexes" | "pg_inherits", How::Missing(_)) if self.invalid.contains(keys[0]) => {}
            ("pg_constraint", How::Missing(_)) if difference.value("conindid").is_some_and(|index| self.invalid.contains(&*String::from_utf8_lossy(index))) => {
            }
            ("pg_description" | "pg_depend", How::Missing(_)) if keys[0] == "pg_class" && self.invalid.contains(keys[1]) => {}
            ("triggers of foreign keys", How::Missing(_)) => {
                self.except(Class::DisabledForeignKey, format!("foreign key {} of {}", keys[1], keys[0]));
            }
            // The restore told each by name, and named it as an exception.
            ("pg_seclabel", How::Missing(_)) if self.unlabelled.get(keys[2]).is_some_and(|left| *left > 0) => {
                self.unlabelled.entry(keys[2].to_owned()).and_modify(|left| *left -= 1);
            }
            ("pg_subscription", How::Missing(_)) if self.announced(Class::Unreadable, "subscription", keys[0]) => {}
            ("pg_subscription", How::Changed(changes)) => {
                // pg_dump makes every subscription disabled, so that a restored one does not take the living one's rows.
                let state = |name: &str| ["subenabled", "subtwophasestate", "subfailover"].contains(&name);
                if !changes.iter().all(|change| state(change.column)) {
                    self.wrong(difference);
                } else if !self.announced(Class::Subscription, "subscription", keys[0]) {
                    self.except(Class::Subscription, format!("subscription {}", keys[0]));
                }
            }
            ("pg_class", How::Changed(changes)) if self.manifest.server.major == 14 && changes.iter().all(|change| change.column == "+identity_acl") => {
                self.except(Class::Accessory, format!("rights on sequence {}", keys[0]));
            }
            ("pg_sequence", How::Changed(changes)) if changes.iter().all(|change| change.column == inventory::IDENTITY_TYPE) => {
                self.except(Class::Accessory, format!("type of sequence {}", keys[0]));
            }
            ("pg_constraint", How::Changed(changes)) if changes.iter().all(|change| is_name_left_out(change) || is_laxer(change)) => {
                for change in changes {
                    let what = if change.column == inventory::NAME { "name" } else { "state" };
                    self.except(Class::Accessory, format!("{what} of {}", object(difference)));
                }
            }
            (_, How::Changed(changes)) if changes.iter().all(|change| change.expression && change.source.is_some() && change.restored.is_some()) => {
                for change in changes {
                    let source = change.source.as_deref().unwrap_or_default();
                    match Words::of(difference.catalogue, change.column, keys, source, describe(difference)) {
                        Some(words) => self.findings.words.push(words),
                        None => self.wrong(difference),
                    }
                }
            }
            _ => self.wrong(difference),
        }
    }

    /// Whether the dump announced it: there the server quoted the name, but only where that is needed.
    fn announced(&self, class: Class, what: &str, name: &str) -> bool {
        let (plain, quoted) = (format!("{what} {name}"), format!("{what} {}", quote_ident(name)));
        self.manifest.not_included.iter().any(|announced| announced.class == class && (announced.object == plain || announced.object == quoted))
    }
}

/// Whether it is the name of a NOT NULL that pg_dump leaves out: one that the server would have chosen. Another name is written, and has to come back.
fn is_name_left_out(change: &Change) -> bool {
    let chosen = |name: &[u8]| String::from_utf8_lossy(name).trim_end_matches(|c: char| c.is_ascii_digit()).ends_with("_not_null");
    change.column == inventory::NAME && change.source.as_deref().is_some_and(chosen)
}

/// Whether an inherited constraint is checked less after a restore: its parent's own state is compared by itself.
fn is_laxer(change: &Change) -> bool {
    let place = |value: &Option<Vec<u8>>| inventory::STATES.iter().position(|state| value.as_deref() == Some(state.as_bytes()));
    change.column == inventory::STATE && matches!((place(&change.source), place(&change.restored)), (Some(source), Some(restored)) if source < restored)
}

/// Which object a row is about, in words.
fn object(difference: &Difference) -> String {
    let what = match difference.catalogue {
        "pg_class" => "relation",
        "pg_attribute" => "column",
        "pg_attrdef" => "default of column",
        "pg_index" => "index",
        "pg_constraint" => "constraint",
        "pg_trigger" => "trigger",
        "pg_rewrite" => "rule",
        "pg_policy" => "policy",
        "pg_proc" => "function",
        "pg_type" => "type",
        "pg_enum" => "labels of enum",
        "pg_namespace" => "schema",
        "pg_description" => "comment on",
        "pg_seclabel" => "security label on",
        "pg_sequence" => "sequence",
        "pg_largeobject_metadata" => "large object",
        "pg_default_acl" => "default privileges of",
        "pg_user_mapping" => "user mapping of",
        "members of extensions" => "member of extension",
        "pg_depend" => "dependency of",
        other => other.strip_prefix("pg_").unwrap_or(other),
    };
    // A constraint of a table is of no domain, and the other way round.
    let keys: Vec<&str> = difference.keys.iter().map(String::as_str).filter(|key| *key != "-").collect();
    let keys = if matches!(difference.catalogue, "pg_description" | "pg_seclabel" | "pg_depend") { keys.get(1..).unwrap_or_default() } else { &keys };
    format!("{what} {}", keys.join(" "))
}

/// A difference in words. It names objects and columns of catalogues, never a value.
fn describe(difference: &Difference) -> String {
    let object = object(difference);
    let said = match &difference.how {
        How::Missing(_) => format!("{object}: the snapshot had it, the restored database lacks it"),
        How::Added(_) => format!("{object}: the restored database has it, the snapshot had not"),
        How::Changed(changes) => {
            let columns: Vec<&str> = changes.iter().map(|change| change.column).collect();
            format!("{object}: not as in the snapshot ({})", columns.join(", "))
        }
    };
    printable(&said)
}
