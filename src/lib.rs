//! Kluis backs up PostgreSQL databases and proves each backup by restoring it.
//!
//! The library is the engine; the binary parses, dispatches and prints. `docs/ARCHITECTURE.md` is the map.

#![cfg_attr(test, allow(clippy::unit_arg))]

pub mod adopt;
pub mod board;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod compare;
pub mod config;
pub mod daemon;
pub mod drill;
pub mod dump;
pub mod error;
pub mod events;
pub mod exception;
pub mod extensions;
pub mod finding;
pub mod globals;
pub mod http;
pub mod log;
pub mod manifest;
pub mod metrics;
pub mod notes;
pub mod notify;
pub mod page;
pub mod past;
pub mod postgres;
pub mod preflight;
pub mod proof;
pub mod prune;
pub mod raw;
pub mod receiver;
pub mod repository;
pub mod restore;
pub mod retention;
pub mod run;
pub mod schedule;
pub mod script;
pub mod shrinkage;
pub mod status;
pub mod stop;
pub mod units;
pub mod verify;

pub use error::{Error, Kind, Result};
