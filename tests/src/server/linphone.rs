//! linphone-daemon as a phone: no sound card, commands over its Unix socket, its log as evidence.

use std::fs;
use std::os::unix::net::UnixStream as Probe;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{interval, timeout};

use super::edge::{Edge, Hop};
use super::{DOMAIN, START};
use crate::interop::LINPHONE;
use crate::ports::Port;
use crate::process::Process;
use crate::scratch::Scratch;

/// Longest wait for an answer or a state.
const PATIENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);

/// A running linphone-daemon with one account.
#[derive(Debug)]
pub struct Linphone {
    process: Process,
    control: UnixStream,
    log: PathBuf,
    _ports: Vec<Port>,
}

impl Linphone {
    /// Starts one that has registered with the edge over `hop`, with digest.
    ///
    /// # Errors
    /// When it is not installed, does not start, or is refused.
    pub async fn start(scratch: &Scratch, user: &str, password: &str, edge: &Edge, hop: Hop) -> Result<Self> {
        let program = LINPHONE.find()?;
        let dir = scratch.directory(&format!("linphone-{user}"))?;
        // It gives up where the folders of its databases are missing.
        for folder in [".local/share/linphone", ".config/linphone"] {
            fs::create_dir_all(dir.join(folder)).context("linphone's folders")?;
        }
        // SIP, and RTP with RTCP for three calls.
        let mut ports = Port::row(8)?;
        fs::write(
            dir.join("rc"),
            config(edge, hop, ports[0].number(), ports[2].number()) + &account(user, password, edge, hop),
        )
        .context("linphone's configuration")?;
        ports.iter_mut().for_each(|port| {
            port.release();
        });
        let pipe = dir.join("pipe");
        let mut command = Command::new(program);
        command
            .env("HOME", &dir)
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .args(["--config", "rc", "--log", "messages", "--disable-stats-events", "--pipe"])
            // It puts the name behind `/tmp/`.
            .arg(Path::new("..").join(pipe.strip_prefix("/")?));
        let log = dir.join("messages");
        let process = Process::start(&format!("linphone of {user}"), command, dir)?;
        let control = timeout(START, listening(&pipe)).await.context("linphone-daemon takes no commands")??;
        let phone = Self { process, control, log, _ports: ports };
        // The 401 is not its end.
        phone.says("\nSIP/2.0 200 OK", 1).await?;
        Ok(phone)
    }

    /// Gives a command and returns what it says to it.
    ///
    /// # Errors
    /// When it refuses it, or does not answer.
    pub async fn command(&mut self, command: &str) -> Result<String> {
        let answer = self.ask(command).await?;
        ensure!(answer.starts_with("Status: Ok"), "{command}: {answer}");
        Ok(answer)
    }

    /// Asks again and again until the answer contains this.
    ///
    /// # Errors
    /// When it never does; with the last answer.
    pub async fn until(&mut self, question: &str, wanted: &str) -> Result<()> {
        let mut last = String::new();
        let seen = async {
            let mut looks = interval(POLL);
            loop {
                looks.tick().await;
                last = self.ask(question).await?;
                if last.contains(wanted) {
                    return Ok(());
                }
            }
        };
        let seen = timeout(PATIENCE, seen).await;
        seen.with_context(|| format!("no {wanted} to {question}, but {last}"))?
    }

    /// Its own log, with every SIP message that it received and sent.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until its log has this text so many times.
    ///
    /// # Errors
    /// When it does not come to it, with the end of its output.
    pub async fn says(&self, text: &str, times: usize) -> Result<()> {
        let said = async {
            let mut looks = interval(POLL);
            while self.log().matches(text).count() < times {
                looks.tick().await;
            }
        };
        let said = timeout(PATIENCE, said).await;
        said.with_context(|| format!("{text:?} was not said {times} times; its output:\n{}", self.process.log_tail()))
    }

    /// Every command is one datagram's worth of text, and so is every answer.
    async fn ask(&mut self, command: &str) -> Result<String> {
        let asked = async {
            self.control.write_all(format!("{command}\n").as_bytes()).await?;
            let mut buffer = vec![0; 65_536];
            let length = self.control.read(&mut buffer).await?;
            ensure!(length > 0, "linphone-daemon closed its socket");
            Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
        };
        timeout(PATIENCE, asked).await.with_context(|| format!("no answer to {command}"))?
    }
}

/// Its socket, once it is there.
async fn listening(pipe: &Path) -> Result<UnixStream> {
    let mut looks = interval(POLL);
    loop {
        looks.tick().await;
        if let Ok(stream) = Probe::connect(pipe) {
            stream.set_nonblocking(true)?;
            return Ok(UnixStream::from_std(stream)?);
        }
    }
}

fn config(edge: &Edge, hop: Hop, sip: u16, rtp: u16) -> String {
    let [udp, tcp, tls] = [Hop::Udp, Hop::Tcp, Hop::Tls].map(|this| if this == hop { sip } else { 0 });
    let (authority, last) = (edge.authority().certificate().display(), rtp + 5);
    format!(
        "[sip]\nsip_port={udp}\nsip_tcp_port={tcp}\nsip_tls_port={tls}\nroot_ca={authority}\nverify_server_certs=1\nverify_server_cn=1\n\
         bind_address=127.0.0.1\nguess_hostname=0\ndefault_proxy=0\nregister_only_when_network_is_up=0\nmedia_encryption=none\n\
         [rtp]\naudio_rtp_port={rtp}-{last}\n\
         [video]\nenabled=0\ncapture=0\ndisplay=0\n[sound]\nechocancellation=0\n"
    )
}

fn account(user: &str, password: &str, edge: &Edge, hop: Hop) -> String {
    let host = if hop == Hop::Tls { edge.name() } else { edge.access_over(hop).to_string() };
    let route = format!("<sip:{host};transport={};lr>", hop.as_str());
    format!(
        "[auth_info_0]\nusername={user}\nuserid={user}\npasswd={password}\nrealm={DOMAIN}\ndomain={DOMAIN}\n\
         [proxy_0]\nreg_proxy={route}\nreg_route={route}\nreg_identity=<sip:{user}@{DOMAIN}>\nreg_expires=600\n\
         reg_sendregister=1\npublish=0\n"
    )
}
