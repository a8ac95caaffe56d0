//! TCP for the SIP thread: connections, and which of our listeners they belong to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use cusax_event::Event;
use cusax_event::sip::{Connection, ConnectionResult, DropReason, Dropped, Leg};
use cusax_net::clock;
use cusax_net::stream::{CloseReason, Frame, Limits, ListenerId as NetListener, StreamEvent, Streams};
use cusax_sip::framing;
use cusax_sip::{ConnectionId, Flow, ListenerId, Transport};
use cusax_telemetry::Telemetry;
use tokio::sync::{Notify, mpsc};

use super::Shared;
use crate::config::sip::Limits as LimitsSection;
use crate::serve::complaint::Complaint;

/// Messages that wait to be written.
const WAITING: usize = 4_096;

/// A message to write.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) flow: Flow,
    pub(super) bytes: Bytes,
}

/// A listener of ours for streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listening {
    pub(super) id: ListenerId,
    pub(super) address: SocketAddr,
    /// Whom it is for.
    pub(super) leg: Leg,
}

/// What is known before the thread runs.
pub(super) struct Wiring {
    listeners: Vec<Listening>,
    limits: Limits,
    orders: mpsc::Receiver<Order>,
    sender: mpsc::Sender<Order>,
}

impl Wiring {
    pub(super) fn new(listeners: Vec<Listening>, section: &LimitsSection) -> Self {
        let (sender, orders) = mpsc::channel(WAITING);
        let size = |value: std::num::NonZeroU32| usize::try_from(value.get()).unwrap_or(usize::MAX);
        let limits = Limits {
            connections: size(section.connections),
            per_source: size(section.connections_per_source),
            message_bytes: size(section.message_bytes),
            ..Limits::default()
        };
        Self { listeners, limits, orders, sender }
    }

    pub(super) fn sender(&self) -> mpsc::Sender<Order> {
        self.sender.clone()
    }

    /// Listens; to be called in the thread's runtime.
    pub(super) fn open(self) -> anyhow::Result<Connections> {
        let mut streams = Streams::new(frame, self.limits);
        for Listening { address, .. } in &self.listeners {
            streams.listen(*address).with_context(|| {
                format!("cannot listen for SIP on tcp {address} (another process may: look with `ss -ltnp`)")
            })?;
        }
        let (open, reached, unaccepted) = (HashMap::new(), HashMap::new(), Complaint::default());
        Ok(Connections { streams, listeners: self.listeners, open, reached, orders: self.orders, unaccepted })
    }
}

/// All connections of the thread.
pub(super) struct Connections {
    streams: Streams,
    /// In the order in which they were opened, which is that of their ids.
    listeners: Vec<Listening>,
    /// Each connection that is there or being made.
    open: HashMap<u64, Open>,
    /// The connection that reaches a place from a listener, the newest of several.
    reached: HashMap<(ListenerId, SocketAddr), u64>,
    orders: mpsc::Receiver<Order>,
    /// Connections that could not be accepted.
    unaccepted: Complaint,
}

/// A connection.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// The listener that accepted it, or that it was made for.
    listener: ListenerId,
    remote: SocketAddr,
    /// False while it is being made.
    established: bool,
}

impl Connections {
    pub(super) async fn run(mut self, core: Shared, rearm: Rc<Notify>) {
        loop {
            tokio::select! {
                event = self.streams.next() => {
                    let now = clock::now();
                    self.heard(event, &core, now);
                    core.borrow_mut().settle_received(now);
                }
                order = self.orders.recv() => {
                    let Some(order) = order else { return };
                    let now = clock::now();
                    self.write(order, &core, now);
                    core.borrow_mut().settle(now);
                }
            }
            rearm.notify_one();
        }
    }

