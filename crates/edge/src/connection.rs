//! Stream connections and what was proven on them; who may speak on a listener at all.

use std::net::SocketAddr;

use cusax_sip::{ConnectionId, Flow, Transport, Uri};

use crate::Edge;
use crate::config::{Peer, Zone};
use crate::domain::bare;

/// A stream connection that is open.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// The account that proved itself on it.
    pub(crate) account: Option<i64>,
    /// The SIP domains that the certificate at its other end speaks for (RFC 5922).
    identities: Vec<String>,
    /// The users of our domain whom that certificate names, where it is a user's.
    users: Vec<String>,
}

impl Edge {
    /// Takes word of a new stream connection, and of the SIP domains that the certificate at its other end speaks for.
    pub fn handle_opened(&mut self, connection: ConnectionId, identities: Vec<String>) {
        self.connections.insert(connection, Connection { account: None, identities, users: Vec::new() });
    }

    /// Takes word of the users whom the certificate at the other end of a connection names, by their URIs. Those of other
    /// domains prove nothing here.
    pub fn handle_certified(&mut self, connection: ConnectionId, users: &[String]) {
        let of_ours = |uri: &String| {
            let uri = Uri::parse(uri).filter(|uri| self.config.is_own_domain(uri.host))?;
            Some(uri.user_unescaped().into_owned()).filter(|user| !user.is_empty())
        };
        let users = users.iter().filter_map(of_ours).collect();
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.users = users;
        }
    }

    /// The user whom the certificate on a connection names: of several, the one that a request is from.
    pub(crate) fn certified(&self, connection: ConnectionId, from: &str) -> Option<&str> {
        let users = &self.connections.get(&connection)?.users;
        users.iter().find(|user| *user == from).or(users.first()).map(String::as_str)
    }

    /// Takes word that a stream connection is gone.
    pub fn handle_closed(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
    }

    /// The SIP domains for one of which the other end of a new TLS connection must speak (RFC 5922 §7.2), the one to ask
    /// for first: those that are configured for a place, or else the one that the lookup which led there started from. Where
    /// there is none, it must not be made.
    #[must_use]
    pub fn domains_at(&self, flow: &Flow) -> Vec<String> {
        let mut places = self.config.core_places();
        let place = places.find(|(target, _)| target.address == flow.remote && target.transport == flow.transport);
        let Some((target, identities)) = place else {
            // A peer's own names say more than who is to be reached through him.
            let peer = self.config.peers_ever().find(|peer| peer.covers(flow.remote.ip()));
            let peer = peer.filter(|peer| !peer.identities.is_empty());
            let looked_up = || flow.domain.and_then(|domain| self.domains.name(domain)).map(str::to_owned);
            return peer.map_or_else(|| looked_up().into_iter().collect(), |peer| peer.identities.clone());
        };
        // What is written as an address has no domain but those that the operator names.
        match Uri::parse(&target.name).filter(|uri| identities.is_empty() || uri.address().is_none()) {
            Some(uri) => vec![bare(uri.host).to_owned()],
            None => identities.to_vec(),
        }
    }

    /// Core and peer listeners take only what comes from where it may come from.
    pub(crate) fn admits(&self, flow: &Flow) -> bool {
        let Some(listener) = self.config.listener(flow.listener) else { return true };
        match listener.zone {
            Zone::Access => true,
            Zone::Core => {
                // A stream's source port is a new one each time.
                let stream = flow.transport != Transport::Udp;
                let at = |at: SocketAddr| at == flow.remote || (stream && at.ip() == flow.remote.ip());
                self.config.core_places().any(|(core, identities)| at(core.address) || self.proves(flow, identities))
            }
            Zone::Peer => self.peer_at(flow).is_some(),
        }
    }

    /// The provider at the other end, by his certificate or else by his address.
    pub(crate) fn peer_at(&self, flow: &Flow) -> Option<&Peer> {
        let proven = self.config.peers.iter().find(|peer| self.proves(flow, &peer.identities));
        proven.or_else(|| self.config.peers.iter().find(|peer| peer.covers(flow.remote.ip())))
    }

    /// True where the certificate at the other end speaks for one of these domains.
    pub(crate) fn proves(&self, flow: &Flow, domains: &[String]) -> bool {
        let connection = flow.connection.and_then(|connection| self.connections.get(&connection));
        let is_one = |identity: &String| domains.iter().any(|domain| domain.eq_ignore_ascii_case(identity));
        connection.is_some_and(|connection| connection.identities.iter().any(is_one))
    }
}
