//! Whose word on certificates counts.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The certification authorities that are believed; at least one.
#[derive(Clone, Debug)]
pub struct Authorities(Arc<RootCertStore>);

/// Why there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    /// The text is no PEM, or what is in it no certificate.
    #[error("it is not a file of certificates in PEM form")]
    Malformed,
    /// There is no certificate.
    #[error("there is no certificate in it")]
    Empty,
}

impl Authorities {
    /// Reads certificates in PEM form.
    ///
    /// # Errors
    /// [`AuthoritiesError`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, AuthoritiesError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| AuthoritiesError::Malformed)?;
            roots.add(certificate).map_err(|_| AuthoritiesError::Malformed)?;
        }
        Self::of(roots)
    }

    /// Those that the host believes; what it has and cannot be read is left out.
    ///
    /// # Errors
    /// [`AuthoritiesError::Empty`].
    pub fn of_host() -> Result<Self, AuthoritiesError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::of(roots)
    }

    fn of(roots: RootCertStore) -> Result<Self, AuthoritiesError> {
        if roots.is_empty() { Err(AuthoritiesError::Empty) } else { Ok(Self(Arc::new(roots))) }
    }

    pub(super) fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.0)
    }
}
