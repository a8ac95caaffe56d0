//! Prosody: the existing XMPP server, whose users are those of cusax's directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

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
    place: Place,
}

/// What it comes back to after a crash.
#[derive(Debug)]
struct Place {
    dir: PathBuf,
    clients: Port,
    component: Port,
    directory: PathBuf,
    secret_file: PathBuf,
}

impl Prosody {
    /// Starts one for the accounts in the SQLite file `directory`, which must be there, and the component whose secret `secret_file` holds.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start(
        scratch: &Scratch,
        clients: Port,
        component: Port,
        directory: &Path,
        secret_file: &Path,
    ) -> Result<Self> {
        let dir = scratch.directory("prosody")?;
        let (directory, secret_file) = (directory.to_owned(), secret_file.to_owned());
        let mut place = Place { dir, clients, component, directory, secret_file };
        Ok(Self { process: place.start().await?, place })
    }

    /// Kills it, as a crash would.
    ///
    /// # Errors
    /// When its exit status cannot be had.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.process.kill()
    }

    /// Starts it again after a crash, on its ports and with its data.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_again(&mut self) -> Result<()> {
        self.process = self.place.start().await?;
        Ok(())
    }

    /// Where clients connect.
    #[must_use]
    pub fn clients(&self) -> SocketAddr {
        self.place.clients.address()
    }

    /// Where the component connects.
    #[must_use]
    pub fn component(&self) -> SocketAddr {
        self.place.component.address()
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }
}

impl Place {
    async fn start(&mut self) -> Result<Process> {
        let deploy = source_root().join("deploy/prosody").canonicalize()?;
        let (clients, component) = (self.clients.hand_over()?, self.component.hand_over()?);
        let mut command = Command::new(PROSODY.find()?);
        command
            .arg("-F")
            .arg("--config")
            .arg(deploy.join("prosody.cfg.lua"))
            .env("CUSAX_TRYOUT", "loopback")
            .env("CUSAX_XMPP_DOMAIN", DOMAIN)
            .env("CUSAX_XMPP_ROOMS", ROOMS)
            .env("CUSAX_XMPP_COMPONENT", COMPONENT)
            .env("CUSAX_XMPP_CLIENT_PORT", clients.port().to_string())
            .env("CUSAX_XMPP_COMPONENT_PORT", component.port().to_string())
            .env("CUSAX_DIRECTORY", &self.directory)
            .env("CUSAX_COMPONENT_SECRET_FILE", &self.secret_file)
            .env("CUSAX_PROSODY_DATA", &self.dir)
            .env("CUSAX_PROSODY_MODULES", deploy.join("modules"));
        let mut process = Process::start("prosody", command, self.dir.clone())?;
        process.ready(Ready::Tcp(clients), START).await?;
        process.ready(Ready::Tcp(component), START).await?;
        Ok(process)
    }
}
