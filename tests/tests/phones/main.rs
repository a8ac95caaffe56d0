//! Phones through the edge and Kamailio: calls that outlive the edge, baresip, linphone and a browser.

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]

mod b2bua;
mod baresip;
mod browser;
mod call;
mod early;
mod linphone;
mod passage;
mod restart;
mod scenarios;
mod stage;
mod stream;
mod wire;
