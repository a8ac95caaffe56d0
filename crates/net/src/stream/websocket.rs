//! SIP over WebSocket (RFC 7118), server side: each WebSocket message is one of ours.

use std::time::Instant;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::time::{timeout, timeout_at};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::{CONNECTION, CONTENT_LENGTH, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::connection::{Connection, linger};
use super::framing::Frame;
use super::handshake::Cause;
use super::wire::Wire;
use super::{CloseReason, Limits, Report};
use crate::clock;

pub(super) type WebSocket = WebSocketStream<Wire>;

/// RFC 7118 §4.1.
const SUBPROTOCOL: &str = "sip";

/// Bytes of a read; each connection has such a buffer.
const READ: usize = 4 * 1024;

/// Reads the request for an upgrade, and answers it.
#[expect(clippy::result_large_err, reason = "the library's own signature")]
pub(super) async fn accept(wire: Wire, origins: &[String], message_bytes: usize) -> Result<WebSocket, Cause> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ)
        // Each message is flushed before the next, so that no more than one and a pong are ever in the buffer.
        .write_buffer_size(0)
        .max_message_size(Some(message_bytes))
        .max_frame_size(Some(message_bytes));
    let choose = |request: &Request, response| choose(request, response, origins);
    accept_hdr_async_with_config(wire, choose, Some(config)).await.map_err(|error| not_upgraded(&error))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "theirs, and it grows")]
fn not_upgraded(error: &Error) -> Cause {
    match error {
        Error::Http(refusal) if refusal.status() == StatusCode::FORBIDDEN => Cause::Origin,
        Error::Http(_) => Cause::Invalid("WebSocket without the subprotocol sip"),
        Error::Io(_) | Error::ConnectionClosed => Cause::Closed,
        _ => Cause::Invalid("no upgrade to a WebSocket"),
    }
}

/// Takes the subprotocol `sip` where it is offered; whoever offers none speaks something else (RFC 7118 §4.1). A page of
/// another origin is told so before that: it would speak with the certificate, or from the network, of who looks at it.
#[expect(clippy::result_large_err, reason = "the library's own signature")]
fn choose(request: &Request, mut response: Response, origins: &[String]) -> Result<Response, ErrorResponse> {
    let known =
        |origin: &HeaderValue| origins.iter().any(|known| origin.as_bytes().eq_ignore_ascii_case(known.as_bytes()));
    if !origins.is_empty() && !request.headers().get_all(ORIGIN).iter().all(known) {
        return Err(refusal(StatusCode::FORBIDDEN));
    }
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    if offered.flat_map(|value| value.split(',')).any(|offer| offer.trim().eq_ignore_ascii_case(SUBPROTOCOL)) {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        return Ok(response);
    }
    Err(refusal(StatusCode::BAD_REQUEST))
}

fn refusal(status: StatusCode) -> ErrorResponse {
    let mut refusal = ErrorResponse::new(None);
    *refusal.status_mut() = status;
    refusal.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    refusal.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    refusal
}

/// Carries messages until the connection ends.
pub(super) async fn run(mut websocket: WebSocket, mut connection: Connection) -> CloseReason {
    let reason = carry(&mut websocket, &mut connection).await;
    let at_most = connection.limits.write_time;
    let Some(code) = code(reason) else { return reason };
    let frame = CloseFrame { code, reason: Utf8Bytes::default() };
    // A peer that does not take it is gone without.
    let _ = timeout(at_most, websocket.send(Message::Close(Some(frame)))).await;
    let mut wire = websocket.into_inner();
    let _ = wire.shutdown().await;
    linger(&mut wire, at_most).await;
    reason
}

async fn carry(websocket: &mut WebSocket, connection: &mut Connection) -> CloseReason {
    let mut watch = Watch::new(clock::now(), connection.limits);
    loop {
        let done = tokio::select! {
            received = timeout_at(watch.due().into(), websocket.next()) => match received {
                Ok(None) => Err(CloseReason::Peer),
                Ok(Some(Err(error))) => Err(failed(&error)),
                Ok(Some(Ok(message))) => {
                    watch.heard(websocket.get_ref().received(), clock::now());
                    take(message, websocket, connection, &mut watch).await
                }
                Err(_elapsed) => match watch.look(websocket.get_ref().received(), clock::now()) {
                    Look::Fine => Ok(()),
                    Look::Ask => write(Message::Ping(Bytes::new()), websocket, connection).await,
                    Look::End(reason) => Err(reason),
                },
            },
            queued = connection.writes.recv() => match queued {
                Some(bytes) => write(as_message(bytes), websocket, connection).await,
                None => Err(CloseReason::Local),
            },
        };
        if let Err(reason) = done {
            return reason;
        }
    }
}

