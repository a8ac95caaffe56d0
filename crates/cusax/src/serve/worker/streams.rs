//! TCP for the SIP thread: connections, and which of our listeners they belong to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use cusax_event::sip::DropReason;
use cusax_net::clock;
use cusax_net::stream::{CloseReason, Frame, Limits, ListenerId as NetListener, StreamEvent, Streams};
use cusax_sip::framing;
use cusax_sip::{ConnectionId, Flow, ListenerId, Transport};
use tokio::sync::{Notify, mpsc};

use super::Shared;
use crate::config::sip::Limits as LimitsSection;

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
        let (open, reached) = (HashMap::new(), HashMap::new());
        Ok(Connections { streams, listeners, open, reached, orders: self.orders })
    }
}

/// All connections of the thread.
pub(super) struct Connections {
    streams: Streams,
    listeners: HashMap<usize, ListenerId>,
    /// Listener and other end of each connection.
    open: HashMap<u64, (ListenerId, SocketAddr)>,
    /// The connection that reaches a place from a listener, the newest of several.
    reached: HashMap<(ListenerId, SocketAddr), u64>,
    orders: mpsc::Receiver<Order>,
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
                    self.note(connection.get(), listener, peer);
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
                self.forget(connection.get());
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
            StreamEvent::AcceptFailed { .. } => {}
        }
    }

    fn flow(&self, connection: u64) -> Option<Flow> {
        let (listener, remote) = *self.open.get(&connection)?;
        Some(Flow { listener, transport: Transport::Tcp, remote, connection: Some(ConnectionId(connection)) })
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
        self.note(connection.get(), flow.listener, flow.remote);
        Some(connection)
    }

    fn note(&mut self, connection: u64, listener: ListenerId, remote: SocketAddr) {
        self.open.insert(connection, (listener, remote));
        self.reached.insert((listener, remote), connection);
    }

    fn forget(&mut self, connection: u64) {
        if let Some(place) = self.open.remove(&connection)
            && self.reached.get(&place) == Some(&connection)
        {
            self.reached.remove(&place);
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
