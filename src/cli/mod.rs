//! The command line: what was typed, turned into requests to the engine, and its answers printed.
//! It owns arguments, help, progress and output, one file a command; it leaves every decision to the engine.
//! Invariant: results go to stdout, everything else to stderr; no text from a database or a file reaches a terminal unescaped.

mod adopt;
mod args;
mod backup;
mod compare;
mod configuration;
mod delete;
mod demo;
mod doctor;
mod documents;
mod drill;
mod dry_run;
mod find;
mod help;
mod init;
mod journal;
mod list;
mod notify;
mod output;
mod pin;
mod privacy;
mod progress;
mod prune;
mod restore;
mod serve;
mod show;
mod status;
mod text;
mod verify;
mod view;
mod watch;

use crate::config::{self, Config, Flags, Process, RepositoryConfig};
use crate::error::{Error, Kind, Result};
use crate::notify::send::SENDER;
use crate::postgres::child;
use crate::postgres::tools::Places;
use args::{Cli, Command};
use clap::FromArgMatches;
use output::Output;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::ExitCode;

/// How a command ended that printed its results. What it returns as an error is printed by [`main`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All is well.
    Done,
    /// Done, and something needs attention.
    Warned,
    /// Failed in this way, and the errors were printed.
    Failed(Kind),
}

impl End {
    fn exit_code(self) -> u8 {
        match self {
            End::Done => 0,
            End::Warned => 3,
            End::Failed(kind) => kind.exit_code(),
        }
    }

    /// The end of two parts: a failure before a warning, and the first failure before later ones.
    fn and(self, next: End) -> End {
        match (self, next) {
            (End::Failed(kind), _) | (_, End::Failed(kind)) => End::Failed(kind),
            (End::Warned, _) | (_, End::Warned) => End::Warned,
            (End::Done, End::Done) => End::Done,
        }
    }
}

/// What every command works with.
struct Context {
    flags: Flags,
    output: Output,
}

impl Context {
    /// The configuration of a command that reaches databases. What the user should know is printed.
    fn config(&self) -> Result<Config> {
        let config = config::load(&self.flags, &Process)?;
        config.warnings.iter().for_each(|warning| self.output.warning(warning));
        Ok(config)
    }

    /// The configuration of a command that needs only the repository.
    fn repository_config(&self) -> Result<RepositoryConfig> {
        let config = config::load_repository(&self.flags, &Process)?;
        config.warnings.iter().for_each(|warning| self.output.warning(warning));
        Ok(config)
    }
}

fn places(common: &config::Common) -> Places {
    Places { named: common.pg_bin.clone(), path: common.path.clone() }
}

/// The program: arguments in, exit code out.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    privacy::of_files();
    let mut arguments: Vec<OsString> = arguments.collect();
    if arguments.get(1).is_some_and(|word| word == child::TRAMPOLINE) {
        let error = child::become_child(arguments.into_iter().skip(2));
        // The parent reads this from the child's stderr, where it expects the program's own messages.
        output::complain(&format!("pg_tool: error: cannot start the program: {error}"));
        return ExitCode::from(127);
    }
    privacy::of_memory();
    if arguments.get(1).is_some_and(|word| word == SENDER) {
        return send();
    }
    let started = arguments.get(1).is_some_and(|word| word == init::STARTED);
    if started {
        arguments.remove(1);
    }
    let json = arguments.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "--json");
    let cli = match args::command().try_get_matches_from(&arguments).and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &arguments, json),
    };
    let context = Context { flags: cli.flags(), output: Output::new(&cli.global) };
    if context.flags.serving && !started {
        match init::enter(&arguments) {
            Ok(Some(code)) => return code,
            Ok(None) => {}
            Err(error) => {
                context.output.failure(&error);
                return ExitCode::from(error.kind().exit_code());
            }
        }
    }
    let end = dispatch(&context, &cli).unwrap_or_else(|error| {
        context.output.failure(&error);
        End::Failed(error.kind())
    });
    ExitCode::from(end.exit_code())
}

/// The process that sends a message for the daemon.
fn send() -> ExitCode {
    let mut parcel = Vec::new();
    if std::io::stdin().lock().read_to_end(&mut parcel).is_err() {
        return ExitCode::FAILURE;
    }
    let answer = crate::notify::send::sender(&parcel);
    let written = std::io::stdout().lock().write_all(&answer);
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Help and versions, which clap answers by itself, and what it could not make sense of.
fn refuse(error: &clap::Error, arguments: &[OsString], json: bool) -> ExitCode {
    if !error.use_stderr() {
        // A reader that went away is no failure.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    // It repeats what it does not understand, and that may be a URL with a password, in a container's log for ever.
    let secrets: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).filter(|word| config::is_connection_string(word)).collect();
    let text = secrets.iter().fold(error.render().to_string(), |text, secret| without(&text, secret));
    if json {
        let (message, hint) = text.split_once("\n\n").unwrap_or((&text, ""));
        let message = message.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
        output::failure_in_json(&Error::usage(message).hinted(hint.split_whitespace().collect::<Vec<_>>().join(" ")));
    } else if secrets.is_empty() {
        let _ = error.print();
    } else {
        output::complain(text.trim_end());
    }
    ExitCode::from(Kind::Usage.exit_code())
}

/// A text without an argument, and without the value of one such as `--flag=value`.
fn without(text: &str, argument: &str) -> String {
    let value = argument.strip_prefix('-').and_then(|word| word.split_once('=')).map_or("", |(_, value)| value);
    let hidden = [argument, value].into_iter().filter(|secret| config::is_connection_string(secret));
    hidden.fold(text.to_owned(), |text, secret| text.replace(secret, "a connection string (not shown)"))
}

fn dispatch(context: &Context, cli: &Cli) -> Result<End> {
    let Some(command) = &cli.command else {
        if cli.dry_run {
            return dry_run::run(context);
        }
        output::complain(&args::command().render_help().to_string());
        return Ok(End::Failed(Kind::Usage));
    };
    if cli.dry_run {
        // Before the command it would be lost, and the command would do what was only to be shown.
        return Err(Error::usage("--dry-run stands before the command").hinted("put it behind: kluis backup --dry-run, kluis prune --dry-run"));
    }
    match command {
        Command::Serve => serve::run(context),
        Command::Backup(arguments) => backup::run(context, arguments),
        Command::List => list::run(context),
        Command::Show(arguments) => show::run(context, arguments),
        Command::Verify(arguments) => verify::run(context, arguments),
        Command::Drill(arguments) => drill::run(context, arguments),
        Command::Compare(arguments) => compare::run(context, arguments),
        Command::Restore(arguments) => restore::run(context, arguments),
        Command::Prune(arguments) => prune::run(context, arguments),
        Command::Delete(arguments) => delete::run(context, arguments),
        Command::Pin(arguments) => pin::pin(context, arguments),
        Command::Unpin(arguments) => pin::unpin(context, arguments),
        Command::Adopt => adopt::run(context),
        Command::Status(arguments) => status::run(context, arguments),
        Command::Notify(arguments) => notify::run(context, arguments),
        Command::Doctor(arguments) => doctor::run(context, arguments),
        Command::Config => configuration::run(context),
        Command::Completions(arguments) => documents::completions(context, arguments),
        Command::Man(arguments) => documents::man(context, arguments),
        Command::Version => documents::version(context),
        Command::Help(arguments) => help::run(context, arguments),
        Command::Demo(arguments) => demo::run(context, arguments),
    }
}
