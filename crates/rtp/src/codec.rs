//! The audio codecs that we speak.

use cusax_event::media;

use crate::g711;

/// Samples in a frame: 20 ms at 8 kHz.
pub const FRAME_SAMPLES: usize = 160;

/// 20 ms of linear audio at 8 kHz.
pub type Frame = [i16; FRAME_SAMPLES];

/// An audio codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// Every codec, in the order in which we like them.
    pub const ALL: [Self; 2] = [Self::Pcmu, Self::Pcma];

    /// The encoding name of its `rtpmap` (RFC 3551 §6).
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.label().as_str()
    }

    /// Its metric label.
    #[must_use]
    pub const fn label(self) -> media::Codec {
        match self {
            Self::Pcmu => media::Codec::Pcmu,
            Self::Pcma => media::Codec::Pcma,
        }
    }

    /// The payload type that we offer it with (RFC 3551 §6 where that assigns one).
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The RTP clock, in Hz.
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }

    /// The payload of 20 ms of silence.
    #[must_use]
    pub const fn silence(self) -> &'static [u8; FRAME_SAMPLES] {
        match self {
            Self::Pcmu => &[0xff; FRAME_SAMPLES],
            Self::Pcma => &[0xd5; FRAME_SAMPLES],
        }
    }

    /// Encodes a frame.
    pub fn encode(self, frame: &Frame, payload: &mut [u8; FRAME_SAMPLES]) {
        match self {
            Self::Pcmu => g711::ulaw_encode(frame, payload),
            Self::Pcma => g711::alaw_encode(frame, payload),
        }
    }

    /// Decodes the payload of a whole frame.
    pub fn decode(self, payload: &[u8; FRAME_SAMPLES], frame: &mut Frame) {
        match self {
            Self::Pcmu => g711::ulaw_decode(payload, frame),
            Self::Pcma => g711::alaw_decode(payload, frame),
        }
    }

    /// Decodes a payload of any packet time; as many samples as fit, and returns how many.
    pub fn decode_any(self, payload: &[u8], samples: &mut [i16]) -> usize {
        let decode_one = match self {
            Self::Pcmu => g711::ulaw_decode_sample,
            Self::Pcma => g711::alaw_decode_sample,
        };
        let pairs = samples.iter_mut().zip(payload);
        let count = pairs.len();
        pairs.for_each(|(sample, &code)| *sample = decode_one(code));
        count
    }
}
