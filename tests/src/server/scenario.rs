//! SIPp as a phone that plays one of `tests/scenarios` once.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{interval, timeout};

use super::{DOMAIN, START, source_root};
use crate::interop::SIPP;
use crate::ports::Port;
use crate::process::{Process, Ready};
use crate::scratch::Scratch;

/// Longest wait of a scenario for one message, and for its end.
const PATIENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);
/// SIPp's line between two messages of its log.
const RULE: &str = "-----------------------------------------------";

/// Who plays, and where.
#[derive(Debug, Clone, Copy)]
pub struct Player<'a> {
    /// User part of its address of record.
    pub user: &'a str,
    /// What answers challenges.
    pub password: &'a str,
    /// Where it sends to.
    pub proxy: SocketAddr,
    /// Its port, whose sockets have been released.
    pub port: &'a Port,
    /// Whom it calls.
    pub target: &'a str,
}

/// A SIPp at play.
#[derive(Debug)]
pub struct Scenario {
    name: String,
    address: SocketAddr,
    process: Process,
    messages: PathBuf,
}

impl Scenario {
    /// Starts the scenario of this name.
    ///
    /// # Errors
    /// When SIPp is not installed or does not start.
    pub fn start(scratch: &Scratch, name: &str, player: Player<'_>) -> Result<Self> {
        let Player { user, password, proxy, port, target } = player;
        let dir = scratch.directory(&format!("{user}-{name}"))?;
        let messages = dir.join("messages");
        let patience = PATIENCE.as_millis().to_string();
        let mut command = Command::new(SIPP.find()?);
        command
            .arg(proxy.to_string())
            .arg("-sf")
            .arg(source_root().join("tests/scenarios").canonicalize()?.join(format!("{name}.xml")))
            .args(["-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", &port.number().to_string()])
            .args(["-s", target, "-au", user, "-ap", password, "-key", "user", user, "-key", "domain", DOMAIN])
            .args(["-m", "1", "-nostdin", "-recv_timeout", &patience, "-timeout", &patience, "-timeout_error"])
            .args(["-trace_err", "-error_file", "errors", "-trace_msg", "-message_file"])
            .arg(&messages);
        let process = Process::start(&format!("sipp {name}"), command, dir)?;
        Ok(Self { name: name.to_owned(), address: port.address(), process, messages })
    }

    /// Waits until it can be called, over UDP.
    ///
    /// # Errors
    /// When it ends before.
    pub async fn waits(mut self) -> Result<Self> {
        self.process.ready(Ready::Udp(self.address), START).await?;
        Ok(self)
    }

    /// Waits for its end, and returns every message that it received and sent.
    ///
    /// # Errors
    /// When something else than the scenario happened, with what SIPp says of it.
    pub async fn played(self) -> Result<Vec<Played>> {
        let over = async {
            let mut looks = interval(POLL);
            while self.process.is_running() {
                looks.tick().await;
            }
        };
        // It ends by itself, after its scenario or after a timeout of its own; who never was called has none.
        if timeout(PATIENCE + PATIENCE, over).await.is_err() {
            bail!("scenario {} does not end: {}", self.name, self.process.log_tail());
        }
        let Self { name, process, messages, .. } = self;
        let errors = fs::read_to_string(process.dir().join("errors")).unwrap_or_default();
        let log = fs::read(&messages).unwrap_or_default();
        let tail = process.log_tail();
        let status = process.end().context("how SIPp ended")?;
        if !status.success() {
            bail!("scenario {name} ({status}): {errors}\n{tail}\n{}", String::from_utf8_lossy(&log));
        }
        Ok(messages_of(&String::from_utf8_lossy(&log)))
    }
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It came to SIPp.
    Received,
    /// SIPp sent it.
    Sent,
}

/// One message of a scenario as it was played, again and again where it was sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// Which way it went.
    pub way: Way,
    /// All of it.
    pub text: String,
}

impl Played {
    /// The values of the header of this name, as they are written.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        head.split("\r\n").filter_map(move |line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }
}

/// The messages that came and begin so.
pub fn received<'a>(played: &'a [Played], start: &'a str) -> impl Iterator<Item = &'a Played> {
    played.iter().filter(move |message| message.way == Way::Received && message.text.starts_with(start))
}

/// Reads SIPp's own log: a line of dashes with the time, a line with direction and length, and the message.
fn messages_of(log: &str) -> Vec<Played> {
    let mut found = Vec::new();
    for entry in log.split(RULE).skip(1) {
        let Some((head, text)) = entry.split_once("bytes:\n\n").or_else(|| entry.split_once("bytes :\n\n")) else {
            continue;
        };
        let way = if head.contains("received") { Way::Received } else { Way::Sent };
        found.push(Played { way, text: text.trim_end_matches('\n').to_owned() });
    }
    found
}
