//! What this edge adds to a proxy, without IO: trust zones, challenges, caller identity, charge cues.

#![forbid(unsafe_code)]
