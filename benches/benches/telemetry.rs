//! What the events of one call cost: on the thread that emits them, and on those that write log and trace.
//!
//! A call that nobody holds is 13 messages through a proxy (INVITE, 100, 180, 200, ACK, BYE, 200, most of them twice), and
//! what was decided on the way. Making the events is not part of it.

#![allow(clippy::disallowed_methods, reason = "a bench takes real time, and calls come at their own pace")]

use std::cell::LazyCell;
use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use cusax_event::sip::{
    Algorithm, Auth, AuthResult, CallEnded, CallInfo, CallInfoAction, CallInfoReason, CallOutcome, Direction,
    Forwarded, Leg, Message, Method, Outcome, Summary, TransactionEnded, Transport, Upstream, UpstreamResult,
};
use cusax_event::{Correlation, Event, Identity, SessionId};
use cusax_telemetry::trace::{Store, find};
use cusax_telemetry::{Config, Guard, Output, Telemetry};

const CALLER: &str = "sip:alice17@example.com";
const CALLEE: &str = "sip:bob42@example.com";

fn call_id(call: u64) -> String {
    format!("{call:016x}-7f3a92@192.0.2.17")
}

fn correlation(call: u64) -> Correlation {
    let half = |salt: u64| SessionId::new([(call ^ salt).to_be_bytes(), call.to_le_bytes()].concat().try_into().ok()?);
    Correlation {
        session: half(0x5a5a),
        remote_session: half(0xa5a5),
        call_id: Some(call_id(call).into()),
        ..Correlation::default()
    }
}

/// What the edge says of one call.
fn call(number: u64) -> Vec<Event> {
    let correlation = correlation(number);
    let message = |leg, direction, method: Method, status: Option<u16>| {
        let first_line = match status {
            None => format!("{method} sip:bob42@192.0.2.42:5062;transport=udp SIP/2.0"),
            Some(status) => format!("SIP/2.0 {status} Whatever"),
        };
        let impp = "Call-Info: <xmpp:alice17@example.com>;purpose=impp";
        Event::SipMessage(Message {
            leg,
            direction,
            transport: Transport::Udp,
            method,
            status,
            retransmission: false,
            local: ([127, 0, 0, 1], 5060).into(),
            remote: ([192, 0, 2, 17], 5062).into(),
            correlation: correlation.clone(),
            summary: Some(Summary {
                first_line: first_line.into(),
                cseq: format!("1 {method}").into(),
                from: Identity::uri(CALLER),
                to: Identity::uri(CALLEE),
                notes: (method == Method::Invite && status.is_none()).then(|| impp.into()).into_iter().collect(),
            }),
        })
    };
    let (client, upstream) = (Leg::Client, Leg::Upstream);
    let (received, sent) = (Direction::Received, Direction::Sent);
    let (invite, ack, bye) = (Method::Invite, Method::Ack, Method::Bye);
    let ended = |method, duration| {
        let correlation = correlation.clone();
        let (status, outcome) = (200, Outcome::Success);
        Event::SipTransaction(TransactionEnded { method, status, outcome, duration, correlation })
    };
    vec![
        message(client, received, invite, None),
        message(client, sent, invite, Some(100)),
        Event::SipAuth(Auth {
            result: AuthResult::Ok,
            algorithm: Algorithm::Sha256,
            user: Some(Identity::uri("alice17@example.com")),
            remote: ([192, 0, 2, 17], 5062).into(),
            correlation: correlation.clone(),
        }),
        Event::CallInfo(CallInfo {
            action: CallInfoAction::Inserted,
            reason: CallInfoReason::Trusted,
            correlation: correlation.clone(),
        }),
        message(upstream, sent, invite, None),
        Event::SipForwarded(Forwarded { requests: 1, delay: Duration::from_micros(90) }),
        message(upstream, received, invite, Some(180)),
        message(client, sent, invite, Some(180)),
        message(upstream, received, invite, Some(200)),
        Event::SipUpstream(Upstream { upstream: "sip:127.0.0.1:5080".into(), result: UpstreamResult::Ok }),
        message(client, sent, invite, Some(200)),
        ended(invite, Duration::from_millis(3)),
        Event::SipCall(CallEnded {
            outcome: CallOutcome::Answered,
            status: 200,
            caller: Some(Identity::uri(CALLER)),
            correlation: correlation.clone(),
        }),
        message(client, received, ack, None),
        message(upstream, sent, ack, None),
        message(client, received, bye, None),
        message(upstream, sent, bye, None),
        message(upstream, received, bye, Some(200)),
        message(client, sent, bye, Some(200)),
        ended(bye, Duration::from_millis(1)),
    ]
}

