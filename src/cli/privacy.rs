//! What others on this machine may see of this process, and of the files that it makes.
//! It owns the kernel's switches for that, set before anything else happens; it leaves the rights of single files to `repository`.
//! Invariant: while secrets are in memory, no other process of the same user can read that memory or our environment, and no crash writes it to a disk.

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};

/// What a user's umask may take away: rights of the group and of others. One that takes our own rights as well would give us files that we cannot open again.
const OTHERS: Mode = Mode::RWXG.union(Mode::RWXO);

/// What it always takes away, whatever the user's umask says: nobody but us writes to what we make.
const WRITING: Mode = Mode::WGRP.union(Mode::WOTH);

/// Sets the umask and forbids cores, for this process and its children: pg_dump and a drill's server hold passwords and rows, too.
pub fn of_files() {
    let old = umask(OTHERS);
    umask((old & OTHERS) | WRITING);
    // Lowering a limit is always allowed (setrlimit(2)).
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Closes our memory, environment and open files to other processes of the same user: no ptrace(2), no /proc/PID/mem, no core through a pipe. The
/// kernel opens them again at the next exec, so our own children start as they always did.
pub fn of_memory() {
    // Only a seccomp filter could refuse it (PR_SET_DUMPABLE in prctl(2)), and a backup is worth more than this.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
