//! WebSockets, spoken to by hand where a library would not let us be wrong.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cusax_net::stream::{Cause, CloseReason, Layer, Layers, Limits, StreamEvent, Streams};
use cusax_net::tls::{ClientCertificates, Server, Version};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::authority::Authority;
use crate::{closed, failed, listening, message, opened};

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn plain() -> Layers {
    Layers { websocket: true, ..Layers::default() }
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(stream: S, subprotocol: &str) -> Result<WebSocketStream<S>, Error> {
    let mut request = "ws://example.com/".into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_str(subprotocol).unwrap());
    client_async(request, stream).await.map(|(websocket, _)| websocket)
}

async fn connected(server: &mut Streams, address: SocketAddr) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (_, client) = tokio::join!(opened(server), upgrade(stream, "sip"));
    client.unwrap()
}

/// A connection whose frames are written by hand.
async fn by_hand(server: &mut Streams, address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let asked = async {
        stream.write_all(format!("{UPGRADE}Sec-WebSocket-Protocol: sip\r\n\r\n").as_bytes()).await.unwrap();
        head(&mut stream).await
    };
    let (_, answer) = tokio::join!(opened(server), asked);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("\r\nsec-websocket-protocol: sip\r\n"), "{answer}");
    stream
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// A masked frame (with a mask that changes nothing).
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let head = match u8::try_from(length) {
        Ok(short) if short < 126 => vec![first, 0x80 | short],
        Ok(_) | Err(_) => [&[first, 0x80 | 126][..], &length.to_be_bytes()].concat(),
    };
    [&head[..], &[0; 4], payload].concat()
}

/// The code of the close frame that comes next, while the owner of the other end is asked for its events.
async fn close_code(server: &mut Streams, stream: &mut TcpStream) -> (u16, CloseReason) {
    let code = async {
        let (first, length) = (stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap());
        assert_eq!((first, length), (0x88, 2));
        let code = stream.read_u16().await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "a server closes first");
        stream.shutdown().await.unwrap();
        code
    };
    tokio::join!(code, closed(server))
}

#[tokio::test]
async fn each_message_is_one_of_ours_in_text_and_binary() {
    let (mut server, address) = listening(plain(), Limits::default());
    let stream = TcpStream::connect(address).await.unwrap();
    let ((id, ..), client) = tokio::join!(opened(&mut server), upgrade(stream, "xmpp, sip"));
    let mut client = client.unwrap();
    client.send(Message::text("no semicolon is needed")).await.unwrap();
    assert_eq!(message(&mut server).await, "no semicolon is needed");
    client.send(Message::binary(&b"one;two;\xff"[..])).await.unwrap();
    assert_eq!(message(&mut server).await, b"one;two;\xff"[..]);
    server.send(id, "text".into()).unwrap();
    server.send(id, b"\xff"[..].into()).unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("text"));
    assert_eq!(client.next().await.unwrap().unwrap(), Message::binary(&b"\xff"[..]));
}

#[tokio::test]
async fn pings_and_line_ends_are_answered_and_are_no_messages() {
    let (mut server, address) = listening(plain(), Limits::default());
    let mut client = connected(&mut server, address).await;
    for (sent, answer) in
        [(Message::text("\r\n\r\n"), Message::text("\r\n")), (Message::Ping("x".into()), Message::Pong("x".into()))]
    {
        client.send(sent).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), answer);
    }
    client.send(Message::text("message;")).await.unwrap();
    assert_eq!(message(&mut server).await, "message;");
}

#[tokio::test]
async fn client_that_does_not_offer_sip_gets_400() {
    let (mut server, address) = listening(plain(), Limits::default());
    for offer in ["", "Sec-WebSocket-Protocol: xmpp, sips\r\n"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{UPGRADE}{offer}\r\n").as_bytes()).await.unwrap();
        let (seen, answer) = tokio::join!(failed(&mut server), head(&mut stream));
        assert_eq!(seen, (Layer::WebSocket, Cause::Invalid("WebSocket without the subprotocol sip")));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    }
    assert!(server.is_empty());
}

