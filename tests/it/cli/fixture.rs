//! A backup made by hand: small, valid to the last byte, and the same on every machine.
//!
//! Its folder's name is its id and its parent's the target. Options: `rows=N` (of public.orders, 3), `proof=read|proven|bad|drill-bad|garbage|newer`,
//! `proven-ago=HOURS` (else when it was made), `pinned`, `format=N`, `finding=TEXT`, `warning=TEXT`, `table=NAME` (a third table of that name), `empty` (no table at all), `empty-allowed`, and what a proof excepts:
//! `except=CLASS:OBJECT;…` and `unlisted=CLASS:N;…`.

use jiff::{SignedDuration, Timestamp};
use kluis::manifest::{Database, Extension, File, LargeObjects, Manifest, Mover, Script, Section, Server, Table};
use kluis::repository::{files, names, staging};
use kluis::script::digest::Digest;
use kluis::script::gzip::{Compression, Squeezer};
use kluis::script::section;
use kluis::script::unit::Unit;
use kluis::script::writer::{Finished, ScriptWriter};
use std::fs;
use std::io::Result;
use std::path::Path;

/// Makes the backup.
pub fn make(path: &Path, options: &[&str]) -> Result<()> {
    let option = |name: &str| options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let target = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let started = names::parse_backup_id(&id).ok_or(std::io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(path)?;

    let count = option("rows").and_then(|count| count.parse().ok()).unwrap_or(3);
    let orders: String = (1..=count).map(|number| format!("{number}\torder {number}\n")).collect();
    let mut tables = vec![("orders", orders), ("customers", "1\tada\n2\tgrace\n".to_owned())];
    tables.extend(option("table").map(|name| (name, "1\tx\n".to_owned())));
    if options.contains(&"empty") {
        tables.clear();
    }
    let (finished, tables) = script(&tables);
    fs::write(path.join("shop.sql.gz"), finished.out)?;
    // As format 1 has it.
    let plain = |line: &str| serde_json::from_str(line).map(|unit| Unit { sha256: None, ..unit }.line());
    let index = String::from_utf8_lossy(&finished.index).lines().map(plain).collect::<std::result::Result<String, _>>()?;
    fs::write(path.join(names::UNITS), index)?;
    fs::write(path.join(names::SCHEMA), "PGDMP, or so\n")?;
    fs::write(path.join(names::GLOBALS), member("CREATE ROLE shop;\n"))?;
    let file = |name: &str| File { name: name.to_owned(), bytes: 0, sha256: "0".repeat(64) };
    let manifest = Manifest {
        format: 1,
        kluis: "0.1.0".to_owned(),
        id,
        target,
        started,
        snapshot: started,
        finished: started,
        server: Server { version: "15.4".to_owned(), major: 15, pg_dump: "15.4".to_owned(), role_passwords: true, ..Server::default() },
        database: Database {
            name: "shop".to_owned(),
            owner: "shop".to_owned(),
            bytes: 8_000_000,
            encoding: "UTF8".to_owned(),
            collate: "C".to_owned(),
            ctype: "C".to_owned(),
            locale_provider: "libc".to_owned(),
            extensions: vec![Extension { name: "plpgsql".to_owned(), version: "1.0".to_owned(), ..Default::default() }],
            roles: vec!["shop".to_owned()],
            ..Database::default()
        },
        script: Script { file: "shop.sql.gz".to_owned(), plain_bytes: finished.plain_bytes, sections: finished.sections },
        tables,
        witnessed: Vec::new(),
        large_objects: LargeObjects { count: 0, bytes: 0, digest: "0".repeat(32) },
        files: ["shop.sql.gz", names::SCHEMA, names::GLOBALS, names::UNITS].map(file).to_vec(),
        warnings: option("warning").map(str::to_owned).into_iter().collect(),
        partitioned: Vec::new(),
        empty_allowed: options.contains(&"empty-allowed"),
        not_included: Vec::new(),
        origin: None,
        money: None,
        in_turn: None,
        calling: Vec::new(),
    };
    fs::write(path.join(names::MANIFEST), manifest.render())?;
    reseal(path)?;
    fs::write(path.join(names::RESTORE), kluis::notes::restore_notes(&manifest, None))?;
    if let Some(format) = option("format") {
        edit(&path.join(names::MANIFEST), "\"format\": 1", &format!("\"format\": {format}"))?;
    }
    let ago = option("proven-ago").and_then(|hours| hours.parse().ok()).map(SignedDuration::from_hours);
    let proven = ago.map_or(started, |ago| Timestamp::now() - ago);
    if let Some(kind) = option("proof") {
        let except = excepted(option("except").unwrap_or_default(), option("unlisted").unwrap_or_default());
        fs::write(
            path.join(names::PROOF),
            proof(kind, &proven.to_string(), option("finding").unwrap_or("table public.orders has 2 rows instead of 3"), &except),
        )?;
    }
    if options.contains(&"pinned") {
        fs::write(path.join(names::PINNED), "{\n  \"at\": \"2025-02-01T10:00:00Z\",\n  \"reason\": \"before the migration\"\n}\n")?;
    }
    Ok(())
}

/// The fields of a proof that say what it excepts.
fn excepted(listed: &str, unlisted: &str) -> String {
    let pairs = |text: &'static str, list: &str| {
        list.split(';')
            .filter_map(|pair| pair.split_once(':'))
            .map(|(a, b)| text.replace("A", a).replace("B", &b.replace('"', "\\\"")))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut text = String::new();
    if !listed.is_empty() {
        text.push_str(&format!(", \"exceptions\": [{}]", pairs("{\"class\": \"A\", \"object\": \"B\"}", listed)));
    }
    if !unlisted.is_empty() {
        text.push_str(&format!(", \"exceptions_unlisted\": {{{}}}", pairs("\"A\": B", unlisted)));
    }
    text
}

fn proof(kind: &str, at: &str, finding: &str, except: &str) -> String {
    let (rung, verdict, by) = match kind {
        "read" => ("read", "good", "verify"),
        "proven" => ("restored", "good", "drill"),
        "bad" => ("sealed", "bad", "verify"),
        "drill-bad" => ("read", "bad", "drill"),
        "newer" => return "{\"format\": 9}\n".to_owned(),
        _ => return "{\"format\"\n".to_owned(),
    };
    let findings = if verdict == "bad" { format!("[{finding:?}]") } else { "[]".to_owned() };
    let drill = "{\"server\": \"15.4\", \"tables\": 2, \"rows\": 5, \"large_objects\": 0, \"assertions\": 0, \"restore_ms\": 1200, \"total_ms\": 4100}";
    let drill = if rung == "restored" { format!(", \"drill\": {drill}") } else { String::new() };
    format!(
        "{{\"format\": 1, \"kluis\": \"0.1.0\", \"rung\": \"{rung}\", \"verdict\": \"{verdict}\", \"at\": \"{at}\", \"reached\": \"{at}\", \"by\": \"{by}\", \"findings\": {findings}{except}{drill}}}\n"
    )
}

/// A gzip member. Level "small" is libdeflate's in every build.
pub fn member(text: &str) -> Vec<u8> {
    let mut member = Vec::new();
    Squeezer::new(Compression::Small).compress(text.as_bytes(), &mut member).expect("memory takes everything");
    member
}

fn script(tables: &[(&str, String)]) -> (Finished<Vec<u8>, Vec<u8>>, Vec<Table>) {
    let mut squeezer = Squeezer::new(Compression::Small);
    let mut writer = ScriptWriter::new(Vec::new(), Vec::new());
    let expect = "memory takes everything";
    writer.begin(section::PRE_DATA);
    writer.text(&mut squeezer, b"CREATE TABLE public.orders (id int, label text);\n").expect(expect);
    writer.begin(section::UNITS);
    let mut entries = Vec::new();
    for (index, (name, rows)) in tables.iter().enumerate() {
        let mut digest = Digest::default();
        digest.add_text(rows.as_bytes());
        let table = Table {
            schema: "public".to_owned(),
            name: (*name).to_owned(),
            columns: vec!["id".to_owned(), "label".to_owned()],
            condition: None,
            moved_by: Mover::Units,
            rows: digest.rows,
            bytes: digest.bytes,
            digest: digest.hex(),
            units: 1,
            objects: Vec::new(),
        };
        let header = kluis::dump::header_of(&table, "UTF8");
        writer.begin_unit(index as u32, &member(&header), header.len() as u64).expect(expect);
        writer.unit_rows(&member(rows), rows.len() as u64).expect(expect);
        writer.end_unit(&member("\\.\n\n"), 4, digest.rows).expect(expect);
        entries.push(table);
    }
    writer.begin(section::DATA);
    writer.begin(section::POST_DATA);
    writer.text(&mut squeezer, b"ALTER TABLE public.orders ADD PRIMARY KEY (id);\n").expect(expect);
    (writer.finish(&mut squeezer).expect(expect), entries)
}

/// Makes sizes and hashes fit the files, as somebody would who damages a backup on purpose. The manifest may be damaged itself.
pub fn reseal(path: &Path) -> Result<()> {
    let mut value: serde_json::Value = serde_json::from_slice(&fs::read(path.join(names::MANIFEST))?)?;
    let mut sealed = Vec::new();
    for entry in value["files"].as_array_mut().into_iter().flatten() {
        let name = entry["name"].as_str().unwrap_or_default().to_owned();
        let (bytes, sha256) = hash(&path.join(&name))?;
        entry["bytes"] = bytes.into();
        entry["sha256"] = sha256.clone().into();
        sealed.push(File { name, bytes, sha256 });
    }
    let mut manifest: Manifest = serde_json::from_value(value)?;
    // The last section takes what was appended to the script or cut off it.
    let script = sealed.iter().find(|file| file.name == manifest.script.file).map_or(0, |file| file.bytes);
    if let Some(Section { offset, bytes, .. }) = manifest.script.sections.last_mut() {
        *bytes = script.saturating_sub(*offset);
    }
    fs::write(path.join(names::MANIFEST), manifest.render())?;
    let (bytes, sha256) = hash(&path.join(names::MANIFEST))?;
    sealed.push(File { name: names::MANIFEST.to_owned(), bytes, sha256 });
    fs::write(path.join(names::SUMS), staging::sums(&sealed))
}

fn hash(path: &Path) -> Result<(u64, String)> {
    files::hash_file(path, |_| Ok(())).map_err(|error| std::io::Error::other(error.chain()))
}

fn edit(path: &Path, old: &str, new: &str) -> Result<()> {
    let text = fs::read_to_string(path)?;
    fs::write(path, text.replacen(old, new, 1))
}
