//! The programs that people run: how `cusax-try` ends, whatever happens, and what it is like to visit; the scripts.

#![allow(clippy::unwrap_used, reason = "a test fails where it is wrong")]

mod ending;
mod run;
mod scripts;
mod visitor;
