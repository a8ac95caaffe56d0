//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Type};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::connection::prepare;
use super::{ListenerId, Report};

/// Binds a listener; an IPv6 one takes IPv6 only.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of a process that ended are in TIME_WAIT for a minute; a restart cannot wait for them.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts for ever.
pub(super) async fn accept(listener: TcpListener, id: ListenerId, reports: mpsc::Sender<Report>) {
    loop {
        let accepted = listener.accept().await.and_then(|(stream, peer)| {
            let local = prepare(&stream)?;
            Ok(Report::Accepted { listener: id, stream, local, peer })
        });
        let failed = accepted.is_err();
        let report = accepted.unwrap_or_else(|error| Report::AcceptFailed { listener: id, error });
        if reports.send(report).await.is_err() {
            return;
        }
        if failed {
            // Where the process is out of descriptors, accept(2) fails at once and again until one is closed.
            sleep(AFTER_FAILURE).await;
        }
    }
}

const BACKLOG: i32 = 1024;

const AFTER_FAILURE: Duration = Duration::from_millis(50);
