//! The settings of a throwaway server: fast, small and silent, since nothing in it matters.
//! It owns the list and its reasons; it leaves starting to the parent. Pure.
//! Invariant: given on the command line, they win over every file, and over `ALTER SYSTEM` in what is restored.

use super::{Options, PORT};
use crate::extensions;
use std::ffi::OsString;
use std::path::Path;

/// How much memory a throwaway server may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// The buffers, in megabytes. Pages that do not fit lie in the kernel's cache: more than a little gains nothing for a restore.
    pub shared_buffers: u32,
    /// For each index that is being built, in megabytes.
    pub maintenance: u32,
}

impl Default for Memory {
    fn default() -> Self {
        Memory { shared_buffers: 128, maintenance: 128 }
    }
}

/// What does not depend on anything.
const FIXED: &[(&str, &str)] = &[
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("cluster_name", "kluis-throwaway"),
    // Nothing needs to survive.
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("archive_mode", "off"),
    ("wal_init_zero", "off"),
    ("wal_buffers", "16MB"),
    ("max_wal_size", "2GB"),
    ("checkpoint_timeout", "1h"),
    // Nobody looks at its statistics, and work that nobody asked for would disturb the neighbours.
    ("autovacuum", "off"),
    ("jit", "off"),
    // A subscription that was restored must not reach out for its publisher.
    ("max_logical_replication_workers", "0"),
    // A server that crashed is no judge of anything: it must not quietly come back.
    ("restart_after_crash", "off"),
    // pg_dump locks every table in one transaction, and the room for locks is shared by few sessions.
    ("max_locks_per_transaction", "1024"),
    // Nothing in /dev/shm, and no huge pages that the neighbours may need.
    ("shared_memory_type", "mmap"),
    ("dynamic_shared_memory_type", "mmap"),
    ("huge_pages", "off"),
    // Its log may hold row values: it goes to our pipe, and only what names the reason of a failed start is kept of it.
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    ("log_line_prefix", "postgres: "),
    ("log_min_messages", "fatal"),
    ("log_min_error_statement", "panic"),
];

/// The arguments of `postgres`, with these libraries to be preloaded.
pub fn arguments(options: &Options<'_>, preload: &[String], data: &Path) -> Vec<OsString> {
    let mut settings: Vec<(&str, String)> = FIXED.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    // A list: the quotes make a comma or a space in the path part of its one name (SplitDirectoriesString in varlena.c).
    settings.push(("unix_socket_directories", format!("\"{}\"", data.to_string_lossy().replace('"', "\"\""))));
    settings.push(("port", PORT.to_string()));
    // Three are kept for superusers, and a few more are for whoever looks on.
    settings.push(("max_connections", (options.sessions + 10).to_string()));
    settings.push(("shared_buffers", format!("{}MB", options.memory.shared_buffers)));
    settings.push(("maintenance_work_mem", format!("{}MB", options.memory.maintenance)));
    if options.tools.major >= 14 {
        // A session in the middle of a long statement notices that we are gone.
        settings.push(("client_connection_check_interval", "2s".to_owned()));
    }
    if !preload.is_empty() {
        let quoted: Vec<String> = preload.iter().map(|library| format!("\"{}\"", library.replace('"', "\"\""))).collect();
        settings.push(("shared_preload_libraries", quoted.join(",")));
        if !extensions::are_quiet(preload) {
            // No process of an extension's own comes to life: none of its jobs runs, and none holds the database that is to be dropped. The price is
            // that no index is built by several processes.
            settings.push(("max_worker_processes", "0".to_owned()));
        }
    }
    settings.extend(options.settings.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let mut arguments: Vec<OsString> = vec!["-D".into(), data.into()];
    for (name, value) in settings {
        arguments.extend(["-c".into(), format!("{name}={value}").into()]);
    }
    arguments
}
