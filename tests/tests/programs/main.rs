//! `cusax-try` as a program: how it ends, whatever happens, and what it is like to visit while it stays up.

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]

mod ending;
mod run;
mod visitor;
