//! TCP for the SIP thread: connections, and which of our listeners they belong to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use cusax_event::Event;
use cusax_event::sip::{DropReason, Dropped};
use cusax_net::clock;
use cusax_net::stream::{CloseReason, Frame, Limits, ListenerId as NetListener, StreamEvent, Streams};
use cusax_sip::framing;
use cusax_sip::{ConnectionId, Flow, ListenerId, Transport};
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

/// What is known before the thread runs.
pub(super) struct Wiring {
    listeners: Vec<(ListenerId, SocketAddr)>,
    limits: Limits,
    orders: mpsc::Receiver<Order>,
    sender: mpsc::Sender<Order>,
}

impl Wiring {
    pub(super) fn new(listeners: Vec<(ListenerId, SocketAddr)>, section: &LimitsSection) -> Self {
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
        let mut listeners = HashMap::new();
        for (id, address) in self.listeners {
            let (listener, _) = streams.listen(address).with_context(|| {
                format!("cannot listen for SIP on tcp {address} (another process may: look with `ss -ltnp`)")
            })?;
            listeners.insert(listener.index(), id);
        }
        let (open, unaccepted) = (HashMap::new(), Complaint::default());
        Ok(Connections { streams, listeners, open, orders: self.orders, unaccepted })
    }
}

/// All connections of the thread.
pub(super) struct Connections {
    streams: Streams,
    listeners: HashMap<usize, ListenerId>,
    /// Listener and other end of each connection.
    open: HashMap<u64, (ListenerId, SocketAddr)>,
    orders: mpsc::Receiver<Order>,
    /// Connections that could not be accepted.
    unaccepted: Complaint,
}

impl Connections {
    pub(super) async fn run(mut self, core: Shared, rearm: Rc<Notify>) {
        loop {
            tokio::select! {
                event = self.streams.next() => {
                    let now = clock::now();
                    self.heard(event, &core, now);
                    core.borrow_mut().settle(now);
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
                let listener =
                    listener.and_then(|listener: NetListener| self.listeners.get(&listener.index()).copied());
                if let Some(listener) = listener {
                    self.open.insert(connection.get(), (listener, peer));
                }
                core.edge.handle_opened(ConnectionId(connection.get()));
            }
            StreamEvent::Message { connection, bytes } => {
                if let Some(flow) = self.flow(connection.get()) {
                    core.edge.handle_message(bytes, flow, now);
                }
            }
            StreamEvent::Closed { connection, reason } => {
                core.edge.handle_closed(ConnectionId(connection.get()));
                let Some(flow) = self.flow(connection.get()) else { return };
                self.open.remove(&connection.get());
                match reason {
                    CloseReason::MessageTime => {
                        core.edge.handle_dropped(DropReason::Deadline, &flow, "half a message, and no more came");
                    }
                    CloseReason::TooLarge => core.edge.handle_dropped(DropReason::TooLarge, &flow, "message too large"),
                    CloseReason::Invalid(what) => core.edge.handle_dropped(DropReason::Malformed, &flow, what),
                    CloseReason::WriteQueue | CloseReason::WriteTime => {
                        core.edge.handle_dropped(DropReason::QueueFull, &flow, "the other end does not read");
                    }
                    CloseReason::ConnectTime | CloseReason::ConnectFailed(_) | CloseReason::Failed(_) => {
                        core.edge.handle_unreachable(&Flow { connection: None, ..flow }, now);
                        core.edge.handle_unreachable(&flow, now);
                    }
                    CloseReason::Peer | CloseReason::Local | CloseReason::Idle => {}
                }
            }
            StreamEvent::Refused { listener, peer, .. } => {
                let flow = self.listeners.get(&listener.index()).map(|listener| Flow {
                    listener: *listener,
                    transport: Transport::Tcp,
                    remote: peer,
                    connection: None,
                });
                if let Some(flow) = flow {
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
        let (listener, remote) = *self.open.get(&connection)?;
        Some(Flow { listener, transport: Transport::Tcp, remote, connection: Some(ConnectionId(connection)) })
    }

    /// Writes on the flow's connection, or on one to the same place, or on a new one (RFC 3261 §18.1.1, RFC 5923).
    fn write(&mut self, order: Order, core: &Shared, now: Instant) {
        let Order { flow, bytes } = order;
        let known = flow.connection.map(|connection| connection.0);
        let reused = || {
            let mut open =
                self.open.iter().filter(|(_, (listener, remote))| (*listener, *remote) == (flow.listener, flow.remote));
            open.next().map(|(connection, _)| *connection)
        };
        let connection = match known.or_else(reused) {
            Some(connection) => Ok(connection.into()),
            None => self.streams.connect(flow.remote).map_err(|_| ()).inspect(|connection| {
                self.open.insert(connection.get(), (flow.listener, flow.remote));
            }),
        };
        let sent = connection.and_then(|connection| self.streams.send(connection, bytes).map_err(|_| ()));
        if sent.is_err() {
            core.borrow_mut().edge.handle_unreachable(&flow, now);
        }
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
