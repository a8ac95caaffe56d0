//! What was turned away because there was too much of it.

use std::net::SocketAddr;

use crate::{Correlation, closed_enum};

closed_enum! {
    /// How long a request can wait, the longest last.
    Urgency {
        /// A call for help.
        Emergency = "emergency",
        /// A request within a call that stands.
        Dialog = "dialog",
        /// A new call.
        Call = "call",
        /// A registration.
        Registration = "registration",
        /// Anything else.
        Other = "other",
    }
}

closed_enum! {
    /// Why a request was turned away.
    ShedCause {
        /// Its source sent more than `sip.limits.requests_per_source`.
        SourceRate = "source_rate",
        /// Its account sent more than `sip.limits.requests_per_account`.
        AccountRate = "account_rate",
        /// This edge has too much to do.
        Overload = "overload",
        /// More calls for help at a time than `sip.limits.emergency_calls`.
        EmergencyLane = "emergency_lane",
    }
}

closed_enum! {
    /// What an edge that has too much to do turns away; each level also what those before it do.
    OverloadLevel {
        /// Nothing.
        None = "none",
        /// What is neither a call nor a registration.
        Others = "others",
        /// Registrations.
        Registrations = "registrations",
        /// New calls.
        Calls = "calls",
        /// Requests within calls that stand, but their ends.
        Dialogs = "dialogs",
    }
}

/// A request was turned away.
#[derive(Clone, Debug, PartialEq)]
pub struct Shed {
    /// How long it could have waited.
    pub urgency: Urgency,
    /// Why it was turned away.
    pub cause: ShedCause,
    /// True where it was answered with 503; false where not even that.
    pub answered: bool,
    /// Who sent it.
    pub remote: SocketAddr,
    /// Whose story it is.
    pub correlation: Correlation,
}

/// What is turned away has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverloadChanged {
    /// The level from now on.
    pub level: OverloadLevel,
}
