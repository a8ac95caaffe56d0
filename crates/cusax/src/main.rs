//! cusax: SIP edge, XMPP component and conferences as one service.

#![forbid(unsafe_code)]

mod cli;
mod config;
mod serve;

use std::process::ExitCode;

/// Messages, edits and what is kept of a call are many small allocations: by the C library's allocator they were a fifth of the
/// edge's time (a profile of `benches/benches/edge_call.rs`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
