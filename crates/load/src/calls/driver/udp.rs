//! A run over UDP: batches, one thread, no runtime.

use std::io::ErrorKind;

use anyhow::{Context, Result};
use bytes::Bytes;
use cusax_net::udp::{BATCH, Options, PushError, RecvBatch, SendBatch, Socket};
use cusax_net::wait::{Waker, wait};
use cusax_net::{clock, thread};
use cusax_sip::{Flow, ListenerId, Transport};

use super::watch::{Losses, Watch};
use super::{CALLEE, Stop, Wiring};
use crate::calls::report::Report;
use crate::calls::requirement::Requirement;
use crate::calls::{Calls, End, Ends, Phase, Plan};

pub(super) fn run(plan: Plan, wiring: &Wiring, all: Vec<Requirement>, stop: &Stop, run: u32) -> Result<Report> {
    let mut lines = Lines::bind(&plan, wiring)?;
    // The one thing that it does not get everywhere, and can do without.
    let _ = thread::precise_timers();
    let waker = Waker::new().context("eventfd")?;
    let mut calls = Calls::new(plan, &lines.ends, run, clock::now());
    let mut watch = Watch::new(&calls);
    let mut received = RecvBatch::new(BATCH, LARGEST);
    let mut interrupted = false;
    loop {
        let now = clock::now();
        if stop.is_wanted() && !interrupted {
            interrupted = true;
            calls.stop(now);
        }
        calls.handle_timeout(now);
        lines.send(&mut calls);
        watch.look(&calls, now);
        if calls.phase() == Phase::Over {
            break;
        }
        if !lines.receive(&mut calls, &mut received)? {
            let until = calls.poll_timeout().map_or(watch.next(), |timeout| timeout.min(watch.next()));
            wait(&lines.sockets, &waker, until).context("ppoll")?;
        }
    }
    let losses = lines.losses()?;
    Ok(watch.report(&calls, losses, interrupted, all))
}

/// The sockets of a run, each with what waits to be sent on it.
struct Lines {
    sockets: Vec<Socket>,
    batches: Vec<SendBatch>,
    flows: Vec<Flow>,
    ends: Ends,
    unsent: u64,
}

impl Lines {
    fn bind(plan: &Plan, wiring: &Wiring) -> Result<Self> {
        let options = Options { receive_buffer: Some(BUFFER), send_buffer: Some(BUFFER), ..Options::default() };
        let bind = |address| Socket::bind(address, options).with_context(|| format!("UDP socket {address}"));
        let mut sockets = vec![bind(wiring.callee)?];
        let proxy = wiring.proxy.unwrap_or_else(|| sockets[0].local_addr());
        if plan.role.calls() {
            for _ in 0..wiring.connections {
                sockets.push(bind(wiring.caller)?);
            }
        }
        let flow =
            |listener| Flow { listener, transport: Transport::Udp, remote: proxy, connection: None, domain: None };
        let end = |(listener, socket): (u16, &Socket)| End {
            flow: flow(ListenerId(listener)),
            local: socket.local_addr().to_string(),
        };
        let callers = (0..).zip(&sockets).skip(1).map(end).collect();
        let answers = plan.role.answers();
        let ends = Ends { callers, callee: answers.then(|| end((CALLEE.0, &sockets[0]))) };
        let batches = sockets.iter().map(|_| SendBatch::new(BATCH, BATCH * TYPICAL)).collect();
        let flows = (0..).zip(&sockets).map(|(listener, _)| flow(ListenerId(listener))).collect();
        Ok(Self { sockets, batches, flows, ends, unsent: 0 })
    }

    /// Receives one batch from each socket; false where there was nothing.
    fn receive(&mut self, calls: &mut Calls, received: &mut RecvBatch) -> Result<bool> {
        let mut any = false;
        for at in 0..self.sockets.len() {
            match self.sockets[at].recv_batch(received) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error).context("recvmmsg"),
            }
            any = true;
            let now = clock::now();
            for datagram in received.iter() {
                let flow = Flow { remote: datagram.from, ..self.flows[at] };
                calls.handle_message(flow, Bytes::copy_from_slice(datagram.bytes), now);
            }
            self.send(calls);
        }
        Ok(any)
    }

    /// Sends all that the calls have to say.
    fn send(&mut self, calls: &mut Calls) {
        while let Some(transmit) = calls.poll_output() {
            let at = usize::from(transmit.flow.listener.0);
            let (batch, socket) = (&mut self.batches[at], &self.sockets[at]);
            match batch.push(transmit.flow.remote, transmit.bytes) {
                Ok(()) => {}
                Err(PushError::Full) => {
                    self.unsent += flush(batch, socket);
                    self.unsent += u64::from(batch.push(transmit.flow.remote, transmit.bytes).is_err());
                }
                Err(PushError::TooLarge) => self.unsent += 1,
            }
        }
        for (batch, socket) in self.batches.iter_mut().zip(&self.sockets) {
            self.unsent += flush(batch, socket);
        }
    }

    fn losses(&self) -> Result<Losses> {
        let dropped = |socket: &Socket| socket.queue().map(|queue| queue.dropped);
        let drops = self.sockets.iter().map(dropped).sum::<std::io::Result<u32>>();
        let kernel_drops = drops.context("SO_MEMINFO")?.into();
        Ok(Losses { kernel_drops, unsent: self.unsent, lost_connections: 0 })
    }
}

/// Sends what a batch holds, and tells how many could not be.
fn flush(batch: &mut SendBatch, socket: &Socket) -> u64 {
    let mut failed = 0;
    for _ in 0..PATIENCE {
        if batch.is_empty() {
            break;
        }
        let sent = socket.send_batch(batch);
        failed += sent.failed as u64;
        if sent.left > 0 {
            // The network takes no more for the moment, and whoever empties it may need this core.
            std::thread::yield_now();
        }
    }
    failed + batch.clear() as u64
}

/// As much as systems give without further ado.
const BUFFER: usize = 4 << 20;
/// Of a message that is received; what is longer is counted as malformed.
const LARGEST: usize = 9_000;
/// Of a message that is sent, with room for long routes.
const TYPICAL: usize = 1_500;
/// How often it is tried to send a batch.
const PATIENCE: usize = 1_000;
