//! Whose backups a target's folder holds: one database of one cluster, and what an operator has said to be its continuation.
//! It owns comparing sources and the note of what was said; it leaves asking the server to `preflight`, and refusing a run to `adopt`.
//! Invariant: what is not known is never taken for something else; and no backup of a database that nobody gave up stands for another's.

use super::lock::Lock;
use super::{TargetFolder, files, names};
use crate::error::Result;
use crate::manifest::{Summary, render};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most that the note may hold, in bytes.
const LIMIT: u64 = 1 << 20;

/// A database of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The cluster's own identifier, in decimal digits; nothing where the server did not tell.
    pub system_identifier: Option<String>,
    /// The database's name.
    pub database: String,
}

impl Source {
    /// What a backup is of.
    pub fn of(summary: &Summary) -> Source {
        Source { system_identifier: summary.origin.as_ref().and_then(|origin| origin.system_identifier.clone()), database: summary.database.name.clone() }
    }

    /// Whether both may be the same: an identifier that is not known speaks against nothing.
    pub fn may_be(&self, other: &Source) -> bool {
        let known = self.system_identifier.as_ref().zip(other.system_identifier.as_ref());
        self.database == other.database && known.is_none_or(|(one, other)| one == other)
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.system_identifier {
            Some(cluster) => write!(f, "database '{}' of cluster {cluster}", self.database),
            None => write!(f, "database '{}' of a cluster that does not tell its identifier", self.database),
        }
    }
}

/// One thing that an operator said: what is backed up from now on goes on where the other ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// When.
    pub at: Timestamp,
    /// What the target's newest backup was of.
    pub from: Source,
    /// What it is of from now on.
    pub to: Source,
}

/// All that was said of a target, the oldest first: `adopted.json` in its folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoptions {
    version: u32,
    adopted: Vec<Adoption>,
}

impl Adoptions {
    /// Reads the note. One that is not there, or that nobody understands, says nothing: then the backups speak for themselves.
    pub fn read(target: &TargetFolder) -> Adoptions {
        files::read_note(&target.path.join(names::ADOPTED), LIMIT).filter(|adoptions: &Adoptions| adoptions.version == 1).unwrap_or_default()
    }

    /// Adds to the note. Errors: the folder cannot be written.
    pub fn add(mut self, target: &TargetFolder, adoption: Adoption, _lock: &Lock) -> Result<()> {
        self.version = 1;
        self.adopted.push(adoption);
        files::replace(&target.path.join(names::ADOPTED), &render(&self))
    }

    /// What the next backup has to be of, where the newest one is of `newest`.
    pub fn expected(&self, newest: &Source) -> Source {
        match self.adopted.last() {
            Some(last) if last.from == *newest && last.to != *newest => last.to.clone(),
            _ => newest.clone(),
        }
    }

    fn continues(&self, line: &[Source], source: &Source) -> bool {
        self.adopted.iter().any(|adoption| adoption.to.may_be(source) && line.iter().any(|of| of.may_be(&adoption.from)))
    }
}

/// For each of these sources, oldest first, the number of its line: those that are of one database, or go on where another ended. What is not known has none.
pub fn lines<'a>(sources: impl Iterator<Item = Option<&'a Source>>, adoptions: &Adoptions) -> Vec<Option<usize>> {
    let mut lines: Vec<Vec<Source>> = Vec::new();
    let mut found = Vec::new();
    for source in sources {
        let Some(source) = source else {
            found.push(None);
            continue;
        };
        // The latest line first: what does not tell its cluster goes on with what was last of this name.
        let known = lines.iter().rposition(|line| source.system_identifier.is_some() && line.contains(source));
        let known = known.or_else(|| lines.iter().rposition(|line| line.last().is_some_and(|last| last.may_be(source))));
        let line = known.or_else(|| lines.iter().rposition(|line| adoptions.continues(line, source))).unwrap_or(lines.len());
        if line == lines.len() {
            lines.push(Vec::new());
        }
        if lines[line].last() != Some(source) {
            lines[line].push(source.clone());
        }
        found.push(Some(line));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        let (database, cluster) = text.split_once('@').unwrap_or((text, ""));
        Source { system_identifier: Some(cluster.to_owned()).filter(|cluster| !cluster.is_empty()), database: database.to_owned() }
    }

    fn adoptions(said: &[(&str, &str)]) -> Adoptions {
        let adopted = said.iter().map(|(from, to)| Adoption { at: Timestamp::UNIX_EPOCH, from: source(from), to: source(to) });
        Adoptions { version: 1, adopted: adopted.collect() }
    }

    #[test]
    fn an_identifier_that_is_not_known_is_no_other_one() {
        assert!(source("shop@1").may_be(&source("shop@1")) && source("shop").may_be(&source("shop@1")) && source("shop@1").may_be(&source("shop")));
        assert!(!source("shop@1").may_be(&source("shop@2")) && !source("shop@1").may_be(&source("blog@1")) && !source("shop").may_be(&source("blog")));
    }

    #[test]
    fn what_was_adopted_last_is_expected_until_a_backup_of_it_is_there() {
        let expected = |newest: &str, said: &[(&str, &str)]| adoptions(said).expected(&source(newest));
        assert_eq!(expected("shop@1", &[]), source("shop@1"));
        assert_eq!(expected("shop@1", &[("shop@1", "shop@2")]), source("shop@2"));
        assert_eq!(expected("shop@2", &[("shop@1", "shop@2")]), source("shop@2"));
        assert_eq!(expected("shop@2", &[("shop@1", "shop@2"), ("shop@2", "shop@1")]), source("shop@1"));
        assert_eq!(expected("shop@1", &[("shop@1", "shop@2"), ("shop@2", "shop@1")]), source("shop@1"));
    }

    #[test]
    fn lines_are_databases_and_what_goes_on_where_another_ended() {
        let of = |texts: &[&str], said: &[(&str, &str)]| {
            let sources: Vec<Option<Source>> = texts.iter().map(|text| Some(source(text))).collect();
            lines(sources.iter().map(Option::as_ref), &adoptions(said)).into_iter().flatten().collect::<Vec<usize>>()
        };
        assert_eq!(of(&["shop@1", "shop@1", "blog@1", "shop@1"], &[]), [0, 0, 1, 0]);
        assert_eq!(of(&["shop@1", "shop@2"], &[]), [0, 1]);
        assert_eq!(of(&["shop@1", "shop@2", "shop@2"], &[("shop@1", "shop@2")]), [0, 0, 0]);
        // Backups of before say nothing of their cluster.
        assert_eq!(of(&["shop", "shop@1", "shop@2", "shop"], &[]), [0, 0, 1, 1]);
        assert_eq!(of(&["shop@1", "blog@1", "shop@3"], &[("shop@1", "blog@1")]), [0, 0, 1]);
    }
}
