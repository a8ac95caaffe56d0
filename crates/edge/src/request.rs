//! A request's way through the edge: validate, zone, challenge, identity, number, route (design of the SIP packet's
//! journey in ARCHITECTURE.md).

use std::sync::Arc;
use std::time::Instant;

use cusax_event::Correlation;
use cusax_event::sip::NumberClass;
use cusax_numbering::Classification;
use cusax_sip::proxy::{ContextId, Hop};
use cusax_sip::validate::request_defect;
use cusax_sip::value::quote;
use cusax_sip::{Compose, ConnectionId, Edit, Flow, Message, Method, Name, Scheme, Transport};

use crate::account::{Account, AccountKey};
use crate::config::{Action, FOCUS, Zone};
use crate::route::{self, NoRoute, Origin, Route, Target, Way};
use crate::{Edge, Output, cue, identity, session, story};

/// The largest request that goes by UDP where the path's MTU is not known (RFC 3261 §18.1.1), in bytes.
const MAX_DATAGRAM: usize = 1_300;

/// A request on its way, and later what its responses need to know of it.
pub(crate) struct Request {
    pub(crate) message: Arc<Message>,
    pub(crate) flow: Flow,
    pub(crate) origin: Origin,
    pub(crate) route: Route,
    pub(crate) number: Classification,
    pub(crate) correlation: Correlation,
    /// The verified account of the caller, or the one that the core asserts.
    pub(crate) caller: Option<Account>,
    /// The account of the flow that it left through.
    pub(crate) callee: Option<Account>,
    /// True where credentials were right.
    pub(crate) verified: bool,
    /// The class that the caller was given a cue for.
    pub(crate) cued: Option<NumberClass>,
    /// The core target that it went to.
    pub(crate) upstream: Option<Arc<str>>,
    /// True once it was sent on; what never was, this edge refused.
    pub(crate) forwarded: bool,
    /// True where it went to the focus.
    pub(crate) to_focus: bool,
    /// True once the core target answered.
    pub(crate) heard: bool,
}

impl Request {
    pub(crate) fn is_initial_invite(&self) -> bool {
        self.message.method() == Method::Invite && self.message.to_tag().is_empty()
    }

    /// The account on the caller's side, where it is proven.
    pub(crate) fn account(&self) -> Option<i64> {
        self.caller.as_ref().filter(|_| self.verified).map(|account| account.id)
    }

    /// The account whose dialog this request belongs to, by our Record-Route.
    pub(crate) const fn own_dialog(&self) -> Option<i64> {
        self.route.account
    }

    /// The stream connection of a user agent that is its only user: behind a gateway or a proxy, whose Via is below, many
    /// share one.
    pub(crate) fn own_connection(&self) -> Option<ConnectionId> {
        self.flow.connection.filter(|_| self.message.values(Name::Via).nth(1).is_none())
    }

    pub(crate) fn is_emergency(&self) -> bool {
        // Only a call is one: anything else to such a number is as good as its credentials.
        self.number.class == Some(NumberClass::Emergency) && self.is_initial_invite()
    }
}

