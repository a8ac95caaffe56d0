//! Session descriptions (RFC 8866) and the offer/answer model (RFC 3264) for one audio stream.

mod answer;
mod media;
mod offer;

use std::net::{IpAddr, SocketAddr};

pub use answer::{Answer, answer};
pub use offer::{offer, read_answer, reoffer};

use crate::Codec;

/// A session description of the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session(sdp_types::Session);

/// Why a body is no session description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SdpError {
    /// It cannot be read.
    #[error("no session description: {0}")]
    Syntax(String),
    /// It is longer, or has more media lines, than anyone needs.
    #[error("session description too large")]
    TooLarge,
}

impl Session {
    /// Reads a description; lines and attributes that nobody here knows are ignored.
    ///
    /// # Errors
    /// [`SdpError`] where the body is not a description within bounds.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        if body.len() > BODY_MAX {
            return Err(SdpError::TooLarge);
        }
        let session = sdp_types::Session::parse(body).map_err(|error| SdpError::Syntax(error.to_string()))?;
        if session.medias.len() > MEDIA_MAX {
            return Err(SdpError::TooLarge);
        }
        Ok(Self(session))
    }
}

/// Why an offer cannot be answered: a 488 with this warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The address is not one that we can send to: a name, a group, another family than ours.
    #[error("Incompatible network address formats")]
    Address,
    /// Audio is offered over another protocol than RTP/AVP only.
    #[error("Incompatible transport protocol")]
    Transport,
    /// There is no audio.
    #[error("Media type not available")]
    NoAudio,
    /// There is no codec that we speak.
    #[error("Incompatible media format")]
    Format,
}

impl Refusal {
    /// The warn-code of the `Warning` header (RFC 3261 §20.43); the text is its `Display`.
    #[must_use]
    pub const fn warning(self) -> u16 {
        match self {
            Self::Address => 301,
            Self::Transport => 302,
            Self::NoAudio => 304,
            Self::Format => 305,
        }
    }
}

/// Which way audio flows, as seen from the side that says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// Away only.
    SendOnly,
    /// Towards only.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// The direction in which this side sends, receives, both or neither.
    #[must_use]
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether this side sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether this side receives.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The name of its attribute.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// What this side does where the other side's direction is that (RFC 3264 §6.1).
    const fn facing(self, other: Self) -> Self {
        Self::new(self.sends() && other.receives(), self.receives() && other.sends())
    }
}

/// What we say of our side of the stream.
#[derive(Clone, Copy, Debug)]
pub struct LocalMedia<'a> {
    /// Where we receive.
    pub address: IpAddr,
    /// The RTP port there.
    pub port: u16,
    /// The origin's session id, the same for the life of the dialog.
    pub session_id: u64,
    /// The origin's version: one more for each description that differs from the last (RFC 3264 §8).
    pub version: u64,
    /// The codecs that we speak, in the order in which we offer them.
    pub codecs: &'a [Codec],
    /// What we are willing to do.
    pub direction: Direction,
}

/// The audio stream that was agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The codec to send with.
    pub codec: Codec,
    /// The payload type to send it with.
    pub payload_type: u8,
    /// The payload types to expect.
    pub formats: Formats,
    /// The payload type to send telephone-event/8000 with (RFC 4733), where they take it.
    pub telephone_event: Option<u8>,
    /// Where to send to; an unspecified address (RFC 3264 §8.4) means nowhere.
    pub remote: SocketAddr,
    /// What we do.
    pub direction: Direction,
    /// The packet time that the other side would like, in ms.
    pub ptime_ms: u16,
}

/// The payload types that the other side may send, and what they mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Formats {
    codecs: [Option<u8>; Codec::ALL.len()],
    telephone_event: Option<u8>,
}

/// What a payload type means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Audio.
    Audio(Codec),
    /// telephone-event (RFC 4733): never audio.
    TelephoneEvent,
}

impl Formats {
    /// What this payload type means, if it was agreed.
    #[must_use]
    pub fn format(&self, payload_type: u8) -> Option<Format> {
        let agreed = |of: Option<u8>| of == Some(payload_type);
        if let Some(at) = self.codecs.iter().position(|&of| agreed(of)) {
            return Some(Format::Audio(Codec::ALL[at]));
        }
        agreed(self.telephone_event).then_some(Format::TelephoneEvent)
    }

    fn set(&mut self, codec: Codec, payload_type: u8) {
        self.codecs[codec as usize] = Some(payload_type);
    }
}

/// The packet time that we send with, in ms; also what is meant where none is named (RFC 3551 §4.5).
pub const PTIME_MS: u16 = 20;

/// The payload type that we offer telephone-event/8000 with.
const TELEPHONE_EVENT: u8 = 101;
/// What we say that we understand: digits, `*`, `#`, A to D.
const EVENTS: &str = "0-15";
/// A description of one call is a few hundred bytes; with video, ICE and DTLS a few thousand.
const BODY_MAX: usize = 16_384;
const MEDIA_MAX: usize = 16;
