//! What every request must have before anything is done with it (RFC 3261 §8.1.1, §16.3 steps 1–3).

use crate::message::Defect;
use crate::name::Name;
use crate::{Message, Via};

/// Finds the first thing that a request must not be.
#[must_use]
pub fn request_defect(message: &Message) -> Option<Defect> {
    let bad = |reason| Some(Defect { status: 400, reason });
    if let Some(defect) = message.defect() {
        return Some(defect);
    }
    for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
        let mut lines = message.lines(name);
        if lines.next().is_none() {
            return Some(Defect { status: 400, reason: "Missing mandatory header" });
        }
        if lines.next().is_some() {
            return bad("Header given twice");
        }
    }
    if message.values(Name::Via).any(|value| Via::parse(value).is_none_or(|via| via.version != "2.0")) {
        return bad("Malformed Via");
    }
    let well_formed = |name| message.address(name).is_some();
    if !well_formed(Name::From) || !well_formed(Name::To) {
        return bad("Malformed From or To");
    }
    if message.call_id().is_empty() {
        return bad("Malformed Call-ID");
    }
    match message.cseq() {
        Some((_, method)) if method == message.method_text() => {}
        Some(_) => return bad("CSeq method does not match"),
        None => return bad("Malformed CSeq"),
    }
    if message.first(Name::MaxForwards).is_some() && message.max_forwards().is_none() {
        return bad("Malformed Max-Forwards");
    }
    None
}

/// True where a message has what an answer to it needs: a Via, From, To, Call-ID and CSeq.
#[must_use]
pub fn answerable(message: &Message) -> bool {
    message.top_via().is_some()
        && [Name::From, Name::To, Name::CallId, Name::CSeq].into_iter().all(|name| message.first(name).is_some())
}
