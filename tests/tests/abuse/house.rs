//! The edge, the core behind it, and the phone that is to be served; what its metrics and its memory say.

use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use cusax_load::phone::within;
use cusax_net::clock;
use cusax_tests::scratch::Scratch;
use cusax_tests::server::{Edge, Hop};

use tokio::time::{MissedTickBehavior, interval};

use crate::neighbour::Neighbour;
use crate::stub::Stub;

pub(crate) const USERS: [(&str, &str); 2] = [("alice", "wonderland-1"), ("bob", "builder-22")];
/// What queues, buffers and tables that were never full before may cost.
const SLACK_KIB: u64 = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);
/// Transactions are remembered for 32 s (RFC 3261 timers H and J).
const REMEMBERED: Duration = Duration::from_secs(60);
/// How long the phone may wait for an answer: a machine that compiles beside it is slow.
const LATE: Duration = Duration::from_secs(8);

/// Between a registration with a call and the next.
const ROUND: Duration = Duration::from_millis(200);

pub(crate) struct House {
    pub(crate) edge: Edge,
    pub(crate) neighbour: Neighbour,
    _core: Stub,
    _scratch: Scratch,
}

impl House {
    /// With `more` TOML.
    pub(crate) async fn open(more: &str) -> Self {
        let scratch = Scratch::new("abuse").unwrap();
        let core = Stub::start(([127, 0, 0, 1], 0).into()).await;
        let mut edge = Edge::install(&scratch, core.address(), Hop::Udp, &[], more).unwrap();
        quiet(&edge);
        edge.add_accounts(&USERS).unwrap();
        edge.serve().await.unwrap();
        let neighbour = Neighbour::new("alice", USERS[0].1, edge.access()).await;
        Self { edge, neighbour, _core: core, _scratch: scratch }
    }

    pub(crate) fn secure(&self) -> SocketAddr {
        self.edge.access_over(Hop::Tls)
    }

    /// So many times.
    pub(crate) async fn be_served(&mut self, times: usize) {
        for _ in 0..times {
            self.neighbour.round().await;
        }
    }

    /// As long as it takes, and once at least.
    pub(crate) async fn be_served_until(&mut self, mut over: impl FnMut() -> bool) {
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            self.neighbour.round().await;
            if over() {
                break;
            }
        }
        let slowest = self.neighbour.slowest;
        assert!(slowest < LATE, "an answer took {slowest:?}");
        assert!(self.edge.process().unwrap().is_running());
    }

    pub(crate) async fn be_served_during(&mut self, flood: impl Future<Output = ()> + Send + 'static) {
        let flood = tokio::spawn(flood);
        self.be_served_until(|| flood.is_finished()).await;
        flood.await.unwrap();
    }

    async fn metrics(&self) -> String {
        cusax_tests::http::get(self.edge.http(), "/metrics").await.unwrap().body
    }

    pub(crate) async fn value(&self, series: &str) -> u64 {
        let page = self.metrics().await;
        let found = page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("there is no {series}"))
    }

    /// All series that begin so together, but those with a certain label.
    pub(crate) async fn sum(&self, family: &str, but: &str) -> u64 {
        let page = self.metrics().await;
        let lines = page.lines().filter(|line| line.starts_with(family) && !line.contains(but));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Waits until a series has come to a value.
    pub(crate) async fn counts(&self, series: &str, least: usize) {
        let deadline = within(PATIENCE);
        while self.value(series).await < least as u64 {
            assert!(clock::now() < deadline, "{series} is {}, not {least}", self.value(series).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a family has come down to a sum.
    pub(crate) async fn falls(&self, family: &str, most: u64) {
        let deadline = within(REMEMBERED);
        loop {
            let sum = self.sum(family, "no label").await;
            if sum <= most {
                return;
            }
            assert!(clock::now() < deadline, "{family} stays {sum}, not {most}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Resident memory, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let pid = self.edge.process().unwrap().pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        kib.unwrap()
    }

    /// Memory is bounded, and what is remembered is the phone's own; in the long run nothing is, after a while.
    #[expect(clippy::print_stderr, reason = "the figures are for whoever runs it")]
    pub(crate) async fn is_as_before(&self, memory: u64) {
        let now = self.memory();
        assert!(now <= memory + SLACK_KIB, "{memory} KiB before, {now} KiB after");
        let own = if std::env::var_os("CUSAX_LONG").is_some() { 0 } else { self.neighbour.asked * 4 };
        self.falls("cusax_sip_transactions{", own).await;
        let log = self.edge.process().unwrap().log();
        assert!(!log.contains("panicked"), "{}", self.edge.process().unwrap().log_tail());
        eprintln!(
            "served {} times, {} times later for 503, at most after {:?}; {memory} KiB before, {now} KiB after",
            self.neighbour.asked, self.neighbour.busy, self.neighbour.slowest
        );
    }
}

/// Without a line for each message: it is a flood.
pub(crate) fn quiet(edge: &Edge) {
    let file = edge.dir().join("cusax.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("level = \"debug\"", "level = \"warn\"")).unwrap();
}
