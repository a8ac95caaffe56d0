//! PROXY headers before SIP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use cusax_net::stream::{Cause, Layer, Layers, Limits, RefuseReason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::{failed, listening, message, opened, refused};

const BALANCER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn behind_a_balancer() -> Layers {
    Layers { balancers: [(BALANCER, 32)].into_iter().collect(), ..Layers::default() }
}

/// A header for 192.0.2.`host`, port 5060.
fn header(host: u8) -> Vec<u8> {
    [SIGNATURE, &[0x21, 0x11, 0, 12, 192, 0, 2, host, 192, 0, 2, 1, 0x13, 0xc4, 0x13, 0xc4]].concat()
}

#[tokio::test]
async fn client_is_the_one_in_the_header_and_what_follows_is_its_first_message() {
    let (mut server, address) = listening(behind_a_balancer(), Limits::default());
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(&[&header(7)[..], b"hello;"].concat()).await.unwrap();
    let (id, peer, security) = opened(&mut server).await;
    assert_eq!((peer, security), ("192.0.2.7:5060".parse().unwrap(), None));
    assert_eq!(message(&mut server).await, "hello;");
    server.send(id, "there;".into()).unwrap();
    let mut answer = [0; 6];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"there;");
}

#[tokio::test]
async fn health_check_of_the_balancer_speaks_for_itself() {
    let (mut server, address) = listening(behind_a_balancer(), Limits::default());
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(&[SIGNATURE, &[0x20, 0, 0, 0]].concat()).await.unwrap();
    assert_eq!(opened(&mut server).await.1, client.local_addr().unwrap());
}

#[tokio::test]
async fn connection_without_a_header_is_closed() {
    let limits = Limits { handshake_time: Duration::from_millis(20), ..Limits::default() };
    let (mut server, address) = listening(behind_a_balancer(), limits);
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"OPTIONS sip:example.com SIP/2.0\r\n").await.unwrap();
    assert_eq!(failed(&mut server).await, (Layer::Proxy, Cause::Invalid("no PROXY header of version 2")));
    let _silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(failed(&mut server).await, (Layer::Proxy, Cause::Deadline));
    drop(TcpStream::connect(address).await.unwrap());
    assert_eq!(failed(&mut server).await, (Layer::Proxy, Cause::Closed));
}

#[tokio::test]
async fn connections_count_for_those_whom_the_balancer_names() {
    let (mut server, address) = listening(behind_a_balancer(), Limits { per_source: 1, ..Limits::default() });
    let connect = async |host: u8| {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&header(host)).await.unwrap();
        client
    };
    let _first = connect(7).await;
    opened(&mut server).await;
    let mut second = connect(7).await;
    assert_eq!(refused(&mut server).await, RefuseReason::Source);
    assert_eq!(second.read(&mut [0; 1]).await.unwrap(), 0);
    let _third = connect(8).await;
    assert_eq!(opened(&mut server).await.1, "192.0.2.8:5060".parse().unwrap());
    assert_eq!(server.len(), 2);
}

#[tokio::test]
async fn who_is_no_balancer_speaks_for_himself_and_his_header_is_not_read() {
    let (mut server, address) = listening(behind_a_balancer(), Limits { per_source: 1, ..Limits::default() });
    let elsewhere: SocketAddr = "127.0.0.2:0".parse().unwrap();
    let connect = async || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(elsewhere).unwrap();
        socket.connect(address).await.unwrap()
    };
    let mut client = connect().await;
    client.write_all(&[&header(7)[..], b"hello;"].concat()).await.unwrap();
    let (_, peer, _) = opened(&mut server).await;
    assert_eq!(peer, client.local_addr().unwrap());
    // The line ends at its beginning are a ping here.
    assert_eq!(message(&mut server).await, [&header(7)[4..], b"hello;"].concat());
    let _second = connect().await;
    assert_eq!(refused(&mut server).await, RefuseReason::Source, "he counts for himself");
}
