//! The component's stream: a task that moves bytes between a TCP connection and the component core.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use cusax_net::link::TcpLink;
use cusax_net::resolver::Resolver;
use cusax_net::{clock, random};
use cusax_telemetry::Telemetry;
use cusax_xmpp::component::{Component, Config as ComponentConfig, Output};
use cusax_xmpp::stream::Limits;
use cusax_xmpp::{BareJid, Element, Secret};
use tokio::sync::mpsc;

use super::http::Health;
use crate::config::Config;
use crate::config::address::{Endpoint, Host};
use crate::config::files::read_secret;
use crate::config::xmpp::Xmpp;

/// Stanzas that wait on either side.
const WAITING: usize = 4_096;
/// How long connecting, or one write, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the worker hears from the component.
#[derive(Debug)]
pub(super) enum Heard {
    /// A stanza, and when its last byte was received.
    Stanza(Element, Instant),
    /// The stream is up, or down.
    Link(bool),
}

/// The worker's end.
pub(super) struct Link {
    pub(super) send: mpsc::Sender<Element>,
    pub(super) heard: mpsc::Receiver<Heard>,
}

/// The task's end.
pub(super) struct End {
    send: mpsc::Receiver<Element>,
    heard: mpsc::Sender<Heard>,
}

pub(super) fn channel() -> (Link, End) {
    let (send, to_send) = mpsc::channel(WAITING);
    let (tell, heard) = mpsc::channel(WAITING);
    (Link { send, heard }, End { send: to_send, heard: tell })
}

/// What the task needs.
pub(super) struct Parts {
    component: Component,
    server: Endpoint,
    end: End,
    telemetry: Telemetry,
    health: Arc<Health>,
}

impl Parts {
    pub(super) fn new(
        config: &Config,
        xmpp: &Xmpp,
        end: End,
        telemetry: &Telemetry,
        health: &Arc<Health>,
    ) -> anyhow::Result<Self> {
        let secret = read_secret(&xmpp.secret_file).map_err(|bad| anyhow::anyhow!("{bad}"))?;
        let domain = |text: &str| text.parse::<BareJid>().with_context(|| format!("{text} is no XMPP domain"));
        let component = ComponentConfig {
            domain: domain(xmpp.component.as_str())?,
            secret: Secret::new(secret.expose()),
            server_domain: domain(config.xmpp_domain().as_str())?,
            limits: Limits::default(),
        };
        health.has_component.store(true, Ordering::Relaxed);
        Ok(Self {
            component: Component::new(component, random::seed(), clock::now()),
            server: xmpp.server.clone(),
            end,
            telemetry: telemetry.clone(),
            health: Arc::clone(health),
        })
    }
}

/// Keeps the stream up for as long as the process lives.
pub(super) async fn run(mut parts: Parts) {
    let mut link: Option<TcpLink> = None;
    loop {
        while let Some(output) = parts.component.poll_output() {
            parts.act(output, &mut link).await;
        }
        let deadline = parts.component.poll_timeout();
        let incoming = async {
            match &mut link {
                Some(link) => link.read().await,
                None => std::future::pending().await,
            }
        };
        let due = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = incoming => match read {
                Ok(bytes) if !bytes.is_empty() => parts.component.handle_bytes(&bytes, clock::now()),
                Ok(_) | Err(_) => {
                    link = None;
                    parts.component.handle_closed(clock::now());
                }
            },
            stanza = parts.end.send.recv() => match stanza {
                Some(stanza) => parts.component.send(stanza),
                None => return parts.close(&mut link).await,
            },
            () = due => parts.component.handle_timeout(clock::now()),
        }
    }
}

impl Parts {
    async fn act(&mut self, output: Output, link: &mut Option<TcpLink>) {
        match output {
            Output::Connect => match connect(&self.server).await {
                Ok(connected) => {
                    *link = Some(connected);
                    self.component.handle_connected(clock::now());
                }
                Err(_) => self.component.handle_closed(clock::now()),
            },
            Output::Send(bytes) => {
                let Some(open) = link else { return };
                if open.write_all(&bytes, clock::now() + PATIENCE).await.is_err() {
                    *link = None;
                    self.component.handle_closed(clock::now());
                }
            }
            Output::Close => *link = None,
            Output::Stanza { element, received } => self.pass(Heard::Stanza(element, received)).await,
            Output::Ready => self.link_is(true).await,
            Output::Down => self.link_is(false).await,
            Output::Event(event) => self.telemetry.emit(&event),
        }
    }

    /// Ends the stream when nobody has anything to say on it any more.
    async fn close(mut self, link: &mut Option<TcpLink>) {
        self.component.close();
        while let Some(output) = self.component.poll_output() {
            self.act(output, link).await;
        }
    }

    async fn link_is(&self, up: bool) {
        self.health.component.store(up, Ordering::Relaxed);
        self.pass(Heard::Link(up)).await;
    }

    /// Waits where the conferences do not keep up: the server then waits with us, and no event of a room is lost.
    async fn pass(&self, heard: Heard) {
        // They are gone only when the process ends.
        let _ = self.end.heard.send(heard).await;
    }
}

async fn connect(server: &Endpoint) -> anyhow::Result<TcpLink> {
    let address = match &server.host {
        Host::Address(address) => *address,
        Host::Name(name) => {
            let addresses = Resolver::new(PATIENCE)?.addresses(name.as_str()).await?;
            *addresses.first().context("no address")?
        }
    };
    Ok(TcpLink::connect(SocketAddr::new(address, server.port), clock::now() + PATIENCE).await?)
}
