//! Timers of many calls: one queue for each delay, in which all are in order by themselves.
//!
//! None is taken back: one whose call has gone on meanwhile finds that out when it is due.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::number::Number;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A caller waits for a final response.
    Answer,
    /// A caller's call is to be ended.
    HangUp,
    /// A caller waits for the response to its BYE.
    Ended,
    /// A caller waits for the final response to an INVITE that was cancelled.
    Cancelled,
    /// A callee picks up.
    PickUp,
    /// A callee waits for an ACK.
    Ack,
    /// A registration waits for its response.
    Registered,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    pub(super) at: Instant,
    pub(super) due: Due,
    pub(super) number: Number,
    /// How many of its kind were due before for the same request.
    pub(super) round: u8,
}

/// Retransmission intervals; both of RFC 3261 §17.1 begin with T1 and double.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Timer A: on and on, 32 s in all.
    Invite,
    /// Timers E and G, and 2xx: no more than T2.
    Other,
}

#[derive(Debug)]
pub(super) struct Timers {
    queues: [(Duration, VecDeque<Timer>); QUEUES],
}

impl Timers {
    /// Makes one for the delays of retransmissions, and two more.
    pub(super) fn new(hold: Duration, ring: Duration) -> Self {
        let queue = |delay| (delay, VecDeque::new());
        Self { queues: [T1, T1 * 2, T1 * 4, T1 * 8, T1 * 16, T1 * 32, hold, ring].map(queue) }
    }

    /// Sets the next of a request's rounds; false where that was the last, after 32 s in all (64 T1).
    pub(super) fn wait(&mut self, pace: Pace, timer: Timer) -> bool {
        let queue = match (pace, timer.round) {
            (Pace::Invite, round @ 0..6) => usize::from(round),
            (Pace::Invite, 6) => 0,
            (Pace::Other, round @ 0..3) => usize::from(round),
            (Pace::Other, 3..10) => 3,
            (Pace::Other, 10) => 0,
            (Pace::Invite | Pace::Other, _) => return false,
        };
        self.push(queue, timer);
        true
    }

    pub(super) fn hold(&mut self, timer: Timer) {
        self.push(6, timer);
    }

    pub(super) fn ring(&mut self, timer: Timer) {
        self.push(7, timer);
    }

    fn push(&mut self, queue: usize, mut timer: Timer) {
        let (delay, queue) = &mut self.queues[queue];
        timer.at += *delay;
        queue.push_back(timer);
    }

    /// Takes one that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let due = |queue: &&mut (Duration, VecDeque<Timer>)| queue.1.front().is_some_and(|timer| timer.at <= now);
        self.queues.iter_mut().find(due)?.1.pop_front()
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.queues.iter().filter_map(|(_, queue)| queue.front()).map(|timer| timer.at).min()
    }
}

const QUEUES: usize = 8;
/// RFC 3261 §17.1.1.1.
const T1: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    /// When a request that nobody answers is sent again, in milliseconds, and when it is given up.
    fn rounds(pace: Pace) -> Vec<u128> {
        let mut timers = Timers::new(Duration::ZERO, Duration::ZERO);
        #[expect(clippy::disallowed_methods, reason = "a moment to count from")]
        let begin = Instant::now();
        let mut timer = Timer { at: begin, due: Due::Answer, number: Number { slot: 0, serial: 0 }, round: 0 };
        let mut all = Vec::new();
        while timers.wait(pace, timer) {
            let at = timers.next().unwrap();
            assert!(timers.pop(at - Duration::from_nanos(1)).is_none());
            timer = timers.pop(at).unwrap();
            all.push(timer.at.duration_since(begin).as_millis());
            timer.round += 1;
        }
        all
    }

    #[test]
    fn intervals_are_those_of_rfc_3261() {
        assert_eq!(rounds(Pace::Invite), [500, 1_500, 3_500, 7_500, 15_500, 31_500, 32_000]);
        assert_eq!(
            rounds(Pace::Other),
            [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500, 32_000]
        );
    }
}
