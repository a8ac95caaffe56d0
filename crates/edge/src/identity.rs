//! Who calls, as the edge lets others know it (RFC 3323, RFC 3325, RFC 7081 §3.5).

use cusax_event::sip::{CallInfo, CallInfoAction, CallInfoReason};
use cusax_event::{Correlation, Event};
use cusax_sip::{Edit, Message, Method, Name, Scheme};

use crate::account::{Account, AccountKey, number};
use crate::auth;
use crate::config::{Forged, Reach, Zone};
use crate::privacy::{self, Privacy};
use crate::request::Request;
use crate::route::{self, Origin, Target};
use crate::token::{Place, Token};
use crate::{Edge, call_info, session};

impl Edge {
    /// A From of our domain must be the account's; one of another domain may reach users only, where that is open.
    /// `to_user` says whether the Request-URI is a user's of ours.
    pub(crate) fn check_identity(&self, request: &Request, to_user: bool) -> Result<(), (u16, &'static str)> {
        let message = &request.message;
        let from = message.address(Name::From).and_then(|from| from.uri());
        let Some(from) = from else { return Err((400, "Malformed From")) };
        if auth::is_exempt(message.method())
            || request.is_emergency()
            || request.route.emergency
            || from.host_is("anonymous.invalid")
        {
            return Ok(());
        }
        let account = request.caller.as_ref();
        if account.is_some_and(|account| request.own_dialog() == Some(account.id)) {
            // His address in this dialog is what he was called by: an alias, a number, an address of the caller's side.
            return Ok(());
        }
        if self.is_foreign(message) {
            return self.check_foreign(request, to_user);
        }
        let owns = |name| {
            let user = message.address(name).and_then(|address| address.uri()).map(|uri| uri.user_unescaped());
            account.zip(user).is_some_and(|(account, user)| account.owns(&user))
        };
        if owns(Name::From) && (message.method() != Method::Register || owns(Name::To)) {
            return Ok(());
        }
        Err((403, "From is not the account's"))
    }

    /// What another domain may: reach our users, and go on in the dialogs that come of it.
    fn check_foreign(&self, request: &Request, to_user: bool) -> Result<(), (u16, &'static str)> {
        if !self.config.federation || matches!(request.message.method(), Method::Register | Method::Publish) {
            return Err((403, "From is of another domain"));
        }
        if request.route.dialog {
            return Ok(());
        }
        let ours = request.message.request_uri().is_some_and(|uri| self.config.is_our_host(&uri));
        match (ours, to_user) {
            (false, _) => Err((403, "From is of another domain")),
            (true, false) => Err((404, "Not Found")),
            (true, true) => Ok(()),
        }
    }

    /// A peer speaks for its own users only, unless it is trusted; nobody registers through another provider.
    pub(crate) fn check_peer(&self, request: &Request, trusted: bool) -> Result<(), (u16, &'static str)> {
        let message = &request.message;
        if matches!(message.method(), Method::Register | Method::Publish) {
            return Err((403, "A peer has no registrations here"));
        }
        let from = message.address(Name::From).and_then(|from| from.uri());
        let Some(from) = from else { return Err((400, "Malformed From")) };
        let initial = !request.route.dialog && !auth::is_exempt(message.method());
        if !trusted && initial && !self.is_foreign(message) && !from.host_is("anonymous.invalid") {
            return Err((403, "From is of our domain"));
        }
        Ok(())
    }

