//! The whole edge between scripted phones, a scripted core and accounts that are made up.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it is wrong")]

mod certificates;
mod charge;
mod dialog;
mod doors;
mod draft;
mod forms;
mod identity;
mod location;
mod passage;
mod proof;
mod registration;
mod reload;
mod session;
mod shedding;
mod sips;
mod strict;
mod torture;
mod trust;
mod upstream;
mod users;
mod world;
