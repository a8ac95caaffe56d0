//! Prosody: the existing XMPP server, whose users are those of cusax's directory.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{COMPONENT, DOMAIN, ROOMS, START, source_root};
use crate::interop::PROSODY;
use crate::ports::Port;
use crate::process::{Process, Ready};
use crate::scratch::Scratch;

/// A running Prosody with `deploy/prosody/prosody.cfg.lua`, open to clients without TLS on 127.0.0.1.
#[derive(Debug)]
pub struct Prosody {
    process: Process,
    clients: Port,
    component: Port,
}

impl Prosody {
    /// Starts one for the accounts in the SQLite file `directory`, which must be there, and the component whose secret `secret_file` holds.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start(
        scratch: &Scratch,
        mut clients: Port,
        mut component: Port,
        directory: &Path,
        secret_file: &Path,
    ) -> Result<Self> {
        let program = PROSODY.find()?;
        let dir = scratch.directory("prosody")?;
        let deploy = source_root().join("deploy/prosody").canonicalize()?;
        let (clients_address, component_address) = (clients.hand_over()?, component.hand_over()?);
        let mut command = Command::new(program);
        command
            .arg("-F")
            .arg("--config")
            .arg(deploy.join("prosody.cfg.lua"))
            .env("CUSAX_TRYOUT", "loopback")
            .env("CUSAX_XMPP_DOMAIN", DOMAIN)
            .env("CUSAX_XMPP_ROOMS", ROOMS)
            .env("CUSAX_XMPP_COMPONENT", COMPONENT)
            .env("CUSAX_XMPP_CLIENT_PORT", clients_address.port().to_string())
            .env("CUSAX_XMPP_COMPONENT_PORT", component_address.port().to_string())
            .env("CUSAX_DIRECTORY", directory)
            .env("CUSAX_COMPONENT_SECRET_FILE", secret_file)
            .env("CUSAX_PROSODY_DATA", &dir)
            .env("CUSAX_PROSODY_MODULES", deploy.join("modules"));
        let mut process = Process::start("prosody", command, dir)?;
        process.ready(Ready::Tcp(clients_address), START).await?;
        process.ready(Ready::Tcp(component_address), START).await?;
        Ok(Self { process, clients, component })
    }

    /// Where clients connect.
    #[must_use]
    pub fn clients(&self) -> SocketAddr {
        self.clients.address()
    }

    /// Where the component connects.
    #[must_use]
    pub fn component(&self) -> SocketAddr {
        self.component.address()
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }
}
