//! What reads text or bytes that somebody else may have written, each as one function of those bytes. Shared by the tests, which try seeds that were
//! mutated, and by `fuzz/`, where libFuzzer chooses.
//! Invariant: a target returns for any input. It panics where a promise is broken: what is read is not what is written, or more memory is taken than
//! the input allows.

use kluis::config::source::Stat;
use kluis::config::{Flags, Source};
use kluis::manifest::{Manifest, Proof, Section, Summary};
use kluis::postgres::connection::Connection;
use kluis::postgres::contents;
use kluis::postgres::passfile::passfile_lookup;
use kluis::postgres::url::Partial;
use kluis::schedule::Schedule;
use kluis::script::digest::RowStream;
use kluis::script::objects::ObjectReader;
use kluis::script::reader::{ReadAt, UnitReader, section};
use kluis::script::statements::Statements;
use kluis::script::unit::{Unit, parse_index};
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A name, what it does, and what to begin with.
pub struct Target {
    /// Its name, and that of its folder of seeds.
    pub name: &'static str,
    /// What is tried.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "script", run: script },
    Target { name: "index", run: index },
    Target { name: "statements", run: statements },
    Target { name: "manifest", run: manifest },
    Target { name: "history", run: history },
    Target { name: "environment", run: environment },
    Target { name: "toml", run: toml },
    Target { name: "url", run: url },
    Target { name: "copy", run: super::peer::copy },
    Target { name: "schedule", run: schedule },
    Target { name: "words", run: words },
];

struct Bytes<'a>(&'a [u8]);

impl ReadAt for Bytes<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(rest.get(..buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// The script: its first byte tells how long header and footer of the unit are taken to be, the rest is the script.
pub fn script(data: &[u8]) {
    let Some((shape, bytes)) = data.split_first_chunk::<4>() else { return };
    let length = bytes.len() as u64;
    let (header, footer) = (u64::from(shape[0]).min(length), u64::from(shape[1]).min(length.saturating_sub(u64::from(shape[0]))));
    let unit = Unit {
        table: 0,
        offset: 0,
        header: header as u32,
        body: length - header - footer,
        footer: footer as u32,
        members: u32::from(shape[2] % 4),
        rows: 1,
        bytes: u64::from(shape[3]) * 257,
        sha256: None,
    };
    let (source, mut reader) = (Bytes(bytes), UnitReader::default());
    for text in [reader.header(&source, &unit), reader.footer(&source, &unit)].into_iter().flatten() {
        assert!(text.len() <= 1 << 20, "a header of {} bytes", text.len());
    }
    let (mut rows, mut total, mut largest) = (RowStream::default(), 0, 0);
    let read = reader.rows::<io::Error>(&source, &unit, |piece| {
        rows.push(piece);
        total += piece.len() as u64;
        largest = largest.max(piece.len());
        Ok(())
    });
    assert!(read.is_err() || total == unit.bytes || unit.members == 0, "{total} bytes were passed on as {}", unit.bytes);
    assert!(largest <= 16 << 20, "a piece of {largest} bytes");
    let part = Section { name: "data".into(), offset: 0, bytes: length, plain_bytes: 0 };
    // Deflate packs at most 1:1032; a bomb is read on in pieces, and not whole.
    let mut text = section(&source, &part).take(4 << 20);
    let mut buffer = [0; 4096];
    while text.read(&mut buffer).is_ok_and(|length| length > 0) {}
}

/// The index of units: what is accepted lies within the script, and is written again as it was.
pub fn index(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (start, end, tables) = (100, 340, 3);
    let Ok(units) = parse_index(text, start, end, tables) else { return };
    for unit in &units {
        assert!(unit.offset >= start && unit.offset.checked_add(unit.length()).is_some_and(|last| last <= end) && (unit.table as usize) < tables, "{unit:?}");
    }
    let written: String = units.iter().map(Unit::line).collect();
    assert_eq!(parse_index(&written, start, end, tables).unwrap(), units);
}

/// The cutter of statements, large objects on top of it, and pg_restore's list: the same whatever the pieces.
pub fn statements(data: &[u8]) {
    let cut = |size: usize| {
        let (mut cutter, mut found) = (Statements::default(), Vec::new());
        for piece in data.chunks(size) {
            let _: Result<(), ()> = cutter.push(piece, |statement| Ok(found.push(statement.to_vec())));
        }
        (found, cutter.is_complete())
    };
    let whole = cut(data.len().max(1));
    assert!(whole.0.iter().map(Vec::len).sum::<usize>() <= data.len());
    assert_eq!(whole, cut(1));
    assert_eq!(whole, cut(7));
    let objects = |size: usize| {
        let mut reader = ObjectReader::default();
        data.chunks(size).try_for_each(|piece| reader.push(piece)).and_then(|()| reader.finish()).map(|stream| (stream.count, stream.bytes, stream.hex()))
    };
    assert_eq!(objects(data.len().max(1)).ok(), objects(5).ok());
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = contents::parse(text);
        let shown = kluis::postgres::child::clean(text);
        assert!(!shown.contains(char::is_control) && shown.len() < 5 * 4 * 500, "{shown:?}");
    }
}

/// The manifest and the proof: what is understood is written and read again the same, no file leads out of its folder, and the notes can be shown.
pub fn manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data) {
        assert_eq!(Manifest::parse(&manifest.render()).expect("what was read can be read again"), manifest);
        // In short it is what it is in whole.
        assert_eq!(Summary::parse(data), Ok(Summary::of(&manifest)));
        assert!(manifest.files.iter().all(|file| !file.name.contains('/') && !file.name.starts_with('.')), "{:?}", manifest.files);
        let _ = (manifest.rows(), manifest.bytes());
        let proof = Proof::parse(data).ok();
        kluis::notes::restore_notes(&manifest, proof.as_ref());
    }
    if let Ok(summary) = Summary::parse(data) {
        assert!(summary.files.iter().all(|file| !file.name.contains('/') && !file.name.starts_with('.')), "{:?}", summary.files);
        assert!(summary.format == 1 || Summary::parse(&summary.render()) == Ok(summary));
    }
    let mut rows = 0_u64;
    let _ = kluis::manifest::each_table(data, &mut |table| rows = rows.wrapping_add(table.rows));
    if let Ok(proof) = Proof::parse(data) {
        assert_eq!(Proof::parse(&proof.render()).expect("what was read can be read again"), proof);
        let _ = (proof.word(), proof.proven());
    }
}

