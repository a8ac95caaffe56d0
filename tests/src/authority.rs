//! A certification authority of one run's own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData};
use sha2::{Digest, Sha256};

use crate::scratch::Scratch;

/// The authority: its key in memory, its certificate in a file.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: PathBuf,
}

/// What it gave to one server: files in PEM form.
#[derive(Debug)]
pub struct Issued {
    /// The server's certificate.
    pub certificate: PathBuf,
    /// Its key, which only we may read.
    pub key: PathBuf,
    /// SHA-256 of its public key, in base64: by that a browser believes it and no other.
    pub pin: String,
}

impl Authority {
    /// Makes one.
    ///
    /// # Errors
    /// When its certificate cannot be made or written.
    pub fn new(scratch: &Scratch) -> Result<Self> {
        let mut params = CertificateParams::default();
        // OpenSSL takes a certificate whose issuer has its own name for one that signed itself.
        params.distinguished_name.push(DnType::CommonName, "authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = scratch.directory("authority")?.join("ca.pem");
        fs::write(&certificate, params.self_signed(&key)?.pem()).context("the authority's certificate")?;
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// The file with its certificate.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Makes a certificate for these names and addresses, `cert.pem` and `key.pem` in `dir`.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn issue(&self, dir: &Path, names: &[&str]) -> Result<Issued> {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate()?;
        let pem = CertificateParams::new(names)?.signed_by(&key, &self.issuer)?.pem();
        let pin = STANDARD.encode(Sha256::digest(key.subject_public_key_info()));
        let issued = Issued { certificate: dir.join("cert.pem"), key: dir.join("key.pem"), pin };
        fs::write(&issued.certificate, pem).context("a certificate")?;
        fs::write(&issued.key, key.serialize_pem()).context("a certificate's key")?;
        fs::set_permissions(&issued.key, Permissions::from_mode(0o600)).context("a certificate's key")?;
        Ok(issued)
    }
}
