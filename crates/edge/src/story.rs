//! What is told of messages: the events that become log, metric and trace.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use cusax_event::sip::{Direction, Leg, Message as MessageEvent, Summary};
use cusax_event::{Correlation, Event, Identity};
use cusax_sip::session_id::SessionId;
use cusax_sip::{Flow, Glance, Message, Method, Name};

use crate::config::{CUE, Config, FOCUS, Zone};

/// Headers whose lines a ladder shows; none of them holds a secret.
const NOTED: [Name; 6] = [Name::CallInfo, Name::Warning, Name::Reason, Name::Path, Name::Privacy, Name::RetryAfter];

/// The identifiers of a message.
pub(crate) fn correlation(message: &Message) -> Correlation {
    identifiers(message.call_id(), message.first(Name::SessionId), message.is_request())
}

fn identifiers(call_id: &str, session_id: Option<&str>, request: bool) -> Correlation {
    let session = session_id.and_then(SessionId::parse).unwrap_or_default();
    // A response names the callee first; the story is the caller's.
    let session = if request { session } else { session.reversed() };
    let (own, remote) = match (session.local, session.remote) {
        (None, remote) => (remote, None),
        both => both,
    };
    Correlation {
        session: own,
        remote_session: remote,
        call_id: (!call_id.is_empty()).then(|| Arc::from(call_id)),
        ..Correlation::default()
    }
}

/// The event of a message that came.
pub(crate) fn received(config: &Config, message: &Message, flow: &Flow) -> Event {
    let (method, status) = (message.method(), message.status());
    let summary = config.summaries.then(|| summary(message));
    passed(config, flow, (Direction::Received, false), (method, status), correlation(message), summary)
}

/// The event of a message that goes; `again` says that it went before.
pub(crate) fn sent(config: &Config, bytes: &Bytes, flow: &Flow, again: bool) -> Event {
    let glance = Glance::at(bytes);
    let summary = if config.summaries { Message::parse(bytes.clone()).ok().as_ref().map(summary) } else { None };
    let correlation = identifiers(glance.call_id, glance.session_id, glance.status.is_none());
    passed(config, flow, (Direction::Sent, again), (glance.method(), glance.status), correlation, summary)
}

fn passed(
    config: &Config,
    flow: &Flow,
    (direction, again): (Direction, bool),
    (method, status): (Method, Option<u16>),
    correlation: Correlation,
    summary: Option<Summary>,
) -> Event {
    let listener = config.listener(flow.listener);
    let leg = match listener.map(|listener| listener.zone) {
        Some(Zone::Access) => Leg::Client,
        Some(Zone::Core) => Leg::Upstream,
        Some(Zone::Peer) => Leg::Peer,
        None => Leg::Internal,
    };
    let inside = SocketAddr::from(([0, 0, 0, 0], 0));
    Event::SipMessage(MessageEvent {
        leg,
        direction,
        transport: flow.transport,
        method,
        status,
        retransmission: again,
        local: listener.map_or(inside, |listener| listener.address),
        remote: flow.remote,
        correlation,
        summary,
    })
}

fn summary(message: &Message) -> Summary {
    let identity = |name| Identity::uri(message.address(name).map_or("", |address| address.uri_text));
    let notes = NOTED.iter().flat_map(|name| {
        message.lines(*name).map(|field| {
            let value = &message.bytes()[field.value()];
            Arc::from(format!("{}: {}", name.as_str(), String::from_utf8_lossy(value)))
        })
    });
    Summary {
        first_line: Arc::from(message.first_line()),
        cseq: Arc::from(message.first(Name::CSeq).unwrap_or("")),
        from: identity(Name::From),
        to: identity(Name::To),
        notes: notes.collect(),
    }
}

/// True for the user agents inside this process.
pub(crate) fn is_inside(flow: &Flow) -> bool {
    flow.listener == FOCUS || flow.listener == CUE
}
