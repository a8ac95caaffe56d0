//! cusax itself: its configuration between the other servers, its commands, and the running service.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

use super::{COMPONENT, DOMAIN, ROOMS, START};
use crate::interop::CUSAX;
use crate::ports::Port;
use crate::process::{Process, Ready, output};
use crate::scratch::Scratch;

/// RTP and RTCP for this many halves of ports; each RTP port is shared by many legs.
const MEDIA_PORTS: u16 = 32;
const SECRET: &str = "a secret of the try-out and the tests";

/// Where cusax listens, and where the servers are that it works with.
#[derive(Debug)]
pub struct Settings {
    /// The SIP listener for phones, UDP and TCP.
    pub access: Port,
    /// The SIP listener for the existing SIP server, UDP.
    pub core: Port,
    /// `/metrics`, `/readyz`, `/v1`.
    pub http: Port,
    /// RTP and RTCP.
    pub media: Vec<Port>,
    /// The existing SIP server.
    pub sip_server: SocketAddr,
    /// The XMPP server's component port.
    pub component: SocketAddr,
    /// The XMPP server's port for clients.
    pub clients: SocketAddr,
    /// More TOML, at the end of the file: whole tables.
    pub more: String,
}

impl Settings {
    /// Claims its own ports; the other servers' are claimed already.
    ///
    /// # Errors
    /// When no port is free.
    pub fn claim(sip_server: SocketAddr, component: SocketAddr, clients: SocketAddr) -> Result<Self> {
        Ok(Self {
            access: Port::free()?,
            core: Port::free()?,
            http: Port::free()?,
            media: Port::row(MEDIA_PORTS)?,
            sip_server,
            component,
            clients,
            more: String::new(),
        })
    }

    /// The configuration file; relative names in it are in its own directory.
    #[must_use]
    pub fn toml(&self) -> String {
        let Self { access, core, http, media, sip_server, component, clients, more } = self;
        let (access, core, http) = (access.address(), core.address(), http.address());
        let (first, last) = (media.first().map_or(0, Port::number), media.last().map_or(0, Port::number));
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
address = "udp:{core}"
zone = "core"
[sip.core]
targets = ["sip:{sip_server}"]

[numbers]
country = "US"
policy = {{ on-net = "allow", national = "allow", premium = "text", international = "block" }}
message = true

[xmpp]
server = "{component}"
clients = "{clients}"
component = "{COMPONENT}"
secret_file = "component.secret"

[[conference]]
domain = "{ROOMS}"
rooms = "{ROOMS}"

[media]
ports = "{first}-{last}"

[http]
listen = "{http}"

[telemetry]
log = "json"
{more}"#
        )
    }
}

/// An installed cusax: binary, configuration, files.
#[derive(Debug)]
pub struct Cusax {
    binary: PathBuf,
    dir: PathBuf,
    settings: Settings,
}

impl Cusax {
    /// Writes configuration and component secret into a directory of their own.
    ///
    /// # Errors
    /// When the binary has not been built, or files cannot be written.
    pub fn install(scratch: &Scratch, settings: Settings) -> Result<Self> {
        let binary = CUSAX.find()?;
        let dir = scratch.directory("cusax")?;
        fs::write(dir.join("cusax.toml"), settings.toml()).context("cusax.toml could not be written")?;
        let secret = dir.join("component.secret");
        fs::write(&secret, format!("{SECRET}\n")).context("the component's secret could not be written")?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))
            .context("the component's secret could not be protected")?;
        Ok(Self { binary, dir, settings })
    }

    /// What it was installed with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The directory of its files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The database of accounts; there once an account has been made.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.dir.join("cusax.db")
    }

    /// The file with the component's secret.
    #[must_use]
    pub fn secret_file(&self) -> PathBuf {
        self.dir.join("component.secret")
    }

    /// A command of cusax with this configuration, not yet run.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).args(["--config", "cusax.toml"]).current_dir(&self.dir);
        command
    }

    /// A command of cusax with this configuration, as a shell takes it in any directory.
    #[must_use]
    pub fn shell_command(&self, arguments: &[&str]) -> String {
        let (dir, binary) = (self.dir.to_string_lossy(), self.binary.to_string_lossy());
        let words: Vec<_> = arguments.iter().map(|word| quoted(word)).collect();
        format!("(cd {} && {} {} --config cusax.toml)", quoted(&dir), quoted(&binary), words.join(" "))
    }

    /// Runs a command of cusax to its end.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        output(&mut self.command(arguments), "")
    }

    /// Makes an account; `more` are further arguments of `cusax account add`.
    ///
    /// # Errors
    /// When the command fails, with what it said.
    pub fn add_account(&self, user: &str, password: &str, more: &[&str]) -> Result<()> {
        let mut command = self.command(&["account", "add", &format!("{user}@{DOMAIN}"), "--password-stdin"]);
        command.args(more);
        let output = output(&mut command, &format!("{password}\n"))?;
        if !output.status.success() {
            bail!("cusax account add {user} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// Lets go of its ports, for a process that is about to bind them.
    ///
    /// # Errors
    /// When another program has one of them.
    pub fn hand_over(&mut self) -> Result<()> {
        let Settings { access, core, http, media, .. } = &mut self.settings;
        [access, core, http].into_iter().chain(media).try_for_each(|port| port.hand_over().map(drop))
    }

    /// Runs the service until the process is dropped; ready when `/readyz` says so.
    ///
    /// # Errors
    /// When it does not become ready, with the end of its log.
    pub async fn serve(&mut self) -> Result<Process> {
        self.hand_over()?;
        let http = self.settings.http.address();
        let mut process = Process::start("cusax", self.command(&["serve"]), self.dir.clone())?;
        process.ready(Ready::Http(http, "/readyz"), START).await?;
        Ok(process)
    }
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@%+=:,./_-".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_where_a_shell_would_read_more_into_them() {
        assert_eq!(quoted("/opt/cusax-1.0/bin/cusax"), "/opt/cusax-1.0/bin/cusax");
        assert_eq!(quoted("my dir's $HOME"), "'my dir'\\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
