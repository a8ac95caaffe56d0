//! How a process shows that it can be used.

use std::fmt;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use tokio::net::TcpStream;

use crate::http;

/// A sign that a process is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready<'a> {
    /// Its log has a line with this text.
    Line(&'a str),
    /// A TCP connection is accepted.
    Tcp(SocketAddr),
    /// A UDP socket is bound; what arrives from now on waits in it.
    Udp(SocketAddr),
    /// `GET path` is answered with 200.
    Http(SocketAddr, &'a str),
}

impl fmt::Display for Ready<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(text) => write!(f, "the line {text:?}"),
            Self::Tcp(address) => write!(f, "a listener on tcp:{address}"),
            Self::Udp(address) => write!(f, "a socket on udp:{address}"),
            Self::Http(address, path) => write!(f, "200 to GET http://{address}{path}"),
        }
    }
}

impl Ready<'_> {
    pub(super) async fn is_shown(self, log: &Path) -> bool {
        match self {
            Self::Line(text) => fs::read(log).is_ok_and(|log| String::from_utf8_lossy(&log).contains(text)),
            Self::Tcp(address) => TcpStream::connect(address).await.is_ok(),
            Self::Udp(address) => fs::read_to_string("/proc/net/udp").is_ok_and(|table| holds(&table, address)),
            Self::Http(address, path) => http::get(address, path).await.is_ok_and(|page| page.status == 200),
        }
    }
}

/// Reads the system's own table: to try the port would take it from the process that is about to bind it.
fn holds(table: &str, address: SocketAddr) -> bool {
    let IpAddr::V4(host) = address.ip() else { return false };
    let wanted = format!("{:08X}:{:04X}", u32::from_le_bytes(host.octets()), address.port());
    table.lines().any(|line| line.split_whitespace().nth(1) == Some(wanted.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[tokio::test]
    async fn a_udp_socket_shows_once_it_is_bound() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert!(Ready::Udp(address).is_shown(Path::new("")).await);
    }

    #[test]
    fn the_table_of_sockets_is_read_by_local_address() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            1: 0100007F:13C4 0100007F:13C5 07 00000000:00000000 00:00000000 00000000     0        0 4711 2\n";
        assert!(holds(table, "127.0.0.1:5060".parse().unwrap()));
        assert!(!holds(table, "127.0.0.1:5061".parse().unwrap()));
        assert!(!holds(table, "127.0.0.2:5060".parse().unwrap()));
        assert!(!holds(table, "[::1]:5060".parse().unwrap()));
    }
}
