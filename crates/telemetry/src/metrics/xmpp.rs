//! Families of the XMPP side: the component stream, rooms and what their moderators decide.

use cusax_event::moderation::{Action, ActionResult, Moderation, Origin, ReconcileResult};
use cusax_event::sip::Direction;
use cusax_event::xmpp::{DropReason, Link, LinkState, Stanza, StanzaKind};
use prometheus::{Histogram, IntCounter, IntGauge};

use super::children::{Children, Families, label};

pub(super) struct Xmpp {
    /// Without one, the families of the stream have no children.
    component: Option<String>,
    connected: Children<IntGauge, 1>,
    connects: Children<IntCounter, 2>,
    stanzas: Children<IntCounter, 3>,
    stanza_errors: Children<IntCounter, 2>,
    dropped: Children<IntCounter, 1>,
    rooms: IntGauge,
    moderation_actions: Children<IntCounter, 3>,
    moderation_mirror: Children<Histogram, 1>,
    reconciles: Children<IntCounter, 1>,
}

impl Xmpp {
    pub(super) fn new(families: &Families<'_>, configured: Option<String>) -> Self {
        let component = || ("component", configured.as_deref().into_iter().collect::<Vec<_>>());
        Self {
            connected: families.gauges("xmpp_connected", "1 while the component stream is up.", &[component()]),
            connects: families.counters(
                "xmpp_connects_total",
                "Component connections by how they came out.",
                &[component(), label!("result", LinkState)],
            ),
            stanzas: families.counters(
                "xmpp_stanzas_total",
                "Stanzas that passed the component stream.",
                &[component(), label!("dir", Direction), label!("kind", StanzaKind)],
            ),
            stanza_errors: families.counters(
                "xmpp_stanza_errors_total",
                "Error stanzas by defined condition (RFC 6120 §8.3.3).",
                &[component(), ("condition", CONDITIONS.to_vec())],
            ),
            dropped: families.counters(
                "xmpp_dropped_total",
                "Bytes and stanzas that were dropped.",
                &[label!("reason", DropReason)],
            ),
            rooms: families.gauge("muc_rooms_mirrored", "Rooms that the focus is in."),
            moderation_actions: families.counters(
                "moderation_actions_total",
                "What moderators decided and what came of it in the call.",
                &[label!("action", Action), label!("origin", Origin), label!("result", ActionResult)],
            ),
            moderation_mirror: families.histograms(
                "moderation_mirror_seconds",
                "Time from a moderator's decision at our socket to its confirmation by mixer or dialog.",
                &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0],
                &[label!("origin", Origin)],
            ),
            reconciles: families.counters(
                "moderation_reconciles_total",
                "Comparisons of room and call by what they found.",
                &[label!("result", ReconcileResult)],
            ),
            component: configured,
        }
    }

    /// A component that is not configured has no child: its name could be anything.
    pub(super) fn link(&self, link: &Link) {
        if self.component.as_ref() == Some(&link.component) {
            self.connects.at([0, link.state as usize]).inc();
            self.connected.at([0]).set(i64::from(link.state == LinkState::Connected));
        }
    }

    pub(super) fn stanza(&self, stanza: &Stanza) {
        if self.component.is_none() {
            return;
        }
        self.stanzas.at([0, stanza.direction as usize, stanza.kind as usize]).inc();
        if let Some(condition) = &stanza.error {
            let defined = CONDITIONS.iter().position(|name| name == condition);
            self.stanza_errors.at([0, defined.unwrap_or(CONDITIONS.len() - 1)]).inc();
        }
    }

    pub(super) fn dropped(&self, reason: DropReason) {
        self.dropped.at([reason as usize]).inc();
    }

    pub(super) fn room(&self, mirrored: bool) {
        if mirrored { self.rooms.inc() } else { self.rooms.dec() }
    }

    pub(super) fn moderation(&self, it: &Moderation) {
        self.moderation_actions.at([it.action as usize, it.origin as usize, it.result as usize]).inc();
        if let Some(delay) = it.delay {
            self.moderation_mirror.at([it.origin as usize]).observe(delay.as_secs_f64());
        }
    }

    pub(super) fn reconcile(&self, result: ReconcileResult) {
        self.reconciles.at([result as usize]).inc();
    }
}

/// The defined conditions of RFC 6120 §8.3.3; what a server invents is `other`.
const CONDITIONS: [&str; 23] = [
    "bad-request",
    "conflict",
    "feature-not-implemented",
    "forbidden",
    "gone",
    "internal-server-error",
    "item-not-found",
    "jid-malformed",
    "not-acceptable",
    "not-allowed",
    "not-authorized",
    "policy-violation",
    "recipient-unavailable",
    "redirect",
    "registration-required",
    "remote-server-not-found",
    "remote-server-timeout",
    "resource-constraint",
    "service-unavailable",
    "subscription-required",
    "undefined-condition",
    "unexpected-request",
    "other",
];
