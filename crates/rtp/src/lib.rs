//! Real-time media without IO: RTP, SDP, jitter buffer, G.711, tones and tone detection.

#![forbid(unsafe_code)]
