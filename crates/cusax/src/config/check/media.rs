//! Media ports and addresses, and those of HTTP.

use super::{Report, collide, overlap};
use crate::config::Config;
use crate::config::address::Transport;
use crate::config::document::at;

pub(super) fn check(config: &Config, report: &mut Report<'_, '_>) {
    addresses(config, report);
    ports(config, report);
    codecs(config, report);
    http(config, report);
}

fn addresses(config: &Config, report: &mut Report<'_, '_>) {
    let media = &config.media;
    let advertised = media.advertised();
    if advertised.is_unspecified() {
        let key = if media.address.is_some() { "address" } else { "bind" };
        let advice = "write address = \"…\", the one by which others reach the media ports";
        report.refuse(at!["media", key], format!("SDP cannot advertise {advertised}"), advice);
    }
    if advertised.is_ipv4() != media.bind.is_ipv4() {
        let problem = format!("media is received on {} and advertised as {advertised}", media.bind);
        report.refuse(at!["media", "address"], problem, "write both as IPv4 or both as IPv6");
    }
}

fn ports(config: &Config, report: &mut Report<'_, '_>) {
    let media = &config.media;
    for listener in &config.sip.listener {
        let socket = listener.address.socket;
        let same_host = overlap(socket.ip(), media.bind);
        if listener.address.transport == Transport::Udp && same_host && media.ports.contains(socket.port()) {
            let problem = format!("the media ports {} include the SIP listener {}", media.ports, listener.address);
            report.refuse(at!["media", "ports"], problem, "write a range without that port");
        }
    }
}

fn codecs(config: &Config, report: &mut Report<'_, '_>) {
    let codecs = &config.media.codecs;
    if codecs.is_empty() {
        report.refuse(
            at!["media", "codecs"],
            "without a codec no call can be answered",
            "write codecs = [\"PCMU\", \"PCMA\"]",
        );
    }
    for (index, codec) in codecs.iter().enumerate().filter(|(index, codec)| codecs[..*index].contains(codec)) {
        let problem = format!("{} is there twice", serde_json::json!(codec));
        report.refuse(at!["media", "codecs", index], problem, "take one out");
    }
}

fn http(config: &Config, report: &mut Report<'_, '_>) {
    let listen = config.http.listen;
    let streams = config.sip.listener.iter().filter(|listener| listener.address.transport != Transport::Udp);
    for listener in streams.filter(|listener| collide(listener.address.socket, listen)) {
        let problem = format!("{listen} is taken by the SIP listener {}", listener.address);
        report.refuse(at!["http", "listen"], problem, "write another port");
    }
    if config.provisioning.as_ref().is_some_and(|provisioning| collide(provisioning.listen, listen)) {
        report.refuse(at!["provisioning", "listen"], format!("{listen} is taken by [http]"), "write another port");
    }
}
