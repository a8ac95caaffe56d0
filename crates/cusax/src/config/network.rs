//! Ranges of addresses and of ports.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::text::{Bad, text_value};

/// Where packets may come from: one address or a range in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network {
    /// The first address of the range.
    pub(crate) address: IpAddr,
    /// How many leading bits count.
    pub(crate) bits: u8,
}

impl Network {
    /// Whether the address is in the range.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        first_address(address, self.bits) == Some(self.address) && address.is_ipv4() == self.address.is_ipv4()
    }
}

impl FromStr for Network {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let advice = "write an address or a range in CIDR form, such as \"192.0.2.0/28\" or \"2001:db8::/48\"";
        let bad = || Bad::new(format!("{text:?} is no range of addresses"), advice);
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| bad())?,
            None if address.is_ipv4() => 32,
            None => 128,
        };
        let first = first_address(address, bits).ok_or_else(bad)?;
        if first != address {
            return Err(Bad::new(format!("{text:?} is in the middle of a range"), format!("write \"{first}/{bits}\"")));
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

text_value!(Network, "a range of addresses", "192.0.2.0/28");

/// Ports for media, both ends included: even ones RTP, odd ones RTCP (RFC 3550 §11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PortRange {
    /// The first, even port.
    pub(crate) first: u16,
    /// The last, odd port.
    pub(crate) last: u16,
}

impl PortRange {
    /// Whether the port is one of them.
    pub(crate) const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl FromStr for PortRange {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let advice = "write first and last port, such as \"40000-40127\"";
        let bad = |problem: &str, advice: &str| Err(Bad::new(format!("{text:?} {problem}"), advice));
        let ends = text.split_once('-').map(|(first, last)| (first.trim().parse::<u16>(), last.trim().parse::<u16>()));
        let Some((Ok(first), Ok(last))) = ends else {
            return bad("is no range of ports", advice);
        };
        if first < 1024 {
            return bad("begins below 1024", advice);
        }
        if first % 2 == 1 || last % 2 == 0 {
            let (even, odd) =
                (first.saturating_add(first % 2), if last % 2 == 0 { last.saturating_sub(1) } else { last });
            let advice = if even < odd { format!("write \"{even}-{odd}\"") } else { advice.to_owned() };
            return bad("must begin even (RTP) and end odd (RTCP)", &advice);
        }
        if last < first || last - first + 1 < SMALLEST_PORT_RANGE {
            let advice = format!(
                "write at least {SMALLEST_PORT_RANGE} ports, such as \"{first}-{}\"",
                first.saturating_add(127) | 1
            );
            return bad("is too small", &advice);
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

text_value!(PortRange, "a range of ports", "40000-40127");

/// The address with all but its leading bits cleared; `None` where it has fewer bits than that.
fn first_address(address: IpAddr, bits: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let rest = 32_u32.checked_sub(bits.into())?;
            Some(IpAddr::V4((address.to_bits() & u32::MAX.checked_shl(rest).unwrap_or(0)).into()))
        }
        IpAddr::V6(address) => {
            let rest = 128_u32.checked_sub(bits.into())?;
            Some(IpAddr::V6((address.to_bits() & u128::MAX.checked_shl(rest).unwrap_or(0)).into()))
        }
    }
}

/// Two pairs: legs that wait behind one source address need a pair each.
const SMALLEST_PORT_RANGE: u16 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_begin_at_their_first_address() {
        let network: Network = "192.0.2.16/28".parse().unwrap();
        assert!(network.contains("192.0.2.31".parse().unwrap()));
        assert!(!network.contains("192.0.2.32".parse().unwrap()));
        assert!(!network.contains("2001:db8::1".parse().unwrap()));
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains("198.51.100.1".parse().unwrap()));
        assert!("::1".parse::<Network>().unwrap().contains("::1".parse().unwrap()));
        let advice = "192.0.2.17/28".parse::<Network>().unwrap_err().to_string();
        assert!(advice.ends_with("write \"192.0.2.16/28\""), "{advice}");
        for bad in ["", "192.0.2.0/33", "::/129", "192.0.2.0/", "example.com"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn port_ranges_hold_whole_pairs() {
        assert_eq!("40000-40127".parse(), Ok(PortRange { first: 40000, last: 40127 }));
        assert_eq!("65532-65535".parse(), Ok(PortRange { first: 65532, last: 65535 }));
        for bad in [
            "",
            "40000",
            "40001-40128",
            "40000-40001",
            "40127-40000",
            "40000-70000",
            "80-99",
            "65535-65535",
            "1025-1024",
        ] {
            assert!(bad.parse::<PortRange>().is_err(), "{bad}");
        }
    }
}
