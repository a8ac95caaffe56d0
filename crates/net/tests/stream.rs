//! Message streams on the loopback interface.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use cusax_net::stream::{
    AtCapacity, CloseReason, ConnectionId, Frame, Layers, Limits, RefuseReason, SendError, StreamEvent, Streams,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

#[tokio::test]
async fn message_that_comes_byte_by_byte_is_one_message() {
    let (mut streams, address) = listening("127.0.0.1:0", Limits::default());
    let mut client = TcpStream::connect(address).await.unwrap();
    client.set_nodelay(true).unwrap();
    let id = opened(&mut streams).await;
    let peer = async {
        for byte in b"hello;" {
            client.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let ((connection, bytes), ()) = tokio::join!(message(&mut streams), peer);
    assert_eq!((connection, bytes.as_ref()), (id, b"hello;".as_slice()));
}

#[tokio::test]
async fn messages_of_one_segment_come_one_by_one() {
    let (mut streams, address) = listening("127.0.0.1:0", Limits::default());
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"\r\none;\r\n\r\ntwo;three;fo").await.unwrap();
    opened(&mut streams).await;
    for expected in ["one;", "two;", "three;"] {
        assert_eq!(message(&mut streams).await.1, expected);
    }
    client.write_all(b"ur;").await.unwrap();
    assert_eq!(message(&mut streams).await.1, "four;");
}

#[tokio::test]
async fn ipv6_listener_names_both_ends() {
    let (mut streams, address) = listening("[::1]:0", Limits::default());
    let client = TcpStream::connect(address).await.unwrap();
    let StreamEvent::Opened { local, peer, listener, .. } = streams.next().await else {
        panic!("no connection");
    };
    assert_eq!((local, peer), (address, client.local_addr().unwrap()));
    assert_eq!(listener.map(|listener| listener.index()), Some(0));
}

#[tokio::test]
async fn half_a_message_for_ever_is_closed() {
    let limits = Limits { message_time: Duration::from_millis(20), ..Limits::default() };
    let (mut streams, address) = listening("127.0.0.1:0", limits);
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"whole;half").await.unwrap();
    opened(&mut streams).await;
    message(&mut streams).await;
    assert_eq!(closed(&mut streams).await.1, CloseReason::MessageTime);
    assert!(streams.is_empty());
}

#[tokio::test]
async fn drop_of_a_byte_now_and_then_does_not_put_off_the_deadline() {
    let limits = Limits { message_time: Duration::from_millis(40), ..Limits::default() };
    let (mut streams, address) = listening("127.0.0.1:0", limits);
    let mut client = TcpStream::connect(address).await.unwrap();
    opened(&mut streams).await;
    let drip = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        loop {
            tick.tick().await;
            if client.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let reason = tokio::select! {
        (_, reason) = closed(&mut streams) => reason,
        () = drip => unreachable!("it drips for ever"),
    };
    assert_eq!(reason, CloseReason::MessageTime);
}

#[tokio::test]
async fn line_end_between_messages_may_stay_as_long_as_silence_may() {
    let limits =
        Limits { message_time: Duration::from_millis(1), idle_time: Duration::from_millis(20), ..Limits::default() };
    let (mut streams, address) = listening("127.0.0.1:0", limits);
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"one;\r\n").await.unwrap();
    opened(&mut streams).await;
    assert_eq!(message(&mut streams).await.1, "one;");
    assert_eq!(closed(&mut streams).await.1, CloseReason::Idle);
}

#[tokio::test]
async fn ping_is_answered_and_keeps_the_connection() {
    let limits = Limits { idle_time: Duration::from_millis(60), ..Limits::default() };
    let (mut streams, address) = listening("127.0.0.1:0", limits);
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"one;").await.unwrap();
    opened(&mut streams).await;
    message(&mut streams).await;
    let pings = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        let mut pong = [0; 2];
        for _ in 0..6 {
            tick.tick().await;
            client.write_all(b"\r\n\r\n").await.unwrap();
            client.read_exact(&mut pong).await.unwrap();
            assert_eq!(&pong, b"\r\n");
        }
        client.write_all(b"two;").await.unwrap();
    };
    let ((_, bytes), ()) = tokio::join!(message(&mut streams), pings);
    assert_eq!(bytes, "two;");
}

#[tokio::test]
async fn connection_that_never_says_anything_is_closed() {
    let limits = Limits { first_message_time: Duration::from_millis(20), ..Limits::default() };
    let (mut streams, address) = listening("127.0.0.1:0", limits);
    let mut client = TcpStream::connect(address).await.unwrap();
    opened(&mut streams).await;
    // Keep-alives are no message.
    client.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(closed(&mut streams).await.1, CloseReason::Idle);
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"\r\n");
}

#[tokio::test]
async fn message_larger_than_allowed_is_closed_before_it_is_all_there() {
    let limits = Limits { message_bytes: 1000, ..Limits::default() };
    let (mut streams, address) = listening("127.0.0.1:0", limits);
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(&[b'x'; 1000]).await.unwrap();
    opened(&mut streams).await;
    assert_eq!(closed(&mut streams).await.1, CloseReason::TooLarge);
}

