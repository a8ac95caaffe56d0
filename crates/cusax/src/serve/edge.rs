//! The edge's part of the configuration, in its own terms.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use cusax_edge::config::{
    Action, Caller, Config as EdgeConfig, CoreTarget, Forged, Keys, Listener, Numbers, Peer, Reach, Zone,
};
use cusax_event::sip::NumberClass;
use cusax_net::resolver::Resolver;
use cusax_numbering::Classifier;
use cusax_sip::Transport;
use cusax_sip::digest::Algorithm;

use super::stores::{Stores, generations};
use crate::config::Config;
use crate::config::address::{Host, Transport as Named};
use crate::config::caller::{CalleeReach, Egress, Forged as ForgedPolicy};
use crate::config::numbers::{Action as Policy, Policy as Policies};
use crate::config::sip::{DigestAlgorithm, Federation, Zone as ZoneName};

/// Longest wait for a name of a core target.
const LOOKUP: Duration = Duration::from_secs(5);

/// Finds the addresses of the core targets.
pub(super) async fn locate_core(config: &Config) -> anyhow::Result<Vec<CoreTarget>> {
    let mut found = Vec::new();
    let targets = config.sip.core.iter().flat_map(|core| &core.targets);
    for target in targets {
        let port = target.port.unwrap_or(5060);
        let addresses = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => Resolver::new(LOOKUP)?
                .addresses(name.as_str())
                .await
                .with_context(|| format!("cannot find the core target {target}"))?,
        };
        for address in addresses {
            found.push(CoreTarget {
                name: Arc::from(target.to_string()),
                address: SocketAddr::new(address, port),
                transport: transport(target.transport.unwrap_or(Named::Udp)),
            });
        }
    }
    Ok(found)
}

/// Everything that the edge is told.
pub(super) fn config(config: &Config, stores: &Stores, core: Vec<CoreTarget>) -> anyhow::Result<EdgeConfig> {
    let listeners: Vec<Listener> = config
        .sip
        .listener
        .iter()
        .map(|listener| Listener {
            transport: transport(listener.address.transport),
            address: listener.address.socket,
            sent_by: listener.advertise.as_ref().map_or_else(
                || listener.address.socket.to_string(),
                |advertised| match advertised.port {
                    Some(_) => advertised.to_string(),
                    None => format!("{advertised}:{}", listener.address.socket.port()),
                },
            ),
            zone: match listener.zone {
                ZoneName::Access => Zone::Access,
                ZoneName::Core => Zone::Core,
                ZoneName::Peer => Zone::Peer,
            },
        })
        .collect();
    let domain = config.service.domain.to_string();
    let Some(session) = generations(&stores.session).first().copied() else { bail!("no session key") };
    let mut dial_in = BTreeMap::new();
    for conference in &config.conference {
        for (number, room) in &conference.numbers {
            dial_in.insert(number.to_string(), format!("sip:{room}@{}", conference.domain));
        }
    }
    Ok(EdgeConfig {
        numbers: numbers(config)?,
        listeners,
        core,
        peers: config
            .sip
            .peer
            .iter()
            .map(|peer| Peer {
                sources: peer.sources.iter().map(|network| (network.address, network.bits)).collect(),
                trusted: peer.trusted,
            })
            .collect(),
        federation: config.sip.federation == Federation::Open,
        challenge: config.sip.auth.challenge,
        algorithms: config.sip.auth.algorithms.iter().map(|algorithm| digest(*algorithm)).collect(),
        caller: Caller {
            insert: config.caller.insert,
            forged: match config.caller.forged {
                ForgedPolicy::Strip => Forged::Strip,
                ForgedPolicy::Reject => Forged::Reject,
            },
            callee: match config.caller.callee {
                CalleeReach::Off => Reach::Off,
                CalleeReach::OwnDomain => Reach::OwnDomain,
                CalleeReach::All => Reach::All,
            },
            egress: match config.caller.egress {
                Egress::OwnDomain => Reach::OwnDomain,
                Egress::All => Reach::All,
            },
        },
        conferences: config.conference.iter().map(|conference| conference.domain.to_string()).collect(),
        dial_in,
        transactions: usize::try_from(config.sip.limits.transactions.get())?,
        summaries: true,
        keys: Keys { nonce: generations(&stores.nonce), token: generations(&stores.token), session },
        domain,
    })
}

/// Without a number plan nothing is charged or told, but emergency calls are known all the same.
fn numbers(config: &Config) -> anyhow::Result<Numbers> {
    let mut domains = vec![config.service.domain.to_string()];
    domains.extend(config.sip.listener.iter().map(|listener| listener.address.socket.ip().to_string()));
    domains
        .extend(config.sip.listener.iter().filter_map(|listener| Some(listener.advertise.as_ref()?.host.to_string())));
    // A number at the core's own address is as much ours as one at our domain.
    domains.extend(config.sip.core.iter().flat_map(|core| &core.targets).map(|target| target.host.to_string()));
    let classifier = match &config.numbers {
        Some(numbers) => numbers.classifier(domains),
        None => Classifier::new(&cusax_numbering::Config {
            country: "US".to_owned(),
            domains,
            ..cusax_numbering::Config::default()
        }),
    };
    let policies = config.numbers.as_ref().map(|numbers| &numbers.policy);
    let policy =
        policies.map(|policies| NumberClass::ALL.iter().map(|class| (*class, action(policies, *class))).collect());
    Ok(Numbers {
        classifier: classifier.context("[numbers]")?,
        policy: policy.unwrap_or_default(),
        message: config.xmpp.is_some() && config.numbers.as_ref().is_some_and(|numbers| numbers.message),
    })
}

fn action(policies: &Policies, class: NumberClass) -> Action {
    match policies.of(class) {
        Policy::Allow => Action::Allow,
        // The media that these need are not built in this version; `check` refuses them, so text is what is left.
        Policy::Text | Policy::Tone | Policy::Announce | Policy::Confirm => Action::Text,
        Policy::Block => Action::Block,
    }
}

const fn digest(algorithm: DigestAlgorithm) -> Algorithm {
    match algorithm {
        DigestAlgorithm::Sha512_256 => Algorithm::Sha512_256,
        DigestAlgorithm::Sha256 => Algorithm::Sha256,
        DigestAlgorithm::Md5 => Algorithm::Md5,
    }
}

const fn transport(named: Named) -> Transport {
    match named {
        Named::Udp => Transport::Udp,
        Named::Tcp => Transport::Tcp,
        Named::Tls => Transport::Tls,
        Named::Ws => Transport::Ws,
        Named::Wss => Transport::Wss,
    }
}
