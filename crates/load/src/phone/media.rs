//! The audio of one call: a tone out every 20 ms, and what comes in.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use cusax_net::udp::{AsyncSocket, Options, RecvBatch, SendBatch, Socket};
use cusax_net::{clock, random};
use cusax_rtp::FRAME_SAMPLES;
use cusax_rtp::packet::{Header, Packet};
use cusax_rtp::sdp::{Format, Stream};
use cusax_rtp::tone::Sine;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::ears::{Ears, Heard};

/// A sine that a phone says all the time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tone {
    /// Its frequency; multiples of 50 Hz can be told apart in one packet.
    pub hertz: f64,
    /// Its level.
    pub dbfs: f64,
}

/// A socket with a task that talks and listens on it; both end when this is dropped.
pub(super) struct Media {
    local: SocketAddr,
    stream: watch::Sender<Option<Stream>>,
    ears: watch::Receiver<Ears>,
    task: JoinHandle<()>,
}

impl Media {
    pub(super) fn start(bind: IpAddr, tone: Tone) -> io::Result<Self> {
        let socket = AsyncSocket::new(Socket::bind(SocketAddr::new(bind, 0), Options::default())?)?;
        let (stream, agreed) = watch::channel(None);
        let (heard, ears) = watch::channel(Ears::default());
        let local = socket.local_addr();
        let task = tokio::spawn(run(socket, tone, agreed, heard));
        Ok(Self { local, stream, ears, task })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.local
    }

    /// Says what was agreed; `None`: silence.
    pub(super) fn set(&self, stream: Option<Stream>) {
        self.stream.send_replace(stream);
    }

    pub(super) fn ears(&self) -> watch::Receiver<Ears> {
        self.ears.clone()
    }

    pub(super) fn now(&self) -> watch::Ref<'_, Ears> {
        self.ears.borrow()
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The next packet of a stream that is being sent.
struct Talk {
    sine: Sine,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    first: bool,
}

async fn run(socket: AsyncSocket, tone: Tone, mut agreed: watch::Receiver<Option<Stream>>, heard: watch::Sender<Ears>) {
    let seed = random::seed().to_be_bytes();
    let [a, b, c, d, e, f, g, h] = seed;
    let mut talk = Talk {
        sine: Sine::new(tone.hertz, tone.dbfs),
        ssrc: u32::from_be_bytes([a, b, c, d]),
        sequence: u16::from_be_bytes([e, f]) >> 1,
        timestamp: u32::from_be_bytes([e, f, g, h]),
        first: true,
    };
    let mut batch = RecvBatch::new(BATCH, LARGEST);
    let mut out = SendBatch::new(1, LARGEST);
    let mut next = clock::now();
    loop {
        let stream = *agreed.borrow_and_update();
        tokio::select! {
            changed = agreed.changed() => if changed.is_err() { return },
            () = sleep_until(next.into()) => {
                if let Some(stream) = stream.filter(|stream| stream.direction.sends() && !stream.remote.ip().is_unspecified()) {
                    talk.push(&stream, &mut out);
                    // A datagram that the socket does not take is lost, as datagrams may be.
                    socket.send_batch(&mut out);
                    out.clear();
                }
                talk.timestamp = talk.timestamp.wrapping_add(FRAME_SAMPLES as u32);
                next = (next + PACE).max(clock::now() - LAG);
            }
            received = socket.recv_batch(&mut batch) => if received.is_ok() {
                listen(&batch, stream.as_ref(), clock::now(), &heard);
            }
        }
    }
}

impl Talk {
    fn push(&mut self, stream: &Stream, out: &mut SendBatch) {
        let mut frame = [0; FRAME_SAMPLES];
        self.sine.fill(&mut frame);
        let mut payload = [0; FRAME_SAMPLES];
        stream.codec.encode(&frame, &mut payload);
        let header = Header {
            marker: std::mem::replace(&mut self.first, false),
            payload_type: stream.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        let mut packet = Vec::with_capacity(LARGEST);
        header.write(&[], &mut packet);
        packet.extend_from_slice(&payload);
        self.sequence = self.sequence.wrapping_add(1);
        // An empty batch of this size takes any packet.
        let _ = out.push(stream.remote, &packet);
    }
}

fn listen(batch: &RecvBatch, stream: Option<&Stream>, now: Instant, heard: &watch::Sender<Ears>) {
    let Some(stream) = stream else { return };
    heard.send_if_modified(|ears| {
        let before = ears.len();
        for datagram in batch.iter() {
            let Ok(packet) = Packet::parse(datagram.bytes) else { continue };
            let Some(Format::Audio(codec)) = stream.formats.format(packet.payload_type()) else { continue };
            let mut samples = vec![0; packet.payload().len()];
            codec.decode_any(packet.payload(), &mut samples);
            ears.push(Heard { at: now, sequence: packet.sequence(), ssrc: packet.ssrc(), samples: samples.into() });
        }
        ears.len() != before
    });
}

const PACE: Duration = Duration::from_millis(20);
/// How far behind its pace a talker catches up; beyond that, packets are left out.
const LAG: Duration = Duration::from_millis(100);
const BATCH: usize = 16;
const LARGEST: usize = 1_500;