#[tokio::test]
async fn message_of_just_the_allowed_size_passes() {
    let limits = Limits { message_bytes: 1000, ..Limits::default() };
    let (mut streams, address) = listening("127.0.0.1:0", limits);
    let mut client = TcpStream::connect(address).await.unwrap();
    let mut bytes = [b'x'; 1000];
    bytes[999] = b';';
    client.write_all(&bytes).await.unwrap();
    opened(&mut streams).await;
    assert_eq!(message(&mut streams).await.1.len(), 1000);
}

#[tokio::test]
async fn garbage_is_closed_with_what_the_framer_says() {
    let (mut streams, address) = listening("127.0.0.1:0", Limits::default());
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"good;\0bad;").await.unwrap();
    opened(&mut streams).await;
    assert_eq!(message(&mut streams).await.1, "good;");
    assert_eq!(closed(&mut streams).await.1, CloseReason::Invalid("NUL"));
}

#[tokio::test]
async fn peer_that_closes_is_reported_after_its_messages() {
    let (mut streams, address) = listening("127.0.0.1:0", Limits::default());
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"last words;").await.unwrap();
    drop(client);
    let id = opened(&mut streams).await;
    assert_eq!(message(&mut streams).await.1, "last words;");
    assert_eq!(closed(&mut streams).await, (id, CloseReason::Peer));
    assert_eq!(streams.send(id, Bytes::from_static(b"too late;")), Err(SendError::Closed));
}

#[tokio::test]
async fn what_is_queued_before_close_is_written() {
    let (mut streams, address) = listening("127.0.0.1:0", Limits::default());
    let mut client = TcpStream::connect(address).await.unwrap();
    let id = opened(&mut streams).await;
    streams.send(id, Bytes::from_static(b"400 Bad Request;")).unwrap();
    streams.close(id);
    assert_eq!(streams.send(id, Bytes::from_static(b"more;")), Err(SendError::Closed));
    // Bytes that nobody reads must not reset the connection under the answer.
    client.write_all(b"something else;").await.unwrap();
    let peer = async {
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        drop(client);
        heard
    };
    let (heard, (_, reason)) = tokio::join!(peer, closed(&mut streams));
    assert_eq!(heard, b"400 Bad Request;");
    assert_eq!(reason, CloseReason::Local);
}

#[tokio::test]
async fn messages_sent_while_connecting_arrive_in_order() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut streams = Streams::new(semicolon, Limits::default(), Handle::current());
    let id = streams.connect(server.local_addr().unwrap(), None).unwrap();
    streams.send(id, Bytes::from_static(b"one;")).unwrap();
    streams.send(id, Bytes::from_static(b"two;")).unwrap();
    let (mut accepted, peer) = server.accept().await.unwrap();
    let StreamEvent::Opened { connection, local, listener: None, .. } = streams.next().await else {
        panic!("not opened");
    };
    assert_eq!((connection, local), (id, peer));
    let mut heard = [0; 8];
    accepted.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"one;two;");
}

#[tokio::test]
async fn refused_connect_is_closed_and_never_opened() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    drop(server);
    let mut streams = Streams::new(semicolon, Limits::default(), Handle::current());
    let id = streams.connect(address, None).unwrap();
    let StreamEvent::Closed { connection, reason } = streams.next().await else {
        panic!("not closed");
    };
    assert_eq!((connection, reason), (id, CloseReason::ConnectFailed(ErrorKind::ConnectionRefused)));
    assert!(streams.is_empty());
}

#[tokio::test]
async fn as_much_waits_for_another_server_as_on_a_connection_of_ours() {
    for (shared, taken) in [(false, 2), (true, 5)] {
        let limits = Limits { write_queue: 2, own_write_queue: 5, ..Limits::default() };
        let mut streams = Streams::new(semicolon, limits, Handle::current());
        let layers = Layers { shared, ..Layers::default() };
        let (_, address) = streams.listen("127.0.0.1:0".parse().unwrap(), layers).unwrap();
        let _client = TcpStream::connect(address).await.unwrap();
        let id = opened(&mut streams).await;
        let count = (0..10).take_while(|_| streams.send(id, Bytes::from_static(b"message;")).is_ok()).count();
        assert_eq!(count, taken, "nothing has run in between");
    }
}

#[tokio::test]
async fn peer_that_takes_nothing_is_dropped_when_its_queue_is_full() {
    let limits = Limits { write_queue: 2, ..Limits::default() };
    let (mut streams, address) = listening("127.0.0.1:0", limits);
    let mut client = TcpStream::connect(address).await.unwrap();
    let id = opened(&mut streams).await;
    // Nothing has run in between, so that the queue is all that takes them.
    let more_than_the_buffers_hold = Bytes::from(vec![b'x'; 64 << 20]);
    streams.send(id, more_than_the_buffers_hold.clone()).unwrap();
    streams.send(id, more_than_the_buffers_hold.clone()).unwrap();
    client.write_all(b"never reported;").await.unwrap();
    assert_eq!(streams.send(id, more_than_the_buffers_hold), Err(SendError::Full));
    assert_eq!(closed(&mut streams).await, (id, CloseReason::WriteQueue));
    assert!(streams.is_empty());
    // What is under way from the dropped connection does not come after its end.
    let _other = TcpStream::connect(address).await.unwrap();
    opened(&mut streams).await;
}

