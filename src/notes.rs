//! `RESTORE.md`: the exact commands for one backup, with Kluis and without.
//! It owns the text; it leaves writing it to `repository`. Pure.
//! Invariant: every command can be copied as it stands; names are quoted for the shell.

use crate::exception::{Class, Exceptions};
use crate::extensions::{self, Library};
use crate::manifest::{BY_DRILL, Database, Extension, Manifest, Proof, Verdict};
use crate::repository::names;
use crate::units::{first, format_bytes, format_count, format_duration};
use std::time::Duration;

/// How many findings of a bad backup are told.
const MOST_FINDINGS: usize = 5;

/// The text.
pub fn restore_notes(manifest: &Manifest, proof: Option<&Proof>) -> String {
    let (database, script) = (&manifest.database, &manifest.script.file);
    let restored = format!("{}_restored", database.name);
    let (new, to) = (quote(&restored), quote(&connection_name(&restored)));
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
            let except = if proof.has_exceptions() { ", except for what no dump brings back (see below)," } else { "" };
            format!("It was **proven**{except} at {} by restoring it into a throwaway PostgreSQL{drill}.", proof.reached)
        }
        Some(proof) if proof.verdict == Verdict::Bad => {
            let findings = first(&proof.findings, MOST_FINDINGS).join("; ");
            format!("At {} it was found to be **bad**: {}. Use another backup if there is one.", proof.at, findings.escape_debug())
        }
        _ => "It has not been proven by a restore yet.".to_owned(),
    };
    let with_kluis = with_kluis(manifest, proof, &percent_encoded(&restored));
    let except = proof.map(Proof::excepted).map_or_else(String::new, |exceptions| excepted(&exceptions));
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
    if let Some(tablespace) = &database.tablespace {
        create.push_str(&format!(" --tablespace={}", quote(tablespace)));
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
    let mut tablespaces = database.tablespaces.clone();
    tablespaces.extend(database.tablespace.clone().filter(|name| !database.tablespaces.contains(name)));
    let (before, after) = calls(database, &to);
    let needs = [
        list("roles", &database.roles),
        list("tablespaces", &tablespaces),
        list("extensions", &database.extensions.iter().map(|extension| format!("{} {}", extension.name, extension.version)).collect::<Vec<_>>()),
    ]
    .concat();
    format!(
        "# Restoring backup {id} of {target}

Database `{name}` of PostgreSQL {version} as it was at {snapshot}: {tables} tables, {rows} rows, {objects} large objects, {bytes} on disk.
{standing}

## With Kluis

{with_kluis}
## Without Kluis

With nothing but PostgreSQL's own programs of version {major} or newer, in this folder:

    sha256sum -c {sums}
    gunzip -c {globals} | psql -X -d postgres
    {create} {dashes}{new}
{before}    gunzip -c {script} | {edit}psql -X -v ON_ERROR_STOP=1 -d {to}
{after}
The second line makes the roles; \"already exists\" is no error there. The last line must end without an error (check `${{PIPESTATUS[@]}}` in bash).
{own}{except}
## What it needs

- PostgreSQL {major} or newer
- encoding {encoding}, collation {collate}{provider}
{needs}{libraries}",
        edit = schema_made_before(database),
        libraries = libraries(database),
        // Behind these, no name is an option.
        dashes = if restored.starts_with('-') { "-- " } else { "" },
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

/// The commands of Kluis that restore it; none where none can.
fn with_kluis(manifest: &Manifest, proof: Option<&Proof>, in_url: &str) -> String {
    let (id, target) = (&manifest.id, &manifest.target);
    let force = match proof {
        Some(proof) if proof.verdict == Verdict::Bad && proof.by == BY_DRILL => " --force",
        Some(proof) if proof.verdict == Verdict::Bad => {
            return "`kluis restore` refuses it, for its files are not what they were: `kluis verify` says more. What stands below may still bring back a part.\n"
                .to_owned();
        }
        _ => "",
    };
    format!(
        "Into a new database beside the old one:

    kluis restore {id} --target {target} --create{force} --to postgres://USER@HOST:5432/{in_url}

From this folder, wherever it was copied to:

    kluis restore . --create{force} --to postgres://USER@HOST:5432/{in_url}

One table, into a database that lacks it or in which it is empty:

    kluis restore {id} --target {target}{force} --table SCHEMA.TABLE --to postgres://USER@HOST:5432/DATABASE

The password comes from the environment (`PGPASSWORD`) or from `~/.pgpass`, never from the command line.
"
    )
}

/// What a restore does not bring back, and what to do about each class of it.
fn excepted(exceptions: &Exceptions) -> String {
    if exceptions.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## What a restore does not bring back\n\nNo dump of PostgreSQL holds these. The rows and everything else are whole without them; do by hand what you need.\n\n",
    );
    for class in Class::ALL.into_iter().filter(|class| exceptions.count_of(*class) > 0) {
        text.push_str(&format!("- {}: {}.\n", class.describe(), class.by_hand()));
        let of = exceptions.listed.iter().filter(|exception| exception.class == class);
        text.extend(of.map(|exception| format!("    - {}\n", code(&exception.object))));
        text.extend(exceptions.unlisted.get(&class).map(|more| format!("    - and {} more\n", format_count(*more))));
    }
    text
}

/// A name as code in Markdown, on one line, whatever is in it.
fn code(name: &str) -> String {
    let name = name.escape_debug().to_string();
    if name.contains('`') { format!("`` {name} ``") } else { format!("`{name}`") }
}

/// The lines before and after the script where extensions want to be told of a restore: a line for each, since a library that is loaded cannot be exchanged.
fn calls(database: &Database, to: &str) -> (String, String) {
    let (mut before, mut after) = (String::new(), String::new());
    for (extension, around) in extensions::around(database) {
        let (name, schema) = (identifier(&extension.name), identifier(extension.schema()));
        let made = if extension.schema() == "public" { String::new() } else { format!(" -c {}", quote(&format!("CREATE SCHEMA {schema}"))) };
        let create = quote(&format!("CREATE EXTENSION {name} SCHEMA {schema} VERSION '{}'", extension.version.replace('\'', "''")));
        let call = |function: &str| quote(&format!("SELECT {schema}.{function}()"));
        before.push_str(&format!("    psql -X -v ON_ERROR_STOP=1 -d {to}{made} -c {create} -c {}\n", call(around.before)));
        after.push_str(&format!("    psql -X -v ON_ERROR_STOP=1 -d {to} -c {}\n", call(around.after)));
    }
    (before, after)
}

/// What makes the script accept the schema of such an extension, which is there before it.
fn schema_made_before(database: &Database) -> String {
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let schemas = extensions::around(database).map(|(extension, _)| extension.schema()).filter(|schema| *schema != "public" && plain(schema));
    let edits: String = schemas.map(|schema| format!("sed '0,/^CREATE SCHEMA {schema};$/s//CREATE SCHEMA IF NOT EXISTS {schema};/' | ")).collect();
    edits
}

/// The libraries that the server must preload.
fn libraries(database: &Database) -> String {
    let known = |extension: &Extension| extensions::known(&extension.name).and_then(|known| known.library.as_ref()).filter(|library| library.needed);
    let needed = database.extensions.iter().filter_map(known);
    let line = |library: &Library| {
        let only = library.only_in.map_or(String::new(), |setting| format!(", and `{setting}` set to the name of the database that is restored"));
        format!("- `{}` in `shared_preload_libraries`{only}\n", library.name)
    };
    needed.map(line).collect()
}

/// A name for SQL.
fn identifier(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && !name.is_empty();
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A word for the shell, on one line whatever is in it: a name with a line feed must not become two commands when somebody copies it.
fn quote(word: &str) -> String {
    let harmless = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte)) && !word.starts_with('-');
    if harmless {
        return word.to_owned();
    }
    if !word.chars().any(hidden) {
        return format!("'{}'", word.replace('\'', "'\\''"));
    }
    // $'…' of POSIX 2024, as bash, zsh and ksh have it. Bytes by three octal digits: nothing that follows can be taken for a part of one.
    let mut quoted = String::from("$'");
    for c in word.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            c if hidden(c) => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| quoted.push_str(&format!("\\{byte:03o}"))),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

