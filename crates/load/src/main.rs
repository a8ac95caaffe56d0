//! `cusax-load`, the load tester.

#![forbid(unsafe_code)]

mod arguments;

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use arguments::CallsArgs;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use cusax_load::calls::driver::{self, Stop};
use cusax_load::calls::report::Verdict;
use cusax_load::conference::{self, MAX_PHONES, Matrix, Plan};
use cusax_sip::Uri;
use cusax_sip::ua::Login;
use tokio::signal::unix::{SignalKind, signal};

/// Calls by the thousand, and phones with tones.
#[derive(Parser)]
#[command(name = "cusax-load", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Joins phones into a conference, each with a tone of its own, and prints who hears whom.
    ///
    /// Exit code 0 where everybody hears all the others and nobody himself, 1 where not, 2 for wrong usage.
    #[command(after_help = CONFERENCE_EXAMPLES)]
    Conference(ConferenceArgs),
    /// Makes calls at a given rate, checks each of them, and says how long they took.
    ///
    /// Callers and callees are both played here, so that it works against any SIP server that brings them together.
    /// Calls begin by the clock, whatever became of earlier ones, and times count from when a call was to begin.
    ///
    /// Exit code 0 where all requirements are met, 1 where not, 2 for wrong usage, 3 where the run is invalid: this
    /// generator was too slow itself (more than 1 % of the calls began late, the kernel dropped datagrams at its sockets, its
    /// core was busy all the time, or --concurrency was reached), so that nothing is said of the server. Ctrl-C begins no
    /// more calls, waits two seconds for the others, and reports.
    #[command(after_help = arguments::EXAMPLES)]
    Calls(Box<CallsArgs>),
}

const CONFERENCE_EXAMPLES: &str = "\
Examples:
  Three accounts of an edge on this machine:
    cusax-load conference --to sip:standup@conference.example.com --proxy 127.0.0.1:5060 \\
        --account alice:secret --account bob:secret --account carol:secret

  Ten phones on one account for a minute, as JSON:
    cusax-load conference --to sip:standup@conference.example.com --proxy 192.0.2.1:5060 \\
        --account alice:secret --phones 10 --duration 60 --json";

#[derive(Args)]
struct ConferenceArgs {
    /// The conference's SIP address.
    #[arg(long, value_name = "URI", value_parser = sip_uri)]
    to: String,
    /// The edge's SIP listener; phones send everything there, over UDP.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5060")]
    proxy: SocketAddr,
    /// The address of this machine that phones are on; default: the proxy's, which then is on this machine.
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<IpAddr>,
    /// An account that a phone calls from; may be given again. Without any, phones have no credentials.
    #[arg(long, value_name = "USER:PASSWORD", value_parser = account)]
    account: Vec<Login>,
    /// The domain of the accounts.
    #[arg(long, default_value = "example.com")]
    domain: String,
    /// How many phones, 2 to 60; default: one for each account, at least two.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=MAX_PHONES as i64))]
    phones: Option<u8>,
    /// How long they stay once all are in, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    duration: u64,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

fn sip_uri(text: &str) -> Result<String, String> {
    let uri = Uri::parse(text).filter(|uri| !uri.host.is_empty() && !text.contains(char::is_whitespace));
    uri.map(|uri| uri.text.to_owned())
        .ok_or_else(|| "not a SIP URI, such as sip:standup@conference.example.com".to_owned())
}

fn account(text: &str) -> Result<Login, String> {
    let (username, password) = text.split_once(':').ok_or("write USER:PASSWORD")?;
    Ok(Login { username: username.to_owned(), password: password.to_owned(), algorithm: None })
}

fn main() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Conference(args) => conference(args),
        Command::Calls(args) => calls(*args),
    }
}

fn conference(args: ConferenceArgs) -> Result<ExitCode> {
    let json = args.json;
    let phones = args.phones.map_or_else(|| args.account.len().clamp(2, MAX_PHONES), usize::from);
    let plan = Plan {
        to: args.to,
        proxy: args.proxy,
        bind: args.bind.unwrap_or(args.proxy.ip()),
        domain: args.domain,
        accounts: args.account,
        phones,
        duration: Duration::from_secs(args.duration),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let matrix = runtime.block_on(conference::run(&plan)).with_context(|| format!("calling {}", plan.to))?;
    print(&matrix, json).context("standard output")?;
    Ok(if matrix.is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn calls(args: CallsArgs) -> Result<ExitCode> {
    let json = args.json;
    let (plan, wiring, requirements) = match args.read() {
        Ok(read) => read,
        Err(wrong) => {
            let mut command = Cli::command();
            command.build();
            let calls = command.find_subcommand_mut("calls").context("there is this command")?;
            calls.error(ErrorKind::ValueValidation, wrong).exit()
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.context("no runtime")?;
    let stop = Stop::default();
    let interrupt = stop.clone();
    // Before the first call: an interrupt that comes with it is not to end the process.
    let entered = runtime.enter();
    let mut interrupted = signal(SignalKind::interrupt()).context("SIGINT")?;
    let mut terminated = signal(SignalKind::terminate()).context("SIGTERM")?;
    drop(entered);
    runtime.spawn(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        interrupt.stop();
    });
    let report = match driver::run(plan, &wiring, requirements, &stop, runtime.handle()) {
        Ok(report) => report,
        Err(error) => {
            writeln!(io::stderr(), "cusax-load: {error:#}").context("standard error")?;
            return Ok(ExitCode::from(Verdict::Invalid.code()));
        }
    };
    let mut out = io::stdout().lock();
    if json { writeln!(out, "{}", report.json()) } else { writeln!(out, "{report}") }.context("standard output")?;
    Ok(ExitCode::from(report.verdict().code()))
}

fn print(matrix: &Matrix, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        // JSON has no minus infinity: null is no audio at all.
        let rows = matrix.phones.iter().zip(&matrix.levels).zip(&matrix.setup).map(|(((name, hertz), row), setup)| {
            serde_json::json!({
                "phone": name, "hertz": hertz, "setup_ms": setup.as_secs_f64() * 1_000.0, "hears_dbfs": row,
            })
        });
        return writeln!(out, "{}", serde_json::json!({ "ok": matrix.is_right(), "phones": rows.collect::<Vec<_>>() }));
    }
    writeln!(out, "{matrix}\n")?;
    let slowest = matrix.setup.iter().max().copied().unwrap_or_default();
    let verdict =
        if matrix.is_right() { "everybody hears all the others" } else { "not everybody hears all the others" };
    writeln!(out, "{} phones, slowest set-up {:.1} ms: {verdict}", matrix.phones.len(), slowest.as_secs_f64() * 1_000.0)
}
