//! HTTP for operators: metrics and health.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use cusax_telemetry::Telemetry;
use tokio::net::TcpListener;

/// What `/readyz` tells.
#[derive(Default)]
pub(super) struct Health {
    /// True where there is a component to connect.
    pub(super) has_component: AtomicBool,
    /// True while the component is in service.
    pub(super) component: AtomicBool,
}

/// The HTTP server, bound.
pub(super) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
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
            .with_state(Shared { telemetry, health });
        Ok(Self { listener, address, router })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn run(self) {
        // `serve` ends only with the process.
        let _ = axum::serve(self.listener, self.router).await;
    }
}

async fn index() -> &'static str {
    "cusax\n\n/metrics   for Prometheus\n/livez     the process runs\n/readyz    what it depends on\n/version\n"
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.telemetry.metrics_text())
}

/// Ready where everything that is configured works; each dependency is listed.
async fn ready(State(shared): State<Shared>) -> impl IntoResponse {
    let needs = shared.health.has_component.load(Ordering::Relaxed);
    let up = shared.health.component.load(Ordering::Relaxed);
    let component = match (needs, up) {
        (false, _) => "off",
        (true, true) => "connected",
        (true, false) => "disconnected",
    };
    let status = if needs && !up { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(serde_json::json!({ "ready": status == StatusCode::OK, "xmpp_component": component })))
}
