//! The command line.

mod account;
mod check;
mod config;
mod output;
mod password;
mod trace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::Config;
use crate::config::diagnostic::Diagnosis;

/// Runs the command that the process was started with.
///
/// Usage errors end the process with 2, as clap does it.
pub(crate) fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(options) => serve(&options),
        Command::Check(options) => check::run(&options),
        Command::Account(options) => account::run(options),
        Command::Trace(options) => trace::run(&options),
        Command::Config(options) => config::run(&options),
    };
    outcome.unwrap_or_else(|error| {
        output::tell_error(&error);
        ExitCode::FAILURE
    })
}

/// One real-time service on the SIP and XMPP servers that you already have (RFC 7081).
#[derive(Parser)]
#[command(name = "cusax", version, max_term_width = 110, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the SIP edge, the XMPP component, conferences and HTTP
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ConfigFile),
    /// Say what is wrong, why, and how to mend it
    Check(check::Options),
    /// Keep the accounts: one for SIP and XMPP together
    Account(account::Options),
    /// Draw what happened to a call, a person or a room: SIP, XMPP and media together
    Trace(trace::Options),
    /// Print the documented default file, or its JSON schema
    Config(config::Options),
}

/// The configuration that a command reads.
#[derive(Args)]
struct ConfigFile {
    /// Configuration file; without one, the defaults (see `cusax config default`)
    #[arg(short = 'c', long = "config", value_name = "FILE", global = true)]
    file: Option<PathBuf>,
}

impl ConfigFile {
    /// Reads it; what is wrong has been told where this is an error.
    fn load(&self) -> Result<Config, ExitCode> {
        Config::load(self.file.as_deref()).map_err(|refused| tell_refused(&refused))
    }
}

fn serve(options: &ConfigFile) -> anyhow::Result<ExitCode> {
    match Config::load_to_serve(options.file.as_deref()) {
        Ok((config, warnings)) => crate::serve::run(options.file.as_deref(), config, &warnings),
        Err(refused) => Ok(tell_refused(&refused)),
    }
}

fn tell_refused(refused: &Diagnosis) -> ExitCode {
    output::tell(&refused.render(output::colours_on_stderr()));
    ExitCode::FAILURE
}

const EXAMPLES: &str = "\
Examples:
  cusax serve                                        run on 127.0.0.1 with the defaults
  cusax config default > cusax.toml                  begin a configuration file
  cusax check config --config cusax.toml             look whether it is right
  cusax serve --config cusax.toml                    run with it
  cusax account add alice --config cusax.toml        make an account, asking for its password";

const SERVE_EXAMPLES: &str = "\
Examples:
  cusax serve                        127.0.0.1 only, SQLite in this directory, domain \"localhost\"
  cusax serve --config cusax.toml    as the file says
  kill -HUP PID                      have it read the file again: all of it counts at once, or nothing where it has a mistake";
