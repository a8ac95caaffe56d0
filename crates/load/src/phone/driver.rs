//! What runs a phone: its user agent between the socket, the clock and those who wait.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use cusax_net::clock;
use cusax_net::udp::{AsyncSocket, Options, PushError, RecvBatch, SendBatch, Socket};
use cusax_sip::ua::{CallHandle, Config, Output, SentHandle, UserAgent};
use cusax_sip::{Flow, ListenerId, Message, Transport};
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc, oneshot};
use tokio::time::sleep_until;

use super::call::{Line, Ringing};
use super::{PhoneConfig, Received, Response, seed};

/// A phone's parts that its calls share.
pub(super) struct Shared {
    pub(super) config: PhoneConfig,
    pub(super) socket: AsyncSocket,
    /// From without a tag.
    pub(super) from: String,
    /// The value of Contact.
    pub(super) contact: String,
    core: Mutex<Core>,
    /// The user agent was given something to do.
    changed: Notify,
    pub(super) incoming: AsyncMutex<mpsc::Receiver<Ringing>>,
}

/// What one thread at a time works with.
pub(super) struct Core {
    pub(super) agent: UserAgent,
    out: SendBatch,
    pub(super) lines: HashMap<CallHandle, Arc<Line>>,
    pub(super) sent: HashMap<SentHandle, oneshot::Sender<Response>>,
    ringing: mpsc::Sender<Ringing>,
    registration: (String, u32),
}

impl Shared {
    pub(super) fn new(config: PhoneConfig) -> io::Result<Arc<Self>> {
        let socket = Socket::bind(SocketAddr::new(config.bind, 0), Options::default())?;
        let socket = AsyncSocket::new(socket)?;
        let local = socket.local_addr();
        let agent = Config { name: "cusax-load".to_owned(), sent_by: local.to_string(), ..Config::default() };
        let (ringing, incoming) = mpsc::channel(CALLS);
        let seed = seed();
        let core = Core {
            agent: UserAgent::new(agent, seed, CALLS),
            out: SendBatch::new(BATCH, BATCH * LARGEST),
            lines: HashMap::new(),
            sent: HashMap::new(),
            ringing,
            registration: (format!("{:016x}", seed[0] ^ seed[1].rotate_left(32)), 0),
        };
        Ok(Arc::new(Self {
            from: format!("<{}>", config.address_of_record()),
            contact: format!("<sip:{}@{local}>", config.user),
            config,
            socket,
            core: Mutex::new(core),
            changed: Notify::new(),
            incoming: AsyncMutex::new(incoming),
        }))
    }

    /// Does something with the user agent, and what that leads to.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Core, Instant) -> T) -> T {
        let now = clock::now();
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut core, now);
        core.settle(self, now);
        drop(core);
        self.changed.notify_one();
        result
    }

    /// Call-ID and CSeq of the next REGISTER (RFC 3261 §10.2: one Call-ID, CSeq counts on).
    pub(super) fn next_registration(&self) -> (String, u32) {
        self.with(|core, _| {
            core.registration.1 += 1;
            core.registration.clone()
        })
    }

    pub(super) fn registered(&self, cseq: u32) {
        self.with(|core, _| core.registration.1 = core.registration.1.max(cseq));
    }

    fn due(&self) -> Option<Instant> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner).agent.poll_timeout()
    }
}

impl Core {
    fn receive(&mut self, bytes: &[u8], from: SocketAddr, now: Instant) {
        let flow =
            Flow { listener: ListenerId(0), transport: Transport::Udp, remote: from, connection: None, domain: None };
        // What is no message is a keep-alive, or noise that a phone has nobody to tell of.
        if let Ok(message) = Message::parse(Bytes::copy_from_slice(bytes)) {
            self.agent.handle_message(message, flow, now);
        }
    }

