//! Listeners, the core, peers and authentication.

use std::net::SocketAddr;
use std::path::PathBuf;

use cusax_sip::message::{MAX_HEADER_BYTES, MAX_HEADERS};

use super::{Report, collide};
use crate::config::Config;
use crate::config::address::{Host, ListenerAddress, SipTarget, Transport};
use crate::config::document::at;
use crate::config::network::Network;
use crate::config::sip::{Listener, Sip, Zone};
use crate::config::tls::Tls;

pub(super) fn check(config: &Config, report: &mut Report<'_, '_>) {
    let sip = &config.sip;
    zones(sip, report);
    addresses(sip, report);
    core(sip, report);
    peers(sip, report);
    algorithms(sip, report);
    layers(config, report);
    limits(sip, report);
    revocations(config, report);
}

/// Bounds that can only be drawn tighter.
fn limits(sip: &Sip, report: &mut Report<'_, '_>) {
    let most =
        [("headers", sip.limits.headers, MAX_HEADERS), ("header_bytes", sip.limits.header_bytes, MAX_HEADER_BYTES)];
    for (key, value, most) in most.into_iter().filter(|(_, value, most)| value.get() as usize > *most) {
        let problem = format!("{value} is more than this edge reads");
        report.refuse(at!["sip", "limits", key], problem, format!("write {most} or less"));
    }
}

fn zones(sip: &Sip, report: &mut Report<'_, '_>) {
    if !sip.listener.iter().any(|listener| listener.zone == Zone::Access) {
        let advice = "add [[sip.listener]] with address = \"udp:127.0.0.1:5060\" and zone = \"access\"";
        report.refuse(at!["sip", "listener"], "no listener is for user agents", advice);
    }
    for (index, listener) in sip.listener.iter().enumerate() {
        let zone = at!["sip", "listener", index, "zone"];
        match listener.zone {
            Zone::Core if sip.core.is_none() => {
                let advice = "add [sip.core] with targets = [\"sip:127.0.0.1:5080\"], the existing SIP servers";
                report.refuse(
                    zone,
                    "a core listener takes only what comes from sip.core.targets, and there are none",
                    advice,
                );
            }
            Zone::Peer if sip.peer.is_empty() => {
                let advice = "add [[sip.peer]] with name and sources = [\"192.0.2.0/28\"], the other provider";
                report.refuse(zone, "a peer listener takes only what comes from a sip.peer, and there is none", advice);
            }
            Zone::Access | Zone::Core | Zone::Peer => {}
        }
    }
}

fn addresses(sip: &Sip, report: &mut Report<'_, '_>) {
    for (index, listener) in sip.listener.iter().enumerate() {
        let ListenerAddress { transport, socket } = listener.address;
        let place = at!["sip", "listener", index, "address"];
        let taken = |other: &&Listener| {
            is_udp(other.address.transport) == is_udp(transport) && collide(other.address.socket, socket)
        };
        if let Some(other) = sip.listener[..index].iter().find(taken) {
            let problem = format!("{} is taken by the listener {}", listener.address, other.address);
            report.refuse(place, problem, "write another port or address");
        }
        if socket.ip().is_unspecified() && listener.advertise.is_none() {
            let advice = "add advertise = \"sip.example.com\" (or the address by which others reach this listener)";
            report.refuse(place, format!("{} is no address that others can send to", socket.ip()), advice);
        }
    }
}

/// What the connections of a listener begin with.
fn layers(config: &Config, report: &mut Report<'_, '_>) {
    for (index, listener) in config.sip.listener.iter().enumerate() {
        let transport = listener.address.transport;
        let at_key = |key| [at!["sip", "listener", index].to_vec(), at![key].to_vec()].concat();
        if transport.is_secure() && config.tls.is_none() {
            let problem = format!("a {transport} listener needs a certificate");
            report.refuse(&at_key("address"), problem, "add [tls] with certificate and private_key");
        }
        if is_websocket(transport) && listener.zone != Zone::Access {
            let problem = format!("{transport} is for browsers and other user agents, not for SIP servers");
            report.refuse(&at_key("address"), problem, "write a tls, tcp or udp address, or zone = \"access\"");
        }
        let proxied = !listener.proxy_protocol.is_empty();
        if proxied && is_udp(transport) {
            let advice = "take the key out; a balancer of datagrams must keep their addresses";
            report.refuse(&at_key("proxy_protocol"), "there is no PROXY header before datagrams", advice);
        } else if proxied && listener.zone == Zone::Core {
            let advice = "take the key out; let the core connect to this listener itself";
            let problem = "the core is known by its address, and a PROXY header can name any";
            report.refuse(&at_key("proxy_protocol"), problem, advice);
        }
        if !listener.origins.is_empty() && !is_websocket(transport) {
            let problem = format!("web pages do not connect over {transport}");
            report.refuse(&at_key("origins"), problem, "write a ws or wss address, or take the key out");
        }
        certificates(config, listener, index, report);
    }
}

