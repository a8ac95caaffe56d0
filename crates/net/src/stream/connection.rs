//! One connection, from its first byte to its end.
//!
//! Reading and writing go on side by side in one task, each at its own pace; whichever ends first ends the connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{timeout, timeout_at};

use super::framing::{Frame, Framer};
use super::handshake::{self, Carrier, Established, Layers, SecureTarget};
use super::limits::Limits;
use super::wire::{Socket, Wire};
use super::{CloseReason, ConnectionId, Report, websocket};
use crate::clock;

/// What the task of a connection works with.
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) framer: Framer,
    pub(super) limits: Limits,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) writes: mpsc::Receiver<Bytes>,
    /// The other end of `writes`, weak: it is the owner who closes the connection by letting go of it.
    pub(super) answers: mpsc::WeakSender<Bytes>,
}

/// How a connection that was accepted comes to its messages.
pub(super) struct Beginning {
    pub(super) control: Handle,
    pub(super) layers: Layers,
    /// One of as many as may be at it at a time.
    pub(super) permit: OwnedSemaphorePermit,
}

impl Connection {
    /// Serves a connection that was accepted.
    pub(super) async fn serve(self, stream: TcpStream) {
        let (reports, id) = (self.reports.clone(), self.id);
        let first = Some(self.limits.first_message_time);
        let reason = self.run(Wire::from(Socket::from(stream)), first).await;
        close(&reports, id, reason).await;
    }

    /// Serves a connection that was accepted and does not begin with messages.
    pub(super) async fn begin(self, stream: TcpStream, peer: SocketAddr, beginning: Beginning) {
        let (reports, id) = (self.reports.clone(), self.id);
        let Beginning { control, layers, permit } = beginning;
        let begun = handshake::accept(&control, stream, peer, layers, self.limits).await;
        drop(permit);
        let reason = match begun {
            Ok(established) => self.carry(established, true).await,
            Err(reason) => reason,
        };
        close(&reports, id, reason).await;
    }

    /// Makes a connection and serves it.
    pub(super) async fn connect(self, to: SocketAddr, tls: Option<(Handle, SecureTarget)>) {
        let (reports, id) = (self.reports.clone(), self.id);
        let reason = match self.open(to, tls).await {
            Ok(established) => self.carry(established, false).await,
            Err(reason) => reason,
        };
        close(&reports, id, reason).await;
    }

    async fn open(&self, to: SocketAddr, tls: Option<(Handle, SecureTarget)>) -> Result<Established, CloseReason> {
        let (stream, local) = open(to, self.limits.connect_time).await?;
        match tls {
            Some((control, target)) => handshake::connect(&control, stream, to, target, self.limits).await,
            None => {
                let carrier = Carrier::Bytes(Wire::from(Socket::from(stream)));
                Ok(Established { carrier, local, peer: to, security: None })
            }
        }
    }

    /// Says that it is there, and serves it.
    async fn carry(self, established: Established, accepted: bool) -> CloseReason {
        let Established { carrier, local, peer, security } = established;
        let report = Report::Established { id: self.id, local, peer, security };
        if self.reports.send(report).await.is_err() {
            return CloseReason::Local;
        }
        match carrier {
            Carrier::Bytes(wire) => {
                let first = accepted.then_some(self.limits.first_message_time);
                self.run(wire, first).await
            }
            Carrier::WebSocket(websocket) => websocket::run(*websocket, self).await,
        }
    }

    async fn run(self, wire: Wire, first_message_time: Option<Duration>) -> CloseReason {
        let (mut reader, writer) = split(wire);
        let incoming = Incoming {
            id: self.id,
            framer: self.framer,
            limits: self.limits,
            reports: self.reports,
            answers: self.answers,
        };
        let reason = tokio::select! {
            reason = incoming.run(&mut reader, first_message_time) => reason,
            reason = write(writer, self.writes, self.limits.write_time) => reason,
        };
        if reason == CloseReason::Local {
            linger(&mut reader, self.limits.write_time).await;
        }
        reason
    }
}

/// The reading half.
struct Incoming {
    id: ConnectionId,
    framer: Framer,
    limits: Limits,
    reports: mpsc::Sender<Report>,
    answers: mpsc::WeakSender<Bytes>,
}

