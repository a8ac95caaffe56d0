//! The SIP thread: it owns the edge, and carries messages between sockets, streams, the focus and the directory.

mod epoch;
mod handshake;
pub(super) mod locate;
mod meetings;
mod report;
mod socket;
mod streams;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use cusax_directory::Directory;
use cusax_edge::config::{Config as EdgeConfig, Zone};
use cusax_edge::{Edge, Output};
use cusax_event::Event;
use cusax_event::service::{Lifecycle, Stage};
use cusax_event::sip::{DropReason, Dropped, Leg};
use cusax_event::xmpp::{DropReason as XmppDropReason, Dropped as XmppDropped};
use cusax_net::clock;
use cusax_net::resolver::Resolver;
use cusax_net::udp::{AsyncSocket, BATCH, Options, RecvBatch, Socket};
use cusax_sip::location::LocateError;
use cusax_sip::{Flow, ListenerId, Transmit, Transport};
use cusax_telemetry::Telemetry;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot};

use super::component::{Heard, Link};
use super::edge::CoreTargets;
use super::http::Health;
use super::media::Media;
use super::seeds;
use super::stores::{Keep, Restricted, Stores};
use super::tls::Tls;
use crate::config::Config;
pub(super) use epoch::{Epoch, Settings};
use meetings::Meetings;
use socket::SipSocket;

/// Largest datagram.
const DATAGRAM: usize = 65_535;
/// How long a socket that failed is left alone; between two looks at what has still to end.
const PAUSE: Duration = Duration::from_millis(10);
/// For the phones in conferences to answer the BYE of a service that stops.
const FAREWELL: Duration = Duration::from_secs(2);
/// Receive and send buffers of a socket, in bytes.
const BUFFER: usize = 4 * 1024 * 1024;

/// What the thread is made of.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) tls: &'a Tls,
    /// The runtime for what would hold messages up: handshakes.
    pub(super) control: Handle,
    pub(super) edge: EdgeConfig,
    pub(super) stores: &'a Stores,
    pub(super) telemetry: Telemetry,
    pub(super) health: Arc<Health>,
    pub(super) component: Link,
    pub(super) media: Option<Media>,
    /// Who may not do what in which room, as it was kept.
    pub(super) restrictions: Vec<Restricted>,
    /// Where names are looked up.
    pub(super) resolver: Arc<Resolver>,
    /// The core targets as they are configured.
    pub(super) core: Arc<CoreTargets>,
    /// Where changes to that are kept.
    pub(super) keep: mpsc::Sender<Keep>,
}

/// The running thread; it ends when this is dropped.
pub(super) struct Running {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
    /// Where it takes another configuration.
    pub(super) epochs: mpsc::Sender<Epoch>,
}

impl Running {
    /// Ends the calls of the conferences, and then the thread.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(());
        // An error says that it has ended already.
        let _ = self.ended.await;
    }
}

