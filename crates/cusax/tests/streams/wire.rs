//! What SIP messages travel on, as a phone has it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use cusax_sip::framing::{self, Frame};
use cusax_sip::{Compose, Message, Name};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message as Frames;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::authority::Authority;

/// Far longer than anything here takes.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) enum Wire {
    Tls(Box<TlsStream<TcpStream>>),
    Ws(Box<WebSocketStream<TcpStream>>),
    Wss(Box<WebSocketStream<TlsStream<TcpStream>>>),
}

impl Wire {
    /// A connection by TLS to example.com, behind a balancer that sends a header first.
    pub(crate) async fn tls(to: SocketAddr, authority: &Authority, header: Option<&[u8]>) -> io::Result<Self> {
        Self::tls_by("127.0.0.1".parse().unwrap(), to, authority, header).await
    }

    /// The same from another address.
    pub(crate) async fn tls_by(
        from: IpAddr,
        to: SocketAddr,
        authority: &Authority,
        header: Option<&[u8]>,
    ) -> io::Result<Self> {
        let mut stream = connect(from, to).await;
        stream.write_all(header.unwrap_or_default()).await?;
        Ok(Self::Tls(Box::new(shake(stream, authority, None).await?)))
    }

    /// A connection from another address, with a certificate of that name.
    pub(crate) async fn tls_from(from: IpAddr, to: SocketAddr, authority: &Authority, name: Option<&str>) -> Self {
        let stream = connect(from, to).await;
        Self::Tls(Box::new(shake(stream, authority, name).await.unwrap()))
    }

    /// A connection with a certificate of a user, by an authority of users.
    pub(crate) async fn tls_of(
        to: SocketAddr,
        authority: &Authority,
        users: &Authority,
        uri: &str,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        let server = ServerName::try_from("example.com").unwrap();
        let connector = TlsConnector::from(authority.client_by(users, Some(uri)));
        Ok(Self::Tls(Box::new(connector.connect(server, stream).await?)))
    }

    pub(crate) async fn ws(to: SocketAddr) -> Self {
        Self::Ws(Box::new(upgrade(TcpStream::connect(to).await.unwrap()).await))
    }

    pub(crate) async fn wss(to: SocketAddr, authority: &Authority) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        Self::Wss(Box::new(upgrade(shake(stream, authority, None).await.unwrap()).await))
    }

    pub(crate) async fn send(&mut self, message: &str) {
        let sent = async {
            match self {
                Self::Tls(tls) => tls.write_all(message.as_bytes()).await.unwrap(),
                Self::Ws(websocket) => websocket.send(Frames::text(message)).await.unwrap(),
                Self::Wss(websocket) => websocket.send(Frames::text(message)).await.unwrap(),
            }
        };
        timeout(SOON, sent).await.unwrap();
    }

    pub(crate) async fn receive(&mut self) -> Message {
        let received = async {
            match self {
                Self::Tls(tls) => return next(&mut **tls).await.unwrap(),
                Self::Ws(websocket) => websocket.next().await.unwrap().unwrap(),
                Self::Wss(websocket) => websocket.next().await.unwrap().unwrap(),
            }
            .into_data()
            .into()
        };
        parse(timeout(SOON, received).await.unwrap())
    }

    pub(crate) async fn answer(&mut self, request: &Message, status: &str) {
        self.send(&response(request, status)).await;
    }

    pub(crate) async fn close(mut self) {
        match &mut self {
            Self::Tls(tls) => tls.shutdown().await.unwrap(),
            Self::Ws(websocket) => websocket.close(None).await.unwrap(),
            Self::Wss(websocket) => websocket.close(None).await.unwrap(),
        }
    }
}

async fn shake(stream: TcpStream, authority: &Authority, name: Option<&str>) -> io::Result<TlsStream<TcpStream>> {
    let server = ServerName::try_from("example.com").unwrap();
    TlsConnector::from(authority.client(name)).connect(server, stream).await
}

async fn connect(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    socket.connect(to).await.unwrap()
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> WebSocketStream<S> {
    let mut request = "ws://example.com/".into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("sip"));
    client_async(request, stream).await.unwrap().0
}

/// Says something that is not the protocol, and waits for the end; what comes back.
pub(crate) async fn plain(to: SocketAddr, bytes: &[u8]) -> String {
    plain_from("127.0.0.1".parse().unwrap(), to, bytes).await
}

pub(crate) async fn plain_from(from: IpAddr, to: SocketAddr, bytes: &[u8]) -> String {
    let (mut stream, mut answer) = (connect(from, to).await, Vec::new());
    stream.write_all(bytes).await.unwrap();
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads one message of a stream to its last byte, and no further; `None` at the end.
pub(crate) async fn next(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        bytes.push(stream.read_u8().await.ok()?);
        match framing::frame(&bytes) {
            Frame::Message(length) => {
                assert_eq!(length, bytes.len());
                return Some(bytes);
            }
            Frame::Incomplete => {}
            frame @ (Frame::Ping(_) | Frame::Skip(_) | Frame::Invalid(_)) => panic!("{frame:?}"),
        }
    }
}

pub(crate) fn parse(bytes: Vec<u8>) -> Message {
    Message::parse(bytes.into()).unwrap_or_else(|error| panic!("{error:?}"))
}

/// A response as a user agent makes it.
pub(crate) fn response(request: &Message, status: &str) -> String {
    let (code, reason) = status.split_once(' ').unwrap();
    let response = Compose::response(request, code.parse().unwrap(), Some(reason), Some("tag"));
    String::from_utf8(response.copy(request, Name::RecordRoute).empty().to_vec()).unwrap()
}
