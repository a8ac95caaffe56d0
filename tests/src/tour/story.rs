//! Step 5: the same events in metrics, log and trace.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Report, Stage};

/// What the steps before must have left in `/metrics`: the series and the least it may be.
const SERIES: [(&str, u64); 10] = [
    ("cusax_sip_auth_total{algorithm=\"SHA-256\",result=\"ok\"}", 1),
    ("cusax_sip_auth_total{algorithm=\"MD5\",result=\"ok\"}", 1),
    ("cusax_callinfo_impp_total{action=\"inserted\",reason=\"trusted\"}", 1),
    ("cusax_callinfo_impp_total{action=\"stripped\",reason=\"forged\"}", 1),
    ("cusax_callinfo_impp_total{action=\"skipped\",reason=\"privacy\"}", 1),
    ("cusax_number_classifications_total{class=\"emergency\"}", 1),
    ("cusax_pstn_cues_total{class=\"premium\",kind=\"message\"}", 1),
    ("cusax_moderation_actions_total{action=\"mute\",origin=\"muc\",result=\"applied\"}", 1),
    ("cusax_moderation_actions_total{action=\"kick\",origin=\"muc\",result=\"applied\"}", 1),
    ("cusax_moderation_actions_total{action=\"ban\",origin=\"muc\",result=\"applied\"}", 1),
];

/// Identifiers that each line about moderation carries.
const IDENTIFIERS: [&str; 6] = ["session", "conference", "room", "occupant", "leg", "call_id"];

/// Reads metrics, log and trace.
///
/// # Errors
/// Fails where cusax does not answer.
pub async fn step(stage: &mut Stage, report: &mut Report) -> Result<()> {
    let metrics = stage.metrics().await?;
    let value = |series: &str| {
        metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    let missing: Vec<&str> =
        SERIES.iter().filter(|(series, least)| value(series) < *least).map(|(series, _)| *series).collect();
    let shown = SERIES.iter().map(|(series, _)| format!("{series} {}\n", value(series))).collect::<String>();
    report.check(missing.is_empty(), "/metrics shows all of it", shown);
    moderation_log(stage, report).await;
    trace(stage, report)
}

async fn moderation_log(stage: &Stage, report: &mut Report) {
    // Voice revoked and granted, kick, ban.
    const MODERATIONS: usize = 4;
    let applied = || -> Vec<String> {
        let is = |line: &&str| ["\"moderation.mirrored\"", "\"applied\""].iter().all(|word| line.contains(word));
        stage.process.log().lines().filter(is).map(str::to_owned).collect()
    };
    // Lines are written together, some hundredths of a second after what they tell.
    for _ in 0..100 {
        if applied().len() >= MODERATIONS {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let applied = applied();
    let whole = |line: &&String| IDENTIFIERS.iter().all(|id| line.contains(&format!("\"{id}\":")));
    report.check(
        applied.len() == MODERATIONS && applied.iter().filter(whole).count() == MODERATIONS,
        "the log has one line for each moderation, with session, conference, room, occupant, leg and call_id",
        applied.first().map_or("none", |line| line),
    );
}

fn trace(stage: &Stage, report: &mut Report) -> Result<()> {
    let call_id = stage.call_id.as_deref().context("step 2 made no call")?;
    let output = stage.cusax.run(&["trace", call_id])?;
    let ladder = String::from_utf8_lossy(&output.stdout).into_owned();
    report.check(
        output.status.success() && ["INVITE", "180", "200", "BYE"].iter().all(|word| ladder.contains(word)),
        "cusax trace draws the ladder of step 2's call",
        beginning(&ladder),
    );
    Ok(())
}

/// The ladder as far as the callee rings: the rest is for whoever wants it.
fn beginning(ladder: &str) -> String {
    const SHOWN: usize = 34;
    let lines: Vec<&str> = ladder.lines().collect();
    let shown = lines.iter().take(SHOWN).map(|line| format!("{line}\n")).collect::<String>();
    let rest = lines.len().saturating_sub(SHOWN);
    format!("{shown}… and {rest} more lines")
}
