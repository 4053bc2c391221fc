//! What no dump of PostgreSQL brings back: the fixed list of classes that a proof may except, and what of a database falls into one.
//! It owns the classes, their words on disk and in English; it leaves finding them to the drill. Pure.
//! Invariant: a class is on this list only if PostgreSQL's own tools cannot bring it back and the data is whole without it.

use serde::{Deserialize, Serialize};

/// A class of things that no dump brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Class {
    /// An index that the source marks as invalid: pg_dump leaves it out.
    InvalidIndex,
    /// A trigger of a foreign key that is disabled in the source and enabled after a restore.
    DisabledForeignKey,
    /// An object that somebody made in `pg_catalog` or `information_schema`.
    SystemSchema,
    /// An object that was added to an extension, or a property of one that the extension's script sets otherwise.
    ExtensionMember,
    /// An extension of another version than the one that a restore installs.
    ExtensionVersion,
    /// The state of a subscription: whether it was enabled, and how far it was.
    Subscription,
    /// A replication slot.
    ReplicationSlot,
    /// A prepared transaction: its rows are not committed, so they are in no snapshot.
    PreparedTransaction,
    /// A security label whose provider this machine does not load.
    SecurityLabel,
    /// What the backup's role may not read, and was announced as such.
    Unreadable,
    /// A generated column whose expression gives another value today than when the row was written.
    GeneratedColumn,
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 11] = [
        Class::InvalidIndex,
        Class::DisabledForeignKey,
        Class::SystemSchema,
        Class::ExtensionMember,
        Class::ExtensionVersion,
        Class::Subscription,
        Class::ReplicationSlot,
        Class::PreparedTransaction,
        Class::SecurityLabel,
        Class::Unreadable,
        Class::GeneratedColumn,
    ];

    /// What is not brought back, for a sentence such as "proven, except for an invalid index".
    pub fn describe(self) -> &'static str {
        match self {
            Class::InvalidIndex => "invalid index",
            Class::DisabledForeignKey => "disabled trigger of a foreign key",
            Class::SystemSchema => "object in a system schema",
            Class::ExtensionMember => "change to an extension's own objects",
            Class::ExtensionVersion => "extension's version",
            Class::Subscription => "state of a subscription",
            Class::ReplicationSlot => "replication slot",
            Class::PreparedTransaction => "prepared transaction",
            Class::SecurityLabel => "security label without its provider",
            Class::Unreadable => "what the backup's role may not read",
            Class::GeneratedColumn => "generated column that is computed anew",
        }
    }
}

/// One thing that a restore of this backup will not bring back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Exception {
    /// Its class.
    pub class: Class,
    /// Which object, for instance `index public.orders_by_note`, on one line. It names objects, never a row's value.
    pub object: String,
}

impl Exception {
    /// An exception of that class.
    pub fn new(class: Class, object: impl Into<String>) -> Exception {
        Exception { class, object: object.into() }
    }
}

impl std::fmt::Display for Exception {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.class.describe(), self.object)
    }
}
