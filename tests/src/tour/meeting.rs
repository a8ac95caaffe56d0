//! Step 4: three phones in a conference whose room moderates them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use cusax_load::phone::{Call, PhoneError, within};
use cusax_xmpp::BareJid;
use cusax_xmpp::muc::{Affiliation, Role};
use serde_json::Value;

use super::call::first_line;
use super::stage::USERS;
use super::{Report, Stage};
use crate::process::Ready;
use crate::server::{DOMAIN, ROOMS};

const SOON: Duration = Duration::from_secs(5);
/// The node of its room, and the user part of its SIP URI.
pub const ROOM: &str = "standup";

/// What tells the line about the one mute from all others.
const MUTE: &str = "\"action\":\"mute\"";

/// Everybody in the call, in the order of [`USERS`].
struct Calls([Call; 3]);

/// Holds the meeting.
///
/// # Errors
/// Fails where somebody does not get in at all.
pub async fn step(stage: &mut Stage, report: &mut Report) -> Result<()> {
    let room: BareJid = format!("{ROOM}@{ROOMS}").parse().context("the room's JID")?;
    for (user, _) in USERS {
        let entered = stage.chat(user).await?.enter(&room, user, None, within(SOON)).await?;
        if entered.created {
            stage.chat(user).await?.configure(&room, &[], within(SOON)).await?;
            report.note(format!("alice opens the room xmpp:{room}"));
        }
        // Registered already, except carol.
        stage.phone(user, None)?.register(3600, within(SOON)).await?;
    }
    let calls = Calls([dial(stage, "alice").await?, dial(stage, "bob").await?, dial(stage, "carol").await?]);
    calls.settle(&[[false, true, true], [true, false, true], [true, true, false]]).await;
    let (right, matrix) = calls.matrix(&[[false, true, true], [true, false, true], [true, true, false]]);
    report.check(right, "each hears exactly the two others", matrix);

    revoke(stage, report, &room, &calls).await?;
    kick_and_ban(stage, report, &room, calls).await
}

async fn revoke(stage: &mut Stage, report: &mut Report, room: &BareJid, calls: &Calls) -> Result<()> {
    let bob = Stage::hertz("bob");
    let moderator = stage.chat("alice").await?;
    let moderated = moderator.set_role(room, "bob", Role::Visitor, Some("please listen"), within(SOON)).await?;
    let mut silent = Vec::new();
    for index in [0, 2] {
        let listener = &calls.0[index];
        listener.until_silent(bob, within(SOON)).await.context("bob falls silent")?;
        silent.push(listener.first_packet_from(moderated.asked, bob, false, within(SOON)).await?);
    }
    let worst = silent.iter().map(|at| millis(*at, moderated.asked)).fold(0.0, f64::max);
    let (right, matrix) = calls.matrix(&[[false, false, true], [true, false, true], [true, false, false]]);
    report.check(right, "a moderator revokes bob's voice in the room: nobody hears him, he hears them", matrix);
    report.check(
        worst < 250.0,
        "from the moderator's stanza to silence in the last listener's ear",
        format!(
            "{worst:.1} ms (the room's answer to the moderator took {:.1} ms)",
            millis(moderated.done, moderated.asked)
        ),
    );
    mirrored(stage, report).await?;
    let moderator = stage.chat("alice").await?;
    let moderated = moderator.set_role(room, "bob", Role::Participant, None, within(SOON)).await?;
    let heard = calls.0[0].until_heard(bob, within(SOON)).await.context("bob is heard again")?;
    report.check(true, "voice again: he is heard", format!("after {:.1} ms", millis(heard, moderated.asked)));
    Ok(())
}

/// The same moderation as cusax itself measured and logged it.
async fn mirrored(stage: &mut Stage, report: &mut Report) -> Result<()> {
    stage.process.ready(Ready::Line(MUTE), SOON).await?;
    let log = stage.process.log();
    let line = log.lines().find(|line| line.contains(MUTE)).unwrap_or_default();
    let line: Value = serde_json::from_str(line).context("the log's line about the mute")?;
    let seconds = line["seconds"].as_f64();
    report.check(
        line["event"] == "moderation.mirrored" && seconds.is_some(),
        "of these, cusax's own: `seconds` of the log line moderation.mirrored",
        format!(
            "{:.1} ms from the stanza's last byte at the component's socket to the mixer tick that confirms the silence",
            seconds.unwrap_or(f64::NAN) * 1_000.0
        ),
    );
    Ok(())
}

