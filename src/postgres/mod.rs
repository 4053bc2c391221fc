//! PostgreSQL: how to reach it, how to speak to it, what it holds.
//!
//! Owns the connection's description and the wire; leaves what a dump or a restore means to the engine.
//! Invariant: no password and no row value leaves this module in a message.

mod auth;
pub mod cancel;
pub mod catalogue;
pub mod child;
pub mod connection;
pub mod contents;
pub mod copy;
pub mod fault;
mod frame;
pub mod inventory;
pub mod opening;
pub mod origin;
pub mod passfile;
pub mod preload;
pub mod properties;
pub mod quote;
pub mod reach;
pub mod roles;
pub mod sandbox;
pub mod server_error;
pub mod session;
mod socket;
pub mod sqlstate;
mod startup;
pub mod throwaway;
mod tls;
pub mod tools;
pub mod url;
