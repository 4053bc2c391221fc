//! `kluis completions`, `kluis man` and `kluis version`: what other programs want to know about this one.
//! It owns nothing; all is made from the definition of the command line, so it cannot go out of date.

use super::{Context, End, args, help};
use crate::error::{Error, Kind, Result};
use crate::manifest::FORMAT;
use serde_json::json;

/// `kluis completions SHELL`
pub fn completions(context: &Context, arguments: &args::Completions) -> Result<End> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut args::command(), "kluis", &mut script);
    context.output.print(&String::from_utf8_lossy(&script))?;
    Ok(End::Done)
}

/// `kluis man [COMMAND]`
pub fn man(context: &Context, arguments: &args::Topic) -> Result<End> {
    let command = help::find(arguments.topic.as_deref())?;
    // A page's name is that of its file: kluis-restore(1), as git has it.
    let name = arguments.topic.as_ref().map_or_else(|| "kluis".to_owned(), |topic| format!("kluis-{topic}"));
    let mut page = Vec::new();
    clap_mangen::Man::new(command.display_name(name))
        .render(&mut page)
        .map_err(|error| Error::new(Kind::Failed, "cannot make the manual page").because(error))?;
    context.output.print(&String::from_utf8_lossy(&page))?;
    Ok(End::Done)
}

/// `kluis version`; `--json` prints `{"version": 1, "kluis": "0.1.0", "format": 2}`: the version of what `--json` prints, our own, and the format of backups.
pub fn version(context: &Context) -> Result<End> {
    let version = env!("CARGO_PKG_VERSION");
    match context.output.json {
        true => context.output.json(&json!({ "kluis": version, "format": FORMAT }))?,
        false => context.output.print(&format!("kluis {version}\n"))?,
    }
    Ok(End::Done)
}
