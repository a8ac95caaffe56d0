//! `cusax-try`: what `deploy/try` runs. Brings the servers up, walks the tour, and stays for your own phone and client.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use cusax_tests::process::interrupted;
use cusax_tests::server::{DOMAIN, ROOMS};
use cusax_tests::tour::stage::USERS;
use cusax_tests::tour::{Report, Stage, walk};

/// cusax between a real Kamailio and a real Prosody on 127.0.0.1.
#[derive(Parser)]
#[command(name = "cusax-try")]
struct Cli {
    /// End after the last step: exit status 0 when all of them succeeded, else 1
    #[arg(long)]
    check: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut report = Report::new();
    match run(&cli, &mut report).await {
        Ok(()) if report.counts().1 == 0 => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            report.check(false, "it cannot go on", format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli, report: &mut Report) -> anyhow::Result<()> {
    report.line("== servers, as children on 127.0.0.1");
    let mut stage = Stage::raise("try", |what, place| report.check(true, what, place)).await?;
    walk(&mut stage, report).await?;
    let (passed, failed) = report.counts();
    report.line(&format!("\n{passed} seen, {failed} not"));
    if !cli.check {
        tell_where(&stage, report);
        let child = tokio::select! {
            () = interrupted() => None,
            child = stage.first_to_end() => Some(child),
        };
        if let Some(child) = child {
            anyhow::bail!("{child} has ended by itself; what it said last:\n{}", stage.last_words(child));
        }
        report.line("\nending every child");
    }
    Ok(())
}

fn tell_where(stage: &Stage, report: &mut Report) {
    let settings = stage.cusax.settings();
    let lines = [
        String::from("\n== it stays up: try it yourself, Ctrl-C ends everything"),
        format!("   metrics      http://{}/metrics", settings.http.address()),
        format!("   log          {}", stage.process.dir().join("log").display()),
        format!(
            "   trace        (cd {} && cusax trace --config cusax.toml alice@{DOMAIN})",
            stage.cusax.dir().display()
        ),
        format!("   softphone    server/proxy {} (UDP), domain {DOMAIN}", settings.access.address()),
        format!("   XMPP client  server {} (no TLS, local try-out only)", stage.prosody.clients()),
        format!("   meeting      sip:standup@{ROOMS} is xmpp:standup@{ROOMS}"),
    ];
    for line in lines {
        report.line(&line);
    }
    for (user, password) in USERS {
        report.line(&format!("   account      {user}@{DOMAIN}  password {password}"));
    }
}
