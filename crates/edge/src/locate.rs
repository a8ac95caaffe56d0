//! Next hops by name: what waits until DNS has said where they are (RFC 3263).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use cusax_event::sip::DropReason;
use cusax_sip::location::{LocateError, Lookup, Place, Target as Name};
use cusax_sip::proxy::ContextId;
use cusax_sip::{Flow, Message, Transport};

use crate::config::{Config, Zone};
use crate::request::Request;
use crate::route::{NoRoute, Route, Target, no_route};
use crate::{Edge, Output};

/// Messages that wait for DNS at a time.
const WAITING: usize = 4_096;

/// A lookup that was asked for by [`Output::Locate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocateId(u64);

/// What waits for a lookup.
enum Waiting {
    Request(ContextId),
    Ack(Box<(Arc<Message>, Flow, Route)>),
}

/// All that waits, with the domains that the lookups start from.
#[derive(Default)]
pub(crate) struct Lookups {
    waiting: HashMap<LocateId, (Waiting, Arc<str>)>,
    last: u64,
}

impl Edge {
    /// Takes what came of a lookup.
    pub fn handle_located(&mut self, query: LocateId, places: Result<Vec<Place>, LocateError>, now: Instant) {
        let Some((waiting, domain)) = self.lookups.waiting.remove(&query) else { return };
        let targets = places.map_err(no_place).and_then(|places| {
            let mut targets = places.iter().map(|place| self.config.at(place, &domain)).collect::<Vec<_>>();
            // Without a listener for any of them, the first says so.
            if targets.iter().any(Result::is_ok) {
                targets.retain(Result::is_ok);
            }
            targets.into_iter().collect::<Result<Vec<_>, _>>()
        });
        match waiting {
            Waiting::Request(id) => {
                if let Some(request) = self.requests.remove(&id) {
                    self.dispatch_to(id, request, targets, now);
                }
            }
            Waiting::Ack(ack) => {
                let (message, flow, route) = *ack;
                match targets.ok().and_then(|targets| targets.into_iter().next()) {
                    Some(target) => self.pass_ack(&message, flow, target, &route, now),
                    None => self.drop(DropReason::Flow, &flow, "nothing is known of where the ACK goes"),
                }
            }
        }
        self.drain(now);
        self.run_inside(now);
    }

    /// Has a request wait until its next hop is known.
    pub(crate) fn locate(&mut self, id: ContextId, request: Box<Request>, name: Name, now: Instant) {
        self.requests.insert(id, request);
        if !self.ask(Waiting::Request(id), name) {
            return self.refuse(id, 503, "Too many lookups", &[("Retry-After", "5")], now);
        }
        // DNS may take longer than the caller's patience (RFC 3261 §17.2.1: 200 ms).
        self.proxy.trying(id, now);
    }

    /// Has an ACK wait until its next hop is known.
    pub(crate) fn locate_for_ack(&mut self, message: Arc<Message>, flow: Flow, route: Route, name: Name) {
        if !self.ask(Waiting::Ack(Box::new((message, flow, route))), name) {
            self.drop(DropReason::Overload, &flow, "too many lookups");
        }
    }

    fn ask(&mut self, waiting: Waiting, target: Name) -> bool {
        if self.lookups.waiting.len() >= WAITING {
            return false;
        }
        self.lookups.last += 1;
        let query = LocateId(self.lookups.last);
        self.lookups.waiting.insert(query, (waiting, Arc::from(&*target.host)));
        self.outputs.push_back(Output::Locate { query, target, spoken: self.config.spoken() });
        true
    }
}

/// What whoever sent the request is owed where there is no place to send it to.
const fn no_place(error: LocateError) -> NoRoute {
    match error {
        LocateError::NotFound => no_route(502, "Next hop has no address"),
        LocateError::Unanswered => no_route(504, "DNS does not answer for the next hop"),
        LocateError::Transport => no_route(502, "No listener of the next hop's transport"),
    }
}

impl Config {
    /// The transports in which next hops can be spoken to, the most liked first; nobody can be called by WebSocket.
    pub(crate) fn spoken(&self) -> Vec<Transport> {
        let outside = |transport: &Transport| {
            let there = |listener: &crate::config::Listener| listener.transport == *transport;
            self.listeners.iter().filter(|listener| listener.zone != Zone::Core).any(there)
        };
        [Transport::Udp, Transport::Tcp, Transport::Tls].into_iter().filter(outside).collect()
    }

    /// A place that needs no question: an address is where it is.
    pub(crate) fn at_once(&self, name: &Name) -> Option<Result<Target, NoRoute>> {
        cusax_sip::uri::host_address(&name.host)?;
        let domain = Arc::from(&*name.host);
        let found = Lookup::new(name.clone(), &self.spoken(), 0).and_then(Lookup::finish);
        let first = found.map_err(no_place).and_then(|places| {
            places.first().ok_or(no_route(502, "Next hop has no address")).and_then(|place| self.at(place, &domain))
        });
        Some(first)
    }

    /// A core target is reached through the core listener, anything else as a peer, by the domain that led there.
    fn at(&self, place: &Place, domain: &Arc<str>) -> Result<Target, NoRoute> {
        if let Some(target) = self.core_target(place.address) {
            return self.to(Zone::Core, target.transport, target.address);
        }
        let to = |zone| self.to(zone, place.transport, place.address);
        let target = to(Zone::Peer).or_else(|_| to(Zone::Access))?;
        let domain = (place.transport == Transport::Tls).then(|| Arc::clone(domain));
        Ok(Target { domain, ..target })
    }
}