impl Incoming {
    async fn run(
        &self,
        reader: &mut (impl AsyncRead + Unpin),
        mut first_message_time: Option<Duration>,
    ) -> CloseReason {
        let mut buffer = BytesMut::new();
        let mut idle_until = clock::now() + first_message_time.unwrap_or(self.limits.idle_time);
        let mut complete_by = None;
        loop {
            buffer.reserve(READ);
            let deadline = complete_by.unwrap_or(idle_until);
            match timeout_at(deadline.into(), reader.read_buf(&mut buffer)).await {
                Err(_elapsed) if complete_by.is_some() => return CloseReason::MessageTime,
                Err(_elapsed) => return CloseReason::Idle,
                Ok(Ok(0)) => return CloseReason::Peer,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return CloseReason::of_read(error.kind()),
            }
            let now = clock::now();
            let frames = match self.take_frames(&mut buffer).await {
                Ok(frames) => frames,
                Err(reason) => return reason,
            };
            if frames.messages > 0 {
                first_message_time = None;
            }
            if first_message_time.is_none() {
                idle_until = now + self.limits.idle_time;
            }
            if !frames.begun {
                complete_by = None;
            } else if frames.consumed || complete_by.is_none() {
                // The message began just now; one that was there before keeps its time.
                let in_time = now + self.limits.message_time;
                complete_by = Some(if first_message_time.is_some() { in_time.min(idle_until) } else { in_time });
            }
        }
    }

    /// Reports every complete message and leaves the beginning of the next in `buffer`.
    async fn take_frames(&self, buffer: &mut BytesMut) -> Result<Frames, CloseReason> {
        let mut frames = Frames::default();
        while !buffer.is_empty() {
            let frame = (self.framer)(buffer);
            match frame {
                Frame::Incomplete | Frame::Blank if buffer.len() >= self.limits.message_bytes => {
                    return Err(CloseReason::TooLarge);
                }
                Frame::Blank => break,
                Frame::Incomplete => {
                    frames.begun = true;
                    break;
                }
                Frame::Invalid(detail) => return Err(CloseReason::Invalid(detail)),
                Frame::Skip(length) | Frame::Ping(length, _) | Frame::Message(length)
                    if length == 0 || length > buffer.len() =>
                {
                    return Err(CloseReason::Invalid("frame outside of what was received"));
                }
                Frame::Skip(length) => {
                    drop(buffer.split_to(length));
                    frames.consumed = true;
                }
                Frame::Ping(length, answer) => {
                    drop(buffer.split_to(length));
                    frames.consumed = true;
                    // A peer that does not read its answers gets none: the queue is for messages.
                    if let Some(answers) = self.answers.upgrade() {
                        let _ = answers.try_send(Bytes::from_static(answer));
                    }
                }
                Frame::Message(length) if length > self.limits.message_bytes => {
                    return Err(CloseReason::TooLarge);
                }
                Frame::Message(length) => {
                    let bytes = buffer.split_to(length).freeze();
                    let report = Report::Message { id: self.id, bytes };
                    // A receiver that is gone has dropped this task as well.
                    if self.reports.send(report).await.is_err() {
                        return Err(CloseReason::Local);
                    }
                    frames.consumed = true;
                    frames.messages += 1;
                }
            }
        }
        Ok(frames)
    }
}

/// What one read brought.
#[derive(Default)]
struct Frames {
    /// Something was complete.
    consumed: bool,
    /// The beginning of a message is left.
    begun: bool,
    messages: usize,
}

/// Writes what is queued until the queue is closed, then ends our side of the stream.
async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut writes: mpsc::Receiver<Bytes>,
    write_time: Duration,
) -> CloseReason {
    while let Some(bytes) = writes.recv().await {
        let written = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        match timeout(write_time, written).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return CloseReason::Failed(error.kind()),
            Err(_elapsed) => return CloseReason::WriteTime,
        }
    }
    // A peer that is gone already has nothing to be told.
    let _ = writer.shutdown().await;
    CloseReason::Local
}

/// Reads to nowhere until the peer has closed as well: closing a socket with unread bytes resets the connection, which
/// can take away from the peer what was written last.
pub(super) async fn linger(reader: &mut (impl AsyncRead + Unpin), at_most: Duration) {
    let mut nowhere = [0; 1024];
    let drained = async { while reader.read(&mut nowhere).await.is_ok_and(|count| count > 0) {} };
    let _ = timeout(at_most, drained).await;
}

async fn open(to: SocketAddr, at_most: Duration) -> Result<(TcpStream, SocketAddr), CloseReason> {
    let connected = timeout(at_most, TcpStream::connect(to)).await.map_err(|_elapsed| CloseReason::ConnectTime)?;
    let prepared = connected.and_then(|stream| {
        let local = prepare(&stream)?;
        Ok((stream, local))
    });
    prepared.map_err(|error| CloseReason::ConnectFailed(error.kind()))
}

/// Sets what every connection has, and tells our address.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<SocketAddr> {
    // Messages are whole and waited for: Nagle's algorithm would hold them back.
    stream.set_nodelay(true)?;
    stream.local_addr()
}

async fn close(reports: &mpsc::Sender<Report>, id: ConnectionId, reason: CloseReason) {
    // A receiver that is gone needs no report.
    let _ = reports.send(Report::Closed { id, reason }).await;
}

/// Bytes that there is room for in one read, at least.
const READ: usize = 4 * 1024;
