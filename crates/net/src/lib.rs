//! The only crate with sockets, clock and DNS; batched UDP.

#![forbid(unsafe_code)]
