//! The media thread: pinned to a core, it moves datagrams between its sockets and the mixer and never waits for
//! anybody else. Commands and events pass through bounded rings.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use cusax_event::Event;
use cusax_event::media::Report;
use cusax_event::service::{Lifecycle, Stage};
use cusax_mixer::{Command, Config as MixerConfig, Event as MixerEvent, Latch, Mixer, PortId, Transmits};
use cusax_net::udp::{BATCH, Options, RecvBatch, SendBatch, Socket};
use cusax_net::wait::{Waker, wait};
use cusax_net::{clock, random, thread};
use cusax_telemetry::Telemetry;
use tokio::sync::Notify;

use crate::config::Config;
use crate::config::media::Latch as LatchName;

/// Sockets of the thread, each shared by many legs.
const SOCKETS: usize = 32;
/// Legs that the thread takes.
pub(super) const LEGS: usize = 2_000;
/// Batches that are taken from a socket before the others have their turn again, and time is looked at.
const BATCHES: usize = 4;
/// Commands, or events, that wait.
const RING: usize = 8_192;
/// How often the thread says what it did.
const REPORT: Duration = Duration::from_secs(1);
/// Receive and send buffers of a socket, in bytes.
const BUFFER: usize = 4 * 1024 * 1024;

/// The control plane's end.
pub(super) struct Media {
    pub(super) commands: rtrb::Producer<Command>,
    pub(super) events: rtrb::Consumer<MixerEvent>,
    pub(super) waker: Waker,
    pub(super) told: Arc<Notify>,
    /// The ports that legs may be given.
    pub(super) ports: Vec<PortId>,
}

struct Thread {
    mixer: Mixer,
    sockets: Vec<Socket>,
    ports: Vec<PortId>,
    sending: Vec<SendBatch>,
    commands: rtrb::Consumer<Command>,
    events: rtrb::Producer<MixerEvent>,
    waker: Waker,
    told: Arc<Notify>,
    telemetry: Telemetry,
}

/// Binds the sockets and starts the thread; without conferences there is none.
pub(super) fn start(config: &Config, telemetry: &Telemetry) -> anyhow::Result<Option<Media>> {
    if config.conference.is_empty() {
        return Ok(None);
    }
    let (sockets, ports) = bind(config)?;
    let (commands, to_mixer) = rtrb::RingBuffer::new(RING);
    let (from_mixer, events) = rtrb::RingBuffer::new(RING);
    let waker = Waker::new().context("cannot make the media thread's waker")?;
    let told = Arc::new(Notify::new());
    let latch = match config.media.latch {
        LatchName::Strict => Latch::Strict,
        LatchName::Relaxed => Latch::Relaxed,
    };
    let thread = Thread {
        mixer: Mixer::new(MixerConfig { legs: LEGS, latch, ..MixerConfig::default() }, random::seed()),
        sending: ports.iter().map(|_| SendBatch::new(BATCH, BATCH * 1_500)).collect(),
        sockets,
        ports: ports.clone(),
        commands: to_mixer,
        events: from_mixer,
        waker: waker.clone(),
        told: Arc::clone(&told),
        telemetry: telemetry.clone(),
    };
    std::thread::Builder::new()
        .name("cusax-media".to_owned())
        .spawn(move || thread.run())
        .context("cannot start the media thread")?;
    Ok(Some(Media { commands, events, waker, told, ports }))
}

/// Binds the even ports of the range, as many as the thread uses.
fn bind(config: &Config) -> anyhow::Result<(Vec<Socket>, Vec<PortId>)> {
    let range = config.media.ports.first..=config.media.ports.last;
    let (mut sockets, mut ports) = (Vec::new(), Vec::new());
    let options = Options { receive_buffer: Some(BUFFER), send_buffer: Some(BUFFER), ..Options::default() };
    for port in range.filter(|port| port % 2 == 0).take(SOCKETS) {
        let address = SocketAddr::new(config.media.bind, port);
        let socket = Socket::bind(address, options).with_context(|| {
            format!("cannot bind the media port {address} (another process may have it: change media.ports)")
        })?;
        sockets.push(socket);
        ports.push(PortId(port));
    }
    Ok((sockets, ports))
}

impl Thread {
    fn run(mut self) {
        self.settle();
        let mut received = RecvBatch::new(BATCH, 2_048);
        let mut out = Transmits::for_legs(LEGS);
        let mut report_due = clock::now() + REPORT;
        loop {
            let due = self.mixer.poll_timeout().map_or(report_due, |tick| tick.min(report_due));
            let ready = match wait(&self.sockets, &self.waker, due) {
                Ok(ready) => ready,
                Err(error) => return self.give_up(&error),
            };
            while let Ok(command) = self.commands.pop() {
                self.mixer.handle_command(command, clock::now());
            }
            if self.commands.is_abandoned() {
                return;
            }
            receive(&mut self.mixer, &self.sockets, &self.ports, &mut received, |index| ready.socket(index));
            self.tick(&mut out);
            while let Some(event) = self.mixer.poll_event() {
                // A full ring means that nobody listens any more.
                if self.events.push(event).is_ok() {
                    self.told.notify_one();
                }
            }
            let now = clock::now();
            if now >= report_due {
                report_due = now + REPORT;
                let used = self.ports.iter().filter(|port| self.mixer.uses(**port)).count();
                let ports = [used as u64, (self.ports.len() - used) as u64];
                self.telemetry.emit(&Event::MixerReport(Report { ports, ..self.mixer.report() }));
            }
        }
    }

