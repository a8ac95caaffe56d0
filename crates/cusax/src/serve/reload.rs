//! Reading the configuration again (SIGHUP): first all of it and of the files that it names, with every check of the start;
//! then, where nothing is wrong, all that can change at once.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use cusax_event::Event;
use cusax_event::service::{ConfigReload, ReloadResult, Stage};
use cusax_net::clock;
use cusax_net::resolver::Resolver;
use cusax_telemetry::Telemetry;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};

use super::edge::{self, CoreTargets};
use super::http::Health;
use super::stores::Stores;
use super::tls::Tls;
use super::worker::{Epoch, Settings};
use super::{core_names, raise_descriptors, telemetry_config, tell};
use crate::config::Config;
use crate::config::diagnostic::Diagnosis;
use crate::config::files::{Secret, read_secret};
use crate::config::restart;

/// What is in force, and where another configuration goes.
pub(super) struct Reloading<'a> {
    pub(super) file: Option<&'a Path>,
    pub(super) config: Config,
    /// The component's.
    pub(super) secret: Option<Secret>,
    pub(super) stores: &'a Stores,
    pub(super) resolver: &'a Resolver,
    pub(super) core: Arc<CoreTargets>,
    pub(super) health: &'a Health,
    pub(super) telemetry: &'a Telemetry,
    pub(super) epochs: mpsc::Sender<Epoch>,
}

/// A configuration in which nothing is wrong.
struct Next {
    config: Config,
    warnings: Diagnosis,
    needs_restart: Vec<&'static str>,
    epoch: Epoch,
    begun: oneshot::Receiver<()>,
}

impl Reloading<'_> {
    /// Reloads at each signal, for ever; those that come meanwhile are one.
    pub(super) async fn run(mut self, mut signals: Signal) {
        while signals.recv().await.is_some() {
            let (result, needs_restart, detail) = match self.read().await {
                Ok(next) => (ReloadResult::Applied, next.needs_restart.clone(), self.apply(next).await),
                Err(error) => (ReloadResult::Refused, Vec::new(), format!("{error:#}")),
            };
            let at = clock::unix_seconds();
            self.telemetry.emit(&Event::ConfigReload(ConfigReload { result, at, needs_restart, detail }));
        }
        std::future::pending().await
    }

    /// Reads and makes all that is needed; changes nothing.
    async fn read(&self) -> anyhow::Result<Next> {
        let file = self.file.ok_or_else(|| anyhow!("there is no file to read again: name one with --config"))?;
        let (mut config, warnings) = Config::load_to_serve(Some(file)).map_err(|refused| anyhow!(refused.line()))?;
        let kept = restart::keep(&self.config, &mut config).map_err(|problem| anyhow!("{}: {problem}", file.display()));
        let mut needs_restart = kept?;
        let secret = config.xmpp.as_ref().and_then(|xmpp| read_secret(&xmpp.secret_file).ok());
        if secret != self.secret && !needs_restart.iter().any(|key| key.starts_with("xmpp")) {
            needs_restart.push("xmpp.secret_file");
        }
        let targets = CoreTargets::of(&config);
        // Those that stay are followed anyway, and a certificate must not wait for a name server.
        let (core, found) = if targets == *self.core {
            (Arc::clone(&self.core), Vec::new())
        } else {
            let found = targets.locate(self.resolver).await?.0;
            (Arc::new(targets), found)
        };
        let edge = edge::config(&config, self.stores, found)?;
        let streams = Settings::of(&config, &Tls::open(&config)?)?;
        let (begin, begun) = oneshot::channel();
        Ok(Next { config, warnings, needs_restart, epoch: Epoch { edge, core, streams, begun: begin }, begun })
    }

    /// Puts it in force; returns the file's name.
    async fn apply(&mut self, next: Next) -> String {
        self.core = Arc::clone(&next.epoch.core);
        // Before anything is told of a target that is new.
        self.telemetry.reconfigure(telemetry_config(&next.config, self.stores));
        self.health.follow_cores(core_names(&next.config));
        if self.epochs.send(next.epoch).await.is_ok() {
            // It ends only with the process.
            let _ = next.begun.await;
        }
        raise_descriptors(&next.config, self.telemetry);
        for warning in next.warnings.findings() {
            tell(self.telemetry, Stage::Degraded, warning.to_string());
        }
        self.config = next.config;
        next.warnings.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cusax_telemetry::Output;

    use super::*;

    #[tokio::test]
    async fn without_a_file_there_is_nothing_to_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.directory.url = format!("sqlite:{}", folder.path().join("accounts.db").display()).parse().unwrap();
        config.directory.state = folder.path().join("state.db");
        let stores = Stores::open(&config).await.unwrap();
        let mut quiet = cusax_telemetry::Config::new("edge-1", [7; 32], clock::wall);
        quiet.output = Output::Writer(Box::new(std::io::sink()));
        let (telemetry, _guard) = Telemetry::new(quiet);
        let (epochs, _to_take) = mpsc::channel(1);
        let reloading = Reloading {
            file: None,
            core: Arc::new(CoreTargets::of(&config)),
            config,
            secret: None,
            stores: &stores,
            resolver: &Resolver::new(Duration::from_secs(3)).unwrap(),
            health: &Health::default(),
            telemetry: &telemetry,
            epochs,
        };
        let error = reloading.read().await.err().unwrap().to_string();
        assert_eq!(error, "there is no file to read again: name one with --config");
    }
}
