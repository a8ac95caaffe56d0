//! Which port a leg gets, so that the mixer can tell whose packet it is.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use cusax_event::LegId;

use crate::{PortId, Signalling};

/// The ports of one media thread, each shared by many legs that can be told apart by where their packets come from.
#[derive(Debug)]
pub struct Ports {
    ports: BTreeMap<PortId, Port>,
    legs: BTreeMap<LegId, Taken>,
    legs_max: usize,
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
    port: PortId,
    described: SocketAddr,
    signalling: Signalling,
    remote: SocketAddr,
    waits: Option<IpAddr>,
}

impl Ports {
    /// Shares out these ports among at most so many legs.
    #[must_use]
    pub fn new(ports: impl IntoIterator<Item = PortId>, legs_max: usize) -> Self {
        let ports = ports.into_iter().map(|port| (port, Port::default())).collect();
        Self { ports, legs: BTreeMap::new(), legs_max }
    }

    /// Gives a leg a port, or a leg that has one the port for what its re-offer describes: the same where it can be.
    ///
    /// # Errors
    /// [`NoPort`] where there is none; a leg that had one keeps it.
    pub fn take(&mut self, leg: LegId, described: SocketAddr, signalling: Signalling) -> Result<PortId, NoPort> {
        let now = self.legs.get(&leg).copied();
        if let Some(now) = now
            && (described.ip().is_unspecified() || (described, signalling) == (now.described, now.signalling))
        {
            return Ok(now.port);
        }
        if now.is_none() && self.legs.len() >= self.legs_max {
            return Err(NoPort::Full);
        }
        let waits = signalling.is_translated(described).then(|| signalling.source.to_canonical());
        let fits = |port: &Port| {
            let free = |owner: Option<&LegId>| owner.is_none_or(|&owner| owner == leg);
            free(port.known.get(&described)) && waits.is_none_or(|source| free(port.waiting.get(&source)))
        };
        // Its own port first, then the one with the fewest legs: their receive buffers fill alike.
        let own = now.filter(|now| self.ports.get(&now.port).is_some_and(fits));
        let fewest = || {
            let fitting = self.ports.iter().filter(|(_, port)| fits(port));
            fitting.min_by_key(|(_, port)| port.legs).map(|(&id, _)| id)
        };
        let port = own.map(|own| own.port).or_else(fewest).ok_or(NoPort::Ambiguous)?;
        self.release(leg);
        if let Some(shared) = self.ports.get_mut(&port) {
            shared.legs += 1;
            if !described.ip().is_unspecified() {
                shared.known.insert(described, leg);
            }
            if let Some(source) = waits {
                shared.waiting.insert(source, leg);
            }
        }
        self.legs.insert(leg, Taken { port, described, signalling, remote: described, waits });
        Ok(port)
    }

    /// Notes where a leg's packets come from ([`Event::LegLatched`](crate::Event::LegLatched)): another leg may wait
    /// behind the same address from now on.
    pub fn latched(&mut self, leg: LegId, source: SocketAddr) {
        let Some(taken) = self.legs.get_mut(&leg) else { return };
        let Some(port) = self.ports.get_mut(&taken.port) else { return };
        port.free(leg, taken);
        taken.remote = source;
        taken.waits = None;
        port.known.entry(source).or_insert(leg);
    }

    /// Takes a port back from a leg that is gone.
    pub fn release(&mut self, leg: LegId) {
        let Some(taken) = self.legs.remove(&leg) else { return };
        if let Some(port) = self.ports.get_mut(&taken.port) {
            port.free(leg, &taken);
            port.legs -= 1;
        }
    }

