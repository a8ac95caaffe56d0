//! Which port a leg gets, so that the mixer can tell whose packet it is.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use cusax_event::LegId;

use crate::{PortId, Seat, Signalling};

/// The ports of one media thread, each shared by many legs that can be told apart by where their packets come from.
#[derive(Debug)]
pub struct Ports {
    ports: BTreeMap<PortId, Port>,
    legs: BTreeMap<LegId, Taken>,
    legs_max: usize,
    last_turn: u64,
    /// At most one for each seat that was given since they were last taken.
    displaced: VecDeque<LegId>,
}

/// Why a leg gets no port: a 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoPort {
    /// There are as many legs as the thread may have.
    #[error("no room for another leg")]
    Full,
    /// On every port another leg has the address that this one describes, or waits behind the same source address.
    #[error("every port has a leg that could not be told apart")]
    Ambiguous,
}

#[derive(Debug, Default)]
struct Port {
    /// Whose packets come from there.
    known: BTreeMap<SocketAddr, LegId>,
    /// The leg behind a NAT that waits for a packet from there.
    waiting: BTreeMap<IpAddr, LegId>,
    legs: usize,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    seat: Seat,
    described: SocketAddr,
    signalling: Signalling,
    remote: SocketAddr,
    /// Where a packet is waited for.
    waits: Option<IpAddr>,
    /// True where its description names another address than its signalling came from, and no packet proved it.
    unproven: bool,
    since: Instant,
}

/// Whether a leg may have a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// Nobody else is concerned.
    Free,
    /// Somebody has to yield who proved nothing.
    Yields,
}

impl Ports {
    /// Shares out these ports among at most so many legs.
    #[must_use]
    pub fn new(ports: impl IntoIterator<Item = PortId>, legs_max: usize) -> Self {
        let ports = ports.into_iter().map(|port| (port, Port::default())).collect();
        Self { ports, legs: BTreeMap::new(), legs_max, last_turn: 0, displaced: VecDeque::new() }
    }

    /// Gives a leg a port, or a leg that has one the port for what its re-offer describes: the same where it can be.
    ///
    /// # Errors
    /// [`NoPort`] where there is none; a leg that had one keeps it.
    pub fn take(
        &mut self,
        leg: LegId,
        described: SocketAddr,
        signalling: Signalling,
        now: Instant,
    ) -> Result<Seat, NoPort> {
        let before = self.legs.get(&leg).copied();
        let mut kept = None;
        if let Some(before) = before {
            let same = (described, signalling) == (before.described, before.signalling);
            let displaced = before.unproven && before.waits.is_none();
            if described.ip().is_unspecified() || same && !displaced {
                return Ok(before.seat);
            }
            kept = same.then_some(before.seat);
        }
        if before.is_none() && self.legs.len() >= self.legs_max {
            return Err(NoPort::Full);
        }
        let waits = signalling.is_translated(described).then(|| signalling.source.to_canonical());
        let fit = |port: &Port| self.fit(port, leg, described, waits, now);
        // Its own port first, then the one with the fewest legs: their receive buffers fill alike.
        let own = before.and_then(|before| Some((before.seat.port, fit(self.ports.get(&before.seat.port)?)?)));
        let best = || {
            let fitting = self.ports.iter().filter_map(|(&id, port)| Some(((fit(port)?, port.legs), id)));
            fitting.min().map(|(_, id)| id)
        };
        let own = own.filter(|(_, fit)| *fit == Fit::Free).map(|(port, _)| port);
        let Some(port) = own.or_else(best) else { return kept.ok_or(NoPort::Ambiguous) };
        self.release(leg);
        self.last_turn += 1;
        let seat = Seat { port, turn: self.last_turn };
        if let Some(shared) = self.ports.get_mut(&port) {
            shared.legs += 1;
            if !described.ip().is_unspecified() {
                shared.known.insert(described, leg);
            }
            if let Some(displaced) = waits.and_then(|source| shared.waiting.insert(source, leg)) {
                if let Some(displaced) = self.legs.get_mut(&displaced) {
                    displaced.waits = None;
                }
                self.displaced.push_back(displaced);
            }
        }
        let unproven = waits.is_some();
        self.legs.insert(leg, Taken { seat, described, signalling, remote: described, waits, unproven, since: now });
        Ok(seat)
    }

    /// A leg that is not waited for any more ([`Command::StopWaiting`](crate::Command::StopWaiting)).
    pub fn poll_displaced(&mut self) -> Option<LegId> {
        self.displaced.pop_front()
    }

    /// Notes where a leg's packets come from ([`Event::LegLatched`](crate::Event::LegLatched)): another leg may wait
    /// behind the same address from now on. What was true of an earlier seat says nothing of this one.
    pub fn latched(&mut self, leg: LegId, seat: Seat, source: SocketAddr) {
        let Some(taken) = self.legs.get_mut(&leg).filter(|taken| taken.seat == seat) else { return };
        let Some(port) = self.ports.get_mut(&seat.port) else { return };
        port.free(leg, taken);
        taken.remote = source;
        (taken.waits, taken.unproven) = (None, false);
        port.known.entry(source).or_insert(leg);
    }