    fn settle(&mut self, shared: &Shared, now: Instant) {
        while let Some(output) = self.agent.poll_output() {
            self.handle(output, shared, now);
        }
        shared.socket.send_batch(&mut self.out);
    }

    fn handle(&mut self, output: Output, shared: &Shared, now: Instant) {
        let at = now;
        match output {
            Output::Transmit(transmit) => {
                let to = transmit.flow.remote;
                if self.out.push(to, &transmit.bytes) == Err(PushError::Full) {
                    shared.socket.send_batch(&mut self.out);
                    // Where the socket takes nothing now, the datagram is lost, as datagrams may be.
                    let _ = self.out.push(to, &transmit.bytes);
                }
            }
            Output::Invited { call, message, .. } => self.invited(call, message, shared, now),
            Output::Progress { call, message } => {
                self.line(call, |line| line.progress(Received { at, message }));
            }
            Output::Answered { call, message } => {
                self.line(call, |line| line.answered(Received { at, message }));
            }
            Output::Failed { call, status, message } => {
                if let Some(line) = self.lines.remove(&call) {
                    line.failed(status, message, at);
                }
            }
            Output::Acked { call, message } => self.line(call, |line| line.acknowledged(&message)),
            Output::Reoffered { call, message } => {
                let Some(line) = self.lines.get(&call) else { return };
                match line.reoffered(&Received { at, message }) {
                    Ok(body) => self.agent.answer_offer(call, &[], body.as_ref(), now),
                    Err(refusal) => {
                        let warning = format!("{} cusax-load \"{refusal}\"", refusal.warning());
                        self.agent.reject_offer(call, 488, &[("Warning", &warning)], now);
                    }
                }
            }
            Output::Agreed { call, message } => self.line(call, |line| line.agreed(&message)),
            Output::Refused { call, status, .. } => self.line(call, |line| line.refused(status)),
            Output::Ended { call, reason, message } => {
                if let Some(line) = self.lines.remove(&call) {
                    line.ended(reason, message, at);
                }
            }
            Output::Request { request, .. } => self.agent.answer(request, 200, &[], None, now),
            Output::Response { request, status, message, algorithm, .. } => {
                if let Some(reply) = self.sent.remove(&request) {
                    // Whoever asked may have stopped waiting.
                    let _ = reply.send(Response { at, status, algorithm, message });
                }
            }
            Output::Dropped { .. } => {}
        }
    }

    fn line(&self, call: CallHandle, act: impl FnOnce(&Line)) {
        if let Some(line) = self.lines.get(&call) {
            act(line);
        }
    }

    fn invited(&mut self, call: CallHandle, message: Arc<Message>, shared: &Shared, now: Instant) {
        let Ok(line) = Line::new(&shared.config) else {
            return self.agent.reject(call, 500, &[], now);
        };
        let line = Arc::new(line);
        self.agent.set_session(call, line.session);
        if let Some(login) = &shared.config.login {
            self.agent.set_login(call, login);
        }
        self.lines.insert(call, Arc::clone(&line));
        let ringing = Ringing { call, line, invite: Received { at: now, message } };
        if self.ringing.try_send(ringing).is_err() {
            self.agent.reject(call, 486, &[], now);
        }
    }
}

/// Runs a phone for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut batch = RecvBatch::new(BATCH, LARGEST);
    loop {
        let due = shared.due();
        let alarm = async {
            match due {
                Some(due) => sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.changed.notified() => {}
            () = alarm => shared.with(|core, now| core.agent.handle_timeout(now)),
            received = shared.socket.recv_batch(&mut batch) => if received.is_ok() {
                shared.with(|core, now| {
                    for datagram in batch.iter().filter(|datagram| !datagram.truncated) {
                        core.receive(datagram.bytes, datagram.from, now);
                    }
                });
            }
        }
    }
}

/// Calls of one phone at a time.
const CALLS: usize = 64;
/// Datagrams that are received or sent at once.
const BATCH: usize = 16;
const LARGEST: usize = 65_535;
