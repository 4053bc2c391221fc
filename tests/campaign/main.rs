//! The campaigns: faults by the hundred, against the real binary, real servers and real files. One module a campaign; `scripts/campaign` runs one at
//! any size, and each test run does a short slice of all.

// Skips are told on stderr; the watcher of the servers outlives us on purpose; and what the other test binary needs is not all needed here.
#![allow(clippy::print_stderr, clippy::unit_arg, clippy::zombie_processes)]

mod corpus;
mod damage;
mod ddl;
mod disk;
mod generate;
mod judges;
mod kill;
mod knob;
mod network;
mod power;
mod proxy;
mod soak;
#[path = "../it/support/mod.rs"]
#[allow(dead_code)]
mod support;
mod syscalls;
mod tracer;
mod world;
