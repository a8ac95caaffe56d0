//! A certification authority of the test's own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        // Two of one name would be told apart by their signatures only.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes what a configuration names of an authority of users that took back the certificates of these names.
    pub(crate) fn write_as_users(&self, folder: &Path, names: &[&str]) {
        let (time, reason_code) = (date_time_ymd(2020, 1, 1), None);
        let revoked = |name: &&str| RevokedCertParams {
            serial_number: serial(name),
            revocation_time: time,
            reason_code,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: time,
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: names.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        fs::write(folder.join("user-ca.pem"), &self.pem).unwrap();
        fs::write(folder.join("user-crl.pem"), list.signed_by(&self.issuer).unwrap().pem().unwrap()).unwrap();
    }

    /// Writes what a configuration names.
    pub(crate) fn write(&self, folder: &Path, names: &[&str]) {
        fs::write(folder.join("ca.pem"), &self.pem).unwrap();
        self.write_certificate(folder, names);
    }

    /// Writes a new certificate and its key.
    pub(crate) fn write_certificate(&self, folder: &Path, names: &[&str]) {
        let (certificate, key) = self.issue(names);
        for (file, text) in [("cert.pem", &certificate), ("key.pem", &key)] {
            fs::write(folder.join(file), text).unwrap();
        }
        fs::set_permissions(folder.join("key.pem"), Permissions::from_mode(0o600)).unwrap();
    }

    /// What a phone connects with; `name` is that of its certificate.
    pub(crate) fn client(&self, name: Option<&str>) -> Arc<ClientConfig> {
        self.client_by(self, name)
    }

    /// The same, with a certificate by another authority.
    pub(crate) fn client_by(&self, other: &Self, name: Option<&str>) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots());
        Arc::new(match name {
            Some(name) => {
                let (chain, key) = other.certified(&[name]);
                builder.with_client_auth_cert(chain, key).unwrap()
            }
            None => builder.with_no_client_auth(),
        })
    }

    /// What a server accepts with, who wants to see a certificate himself.
    pub(crate) fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(self.roots(), Arc::clone(&provider)).build().unwrap();
        let (chain, key) = self.certified(names);
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_client_cert_verifier(clients).with_single_cert(chain, key).unwrap())
    }

    fn issue(&self, names: &[&str]) -> (String, String) {
        let (uris, hosts) = names.iter().map(ToString::to_string).partition::<Vec<_>, _>(|name| name.contains("sip:"));
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI(uri.as_str().try_into().unwrap())));
        params.serial_number = names.first().map(serial);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn certified(&self, names: &[&str]) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let (certificate, key) = self.issue(names);
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        (chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        Arc::new(roots)
    }
}

/// By the name, so that a list can be written before the certificate is.
fn serial(name: &&str) -> SerialNumber {
    let sum = name.bytes().fold(1_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    SerialNumber::from(sum)
}
