//! Batched UDP on the loopback interface.

use std::io;
use std::net::SocketAddr;

use cusax_net::udp::{AsyncSocket, BATCH, Options, PushError, RecvBatch, SendBatch, Socket};

#[test]
fn batch_arrives_whole_and_in_order() {
    let (ours, theirs) = pair("127.0.0.1:0");
    let mut out = SendBatch::new(BATCH, BATCH * 100);
    for number in 0..BATCH {
        out.push(theirs.local_addr(), format!("datagram {number}").as_bytes()).unwrap();
    }
    let sent = ours.send_batch(&mut out);
    assert_eq!((sent.sent, sent.failed, sent.left), (BATCH, 0, 0));
    assert!(out.is_empty());

    let mut batch = RecvBatch::new(BATCH, 2048);
    assert_eq!(theirs.recv_batch(&mut batch).unwrap(), BATCH);
    for (number, datagram) in batch.iter().enumerate() {
        assert_eq!(datagram.bytes, format!("datagram {number}").as_bytes());
        assert_eq!(datagram.from, ours.local_addr());
        assert!(!datagram.truncated);
    }
    assert_eq!(theirs.recv_batch(&mut batch).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(batch.is_empty());
}

#[test]
fn more_than_one_call_can_take_is_sent_and_received_in_several() {
    let (ours, theirs) = pair("127.0.0.1:0");
    let count = BATCH + 7;
    let mut out = SendBatch::new(count, count * 10);
    for _ in 0..count {
        out.push(theirs.local_addr(), b"0123456789").unwrap();
    }
    assert_eq!(ours.send_batch(&mut out).sent, count);
    let mut batch = RecvBatch::new(count, 100);
    assert_eq!(theirs.recv_batch(&mut batch).unwrap(), BATCH);
    assert_eq!(theirs.recv_batch(&mut batch).unwrap(), 7);
}

#[test]
fn ipv6_addresses_come_and_go_unchanged() {
    let (ours, theirs) = pair("[::1]:0");
    let mut out = SendBatch::new(1, 100);
    out.push(theirs.local_addr(), b"OPTIONS").unwrap();
    assert_eq!(ours.send_batch(&mut out).sent, 1);
    let mut batch = RecvBatch::new(4, 100);
    theirs.recv_batch(&mut batch).unwrap();
    let datagram = batch.iter().next().unwrap();
    assert_eq!((datagram.from, datagram.bytes), (ours.local_addr(), b"OPTIONS".as_slice()));
}

#[test]
fn datagram_larger_than_its_slot_is_marked_truncated() {
    let (ours, theirs) = pair("127.0.0.1:0");
    let mut out = SendBatch::new(3, 100);
    for bytes in [b"12345678".as_slice(), b"123456789", b""] {
        out.push(theirs.local_addr(), bytes).unwrap();
    }
    ours.send_batch(&mut out);
    let mut batch = RecvBatch::new(4, 8);
    theirs.recv_batch(&mut batch).unwrap();
    let seen: Vec<_> = batch.iter().map(|datagram| (datagram.bytes.len(), datagram.truncated)).collect();
    assert_eq!(seen, [(8, false), (8, true), (0, false)]);
}

#[test]
fn largest_datagram_of_ipv4_passes() {
    let (ours, theirs) = pair("127.0.0.1:0");
    let mut out = SendBatch::new(1, 65_535);
    out.push(theirs.local_addr(), &[b'x'; 65_507]).unwrap();
    assert_eq!(ours.send_batch(&mut out).sent, 1);
    let mut batch = RecvBatch::new(2, 65_535);
    theirs.recv_batch(&mut batch).unwrap();
    assert_eq!(batch.iter().next().unwrap().bytes.len(), 65_507);
}

#[test]
fn refused_datagram_is_reported_and_does_not_stop_the_others() {
    let (ours, theirs) = pair("127.0.0.1:0");
    let other_family: SocketAddr = "[::1]:9".parse().unwrap();
    let mut out = SendBatch::new(4, 70_000);
    out.push(theirs.local_addr(), b"first").unwrap();
    out.push(theirs.local_addr(), &[b'x'; 65_520]).unwrap();
    out.push(other_family, b"nowhere").unwrap();
    out.push(theirs.local_addr(), b"last").unwrap();
    let sent = ours.send_batch(&mut out);
    assert_eq!((sent.sent, sent.failed, sent.left), (2, 2, 0));
    assert_eq!(out.failures()[0].to, theirs.local_addr());
    assert_eq!(out.failures()[0].error.raw_os_error(), Some(libc::EMSGSIZE));
    assert_eq!(out.failures()[1].to, other_family);

    let mut batch = RecvBatch::new(4, 100);
    theirs.recv_batch(&mut batch).unwrap();
    let seen: Vec<_> = batch.iter().map(|datagram| datagram.bytes).collect();
    assert_eq!(seen, [b"first".as_slice(), b"last"]);
}

#[test]
fn batch_takes_what_fits_and_says_what_never_will() {
    let to: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let mut out = SendBatch::new(2, 10);
    assert_eq!(out.push(to, &[0; 11]), Err(PushError::TooLarge));
    out.push(to, &[0; 6]).unwrap();
    assert_eq!(out.push(to, &[0; 5]), Err(PushError::Full));
    out.push_with(to, 4, |space| space.len() - 1).unwrap();
    assert_eq!(out.push(to, b""), Err(PushError::Full));
    assert_eq!(out.clear(), 2);
    out.push(to, &[0; 10]).unwrap();
}

#[test]
fn closed_port_is_told_with_its_address_where_asked_for() {
    let options = Options { report_unreachable: true, ..Options::default() };
    for loopback in ["127.0.0.1:0", "[::1]:0"] {
        let ours = Socket::bind(loopback.parse().unwrap(), options).unwrap();
        let theirs = Socket::bind(loopback.parse().unwrap(), Options::default()).unwrap();
        let closed = Socket::bind(loopback.parse().unwrap(), Options::default()).unwrap().local_addr();
        let mut out = SendBatch::new(2, 100);
        out.push(closed, b"is anybody there").unwrap();
        out.push(theirs.local_addr(), b"is anybody here").unwrap();
        // The loopback interface delivers ICMP before the call returns; the error is not the second datagram's.
        let sent = ours.send_batch(&mut out);
        assert_eq!((sent.sent, sent.failed), (2, 0));

        let told = ours.take_unreachable().unwrap();
        assert_eq!(told.to, closed);
        assert_eq!(told.error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(told.quoted, b"is anybody there");
        assert!(ours.take_unreachable().is_none());
        let mut batch = RecvBatch::new(2, 100);
        assert_eq!(ours.recv_batch(&mut batch).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(theirs.recv_batch(&mut batch).unwrap(), 1);
    }
}

#[test]
fn kernel_counts_what_did_not_fit_its_queue() {
    let small = Options { receive_buffer: Some(2048), ..Options::default() };
    let theirs = Socket::bind("127.0.0.1:0".parse().unwrap(), small).unwrap();
    let ours = Socket::bind("127.0.0.1:0".parse().unwrap(), Options::default()).unwrap();
    let queue = theirs.queue().unwrap();
    assert_eq!((queue.bytes, queue.percent(), queue.dropped), (0, 0, 0));
    let mut out = SendBatch::new(BATCH, BATCH * 1000);
    for _ in 0..BATCH {
        out.push(theirs.local_addr(), &[0; 1000]).unwrap();
    }
    let sent = ours.send_batch(&mut out).sent;
    assert!(theirs.queue().unwrap().percent() > 50);
    let mut batch = RecvBatch::new(BATCH, 1000);
    let received = theirs.recv_batch(&mut batch).unwrap();
    assert_eq!(theirs.queue().unwrap().dropped as usize, sent - received);
    assert!(received < sent);
}

#[test]
fn address_in_use_is_an_error_unless_shared_by_all() {
    let shared = Options { reuse_port: true, ..Options::default() };
    let first = Socket::bind("127.0.0.1:0".parse().unwrap(), shared).unwrap();
    let error = Socket::bind(first.local_addr(), Options::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    Socket::bind(first.local_addr(), shared).unwrap();
}

#[tokio::test]
async fn watched_socket_wakes_for_what_comes_later() {
    let (ours, theirs) = pair("127.0.0.1:0");
    let (ours, theirs) = (AsyncSocket::new(ours).unwrap(), AsyncSocket::new(theirs).unwrap());
    let to = theirs.local_addr();
    let mut batch = RecvBatch::new(BATCH, 100);
    for round in 0..3 {
        let send = async {
            let mut out = SendBatch::new(round + 1, 1000);
            for _ in 0..=round {
                out.push(to, b"ping").unwrap();
            }
            tokio::task::yield_now().await;
            ours.send_batch(&mut out).sent
        };
        let (received, sent) = tokio::join!(theirs.recv_batch(&mut batch), send);
        assert_eq!((received.unwrap(), sent), (round + 1, round + 1));
    }
}

#[tokio::test]
async fn what_is_left_in_a_batch_is_sent_when_the_socket_is_writable() {
    let (ours, theirs) = pair("127.0.0.1:0");
    let to = theirs.local_addr();
    let ours = AsyncSocket::new(ours).unwrap();
    let mut out = SendBatch::new(4, 100);
    out.push(to, b"left by an earlier call").unwrap();
    let sent = ours.send_left(&mut out).await.unwrap();
    assert_eq!((sent.sent, sent.left), (1, 0));
}

fn pair(loopback: &str) -> (Socket, Socket) {
    let bind = || {
        let address = loopback.parse().expect("an address");
        Socket::bind(address, Options::default()).expect("a free port")
    };
    (bind(), bind())
}
