//! SIP without IO: messages, edits, transactions, proxy core, dialogs and user agent core.
//!
//! Layers, each a struct with `handle_*` inputs, one ordered `poll_output` and a `poll_timeout`:
//! [`transaction`] (RFC 3261 §17, RFC 6026) under [`proxy`] (§16) and [`ua`] (§8, §11–15). A message is scanned once
//! into spans over its bytes ([`Message`]) and changed by splices ([`Edit`]); only what this process originates is
//! printed ([`Compose`]).

#![forbid(unsafe_code)]

mod address;
mod compose;
pub mod dialog;
pub mod digest;
mod edit;
pub mod flow;
pub mod framing;
mod glance;
pub mod location;
pub mod message;
pub mod method;
mod name;
pub mod proxy;
pub mod session_id;
pub mod status;
pub mod stun;
pub mod transaction;
pub mod ua;
pub mod uri;
pub mod validate;
pub mod value;
mod via;

pub use address::Address;
pub use compose::Compose;
pub use edit::Edit;
pub use flow::{ConnectionId, DomainId, Flow, ListenerId, Transmit, Transport};
pub use glance::Glance;
pub use message::{Defect, Message, ParseError};
pub use method::Method;
pub use name::Name;
pub use uri::{Scheme, Uri};
pub use via::Via;
