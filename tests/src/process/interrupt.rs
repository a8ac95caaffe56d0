//! What happens to children and directories when this program is told to stop, or panics.

use std::panic;
use std::process::exit;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::Notify;

use super::registry;

static GUARD: Once = Once::new();
static CALLER_ENDS: AtomicBool = AtomicBool::new(false);
static NUMBER: AtomicI32 = AtomicI32::new(0);
static TOLD: Notify = Notify::const_new();
/// How a program of Rust ends that has panicked.
const PANICKED: i32 = 101;

/// From now on a signal that would end this program ends its children first, and removes its directories.
pub fn guard() {
    GUARD.call_once(|| {
        let watch = thread::Builder::new().name("interrupt".to_owned()).spawn(watch);
        assert!(watch.is_ok(), "no thread to watch for signals: {watch:?}");
    });
}

/// Waits until this program is told to stop (SIGINT, SIGTERM, SIGHUP), and returns the signal's number.
///
/// Who waits here ends the children in good order, by dropping them; a second signal ends everything at once.
pub async fn interrupted() -> i32 {
    guard();
    CALLER_ENDS.store(true, Ordering::SeqCst);
    TOLD.notified().await;
    NUMBER.load(Ordering::SeqCst)
}

/// From now on a panic anywhere ends this program, after its children and its directories.
///
/// For a program that is built so that panics abort, which drops nothing; not for tests, where other tests go on.
pub fn end_on_panic() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        tell(what);
        let _nothing_begins = registry::end_all();
        exit(PANICKED);
    }));
}

#[expect(clippy::expect_used, reason = "without it, an interrupted test would leave servers running")]
fn watch() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime of one thread can be made");
    runtime.block_on(async {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [mut interrupt, mut terminate, mut hangup] =
            kinds.map(|kind| signal(kind).expect("these signals can be caught"));
        let mut told = false;
        loop {
            let number = next(&mut interrupt, &mut terminate, &mut hangup).await;
            if told || !CALLER_ENDS.load(Ordering::SeqCst) {
                let _nothing_begins = registry::end_all();
                exit(128 + number);
            }
            told = true;
            NUMBER.store(number, Ordering::SeqCst);
            TOLD.notify_one();
        }
    });
}

/// The number of the next signal.
async fn next(interrupt: &mut Stream, terminate: &mut Stream, hangup: &mut Stream) -> i32 {
    tokio::select! {
        _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
        _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
        _ = hangup.recv() => SignalKind::hangup().as_raw_value(),
    }
}
