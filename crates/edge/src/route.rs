//! Where a request goes: our own Route entries, conferences, the core, the flow a token names (RFC 3261 §16.4–16.6).

use std::net::SocketAddr;
use std::sync::Arc;

use cusax_sip::location::Target as Name3263;
use cusax_sip::{Address, Flow, Message, Method, Name, Scheme, Transport, Uri};

use crate::config::{CUE, Config, FOCUS, Zone};
use crate::token::{Place, Token, Useless};

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A user agent.
    Access,
    /// The existing SIP servers.
    Core,
    /// Another provider, and whether he is believed.
    Peer { trusted: bool },
    /// The focus or the virtual UAS.
    Inside,
}

/// What is left of a request's route when our own entries are taken off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Route {
    /// How many entries were ours.
    pub(crate) own: usize,
    /// The flow that one of them names, unless it is the one that the request came through.
    pub(crate) token: Option<Token>,
    /// The account whose side of this very dialog the first of them with one is for. Its flow may be another by now: a phone
    /// moves.
    pub(crate) account: Option<i64>,
    /// True where one of them is of this very dialog: without it, a To tag is an empty claim.
    pub(crate) dialog: bool,
    /// The core server that the dialog belongs to.
    pub(crate) core: Option<SocketAddr>,
    /// True where the dialog is an emergency call's, on this very flow.
    pub(crate) emergency: bool,
    /// The next entry, of somebody else.
    pub(crate) next: Option<String>,
}

/// A place to send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The flow.
    pub(crate) flow: Flow,
    /// The side of the edge that it is on; `None` for the user agents inside this process.
    pub(crate) zone: Option<Zone>,
    /// The Request-URI to send, where it is not the one that came.
    pub(crate) uri: Option<String>,
    /// The account whose flow it is.
    pub(crate) account: Option<i64>,
    /// The domain from which the lookup started that led there, where it has to prove that.
    pub(crate) domain: Option<Arc<str>>,
    /// True where it was found by its address, so that another way to it may do; a token's flow is the only one.
    pub(crate) located: bool,
}

/// What is known of a next hop.
pub(crate) enum Way {
    /// Where it is.
    To(Target),
    /// What DNS has to say first.
    Locate(Name3263),
}

impl Target {
    /// True where nobody on the way can listen, nor change anything.
    pub(crate) const fn is_secure(&self) -> bool {
        is_secure(self.flow.transport)
    }

    /// A core target.
    pub(crate) const fn core(flow: Flow) -> Self {
        Self { flow, zone: Some(Zone::Core), uri: None, account: None, domain: None, located: true }
    }
}

/// Why a request goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoute {
    /// Status that is owed.
    pub(crate) status: u16,
    /// Reason phrase.
    pub(crate) reason: &'static str,
}

pub(crate) const fn no_route(status: u16, reason: &'static str) -> NoRoute {
    NoRoute { status, reason }
}

const fn is_secure(transport: Transport) -> bool {
    matches!(transport, Transport::Tls | Transport::Wss | Transport::Internal)
}

impl Route {
    /// True where a request must go by TLS or not at all: its Request-URI or its next Route entry is `sips` (RFC 3261
    /// §26.2.2, RFC 5630 §3.1).
    pub(crate) fn is_sips(&self, message: &Message) -> bool {
        let next = self.next.as_deref().and_then(Uri::parse);
        [message.request_uri(), next].into_iter().flatten().any(|uri| uri.scheme == Scheme::Sips)
    }
}

