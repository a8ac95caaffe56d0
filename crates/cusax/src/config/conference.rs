//! `[[conference]]`: one conference domain is one MUC service (RFC 7081 §4).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::{Domain, LocalPart, Number};

/// A conference domain: sip:room@domain is xmpp:room@rooms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conference {
    /// SIP domain of the conferences.
    #[schemars(example = &"conference.example.com")]
    pub(crate) domain: Domain,
    /// Domain of the MUC service whose rooms they are.
    #[schemars(example = &"conference.example.com")]
    pub(crate) rooms: Domain,
    /// What a call to a room that does not exist gets.
    #[serde(default)]
    pub(crate) create: Create,
    /// Whether visitors are silent in rooms that are not moderated.
    #[serde(default = "yes")]
    pub(crate) mute_visitors_in_unmoderated_rooms: bool,
    /// Numbers to dial in, each with its room.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "+14045550900": "standup" }))]
    pub(crate) numbers: BTreeMap<Number, LocalPart>,
}

const fn yes() -> bool {
    true
}

/// What a call to a room that does not exist gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Create {
    /// 404
    #[default]
    WithRoom,
    /// the room is created
    Always,
}
