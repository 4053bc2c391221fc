//! Damage to a backup, after which no drill may call it proven: bytes changed at random, with and without a manifest that covers them up.
//! It owns the damage; it leaves the verdict to the binary.
//! Invariant: each damage is done to a copy; where it left the backup's content as it was, it counts as none.

use super::kluis;
use crate::knob::Random;
use crate::support::cluster::Database;
use crate::support::papers;
use crate::support::repo::Repo;
use serde_json::Value;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Does `count` damages to copies of the newest backup, one after the other. Returns those that a drill called proven, and how many were done.
pub fn try_some(database: &Database, repo: &Repo, other: Option<&Path>, random: &mut Random, count: u64) -> (Vec<String>, u64) {
    let (mut missed, mut done) = (Vec::new(), 0);
    let backup = repo.newest();
    for _ in 0..count {
        let copy = Repo::new();
        let folder = copy.folder().join(backup.file_name().expect("a backup has a name"));
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        for entry in std::fs::read_dir(&backup).expect("a backup can be read").flatten().filter(|entry| entry.file_name() != "proof.json") {
            std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("a file can be copied");
        }
        for path in [copy.folder(), folder.clone()] {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("a folder can be closed");
        }
        let Some(what) = damage(&folder, other, database.cluster.bin(), random) else { continue };
        done += 1;
        let ended = kluis(&["drill", "latest"]).of(database).keeping(&copy).run();
        if ended.stdout.contains(" proven") && ended.code == Some(0) {
            missed.push(format!("{what}: {}", ended.stdout));
        }
        let _ = std::fs::remove_dir_all(&copy.root);
    }
    (missed, done)
}

/// One damage. Nothing where it would have changed nothing.
fn damage(folder: &Path, other: Option<&Path>, bin: &Path, random: &mut Random) -> Option<String> {
    let mut files: Vec<String> = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    files.retain(|name| !["RESTORE.md", "pinned.json", "proof.json", "SHA256SUMS", "manifest.json"].contains(&name.as_str()));
    files.sort();
    let script = files.iter().find(|name| name.ends_with(".sql.gz") && *name != "globals.sql.gz")?.clone();
    match random.below(8) {
        // Bytes, with hashes that tell.
        0 | 1 => {
            let name = files[random.below(files.len() as u64) as usize].clone();
            let what = bytes(&folder.join(&name), random)?;
            Some(format!("{name}: {what}, hashes as they were"))
        }
        // Bytes of the archive, with hashes that fit.
        2 => {
            let before = archive_text(folder, bin);
            let what = bytes(&folder.join("schema.dump"), random)?;
            // Some bytes mean nothing, such as the number that an object had in the source.
            if before.is_some() && archive_text(folder, bin) == before {
                return None;
            }
            seal(folder);
            Some(format!("schema.dump: {what}, hashes made anew"))
        }
        // The archive of another database.
        3 => {
            std::fs::copy(other?.join("schema.dump"), folder.join("schema.dump")).ok()?;
            seal(folder);
            Some("the archive of another database, hashes made anew".to_owned())
        }
        // A statement of the script is gone or another, in its member, with hashes, offsets and lengths that fit.
        _ => {
            let what = edit_script(folder, &script, random)?;
            seal(folder);
            Some(format!("{script}: {what}, hashes made anew"))
        }
    }
}

