//! Accepting by TLS.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::{Authorities, Credentials, Version, provider};

/// What clients are asked for.
#[derive(Clone, Debug)]
pub enum ClientCertificates {
    /// Nothing.
    Unasked,
    /// A certificate by one of these authorities, if they have one; with another they are refused.
    Accepted(Authorities),
    /// A certificate by one of these authorities.
    Required(Authorities),
}

/// What accepts connections by TLS.
#[derive(Clone, Debug)]
pub struct Server(Arc<ServerConfig>);

impl Server {
    /// Makes one that shows what `credentials` hold.
    #[must_use]
    pub fn new(credentials: &Credentials, minimum: Version, clients: &ClientCertificates) -> Self {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(minimum.and_later())
            .expect("ring has suites for both versions");
        let builder = match verifier(clients) {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        Self(Arc::new(builder.with_cert_resolver(credentials.current())))
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0)
    }
}

fn verifier(clients: &ClientCertificates) -> Option<Arc<dyn ClientCertVerifier>> {
    let by = |authorities: &Authorities| WebPkiClientVerifier::builder_with_provider(authorities.roots(), provider());
    let builder = match clients {
        ClientCertificates::Unasked => return None,
        ClientCertificates::Accepted(authorities) => by(authorities).allow_unauthenticated(),
        ClientCertificates::Required(authorities) => by(authorities),
    };
    Some(builder.build().expect("there is an authority, and no revocation list that could be wrong"))
}
