//! What no dump of PostgreSQL brings back: the fixed list of classes that a proof may except, and what of a database falls into one.
//! It owns the classes, their words on disk and in English; it leaves finding them to the drill. Pure.
//! Invariant: a class is on this list only if PostgreSQL's own tools cannot bring it back and the data is whole without it.

use crate::units::{cut, format_count};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many exceptions a proof lists. The others are counted.
pub const MOST: usize = 100;

/// How many are named where new ones are told.
const TOLD: usize = 10;

/// The longest name of an object that is listed, in characters.
const LONGEST: usize = 300;

/// A class of things that no dump brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Class {
    /// An index that the source marks as invalid: pg_dump leaves it out.
    InvalidIndex,
    /// A trigger of a foreign key that is disabled in the source and enabled after a restore.
    DisabledForeignKey,
    /// An object that somebody made in `pg_catalog` or `information_schema`, or a change to one that was there.
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
    /// A right or a comment on an object that pg_dump does not list by itself, as it comes with another one: an inherited constraint, a partition's trigger,
    /// a range type's constructor; with pg_dump 14, the sequence of an identity column. What else such an object is that is
    /// told of the other one alone: that an inherited constraint is valid where its parent's is not, the type of an identity column's sequence, the name of a NOT
    /// NULL that the server would have chosen itself, had no other table taken it.
    Accessory,
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 12] = [
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
        Class::Accessory,
    ];

    /// What is not brought back, for a sentence such as "proven, except for an invalid index".
    pub fn describe(self) -> &'static str {
        match self {
            Class::InvalidIndex => "invalid index",
            Class::DisabledForeignKey => "disabled trigger of a foreign key",
            Class::SystemSchema => "object or change in a system schema",
            Class::ExtensionMember => "change to an extension's own objects",
            Class::ExtensionVersion => "extension's version",
            Class::Subscription => "state of a subscription",
            Class::ReplicationSlot => "replication slot",
            Class::PreparedTransaction => "prepared transaction",
            Class::SecurityLabel => "security label without its provider",
            Class::Unreadable => "what the backup's role may not read",
            Class::GeneratedColumn => "generated column that is computed anew",
            Class::Accessory => "right, comment, name or state of what comes with another object",
        }
    }

    /// Its word on disk, in JSON and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Class::InvalidIndex => "invalid-index",
            Class::DisabledForeignKey => "disabled-foreign-key",
            Class::SystemSchema => "system-schema",
            Class::ExtensionMember => "extension-member",
            Class::ExtensionVersion => "extension-version",
            Class::Subscription => "subscription",
            Class::ReplicationSlot => "replication-slot",
            Class::PreparedTransaction => "prepared-transaction",
            Class::SecurityLabel => "security-label",
            Class::Unreadable => "unreadable",
            Class::GeneratedColumn => "generated-column",
            Class::Accessory => "accessory",
        }
    }

    /// What to do by hand after a restore, in a sentence or two without a full stop at the end.
    pub fn by_hand(self) -> &'static str {
        match self {
            Class::InvalidIndex => {
                "where the index is wanted, run its CREATE INDEX in the restored database; at the source, REINDEX INDEX or DROP INDEX ends this"
            }
            Class::DisabledForeignKey => {
                "the foreign key is checked again after a restore. Where it has to stay off, a superuser runs ALTER TABLE … DISABLE TRIGGER … for both of its tables"
            }
            Class::SystemSchema => {
                "pg_dump leaves out what lies in a system schema. Create the object, or make the change, again by hand; better in a schema of your own"
            }
            Class::ExtensionMember => {
                "CREATE EXTENSION makes the extension as its own script has it. Make the change once more: the object itself, ALTER EXTENSION … ADD, ALTER or GRANT"
            }
            Class::ExtensionVersion => {
                "a restore installs the version that the new server has by default. Install the packages of this one there, then ALTER EXTENSION … UPDATE TO"
            }
            Class::Subscription => {
                "a restore creates the subscription disabled and from its beginning. Only if the new database takes over: ALTER SUBSCRIPTION … ENABLE, then REFRESH PUBLICATION"
            }
            Class::ReplicationSlot => {
                "create the slot again with pg_create_physical_replication_slot or pg_create_logical_replication_slot, and copy its consumer anew"
            }
            Class::PreparedTransaction => "it was not committed, so its rows are in no backup. At the source, COMMIT PREPARED or ROLLBACK PREPARED ends it",
            Class::SecurityLabel => "load the label's provider on the new server (shared_preload_libraries), then run SECURITY LABEL again",
            Class::Unreadable => "make it again by hand; for later backups give the backup's role the right to read it: kluis doctor says which",
            Class::GeneratedColumn => {
                "a restore computes the column anew. Where the old values matter, read them from the source, and store them in a plain column"
            }
            Class::Accessory => {
                "run GRANT, REVOKE, COMMENT ON, ALTER TABLE … VALIDATE CONSTRAINT, ALTER TABLE … RENAME CONSTRAINT or ALTER SEQUENCE … AS again in the restored database"
            }
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

/// What a proof excepts: a list of bounded length, sorted, and how many of each class it leaves out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exceptions {
    /// At most [`MOST`] of them.
    #[serde(default, rename = "exceptions")]
    pub listed: Vec<Exception>,
    /// How many more there are, by class.
    #[serde(default, rename = "exceptions_unlisted", skip_serializing_if = "BTreeMap::is_empty")]
    pub unlisted: BTreeMap<Class, u64>,
}