    /// How many legs have a port.
    #[must_use]
    pub fn legs(&self) -> usize {
        self.legs.len()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Trust;

    #[test]
    fn legs_of_one_address_share_a_port_by_the_thousand() {
        let mut ports = Ports::new([PortId(0)], 5_000);
        for leg in 0..5_000_u16 {
            let media = SocketAddr::new(PUBLIC, 10_000 + leg);
            assert_eq!(ports.take(LegId(leg.into()), media, access(PUBLIC)), Ok(PortId(0)));
        }
        assert_eq!(ports.take(LegId(5_000), SocketAddr::new(PUBLIC, 9), access(PUBLIC)), Err(NoPort::Full));
    }

    #[test]
    fn an_address_is_taken_once_on_each_port() {
        let mut ports = Ports::new([PortId(0), PortId(1)], 10);
        let media = SocketAddr::new(PUBLIC, 4_000);
        let first = ports.take(LegId(1), media, core(PUBLIC)).unwrap();
        let second = ports.take(LegId(2), media, core(PUBLIC)).unwrap();
        assert_ne!(first, second);
        assert_eq!(ports.take(LegId(3), media, core(PUBLIC)), Err(NoPort::Ambiguous));
        ports.release(LegId(1));
        assert_eq!(ports.take(LegId(3), media, core(PUBLIC)), Ok(first));
        assert_eq!(ports.legs(), 2);
    }

    #[test]
    fn one_leg_at_a_time_waits_behind_an_address() {
        let mut ports = Ports::new([PortId(0)], 10);
        let private = |port| SocketAddr::new(PRIVATE, port);
        assert!(ports.take(LegId(1), private(1), access(PUBLIC)).is_ok());
        assert_eq!(ports.take(LegId(2), private(2), access(PUBLIC)), Err(NoPort::Ambiguous));
        assert!(ports.take(LegId(3), SocketAddr::new(PUBLIC, 7), access(PUBLIC)).is_ok());
        assert!(ports.take(LegId(4), private(4), core(PUBLIC)).is_ok());
        ports.latched(LegId(1), SocketAddr::new(PUBLIC, 6_001));
        assert!(ports.take(LegId(2), private(1), access(PUBLIC)).is_ok());
        assert_eq!(ports.take(LegId(5), SocketAddr::new(PUBLIC, 6_001), core(PUBLIC)), Err(NoPort::Ambiguous));
    }

    #[test]
    fn a_re_offer_keeps_its_port_where_it_can() {
        let mut ports = Ports::new([PortId(0), PortId(1)], 10);
        let media = |port| SocketAddr::new(PUBLIC, port);
        let own = ports.take(LegId(1), media(1), access(PUBLIC)).unwrap();
        let other = ports.take(LegId(2), media(2), access(PUBLIC)).unwrap();
        assert_ne!(own, other);
        assert_eq!(ports.take(LegId(1), media(3), access(PUBLIC)), Ok(own));
        assert_eq!(ports.take(LegId(1), media(2), access(PUBLIC)), Ok(own));
        let held: SocketAddr = "0.0.0.0:2".parse().unwrap();
        assert_eq!(ports.take(LegId(1), held, access(PUBLIC)), Ok(own));
        assert_eq!(ports.take(LegId(2), media(2), access(PUBLIC)), Ok(other));
        assert_eq!(ports.take(LegId(3), media(2), access(PUBLIC)), Err(NoPort::Ambiguous));
        assert_eq!(ports.take(LegId(2), media(1), access(PUBLIC)), Ok(other));
    }

    #[test]
    fn a_re_offer_that_fits_nowhere_leaves_the_leg_where_it_was() {
        let mut ports = Ports::new([PortId(0)], 10);
        let media = |port| SocketAddr::new(PUBLIC, port);
        ports.take(LegId(1), media(1), access(PUBLIC)).unwrap();
        ports.take(LegId(2), media(2), access(PUBLIC)).unwrap();
        assert_eq!(ports.take(LegId(1), media(2), access(PUBLIC)), Err(NoPort::Ambiguous));
        assert_eq!(ports.take(LegId(3), media(1), access(PUBLIC)), Err(NoPort::Ambiguous));
        assert_eq!(ports.take(LegId(1), media(1), access(PUBLIC)), Ok(PortId(0)));
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
