//! What we show of ourselves: a certificate chain and its private key.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage};

use super::{identities, provider};

/// A certificate chain and its private key, which belong together.
#[derive(Clone)]
pub struct Certificate(Arc<CertifiedKey>);

/// Why two texts are no certificate and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The chain is no PEM, or has something else in it.
    #[error("the chain is not in PEM form")]
    Chain,
    /// The chain is empty.
    #[error("there is no certificate in the chain")]
    NoCertificate,
    /// The first certificate cannot be read.
    #[error("the first certificate of the chain cannot be read")]
    Certificate,
    /// There is no key.
    #[error("there is no private key")]
    NoKey,
    /// The key is of no known kind, or encrypted.
    #[error("the private key cannot be read (RSA, ECDSA and Ed25519 keys without a passphrase can)")]
    Key,
    /// They do not belong together.
    #[error("the private key is not that of the first certificate")]
    Mismatch,
}

/// Whether a certificate's time is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It is.
    Valid,
    /// It is over.
    Expired,
    /// It has not begun.
    NotYet,
}

impl Certificate {
    /// Reads a chain, our own certificate first, and the private key, both in PEM form.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|_| CertificateError::Chain)?;
        let Some(first) = chain.first() else { return Err(CertificateError::NoCertificate) };
        EndEntityCert::try_from(first).map_err(|_| CertificateError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            let none = matches!(error, pem::Error::NoItemsFound);
            if none { CertificateError::NoKey } else { CertificateError::Key }
        })?;
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
            let mismatch = matches!(error, Error::InconsistentKeys(InconsistentKeys::KeyMismatch));
            if mismatch { CertificateError::Mismatch } else { CertificateError::Key }
        })?;
        Ok(Self(Arc::new(certified)))
    }

    /// Says whether its time is now.
    #[must_use]
    pub fn validity(&self, now: SystemTime) -> Validity {
        let Some(Ok(certificate)) = self.0.cert.first().map(EndEntityCert::try_from) else { return Validity::Valid };
        let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        // Without authorities it is believed by nobody; its time is looked at before that.
        let algorithms = provider().signature_verification_algorithms.all;
        match certificate.verify_for_usage(algorithms, &[], &[], now, KeyUsage::server_auth(), None, None) {
            Err(webpki::Error::CertExpired { .. }) => Validity::Expired,
            Err(webpki::Error::CertNotValidYet { .. }) => Validity::NotYet,
            Ok(_) | Err(_) => Validity::Valid,
        }
    }

    /// The SIP domains that it speaks for (RFC 5922 §7.1), in lower case.
    #[must_use]
    pub fn identities(&self) -> Vec<String> {
        self.0.cert.first().map(identities).unwrap_or_default()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").finish_non_exhaustive()
    }
}

/// The certificate that is shown wherever one is asked for.
#[derive(Clone, Debug)]
pub struct Credentials(Arc<Shown>);

impl Credentials {
    /// Shows this one.
    #[must_use]
    pub fn new(certificate: Certificate) -> Self {
        Self(Arc::new(Shown(certificate.0)))
    }

    pub(super) fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.0)
    }
}

pub(super) struct Shown(Arc<CertifiedKey>);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shown").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Shown {
    /// The same for every name: of several domains, the certificate names all.
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
