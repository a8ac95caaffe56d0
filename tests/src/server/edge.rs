//! cusax as nothing but a SIP edge: phones on one side over UDP, TCP, TLS and WSS, a SIP server on the other, no XMPP.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{CORE, Cusax, DOMAIN, Settings};
use crate::authority::{Authority, Issued};
use crate::ports::Port;
use crate::process::{Process, Ready};
use crate::scratch::Scratch;

/// A transport between the edge and a phone before it or the SIP server behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// Datagrams.
    Udp,
    /// Connections, opened by either side.
    Tcp,
    /// The same with certificates, which the edge and the SIP server show each other.
    Tls,
}

impl Hop {
    /// The scheme of a listener's address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// What a SIP URI says of it.
    const fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
        }
    }
}

/// An installed edge, and its process while it runs.
#[derive(Debug)]
pub struct Edge {
    cusax: Cusax,
    tls: Port,
    named: Port,
    wss: Port,
    authority: Authority,
    issued: Issued,
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
        let (tls, named, wss) = (Port::free()?, Port::free()?, Port::free()?);
        let authority = Authority::new(scratch)?;
        let text = toml(&settings, sip_servers, [&tls, &named, &wss], hop, &authority) + more;
        let cusax = Cusax::install(scratch, settings)?;
        let issued = authority.issue(cusax.dir(), &[DOMAIN, "localhost", "127.0.0.1"])?;
        fs::write(cusax.dir().join("cusax.toml"), text).context("cusax.toml could not be written")?;
        let edge = Self { cusax, tls, named, wss, authority, issued, process: None };
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
        for port in [&mut self.tls, &mut self.named, &mut self.wss] {
            port.hand_over()?;
        }
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

    /// Where phones register over this transport.
    #[must_use]
    pub fn access_over(&self, hop: Hop) -> SocketAddr {
        match hop {
            Hop::Udp | Hop::Tcp => self.access(),
            Hop::Tls => self.tls.address(),
        }
    }

    /// Where phones register over TLS that know a server by its name only: that name, with the port.
    #[must_use]
    pub fn name(&self) -> String {
        name(self.named.address())
    }

    /// Where browsers register, `wss`.
    #[must_use]
    pub fn browsers(&self) -> SocketAddr {
        self.wss.address()
    }

    /// Who signed its certificate, and whom it believes.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Its certificate.
    #[must_use]
    pub fn issued(&self) -> &Issued {
        &self.issued
    }

    /// Waits until its log has a line with this text.
    ///
    /// # Errors
    /// When it does not run, or the line does not come within five seconds.
    pub async fn says(&mut self, text: &str) -> Result<()> {
        let process = self.process.as_mut().context("the edge does not run")?;
        process.ready(Ready::Line(text), Duration::from_secs(5)).await
    }

    /// Where the SIP server behind it sends to.
    #[must_use]
    pub fn core(&self) -> SocketAddr {
        self.cusax.settings().core.address()
    }
}

fn name(address: SocketAddr) -> String {
    format!("localhost:{}", address.port())
}

fn toml(
    settings: &Settings,
    sip_servers: &[SocketAddr],
    [tls, named, wss]: [&Port; 3],
    hop: Hop,
    authority: &Authority,
) -> String {
    let Settings { access, core, http, .. } = settings;
    let [access, core, http, tls, named, wss] = [access, core, http, tls, named, wss].map(Port::address);
    let name = name(named);
    let (scheme, parameter) = (hop.as_str(), hop.parameter());
    let authority = authority.certificate().display();
    let (proof, names) = match hop {
        Hop::Udp | Hop::Tcp => ("", String::new()),
        Hop::Tls => ("require_certificate = true", format!("certificate_names = [\"{CORE}\"]")),
    };
    let targets: Vec<_> = sip_servers.iter().map(|server| format!("\"sip:{server}{parameter}\"")).collect();
    let targets = targets.join(", ");
    format!(
        r#"[service]
domain = "{DOMAIN}"
node = "edge-1"

[directory]
url = "sqlite:cusax.db"
state = "cusax-state.db"

[tls]
certificate = "cert.pem"
private_key = "key.pem"
client_ca = "{authority}"
server_ca = "{authority}"

[[sip.listener]]
address = "udp:{access}"
zone = "access"
[[sip.listener]]
address = "tcp:{access}"
zone = "access"
[[sip.listener]]
address = "tls:{tls}"
zone = "access"
[[sip.listener]]
address = "tls:{named}"
zone = "access"
advertise = "{name}"
[[sip.listener]]
address = "wss:{wss}"
zone = "access"
[[sip.listener]]
address = "{scheme}:{core}"
zone = "core"
{proof}
[sip.core]
targets = [{targets}]
{names}

[http]
listen = "{http}"

[telemetry]
log = "json"
level = "debug"
"#
    )
}
