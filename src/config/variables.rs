//! The environment as a whole: variables that nobody could mean, and those that contradict the rest.
//! It owns what is refused for its name alone; it leaves values to the parsers.
//! `BACKUP_*` and `KLUIS_*` are ours, and a name there that we do not know is an error; `DB_*` and `PG*` are shared with others.

use super::keys::{self, Key, Scope};
use super::problem::{Fault, Origin, Problem, escaped, quoted};
use super::reader::Reader;

impl Reader<'_> {
    /// Refuses variables of ours that do not exist.
    pub(super) fn unknown_variables(&mut self) {
        let mut names: Vec<String> = self.source.names().iter().map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        // Kubernetes sets variables for each service, named after it: one called "backup" gives BACKUP_SERVICE_HOST and BACKUP_PORT.
        let services: Vec<String> = names.iter().filter_map(|name| name.strip_suffix("_SERVICE_HOST")).map(str::to_owned).collect();
        let of_service = |name: &str| {
            services.iter().filter_map(|service| name.strip_prefix(service.as_str())).any(|rest| rest.starts_with("_SERVICE_") || rest.starts_with("_PORT"))
        };
        for name in names.iter().filter(|name| name.starts_with("BACKUP_") || name.starts_with("KLUIS_")) {
            if is_known(name) || of_service(name) {
                continue;
            }
            let hint = match keys::meant(name) {
                Some(near) => format!("did you mean {near}?"),
                None => "unset it, or correct its name".to_owned(),
            };
            // An env file with a broken line can make a name of a piece of a URL.
            let shown = if name.contains([':', '@']) {
                "BACKUP_… or KLUIS_… (the name looks like a connection string, and is not shown)".to_owned()
            } else {
                escaped(name)
            };
            self.wrong(&Origin::Environment(shown), Fault::new("unknown variable", hint));
        }
    }

    /// Refuses what would make us reach, or trust, another database than the user thinks.
    pub(super) fn foreign_variables(&mut self) {
        // With targets in the file it speaks of the application's own database, which need not be any of them.
        if let Some(driver) = self.filled("DB_CONNECTION").filter(|_| self.document.targets.is_empty())
            && !matches!(driver.as_str(), "pgsql" | "postgres" | "postgresql")
        {
            let fault = Fault::new(format!("{} is not PostgreSQL", quoted(&driver)), "kluis backs up PostgreSQL only: set it to pgsql, or unset it for kluis");
            self.wrong(&Origin::Environment("DB_CONNECTION".into()), fault);
        }
        for (name, hint) in keys::REFUSED {
            if self.filled(name).is_some() {
                self.wrong(&Origin::Environment((*name).to_owned()), Fault::new("kluis does not follow this variable of libpq", *hint));
            }
        }
    }

    /// Refuses connection variables beside a file with tables for several databases.
    pub(super) fn clashing_connection(&mut self) {
        let Some(clash) = self.clash() else { return };
        let names = keys::ALL.iter().filter(|key| key.scope == Scope::Connection).flat_map(|key| self.set_forms(key)).collect::<Vec<_>>();
        if let Some(first) = names.first() {
            self.problems.push(Problem {
                key: names.join(", "),
                origin: Origin::Environment(first.clone()),
                reason: format!("it cannot be told for which database this is: {clash}"),
                hint: "move it into a [targets.NAME] table, or take the targets out of the file".to_owned(),
            });
        }
    }

    /// Refuses a name for the one target beside a file that names them: a leftover would hide all others.
    pub(super) fn clashing_target(&mut self) {
        let Some(clash) = self.clash() else { return };
        for name in self.set_forms(&keys::TARGET) {
            self.wrong(&Origin::Environment(name), Fault::new(format!("{clash} itself"), "unset it; to choose one for a command, use --target"));
        }
    }

    fn clash(&self) -> Option<String> {
        let path = quoted(&self.document.path.to_string_lossy());
        match self.document.targets.len() {
            0 => None,
            1 => Some(format!("{path} names its one target")),
            count => Some(format!("{path} names its {count} targets")),
        }
    }

    /// Which of a key's own variables are set: the plain one, the `_FILE` form, or both.
    fn set_forms(&self, key: &Key) -> Vec<String> {
        let Some(name) = key.variable else { return Vec::new() };
        [name.to_owned(), format!("{name}_FILE")].into_iter().filter(|name| self.filled(name).is_some()).collect()
    }

    fn filled(&self, name: &str) -> Option<String> {
        self.source.var(name).map(|value| value.to_string_lossy().trim().to_owned()).filter(|value| !value.is_empty())
    }
}

fn is_known(name: &str) -> bool {
    keys::ALL.iter().any(|key| key.variable.is_some_and(|variable| name == variable || key.file_form && name.strip_suffix("_FILE") == Some(variable)))
}
