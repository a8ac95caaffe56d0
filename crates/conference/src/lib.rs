//! The conference focus and the policy that maps a MUC room to a mixer, without IO.
//!
//! [`Conferences`] is the user agent that all conferences are (RFC 4353, RFC 4579): `sip:room@domain` is the call of
//! `xmpp:room@rooms`. It answers calls, mirrors each room that is called (the room decides, the focus obeys), and tells
//! the mixer who may be heard. SIP comes in from the edge, which has seen to zones, challenges and identity; stanzas
//! from the component; events from the mixer.

#![forbid(unsafe_code)]

mod caller;
mod conference;
mod conferences;
mod config;
mod decision;
mod leg;
mod media;
mod mirror;
mod orders;
mod output;
mod policy;
mod refusal;
mod restrictions;
mod seed;
mod timetable;
mod turns;

pub use conferences::{Conferences, Counts};
pub use config::{Config, Create, Domain, Media, Restricted, Restriction};
pub use output::{Account, AccountKey, Output, Query};
