//! What can be told of a manifest's files and of its script without looking at a file.
//! It owns the checks that both formats have in common; it leaves those of tables to their readers.
//! Invariant: no name of a file that passes leads out of the backup's folder.

use super::{File, Script};

/// What is said where rows or bytes cannot be added up.
pub(super) const TOO_MANY_ROWS: &str = "the tables' rows are impossibly many";

/// Whether these can be the files of a backup.
pub(super) fn consistent_files(files: &[File]) -> Result<(), String> {
    if files.iter().map(|file| file.bytes).try_fold(0, u64::checked_add).is_none() {
        return Err("the files are impossibly large".to_owned());
    }
    for (place, file) in files.iter().enumerate() {
        // A name from a file that anyone may have edited must not lead out of the folder.
        if file.name.is_empty() || file.name.starts_with('.') || file.name.contains(['/', '\\', '\n', '\0']) {
            return Err("a file has a name that cannot be a file's name in this folder".to_owned());
        }
        if file.sha256.len() != 64 || !file.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("the hash of '{}' is not a SHA-256", file.name));
        }
        // There are less than ten.
        if files[..place].iter().any(|other| other.name == file.name) {
            return Err(format!("'{}' is among the files twice", file.name));
        }
    }
    Ok(())
}

/// Whether the script's sections follow each other, and end where it ends.
pub(super) fn consistent_script(script: &Script, files: &[File]) -> Result<(), String> {
    let mut end = 0;
    for section in &script.sections {
        if section.offset != end {
            return Err(format!("section '{}' does not begin where the one before it ends", section.name));
        }
        end = section.offset.checked_add(section.bytes).ok_or_else(|| format!("section '{}' is impossibly long", section.name))?;
    }
    let file = files.iter().find(|file| file.name == script.file).ok_or("the script is not among the files")?;
    if file.bytes == end { Ok(()) } else { Err("the script's sections do not add up to its size".to_owned()) }
}