/// What a terminal or an editor does not show as it is.
fn hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The name of a database where libpq would also take a connection string: what looks like one is written as one (manual, `PQconnectdbParams`).
fn connection_name(name: &str) -> String {
    let ambiguous = name.contains('=') || ["postgresql://", "postgres://"].iter().any(|scheme| name.starts_with(scheme));
    if ambiguous { format!("dbname='{}'", name.replace('\\', "\\\\").replace('\'', "\\'")) } else { name.to_owned() }
}

/// Text as a part of a URL (RFC 3986), which is a word for the shell as it is.
fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::{connection_name, percent_encoded, quote};

    #[test]
    fn words_for_the_shell() {
        for (word, quoted) in [("aimtrack", "aimtrack"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("$(x)", "'$(x)'"), ("-rf", "'-rf'"), ("", "''")] {
            assert_eq!(quote(word), quoted);
        }
        assert_eq!(quote("a\nrm '\\'\u{202e}"), r"$'a\012rm \'\\\'\342\200\256'");
    }

    #[test]
    fn names_of_databases_that_look_like_more() {
        assert_eq!((connection_name("a b").as_str(), connection_name("it's").as_str()), ("a b", "it's"));
        assert_eq!(connection_name(r"x host=\'"), r"dbname='x host=\\\''");
        assert_eq!(connection_name("postgresql://x@y/z"), "dbname='postgresql://x@y/z'");
        assert_eq!(percent_encoded("a b/é?_1"), "a%20b%2F%C3%A9%3F_1");
    }
}
