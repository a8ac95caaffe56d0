//! A certification authority of the test's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cusax_net::tls::{Authorities, Certificate, Credentials};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM form.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
    serial: SerialNumber,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two of one name would be told apart by their signatures only.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        params.distinguished_name = named(&format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn authorities(&self) -> Authorities {
        Authorities::from_pem(self.pem.as_bytes()).unwrap()
    }

    /// Issues to names such as `example.com`, `sip:example.com` and `127.0.0.1`.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_until(names, 4000)
    }

    pub(crate) fn issue_until(&self, names: &[&str], year: i32) -> Issued {
        let mut params = CertificateParams::default();
        params.distinguished_name = named("subject");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        params.subject_alt_names = names
            .iter()
            .map(|name| match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) if name.contains(':') => SanType::URI((*name).try_into().unwrap()),
                Err(_) => SanType::DnsName((*name).try_into().unwrap()),
            })
            .collect();
        static SERIAL: AtomicUsize = AtomicUsize::new(1);
        let serial = SerialNumber::from(SERIAL.fetch_add(1, Ordering::Relaxed) as u64);
        params.serial_number = Some(serial.clone());
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { certificate, key: key.serialize_pem(), serial }
    }

    /// The list of those that it took back, in PEM form.
    pub(crate) fn revoked(&self, issued: &[&Issued]) -> String {
        let (time, reason_code) = (date_time_ymd(2020, 1, 1), None);
        let revoked = |issued: &&Issued| RevokedCertParams {
            serial_number: issued.serial.clone(),
            revocation_time: time,
            reason_code,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: time,
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: issued.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// What a plain client of rustls believes.
    pub(crate) fn roots(&self) -> Arc<rustls::RootCertStore> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        Arc::new(roots)
    }
}

impl Issued {
    pub(crate) fn certificate(&self) -> Certificate {
        Certificate::from_pem(self.certificate.as_bytes(), self.key.as_bytes()).unwrap()
    }

    pub(crate) fn credentials(&self) -> Credentials {
        Credentials::new(self.certificate())
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
