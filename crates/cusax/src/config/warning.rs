//! What is valid and has a consequence that its writer may not have meant.

use super::Config;
use super::address::{Endpoint, Host};
use super::diagnostic::Finding;
use super::document::{Document, at};

/// Everything in the file that deserves a word.
pub(super) fn of(config: &Config, document: &Document<'_>) -> Vec<Finding> {
    [no_core(config, document), component_in_clear(config, document)].into_iter().flatten().collect()
}

fn no_core(config: &Config, document: &Document<'_>) -> Option<Finding> {
    if config.sip.core.is_some() {
        return None;
    }
    let reached = if config.conference.is_empty() { "nobody" } else { "conferences only" };
    let problem =
        format!("sip.core.targets names no SIP server: no phone can register, and calls from phones reach {reached}");
    let advice = "add [sip.core] with targets, the SIP URIs of the existing servers, and a [[sip.listener]] with \
                  zone = \"core\" for what they send";
    Some(Finding::warning(document.place(at!["sip"]), problem, advice))
}

fn component_in_clear(config: &Config, document: &Document<'_>) -> Option<Finding> {
    if config.xmpp.as_ref().is_none_or(|xmpp| is_loopback(&xmpp.server)) {
        return None;
    }
    let problem = "xmpp.server is not a loopback address: the component's stream has no TLS (XEP-0114), and whoever is \
                   on the way can read it and speak as the component";
    let advice = "run cusax on the XMPP server's host, or make sure that a tunnel such as WireGuard carries the stream";
    Some(Finding::warning(document.place(at!["xmpp", "server"]), problem, advice))
}

/// Whether what is sent there stays on this host; of a name that DNS has to find, nobody knows.
fn is_loopback(endpoint: &Endpoint) -> bool {
    match &endpoint.host {
        Host::Address(address) => address.to_canonical().is_loopback(),
        // RFC 6761 §6.3
        Host::Name(name) => name.as_str() == "localhost" || name.as_str().ends_with(".localhost"),
    }
}
