//! XML namespaces that this crate speaks.

use std::borrow::Cow;

/// Stanzas, whatever the stream they travel on (see [`Element`](crate::Element)).
pub const CLIENT: &str = "jabber:client";
/// Content of a component stream (XEP-0114).
pub const COMPONENT: &str = "jabber:component:accept";
/// The stream itself (RFC 6120 §4.8.1).
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// Stream error conditions (RFC 6120 §4.9.2).
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Stanza error conditions (RFC 6120 §8.3.2).
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// SASL (RFC 6120 §6.4).
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// Resource binding (RFC 6120 §7.4).
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// XMPP Ping (XEP-0199).
pub const PING: &str = "urn:xmpp:ping";
/// Service discovery (XEP-0030).
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// Data forms (XEP-0004).
pub const DATA: &str = "jabber:x:data";
/// Multi-user chat (XEP-0045).
pub const MUC: &str = "http://jabber.org/protocol/muc";
/// What a room tells its users (XEP-0045).
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
/// Roles and affiliations (XEP-0045 §9).
pub const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// Room configuration (XEP-0045 §10).
pub const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// Voice request form (XEP-0045 §7.13).
pub const MUC_REQUEST: &str = "http://jabber.org/protocol/muc#request";
/// Room configuration form (XEP-0045 §15.5.3).
pub const MUC_ROOMCONFIG: &str = "http://jabber.org/protocol/muc#roomconfig";
/// Anonymous occupant identifiers (XEP-0421).
pub const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";

/// Every name above: most namespaces of a stream are among them, and need no allocation.
const KNOWN: [&str; 17] = [
    CLIENT,
    MUC_USER,
    MUC,
    OCCUPANT_ID,
    MUC_ADMIN,
    MUC_OWNER,
    DISCO_INFO,
    DATA,
    PING,
    STANZA_ERRORS,
    COMPONENT,
    STREAM,
    STREAM_ERRORS,
    SASL,
    BIND,
    MUC_REQUEST,
    MUC_ROOMCONFIG,
];

/// Names a namespace, without allocation where it is known.
pub(crate) fn intern(name: &str) -> Cow<'static, str> {
    KNOWN
        .iter()
        .find(|known| **known == name)
        .map_or_else(|| Cow::Owned(name.to_owned()), |known| Cow::Borrowed(*known))
}
