//! Session-ID for endpoints that send none (RFC 7989 §7): derived, so that no state is needed and every node says
//! the same.

use std::hash::Hasher as _;

use cusax_event::SessionId as Uuid;
use cusax_sip::session_id::SessionId;
use cusax_sip::{Message, Name};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// The UUID of an endpoint that sends none: the same in all its requests and responses of one dialog. A keyed hash is
/// enough: who knows one session learns nothing of the key, and nothing rests on it being unique but a story.
#[must_use]
pub(crate) fn derive(key: &[u8; 32], call_id: &str, tag: &str) -> Option<Uuid> {
    let (hash_key, rest) = key.split_first_chunk::<16>()?;
    let mut hasher = SipHasher13::new_with_key(hash_key);
    hasher.write(rest);
    hasher.write_u64(call_id.len() as u64);
    hasher.write(call_id.as_bytes());
    hasher.write(tag.as_bytes());
    let mut bytes = hasher.finish128().as_bytes();
    // RFC 7989 §4.1: a UUID as RFC 4122 makes them; version 5 is the one that is derived.
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid::new(bytes)
}

/// What a message's sender says, or what is said for it; true where it must be inserted.
#[must_use]
pub(crate) fn of(key: &[u8; 32], message: &Message, peer: Option<Uuid>) -> (SessionId, bool) {
    let said = message.first(Name::SessionId).and_then(SessionId::parse).unwrap_or_default();
    if said.local.is_some() {
        return (said, false);
    }
    let tag = if message.is_request() { message.from_tag() } else { message.to_tag() };
    (SessionId { local: derive(key, message.call_id(), tag), remote: said.remote.or(peer) }, true)
}

/// What an answer of ours under this tag says to a request that says who sent it; where that does not, nor do we: an answer
/// to anybody is not much larger than his question.
#[must_use]
pub(crate) fn answering(key: &[u8; 32], request: &Message, tag: &str) -> Option<SessionId> {
    let said = request.first(Name::SessionId).and_then(SessionId::parse)?;
    let tag = if request.to_tag().is_empty() { tag } else { request.to_tag() };
    Some(SessionId { local: derive(key, request.call_id(), tag), remote: Some(said.local?) })
}