    /// Takes a port back from a leg that is gone.
    pub fn release(&mut self, leg: LegId) {
        let Some(taken) = self.legs.remove(&leg) else { return };
        if let Some(port) = self.ports.get_mut(&taken.seat.port) {
            port.free(leg, &taken);
            port.legs -= 1;
        }
    }

    /// How many legs have a port.
    #[must_use]
    pub fn legs(&self) -> usize {
        self.legs.len()
    }

    fn fit(&self, port: &Port, leg: LegId, described: SocketAddr, waits: Option<IpAddr>, now: Instant) -> Option<Fit> {
        let other = |owner: Option<&LegId>| owner.filter(|&&owner| owner != leg).and_then(|owner| self.legs.get(owner));
        // Whoever describes somebody else's address must not keep him from it.
        let address = match other(port.known.get(&described)) {
            None => Fit::Free,
            Some(owner) if owner.unproven && waits.is_none() => Fit::Yields,
            Some(_) => return None,
        };
        // Nor whoever never sends keep others out who are behind the same NAT.
        let source = match other(waits.as_ref().and_then(|source| port.waiting.get(source))) {
            None => Fit::Free,
            Some(owner) if now.saturating_duration_since(owner.since) >= WAIT => Fit::Yields,
            Some(_) => return None,
        };
        Some(address.max(source))
    }
}

impl Port {
    fn free(&mut self, leg: LegId, taken: &Taken) {
        if self.known.get(&taken.remote) == Some(&leg) {
            self.known.remove(&taken.remote);
        }
        if let Some(source) = taken.waits {
            self.waiting.remove(&source);
        }
    }
}

