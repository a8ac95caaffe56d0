//! `[media]`: the mixer's sockets and codecs.

use std::net::{IpAddr, Ipv4Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::network::PortRange;

/// The mixer's sockets and codecs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Media {
    /// Address that media is received on.
    #[schemars(with = "String")]
    pub(crate) bind: IpAddr,
    /// Address that SDP advertises. Default: bind.
    #[schemars(with = "Option<String>", example = &"127.0.0.1")]
    pub(crate) address: Option<IpAddr>,
    /// Ports, first and last: even ones RTP, odd ones RTCP.
    pub(crate) ports: PortRange,
    /// Codecs that are offered and accepted, the preferred first.
    pub(crate) codecs: Vec<Codec>,
    /// Whose packets a leg takes when its SDP address is not where they come from.
    pub(crate) latch: Latch,
}

impl Media {
    /// The address for SDP.
    pub(crate) fn advertised(&self) -> IpAddr {
        self.address.unwrap_or(self.bind)
    }
}

impl Default for Media {
    fn default() -> Self {
        Self {
            bind: Ipv4Addr::LOCALHOST.into(),
            address: None,
            ports: PortRange { first: 40_000, last: 40_127 },
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            latch: Latch::Strict,
        }
    }
}

/// An audio codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) enum Codec {
    /// RFC 7587
    #[serde(rename = "opus")]
    Opus,
    /// ITU-T G.722
    G722,
    /// ITU-T G.711 µ-law
    #[serde(rename = "PCMU")]
    Pcmu,
    /// ITU-T G.711 A-law
    #[serde(rename = "PCMA")]
    Pcma,
}

/// Whose packets a leg takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Latch {
    /// those from the address of its signalling, where only one leg waits for it
    Strict,
    /// the first that come to a port on which only one leg waits
    Relaxed,
}
