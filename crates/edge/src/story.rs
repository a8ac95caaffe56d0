//! What is told of messages: the events that become log, metric and trace.

use std::net::SocketAddr;
use std::sync::Arc;

use cusax_event::sip::{Direction, Leg, Message as MessageEvent, Summary};
use cusax_event::{Correlation, Event, Identity};
use cusax_sip::session_id::SessionId;
use cusax_sip::{Flow, Message, Name};

use crate::config::{CUE, Config, FOCUS, Zone};

/// Headers whose lines a ladder shows; none of them holds a secret.
const NOTED: [Name; 6] = [Name::CallInfo, Name::Warning, Name::Reason, Name::Path, Name::Privacy, Name::RetryAfter];

/// The identifiers of a message.
pub(crate) fn correlation(message: &Message) -> Correlation {
    let session = message.first(Name::SessionId).and_then(SessionId::parse).unwrap_or_default();
    // A response names the callee first; the story is the caller's.
    let session = if message.is_request() { session } else { session.reversed() };
    let (own, remote) = match (session.local, session.remote) {
        (None, remote) => (remote, None),
        both => both,
    };
    let call_id = message.call_id();
    Correlation {
        session: own,
        remote_session: remote,
        call_id: (!call_id.is_empty()).then(|| Arc::from(call_id)),
        ..Correlation::default()
    }
}

/// The event of a message that passed.
pub(crate) fn message(config: &Config, message: &Message, flow: &Flow, direction: Direction, again: bool) -> Event {
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
        method: message.method(),
        status: message.status(),
        retransmission: again,
        local: listener.map_or(inside, |listener| listener.address),
        remote: flow.remote,
        correlation: correlation(message),
        summary: config.summaries.then(|| summary(message)),
    })
}

fn summary(message: &Message) -> Summary {
    let identity = |name| Identity::uri(message.address(name).map_or("", |address| address.uri_text));
    let notes = NOTED.iter().flat_map(|name| {
        message.lines(*name).map(|field| {
            let value = &message.bytes()[field.value.clone()];
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
