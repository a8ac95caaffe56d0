//! A request's way through the edge: validate, zone, challenge, identity, number, route (design of the SIP packet's
//! journey in ARCHITECTURE.md).

use std::sync::Arc;
use std::time::Instant;

use cusax_event::sip::{
    Auth as AuthEvent, AuthResult, CallInfo, CallInfoAction, CallInfoReason, Classified, Cue, CueKind, NumberClass,
};
use cusax_event::{Correlation, Event, Identity};
use cusax_numbering::{Classification, Dialled};
use cusax_sip::proxy::{ContextId, Hop};
use cusax_sip::validate::request_defect;
use cusax_sip::value::quote;
use cusax_sip::{Compose, Edit, Flow, Message, Method, Name, Scheme};

use crate::account::{Account, AccountKey};
use crate::auth::{self, Auth, Checked};
use crate::config::{Action, Forged, Reach, Zone};
use crate::privacy::{self, Privacy};
use crate::route::{self, NoRoute, Origin, Route, Target};
use crate::token::Token;
use crate::{Edge, Headline, Output, call_info, cue, session, story};

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
    /// True once the core target answered.
    pub(crate) heard: bool,
}

impl Request {
    pub(crate) fn is_initial_invite(&self) -> bool {
        self.message.method() == Method::Invite && self.message.to_tag().is_empty()
    }

    fn is_emergency(&self) -> bool {
        self.number.class == Some(NumberClass::Emergency)
    }
}

impl Edge {
    /// Takes a new request from the proxy core.
    pub(crate) fn request(&mut self, id: ContextId, message: Arc<Message>, flow: Flow, now: Instant) {
        if let Some(defect) = request_defect(&message) {
            return self.refuse(id, defect.status, defect.reason, &[], now);
        }
        if message.max_forwards() == Some(0) {
            return self.refuse(id, 483, "Too Many Hops", &[], now);
        }
        let unsupported: Vec<&str> = message.values(Name::ProxyRequire).collect();
        if !unsupported.is_empty() {
            let tags = unsupported.join(", ");
            return self.refuse(id, 420, "Bad Extension", &[("Unsupported", &tags)], now);
        }
        let number = self.classify(&message);
        let sos = number.class == Some(NumberClass::Emergency);
        let known = message.request_uri().is_some_and(|uri| uri.scheme != Scheme::Other);
        if !known && !sos {
            return self.refuse(id, 416, "Unsupported URI Scheme", &[], now);
        }
        let route = match route::preprocess(&self.config, &message, &flow) {
            Ok(route) => route,
            Err(NoRoute { status, reason }) => return self.refuse(id, status, reason, &[], now),
        };
        let origin = self.origin_of(&flow);
        let to_us = message.request_uri().is_some_and(|uri| uri.user.is_none() && self.config.is_us(&uri));
        if to_us && route.next.is_none() && message.method() == Method::Options {
            return self.answer_options(id, now);
        }
        let correlation = self.correlation(&message);
        let mut request = Request {
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
            heard: false,
        };
        let caller = match self.who_asks(&mut request) {
            Ok(caller) => caller,
            Err(result) => {
                self.requests.insert(id, request);
                return self.challenge(id, result, false, now);
            }
        };
        let callee = match request.origin {
            // A user of ours may be called by digits: no number then, and nothing to charge.
            Origin::Access => self.own_user(&request).map(AccountKey::User),
            Origin::Core | Origin::Peer { .. } | Origin::Inside => {
                request.route.token.and_then(|token| token.account).map(AccountKey::Id)
            }
        };
        self.requests.insert(id, request);
        if caller.is_none() && callee.is_none() {
            return self.decide(id, None, None, now);
        }
        self.outputs.push_back(Output::Accounts { query: id, caller, callee });
    }

    /// The account to ask for; an error where credentials are owed and none came.
    fn who_asks(&self, request: &mut Request) -> Result<Option<AccountKey>, AuthResult> {
        let message = &request.message;
        let domain = &self.config.domain;
        match request.origin {
            Origin::Access if self.config.challenge => {
                let foreign = !self.from_is_ours(message);
                let exempt = auth::is_exempt(message.method()) || request.is_emergency() || foreign;
                match Auth::claimed(message, domain) {
                    Some(key) => Ok(Some(key)),
                    None if exempt => Ok(None),
                    None => Err(AuthResult::Challenged),
                }
            }
            // Many cores are back-to-back user agents whose second leg is a new call: whom they assert, they vouch for.
            Origin::Core => Ok(asserted(message, domain)),
            Origin::Access | Origin::Peer { .. } | Origin::Inside => Ok(None),
        }
    }

