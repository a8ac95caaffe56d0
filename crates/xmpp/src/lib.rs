//! XMPP without IO: stream, component protocol, client stream, stanzas and the view of a MUC room.
//!
//! Bytes become [`Element`]s in [`stream`], within bounds and without what XMPP forbids. [`component`] keeps one
//! XEP-0114 stream up, [`client`] logs one user in, and [`muc::Room`] is what the focus knows of one room. Each is a
//! core: inputs with the time, `poll_output`, `poll_timeout`.

#![forbid(unsafe_code)]

pub mod client;
pub mod component;
pub mod element;
pub mod form;
pub mod jid;
pub mod muc;
pub mod ns;
pub mod sasl;
mod secret;
mod seed;
pub mod stanza;
pub mod stream;

pub use element::Element;
pub use jid::{BareJid, Jid, JidError};
pub use secret::Secret;