/// Telemetry at INFO whose log goes nowhere.
fn telemetry(trace: Option<Store>) -> (Telemetry, Guard) {
    let config = Config::new("edge-1", [7; 32], std::time::SystemTime::now);
    let upstreams = vec!["sip:127.0.0.1:5080".to_owned()];
    Telemetry::new(Config { upstreams, trace, output: Output::Writer(Box::new(io::sink())), ..config })
}

/// CPU time of all threads of this process but this one.
fn cpu_of_others() -> Duration {
    let own = fs::read_link("/proc/thread-self").ok().and_then(|path| path.file_name().map(ToOwned::to_owned));
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let others = tasks.filter(|task| Some(task.file_name()) != own);
    let nanos = others.filter_map(|task| {
        let stat = fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// Calls that are emitted at once: as many as 50 ms of 2,000 calls a second.
const BURST: u64 = 100;

/// Long enough for those who write to be done.
const PAUSE: Duration = Duration::from_millis(50);

/// Emits `calls` until there were at least `count` of them, and lets those who write catch up after each time; returns
/// what `count` calls cost by `measure`. Never fewer than a burst: a lone call after a pause costs what waking a processor
/// costs.
fn cost(telemetry: &Telemetry, calls: &[Vec<Event>], count: u64, measure: fn(&dyn Fn()) -> Duration) -> Duration {
    let bursts = count.div_ceil(BURST);
    let mut took = Duration::ZERO;
    for _ in 0..bursts {
        took += measure(&|| calls.iter().flatten().for_each(|event| telemetry.emit(event)));
    }
    took.mul_f64(count as f64 / (bursts * BURST) as f64)
}

/// The time that passes while something is done; those who write catch up after it.
fn elapsed(what: &dyn Fn()) -> Duration {
    let begin = Instant::now();
    what();
    let took = begin.elapsed();
    thread::sleep(PAUSE);
    took
}

/// The CPU time of other threads for something, while it is done and after.
fn elsewhere(what: &dyn Fn()) -> Duration {
    let before = cpu_of_others();
    what();
    thread::sleep(PAUSE);
    cpu_of_others().saturating_sub(before)
}

fn one_call(criterion: &mut Criterion) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let calls: Vec<Vec<Event>> = (1..=BURST).map(call).collect();
    let mut group = criterion.benchmark_group("telemetry");
    group.sample_size(10);
    for (name, trace) in [("log", None), ("log_and_trace", Some(Store::new(folder.path().join("trace"))))] {
        let (telemetry, guard) = telemetry(trace);
        for (whose, measure) in [("emitter", elapsed as fn(&dyn Fn()) -> Duration), ("writers", elsewhere)] {
            group.bench_function(format!("{name}/{whose}_per_call"), |bencher| {
                bencher.iter_custom(|count| cost(&telemetry, &calls, count, measure));
            });
        }
        guard.flush();
        for line in
            telemetry.metrics_text().lines().filter(|line| line.contains("dropped_total") && !line.ends_with(" 0"))
        {
            assert!(line.starts_with('#'), "the figures are of a queue that was full: {line}");
        }
    }
    group.finish();
}

/// Fills a store with calls; the number of the last one.
fn fill(store: &Store) -> u64 {
    let (telemetry, guard) = telemetry(Some(store.clone()));
    let calls = store.max_bytes / BYTES_OF_A_CALL;
    for number in 1..=calls {
        call(number).iter().filter(|event| matches!(event, Event::SipMessage(_))).for_each(|it| telemetry.emit(it));
        if number % 2_000 == 0 {
            thread::sleep(PAUSE);
        }
    }
    guard.flush();
    calls
}

/// How long it takes to find somebody in a store that is full.
fn search(criterion: &mut Criterion) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let store = Store::new(folder.path().join("trace"));
    let last = LazyCell::new(|| fill(&store));
    let mut group = criterion.benchmark_group("telemetry");
    group.sample_size(10);
    for who in ["a_call", "nobody", "everybody"] {
        group.bench_function(format!("search_full_store/{who}"), |bencher| {
            let id = match who {
                "a_call" => call_id(*last),
                "nobody" => String::from("carol@example.com"),
                _ => String::from(CALLER),
            };
            bencher.iter(|| find(&store.path, &[&id]).map_or(0, |records| records.len()));
        });
    }
    group.finish();
}

/// At least so much of the store is one call.
const BYTES_OF_A_CALL: u64 = 3_000;

criterion_group!(benches, one_call, search);
criterion_main!(benches);
