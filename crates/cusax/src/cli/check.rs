//! `cusax check`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{ConfigFile, output};
use crate::config::Config;
use crate::config::diagnostic::Diagnosis;

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
    let checked = Config::load_to_serve(options.config.file.as_deref());
    let (ok, said) = match &checked {
        Ok((_, warnings)) => (true, warnings),
        Err(refused) => (false, refused),
    };
    if options.json {
        let findings = said.places().collect::<Vec<_>>();
        output::print_json(&json!({ "ok": ok, "findings": findings }))?;
    } else {
        output::print(&render(ok, said))?;
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn render(ok: bool, said: &Diagnosis) -> String {
    let verdict = match (ok, said.len()) {
        (true, 0) => "nothing is wrong".to_owned(),
        (true, 1) => "nothing is wrong; 1 warning".to_owned(),
        (true, warnings) => format!("nothing is wrong; {warnings} warnings"),
        (false, 1) => "1 thing is wrong".to_owned(),
        (false, things) => format!("{things} things are wrong"),
    };
    format!("{}{}: {verdict}\n", said.render(output::colours_on_stdout()), said.name())
}

const EXAMPLES: &str = "\
Examples:
  cusax check --config cusax.toml                  check all that can be checked
  cusax check config --config cusax.toml --json    the file only, as data for another program

Exit code: 0 nothing is wrong, 1 something is, 2 usage.";
