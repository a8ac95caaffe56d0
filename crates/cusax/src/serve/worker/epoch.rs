//! Another configuration for the SIP thread, which it takes between two messages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cusax_edge::config::Config as EdgeConfig;
use cusax_net::stream::{Layers, Limits};
use cusax_net::tls::Client;
use tokio::sync::oneshot;

use super::Shared;
use super::streams::Connections;
use crate::config::Config;
use crate::config::limits::Limits as Section;
use crate::serve::edge::CoreTargets;
use crate::serve::tls::Tls;

/// All that changes at once.
pub(in crate::serve) struct Epoch {
    pub(in crate::serve) edge: EdgeConfig,
    /// The core targets as they are configured; where they are the same as before, they are where they were found last.
    pub(in crate::serve) core: Arc<CoreTargets>,
    pub(in crate::serve) streams: Settings,
    /// Told when it is in force.
    pub(in crate::serve) begun: oneshot::Sender<()>,
}

/// What streams are told, for connections to come.
pub(in crate::serve) struct Settings {
    pub(super) limits: Limits,
    /// What the connections of each listener begin with.
    pub(super) layers: Vec<Layers>,
    /// What connects by TLS.
    pub(super) client: Option<Client>,
}

impl Settings {
    pub(in crate::serve) fn of(config: &Config, tls: &Tls) -> anyhow::Result<Self> {
        let (limits, layers) = (limits(&config.sip.limits), tls.all_layers(config)?);
        Ok(Self { limits, layers, client: tls.client(config)? })
    }
}

impl Connections {
    /// Takes another configuration: connections stay, and the next message meets the new one.
    pub(super) fn begin(&mut self, epoch: Epoch, core: &Shared, now: Instant) {
        let Epoch { mut edge, core: targets, streams: Settings { limits, layers, client }, begun } = epoch;
        self.streams.reconfigure(limits, layers);
        self.client = client;
        let mut core = core.borrow_mut();
        if Arc::ptr_eq(&core.targets, &targets) {
            edge.core = core.edge.core().to_vec();
        }
        core.targets = targets;
        core.edge.handle_config(edge, now);
        core.settle(now);
        // Whoever asked may not wait any more.
        let _ = begun.send(());
    }
}

fn limits(section: &Section) -> Limits {
    let size = |value: std::num::NonZeroU32| usize::try_from(value.get()).unwrap_or(usize::MAX);
    let seconds = |value: std::num::NonZeroU32| Duration::from_secs(value.get().into());
    Limits {
        connections: size(section.connections),
        per_source: size(section.connections_per_source),
        message_bytes: size(section.message_bytes),
        message_time: seconds(section.message_seconds),
        first_message_time: seconds(section.message_seconds),
        handshake_time: seconds(section.handshake_seconds),
        idle_time: seconds(section.idle_seconds),
        write_queue: size(section.write_queue),
        ..Limits::default()
    }
}
