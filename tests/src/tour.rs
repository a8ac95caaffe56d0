//! The tour of `deploy/try`: the whole path once, on real servers, each step with its evidence.
//!
//! [`Stage`] brings the servers up; the steps act on it and tell a [`Report`] what they saw. The interop suite walks
//! the same steps.

pub mod accounts;
pub mod attendant;
pub mod call;
pub mod charge;
pub mod meeting;
pub mod report;
pub mod stage;
pub mod story;

use std::future::Future;

use anyhow::{Result, bail};

use crate::process::{Watch, first_to_end};

pub use attendant::Attendant;
pub use report::Report;
pub use stage::Stage;

/// Walks all steps; one that fails is told, and the next still runs.
///
/// # Errors
/// Fails at once where a server has ended by itself, and tells what it said last.
pub async fn walk(stage: &mut Stage, report: &mut Report) -> Result<()> {
    let servers = stage.servers();
    report.step("One account for both protocols");
    let outcome = while_all_run(&servers, accounts::step(stage, report)).await?;
    report.outcome(outcome);
    report.step("A call through edge, Kamailio and edge, with the caller's JID");
    let outcome = while_all_run(&servers, call::step(stage, report)).await?;
    report.outcome(outcome);
    report.step("Charged, emergency and blocked numbers");
    let outcome = while_all_run(&servers, charge::step(stage, report)).await?;
    report.outcome(outcome);
    report.step("A room moderates a call");
    let outcome = while_all_run(&servers, meeting::step(stage, report)).await?;
    report.outcome(outcome);
    report.step("One story: metrics, log, trace");
    let outcome = while_all_run(&servers, story::step(stage, report)).await?;
    report.outcome(outcome);
    Ok(())
}

/// Does something that needs the servers, and returns what that came to.
///
/// # Errors
/// Fails at once where a server has ended by itself, and tells what it said last.
pub async fn while_all_run<T>(servers: &[Watch], act: impl Future<Output = T>) -> Result<T> {
    let ended = tokio::select! {
        ended = first_to_end(servers) => ended,
        outcome = act => match servers.iter().find(|server| !server.is_running()) {
            None => return Ok(outcome),
            // What was done may have failed because of it.
            Some(ended) => ended,
        },
    };
    let status = ended.status().map_or_else(String::new, |status| format!(" ({status})"));
    bail!("{} has ended by itself{status}; what it said last:\n{}", ended.name(), ended.log_tail())
}
