//! TLS as `[tls]` wants it, for each listener and for the connections that we make.

use anyhow::anyhow;
use cusax_net::stream::Layers;
use cusax_net::tls::{Authorities, Client, ClientCertificates, Credentials, Server, Version};

use crate::config::Config;
use crate::config::address::Transport;
use crate::config::files::tls_files;
use crate::config::sip::{Listener, Zone};
use crate::config::text::Bad;
use crate::config::tls::TlsVersion;

/// What TLS is made of.
pub(super) struct Tls {
    minimum: Version,
    /// What we show; `None` without `[tls]`.
    credentials: Option<Credentials>,
    client_ca: Option<Authorities>,
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
        let client_ca = section.and_then(|tls| tls.client_ca.as_deref()).map(tls_files::authorities).transpose();
        Ok(Self {
            minimum,
            credentials: certificate.map(Credentials::new),
            client_ca: client_ca.map_err(|bad| failure(&bad))?,
            peers_have_names: config.sip.peer.iter().any(|peer| !peer.certificate_names.is_empty()),
        })
    }

    /// What the connections of a listener begin with.
    pub(super) fn layers(&self, listener: &Listener) -> anyhow::Result<Layers> {
        let transport = listener.address.transport;
        let tls = match (&self.credentials, transport.is_secure()) {
            (_, false) => None,
            (Some(credentials), true) => Some(Server::new(credentials, self.minimum, &self.clients(listener))),
            (None, true) => return Err(anyhow!("{} needs [tls]", listener.address)),
        };
        let websocket = matches!(transport, Transport::Ws | Transport::Wss);
        Ok(Layers { proxy_protocol: listener.proxy_protocol, tls, websocket })
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

    /// Phones and browsers are not asked: some ask their users in turn.
    fn clients(&self, listener: &Listener) -> ClientCertificates {
        let servers = match listener.zone {
            Zone::Access => self.peers_have_names,
            Zone::Core | Zone::Peer => true,
        };
        match &self.client_ca {
            Some(authorities) if listener.require_certificate => ClientCertificates::Required(authorities.clone()),
            Some(authorities) if servers && listener.address.transport == Transport::Tls => {
                ClientCertificates::Accepted(authorities.clone())
            }
            Some(_) | None => ClientCertificates::Unasked,
        }
    }
}

fn failure(bad: &Bad) -> anyhow::Error {
    anyhow!(bad.to_string())
}
