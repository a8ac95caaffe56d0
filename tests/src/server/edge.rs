//! cusax as nothing but a SIP edge: phones on one side over UDP and TCP, a SIP server on the other, no XMPP.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Cusax, DOMAIN, Settings};
use crate::ports::Port;
use crate::process::Process;
use crate::scratch::Scratch;

/// The transport between the edge and the SIP server behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// Datagrams.
    Udp,
    /// Connections, opened by either side.
    Tcp,
}

impl Hop {
    /// The scheme of a listener's address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// What a SIP URI says of it.
    const fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
        }
    }
}

/// An installed edge, and its process while it runs.
#[derive(Debug)]
pub struct Edge {
    cusax: Cusax,
    process: Option<Process>,
}

impl Edge {
    /// Installs one in front of `sip_server`, with these users and their passwords and `more` TOML (whole tables) at the end of its
    /// configuration; it does not run yet.
    ///
    /// # Errors
    /// When the binary has not been built, files cannot be written, or no port is free.
    pub fn install(
        scratch: &Scratch,
        sip_server: SocketAddr,
        hop: Hop,
        users: &[(&str, &str)],
        more: &str,
    ) -> Result<Self> {
        Self::install_before(scratch, &[sip_server], hop, users, more)
    }

    /// As [`install`](Self::install), in front of several SIP servers of which the first is tried first.
    ///
    /// # Errors
    /// As [`install`](Self::install), and when there is no SIP server.
    pub fn install_before(
        scratch: &Scratch,
        sip_servers: &[SocketAddr],
        hop: Hop,
        users: &[(&str, &str)],
        more: &str,
    ) -> Result<Self> {
        let first = *sip_servers.first().context("an edge stands in front of somebody")?;
        // Nothing listens at the XMPP server's addresses, and nothing below names them.
        let settings = Settings::claim(first, first, first)?;
        let text = toml(&settings, sip_servers, hop) + more;
        let cusax = Cusax::install(scratch, settings)?;
        fs::write(cusax.dir().join("cusax.toml"), text).context("cusax.toml could not be written")?;
        let edge = Self { cusax, process: None };
        edge.add_accounts(users)?;
        Ok(edge)
    }

    /// Makes accounts, each a user and a password.
    ///
    /// # Errors
    /// When its configuration cannot be read, or there is such an account.
    pub fn add_accounts(&self, users: &[(&str, &str)]) -> Result<()> {
        users.iter().try_for_each(|(user, password)| self.cusax.add_account(user, password, &[]))
    }

    /// Starts it, also again with the files of the last time; ready when `/readyz` says so.
    ///
    /// # Errors
    /// When it does not become ready, with the end of its log.
    pub async fn serve(&mut self) -> Result<()> {
        self.process = None;
        self.process = Some(self.cusax.serve().await?);
        Ok(())
    }

    /// Takes its process from it, to end it in whatever way.
    ///
    /// # Errors
    /// When it does not run.
    pub fn take(&mut self) -> Result<Process> {
        self.process.take().context("the edge does not run")
    }

    /// Its process, while it runs.
    ///
    /// # Errors
    /// When it does not run.
    pub fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("the edge does not run")
    }

    /// Where its metrics are.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.cusax.settings().http.address()
    }

    /// The directory of its files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.cusax.dir()
    }

    /// Where phones register, UDP and TCP.
    #[must_use]
    pub fn access(&self) -> SocketAddr {
        self.cusax.settings().access.address()
    }

    /// Where the SIP server behind it sends to.
    #[must_use]
    pub fn core(&self) -> SocketAddr {
        self.cusax.settings().core.address()
    }
}

fn toml(settings: &Settings, sip_servers: &[SocketAddr], hop: Hop) -> String {
    let Settings { access, core, http, .. } = settings;
    let address = Port::address;
    let (access, core, http) = (address(access), address(core), address(http));
    let (scheme, parameter) = (hop.as_str(), hop.parameter());
    let targets: Vec<_> = sip_servers.iter().map(|server| format!("\"sip:{server}{parameter}\"")).collect();
    let targets = targets.join(", ");
    format!(
        r#"[service]
domain = "{DOMAIN}"
node = "edge-1"

[directory]
url = "sqlite:cusax.db"
state = "cusax-state.db"

[[sip.listener]]
address = "udp:{access}"
zone = "access"
[[sip.listener]]
address = "tcp:{access}"
zone = "access"
[[sip.listener]]
address = "{scheme}:{core}"
zone = "core"
[sip.core]
targets = [{targets}]

[http]
listen = "{http}"

[telemetry]
log = "json"
level = "debug"
"#
    )
}