    /// The user part that looks like a number and could be an account's.
    fn own_user(&self, request: &Request) -> Option<String> {
        request.number.class.filter(|class| *class != NumberClass::Emergency)?;
        let uri = request.message.request_uri()?;
        let ours = self.config.is_own_domain(uri.host) || self.config.is_us(&uri);
        (ours && request.is_initial_invite()).then(|| uri.user_unescaped().into_owned())
    }

    /// Goes on once the accounts are known.
    pub(crate) fn decide(&mut self, id: ContextId, caller: Option<Account>, callee: Option<Account>, now: Instant) {
        let Some(mut request) = self.requests.remove(&id) else { return };
        if request.origin != Origin::Access {
            request.callee = callee;
        } else if callee.is_some() {
            request.number = Classification { class: None, e164: None, territory: None };
        }
        match request.origin {
            Origin::Access if self.config.challenge => {
                let claimed = Auth::claimed(&request.message, &self.config.domain).is_some();
                if claimed && !request.is_emergency() && !auth::is_exempt(request.message.method()) {
                    let unix = self.unix(now);
                    let checked =
                        self.auth.check(&self.config, &request.message, request.flow.remote, caller.as_ref(), unix);
                    if let Checked::Refused { result, stale } = checked {
                        self.requests.insert(id, request);
                        return self.challenge(id, result, stale, now);
                    }
                    request.verified = true;
                    request.correlation.account = caller.as_ref().map(|account| account.id);
                    request.caller = caller;
                    self.tell_auth(&request, AuthResult::Ok);
                }
                if let Err((status, reason)) = self.check_identity(&request) {
                    self.tell_auth(&request, AuthResult::Mismatch);
                    self.requests.insert(id, request);
                    return self.refuse(id, status, reason, &[], now);
                }
            }
            Origin::Core => request.caller = caller,
            Origin::Access | Origin::Peer { .. } | Origin::Inside => {}
        }
        self.dispatch(id, request, now);
    }

    /// A From of our domain must be the account's; one of another domain may reach users only, where that is open.
    fn check_identity(&self, request: &Request) -> Result<(), (u16, &'static str)> {
        let message = &request.message;
        let from = message.address(Name::From).and_then(|from| from.uri());
        let Some(from) = from else { return Err((400, "Malformed From")) };
        if auth::is_exempt(message.method()) || request.is_emergency() || from.host_is("anonymous.invalid") {
            return Ok(());
        }
        if !self.config.is_own_domain(from.host) {
            let to_user = message.request_uri().is_some_and(|uri| self.config.is_own_domain(uri.host));
            let allowed = self.config.federation && to_user && request.number.class.is_none();
            return if allowed { Ok(()) } else { Err((403, "From is of another domain")) };
        }
        let owns = |name| {
            let user = message.address(name).and_then(|address| address.uri()).map(|uri| uri.user_unescaped());
            let account = request.caller.as_ref();
            account.zip(user).is_some_and(|(account, user)| account.owns(&user))
        };
        // In a dialog that the other side began, From is ours all the same: the account's address as it was called.
        if owns(Name::From) && (message.method() != Method::Register || owns(Name::To)) {
            return Ok(());
        }
        Err((403, "From is not the account's"))
    }

    fn dispatch(&mut self, id: ContextId, mut request: Request, now: Instant) {
        let dial_in = request.number.e164.as_ref().and_then(|number| self.config.dial_in.get(number));
        let target = self.config.target(&request.message, request.origin, &request.route, dial_in.map(String::as_str));
        let mut target = match target {
            Ok(target) => target,
            Err(NoRoute { status, reason }) => {
                self.requests.insert(id, request);
                return self.refuse(id, status, reason, &[], now);
            }
        };
        if target.flow.connection.is_some_and(|connection| !self.connections.contains(&connection)) {
            self.requests.insert(id, request);
            return self.refuse(id, 430, "Flow Failed", &[], now);
        }
        let mut edit = Edit::new(Arc::clone(&request.message));
        if let Some(uri) = target.uri.take() {
            edit.set_request_uri(&uri);
        }
        edit.pop(Name::Route, request.route.own);
        if let Err(reason) = self.clean(&request, &mut edit) {
            self.requests.insert(id, request);
            return self.refuse(id, 403, reason, &[], now);
        }
        self.identify(&request, &target, &mut edit);
        self.record_route(&request, &target, &mut edit);
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
        self.forward(id, &request, &target, edit, now);
        self.requests.insert(id, request);
    }

