//! `RESTORE.md`: the exact commands for one backup, with Kluis and without.
//! It owns the text; it leaves writing it to `repository`. Pure.
//! Invariant: every command can be copied as it stands; names are quoted for the shell.

use crate::manifest::{Manifest, Proof};
use crate::repository::names;
use crate::units::{format_bytes, format_count, format_duration};
use std::time::Duration;

/// The text.
pub fn restore_notes(manifest: &Manifest, proof: Option<&Proof>) -> String {
    let (database, script) = (&manifest.database, &manifest.script.file);
    let new = quote(&format!("{}_restored", database.name));
    let standing = match proof {
        Some(proof) if proof.proven() => {
            let drill = proof.drill.as_ref().map_or(String::new(), |drill| {
                format!(
                    ": {} tables with {} rows and {} large objects were compared. The restore itself took {} on that machine, the whole drill {}",
                    drill.tables,
                    format_count(drill.rows),
                    drill.large_objects,
                    format_duration(Duration::from_millis(drill.restore_ms)),
                    format_duration(Duration::from_millis(drill.total_ms))
                )
            });
            format!("It was **proven** at {} by restoring it into a throwaway PostgreSQL{drill}.", proof.reached)
        }
        Some(proof) if proof.verdict == crate::manifest::Verdict::Bad => {
            format!("At {} it was found to be **bad**: {}. Use another backup if there is one.", proof.at, proof.findings.join("; "))
        }
        _ => "It has not been proven by a restore yet.".to_owned(),
    };
    let mut create = format!(
        "createdb --template=template0 --encoding={} --lc-collate={} --lc-ctype={}",
        quote(&database.encoding),
        quote(&database.collate),
        quote(&database.ctype)
    );
    if let Some(locale) = &database.locale {
        match database.locale_provider.as_str() {
            "icu" => create.push_str(&format!(" --locale-provider=icu --icu-locale={}", quote(locale))),
            "builtin" => create.push_str(&format!(" --locale-provider=builtin --builtin-locale={}", quote(locale))),
            _ => {}
        }
    }
    let list = |what: &str, names: &[String]| {
        if names.is_empty() {
            String::new()
        } else {
            format!("- {what}: {}\n", names.iter().map(|name| format!("`{}`", name.escape_debug())).collect::<Vec<_>>().join(", "))
        }
    };
    let quoted = format!("\"{}_restored\"", database.name.replace('"', "\"\""));
    let statements: String = database.properties.iter().map(|property| format!("    {};\n", property.statement(&quoted).replace('\n', "\n    "))).collect();
    let own = if statements.is_empty() {
        String::new()
    } else {
        format!(
            "\nThe rights and settings of the database itself are in no script. `kluis restore --create` brings them back; without it, in psql:\n\n{statements}"
        )
    };
    let needs = [
        list("roles", &database.roles),
        list("tablespaces", &database.tablespaces),
        list("extensions", &database.extensions.iter().map(|extension| format!("{} {}", extension.name, extension.version)).collect::<Vec<_>>()),
    ]
    .concat();
    format!(
        "# Restoring backup {id} of {target}

Database `{name}` of PostgreSQL {version} as it was at {snapshot}: {tables} tables, {rows} rows, {objects} large objects, {bytes} on disk.
{standing}

## With Kluis

Into a new database beside the old one:

    kluis restore {id} --target {target} --create --to postgres://USER@HOST:5432/{new}

From this folder, wherever it was copied to:

    kluis restore . --create --to postgres://USER@HOST:5432/{new}

One table, into a database that lacks it or in which it is empty:

    kluis restore {id} --target {target} --table SCHEMA.TABLE --to postgres://USER@HOST:5432/DATABASE

The password comes from the environment (`PGPASSWORD`) or from `~/.pgpass`, never from the command line.

## Without Kluis

With nothing but PostgreSQL's own programs of version {major} or newer, in this folder:

    sha256sum -c {sums}
    gunzip -c {globals} | psql -X -d postgres
    {create} {new}
    gunzip -c {script} | psql -X -v ON_ERROR_STOP=1 -d {new}

The second line makes the roles; \"already exists\" is no error there. The last line must end without an error (check `${{PIPESTATUS[@]}}` in bash).
{own}
## What it needs

- PostgreSQL {major} or newer
- encoding {encoding}, collation {collate}{provider}
{needs}",
        id = manifest.id,
        target = manifest.target,
        name = database.name.escape_debug(),
        version = manifest.server.version,
        snapshot = manifest.snapshot,
        tables = format_count(manifest.tables.len() as u64),
        rows = format_count(manifest.rows()),
        objects = format_count(manifest.large_objects.count),
        bytes = format_bytes(manifest.bytes()),
        major = manifest.server.major,
        sums = names::SUMS,
        globals = names::GLOBALS,
        script = quote(script),
        encoding = database.encoding,
        collate = database.collate,
        provider = if database.locale_provider == "libc" {
            String::new()
        } else {
            format!(" ({} {})", database.locale_provider, database.locale.as_deref().unwrap_or(""))
        },
    )
}

/// A word for the shell.
fn quote(word: &str) -> String {
    let harmless = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte)) && !word.starts_with('-');
    if harmless { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn words_for_the_shell() {
        for (word, quoted) in [("aimtrack", "aimtrack"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("$(x)", "'$(x)'"), ("-rf", "'-rf'"), ("", "''")] {
            assert_eq!(quote(word), quoted);
        }
    }
}
