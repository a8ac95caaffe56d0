//! Message streams over TCP, TLS and WebSocket: listeners, connections, and one queue of what happens on them.
//!
//! One worker owns a [`Streams`]; each listener and connection is a task of that worker's runtime, which speaks to it
//! through one bounded queue and ends with it. Where the queue is full, tasks stop to read, and TCP slows the peers. What
//! comes before the first message of a connection (PROXY header, TLS, upgrade to a WebSocket) runs on another runtime.

mod balancers;
mod connection;
mod event;
mod framing;
mod handshake;
mod limits;
mod listener;
mod proxy_header;
mod source;
mod websocket;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::{AbortHandle, JoinSet};

pub use balancers::Balancers;
pub use event::{CloseReason, RefuseReason, StreamEvent};
pub use framing::{Frame, Framer};
pub use handshake::{Cause, HandshakeFailure, Layer, Layers, SecureTarget, Security};
pub use limits::Limits;

use crate::random;
use connection::{Beginning, Connection};
use source::Sources;

/// Names a connection; never used twice in the life of the process.
///
/// The first number is drawn, so that a token that named a connection before a restart names none after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u64);

/// Names a listener of one [`Streams`]: the first that it was given is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(usize);

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The connection is gone, or is being closed.
    #[error("the connection is closed")]
    Closed,
    /// Its queue was full: the connection is dropped, and `Closed` follows with [`CloseReason::WriteQueue`].
    #[error("the connection's write queue is full")]
    Full,
}

/// There are [`Limits::connections`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are as many connections as allowed")]
pub struct AtCapacity;

/// The listeners and connections of one worker; dropping it ends them all.
#[derive(Debug)]
pub struct Streams {
    framer: Framer,
    limits: Limits,
    /// Where handshakes run, and how many may.
    control: Handle,
    handshakes: Arc<Semaphore>,
    /// What the connections of each listener begin with.
    listeners: Vec<Layers>,
    connections: HashMap<ConnectionId, Entry>,
    sources: Sources,
    dropped: VecDeque<ConnectionId>,
    reports: mpsc::Sender<Report>,
    inbox: mpsc::Receiver<Report>,
    tasks: JoinSet<()>,
}

/// What the owner knows of a connection.
#[derive(Debug)]
struct Entry {
    /// `None` once the connection is being closed.
    writes: Option<mpsc::Sender<Bytes>>,
    task: AbortHandle,
    peer: SocketAddr,
    /// Who accepted it; `None` for one that we made.
    listener: Option<ListenerId>,
    /// The source that it counts for; `None` for one that we made, and while it is not known.
    source: Option<IpAddr>,
    /// False until `Opened` was told.
    opened: bool,
}

/// What tasks tell the owner.
#[derive(Debug)]
enum Report {
    Accepted { listener: ListenerId, stream: TcpStream, local: SocketAddr, peer: SocketAddr },
    AcceptFailed { listener: ListenerId, error: io::Error },
    Established { id: ConnectionId, local: SocketAddr, peer: SocketAddr, security: Option<Security> },
    Message { id: ConnectionId, bytes: Bytes },
    Closed { id: ConnectionId, reason: CloseReason },
}

impl Streams {
    /// Makes an owner without listeners or connections; `framer` finds the messages of all of them, and `control` is the
    /// runtime for handshakes.
    #[must_use]
    pub fn new(framer: Framer, limits: Limits, control: Handle) -> Self {
        let (reports, inbox) = mpsc::channel(limits.events.max(1));
        Self {
            framer,
            limits,
            control,
            handshakes: Arc::new(Semaphore::new(limits.handshakes)),
            listeners: Vec::new(),
            connections: HashMap::new(),
            sources: Sources::default(),
            dropped: VecDeque::new(),
            reports,
            inbox,
            tasks: JoinSet::new(),
        }
    }

