//! What happened to the process and its stores.

use crate::closed_enum;

closed_enum! {
    /// What became of the directory, or of our own state beside it.
    DirectoryState {
        /// It was read.
        Loaded = "loaded",
        /// It changed and was read again.
        Refreshed = "refreshed",
        /// It could not be read; the last snapshot stays.
        Stale = "stale",
        /// It can be read and not written: accounts are changed elsewhere, or not at all.
        ReadOnly = "read_only",
        /// Our own state can be read and not written: what moderators decide is forgotten with the process.
        StateReadOnly = "state_read_only",
        /// Our own state could not be written.
        WriteFailed = "write_failed",
    }
}

/// The directory was read, or could not be; or our own state could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// What became of it.
    pub state: DirectoryState,
    /// Accounts in the snapshot; none where it is our own state that this tells of.
    pub accounts: Option<usize>,
    /// What the database said.
    pub detail: String,
}

closed_enum! {
    /// What came of reading the configuration again.
    ReloadResult {
        /// It is in force.
        Applied = "applied",
        /// It is not: the one before stays, all of it.
        Refused = "refused",
    }
}

/// The configuration was read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigReload {
    /// What came of it.
    pub result: ReloadResult,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Keys that were changed and stay as they were until a restart.
    pub needs_restart: Vec<&'static str>,
    /// Of what file; or what is wrong with it, and where.
    pub detail: String,
}

closed_enum! {
    /// A stage in the life of the process.
    Stage {
        /// Everything listens.
        Started = "started",
        /// No new calls.
        Draining = "draining",
        /// The end.
        Stopped = "stopped",
        /// A part failed and is tried again.
        Degraded = "degraded",
        /// A part that had failed works again.
        Recovered = "recovered",
    }
}

/// The process started, began to drain, or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    /// Which stage.
    pub stage: Stage,
    /// Which part, and what the system said.
    pub detail: String,
}

closed_enum! {
    /// Why an HTTP connection was closed without an answer.
    HttpDropReason {
        /// It could not be accepted: as a rule the process has no descriptor left.
        AcceptFailed = "accept_failed",
        /// There were as many as there may be, and it was the oldest.
        Overload = "overload",
        /// Its request was not complete, or its answer not taken, in time.
        Deadline = "deadline",
    }
}

/// An HTTP connection was closed without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpDropped {
    /// Why.
    pub reason: HttpDropReason,
    /// What was wrong, for the log at DEBUG.
    pub detail: String,
}
