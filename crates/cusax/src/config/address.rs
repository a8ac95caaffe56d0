//! Network addresses: hosts, endpoints, listeners, targets.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::name::Domain;
use super::text::{Bad, text_value};

/// A host by name or by address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// A name that DNS knows.
    Name(Domain),
    /// An address.
    Address(IpAddr),
}

impl FromStr for Host {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        // Four numbers and dots are meant as an address: 300.0.0.1 is no host name.
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            let advice = "write an address such as \"127.0.0.1\" or a name such as \"sip.example.com\"";
            return Err(Bad::new(format!("{text:?} is no address"), advice));
        }
        text.parse().map(Self::Name)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// A host with an optional port: what Via, Record-Route, Path and Contact carry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HostPort {
    /// The host.
    pub(crate) host: Host,
    /// The port, where one is given.
    pub(crate) port: Option<u16>,
}

impl FromStr for HostPort {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self { host: Host::Address(address), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            Some(_) | None => (text, None),
        };
        let port = port.map(|port| port_number(port, text)).transpose()?;
        Ok(Self { host: host.parse()?, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

text_value!(HostPort, "a host", "sip.example.com");

/// A host and a port to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    /// The host.
    pub(crate) host: Host,
    /// The port.
    pub(crate) port: u16,
}

impl FromStr for Endpoint {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        match text.parse()? {
            HostPort { host, port: Some(port) } => Ok(Self { host, port }),
            HostPort { host, port: None } => {
                Err(Bad::new(format!("{text:?} has no port"), format!("write host and port, such as \"{host}:5347\"")))
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

text_value!(Endpoint, "a host and port", "127.0.0.1:5347");

/// A SIP transport (RFC 3261 §18, RFC 7118).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Transport {
    const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// Whether it needs a certificate.
    pub(crate) const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a SIP listener is bound: `transport:address:port`; port 0 lets the system choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ListenerAddress {
    /// Its transport.
    pub(crate) transport: Transport,
    /// Its address and port.
    pub(crate) socket: SocketAddr,
}

impl FromStr for ListenerAddress {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let advice = || "write \"transport:address:port\", such as \"udp:127.0.0.1:5060\" or \"tcp:[::1]:5060\"";
        let (transport, socket) = text.split_once(':').unwrap_or((text, ""));
        let Some(transport) = Transport::ALL.into_iter().find(|known| known.as_str() == transport) else {
            let problem = format!("{transport:?} is no transport (udp, tcp, tls, ws, wss)");
            return Err(Bad::new(problem, advice()));
        };
        if let Ok(socket) = socket.parse() {
            return Ok(Self { transport, socket });
        }
        if let Ok(address) = socket.parse::<IpAddr>() {
            let socket = SocketAddr::new(address, if transport.is_secure() { 5061 } else { 5060 });
            return Err(Bad::new(format!("{text:?} has no port"), format!("write \"{transport}:{socket}\"")));
        }
        Err(Bad::new(format!("{socket:?} is no address with a port"), advice()))
    }
}

impl fmt::Display for ListenerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport, self.socket)
    }
}

text_value!(ListenerAddress, "a listener's address", "udp:127.0.0.1:5060");

/// A SIP server to send to: `sip:host[:port][;transport=…]`, located by RFC 3263 where parts are missing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SipTarget {
    /// Whether it is a `sips:` URI.
    pub(crate) secure: bool,
    /// The host.
    pub(crate) host: Host,
    /// The port, where one is given.
    pub(crate) port: Option<u16>,
    /// The transport, where one is given.
    pub(crate) transport: Option<Transport>,
}

impl FromStr for SipTarget {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let advice =
            "write a SIP URI of a server, such as \"sip:127.0.0.1:5080\" or \"sip:core.example.com;transport=tcp\"";
        let bad = |problem: &str| Bad::new(format!("{text:?} {problem}"), advice);
        let (scheme, rest) = text.split_once(':').ok_or_else(|| bad("is no SIP URI"))?;
        let secure = match scheme {
            "sip" => false,
            "sips" => true,
            _ => return Err(bad("is no SIP URI")),
        };
        if rest.contains('@') {
            return Err(bad("names a user; a target is a server"));
        }
        let (place, parameter) = match rest.split_once(';') {
            Some((place, parameter)) => (place, Some(parameter)),
            None => (rest, None),
        };
        let transport = parameter
            .map(|parameter| {
                let word = parameter.strip_prefix("transport=");
                let known = Transport::ALL.into_iter().find(|known| Some(known.as_str()) == word);
                known.ok_or_else(|| bad("has a parameter other than transport=udp|tcp|tls|ws|wss"))
            })
            .transpose()?;
        let HostPort { host, port } = place.parse().map_err(|_: Bad| bad("names no host that can be located"))?;
        Ok(Self { secure, host, port, transport })
    }
}

impl fmt::Display for SipTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", if self.secure { "sips" } else { "sip" }, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))?;
        self.transport.map_or(Ok(()), |transport| write!(f, ";transport={transport}"))
    }
}

text_value!(SipTarget, "a SIP URI of a server", "sip:127.0.0.1:5080");

fn port_number(port: &str, whole: &str) -> Result<u16, Bad> {
    match port.parse() {
        Ok(port) if port != 0 => Ok(port),
        Ok(_) | Err(_) => {
            let advice = "write a port from 1 to 65535";
            Err(Bad::new(format!("{port:?} in {whole:?} is no port"), advice))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listener_addresses_name_transport_address_and_port() {
        for good in ["udp:127.0.0.1:5060", "tcp:[::1]:5060", "wss:0.0.0.0:443", "udp:127.0.0.1:0"] {
            assert_eq!(good.parse::<ListenerAddress>().unwrap().to_string(), good);
        }
        for bad in
            ["", "udp", "udp:", "127.0.0.1:5060", "UDP:127.0.0.1:5060", "sctp:127.0.0.1:5060", "udp:localhost:5060"]
        {
            assert!(bad.parse::<ListenerAddress>().is_err(), "{bad}");
        }
        let advice = "tls:::1".parse::<ListenerAddress>().unwrap_err().to_string();
        assert!(advice.ends_with("write \"tls:[::1]:5061\""), "{advice}");
    }

    #[test]
    fn targets_are_servers() {
        for good in ["sip:127.0.0.1:5080", "sips:core.example.com", "sip:[2001:db8::1];transport=tcp"] {
            assert_eq!(good.parse::<SipTarget>().unwrap().to_string(), good);
        }
        for bad in [
            "127.0.0.1:5080",
            "tel:+1",
            "sip:alice@example.com",
            "sip:",
            "sip:a;lr",
            "sip:300.0.0.1",
            "sip:a:0",
            "sip:a:b",
        ] {
            assert!(bad.parse::<SipTarget>().is_err(), "{bad}");
        }
    }
}
