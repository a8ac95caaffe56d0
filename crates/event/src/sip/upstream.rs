//! What is known of the core targets.

use std::sync::Arc;
use std::time::Duration;

use crate::closed_enum;

closed_enum! {
    /// Whether a core target takes requests.
    UpstreamState {
        /// It answers.
        Up = "up",
        /// It answers 503: what is under way goes on, new requests go elsewhere.
        Draining = "draining",
        /// It does not answer.
        Down = "down",
    }
}

closed_enum! {
    /// What an OPTIONS probe came to.
    ProbeResult {
        /// A final response other than 503.
        Ok = "ok",
        /// 503.
        Unavailable = "unavailable",
        /// No response in time, or a transport error.
        Failed = "failed",
    }
}

/// A probe of a core target ended.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamProbed {
    /// Its URI as it is configured.
    pub upstream: Arc<str>,
    /// What came of it.
    pub result: ProbeResult,
    /// Until its answer.
    pub duration: Duration,
}

/// A core target changed its state.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamChanged {
    /// Its URI as it is configured.
    pub upstream: Arc<str>,
    /// What it is now.
    pub state: UpstreamState,
}
