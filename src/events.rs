//! What a job tells whoever listens: a progress bar, a log, a status page.
//! It owns the list of events; it leaves showing them to the listeners. A listener must be quick: the row path waits for it.
//! Invariant: an event holds names, counts and durations, never a secret or a row value.

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// A step began: `lock`, `preflight`, `dump`, `seal`, `publish`, `prove`, `prune`, `report`, `restore`, …
    Step(&'a str),
    /// How much there is to move: an estimate in bytes of the tables on the server's disk or, for a restore, of the plain rows.
    Total {
        /// Bytes.
        bytes: u64,
        /// Tables.
        tables: u64,
    },
    /// Rows were moved.
    Moved {
        /// Bytes of the same sort as in `Total`.
        bytes: u64,
        /// Rows.
        rows: u64,
    },
    /// All rows of a table were moved.
    Table,
    /// Something that the operator should know.
    Warning(&'a str),
    /// Something that will not be done, told before anything is written.
    Beforehand(&'a str),
}

/// Listens to a job. Called from several threads.
pub trait Observer: Sync {
    /// Takes note of an event.
    fn event(&self, event: &Event<'_>);
}

/// Listens to nothing.
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: &Event<'_>) {}
}