    fn heard(&mut self, event: StreamEvent, core: &Shared, now: Instant) {
        let mut core = core.borrow_mut();
        match event {
            StreamEvent::Opened { connection, peer, listener, .. } => {
                let result = if listener.is_some() { ConnectionResult::Accepted } else { ConnectionResult::Connected };
                if let Some(Listening { id, .. }) = listener.and_then(|listener| self.listening(listener)) {
                    self.note(connection.get(), Open { listener: id, remote: peer, established: true });
                } else if let Some(open) = self.open.get_mut(&connection.get()) {
                    open.established = true;
                }
                core.edge.handle_opened(ConnectionId(connection.get()));
                if let Some(flow) = self.flow(connection.get()) {
                    self.tell(&core.telemetry, &flow, result);
                }
            }
            StreamEvent::Message { connection, bytes } => {
                if let Some(flow) = self.flow(connection.get()) {
                    core.edge.handle_message(bytes, flow, now);
                }
            }
            StreamEvent::Closed { connection, reason } => {
                core.edge.handle_closed(ConnectionId(connection.get()));
                let Some(flow) = self.flow(connection.get()) else { return };
                let established = self.forget(connection.get()).is_some_and(|open| open.established);
                let result = if established { ConnectionResult::Closed } else { ConnectionResult::Failed };
                self.tell(&core.telemetry, &flow, result);
                match reason {
                    CloseReason::MessageTime => {
                        core.edge.handle_dropped(DropReason::Deadline, &flow, "half a message, and no more came");
                    }
                    CloseReason::TooLarge => core.edge.handle_dropped(DropReason::TooLarge, &flow, "message too large"),
                    CloseReason::Invalid(what) => core.edge.handle_dropped(DropReason::Malformed, &flow, what),
                    CloseReason::WriteQueue | CloseReason::WriteTime => {
                        core.edge.handle_dropped(DropReason::QueueFull, &flow, "the other end does not read");
                    }
                    CloseReason::ConnectTime
                    | CloseReason::ConnectFailed(_)
                    | CloseReason::Failed(_)
                    | CloseReason::Peer
                    | CloseReason::Local
                    | CloseReason::Idle => {}
                }
                // Whatever ended it: who waits for an answer on it waits in vain.
                core.edge.handle_unreachable(&Flow { connection: None, ..flow }, now);
                core.edge.handle_unreachable(&flow, now);
            }
            StreamEvent::Refused { listener, peer, .. } => {
                let flow = self.listening(listener).map(|listening| Flow {
                    listener: listening.id,
                    transport: Transport::Tcp,
                    remote: peer,
                    connection: None,
                });
                if let Some(flow) = flow {
                    self.tell(&core.telemetry, &flow, ConnectionResult::Refused);
                    core.edge.handle_dropped(DropReason::Overload, &flow, "too many connections");
                }
            }
            StreamEvent::AcceptFailed { error, .. } => {
                let reason = DropReason::AcceptFailed;
                let detail = "a connection could not be accepted";
                let dropped = Dropped { reason, transport: Transport::Tcp, remote: None, detail };
                core.telemetry.emit(&Event::SipDropped(dropped));
                let detail = || format!("SIP connections cannot be accepted: {error}");
                self.unaccepted.say(&core.telemetry, detail, now);
            }
        }
    }

    fn flow(&self, connection: u64) -> Option<Flow> {
        let Open { listener, remote, .. } = *self.open.get(&connection)?;
        Some(Flow { listener, transport: Transport::Tcp, remote, connection: Some(ConnectionId(connection)) })
    }

    fn listening(&self, listener: NetListener) -> Option<Listening> {
        self.listeners.get(listener.index()).copied()
    }

    fn tell(&self, telemetry: &Telemetry, flow: &Flow, result: ConnectionResult) {
        let Some(listening) = self.listeners.iter().find(|listening| listening.id == flow.listener) else { return };
        let (leg, remote) = (listening.leg, flow.remote);
        telemetry.emit(&Event::SipConnection(Connection { leg, transport: Transport::Tcp, result, remote }));
    }

    /// Writes on the flow's connection, or on one to the same place, or on a new one (RFC 3261 §18.1.1, RFC 5923).
    fn write(&mut self, order: Order, core: &Shared, now: Instant) {
        let Order { flow, bytes } = order;
        let sent = match flow.connection {
            Some(connection) => self.streams.send(connection.0.into(), bytes).is_ok(),
            None => {
                let reused = self.reached.get(&(flow.listener, flow.remote)).copied();
                // One that has just ended is found out here, before its end is told.
                reused.is_some_and(|connection| self.streams.send(connection.into(), bytes.clone()).is_ok())
                    || self.connect(flow).is_some_and(|connection| self.streams.send(connection, bytes).is_ok())
            }
        };
        if !sent {
            core.borrow_mut().edge.handle_unreachable(&flow, now);
        }
    }

    fn connect(&mut self, flow: Flow) -> Option<cusax_net::stream::ConnectionId> {
        let connection = self.streams.connect(flow.remote).ok()?;
        self.note(connection.get(), Open { listener: flow.listener, remote: flow.remote, established: false });
        Some(connection)
    }

    fn note(&mut self, connection: u64, open: Open) {
        self.open.insert(connection, open);
        self.reached.insert((open.listener, open.remote), connection);
    }

    fn forget(&mut self, connection: u64) -> Option<Open> {
        let open = self.open.remove(&connection)?;
        let place = (open.listener, open.remote);
        if self.reached.get(&place) == Some(&connection) {
            self.reached.remove(&place);
        }
        Some(open)
    }
}

/// SIP's framing in the terms of a byte stream.
fn frame(buffer: &[u8]) -> Frame {
    match framing::frame(buffer) {
        framing::Frame::Incomplete if buffer.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => Frame::Blank,
        framing::Frame::Incomplete => Frame::Incomplete,
        framing::Frame::Ping(length) => Frame::Ping(length, b"\r\n"),
        framing::Frame::Skip(length) => Frame::Skip(length),
        framing::Frame::Message(length) => Frame::Message(length),
        framing::Frame::Invalid(what) => Frame::Invalid(what),
    }
}
