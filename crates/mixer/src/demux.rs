//! Whose packet it is: legs that share a port are told apart by the source of their packets.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use siphasher::sip::SipHasher13;

use crate::signalling::{Latch, PortId, Seat, Signalling, Trust};

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
    /// The seat on the port that it shares.
    pub(crate) seat: Seat,
    /// Where packets go to, and come from unless it waits.
    pub(crate) remote: SocketAddr,
    described: SocketAddr,
    signalling: Signalling,
    /// True until a packet comes, where that may be from elsewhere than is described.
    waits: bool,
    /// True while it is found by where its signalling comes from.
    sought: bool,
    stream: Option<Stream>,
    /// The packet that would prove that another stream took the place of this one.
    rival: Option<Stream>,
    heard: Option<Instant>,
}

/// A stream of packets, as far as it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
}

impl Stream {
    /// How far another packet of it is ahead of this one.
    const fn ahead(self, next: Self) -> u16 {
        next.sequence.wrapping_sub(self.sequence)
    }
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
        // A table that is at most half full makes room for what comes and goes without growing.
        let room = legs.saturating_mul(2);
        Self {
            latch,
            known: HashMap::with_capacity_and_hasher(room, keys),
            waiting: Candidates::new(room, keys),
            settled: Candidates::new(room, keys),
            endpoints: Vec::with_capacity(legs),
        }
    }

    /// Where that leg's packets go to.
    pub(crate) fn endpoint(&self, leg: usize) -> Option<&Endpoint> {
        self.endpoints.get(leg)?.as_ref()
    }

    /// Registers a leg, or what a re-offer said of it: what did not change keeps its source, and a hold by the
    /// unspecified address (RFC 3264 §8.4) says nothing about it.
    pub(crate) fn place(&mut self, leg: usize, seat: Seat, described: SocketAddr, signalling: Signalling) {
        if let Some(now) = self.endpoint(leg)
            && now.seat == seat
            && (described.ip().is_unspecified() || (described, signalling) == (now.described, now.signalling))
        {
            return;
        }
        self.remove(leg);
        let translated = signalling.is_translated(described);
        let waits = translated
            || self.latch == Latch::Relaxed && signalling.trust == Trust::Access && !described.ip().is_unspecified();
        if !described.ip().is_unspecified() {
            // An address that its owner describes is not whose who only named it.
            let holder = self.known(seat.port, described).and_then(|holder| self.endpoint(holder));
            if holder.is_none_or(|holder| !translated && !holder.is_proven()) {
                self.known.insert((seat.port, described), leg);
            }
        }
        if waits {
            self.waiting.insert((seat.port, signalling.source.to_canonical()), leg);
        }
        if self.endpoints.len() <= leg {
            self.endpoints.resize(leg + 1, None);
        }
        self.endpoints[leg] = Some(Endpoint {
            seat,
            remote: described,
            described,
            signalling,
            waits,
            sought: waits,
            stream: None,
            rival: None,
            heard: None,
        });
    }

    /// Does not look for a leg by where its signalling comes from any more.
    pub(crate) fn stop_waiting(&mut self, leg: usize) {
        let Some(endpoint) = self.endpoints.get_mut(leg).and_then(Option::as_mut) else { return };
        if std::mem::take(&mut endpoint.sought) {
            let key = (endpoint.seat.port, endpoint.signalling.source.to_canonical());
            self.waiting.remove(&key, leg);
        }
    }

    /// Forgets a leg.
    pub(crate) fn remove(&mut self, leg: usize) {
        self.stop_waiting(leg);
        let Some(endpoint) = self.endpoints.get_mut(leg).and_then(Option::take) else { return };
        self.forget_source(leg, &endpoint);
    }

    /// True where a leg has that port.
    pub(crate) fn uses(&self, port: PortId) -> bool {
        self.endpoints.iter().flatten().any(|endpoint| endpoint.seat.port == port)
    }

    /// The leg that this source is known to belong to.
    pub(crate) fn known(&self, port: PortId, source: SocketAddr) -> Option<usize> {
        self.known.get(&(port, source)).copied()
    }

    /// The only leg that a packet from an unknown source can belong to: one that waits for that address, or one whose
    /// NAT gave it another port while it was silent, and whose stream goes on.
    pub(crate) fn candidate(&self, port: PortId, source: SocketAddr, packet: Stream, now: Instant) -> Option<usize> {
        if let Some(waiting) = self.waiting.only(&(port, source.ip())) {
            return Some(waiting);
        }
        let moved = self.settled.only(&(port, source.ip(), packet.ssrc))?;
        let endpoint = self.endpoint(moved)?;
        let goes_on = matches!(endpoint.stream?.ahead(packet), 1..DROPOUT_MAX);
        let silent = now.saturating_duration_since(endpoint.heard?) >= MOVE_AFTER;
        (goes_on && silent).then_some(moved)
    }

    /// Notes a packet of a leg; true where this tells, or changes, where its packets come from.
    pub(crate) fn heard(&mut self, leg: usize, source: SocketAddr, packet: Stream, now: Instant) -> bool {
        let Some(endpoint) = self.endpoints.get_mut(leg).and_then(Option::as_mut) else {
            return false;
        };
        endpoint.heard = Some(now);
        let moved = endpoint.remote != source;
        match &mut endpoint.stream {
            Some(stream) if stream.ssrc == packet.ssrc => {
                if stream.ahead(packet) < 0x8000 {
                    stream.sequence = packet.sequence;
                }
                if !moved && !endpoint.waits {
                    return false;
                }
            }
            // One packet of another stream proves nothing, as one far away proves no restart (RFC 3550 A.1).
            Some(_) if endpoint.rival != Some(packet) => {
                endpoint.rival = Some(Stream { sequence: packet.sequence.wrapping_add(1), ..packet });
                return false;
            }
            Some(_) | None => {}
        }
        let before = *endpoint;
        let stream = before.stream.filter(|stream| stream.ssrc == packet.ssrc).unwrap_or(packet);
        let (waits, rival) = (false, None);
        *endpoint = Endpoint { remote: source, waits, stream: Some(stream), rival, ..before };
        self.stop_waiting(leg);
        self.forget_source(leg, &before);
        let port = before.seat.port;
        self.known.insert((port, source), leg);
        if before.signalling.trust == Trust::Access {
            self.settled.insert((port, source.ip(), stream.ssrc), leg);
        }
        moved || before.waits
    }

    fn forget_source(&mut self, leg: usize, endpoint: &Endpoint) {
        let Endpoint { seat, remote, stream, signalling, .. } = *endpoint;
        if self.known(seat.port, remote) == Some(leg) {
            self.known.remove(&(seat.port, remote));
        }
        if let Some(stream) = stream.filter(|_| signalling.trust == Trust::Access) {
            self.settled.remove(&(seat.port, remote.ip(), stream.ssrc), leg);
        }
    }
}

