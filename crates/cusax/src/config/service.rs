//! `[service]`: what this service is called.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::{Domain, Identifier};

/// The service's names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Service {
    /// Domain of the addresses of record (sip:user@domain); also the digest realm.
    pub(crate) domain: Domain,
    /// Name of this node in logs, metrics and traces. Default: the host's name.
    #[schemars(example = &"edge-1")]
    pub(crate) node: Option<Identifier>,
}

impl Default for Service {
    fn default() -> Self {
        Self { domain: "localhost".parse().expect("localhost is a domain"), node: None }
    }
}
