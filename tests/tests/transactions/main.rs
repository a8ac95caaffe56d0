//! The four transaction machines by table: what is sent when, over UDP and over a stream (RFC 3261 §17, RFC 6026).

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at what it is about")]

mod bench;
mod client;
mod server;
mod table;
