//! The word that opens the page where nobody has set one: made once, and kept in the scratch folder, which is never copied anywhere.
//! It owns the file; it leaves a token that was configured to `config`, and who is let in to `gate`.
//! Invariant: a file that anybody else could have written or read is no token: a new one takes its place.

use crate::error::{Error, Result};
use crate::postgres::connection::Secret;
use crate::repository::files::{open_file, own_folder, random, read_small, replace};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The file's name in the scratch folder.
const NAME: &str = "page-token";

/// How many bytes of chance are in it.
const BYTES: usize = 24;

/// The token kept in this scratch folder, which is made where there is none yet. Errors: the folder is not ours alone, or cannot be written.
pub fn own(scratch: &Path) -> Result<Secret> {
    own_folder(scratch)?;
    if let Some(token) = kept(scratch) {
        return Ok(token);
    }
    let token = fresh()?;
    replace(&scratch.join(NAME), format!("{}\n", token.expose()).as_bytes())?;
    Ok(token)
}

/// A new token. Errors: the machine has no chance to give.
pub fn fresh() -> Result<Secret> {
    random(BYTES).map(Secret::from)
}

/// The token kept in this scratch folder, where there is one.
pub fn kept(scratch: &Path) -> Option<Secret> {
    let path = scratch.join(NAME);
    let found = open_file(&path).and_then(|file| file.metadata().map_err(|error| Error::io("look at", &path, error))).ok()?;
    if found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o077 != 0 || found.nlink() != 1 {
        return None;
    }
    let text = String::from_utf8(read_small(&path, 200).ok()?).ok()?;
    let token = text.trim_end();
    let good = token.len() == 2 * BYTES && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then(|| Secret::from(token.to_owned()))
}
