//! Virtual time, and what must hold of whoever has timers.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Timers that may be due within one step; more is a core that turns in place.
const MOST: u32 = 100_000;

/// When everything begins; one instant is as good as another.
#[allow(clippy::disallowed_methods, reason = "somewhere the count must begin")]
pub(super) fn start() -> Instant {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    *START
}

/// Times that something may be due at one instant, one thing after the other.
const AT_ONCE: u32 = 16;

/// Lets time pass, from one timer to the next; `next` tells when it is due and `run` runs it at that time.
pub(super) fn pass<T>(
    core: &mut T,
    now: &mut Instant,
    time: Duration,
    next: impl Fn(&T) -> Option<Instant>,
    mut run: impl FnMut(&mut T, Instant),
) {
    let end = *now + time;
    let mut at_once = 0;
    for count in 0.. {
        let Some(due) = next(core).filter(|due| *due <= end) else { break };
        *now = due.max(*now);
        run(core, *now);
        at_once = if next(core).is_some_and(|due| due <= *now) { at_once + 1 } else { 0 };
        assert!(at_once < AT_ONCE, "a timer that was run is due again and again");
        assert!(count < MOST, "timers never end");
    }
    *now = end;
}
