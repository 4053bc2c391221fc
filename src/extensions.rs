//! What is known of extensions that a server must be prepared for: the library that it preloads, what has to be called around a restore, and which of their
//! tables change by themselves.
//! It owns that table and what follows from it for a backup; it leaves carrying it out to `restore` and the throwaway server. Pure.
//! Invariant: an extension that is not in the table is treated as one that needs nothing but its files and what its source preloads.

use crate::manifest::{Database, Extension, Manifest};

/// An extension that wants more than `CREATE EXTENSION`.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: &'static str,
    /// Its Debian package, less `postgresql-MAJOR-`; empty where it comes with PostgreSQL.
    pub package: &'static str,
    /// Its library for `shared_preload_libraries`.
    pub library: Option<Library>,
    /// What is called around a restore.
    pub around: Option<Around>,
    /// Its tables, as `schema.table`, whose rows change with nobody writing to them: another content than the snapshot's says nothing of the backup.
    pub drifting: &'static [&'static str],
}

/// A library that a server preloads.
#[derive(Debug, PartialEq, Eq)]
pub struct Library {
    /// Its name.
    pub name: &'static str,
    /// A setting that is there only where it was preloaded.
    pub sign: &'static str,
    /// Whether the extension cannot be created without it.
    pub needed: bool,
    /// Whether it starts processes of its own.
    pub works: bool,
    /// What a throwaway server sets, so that nothing that was restored begins to work: names and values, where `{database}` is the database's name.
    pub settings: &'static [(&'static str, &'static str)],
    /// The setting that names the one database of a server which the extension can live in.
    pub only_in: Option<&'static str>,
}

/// Functions of an extension, in its schema, that are called before and after everything else of a restore. The extension must have the very version of the
/// backup, since its catalogue is restored as rows.
#[derive(Debug, PartialEq, Eq)]
pub struct Around {
    /// After `CREATE EXTENSION`, before anything else.
    pub before: &'static str,
    /// At the end.
    pub after: &'static str,
}

const fn files_only(name: &'static str, package: &'static str) -> Known {
    Known { name, package, library: None, around: None, drifting: &[] }
}

/// The table.
pub const KNOWN: &[Known] = &[
    Known {
        name: "timescaledb",
        package: "timescaledb",
        library: Some(Library {
            name: "timescaledb",
            sign: "timescaledb.disable_load",
            needed: true,
            works: true,
            settings: &[("timescaledb.telemetry_level", "off")],
            only_in: None,
        }),
        around: Some(Around { before: "timescaledb_pre_restore", after: "timescaledb_post_restore" }),
        // When the extension was created, and what its own jobs note.
        drifting: &["_timescaledb_catalog.metadata"],
    },
    Known {
        name: "pg_cron",
        package: "cron",
        library: Some(Library {
            name: "pg_cron",
            sign: "cron.database_name",
            needed: true,
            works: true,
            // The second is older than the first: before 1.4 a job that cannot connect is what does not run.
            settings: &[
                ("cron.database_name", "{database}"),
                ("cron.launch_active_jobs", "off"),
                ("cron.host", "/nowhere"),
                ("cron.use_background_workers", "off"),
            ],
            only_in: Some("cron.database_name"),
        }),
        around: None,
        drifting: &["cron.job_run_details"],
    },
    Known {
        name: "pgaudit",
        package: "pgaudit",
        library: Some(Library { name: "pgaudit", sign: "pgaudit.log", needed: true, works: false, settings: &[], only_in: None }),
        around: None,
        drifting: &[],
    },
    Known {
        name: "pg_stat_statements",
        package: "",
        library: Some(Library {
            name: "pg_stat_statements",
            sign: "pg_stat_statements.max",
            needed: false,
            works: false,
            settings: &[("pg_stat_statements.track", "none"), ("pg_stat_statements.save", "off")],
            only_in: None,
        }),
        around: None,
        drifting: &[],
    },
    files_only("vector", "pgvector"),
    files_only("pg_partman", "partman"),
    files_only("postgis", "postgis-3"),
    files_only("postgis_topology", "postgis-3"),
    files_only("postgis_raster", "postgis-3"),
    files_only("postgis_sfcgal", "postgis-3"),
    files_only("postgis_tiger_geocoder", "postgis-3"),
    files_only("address_standardizer", "postgis-3"),
];

/// What is known of the extension of that name.
pub fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

/// What a server needs to have an extension, in words: `its package for PostgreSQL 17 (on Debian postgresql-17-cron)`.
pub fn package(name: &str, major: u32) -> String {
    match known(name).map(|known| known.package) {
        Some("") => format!("PostgreSQL {major}'s own extensions (on Debian postgresql-{major}, elsewhere often postgresql{major}-contrib)"),
        Some(package) => format!("its package for PostgreSQL {major} (on Debian postgresql-{major}-{package})"),
        None => format!("its package for PostgreSQL {major}"),
    }
}

/// The libraries that a throwaway server preloads for a backup: those that the source preloads and the backup's extensions are of, in the source's order,
/// and those that its extensions are known to need, whatever is known of the source. No others: they have no part in what is restored.
pub fn preload(manifest: &Manifest) -> Vec<String> {
    let server = &manifest.server;
    let is_of = |library: &str, extension: &Extension| extension.name == library || library_of(extension).is_some_and(|known| known.name == library);
    let recorded = server.preload.iter().flatten().chain(&server.session_preload);
    let used = recorded.filter(|library| manifest.database.extensions.iter().any(|extension| is_of(library, extension)));
    let needed = manifest.database.extensions.iter().filter_map(library_of).map(|library| library.name.to_owned());
    let mut libraries: Vec<String> = Vec::new();
    for library in used.cloned().chain(needed) {
        if !libraries.contains(&library) {
            libraries.push(library);
        }
    }
    libraries
}

