//! `[caller]`: who is told whose JID (RFC 7081 §3.5, RFC 6993).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The caller's and the callee's JID in Call-Info.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Caller {
    /// Whether calls leave with Call-Info: <xmpp:…>;purpose=impp.
    pub(crate) insert: bool,
    /// What becomes of such a value that a user agent sends itself.
    pub(crate) forged: Forged,
    /// Who learns the callee's JID from 18x and 2xx.
    pub(crate) callee: CalleeReach,
    /// Who outside may see JIDs.
    pub(crate) egress: Egress,
}

impl Default for Caller {
    fn default() -> Self {
        Self { insert: true, forged: Forged::Strip, callee: CalleeReach::OwnDomain, egress: Egress::All }
    }
}

/// What becomes of an impp value from a user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Forged {
    /// it is removed
    Strip,
    /// the request is refused
    Reject,
}

/// Who learns the callee's JID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CalleeReach {
    /// nobody
    Off,
    /// callers of our domain
    OwnDomain,
    /// every caller
    All,
}

/// Who outside may see JIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Egress {
    /// callees of our domain only
    OwnDomain,
    /// everyone who is called
    All,
}
