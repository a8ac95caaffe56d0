//! `cusax-try`: what `deploy/try` runs. Brings the servers up, walks the tour, and stays for your own phone and client.

#![forbid(unsafe_code)]

use std::pin::pin;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use cusax_tests::process::{end_on_panic, interrupted};
use cusax_tests::server::{DOMAIN, ROOMS};
use cusax_tests::tour::meeting::ROOM;
use cusax_tests::tour::stage::USERS;
use cusax_tests::tour::{Attendant, Report, Stage, walk, while_all_run};

/// cusax between a real Kamailio and a real Prosody on 127.0.0.1.
#[derive(Parser)]
#[command(name = "cusax-try")]
struct Cli {
    /// End after the last step: exit status 0 when all of them succeeded, else 1
    #[arg(long)]
    check: bool,
}

/// How it went on.
enum End {
    /// To the end.
    Walked,
    /// Until this signal.
    Interrupted(i32),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    end_on_panic();
    let mut report = Report::new();
    match run(&cli, &mut report).await {
        Ok(End::Walked) if report.counts().1 == 0 => ExitCode::SUCCESS,
        Ok(End::Walked) => ExitCode::FAILURE,
        Ok(End::Interrupted(number)) => {
            report.line("\ninterrupted: every child has been ended");
            ExitCode::from(u8::try_from(128 + number).unwrap_or(u8::MAX))
        }
        Err(error) => {
            report.check(false, "it cannot go on", format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// All children have ended when this returns, for whatever reason.
async fn run(cli: &Cli, report: &mut Report) -> Result<End> {
    let mut told = pin!(interrupted());
    let mut stage = tokio::select! {
        number = &mut told => return Ok(End::Interrupted(number)),
        stage = show(report) => stage?,
    };
    if cli.check {
        return Ok(End::Walked);
    }
    let servers = stage.servers();
    let stay = async {
        let attendant = Attendant::stay(&mut stage).await?;
        tell_where(&stage, report);
        match while_all_run(&servers, attendant.answer()).await? {}
    };
    tokio::select! {
        _ = &mut told => {}
        ended = stay => return ended,
    }
    report.line("\nending every child");
    Ok(End::Walked)
}

async fn show(report: &mut Report) -> Result<Stage> {
    report.line("== servers, as children on 127.0.0.1");
    let mut stage = Stage::raise("try", |what, place| report.check(true, what, place)).await?;
    walk(&mut stage, report).await?;
    let (passed, failed) = report.counts();
    report.line(&format!("\n{passed} seen, {failed} not"));
    Ok(stage)
}

fn tell_where(stage: &Stage, report: &mut Report) {
    let (bob, hertz) = (Attendant::USER, Stage::hertz(Attendant::USER));
    let settings = stage.cusax.settings();
    report.line("\n== it stays up: try it yourself, Ctrl-C ends everything");
    let lines = [
        ("softphone", format!("server/proxy {}, UDP, on this machine; domain {DOMAIN}", settings.access.address())),
        ("XMPP client", format!("server {}, on this machine, without TLS (try-out only)", stage.prosody.clients())),
    ];
    for (what, place) in lines {
        report.line(&format!("   {what:12} {place}"));
    }
    for (user, password) in USERS.iter().filter(|(user, _)| *user != bob) {
        report.line(&format!("   {:12} {user}@{DOMAIN}, password {password}, for both", "account"));
    }
    let lines = [
        format!("sip:{bob}@{DOMAIN}: he answers with a tone of {hertz} Hz"),
        format!("sip:{ROOM}@{ROOMS}: the meeting, in which you hear {bob}'s tone"),
        format!("sip:+19005550123@{DOMAIN}: 183 tells that it is charged; the gateway echoes what you say"),
        format!("sip:112@{DOMAIN}: goes through even without an account"),
    ];
    for line in lines {
        report.line(&format!("   {:12} {line}", "call"));
    }
    report.line(&format!(
        "   {:12} as alice in xmpp:{ROOM}@{ROOMS} you are the owner: take {bob}'s voice, and his tone is gone",
        "moderate"
    ));
    let lines = [
        ("metrics", format!("http://{}/metrics", settings.http.address())),
        ("log", stage.process.dir().join("log").display().to_string()),
        ("trace", stage.cusax.shell_command(&["trace", &format!("alice@{DOMAIN}")])),
    ];
    for (what, place) in lines {
        report.line(&format!("   {what:12} {place}"));
    }
}
