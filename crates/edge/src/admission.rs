//! Who may send a request: challenges, credentials, connections on which somebody proved himself.

use std::time::Instant;

use cusax_event::sip::{Algorithm, Auth as AuthEvent, AuthResult};
use cusax_event::{Event, Identity};
use cusax_sip::proxy::ContextId;
use cusax_sip::{Method, Name};

use crate::account::{Account, AccountKey};
use crate::auth::{self, Auth, Checked};
use crate::request::Request;
use crate::route::Origin;
use crate::{Edge, identity};

impl Edge {
    /// True where this edge wants proof from a user agent: always, or where the core cannot ask for it because the call ends
    /// here, at the focus, which admits by identity.
    fn challenges(&self, request: &Request) -> bool {
        let conference = request.message.request_uri().is_some_and(|uri| self.config.is_conference(uri.host));
        let dialled = request.number.e164.as_ref().is_some_and(|number| self.config.dial_in.contains_key(number));
        self.config.challenge || conference || dialled
    }

    /// The account to ask for; an error where credentials are owed and none came.
    pub(crate) fn who_asks(&self, request: &mut Request) -> Result<Option<AccountKey>, AuthResult> {
        let message = &request.message;
        let domain = &self.config.domain;
        match request.origin {
            Origin::Access if self.challenges(request) => {
                let exempt = !self.owes_credentials(request);
                match (Auth::claimed(message, domain), self.proved(request)) {
                    (Some(key), _) | (None, Some(key)) => Ok(Some(key)),
                    (None, None) if exempt => Ok(None),
                    (None, None) => Err(AuthResult::Challenged),
                }
            }
            // Many cores are back-to-back user agents whose second leg is a new call: whom they assert, they vouch for.
            Origin::Core => Ok(identity::asserted(message, domain)),
            Origin::Access | Origin::Peer { .. } | Origin::Inside => Ok(None),
        }
    }

    /// True where a request of a user agent is not sent on without proof of who sends it.
    fn owes_credentials(&self, request: &Request) -> bool {
        let emergency = request.is_emergency() || request.route.emergency;
        let foreign = self.is_foreign(&request.message) && request.own_dialog().is_none();
        !(auth::is_exempt(request.message.method()) || emergency || foreign)
    }

    /// The account that proved itself on a stream connection, by its certificate or by credentials before this request.
    fn proved(&self, request: &Request) -> Option<AccountKey> {
        let by_credentials =
            || request.own_connection().and_then(|connection| self.connections.get(&connection)?.account);
        let by_certificate = self.certified_user(request).map(|user| AccountKey::User(user.to_owned()));
        by_certificate.or_else(|| by_credentials().map(AccountKey::Id))
    }

    /// The user whose certificate the connection was made with, where nobody of another domain speaks on it now.
    fn certified_user(&self, request: &Request) -> Option<&str> {
        let connection = request.own_connection().filter(|_| !self.is_foreign(&request.message))?;
        let from = request.message.address(Name::From).and_then(|from| from.uri());
        self.certified(connection, &from.map(|from| from.user_unescaped()).unwrap_or_default())
    }

    /// Remembers who proved himself on a stream connection; a datagram's source proves nobody.
    fn prove(&mut self, request: &Request, account: Option<&Account>) {
        if let Some(proved) = request.own_connection().and_then(|connection| self.connections.get_mut(&connection)) {
            proved.account = account.map(|account| account.id);
        }
    }

    /// True where a request says that it is of an account: by its From, or by the dialog that it is in.
    fn speaks_for(&self, request: &Request, account: &Account) -> bool {
        let from = request.message.address(Name::From).and_then(|from| from.uri());
        let named = from.is_some_and(|from| self.config.is_our_host(&from) && account.owns(&from.user_unescaped()));
        // A certificate is its user's alone, and there is nothing else to ask him for: another name is checked against it.
        named || request.own_dialog() == Some(account.id) || self.certified_user(request).is_some()
    }

    /// Goes on once the accounts are known.
    pub(crate) fn decide(&mut self, id: ContextId, caller: Option<Account>, callee: Option<Account>, now: Instant) {
        let Some(mut request) = self.requests.remove(&id) else { return };
        let to_user = callee.is_some();
        if request.origin != Origin::Access {
            request.callee = callee;
        } else if to_user {
            request.number = crate::charge::NO_NUMBER;
        }
        match request.origin {
            Origin::Access if self.challenges(&request) => {
                let claimed = Auth::claimed(&request.message, &self.config.domain).is_some();
                if claimed && !auth::is_exempt(request.message.method()) {
                    let unix = self.unix(now);
                    let checked =
                        self.auth.check(&self.config, &request.message, request.flow.remote, caller.as_ref(), unix);
                    match checked {
                        Checked::Verified => {
                            self.prove(&request, caller.as_ref());
                            request.verified = true;
                            request.correlation.account = caller.as_ref().map(|account| account.id);
                            request.caller = caller;
                            self.tell_auth(&request, AuthResult::Ok);
                        }
                        // An emergency call goes on, as nobody's.
                        Checked::Refused { .. } if request.is_emergency() || request.route.emergency => {}
                        Checked::Refused { result, stale } => {
                            self.requests.insert(id, request);
                            return self.challenge(id, result, stale, now);
                        }
                    }
                } else if let Some(account) = caller.filter(|account| !claimed && self.speaks_for(&request, account)) {
                    // He proved himself on this very connection, and nobody else speaks on it.
                    self.tell_certified(&request, account.id);
                    request.verified = true;
                    request.correlation.account = Some(account.id);
                    request.caller = Some(account);
                } else if !claimed && self.owes_credentials(&request) {
                    self.requests.insert(id, request);
                    return self.challenge(id, AuthResult::Challenged, false, now);
                }
                if self.turns_account_away(id, &request, now) {
                    return;
                }
                if let Err((status, reason)) = self.check_identity(&request, to_user) {
                    self.tell_auth(&request, AuthResult::Mismatch);
                    self.requests.insert(id, request);
                    return self.refuse(id, status, reason, &[], now);
                }
            }
            Origin::Peer { trusted } => {
                if let Err((status, reason)) = self.check_peer(&request, trusted) {
                    self.requests.insert(id, request);
                    return self.refuse(id, status, reason, &[], now);
                }
            }
            Origin::Core => request.caller = caller,
            Origin::Access | Origin::Inside => {}
        }
        self.dispatch(id, request, now);
    }

    pub(crate) fn challenge(&mut self, id: ContextId, result: AuthResult, stale: bool, now: Instant) {
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

    /// Says once on a connection that a certificate let an account in.
    fn tell_certified(&mut self, request: &Request, account: i64) {
        if self.certified_user(request).is_none() {
            return;
        }
        let connection = request.own_connection().and_then(|connection| self.connections.get_mut(&connection));
        if connection.is_some_and(|connection| connection.account.replace(account) != Some(account)) {
            self.tell_auth(request, AuthResult::Ok);
        }
    }

    fn tell_auth(&mut self, request: &Request, result: AuthResult) {
        let event = self.auth_event(request, result);
        self.tell(event);
    }

    fn auth_event(&self, request: &Request, result: AuthResult) -> Event {
        let user = request.message.address(Name::From).map(|from| Identity::uri(from.uri_text));
        let by_digest = auth::algorithm_of(&request.message, &self.config.domain);
        let certified = by_digest == Algorithm::None && self.certified_user(request).is_some();
        Event::SipAuth(AuthEvent {
            result,
            algorithm: if certified { Algorithm::Certificate } else { by_digest },
            user,
            remote: request.flow.remote,
            correlation: request.correlation.clone(),
        })
    }
}
