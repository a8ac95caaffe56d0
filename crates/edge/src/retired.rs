//! Another configuration while calls go on, and who left it: core servers and providers keep the calls that they have, and
//! nothing new begins with them.

use std::net::SocketAddr;
use std::time::Instant;

use cusax_sip::{Flow, Message, Method};

use crate::Edge;
use crate::config::{Config, CoreTarget, Peer, Zone};

/// Places that the core has left, and providers, of each at most.
const RETIRED: usize = 64;

/// Who was in the configuration before and is no more, the newest first.
#[derive(Debug, Default)]
pub struct Retired {
    core: Vec<CorePlace>,
    peers: Vec<Peer>,
}

/// Where the core was, and the SIP domains that its certificate spoke for.
#[derive(Debug)]
struct CorePlace {
    target: CoreTarget,
    identities: Vec<String>,
}

impl Edge {
    /// Takes another configuration between two messages. What was begun goes on: calls, transactions, connections and rates
    /// stay, core targets that stay keep what is known of them, and who left keeps his calls ([`Retired`]). Domain, listeners
    /// and keys stay as they were at the start, whatever it says of them.
    pub fn handle_config(&mut self, config: Config, now: Instant) {
        self.config.replace(config);
        let limits = &self.config.limits;
        self.proxy.set_limit(limits.all_transactions());
        self.cue.set_limit(limits.transactions);
        self.follow_core(now);
    }

    /// Where the core is.
    #[must_use]
    pub fn core(&self) -> &[CoreTarget] {
        &self.config.core
    }

    /// True where a provider who left may still say something: in a call that he has, or about a request that is under way.
    pub(crate) fn ends(&self, message: &Message, flow: &Flow) -> bool {
        let listener = self.config.listener(flow.listener);
        let within = !message.to_tag().is_empty() || matches!(message.method(), Method::Ack | Method::Cancel);
        listener.is_some_and(|listener| listener.zone == Zone::Peer) && within && self.peer_who_left(flow).is_some()
    }

    /// The provider at the other end who is not in the configuration any more.
    pub(crate) fn peer_who_left(&self, flow: &Flow) -> Option<&Peer> {
        let left = |peer: &&Peer| peer.covers(flow.remote.ip()) || self.proves(flow, &peer.identities);
        self.config.retired.peers.iter().find(left)
    }
}

impl Config {
    fn replace(&mut self, mut next: Self) {
        self.follow(std::mem::take(&mut next.core));
        let mut retired = std::mem::take(&mut self.retired);
        let left = std::mem::take(&mut self.peers).into_iter().chain(retired.peers);
        retired.peers = left.filter(|peer| !next.peers.contains(peer)).take(RETIRED).collect();
        (next.core, next.retired) = (std::mem::take(&mut self.core), retired);
        next.listeners = std::mem::take(&mut self.listeners);
        next.domain = std::mem::take(&mut self.domain);
        std::mem::swap(&mut next.keys, &mut self.keys);
        *self = next;
    }

    /// Takes the core targets as they are found now; where they were before is remembered.
    pub(crate) fn follow(&mut self, core: Vec<CoreTarget>) {
        let left = std::mem::replace(&mut self.core, core).into_iter();
        let left = left.map(|target| CorePlace { target, identities: self.core_identities.clone() });
        let left = left.chain(std::mem::take(&mut self.retired.core));
        let stays = |place: &CorePlace| self.core.iter().any(|core| core.address == place.target.address);
        self.retired.core = left.filter(|place| !stays(place)).take(RETIRED).collect();
    }

    /// Where the core is and where it was, with the SIP domains of its certificate.
    pub(crate) fn core_places(&self) -> impl Iterator<Item = (&CoreTarget, &[String])> {
        let here = self.core.iter().map(|target| (target, self.core_identities.as_slice()));
        here.chain(self.retired.core.iter().map(|place| (&place.target, place.identities.as_slice())))
    }

    /// The core target at an address.
    pub(crate) fn core_target(&self, address: SocketAddr) -> Option<&CoreTarget> {
        self.core_places().map(|(target, _)| target).find(|target| target.address == address)
    }

    /// The providers, and those who were.
    pub(crate) fn peers_ever(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter().chain(&self.retired.peers)
    }
}
