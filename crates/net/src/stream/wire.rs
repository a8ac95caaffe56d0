//! What carries the bytes of a connection: a TCP socket, or TLS over one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A connection's bytes in both directions.
#[derive(Debug)]
pub(super) struct Wire {
    kind: Kind,
    /// Bytes that were ever read, as they were before encryption.
    received: u64,
}

#[derive(Debug)]
enum Kind {
    Tcp(Socket),
    /// In a box, for it is ten times as large.
    Tls(Box<TlsStream<Socket>>),
}

/// A socket that can move from one runtime to another, whatever is built upon it; `None` after a move that failed.
#[derive(Debug)]
pub(super) struct Socket(Option<TcpStream>);

impl Wire {
    /// Moves it to the runtime that this is called in.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        let socket = match &mut self.kind {
            Kind::Tcp(socket) => socket,
            Kind::Tls(tls) => match &mut **tls {
                TlsStream::Client(tls) => tls.get_mut().0,
                TlsStream::Server(tls) => tls.get_mut().0,
            },
        };
        let stream = socket.0.take().ok_or(io::ErrorKind::NotConnected)?.into_std()?;
        socket.0 = Some(TcpStream::from_std(stream)?);
        Ok(())
    }

    /// How many bytes were ever read.
    pub(super) const fn received(&self) -> u64 {
        self.received
    }
}

impl From<Socket> for Wire {
    fn from(socket: Socket) -> Self {
        Self { kind: Kind::Tcp(socket), received: 0 }
    }
}

impl From<TlsStream<Socket>> for Wire {
    fn from(tls: TlsStream<Socket>) -> Self {
        Self { kind: Kind::Tls(Box::new(tls)), received: 0 }
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self(Some(stream))
    }
}

impl Socket {
    fn inner(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.0.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.inner()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.inner()?.poll_write(cx, bytes)
    }

    /// A flight of TLS is several pieces: they leave in one segment, and an alert that follows others leaves at all.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner()?.poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner()?.poll_shutdown(cx)
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let before = buf.filled().len();
        let polled = match &mut wire.kind {
            Kind::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
            Kind::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        };
        wire.received += (buf.filled().len() - before) as u64;
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().kind {
            Kind::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Kind::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().kind {
            Kind::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Kind::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().kind {
            Kind::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Kind::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