impl Edge {
    /// Takes a new request from the proxy core.
    pub(crate) fn request(&mut self, id: ContextId, message: Arc<Message>, flow: Flow, now: Instant) {
        let number = self.classify(&message);
        let call = message.method() == Method::Invite && message.to_tag().is_empty();
        // A call for help is not refused for what else it says, and goes nowhere that it names.
        let sos = call && number.class == Some(NumberClass::Emergency);
        if self.turns_away(id, &message, &flow, sos, now) {
            return;
        }
        if let Some(defect) = request_defect(&message) {
            return self.refuse(id, defect.status, defect.reason, &[], now);
        }
        let to_us = message.request_uri().is_some_and(|uri| uri.user.is_none() && self.config.is_us(&uri));
        if message.max_forwards() == Some(0) && !(to_us && message.method() == Method::Options) {
            return self.refuse(id, 483, "Too Many Hops", &[], now);
        }
        let limits = &self.config.limits;
        if (message.fields().len() > limits.headers || message.headers_end() > limits.header_bytes) && !sos {
            return self.refuse(id, 400, "Too many headers, or too long", &[], now);
        }
        let unsupported: Vec<&str> = message.values(Name::ProxyRequire).collect();
        if !unsupported.is_empty() && !sos {
            let tags = unsupported.join(", ");
            return self.refuse(id, 420, "Bad Extension", &[("Unsupported", &tags)], now);
        }
        let Some(uri) = message.request_uri() else {
            return self.refuse(id, 400, "Malformed Request-URI", &[], now);
        };
        let dialled = uri.user.is_some_and(|user| user.starts_with(|c: char| c == '+' || c.is_ascii_digit()));
        if uri.scheme == Scheme::Other && dialled && !sos {
            // Any other scheme is the core's to know; but what looks like a number (RFC 2806 `fax:`) would be dialled uncued.
            return self.refuse(id, 416, "Unsupported URI Scheme", &[], now);
        }
        if !uri.headers.is_empty() && !sos {
            // RFC 3261 §19.1.1: a Request-URI has none, and a next hop could make headers of them.
            return self.refuse(id, 400, "Headers in the Request-URI", &[], now);
        }
        let origin = self.origin_of(&flow);
        let text = message.method_text();
        let known = |method: &Method| *method != Method::Other && method.as_str().eq_ignore_ascii_case(text);
        if identity::is_untrusted(origin) && message.method() == Method::Other && Method::ALL.iter().any(known) {
            // RFC 3261 §7.1 has it as another method; servers are known that take it for the one that it looks like.
            return self.refuse(id, 400, "Method in another case", &[], now);
        }
        let route = match route::preprocess(&self.config, &message, &flow) {
            Ok(route) => route,
            Err(_) if sos && origin == Origin::Access => Route::default(),
            Err(NoRoute { status, reason }) => return self.refuse(id, status, reason, &[], now),
        };
        let within = !message.to_tag().is_empty() || matches!(message.method(), Method::Bye | Method::Prack);
        if origin == Origin::Access && within && !route.dialog {
            // Every dialog of a user agent was made through us: one that does not know our route is none.
            return self.refuse(id, 481, "Call/Transaction Does Not Exist", &[], now);
        }
        if to_us && route.next.is_none() && message.method() == Method::Options {
            return self.answer_options(id, now);
        }
        let correlation = self.correlation(&message);
        let mut request = Box::new(Request {
            message,
            flow,
            origin,
            route,
            number,
            correlation,
            caller: None,
            callee: None,
            verified: false,
            cued: None,
            upstream: None,
            forwarded: false,
            to_focus: false,
            heard: false,
        });
        let caller = match self.who_asks(&mut request) {
            Ok(caller) => caller,
            Err(result) => {
                self.requests.insert(id, request);
                return self.challenge(id, result, false, now);
            }
        };
        let callee = match request.origin {
            // A user of ours may be called by digits: no number then, and nothing to charge. Strangers reach users only.
            Origin::Access => self.own_user(&request).map(AccountKey::User),
            Origin::Core | Origin::Peer { .. } | Origin::Inside => {
                request.route.token.as_ref().and_then(|token| token.account).map(AccountKey::Id)
            }
        };
        self.requests.insert(id, request);
        if caller.is_none() && callee.is_none() {
            return self.decide(id, None, None, now);
        }
        self.outputs.push_back(Output::Accounts { query: id, caller, callee });
    }

    pub(crate) fn dispatch(&mut self, id: ContextId, request: Box<Request>, now: Instant) {
        let dial_in = request.number.e164.as_ref().and_then(|number| self.config.dial_in.get(number));
        let first = self.upstreams.flows().next();
        let way = if request.is_emergency() && request.origin == Origin::Access {
            // Never to the host that it names, nor by a route that it brings.
            self.config.to_core(&request.message, &Route::default(), first).map(Way::To)
        } else {
            self.config.target(&request.message, request.origin, &request.route, dial_in.map(String::as_str), first)
        };
        match way {
            Ok(Way::To(target)) => self.dispatch_to(id, request, Ok(vec![target]), now),
            Ok(Way::Locate(name)) => self.locate(id, request, name, now),
            Err(none) => self.dispatch_to(id, request, Err(none), now),
        }
    }

