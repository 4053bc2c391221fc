//! `kluis config`: the settings in force, and where each one comes from.
//! It owns the table; it leaves resolving to `config`.
//! Invariant: a secret is `***` before it gets here.

use super::doctor::too_short;
use super::output::BOLD;
use super::text::{Cell, clean};
use super::{Context, End};
use crate::error::Result;
use crate::repository::Repository;

/// Runs the command. `--json` prints `{"settings": [{"target", "key", "value", "origin"}, …], "warnings": […]}`; `target` is null for what holds for all.
pub fn run(context: &Context) -> Result<End> {
    let (mut config, output) = (context.config()?, &context.output);
    // By what the repository tells, as far as there is one.
    let repository = Repository::open(&config.common.dir).ok();
    for target in &config.targets {
        if let Some(short) = too_short(repository.as_ref(), &target.name, &target.settings) {
            let short = format!("target '{}': {short}", target.name);
            output.warning(&short);
            config.warnings.push(short);
        }
    }
    if output.json {
        output.json(&config.to_json())?;
        return Ok(End::Done);
    }
    let mut text = String::new();
    let mut groups: Vec<Option<&String>> = Vec::new();
    for setting in config.render() {
        if !groups.contains(&setting.target.as_ref()) {
            groups.push(setting.target.as_ref());
        }
    }
    for group in groups {
        if !text.is_empty() {
            text.push('\n');
        }
        let heading = group.map_or_else(|| "all targets".to_owned(), |name| format!("target {}", clean(name)));
        text.push_str(&format!("{}\n", output.paint(BOLD, &heading)));
        let of_group = config.render().iter().filter(|setting| setting.target.as_ref() == group);
        let rows: Vec<Vec<Cell>> =
            of_group.map(|setting| vec![Cell::from(setting.key), Cell::from(&setting.value), Cell::from(setting.origin.to_string())]).collect();
        text.push_str(&output.table("  ", &rows));
    }
    output.print(&text)?;
    Ok(End::Done)
}
