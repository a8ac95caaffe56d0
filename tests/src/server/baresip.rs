//! baresip as a phone: no sound card, a tone into nothing, commands and events over `ctrl_tcp`.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use super::edge::{Edge, Hop};
use super::{DOMAIN, START};
use crate::interop::BARESIP;
use crate::ports::Port;
use crate::process::{Process, Ready};
use crate::scratch::Scratch;

/// Longest wait for an answer or an event.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// A netstring of baresip's.
const LARGEST: usize = 65_536;

/// A running baresip with one account.
#[derive(Debug)]
pub struct Baresip {
    process: Process,
    control: TcpStream,
    buffer: Vec<u8>,
    events: Vec<String>,
    _ports: Vec<Port>,
}

impl Baresip {
    /// Starts one that registers with the edge over `hop`.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start(scratch: &Scratch, user: &str, password: &str, edge: &Edge, hop: Hop) -> Result<Self> {
        let program = BARESIP.find()?;
        let dir = scratch.directory(&format!("baresip-{user}"))?;
        // SIP, SIP over TLS, which it puts beside it, commands, and RTP with RTCP for three calls.
        let mut ports = Port::row(10)?;
        let [sip, _, control] = [0, 1, 2].map(|index: usize| ports[index].address());
        let rtp = (ports[4].number(), ports[9].number());
        let authority = edge.authority().certificate();
        fs::write(dir.join("config"), config(sip, control, rtp, authority)).context("baresip's configuration")?;
        let (transport, proxy) = (hop.as_str(), edge.access_over(hop));
        let account = format!(
            "<sip:{user}@{DOMAIN};transport={transport}>;auth_user={user};auth_pass={password};\
             outbound=\"sip:{proxy};transport={transport}\";regint=600\n"
        );
        fs::write(dir.join("accounts"), account).context("baresip's account")?;
        fs::write(dir.join("contacts"), "").context("baresip's contacts")?;
        ports.iter_mut().for_each(|port| {
            port.release();
        });
        let mut command = Command::new(program);
        command.args(["-f", ".", "-s", "-v"]);
        let mut process = Process::start(&format!("baresip of {user}"), command, dir)?;
        process.ready(Ready::Line("baresip is ready"), START).await?;
        let control = TcpStream::connect(control).await.context("baresip's commands")?;
        Ok(Self { process, control, buffer: Vec::new(), events: Vec::new(), _ports: ports })
    }

    /// Gives a command and returns what it says to it.
    ///
    /// # Errors
    /// When it refuses it, or does not answer.
    pub async fn command(&mut self, name: &str, parameters: &str) -> Result<String> {
        let command = json!({ "command": name, "params": parameters, "token": name }).to_string();
        let netstring = format!("{}:{command},", command.len());
        self.control.write_all(netstring.as_bytes()).await?;
        let answered = async {
            loop {
                let message = self.next().await?;
                if message.get("response").and_then(Value::as_bool) == Some(true) {
                    let data = message.get("data").and_then(Value::as_str).unwrap_or_default().to_owned();
                    ensure!(message.get("ok").and_then(Value::as_bool) == Some(true), "{name}: {data}");
                    return Ok(data);
                }
            }
        };
        timeout(PATIENCE, answered).await.with_context(|| format!("no answer to {name}"))?
    }

    /// Waits for the next event of this type, and forgets it and those before it.
    ///
    /// # Errors
    /// When it does not come; with those that did.
    pub async fn event(&mut self, kind: &str) -> Result<()> {
        let seen = async {
            loop {
                if let Some(place) = self.events.iter().position(|event| event == kind) {
                    self.events.drain(..=place);
                    return Ok(());
                }
                self.next().await?;
            }
        };
        match timeout(PATIENCE, seen).await {
            Ok(seen) => seen,
            Err(_) => bail!("no {kind}, but {:?}; its log:\n{}", self.events, self.process.log_tail()),
        }
    }

    /// Everything that it has written, with every SIP message that it received and sent.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until its log has this text so many times.
    ///
    /// # Errors
    /// When it does not come to it, with the end of its log.
    pub async fn says(&self, text: &str, times: usize) -> Result<()> {
        let said = async {
            let mut looks = interval(POLL);
            while self.log().matches(text).count() < times {
                looks.tick().await;
            }
        };
        let said = timeout(PATIENCE, said).await;
        said.with_context(|| format!("{text:?} was not said {times} times; the log:\n{}", self.process.log_tail()))
    }

    /// The next message, which is kept where it is an event.
    async fn next(&mut self) -> Result<Value> {
        let message = loop {
            if let Some(message) = self.netstring()? {
                break message;
            }
            let mut chunk = [0; 4096];
            let length = self.control.read(&mut chunk).await?;
            ensure!(length > 0 && self.buffer.len() < LARGEST, "baresip closed its connection");
            self.buffer.extend_from_slice(&chunk[..length]);
        };
        if let Some(kind) = message.get("type").and_then(Value::as_str) {
            self.events.push(kind.to_owned());
        }
        Ok(message)
    }

    fn netstring(&mut self) -> Result<Option<Value>> {
        let Some(colon) = self.buffer.iter().position(|byte| *byte == b':') else { return Ok(None) };
        let length: usize = std::str::from_utf8(&self.buffer[..colon])?.parse()?;
        let Some(body) = self.buffer.get(colon + 1..colon + 1 + length) else { return Ok(None) };
        let message = serde_json::from_slice(body)?;
        if self.buffer.len() < colon + length + 2 {
            return Ok(None);
        }
        self.buffer.drain(..colon + length + 2);
        Ok(Some(message))
    }
}

fn config(sip: SocketAddr, control: SocketAddr, rtp: (u16, u16), authority: &Path) -> String {
    let mut text = format!(
        "poll_method epoll\nsip_listen {sip}\nsip_cafile {}\nnet_interface {}\nctrl_tcp_listen {control}\nrtp_ports {}-{}\n\
         call_max_calls 3\nausrc_srate 48000\nausrc_channels 2\naudio_source ausine,440\naudio_player aufile,/dev/null\naudio_alert aufile,/dev/null\n\
         module_path /usr/lib/baresip/modules\n",
        authority.display(),
        sip.ip(),
        rtp.0,
        rtp.1
    );
    for (kind, module) in [
        ("module", "g711"),
        ("module", "ausine"),
        ("module", "aufile"),
        ("module", "ctrl_tcp"),
        ("module_tmp", "account"),
        ("module_app", "menu"),
    ] {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{kind} {module}.so");
    }
    text
}
