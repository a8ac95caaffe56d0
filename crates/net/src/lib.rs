//! The only crate with sockets, TLS, clock, DNS and random source.
//!
//! It knows bytes and addresses, never SIP, XMPP or RTP: cores are given what is read here as arguments. What waits
//! is either a future of a tokio runtime ([`udp::AsyncSocket`], [`stream::Streams`], [`link::TcpLink`],
//! [`resolver::Resolver`]) or, for a media thread that must not run one, [`wait::wait`].
//!
//! Every queue, table and duration here has a bound, and whatever is dropped for one says which.

#![deny(unsafe_code)]

pub mod alarm;
pub mod clock;
pub mod descriptors;
pub mod link;
pub mod processor;
pub mod random;
pub mod resolver;
pub mod stream;
pub mod thread;
pub mod tls;
pub mod udp;
pub mod wait;
