//! `[sip]`: listeners, the existing SIP servers behind us, other providers, authentication.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{HostPort, ListenerAddress, SipTarget};
use super::limits::Limits;
use super::name::{Domain, Identifier};
use super::network::Network;
use super::origin::Origin;

/// The SIP edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sip {
    /// Who of another domain may reach our addresses of record through an access listener.
    pub(crate) federation: Federation,
    /// Where SIP is received, one table for each address. Changes of address, zone and advertise need a restart.
    pub(crate) listener: Vec<Listener>,
    /// The existing SIP servers behind this edge.
    pub(crate) core: Option<Core>,
    /// Other providers, recognised on access listeners too.
    pub(crate) peer: Vec<Peer>,
    /// Who is asked for a password, and how.
    pub(crate) auth: Auth,
    /// Bounds; what is beyond them is refused or dropped, and counted.
    pub(crate) limits: Limits,
}

impl Default for Sip {
    fn default() -> Self {
        let access = |address: &str| Listener {
            address: address.parse().expect("the default listeners are addresses"),
            zone: Zone::Access,
            advertise: None,
            proxy_protocol: Vec::new(),
            origins: Vec::new(),
            user_certificates: false,
            require_certificate: false,
        };
        Self {
            federation: Federation::default(),
            listener: vec![access("udp:127.0.0.1:5060"), access("tcp:127.0.0.1:5060")],
            core: None,
            peer: Vec::new(),
            auth: Auth::default(),
            limits: Limits::default(),
        }
    }
}

/// An address where SIP is received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listener {
    /// Transport (udp, tcp, tls, ws, wss), address and port.
    pub(crate) address: ListenerAddress,
    /// Whom it is for.
    pub(crate) zone: Zone,
    /// Name or address for Via, Record-Route, Path and Contact. Default: the address.
    #[schemars(example = &"sip.example.com")]
    pub(crate) advertise: Option<HostPort>,
    /// Load balancers that say for whom they connect (PROXY protocol, version 2), by their addresses. Who connects from
    /// elsewhere speaks for himself, and must not send such a header.
    #[serde(default)]
    #[schemars(example = ["10.0.0.0/8"])]
    pub(crate) proxy_protocol: Vec<Network>,
    /// Web pages that may open a WebSocket (ws, wss), by their origins; clients that are no browsers name none and are let
    /// in. Empty: all.
    #[serde(default)]
    #[schemars(example = ["https://phone.example.com"])]
    pub(crate) origins: Vec<Origin>,
    /// Whether user agents are asked for a certificate by an authority of tls.user_ca. Who has none goes on with a password;
    /// one that has expired or is of another authority is refused. Browsers ask their users which one to show.
    #[serde(default)]
    pub(crate) user_certificates: bool,
    /// Whether who connects by TLS must show a certificate by an authority of tls.client_ca (or of tls.user_ca, where
    /// user_certificates says that these are asked for).
    #[serde(default)]
    pub(crate) require_certificate: bool,
}

/// Who is on the other side of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Zone {
    /// user agents
    Access,
    /// the existing SIP servers: takes only what comes from sip.core, by address or certificate
    Core,
    /// other providers: takes only what comes from a sip.peer, by address or certificate
    Peer,
}

/// Whether strangers' domains are let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Federation {
    /// anyone, to addresses of record only, never to a number
    Open,
    /// configured peers only
    #[default]
    Closed,
}

/// The existing SIP servers behind this edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Core {
    /// Their SIP URIs; names are looked up at the start and every 30 s. Who is taken out keeps the calls that he has.
    #[schemars(example = ["sip:127.0.0.1:5080"])]
    pub(crate) targets: Vec<SipTarget>,
    /// SIP domains of their certificates (RFC 5922): who shows one of them is the core, from whatever address; and who is
    /// reached by TLS at an address must.
    #[serde(default)]
    #[schemars(example = ["core.example.com"])]
    pub(crate) certificate_names: Vec<Domain>,
}

/// Another provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Peer {
    /// Its name in logs and metrics.
    #[schemars(example = &"biloxi")]
    pub(crate) name: Identifier,
    /// The addresses that its requests come from.
    #[serde(default)]
    #[schemars(example = ["192.0.2.0/28"])]
    pub(crate) sources: Vec<Network>,
    /// The SIP domains of its certificate (RFC 5922), which it may show instead.
    #[serde(default)]
    #[schemars(example = ["sip.biloxi.example"])]
    pub(crate) certificate_names: Vec<Domain>,
    /// Whether its callers' identities (P-Asserted-Identity, Call-Info impp) are believed.
    #[serde(default)]
    pub(crate) trusted: bool,
}

/// Who is asked for a password, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// Whether the edge challenges requests from access listeners (false: the core does).
    pub(crate) challenge: bool,
    /// Digest algorithms that are offered, strongest first (RFC 8760). Some clients that know MD5 only give up where another is
    /// offered beside it (baresip 1.0, JsSIP 3.13, SIPp 3.6): ["MD5"] lets them in.
    pub(crate) algorithms: Vec<DigestAlgorithm>,
}

impl Default for Auth {
    fn default() -> Self {
        Self { challenge: true, algorithms: vec![DigestAlgorithm::Sha256, DigestAlgorithm::Md5] }
    }
}

/// A digest algorithm (RFC 7616, RFC 8760).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) enum DigestAlgorithm {
    /// RFC 7616
    #[serde(rename = "SHA-512-256")]
    Sha512_256,
    /// RFC 7616
    #[serde(rename = "SHA-256")]
    Sha256,
    /// for phones that know no better
    #[serde(rename = "MD5")]
    Md5,
}
