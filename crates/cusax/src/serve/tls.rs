//! TLS as `[tls]` wants it, for each listener and for the connections that we make.

use std::path::PathBuf;

use anyhow::anyhow;
use cusax_net::stream::Layers;
use cusax_net::tls::{Authorities, Client, ClientCertificates, Credentials, Revoked, Server, Version};

use crate::config::Config;
use crate::config::address::Transport;
use crate::config::files::tls_files;
use crate::config::sip::{Listener, Zone};
use crate::config::text::Bad;
use crate::config::tls::{Tls as TlsSection, TlsVersion};

/// What TLS is made of.
pub(super) struct Tls {
    minimum: Version,
    /// What we show; `None` without `[tls]`.
    credentials: Option<Credentials>,
    client_ca: Option<Authorities>,
    user_ca: Option<Authorities>,
    revoked: Option<Revoked>,
    /// Whether a peer may be known by his certificate, wherever he connects.
    peers_have_names: bool,
}

impl Tls {
    /// Reads the files.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        let section = config.tls.as_ref();
        let minimum = match section.map(|tls| tls.minimum_version).unwrap_or_default() {
            TlsVersion::V1_2 => Version::V1_2,
            TlsVersion::V1_3 => Version::V1_3,
        };
        let certificate = section.map(tls_files::certificate).transpose().map_err(|(_, bad)| failure(&bad))?;
        let authorities = |file: fn(&TlsSection) -> &Option<PathBuf>| {
            let file = section.and_then(|tls| file(tls).as_deref());
            file.map(tls_files::authorities).transpose().map_err(|bad| failure(&bad))
        };
        let revoked = section.and_then(|tls| tls.user_crl.as_deref()).map(tls_files::revoked).transpose();
        Ok(Self {
            minimum,
            credentials: certificate.map(Credentials::new),
            client_ca: authorities(|tls| &tls.client_ca)?,
            user_ca: authorities(|tls| &tls.user_ca)?,
            revoked: revoked.map_err(|bad| failure(&bad))?,
            peers_have_names: config.sip.peer.iter().any(|peer| !peer.certificate_names.is_empty()),
        })
    }

    /// What the connections of each listener for streams begin with.
    pub(super) fn all_layers(&self, config: &Config) -> anyhow::Result<Vec<Layers>> {
        let streams = config.sip.listener.iter().filter(|listener| listener.address.transport != Transport::Udp);
        streams.map(|listener| self.layers(listener)).collect()
    }

    fn layers(&self, listener: &Listener) -> anyhow::Result<Layers> {
        let transport = listener.address.transport;
        let tls = match (&self.credentials, transport.is_secure()) {
            (_, false) => None,
            (Some(credentials), true) => Some(Server::new(credentials, self.minimum, &self.clients(listener))),
            (None, true) => return Err(anyhow!("{} needs [tls]", listener.address)),
        };
        let websocket = matches!(transport, Transport::Ws | Transport::Wss);
        let balancers = listener.proxy_protocol.iter().map(|network| (network.address, network.bits)).collect();
        let origins = listener.origins.iter().map(ToString::to_string).collect();
        let shared = listener.zone != Zone::Access;
        Ok(Layers { balancers, tls, websocket, origins, shared })
    }

    /// What makes connections, where any may be made; without authorities none can be.
    pub(super) fn client(&self, config: &Config) -> anyhow::Result<Option<Client>> {
        if !config.sip.listener.iter().any(|listener| listener.address.transport == Transport::Tls) {
            return Ok(None);
        }
        let named = config.tls.as_ref().and_then(|tls| tls.server_ca.as_deref());
        let authorities = match named {
            Some(file) => Some(tls_files::authorities(file).map_err(|bad| failure(&bad))?),
            None => Authorities::of_host().ok(),
        };
        Ok(authorities.map(|authorities| Client::new(self.credentials.clone(), self.minimum, authorities)))
    }

    /// Phones and browsers are asked only where the listener says so: some ask their users in turn.
    fn clients(&self, listener: &Listener) -> ClientCertificates {
        let servers = match listener.zone {
            Zone::Access => self.peers_have_names || listener.require_certificate,
            Zone::Core | Zone::Peer => true,
        };
        let servers = servers && listener.address.transport == Transport::Tls;
        let users = listener.user_certificates;
        ClientCertificates {
            servers: self.client_ca.clone().filter(|_| servers),
            users: self.user_ca.clone().filter(|_| users),
            revoked: self.revoked.clone().filter(|_| users),
            required: listener.require_certificate,
        }
    }
}

fn failure(bad: &Bad) -> anyhow::Error {
    anyhow!(bad.to_string())
}
