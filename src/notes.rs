//! `RESTORE.md`: the exact commands for one backup, with Kluis and without.
//! It owns the text; it leaves writing it to `repository`. Pure.
//! Invariant: every command can be copied as it stands; names are quoted for the shell.

use crate::exception::{Class, Exceptions};
use crate::extensions::{self, Library};
use crate::manifest::{BY_DRILL, Database, Extension, Manifest, Proof, Property, Summary, Verdict};
use crate::repository::names;
use crate::units::{first, format_bytes, format_count, format_duration, percent_encoded};
use jiff::Timestamp;
use std::time::Duration;

/// How many findings of a bad backup are told.
const MOST_FINDINGS: usize = 5;

/// The text.
pub fn restore_notes(manifest: &Manifest, proof: Option<&Proof>) -> String {
    let (database, script) = (&manifest.database, &manifest.script.file);
    let restored = beside(&database.name, "_restored");
    let (new, to) = (quote(&restored), quote(&connection_name(&restored)));
    let standing = match proof {
        Some(proof) if proof.proven() => {
            let drill = proof.drill.as_ref().map_or(String::new(), |drill| {
                format!(
                    ": {} with {} and {} were compared. The restore itself took {} on that machine, the whole drill {}",
                    counted(drill.tables, "table"),
                    counted(drill.rows, "row"),
                    counted(drill.large_objects, "large object"),
                    format_duration(Duration::from_millis(drill.restore_ms)),
                    format_duration(Duration::from_millis(drill.total_ms))
                )
            });
            let except = if proof.has_exceptions() { ", except for what no dump brings back (see below)," } else { "" };
            format!("It was **proven**{except} at {} by restoring it into a throwaway PostgreSQL{drill}.", to_the_second(proof.reached))
        }
        Some(proof) if proof.verdict == Verdict::Bad => {
            let findings = first(&proof.findings, MOST_FINDINGS).join("; ");
            format!("At {} it was found to be **bad**: {}. Use another backup if there is one.", to_the_second(proof.at), findings.escape_debug())
        }
        _ => "It has not been proven by a restore yet.".to_owned(),
    };
    let with_kluis = with_kluis(manifest, proof, &percent_encoded(&restored));
    let except = proof.map(Proof::excepted).map_or_else(String::new, |exceptions| excepted(&exceptions));
    let mut create = format!(
        "createdb {SERVER} --template=template0 --encoding={} --lc-collate={} --lc-ctype={}",
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
    let quoted = quoted(&restored);
    let (early, late): (Vec<&Property>, Vec<&Property>) = database.properties.iter().partition(|property| property.computes(&database.extensions));
    let neighbour = if database.name == "postgres" { "template1" } else { "postgres" };
    let set: String = early.iter().map(|property| format!("    psql -X {SERVER} -d {neighbour} -c {}\n", self::quote(&property.statement(&quoted)))).collect();
    let statements: String = late.iter().map(|property| format!("    {};\n", property.statement(&quoted).replace('\n', "\n    "))).collect();
    let other = if early.is_empty() { "" } else { "other " };
    let own = if statements.is_empty() {
        String::new()
    } else {
        format!(
            "\nThe rights and {other}settings of the database itself are in no script. `kluis restore --create` brings them back; without it, in psql:\n\n{statements}"
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

Database `{name}` of PostgreSQL {version} as it was at {snapshot}: {tables}, {rows}, {objects}, {bytes} on disk.
{standing}

## With Kluis

{with_kluis}
## Without Kluis

With nothing but PostgreSQL's own programs of version {major} or newer, in this folder. The first line says which server, and as which superuser of it: change what stands behind `:-`.

    host=${{PGHOST:-localhost}} port=${{PGPORT:-5432}} user=${{PGUSER:-postgres}}
    sha256sum -c {sums}
    gunzip -c {globals} | psql -X {SERVER} -d postgres
    {create} {dashes}{new}
{set}{before}    gunzip -c {script} | {edit}psql -X {SERVER} -v ON_ERROR_STOP=1 -d {to}
{after}    psql -X {SERVER} -d {to} -c ANALYZE

The password comes from `PGPASSWORD` or `~/.pgpass`, or is asked for. The line with `{globals}` makes the roles; \"already exists\" is no error there.
{passwords}
The line with `{script}` must end without an error (check `${{PIPESTATUS[@]}}` in bash).
{own}
### The real name

Stop the application, and look at what was restored. Where there is an old database, it gives way first:

    psql -X {SERVER} -d {neighbour} -c {old_goes}

Then the new one gets its name:

    psql -X {SERVER} -d {neighbour} -c {new_comes}

### In containers

Say one of these pairs first: from then on the commands above run in a container as they stand. In that of the server, by Compose, where `db` is its service:

    psql() {{ docker compose -f /path/to/compose.yaml exec -T -e PGPASSWORD db psql \"$@\"; }}
    createdb() {{ docker compose -f /path/to/compose.yaml exec -T -e PGPASSWORD db createdb \"$@\"; }}

Or in one beside it, from PostgreSQL's image, where the server can be reached over the network:

    psql() {{ docker run --rm -i --network host -e PGPASSWORD postgres:{major} psql \"$@\"; }}
    createdb() {{ docker run --rm -i --network host -e PGPASSWORD postgres:{major} createdb \"$@\"; }}
{except}
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
        snapshot = to_the_second(manifest.snapshot),
        tables = counted(manifest.tables.len() as u64, "table"),
        rows = counted(manifest.rows(), "row"),
        objects = counted(manifest.large_objects.count, "large object"),
        passwords = passwords(manifest),
        old_goes = quote(&format!("ALTER DATABASE {} RENAME TO {}", self::quoted(&database.name), self::quoted(&beside(&database.name, "_before")))),
        new_comes = quote(&format!("ALTER DATABASE {quoted} RENAME TO {}", self::quoted(&database.name))),
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

/// The text for a backup whose contents are not what they were, so that nobody knows what its database needs.
pub fn without_contents(summary: &Summary, proof: &Proof) -> String {
    let findings = first(&proof.findings, MOST_FINDINGS).join("; ");
    let (name, script, contents) = (summary.database.name.escape_debug(), quote(&summary.script.file), names::CONTENTS);
    format!(
        "# Restoring backup {} of {}

Database `{name}` of PostgreSQL {} as it was at {}: {}, {}, {} on disk.
`{contents}` cannot be read, so `kluis restore` refuses it: {}. Use another backup if there is one.

What may still bring back a part, with nothing but PostgreSQL's own programs, in this folder, into a new database:

    host=${{PGHOST:-localhost}} port=${{PGPORT:-5432}} user=${{PGUSER:-postgres}}
    sha256sum -c {}
    gunzip -c {} | psql -X {SERVER} -d postgres
    gunzip -c {script} | psql -X {SERVER} -d NEW_DATABASE
",
        summary.id,
        summary.target,
        summary.server.version,
        to_the_second(summary.snapshot),
        counted(summary.totals.tables, "table"),
        counted(summary.totals.rows, "row"),
        format_bytes(summary.bytes()),
        findings.escape_debug(),
        names::SUMS,
        names::GLOBALS,
    )
}

/// Which server a program is to connect to, and as whom: the variables of the first command.
const SERVER: &str = r#"-h "$host" -p "$port" -U "$user""#;

/// A name of at most 63 bytes, which is what a server keeps of it, that ends like this.
fn beside(name: &str, end: &str) -> String {
    let mut cut = name.len().min(63 - end.len());
    while !name.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}{end}", &name[..cut])
}

/// A time without its fractions of a second.
fn to_the_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// `1 table`, `2 tables`.
fn counted(count: u64, word: &str) -> String {
    format!("{} {word}{}", format_count(count), if count == 1 { "" } else { "s" })
}

/// A name for SQL, quoted in any case.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What the globals do to the passwords of roles, and how to keep them from it.
fn passwords(manifest: &Manifest) -> String {
    if !manifest.server.role_passwords {
        return "Passwords of roles are not in it: set them afterwards (`\\password ROLE` in psql).".to_owned();
    }
    let keep = format!("gunzip -c {} | sed -E \"/^ALTER ROLE /s/ PASSWORD '(SCRAM-SHA-256|md5)[^']*'//\" | psql -X {SERVER} -d postgres", names::GLOBALS);
    format!(
        "**It resets passwords:** roles that are there already get those that they had when the backup was made, yours among them. This instead leaves all as they are, and makes new roles without one:\n\n    {keep}\n"
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

Over the database itself, which it replaces when it is whole (stop the application first):

    kluis restore {id} --target {target} --clean --yes{force} --to postgres://USER@HOST:5432/{itself}

From this folder, wherever it was copied to:

    kluis restore . --create{force} --to postgres://USER@HOST:5432/{in_url}

One table, into a database that lacks it or in which it is empty:

    kluis restore {id} --target {target}{force} --table SCHEMA.TABLE --to postgres://USER@HOST:5432/DATABASE

The password comes from the environment (`PGPASSWORD`) or from `~/.pgpass`, never from the command line. Where Kluis runs in Compose as the service `backup`, each begins
with `docker compose exec -e PGPASSWORD backup`.
",
        itself = percent_encoded(&manifest.database.name),
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
        before.push_str(&format!("    psql -X {SERVER} -v ON_ERROR_STOP=1 -d {to}{made} -c {create} -c {}\n", call(around.before)));
        after.push_str(&format!("    psql -X {SERVER} -v ON_ERROR_STOP=1 -d {to} -c {}\n", call(around.after)));
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

#[cfg(test)]
mod tests {
    use super::{beside, connection_name, counted, quote, to_the_second};
    use crate::units::percent_encoded;

    #[test]
    fn words_for_people() {
        assert_eq!((counted(1, "table"), counted(1_234, "row")), ("1 table".to_owned(), "1,234 rows".to_owned()));
        assert_eq!(to_the_second("2026-01-25T03:00:00.123456Z".parse().unwrap()).to_string(), "2026-01-25T03:00:00Z");
        assert_eq!(beside("shop", "_restored"), "shop_restored");
        let long = beside(&"é".repeat(31), "_restored");
        assert_eq!((long.len(), long.ends_with("é_restored")), (63, true));
    }

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
