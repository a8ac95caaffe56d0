//! What the open Internet does to an edge, with the service measured from beside: while it goes on, a phone of good manners registers
//! and calls, and is served; each drop is counted under its reason; afterwards memory and tables are what they were. And core servers
//! that are killed under load.
//!
//! Some thousand messages of each kind by themselves; where `CUSAX_LONG` is set, by the hundred thousand.

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]

mod cores;
mod flood;
mod house;
mod neighbour;
mod stub;

use std::time::Duration;

use cusax_tests::interop::{CUSAX, available};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use flood::Flood;
use house::House;

/// So many messages of each kind.
fn many(short: usize, long: usize) -> usize {
    if std::env::var_os("CUSAX_LONG").is_some() { long } else { short }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_storms_and_forgeries_are_counted_and_a_phone_beside_them_is_served() {
    if !available("abuse by datagrams", &[CUSAX]) {
        return;
    }
    let mut house = House::open("").await;
    house.be_served(3).await;
    let (before, count) = (house.memory(), many(2_500, 40_000));
    let to = house.edge.access();

    house.be_served_during(Flood::garbage(to, count)).await;
    house.counts("cusax_sip_dropped_total{reason=\"malformed\"}", count / 2).await;

    house.be_served_during(Flood::oversized(to, count / 8)).await;
    house.counts("cusax_sip_dropped_total{reason=\"malformed\"}", count / 2 + count / 16).await;

    // The same request again and again, also with other sources: answered or absorbed, never more than that.
    house.be_served_during(Flood::repeated(to, count)).await;

    house.be_served_during(Flood::forged_answers(to, count)).await;
    house.counts("cusax_sip_dropped_total{reason=\"unmatched\"}", count / 2).await;

    // Cancels of the phone's own calls: it would not be served if one got through.
    house.be_served_during(Flood::cancels(to, count)).await;

    house.be_served_during(Flood::wrong_passwords(to, count)).await;
    let bad = house.sum("cusax_sip_auth_total{", "result=\"ok\"").await;
    assert!(bad >= count as u64 / 2, "{bad} answers to challenges were wrong, or none");

    house.be_served_during(Flood::at_the_core(house.edge.core(), count)).await;
    house.counts("cusax_sip_dropped_total{reason=\"acl\"}", count / 2).await;
    house.is_as_before(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_asks_too_often_is_turned_away_and_nobody_else_is() {
    if !available("abuse by one source", &[CUSAX]) {
        return;
    }
    let mut house = House::open("[sip.limits]\nrequests_per_source = 40\n").await;
    house.be_served(3).await;
    let (before, count) = (house.memory(), many(6_000, 150_000));
    house.be_served_during(Flood::of_one_source(house.edge.access(), count)).await;
    let shed = house.sum("cusax_sip_shed_total{", "cause=\"overload\"").await;
    assert!(shed >= count as u64 / 2, "{shed} of {count} were turned away");
    let rate = house.value("cusax_sip_shed_total{cause=\"source_rate\",urgency=\"call\"}").await;
    assert!(rate > 0, "nobody was turned away for his rate");
    assert_eq!(house.neighbour.busy, 0, "the phone beside was turned away");
    house.is_as_before(before).await;
}

/// A connection from an address of its own.
async fn connect(host: u8, to: std::net::SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind(([127, 0, 1, host], 0).into()).ok()?;
    socket.connect(to).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_never_say_enough_are_closed_and_counted() {
    if !available("abuse by connections", &[CUSAX]) {
        return;
    }
    let limits = "[sip.limits]\nmessage_seconds = 2\nhandshake_seconds = 1\nconnections = 600\n\
                  connections_per_source = 100\n";
    let mut house = House::open(limits).await;
    house.be_served(2).await;
    let (before, rounds) = (house.memory(), many(1, 40));
    let (plain, secure) = (house.edge.access(), house.secure());
    for _ in 0..rounds {
        let mut all = JoinSet::new();
        for number in 0..480_usize {
            let host = u8::try_from(number % 12).unwrap();
            all.spawn(async move {
                let to = if number % 3 == 0 { secure } else { plain };
                let Some(mut stream) = connect(host, to).await else { return };
                match number % 6 {
                    // A handshake that stops, or does not begin.
                    0 if number % 12 == 0 => drop(stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await),
                    0 => drop(stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await),
                    1 => drop(stream.write_all(b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TCP x").await),
                    2 => slow(&mut stream).await,
                    4 => endless(&mut stream).await,
                    _ => {}
                }
                // It is the edge that closes it.
                let mut rest = Vec::new();
                let closed = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
                assert!(closed.is_ok(), "connection {number} stays");
            });
        }
        let all_closed = || {
            while let Some(ended) = all.try_join_next() {
                ended.unwrap();
            }
            all.is_empty()
        };
        house.be_served_until(all_closed).await;
    }
    // Who never said anything is closed, and nothing of his is dropped.
    house.counts("cusax_sip_dropped_total{reason=\"deadline\"}", 240 * rounds).await;
    house.counts("cusax_sip_dropped_total{reason=\"malformed\"}", 60 * rounds).await;
    house.counts("cusax_sip_dropped_total{reason=\"tls\"}", 30 * rounds).await;
    house.falls("cusax_sip_connections{", 0).await;
    house.is_as_before(before).await;
}

/// Byte by byte: each is progress, and no message comes of it.
async fn slow(stream: &mut TcpStream) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for byte in b"OPTIONS sip:example.com SIP/2.0\r\nSubject: ".iter().chain(std::iter::repeat_n(&b'x', 300)) {
        ticks.tick().await;
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
}

/// One header section without an end.
async fn endless(stream: &mut TcpStream) {
    let mut line = b"OPTIONS sip:example.com SIP/2.0\r\n".to_vec();
    line.extend(b"Subject: and so on\r\n".repeat(60));
    for _ in 0..80 {
        if stream.write_all(&line).await.is_err() {
            return;
        }
    }
}
