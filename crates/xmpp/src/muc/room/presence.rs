//! Are we still in the room? (XEP-0410)

use std::time::{Duration, Instant};

use super::{Room, State};
use crate::seed::Seed;
use crate::{Element, ns, stanza};

const INTERVAL: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(10);

/// When to ping ourselves through the room, and what is awaited.
pub(super) struct SelfPing {
    due: Instant,
    asked: Option<String>,
}

impl SelfPing {
    pub(super) fn new(now: Instant) -> Self {
        Self { due: now + INTERVAL, asked: None }
    }

    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// Asks, or gives up waiting: no answer tells nothing about the room, and the link has pings of its own.
    pub(super) fn beat(&mut self, seed: &mut Seed, now: Instant) -> Option<String> {
        if self.asked.take().is_some() {
            self.due = now + INTERVAL;
            return None;
        }
        let id = seed.id();
        self.asked = Some(id.clone());
        self.due = now + PATIENCE;
        Some(id)
    }
}

impl Room {
    pub(super) fn ping_self(&mut self, id: &str) {
        if let Some(place) = self.place() {
            self.send(Element::iq("get", id, Element::new(ns::PING, "ping")).with_attr("to", place.as_str()));
        }
    }

    pub(super) fn ping_answer(&mut self, iq: &Element, id: &str, now: Instant) {
        let State::Live(ping) = &mut self.state else { return };
        if ping.asked.as_deref() != Some(id) {
            return;
        }
        match stanza::error_condition(iq) {
            // XEP-0410 §3.1: these say that we are in, or nothing at all; any other that we are not.
            None
            | Some(
                "service-unavailable" | "feature-not-implemented" | "remote-server-not-found" | "remote-server-timeout",
            ) => {
                *ping = SelfPing::new(now);
            }
            Some(_) => {
                self.placed = false;
                self.enter(now);
            }
        }
    }
}
