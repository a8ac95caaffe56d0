//! What happened on the SIP side.

mod connection;
mod overload;
mod report;
mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use connection::{Connection, ConnectionResult};
pub use overload::{OverloadChanged, OverloadLevel, Shed, ShedCause, Urgency};
pub use report::{Forwarded, Report, Role, TransactionKind};
pub use upstream::{ProbeResult, UpstreamChanged, UpstreamProbed, UpstreamState};

use crate::{Correlation, Identity, closed_enum};

closed_enum! {
    /// Which side of the edge a message passed.
    Leg {
        /// A user agent (zone `access`).
        Client = "client",
        /// The existing SIP servers (zone `core`).
        Upstream = "upstream",
        /// Another provider (zone `peer`).
        Peer = "peer",
        /// A user agent inside this process: focus or virtual UAS.
        Internal = "internal",
    }
}

closed_enum! {
    /// Which way a message went.
    Direction {
        /// Into this process.
        Received = "received",
        /// Out of this process.
        Sent = "sent",
    }
}

closed_enum! {
    /// A transport of RFC 3261 §18 or RFC 7118.
    Transport {
        /// UDP.
        Udp = "udp",
        /// TCP.
        Tcp = "tcp",
        /// TLS over TCP.
        Tls = "tls",
        /// WebSocket.
        Ws = "ws",
        /// WebSocket over TLS.
        Wss = "wss",
        /// Inside this process.
        Internal = "internal",
    }
}

closed_enum! {
    /// A method as a metric label; what is not known is `other`.
    Method {
        /// INVITE.
        Invite = "INVITE",
        /// ACK.
        Ack = "ACK",
        /// BYE.
        Bye = "BYE",
        /// CANCEL.
        Cancel = "CANCEL",
        /// REGISTER.
        Register = "REGISTER",
        /// OPTIONS.
        Options = "OPTIONS",
        /// SUBSCRIBE.
        Subscribe = "SUBSCRIBE",
        /// NOTIFY.
        Notify = "NOTIFY",
        /// PUBLISH.
        Publish = "PUBLISH",
        /// MESSAGE.
        Message = "MESSAGE",
        /// REFER.
        Refer = "REFER",
        /// UPDATE.
        Update = "UPDATE",
        /// PRACK.
        Prack = "PRACK",
        /// INFO.
        Info = "INFO",
        /// Any other method.
        Other = "other",
    }
}

closed_enum! {
    /// Why something that came in by SIP was dropped.
    DropReason {
        /// The source is not one that the zone accepts.
        Acl = "acl",
        /// A rate limit.
        RateLimit = "rate_limit",
        /// Overload.
        Overload = "overload",
        /// Not a SIP message.
        Malformed = "malformed",
        /// A response that answers nothing that we sent.
        Unmatched = "unmatched",
        /// A loop.
        Loop = "loop",
        /// An ACK or other message that cannot be answered ran out of Max-Forwards.
        MaxForwards = "max_forwards",
        /// The process is draining.
        Drain = "drain",
        /// A bounded queue was full.
        QueueFull = "queue_full",
        /// The header section was not complete in time.
        Deadline = "deadline",
        /// A message larger than allowed.
        TooLarge = "too_large",
        /// A flow token that is not ours, or whose flow is gone, on a message that cannot be answered.
        Flow = "flow",
        /// A connection that could not be accepted: as a rule the process has no descriptor left.
        AcceptFailed = "accept_failed",
        /// A connection without a good PROXY header where one is due.
        ProxyHeader = "proxy_header",
        /// A connection whose TLS handshake failed.
        Tls = "tls",
        /// A connection that did not become a WebSocket for SIP.
        WebSocket = "websocket",
        /// A WebSocket for a page of an origin that is not let in.
        Origin = "origin",
    }
}

/// A SIP message passed one of our listeners.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Side of the edge.
    pub leg: Leg,
    /// In or out.
    pub direction: Direction,
    /// Transport.
    pub transport: Transport,
    /// Method of the request, or of the request that this response answers (CSeq).
    pub method: Method,
    /// Status code of a response.
    pub status: Option<u16>,
    /// True where the bytes had been sent or received before.
    pub retransmission: bool,
    /// Our address.
    pub local: SocketAddr,
    /// The other side's address.
    pub remote: SocketAddr,
    /// Identifiers; also what the trace is indexed by.
    pub correlation: Correlation,
    /// Where the trace store is on: the first line and what a ladder shows of the message.
    pub summary: Option<Summary>,
}

