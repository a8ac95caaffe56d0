//! `cusax trace`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use cusax_telemetry::trace::{Record, Story, find, ladder};

use super::{ConfigFile, output};

/// Whose story is told.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// Session-ID, Call-ID, SIP address, JID, number or room
    id: String,
    #[command(flatten)]
    config: ConfigFile,
    /// Go on telling what happens, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// Print each record as a line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let config = match options.config.load() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let store = &config.telemetry.trace;
    if !options.follow {
        return tell(options, store);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            told = follow(options, store) => told,
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted.map(|()| ExitCode::SUCCESS)?),
        }
    })
}

fn tell(options: &Options, store: &Path) -> anyhow::Result<ExitCode> {
    let records = find(store, &[&options.id]).context(NO_STORE)?;
    if records.is_empty() {
        output::tell(&format!("nothing is known of {:?} (see telemetry.trace in the configuration)\n", options.id));
        return Ok(ExitCode::FAILURE);
    }
    output::print(&render(options, &records))?;
    Ok(ExitCode::SUCCESS)
}

/// Draws the whole ladder anew on a terminal, and only what is new elsewhere. Ends with an error only.
async fn follow(options: &Options, store: &Path) -> anyhow::Result<ExitCode> {
    let redrawn = !options.json && output::is_terminal();
    let mut followed = Story::new(store, &[&options.id]);
    let mut story = Vec::new();
    loop {
        let new = followed.read().context(NO_STORE)?;
        if redrawn && !new.is_empty() {
            story.extend(new);
            story.drain(..story.len().saturating_sub(LONGEST_STORY));
            output::print(&format!("{CLEAR}{}", render(options, &story)))?;
        } else if !new.is_empty() {
            output::print(&render(options, &new))?;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

fn render(options: &Options, records: &[Record]) -> String {
    if options.json {
        return records.iter().map(|record| record.json() + "\n").collect();
    }
    ladder(records, output::width(), output::colours_on_stdout())
}

const NO_STORE: &str = "cannot read the trace store, which `cusax serve` makes (telemetry.trace in the configuration)";
/// Erases the screen and goes to its first line.
const CLEAR: &str = "\x1b[2J\x1b[3J\x1b[H";
/// Records that stay on the screen.
const LONGEST_STORY: usize = 10_000;
/// Short enough to seem at once, long enough to cost nothing.
const BETWEEN_LOOKS: Duration = Duration::from_millis(300);

const EXAMPLES: &str = "\
Examples:
  cusax trace 4f2a9c0e5d7b4c1f8a6e3b2d1c0f9e8d    a Session-ID, from the log or from a SIP message
  cusax trace sip:alice@example.com --follow      what happens to alice, as it happens
  cusax trace standup@conference.example.com      a room and its calls
  cusax trace 3848276298220188511@phone --json    a Call-ID, a line of JSON for each record

Exit code: 0 something was found, 1 nothing was, 2 usage.";