    /// Without its sockets the thread is of no use, and a service without sound must not look well: it ends, and whoever
    /// watches it starts it again.
    fn give_up(&self, error: &std::io::Error) {
        let detail = format!("the media thread cannot wait for its sockets: {error}");
        self.telemetry.emit(&Event::Lifecycle(Lifecycle { stage: Stage::Degraded, detail }));
        std::process::abort();
    }

    /// Takes a core for itself and precise timers; without them the thread still runs, less evenly.
    fn settle(&self) {
        let cores = thread::available_cores().unwrap_or_default();
        // The last core: the first ones see most of the interrupts.
        let pinned = cores.last().map_or(Ok(()), |core| thread::pin_to_core(*core));
        if let Err(error) = pinned.and_then(|()| thread::precise_timers()) {
            let detail = format!("the media thread has no core of its own: {error}");
            self.telemetry.emit(&Event::Lifecycle(Lifecycle { stage: Stage::Degraded, detail }));
        }
    }

    fn tick(&mut self, out: &mut Transmits) {
        let mut now = clock::now();
        while self.mixer.poll_timeout().is_some_and(|due| due <= now) {
            out.clear();
            self.mixer.tick(now, out);
            self.send(out);
            self.mixer.tick_took(elapsed(now));
            now = clock::now();
        }
    }

    fn send(&mut self, out: &Transmits) {
        for transmit in out.iter() {
            let Some(index) = self.ports.iter().position(|port| *port == transmit.port) else { continue };
            let (Some(batch), Some(socket)) = (self.sending.get_mut(index), self.sockets.get(index)) else { continue };
            if batch.push(transmit.to, transmit.bytes).is_err() {
                flush(socket, batch);
                // A fresh batch has room for any packet of ours.
                let _ = batch.push(transmit.to, transmit.bytes);
            }
        }
        for (socket, batch) in self.sockets.iter().zip(&mut self.sending) {
            if !batch.is_empty() {
                flush(socket, batch);
            }
        }
    }
}

/// Takes in what came. Who floods a socket gets no more than his turn, and all together no more than the time until the
/// next tick: what is left waits in the sockets' buffers, or is lost there.
fn receive(
    mixer: &mut Mixer,
    sockets: &[Socket],
    ports: &[PortId],
    received: &mut RecvBatch,
    is_ready: impl Fn(usize) -> bool,
) {
    let due = mixer.poll_timeout();
    for turn in 0..BATCHES {
        let mut more = false;
        for (index, (socket, port)) in sockets.iter().zip(ports).enumerate() {
            // The first turn is everybody's, or a late tick would let nothing in.
            let late = turn > 0 && due.is_some_and(|due| due <= clock::now());
            if late || !is_ready(index) || socket.recv_batch(received).is_err() {
                continue;
            }
            let now = clock::now();
            for datagram in received.iter() {
                mixer.handle_packet(*port, datagram.from, datagram.bytes, now);
            }
            more |= received.len() >= BATCH;
        }
        if !more {
            return;
        }
    }
}

/// Sends a batch; what the kernel does not take now is late by the time it would, and is left out.
fn flush(socket: &Socket, batch: &mut SendBatch) {
    socket.send_batch(batch);
    batch.clear();
}

fn elapsed(since: Instant) -> Duration {
    clock::now().saturating_duration_since(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_on_one_socket_gets_its_turn_and_no_more() {
        let options = Options { receive_buffer: Some(BUFFER), ..Options::default() };
        let bind = || Socket::bind("127.0.0.1:0".parse().expect("an address"), options).expect("a socket");
        let sockets = [bind(), bind()];
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").expect("a sender");
        let send = |to: usize| sender.send_to(&[0x80; 12], sockets[to].local_addr()).expect("loopback takes it");
        for _ in 0..BATCH * BATCHES + BATCH {
            send(0);
        }
        send(1);
        let mut mixer = Mixer::new(MixerConfig::default(), 1);
        let mut received = RecvBatch::new(BATCH, 2_048);
        let mut turn = |ready: fn(usize) -> bool| {
            receive(&mut mixer, &sockets, &[PortId(0), PortId(2)], &mut received, ready);
            mixer.report().dropped.iter().sum::<u64>()
        };
        assert_eq!(turn(|_| true), (BATCH * BATCHES + 1) as u64);
        assert_eq!(turn(|_| true), BATCH as u64, "the rest has its turn next");
        assert_eq!(turn(|_| true), 0);
    }
}
