//! The running service: sockets, tasks and threads around the cores, and nothing that a core could decide.
//!
//! - one thread for SIP and the conferences' control ([`worker`]),
//! - one pinned thread for media ([`media`]),
//! - tokio tasks for the component's stream ([`component`]), HTTP ([`http`]), and the stores ([`stores`]),
//! - and the threads of [`cusax_telemetry`], which write log and trace.

mod accounts;
mod complaint;
mod component;
mod conference;
mod edge;
mod headline;
mod http;
mod media;
mod reload;
mod stores;
mod tls;
mod worker;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cusax_event::Event;
use cusax_event::service::{Lifecycle, Stage};
use cusax_net::resolver::Resolver;
use cusax_net::{clock, descriptors, random};
use cusax_telemetry::{Format, Identities, Output, Telemetry, trace};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use crate::config::Config;
use crate::config::diagnostic::Diagnosis;
use crate::config::files::read_secret;
use crate::config::telemetry::{Identities as Shown, Level, LogFormat};

/// Descriptors that are no SIP connection: 128 of HTTP, media and SIP sockets, files, event queues.
const OTHER_DESCRIPTORS: u64 = 256;

/// For what is still to be kept and said when the service stops.
const ENDING: Duration = Duration::from_secs(5);

/// Longest wait for one answer of DNS.
const LOOKUP: Duration = Duration::from_secs(3);

/// Runs until SIGINT or SIGTERM; `warnings` are said at the start. At SIGHUP, `file` is read again.
pub(crate) fn run(file: Option<&Path>, config: Config, warnings: &Diagnosis) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(serve(file, config, warnings))
}

async fn serve(file: Option<&Path>, config: Config, warnings: &Diagnosis) -> anyhow::Result<ExitCode> {
    // From here on it ends nothing: what comes before the start is done after it.
    let reloads = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    let stores = stores::Stores::open(&config).await?;
    let (telemetry, guard) = Telemetry::new(telemetry_config(&config, &stores));
    stores.tell_access(&telemetry);
    raise_descriptors(&config, &telemetry);
    let resolver = Arc::new(Resolver::new(LOOKUP)?);
    let core = Arc::new(edge::CoreTargets::of(&config));
    let edge = edge::config(&config, &stores, core.locate(&resolver).await?.0)?;
    let (component_link, component_end) = component::channel();
    let media = media::start(&config, &telemetry)?;
    let health = Arc::new(http::Health::default());
    health.follow_cores(core_names(&config));
    let (keep, keeper) = stores.keeper(telemetry.clone());
    let tls = tls::Tls::open(&config)?;
    let worker = worker::start(worker::Parts {
        config: &config,
        tls: &tls,
        control: tokio::runtime::Handle::current(),
        edge,
        stores: &stores,
        telemetry: telemetry.clone(),
        health: Arc::clone(&health),
        component: component_link,
        media,
        restrictions: stores.restrictions().await?,
        resolver: Arc::clone(&resolver),
        core: Arc::clone(&core),
        keep,
    })?;
    let mut tasks = tokio::task::JoinSet::new();
    let component = match &config.xmpp {
        Some(xmpp) => {
            let parts = component::Parts::new(&config, xmpp, component_end, &telemetry, &health)?;
            Some(tokio::spawn(component::run(parts)))
        }
        None => None,
    };
    tasks.spawn(stores.directory_refresh(telemetry.clone()));
    let server = http::Server::bind(config.http.listen, telemetry.clone(), Arc::clone(&health)).await?;
    let listening = listening(&config, server.address());
    tasks.spawn(server.run());
    tell(&telemetry, Stage::Started, listening);
    for warning in warnings.findings() {
        tell(&telemetry, Stage::Degraded, warning.to_string());
    }
    let reloading = reload::Reloading {
        file,
        secret: config.xmpp.as_ref().and_then(|xmpp| read_secret(&xmpp.secret_file).ok()),
        config,
        stores: &stores,
        resolver: &resolver,
        core,
        health: &health,
        telemetry: &telemetry,
        epochs: worker.epochs.clone(),
    };
    tokio::select! {
        stopped = stopped() => stopped?,
        () = reloading.run(reloads) => {}
    }
    tell(&telemetry, Stage::Stopped, String::from("told to stop"));
    worker.stop().await;
    // The worker was the last to send to these: they end when all is done.
    let _ = timeout(ENDING, async {
        let _ = keeper.await;
        if let Some(component) = component {
            let _ = component.await;
        }
    })
    .await;
    tasks.abort_all();
    guard.flush();
    Ok(ExitCode::SUCCESS)
}

