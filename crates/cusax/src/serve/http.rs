//! HTTP for operators: metrics and health. Whoever can reach the port can open connections and say nothing on them:
//! they are few, short, and the newest is served.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use cusax_event::Event;
use cusax_event::service::{HttpDropReason, HttpDropped};
use cusax_event::sip::{UpstreamChanged, UpstreamState};
use cusax_net::clock;
use cusax_telemetry::Telemetry;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::complaint::Complaint;

/// Connections at one time. A scrape has its answer in milliseconds: what is open longer says nothing.
const CONNECTIONS: usize = 128;
/// For the request to be complete.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// From accepting a connection to its end: a page of metrics is some 200 KB.
const LIFETIME: Duration = Duration::from_secs(30);
/// Where the process is out of descriptors, accept(2) fails at once and again until one is closed.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// What `/readyz` tells.
#[derive(Default)]
pub(super) struct Health {
    /// True where there is a component to connect.
    pub(super) has_component: AtomicBool,
    /// True while the component is in service.
    pub(super) component: AtomicBool,
    /// The core targets as they are configured, and what is known of them.
    cores: Mutex<BTreeMap<String, UpstreamState>>,
}

impl Health {
    /// Takes the core targets as they are configured now. They count as up until they are known to be not.
    pub(super) fn follow_cores(&self, targets: impl Iterator<Item = String>) {
        if let Ok(mut cores) = self.cores.lock() {
            let state = |target: &String| cores.get(target).copied().unwrap_or(UpstreamState::Up);
            *cores = targets.map(|target| (target.clone(), state(&target))).collect();
        }
    }

    pub(super) fn core_is(&self, changed: &UpstreamChanged) {
        if let Ok(mut cores) = self.cores.lock()
            && let Some(state) = cores.get_mut(&*changed.upstream)
        {
            *state = changed.state;
        }
    }
}

/// The HTTP server, bound.
pub(super) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    telemetry: Telemetry,
}

#[derive(Clone)]
struct Shared {
    telemetry: Telemetry,
    health: Arc<Health>,
}

impl Server {
    pub(super) async fn bind(address: SocketAddr, telemetry: Telemetry, health: Arc<Health>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!(
                "cannot listen for HTTP on {address} (another process may: look with `ss -ltnp`, or change http.listen)"
            )
        })?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/", get(index))
            .route("/metrics", get(metrics))
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/version", get(|| async { concat!(env!("CARGO_PKG_VERSION"), "\n") }))
            .with_state(Shared { telemetry: telemetry.clone(), health });
        Ok(Self { listener, address, router, telemetry })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves for ever.
    pub(super) async fn run(self) {
        let mut tasks = JoinSet::new();
        // The oldest first.
        let mut open: VecDeque<AbortHandle> = VecDeque::new();
        let mut unaccepted = Complaint::default();
        loop {
            let (stream, remote) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    drop_connection(&self.telemetry, HttpDropReason::AcceptFailed, error.to_string());
                    let detail = || format!("HTTP connections cannot be accepted: {error}");
                    unaccepted.say(&self.telemetry, detail, clock::now());
                    tokio::time::sleep(AFTER_FAILURE).await;
                    continue;
                }
            };
            while tasks.try_join_next().is_some() {}
            open.retain(|connection| !connection.is_finished());
            if open.len() >= CONNECTIONS
                && let Some(oldest) = open.pop_front()
            {
                oldest.abort();
                drop_connection(&self.telemetry, HttpDropReason::Overload, format!("the oldest, for {remote}"));
            }
            let answering = answer(stream, remote, self.router.clone(), self.telemetry.clone());
            open.push_back(tasks.spawn(answering));
        }
    }
}

/// Answers one request.
async fn answer(stream: TcpStream, remote: SocketAddr, router: Router, telemetry: Telemetry) {
    let answering = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        // One connection, one request: an idle one could not be told from one that is half sent.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let in_time = match tokio::time::timeout(LIFETIME, answering).await {
        // Any other failure is the peer's: it went away, or was told what is wrong.
        Ok(answered) => answered.err().is_none_or(|error| !error.is_timeout()),
        Err(_) => false,
    };
    if !in_time {
        drop_connection(&telemetry, HttpDropReason::Deadline, format!("{remote} was too slow"));
    }
}

fn drop_connection(telemetry: &Telemetry, reason: HttpDropReason, detail: String) {
    telemetry.emit(&Event::HttpDropped(HttpDropped { reason, detail }));
}

async fn index() -> &'static str {
    "cusax\n\n/metrics   for Prometheus\n/livez     the process runs\n/readyz    what it depends on\n/version\n"
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.telemetry.metrics_text())
}

/// Ready where calls and rooms work: a core target takes requests and the component is connected, as far as they are
/// configured. Each is listed.
async fn ready(State(shared): State<Shared>) -> impl IntoResponse {
    let needs = shared.health.has_component.load(Ordering::Relaxed);
    let up = shared.health.component.load(Ordering::Relaxed);
    let component = match (needs, up) {
        (false, _) => "off",
        (true, true) => "connected",
        (true, false) => "disconnected",
    };
    let cores = shared.health.cores.lock().map(|cores| cores.clone()).unwrap_or_default();
    let served = cores.is_empty() || cores.values().any(|state| *state == UpstreamState::Up);
    let ready = served && (up || !needs);
    let cores: BTreeMap<String, &str> = cores.into_iter().map(|(target, state)| (target, state.as_str())).collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(serde_json::json!({ "ready": ready, "xmpp_component": component, "sip_core": cores })))
}
