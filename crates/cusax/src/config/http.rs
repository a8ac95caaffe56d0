//! `[http]` and `[provisioning]`: what is served over HTTP.

use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Metrics, health and the API, for operators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http {
    /// Address and port of /metrics, /livez, /readyz and /v1/… A change needs a restart.
    #[schemars(with = "String")]
    pub(crate) listen: SocketAddr,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 8080).into() }
    }
}

/// Accounts for users' devices, over HTTPS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provisioning {
    /// Address and port.
    #[schemars(with = "String", example = &"0.0.0.0:8443")]
    pub(crate) listen: SocketAddr,
}
