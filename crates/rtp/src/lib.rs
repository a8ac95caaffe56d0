//! Real-time media without IO: RTP, SDP, jitter buffer, G.711, tones and tone detection.

#![forbid(unsafe_code)]

mod codec;
pub mod g711;
pub mod jitter;
pub mod packet;
pub mod sdp;
pub mod seq;
pub mod tone;

pub use codec::{Codec, FRAME_SAMPLES, Frame};
