//! What a backup says of itself, as one JSON value, whatever its format: `manifest.json` of format 1, or `contents.json` with the files of `manifest.json`.
//! For tests that change it. It is written back in the format that it came in.

use kluis::manifest::{FIRST_FORMAT, Manifest, Summary};
use kluis::repository::{files, names, staging};
use kluis::script::unit::Unit;
use serde_json::Value;
use std::path::Path;

fn read(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn write(path: &Path, value: &Value) {
    std::fs::write(path, serde_json::to_string_pretty(value).expect("JSON can be written")).expect("a file can be written");
}

/// Sets size and hash of a file of the backup to what lies there.
fn measure(folder: &Path, entry: &mut Value) {
    let name = entry["name"].as_str().expect("a file has a name").to_owned();
    let (bytes, sha256) = files::hash_file(&folder.join(name), |_| Ok(())).expect("the file can be read");
    (entry["bytes"], entry["sha256"]) = (bytes.into(), sha256.into());
}

/// All of it.
pub fn joined(folder: &Path) -> Value {
    let manifest = read(&folder.join(names::MANIFEST));
    if !folder.join(names::CONTENTS).exists() {
        return manifest;
    }
    let mut all = read(&folder.join(names::CONTENTS));
    all["files"] = manifest["files"].clone();
    all
}

/// Writes it back: the manifest has the hash of the contents again. `SHA256SUMS` is left as it is.
pub fn write_joined(folder: &Path, all: &Value) {
    if !folder.join(names::CONTENTS).exists() {
        return write(&folder.join(names::MANIFEST), all);
    }
    let mut contents = all.clone();
    let mut list = contents.as_object_mut().and_then(|fields| fields.remove("files")).expect("there are files");
    write(&folder.join(names::CONTENTS), &contents);
    let own = list.as_array_mut().expect("a list").iter_mut().find(|entry| entry["name"] == names::CONTENTS).expect("the contents are among the files");
    measure(folder, own);
    let whole: Manifest = serde_json::from_value(with(contents, list)).expect("it is what a backup holds");
    std::fs::write(folder.join(names::MANIFEST), Summary::of(&whole).render()).expect("a file can be written");
}

fn with(mut contents: Value, list: Value) -> Value {
    contents["files"] = list;
    contents
}

/// Writes `SHA256SUMS` over what the manifest says of the files.
pub fn write_sums(folder: &Path) {
    let manifest = read(&folder.join(names::MANIFEST));
    let entry = |value: &Value| serde_json::from_value::<kluis::manifest::File>(value.clone()).expect("a file has name, size and hash");
    let mut sealed: Vec<_> = manifest["files"].as_array().expect("there are files").iter().map(entry).collect();
    let (bytes, sha256) = files::hash_file(&folder.join(names::MANIFEST), |_| Ok(())).expect("the manifest can be read");
    sealed.push(kluis::manifest::File { name: names::MANIFEST.to_owned(), bytes, sha256 });
    std::fs::write(folder.join(names::SUMS), staging::sums(&sealed)).expect("a file can be written");
}

/// Makes it a backup as the versions of format 1 made them.
pub fn to_first_format(folder: &Path) {
    let mut all = joined(folder);
    all["format"] = FIRST_FORMAT.into();
    let index = std::fs::read_to_string(folder.join(names::UNITS)).expect("there is an index");
    let plain = |line: &str| Unit { sha256: None, ..serde_json::from_str(line).expect("a line is a unit") }.line();
    std::fs::write(folder.join(names::UNITS), index.lines().map(plain).collect::<String>()).expect("a file can be written");
    let _ = std::fs::remove_file(folder.join(names::CONTENTS));
    let list = all["files"].as_array_mut().expect("there are files");
    list.retain(|entry| entry["name"] != names::CONTENTS);
    list.iter_mut().for_each(|entry| measure(folder, entry));
    // In the order in which it was written.
    let manifest: Manifest = serde_json::from_value(all).expect("it is a manifest");
    std::fs::write(folder.join(names::MANIFEST), manifest.render()).expect("a file can be written");
    write_sums(folder);
}
