//! A run over TCP or TLS: connections of the callers to the server, and those that the server makes to the callees.

use std::collections::{HashMap, VecDeque};
use std::future::ready;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use cusax_net::alarm::Alarm;
use cusax_net::clock;
use cusax_net::stream::{ConnectionId, Frame, Layers, Limits, SecureTarget, SendError, StreamEvent, Streams};
use cusax_sip::{Flow, ListenerId, Transport, flow, framing};
use tokio::runtime::Handle;
use tokio::time::timeout_at;

use super::watch::{Losses, Watch};
use super::{CALLEE, Stop, Wiring};
use crate::calls::report::Report;
use crate::calls::requirement::Requirement;
use crate::calls::{Calls, End, Ends, Phase, Plan};

pub(super) async fn run(
    plan: Plan,
    wiring: &Wiring,
    all: Vec<Requirement>,
    stop: &Stop,
    run: u32,
    control: Handle,
) -> Result<Report> {
    let (mut lines, ends) = Lines::open(&plan, wiring, control).await?;
    let mut calls = Calls::new(plan, &ends, run, clock::now());
    let mut watch = Watch::new(&calls);
    // Thousands of calls a second are fractions of a millisecond apart.
    let alarm = Alarm::new().context("timerfd")?;
    let mut interrupted = false;
    loop {
        let now = clock::now();
        if stop.is_wanted() && !interrupted {
            interrupted = true;
            calls.stop(now);
        }
        lines.reconnect(now);
        calls.handle_timeout(now);
        lines.send(&mut calls);
        watch.look(&calls, now);
        if calls.phase() == Phase::Over {
            break;
        }
        let until = calls.poll_timeout().map_or(watch.next(), |timeout| timeout.min(watch.next()));
        tokio::select! {
            biased;
            event = lines.streams.next() => {
                lines.handle(event, &mut calls);
                // What else is there already shares one look at the clock and one round of timers.
                for _ in 0..MORE {
                    let more = tokio::select! {
                        biased;
                        event = lines.streams.next() => Some(event),
                        () = ready(()) => None,
                    };
                    let Some(event) = more else { break };
                    lines.handle(event, &mut calls);
                }
            }
            rung = alarm.wait_until(until) => rung.context("timerfd")?,
        }
    }
    Ok(watch.report(&calls, lines.losses, interrupted, all))
}

/// The connections of a run.
struct Lines {
    streams: Streams,
    transport: Transport,
    proxy: SocketAddr,
    secure: Option<SecureTarget>,
    /// Those of the callers, by their end.
    callers: Vec<ConnectionId>,
    peers: HashMap<ConnectionId, SocketAddr>,
    /// Ends without a connection, and when another is tried.
    lost: VecDeque<(Instant, usize)>,
    losses: Losses,
}

impl Lines {
    /// Listens, connects, and waits until all connections are there.
    async fn open(plan: &Plan, wiring: &Wiring, control: Handle) -> Result<(Self, Ends)> {
        let limits = Limits {
            connections: CONNECTIONS,
            per_source: CONNECTIONS,
            write_queue: QUEUE,
            own_write_queue: QUEUE,
            own_connections: CONNECTIONS,
            events: QUEUE,
            ..Limits::default()
        };
        let mut streams = Streams::new(frame, limits, control);
        let transport = plan.transport;
        let mut listening = None;
        if plan.role.answers() {
            let layers = Layers { tls: wiring.tls_server.clone(), ..Layers::default() };
            let listen = streams.listen(wiring.callee, layers);
            let (_, local) = listen.with_context(|| format!("listening at {}", wiring.callee))?;
            listening = Some(local);
        }
        let proxy = wiring.proxy.or(listening).ok_or_else(|| anyhow!("there is no server"))?;
        let secure = wiring.tls_client.clone().map(|(client, domains)| SecureTarget { client, domains });
        let mut lines = Self {
            streams,
            transport,
            proxy,
            secure,
            callers: Vec::new(),
            peers: HashMap::new(),
            lost: VecDeque::new(),
            losses: Losses::default(),
        };
        // Callees without callers of their own register on one, too.
        let wanted = match (plan.role.calls(), plan.register) {
            (true, _) => wiring.connections,
            (false, Some(_)) => 1,
            (false, None) => 0,
        };
        let mut callers = Vec::new();
        for end in 0..wanted {
            let (connection, local) = lines.connect().await?;
            lines.callers.push(connection);
            let flow = lines.flow(ListenerId(end + 1), connection, proxy);
            callers.push(End { flow, local: local.to_string() });
        }
        let callee = listening
            .map(|local| End { flow: lines.flow(CALLEE, ConnectionId::from(0), proxy), local: local.to_string() });
        Ok((lines, Ends { callers, callee }))
    }

