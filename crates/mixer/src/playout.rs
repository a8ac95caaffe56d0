//! A leg's voice in frames of 20 ms, from packets of any packet time.

use cusax_rtp::jitter::{Content, JitterBuffer, PAYLOAD_MAX, Playout as Next, Statistics};
use cusax_rtp::packet::Packet;
use cusax_rtp::sdp::{Format, Formats};
use cusax_rtp::{FRAME_SAMPLES, Frame};

use crate::mix;

/// The jitter buffer of one leg, and what is decoded of it but not heard yet.
#[derive(Clone, Debug)]
pub(crate) struct Playout {
    jitter: JitterBuffer,
    rest: Box<[i16; PAYLOAD_MAX]>,
    rest_length: usize,
    /// Whether the last frame had a voice in it.
    voiced: bool,
    /// Frames made up in a row.
    concealed: u32,
}

impl Playout {
    pub(crate) fn new(target: u64) -> Self {
        Self {
            jitter: JitterBuffer::new(target),
            rest: Box::new([0; PAYLOAD_MAX]),
            rest_length: 0,
            voiced: false,
            concealed: 0,
        }
    }

    /// Takes in a packet to be heard.
    pub(crate) fn insert(&mut self, packet: &Packet<'_>, content: Content) {
        self.jitter.insert(packet, content);
    }

    /// Notes a packet that is not to be heard.
    pub(crate) fn pass_over(&mut self, packet: &Packet<'_>) {
        self.jitter.pass_over(packet);
    }

    /// Forgets what was not heard yet.
    pub(crate) fn clear(&mut self) {
        self.jitter.clear();
        self.rest_length = 0;
        self.voiced = false;
    }

    /// The SSRC of what it plays.
    pub(crate) fn source(&self) -> Option<u32> {
        self.jitter.ssrc()
    }

    pub(crate) fn take_statistics(&mut self) -> Statistics {
        self.jitter.take_statistics()
    }

    /// Writes the next 20 ms over the last ones, which `frame` holds; false where there is no voice in them, and
    /// then `frame` is not to be read.
    pub(crate) fn next(&mut self, formats: &Formats, frame: &mut Frame) -> bool {
        let mut filled = self.rest_length.min(FRAME_SAMPLES);
        let mut voiced = filled > 0;
        frame[..filled].copy_from_slice(&self.rest[..filled]);
        self.rest.copy_within(filled..self.rest_length, 0);
        self.rest_length -= filled;
        while filled < FRAME_SAMPLES {
            match self.jitter.take() {
                Next::Audio { payload_type, payload } => {
                    self.concealed = 0;
                    // A re-offer may have changed what was agreed while the packet waited.
                    let Some(Format::Audio(codec)) = formats.format(payload_type) else { continue };
                    if let (0, Ok(payload)) = (filled, payload.try_into()) {
                        self.voiced = payload != codec.silence();
                        if self.voiced {
                            codec.decode(payload, frame);
                        }
                        return self.voiced;
                    }
                    let decoded = codec.decode_any(payload, &mut *self.rest);
                    let now = decoded.min(FRAME_SAMPLES - filled);
                    frame[filled..filled + now].copy_from_slice(&self.rest[..now]);
                    self.rest.copy_within(now..decoded, 0);
                    self.rest_length = decoded - now;
                    filled += now;
                    voiced |= now > 0;
                }
                Next::Concealed => {
                    self.concealed += 1;
                    if self.voiced && self.concealed <= 2 {
                        mix::conceal(frame, filled, self.concealed == 2);
                        voiced = true;
                    } else {
                        frame[filled..].fill(0);
                    }
                    break;
                }
                Next::Nothing => {
                    frame[filled..].fill(0);
                    break;
                }
            }
        }
        self.voiced = voiced;
        voiced
    }
}
