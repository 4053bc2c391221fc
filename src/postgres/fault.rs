//! What an error says of the machine that it happened on: something is not installed, full, or out of reach.
//! It owns telling that from the SQLSTATE and, before it is withheld, from the message; it leaves what to do about it to whoever shows it.
//! Invariant: nothing of a message is kept. What is not known to be the machine's is nobody's fault here.

use super::server_error::ServerError;
use crate::error::Error;
use std::fmt;

/// What a machine lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The files of an extension.
    Extension,
    /// A library that the server loads.
    Library,
    /// A library that has to be there from the server's start (`shared_preload_libraries`).
    Preload,
    /// A locale of the operating system.
    Locale,
    /// Support for ICU, or ICU's own data.
    Icu,
    /// Room on the disk.
    Disk,
    /// Memory.
    Memory,
    /// Shared memory.
    SharedMemory,
    /// Another server, which a foreign table or a function reaches out for.
    OtherServer,
    /// A file or a program that is none of the server's, which a drill's sandbox keeps away.
    Outside,
    /// The server itself: it went down.
    Server,
    /// Something else of the operating system.
    System,
}

/// Messages of PostgreSQL, its extensions and its tools.
const MESSAGES: &[(&str, Fault)] = &[
    ("could not open extension control file", Fault::Extension),
    ("could not execute command", Fault::Outside),
    ("could not open file \"\" for reading: Permission denied", Fault::Outside),
    ("could not open file \"\" for writing: Permission denied", Fault::Outside),
    ("could not open server file \"\": Permission denied", Fault::Outside),
    ("could not create server file \"\": Permission denied", Fault::Outside),
    ("could not open directory \"\": Permission denied", Fault::Outside),
    ("\" is not available", Fault::Extension),
    ("has no installation script nor update path", Fault::Extension),
    ("could not access file", Fault::Library),
    ("could not load library", Fault::Library),
    ("must be loaded via", Fault::Preload),
    ("must be preloaded", Fault::Preload),
    ("shared_preload_libraries", Fault::Preload),
    ("unrecognized configuration parameter", Fault::Preload),
    ("could not create locale", Fault::Locale),
    ("collations with different collate", Fault::Locale),
    ("invalid locale name", Fault::Locale),
    ("\" for encoding \"", Fault::Locale),
    ("could not open collator", Fault::Icu),
    ("ICU is not supported in this build", Fault::Icu),
    ("could not find ICU", Fault::Icu),
    ("No space left on device", Fault::Disk),
    ("Disk quota exceeded", Fault::Disk),
    ("could not resize shared memory", Fault::SharedMemory),
    ("out of shared memory", Fault::SharedMemory),
    ("out of memory", Fault::Memory),
    ("could not connect to server", Fault::OtherServer),
    ("could not establish connection", Fault::OtherServer),
    ("connection to server at", Fault::OtherServer),
    ("connection to server on", Fault::OtherServer),
];

impl Fault {
    /// What the server's code says, with the message where the code alone leaves it open.
    pub(crate) fn of_server(code: &str, message: &str) -> Option<Fault> {
        match code {
            "53100" => Some(Fault::Disk),
            "53200" => Fault::of_message(message).or(Some(Fault::Memory)),
            "57P01" | "57P02" | "57P03" => Some(Fault::Server),
            "58P01" => Fault::of_message(message).or(Some(Fault::Library)),
            // A foreign server that could not be reached (postgres_fdw, dblink).
            "08001" | "08003" | "08006" | "HV00N" => Some(Fault::OtherServer),
            _ if code.starts_with("53") || code.starts_with("58") => Fault::of_message(message).or(Some(Fault::System)),
            // Codes that these messages come with, and others' data as well: the message decides.
            "0A000" | "42501" | "42704" | "22023" | "55000" | "XX000" | "F0000" => Fault::of_message(message),
            _ => None,
        }
    }

    /// What a tool's message says.
    pub(crate) fn of_message(message: &str) -> Option<Fault> {
        // What stands in quotes is a name or a value, which may say anything.
        let message = message.split('"').enumerate().map(|(place, part)| if place % 2 == 0 { part } else { "" }).collect::<Vec<_>>().join("\"");
        MESSAGES.iter().find(|(words, _)| message.contains(words)).map(|(_, fault)| *fault)
    }

    /// What an error says, in any of its causes.
    pub fn of(error: &Error) -> Option<Fault> {
        if let Some(server) = ServerError::of(error) {
            return server.fault;
        }
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            if let Some(said) = cause.downcast_ref::<Said>() {
                return said.fault;
            }
            source = cause.source();
        }
        None
    }
}

/// What a tool complained of, as far as it may be shown, with what the whole of it says of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What may be shown.
    pub text: String,
    /// What it says of the machine.
    pub fault: Option<Fault>,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Said {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_comes_first_and_a_value_decides_nothing() {
        let check = |code: &str, message: &str, expected| assert_eq!(Fault::of_server(code, message), expected, "{code}: {message}");
        check("53100", "anything", Some(Fault::Disk));
        check("58P01", "could not open extension control file \"x\": No such file", Some(Fault::Extension));
        check("58P01", "could not access file \"x\"", Some(Fault::Library));
        check("0A000", "extension \"x\" is not available", Some(Fault::Extension));
        check("08001", "anything", Some(Fault::OtherServer));
        check("53200", "could not execute command \"id\": Cannot allocate memory", Some(Fault::Outside));
        check("42501", "could not open file \"/etc/shadow\" for reading: Permission denied", Some(Fault::Outside));
        check("42501", "permission denied for table t", None);
        check("22P02", "invalid input syntax for type integer: \"No space left on device\"", None);
        check("22023", "invalid value: \"could not create locale\"", None);
        check("P0001", "out of memory, the application says", None);
        check("42P01", "relation \"could not load library\" does not exist", None);
    }
}
