//! Sockets, clock and terminal of a run.

mod stream;
mod udp;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use cusax_net::{descriptors, random, tls};
use cusax_sip::{ListenerId, Transport};
use tokio::runtime::Handle;

use super::plan::Plan;
use super::report::Report;
use super::requirement::Requirement;

/// Where a run is in the network.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// Where callers send everything; `None`: straight to our own callees.
    pub proxy: Option<SocketAddr>,
    /// The address of the callers; port 0: any free ones.
    pub caller: SocketAddr,
    /// The address of the callees; port 0: any free one.
    pub callee: SocketAddr,
    /// Sockets (UDP) or connections that callers use in turn.
    pub connections: u16,
    /// What callers connect with by TLS, and the domains one of which the server must speak for.
    pub tls_client: Option<(tls::Client, Vec<String>)>,
    /// What callees accept with by TLS.
    pub tls_server: Option<tls::Server>,
}

/// Ends a run before its time; clones end the same one.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Begins no more calls, and waits a moment for those that are under way.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs a plan to its end on this thread; a live line is shown where standard error is a terminal. Handshakes of TLS run
/// on `control`.
///
/// # Errors
/// That a socket or the first connections could not be made.
pub fn run(
    plan: Plan,
    wiring: &Wiring,
    requirements: Vec<Requirement>,
    stop: &Stop,
    control: &Handle,
) -> Result<Report> {
    // Many connections need many descriptors; where the limit stays low, making them fails with its own words.
    let _ = descriptors::raise_limit();
    ensure!(wiring.proxy.is_some() || plan.role.answers(), "callers without callees of their own need a server");
    let run = random::seed() as u32;
    match plan.transport {
        Transport::Udp => udp::run(plan, wiring, requirements, stop, run),
        Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss | Transport::Internal => {
            let local = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
            local.block_on(stream::run(plan, wiring, requirements, stop, run, control.clone()))
        }
    }
}

/// The listener of the callees; those of the callers come after it.
const CALLEE: ListenerId = ListenerId(0);
