//! The whole stage for a while: calls, a meeting with moderation, and a Prosody that is killed and comes back. At the end everything
//! still works, nobody is left in a meeting, and cusax holds no more memory and no more files than after a quarter of it.
//!
//! One round by itself. Where `CUSAX_LONG` is set, as many as fit into two thirds of `CUSAX_LONG_BUDGET`, which leaves time to
//! build and to end.

#![expect(clippy::unwrap_used, reason = "a test fails where it is wrong")]

use std::fs;
use std::time::{Duration, Instant};

use cusax_load::Call;
use cusax_load::phone::within;
use cusax_net::clock;
use cusax_tests::interop::{CUSAX, KAMAILIO, PROSODY, SIPP, available};
use cusax_tests::server::{DOMAIN, ROOMS};
use cusax_tests::tour::Stage;
use cusax_tests::tour::stage::USERS;
use cusax_xmpp::BareJid;
use cusax_xmpp::muc::Role;
use tokio::time::{MissedTickBehavior, interval};

const SOON: Duration = Duration::from_secs(10);
/// The component comes back within seconds where its last stream has lasted; who is thrown out again and again waits up to 72 s.
const RECONNECT: Duration = Duration::from_secs(90);
/// A stream that has lasted so long is worth a first delay of a second again.
const LASTED: Duration = Duration::from_secs(65);
/// A conference goes on for a minute with nobody in it.
const LINGER: Duration = Duration::from_secs(75);
/// What the rest may cost: queues and caches that have not been full yet, not what a leak makes of hundreds of rounds.
const SLACK_KIB: u64 = 16 * 1024;
const SLACK_FILES: usize = 8;
const BUDGET: u64 = 900;
/// For a last round with a crash, and the end.
const RESERVE: u64 = 240;
const ROOM: &str = "soak";
const CONNECTED: &str = "cusax_xmpp_connected{component=\"cusax.example.com\"}";
const PARTICIPANTS: [&str; 4] = ["speaking", "silent", "muted", "held"];

fn is_long() -> bool {
    std::env::var_os("CUSAX_LONG").is_some()
}

/// How long further rounds begin.
fn length() -> Duration {
    let budget = std::env::var("CUSAX_LONG_BUDGET").ok().and_then(|budget| budget.parse().ok()).unwrap_or(BUDGET);
    let length = (budget * 2 / 3).min(budget.saturating_sub(RESERVE));
    if is_long() { Duration::from_secs(length) } else { Duration::ZERO }
}

/// What cusax holds.
#[derive(Debug, Clone, Copy)]
struct Holding {
    kib: u64,
    files: usize,
}

impl Holding {
    fn of(stage: &Stage) -> Self {
        let pid = stage.process.pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        Self { kib: kib.unwrap(), files: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() }
    }
}

/// Waits until a series has a value.
async fn until(stage: &Stage, series: &str, wanted: u64, patience: Duration) {
    let deadline = within(patience);
    let mut looks = interval(Duration::from_millis(50));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let value = stage.metric(series).await.unwrap();
        if value == wanted {
            return;
        }
        assert!(clock::now() < deadline, "{series} stays {value}, not {wanted}: {}", stage.process.log_tail());
    }
}

fn room() -> BareJid {
    format!("{ROOM}@{ROOMS}").parse().unwrap()
}

/// Everybody enters the room, which outlives its server.
async fn enter(stage: &mut Stage) {
    for (user, _) in USERS {
        let chat = stage.chat(user).await.unwrap();
        let entered = chat.enter(&room(), user, None, within(SOON)).await.unwrap();
        if entered.created {
            chat.configure(&room(), &[("muc#roomconfig_persistentroom", "1")], within(SOON)).await.unwrap();
        }
    }
}

async fn dial(stage: &mut Stage, user: &str, to: &str) -> Call {
    let call = stage.phone(user, None).unwrap().call(to, &[]).unwrap();
    if let Err(error) = call.answered(within(SOON)).await {
        panic!("{user} calls {to}: {error}: {}", stage.process.log_tail());
    }
    call
}

async fn join(stage: &mut Stage, user: &str) -> Call {
    dial(stage, user, &format!("sip:{ROOM}@{ROOMS}")).await
}

/// Everybody hears exactly the others, from now on.
async fn all_are_heard(meeting: &[Call; 3]) {
    let now = clock::now();
    for (listener, (own, _)) in meeting.iter().zip(USERS) {
        for (user, _) in USERS {
            listener.first_packet_from(now, Stage::hertz(user), user != own, within(SOON)).await.unwrap();
        }
    }
}

/// The room takes and gives bob's voice, and the call obeys.
async fn mute(stage: &mut Stage, meeting: &[Call; 3]) {
    let bob = Stage::hertz("bob");
    let [alice, _, carol] = meeting;
    let owner = stage.chat("alice").await.unwrap();
    owner.set_role(&room(), "bob", Role::Visitor, None, within(SOON)).await.unwrap();
    alice.until_silent(bob, within(SOON)).await.unwrap();
    carol.until_silent(bob, within(SOON)).await.unwrap();
    assert!(alice.hears(Stage::hertz("carol")));
    owner.set_role(&room(), "bob", Role::Participant, None, within(SOON)).await.unwrap();
    carol.until_heard(bob, within(SOON)).await.unwrap();
}

