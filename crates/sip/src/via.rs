//! Via (RFC 3261 §20.42, RFC 3581).

use std::net::{IpAddr, SocketAddr};

use memchr::memchr2;

use crate::address::unquoted;
use crate::uri::{host_address, split_host_port};
use crate::value::{Params, digits};

/// One Via value.
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    /// Version of the protocol; a sender of another than ours is answered, too (RFC 4475 §3.1.2.16).
    pub version: &'a str,
    /// Transport as written: `UDP`, `TCP`, `TLS`, `WS`, `WSS` or another.
    pub transport: &'a str,
    /// Host of sent-by, IPv6 with its brackets.
    pub host: &'a str,
    /// Port of sent-by.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Params<'a>,
    pub(crate) params_offset: usize,
}

impl<'a> Via<'a> {
    /// Reads one value: `SIP/2.0/UDP host:port;branch=…`.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let params_offset = text.find(';').unwrap_or(text.len());
        let (protocol, params) = text.split_at(params_offset);
        let (name, rest) = protocol.split_once('/')?;
        let (version, rest) = rest.split_once('/')?;
        let version = version.trim();
        let number = version.split_once('.').is_some_and(|(major, minor)| is_number(major) && is_number(minor));
        if !name.trim().eq_ignore_ascii_case("SIP") || !number {
            return None;
        }
        let (transport, sent_by) = rest.trim_start().split_once(|c: char| c.is_ascii_whitespace())?;
        let (host, port) = split_host_port(sent_by.trim())?;
        // What `received` is put behind must end where every reader sees it end.
        if memchr2(b'"', b'<', params.as_bytes()).is_some() && unquoted(params, |byte| byte == b'<')?.is_some() {
            return None;
        }
        Some(Self { version, transport, host, port, params: Params(params), params_offset })
    }

    /// The branch; empty where there is none.
    #[must_use]
    pub fn branch(&self) -> &'a str {
        self.params.find("branch").unwrap_or("")
    }

    pub(crate) const fn has_params(&self) -> bool {
        !self.params.0.is_empty()
    }

    /// True where sent-by names this very address.
    #[must_use]
    pub fn host_is(&self, address: IpAddr) -> bool {
        host_address(self.host) == Some(address)
    }

    /// Where a response to a request from `source` goes over UDP (RFC 3261 §18.2.2, RFC 3581 §4).
    #[must_use]
    pub fn reply_address(&self, source: SocketAddr) -> SocketAddr {
        if self.params.has("rport") {
            return source;
        }
        // §18.2.2 prefers maddr; a datagram's source is safer: a reply never goes where nobody asked from.
        SocketAddr::new(source.ip(), self.port.unwrap_or(5060))
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && digits(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_via_with_odd_spacing() {
        let via = Via::parse("SIP / 2.0 / UDP  [2001:db8::9]:5062 ;branch=z9hG4bKabc;rport").unwrap();
        assert_eq!((via.transport, via.host, via.port), ("UDP", "[2001:db8::9]", Some(5062)));
        assert_eq!(via.branch(), "z9hG4bKabc");
    }

    #[test]
    fn replies_to_the_source_port_only_when_asked() {
        let source: SocketAddr = "192.0.2.1:40000".parse().unwrap();
        let plain = Via::parse("SIP/2.0/UDP 192.0.2.9:5070;branch=x").unwrap();
        assert_eq!(plain.reply_address(source), "192.0.2.1:5070".parse().unwrap());
        let symmetric = Via::parse("SIP/2.0/UDP 192.0.2.9;branch=x;rport").unwrap();
        assert_eq!(symmetric.reply_address(source), source);
    }

    #[test]
    fn refuses_what_is_no_via() {
        for bad in [
            "",
            "SIP/2.0/UDP",
            "SIP/2/UDP host",
            "HTTP/2.0/UDP host",
            "SIP/2.0/UDP host:x",
            "SIP/2.0/UDP h;x=\"",
            "SIP/2.0/UDP h;<x",
        ] {
            assert!(Via::parse(bad).is_none(), "{bad}");
        }
    }
}
