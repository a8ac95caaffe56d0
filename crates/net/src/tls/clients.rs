//! What those who connect to us by TLS are asked for, and by whose word it counts.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use webpki::OwnedCertRevocationList;

use super::{Authorities, provider};

/// What clients are asked for: nothing where there is no authority.
#[derive(Clone, Debug, Default)]
pub struct ClientCertificates {
    /// Whose word on servers counts: their certificates name SIP domains.
    pub servers: Option<Authorities>,
    /// Whose word on users counts: their certificates name addresses of record.
    pub users: Option<Authorities>,
    /// Certificates of users that do not count any more. Where there is a list, each authority of users has one.
    pub revoked: Option<Revoked>,
    /// Whether those without a certificate are refused; those with one by nobody of these always are.
    pub required: bool,
}

/// Lists of certificates that their authorities took back (RFC 5280 §5).
#[derive(Clone, Debug)]
pub struct Revoked(Vec<CertificateRevocationListDer<'static>>);

/// Why there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevokedError {
    /// The text is no PEM, or what is in it no list.
    #[error("it is not a file of revocation lists in PEM form")]
    Malformed,
    /// There is no list.
    #[error("there is no revocation list in it")]
    Empty,
}

impl Revoked {
    /// Reads lists in PEM form.
    ///
    /// # Errors
    /// [`RevokedError`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, RevokedError> {
        let lists = CertificateRevocationListDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let lists = lists.map_err(|_| RevokedError::Malformed)?;
        if lists.iter().any(|list| OwnedCertRevocationList::from_der(list).is_err()) {
            return Err(RevokedError::Malformed);
        }
        if lists.is_empty() { Err(RevokedError::Empty) } else { Ok(Self(lists)) }
    }
}

/// Looks at clients' certificates by the word of two kinds of authorities.
#[derive(Debug)]
pub(super) struct Verifier {
    servers: Option<Arc<dyn ClientCertVerifier>>,
    users: Option<Arc<dyn ClientCertVerifier>>,
    /// The names of all, for clients that choose by them.
    hints: Vec<DistinguishedName>,
    required: bool,
}

impl Verifier {
    /// `None` where clients are asked for nothing.
    pub(super) fn of(clients: &ClientCertificates) -> Option<Self> {
        let by = |authorities: &Authorities, revoked: Option<&Revoked>| -> Arc<dyn ClientCertVerifier> {
            let builder = WebPkiClientVerifier::builder_with_provider(authorities.roots(), provider());
            // Authorities rarely list what is between them and their users.
            let lists = revoked.map(|revoked| revoked.0.clone()).unwrap_or_default();
            let builder = builder.with_crls(lists).only_check_end_entity_revocation();
            builder.build().expect("there is an authority, and each revocation list was read before")
        };
        let servers = clients.servers.as_ref().map(|authorities| by(authorities, None));
        let users = clients.users.as_ref().map(|authorities| by(authorities, clients.revoked.as_ref()));
        let hints = [&servers, &users].into_iter().flatten().flat_map(|by| by.root_hint_subjects().to_vec()).collect();
        (servers.is_some() || users.is_some()).then_some(Self { servers, users, hints, required: clients.required })
    }

    /// Whether an authority of servers, and one of users, vouches for a chain.
    pub(super) fn vouching(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> (bool, bool) {
        let vouches = |by: &Option<Arc<dyn ClientCertVerifier>>| {
            by.as_ref().is_some_and(|by| by.verify_client_cert(end_entity, intermediates, now).is_ok())
        };
        (vouches(&self.servers), vouches(&self.users))
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let mut verdict = Error::from(CertificateError::UnknownIssuer);
        for by in [&self.servers, &self.users].into_iter().flatten() {
            match by.verify_client_cert(end_entity, intermediates, now) {
                Ok(verified) => return Ok(verified),
                // It says less than what its own authority finds wrong.
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {}
                Err(error) => verdict = error,
            }
        }
        Err(verdict)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