/// Reports a message of ours, and answers a keep-alive.
async fn take(
    message: Message,
    websocket: &mut WebSocket,
    connection: &Connection,
    watch: &mut Watch,
) -> Result<(), CloseReason> {
    let bytes = match message {
        Message::Text(text) => Bytes::from(text),
        Message::Binary(bytes) => bytes,
        // The library answers a ping and a close; after a close there is no more to read.
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => return Ok(()),
    };
    if bytes.is_empty() {
        return Ok(());
    }
    match (connection.framer)(&bytes) {
        // RFC 7118 §6: CRLF keep-alives are spoken here as well.
        Frame::Ping(length, answer) if length == bytes.len() => {
            write(as_message(Bytes::from_static(answer)), websocket, connection).await
        }
        Frame::Skip(length) if length == bytes.len() => Ok(()),
        Frame::Blank => Ok(()),
        // The boundaries are the WebSocket's; whether that is one whole message is for its reader to say.
        Frame::Incomplete | Frame::Skip(_) | Frame::Ping(..) | Frame::Message(_) | Frame::Invalid(_) => {
            watch.first_until = None;
            let report = Report::Message { id: connection.id, bytes };
            // A receiver that is gone has dropped this task as well.
            connection.reports.send(report).await.map_err(|_| CloseReason::Local)
        }
    }
}

/// RFC 7118 §5.1 takes either kind; what is no text cannot be in a text frame.
fn as_message(bytes: Bytes) -> Message {
    match Utf8Bytes::try_from(bytes.clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Binary(bytes),
    }
}

async fn write(message: Message, websocket: &mut WebSocket, connection: &Connection) -> Result<(), CloseReason> {
    match timeout(connection.limits.write_time, websocket.send(message)).await {
        Ok(sent) => sent.map_err(|error| failed(&error)),
        Err(_elapsed) => Err(CloseReason::WriteTime),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "theirs, and it grows")]
fn failed(error: &Error) -> CloseReason {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => CloseReason::Peer,
        // Browsers that are closed say no more than that.
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => CloseReason::Peer,
        Error::Io(error) => CloseReason::of_read(error.kind()),
        Error::Capacity(_) => CloseReason::TooLarge,
        Error::Utf8(_) => CloseReason::Invalid(NOT_UTF8),
        _ => CloseReason::Invalid("no WebSocket frame"),
    }
}

/// What the peer is told, where there is something to tell (RFC 6455 §7.4.1).
fn code(reason: CloseReason) -> Option<CloseCode> {
    match reason {
        CloseReason::Local => Some(CloseCode::Normal),
        CloseReason::Idle => Some(CloseCode::Away),
        CloseReason::MessageTime => Some(CloseCode::Policy),
        CloseReason::TooLarge => Some(CloseCode::Size),
        CloseReason::Invalid(NOT_UTF8) => Some(CloseCode::Invalid),
        CloseReason::Invalid(_) => Some(CloseCode::Protocol),
        CloseReason::Peer
        | CloseReason::WriteQueue
        | CloseReason::WriteTime
        | CloseReason::ConnectTime
        | CloseReason::ConnectFailed(_)
        | CloseReason::Handshake(_)
        | CloseReason::Failed(_) => None,
    }
}

const NOT_UTF8: &str = "text frame that is not UTF-8";

/// Whether the peer is still there, looked at every [`Limits::message_time`]: the library does not tell of a message that
/// has begun, but the bytes of one have been read.
struct Watch {
    limits: Limits,
    /// When the first message is due.
    first_until: Option<Instant>,
    next_look: Instant,
    /// When a frame ended last, and how many bytes had been read.
    heard: Instant,
    read: u64,
    /// A message had begun when this last looked.
    begun: bool,
    asked: bool,
}

enum Look {
    Fine,
    /// It has been silent: a ping tells whether it is there.
    Ask,
    End(CloseReason),
}

impl Watch {
    fn new(now: Instant, limits: Limits) -> Self {
        Self {
            limits,
            first_until: Some(now + limits.first_message_time),
            next_look: now + limits.message_time,
            heard: now,
            read: 0,
            begun: false,
            asked: false,
        }
    }

    fn due(&self) -> Instant {
        self.first_until.map_or(self.next_look, |first| first.min(self.next_look))
    }

    fn heard(&mut self, read: u64, now: Instant) {
        (self.heard, self.read, self.begun, self.asked) = (now, read, false, false);
    }

    fn look(&mut self, read: u64, now: Instant) -> Look {
        if self.first_until.is_some_and(|first| first <= now) {
            return Look::End(CloseReason::Idle);
        }
        self.next_look = now + self.limits.message_time;
        if read != self.read {
            let begun = std::mem::replace(&mut self.begun, true);
            return if begun { Look::End(CloseReason::MessageTime) } else { Look::Fine };
        }
        if self.asked {
            return Look::End(CloseReason::Idle);
        }
        self.asked = now.saturating_duration_since(self.heard) >= self.limits.ping_time;
        if self.asked { Look::Ask } else { Look::Fine }
    }
}
