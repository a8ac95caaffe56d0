//! A core server: registrar and proxy, as small as one can be. Both cores know all bindings, as those of a cluster do.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use cusax_sip::proxy::{Hop, Output, Proxy};
use cusax_sip::{Address, Compose, Edit, Flow, ListenerId, Message, Method, Name, Transport, Uri};

/// Contact and Path of each user.
pub(crate) type Bindings = BTreeMap<String, (String, String)>;

pub(crate) struct Core {
    pub(crate) address: SocketAddr,
    pub(crate) alive: bool,
    pub(crate) proxy: Proxy,
}

impl Core {
    pub(crate) fn new(address: SocketAddr, seed: u64) -> Self {
        Self { address, alive: true, proxy: Proxy::new([seed, u64::from(address.port())], 1_000) }
    }

    /// Dies and takes with it what it knew of requests under way.
    pub(crate) fn die(&mut self, seed: u64) {
        *self = Self { alive: false, ..Self::new(self.address, seed) };
    }

    /// The next thing to send.
    pub(crate) fn poll(&mut self, bindings: &mut Bindings, now: Instant) -> Option<cusax_sip::Transmit> {
        while let Some(output) = self.proxy.poll_output() {
            match output {
                Output::Transmit { transmit, .. } => return Some(transmit),
                Output::Request { context, message, .. } => match self.answer(&message, bindings) {
                    Some((status, bytes)) => self.proxy.respond(context, status, bytes, now),
                    None => match self.hop(&message, bindings) {
                        Some(hop) => self.proxy.forward(context, hop, now),
                        None => {
                            let tag = self.proxy.tag();
                            let bytes = Compose::response(&message, 404, None, Some(&tag)).empty();
                            self.proxy.respond(context, 404, bytes, now);
                        }
                    },
                },
                Output::Ack { message, .. } => {
                    if let Some(hop) = self.hop(&message, bindings) {
                        self.proxy.forward_stateless(hop, now);
                    }
                }
                Output::Response { context, message, .. } => self.proxy.relay(context, Edit::new(message), now),
                Output::Answered { .. }
                | Output::BranchFailed { .. }
                | Output::Closed { .. }
                | Output::Absorbed { .. }
                | Output::Unacknowledged { .. }
                | Output::Dropped { .. } => {}
            }
        }
        None
    }

    /// What it answers itself: registrations, and whether it is there.
    fn answer(&mut self, message: &Arc<Message>, bindings: &mut Bindings) -> Option<(u16, bytes::Bytes)> {
        let tag = self.proxy.tag();
        let answer = Compose::response(message, 200, None, Some(&tag));
        match message.method() {
            Method::Options if message.request_uri().is_some_and(|uri| uri.user.is_none()) => {
                Some((200, answer.empty()))
            }
            Method::Register => {
                let user = message.address(Name::To)?.uri()?.user_unescaped().into_owned();
                let contact = message.address(Name::Contact)?.uri_text.to_owned();
                let path = message.first(Name::Path)?.to_owned();
                bindings.insert(user, (contact.clone(), path));
                Some((200, answer.header("Contact", &format!("<{contact}>;expires=3600")).empty()))
            }
            _ => None,
        }
    }

    fn hop(&self, message: &Arc<Message>, bindings: &Bindings) -> Option<Hop> {
        let mut edit = Edit::new(Arc::clone(message));
        let routes: Vec<String> = message.values(Name::Route).map(str::to_owned).collect();
        let to = |value: &str| {
            let uri = Address::parse(value)?.uri()?;
            Some(SocketAddr::new(uri.address()?, uri.port.unwrap_or(5060)))
        };
        let own = routes.iter().take_while(|route| to(route) == Some(self.address)).count();
        edit.pop(Name::Route, own);
        let uri = message.request_uri()?;
        let remote = match routes.get(own) {
            Some(route) => to(route)?,
            None if uri.host_is("example.com") => {
                let (contact, path) = bindings.get(&*uri.user_unescaped())?;
                edit.set_request_uri(contact);
                edit.push_above(Name::Route, path);
                to(path)?
            }
            None => address_of(&uri)?,
        };
        if message.method() == Method::Invite && message.to_tag().is_empty() {
            edit.push_above(Name::RecordRoute, &format!("<sip:{};lr>", self.address));
        }
        let flow = Flow { listener: ListenerId(0), transport: Transport::Udp, remote, connection: None, domain: None };
        Some(Hop { flow, edit, sent_by: self.address.to_string(), minor: false, unreachable: 503 })
    }
}

fn address_of(uri: &Uri<'_>) -> Option<SocketAddr> {
    Some(SocketAddr::new(uri.address()?, uri.port.unwrap_or(5060)))
}
