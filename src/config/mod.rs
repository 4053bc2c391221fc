//! What was typed in flags, the environment and `kluis.toml`, turned into one validated configuration.
//! It owns every setting's name, default and limit, and it alone reads the environment; it leaves using the values to the engine.
//! A configuration comes out whole or not at all, with every problem named at once, and no secret is in any message.
//!
//! # Where a value comes from
//!
//! Highest first: a flag · the target's table in `kluis.toml` · our environment variables (`BACKUP_*`, `DB_*`, `DATABASE_URL`) ·
//! the top of `kluis.toml` · libpq's variables (`PG*`) and `TZ` · the default. So what is written for one target beats what holds for all, and
//! the environment, which changes with each deployment, beats the file's general part.
//!
//! The file is the one named by `--config` or `KLUIS_CONFIG`, else `/etc/kluis/kluis.toml` if it exists. `./kluis.toml` is not read by itself.
//! With `[targets.NAME]` tables in it, connection variables are an error, since nobody could tell for which target they are.
//!
//! An empty variable is one that is not set, as Compose makes them; an empty `DB_PASSWORD` says that there is none. Each variable has a form with
//! `_FILE`, the name of a file that holds the value. Relative paths start from the working directory, those in `kluis.toml` from its folder.

mod database;
mod file;
mod home;
pub mod keys;
mod problem;
mod reader;
mod render;
mod settings;
pub mod source;
mod suggest;
#[cfg(test)]
mod tests;
mod types;
mod value;
mod variables;

pub use problem::{Origin, Problem, Problems, is_connection_string};
pub use render::Setting;
pub use source::{Process, Source};
pub use types::{Common, Compression, Config, Drill, Flags, LogFormat, LogTarget, Notify, RepositoryConfig, Settings, Target};
pub use value::is_target_name;

use crate::postgres::connection::Connection;
use crate::postgres::url::Partial;
use file::{Document, TargetTable};
use problem::{Fault, quoted};
use reader::{Bad, Reader};
use settings::Whose;

use jiff::tz::TimeZone;

/// The configuration of a command that reaches databases: `serve`, `backup`, `doctor`, `config`.
pub fn load(flags: &Flags, source: &dyn Source) -> Result<Config, Problems> {
    let mut problems = Problems::default();
    let document = file::open(flags, source, &mut problems);
    let mut reader = Reader::new(source, flags, &document, problems);
    reader.unknown_variables();
    reader.foreign_variables();
    reader.clashing_connection();
    reader.about_the_file();
    let common = reader.common();
    let zone = common.as_ref().map_or(TimeZone::UTC, |common| common.time_zone.clone());
    let targets = if document.targets.is_empty() { reader.single(&zone) } else { reader.several(&zone) };
    match (common, targets, reader.problems.is_empty()) {
        (Some(common), Some(targets), true) => Ok(Config { common, targets, warnings: reader.warnings, settings: reader.settings }),
        _ => Err(reader.problems),
    }
}

/// The configuration of a command that needs the repository only: `list`, `show`, `verify`, `restore`, `prune`, `pin`, `status`.
pub fn load_repository(flags: &Flags, source: &dyn Source) -> Result<RepositoryConfig, Problems> {
    let mut problems = Problems::default();
    let document = file::open(flags, source, &mut problems);
    let mut reader = Reader::new(source, flags, &document, problems);
    reader.unknown_variables();
    reader.about_the_file();
    let common = reader.common();
    let zone = common.as_ref().map_or(TimeZone::UTC, |common| common.time_zone.clone());
    let others = reader.target_settings(Whose::default(), &zone, false);
    let chosen = reader.chosen_name();
    let mut targets = Vec::new();
    for target in &document.targets {
        if let Some(name) = reader.table_name(target) {
            targets.extend(reader.target_settings(Whose { name: Some(&name), table: Some(&target.table) }, &zone, false).map(|settings| (name, settings)));
        }
    }
    if let (Ok(name), Some(settings), true) = (&chosen, &others, document.targets.is_empty()) {
        // Only to know whose settings these are; a connection that is wrong or incomplete is no problem here.
        let derived = || Reader::new(source, flags, &document, Problems::default()).database_name().as_deref().and_then(value::safe_name);
        targets.extend(name.clone().or_else(derived).map(|name| (name, settings.clone())));
    }
    match (common, others, chosen, reader.problems.is_empty()) {
        (Some(common), Some(others), Ok(target), true) => {
            Ok(RepositoryConfig { common, target, targets, others, warnings: reader.warnings, settings: reader.settings })
        }
        _ => Err(reader.problems),
    }
}