    /// Sends a request to the first of its targets; the others are tried where that fails.
    pub(crate) fn dispatch_to(
        &mut self,
        id: ContextId,
        mut request: Box<Request>,
        targets: Result<Vec<Target>, NoRoute>,
        now: Instant,
    ) {
        let sos = request.is_emergency() && request.origin == Origin::Access;
        // RFC 5630 §3.1: every hop by TLS, or none; but a call for help goes by what there is.
        let sips = request.route.is_sips(&request.message) && !sos;
        let insecure = |targets: &Vec<Target>| sips && !targets.is_empty() && !targets.iter().any(Target::is_secure);
        if targets.as_ref().is_ok_and(insecure) {
            let warning = format!("380 {} \"SIPS Not Allowed\"", self.config.domain);
            self.requests.insert(id, request);
            return self.refuse(id, 480, "No secure way to the next hop", &[("Warning", &warning)], now);
        }
        let (mut target, others) = match targets.map(|mut targets| {
            targets.retain(|target| target.is_secure() || !sips);
            let others = targets.split_off(targets.len().min(1));
            (targets.pop(), others)
        }) {
            Ok((Some(target), others)) => (target, others),
            Ok((None, _)) => {
                self.requests.insert(id, request);
                return self.refuse(id, 502, "Next hop has no address", &[], now);
            }
            Err(NoRoute { status, reason }) => {
                self.requests.insert(id, request);
                return self.refuse(id, status, reason, &[], now);
            }
        };
        if target.flow.connection.is_some_and(|connection| !self.connections.contains_key(&connection)) {
            self.requests.insert(id, request);
            return self.refuse(id, 430, "Flow Failed", &[], now);
        }
        let mut edit = Edit::new(Arc::clone(&request.message));
        if sos {
            target.uri = self.own_emergency(&request.message, target.is_secure());
        }
        if let Some(uri) = target.uri.take() {
            edit.set_request_uri(&uri);
        }
        if sos {
            edit.remove_all(Name::Route);
        } else {
            route::follow(&request.route, &request.message, &mut edit);
        }
        let (origin, correlation) = (request.origin, &request.correlation);
        if let Err(reason) = self.clean(&request.message, origin, sos, correlation, &mut edit) {
            self.requests.insert(id, request);
            return self.refuse(id, 403, reason, &[], now);
        }
        self.identify(&request, &target, &mut edit);
        match self.charge(&mut request, &target, id, now) {
            Action::Block => {
                let class = request.number.class.unwrap_or(NumberClass::Unknown);
                let reason = cue::blocked(class);
                let warning = format!("399 {} {}", self.config.domain, quote(&reason));
                self.requests.insert(id, request);
                return self.refuse(id, 403, &reason, &[("Warning", &warning)], now);
            }
            Action::Allow | Action::Text => {}
        }
        request.upstream = self.config.core_target(target.flow.remote).map(|core| Arc::clone(&core.name));
        request.forwarded = true;
        request.to_focus = target.flow.listener == FOCUS;
        self.forward(id, &request, &target, &others, &edit, now);
        self.requests.insert(id, request);
    }

    /// The same emergency number at our domain and without parameters, where the caller named another host or more than
    /// a number, or `sips` where the core is not reached so: the core must not follow it.
    fn own_emergency(&self, message: &Message, secure: bool) -> Option<String> {
        let uri = message.request_uri()?;
        let user = uri.user.unwrap_or("");
        let number = user.split(';').next().unwrap_or("");
        let plain = number == user && uri.params.is_empty() && uri.headers.is_empty();
        let wanted = match uri.scheme {
            Scheme::Sips if !secure => true,
            Scheme::Sip | Scheme::Sips => !(plain && (self.config.is_own_domain(uri.host) || self.config.is_us(&uri))),
            Scheme::Tel => !plain,
            Scheme::Other => false,
        };
        wanted.then(|| format!("sip:{number}@{}", self.config.domain))
    }

