//! What moderators decided, and what came of it in the call.

use std::time::Duration;

use crate::{Correlation, Identity, closed_enum};

closed_enum! {
    /// What was done.
    Action {
        /// Voice revoked.
        Mute = "mute",
        /// Voice granted.
        Unmute = "unmute",
        /// Removed for now.
        Kick = "kick",
        /// Removed for good.
        Ban = "ban",
        /// May come back.
        Unban = "unban",
        /// Members-only, password or limit changed.
        Admission = "admission",
        /// The room was destroyed or the conference ended.
        End = "end",
    }
}

closed_enum! {
    /// Who asked for it.
    Origin {
        /// A moderator in the room.
        Muc = "muc",
        /// A phone.
        Sip = "sip",
        /// The HTTP API or the command line.
        Api = "api",
        /// Found by comparing room and call.
        Reconcile = "reconcile",
    }
}

closed_enum! {
    /// What came of it.
    ActionResult {
        /// Done.
        Applied = "applied",
        /// There was nothing to do in the call.
        Noop = "noop",
        /// Not permitted.
        Rejected = "rejected",
        /// Tried and failed.
        Failed = "failed",
        /// Perhaps it was decided while we could not look; nothing was done.
        Unconfirmed = "unconfirmed",
    }
}

/// A moderator's decision was carried out: one log line for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Moderation {
    /// What.
    pub action: Action,
    /// Who asked.
    pub origin: Origin,
    /// What came of it.
    pub result: ActionResult,
    /// The moderator, where the server said.
    pub actor: Option<Identity>,
    /// His words.
    pub reason: Option<String>,
    /// From the last byte of the stanza at our socket to the confirmation of mixer or dialog.
    pub delay: Option<Duration>,
    /// Identifiers.
    pub correlation: Correlation,
}

closed_enum! {
    /// What a reconcile found.
    ReconcileResult {
        /// Room and call agreed.
        InSync = "in_sync",
        /// They did not, and were brought together.
        Repaired = "repaired",
        /// The room could not be asked.
        Failed = "failed",
    }
}

/// A reconcile ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconcile {
    /// What it found.
    pub result: ReconcileResult,
    /// The room.
    pub room: Identity,
}
