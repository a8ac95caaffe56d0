//! Accepting by TLS.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::clients::{ClientCertificates, Verifier};
use super::{Credentials, Version, identities, provider, user_uris};
use crate::clock;

/// What accepts connections by TLS.
#[derive(Clone, Debug)]
pub struct Server {
    config: Arc<ServerConfig>,
    clients: Option<Arc<Verifier>>,
}

/// Whom a client's certificate speaks for.
#[derive(Debug, Default)]
pub(crate) struct Vouched {
    /// SIP domains.
    pub(crate) identities: Vec<String>,
    /// URIs of users.
    pub(crate) users: Vec<String>,
}

impl Server {
    /// Makes one that shows what `credentials` hold.
    #[must_use]
    pub fn new(credentials: &Credentials, minimum: Version, clients: &ClientCertificates) -> Self {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(minimum.and_later())
            .expect("ring has suites for both versions");
        let clients = Verifier::of(clients).map(Arc::new);
        let builder = match &clients {
            Some(verifier) => builder.with_client_cert_verifier(Arc::<Verifier>::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        Self { config: Arc::new(builder.with_cert_resolver(credentials.shown())), clients }
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Whom the chain that a client showed speaks for. It is looked at anew: the handshake does not say by whose word it was
    /// good, and an authority of users has no say about servers. A session that is resumed is judged as of today by that.
    pub(crate) fn vouched(&self, chain: &[CertificateDer<'_>]) -> Vouched {
        let (Some(verifier), Some((first, others))) = (&self.clients, chain.split_first()) else {
            return Vouched::default();
        };
        let now = clock::wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (servers, users) = verifier.vouching(first, others, UnixTime::since_unix_epoch(now));
        Vouched {
            identities: if servers { identities(first) } else { Vec::new() },
            users: if users { user_uris(first) } else { Vec::new() },
        }
    }
}
