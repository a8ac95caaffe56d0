//! How many connections a source holds.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Counts of connections by source.
#[derive(Debug, Default)]
pub(super) struct Sources {
    counts: HashMap<IpAddr, usize>,
}

impl Sources {
    /// Counts one more connection from `address`, unless it holds `most` already.
    pub(super) fn admit(&mut self, address: IpAddr, most: usize) -> bool {
        let source = source(address);
        let count = self.counts.get(&source).copied().unwrap_or(0);
        if count >= most {
            return false;
        }
        self.counts.insert(source, count + 1);
        true
    }

    /// Counts one less.
    pub(super) fn release(&mut self, address: IpAddr) {
        let source = source(address);
        if let Some(count) = self.counts.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&source);
            }
        }
    }
}

/// The address, or of IPv6 its /64: one host may use any address of that.
fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_connection_makes_room_for_another() {
        let mut sources = Sources::default();
        let address = "192.0.2.7".parse().unwrap();
        assert!(sources.admit(address, 1));
        assert!(!sources.admit(address, 1));
        assert!(sources.admit("192.0.2.8".parse().unwrap(), 1));
        sources.release(address);
        assert!(sources.admit(address, 1));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let mut sources = Sources::default();
        assert!(sources.admit("2001:db8:0:1::1".parse().unwrap(), 1));
        assert!(!sources.admit("2001:db8:0:1:ffff::2".parse().unwrap(), 1));
        assert!(sources.admit("2001:db8:0:2::1".parse().unwrap(), 1));
    }

    #[test]
    fn table_forgets_sources_without_connections() {
        let mut sources = Sources::default();
        let address = "192.0.2.7".parse().unwrap();
        sources.admit(address, 2);
        sources.admit(address, 2);
        sources.release(address);
        sources.release(address);
        assert!(sources.counts.is_empty());
    }
}