    fn forward(&mut self, id: ContextId, request: &Request, target: &Target, edit: Edit, now: Instant) {
        let hop = |flow, edit| self.hop(flow, edit, false);
        let mut alternates = Vec::new();
        if target.zone == Some(Zone::Core) && request.message.to_tag().is_empty() {
            let others = self.config.core.iter().filter(|core| core.address != target.flow.remote);
            for core in others.filter(|core| core.transport == target.flow.transport) {
                alternates.push(hop(Flow { remote: core.address, ..target.flow }, edit.clone()));
            }
        }
        let first = hop(target.flow, edit);
        for alternate in alternates {
            self.proxy.add_alternate(id, alternate);
        }
        self.proxy.forward(id, first, now);
    }

    /// A place to send to, with the name that we bear there.
    pub(crate) fn hop(&self, flow: Flow, edit: Edit, minor: bool) -> Hop {
        let sent_by = self.config.listener(flow.listener).map_or_else(
            || format!("{}.invalid", if flow.listener == crate::config::CUE { "cue" } else { "focus" }),
            |listener| listener.sent_by.clone(),
        );
        Hop { flow, edit, sent_by, minor }
    }

    /// Takes away what only trusted elements may say (RFC 3325 §5, RFC 7081 §3.5).
    fn clean(&mut self, request: &Request, edit: &mut Edit) -> Result<(), &'static str> {
        let untrusted = matches!(request.origin, Origin::Access | Origin::Peer { trusted: false });
        if request.origin == Origin::Access {
            for name in [
                Name::PAssertedIdentity,
                Name::PAccessNetworkInfo,
                Name::PChargingVector,
                Name::PChargingFunctionAddresses,
                Name::RemotePartyId,
                Name::AlertInfo,
                Name::Path,
                Name::ServiceRoute,
            ] {
                edit.remove_all(name);
            }
        }
        if untrusted && call_info::has_impp(&request.message) {
            let reject = self.config.caller.forged == Forged::Reject && request.origin == Origin::Access;
            if reject {
                self.tell_call_info(request, CallInfoAction::Rejected, CallInfoReason::Forged);
                return Err("Call-Info with purpose=impp is not the caller's to send");
            }
            let gone = call_info::strip(edit);
            for _ in 0..gone {
                self.tell_call_info(request, CallInfoAction::Stripped, CallInfoReason::Forged);
            }
        }
        if request.verified {
            let realm = self.config.domain.clone();
            let name = auth::header_of(request.message.method());
            edit.remove_values(name, |_, value| {
                cusax_sip::digest::Credentials::parse(value).is_some_and(|found| found.realm == realm)
            });
        }
        Ok(())
    }

    /// Says who calls, to those who may know it: Session-ID, P-Asserted-Identity, Call-Info.
    fn identify(&mut self, request: &Request, target: &Target, edit: &mut Edit) {
        let message = &request.message;
        let (id, missing) = session::of(&self.config.keys.session, message, None);
        if missing {
            edit.append("Session-ID", &id.to_string());
        }
        let private = privacy::of(message);
        if target.zone == Some(Zone::Access) && privacy::hides_identity(message) {
            edit.remove_all(Name::PAssertedIdentity);
        }
        if message.method() == Method::Register {
            return self.add_path(request, target, edit);
        }
        if let Some(account) = request.caller.as_ref().filter(|_| request.verified) {
            let trusted = target.zone != Some(Zone::Access);
            if trusted && message.method() != Method::Ack {
                let user = cusax_sip::uri::escape_user(&account.user);
                edit.append("P-Asserted-Identity", &format!("<sip:{user}@{}>", self.config.domain));
                edit.remove_all(Name::PPreferredIdentity);
            }
        }
        let carries = matches!(message.method(), Method::Invite | Method::Update | Method::Message);
        if !carries {
            return;
        }
        let kept = call_info::has_impp(message) && !matches!(request.origin, Origin::Access | Origin::Peer { .. });
        if kept {
            return self.tell_call_info(request, CallInfoAction::Kept, CallInfoReason::Trusted);
        }
        let reach = self.config.caller.egress;
        let to = message.address(Name::To).and_then(|to| to.uri());
        let own = to.is_some_and(|to| self.config.is_own_domain(to.host) || self.config.is_conference(to.host));
        let visible = self.config.caller.insert && (reach == Reach::All || (reach == Reach::OwnDomain && own));
        let jid = request.caller.as_ref().map(|account| account.jid.as_deref());
        let (action, reason) = match (private, jid) {
            (Privacy::Asked, _) => (CallInfoAction::Skipped, CallInfoReason::Privacy),
            (Privacy::Anonymous, _) => (CallInfoAction::Skipped, CallInfoReason::Anonymous),
            (Privacy::Open, None) => (CallInfoAction::Skipped, CallInfoReason::Untrusted),
            (Privacy::Open, Some(None)) => (CallInfoAction::Skipped, CallInfoReason::NoBinding),
            (Privacy::Open, Some(Some(_))) if !visible => (CallInfoAction::Skipped, CallInfoReason::NotApplicable),
            (Privacy::Open, Some(Some(jid))) => {
                call_info::insert(edit, jid);
                (CallInfoAction::Inserted, CallInfoReason::Trusted)
            }
        };
        self.tell_call_info(request, action, reason);
    }

    /// Puts our Path on a registration, so that calls come back through this very flow (RFC 3327, RFC 5626 §5.1).
    fn add_path(&self, request: &Request, target: &Target, edit: &mut Edit) {
        let account = request.caller.as_ref().map(|account| account.id);
        let Some(key) = self.config.keys.token.first() else { return };
        let token = Token { flow: request.flow, account }.seal(key);
        if let Some(path) = self.config.own_uri(&target.flow, Some(&token)) {
            edit.push_above(Name::Path, &path);
        }
    }

    /// Record-Route on both sides of us (§16.6 step 4; doubled where the zone changes).
    fn record_route(&self, request: &Request, target: &Target, edit: &mut Edit) {
        let message = &request.message;
        if !route::may_make_dialog(message.method()) || !message.to_tag().is_empty() {
            return;
        }
        for flow in [&request.flow, &target.flow] {
            if let Some(line) = self.config.record_route(flow) {
                edit.push_above(Name::RecordRoute, &line);
            }
        }
    }

    /// What the caller is told about charges before the call goes on (RFC 7081 §5).
    fn charge(&mut self, request: &mut Request, target: &Target, id: ContextId, now: Instant) -> Action {
        let Some(class) = request.number.class else { return Action::Allow };
        if !request.is_initial_invite() || request.origin != Origin::Access {
            return Action::Allow;
        }
        let number = request.number.e164.clone().unwrap_or_else(|| request.message.request_uri_text().to_owned());
        let told = Identity::number(number.as_str());
        let correlation = request.correlation.clone();
        self.tell(Event::Classified(Classified { class, number: told.clone(), correlation: correlation.clone() }));
        if target.zone.is_none() {
            return Action::Allow;
        }
        let action = self.config.numbers.policy.get(&class).copied().unwrap_or(Action::Allow);
        let caller = request
            .caller
            .as_ref()
            .map(|account| Identity::uri(format!("sip:{}@{}", account.user, self.config.domain)));
        let cue = |kind, this: &mut Self| {
            let (number, caller, correlation) = (told.clone(), caller.clone(), correlation.clone());
            this.tell(Event::Cue(Cue { kind, class, number, caller, correlation }));
        };
        match action {
            Action::Allow => {}
            Action::Block => cue(CueKind::Blocked, self),
            Action::Text => {
                request.cued = Some(class);
                let text = cue::text(class, &number, &self.config.domain);
                if self.cue_with_header(id, request, &text, now) {
                    cue(CueKind::Header, self);
                }
                let jid = request.caller.as_ref().and_then(|account| account.jid.clone());
                if let Some(to) = jid.filter(|_| self.config.numbers.message) {
                    let session = correlation.session;
                    self.outputs.push_back(Output::Headline(Headline {
                        to,
                        text,
                        number: number.clone(),
                        class,
                        session,
                    }));
                    cue(CueKind::Message, self);
                }
            }
        }
        action
    }

    /// Answers a request here with a failure.
    pub(crate) fn refuse(&mut self, id: ContextId, status: u16, reason: &str, headers: &[(&str, &str)], now: Instant) {
        let Some(message) = self.proxy.request(id).cloned() else { return };
        let tag = self.proxy.tag();
        let mut compose = Compose::response(&message, status, Some(reason), Some(&tag));
        for (name, value) in headers {
            compose = compose.header(name, value);
        }
        self.proxy.respond(id, status, compose.empty(), now);
    }

    fn challenge(&mut self, id: ContextId, result: AuthResult, stale: bool, now: Instant) {
        let Some(request) = self.requests.get(&id) else { return };
        let (register, source) = (request.message.method() == Method::Register, request.flow.remote);
        let event = self.auth_event(request, result);
        self.tell(event);
        let unix = self.unix(now);
        let challenges = self.auth.challenges(&self.config, source, stale, unix);
        let values: Vec<String> = challenges.iter().map(ToString::to_string).collect();
        let (status, name) = if register { (401, "WWW-Authenticate") } else { (407, "Proxy-Authenticate") };
        let headers: Vec<(&str, &str)> = values.iter().map(|value| (name, value.as_str())).collect();
        self.refuse(id, status, cusax_sip::status::reason_phrase(status), &headers, now);
    }

    fn answer_options(&mut self, id: ContextId, now: Instant) {
        self.refuse(id, 200, "OK", &[("Accept", "*/*"), ("Supported", "path, outbound")], now);
    }

    fn classify(&self, message: &Message) -> Classification {
        let Some(uri) = message.request_uri() else {
            return Classification { class: None, e164: None, territory: None };
        };
        let urn = uri.scheme == Scheme::Other;
        let scheme = match uri.scheme {
            Scheme::Sip => cusax_numbering::Scheme::Sip,
            Scheme::Sips => cusax_numbering::Scheme::Sips,
            Scheme::Tel => cusax_numbering::Scheme::Tel,
            Scheme::Other => cusax_numbering::Scheme::Urn,
        };
        if urn && !uri.text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn:")) {
            return Classification { class: None, e164: None, territory: None };
        }
        let user_phone = uri.params.find("user").is_some_and(|user| user.eq_ignore_ascii_case("phone"));
        let host = if self.config.is_us(&uri) { &self.config.domain } else { uri.host };
        self.config.numbers.classifier.classify(&Dialled {
            scheme,
            user: uri.user.unwrap_or(""),
            host,
            user_phone,
            phone_context: uri.params.find("phone-context"),
        })
    }

    pub(crate) fn origin_of(&self, flow: &Flow) -> Origin {
        if story::is_inside(flow) {
            return Origin::Inside;
        }
        let zone = self.config.listener(flow.listener).map(|listener| listener.zone);
        let peer = self.config.peers.iter().find(|peer| peer.covers(flow.remote.ip()));
        match (zone, peer) {
            (Some(Zone::Core), _) => Origin::Core,
            (_, Some(peer)) => Origin::Peer { trusted: peer.trusted },
            (Some(Zone::Access | Zone::Peer) | None, None) => Origin::Access,
        }
    }

    fn from_is_ours(&self, message: &Message) -> bool {
        let from = message.address(Name::From).and_then(|from| from.uri());
        from.is_some_and(|from| self.config.is_own_domain(from.host) || from.host_is("anonymous.invalid"))
    }

    fn correlation(&self, message: &Message) -> Correlation {
        let mut correlation = story::correlation(message);
        let (id, _) = session::of(&self.config.keys.session, message, None);
        correlation.session = id.local;
        correlation
    }

    fn tell_auth(&mut self, request: &Request, result: AuthResult) {
        let event = self.auth_event(request, result);
        self.tell(event);
    }

    fn auth_event(&self, request: &Request, result: AuthResult) -> Event {
        let user = request.message.address(Name::From).map(|from| Identity::uri(from.uri_text));
        Event::SipAuth(AuthEvent {
            result,
            algorithm: auth::algorithm_of(&request.message, &self.config.domain),
            user,
            remote: request.flow.remote,
            correlation: request.correlation.clone(),
        })
    }

    fn tell_call_info(&mut self, request: &Request, action: CallInfoAction, reason: CallInfoReason) {
        let correlation = request.correlation.clone();
        self.tell(Event::CallInfo(CallInfo { action, reason, correlation }));
    }
}

/// The account that the core asserts by P-Asserted-Identity, if it is one of ours.
fn asserted(message: &Message, domain: &str) -> Option<AccountKey> {
    message.values(Name::PAssertedIdentity).find_map(|value| {
        let uri = cusax_sip::Address::parse(value)?.uri()?;
        match uri.scheme {
            Scheme::Sip | Scheme::Sips if uri.host_is(domain) => {
                Some(AccountKey::User(uri.user_unescaped().into_owned()))
            }
            Scheme::Tel => uri.user.map(|number| AccountKey::Number(number.to_owned())),
            Scheme::Sip | Scheme::Sips | Scheme::Other => None,
        }
    })
}