/// What a ladder shows of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Request line or status line.
    pub first_line: Arc<str>,
    /// CSeq value.
    pub cseq: Arc<str>,
    /// From URI.
    pub from: Identity,
    /// To URI.
    pub to: Identity,
    /// Header lines worth reading in a ladder (`Warning`, `Reason`, `Call-Info`), secrets never among them.
    pub notes: Vec<Arc<str>>,
}

/// Something that came in by SIP was dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    /// Why.
    pub reason: DropReason,
    /// Where it came in.
    pub transport: Transport,
    /// From where.
    pub remote: Option<SocketAddr>,
    /// How many.
    pub count: u32,
    /// What was wrong, for the log at DEBUG.
    pub detail: &'static str,
}

closed_enum! {
    /// How a transaction ended.
    Outcome {
        /// 2xx.
        Success = "2xx",
        /// 3xx.
        Redirect = "3xx",
        /// 4xx.
        ClientError = "4xx",
        /// 5xx.
        ServerError = "5xx",
        /// 6xx.
        GlobalError = "6xx",
        /// Nothing answered.
        Timeout = "timeout",
        /// Cancelled.
        Cancelled = "cancelled",
    }
}

impl Outcome {
    /// The outcome that a final status stands for.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Success,
            300..=399 => Self::Redirect,
            487 => Self::Cancelled,
            400..=499 => Self::ClientError,
            500..=599 => Self::ServerError,
            _ => Self::GlobalError,
        }
    }
}

/// A server transaction of the proxy got its final response.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionEnded {
    /// Method.
    pub method: Method,
    /// Final status.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// From the request to its final response.
    pub duration: Duration,
    /// Identifiers.
    pub correlation: Correlation,
}

closed_enum! {
    /// How a call's set-up ended.
    CallOutcome {
        /// 2xx.
        Answered = "answered",
        /// 486 or 600.
        Busy = "busy",
        /// 408 or 480.
        NoAnswer = "no_answer",
        /// 487.
        Cancelled = "cancelled",
        /// Refused by this edge.
        Rejected = "rejected",
        /// Any other failure.
        Failed = "failed",
    }
}

/// The set-up of a call ended.
#[derive(Clone, Debug, PartialEq)]
pub struct CallEnded {
    /// How.
    pub outcome: CallOutcome,
    /// Final status sent to the caller.
    pub status: u16,
    /// Who called, where known.
    pub caller: Option<Identity>,
    /// Identifiers.
    pub correlation: Correlation,
}

closed_enum! {
    /// Result of a digest exchange, or of looking at a certificate.
    AuthResult {
        /// Right.
        Ok = "ok",
        /// A challenge was sent.
        Challenged = "challenged",
        /// Wrong password, or a malformed response.
        BadCredentials = "bad_credentials",
        /// The nonce was too old; challenged again with `stale=true`.
        Stale = "stale",
        /// No such account.
        UnknownUser = "unknown_user",
        /// A nonce count that was used before.
        Replay = "replay",
        /// The directory could not be asked.
        BackendError = "backend_error",
        /// The From address is not the account's.
        Mismatch = "mismatch",
    }
}

closed_enum! {
    /// How somebody proves who he is: a digest algorithm (RFC 8760), or a certificate.
    Algorithm {
        /// MD5.
        Md5 = "MD5",
        /// SHA-256.
        Sha256 = "SHA-256",
        /// SHA-512-256.
        Sha512_256 = "SHA-512-256",
        /// A certificate of TLS, which needs no digest.
        Certificate = "certificate",
        /// None yet.
        None = "none",
    }
}

/// A challenge was sent or answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// Result.
    pub result: AuthResult,
    /// Algorithm used.
    pub algorithm: Algorithm,
    /// The name that was offered.
    pub user: Option<Identity>,
    /// From where.
    pub remote: SocketAddr,
    /// Identifiers.
    pub correlation: Correlation,
}