    async fn connect(&mut self) -> Result<(ConnectionId, SocketAddr)> {
        let proxy = self.proxy;
        let wanted = self.streams.connect(proxy, self.secure.clone()).context("connecting")?;
        let deadline = clock::now() + CONNECT;
        loop {
            let event = timeout_at(deadline.into(), self.streams.next()).await;
            match event.with_context(|| format!("{proxy} does not answer"))? {
                StreamEvent::Opened { connection, local, peer, .. } => {
                    self.peers.insert(connection, peer);
                    if connection == wanted {
                        return Ok((wanted, local));
                    }
                }
                StreamEvent::Closed { connection, reason } if connection == wanted => {
                    bail!("no connection to {proxy}: {reason:?}")
                }
                StreamEvent::Refused { reason, .. } => bail!("a connection to the callees failed: {reason:?}"),
                StreamEvent::Closed { .. } | StreamEvent::AcceptFailed { .. } | StreamEvent::Message { .. } => {}
            }
        }
    }

    fn flow(&self, listener: ListenerId, connection: ConnectionId, remote: SocketAddr) -> Flow {
        let connection = Some(flow::ConnectionId(connection.get()));
        Flow { listener, transport: self.transport, remote, connection, domain: None }
    }

    fn handle(&mut self, event: StreamEvent, calls: &mut Calls) {
        match event {
            StreamEvent::Opened { connection, peer, .. } => {
                self.peers.insert(connection, peer);
                if let Some(end) = self.end_of(connection) {
                    calls.handle_opened(end, flow::ConnectionId(connection.get()));
                }
            }
            StreamEvent::Message { connection, bytes } => {
                let remote = self.peers.get(&connection).copied().unwrap_or(self.proxy);
                calls.handle_message(self.flow(CALLEE, connection, remote), bytes, clock::now());
                self.send(calls);
            }
            StreamEvent::Closed { connection, .. } => {
                self.peers.remove(&connection);
                if let Some(end) = self.end_of(connection) {
                    self.losses.lost_connections += 1;
                    calls.handle_closed(end);
                    self.lost.push_back((clock::now() + AGAIN, end));
                }
            }
            StreamEvent::Refused { .. } | StreamEvent::AcceptFailed { .. } => self.losses.lost_connections += 1,
        }
    }

    fn end_of(&self, connection: ConnectionId) -> Option<usize> {
        self.callers.iter().position(|caller| *caller == connection)
    }

    /// Connects the callers' ends again that lost their connections a while ago.
    fn reconnect(&mut self, now: Instant) {
        while let Some((_, end)) = self.lost.pop_front_if(|(at, _)| *at <= now) {
            match self.streams.connect(self.proxy, self.secure.clone()) {
                Ok(connection) => self.callers[end] = connection,
                Err(_) => self.lost.push_back((now + AGAIN, end)),
            }
        }
    }

    fn send(&mut self, calls: &mut Calls) {
        while let Some(transmit) = calls.poll_output() {
            let Some(connection) = transmit.flow.connection else { continue };
            match self.streams.send(ConnectionId::from(connection.0), Bytes::copy_from_slice(transmit.bytes)) {
                // What was on a connection that is gone is told when it is.
                Ok(()) | Err(SendError::Closed) => {}
                Err(SendError::Full) => self.losses.unsent += 1,
            }
        }
    }
}

fn frame(bytes: &[u8]) -> Frame {
    match framing::frame(bytes) {
        framing::Frame::Incomplete if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => Frame::Blank,
        framing::Frame::Incomplete => Frame::Incomplete,
        framing::Frame::Ping(length) => Frame::Ping(length, b"\r\n"),
        framing::Frame::Skip(length) => Frame::Skip(length),
        framing::Frame::Message(length) => Frame::Message(length),
        framing::Frame::Invalid(detail) => Frame::Invalid(detail),
    }
}

/// More than a server has from one host.
const CONNECTIONS: usize = 100_000;
/// Messages that may wait for one connection, and events of all.
const QUEUE: usize = 16_384;
/// Events that are taken in one go.
const MORE: usize = 256;
const CONNECT: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(1);
