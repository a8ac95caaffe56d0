//! What comes before the first message: the PROXY header, TLS, and the upgrade to a WebSocket.
//!
//! It costs cryptography and patience, so it runs on another runtime than the connections, with a deadline; when it is
//! done, the connection moves to the runtime of its owner.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, Error};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::balancers::Balancers;
use super::connection::prepare;
use super::websocket::{self, WebSocket};
use super::wire::{Socket, Wire};
use super::{CloseReason, Limits, proxy_header};
use crate::tls;

/// What the connections of a listener begin with; nothing of it: TCP.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// From these, a PROXY header, version 2: who connects is whom it names. All others connect for themselves.
    pub balancers: Balancers,
    /// TLS.
    pub tls: Option<tls::Server>,
    /// The upgrade to a WebSocket, in which each message is one of ours.
    pub websocket: bool,
    /// The origins whose pages may ask for that (RFC 6455 §10.2), as browsers write them; all where there are none.
    pub origins: Arc<[String]>,
    /// Who connects stands for many, as another server does: as much waits for him as on a connection of ours.
    pub shared: bool,
}

/// Whom a connection of ours is made to by TLS.
#[derive(Clone, Debug)]
pub struct SecureTarget {
    /// What connects.
    pub client: tls::Client,
    /// The SIP domains for one of which the other end must speak; the first is asked for.
    pub domains: Vec<String>,
}

/// What TLS said of the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    /// Version.
    pub version: tls::Version,
    /// The SIP domains that the other end's certificate speaks for (RFC 5922 §7.1), once its chain was verified; none
    /// where it showed no certificate.
    pub identities: Vec<String>,
    /// The URIs of the users whom its certificate names, once an authority of users vouched for it; never of a server.
    pub users: Vec<String>,
}

/// Why a connection never came to its first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeFailure {
    /// Where it failed.
    pub layer: Layer,
    /// How.
    pub cause: Cause,
}

/// A part of what comes before the first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The PROXY header.
    Proxy,
    /// TLS.
    Tls,
    /// The upgrade to a WebSocket.
    WebSocket,
}

/// How it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It was not done in [`Limits::handshake_time`].
    Deadline,
    /// The other end went away.
    Closed,
    /// The other end's certificate is not good for us.
    Certificate(&'static str),
    /// The other end does not want us: our certificate, or that we have none.
    Refused(&'static str),
    /// It is not the protocol.
    Invalid(&'static str),
    /// A web page of an origin that is not let in.
    Origin,
}

impl Cause {
    /// The cause as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Closed => "closed",
            Self::Certificate(_) => "certificate",
            Self::Refused(_) => "refused",
            Self::Invalid(_) => "invalid",
            Self::Origin => "origin",
        }
    }

    /// What exactly was wrong.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Deadline => "not done in time",
            Self::Closed => "the other end went away",
            Self::Origin => "WebSocket of a page that is not let in",
            Self::Certificate(detail) | Self::Refused(detail) | Self::Invalid(detail) => detail,
        }
    }
}

/// A connection that messages can travel on.
pub(super) struct Established {
    pub(super) carrier: Carrier,
    pub(super) local: SocketAddr,
    /// The other end, or whom it connects for.
    pub(super) peer: SocketAddr,
    pub(super) security: Option<Security>,
}

/// What messages travel in.
pub(super) enum Carrier {
    /// A stream of bytes that is framed.
    Bytes(Wire),
    /// Messages.
    WebSocket(Box<WebSocket>),
}

/// Does on `control` what a connection that was accepted begins with.
pub(super) async fn accept(
    control: &Handle,
    stream: TcpStream,
    peer: SocketAddr,
    layers: Layers,
    limits: Limits,
) -> Result<Established, CloseReason> {
    elsewhere(control, stream, move |stream| shake_accepted(stream, peer, layers, limits)).await
}

/// Does on `control` what a connection of ours begins with.
pub(super) async fn connect(
    control: &Handle,
    stream: TcpStream,
    peer: SocketAddr,
    target: SecureTarget,
    limits: Limits,
) -> Result<Established, CloseReason> {
    elsewhere(control, stream, move |stream| shake_connected(stream, peer, target, limits)).await
}

