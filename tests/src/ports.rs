//! Ports of 127.0.0.1 that are free, and stay ours until a server has taken them.
//!
//! They lie below the range from which the system gives out ports by itself, so nothing else takes one between our letting go
//! and the server's binding. Each is also claimed by a name that all programs using this module respect, for as long as the [`Port`] lives.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, bail};

/// Where the search begins; `ip_local_port_range` begins at 32768.
const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;

/// A port of 127.0.0.1, both UDP and TCP.
#[derive(Debug)]
pub struct Port {
    number: u16,
    bound: Option<(UdpSocket, TcpListener)>,
    _claim: UnixDatagram,
}

impl Port {
    /// Finds one.
    ///
    /// # Errors
    /// When none is free.
    pub fn free() -> Result<Self> {
        Ok(Self::row(1)?.remove(0))
    }

    /// Finds `count` of them in a row, the first one even, as RTP wants them.
    ///
    /// # Errors
    /// When there is no such row.
    pub fn row(count: u16) -> Result<Vec<Self>> {
        for _ in 0..COUNT {
            let first = next(count);
            if let Some(row) = (0..count).map(|n| Self::claim(first.checked_add(n)?)).collect() {
                return Ok(row);
            }
        }
        bail!("no {count} free ports in a row between {FIRST} and {}", FIRST + COUNT)
    }

    fn claim(number: u16) -> Option<Self> {
        let name = UnixAddr::from_abstract_name(format!("cusax-port-{number}")).ok()?;
        let claim = UnixDatagram::bind_addr(&name).ok()?;
        Some(Self { number, bound: Some(bind(number).ok()?), _claim: claim })
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Its address on 127.0.0.1.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }

    /// Lets go of its sockets for a server that is about to bind it, having looked that nobody else does.
    ///
    /// # Errors
    /// When another program has it by now: one that was [released](Self::release) before, or whose server has ended.
    pub fn hand_over(&mut self) -> Result<SocketAddr> {
        if self.bound.is_none() {
            self.bound = Some(bind(self.number)?);
        }
        Ok(self.release())
    }

    /// Lets go of its sockets; the claim stays until drop.
    pub fn release(&mut self) -> SocketAddr {
        self.bound = None;
        self.address()
    }
}

fn bind(number: u16) -> Result<(UdpSocket, TcpListener)> {
    let address = (Ipv4Addr::LOCALHOST, number);
    let taken = |transport| format!("port {transport}:{}:{number} is taken by another program", address.0);
    let udp = UdpSocket::bind(address).with_context(|| taken("udp"))?;
    let tcp = TcpListener::bind(address).with_context(|| taken("tcp"))?;
    Ok((udp, tcp))
}

/// Where to look next: programs begin in different places, and a program does not soon come back to a port that it has used.
fn next(count: u16) -> u16 {
    static STEP: AtomicU16 = AtomicU16::new(0);
    let step = u32::from(STEP.fetch_add(count.next_multiple_of(2), Ordering::Relaxed));
    let start = std::process::id().wrapping_mul(2_654_435_761) % u32::from(COUNT);
    let offset = (start + step) % u32::from(COUNT);
    (FIRST + u16::try_from(offset).unwrap_or(0)) & !1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_nobody_elses_until_dropped() {
        let mut port = Port::free().unwrap();
        assert!(TcpListener::bind(port.address()).is_err());
        assert!(Port::claim(port.number()).is_none());
        let number = port.release().port();
        let _server = UdpSocket::bind(port.address()).unwrap();
        assert!(Port::claim(number).is_none());
    }

    #[test]
    fn is_not_handed_over_while_another_program_has_it() {
        let mut port = Port::free().unwrap();
        let server = UdpSocket::bind(port.release()).unwrap();
        let error = port.hand_over().unwrap_err();
        let taken = format!("port udp:127.0.0.1:{} is taken by another program", port.number());
        assert!(error.to_string().contains(&taken), "{error}");
        drop(server);
        let server = TcpListener::bind(port.address()).unwrap();
        assert!(port.hand_over().unwrap_err().to_string().starts_with("port tcp:"));
        drop(server);
        assert_eq!(port.hand_over().unwrap(), port.address());
    }

    #[test]
    fn comes_in_rows_that_begin_even() {
        let row = Port::row(4).unwrap();
        assert_eq!(row[0].number() % 2, 0);
        assert!(row.windows(2).all(|pair| pair[1].number() == pair[0].number() + 1));
    }
}
