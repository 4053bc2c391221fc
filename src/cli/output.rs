//! Printing. It owns stdout and stderr, JSON or text, and colour; it leaves wording to the commands.
//! Invariant: a reader of stdout that went away (EPIPE) ends the printing, not the work.
#![allow(clippy::print_stderr, reason = "this is the one module that prints")]

use super::args::Global;
use super::text::{Cell, clean_lines, table, turns};
use crate::config::{Process, Source};
use crate::error::{Error, Kind, Result};
use clap::ColorChoice;
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;
use serde_json::json;
use std::io::{self, IsTerminal, Write};

/// Red: something is wrong.
pub const RED: Style = AnsiColor::Red.on_default().bold();
/// Yellow: something needs attention.
pub const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// Green: all is well.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// Bold: a heading.
pub const BOLD: Style = Style::new().bold();

/// Where and how to print.
#[derive(Debug, Clone)]
pub struct Output {
    /// Results as JSON.
    pub json: bool,
    /// No progress.
    pub quiet: bool,
    stdout_colour: bool,
    stderr_colour: bool,
}

impl Output {
    /// From the flags and the environment (NO_COLOR).
    pub fn new(global: &Global) -> Output {
        let wanted = |terminal: bool| match global.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                terminal && Process.var("NO_COLOR").is_none_or(|value| value.is_empty()) && Process.var("TERM").is_none_or(|term| term != "dumb")
            }
        };
        Output { json: global.json, quiet: global.quiet, stdout_colour: wanted(io::stdout().is_terminal()), stderr_colour: wanted(io::stderr().is_terminal()) }
    }

    /// Whether what stands on stdout can be drawn over.
    pub fn redraws(&self) -> bool {
        io::stdout().is_terminal() && Process.var("TERM").is_none_or(|term| term != "dumb")
    }

    /// Text for stdout in a style, if stdout shows styles.
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.stdout_colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A table for stdout.
    pub fn table(&self, indent: &str, rows: &[Vec<Cell>]) -> String {
        table(indent, rows, |style, text| self.paint(style, text))
    }

    /// Prints a result. The text is already escaped.
    pub fn print(&self, text: &str) -> Result<()> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::new(Kind::Failed, "cannot write to standard output").because(error)),
            _ => Ok(()),
        }
    }

    /// Prints a result, which is an object, as one JSON document.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(&Versioned::of(value)).map_err(no_json)?;
        self.print(&format!("{}\n", safe_json(&text)))
    }

    /// The same in one line, as text.
    pub fn json_line(value: &impl Serialize) -> Result<String> {
        let text = serde_json::to_string(&Versioned::of(value)).map_err(no_json)?;
        Ok(format!("{}\n", safe_json(&text)))
    }

    /// Says what the user should know, on stderr.
    pub fn warning(&self, text: &str) {
        if self.json {
            complain(&safe_json(&json!({ "warning": text }).to_string()));
        } else {
            complain(&format!("{} {}", self.label(YELLOW, "warning:"), clean_lines(text)));
        }
    }

    /// Says what is going on, on stderr, unless told to be quiet.
    pub fn remark(&self, text: &str) {
        if !self.json && !self.quiet {
            complain(&clean_lines(text));
        }
    }

    /// Prints an error: the message, its causes, what to do.
    pub fn failure(&self, error: &Error) {
        if self.json {
            return failure_in_json(error);
        }
        let mut text = format!("{} {}", self.label(RED, "error:"), clean_lines(&error.to_string()));
        let mut last = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let said = cause.to_string();
            if !last.contains(&said) {
                text.push_str(&format!("\n  caused by: {}", clean_lines(&said)));
            }
            last = said;
            source = cause.source();
        }
        if let Some(hint) = error.hint() {
            text.push_str(&format!("\n{} {}", self.label(GREEN, "hint:"), clean_lines(hint)));
        }
        complain(&text);
    }

    fn label(&self, style: Style, text: &str) -> String {
        if self.stderr_colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// The version of all that `--json` prints: it grows where something that was there changes its meaning or goes.
const JSON_VERSION: u32 = 1;

/// A result with that version.
#[derive(Serialize)]
struct Versioned<'a, T> {
    version: u32,
    #[serde(flatten)]
    result: &'a T,
}

impl<'a, T> Versioned<'a, T> {
    fn of(result: &'a T) -> Self {
        Versioned { version: JSON_VERSION, result }
    }
}

fn no_json(error: serde_json::Error) -> Error {
    Error::new(Kind::Failed, "the result has no JSON form").because(error)
}

/// An error as JSON.
pub fn failure_json(error: &Error) -> serde_json::Value {
    json!({ "error": error.kind().word(), "message": error.chain(), "hint": error.hint(), "exit_code": error.kind().exit_code() })
}

/// Prints an error as one JSON object on stderr.
pub fn failure_in_json(error: &Error) {
    complain(&safe_json(&failure_json(error).to_string()));
}

/// Prints a line on stderr. A stderr that is closed is nobody's problem.
pub fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// JSON leaves C1 controls and direction marks as they are; a terminal would obey them. They can only stand in strings, where they may be escaped.
fn safe_json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if (c.is_control() && c != '\n') || turns(c) {
            safe.push_str(&format!("\\u{:04x}", c as u32));
        } else {
            safe.push(c);
        }
    }
    safe
}