    /// Accepts connections at `address` (port 0: any free one) that begin with `layers`, and tells the address that it is
    /// bound to.
    ///
    /// # Errors
    /// What the system calls say, `AddrInUse` above all.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn listen(&mut self, address: SocketAddr, layers: Layers) -> io::Result<(ListenerId, SocketAddr)> {
        let listener = listener::bind(address)?;
        let local = listener.local_addr()?;
        let id = ListenerId(self.listeners.len());
        self.listeners.push(layers);
        self.tasks.spawn(listener::accept(listener, id, self.reports.clone()));
        Ok((id, local))
    }

    /// Takes other limits and, one for each listener in their order, other layers: for connections that are accepted or made
    /// from now on. Those that are there stay as they are, also where they are more than would be let in.
    pub fn reconfigure(&mut self, limits: Limits, layers: Vec<Layers>) {
        debug_assert_eq!(layers.len(), self.listeners.len());
        (self.limits, self.listeners) = (limits, layers);
    }

    /// Begins to connect, by TCP or by TLS; `Opened` or `Closed` tells how it went. What is sent meanwhile is queued.
    ///
    /// # Errors
    /// [`AtCapacity`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect(&mut self, to: SocketAddr, tls: Option<SecureTarget>) -> Result<ConnectionId, AtCapacity> {
        if self.connections.len() >= self.limits.connections + self.limits.own_connections {
            return Err(AtCapacity);
        }
        let (connection, writes) = self.connection(self.limits.own_write_queue);
        let id = connection.id;
        let tls = tls.map(|target| (self.control.clone(), target));
        let task = self.tasks.spawn(connection.connect(to, tls));
        let entry = Entry { writes: Some(writes), task, peer: to, listener: None, source: None, opened: false };
        self.connections.insert(id, entry);
        Ok(id)
    }

    /// Queues one message.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send(&mut self, connection: ConnectionId, bytes: Bytes) -> Result<(), SendError> {
        let writes =
            self.connections.get(&connection).and_then(|entry| entry.writes.as_ref()).ok_or(SendError::Closed)?;
        match writes.try_send(bytes) {
            Ok(()) => Ok(()),
            // The task has ended by itself; its `Closed` is on its way.
            Err(TrySendError::Closed(_)) => Err(SendError::Closed),
            Err(TrySendError::Full(_)) => {
                if let Some(entry) = self.remove(connection) {
                    entry.task.abort();
                    self.dropped.push_back(connection);
                }
                Err(SendError::Full)
            }
        }
    }

    /// Closes a connection once what is queued has been written; `Closed` tells when that is done.
    pub fn close(&mut self, connection: ConnectionId) {
        if let Some(entry) = self.connections.get_mut(&connection) {
            entry.writes = None;
        }
    }

    /// How many connections there are, those that are being made and closed among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// True where there is no connection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Waits for the next event; for ever where there is neither listener nor connection. Dropping the future loses none.
    pub async fn next(&mut self) -> StreamEvent {
        loop {
            if let Some(connection) = self.dropped.pop_front() {
                let reason = CloseReason::WriteQueue;
                return StreamEvent::Closed { connection, reason };
            }
            let Some(report) = self.inbox.recv().await else {
                // `self.reports` is a sender, so the queue cannot have ended.
                return std::future::pending().await;
            };
            if let Some(event) = self.take(report) {
                return event;
            }
        }
    }

    /// Takes in what a task reported; `None` for what was under way from a connection that is dropped.
    fn take(&mut self, report: Report) -> Option<StreamEvent> {
        match report {
            Report::Accepted { listener, stream, local, peer } => self.accept(listener, stream, local, peer),
            Report::AcceptFailed { listener, error } => Some(StreamEvent::AcceptFailed { listener, error }),
            Report::Established { id, local, peer, security } => self.establish(id, local, peer, security),
            Report::Message { id, bytes } => {
                self.connections.contains_key(&id).then_some(StreamEvent::Message { connection: id, bytes })
            }
            Report::Closed { id, reason } => {
                let entry = self.remove(id)?;
                match (entry.listener, reason) {
                    (Some(listener), CloseReason::Handshake(failure)) => {
                        let reason = RefuseReason::Handshake(failure);
                        Some(StreamEvent::Refused { listener, peer: entry.peer, reason })
                    }
                    // The system failed it while it began: nobody was told of it.
                    (Some(_), _) if !entry.opened => None,
                    (Some(_) | None, _) => Some(StreamEvent::Closed { connection: id, reason }),
                }
            }
        }
    }

    /// Takes a connection; `None` where it has to come to its messages first.
    fn accept(
        &mut self,
        listener: ListenerId,
        stream: TcpStream,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Option<StreamEvent> {
        let layers = self.listeners.get(listener.0)?.clone();
        let refused = |reason| Some(StreamEvent::Refused { listener, peer, reason });
        if self.connections.len() >= self.limits.connections {
            return refused(RefuseReason::Connections);
        }
        // Whom a balancer connects for, it says later.
        let source = (!layers.balancers.include(peer.ip())).then_some(peer.ip());
        let permit = match source.is_some() && layers.tls.is_none() && !layers.websocket {
            true => None,
            false => match Arc::clone(&self.handshakes).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => return refused(RefuseReason::Handshakes),
            },
        };
        if source.is_some_and(|source| !self.sources.admit(source, self.limits.per_source)) {
            return refused(RefuseReason::Source);
        }
        let queue = if layers.shared { self.limits.own_write_queue } else { self.limits.write_queue };
        let (connection, writes) = self.connection(queue);
        let (id, opened) = (connection.id, permit.is_none());
        let task = match permit {
            None => self.tasks.spawn(connection.serve(stream)),
            Some(permit) => {
                let beginning = Beginning { control: self.control.clone(), layers, permit };
                self.tasks.spawn(connection.begin(stream, peer, beginning))
            }
        };
        let entry = Entry { writes: Some(writes), task, peer, listener: Some(listener), source, opened };
        self.connections.insert(id, entry);
        opened.then_some(StreamEvent::Opened { connection: id, local, peer, listener: Some(listener), security: None })
    }

    /// Takes note that a connection has come to its messages.
    fn establish(
        &mut self,
        id: ConnectionId,
        local: SocketAddr,
        peer: SocketAddr,
        security: Option<Security>,
    ) -> Option<StreamEvent> {
        let entry = self.connections.get_mut(&id)?;
        (entry.opened, entry.peer) = (true, peer);
        let listener = entry.listener;
        if let Some(listener) = listener.filter(|_| entry.source.is_none()) {
            if !self.sources.admit(peer.ip(), self.limits.per_source) {
                self.remove(id)?.task.abort();
                return Some(StreamEvent::Refused { listener, peer, reason: RefuseReason::Source });
            }
            entry.source = Some(peer.ip());
        }
        Some(StreamEvent::Opened { connection: id, local, peer, listener, security })
    }

    fn connection(&self, queue: usize) -> (Connection, mpsc::Sender<Bytes>) {
        let (sender, writes) = mpsc::channel(queue.max(1));
        let connection = Connection {
            id: ConnectionId::next(),
            framer: self.framer,
            limits: self.limits,
            reports: self.reports.clone(),
            writes,
            answers: sender.downgrade(),
        };
        (connection, sender)
    }

    fn remove(&mut self, id: ConnectionId) -> Option<Entry> {
        // Tasks that have ended stay in the set until they are joined.
        while self.tasks.try_join_next().is_some() {}
        let entry = self.connections.remove(&id)?;
        if let Some(source) = entry.source {
            self.sources.release(source);
        }
        Some(entry)
    }
}

impl ConnectionId {
    fn next() -> Self {
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(random::seed()));
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The number, as a flow token carries it.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl ListenerId {
    /// The place in the order of [`Streams::listen`] calls, from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }
}

impl From<u64> for ConnectionId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}