/// A history: lines that are not understood are passed over, and a line that is added is there afterwards.
pub fn history(data: &[u8]) {
    use kluis::repository::{TargetFolder, history};
    thread_local!(static PLACE: PathBuf = super::own_folder());
    PLACE.with(|path| {
        let target = TargetFolder { name: "app".into(), path: path.clone() };
        std::fs::write(path.join("history.jsonl"), data).unwrap();
        let before = history::read(&target).expect("a history can always be read");
        assert!(before.len() <= data.split(|byte| *byte == b'\n').count());
        let line = br#"{"started":"2026-01-25T03:00:00Z","finished":"2026-01-25T03:00:01Z","outcome":"failed"}"#;
        history::append(&target, &serde_json::from_slice(line).unwrap()).unwrap();
        let after = history::read(&target).unwrap();
        // A line that a crash cut short may have lacked only its end.
        assert!(after.len() == before.len() + 1 && after.starts_with(&before), "{} lines became {}", before.len(), after.len());
    });
}

/// A machine of which only these variables and this file are known.
struct Machine {
    variables: Vec<(OsString, OsString)>,
    file: Vec<u8>,
}

impl Source for Machine {
    fn var(&self, name: &str) -> Option<OsString> {
        self.variables.iter().find(|(known, _)| known.to_str() == Some(name)).map(|(_, value)| value.clone())
    }
    fn names(&self) -> Vec<OsString> {
        self.variables.iter().map(|(name, _)| name.clone()).collect()
    }
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path.starts_with("/etc/kluis") || path.starts_with("/secret") { Ok(self.file.clone()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        if path.starts_with("/etc/kluis") || path.starts_with("/secret") {
            Ok(Stat { mode: 0o600, folder: false, owner: 0 })
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
    fn current_dir(&self) -> io::Result<PathBuf> {
        Ok("/srv".into())
    }
    fn cores(&self) -> usize {
        4
    }
}

/// What must never be shown again.
pub const PLANTED: &str = "Xyzzy73Quux";

fn load(machine: &Machine) {
    let shown = match kluis::config::load(&Flags::default(), machine) {
        Ok(config) => format!("{:?}{}", config.render(), config.to_json()),
        Err(problems) => {
            assert!(problems.iter().all(|problem| !problem.to_string().contains(char::is_control)), "{problems}");
            let text = problems.to_string();
            assert_eq!(kluis::Error::from(problems).kind().exit_code(), 2);
            text
        }
    };
    assert!(!shown.contains(PLANTED), "a secret is shown: {shown}");
    let _ = kluis::config::load_repository(&Flags::default(), machine);
}

/// The environment: lines of `NAME=value`, beside a password.
pub fn environment(data: &[u8]) {
    use std::os::unix::ffi::OsStringExt;
    let line = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b'=')?;
        Some((OsString::from_vec(line[..at].to_vec()), OsString::from_vec(line[at + 1..].to_vec())))
    };
    let mut variables: Vec<(OsString, OsString)> = data.split(|byte| *byte == b'\n').filter_map(line).filter(|(name, _)| name != "DB_PASSWORD").collect();
    variables.push(("DB_PASSWORD".into(), PLANTED.into()));
    load(&Machine { variables, file: PLANTED.as_bytes().to_vec() });
}

/// `kluis.toml`, with a password at its end where that fits.
pub fn toml(data: &[u8]) {
    let file = [data, b"\npassword = \"", PLANTED.as_bytes(), b"\"\n"].concat();
    load(&Machine { variables: Vec::new(), file });
    load(&Machine { variables: Vec::new(), file: data.to_vec() });
}

/// Connection URLs and passfiles: no secret in an error, and what is understood survives a passfile.
pub fn url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let planted = text.replace("SECRET", PLANTED);
    match Partial::parse_url(&planted).and_then(Partial::finish) {
        Ok(connection) => {
            let is_password = connection.password.as_ref().is_some_and(|password| password.expose().contains(PLANTED)) && planted.matches(PLANTED).count() == 1;
            assert!(!is_password || !format!("{connection:?}{}", connection.label()).contains(PLANTED), "{connection:?}");
            if let Some(line) = connection.passfile_line() {
                let line = String::from_utf8(line).expect("text stays text");
                let found = passfile_lookup(&line, &connection);
                assert!(found == connection.password || connection.host.contains('\n') || connection.user.contains('\n'), "{connection:?}");
            }
        }
        Err(error) if text.contains(":SECRET@") && text.matches("SECRET").count() == 1 => assert!(!error.chain().contains(PLANTED), "{}", error.chain()),
        Err(_) => {}
    }
    let _: Option<Connection> = Connection::from_url(text).ok();
    if let Ok(connection) = Connection::from_url("postgresql://u@h/d") {
        let _ = passfile_lookup(text, &connection);
    }
}

