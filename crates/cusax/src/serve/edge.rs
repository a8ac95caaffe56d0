//! The edge's part of the configuration, in its own terms.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use cusax_edge::Retired;
use cusax_edge::config::{
    Action, Caller, Config as EdgeConfig, CoreTarget, Forged, Keys, Limits, Listener, Numbers, Peer, Reach, Zone,
};
use cusax_event::sip::NumberClass;
use cusax_net::resolver::Resolver;
use cusax_numbering::Classifier;
use cusax_sip::Transport;
use cusax_sip::digest::Algorithm;
use cusax_sip::location;

use super::stores::{Stores, generations};
use super::worker::locate;
use crate::config::Config;
use crate::config::address::{Host, SipTarget, Transport as Named};
use crate::config::caller::{CalleeReach, Egress, Forged as ForgedPolicy};
use crate::config::limits::Limits as LimitsSection;
use crate::config::numbers::{Action as Policy, Policy as Policies};
use crate::config::sip::{DigestAlgorithm, Federation, Zone as ZoneName};

/// The core targets as they are configured.
#[derive(PartialEq)]
pub(super) struct CoreTargets {
    targets: Vec<SipTarget>,
    /// The transports of the core listeners.
    spoken: Vec<Transport>,
}

impl CoreTargets {
    pub(super) fn of(config: &Config) -> Self {
        let core = |listener: &&crate::config::sip::Listener| listener.zone == ZoneName::Core;
        let transports = config.sip.listener.iter().filter(core).map(|listener| transport(listener.address.transport));
        let spoken: Vec<Transport> = transports.collect();
        let liked = [Transport::Udp, Transport::Tcp, Transport::Tls];
        let targets = config.sip.core.iter().flat_map(|core| core.targets.iter().cloned()).collect();
        Self { targets, spoken: liked.into_iter().filter(|transport| spoken.contains(transport)).collect() }
    }

    /// True where one of them is not an address.
    pub(super) fn have_names(&self) -> bool {
        self.targets.iter().any(|target| matches!(target.host, Host::Name(_)))
    }

    /// Finds where they are (RFC 3263); false where DNS did not answer for all of them.
    pub(super) async fn locate(&self, resolver: &Resolver) -> anyhow::Result<(Vec<CoreTarget>, bool)> {
        let (mut found, mut whole) = (Vec::new(), true);
        for target in &self.targets {
            let name: Arc<str> = Arc::from(target.to_string());
            let wanted = location::Target {
                host: target.host.to_string(),
                port: target.port,
                transport: target.transport.map(transport),
                secure: target.secure,
            };
            let places = locate::find(resolver, wanted, &self.spoken).await;
            let places = places.with_context(|| {
                format!("cannot find the core target {target} (its address, or a core listener of its transport)")
            })?;
            whole &= places.whole;
            found.extend(places.places.into_iter().map(|place| CoreTarget {
                name: Arc::clone(&name),
                address: place.address,
                transport: place.transport,
            }));
        }
        Ok((found, whole))
    }
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
    let names_of_core = config.sip.core.iter().flat_map(|core| &core.certificate_names);
    Ok(EdgeConfig {
        numbers: numbers(config)?,
        listeners,
        core,
        retired: Retired::default(),
        core_identities: names_of_core.map(ToString::to_string).collect(),
        peers: config
            .sip
            .peer
            .iter()
            .map(|peer| Peer {
                sources: peer.sources.iter().map(|network| (network.address, network.bits)).collect(),
                identities: peer.certificate_names.iter().map(ToString::to_string).collect(),
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
        limits: limits(&config.sip.limits),
        summaries: true,
        keys: Keys { nonce: generations(&stores.nonce), token: generations(&stores.token), session },
        domain,
    })
}

/// Without a number plan nothing is charged or told, but emergency calls are known all the same.
fn limits(section: &LimitsSection) -> Limits {
    let size = |value: std::num::NonZeroU32| usize::try_from(value.get()).unwrap_or(usize::MAX);
    Limits {
        headers: size(section.headers),
        header_bytes: size(section.header_bytes),
        transactions: size(section.transactions),
        emergency_calls: size(section.emergency_calls),
        per_source: section.requests_per_source,
        per_account: section.requests_per_account,
    }
}

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
        classifier: Arc::new(classifier.context("[numbers]")?),
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
