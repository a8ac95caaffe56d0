//! Testkit: processes of real servers in directories and on ports of their own.
//!
//! A test makes a [`Scratch`] directory, claims [`Port`](ports::Port)s, starts [`server`]s in it, and drops them: each ends with its process
//! group, also when the test panics or is interrupted. What a failed test leaves behind is its logs.

#![forbid(unsafe_code)]

pub mod authority;
pub mod http;
pub mod interop;
pub mod link;
pub mod ports;
pub mod process;
pub mod scratch;
pub mod server;
pub mod tour;

pub use process::Process;
pub use scratch::Scratch;
