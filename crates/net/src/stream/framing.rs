//! Where a message ends in a stream of bytes: told by a plain function of the protocol's crate.

/// What stands at the beginning of the bytes that were received and not yet consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The beginning of a message: ask again with more bytes, for which the peer has a limited time.
    Incomplete,
    /// What may turn out to be skipped, but is no message yet: ask again with more bytes, for which the peer has as much
    /// time as if it had sent nothing.
    Blank,
    /// This many bytes belong to no message; 1 to all of them.
    Skip(usize),
    /// This many bytes are a keep-alive that is owed an answer (RFC 5626 §4.4.1); 1 to all of them.
    Ping(usize, &'static [u8]),
    /// A message of this many bytes; 1 to all of them.
    Message(usize),
    /// Not the protocol: the connection is closed, with this as the detail for the log.
    Invalid(&'static str),
}

/// Says what stands at the beginning of `bytes`, which are never empty.
pub type Framer = fn(bytes: &[u8]) -> Frame;