/// The room puts carol out, and the call does; she comes back to both.
async fn kick(stage: &mut Stage, carol: &mut Call) {
    let owner = stage.chat("alice").await.unwrap();
    owner.set_role(&room(), "carol", Role::None, None, within(SOON)).await.unwrap();
    let ended = carol.ended(within(SOON)).await.unwrap();
    assert!(ended.cause.unwrap_or_default().contains("Kicked"));
    *carol = join(stage, "carol").await;
    enter(stage).await;
}

/// A call from phone to phone, and one to a number.
async fn call(stage: &mut Stage) {
    let call = stage.phone("alice", None).unwrap().call(&format!("sip:bob@{DOMAIN}"), &[]).unwrap();
    let incoming = stage.phone("bob", None).unwrap().incoming(within(SOON)).await.unwrap();
    incoming.ring(&[]);
    let answered = incoming.accept(&[]).unwrap();
    call.answered(within(SOON)).await.unwrap();
    call.until_heard(Stage::hertz("bob"), within(SOON)).await.unwrap();
    answered.until_heard(Stage::hertz("alice"), within(SOON)).await.unwrap();
    call.hang_up(&[]);
    answered.ended(within(SOON)).await.unwrap();
    let call = dial(stage, "carol", &format!("sip:+19005550123@{DOMAIN}")).await;
    call.hang_up(&[]);
    call.ended(within(SOON)).await.unwrap();
}

/// Prosody crashes and comes back while the meeting goes on.
async fn crash(stage: &mut Stage, meeting: &[Call; 3]) {
    stage.prosody.kill().unwrap();
    stage.forget_chats();
    until(stage, CONNECTED, 0, SOON).await;
    all_are_heard(meeting).await;
    call(stage).await;
    stage.prosody.start_again().await.unwrap();
    until(stage, CONNECTED, 1, RECONNECT).await;
    enter(stage).await;
    until(stage, "cusax_muc_rooms_mirrored", 1, RECONNECT).await;
    all_are_heard(meeting).await;
}

/// Returns when Prosody was started last.
async fn round(stage: &mut Stage, prosody_since: Instant, crashes: bool) -> Instant {
    let mut since = prosody_since;
    for (user, _) in USERS {
        let response = stage.phone(user, None).unwrap().register(3600, within(SOON)).await.unwrap();
        assert_eq!(response.status, 200);
    }
    enter(stage).await;
    let mut meeting = [join(stage, "alice").await, join(stage, "bob").await, join(stage, "carol").await];
    all_are_heard(&meeting).await;
    mute(stage, &meeting).await;
    kick(stage, &mut meeting[2]).await;
    call(stage).await;
    if crashes {
        crash(stage, &meeting).await;
        since = clock::now();
        mute(stage, &meeting).await;
        kick(stage, &mut meeting[2]).await;
    }
    all_are_heard(&meeting).await;
    for call in &meeting {
        call.hang_up(&[]);
        call.ended(within(SOON)).await.unwrap();
    }
    for state in PARTICIPANTS {
        until(stage, &format!("cusax_mixer_participants{{state=\"{state}\"}}"), 0, SOON).await;
    }
    since
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_meetings_go_on_through_crashes_of_prosody_and_nothing_piles_up() {
    if !available("soak", &[CUSAX, KAMAILIO, PROSODY, SIPP]) {
        return;
    }
    let mut stage = Stage::raise("soak", |_, _| {}).await.unwrap();
    let (warm, end) = (within(length() / 4), within(length()));
    let mut since = round(&mut stage, clock::now(), true).await;
    let (mut rounds, mut crashes) = (1, 1);
    let mut first = Holding::of(&stage);
    while clock::now() < end {
        let (warming, crash) = (clock::now() < warm, since + LASTED < clock::now());
        since = round(&mut stage, since, crash).await;
        rounds += 1;
        crashes += u32::from(crash);
        if warming {
            first = Holding::of(&stage);
        }
    }

    let last = Holding::of(&stage);
    eprintln!(
        "{rounds} rounds, {crashes} crashes of Prosody; cusax held {first:?} when it was warm, {last:?} at the end"
    );
    assert!(last.kib <= first.kib + SLACK_KIB, "memory: {first:?} when it was warm, {last:?} after {rounds} rounds");
    assert!(
        last.files <= first.files + SLACK_FILES,
        "files: {first:?} when it was warm, {last:?} after {rounds} rounds"
    );
    let legs =
        async |state: &str| stage.metric(&format!("cusax_conference_legs_total{{state=\"{state}\"}}")).await.unwrap();
    assert_eq!(legs("joined").await, legs("departed").await + legs("booted").await);
    assert_eq!((legs("failed").await, legs("refused").await), (0, 0));
    if is_long() {
        until(&stage, "cusax_mixer_conferences", 0, LINGER).await;
        until(&stage, "cusax_muc_rooms_mirrored", 0, LINGER).await;
    }
    for server in stage.servers() {
        assert!(server.is_running(), "{} has ended: {}", server.name(), server.log_tail());
    }
    let log = stage.process.log();
    let errors: Vec<_> =
        log.lines().filter(|line| line.contains("\"level\":\"ERROR\"") || line.contains("panicked")).collect();
    assert!(errors.is_empty(), "{errors:?}");
}
