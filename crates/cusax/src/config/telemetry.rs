//! `[telemetry]`: logs, traces and who is named in them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{Endpoint, Transport};
use super::text::{Bad, text_value};

/// Logs, traces and who is named in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Telemetry {
    /// Form of the log, which goes to standard output.
    pub(crate) log: LogFormat,
    /// How much of it.
    pub(crate) level: Level,
    /// How people, numbers and rooms appear in it.
    pub(crate) identities: Identities,
    /// The trace store, in clear and bounded: a folder of its own that only cusax reads. A change needs a restart.
    pub(crate) trace: PathBuf,
    /// Homer's capture address (HEP3).
    #[schemars(example = &"udp:127.0.0.1:9060")]
    pub(crate) hep: Option<HepTarget>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            log: LogFormat::Json,
            level: Level::Info,
            identities: Identities::Pseudonym,
            trace: "cusax-trace".into(),
            hep: None,
        }
    }
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// an object on each line
    Json,
    /// key=value
    Logfmt,
    /// for reading on a terminal
    Pretty,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// what needs somebody
    Error,
    /// what may need somebody
    Warn,
    /// calls, rooms, moderation
    Info,
    /// every message, identities in clear
    Debug,
    /// every packet, identities in clear
    Trace,
}

/// How people, numbers and rooms appear in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Identities {
    /// keyed, equal for equal values: jid:3f9a2c1b
    Pseudonym,
    /// shortened
    Masked,
    /// as they are
    Clear,
}

/// Where HEP packets go: `udp:host:port` or `tcp:host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HepTarget {
    /// UDP or TCP.
    pub(crate) transport: Transport,
    /// The receiver.
    pub(crate) endpoint: Endpoint,
}

impl FromStr for HepTarget {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let bad = || {
            Bad::new(format!("{text:?} is no HEP address"), "write \"udp:127.0.0.1:9060\" or \"tcp:127.0.0.1:9060\"")
        };
        let (transport, endpoint) = text.split_once(':').ok_or_else(bad)?;
        let transport = match transport {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            _ => return Err(bad()),
        };
        Ok(Self { transport, endpoint: endpoint.parse().map_err(|_: Bad| bad())? })
    }
}

impl fmt::Display for HepTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport, self.endpoint)
    }
}

text_value!(HepTarget, "a HEP address", "udp:127.0.0.1:9060");