/// Runs it there, ends it where nobody waits for it any more, and moves the connection here.
async fn elsewhere<F>(
    control: &Handle,
    stream: TcpStream,
    work: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> Result<Established, CloseReason>
where
    F: Future<Output = Result<Established, CloseReason>> + Send,
{
    let stream = stream.into_std().map_err(|error| failed(&error))?;
    let mut task = JoinSet::new();
    task.spawn_on(async move { work(TcpStream::from_std(stream).map_err(|error| failed(&error))?).await }, control);
    // A runtime that is shutting down takes the whole process with it.
    let Some(Ok(done)) = task.join_next().await else { return Err(CloseReason::Local) };
    let mut established = done?;
    let wire = match &mut established.carrier {
        Carrier::Bytes(wire) => wire,
        Carrier::WebSocket(websocket) => websocket.get_mut(),
    };
    wire.settle().map_err(|error| failed(&error))?;
    Ok(established)
}

async fn shake_accepted(
    mut stream: TcpStream,
    peer: SocketAddr,
    layers: Layers,
    limits: Limits,
) -> Result<Established, CloseReason> {
    let mut layer = Layer::Proxy;
    let work = async {
        let mut peer = peer;
        let local = prepare(&stream).map_err(|_| Cause::Closed)?;
        if layers.balancers.include(peer.ip()) {
            peer = proxy_header::read(&mut stream).await?.unwrap_or(peer);
        }
        let socket = Socket::from(stream);
        let (wire, security) = match layers.tls {
            None => (Wire::from(socket), None),
            Some(server) => {
                layer = Layer::Tls;
                let accepted = TlsAcceptor::from(server.config()).accept(socket).await;
                let accepted = accepted.map_err(|error| of_tls(&error))?;
                let client = server.vouched(accepted.get_ref().1.peer_certificates().unwrap_or_default());
                secured(TlsStream::from(accepted), client.identities, client.users)?
            }
        };
        if !layers.websocket {
            return Ok(Established { carrier: Carrier::Bytes(wire), local, peer, security });
        }
        layer = Layer::WebSocket;
        let websocket = websocket::accept(wire, &layers.origins, limits.message_bytes).await?;
        Ok(Established { carrier: Carrier::WebSocket(Box::new(websocket)), local, peer, security })
    };
    let done = timeout(limits.handshake_time, work).await.unwrap_or(Err(Cause::Deadline));
    done.map_err(|cause| CloseReason::Handshake(HandshakeFailure { layer, cause }))
}

async fn shake_connected(
    stream: TcpStream,
    peer: SocketAddr,
    target: SecureTarget,
    limits: Limits,
) -> Result<Established, CloseReason> {
    let work = async {
        let local = prepare(&stream).map_err(|_| Cause::Closed)?;
        let known = target.client.to(&target.domains);
        let (config, asked) = known.ok_or(Cause::Invalid("it is not known whose certificate to expect"))?;
        let connecting = TlsConnector::from(config).connect(asked, Socket::from(stream));
        let connected = connecting.await.map_err(|error| of_tls(&error))?;
        let shown = connected.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let identities = shown.map(tls::identities).unwrap_or_default();
        let (wire, security) = secured(TlsStream::from(connected), identities, Vec::new())?;
        Ok(Established { carrier: Carrier::Bytes(wire), local, peer, security })
    };
    let done = timeout(limits.handshake_time, work).await.unwrap_or(Err(Cause::Deadline));
    done.map_err(|cause| CloseReason::Handshake(HandshakeFailure { layer: Layer::Tls, cause }))
}

fn secured(
    tls: TlsStream<Socket>,
    identities: Vec<String>,
    users: Vec<String>,
) -> Result<(Wire, Option<Security>), Cause> {
    let (_, session) = tls.get_ref();
    let version = tls::Version::of(session.protocol_version()).ok_or(Cause::Invalid("no version of TLS"))?;
    Ok((Wire::from(tls), Some(Security { version, identities, users })))
}

fn failed(error: &io::Error) -> CloseReason {
    CloseReason::Failed(error.kind())
}

/// What went wrong in a TLS handshake.
fn of_tls(error: &io::Error) -> Cause {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else { return Cause::Closed };
    if let Error::InvalidCertificate(error) = error {
        Cause::Certificate(of_certificate(error))
    } else if let Error::AlertReceived(alert) = error {
        Cause::Refused(of_alert(*alert))
    } else if matches!(error, Error::NoCertificatesPresented) {
        Cause::Certificate("no certificate")
    } else if matches!(error, Error::PeerIncompatible(_)) {
        Cause::Invalid("no common version or cipher suite")
    } else {
        Cause::Invalid("not TLS")
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "theirs, and it grows")]
const fn of_certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "certificate not yet valid",
        CertificateError::UnknownIssuer => "certificate by an unknown authority",
        CertificateError::Revoked => "certificate revoked",
        CertificateError::UnknownRevocationStatus => "certificate of an authority without revocation list",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "certificate of another domain"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "certificate for another purpose"
        }
        _ => "certificate that cannot be verified",
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "theirs, and it grows")]
const fn of_alert(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::UnknownCA => "it does not know the authority of our certificate",
        AlertDescription::CertificateExpired => "it finds our certificate expired",
        AlertDescription::CertificateRequired => "it wants a certificate of ours",
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => "it does not accept our certificate",
        AlertDescription::ProtocolVersion => "it speaks no version of TLS that we do",
        AlertDescription::HandshakeFailure => "it finds no common parameters",
        _ => "it sent an alert",
    }
}
