//! Kamailio: the existing SIP server, registrar and proxy behind the edge.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::edge::{Edge, Hop};
use super::{CORE, DOMAIN, START, source_root};
use crate::interop::{KAMAILIO, Program, Source};
use crate::ports::Port;
use crate::process::{Process, Ready, output};
use crate::scratch::Scratch;

const KAMCMD: Program = Program { name: "kamcmd", source: Source::Debian("kamailio") };

/// A running Kamailio with `deploy/kamailio/kamailio.cfg`.
#[derive(Debug)]
pub struct Kamailio {
    process: Process,
    port: Port,
    control: PathBuf,
}

impl Kamailio {
    /// Starts one on `port` that believes `edge` and `gateway` only, over UDP.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start(scratch: &Scratch, port: Port, edge: SocketAddr, gateway: SocketAddr) -> Result<Self> {
        Self::begin(scratch, port, edge, gateway, Hop::Udp, &[]).await
    }

    /// Starts one that speaks over `hop` with this edge.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn behind(scratch: &Scratch, port: Port, edge: &Edge, gateway: SocketAddr, hop: Hop) -> Result<Self> {
        let more = match hop {
            Hop::Udp => Vec::new(),
            Hop::Tcp => vec!["EDGE_OVER_TCP".to_owned()],
            Hop::Tls => {
                let issued = edge.authority().issue(&scratch.directory("core")?, &[CORE])?;
                let file = |name: &str, path: &Path| format!("{name}=\"{}\"", path.display());
                vec![
                    "EDGE_OVER_TLS".to_owned(),
                    file("CERTIFICATE", &issued.certificate),
                    file("PRIVATE_KEY", &issued.key),
                    file("AUTHORITY", edge.authority().certificate()),
                ]
            }
        };
        Self::begin(scratch, port, edge.core(), gateway, hop, &more).await
    }

    async fn begin(
        scratch: &Scratch,
        mut port: Port,
        edge: SocketAddr,
        gateway: SocketAddr,
        hop: Hop,
        more: &[String],
    ) -> Result<Self> {
        let program = KAMAILIO.find()?;
        let dir = scratch.directory("kamailio")?;
        let address = port.hand_over()?;
        let mut command = Command::new(program);
        command
            .arg("-f")
            .arg(source_root().join("deploy/kamailio/kamailio.cfg"))
            .args(["-DD", "-E", "-m", "16", "-M", "4", "-Y"])
            .arg(&dir)
            .arg("-w")
            .arg(&dir)
            .args(["-A", &format!("LISTEN={}:{address}", hop.as_str())])
            .args(["-A", &format!("DOMAIN=\"{DOMAIN}\"")])
            .args(["-A", &format!("EDGE=\"{edge}\"")])
            .args(["-A", &format!("GATEWAY=\"{gateway}\"")]);
        for define in more {
            command.args(["-A", define]);
        }
        let control = dir.join("kamailio_ctl");
        let mut process = Process::start("kamailio", command, dir)?;
        let sign = match hop {
            Hop::Udp => Ready::Udp(address),
            Hop::Tcp | Hop::Tls => Ready::Tcp(address),
        };
        process.ready(sign, START).await?;
        Ok(Self { process, port, control })
    }

    /// Where it takes SIP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The bindings that it has stored, as `kamcmd ul.dump` prints them.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn bindings(&self) -> Result<String> {
        let mut command = Command::new(KAMCMD.find()?);
        command.arg("-s").arg(format!("unixs:{}", self.control.display())).arg("ul.dump");
        let output = output(&mut command, "")?;
        if !output.status.success() {
            bail!("kamcmd: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Waits until its log has a line with this text.
    ///
    /// # Errors
    /// When it does not come within five seconds.
    pub async fn says(&mut self, text: &str) -> Result<()> {
        self.process.ready(Ready::Line(text), Duration::from_secs(5)).await
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }
}
