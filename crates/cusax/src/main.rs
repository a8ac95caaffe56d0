//! cusax: SIP edge, XMPP component and conferences as one service.

#![forbid(unsafe_code)]

mod cli;
mod config;
mod serve;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