/// Whether all of these libraries are known to start no processes of their own.
pub fn are_quiet(libraries: &[String]) -> bool {
    libraries.iter().all(|name| KNOWN.iter().filter_map(|known| known.library.as_ref()).any(|library| library.name == name && !library.works))
}

/// What a throwaway server for that database sets for these libraries.
pub fn settings(libraries: &[String], database: &str) -> Vec<(String, String)> {
    let known = KNOWN.iter().filter_map(|known| known.library.as_ref()).filter(|library| libraries.iter().any(|name| name == library.name));
    known.flat_map(|library| library.settings).map(|(name, value)| ((*name).to_owned(), value.replace("{database}", database))).collect()
}

fn library_of(extension: &Extension) -> Option<&'static Library> {
    known(&extension.name)?.library.as_ref()
}

/// The extensions of a database that want calls around a restore.
pub fn around(database: &Database) -> impl Iterator<Item = (&Extension, &'static Around)> {
    database.extensions.iter().filter_map(|extension| Some((extension, known(&extension.name)?.around.as_ref()?)))
}

/// Whether the extension can live in one database of a server only.
pub fn is_alone(name: &str) -> bool {
    known(name).and_then(|known| known.library.as_ref()).is_some_and(|library| library.only_in.is_some())
}

/// Whether the table is one of the database's extensions that changes by itself.
pub fn drifts(database: &Database, schema: &str, table: &str) -> bool {
    let is_it = |name: &&str| name.split_once('.') == Some((schema, table));
    database.extensions.iter().filter_map(|extension| known(&extension.name)).any(|known| known.drifting.iter().any(&is_it))
}

/// Whether the extension starts processes of its own. What they did they note in tables that it does not have dumped.
pub fn works(name: &str) -> bool {
    known(name).and_then(|known| known.library.as_ref()).is_some_and(|library| library.works)
}

/// The names in a list of libraries, as `shared_preload_libraries` has it: separated by commas, in double quotes where need be, with or without a path and
/// an ending (varlena.c, `SplitDirectoriesString`; dfmgr.c).
pub fn libraries(list: &str) -> Vec<String> {
    let (mut names, mut name, mut quoted) = (Vec::new(), String::new(), false);
    for c in list.chars().chain([',']) {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                let plain = name.trim().rsplit('/').next().unwrap_or_default();
                let plain = plain.strip_suffix(".so").unwrap_or(plain).to_owned();
                if !plain.is_empty() && !names.contains(&plain) {
                    names.push(plain);
                }
                name.clear();
            }
            c => name.push(c),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Script, Server};

    fn manifest(preload: Option<&[&str]>, extensions: &[&str]) -> Manifest {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
        let extension = |name: &&str| Extension { name: (*name).to_owned(), version: "1.0".to_owned(), schema: "public".to_owned() };
        Manifest {
            format: crate::manifest::FORMAT,
            kluis: String::new(),
            id: String::new(),
            target: String::new(),
            started: Default::default(),
            snapshot: Default::default(),
            finished: Default::default(),
            server: Server { preload: preload.map(owned), ..Server::default() },
            database: Database { name: "app".to_owned(), extensions: extensions.iter().map(extension).collect(), ..Database::default() },
            script: Script::default(),
            tables: Vec::new(),
            witnessed: Vec::new(),
            large_objects: Default::default(),
            files: Vec::new(),
            warnings: Vec::new(),
            partitioned: Vec::new(),
            empty_allowed: false,
            not_included: Vec::new(),
            origin: None,
            money: None,
            in_turn: None,
            calling: Vec::new(),
        }
    }

    #[test]
    fn what_is_preloaded() {
        let check = |recorded: Option<&[&str]>, extensions: &[&str], expected: &[&str]| assert_eq!(preload(&manifest(recorded, extensions)), expected);
        check(None, &["plpgsql", "postgis"], &[]);
        check(None, &["pg_cron", "timescaledb"], &["pg_cron", "timescaledb"]);
        check(Some(&["timescaledb", "pg_cron", "auto_explain"]), &["pg_cron", "timescaledb"], &["timescaledb", "pg_cron"]);
        check(Some(&["passwordcheck", "pg_tle"]), &["pg_tle"], &["pg_tle"]);
        check(Some(&[]), &["pgaudit"], &["pgaudit"]);
    }

    #[test]
    fn settings_keep_everything_quiet() {
        let names = ["pg_cron".to_owned()];
        assert!(settings(&names, "app").contains(&("cron.database_name".to_owned(), "app".to_owned())));
        assert!(settings(&names, "app").contains(&("cron.launch_active_jobs".to_owned(), "off".to_owned())));
        assert_eq!((are_quiet(&names), are_quiet(&["pgaudit".to_owned()]), are_quiet(&["unheard_of".to_owned()]), are_quiet(&[])), (false, true, false, true));
    }

    #[test]
    fn lists_of_libraries() {
        for (list, expected) in
            [("", &[] as &[&str]), ("timescaledb", &["timescaledb"]), (" a , \"b, c\",$libdir/d, /usr/lib/e.so, a", &["a", "b, c", "d", "e"]), (",,", &[])]
        {
            assert_eq!(libraries(list), expected, "{list}");
        }
    }

    #[test]
    fn tables_that_change_by_themselves() {
        let database = manifest(None, &["pg_cron"]).database;
        assert!(drifts(&database, "cron", "job_run_details") && !drifts(&database, "cron", "job"));
        assert!(!drifts(&database, "_timescaledb_catalog", "metadata"), "the extension is not in it");
    }
}
