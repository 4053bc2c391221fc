//! The files that a PostgreSQL server needs beyond its data folder, wherever it is installed.
//! It owns the list, each group with its reason; it leaves enforcing it to the parent.
//! Invariant: no folder in it holds what people put there: no home, no repository, no secrets, no other scratch folder, no /etc as a whole, no /proc.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What every process may open for writing too.
pub const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"];

/// Read, where it exists.
const READABLE: &[&str] = &[
    // Libraries, locales, the languages' own modules; extensions, time zones, dictionaries, geographical data. Not /usr itself: programs lie there,
    // which the loader would run if it could read them, and images keep applications in /usr/src.
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libx32",
    "/usr/share",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/local/share",
    // Where a package manager keeps every installation; the world reads it by design.
    "/nix/store",
    "/gnu/store",
    // How the loader finds libraries.
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    // Where we are and who we are.
    "/etc/localtime",
    "/etc/timezone",
    "/etc/locale.alias",
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/services",
    "/etc/protocols",
    // What OpenSSL looks for when pgcrypto or sslinfo start it.
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies",
    "/etc/perl",
    // Debian's text search dictionaries are links that lead here (pg_updatedicts).
    "/var/cache/postgresql/dicts",
    // What a mathematical library asks about the machine.
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
];

/// The loaders of ELF programs, for where a program does not tell its own.
const LOADERS: &[&str] = &["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-aarch64.so.1"];

/// The files that may be executed: the program, and the loader that the kernel starts for it. An error where it is a script, whose
/// interpreter could run everything.
pub fn executable(program: &Path) -> io::Result<Vec<PathBuf>> {
    let mut magic = [0; 4];
    io::Read::read_exact(&mut std::fs::File::open(program)?, &mut magic)?;
    if magic != *b"\x7fELF" {
        return Err(io::Error::other(format!(
            "'{}' is no program but a script: BACKUP_PG_BIN has to name the folder of the server's own programs",
            program.display()
        )));
    }
    let loader = libraries(program).into_iter().find(|library| is_loader(library));
    let loaders = loader.map_or_else(|| LOADERS.iter().map(PathBuf::from).collect(), |loader| vec![loader]);
    Ok(std::iter::once(program.to_owned()).chain(loaders).collect())
}

