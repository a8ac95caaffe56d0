//! `cusax config`.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::output;
use crate::config::default::documented_default;
use crate::config::schema::schema;

/// What is asked about configuration.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the default file with a comment for each key
    Default,
    /// Print the JSON schema of the file, for editors
    Schema,
}

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::Default => output::print(&documented_default())?,
        Command::Schema => output::print_json(schema().as_value())?,
    }
    Ok(ExitCode::SUCCESS)
}

const EXAMPLES: &str = "\
Examples:
  cusax config default > cusax.toml          begin a configuration file
  cusax config schema > cusax.schema.json    then begin cusax.toml with: #:schema ./cusax.schema.json";