/// Legs by a key that several may share: how many, and the exclusive or of all, which of one is that one.
#[derive(Debug)]
struct Candidates<K>(HashMap<K, (usize, usize), Keyed>);

impl<K: Eq + Hash> Candidates<K> {
    fn new(legs: usize, keys: Keyed) -> Self {
        Self(HashMap::with_capacity_and_hasher(legs, keys))
    }

    fn insert(&mut self, key: K, leg: usize) {
        let (count, all) = self.0.entry(key).or_default();
        *count += 1;
        *all ^= leg;
    }

    /// Removes a leg that was inserted with that key.
    fn remove(&mut self, key: &K, leg: usize) {
        let Some((count, all)) = self.0.get_mut(key) else { return };
        *count -= 1;
        *all ^= leg;
        if *count == 0 {
            self.0.remove(key);
        }
    }

    /// The leg with that key, if there is just one.
    fn only(&self, key: &K) -> Option<usize> {
        self.0.get(key).filter(|(count, _)| *count == 1).map(|(_, leg)| *leg)
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
/// How far a stream may have gone on meanwhile (RFC 3550 A.1 `MAX_DROPOUT`): a minute.
const DROPOUT_MAX: u16 = 3_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_used_while_a_leg_has_it() {
        let mut demux = Demux::new(Latch::Strict, Keyed(1, 2), 4);
        let source: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        let signalling = Signalling { source: source.ip(), trust: Trust::Access };
        let seat = |turn| Seat { port: PortId(40_000), turn };
        demux.place(0, seat(1), source, signalling);
        demux.place(1, seat(2), "192.0.2.1:4002".parse().unwrap(), signalling);
        assert!(demux.uses(PortId(40_000)) && !demux.uses(PortId(40_002)));
        demux.remove(0);
        assert!(demux.uses(PortId(40_000)));
        demux.remove(1);
        assert!(!demux.uses(PortId(40_000)));
    }
}
