//! Whose packet it is: legs that share a port are told apart by the source of their packets.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use siphasher::sip::SipHasher13;

use crate::signalling::{Latch, PortId, Signalling, Trust};

/// The sources of all legs of a media thread.
#[derive(Debug)]
pub(crate) struct Demux {
    latch: Latch,
    /// By full source: each belongs to one leg of its port.
    known: HashMap<(PortId, SocketAddr), usize, Keyed>,
    /// Legs whose source is not known yet, by where their signalling comes from.
    waiting: Candidates<(PortId, IpAddr)>,
    /// Legs whose source is known, by what stays the same when a NAT gives it another port.
    settled: Candidates<(PortId, IpAddr, u32)>,
    endpoints: Vec<Option<Endpoint>>,
}

/// Where one leg's packets come from and go to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    /// The port that it shares.
    pub(crate) port: PortId,
    /// Where packets go to, and come from unless it waits.
    pub(crate) remote: SocketAddr,
    described: SocketAddr,
    signalling: Signalling,
    waits: bool,
    ssrc: Option<u32>,
    heard: Option<Instant>,
}

impl Endpoint {
    /// True where packets may be sent there: a description that names another address than its signalling came from is
    /// believed once a packet came, or anybody could be flooded by whoever describes him.
    pub(crate) fn is_proven(&self) -> bool {
        !(self.waits && self.signalling.is_translated(self.described))
    }
}

impl Demux {
    pub(crate) fn new(latch: Latch, keys: Keyed, legs: usize) -> Self {
        Self {
            latch,
            known: HashMap::with_capacity_and_hasher(legs, keys),
            waiting: Candidates::new(legs, keys),
            settled: Candidates::new(legs, keys),
            endpoints: Vec::with_capacity(legs),
        }
    }

    /// Where that leg's packets go to.
    pub(crate) fn endpoint(&self, leg: usize) -> Option<&Endpoint> {
        self.endpoints.get(leg)?.as_ref()
    }

    /// Registers a leg, or what a re-offer said of it: what did not change keeps its source, and a hold by the
    /// unspecified address (RFC 3264 §8.4) says nothing about it.
    pub(crate) fn place(&mut self, leg: usize, port: PortId, described: SocketAddr, signalling: Signalling) {
        if let Some(now) = self.endpoint(leg)
            && now.port == port
            && (described.ip().is_unspecified() || (described, signalling) == (now.described, now.signalling))
        {
            return;
        }
        self.remove(leg);
        let translated = signalling.is_translated(described);
        let waits = translated
            || self.latch == Latch::Relaxed && signalling.trust == Trust::Access && !described.ip().is_unspecified();
        if !described.ip().is_unspecified() {
            self.known.entry((port, described)).or_insert(leg);
        }
        if waits {
            self.waiting.insert((port, signalling.source.to_canonical()), leg);
        }
        if self.endpoints.len() <= leg {
            self.endpoints.resize(leg + 1, None);
        }
        self.endpoints[leg] =
            Some(Endpoint { port, remote: described, described, signalling, waits, ssrc: None, heard: None });
    }

    /// Forgets a leg.
    pub(crate) fn remove(&mut self, leg: usize) {
        let Some(endpoint) = self.endpoints.get_mut(leg).and_then(Option::take) else { return };
        self.forget_source(leg, &endpoint);
        if endpoint.waits {
            self.waiting.remove(&(endpoint.port, endpoint.signalling.source.to_canonical()), leg);
        }
    }

    /// True where a leg has that port.
    pub(crate) fn uses(&self, port: PortId) -> bool {
        self.endpoints.iter().flatten().any(|endpoint| endpoint.port == port)
    }

    /// The leg that this source is known to belong to.
    pub(crate) fn known(&self, port: PortId, source: SocketAddr) -> Option<usize> {
        self.known.get(&(port, source)).copied()
    }

    /// The only leg that a packet from an unknown source can belong to: one that waits for that address, or one whose
    /// NAT gave it another port while it was silent.
    pub(crate) fn candidate(&self, port: PortId, source: SocketAddr, ssrc: u32, now: Instant) -> Option<usize> {
        if let Some(waiting) = self.waiting.only(&(port, source.ip())) {
            return Some(waiting);
        }
        let moved = self.settled.only(&(port, source.ip(), ssrc))?;
        let heard = self.endpoint(moved)?.heard?;
        (now.saturating_duration_since(heard) >= MOVE_AFTER).then_some(moved)
    }

    /// Notes a packet of a leg; true where this tells, or changes, where its packets come from.
    pub(crate) fn heard(&mut self, leg: usize, source: SocketAddr, ssrc: u32, now: Instant) -> bool {
        let Some(endpoint) = self.endpoints.get_mut(leg).and_then(Option::as_mut) else {
            return false;
        };
        endpoint.heard = Some(now);
        let moved = endpoint.remote != source;
        if !moved && !endpoint.waits && endpoint.ssrc == Some(ssrc) {
            return false;
        }
        let before = *endpoint;
        *endpoint = Endpoint { remote: source, waits: false, ssrc: Some(ssrc), ..before };
        let port = before.port;
        self.forget_source(leg, &before);
        self.known.insert((port, source), leg);
        if before.signalling.trust == Trust::Access {
            self.settled.insert((port, source.ip(), ssrc), leg);
        }
        if before.waits {
            self.waiting.remove(&(port, before.signalling.source.to_canonical()), leg);
        }
        moved || before.waits
    }

    fn forget_source(&mut self, leg: usize, endpoint: &Endpoint) {
        let Endpoint { port, remote, ssrc, .. } = *endpoint;
        if self.known(port, remote) == Some(leg) {
            self.known.remove(&(port, remote));
        }
        if let Some(ssrc) = ssrc {
            self.settled.remove(&(port, remote.ip(), ssrc), leg);
        }
    }
}

/// Legs by a key that several may share.
#[derive(Debug)]
struct Candidates<K>(HashMap<K, Vec<usize>, Keyed>);

impl<K: Eq + Hash> Candidates<K> {
    fn new(legs: usize, keys: Keyed) -> Self {
        Self(HashMap::with_capacity_and_hasher(legs, keys))
    }

    fn insert(&mut self, key: K, leg: usize) {
        self.0.entry(key).or_default().push(leg);
    }

    fn remove(&mut self, key: &K, leg: usize) {
        let Some(legs) = self.0.get_mut(key) else { return };
        if let Some(at) = legs.iter().position(|&it| it == leg) {
            legs.swap_remove(at);
        }
        if legs.is_empty() {
            self.0.remove(key);
        }
    }

    /// The leg with that key, if there is just one.
    fn only(&self, key: &K) -> Option<usize> {
        match self.0.get(key)?.as_slice() {
            [leg] => Some(*leg),
            _ => None,
        }
    }
}

/// Hashes with keys that a caller cannot know: he chooses the addresses that are hashed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keyed(pub(crate) u64, pub(crate) u64);

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

/// The silence after which a leg's NAT may have forgotten it.
const MOVE_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_used_while_a_leg_has_it() {
        let mut demux = Demux::new(Latch::Strict, Keyed(1, 2), 4);
        let source: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        let signalling = Signalling { source: source.ip(), trust: Trust::Access };
        demux.place(0, PortId(40_000), source, signalling);
        demux.place(1, PortId(40_000), "192.0.2.1:4002".parse().unwrap(), signalling);
        assert!(demux.uses(PortId(40_000)) && !demux.uses(PortId(40_002)));
        demux.remove(0);
        assert!(demux.uses(PortId(40_000)));
        demux.remove(1);
        assert!(!demux.uses(PortId(40_000)));
    }
}
