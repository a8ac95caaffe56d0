//! UDP sockets that receive and send in batches.

mod address;
mod queue;
mod readiness;
mod receive;
mod send;
mod unreachable;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use socket2::{Domain, Protocol, Type};

pub use queue::Queue;
pub use readiness::AsyncSocket;
pub use receive::{Datagram, RecvBatch};
pub use send::{PushError, SendBatch, SendFailure, Sent};
pub use unreachable::Unreachable;

/// Datagrams per system call: more bring no further gain (reference measurements at 16, 64 and 256).
pub const BATCH: usize = 64;

/// A bound UDP socket that never blocks.
#[derive(Debug)]
pub struct Socket {
    socket: socket2::Socket,
    local: SocketAddr,
}

/// How a socket is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Bytes that the kernel may queue for us; it gives at most `net.core.rmem_max`. `None`: the system's default.
    pub receive_buffer: Option<usize>,
    /// Bytes that the kernel may queue for the network; it gives at most `net.core.wmem_max`. `None`: the system's default.
    pub send_buffer: Option<usize>,
    /// Lets more sockets share the address; the kernel spreads sources over them (`SO_REUSEPORT`).
    pub reuse_port: bool,
    /// Keeps what ICMP says of destinations for [`Socket::take_unreachable`]. Not for a socket that is given to
    /// [`wait`](crate::wait::wait), which would return at once until the errors are taken.
    pub report_unreachable: bool,
}

impl Socket {
    /// Binds a socket; port 0 is any free one. An IPv6 socket takes IPv6 only.
    ///
    /// # Errors
    /// What the system calls say, `AddrInUse` and `AddrNotAvailable` above all.
    pub fn bind(address: SocketAddr, options: Options) -> io::Result<Self> {
        let socket =
            socket2::Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if let Some(bytes) = options.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(bytes) = options.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        if options.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if options.report_unreachable {
            unreachable::keep(socket.as_fd(), address)?;
        }
        socket.bind(&address.into())?;
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { socket, local })
    }

    /// The address that it is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Receives what is there into `batch` and tells how many datagrams that is; at least one.
    ///
    /// # Errors
    /// `WouldBlock` where there is none.
    pub fn recv_batch(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        batch.fill(self.socket.as_fd())
    }

    /// Sends what `batch` holds, in order, and empties it.
    ///
    /// A datagram that the kernel refuses does not stop the others. Where the socket's buffer is full, the rest stays in
    /// the batch: send it when the socket is writable, or [`SendBatch::clear`] and count it.
    pub fn send_batch(&self, batch: &mut SendBatch) -> Sent {
        batch.drain(self.socket.as_fd())
    }

    /// Takes the oldest error that ICMP reported, where [`Options::report_unreachable`] asked for them.
    #[must_use]
    pub fn take_unreachable(&self) -> Option<Unreachable> {
        unreachable::take(self.socket.as_fd())
    }

    /// How full its receive buffer is, and how much that did not take.
    ///
    /// # Errors
    /// What the system call says.
    pub fn queue(&self) -> io::Result<Queue> {
        queue::read(self.socket.as_fd())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