    /// Takes away what only trusted elements may say (RFC 3325 §5, RFC 7081 §3.5).
    pub(crate) fn clean(
        &mut self,
        message: &Message,
        origin: Origin,
        sos: bool,
        correlation: &Correlation,
        edit: &mut Edit,
    ) -> Result<(), &'static str> {
        let untrusted = is_untrusted(origin);
        if untrusted {
            remove(edit, &TRUSTED_ONLY);
        }
        if untrusted && call_info::has_impp(message) {
            let reject = self.config.caller.forged == Forged::Reject && origin == Origin::Access;
            // An ACK cannot be refused, and a call for help must not be.
            if reject && message.method() != Method::Ack && !sos {
                self.tell_call_info(correlation, CallInfoAction::Rejected, CallInfoReason::Forged);
                return Err("Call-Info with purpose=impp is not the caller's to send");
            }
            let gone = call_info::strip(edit);
            for _ in 0..gone {
                self.tell_call_info(correlation, CallInfoAction::Stripped, CallInfoReason::Forged);
            }
        }
        if origin == Origin::Access && self.config.challenge {
            // Credentials for our realm are for us (RFC 3261 §22.3), also on an ACK or BYE, which nobody checks.
            let realm = &self.config.domain;
            edit.remove_values(auth::header_of(message.method()), |_, value| {
                cusax_sip::digest::Credentials::parse(value).is_some_and(|found| found.realm == *realm)
            });
        }
        Ok(())
    }

    /// Says who calls, to those who may know it: Session-ID, P-Asserted-Identity, Call-Info.
    pub(crate) fn identify(&mut self, request: &Request, target: &Target, edit: &mut Edit) {
        let message = &request.message;
        let (id, missing) = session::of(&self.config.keys.session, message, None);
        if missing {
            edit.set(Name::SessionId, &id.to_string());
        }
        let private = privacy::of(message);
        let trusted = self.trusts(target);
        if !trusted {
            withhold(message, edit);
        }
        if message.method() == Method::Register {
            return;
        }
        // RFC 3325 §6: it ends at the first trusted element, which is the one that can follow it.
        if is_untrusted(request.origin) {
            edit.remove_all(Name::PPreferredIdentity);
        }
        let caller = request.caller.as_ref().filter(|_| request.verified && trusted && message.method() != Method::Ack);
        if let Some(account) = caller {
            let preferred = self.preferred(message, account);
            let usual = || {
                let user = cusax_sip::uri::escape_user(&account.user);
                format!("<sip:{user}@{}>", self.config.domain)
            };
            edit.append("P-Asserted-Identity", &preferred.unwrap_or_else(usual));
        }
        let carries = matches!(message.method(), Method::Invite | Method::Update | Method::Message);
        if !carries {
            return;
        }
        let kept = call_info::has_impp(message) && !matches!(request.origin, Origin::Access | Origin::Peer { .. });
        if kept {
            return self.tell_call_info(&request.correlation, CallInfoAction::Kept, CallInfoReason::Trusted);
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
        self.tell_call_info(&request.correlation, action, reason);
    }

    /// The identity that a verified caller would rather be known by, if it is one of his (RFC 3325 §5, §6).
    fn preferred(&self, message: &Message, account: &Account) -> Option<String> {
        message.values(Name::PPreferredIdentity).find_map(|value| {
            let uri = cusax_sip::Address::parse(value)?.uri()?;
            let ours = match uri.scheme {
                Scheme::Sip | Scheme::Sips => self.config.is_own_domain(uri.host),
                Scheme::Tel => true,
                Scheme::Other => false,
            };
            let user = uri.user_unescaped();
            (ours && account.owns(&user)).then(|| match uri.scheme {
                Scheme::Tel => format!("<tel:{user}>"),
                Scheme::Sip | Scheme::Sips | Scheme::Other => {
                    format!("<sip:{}@{}>", cusax_sip::uri::escape_user(&user), self.config.domain)
                }
            })
        })
    }

    /// True where what we assert may go: the core, the focus, and peers that are trusted (RFC 3325 §5).
    fn trusts(&self, target: &Target) -> bool {
        match target.zone {
            Some(Zone::Core) | None => true,
            Some(Zone::Access) => false,
            Some(Zone::Peer) => {
                let peer = self.peer_at(&target.flow);
                peer.is_some_and(|peer| peer.trusted)
            }
        }
    }

    /// Puts our Path on a registration, so that calls come back through this very flow (RFC 3327, RFC 5626 §5.1).
    fn add_path(&self, request: &Request, target: &Target, edit: &mut Edit) {
        let account = request.caller.as_ref().map(|account| account.id);
        let token = Token { flow: request.flow, account, core: None, domain: None, place: Place::Path };
        let sealed = self.config.seal(&token, request.message.call_id());
        let sips = request.route.is_sips(&request.message);
        if let Some(path) = sealed.and_then(|sealed| self.config.own_uri(&target.flow, Some(&sealed), sips)) {
            // RFC 5626 §5.1: the first hop of a user agent that does outbound says that it keeps the flow.
            let message = &request.message;
            let first_hop = message.values(Name::Via).nth(1).is_none();
            let outbound = message.values(Name::Contact).filter_map(cusax_sip::Address::parse);
            let flows = first_hop && outbound.into_iter().any(|contact| contact.params.has("reg-id"));
            let path = if flows { path.replacen(";lr>", ";lr;ob>", 1) } else { path };
            edit.push_above(Name::Path, &path);
        }
    }

    /// Leaves our address, for what comes back: Path in a registration, Record-Route in what may make a dialog.
    pub(crate) fn record(&self, request: &Request, target: &Target, edit: &mut Edit) {
        match request.message.method() {
            Method::Register => self.add_path(request, target, edit),
            method if route::may_make_dialog(method) => self.record_route(request, target, edit),
            Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Options
            | Method::Publish
            | Method::Message
            | Method::Update
            | Method::Prack
            | Method::Info
            | Method::Other
            | Method::Invite
            | Method::Subscribe
            | Method::Refer
            | Method::Notify => {}
        }
    }

    /// Record-Route on both sides of us (§16.6 step 4; doubled where the zone changes).
    fn record_route(&self, request: &Request, target: &Target, edit: &mut Edit) {
        let message = &request.message;
        if !message.to_tag().is_empty() {
            return;
        }
        let place = if request.is_emergency() { Place::Emergency } else { Place::Dialog };
        let core = [&request.flow, &target.flow].into_iter().find_map(|flow| self.config.core_target(flow.remote));
        let core = core.map(|core| core.address);
        let dialog = (message.call_id(), request.route.is_sips(message));
        let (from, to) =
            ((request.flow, request.account(), None), (target.flow, target.account, target.domain.clone()));
        for (flow, account, domain) in [from, to] {
            let token = Token { flow, account, core, domain, place };
            if let Some(line) = self.config.record_route(&token, dialog) {
                edit.push_above(Name::RecordRoute, &line);
            }
        }
    }

    fn tell_call_info(&mut self, correlation: &Correlation, action: CallInfoAction, reason: CallInfoReason) {
        let correlation = correlation.clone();
        self.tell(Event::CallInfo(CallInfo { action, reason, correlation }));
    }

    /// True where From is of another domain: an address at a host that is none of ours, and no number.
    pub(crate) fn is_foreign(&self, message: &Message) -> bool {
        let from = message.address(Name::From).and_then(|from| from.uri());
        from.is_some_and(|from| {
            matches!(from.scheme, Scheme::Sip | Scheme::Sips)
                && !self.config.is_our_host(&from)
                && !from.host_is("anonymous.invalid")
        })
    }
}

