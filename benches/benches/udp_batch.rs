//! What a datagram costs at the socket: one system call for each, or one for 64.
//!
//! Loopback, so that sending pays for the receiver's soft interrupt as well.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use cusax_net::clock;
use cusax_net::udp::{BATCH, Options, RecvBatch, SendBatch, Socket};

criterion_group!(benches, send, receive);
criterion_main!(benches);

fn send(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("udp_batch/send");
    group.throughput(Throughput::Elements(BATCH as u64));
    for size in SIZES {
        let (ours, theirs) = pair();
        group.bench_with_input(BenchmarkId::from_parameter(size), &size, |bencher, &size| {
            let mut out = SendBatch::new(size, size * RTP.len());
            let mut drain = RecvBatch::new(BATCH, RTP.len());
            bencher.iter_custom(|rounds| {
                (0..rounds)
                    .map(|_| {
                        let time = timed(|| send_all(&ours, theirs.local_addr(), &mut out));
                        while theirs.recv_batch(&mut drain).is_ok() {}
                        time
                    })
                    .sum()
            });
        });
    }
    group.finish();
}

fn receive(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("udp_batch/receive");
    group.throughput(Throughput::Elements(BATCH as u64));
    for size in SIZES {
        let (ours, theirs) = pair();
        group.bench_with_input(BenchmarkId::from_parameter(size), &size, |bencher, &size| {
            let mut out = SendBatch::new(BATCH, BATCH * RTP.len());
            let mut batch = RecvBatch::new(size, RTP.len());
            bencher.iter_custom(|rounds| {
                (0..rounds)
                    .map(|_| {
                        send_all(&ours, theirs.local_addr(), &mut out);
                        timed(|| receive_all(&theirs, &mut batch))
                    })
                    .sum()
            });
        });
    }
    group.finish();
}

/// Sends [`BATCH`] datagrams, in as many calls as the batch's size takes.
fn send_all(socket: &Socket, to: SocketAddr, batch: &mut SendBatch) {
    for _ in 0..BATCH {
        if batch.push(to, &RTP).is_err() {
            socket.send_batch(batch);
            batch.push(to, &RTP).expect("an empty batch takes one");
        }
    }
    let sent = socket.send_batch(batch);
    assert_eq!(sent.left + sent.failed, 0);
}

/// Receives [`BATCH`] datagrams.
fn receive_all(socket: &Socket, batch: &mut RecvBatch) {
    let mut received = 0;
    while received < BATCH {
        received += socket.recv_batch(batch).expect("all of them wait in the queue");
        for datagram in batch.iter() {
            black_box(datagram.bytes.first());
        }
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start: Instant = clock::now();
    work();
    start.elapsed()
}

fn pair() -> (Socket, Socket) {
    let options = Options { receive_buffer: Some(1 << 20), ..Options::default() };
    let bind = || Socket::bind(SocketAddr::from(([127, 0, 0, 1], 0)), options).expect("a free port");
    (bind(), bind())
}

/// Datagrams per system call.
const SIZES: [usize; 3] = [1, 16, BATCH];

/// 20 ms of G.711 with its RTP header.
const RTP: [u8; 172] = [0x80; 172];
