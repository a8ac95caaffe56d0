//! What became of the packets of a stream.

/// Counts since they were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets that never came.
    pub lost: u64,
    /// Frames made up for missing packets.
    pub concealed: u64,
    /// Packets out of order and in time.
    pub reordered: u64,
    /// Packets too late for their place, or with no place near it.
    pub late: u64,
    /// Packets seen before.
    pub duplicate: u64,
    /// Packets discarded because the buffer was too full or they too long.
    pub overflow: u64,
}
