//! The integration tests: the real binary against real servers, one module a subject.

// Helpers for tests that are still to come; skips are told on stderr; the watcher of the servers outlives us on purpose.
#![allow(dead_code, clippy::print_stderr, clippy::unit_arg, clippy::zombie_processes)]

mod bad_days;
mod cli;
mod demo;
mod fidelity;
mod layers;
mod malformed;
mod restore;
mod schedule;
mod schedule_oracle;
mod snapshot;
mod standby;
mod support;
mod throwaway;
