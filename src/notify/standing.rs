//! How things stand with the receivers: what the repository's notes remember of each.
//! It owns the notes' names and reading them; it leaves what is in them to `decide`, and telling to `post`.
//! Invariant: one receiver's note is never another's, whoever shares the repository.

use super::decide::Memory;
use super::request;
use crate::receiver::Receiver;
use crate::repository::Repository;
use crate::repository::notebook::Notebook;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// How things stand with a receiver.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Standing {
    /// Its kind.
    pub kind: &'static str,
    /// Its host.
    pub host: String,
    /// Messages that it took.
    pub deliveries: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Of them, since it last took one.
    pub failures_in_a_row: u32,
    /// When it last took one.
    pub last_delivery: Option<Timestamp>,
    /// When an attempt last failed.
    pub last_failure: Option<Timestamp>,
    /// Why.
    pub last_reason: Option<String>,
}

/// What a receiver knows. A note that cannot be read counts as none: better told twice than never.
pub(super) fn noted(notebook: &Notebook) -> Memory {
    notebook.read().ok().flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// How things stand with all receivers, by what the repository remembers.
pub fn standings(repository: &Repository, receivers: &[Receiver]) -> Vec<Standing> {
    let names = note_names(repository, receivers);
    let stand = |(receiver, name): (&Receiver, String)| {
        let memory = noted(&Notebook::new(repository, &name));
        let (last_failure, last_reason) = memory.last_failure.unzip();
        Standing {
            kind: receiver.kind.word(),
            host: receiver.host.clone(),
            deliveries: memory.deliveries,
            failures: memory.failures,
            failures_in_a_row: memory.in_a_row,
            last_delivery: memory.last_delivery,
            last_failure,
            last_reason,
        }
    };
    receivers.iter().zip(names).map(stand).collect()
}

/// The names of the receivers' notes: kind, host, and a hash of all that tells one from another, keyed by the repository's id: several configurations may share
/// a repository, and none of them knows of the others' receivers. A number where one stands there twice.
pub(super) fn note_names(repository: &Repository, receivers: &[Receiver]) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let key = repository.id().ok().flatten().unwrap_or_default();
    let name = |receiver: &Receiver| {
        let name = format!("{}-{}-{}", receiver.kind.word(), receiver.host, request::fingerprint(&key, &receiver.identity()));
        let count = counts.entry(name.clone()).or_default();
        *count += 1;
        format!("{name}-{count}")
    };
    receivers.iter().map(name).collect()
}
