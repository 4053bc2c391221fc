//! The script: one `.sql.gz` that stock tools restore and that Kluis reads at random.
//! It owns gzip members, units, sections and content digests; it knows no PostgreSQL and no paths.
//! Invariant: every byte of a script lies in exactly one section, every section is a run of whole gzip members (RFC 1952).

pub mod digest;
pub mod gzip;
pub mod huffman;
pub mod objects;
pub mod reader;
pub mod statements;
pub mod unit;
pub mod writer;

/// How many bytes of rows one unit holds before it is closed. The compression ratio is flat from 256 KiB up,
/// and the memory of a run is workers × this.
pub const UNIT_BYTES: usize = 1 << 20;

/// The names of the sections, in the order in which they stand in a script.
pub mod section {
    /// Everything that must exist before rows.
    pub const PRE_DATA: &str = "pre-data";
    /// The rows that Kluis moved.
    pub const UNITS: &str = "units";
    /// The large objects, as SQL.
    pub const LARGE_OBJECTS: &str = "large-objects";
    /// The data that pg_dump moved.
    pub const DATA: &str = "data";
    /// Indexes, constraints, triggers.
    pub const POST_DATA: &str = "post-data";
    /// The closing marker.
    pub const END: &str = "end";
}

/// The last line of every script: one that lacks it was cut short.
pub const CLOSING_MARKER: &str = "-- Kluis: the script is complete\n";
