//! SIPp: the PSTN gateway that answers every call.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{START, source_root};
use crate::interop::SIPP;
use crate::ports::Port;
use crate::process::{Process, Ready};
use crate::scratch::Scratch;

/// SIPp with `tests/scenarios/gateway.xml`, echoing the audio that it gets.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    port: Port,
    messages: PathBuf,
    _media: Vec<Port>,
}

impl Gateway {
    /// Starts one on `port`.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start(scratch: &Scratch, mut port: Port) -> Result<Self> {
        let program = SIPP.find()?;
        let dir = scratch.directory("gateway")?;
        let messages = dir.join("messages");
        // SIPp takes RTP, RTCP and the same for video.
        let mut media = Port::row(4)?;
        media.iter_mut().try_for_each(|port| port.hand_over().map(drop))?;
        let address = port.hand_over()?;
        let mut command = Command::new(program);
        command
            .arg("-sf")
            .arg(source_root().join("tests/scenarios/gateway.xml").canonicalize()?)
            .args(["-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", &address.port().to_string()])
            .args(["-mp", &media[0].number().to_string(), "-rtp_echo"])
            .args([
                "-nostdin",
                "-trace_err",
                "-error_file",
                "errors",
                "-trace_msg",
                "-message_overwrite",
                "false",
                "-message_file",
            ])
            .arg(&messages);
        let mut process = Process::start("gateway (sipp)", command, dir)?;
        process.ready(Ready::Udp(address), START).await?;
        Ok(Self { process, port, messages, _media: media })
    }

    /// Where it takes calls.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Every SIP message that it has received and sent, with SIPp's lines between them.
    #[must_use]
    pub fn messages(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.messages).unwrap_or_default()).into_owned()
    }

    /// Whether an INVITE to this user part has reached it.
    #[must_use]
    pub fn was_called(&self, user: &str) -> bool {
        let start = format!("INVITE sip:{user}@");
        self.messages().lines().any(|line| line.starts_with(&start))
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }
}
