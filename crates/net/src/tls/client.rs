//! Connecting by TLS to a SIP domain.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::{Authorities, Credentials, Version, identities, provider};

/// What connects by TLS.
#[derive(Clone, Debug)]
pub struct Client {
    credentials: Option<Credentials>,
    minimum: Version,
    authorities: Authorities,
}

impl Client {
    /// Makes one that believes `authorities`, and shows what `credentials` hold to servers that ask.
    #[must_use]
    pub const fn new(credentials: Option<Credentials>, minimum: Version, authorities: Authorities) -> Self {
        Self { credentials, minimum, authorities }
    }

    /// What one connection goes by: the server must speak for one of `domains`. The first of them is asked for (SNI).
    pub(crate) fn to(&self, domains: &[String]) -> Option<(Arc<ClientConfig>, ServerName<'static>)> {
        let asked = ServerName::try_from(domains.first()?.clone()).ok()?;
        let verifier = Verifier {
            domains: domains.to_vec(),
            roots: self.authorities.roots(),
            algorithms: provider().signature_verification_algorithms,
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(self.minimum.and_later())
            .expect("ring has suites for both versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.credentials {
            Some(credentials) => builder.with_client_cert_resolver(credentials.shown()),
            None => builder.with_no_client_auth(),
        };
        // Our connections last: a session would be kept for nothing, and outlive the verdict on its certificate.
        config.resumption = Resumption::disabled();
        Some((Arc::new(config), asked))
    }
}

/// RFC 5922 §7.3: the chain as everywhere, the name by its own rules.
#[derive(Debug)]
struct Verifier {
    domains: Vec<String>,
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// RFC 5922 §7.2: without wildcards. It knows no addresses; one must be named as an address.
    fn speaks_for(&self, end_entity: &CertificateDer<'_>, certificate: &ParsedCertificate<'_>) -> bool {
        let identities = identities(end_entity);
        self.domains.iter().any(|domain| match domain.parse::<IpAddr>() {
            Ok(address) => verify_server_name(certificate, &ServerName::IpAddress(address.into())).is_ok(),
            Err(_) => identities.iter().any(|identity| identity.eq_ignore_ascii_case(domain)),
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _asked: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, self.algorithms.all)?;
        if !self.speaks_for(end_entity, &certificate) {
            return Err(CertificateError::NotValidForName.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