/// Cron expressions: what is accepted fires, later than now, at times that it says itself, and reads the same when written again.
pub fn schedule(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let zones = ["UTC", "Europe/Amsterdam", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia"];
    let zone = jiff::tz::TimeZone::get(zones[data.len() % zones.len()]).expect("the zone is known");
    let Ok(schedule) = Schedule::parse(text, zone.clone()) else { return };
    let now: jiff::Timestamp = "2026-03-29T00:59:59Z".parse().unwrap();
    assert!(!schedule.describe().contains(char::is_control));
    let times = schedule.upcoming(now, 3);
    assert!(times.iter().all(|time| *time > now) && times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    if let Some(first) = times.first() {
        assert_eq!(schedule.last_at_or_before(*first), Some(*first));
        assert!(schedule.last_at_or_before(now).is_none_or(|last| last <= now));
    }
    assert_eq!(Schedule::parse(schedule.expression(), zone).unwrap().upcoming(now, 3), times);
}

/// Durations, names of backups, targets and files, and lines of the log.
pub fn words(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let line = kluis::log::scrub(&text);
    assert!(!line.contains(char::is_control), "{line:?}");
    if let Ok(duration) = kluis::units::parse_duration(&text) {
        kluis::units::format_duration(duration);
    }
    use kluis::repository::names;
    if let Some(time) = names::parse_backup_id(&text) {
        assert_eq!(names::backup_id(time), text);
    }
    let file = names::script_file(&text);
    assert!(!file.contains('/') && !file.starts_with('.') && !file.starts_with('-') && file.len() < 100, "{file}");
    assert!(!names::is_target(&text) || !text.contains('/') && !text.starts_with('.'));
    assert_eq!(names::is_target(&text), kluis::config::is_target_name(&text), "{text:?}: the two rules for a target's name differ");
}