impl Exceptions {
    /// All that was found, each once, in order, and cut to what is kept.
    pub fn of(found: &[Exception]) -> Exceptions {
        let all: BTreeSet<Exception> = found.iter().map(|exception| Exception::new(exception.class, cut(&exception.object, LONGEST))).collect();
        let mut listed: Vec<Exception> = all.into_iter().collect();
        let mut unlisted = BTreeMap::new();
        for exception in listed.iter().skip(MOST) {
            *unlisted.entry(exception.class).or_default() += 1;
        }
        listed.truncate(MOST);
        Exceptions { listed, unlisted }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.listed.len() as u64 + self.unlisted.values().sum::<u64>()
    }

    /// How many there are of a class.
    pub fn count_of(&self, class: Class) -> u64 {
        self.listed.iter().filter(|exception| exception.class == class).count() as u64 + self.unlisted.get(&class).copied().unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Those that `before` did not have. Where a list was cut, as many of the class as it grew by: none is called new that may have been there.
    pub fn new_since(&self, before: &Exceptions) -> Exceptions {
        let mut new = Exceptions::default();
        for class in Class::ALL {
            let of = |exceptions: &Exceptions| exceptions.listed.iter().filter(|exception| exception.class == class).cloned().collect::<BTreeSet<_>>();
            let (now, old) = (of(self), of(before));
            let unseen: Vec<Exception> = now.difference(&old).cloned().collect();
            let grown = self.count_of(class).saturating_sub(before.count_of(class));
            let cut_before = before.unlisted.contains_key(&class);
            // What was listed and no longer is may be among those that are left out now.
            let hidden = self.unlisted.get(&class).copied().unwrap_or(0).saturating_sub(old.difference(&now).count() as u64);
            let (named, more) = if cut_before {
                let named = unseen.len().min(usize::try_from(grown).unwrap_or(usize::MAX));
                (named, grown - named as u64)
            } else {
                (unseen.len(), hidden)
            };
            new.listed.extend(unseen.into_iter().take(named));
            if more > 0 {
                new.unlisted.insert(class, more);
            }
        }
        new
    }

    /// What is told of exceptions that are new; nothing where there are none.
    pub fn news(&self) -> Option<String> {
        (!self.is_empty()).then(|| format!("new exceptions from the proof, which no dump brings back: {}", self.lines(TOLD).join("; ")))
    }

    /// The first `most` of them, a text each, and at the end how many more there are.
    pub fn lines(&self, most: usize) -> Vec<String> {
        let mut lines: Vec<String> = self.listed.iter().take(most).map(ToString::to_string).collect();
        let more = self.count() - lines.len() as u64;
        lines.extend((more > 0).then(|| format!("and {} more", format_count(more))));
        lines
    }
}

/// A standing's word with what it excepts: `proven, except 2`.
pub fn verdict(word: &str, exceptions: u64) -> String {
    if exceptions == 0 { word.to_owned() } else { format!("{word}, except {}", format_count(exceptions)) }
}

impl std::fmt::Display for Exception {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.class.describe(), self.object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exceptions written as letters, one an object; `i` and `s` in front of it are the class.
    fn some(objects: &str) -> Vec<Exception> {
        let of = |word: &str| Exception::new(if word.starts_with('i') { Class::InvalidIndex } else { Class::ReplicationSlot }, &word[1..]);
        objects.split_whitespace().map(of).collect()
    }

    #[track_caller]
    fn check(before: &str, now: &str, new: &str) {
        assert_eq!(Exceptions::of(&some(now)).new_since(&Exceptions::of(&some(before))), Exceptions::of(&some(new)), "from '{before}' to '{now}'");
    }

    #[test]
    fn only_what_was_not_there_is_new() {
        check("", "", "");
        check("", "ia sb", "ia sb");
        check("ia sb", "sb ia", "");
        check("ia", "ia ib", "ib");
        check("ia", "sa", "sa");
        check("ia ib", "ib", "");
        check("ia", "ib", "ib");
    }

    fn many(from: usize, to: usize) -> Exceptions {
        Exceptions::of(&(from..to).map(|number| Exception::new(Class::InvalidIndex, format!("{number:05}"))).collect::<Vec<_>>())
    }

    #[test]
    fn a_list_that_was_cut_calls_nothing_new_that_may_have_been_there() {
        assert_eq!((many(0, 250).listed.len(), many(0, 250).count(), many(0, 250).count_of(Class::InvalidIndex)), (MOST, 250, 250));
        assert!(many(0, 250).new_since(&many(0, 250)).is_empty());
        // Ten at the front are gone, so ten that were left out are listed now.
        assert!(many(10, 250).new_since(&many(0, 250)).is_empty());
        assert_eq!(many(0, 253).new_since(&many(0, 250)).count(), 3);
        assert_eq!(many(0, 250).new_since(&many(5, 250)).listed.len(), 5);
        assert_eq!(many(0, 250).new_since(&many(0, 90)).count(), 160);
        assert_eq!(many(0, 250).new_since(&Exceptions::default()).count(), 250);
    }

    #[test]
    fn every_class_has_its_word_on_disk_and_something_to_do() {
        for class in Class::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class.word());
            assert!(!class.by_hand().is_empty() && !class.by_hand().ends_with('.') && !class.describe().ends_with('.'));
        }
    }

    #[test]
    fn lists_and_names_are_bounded() {
        assert_eq!(many(0, 250).lines(2), ["invalid index: 00000", "invalid index: 00001", "and 248 more"]);
        assert_eq!(Exceptions::of(&some("ia")).lines(1), ["invalid index: a"]);
        let long = Exceptions::of(&[Exception::new(Class::SystemSchema, "é".repeat(5000))]);
        assert_eq!(long.listed[0].object.chars().count(), LONGEST + 1);
    }
}
