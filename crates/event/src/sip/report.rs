//! What the SIP thread says of its work as a whole.

use std::time::Duration;

use crate::closed_enum;

closed_enum! {
    /// Which end of a transaction we are.
    Role {
        /// We answer.
        Server = "server",
        /// We ask.
        Client = "client",
    }
}

closed_enum! {
    /// Which state machine of RFC 3261 §17 a transaction follows.
    TransactionKind {
        /// INVITE.
        Invite = "invite",
        /// Any other method.
        NonInvite = "non_invite",
    }
}

/// What is true of a SIP thread now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Transactions that live, by [`Role::ALL`], then by [`TransactionKind::ALL`].
    pub transactions: [[u64; 2]; 2],
}

/// Requests were sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// How many, ACK and CANCEL not among them: those this element may have made itself.
    pub requests: u32,
    /// From the system call that received them to the one that sent them; over a stream, between its queues.
    pub delay: Duration,
}
