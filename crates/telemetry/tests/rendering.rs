//! What comes out of telemetry when every kind of event goes in.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "rendering/log.rs"]
mod log;
#[path = "rendering/metrics.rs"]
mod metrics;
#[path = "rendering/samples.rs"]
mod samples;
#[path = "rendering/store.rs"]
mod store;
#[path = "rendering/trace.rs"]
mod trace;