/// What pg_restore makes of the archive, without its keys, which are others each time; nothing where it fails.
fn archive_text(folder: &Path, bin: &Path) -> Option<String> {
    let output = Command::new(bin.join("pg_restore")).args(["-f", "-"]).arg(folder.join("schema.dump")).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter(|line| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict "));
    output.status.success().then(|| lines.collect::<Vec<_>>().join("\n"))
}

fn bytes(path: &Path, random: &mut Random) -> Option<String> {
    let mut bytes = std::fs::read(path).ok().filter(|bytes| bytes.len() > 20)?;
    let at = random.below(bytes.len() as u64 - 10) as usize;
    let what = match random.below(4) {
        0 => {
            // Not the reserved and informational bytes of a gzip header, which mean nothing.
            bytes[at] ^= 1 << random.below(8);
            format!("a bit of byte {at}")
        }
        1 => {
            bytes.drain(at..at + 5);
            format!("five bytes gone at {at}")
        }
        2 => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        _ => {
            if bytes[at] == bytes[at + 7] {
                return None;
            }
            bytes.swap(at, at + 7);
            format!("bytes {at} and {} swapped", at + 7)
        }
    };
    std::fs::write(path, bytes).ok()?;
    Some(what)
}

/// Changes the text of one section of the script, packs it as one member, and corrects the manifest.
fn edit_script(folder: &Path, script: &str, random: &mut Random) -> Option<String> {
    let path = folder.join(script);
    let bytes = std::fs::read(&path).ok()?;
    let mut manifest = papers::joined(folder);
    let section = if random.percent(50) { "pre-data" } else { "post-data" };
    let sections = manifest["script"]["sections"].as_array()?.clone();
    let part = sections.iter().find(|part| part["name"] == section)?;
    let (from, length) = (part["offset"].as_u64()? as usize, part["bytes"].as_u64()? as usize);
    let text = filter("gunzip", &bytes[from..from + length])?;
    let text = String::from_utf8(text).ok()?;
    let mut statements: Vec<String> = text.split_inclusive(";\n").map(str::to_owned).collect();
    let wanted = ["CREATE ", "ALTER ", "GRANT ", "COMMENT ON "];
    let chosen: Vec<usize> = (0..statements.len()).filter(|index| wanted.iter().any(|word| statements[*index].contains(word))).collect();
    let index = *chosen.get(random.below(chosen.len() as u64) as usize)?;
    let old = statements[index].clone();
    let what = match random.below(3) {
        0 if old.contains(" DEFAULT ") => {
            statements[index] = old.replacen(" DEFAULT ", " DEFAULT NULL -- ", 1);
            "a changed default"
        }
        1 if chosen.len() > 1 => {
            let second = chosen[(chosen.iter().position(|other| *other == index)? + 1) % chosen.len()];
            statements.swap(index, second);
            "two statements swapped"
        }
        _ => {
            statements.remove(index);
            "a statement gone"
        }
    };
    let new = statements.concat();
    if new == text {
        return None;
    }
    let packed = filter("gzip", new.as_bytes())?;
    std::fs::write(&path, [&bytes[..from], &packed, &bytes[from + length..]].concat()).ok()?;
    let (grown, plain) = (packed.len() as i64 - length as i64, new.len() as i64 - text.len() as i64);
    let shift = |value: &mut Value, by: i64| *value = (value.as_i64().unwrap_or(0) + by).into();
    for part in manifest["script"]["sections"].as_array_mut()? {
        if part["name"] == section {
            shift(&mut part["bytes"], grown);
            shift(&mut part["plain_bytes"], plain);
        } else if part["offset"].as_u64()? as usize > from {
            shift(&mut part["offset"], grown);
        }
    }
    shift(&mut manifest["script"]["plain_bytes"], plain);
    papers::write_joined(folder, &manifest);
    if section == "pre-data" {
        let index: Vec<String> = std::fs::read_to_string(folder.join("units.jsonl"))
            .ok()?
            .lines()
            .filter_map(|line| {
                let mut unit: Value = serde_json::from_str(line).ok()?;
                shift(&mut unit["offset"], grown);
                Some(unit_line(line, &unit))
            })
            .collect();
        std::fs::write(folder.join("units.jsonl"), index.concat()).ok()?;
    }
    let shown: String = old.trim().lines().filter(|line| !line.starts_with("--") && !line.is_empty()).collect::<Vec<_>>().join(" ").chars().take(160).collect();
    Some(format!("{what} in {section}: {shown}"))
}

/// The line with its fields in their order, and another offset.
fn unit_line(line: &str, unit: &Value) -> String {
    let (before, rest) = line.split_once("\"offset\":").unwrap_or((line, ""));
    let after = rest.trim_start_matches(|character: char| character.is_ascii_digit());
    format!("{before}\"offset\":{}{after}\n", unit["offset"])
}

fn filter(program: &str, input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new(program).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let (mut stdin, input) = (child.stdin.take()?, input.to_vec());
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let mut output = Vec::new();
    child.stdout.take()?.read_to_end(&mut output).ok()?;
    let _ = feeder.join();
    child.wait().ok()?.success().then_some(output)
}

/// Makes sizes and hashes of the manifest and `SHA256SUMS` fit, by sha256sum.
fn seal(folder: &Path) {
    let sum = |name: &str| {
        let output = Command::new("sha256sum").arg(folder.join(name)).output().expect("sha256sum starts");
        String::from_utf8_lossy(&output.stdout).trim_start_matches('\\').split(' ').next().unwrap_or_default().to_owned()
    };
    let path = folder.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).expect("there is a manifest")).expect("it is JSON");
    let mut sums = String::new();
    for file in manifest["files"].as_array_mut().expect("there are files") {
        let name = file["name"].as_str().expect("a file has a name").to_owned();
        let hash = sum(&name);
        sums += &format!("{hash}  {name}\n");
        file["bytes"] = std::fs::metadata(folder.join(&name)).expect("the file is there").len().into();
        file["sha256"] = hash.into();
    }
    std::fs::write(&path, serde_json::to_string_pretty(&manifest).expect("it can be written")).expect("a file can be written");
    sums += &format!("{}  manifest.json\n", sum("manifest.json"));
    std::fs::write(folder.join("SHA256SUMS"), sums).expect("a file can be written");
}