#[tokio::test]
async fn page_of_another_origin_gets_403_and_who_is_no_page_is_let_in() {
    let origins = ["https://phone.example.com".to_owned(), "http://localhost:8080".to_owned()].into();
    let (mut server, address) = listening(Layers { origins, ..plain() }, Limits::default());
    let sip = "Sec-WebSocket-Protocol: sip\r\n";
    for good in [
        "",
        "Origin: https://phone.example.com\r\n",
        "Origin: HTTPS://Phone.Example.Com\r\n",
        "origin: http://localhost:8080\r\n",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{UPGRADE}{sip}{good}\r\n").as_bytes()).await.unwrap();
        let (_, answer) = tokio::join!(opened(&mut server), head(&mut stream));
        assert!(answer.starts_with("HTTP/1.1 101 "), "{good}: {answer}");
        drop(stream);
        assert_eq!(closed(&mut server).await, CloseReason::Peer);
    }
    for bad in [
        "Origin: https://evil.example\r\n",
        "Origin: https://phone.example.com.evil.example\r\n",
        "Origin: http://phone.example.com\r\n",
        "Origin: https://phone.example.com:8443\r\n",
        "Origin: null\r\n",
        "Origin: \r\n",
        "Origin: https://phone.example.com\r\nOrigin: https://evil.example\r\n",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{UPGRADE}{sip}{bad}\r\n").as_bytes()).await.unwrap();
        let (seen, answer) = tokio::join!(failed(&mut server), head(&mut stream));
        assert_eq!(seen, (Layer::WebSocket, Cause::Origin), "{bad}");
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    }
    assert!(server.is_empty());
}

#[tokio::test]
async fn what_is_no_upgrade_is_ended() {
    let limits = Limits { handshake_time: Duration::from_millis(20), ..Limits::default() };
    let (mut server, address) = listening(plain(), limits);
    for (sent, cause) in [
        ("REGISTER sip:example.com SIP/2.0\r\n\r\n", Cause::Invalid("no upgrade to a WebSocket")),
        ("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", Cause::Invalid("no upgrade to a WebSocket")),
        (UPGRADE, Cause::Deadline),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        assert_eq!(failed(&mut server).await, (Layer::WebSocket, cause));
    }
}

#[tokio::test]
async fn fragments_are_one_message() {
    let (mut server, address) = listening(plain(), Limits::default());
    let mut stream = by_hand(&mut server, address).await;
    stream.write_all(&frame(0x01, b"hel")).await.unwrap();
    stream.write_all(&frame(0x89, b"")).await.unwrap();
    stream.write_all(&frame(0x00, b"l")).await.unwrap();
    stream.write_all(&frame(0x80, b"o;")).await.unwrap();
    assert_eq!(message(&mut server).await, "hello;");
}

#[tokio::test]
async fn what_is_against_the_protocol_is_closed_with_its_code() {
    let limits = Limits { message_bytes: 100, ..Limits::default() };
    for (sent, code, reason) in [
        (frame(0x82, &[b'x'; 101]), 1009, CloseReason::TooLarge),
        ([frame(0x02, &[b'x'; 60]), frame(0x80, &[b'x'; 60])].concat(), 1009, CloseReason::TooLarge),
        (frame(0x81, b"\xff"), 1007, CloseReason::Invalid("text frame that is not UTF-8")),
        (vec![0x81, 1, b'x'], 1002, CloseReason::Invalid("no WebSocket frame")),
        (frame(0x83, b"x"), 1002, CloseReason::Invalid("no WebSocket frame")),
        (frame(0x80, b"x"), 1002, CloseReason::Invalid("no WebSocket frame")),
    ] {
        let (mut server, address) = listening(plain(), limits);
        let mut stream = by_hand(&mut server, address).await;
        stream.write_all(&sent).await.unwrap();
        assert_eq!(close_code(&mut server, &mut stream).await, (code, reason));
        assert!(server.is_empty());
    }
}

