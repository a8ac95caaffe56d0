//! Socket addresses as the kernel reads and writes them.

use std::mem::offset_of;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use libc::{sockaddr_in, sockaddr_in6};

/// An IPv4 or IPv6 address in the memory of a `sockaddr_in6`.
///
/// A `sockaddr_in` is laid over it: family and port are at the same place, and the IPv4 address is where IPv6 has its
/// flow label (kept by the assertions below), so that neither direction needs a pointer cast.
#[derive(Clone, Copy)]
pub(super) struct RawAddress(sockaddr_in6);

const _: () = assert!(offset_of!(sockaddr_in, sin_family) == offset_of!(sockaddr_in6, sin6_family));
const _: () = assert!(offset_of!(sockaddr_in, sin_port) == offset_of!(sockaddr_in6, sin6_port));
const _: () = assert!(offset_of!(sockaddr_in, sin_addr) == offset_of!(sockaddr_in6, sin6_flowinfo));
const _: () = assert!(size_of::<sockaddr_in>() <= size_of::<sockaddr_in6>());

impl RawAddress {
    pub(super) const UNSPECIFIED: Self = Self(sockaddr_in6 {
        sin6_family: libc::AF_UNSPEC as libc::sa_family_t,
        sin6_port: 0,
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
        sin6_scope_id: 0,
    });

    /// Bytes that the kernel may write.
    pub(super) const SPACE: libc::socklen_t = size_of::<sockaddr_in6>() as libc::socklen_t;

    pub(super) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        (&raw mut self.0).cast()
    }

    /// Bytes that the kernel must read.
    pub(super) fn len(&self) -> libc::socklen_t {
        if libc::c_int::from(self.0.sin6_family) == libc::AF_INET {
            size_of::<sockaddr_in>() as libc::socklen_t
        } else {
            Self::SPACE
        }
    }

    /// The address; `None` where the kernel wrote none.
    pub(super) fn decode(&self) -> Option<SocketAddr> {
        let port = u16::from_be(self.0.sin6_port);
        match libc::c_int::from(self.0.sin6_family) {
            libc::AF_INET => {
                let ip = Ipv4Addr::from(self.0.sin6_flowinfo.to_ne_bytes());
                Some(SocketAddrV4::new(ip, port).into())
            }
            libc::AF_INET6 => {
                let ip = Ipv6Addr::from(self.0.sin6_addr.s6_addr);
                // RFC 6724 scopes matter for link-local addresses; the flow label is none of the address.
                Some(SocketAddrV6::new(ip, port, 0, self.0.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

impl From<SocketAddr> for RawAddress {
    fn from(address: SocketAddr) -> Self {
        let mut raw = Self::UNSPECIFIED;
        raw.0.sin6_port = address.port().to_be();
        match address {
            SocketAddr::V4(v4) => {
                raw.0.sin6_family = libc::AF_INET as libc::sa_family_t;
                raw.0.sin6_flowinfo = u32::from_ne_bytes(v4.ip().octets());
            }
            SocketAddr::V6(v6) => {
                raw.0.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                raw.0.sin6_addr.s6_addr = v6.ip().octets();
                raw.0.sin6_scope_id = v6.scope_id();
            }
        }
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_raw_form() {
        for text in ["192.0.2.7:5060", "[2001:db8::7]:5061", "127.0.0.1:0", "[fe80::1%3]:1"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(RawAddress::from(address).decode(), Some(address));
        }
        assert_eq!(RawAddress::UNSPECIFIED.decode(), None);
    }

    #[test]
    fn raw_form_is_the_kernels() {
        let raw = RawAddress::from("192.0.2.7:5060".parse::<SocketAddr>().unwrap());
        assert_eq!(raw.len(), 16);
        assert_eq!(raw.0.sin6_port.to_ne_bytes(), 5060_u16.to_be_bytes());
        assert_eq!(raw.0.sin6_flowinfo.to_ne_bytes(), [192, 0, 2, 7]);
    }
}