/// Which certificates those who connect are asked for.
fn certificates(config: &Config, listener: &Listener, index: usize, report: &mut Report<'_, '_>) {
    let transport = listener.address.transport;
    let mut refuse = |key, problem: &str, advice| {
        report.refuse(&[at!["sip", "listener", index].to_vec(), at![key].to_vec()].concat(), problem, advice);
    };
    let none_shown = format!("clients show no certificate over {transport}");
    let unknown = "no authority of such certificates is known";
    let absent = |file: fn(&Tls) -> &Option<PathBuf>| config.tls.as_ref().is_some_and(|tls| file(tls).is_none());
    let users = listener.user_certificates;
    if users && !transport.is_secure() {
        refuse("user_certificates", &none_shown, "write a tls or wss address, or take the key out");
    } else if users && listener.zone != Zone::Access {
        let problem = "user agents connect to access listeners only";
        refuse(
            "user_certificates",
            problem,
            "take the key out; servers are known by tls.client_ca and certificate_names",
        );
    } else if users && absent(|tls| &tls.user_ca) {
        refuse("user_certificates", unknown, "add user_ca = \"user-ca.pem\" to [tls]");
    }
    if listener.require_certificate && !users {
        if transport != Transport::Tls {
            refuse("require_certificate", &none_shown, "write a tls address, or take the key out");
        } else if absent(|tls| &tls.client_ca) {
            refuse("require_certificate", unknown, "add client_ca = \"client-ca.pem\" to [tls]");
        }
    }
}

fn revocations(config: &Config, report: &mut Report<'_, '_>) {
    if config.tls.as_ref().is_some_and(|tls| tls.user_crl.is_some() && tls.user_ca.is_none()) {
        let advice = "add user_ca = \"user-ca.pem\", whose certificates these are, or take the key out";
        report.refuse(at!["tls", "user_crl"], "there are no certificates of users that could be revoked", advice);
    }
}

fn core(sip: &Sip, report: &mut Report<'_, '_>) {
    let Some(core) = &sip.core else { return };
    if core.targets.is_empty() {
        let advice = "write targets = [\"sip:127.0.0.1:5080\"], or take [sip.core] and its listener out";
        report.refuse(at!["sip", "core", "targets"], "the core has no target", advice);
    }
    if !sip.listener.iter().any(|listener| listener.zone == Zone::Core) {
        let advice = "add [[sip.listener]] with address = \"udp:127.0.0.1:5070\" and zone = \"core\"";
        report.refuse(at!["sip", "core"], "there is no listener for what the core sends", advice);
    }
    for (index, target) in core.targets.iter().enumerate() {
        let place = at!["sip", "core", "targets", index];
        if core.targets[..index].contains(target) {
            report.refuse(place, format!("{target} is there twice"), "take one out");
        }
        if sip.listener.iter().any(|listener| leads_to(target, listener)) {
            let advice = "write the address of the existing SIP server, such as \"sip:127.0.0.1:5080\"";
            report.refuse(place, format!("{target} is a listener of this edge: calls would go in a circle"), advice);
        }
        let mut listeners = sip.listener.iter().filter(|listener| listener.zone == Zone::Core).peekable();
        if is_websocket(transport_to(target)) {
            report.refuse(place, "nobody can be called by WebSocket", "write transport=tls, tcp or udp");
        } else if listeners.peek().is_some() && !listeners.any(|listener| can_send(listener, target)) {
            let (transport, example) = (transport_to(target), if is_ipv6(target) { "[::1]" } else { "127.0.0.1" });
            let problem =
                format!("{target} is reached over {transport}, and no core listener is of that kind and family");
            let advice =
                format!("add [[sip.listener]] with address = \"{transport}:{example}:5070\" and zone = \"core\"");
            report.refuse(place, problem, advice);
        }
    }
}

