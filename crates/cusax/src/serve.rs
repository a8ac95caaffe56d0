//! The running service.

use std::process::ExitCode;

use crate::config::Config;

/// Runs until it is told to stop.
pub(crate) fn run(config: Config) -> anyhow::Result<ExitCode> {
    let Config { service, .. } = config;
    anyhow::bail!("{} cannot be served yet", service.domain)
}