/// Waits for SIGINT or SIGTERM.
async fn stopped() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Lets the process open as many descriptors as it may, and says where that is fewer than it may come to need.
fn raise_descriptors(config: &Config, telemetry: &Telemetry) {
    let connections = config.sip.limits.connections.get();
    let detail = match descriptors::raise_limit() {
        Ok(limit) if limit >= u64::from(connections) + OTHER_DESCRIPTORS => return,
        Ok(limit) => format!(
            "this process may open {limit} descriptors, too few for sip.limits.connections = {connections}: raise the \
             limit (systemd: LimitNOFILE, shell: ulimit -n), or lower the setting"
        ),
        Err(error) => format!("the limit of open descriptors cannot be raised: {error}"),
    };
    tell(telemetry, Stage::Degraded, detail);
}

fn tell(telemetry: &Telemetry, stage: Stage, detail: String) {
    telemetry.emit(&Event::Lifecycle(Lifecycle { stage, detail }));
}

fn listening(config: &Config, http: std::net::SocketAddr) -> String {
    let sip = config.sip.listener.iter().map(|listener| listener.address.to_string());
    let rest = [format!("http:{http}")];
    sip.chain(rest).collect::<Vec<_>>().join(", ")
}

fn telemetry_config(config: &Config, stores: &stores::Stores) -> cusax_telemetry::Config {
    let section = &config.telemetry;
    let node = config.service.node.as_ref().map_or_else(host_name, ToString::to_string);
    let mut telemetry = cusax_telemetry::Config::new(node, *stores.pseudonym.as_bytes(), clock::wall);
    telemetry.log = match section.log {
        LogFormat::Json => Format::Json,
        LogFormat::Logfmt => Format::Logfmt,
        LogFormat::Pretty => Format::Pretty,
    };
    telemetry.level = match section.level {
        Level::Error => tracing::level_filters::LevelFilter::ERROR,
        Level::Warn => tracing::level_filters::LevelFilter::WARN,
        Level::Info => tracing::level_filters::LevelFilter::INFO,
        Level::Debug => tracing::level_filters::LevelFilter::DEBUG,
        Level::Trace => tracing::level_filters::LevelFilter::TRACE,
    };
    telemetry.identities = match section.identities {
        Shown::Pseudonym => Identities::Pseudonym,
        Shown::Masked => Identities::Masked,
        Shown::Clear => Identities::Clear,
    };
    telemetry.output = Output::Stdout;
    telemetry.trace = Some(trace::Store::new(&section.trace));
    telemetry.component = config.xmpp.as_ref().map(|xmpp| xmpp.component.to_string());
    telemetry.revision = env!("CUSAX_REVISION");
    telemetry.upstreams = core_names(config).collect();
    telemetry
}

/// The core targets as they are written, which is what they are called.
fn core_names(config: &Config) -> impl Iterator<Item = String> {
    config.sip.core.iter().flat_map(|core| &core.targets).map(ToString::to_string)
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "cusax".to_owned(), |name| name.trim().to_owned())
}

/// A seed of two words for a core that wants one.
fn seeds<const N: usize>() -> [u64; N] {
    std::array::from_fn(|_| random::seed())
}
