//! The focus between a scripted MUC service, scripted phones behind an edge, and a mixer, on a virtual clock.

#![expect(clippy::unwrap_used, reason = "a test fails where it is wrong")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for the outputs that it is about")]

mod admission;
mod calls;
mod drain;
mod link;
mod moderation;
mod phone;
mod recorded;
mod service;
mod stage;
mod visitors;
