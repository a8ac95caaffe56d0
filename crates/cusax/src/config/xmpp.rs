//! `[xmpp]`: the component beside the existing XMPP server (XEP-0114).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Endpoint;
use super::name::{Domain, LocalPart};

/// The component's link and names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Xmpp {
    /// Domain of the users' JIDs. Default: service.domain.
    #[schemars(example = &"example.com")]
    pub(crate) domain: Option<Domain>,
    /// The server's component port.
    pub(crate) server: Endpoint,
    /// Where users connect (read by checks). Default: the SRV records of the domain.
    #[schemars(example = &"127.0.0.1:5222")]
    pub(crate) clients: Option<Endpoint>,
    /// Domain of the component itself.
    #[schemars(example = &"cusax.example.com")]
    pub(crate) component: Domain,
    /// File with the component's secret, readable by cusax only.
    #[schemars(example = &"component.secret")]
    pub(crate) secret_file: PathBuf,
    /// The one JID that is owner of rooms: focus@component.
    #[serde(default = "focus")]
    pub(crate) focus: LocalPart,
    /// Most phone callers that are shown as occupants of a room (0: only in the focus' own presence).
    #[serde(default)]
    pub(crate) puppets: u16,
}

fn focus() -> LocalPart {
    "focus".parse().expect("focus is the local part of a JID")
}