/// Binds all listeners and starts the thread.
pub(super) fn start(parts: Parts<'_>) -> anyhow::Result<Running> {
    let mut sockets = Vec::new();
    let mut listening = Vec::new();
    for (index, listener) in parts.edge.listeners.iter().enumerate() {
        let id = ListenerId(u16::try_from(index)?);
        let advice = || {
            let address = listener.address;
            format!(
                "cannot listen for SIP on {address} (another process may: look with `ss -lnp`, or change sip.listener)"
            )
        };
        if listener.transport == Transport::Udp {
            let options = Options {
                receive_buffer: Some(BUFFER),
                send_buffer: Some(BUFFER),
                report_unreachable: true,
                ..Options::default()
            };
            sockets.push((id, Socket::bind(listener.address, options).with_context(advice)?));
        } else {
            let leg = match listener.zone {
                Zone::Access => Leg::Client,
                Zone::Core => Leg::Upstream,
                Zone::Peer => Leg::Peer,
            };
            listening.push(streams::Listening { id, address: listener.address, transport: listener.transport, leg });
        }
    }
    let (epochs, to_take) = mpsc::channel(1);
    let settings = Settings::of(parts.config, parts.tls)?;
    let streams = streams::Wiring::new(listening, settings, parts.control, to_take);
    let meetings = Meetings::open(parts.config, parts.media, parts.restrictions, parts.keep)?;
    let (wanted, to_locate) = mpsc::channel(locate::WAITING);
    let core = Core {
        edge: Edge::new(parts.edge, seeds(), clock::unix_seconds(), clock::now()),
        directory: Arc::clone(&parts.stores.directory),
        domain: parts.config.service.domain.to_string(),
        telemetry: parts.telemetry,
        health: parts.health,
        sockets: Vec::new(),
        streams: streams.sender(),
        component: parts.component.send,
        meetings,
        wanted,
        targets: parts.core,
        forwarded: 0,
    };
    let names = Names { wanted: to_locate, resolver: parts.resolver };
    let heard = parts.component.heard;
    let (stop, stopped) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("cusax-sip".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => {
                    let local = tokio::task::LocalSet::new();
                    runtime.block_on(local.run_until(run(core, sockets, streams, names, heard, stopped, ready)));
                    // With it go the senders of what is still to be kept and said.
                    drop((local, runtime));
                    let _ = end.send(());
                }
                Err(error) => {
                    let _ = ready.send(Err(error.into()));
                }
            }
        })
        .context("cannot start the SIP thread")?;
    started.recv().context("the SIP thread ended at once")??;
    Ok(Running { stop, ended, epochs })
}

struct Core {
    edge: Edge,
    directory: Arc<Directory>,
    domain: String,
    telemetry: Telemetry,
    health: Arc<Health>,
    sockets: Vec<SipSocket>,
    streams: mpsc::Sender<streams::Order>,
    component: mpsc::Sender<cusax_xmpp::Element>,
    meetings: Option<Meetings>,
    wanted: mpsc::Sender<locate::Wanted>,
    /// The core targets as they are configured.
    targets: Arc<CoreTargets>,
    /// Requests that were sent on since this was last set to 0.
    forwarded: u32,
}

/// What is needed to find servers by name.
struct Names {
    wanted: mpsc::Receiver<locate::Wanted>,
    resolver: Arc<Resolver>,
}

type Shared = Rc<RefCell<Core>>;

