//! What comes out of telemetry when every kind of event goes in.

#[path = "rendering/log.rs"]
mod log;
#[path = "rendering/metrics.rs"]
mod metrics;
#[path = "rendering/samples.rs"]
mod samples;
