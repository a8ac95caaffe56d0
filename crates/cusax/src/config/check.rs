//! What is valid by itself and cannot be together.

mod media;
mod numbers;
mod rooms;
mod sip;

use std::net::{IpAddr, SocketAddr};

use super::Config;
use super::diagnostic::Finding;
use super::document::{Document, Step, at};

/// Everything in the file that contradicts itself.
pub(super) fn check(config: &Config, document: &Document<'_>) -> Vec<Finding> {
    let mut report = Report { document, findings: Vec::new() };
    stores(config, &mut report);
    sip::check(config, &mut report);
    numbers::check(config, &mut report);
    rooms::check(config, &mut report);
    media::check(config, &mut report);
    report.findings
}

/// The findings so far, and the document that they point into.
struct Report<'a, 'i> {
    document: &'a Document<'i>,
    findings: Vec<Finding>,
}

impl Report<'_, '_> {
    /// Notes a contradiction at the value (or, where it is a default, at the table around it).
    fn refuse(&mut self, path: &[Step<'_>], problem: impl Into<String>, advice: impl Into<String>) {
        self.findings.push(Finding::new(self.document.place(path), problem, Some(advice.into())));
    }
}

fn stores(config: &Config, report: &mut Report<'_, '_>) {
    let accounts = config.directory.url.file();
    let state = config.directory.state.as_path();
    let trace = config.telemetry.trace.as_path();
    if accounts == Some(state) {
        let advice =
            "write another file, such as \"cusax-state.db\": other servers read the accounts, nobody else the state";
        report.refuse(at!["directory", "state"], "accounts and state are in one file", advice);
    }
    if accounts == Some(trace) || trace == state {
        let advice = "write a folder of its own, such as \"cusax-trace\"";
        report.refuse(at!["telemetry", "trace"], "the trace store is also the file of accounts or state", advice);
    }
}

/// Whether both cannot be bound: the same port, and the same address or all of them. Port 0 never collides.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.port() != 0 && overlap(one.ip(), other.ip())
}

fn overlap(one: IpAddr, other: IpAddr) -> bool {
    one == other || one.is_ipv4() == other.is_ipv4() && (one.is_unspecified() || other.is_unspecified())
}
