//! Streams for the SIP thread: connections, and which of our listeners they belong to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use cusax_event::Event;
use cusax_event::sip::{Connection, ConnectionResult, DropReason, Dropped, Leg};
use cusax_event::tls::Side;
use cusax_net::clock;
use cusax_net::stream::{
    CloseReason, Frame, Layer, ListenerId as NetListener, RefuseReason, SecureTarget, StreamEvent, Streams,
};
use cusax_net::tls::Client;
use cusax_sip::framing;
use cusax_sip::{ConnectionId, Flow, ListenerId, Transport};
use cusax_telemetry::Telemetry;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};

use super::{Epoch, Settings, Shared, handshake};
use crate::serve::complaint::Complaint;

/// Messages that wait to be written.
const WAITING: usize = 4_096;

/// Events after which the tasks that write come first: fewer than messages may wait for one connection.
const TURN: u32 = 16;

/// A message to write.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) flow: Flow,
    pub(super) bytes: Bytes,
}

/// A listener of ours for streams.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) id: ListenerId,
    pub(super) address: SocketAddr,
    pub(super) transport: Transport,
    /// Whom it is for.
    pub(super) leg: Leg,
}

/// What is known before the thread runs.
pub(super) struct Wiring {
    listeners: Vec<Listening>,
    settings: Settings,
    control: Handle,
    epochs: mpsc::Receiver<Epoch>,
    orders: mpsc::Receiver<Order>,
    sender: mpsc::Sender<Order>,
}

impl Wiring {
    pub(super) fn new(
        listeners: Vec<Listening>,
        settings: Settings,
        control: Handle,
        epochs: mpsc::Receiver<Epoch>,
    ) -> Self {
        let (sender, orders) = mpsc::channel(WAITING);
        Self { listeners, settings, control, epochs, orders, sender }
    }

    pub(super) fn sender(&self) -> mpsc::Sender<Order> {
        self.sender.clone()
    }

    /// Listens; to be called in the thread's runtime.
    pub(super) fn open(self) -> anyhow::Result<Connections> {
        let Settings { limits, layers, client } = self.settings;
        let mut streams = Streams::new(frame, limits, self.control);
        for (Listening { address, transport, .. }, layers) in self.listeners.iter().zip(layers) {
            streams.listen(*address, layers).with_context(|| {
                format!("cannot listen for SIP on {transport} {address} (another process may: look with `ss -ltnp`)")
            })?;
        }
        Ok(Connections {
            streams,
            listeners: self.listeners,
            open: HashMap::new(),
            reached: HashMap::new(),
            client,
            epochs: self.epochs,
            orders: self.orders,
            unaccepted: Complaint::default(),
            unsecured: Complaint::default(),
        })
    }
}

/// All connections of the thread.
pub(super) struct Connections {
    pub(super) streams: Streams,
    /// In the order in which they were opened, which is that of their ids.
    listeners: Vec<Listening>,
    /// Each connection that is there or being made.
    open: HashMap<u64, Open>,
    /// The connection that reaches a place, the newest of several. One by TLS is for those domains only
    /// that it was made to, and one that was accepted for none: who connects to us proves nothing by that (RFC 5923).
    reached: HashMap<Reached, u64>,
    /// What connects by TLS.
    pub(super) client: Option<Client>,
    epochs: mpsc::Receiver<Epoch>,
    orders: mpsc::Receiver<Order>,
    /// Connections that could not be accepted.
    unaccepted: Complaint,
    /// Connections by TLS that could not be made.
    unsecured: Complaint,
}

/// A flow without connection, and the SIP domains that a connection of it was asked to prove.
type Reached = (Flow, Vec<String>);

/// A connection.
#[derive(Debug)]
struct Open {
    /// What it was made for; of one that was accepted, what it came from.
    place: Reached,
    /// False while it is being made.
    established: bool,
    /// True where the other end made it.
    accepted: bool,
}

