//! TLS by one policy: what we show, whom we believe, and which SIP domains a certificate speaks for (RFC 5922).
//!
//! Cryptography is ring's. A [`Server`] accepts and a [`Client`] connects; both show [`Credentials`].

mod authorities;
mod certificate;
mod client;
mod clients;
mod identity;
mod server;

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ProtocolVersion, SupportedProtocolVersion};

pub use authorities::{Authorities, AuthoritiesError};
pub use certificate::{Certificate, CertificateError, Credentials, Validity};
pub use client::Client;
pub use clients::{ClientCertificates, Revoked, RevokedError};
pub use server::Server;

pub(crate) use identity::{identities, user_uris};

/// A TLS version that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// RFC 5246.
    V1_2,
    /// RFC 8446.
    V1_3,
}

impl Version {
    /// The version as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
    }

    /// What a handshake came to.
    pub(crate) fn of(negotiated: Option<ProtocolVersion>) -> Option<Self> {
        let negotiated = negotiated?;
        // rustls speaks no other.
        [(ProtocolVersion::TLSv1_2, Self::V1_2), (ProtocolVersion::TLSv1_3, Self::V1_3)]
            .into_iter()
            .find_map(|(version, ours)| (version == negotiated).then_some(ours))
    }

    /// This version and those after it.
    const fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
        static V1_3: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
        match self {
            Self::V1_2 => rustls::ALL_VERSIONS,
            Self::V1_3 => &V1_3,
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(ring::default_provider()));
    Arc::clone(&PROVIDER)
}
