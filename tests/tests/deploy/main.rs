//! The example configurations in `deploy/`, run by the servers that they are for.

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]

mod cusax;
mod kamailio;
mod operator;
mod prosody;
mod session;
