//! What everybody has: gunzip, sha256sum, psql, used on a backup as its RESTORE.md says.

use super::cluster::{Cluster, Database};
use super::repo::manifest;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

/// `sha256sum -c SHA256SUMS`, and `gunzip -t` of each script.
#[track_caller]
pub fn check(backup: &Path) {
    let sums = Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(backup).output().unwrap();
    assert!(sums.status.success(), "{}", String::from_utf8_lossy(&sums.stdout));
    for script in [manifest(backup).script.file.as_str(), "globals.sql.gz"] {
        let tested = Command::new("gunzip").arg("-t").arg(backup.join(script)).output().unwrap();
        assert!(tested.status.success() && tested.stderr.is_empty(), "{script}: {}", String::from_utf8_lossy(&tested.stderr));
    }
}

/// `gunzip -c` of the backup's script.
#[track_caller]
pub fn gunzip(backup: &Path) -> Vec<u8> {
    let mut child = Command::new("gunzip").arg("-c").arg(backup.join(manifest(backup).script.file)).stdout(Stdio::piped()).spawn().unwrap();
    let mut text = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    text
}

/// `gunzip -c … | psql -X -v ON_ERROR_STOP=1`.
#[track_caller]
pub fn restore(backup: &Path, into: &Database) {
    let mut gunzip = Command::new("gunzip").arg("-c").arg(backup.join(manifest(backup).script.file)).stdout(Stdio::piped()).spawn().unwrap();
    let mut psql = into.cluster.program("psql", &into.name);
    // With nothing of the tests' own: the script itself must set what it needs.
    psql.env_remove("PGTZ").env_remove("PGOPTIONS").args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]);
    let output = psql.stdin(gunzip.stdout.take().unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
    assert!(gunzip.wait().unwrap().success());
}

/// The commands of RESTORE.md that need nothing of Kluis, as they stand there.
#[track_caller]
pub fn commands(backup: &Path) -> Vec<String> {
    let notes = std::fs::read_to_string(backup.join("RESTORE.md")).unwrap();
    let block = notes.split("## Without Kluis").nth(1).unwrap().split("\n\n").nth(2).unwrap();
    block.lines().map(|line| line.strip_prefix("    ").unwrap_or_else(|| panic!("a line is outside of the block: {line:?} in\n{block}")).to_owned()).collect()
}

/// Copies these commands into one shell of a person at this server, in this folder, and returns what it printed. The globals may say that a role is there already.
#[track_caller]
pub fn type_into_shell(cluster: &Cluster, folder: &Path, commands: &[String]) -> String {
    let stops = |line: &String| if line.contains("globals.sql.gz") { format!("{{ {line}; }} || true") } else { line.clone() };
    let script: Vec<String> = ["set -e -o pipefail".to_owned()].into_iter().chain(commands.iter().map(stops)).collect();
    let mut bash = Command::new("/bin/bash");
    bash.env_clear().envs(cluster.program("psql", "postgres").get_envs().filter_map(|(name, value)| Some((name, value?)))).env_remove("PGDATABASE");
    bash.env("PATH", format!("{}:/usr/bin:/bin", cluster.bin().display())).current_dir(folder);
    let output = bash.args(["-c", &script.join("\n")]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{script:#?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
