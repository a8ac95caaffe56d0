//! Waiting for a socket in a tokio runtime.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::{Queue, RecvBatch, SendBatch, Sent, Socket, Unreachable, queue, unreachable};

/// A [`Socket`] that a tokio runtime watches.
#[derive(Debug)]
pub struct AsyncSocket {
    socket: UdpSocket,
    local: SocketAddr,
}

impl AsyncSocket {
    /// Hands `socket` to the runtime that this is called in.
    ///
    /// # Errors
    /// What the runtime's poll says.
    ///
    /// # Panics
    /// Outside of a tokio runtime with IO.
    pub fn new(socket: Socket) -> io::Result<Self> {
        let local = socket.local;
        Ok(Self { socket: UdpSocket::from_std(socket.socket.into())?, local })
    }

    /// The address that it is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Waits for datagrams, receives what is there into `batch` and tells how many that is; at least one.
    ///
    /// Dropping the future loses none.
    ///
    /// # Errors
    /// What the system call says; the socket can be used further.
    pub async fn recv_batch(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        self.socket.async_io(Interest::READABLE, || batch.fill(self.socket.as_fd())).await
    }

    /// Sends what the socket takes now; see [`Socket::send_batch`].
    pub fn send_batch(&self, batch: &mut SendBatch) -> Sent {
        batch.drain(self.socket.as_fd())
    }

    /// Waits until the socket takes at least one datagram that an earlier call left in `batch`, and sends what it takes.
    ///
    /// Dropping the future loses none.
    ///
    /// # Errors
    /// That the runtime is shutting down.
    pub async fn send_left(&self, batch: &mut SendBatch) -> io::Result<Sent> {
        let send = || {
            let sent = self.send_batch(batch);
            if sent.left > 0 && sent.sent + sent.failed == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(sent)
        };
        self.socket.async_io(Interest::WRITABLE, send).await
    }

    /// Takes the oldest error that ICMP reported; see [`Socket::take_unreachable`].
    #[must_use]
    pub fn take_unreachable(&self) -> Option<Unreachable> {
        unreachable::take(self.socket.as_fd())
    }

    /// How full its receive buffer is; see [`Socket::queue`].
    ///
    /// # Errors
    /// What the system call says.
    pub fn queue(&self) -> io::Result<Queue> {
        queue::read(self.socket.as_fd())
    }
}