#[tokio::test]
async fn peer_that_takes_one_message_too_slowly_is_dropped() {
    let limits = Limits { write_time: Duration::from_millis(20), ..Limits::default() };
    let (mut streams, address) = listening("127.0.0.1:0", limits);
    let _client = TcpStream::connect(address).await.unwrap();
    let id = opened(&mut streams).await;
    streams.send(id, Bytes::from(vec![b'x'; 64 << 20])).unwrap();
    assert_eq!(closed(&mut streams).await, (id, CloseReason::WriteTime));
}

#[tokio::test]
async fn source_with_too_many_connections_is_refused_until_one_ends() {
    let limits = Limits { per_source: 1, ..Limits::default() };
    let (mut streams, address) = listening("127.0.0.1:0", limits);
    let first = TcpStream::connect(address).await.unwrap();
    opened(&mut streams).await;
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(refused(&mut streams).await, RefuseReason::Source);
    assert_eq!(second.read(&mut [0; 1]).await.unwrap(), 0);
    drop(first);
    closed(&mut streams).await;
    let _third = TcpStream::connect(address).await.unwrap();
    opened(&mut streams).await;
}

#[tokio::test]
async fn total_of_connections_is_bounded_in_both_directions() {
    let limits = Limits { connections: 1, own_connections: 0, ..Limits::default() };
    let (mut streams, address) = listening("127.0.0.1:0", limits);
    let _first = TcpStream::connect(address).await.unwrap();
    opened(&mut streams).await;
    let _second = TcpStream::connect(address).await.unwrap();
    assert_eq!(refused(&mut streams).await, RefuseReason::Connections);
    assert_eq!(streams.connect(address, None), Err(AtCapacity));
}

#[tokio::test]
async fn lower_limits_are_for_connections_to_come() {
    let (mut streams, address) = listening("127.0.0.1:0", Limits::default());
    let mut first = TcpStream::connect(address).await.unwrap();
    opened(&mut streams).await;
    let lower = Limits { connections: 1, message_bytes: 4, ..Limits::default() };
    streams.reconfigure(lower, vec![Layers::default()]);
    let _second = TcpStream::connect(address).await.unwrap();
    assert_eq!(refused(&mut streams).await, RefuseReason::Connections);
    first.write_all(b"as long as before;").await.unwrap();
    assert_eq!(message(&mut streams).await.1, "as long as before;");
}

#[tokio::test]
async fn everything_ends_with_the_owner() {
    let (mut streams, address) = listening("127.0.0.1:0", Limits::default());
    let mut client = TcpStream::connect(address).await.unwrap();
    opened(&mut streams).await;
    drop(streams);
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    // The listener is free again as soon as its task has been dropped by the runtime.
    tokio::task::yield_now().await;
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

/// Messages end with a semicolon; a line end between them is skipped, two are a ping; NUL is not allowed.
fn semicolon(bytes: &[u8]) -> Frame {
    match bytes {
        b"\r" | b"\r\n" | b"\r\n\r" => return Frame::Blank,
        [b'\r', b'\n', b'\r', b'\n', ..] => return Frame::Ping(4, b"\r\n"),
        [b'\r', b'\n', ..] => return Frame::Skip(2),
        _ => {}
    }
    if bytes[0] == 0 {
        return Frame::Invalid("NUL");
    }
    match bytes.iter().position(|byte| *byte == b';') {
        Some(end) => Frame::Message(end + 1),
        None => Frame::Incomplete,
    }
}

fn listening(address: &str, limits: Limits) -> (Streams, SocketAddr) {
    let mut streams = Streams::new(semicolon, limits, Handle::current());
    let (_, local) = streams.listen(address.parse().expect("an address"), Layers::default()).expect("a free port");
    (streams, local)
}

async fn opened(streams: &mut Streams) -> ConnectionId {
    let event = streams.next().await;
    let StreamEvent::Opened { connection, .. } = event else {
        panic!("{event:?}");
    };
    connection
}

async fn message(streams: &mut Streams) -> (ConnectionId, Bytes) {
    let event = streams.next().await;
    let StreamEvent::Message { connection, bytes } = event else {
        panic!("{event:?}");
    };
    (connection, bytes)
}

/// Waits for the end of a connection; what it said before is passed over.
async fn closed(streams: &mut Streams) -> (ConnectionId, CloseReason) {
    loop {
        match streams.next().await {
            StreamEvent::Closed { connection, reason } => return (connection, reason),
            StreamEvent::Message { .. } => {}
            event @ (StreamEvent::Opened { .. } | StreamEvent::Refused { .. } | StreamEvent::AcceptFailed { .. }) => {
                panic!("{event:?}")
            }
        }
    }
}

async fn refused(streams: &mut Streams) -> RefuseReason {
    let event = streams.next().await;
    let StreamEvent::Refused { reason, .. } = event else {
        panic!("{event:?}");
    };
    reason
}