#[tokio::test]
async fn close_is_said_on_either_side() {
    let (mut server, address) = listening(plain(), Limits::default());
    let mut client = connected(&mut server, address).await;
    client.close(None).await.unwrap();
    let (reason, answer) = tokio::join!(closed(&mut server), client.next());
    assert_eq!(reason, CloseReason::Peer);
    assert!(matches!(answer, Some(Ok(Message::Close(None)))), "{answer:?}");

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{UPGRADE}Sec-WebSocket-Protocol: sip\r\n\r\n").as_bytes()).await.unwrap();
    let (id, ..) = opened(&mut server).await;
    head(&mut stream).await;
    server.send(id, "last;".into()).unwrap();
    server.close(id);
    let mut frame = [0; 7];
    stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\x81\x05last;");
    assert_eq!(close_code(&mut server, &mut stream).await, (1000, CloseReason::Local));
}

#[tokio::test]
async fn half_a_message_and_a_dead_client_are_ended() {
    let limits = Limits { message_time: Duration::from_millis(10), ..Limits::default() };
    let (mut server, address) = listening(plain(), limits);
    let mut stream = by_hand(&mut server, address).await;
    stream.write_all(&frame(0x81, b"whole;")).await.unwrap();
    assert_eq!(message(&mut server).await, "whole;");
    stream.write_all(&frame(0x01, b"half")).await.unwrap();
    assert_eq!(close_code(&mut server, &mut stream).await, (1008, CloseReason::MessageTime));

    let limits = Limits { ping_time: Duration::from_millis(10), ..limits };
    let (mut server, address) = listening(plain(), limits);
    let mut stream = by_hand(&mut server, address).await;
    stream.write_all(&frame(0x81, b"whole;")).await.unwrap();
    assert_eq!(message(&mut server).await, "whole;");
    let mut ping = [0; 2];
    stream.read_exact(&mut ping).await.unwrap();
    assert_eq!(ping, [0x89, 0]);
    assert_eq!(close_code(&mut server, &mut stream).await, (1001, CloseReason::Idle));
}

#[tokio::test]
async fn client_that_answers_pings_stays() {
    let limits =
        Limits { message_time: Duration::from_millis(100), ping_time: Duration::from_millis(100), ..Limits::default() };
    let (mut server, address) = listening(plain(), limits);
    let mut client = connected(&mut server, address).await;
    client.send(Message::text("first;")).await.unwrap();
    assert_eq!(message(&mut server).await, "first;");
    for _ in 0..3 {
        // The library answers by itself as it is asked for more.
        assert_eq!(client.next().await.unwrap().unwrap(), Message::Ping("".into()));
    }
    client.send(Message::text("still there;")).await.unwrap();
    assert_eq!(message(&mut server).await, "still there;");
}

#[tokio::test]
async fn goes_over_tls_as_well() {
    let authority = Authority::new();
    let credentials = authority.issue(&["example.com"]).credentials();
    let tls = Some(Server::new(&credentials, Version::V1_2, &ClientCertificates::default()));
    let (mut server, address) = listening(Layers { tls, ..plain() }, Limits::default());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    let client = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("example.com").unwrap();
        let tls = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        upgrade(tls, "sip").await.unwrap()
    };
    let (event, mut client) = tokio::join!(server.next(), client);
    let StreamEvent::Opened { connection, security: Some(security), .. } = event else { panic!("{event:?}") };
    assert_eq!(security.version, Version::V1_3);
    client.send(Message::text("hello;")).await.unwrap();
    assert_eq!(message(&mut server).await, "hello;");
    server.send(connection, "there;".into()).unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("there;"));
}
