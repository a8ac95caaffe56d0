//! What happened, as plain structs: the vocabulary that every core may emit.
//!
//! A core never logs and never counts. It pushes an [`Event`] to its outputs, and `cusax-telemetry` renders that
//! one value as the log line, the metric and the trace record, so that the three cannot drift apart.
//!
//! Every closed set here (reasons, classes, outcomes) is an enum made by [`closed_enum!`]: its `as_str` is the
//! metric label and the word in the log, and its `ALL` lets telemetry create every child at zero.

#![forbid(unsafe_code)]

mod closed;
mod correlation;
mod identity;
pub mod media;
pub mod moderation;
pub mod service;
pub mod sip;
pub mod tls;
pub mod xmpp;

pub use correlation::{Correlation, LegId, SessionId};
pub use identity::{Identity, IdentityKind};

/// One thing that happened.
///
/// It is exhaustive on purpose: a new variant does not compile until telemetry renders it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A SIP message passed one of our listeners.
    SipMessage(sip::Message),
    /// A SIP datagram, message or connection was dropped.
    SipDropped(sip::Dropped),
    /// A SIP connection came, went, or was not made.
    SipConnection(sip::Connection),
    /// A TLS handshake ended.
    TlsHandshake(tls::Handshake),
    /// Requests were sent on.
    SipForwarded(sip::Forwarded),
    /// What is true of a SIP thread now.
    SipReport(sip::Report),
    /// A server transaction of the proxy ended.
    SipTransaction(sip::TransactionEnded),
    /// A call (INVITE that was proxied) reached its end of set-up.
    SipCall(sip::CallEnded),
    /// A digest challenge was sent or answered.
    SipAuth(sip::Auth),
    /// A transaction timer fired for good.
    SipTimeout(sip::TimerFired),
    /// An upstream's probe or traffic changed what we think of it.
    SipUpstream(sip::Upstream),
    /// A probe of a core target ended.
    SipUpstreamProbed(sip::UpstreamProbed),
    /// A core target changed its state.
    SipUpstreamChanged(sip::UpstreamChanged),
    /// A SIP request was turned away.
    SipShed(sip::Shed),
    /// The level of overload changed.
    SipOverload(sip::OverloadChanged),
    /// What was done to `Call-Info` values with `purpose=impp`.
    CallInfo(sip::CallInfo),
    /// A dialled number was classified.
    Classified(sip::Classified),
    /// A cue about charges was given to a caller.
    Cue(sip::Cue),
    /// The component stream came up or went down.
    XmppLink(xmpp::Link),
    /// A stanza passed the component stream.
    XmppStanza(xmpp::Stanza),
    /// Bytes or a stanza were refused or dropped.
    XmppDropped(xmpp::Dropped),
    /// A room was mirrored or let go.
    Room(xmpp::RoomMirror),
    /// What a moderator decided was carried out (or not).
    Moderation(moderation::Moderation),
    /// A reconcile of a room ended.
    Reconcile(moderation::Reconcile),
    /// A leg joined or left a conference.
    Leg(media::Leg),
    /// A conference began or ended.
    Conference(media::Conference),
    /// RTP that was dropped (a count since the last such event).
    RtpDropped(media::Dropped),
    /// What a media thread did since its last report.
    MixerReport(media::Report),
    /// The directory was reloaded, or could not be.
    Directory(service::Directory),
    /// An HTTP connection was closed without an answer.
    HttpDropped(service::HttpDropped),
    /// The configuration was read again.
    ConfigReload(service::ConfigReload),
    /// The process started, began to drain or ended.
    Lifecycle(service::Lifecycle),
}
