//! The calls, phones and XMPP clients of `cusax-load`, the load tester; the try-out and the tests use the same ones.
//!
//! A [`Phone`] is a user agent with a UDP socket, a tone of its own and ears that tell tones apart, so that "who hears
//! whom" is measured and not guessed. [`calls`] makes very many of them without audio. A [`Chat`] is an XMPP client that moderates rooms. Every wait has a deadline and
//! says what it waited for; all times are of one clock.

#![forbid(unsafe_code)]

pub mod calls;
pub mod chat;
pub mod conference;
pub mod phone;

pub use chat::{Chat, ChatConfig, ChatError};
pub use phone::{Call, Incoming, Phone, PhoneConfig, PhoneError};
