//! The tour of `deploy/try`: the whole path once, on real servers, each step with its evidence.
//!
//! [`Stage`] brings the servers up; the steps act on it and tell a [`Report`] what they saw. The interop suite walks
//! the same steps.

pub mod accounts;
pub mod call;
pub mod charge;
pub mod meeting;
pub mod report;
pub mod stage;
pub mod story;

pub use report::Report;
pub use stage::Stage;

/// Walks all steps; one that fails is told, and the next still runs where it can.
///
/// # Errors
/// Fails where the stage cannot go on.
pub async fn walk(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    report.step("One account for both protocols");
    let outcome = accounts::step(stage, report).await;
    report.outcome(outcome);
    report.step("A call through edge, Kamailio and edge, with the caller's JID");
    let outcome = call::step(stage, report).await;
    report.outcome(outcome);
    report.step("Charged, emergency and blocked numbers");
    let outcome = charge::step(stage, report).await;
    report.outcome(outcome);
    report.step("A room moderates a call");
    let outcome = meeting::step(stage, report).await;
    report.outcome(outcome);
    report.step("One story: metrics, log, trace");
    let outcome = story::step(stage, report).await;
    report.outcome(outcome);
    Ok(())
}