    /// Sends a request on, and says where else it may go if nobody is there.
    fn forward(
        &mut self,
        id: ContextId,
        request: &Request,
        target: &Target,
        others: &[Target],
        edit: &Edit,
        now: Instant,
    ) {
        let mut ways = vec![target.clone()];
        ways.extend_from_slice(others);
        for way in &mut ways {
            self.expect(way);
        }
        let hop = |target: &Target, mut edit: Edit| {
            self.record(request, target, &mut edit);
            let sent_by = self.sent_by(&target.flow, request.origin);
            let unreachable = if target.located { 503 } else { 430 };
            Hop { flow: target.flow, edit, sent_by, minor: false, unreachable }
        };
        if target.zone == Some(Zone::Core) && request.message.to_tag().is_empty() {
            let others = self.upstreams.flows().filter(|flow| *flow != target.flow).map(Target::core);
            let sips = request.route.is_sips(&request.message) && !request.is_emergency();
            ways.extend(others.filter(|other| other.is_secure() || !sips));
        }
        let mut hops = Vec::with_capacity(ways.len());
        for way in &ways {
            let hop_there = hop(way, edit.clone());
            // RFC 3261 §18.1.1: what is too large for UDP goes by a transport that does not lose pieces, if the next hop
            // takes it there.
            let large = way.located && way.flow.transport == Transport::Udp && hop_there.length() > MAX_DATAGRAM;
            if large && let Some(stream) = self.config.by_stream(way) {
                hops.push(hop(&stream, edit.clone()));
            }
            hops.push(hop_there);
        }
        let mut hops = hops.into_iter();
        let Some(first) = hops.next() else { return };
        for alternate in hops {
            self.proxy.add_alternate(id, alternate);
        }
        self.proxy.forward(id, first, now);
    }

    /// The name that we bear on a flow. To the focus it tells the zone that the request came from, for whose word on
    /// addresses of audio is worth more in one than in the other.
    fn sent_by(&self, flow: &Flow, origin: Origin) -> String {
        match (self.config.listener(flow.listener), origin) {
            (Some(listener), _) => listener.sent_by.clone(),
            (None, Origin::Core) => "core.invalid".to_owned(),
            (None, Origin::Access | Origin::Peer { .. } | Origin::Inside) => "access.invalid".to_owned(),
        }
    }

    /// A place to send to, with the name that we bear there.
    pub(crate) fn hop(&self, flow: Flow, edit: Edit, minor: bool) -> Hop {
        let sent_by = self.sent_by(&flow, Origin::Access);
        Hop { flow, edit, sent_by, minor, unreachable: 503 }
    }

    /// Answers a request here with a failure. One that anybody could have sent in somebody else's name costs no state, and
    /// is answered once (RFC 3261 §8.2.7, §26.3.2.4).
    pub(crate) fn refuse(&mut self, id: ContextId, status: u16, reason: &str, headers: &[(&str, &str)], now: Instant) {
        let (Some(message), Some(flow)) = (self.proxy.request(id).cloned(), self.proxy.source(id)) else { return };
        // In a dialog of ours an ACK to the answer could not be told from one to a 2xx; and strangers have none.
        let vouched = self
            .requests
            .get(&id)
            .is_some_and(|request| request.verified || request.is_emergency() || request.route.dialog);
        let once = self.origin_of(&flow) == Origin::Access && !vouched;
        let tag = if once { self.proxy.stateless_tag(&message) } else { self.proxy.tag() };
        let mut compose = Compose::response(&message, status, Some(reason), Some(&tag));
        for (name, value) in headers {
            compose = compose.header(name, value);
        }
        if let Some(id) = session::answering(&self.config.keys.session, &message, &tag) {
            compose = compose.header("Session-ID", &id.to_string());
        }
        let bytes = compose.empty();
        match once {
            true => self.proxy.respond_once(id, status, bytes, now),
            false => self.proxy.respond(id, status, bytes, now),
        }
    }

    fn answer_options(&mut self, id: ContextId, now: Instant) {
        self.refuse(id, 200, "OK", &[("Accept", "*/*"), ("Supported", "path, outbound")], now);
    }

    pub(crate) fn origin_of(&self, flow: &Flow) -> Origin {
        if story::is_inside(flow) {
            return Origin::Inside;
        }
        let zone = self.config.listener(flow.listener).map(|listener| listener.zone);
        // Of a provider who left, only what is in a call that he has is let in.
        let peer = self.peer_at(flow).or_else(|| self.peer_who_left(flow).filter(|_| zone == Some(Zone::Peer)));
        match (zone, peer) {
            (Some(Zone::Core), _) => Origin::Core,
            (_, Some(peer)) => Origin::Peer { trusted: peer.trusted },
            (Some(Zone::Access | Zone::Peer) | None, None) => Origin::Access,
        }
    }

    pub(crate) fn correlation(&self, message: &Message) -> Correlation {
        let mut correlation = story::correlation(message);
        let (id, _) = session::of(&self.config.keys.session, message, None);
        correlation.session = id.local;
        correlation
    }
}
