//! Ways to damage a backup, and to cover it up afterwards.

use crate::support::repo::manifest;
use kluis::manifest::{File, Manifest};
use kluis::repository::{files, names, staging};
use kluis::script::section;
use kluis::script::unit::Unit;
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One thing that happens to a backup. A file is named as it lies there; `SCRIPT` stands for the script.
#[derive(Debug)]
pub enum Damage {
    /// The file ends at this place.
    Cut(&'static str, Place),
    /// One bit is another.
    Flip(&'static str, Place),
    /// Bytes come in front of this place.
    Insert(&'static str, Place, &'static [u8]),
    /// The file holds only this.
    Put(&'static str, &'static [u8]),
    /// A first occurrence of a text is another text.
    Edit(&'static str, &'static str, &'static str),
    /// A JSON value, found by its pointer, is another one.
    Set(&'static str, &'static str, &'static str),
    /// A key is missing.
    Drop(&'static str, &'static str),
    /// A number in one line of a file of JSON lines is another.
    SetLine(&'static str, usize, &'static str, &'static str),
    /// The lines of the file are these of its lines, in this order.
    Lines(&'static str, &'static [usize]),
    /// The file is gone.
    Gone(&'static str),
    /// Something else lies in the file's place, or beside the files.
    Other(&'static str, Kind),
}

/// What can lie where a file should be.
#[derive(Debug)]
pub enum Kind {
    Folder,
    /// A link to a copy of the file elsewhere, so that its content would be right.
    Link,
    DanglingLink,
    Fifo,
}

/// A place in a file.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// This byte.
    Byte(u64),
    /// This byte, counted from the end.
    FromEnd(u64),
    /// Half-way through the file.
    Middle,
    /// In the script, in the gzip member with this unit's header.
    Header(usize),
    /// In the script, in the middle of this unit's rows.
    Rows(usize),
    /// In the script, between this unit's rows and its footer: at a member's end.
    BeforeFooter(usize),
    /// In the script, in this unit's footer.
    Footer(usize),
    /// In the script, after this unit: at a member's end.
    After(usize),
    /// In the script, at the beginning of this section: at a member's end.
    Before(&'static str),
    /// In the script, in the middle of this section.
    In(&'static str),
}

/// How the damage is covered up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// Not at all: as an accident leaves it.
    Open,
    /// `SHA256SUMS` agrees with the manifest.
    Sums,
    /// Sizes and hashes in the manifest fit the files, the script's sections end where it ends, and `SHA256SUMS` agrees with all.
    Whole,
}

/// The backup that all of it happens to.
pub struct Base {
    pub id: String,
    pub manifest: Manifest,
    pub units: Vec<Unit>,
    /// What the database says of its content.
    pub content: String,
    folder: PathBuf,
}

impl Base {
    pub fn read(folder: &Path, content: String) -> Base {
        let index = std::fs::read_to_string(folder.join(names::UNITS)).expect("there is an index");
        let units = index.lines().map(|line| serde_json::from_str(line).expect("a line is a unit")).collect();
        let id = folder.file_name().expect("a backup has a name").to_string_lossy().into_owned();
        Base { id, manifest: manifest(folder), units, content, folder: folder.to_owned() }
    }

    /// A copy of it, undamaged.
    pub fn copy_to(&self, folder: &Path) {
        std::fs::create_dir_all(folder).expect("a folder can be made");
        for entry in std::fs::read_dir(&self.folder).expect("the backup can be read").flatten() {
            std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("a file can be copied");
        }
    }

    fn name<'a>(&'a self, file: &'a str) -> &'a str {
        if file == "SCRIPT" { &self.manifest.script.file } else { file }
    }

    fn offset(&self, place: Place, length: u64) -> usize {
        let part = |name: &str| self.manifest.script.section(name).unwrap_or_else(|| panic!("the script has no section {name}"));
        let offset = match place {
            Place::Byte(at) => at,
            Place::FromEnd(at) => length - at,
            Place::Middle => length / 2,
            Place::Header(unit) => self.units[unit].offset + u64::from(self.units[unit].header) / 2,
            Place::Rows(unit) => self.units[unit].body_offset() + self.units[unit].body / 2,
            Place::BeforeFooter(unit) => self.units[unit].body_offset() + self.units[unit].body,
            Place::Footer(unit) => self.units[unit].body_offset() + self.units[unit].body + u64::from(self.units[unit].footer) / 2,
            Place::After(unit) => self.units[unit].offset + self.units[unit].length(),
            Place::Before(name) => part(name).offset,
            Place::In(name) => part(name).offset + part(name).bytes / 2,
        };
        usize::try_from(offset).expect("the backup is small")
    }
}

impl Damage {
    /// The file that it happens to.
    pub fn file(&self) -> &'static str {
        use Damage::*;
        match self {
            Cut(file, _) | Flip(file, _) | Insert(file, ..) | Put(file, _) | Edit(file, ..) => file,
            Set(file, ..) | Drop(file, _) | SetLine(file, ..) | Lines(file, _) | Gone(file) | Other(file, _) => file,
        }
    }
}

/// Does it.
pub fn apply(base: &Base, folder: &Path, damage: &Damage) {
    let path = folder.join(base.name(damage.file()));
    let bytes = || std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = || String::from_utf8(bytes()).expect("the file is text");
    let write = |bytes: &[u8]| std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let at = |place: Place, bytes: &[u8]| base.offset(place, bytes.len() as u64);
    match damage {
        Damage::Cut(_, place) => {
            let bytes = bytes();
            write(&bytes[..at(*place, &bytes)]);
        }
        Damage::Flip(_, place) => {
            let mut bytes = bytes();
            let at = at(*place, &bytes);
            bytes[at] ^= 1;
            write(&bytes);
        }
        Damage::Insert(_, place, new) => {
            let mut bytes = bytes();
            let at = at(*place, &bytes);
            bytes.splice(at..at, new.iter().copied());
            write(&bytes);
        }
        Damage::Put(_, new) => write(new),
        Damage::Edit(_, old, new) => {
            let text = text();
            assert!(text.contains(old), "'{old}' does not stand in {}", path.display());
            write(text.replacen(old, new, 1).as_bytes());
        }
        Damage::Set(_, pointer, new) => {
            let mut value = json(&text());
            *value.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is not in {}", path.display())) = json(new);
            write(serde_json::to_string_pretty(&value).expect("JSON can be written").as_bytes());
        }
        Damage::Drop(_, pointer) => {
            let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
            let mut value = json(&text());
            let gone = value.pointer_mut(parent).and_then(Value::as_object_mut).and_then(|object| object.remove(key));
            assert!(gone.is_some(), "{pointer} is not in {}", path.display());
            write(serde_json::to_string_pretty(&value).expect("JSON can be written").as_bytes());
        }
        Damage::SetLine(_, line, key, new) => {
            let text = text();
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let mut value = json(&lines[*line]);
            value[*key] = json(new);
            lines[*line] = value.to_string();
            write(format!("{}\n", lines.join("\n")).as_bytes());
        }
        Damage::Lines(_, order) => {
            let text = text();
            let lines: Vec<&str> = text.lines().collect();
            write(order.iter().map(|line| format!("{}\n", lines[*line])).collect::<String>().as_bytes());
        }
        Damage::Gone(_) => std::fs::remove_file(&path).expect("the file was there"),
        Damage::Other(file, kind) => {
            let elsewhere = folder.with_extension("elsewhere");
            if path.exists() {
                std::fs::rename(&path, &elsewhere).expect("the file can be moved");
            }
            match kind {
                Kind::Folder => std::fs::create_dir(&path).expect("a folder can be made"),
                Kind::Link => symlink(&elsewhere, &path).expect("a link can be made"),
                Kind::DanglingLink => symlink(format!("no-{file}"), &path).expect("a link can be made"),
                Kind::Fifo => assert!(Command::new("mkfifo").arg(&path).status().is_ok_and(|status| status.success())),
            }
        }
    }
}

/// Covers the damage up.
pub fn reseal(base: &Base, folder: &Path, seal: Seal) {
    if seal == Seal::Open {
        return;
    }
    let path = folder.join(names::MANIFEST);
    let json = |path: &Path| serde_json::from_slice::<Value>(&std::fs::read(path).ok()?).ok();
    let script = || std::fs::metadata(folder.join(&base.manifest.script.file)).map_or(0, |metadata| metadata.len());
    // Since format 2 the sections stand in a file of their own, which may be damaged itself.
    if let (Seal::Whole, Some(mut contents)) = (seal, json(&folder.join(names::CONTENTS))) {
        fit_sections(&mut contents, script());
        std::fs::write(folder.join(names::CONTENTS), serde_json::to_string_pretty(&contents).expect("JSON can be written")).unwrap();
    }
    let mut value = json(&path).expect("a manifest that is sealed is JSON");
    let mut sealed = Vec::new();
    for entry in value["files"].as_array_mut().expect("a manifest that is sealed has files") {
        let mut file: File = serde_json::from_value(entry.clone()).expect("a file has name, size and hash");
        if seal == Seal::Whole {
            (file.bytes, file.sha256) = files::hash_file(&folder.join(&file.name), |_| Ok(())).expect("a file that is sealed can be read");
            *entry = serde_json::to_value(&file).expect("a file has a JSON form");
        }
        sealed.push(file);
    }
    if seal == Seal::Whole {
        fit_sections(&mut value, script());
        std::fs::write(&path, serde_json::to_string_pretty(&value).expect("JSON can be written")).unwrap();
    }
    let (bytes, sha256) = files::hash_file(&path, |_| Ok(())).expect("the manifest can be read");
    sealed.push(File { name: names::MANIFEST.to_owned(), bytes, sha256 });
    std::fs::write(folder.join(names::SUMS), staging::sums(&sealed)).unwrap();
}

/// Sections end with the script, and what was added to it belongs to the last.
fn fit_sections(manifest: &mut Value, length: u64) {
    let Some(sections) = manifest["script"]["sections"].as_array_mut() else { return };
    let number = |section: &Value, key: &str| section[key].as_u64().unwrap_or(0);
    sections.retain(|section| number(section, "offset") < length);
    if let Some(last) = sections.last_mut() {
        let ends = number(last, "offset") + number(last, "bytes");
        if ends > length || last["name"] == section::END {
            last["bytes"] = (length - number(last, "offset")).into();
        }
    }
}
