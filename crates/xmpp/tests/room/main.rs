//! The view of a room against what Prosody 0.12 and ejabberd 23.01 really sent.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod entry;
mod random;
mod reconcile;
mod replay;
mod service;
