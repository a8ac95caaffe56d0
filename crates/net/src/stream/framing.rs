//! Where a message ends in a stream of bytes: told by a plain function of the protocol's crate.

/// What stands at the beginning of the bytes that were received and not yet consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The beginning of a message (or of what is skipped): ask again with more bytes.
    Incomplete,
    /// This many bytes belong to no message; 1 to all of them.
    Skip(usize),
    /// A message of this many bytes; 1 to all of them.
    Message(usize),
    /// Not the protocol: the connection is closed, with this as the detail for the log.
    Invalid(&'static str),
}

/// Says what stands at the beginning of `bytes`, which are never empty.
pub type Framer = fn(bytes: &[u8]) -> Frame;
