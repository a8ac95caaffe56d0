//! How transactions are matched (RFC 3261 §17.1.3, §17.2.3).

use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher128};

use crate::Message;
use crate::name::Name;

/// The cookie that every branch of RFC 3261 begins with.
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// A client transaction of this layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// A server transaction of this layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServerId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// The secret that makes branches unguessable and table keys unforgeable.
#[derive(Clone, Copy)]
pub(super) struct Secret(u64, u64);

impl Secret {
    pub(super) const fn new(seed: [u64; 2]) -> Self {
        Self(seed[0], seed[1])
    }

    /// A branch that names its slot, so that a response finds it without a table, and proves that we made it; with what
    /// was decided for the request, if it may come back (RFC 5393 §4.2.1).
    pub(super) fn branch(self, id: ClientId, decided: Option<u32>) -> String {
        let own = format!("{MAGIC_COOKIE}-{:x}-{:x}-{:016x}", id.slot, id.generation, self.mac(id, decided));
        decided.map_or_else(|| own.clone(), |decided| format!("{own}-{decided:08x}"))
    }

    /// The client that a branch names and what was decided for its request, if the branch is ours.
    pub(super) fn client(self, branch: &str) -> Option<(ClientId, Option<u32>)> {
        let rest = branch.get(MAGIC_COOKIE.len()..)?.strip_prefix('-')?;
        let mut parts = rest.split('-');
        let slot = u32::from_str_radix(parts.next()?, 16).ok()?;
        let generation = u32::from_str_radix(parts.next()?, 16).ok()?;
        let mac = u64::from_str_radix(parts.next()?, 16).ok()?;
        let decided = parts.next().map(|hash| u32::from_str_radix(hash, 16)).transpose().ok()?;
        let id = ClientId { slot, generation };
        (parts.next().is_none() && mac == self.mac(id, decided)).then_some((id, decided))
    }

    /// All that a proxy's decision about a request rests on, in short (RFC 5393 §4.2.1), with the listener it came to:
    /// what comes back with another Request-URI or by another door is a spiral and no loop.
    pub(super) fn decision(self, request: &Message, listener: u16) -> u32 {
        let mut hasher = self.hasher(b"decision");
        let mut part = |text: &str| {
            hasher.write(text.as_bytes());
            hasher.write_u8(0xff);
        };
        part(request.request_uri_text());
        part(request.from_tag());
        part(request.to_tag());
        part(request.call_id());
        part(request.first(Name::CSeq).unwrap_or(""));
        for name in [Name::Route, Name::ProxyRequire, Name::ProxyAuthorization] {
            request.values(name).for_each(&mut part);
            part("");
        }
        hasher.write_u16(listener);
        // Half of it tells requests apart well enough.
        u32::try_from(hasher.finish() >> 32).unwrap_or(0)
    }

    /// Where generations begin: anywhere, but not at a part of the secret, for branches show them.
    pub(super) fn first_generation(self) -> u32 {
        let mut hasher = self.hasher(b"generation");
        hasher.write_u8(0);
        u32::try_from(hasher.finish() >> 33).unwrap_or(1)
    }

    pub(super) fn tag(self, number: u32) -> String {
        let mut hasher = self.hasher(b"tag");
        hasher.write_u32(number);
        format!("{:016x}", hasher.finish())
    }

    /// The tag of an answer that is given without a transaction: the same each time, and known again in its ACK.
    pub(super) fn stateless_tag(self, request: &Message) -> String {
        let mut hasher = self.hasher(b"stateless");
        for text in [request.call_id(), request.from_tag()] {
            hasher.write(text.as_bytes());
            hasher.write_u8(0xff);
        }
        hasher.write_u32(request.cseq().map_or(0, |(number, _)| number));
        format!("{:016x}", hasher.finish())
    }

    fn hasher(self, purpose: &[u8]) -> SipHasher13 {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        hasher.write(purpose);
        hasher
    }

    fn mac(self, id: ClientId, decided: Option<u32>) -> u64 {
        let mut hasher = self.hasher(b"branch");
        hasher.write_u64(decided.map_or(u64::MAX, u64::from));
        hasher.write_u32(id.slot);
        hasher.write_u32(id.generation);
        hasher.finish()
    }

    /// The key of the server transaction that a request belongs to. An ACK and a CANCEL are looked up by the method
    /// of the request they are about.
    pub(super) fn server_key(self, request: &Message, method: &str) -> Option<u128> {
        let via = request.top_via()?;
        let mut hasher = SipHasher128::new_with_keys(self.0, self.1);
        let mut part = |text: &str| {
            hasher.write(text.as_bytes());
            hasher.write_u8(0xff);
        };
        part(method);
        part(via.branch());
        part(via.host);
        part(&via.port.map_or_else(String::new, |port| port.to_string()));
        let (cookie, unique) = via.branch().split_at_checked(MAGIC_COOKIE.len()).unwrap_or_default();
        if !cookie.eq_ignore_ascii_case(MAGIC_COOKIE) || unique.is_empty() {
            // An element of RFC 2543, whose branch may not be unique, or one with nothing behind the cookie, whose branch
            // is none (RFC 4475 §3.2.1).
            part(request.request_uri_text());
            part(request.from_tag());
            part(request.call_id());
            part(request.first(Name::CSeq).and_then(|cseq| cseq.split_whitespace().next()).unwrap_or(""));
        }
        Some(hasher.finish128().as_u128())
    }
}
