//! `cusax check`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{ConfigFile, output};
use crate::config::Config;
use crate::config::diagnostic::Refused;

/// What is checked.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// What to check
    #[arg(value_enum, default_value = "all")]
    subject: Subject,
    #[command(flatten)]
    config: ConfigFile,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Subject {
    /// Everything below
    All,
    /// The configuration file and the files that it names
    Config,
}

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    match options.subject {
        Subject::All | Subject::Config => check_config(options),
    }
}

fn check_config(options: &Options) -> anyhow::Result<ExitCode> {
    let file = options.config.file.as_deref();
    let checked = Config::load_to_serve(file);
    if options.json {
        let findings = checked.as_ref().err().map(|refused| refused.places().collect::<Vec<_>>()).unwrap_or_default();
        output::print_json(&json!({ "ok": checked.is_ok(), "findings": findings }))?;
    } else {
        let name = file.map_or_else(|| "the default configuration".to_owned(), |file| file.display().to_string());
        output::print(&match &checked {
            Ok(_) => format!("{name}: nothing is wrong\n"),
            Err(refused) => render(&name, refused),
        })?;
    }
    Ok(if checked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn render(name: &str, refused: &Refused) -> String {
    let things = if refused.len() == 1 { "1 thing is".to_owned() } else { format!("{} things are", refused.len()) };
    format!("{}{name}: {things} wrong\n", refused.render(output::colours_on_stdout()))
}

const EXAMPLES: &str = "\
Examples:
  cusax check --config cusax.toml                  check all that can be checked
  cusax check config --config cusax.toml --json    the file only, as data for another program

Exit code: 0 nothing is wrong, 1 something is, 2 usage.";