async fn run(
    mut core: Core,
    sockets: Vec<(ListenerId, Socket)>,
    streams: streams::Wiring,
    names: Names,
    mut heard: mpsc::Receiver<Heard>,
    stopped: oneshot::Receiver<()>,
    ready: std::sync::mpsc::SyncSender<anyhow::Result<()>>,
) {
    let mut readers = Vec::new();
    for (id, socket) in sockets {
        match AsyncSocket::new(socket) {
            Ok(socket) => {
                let socket = Arc::new(socket);
                core.sockets.push(SipSocket::new(id, Arc::clone(&socket)));
                readers.push((id, socket));
            }
            Err(error) => {
                let _ = ready.send(Err(error.into()));
                return;
            }
        }
    }
    let core = Rc::new(RefCell::new(core));
    let rearm = Rc::new(Notify::new());
    for (id, socket) in readers {
        tokio::task::spawn_local(read_socket(id, socket, Rc::clone(&core), Rc::clone(&rearm)));
    }
    let opened = streams.open();
    let streams = match opened {
        Ok(streams) => streams,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    tokio::task::spawn_local(streams.run(Rc::clone(&core), Rc::clone(&rearm)));
    tokio::task::spawn_local(keep_time(Rc::clone(&core), Rc::clone(&rearm)));
    tokio::task::spawn_local(report::tell(Rc::clone(&core)));
    let Names { wanted, resolver } = names;
    tokio::task::spawn_local(locate::follow(Rc::clone(&core), Rc::clone(&rearm), Arc::clone(&resolver)));
    tokio::task::spawn_local(locate::run(Rc::clone(&core), Rc::clone(&rearm), wanted, resolver));
    let _ = ready.send(Ok(()));
    tokio::task::spawn_local(meetings::listen(Rc::clone(&core), Rc::clone(&rearm)));
    let rooms = async {
        while let Some(said) = heard.recv().await {
            let now = clock::now();
            let mut core = core.borrow_mut();
            if let Some(meetings) = &mut core.meetings {
                match said {
                    Heard::Stanza(stanza, received) => meetings.core.handle_stanza(&stanza, received, now),
                    Heard::Link(up) => meetings.core.handle_link(up, now),
                }
            }
            core.settle(now);
            rearm.notify_one();
        }
        // Without a component there is nobody to listen to.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = stopped => farewell(&core, &rearm).await,
        () = rooms => {}
    }
}

/// Tells those in conferences that the service stops, and gives their phones a moment to answer.
async fn farewell(core: &Shared, rearm: &Notify) {
    {
        let now = clock::now();
        let mut core = core.borrow_mut();
        let Some(meetings) = &mut core.meetings else { return };
        meetings.core.handle_stop(now);
        core.settle(now);
    }
    rearm.notify_one();
    let idle = async {
        while core.borrow().meetings.as_ref().is_some_and(|meetings| meetings.core.counts().legs > 0) {
            tokio::time::sleep(PAUSE).await;
        }
    };
    let _ = tokio::time::timeout(FAREWELL, idle).await;
}

async fn read_socket(listener: ListenerId, socket: Arc<AsyncSocket>, core: Shared, rearm: Rc<Notify>) {
    let mut batch = RecvBatch::new(BATCH, DATAGRAM);
    loop {
        if let Err(error) = socket.recv_batch(&mut batch).await {
            let detail = format!("a SIP socket cannot be read: {error}");
            core.borrow().telemetry.emit(&Event::Lifecycle(Lifecycle { stage: Stage::Degraded, detail }));
            // Short of memory, or a storm of errors: it passes, and must not be made worse by asking at once.
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let now = clock::now();
        {
            let mut core = core.borrow_mut();
            core.watch(listener, batch.len(), now);
            for datagram in batch.iter() {
                let flow =
                    Flow { listener, transport: Transport::Udp, remote: datagram.from, connection: None, domain: None };
                if datagram.truncated {
                    core.edge.handle_dropped(DropReason::TooLarge, &flow, "datagram larger than its buffer");
                } else {
                    core.edge.handle_message(Bytes::copy_from_slice(datagram.bytes), flow, now);
                }
            }
            core.settle_received(now);
        }
        rearm.notify_one();
    }
}

/// Runs the cores' timers.
async fn keep_time(core: Shared, rearm: Rc<Notify>) {
    loop {
        let due = core.borrow().poll_timeout();
        let timer = async {
            match due {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = rearm.notified() => {}
            () = timer => {
                let now = clock::now();
                let mut core = core.borrow_mut();
                core.edge.handle_timeout(now);
                if let Some(meetings) = &mut core.meetings {
                    meetings.core.handle_timeout(now);
                }
                core.settle(now);
            }
        }
    }
}

impl Core {
    /// Does all that the cores want done, and sends.
    fn settle(&mut self, now: Instant) {
        loop {
            self.pump(now);
            // What could not be sent is tried elsewhere, or answered: both want to be sent as well.
            if !self.flush(now) {
                return;
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let meetings = self.meetings.as_ref().and_then(|meetings| meetings.core.poll_timeout());
        let sockets = self.sockets.iter().filter_map(SipSocket::poll_timeout).min();
        [self.edge.poll_timeout(), meetings, sockets].into_iter().flatten().min()
    }

    /// Carries messages between the edge and the focus until neither has more to say.
    fn pump(&mut self, now: Instant) {
        loop {
            self.pump_edge(now);
            if !self.pump_meetings(now) {
                return;
            }
        }
    }

    fn pump_edge(&mut self, now: Instant) {
        while let Some(output) = self.edge.poll_output() {
            match output {
                Output::Transmit(transmit) => self.transmit(transmit, now),
                Output::Focus { bytes, flow } => {
                    if let Some(meetings) = &mut self.meetings {
                        meetings.core.handle_sip(bytes, flow, now);
                    }
                }
                Output::Accounts { query, caller, callee } => {
                    let snapshot = self.directory.snapshot();
                    let find = |key| super::accounts::find(&snapshot, &self.domain, &key);
                    let (caller, callee) = (caller.and_then(find), callee.and_then(find));
                    self.edge.handle_accounts(query, caller, callee, now);
                }
                Output::Locate { query, target, spoken } => {
                    if self.wanted.try_send((query, target, spoken)).is_err() {
                        self.edge.handle_located(query, Err(LocateError::Unanswered), now);
                    }
                }
                Output::Headline(headline) => self.say(super::headline::stanza(&headline)),
                Output::Event(event) => {
                    if let Event::SipUpstreamChanged(changed) = &event {
                        self.health.core_is(changed);
                    }
                    self.forwarded += u32::from(report::is_forwarded(&event));
                    self.telemetry.emit(&event);
                }
            }
        }
    }

    /// Sends a stanza. A full queue means a stream that is going down: rooms are read anew when it is up again.
    fn say(&self, stanza: cusax_xmpp::Element) {
        if self.component.try_send(stanza).is_err() {
            let detail = String::from("the component's stream does not take what is to be sent");
            self.telemetry.emit(&Event::XmppDropped(XmppDropped { reason: XmppDropReason::QueueFull, detail }));
        }
    }

    fn transmit(&mut self, transmit: Transmit, now: Instant) {
        let Transmit { flow, bytes } = transmit;
        if flow.transport != Transport::Udp {
            if let Err(full) = self.streams.try_send(streams::Order { flow, bytes }) {
                let order = full.into_inner();
                self.edge.handle_dropped(DropReason::QueueFull, &flow, "streams do not keep up");
                // Nobody repeats it on a stream: who waits for it is tried elsewhere.
                self.edge.handle_bounced(&flow, &order.bytes, now);
            }
            return;
        }
        let Some(socket) = self.sockets.iter_mut().find(|socket| socket.id == flow.listener) else { return };
        if socket.batch.push(flow.remote, &bytes).is_err() {
            let failed = socket.send();
            let pushed = socket.batch.push(flow.remote, &bytes).is_ok();
            self.bounce(flow.listener, failed, now);
            if !pushed {
                // Of this message only: its server may be well.
                self.edge.handle_dropped(DropReason::TooLarge, &flow, "message larger than a datagram");
                self.edge.handle_bounced(&flow, &bytes, now);
            }
        }
    }

    /// Sends what has gathered; what the kernel does not take is lost, as datagrams may be. True where something was found
    /// to reach nobody.
    fn flush(&mut self, now: Instant) -> bool {
        let mut all = Vec::new();
        for socket in &mut self.sockets {
            let mut bounced = socket.send();
            bounced.append(&mut socket.bounced(now));
            if !bounced.is_empty() {
                all.push((socket.id, bounced));
            }
        }
        let any = !all.is_empty();
        for (listener, bounced) in all {
            self.bounce(listener, bounced, now);
        }
        any
    }

    /// Tells the edge whether datagrams are read in time, and counts those that found no room.
    fn watch(&mut self, listener: ListenerId, read: usize, now: Instant) {
        let Some(socket) = self.sockets.iter_mut().find(|socket| socket.id == listener) else { return };
        let lost = socket.watch(read, now);
        let backlog = self.sockets.iter().map(|socket| socket.backlog).max().unwrap_or(0);
        self.edge.handle_backlog(backlog);
        if lost > 0 {
            let (reason, transport, remote) = (DropReason::QueueFull, Transport::Udp, None);
            let detail = "a socket's receive buffer was full (net.core.rmem_max bounds it)";
            self.telemetry.emit(&Event::SipDropped(Dropped { reason, transport, remote, count: lost, detail }));
        }
    }

    fn bounce(&mut self, listener: ListenerId, bounced: Vec<(SocketAddr, Vec<u8>)>, now: Instant) {
        for (remote, quoted) in bounced {
            let flow = Flow { listener, transport: Transport::Udp, remote, connection: None, domain: None };
            self.edge.handle_bounced(&flow, &quoted, now);
        }
    }
}
