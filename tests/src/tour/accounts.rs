//! Step 1: one account for both protocols.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use cusax_load::phone::within;
use cusax_load::{Chat, ChatConfig, ChatError, Phone, PhoneConfig};

use super::stage::USERS;
use super::{Report, Stage};
use crate::server::DOMAIN;

const SOON: Duration = Duration::from_secs(5);

/// Shows that one password opens SIP and XMPP, a wrong one neither, and none is stored.
///
/// # Errors
/// Fails where a server does not answer at all.
pub async fn step(stage: &mut Stage, report: &mut Report) -> Result<()> {
    let output = stage.cusax.run(&["account", "list"])?;
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = USERS.iter().all(|(user, _)| listed.contains(&format!("{user}@{DOMAIN}")));
    report.check(output.status.success() && all, "cusax account add made alice, bob and carol", listed);
    let mut sip = Vec::new();
    let mut xmpp = Vec::new();
    for (user, password) in USERS {
        sip.push((user, register(stage, user, password).await?));
        xmpp.push((user, login(stage, user, password).await));
    }
    report.check(
        sip.iter().all(|(_, status)| *status == 200),
        "each password opens SIP: digest at the edge",
        sip.iter().map(|(user, status)| format!("{user}: REGISTER {status}")).collect::<Vec<_>>().join(", "),
    );
    report.check(
        xmpp.iter().all(|(_, login)| login.is_ok()),
        "the same password opens XMPP: SASL at Prosody, which reads the same row through a view",
        xmpp.iter()
            .map(|(user, login)| format!("{user}: {}", login.as_ref().map_or_else(ToString::to_string, Clone::clone)))
            .collect::<Vec<_>>()
            .join(", "),
    );
    let status = register(stage, "alice", "not-her-password").await?;
    let refused = login(stage, "alice", "not-her-password").await;
    report.check(
        status == 401 && matches!(&refused, Err(ChatError::Refused { condition, .. }) if condition == "not-authorized"),
        "a wrong password opens neither",
        format!("REGISTER {status}, XMPP {}", refused.as_ref().map_or_else(ToString::to_string, Clone::clone)),
    );
    let file = stage.cusax.directory();
    let bytes = fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let stored = USERS.iter().filter(|(_, password)| holds(&bytes, password.as_bytes())).count();
    report.check(
        stored == 0,
        "the stored rows hold derived keys and no password",
        format!("none of the {} passwords is in the {} bytes of cusax.db", USERS.len(), bytes.len()),
    );
    Ok(())
}

/// The final status of a registration; the binding is taken back at once.
async fn register(stage: &Stage, user: &str, password: &str) -> Result<u16> {
    let phone = Phone::start(PhoneConfig::new(user, DOMAIN, password, stage.access(), 400.0))?;
    let response = phone.register(60, within(SOON)).await?;
    if response.status == 200 {
        phone.register(0, within(SOON)).await?;
    }
    Ok(response.status)
}

async fn login(stage: &Stage, user: &str, password: &str) -> Result<String, ChatError> {
    let jid = format!("{user}@{DOMAIN}").parse().map_err(|_| ChatError::Closed {
        jid: "invalid@example.com".parse().expect("a JID"),
        detail: format!("{user} is no localpart"),
    })?;
    let chat = Chat::connect(ChatConfig::new(jid, password, stage.prosody.clients()), within(SOON)).await?;
    Ok(chat.mechanism().to_string())
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