/// Takes our own entries off the top of a route (§16.4). Of a call between two user agents both see what we recorded twice, to
/// the core and back: what comes from outside is followed to the core and no further, for it still has to come back.
pub(crate) fn preprocess(config: &Config, message: &Message, flow: &Flow) -> Result<Route, NoRoute> {
    let mut route = Route::default();
    let within = !message.to_tag().is_empty();
    let outside = config.listener(flow.listener).is_some_and(|listener| listener.zone != Zone::Core);
    let mut crossed = false;
    let mut values = message.values(Name::Route).peekable();
    while let Some(value) = values.next() {
        let read = |value| Address::parse(value).and_then(|address: Address<'_>| address.uri());
        let Some(uri) = read(value) else { return Err(no_route(400, "Malformed Route")) };
        // A phone may write its outbound proxy by our domain, some also before the route of a dialog, which begins with us;
        // else such an entry in a dialog is the core's.
        let mut leads_here = || values.peek().copied().and_then(read).is_some_and(|next| config.is_us(&next));
        let ours = config.is_us(&uri)
            || (route.own == 0 && config.is_outbound_proxy(&uri) && (!within || (outside && leads_here())));
        if crossed || !ours {
            route.next = Some(uri.text.to_owned());
            break;
        }
        route.own += 1;
        crossed = outside && within && config.is_us_for_core(&uri);
        let Some(user) = uri.user else { continue };
        let token = config.open(user, message.call_id()).map_err(|useless| match useless {
            Useless::NotOurs => no_route(403, "Flow token is not ours"),
            Useless::Gone => no_route(430, "Flow Failed"),
        })?;
        let of_dialog = token.place != Place::Path;
        route.dialog |= of_dialog && within;
        if of_dialog && within {
            route.core = token.core.or(route.core);
            route.account = route.account.or(token.account);
        }
        if token.flow != *flow {
            route.token = Some(token);
        } else if within {
            route.emergency |= token.place == Place::Emergency && stays_in_call(message.method());
        }
    }
    Ok(route)
}

/// Undoes what a strict router did before us (§16.4): it wrote the Route entry that we had recorded into the Request-URI,
/// and the Request-URI to the end of Route.
pub(crate) fn straighten(config: &Config, message: Message) -> Message {
    let ours = message.request_uri().is_some_and(|uri| config.is_us(&uri) && uri.params.has("lr"));
    let last = message.values(Name::Route).last().and_then(Address::parse);
    let Some(target) = last.filter(|_| ours).map(|last| last.uri_text.to_owned()) else { return message };
    let count = message.values(Name::Route).count();
    let message = Arc::new(message);
    let mut edit = cusax_sip::Edit::new(Arc::clone(&message));
    // What we said in that entry still counts.
    edit.push_above(Name::Route, &format!("<{}>", message.request_uri_text()));
    edit.set_request_uri(&target);
    edit.remove_values(Name::Route, |index, _| index + 1 == count);
    Message::parse(edit.finish()).unwrap_or_else(|_| Arc::unwrap_or_clone(message))
}

/// Takes our own Route entries off; where the next one is a strict router's, it becomes the Request-URI (§16.6 step 6).
pub(crate) fn follow(route: &Route, message: &Message, edit: &mut cusax_sip::Edit) {
    let strict = route.next.as_deref().filter(|next| Uri::parse(next).is_some_and(|uri| !uri.params.has("lr")));
    match strict {
        Some(next) => {
            edit.pop(Name::Route, route.own + 1);
            edit.append(Name::Route.as_str(), &format!("<{}>", message.request_uri_text()));
            edit.set_request_uri(next);
        }
        None => edit.pop(Name::Route, route.own),
    }
}

/// Methods that concern the call that they are sent in, and nothing else.
const fn stays_in_call(method: Method) -> bool {
    matches!(
        method,
        Method::Invite | Method::Ack | Method::Bye | Method::Cancel | Method::Update | Method::Prack | Method::Info
    )
}

impl Config {
    /// Finds where a request goes; `first` is the flow to the core target that takes new requests.
    pub(crate) fn target(
        &self,
        message: &Message,
        origin: Origin,
        route: &Route,
        dial_in: Option<&str>,
        first: Option<Flow>,
    ) -> Result<Way, NoRoute> {
        let uri = message.request_uri().ok_or(no_route(400, "Malformed Request-URI"))?;
        let inside = |listener| Flow {
            listener,
            transport: Transport::Internal,
            remote: SocketAddr::from(([0, 0, 0, 0], 0)),
            connection: None,
            domain: None,
        };
        let here = |listener, uri| {
            let (flow, zone, account, domain) = (inside(listener), None, None, None);
            Way::To(Target { flow, zone, uri, account, domain, located: false })
        };
        if origin != Origin::Inside {
            if self.is_conference(uri.host) {
                return Ok(here(FOCUS, None));
            }
            if let Some(conference) = dial_in {
                return Ok(here(FOCUS, Some(conference.to_owned())));
            }
            if self.is_us(&uri) && uri.user == Some(crate::cue::USER) && !message.to_tag().is_empty() {
                return Ok(here(CUE, None));
            }
        }
        match origin {
            Origin::Access | Origin::Peer { .. } => self.to_core(message, route, first).map(Way::To),
            Origin::Core | Origin::Inside => match (&route.token, &route.next) {
                (Some(token), _) => self.to_flow(token.clone()).map(Way::To),
                (None, Some(next)) => {
                    let next = Uri::parse(next).ok_or(no_route(400, "Malformed Route"))?;
                    self.to_uri(&next)
                }
                (None, None) if self.is_own_domain(uri.host) || self.is_us(&uri) => match origin {
                    Origin::Inside => self.to_core(message, route, first).map(Way::To),
                    Origin::Access | Origin::Core | Origin::Peer { .. } => Err(no_route(404, "No flow to this user")),
                },
                (None, None) => self.to_uri(&uri),
            },
        }
    }

    /// All else from user agents and peers goes to the core; a Route to elsewhere would make us an open relay.
    pub(crate) fn to_core(&self, message: &Message, route: &Route, first: Option<Flow>) -> Result<Target, NoRoute> {
        let named = match &route.next {
            None => None,
            Some(next) => {
                let uri = Uri::parse(next).ok_or(no_route(400, "Malformed Route"))?;
                let target = self.core_named(&uri);
                // What is at our domain is the core's, such as a Service-Route that it wrote by that name. A strict router's
                // entry would be the Request-URI there, and nobody has looked at that.
                let cores = (target.is_some() || self.is_own_domain(uri.host)) && uri.params.has("lr");
                if !cores && !route.dialog {
                    return Err(no_route(403, "Route leads elsewhere"));
                }
                // In a dialog it is what the core itself recorded, under whatever name: the core knows what to do with it.
                target
            }
        };
        let contact = (!message.to_tag().is_empty())
            .then(|| message.request_uri().and_then(|uri| self.core_named(&uri)))
            .flatten();
        let recorded = route.core.and_then(|core| self.core_target(core));
        match named.or(recorded).or(contact) {
            Some(target) => self.to(Zone::Core, target.transport, target.address),
            None => first.map(Target::core).ok_or(no_route(503, "No SIP server is configured behind this edge")),
        }
    }

    /// The same next hop by TCP, where we have a listener for it.
    pub(crate) fn by_stream(&self, target: &Target) -> Option<Target> {
        let (listener, _) = self.listener_for(target.zone?, Transport::Tcp, target.flow.remote.ip())?;
        let flow = Flow { listener, transport: Transport::Tcp, ..target.flow };
        Some(Target { flow, ..target.clone() })
    }

    fn to_flow(&self, token: Token) -> Result<Target, NoRoute> {
        let listener = self.listener(token.flow.listener).ok_or(no_route(430, "Flow Failed"))?;
        let (zone, account) = (Some(listener.zone), token.account);
        Ok(Target { flow: token.flow, zone, uri: None, account, domain: token.domain, located: false })
    }

    /// A next hop by its URI.
    fn to_uri(&self, uri: &Uri<'_>) -> Result<Way, NoRoute> {
        if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
            return Err(no_route(416, "Unsupported URI Scheme"));
        }
        if let Some(target) = self.core_named(uri) {
            return self.to(Zone::Core, target.transport, target.address).map(Way::To);
        }
        let name = Name3263::of(uri).ok_or(no_route(502, "No listener of the next hop's transport"))?;
        match self.at_once(&name) {
            Some(found) => found.map(Way::To),
            None => Ok(Way::Locate(name)),
        }
    }

    pub(crate) fn to(&self, zone: Zone, transport: Transport, address: SocketAddr) -> Result<Target, NoRoute> {
        let (listener, _) = self
            .listener_for(zone, transport, address.ip())
            .ok_or(no_route(502, "No listener of the next hop's transport"))?;
        let flow = Flow { listener, transport, remote: address, connection: None, domain: None };
        Ok(Target { flow, zone: Some(zone), uri: None, account: None, domain: None, located: true })
    }

    /// Our URI on a listener, for Record-Route and Path; with a token where it must lead back through one flow. `sips` as
    /// [`Route::is_sips`] says, where the listener is one for it (§16.6 step 4).
    pub(crate) fn own_uri(&self, flow: &Flow, token: Option<&str>, sips: bool) -> Option<String> {
        let listener = self.listener(flow.listener)?;
        let user = token.map_or_else(String::new, |token| format!("{token}@"));
        let sips = sips && is_secure(listener.transport);
        let transport = match listener.transport {
            Transport::Udp | Transport::Internal => "",
            Transport::Tcp => ";transport=tcp",
            // RFC 3261 §26.2.2: `sips` says it all, and `transport=tls` is of `sip` only.
            Transport::Tls if sips => "",
            Transport::Tls => ";transport=tls",
            Transport::Ws | Transport::Wss => ";transport=ws",
        };
        let scheme = if sips { "sips" } else { "sip" };
        Some(format!("<{scheme}:{user}{}{transport};lr>", listener.sent_by))
    }

    /// The Record-Route line for one side of us in a message of this Call-ID, as [`Route::is_sips`] says; none for the user
    /// agents inside.
    pub(crate) fn record_route(&self, token: &Token, (call_id, sips): (&str, bool)) -> Option<String> {
        let sealed = match self.listener(token.flow.listener)?.zone {
            Zone::Core => None,
            Zone::Access | Zone::Peer => Some(self.seal(token, call_id)?),
        };
        self.own_uri(&token.flow, sealed.as_deref(), sips)
    }
}

/// Methods whose first request may make a dialog, so that later ones must come back through us; nobody knows of those that
/// are not known.
pub(crate) const fn may_make_dialog(method: Method) -> bool {
    matches!(method, Method::Invite | Method::Subscribe | Method::Refer | Method::Notify | Method::Other)
}
