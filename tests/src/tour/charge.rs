//! Step 3: charged, emergency and blocked numbers.

use std::time::Duration;

use anyhow::{Context as _, Result};
use cusax_load::phone::{PhoneError, within};
use cusax_sip::Name;

use super::call::first_line;
use super::{Report, Stage};

const SOON: Duration = Duration::from_secs(5);
/// A premium-rate number, an emergency number, and a number abroad, which the tour's policy blocks.
const PREMIUM: &str = "+19005550123";
const ABROAD: &str = "+442079460123";

/// Dials one number of each kind.
///
/// # Errors
/// Fails where a call itself does.
pub async fn step(stage: &mut Stage, report: &mut Report) -> Result<()> {
    charged(stage, report).await?;
    emergency(stage, report).await?;
    blocked(stage, report).await
}

async fn charged(stage: &mut Stage, report: &mut Report) -> Result<()> {
    stage.chat("alice").await?;
    let call = stage.phone("alice", None)?.call(&format!("sip:{PREMIUM}@example.com"), &[])?;
    let progress = call.provisional(183, within(SOON)).await.context("183")?;
    let warning = progress.message.first(Name::Warning).unwrap_or("").to_owned();
    report.check(
        warning.starts_with("399 ") && warning.contains(PREMIUM),
        "alice is told before the call goes on",
        format!("{}\nWarning: {warning}", first_line(&progress.message)),
    );
    let chat = stage.chat("alice").await?;
    let wanted = |stanza: &cusax_xmpp::Element| stanza.attr("type") == Some("headline");
    let headline =
        chat.take("headline", within(SOON), wanted).await.context("the headline reaches alice's XMPP client")?;
    let element = &headline.element;
    let body = element.child("jabber:client", "body").map(|body| body.text().into_owned()).unwrap_or_default();
    report.check(
        body.contains(PREMIUM) && element.attr("from") == Some("cusax.example.com"),
        "and over XMPP, by a headline",
        format!("from {}: {body}", element.attr("from").unwrap_or("")),
    );
    let answer = call.answered(within(SOON)).await.context("the gateway's answer")?;
    report.check(
        stage.gateway.was_called(PREMIUM),
        "the call reaches the gateway and is answered",
        first_line(&answer.message),
    );
    call.hang_up(&[]);
    call.ended(within(SOON)).await?;
    Ok(())
}

async fn emergency(stage: &mut Stage, report: &mut Report) -> Result<()> {
    // A phone that knows no password: emergency calls are not challenged.
    let phone = stage.stranger("dave")?;
    let call = phone.call("sip:112@example.com", &[])?;
    let answer = call.answered(within(SOON)).await.context("112 is answered")?;
    let seen: Vec<u16> = call.responses().iter().filter_map(|response| response.message.status()).collect();
    report.check(
        stage.gateway.was_called("112") && !seen.contains(&407) && !seen.contains(&183),
        "112 gets through from a phone without an account: neither challenge nor cue",
        format!("responses {seen:?} · {}", first_line(&answer.message)),
    );
    call.hang_up(&[]);
    call.ended(within(SOON)).await?;
    Ok(())
}

async fn blocked(stage: &mut Stage, report: &mut Report) -> Result<()> {
    let call = stage.phone("alice", None)?.call(&format!("sip:{ABROAD}@example.com"), &[])?;
    let (status, evidence) = match call.answered(within(SOON)).await {
        Err(PhoneError::Failed { status, response: Some(response), .. }) => {
            let warning = response.message.first(Name::Warning).unwrap_or("").to_owned();
            (status, format!("{}\nWarning: {warning}", first_line(&response.message)))
        }
        Err(error) => (0, error.to_string()),
        Ok(answer) => (200, first_line(&answer.message)),
    };
    report.check(
        status == 403 && evidence.contains("blocked") && !stage.gateway.was_called(ABROAD),
        "a number of a blocked class gets 403 with the reason, and never reaches the gateway",
        evidence,
    );
    Ok(())
}