impl Connections {
    pub(super) async fn run(mut self, core: Shared, rearm: Rc<Notify>) {
        let mut events = 0_u32;
        loop {
            events = events.wrapping_add(1);
            if events.is_multiple_of(TURN) {
                // What is answered has to be written before it is too much to wait.
                tokio::task::yield_now().await;
            }
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
                Some(epoch) = self.epochs.recv() => self.begin(epoch, &core, clock::now()),
            }
            rearm.notify_one();
        }
    }

    fn heard(&mut self, event: StreamEvent, core: &Shared, now: Instant) {
        let mut core = core.borrow_mut();
        match event {
            StreamEvent::Opened { connection, peer, listener, security, .. } => {
                let result = if listener.is_some() { ConnectionResult::Accepted } else { ConnectionResult::Connected };
                if let Some(&Listening { id, transport, .. }) = listener.and_then(|listener| self.listening(listener)) {
                    let flow = Flow { listener: id, transport, remote: peer, connection: None, domain: None };
                    self.note(connection.get(), Open { place: (flow, Vec::new()), established: true, accepted: true });
                } else if let Some(open) = self.open.get_mut(&connection.get()) {
                    open.established = true;
                }
                if let Some(security) = &security {
                    let side = if listener.is_some() { Side::Server } else { Side::Client };
                    core.telemetry.emit(&handshake::done(side, security.version, peer));
                }
                let (identities, users) =
                    security.map(|security| (security.identities, security.users)).unwrap_or_default();
                core.edge.handle_opened(ConnectionId(connection.get()), identities);
                core.edge.handle_certified(ConnectionId(connection.get()), &users);
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
                let Some((Open { place, established, accepted }, last)) = self.forget(connection.get()) else { return };
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
                    CloseReason::Handshake(failure) => {
                        core.telemetry.emit(&handshake::failed(Side::Client, failure.cause, flow.remote));
                        let domains = place.1.join(" or ");
                        let why = || format!("no TLS with {domains}: {}", failure.cause.detail());
                        self.unsecured.say(&core.telemetry, why, now);
                    }
                    CloseReason::ConnectTime
                    | CloseReason::ConnectFailed(_)
                    | CloseReason::Failed(_)
                    | CloseReason::Peer
                    | CloseReason::Local
                    | CloseReason::Idle => {}
                }
                // Whatever ended it: who waits for an answer on it waits in vain.
                if last && !accepted {
                    // Where another took its place, what was sent to that place since waits on the new one.
                    core.edge.handle_unreachable(&place.0, now);
                }
                core.edge.handle_unreachable(&flow, now);
            }
            StreamEvent::Refused { listener, peer, reason } => {
                let Some(listening) = self.listening(listener) else { return };
                let (transport, listener) = (listening.transport, listening.id);
                let flow = Flow { listener, transport, remote: peer, connection: None, domain: None };
                let (result, dropped, detail) = match reason {
                    RefuseReason::Connections | RefuseReason::Source => {
                        (ConnectionResult::Refused, DropReason::Overload, "too many connections")
                    }
                    RefuseReason::Handshakes => {
                        (ConnectionResult::Refused, DropReason::Overload, "too many handshakes at a time")
                    }
                    RefuseReason::Handshake(failure) => {
                        if failure.layer == Layer::Tls {
                            core.telemetry.emit(&handshake::failed(Side::Server, failure.cause, peer));
                        }
                        (ConnectionResult::Failed, handshake::drop_reason(failure), failure.cause.detail())
                    }
                };
                self.tell(&core.telemetry, &flow, result);
                core.edge.handle_dropped(dropped, &flow, detail);
            }
            StreamEvent::AcceptFailed { listener, error } => {
                let reason = DropReason::AcceptFailed;
                let detail = "a connection could not be accepted";
                let transport = self.listening(listener).map_or(Transport::Tcp, |listening| listening.transport);
                let dropped = Dropped { reason, transport, remote: None, count: 1, detail };
                core.telemetry.emit(&Event::SipDropped(dropped));
                let detail = || format!("SIP connections cannot be accepted: {error}");
                self.unaccepted.say(&core.telemetry, detail, now);
            }
        }
    }

    fn flow(&self, connection: u64) -> Option<Flow> {
        let (place, _) = &self.open.get(&connection)?.place;
        Some(Flow { connection: Some(ConnectionId(connection)), domain: None, ..*place })
    }

    fn listening(&self, listener: NetListener) -> Option<&Listening> {
        self.listeners.get(listener.index())
    }

    fn tell(&self, telemetry: &Telemetry, flow: &Flow, result: ConnectionResult) {
        let Some(listening) = self.listeners.iter().find(|listening| listening.id == flow.listener) else { return };
        let (leg, transport, remote) = (listening.leg, flow.transport, flow.remote);
        telemetry.emit(&Event::SipConnection(Connection { leg, transport, result, remote }));
    }

    /// Writes on the flow's connection, or on one to the same place, or on a new one (RFC 3261 §18.1.1, RFC 5923).
    fn write(&mut self, order: Order, core: &Shared, now: Instant) {
        let Order { flow, bytes } = order;
        let sent = match flow.connection {
            Some(connection) => self.streams.send(connection.0.into(), bytes).is_ok(),
            None => {
                let secure = flow.transport == Transport::Tls;
                let domains = if secure { core.borrow().edge.domains_at(&flow) } else { Vec::new() };
                let place = (flow, domains);
                let reused = self.reached.get(&place).copied().filter(|_| secure != place.1.is_empty());
                // One that has just ended is found out here, before its end is told.
                reused.is_some_and(|connection| self.streams.send(connection.into(), bytes.clone()).is_ok())
                    || self
                        .connect(place, core, now)
                        .is_some_and(|connection| self.streams.send(connection, bytes).is_ok())
            }
        };
        if !sent {
            core.borrow_mut().edge.handle_unreachable(&flow, now);
        }
    }

    fn connect(&mut self, place: Reached, core: &Shared, now: Instant) -> Option<cusax_net::stream::ConnectionId> {
        let (flow, domains) = &place;
        let tls = match (flow.transport, &self.client) {
            (Transport::Tcp, _) => None,
            (Transport::Tls, Some(client)) if !domains.is_empty() => {
                Some(SecureTarget { client: client.clone(), domains: domains.clone() })
            }
            (Transport::Tls, _) => {
                let why = || "no TLS with a server: it is not known whose certificate to expect".to_owned();
                self.unsecured.say(&core.borrow().telemetry, why, now);
                return None;
            }
            // Browsers connect to us, and nobody to them (RFC 7118 §5).
            (Transport::Ws | Transport::Wss | Transport::Udp | Transport::Internal, _) => return None,
        };
        let connection = self.streams.connect(flow.remote, tls).ok()?;
        self.note(connection.get(), Open { place, established: false, accepted: false });
        Some(connection)
    }

    fn note(&mut self, connection: u64, open: Open) {
        self.reached.insert(open.place.clone(), connection);
        self.open.insert(connection, open);
    }

    /// What it was, and whether it was the one that reached its place.
    fn forget(&mut self, connection: u64) -> Option<(Open, bool)> {
        let open = self.open.remove(&connection)?;
        let last = self.reached.get(&open.place) == Some(&connection);
        if last {
            self.reached.remove(&open.place);
        }
        Some((open, last))
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