fn peers(sip: &Sip, report: &mut Report<'_, '_>) {
    for (index, peer) in sip.peer.iter().enumerate() {
        let before = &sip.peer[..index];
        if before.iter().any(|other| other.name == peer.name) {
            let problem = format!("there are two peers with the name {:?}", peer.name.as_str());
            report.refuse(at!["sip", "peer", index, "name"], problem, "give each a name of its own");
        }
        if peer.sources.is_empty() && peer.certificate_names.is_empty() {
            let advice = "write sources = [\"192.0.2.0/28\"], the addresses that its requests come from, or the \
                          certificate_names of its certificate";
            report.refuse(at!["sip", "peer", index, "sources"], "a peer without sources is never recognised", advice);
        }
        for (place, name) in peer.certificate_names.iter().enumerate() {
            let other = before.iter().find(|other| other.certificate_names.contains(name));
            if let Some(other) = other {
                let problem = format!("{name} belongs to the peer {:?} as well", other.name.as_str());
                let place = at!["sip", "peer", index, "certificate_names", place];
                report.refuse(place, problem, "a certificate can be one peer's only");
            }
        }
        for (place, source) in peer.sources.iter().enumerate() {
            let shared = |network: &Network| source.contains(network.address) || network.contains(source.address);
            let other = before.iter().find(|other| other.sources.iter().any(shared));
            if let Some(other) = other {
                let problem = format!("{source} belongs to the peer {:?} as well", other.name.as_str());
                report.refuse(
                    at!["sip", "peer", index, "sources", place],
                    problem,
                    "an address can be one peer's only",
                );
            }
        }
    }
}

fn algorithms(sip: &Sip, report: &mut Report<'_, '_>) {
    let place = at!["sip", "auth", "algorithms"];
    let mut best = sip.auth.algorithms.clone();
    best.sort_unstable();
    best.dedup();
    if best.is_empty() {
        let advice = "write algorithms = [\"SHA-256\", \"MD5\"]; with challenge = false the core asks instead";
        report.refuse(place, "no algorithm is left to challenge with", advice);
    } else if best != sip.auth.algorithms {
        let words = best.iter().map(|algorithm| serde_json::json!(algorithm).to_string()).collect::<Vec<_>>();
        let advice = format!("write [{}]", words.join(", "));
        report.refuse(place, "algorithms are offered once each, the strongest first (RFC 8760)", advice);
    }
}

fn leads_to(target: &SipTarget, listener: &Listener) -> bool {
    let Host::Address(address) = target.host else { return false };
    let transport = transport_to(target);
    let socket = SocketAddr::new(address, target.port.unwrap_or(if transport.is_secure() { 5061 } else { 5060 }));
    is_udp(transport) == is_udp(listener.address.transport) && collide(socket, listener.address.socket)
}

/// Whether what is sent to the target can leave from the listener; what DNS will say of a name is not known here.
fn can_send(listener: &Listener, target: &SipTarget) -> bool {
    let ListenerAddress { transport, socket } = listener.address;
    match target.host {
        Host::Address(address) => transport == transport_to(target) && socket.is_ipv4() == address.is_ipv4(),
        Host::Name(_) => target.transport.is_none() && !target.secure || transport == transport_to(target),
    }
}

/// RFC 3263 §4.1, for a target that is an address.
fn transport_to(target: &SipTarget) -> Transport {
    match (target.secure, target.transport) {
        (true, _) => Transport::Tls,
        (false, transport) => transport.unwrap_or(Transport::Udp),
    }
}

fn is_ipv6(target: &SipTarget) -> bool {
    matches!(target.host, Host::Address(std::net::IpAddr::V6(_)))
}

fn is_udp(transport: Transport) -> bool {
    transport == Transport::Udp
}

const fn is_websocket(transport: Transport) -> bool {
    matches!(transport, Transport::Ws | Transport::Wss)
}
