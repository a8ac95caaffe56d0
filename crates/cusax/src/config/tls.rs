//! `[tls]`: one policy for SIP and HTTPS, and what the XMPP server is expected to keep.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Certificate, key and the oldest version that is accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// Certificate chain in PEM form, the server's own first.
    #[schemars(example = &"cert.pem")]
    pub(crate) certificate: PathBuf,
    /// Private key in PEM form.
    #[schemars(example = &"key.pem")]
    pub(crate) private_key: PathBuf,
    /// Oldest TLS version that is accepted.
    #[serde(default)]
    pub(crate) minimum_version: TlsVersion,
    /// Authorities whose certificates core servers and peers may show when they connect (mutual TLS), in PEM form.
    /// Absent: none is asked for.
    #[schemars(example = &"client-ca.pem")]
    pub(crate) client_ca: Option<PathBuf>,
    /// Authorities whose certificates user agents may show instead of a password, in PEM form: one that names
    /// sip:user@domain (a URI in subjectAltName) proves that account on listeners with user_certificates.
    #[schemars(example = &"user-ca.pem")]
    pub(crate) user_ca: Option<PathBuf>,
    /// Revocation lists of these authorities, one of each, in PEM form. Absent: certificates are
    /// not revoked, and what ends a lost one is that its account is removed.
    #[schemars(example = &"user-crl.pem")]
    pub(crate) user_crl: Option<PathBuf>,
    /// Authorities that are believed where this edge connects by TLS, in PEM form. Default: those of the host.
    #[schemars(example = &"server-ca.pem")]
    pub(crate) server_ca: Option<PathBuf>,
}

/// A TLS version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) enum TlsVersion {
    /// RFC 5246
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// RFC 8446
    #[serde(rename = "1.3")]
    V1_3,
}
