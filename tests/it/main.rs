//! The integration tests: the real binary against real servers, one module a subject.

// Skips are told on stderr; the watcher of the servers outlives us on purpose.
#![allow(clippy::print_stderr, clippy::unit_arg, clippy::zombie_processes)]

mod adopt;
mod announced;
mod bad_days;
mod cli;
mod clocks;
mod computing;
mod containers;
mod demo;
mod documents;
mod drill;
mod due;
mod encodings;
mod every_setting;
mod except;
mod extensions;
mod fidelity;
mod formats;
mod hostile;
mod http;
mod input;
mod inventory;
mod layers;
mod malformed;
mod managed;
mod money;
mod notes;
mod notify;
mod origin;
mod properties;
mod reading;
mod refusals;
mod relied;
mod restore;
mod restore_roles;
mod roles;
mod sandbox;
mod scale;
mod schedule;
mod schedule_oracle;
mod secrets;
mod serve;
mod settings;
mod shrinkage;
mod snapshot;
mod standby;
mod status;
mod support;
mod swap;
mod tables;
mod takeover;
mod throwaway;