/// A connection that was typed by itself, as in `restore --to URL`. What the URL lacks comes from libpq's variables and password file,
/// never from `DB_*` or `DATABASE_URL`: those name the database that the backup came from.
pub fn connection(flag: &'static str, url: &str, source: &dyn Source) -> Result<(Connection, Vec<String>), Problems> {
    let (flags, document) = (Flags::default(), Document::default());
    let mut reader = Reader::new(source, &flags, &document, Problems::default());
    reader.url_flag = Some((flag, url));
    match reader.connection(Whose::default(), None) {
        Ok(connection) if reader.problems.is_empty() => {
            // Not by what was found in the end, which may stand in a file, but by what everybody can read.
            if Partial::parse_url(url).is_ok_and(|url| url.password.is_some()) {
                reader.warnings.push(format!(
                    "the password in {flag} can be read by everyone on this machine; hint: leave it out, and set PGPASSWORD_FILE or use ~/.pgpass"
                ));
            }
            Ok((connection, reader.warnings))
        }
        _ => Err(reader.problems),
    }
}

impl Reader<'_> {
    /// The one target of the environment.
    fn single(&mut self, zone: &TimeZone) -> Option<Vec<Target>> {
        let whose = Whose::default();
        let name = self.chosen_name();
        let connection = self.connection(whose, None);
        let settings = self.target_settings(whose, zone, true);
        let connection = connection.ok()?;
        let name = match name.ok()? {
            Some(name) => name,
            None => self.derived_name(&connection.database).ok()?,
        };
        Some(vec![Target { name, connection, settings: settings? }])
    }

    /// The targets of `kluis.toml`, or the one of them that `--target` names.
    fn several(&mut self, zone: &TimeZone) -> Option<Vec<Target>> {
        // What holds for all of them is checked by itself: each target might override it.
        let kept = std::mem::take(&mut self.settings);
        self.target_settings(Whose::default(), zone, true);
        self.settings = kept;
        let document = self.document;
        let mut targets = Vec::new();
        for target in &document.targets {
            let Some(name) = self.table_name(target) else { continue };
            let whose = Whose { name: Some(&name), table: Some(&target.table) };
            let connection = self.connection(whose, Some(&target.origin));
            let settings = self.target_settings(whose, zone, true);
            if let (Ok(connection), Some(settings)) = (connection, settings) {
                targets.push(Target { name, connection, settings });
            }
        }
        let Some(chosen) = &self.flags.target else { return Some(targets) };
        if !document.targets.iter().any(|target| target.name == *chosen) {
            let names: Vec<&str> = document.targets.iter().map(|target| target.name.as_str()).collect();
            let hint = match suggest::nearest(chosen, names.iter().copied()) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("there are {}", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")),
            };
            let reason = format!("no target {} in {}", quoted(chosen), quoted(&document.path.to_string_lossy()));
            self.wrong(&Origin::Flag("--target"), Fault::new(reason, hint));
        }
        self.settings.retain(|setting| setting.target.as_ref().is_none_or(|target| target == chosen));
        targets.retain(|target| target.name == *chosen);
        Some(targets)
    }

    /// The name that `--target` or `BACKUP_TARGET` gives.
    fn chosen_name(&mut self) -> Result<Option<String>, Bad> {
        let found = self.get(&keys::TARGET, None, |typed| value::target_name(&keys::TARGET, &typed.text))?;
        Ok(found.map(|(name, typed)| {
            self.note(None, &keys::TARGET, &name, &typed.origin);
            name
        }))
    }

    fn derived_name(&mut self, database: &str) -> Result<String, Bad> {
        match value::safe_name(database) {
            Some(name) => {
                self.note(None, &keys::TARGET, &name, &Origin::Derived("the database's name".to_owned()));
                Ok(name)
            }
            None => {
                let reason = format!("not set, and the database's name {} cannot be a target's", quoted(database));
                Err(self.missing(keys::TARGET.name().to_owned(), Origin::Default, &reason, format!("set it to {}", keys::TARGET.constraint)))
            }
        }
    }

    fn table_name(&mut self, target: &TargetTable) -> Option<String> {
        value::target_name(&keys::TARGET, &target.name).map_err(|fault| self.wrong(&target.origin, fault)).ok()
    }

    /// Notes which file is used, and says so if one that the user may think to be in use is not.
    fn about_the_file(&mut self) {
        self.clashing_target();
        let path = if self.document.found { self.document.path.to_string_lossy().into_owned() } else { String::new() };
        self.note(None, &keys::CONFIG, path, self.document.named.as_ref().unwrap_or(&Origin::Default));
        if self.document.named.is_some() {
            return;
        }
        let Ok(stray) = self.source.current_dir().map(|folder| folder.join("kluis.toml")) else { return };
        if stray != self.document.path && self.source.stat(&stray).is_ok_and(|stat| !stat.folder) {
            self.warnings.push(format!("{} is not read; hint: say --config kluis.toml to use it", quoted(&stray.to_string_lossy())));
        }
    }
}
