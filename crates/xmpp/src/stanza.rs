//! What every stanza has: kind, addresses, id, error (RFC 6120 §8).

use cusax_event::sip::Direction;
use cusax_event::xmpp::{Stanza as Passed, StanzaKind};
use cusax_event::{Correlation, Identity};

use crate::{Element, Jid, ns};

/// The kind of a stanza; `None` for what is no stanza.
#[must_use]
pub fn kind(element: &Element) -> Option<StanzaKind> {
    match (element.ns(), element.name()) {
        (ns::CLIENT, "iq") => Some(StanzaKind::Iq),
        (ns::CLIENT, "message") => Some(StanzaKind::Message),
        (ns::CLIENT, "presence") => Some(StanzaKind::Presence),
        _ => None,
    }
}

/// The sender, where it is there and a JID.
#[must_use]
pub fn from(stanza: &Element) -> Option<Jid> {
    stanza.attr("from")?.parse().ok()
}

/// The addressee, where it is there and a JID.
#[must_use]
pub fn to(stanza: &Element) -> Option<Jid> {
    stanza.attr("to")?.parse().ok()
}

/// The defined condition of an error stanza (RFC 6120 §8.3.3).
#[must_use]
pub fn error_condition(stanza: &Element) -> Option<&str> {
    let error = stanza.child(ns::CLIENT, "error")?;
    let condition = error.children().find(|child| child.ns() == ns::STANZA_ERRORS && child.name() != "text");
    Some(condition.map_or("undefined-condition", Element::name))
}

/// Tells whether it is an IQ that must be answered (RFC 6120 §8.2.3).
#[must_use]
pub fn is_request(stanza: &Element) -> bool {
    stanza.is(ns::CLIENT, "iq") && matches!(stanza.attr("type"), Some("get" | "set"))
}

/// The result that answers an IQ request, with the addresses turned round.
#[must_use]
pub fn result(request: &Element, payload: Option<Element>) -> Element {
    let reply = reply(request, "result");
    payload.map_or(reply.clone(), |payload| reply.with_child(payload))
}

/// The error that answers an IQ request: its type and defined condition (RFC 6120 §8.3).
#[must_use]
pub fn error(request: &Element, kind: &'static str, condition: &'static str) -> Element {
    let error = Element::new(ns::CLIENT, "error")
        .with_attr("type", kind)
        .with_child(Element::new(ns::STANZA_ERRORS, condition));
    reply(request, "error").with_child(error)
}

fn reply(request: &Element, kind: &'static str) -> Element {
    let mut reply = Element::new(ns::CLIENT, "iq").with_attr("type", kind);
    for (theirs, ours) in [("id", "id"), ("from", "to"), ("to", "from")] {
        if let Some(value) = request.attr(theirs) {
            reply.set_attr(ours, value);
        }
    }
    reply
}

/// The event that a stanza passed; `peer` is the attribute that names the other side.
pub(crate) fn passed(stanza: &Element, direction: Direction) -> Option<Passed> {
    let peer = match direction {
        Direction::Received => "from",
        Direction::Sent => "to",
    };
    let peer = stanza.attr(peer).filter(|_| concerns_a_room(stanza));
    let room = peer.map(|peer| peer.split_once('/').map_or(peer, |(bare, _)| bare));
    Some(Passed {
        direction,
        kind: kind(stanza)?,
        error: error_condition(stanza).map(str::to_owned),
        summary: Some(summary(stanza)),
        correlation: Correlation {
            room: room.map(Identity::room),
            occupant: peer.filter(|peer| peer.contains('/')).map(Identity::jid),
            ..Correlation::default()
        },
    })
}

fn concerns_a_room(stanza: &Element) -> bool {
    stanza.attr("type") == Some("groupchat") || stanza.children().any(|child| child.ns().starts_with(ns::MUC))
}

/// What a ladder shows: kind, type, payload names and MUC statuses; no address and no body.
fn summary(stanza: &Element) -> String {
    let mut text = stanza.name().to_owned();
    if let Some(kind) = stanza.attr("type") {
        text.push(' ');
        text.push_str(kind);
    }
    for child in stanza.children().take(8) {
        text.push(' ');
        text.push_str(child.name());
        for status in
            child.children().filter(|child| child.name() == "status").filter_map(|status| status.attr("code")).take(8)
        {
            text.push(' ');
            text.push_str(status);
        }
    }
    text
}
