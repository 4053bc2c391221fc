//! The format of a case. Every line says by its first character what it is:
//!
//! ```text
//! # a remark
//! + fixture repo/shop/20250125T030000Z      sets something up (see `stage.rs`)
//! | a line of the file that the `+ write` before it makes
//! = BACKUP_DIR=repo                         sets a variable for all later commands; without `=VALUE` it is unset
//! $ kluis list                              runs a command
//! ? 0                                       its exit code
//! > a line of its stdout
//! ! a line of its stderr
//! ```
//!
//! `[DIR]` is the temporary folder in which all of it happens, `[..]` stands for anything within a line, and a line `[...]` for any number of lines.

use super::matching::{keep_patterns, matches};

/// A whole case, in order.
pub struct Case {
    pub steps: Vec<Step>,
}

/// One thing in it.
pub enum Step {
    /// An empty line or a remark.
    Remark(String),
    /// `+`: the words, and the lines of the file that belong to it.
    Set { line: String, content: Vec<String> },
    /// `=`
    Variable(String),
    /// `$`
    Run(Run),
}

/// A command and what it must answer.
#[derive(Default)]
pub struct Run {
    pub command: String,
    pub exit: String,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

/// What a command answered.
pub struct Found {
    pub exit: String,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

impl Case {
    pub fn parse(text: &str) -> Result<Case, String> {
        let mut steps: Vec<Step> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let rest = || line.get(2..).unwrap_or_default().to_owned();
            match (line.chars().next(), steps.last_mut()) {
                (None | Some('#'), _) => steps.push(Step::Remark(line.to_owned())),
                (Some('+'), _) => steps.push(Step::Set { line: rest(), content: Vec::new() }),
                (Some('|'), Some(Step::Set { content, .. })) => content.push(rest()),
                (Some('='), _) => steps.push(Step::Variable(rest())),
                (Some('$'), _) => steps.push(Step::Run(Run { command: rest(), ..Run::default() })),
                (Some('?'), Some(Step::Run(run))) => run.exit = rest(),
                (Some('>'), Some(Step::Run(run))) => run.stdout.push(rest()),
                (Some('!'), Some(Step::Run(run))) => run.stderr.push(rest()),
                _ => return Err(format!("line {} is out of place: {line}", number + 1)),
            }
        }
        Ok(Case { steps })
    }

    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut line = |mark: &str, rest: &str| text.push_str(&format!("{}\n", format!("{mark} {rest}").trim_end()));
        for step in &self.steps {
            match step {
                Step::Remark(remark) => line(remark, ""),
                Step::Set { line: words, content } => {
                    line("+", words);
                    content.iter().for_each(|content| line("|", content));
                }
                Step::Variable(variable) => line("=", variable),
                Step::Run(run) => {
                    line("$", &run.command);
                    line("?", &run.exit);
                    run.stdout.iter().for_each(|output| line(">", output));
                    run.stderr.iter().for_each(|output| line("!", output));
                }
            }
        }
        text
    }
}

impl Run {
    /// What is not as expected, with everything needed to understand it.
    pub fn difference(&self, found: &Found) -> Option<String> {
        let right = self.exit == found.exit && matches(&self.stdout, &found.stdout) && matches(&self.stderr, &found.stderr);
        (!right).then(|| {
            let block = |mark: &str, lines: &[String]| lines.iter().map(|line| format!("    {mark} {line}\n")).collect::<String>();
            format!(
                "  $ {}\n  expected exit {}\n{}{}  found exit {}\n{}{}",
                self.command,
                self.exit,
                block(">", &self.stdout),
                block("!", &self.stderr),
                found.exit,
                block(">", &found.stdout),
                block("!", &found.stderr)
            )
        })
    }

    /// Takes what was found for what is expected; a pattern that still fits stays.
    pub fn bless(&mut self, found: &Found) {
        self.exit.clone_from(&found.exit);
        self.stdout = keep_patterns(&self.stdout, &found.stdout);
        self.stderr = keep_patterns(&self.stderr, &found.stderr);
    }
}
