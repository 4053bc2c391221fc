//! The resolved settings, for `kluis config` to print.
//! It owns their shape as rows and as JSON; it leaves resolving to the readers and printing to `cli`.
//! A secret is `***` before it gets here.

use serde_json::{Value, json};

use super::problem::Origin;
use super::types::{Config, RepositoryConfig};

/// One resolved setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The target that it is for; `None` when it holds for all.
    pub target: Option<String>,
    /// The variable's name.
    pub key: &'static str,
    /// The value as a user would type it; `***` for a secret, empty for none.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

impl Config {
    /// The resolved settings with their origins, those for all targets first.
    pub fn render(&self) -> &[Setting] {
        &self.settings
    }

    /// The same as JSON.
    pub fn to_json(&self) -> Value {
        as_json(&self.settings, &self.warnings)
    }
}

impl RepositoryConfig {
    /// The resolved settings with their origins, those for all targets first.
    pub fn render(&self) -> &[Setting] {
        &self.settings
    }

    /// The same as JSON.
    pub fn to_json(&self) -> Value {
        as_json(&self.settings, &self.warnings)
    }
}

fn as_json(settings: &[Setting], warnings: &[String]) -> Value {
    let rows: Vec<Value> =
        settings.iter().map(|row| json!({ "target": row.target, "key": row.key, "value": row.value, "origin": row.origin.to_string() })).collect();
    json!({ "settings": rows, "warnings": warnings })
}
