//! XMPP without IO: stream, component protocol, client stream, stanzas and the view of a MUC room.

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
