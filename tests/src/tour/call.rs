//! Step 2: a call through edge, Kamailio and edge, and what it says of its caller.

use std::time::Duration;

use anyhow::{Context as _, Result};
use cusax_load::phone::{Call, within};
use cusax_sip::digest::Algorithm;
use cusax_sip::{Message, Name};

use super::{Report, Stage};

const SOON: Duration = Duration::from_secs(5);
const FORGED: &str = "<xmpp:mallory@evil.example>;purpose=impp";
const ICON: &str = "<http://example.com/alice.png>;purpose=icon";
const OURS: &str = "<xmpp:alice@example.com>;purpose=impp";

/// Registers two phones and calls twice: openly and with privacy.
///
/// # Errors
/// Fails where the call itself does.
pub async fn step(stage: &mut Stage, report: &mut Report) -> Result<()> {
    register(stage, report, "alice", Some(Algorithm::Sha256)).await?;
    register(stage, report, "bob", Some(Algorithm::Md5)).await?;
    bindings(stage, report)?;
    let both = format!("{FORGED}, {ICON}");
    let (call, answered, invite) = connect(stage, &[("Call-Info", &both)]).await?;
    caller(report, &invite);
    session(stage, report, &call, &invite);
    report.check(
        answered.is_answered_by(&call),
        "bob answers, and both hear each other (1 kHz tones, Goertzel)",
        answered.hearing(&call, stage),
    );
    let before = answered.call.offers().len();
    call.hold(within(SOON)).await.context("hold")?;
    let offer = answered.call.reoffered(before, within(SOON)).await.context("bob sees the hold")?;
    let held = String::from_utf8_lossy(offer.message.body()).contains("a=sendonly");
    report.check(held, "alice holds, by a re-INVITE through the same path", first_line(&offer.message));
    call.resume(within(SOON)).await.context("resume")?;
    call.hang_up(&[]);
    let ended = answered.call.ended(within(SOON)).await.context("bob sees the end")?;
    report.check(
        ended.message.as_ref().is_some_and(|bye| bye.method_text() == "BYE"),
        "alice hangs up, bob gets the BYE",
        ended.message.as_deref().map(first_line).unwrap_or_default(),
    );
    let (call, answered, invite) = connect(stage, &[("Privacy", "id")]).await?;
    let told = lines(&invite, Name::CallInfo);
    report.check(
        told.is_empty() && invite.first(Name::PAssertedIdentity).is_none(),
        "with Privacy: id the INVITE names nobody",
        format!("Call-Info lines: {}, P-Asserted-Identity: none", told.len()),
    );
    call.hang_up(&[]);
    answered.call.ended(within(SOON)).await?;
    Ok(())
}

async fn register(stage: &mut Stage, report: &mut Report, user: &str, algorithm: Option<Algorithm>) -> Result<()> {
    let phone = stage.phone(user, algorithm)?;
    let response = phone.register(3600, within(SOON)).await?;
    let used = response.algorithm.map_or("none", Algorithm::as_str);
    let message = response.message.as_deref();
    let line = message.map(first_line).unwrap_or_default();
    let asked = algorithm.map_or("", Algorithm::as_str);
    report.check(
        response.status == 200 && used == asked,
        &format!("{user} registers through the edge, digest {used}"),
        format!("{line} · Contact: {}", message.and_then(|message| message.first(Name::Contact)).unwrap_or("")),
    );
    Ok(())
}

fn bindings(stage: &Stage, report: &mut Report) -> Result<()> {
    let dump = stage.kamailio.bindings()?;
    let paths: Vec<&str> = dump.lines().map(str::trim).filter(|line| line.starts_with("Path:")).collect();
    let through = format!("@{}", stage.cusax.settings().core.address());
    report.check(
        paths.len() >= 2 && paths.iter().all(|path| path.contains(&through)),
        "Kamailio stores the bindings with our Path",
        paths.first().copied().unwrap_or("no Path"),
    );
    Ok(())
}

struct Answered {
    call: Call,
}

impl Answered {
    fn is_answered_by(&self, caller: &Call) -> bool {
        self.call.hears(Stage::hertz("alice")) && caller.hears(Stage::hertz("bob"))
    }

    fn hearing(&self, caller: &Call, stage: &Stage) -> String {
        let window = Duration::from_millis(200);
        let _ = stage;
        format!(
            "bob hears {} Hz at {:.0} dBFS, alice hears {} Hz at {:.0} dBFS",
            Stage::hertz("alice"),
            self.call.level(Stage::hertz("alice"), window),
            Stage::hertz("bob"),
            caller.level(Stage::hertz("bob"), window),
        )
    }
}

/// alice calls bob, bob answers; both ends, and the INVITE as bob got it.
async fn connect(stage: &mut Stage, headers: &[(&str, &str)]) -> Result<(Call, Answered, std::sync::Arc<Message>)> {
    let call = stage.phone("alice", None)?.call("sip:bob@example.com", headers)?;
    let incoming = stage.phone("bob", None)?.incoming(within(SOON)).await.context("the INVITE reaches bob")?;
    let invite = std::sync::Arc::clone(&incoming.invite().message);
    incoming.ring(&[]);
    call.provisional(180, within(SOON)).await.context("180 reaches alice")?;
    let answered = Answered { call: incoming.accept(&[])? };
    call.answered(within(SOON)).await.context("200 reaches alice")?;
    call.until_heard(Stage::hertz("bob"), within(SOON)).await?;
    answered.call.until_heard(Stage::hertz("alice"), within(SOON)).await?;
    Ok((call, answered, invite))
}

fn caller(report: &mut Report, invite: &Message) {
    let told = lines(invite, Name::CallInfo);
    report.check(
        told.first().is_some_and(|first| first == OURS),
        "bob's INVITE names alice's JID, first",
        told.iter().map(|line| format!("Call-Info: {line}\n")).collect::<String>(),
    );
    let all = told.join(",");
    report.check(
        !all.contains("mallory") && all.contains(ICON),
        "the impp value that alice forged is gone, her icon is still there",
        format!("sent: Call-Info: {FORGED}, {ICON}"),
    );
}

fn session(stage: &mut Stage, report: &mut Report, call: &Call, invite: &Message) {
    let sent = call.session().to_string();
    let received = invite.first(Name::SessionId).unwrap_or("").to_owned();
    let responses = call.responses();
    let back = responses.last().and_then(|last| last.message.first(Name::SessionId)).unwrap_or("").to_owned();
    report.check(
        received.starts_with(&sent) && back.ends_with(&sent),
        "Session-ID is there from end to end, in both directions",
        format!("INVITE at bob:  Session-ID: {received}\n200 at alice:   Session-ID: {back}"),
    );
    stage.call_id = Some(invite.call_id().to_owned());
    stage.session = Some(sent);
}

/// Request line or status line.
#[must_use]
pub fn first_line(message: &Message) -> String {
    message.first_line().to_owned()
}

/// The lines of a header as they came.
#[must_use]
pub fn lines(message: &Message, name: Name) -> Vec<String> {
    message.lines(name).map(|field| String::from_utf8_lossy(&message.bytes()[field.value()]).into_owned()).collect()
}