/// How long a leg may keep another from waiting behind the same address: phones send as soon as they are answered.
const WAIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Trust;

    #[expect(clippy::disallowed_methods, reason = "a base to which tests add")]
    fn start() -> Instant {
        Instant::now()
    }

    fn take(ports: &mut Ports, leg: LegId, described: SocketAddr, signalling: Signalling) -> Result<PortId, NoPort> {
        ports.take(leg, described, signalling, start()).map(|seat| seat.port)
    }

    #[test]
    fn legs_of_one_address_share_a_port_by_the_thousand() {
        let mut ports = Ports::new([PortId(0)], 5_000);
        for leg in 0..5_000_u16 {
            let media = SocketAddr::new(PUBLIC, 10_000 + leg);
            assert_eq!(take(&mut ports, LegId(leg.into()), media, access(PUBLIC)), Ok(PortId(0)));
        }
        assert_eq!(take(&mut ports, LegId(5_000), SocketAddr::new(PUBLIC, 9), access(PUBLIC)), Err(NoPort::Full));
    }

    #[test]
    fn an_address_is_taken_once_on_each_port() {
        let mut ports = Ports::new([PortId(0), PortId(1)], 10);
        let media = SocketAddr::new(PUBLIC, 4_000);
        let first = take(&mut ports, LegId(1), media, core(PUBLIC)).unwrap();
        let second = take(&mut ports, LegId(2), media, core(PUBLIC)).unwrap();
        assert_ne!(first, second);
        assert_eq!(take(&mut ports, LegId(3), media, core(PUBLIC)), Err(NoPort::Ambiguous));
        ports.release(LegId(1));
        assert_eq!(take(&mut ports, LegId(3), media, core(PUBLIC)), Ok(first));
        assert_eq!(ports.legs(), 2);
    }

    #[test]
    fn one_leg_at_a_time_waits_behind_an_address() {
        let mut ports = Ports::new([PortId(0)], 10);
        let private = |port| SocketAddr::new(PRIVATE, port);
        assert!(take(&mut ports, LegId(1), private(1), access(PUBLIC)).is_ok());
        assert_eq!(take(&mut ports, LegId(2), private(2), access(PUBLIC)), Err(NoPort::Ambiguous));
        assert!(take(&mut ports, LegId(3), SocketAddr::new(PUBLIC, 7), access(PUBLIC)).is_ok());
        assert!(take(&mut ports, LegId(4), private(4), core(PUBLIC)).is_ok());
        let seat = ports.legs[&LegId(1)].seat;
        ports.latched(LegId(1), seat, SocketAddr::new(PUBLIC, 6_001));
        assert!(take(&mut ports, LegId(2), private(1), access(PUBLIC)).is_ok());
        assert_eq!(take(&mut ports, LegId(5), SocketAddr::new(PUBLIC, 6_001), core(PUBLIC)), Err(NoPort::Ambiguous));
    }

    #[test]
    fn a_re_offer_keeps_its_port_where_it_can() {
        let mut ports = Ports::new([PortId(0), PortId(1)], 10);
        let media = |port| SocketAddr::new(PUBLIC, port);
        let own = take(&mut ports, LegId(1), media(1), access(PUBLIC)).unwrap();
        let other = take(&mut ports, LegId(2), media(2), access(PUBLIC)).unwrap();
        assert_ne!(own, other);
        assert_eq!(take(&mut ports, LegId(1), media(3), access(PUBLIC)), Ok(own));
        assert_eq!(take(&mut ports, LegId(1), media(2), access(PUBLIC)), Ok(own));
        let held: SocketAddr = "0.0.0.0:2".parse().unwrap();
        assert_eq!(take(&mut ports, LegId(1), held, access(PUBLIC)), Ok(own));
        assert_eq!(take(&mut ports, LegId(2), media(2), access(PUBLIC)), Ok(other));
        assert_eq!(take(&mut ports, LegId(3), media(2), access(PUBLIC)), Err(NoPort::Ambiguous));
        assert_eq!(take(&mut ports, LegId(2), media(1), access(PUBLIC)), Ok(other));
    }

    #[test]
    fn a_re_offer_that_fits_nowhere_leaves_the_leg_where_it_was() {
        let mut ports = Ports::new([PortId(0)], 10);
        let media = |port| SocketAddr::new(PUBLIC, port);
        take(&mut ports, LegId(1), media(1), access(PUBLIC)).unwrap();
        take(&mut ports, LegId(2), media(2), access(PUBLIC)).unwrap();
        assert_eq!(take(&mut ports, LegId(1), media(2), access(PUBLIC)), Err(NoPort::Ambiguous));
        assert_eq!(take(&mut ports, LegId(3), media(1), access(PUBLIC)), Err(NoPort::Ambiguous));
        assert_eq!(take(&mut ports, LegId(1), media(1), access(PUBLIC)), Ok(PortId(0)));
    }

    #[test]
    fn whoever_describes_somebody_elses_address_does_not_keep_him_from_it() {
        let mut ports = Ports::new([PortId(0), PortId(1)], 10);
        let victim = SocketAddr::new(PUBLIC, 4_000);
        let attacker = access("198.51.100.66".parse().unwrap());
        for leg in [1, 2] {
            assert!(take(&mut ports, LegId(leg), victim, attacker).is_ok());
        }
        let port = take(&mut ports, LegId(3), victim, access(PUBLIC)).unwrap();
        ports.release(LegId(1));
        ports.release(LegId(2));
        assert_eq!(ports.ports[&port].known.get(&victim), Some(&LegId(3)), "it is not his to free");
        // Who described himself does not yield, and on the other port nobody else is.
        assert!(take(&mut ports, LegId(4), victim, access(PUBLIC)).is_ok());
        assert_eq!(take(&mut ports, LegId(5), victim, access(PUBLIC)), Err(NoPort::Ambiguous));
        assert_eq!(take(&mut ports, LegId(5), victim, attacker), Err(NoPort::Ambiguous));
    }

    #[test]
    fn who_never_sends_keeps_nobody_out_for_long() {
        let mut ports = Ports::new([PortId(0), PortId(1)], 10);
        let start = start();
        let mut take = |leg, after| {
            let described = SocketAddr::new(PRIVATE, leg);
            ports.take(LegId(leg.into()), described, access(PUBLIC), start + Duration::from_secs(after))
        };
        let (first, second) = (take(1, 0).unwrap(), take(2, 5).unwrap());
        assert_ne!(first.port, second.port);
        assert_eq!(take(3, 9), Err(NoPort::Ambiguous));
        assert_eq!(take(3, 10).map(|seat| seat.port), Ok(first.port));
        assert_eq!(take(1, 11), Ok(first), "a re-offer waits anew, where it can");
        let again = take(1, 15).unwrap();
        assert_eq!(again.port, second.port);
        assert_ne!(again, first);
        assert_eq!([ports.poll_displaced(), ports.poll_displaced()], [Some(LegId(1)), Some(LegId(2))]);
    }

    #[test]
    fn what_was_latched_before_a_re_offer_frees_nothing() {
        let mut ports = Ports::new([PortId(0)], 10);
        let private = |port| SocketAddr::new(PRIVATE, port);
        let first = ports.take(LegId(1), private(1), access(PUBLIC), start()).unwrap();
        let second = ports.take(LegId(1), private(3), access(PUBLIC), start()).unwrap();
        ports.latched(LegId(1), first, SocketAddr::new(PUBLIC, 6_001));
        assert_eq!(
            take(&mut ports, LegId(2), private(2), access(PUBLIC)),
            Err(NoPort::Ambiguous),
            "the leg still waits"
        );
        ports.latched(LegId(1), second, SocketAddr::new(PUBLIC, 6_003));
        assert!(take(&mut ports, LegId(2), private(2), access(PUBLIC)).is_ok());
    }

    const PUBLIC: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const PRIVATE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn access(source: IpAddr) -> Signalling {
        Signalling { source, trust: Trust::Access }
    }

    fn core(source: IpAddr) -> Signalling {
        Signalling { source, trust: Trust::Core }
    }
}
