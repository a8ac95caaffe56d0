//! The proxy core (RFC 3261 §16): decisions by script, then whole crowds on a lossy link.

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod cancel;
mod crowd;
mod forward;
mod stage;
