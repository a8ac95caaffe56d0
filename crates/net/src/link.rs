//! One TCP connection as a client, which its owner drives: an XMPP stream.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

/// A connected TCP stream; dropping it closes the connection.
#[derive(Debug)]
pub struct TcpLink {
    stream: TcpStream,
    buffer: BytesMut,
    local: SocketAddr,
    peer: SocketAddr,
}

impl TcpLink {
    /// Connects.
    ///
    /// # Errors
    /// `TimedOut` after `deadline`; `ConnectionRefused` and the like from the system.
    pub async fn connect(to: SocketAddr, deadline: Instant) -> io::Result<Self> {
        let stream = timeout_at(deadline.into(), TcpStream::connect(to)).await??;
        // Stanzas are small and waited for: Nagle's algorithm would hold them back.
        stream.set_nodelay(true)?;
        Ok(Self { local: stream.local_addr()?, peer: stream.peer_addr()?, stream, buffer: BytesMut::new() })
    }

    /// Our address.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The server's address.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Waits for bytes and returns what there is, at most [`READ`]; empty where the server has closed.
    ///
    /// Dropping the future loses none.
    ///
    /// # Errors
    /// What the system says; the connection is of no further use then.
    pub async fn read(&mut self) -> io::Result<Bytes> {
        self.buffer.reserve(READ);
        self.stream.read_buf(&mut self.buffer).await?;
        Ok(self.buffer.split().freeze())
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// `TimedOut` where the server does not take them by `deadline`, or what the system says. In both cases, as when the
    /// future is dropped, part of them may be written: the connection is of no further use.
    pub async fn write_all(&mut self, bytes: &[u8], deadline: Instant) -> io::Result<()> {
        timeout_at(deadline.into(), self.stream.write_all(bytes)).await?
    }

    /// Tells the server that nothing more will come; [`TcpLink::read`] goes on until it closes as well.
    ///
    /// # Errors
    /// What the system says.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}

/// Bytes that there is room for in one read.
pub const READ: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use std::time::Duration;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn bytes_go_both_ways_and_the_end_is_empty() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut link = TcpLink::connect(listener.local_addr().unwrap(), soon()).await.unwrap();
        let (mut server, peer) = listener.accept().await.unwrap();
        assert_eq!(link.local_addr(), peer);

        link.write_all(b"<stream>", soon()).await.unwrap();
        let mut heard = [0; 8];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"<stream>");

        server.write_all(b"<features/>").await.unwrap();
        assert_eq!(link.read().await.unwrap(), "<features/>");
        drop(server);
        assert!(link.read().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn port_that_nobody_listens_on_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = TcpLink::connect(address, soon()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn server_that_takes_nothing_runs_into_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut link = TcpLink::connect(listener.local_addr().unwrap(), soon()).await.unwrap();
        let (_server, _) = listener.accept().await.unwrap();
        let more_than_buffers_hold = vec![b' '; 64 << 20];
        let deadline = clock::now() + Duration::from_millis(20);
        let error = link.write_all(&more_than_buffers_hold, deadline).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    fn soon() -> Instant {
        clock::now() + Duration::from_secs(10)
    }
}