/// The files and folders that a server of these programs reads. What does not exist is among them.
pub fn readable(program: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = READABLE.iter().map(PathBuf::from).collect();
    // /etc/python3, /etc/python3.11
    paths.extend(entries(Path::new("/etc")).filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python"))));
    // Administrators name folders of libraries there.
    let lists = entries(Path::new("/etc/ld.so.conf.d")).chain([PathBuf::from("/etc/ld.so.conf")]);
    paths.extend(lists.filter_map(|list| std::fs::read_to_string(list).ok()).flat_map(|text| library_folders(&text)));
    let real = std::fs::canonicalize(program).unwrap_or_else(|_| program.to_owned());
    paths.extend([program, &real].into_iter().filter_map(Path::parent).flat_map(installation));
    for library in libraries(program) {
        let real = std::fs::canonicalize(&library).unwrap_or(library);
        // More of its kind are loaded later. A folder that is not one of libraries is not opened for the sake of one.
        let folder = real.parent().filter(|folder| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lib")));
        paths.push(folder.map(Path::to_owned).unwrap_or(real));
    }
    paths.sort();
    paths.dedup();
    paths
}

/// What belongs to the programs in `bin`, in the layouts that PostgreSQL's own build and Debian's packages have.
fn installation(bin: &Path) -> Vec<PathBuf> {
    let Some(prefix) = bin.parent() else { return Vec::new() };
    let mut paths: Vec<PathBuf> = ["lib", "lib64", "share"].iter().map(|name| prefix.join(name)).collect();
    // …/lib/postgresql/15/bin has its share in …/share/postgresql/15.
    if let (Some(major), Some(packages)) = (prefix.file_name(), prefix.parent())
        && packages.ends_with("lib/postgresql")
        && let Some(root) = packages.parent().and_then(Path::parent)
    {
        paths.push(root.join("share/postgresql").join(major));
    }
    paths
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// The folders that a file of the loader's configuration names, one a line (ldconfig(8)).
fn library_folders(text: &str) -> Vec<PathBuf> {
    let line = |line: &str| line.split('#').next().unwrap_or("").trim().to_owned();
    text.lines().map(line).filter(|line| line.len() > 1 && line.starts_with('/')).map(PathBuf::from).collect()
}

/// The libraries that a program is linked to, and its loader, as the loader itself tells them (ld.so(8)). Where it does not, none.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new(program).env_clear().env("LD_TRACE_LOADED_OBJECTS", "1").stdin(std::process::Stdio::null()).output();
    output.map(|output| traced(&String::from_utf8_lossy(&output.stdout))).unwrap_or_default()
}

/// `libz.so.1 => /usr/lib/libz.so.1 (0x00007f…)`, and the loader without an arrow.
fn traced(text: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let (start, _) = line.trim().rsplit_once(" (0x")?;
        let path = start.split_once(" => ").map_or(start, |(_, path)| path);
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    text.lines().filter_map(path).collect()
}

fn is_loader(library: &Path) -> bool {
    library.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-") || name.to_string_lossy().starts_with("ld64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_tells_libraries_and_itself() {
        let text = "\tlinux-vdso.so.1 (0x00007fda)\n\tlibz.so.1 => /opt/pg/bin/../lib/libz.so.1 (0x00007f)\n\tlibgone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let found = traced(text);
        assert_eq!(found, ["/opt/pg/bin/../lib/libz.so.1", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from));
        assert_eq!(found.iter().filter(|library| is_loader(library)).count(), 1);
        let own = std::fs::canonicalize("/proc/self/exe").unwrap();
        assert_eq!(executable(&own).unwrap().len(), 2, "{:?}", libraries(&own));
    }

    #[test]
    fn an_installation_is_found_in_every_layout_and_nothing_beside_it() {
        let check = |bin: &str, expected: &[&str]| assert_eq!(installation(Path::new(bin)), expected.iter().map(PathBuf::from).collect::<Vec<_>>());
        check("/usr/pgsql-16/bin", &["/usr/pgsql-16/lib", "/usr/pgsql-16/lib64", "/usr/pgsql-16/share"]);
        check("/x/lib/postgresql/13/bin", &["/x/lib/postgresql/13/lib", "/x/lib/postgresql/13/lib64", "/x/lib/postgresql/13/share", "/x/share/postgresql/13"]);
        check("/home/me/bin", &["/home/me/lib", "/home/me/lib64", "/home/me/share"]);
    }

    #[test]
    fn what_people_keep_is_in_no_folder_that_is_read() {
        let readable = readable(&std::fs::canonicalize("/proc/self/exe").unwrap());
        for kept in [
            "/backups/app/x",
            "/run/secrets/db",
            "/home/me/.pgpass",
            "/root/.pgpass",
            "/etc/shadow",
            "/etc/ssl/private/key",
            "/proc/1/environ",
            "/tmp/x",
            "/usr/bin/sh",
            "/usr/src/app/.env",
            "/app/.env",
            "/var/lib/postgresql/data/x",
            "/dev/shm/x",
        ] {
            assert!(!readable.iter().any(|path| Path::new(kept).starts_with(path)), "{kept}");
        }
    }

    #[test]
    fn a_script_is_no_program_and_folders_of_libraries_are_lines() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("postgres");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        assert!(executable(&script).unwrap_err().to_string().contains("BACKUP_PG_BIN"));
        assert_eq!(library_folders("# x\n/opt/a/lib\ninclude /etc/x\n /b # c\n/\n"), ["/opt/a/lib", "/b"].map(PathBuf::from));
    }
}