async fn kick_and_ban(stage: &mut Stage, report: &mut Report, room: &BareJid, calls: Calls) -> Result<()> {
    let Calls([alice, bob, carol]) = calls;
    let moderator = stage.chat("alice").await?;
    moderator.set_role(room, "carol", Role::None, Some("a moment please"), within(SOON)).await?;
    let ended = carol.ended(within(SOON)).await.context("carol's call ends")?;
    let cause = ended.cause.unwrap_or_default();
    report.check(
        cause.contains("Kicked"),
        "carol is kicked from the room: BYE on her phone",
        format!("Reason: {cause}"),
    );
    let again = dial(stage, "carol").await;
    report.check(
        again.is_ok(),
        "she may come back",
        again.as_ref().map_or_else(ToString::to_string, |_| "200 OK".to_owned()),
    );
    let carol = again?;
    let jid: BareJid = format!("carol@{DOMAIN}").parse().context("carol's JID")?;
    let moderator = stage.chat("alice").await?;
    moderator.set_affiliation(room, &jid, Affiliation::Outcast, Some("enough"), within(SOON)).await?;
    let ended = carol.ended(within(SOON)).await.context("carol's call ends")?;
    let cause = ended.cause.unwrap_or_default();
    report.check(cause.contains("Banned"), "then she is banned: BYE again", format!("Reason: {cause}"));
    let call = stage.phone("carol", None)?.call(&uri(), &[])?;
    let (status, evidence) = match call.answered(within(SOON)).await {
        Err(PhoneError::Failed { status, response, .. }) => {
            (status, response.map(|response| first_line(&response.message)).unwrap_or_default())
        }
        Err(error) => (0, error.to_string()),
        Ok(answer) => (200, first_line(&answer.message)),
    };
    report.check(status == 403, "and her next INVITE gets 403", evidence);
    for call in [alice, bob] {
        call.hang_up(&[]);
        call.ended(within(SOON)).await?;
    }
    // The room is left as it was found, so that people can try it by hand.
    let moderator = stage.chat("alice").await?;
    moderator.set_affiliation(room, &jid, Affiliation::None, None, within(SOON)).await?;
    Ok(())
}

fn uri() -> String {
    format!("sip:{ROOM}@{ROOMS}")
}

/// Calls the meeting from a user's phone.
///
/// # Errors
/// Fails where he is not let in.
pub(super) async fn dial(stage: &mut Stage, user: &str) -> Result<Call> {
    let call = stage.phone(user, None)?.call(&uri(), &[])?;
    match call.answered(within(SOON)).await {
        Ok(_) => Ok(call),
        Err(PhoneError::Failed { status, reason, .. }) => bail!("{user} is not let in: {status} {reason}"),
        Err(error) => Err(error.into()),
    }
}

impl Calls {
    /// Waits until everybody who should be heard is.
    async fn settle(&self, expected: &[[bool; 3]; 3]) {
        for (listener, row) in self.0.iter().zip(expected) {
            for ((talker, _), heard) in USERS.iter().zip(row) {
                if *heard {
                    // The matrix tells who was not heard.
                    let _ = listener.until_heard(Stage::hertz(talker), within(SOON)).await;
                }
            }
        }
    }

    /// Who hears whom now, against who should.
    fn matrix(&self, expected: &[[bool; 3]; 3]) -> (bool, String) {
        let window = Duration::from_millis(200);
        let mut right = true;
        let mut lines = format!("{:14}{}\n", "", USERS.map(|(user, _)| format!("{user:>9}")).concat());
        for ((listener, call), row) in USERS.iter().zip(&self.0).zip(expected) {
            let cells = USERS.iter().zip(row).map(|((talker, _), expected)| {
                let hertz = Stage::hertz(talker);
                right &= call.hears(hertz) == *expected;
                format!("{:>6.0} dB", call.level(hertz, window))
            });
            let cells: Vec<String> = cells.collect();
            lines.push_str(&format!("{:14}{}\n", format!("{} hears", listener.0), cells.concat()));
        }
        (right, lines)
    }
}

fn millis(later: Instant, earlier: Instant) -> f64 {
    later.saturating_duration_since(earlier).as_secs_f64() * 1_000.0
}
