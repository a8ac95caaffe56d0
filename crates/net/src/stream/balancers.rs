//! Load balancers, which say for whom they connect.

use std::net::IpAddr;
use std::sync::Arc;

/// The addresses that may say so, each the first of a network and how many of its bits count; by default none.
#[derive(Clone, Debug, Default)]
pub struct Balancers(Arc<[(IpAddr, u8)]>);

impl Balancers {
    pub(super) fn include(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|(network, bits)| match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= u32::from(*bits)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= u32::from(*bits)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        })
    }
}

impl FromIterator<(IpAddr, u8)> for Balancers {
    fn from_iter<I: IntoIterator<Item = (IpAddr, u8)>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn include_the_addresses_of_their_networks_and_no_others() {
        let network = |text: &str, bits| (text.parse().unwrap(), bits);
        let some: Balancers =
            [network("10.0.0.0", 8), network("192.0.2.7", 32), network("2001:db8::", 32)].into_iter().collect();
        for (address, included) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.6", false),
            ("::ffff:10.0.0.1", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("::a00:1", false),
        ] {
            assert_eq!(some.include(address.parse().unwrap()), included, "{address}");
        }
        let (v4, all) = ("203.0.113.1".parse().unwrap(), [network("0.0.0.0", 0)].into_iter().collect::<Balancers>());
        assert!(all.include(v4) && !Balancers::default().include(v4));
    }
}