closed_enum! {
    /// A timer of RFC 3261 that ends a transaction.
    Timer {
        /// INVITE client transaction timed out.
        B = "B",
        /// Proxy INVITE rang too long.
        C = "C",
        /// Non-INVITE client transaction timed out.
        F = "F",
        /// No ACK for a final response.
        H = "H",
    }
}

/// A transaction timer fired for good.
#[derive(Clone, Debug, PartialEq)]
pub struct TimerFired {
    /// Which.
    pub timer: Timer,
    /// Identifiers.
    pub correlation: Correlation,
}

closed_enum! {
    /// What a request to an upstream came to.
    UpstreamResult {
        /// It answered.
        Ok = "ok",
        /// It answered 503, or the transport failed.
        Error = "error",
        /// It did not answer.
        Timeout = "timeout",
        /// There was none to send to.
        NoRoute = "no_route",
    }
}

/// A request to a core target ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// The target as configured.
    pub upstream: Arc<str>,
    /// What it came to.
    pub result: UpstreamResult,
}

closed_enum! {
    /// What was done to `Call-Info` values with `purpose=impp`.
    CallInfoAction {
        /// Ours was inserted.
        Inserted = "inserted",
        /// What was there stayed.
        Kept = "kept",
        /// One from an untrusted side was removed.
        Stripped = "stripped",
        /// None was inserted.
        Skipped = "skipped",
        /// The request was refused for it (`caller.forged = "reject"`).
        Rejected = "rejected",
    }
}

closed_enum! {
    /// Why.
    CallInfoReason {
        /// The caller is verified, or the core asserted him.
        Trusted = "trusted",
        /// The caller is not verified.
        Untrusted = "untrusted",
        /// The value came from where it must not come from.
        Forged = "forged",
        /// The caller is anonymous (`anonymous.invalid`).
        Anonymous = "anonymous",
        /// The caller asked for privacy.
        Privacy = "privacy",
        /// The account has no JID.
        NoBinding = "no_binding",
        /// Insertion is off, or the destination may not see JIDs.
        NotApplicable = "not_applicable",
    }
}

/// What was done to `Call-Info` values with `purpose=impp`.
#[derive(Clone, Debug, PartialEq)]
pub struct CallInfo {
    /// What.
    pub action: CallInfoAction,
    /// Why.
    pub reason: CallInfoReason,
    /// Identifiers.
    pub correlation: Correlation,
}

closed_enum! {
    /// What a dialled number is.
    NumberClass {
        /// Emergency.
        Emergency = "emergency",
        /// A short number of the house.
        Extension = "extension",
        /// A number of our own.
        OnNet = "on-net",
        /// A number of a partner reached by SIP.
        Partner = "partner",
        /// Free for the caller.
        TollFree = "toll-free",
        /// National, fixed (or not told apart from mobile).
        National = "national",
        /// National, mobile.
        Mobile = "mobile",
        /// Premium rate.
        Premium = "premium",
        /// Satellite.
        Satellite = "satellite",
        /// Another country.
        International = "international",
        /// No number: an address of another domain.
        ForeignDomain = "foreign-domain",
        /// A number of no known kind; treated as international.
        Unknown = "unknown",
    }
}

/// A dialled number was classified.
#[derive(Clone, Debug, PartialEq)]
pub struct Classified {
    /// Its class.
    pub class: NumberClass,
    /// The number or address.
    pub number: Identity,
    /// Identifiers.
    pub correlation: Correlation,
}

closed_enum! {
    /// How a caller was told about charges.
    CueKind {
        /// 183 with Warning.
        Header = "header",
        /// Alert-Info on the way of 18x.
        AlertInfo = "alert_info",
        /// Spoken in early media.
        Announcement = "announcement",
        /// A tone in early media.
        Tone = "tone",
        /// An XMPP headline.
        Message = "message",
        /// 403 with the reason.
        Blocked = "blocked",
    }
}

/// A cue was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Cue {
    /// How.
    pub kind: CueKind,
    /// For what class of number.
    pub class: NumberClass,
    /// The number.
    pub number: Identity,
    /// Who was told, where it is known.
    pub caller: Option<Identity>,
    /// Identifiers.
    pub correlation: Correlation,
}
