//! Is the stream alive, and ours alone? (XEP-0199)

use std::time::{Duration, Instant};

use crate::seed::Seed;
use crate::{Element, ns};

const INTERVAL: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(10);
/// Pings without an answer while other bytes come in.
const MISSES: u8 = 3;

/// The server is pinged every 30 s, also while stanzas come in: a server that takes two connections of one component
/// (ejabberd) spreads answers over both, and nothing but a missing answer tells.
#[derive(Clone, Debug)]
pub(super) struct Ping {
    due: Instant,
    asked: Option<String>,
    heard: bool,
    misses: u8,
}

/// What to do at a beat.
pub(super) enum Pulse {
    /// Ping with this id.
    Ask(String),
    /// Nothing came in since the ping.
    Dead,
    /// Other bytes came in, but none of the answers.
    Shared,
}

impl Ping {
    pub(super) fn new(now: Instant) -> Self {
        Self { due: now + INTERVAL, asked: None, heard: false, misses: 0 }
    }

    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    pub(super) const fn heard(&mut self) {
        self.heard = true;
    }

    /// Takes the answer, be it a result or an error: both prove life.
    pub(super) fn answered(&mut self, stanza: &Element, server: &str, now: Instant) -> bool {
        let ours =
            self.asked.is_some() && stanza.attr("id") == self.asked.as_deref() && stanza.attr("from") == Some(server);
        let answer = stanza.is(ns::CLIENT, "iq") && matches!(stanza.attr("type"), Some("result" | "error"));
        if ours && answer {
            *self = Self::new(now);
        }
        ours && answer
    }

    pub(super) fn beat(&mut self, seed: &mut Seed, now: Instant) -> Pulse {
        if self.asked.is_some() {
            self.misses += 1;
            if !self.heard {
                return Pulse::Dead;
            }
            if self.misses >= MISSES {
                return Pulse::Shared;
            }
        }
        let id = seed.id();
        self.asked = Some(id.clone());
        self.heard = false;
        self.due = now + PATIENCE;
        Pulse::Ask(id)
    }
}