/// What only trusted elements may say.
const TRUSTED_ONLY: [Name; 14] = [
    Name::PAssertedIdentity,
    Name::PAccessNetworkInfo,
    Name::PChargingVector,
    Name::PChargingFunctionAddresses,
    Name::RemotePartyId,
    Name::PAssertedService,
    Name::PServedUser,
    Name::PProfileKey,
    Name::PUserDatabase,
    Name::PVisitedNetworkId,
    Name::Diversion,
    Name::AlertInfo,
    Name::Path,
    Name::ServiceRoute,
];

/// What is of use inside a trust domain only (RFC 7315 §5, RFC 4457, RFC 5002, RFC 5502, RFC 6050).
const INSIDE_ONLY: [Name; 8] = [
    Name::PAccessNetworkInfo,
    Name::PChargingVector,
    Name::PChargingFunctionAddresses,
    Name::PAssertedService,
    Name::PServedUser,
    Name::PProfileKey,
    Name::PUserDatabase,
    Name::PVisitedNetworkId,
];

fn remove(edit: &mut Edit, names: &[Name]) {
    names.iter().for_each(|name| edit.remove_all(*name));
}

/// Takes away what an answer of somebody untrusted may not say.
pub(crate) fn distrust(edit: &mut Edit) {
    remove(edit, &TRUSTED_ONLY);
}

/// Keeps from whoever is untrusted what is not for him: who somebody is that wants to stay unknown (RFC 3325 §7), and what
/// concerns servers only.
pub(crate) fn withhold(message: &Message, edit: &mut Edit) {
    if privacy::hides_identity(message) {
        remove(edit, &[Name::PAssertedIdentity, Name::RemotePartyId]);
    }
    remove(edit, &INSIDE_ONLY);
}

/// True for those who may not say who somebody is (RFC 3325 §5).
pub(crate) const fn is_untrusted(origin: Origin) -> bool {
    matches!(origin, Origin::Access | Origin::Peer { trusted: false })
}

/// The account that the core asserts by P-Asserted-Identity, if it is one of ours.
pub(crate) fn asserted(message: &Message, domain: &str) -> Option<AccountKey> {
    message.values(Name::PAssertedIdentity).find_map(|value| {
        let uri = cusax_sip::Address::parse(value)?.uri()?;
        match uri.scheme {
            Scheme::Sip | Scheme::Sips if uri.host_is(domain) => {
                let user = uri.user_unescaped();
                let key = if user.starts_with('+') {
                    AccountKey::Number(number(&user))
                } else {
                    AccountKey::User(user.into())
                };
                Some(key)
            }
            Scheme::Tel => uri.user.map(|user| AccountKey::Number(number(user))),
            Scheme::Sip | Scheme::Sips | Scheme::Other => None,
        }
    })
}
